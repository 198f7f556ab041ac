/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Where spans live: lanes, slabs, and the copies a span makes of what it is given. See span.h for the drawing.
 *
 * A lane passes from thread to thread by an exchange of its state. When its provider goes first, the state says CLOSED
 * and the thread frees the lane; when the thread goes first it says ORPHAN, and the provider or a new thread has it.
 */

#include "otel/sdk/span.h"

#include <pthread.h>
#include <string.h>

#include "base/base.h"

enum { HANDLE_BYTES = (sizeof(SpanHandle) + 63) / 64 * 64 };
enum { SLAB_RECORDS = 16, SLAB_HANDLES = 64, CHUNK_MIN = 2048, DEPTH_MAX = 64 };

/* The lane this thread used last, and all it has (linked by next). */
_Thread_local TraceLane *vmafx_lane_last;
static _Thread_local TraceLane *thread_lanes;

static pthread_once_t key_once = PTHREAD_ONCE_INIT; /* written by the once alone: */
static pthread_key_t key;
static bool key_made;

/* ---- lanes ---- */

static void release_lanes(void *unused)
{
    TraceLane *lane = VMAFX_TAKE(thread_lanes);

    vmafx_lane_last = NULL;
    while (lane) {
        TraceLane *next = lane->next;
        int owned = LANE_OWNED; /* the provider may be gone: nothing but the state is touched */

        if (!atomic_compare_exchange_strong_explicit(&lane->state, &owned, LANE_ORPHAN, memory_order_acq_rel,
                                                     memory_order_acquire))
            free(lane);
        lane = next;
    }
}

static void make_key(void)
{
    key_made = pthread_key_create(&key, release_lanes) == 0;
}

static TraceLane *adopt(VmafxTraceProvider *provider)
{
    unsigned n = atomic_load_explicit(&provider->n_lanes, memory_order_acquire);

    for (unsigned i = 0; i < n && i < VMAFX_TRACE_LANES_MAX; i++) {
        TraceLane *lane = atomic_load_explicit(&provider->lanes[i], memory_order_acquire);
        int orphan = LANE_ORPHAN;

        if (lane && atomic_compare_exchange_strong_explicit(&lane->state, &orphan, LANE_OWNED, memory_order_acq_rel,
                                                            memory_order_relaxed))
            return lane;
    }
    return NULL;
}

static TraceLane *make(VmafxTraceProvider *provider)
{
    unsigned index = atomic_load_explicit(&provider->n_lanes, memory_order_relaxed);

    do {
        if (index >= VMAFX_TRACE_LANES_MAX)
            return NULL;
    } while (!atomic_compare_exchange_weak_explicit(&provider->n_lanes, &index, index + 1, memory_order_acq_rel,
                                                    memory_order_relaxed));

    TraceLane *lane = vmafx_alloc_aligned(1, sizeof *lane);

    if (!lane)
        return NULL; /* the number stays unused */
    lane->index = index;
    lane->provider = provider;
    atomic_store_explicit(&lane->state, LANE_OWNED, memory_order_relaxed);
    atomic_store_explicit(&provider->lanes[index], lane, memory_order_release);
    return lane;
}

__attribute__((noinline)) TraceLane *vmafx_lane_get_slow(VmafxTraceProvider *provider)
{
    TraceLane **at = &thread_lanes;

    while (*at) {
        TraceLane *lane = *at;

        if (atomic_load_explicit(&lane->state, memory_order_acquire) == LANE_CLOSED) {
            *at = lane->next;
            if (vmafx_lane_last == lane)
                vmafx_lane_last = NULL;
            free(lane);
        } else if (lane->provider == provider) {
            return vmafx_lane_last = lane;
        } else {
            at = &lane->next;
        }
    }

    pthread_once(&key_once, make_key);
    if (!key_made || pthread_setspecific(key, &thread_lanes))
        return NULL;

    TraceLane *lane = adopt(provider);

    if (!lane)
        lane = make(provider);
    if (!lane)
        return NULL;
    lane->next = thread_lanes;
    thread_lanes = lane;
    return vmafx_lane_last = lane;
}

static size_t free_slots(SpanPool *pool)
{
    size_t n = 0;

    for (SpanHandle *h = pool->free; h; h = h->next_free)
        n++;
    for (SpanHandle *h = atomic_load_explicit(&pool->returned, memory_order_acquire); h; h = h->next_free)
        n++;
    return n;
}

static void free_slabs(SpanPool *pool)
{
    while (pool->slabs) {
        SpanSlab *slab = pool->slabs;

        pool->slabs = slab->next;
        free(slab);
    }
}

bool vmafx_lanes_free(VmafxTraceProvider *provider)
{
    unsigned n = atomic_load_explicit(&provider->n_lanes, memory_order_acquire);
    size_t in_use = 0;

    for (unsigned i = 0; i < n; i++) {
        TraceLane *lane = atomic_load_explicit(&provider->lanes[i], memory_order_acquire);

        if (lane)
            in_use +=
                lane->records.slots + lane->handles.slots - free_slots(&lane->records) - free_slots(&lane->handles);
    }
    if (in_use)
        return false;
    for (unsigned i = 0; i < n; i++) {
        TraceLane *lane = atomic_load_explicit(&provider->lanes[i], memory_order_acquire);

        if (!lane)
            continue;
        free_slabs(&lane->records);
        free_slabs(&lane->handles);
        /* This thread's own is in its list: it is found closed there, like that of any other thread. */
        if (atomic_exchange_explicit(&lane->state, LANE_CLOSED, memory_order_acq_rel) == LANE_ORPHAN)
            free(lane);
    }
    return true;
}

/* ---- slots ---- */

static bool grow(TraceLane *lane, SpanPool *pool, size_t slot_bytes, size_t n, atomic_size_t *total)
{
    VmafxTraceProvider *provider = lane->provider;
    size_t made = atomic_load_explicit(total, memory_order_relaxed), wanted = n;

    do {
        if (made >= provider->records_max)
            return false;
        n = VMAFX_MIN(wanted, provider->records_max - made);
    } while (
        !atomic_compare_exchange_weak_explicit(total, &made, made + n, memory_order_relaxed, memory_order_relaxed));

    char *memory = vmafx_alloc_aligned(1, 64 + n * slot_bytes);

    if (!memory) {
        atomic_fetch_sub_explicit(total, n, memory_order_relaxed);
        return false;
    }

    SpanSlab *slab = (SpanSlab *)memory;

    slab->next = pool->slabs;
    pool->slabs = slab;
    pool->slots += n;
    for (size_t i = n; i-- > 0;) {
        SpanHandle *handle = (SpanHandle *)(memory + 64 + i * slot_bytes);

        handle->provider = provider;
        handle->home = lane;
        handle->next_free = pool->free;
        pool->free = handle;
    }
    return true;
}

bool vmafx_pool_fill(TraceLane *lane, SpanPool *pool)
{
    bool records = pool == &lane->records;

    if (atomic_load_explicit(&pool->returned, memory_order_relaxed)) {
        pool->free = atomic_exchange_explicit(&pool->returned, NULL, memory_order_acquire);
        return true;
    }
    return records ? grow(lane, pool, RECORD_BYTES, SLAB_RECORDS, &lane->provider->records)
                   : grow(lane, pool, HANDLE_BYTES, SLAB_HANDLES, &lane->provider->handles);
}

void vmafx_slot_return(SpanHandle *handle, SpanPool *pool)
{
    SpanHandle *top = atomic_load_explicit(&pool->returned, memory_order_relaxed);

    do
        handle->next_free = top;
    while (!atomic_compare_exchange_weak_explicit(&pool->returned, &top, handle, memory_order_release,
                                                  memory_order_relaxed));
}

void vmafx_record_give(SpanRecording *record)
{
    while (record->chunks) {
        SpanChunk *chunk = record->chunks;

        record->chunks = chunk->next;
        free(chunk);
    }
    vmafx_slot_give(&record->handle, &record->handle.home->records);
}

/* ---- copies ---- */

static bool add_chunk(SpanRecording *record, size_t size)
{
    size_t bytes = sizeof(SpanChunk) + VMAFX_MAX(size, (size_t)CHUNK_MIN);

    if (bytes > record->handle.provider->limits.span_bytes -
                    VMAFX_MIN(record->chunk_bytes, record->handle.provider->limits.span_bytes))
        return false;

    SpanChunk *chunk = malloc(bytes);

    if (!chunk)
        return false;
    chunk->next = record->chunks;
    record->chunks = chunk;
    record->chunk_bytes += bytes;
    record->text_at = (char *)(chunk + 1);
    record->text_end = (char *)chunk + bytes;
    return true;
}

void *vmafx_record_alloc_slow(SpanRecording *record, size_t size)
{
    size_t rounded = (size + 7) & ~(size_t)7;

    if (rounded < size || !add_chunk(record, rounded))
        return NULL;

    void *memory = record->text_at;

    record->text_at += rounded;
    return memory;
}

/* How many bytes the first n characters of a text take. Bytes that are not UTF-8 count as what they seem to be. */
static size_t characters(const char *ptr, size_t len, size_t n)
{
    size_t i = 0;

    if (len <= n)
        return len;
    for (; i < len; i++)
        if (((unsigned char)ptr[i] & 0xc0) != 0x80 && n-- == 0)
            break;
    return i;
}

static bool copy_value(SpanRecording *record, const VmafxValue *from, VmafxValue *to, int depth)
{
    size_t limit = record->handle.provider->limits.value_length;

    *to = *from;
    switch (from->type) {
    case VMAFX_VALUE_STR:
    case VMAFX_VALUE_BYTES:
        if (!from->str.ptr)
            to->str.len = 0;
        else if (from->str.len > limit)
            to->str.len = from->type == VMAFX_VALUE_BYTES ? limit : characters(from->str.ptr, from->str.len, limit);
        to->str.ptr = vmafx_record_text(record, from->str.ptr ? from->str.ptr : "", to->str.len);
        return to->str.ptr;
    case VMAFX_VALUE_ARRAY:
    case VMAFX_VALUE_MAP:
        break;
    default:
        return true;
    }

    /* Both are a pointer and a count; depth counts the collections around a value. */
    bool map = from->type == VMAFX_VALUE_MAP;
    size_t n = map ? from->map.n : from->array.n, bytes, kept = 0;

    if (depth >= DEPTH_MAX) {
        *to = (VmafxValue){ .type = VMAFX_VALUE_EMPTY };
        return true;
    }
    if (map ? !from->map.items : !from->array.items)
        n = 0;
    if (__builtin_mul_overflow(n, map ? sizeof(VmafxAttr) : sizeof(VmafxValue), &bytes))
        return false;

    void *items = vmafx_record_alloc(record, bytes);

    if (!items)
        return false;
    if (!map) {
        VmafxValue *values = items;

        for (; kept < n; kept++)
            if (!copy_value(record, &from->array.items[kept], &values[kept], depth + 1))
                return false;
        to->array.items = values;
        to->array.n = n;
        return true;
    }

    VmafxAttr *attrs = items;

    for (size_t i = 0; i < n; i++) {
        const VmafxAttr *a = &from->map.items[i];
        size_t at = 0;

        if (!a->key || !*a->key)
            continue;
        while (at < kept && strcmp(attrs[at].key, a->key))
            at++;
        if (at == kept)
            attrs[at].key = vmafx_record_text(record, a->key, strlen(a->key));
        if (!attrs[at].key || !copy_value(record, &a->value, &attrs[at].value, depth + 1))
            return false;
        kept += at == kept;
    }
    to->map.items = attrs;
    to->map.n = kept;
    return true;
}

bool vmafx_record_value_slow(SpanRecording *record, const VmafxValue *from, VmafxValue *to)
{
    return copy_value(record, from, to, 0);
}

VmafxAttrs vmafx_record_attrs(SpanRecording *record, VmafxAttrs from, size_t limit, uint32_t *dropped)
{
    size_t room = from.items ? VMAFX_MIN(from.n, limit) : 0, n = 0;
    VmafxAttr *attrs =
        room && room < SIZE_MAX / sizeof *attrs ? vmafx_record_alloc(record, room * sizeof *attrs) : NULL;

    if (!attrs)
        room = 0;
    for (size_t i = 0; from.items && i < from.n; i++) {
        const VmafxAttr *a = &from.items[i];
        VmafxValue value;
        size_t at = 0;

        if (!a->key || !*a->key)
            continue;
        while (at < n && strcmp(attrs[at].key, a->key))
            at++;
        if (at == room || !vmafx_record_value(record, &a->value, &value)) {
            ++*dropped;
            continue;
        }
        if (at == n) {
            attrs[n].key = vmafx_record_text(record, a->key, strlen(a->key));
            if (!attrs[n].key) {
                ++*dropped;
                continue;
            }
            n++;
        }
        attrs[at].value = value;
    }
    return (VmafxAttrs){ n ? attrs : NULL, n };
}

bool vmafx_record_grow(SpanRecording *record, const void **items, size_t n, size_t *room, size_t size, size_t limit)
{
    if (n >= limit)
        return false;
    if (n < *room)
        return true;

    size_t more = VMAFX_MIN(*room * 2, limit), bytes;
    void *grown = __builtin_mul_overflow(more, size, &bytes) ? NULL : vmafx_record_alloc(record, bytes);

    if (!grown)
        return false;
    memcpy(grown, *items, n * size);
    *items = grown;
    *room = more;
    return true;
}
