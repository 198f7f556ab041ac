/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Loads for a controller; tools/bench-fleet starts the programs and makes tables of what this prints ("name value").
 *
 *     bench-fleet ADDRESS nodes N SLOTS            simulated nodes, until stdin is closed
 *     bench-fleet ADDRESS idle N                   the same with one slot, for a controller that has nothing to do
 *     bench-fleet ADDRESS submit THREADS COUNT     unary calls, each thread one after the other
 *     bench-fleet ADDRESS batch COUNT              a thousand jobs in a call
 *     bench-fleet ADDRESS watch N                  N streams on one job
 *     bench-fleet ADDRESS first COUNT REF DIS      real jobs, one after the other
 *
 * submit and batch wait until all jobs of the controller have ended when COUNT is followed by the word `wait`.
 */

#include "fleet.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base.h"
#include "base/clock.h"

#define THREADS_MAX 256
#define COUNT_MAX   1000000
#define WATCH_MAX   10000
#define BATCH       1000
#define POLL_NS     2000000

/* ---- what the modes share ---- */

void fleet_spec_init(FleetSpec *s, const char *reference, const char *distorted)
{
    static const char *const labels[2][2] = { { "title", "a-usual-name" }, { "rung", "360p-800k" } };

    vmafx__v1__job_spec__init(&s->spec);
    vmafx__v1__input__init(&s->reference);
    vmafx__v1__input__init(&s->distorted);
    vmafx__v1__model_request__init(&s->model);
    s->reference.uri = (char *)(reference ? reference : "/media/masters/a/usual/name/of/a/file.mp4");
    s->distorted.uri = (char *)(distorted ? distorted : "/media/encodes/a/usual/name/of/a/file-360p.mp4");
    s->model.version = (char *)"vmaf_v0.6.1";
    s->models[0] = &s->model;
    for (int i = 0; i < 2; i++) {
        vmafx__v1__key_value__init(&s->labels[i]);
        s->labels[i].key = (char *)labels[i][0];
        s->labels[i].value = (char *)labels[i][1];
        s->label_list[i] = &s->labels[i];
    }
    s->spec.reference = &s->reference;
    s->spec.distorted_source_case = VMAFX__V1__JOB_SPEC__DISTORTED_SOURCE_DISTORTED;
    s->spec.distorted = &s->distorted;
    s->spec.models = s->models;
    s->spec.n_models = 1;
    s->spec.labels = s->label_list;
    s->spec.n_labels = 2;
}

VmafxClient *fleet_client(const char *address)
{
    VmafxClient *client = NULL;
    VmafxErrInfo info = { 0 };

    if (vmafx_client_open(&(VmafxClientConfig){ .address = address }, &client, &info))
        fprintf(stderr, "bench-fleet: %s\n", info.message);
    return client;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double fleet_percentile(double *values, size_t n, double share)
{
    qsort(values, n, sizeof *values, by_value);
    return n ? values[VMAFX_MIN((size_t)(share * (double)n), n - 1)] : 0;
}

/* Until no job is queued or running. */
static int wait_all_ended(VmafxClient *client)
{
    Vmafx__V1__JobState states[] = { VMAFX__V1__JOB_STATE__JOB_STATE_QUEUED, VMAFX__V1__JOB_STATE__JOB_STATE_RUNNING };
    Vmafx__V1__ListJobsRequest request = VMAFX__V1__LIST_JOBS_REQUEST__INIT;

    request.states = states;
    request.n_states = VMAFX_LEN(states);
    request.page_size = 1;
    for (;;) {
        VMAFX_AUTO(vmafx_message_free) VmafxMessage *answer = NULL;
        VmafxErrInfo info = { 0 };
        if (vmafx_client_call(client, VMAFX_CALL_LIST_JOBS, &request.base, &answer, &info)) {
            fprintf(stderr, "bench-fleet: list: %s\n", info.message);
            return 1;
        }
        if (!((const Vmafx__V1__ListJobsResponse *)vmafx_message_get(answer))->n_jobs)
            return 0;
        nanosleep(&(struct timespec){ .tv_nsec = POLL_NS }, NULL); /* asking all the time would be the load */
    }
}

static int report(VmafxClient *client, uint64_t start, int count, bool wait)
{
    printf("submitted_per_s %.1f\n", count / ((double)(vmafx_monotonic_ns() - start) / 1e9));
    if (wait && wait_all_ended(client))
        return 1;
    if (wait)
        printf("completed_per_s %.1f\n", count / ((double)(vmafx_monotonic_ns() - start) / 1e9));
    return 0;
}

/* ---- submit ---- */

typedef struct Submit {
    const char *address;
    int count;
    double *took_us; /* of each call; a thread writes where its numbers are */
    atomic_int next, failures;
} Submit;

static void *submit_thread(void *arg)
{
    Submit *s = arg;
    VMAFX_AUTO(vmafx_client_close) VmafxClient *client = fleet_client(s->address);
    Vmafx__V1__SubmitJobRequest request = VMAFX__V1__SUBMIT_JOB_REQUEST__INIT;
    FleetSpec spec;

    fleet_spec_init(&spec, NULL, NULL);
    request.job = &spec.spec;
    for (int i; client && (i = s->next++) < s->count;) {
        VMAFX_AUTO(vmafx_message_free) VmafxMessage *answer = NULL;
        VmafxErrInfo info = { 0 };
        uint64_t start = vmafx_monotonic_ns();
        if (vmafx_client_call(client, VMAFX_CALL_SUBMIT_JOB, &request.base, &answer, &info) && !s->failures++)
            fprintf(stderr, "bench-fleet: submit: %s\n", info.message);
        s->took_us[i] = (double)(vmafx_monotonic_ns() - start) / 1e3;
    }
    if (!client)
        s->failures++;
    return NULL;
}

static int submit(const char *address, int threads, int count, bool wait)
{
    VMAFX_AUTO(vmafx_client_close) VmafxClient *client = fleet_client(address);
    VMAFX_AUTO(vmafx_free_p) double *took = calloc((size_t)count, sizeof *took);
    Submit s = { .address = address, .count = count, .took_us = took };
    pthread_t ids[THREADS_MAX];
    int n = 0;

    if (!client || !took)
        return 1;
    uint64_t start = vmafx_monotonic_ns();
    while (n < threads && !pthread_create(&ids[n], NULL, submit_thread, &s))
        n++;
    for (int i = 0; i < n; i++)
        pthread_join(ids[i], NULL);
    if (n < threads || s.failures) {
        fprintf(stderr, "bench-fleet: %d of %d threads, %d calls failed\n", n, threads, (int)s.failures);
        return 1;
    }
    int code = report(client, start, count, wait);
    printf("p50_us %.1f\n", fleet_percentile(took, (size_t)count, 0.5));
    printf("p99_us %.1f\n", fleet_percentile(took, (size_t)count, 0.99));
    return code;
}

/* ---- batch ---- */

static int batch(const char *address, int count, bool wait)
{
    VMAFX_AUTO(vmafx_client_close) VmafxClient *client = fleet_client(address);
    Vmafx__V1__JobSpec *list[BATCH];
    Vmafx__V1__SubmitJobsRequest request = VMAFX__V1__SUBMIT_JOBS_REQUEST__INIT;
    FleetSpec spec;

    fleet_spec_init(&spec, NULL, NULL);
    for (int i = 0; i < BATCH; i++)
        list[i] = &spec.spec;
    request.jobs = list;
    uint64_t start = vmafx_monotonic_ns();
    for (int done = 0; client && done < count; done += (int)request.n_jobs) {
        VMAFX_AUTO(vmafx_message_free) VmafxMessage *answer = NULL;
        VmafxErrInfo info = { 0 };

        request.n_jobs = (size_t)VMAFX_MIN(BATCH, count - done);
        if (vmafx_client_call(client, VMAFX_CALL_SUBMIT_JOBS, &request.base, &answer, &info)) {
            fprintf(stderr, "bench-fleet: batch: %s\n", info.message);
            return 1;
        }
        const Vmafx__V1__SubmitJobsResponse *response = vmafx_message_get(answer);
        for (size_t i = 0; i < response->n_outcomes; i++)
            if (!response->outcomes[i]->job) {
                fprintf(stderr, "bench-fleet: batch: %s\n", response->outcomes[i]->message);
                return 1;
            }
    }
    return client ? report(client, start, count, wait) : 1;
}

/* ---- the program ---- */

/* A number in range; 0 when there is none. */
static int number(int argc, char **argv, int at, int max)
{
    char *rest;
    long n = at < argc ? strtol(argv[at], &rest, 10) : 0;

    return at < argc && !*rest && n > 0 && n <= max ? (int)n : 0;
}

static int usage(void)
{
    fprintf(stderr, "usage: bench-fleet ADDRESS nodes N SLOTS | idle N | submit THREADS COUNT [wait] | "
                    "batch COUNT [wait] | watch N | first COUNT REFERENCE DISTORTED\n");
    return 2;
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return usage();
    const char *address = argv[1], *mode = argv[2];
    bool wait = !strcmp(argv[argc - 1], "wait");
    int a, b;

    if (!strcmp(mode, "nodes") && (a = number(argc, argv, 3, NODES_MAX)) && (b = number(argc, argv, 4, SLOTS_MAX)))
        return fleet_nodes(address, a, b);
    if (!strcmp(mode, "idle") && (a = number(argc, argv, 3, NODES_MAX)))
        return fleet_nodes(address, a, 1);
    if (!strcmp(mode, "submit") && (a = number(argc, argv, 3, THREADS_MAX)) && (b = number(argc, argv, 4, COUNT_MAX)))
        return submit(address, a, b, wait);
    if (!strcmp(mode, "batch") && (a = number(argc, argv, 3, COUNT_MAX)))
        return batch(address, a, wait);
    if (!strcmp(mode, "watch") && (a = number(argc, argv, 3, WATCH_MAX)))
        return fleet_watch(address, a);
    if (!strcmp(mode, "first") && argc == 6 && (a = number(argc, argv, 3, COUNT_MAX)))
        return fleet_first(address, a, argv[4], argv[5]);
    return usage();
}
