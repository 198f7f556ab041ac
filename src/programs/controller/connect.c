/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Fleet.Connect: what one node says, and what it is answered. Callbacks of a stream come one at a time. */

#include <inttypes.h>
#include <string.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/digest.h"
#include "otel/api/log.h"
#include "programs/controller/convert.h"
#include "programs/controller/nodes_internal.h"
#include "programs/controller/result.h"
#include "signals/signals.h"

#define PROTOCOL_VERSION 1
#define PROTOCOL_OLDEST  1
#define HELD_MAX         4096 /* attempts in one message */
#define SLOTS_MAX        256

static void refuse(Session *session, VmafxErr err, const char *message)
{
    vmafx_log(session->table->config.log, VMAFX_WARN, "node refused",
              VMAFX_ATTR_STR(VMAFX_KEY_NODE_NAME, session->name),
              VMAFX_ATTR_STR(VMAFX_KEY_CLIENT_ADDRESS, vmafx_rpc_stream_peer(session->stream)->address),
              VMAFX_ATTR_STR(VMAFX_KEY_EXCEPTION_MESSAGE, message));
    vmafx_rpc_stream_finish(session->stream, err, message);
}

/* ---- Hello ---- */

#define HELLO_TEXT_MAX 128

static VmafxErr check_texts(char *const *texts, size_t n, size_t max, const char *field, VmafxErrInfo *info)
{
    if (n > max)
        return vmafx_fail(info, VMAFX_ERR_INVALID, "hello.%s: more than %zu", field, max);
    for (size_t i = 0; i < n; i++)
        if (strlen(texts[i]) > HELLO_TEXT_MAX || text_has_controls(texts[i]))
            return vmafx_fail(info, VMAFX_ERR_INVALID, "hello.%s: longer than %d bytes, or with a control character",
                              field, HELLO_TEXT_MAX);
    return VMAFX_OK;
}

static VmafxErr check_hello_texts(const Vmafx__V1__Hello *hello, VmafxErrInfo *info)
{
    VmafxErr err = check_texts(&hello->version, 1, 1, "version", info);

    if (!err)
        err = check_texts(&hello->cpu_level, 1, 1, "cpu_level", info);
    if (!err)
        err = check_texts(hello->models, hello->n_models, NODE_MODELS_MAX, "models", info);
    if (!err)
        err = check_texts(hello->encoders, hello->n_encoders, NODE_ENCODERS_MAX, "encoders", info);
    if (!err)
        err = check_texts(hello->backends, hello->n_backends, NODE_BACKENDS_MAX, "backends", info);
    return err;
}

static bool copy_texts(char *const *from, size_t n, char **to, size_t max, size_t *ret_n)
{
    for (size_t i = 0; i < VMAFX_MIN(n, max); i++) {
        if (!(to[i] = vmafx_strdup(from[i])))
            return false;
        *ret_n = i + 1;
    }
    return true;
}

static VmafxErr check_hello(Session *session, const Vmafx__V1__Hello *hello, VmafxErrInfo *info)
{
    const NodeTableConfig *config = &session->table->config;

    if (session->greeted)
        return vmafx_fail(info, VMAFX_ERR_INVALID, "hello: said twice on one stream");
    if (hello->protocol_version < PROTOCOL_OLDEST || hello->protocol_version > PROTOCOL_VERSION + 1)
        return vmafx_fail(
            info, VMAFX_ERR_UNSUPPORTED,
            "hello.protocol_version: %d; this controller speaks %d. Bring node and controller to versions "
            "at most one apart",
            hello->protocol_version, PROTOCOL_VERSION);
    if (!vmafx_node_name_is_valid(hello->name))
        return vmafx_fail(info, VMAFX_ERR_INVALID, "hello.name: '%.64s' is not [A-Za-z0-9._-]{1,63}", hello->name);
    if (hello->slots < 1 || hello->slots > SLOTS_MAX)
        return vmafx_fail(info, VMAFX_ERR_INVALID, "hello.slots: %d is not within 1 and %d", hello->slots, SLOTS_MAX);
    if (hello->n_held > HELD_MAX)
        return vmafx_fail(info, VMAFX_ERR_INVALID, "hello.held: more than %d", HELD_MAX);
    if (hello->memory_bytes < 0)
        return vmafx_fail(info, VMAFX_ERR_INVALID, "hello.memory_bytes: below 0");
    VmafxErr err = check_hello_texts(hello, info);
    if (err)
        return err;
    return config->allow ? config->allow(config->allow_ctx, vmafx_rpc_stream_peer(session->stream), hello->name, info)
                         : VMAFX_OK;
}

static bool take_hello(Session *session, const Vmafx__V1__Hello *hello)
{
    session->greeted = true;
    snprintf(session->name, sizeof session->name, "%s", hello->name);
    session->version = vmafx_strdup(hello->version);
    session->cpu_level = vmafx_strdup(hello->cpu_level);
    session->address = vmafx_strdup(vmafx_rpc_stream_peer(session->stream)->address);
    session->slots = session->slots_free = (uint32_t)hello->slots;
    session->memory_mib = hello->memory_bytes >> 20;
    session->draining = hello->draining;
    session->encoders_later = hello->encoders_later && !hello->n_encoders;
    session->connected = session->seen = vmafx_store_now(session->table->config.store);
    session->seen_ns = vmafx_monotonic_ns();
    return session->version && session->cpu_level && session->address &&
           copy_texts(hello->models, hello->n_models, session->models, NODE_MODELS_MAX, &session->n_models) &&
           copy_texts(hello->encoders, hello->n_encoders, session->encoders, NODE_ENCODERS_MAX, &session->n_encoders) &&
           copy_texts(hello->backends, hello->n_backends, session->backends, NODE_BACKENDS_MAX, &session->n_backends);
}

/** Takes the place of an earlier stream of that node. */
static VmafxErr enlist(Session *session, VmafxErrInfo *info)
{
    NodeTable *table = session->table;
    VMAFX_AUTO(session_unref) Session *old = NULL;
    VmafxErr err = VMAFX_OK;

    pthread_mutex_lock(&table->lock);
    Session *found = table_find(table, session->name);
    if (found) {
        old = session_ref(found);
        found->gone = true;
        table_remove(table, found);
    }
    if (table->n_sessions == VMAFX_FLEET_NODES_MAX)
        err = vmafx_fail(info, VMAFX_ERR_BUSY, "this controller has %d nodes already", VMAFX_FLEET_NODES_MAX);
    else {
        table->sessions[table->n_sessions++] = session_ref(session);
        session->listed = true;
    }
    pthread_mutex_unlock(&table->lock);
    if (old)
        vmafx_rpc_stream_finish(old->stream, VMAFX_ERR_LEASE_LOST, "another stream of this node has taken over");
    return err;
}

typedef struct Returned {
    VmafxAttemptRef *said, *stored;
    VmafxReturn *verdicts;
    size_t n_said, n_stored, n;
    VmafxStoredJobs jobs;
} Returned;

static void returned_done(Returned *r)
{
    free(r->said);
    free(r->stored);
    free(r->verdicts);
    vmafx_stored_jobs_done(&r->jobs);
}

/** What it says it holds against what the store says. */
static VmafxErr compare_held(Session *session, const Vmafx__V1__Hello *hello, Returned *r)
{
    VmafxErr err = vmafx_store_held(session->table->config.store, session->name, &r->jobs);

    if (err)
        return err;
    r->said = calloc(hello->n_held + 1, sizeof *r->said);
    r->stored = calloc(r->jobs.n + 1, sizeof *r->stored);
    r->verdicts = calloc(hello->n_held + r->jobs.n + 1, sizeof *r->verdicts);
    if (!r->said || !r->stored || !r->verdicts)
        return VMAFX_ERR_NOMEM;
    for (size_t i = 0; i < hello->n_held; i++)
        r->n_said += attempt_from(hello->held[i], &r->said[r->n_said]);
    for (size_t i = 0; i < r->jobs.n; i++)
        r->stored[r->n_stored++] = (VmafxAttemptRef){ r->jobs.items[i].job.id, r->jobs.items[i].job.task.attempt };
    r->n = vmafx_node_return(r->said, r->n_said, r->stored, r->n_stored, r->verdicts);
    return VMAFX_OK;
}

static int32_t need_of(const Returned *r, const VmafxAttemptRef *ref)
{
    for (size_t i = 0; i < r->jobs.n; i++)
        if (!memcmp(r->jobs.items[i].job.id.bytes, ref->job.bytes, sizeof ref->job.bytes))
            return r->jobs.items[i].job.need_memory_mib;
    return 0;
}

static void renew_later(Session *session, const VmafxAttemptRef *refs, size_t n, int64_t sequence, bool answer);

static VmafxErr welcome(Session *session, const Returned *r)
{
    NodeTable *table = session->table;
    Vmafx__V1__Welcome message = VMAFX__V1__WELCOME__INIT;
    Vmafx__V1__ControllerMessage told = VMAFX__V1__CONTROLLER_MESSAGE__INIT;
    VMAFX_AUTO(vmafx_free_p) Vmafx__V1__AttemptRef *lost = calloc(r->n + 1, sizeof *lost);
    VMAFX_AUTO(vmafx_free_p) Vmafx__V1__AttemptRef **list = calloc(r->n + 1, sizeof(Vmafx__V1__AttemptRef *));
    char(*ids)[VMAFX_JOB_ID_TEXT] = calloc(r->n + 1, sizeof *ids);
    bool ok = lost && list && ids;

    pthread_mutex_lock(&table->lock);
    for (size_t i = 0; ok && i < r->n; i++) {
        if (r->verdicts[i].verdict == VMAFX_RETURN_KEPT)
            ok = session_hold(session, &r->verdicts[i].ref, need_of(r, &r->verdicts[i].ref));
        if (r->verdicts[i].verdict != VMAFX_RETURN_LOST)
            continue;
        lost[message.n_lost] = attempt_message(&r->verdicts[i].ref, ids[message.n_lost]);
        list[message.n_lost] = &lost[message.n_lost];
        message.n_lost++;
    }
    message.protocol_version = PROTOCOL_VERSION;
    message.controller = (char *)table->config.controller;
    message.lease_ms = table->config.lease_ms;
    message.heartbeat_ms = table->config.heartbeat_ms;
    message.lost = list;
    told.kind_case = VMAFX__V1__CONTROLLER_MESSAGE__KIND_WELCOME;
    told.welcome = &message;
    if (ok) {
        session_send(session, &told);
        session->ready = true;
    }
    pthread_mutex_unlock(&table->lock);
    free(ids);
    return ok ? VMAFX_OK : VMAFX_ERR_NOMEM;
}

static void on_hello(Session *session, const Vmafx__V1__Hello *hello)
{
    NodeTable *table = session->table;
    VMAFX_AUTO(returned_done) Returned returned = { 0 };
    VMAFX_AUTO(vmafx_free_p) VmafxAttemptRef *kept = NULL;
    VmafxErrInfo info = { 0 };
    size_t n_kept = 0;
    VmafxErr err = check_hello(session, hello, &info);

    if (!err && !take_hello(session, hello))
        err = VMAFX_ERR_NOMEM;
    if (!err)
        err = enlist(session, &info);
    if (!err)
        err = compare_held(session, hello, &returned);
    if (!err)
        err = welcome(session, &returned);
    if (!err && !(kept = calloc(returned.n + 1, sizeof *kept)))
        err = VMAFX_ERR_NOMEM;
    if (!err && !(session->missing = calloc(returned.n + 1, sizeof *session->missing)))
        err = VMAFX_ERR_NOMEM;
    if (err) {
        refuse(session, err, *info.message ? info.message : vmafx_err_text(err));
        return;
    }
    for (size_t i = 0; i < returned.n; i++) {
        if (returned.verdicts[i].verdict == VMAFX_RETURN_MISSING)
            session->missing[session->n_missing++] = returned.verdicts[i].ref;
        else if (returned.verdicts[i].verdict == VMAFX_RETURN_KEPT)
            kept[n_kept++] = returned.verdicts[i].ref;
    }
    if (n_kept)
        renew_later(session, kept, n_kept, 0, false);
    vmafx_log(table->config.log, VMAFX_INFO, "node connected", VMAFX_ATTR_STR(VMAFX_KEY_NODE_NAME, session->name),
              VMAFX_ATTR_STR(VMAFX_KEY_CLIENT_ADDRESS, session->address));
    table_dispatch(table);
}

/* ---- Heartbeat ---- */

typedef struct Renewal {
    VmafxStoreOp op;
    Session *session;
    int64_t sequence;
    bool answer;
    VmafxAttemptRef held[];
} Renewal;

static void heartbeat_ack(Session *session, int64_t sequence, const VmafxAttemptRef *lost, size_t n)
{
    Vmafx__V1__HeartbeatAck ack = VMAFX__V1__HEARTBEAT_ACK__INIT;
    Vmafx__V1__ControllerMessage message = VMAFX__V1__CONTROLLER_MESSAGE__INIT;
    VMAFX_AUTO(vmafx_free_p) Vmafx__V1__AttemptRef *refs = calloc(n + 1, sizeof *refs);
    VMAFX_AUTO(vmafx_free_p) Vmafx__V1__AttemptRef **list = calloc(n + 1, sizeof(Vmafx__V1__AttemptRef *));
    char(*ids)[VMAFX_JOB_ID_TEXT] = calloc(n + 1, sizeof *ids);

    for (size_t i = 0; refs && list && ids && i < n; i++) {
        refs[i] = attempt_message(&lost[i], ids[i]);
        list[i] = &refs[i];
        ack.n_lost = i + 1;
    }
    ack.sequence = sequence;
    ack.lost = list;
    message.kind_case = VMAFX__V1__CONTROLLER_MESSAGE__KIND_HEARTBEAT_ACK;
    message.heartbeat_ack = &ack;
    session_send(session, &message);
    free(ids);
}

static void renewal_done(VmafxStoreOp *op)
{
    Renewal *renewal = op->ctx;
    Session *session = renewal->session;
    NodeTable *table = session->table;
    VMAFX_AUTO(vmafx_free_p) VmafxAttemptRef *lost = calloc(op->n_held + 1, sizeof *lost);
    size_t n = 0;

    pthread_mutex_lock(&table->lock);
    for (size_t i = 0; !op->err && lost && i < op->n_items && i < op->n_held; i++) {
        Held *held = session_held(session, &renewal->held[i]);
        if (op->items[i].err != VMAFX_ERR_LEASE_LOST && op->items[i].err != VMAFX_ERR_NOT_FOUND)
            continue;
        if (held && held->ending)
            continue; /* its own end was faster; the answer to that is on its way */
        session_release(session, &renewal->held[i]);
        lost[n++] = renewal->held[i];
    }
    if (renewal->answer || n)
        heartbeat_ack(session, renewal->sequence, lost, n);
    pthread_mutex_unlock(&table->lock);
    vmafx_store_op_done(op);
    session_unref(&renewal->session);
    free(renewal);
}

static void renew_later(Session *session, const VmafxAttemptRef *refs, size_t n, int64_t sequence, bool answer)
{
    Renewal *renewal = calloc(1, sizeof *renewal + n * sizeof *refs);

    if (!renewal)
        return; /* the next heartbeat tries again */
    memcpy(renewal->held, refs, n * sizeof *refs);
    renewal->session = session_ref(session);
    renewal->sequence = sequence;
    renewal->answer = answer;
    renewal->op = (VmafxStoreOp){
        .kind = VMAFX_STORE_RENEW,
        .node = session->name,
        .held = renewal->held,
        .n_held = n,
        .done = renewal_done,
        .ctx = renewal,
    };
    vmafx_store_submit_op(session->table->config.store, &renewal->op);
}

/** What is said from outside, as a fraction. */
static double fraction(double v)
{
    return v >= 0 && v <= 1 ? v : v > 1 ? 1 : 0; /* NaN: 0 */
}

static void take_load(Session *session, const Vmafx__V1__Load *load)
{
    session->cpu = fraction(load->cpu);
    session->memory_used = load->memory_used_bytes;
    session->memory_total = load->memory_total_bytes;
    session->n_gpus = VMAFX_MIN(load->n_gpus, NODE_GPUS_MAX);
    for (size_t i = 0; i < session->n_gpus; i++) {
        snprintf(session->gpus[i].id, sizeof session->gpus[i].id, "%s", load->gpus[i]->id);
        session->gpus[i].utilization = fraction(load->gpus[i]->utilization);
        session->gpus[i].used = load->gpus[i]->memory_used_bytes;
        session->gpus[i].total = load->gpus[i]->memory_total_bytes;
    }
}

static bool names(const VmafxAttemptRef *refs, size_t n, const VmafxAttemptRef *ref)
{
    for (size_t i = 0; i < n; i++)
        if (vmafx_attempt_same(&refs[i], ref))
            return true;
    return false;
}

/**
 * What the store gives to this node and the node does not know of, neither at hello nor now. Not at hello alone: one
 * that we read late, after standing still, may be older than what the node has been given since.
 */
static void end_missing(Session *session, const VmafxAttemptRef *refs, size_t n)
{
    for (size_t i = 0; i < session->n_missing; i++)
        if (!names(refs, n, &session->missing[i]))
            end_for(session->table, session->name, &session->missing[i], VMAFX_OUTCOME_FAILED, VMAFX_FAILURE_NODE,
                    false, "the node came back without it");
    session->n_missing = 0;
}

static void on_heartbeat(Session *session, const Vmafx__V1__Heartbeat *heartbeat)
{
    NodeTable *table = session->table;
    size_t n_said = VMAFX_MIN(heartbeat->n_held, HELD_MAX), n = 0;
    VMAFX_AUTO(vmafx_free_p) VmafxAttemptRef *refs = calloc(n_said + 1, sizeof *refs);

    if (!refs)
        return;
    for (size_t i = 0; i < n_said; i++)
        n += attempt_from(heartbeat->held[i], &refs[n]);
    end_missing(session, refs, n);
    pthread_mutex_lock(&table->lock);
    session->slots_free = (uint32_t)VMAFX_MAX(0, VMAFX_MIN(heartbeat->slots_free, (int32_t)session->slots));
    if (heartbeat->load)
        take_load(session, heartbeat->load);
    if (!n)
        heartbeat_ack(session, heartbeat->sequence, NULL, 0);
    pthread_mutex_unlock(&table->lock);
    if (n)
        renew_later(session, refs, n, heartbeat->sequence, true);
    table_dispatch(table);
}

/* ---- Results and ends ---- */

static void on_chunk(Session *session, const Vmafx__V1__ResultChunk *chunk)
{
    NodeTable *table = session->table;
    VmafxAttemptRef ref;

    if (!attempt_from(chunk->attempt, &ref))
        return;
    pthread_mutex_lock(&table->lock);
    Held *held = session_held(session, &ref);
    if (held && chunk->offset == 0)
        held->result_len = 0; /* from the start, again */
    if (held && !held->ending && chunk->offset == (int64_t)held->result_len &&
        chunk->data.len <= RESULT_BYTES_MAX - held->result_len) {
        size_t want = held->result_len + chunk->data.len;
        if (want > held->result_room) {
            size_t room = VMAFX_MAX(want, VMAFX_MIN(2 * held->result_room, RESULT_BYTES_MAX));
            uint8_t *more = realloc(held->result, room);
            if (more) {
                held->result = more;
                held->result_room = room;
            }
        }
        if (want <= held->result_room) {
            memcpy(held->result + held->result_len, chunk->data.data, chunk->data.len);
            held->result_len = want;
        } /* else the digest will not fit, and the node sends it again */
    }
    pthread_mutex_unlock(&table->lock);
}

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
    uint64_t start_ns;
    char message[VMAFX_JOB_MESSAGE_MAX], model[64];
} Ending;

static void ending_free(Ending *ending)
{
    session_unref(&ending->session);
    free(ending->result);
    free(ending);
}

static void ending_done(VmafxStoreOp *op)
{
    Ending *ending = op->ctx;
    Session *session = ending->session;
    NodeTable *table = session->table;
    VmafxErr err = op->err ? op->err : op->n_items ? op->items[0].err : VMAFX_ERR_INTERNAL;
    bool fenced = err == VMAFX_ERR_LEASE_LOST || err == VMAFX_ERR_NOT_FOUND || err == VMAFX_ERR_STATE;
    bool refused = err == VMAFX_ERR_INVALID || err == VMAFX_ERR_LIMIT;

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
    if (!err && op->report.has_score)
        job_telemetry_score(table->config.telemetry, &op->items[0].job, ending->model, op->report.score);
    if (err && !fenced)
        vmafx_log(table->config.log, VMAFX_ERROR,
                  "the end of an attempt could not be stored; its node will send it again",
                  VMAFX_ATTR_STR(VMAFX_KEY_NODE_NAME, session->name),
                  VMAFX_ATTR_STR(VMAFX_KEY_ERROR_TYPE, vmafx_err_name(err)));
    vmafx_store_op_done(op);
    ending_free(ending);
    table_dispatch(table);
}

static bool digest_fits(const Vmafx__V1__TaskEnd *end, const uint8_t *data, size_t len)
{
    uint8_t digest[VMAFX_SHA256_BYTES];

    if (end->result_bytes != (int64_t)len || end->result_sha256.len != sizeof digest)
        return false;
    vmafx_sha256(data, len, digest);
    return !memcmp(digest, end->result_sha256.data, sizeof digest);
}

static void refuse_result(Ending *ending, const VmafxErrInfo *info)
{
    snprintf(ending->message, sizeof ending->message, "the node sent a result that cannot be kept: %.400s",
             info->message);
    ending->op.report.outcome = VMAFX_OUTCOME_FAILED;
    ending->op.report.failure = VMAFX_FAILURE_INTERNAL;
    ending->op.report.may_pass = false;
    ending->op.report.has_result = ending->op.report.has_score = ending->op.report.complete = false;
    ending->op.result = (VmafxStoreBlob){ NULL, 0 };
}

static void fill_report(Ending *ending, const Vmafx__V1__TaskEnd *end, size_t len)
{
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
    snprintf(ending->message, sizeof ending->message, "%s", end->message);
    if (!len) {
        if (report->outcome == VMAFX_OUTCOME_SUCCEEDED)
            refuse_result(ending, &(VmafxErrInfo){ "there is none" });
        return;
    }
    ending->op.result = (VmafxStoreBlob){ ending->result, len };
    if (result_check(ending->result, len, &complete, &report->has_score, &score, ending->model, sizeof ending->model,
                     &info)) {
        refuse_result(ending, &info);
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

typedef enum EndVerdict { END_TAKEN, END_TWICE, END_FENCED } EndVerdict;

/** Takes the attempt's chunks; from here on its end is on its way. */
static EndVerdict take_end(Session *session, Ending *ending, size_t *ret_len)
{
    NodeTable *table = session->table;
    EndVerdict verdict = END_FENCED;

    pthread_mutex_lock(&table->lock);
    Held *held = session_held(session, &ending->ref);
    if (held && held->ending)
        verdict = END_TWICE;
    else if (held) {
        verdict = END_TAKEN;
        ending->result = VMAFX_TAKE(held->result);
        *ret_len = held->result_len;
        held->result_len = held->result_room = 0;
        held->ending = true;
    } else
        end_ack(session, &ending->ref, false, false); /* not this session's */
    pthread_mutex_unlock(&table->lock);
    return verdict;
}

/** The node's slot is free, or the whole is to be sent again. */
static void settle_end(Session *session, const Ending *ending, const Vmafx__V1__TaskEnd *end, bool good)
{
    NodeTable *table = session->table;

    pthread_mutex_lock(&table->lock);
    Held *held = session_held(session, &ending->ref);
    if (!good) {
        if (held)
            held->ending = false;
        end_ack(session, &ending->ref, false, true);
    } else if (end->outcome == VMAFX__V1__ATTEMPT_OUTCOME__ATTEMPT_OUTCOME_HANDED_BACK && !session->draining)
        session->slots_free = 0; /* it had no room; its next heartbeat says when it has */
    else
        session->slots_free = VMAFX_MIN(session->slots_free + 1, session->slots);
    pthread_mutex_unlock(&table->lock);
}

static void on_end(Session *session, const Vmafx__V1__TaskEnd *end)
{
    NodeTable *table = session->table;
    Ending *ending = calloc(1, sizeof *ending);
    size_t len = 0;

    if (!ending || !attempt_from(end->attempt, &ending->ref)) {
        free(ending);
        return;
    }
    ending->start_ns = wall_now_ns();
    ending->session = session_ref(session);
    EndVerdict verdict = take_end(session, ending, &len);
    bool good = verdict == END_TAKEN && (!end->result_bytes || digest_fits(end, ending->result, len));
    if (verdict == END_TAKEN)
        settle_end(session, ending, end, good);
    if (verdict == END_FENCED)
        job_telemetry_fenced(table->config.telemetry);
    if (!good) {
        ending_free(ending);
        return;
    }
    ending->op.kind = VMAFX_STORE_END;
    ending->op.job = ending->ref.job;
    ending->op.done = ending_done;
    ending->op.ctx = ending;
    fill_report(ending, end, end->result_bytes ? len : 0);
    vmafx_store_submit_op(table->config.store, &ending->op);
}

/* ---- The stream ---- */

static void on_progress(Session *session, const Vmafx__V1__TaskProgress *progress)
{
    NodeTable *table = session->table;
    VmafxAttemptRef ref;

    if (!progress->progress || !attempt_from(progress->attempt, &ref))
        return;
    pthread_mutex_lock(&table->lock);
    bool known = session_held(session, &ref) != NULL;
    pthread_mutex_unlock(&table->lock);
    if (known)
        watch_hub_progress(table->config.hub, &ref.job, progress->progress, vmafx_monotonic_ns());
}

static void on_draining(Session *session, const Vmafx__V1__Draining *draining)
{
    NodeTable *table = session->table;

    pthread_mutex_lock(&table->lock);
    session->draining = true;
    pthread_mutex_unlock(&table->lock);
    vmafx_log(table->config.log, VMAFX_INFO, "node is draining", VMAFX_ATTR_STR(VMAFX_KEY_NODE_NAME, session->name));
}

/** The names are fixed from now on: whoever looks at them has the number of them from under the lock. */
static void on_encoders(Session *session, const Vmafx__V1__NodeEncoders *encoders)
{
    NodeTable *table = session->table;
    VmafxErrInfo info = { 0 };
    size_t n = 0;

    if (!session->encoders_later)
        return; /* said already */
    VmafxErr err = check_texts(encoders->names, encoders->n_names, NODE_ENCODERS_MAX, "encoders", &info);
    if (!err && !copy_texts(encoders->names, encoders->n_names, session->encoders, NODE_ENCODERS_MAX, &n))
        err = VMAFX_ERR_NOMEM;
    pthread_mutex_lock(&table->lock);
    session->n_encoders = n;
    session->encoders_later = false;
    pthread_mutex_unlock(&table->lock);
    if (err)
        refuse(session, err, *info.message ? info.message : vmafx_err_text(err));
}

static VmafxErr connect_open(void *ctx, VmafxRpcStream *stream, void **ret_state, VmafxErrInfo *reterr)
{
    Session *session = calloc(1, sizeof *session);

    if (!session)
        return VMAFX_ERR_NOMEM;
    session->table = ctx;
    session->refs = 1;
    session->stream = vmafx_rpc_stream_ref(stream);
    *ret_state = session;
    return VMAFX_OK;
}

/** False when it is not in the table. */
static bool note_seen(Session *session)
{
    NodeTable *table = session->table;

    pthread_mutex_lock(&table->lock);
    bool listed = session->listed;
    session->seen_ns = vmafx_monotonic_ns();
    session->seen = vmafx_store_now(table->config.store);
    pthread_mutex_unlock(&table->lock);
    return listed;
}

static void connect_message(void *state, VmafxRpcStream *stream, const void *data, size_t len)
{
    Session *session = state;
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
    VmafxErrInfo info = { 0 };
    VmafxErr err = vmafx_message_unpack(&vmafx__v1__node_message__descriptor, data, len, 0, &message, &info);

    if (err) {
        refuse(session, err, info.message);
        return;
    }
    const Vmafx__V1__NodeMessage *m = vmafx_message_get(message);
    if (m->kind_case != VMAFX__V1__NODE_MESSAGE__KIND_HELLO && !session->greeted) {
        refuse(session, VMAFX_ERR_INVALID, "the first message of a node is hello");
        return;
    }
    if (session->greeted && !note_seen(session))
        return; /* not in the table: refused, or another stream has taken over; this one's end is decided */
    switch (m->kind_case) {
    case VMAFX__V1__NODE_MESSAGE__KIND_HELLO:
        on_hello(session, m->hello);
        break;
    case VMAFX__V1__NODE_MESSAGE__KIND_HEARTBEAT:
        on_heartbeat(session, m->heartbeat);
        break;
    case VMAFX__V1__NODE_MESSAGE__KIND_PROGRESS:
        on_progress(session, m->progress);
        break;
    case VMAFX__V1__NODE_MESSAGE__KIND_RESULT:
        on_chunk(session, m->result);
        break;
    case VMAFX__V1__NODE_MESSAGE__KIND_END:
        on_end(session, m->end);
        break;
    case VMAFX__V1__NODE_MESSAGE__KIND_DRAINING:
        on_draining(session, m->draining);
        break;
    case VMAFX__V1__NODE_MESSAGE__KIND_ENCODERS:
        on_encoders(session, m->encoders);
        break;
    default:
        break; /* a newer version's message: passed over */
    }
}

static void connect_half_closed(void *state, VmafxRpcStream *stream)
{
    vmafx_rpc_stream_finish(stream, VMAFX_OK, NULL); /* a node that has said all it had to say */
}

static void connect_closed(void *state, VmafxRpcStream *stream)
{
    Session *session = state;
    NodeTable *table = session->table;

    pthread_mutex_lock(&table->lock);
    bool was_here = session->listed && !session->gone;
    bool leaves = session->draining && !session->n_held;
    session->gone = true;
    if (was_here && leaves)
        table_remove(table, session); /* it drained and left: nobody misses it */
    pthread_mutex_unlock(&table->lock);
    if (was_here)
        vmafx_log(table->config.log, leaves ? VMAFX_INFO : VMAFX_WARN, leaves ? "node left" : "node lost",
                  VMAFX_ATTR_STR(VMAFX_KEY_NODE_NAME, session->name));
    session_unref(&session);
}

VmafxRpcMethod connect_method(NodeTable *table)
{
    return (VmafxRpcMethod){
        .path = "/vmafx.v1.Fleet/Connect",
        .open = connect_open,
        .message = connect_message,
        .half_closed = connect_half_closed,
        .closed = connect_closed,
        .ctx = table,
    };
}
