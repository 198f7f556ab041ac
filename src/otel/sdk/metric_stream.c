/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Streams: their series, measured or observed; what collections make of them is in metric_collect.c. The table is open
 * addressing over pointers to series; readers of it need no lock because entries only ever go from NULL to a series and
 * a grown table replaces the old one whole (old ones are kept, they add up to one more table at most). Observable
 * streams are touched under the lock only, so their series may also go.
 */

#include "otel/sdk/metric_stream.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "otel/api/attr_set.h"
#include "otel/sdk/metric_stream_impl.h"

enum { TABLE_FIRST = 16, FAST_ATTRS = 32 };

struct Table {
    struct Table *older;
    size_t mask;
    _Atomic(VmafxSeries *) entries[];
};

bool vmafx_attr_filter_keeps(const VmafxAttrFilter *filter, const char *key)
{
    if (!filter->on)
        return true;
    for (size_t i = 0; i < filter->n; i++)
        if (!strcmp(filter->keys[i], key))
            return !filter->exclude;
    return filter->exclude;
}

/* ---- The table ---- */

static Table *table_new(size_t size)
{
    Table *table = calloc(1, sizeof *table + size * sizeof table->entries[0]);

    if (table)
        table->mask = size - 1;
    return table;
}

/* key_len: of attrs, or NULL when they are not known. */
static inline VmafxSeries *table_find(const Table *table, uint64_t hash, VmafxAttrs attrs, const uint32_t *key_len)
{
    for (size_t at = hash & table->mask;; at = (at + 1) & table->mask) {
        VmafxSeries *s = atomic_load_explicit(&table->entries[at], memory_order_acquire);

        if (!s || (s->hash == hash && (key_len ? vmafx_attr_set_equal_len(attrs, key_len, s->attrs, s->key_len)
                                               : vmafx_attr_set_equal(attrs, s->attrs))))
            return s;
    }
}

static void table_put(Table *table, VmafxSeries *s)
{
    size_t at = s->hash & table->mask;

    while (atomic_load_explicit(&table->entries[at], memory_order_relaxed))
        at = (at + 1) & table->mask;
    atomic_store_explicit(&table->entries[at], s, memory_order_release);
}

/* Room for one more at a load of at most a half. */
static bool table_grow(VmafxStream *stream)
{
    Table *table = atomic_load_explicit(&stream->table, memory_order_relaxed);

    if ((stream->n_series + 1) * 2 <= table->mask + 1)
        return true;
    Table *bigger = table_new((table->mask + 1) * 2);
    if (!bigger)
        return false;
    for (size_t i = 0; i < stream->n_series; i++)
        table_put(bigger, stream->series[i]);
    bigger->older = table;
    atomic_store_explicit(&stream->table, bigger, memory_order_release);
    return true;
}

static inline uint64_t set_hash(const VmafxStream *stream, VmafxAttrs attrs)
{
    return vmafx_attr_set_hash(attrs, stream->env->hash_seed, NULL);
}

/* ---- Making and freeing ---- */

VmafxStream *vmafx_stream_new(VmafxMetricEnv *env, const VmafxStreamInfo *info)
{
    VmafxStream *stream = calloc(1, sizeof *stream);

    if (!stream)
        return NULL;
    pthread_mutex_init(&stream->lock, NULL);
    stream->env = env;
    stream->info = *info;
    if (!stream->info.limit)
        stream->info.limit = 1;
    stream->created_ns = env->now(env->now_ctx);
    for (unsigned r = 0; r < VMAFX_METRIC_READERS_MAX; r++)
        stream->readers[r].last_ns = stream->created_ns;
    Table *table = table_new(TABLE_FIRST);
    atomic_store_explicit(&stream->table, table, memory_order_release);
    if (!table)
        vmafx_stream_free(&stream);
    return stream;
}

void vmafx_stream_free(VmafxStream **stream)
{
    VmafxStream *s = *stream;

    if (!s)
        return;
    for (size_t i = 0; i < s->n_series; i++)
        vmafx_series_free(&s->series[i]);
    free(s->series);
    for (Table *table = atomic_load_explicit(&s->table, memory_order_relaxed); table;) {
        Table *older = table->older;

        free(table);
        table = older;
    }
    for (unsigned r = 0; r < VMAFX_METRIC_READERS_MAX; r++)
        free(s->readers[r].seen);
    pthread_mutex_destroy(&s->lock);
    free(s);
    *stream = NULL;
}

const VmafxStreamInfo *vmafx_stream_info(const VmafxStream *stream)
{
    return &stream->info;
}

void vmafx_stream_add_reader(VmafxStream *stream, unsigned reader, bool delta)
{
    stream->info.readers |= 1u << reader;
    stream->info.delta |= (unsigned)delta << reader;
}

/* ---- Finding series ---- */

/* Adds a series for a set that has none. Takes over the block of set. Lock held. */
static VmafxSeries *series_add(VmafxStream *stream, VmafxAttrs set, uint64_t hash)
{
    VmafxSeries **series = stream->series;

    if (stream->n_series == stream->series_room) {
        size_t room = stream->series_room ? 2 * stream->series_room : 8;

        series = realloc(stream->series, room * sizeof *series);
        if (series) {
            stream->series = series;
            stream->series_room = room;
        }
    }
    if (!series || !table_grow(stream)) {
        free((void *)set.items);
        return NULL;
    }
    VmafxSeries *s = vmafx_series_new(stream->env, &stream->info.config, set, hash, stream->info.filter.on);
    if (!s)
        return NULL;
    stream->series[stream->n_series++] = s;
    table_put(atomic_load_explicit(&stream->table, memory_order_relaxed), s);
    if (!set.n)
        atomic_store_explicit(&stream->plain, s, memory_order_release);
    return s;
}

/* Full observable streams let go of series that no reader saw in its latest collection. Lock held. */
static void purge(VmafxStream *stream)
{
    Table *table = atomic_load_explicit(&stream->table, memory_order_relaxed);
    size_t kept = 0;

    for (size_t i = 0; i < stream->n_series; i++) {
        VmafxSeries *s = stream->series[i];
        bool seen = s == stream->overflow;

        for (unsigned r = 0; r < stream->env->n_readers; r++)
            seen |= s->readers[r].round && s->readers[r].round >= stream->readers[r].rounds;
        if (seen) {
            stream->series[kept++] = s;
        } else {
            if (s == atomic_load_explicit(&stream->plain, memory_order_relaxed))
                atomic_store_explicit(&stream->plain, NULL, memory_order_relaxed);
            vmafx_series_free(&s);
            stream->n_sets--;
        }
    }
    stream->n_series = kept;
    for (size_t i = 0; i <= table->mask; i++)
        atomic_store_explicit(&table->entries[i], NULL, memory_order_relaxed);
    for (size_t i = 0; i < kept; i++)
        table_put(table, stream->series[i]);
}

/* Lock held. */
static VmafxSeries *overflow_series(VmafxStream *stream)
{
    VmafxAttrs set;

    if (!stream->overflow_seen) {
        stream->overflow_seen = true;
        atomic_store_explicit(&stream->report_overflow, true, memory_order_relaxed);
    }
    atomic_fetch_add_explicit(&stream->env->counts.overflowed, 1, memory_order_relaxed);
    if (stream->overflow)
        return stream->overflow;
    if (!vmafx_attr_set_copy(VMAFX_ATTRS(VMAFX_ATTR_BOOL("otel.metric.overflow", true)), &set))
        return NULL;

    uint64_t hash = set_hash(stream, set);
    VmafxSeries *own = table_find(atomic_load_explicit(&stream->table, memory_order_relaxed), hash, set, NULL);
    if (own) { /* someone uses this very set for a series of their own; then that is where it goes */
        free((void *)set.items);
        stream->overflow = own;
        stream->n_sets--;
    } else {
        stream->overflow = series_add(stream, set, hash);
    }
    atomic_store_explicit(&stream->full, stream->overflow, memory_order_release);
    return stream->overflow;
}

/* The set that counts: filtered, unique, sorted, in one block. */
static bool normal_set(const VmafxStream *stream, VmafxAttrs attrs, VmafxAttrs *ret)
{
    if (!stream->info.filter.on)
        return vmafx_attr_set_copy(attrs, ret);
    VMAFX_AUTO(vmafx_free_p) VmafxAttr *kept = malloc((attrs.n ? attrs.n : 1) * sizeof *kept);
    size_t n = 0;

    if (!kept)
        return false;
    for (size_t i = 0; i < attrs.n; i++)
        if (attrs.items[i].key && vmafx_attr_filter_keeps(&stream->info.filter, attrs.items[i].key))
            kept[n++] = attrs.items[i];
    return vmafx_attr_set_copy((VmafxAttrs){ kept, n }, ret);
}

/* collection tells one collection from another (observable streams). Lock held. */
static VmafxSeries *find_or_add(VmafxStream *stream, VmafxAttrs attrs, uint64_t collection)
{
    VmafxAttrs set;

    if (!normal_set(stream, attrs, &set))
        return NULL;
    uint64_t hash = set_hash(stream, set);
    VmafxSeries *s = table_find(atomic_load_explicit(&stream->table, memory_order_relaxed), hash, set, NULL);

    if (s) {
        free((void *)set.items);
        return s;
    }
    if (stream->n_sets >= stream->info.limit && stream->purged != collection) {
        stream->purged = collection;
        purge(stream);
    }
    if (stream->n_sets >= stream->info.limit) {
        free((void *)set.items);
        return overflow_series(stream);
    }
    s = series_add(stream, set, hash);
    if (s)
        stream->n_sets++;
    return s;
}

static VmafxSeries *find_slowly(VmafxStream *stream, VmafxAttrs attrs)
{
    if (!vmafx_metric_env_alive(stream->env))
        return NULL;
    pthread_mutex_lock(&stream->lock);
    VmafxSeries *s = find_or_add(stream, attrs, 0);
    pthread_mutex_unlock(&stream->lock);
    if (!s)
        atomic_fetch_add_explicit(&stream->env->counts.no_memory, 1, memory_order_relaxed);
    return s;
}

/* The list as it may be looked up without a lock. False: a key is missing, or it has too many attributes. */
static bool kept_attrs(const VmafxStream *stream, VmafxAttrs attrs, VmafxAttr room[FAST_ATTRS], VmafxAttrs *ret)
{
    size_t n = 0;

    if (attrs.n > FAST_ATTRS)
        return false;
    for (size_t i = 0; i < attrs.n; i++) {
        if (!attrs.items[i].key)
            return false;
        if (stream->info.filter.on && vmafx_attr_filter_keeps(&stream->info.filter, attrs.items[i].key))
            room[n++] = attrs.items[i];
    }
    *ret = stream->info.filter.on ? (VmafxAttrs){ room, n } : attrs;
    return true;
}

static bool has_key_twice(VmafxAttrs attrs)
{
    for (size_t i = 0; i < attrs.n; i++)
        for (size_t j = 0; j < i; j++)
            if (!strcmp(attrs.items[i].key, attrs.items[j].key))
                return true;
    return false;
}

VmafxSeries *vmafx_stream_series(VmafxStream *stream, VmafxAttrs attrs)
{
    VmafxAttr room[FAST_ATTRS];
    uint32_t key_len[FAST_ATTRS];
    VmafxAttrs set;

    if (!attrs.n) {
        VmafxSeries *plain = atomic_load_explicit(&stream->plain, memory_order_acquire);

        if (plain)
            return plain;
    }
    if (!kept_attrs(stream, attrs, room, &set))
        return find_slowly(stream, attrs);

    /* A list with a key twice is not found here and is looked up in its normal form. */
    uint64_t hash = vmafx_attr_set_hash(set, stream->env->hash_seed, key_len);
    VmafxSeries *s = table_find(atomic_load_explicit(&stream->table, memory_order_acquire), hash, set, key_len);
    if (s)
        return s;
    VmafxSeries *overflow = atomic_load_explicit(&stream->full, memory_order_acquire);
    if (!overflow || has_key_twice(set))
        return find_slowly(stream, attrs);
    /* Full: whatever had got in before is in the table by now. */
    s = table_find(atomic_load_explicit(&stream->table, memory_order_acquire), hash, set, key_len);
    if (!s)
        atomic_fetch_add_explicit(&stream->env->counts.overflowed, 1, memory_order_relaxed);
    return s ? s : overflow;
}

void vmafx_stream_exemplar(VmafxStream *stream, VmafxSeries *series, VmafxNumber value, VmafxAttrs attrs,
                           const VmafxContext *context)
{
    VmafxSpanContext span;
    VmafxAttr dropped[FAST_ATTRS];
    size_t n = 0;

    if (!series->reservoir || !vmafx_exemplar_eligible(stream->env->exemplars, context, &span))
        return;
    for (size_t i = 0; stream->info.filter.on && i < attrs.n && n < FAST_ATTRS; i++)
        if (attrs.items[i].key && !vmafx_attr_filter_keeps(&stream->info.filter, attrs.items[i].key))
            dropped[n++] = attrs.items[i];
    vmafx_reservoir_offer(series->reservoir, value, &span, (VmafxAttrs){ dropped, n }, stream->env->now,
                          stream->env->now_ctx);
}

bool vmafx_stream_overflow_to_report(VmafxStream *stream)
{
    return atomic_exchange_explicit(&stream->report_overflow, false, memory_order_relaxed);
}

/* ---- Observations ---- */

static VmafxNumber added(VmafxNumber a, VmafxNumber b)
{
    VmafxNumber sum = { .d = a.d + b.d };

    if (__builtin_add_overflow(a.i, b.i, &sum.i))
        sum.i = b.i < 0 ? INT64_MIN : INT64_MAX;
    return sum;
}

/* The value this raw set had earlier in this round, replaced by the new one. False: it had none. */
static bool seen_before(ReaderStream *reader, uint64_t round, uint64_t hash, VmafxNumber value, uint32_t limit,
                        VmafxNumber *ret_earlier)
{
    if (reader->seen_round != round) {
        reader->seen_round = round;
        reader->n_seen = 0;
    }
    for (size_t i = 0; i < reader->n_seen; i++)
        if (reader->seen[i].hash == hash) {
            *ret_earlier = reader->seen[i].value;
            reader->seen[i].value = value;
            return true;
        }
    if (reader->n_seen == reader->seen_room) {
        size_t room = reader->seen_room ? 2 * reader->seen_room : 16;
        Seen *seen = room > 2 * (size_t)limit + 16 ? NULL : realloc(reader->seen, room * sizeof *seen);

        if (!seen)
            return false;
        reader->seen = seen;
        reader->seen_room = room;
    }
    reader->seen[reader->n_seen++] = (Seen){ hash, value };
    return false;
}

void vmafx_stream_observe(VmafxStream *stream, unsigned reader, uint64_t round, VmafxNumber value, VmafxAttrs attrs)
{
    if (!(stream->info.readers >> reader & 1))
        return;
    pthread_mutex_lock(&stream->lock);
    VmafxSeries *s = find_or_add(stream, attrs, round * VMAFX_METRIC_READERS_MAX + reader);
    if (!s) {
        pthread_mutex_unlock(&stream->lock);
        atomic_fetch_add_explicit(&stream->env->counts.no_memory, 1, memory_order_relaxed);
        return;
    }

    VmafxReaderSeries *rs = &s->readers[reader];
    ReaderStream *stream_reader = &stream->readers[reader];
    bool several = stream->info.config.kind == VMAFX_AGG_SUM && (stream->info.filter.on || s == stream->overflow);
    VmafxNumber earlier = { 0 };

    if (!rs->known) {
        rs->known = true;
        rs->start_ns = stream_reader->rounds ? stream_reader->last_ns : stream->created_ns;
    }
    if (!several) {
        rs->value = value;
    } else { /* several raw sets meet in this series: they add up */
        if (seen_before(stream_reader, round, set_hash(stream, attrs), value, stream->info.limit, &earlier))
            value = added(value, (VmafxNumber){ earlier.i == INT64_MIN ? INT64_MAX : -earlier.i, -earlier.d });
        rs->value = rs->round == round ? added(rs->value, value) : value;
    }
    rs->round = round;
    pthread_mutex_unlock(&stream->lock);
}
