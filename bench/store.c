/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Jobs per second through a store: submit, lease, end, each waited for, from 1 and from 64 threads, with both kinds of
 * durability. The fsync of the disk below is what FULL measures with one thread, so that is measured beside it.
 *
 *     bench-store [FOLDER [SECONDS [QUEUED]]]
 *
 * QUEUED jobs wait already when it begins: what has to be looked up should not show in the numbers.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"
#include "store/store.h"

#define THREADS_MAX 64

typedef struct Bench {
    VmafxStore *store;
    uint64_t until_ns;
    _Atomic uint64_t jobs, failures;
    _Atomic uint32_t ids;
} Bench;

typedef struct Worker {
    pthread_t thread;
    Bench *bench;
    unsigned number;
} Worker;

static bool one_job(Bench *b, unsigned number, const char *node)
{
    static const char spec[512] = "a request of the usual size";
    uint8_t random[10] = { 0 };
    uint32_t id = b->ids++;
    VmafxSubmission s = { .job = { .timeout_us = 3600000000, .attempt_limit = 3 },
                          .spec = spec,
                          .spec_len = sizeof spec };

    memcpy(random + 6, &id, sizeof id);
    vmafx_job_id_make(vmafx_store_now(b->store), random, &s.job.id);
    snprintf(s.job.submitter, sizeof s.job.submitter, "submitter %u", number % 8);
    s.job.trace.trace_id[0] = s.job.trace.job_span_id[0] = 1;
    VmafxStoreOp submit = { .kind = VMAFX_STORE_SUBMIT, .submissions = &s, .n_submissions = 1 };
    VmafxStoreOp lease = { .kind = VMAFX_STORE_LEASE,
                           .capacity = { node, 1, 1000 },
                           .random = (const uint8_t *)"12345678" };
    bool ok = !vmafx_store_wait(b->store, &submit) && !submit.items[0].err && !vmafx_store_wait(b->store, &lease);
    if (ok && lease.n_items) {
        VmafxStoreOp end = { .kind = VMAFX_STORE_END,
                             .job = lease.items[0].job.id,
                             .report = { .node = node,
                                         .attempt = lease.items[0].job.task.attempt,
                                         .outcome = VMAFX_OUTCOME_SUCCEEDED,
                                         .complete = true,
                                         .has_result = true },
                             .result = { spec, sizeof spec } };

        ok = !vmafx_store_wait(b->store, &end);
        vmafx_store_op_done(&end);
        b->jobs++;
    }
    vmafx_store_op_done(&submit);
    vmafx_store_op_done(&lease);
    return ok;
}

/* Jobs that wait: of many submitters, at lower priorities. */
static bool fill(Bench *b, uint32_t queued)
{
    VmafxSubmission *s = calloc(VMAFX_STORE_SUBMISSIONS_MAX, sizeof *s);
    bool ok = s;

    while (ok && b->ids < queued) {
        VmafxStoreOp op = { .kind = VMAFX_STORE_SUBMIT, .submissions = s };

        for (; op.n_submissions < VMAFX_STORE_SUBMISSIONS_MAX && b->ids < queued; op.n_submissions++, b->ids++) {
            VmafxJob *job = &s[op.n_submissions].job;
            uint8_t random[10] = { 0 };
            uint32_t id = b->ids;

            *job = (VmafxJob){ .timeout_us = 3600000000, .attempt_limit = 3, .priority = (int32_t)(id % 3) - 3 };
            memcpy(random + 6, &id, sizeof id);
            vmafx_job_id_make(vmafx_store_now(b->store), random, &job->id);
            snprintf(job->submitter, sizeof job->submitter, "submitter %u", id % 1000);
            job->trace.trace_id[0] = job->trace.job_span_id[0] = 1;
        }
        ok = !vmafx_store_wait(b->store, &op);
        vmafx_store_op_done(&op);
    }
    free(s);
    return ok;
}

static void *work(void *arg)
{
    Worker *w = arg;
    char node[16];

    snprintf(node, sizeof node, "node-%u", w->number);
    while (vmafx_monotonic_ns() < w->bench->until_ns)
        if (!one_job(w->bench, w->number, node))
            w->bench->failures++;
    return NULL;
}

static int run(const char *folder, double seconds, uint32_t queued, unsigned threads, VmafxDurability durability)
{
    VMAFX_AUTO(vmafx_free_p) char *path = vmafx_sprintf("%s/%u-%d.db", folder, threads, (int)durability);
    VmafxStoreConfig config = { .url = path, .durability = durability, .rules = VMAFX_FLEET_RULES };
    VmafxErrInfo info = { 0 };
    Bench bench = { 0 };
    Worker workers[THREADS_MAX];

    if (!path || vmafx_store_open(&config, &bench.store, &info)) {
        fprintf(stderr, "%s\n", info.message);
        return 1;
    }
    if (!fill(&bench, queued)) {
        fprintf(stderr, "cannot fill '%s'\n", path);
        return 1;
    }
    uint64_t start = vmafx_monotonic_ns();
    bench.until_ns = start + (uint64_t)(seconds * 1e9);
    for (unsigned i = 0; i < threads; i++) {
        workers[i] = (Worker){ .bench = &bench, .number = i };
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
            return 1;
    }
    for (unsigned i = 0; i < threads; i++)
        pthread_join(workers[i].thread, NULL);
    double took = (double)(vmafx_monotonic_ns() - start) / 1e9;
    printf("%-7s %2u threads  %9.0f jobs/s  (%llu jobs, %llu failures)\n",
           durability == VMAFX_DURABILITY_FULL ? "FULL" : "NORMAL", threads, (double)bench.jobs / took,
           (unsigned long long)bench.jobs, (unsigned long long)bench.failures);
    vmafx_store_close(&bench.store);
    return bench.failures != 0;
}

/* How long the disk takes for a flush of 4 KiB. */
static void measure_fsync(const char *folder)
{
    VMAFX_AUTO(vmafx_free_p) char *path = vmafx_sprintf("%s/fsync", folder);
    char page[4096] = { 0 };
    int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    uint64_t start = vmafx_monotonic_ns();

    for (int i = 0; fd >= 0 && i < 50; i++)
        if (write(fd, page, sizeof page) != sizeof page || fsync(fd))
            break;
    if (fd >= 0) {
        printf("fsync   %.3f ms\n", (double)(vmafx_monotonic_ns() - start) / 50e6);
        close(fd);
        unlink(path);
    }
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : ".";
    double seconds = argc > 2 ? strtod(argv[2], NULL) : 5;
    uint32_t queued = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0;
    int failed = 0;

    measure_fsync(folder);
    for (int durability = VMAFX_DURABILITY_FULL; durability <= VMAFX_DURABILITY_NORMAL; durability++) {
        failed |= run(folder, seconds, queued, 1, (VmafxDurability)durability);
        failed |= run(folder, seconds, queued, THREADS_MAX, (VmafxDurability)durability);
    }
    return failed;
}
