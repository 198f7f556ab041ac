/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The console exporter: a line is put together in memory, then written under the stream's own lock. */

#include "otel/export/console.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base.h"
#include "otel/export/otlp_exporter.h"

enum { LINE_MAX_BYTES = 4096, TEXT_MAX = 256, LIST_MAX = 8, DEPTH_MAX = 4 };

typedef struct Console {
    VmafxExporter base; /* first */
    FILE *stream;
    atomic_bool stopped; /* a flag */
} Console;

/* A line under construction; what does not fit is cut, and the cut shows. */
typedef struct Line {
    char text[LINE_MAX_BYTES];
    size_t len;
} Line;

static void add(Line *line, const char *fmt, ...) VMAFX_PRINTF(2, 3);

static void add(Line *line, const char *fmt, ...)
{
    size_t room = sizeof line->text - line->len;
    va_list args;

    va_start(args, fmt);
    int n = vsnprintf(line->text + line->len, room, fmt, args);
    va_end(args);
    if (n > 0)
        line->len += VMAFX_MIN((size_t)n, room - 1);
}

static void add_text(Line *line, const char *text, size_t len)
{
    char out[TEXT_MAX];

    vmafx_otlp_printable(text, len, out, sizeof out);
    add(line, "%s%s", out, len >= sizeof out ? "…" : "");
}

static void add_str(Line *line, const char *text)
{
    if (text)
        add_text(line, text, strlen(text));
}

static void add_id(Line *line, const uint8_t *id, size_t len)
{
    for (size_t i = 0; i < len; i++)
        add(line, "%02x", id[i]);
}

/* 2026-11-25T13:39:33.123456Z */
static void add_time(Line *line, uint64_t ns)
{
    time_t seconds = (time_t)(ns / 1000000000);
    struct tm tm;
    char text[32] = "";

    if (gmtime_r(&seconds, &tm))
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    add(line, "%s.%06uZ", text, (unsigned)(ns % 1000000000 / 1000));
}

static void add_attrs(Line *line, VmafxAttrs attrs, unsigned depth);

static void add_value(Line *line, const VmafxValue *value, unsigned depth)
{
    switch (depth < DEPTH_MAX ? value->type : VMAFX_VALUE_EMPTY) {
    case VMAFX_VALUE_STR:
        add(line, "\"");
        add_text(line, value->str.ptr, value->str.ptr ? value->str.len : 0);
        add(line, "\"");
        break;
    case VMAFX_VALUE_BOOL:
        add(line, "%s", value->b ? "true" : "false");
        break;
    case VMAFX_VALUE_INT:
        add(line, "%" PRId64, value->i);
        break;
    case VMAFX_VALUE_DOUBLE:
        add(line, "%.17g", value->d);
        break;
    case VMAFX_VALUE_BYTES:
        add(line, "<%zu bytes>", value->str.len);
        break;
    case VMAFX_VALUE_ARRAY:
        add(line, "[");
        for (size_t i = 0; value->array.items && i < VMAFX_MIN(value->array.n, (size_t)LIST_MAX); i++) {
            add(line, "%s", i ? " " : "");
            add_value(line, &value->array.items[i], depth + 1);
        }
        add(line, "%s]", value->array.n > LIST_MAX ? " …" : "");
        break;
    case VMAFX_VALUE_MAP:
        add(line, "{");
        add_attrs(line, (VmafxAttrs){ value->map.items, value->map.n }, depth + 1);
        add(line, " }");
        break;
    default:
        add(line, "…");
    }
}

static void add_attrs(Line *line, VmafxAttrs attrs, unsigned depth)
{
    for (size_t i = 0; attrs.items && i < attrs.n; i++) {
        add(line, " ");
        add_str(line, attrs.items[i].key);
        add(line, "=");
        add_value(line, &attrs.items[i].value, depth);
    }
}

static const char *scope_name(const VmafxScope *scope)
{
    return scope && scope->name ? scope->name : "";
}

static void write_line(Console *console, Line *line)
{
    if (line->len > sizeof line->text - 5) { /* room for the mark of a cut line, and the line's end */
        line->len = sizeof line->text - 5;
        while (line->len && ((unsigned char)line->text[line->len] & 0xc0) == 0x80)
            line->len--; /* not inside a character */
        add(line, "…");
    }
    line->text[line->len++] = '\n';
    fwrite(line->text, 1, line->len, console->stream); /* one call: the stream's lock keeps the line whole */
}

static void write_span(Console *console, const VmafxSpanData *span)
{
    static const char *const kinds[] = { "", "internal", "server", "client", "producer", "consumer" };
    static const char *const states[] = { "", " ok", " error" };
    Line line = { .len = 0 };

    add(&line, "span ");
    add_time(&line, span->start_ns);
    add(&line, " ");
    add_str(&line, scope_name(span->scope));
    add(&line, " \"");
    add_str(&line, span->name);
    add(&line, "\" %s %.6fs ", (unsigned)span->kind < VMAFX_LEN(kinds) ? kinds[span->kind] : "",
        span->end_ns >= span->start_ns ? (double)(span->end_ns - span->start_ns) / 1e9 : 0.0);
    add_id(&line, span->trace_id, sizeof span->trace_id);
    add(&line, "/");
    add_id(&line, span->span_id, sizeof span->span_id);
    add(&line, "%s", (unsigned)span->status < VMAFX_LEN(states) ? states[span->status] : "");
    if (span->status == VMAFX_STATUS_ERROR && span->status_description && *span->status_description) {
        add(&line, ": ");
        add_str(&line, span->status_description);
    }
    add_attrs(&line, span->attrs, 0);
    if (span->n_events)
        add(&line, " (%zu events)", span->n_events);
    if (span->n_links)
        add(&line, " (%zu links)", span->n_links);
    write_line(console, &line);
}

static void write_point(Console *console, const VmafxMetricData *metric, const VmafxPointData *point)
{
    Line line = { .len = 0 };

    add(&line, "metric ");
    add_time(&line, point->time_ns);
    add(&line, " ");
    add_str(&line, scope_name(metric->scope));
    add(&line, " ");
    add_str(&line, metric->name);
    if (metric->type == VMAFX_METRIC_GAUGE || metric->type == VMAFX_METRIC_SUM) {
        if (point->is_int)
            add(&line, " %" PRId64 " ", point->i);
        else
            add(&line, " %.17g ", point->d);
    } else {
        add(&line, " count=%" PRIu64, point->count);
        if (point->has_sum)
            add(&line, " sum=%.17g", point->sum);
        if (point->has_min_max)
            add(&line, " min=%.17g max=%.17g", point->min, point->max);
        add(&line, " ");
    }
    add_str(&line, metric->unit);
    add_attrs(&line, point->attrs, 0);
    write_line(console, &line);
}

static void write_log(Console *console, const VmafxLogData *log)
{
    static const char *const levels[] = { "trace", "debug", "info", "warn", "error", "fatal" };
    Line line = { .len = 0 };

    add(&line, "log ");
    add_time(&line, log->time_ns ? log->time_ns : log->observed_ns);
    add(&line, " %s ", log->severity >= 1 && log->severity <= 24 ? levels[(log->severity - 1) / 4] : "-");
    add_str(&line, scope_name(log->scope));
    if (log->event_name && *log->event_name) {
        add(&line, " ");
        add_str(&line, log->event_name);
    }
    add(&line, " ");
    add_value(&line, &log->body, 0);
    add_attrs(&line, log->attrs, 0);
    write_line(console, &line);
}

static VmafxExportResult console_export(VmafxExporter *base, const VmafxBatch *batch, uint64_t deadline_ns)
{
    Console *console = (Console *)base;

    if (atomic_load(&console->stopped))
        return VMAFX_EXPORT_FAILED;
    for (size_t i = 0; batch && i < batch->n; i++) {
        if (batch->signal == VMAFX_SIGNAL_TRACES && batch->spans && batch->spans[i])
            write_span(console, batch->spans[i]);
        else if (batch->signal == VMAFX_SIGNAL_LOGS && batch->logs && batch->logs[i])
            write_log(console, batch->logs[i]);
        else if (batch->signal == VMAFX_SIGNAL_METRICS && batch->metrics)
            for (size_t p = 0; batch->metrics[i].points && p < batch->metrics[i].n_points; p++)
                write_point(console, &batch->metrics[i], &batch->metrics[i].points[p]);
    }
    return fflush(console->stream) ? VMAFX_EXPORT_FAILED : VMAFX_EXPORT_OK;
}

static VmafxExportResult console_flush(VmafxExporter *base, uint64_t deadline_ns)
{
    return VMAFX_EXPORT_OK; /* every export flushes */
}

static VmafxExportResult console_shutdown(VmafxExporter *base, uint64_t deadline_ns)
{
    return atomic_exchange(&((Console *)base)->stopped, true) ? VMAFX_EXPORT_FAILED : VMAFX_EXPORT_OK;
}

static void console_free(VmafxExporter *base)
{
    free(base);
}

VmafxExporter *vmafx_console_exporter_new(VmafxSignal signal, FILE *stream)
{
    static const char *const types[] = { [VMAFX_SIGNAL_TRACES] = "console_span_exporter",
                                         [VMAFX_SIGNAL_METRICS] = "console_metric_exporter",
                                         [VMAFX_SIGNAL_LOGS] = "console_log_exporter" };
    Console *console = calloc(1, sizeof *console);

    if (!console || (unsigned)signal > VMAFX_SIGNAL_LOGS) {
        free(console);
        return vmafx_otlp_exporter_none();
    }
    console->base = (VmafxExporter){ types[signal], console_export, console_flush, console_shutdown, console_free };
    console->stream = stream ? stream : stderr;
    return &console->base;
}
