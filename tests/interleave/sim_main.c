/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Plays episodes of the simulated fleet, seed after seed, until so many steps or minutes are over.
 *
 *     simulation [--seed N] [--steps N] [--minutes N]
 *
 * When a rule breaks: the seed, the shortest list of faults found that breaks one, and the last lines of that run.
 * `--seed N --steps 1` plays that one episode again. --minutes is for soaking: it goes on until the time is up.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "simulation.h"

#include "base/base.h"

typedef struct Args {
    uint64_t seed, steps, minutes;
} Args;

static bool parse_number(const char *text, uint64_t *ret)
{
    char *end;

    if (!text || *text < '0' || *text > '9')
        return false;
    *ret = strtoull(text, &end, 10);
    return !*end;
}

static bool parse(int argc, char **argv, Args *args)
{
    for (int i = 1; i < argc; i += 2) {
        uint64_t *to = !strcmp(argv[i], "--seed")      ? &args->seed
                       : !strcmp(argv[i], "--steps")   ? &args->steps
                       : !strcmp(argv[i], "--minutes") ? &args->minutes
                                                       : NULL;

        if (!to || !parse_number(argv[i + 1], to))
            return false;
    }
    return true;
}

static void explain(uint64_t seed, SimFault *faults, size_t n, const SimResult *first)
{
    SimResult result;

    fprintf(stderr, "simulation: seed %" PRIu64 ", after %.3f s: %s\n", seed, (double)first->at / 1e6, first->rule);
    fprintf(stderr, "simulation: looking for a shorter list than that of %zu faults\n", n);
    n = sim_shrink(seed, faults, n, &result);
    fprintf(stderr, "simulation: these %zu do, after %.3f s: %s\n", n, (double)result.at / 1e6, result.rule);
    for (size_t i = 0; i < n; i++)
        fprintf(stderr, "  at %9.6f s: %s %u, %.6f s\n", (double)faults[i].at / 1e6, sim_fault_name(faults[i].kind),
                faults[i].target, (double)faults[i].span / 1e6);
    fprintf(stderr, "simulation: the end of that run\n");
    sim_run(seed, faults, n, stderr, &result);
}

static void add(SimResult *sum, const SimResult *result)
{
    sum->steps += result->steps;
    sum->jobs += result->jobs;
    sum->succeeded += result->succeeded;
    sum->job_failed += result->job_failed;
    sum->cancelled += result->cancelled;
    sum->attempts += result->attempts;
    sum->lost += result->lost;
    sum->fenced += result->fenced;
    sum->handed_back += result->handed_back;
}

int main(int argc, char **argv)
{
    Args args = { .seed = 1, .steps = 1000000 };
    SimResult sum = { 0 };
    uint64_t episodes = 0, n_faults = 0;
    time_t begin = time(NULL);

    if (!parse(argc, argv, &args)) {
        fprintf(stderr, "usage: simulation [--seed N] [--steps N] [--minutes N]\n");
        return 2;
    }
    while (args.minutes ? time(NULL) - begin < (time_t)(60 * args.minutes) : sum.steps < args.steps) {
        SimFault faults[SIM_FAULTS_MAX];
        size_t n = sim_make_faults(args.seed, faults);
        SimResult result;

        sim_run(args.seed, faults, n, NULL, &result);
        if (result.failed) {
            explain(args.seed, faults, n, &result);
            return 1;
        }
        add(&sum, &result);
        n_faults += n;
        episodes++;
        args.seed++;
    }
    printf("simulation: %" PRIu64 " episodes, %" PRIu64 " faults, %" PRIu64 " steps; %" PRIu64 " jobs: %" PRIu64
           " succeeded, %" PRIu64 " failed, %" PRIu64 " cancelled; %" PRIu64 " attempts: %" PRIu64 " lost, %" PRIu64
           " handed back; %" PRIu64 " ends fenced off\n",
           episodes, n_faults, sum.steps, sum.jobs, sum.succeeded, sum.job_failed, sum.cancelled, sum.attempts,
           sum.lost, sum.handed_back, sum.fenced);
    return 0;
}
