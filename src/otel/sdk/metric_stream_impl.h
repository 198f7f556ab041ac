/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What a stream is made of; for metric_stream.c, which fills it, and metric_collect.c, which tells readers of it. */
#ifndef VMAFX_OTEL_SDK_METRIC_STREAM_IMPL_H
#define VMAFX_OTEL_SDK_METRIC_STREAM_IMPL_H

#include <pthread.h>

#include "otel/sdk/metric_stream.h"

typedef struct Table Table;

/* A raw set that was observed this round on a summed, filtered stream: its last value counts, not the sum of all. */
typedef struct Seen {
    uint64_t hash;
    VmafxNumber value;
} Seen;

typedef struct ReaderStream {
    uint64_t last_ns; /* of the previous collection; at first the stream's making */
    uint64_t rounds;
    Seen *seen;
    size_t n_seen, seen_room;
    uint64_t seen_round;
} ReaderStream;

struct VmafxStream {
    VmafxMetricEnv *env;
    VmafxStreamInfo info;
    uint64_t created_ns;
    _Atomic(Table *) table;       /* released when filled, acquired by lookups */
    _Atomic(VmafxSeries *) plain; /* the series without attributes, a short cut; likewise */
    _Atomic(VmafxSeries *) full;  /* the overflow series once every other set goes there; likewise */
    atomic_bool report_overflow;

    pthread_mutex_t lock; /* covers everything below, and insertion above; held by one collector or inserter, never
                             while calling out */
    VmafxSeries **series;
    size_t n_series, series_room;
    size_t n_sets; /* of them, not the overflow one */
    VmafxSeries *overflow;
    bool overflow_seen;
    uint64_t purged; /* the collection that last looked for series to let go */
    ReaderStream readers[VMAFX_METRIC_READERS_MAX];
};
#endif
