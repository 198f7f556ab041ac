/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Rings and credits; the header explains them. */

#include "otel/sdk/span_queue.h"

#include <limits.h>
#include <string.h>

#include "base/base.h"

enum { CREDITS_AT_ONCE = 32 };

static SpanRing *ring_at(const SpanQueue *queue, unsigned i)
{
    return atomic_load_explicit(&queue->rings[i], memory_order_acquire);
}

static unsigned n_rings(const SpanQueue *queue)
{
    return atomic_load_explicit(&queue->n_rings, memory_order_acquire);
}

void vmafx_span_queue_init(SpanQueue *queue, size_t max, size_t batch)
{
    queue->max = max;
    queue->batch = batch;
    for (queue->ring_size = 1; queue->ring_size < max;)
        queue->ring_size *= 2;
    atomic_store(&queue->available, (long)max);
}

void vmafx_span_queue_done(SpanQueue *queue)
{
    for (unsigned i = 0; i < VMAFX_TRACE_LANES_MAX; i++)
        free(atomic_load_explicit(&queue->rings[i], memory_order_relaxed));
}

/* ---- credits ---- */

static bool spend(SpanRing *ring)
{
    long have = atomic_load_explicit(&ring->credits, memory_order_relaxed);

    while (have > 0)
        if (atomic_compare_exchange_weak_explicit(&ring->credits, &have, have - 1, memory_order_acquire,
                                                  memory_order_relaxed))
            return true;
    return false;
}

static void put_back(SpanQueue *queue, long n)
{
    if (n > 0)
        atomic_fetch_add_explicit(&queue->available, n,
                                  memory_order_release); /* pairs with take_some: heads come too */
}

void vmafx_span_queue_recount(SpanQueue *queue)
{
    for (unsigned i = 0, n = n_rings(queue); i < n; i++) {
        SpanRing *ring = ring_at(queue, i);

        if (ring && atomic_load_explicit(&ring->credits, memory_order_relaxed) > 0)
            put_back(queue, atomic_exchange_explicit(&ring->credits, 0, memory_order_acq_rel));
    }
}

/* One credit for now and perhaps some for later. ret_wake: the batch is full with it. */
static bool take_some(SpanQueue *queue, SpanRing *ring, bool *ret_wake)
{
    long have = atomic_load_explicit(&queue->available, memory_order_relaxed), some, used;

    do {
        if (have <= 0)
            return false;
        used = (long)queue->max - have;
        some = (long)queue->batch > used ? ((long)queue->batch - used) / 4 : have / 4;
        some = VMAFX_MAX(VMAFX_MIN(some, (long)CREDITS_AT_ONCE), 1L);
        some = VMAFX_MIN(some, have);
    } while (!atomic_compare_exchange_weak_explicit(&queue->available, &have, have - some, memory_order_acquire,
                                                    memory_order_relaxed));
    if (some > 1)
        atomic_fetch_add_explicit(&ring->credits, some - 1, memory_order_relaxed);
    *ret_wake = used + some >= (long)queue->batch;
    return true;
}

static __attribute__((noinline)) bool search(SpanQueue *queue, SpanRing *ring, bool *ret_wake)
{
    unsigned long returns;

    if (take_some(queue, ring, ret_wake))
        return true;
    *ret_wake = true;
    returns = atomic_load_explicit(&queue->returns, memory_order_acquire);
    if (ring->searched == returns)
        return false; /* nothing came back since nobody had any */
    vmafx_span_queue_recount(queue);
    if (take_some(queue, ring, ret_wake))
        return true;
    ring->searched = returns;
    return false;
}

/* ---- producers ---- */

static SpanRing *make_ring(SpanQueue *queue, unsigned lane)
{
    size_t bytes = sizeof(SpanRing) + queue->ring_size * sizeof(VmafxFinishedSpan *);
    SpanRing *ring = aligned_alloc(64, (bytes + 63) / 64 * 64);
    unsigned n = atomic_load_explicit(&queue->n_rings, memory_order_relaxed);

    if (!ring)
        return NULL;
    memset(ring, 0, sizeof *ring); /* the items' pages come when they are used */
    ring->mask = queue->ring_size - 1;
    ring->searched = ULONG_MAX;
    atomic_store_explicit(&queue->rings[lane], ring, memory_order_release);
    while (n <= lane && !atomic_compare_exchange_weak_explicit(&queue->n_rings, &n, lane + 1, memory_order_release,
                                                               memory_order_relaxed)) {
    }
    return ring;
}

SpanPush vmafx_span_queue_push(SpanQueue *queue, VmafxFinishedSpan *span, unsigned lane, bool *ret_wake)
{
    SpanRing *ring = lane < VMAFX_TRACE_LANES_MAX ? ring_at(queue, lane) : NULL;

    *ret_wake = false;
    if (!ring && lane < VMAFX_TRACE_LANES_MAX)
        ring = make_ring(queue, lane);
    if (!ring)
        return SPAN_NO_MEMORY;

    size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    bool room = spend(ring) || search(queue, ring, ret_wake);

    if (room && tail - atomic_load_explicit(&ring->head, memory_order_acquire) > ring->mask) {
        put_back(queue, 1); /* cannot be: a ring has room for max. Kept so that no arithmetic can overwrite a span */
        room = false;
    }
    if (!room) {
        atomic_store_explicit(&ring->dropped, atomic_load_explicit(&ring->dropped, memory_order_relaxed) + 1,
                              memory_order_relaxed);
        return SPAN_QUEUE_FULL;
    }
    ring->items[tail & ring->mask] = span;
    atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
    return SPAN_PUSHED;
}

/* ---- the consumer ---- */

size_t vmafx_span_queue_used(const SpanQueue *queue)
{
    long free_ones = atomic_load_explicit(&queue->available, memory_order_relaxed);

    return free_ones >= (long)queue->max ? 0 : queue->max - (size_t)VMAFX_MAX(free_ones, 0L);
}

size_t vmafx_span_queue_collect(SpanQueue *queue, bool bounded, VmafxFinishedSpan **ret)
{
    unsigned n = n_rings(queue);
    size_t got = 0;

    for (unsigned i = 0, first = queue->next_ring; i < n && got < queue->batch; i++) {
        unsigned at = (first + i) % n;
        SpanRing *ring = ring_at(queue, at);

        if (!ring)
            continue;

        size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed), begin = head;
        size_t end = bounded ? ring->until : atomic_load_explicit(&ring->tail, memory_order_acquire);

        while (got < queue->batch && (ptrdiff_t)(end - head) > 0)
            ret[got++] = ring->items[head++ & ring->mask];
        if (head != begin)
            atomic_store_explicit(&ring->head, head, memory_order_release);
        if (got == queue->batch)
            queue->next_ring = at + 1;
    }
    if (got) {
        put_back(queue, (long)got);
        atomic_fetch_add_explicit(&queue->returns, 1, memory_order_release);
    }
    return got;
}

void vmafx_span_queue_mark(SpanQueue *queue)
{
    for (unsigned i = 0, n = n_rings(queue); i < n; i++) {
        SpanRing *ring = ring_at(queue, i);

        if (ring)
            ring->until = atomic_load_explicit(&ring->tail, memory_order_acquire);
    }
}

/* ---- counts ---- */

size_t vmafx_span_queue_size(const SpanQueue *queue)
{
    size_t sum = 0;

    for (unsigned i = 0, n = n_rings(queue); i < n; i++) {
        const SpanRing *ring = ring_at(queue, i);

        if (ring) {
            size_t head =
                atomic_load_explicit(&ring->head, memory_order_acquire); /* first: it never passes a later tail */

            sum += atomic_load_explicit(&ring->tail, memory_order_acquire) - head;
        }
    }
    return sum;
}

uint64_t vmafx_span_queue_dropped(const SpanQueue *queue)
{
    uint64_t sum = 0;

    for (unsigned i = 0, n = n_rings(queue); i < n; i++) {
        const SpanRing *ring = ring_at(queue, i);

        sum += ring ? atomic_load_explicit(&ring->dropped, memory_order_relaxed) : 0;
    }
    return sum;
}
