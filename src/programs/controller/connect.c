/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Fleet.Connect: a node's stream. Its callbacks come one at a time; what each kind of message does is in connect_*.c.
 */

#include <string.h>

#include "base/base.h"
#include "base/clock.h"
#include "otel/api/log.h"
#include "programs/controller/connect_internal.h"
#include "signals/signals.h"

#define UNDER_WAY_MAX ((size_t)1 << 20) /* of what one node has under way in the store; then it waits */

void connect_refuse(Session *session, VmafxErr err, const char *message)
{
    vmafx_log(session->table->config.log, VMAFX_WARN, "node refused",
              VMAFX_ATTR_STR(VMAFX_KEY_NODE_NAME, session->name),
              VMAFX_ATTR_STR(VMAFX_KEY_CLIENT_ADDRESS, vmafx_rpc_stream_peer(session->stream)->address),
              VMAFX_ATTR_STR(VMAFX_KEY_EXCEPTION_MESSAGE, message));
    vmafx_rpc_stream_finish(session->stream, err, message);
}

Toll toll_take(Session *session, size_t bytes)
{
    NodeTable *table = session->table;
    Toll toll = { .bytes = bytes };

    pthread_mutex_lock(&table->lock);
    session->under_way += bytes;
    toll.holds = session->under_way > UNDER_WAY_MAX;
    pthread_mutex_unlock(&table->lock);
    if (toll.holds)
        vmafx_rpc_stream_hold(session->stream);
    return toll;
}

void toll_give(Session *session, const Toll *toll)
{
    NodeTable *table = session->table;

    pthread_mutex_lock(&table->lock);
    session->under_way -= toll->bytes;
    pthread_mutex_unlock(&table->lock);
    if (toll->holds)
        vmafx_rpc_stream_release(session->stream);
}

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
        connect_refuse(session, err, info.message);
        return;
    }
    const Vmafx__V1__NodeMessage *m = vmafx_message_get(message);
    if (m->kind_case != VMAFX__V1__NODE_MESSAGE__KIND_HELLO && !session->greeted) {
        connect_refuse(session, VMAFX_ERR_INVALID, "the first message of a node is hello");
        return;
    }
    if (session->greeted && !note_seen(session))
        return; /* not in the table: refused, or another stream has taken over; this one's end is decided */
    switch (m->kind_case) {
    case VMAFX__V1__NODE_MESSAGE__KIND_HELLO:
        connect_hello(session, m->hello);
        break;
    case VMAFX__V1__NODE_MESSAGE__KIND_HEARTBEAT:
        connect_heartbeat(session, m->heartbeat);
        break;
    case VMAFX__V1__NODE_MESSAGE__KIND_PROGRESS:
        on_progress(session, m->progress);
        break;
    case VMAFX__V1__NODE_MESSAGE__KIND_RESULT:
        connect_chunk(session, m->result);
        break;
    case VMAFX__V1__NODE_MESSAGE__KIND_END:
        connect_end(session, m->end);
        break;
    case VMAFX__V1__NODE_MESSAGE__KIND_DRAINING:
        on_draining(session, m->draining);
        break;
    case VMAFX__V1__NODE_MESSAGE__KIND_ENCODERS:
        connect_encoders(session, m->encoders);
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
    session_drop_partials(session);
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
