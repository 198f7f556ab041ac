/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Bytes are gathered into one message at a time: four of length, then that many. Order is a number that never goes
 * down: nothing, begun, frames, over.
 */

#include "score/child_reader.h"

#include <math.h>
#include <string.h>

#include "base/base.h"
#include "base/columns.h"
#include "base/encoders.h"
#include "signals/signals.h"

typedef Vmafx__Scorer__V1__ChildMessage ChildMessage;

typedef enum Phase { PHASE_NOTHING = 0, PHASE_BEGUN, PHASE_FRAMES, PHASE_OVER } Phase;

struct VmafxChildReader {
    VmafxChildReaderSettings settings;
    bool failed;
    Phase phase;

    uint8_t head[4];
    uint8_t *body;             /* room for `room` bytes */
    size_t room, length, have; /* have counts the head too */

    uint64_t messages, bytes, live_bytes;
    int64_t frames_done;        /* of the last progress */
    VmafxMessage *live_message; /* what live points into */
    const Vmafx__V1__SeriesNames *live;
    int64_t live_rows; /* frames that have come */
    size_t n_logs, n_spans, n_inferring;
    uint8_t span_ids[VMAFX_CHILD_SPANS_MAX][8];
    uint8_t *frames;
    size_t frames_room;
    bool has_end;
    VmafxMessage *last; /* what end points into */
    VmafxChildEnd end;
};

static VmafxErr wrong(VmafxErrInfo *reterr, const char *what)
{
    return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "%s", what);
}

static VmafxErr too_much(VmafxErrInfo *reterr, const char *what)
{
    return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "%s", what);
}

/* ---- texts and attributes ---- */

static bool is_plain(const char *text, size_t max)
{
    size_t n = 0;

    for (; text[n]; n++)
        if (n == max || (unsigned char)text[n] < 0x20 || text[n] == 0x7f)
            return false;
    return true;
}

static bool are_plain(char *const *texts, size_t n, size_t n_max)
{
    if (n > n_max)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!is_plain(texts[i], VMAFX_CHILD_TEXT_MAX))
            return false;
    return true;
}

/* A list of strings as a value; false when it has no room. */
static bool texts_view(const Vmafx__Scorer__V1__Texts *texts, VmafxChildAttrs *room, size_t *n_texts, VmafxValue *ret)
{
    VmafxValue *items = room->texts + *n_texts;

    if (texts->n_items > VMAFX_CHILD_TEXTS_MAX - *n_texts)
        return false;
    for (size_t i = 0; i < texts->n_items; i++)
        items[i] = vmafx_value_str(texts->items[i]);
    *n_texts += texts->n_items;
    *ret = (VmafxValue){ .type = VMAFX_VALUE_ARRAY };
    ret->array.items = items;
    ret->array.n = texts->n_items;
    return true;
}

VmafxAttrs vmafx_child_attrs(Vmafx__Scorer__V1__Attribute *const *items, size_t n, VmafxChildAttrs *room)
{
    size_t count = 0, n_texts = 0;

    for (size_t i = 0; i < n && count < VMAFX_CHILD_ATTRS_MAX; i++)
        switch (items[i]->value_case) {
        case VMAFX__SCORER__V1__ATTRIBUTE__VALUE_STRING_VALUE:
            room->items[count++] = VMAFX_ATTR_STR(items[i]->key, items[i]->string_value);
            break;
        case VMAFX__SCORER__V1__ATTRIBUTE__VALUE_INT_VALUE:
            room->items[count++] = VMAFX_ATTR_INT(items[i]->key, items[i]->int_value);
            break;
        case VMAFX__SCORER__V1__ATTRIBUTE__VALUE_DOUBLE_VALUE:
            room->items[count++] = VMAFX_ATTR_DOUBLE(items[i]->key, items[i]->double_value);
            break;
        case VMAFX__SCORER__V1__ATTRIBUTE__VALUE_BOOL_VALUE:
            room->items[count++] = VMAFX_ATTR_BOOL(items[i]->key, items[i]->bool_value);
            break;
        case VMAFX__SCORER__V1__ATTRIBUTE__VALUE_TEXTS_VALUE:
            room->items[count].key = items[i]->key;
            count += texts_view(items[i]->texts_value, room, &n_texts, &room->items[count].value);
            break;
        default:
            break;
        }
    return (VmafxAttrs){ room->items, count };
}

/* Which job and attempt this is, others know; a child that says so is making it up. */
static bool is_others_to_say(const char *key)
{
    const char *const keys[] = { VMAFX_KEY_JOB_ID, VMAFX_KEY_TASK_ID, VMAFX_KEY_TASK_ATTEMPT, VMAFX_KEY_TASK_SEGMENT,
                                 VMAFX_KEY_TASK_OUTCOME };

    for (size_t i = 0; i < VMAFX_LEN(keys); i++)
        if (!strcmp(keys[i], key))
            return true;
    return false;
}

static bool attributes_fit(Vmafx__Scorer__V1__Attribute *const *items, size_t n)
{
    if (n > VMAFX_CHILD_ATTRS_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!vmafx_attribute_find(items[i]->key) || is_others_to_say(items[i]->key))
            return false;
        if (items[i]->value_case == VMAFX__SCORER__V1__ATTRIBUTE__VALUE_TEXTS_VALUE &&
            !are_plain(items[i]->texts_value->items, items[i]->texts_value->n_items, VMAFX_CHILD_TEXTS_MAX / 2))
            return false;
        if (items[i]->value_case == VMAFX__SCORER__V1__ATTRIBUTE__VALUE_STRING_VALUE &&
            !is_plain(items[i]->string_value, VMAFX_CHILD_TEXT_MAX))
            return false;
        for (size_t k = 0; k < i; k++)
            if (!strcmp(items[k]->key, items[i]->key))
                return false;
    }
    return true;
}

static uint64_t within(uint64_t v, uint64_t lo, uint64_t hi)
{
    return v < lo ? lo : v > hi ? VMAFX_MAX(lo, hi) : v;
}

/* ---- one function for each kind of message ---- */

static VmafxErr on_begun(VmafxChildReader *r, const Vmafx__Scorer__V1__Begun *begun, VmafxErrInfo *reterr)
{
    if (r->phase != PHASE_NOTHING)
        return wrong(reterr, "Begun came twice");
    if (!are_plain(begun->sandbox_layers, begun->n_sandbox_layers, 32))
        return wrong(reterr, "Begun lists no sandbox layers");
    r->phase = PHASE_BEGUN;
    if (r->settings.events.begun)
        r->settings.events.begun(r->settings.events.ctx, begun);
    return VMAFX_OK;
}

static VmafxErr on_progress(VmafxChildReader *r, const Vmafx__Scorer__V1__ChildProgress *progress, VmafxErrInfo *reterr)
{
    if (progress->frames < r->frames_done || progress->frames_total < 0 || !isfinite(progress->frame_rate) ||
        progress->frame_rate < 0)
        return wrong(reterr, "progress went backwards or is no number");
    r->frames_done = progress->frames;
    if (r->settings.events.progress)
        r->settings.events.progress(r->settings.events.ctx, progress);
    return VMAFX_OK;
}

/* Those that a scorer makes; the table has other programs' too. */
static bool is_scorers(const char *name)
{
    const char *const names[] = { VMAFX_SPAN_NAME_SCORING, VMAFX_SPAN_NAME_FRAME_EXTRACTION, VMAFX_SPAN_NAME_INPUT_OPEN,
                                  VMAFX_SPAN_NAME_ENCODER_DISPATCH, VMAFX_SPAN_NAME_ONNX_INFERENCE };

    for (size_t i = 0; i < VMAFX_LEN(names); i++)
        if (!strcmp(names[i], name))
            return true;
    return false;
}

static bool is_id(const ProtobufCBinaryData *id)
{
    static const uint8_t zero[8];

    return id->len == sizeof zero && memcmp(id->data, zero, sizeof zero) != 0;
}

static VmafxErr check_span(const VmafxChildReader *r, const Vmafx__Scorer__V1__SpanRecord *span, VmafxErrInfo *reterr)
{
    VmafxChildAttrs room;

    if (!is_id(&span->span_id) || (span->parent_span_id.len && !(r->settings.nested && is_id(&span->parent_span_id))))
        return wrong(reterr, "a span's id, or its parent's, is none");
    for (size_t i = 0; i < r->n_spans; i++)
        if (!memcmp(r->span_ids[i], span->span_id.data, sizeof r->span_ids[i]))
            return wrong(reterr, "a span came twice");
    if (!is_scorers(span->name) || !attributes_fit(span->attributes, span->n_attributes))
        return wrong(reterr, "a span's name or attributes are not a scorer's");
    if (vmafx_span_check(span->name, span->kind, vmafx_child_attrs(span->attributes, span->n_attributes, &room), NULL))
        return wrong(reterr, "a span is not as the table of signals has it");
    if (span->start_unix_ns > span->end_unix_ns || span->status < VMAFX_STATUS_UNSET ||
        span->status > VMAFX_STATUS_ERROR || !is_plain(span->status_message, VMAFX_CHILD_TEXT_MAX))
        return wrong(reterr, "a span's times or status make no sense");
    return VMAFX_OK;
}

static VmafxErr on_span(VmafxChildReader *r, const Vmafx__Scorer__V1__SpanRecord *span, uint64_t now,
                        VmafxErrInfo *reterr)
{
    Vmafx__Scorer__V1__SpanRecord copy = *span;

    if (r->n_spans == VMAFX_CHILD_SPANS_MAX)
        return too_much(reterr, "more spans than a task may have");
    VmafxErr err = check_span(r, span, reterr);
    if (err)
        return err;
    memcpy(r->span_ids[r->n_spans++], span->span_id.data, sizeof r->span_ids[0]);
    copy.start_unix_ns = within(copy.start_unix_ns, r->settings.started_unix_ns, now);
    copy.end_unix_ns = within(copy.end_unix_ns, copy.start_unix_ns, now);
    if (r->settings.events.span)
        r->settings.events.span(r->settings.events.ctx, &copy);
    return VMAFX_OK;
}

static VmafxErr on_log(VmafxChildReader *r, const Vmafx__Scorer__V1__LogRecord *record, uint64_t now,
                       VmafxErrInfo *reterr)
{
    Vmafx__Scorer__V1__LogRecord copy = *record;
    VmafxChildAttrs room;

    if (r->n_logs++ == VMAFX_CHILD_LOGS_MAX)
        return too_much(reterr, "more log records than a task may have");
    if (record->severity < 1 || record->severity > 24 || !is_plain(record->body, VMAFX_CHILD_TEXT_MAX) ||
        !attributes_fit(record->attributes, record->n_attributes))
        return wrong(reterr, "a log record's severity, text or attributes make no sense");
    if (vmafx_attributes_check(vmafx_child_attrs(record->attributes, record->n_attributes, &room), NULL))
        return wrong(reterr, "a log record's attributes are not as the table of signals has them");
    copy.time_unix_ns = within(copy.time_unix_ns, r->settings.started_unix_ns, now);
    if (r->settings.events.log)
        r->settings.events.log(r->settings.events.ctx, &copy);
    return VMAFX_OK;
}

static VmafxErr on_inferences(VmafxChildReader *r, const Vmafx__Scorer__V1__Inferences *inferences,
                              VmafxErrInfo *reterr)
{
    if (r->n_inferring++ == VMAFX_CHILD_INFERRING_MAX || inferences->n_seconds > VMAFX_CHILD_INFERENCES_MAX)
        return too_much(reterr, "more inferences than a task may tell of");
    if (!*inferences->model || !is_plain(inferences->model, 255))
        return wrong(reterr, "inferences of a model without a name");
    for (size_t i = 0; i < inferences->n_seconds; i++)
        if (!(inferences->seconds[i] >= 0) || !isfinite(inferences->seconds[i]))
            return wrong(reterr, "an inference that took no time that there is");
    if (r->settings.events.inferences)
        r->settings.events.inferences(r->settings.events.ctx, inferences);
    return VMAFX_OK;
}

static VmafxErr on_frames(VmafxChildReader *r, const Vmafx__Scorer__V1__FrameBlock *block, VmafxErrInfo *reterr)
{
    size_t len = block->data.len, have = r->end.frames_len;

    if (!len || block->offset != have)
        return wrong(reterr, "a block of frames is empty, or is not the next one");
    if (len > r->settings.frames_max - have)
        return too_much(reterr, "the packed values of the frames are larger than this program takes");
    if (len > r->frames_room - have) {
        size_t room = VMAFX_MIN(VMAFX_MAX(r->frames_room * 2, have + len), r->settings.frames_max);
        uint8_t *more = realloc(r->frames, room);

        if (!more)
            return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for the values of the frames");
        r->frames = more;
        r->frames_room = room;
    }
    memcpy(r->frames + have, block->data.data, len);
    r->end.frames_len = have + len;
    r->end.frames = r->frames;
    return VMAFX_OK;
}

/* ---- live frames ---- */

static bool names_fit(const Vmafx__V1__SeriesNames *names)
{
    if (names->n_names == 0 || names->n_names > VMAFX_COLUMNS_MAX || names->n_kinds != names->n_names)
        return false;
    for (size_t i = 0; i < names->n_names; i++)
        if (!*names->names[i] || !is_plain(names->names[i], 255) ||
            (unsigned)names->kinds[i] > VMAFX__V1__SERIES_KIND__SERIES_KIND_MEMBER)
            return false;
    return true;
}

static VmafxErr on_live_series(VmafxChildReader *r, VmafxMessage **message, const Vmafx__V1__SeriesNames *names,
                               VmafxErrInfo *reterr)
{
    if (!r->settings.frames_live || r->live)
        return wrong(reterr, "names of live frames that nobody asked for, or a second time");
    if (!names_fit(names))
        return wrong(reterr, "the names of the live frames make no sense");
    r->live_message = VMAFX_TAKE(*message);
    r->live = names;
    if (r->settings.events.live_series)
        r->settings.events.live_series(r->settings.events.ctx, names);
    return VMAFX_OK;
}

static bool columns_fit(const Vmafx__V1__Frames *frames, size_t n_columns)
{
    size_t rows = frames->n_columns ? frames->columns[0]->n_values : 0;

    if (frames->n_columns != n_columns || rows == 0 || rows > VMAFX_CHILD_LIVE_ROWS)
        return false;
    for (size_t i = 0; i < n_columns; i++) {
        if (frames->columns[i]->n_values != rows)
            return false;
        for (size_t k = 0; k < rows; k++)
            if (isinf(frames->columns[i]->values[k])) /* NaN says that there is no value */
                return false;
    }
    return true;
}

static VmafxErr on_live_frames(VmafxChildReader *r, const Vmafx__V1__Frames *frames, VmafxErrInfo *reterr)
{
    if (!r->live || frames->first != r->live_rows)
        return wrong(reterr, "live frames without names, or not the next ones");
    if (!columns_fit(frames, r->live->n_names))
        return wrong(reterr, "live frames that do not fit their names, or hold what is no number");
    r->live_rows += (int64_t)frames->columns[0]->n_values;
    if (r->live_rows > UINT32_MAX)
        return too_much(reterr, "more live frames than a video may have");
    if (r->settings.events.live_frames)
        r->settings.events.live_frames(r->settings.events.ctx, frames);
    return VMAFX_OK;
}

/* Whoever has read them has seen all of the result. */
static bool live_fits(const VmafxChildReader *r, const Vmafx__V1__Result *m)
{
    if (!r->settings.frames_live)
        return true;
    if (!r->live || r->live_rows != m->frames || r->live->n_names != m->n_series)
        return false;
    for (size_t i = 0; i < m->n_series; i++)
        if (strcmp(r->live->names[i], m->series[i]->name) != 0 || r->live->kinds[i] != m->series[i]->kind)
            return false;
    return true;
}

/* ---- the end ---- */

static bool is_digest(const char *text)
{
    return !*text || (strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64);
}

static bool series_fit(const Vmafx__V1__Result *m)
{
    if (m->n_series == 0 || m->n_series > VMAFX_COLUMNS_MAX)
        return false;
    for (size_t i = 0; i < m->n_series; i++)
        if (!*m->series[i]->name || !is_plain(m->series[i]->name, 255) || m->series[i]->n > m->frames ||
            (unsigned)m->series[i]->kind > VMAFX__V1__SERIES_KIND__SERIES_KIND_MEMBER)
            return false;
    return true;
}

static bool aggregates_fit(const Vmafx__V1__Result *m)
{
    if (m->n_aggregates > VMAFX_CHILD_AGGREGATES_MAX)
        return false;
    for (size_t i = 0; i < m->n_aggregates; i++)
        if (!*m->aggregates[i]->name || !is_plain(m->aggregates[i]->name, 255))
            return false;
    return true;
}

static bool inputs_fit(const Vmafx__V1__Result *m)
{
    if (m->n_inputs != 2)
        return false;
    for (size_t i = 0; i < m->n_inputs; i++) {
        const Vmafx__V1__InputFacts *in = m->inputs[i];
        char *const texts[] = { in->uri,   in->pixel_format, in->container, in->codec,
                                in->range, in->matrix,       in->transfer,  in->primaries };

        if (!are_plain(texts, VMAFX_LEN(texts), VMAFX_LEN(texts)) || !is_digest(in->sha256) || in->width < 0 ||
            in->height < 0 || in->size_bytes < 0 || in->frames < 0 || !isfinite(in->start_seconds))
            return false;
    }
    return true;
}

static bool models_fit(const Vmafx__V1__Result *m)
{
    if (m->n_models == 0 || m->n_models > 64)
        return false;
    for (size_t i = 0; i < m->n_models; i++)
        if (!is_plain(m->models[i]->name, 255) || !is_plain(m->models[i]->version, 255) ||
            !is_digest(m->models[i]->sha256))
            return false;
    return true;
}

static bool texts_fit(const Vmafx__V1__Result *m)
{
    char *const texts[] = { m->incomplete_reason, m->kernel_level, m->engine_version, m->decoder_versions };

    if (!are_plain(texts, VMAFX_LEN(texts), VMAFX_LEN(texts)) || !are_plain(m->adaptations, m->n_adaptations, 64) ||
        !are_plain(m->warnings, m->n_warnings, 64) || !are_plain(m->sandbox_layers, m->n_sandbox_layers, 32) ||
        *m->node || m->n_options > 256)
        return false;
    for (size_t i = 0; i < m->n_options; i++)
        if (!is_plain(m->options[i]->key, 255) || !is_plain(m->options[i]->value, VMAFX_CHILD_MESSAGE_MAX))
            return false;
    return true;
}

/* What the child says of its encode; where the video was kept, others know. */
static bool encode_fits(const VmafxChildReader *r, const Vmafx__V1__Result *m)
{
    const Vmafx__V1__EncodeFacts *e = m->encode;

    if (!r->settings.encodes || !e)
        return !r->settings.encodes && !e;
    const VmafxEncoderName *known = vmafx_encoder_name_find(e->encoder);
    char *const texts[] = { e->encoder_version, e->reason, e->preset, e->pixel_format };
    const double numbers[] = { e->bit_rate, e->seconds, e->frame_rate };

    if (!known || strcmp(known->codec, e->codec) != 0 || !are_plain(texts, VMAFX_LEN(texts), VMAFX_LEN(texts)) ||
        *e->kept || e->width < 1 || e->height < 1 || e->frames < 0 || e->size_bytes < 0 ||
        e->n_options > VMAFX_CHILD_RECIPE_OPTIONS_MAX)
        return false;
    for (size_t i = 0; i < VMAFX_LEN(numbers); i++)
        if (!(numbers[i] >= 0) || !isfinite(numbers[i]))
            return false;
    for (size_t i = 0; i < e->n_options; i++)
        if (!is_plain(e->options[i]->key, 255) || !is_plain(e->options[i]->value, VMAFX_CHILD_TEXT_MAX))
            return false;
    return true;
}

static bool is_time(double seconds)
{
    return seconds >= 0 && isfinite(seconds);
}

static VmafxErr check_result(const VmafxChildReader *r, const Vmafx__V1__Result *m, VmafxErrInfo *reterr)
{
    size_t columns = 0;
    uint64_t rows = 0;

    if (m->frames < 1 || m->frames > UINT32_MAX || m->width < 1 || m->height < 1 || m->bit_depth < 8 ||
        m->bit_depth > 16 || m->subsample < 1 || m->first_frame < 0 || m->skip_reference < 0 ||
        !is_time(m->wall_seconds) || !is_time(m->cpu_seconds) || !is_time(m->decode_seconds) ||
        !is_time(m->extraction_seconds))
        return wrong(reterr, "a number of the result is outside its range");
    if (!series_fit(m) || !aggregates_fit(m) || !inputs_fit(m) || !models_fit(m) || !texts_fit(m))
        return wrong(reterr, "the result's series, inputs, models or texts make no sense");
    if (!r->end.frames || vmafx_columns_head(r->frames, r->end.frames_len, &columns, &rows) || columns != m->n_series ||
        rows != (uint64_t)m->frames)
        return wrong(reterr, "the values of the frames do not fit the result");
    if (!encode_fits(r, m))
        return wrong(reterr, "what the result says of the encode makes no sense");
    if (!live_fits(r, m))
        return wrong(reterr, "the live frames do not fit the result");
    return VMAFX_OK;
}

static VmafxErr on_result(VmafxChildReader *r, const Vmafx__Scorer__V1__ChildResult *result, VmafxErrInfo *reterr)
{
    if (r->phase == PHASE_NOTHING || !result->summary || !result->summary->complete)
        return wrong(reterr, "a result that is none");
    VmafxErr err = check_result(r, result->summary, reterr);
    r->end.result = result->summary;
    return err;
}

static VmafxErr on_failure(VmafxChildReader *r, const Vmafx__Scorer__V1__ChildFailure *failure, VmafxErrInfo *reterr)
{
    int class = failure->failure_class;

    if (class < VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_INPUT ||
        class > VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_INTERNAL ||
        class == VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_TIMEOUT || !*failure->message ||
        !is_plain(failure->message, VMAFX_CHILD_TEXT_MAX))
        return wrong(reterr, "a failure without a class or a sentence");
    if (!failure->partial != !r->end.frames)
        return wrong(reterr, "frames without a partial result, or one without frames");
    r->end.failure = failure;
    if (!failure->partial)
        return VMAFX_OK;
    if (class != VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_INPUT || failure->partial->complete)
        return wrong(reterr, "a partial result where there can be none");
    return check_result(r, failure->partial, reterr);
}

/* ---- messages ---- */

/* Where in the order a message may come. */
static VmafxErr check_order(VmafxChildReader *r, const ChildMessage *m, VmafxErrInfo *reterr)
{
    switch (m->kind_case) {
    case VMAFX__SCORER__V1__CHILD_MESSAGE__KIND_BEGUN:
    case VMAFX__SCORER__V1__CHILD_MESSAGE__KIND_FAILURE:
        return VMAFX_OK;
    case VMAFX__SCORER__V1__CHILD_MESSAGE__KIND_FRAMES:
    case VMAFX__SCORER__V1__CHILD_MESSAGE__KIND_RESULT:
        if (r->phase < PHASE_BEGUN)
            return wrong(reterr, "a message before Begun");
        if (m->kind_case == VMAFX__SCORER__V1__CHILD_MESSAGE__KIND_FRAMES)
            r->phase = PHASE_FRAMES;
        return VMAFX_OK;
    case VMAFX__SCORER__V1__CHILD_MESSAGE__KIND__NOT_SET:
        return wrong(reterr, "a message of no known kind");
    default:
        return r->phase == PHASE_BEGUN ? VMAFX_OK : wrong(reterr, "a message before Begun, or after the frames");
    }
}

/* *message is set NULL when it is kept. */
static VmafxErr take(VmafxChildReader *r, VmafxMessage **message, const ChildMessage *m, uint64_t now,
                     VmafxErrInfo *reterr)
{
    VmafxErr err = check_order(r, m, reterr);

    if (err)
        return err;
    switch (m->kind_case) {
    case VMAFX__SCORER__V1__CHILD_MESSAGE__KIND_BEGUN:
        return on_begun(r, m->begun, reterr);
    case VMAFX__SCORER__V1__CHILD_MESSAGE__KIND_PROGRESS:
        return on_progress(r, m->progress, reterr);
    case VMAFX__SCORER__V1__CHILD_MESSAGE__KIND_SPAN:
        return on_span(r, m->span, now, reterr);
    case VMAFX__SCORER__V1__CHILD_MESSAGE__KIND_LOG:
        return on_log(r, m->log, now, reterr);
    case VMAFX__SCORER__V1__CHILD_MESSAGE__KIND_INFERENCES:
        return on_inferences(r, m->inferences, reterr);
    case VMAFX__SCORER__V1__CHILD_MESSAGE__KIND_FRAMES:
        return on_frames(r, m->frames, reterr);
    case VMAFX__SCORER__V1__CHILD_MESSAGE__KIND_RESULT:
        return on_result(r, m->result, reterr);
    case VMAFX__SCORER__V1__CHILD_MESSAGE__KIND_LIVE_SERIES:
        return on_live_series(r, message, m->live_series, reterr);
    case VMAFX__SCORER__V1__CHILD_MESSAGE__KIND_LIVE_FRAMES:
        return on_live_frames(r, m->live_frames, reterr);
    default:
        return on_failure(r, m->failure, reterr);
    }
}

static bool is_last(const ChildMessage *m)
{
    return m->kind_case == VMAFX__SCORER__V1__CHILD_MESSAGE__KIND_RESULT ||
           m->kind_case == VMAFX__SCORER__V1__CHILD_MESSAGE__KIND_FAILURE;
}

/* Live frames are counted by themselves: they are as many as the video is long, and nothing keeps them. */
static VmafxErr count(VmafxChildReader *r, const ChildMessage *m, VmafxErrInfo *reterr)
{
    if (m->kind_case == VMAFX__SCORER__V1__CHILD_MESSAGE__KIND_LIVE_FRAMES) {
        r->live_bytes += r->length;
        return r->live_bytes > VMAFX_CHILD_LIVE_MAX ? too_much(reterr, "more live frames than a task may send")
                                                    : VMAFX_OK;
    }
    if (++r->messages > VMAFX_CHILD_MESSAGES_MAX)
        return too_much(reterr, "more messages than a task may have");
    r->bytes += r->length;
    if (m->kind_case == VMAFX__SCORER__V1__CHILD_MESSAGE__KIND_FRAMES)
        r->bytes -= VMAFX_MIN(m->frames->data.len, r->length); /* these have a limit of their own */
    return r->bytes > VMAFX_CHILD_BYTES_MAX ? too_much(reterr, "more bytes than a task may send") : VMAFX_OK;
}

static VmafxErr take_bytes(VmafxChildReader *r, uint64_t now, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;

    if (r->phase == PHASE_OVER)
        return wrong(reterr, "a message after the end");
    VmafxErr err =
        vmafx_message_unpack(&vmafx__scorer__v1__child_message__descriptor, r->body, r->length, 0, &message, reterr);
    if (err)
        return err;
    const ChildMessage *m = vmafx_message_get(message);
    bool last = is_last(m);
    err = count(r, m, reterr);
    if (!err)
        err = take(r, &message, m, now, reterr);
    if (err || !last)
        return err;
    r->phase = PHASE_OVER;
    r->has_end = true;
    r->last = VMAFX_TAKE(message);
    return VMAFX_OK;
}

/* The head is there: makes room for the body. */
static VmafxErr begin_body(VmafxChildReader *r, VmafxErrInfo *reterr)
{
    r->length = (size_t)r->head[0] | (size_t)r->head[1] << 8 | (size_t)r->head[2] << 16 | (size_t)r->head[3] << 24;
    if (r->length == 0 || r->length > VMAFX_CHILD_MESSAGE_MAX)
        return too_much(reterr, "a message that is empty or larger than 1 MiB");
    if (r->length <= r->room)
        return VMAFX_OK;
    uint8_t *more = realloc(r->body, r->length);
    if (!more)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for a message");
    r->body = more;
    r->room = r->length;
    return VMAFX_OK;
}

/* Takes what belongs to the message under way; returns how many bytes that were. */
static size_t gather(VmafxChildReader *r, const uint8_t *data, size_t len)
{
    bool head = r->have < sizeof r->head;
    size_t want = head ? sizeof r->head - r->have : sizeof r->head + r->length - r->have;
    size_t n = VMAFX_MIN(want, len);

    memcpy(head ? r->head + r->have : r->body + r->have - sizeof r->head, data, n);
    r->have += n;
    return n;
}

/* ---- what the header promises ---- */

VmafxErr vmafx_child_reader_new(const VmafxChildReaderSettings *settings, VmafxChildReader **ret)
{
    VmafxChildReader *r = calloc(1, sizeof *r);

    if (!r)
        return VMAFX_ERR_NOMEM;
    r->settings = *settings;
    if (!r->settings.frames_max)
        r->settings.frames_max = VMAFX_CHILD_FRAMES_MAX;
    *ret = r;
    return VMAFX_OK;
}

void vmafx_child_reader_free(VmafxChildReader **reader)
{
    if (!*reader)
        return;
    vmafx_message_free(&(*reader)->last);
    vmafx_message_free(&(*reader)->live_message);
    free((*reader)->body);
    free((*reader)->frames);
    free(*reader);
    *reader = NULL;
}

VmafxErr vmafx_child_reader_feed(VmafxChildReader *reader, const void *data, size_t len, uint64_t now_unix_ns,
                                 VmafxErrInfo *reterr)
{
    const uint8_t *at = data;
    VmafxErr err = reader->failed ? wrong(reterr, "bytes after a failure") : VMAFX_OK;

    while (len && !err) {
        size_t n = gather(reader, at, len);

        at += n;
        len -= n;
        if (reader->have == sizeof reader->head)
            err = begin_body(reader, reterr);
        else if (reader->have == sizeof reader->head + reader->length && reader->have > sizeof reader->head) {
            err = take_bytes(reader, now_unix_ns, reterr);
            reader->have = 0;
        }
    }
    reader->failed = err;
    return err;
}

const VmafxChildEnd *vmafx_child_reader_end(const VmafxChildReader *reader)
{
    return reader->has_end && !reader->failed ? &reader->end : NULL;
}

bool vmafx_child_reader_has_begun(const VmafxChildReader *reader)
{
    return reader->phase != PHASE_NOTHING;
}
