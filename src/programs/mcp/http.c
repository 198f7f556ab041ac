/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The transport over HTTP. */

#include "programs/mcp/http.h"

#include <netinet/in.h>
#include <string.h>

#include "base/base.h"
#include "base/clock.h"
#include "programs/mcp/http_headers.h"
#include "programs/mcp/pool.h"
#include "programs/mcp/protocol.h"
#include "programs/mcp/sessions.h"

#define JSON_TYPE         "application/json"
#define TOO_MANY          "too many calls are on their way already; try again soon"
#define TOO_MANY_OF_YOURS "half of the calls that may run are yours already; try again when one of them has ended"

typedef struct Post Post;

struct Http {
    Program *program;
    VmafxService *service;
    Sessions *sessions;
    Pool *pool;  /* for calls that answer with a stream; the others run on the server's own threads */
    bool shares; /* callers have names, so that one could keep the others out */
    atomic_int running;

    pthread_mutex_t lock; /* covers everything below */
    Post *under_way;      /* what takes time, where there are shares */
};

/** A request on its way, or a batch of them. Held by whoever answers, and by its event stream. */
struct Post {
    Http *http;
    JsonRpcText text;
    Session *session;
    VmafxIdentity who;
    char address[INET6_ADDRSTRLEN];
    VmafxContext *context;
    VmafxHttpCall *call;     /* while the handler runs; NULL with a stream */
    VmafxHttpEvents *events; /* NULL: answered with JSON */
    atomic_bool gone;        /* the stream is closed */
    atomic_int refs;
    Call *calls;
    bool placed; /* among those under way; covered by the lock of these, as next */
    Post *next;
};

/* ---- Shares ---- */

static bool takes_time(const Post *post)
{
    for (size_t i = 0; i < post->text.n; i++)
        if (protocol_is_long(&post->text.messages[i]))
            return true;
    return false;
}

/** False: whoever asks has half of the calls that may run already. */
static bool enter(Post *post)
{
    Http *http = post->http;
    int n = 0;

    if (!http->shares || !takes_time(post))
        return true;
    pthread_mutex_lock(&http->lock);
    for (const Post *other = http->under_way; other; other = other->next)
        n += !strcmp(other->who.name, post->who.name);
    post->placed = n < MCP_CALLS_MAX / 2;
    if (post->placed) {
        post->next = http->under_way;
        http->under_way = post;
    }
    pthread_mutex_unlock(&http->lock);
    return post->placed;
}

static void leave(Post *post)
{
    Http *http = post->http;

    pthread_mutex_lock(&http->lock);
    for (Post **at = &http->under_way; post->placed && *at; at = &(*at)->next)
        if (*at == post) {
            *at = post->next;
            break;
        }
    post->placed = false;
    pthread_mutex_unlock(&http->lock);
}

static void post_unref(Post **at)
{
    Post *post = VMAFX_TAKE(*at);

    if (!post || atomic_fetch_sub(&post->refs, 1) != 1)
        return;
    leave(post);
    jsonrpc_text_done(&post->text);
    session_unref(&post->session);
    vmafx_context_unref(&post->context);
    if (post->events)
        vmafx_http_events_unref(&post->events);
    free(post->calls);
    free(post);
}

/* ---- Answers ---- */

static VmafxErr answer_json(VmafxHttpAnswer *answer, int status, json_t *message)
{
    char *text = jsonrpc_dump(message);

    json_decref(message);
    if (!text)
        return VMAFX_ERR_NOMEM;
    answer->status = status;
    answer->content_type = JSON_TYPE;
    answer->body = text;
    answer->len = strlen(text);
    return VMAFX_OK;
}

static VmafxErr refuse(VmafxHttpAnswer *answer, int status, json_t *id, int code, const char *sentence)
{
    return answer_json(answer, status, jsonrpc_error(id, code, sentence, NULL));
}

/** The newer era gives errors of the protocol itself a status too; in the older one an error is an answer like others.
 */
static int status_of(const Call *call, int code)
{
    if (!call->modern)
        return 200;
    switch (code) {
    case JSONRPC_UNKNOWN_METHOD:
        return 404;
    case JSONRPC_PARSE_ERROR:
    case JSONRPC_INVALID_REQUEST:
    case MCP_UNSUPPORTED_VERSION:
    case MCP_HEADER_MISMATCH:
        return 400;
    default:
        return 200;
    }
}

/* ---- Sessions ---- */

static const char *session_id(const VmafxHttpCall *call)
{
    return vmafx_http_call_header(call, "Mcp-Session-Id");
}

/** Finds or begins the session that the messages belong to. False: it is answered. */
static bool find_session(Post *post, const char *owner, VmafxHttpAnswer *answer, VmafxErr *ret)
{
    const JsonRpcMessage *first = &post->text.messages[0];
    const char *id = session_id(post->call), *version = vmafx_http_call_header(post->call, "MCP-Protocol-Version");
    bool begins = post->text.n == 1 && first->kind == JSONRPC_REQUEST && !strcmp(first->method, "initialize");
    uint64_t now = vmafx_monotonic_ns();

    if (version && !protocol_knows(version)) {
        *ret = refuse(answer, 400, first->id, JSONRPC_INVALID_REQUEST,
                      "the header MCP-Protocol-Version names no revision "
                      "that is supported");
        return false;
    }
    if (version && !strcmp(version, MCP_REVISION_MODERN)) {
        *ret = begins ? refuse(answer, 400, first->id, MCP_HEADER_MISMATCH, "revision 2026-07-28 has no initialize")
                      : refuse(answer, 400, first->id, JSONRPC_INVALID_PARAMS,
                               "params._meta lacks \"io.modelcontextprotocol/protocolVersion\"");
        return false;
    }
    if (begins && !id) {
        post->session = sessions_begin(post->http->sessions, owner, now);
        if (!post->session || !vmafx_http_answer_header(answer, "Mcp-Session-Id", post->session->id)) {
            *ret = VMAFX_ERR_NOMEM;
            return false;
        }
        return true;
    }
    if (!id) {
        *ret = refuse(answer, 400, first->id, JSONRPC_INVALID_REQUEST,
                      "the header Mcp-Session-Id is missing; a session begins with initialize");
        return false;
    }
    post->session = sessions_find(post->http->sessions, id, owner, now);
    if (!post->session)
        *ret =
            refuse(answer, 404, first->id, MCP_BUSY - 1, "there is no such session (any more); begin with initialize");
    return post->session != NULL;
}

/* ---- Answering ---- */

static bool is_gone(void *ctx)
{
    Post *post = ctx;

    return atomic_load(&post->gone) || (post->call && vmafx_http_call_cancelled(post->call));
}

static void send_event(Post *post, json_t *message)
{
    VMAFX_AUTO(vmafx_free_p) char *text = jsonrpc_dump(message);

    json_decref(message);
    if (text)
        VMAFX_IGNORE(vmafx_http_events_send(post->events, NULL, "message", text)); /* who has left hears nothing */
}

static void notify(void *ctx, json_t *notification)
{
    send_event(ctx, notification);
}

static void stream_closed(void *ctx, VmafxHttpEvents *events)
{
    Post *post = ctx;

    atomic_store(&post->gone, true);
    post_unref(&post);
}

/** On a thread of the pool. */
static void answer_stream(void *arg)
{
    Post *post = arg;
    VmafxContextToken token = vmafx_context_attach(post->context);

    for (size_t i = 0; i < post->text.n; i++) {
        json_t *answer = protocol_answer(&post->calls[i]);
        if (answer)
            send_event(post, answer);
    }
    VMAFX_IGNORE(!vmafx_context_detach(token)); /* the order is right */
    leave(post);
    vmafx_http_events_finish(post->events);
    post_unref(&post);
}

static VmafxErr begin_stream(Post *post, VmafxErrInfo *reterr)
{
    atomic_fetch_add(&post->refs, 1); /* the stream's */
    VmafxErr err = vmafx_http_call_events(
        post->call,
        &(VmafxHttpEventsConfig){ .queue_max_bytes = 2 * MCP_ANSWER_MAX, .closed = stream_closed, .ctx = post },
        &post->events, reterr);
    if (err) {
        atomic_fetch_sub(&post->refs, 1);
        return err;
    }
    post->call = NULL; /* gone when the handler returns */
    for (size_t i = 0; i < post->text.n; i++)
        post->calls[i].notify = notify;
    atomic_fetch_add(&post->refs, 1); /* the pool's */
    if (pool_run(post->http->pool, answer_stream, post))
        return VMAFX_OK;
    leave(post);
    for (size_t i = 0; i < post->text.n; i++) {
        protocol_drop(&post->calls[i]);
        send_event(post,
                   jsonrpc_error(post->calls[i].message->id, MCP_BUSY,
                                 "too many calls are on their way already; try again when some have ended", NULL));
    }
    vmafx_http_events_finish(post->events);
    atomic_fetch_sub(&post->refs, 1); /* the pool's; the handler's own is still there */
    return VMAFX_OK;
}

/** At a time only so many calls that take time. */
static VmafxErr answer_now(Post *post, VmafxHttpAnswer *answer)
{
    json_t *answers = post->text.batch ? json_array() : NULL, *one = NULL;
    int running = atomic_fetch_add(&post->http->running, 1), code = 0;
    bool has_place = enter(post);
    VmafxErr err = VMAFX_OK;

    for (size_t i = 0; i < post->text.n; i++) {
        Call *call = &post->calls[i];
        json_decref(one);
        if ((running >= MCP_CALLS_MAX || !has_place) && protocol_is_long(call->message)) {
            protocol_drop(call);
            one = jsonrpc_error(call->message->id, MCP_BUSY, has_place ? TOO_MANY : TOO_MANY_OF_YOURS, NULL);
        } else
            one = protocol_answer(call);
        code = one ? protocol_error_code(one) : 0;
        if (answers && one)
            VMAFX_IGNORE(json_array_append(answers, one)); /* the client's own limit ends its wait */
    }
    atomic_fetch_sub(&post->http->running, 1);
    if (answers) {
        json_decref(one);
        if (json_array_size(answers))
            return answer_json(answer, 200, answers);
        json_decref(answers);
        answer->status = 202;
    } else if (one)
        err = answer_json(answer, status_of(&post->calls[0], code), one);
    else
        answer->status = post->text.messages[0].kind == JSONRPC_REQUEST ? 200 : 202;
    return err;
}

static void denied(void *ctx, const char *tool)
{
    const Post *post = ctx;

    vmafx_service_audit(post->http->service, &post->who, post->address, "tool.call", tool, "denied");
}

/** Begins every message. False: it is answered. */
static bool begin_calls(Post *post, VmafxHttpAnswer *answer, VmafxErr *ret)
{
    for (size_t i = 0; i < post->text.n; i++) {
        Call *call = &post->calls[i];
        *call = (Call){
            .program = post->http->program,
            .message = &post->text.messages[i],
            .session = post->session,
            .scope = post->session ? (const void *)post->session : post,
            .role = post->who.role,
            .denied = denied,
            .denied_ctx = post,
            .transport = "tcp",
            .context = post->context,
            .notify_ctx = post,
            .gone = is_gone,
            .gone_ctx = post,
        };
        json_t *refused = protocol_begin(call);
        if (!refused)
            continue;
        for (size_t k = 0; k < i; k++)
            protocol_drop(&post->calls[k]);
        int code = protocol_error_code(refused);
        *ret = answer_json(answer, call->modern || call->message->kind == JSONRPC_INVALID ? 400 : status_of(call, code),
                           refused);
        return false;
    }
    return true;
}

static bool wants_stream(const Post *post, const char *accept)
{
    const Call *call = &post->calls[0];
    bool logs = call->log_level || (call->session && atomic_load(&call->session->log_level) < 8);

    return post->text.n == 1 && protocol_is_long(call->message) && (call->progress_token || logs) && accept &&
           strstr(accept, "text/event-stream");
}

static bool batch_is_allowed(const Post *post)
{
    const char *revision = post->session ? atomic_load(&post->session->revision) : NULL;

    return !post->text.batch || (revision && !strcmp(revision, "2025-03-26"));
}

static VmafxErr take(Post *post, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    const JsonRpcMessage *first = &post->text.messages[0];
    const char *modern = post->text.batch ? NULL : protocol_modern_revision(first), *problem;
    VmafxErr err = VMAFX_OK;

    vmafx_service_identity(post->call, &post->who);
    snprintf(post->address, sizeof post->address, "%s", vmafx_http_call_peer(post->call)->address);
    if (modern && first->kind == JSONRPC_REQUEST && (problem = http_mismatch(post->call, first, modern)))
        return refuse(answer, 400, first->id, MCP_HEADER_MISMATCH, problem);
    if (!modern && first->kind == JSONRPC_INVALID && !post->text.batch)
        return refuse(answer, 400, first->id, first->fault.code, first->fault.message);
    if (!modern && !find_session(post, post->who.name, answer, &err))
        return err;
    if (!batch_is_allowed(post))
        return refuse(answer, 400, NULL, JSONRPC_INVALID_REQUEST, "batches exist in revision 2025-03-26 only");
    if (!begin_calls(post, answer, &err))
        return err;
    if (wants_stream(post, vmafx_http_call_header(post->call, "Accept")) && enter(post))
        return begin_stream(post, reterr);
    return answer_now(post, answer);
}

static VmafxErr handle_post(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(post_unref) Post *post = calloc(1, sizeof *post);
    JsonRpcFault fault;
    size_t len;
    int status;
    const char *body = vmafx_http_call_body(call, &len), *problem = http_unfit(call, &status);

    if (!post)
        return VMAFX_ERR_NOMEM;
    atomic_init(&post->refs, 1);
    post->http = ctx;
    post->call = call;
    if (problem)
        return refuse(answer, status, NULL, JSONRPC_INVALID_REQUEST, problem);
    if (!jsonrpc_read(body, len, &post->text, &fault))
        return refuse(answer, 400, NULL, fault.code, fault.message);
    post->calls = calloc(post->text.n, sizeof *post->calls);
    post->context = vmafx_context_ref(vmafx_context_current());
    return post->calls ? take(post, answer, reterr) : VMAFX_ERR_NOMEM;
}

static VmafxErr handle_delete(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    Http *http = ctx;
    const char *id = session_id(call);
    VmafxIdentity identity;

    vmafx_service_identity(call, &identity);
    if (!id)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "the header Mcp-Session-Id is missing");
    if (!sessions_end(http->sessions, id, identity.name))
        return vmafx_fail(reterr, VMAFX_ERR_NOT_FOUND, "there is no such session (any more)");
    answer->status = 204;
    return VMAFX_OK;
}

/* ---- The interface ---- */

VmafxErr http_new(Program *program, VmafxService *service, bool shares, Http **ret, VmafxErrInfo *reterr)
{
    Http *http = calloc(1, sizeof *http);

    if (!http)
        return VMAFX_ERR_NOMEM;
    http->program = program;
    http->service = service;
    http->shares = shares;
    pthread_mutex_init(&http->lock, NULL);
    http->sessions = sessions_new();
    http->pool = pool_new(MCP_CALLS_MAX, MCP_WAITING_MAX);
    if (!http->sessions || !http->pool) {
        http_free(&http);
        return VMAFX_ERR_NOMEM;
    }
    *ret = http;
    return VMAFX_OK;
}

void http_free(Http **at)
{
    Http *http = VMAFX_TAKE(*at);

    if (!http)
        return;
    pool_free(&http->pool);
    sessions_free(&http->sessions);
    pthread_mutex_destroy(&http->lock);
    free(http);
}

void http_routes(Http *http, VmafxHttpRoute ret[HTTP_ROUTES])
{
    ret[0] = (VmafxHttpRoute){
        .method = "POST", .pattern = "/mcp", .handle = handle_post, .ctx = http, .body_max_bytes = MCP_MESSAGE_MAX
    };
    ret[1] = (VmafxHttpRoute){ .method = "DELETE", .pattern = "/mcp", .handle = handle_delete, .ctx = http };
}
