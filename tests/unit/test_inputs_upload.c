/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Uploads as inputs, from a source that misbehaves. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "inputs/inputs.h"

#define SIZE 1000

/** What one call of the source does: brings that many bytes at most, then says that. */
typedef struct Step {
    size_t bytes;
    VmafxErr err;
    int64_t total; /* as it says; 0: what is true */
} Step;

typedef struct Source {
    char data[SIZE], uri[VMAFX_UPLOAD_URI_MAX];
    const Step *steps; /* the last one over and over */
    size_t n_steps, asked;
    int64_t offsets[8];
    atomic_bool stop;
    bool stops;  /* itself, when it is asked */
    char damage; /* added to the first byte */
} Source;

static VmafxErr fetch(void *ctx, const char *uri, int64_t offset, const VmafxInputWait *wait,
                      VmafxErr (*write)(void *to, int64_t total, const void *data, size_t len, VmafxErrInfo *reterr),
                      void *to, VmafxErrInfo *reterr)
{
    Source *s = ctx;
    const Step *step = &s->steps[VMAFX_MIN(s->asked, s->n_steps - 1)];
    size_t n = VMAFX_MIN(step->bytes, SIZE - (size_t)offset);

    assert_string_equal(uri, s->uri);
    assert_non_null(wait->stop);
    assert_true(s->asked < VMAFX_LEN(s->offsets));
    s->offsets[s->asked++] = offset;
    if (s->stops)
        atomic_store(&s->stop, true);
    for (size_t i = 0; i < n; i += 100) {
        char piece[100];

        memcpy(piece, s->data + offset + i, sizeof piece);
        piece[0] = (char)(piece[0] + (offset + (int64_t)i == 0 ? s->damage : 0));
        VmafxErr err = write(to, step->total ? step->total : SIZE, piece, sizeof piece, reterr);
        if (err)
            return err;
    }
    return step->err ? vmafx_fail(reterr, step->err, "the source says so") : VMAFX_OK;
}

typedef struct Place {
    char folder[64];
    VmafxInputs *inputs;
    Source source;
} Place;

static int place_init(void **state)
{
    Place *p = calloc(1, sizeof *p);
    char digest[VMAFX_SHA256_TEXT];

    snprintf(p->folder, sizeof p->folder, "/tmp/test_upload_XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    for (int i = 0; i < SIZE; i++)
        p->source.data[i] = (char)(i * 7);
    vmafx_sha256_hex(p->source.data, SIZE, digest);
    snprintf(p->source.uri, sizeof p->source.uri, "upload:%s", digest);
    *state = p;
    return 0;
}

static int place_done(void **state)
{
    Place *p = *state;
    char command[128];

    vmafx_inputs_close(&p->inputs);
    snprintf(command, sizeof command, "rm -r '%s'", p->folder);
    assert_int_equal(system(command), 0);
    free(p);
    return 0;
}

static void begin(Place *p, bool cached, int64_t bytes_max, const Step *steps, size_t n_steps)
{
    const VmafxInputsConfig config = { .cache = cached ? p->folder : NULL, .url_bytes_max = bytes_max };

    vmafx_inputs_close(&p->inputs);
    assert_int_equal(vmafx_inputs_open(&config, &p->inputs, NULL), VMAFX_OK);
    p->source.steps = steps;
    p->source.n_steps = n_steps;
    p->source.asked = 0;
    atomic_store(&p->source.stop, false);
}

static VmafxErr get(Place *p, VmafxInput *ret, VmafxErrInfo *info)
{
    const VmafxInputSource source = { fetch, &p->source };

    return vmafx_inputs_get(p->inputs, p->source.uri, &(VmafxInputWait){ .stop = &p->source.stop, .source = &source },
                            ret, info);
}

static void check_is_all(Place *p, VmafxInput *input)
{
    char data[SIZE + 1];

    assert_int_equal(input->size, SIZE);
    assert_string_equal(input->sha256, p->source.uri + 7);
    assert_true(input->fetched);
    assert_int_equal(read(input->fd, data, sizeof data), SIZE);
    assert_memory_equal(data, p->source.data, SIZE);
    vmafx_input_done(input);
}

/* ---- The tests ---- */

static void a_broken_transfer_goes_on_where_it_broke(void **state)
{
    static const Step steps[] = { { 300, VMAFX_ERR_UNREACHABLE, 0 },
                                  { 0, VMAFX_ERR_BUSY, 0 },
                                  { 400, VMAFX_OK, 0 }, /* ended early, without saying so */
                                  { SIZE, VMAFX_OK, 0 } };
    Place *p = *state;

    for (int cached = 0; cached < 2; cached++) {
        VmafxInput input;

        begin(p, cached, 0, steps, VMAFX_LEN(steps));
        assert_int_equal(get(p, &input, NULL), VMAFX_OK);
        assert_int_equal(p->source.asked, 4);
        assert_int_equal(p->source.offsets[1], 300);
        assert_int_equal(p->source.offsets[2], 300);
        assert_int_equal(p->source.offsets[3], 700);
        assert_int_equal(input.fetched_bytes, SIZE);
        check_is_all(p, &input);
    }
}

static void what_is_kept_needs_no_source(void **state)
{
    static const Step whole[] = { { SIZE, VMAFX_OK, 0 } };
    Place *p = *state;
    VmafxInput input;

    begin(p, true, 0, whole, 1);
    assert_int_equal(get(p, &input, NULL), VMAFX_OK);
    assert_false(input.cached);
    check_is_all(p, &input);
    begin(p, true, 0, whole, 1); /* another process of the same folder */
    assert_int_equal(get(p, &input, NULL), VMAFX_OK);
    assert_true(input.cached);
    assert_int_equal(p->source.asked, 0);
    check_is_all(p, &input);
}

static void what_is_not_what_its_digest_says_is_dropped(void **state)
{
    static const Step whole[] = { { SIZE, VMAFX_OK, 0 } };
    Place *p = *state;
    VmafxInput input;

    for (int cached = 0; cached < 2; cached++) {
        begin(p, cached, 0, whole, 1);
        p->source.damage = 1;
        assert_int_equal(get(p, &input, NULL), VMAFX_ERR_TRUNCATED);
        assert_true(input.may_pass); /* damaged on its way: the next attempt may do better */
        assert_int_equal(input.fd, -1);
        p->source.damage = 0;
        assert_int_equal(get(p, &input, NULL), VMAFX_OK);
        check_is_all(p, &input);
    }
}

static void an_end_that_does_not_pass_is_the_end(void **state)
{
    static const struct {
        const char *why;
        Step step;
        int64_t bytes_max;
        VmafxErr err;
        bool stops;
    } cases[] = {
        { "not ours", { 0, VMAFX_ERR_FORBIDDEN, 0 }, 0, VMAFX_ERR_FORBIDDEN, false },
        { "gone", { 0, VMAFX_ERR_NOT_FOUND, 0 }, 0, VMAFX_ERR_NOT_FOUND, false },
        { "gone in the middle", { 500, VMAFX_ERR_NOT_FOUND, 0 }, 0, VMAFX_ERR_NOT_FOUND, false },
        { "larger than what is fetched here", { SIZE, VMAFX_OK, 0 }, SIZE - 1, VMAFX_ERR_LIMIT, false },
        { "longer than it says", { SIZE, VMAFX_OK, 900 }, 0, VMAFX_ERR_TRUNCATED, false },
        { "a size that is none", { SIZE, VMAFX_OK, -5 }, 0, VMAFX_ERR_TRUNCATED, false },
        { "stopped while it waits for another attempt", { 100, VMAFX_ERR_IO, 0 }, 0, VMAFX_ERR_CANCELLED, true },
    };
    Place *p = *state;

    for (size_t i = 0; i < VMAFX_LEN(cases); i++)
        for (int cached = 0; cached < 2; cached++) {
            VmafxErrInfo info = { "" };
            VmafxInput input;

            p->source.stops = cases[i].stops;
            begin(p, cached, cases[i].bytes_max, &cases[i].step, 1);
            VmafxErr err = get(p, &input, &info);
            if (err != cases[i].err || p->source.asked != 1 || input.fd != -1 || input.may_pass || input.resource ||
                !*info.message)
                fail_msg("%s: %s '%s', asked %zu times", cases[i].why, vmafx_err_name(err), info.message,
                         p->source.asked);
        }
}

static void without_a_source_there_are_no_uploads(void **state)
{
    Place *p = *state;
    VmafxErrInfo info = { "" };
    VmafxInput input;

    begin(p, false, 0, &(Step){ 0 }, 1);
    assert_int_equal(vmafx_inputs_get(p->inputs, p->source.uri, NULL, &input, &info), VMAFX_ERR_INPUT);
    assert_non_null(strstr(info.message, "fleet"));
    assert_int_equal(vmafx_inputs_get(p->inputs, "upload:0123", NULL, &input, &info), VMAFX_ERR_INPUT);
    assert_int_equal(input.fd, -1);
}

#define PLACE_TEST(f) cmocka_unit_test_setup_teardown(f, place_init, place_done)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACE_TEST(a_broken_transfer_goes_on_where_it_broke),    PLACE_TEST(what_is_kept_needs_no_source),
        PLACE_TEST(what_is_not_what_its_digest_says_is_dropped), PLACE_TEST(an_end_that_does_not_pass_is_the_end),
        PLACE_TEST(without_a_source_there_are_no_uploads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
