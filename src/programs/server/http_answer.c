/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Answers that are one document: the handler's thread waits for the scorings, writes them down and looks a few times a
 * second whether somebody still wants to have it.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "base/columns.h"
#include "programs/server/http_internal.h"
#include "report/stored.h"
#include "rpc/frames.h"

#define LOOK_MS         100
#define JSON_VALUES_MAX ((uint64_t)4 << 20) /* of frames in one JSON text: some 80 MB of it */

/* A pair that has ended and was not looked at yet. */
typedef struct Ended {
    struct Ended *next;
    size_t index;
    Scoring *scoring; /* NULL: it was not begun */
    VmafxErr err;
    char message[VMAFX_ERR_MESSAGE_MAX];
} Ended;

typedef struct Wait {
    pthread_mutex_t lock; /* covers everything below */
    pthread_cond_t change;
    Ended *first, **last;
    bool done;
    bool lost; /* there was no memory for one */
} Wait;

static void ended_free(Ended **at)
{
    Ended *ended = VMAFX_TAKE(*at);

    if (ended)
        scoring_unref(&ended->scoring);
    free(ended);
}

static void on_ended(void *ctx, size_t index, Scoring *scoring, VmafxErr err, const char *message)
{
    Wait *wait = ctx;
    Ended *ended = calloc(1, sizeof *ended);

    if (ended) {
        ended->index = index;
        ended->scoring = scoring ? scoring_ref(scoring) : NULL;
        ended->err = err;
        snprintf(ended->message, sizeof ended->message, "%s", message ? message : "");
    }
    pthread_mutex_lock(&wait->lock);
    wait->lost |= !ended;
    if (ended) {
        *wait->last = ended;
        wait->last = &ended->next;
    }
    pthread_cond_signal(&wait->change);
    pthread_mutex_unlock(&wait->lock);
}

static void on_done(void *ctx)
{
    Wait *wait = ctx;

    pthread_mutex_lock(&wait->lock);
    wait->done = true;
    pthread_cond_signal(&wait->change);
    pthread_mutex_unlock(&wait->lock); /* the waiter may be gone from here on */
}

static void wait_init(Wait *wait)
{
    pthread_condattr_t attr;

    *wait = (Wait){ 0 };
    wait->last = &wait->first;
    pthread_mutex_init(&wait->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&wait->change, &attr);
    pthread_condattr_destroy(&attr);
}

static void wait_done(Wait *wait)
{
    while (wait->first) {
        Ended *ended = wait->first;
        wait->first = ended->next;
        ended_free(&ended);
    }
    pthread_cond_destroy(&wait->change);
    pthread_mutex_destroy(&wait->lock);
}

/* The next that has ended; NULL: all have. Cancels them when nobody wants to know any more. */
static Ended *wait_next(Wait *wait, Batch *batch, const VmafxHttpCall *call, bool *cancelled)
{
    Ended *ended = NULL;

    pthread_mutex_lock(&wait->lock);
    while (!wait->first && !wait->done) {
        struct timespec until;

        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += LOOK_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        if (pthread_cond_timedwait(&wait->change, &wait->lock, &until) != ETIMEDOUT || *cancelled)
            continue;
        pthread_mutex_unlock(&wait->lock);
        if (vmafx_http_call_cancelled(call)) {
            *cancelled = true;
            batch_cancel(batch);
        }
        pthread_mutex_lock(&wait->lock);
    }
    if (wait->first) {
        ended = wait->first;
        wait->first = ended->next;
        if (!wait->first)
            wait->last = &wait->first;
    }
    pthread_mutex_unlock(&wait->lock);
    return ended;
}

/* ---- documents ---- */

/** A file without a name, for what may not fit into memory. */
static FILE *scratch_file(const Server *server)
{
    const char *tmp = getenv("TMPDIR");
    const char *folder = server->scratch ? server->scratch : tmp && *tmp ? tmp : "/var/tmp";
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    FILE *file = fd >= 0 ? fdopen(fd, "w+") : NULL;

    if (fd >= 0 && !file)
        close(fd);
    return file;
}

static VmafxErr answer_scratch(VmafxHttpAnswer *answer, FILE **file, const char *type, VmafxErrInfo *reterr)
{
    int fd = -1;

    if (fflush(*file) || (fd = dup(fileno(*file))) < 0)
        return vmafx_fail(reterr, VMAFX_ERR_IO, "the answer cannot be written down: %s", strerror(errno));
    vmafx_fclose_p(file);
    return vmafx_http_answer_file(answer, 200, type, fd);
}

static VmafxErr unpack(const ScoringEnd *end, VmafxColumns *ret, VmafxErrInfo *reterr)
{
    return end->frames ? vmafx_columns_unpack(end->frames, end->frames_len, 0, ret, reterr) : VMAFX_OK;
}

static VmafxErr answer_report(const HttpAsked *asked, const ScoringEnd *end, VmafxHttpAnswer *answer,
                              VmafxErrInfo *reterr)
{
    static const char *const types[] = { [VMAFX_REPORT_JSON] = "application/json",
                                         [VMAFX_REPORT_NDJSON] = "application/x-ndjson",
                                         [VMAFX_REPORT_CSV] = "text/csv; charset=utf-8",
                                         [VMAFX_REPORT_REFERENCE_XML] = "application/xml" };
    VMAFX_AUTO(vmafx_columns_done) VmafxColumns columns = { 0 };
    VMAFX_AUTO(vmafx_stored_report_done) VmafxStoredReport report = { 0 };
    VMAFX_AUTO(vmafx_fclose_p) FILE *file = scratch_file(asked->server);
    VmafxErr err = file ? unpack(end, &columns, reterr)
                        : vmafx_fail(reterr, VMAFX_ERR_IO, "no scratch file for the report: %s", strerror(errno));

    if (err)
        return err;
    VMAFX_AUTO(vmafx_free_p) const double **list = calloc(columns.n + 1, sizeof *list);
    if (!list)
        return VMAFX_ERR_NOMEM;
    for (size_t c = 0; c < columns.n; c++)
        list[c] = columns.values + c * columns.n_rows;
    err = vmafx_stored_report_init(&report, end->outcome->result, list, columns.n, columns.n_rows);
    if (!err)
        err = vmafx_report_write(file, asked->format, &report.data);
    if (err)
        return vmafx_fail(reterr, err, "the report cannot be written: %s", vmafx_err_text(err));
    const char *type = (size_t)asked->format < VMAFX_LEN(types) ? types[asked->format] : NULL;
    return answer_scratch(answer, &file, type ? type : "text/plain", reterr);
}

typedef struct JsonAnswer {
    Vmafx__V1__ScoreAnswer message;
    char *text;
} JsonAnswer;

static VmafxErr make_json(void *ctx, Vmafx__V1__Frames *frames)
{
    JsonAnswer *json = ctx;

    json->message.frames = frames;
    json->text = vmafx_message_json(&json->message.base);
    return json->text ? VMAFX_OK : VMAFX_ERR_NOMEM;
}

static VmafxErr answer_json(const ScoringEnd *end, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_columns_done) VmafxColumns columns = { 0 };
    JsonAnswer json = { VMAFX__V1__SCORE_ANSWER__INIT, NULL };
    VmafxErr err = unpack(end, &columns, reterr);

    if (!err && columns.n * columns.n_rows > JSON_VALUES_MAX)
        err = vmafx_fail(reterr, VMAFX_ERR_LIMIT,
                         "the frames are too many for one JSON text: ask for ?format=ndjson, or for an event stream");
    if (err)
        return err;
    json.message.outcome = (Vmafx__V1__ScoreOutcome *)(uintptr_t)end->outcome;
    err = end->frames ? vmafx_frames_use(&columns, 0, columns.n_rows, make_json, &json) : make_json(&json, NULL);
    if (!err)
        err = vmafx_http_answer_text(answer, 200, "application/json", json.text);
    free(json.text);
    return err;
}

/* A problem with the class of the failure. The names of enums have no character that JSON would escape. */
static VmafxErr answer_failure(const Vmafx__V1__ScoreOutcome *outcome, VmafxHttpAnswer *answer)
{
    const char *message = *outcome->message ? outcome->message : NULL;
    VmafxErr err = vmafx_http_answer_error(answer, scoring_err_of(outcome->failure_class), message);
    const ProtobufCEnumValue *value =
        protobuf_c_enum_descriptor_get_value(&vmafx__v1__failure_class__descriptor, (int)outcome->failure_class);

    char *end = !err && value && answer->body ? strrchr(answer->body, '}') : NULL;
    if (!end)
        return err;
    *end = 0;
    char *body = vmafx_sprintf("%s,\"failure_class\":\"%s\"}\n", answer->body, value->name);
    if (!body)
        return VMAFX_ERR_NOMEM;
    free(answer->body);
    answer->body = body;
    answer->len = strlen(body);
    return VMAFX_OK;
}

static VmafxErr answer_one(const HttpAsked *asked, const Ended *ended, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    if (ended->err)
        return vmafx_fail(reterr, ended->err, "%s", ended->message);
    const ScoringEnd *end = scoring_end(ended->scoring);
    if (!end->outcome->result)
        return answer_failure(end->outcome, answer);
    return asked->has_format ? answer_report(asked, end, answer, reterr) : answer_json(end, answer, reterr);
}

/* ---- batches: a line for each event ---- */

typedef struct Lines {
    FILE *file;
    size_t index;
} Lines;

static VmafxErr write_line(Lines *lines, Vmafx__V1__ScoreEvent *event, const Ended *failed)
{
    Vmafx__V1__ScoreBatchEvent line = VMAFX__V1__SCORE_BATCH_EVENT__INIT;

    line.index = (int32_t)lines->index;
    line.event = event;
    if (failed) {
        line.error = (char *)(uintptr_t)vmafx_err_name(failed->err);
        line.message = (char *)(uintptr_t)failed->message;
    }
    VMAFX_AUTO(vmafx_free_p) char *json = vmafx_message_json(&line.base);
    if (!json)
        return VMAFX_ERR_NOMEM;
    return fprintf(lines->file, "%s\n", json) < 0 ? VMAFX_ERR_IO : VMAFX_OK;
}

static VmafxErr write_frames(void *ctx, Vmafx__V1__Frames *frames)
{
    Vmafx__V1__ScoreEvent event = VMAFX__V1__SCORE_EVENT__INIT;

    event.kind_case = VMAFX__V1__SCORE_EVENT__KIND_FRAMES;
    event.frames = frames;
    return write_line(ctx, &event, NULL);
}

static VmafxErr write_ended(Lines *lines, const Ended *ended, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_columns_done) VmafxColumns columns = { 0 };
    Vmafx__V1__ScoreEvent event = VMAFX__V1__SCORE_EVENT__INIT;

    lines->index = ended->index;
    if (ended->err)
        return write_line(lines, NULL, ended);
    const ScoringEnd *end = scoring_end(ended->scoring);
    event.kind_case = VMAFX__V1__SCORE_EVENT__KIND_OUTCOME;
    event.outcome = (Vmafx__V1__ScoreOutcome *)(uintptr_t)end->outcome;
    VmafxErr err = write_line(lines, &event, NULL);
    if (!err)
        err = unpack(end, &columns, reterr);
    for (uint64_t row = 0, n; row < columns.n_rows && !err; row += n) {
        n = VMAFX_MIN(vmafx_frames_rows(&columns), columns.n_rows - row);
        err = vmafx_frames_use(&columns, row, n, write_frames, lines);
    }
    return err;
}

/* ---- the answer ---- */

VmafxErr http_answer_document(HttpAsked *asked, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(batch_unref) Batch *batch = NULL;
    VMAFX_AUTO(vmafx_fclose_p) FILE *file = asked->batch ? scratch_file(asked->server) : NULL;
    Lines lines = { .file = file };
    bool cancelled = false;
    Wait wait;

    if (asked->batch && !file)
        return vmafx_fail(reterr, VMAFX_ERR_IO, "no scratch file for the answer: %s", strerror(errno));
    wait_init(&wait);
    VmafxErr err = http_begin(asked, false, &(BatchSink){ .ended = on_ended, .done = on_done, .ctx = &wait },
                              vmafx_context_current(), &batch, answer, reterr);
    bool begun = !err;
    Ended *ended;
    while (begun && (ended = wait_next(&wait, batch, call, &cancelled))) {
        if (!err && asked->batch)
            err = write_ended(&lines, ended, reterr);
        else if (!err)
            err = answer_one(asked, ended, answer, reterr);
        if (err && !cancelled) {
            cancelled = true;
            batch_cancel(batch); /* nothing more can come of it */
        }
        ended_free(&ended);
    }
    if (!err && wait.lost)
        err = VMAFX_ERR_NOMEM;
    wait_done(&wait);
    if (!err && asked->batch)
        err = answer_scratch(answer, &file, "application/x-ndjson", reterr);
    return err;
}
