/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Tracing: the API alone, how a span starts, what it keeps, how it ends, and what a fork leaves. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pthread.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "otel/sdk/batch.h"
#include "otel/sdk/trace_provider.h"

enum { KEPT_MAX = 64 };

/* ---- a processor that keeps what ends ---- */

typedef struct Keeper {
    VmafxSpanProcessor base;
    pthread_mutex_t lock; /* covers the following */
    VmafxFinishedSpan *spans[KEPT_MAX];
    size_t n;
    int starts, flushes, shutdowns, frees;
} Keeper;

static void keeper_start(VmafxSpanProcessor *p, VmafxSpan *span, const VmafxContext *parent)
{
    Keeper *k = (Keeper *)p;

    pthread_mutex_lock(&k->lock);
    k->starts++;
    pthread_mutex_unlock(&k->lock);
}

static void keeper_end(VmafxSpanProcessor *p, VmafxFinishedSpan *span, unsigned lane)
{
    Keeper *k = (Keeper *)p;

    pthread_mutex_lock(&k->lock);
    if (k->n < KEPT_MAX)
        k->spans[k->n++] = VMAFX_TAKE(span);
    pthread_mutex_unlock(&k->lock);
    vmafx_finished_span_unref(&span);
}

static VmafxExportResult keeper_flush(VmafxSpanProcessor *p, uint64_t deadline_ns)
{
    ((Keeper *)p)->flushes++;
    return VMAFX_EXPORT_OK;
}

static VmafxExportResult keeper_shutdown(VmafxSpanProcessor *p, uint64_t deadline_ns)
{
    ((Keeper *)p)->shutdowns++;
    return VMAFX_EXPORT_OK;
}

static bool keeper_free(VmafxSpanProcessor *p)
{
    Keeper *k = (Keeper *)p;

    while (k->n)
        vmafx_finished_span_unref(&k->spans[--k->n]);
    k->frees++;
    return true;
}

static Keeper keeper, second_keeper;

static VmafxTraceProvider *provider_of(VmafxTraceProviderConfig config)
{
    for (Keeper *k = &keeper;; k = &second_keeper) {
        *k = (Keeper){ .base = { keeper_start, keeper_end, keeper_flush, keeper_shutdown, keeper_free },
                       .lock = PTHREAD_MUTEX_INITIALIZER };
        if (k == &second_keeper)
            break;
    }
    if (!config.n_processors) {
        config.processors[0] = &keeper.base;
        config.n_processors = 1;
    }

    VmafxTraceProvider *provider = vmafx_trace_provider_new(&config);

    assert_non_null(provider);
    return provider;
}

static VmafxTraceProvider *sampled_by(VmafxSampler *sampler)
{
    VmafxTraceProviderConfig config = VMAFX_TRACE_PROVIDER_DEFAULT;

    config.sampler = sampler;
    return provider_of(config);
}

static VmafxTracer *tracer_of(VmafxTraceProvider *provider)
{
    return vmafx_trace_provider_tracer(provider, "test", "1", NULL, VMAFX_NO_ATTRS);
}

static const VmafxSpanData *kept(size_t i)
{
    assert_true(i < keeper.n);
    return vmafx_finished_span_data(keeper.spans[i]);
}

static VmafxContext *context_of(uint8_t flags, bool remote, const char *state_text)
{
    VMAFX_AUTO(vmafx_tracestate_unref)
    VmafxTraceState *state = state_text ? vmafx_tracestate_parse(state_text, strlen(state_text)) : NULL;
    VmafxSpanContext ids = { .flags = flags, .remote = remote, .state = state };

    memset(ids.trace_id, 0x11, sizeof ids.trace_id);
    memset(ids.span_id, 0x22, sizeof ids.span_id);
    return vmafx_context_with_span(NULL, &ids);
}

static const VmafxAttr *attr_of(VmafxAttrs attrs, const char *key)
{
    for (size_t i = 0; i < attrs.n; i++)
        if (!strcmp(attrs.items[i].key, key))
            return &attrs.items[i];
    return NULL;
}

static void assert_text(VmafxAttrs attrs, const char *key, const char *text)
{
    const VmafxAttr *attr = attr_of(attrs, key);

    assert_non_null(attr);
    assert_int_equal(attr->value.type, VMAFX_VALUE_STR);
    assert_int_equal(attr->value.str.len, strlen(text));
    assert_memory_equal(attr->value.str.ptr, text, strlen(text));
}

/* ---- without an SDK ---- */

static void without_an_sdk_spans_do_nothing_and_have_no_ids(void **state)
{
    VmafxTracer *tracer = vmafx_tracer_get("alone", NULL);
    VmafxSpan *span = vmafx_span_start(tracer, NULL);
    VmafxSpanContext ids;

    assert_non_null(span);
    assert_false(vmafx_tracer_enabled(tracer));
    assert_false(vmafx_span_is_recording(span));
    assert_false(vmafx_span_context(span, &ids));
    vmafx_span_set_int(span, "a", 1);
    vmafx_span_add_event(span, "e", VMAFX_NO_ATTRS);
    vmafx_span_set_status(span, VMAFX_STATUS_ERROR, "no");
    vmafx_span_record_exception(span, "t", "m", "s", VMAFX_NO_ATTRS);
    vmafx_span_end_at(span, 1);
    vmafx_span_end(&span);
    assert_null(span);
    vmafx_span_end(&span);
}

static void without_an_sdk_the_parents_context_goes_on(void **state)
{
    VMAFX_AUTO(vmafx_context_unref) VmafxContext *parent = context_of(1, true, "a=b");
    VmafxSpanContext ids, expected;

    vmafx_context_span(parent, &expected);

    VmafxSpan *given = vmafx_span_start_with(NULL, "x", &(VmafxSpanOptions){ .parent = parent });

    assert_true(vmafx_span_context(given, &ids));
    assert_memory_equal(ids.span_id, expected.span_id, 8);
    assert_ptr_equal(ids.state, expected.state);

    VmafxContextToken token = vmafx_span_attach(given);
    VmafxSpan *current = vmafx_span_start(NULL, "y"), *root;

    assert_true(vmafx_span_context(current, &ids));
    assert_memory_equal(ids.trace_id, expected.trace_id, 16);
    assert_int_equal(ids.flags, 1);
    root = vmafx_span_start_with(NULL, "z", &(VmafxSpanOptions){ .root = true });
    assert_false(vmafx_span_context(root, &ids));
    vmafx_span_end(&root);
    vmafx_span_end(&current);
    vmafx_span_detach(&token);
    vmafx_span_end(&given);
    assert_null(vmafx_context_current());
}

static void null_is_accepted_everywhere(void **state)
{
    VmafxSpan *none = NULL;
    VmafxSpanContext ids;
    VmafxTraceProvider *provider = NULL;
    VmafxSampler *sampler = NULL;
    VmafxTraceCounts counts;

    vmafx_span_end(NULL);
    vmafx_span_end(&none);
    vmafx_span_unref(&none);
    assert_null(vmafx_span_ref(NULL));
    vmafx_span_set_attrs(NULL, VMAFX_NO_ATTRS);
    vmafx_span_set_str(NULL, NULL, NULL);
    vmafx_span_add_link(NULL, NULL, VMAFX_NO_ATTRS);
    vmafx_span_update_name(NULL, NULL);
    assert_false(vmafx_span_context(NULL, &ids));
    vmafx_span_record(NULL, NULL);
    vmafx_span_detach(NULL);
    vmafx_trace_provider_free(&provider);
    vmafx_trace_provider_free(NULL);
    vmafx_trace_provider_counts(NULL, &counts);
    assert_int_equal(vmafx_trace_provider_shutdown(NULL, 0), VMAFX_EXPORT_FAILED);
    assert_int_equal(vmafx_trace_provider_force_flush(NULL, 0), VMAFX_EXPORT_FAILED);
    assert_non_null(vmafx_trace_provider_tracer(NULL, NULL, NULL, NULL, VMAFX_NO_ATTRS));
    vmafx_sampler_free(&sampler);
    vmafx_sampler_free(NULL);
    assert_null(vmafx_sampler_by_name(NULL, 1));
}

static void a_tracer_taken_early_works_once_a_provider_is_set_and_stops_after(void **state)
{
    VmafxTracer *tracer = vmafx_tracer_get("early", "2");
    VmafxTraceProvider *provider = sampled_by(NULL);

    assert_ptr_equal(tracer, vmafx_tracer_get("early", "2"));
    assert_ptr_not_equal(tracer, vmafx_tracer_get("early", "3"));
    vmafx_tracer_provider_set(vmafx_trace_provider_api(provider));
    assert_true(vmafx_tracer_enabled(tracer));

    VmafxSpan *span = vmafx_span_start(tracer, "x");

    assert_true(vmafx_span_is_recording(span));
    vmafx_span_end(&span);
    assert_string_equal(kept(0)->scope->name, "early");
    assert_string_equal(kept(0)->scope->version, "2");
    vmafx_tracer_provider_set(NULL);
    span = vmafx_span_start(tracer, "y");
    assert_false(vmafx_span_is_recording(span));
    vmafx_span_end(&span);
    vmafx_trace_provider_free(&provider);
    assert_int_equal(keeper.frees, 1);
}

static void a_tracers_identity_is_name_version_schema_and_attributes(void **state)
{
    VmafxTraceProvider *p = sampled_by(NULL);
    VmafxAttrs a = VMAFX_ATTRS(VMAFX_ATTR_STR("k", "v"), VMAFX_ATTR_INT("i", 1));
    VmafxAttrs turned = VMAFX_ATTRS(VMAFX_ATTR_INT("i", 1), VMAFX_ATTR_STR("k", "v"));
    VmafxTracer *tracer = vmafx_trace_provider_tracer(p, "n", "v", "s", a);

    assert_ptr_equal(tracer, vmafx_trace_provider_tracer(p, "n", "v", "s", a));
    assert_ptr_equal(tracer, vmafx_trace_provider_tracer(p, "n", "v", "s", turned));
    assert_ptr_not_equal(tracer, vmafx_trace_provider_tracer(p, "n", "v", "", a));
    assert_ptr_not_equal(tracer, vmafx_trace_provider_tracer(p, "n", "v", "s", VMAFX_NO_ATTRS));
    assert_ptr_not_equal(tracer, vmafx_trace_provider_tracer(p, "n", "w", "s", a));
    vmafx_trace_provider_free(&p);
}

static void the_apis_tracers_have_the_same_identity_and_bring_it_along(void **state)
{
    VmafxAttrs a = VMAFX_ATTRS(VMAFX_ATTR_STR("k", "v"), VMAFX_ATTR_INT("i", 1));
    VmafxAttrs turned = VMAFX_ATTRS(VMAFX_ATTR_INT("i", 1), VMAFX_ATTR_STR("k", "v"));
    VmafxTracer *tracer = vmafx_tracer_get_with("whole", "v", "s", a);
    VmafxTraceProvider *p = sampled_by(NULL);

    assert_ptr_equal(tracer, vmafx_tracer_get_with("whole", "v", "s", turned));
    assert_ptr_not_equal(tracer, vmafx_tracer_get_with("whole", "v", "t", a));
    assert_ptr_not_equal(tracer, vmafx_tracer_get_with("whole", "v", "s", VMAFX_NO_ATTRS));
    assert_ptr_not_equal(tracer, vmafx_tracer_get("whole", "v"));
    assert_ptr_equal(vmafx_tracer_get("whole", "v"), vmafx_tracer_get_with("whole", "v", NULL, VMAFX_NO_ATTRS));

    vmafx_tracer_provider_set(vmafx_trace_provider_api(p));
    VmafxSpan *span = vmafx_span_start(tracer, "x");
    vmafx_span_end(&span);
    assert_string_equal(kept(0)->scope->schema_url, "s");
    assert_int_equal(kept(0)->scope->attrs.n, 2);
    assert_text(kept(0)->scope->attrs, "k", "v");
    vmafx_tracer_provider_set(NULL);
    vmafx_trace_provider_free(&p);
}

/* ---- samplers; by themselves they are in test_sampler.c ---- */

static int warnings;

static void count_warning(void *ctx, int severity, const char *message)
{
    assert_string_equal(ctx, "mine");
    assert_int_equal(severity, 13);
    assert_non_null(strstr(message, "traceidratio"));
    warnings++;
}

static void a_samplers_warning_reaches_the_providers_handler_once(void **state)
{
    VMAFX_AUTO(vmafx_context_unref) VmafxContext *parent = context_of(1, true, NULL);
    VmafxTraceProviderConfig config = VMAFX_TRACE_PROVIDER_DEFAULT;
    char mine[] = "mine";

    config.sampler = vmafx_sampler_trace_id_ratio(1);
    config.error = count_warning;
    config.error_ctx = mine;
    warnings = 0;

    VmafxTraceProvider *p = provider_of(config);

    for (int children = 0; children < 3; children++) {
        VmafxSpan *root = vmafx_span_start(tracer_of(p), "root");
        assert_int_equal(warnings, children > 0);
        VmafxSpan *child = vmafx_span_start_with(tracer_of(p), "child", &(VmafxSpanOptions){ .parent = parent });
        assert_int_equal(warnings, 1);
        vmafx_span_end(&child);
        vmafx_span_end(&root);
    }
    vmafx_trace_provider_free(&p);
}

static void the_threshold_of_a_sampled_root_goes_down_its_trace(void **state)
{
    VmafxTraceProvider *p = sampled_by(vmafx_sampler_parent_probability(1));
    VmafxSpan *root = vmafx_span_start(tracer_of(p), "root");
    VmafxContextToken token = vmafx_span_attach(root);
    VmafxSpan *child = vmafx_span_start(tracer_of(p), "child");

    vmafx_span_end(&child);
    vmafx_span_detach(&token);
    vmafx_span_end(&root);
    assert_string_equal(kept(0)->trace_state, "ot=th:0");
    assert_string_equal(kept(1)->trace_state, "ot=th:0");
    vmafx_trace_provider_free(&p);

    /* A state that was made for one span alone lives as long as that. */
    VMAFX_AUTO(vmafx_context_unref) VmafxContext *parent = context_of(3, true, "ot=th:8;x:y,a=b");
    p = sampled_by(vmafx_sampler_probability(1));
    child = vmafx_span_start_with(tracer_of(p), "child", &(VmafxSpanOptions){ .parent = parent });
    vmafx_span_end(&child);
    assert_string_equal(kept(0)->trace_state, "ot=th:0;x:y,a=b");
    vmafx_trace_provider_free(&p);
}

static void a_parent_based_sampler_asks_one_of_five(void **state)
{
    static const struct {
        bool parent, remote;
        uint8_t flags;
        bool sampled;
    } cases[] = {
        { false, false, 0, false }, /* the root sampler: off */
        { true, true, 1, true },    { true, true, 0, false }, { true, false, 1, true }, { true, false, 0, false },
    };

    /* As they are by default but for the root, and then all turned around. */
    for (int turned = 0; turned < 2; turned++) {
        VmafxSampler *on = vmafx_sampler_always_on(), *off = vmafx_sampler_always_off();
        VmafxParentBased delegates = { .root = turned ? on : off };

        if (turned)
            delegates = (VmafxParentBased){ on, off, on, off, on };

        VmafxTraceProvider *p = sampled_by(vmafx_sampler_parent_based(&delegates));

        for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
            VMAFX_AUTO(vmafx_context_unref)
            VmafxContext *parent = cases[i].parent ? context_of(cases[i].flags, cases[i].remote, NULL) : NULL;
            VMAFX_AUTO(vmafx_span_end)
            VmafxSpan *span = vmafx_span_start_with(tracer_of(p), "x", &(VmafxSpanOptions){ .parent = parent });

            assert_int_equal(vmafx_span_is_recording(span), cases[i].sampled != (bool)turned);
        }
        vmafx_trace_provider_free(&p);
    }
}

/* ---- starting ---- */

static void a_child_has_its_parents_trace_and_a_root_its_own(void **state)
{
    VMAFX_AUTO(vmafx_context_unref) VmafxContext *parent = context_of(3, true, "a=b");
    VmafxTraceProvider *p = sampled_by(NULL);
    VmafxSpan *child = vmafx_span_start_with(tracer_of(p), "child", &(VmafxSpanOptions){ .parent = parent });
    VmafxSpanContext up, ids;

    vmafx_context_span(parent, &up);
    assert_true(vmafx_span_context(child, &ids));
    assert_memory_equal(ids.trace_id, up.trace_id, 16);
    assert_memory_not_equal(ids.span_id, up.span_id, 8);
    assert_int_equal(ids.flags, 3);
    assert_false(ids.remote);
    assert_string_equal(vmafx_tracestate_text(ids.state), "a=b");
    vmafx_span_end(&child);
    assert_memory_equal(kept(0)->parent_span_id, up.span_id, 8);
    assert_true(kept(0)->parent_remote);
    assert_string_equal(kept(0)->trace_state, "a=b");

    VmafxSpan *root =
        vmafx_span_start_with(tracer_of(p), "root", &(VmafxSpanOptions){ .parent = parent, .root = true });

    vmafx_span_context(root, &ids);
    assert_true(vmafx_span_context_valid(&ids));
    assert_memory_not_equal(ids.trace_id, up.trace_id, 16);
    assert_int_equal(ids.flags, VMAFX_TRACE_FLAG_SAMPLED | VMAFX_TRACE_FLAG_RANDOM);

    VmafxContextToken token = vmafx_span_attach(root);
    VmafxSpan *inner = vmafx_span_start(tracer_of(p), "inner");

    vmafx_span_context(inner, &up);
    assert_memory_equal(ids.trace_id, up.trace_id, 16);
    vmafx_span_end(&inner);
    assert_memory_equal(kept(1)->parent_span_id, ids.span_id, 8);
    assert_false(kept(1)->parent_remote);
    vmafx_span_detach(&token);
    vmafx_span_end(&root);
    vmafx_trace_provider_free(&p);
}

static void a_dropped_child_keeps_the_trace_id_and_gets_a_span_id(void **state)
{
    VMAFX_AUTO(vmafx_context_unref) VmafxContext *parent = context_of(0, true, "a=b");
    VmafxTraceProvider *p = sampled_by(NULL);
    VmafxSpan *child = vmafx_span_start_with(tracer_of(p), "child", &(VmafxSpanOptions){ .parent = parent });
    VmafxSpanContext up, ids;

    vmafx_context_span(parent, &up);
    assert_false(vmafx_span_is_recording(child));
    assert_true(vmafx_span_context(child, &ids));
    assert_memory_equal(ids.trace_id, up.trace_id, 16);
    assert_memory_not_equal(ids.span_id, up.span_id, 8);
    assert_int_equal(ids.flags & VMAFX_TRACE_FLAG_SAMPLED, 0);
    assert_string_equal(vmafx_tracestate_text(ids.state), "a=b");
    vmafx_span_set_int(child, "a", 1);
    vmafx_span_end(&child);
    assert_int_equal(keeper.n, 0);
    assert_int_equal(keeper.starts, 0);
    vmafx_trace_provider_free(&p);
}

static VmafxTraceState *sampler_state;

static void sample_with_extras(const VmafxSampler *sampler, const VmafxSamplingInput *input, VmafxSamplingResult *ret)
{
    static const VmafxAttr extra[] = { { "from.sampler", { .type = VMAFX_VALUE_INT, .i = 7 } } };

    assert_string_equal(input->name, "named");
    assert_int_equal(input->kind, VMAFX_SPAN_SERVER);
    assert_int_equal(input->attrs.n, 1);
    assert_int_equal(input->n_links, 1);
    assert_null(input->parent);
    assert_string_equal(vmafx_tracestate_text(ret->state), "");
    ret->decision = VMAFX_SAMPLE_RECORD_AND_SAMPLE;
    ret->attrs = (VmafxAttrs){ extra, 1 };
    ret->state = sampler_state;
}

static void no_sampler_free(VmafxSampler *sampler)
{
}

static void a_sampler_sees_the_start_and_adds_attributes_and_tracestate(void **state)
{
    static VmafxSampler sampler = { sample_with_extras, "extras", no_sampler_free };
    VmafxTraceProvider *p = sampled_by(&sampler);
    VmafxSpanLink link = { .attrs = VMAFX_ATTRS(VMAFX_ATTR_INT("l", 1)) };

    memset(&link.context.trace_id, 5, 16);
    memset(&link.context.span_id, 6, 8);
    sampler_state = vmafx_tracestate_parse("s=t", 3);

    VmafxSpan *span = vmafx_span_start_with(tracer_of(p), "named",
                                            &(VmafxSpanOptions){ .kind = VMAFX_SPAN_SERVER,
                                                                 .root = true,
                                                                 .start_ns = 5,
                                                                 .attrs = VMAFX_ATTRS(VMAFX_ATTR_INT("a", 1)),
                                                                 .links = &link,
                                                                 .n_links = 1 });

    vmafx_tracestate_unref(&sampler_state); /* the span has its own */
    vmafx_span_end_at(span, 9);
    vmafx_span_end(&span);
    assert_int_equal(keeper.n, 1);
    assert_int_equal(kept(0)->start_ns, 5);
    assert_int_equal(kept(0)->end_ns, 9);
    assert_int_equal(kept(0)->attrs.n, 2);
    assert_int_equal(attr_of(kept(0)->attrs, "from.sampler")->value.i, 7);
    assert_string_equal(kept(0)->trace_state, "s=t");
    assert_int_equal(kept(0)->n_links, 1);
    assert_int_equal(kept(0)->links[0].span_id[0], 6);
    assert_int_equal(kept(0)->links[0].attrs.n, 1);
    vmafx_trace_provider_free(&p);
}

/* ---- what a span keeps ---- */

static void everything_given_to_a_span_is_copied(void **state)
{
    VmafxTraceProvider *p = sampled_by(NULL);
    char name[] = "name", key[] = "key", text[] = "text", event[] = "event", why[] = "why";
    int64_t numbers[] = { 1, 2 };
    VmafxValue items[] = { { .type = VMAFX_VALUE_INT, .i = numbers[0] }, { .type = VMAFX_VALUE_STR } };
    VmafxAttr inner[] = { VMAFX_ATTR_STR("in", text), VMAFX_ATTR_BOOL("in", true), VMAFX_ATTR_BOOL("", true) };

    items[1] = vmafx_value_str(text);

    VmafxSpan *span = vmafx_span_start(tracer_of(p), name);

    vmafx_span_set_str(span, key, text);
    vmafx_span_set_attr(span, (VmafxAttr){ "array", { .type = VMAFX_VALUE_ARRAY, .array = { items, 2 } } });
    vmafx_span_set_attr(span, (VmafxAttr){ "map", { .type = VMAFX_VALUE_MAP, .map = { inner, 3 } } });
    vmafx_span_set_attr(span, (VmafxAttr){ "bytes", { .type = VMAFX_VALUE_BYTES, .str = { "\0\1", 2 } } });
    vmafx_span_set_double(span, "double", 0.5);
    vmafx_span_set_attr(span, (VmafxAttr){ NULL, { .type = VMAFX_VALUE_BOOL } });
    vmafx_span_set_str(span, "", "no key");
    vmafx_span_add_event_at(span, event, VMAFX_ATTRS(VMAFX_ATTR_STR(key, text), VMAFX_ATTR_INT(key, 3)), 42);
    vmafx_span_set_status(span, VMAFX_STATUS_ERROR, why);
    memset(name, 'x', 4);
    memset(key, 'x', 3);
    memset(text, 'x', 4);
    memset(event, 'x', 5);
    memset(why, 'x', 3);
    vmafx_span_end(&span);

    const VmafxSpanData *data = kept(0);

    assert_string_equal(data->name, "name");
    assert_int_equal(data->attrs.n, 5);
    assert_text(data->attrs, "key", "text");
    assert_string_equal(attr_of(data->attrs, "array")->value.array.items[1].str.ptr, "text");
    assert_int_equal(attr_of(data->attrs, "map")->value.map.n, 1);
    assert_true(attr_of(data->attrs, "map")->value.map.items[0].value.b);
    assert_int_equal(data->n_events, 1);
    assert_string_equal(data->events[0].name, "event");
    assert_int_equal(data->events[0].time_ns, 42);
    assert_int_equal(data->events[0].attrs.n, 1);
    assert_int_equal(data->events[0].attrs.items[0].value.i, 3);
    assert_string_equal(data->status_description, "why");
    assert_true(data->end_ns >= data->start_ns);
    assert_int_equal(data->dropped_attrs, 0);
    vmafx_trace_provider_free(&p);
}

static void every_limit_holds_at_n_and_drops_at_n_plus_one(void **state)
{
    enum { N = 20 }; /* beyond what a record holds inline */
    VmafxTraceProviderConfig config = VMAFX_TRACE_PROVIDER_DEFAULT;
    VmafxSpanContext link = { .trace_id = { 1 }, .span_id = { 2 } };
    char key[16];
    VmafxTraceCounts counts;

    config.limits = (VmafxSpanLimits){ N, N, N, 2, 2, SIZE_MAX, 1 << 20 };

    VmafxTraceProvider *p = provider_of(config);
    VmafxSpan *span = vmafx_span_start(tracer_of(p), "x");

    for (int i = 0; i <= N; i++) {
        snprintf(key, sizeof key, "k%d", i);
        vmafx_span_set_int(span, key, i);
        vmafx_span_add_event(span, key,
                             VMAFX_ATTRS(VMAFX_ATTR_INT("a", 1), VMAFX_ATTR_INT("b", 1), VMAFX_ATTR_INT("a", 2),
                                         VMAFX_ATTR_INT("c", 1)));
        link.flags = (uint8_t)i;
        vmafx_span_add_link(span, &link,
                            VMAFX_ATTRS(VMAFX_ATTR_INT("a", 1), VMAFX_ATTR_INT("b", 1), VMAFX_ATTR_INT("c", 1)));
    }
    vmafx_span_set_int(span, "k3", 33); /* an existing key still works */
    vmafx_span_end(&span);

    const VmafxSpanData *data = kept(0);

    assert_int_equal(data->attrs.n, N);
    assert_int_equal(data->dropped_attrs, 1);
    assert_int_equal(data->n_events, N);
    assert_int_equal(data->dropped_events, 1);
    assert_int_equal(data->n_links, N);
    assert_int_equal(data->dropped_links, 1);
    for (int i = 0; i < N; i++) {
        snprintf(key, sizeof key, "k%d", i);
        assert_string_equal(data->attrs.items[i].key, key);
        assert_int_equal(data->attrs.items[i].value.i, i == 3 ? 33 : i);
        assert_string_equal(data->events[i].name, key);
        assert_int_equal(data->events[i].attrs.n, 2);
        assert_int_equal(data->events[i].attrs.items[0].value.i, 2);
        assert_int_equal(data->events[i].dropped_attrs, 1);
        assert_int_equal(data->links[i].flags, i);
        assert_int_equal(data->links[i].dropped_attrs, 1);
    }
    vmafx_trace_provider_counts(p, &counts);
    assert_int_equal(counts.dropped_attrs, 1);
    assert_int_equal(counts.dropped_events, 1);
    assert_int_equal(counts.dropped_links, 1);
    vmafx_trace_provider_free(&p);

    config.limits = (VmafxSpanLimits){ 0 };
    p = provider_of(config);
    span = vmafx_span_start(tracer_of(p), "x");
    vmafx_span_set_int(span, "a", 1);
    vmafx_span_add_event(span, "e", VMAFX_NO_ATTRS);
    vmafx_span_add_link(span, &link, VMAFX_NO_ATTRS);
    vmafx_span_end(&span);
    assert_int_equal(kept(0)->attrs.n + kept(0)->n_events + kept(0)->n_links, 0);
    assert_int_equal(kept(0)->dropped_attrs + kept(0)->dropped_events + kept(0)->dropped_links, 3);
    vmafx_trace_provider_free(&p);
}

static void values_are_cut_to_characters_when_they_are_set(void **state)
{
    static const struct {
        const char *why, *text, *cut;
    } cases[] = {
        { "at the limit", "abc", "abc" },
        { "one more", "abcd", "abc" },
        { "code points, not bytes", "äöüß", "äöü" },
        { "never inside one", "ab€d", "ab€" },
        { "four bytes each", "😀😀😀😀", "😀😀😀" },
        { "empty", "", "" },
    };
    VmafxTraceProviderConfig config = VMAFX_TRACE_PROVIDER_DEFAULT;

    config.limits.value_length = 3;

    VmafxTraceProvider *p = provider_of(config);

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VmafxValue item = vmafx_value_str(cases[i].text);
        VmafxAttr field = VMAFX_ATTR_STR("f", cases[i].text);
        VmafxSpan *span = vmafx_span_start(tracer_of(p), "a long name stays");

        vmafx_span_set_str(span, "s", "xx");
        vmafx_span_set_str(span, "s", cases[i].text);
        vmafx_span_set_attr(span, (VmafxAttr){ "a", { .type = VMAFX_VALUE_ARRAY, .array = { &item, 1 } } });
        vmafx_span_set_attr(span, (VmafxAttr){ "m", { .type = VMAFX_VALUE_MAP, .map = { &field, 1 } } });
        vmafx_span_set_attr(span, (VmafxAttr){ "b", { .type = VMAFX_VALUE_BYTES, .str = { "12345", 5 } } });
        vmafx_span_end(&span);

        VmafxAttrs attrs = kept(i)->attrs;

        assert_text(attrs, "s", cases[i].cut);
        assert_string_equal(attr_of(attrs, "a")->value.array.items[0].str.ptr, cases[i].cut);
        assert_text((VmafxAttrs){ attr_of(attrs, "m")->value.map.items, 1 }, "f", cases[i].cut);
        assert_int_equal(attr_of(attrs, "b")->value.str.len, 3);
        assert_string_equal(kept(i)->name, "a long name stays");
    }
    vmafx_trace_provider_free(&p);
}

static void a_span_has_a_bound_on_its_bytes_and_deep_values_end_empty(void **state)
{
    enum { DEEP = 70, BIG = 3000 };
    VmafxTraceProviderConfig config = VMAFX_TRACE_PROVIDER_DEFAULT;
    VmafxValue nested[DEEP];
    static char big[BIG + 1];

    memset(big, 'b', BIG);
    nested[0] = (VmafxValue){ .type = VMAFX_VALUE_INT, .i = 1 };
    for (int i = 1; i < DEEP; i++)
        nested[i] = (VmafxValue){ .type = VMAFX_VALUE_ARRAY, .array = { &nested[i - 1], 1 } };
    config.limits.span_bytes = 10000;

    VmafxTraceProvider *p = provider_of(config);
    VmafxSpan *span = vmafx_span_start(tracer_of(p), "x");

    vmafx_span_set_attr(span, (VmafxAttr){ "deep", nested[DEEP - 1] });
    for (int i = 0; i < 1000; i++)
        vmafx_span_set_str(span, "same", i % 2 ? "a text" : "text");
    for (int i = 0; i < 4; i++)
        vmafx_span_set_str(span, (const char *[]){ "1", "2", "3", "4" }[i], big);
    vmafx_span_end(&span);

    const VmafxSpanData *data = kept(0);
    const VmafxValue *value = &attr_of(data->attrs, "deep")->value;
    int depth = 0;

    for (; value->type == VMAFX_VALUE_ARRAY; value = &value->array.items[0])
        depth++;
    assert_int_equal(depth, 64);
    assert_int_equal(value->type, VMAFX_VALUE_EMPTY);
    assert_text(data->attrs, "same", "a text");
    assert_true(data->dropped_attrs >= 1);
    assert_true(attr_of(data->attrs, "1") != NULL);
    assert_null(attr_of(data->attrs, "4"));
    vmafx_trace_provider_free(&p);
}

static void the_status_only_rises(void **state)
{
    static const struct {
        VmafxSpanStatus set[3];
        const char *say[3];
        VmafxSpanStatus status;
        const char *description;
    } cases[] = {
        { { 0 }, { "x", NULL, NULL }, VMAFX_STATUS_UNSET, "" },
        { { VMAFX_STATUS_OK }, { "x" }, VMAFX_STATUS_OK, "" },
        { { VMAFX_STATUS_ERROR }, { "x" }, VMAFX_STATUS_ERROR, "x" },
        { { VMAFX_STATUS_ERROR, VMAFX_STATUS_ERROR },
          { "x", "a longer description" },
          VMAFX_STATUS_ERROR,
          "a longer description" },
        { { VMAFX_STATUS_ERROR, VMAFX_STATUS_ERROR }, { "x", NULL }, VMAFX_STATUS_ERROR, "" },
        { { VMAFX_STATUS_ERROR, VMAFX_STATUS_UNSET }, { "x", "y" }, VMAFX_STATUS_ERROR, "x" },
        { { VMAFX_STATUS_ERROR, VMAFX_STATUS_OK }, { "x", "y" }, VMAFX_STATUS_OK, "" },
        { { VMAFX_STATUS_OK, VMAFX_STATUS_ERROR }, { NULL, "y" }, VMAFX_STATUS_OK, "" },
        { { VMAFX_STATUS_ERROR, (VmafxSpanStatus)9 }, { "x", "y" }, VMAFX_STATUS_ERROR, "x" },
    };
    VmafxTraceProvider *p = sampled_by(NULL);

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VmafxSpan *span = vmafx_span_start(tracer_of(p), "x");

        for (int s = 0; s < 3; s++)
            vmafx_span_set_status(span, cases[i].set[s], cases[i].say[s]);
        vmafx_span_end(&span);
        assert_int_equal(kept(i)->status, cases[i].status);
        assert_string_equal(kept(i)->status_description, cases[i].description);
    }
    vmafx_trace_provider_free(&p);
}

static void links_without_ids_need_attributes_or_tracestate(void **state)
{
    VmafxTraceProvider *p = sampled_by(NULL);
    VMAFX_AUTO(vmafx_tracestate_unref) VmafxTraceState *tracestate = vmafx_tracestate_parse("a=b", 3);
    VmafxSpanContext zero = { .remote = true };
    VmafxSpan *span = vmafx_span_start(tracer_of(p), "x");

    vmafx_span_add_link(span, &zero, VMAFX_NO_ATTRS);
    vmafx_span_add_link(span, &zero, VMAFX_ATTRS(VMAFX_ATTR_INT("a", 1)));
    zero.state = tracestate;
    vmafx_span_add_link(span, &zero, VMAFX_NO_ATTRS);
    vmafx_span_end(&span);
    assert_int_equal(kept(0)->n_links, 2);
    assert_int_equal(kept(0)->dropped_links, 0);
    assert_string_equal(kept(0)->links[1].trace_state, "a=b");
    assert_true(kept(0)->links[1].remote);
    vmafx_trace_provider_free(&p);
}

static void an_exception_is_an_event_whose_attributes_the_caller_may_override(void **state)
{
    VmafxTraceProvider *p = sampled_by(NULL);
    VmafxSpan *span = vmafx_span_start(tracer_of(p), "x");

    vmafx_span_record_exception(span, "T", "m", NULL, VMAFX_ATTRS(VMAFX_ATTR_STR("exception.message", "mine")));
    vmafx_span_end(&span);
    assert_string_equal(kept(0)->events[0].name, "exception");
    assert_int_equal(kept(0)->events[0].attrs.n, 2);
    assert_text(kept(0)->events[0].attrs, "exception.type", "T");
    assert_text(kept(0)->events[0].attrs, "exception.message", "mine");
    vmafx_trace_provider_free(&p);
}

/* ---- ending ---- */

static void the_first_end_wins_and_nothing_changes_after_it(void **state)
{
    VmafxTraceProvider *p = sampled_by(NULL);
    VmafxSpan *span = vmafx_span_start(tracer_of(p), "before"), *other = vmafx_span_ref(span);
    VmafxSpanContext ids, up;

    vmafx_span_end_at(span, 100);
    assert_false(vmafx_span_is_recording(span));
    vmafx_span_end_at(other, 200);
    vmafx_span_set_int(span, "late", 1);
    vmafx_span_add_event(span, "late", VMAFX_NO_ATTRS);
    vmafx_span_update_name(span, "late");
    vmafx_span_set_status(span, VMAFX_STATUS_ERROR, "late");
    assert_int_equal(keeper.n, 1);

    /* It may still be a parent. */
    VMAFX_AUTO(vmafx_context_unref) VmafxContext *context = vmafx_span_to_context(span, NULL);
    VmafxSpan *child = vmafx_span_start_with(tracer_of(p), "child", &(VmafxSpanOptions){ .parent = context });

    vmafx_span_context(span, &up);
    vmafx_span_context(child, &ids);
    assert_memory_equal(ids.trace_id, up.trace_id, 16);
    vmafx_span_end(&span);
    vmafx_span_end(&other);
    vmafx_span_end(&child);
    assert_int_equal(keeper.n, 2);
    assert_int_equal(kept(0)->end_ns, 100);
    assert_string_equal(kept(0)->name, "before");
    assert_int_equal(kept(0)->attrs.n + kept(0)->n_events, 0);
    assert_int_equal(kept(0)->status, VMAFX_STATUS_UNSET);
    vmafx_trace_provider_free(&p);
}

static void a_span_given_up_without_an_end_is_not_exported(void **state)
{
    VmafxTraceProvider *p = sampled_by(NULL);
    VmafxSpan *span = vmafx_span_start(tracer_of(p), "x");
    VmafxTraceCounts counts;

    vmafx_trace_provider_counts(p, &counts);
    assert_int_equal(counts.live[VMAFX_SAMPLE_RECORD_AND_SAMPLE], 1);
    vmafx_span_unref(&span);
    assert_null(span);
    vmafx_trace_provider_counts(p, &counts);
    assert_int_equal(counts.live[VMAFX_SAMPLE_RECORD_AND_SAMPLE], 0);
    assert_int_equal(keeper.n, 0);
    vmafx_trace_provider_free(&p);
}

static void all_processors_see_a_span_in_order_and_record_only_is_not_sampled(void **state)
{
    VmafxTraceProviderConfig config = VMAFX_TRACE_PROVIDER_DEFAULT;

    config.sampler = vmafx_sampler_always_record(vmafx_sampler_always_off());
    config.processors[0] = &keeper.base;
    config.processors[1] = &second_keeper.base;
    config.n_processors = 2;

    VmafxTraceProvider *p = provider_of(config);
    VmafxSpan *span = vmafx_span_start(tracer_of(p), "x");

    assert_true(vmafx_span_is_recording(span));
    vmafx_span_end(&span);
    assert_int_equal(keeper.n, 1);
    assert_int_equal(second_keeper.n, 1);
    assert_ptr_equal(keeper.spans[0], second_keeper.spans[0]);
    assert_int_equal(kept(0)->flags & VMAFX_TRACE_FLAG_SAMPLED, 0);
    assert_int_equal(vmafx_trace_provider_force_flush(p, UINT64_MAX), VMAFX_EXPORT_OK);
    assert_int_equal(second_keeper.flushes, 1);
    vmafx_trace_provider_free(&p);
    assert_int_equal(second_keeper.frees, 1);
}

static void after_shutdown_spans_are_no_ops_and_open_ones_end_unseen(void **state)
{
    VmafxTraceProvider *p = sampled_by(NULL);
    VmafxTracer *tracer = tracer_of(p);
    VmafxSpan *open = vmafx_span_start(tracer, "open"), *late;

    assert_int_equal(vmafx_trace_provider_shutdown(p, UINT64_MAX), VMAFX_EXPORT_OK);
    assert_int_equal(vmafx_trace_provider_shutdown(p, UINT64_MAX), VMAFX_EXPORT_FAILED);
    assert_int_equal(keeper.shutdowns, 1);
    assert_false(vmafx_tracer_enabled(tracer));
    late = vmafx_span_start(tracer, "late");
    assert_false(vmafx_span_is_recording(late));
    vmafx_span_end(&late);
    vmafx_span_end(&open);
    assert_int_equal(keeper.n, 0);
    vmafx_trace_provider_free(&p);
}

static void records_are_bounded_and_the_excess_is_counted(void **state)
{
    enum { MAX = 32 };
    VmafxTraceProviderConfig config = VMAFX_TRACE_PROVIDER_DEFAULT;
    VmafxSpan *spans[MAX + 1];
    VmafxSpanContext ids;
    VmafxTraceCounts counts;

    config.records_max = MAX;

    VmafxTraceProvider *p = provider_of(config);

    for (int i = 0; i <= MAX; i++)
        spans[i] = vmafx_span_start(tracer_of(p), "x");
    assert_true(vmafx_span_is_recording(spans[MAX - 1]));
    assert_false(vmafx_span_is_recording(spans[MAX]));
    assert_true(vmafx_span_context(spans[MAX], &ids));
    assert_int_equal(ids.flags & VMAFX_TRACE_FLAG_SAMPLED, 0);
    vmafx_trace_provider_counts(p, &counts);
    assert_int_equal(counts.dropped_memory, 1);
    assert_int_equal(counts.started[VMAFX_PARENT_NONE][VMAFX_SAMPLE_RECORD_AND_SAMPLE], MAX);
    assert_int_equal(counts.started[VMAFX_PARENT_NONE][VMAFX_SAMPLE_DROP], 1);
    assert_int_equal(counts.live[VMAFX_SAMPLE_RECORD_AND_SAMPLE], MAX);
    for (int i = 0; i <= MAX; i++)
        vmafx_span_end(&spans[i]);
    vmafx_trace_provider_free(&p);
}

static void a_recorded_span_is_exported_as_it_was_given(void **state)
{
    VmafxTraceProvider *p = sampled_by(vmafx_sampler_always_off()); /* which is not asked */
    VmafxSpanRecord record = {
        .context = { .trace_id = { 1 }, .span_id = { 2 }, .flags = VMAFX_TRACE_FLAG_SAMPLED },
        .parent_span_id = { 3 },
        .parent_remote = true,
        .name = "queued",
        .kind = VMAFX_SPAN_PRODUCER,
        .start_ns = 10,
        .end_ns = 20,
        .attrs = VMAFX_ATTRS(VMAFX_ATTR_STR("a", "b")),
        .events = &(VmafxSpanEvent){ "e", 15, VMAFX_ATTRS(VMAFX_ATTR_INT("x", 1)) },
        .n_events = 1,
        .links = &(VmafxSpanLink){ .context = { .trace_id = { 8 }, .span_id = { 9 } } },
        .n_links = 1,
        .status = VMAFX_STATUS_ERROR,
        .status_description = "lost",
    };

    vmafx_span_record(tracer_of(p), &record);
    assert_int_equal(keeper.n, 1);

    const VmafxSpanData *data = kept(0);

    assert_int_equal(data->trace_id[0], 1);
    assert_int_equal(data->span_id[0], 2);
    assert_int_equal(data->parent_span_id[0], 3);
    assert_true(data->parent_remote);
    assert_string_equal(data->name, "queued");
    assert_int_equal(data->kind, VMAFX_SPAN_PRODUCER);
    assert_int_equal(data->start_ns, 10);
    assert_int_equal(data->end_ns, 20);
    assert_text(data->attrs, "a", "b");
    assert_int_equal(data->events[0].time_ns, 15);
    assert_int_equal(data->links[0].span_id[0], 9);
    assert_string_equal(data->status_description, "lost");
    memset(record.context.span_id, 0, 8);
    vmafx_span_record(tracer_of(p), &record);
    assert_int_equal(keeper.n, 1);
    vmafx_trace_provider_free(&p);
}

static void a_trace_goes_by_one_clock(void **state)
{
    VmafxTraceProvider *p = sampled_by(NULL);
    VmafxSpan *root = vmafx_span_start(tracer_of(p), "root");
    VmafxContextToken token = vmafx_span_attach(root);
    VmafxSpan *child = vmafx_span_start(tracer_of(p), "child");
    struct timespec wall;

    vmafx_span_add_event(child, "event", VMAFX_NO_ATTRS);
    vmafx_span_end(&child);
    vmafx_span_detach(&token);
    vmafx_span_end(&root);
    clock_gettime(CLOCK_REALTIME, &wall);
    assert_true(kept(1)->start_ns <= kept(0)->start_ns);
    assert_true(kept(0)->start_ns <= kept(0)->events[0].time_ns);
    assert_true(kept(0)->events[0].time_ns <= kept(0)->end_ns);
    assert_true(kept(0)->end_ns <= kept(1)->end_ns);
    assert_true(kept(1)->start_ns / 1000000000u <= (uint64_t)wall.tv_sec);
    vmafx_trace_provider_free(&p);
}

/* ---- ids, threads, fork ---- */

static void *one_span(void *arg)
{
    VmafxSpan *span = vmafx_span_start(arg, "short");

    vmafx_span_set_int(span, "a", 1);
    vmafx_span_end(&span);
    return NULL;
}

static void short_threads_take_over_what_those_before_them_had(void **state)
{
    VmafxTraceProviderConfig config = VMAFX_TRACE_PROVIDER_DEFAULT;
    VmafxTraceCounts counts;

    config.records_max = 128; /* the keeper holds 64; each new thread with a slab of its own would need 160000 */

    VmafxTraceProvider *p = provider_of(config);

    for (int i = 0; i < 10000; i++) {
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, one_span, tracer_of(p)), 0);
        pthread_join(thread, NULL);
    }
    vmafx_trace_provider_counts(p, &counts);
    assert_int_equal(counts.started[VMAFX_PARENT_NONE][VMAFX_SAMPLE_RECORD_AND_SAMPLE], 10000);
    assert_int_equal(counts.live[VMAFX_SAMPLE_RECORD_AND_SAMPLE], 0);
    assert_int_equal(counts.dropped_memory, 0);
    vmafx_trace_provider_free(&p);
}

static void a_forked_child_is_silent_and_has_other_ids(void **state)
{
    VmafxTraceProvider *p = sampled_by(NULL);
    VmafxTracer *tracer = tracer_of(p);
    VmafxSpan *open = vmafx_span_start(tracer, "open");
    int ends[2];
    uint64_t mine, theirs;

    mine = vmafx_ids_u64();
    assert_int_equal(pipe(ends), 0);

    pid_t child = fork();

    assert_true(child >= 0);
    if (!child) {
        bool silent = !vmafx_span_is_recording(open) && !vmafx_tracer_enabled(tracer);
        VmafxSpan *late = vmafx_span_start(tracer, "late");

        silent &= !vmafx_span_is_recording(late);
        vmafx_span_end(&late);
        vmafx_span_set_int(open, "child", 1);
        vmafx_span_end(&open);
        silent &= vmafx_trace_provider_force_flush(p, UINT64_MAX) == VMAFX_EXPORT_FAILED;
        silent &= vmafx_trace_provider_shutdown(p, UINT64_MAX) == VMAFX_EXPORT_FAILED;
        silent &= keeper.n == 0;
        vmafx_trace_provider_free(&p);
        theirs = vmafx_ids_u64();
        silent &= write(ends[1], &theirs, sizeof theirs) == (ssize_t)sizeof theirs;

        /* A new provider works. */
        p = sampled_by(NULL);
        one_span(tracer_of(p));
        silent &= keeper.n == 1;
        _exit(silent ? 0 : 1);
    }

    int status;

    assert_int_equal(read(ends[0], &theirs, sizeof theirs), sizeof theirs);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    mine = vmafx_ids_u64();
    assert_true(mine != theirs); /* the generator goes on here as it would have there */
    vmafx_span_end(&open);
    assert_int_equal(keeper.n, 1);
    assert_int_equal(kept(0)->attrs.n, 0);
    vmafx_trace_provider_free(&p);
}

/* All that threads may do to one span and one provider at a time; the thread sanitizer looks on. */
typedef struct Crowd {
    VmafxTracer *tracer;
    VmafxSpan *shared;
    VmafxContext *parent;
} Crowd;

static void *in_the_crowd(void *arg)
{
    Crowd *crowd = arg;
    VmafxSpan *shared = vmafx_span_ref(crowd->shared);

    for (int i = 0; i < 500; i++) {
        VmafxSpan *child =
            vmafx_span_start_with(crowd->tracer, "child", &(VmafxSpanOptions){ .parent = crowd->parent });
        char key[16];

        snprintf(key, sizeof key, "k%d", i % 40);
        vmafx_span_set_str(shared, key, "value");
        vmafx_span_add_event(shared, "event", VMAFX_NO_ATTRS);
        vmafx_span_update_name(shared, "renamed");
        vmafx_span_set_status(shared, VMAFX_STATUS_ERROR, "why");
        vmafx_span_is_recording(shared);
        vmafx_tracer_get("crowd", key);
        if (i == 400)
            vmafx_span_end_at(shared, 0);
        vmafx_span_end(&child);
    }
    vmafx_span_unref(&shared);
    return NULL;
}

static void threads_may_share_a_span_and_a_provider(void **state)
{
    enum { THREADS = 4 };
    VmafxTraceProvider *p = sampled_by(NULL);
    Crowd crowd = { .tracer = tracer_of(p) };
    pthread_t threads[THREADS];
    VmafxTraceCounts counts;

    crowd.shared = vmafx_span_start(crowd.tracer, "shared");
    crowd.parent = vmafx_span_to_context(crowd.shared, NULL);
    for (int t = 0; t < THREADS; t++)
        assert_int_equal(pthread_create(&threads[t], NULL, in_the_crowd, &crowd), 0);
    for (int i = 0; i < 50; i++)
        vmafx_trace_provider_counts(p, &counts);
    for (int t = 0; t < THREADS; t++)
        pthread_join(threads[t], NULL);
    vmafx_span_end(&crowd.shared);
    vmafx_context_unref(&crowd.parent);
    vmafx_trace_provider_counts(p, &counts);
    assert_int_equal(counts.started[VMAFX_PARENT_LOCAL][VMAFX_SAMPLE_RECORD_AND_SAMPLE], THREADS * 500);
    assert_int_equal(counts.live[VMAFX_SAMPLE_RECORD_AND_SAMPLE], 0);
    vmafx_trace_provider_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_an_sdk_spans_do_nothing_and_have_no_ids),
        cmocka_unit_test(without_an_sdk_the_parents_context_goes_on),
        cmocka_unit_test(null_is_accepted_everywhere),
        cmocka_unit_test(a_tracer_taken_early_works_once_a_provider_is_set_and_stops_after),
        cmocka_unit_test(a_tracers_identity_is_name_version_schema_and_attributes),
        cmocka_unit_test(the_apis_tracers_have_the_same_identity_and_bring_it_along),
        cmocka_unit_test(a_samplers_warning_reaches_the_providers_handler_once),
        cmocka_unit_test(the_threshold_of_a_sampled_root_goes_down_its_trace),
        cmocka_unit_test(a_parent_based_sampler_asks_one_of_five),
        cmocka_unit_test(a_child_has_its_parents_trace_and_a_root_its_own),
        cmocka_unit_test(a_dropped_child_keeps_the_trace_id_and_gets_a_span_id),
        cmocka_unit_test(a_sampler_sees_the_start_and_adds_attributes_and_tracestate),
        cmocka_unit_test(everything_given_to_a_span_is_copied),
        cmocka_unit_test(every_limit_holds_at_n_and_drops_at_n_plus_one),
        cmocka_unit_test(values_are_cut_to_characters_when_they_are_set),
        cmocka_unit_test(a_span_has_a_bound_on_its_bytes_and_deep_values_end_empty),
        cmocka_unit_test(the_status_only_rises),
        cmocka_unit_test(links_without_ids_need_attributes_or_tracestate),
        cmocka_unit_test(an_exception_is_an_event_whose_attributes_the_caller_may_override),
        cmocka_unit_test(the_first_end_wins_and_nothing_changes_after_it),
        cmocka_unit_test(a_span_given_up_without_an_end_is_not_exported),
        cmocka_unit_test(all_processors_see_a_span_in_order_and_record_only_is_not_sampled),
        cmocka_unit_test(after_shutdown_spans_are_no_ops_and_open_ones_end_unseen),
        cmocka_unit_test(records_are_bounded_and_the_excess_is_counted),
        cmocka_unit_test(a_recorded_span_is_exported_as_it_was_given),
        cmocka_unit_test(a_trace_goes_by_one_clock),
        cmocka_unit_test(short_threads_take_over_what_those_before_them_had),
        cmocka_unit_test(a_forked_child_is_silent_and_has_other_ids),
        cmocka_unit_test(threads_may_share_a_span_and_a_provider),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
