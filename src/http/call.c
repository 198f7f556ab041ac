/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The life of a request. On libmicrohttpd's thread, in this order:
 *
 *     begin      the first line is there: the target is copied as it was sent
 *     continue   NEW: the headers are there. Route, checks, authorization; refusals are answered here, before any body
 *                RECEIVING: a piece of the body, or its end: then the handler runs, or the connection is suspended
 *                STORING: (suspended; a writer's thread empties an upload's buffer, stores RECEIVING and resumes)
 *                WAITING: (suspended; a pool thread runs the handler, stores ANSWERED and resumes)
 *                ANSWERED: the answer is queued
 *     over       it was sent, or the peer is gone: telemetry, memory
 */

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "base/clock.h"
#include "http/server_internal.h"

enum { BODY_FIRST = 4096 };

static void set_phase(VmafxHttpCall *call, HttpPhase phase)
{
    pthread_mutex_lock(&call->server->lock);
    call->connection->phase = phase;
    call->connection->since_ns = vmafx_monotonic_ns();
    call->connection->received = 0;
    call->connection->ended = false;
    pthread_mutex_unlock(&call->server->lock);
}

static void set_peer(VmafxHttpCall *call)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(call->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info ? info->client_addr : NULL;

    call->peer.address = call->address;
    call->peer.encrypted = call->server->encrypted;
    if (address && address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;

        inet_ntop(AF_INET, &in->sin_addr, call->address, sizeof call->address);
        call->peer.port = ntohs(in->sin_port);
        call->peer.loopback = ntohl(in->sin_addr.s_addr) >> 24 == 127;
    } else if (address && address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)address;
        bool mapped = IN6_IS_ADDR_V4MAPPED(&in->sin6_addr);

        inet_ntop(mapped ? AF_INET : AF_INET6, in->sin6_addr.s6_addr + (mapped ? 12 : 0), call->address,
                  sizeof call->address);
        call->peer.port = ntohs(in->sin6_port);
        call->peer.loopback = mapped ? in->sin6_addr.s6_addr[12] == 127 : IN6_IS_ADDR_LOOPBACK(&in->sin6_addr);
    }
}

void *http_call_begin(void *ctx, const char *target, struct MHD_Connection *mhd)
{
    VmafxHttpServer *server = ctx;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    HttpConnection *connection = info ? info->socket_context : NULL;
    VmafxHttpCall *call = connection ? calloc(1, sizeof *call) : NULL;

    if (!call)
        return NULL;
    call->raw_target = vmafx_strdup(target);
    if (!call->raw_target) {
        free(call);
        return NULL;
    }
    call->server = server;
    call->mhd = mhd;
    call->connection = connection;
    set_peer(call);
    pthread_mutex_lock(&server->lock);
    server->n_calls++;
    pthread_mutex_unlock(&server->lock);
    return call;
}

/* ---- answering ---- */

static bool wants_default(const VmafxHttpAnswer *answer, const char *name)
{
    for (size_t i = 0; i < answer->n_headers; i++)
        if (!strcasecmp(answer->headers[i].name, name))
            return false;
    return true;
}

static struct MHD_Response *plain_response(VmafxHttpCall *call)
{
    VmafxHttpAnswer *answer = &call->answer;
    char *body = VMAFX_TAKE(answer->body);

    if (answer->file.there) {
        struct MHD_Response *response = MHD_create_response_from_fd64((uint64_t)answer->file.size, answer->file.fd);

        answer->file.there = !response; /* it is the response's now */
        free(body);
        return response;
    }
    if (!body)
        return MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
    struct MHD_Response *response = MHD_create_response_from_buffer(answer->len, body, MHD_RESPMEM_MUST_FREE);
    if (!response)
        free(body);
    return response;
}

/* RFC 6750, section 3: what is wrong is said to whom has shown a token, and to nobody else. */
static const char *challenge(const VmafxHttpCall *call)
{
    const char *shown = vmafx_http_call_header(call, "Authorization");
    bool token = shown && !strncasecmp(shown, "Bearer", 6) && (!shown[6] || shown[6] == ' ');

    return token ? "Bearer error=\"invalid_token\"" : "Bearer";
}

static enum MHD_Result send_answer(VmafxHttpCall *call)
{
    VmafxHttpAnswer *answer = &call->answer;
    struct MHD_Response *response = call->events ? http_events_response(call->events) : plain_response(call);

    if (!response)
        return MHD_NO;
    if (answer->content_type && !call->events)
        MHD_add_response_header(response, "Content-Type", answer->content_type);
    for (size_t i = 0; i < answer->n_headers; i++)
        MHD_add_response_header(response, answer->headers[i].name, answer->headers[i].value);
    if ((answer->status == 429 || answer->status == 503 || answer->retry_after_s) &&
        wants_default(answer, "Retry-After")) {
        char seconds[16];

        snprintf(seconds, sizeof seconds, "%u", answer->retry_after_s ? answer->retry_after_s : 1);
        MHD_add_response_header(response, "Retry-After", seconds);
    }
    if (answer->status == 401 && wants_default(answer, "WWW-Authenticate"))
        MHD_add_response_header(response, "WWW-Authenticate", challenge(call));
    if (wants_default(answer, "Cache-Control"))
        MHD_add_response_header(response, "Cache-Control", "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (call->keep_off || atomic_load(&call->server->stopping))
        MHD_add_response_header(response, "Connection", "close");
    if (call->events)
        http_telemetry_end(call); /* a stream's life is no request's duration */
    enum MHD_Result queued = MHD_queue_response(call->mhd, (unsigned)answer->status, response);
    MHD_destroy_response(response);
    return queued;
}

static void refuse_as(VmafxHttpCall *call, int status, VmafxErr err, const char *detail)
{
    http_answer_refuse(&call->answer, status, err, detail);
    atomic_store(&call->state, HTTP_CALL_ANSWERED);
}

static void refuse(VmafxHttpCall *call, int status, const char *detail)
{
    refuse_as(call, status, VMAFX_OK, detail);
}

static void refuse_err(VmafxHttpCall *call, VmafxErr err, const VmafxErrInfo *info)
{
    refuse_as(call, vmafx_http_status_of(err), err, *info->message ? info->message : vmafx_err_text(err));
}

/* Was the upload refused? Then so is the call. */
static bool refuse_with_upload(VmafxHttpCall *call)
{
    const char *why;
    VmafxErr err;
    int status = call->upload ? http_upload_refused(call->upload, &err, &why) : 0;

    if (status)
        refuse_as(call, status, err, why);
    return status;
}

/* ---- the headers ---- */

/* The route, with its index; sets *ret_allow to the methods that the path has when none fits. */
static void find_route(VmafxHttpCall *call, char *ret_allow, size_t size)
{
    const VmafxHttpServerConfig *config = &call->server->config;
    const char *wanted = !strcmp(call->method, "HEAD") ? "GET" : call->method;
    size_t at = 0;

    *ret_allow = 0;
    for (size_t i = 0; i < config->n_routes; i++) {
        const VmafxHttpRoute *route = &config->routes[i];

        if (!vmafx_http_pattern_match(route->pattern, &call->target))
            continue;
        if (!strcmp(route->method, wanted)) {
            call->route = route;
            call->route_name = call->server->route_names[i];
            return;
        }
        int n = snprintf(ret_allow + at, size - at, "%s%s%s", at ? ", " : "", route->method,
                         strcmp(route->method, "GET") ? "" : ", HEAD");
        at = VMAFX_MIN(at + (size_t)n, size - 1);
    }
}

typedef struct Framing {
    int lengths, codings, types;
    bool other_coding; /* not "chunked" */
    bool encoded;      /* Content-Encoding, not "identity" */
    uint64_t length;
    bool bad_length;
} Framing;

static enum MHD_Result look_at_header(void *ctx, enum MHD_ValueKind kind, const char *name, const char *value)
{
    Framing *framing = ctx;

    value = value ? value : "";
    if (!strcasecmp(name, "Content-Length")) {
        char *end;

        framing->lengths++;
        framing->length = strtoull(value, &end, 10);
        framing->bad_length = framing->bad_length || *value < '0' || *value > '9' || *end || strlen(value) > 18;
    } else if (!strcasecmp(name, "Transfer-Encoding")) {
        framing->codings++;
        framing->other_coding = framing->other_coding || strcasecmp(value, "chunked") != 0;
    } else if (!strcasecmp(name, "Content-Encoding")) {
        framing->encoded = framing->encoded || strcasecmp(value, "identity") != 0;
    } else if (!strcasecmp(name, "Content-Type")) {
        framing->types++;
    }
    return MHD_YES;
}

/* Is it plain where the request ends? */
static bool check_framing(VmafxHttpCall *call, const Framing *framing)
{
    const char *why = NULL;
    int status = 400;

    if (framing->lengths && framing->codings)
        why = "the request has Content-Length and Transfer-Encoding; send one of them";
    else if (framing->lengths > 1 || framing->codings > 1 || framing->bad_length)
        why = "the request has more than one length, or one that is not a number";
    else if (framing->codings && (framing->other_coding || strcmp(call->protocol, "1.1") != 0))
        status = 501, why = "the only transfer coding is 'chunked', in HTTP/1.1";
    else if (framing->types > 1)
        why = "the request has more than one Content-Type";
    if (!why)
        return true;
    refuse(call, status, why);
    call->keep_off = true; /* nobody knows where the next request would begin */
    return false;
}

static bool authorize(VmafxHttpCall *call)
{
    const VmafxHttpServerConfig *config = &call->server->config;
    VmafxErrInfo info = { 0 };
    VmafxErr err = config->authorize ? config->authorize(config->authorize_ctx, call, &info) : VMAFX_OK;

    if (err)
        refuse_err(call, err, &info);
    return !err;
}

static bool choose_route(VmafxHttpCall *call)
{
    char allow[256];
    VmafxErrInfo info = { 0 };
    VmafxErr err = vmafx_http_target_parse(call->raw_target, strlen(call->raw_target), &call->target, &info);

    if (!err)
        find_route(call, allow, sizeof allow);
    http_telemetry_begin(call);
    if (err) {
        refuse_err(call, err, &info);
    } else if (!call->route && *allow) {
        refuse(call, 405, "this path has other methods; Allow names them");
        vmafx_http_answer_header(&call->answer, "Allow", allow);
    } else if (!call->route) {
        refuse(call, 404, "there is nothing at this path");
    }
    return call->route;
}

/*
 * Is a body that will be refused answered before it comes? Yes when the client waits for that, or has more to send than
 * we would throw away. Others send first and listen later: to answer and close would break their pipe, and they would
 * not know why.
 */
static bool told_at_once(const VmafxHttpCall *call, uint64_t length)
{
    return vmafx_http_call_header(call, "Expect") || length > HTTP_EXCESS_MAX;
}

static void start_upload(VmafxHttpCall *call, uint64_t length)
{
    const char *why;
    VmafxErr err;

    call->upload = http_upload_new(call, length);
    if (!call->upload)
        refuse_as(call, 503, VMAFX_ERR_NOMEM, "out of memory");
    else if (http_upload_refused(call->upload, &err, &why) && told_at_once(call, length))
        refuse_with_upload(call);
    else
        atomic_store(&call->state, HTTP_CALL_RECEIVING);
}

static void start_body(VmafxHttpCall *call, uint64_t length)
{
    call->len_max = call->route->body_max_bytes ? call->route->body_max_bytes : call->server->config.body_max_bytes;
    if (http_upload_wanted(call)) {
        start_upload(call, length);
        return;
    }
    if (length > call->len_max)
        refuse(call, 413, "the body is longer than this route takes");
    if (length <= call->len_max || !told_at_once(call, length))
        atomic_store(&call->state, HTTP_CALL_RECEIVING);
}

static void start(VmafxHttpCall *call, const char *method, const char *protocol)
{
    Framing framing = { 0 };

    call->method = method;
    call->protocol = !strncmp(protocol, "HTTP/", 5) ? protocol + 5 : protocol;
    MHD_get_connection_values(call->mhd, MHD_HEADER_KIND, look_at_header, &framing);
    call->has_body = framing.length || framing.codings || framing.bad_length;
    if (!choose_route(call) || !check_framing(call, &framing) || !authorize(call))
        return;
    if (atomic_load(&call->server->stopping))
        refuse_as(call, 503, VMAFX_ERR_STOPPED, "the server is stopping");
    else if (framing.encoded && !(call->route->flags & VMAFX_HTTP_CODED))
        refuse(call, 415, "bodies are taken as they are; send it without Content-Encoding");
    else
        start_body(call, framing.length);
}

/* ---- the body ---- */

/* False: too much of it, or no memory; it will be thrown away. */
static bool keep_piece(VmafxHttpCall *call, const char *data, size_t len)
{
    VmafxHttpServer *server = call->server;

    if (call->answer.status || call->excess || len > call->len_max - call->len)
        return false;
    if (call->len + len + 1 > call->room) {
        size_t room = VMAFX_MAX(call->room, (size_t)BODY_FIRST);

        while (room < call->len + len + 1)
            room *= 2; /* len_max keeps this small */
        room = VMAFX_MIN(room, call->len_max + 1);
        size_t more = room - call->room;
        if (atomic_fetch_add(&server->bodies_bytes, more) + more > server->config.bodies_max_bytes) {
            atomic_fetch_sub(&server->bodies_bytes, more);
            http_answer_refuse(&call->answer, 503, VMAFX_ERR_BUSY,
                               "too many bodies are being received; try again later");
            return false;
        }
        char *body = realloc(call->body, room);
        if (!body) {
            atomic_fetch_sub(&server->bodies_bytes, more);
            http_answer_refuse(&call->answer, 503, VMAFX_ERR_NOMEM, "out of memory");
            return false;
        }
        call->body = body;
        call->room = room;
    }
    memcpy(call->body + call->len, data, len);
    call->len += len;
    call->body[call->len] = 0;
    return true;
}

static void drop_body(VmafxHttpCall *call)
{
    free(call->body);
    atomic_fetch_sub(&call->server->bodies_bytes, call->room);
    call->body = NULL;
    call->room = 0;
}

/* How much is read and thrown away before the line is cut. An upload may have been refused at its beginning. */
static uint64_t excess_max(const VmafxHttpCall *call)
{
    return call->upload ? http_upload_max(call->upload) + HTTP_EXCESS_MAX : HTTP_EXCESS_MAX;
}

/* The buffer is full: a writer empties it while the connection sleeps. */
static void store_buffer(VmafxHttpCall *call)
{
    pthread_mutex_lock(&call->server->lock);
    call->connection->phase = HTTP_PHASE_WORK;
    call->connection->paused_ns = vmafx_monotonic_ns();
    pthread_mutex_unlock(&call->server->lock);
    atomic_store(&call->state, HTTP_CALL_STORING);
    MHD_suspend_connection(call->mhd);
    if (http_pool_push(&call->server->writers, call))
        return;
    http_upload_refuse(call->upload, 503, VMAFX_ERR_STOPPED, "the server is stopping");
    http_call_stored(call);
    MHD_resume_connection(call->mhd);
}

void http_call_stored(VmafxHttpCall *call)
{
    HttpConnection *connection = call->connection;

    pthread_mutex_lock(&call->server->lock);
    connection->phase = HTTP_PHASE_UPLOAD;
    connection->since_ns += vmafx_monotonic_ns() - connection->paused_ns; /* that was our time, not the peer's */
    pthread_mutex_unlock(&call->server->lock);
    atomic_store(&call->state, HTTP_CALL_RECEIVING);
}

/* It has had its chance to hear why. */
static enum MHD_Result cut(VmafxHttpCall *call)
{
    pthread_mutex_lock(&call->server->lock);
    call->connection->cut = true;
    pthread_mutex_unlock(&call->server->lock);
    return MHD_NO;
}

static enum MHD_Result take_upload(VmafxHttpCall *call, const char *data, size_t *len)
{
    size_t n = http_upload_take(call->upload, data, *len);
    const char *why;
    VmafxErr err;

    pthread_mutex_lock(&call->server->lock);
    call->connection->received += n;
    call->connection->ended = false;
    pthread_mutex_unlock(&call->server->lock);
    if (http_upload_refused(call->upload, &err, &why))
        call->excess += n;
    else
        call->uploaded += n;
    *len -= n;
    if (*len)
        store_buffer(call);
    return call->excess > excess_max(call) ? cut(call) : MHD_YES;
}

static enum MHD_Result take_piece(VmafxHttpCall *call, const char *data, size_t *len)
{
    if (call->upload)
        return take_upload(call, data, len);
    if (!keep_piece(call, data, *len)) {
        drop_body(call);
        call->excess += *len;
    }
    *len = 0;
    return call->excess > excess_max(call) ? cut(call) : MHD_YES;
}

/* ---- the handler ---- */

void http_call_run(VmafxHttpCall *call, bool refused)
{
    VmafxErrInfo info = { 0 };

    if (atomic_load(&call->state) == HTTP_CALL_STORING) {
        if (refused)
            http_upload_refuse(call->upload, 503, VMAFX_ERR_STOPPED, "the server is stopping");
        http_upload_store(call->upload);
        http_call_stored(call);
        return;
    }
    if (refused) {
        refuse_as(call, 503, VMAFX_ERR_STOPPED, "the server is stopping");
        return;
    }
    if (call->upload)
        http_upload_end(call->upload);
    if (refuse_with_upload(call))
        return;
    VmafxContextToken token = vmafx_span_attach(call->span);
    call->answer.status = 200;
    VmafxErr err = call->route->handle(call->route->ctx, call, &call->answer, &info);
    vmafx_span_detach(&token);
    http_upload_free(&call->upload); /* here, as letting go of large files takes its time */
    if (err || call->answer.status < 200 || call->answer.status > 599) {
        if (call->events) { /* it was opened, and will not be */
            vmafx_http_events_finish(call->events);
            http_events_over(&call->events);
        }
        if (!err)
            err = VMAFX_ERR_INTERNAL;
        refuse_err(call, err, &info);
        return;
    }
    atomic_store(&call->state, HTTP_CALL_ANSWERED);
}

/* Everything has been received. False: the connection was suspended, and the call may have its answer already. */
static bool dispatch(VmafxHttpCall *call)
{
    bool refused = refuse_with_upload(call);
    HttpPool *pool = call->route->flags & VMAFX_HTTP_URGENT ? &call->server->urgent : &call->server->pool;

    set_phase(call, HTTP_PHASE_WORK);
    if (refused || call->answer.status) { /* while the body came */
        atomic_store(&call->state, HTTP_CALL_ANSWERED);
    } else if (call->excess) {
        refuse(call, 413, "the body is longer than this route takes");
    } else if (call->route->flags & VMAFX_HTTP_INLINE) {
        http_call_run(call, false);
    } else {
        atomic_store(&call->state, HTTP_CALL_WAITING);
        MHD_suspend_connection(call->mhd);
        if (!http_pool_push(pool, call)) {
            refuse_as(call, 503, VMAFX_ERR_BUSY, "too many requests are waiting; try again later");
            MHD_resume_connection(call->mhd);
        }
        return false;
    }
    return true;
}

enum MHD_Result http_call_continue(void *ctx, struct MHD_Connection *mhd, const char *url, const char *method,
                                   const char *protocol, const char *data, size_t *len, void **taken)
{
    VmafxHttpCall *call = *taken;

    if (!call)
        return MHD_NO; /* there was no memory for it */
    switch (atomic_load(&call->state)) {
    case HTTP_CALL_NEW:
        start(call, method, protocol);
        if (atomic_load(&call->state) != HTTP_CALL_ANSWERED) {
            set_phase(call, call->upload ? HTTP_PHASE_UPLOAD : HTTP_PHASE_BODY);
            return MHD_YES;
        }
        set_phase(call, HTTP_PHASE_WORK);
        call->connection->owes = call->has_body;
        return send_answer(call);
    case HTTP_CALL_RECEIVING:
        if (*len)
            return take_piece(call, data, len);
        return dispatch(call) ? send_answer(call) : MHD_YES;
    case HTTP_CALL_ANSWERED:
        return send_answer(call);
    default:
        return MHD_YES;
    }
}

void http_call_over(void *ctx, struct MHD_Connection *mhd, void **taken, enum MHD_RequestTerminationCode how)
{
    VmafxHttpServer *server = ctx;
    VmafxHttpCall *call = *taken;

    if (!call)
        return;
    *taken = NULL;
    set_phase(call, HTTP_PHASE_HEAD); /* the next request may come */
    if (call->events)
        http_events_over(&call->events);
    http_telemetry_end(call);
    vmafx_span_unref(&call->span);
    http_upload_free(&call->upload);
    http_answer_done(&call->answer);
    vmafx_http_target_done(&call->target);
    drop_body(call);
    free(call->raw_target);
    free(call);

    pthread_mutex_lock(&server->lock);
    server->n_calls--;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}
