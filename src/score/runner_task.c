/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* One task: its request, its pipe, and what its end was. */

#include "score/runner_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/text.h"
#include "infer/infer.h"
#include "rpc/spec_check.h"

#define GRACE_MS 10000 /* for the scorer to kill what is over its time */

static void close_p(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* ---- making one ---- */

static char *name_or_uri(const char *name, const Vmafx__V1__Input *input)
{
    return (char *)(uintptr_t)(name ? name : input && input->uri && *input->uri ? input->uri : "input");
}

static VmafxErr pack_start(RunnerTask *task, const VmafxRunTask *given, VmafxErrInfo *reterr)
{
    Vmafx__Scorer__V1__ScorerRequest request = VMAFX__SCORER__V1__SCORER_REQUEST__INIT;
    Vmafx__Scorer__V1__Start start = VMAFX__SCORER__V1__START__INIT;
    Vmafx__Scorer__V1__Limits limits = VMAFX__SCORER__V1__LIMITS__INIT;

    limits.address_space_bytes = given->limits.address_space_bytes;
    limits.cpu_seconds = given->limits.cpu_seconds;
    limits.wall_ms = given->limits.wall_ms;
    limits.pixels = given->limits.pixels;
    limits.keep_bytes = given->keep_bytes;
    start.tag = given->tag;
    start.spec = (Vmafx__V1__JobSpec *)(uintptr_t)given->spec;
    if (given->traceparent)
        start.traceparent = (char *)(uintptr_t)given->traceparent;
    if (given->tracestate)
        start.tracestate = (char *)(uintptr_t)given->tracestate;
    start.limits = &limits;
    start.threads = given->threads;
    start.reference_name = name_or_uri(given->names[0], given->spec->reference);
    start.distorted_name = name_or_uri(given->names[1], vmafx_spec_distorted(given->spec));
    start.nested = given->nested;
    start.frames_live = given->frames_live;
    request.kind_case = VMAFX__SCORER__V1__SCORER_REQUEST__KIND_START;
    request.start = &start;
    VmafxErr err = runner_pack_request(&request, &task->packet, &task->packet_len);
    return err ? vmafx_fail(reterr, err, "the request for the scorer: %s", vmafx_err_text(err)) : err;
}

static VmafxErr keep_file(RunnerTask *task, const VmafxRunTask *given, VmafxErrInfo *reterr)
{
    if (given->keep_bytes <= 0)
        return VMAFX_OK;
    task->fds[3] = fcntl(given->keep_fd, F_DUPFD_CLOEXEC, 0);
    return task->fds[3] < 0 ? vmafx_fail(reterr, VMAFX_ERR_IO, "cannot hand on the file to keep: %s", strerror(errno))
                            : VMAFX_OK;
}

static VmafxErr make_pipe(RunnerTask *task, VmafxErrInfo *reterr)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC))
        return vmafx_fail(reterr, VMAFX_ERR_IO, "cannot make a pipe for the scorer: %s", strerror(errno));
    task->pipe = ends[0];
    task->fds[2] = ends[1];
    if (fcntl(task->pipe, F_SETFL, O_NONBLOCK)) /* this end only: the child's waits while we are busy */
        return vmafx_fail(reterr, VMAFX_ERR_IO, "fcntl: %s", strerror(errno));
    return VMAFX_OK;
}

VmafxErr runner_task_new(const VmafxRunTask *given, size_t frames_max, RunnerTask **ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(runner_task_free) RunnerTask *task = calloc(1, sizeof *task);

    if (!task) {
        for (size_t i = 0; i < 2; i++)
            close(given->fds[i]);
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for a task");
    }
    *task = (RunnerTask){ .tag = given->tag,
                          .events = given->events,
                          .limits = given->limits,
                          .nested = given->nested,
                          .frames_live = given->frames_live,
                          .encodes = vmafx_spec_recipe(given->spec) != NULL,
                          .frames_max = frames_max,
                          .fds = { given->fds[0], given->fds[1], -1, -1 },
                          .pipe = -1,
                          .overdue_ns = UINT64_MAX };
    VmafxErr err = pack_start(task, given, reterr);
    if (!err)
        err = make_pipe(task, reterr);
    if (!err)
        err = keep_file(task, given, reterr);
    if (err)
        return err;
    *ret = VMAFX_TAKE(task);
    return VMAFX_OK;
}

void runner_task_free(RunnerTask **task)
{
    if (!*task)
        return;
    for (size_t i = 0; i < VMAFX_LEN((*task)->fds); i++)
        close_p(&(*task)->fds[i]);
    close_p(&(*task)->pipe);
    vmafx_child_reader_free(&(*task)->reader);
    free((*task)->packet);
    free(*task);
    *task = NULL;
}

/* ---- running ---- */

bool runner_task_is_started(const RunnerTask *task)
{
    return !task->packet;
}

static void on_begun(void *ctx, const Vmafx__Scorer__V1__Begun *begun)
{
    RunnerTask *task = ctx;

    if (task->events.begun)
        task->events.begun(task->events.ctx, task->tag, begun);
}

static void on_progress(void *ctx, const Vmafx__Scorer__V1__ChildProgress *progress)
{
    RunnerTask *task = ctx;

    if (task->events.progress)
        task->events.progress(task->events.ctx, task->tag, progress);
}

static void on_span(void *ctx, const Vmafx__Scorer__V1__SpanRecord *span)
{
    RunnerTask *task = ctx;

    if (task->events.span)
        task->events.span(task->events.ctx, task->tag, span);
}

static void on_log(void *ctx, const Vmafx__Scorer__V1__LogRecord *record)
{
    RunnerTask *task = ctx;

    if (task->events.log)
        task->events.log(task->events.ctx, task->tag, record);
}

static void on_inferences(void *ctx, const Vmafx__Scorer__V1__Inferences *inferences)
{
    vmafx_infer_measure(inferences->model, inferences->seconds, inferences->n_seconds);
}

static void on_live_series(void *ctx, const Vmafx__V1__SeriesNames *names)
{
    RunnerTask *task = ctx;

    if (task->events.series)
        task->events.series(task->events.ctx, task->tag, names);
}

static void on_live_frames(void *ctx, const Vmafx__V1__Frames *frames)
{
    RunnerTask *task = ctx;

    if (task->events.frames)
        task->events.frames(task->events.ctx, task->tag, frames);
}

static void spoil(RunnerTask *task, VmafxErr err, const char *why)
{
    task->spoilt = err;
    VMAFX_IGNORE(err == VMAFX_ERR_NOMEM
                     ? vmafx_fail(&task->wrong, err, "no memory to take the result of the scorer child")
                     : vmafx_fail(&task->wrong, err, "the scorer child sent something malformed: %s", why));
    close_p(&task->pipe);
}

void runner_task_started(RunnerTask *task, uint64_t now_ns)
{
    const VmafxChildReaderSettings settings = {
        .frames_max = task->frames_max,
        .nested = task->nested,
        .frames_live = task->frames_live,
        .encodes = task->encodes,
        .started_unix_ns = vmafx_wall_ns(),
        .events = { .begun = on_begun,
                    .progress = on_progress,
                    .span = on_span,
                    .log = on_log,
                    .inferences = on_inferences,
                    .live_series = on_live_series,
                    .live_frames = on_live_frames,
                    .ctx = task },
    };

    vmafx_free_p(&task->packet);
    for (size_t i = 0; i < VMAFX_LEN(task->fds); i++)
        close_p(&task->fds[i]);
    if (task->limits.wall_ms > 0)
        task->overdue_ns = now_ns + (uint64_t)(task->limits.wall_ms + GRACE_MS) * 1000000u;
    if (vmafx_child_reader_new(&settings, &task->reader))
        spoil(task, VMAFX_ERR_NOMEM, "");
}

void runner_task_read(RunnerTask *task, uint8_t *buffer, size_t size, size_t most)
{
    for (size_t had = 0; task->pipe >= 0 && had < most;) {
        VmafxErrInfo info = { 0 };
        ssize_t n = read(task->pipe, buffer, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            close_p(&task->pipe);
            return;
        }
        had += (size_t)n;
        VmafxErr err = vmafx_child_reader_feed(task->reader, buffer, (size_t)n, vmafx_wall_ns(), &info);
        if (err)
            spoil(task, err, info.message);
    }
}

/* ---- the end ---- */

static void failed(VmafxRunEnd *ret, Vmafx__V1__FailureClass class, VmafxErrInfo *message, const char *fmt, ...)
    VMAFX_PRINTF(4, 5);

static void failed(VmafxRunEnd *ret, Vmafx__V1__FailureClass class, VmafxErrInfo *message, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(message->message, sizeof message->message, fmt, args);
    va_end(args);
    vmafx_text_mend(message->message);
    ret->outcome = class == VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_TIMEOUT
                       ? VMAFX__V1__ATTEMPT_OUTCOME__ATTEMPT_OUTCOME_TIMEOUT
                       : VMAFX__V1__ATTEMPT_OUTCOME__ATTEMPT_OUTCOME_FAILED;
    ret->failure = class;
    ret->message = message->message;
}

/* Killed by a signal that nobody here sent. */
static void died(const RunnerTask *task, int number, VmafxErrInfo *message, VmafxRunEnd *ret)
{
    switch (number) {
    case SIGXCPU:
        failed(ret, VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_RESOURCE, message,
               "the scoring used up its %lld s of CPU time", (long long)task->limits.cpu_seconds);
        return;
    case SIGKILL: /* also what the hard limit of CPU time sends */
        failed(ret, VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_RESOURCE, message,
               "the scoring was killed from outside, most likely by the kernel because memory ran out");
        return;
    case SIGSYS:
        failed(
            ret, VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_INTERNAL, message,
            "the sandbox ended the scoring because it tried a system call that is forbidden: an input may be made to "
            "attack decoders");
        return;
    default:
        failed(ret, VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_INTERNAL, message, "the scoring crashed: signal %d (%s)",
               number, strsignal(number));
    }
}

/* What the child said last, or, if it said nothing, how it left. */
static void told(const RunnerTask *task, const Vmafx__Scorer__V1__Exited *exited, const char *scorer_end,
                 VmafxErrInfo *message, VmafxRunEnd *ret)
{
    const VmafxChildEnd *end = task->reader ? vmafx_child_reader_end(task->reader) : NULL;

    if (end && end->result) {
        ret->outcome = VMAFX__V1__ATTEMPT_OUTCOME__ATTEMPT_OUTCOME_SUCCEEDED;
        ret->result = end->result;
    } else if (end) {
        ret->outcome = VMAFX__V1__ATTEMPT_OUTCOME__ATTEMPT_OUTCOME_FAILED;
        ret->failure = end->failure->failure_class;
        ret->message = end->failure->message;
        ret->result = end->failure->partial;
    } else if (!exited) {
        failed(ret, VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_NODE, message, "%s", scorer_end);
    } else if (exited->signal) {
        died(task, exited->signal, message, ret);
    } else {
        failed(ret, VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_INTERNAL, message,
               "the scoring ended with exit code %d and without a result", exited->exit_code);
    }
    if (ret->result) {
        ret->frames = end->frames;
        ret->frames_len = end->frames_len;
    }
}

void runner_task_end(const RunnerTask *task, const Vmafx__Scorer__V1__Exited *exited, const char *scorer_end,
                     VmafxErrInfo *message, VmafxRunEnd *ret)
{
    *ret = (VmafxRunEnd){ .message = "" };
    if (task->spoilt) {
        failed(ret,
               task->spoilt == VMAFX_ERR_NOMEM ? VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_RESOURCE
                                               : VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_INTERNAL,
               message, "%s", task->wrong.message);
        return;
    }
    told(task, exited, scorer_end, message, ret);
    if (ret->outcome == VMAFX__V1__ATTEMPT_OUTCOME__ATTEMPT_OUTCOME_SUCCEEDED ||
        (task->reader && vmafx_child_reader_end(task->reader)))
        return; /* it was done before whoever wanted it gone */
    if (exited && exited->timed_out)
        failed(ret, VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_TIMEOUT, message,
               "the scoring was not done within its %lld ms", (long long)task->limits.wall_ms);
    else if (task->stop_sent)
        *ret = (VmafxRunEnd){ .outcome = VMAFX__V1__ATTEMPT_OUTCOME__ATTEMPT_OUTCOME_CANCELLED, .message = "stopped" };
}
