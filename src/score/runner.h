/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Runs scorings in vmafx-scorer: starts that program, starts it anew when it dies, hands it tasks, reads what their
 * children say, and makes one clear end of whatever happens.
 *
 *     VmafxRunner *runner = NULL;
 *     err = vmafx_runner_start(&(VmafxRunnerConfig){ .tasks_max = 4 }, &runner, &info);
 *     err = vmafx_runner_run(runner, &task, &info);        // task.events.ended comes, once, if this is VMAFX_OK
 *     vmafx_runner_stop_task(runner, task.tag);
 *     vmafx_runner_stop(&runner);
 *
 * Callbacks come one at a time from the runner's own thread and may call run and stop_task, but not stop; while one
 * works nothing else is read, so they must be quick, those for frames too: whoever cannot take them at once puts them
 * into a queue of its own, with a limit. Any thread may call the functions, stop only one.
 *
 * A child that was taken over by its input can at most waste its own task: everything it writes is checked
 * (child_reader.h) and bounded.
 */
#ifndef VMAFX_SCORE_RUNNER_H
#define VMAFX_SCORE_RUNNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/encoders.h"
#include "otel/api/log.h"
#include "otel/api/trace.h"
#include "rpc/message.h"

#define VMAFX_RUNNER_TASKS_MAX       256
#define VMAFX_RUNNER_LIVE_FRAMES_MAX 64 /* of one call of frames */

typedef struct VmafxRunner VmafxRunner;

typedef struct VmafxRunnerConfig {
    const char *program; /* NULL: VMAFX_SCORER from the environment, else vmafx-scorer beside this executable */
    int tasks_max;       /* at a time, waiting ones included; 1 … VMAFX_RUNNER_TASKS_MAX */
    size_t frames_max;   /* bytes of packed per-frame values that one task may have; 0: 256 MiB */
    /**
     * The scorer is there (again), or has gone: then with a sentence for the log. From the runner's thread; NULL: not
     * wanted. Not called for the start and the stop of the runner itself.
     */
    void (*changed)(void *ctx, bool ready, const char *message);
    /** Which encoders work is known (anew): vmafx_runner_encoders. From the runner's thread; NULL: not wanted. */
    void (*encoders)(void *ctx);
    void *ctx;
} VmafxRunnerConfig;

/** What the scorer said of itself when it was first ready. Lives as long as the runner. */
typedef struct VmafxRunnerFacts {
    const char *const *models; /* versions it has loaded */
    size_t n_models;
    const char *kernel_level;
    const char *const *sandbox_layers; /* that take hold on this machine */
    size_t n_sandbox_layers;
} VmafxRunnerFacts;

/** 0: no limit. */
typedef struct VmafxRunLimits {
    int64_t address_space_bytes; /* of the child; code and thread stacks count: below 1 GiB little works */
    int64_t cpu_seconds;
    int64_t wall_ms;
    int64_t pixels; /* of one picture of an input: larger ones are refused, before anything is scored */
} VmafxRunLimits;

/** How a task ended. All of it is borrowed for the call. */
typedef struct VmafxRunEnd {
    /* SUCCEEDED, FAILED, CANCELLED (stop_task, or the runner stops) or TIMEOUT (wall_ms) */
    Vmafx__V1__AttemptOutcome outcome;
    Vmafx__V1__FailureClass failure; /* UNSPECIFIED unless FAILED or TIMEOUT */
    const char *message;             /* what went wrong, for a person; "" on success */
    const Vmafx__V1__Result *result; /* SUCCEEDED, and what was scored before an input broke off; else NULL */
    const uint8_t *frames;           /* packed columns (base/columns.h) that fit the result's series; NULL without it */
    size_t frames_len;
} VmafxRunEnd;

/** NULL: not wanted. Messages are borrowed for the call, and were checked. */
typedef struct VmafxRunEvents {
    void (*begun)(void *ctx, uint64_t tag, const Vmafx__Scorer__V1__Begun *begun); /* the sandbox is on */
    void (*progress)(void *ctx, uint64_t tag, const Vmafx__Scorer__V1__ChildProgress *progress);
    void (*span)(void *ctx, uint64_t tag, const Vmafx__Scorer__V1__SpanRecord *span); /* vmafx_run_span_emit */
    void (*log)(void *ctx, uint64_t tag, const Vmafx__Scorer__V1__LogRecord *record); /* vmafx_run_log_emit */
    /* With frames_live: the names of the columns, once, before the first frames; not when no frame was scored. */
    void (*series)(void *ctx, uint64_t tag, const Vmafx__V1__SeriesNames *names);
    /* With frames_live: the next frames, at most VMAFX_RUNNER_LIVE_FRAMES_MAX, as soon as they are final. Each follows
       the one before it, from 0 on; all of them have come before an end that has a result. Absent values are NaN, all
       others are finite, and are to the bit those of the result. */
    void (*frames)(void *ctx, uint64_t tag, const Vmafx__V1__Frames *frames);
    void (*ended)(void *ctx, uint64_t tag, const VmafxRunEnd *end); /* once, the last */
    void *ctx;
} VmafxRunEvents;

/** Borrowed for the call but for the descriptors. */
typedef struct VmafxRunTask {
    uint64_t tag; /* the caller's; no other task that has not ended may have it */
    const Vmafx__V1__JobSpec *spec;
    /* Reference, distorted, at their start; taken over, closed on failure too. Files, or pipes and sockets: these are
       read as they are written, about as much of one as of the other. With a recipe in the spec: the reference twice, a
       regular file, opened each time for itself, so that each has a position of its own. */
    int fds[2];
    /* Where the encoded video is kept, for a spec with a recipe; borrowed for the call. Meaningful with keep_bytes
     * only. */
    int keep_fd;
    int64_t keep_bytes;      /* more fail the task; 0: it is not kept */
    const char *names[2];    /* for messages and provenance; NULL: those of the spec */
    int threads;             /* of the engine, and of an encoder */
    const char *traceparent; /* parent of the child's spans; NULL: the child makes none */
    const char *tracestate;  /* NULL: none */
    bool nested;             /* runs of frames below vmafx.scoring, not beside it */
    bool frames_live;        /* series and frames of the events are wanted */
    VmafxRunLimits limits;
    VmafxRunEvents events;
} VmafxRunTask;

/**
 * Starts the program and waits, at most ten seconds, until it is ready.
 * @return VMAFX_ERR_NOT_FOUND no such program; VMAFX_ERR_UNREACHABLE it does not become ready; VMAFX_ERR_INVALID;
 * VMAFX_ERR_NOMEM; VMAFX_ERR_IO
 */
VMAFX_CHECK VmafxErr vmafx_runner_start(const VmafxRunnerConfig *config, VmafxRunner **ret, VmafxErrInfo *reterr);

/** Kills what runs; every task that has not ended gets its end (CANCELLED) before this returns. */
void vmafx_runner_stop(VmafxRunner **runner);

const VmafxRunnerFacts *vmafx_runner_facts(const VmafxRunner *runner);

/** The encoders that tasks can use; false: not known yet, which takes a second or two after the start. Any thread. */
bool vmafx_runner_encoders(const VmafxRunner *runner, VmafxEncoderSet *ret);

/** True while the scorer is there. */
bool vmafx_runner_is_ready(const VmafxRunner *runner);

/**
 * Hands a task over. While the scorer is being started anew it waits; when that fails it ends (node).
 * @return VMAFX_ERR_BUSY tasks_max; VMAFX_ERR_CONFLICT the tag is in use; VMAFX_ERR_LIMIT the request is too large;
 * VMAFX_ERR_STOPPED; VMAFX_ERR_IO no descriptor left; VMAFX_ERR_NOMEM. The ended callback does not come then.
 */
VMAFX_CHECK VmafxErr vmafx_runner_run(VmafxRunner *runner, const VmafxRunTask *task, VmafxErrInfo *reterr);

/** Has the child killed; its end comes as CANCELLED unless another came first. An unknown tag is nothing. */
void vmafx_runner_stop_task(VmafxRunner *runner, uint64_t tag);

/* ---- What children told, as our own telemetry ---- */

/** Hands a child's span to the SDK: in the trace of the attempt, and its child unless the span names a parent. */
void vmafx_run_span_emit(VmafxTracer *tracer, const VmafxSpanContext *attempt,
                         const Vmafx__Scorer__V1__SpanRecord *span);
/** Hands a child's log record to the SDK, in the attempt's context. */
void vmafx_run_log_emit(VmafxLogger *logger, const VmafxSpanContext *attempt,
                        const Vmafx__Scorer__V1__LogRecord *record);
/**
 * The metrics of one scoring (vmafx.frames, vmafx.score.duration …), with exemplars that lead to the attempt (NULL:
 * none).
 * @param counts_score  vmafx.score too; false where somebody else keeps the result and counts it, once however many
 * attempts
 */
void vmafx_run_measure(const VmafxSpanContext *attempt, const VmafxRunEnd *end, bool counts_score);
#endif
