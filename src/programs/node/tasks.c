/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Attempts on their way: inputs opened by a thread of their own (a file system may hang, a download takes its time),
 * then the runner, then, where an encoded video is kept, another thread that puts it in place, then the spool. Spans
 * and log records of the scorer's children are handed on as they come.
 */

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/base.h"
#include "base/text.h"
#include "programs/node/node.h"
#include "programs/node/uploads.h"
#include "rpc/spec_check.h"
#include "signals/signals.h"

#define WALL_GRACE_MS 2000 /* the node's own clock comes first; the scorer's limit is the second line */

/* ---- The list ---- */

Task *task_find(Node *node, uint64_t tag)
{
    for (Task *task = node->tasks; task; task = task->next)
        if (task->tag == tag)
            return task;
    return NULL;
}

Task *task_of(Node *node, const VmafxAttemptRef *ref)
{
    for (Task *task = node->tasks; task; task = task->next)
        if (vmafx_attempt_same(&task->ref, ref))
            return task;
    return NULL;
}

void task_free(Task *task)
{
    Node *node = task->node;

    for (Task **at = &node->tasks; *at; at = &(*at)->next)
        if (*at == task) {
            *at = task->next;
            break;
        }
    vmafx_tracestate_unref(&task->span.state);
    vmafx_message_free(&task->assign);
    vmafx_kept_file_done(&task->kept);
    free(task);
}

Task *task_new(Node *node, const Vmafx__V1__Assign *assign, VmafxMessage **message)
{
    Task *task = calloc(1, sizeof *task);

    if (!task || !ref_from(assign->attempt, &task->ref)) {
        free(task);
        return NULL;
    }
    task->kept = (VmafxKeptFile)VMAFX_KEPT_FILE_NONE;
    task->node = node;
    task->tag = ++node->last_tag;
    task->spec = assign->spec;
    task->timeout_ms = assign->timeout_ms;
    snprintf(task->traceparent, sizeof task->traceparent, "%s", assign->traceparent);
    snprintf(task->tracestate, sizeof task->tracestate, "%s", assign->tracestate);
    if (vmafx_traceparent_parse(task->traceparent, strlen(task->traceparent), &task->span) && task->tracestate[0])
        task->span.state = vmafx_tracestate_parse(task->tracestate, strlen(task->tracestate));
    task->assign = VMAFX_TAKE(*message);
    task->next = node->tasks;
    node->tasks = task;
    return task;
}

void task_drop(Node *node, const VmafxAttemptRef *ref)
{
    Task *task = task_of(node, ref);

    spool_drop(node->spool, ref);
    if (task && !task->opening && !task->running)
        task_free(task);
}

/* ---- Opening inputs ---- */

/** What the thread needs; the task stays until it has spoken, and nothing of it changes but the flag. */
typedef struct Opening {
    Node *node;
    Task *task;
    uint64_t tag, deadline_ns;
    VmafxContext *context;
} Opening;

/** Whose fault it is that an input could not be opened. */
static VmafxFailure failure_of(const VmafxInput *input)
{
    return input->resource ? VMAFX_FAILURE_RESOURCE : VMAFX_FAILURE_INPUT;
}

static void describe(VmafxSpan *span, const VmafxInput *input)
{
    if (input->fd >= 0 && input->size >= 0)
        vmafx_span_set_int(span, VMAFX_KEY_INPUT_SIZE, input->size);
    if (*input->host) {
        vmafx_span_set_str(span, VMAFX_KEY_SERVER_ADDRESS, input->host);
        vmafx_span_set_int(span, VMAFX_KEY_SERVER_PORT, input->port);
    }
    if (!input->fetched)
        return;
    vmafx_span_set_bool(span, VMAFX_KEY_INPUT_CACHED, input->cached);
    vmafx_span_set_int(span, VMAFX_KEY_INPUT_FETCHED_SIZE, input->fetched_bytes);
    if (*input->sha256)
        vmafx_span_set_str(span, VMAFX_KEY_INPUT_SHA256, input->sha256);
}

static void open_one(Opening *opening, const char *role, const Vmafx__V1__Input *given, int *fd, InboxItem *item)
{
    VmafxSpanOptions options = { .parent = opening->context,
                                 .attrs = VMAFX_ATTRS(VMAFX_ATTR_STR(VMAFX_KEY_INPUT_ROLE, role)) };
    VMAFX_AUTO(vmafx_span_end)
    VmafxSpan *span = vmafx_span_start_with(opening->node->tracer, VMAFX_SPAN_NAME_INPUT_OPEN, &options);
    VMAFX_AUTO(vmafx_span_detach) VmafxContextToken token = vmafx_span_attach(span);
    UploadsFrom from = { .node = opening->node, .attempt = opening->task->ref };
    VmafxInputSource source = { .fetch = uploads_fetch, .ctx = &from };
    VmafxInputWait wait = { .stop = &opening->task->stop, .deadline_ns = opening->deadline_ns, .source = &source };
    VmafxErrInfo info = { 0 };
    VmafxInput input;

    item->err = vmafx_inputs_get(opening->node->inputs, given ? given->uri : "", &wait, &input, &info);
    describe(span, &input);
    *fd = input.fd;
    if (!item->err)
        return;
    item->failure = failure_of(&input);
    item->may_pass = input.may_pass;
    snprintf(item->text, sizeof item->text, "%s", *info.message ? info.message : vmafx_err_text(item->err));
    size_t len = strlen(item->text);
    if (item->err == VMAFX_ERR_FORBIDDEN && given && !vmafx_uri_is_remote(given->uri))
        snprintf(item->text + len, sizeof item->text - len, "; `vmafx submit --upload` sends a file along");
    vmafx_span_set_str(span, VMAFX_KEY_ERROR_TYPE, vmafx_err_name(item->err));
    vmafx_span_set_status(span, VMAFX_STATUS_ERROR, vmafx_err_text(item->err));
}

/* The reference once more, with a position of its own, and the file for what is encoded. */
static void open_encode(Opening *opening, const Vmafx__V1__EncodeRecipe *recipe, InboxItem *item)
{
    Task *task = opening->task;
    VmafxErrInfo info = { 0 };

    item->fds[1] = vmafx_reopen(item->fds[0]);
    if (item->fds[1] < 0) {
        item->err = VMAFX_ERR_INPUT;
        item->failure = VMAFX_FAILURE_INPUT;
        snprintf(item->text, sizeof item->text,
                 "the reference cannot be read twice, as an encode does (%s): it has to be a file", strerror(errno));
        return;
    }
    if (!recipe->keep)
        return;
    item->err = keep_open(opening->node->config.keep, &task->ref, &task->kept, &info);
    if (!item->err)
        return;
    item->failure = item->err == VMAFX_ERR_ENCODER ? VMAFX_FAILURE_ENCODER : VMAFX_FAILURE_RESOURCE;
    item->may_pass = item->err != VMAFX_ERR_ENCODER;
    snprintf(item->text, sizeof item->text, "%s", *info.message ? info.message : vmafx_err_text(item->err));
}

static void *open_inputs(void *arg)
{
    Opening *opening = arg;
    InboxItem *item = inbox_item(INBOX_OPENED, opening->tag);

    if (item) { /* without memory the attempt times out; nothing better can be said then */
        open_one(opening, "reference", opening->task->spec->reference, &item->fds[0], item);
        if (!item->err && vmafx_spec_recipe(opening->task->spec))
            open_encode(opening, vmafx_spec_recipe(opening->task->spec), item);
        else if (!item->err)
            open_one(opening, "distorted", opening->task->spec->distorted, &item->fds[1], item);
        inbox_put(&opening->node->inbox, item);
    }
    Node *node = opening->node;
    vmafx_context_unref(&opening->context);
    free(opening);
    atomic_fetch_sub(&node->n_opening, 1);
    return NULL;
}

static VmafxErr start_opening(Task *task)
{
    Opening *opening = calloc(1, sizeof *opening);
    pthread_attr_t attr;
    pthread_t thread;

    if (!opening)
        return VMAFX_ERR_NOMEM;
    opening->node = task->node;
    opening->tag = task->tag;
    opening->task = task;
    opening->deadline_ns = task->deadline_ns;
    opening->context = vmafx_context_with_span(NULL, &task->span);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, (size_t)1 << 20); /* TLS, and whatever name services do */
    atomic_fetch_add(&task->node->n_opening, 1);
    bool failed = pthread_create(&thread, &attr, open_inputs, opening) != 0;
    pthread_attr_destroy(&attr);
    if (failed) {
        atomic_fetch_sub(&task->node->n_opening, 1);
        vmafx_context_unref(&opening->context);
        free(opening);
        return VMAFX_ERR_NOMEM;
    }
    task->opening = true;
    return VMAFX_OK;
}

/* ---- Ends ---- */

/** One line for whoever looks for a job by its id, with what leads from there to its trace. */
static void log_end(const Task *task, VmafxOutcome outcome, VmafxFailure failure, const char *text)
{
    VMAFX_AUTO(vmafx_context_unref) VmafxContext *context = vmafx_context_with_span(NULL, &task->span);
    char id[VMAFX_JOB_ID_TEXT];

    vmafx_job_id_text(&task->ref.job, id);
    VmafxContextToken token = vmafx_context_attach(context);
    if (failure)
        vmafx_log(task->node->config.log, VMAFX_INFO, "attempt ended", VMAFX_ATTR_STR(VMAFX_KEY_JOB_ID, id),
                  VMAFX_ATTR_INT(VMAFX_KEY_TASK_ATTEMPT, task->ref.attempt),
                  VMAFX_ATTR_STR(VMAFX_KEY_TASK_OUTCOME, vmafx_outcome_name(outcome)),
                  VMAFX_ATTR_STR(VMAFX_KEY_JOB_FAILURE_CLASS, vmafx_failure_name(failure)),
                  VMAFX_ATTR_STR(VMAFX_KEY_EXCEPTION_MESSAGE, text));
    else
        vmafx_log(task->node->config.log, VMAFX_INFO, "attempt ended", VMAFX_ATTR_STR(VMAFX_KEY_JOB_ID, id),
                  VMAFX_ATTR_INT(VMAFX_KEY_TASK_ATTEMPT, task->ref.attempt),
                  VMAFX_ATTR_STR(VMAFX_KEY_TASK_OUTCOME, vmafx_outcome_name(outcome)));
    vmafx_context_detach(token);
}

/** Into the spool; what cannot be spooled is reported without its result. */
static void end(Task *task, VmafxOutcome outcome, VmafxFailure failure, bool may_pass, const char *text,
                const uint8_t *result, size_t result_len)
{
    Node *node = task->node;
    Vmafx__V1__TaskEnd message = VMAFX__V1__TASK_END__INIT;
    VmafxOutcome reported = outcome;
    char said[VMAFX_JOB_MESSAGE_MAX];
    VmafxErrInfo info = { 0 };
    VmafxErr err = vmafx_holdings_ended(&node->holdings, &task->ref, outcome, &reported);

    if (err || reported != VMAFX_OUTCOME_SUCCEEDED)
        keep_remove(node->config.keep, &task->ref);
    if (err) { /* of no use any more */
        task_free(task);
        return;
    }
    message.outcome = (Vmafx__V1__AttemptOutcome)reported;
    message.failure_class = (Vmafx__V1__FailureClass)(reported == outcome                 ? failure
                                                      : reported == VMAFX_OUTCOME_TIMEOUT ? VMAFX_FAILURE_TIMEOUT
                                                                                          : VMAFX_FAILURE_NONE);
    message.may_pass = may_pass && reported == outcome;
    vmafx_text_copy(said, sizeof said, reported == VMAFX_OUTCOME_TIMEOUT ? "the attempt's time is up" : text);
    message.message = said;
    log_end(task, reported == VMAFX_OUTCOME_NONE ? outcome : reported, (VmafxFailure)message.failure_class, said);
    if (reported != VMAFX_OUTCOME_HANDED_BACK && reported != VMAFX_OUTCOME_NONE)
        err = spool_put(node->spool, &task->ref, &message, reported == outcome ? result : NULL,
                        reported == outcome ? result_len : 0, &info);
    if (err) {
        vmafx_log(node->config.log, VMAFX_ERROR, "the end of an attempt cannot be spooled",
                  VMAFX_ATTR_STR(VMAFX_KEY_EXCEPTION_MESSAGE, info.message));
        /* the next take from the spool finds nothing and reports a failure of this node, which is tried again */
    }
    task_free(task);
}

static void fail(Task *task, VmafxFailure failure, bool may_pass, const char *text)
{
    end(task, VMAFX_OUTCOME_FAILED, failure, may_pass, text, NULL, 0);
}

/* ---- The runner's thread ---- */

/** Spans and records need the attempt's context, which lives in the task; so does the task until its end was taken. */
static void on_span(void *ctx, uint64_t tag, const Vmafx__Scorer__V1__SpanRecord *span)
{
    Task *task = ctx;

    vmafx_run_span_emit(task->node->tracer, &task->span, span);
}

static void on_log(void *ctx, uint64_t tag, const Vmafx__Scorer__V1__LogRecord *record)
{
    Task *task = ctx;

    vmafx_run_log_emit(task->node->config.log, &task->span, record);
}

static void on_progress(void *ctx, uint64_t tag, const Vmafx__Scorer__V1__ChildProgress *progress)
{
    InboxItem *item = inbox_item(INBOX_PROGRESS, tag);

    if (!item)
        return;
    item->frames = progress->frames;
    item->frames_total = progress->frames_total;
    item->frame_rate = progress->frame_rate;
    inbox_put(&((Task *)ctx)->node->inbox, item);
}

static VmafxErr pack_result(const Node *node, const VmafxRunEnd *run_end, const char *kept, uint8_t **ret,
                            size_t *ret_len)
{
    Vmafx__V1__StoredResult stored = VMAFX__V1__STORED_RESULT__INIT;
    Vmafx__V1__Result summary = *run_end->result; /* a copy, to add what only we know */
    Vmafx__V1__EncodeFacts encode;

    summary.node = (char *)node->config.name;
    if (kept && summary.encode) {
        encode = *summary.encode;
        encode.kept = (char *)(uintptr_t)kept;
        summary.encode = &encode;
    }
    stored.summary = &summary;
    stored.frames = (ProtobufCBinaryData){ run_end->frames_len, (uint8_t *)run_end->frames };
    return vmafx_message_pack(&stored.base, ret, ret_len);
}

static void fail_item(InboxItem *item, VmafxFailure failure, const char *text)
{
    item->outcome = VMAFX_OUTCOME_FAILED;
    item->failure = failure;
    snprintf(item->text, sizeof item->text, "%s", text);
}

/* ---- What was encoded is put in place: bringing it to disk takes its time ---- */

typedef struct Keeping {
    Task *task; /* stays until the item has been taken */
    InboxItem *item;
} Keeping;

static void keep(const Keeping *keeping)
{
    VmafxErrInfo info = { 0 };

    if (vmafx_kept_file_commit(&keeping->task->kept, &info))
        fail_item(keeping->item, VMAFX_FAILURE_RESOURCE, info.message);
    inbox_put(&keeping->task->node->inbox, keeping->item);
}

static void *keep_in_thread(void *arg)
{
    Keeping *keeping = arg;
    Node *node = keeping->task->node;

    keep(keeping);
    free(keeping);
    atomic_fetch_sub(&node->n_opening, 1);
    return NULL;
}

static void start_keeping(Task *task, InboxItem *item)
{
    Keeping *keeping = malloc(sizeof *keeping);
    pthread_attr_t attr;
    pthread_t thread;

    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    atomic_fetch_add(&task->node->n_opening, 1);
    if (keeping)
        *keeping = (Keeping){ task, item };
    if (!keeping || pthread_create(&thread, &attr, keep_in_thread, keeping)) {
        atomic_fetch_sub(&task->node->n_opening, 1);
        free(keeping);
        keep(&(const Keeping){ task, item }); /* in the runner's thread: the others wait for once */
    }
    pthread_attr_destroy(&attr);
}

static void on_ended(void *ctx, uint64_t tag, const VmafxRunEnd *run_end)
{
    Task *task = ctx;
    InboxItem *item = inbox_item(INBOX_ENDED, tag);

    vmafx_run_measure(&task->span, run_end, false); /* the controller keeps the result */
    if (!item)
        return; /* no memory: the attempt's timeout ends it */
    item->outcome = (VmafxOutcome)run_end->outcome;
    item->failure = (VmafxFailure)run_end->failure;
    snprintf(item->text, sizeof item->text, "%s", run_end->message);
    if (item->failure == VMAFX_FAILURE_ENCODER)
        item->may_pass = task->untried; /* another node may have what this one turned out to lack */
    bool keeps = task->kept.fd >= 0 && item->outcome == VMAFX_OUTCOME_SUCCEEDED;
    if (run_end->result &&
        pack_result(task->node, run_end, keeps ? task->kept.path : NULL, &item->result, &item->result_len))
        fail_item(item, VMAFX_FAILURE_RESOURCE, "the node had no memory for the result");
    else if (keeps) {
        start_keeping(task, item);
        return;
    }
    inbox_put(&task->node->inbox, item);
}

static void run(Task *task, int fds[2])
{
    Node *node = task->node;
    const Vmafx__V1__Input *distorted = vmafx_spec_distorted(task->spec);
    char names[2][256]; /* what the result says of where they came from: nothing secret */
    VmafxEncoderSet encoders;
    VmafxErrInfo info = { 0 };

    task->untried = !vmafx_runner_encoders(node->runner, &encoders);
    vmafx_uri_name(task->spec->reference->uri, names[0], sizeof names[0]);
    vmafx_uri_name(distorted ? distorted->uri : task->spec->reference->uri, names[1], sizeof names[1]);
    VmafxErr err = vmafx_runner_run(
        node->runner,
        &(VmafxRunTask){
            .tag = task->tag,
            .spec = task->spec,
            .fds = { fds[0], fds[1] },
            .keep_fd = task->kept.fd,
            .keep_bytes = task->kept.fd >= 0 ? node->config.keep_bytes_max : 0,
            .names = { names[0], names[1] },
            .threads = node->config.threads,
            .traceparent = task->traceparent[0] ? task->traceparent : NULL,
            .tracestate = task->tracestate[0] ? task->tracestate : NULL,
            .limits = { .address_space_bytes = node->config.task_memory_bytes,
                        .wall_ms = task->timeout_ms > 0 ? task->timeout_ms + WALL_GRACE_MS : 0 },
            .events = { .progress = on_progress, .span = on_span, .log = on_log, .ended = on_ended, .ctx = task },
        },
        &info);

    fds[0] = fds[1] = -1;
    if (err)
        fail(task, err == VMAFX_ERR_LIMIT ? VMAFX_FAILURE_INTERNAL : VMAFX_FAILURE_NODE, true,
             *info.message ? info.message : vmafx_err_text(err));
    else
        task->running = true;
}

/* ---- The loop's side ---- */

void task_start(Task *task, uint64_t now)
{
    task->deadline_ns = task->timeout_ms > 0 ? now + (uint64_t)task->timeout_ms * 1000000u : 0;
    if (!task->spec->reference || (!vmafx_spec_distorted(task->spec) && !vmafx_spec_recipe(task->spec)))
        fail(task, VMAFX_FAILURE_INTERNAL, false, "the job names no two videos, and no way to make one of the other");
    else if (start_opening(task))
        fail(task, VMAFX_FAILURE_RESOURCE, true, "the node could not start a thread");
}

void task_opened(Task *task, InboxItem *item, uint64_t now)
{
    task->opening = false;
    if (atomic_load(&task->stop))
        end(task, VMAFX_OUTCOME_CANCELLED, VMAFX_FAILURE_NONE, false, "", NULL, 0);
    else if (item->err)
        fail(task, item->failure, item->may_pass, item->text);
    else
        run(task, item->fds);
}

void task_stop(Task *task)
{
    atomic_store(&task->stop, true);
    if (task->running)
        vmafx_runner_stop_task(task->node->runner, task->tag);
    else if (!task->opening)
        end(task, VMAFX_OUTCOME_CANCELLED, VMAFX_FAILURE_NONE, false, "", NULL, 0);
}

void task_ended(Task *task, InboxItem *item)
{
    task->running = false;
    end(task, item->outcome, item->failure, item->may_pass, item->text, item->result, item->result_len);
}
