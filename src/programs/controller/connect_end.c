/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Results in chunks, and the ends that refer to them. */

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "base/base.h"
#include "base/digest.h"
#include "base/text.h"
#include "otel/api/log.h"
#include "programs/controller/connect_internal.h"
#include "programs/controller/result.h"
#include "signals/signals.h"

#define CHUNK_BYTES_MAX ((size_t)1 << 20)
#define RESULT_TRIES    3                 /* a result that arrives damaged this often ends its attempt */
#define END_BYTES       ((size_t)4 << 10) /* what an end weighs beside its result */

static void end_ack(Session *session, const VmafxAttemptRef *ref, bool kept, bool resend)
{
    char text[VMAFX_JOB_ID_TEXT];
    Vmafx__V1__AttemptRef attempt = attempt_message(ref, text);
    Vmafx__V1__EndAck ack = VMAFX__V1__END_ACK__INIT;
    Vmafx__V1__ControllerMessage message = VMAFX__V1__CONTROLLER_MESSAGE__INIT;

    ack.attempt = &attempt;
    ack.kept = kept;
    ack.resend = resend;
    message.kind_case = VMAFX__V1__CONTROLLER_MESSAGE__KIND_END_ACK;
    message.end_ack = &ack;
    session_send(session, &message);
}

/** An end on its way to the disk; owns the result's bytes. */
typedef struct Ending {
    VmafxStoreOp op;
    Session *session;
    VmafxAttemptRef ref;
    uint8_t *result;
    size_t result_len, result_room;
    Toll toll;
    uint64_t start_ns;
    char message[VMAFX_JOB_MESSAGE_MAX];
    VmafxScoredList scored;
} Ending;

static void ending_free(Ending *ending)
{
    NodeTable *table = ending->session->table;

    free(ending->result);
    pthread_mutex_lock(&table->lock);
    partial_freed(table, ending->result_room);
    pthread_mutex_unlock(&table->lock);
    session_unref(&ending->session);
    free(ending);
}

static void ending_done(VmafxStoreOp *op)
{
    Ending *ending = op->ctx;
    Session *session = ending->session;
    NodeTable *table = session->table;
    VmafxErr err = op->err ? op->err : op->n_items ? op->items[0].err : VMAFX_ERR_INTERNAL;
    bool fenced = err == VMAFX_ERR_LEASE_LOST || err == VMAFX_ERR_NOT_FOUND || err == VMAFX_ERR_STATE;
    bool refused = err == VMAFX_ERR_INVALID;

    pthread_mutex_lock(&table->lock);
    Held *held = session_held(session, &ending->ref);
    if (!err || fenced || refused) {
        session_release(session, &ending->ref);
        end_ack(session, &ending->ref, !err, false);
    } else if (held) {
        held->ending = false;
        held->ask_again = true;
    }
    pthread_mutex_unlock(&table->lock);

    if (fenced)
        job_telemetry_fenced(table->config.telemetry);
    if (refused)
        end_for(table, session->name, &ending->ref, VMAFX_OUTCOME_FAILED, VMAFX_FAILURE_INTERNAL, false,
                "the node's report made no sense");
    if (!err && op->result.data)
        job_telemetry_stored(table->config.telemetry, &op->items[0].job, op->result.len, ending->start_ns,
                             wall_now_ns(), err);
    if (!err && op->report.complete) /* of a prefix it would say little */
        job_telemetry_scored(table->config.telemetry, &op->items[0].job, &ending->scored);
    if (err && !fenced)
        vmafx_log(table->config.log, VMAFX_ERROR,
                  "the end of an attempt could not be stored; its node will send it again",
                  VMAFX_ATTR_STR(VMAFX_KEY_NODE_NAME, session->name),
                  VMAFX_ATTR_STR(VMAFX_KEY_ERROR_TYPE, vmafx_err_name(err)));
    vmafx_store_op_done(op);
    toll_give(session, &ending->toll);
    ending_free(ending);
    table_dispatch(table);
}

/** The attempt's end is that its result cannot be kept. failure: NODE, another attempt may do better; INTERNAL */
static void refuse_result(Ending *ending, VmafxFailure failure, const char *fmt, ...) VMAFX_PRINTF(3, 4);

static void refuse_result(Ending *ending, VmafxFailure failure, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(ending->message, sizeof ending->message, fmt, args);
    va_end(args);
    vmafx_text_mend(ending->message);
    ending->op.report.outcome = VMAFX_OUTCOME_FAILED;
    ending->op.report.failure = failure;
    ending->op.report.may_pass = false;
    ending->op.report.has_result = ending->op.report.has_score = ending->op.report.complete = false;
    ending->op.result = (VmafxStoreBlob){ NULL, 0 };
}

static void fill_report(Ending *ending, const Vmafx__V1__TaskEnd *end)
{
    size_t len = end->result_bytes ? ending->result_len : 0;
    VmafxAttemptReport *report = &ending->op.report;
    VmafxErrInfo info = { 0 };
    double score = 0;
    bool complete = false;

    *report = (VmafxAttemptReport){
        .node = ending->session->name,
        .attempt = ending->ref.attempt,
        .outcome = (VmafxOutcome)end->outcome,
        .failure = (VmafxFailure)end->failure_class,
        .message = ending->message,
        .may_pass = end->may_pass,
    };
    vmafx_text_copy(ending->message, sizeof ending->message, end->message);
    if (!len) {
        if (report->outcome == VMAFX_OUTCOME_SUCCEEDED)
            refuse_result(ending, VMAFX_FAILURE_INTERNAL, "the node sent a result that cannot be kept: there is none");
        return;
    }
    ending->op.result = (VmafxStoreBlob){ ending->result, len };
    if (result_check(ending->result, len, &complete, &report->has_score, &score, &ending->scored, &info)) {
        refuse_result(ending, VMAFX_FAILURE_INTERNAL, "the node sent a result that cannot be kept: %.400s",
                      info.message);
        return;
    }
    report->has_result = true;
    report->score = score;
    report->complete = complete && report->outcome == VMAFX_OUTCOME_SUCCEEDED;
    if (!complete && report->outcome == VMAFX_OUTCOME_SUCCEEDED) { /* its node would have said so */
        report->outcome = VMAFX_OUTCOME_FAILED;
        report->failure = VMAFX_FAILURE_INPUT;
    }
}

/* ---- An end comes ---- */

typedef enum EndVerdict {
    END_TAKEN,
    END_TWICE,  /* the first one is on its way, and so is the answer to it */
    END_FENCED, /* not this session's; answered */
} EndVerdict;

/** Takes the attempt's chunks; from here on its end is on its way. */
static EndVerdict take_end(Session *session, Ending *ending, bool *ret_taken_away)
{
    NodeTable *table = session->table;
    EndVerdict verdict = END_FENCED;

    pthread_mutex_lock(&table->lock);
    Held *held = session_held(session, &ending->ref);
    if (held && held->ending)
        verdict = END_TWICE;
    else if (held) {
        verdict = END_TAKEN;
        *ret_taken_away = held->partial.taken_away;
        ending->result = partial_take(session, held, &ending->result_len, &ending->result_room);
        held->ending = true;
    } else
        end_ack(session, &ending->ref, false, false);
    pthread_mutex_unlock(&table->lock);
    return verdict;
}

static bool is_whole(const Vmafx__V1__TaskEnd *end, const Ending *ending)
{
    uint8_t digest[VMAFX_SHA256_BYTES];

    if (!end->result_bytes)
        return true;
    if (end->result_bytes != (int64_t)ending->result_len || end->result_sha256.len != sizeof digest)
        return false;
    vmafx_sha256(ending->result, ending->result_len, digest);
    return !memcmp(digest, end->result_sha256.data, sizeof digest);
}

/** Asks for the whole again: at the next tick where our own memory was the reason. */
static void ask_again(Session *session, const VmafxAttemptRef *ref, bool later)
{
    pthread_mutex_lock(&session->table->lock);
    Held *held = session_held(session, ref);
    if (held) {
        held->ending = false;
        held->ask_again = later;
    }
    if (!later || !held)
        end_ack(session, ref, false, held != NULL);
    pthread_mutex_unlock(&session->table->lock);
}

/** There is no memory to take its end now. */
static void ask_later(Session *session, const VmafxAttemptRef *ref)
{
    pthread_mutex_lock(&session->table->lock);
    Held *held = session_held(session, ref);
    if (held && !held->ending)
        held->ask_again = true;
    pthread_mutex_unlock(&session->table->lock);
}

/** How often this one came damaged. */
static unsigned count_damaged(Session *session, const VmafxAttemptRef *ref)
{
    pthread_mutex_lock(&session->table->lock);
    Held *held = session_held(session, ref);
    unsigned n = held ? ++held->damaged : 0;
    pthread_mutex_unlock(&session->table->lock);
    return n;
}

static void free_slot(Session *session, bool handed_back)
{
    pthread_mutex_lock(&session->table->lock);
    if (handed_back && !session->draining)
        session->slots_free = 0; /* it had no room; its next heartbeat says when it has */
    else
        session->slots_free = VMAFX_MIN(session->slots_free + 1, session->slots);
    pthread_mutex_unlock(&session->table->lock);
}

/** False: it is to be sent again. */
static bool look_at_result(Session *session, Ending *ending, const Vmafx__V1__TaskEnd *end, bool taken_away)
{
    bool too_long = end->result_bytes > (int64_t)RESULT_BYTES_MAX;

    if (!too_long && !is_whole(end, ending)) {
        if (taken_away || count_damaged(session, &ending->ref) < RESULT_TRIES) {
            ask_again(session, &ending->ref, taken_away);
            return false;
        }
        fill_report(ending, end);
        refuse_result(ending, VMAFX_FAILURE_NODE,
                      "the node's result arrived damaged %d times: %zu of %" PRId64 " bytes came, or others than it "
                      "announced",
                      RESULT_TRIES, ending->result_len, end->result_bytes);
        return true;
    }
    fill_report(ending, end);
    if (too_long)
        refuse_result(ending, VMAFX_FAILURE_INTERNAL,
                      "the node's result has %" PRId64 " bytes, more than the %zu that are kept", end->result_bytes,
                      RESULT_BYTES_MAX);
    return true;
}

void connect_end(Session *session, const Vmafx__V1__TaskEnd *end)
{
    NodeTable *table = session->table;
    VmafxAttemptRef ref;
    bool taken_away = false;

    if (!attempt_from(end->attempt, &ref)) {
        connect_refuse(session, VMAFX_ERR_INVALID, "end.attempt: missing, or not one");
        return;
    }
    Ending *ending = calloc(1, sizeof *ending);
    if (!ending) {
        ask_later(session, &ref);
        return;
    }
    ending->ref = ref;
    ending->start_ns = wall_now_ns();
    ending->session = session_ref(session);
    EndVerdict verdict = take_end(session, ending, &taken_away);
    if (verdict == END_FENCED)
        job_telemetry_fenced(table->config.telemetry);
    if (verdict != END_TAKEN || !look_at_result(session, ending, end, taken_away)) {
        ending_free(ending);
        return;
    }
    free_slot(session, end->outcome == VMAFX__V1__ATTEMPT_OUTCOME__ATTEMPT_OUTCOME_HANDED_BACK);
    ending->op.kind = VMAFX_STORE_END;
    ending->op.job = ending->ref.job;
    ending->op.done = ending_done;
    ending->op.ctx = ending;
    ending->toll = toll_take(session, END_BYTES + ending->result_len);
    vmafx_store_submit_op(table->config.store, &ending->op);
}

/* ---- Chunks ---- */

void connect_chunk(Session *session, const Vmafx__V1__ResultChunk *chunk)
{
    NodeTable *table = session->table;
    VmafxAttemptRef ref;
    VmafxErrInfo info = { 0 };

    if (!attempt_from(chunk->attempt, &ref)) {
        connect_refuse(session, VMAFX_ERR_INVALID, "result.attempt: missing, or not one");
        return;
    }
    if (chunk->data.len > CHUNK_BYTES_MAX) {
        connect_refuse(session,
                       vmafx_fail(&info, VMAFX_ERR_LIMIT, "result.data: %zu bytes in one message, more than %zu",
                                  chunk->data.len, CHUNK_BYTES_MAX),
                       info.message);
        return;
    }
    pthread_mutex_lock(&table->lock);
    Held *held = session_held(session, &ref);
    if (held && !held->ending) /* else its end is answered, or will be */
        partial_add(table, session, held, chunk->offset, chunk->data.data, chunk->data.len);
    pthread_mutex_unlock(&table->lock);
}
