/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The search for the cheapest recipe: what it finds is right, and how many encodes it takes. */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "ladder/search.h"

#define STEPS     51 /* crf 51 … 1 */
#define LINES_MAX 12

/* A made-up encoder: score = top − depth · (crf / 51)^bend, rate = size · 2^(−crf / 6). */
typedef struct Encoder {
    double top, depth, bend, size;
    double noise; /* of the score, each way */
    bool fails;
} Encoder;

static double crf_of(size_t step)
{
    return STEPS - (double)step;
}

static double score_of(const Encoder *e, size_t step)
{
    uint32_t hash = (uint32_t)(step * 2654435761u) ^ (uint32_t)(e->bend * 1000);
    double noise = ((hash >> 7) % 2001 / 1000.0 - 1) * e->noise;

    return fmax(0, fmin(100, e->top - e->depth * pow(crf_of(step) / STEPS, e->bend) + noise));
}

static double rate_of(const Encoder *e, size_t step)
{
    return e->size * pow(2, -crf_of(step) / 6);
}

typedef struct Guesses {
    double scores[STEPS], rates[STEPS];
} Guesses;

static Guesses guesses(void)
{
    Guesses g;

    for (size_t i = 0; i < STEPS; i++) {
        double t = crf_of(i) / 64;
        g.scores[i] = 99.9 - 99.7 * t * t * t - 0.1 * t;
        g.rates[i] = exp(-0.115 * crf_of(i));
    }
    return g;
}

static VmafxLadderSearch *search_of(size_t n_lines, double target)
{
    const Guesses g = guesses();
    VmafxLadderLine lines[LINES_MAX];
    VmafxLadderSearch *search = NULL;

    for (size_t i = 0; i < n_lines; i++)
        lines[i] = (VmafxLadderLine){ g.scores, g.rates, STEPS };
    assert_int_equal(vmafx_ladder_search_new(lines, n_lines, target, &search), VMAFX_OK);
    return search;
}

typedef struct Outcome {
    size_t encodes;
    bool found;
    VmafxLadderTry best;
    bool tried[LINES_MAX][STEPS];
} Outcome;

static void run(const Encoder *encoders, size_t n, double target, Outcome *ret)
{
    VMAFX_AUTO(vmafx_ladder_search_free) VmafxLadderSearch *search = search_of(n, target);
    VmafxLadderTry try;

    *ret = (Outcome){ 0 };
    while (vmafx_ladder_search_next(search, &try)) {
        assert_true(try.line < n && try.step < STEPS);
        assert_false(ret->tried[try.line][try.step]);
        ret->tried[try.line][try.step] = true;
        assert_in_range(++ret->encodes, 1, n * STEPS);
        const Encoder *e = &encoders[try.line];
        if (e->fails)
            vmafx_ladder_search_failed(search, try);
        else
            vmafx_ladder_search_tell(search, try, rate_of(e, try.step), score_of(e, try.step));
    }
    ret->found = vmafx_ladder_search_best(search, &ret->best);
}

/* By trying everything. */
static double cheapest(const Encoder *encoders, size_t n, double target)
{
    double best = INFINITY;

    for (size_t i = 0; i < n; i++)
        for (size_t step = 0; step < STEPS && !encoders[i].fails; step++)
            if (score_of(&encoders[i], step) >= target)
                best = fmin(best, rate_of(&encoders[i], step));
    return best;
}

static void the_cheapest_step_of_one_line_is_found_in_about_four_encodes(void **state)
{
    size_t encodes = 0, runs = 0, most = 0;

    (void)state;
    for (double depth = 40; depth <= 300; depth += 20)
        for (double bend = 1.5; bend <= 4.5; bend += 0.5)
            for (double target = 40; target <= 98; target += 2) {
                const Encoder e = { 100, depth, bend, 1e8, 0, false };
                Outcome got;

                run(&e, 1, target, &got);
                assert_int_equal(got.found, isfinite(cheapest(&e, 1, target)));
                if (got.found)
                    assert_true(rate_of(&e, got.best.step) == cheapest(&e, 1, target));
                encodes += got.encodes;
                most = VMAFX_MAX(most, got.encodes);
                runs++;
            }
    if ((double)encodes / (double)runs > 4.3 || most > 8)
        fail_msg("%.2f encodes on average, %zu at most; halving would take 5.7", (double)encodes / (double)runs, most);
}

static void noise_costs_no_certainty_that_the_target_is_reached(void **state)
{
    (void)state;
    for (double bend = 1.5; bend <= 4.5; bend += 0.1)
        for (double target = 60; target <= 96; target += 1.5) {
            const Encoder e = { 99.5, 120, bend, 1e8, 0.4, false };
            Outcome got;

            run(&e, 1, target, &got);
            assert_true(got.found && score_of(&e, got.best.step) >= target);
            assert_true(got.tried[0][got.best.step]);
            if (got.best.step > 0) { /* the next cheaper one was tried, and misses */
                assert_true(got.tried[0][got.best.step - 1]);
                assert_true(score_of(&e, got.best.step - 1) < target);
            }
            assert_in_range(got.encodes, 1, 12);
        }
}

static const Encoder four_codecs_at_three_sizes[LINES_MAX] = {
    { 100, 130, 2.4, 8.0e7, 0, false }, { 95, 130, 2.4, 4.0e7, 0, false }, { 86, 130, 2.4, 2.2e7, 0, false },
    { 100, 120, 2.5, 6.0e7, 0, false }, { 95, 120, 2.5, 3.0e7, 0, false }, { 86, 120, 2.5, 1.7e7, 0, false },
    { 100, 80, 2.8, 9.0e7, 0, false },  { 95, 80, 2.8, 4.4e7, 0, false },  { 86, 80, 2.8, 2.4e7, 0, false },
    { 100, 90, 2.6, 9.9e7, 0, false },  { 95, 90, 2.6, 5.0e7, 0, false },  { 86, 90, 2.6, 2.9e7, 0, false },
};

static void of_many_lines_those_that_cannot_win_are_left_early(void **state)
{
    size_t encodes = 0, runs = 0;

    (void)state;
    for (double target = 50; target <= 99; target += 1) {
        Outcome got;

        run(four_codecs_at_three_sizes, LINES_MAX, target, &got);
        assert_true(got.found);
        assert_true(rate_of(&four_codecs_at_three_sizes[got.best.line], got.best.step) ==
                    cheapest(four_codecs_at_three_sizes, LINES_MAX, target));
        encodes += got.encodes;
        runs++;
    }
    if ((double)encodes / (double)runs > 3.3 * LINES_MAX)
        fail_msg("%.1f encodes on average for %d lines; halving all would take %.1f", (double)encodes / (double)runs,
                 LINES_MAX, 5.7 * LINES_MAX);
}

static void a_line_whose_dearest_step_misses_is_told_from_one_that_reaches(void **state)
{
    static const Encoder out_of_reach[] = { { 80, 100, 2, 1e8, 0, false }, { 85, 100, 3, 1e8, 0, false } };
    Outcome got;

    (void)state;
    run(out_of_reach, 2, 95, &got);
    assert_false(got.found);
    assert_true(got.tried[0][STEPS - 1] && got.tried[1][STEPS - 1]);
    assert_in_range(got.encodes, 2, 8);
}

static void everything_reaches_a_target_of_nothing_by_the_cheapest_step(void **state)
{
    static const Encoder e = { 100, 50, 2, 1e8, 0, false };
    Outcome got;

    (void)state;
    run(&e, 1, 0, &got);
    assert_true(got.found);
    assert_int_equal(got.best.step, 0);
    assert_in_range(got.encodes, 1, 2);
}

static void a_line_that_fails_is_left_and_the_others_go_on(void **state)
{
    static const Encoder two[] = { { 100, 80, 2.8, 1e7, 0, true }, { 100, 130, 2.4, 8e7, 0, false } };
    static const Encoder none[] = { { 100, 80, 2.8, 1e7, 0, true } };
    Outcome got;

    (void)state;
    run(two, 2, 90, &got);
    assert_true(got.found);
    assert_int_equal(got.best.line, 1);
    size_t of_first = 0;
    for (size_t i = 0; i < STEPS; i++)
        of_first += got.tried[0][i];
    assert_int_equal(of_first, 1);
    run(none, 1, 90, &got);
    assert_false(got.found);
    assert_int_equal(got.encodes, 1);
}

static void first_tries_go_on_beside_each_other_and_others_wait_for_them(void **state)
{
    VMAFX_AUTO(vmafx_ladder_search_free) VmafxLadderSearch *search = search_of(3, 90);
    VmafxLadderTry tries[3], more;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_true(vmafx_ladder_search_next(search, &tries[i]));
        for (size_t k = 0; k < i; k++)
            assert_int_not_equal(tries[k].line, tries[i].line);
    }
    assert_false(vmafx_ladder_search_next(search, &more));
    vmafx_ladder_search_tell(search, tries[0], 1e6, 80);
    assert_false(vmafx_ladder_search_next(search, &more)); /* the other two may change where it is worth looking */
    vmafx_ladder_search_tell(search, tries[1], 5e5, 80);
    vmafx_ladder_search_tell(search, tries[2], 2e6, 80);
    assert_true(vmafx_ladder_search_next(search, &more));
    assert_int_equal(more.line, tries[1].line); /* it promises most */
    assert_true(more.step > tries[1].step);
    assert_false(vmafx_ladder_search_best(search, &more));
}

static void a_miss_that_costs_more_than_the_best_ends_its_line(void **state)
{
    VMAFX_AUTO(vmafx_ladder_search_free) VmafxLadderSearch *search = search_of(2, 90);
    VmafxLadderTry a, b, next;

    (void)state;
    assert_true(vmafx_ladder_search_next(search, &a));
    assert_true(vmafx_ladder_search_next(search, &b));
    vmafx_ladder_search_tell(search, a, 1e6, 95);
    vmafx_ladder_search_tell(search, b, 1e6, 85); /* what reaches the target there costs more still */
    while (vmafx_ladder_search_next(search, &next)) {
        assert_int_equal(next.line, a.line);
        vmafx_ladder_search_tell(search, next, 9e5, next.step >= a.step - 1 ? 92 : 80);
    }
    assert_true(vmafx_ladder_search_best(search, &next));
    assert_int_equal(next.line, a.line);
    assert_int_equal(next.step, a.step - 1);
}

static void few_steps_are_searched_as_many_are(void **state)
{
    static const double scores[] = { 10, 50, 90 }, rates[] = { 1, 2, 4 };
    static const double real[] = { 40, 70, 95 };

    (void)state;
    for (size_t n = 1; n <= 3; n++)
        for (double target = 30; target <= 100; target += 10) {
            VMAFX_AUTO(vmafx_ladder_search_free) VmafxLadderSearch *search = NULL;
            const VmafxLadderLine line = { scores, rates, n };
            VmafxLadderTry try;
            size_t encodes = 0, wanted = 0;

            assert_int_equal(vmafx_ladder_search_new(&line, 1, target, &search), VMAFX_OK);
            for (; vmafx_ladder_search_next(search, &try); encodes++)
                vmafx_ladder_search_tell(search, try, rates[try.step], real[try.step]);
            assert_in_range(encodes, 1, n);
            while (wanted < n && real[wanted] < target)
                wanted++;
            assert_int_equal(vmafx_ladder_search_best(search, &try), wanted < n);
            if (wanted < n)
                assert_int_equal(try.step, wanted);
        }
}

static void lines_as_they_must_not_be_are_refused(void **state)
{
    static const double good[] = { 10, 50 }, falling[] = { 50, 10 }, equal[] = { 50, 50 }, perfect[] = { 50, 100 },
                        nothing[] = { NAN, 50 }, zero[] = { 0, 50 };
    static const struct {
        VmafxLadderLine line;
        size_t n;
        double target;
    } bad[] = {
        { { good, good, 0 }, 1, 90 },    { { falling, good, 2 }, 1, 90 },
        { { equal, good, 2 }, 1, 90 },   { { perfect, good, 2 }, 1, 90 },
        { { nothing, good, 2 }, 1, 90 }, { { good, falling, 2 }, 1, 90 },
        { { good, nothing, 2 }, 1, 90 }, { { good, zero, 2 }, 1, 90 },
        { { good, good, 2 }, 0, 90 },    { { good, good, 2 }, VMAFX_LADDER_LINES_MAX + 1, 90 },
        { { good, good, 2 }, 1, NAN },   { { good, good, VMAFX_LADDER_STEPS_MAX + 1 }, 1, 90 },
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(bad); i++) {
        VMAFX_AUTO(vmafx_ladder_search_free) VmafxLadderSearch *search = NULL;

        assert_int_equal(vmafx_ladder_search_new(&bad[i].line, bad[i].n, bad[i].target, &search), VMAFX_ERR_INVALID);
        assert_null(search);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cheapest_step_of_one_line_is_found_in_about_four_encodes),
        cmocka_unit_test(noise_costs_no_certainty_that_the_target_is_reached),
        cmocka_unit_test(of_many_lines_those_that_cannot_win_are_left_early),
        cmocka_unit_test(a_line_whose_dearest_step_misses_is_told_from_one_that_reaches),
        cmocka_unit_test(everything_reaches_a_target_of_nothing_by_the_cheapest_step),
        cmocka_unit_test(a_line_that_fails_is_left_and_the_others_go_on),
        cmocka_unit_test(first_tries_go_on_beside_each_other_and_others_wait_for_them),
        cmocka_unit_test(a_miss_that_costs_more_than_the_best_ends_its_line),
        cmocka_unit_test(few_steps_are_searched_as_many_are),
        cmocka_unit_test(lines_as_they_must_not_be_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
