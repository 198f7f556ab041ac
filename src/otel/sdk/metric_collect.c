/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Collecting: what a reader is told of a stream. The stream's lock is held in all of this but the last function. */

#include "otel/sdk/metric_stream.h"

#include <string.h>

#include "otel/sdk/metric_stream_impl.h"

static VmafxNumber difference(const VmafxStreamInfo *info, VmafxNumber now, VmafxNumber before)
{
    VmafxNumber d = { .d = now.d - before.d };

    if (info->monotonic && (info->config.is_int ? now.i < before.i : now.d < before.d))
        return now; /* what is observed has started anew */
    if (__builtin_sub_overflow(now.i, before.i, &d.i))
        d.i = now.i < 0 ? INT64_MIN : INT64_MAX;
    return d;
}

static bool is_delta(const VmafxStream *stream, unsigned reader)
{
    return stream->info.delta >> reader & 1;
}

static void set_number(VmafxPointData *point, bool is_int, VmafxNumber value)
{
    point->is_int = is_int;
    if (is_int)
        point->i = value.i;
    else
        point->d = value.d;
}

static bool set_exp_buckets(const VmafxStream *stream, const VmafxAggState *state, int sign,
                            VmafxMetricSnapshot *snapshot, VmafxExpBuckets *ret)
{
    VmafxExpRange range = state->range[sign];

    if (range.hi < range.lo)
        return true;
    size_t n = (size_t)((int64_t)range.hi - range.lo + 1);
    uint64_t *counts = vmafx_snapshot_alloc(snapshot, n, sizeof *counts);
    if (!counts)
        return false;
    for (size_t i = 0; i < n; i++)
        counts[i] = vmafx_exp_count(state, &stream->info.config, sign, range.lo + (int32_t)i);
    *ret = (VmafxExpBuckets){ range.lo, counts, n };
    return true;
}

static bool set_histogram(const VmafxStream *stream, const VmafxAggState *state, VmafxMetricSnapshot *snapshot,
                          VmafxPointData *point)
{
    const VmafxAggConfig *config = &stream->info.config;

    point->count = state->count;
    point->has_sum = config->has_sum;
    point->sum = config->has_sum ? vmafx_agg_sum(state) : 0;
    point->has_min_max = config->has_min_max;
    point->min = config->has_min_max ? state->min : 0;
    point->max = config->has_min_max ? state->max : 0;
    if (config->kind == VMAFX_AGG_EXP_HISTOGRAM) {
        point->scale = state->scale;
        point->zero_count = state->zero_count;
        return set_exp_buckets(stream, state, 0, snapshot, &point->positive) &&
               (!config->is_signed || set_exp_buckets(stream, state, 1, snapshot, &point->negative));
    }
    uint64_t *counts = vmafx_snapshot_alloc(snapshot, config->n_bounds + 1, sizeof *counts);
    if (!counts)
        return false;
    memcpy(counts, state->counts, (config->n_bounds + 1) * sizeof *counts);
    point->counts = counts;
    point->bounds = config->bounds;
    point->n_bounds = config->n_bounds;
    return true;
}

static bool set_filtered(const VmafxExemplarAttrs *kept, VmafxMetricSnapshot *snapshot, VmafxExemplar *exemplar)
{
    if (!kept->n)
        return true;
    char *bytes = vmafx_snapshot_alloc(snapshot, 1, kept->used);
    VmafxAttr *attrs = vmafx_snapshot_alloc(snapshot, kept->n, sizeof *attrs);
    if (!bytes || !attrs)
        return false;
    memcpy(bytes, kept->bytes, kept->used);
    for (size_t i = 0; i < kept->n; i++) {
        attrs[i].key = bytes + kept->items[i].key;
        attrs[i].value.type = kept->items[i].type;
        if (kept->items[i].type == VMAFX_VALUE_STR) {
            attrs[i].value.str.ptr = bytes + kept->items[i].text;
            attrs[i].value.str.len = kept->items[i].text_len;
        } else if (kept->items[i].type == VMAFX_VALUE_BOOL) {
            attrs[i].value.b = kept->items[i].i;
        } else if (kept->items[i].type == VMAFX_VALUE_INT) {
            attrs[i].value.i = kept->items[i].i;
        } else if (kept->items[i].type == VMAFX_VALUE_DOUBLE) {
            attrs[i].value.d = kept->items[i].d;
        }
    }
    exemplar->filtered = (VmafxAttrs){ attrs, kept->n };
    return true;
}

/* Exemplars are samples: on no memory there are fewer. */
static void set_exemplars(const VmafxStream *stream, VmafxReaderSeries *rs, VmafxMetricSnapshot *snapshot,
                          VmafxPointData *point)
{
    size_t n = vmafx_reservoir_slots(&stream->info.config), used = 0;

    if (!rs->exemplars || !rs->exemplar_attrs)
        return;
    for (size_t i = 0; i < n; i++)
        used += rs->exemplars[i].set;
    VmafxExemplar *exemplars = used ? vmafx_snapshot_alloc(snapshot, used, sizeof *exemplars) : NULL;
    if (!exemplars)
        return;
    for (size_t i = 0; i < n; i++) {
        VmafxExemplarSlot *slot = &rs->exemplars[i];

        if (!slot->set)
            continue;
        slot->set = false;
        VmafxExemplar *e = &exemplars[point->n_exemplars];
        e->time_ns = slot->time_ns;
        e->is_int = stream->info.config.is_int;
        e->i = slot->value.i;
        e->d = slot->value.d;
        memcpy(e->trace_id, slot->trace_id, sizeof e->trace_id);
        memcpy(e->span_id, slot->span_id, sizeof e->span_id);
        if (set_filtered(&rs->exemplar_attrs[i], snapshot, e))
            point->n_exemplars++;
    }
    point->exemplars = exemplars;
}

static bool sync_point(VmafxStream *stream, unsigned reader, VmafxSeries *s, VmafxMetricSnapshot *snapshot,
                       VmafxPointData *point)
{
    VmafxReaderSeries *rs = &s->readers[reader];
    const VmafxAggConfig *config = &stream->info.config;
    bool delta = is_delta(stream, reader);

    point->attrs = s->attrs;
    point->start_ns =
        delta ? stream->readers[reader].last_ns : atomic_load_explicit(&s->start_ns, memory_order_relaxed);
    if (config->kind == VMAFX_AGG_LAST_VALUE) {
        set_number(point, config->is_int, rs->value);
    } else if (config->kind == VMAFX_AGG_SUM) {
        set_number(point, config->is_int, (VmafxNumber){ rs->state->sum_int, vmafx_agg_sum(rs->state) });
    } else if (!set_histogram(stream, rs->state, snapshot, point)) {
        return false; /* stays for the next time */
    }
    set_exemplars(stream, rs, snapshot, point);
    if (rs->state && rs->state->saturated) {
        atomic_fetch_add_explicit(&stream->env->counts.saturated, 1, memory_order_relaxed);
        rs->state->saturated = false;
    }
    rs->measured = false;
    if (delta && rs->state)
        vmafx_agg_reset(rs->state, config);
    return true;
}

static bool observed_point(VmafxStream *stream, unsigned reader, VmafxSeries *s, VmafxMetricSnapshot *snapshot,
                           VmafxPointData *point)
{
    VmafxReaderSeries *rs = &s->readers[reader];
    bool delta = is_delta(stream, reader);

    if (!vmafx_snapshot_attrs(snapshot, s->attrs, &point->attrs)) /* the series may go before the snapshot does */
        return false;
    point->start_ns = delta ? stream->readers[reader].last_ns : rs->start_ns;
    set_number(point, stream->info.config.is_int,
               delta ? difference(&stream->info, rs->value, rs->previous) : rs->value);
    rs->previous = rs->value;
    return true;
}

static bool has_point(const VmafxStream *stream, unsigned reader, uint64_t round, const VmafxSeries *s)
{
    const VmafxReaderSeries *rs = &s->readers[reader];

    if (stream->info.observable)
        return rs->round == round;
    return is_delta(stream, reader) ? rs->measured : rs->known;
}

static VmafxMetricType type_of(VmafxAggregationKind kind)
{
    return kind == VMAFX_AGG_SUM             ? VMAFX_METRIC_SUM
           : kind == VMAFX_AGG_HISTOGRAM     ? VMAFX_METRIC_HISTOGRAM
           : kind == VMAFX_AGG_EXP_HISTOGRAM ? VMAFX_METRIC_EXP_HISTOGRAM
                                             : VMAFX_METRIC_GAUGE;
}

static bool collect_points(VmafxStream *stream, unsigned reader, uint64_t round, uint64_t now_ns,
                           VmafxMetricSnapshot *snapshot)
{
    const VmafxStreamInfo *info = &stream->info;
    size_t n = 0, used = 0;

    for (size_t i = 0; i < stream->n_series; i++)
        n += has_point(stream, reader, round, stream->series[i]);
    if (!n)
        return true;
    VmafxPointData *points = vmafx_snapshot_alloc(snapshot, n, sizeof *points);
    if (!points || snapshot->n == snapshot->room)
        return false;
    for (size_t i = 0; i < stream->n_series; i++) {
        VmafxSeries *s = stream->series[i];

        if (!has_point(stream, reader, round, s))
            continue;
        points[used] = (VmafxPointData){ .time_ns = now_ns };
        used += info->observable ? observed_point(stream, reader, s, snapshot, &points[used])
                                 : sync_point(stream, reader, s, snapshot, &points[used]);
    }
    snapshot->metrics[snapshot->n++] = (VmafxMetricData){
        .scope = info->scope,
        .name = info->name,
        .description = info->description,
        .unit = info->unit,
        .type = type_of(info->config.kind),
        .delta = is_delta(stream, reader) && info->config.kind != VMAFX_AGG_LAST_VALUE,
        .monotonic = info->monotonic,
        .points = points,
        .n_points = used,
    };
    snapshot->n_points += used;
    return used == n;
}

bool vmafx_stream_collect(VmafxStream *stream, unsigned reader, uint64_t round, uint64_t now_ns,
                          VmafxMetricSnapshot *snapshot)
{
    if (!(stream->info.readers >> reader & 1))
        return true;
    pthread_mutex_lock(&stream->lock);
    if (!stream->info.observable)
        vmafx_series_drain(stream->series, stream->n_series, stream->info.readers);
    bool whole = collect_points(stream, reader, round, now_ns, snapshot);
    stream->readers[reader].last_ns = now_ns;
    stream->readers[reader].rounds = round;
    pthread_mutex_unlock(&stream->lock);
    return whole;
}
