/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The clock is read around each call; what is recorded behind the gate takes no longer than a measurement does. */

#include "otel/export/timed.h"

#include <stdlib.h>

#include "base/base.h"
#include "base/clock.h"
#include "otel/export/otlp_exporter.h"

enum { MORE_MAX = 2 };

void vmafx_timed_init(VmafxTimed *timed)
{
    *timed = (VmafxTimed){ .histogram = NULL };
    vmafx_gate_shut(&timed->gate);
}

void vmafx_timed_begin(VmafxTimed *timed, VmafxHistogram *histogram, VmafxAttrs attrs)
{
    if (!timed || !histogram)
        return;
    timed->histogram = histogram;
    timed->n_attrs = VMAFX_MIN(attrs.n, (size_t)VMAFX_TIMED_ATTRS_MAX);
    for (size_t i = 0; i < timed->n_attrs; i++)
        timed->attrs[i] = attrs.items[i];
    vmafx_gate_open(&timed->gate);
}

void vmafx_timed_end(VmafxTimed *timed)
{
    if (timed)
        vmafx_gate_shut(&timed->gate);
}

void vmafx_timed_record(VmafxTimed *timed, double seconds, const char *error, VmafxAttrs more)
{
    VmafxAttr attrs[VMAFX_TIMED_ATTRS_MAX + 1 + MORE_MAX];
    size_t n = 0;

    if (!vmafx_gate_enter(&timed->gate))
        return;
    for (size_t i = 0; i < timed->n_attrs; i++)
        attrs[n++] = timed->attrs[i];
    for (size_t i = 0; i < more.n && i < MORE_MAX; i++)
        attrs[n++] = more.items[i];
    if (error)
        attrs[n++] = VMAFX_ATTR_STR("error.type", error);
    vmafx_histogram_record_with(timed->histogram, seconds, (VmafxAttrs){ attrs, n }, NULL);
    vmafx_gate_leave(&timed->gate);
}

void vmafx_timed_collected(void *ctx, uint64_t took_ns, bool ok)
{
    vmafx_timed_record(ctx, 1e-9 * (double)took_ns, ok ? NULL : "_OTHER", VMAFX_NO_ATTRS);
}

/* ---- The exporter ---- */

typedef struct TimedExporter {
    VmafxExporter base; /* first */
    VmafxExporter *inner;
    VmafxTimedBoth timed;
} TimedExporter;

/* The answer's status, as an attribute, where there was an answer. */
static size_t status_of(const VmafxExporter *exporter, VmafxAttr *ret)
{
    static const char *const names[] = {
        "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
        "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
        "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
        "DATA_LOSS", "UNAUTHENTICATED"
    };
    bool grpc;
    int status = vmafx_otlp_exporter_status(exporter, &grpc);

    if (status < 0 || (grpc && (size_t)status >= VMAFX_LEN(names)))
        return 0;
    if (grpc)
        *ret = VMAFX_ATTR_STR("rpc.status_code", names[status]);
    else
        *ret = VMAFX_ATTR_INT("http.response.status_code", status);
    return 1;
}

static VmafxExportResult timed_export(VmafxExporter *base, const VmafxBatch *batch, uint64_t deadline_ns)
{
    TimedExporter *t = (TimedExporter *)base;
    uint64_t started = vmafx_monotonic_ns();
    VmafxExportResult result = t->inner->export_batch(t->inner, batch, deadline_ns);
    double seconds = 1e-9 * (double)(vmafx_monotonic_ns() - started);
    VmafxAttr status;
    size_t n = status_of(t->inner, &status);

    vmafx_timed_record(&t->timed.exports, seconds,
                       result == VMAFX_EXPORT_OK        ? NULL
                       : result == VMAFX_EXPORT_TIMEOUT ? "timeout"
                                                        : "_OTHER",
                       (VmafxAttrs){ &status, n });
    return result;
}

static VmafxExportResult timed_flush(VmafxExporter *base, uint64_t deadline_ns)
{
    VmafxExporter *inner = ((TimedExporter *)base)->inner;

    return inner->force_flush ? inner->force_flush(inner, deadline_ns) : VMAFX_EXPORT_OK;
}

static VmafxExportResult timed_shutdown(VmafxExporter *base, uint64_t deadline_ns)
{
    VmafxExporter *inner = ((TimedExporter *)base)->inner;

    return inner->shutdown ? inner->shutdown(inner, deadline_ns) : VMAFX_EXPORT_OK;
}

static void timed_free(VmafxExporter *base)
{
    TimedExporter *t = (TimedExporter *)base;

    if (t->inner->free)
        t->inner->free(t->inner);
    free(t);
}

VmafxExporter *vmafx_timed_exporter_new(VmafxExporter *exporter, VmafxTimedBoth **ret_timed)
{
    TimedExporter *t = calloc(1, sizeof *t);

    *ret_timed = t ? &t->timed : NULL;
    if (!t)
        return exporter;
    t->base = (VmafxExporter){ exporter->component_type, timed_export, timed_flush, timed_shutdown, timed_free };
    t->inner = exporter;
    vmafx_timed_init(&t->timed.exports);
    vmafx_timed_init(&t->timed.collections);
    return &t->base;
}
