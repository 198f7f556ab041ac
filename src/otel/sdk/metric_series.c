/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Cells of series; the header tells how they work. */

#include "otel/sdk/metric_series.h"

#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/base.h"
#include "otel/sdk/ids.h"

enum { DRAIN_TRIES = 1000, SPINS = 64 };

/* 64 bytes with the head of the state, so that a counter's cell is two cache lines of its own. */
struct VmafxSeriesCell {
    atomic_bool busy; /* released after the state is written, acquired by whoever enters next */
    char pad[15];
};

static inline VmafxAggState *state_of(VmafxSeriesCell *cell)
{
    return (VmafxAggState *)(void *)(cell + 1);
}

/* ---- Thread slots: thread-local, handed out of a bitmap and given back when a thread ends ---- */

enum { SLOT_NONE = 0, SLOT_SHARED = VMAFX_THREAD_SLOTS + 1 }; /* between them: 1 + slot */

static _Thread_local unsigned my_slot __attribute__((tls_model("initial-exec")));
static atomic_uint_fast64_t slots_used; /* acquired and released: a slot's next thread sees its cells */
static pthread_once_t slots_once = PTHREAD_ONCE_INIT;
static pthread_key_t slots_key;
static bool slots_key_made;

static void slot_give_back(void *slot)
{
    unsigned at = (unsigned)(uintptr_t)slot - 1;

    my_slot = SLOT_SHARED; /* what still measures while the thread ends */
    atomic_fetch_and_explicit(&slots_used, ~((uint64_t)1 << at), memory_order_release);
}

static void slots_prepare(void)
{
    slots_key_made = !pthread_key_create(&slots_key, slot_give_back);
}

static unsigned slot_take(void)
{
    uint64_t used = atomic_load_explicit(&slots_used, memory_order_relaxed);

    my_slot = SLOT_SHARED;
    pthread_once(&slots_once, slots_prepare);
    while (slots_key_made && ~used) {
        unsigned at = (unsigned)__builtin_ctzll(~used);

        if (!atomic_compare_exchange_weak_explicit(&slots_used, &used, used | (uint64_t)1 << at, memory_order_acquire,
                                                   memory_order_relaxed))
            continue;
        if (pthread_setspecific(slots_key, (void *)(uintptr_t)(at + 1)))
            atomic_fetch_and_explicit(&slots_used, ~((uint64_t)1 << at), memory_order_release);
        else
            my_slot = at + 1;
        break;
    }
    return my_slot;
}

/* ---- The barrier of the collector ---- */

bool vmafx_series_prepare(void)
{
    return !syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
}

/* False in the one case that cannot be, and then nothing is drained from threads' own cells. */
static bool barrier(const VmafxMetricEnv *env)
{
    return !env->asymmetric || !syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
}

/* ---- Series ---- */

VmafxSeries *vmafx_series_new(VmafxMetricEnv *env, const VmafxAggConfig *config, VmafxAttrs attrs, uint64_t hash,
                              bool filtered)
{
    VmafxSeries *s = vmafx_alloc_aligned(1, sizeof *s);

    if (!s) {
        free((void *)attrs.items);
        return NULL;
    }
    s->env = env;
    s->asymmetric = env->asymmetric;
    s->exemplars_anywhere = env->exemplars == VMAFX_EXEMPLARS_ALWAYS_ON;
    s->config = config;
    s->attrs = attrs;
    s->hash = hash;
    s->key_len = calloc(attrs.n ? attrs.n : 1, sizeof *s->key_len);
    for (size_t i = 0; s->key_len && i < attrs.n; i++)
        s->key_len[i] = (uint32_t)strlen(attrs.items[i].key);
    s->readers = calloc(env->n_readers ? env->n_readers : 1, sizeof *s->readers);
    if (env->exemplars != VMAFX_EXEMPLARS_ALWAYS_OFF)
        s->reservoir = vmafx_reservoir_new(config, filtered, vmafx_ids_u64());
    if (!s->key_len || !s->readers || (env->exemplars != VMAFX_EXEMPLARS_ALWAYS_OFF && !s->reservoir))
        vmafx_series_free(&s);
    return s;
}

void vmafx_series_free(VmafxSeries **series)
{
    VmafxSeries *s = *series;

    if (!s)
        return;
    for (size_t i = 0; i < VMAFX_THREAD_SLOTS; i++)
        free(atomic_load_explicit(&s->cells[i], memory_order_relaxed));
    for (size_t i = 0; i < VMAFX_SHARED_CELLS; i++)
        free(atomic_load_explicit(&s->shared[i], memory_order_relaxed));
    for (unsigned r = 0; s->readers && r < s->env->n_readers; r++) {
        free(s->readers[r].state);
        free(s->readers[r].exemplars);
        free(s->readers[r].exemplar_attrs);
    }
    free(s->readers);
    free(s->key_len);
    vmafx_reservoir_free(&s->reservoir);
    free((void *)s->attrs.items);
    free(s);
    *series = NULL;
}

static __attribute__((noinline)) void mark_start(VmafxSeries *s)
{
    uint_fast64_t none = 0;

    if (!atomic_load_explicit(&s->start_ns, memory_order_relaxed))
        atomic_compare_exchange_strong_explicit(&s->start_ns, &none, s->env->now(s->env->now_ctx), memory_order_relaxed,
                                                memory_order_relaxed);
}

/* A series' first measurement on a slot comes through here, so this is also where its start is noticed. */
static VmafxSeriesCell *cell_make(VmafxSeries *s, _Atomic(VmafxSeriesCell *) *at)
{
    VmafxSeriesCell *none = NULL, *cell = vmafx_alloc_aligned(1, sizeof *cell + vmafx_agg_size(s->config));

    mark_start(s);
    if (!cell)
        return NULL;
    vmafx_agg_init(state_of(cell), s->config);
    if (atomic_compare_exchange_strong_explicit(at, &none, cell, memory_order_acq_rel, memory_order_acquire))
        return cell;
    free(cell); /* shared cells: another thread was faster */
    return none;
}

static inline bool cell_try(VmafxSeriesCell *cell)
{
    return !atomic_load_explicit(&cell->busy, memory_order_relaxed) &&
           !atomic_exchange_explicit(&cell->busy, true, memory_order_seq_cst);
}

static inline void cell_leave(VmafxSeriesCell *cell)
{
    atomic_store_explicit(&cell->busy, false, memory_order_release);
}

/* Whichever shared cell is free. All are busy only while as many others are inside: a few nanoseconds each. */
static VmafxSeriesCell *enter_shared(VmafxSeries *s)
{
    for (unsigned tries = 0, at = my_slot; tries < DRAIN_TRIES * VMAFX_SHARED_CELLS; tries++, at++) {
        _Atomic(VmafxSeriesCell *) *place = &s->shared[at % VMAFX_SHARED_CELLS];
        VmafxSeriesCell *cell = atomic_load_explicit(place, memory_order_acquire);

        if (!cell && !(cell = cell_make(s, place)))
            return NULL;
        if (cell_try(cell))
            return cell;
        if (tries % SPINS == SPINS - 1)
            sched_yield();
    }
    return NULL;
}

/* This thread's own cell, entered; NULL: it has none yet, or must not go there now. */
static inline VmafxSeriesCell *enter_own(VmafxSeries *s, unsigned slot)
{
    if (__builtin_expect(slot - 1 >= VMAFX_THREAD_SLOTS, 0)) /* SLOT_NONE and SLOT_SHARED */
        return NULL;
    VmafxSeriesCell *cell = atomic_load_explicit(&s->cells[slot - 1], memory_order_relaxed); /* only we store it */

    if (__builtin_expect(!cell || atomic_load_explicit(&cell->busy, memory_order_relaxed), 0))
        return NULL; /* busy: we are a signal handler */
    if (__builtin_expect(s->asymmetric, 1)) {
        atomic_store_explicit(&cell->busy, true, memory_order_relaxed);
        atomic_signal_fence(memory_order_seq_cst); /* membarrier makes it a fence of the processor */
    } else {
        atomic_exchange_explicit(&cell->busy, true, memory_order_seq_cst);
    }
    /* Acquires what the collector's reset wrote. */
    if (__builtin_expect(!atomic_load_explicit(&s->draining, memory_order_seq_cst), 1))
        return cell;
    cell_leave(cell);
    return NULL;
}

static inline void record_in(VmafxSeriesCell *cell, const VmafxAggConfig *config, VmafxNumber value)
{
    vmafx_agg_record(state_of(cell), config, value);
    cell_leave(cell);
}

/* The first measurement of a thread, or of a thread on this series; threads without a slot; during a collection. */
static __attribute__((noinline)) void record_slowly(VmafxSeries *s, VmafxNumber value)
{
    unsigned slot = my_slot == SLOT_NONE ? slot_take() : my_slot;
    VmafxSeriesCell *cell = NULL;

    if (slot != SLOT_SHARED && !atomic_load_explicit(&s->cells[slot - 1], memory_order_relaxed))
        cell_make(s, &s->cells[slot - 1]);
    cell = enter_own(s, slot);
    if (!cell)
        cell = enter_shared(s);
    if (cell)
        record_in(cell, s->config, value);
    else
        atomic_fetch_add_explicit(&s->env->counts.no_memory, 1, memory_order_relaxed);
}

static __attribute__((noinline)) void record_last(VmafxSeries *s, VmafxNumber value)
{
    uint64_t bits;

    if (s->config->is_int)
        memcpy(&bits, &value.i, sizeof bits);
    else
        memcpy(&bits, &value.d, sizeof bits);
    if (__builtin_expect(!atomic_load_explicit(&s->start_ns, memory_order_relaxed), 0))
        mark_start(s);
    atomic_store_explicit(&s->last, bits, memory_order_relaxed);
    /* After the value; the collector clears the flag before it reads the value. Stored each time: testing first would
       need a full fence, and it is the same cache line. */
    atomic_store_explicit(&s->last_set, true, memory_order_release);
}

/* Apart, because it has a call in it, which the others need not pay for. */
static __attribute__((noinline)) void record_exp(VmafxSeriesCell *cell, const VmafxAggConfig *config, VmafxNumber value)
{
    record_in(cell, config, value);
}

void vmafx_series_record(VmafxSeries *s, VmafxNumber value)
{
    const VmafxAggConfig *config = s->config;

    if (config->kind == VMAFX_AGG_LAST_VALUE) {
        record_last(s, value);
        return;
    }
    VmafxSeriesCell *cell = enter_own(s, my_slot);

    if (__builtin_expect(!cell, 0))
        record_slowly(s, value);
    else if (__builtin_expect(config->kind == VMAFX_AGG_EXP_HISTOGRAM || (!config->n_cells && config->n_bounds), 0))
        record_exp(cell, config, value);
    else
        record_in(cell, config, value);
}

/* ---- Draining ---- */

static VmafxAggState *reader_state(VmafxSeries *s, VmafxReaderSeries *reader)
{
    if (!reader->state && (reader->state = calloc(1, vmafx_agg_size(s->config))))
        vmafx_agg_init(reader->state, s->config);
    return reader->state;
}

/* Every reader gets it or none: with no memory for one it stays where it is. */
static void hand_out(VmafxSeries *s, VmafxAggState *from, unsigned readers)
{
    if (!from->count)
        return;
    for (unsigned r = 0; r < s->env->n_readers; r++)
        if ((readers >> r & 1) && !reader_state(s, &s->readers[r]))
            return;
    for (unsigned r = 0; r < s->env->n_readers; r++)
        if (readers >> r & 1) {
            vmafx_agg_merge(s->readers[r].state, s->config, from);
            s->readers[r].measured = s->readers[r].known = true;
        }
    vmafx_agg_reset(from, s->config);
}

static void drain_last(VmafxSeries *s, unsigned readers)
{
    if (!atomic_exchange_explicit(&s->last_set, false, memory_order_seq_cst))
        return;
    uint64_t bits = atomic_load_explicit(&s->last, memory_order_relaxed);
    VmafxNumber value = { 0 };

    if (s->config->is_int)
        memcpy(&value.i, &bits, sizeof bits);
    else
        memcpy(&value.d, &bits, sizeof bits);
    for (unsigned r = 0; r < s->env->n_readers; r++)
        if (readers >> r & 1) {
            s->readers[r].value = value;
            s->readers[r].measured = s->readers[r].known = true;
        }
}

static void drain_own_cells(VmafxSeries *s, unsigned readers)
{
    for (size_t i = 0; i < VMAFX_THREAD_SLOTS; i++) {
        VmafxSeriesCell *cell = atomic_load_explicit(&s->cells[i], memory_order_acquire);
        int tries = 0;

        if (!cell)
            continue;
        while (atomic_load_explicit(&cell->busy, memory_order_acquire) && tries++ < DRAIN_TRIES)
            sched_yield();
        if (tries <= DRAIN_TRIES) /* else its thread was put to sleep inside; what it has waits for the next time */
            hand_out(s, state_of(cell), readers);
    }
}

static void drain_shared_cells(VmafxSeries *s, unsigned readers)
{
    for (size_t i = 0; i < VMAFX_SHARED_CELLS; i++) {
        VmafxSeriesCell *cell = atomic_load_explicit(&s->shared[i], memory_order_acquire);

        for (int tries = 0; cell && tries < DRAIN_TRIES; tries++) {
            if (cell_try(cell)) {
                hand_out(s, state_of(cell), readers);
                cell_leave(cell);
                break;
            }
            sched_yield();
        }
    }
}

static void drain_exemplars(VmafxSeries *s, unsigned readers)
{
    size_t n = vmafx_reservoir_slots(s->config);
    VMAFX_AUTO(vmafx_free_p) VmafxExemplarSlot *slots = calloc(n, sizeof *slots);
    VMAFX_AUTO(vmafx_free_p) VmafxExemplarAttrs *attrs = calloc(n, sizeof *attrs);
    bool any = false;

    if (!slots || !attrs)
        return;
    vmafx_reservoir_take(s->reservoir, slots, attrs);
    for (size_t i = 0; i < n; i++)
        any |= slots[i].set;
    for (unsigned r = 0; any && r < s->env->n_readers; r++) {
        VmafxReaderSeries *reader = &s->readers[r];

        if (!(readers >> r & 1))
            continue;
        if (!reader->exemplars)
            reader->exemplars = calloc(n, sizeof *reader->exemplars);
        if (!reader->exemplar_attrs)
            reader->exemplar_attrs = calloc(n, sizeof *reader->exemplar_attrs);
        for (size_t i = 0; reader->exemplars && reader->exemplar_attrs && i < n; i++)
            if (slots[i].set) {
                reader->exemplars[i] = slots[i];
                reader->exemplar_attrs[i] = attrs[i];
            }
    }
}

void vmafx_series_drain(VmafxSeries *const *series, size_t n, unsigned readers)
{
    if (!n)
        return;
    for (size_t i = 0; i < n; i++)
        if (series[i]->reservoir)
            drain_exemplars(series[i], readers);
    if (series[0]->config->kind == VMAFX_AGG_LAST_VALUE) {
        for (size_t i = 0; i < n; i++)
            drain_last(series[i], readers);
        return;
    }
    for (size_t i = 0; i < n; i++)
        atomic_store_explicit(&series[i]->draining, true, memory_order_seq_cst);
    bool passed = barrier(series[0]->env);
    for (size_t i = 0; i < n; i++) {
        if (passed)
            drain_own_cells(series[i], readers);
        atomic_store_explicit(&series[i]->draining, false, memory_order_seq_cst);
        drain_shared_cells(series[i], readers);
    }
}
