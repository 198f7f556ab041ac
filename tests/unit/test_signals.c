/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The table of signals: consistent in itself, found by name, and able to tell what does not fit. */

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/features.h"
#include "signals/signals.h"

static void check_name(const char *name)
{
    if (!islower((unsigned char)*name) || name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._")] ||
        !strchr(name, '.') || strstr(name, "..") || name[strlen(name) - 1] == '.')
        fail_msg("%s", name);
}

static void every_row_is_found_by_its_name_which_is_well_formed_and_unique(void **state)
{
    (void)state;
    for (int i = 0; i < VMAFX_ATTRIBUTE_ID_COUNT; i++) {
        const VmafxAttributeRow *row = vmafx_attribute_row((VmafxAttributeId)i);

        check_name(row->key);
        assert_ptr_equal(vmafx_attribute_find(row->key), row);
        assert_true(!*row->values || row->type == VMAFX_ATTRIBUTE_STR);
    }
    for (int i = 0; i < VMAFX_METRIC_ID_COUNT; i++) {
        const VmafxMetricRow *row = vmafx_metric_row((VmafxMetricId)i);

        check_name(row->name);
        assert_ptr_equal(vmafx_metric_find(row->name), row);
    }
    for (int i = 0; i < VMAFX_SPAN_ID_COUNT; i++) {
        const VmafxSpanRow *row = vmafx_span_row((VmafxSpanNameId)i);

        assert_true(*row->attributes);
        if (*row->name == '<')
            continue; /* made by a rule of the conventions */
        check_name(row->name);
        assert_ptr_equal(vmafx_span_find(row->name), row);
    }
    assert_null(vmafx_attribute_row(VMAFX_ATTRIBUTE_ID_COUNT));
    assert_null(vmafx_metric_row(VMAFX_METRIC_ID_COUNT));
    assert_null(vmafx_span_row(VMAFX_SPAN_ID_COUNT));
    assert_null(vmafx_attribute_find(NULL));
    assert_null(vmafx_metric_find("vmafx.unheard.of"));
    assert_null(vmafx_span_find("<rpc.method>"));
}

static void units_are_base_units_and_only_histograms_have_rising_boundaries(void **state)
{
    (void)state;
    for (int i = 0; i < VMAFX_METRIC_ID_COUNT; i++) {
        const VmafxMetricRow *row = vmafx_metric_row((VmafxMetricId)i);

        if (strcmp(row->unit, "s") != 0 && strcmp(row->unit, "By") != 0 && strcmp(row->unit, "1") != 0 &&
            *row->unit != '{')
            fail_msg("%s is in %s", row->name, row->unit);
        assert_int_equal(row->n_bounds > 0, row->kind == VMAFX_KIND_HISTOGRAM);
        assert_int_equal(row->bounds != NULL, row->n_bounds > 0);
        for (size_t k = 1; k < row->n_bounds; k++)
            assert_true(row->bounds[k - 1] < row->bounds[k]);
    }
}

static void attributes_of_metrics_are_in_the_table_and_none_is_an_unbounded_id(void **state)
{
    (void)state;
    for (int i = 0; i < VMAFX_METRIC_ID_COUNT; i++) {
        const VmafxMetricRow *row = vmafx_metric_row((VmafxMetricId)i);

        for (const char *at = row->attributes; *at;) {
            char key[64];
            size_t n = strcspn(at, " ");

            assert_true(n > 0 && n < sizeof key);
            memcpy(key, at, n);
            key[n] = 0;
            if (!vmafx_attribute_find(key))
                fail_msg("%s: %s is not in the table", row->name, key);
            if (!strcmp(key, VMAFX_KEY_JOB_ID) || !strcmp(key, VMAFX_KEY_TASK_ID))
                fail_msg("%s has an id", row->name);
            if (!strcmp(key, VMAFX_KEY_NODE_NAME))
                assert_int_equal(strncmp(row->name, "vmafx.node.", 11), 0);
            at += n + (at[n] == ' ');
        }
    }
}

static void the_names_that_the_design_promises_are_there(void **state)
{
    static const char *const spans[] = {
        "vmafx.job.submit",     "vmafx.job",      "vmafx.job.queue",        "vmafx.task.run",
        "vmafx.input.open",     "vmafx.scoring",  "vmafx.encoder.dispatch", "vmafx.frame.extraction",
        "vmafx.onnx.inference", "vmafx.mcp.tool", "vmafx.result.store",
    };
    static const struct {
        const char *name;
        VmafxInstrumentKind kind;
        const char *unit;
    } metrics[] = {
        { "vmafx.jobs.queued", VMAFX_KIND_OBSERVABLE_UP_DOWN_COUNTER, "{job}" },
        { "vmafx.jobs.in_flight", VMAFX_KIND_OBSERVABLE_UP_DOWN_COUNTER, "{job}" },
        { "vmafx.job.queue.age", VMAFX_KIND_OBSERVABLE_GAUGE, "s" },
        { "vmafx.jobs.submitted", VMAFX_KIND_COUNTER, "{job}" },
        { "vmafx.jobs.completed", VMAFX_KIND_COUNTER, "{job}" },
        { "vmafx.jobs.failed", VMAFX_KIND_COUNTER, "{job}" },
        { "vmafx.jobs.cancelled", VMAFX_KIND_COUNTER, "{job}" },
        { "vmafx.jobs.retried", VMAFX_KIND_COUNTER, "{job}" },
        { "vmafx.job.wait.duration", VMAFX_KIND_HISTOGRAM, "s" },
        { "vmafx.job.run.duration", VMAFX_KIND_HISTOGRAM, "s" },
        { "vmafx.job.duration", VMAFX_KIND_HISTOGRAM, "s" },
        { "vmafx.score.duration", VMAFX_KIND_HISTOGRAM, "s" },
        { "vmafx.frames", VMAFX_KIND_COUNTER, "{frame}" },
        { "vmafx.frame.rate", VMAFX_KIND_HISTOGRAM, "{frame}/s" },
        { "vmafx.score", VMAFX_KIND_HISTOGRAM, "1" },
        { "hw.gpu.utilization", VMAFX_KIND_OBSERVABLE_GAUGE, "1" },
        { "hw.gpu.memory.usage", VMAFX_KIND_OBSERVABLE_UP_DOWN_COUNTER, "By" },
        { "hw.gpu.memory.limit", VMAFX_KIND_OBSERVABLE_UP_DOWN_COUNTER, "By" },
        { "vmafx.node.gpu.utilization", VMAFX_KIND_OBSERVABLE_GAUGE, "1" },
        { "vmafx.node.cpu.utilization", VMAFX_KIND_OBSERVABLE_GAUGE, "1" },
        { "vmafx.node.memory.usage", VMAFX_KIND_OBSERVABLE_GAUGE, "By" },
        { "vmafx.node.slots", VMAFX_KIND_OBSERVABLE_UP_DOWN_COUNTER, "{slot}" },
        { "vmafx.leases.expired", VMAFX_KIND_COUNTER, "{lease}" },
        { "vmafx.results.fenced", VMAFX_KIND_COUNTER, "{result}" },
        { "vmafx.encoder.frames", VMAFX_KIND_COUNTER, "{frame}" },
        { "vmafx.encoder.io", VMAFX_KIND_COUNTER, "By" },
        { "vmafx.inference.duration", VMAFX_KIND_HISTOGRAM, "s" },
        { "vmafx.nodes", VMAFX_KIND_OBSERVABLE_UP_DOWN_COUNTER, "{node}" },
        { "rpc.server.call.duration", VMAFX_KIND_HISTOGRAM, "s" },
        { "rpc.client.call.duration", VMAFX_KIND_HISTOGRAM, "s" },
        { "http.client.request.duration", VMAFX_KIND_HISTOGRAM, "s" },
        { "http.server.request.duration", VMAFX_KIND_HISTOGRAM, "s" },
        { "db.client.operation.duration", VMAFX_KIND_HISTOGRAM, "s" },
        { "process.cpu.time", VMAFX_KIND_OBSERVABLE_COUNTER, "s" },
        { "otel.sdk.span.started", VMAFX_KIND_OBSERVABLE_COUNTER, "{span}" },
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(spans); i++)
        if (!vmafx_span_find(spans[i]))
            fail_msg("no span %s", spans[i]);
    for (size_t i = 0; i < VMAFX_LEN(metrics); i++)
        if (vmafx_metric_check(metrics[i].name, metrics[i].kind, metrics[i].unit))
            fail_msg("%s: %s", metrics[i].name, vmafx_metric_check(metrics[i].name, metrics[i].kind, metrics[i].unit));
    assert_string_equal(VMAFX_SPAN_NAME_JOB_SUBMIT, "vmafx.job.submit");
    assert_string_equal(VMAFX_METRIC_NAME_FRAMES, vmafx_metric_row(VMAFX_METRIC_ID_FRAMES)->name);
    assert_int_equal(vmafx_metric_find("rpc.server.call.duration")->n_bounds, 14);
}

static void attributes_that_do_not_fit_are_told_with_their_key(void **state)
{
    VmafxValue words[] = { { .type = VMAFX_VALUE_INT, .i = 1 } };
    const struct {
        const char *why;
        VmafxAttr attr;
        bool fits;
    } cases[] = {
        { "an open set", VMAFX_ATTR_STR(VMAFX_KEY_JOB_ID, "x"), true },
        { "the first of a closed set", VMAFX_ATTR_STR(VMAFX_KEY_JOB_STATE, "queued"), true },
        { "the last of a closed set", VMAFX_ATTR_STR(VMAFX_KEY_JOB_STATE, "cancelled"), true },
        { "outside of it", VMAFX_ATTR_STR(VMAFX_KEY_JOB_STATE, "lost"), false },
        { "a part of a word", VMAFX_ATTR_STR(VMAFX_KEY_JOB_STATE, "queue"), false },
        { "two words", VMAFX_ATTR_STR(VMAFX_KEY_JOB_STATE, "queued|running"), false },
        { "empty", VMAFX_ATTR_STR(VMAFX_KEY_JOB_STATE, ""), false },
        { "another type", VMAFX_ATTR_INT(VMAFX_KEY_JOB_ID, 1), false },
        { "text for a number", VMAFX_ATTR_STR(VMAFX_KEY_TASK_ATTEMPT, "1"), false },
        { "a list of numbers for one of words",
          { VMAFX_KEY_FEATURES, { .type = VMAFX_VALUE_ARRAY, .array = { words, 1 } } },
          false },
        { "one of ours that is not there", VMAFX_ATTR_STR("vmafx.job.ident", "x"), false },
        { "one of others that is not there", VMAFX_ATTR_STR("code.function.name", "x"), true },
        { "no key", VMAFX_ATTR_STR(NULL, "x"), false },
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        const char *key = "none";
        const char *wrong = vmafx_attributes_check((VmafxAttrs){ &cases[i].attr, 1 }, &key);

        if (!wrong != cases[i].fits)
            fail_msg("%s: %s", cases[i].why, wrong ? wrong : "let pass");
        if (wrong)
            assert_ptr_equal(key, cases[i].attr.key);
    }
}

static void keys_of_others_are_refused_only_where_our_scopes_say_them(void **state)
{
    const char *key = NULL;
    VmafxAttrs foreign = VMAFX_ATTRS(VMAFX_ATTR_STR("code.function.name", "x"));

    (void)state;
    assert_null(vmafx_attributes_check(foreign, &key));
    assert_non_null(vmafx_attributes_check_strictly(foreign, &key));
    assert_string_equal(key, "code.function.name");
    assert_null(
        vmafx_attributes_check_strictly(VMAFX_ATTRS(VMAFX_ATTR_STR(VMAFX_KEY_AUDIT_ACTION, "job.cancel")), &key));
    assert_null(key);
}

static void spans_are_told_by_name_kind_and_attributes(void **state)
{
    const struct {
        const char *why, *name;
        VmafxSpanKind kind;
        VmafxAttrs attrs;
        bool fits;
    } cases[] = {
        { "as in the table", "vmafx.job", VMAFX_SPAN_INTERNAL, VMAFX_NO_ATTRS, true },
        { "another kind", "vmafx.job", VMAFX_SPAN_SERVER, VMAFX_NO_ATTRS, false },
        { "ours, and not there", "vmafx.jobb", VMAFX_SPAN_INTERNAL, VMAFX_NO_ATTRS, false },
        { "neither there nor by a rule", "work", VMAFX_SPAN_INTERNAL, VMAFX_NO_ATTRS, false },
        { "no name", NULL, VMAFX_SPAN_SERVER, VMAFX_NO_ATTRS, false },
        { "a key of its row", "vmafx.scoring", VMAFX_SPAN_INTERNAL, VMAFX_ATTRS(VMAFX_ATTR_INT("vmafx.frame.count", 1)),
          true },
        { "a key of another row", "vmafx.scoring", VMAFX_SPAN_INTERNAL,
          VMAFX_ATTRS(VMAFX_ATTR_STR("vmafx.queue.outcome", "leased")), false },
        { "a star does not make keys", "vmafx.job", VMAFX_SPAN_INTERNAL,
          VMAFX_ATTRS(VMAFX_ATTR_STR("vmafx.job.mood", "x")), false },
        { "a star wants its dot", "vmafx.job", VMAFX_SPAN_INTERNAL, VMAFX_ATTRS(VMAFX_ATTR_STR("vmafx.jobs", "x")),
          false },
        { "another type", "vmafx.scoring", VMAFX_SPAN_INTERNAL, VMAFX_ATTRS(VMAFX_ATTR_STR("vmafx.frame.count", "1")),
          false },
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        const char *key, *wrong = vmafx_span_check(cases[i].name, (int)cases[i].kind, cases[i].attrs, &key);

        if (!wrong != cases[i].fits)
            fail_msg("%s: %s", cases[i].why, wrong ? wrong : "let pass");
    }
}

#define METHOD(m) VMAFX_ATTR_STR(VMAFX_KEY_HTTP_REQUEST_METHOD, m)
#define ROUTE(r)  VMAFX_ATTR_STR(VMAFX_KEY_HTTP_ROUTE, r)
#define GRPC      VMAFX_ATTR_STR(VMAFX_KEY_RPC_SYSTEM, "grpc")
#define RPC(m)    VMAFX_ATTR_STR(VMAFX_KEY_RPC_METHOD, m)
#define SQLITE    VMAFX_ATTR_STR(VMAFX_KEY_DB_SYSTEM, "sqlite")

static void names_by_a_rule_are_what_their_attributes_make(void **state)
{
    const struct {
        const char *why, *name;
        VmafxSpanKind kind;
        VmafxAttrs attrs;
        bool fits;
    } cases[] = {
        { "method and route", "GET /jobs/{id}", VMAFX_SPAN_SERVER, VMAFX_ATTRS(METHOD("GET"), ROUTE("/jobs/{id}")),
          true },
        { "no route", "GET", VMAFX_SPAN_SERVER, VMAFX_ATTRS(METHOD("GET")), true },
        { "the raw path", "GET /jobs/1", VMAFX_SPAN_SERVER, VMAFX_ATTRS(METHOD("GET"), ROUTE("/jobs/{id}")), false },
        { "a path without a route", "GET /jobs/1", VMAFX_SPAN_SERVER, VMAFX_ATTRS(METHOD("GET")), false },
        { "the method that is not known", "HTTP", VMAFX_SPAN_SERVER, VMAFX_ATTRS(METHOD("_OTHER")), true },
        { "_OTHER is no name", "_OTHER", VMAFX_SPAN_SERVER, VMAFX_ATTRS(METHOD("_OTHER")), false },
        { "a client has no route", "POST", VMAFX_SPAN_CLIENT, VMAFX_ATTRS(METHOD("POST")), true },
        { "our RPC", "vmafx.v1.Jobs/Submit", VMAFX_SPAN_SERVER, VMAFX_ATTRS(GRPC, RPC("vmafx.v1.Jobs/Submit")), true },
        { "another RPC's name", "vmafx.v1.Jobs/Get", VMAFX_SPAN_CLIENT, VMAFX_ATTRS(GRPC, RPC("vmafx.v1.Jobs/Submit")),
          false },
        { "an unknown RPC", "grpc", VMAFX_SPAN_SERVER, VMAFX_ATTRS(GRPC, RPC("_OTHER")), true },
        { "an RPC of kind internal", "vmafx.v1.Jobs/Get", VMAFX_SPAN_INTERNAL,
          VMAFX_ATTRS(GRPC, RPC("vmafx.v1.Jobs/Get")), false },
        { "a summary", "submit job", VMAFX_SPAN_CLIENT,
          VMAFX_ATTRS(SQLITE, VMAFX_ATTR_STR(VMAFX_KEY_DB_QUERY_SUMMARY, "submit job")), true },
        { "half of it", "submit", VMAFX_SPAN_CLIENT,
          VMAFX_ATTRS(SQLITE, VMAFX_ATTR_STR(VMAFX_KEY_DB_QUERY_SUMMARY, "submit job")), false },
        { "a database span with a job", "s", VMAFX_SPAN_CLIENT,
          VMAFX_ATTRS(SQLITE, VMAFX_ATTR_STR(VMAFX_KEY_DB_QUERY_SUMMARY, "s"), VMAFX_ATTR_STR(VMAFX_KEY_JOB_ID, "x")),
          false },
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        const char *key, *wrong = vmafx_span_check(cases[i].name, (int)cases[i].kind, cases[i].attrs, &key);

        if (!wrong != cases[i].fits)
            fail_msg("%s: %s", cases[i].why, wrong ? wrong : "let pass");
    }
}

static void a_status_text_has_no_path_and_quotes_nothing(void **state)
{
    static const struct {
        const char *why, *text;
        bool fits;
    } cases[] = {
        { "none", NULL, true },
        { "empty", "", true },
        { "words", "the lease has passed to another attempt", true },
        { "a slash between words", "reading and/or writing failed", true },
        { "a slash by itself", "3 / 4 done", true },
        { "an apostrophe within a word", "the peer's answer", true },
        { "a path", "/srv/in.y4m ended", false },
        { "a path in a sentence", "cannot open /srv/in.y4m", false },
        { "a path in quotes", "cannot open '/srv/in.y4m'", false },
        { "a name in quotes", "cannot open 'in.y4m'", false },
        { "after a colon", "no such file:/srv/in.y4m", false },
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(cases); i++)
        if (!vmafx_status_check(cases[i].text) != cases[i].fits)
            fail_msg("%s", cases[i].why);
    for (int err = 0; err < VMAFX_ERR_COUNT; err++)
        if (vmafx_status_check(vmafx_err_text((VmafxErr)err)))
            fail_msg("'%s' cannot be a status text", vmafx_err_text((VmafxErr)err));
}

static void scopes_and_events_are_known_by_name(void **state)
{
    const char *key;

    (void)state;
    assert_true(vmafx_scope_is_known(VMAFX_SCOPE_NAME_SCORE));
    assert_true(vmafx_scope_is_known("vmafx.controller"));
    assert_false(vmafx_scope_is_known("vmafx.control"));
    assert_false(vmafx_scope_is_known(NULL));
    assert_true(vmafx_signal_is_ours("vmafx.x"));
    assert_false(vmafx_signal_is_ours("vmafxx"));
    assert_false(vmafx_signal_is_ours(NULL));
    assert_null(vmafx_event_check(VMAFX_EVENT_NAME_EXCEPTION,
                                  VMAFX_ATTRS(VMAFX_ATTR_STR(VMAFX_KEY_EXCEPTION_TYPE, "x")), &key));
    assert_non_null(vmafx_event_check("exception", VMAFX_ATTRS(VMAFX_ATTR_STR(VMAFX_KEY_JOB_ID, "x")), &key));
    assert_string_equal(key, "vmafx.job.id");
    assert_non_null(vmafx_event_check("frame dropped", VMAFX_NO_ATTRS, &key));
    assert_null(key);
    assert_non_null(vmafx_event_check(NULL, VMAFX_NO_ATTRS, NULL));
}

static void metrics_that_are_not_in_the_table_are_told(void **state)
{
    const char *key;

    (void)state;
    assert_non_null(vmafx_metric_check("vmafx.frames", VMAFX_KIND_COUNTER, "1"));
    assert_non_null(vmafx_metric_check("vmafx.frames", VMAFX_KIND_GAUGE, "{frame}"));
    assert_non_null(vmafx_metric_check("vmafx.framez", VMAFX_KIND_COUNTER, "{frame}"));
    assert_non_null(vmafx_metric_check(NULL, VMAFX_KIND_COUNTER, "{frame}"));
    assert_null(vmafx_metric_attributes_check("vmafx.jobs.failed",
                                              VMAFX_ATTRS(VMAFX_ATTR_STR("vmafx.job.failure_class", "input")), &key));
    assert_non_null(vmafx_metric_attributes_check(
        "vmafx.jobs.failed", VMAFX_ATTRS(VMAFX_ATTR_STR("vmafx.job.failure_class", "bad luck")), &key));
    assert_non_null(
        vmafx_metric_attributes_check("vmafx.jobs.failed", VMAFX_ATTRS(VMAFX_ATTR_STR(VMAFX_KEY_JOB_ID, "x")), &key));
    assert_string_equal(key, "vmafx.job.id");
}

static void every_feature_has_its_time(void **state)
{
    (void)state;
    for (size_t i = 0; i < VMAFX_FEATURES_N; i++) {
        char key[96];

        snprintf(key, sizeof key, "vmafx.feature.%s.time", vmafx_feature_names[i]);
        const VmafxAttributeRow *row = vmafx_attribute_find(key);
        if (!row || row->type != VMAFX_ATTRIBUTE_DOUBLE)
            fail_msg("signals.def has no %s", key);
        assert_null(vmafx_span_check(VMAFX_SPAN_NAME_FRAME_EXTRACTION, VMAFX_SPAN_INTERNAL,
                                     VMAFX_ATTRS(VMAFX_ATTR_DOUBLE(row->key, 0.5)), NULL));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_found_by_its_name_which_is_well_formed_and_unique),
        cmocka_unit_test(units_are_base_units_and_only_histograms_have_rising_boundaries),
        cmocka_unit_test(attributes_of_metrics_are_in_the_table_and_none_is_an_unbounded_id),
        cmocka_unit_test(the_names_that_the_design_promises_are_there),
        cmocka_unit_test(attributes_that_do_not_fit_are_told_with_their_key),
        cmocka_unit_test(keys_of_others_are_refused_only_where_our_scopes_say_them),
        cmocka_unit_test(spans_are_told_by_name_kind_and_attributes),
        cmocka_unit_test(names_by_a_rule_are_what_their_attributes_make),
        cmocka_unit_test(a_status_text_has_no_path_and_quotes_nothing),
        cmocka_unit_test(scopes_and_events_are_known_by_name),
        cmocka_unit_test(metrics_that_are_not_in_the_table_are_told),
        cmocka_unit_test(every_feature_has_its_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
