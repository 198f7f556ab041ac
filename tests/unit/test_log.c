/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Logs: loggers, completed records, the batching processor, and the program's own lines. */

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "otel/api/log.h"
#include "otel/sdk/log_lines.h"
#include "otel/sdk/log_provider.h"
#include "otel/sdk/resource.h"

static const uint8_t trace_id[16] = { 0x4b, 0xf9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14 };
static const uint8_t span_id[8] = { 0xa1, 2, 3, 4, 5, 6, 7, 8 };

/* Far enough that only a defect reaches it. */
static uint64_t patient(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return ((uint64_t)t.tv_sec + 60) * 1000000000u;
}

static VmafxContext *span_context(uint8_t flags)
{
    VmafxSpanContext span = { .flags = flags };

    memcpy(span.trace_id, trace_id, sizeof trace_id);
    memcpy(span.span_id, span_id, sizeof span_id);
    return vmafx_context_with_span(NULL, &span);
}

/* ---- An exporter that keeps what it gets, and waits where it is told to ---- */

typedef struct Sink {
    VmafxExporter api; /* first */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t records, batches, largest, shutdowns, frees;
    VmafxLogData last; /* plain fields only */
    char last_body[64], last_scope[64], last_attr[64], service[64];
    bool hold, waiting, entered; /* hold: exports wait until it is released, or shut down */
    VmafxExportResult result;
    bool *freed;
} Sink;

static VmafxExportResult sink_export(VmafxExporter *exporter, const VmafxBatch *batch, uint64_t deadline_ns)
{
    Sink *s = (Sink *)exporter;
    const VmafxLogData *last = batch->logs[batch->n - 1];

    pthread_mutex_lock(&s->lock);
    s->entered = true;
    pthread_cond_broadcast(&s->changed);
    while (s->hold)
        pthread_cond_wait(&s->changed, &s->lock);
    s->batches++;
    s->records += batch->n;
    s->largest = VMAFX_MAX(s->largest, batch->n);
    s->last = *last;
    snprintf(s->last_body, sizeof s->last_body, "%.*s", (int)last->body.str.len, last->body.str.ptr);
    snprintf(s->last_scope, sizeof s->last_scope, "%s", last->scope->name);
    if (last->attrs.n)
        snprintf(s->last_attr, sizeof s->last_attr, "%s", last->attrs.items[last->attrs.n - 1].key);
    const VmafxValue *service = vmafx_resource_get(batch->resource, "service.name");
    snprintf(s->service, sizeof s->service, "%.*s", service ? (int)service->str.len : 0,
             service ? service->str.ptr : "");
    VmafxExportResult result = s->result;
    pthread_mutex_unlock(&s->lock);
    return result;
}

static VmafxExportResult sink_shutdown(VmafxExporter *exporter, uint64_t deadline_ns)
{
    Sink *s = (Sink *)exporter;

    pthread_mutex_lock(&s->lock);
    s->shutdowns++;
    pthread_mutex_unlock(&s->lock);
    return VMAFX_EXPORT_OK;
}

static void sink_free(VmafxExporter *exporter)
{
    Sink *s = (Sink *)exporter;

    pthread_mutex_lock(&s->lock);
    s->frees++;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static void sink_init(Sink *s)
{
    *s = (Sink){
        .api = { .component_type = "sink", .export_batch = sink_export, .shutdown = sink_shutdown, .free = sink_free }
    };
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
}

static void sink_hold(Sink *s, bool hold)
{
    pthread_mutex_lock(&s->lock);
    s->hold = hold;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static void sink_wait_entered(Sink *s)
{
    pthread_mutex_lock(&s->lock);
    while (!s->entered)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

/* ---- A processor that looks ---- */

typedef struct Look {
    VmafxLogProcessor api; /* first */
    size_t n;
    VmafxLogData last;
    char text[512]; /* "key=value;" of the attributes; strings in quotes */
    int minimum;
} Look;

static bool look_enabled(VmafxLogProcessor *processor, int severity, const char *event_name)
{
    return severity >= ((Look *)processor)->minimum;
}

static void look_emit(VmafxLogProcessor *processor, VmafxLogData *record)
{
    Look *look = (Look *)processor;
    size_t len = 0;

    look->n++;
    look->last = *record;
    look->text[0] = 0;
    for (size_t i = 0; i < record->attrs.n; i++) {
        const VmafxAttr *a = &record->attrs.items[i];

        if (a->value.type == VMAFX_VALUE_STR)
            len += (size_t)snprintf(look->text + len, sizeof look->text - len, "%s='%.*s';", a->key,
                                    (int)a->value.str.len, a->value.str.ptr);
        else
            len +=
                (size_t)snprintf(look->text + len, sizeof look->text - len, "%s=%lld;", a->key, (long long)a->value.i);
    }
    record->severity = 21; /* the next processor sees this */
}

static VmafxExportResult look_done(VmafxLogProcessor *processor, uint64_t deadline_ns)
{
    return VMAFX_EXPORT_OK;
}

static void look_free(VmafxLogProcessor *processor)
{
}

static Look look_new(void)
{
    return (Look){ .api = { look_enabled, look_emit, look_done, look_done, look_free } };
}

/* ---- Loggers and records ---- */

static void without_a_provider_nothing_happens_and_a_later_one_takes_over(void **state)
{
    Look look = look_new();
    VmafxLogProcessor *list[] = { &look.api };
    VmafxLogger *logger = vmafx_logger_new("room", NULL, NULL, VMAFX_NO_ATTRS), *none = NULL;
    int computed = 0;

    (void)state;
    vmafx_log(logger, VMAFX_ERROR, "nobody listens", VMAFX_ATTR_INT("n", ++computed));
    vmafx_log(none, VMAFX_ERROR, "no logger");
    assert_int_equal(computed, 0);

    VmafxLogProvider *provider = vmafx_log_provider_new(NULL, list, 1);
    vmafx_log_provider_set(provider);
    vmafx_log(logger, VMAFX_WARN, "lease lost", VMAFX_ATTR_INT("attempt", ++computed), VMAFX_ATTR_STR("a", "b"));
    assert_int_equal(computed, 1);
    assert_int_equal(look.n, 1);
    assert_string_equal(look.text, "attempt=1;a='b';");
    assert_string_equal(look.last.scope->name, "room");
    assert_string_equal(look.last.severity_text, "WARN");
    assert_memory_equal(look.last.body.str.ptr, "lease lost", 10);
    assert_true(look.last.observed_ns > 0);
    assert_true(look.last.time_ns == 0);
    vmafx_log(logger, VMAFX_INFO, "no attributes");
    assert_int_equal(look.n, 2);
    vmafx_log_provider_set(NULL);
    vmafx_log(logger, VMAFX_INFO, "nobody again");
    assert_int_equal(look.n, 2);
    vmafx_log_provider_free(&provider);
    vmafx_logger_free(&logger);
    vmafx_logger_free(&logger);
    vmafx_logger_emit(NULL, NULL);
    assert_false(vmafx_logger_enabled(NULL, 9, NULL));
    assert_int_equal(vmafx_log_provider_shutdown(NULL, 0), VMAFX_EXPORT_OK);
    vmafx_log_provider_free(&provider);
}

static void records_carry_the_current_or_the_given_span(void **state)
{
    Look look = look_new();
    VmafxLogProcessor *list[] = { &look.api };
    VmafxLogProvider *provider = vmafx_log_provider_new(NULL, list, 1);
    VmafxLogger *logger = vmafx_logger_new_in(provider, "x", "", "", VMAFX_NO_ATTRS);
    VmafxContext *context = span_context(1);
    static const uint8_t zero[16];

    (void)state;
    vmafx_log(logger, VMAFX_INFO, "outside");
    assert_memory_equal(look.last.trace_id, zero, 16);

    VmafxContextToken token = vmafx_context_attach(context);
    vmafx_log(logger, VMAFX_INFO, "inside");
    vmafx_context_detach(token);
    assert_memory_equal(look.last.trace_id, trace_id, 16);
    assert_memory_equal(look.last.span_id, span_id, 8);
    assert_int_equal(look.last.flags, 1);

    vmafx_logger_emit(logger, &(VmafxLogRecord){ .severity = 9, .context = context, .body = vmafx_value_str("given") });
    assert_memory_equal(look.last.span_id, span_id, 8);
    vmafx_context_unref(&context);
    vmafx_logger_free(&logger);
    vmafx_log_provider_free(&provider);
}

static void severities_have_names(void **state)
{
    static const struct {
        int severity;
        const char *want;
    } cases[] = { { 0, "" },        { 1, "TRACE" },  { 4, "TRACE" },  { 5, "DEBUG" },     { 9, "INFO" },
                  { 10, "NOTICE" }, { 13, "WARN" },  { 17, "ERROR" }, { 18, "CRITICAL" }, { 19, "ALERT" },
                  { 21, "FATAL" },  { 24, "FATAL" }, { 25, "" },      { -1, "" } };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(cases); i++)
        assert_string_equal(vmafx_severity_text(cases[i].severity), cases[i].want);
}

static void limits_cut_values_drop_new_keys_and_count(void **state)
{
    Look look = look_new();
    VmafxLogProcessor *list[] = { &look.api };
    VmafxLogProviderSettings settings = { .limits = { .value_length = 3, .count = 2 } };
    VmafxLogProvider *provider = vmafx_log_provider_new(&settings, list, 1);
    VmafxLogger *logger = vmafx_logger_new_in(provider, "x", "", "", VMAFX_NO_ATTRS);

    (void)state;
    vmafx_log(logger, VMAFX_INFO, "a long body stays whole", VMAFX_ATTR_STR("a", "\xc3\xa4\xc3\xb6\xc3\xbcxyz"),
              VMAFX_ATTR_STR("b", "1"), VMAFX_ATTR_STR("c", "2"), VMAFX_ATTR_STR("b", "345678"),
              VMAFX_ATTR_STR("", "x"));
    assert_string_equal(look.text, "a='\xc3\xa4\xc3\xb6\xc3\xbc';b='345';"); /* three characters, six bytes */
    assert_int_equal(look.last.dropped_attrs, 2);
    assert_int_equal(look.last.body.str.len, 23);
    vmafx_logger_free(&logger);
    vmafx_log_provider_free(&provider);
}

static void attributes_of_an_exception_give_way_to_given_ones(void **state)
{
    Look look = look_new();
    VmafxLogProcessor *list[] = { &look.api };
    VmafxLogProvider *provider = vmafx_log_provider_new(NULL, list, 1);
    VmafxLogger *logger = vmafx_logger_new_in(provider, "x", "", "", VMAFX_NO_ATTRS);

    (void)state;
    vmafx_logger_emit(logger, &(VmafxLogRecord){ .exception_type = "IO",
                                                 .exception_message = "broken",
                                                 .attrs = VMAFX_ATTRS(VMAFX_ATTR_STR("exception.type", "mine")) });
    assert_string_equal(look.text, "exception.type='mine';exception.message='broken';");
    assert_int_equal(look.last.severity, 0);
    vmafx_logger_free(&logger);
    vmafx_log_provider_free(&provider);
}

static void processors_run_in_order_and_see_changes_and_say_who_listens(void **state)
{
    Look first = look_new(), second = look_new();
    VmafxLogProcessor *list[] = { &first.api, NULL, &second.api };
    VmafxLogProviderSettings settings = { .minimum_severity = VMAFX_INFO, .trace_based = true };
    VmafxLogProvider *provider = vmafx_log_provider_new(&settings, list, 3);
    VmafxLogger *logger = vmafx_logger_new_in(provider, "x", "", "", VMAFX_NO_ATTRS);
    VmafxContext *unsampled = span_context(0);

    (void)state;
    vmafx_log(logger, VMAFX_WARN, "w");
    assert_int_equal(first.last.severity, VMAFX_WARN);
    assert_int_equal(second.last.severity, VMAFX_FATAL);
    assert_false(vmafx_logger_enabled(logger, VMAFX_DEBUG, NULL));
    assert_true(vmafx_logger_enabled(logger, VMAFX_INFO, NULL));
    first.minimum = second.minimum = VMAFX_ERROR;
    assert_false(vmafx_logger_enabled(logger, VMAFX_WARN, NULL));
    assert_true(vmafx_logger_enabled(logger, VMAFX_ERROR, NULL));
    vmafx_logger_emit(logger, &(VmafxLogRecord){ .severity = VMAFX_ERROR, .context = unsampled });
    assert_int_equal(first.n, 1);
    assert_int_equal(vmafx_log_provider_shutdown(provider, patient()), VMAFX_EXPORT_OK);
    assert_int_equal(vmafx_log_provider_shutdown(provider, patient()), VMAFX_EXPORT_FAILED);
    assert_false(vmafx_logger_enabled(logger, VMAFX_ERROR, NULL));
    vmafx_context_unref(&unsampled);
    vmafx_logger_free(&logger);
    vmafx_log_provider_free(&provider);
}

/* ---- Batching ---- */

static VmafxLogProcessor *batch_of(Sink *sink, int32_t queue, int32_t batch, size_t bytes)
{
    VMAFX_AUTO(vmafx_resource_free)
    VmafxResource *resource = vmafx_resource_new(VMAFX_ATTRS(VMAFX_ATTR_STR("service.name", "test")), "");
    VmafxLogBatchSettings settings = {
        { .schedule_delay_ms = INT32_MAX, .export_timeout_ms = INT32_MAX, .queue_size = queue, .batch_size = batch },
        bytes
    };

    return vmafx_log_batch_new(resource, &sink->api, &settings);
}

static void a_flush_exports_everything_accepted_in_batches_of_at_most_their_size(void **state)
{
    Sink sink;

    (void)state;
    sink_init(&sink);
    VmafxLogProcessor *processor = batch_of(&sink, 100, 8, 0), *list[] = { processor };
    VmafxLogProvider *provider = vmafx_log_provider_new(NULL, list, 1);
    VmafxLogger *logger = vmafx_logger_new_in(provider, "scope", "1", "", VMAFX_NO_ATTRS);
    for (int i = 0; i < 50; i++) {
        char body[16];

        snprintf(body, sizeof body, "line %d", i); /* gone when the batch is exported */
        vmafx_log(logger, VMAFX_INFO, body, VMAFX_ATTR_INT("i", i));
    }
    assert_int_equal(vmafx_log_provider_flush(provider, patient()), VMAFX_EXPORT_OK);
    assert_int_equal(sink.records, 50);
    assert_in_range(sink.largest, 1, 8);
    assert_string_equal(sink.last_body, "line 49");
    assert_string_equal(sink.last_scope, "scope");
    assert_string_equal(sink.last_attr, "i");
    assert_string_equal(sink.service, "test");
    assert_int_equal(vmafx_log_batch_counts(processor).exported, 50);
    assert_int_equal(vmafx_log_batch_counts(processor).queued, 0);
    assert_true(vmafx_log_batch_counts(processor).queue_capacity >= 50);

    vmafx_log(logger, VMAFX_INFO, "last");
    assert_int_equal(vmafx_log_provider_shutdown(provider, patient()), VMAFX_EXPORT_OK);
    assert_int_equal(sink.records, 51);
    assert_int_equal(sink.shutdowns, 1);
    vmafx_log(logger, VMAFX_INFO, "too late");
    assert_int_equal(vmafx_log_provider_flush(provider, patient()), VMAFX_EXPORT_FAILED);
    vmafx_log_provider_free(&provider);
    vmafx_logger_free(&logger);
}

static void a_full_batch_is_exported_without_a_flush(void **state)
{
    Sink sink;

    (void)state;
    sink_init(&sink);
    VmafxLogProcessor *list[] = { batch_of(&sink, 100, 4, 0) };
    VmafxLogProvider *provider = vmafx_log_provider_new(NULL, list, 1);
    VmafxLogger *logger = vmafx_logger_new_in(provider, "", "", "", VMAFX_NO_ATTRS);
    for (int i = 0; i < 4; i++)
        vmafx_log(logger, VMAFX_INFO, "x");
    sink_wait_entered(&sink);
    vmafx_log_provider_shutdown(provider, patient());
    vmafx_log_provider_free(&provider);
    vmafx_logger_free(&logger);
    assert_int_equal(sink.records, 4);
}

static void a_full_queue_drops_the_newest_and_counts(void **state)
{
    Sink sink;

    (void)state;
    for (int by_bytes = 0; by_bytes < 2; by_bytes++) {
        sink_init(&sink);
        sink.hold = true;
        VmafxLogProcessor *processor = batch_of(&sink, by_bytes ? 1000 : 10, 1, by_bytes ? 4096 : 0),
                          *list[] = { processor };
        VmafxLogProvider *provider = vmafx_log_provider_new(NULL, list, 1);
        VmafxLogger *logger = vmafx_logger_new_in(provider, "", "", "", VMAFX_NO_ATTRS);

        vmafx_log(logger, VMAFX_INFO, "0");
        sink_wait_entered(&sink); /* one record is with the exporter, the queue is empty */
        for (int i = 1; i <= 100; i++) {
            char body[16];

            snprintf(body, sizeof body, "%d", i);
            vmafx_log(logger, VMAFX_INFO, body);
        }
        VmafxLogBatchCounts counts = vmafx_log_batch_counts(processor);
        assert_int_equal(counts.accepted + counts.dropped_full, 101);
        if (!by_bytes)
            assert_int_equal(counts.accepted, 11);
        assert_in_range(counts.accepted, 2, 100);
        sink_hold(&sink, false);
        assert_int_equal(vmafx_log_provider_flush(provider, patient()), VMAFX_EXPORT_OK);
        assert_int_equal(sink.records, counts.accepted);
        assert_int_equal(atoi(sink.last_body), (int)counts.accepted - 1); /* the newest were dropped */
        vmafx_log_provider_shutdown(provider, patient());
        vmafx_log_provider_free(&provider);
        vmafx_logger_free(&logger);
    }
}

static void a_failed_batch_is_given_up_and_the_thread_lives_on(void **state)
{
    Sink sink;

    (void)state;
    sink_init(&sink);
    sink.result = VMAFX_EXPORT_FAILED;
    VmafxLogProcessor *processor = batch_of(&sink, 10, 5, 0), *list[] = { processor };
    VmafxLogProvider *provider = vmafx_log_provider_new(NULL, list, 1);
    VmafxLogger *logger = vmafx_logger_new_in(provider, "", "", "", VMAFX_NO_ATTRS);

    vmafx_log(logger, VMAFX_INFO, "lost");
    assert_int_equal(vmafx_log_provider_flush(provider, patient()), VMAFX_EXPORT_FAILED);
    pthread_mutex_lock(&sink.lock);
    sink.result = VMAFX_EXPORT_OK;
    pthread_mutex_unlock(&sink.lock);
    vmafx_log(logger, VMAFX_INFO, "fine");
    assert_int_equal(vmafx_log_provider_flush(provider, patient()), VMAFX_EXPORT_OK);
    assert_int_equal(vmafx_log_batch_counts(processor).failed, 1);
    assert_int_equal(vmafx_log_batch_counts(processor).exported, 1);
    vmafx_log_provider_shutdown(provider, patient());
    vmafx_log_provider_free(&provider);
    vmafx_logger_free(&logger);
}

static void flush_and_shutdown_return_at_their_deadline_from_a_stuck_exporter(void **state)
{
    Sink sink;

    (void)state;
    sink_init(&sink);
    sink.hold = true;
    VmafxLogProcessor *list[] = { batch_of(&sink, 10, 1, 0) };
    VmafxLogProvider *provider = vmafx_log_provider_new(NULL, list, 1);
    VmafxLogger *logger = vmafx_logger_new_in(provider, "", "", "", VMAFX_NO_ATTRS);

    vmafx_log(logger, VMAFX_INFO, "held");
    vmafx_log(logger, VMAFX_INFO, "queued");
    sink_wait_entered(&sink);
    assert_int_equal(vmafx_log_provider_flush(provider, 1), VMAFX_EXPORT_TIMEOUT); /* a deadline long gone */
    assert_int_equal(vmafx_log_provider_shutdown(provider, 1), VMAFX_EXPORT_TIMEOUT);
    assert_int_equal(sink.shutdowns, 1);
    vmafx_log_provider_free(&provider);
    vmafx_logger_free(&logger);
    assert_int_equal(sink.frees, 0); /* the worker still needs it */
    pthread_mutex_lock(&sink.lock);
    sink.hold = false;
    pthread_cond_broadcast(&sink.changed);
    while (!sink.frees)
        pthread_cond_wait(&sink.changed, &sink.lock);
    pthread_mutex_unlock(&sink.lock);
    assert_int_equal(sink.records, 1);
}

static void *log_many(void *arg)
{
    for (int i = 0; i < 500; i++)
        vmafx_log((VmafxLogger *)arg, VMAFX_INFO, "many", VMAFX_ATTR_INT("i", i));
    return NULL;
}

static void nothing_is_lost_or_doubled_between_many_threads(void **state)
{
    enum { THREADS = 8 };
    pthread_t threads[THREADS];
    VmafxLogger *loggers[THREADS];
    Sink sink;

    (void)state;
    sink_init(&sink);
    VmafxLogProcessor *list[] = { batch_of(&sink, THREADS * 500, 64, 64 << 20) };
    VmafxLogProvider *provider = vmafx_log_provider_new(NULL, list, 1);
    for (int i = 0; i < THREADS; i++) {
        loggers[i] = vmafx_logger_new_in(provider, i % 2 ? "odd" : "even", "", "", VMAFX_NO_ATTRS);
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, loggers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(vmafx_log_provider_shutdown(provider, patient()), VMAFX_EXPORT_OK);
    assert_int_equal(sink.records, THREADS * 500);
    vmafx_log_provider_free(&provider);
    for (int i = 0; i < THREADS; i++)
        vmafx_logger_free(&loggers[i]);
}

static void a_forked_child_is_silent_and_does_not_hang(void **state)
{
    Sink sink;
    int status;

    (void)state;
    sink_init(&sink);
    VmafxLogProcessor *list[] = { batch_of(&sink, 10, 1, 0) };
    VmafxLogProvider *provider = vmafx_log_provider_new(NULL, list, 1);
    VmafxLogger *logger = vmafx_logger_new_in(provider, "", "", "", VMAFX_NO_ATTRS);
    pid_t child = fork();

    if (!child) {
        vmafx_log(logger, VMAFX_INFO, "from the child");
        bool silent = vmafx_log_provider_flush(provider, patient()) == VMAFX_EXPORT_FAILED;
        vmafx_log_provider_free(&provider);
        _exit(silent ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    vmafx_log_provider_shutdown(provider, patient());
    assert_int_equal(sink.records, 0);
    vmafx_log_provider_free(&provider);
    vmafx_logger_free(&logger);
}

/* ---- Lines ---- */

static void a_line_is_logfmt_or_json_and_nothing_in_it_can_end_it(void **state)
{
    static const VmafxScope scope = { "vmafx.node", "", "", { NULL, 0 } };
    VmafxLogData r = { .observed_ns = UINT64_C(1700000001500000000),
                       .severity = 13,
                       .severity_text = "WARN",
                       .scope = &scope,
                       .flags = 1,
                       .body = vmafx_value_str("lease lost") };
    VmafxValue numbers[] = { { .type = VMAFX_VALUE_INT, .i = 1 }, { .type = VMAFX_VALUE_DOUBLE, .d = 0.1 } };
    VmafxAttr items[] = { VMAFX_ATTR_INT("n", -3),
                          VMAFX_ATTR_STR("text", "a \"b\"\n\033[31m\xff\xc2\x85"),
                          VMAFX_ATTR_STR("level", "mine"),
                          VMAFX_ATTR_BOOL("ok", true),
                          VMAFX_ATTR_STR("empty", ""),
                          VMAFX_ATTR_STR("k e=y", "v"),
                          { "list", { .type = VMAFX_VALUE_ARRAY, .array = { numbers, 2 } } },
                          { "bytes", { .type = VMAFX_VALUE_BYTES, .str = { "\0\1\2\3", 4 } } },
                          VMAFX_ATTR_DOUBLE("nan", __builtin_nan("")) };
    char text[VMAFX_LOG_LINE_MAX + 1];

    (void)state;
    memcpy(r.trace_id, trace_id, sizeof trace_id);
    memcpy(r.span_id, span_id, sizeof span_id);
    r.attrs = (VmafxAttrs){ items, VMAFX_LEN(items) };
    size_t len = vmafx_log_line_format(&r, VMAFX_LOG_LOGFMT, text);
    assert_int_equal(len, strlen(text));
    assert_string_equal(text, "time=2023-11-14T22:13:21.500Z level=warn msg=\"lease lost\" logger=vmafx.node n=-3 "
                              "text=\"a \\\"b\\\"\\n\\u001b[31m\xef\xbf\xbd\\u0085\" attributes.level=mine ok=true "
                              "empty=\"\" k_e_y=v list=\"[1,0.1]\" bytes=\"AAECAw==\" nan=NaN "
                              "trace_id=4bf90102030405060708090a0b0c0d0e span_id=a102030405060708 trace_flags=01\n");
    vmafx_log_line_format(&r, VMAFX_LOG_JSON, text);
    assert_string_equal(text,
                        "{\"time\":\"2023-11-14T22:13:21.500Z\",\"level\":\"warn\",\"message\":\"lease lost\","
                        "\"logger\":\"vmafx.node\",\"trace_id\":\"4bf90102030405060708090a0b0c0d0e\","
                        "\"span_id\":\"a102030405060708\",\"trace_flags\":\"01\",\"attributes\":{\"n\":-3,"
                        "\"text\":\"a \\\"b\\\"\\n\\u001b[31m\xef\xbf\xbd\\u0085\",\"level\":\"mine\",\"ok\":true,"
                        "\"empty\":\"\",\"k e=y\":\"v\",\"list\":[1,0.1],\"bytes\":\"AAECAw==\",\"nan\":\"NaN\"}}\n");
}

static void a_line_that_would_be_too_long_leaves_attributes_out_and_says_so(void **state)
{
    static char big[20000], text[VMAFX_LOG_LINE_MAX + 1];
    VmafxAttr items[] = { VMAFX_ATTR_INT("before", 1), VMAFX_ATTR_STR("big", big), VMAFX_ATTR_INT("after", 2) };

    (void)state;
    memset(big, '"', sizeof big - 1); /* two bytes each */
    items[1] = VMAFX_ATTR_STR("big", big);
    for (int format = 0; format < 2; format++)
        for (int k = 0; k < 3; k++) {
            VmafxLogData r = { .severity = 9,
                               .severity_text = "INFO",
                               .body = vmafx_value_str(k == 1 ? big : "m"),
                               .attrs = { items, 3 },
                               .event_name = k == 2 ? big : "" };
            r.trace_id[0] = 1;
            size_t len = vmafx_log_line_format(&r, (VmafxLogFormat)format, text);

            assert_in_range(len, 1, VMAFX_LOG_LINE_MAX);
            assert_true(strchr(text, '\n') == text + len - 1);
            assert_non_null(strstr(text, "before"));
            assert_non_null(strstr(text, "after"));
            assert_non_null(strstr(text, "trace_flags"));
            assert_non_null(strstr(text, format ? ",\"truncated\":true}\n" : " truncated=true\n"));
        }
}

/* Everything that came out of a pipe, terminated. */
static char *read_all(int fd)
{
    size_t n = 0, room = 1 << 20;
    char *text = malloc(room + 1);

    for (ssize_t got; n < room && (got = read(fd, text + n, room - n)) > 0;)
        n += (size_t)got;
    text[n] = 0;
    return text;
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;

    for (; (text = strstr(text, what)); text += strlen(what))
        n++;
    return n;
}

static void repeats_beyond_the_burst_are_left_out_and_counted_later(void **state)
{
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    VmafxLogLinesSettings settings = {
        .fd = fds[1], .minimum_severity = VMAFX_INFO, .repeat_burst = 3, .repeat_window_ms = 1000
    };
    VmafxLogProcessor *processor = vmafx_log_lines_new(&settings), *list[] = { processor };
    VmafxLogProvider *provider = vmafx_log_provider_new(NULL, list, 1);
    VmafxLogger *logger = vmafx_logger_new_in(provider, "x", "", "", VMAFX_NO_ATTRS);
    uint64_t second = 1000000000u, dropped, suppressed;

    assert_false(vmafx_logger_enabled(logger, VMAFX_DEBUG, NULL));
    for (uint64_t i = 0; i < 10; i++)
        vmafx_logger_emit(
            logger,
            &(VmafxLogRecord){ .observed_ns = second + i, .severity = VMAFX_WARN, .body = vmafx_value_str("again") });
    for (int i = 0; i < 5; i++)
        vmafx_logger_emit(
            logger,
            &(VmafxLogRecord){ .observed_ns = second, .severity = VMAFX_FATAL, .body = vmafx_value_str("deadly") });
    vmafx_logger_emit(
        logger, &(VmafxLogRecord){ .observed_ns = second, .severity = VMAFX_WARN, .body = vmafx_value_str("another") });
    vmafx_logger_emit(
        logger,
        &(VmafxLogRecord){ .observed_ns = 2 * second, .severity = VMAFX_WARN, .body = vmafx_value_str("again") });
    vmafx_log_lines_counts(processor, &dropped, &suppressed);
    assert_int_equal(dropped, 0);
    assert_int_equal(suppressed, 7);
    assert_int_equal(vmafx_log_provider_shutdown(provider, patient()), VMAFX_EXPORT_OK);
    vmafx_log_provider_free(&provider);
    vmafx_logger_free(&logger);
    close(fds[1]);
    VMAFX_AUTO(vmafx_free_p) char *text = read_all(fds[0]);
    close(fds[0]);
    assert_int_equal(count(text, "msg=again"), 4);
    assert_int_equal(count(text, "msg=deadly"), 5);
    assert_int_equal(count(text, "msg=another"), 1);
    assert_int_equal(count(text, "suppressed=7"), 1);
}

static void a_reader_that_does_not_read_stops_nobody_and_drops_are_told(void **state)
{
    int fds[2];
    char filler[4000];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    assert_true(fcntl(fds[1], F_SETPIPE_SZ, 4096) >=
                4096); /* less than the queue holds, however late its thread runs */
    memset(filler, 'f', sizeof filler - 1);
    filler[sizeof filler - 1] = 0;
    VmafxLogLinesSettings settings = { .fd = fds[1], .repeat_burst = -1, .queue_bytes = 1 << 16 };
    VmafxLogProcessor *processor = vmafx_log_lines_new(&settings), *list[] = { processor };
    VmafxLogProvider *provider = vmafx_log_provider_new(NULL, list, 1);
    VmafxLogger *logger = vmafx_logger_new_in(provider, "x", "", "", VMAFX_NO_ATTRS);
    uint64_t dropped, suppressed;

    for (int i = 0; i < 200; i++) /* more than pipe and queue hold */
        vmafx_log(logger, VMAFX_INFO, "full", VMAFX_ATTR_STR("f", filler));
    vmafx_log_lines_counts(processor, &dropped, &suppressed);
    assert_in_range(dropped, 1, 199);
    assert_int_equal(vmafx_log_provider_flush(provider, 1), VMAFX_EXPORT_TIMEOUT);

    pid_t reader = fork(); /* someone begins to read */
    if (!reader) {
        close(fds[1]);
        VMAFX_AUTO(vmafx_free_p) char *text = read_all(fds[0]);
        _exit(count(text, "msg=full") == 200 - dropped && count(text, "msg=after") == 1 &&
                      count(text, "log lines dropped") >= 1
                  ? 0
                  : 1);
    }
    assert_int_equal(vmafx_log_provider_flush(provider, patient()), VMAFX_EXPORT_OK);
    vmafx_log(logger, VMAFX_INFO, "after");
    assert_int_equal(vmafx_log_provider_shutdown(provider, patient()), VMAFX_EXPORT_OK);
    vmafx_log_provider_free(&provider);
    vmafx_logger_free(&logger);
    close(fds[1]);
    int status;
    assert_int_equal(waitpid(reader, &status, 0), reader);
    assert_int_equal(status, 0);
    close(fds[0]);
}

static void a_closed_pipe_is_a_failure_and_no_signal(void **state)
{
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    close(fds[0]);
    VmafxLogProcessor *list[] = { vmafx_log_lines_new(&(VmafxLogLinesSettings){ .fd = fds[1] }) };
    VmafxLogProvider *provider = vmafx_log_provider_new(NULL, list, 1);
    VmafxLogger *logger = vmafx_logger_new_in(provider, "x", "", "", VMAFX_NO_ATTRS);

    vmafx_log(logger, VMAFX_INFO, "to nobody");
    assert_int_equal(vmafx_log_provider_flush(provider, patient()), VMAFX_EXPORT_FAILED);
    vmafx_log_provider_shutdown(provider, patient());
    vmafx_log_provider_free(&provider);
    vmafx_logger_free(&logger);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_provider_nothing_happens_and_a_later_one_takes_over),
        cmocka_unit_test(records_carry_the_current_or_the_given_span),
        cmocka_unit_test(severities_have_names),
        cmocka_unit_test(limits_cut_values_drop_new_keys_and_count),
        cmocka_unit_test(attributes_of_an_exception_give_way_to_given_ones),
        cmocka_unit_test(processors_run_in_order_and_see_changes_and_say_who_listens),
        cmocka_unit_test(a_flush_exports_everything_accepted_in_batches_of_at_most_their_size),
        cmocka_unit_test(a_full_batch_is_exported_without_a_flush),
        cmocka_unit_test(a_full_queue_drops_the_newest_and_counts),
        cmocka_unit_test(a_failed_batch_is_given_up_and_the_thread_lives_on),
        cmocka_unit_test(flush_and_shutdown_return_at_their_deadline_from_a_stuck_exporter),
        cmocka_unit_test(nothing_is_lost_or_doubled_between_many_threads),
        cmocka_unit_test(a_forked_child_is_silent_and_does_not_hang),
        cmocka_unit_test(a_line_is_logfmt_or_json_and_nothing_in_it_can_end_it),
        cmocka_unit_test(a_line_that_would_be_too_long_leaves_attributes_out_and_says_so),
        cmocka_unit_test(repeats_beyond_the_burst_are_left_out_and_counted_later),
        cmocka_unit_test(a_reader_that_does_not_read_stops_nobody_and_drops_are_told),
        cmocka_unit_test(a_closed_pipe_is_a_failure_and_no_signal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
