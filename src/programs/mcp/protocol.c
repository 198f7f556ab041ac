/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The methods of the protocol, of both eras. */

#include "programs/mcp/protocol.h"

#include <string.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/url.h"
#include "programs/mcp/resources.h"
#include "programs/mcp/telemetry.h"
#include "programs/mcp/tools.h"

#define META "io.modelcontextprotocol/"

/* What does not change while the program runs may be kept for an hour; by everybody, as it is the same for all. */
#define CACHE_MS 3600000

static const char *const legacy_revisions[] = { "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05" };
static const char *const log_levels[] = { "debug", "info",     "notice", "warning",
                                          "error", "critical", "alert",  "emergency" };

const char *protocol_revision(const char *asked)
{
    for (size_t i = 0; asked && i < VMAFX_LEN(legacy_revisions); i++)
        if (!strcmp(asked, legacy_revisions[i]))
            return legacy_revisions[i];
    return MCP_REVISION_LEGACY;
}

bool protocol_knows(const char *revision)
{
    return !strcmp(revision, MCP_REVISION_MODERN) || !strcmp(revision, protocol_revision(revision));
}

static json_t *meta_of(const JsonRpcMessage *message)
{
    return json_object_get(message->params, "_meta");
}

const char *protocol_modern_revision(const JsonRpcMessage *message)
{
    return json_string_value(json_object_get(meta_of(message), META "protocolVersion"));
}

bool protocol_is_long(const JsonRpcMessage *message)
{
    static const char *const methods[] = { "tools/call", "resources/read", "resources/list", "completion/complete" };

    for (size_t i = 0; message->kind == JSONRPC_REQUEST && i < VMAFX_LEN(methods); i++)
        if (!strcmp(message->method, methods[i]))
            return true;
    return false;
}

int protocol_error_code(const json_t *answer)
{
    return (int)json_integer_value(json_object_get(json_object_get(answer, "error"), "code"));
}

bool call_given_up(Call *call)
{
    /* In the newer era leaving is how a request is cancelled; in the older one it says nothing. */
    if (call->gone && call->gone(call->gone_ctx)) {
        if (call->modern)
            atomic_store(&call->cancelled, true);
        return true;
    }
    return atomic_load(&call->cancelled) || atomic_load(&call->program->stopping);
}

/* ---- The era ---- */

static json_t *revisions(void)
{
    json_t *array = json_pack("[s]", MCP_REVISION_MODERN);

    for (size_t i = 0; i < VMAFX_LEN(legacy_revisions); i++)
        VMAFX_IGNORE(json_array_append_new(array, json_string(legacy_revisions[i])));
    return array;
}

static json_t *refuse(const Call *call, int code, const char *message, json_t *data)
{
    return jsonrpc_error(call->message->id, code, message, data);
}

static bool token_is_good(const json_t *token)
{
    return json_is_integer(token) || (json_is_string(token) && json_string_length(token) <= MCP_TOKEN_MAX);
}

static json_t *begin_modern(Call *call, const char *revision)
{
    json_t *meta = meta_of(call->message);

    call->modern = true;
    call->revision = MCP_REVISION_MODERN;
    if (strcmp(revision, MCP_REVISION_MODERN) != 0)
        return refuse(call, MCP_UNSUPPORTED_VERSION, "this revision is not supported",
                      json_pack("{s:o, s:s}", "supported", revisions(), "requested", revision));
    if (call->message->kind == JSONRPC_REQUEST && !json_is_object(json_object_get(meta, META "clientCapabilities")))
        return refuse(call, JSONRPC_INVALID_PARAMS, "params._meta lacks \"" META "clientCapabilities\"", NULL);
    call->log_level = json_string_value(json_object_get(meta, META "logLevel"));
    return NULL;
}

static json_t *read_meta(Call *call)
{
    const JsonRpcMessage *message = call->message;
    const json_t *meta = meta_of(message), *token = json_object_get(meta, "progressToken");

    if (message->kind == JSONRPC_RESPONSE)
        return NULL;
    if (message->kind == JSONRPC_INVALID)
        return jsonrpc_error(message->id, message->fault.code, message->fault.message, NULL);
    if (meta && !json_is_object(meta))
        return message->id ? refuse(call, JSONRPC_INVALID_PARAMS, "params._meta must be an object", NULL) : NULL;
    if (token && !token_is_good(token))
        return message->id ? refuse(call, JSONRPC_INVALID_PARAMS,
                                    "params._meta.progressToken must be a short text or a "
                                    "whole number",
                                    NULL)
                           : NULL;
    call->progress_token = (json_t *)token;
    const json_t *claim = json_object_get(meta, META "protocolVersion");
    if (claim && !json_is_string(claim))
        return message->id ? refuse(call, JSONRPC_INVALID_PARAMS,
                                    "params._meta[\"" META "protocolVersion\"] must be a text", NULL)
                           : NULL;
    if (claim)
        return begin_modern(call, json_string_value(claim));
    call->revision = call->session ? atomic_load(&call->session->revision) : NULL;
    if (!call->revision)
        call->revision = MCP_REVISION_LEGACY;
    return NULL;
}

static bool call_enter(Call *call)
{
    bool taken = false;

    pthread_mutex_lock(&call->program->lock);
    for (const Call *other = call->program->calls; other && !taken; other = other->next)
        taken = other->scope == call->scope && json_equal(other->message->id, call->message->id);
    if (!taken) {
        call->next = call->program->calls;
        call->program->calls = call;
    }
    pthread_mutex_unlock(&call->program->lock);
    return !taken;
}

static void call_leave(Call *call)
{
    pthread_mutex_lock(&call->program->lock);
    for (Call **at = &call->program->calls; *at; at = &(*at)->next)
        if (*at == call) {
            *at = call->next;
            break;
        }
    pthread_mutex_unlock(&call->program->lock);
}

json_t *protocol_begin(Call *call)
{
    json_t *refused = read_meta(call);

    if (!refused && call->message->kind == JSONRPC_REQUEST && !call_enter(call))
        refused = refuse(call, JSONRPC_INVALID_REQUEST, "a request with this id is on its way already", NULL);
    return refused;
}

void protocol_drop(Call *call)
{
    call_leave(call);
}

/* ---- Methods ---- */

/** A method's answer: a result (taken over), or an error in code and text. */
typedef struct Answer {
    json_t *result;
    int code;
    char text[VMAFX_ERR_MESSAGE_MAX];
    json_t *data;
    int cache_ms; /* newer era: 0 or more is said; -1: not a thing to keep */
    bool shared;  /* the same for everybody */
} Answer;

static void fail(Answer *answer, int code, const char *text)
{
    answer->code = code;
    snprintf(answer->text, sizeof answer->text, "%s", text);
}

static json_t *server_info(void)
{
    return json_pack("{s:s, s:s, s:s, s:s}", "name", "vmafx-mcp", "title", "VMAFX video quality", "version",
                     MCP_VERSION, "description", "Measures perceptual video quality with VMAF");
}

static json_t *capabilities(void)
{
    return json_pack("{s:{}, s:{}, s:{}, s:{}, s:{}}", "tools", "resources", "prompts", "completions", "logging");
}

static void do_initialize(Call *call, Answer *answer)
{
    const json_t *asked = json_object_get(call->message->params, "protocolVersion");
    const json_t *client = json_object_get(call->message->params, "clientInfo");

    if (!json_is_string(asked) || !json_is_object(client) ||
        !json_is_object(json_object_get(call->message->params, "capabilities"))) {
        fail(answer, JSONRPC_INVALID_PARAMS, "initialize needs protocolVersion (a text), capabilities and clientInfo");
        return;
    }
    if (call->session && atomic_load(&call->session->revision)) {
        fail(answer, JSONRPC_INVALID_REQUEST, "the session is initialised already");
        return;
    }
    call->revision = protocol_revision(json_string_value(asked));
    if (call->session)
        atomic_store(&call->session->revision, call->revision);
    answer->result = json_pack("{s:s, s:o, s:o, s:O}", "protocolVersion", call->revision, "capabilities",
                               capabilities(), "serverInfo", server_info(), "instructions",
                               json_object_get(call->program->catalogue.root, "instructions"));
}

static void do_discover(Call *call, Answer *answer)
{
    answer->result = json_pack("{s:o, s:o, s:o, s:O}", "supportedVersions", revisions(), "capabilities", capabilities(),
                               "serverInfo", server_info(), "instructions",
                               json_object_get(call->program->catalogue.root, "instructions"));
    answer->cache_ms = CACHE_MS;
    answer->shared = true;
}

static void do_ping(Call *call, Answer *answer)
{
    answer->result = json_object();
}

/** Lists are short and come in one page: no cursor of ours exists. */
static bool first_page(const Call *call, Answer *answer)
{
    if (!json_object_get(call->message->params, "cursor"))
        return true;
    fail(answer, JSONRPC_INVALID_PARAMS, "params.cursor is none of ours: the list has one page");
    return false;
}

static void list(Call *call, Answer *answer, const char *name, json_t *entries)
{
    if (!first_page(call, answer))
        return;
    answer->result = json_pack("{s:O}", name, entries);
    answer->cache_ms = CACHE_MS;
    answer->shared = true;
}

static void do_tools_list(Call *call, Answer *answer)
{
    list(call, answer, "tools", call->program->catalogue.tools);
}

static void do_prompts_list(Call *call, Answer *answer)
{
    list(call, answer, "prompts", call->program->catalogue.prompts);
}

static void do_templates_list(Call *call, Answer *answer)
{
    list(call, answer, "resourceTemplates", json_object_get(call->program->catalogue.root, "resourceTemplates"));
}

static void do_tools_call(Call *call, Answer *answer)
{
    const json_t *params = call->message->params;
    const char *name = json_string_value(json_object_get(params, "name"));
    json_t *arguments = json_object_get(params, "arguments");

    if (!name)
        fail(answer, JSONRPC_INVALID_PARAMS, "params.name must be the name of a tool");
    else if (!catalogue_tool(&call->program->catalogue, name)) {
        fail(answer, JSONRPC_INVALID_PARAMS, "");
        snprintf(answer->text, sizeof answer->text, "there is no tool '%.64s'; tools/list has them", name);
    } else if (arguments && !json_is_object(arguments))
        fail(answer, JSONRPC_INVALID_PARAMS, "params.arguments must be an object");
    else
        answer->result = tool_call(call, name, arguments);
}

static void do_resources_list(Call *call, Answer *answer)
{
    VmafxErrInfo info = { 0 };

    if (!first_page(call, answer))
        return;
    VmafxErr err = resources_list(call, &answer->result, &info);
    if (err)
        fail(answer, JSONRPC_INTERNAL_ERROR, *info.message ? info.message : vmafx_err_text(err));
    answer->cache_ms = 0; /* jobs come and go */
}

static void do_resources_read(Call *call, Answer *answer)
{
    const char *uri = json_string_value(json_object_get(call->message->params, "uri"));
    char shown[VMAFX_URL_MAX];
    VmafxErrInfo info = { 0 };

    if (!uri) {
        fail(answer, JSONRPC_INVALID_PARAMS, "params.uri must be the URI of a resource");
        return;
    }
    VmafxErr err = resources_read(call, uri, &answer->result, &info);
    answer->cache_ms = 0;
    if (!err)
        return;
    bool absent = err == VMAFX_ERR_NOT_FOUND || err == VMAFX_ERR_STATE;
    fail(answer, absent ? (call->modern ? JSONRPC_INVALID_PARAMS : MCP_NO_RESOURCE) : JSONRPC_INTERNAL_ERROR,
         *info.message ? info.message : vmafx_err_text(err));
    if (absent) {
        vmafx_url_redact(uri, shown, sizeof shown);
        answer->data = json_pack("{s:s}", "uri", shown);
    }
}

static void do_prompts_get(Call *call, Answer *answer)
{
    const char *name = json_string_value(json_object_get(call->message->params, "name"));
    VmafxErrInfo info = { 0 };

    if (prompt_get(call, name, json_object_get(call->message->params, "arguments"), &answer->result, &info))
        fail(answer, JSONRPC_INVALID_PARAMS, info.message);
}

static void do_complete(Call *call, Answer *answer)
{
    VmafxErrInfo info = { 0 };

    if (complete(call, call->message->params, &answer->result, &info))
        fail(answer, JSONRPC_INVALID_PARAMS, info.message);
}

static void do_set_level(Call *call, Answer *answer)
{
    const char *level = json_string_value(json_object_get(call->message->params, "level"));

    for (size_t i = 0; level && i < VMAFX_LEN(log_levels); i++)
        if (!strcmp(level, log_levels[i])) {
            if (call->session)
                atomic_store(&call->session->log_level, (int)i);
            answer->result = json_object();
            return;
        }
    fail(answer, JSONRPC_INVALID_PARAMS,
         "params.level must be one of debug, info, notice, warning, error, critical, alert, "
         "emergency");
}

enum { LEGACY = 1, MODERN = 2, BOTH = 3 };

static const struct {
    const char *method;
    void (*run)(Call *call, Answer *answer);
    unsigned eras;
} methods[] = {
    { "initialize", do_initialize, LEGACY },
    { "ping", do_ping, LEGACY },
    { "server/discover", do_discover, MODERN },
    { "tools/list", do_tools_list, BOTH },
    { "tools/call", do_tools_call, BOTH },
    { "resources/list", do_resources_list, BOTH },
    { "resources/templates/list", do_templates_list, BOTH },
    { "resources/read", do_resources_read, BOTH },
    { "prompts/list", do_prompts_list, BOTH },
    { "prompts/get", do_prompts_get, BOTH },
    { "completion/complete", do_complete, BOTH },
    { "logging/setLevel", do_set_level, LEGACY },
};

/* ---- Notifications ---- */

static void cancel(Call *call)
{
    const json_t *id = json_object_get(call->message->params, "requestId");

    pthread_mutex_lock(&call->program->lock);
    for (Call *other = call->program->calls; other && id; other = other->next)
        if (other->scope == call->scope && json_equal(other->message->id, id))
            atomic_store(&other->cancelled, true);
    pthread_mutex_unlock(&call->program->lock);
}

/** Anything else says nothing that we act on: `initialized`, changed roots, things of later revisions. */
static void take_notification(Call *call)
{
    if (!strcmp(call->message->method, "notifications/cancelled"))
        cancel(call);
}

/* ---- Requests ---- */

static void answer_method(Call *call, Answer *answer)
{
    for (size_t i = 0; i < VMAFX_LEN(methods); i++)
        if (!strcmp(methods[i].method, call->message->method) && methods[i].eras & (call->modern ? MODERN : LEGACY)) {
            methods[i].run(call, answer);
            return;
        }
    fail(answer, JSONRPC_UNKNOWN_METHOD, "");
    snprintf(answer->text, sizeof answer->text, "there is no method '%.64s' in revision %s", call->message->method,
             call->revision);
}

static void dress_modern(json_t *result, const Answer *answer)
{
    VMAFX_IGNORE(json_object_set_new(result, "resultType", json_string("complete")));
    VMAFX_IGNORE(json_object_set_new(result, "_meta", json_pack("{s:o}", META "serverInfo", server_info())));
    if (answer->cache_ms < 0)
        return;
    VMAFX_IGNORE(json_object_set_new(result, "ttlMs", json_integer(answer->cache_ms)));
    VMAFX_IGNORE(json_object_set_new(result, "cacheScope", json_string(answer->shared ? "public" : "private")));
}

json_t *protocol_answer(Call *call)
{
    Answer answer = { .cache_ms = -1 };
    json_t *id = call->message->id;

    if (call->message->kind == JSONRPC_NOTIFICATION)
        take_notification(call);
    if (call->message->kind != JSONRPC_REQUEST)
        return NULL;
    uint64_t began_ns = vmafx_monotonic_ns();
    answer_method(call, &answer);
    call_leave(call);
    if (!answer.result && !answer.code)
        fail(&answer, JSONRPC_INTERNAL_ERROR, "out of memory");
    telemetry_measure(call, answer.code, began_ns);
    if (atomic_load(&call->cancelled) && strcmp(call->message->method, "initialize") != 0) {
        json_decref(answer.result);
        json_decref(answer.data);
        return NULL;
    }
    if (answer.code) {
        json_decref(answer.result);
        return jsonrpc_error(id, answer.code, answer.text, answer.data);
    }
    if (call->modern)
        dress_modern(answer.result, &answer);
    return jsonrpc_result(id, answer.result);
}
