/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A running program is held to signals.def: what does not fit is told where it is made; what fits passes. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "otel/api/log.h"
#include "otel/export/signals_check.h"
#include "otel/sdk/meter_provider.h"
#include "score/telemetry.h"
#include "signals/signals.h"

static char *const logging[] = { "PATH=/", "VMAFX_SIGNALS_CHECK=log", NULL };
static char *const aborting[] = { "VMAFX_SIGNALS_CHECK=abort", NULL };

/* What was told, one after the other. */
typedef struct Told {
    size_t n;
    char last[512];
} Told;

static void on_error(void *ctx, int severity, const char *message)
{
    Told *told = ctx;

    assert_int_equal(severity, VMAFX_WARN);
    told->n++;
    snprintf(told->last, sizeof told->last, "%s", message);
}

/* Keeps copies of what spans said of their status. */
typedef struct Keeper {
    VmafxSpanProcessor base;
    size_t n;
    char name[16][64], status[16][128];
} Keeper;

static void keep(VmafxSpanProcessor *processor, VmafxFinishedSpan *span, unsigned lane)
{
    Keeper *keeper = (Keeper *)processor;
    const VmafxSpanData *data = vmafx_finished_span_data(span);

    assert_true(keeper->n < VMAFX_LEN(keeper->name));
    snprintf(keeper->name[keeper->n], sizeof keeper->name[0], "%s", data->name);
    snprintf(keeper->status[keeper->n++], sizeof keeper->status[0], "%s", data->status_description);
    vmafx_finished_span_unref(&span);
}

static VmafxExportResult nothing(VmafxSpanProcessor *processor, uint64_t deadline_ns)
{
    return VMAFX_EXPORT_OK;
}

static bool keep_memory(VmafxSpanProcessor *processor)
{
    return true;
}

typedef struct Traces {
    Told told;
    Keeper keeper;
    VmafxSignalsCheck *check;
    VmafxTraceProvider *provider;
} Traces;

static void traces_open(Traces *t, char *const *environment)
{
    VmafxTraceProviderConfig config = VMAFX_TRACE_PROVIDER_DEFAULT;

    *t = (Traces){ .keeper = { .base = { NULL, keep, nothing, nothing, keep_memory } } };
    t->check = vmafx_signals_check_new(environment, on_error, &t->told);
    config.processors[config.n_processors++] = &t->keeper.base;
    vmafx_signals_check_traces(t->check, &config);
    t->provider = vmafx_trace_provider_new(&config);
    assert_non_null(t->provider);
}

static void traces_close(Traces *t)
{
    vmafx_trace_provider_free(&t->provider);
    vmafx_signals_check_free(&t->check);
    assert_null(t->check);
}

static VmafxTracer *tracer(Traces *t, const char *scope)
{
    return vmafx_trace_provider_tracer(t->provider, scope, "1", NULL, VMAFX_NO_ATTRS);
}

static void the_environment_says_whether_anything_is_checked(void **state)
{
    char *const off[] = { "VMAFX_SIGNALS_CHECK=off", NULL };
    VmafxTraceProviderConfig config = VMAFX_TRACE_PROVIDER_DEFAULT;
    VmafxSignalsCheck *check = vmafx_signals_check_new(off, on_error, NULL);
    VmafxLogProcessor *processors[1];
    static const VmafxMetricsSdk sdk;

    (void)state;
    assert_null(check);
    vmafx_signals_check_traces(check, &config);
    assert_int_equal(config.n_processors, 0);
    assert_int_equal(vmafx_signals_check_logs(check, processors, 0), 0);
    assert_ptr_equal(vmafx_signals_check_metrics(check, &sdk), &sdk);
    vmafx_signals_check_free(&check);
    check = vmafx_signals_check_new(logging, on_error, NULL);
    assert_non_null(check);
    assert_null(vmafx_signals_check_metrics(check, NULL));
    vmafx_signals_check_free(&check);
}

static void spans_that_do_not_fit_are_told_when_they_end(void **state)
{
    static const struct {
        const char *why, *scope, *name, *key, *status, *event, *told; /* told: NULL for nothing */
    } cases[] = {
        { "as the table has it", "vmafx.score", "vmafx.scoring", "vmafx.model.name", NULL, NULL, NULL },
        { "somebody else's", "theirs", "work", "code.function.name", "cannot open '/a'", "hello", NULL },
        { "not a name of ours", "vmafx.score", "work", NULL, NULL, NULL, "'work' of 'vmafx.score'" },
        { "ours in another scope", "theirs", "vmafx.scorings", NULL, NULL, NULL, "'vmafx.scorings' of 'theirs'" },
        { "not a scope of ours", "vmafx.scores", "vmafx.scoring", NULL, NULL, NULL, "the scope is not" },
        { "a key of another span", "vmafx.score", "vmafx.scoring", "vmafx.queue.outcome", NULL, NULL,
          "('vmafx.queue.outcome')" },
        { "somebody else's key", "vmafx.score", "vmafx.scoring", "code.function.name", NULL, NULL,
          "('code.function.name')" },
        { "a path", "vmafx.score", "vmafx.scoring", NULL, "no /srv/a.y4m", NULL, "has a path" },
        { "an event", "vmafx.score", "vmafx.scoring", NULL, NULL, "hello", "('hello')" },
        { "the usual event", "vmafx.score", "vmafx.scoring", NULL, NULL, "exception", NULL },
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        Traces t;
        traces_open(&t, logging);
        VmafxSpan *span = vmafx_span_start(tracer(&t, cases[i].scope), cases[i].name);

        if (cases[i].key)
            vmafx_span_set_str(span, cases[i].key, "x");
        if (cases[i].status)
            vmafx_span_set_status(span, VMAFX_STATUS_ERROR, cases[i].status);
        if (cases[i].event)
            vmafx_span_add_event(span, cases[i].event, VMAFX_NO_ATTRS);
        assert_int_equal(t.told.n, 0);
        vmafx_span_end(&span);
        if (t.told.n != (cases[i].told ? 1 : 0) || (cases[i].told && !strstr(t.told.last, cases[i].told)))
            fail_msg("%s: %zu told, '%s'", cases[i].why, t.told.n, t.told.last);
        assert_int_equal(t.keeper.n, 1); /* whatever it is, it is exported */
        traces_close(&t);
    }
}

static void a_fault_is_told_once_and_other_faults_after_it(void **state)
{
    Traces t;

    (void)state;
    traces_open(&t, logging);
    for (int i = 0; i < 5; i++) {
        VmafxSpan *span = vmafx_span_start(tracer(&t, "vmafx.score"), "vmafx.unheard");
        vmafx_span_end(&span);
    }
    assert_int_equal(t.told.n, 1);
    VmafxSpan *other = vmafx_span_start(tracer(&t, "vmafx.score"), "vmafx.unseen");
    vmafx_span_end(&other);
    assert_int_equal(t.told.n, 2);
    traces_close(&t);
}

/* Runs fn in a child without a core file; the signal that ended it, or 0. */
static int signal_of(void (*fn)(void))
{
    pid_t pid = fork();
    int status = 0;

    if (!pid) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
        if (!freopen("/dev/null", "w", stderr))
            _exit(1);
        fn();
        _exit(0);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void end_a_span(const char *name)
{
    static Traces t;

    traces_open(&t, aborting);
    VmafxSpan *span = vmafx_span_start(tracer(&t, "vmafx.score"), name);
    vmafx_span_end(&span);
}

static void end_a_good_one(void)
{
    end_a_span("vmafx.scoring");
}

static void end_a_bad_one(void)
{
    end_a_span("vmafx.unheard");
}

static void when_asked_a_program_is_aborted(void **state)
{
    (void)state;
    assert_int_equal(signal_of(end_a_good_one), 0);
    assert_int_equal(signal_of(end_a_bad_one), SIGABRT);
}

static void log_records_are_told_when_they_are_emitted(void **state)
{
    Told told = { 0 };
    VmafxSignalsCheck *check = vmafx_signals_check_new(logging, on_error, &told);
    VmafxLogProcessor *processors[1];
    size_t n = vmafx_signals_check_logs(check, processors, 0);
    VmafxLogProvider *provider =
        vmafx_log_provider_new(&(VmafxLogProviderSettings){ .minimum_severity = 0 }, processors, n);
    VmafxLogger *ours = vmafx_logger_new_in(provider, "vmafx.controller", "1", "", VMAFX_NO_ATTRS);
    VmafxLogger *theirs = vmafx_logger_new_in(provider, "theirs", "1", "", VMAFX_NO_ATTRS);
    VmafxLogger *nobodys = vmafx_logger_new_in(provider, "vmafx.nobody", "1", "", VMAFX_NO_ATTRS);

    (void)state;
    vmafx_log(ours, VMAFX_INFO, "job cancelled", VMAFX_ATTR_STR(VMAFX_KEY_AUDIT_ACTION, "job.cancel"),
              VMAFX_ATTR_STR(VMAFX_KEY_AUDIT_OUTCOME, "done"));
    vmafx_log(theirs, VMAFX_INFO, "x", VMAFX_ATTR_STR("code.function.name", "x"));
    assert_int_equal(told.n, 0);
    vmafx_log(ours, VMAFX_INFO, "x", VMAFX_ATTR_STR("code.function.name", "x"));
    assert_int_equal(told.n, 1);
    vmafx_log(theirs, VMAFX_INFO, "x", VMAFX_ATTR_STR("vmafx.job.mood", "x"));
    assert_int_equal(told.n, 2);
    vmafx_log(ours, VMAFX_INFO, "x", VMAFX_ATTR_STR(VMAFX_KEY_AUDIT_OUTCOME, "perhaps"));
    assert_int_equal(told.n, 3);
    assert_non_null(strstr(told.last, "closed set"));
    vmafx_log(nobodys, VMAFX_INFO, "x");
    assert_int_equal(told.n, 4);
    vmafx_logger_free(&ours);
    vmafx_logger_free(&theirs);
    vmafx_logger_free(&nobodys);
    vmafx_log_provider_free(&provider);
    vmafx_signals_check_free(&check);
}

static void observe(VmafxObserver *observer, VmafxObservable *self, void *state)
{
    vmafx_observe_int(observer, self, 3, VMAFX_ATTRS(VMAFX_ATTR_STR(VMAFX_KEY_NODE_STATE, (const char *)state)));
}

static void metrics_are_told_when_made_and_when_measured_and_count_all_the_same(void **state)
{
    Told told = { 0 };
    VmafxMetricReader *reader = vmafx_metric_reader_new(NULL);
    VmafxMeterProvider *provider =
        vmafx_meter_provider_new(&(VmafxMeterProviderOptions){ .readers = &reader, .n_readers = 1 });
    VmafxSignalsCheck *check = vmafx_signals_check_new(logging, on_error, &told);
    const VmafxMetricsSdk *sdk = vmafx_signals_check_metrics(check, vmafx_meter_provider_sdk(provider));
    VmafxMeter *ours = vmafx_meter_new(sdk, &(VmafxMeterInfo){ .name = "vmafx.controller" });
    VmafxMeter *theirs = vmafx_meter_new(sdk, &(VmafxMeterInfo){ .name = "theirs" });
    VmafxAttrs input = VMAFX_ATTRS(VMAFX_ATTR_STR(VMAFX_KEY_JOB_FAILURE_CLASS, "input"));
    VmafxAttrs id = VMAFX_ATTRS(VMAFX_ATTR_STR(VMAFX_KEY_JOB_ID, "x"));

    (void)state;
    VmafxCounter *failed = vmafx_counter(ours, "vmafx.jobs.failed", "{job}", "");
    assert_ptr_equal(failed, vmafx_counter(ours, "vmafx.jobs.failed", "{job}", ""));
    assert_true(vmafx_counter_enabled(failed));
    vmafx_counter_add_with(failed, 2, input, NULL);
    vmafx_bound_int(vmafx_counter_bind(failed, input), 3);
    vmafx_observable_up_down_counter(ours, "vmafx.nodes", "{node}", "", observe, (void *)(uintptr_t) "ready");
    vmafx_counter_add_with(vmafx_counter(theirs, "things", "1", ""), 1, id, NULL);
    assert_int_equal(told.n, 0);

    vmafx_counter_add_with(failed, 1, id, NULL);
    assert_int_equal(told.n, 1);
    assert_non_null(strstr(told.last, "('vmafx.job.id')"));
    vmafx_counter_bind(failed, VMAFX_ATTRS(VMAFX_ATTR_STR(VMAFX_KEY_JOB_FAILURE_CLASS, "luck")));
    assert_int_equal(told.n, 2);
    vmafx_counter(ours, "vmafx.jobs.failed", "1", "");
    assert_int_equal(told.n, 3);
    vmafx_gauge(ours, "vmafx.jobs.failed", "{job}", "");
    assert_int_equal(told.n, 4);
    VmafxHistogram *unheard = vmafx_histogram(theirs, "vmafx.unheard", "s", "");
    assert_int_equal(told.n, 5);
    vmafx_histogram_record_with(unheard, 1, id, NULL); /* told already, as a whole */
    vmafx_counter(ours, "things", "1", "");
    assert_int_equal(told.n, 6);

    VmafxMetricSnapshot *snapshot = vmafx_metric_reader_collect(reader);
    assert_int_equal(told.n, 6);
    int64_t total = 0, nodes = 0;
    for (size_t i = 0; i < snapshot->n; i++)
        for (size_t k = 0; k < snapshot->metrics[i].n_points; k++)
            if (!strcmp(snapshot->metrics[i].name, "vmafx.jobs.failed"))
                total += snapshot->metrics[i].points[k].i;
            else if (!strcmp(snapshot->metrics[i].name, "vmafx.nodes"))
                nodes += snapshot->metrics[i].points[k].i;
    assert_int_equal(total, 6);
    assert_int_equal(nodes, 3);
    vmafx_snapshot_free(&snapshot);
    vmafx_meter_free(&ours);
    vmafx_meter_free(&theirs);
    vmafx_meter_provider_free(&provider);
    vmafx_signals_check_free(&check);
}

static void an_observation_that_does_not_fit_is_told(void **state)
{
    Told told = { 0 };
    VmafxMetricReader *reader = vmafx_metric_reader_new(NULL);
    VmafxMeterProvider *provider =
        vmafx_meter_provider_new(&(VmafxMeterProviderOptions){ .readers = &reader, .n_readers = 1 });
    VmafxSignalsCheck *check = vmafx_signals_check_new(logging, on_error, &told);
    VmafxMeter *meter = vmafx_meter_new(vmafx_signals_check_metrics(check, vmafx_meter_provider_sdk(provider)),
                                        &(VmafxMeterInfo){ .name = "vmafx.controller" });

    (void)state;
    vmafx_observable_up_down_counter(meter, "vmafx.nodes", "{node}", "", observe, (void *)(uintptr_t) "asleep");
    assert_int_equal(told.n, 0);
    VmafxMetricSnapshot *snapshot = vmafx_metric_reader_collect(reader);
    assert_int_equal(told.n, 1);
    vmafx_snapshot_free(&snapshot);
    vmafx_meter_free(&meter);
    vmafx_meter_provider_free(&provider);
    vmafx_signals_check_free(&check);
}

static void however_a_scoring_ends_its_spans_fit_and_name_no_file(void **state)
{
    static const struct {
        VmafxScoreEnd end;
        const char *status; /* of vmafx.scoring */
    } cases[] = {
        { { .complete = true,
            .ending = VMAFX_ENDING_TOGETHER,
            .has_score = true,
            .score = 90,
            .model = "m",
            .kernels = "avx2" },
          "" },
        { { .complete = true, .ending = VMAFX_ENDING_SHORTER, .ended_first = "distorted" }, "" },
        { { .ending = VMAFX_ENDING_SHORTER, .ended_first = "reference" }, "one input ended before the other" },
        { { .ending = VMAFX_ENDING_BROKEN, .ended_first = "distorted" }, "an input broke off" },
        { { .ending = VMAFX_ENDING_CANCELLED }, "cancelled" },
        { { .err = VMAFX_ERR_NOT_FOUND }, "not found" },
        { { .err = VMAFX_ERR_NOMEM, .ending = VMAFX_ENDING_BROKEN, .ended_first = "reference" }, "out of memory" },
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VmafxScoreTimes times = { 0 };
        VmafxScoreTrace trace;
        Traces t;

        traces_open(&t, logging);
        vmafx_tracer_provider_set(vmafx_trace_provider_api(t.provider));
        vmafx_score_trace_begin(&trace);
        VmafxSpan *input = vmafx_score_trace_input(&trace, "reference");
        vmafx_score_trace_input_done(&input, NULL, cases[i].end.err);
        vmafx_score_trace_frame(&trace, 0, 0, &times);
        vmafx_score_trace_end(&trace, &cases[i].end);
        vmafx_tracer_provider_set(NULL);
        if (t.told.n)
            fail_msg("%zu: %s", i, t.told.last);
        assert_int_equal(t.keeper.n, 3);
        assert_string_equal(t.keeper.name[2], "vmafx.scoring");
        assert_string_equal(t.keeper.status[2], cases[i].status);
        traces_close(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_environment_says_whether_anything_is_checked),
        cmocka_unit_test(spans_that_do_not_fit_are_told_when_they_end),
        cmocka_unit_test(a_fault_is_told_once_and_other_faults_after_it),
        cmocka_unit_test(when_asked_a_program_is_aborted),
        cmocka_unit_test(log_records_are_told_when_they_are_emitted),
        cmocka_unit_test(metrics_are_told_when_made_and_when_measured_and_count_all_the_same),
        cmocka_unit_test(an_observation_that_does_not_fit_is_told),
        cmocka_unit_test(however_a_scoring_ends_its_spans_fit_and_name_no_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
