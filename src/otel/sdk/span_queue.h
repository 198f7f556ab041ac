/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The batch processor's queue: a ring per lane with one producer each, one consumer for all, and one bound over all.
 *
 * The bound without a shared counter per span: the queue's room is a number of credits. A lane takes some at a time
 * from `available` and spends one for each span with an operation on a cache line of its own. What is neither available
 * nor with a lane is used: in a ring, or about to be. When none is left, a lane looks for what others hold before it
 * drops, so idle threads keep nothing from busy ones. Near the batch size lanes take one credit at a time, so whoever
 * fills the batch notices. The consumer, when it finds less used than it was told, collects all lanes' credits, after
 * which the numbers are exact.
 *
 * Nothing waits and nothing locks.
 */
#ifndef VMAFX_OTEL_SDK_SPAN_QUEUE_H
#define VMAFX_OTEL_SDK_SPAN_QUEUE_H

#include <stdatomic.h>

#include "otel/sdk/trace_provider.h"

/** One lane's ring. The lane's thread writes tail, the consumer writes head. */
typedef struct SpanRing {
    _Alignas(64) atomic_size_t tail; /* stored with release after the item; the consumer's acquire pairs with it */
    atomic_long credits;             /* the lane spends, anyone may take them away */
    unsigned long searched;          /* the lane's thread: at which `returns` it found nothing anywhere */
    atomic_uint_least64_t dropped;
    _Alignas(64) atomic_size_t head; /* stored with release after the item was read; pairs with the lane's acquire */
    size_t until;                    /* the consumer's: how far a bounded collect goes */
    size_t mask;
    VmafxFinishedSpan *items[];
} SpanRing;

typedef struct SpanQueue {
    size_t max, batch, ring_size;
    unsigned next_ring; /* the consumer's: where collecting goes on, so that no ring is always last */

    _Alignas(64) atomic_long available; /* credits nobody has */
    atomic_ulong returns;               /* how often credits came back */
    _Alignas(64) atomic_uint n_rings;   /* one more than the highest lane with a ring */
    _Atomic(SpanRing *) rings[VMAFX_TRACE_LANES_MAX];
} SpanQueue;

typedef enum SpanPush { SPAN_PUSHED, SPAN_QUEUE_FULL, SPAN_NO_MEMORY } SpanPush;

/** max spans, of which batch are worth waking the consumer for. The queue is zeroed memory. */
void vmafx_span_queue_init(SpanQueue *queue, size_t max, size_t batch);
/** Frees the rings, which must be empty and no longer pushed to. */
void vmafx_span_queue_done(SpanQueue *queue);

/** Takes the span over only when pushed. ret_wake: there is a batch's worth, or no room. One thread per lane. */
SpanPush vmafx_span_queue_push(SpanQueue *queue, VmafxFinishedSpan *span, unsigned lane, bool *ret_wake);

/* The consumer's: */

/** How many credits are used up; exact after vmafx_span_queue_recount. */
size_t vmafx_span_queue_used(const SpanQueue *queue);
void vmafx_span_queue_recount(SpanQueue *queue);
/** Up to a batch, in the order of each ring; with bounded only what was there at the last mark. */
size_t vmafx_span_queue_collect(SpanQueue *queue, bool bounded, VmafxFinishedSpan **ret);
void vmafx_span_queue_mark(SpanQueue *queue);

/* Anyone's: */

size_t vmafx_span_queue_size(const SpanQueue *queue); /* in the rings */
uint64_t vmafx_span_queue_dropped(const SpanQueue *queue);
#endif
