/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What of a result is counted, and under which labels. */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/features.h"
#include "report/scored.h"

#define SERIES_MAX 64

typedef struct Made {
    Vmafx__V1__Result result;
    Vmafx__V1__SeriesSummary series[SERIES_MAX], *list[SERIES_MAX];
    Vmafx__V1__ModelFacts models[SERIES_MAX], *models_list[SERIES_MAX];
} Made;

static char *say(const char *text)
{
    return (char *)(uintptr_t)text;
}

static void add(Made *made, const char *name, Vmafx__V1__SeriesKind kind, double mean)
{
    Vmafx__V1__SeriesSummary *s = &made->series[made->result.n_series];

    *s = (Vmafx__V1__SeriesSummary)VMAFX__V1__SERIES_SUMMARY__INIT;
    s->name = say(name);
    s->kind = kind;
    s->n = 3;
    s->mean = mean;
    made->list[made->result.n_series++] = s;
}

static void add_feature(Made *made, const char *name, double mean)
{
    add(made, name, VMAFX__V1__SERIES_KIND__SERIES_KIND_FEATURE, mean);
}

static void add_model(Made *made, const char *version, const char *name, double mean)
{
    Vmafx__V1__ModelFacts *m = &made->models[made->result.n_models];

    *m = (Vmafx__V1__ModelFacts)VMAFX__V1__MODEL_FACTS__INIT;
    m->name = say(name);
    m->version = say(version);
    made->models_list[made->result.n_models++] = m;
    add(made, name, VMAFX__V1__SERIES_KIND__SERIES_KIND_SCORE, mean);
}

static void open_made(Made *made)
{
    *made = (Made){ .result = VMAFX__V1__RESULT__INIT };
    made->result.complete = true;
    made->result.series = made->list;
    made->result.models = made->models_list;
}

static void is(const VmafxScoredList *list, size_t i, const char *model, const char *metric, double value)
{
    assert_true(i < list->n);
    assert_string_equal(list->items[i].model, model);
    assert_string_equal(list->items[i].metric, metric);
    assert_true(list->items[i].value == value);
}

static void models_and_what_judges_by_itself_are_counted_once(void **state)
{
    VmafxScoredList list;
    Made made;

    open_made(&made);
    add_feature(&made, "integer_adm2", 0.9);
    add_feature(&made, "integer_motion2", 3);
    add_feature(&made, "psnr_y", 40);
    add_feature(&made, "psnr_hvs_y", 41);
    add_feature(&made, "psnr_hvs", 42);
    add_feature(&made, "cambi_eotf_pq", 1);
    add_feature(&made, "cambi", 2); /* of two configurations the first */
    add_feature(&made, "my_feature", 2);
    add_model(&made, "vmaf_v0.6.1", "vmaf", 93);
    add_model(&made, "vmaf_v0.6.1neg", "psnr_cb", 91); /* whatever its submitter calls it */
    add(&made, "vmaf_0001", VMAFX__V1__SERIES_KIND__SERIES_KIND_MEMBER, 92);
    vmafx_scored_of_result(&made.result, &list);
    is(&list, 0, "vmaf_v0.6.1", "score", 93);
    is(&list, 1, "vmaf_v0.6.1neg", "score", 91);
    is(&list, 2, "", "psnr_y", 40);
    is(&list, 3, "", "psnr_hvs", 42);
    is(&list, 4, "", "cambi", 1);
    assert_int_equal(list.n, 5);
}

static void what_says_nothing_is_not_counted(void **state)
{
    VmafxScoredList list;
    Made made;

    open_made(&made);
    add_feature(&made, "ciede2000", INFINITY);
    add_feature(&made, "float_ssim", NAN);
    add_feature(&made, "float_psnr", 30);
    made.series[2].n = 0;
    add_model(&made, "vmaf_v0.6.1", "vmaf", NAN);
    vmafx_scored_of_result(&made.result, &list);
    assert_int_equal(list.n, 0);
    add_feature(&made, "psnr_y", 40);
    vmafx_scored_of_result(&made.result, &list);
    assert_int_equal(list.n, 1);
    made.result.complete = false;
    vmafx_scored_of_result(&made.result, &list);
    assert_int_equal(list.n, 0);
}

static void there_is_room_for_all_features_and_an_end_of_it(void **state)
{
    size_t n, quality = 0;
    const VmafxResultFacts *facts = vmafx_result_facts(&n);
    char long_name[200] = "";
    VmafxScoredList list;
    Made made;

    for (size_t i = 0; i < n; i++)
        quality += facts[i].use == VMAFX_RESULT_QUALITY;
    assert_true(quality + 16 <= VMAFX_SCORED_MAX);
    open_made(&made);
    memset(long_name, 'm', sizeof long_name - 1);
    for (size_t i = 0; i < VMAFX_SCORED_MAX + 5; i++)
        add_model(&made, long_name, "vmaf", (double)i);
    vmafx_scored_of_result(&made.result, &list);
    assert_int_equal(list.n, VMAFX_SCORED_MAX);
    assert_int_equal(strlen(list.items[0].model), sizeof list.items[0].model - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(models_and_what_judges_by_itself_are_counted_once),
        cmocka_unit_test(what_says_nothing_is_not_counted),
        cmocka_unit_test(there_is_room_for_all_features_and_an_end_of_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
