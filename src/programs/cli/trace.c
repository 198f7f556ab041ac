/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * `vmafx trace`: the life of a job as a waterfall. Where the receiver of `vmafx dev` answers, with the spans of
 * everyone who took part; else, or where a span has not come (yet), from the controller's own events.
 */

#include <ctype.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "programs/cli/remote.h"
#include "programs/cli/waterfall.h"
#include "rpc/client.h"

#define SOURCE_DEFAULT    "127.0.0.1:4317" /* where `vmafx dev` listens */
#define SOURCE_NONE       "none"
#define SOURCE_TIMEOUT_MS 3000
#define PAGES_MAX         64
#define SPANS_MAX         10000
#define EVENT_ROWS_MAX    1024
#define ROWS_MAX          400 /* without --all */
#define CHILDREN_MAX      40

enum { TRACE_SOURCE = 1, TRACE_ALL, TRACE_ATTRIBUTES };

static const CliOption trace_options[] = {
    { TRACE_SOURCE, 's', "source", "ADDRESS",
      "The OTLP port of `vmafx dev`, for the spans of nodes and scorers; VMAFX_TRACE_SOURCE, else " SOURCE_DEFAULT
      ". 'none': draw the controller's events.",
      SOURCE_NONE },
    { TRACE_ALL, 0, "all", NULL, "Every span, however many there are.", NULL },
    { TRACE_ATTRIBUTES, 'a', "attributes", NULL, "What each span carries, below it.", NULL },
    REMOTE_OPTIONS,
    { 0 },
};

/* Spans from both sources. Texts live in the pages, in the events' answer, or here. */
typedef struct Trace {
    Remote remote;
    const char *source;
    bool all, attributes;

    const char *job; /* NULL: a trace id was given */
    char trace_id[33];
    VmafxMessage *events;
    VmafxMessage *pages[PAGES_MAX];
    size_t n_pages;
    int64_t dropped; /* beyond the receiver's limit */

    WaterfallSpan *spans;
    size_t n, n_received;
    WaterfallAttribute *attribute_room;
    WaterfallEvent *event_room;
    WaterfallLink *link_room;
    char (*labels)[192]; /* of rows made from events */
    size_t n_labels;
} Trace;

static void trace_done(Trace *t)
{
    for (size_t i = 0; i < t->n_pages; i++)
        vmafx_message_free(&t->pages[i]);
    vmafx_message_free(&t->events);
    free(t->spans);
    free(t->attribute_room);
    free(t->event_room);
    free(t->link_room);
    free(t->labels);
    remote_done(&t->remote);
}

static uint64_t id_of(ProtobufCBinaryData bytes)
{
    uint64_t id = 0;

    for (size_t i = 0; bytes.len == 8 && i < 8; i++)
        id = id << 8 | bytes.data[i];
    return id;
}

/* ---- the receiver's spans ---- */

static VmafxErr get_page(VmafxRpcChannel *channel, const uint8_t trace_id[16], int64_t start, VmafxMessage **ret,
                         VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_free_p) uint8_t *request_bytes = NULL, *answer = NULL;
    Vmafx__V1__GetTraceRequest request = VMAFX__V1__GET_TRACE_REQUEST__INIT;
    size_t request_len, len;

    request.trace_id = (ProtobufCBinaryData){ 16, (uint8_t *)trace_id };
    request.start = start;
    VmafxErr err = vmafx_message_pack(&request.base, &request_bytes, &request_len);
    if (!err)
        err = vmafx_rpc_unary(channel, "/vmafx.v1.Traces/GetTrace", request_bytes, request_len, SOURCE_TIMEOUT_MS,
                              &answer, &len, reterr);
    return err ? err : vmafx_message_unpack(&vmafx__v1__get_trace_response__descriptor, answer, len, 0, ret, reterr);
}

static VmafxErr get_pages(Trace *t, VmafxRpcChannel *channel, VmafxErrInfo *reterr)
{
    uint8_t trace_id[16];

    for (size_t i = 0; i < sizeof trace_id; i++)
        sscanf(t->trace_id + 2 * i, "%2hhx", &trace_id[i]);
    for (size_t got = 0; t->n_pages < PAGES_MAX && got < SPANS_MAX;) {
        VMAFX_AUTO(vmafx_message_free) VmafxMessage *page = NULL;
        VmafxErr err = get_page(channel, trace_id, (int64_t)got, &page, reterr);
        if (err)
            return err;
        const Vmafx__V1__GetTraceResponse *response = vmafx_message_get(page);
        t->dropped = response->dropped;
        if (!response->n_spans)
            break;
        got += response->n_spans;
        t->n_received += response->n_spans;
        t->pages[t->n_pages++] = VMAFX_TAKE(page);
    }
    return VMAFX_OK;
}

/** What the receiver has; nothing when it is not there, which only who named it is told. */
static void receive(Trace *t)
{
    VMAFX_AUTO(vmafx_rpc_channel_close) VmafxRpcChannel *channel = NULL;
    const char *set = t->source ? t->source : vmafx_config_get(t->remote.settings, "VMAFX_TRACE_SOURCE", NULL);
    const char *source = set ? set : SOURCE_DEFAULT;
    VmafxErrInfo info = { 0 };

    if (!strcmp(source, SOURCE_NONE))
        return;
    VmafxErr err = vmafx_rpc_channel_open(&(VmafxRpcChannelConfig){ .target = source, .message_max_bytes = 16 << 20 },
                                          &channel, &info);
    if (!err)
        err = get_pages(t, channel, &info);
    if (err == VMAFX_ERR_NOT_FOUND && !t->job)
        fprintf(stderr, "vmafx trace: the receiver at %s has no trace %s, or no longer\n", source, t->trace_id);
    else if (err && err != VMAFX_ERR_NOT_FOUND && (set || !t->job))
        fprintf(stderr, "vmafx trace: no spans from %s (%s)%s\n", source,
                *info.message ? info.message : vmafx_err_text(err),
                t->job ? "; drawn from the controller's events" : "");
}

/* How much of the rooms is needed, or taken. */
typedef struct Sizes {
    size_t attributes, events, links;
} Sizes;

static const WaterfallAttribute *take_attributes(Trace *t, Sizes *taken, Vmafx__V1__TraceAttribute **list, size_t n)
{
    WaterfallAttribute *first = t->attribute_room + taken->attributes;

    for (size_t i = 0; i < n; i++)
        t->attribute_room[taken->attributes++] = (WaterfallAttribute){ list[i]->key, list[i]->value };
    return first;
}

static void take_events_and_links(Trace *t, Sizes *taken, const Vmafx__V1__TraceSpan *s, WaterfallSpan *span)
{
    span->events = t->event_room + taken->events;
    span->n_events = s->n_events;
    for (size_t i = 0; i < s->n_events; i++) {
        const Vmafx__V1__TraceEvent *e = s->events[i];

        t->event_room[taken->events++] =
            (WaterfallEvent){ .name = e->name,
                              .time_ns = VMAFX_MAX(e->time_unix_ns, 0),
                              .attributes = take_attributes(t, taken, e->attributes, e->n_attributes),
                              .n_attributes = e->n_attributes };
    }
    span->links = t->link_room + taken->links;
    span->n_links = s->n_links;
    for (size_t i = 0; i < s->n_links; i++) {
        WaterfallLink *link = &t->link_room[taken->links++];

        link->id = id_of(s->links[i]->span_id);
        for (size_t k = 0; k < 16 && s->links[i]->trace_id.len == 16; k++)
            snprintf(link->trace_id + 2 * k, 3, "%02x", s->links[i]->trace_id.data[k]);
    }
}

static void add_received(Trace *t, const Vmafx__V1__GetTraceResponse *response, Sizes *taken)
{
    for (size_t i = 0; i < response->n_spans; i++) {
        const Vmafx__V1__TraceSpan *s = response->spans[i];
        WaterfallSpan *span = &t->spans[t->n++];

        *span = (WaterfallSpan){
            .id = id_of(s->span_id),
            .parent = id_of(s->parent_span_id),
            .name = s->name,
            .service = s->service,
            .message = s->status_message,
            .start_ns = VMAFX_MAX(s->start_unix_ns, 0),
            .end_ns = VMAFX_MAX(s->end_unix_ns, 1),
            .kind = (int)s->kind,
            .error = s->status == VMAFX__V1__TRACE_SPAN_STATUS__TRACE_SPAN_STATUS_ERROR,
            .attributes = take_attributes(t, taken, s->attributes, s->n_attributes),
            .n_attributes = s->n_attributes,
        };
        take_events_and_links(t, taken, s, span);
    }
}

static void measure(const Vmafx__V1__GetTraceResponse *response, Sizes *needed)
{
    for (size_t i = 0; i < response->n_spans; i++) {
        const Vmafx__V1__TraceSpan *s = response->spans[i];

        needed->attributes += s->n_attributes;
        needed->events += s->n_events;
        needed->links += s->n_links;
        for (size_t k = 0; k < s->n_events; k++)
            needed->attributes += s->events[k]->n_attributes;
    }
}

/* ---- rows from events ---- */

/** A row that no span of that id stands for; NULL when one does, or when there is no room. */
static WaterfallSpan *add_row(Trace *t, uint64_t id, uint64_t parent, const char *name, int64_t start_us)
{
    for (size_t i = 0; i < t->n_received; i++)
        if (t->spans[i].id == id)
            return NULL;
    if (t->n_labels == EVENT_ROWS_MAX)
        return NULL;
    char *label = t->labels[t->n_labels++];
    snprintf(label, sizeof t->labels[0], "%s", name);
    WaterfallSpan *row = &t->spans[t->n++];
    *row = (WaterfallSpan){ .id = id,
                            .parent = parent,
                            .name = label,
                            .service = "vmafx-controller",
                            .message = "",
                            .kind = 1,
                            .start_ns = start_us * 1000 };
    return row;
}

static void end_row(WaterfallSpan **row, int64_t end_us, const char *message, bool error)
{
    if (*row) {
        (*row)->end_ns = VMAFX_MAX(end_us * 1000, 1);
        (*row)->message = message;
        (*row)->error = error;
    }
    *row = NULL;
}

/** Stays in the queue have no id that anyone is told; they are drawn from events when no span of theirs has come. */
static bool has_queue_spans(const Trace *t)
{
    for (size_t i = 0; i < t->n_received; i++)
        if (!strcmp(t->spans[i].name, "vmafx.job.queue"))
            return true;
    return false;
}

static bool outcome_is_bad(const Vmafx__V1__Event *e)
{
    return e->outcome != VMAFX__V1__ATTEMPT_OUTCOME__ATTEMPT_OUTCOME_SUCCEEDED &&
           e->outcome != VMAFX__V1__ATTEMPT_OUTCOME__ATTEMPT_OUTCOME_HANDED_BACK;
}

static void add_events(Trace *t, const Vmafx__V1__GetJobEventsResponse *response)
{
    uint64_t root = id_of(response->job->job_span_id), made_up = 1; /* ids of ours; real ones are random */
    bool queue_spans = has_queue_spans(t);
    WaterfallSpan *job = NULL, *queue = NULL, *attempt = NULL;

    root = root ? root : made_up++;
    for (size_t i = 0; i < response->n_events; i++) {
        const Vmafx__V1__Event *e = response->events[i];
        uint64_t attempt_id = id_of(e->span_id);
        char name[128];

        switch (e->kind) {
        case VMAFX__V1__EVENT_KIND__EVENT_KIND_SUBMITTED:
            job = add_row(t, root, 0, "vmafx.job", e->time_unix_us);
            /* fall through */
        case VMAFX__V1__EVENT_KIND__EVENT_KIND_QUEUED:
            queue = queue_spans ? NULL : add_row(t, made_up++, root, "vmafx.job.queue", e->time_unix_us);
            break;
        case VMAFX__V1__EVENT_KIND__EVENT_KIND_LEASED:
            end_row(&queue, e->time_unix_us, "", false);
            snprintf(name, sizeof name, "vmafx.task.run %d on %.80s", e->attempt, e->node);
            attempt = add_row(t, attempt_id ? attempt_id : made_up++, root, name, e->time_unix_us);
            break;
        case VMAFX__V1__EVENT_KIND__EVENT_KIND_ATTEMPT_ENDED:
            end_row(&attempt, e->time_unix_us, e->message, outcome_is_bad(e));
            break;
        case VMAFX__V1__EVENT_KIND__EVENT_KIND_ENDED:
            end_row(&queue, e->time_unix_us, "", false);
            end_row(&job, e->time_unix_us, e->message, e->state == VMAFX__V1__JOB_STATE__JOB_STATE_FAILED);
            break;
        default:
            break;
        }
    }
}

/** All rows; false: no memory. */
static bool gather(Trace *t)
{
    Sizes needed = { 0 }, taken = { 0 };

    for (size_t p = 0; p < t->n_pages; p++)
        measure(vmafx_message_get(t->pages[p]), &needed);
    t->spans = calloc(t->n_received + EVENT_ROWS_MAX, sizeof *t->spans);
    t->attribute_room = calloc(needed.attributes + 1, sizeof *t->attribute_room);
    t->event_room = calloc(needed.events + 1, sizeof *t->event_room);
    t->link_room = calloc(needed.links + 1, sizeof *t->link_room);
    t->labels = calloc(EVENT_ROWS_MAX, sizeof *t->labels);
    if (!t->spans || !t->attribute_room || !t->event_room || !t->link_room || !t->labels)
        return false;
    for (size_t p = 0; p < t->n_pages; p++)
        add_received(t, vmafx_message_get(t->pages[p]), &taken);
    if (t->events)
        add_events(t, vmafx_message_get(t->events));
    return true;
}

/* ---- the command ---- */

/** VMAFX_TRACE_URL with the trace's id in the place of {trace_id}. */
static void print_link(const Trace *t)
{
    const char *url = vmafx_config_get(t->remote.settings, "VMAFX_TRACE_URL", NULL);
    const char *place = url ? strstr(url, "{trace_id}") : NULL;

    if (place)
        printf("\n%.*s%s%s\n", (int)(place - url), url, t->trace_id, place + strlen("{trace_id}"));
    else if (url)
        printf("\n%s%s\n", url, t->trace_id);
}

static int print_trace(Trace *t)
{
    VMAFX_AUTO(waterfall_free) Waterfall *waterfall = NULL;
    WaterfallStyle style = waterfall_style_for(STDOUT_FILENO);
    VmafxErr err = waterfall_new(t->spans, t->n, &waterfall);

    if (!err && t->remote.json)
        err = waterfall_json(waterfall, t->job, t->trace_id, stdout);
    if (err) {
        fprintf(stderr, "vmafx trace: cannot draw the trace: %s\n", vmafx_err_text(err));
        return err == VMAFX_ERR_IO ? EXIT_OUTPUT : EXIT_DEFECT;
    }
    if (t->remote.json)
        return EXIT_COMPLETE;
    style.attributes = t->attributes;
    style.rows_max = t->all ? 0 : ROWS_MAX;
    style.children_max = t->all ? 0 : CHILDREN_MAX;
    if (t->job)
        printf("job %s  trace %s\n\n", t->job, t->trace_id);
    else
        printf("trace %s\n\n", t->trace_id);
    waterfall_draw(waterfall, &style, stdout);
    if (t->dropped > 0)
        printf("\n%" PRId64 " more spans came than the receiver keeps of one trace\n", t->dropped);
    print_link(t);
    return EXIT_COMPLETE;
}

static bool is_trace_id(const char *text)
{
    size_t n = 0;

    while (isxdigit((unsigned char)text[n]))
        n++;
    return n == 32 && !text[n];
}

static bool trace_argument(void *ctx, int id, const char *value)
{
    Trace *t = ctx;

    if (id == TRACE_SOURCE)
        t->source = value;
    t->all |= id == TRACE_ALL;
    t->attributes |= id == TRACE_ATTRIBUTES;
    return true;
}

/** Asks the controller for the job's events, and which trace it is. */
static int ask_controller(Trace *t, const char *id)
{
    Vmafx__V1__GetJobEventsRequest request = VMAFX__V1__GET_JOB_EVENTS_REQUEST__INIT;

    request.id = (char *)id;
    int code = remote_call(&t->remote, VMAFX_CALL_GET_JOB_EVENTS, &request.base, &t->events);
    if (code)
        return code;
    const Vmafx__V1__GetJobEventsResponse *response = vmafx_message_get(t->events);
    if (!response->job || !is_trace_id(response->job->trace_id)) {
        fprintf(stderr, "vmafx trace: the controller knows the job but tells no trace of it\n");
        return EXIT_REMOTE;
    }
    t->job = response->job->id;
    snprintf(t->trace_id, sizeof t->trace_id, "%s", response->job->trace_id);
    return EXIT_COMPLETE;
}

static int run_trace(int argc, char **argv)
{
    VMAFX_AUTO(trace_done) Trace t = { 0 };
    const char *id;
    size_t n;
    int parsed = remote_words(&t.remote, &cli_trace, argc, argv, &id, 1, 1, &n, trace_argument, &t);

    if (parsed != CLI_END)
        return parsed == CLI_HELP ? EXIT_COMPLETE : EXIT_USAGE;
    if (!is_trace_id(id) && !remote_is_id(&cli_trace, id))
        return EXIT_USAGE;
    int code = remote_open(&t.remote);
    if (!code && is_trace_id(id))
        snprintf(t.trace_id, sizeof t.trace_id, "%s", id);
    else if (!code)
        code = ask_controller(&t, id);
    if (code)
        return code;
    receive(&t);
    if (!t.job && !t.n_received)
        return EXIT_REMOTE; /* receive said why */
    return gather(&t) ? print_trace(&t) : EXIT_DEFECT;
}

const CliCommand cli_trace = {
    .name = "trace",
    .summary = "draw the life of a job: queue, attempts, scoring, end",
    .usage = "ID [options]",
    .examples = "# where did the time go?\n"
                "vmafx trace 0192f0c1-7b1c-7d3e-8a55-3f1b2c4d5e6f\n"
                "# with what each span carries\n"
                "vmafx trace 0192f0c1-7b1c-7d3e-8a55-3f1b2c4d5e6f --attributes\n"
                "# another trace that `vmafx dev` has received\n"
                "vmafx trace 4bf92f3577b34da6a3ce929d0e0e4736\n",
    .notes =
        "With `vmafx dev` the spans of nodes and scorers are drawn too. Elsewhere it is drawn from the controller's "
        "own record, whatever became of the telemetry. With VMAFX_TRACE_URL set, such as "
        "http://localhost:16686/trace/{trace_id}, a link to the whole trace is printed below.",
    .options = trace_options,
    .run = run_trace,
};
