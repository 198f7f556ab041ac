/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Hello: who a node is, and what it says it holds against what the store says. */

#include <string.h>

#include "base/base.h"
#include "base/clock.h"
#include "otel/api/log.h"
#include "programs/controller/connect_internal.h"
#include "programs/controller/convert.h"
#include "signals/signals.h"

#define PROTOCOL_VERSION 1
#define PROTOCOL_OLDEST  1
#define SLOTS_MAX        256
#define HELLO_TEXT_MAX   128

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

void connect_encoders(Session *session, const Vmafx__V1__NodeEncoders *encoders)
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
        connect_refuse(session, err, *info.message ? info.message : vmafx_err_text(err));
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
        session_drop_partials(found);
        table_remove(table, found);
    }
    if (!table_has_place(table))
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

void connect_hello(Session *session, const Vmafx__V1__Hello *hello)
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
        connect_refuse(session, err, *info.message ? info.message : vmafx_err_text(err));
        return;
    }
    for (size_t i = 0; i < returned.n; i++) {
        if (returned.verdicts[i].verdict == VMAFX_RETURN_MISSING)
            session->missing[session->n_missing++] = returned.verdicts[i].ref;
        else if (returned.verdicts[i].verdict == VMAFX_RETURN_KEPT)
            kept[n_kept++] = returned.verdicts[i].ref;
    }
    if (n_kept)
        connect_renew(session, kept, n_kept, 0, false);
    vmafx_log(table->config.log, VMAFX_INFO, "node connected", VMAFX_ATTR_STR(VMAFX_KEY_NODE_NAME, session->name),
              VMAFX_ATTR_STR(VMAFX_KEY_CLIENT_ADDRESS, session->address));
    table_dispatch(table);
}
