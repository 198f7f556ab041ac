/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The stream to the controller: connecting with backoff, hello, heartbeats, ends with their results. */

#include <inttypes.h>
#include <string.h>

#include "base/base.h"
#include "base/clock.h"
#include "programs/node/load_message.h"
#include "programs/node/node.h"
#include "signals/signals.h"

#define PROTOCOL_VERSION  1
#define SECOND_NS         UINT64_C(1000000000)
#define BACKOFF_MIN_NS    (SECOND_NS / 4)
#define BACKOFF_MAX_NS    (5 * SECOND_NS)
#define HEARTBEAT_NS      (10 * SECOND_NS) /* until the controller says otherwise */
#define SILENCE           6                /* heartbeats without an answer: the stream is dead */
#define CHUNK_BYTES       ((size_t)512 << 10)
#define WAITING_MAX       ((size_t)8 << 20) /* above it the controller has to read first */
#define WELCOME_WITHIN_NS (20 * SECOND_NS)

Vmafx__V1__AttemptRef ref_message(const VmafxAttemptRef *ref, char text[VMAFX_JOB_ID_TEXT])
{
    Vmafx__V1__AttemptRef message = VMAFX__V1__ATTEMPT_REF__INIT;

    vmafx_job_id_text(&ref->job, text);
    message.job_id = text;
    message.attempt = ref->attempt;
    return message;
}

bool ref_from(const Vmafx__V1__AttemptRef *message, VmafxAttemptRef *ret)
{
    if (!message || message->attempt < 1 || vmafx_job_id_parse(message->job_id, &ret->job))
        return false;
    ret->attempt = message->attempt;
    return true;
}

/** Lists of attempts, as messages have them. */
typedef struct RefList {
    Vmafx__V1__AttemptRef *messages, **list;
    char (*ids)[VMAFX_JOB_ID_TEXT];
    size_t n;
} RefList;

static bool held_list(Node *node, RefList *ret)
{
    VMAFX_AUTO(vmafx_free_p) VmafxAttemptRef *refs = calloc(node->holdings.max, sizeof *refs);

    *ret = (RefList){ 0 };
    if (!refs)
        return false;
    size_t n = vmafx_holdings_held(&node->holdings, refs);
    ret->messages = calloc(n + 1, sizeof *ret->messages);
    ret->list = calloc(n + 1, sizeof *ret->list);
    ret->ids = calloc(n + 1, sizeof *ret->ids);
    if (!ret->messages || !ret->list || !ret->ids)
        return false;
    for (; ret->n < n; ret->n++) {
        ret->messages[ret->n] = ref_message(&refs[ret->n], ret->ids[ret->n]);
        ret->list[ret->n] = &ret->messages[ret->n];
    }
    return true;
}

static void ref_list_done(RefList *list)
{
    free(list->messages);
    free(list->list);
    free(list->ids);
}

/* ---- Sending ---- */

void connection_send(Node *node, Vmafx__V1__NodeMessage *message)
{
    VMAFX_AUTO(vmafx_free_p) uint8_t *data = NULL;
    size_t len;

    if (!node->stream)
        return;
    if (vmafx_message_pack(&message->base, &data, &len) ||
        vmafx_rpc_client_stream_send(node->stream, data, len) == VMAFX_ERR_LIMIT)
        vmafx_rpc_client_stream_cancel(node->stream); /* what is lost is said again after the next hello */
}

static void send_hello(Node *node)
{
    Vmafx__V1__Hello hello = VMAFX__V1__HELLO__INIT;
    Vmafx__V1__NodeMessage message = VMAFX__V1__NODE_MESSAGE__INIT;
    const VmafxRunnerFacts *facts = vmafx_runner_facts(node->runner);
    char *backends[] = { (char *)"cpu" };
    const char *encoders[VMAFX_ENCODERS_MAX];
    VmafxEncoderSet set = 0;
    VMAFX_AUTO(ref_list_done) RefList held;

    if (!held_list(node, &held)) {
        vmafx_rpc_client_stream_cancel(node->stream);
        return;
    }
    hello.protocol_version = PROTOCOL_VERSION;
    hello.name = (char *)node->config.name;
    hello.version = (char *)NODE_VERSION;
    hello.slots = (int32_t)node->config.slots;
    hello.cpu_level = (char *)facts->kernel_level;
    hello.backends = backends;
    hello.n_backends = VMAFX_LEN(backends);
    node->encoders_owed = !vmafx_runner_encoders(node->runner, &set);
    hello.encoders_later = node->encoders_owed;
    hello.n_encoders = vmafx_encoder_set_names(node->encoders_owed ? 0 : set, encoders);
    hello.encoders = (char **)(uintptr_t)encoders;
    hello.models = (char **)facts->models;
    hello.n_models = facts->n_models;
    hello.memory_bytes = node->config.memory_bytes;
    hello.held = held.list;
    hello.n_held = held.n;
    hello.draining = node->holdings.draining;
    message.kind_case = VMAFX__V1__NODE_MESSAGE__KIND_HELLO;
    message.hello = &hello;
    connection_send(node, &message);
}

/* What the hello left open. */
static void send_encoders(Node *node)
{
    Vmafx__V1__NodeEncoders encoders = VMAFX__V1__NODE_ENCODERS__INIT;
    Vmafx__V1__NodeMessage message = VMAFX__V1__NODE_MESSAGE__INIT;
    const char *names[VMAFX_ENCODERS_MAX];
    VmafxEncoderSet set;

    if (!vmafx_runner_encoders(node->runner, &set))
        return;
    encoders.n_names = vmafx_encoder_set_names(set, names);
    encoders.names = (char **)(uintptr_t)names;
    message.kind_case = VMAFX__V1__NODE_MESSAGE__KIND_ENCODERS;
    message.encoders = &encoders;
    connection_send(node, &message);
    node->encoders_owed = false;
}

/* Once each time, not with every heartbeat. */
static void tell_silent(Node *node, unsigned silent)
{
    for (unsigned bit = 1; bit <= VMAFX_LOAD_OF_NVML; bit <<= 1)
        if ((silent & bit) != (node->silent & bit))
            vmafx_log(node->config.log, silent & bit ? VMAFX_WARN : VMAFX_INFO,
                      silent & bit ? "the load of these cannot be read: whoever answers hangs; it is left out"
                                   : "the load of these can be read again",
                      VMAFX_ATTR_STR(VMAFX_KEY_LOAD_SOURCE, vmafx_load_source_name(bit)));
    node->silent = silent;
}

static void send_heartbeat(Node *node, uint64_t now)
{
    Vmafx__V1__Heartbeat heartbeat = VMAFX__V1__HEARTBEAT__INIT;
    Vmafx__V1__NodeMessage message = VMAFX__V1__NODE_MESSAGE__INIT;
    LoadMessage load;
    VMAFX_AUTO(ref_list_done) RefList held;

    node->heartbeat_at = now + node->heartbeat_ns;
    if (!held_list(node, &held))
        return;
    if (node->config.meter) {
        vmafx_load_now(node->config.meter, vmafx_monotonic_ns(), &load.load);
        load_message(&load);
        heartbeat.load = &load.message;
        tell_silent(node, load.load.silent);
    }
    heartbeat.sequence = ++node->sequence;
    heartbeat.held = held.list;
    heartbeat.n_held = held.n;
    heartbeat.slots_free = (int32_t)vmafx_holdings_slots_free(&node->holdings);
    message.kind_case = VMAFX__V1__NODE_MESSAGE__KIND_HEARTBEAT;
    message.heartbeat = &heartbeat;
    connection_send(node, &message);
}

void connection_draining(Node *node, bool finish)
{
    Vmafx__V1__Draining draining = VMAFX__V1__DRAINING__INIT;
    Vmafx__V1__NodeMessage message = VMAFX__V1__NODE_MESSAGE__INIT;

    draining.finish = finish;
    message.kind_case = VMAFX__V1__NODE_MESSAGE__KIND_DRAINING;
    message.draining = &draining;
    if (node->welcomed)
        connection_send(node, &message);
}

static void send_end_message(Node *node, const VmafxAttemptRef *ref, const Vmafx__V1__TaskEnd *kept,
                             VmafxOutcome outcome)
{
    char text[VMAFX_JOB_ID_TEXT];
    Vmafx__V1__AttemptRef attempt = ref_message(ref, text);
    Vmafx__V1__TaskEnd end = kept ? *kept : (Vmafx__V1__TaskEnd)VMAFX__V1__TASK_END__INIT;
    Vmafx__V1__NodeMessage message = VMAFX__V1__NODE_MESSAGE__INIT;

    end.attempt = &attempt;
    end.outcome = (Vmafx__V1__AttemptOutcome)outcome;
    message.kind_case = VMAFX__V1__NODE_MESSAGE__KIND_END;
    message.end = &end;
    connection_send(node, &message);
}

void connection_send_end(Node *node, const VmafxAttemptRef *ref, VmafxOutcome outcome)
{
    size_t at = (node->sending.first + node->sending.n) % VMAFX_HOLDINGS_MAX;

    if (node->sending.n == VMAFX_HOLDINGS_MAX)
        return; /* cannot be: there are no more holdings than that */
    node->sending.waiting[at] = *ref;
    node->sending.outcomes[at] = outcome;
    node->sending.n++;
}

static void sending_reset(Node *node)
{
    spool_entry_done(&node->sending.entry);
    node->sending.active = false;
}

static bool take_next(Node *node)
{
    VmafxErrInfo info = { 0 };

    if (!node->sending.n)
        return false;
    VmafxAttemptRef ref = node->sending.ref = node->sending.waiting[node->sending.first];
    VmafxOutcome outcome = node->sending.outcomes[node->sending.first];
    node->sending.first = (node->sending.first + 1) % VMAFX_HOLDINGS_MAX;
    node->sending.n--;
    if (outcome == VMAFX_OUTCOME_HANDED_BACK) {
        send_end_message(node, &ref, NULL, outcome);
        return true;
    }
    VmafxErr err = spool_get(node->spool, &ref, &node->sending.entry, &info);
    if (err) { /* gone or damaged: the controller shall not wait for it */
        Vmafx__V1__TaskEnd end = VMAFX__V1__TASK_END__INIT;
        vmafx_log(node->config.log, VMAFX_ERROR, "an end is no longer in the spool",
                  VMAFX_ATTR_STR(VMAFX_KEY_EXCEPTION_MESSAGE, info.message));
        end.failure_class = VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_NODE;
        end.message = (char *)"the node lost the result before it was delivered";
        send_end_message(node, &ref, &end, VMAFX_OUTCOME_FAILED);
        return true;
    }
    node->sending.active = true;
    node->sending.offset = 0;
    return true;
}

static void send_chunk(Node *node)
{
    char text[VMAFX_JOB_ID_TEXT];
    Vmafx__V1__AttemptRef attempt = ref_message(&node->sending.ref, text);
    Vmafx__V1__ResultChunk chunk = VMAFX__V1__RESULT_CHUNK__INIT;
    Vmafx__V1__NodeMessage message = VMAFX__V1__NODE_MESSAGE__INIT;
    size_t n = VMAFX_MIN(CHUNK_BYTES, node->sending.entry.result_len - node->sending.offset);

    chunk.attempt = &attempt;
    chunk.offset = (int64_t)node->sending.offset;
    chunk.data = (ProtobufCBinaryData){ n, (uint8_t *)node->sending.entry.result + node->sending.offset };
    message.kind_case = VMAFX__V1__NODE_MESSAGE__KIND_RESULT;
    message.result = &chunk;
    connection_send(node, &message);
    node->sending.offset += n;
}

/** True: there is more, but the controller has to read first. */
static bool send_ends(Node *node)
{
    while (node->stream && node->welcomed && (node->sending.active || take_next(node))) {
        if (!node->sending.active)
            continue;
        if (vmafx_rpc_client_stream_waiting(node->stream) > WAITING_MAX)
            return true;
        if (node->sending.offset < node->sending.entry.result_len)
            send_chunk(node);
        else {
            send_end_message(node, &node->sending.ref, node->sending.entry.end,
                             (VmafxOutcome)node->sending.entry.end->outcome);
            sending_reset(node);
        }
    }
    return false;
}

/* ---- Receiving, on the channel's thread ---- */

typedef struct StreamContext {
    Node *node;
    uint64_t tag;
} StreamContext;

static void on_message(void *ctx, VmafxRpcClientStream *stream, const void *data, size_t len)
{
    StreamContext *context = ctx;
    InboxItem *item = inbox_item(INBOX_MESSAGE, context->tag);

    if (!item) {
        vmafx_rpc_client_stream_cancel(stream);
        return;
    }
    item->err = vmafx_message_unpack(&vmafx__v1__controller_message__descriptor, data, len, 0, &item->message, NULL);
    if (item->err)
        vmafx_rpc_client_stream_cancel(stream);
    inbox_put(&context->node->inbox, item);
}

static void on_closed(void *ctx, VmafxRpcClientStream *stream, VmafxErr err, const char *message)
{
    StreamContext *context = ctx;
    InboxItem *item = inbox_item(INBOX_CLOSED, context->tag);

    if (item) {
        item->err = err;
        snprintf(item->text, sizeof item->text, "%s", message ? message : "");
        inbox_put(&context->node->inbox, item);
    }
    free(context);
}

/* ---- Connecting ---- */

static VmafxErr open_stream(Node *node, VmafxErrInfo *info)
{
    StreamContext *context = calloc(1, sizeof *context);
    VmafxErr err = context ? VMAFX_OK : VMAFX_ERR_NOMEM;

    if (!err && !node->channel)
        err = vmafx_rpc_channel_open(
            &(VmafxRpcChannelConfig){
                .target = node->config.controller,
                .cert_file = node->config.cert_file,
                .key_file = node->config.key_file,
                .ca_file = node->config.ca_file,
                .server_name = node->config.server_name,
            },
            &node->channel, info);
    if (!err) {
        context->node = node;
        context->tag = ++node->stream_tag;
        err = vmafx_rpc_stream_open(
            node->channel, "/vmafx.v1.Fleet/Connect",
            &(VmafxRpcClientStreamEvents){ .message = on_message, .closed = on_closed, .ctx = context }, &node->stream,
            info);
    }
    if (err)
        free(context);
    return err;
}

/** Later and later, and not all nodes at once. */
static uint64_t backoff(Node *node)
{
    uint64_t wait = BACKOFF_MIN_NS << VMAFX_MIN(node->failures, 6u);
    uint64_t spread = (uint64_t)node->config.name[0] * 2654435761u % 1000; /* 0 … 0.999, a different one each time */

    spread = (spread + node->failures * 617u) % 1000;
    node->failures++;
    wait = VMAFX_MIN(wait, BACKOFF_MAX_NS);
    return wait / 2 + wait / 2 * spread / 1000;
}

static void connect_now(Node *node, uint64_t now)
{
    VmafxErrInfo info = { 0 };
    VmafxErr err = open_stream(node, &info);

    if (err) {
        vmafx_log(node->config.log, VMAFX_ERROR, "cannot connect to the controller",
                  VMAFX_ATTR_STR(VMAFX_KEY_EXCEPTION_MESSAGE, *info.message ? info.message : vmafx_err_text(err)));
        node->connect_at = now + backoff(node);
        return;
    }
    node->seen_ns = now;
    send_hello(node);
}

void connection_closed(Node *node, const InboxItem *item, uint64_t now)
{
    if (item->tag != node->stream_tag || !node->stream)
        return;
    if (!node->complained || node->welcomed)
        vmafx_log(node->config.log, VMAFX_WARN, "no connection to the controller; trying again",
                  VMAFX_ATTR_STR(VMAFX_KEY_SERVER_ADDRESS, node->config.controller),
                  VMAFX_ATTR_STR(VMAFX_KEY_ERROR_TYPE, vmafx_err_name(item->err)),
                  VMAFX_ATTR_STR(VMAFX_KEY_EXCEPTION_MESSAGE, item->text));
    node->complained = true;
    node->welcomed = false;
    vmafx_holdings_disconnect(&node->holdings);
    vmafx_rpc_client_stream_free(&node->stream);
    sending_reset(node);
    node->sending.n = 0; /* every end in the spool is due again after the next welcome */
    node->connect_at = now + backoff(node);
}

void connection_close(Node *node)
{
    if (node->stream) {
        vmafx_rpc_client_stream_half_close(node->stream);
        vmafx_rpc_client_stream_cancel(node->stream);
        vmafx_rpc_client_stream_free(&node->stream);
    }
    sending_reset(node);
    if (node->channel)
        vmafx_rpc_channel_close(&node->channel);
}

/* ---- What the controller says ---- */

static size_t refs_from(Vmafx__V1__AttemptRef **list, size_t n, VmafxAttemptRef *ret)
{
    size_t found = 0;

    for (size_t i = 0; i < n; i++)
        found += ref_from(list[i], &ret[found]);
    return found;
}

/* The controller does not count an attempt: what was kept of it goes. */
static void lost(Node *node, const VmafxAttemptRef *refs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        keep_remove(node->config.keep, &refs[i]);
}

static void on_welcome(Node *node, const Vmafx__V1__Welcome *welcome, uint64_t now)
{
    VMAFX_AUTO(vmafx_free_p) VmafxAttemptRef *refs = calloc(welcome->n_lost + 1, sizeof *refs);

    if (!refs) {
        vmafx_rpc_client_stream_cancel(node->stream);
        return;
    }
    size_t n = refs_from(welcome->lost, welcome->n_lost, refs);
    vmafx_holdings_welcome(&node->holdings, refs, n);
    lost(node, refs, n);
    node->welcomed = true;
    node->failures = 0;
    node->complained = false;
    if (welcome->heartbeat_ms > 0)
        node->heartbeat_ns = (uint64_t)welcome->heartbeat_ms * 1000000u;
    node->heartbeat_at = now;
    vmafx_log(node->config.log, VMAFX_INFO, "connected to the controller",
              VMAFX_ATTR_STR(VMAFX_KEY_SERVER_ADDRESS, node->config.controller));
}

static void on_assign(Node *node, const Vmafx__V1__Assign *assign, InboxItem *item)
{
    VmafxAttemptRef ref;

    if (!ref_from(assign->attempt, &ref) || !assign->spec)
        return;
    if (task_of(node, &ref))
        return; /* the same one again */
    VmafxErr err = vmafx_holdings_assign(&node->holdings, &ref);
    if (err == VMAFX_ERR_BUSY) {
        send_end_message(node, &ref, NULL, VMAFX_OUTCOME_HANDED_BACK);
        return;
    }
    const VmafxHolding *holding = vmafx_holdings_find(&node->holdings, &ref);
    if (err || !holding || holding->state != VMAFX_HOLDING_WAITING)
        return;
    if (!task_new(node, assign, &item->message))
        vmafx_holdings_cancel(&node->holdings, &ref); /* no memory: the lease runs out */
}

static void on_heartbeat_ack(Node *node, const Vmafx__V1__HeartbeatAck *ack)
{
    for (size_t i = 0; i < ack->n_lost; i++) {
        VmafxAttemptRef ref;
        if (!ref_from(ack->lost[i], &ref))
            continue;
        vmafx_holdings_cancel(&node->holdings, &ref);
        lost(node, &ref, 1);
    }
}

void connection_message(Node *node, const InboxItem *item, uint64_t now)
{
    VmafxAttemptRef ref;

    if (item->tag != node->stream_tag || !node->stream || !item->message)
        return;
    node->seen_ns = now;
    const Vmafx__V1__ControllerMessage *m = vmafx_message_get(item->message);
    switch (m->kind_case) {
    case VMAFX__V1__CONTROLLER_MESSAGE__KIND_WELCOME:
        on_welcome(node, m->welcome, now);
        break;
    case VMAFX__V1__CONTROLLER_MESSAGE__KIND_ASSIGN:
        on_assign(node, m->assign, (InboxItem *)item);
        break;
    case VMAFX__V1__CONTROLLER_MESSAGE__KIND_CANCEL:
        if (ref_from(m->cancel->attempt, &ref)) {
            vmafx_holdings_cancel(&node->holdings, &ref);
            lost(node, &ref, 1);
        }
        break;
    case VMAFX__V1__CONTROLLER_MESSAGE__KIND_END_ACK:
        if (!ref_from(m->end_ack->attempt, &ref))
            break;
        vmafx_holdings_ack(&node->holdings, &ref, m->end_ack->resend);
        if (!m->end_ack->kept && !m->end_ack->resend)
            lost(node, &ref, 1);
        break;
    case VMAFX__V1__CONTROLLER_MESSAGE__KIND_DRAIN:
        node_drain(node, m->drain->finish);
        break;
    case VMAFX__V1__CONTROLLER_MESSAGE__KIND_HEARTBEAT_ACK:
        on_heartbeat_ack(node, m->heartbeat_ack);
        break;
    default:
        break; /* a newer version's message: passed over */
    }
}

void connection_turn(Node *node, uint64_t now)
{
    if (!node->heartbeat_ns)
        node->heartbeat_ns = HEARTBEAT_NS;
    if (!node->stream && now >= node->connect_at)
        connect_now(node, now);
    if (!node->stream)
        return;
    uint64_t silence = node->welcomed ? SILENCE * node->heartbeat_ns : WELCOME_WITHIN_NS;
    if (now - node->seen_ns > silence) {
        vmafx_log(node->config.log, VMAFX_WARN, "the controller is silent; connecting anew",
                  VMAFX_ATTR_STR(VMAFX_KEY_SERVER_ADDRESS, node->config.controller));
        node->seen_ns = now;
        vmafx_rpc_client_stream_cancel(node->stream); /* closed comes through the inbox */
        return;
    }
    if (node->welcomed && node->encoders_owed)
        send_encoders(node);
    if (node->welcomed && now >= node->heartbeat_at)
        send_heartbeat(node, now);
    if (send_ends(node))
        node->config.wake(node->config.wake_ctx);
}
