/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Sessions: a node's stream in the table, the attempts it holds, what it is told. */

#include <string.h>

#include "base/base.h"
#include "programs/controller/nodes_internal.h"

Session *session_ref(Session *session)
{
    atomic_fetch_add_explicit(&session->refs, 1, memory_order_relaxed);
    return session;
}

void session_unref(Session **at)
{
    Session *session = VMAFX_TAKE(*at);

    if (!session || atomic_fetch_sub_explicit(&session->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < session->n_held; i++)
        free(session->held[i].partial.data);
    free(session->held);
    free(session->missing);
    for (size_t i = 0; i < session->n_models; i++)
        free(session->models[i]);
    for (size_t i = 0; i < session->n_encoders; i++)
        free(session->encoders[i]);
    for (size_t i = 0; i < session->n_backends; i++)
        free(session->backends[i]);
    free(session->version);
    free(session->cpu_level);
    free(session->address);
    vmafx_rpc_stream_unref(&session->stream);
    free(session);
}

Session *table_find(NodeTable *table, const char *name)
{
    for (size_t i = 0; i < table->n_sessions; i++)
        if (!strcmp(table->sessions[i]->name, name))
            return table->sessions[i];
    return NULL;
}

void table_remove(NodeTable *table, Session *session)
{
    for (size_t i = 0; i < table->n_sessions; i++)
        if (table->sessions[i] == session) {
            table->sessions[i] = table->sessions[--table->n_sessions];
            session->listed = false;
            session_unref(&session);
            return;
        }
}

bool table_has_place(NodeTable *table)
{
    Session *oldest = NULL;

    if (table->n_sessions < VMAFX_FLEET_NODES_MAX)
        return true;
    for (size_t i = 0; i < table->n_sessions; i++) {
        Session *s = table->sessions[i];
        if (s->gone && (!oldest || s->seen_ns < oldest->seen_ns))
            oldest = s;
    }
    if (oldest)
        table_remove(table, oldest);
    return oldest;
}

Held *session_held(Session *session, const VmafxAttemptRef *ref)
{
    for (size_t i = 0; i < session->n_held; i++)
        if (vmafx_attempt_same(&session->held[i].ref, ref))
            return &session->held[i];
    return NULL;
}

bool session_hold(Session *session, const VmafxAttemptRef *ref, int32_t memory_mib)
{
    if (session_held(session, ref))
        return true;
    if (session->n_held == session->held_room) {
        size_t room = session->held_room ? 2 * session->held_room : 8;
        Held *more = realloc(session->held, room * sizeof *more);
        if (!more)
            return false;
        session->held = more;
        session->held_room = room;
    }
    session->held[session->n_held++] = (Held){ .ref = *ref, .memory_mib = memory_mib };
    session->held_memory_mib += memory_mib;
    return true;
}

void session_release(Session *session, const VmafxAttemptRef *ref)
{
    Held *held = session_held(session, ref);

    if (!held)
        return;
    session->held_memory_mib -= held->memory_mib;
    partial_drop(session->table, session, held);
    *held = session->held[--session->n_held];
}

void session_drop_partials(Session *session)
{
    for (size_t i = 0; i < session->n_held; i++)
        partial_drop(session->table, session, &session->held[i]);
}

Vmafx__V1__AttemptRef attempt_message(const VmafxAttemptRef *ref, char text[VMAFX_JOB_ID_TEXT])
{
    Vmafx__V1__AttemptRef message = VMAFX__V1__ATTEMPT_REF__INIT;

    vmafx_job_id_text(&ref->job, text);
    message.job_id = text;
    message.attempt = ref->attempt;
    return message;
}

bool attempt_from(const Vmafx__V1__AttemptRef *message, VmafxAttemptRef *ret)
{
    if (!message || message->attempt < 1 || vmafx_job_id_parse(message->job_id, &ret->job))
        return false;
    ret->attempt = message->attempt;
    return true;
}

void session_send(Session *session, const Vmafx__V1__ControllerMessage *message)
{
    VMAFX_AUTO(vmafx_free_p) uint8_t *data = NULL;
    size_t len;

    if (vmafx_message_pack(&message->base, &data, &len))
        vmafx_rpc_stream_finish(session->stream, VMAFX_ERR_NOMEM, vmafx_err_text(VMAFX_ERR_NOMEM));
    else
        VMAFX_IGNORE(vmafx_rpc_stream_send(session->stream, data, len)); /* closed() follows, leases run out */
}

void session_cancel(Session *session, const VmafxAttemptRef *ref, Vmafx__V1__CancelReason reason)
{
    char text[VMAFX_JOB_ID_TEXT];
    Vmafx__V1__AttemptRef attempt = attempt_message(ref, text);
    Vmafx__V1__Cancel cancel = VMAFX__V1__CANCEL__INIT;
    Vmafx__V1__ControllerMessage message = VMAFX__V1__CONTROLLER_MESSAGE__INIT;

    cancel.attempt = &attempt;
    cancel.reason = reason;
    message.kind_case = VMAFX__V1__CONTROLLER_MESSAGE__KIND_CANCEL;
    message.cancel = &cancel;
    session_send(session, &message);
    session->slots_free = VMAFX_MIN(session->slots_free + 1, session->slots);
}
