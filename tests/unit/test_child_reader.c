/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What comes out of a scorer child's pipe: what is taken, and that everything else is not. */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/columns.h"
#include "score/child_reader.h"
#include "signals/signals.h"

typedef Vmafx__Scorer__V1__ChildMessage Message;

#define STARTED 1000u
#define NOW     2000u

/* What the callbacks saw. */
typedef struct Seen {
    int begun, progress, spans, logs, inferences;
    uint64_t span_start, span_end;
} Seen;

static void on_begun(void *ctx, const Vmafx__Scorer__V1__Begun *begun)
{
    ((Seen *)ctx)->begun++;
}

static void on_inferences(void *ctx, const Vmafx__Scorer__V1__Inferences *inferences)
{
    ((Seen *)ctx)->inferences += (int)inferences->n_seconds;
}

static void on_progress(void *ctx, const Vmafx__Scorer__V1__ChildProgress *progress)
{
    ((Seen *)ctx)->progress++;
}

static void on_span(void *ctx, const Vmafx__Scorer__V1__SpanRecord *span)
{
    Seen *seen = ctx;

    seen->spans++;
    seen->span_start = span->start_unix_ns;
    seen->span_end = span->end_unix_ns;
}

static void on_log(void *ctx, const Vmafx__Scorer__V1__LogRecord *record)
{
    ((Seen *)ctx)->logs++;
}

/* A reader, and messages that are as they must be, for a case to spoil. They point into each other. */
typedef struct Talk {
    VmafxChildReader *reader;
    Seen seen;
    VmafxErrInfo info;

    Vmafx__Scorer__V1__Begun begun;
    Vmafx__Scorer__V1__ChildProgress progress;
    uint8_t span_id[8];
    Vmafx__Scorer__V1__Attribute attribute, *attributes[2];
    Vmafx__Scorer__V1__SpanRecord span;
    Vmafx__Scorer__V1__LogRecord log;
    Vmafx__Scorer__V1__Inferences inferences;
    double seconds[VMAFX_CHILD_INFERENCES_MAX + 1];
    uint8_t *packed;
    size_t packed_len;
    Vmafx__Scorer__V1__FrameBlock block;
    Vmafx__V1__SeriesSummary series[2], *series_list[2];
    Vmafx__V1__InputFacts inputs[2], *inputs_list[2];
    Vmafx__V1__ModelFacts model, *models[1];
    Vmafx__V1__EncodeFacts encode;
    Vmafx__V1__KeyValue option, *options[VMAFX_CHILD_RECIPE_OPTIONS_MAX + 1];
    Vmafx__V1__Aggregate aggregate, *aggregates[VMAFX_CHILD_AGGREGATES_MAX + 1];
    Vmafx__V1__Result summary;
    Vmafx__Scorer__V1__ChildResult result;
    Vmafx__Scorer__V1__ChildFailure failure;
} Talk;

static char *say(const char *text)
{
    return (char *)(uintptr_t)text;
}

static void prepare_result(Talk *t)
{
    static const double values[] = { 90, 91, 92 };
    const double *columns[] = { values, values };

    assert_int_equal(vmafx_columns_pack(columns, 2, 3, &t->packed, &t->packed_len), VMAFX_OK);
    t->block = (Vmafx__Scorer__V1__FrameBlock)VMAFX__SCORER__V1__FRAME_BLOCK__INIT;
    t->block.data = (ProtobufCBinaryData){ t->packed_len, t->packed };
    t->summary = (Vmafx__V1__Result)VMAFX__V1__RESULT__INIT;
    for (size_t i = 0; i < 2; i++) {
        t->series[i] = (Vmafx__V1__SeriesSummary)VMAFX__V1__SERIES_SUMMARY__INIT;
        t->series[i].name = say(i ? "integer_adm2" : "vmaf");
        t->series[i].n = 3;
        t->series_list[i] = &t->series[i];
        t->inputs[i] = (Vmafx__V1__InputFacts)VMAFX__V1__INPUT_FACTS__INIT;
        t->inputs[i].uri = say("video.mp4");
        t->inputs_list[i] = &t->inputs[i];
    }
    t->model = (Vmafx__V1__ModelFacts)VMAFX__V1__MODEL_FACTS__INIT;
    t->model.name = say("vmaf");
    t->models[0] = &t->model;
    t->summary.series = t->series_list;
    t->summary.n_series = 2;
    t->summary.inputs = t->inputs_list;
    t->summary.n_inputs = 2;
    t->aggregate = (Vmafx__V1__Aggregate)VMAFX__V1__AGGREGATE__INIT;
    t->aggregate.name = say("apsnr_y");
    for (size_t i = 0; i < VMAFX_LEN(t->aggregates); i++)
        t->aggregates[i] = &t->aggregate;
    t->summary.aggregates = t->aggregates;
    t->summary.models = t->models;
    t->summary.n_models = 1;
    t->summary.frames = 3;
    t->summary.width = t->summary.height = 64;
    t->summary.bit_depth = 8;
    t->summary.subsample = 1;
    t->summary.complete = true;
    t->result = (Vmafx__Scorer__V1__ChildResult)VMAFX__SCORER__V1__CHILD_RESULT__INIT;
    t->result.summary = &t->summary;
    t->failure = (Vmafx__Scorer__V1__ChildFailure)VMAFX__SCORER__V1__CHILD_FAILURE__INIT;
    t->failure.failure_class = VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_INPUT;
    t->failure.message = say("'video.mp4' is not a video");
}

static void open_talk_with(Talk *t, size_t frames_max, bool nested, bool encodes)
{
    *t = (Talk){ .span_id = { 1 } };
    const VmafxChildReaderSettings settings = { .frames_max = frames_max,
                                                .nested = nested,
                                                .encodes = encodes,
                                                .started_unix_ns = STARTED,
                                                .events = { .begun = on_begun,
                                                            .progress = on_progress,
                                                            .span = on_span,
                                                            .log = on_log,
                                                            .inferences = on_inferences,
                                                            .ctx = &t->seen } };

    assert_int_equal(vmafx_child_reader_new(&settings, &t->reader), VMAFX_OK);
    t->begun = (Vmafx__Scorer__V1__Begun)VMAFX__SCORER__V1__BEGUN__INIT;
    t->progress = (Vmafx__Scorer__V1__ChildProgress)VMAFX__SCORER__V1__CHILD_PROGRESS__INIT;
    t->progress.frames = 5;
    t->attribute = (Vmafx__Scorer__V1__Attribute)VMAFX__SCORER__V1__ATTRIBUTE__INIT;
    t->attribute.key = (char *)(uintptr_t)VMAFX_KEY_FRAME_COUNT;
    t->attribute.value_case = VMAFX__SCORER__V1__ATTRIBUTE__VALUE_INT_VALUE;
    t->attribute.int_value = 3;
    t->attributes[0] = t->attributes[1] = &t->attribute;
    t->span = (Vmafx__Scorer__V1__SpanRecord)VMAFX__SCORER__V1__SPAN_RECORD__INIT;
    t->span.span_id = (ProtobufCBinaryData){ sizeof t->span_id, t->span_id };
    t->span.name = (char *)(uintptr_t)VMAFX_SPAN_NAME_SCORING;
    t->span.kind = VMAFX_SPAN_INTERNAL;
    t->span.start_unix_ns = 1100;
    t->span.end_unix_ns = 1200;
    t->span.attributes = t->attributes;
    t->span.n_attributes = 1;
    t->log = (Vmafx__Scorer__V1__LogRecord)VMAFX__SCORER__V1__LOG_RECORD__INIT;
    t->log.severity = 9;
    t->log.body = say("scoring ended");
    t->log.time_unix_ns = 1500;
    t->inferences = (Vmafx__Scorer__V1__Inferences)VMAFX__SCORER__V1__INFERENCES__INIT;
    t->inferences.model = say("vmafx_features_v1");
    t->inferences.seconds = t->seconds;
    t->inferences.n_seconds = 2;
    prepare_result(t);
}

static void open_talk(Talk *t, size_t frames_max, bool nested)
{
    open_talk_with(t, frames_max, nested, false);
}

/* Of a task with a recipe. */
static void open_encode_talk(Talk *t)
{
    open_talk_with(t, 0, false, true);
    t->encode = (Vmafx__V1__EncodeFacts)VMAFX__V1__ENCODE_FACTS__INIT;
    t->encode.encoder = say("libx264");
    t->encode.codec = say("h264");
    t->encode.reason = say("the first choice for h264");
    t->encode.width = t->encode.height = 64;
    t->encode.frames = 3;
    t->encode.size_bytes = 1000;
    t->encode.seconds = 0.1;
    t->option = (Vmafx__V1__KeyValue)VMAFX__V1__KEY_VALUE__INIT;
    t->option.key = say("crf");
    t->option.value = say("23");
    for (size_t i = 0; i < VMAFX_LEN(t->options); i++)
        t->options[i] = &t->option;
    t->encode.options = t->options;
    t->encode.n_options = 1;
    t->summary.encode = &t->encode;
}

static void close_talk(Talk *t)
{
    vmafx_child_reader_free(&t->reader);
    free(t->packed);
}

static VmafxErr feed(Talk *t, const Message *message)
{
    size_t len = protobuf_c_message_get_packed_size(&message->base);
    VMAFX_AUTO(vmafx_free_p) uint8_t *bytes = malloc(4 + len);

    for (size_t i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(len >> 8 * i);
    protobuf_c_message_pack(&message->base, bytes + 4);
    return vmafx_child_reader_feed(t->reader, bytes, 4 + len, NOW, &t->info);
}

#define FEED(t, field, KIND)                                                                                           \
    ({                                                                                                                 \
        Message message_ = VMAFX__SCORER__V1__CHILD_MESSAGE__INIT;                                                     \
        message_.kind_case = VMAFX__SCORER__V1__CHILD_MESSAGE__KIND_##KIND;                                            \
        message_.field = &(t)->field;                                                                                  \
        feed((t), &message_);                                                                                          \
    })

static VmafxErr feed_begun(Talk *t)
{
    return FEED(t, begun, BEGUN);
}

static VmafxErr feed_progress(Talk *t)
{
    return FEED(t, progress, PROGRESS);
}

static VmafxErr feed_span(Talk *t)
{
    return FEED(t, span, SPAN);
}

static VmafxErr feed_log(Talk *t)
{
    return FEED(t, log, LOG);
}

static VmafxErr feed_inferences(Talk *t)
{
    return FEED(t, inferences, INFERENCES);
}

static VmafxErr feed_frames(Talk *t)
{
    Message message = VMAFX__SCORER__V1__CHILD_MESSAGE__INIT;

    message.kind_case = VMAFX__SCORER__V1__CHILD_MESSAGE__KIND_FRAMES;
    message.frames = &t->block;
    return feed(t, &message);
}

static VmafxErr feed_result(Talk *t)
{
    return FEED(t, result, RESULT);
}

static VmafxErr feed_failure(Talk *t)
{
    return FEED(t, failure, FAILURE);
}

/* ---- what is taken ---- */

static void a_whole_conversation_is_taken(void **state)
{
    Talk t;

    open_talk(&t, 0, false);
    t.summary.n_aggregates = VMAFX_CHILD_AGGREGATES_MAX;
    assert_int_equal(feed_begun(&t), VMAFX_OK);
    assert_int_equal(feed_progress(&t), VMAFX_OK);
    assert_int_equal(feed_span(&t), VMAFX_OK);
    assert_int_equal(feed_log(&t), VMAFX_OK);
    assert_null(vmafx_child_reader_end(t.reader));
    assert_int_equal(feed_frames(&t), VMAFX_OK);
    assert_int_equal(feed_result(&t), VMAFX_OK);
    const VmafxChildEnd *end = vmafx_child_reader_end(t.reader);
    assert_non_null(end);
    assert_non_null(end->result);
    assert_null(end->failure);
    assert_int_equal(end->frames_len, t.packed_len);
    assert_memory_equal(end->frames, t.packed, t.packed_len);
    assert_int_equal(t.seen.begun, 1);
    assert_int_equal(t.seen.progress, 1);
    assert_int_equal(t.seen.spans, 1);
    assert_int_equal(t.seen.logs, 1);
    close_talk(&t);
}

static void times_of_inferences_are_numbers_of_a_model(void **state)
{
    static const double bad[] = { -1e-9, INFINITY, NAN };
    Talk t;

    open_talk(&t, 0, false);
    assert_int_equal(feed_begun(&t), VMAFX_OK);
    t.inferences.n_seconds = VMAFX_CHILD_INFERENCES_MAX;
    for (int i = 0; i < VMAFX_CHILD_INFERRING_MAX; i++)
        assert_int_equal(feed_inferences(&t), VMAFX_OK);
    assert_int_equal(t.seen.inferences, VMAFX_CHILD_INFERRING_MAX * VMAFX_CHILD_INFERENCES_MAX);
    assert_int_equal(feed_inferences(&t), VMAFX_ERR_LIMIT);
    close_talk(&t);

    open_talk(&t, 0, false);
    assert_int_equal(feed_begun(&t), VMAFX_OK);
    t.inferences.n_seconds = VMAFX_CHILD_INFERENCES_MAX + 1;
    assert_int_equal(feed_inferences(&t), VMAFX_ERR_LIMIT);
    close_talk(&t);

    for (size_t i = 0; i < VMAFX_LEN(bad); i++) {
        open_talk(&t, 0, false);
        assert_int_equal(feed_begun(&t), VMAFX_OK);
        t.seconds[1] = bad[i];
        assert_int_equal(feed_inferences(&t), VMAFX_ERR_SYNTAX);
        close_talk(&t);
    }

    open_talk(&t, 0, false);
    assert_int_equal(feed_begun(&t), VMAFX_OK);
    t.inferences.model = say("");
    assert_int_equal(feed_inferences(&t), VMAFX_ERR_SYNTAX);
    assert_int_equal(t.seen.inferences, 0);
    close_talk(&t);
}

static void bytes_may_come_one_by_one(void **state)
{
    Talk t;
    uint8_t bytes[256];
    Message message = VMAFX__SCORER__V1__CHILD_MESSAGE__INIT;

    open_talk(&t, 0, false);
    message.kind_case = VMAFX__SCORER__V1__CHILD_MESSAGE__KIND_FAILURE;
    message.failure = &t.failure;
    size_t len = protobuf_c_message_pack(&message.base, bytes + 4);
    bytes[0] = (uint8_t)len;
    bytes[1] = bytes[2] = bytes[3] = 0;
    for (size_t i = 0; i < 4 + len; i++) {
        assert_null(vmafx_child_reader_end(t.reader));
        assert_int_equal(vmafx_child_reader_feed(t.reader, bytes + i, 1, NOW, &t.info), VMAFX_OK);
    }
    assert_non_null(vmafx_child_reader_end(t.reader)->failure);
    close_talk(&t);
}

static void frames_may_come_in_blocks(void **state)
{
    Talk t;

    open_talk(&t, 0, false);
    assert_int_equal(feed_begun(&t), VMAFX_OK);
    t.block.data.len = 10;
    assert_int_equal(feed_frames(&t), VMAFX_OK);
    t.block.offset = 10;
    t.block.data = (ProtobufCBinaryData){ t.packed_len - 10, t.packed + 10 };
    assert_int_equal(feed_frames(&t), VMAFX_OK);
    assert_int_equal(feed_result(&t), VMAFX_OK);
    assert_memory_equal(vmafx_child_reader_end(t.reader)->frames, t.packed, t.packed_len);
    close_talk(&t);
}

static void a_partial_result_comes_with_a_failure_of_the_input(void **state)
{
    Talk t;

    open_talk(&t, 0, false);
    t.summary.complete = false;
    t.failure.partial = &t.summary;
    assert_int_equal(feed_begun(&t), VMAFX_OK);
    assert_int_equal(feed_frames(&t), VMAFX_OK);
    assert_int_equal(feed_failure(&t), VMAFX_OK);
    assert_non_null(vmafx_child_reader_end(t.reader)->failure->partial);
    assert_non_null(vmafx_child_reader_end(t.reader)->frames);
    close_talk(&t);
}

static void times_are_brought_between_start_and_now(void **state)
{
    Talk t;

    open_talk(&t, 0, false);
    assert_int_equal(feed_begun(&t), VMAFX_OK);
    t.span.start_unix_ns = 1;
    t.span.end_unix_ns = UINT64_MAX;
    assert_int_equal(feed_span(&t), VMAFX_OK);
    assert_int_equal(t.seen.span_start, STARTED);
    assert_int_equal(t.seen.span_end, NOW);
    close_talk(&t);
}

static void spans_name_a_parent_only_where_they_may(void **state)
{
    uint8_t parent[8] = { 9 };

    for (int nested = 0; nested < 2; nested++) {
        Talk t;

        open_talk(&t, 0, nested);
        assert_int_equal(feed_begun(&t), VMAFX_OK);
        t.span.parent_span_id = (ProtobufCBinaryData){ sizeof parent, parent };
        assert_int_equal(feed_span(&t), nested ? VMAFX_OK : VMAFX_ERR_SYNTAX);
        close_talk(&t);
    }
}

/* ---- what is not ---- */

static void begun_twice(Talk *t)
{
    t->begun.sandbox_layers = NULL;
}

/* One thing spoilt in an otherwise good conversation. */
typedef struct Spoilt {
    const char *why;
    void (*spoil)(Talk *t);
    VmafxErr (*feeds[5])(Talk *t); /* the last one is refused */
} Spoilt;

static void no_change(Talk *t)
{
}

static void progress_is_nan(Talk *t)
{
    t->progress.frame_rate = NAN;
}

static void progress_is_negative(Talk *t)
{
    t->progress.frames = -1;
}

static void id_is_short(Talk *t)
{
    t->span.span_id.len = 7;
}

static void id_is_zero(Talk *t)
{
    t->span_id[0] = 0;
}

static void name_is_anothers(Talk *t)
{
    t->span.name = (char *)(uintptr_t)VMAFX_SPAN_NAME_JOB;
}

static void name_is_unknown(Talk *t)
{
    t->span.name = say("GET /");
}

static void kind_is_server(Talk *t)
{
    t->span.kind = VMAFX_SPAN_SERVER;
}

static void ends_before_it_starts(Talk *t)
{
    t->span.end_unix_ns = 5;
}

static void status_is_unknown(Talk *t)
{
    t->span.status = 7;
}

static void status_has_an_escape(Talk *t)
{
    t->span.status_message = say("\033[2J");
}

static void key_is_unknown(Talk *t)
{
    t->attribute.key = say("vmafx.unheard.of");
}

static void key_is_a_job_id(Talk *t)
{
    t->attribute.key = (char *)(uintptr_t)VMAFX_KEY_JOB_ID;
    t->attribute.value_case = VMAFX__SCORER__V1__ATTRIBUTE__VALUE_STRING_VALUE;
    t->attribute.string_value = say("x");
}

static void type_is_wrong(Talk *t)
{
    t->attribute.value_case = VMAFX__SCORER__V1__ATTRIBUTE__VALUE_STRING_VALUE;
    t->attribute.string_value = say("three");
}

static void key_comes_twice(Talk *t)
{
    t->span.n_attributes = 2;
}

static void severity_is_none(Talk *t)
{
    t->log.severity = 0;
}

static void body_has_a_newline(Talk *t)
{
    t->log.body = say("all is well\nlevel=error");
}

static void block_has_a_gap(Talk *t)
{
    t->block.offset = 1;
}

static void block_is_empty(Talk *t)
{
    t->block.data.len = 0;
}

static void rows_are_fewer(Talk *t)
{
    t->summary.frames = 4;
}

static void columns_are_more(Talk *t)
{
    t->summary.n_series = 1;
}

static void frames_are_cut(Talk *t)
{
    t->block.data.len = 20;
}

static void frames_are_huge(Talk *t)
{
    t->summary.frames = (int64_t)1 << 40;
}

static void incomplete(Talk *t)
{
    t->summary.complete = false;
}

static void one_input(Talk *t)
{
    t->summary.n_inputs = 1;
}

static void no_model(Talk *t)
{
    t->summary.n_models = 0;
}

static void digest_is_none(Talk *t)
{
    t->inputs[0].sha256 = say("abc");
}

static void node_is_claimed(Talk *t)
{
    t->summary.node = say("node-1");
}

static void seconds_are_endless(Talk *t)
{
    t->summary.wall_seconds = INFINITY;
}

static void reading_took_less_than_nothing(Talk *t)
{
    t->summary.decode_seconds = -1;
}

static void aggregate_has_no_name(Talk *t)
{
    t->summary.n_aggregates = 1;
    t->aggregate.name = say("");
}

static void aggregate_has_a_newline(Talk *t)
{
    t->summary.n_aggregates = 1;
    t->aggregate.name = say("apsnr_y\n");
}

static void aggregates_are_many(Talk *t)
{
    t->summary.n_aggregates = VMAFX_CHILD_AGGREGATES_MAX + 1;
}

static void no_summary(Talk *t)
{
    t->result.summary = NULL;
}

static void class_is_unknown(Talk *t)
{
    t->failure.failure_class = 99;
}

static void class_is_timeout(Talk *t)
{
    t->failure.failure_class = VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_TIMEOUT;
}

static void sentence_is_missing(Talk *t)
{
    t->failure.message = say("");
}

static void partial_without_frames(Talk *t)
{
    t->summary.complete = false;
    t->failure.partial = &t->summary;
}

static void partial_of_another_class(Talk *t)
{
    partial_without_frames(t);
    t->failure.failure_class = VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_MODEL;
}

static void what_is_not_as_it_must_be_is_refused(void **state)
{
    static const Spoilt cases[] = {
        { "Begun comes once", begun_twice, { feed_begun, feed_begun } },
        { "nothing before Begun", no_change, { feed_progress } },
        { "no span before Begun", no_change, { feed_span } },
        { "no log before Begun", no_change, { feed_log } },
        { "no frames before Begun", no_change, { feed_frames } },
        { "no result before Begun", no_change, { feed_result } },
        { "a rate that is no number", progress_is_nan, { feed_begun, feed_progress } },
        { "fewer frames than none", progress_is_negative, { feed_begun, feed_progress } },
        { "an id of 7 bytes", id_is_short, { feed_begun, feed_span } },
        { "an id of zeroes", id_is_zero, { feed_begun, feed_span } },
        { "the same span twice", no_change, { feed_begun, feed_span, feed_span } },
        { "a span that only controllers make", name_is_anothers, { feed_begun, feed_span } },
        { "a span that nobody makes", name_is_unknown, { feed_begun, feed_span } },
        { "a span of another kind", kind_is_server, { feed_begun, feed_span } },
        { "a span that ends before it starts", ends_before_it_starts, { feed_begun, feed_span } },
        { "a status that OTLP does not have", status_is_unknown, { feed_begun, feed_span } },
        { "a status that moves the cursor", status_has_an_escape, { feed_begun, feed_span } },
        { "an attribute that is in no table", key_is_unknown, { feed_begun, feed_span } },
        { "an attribute that this span does not have", key_is_a_job_id, { feed_begun, feed_span } },
        { "an attribute of another type", type_is_wrong, { feed_begun, feed_span } },
        { "an attribute twice", key_comes_twice, { feed_begun, feed_span } },
        { "a log record without severity", severity_is_none, { feed_begun, feed_log } },
        { "a log record that would be two lines", body_has_a_newline, { feed_begun, feed_log } },
        { "frames that do not begin at 0", block_has_a_gap, { feed_begun, feed_frames } },
        { "the same frames twice", no_change, { feed_begun, feed_frames, feed_frames } },
        { "a block of no bytes", block_is_empty, { feed_begun, feed_frames } },
        { "progress after frames", no_change, { feed_begun, feed_frames, feed_progress } },
        { "a span after frames", no_change, { feed_begun, feed_frames, feed_span } },
        { "a value of the clip without a name", aggregate_has_no_name, { feed_begun, feed_frames, feed_result } },
        { "a value of the clip on two lines", aggregate_has_a_newline, { feed_begun, feed_frames, feed_result } },
        { "more values of the clip than can be", aggregates_are_many, { feed_begun, feed_frames, feed_result } },
        { "a result without frames", no_change, { feed_begun, feed_result } },
        { "a result with other rows", rows_are_fewer, { feed_begun, feed_frames, feed_result } },
        { "a result with other columns", columns_are_more, { feed_begun, feed_frames, feed_result } },
        { "frames without their end", frames_are_cut, { feed_begun, feed_frames, feed_result } },
        { "more frames than can be", frames_are_huge, { feed_begun, feed_frames, feed_result } },
        { "a result that is not complete", incomplete, { feed_begun, feed_frames, feed_result } },
        { "a result of one input", one_input, { feed_begun, feed_frames, feed_result } },
        { "a result without model", no_model, { feed_begun, feed_frames, feed_result } },
        { "a digest that is none", digest_is_none, { feed_begun, feed_frames, feed_result } },
        { "a result that knows the node", node_is_claimed, { feed_begun, feed_frames, feed_result } },
        { "a time without end", seconds_are_endless, { feed_begun, feed_frames, feed_result } },
        { "a time below nothing", reading_took_less_than_nothing, { feed_begun, feed_frames, feed_result } },
        { "a result of nothing", no_summary, { feed_begun, feed_frames, feed_result } },
        { "anything after the result", no_change, { feed_begun, feed_frames, feed_result, feed_failure } },
        { "anything after the failure", no_change, { feed_begun, feed_failure, feed_result } },
        { "a class that is none", class_is_unknown, { feed_failure } },
        { "a timeout, which is not the child's to tell", class_is_timeout, { feed_failure } },
        { "a failure without a sentence", sentence_is_missing, { feed_failure } },
        { "a failure with frames alone", no_change, { feed_begun, feed_frames, feed_failure } },
        { "a partial result alone", partial_without_frames, { feed_begun, feed_failure } },
        { "a partial result of a bad model", partial_of_another_class, { feed_begun, feed_frames, feed_failure } },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        Talk t;
        size_t n = 0;

        open_talk(&t, 0, false);
        cases[i].spoil(&t);
        while (n < VMAFX_LEN(cases[i].feeds) - 1 && cases[i].feeds[n + 1])
            n++;
        for (size_t k = 0; k <= n; k++) {
            VmafxErr err = cases[i].feeds[k](&t);

            if ((k == n) != (err != VMAFX_OK))
                fail_msg("%s: message %zu gave %s (%s)", cases[i].why, k, vmafx_err_name(err), t.info.message);
        }
        if (!*t.info.message || vmafx_child_reader_end(t.reader))
            fail_msg("%s: no sentence, or an end all the same", cases[i].why);
        close_talk(&t);
    }
}

#define SPOIL(name, statement)                                                                                         \
    static void name(Talk *t)                                                                                          \
    {                                                                                                                  \
        statement;                                                                                                     \
    }

SPOIL(encode_is_as_it_should_be, )
SPOIL(encode_is_missing, t->summary.encode = NULL)
SPOIL(encoder_is_unknown, t->encode.encoder = say("x264"))
SPOIL(encoder_makes_something_else, t->encode.codec = say("av1"))
SPOIL(encode_says_where_it_is_kept, t->encode.kept = say("/etc/passwd"))
SPOIL(encode_moves_the_cursor, t->encode.reason = say("\x1b[2J"))
SPOIL(encode_is_of_no_size, t->encode.width = 0)
SPOIL(encode_has_fewer_bytes_than_none, t->encode.size_bytes = -1)
SPOIL(encode_takes_for_ever, t->encode.seconds = INFINITY)
SPOIL(encode_has_no_rate, t->encode.bit_rate = NAN)
SPOIL(encode_has_too_many_options, t->encode.n_options = VMAFX_CHILD_RECIPE_OPTIONS_MAX + 1)
SPOIL(encode_has_an_option_of_two_lines, t->option.value = say("a\nb"))

static void what_is_said_of_an_encode_is_checked(void **state)
{
    static void (*const spoil[])(Talk * t) = {
        encode_is_as_it_should_be,    encode_is_missing,
        encoder_is_unknown,           encoder_makes_something_else,
        encode_says_where_it_is_kept, encode_moves_the_cursor,
        encode_is_of_no_size,         encode_has_fewer_bytes_than_none,
        encode_takes_for_ever,        encode_has_no_rate,
        encode_has_too_many_options,  encode_has_an_option_of_two_lines,
    };

    for (size_t i = 0; i < VMAFX_LEN(spoil); i++) {
        Talk t;

        open_encode_talk(&t);
        spoil[i](&t);
        assert_int_equal(feed_begun(&t), VMAFX_OK);
        assert_int_equal(feed_frames(&t), VMAFX_OK);
        VmafxErr err = feed_result(&t);
        if (err != (i ? VMAFX_ERR_SYNTAX : VMAFX_OK))
            fail_msg("case %zu gave %s (%s)", i, vmafx_err_name(err), t.info.message);
        close_talk(&t);
    }
}

static void nobody_encodes_what_nobody_asked_for(void **state)
{
    Talk t;

    open_talk(&t, 0, false);
    t.encode = (Vmafx__V1__EncodeFacts)VMAFX__V1__ENCODE_FACTS__INIT;
    t.encode.encoder = say("libx264");
    t.encode.codec = say("h264");
    t.encode.width = t.encode.height = 64;
    t.summary.encode = &t.encode;
    assert_int_equal(feed_begun(&t), VMAFX_OK);
    assert_int_equal(feed_frames(&t), VMAFX_OK);
    assert_int_equal(feed_result(&t), VMAFX_ERR_SYNTAX);
    close_talk(&t);
}

static void progress_never_goes_back(void **state)
{
    Talk t;

    open_talk(&t, 0, false);
    assert_int_equal(feed_begun(&t), VMAFX_OK);
    assert_int_equal(feed_progress(&t), VMAFX_OK);
    t.progress.frames = 4;
    assert_int_equal(feed_progress(&t), VMAFX_ERR_SYNTAX);
    close_talk(&t);
}

static void bytes_that_are_no_message_are_refused(void **state)
{
    static const struct {
        const char *why;
        uint8_t bytes[16];
        size_t n;
    } cases[] = {
        { "a length of nothing", { 0, 0, 0, 0 }, 4 },
        { "a length above 1 MiB", { 1, 0, 16, 0 }, 4 },
        { "a length of 4 GiB", { 255, 255, 255, 255 }, 4 },
        { "not protobuf", { 3, 0, 0, 0, 255, 255, 255 }, 7 },
        { "a kind of the future", { 3, 0, 0, 0, 0xfa, 1, 0 }, 7 },
        { "no kind", { 2, 0, 0, 0, 0x48, 1 }, 6 },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        Talk t;

        open_talk(&t, 0, false);
        if (!vmafx_child_reader_feed(t.reader, cases[i].bytes, cases[i].n, NOW, &t.info))
            fail_msg("%s", cases[i].why);
        assert_int_not_equal(feed_begun(&t), VMAFX_OK); /* and nothing after it */
        close_talk(&t);
    }
}

static void everything_has_a_limit(void **state)
{
    Talk t;

    open_talk(&t, 40, false);
    assert_int_equal(feed_begun(&t), VMAFX_OK);
    assert_int_equal(feed_frames(&t), VMAFX_ERR_LIMIT);
    close_talk(&t);

    open_talk(&t, 0, false);
    assert_int_equal(feed_begun(&t), VMAFX_OK);
    for (int i = 1; i <= VMAFX_CHILD_SPANS_MAX; i++) {
        memcpy(t.span_id, &i, sizeof i);
        assert_int_equal(feed_span(&t), VMAFX_OK);
    }
    t.span_id[7] = 1;
    assert_int_equal(feed_span(&t), VMAFX_ERR_LIMIT);
    close_talk(&t);

    open_talk(&t, 0, false);
    assert_int_equal(feed_begun(&t), VMAFX_OK);
    for (int i = 0; i < VMAFX_CHILD_LOGS_MAX; i++)
        assert_int_equal(feed_log(&t), VMAFX_OK);
    assert_int_equal(feed_log(&t), VMAFX_ERR_LIMIT);
    close_talk(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_conversation_is_taken),
        cmocka_unit_test(bytes_may_come_one_by_one),
        cmocka_unit_test(frames_may_come_in_blocks),
        cmocka_unit_test(a_partial_result_comes_with_a_failure_of_the_input),
        cmocka_unit_test(times_are_brought_between_start_and_now),
        cmocka_unit_test(spans_name_a_parent_only_where_they_may),
        cmocka_unit_test(what_is_not_as_it_must_be_is_refused),
        cmocka_unit_test(what_is_said_of_an_encode_is_checked),
        cmocka_unit_test(nobody_encodes_what_nobody_asked_for),
        cmocka_unit_test(progress_never_goes_back),
        cmocka_unit_test(times_of_inferences_are_numbers_of_a_model),
        cmocka_unit_test(bytes_that_are_no_message_are_refused),
        cmocka_unit_test(everything_has_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
