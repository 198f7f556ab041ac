/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Samplers asked one by one: names, ratios, probabilities and the thresholds they tell each other. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "otel/sdk/ids.h"
#include "otel/sdk/sampler.h"

static void samplers_are_known_by_name_and_describe_themselves(void **state)
{
#define PARENT(root)                                                                                                   \
    "ParentBased{root:" root ",remoteParentSampled:AlwaysOnSampler,remoteParentNotSampled:AlwaysOffSampler,"           \
    "localParentSampled:AlwaysOnSampler,localParentNotSampled:AlwaysOffSampler}"
    static const struct {
        const char *name, *description;
    } cases[] = {
        { "always_on", "AlwaysOnSampler" },
        { "ALWAYS_off", "AlwaysOffSampler" },
        { "traceidratio", "TraceIdRatioBased{0.000100}" },
        { "parentbased_always_on", PARENT("AlwaysOnSampler") },
        { "parentbased_always_off", PARENT("AlwaysOffSampler") },
        { "ParentBased_traceidratio", PARENT("TraceIdRatioBased{0.000100}") },
        { "vmafx_probability", "ProbabilitySampler{0.000100}" },
        { "parentbased_vmafx_PROBABILITY",
          "ParentBased{root:ProbabilitySampler{0.000100},remoteParentSampled:ParentThreshold,"
          "remoteParentNotSampled:ParentThreshold,localParentSampled:ParentThreshold,"
          "localParentNotSampled:ParentThreshold}" },
        { "jaeger_remote", NULL },
        { "parentbased_", NULL },
        { "parentbased_parentbased_always_on", NULL },
        { "", NULL },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VMAFX_AUTO(vmafx_sampler_free) VmafxSampler *sampler = vmafx_sampler_by_name(cases[i].name, 0.0001);

        if (!cases[i].description) {
            assert_null(sampler);
            continue;
        }
        assert_non_null(sampler);
        assert_string_equal(sampler->description, cases[i].description);
    }

    VMAFX_AUTO(vmafx_sampler_free) VmafxSampler *record = vmafx_sampler_always_record(vmafx_sampler_always_off());

    assert_string_equal(record->description, "AlwaysRecord{AlwaysOffSampler}");
}

static VmafxSamplingDecision ask(const VmafxSampler *sampler, const uint8_t *trace_id)
{
    VmafxSamplingResult result = { .decision = VMAFX_SAMPLE_DROP };

    sampler->sample(sampler, &(VmafxSamplingInput){ .trace_id = trace_id, .name = "" }, &result);
    return result.decision;
}

static void the_ratio_sampler_compares_the_low_63_bits_with_its_bound(void **state)
{
    static const struct {
        const char *why;
        double ratio;
        uint64_t low; /* the trace id's second half */
        bool sampled;
    } cases[] = {
        { "0 is never", 0, 0, false },
        { "below 0 is never", -1, 0, false },
        { "not a number is never", __builtin_nan(""), 0, false },
        { "1 is always", 1, UINT64_MAX, true },
        { "above 1 is always", 7, UINT64_MAX, true },
        { "half: the last below the bound", 0.5, 0x7fffffffffffffff, true },
        { "half: the bound itself", 0.5, 0x8000000000000000, false },
        { "the lowest bit does not count", 0.5, 0x7ffffffffffffffe, true },
        { "a quarter: just above", 0.25, 0x4000000000000000, false },
        { "a quarter: just below", 0.25, 0x3fffffffffffffff, true },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VMAFX_AUTO(vmafx_sampler_free) VmafxSampler *sampler = vmafx_sampler_trace_id_ratio(cases[i].ratio);
        uint8_t id[16] = { 0xff };

        for (int b = 0; b < 8; b++)
            id[8 + b] = (uint8_t)(cases[i].low >> (56 - 8 * b));
        if (ask(sampler, id) != (cases[i].sampled ? VMAFX_SAMPLE_RECORD_AND_SAMPLE : VMAFX_SAMPLE_DROP))
            fail_msg("%s", cases[i].why);
    }
}

static void a_higher_ratio_samples_a_superset(void **state)
{
    static const double ratios[] = { 0.0001, 0.01, 0.1, 0.3, 0.9, 1 };
    VmafxSampler *samplers[VMAFX_LEN(ratios)];
    size_t sampled[VMAFX_LEN(ratios)] = { 0 };
    const size_t n = 100000;

    for (size_t r = 0; r < VMAFX_LEN(ratios); r++)
        samplers[r] = vmafx_sampler_trace_id_ratio(ratios[r]);
    for (size_t i = 0; i < n; i++) {
        uint8_t id[16];
        bool before = false;

        vmafx_ids_trace(id);
        for (size_t r = 0; r < VMAFX_LEN(ratios); r++) {
            bool now = ask(samplers[r], id) != VMAFX_SAMPLE_DROP;

            assert_true(now || !before);
            sampled[r] += now;
            before = now;
        }
    }
    /* 0.3 ± 6 standard deviations: 6 · sqrt(n · 0.3 · 0.7) < 900 */
    assert_in_range(sampled[3], 30000 - 900, 30000 + 900);
    assert_int_equal(sampled[5], n);
    for (size_t r = 0; r < VMAFX_LEN(ratios); r++)
        vmafx_sampler_free(&samplers[r]);
}

static void the_ratio_sampler_warns_of_parents_once(void **state)
{
    VMAFX_AUTO(vmafx_sampler_free) VmafxSampler *sampler = vmafx_sampler_trace_id_ratio(0.5);
    VmafxSpanContext parent = { .trace_id = { 1 }, .span_id = { 1 }, .flags = 1 };
    VmafxSamplingInput root = { .trace_id = parent.trace_id, .name = "" }, child = root;

    child.parent = &parent;
    for (int i = 0; i < 6; i++) {
        VmafxSamplingResult result = { .decision = VMAFX_SAMPLE_DROP };

        sampler->sample(sampler, i % 2 ? &child : &root, &result);
        assert_int_equal(result.warning != NULL, i == 1);
    }
}

/* ---- Probability ---- */

typedef struct Answer {
    bool sampled, warned;
    char state[600];
} Answer;

/* Of a child of a remote parent with this tracestate; the last 7 bytes of its trace id are random_bits. */
static Answer ask_child(const VmafxSampler *sampler, uint64_t random_bits, uint8_t flags, const char *state_text)
{
    VMAFX_AUTO(vmafx_tracestate_unref)
    VmafxTraceState *state = vmafx_tracestate_parse(state_text, strlen(state_text));
    VmafxSpanContext parent = {
        .trace_id = { 0xff }, .span_id = { 1 }, .flags = flags, .remote = true, .state = state
    };
    VmafxSamplingResult result = { .state = state };
    Answer answer;

    for (int i = 0; i < 7; i++)
        parent.trace_id[9 + i] = (uint8_t)(random_bits >> (48 - 8 * i));
    sampler->sample(sampler, &(VmafxSamplingInput){ .parent = &parent, .trace_id = parent.trace_id, .name = "" },
                    &result);
    answer.sampled = result.decision == VMAFX_SAMPLE_RECORD_AND_SAMPLE;
    answer.warned = result.warning;
    snprintf(answer.state, sizeof answer.state, "%s", vmafx_tracestate_text(result.state));
    vmafx_tracestate_unref(&result.made);
    return answer;
}

static void a_probability_becomes_a_threshold_of_few_digits(void **state)
{
    static const struct {
        double ratio;
        const char *state;
    } cases[] = {
        { 1, "ot=th:0" },
        { 7, "ot=th:0" },
        { 0.5, "ot=th:8" },
        { 0.25, "ot=th:c" },
        { 1.0 / 3, "ot=th:aaab" },
        { 2.0 / 3, "ot=th:5555" },
        { 0.1, "ot=th:e666" },
        { 0.01, "ot=th:fd70a" },
        { 0.001, "ot=th:ffbe77" },
        { 0x1p-56, "ot=th:ffffffffffffff" },
        { 0x1p-55, "ot=th:fffffffffffffe" },
        { 1 - 0x1p-53, "ot=th:0" },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VMAFX_AUTO(vmafx_sampler_free) VmafxSampler *sampler = vmafx_sampler_probability(cases[i].ratio);
        VmafxSamplingResult result = { .decision = VMAFX_SAMPLE_DROP };
        uint8_t most[16];

        memset(most, 0xff, sizeof most);
        sampler->sample(sampler, &(VmafxSamplingInput){ .trace_id = most, .name = "" }, &result);
        assert_int_equal(result.decision, VMAFX_SAMPLE_RECORD_AND_SAMPLE);
        assert_null(result.made); /* roots share one */
        assert_string_equal(vmafx_tracestate_text(result.state), cases[i].state);
    }
    assert_ptr_equal(vmafx_sampler_probability(0), vmafx_sampler_always_off());
    assert_ptr_equal(vmafx_sampler_probability(0x1p-57), vmafx_sampler_always_off());
    assert_ptr_equal(vmafx_sampler_probability(__builtin_nan("")), vmafx_sampler_always_off());
}

#define LONG_VALUE                                                                                                     \
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"

static void the_probability_sampler_compares_randomness_with_its_threshold(void **state)
{
    static const struct {
        const char *why;
        uint64_t random_bits;
        const char *state;
        bool sampled;
        const char *after;
    } cases[] = {
        { "the threshold itself", 0x80000000000000, "", true, "ot=th:8" },
        { "just below", 0x7fffffffffffff, "", false, "" },
        { "rv wins over the trace id", 0, "ot=rv:ffffffffffffff", true, "ot=th:8;rv:ffffffffffffff" },
        { "and the other way", 0xffffffffffffff, "ot=rv:7fffffffffffff", false, "ot=rv:7fffffffffffff" },
        { "rv of 13 digits is none", 0, "ot=rv:fffffffffffff", false, "ot=rv:fffffffffffff" },
        { "rv in capitals is none", 0, "ot=rv:FFFFFFFFFFFFFF", false, "ot=rv:FFFFFFFFFFFFFF" },
        { "an older threshold is replaced", 0xffffffffffffff, "ot=th:c", true, "ot=th:8" },
        { "and erased", 0, "ot=th:c,a=b", false, "a=b" },
        { "what is like it stays", 0xffffffffffffff, "ot=thx:1;rvx:2", true, "ot=th:8;thx:1;rvx:2" },
        { "others keep their places behind", 0xffffffffffffff, "a=b,ot=x:y", true, "ot=th:8;x:y,a=b" },
        { "untouched where nothing changes", 0xffffffffffffff, "a=b,ot=th:8", true, "a=b,ot=th:8" },
        { "no room for th", 0xffffffffffffff,
          "ot=a:" LONG_VALUE ";b:" LONG_VALUE ";c:0123456789012345678901234567890123456789012345", true,
          "ot=a:" LONG_VALUE ";b:" LONG_VALUE ";c:0123456789012345678901234567890123456789012345" },
    };
    VMAFX_AUTO(vmafx_sampler_free) VmafxSampler *sampler = vmafx_sampler_probability(0.5);

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        Answer answer = ask_child(sampler, cases[i].random_bits, 3, cases[i].state);

        if (answer.sampled != cases[i].sampled || answer.warned || strcmp(answer.state, cases[i].after) != 0)
            fail_msg("%s: %d '%s'", cases[i].why, answer.sampled, answer.state);
    }
}

static void a_threshold_goes_on_while_it_agrees_with_the_parents_decision(void **state)
{
    static const struct {
        const char *why;
        uint64_t random_bits;
        uint8_t flags;
        const char *state, *after;
    } cases[] = {
        { "sampled and above", 0xc0000000000000, 3, "ot=th:c", "ot=th:c" },
        { "sampled but below", 0xbfffffffffffff, 3, "ot=th:c", "" },
        { "not sampled and below", 0xbfffffffffffff, 2, "ot=th:c", "ot=th:c" },
        { "not sampled but above", 0xc0000000000000, 2, "a=b,ot=th:c;x:y", "ot=x:y,a=b" },
        { "by rv", 0, 3, "ot=th:c;rv:d0000000000000", "ot=th:c;rv:d0000000000000" },
        { "no hexadecimal number", 0xffffffffffffff, 3, "ot=th:xyz;rv:d0000000000000", "ot=rv:d0000000000000" },
        { "too many digits", 0xffffffffffffff, 3, "ot=th:000000000000000", "" },
        { "no threshold", 0, 3, "ot=rv:d0000000000000", "ot=rv:d0000000000000" },
        { "nothing", 0, 2, "", "" },
    };
    VMAFX_AUTO(vmafx_sampler_free) VmafxSampler *sampler = vmafx_sampler_parent_probability(0.5);

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        Answer answer = ask_child(sampler, cases[i].random_bits, cases[i].flags, cases[i].state);

        if (answer.sampled != (cases[i].flags & 1) || strcmp(answer.state, cases[i].after) != 0)
            fail_msg("%s: %d '%s'", cases[i].why, answer.sampled, answer.state);
    }
}

static void the_probability_sampler_warns_once_of_ids_that_may_not_be_random(void **state)
{
    VMAFX_AUTO(vmafx_sampler_free) VmafxSampler *sampler = vmafx_sampler_probability(0.5);

    assert_false(ask_child(sampler, 1, VMAFX_TRACE_FLAG_RANDOM, "").warned);
    assert_false(ask_child(sampler, 1, 0, "ot=rv:ffffffffffffff").warned);
    assert_true(ask_child(sampler, 1, 0, "").warned);
    assert_false(ask_child(sampler, 1, 0, "").warned);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samplers_are_known_by_name_and_describe_themselves),
        cmocka_unit_test(the_ratio_sampler_compares_the_low_63_bits_with_its_bound),
        cmocka_unit_test(a_higher_ratio_samples_a_superset),
        cmocka_unit_test(the_ratio_sampler_warns_of_parents_once),
        cmocka_unit_test(a_probability_becomes_a_threshold_of_few_digits),
        cmocka_unit_test(the_probability_sampler_compares_randomness_with_its_threshold),
        cmocka_unit_test(a_threshold_goes_on_while_it_agrees_with_the_parents_decision),
        cmocka_unit_test(the_probability_sampler_warns_once_of_ids_that_may_not_be_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
