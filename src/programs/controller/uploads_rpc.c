/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Streams with a thread each: what comes is handed over one message at a time, what goes waits for the peer to read. */

#include "programs/controller/uploads_rpc.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "programs/controller/convert.h"
#include "programs/controller/nodes_internal.h"
#include "rpc/call_span.h"

#define STALL_S     60
#define DATA_MAX    ((size_t)1 << 20)
#define PIECE_BYTES ((size_t)512 << 10)
#define WAITING_MAX ((size_t)4 << 20) /* above it the peer has to read first */
#define NAME_MAX    255
#define STACK_BYTES ((size_t)256 << 10)

VmafxErr uploads_none(VmafxErrInfo *reterr)
{
    return vmafx_fail(reterr, VMAFX_ERR_UNSUPPORTED, "this controller takes no uploads: VMAFX_UPLOADS_BYTES_MAX is 0");
}

static void hex_of(const uint8_t *bytes, char ret[VMAFX_SHA256_TEXT])
{
    for (int i = 0; i < VMAFX_SHA256_BYTES; i++)
        snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
}

static VmafxErr digest_from(const ProtobufCBinaryData *bytes, const char *field, char ret[VMAFX_SHA256_TEXT],
                            VmafxErrInfo *reterr)
{
    if (bytes->len != VMAFX_SHA256_BYTES)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "%s: %zu bytes; a SHA-256 has %d", field, bytes->len,
                          VMAFX_SHA256_BYTES);
    hex_of(bytes->data, ret);
    return VMAFX_OK;
}

/* ---- FindUpload ---- */

static VmafxErr find_upload(void *ctx, const ApiCall *call, const void *message, VmafxErrInfo *reterr)
{
    UploadsRpc *door = ctx;
    const Vmafx__V1__FindUploadRequest *request = message;
    Vmafx__V1__FindUploadResponse response = VMAFX__V1__FIND_UPLOAD_RESPONSE__INIT;
    char digest[VMAFX_SHA256_TEXT];
    UploadFacts facts;
    VmafxErr err = digest_from(&request->sha256, "sha256", digest, reterr);

    if (!err && !door->uploads)
        err = uploads_none(reterr);
    if (err)
        return err;
    err = uploads_find(door->uploads, caller_submitter(&call->caller), digest, &facts);
    if (err)
        return vmafx_fail(reterr, err, "there is no upload %s of '%s' here", digest, caller_submitter(&call->caller));
    response.uri = facts.uri;
    response.size_bytes = facts.size;
    response.kept_until_unix_us = facts.kept_until_us;
    return call->answer(call->ctx, &response.base);
}

/* ---- Streams with a thread ---- */

/** A stream under way. Counted: the stream and its thread hold it. */
typedef struct Work {
    UploadsRpc *door;
    atomic_int refs;
    VmafxRpcStream *stream;
    Caller caller; /* without its remote context */
    bool fetches;
    VmafxRpcCallSpan span;

    /* Under the door's lock. */
    char node[VMAFX_NODE_NAME_MAX]; /* that fetches; "": not known yet, and not in the list */
    struct Work *next;

    pthread_mutex_t lock; /* covers everything below */
    pthread_cond_t change;
    bool started, closed, half_closed, writable;
    bool has_message;
    uint8_t *message; /* NULL with has_message: no memory */
    size_t len;
} Work;

static void work_unref(Work *work)
{
    if (atomic_fetch_sub_explicit(&work->refs, 1, memory_order_acq_rel) > 1)
        return;
    vmafx_rpc_call_span_end(&work->span, VMAFX_ERR_CANCELLED, NULL);
    vmafx_rpc_stream_unref(&work->stream);
    free(work->message);
    pthread_cond_destroy(&work->change);
    pthread_mutex_destroy(&work->lock);
    free(work);
}

static VmafxErr work_open(UploadsRpc *door, VmafxRpcStream *stream, bool fetches, void **ret_state)
{
    Work *work = calloc(1, sizeof *work);
    pthread_condattr_t monotonic;

    if (!work)
        return VMAFX_ERR_NOMEM;
    work->door = door;
    atomic_init(&work->refs, 1);
    work->stream = vmafx_rpc_stream_ref(stream);
    work->caller = api_stream_caller(door->api, stream);
    work->fetches = fetches;
    vmafx_rpc_call_span_begin(&work->span, stream,
                              fetches ? "vmafx.v1.Fleet/FetchUpload" : "vmafx.v1.Jobs/UploadInput");
    pthread_mutex_init(&work->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&work->change, &monotonic);
    pthread_condattr_destroy(&monotonic);
    *ret_state = work;
    return VMAFX_OK;
}

/** With the work's lock: waits until something has changed; false when nothing has for too long. */
static bool await(Work *work, bool *flag)
{
    struct timespec until;
    int timed_out = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += STALL_S;
    while (!*flag && !work->closed && !(work->half_closed && !work->fetches) && !timed_out)
        timed_out = pthread_cond_timedwait(&work->change, &work->lock, &until);
    return !timed_out;
}

static VmafxErr upload(Work *work, VmafxErrInfo *reterr);
static VmafxErr fetch(Work *work, VmafxErrInfo *reterr);

static int *threads_of(Work *work)
{
    return work->fetches ? &work->door->n_fetching : &work->door->n_sending;
}

static void *run(void *arg)
{
    Work *work = arg;
    UploadsRpc *door = work->door;
    VmafxErrInfo info = { 0 };
    VmafxContextToken token = vmafx_context_attach(work->span.context);
    VmafxErr err = work->fetches ? fetch(work, &info) : upload(work, &info);
    const char *text = !err ? NULL : *info.message ? info.message : vmafx_err_text(err);

    vmafx_context_detach(token);
    vmafx_rpc_call_span_end(&work->span, err, text);
    vmafx_rpc_stream_finish(work->stream, err, text);
    int *threads = threads_of(work);
    work_unref(work);
    pthread_mutex_lock(&door->lock);
    --*threads;
    pthread_cond_broadcast(&door->change);
    pthread_mutex_unlock(&door->lock);
    return NULL;
}

static VmafxErr start(Work *work, VmafxErrInfo *reterr)
{
    UploadsRpc *door = work->door;
    int max = work->fetches ? UPLOADS_FETCHES_MAX : UPLOADS_COMING_MAX;
    pthread_attr_t attr;
    pthread_t thread;

    pthread_mutex_lock(&door->lock);
    bool full = *threads_of(work) == max;
    *threads_of(work) += !full;
    pthread_mutex_unlock(&door->lock);
    if (full)
        return vmafx_fail(reterr, VMAFX_ERR_BUSY, "%d %s are under way already; try again later", max,
                          work->fetches ? "downloads of uploads" : "uploads");
    atomic_fetch_add_explicit(&work->refs, 1, memory_order_relaxed);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    bool failed = pthread_create(&thread, &attr, run, work) != 0;
    pthread_attr_destroy(&attr);
    if (!failed)
        return VMAFX_OK;
    pthread_mutex_lock(&door->lock);
    --*threads_of(work);
    pthread_mutex_unlock(&door->lock);
    work_unref(work);
    return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no thread for an upload");
}

/* ---- Callbacks of a stream ---- */

static void work_message(void *state, VmafxRpcStream *stream, const void *data, size_t len)
{
    Work *work = state;
    uint8_t *copy = malloc(VMAFX_MAX(len, (size_t)1));
    VmafxErrInfo info = { 0 };

    if (copy)
        memcpy(copy, data, len);
    vmafx_rpc_stream_hold(stream); /* until the thread has taken it */
    pthread_mutex_lock(&work->lock);
    work->message = copy;
    work->len = len;
    work->has_message = true;
    bool first = !work->started;
    work->started = true;
    pthread_cond_broadcast(&work->change);
    pthread_mutex_unlock(&work->lock);
    VmafxErr err = first ? start(work, &info) : VMAFX_OK;
    if (!err)
        return;
    vmafx_rpc_call_span_end(&work->span, err, info.message);
    vmafx_rpc_stream_finish(stream, err, info.message);
}

static void work_half_closed(void *state, VmafxRpcStream *stream)
{
    Work *work = state;

    pthread_mutex_lock(&work->lock);
    work->half_closed = true;
    bool idle = !work->started;
    pthread_cond_broadcast(&work->change);
    pthread_mutex_unlock(&work->lock);
    if (!idle)
        return;
    vmafx_rpc_call_span_end(&work->span, VMAFX_ERR_INVALID, NULL);
    vmafx_rpc_stream_finish(stream, VMAFX_ERR_INVALID, "the stream ended before it said anything");
}

static void work_closed(void *state, VmafxRpcStream *stream)
{
    Work *work = state;

    pthread_mutex_lock(&work->lock);
    work->closed = true;
    pthread_cond_broadcast(&work->change);
    pthread_mutex_unlock(&work->lock);
    work_unref(work);
}

static void now_writable(void *ctx, VmafxRpcStream *stream)
{
    Work *work = ctx;

    pthread_mutex_lock(&work->lock);
    work->writable = true;
    pthread_cond_broadcast(&work->change);
    pthread_mutex_unlock(&work->lock);
}

/** The next message; NULL where the peer has said all. */
static VmafxErr take(Work *work, const ProtobufCMessageDescriptor *type, VmafxMessage **ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_free_p) uint8_t *data = NULL;

    pthread_mutex_lock(&work->lock);
    bool came = await(work, &work->has_message);
    bool has = work->has_message, closed = work->closed;
    size_t len = work->len;
    data = VMAFX_TAKE(work->message);
    work->has_message = false;
    pthread_mutex_unlock(&work->lock);
    *ret = NULL;
    if (closed)
        return VMAFX_ERR_CANCELLED;
    if (!came)
        return vmafx_fail(reterr, VMAFX_ERR_DEADLINE, "nothing came for %d s", STALL_S);
    if (!has)
        return VMAFX_OK;
    vmafx_rpc_stream_release(work->stream);
    if (!data)
        return VMAFX_ERR_NOMEM;
    return vmafx_message_unpack(type, data, len, 0, ret, reterr);
}

static VmafxErr send(Work *work, const ProtobufCMessage *message)
{
    VMAFX_AUTO(vmafx_free_p) uint8_t *data = NULL;
    size_t len;
    VmafxErr err = vmafx_message_pack(message, &data, &len);

    return err ? err : vmafx_rpc_stream_send(work->stream, data, len);
}

/* ---- UploadInput ---- */

static VmafxErr begin(Work *work, const Vmafx__V1__UploadInputRequest *request, Incoming **ret, UploadFacts *ret_facts,
                      VmafxErrInfo *reterr)
{
    const Vmafx__V1__UploadBegin *said = request->begin;
    char digest[VMAFX_SHA256_TEXT];

    if (request->part_case != VMAFX__V1__UPLOAD_INPUT_REQUEST__PART_BEGIN)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "begin: comes first");
    if (!work->door->uploads)
        return uploads_none(reterr);
    if (strlen(said->name) > NAME_MAX || text_has_controls(said->name))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "begin.name: longer than %d bytes, or with a control character",
                          NAME_MAX);
    VmafxErr err = digest_from(&said->sha256, "begin.sha256", digest, reterr);
    return err ? err
               : uploads_begin(work->door->uploads, caller_submitter(&work->caller), digest, said->size_bytes, ret,
                               ret_facts, reterr);
}

static VmafxErr add(Incoming *incoming, const Vmafx__V1__UploadInputRequest *request, VmafxErrInfo *reterr)
{
    if (request->part_case != VMAFX__V1__UPLOAD_INPUT_REQUEST__PART_DATA)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "data: is all that follows begin");
    if (request->data.len > DATA_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "data: %zu bytes in one message, more than %zu", request->data.len,
                          DATA_MAX);
    return incoming_add(incoming, request->data.data, request->data.len, reterr);
}

static VmafxErr receive(Work *work, UploadFacts *facts, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(incoming_drop) Incoming *incoming = NULL;
    const ProtobufCMessageDescriptor *type = &vmafx__v1__upload_input_request__descriptor;
    bool begun = false;

    for (;;) {
        VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
        VmafxErr err = take(work, type, &message, reterr);

        if (!err && !message)
            return incoming_end(&incoming, facts, reterr); /* there was a first message, so there is one */
        if (!err && !begun)
            err = begin(work, vmafx_message_get(message), &incoming, facts, reterr);
        else if (!err)
            err = add(incoming, vmafx_message_get(message), reterr);
        if (err || !incoming) /* it is there already */
            return err;
        begun = true;
    }
}

static VmafxErr upload(Work *work, VmafxErrInfo *reterr)
{
    Vmafx__V1__UploadInputResponse response = VMAFX__V1__UPLOAD_INPUT_RESPONSE__INIT;
    UploadFacts facts;
    VmafxErr err = receive(work, &facts, reterr);

    if (err)
        return err;
    response.uri = facts.uri;
    response.size_bytes = facts.size;
    response.already_there = facts.already_there;
    response.kept_until_unix_us = facts.kept_until_us;
    if (!facts.already_there)
        work->door->api->audit(work->door->api->ctx, &work->caller, "upload.keep", facts.uri);
    return send(work, &response.base);
}

/* ---- FetchUpload ---- */

static bool is_named(const Vmafx__V1__JobSpec *spec, const char *uri)
{
    bool given = spec->distorted_source_case == VMAFX__V1__JOB_SPEC__DISTORTED_SOURCE_DISTORTED;

    return (spec->reference && !strcmp(spec->reference->uri, uri)) ||
           (given && spec->distorted && !strcmp(spec->distorted->uri, uri));
}

/** Takes one of the node's places. */
static VmafxErr enter_node(Work *work, const char *node, VmafxErrInfo *reterr)
{
    UploadsRpc *door = work->door;
    int n = 0;

    pthread_mutex_lock(&door->lock);
    for (const Work *other = door->first; other; other = other->next)
        n += !strcmp(other->node, node);
    if (n < UPLOADS_FETCHES_OF_ONE) {
        snprintf(work->node, sizeof work->node, "%s", node);
        work->next = door->first;
        door->first = work;
    }
    pthread_mutex_unlock(&door->lock);
    if (n < UPLOADS_FETCHES_OF_ONE)
        return VMAFX_OK;
    return vmafx_fail(reterr, VMAFX_ERR_BUSY,
                      "%d downloads of uploads by node %s are under way already, and the other places are for others; "
                      "try again when one has ended",
                      UPLOADS_FETCHES_OF_ONE, node);
}

static void leave_node(Work *work)
{
    UploadsRpc *door = work->door;

    pthread_mutex_lock(&door->lock);
    for (Work **at = &door->first; *work->node && *at; at = &(*at)->next)
        if (*at == work) {
            *at = work->next;
            break;
        }
    pthread_mutex_unlock(&door->lock);
}

/** Only for the node that works on it, and only what its job names. */
static VmafxErr open_for(Work *work, const Vmafx__V1__FetchUploadRequest *request, int *ret_fd, int64_t *ret_size,
                         VmafxErrInfo *reterr)
{
    UploadsRpc *door = work->door;
    const char *digest = vmafx_uri_upload_digest(request->uri);
    VMAFX_AUTO(vmafx_stored_job_done) VmafxStoredJob job = { 0 };
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
    VmafxAttemptRef ref;

    if (!digest)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "uri: is not upload:SHA256");
    if (!request->attempt || !attempt_from(request->attempt, &ref))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "attempt: missing, or not one");
    if (!door->uploads)
        return uploads_none(reterr);
    VmafxErr err = vmafx_store_get(door->store, &ref.job, &job);
    if (!err)
        err = vmafx_message_unpack(&vmafx__v1__job_spec__descriptor, job.spec, job.spec_len, 0, &message, NULL);
    if (err && err != VMAFX_ERR_NOT_FOUND)
        return err;
    if (err || job.job.state != VMAFX_JOB_RUNNING || job.job.task.attempt != ref.attempt ||
        !is_named(vmafx_message_get(message), request->uri) ||
        (door->allow && door->allow(door->allow_ctx, vmafx_rpc_stream_peer(work->stream), job.job.task.node, NULL)))
        return vmafx_fail(reterr, VMAFX_ERR_FORBIDDEN,
                          "an upload is for the node that works on an attempt whose job names it, and this is none");
    err = enter_node(work, job.job.task.node, reterr);
    if (err)
        return err;
    err = uploads_read(door->uploads, job.job.submitter, digest, ret_fd, ret_size);
    if (err == VMAFX_ERR_NOT_FOUND)
        return vmafx_fail(reterr, err, "the upload is not kept any more; send it again, and submit the job anew");
    return err ? vmafx_fail(reterr, err, "the controller cannot open the upload") : VMAFX_OK;
}

static VmafxErr await_room(Work *work, VmafxErrInfo *reterr)
{
    if (vmafx_rpc_stream_waiting(work->stream) <= WAITING_MAX)
        return VMAFX_OK;
    pthread_mutex_lock(&work->lock);
    work->writable = false;
    pthread_mutex_unlock(&work->lock);
    vmafx_rpc_stream_on_writable(work->stream, WAITING_MAX / 2, now_writable, work);
    pthread_mutex_lock(&work->lock);
    bool came = await(work, &work->writable);
    bool closed = work->closed;
    pthread_mutex_unlock(&work->lock);
    if (closed)
        return VMAFX_ERR_CANCELLED;
    return came ? VMAFX_OK : vmafx_fail(reterr, VMAFX_ERR_DEADLINE, "nothing was read for %d s", STALL_S);
}

static VmafxErr send_from(Work *work, int fd, int64_t offset, int64_t size, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_free_p) uint8_t *buffer = malloc(PIECE_BYTES);
    VmafxErr err = buffer ? VMAFX_OK : VMAFX_ERR_NOMEM;

    if (!err && (offset < 0 || offset > size))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "offset: is not within the %lld bytes of the upload",
                          (long long)size);
    do {
        Vmafx__V1__FetchUploadResponse response = VMAFX__V1__FETCH_UPLOAD_RESPONSE__INIT;
        ssize_t n = err ? 0 : pread(fd, buffer, PIECE_BYTES, offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (!err && (n < 0 || (n == 0 && offset < size)))
            return vmafx_fail(reterr, VMAFX_ERR_IO, "the controller cannot read the upload");
        response.data = (ProtobufCBinaryData){ (size_t)n, buffer };
        response.size_bytes = size;
        if (!err)
            err = send(work, &response.base);
        offset += n;
        if (!err)
            err = await_room(work, reterr);
    } while (!err && offset < size);
    return err;
}

static VmafxErr fetch(Work *work, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
    int64_t size = 0;
    int fd = -1;
    VmafxErr err = take(work, &vmafx__v1__fetch_upload_request__descriptor, &message, reterr);

    if (!err && !message)
        err = VMAFX_ERR_INVALID;
    if (!err)
        err = open_for(work, vmafx_message_get(message), &fd, &size, reterr);
    if (!err)
        err = send_from(work, fd, ((const Vmafx__V1__FetchUploadRequest *)vmafx_message_get(message))->offset, size,
                        reterr);
    if (fd >= 0)
        close(fd);
    leave_node(work);
    return err;
}

/* ---- The tables ---- */

static VmafxErr open_upload(void *ctx, VmafxRpcStream *stream, void **ret_state, VmafxErrInfo *reterr)
{
    return work_open(ctx, stream, false, ret_state);
}

static VmafxErr open_fetch(void *ctx, VmafxRpcStream *stream, void **ret_state, VmafxErrInfo *reterr)
{
    return work_open(ctx, stream, true, ret_state);
}

void uploads_rpc_init(UploadsRpc *door, Api *api)
{
    const ApiMethod methods[] = {
        { "/vmafx.v1.Jobs/FindUpload", &vmafx__v1__find_upload_request__descriptor, find_upload, door, 0, NULL },
    };

    pthread_mutex_init(&door->lock, NULL);
    pthread_cond_init(&door->change, NULL);
    door->api = api;
    api_add(api, methods, VMAFX_LEN(methods));
}

void uploads_rpc_methods(UploadsRpc *door, VmafxRpcMethod ret[UPLOADS_RPC_METHODS])
{
    ret[0] = (VmafxRpcMethod){ .path = "/vmafx.v1.Jobs/UploadInput",
                               .open = open_upload,
                               .message = work_message,
                               .half_closed = work_half_closed,
                               .closed = work_closed,
                               .ctx = door };
    ret[1] = (VmafxRpcMethod){ .path = "/vmafx.v1.Fleet/FetchUpload",
                               .open = open_fetch,
                               .message = work_message,
                               .half_closed = work_half_closed,
                               .closed = work_closed,
                               .ctx = door };
}

void uploads_rpc_done(UploadsRpc *door)
{
    if (!door->api)
        return;
    pthread_mutex_lock(&door->lock);
    while (door->n_sending || door->n_fetching)
        pthread_cond_wait(&door->change, &door->lock);
    pthread_mutex_unlock(&door->lock);
    pthread_cond_destroy(&door->change);
    pthread_mutex_destroy(&door->lock);
}
