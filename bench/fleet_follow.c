/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Jobs that are watched: many who look at one, and one who looks at many, one after the other. */

#include "fleet.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base.h"
#include "base/clock.h"

#define STREAMS_PER_CLIENT 250
#define CLIENTS_MAX        40
#define WITHIN_MS          60000

static int failed(const char *what, const VmafxErrInfo *info)
{
    fprintf(stderr, "bench-fleet: %s: %s\n", what, info->message);
    return 1;
}

static int submit(VmafxClient *client, FleetSpec *spec, char ret_id[64], char ret_trace[40])
{
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *answer = NULL;
    Vmafx__V1__SubmitJobRequest request = VMAFX__V1__SUBMIT_JOB_REQUEST__INIT;
    VmafxErrInfo info = { 0 };

    request.job = &spec->spec;
    if (vmafx_client_call(client, VMAFX_CALL_SUBMIT_JOB, &request.base, &answer, &info))
        return failed("submit", &info);
    const Vmafx__V1__SubmitJobResponse *response = vmafx_message_get(answer);
    if (!response->job)
        return failed("submit", &(VmafxErrInfo){ .message = "there is no job in the answer" });
    snprintf(ret_id, 64, "%s", response->job->id);
    snprintf(ret_trace, 40, "%s", response->job->trace_id);
    return 0;
}

/* ---- many who look at one ---- */

typedef struct Watch {
    VmafxClient *clients[CLIENTS_MAX];
    VmafxClientReading **readings;
    int n;
} Watch;

static void watch_done(Watch *w)
{
    for (int i = 0; w->readings && i < w->n; i++)
        if (w->readings[i])
            vmafx_client_read_close(&w->readings[i]);
    for (int i = 0; i < CLIENTS_MAX; i++)
        vmafx_client_close(&w->clients[i]);
    free(w->readings);
}

static int next(VmafxClientReading *reading, VmafxMessage **ret)
{
    VmafxErrInfo info = { 0 };

    if (vmafx_client_read_next(reading, WITHIN_MS, ret, &info))
        return failed("watch", &info);
    return *ret ? 0 : failed("watch", &(VmafxErrInfo){ .message = "the stream has ended early" });
}

/* Until the end of the job has been read. */
static int read_end(VmafxClientReading *reading)
{
    for (;;) {
        VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
        if (next(reading, &message))
            return 1;
        const Vmafx__V1__WatchJobResponse *response = vmafx_message_get(message);
        if (response->event && response->event->kind == VMAFX__V1__EVENT_KIND__EVENT_KIND_ENDED)
            return 0;
    }
}

static int open_streams(Watch *w, const char *address, char *id)
{
    Vmafx__V1__WatchJobRequest request = VMAFX__V1__WATCH_JOB_REQUEST__INIT;
    VmafxErrInfo info = { 0 };

    request.id = id;
    for (int i = 0; i < w->n; i++) {
        VmafxClient **client = &w->clients[i / STREAMS_PER_CLIENT];
        if (!*client && !(*client = fleet_client(address)))
            return 1;
        if (vmafx_client_read(*client, VMAFX_CALL_WATCH_JOB, &request.base, &w->readings[i], &info))
            return failed("watch", &info);
    }
    for (int i = 0; i < w->n; i++) {
        VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
        if (next(w->readings[i], &message))
            return 1;
    }
    return 0;
}

int fleet_watch(const char *address, int n)
{
    VMAFX_AUTO(vmafx_client_close) VmafxClient *client = fleet_client(address);
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *answer = NULL;
    VMAFX_AUTO(watch_done) Watch w = { .readings = calloc((size_t)n, sizeof(VmafxClientReading *)), .n = n };
    Vmafx__V1__CancelJobRequest cancel = VMAFX__V1__CANCEL_JOB_REQUEST__INIT;
    FleetSpec spec;
    VmafxErrInfo info = { 0 };
    char id[64], trace[40];

    fleet_spec_init(&spec, NULL, NULL);
    if (!client || !w.readings || submit(client, &spec, id, trace))
        return 1;
    uint64_t start = vmafx_monotonic_ns();
    if (open_streams(&w, address, id))
        return 1;
    uint64_t opened = vmafx_monotonic_ns();

    cancel.id = id;
    if (vmafx_client_call(client, VMAFX_CALL_CANCEL_JOB, &cancel.base, &answer, &info))
        return failed("cancel", &info);
    uint64_t answered = vmafx_monotonic_ns();
    for (int i = 0; i < n; i++)
        if (read_end(w.readings[i]))
            return 1;
    uint64_t seen = vmafx_monotonic_ns();
    printf("opened_ms %.3f\nanswered_ms %.3f\nall_saw_ms %.3f\n", (double)(opened - start) / 1e6,
           (double)(answered - opened) / 1e6, (double)(seen - opened) / 1e6);
    return 0;
}

/* ---- one who looks at many ---- */

static uint64_t wall_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int follow(VmafxClient *client, char *id, const char **ret_state)
{
    VmafxClientReading *reading = NULL;
    Vmafx__V1__WatchJobRequest request = VMAFX__V1__WATCH_JOB_REQUEST__INIT;
    VmafxErrInfo info = { 0 };
    int code = 1;

    *ret_state = "?";
    request.id = id;
    if (vmafx_client_read(client, VMAFX_CALL_WATCH_JOB, &request.base, &reading, &info))
        return failed("watch", &info);
    for (;;) {
        VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
        if (vmafx_client_read_next(reading, WITHIN_MS, &message, &info)) {
            failed("watch", &info);
            break;
        }
        if (!message) {
            code = 0;
            break;
        }
        const Vmafx__V1__WatchJobResponse *response = vmafx_message_get(message);
        if (response->job && response->job->state == VMAFX__V1__JOB_STATE__JOB_STATE_SUCCEEDED)
            *ret_state = "succeeded";
    }
    vmafx_client_read_close(&reading);
    return code;
}

int fleet_first(const char *address, int n, const char *reference, const char *distorted)
{
    VMAFX_AUTO(vmafx_client_close) VmafxClient *client = fleet_client(address);
    FleetSpec spec;

    if (!client)
        return 1;
    fleet_spec_init(&spec, reference, distorted);
    for (int i = 0; i < n; i++) {
        char id[64], trace[40];
        const char *state;
        uint64_t start = wall_ns();

        if (submit(client, &spec, id, trace) || follow(client, id, &state))
            return 1;
        printf("%s %" PRIu64 " %" PRIu64 " %s\n", trace, start, wall_ns() - start, state);
    }
    return 0;
}
