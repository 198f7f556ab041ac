/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * GET /v1/jobs/{id}/events: server-sent events as a follower. `id:` is the number of the event up to which the client
 * knows what happened; a browser sends it as Last-Event-ID when it comes back, and is told what came since. One that
 * comes back after the end gets 204, which tells it not to come again (WHATWG HTML, 9.2).
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/base.h"
#include "programs/controller/jobs.h"
#include "programs/controller/rest_internal.h"

#define QUEUE_MAX_BYTES ((size_t)4 << 20) /* a client that comes back after thousands of events has them wait */

typedef struct Listener {
    Follower follower; /* first */
    VmafxHttpEvents *events;
} Listener;

static void tell(Follower *follower, WatchNews *news)
{
    Listener *listener = (Listener *)follower;
    const char *text = watch_news_json(news);
    int64_t sequence = watch_news_sequence(news);
    char id[24];

    snprintf(id, sizeof id, "%" PRId64, sequence);
    if (text) /* a stream that is full is cut, and closed() will tell */
        VMAFX_IGNORE(vmafx_http_events_send(listener->events, sequence ? id : NULL, watch_news_kind(news), text));
    else
        vmafx_http_events_finish(listener->events); /* the client comes back with what it has */
}

static void end(Follower *follower, VmafxErr err, const char *why)
{
    vmafx_http_events_finish(((Listener *)follower)->events);
}

static size_t waiting(Follower *follower)
{
    return vmafx_http_events_waiting(((Listener *)follower)->events);
}

static const FollowerDoor events_door = { tell, end, waiting };

static void closed(void *ctx, VmafxHttpEvents *events)
{
    Listener *listener = ctx;

    watch_hub_leave(&listener->follower);
    vmafx_http_events_unref(&listener->events);
    free(listener);
}

/** −1: the client does not resume. */
static VmafxErr last_event(const VmafxHttpCall *call, int64_t *ret, VmafxErrInfo *reterr)
{
    const char *text = vmafx_http_call_header(call, "Last-Event-ID");

    *ret = -1;
    if (!text || !*text) /* empty: a client that has seen no id yet */
        return VMAFX_OK;
    errno = 0;
    *ret = strtoll(text, NULL, 10);
    if (errno || text[strspn(text, "0123456789")])
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "Last-Event-ID: '%.32s' is no id of an event here", text);
    return VMAFX_OK;
}

/** Has the client had everything there will ever be? */
static VmafxErr knows_all(const Rest *rest, const VmafxJob *job, int64_t after, bool *ret)
{
    VMAFX_AUTO(vmafx_stored_events_done) VmafxStoredEvents events = { 0 };

    *ret = false;
    if (after < 0 || !vmafx_job_has_ended(job))
        return VMAFX_OK;
    VmafxErr err = vmafx_store_events(rest->store, &job->id, after, 1, &events);
    *ret = !events.n;
    return err;
}

static VmafxErr follow(const Rest *rest, VmafxHttpCall *call, const Caller *caller, int64_t after, VmafxErrInfo *reterr)
{
    Listener *listener = calloc(1, sizeof *listener);

    if (!listener)
        return VMAFX_ERR_NOMEM;
    VmafxErr err = watch_hub_enter(rest->hub, &events_door, &listener->follower, reterr);
    if (err) {
        free(listener);
        return err;
    }
    err = vmafx_http_call_events(
        call, &(VmafxHttpEventsConfig){ .queue_max_bytes = QUEUE_MAX_BYTES, .closed = closed, .ctx = listener },
        &listener->events, reterr);
    if (err) {
        watch_hub_leave(&listener->follower);
        free(listener);
        return err;
    }
    /* From here on closed() frees it; that comes at the earliest when the handler has returned. */
    return watch_hub_join(&listener->follower, caller, vmafx_http_call_param(call, "id"), after, reterr);
}

VmafxErr rest_events(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    static const char *const types[] = { "text/event-stream" };
    const RestBinding *binding = ctx;
    const Rest *rest = binding->rest;
    VMAFX_AUTO(rest_caller_done) Caller caller = { 0 };
    VMAFX_AUTO(vmafx_stored_job_done) VmafxStoredJob stored = { 0 };
    int64_t after = -1;
    bool all = false;
    VmafxErr err = rest_check_query(binding->route, call, reterr);

    rest_caller(call, &caller);
    if (!err)
        err = rest_check_no_body(call, reterr);
    if (!err)
        err = last_event(call, &after, reterr);
    if (!err)
        err = job_read(rest->store, &caller, vmafx_http_call_param(call, "id"), &stored, reterr);
    if (!err)
        err = knows_all(rest, &stored.job, after, &all);
    if (err)
        return err;
    if (!rest_accept(vmafx_http_call_header(call, "Accept"), types, VMAFX_LEN(types)))
        return vmafx_http_answer_problem(answer, 406, "Accept: this route sends text/event-stream");
    if (all) {
        answer->status = 204;
        return VMAFX_OK;
    }
    if (!strcmp(vmafx_http_call_method(call), "HEAD")) {
        answer->content_type = types[0];
        return VMAFX_OK;
    }
    return follow(rest, call, &caller, after, reterr);
}
