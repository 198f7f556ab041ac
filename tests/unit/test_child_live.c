/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Live frames out of a scorer child's pipe: what is taken, and that everything else is not. */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/columns.h"
#include "score/child_reader.h"

typedef Vmafx__Scorer__V1__ChildMessage Message;

enum { COLUMNS = 2, ROWS = 3, ROWS_ROOM = VMAFX_CHILD_LIVE_ROWS + 1, COLUMNS_ROOM = VMAFX_COLUMNS_MAX + 1 };

typedef struct Seen {
    int series, runs;
    int64_t rows;
} Seen;

/* Names and frames that are as they must be, for a case to spoil. They point into each other. */
typedef struct Talk {
    VmafxChildReader *reader;
    Seen seen;
    VmafxErrInfo info;
    char *names[COLUMNS_ROOM];
    Vmafx__V1__SeriesKind kinds[COLUMNS_ROOM];
    Vmafx__V1__SeriesNames series;
    double values[COLUMNS][ROWS_ROOM];
    Vmafx__V1__Column column[COLUMNS], *columns[COLUMNS + 1];
    Vmafx__V1__Frames frames;
} Talk;

static char *say(const char *text)
{
    return (char *)(uintptr_t)text;
}

static void on_series(void *ctx, const Vmafx__V1__SeriesNames *names)
{
    ((Seen *)ctx)->series++;
}

static void on_frames(void *ctx, const Vmafx__V1__Frames *frames)
{
    Seen *seen = ctx;

    assert_int_equal(frames->first, seen->rows);
    seen->rows += (int64_t)frames->columns[0]->n_values;
    seen->runs++;
}

static VmafxErr feed(Talk *t, const Message *message)
{
    size_t len = protobuf_c_message_get_packed_size(&message->base);
    VMAFX_AUTO(vmafx_free_p) uint8_t *bytes = malloc(4 + len);

    for (size_t i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(len >> 8 * i);
    protobuf_c_message_pack(&message->base, bytes + 4);
    return vmafx_child_reader_feed(t->reader, bytes, 4 + len, 2000, &t->info);
}

static VmafxErr feed_series(Talk *t)
{
    Message message = VMAFX__SCORER__V1__CHILD_MESSAGE__INIT;

    message.kind_case = VMAFX__SCORER__V1__CHILD_MESSAGE__KIND_LIVE_SERIES;
    message.live_series = &t->series;
    return feed(t, &message);
}

static VmafxErr feed_frames(Talk *t)
{
    Message message = VMAFX__SCORER__V1__CHILD_MESSAGE__INIT;

    message.kind_case = VMAFX__SCORER__V1__CHILD_MESSAGE__KIND_LIVE_FRAMES;
    message.live_frames = &t->frames;
    return feed(t, &message);
}

static VmafxErr feed_begun(Talk *t)
{
    Message message = VMAFX__SCORER__V1__CHILD_MESSAGE__INIT;
    Vmafx__Scorer__V1__Begun begun = VMAFX__SCORER__V1__BEGUN__INIT;

    message.kind_case = VMAFX__SCORER__V1__CHILD_MESSAGE__KIND_BEGUN;
    message.begun = &begun;
    return feed(t, &message);
}

static void open_talk(Talk *t, bool live)
{
    memset(t, 0, sizeof *t);
    const VmafxChildReaderSettings settings = {
        .frames_live = live,
        .events = { .live_series = on_series, .live_frames = on_frames, .ctx = &t->seen },
    };

    assert_int_equal(vmafx_child_reader_new(&settings, &t->reader), VMAFX_OK);
    for (size_t i = 0; i < COLUMNS_ROOM; i++)
        t->names[i] = say(i ? "integer_adm2" : "vmaf");
    t->kinds[0] = VMAFX__V1__SERIES_KIND__SERIES_KIND_SCORE;
    t->series = (Vmafx__V1__SeriesNames)VMAFX__V1__SERIES_NAMES__INIT;
    t->series.names = t->names;
    t->series.kinds = t->kinds;
    t->series.n_names = t->series.n_kinds = COLUMNS;
    t->frames = (Vmafx__V1__Frames)VMAFX__V1__FRAMES__INIT;
    for (size_t i = 0; i < COLUMNS; i++) {
        t->column[i] = (Vmafx__V1__Column)VMAFX__V1__COLUMN__INIT;
        t->column[i].values = t->values[i];
        t->column[i].n_values = ROWS;
        t->columns[i] = &t->column[i];
    }
    t->columns[COLUMNS] = &t->column[0];
    t->frames.columns = t->columns;
    t->frames.n_columns = COLUMNS;
    assert_int_equal(feed_begun(t), VMAFX_OK);
}

/* The rest of a conversation whose result has `frames` frames and these series. */
static VmafxErr feed_end(Talk *t, int64_t frames, size_t n_series, const char *first, bool partial)
{
    static const double zeros[16];
    const double *columns[] = { zeros, zeros, zeros };
    VMAFX_AUTO(vmafx_free_p) uint8_t *packed = NULL;
    size_t len;
    Message message = VMAFX__SCORER__V1__CHILD_MESSAGE__INIT;
    Vmafx__Scorer__V1__FrameBlock block = VMAFX__SCORER__V1__FRAME_BLOCK__INIT;
    Vmafx__Scorer__V1__ChildResult result = VMAFX__SCORER__V1__CHILD_RESULT__INIT;
    Vmafx__Scorer__V1__ChildFailure failure = VMAFX__SCORER__V1__CHILD_FAILURE__INIT;
    Vmafx__V1__Result summary = VMAFX__V1__RESULT__INIT;
    Vmafx__V1__SeriesSummary series[3], *series_list[3];
    Vmafx__V1__InputFacts input = VMAFX__V1__INPUT_FACTS__INIT, *inputs[] = { &input, &input };
    Vmafx__V1__ModelFacts model = VMAFX__V1__MODEL_FACTS__INIT, *models[] = { &model };

    assert_int_equal(vmafx_columns_pack(columns, n_series, (size_t)frames, &packed, &len), VMAFX_OK);
    block.data = (ProtobufCBinaryData){ len, packed };
    message.kind_case = VMAFX__SCORER__V1__CHILD_MESSAGE__KIND_FRAMES;
    message.frames = &block;
    assert_int_equal(feed(t, &message), VMAFX_OK);
    for (size_t i = 0; i < 3; i++) {
        series[i] = (Vmafx__V1__SeriesSummary)VMAFX__V1__SERIES_SUMMARY__INIT;
        series[i].name = i ? say("integer_adm2") : say(first);
        series[i].kind = i ? VMAFX__V1__SERIES_KIND__SERIES_KIND_FEATURE : VMAFX__V1__SERIES_KIND__SERIES_KIND_SCORE;
        series_list[i] = &series[i];
    }
    summary.series = series_list;
    summary.n_series = n_series;
    summary.inputs = inputs;
    summary.n_inputs = 2;
    summary.models = models;
    summary.n_models = 1;
    summary.frames = frames;
    summary.width = summary.height = 64;
    summary.bit_depth = 8;
    summary.subsample = 1;
    summary.complete = !partial;
    result.summary = failure.partial = &summary;
    failure.failure_class = VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_INPUT;
    failure.message = say("cut");
    message = (Message)VMAFX__SCORER__V1__CHILD_MESSAGE__INIT;
    message.kind_case =
        partial ? VMAFX__SCORER__V1__CHILD_MESSAGE__KIND_FAILURE : VMAFX__SCORER__V1__CHILD_MESSAGE__KIND_RESULT;
    if (partial)
        message.failure = &failure;
    else
        message.result = &result;
    return feed(t, &message);
}

static void names_come_once_and_frames_follow_each_other(void **state)
{
    for (int partial = 0; partial < 2; partial++) {
        static Talk t;

        open_talk(&t, true);
        assert_int_equal(feed_series(&t), VMAFX_OK);
        t.values[1][0] = NAN; /* absent */
        assert_int_equal(feed_frames(&t), VMAFX_OK);
        t.frames.first = ROWS;
        assert_int_equal(feed_frames(&t), VMAFX_OK);
        assert_int_equal(t.seen.series, 1);
        assert_int_equal(t.seen.runs, 2);
        assert_int_equal(feed_end(&t, 2 * ROWS, COLUMNS, "vmaf", partial), VMAFX_OK);
        assert_non_null(vmafx_child_reader_end(t.reader));
        vmafx_child_reader_free(&t.reader);
    }
}

/* A name is missing, say; spoil returns what the last message led to. */
static VmafxErr no_names(Talk *t)
{
    return feed_frames(t);
}

static VmafxErr names_twice(Talk *t)
{
    assert_int_equal(feed_series(t), VMAFX_OK);
    return feed_series(t);
}

static VmafxErr no_series_at_all(Talk *t)
{
    t->series.n_names = t->series.n_kinds = 0;
    return feed_series(t);
}

static VmafxErr an_empty_name(Talk *t)
{
    t->names[1] = say("");
    return feed_series(t);
}

static VmafxErr a_name_with_a_newline(Talk *t)
{
    t->names[1] = say("vmaf\nscore");
    return feed_series(t);
}

static VmafxErr a_name_of_256_bytes(Talk *t)
{
    static char name[257];

    memset(name, 'a', 256);
    t->names[0] = name;
    return feed_series(t);
}

static VmafxErr fewer_kinds(Talk *t)
{
    t->series.n_kinds--;
    return feed_series(t);
}

static VmafxErr a_kind_that_is_none(Talk *t)
{
    t->kinds[1] = (Vmafx__V1__SeriesKind)3;
    return feed_series(t);
}

static VmafxErr too_many_series(Talk *t)
{
    t->series.n_names = t->series.n_kinds = COLUMNS_ROOM;
    return feed_series(t);
}

static VmafxErr a_gap(Talk *t)
{
    t->frames.first = 1;
    return feed_series(t) ? VMAFX_OK : feed_frames(t);
}

static VmafxErr a_negative_beginning(Talk *t)
{
    t->frames.first = INT64_MIN;
    return feed_series(t) ? VMAFX_OK : feed_frames(t);
}

static VmafxErr the_same_frames_again(Talk *t)
{
    return feed_series(t) || feed_frames(t) ? VMAFX_OK : feed_frames(t);
}

static VmafxErr a_column_too_few(Talk *t)
{
    t->frames.n_columns--;
    return feed_series(t) ? VMAFX_OK : feed_frames(t);
}

static VmafxErr a_column_too_many(Talk *t)
{
    t->frames.n_columns++;
    return feed_series(t) ? VMAFX_OK : feed_frames(t);
}

static VmafxErr no_columns(Talk *t)
{
    t->frames.n_columns = 0;
    return feed_series(t) ? VMAFX_OK : feed_frames(t);
}

static VmafxErr no_rows(Talk *t)
{
    t->column[0].n_values = t->column[1].n_values = 0;
    return feed_series(t) ? VMAFX_OK : feed_frames(t);
}

static VmafxErr columns_of_different_length(Talk *t)
{
    t->column[1].n_values--;
    return feed_series(t) ? VMAFX_OK : feed_frames(t);
}

static VmafxErr too_many_rows(Talk *t)
{
    t->column[0].n_values = t->column[1].n_values = ROWS_ROOM;
    return feed_series(t) ? VMAFX_OK : feed_frames(t);
}

static VmafxErr infinity(Talk *t)
{
    t->values[1][ROWS - 1] = -INFINITY;
    return feed_series(t) ? VMAFX_OK : feed_frames(t);
}

static VmafxErr frames_missing_at_the_end(Talk *t)
{
    return feed_series(t) || feed_frames(t) ? VMAFX_OK : feed_end(t, ROWS + 1, COLUMNS, "vmaf", false);
}

static VmafxErr frames_missing_at_a_cut(Talk *t)
{
    return feed_series(t) || feed_frames(t) ? VMAFX_OK : feed_end(t, ROWS + 1, COLUMNS, "vmaf", true);
}

static VmafxErr nothing_came(Talk *t)
{
    return feed_end(t, ROWS, COLUMNS, "vmaf", false);
}

static VmafxErr another_number_of_series(Talk *t)
{
    return feed_series(t) || feed_frames(t) ? VMAFX_OK : feed_end(t, ROWS, COLUMNS + 1, "vmaf", false);
}

static VmafxErr another_name(Talk *t)
{
    return feed_series(t) || feed_frames(t) ? VMAFX_OK : feed_end(t, ROWS, COLUMNS, "vmaf_neg", false);
}

static void what_is_not_as_it_must_be_is_refused(void **state)
{
#define CASE(f)                                                                                                        \
    {                                                                                                                  \
#f, f                                                                                                          \
    }
    static const struct {
        const char *why;
        VmafxErr (*spoil)(Talk *t);
    } bad[] = { CASE(no_names),
                CASE(names_twice),
                CASE(no_series_at_all),
                CASE(an_empty_name),
                CASE(a_name_with_a_newline),
                CASE(a_name_of_256_bytes),
                CASE(fewer_kinds),
                CASE(a_kind_that_is_none),
                CASE(too_many_series),
                CASE(a_gap),
                CASE(a_negative_beginning),
                CASE(the_same_frames_again),
                CASE(a_column_too_few),
                CASE(a_column_too_many),
                CASE(no_columns),
                CASE(no_rows),
                CASE(columns_of_different_length),
                CASE(too_many_rows),
                CASE(infinity),
                CASE(frames_missing_at_the_end),
                CASE(frames_missing_at_a_cut),
                CASE(nothing_came),
                CASE(another_number_of_series),
                CASE(another_name) };

    for (size_t i = 0; i < VMAFX_LEN(bad); i++) {
        static Talk t;

        open_talk(&t, true);
        VmafxErr err = bad[i].spoil(&t);
        if (err != VMAFX_ERR_SYNTAX || !t.info.message[0] || vmafx_child_reader_end(t.reader))
            fail_msg("%s: %s", bad[i].why, vmafx_err_name(err));
        vmafx_child_reader_free(&t.reader);
    }
}

static void live_frames_that_nobody_asked_for_are_refused(void **state)
{
    static Talk t;

    open_talk(&t, false);
    assert_int_equal(feed_series(&t), VMAFX_ERR_SYNTAX);
    assert_int_equal(t.seen.series, 0);
    vmafx_child_reader_free(&t.reader);
    open_talk(&t, false);
    assert_int_equal(feed_end(&t, ROWS, COLUMNS, "vmaf", false), VMAFX_OK); /* and are not missed */
    vmafx_child_reader_free(&t.reader);
}

static void live_frames_come_between_begun_and_the_blocks(void **state)
{
    static Talk t;
    static const double zeros[ROWS];
    const double *columns[] = { zeros, zeros };
    uint8_t *packed;
    size_t len;
    Message message = VMAFX__SCORER__V1__CHILD_MESSAGE__INIT;
    Vmafx__Scorer__V1__FrameBlock block = VMAFX__SCORER__V1__FRAME_BLOCK__INIT;

    open_talk(&t, true);
    vmafx_child_reader_free(&t.reader);
    assert_int_equal(vmafx_child_reader_new(&(VmafxChildReaderSettings){ .frames_live = true }, &t.reader), VMAFX_OK);
    assert_int_equal(feed_series(&t), VMAFX_ERR_SYNTAX); /* before Begun */
    vmafx_child_reader_free(&t.reader);

    open_talk(&t, true);
    assert_int_equal(feed_series(&t), VMAFX_OK);
    assert_int_equal(vmafx_columns_pack(columns, COLUMNS, ROWS, &packed, &len), VMAFX_OK);
    block.data = (ProtobufCBinaryData){ len, packed };
    message.kind_case = VMAFX__SCORER__V1__CHILD_MESSAGE__KIND_FRAMES;
    message.frames = &block;
    assert_int_equal(feed(&t, &message), VMAFX_OK);
    assert_int_equal(feed_frames(&t), VMAFX_ERR_SYNTAX);
    vmafx_child_reader_free(&t.reader);
    free(packed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_come_once_and_frames_follow_each_other),
        cmocka_unit_test(what_is_not_as_it_must_be_is_refused),
        cmocka_unit_test(live_frames_that_nobody_asked_for_are_refused),
        cmocka_unit_test(live_frames_come_between_begun_and_the_blocks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
