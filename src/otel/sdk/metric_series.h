/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * One series: where measurements of one attribute set are added up, by any number of threads, without a lock.
 *
 * Each of the first 64 threads of a process has a slot, and a series gives each slot a cell of its own, so threads do
 * not share cache lines. A thread marks its cell busy, aggregates, and marks it free: plain stores, no locked
 * instruction. A collector raises `draining`, makes every running thread pass a memory barrier (membarrier(2)), waits
 * for the busy ones, empties all cells and lowers the flag. A thread that sees the flag, that is interrupted by a
 * signal handler inside its own cell, or that has no slot, uses one of a few shared cells, entered with one exchange;
 * it takes whichever is free. So no one waits for a collector, and a collector waits for one measurement at most.
 * Where membarrier does not exist a thread enters its own cell with an exchange too.
 *
 * Last values are one atomic store instead.
 */
#ifndef VMAFX_OTEL_SDK_METRIC_SERIES_H
#define VMAFX_OTEL_SDK_METRIC_SERIES_H

#include <stdatomic.h>

#include "otel/sdk/aggregation.h"
#include "otel/sdk/data.h"
#include "otel/sdk/exemplar.h"
#include "otel/sdk/ids.h"

#define VMAFX_METRIC_READERS_MAX 8
#define VMAFX_THREAD_SLOTS       64

/** What became of measurements and collections; a copy of counters. */
typedef struct VmafxMetricCounts {
    uint64_t invalid;            /* negative on a counter or histogram, NaN, infinity: ignored */
    uint64_t overflowed;         /* measurements that met a full stream for a new set: in its overflow series */
    uint64_t no_memory;          /* measurements lost for want of memory */
    uint64_t saturated;          /* integer sums that reached their end, once for each series and collection */
    uint64_t conflicts;          /* instruments or views that contradict earlier ones */
    uint64_t late_callbacks;     /* callbacks that took more than a second */
    uint64_t stray_observations; /* outside a callback, or of the wrong kind */
    uint64_t collections, collections_failed;
    uint64_t exported, export_failed; /* metric data points handed to exporters */
} VmafxMetricCounts;

typedef struct VmafxMetricCounters {
    atomic_uint_fast64_t invalid, overflowed, no_memory, saturated, conflicts, late_callbacks, stray_observations,
        collections, collections_failed, exported, export_failed;
} VmafxMetricCounters;

/** What all series of a provider share; set once. */
typedef struct VmafxMetricEnv {
    uint64_t (*now)(void *ctx); /* Unix ns */
    void *now_ctx;
    uint64_t hash_seed;
    VmafxExemplarFilter exemplars;
    unsigned n_readers;
    bool asymmetric; /* membarrier works */
    unsigned fork_generation;
    VmafxMetricCounters counts;
} VmafxMetricEnv;

/** False in a forked child, where locks may be held by threads that are not there. */
static inline bool vmafx_metric_env_alive(const VmafxMetricEnv *env)
{
    return env->fork_generation == vmafx_fork_generation();
}

/** Makes membarrier ready for this process; false when it is not to be had. */
bool vmafx_series_prepare(void);

typedef struct VmafxSeriesCell VmafxSeriesCell;

#define VMAFX_SHARED_CELLS 4

/** What a reader has of a series. Touched by collectors only, under their stream's lock. */
typedef struct VmafxReaderSeries {
    bool measured;        /* since this reader's last collection */
    bool known;           /* ever */
    VmafxAggState *state; /* synchronous: not yet reported (delta), or everything (cumulative) */
    VmafxExemplarSlot *exemplars;
    VmafxExemplarAttrs *exemplar_attrs;
    /* observable */
    uint64_t round; /* the collection that observed it last */
    uint64_t start_ns;
    VmafxNumber value, previous;
} VmafxReaderSeries;

typedef struct VmafxSeries {
    atomic_bool draining;      /* see above; its store and the barrier pair with enter's store and load */
    bool asymmetric;           /* as in env, at hand */
    bool exemplars_anywhere;   /* the filter lets measurements outside a span through */
    VmafxReservoir *reservoir; /* NULL: no exemplars */
    const VmafxAggConfig *config;
    VmafxMetricEnv *env;
    _Atomic(VmafxSeriesCell *) cells[VMAFX_THREAD_SLOTS];
    _Atomic(VmafxSeriesCell *) shared[VMAFX_SHARED_CELLS];
    atomic_uint_fast64_t start_ns; /* of the first measurement; 0: none yet */
    atomic_uint_fast64_t last;     /* LAST_VALUE: the bits of int64_t or double */
    atomic_bool last_set;          /* stored after last, cleared before it is read */
    uint64_t hash;
    VmafxAttrs attrs;  /* sorted, unique; one block of its own */
    uint32_t *key_len; /* of each */
    VmafxReaderSeries *readers;
} VmafxSeries;

/** Takes over the block of attrs, also on failure. filtered: a view drops attributes. NULL on no memory. */
VmafxSeries *vmafx_series_new(VmafxMetricEnv *env, const VmafxAggConfig *config, VmafxAttrs attrs, uint64_t hash,
                              bool filtered);
void vmafx_series_free(VmafxSeries **series);

/** Adds a measurement (finite). Any thread, signal handlers too once the thread has measured this series before. */
void vmafx_series_record(VmafxSeries *series, VmafxNumber value);

/** Moves what came since the last drain into the states of the readers in mask. One collector at a time. */
void vmafx_series_drain(VmafxSeries *const *series, size_t n, unsigned readers);
#endif
