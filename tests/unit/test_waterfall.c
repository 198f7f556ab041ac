/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The tree of a trace, whatever its spans say about each other, and how it is drawn. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/base.h"
#include "programs/cli/waterfall.h"

static const WaterfallStyle ascii = { .columns = 100 };
static const WaterfallStyle utf8 = { .columns = 100, .utf8 = true };

static WaterfallSpan span(uint64_t id, uint64_t parent, const char *name, int64_t start_ms, int64_t end_ms)
{
    return (WaterfallSpan){ .id = id,
                            .parent = parent,
                            .name = name,
                            .service = "svc",
                            .message = "",
                            .start_ns = start_ms * 1000000,
                            .end_ns = end_ms * 1000000 };
}

/* What is drawn; free() it. */
static char *drawn(const WaterfallSpan *spans, size_t n, const WaterfallStyle *style)
{
    VMAFX_AUTO(waterfall_free) Waterfall *waterfall = NULL;
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    assert_int_equal(waterfall_new(spans, n, &waterfall), VMAFX_OK);
    waterfall_draw(waterfall, style, out);
    fclose(out);
    return text;
}

/* The names' column alone, a line each: what the shape of the tree is. */
static char *shape(const WaterfallSpan *spans, size_t n)
{
    VMAFX_AUTO(vmafx_free_p) char *text = drawn(spans, n, &ascii);
    char *out = calloc(strlen(text) + 1, 1), *at = out, *save;

    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        size_t len = strnlen(line, 40);
        while (len && line[len - 1] == ' ')
            len--;
        memcpy(at, line, len);
        at += len;
        *at++ = '\n';
    }
    *at = 0;
    return out;
}

static void spans_in_any_order_make_one_tree_sorted_by_time(void **state)
{
    WaterfallSpan spans[] = {
        span(4, 3, "scoring", 30, 90), span(3, 1, "run", 20, 95), span(5, 3, "open", 21, 29),
        span(2, 1, "queue", 0, 20),    span(1, 0, "job", 0, 100),
    };
    VMAFX_AUTO(vmafx_free_p) char *text = shape(spans, VMAFX_LEN(spans));

    (void)state;
    assert_string_equal(text, "job\n"
                              "|- queue\n"
                              "`- run\n"
                              "   |- open\n"
                              "   `- scoring\n");
}

static void odd_parents_are_shown_all_the_same(void **state)
{
    static const struct {
        const char *why;
        struct {
            uint64_t id, parent;
        } spans[4];
        const char *shape; /* names are ids */
    } cases[] = {
        { "a parent that has not come", { { 1, 0 }, { 2, 9 }, { 3, 2 } }, "1\n(parent not here)\n`- 2\n   `- 3\n" },
        { "its own parent", { { 1, 1 }, { 2, 1 } }, "(parent not here)\n`- 1\n   `- 2\n" },
        { "two that name each other", { { 1, 2 }, { 2, 1 } }, "(parent not here)\n`- 1\n   `- 2\n" },
        { "something below a circle",
          { { 1, 3 }, { 2, 1 }, { 3, 2 }, { 4, 2 } },
          "(parent not here)\n`- 1\n   `- 2\n      |- 3\n      `- 4\n" },
        { "something before a circle, below it",
          { { 1, 2 }, { 2, 3 }, { 3, 2 } },
          "(parent not here)\n`- 2\n   |- 1\n   `- 3\n" },
        { "an id that comes twice counts once", { { 1, 0 }, { 2, 1 }, { 2, 1 } }, "1\n`- 2\n" },
        { "two roots", { { 1, 0 }, { 2, 0 } }, "1\n2\n" },
    };
    static const char *const names[] = { "0", "1", "2", "3", "4" };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        WaterfallSpan spans[4];
        size_t n = 0;
        for (; n < 4 && cases[i].spans[n].id; n++)
            spans[n] =
                span(cases[i].spans[n].id, cases[i].spans[n].parent, names[cases[i].spans[n].id], (int64_t)n, 100);
        VMAFX_AUTO(vmafx_free_p) char *text = shape(spans, n);
        if (strcmp(text, cases[i].shape))
            fail_msg("%s:\n%s", cases[i].why, text);
    }
}

static void bars_errors_and_what_goes_on_are_drawn(void **state)
{
    WaterfallSpan spans[] = { span(1, 0, "job", 0, 0), span(2, 1, "queue", 0, 50), span(3, 1, "run", 50, 100) };

    (void)state;
    spans[2].error = true;
    spans[2].message = "the node went away";
    VMAFX_AUTO(vmafx_free_p) char *text = drawn(spans, 3, &ascii);
    assert_string_equal(
        text, "job                                      svc              100 ms   ################################>\n"
              "|- queue                                 svc              50 ms    #################................\n"
              "`- ! run                                 svc              50 ms    ................!!!!!!!!!!!!!!!!!\n"
              "       ! the node went away\n");
    VMAFX_AUTO(vmafx_free_p) char *fine = drawn(spans, 3, &utf8);
    assert_non_null(strstr(fine, "└─ ! run"));
    assert_non_null(strstr(fine, "█▶"));
}

static void events_and_links_are_told_below_their_span(void **state)
{
    static const WaterfallAttribute thrown[] = { { "exception.type", "EOFError" },
                                                 { "exception.message", "no more\x1b[2J" } };
    static const WaterfallEvent events[] = {
        { .name = "exception", .time_ns = 40000000, .attributes = thrown, .n_attributes = 2 },
        { .name = "cache \xc3\xa9", .time_ns = 50000000 }
    };
    static const WaterfallLink links[] = { { "0000000000000000000000000000000a", 1 },
                                           { "0000000000000000000000000000000b", 0xdead } };
    WaterfallSpan spans[] = { span(1, 0, "job", 0, 100), span(2, 1, "run", 20, 95) };
    WaterfallStyle with_attributes = ascii;

    (void)state;
    spans[1].events = events;
    spans[1].n_events = VMAFX_LEN(events);
    spans[1].links = links;
    spans[1].n_links = VMAFX_LEN(links);
    VMAFX_AUTO(vmafx_free_p) char *text = drawn(spans, VMAFX_LEN(spans), &ascii);
    assert_non_null(strstr(text, "* at 20 ms: exception: EOFError: no more"));
    assert_null(strchr(text, 0x1b));
    assert_non_null(strstr(text, "* at 30 ms: cache ?\n"));
    assert_non_null(strstr(text, "-> span 0000000000000001\n"));
    assert_non_null(strstr(text, "-> span 000000000000dead of trace 0000000000000000000000000000000b\n"));
    assert_null(strstr(text, "exception.type"));
    with_attributes.attributes = true;
    VMAFX_AUTO(vmafx_free_p) char *all = drawn(spans, VMAFX_LEN(spans), &with_attributes);
    assert_non_null(strstr(all, "exception.type = EOFError"));
}

static void no_line_is_wider_than_the_terminal(void **state)
{
    static const int columns[] = { 40, 79, 80, 133, 400, 1000 };
    WaterfallSpan spans[60];
    char name[300];

    (void)state;
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = 0;
    for (int i = 0; i < 60; i++) { /* a chain */
        spans[i] = span((uint64_t)i + 1, (uint64_t)i, name, i, 200 - i);
        spans[i].service = name;
        spans[i].message = name;
    }
    for (size_t i = 0; i < VMAFX_LEN(columns); i++) {
        WaterfallStyle style = { .columns = columns[i] };
        VMAFX_AUTO(vmafx_free_p) char *text = drawn(spans, VMAFX_LEN(spans), &style);
        char *save;
        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
            if (strlen(line) > (size_t)VMAFX_MAX(columns[i], 40))
                fail_msg("%d columns: %zu in '%s'", columns[i], strlen(line), line);
    }
}

static void nothing_from_outside_reaches_the_terminal_raw(void **state)
{
    WaterfallSpan one = span(1, 0,
                             "a\033[2J\nb\xc2\x9b"
                             "c\xff",
                             0, 1);
    WaterfallAttribute attribute = { "k\033", "v\a" };
    WaterfallStyle plain = ascii, fine = utf8;

    (void)state;
    one.service = "\xe2\x82\xac\033";
    one.message = "\b";
    one.attributes = &attribute;
    one.n_attributes = 1;
    plain.attributes = fine.attributes = true;
    VMAFX_AUTO(vmafx_free_p) char *a = drawn(&one, 1, &plain), *b = drawn(&one, 1, &fine);
    for (const char *c = a; *c; c++)
        assert_true(*c == '\n' || ((unsigned char)*c >= 0x20 && (unsigned char)*c < 0x7f));
    for (const char *c = b; *c; c++)
        assert_true(*c == '\n' || ((unsigned char)*c >= 0x20 && (unsigned char)*c != 0x7f));
    assert_null(strstr(b, "\xc2\x9b"));
    assert_non_null(strstr(b, "€"));
    assert_non_null(strstr(b, "k? = v?"));
}

static void many_children_are_told_of_in_one_row(void **state)
{
    WaterfallSpan spans[101];
    WaterfallStyle style = { .columns = 100, .children_max = 5 };

    (void)state;
    spans[0] = span(1, 0, "scoring", 0, 1000);
    for (int i = 1; i <= 100; i++)
        spans[i] = span((uint64_t)i + 1, 1, "frames", 10 * i, 10 * i + 10);
    spans[50].error = true;
    VMAFX_AUTO(vmafx_free_p) char *text = drawn(spans, VMAFX_LEN(spans), &style);
    assert_non_null(strstr(text, "`- ... 95 more here, 950 ms together, 1 with errors; --all shows them\n"));
    style.children_max = 0;
    style.rows_max = 20;
    VMAFX_AUTO(vmafx_free_p) char *cut = drawn(spans, VMAFX_LEN(spans), &style);
    assert_non_null(strstr(cut, "... 20 of 101 spans are drawn; --all draws the rest\n"));
}

static void twenty_thousand_spans_are_drawn_in_any_shape_and_one_more_refused(void **state)
{
    VMAFX_AUTO(vmafx_free_p) WaterfallSpan *spans = calloc(WATERFALL_SPANS_MAX + 1, sizeof *spans);
    Waterfall *none = NULL;

    (void)state;
    for (int kind = 0; kind < 4; kind++) { /* a chain, children of one, orphans, one circle */
        for (uint64_t i = 0; i < WATERFALL_SPANS_MAX; i++) {
            uint64_t parent = kind == 0 ? i : kind == 1 ? (i ? 1 : 0) : kind == 2 ? 1000000 + i : i;
            spans[i] = span(i + 1, parent, "s", (int64_t)i, (int64_t)i + 1);
        }
        if (kind == 3)
            spans[0].parent = WATERFALL_SPANS_MAX;
        VMAFX_AUTO(vmafx_free_p) char *text = drawn(spans, WATERFALL_SPANS_MAX, &ascii);
        size_t lines = 0;
        for (const char *c = text; *c; c++)
            lines += *c == '\n';
        assert_int_equal(lines, WATERFALL_SPANS_MAX + (kind >= 2));
    }
    assert_int_equal(waterfall_new(spans, WATERFALL_SPANS_MAX + 1, &none), VMAFX_ERR_LIMIT);
}

static void no_spans_draw_nothing(void **state)
{
    VMAFX_AUTO(vmafx_free_p) char *text = drawn(NULL, 0, &ascii);

    (void)state;
    assert_string_equal(text, "");
}

static void the_tree_as_json_says_depth_and_missing_parents(void **state)
{
    WaterfallAttribute attribute = { "vmafx.job.id", "7" };
    WaterfallSpan spans[] = { span(1, 0, "job", 1, 100), span(2, 1, "run", 2, 0), span(3, 9, "lost", 3, 4),
                              span(4, 3, "below", 3, 4) };
    VMAFX_AUTO(waterfall_free) Waterfall *waterfall = NULL;
    VMAFX_AUTO(vmafx_free_p) char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    (void)state;
    spans[0].attributes = &attribute;
    spans[0].n_attributes = 1;
    assert_int_equal(waterfall_new(spans, VMAFX_LEN(spans), &waterfall), VMAFX_OK);
    assert_int_equal(waterfall_json(waterfall, "j", "t", out), VMAFX_OK);
    fclose(out);
    json_t *root = json_loads(text, 0, NULL), *list = json_object_get(root, "spans");
    assert_string_equal(json_string_value(json_object_get(root, "schema")), "vmafx.trace");
    assert_int_equal(json_array_size(list), 4);
    static const int depths[] = { 0, 1, 0, 1 }, missing[] = { 0, 0, 1, 0 };
    for (size_t i = 0; i < 4; i++) {
        json_t *one = json_array_get(list, i);
        assert_int_equal(json_integer_value(json_object_get(one, "depth")), depths[i]);
        assert_int_equal(json_is_true(json_object_get(one, "parent_missing")), missing[i]);
    }
    json_t *first = json_array_get(list, 0);
    assert_string_equal(json_string_value(json_object_get(first, "span_id")), "0000000000000001");
    assert_true(json_is_null(json_object_get(first, "parent_span_id")));
    assert_int_equal(json_integer_value(json_object_get(first, "duration_ns")), 99000000);
    assert_string_equal(json_string_value(json_object_get(json_object_get(first, "attributes"), "vmafx.job.id")), "7");
    assert_true(json_is_null(json_object_get(json_array_get(list, 1), "duration_ns")));
    json_decref(root);
}

static void the_terminal_is_taken_for_what_the_environment_says(void **state)
{
    static const struct {
        const char *all, *ctype, *lang;
        bool utf8;
    } cases[] = {
        { NULL, NULL, NULL, false },     { NULL, NULL, "en_US.UTF-8", true }, { "C", NULL, "en_US.UTF-8", false },
        { "", "de_DE.utf8", "C", true }, { "C.UTF-8", "C", "C", true },       { NULL, NULL, "en_US", false },
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        const char *names[] = { "LC_ALL", "LC_CTYPE", "LANG" };
        const char *values[] = { cases[i].all, cases[i].ctype, cases[i].lang };
        for (int k = 0; k < 3; k++)
            values[k] ? setenv(names[k], values[k], 1) : unsetenv(names[k]);
        WaterfallStyle style = waterfall_style_for(-1);
        assert_int_equal(style.utf8, cases[i].utf8);
        assert_false(style.colour); /* not a terminal */
        assert_int_equal(style.columns, 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_in_any_order_make_one_tree_sorted_by_time),
        cmocka_unit_test(odd_parents_are_shown_all_the_same),
        cmocka_unit_test(bars_errors_and_what_goes_on_are_drawn),
        cmocka_unit_test(events_and_links_are_told_below_their_span),
        cmocka_unit_test(no_line_is_wider_than_the_terminal),
        cmocka_unit_test(nothing_from_outside_reaches_the_terminal_raw),
        cmocka_unit_test(many_children_are_told_of_in_one_row),
        cmocka_unit_test(twenty_thousand_spans_are_drawn_in_any_shape_and_one_more_refused),
        cmocka_unit_test(no_spans_draw_nothing),
        cmocka_unit_test(the_tree_as_json_says_depth_and_missing_parents),
        cmocka_unit_test(the_terminal_is_taken_for_what_the_environment_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
