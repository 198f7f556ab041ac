/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Contexts that cross a border: traceparent, carriers of headers, the environment of a child. The cases follow W3C's
 * own test suite for trace context. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "base/base.h"
#include "otel/api/context.h"

#define TRACE_ID    "0af7651916cd43dd8448eb211c80319c"
#define SPAN_ID     "b7ad6b7169203331"
#define IDS         TRACE_ID "-" SPAN_ID
#define TRACEPARENT "00-" IDS "-01"

/* ---- a carrier: headers in order, names compared without case ---- */

enum { HEADERS_MAX = 8 };

typedef struct Headers {
    struct {
        const char *name, *value;
    } of[HEADERS_MAX];
} Headers;

static char sent_values[HEADERS_MAX][9000]; /* what the setter copied; one carrier is written at a time */

static void get_all(void *carrier, const char *name, void (*each)(void *ctx, const char *value, size_t len), void *ctx)
{
    Headers *headers = carrier;

    for (size_t i = 0; i < HEADERS_MAX && headers->of[i].name; i++)
        if (strcasecmp(headers->of[i].name, name) == 0) {
            /* the value is gone after the call, as the contract allows */
            char *copy = strdup(headers->of[i].value);
            each(ctx, copy, strlen(copy));
            memset(copy, 'x', strlen(copy));
            free(copy);
        }
}

static void set(void *carrier, const char *name, const char *value)
{
    Headers *headers = carrier;
    size_t i = 0;

    while (headers->of[i].name && strcmp(headers->of[i].name, name) != 0)
        i++;
    assert_true(i < HEADERS_MAX && strlen(value) < sizeof sent_values[i]);
    strcpy(sent_values[i], value);
    headers->of[i].name = name; /* names are constants */
    headers->of[i].value = sent_values[i];
}

static const VmafxCarrierGetter getter = { get_all };
static const VmafxCarrierSetter setter = { set };

static const char *header(const Headers *headers, const char *name)
{
    for (size_t i = 0; i < HEADERS_MAX && headers->of[i].name; i++)
        if (strcmp(headers->of[i].name, name) == 0)
            return headers->of[i].value;
    return NULL;
}

static VmafxContext *extract(const Headers *headers)
{
    return vmafx_context_extract(NULL, &getter, (void *)headers);
}

/* The traceparent and the tracestate that go out for what came in; NULL when there is none. */
static void in_and_out(const Headers *in, Headers *ret_out)
{
    VMAFX_AUTO(vmafx_context_unref) VmafxContext *context = extract(in);

    *ret_out = (Headers){ 0 };
    vmafx_context_inject(context, &setter, ret_out);
}

static int all_propagators(void **state)
{
    vmafx_propagators_set(VMAFX_PROPAGATE_TRACECONTEXT | VMAFX_PROPAGATE_BAGGAGE);
    return 0;
}

/* ---- traceparent ---- */

static void traceparent_takes_what_w3c_calls_valid(void **state)
{
    static const struct {
        const char *why, *text, *again;
    } good[] = {
        { "sampled", TRACEPARENT, TRACEPARENT },
        { "not sampled", "00-" IDS "-00", "00-" IDS "-00" },
        { "the random flag is kept", "00-" IDS "-02", "00-" IDS "-02" },
        { "both flags", "00-" IDS "-03", "00-" IDS "-03" },
        { "unknown flags are not passed on", "00-" IDS "-ff", "00-" IDS "-03" },
        { "only unknown flags", "00-" IDS "-fc", "00-" IDS "-00" },
        { "blanks around", " \t" TRACEPARENT "\t ", TRACEPARENT },
        { "a later version is downgraded", "cc-" IDS "-01", TRACEPARENT },
        { "a later version goes on after a dash", "cc-" IDS "-01-what-the-future-will-be-like", TRACEPARENT },
        { "a later version, nothing after the dash", "cc-" IDS "-01-", TRACEPARENT },
        { "the last version", "fe-" IDS "-01", TRACEPARENT },
        { "ids with one bit", "00-00000000000000000000000000000001-8000000000000000-00",
          "00-00000000000000000000000000000001-8000000000000000-00" },
    };

    for (size_t i = 0; i < VMAFX_LEN(good); i++) {
        VmafxSpanContext span;
        char text[VMAFX_TRACEPARENT_SIZE];
        print_message("  %s\n", good[i].why);
        assert_true(vmafx_traceparent_parse(good[i].text, strlen(good[i].text), &span));
        assert_true(span.remote);
        assert_int_equal(span.flags & ~3, 0);
        assert_null(span.state);
        span.flags |= 0xf0; /* nor does anyone else send them */
        assert_true(vmafx_traceparent_format(&span, text));
        assert_string_equal(text, good[i].again);
    }
}

static void traceparent_refuses_what_w3c_calls_invalid(void **state)
{
    static const struct {
        const char *why, *text;
    } bad[] = {
        { "empty", "" },
        { "blanks only", " \t " },
        { "version 00 with text after it", TRACEPARENT "-what-the-future-will-not-be-like" },
        { "version 00 with a dot after it", TRACEPARENT "." },
        { "version 00 with a dash after it", TRACEPARENT "-" },
        { "later version, no dash after it", "cc-" IDS "-01.what-the-future-will-not-be-like" },
        { "version ff", "ff-" IDS "-01" },
        { "version upper case", "CC-" IDS "-01" },
        { "version of one digit", "0-" IDS "-01" },
        { "version of three digits", "000-" IDS "-01" },
        { "version with an illegal character", ".0-" IDS "-01" },
        { "version with another", "0.-" IDS "-01" },
        { "version missing", IDS "-01" },
        { "trace id all zero", "00-00000000000000000000000000000000-" SPAN_ID "-01" },
        { "trace id too long", "00-" TRACE_ID "0-" SPAN_ID "-01" },
        { "trace id too short", "00-0af7651916cd43dd8448eb211c80319-" SPAN_ID "-01" },
        { "trace id with an illegal character", "00-.af7651916cd43dd8448eb211c80319c-" SPAN_ID "-01" },
        { "trace id with another", "00-0af7651916cd43dd8448eb211c80319.-" SPAN_ID "-01" },
        { "trace id upper case", "00-0AF7651916CD43DD8448EB211C80319C-" SPAN_ID "-01" },
        { "span id all zero", "00-" TRACE_ID "-0000000000000000-01" },
        { "span id too long", "00-" TRACE_ID "-" SPAN_ID "0-01" },
        { "span id too short", "00-" TRACE_ID "-b7ad6b716920333-01" },
        { "span id with an illegal character", "00-" TRACE_ID "-.7ad6b7169203331-01" },
        { "span id with another", "00-" TRACE_ID "-b7ad6b716920333.-01" },
        { "span id upper case", "00-" TRACE_ID "-B7AD6B7169203331-01" },
        { "flags with an illegal character", "00-" IDS "-.0" },
        { "flags with another", "00-" IDS "-0." },
        { "flags too long", "00-" IDS "-001" },
        { "flags too short", "00-" IDS "-1" },
        { "flags upper case", "00-" IDS "-0F" },
        { "flags missing", "00-" IDS },
        { "underscore for the first dash", "00_" IDS "-01" },
        { "underscore for the second", "00-" TRACE_ID "_" SPAN_ID "-01" },
        { "underscore for the third", "00-" IDS "_01" },
        { "a blank inside", "00-" TRACE_ID " " SPAN_ID "-01" },
        { "a line end is no blank", TRACEPARENT "\n" },
        { "not ASCII", "00-" IDS "-\xc3\xa9" },
        { "two in one header", TRACEPARENT "," TRACEPARENT },
    };

    for (size_t i = 0; i < VMAFX_LEN(bad); i++) {
        VmafxSpanContext span;
        memset(&span, 0xaa, sizeof span);
        print_message("  %s\n", bad[i].why);
        assert_false(vmafx_traceparent_parse(bad[i].text, strlen(bad[i].text), &span));
        assert_false(vmafx_span_context_valid(&span));
        assert_null(span.state);
    }
}

static void traceparent_reads_no_further_than_its_length(void **state)
{
    VmafxSpanContext span;

    for (size_t len = 0; len <= strlen(TRACEPARENT); len++) {
        char *exact = malloc(len + 1); /* a sanitizer sees a read past it */
        memcpy(exact, TRACEPARENT, len);
        char *fitted = realloc(exact, len ? len : 1);
        assert_int_equal(vmafx_traceparent_parse(fitted, len, &span), len == strlen(TRACEPARENT));
        free(fitted);
    }
    assert_true(vmafx_traceparent_parse(TRACEPARENT "garbage", strlen(TRACEPARENT), &span));
    assert_false(vmafx_traceparent_parse("00-" TRACE_ID "\0" SPAN_ID "-01", strlen(TRACEPARENT), &span));
    assert_false(vmafx_traceparent_parse(NULL, 55, &span));
    assert_true(vmafx_traceparent_parse(TRACEPARENT, strlen(TRACEPARENT), NULL));
}

static void an_invalid_span_context_formats_to_nothing(void **state)
{
    VmafxSpanContext no_ids = { .flags = 1 }, no_span = { .trace_id = { 1 } }, no_trace = { .span_id = { 1 } };
    char text[VMAFX_TRACEPARENT_SIZE] = "x";

    assert_false(vmafx_traceparent_format(&no_ids, text));
    assert_string_equal(text, "");
    assert_false(vmafx_traceparent_format(&no_span, text));
    assert_false(vmafx_traceparent_format(&no_trace, text));
    assert_false(vmafx_traceparent_format(NULL, text));
    assert_false(vmafx_traceparent_format(&no_ids, NULL));
}

/* ---- headers ---- */

static void extract_and_inject_agree_on_the_headers(void **state)
{
    static const struct {
        const char *why;
        Headers in;
        const char *traceparent, *tracestate; /* NULL: not sent */
    } cases[] = {
        { "nothing comes, nothing goes", { { { NULL, NULL } } }, NULL, NULL },
        { "traceparent alone", { { { "traceparent", TRACEPARENT } } }, TRACEPARENT, NULL },
        { "name in mixed case", { { { "TraceParent", TRACEPARENT } } }, TRACEPARENT, NULL },
        { "name in upper case", { { { "TRACEPARENT", TRACEPARENT } } }, TRACEPARENT, NULL },
        { "another name", { { { "trace-parent", TRACEPARENT } } }, NULL, NULL },
        { "twice the same", { { { "traceparent", TRACEPARENT }, { "traceparent", TRACEPARENT } } }, NULL, NULL },
        { "twice, the first malformed", { { { "traceparent", "x" }, { "traceparent", TRACEPARENT } } }, NULL, NULL },
        { "twice, the second malformed", { { { "traceparent", TRACEPARENT }, { "traceparent", "x" } } }, NULL, NULL },
        { "blanks around the value", { { { "traceparent", " " TRACEPARENT "\t" } } }, TRACEPARENT, NULL },
        { "tracestate without traceparent", { { { "tracestate", "foo=1" } } }, NULL, NULL },
        { "tracestate with a malformed traceparent",
          { { { "traceparent", "00-x" }, { "tracestate", "foo=1" } } },
          NULL,
          NULL },
        { "both", { { { "traceparent", TRACEPARENT }, { "tracestate", "foo=1,bar=2" } } }, TRACEPARENT, "foo=1,bar=2" },
        { "tracestate name in mixed case",
          { { { "traceparent", TRACEPARENT }, { "TraceState", "foo=1" } } },
          TRACEPARENT,
          "foo=1" },
        { "an empty tracestate", { { { "traceparent", TRACEPARENT }, { "tracestate", "" } } }, TRACEPARENT, NULL },
        { "several tracestates, in order",
          { { { "tracestate", "foo=1,bar=2" },
              { "traceparent", TRACEPARENT },
              { "tracestate", "rojo=1,congo=2" },
              { "tracestate", "baz=3" } } },
          TRACEPARENT,
          "foo=1,bar=2,rojo=1,congo=2,baz=3" },
        { "an empty one among them",
          { { { "traceparent", TRACEPARENT },
              { "tracestate", "foo=1" },
              { "tracestate", "" },
              { "tracestate", "bar=2" } } },
          TRACEPARENT,
          "foo=1,bar=2" },
        { "one of several malformed spoils all",
          { { { "traceparent", TRACEPARENT }, { "tracestate", "foo=1" }, { "tracestate", "FOO=1" } } },
          TRACEPARENT,
          NULL },
        { "a member does not go on in the next header",
          { { { "traceparent", TRACEPARENT }, { "tracestate", "foo=" }, { "tracestate", "1" } } },
          TRACEPARENT,
          NULL },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        Headers out;
        print_message("  %s\n", cases[i].why);
        in_and_out(&cases[i].in, &out);
        if (cases[i].traceparent)
            assert_string_equal(header(&out, "traceparent"), cases[i].traceparent);
        else
            assert_null(header(&out, "traceparent"));
        if (cases[i].tracestate)
            assert_string_equal(header(&out, "tracestate"), cases[i].tracestate);
        else
            assert_null(header(&out, "tracestate"));
    }
}

static void an_extracted_span_is_remote(void **state)
{
    Headers in = { { { "traceparent", TRACEPARENT }, { "tracestate", "foo=1" } } };
    VMAFX_AUTO(vmafx_context_unref) VmafxContext *context = extract(&in);
    VmafxSpanContext span;

    assert_true(vmafx_context_span(context, &span));
    assert_true(span.remote);
    assert_int_equal(span.flags, 1);
    assert_string_equal(vmafx_tracestate_text(span.state), "foo=1");
}

static void bad_headers_leave_the_context_as_it_was(void **state)
{
    Headers good = { { { "traceparent", TRACEPARENT }, { "baggage", "a=1" } } };
    Headers bad = { { { "traceparent", "00-0-0-0" }, { "tracestate", "b=1" }, { "baggage", "no equals sign" } } };
    VMAFX_AUTO(vmafx_context_unref) VmafxContext *before = extract(&good);
    VMAFX_AUTO(vmafx_context_unref) VmafxContext *after = vmafx_context_extract(before, &getter, &bad);

    assert_ptr_equal(after, before);
}

static void good_headers_replace_what_the_context_had(void **state)
{
    Headers old = { { { "traceparent", TRACEPARENT }, { "tracestate", "x=1" }, { "baggage", "a=1,b=2" } } };
    Headers new = { { { "traceparent", "00-" TRACE_ID "-0000000000000001-00" }, { "baggage", "c=3" } } };
    VMAFX_AUTO(vmafx_context_unref) VmafxContext *before = extract(&old);
    VMAFX_AUTO(vmafx_context_unref) VmafxContext *after = vmafx_context_extract(before, &getter, &new);
    Headers out = { 0 };

    vmafx_context_inject(after, &setter, &out);
    assert_string_equal(header(&out, "traceparent"), "00-" TRACE_ID "-0000000000000001-00");
    assert_null(header(&out, "tracestate"));
    assert_string_equal(header(&out, "baggage"), "c=3");
}

static void several_baggage_headers_are_joined(void **state)
{
    Headers in = { { { "baggage", "a=1;p" }, { "Baggage", "" }, { "baggage", "b=2, a=3" } } }, out;

    in_and_out(&in, &out);
    assert_string_equal(header(&out, "baggage"), "a=3,b=2");
}

static void joined_headers_are_bounded(void **state)
{
    static char blanks[VMAFX_TRACESTATE_LOOK_MAX + 1], half[VMAFX_BAGGAGE_BYTES_MAX / 2 + 1];
    Headers in, out;

    /* "foo=1", a comma, and blanks up to the limit; then one more */
    memset(blanks, ' ', VMAFX_TRACESTATE_LOOK_MAX - 6);
    in = (Headers){ { { "traceparent", TRACEPARENT }, { "tracestate", "foo=1" }, { "tracestate", blanks } } };
    in_and_out(&in, &out);
    assert_string_equal(header(&out, "tracestate"), "foo=1");
    strcat(blanks, " ");
    in_and_out(&in, &out);
    assert_string_equal(header(&out, "traceparent"), TRACEPARENT);
    assert_null(header(&out, "tracestate"));

    memset(half, 'v', sizeof half - 1);
    memcpy(half, "k=", 2);
    in = (Headers){ { { "baggage", "a=1" }, { "baggage", half }, { "baggage", half }, { "baggage", "z=1" } } };
    in_and_out(&in, &out);
    assert_int_equal(strlen(header(&out, "baggage")), strlen("a=1,") + strlen(half));
    assert_int_equal(strlen(half), VMAFX_BAGGAGE_BYTES_MAX / 2);
}

static void a_long_tracestate_is_sent_shorter_but_whole(void **state)
{
    char list[32 * 300] = "", member[300];
    Headers in = { { { "traceparent", TRACEPARENT }, { "tracestate", list } } }, out;

    for (int i = 0; i < 32; i++) {
        snprintf(member, sizeof member, "%sk%02d=%0*d", i ? "," : "", i, i == 5 ? 100 : 256, 7);
        strcat(list, member);
    }
    in_and_out(&in, &out);
    const char *sent = header(&out, "tracestate");
    assert_non_null(sent);
    assert_in_range(strlen(sent), 512, VMAFX_TRACESTATE_EMIT_MAX);
    assert_memory_equal(sent, list, strlen(sent));
    assert_int_equal(list[strlen(sent)], ',');
}

static void propagators_can_be_switched_off(void **state)
{
    Headers in = { { { "traceparent", TRACEPARENT }, { "baggage", "a=1" } } }, out;
    const char *fields[VMAFX_PROPAGATE_FIELDS_MAX];

    assert_int_equal(vmafx_propagation_fields(fields), 3);
    assert_string_equal(fields[0], "traceparent");
    assert_string_equal(fields[1], "tracestate");
    assert_string_equal(fields[2], "baggage");

    vmafx_propagators_set(VMAFX_PROPAGATE_BAGGAGE);
    in_and_out(&in, &out);
    assert_null(header(&out, "traceparent"));
    assert_string_equal(header(&out, "baggage"), "a=1");
    assert_int_equal(vmafx_propagation_fields(fields), 1);

    vmafx_propagators_set(VMAFX_PROPAGATE_TRACECONTEXT);
    in_and_out(&in, &out);
    assert_string_equal(header(&out, "traceparent"), TRACEPARENT);
    assert_null(header(&out, "baggage"));

    vmafx_propagators_set(0);
    assert_null(extract(&in));
    assert_int_equal(vmafx_propagation_fields(fields), 0);
    assert_int_equal(vmafx_propagation_fields(NULL), 0);
}

static void carriers_without_functions_do_nothing(void **state)
{
    static const VmafxCarrierGetter no_getter;
    static const VmafxCarrierSetter no_setter;

    assert_null(vmafx_context_extract(NULL, NULL, NULL));
    assert_null(vmafx_context_extract(NULL, &no_getter, NULL));
    vmafx_context_inject(NULL, NULL, NULL);
    vmafx_context_inject(NULL, &no_setter, NULL);
    vmafx_context_inject(NULL, &setter, NULL); /* the root context has nothing to set */
}

static void refused_headers_are_counted(void **state)
{
    Headers in = { { { "traceparent", "x" }, { "traceparent", "y" } } };
    uint64_t before = vmafx_context_drops(VMAFX_CONTEXT_DROP_TRACEPARENT);

    assert_null(extract(&in));
    assert_int_equal(vmafx_context_drops(VMAFX_CONTEXT_DROP_TRACEPARENT) - before, 2);
    assert_int_equal(vmafx_context_drops(VMAFX_CONTEXT_DROP_COUNT), 0);
    assert_int_equal(vmafx_context_drops((VmafxContextDrop)-1), 0);
}

/* ---- the environment ---- */

static void a_child_finds_its_context_in_the_environment(void **state)
{
    char *const parent[] = { "PATH=/bin", "TRACEPARENTS=no", "HOME=/", NULL };
    Headers in = { { { "traceparent", TRACEPARENT }, { "tracestate", "foo=1" }, { "baggage", "a=b%20c;p=1" } } }, out;
    VMAFX_AUTO(vmafx_context_unref) VmafxContext *context = extract(&in);
    VMAFX_AUTO(vmafx_environment_free) char **child = vmafx_context_to_environment(context, parent);

    static const char *const want[] = { "PATH=/bin",        "TRACEPARENTS=no",    "HOME=/", "TRACEPARENT=" TRACEPARENT,
                                        "TRACESTATE=foo=1", "BAGGAGE=a=b%20c;p=1" };
    for (size_t i = 0; i < VMAFX_LEN(want); i++)
        assert_string_equal(child[i], want[i]);
    assert_null(child[VMAFX_LEN(want)]);

    VMAFX_AUTO(vmafx_context_unref) VmafxContext *there = vmafx_context_from_environment(child);
    out = (Headers){ 0 };
    vmafx_context_inject(there, &setter, &out);
    assert_string_equal(header(&out, "traceparent"), TRACEPARENT);
    assert_string_equal(header(&out, "tracestate"), "foo=1");
    assert_string_equal(header(&out, "baggage"), "a=b%20c;p=1");
}

static void an_old_context_leaves_the_environment(void **state)
{
    char *const stale[] = { "TRACEPARENT=old",      "A=1", "TRACESTATE=old", "BAGGAGE=old", "TRACEPARENT=older",
                            "traceparent=not ours", NULL };
    VMAFX_AUTO(vmafx_environment_free) char **root = vmafx_context_to_environment(NULL, stale);

    assert_string_equal(root[0], "A=1");
    assert_string_equal(root[1], "traceparent=not ours");
    assert_null(root[2]);

    vmafx_propagators_set(VMAFX_PROPAGATE_BAGGAGE);
    VMAFX_AUTO(vmafx_environment_free) char **spans_untouched = vmafx_context_to_environment(NULL, stale);
    assert_string_equal(spans_untouched[0], "TRACEPARENT=old");
    assert_string_equal(spans_untouched[2], "TRACESTATE=old");
    assert_string_equal(spans_untouched[3], "TRACEPARENT=older");
}

static void environments_that_hold_nothing_give_the_root(void **state)
{
    char *const lower[] = { "traceparent=" TRACEPARENT, "Traceparent=" TRACEPARENT, NULL };
    char *const prefix[] = { "TRACEPARENT", "TRACEPARENT2=" TRACEPARENT, "=", "", NULL };
    char *const none[] = { NULL };
    VMAFX_AUTO(vmafx_environment_free) char **empty = vmafx_context_to_environment(NULL, NULL);
    char **gone = NULL;

    assert_null(vmafx_context_from_environment(NULL));
    assert_null(vmafx_context_from_environment(none));
    assert_null(vmafx_context_from_environment(lower));
    assert_null(vmafx_context_from_environment(prefix));
    assert_non_null(empty);
    assert_null(empty[0]);
    vmafx_environment_free(NULL);
    vmafx_environment_free(&gone);
}

static void of_several_variables_the_first_counts(void **state)
{
    char *const two[] = { "TRACEPARENT=" TRACEPARENT, "TRACEPARENT=x", NULL };
    VMAFX_AUTO(vmafx_context_unref) VmafxContext *context = vmafx_context_from_environment(two);

    assert_true(vmafx_context_span(context, NULL));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, all_propagators, all_propagators)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(traceparent_takes_what_w3c_calls_valid),       TEST(traceparent_refuses_what_w3c_calls_invalid),
        TEST(traceparent_reads_no_further_than_its_length), TEST(an_invalid_span_context_formats_to_nothing),
        TEST(extract_and_inject_agree_on_the_headers),      TEST(an_extracted_span_is_remote),
        TEST(bad_headers_leave_the_context_as_it_was),      TEST(good_headers_replace_what_the_context_had),
        TEST(several_baggage_headers_are_joined),           TEST(joined_headers_are_bounded),
        TEST(a_long_tracestate_is_sent_shorter_but_whole),  TEST(propagators_can_be_switched_off),
        TEST(carriers_without_functions_do_nothing),        TEST(refused_headers_are_counted),
        TEST(a_child_finds_its_context_in_the_environment), TEST(an_old_context_leaves_the_environment),
        TEST(environments_that_hold_nothing_give_the_root), TEST(of_several_variables_the_first_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
