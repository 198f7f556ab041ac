/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* OTLP's Metric message and its five kinds of points. */

#include "otel/export/otlp_encode.h"

#include <string.h>

enum { DELTA = 1, CUMULATIVE = 2 };

static void put_time(VmafxWire *wire, uint32_t field, uint64_t ns)
{
    if (ns)
        vmafx_wire_fixed64(wire, field, ns);
}

/* Proto3 leaves out what is zero to the bit; −0.0 is not. */
static void put_double(VmafxWire *wire, uint32_t field, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    if (bits)
        vmafx_wire_fixed64(wire, field, bits);
}

static void put_exemplars(VmafxWire *wire, uint32_t field, const VmafxPointData *point)
{
    for (size_t i = 0; point->exemplars && i < point->n_exemplars; i++) {
        const VmafxExemplar *exemplar = &point->exemplars[i];
        size_t mark = vmafx_wire_begin(wire, field);

        put_time(wire, 2, exemplar->time_ns);
        if (!exemplar->is_int)
            vmafx_wire_double(wire, 3, exemplar->d);
        vmafx_otlp_put_id(wire, 4, exemplar->span_id, sizeof exemplar->span_id);
        vmafx_otlp_put_id(wire, 5, exemplar->trace_id, sizeof exemplar->trace_id);
        if (exemplar->is_int)
            vmafx_wire_fixed64(wire, 6, (uint64_t)exemplar->i);
        vmafx_otlp_put_attrs(wire, 7, exemplar->filtered);
        vmafx_wire_end(wire, mark);
    }
}

static void put_number(VmafxWire *wire, const VmafxPointData *point)
{
    put_time(wire, 2, point->start_ns);
    put_time(wire, 3, point->time_ns);
    if (!point->is_int && !(point->flags & 1))
        vmafx_wire_double(wire, 4, point->d);
    put_exemplars(wire, 5, point);
    if (point->is_int && !(point->flags & 1))
        vmafx_wire_fixed64(wire, 6, (uint64_t)point->i);
    vmafx_otlp_put_attrs(wire, 7, point->attrs);
    if (point->flags)
        vmafx_wire_varint(wire, 8, point->flags);
}

static void put_histogram(VmafxWire *wire, const VmafxPointData *point)
{
    put_time(wire, 2, point->start_ns);
    put_time(wire, 3, point->time_ns);
    put_time(wire, 4, point->count);
    if (point->has_sum)
        vmafx_wire_double(wire, 5, point->sum);
    if (point->counts && (point->bounds || !point->n_bounds)) {
        size_t mark = vmafx_wire_begin(wire, 6);

        for (size_t i = 0; i <= point->n_bounds; i++)
            vmafx_wire_packed_fixed64(wire, point->counts[i]);
        vmafx_wire_end(wire, mark);
        if (point->n_bounds) {
            mark = vmafx_wire_begin(wire, 7);
            for (size_t i = 0; i < point->n_bounds; i++) {
                uint64_t bits;

                memcpy(&bits, &point->bounds[i], sizeof bits);
                vmafx_wire_packed_fixed64(wire, bits);
            }
            vmafx_wire_end(wire, mark);
        }
    }
    put_exemplars(wire, 8, point);
    vmafx_otlp_put_attrs(wire, 9, point->attrs);
    if (point->flags)
        vmafx_wire_varint(wire, 10, point->flags);
    if (point->has_min_max) {
        vmafx_wire_double(wire, 11, point->min);
        vmafx_wire_double(wire, 12, point->max);
    }
}

static void put_buckets(VmafxWire *wire, uint32_t field, const VmafxExpBuckets *buckets)
{
    if (!buckets->counts || !buckets->n)
        return;
    size_t mark = vmafx_wire_begin(wire, field);
    if (buckets->offset)
        vmafx_wire_sint32(wire, 1, buckets->offset);
    size_t list = vmafx_wire_begin(wire, 2);
    for (size_t i = 0; i < buckets->n; i++)
        vmafx_wire_packed_varint(wire, buckets->counts[i]);
    vmafx_wire_end(wire, list);
    vmafx_wire_end(wire, mark);
}

static void put_exp_histogram(VmafxWire *wire, const VmafxPointData *point)
{
    vmafx_otlp_put_attrs(wire, 1, point->attrs);
    put_time(wire, 2, point->start_ns);
    put_time(wire, 3, point->time_ns);
    put_time(wire, 4, point->count);
    if (point->has_sum)
        vmafx_wire_double(wire, 5, point->sum);
    if (point->scale)
        vmafx_wire_sint32(wire, 6, point->scale);
    put_time(wire, 7, point->zero_count);
    put_buckets(wire, 8, &point->positive);
    put_buckets(wire, 9, &point->negative);
    if (point->flags)
        vmafx_wire_varint(wire, 10, point->flags);
    put_exemplars(wire, 11, point);
    if (point->has_min_max) {
        vmafx_wire_double(wire, 12, point->min);
        vmafx_wire_double(wire, 13, point->max);
    }
    put_double(wire, 14, point->zero_threshold);
}

void vmafx_otlp_put_metric(VmafxWire *wire, uint32_t field, const VmafxMetricData *metric)
{
    static const struct {
        uint32_t field;
        void (*put)(VmafxWire *wire, const VmafxPointData *point);
        bool temporal;
    } kinds[] = {
        [VMAFX_METRIC_GAUGE] = { 5, put_number, false },
        [VMAFX_METRIC_SUM] = { 7, put_number, true },
        [VMAFX_METRIC_HISTOGRAM] = { 9, put_histogram, true },
        [VMAFX_METRIC_EXP_HISTOGRAM] = { 10, put_exp_histogram, true },
    };
    size_t mark = vmafx_wire_begin(wire, field);

    vmafx_otlp_put_str(wire, 1, metric->name);
    vmafx_otlp_put_str(wire, 2, metric->description);
    vmafx_otlp_put_str(wire, 3, metric->unit);
    if ((unsigned)metric->type < sizeof kinds / sizeof kinds[0]) {
        size_t data = vmafx_wire_begin(wire, kinds[metric->type].field);

        for (size_t i = 0; i < metric->n_points; i++) {
            size_t point = vmafx_wire_begin(wire, 1);

            kinds[metric->type].put(wire, &metric->points[i]);
            vmafx_wire_end(wire, point);
        }
        if (kinds[metric->type].temporal)
            vmafx_wire_varint(wire, 2, metric->delta ? DELTA : CUMULATIVE);
        if (metric->type == VMAFX_METRIC_SUM && metric->monotonic)
            vmafx_wire_varint(wire, 3, 1);
        vmafx_wire_end(wire, data);
    }
    vmafx_wire_end(wire, mark);
}
