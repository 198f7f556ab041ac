/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* One writer of lines for the process, behind a gate; where it is gone, complaints are written by who has them. */

#include "otel/export/otel_lines.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"
#include "otel/api/context.h"
#include "otel/export/gate.h"
#include "otel/sdk/ids.h"
#include "otel/sdk/log_lines.h"

enum { TO_STDERR = 2 };

static struct {
    VmafxGate gate; /* guards lines; opened by open, in this process */
    VmafxLogProcessor *lines;
    atomic_uint generation; /* of forks: in another one the gate may have somebody inside who is no more */
    atomic_int own_level;   /* of the program's lines */
    atomic_int sdk_level;   /* of the SDK's, where it is above */
    atomic_int format;
} the; /* changed by open and close */

static const VmafxScope scope = { "vmafx.otel", "", "", { NULL, 0 } };

bool vmafx_otel_lines_open(const VmafxOtelSettings *settings)
{
    VmafxLogLinesSettings lines = { .fd = TO_STDERR,
                                    .format = settings->lines_json ? VMAFX_LOG_JSON : VMAFX_LOG_LOGFMT };

    vmafx_fork_watch();
    atomic_store(&the.own_level, settings->lines_level);
    atomic_store(&the.sdk_level, settings->log_level);
    atomic_store(&the.format, lines.format);
    atomic_store(&the.gate.shut, true);
    atomic_store(&the.gate.inside, 0);       /* a forked child may inherit more */
    the.lines = vmafx_log_lines_new(&lines); /* also for no lines at all: there may be some later */
    atomic_store(&the.generation, vmafx_fork_generation());
    if (the.lines)
        vmafx_gate_open(&the.gate);
    return the.lines != NULL;
}

void vmafx_otel_lines_set_level(int severity)
{
    atomic_store(&the.own_level, severity);
}

static bool here(void)
{
    return atomic_load(&the.generation) == vmafx_fork_generation();
}

/* ---- Complaints ---- */

/* A short write of a line is somebody else's pipe; nothing is left to be told about it. */
static void write_now(const VmafxLogData *record)
{
    char text[VMAFX_LOG_LINE_MAX + 1];
    size_t len = vmafx_log_line_format(record, (VmafxLogFormat)atomic_load(&the.format), text);

    if (write(TO_STDERR, text, len) < 0)
        return;
}

void vmafx_otel_lines_complain(void *ctx, int severity, const char *message)
{
    VmafxSpanContext span = { .flags = 0 };
    VmafxLogData record = { .severity = severity, .event_name = "", .scope = &scope };

    if (severity < atomic_load(&the.own_level) || severity < atomic_load(&the.sdk_level))
        return;
    record.observed_ns = vmafx_wall_ns();
    record.severity_text = vmafx_severity_text(severity);
    record.body = vmafx_value_str(message);
    if (vmafx_context_span(vmafx_context_current(), &span)) {
        memcpy(record.trace_id, span.trace_id, sizeof record.trace_id);
        memcpy(record.span_id, span.span_id, sizeof record.span_id);
        record.flags = span.flags;
    }
    if (here() && vmafx_gate_enter(&the.gate)) {
        the.lines->on_emit(the.lines, &record);
        vmafx_gate_leave(&the.gate);
    } else
        write_now(&record);
}

/* ---- What the log provider sees: the same lines, without their end ---- */

static bool lend_enabled(VmafxLogProcessor *processor, int severity, const char *event_name)
{
    return !severity || severity >= atomic_load(&the.own_level);
}

static void lend_emit(VmafxLogProcessor *processor, VmafxLogData *record)
{
    the.lines->on_emit(the.lines, record); /* silent by itself in a forked child */
}

static VmafxExportResult lend_flush(VmafxLogProcessor *processor, uint64_t deadline_ns)
{
    return the.lines->force_flush(the.lines, deadline_ns);
}

static VmafxExportResult lend_shutdown(VmafxLogProcessor *processor, uint64_t deadline_ns)
{
    return VMAFX_EXPORT_OK; /* close does it */
}

static void lend_free(VmafxLogProcessor *processor)
{
    free(processor);
}

VmafxLogProcessor *vmafx_otel_lines_processor(void)
{
    VmafxLogProcessor *lend = the.lines && here() ? calloc(1, sizeof *lend) : NULL;

    if (lend)
        *lend = (VmafxLogProcessor){ lend_enabled, lend_emit, lend_flush, lend_shutdown, lend_free };
    return lend;
}

/* ---- The end ---- */

VmafxExportResult vmafx_otel_lines_flush(uint64_t deadline_ns)
{
    return the.lines && here() ? the.lines->force_flush(the.lines, deadline_ns) : VMAFX_EXPORT_OK;
}

VmafxExportResult vmafx_otel_lines_close(uint64_t deadline_ns)
{
    VmafxExportResult result = VMAFX_EXPORT_OK;

    if (!the.lines || !here())
        return result;
    vmafx_gate_shut(&the.gate);
    result = the.lines->shutdown(the.lines, deadline_ns);
    the.lines->free(the.lines);
    the.lines = NULL;
    return result;
}
