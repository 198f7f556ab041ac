/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * One scoring. Whatever goes wrong is told as a ChildFailure, the last message then; only a death by signal leaves
 * none, and the scorer tells of that.
 */

#include "programs/scorer/child.h"

#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "base/text.h"
#include "media/decoders.h"
#include "otel/api/log.h"
#include "programs/scorer/child_telemetry.h"
#include "rpc/spec_check.h"
#include "score/spec.h"
#include "score/summary.h"
#include "signals/signals.h"

#define FRAME_BLOCK         ((size_t)512 << 10)
#define MESSAGE_MAX         2000
#define PROGRESS_INTERVAL_S 0.25
#define LIVE_ROWS           64                 /* frames of one live message, */
#define LIVE_VALUES         ((size_t)64 << 10) /* and values: half a MiB */

enum { FD_REFERENCE = 3, FD_DISTORTED, FD_PIPE, FD_KEEP };

#define KEEP_SLACK (1 << 20) /* the file is refused with a sentence before the kernel would cut it off */

typedef Vmafx__V1__FailureClass Class;

typedef struct Child {
    const ChildTask *task;
    ChildPipe pipe;
    ChildTelemetry telemetry;
    const char *layers[SANDBOX_LAYERS];
    size_t n_layers;
    double last_progress_s; /* negative: none yet */
    bool named;             /* the live series were sent */
    VmafxPairSpec spec;
    VmafxResult result;
} Child;

/* ---- what is sent ---- */

static _Noreturn void fail(Child *child, Class class, const Vmafx__V1__Result *partial, const char *fmt, ...)
    VMAFX_PRINTF(4, 5);

static _Noreturn void fail(Child *child, Class class, const Vmafx__V1__Result *partial, const char *fmt, ...)
{
    Vmafx__Scorer__V1__ChildMessage message = VMAFX__SCORER__V1__CHILD_MESSAGE__INIT;
    Vmafx__Scorer__V1__ChildFailure failure = VMAFX__SCORER__V1__CHILD_FAILURE__INIT;
    char text[MESSAGE_MAX];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    vmafx_text_clean(text);
    failure.failure_class = class;
    failure.message = text;
    failure.partial = (Vmafx__V1__Result *)(uintptr_t)partial;
    message.kind_case = VMAFX__SCORER__V1__CHILD_MESSAGE__KIND_FAILURE;
    message.failure = &failure;
    VMAFX_IGNORE(child_send(&child->pipe, &message)); /* the partial result was checked for its size */
    _exit(0);
}

static void send_begun(Child *child)
{
    Vmafx__Scorer__V1__ChildMessage message = VMAFX__SCORER__V1__CHILD_MESSAGE__INIT;
    Vmafx__Scorer__V1__Begun begun = VMAFX__SCORER__V1__BEGUN__INIT;

    begun.sandbox_layers = (char **)(uintptr_t)child->layers;
    begun.n_sandbox_layers = child->n_layers;
    message.kind_case = VMAFX__SCORER__V1__CHILD_MESSAGE__KIND_BEGUN;
    message.begun = &begun;
    VMAFX_IGNORE(child_send(&child->pipe, &message)); /* small */
}

static bool on_progress(void *ctx, const VmafxProgress *p)
{
    Child *child = ctx;
    Vmafx__Scorer__V1__ChildMessage message = VMAFX__SCORER__V1__CHILD_MESSAGE__INIT;
    Vmafx__Scorer__V1__ChildProgress progress = VMAFX__SCORER__V1__CHILD_PROGRESS__INIT;

    if (p->frames == 0 || (child->last_progress_s >= 0 && p->elapsed_s - child->last_progress_s < PROGRESS_INTERVAL_S))
        return true;
    child->last_progress_s = p->elapsed_s;
    progress.frames = p->frames;
    progress.frames_total = VMAFX_MAX(p->total, 0);
    progress.frame_rate = p->elapsed_s > 0 ? p->frames / p->elapsed_s : 0;
    message.kind_case = VMAFX__SCORER__V1__CHILD_MESSAGE__KIND_PROGRESS;
    message.progress = &progress;
    VMAFX_IGNORE(child_send(&child->pipe, &message)); /* small */
    return true;
}

/* ---- live frames ---- */

static bool send_series(Child *child, const VmafxEngine *engine)
{
    static const Vmafx__V1__SeriesKind of[] = {
        [VMAFX_SERIES_FEATURE] = VMAFX__V1__SERIES_KIND__SERIES_KIND_FEATURE,
        [VMAFX_SERIES_SCORE] = VMAFX__V1__SERIES_KIND__SERIES_KIND_SCORE,
        [VMAFX_SERIES_MEMBER] = VMAFX__V1__SERIES_KIND__SERIES_KIND_MEMBER,
    };
    size_t n = vmafx_engine_series(engine);
    VMAFX_AUTO(vmafx_free_p) char **names = calloc(n, sizeof *names);
    VMAFX_AUTO(vmafx_free_p) Vmafx__V1__SeriesKind *kinds = calloc(n, sizeof *kinds);
    Vmafx__Scorer__V1__ChildMessage message = VMAFX__SCORER__V1__CHILD_MESSAGE__INIT;
    Vmafx__V1__SeriesNames series = VMAFX__V1__SERIES_NAMES__INIT;

    if (!names || !kinds)
        return false;
    for (size_t i = 0; i < n; i++) {
        names[i] = (char *)(uintptr_t)vmafx_engine_series_name(engine, i);
        kinds[i] = of[vmafx_result_series_kind(&child->result, i)];
    }
    series.names = names;
    series.n_names = n;
    series.kinds = kinds;
    series.n_kinds = n;
    message.kind_case = VMAFX__SCORER__V1__CHILD_MESSAGE__KIND_LIVE_SERIES;
    message.live_series = &series;
    return !child_send(&child->pipe, &message);
}

/* n frames in one message; false: no memory. */
static bool send_live(Child *child, const VmafxEngine *engine, uint32_t first, size_t n)
{
    size_t series = vmafx_engine_series(engine);
    VMAFX_AUTO(vmafx_free_p) double *values = vmafx_alloc_aligned(series * n, sizeof *values);
    VMAFX_AUTO(vmafx_free_p) Vmafx__V1__Column *columns = calloc(series, sizeof *columns);
    VMAFX_AUTO(vmafx_free_p) Vmafx__V1__Column **list = calloc(series, sizeof *list);
    Vmafx__Scorer__V1__ChildMessage message = VMAFX__SCORER__V1__CHILD_MESSAGE__INIT;
    Vmafx__V1__Frames frames = VMAFX__V1__FRAMES__INIT;

    if (!values || !columns || !list)
        return false;
    for (size_t s = 0; s < series; s++) {
        list[s] = &columns[s];
        columns[s] = (Vmafx__V1__Column)VMAFX__V1__COLUMN__INIT;
        columns[s].values = values + s * n;
        columns[s].n_values = n;
        for (size_t i = 0; i < n; i++)
            if (!vmafx_engine_value(engine, s, first + (uint32_t)i, &columns[s].values[i]))
                columns[s].values[i] = NAN;
    }
    frames.first = first;
    frames.columns = list;
    frames.n_columns = series;
    message.kind_case = VMAFX__SCORER__V1__CHILD_MESSAGE__KIND_LIVE_FRAMES;
    message.live_frames = &frames;
    return !child_send(&child->pipe, &message);
}

static bool on_scored(void *ctx, const VmafxEngine *engine, uint32_t first, uint32_t n)
{
    Child *child = ctx;
    size_t at_once = VMAFX_MIN(VMAFX_MAX(LIVE_VALUES / vmafx_engine_series(engine), (size_t)1), (size_t)LIVE_ROWS);
    bool sent = child->named || send_series(child, engine);

    child->named = true;
    for (size_t rows; sent && n; first += (uint32_t)rows, n -= (uint32_t)rows) {
        rows = VMAFX_MIN((size_t)n, at_once);
        sent = send_live(child, engine, first, rows);
    }
    if (!sent)
        fail(child, VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_RESOURCE, NULL,
             "no memory for the values of frames while they are scored, or too many of them");
    return true;
}

/* ---- all frames ---- */

static void send_frames(Child *child, uint8_t *data, size_t len)
{
    for (size_t at = 0; at < len;) {
        Vmafx__Scorer__V1__ChildMessage message = VMAFX__SCORER__V1__CHILD_MESSAGE__INIT;
        Vmafx__Scorer__V1__FrameBlock block = VMAFX__SCORER__V1__FRAME_BLOCK__INIT;

        block.offset = at;
        block.data = (ProtobufCBinaryData){ VMAFX_MIN(len - at, FRAME_BLOCK), data + at };
        message.kind_case = VMAFX__SCORER__V1__CHILD_MESSAGE__KIND_FRAMES;
        message.frames = &block;
        VMAFX_IGNORE(child_send(&child->pipe, &message)); /* FRAME_BLOCK is below the limit */
        at += block.data.len;
    }
}

/* What this process measures, others have to be told: it sends no metrics. */
static void send_inferences(Child *child)
{
    for (size_t i = 0; i < child->result.n_models; i++) {
        Vmafx__Scorer__V1__ChildMessage message = VMAFX__SCORER__V1__CHILD_MESSAGE__INIT;
        Vmafx__Scorer__V1__Inferences inferences = VMAFX__SCORER__V1__INFERENCES__INIT;

        inferences.model = child->result.models[i].version;
        inferences.seconds = (double *)(uintptr_t)vmafx_result_inferences(&child->result, i, &inferences.n_seconds);
        if (!inferences.n_seconds)
            continue;
        message.kind_case = VMAFX__SCORER__V1__CHILD_MESSAGE__KIND_INFERENCES;
        message.inferences = &inferences;
        VMAFX_IGNORE(child_send(&child->pipe, &message)); /* 32 KiB at most */
    }
}

/* ---- how it went ---- */

/* Who is to blame: a table of how far the scoring got and what it says. */
static Class class_of(VmafxStage stage, VmafxErr err)
{
    if (err == VMAFX_ERR_NOMEM)
        return VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_RESOURCE;
    if (err == VMAFX_ERR_INTERNAL)
        return VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_INTERNAL;
    if (err == VMAFX_ERR_ENCODER)
        return VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_ENCODER;
    switch (stage) {
    case VMAFX_STAGE_MODELS:
        return VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_MODEL;
    case VMAFX_STAGE_INPUTS:
        return VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_INPUT;
    case VMAFX_STAGE_PAIR:
        return VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_MISMATCH;
    default:
        break;
    }
    switch (err) {
    case VMAFX_ERR_INPUT:
    case VMAFX_ERR_TRUNCATED:
    case VMAFX_ERR_IO:
        return VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_INPUT;
    case VMAFX_ERR_INVALID: /* pictures too small for a feature */
    case VMAFX_ERR_MISMATCH:
        return VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_MISMATCH;
    case VMAFX_ERR_FEATURE:
    case VMAFX_ERR_MISSING:
    case VMAFX_ERR_MODEL:
    case VMAFX_ERR_UNSUPPORTED:
        return VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_MODEL;
    default:
        return VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_INTERNAL;
    }
}

/* All that keeps the two from being compared, so that nobody has to come back for the next reason. */
static _Noreturn void fail_mismatch(Child *child)
{
    const VmafxResult *result = &child->result;
    char text[MESSAGE_MAX] = "";
    size_t at = 0;

    for (size_t i = 0; i < result->n_problems && at < sizeof text; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%s", i ? "; " : "", result->problems[i].sentence);
    fail(child, VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_MISMATCH, NULL, "%s", text);
}

static _Noreturn void fail_scoring(Child *child, VmafxErr err, const VmafxErrInfo *info)
{
    if (child->result.n_problems)
        fail_mismatch(child);
    if (child->result.keep_failed) /* too large: it will be so again; a full disk may pass */
        fail(child,
             err == VMAFX_ERR_LIMIT ? VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_ENCODER
                                    : VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_RESOURCE,
             NULL, "%s", info->message);
    fail(child, class_of(child->result.stage, err), NULL, "%s", *info->message ? info->message : vmafx_err_text(err));
}

static int64_t bytes_of(int fd)
{
    struct stat st;

    return !fstat(fd, &st) && S_ISREG(st.st_mode) ? st.st_size : 0;
}

static void summarise(Child *child, VmafxSummary *summary)
{
    int64_t distorted_bytes = child->spec.pair.encode ? 0 : bytes_of(FD_DISTORTED); /* else the reference again */
    const VmafxSummaryFacts facts = { .input_bytes = { bytes_of(FD_REFERENCE), distorted_bytes },
                                      .decoder_versions = vmafx_media_version(),
                                      .sandbox_layers = child->layers,
                                      .n_sandbox_layers = child->n_layers };
    VmafxErr err = vmafx_summary_init(summary, &child->result, &facts);

    if (err)
        fail(child, VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_RESOURCE, NULL, "no memory for the summary of the result");
    if (protobuf_c_message_get_packed_size(&summary->message.base) > CHANNEL_MESSAGE_MAX - 4096)
        fail(child, VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_RESOURCE, NULL,
             "the summary of the result takes more than 1 MiB: ask for fewer models or features at a time");
}

static _Noreturn void tell_result(Child *child)
{
    Vmafx__Scorer__V1__ChildMessage message = VMAFX__SCORER__V1__CHILD_MESSAGE__INIT;
    Vmafx__Scorer__V1__ChildResult end = VMAFX__SCORER__V1__CHILD_RESULT__INIT;
    VmafxResult *result = &child->result;
    VmafxSummary summary;
    uint8_t *frames;
    size_t frames_len;

    summarise(child, &summary);
    VmafxErr err = vmafx_summary_frames(result, &frames, &frames_len);
    if (err)
        fail(child, VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_RESOURCE, NULL,
             "the values of %u frames cannot be put together: %s", result->frames, vmafx_err_text(err));
    send_inferences(child);
    send_frames(child, frames, frames_len);
    if (!result->complete)
        fail(child, VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_INPUT, &summary.message, "%s", result->incomplete_reason);
    end.summary = &summary.message;
    message.kind_case = VMAFX__SCORER__V1__CHILD_MESSAGE__KIND_RESULT;
    message.result = &end;
    VMAFX_IGNORE(child_send(&child->pipe, &message)); /* summarise has looked at its size */
    _exit(0);
}

/* ---- the task ---- */

static void log_end(const Child *child)
{
    VmafxLogger *log = vmafx_logger_new(VMAFX_SCOPE_NAME_SCORE, VMAFX_ENGINE_VERSION, "", VMAFX_NO_ATTRS);

    vmafx_log(log, VMAFX_INFO, "scoring ended", VMAFX_ATTR_INT(VMAFX_KEY_FRAME_COUNT, child->result.frames),
              VMAFX_ATTR_BOOL(VMAFX_KEY_JOB_COMPLETE, child->result.complete));
    vmafx_logger_free(&log);
}

/* How the recipe is carried out, and where it goes if it is to be kept. */
static void set_encode(Child *child)
{
    const Vmafx__Scorer__V1__Start *start = child->task->start;
    const Vmafx__V1__EncodeRecipe *recipe = vmafx_spec_recipe(start->spec);
    VmafxPairEncode *encode = &child->spec.encode;

    if (!recipe)
        return;
    encode->threads = start->threads;
    if (child->task->n_fds > FD_KEEP - FD_REFERENCE && start->limits) {
        encode->keep_fd = FD_KEEP;
        encode->keep_max = start->limits->keep_bytes;
    } else if (recipe->keep) {
        fail(child, VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_ENCODER, NULL,
             "the recipe says that the encoded video is to be kept, and there is no place for it here");
    }
}

static _Noreturn void score(Child *child)
{
    static const int fds[] = { FD_REFERENCE, FD_DISTORTED };
    const Vmafx__Scorer__V1__Start *start = child->task->start;
    VmafxErrInfo info = { 0 };
    VmafxErr err = vmafx_pair_spec_init(&child->spec, start->spec, "job", &info);

    if (err)
        fail(child,
             err == VMAFX_ERR_NOMEM     ? VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_RESOURCE
             : err == VMAFX_ERR_ENCODER ? VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_ENCODER
                                        : VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_MISMATCH,
             NULL, "%s", info.message);
    set_encode(child);
    child->spec.pair.fds = fds;
    child->spec.pair.registry = child->task->models;
    child->spec.pair.flat_trace = !start->nested;
    child->spec.pair.threads = start->threads;
    child->spec.pair.pixels_max = start->limits ? start->limits->pixels : 0;
    child->spec.pair.progress = on_progress;
    child->spec.pair.progress_ctx = child;
    child->spec.pair.scored = start->frames_live ? on_scored : NULL;
    child->spec.pair.scored_ctx = child;
    err = vmafx_score_pair(start->reference_name, start->distorted_name, &child->spec.pair, &child->result, &info);
    log_end(child);
    if (err)
        fail_scoring(child, err, &info);
    tell_result(child);
}

void child_restore_signals(void)
{
    sigset_t none;

    sigemptyset(&none);
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

_Noreturn void child_run(ChildTask *task)
{
    Child child = { .task = task,
                    .pipe = { .fd = task->fds[2], .lock = PTHREAD_MUTEX_INITIALIZER, .buffer = task->buffer },
                    .last_progress_s = -1 };
    const Vmafx__Scorer__V1__Limits *given = task->start->limits;
    const SandboxLimits limits = { .address_space_bytes = given ? given->address_space_bytes : 0,
                                   .cpu_seconds = given ? given->cpu_seconds : 0,
                                   .file_bytes = given && task->n_fds > FD_KEEP - FD_REFERENCE
                                                     ? given->keep_bytes + KEEP_SLACK
                                                     : 0 };
    VmafxErrInfo info = { 0 };
    unsigned layers = 0;
    VmafxErr err = sandbox_keep_only(&task->sandbox, task->fds, task->n_fds, &info);

    if (err)
        fail(&child, VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_RESOURCE, NULL, "%s", info.message);
    child.pipe.fd = FD_PIPE;
    err = sandbox_enter(&task->sandbox, &limits, task->parent, &layers, &info);
    if (err)
        fail(&child, VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_NODE, NULL, "%s", info.message);
    child.n_layers = sandbox_layer_names(layers, child.layers);
    send_begun(&child);
    child_telemetry_start(&child.telemetry, &(ChildTelemetryStart){ .pipe = &child.pipe,
                                                                    .traceparent = task->start->traceparent,
                                                                    .tracestate = task->start->tracestate,
                                                                    .layers = child.layers,
                                                                    .n_layers = child.n_layers });
    score(&child);
}
