/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Checks as a span processor, a log processor, and a table of metrics that stands in front of the SDK's own. */

#include "otel/export/signals_check.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "otel/api/log.h"
#include "signals/signals.h"

#define VARIABLE "VMAFX_SIGNALS_CHECK"

enum { TOLD_MAX = 64, MESSAGE_MAX = 512, INSTRUMENTS_MAX = 4096 };

typedef enum CheckMode { CHECK_OFF, CHECK_LOG, CHECK_ABORT } CheckMode;

/* Who asks for nothing gets this: src/meson.build defines the macro for debug and sanitizer builds. */
#ifdef VMAFX_SIGNALS_CHECK
#define MODE_DEFAULT CHECK_LOG
#else
#define MODE_DEFAULT CHECK_OFF
#endif

typedef struct SpanCheck {
    VmafxSpanProcessor base;
    VmafxSignalsCheck *check;
} SpanCheck;

typedef struct LogCheck {
    VmafxLogProcessor base;
    VmafxSignalsCheck *check;
} LogCheck;

/* Stands for an instrument of the real table. Never freed before the check, as the table's contract has it. */
typedef struct CheckedInstrument {
    VmafxSignalsCheck *check;
    void *real;
    const VmafxMetricRow *row; /* NULL: not ours, or told already */
    struct CheckedInstrument *next;
} CheckedInstrument;

struct VmafxSignalsCheck {
    CheckMode mode;
    VmafxOtelErrorHandler on_error;
    void *ctx;
    SpanCheck spans; /* the providers' processors, but the memory is ours: freeing them does nothing */
    LogCheck logs;
    VmafxMetricsSdk table;
    const VmafxMetricsSdk *real;
    _Atomic(CheckedInstrument *) instruments; /* only grows: pushed with release, walked with acquire */
    atomic_uint n_instruments;
    atomic_uint_least64_t told[TOLD_MAX]; /* hashes of faults that were told; 0: free */
};

/* ---- Telling ---- */

static uint64_t hash_of(const char *text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return hash ? hash : 1;
}

/* True once for each text, and never when there were too many. */
static bool is_news(VmafxSignalsCheck *check, const char *text)
{
    uint64_t hash = hash_of(text);

    for (size_t i = 0; i < TOLD_MAX; i++) {
        uint64_t none = 0;

        if (atomic_compare_exchange_strong(&check->told[i], &none, hash))
            return true;
        if (none == hash)
            return false;
    }
    return false;
}

static void tell(VmafxSignalsCheck *check, const char *what, const char *name, const char *scope, const char *key,
                 const char *wrong)
{
    char text[MESSAGE_MAX];

    snprintf(text, sizeof text, "%s '%s' of '%s' is not what src/signals/signals.def says: %s%s%s%s", what, name, scope,
             wrong, key ? " ('" : "", key ? key : "", key ? "')" : "");
    if (check->mode == CHECK_ABORT) {
        fprintf(stderr, VARIABLE ": %s\n", text);
        abort();
    }
    if (is_news(check, text))
        check->on_error(check->ctx, VMAFX_WARN, text);
}

static void check_scope(VmafxSignalsCheck *check, const char *what, const char *name, const char *scope)
{
    if (vmafx_signal_is_ours(scope) && !vmafx_scope_is_known(scope))
        tell(check, what, name, scope, NULL, "the scope is not in signals.def");
}

/* ---- Spans ---- */

static void check_span(VmafxSignalsCheck *check, const VmafxSpanData *span)
{
    const char *scope = span->scope->name, *key, *wrong;

    if (!vmafx_signal_is_ours(scope) && !vmafx_signal_is_ours(span->name))
        return;
    check_scope(check, "the span", span->name, scope);
    if ((wrong = vmafx_span_check(span->name, (int)span->kind, span->attrs, &key)))
        tell(check, "the span", span->name, scope, key, wrong);
    if ((wrong = vmafx_status_check(span->status_description)))
        tell(check, "the span", span->name, scope, NULL, wrong);
    for (size_t i = 0; i < span->n_events; i++)
        if ((wrong = vmafx_event_check(span->events[i].name, span->events[i].attrs, &key)))
            tell(check, "an event of the span", span->name, scope, key ? key : span->events[i].name, wrong);
    for (size_t i = 0; i < span->n_links; i++)
        if ((wrong = vmafx_attributes_check_strictly(span->links[i].attrs, &key)))
            tell(check, "a link of the span", span->name, scope, key, wrong);
}

static void on_end(VmafxSpanProcessor *processor, VmafxFinishedSpan *span, unsigned lane)
{
    check_span(((SpanCheck *)processor)->check, vmafx_finished_span_data(span));
    vmafx_finished_span_unref(&span);
}

static VmafxExportResult span_nothing(VmafxSpanProcessor *processor, uint64_t deadline_ns)
{
    return VMAFX_EXPORT_OK;
}

static bool span_free(VmafxSpanProcessor *processor)
{
    return true;
}

/* ---- Logs ---- */

static void on_emit(VmafxLogProcessor *processor, VmafxLogData *record)
{
    VmafxSignalsCheck *check = ((LogCheck *)processor)->check;
    bool ours = vmafx_signal_is_ours(record->scope->name);
    const char *body = record->body.type == VMAFX_VALUE_STR ? record->body.str.ptr : record->event_name;
    const char *key, *wrong = ours ? vmafx_attributes_check_strictly(record->attrs, &key)
                                   : vmafx_attributes_check(record->attrs, &key);

    check_scope(check, "the log record", body, record->scope->name);
    if (wrong)
        tell(check, "the log record", body, record->scope->name, key, wrong);
}

static VmafxExportResult log_nothing(VmafxLogProcessor *processor, uint64_t deadline_ns)
{
    return VMAFX_EXPORT_OK;
}

static void log_free(VmafxLogProcessor *processor)
{
}

/* ---- Metrics ---- */

static void *checked(VmafxSignalsCheck *check, void *real, const VmafxMetricRow *row)
{
    CheckedInstrument *head = atomic_load_explicit(&check->instruments, memory_order_acquire);

    for (CheckedInstrument *i = head; i; i = i->next)
        if (i->real == real)
            return i;
    if (atomic_fetch_add(&check->n_instruments, 1) >= INSTRUMENTS_MAX)
        return NULL;

    CheckedInstrument *made = calloc(1, sizeof *made);

    if (!made)
        return NULL;
    *made = (CheckedInstrument){ check, real, row, head };
    while (!atomic_compare_exchange_weak_explicit(&check->instruments, &made->next, made, memory_order_release,
                                                  memory_order_acquire))
        ;
    return made;
}

static void *table_instrument(void *provider, const VmafxMeterInfo *meter, const VmafxInstrumentInfo *info)
{
    VmafxSignalsCheck *check = provider;
    bool ours = vmafx_signal_is_ours(meter->name) || vmafx_signal_is_ours(info->name);
    const char *wrong = ours ? vmafx_metric_check(info->name, info->kind, info->unit) : NULL;
    void *real = check->real->instrument(check->real->provider, meter, info);

    check_scope(check, "the metric", info->name, meter->name);
    if (wrong)
        tell(check, "the metric", info->name, meter->name, NULL, wrong);
    return real ? checked(check, real, ours && !wrong ? vmafx_metric_find(info->name) : NULL) : NULL;
}

static void check_measurement(const CheckedInstrument *instrument, VmafxAttrs attrs)
{
    const char *key,
        *wrong = instrument->row ? vmafx_metric_attributes_check(instrument->row->name, attrs, &key) : NULL;

    if (wrong)
        tell(instrument->check, "a measurement of", instrument->row->name, "vmafx", key, wrong);
}

static void *table_bind(void *instrument, VmafxAttrs attrs)
{
    CheckedInstrument *i = instrument;

    check_measurement(i, attrs);
    return i->check->real->bind(i->real, attrs); /* bound series are the real table's own */
}

static bool table_enabled(void *instrument)
{
    const CheckedInstrument *i = instrument;

    return i->check->real->enabled(i->real);
}

static void table_measure_int(void *instrument, int64_t value, VmafxAttrs attrs, VmafxContext *context)
{
    const CheckedInstrument *i = instrument;

    check_measurement(i, attrs);
    i->check->real->measure_int(i->real, value, attrs, context);
}

static void table_measure_double(void *instrument, double value, VmafxAttrs attrs, VmafxContext *context)
{
    const CheckedInstrument *i = instrument;

    check_measurement(i, attrs);
    i->check->real->measure_double(i->real, value, attrs, context);
}

static void *table_callback_add(void *provider, VmafxObserveFn fn, VmafxObservable *self, void *state)
{
    const VmafxSignalsCheck *check = provider;

    return check->real->callback_add(check->real->provider, fn, self, state);
}

static void table_callback_remove(void *provider, void *callback)
{
    const VmafxSignalsCheck *check = provider;

    check->real->callback_remove(check->real->provider, callback);
}

static void table_observe_int(VmafxObserver *observer, void *instrument, int64_t value, VmafxAttrs attrs)
{
    const CheckedInstrument *i = instrument;

    check_measurement(i, attrs);
    i->check->real->observe_int(observer, i->real, value, attrs);
}

static void table_observe_double(VmafxObserver *observer, void *instrument, double value, VmafxAttrs attrs)
{
    const CheckedInstrument *i = instrument;

    check_measurement(i, attrs);
    i->check->real->observe_double(observer, i->real, value, attrs);
}

/* ---- Life ---- */

static CheckMode mode_of(char *const *environment)
{
    static const char *const words[] = { [CHECK_OFF] = "off", [CHECK_LOG] = "log", [CHECK_ABORT] = "abort" };
    size_t len = strlen(VARIABLE);

    for (; environment && *environment; environment++)
        if (!strncmp(*environment, VARIABLE, len) && (*environment)[len] == '=')
            for (size_t i = 0; i < VMAFX_LEN(words); i++)
                if (!strcmp(*environment + len + 1, words[i]))
                    return (CheckMode)i;
    return MODE_DEFAULT;
}

VmafxSignalsCheck *vmafx_signals_check_new(char *const *environment, VmafxOtelErrorHandler on_error, void *ctx)
{
    CheckMode mode = mode_of(environment);
    VmafxSignalsCheck *check = mode == CHECK_OFF ? NULL : calloc(1, sizeof *check);

    if (!check)
        return NULL;
    check->mode = mode;
    check->on_error = on_error;
    check->ctx = ctx;
    check->spans = (SpanCheck){ { NULL, on_end, span_nothing, span_nothing, span_free }, check };
    check->logs = (LogCheck){ { NULL, on_emit, log_nothing, log_nothing, log_free }, check };
    return check;
}

void vmafx_signals_check_free(VmafxSignalsCheck **check)
{
    CheckedInstrument *next;

    if (!*check)
        return;
    for (CheckedInstrument *i = atomic_load(&(*check)->instruments); i; i = next) {
        next = i->next;
        free(i);
    }
    free(*check);
    *check = NULL;
}

void vmafx_signals_check_traces(VmafxSignalsCheck *check, VmafxTraceProviderConfig *config)
{
    if (!check || config->n_processors >= VMAFX_TRACE_PROCESSORS_MAX)
        return;
    memmove(config->processors + 1, config->processors, config->n_processors * sizeof config->processors[0]);
    config->processors[0] = &check->spans.base;
    config->n_processors++;
}

size_t vmafx_signals_check_logs(VmafxSignalsCheck *check, VmafxLogProcessor **processors, size_t n)
{
    if (check && n < VMAFX_LOG_PROCESSORS_MAX)
        processors[n++] = &check->logs.base;
    return n;
}

const VmafxMetricsSdk *vmafx_signals_check_metrics(VmafxSignalsCheck *check, const VmafxMetricsSdk *sdk)
{
    if (!check || !sdk)
        return sdk;
    check->real = sdk;
    check->table = (VmafxMetricsSdk){ .provider = check,
                                      .instrument = table_instrument,
                                      .bind = table_bind,
                                      .enabled = table_enabled,
                                      .measure_int = table_measure_int,
                                      .measure_double = table_measure_double,
                                      .bound_int = sdk->bound_int,
                                      .bound_double = sdk->bound_double,
                                      .callback_add = table_callback_add,
                                      .callback_remove = table_callback_remove,
                                      .observe_int = table_observe_int,
                                      .observe_double = table_observe_double };
    return &check->table;
}
