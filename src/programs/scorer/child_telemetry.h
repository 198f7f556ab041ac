/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Spans and log records of a child. It exports nothing itself, it has no network: what ends is written to its pipe, and
 * whoever reads there hands it to an SDK that exports. The spans' parent is the remote one that the task came with.
 */
#ifndef VMAFX_PROGRAMS_SCORER_CHILD_TELEMETRY_H
#define VMAFX_PROGRAMS_SCORER_CHILD_TELEMETRY_H

#include <pthread.h>

#include "otel/api/context.h"
#include "otel/api/log.h"
#include "otel/sdk/trace_provider.h"
#include "programs/scorer/channel.h"

/** The child's end of the pipe. Any thread. */
typedef struct ChildPipe {
    int fd;
    pthread_mutex_t lock; /* covers what follows, and the order of messages */
    ChannelBuffer *buffer;
} ChildPipe;

/** VMAFX_ERR_LIMIT: the message is too large. Does not come back when nobody reads any more. */
VMAFX_CHECK VmafxErr child_send(ChildPipe *pipe, Vmafx__Scorer__V1__ChildMessage *message);

/** Lives as long as the process: nothing is ever taken down again. */
typedef struct ChildTelemetry {
    VmafxSpanProcessor processor;
    struct VmafxLogProvider logs; /* the API's interface; records need no SDK on their way */
    ChildPipe *pipe;
    const char *const *layers;
    size_t n_layers;
    VmafxSpanContext parent;
    size_t n_spans, n_logs; /* sent; under the pipe's lock */
} ChildTelemetry;

/** Borrowed for ever. */
typedef struct ChildTelemetryStart {
    ChildPipe *pipe;
    const char *traceparent, *tracestate; /* of the remote parent; without a valid traceparent there are no spans */
    const char *const *layers;            /* of the sandbox, for vmafx.scoring */
    size_t n_layers;
} ChildTelemetryStart;

/** Installs the providers and makes the remote parent current. */
void child_telemetry_start(ChildTelemetry *telemetry, const ChildTelemetryStart *start);
#endif
