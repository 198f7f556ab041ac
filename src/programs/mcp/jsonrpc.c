/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* JSON-RPC 2.0: jansson does the grammar, this the depth and the shape. */

#include "programs/mcp/jsonrpc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/text.h"
#include "base/url.h"

static void fault_set(JsonRpcFault *fault, int code, const char *fmt, ...) VMAFX_PRINTF(3, 4);

static void fault_set(JsonRpcFault *fault, int code, const char *fmt, ...)
{
    va_list args;

    fault->code = code;
    va_start(args, fmt);
    vsnprintf(fault->message, sizeof fault->message, fmt, args);
    va_end(args);
}

/** The parser below recurses, so depth is looked at before. Brackets in texts do not count; what is malformed may. */
static bool too_deep(const char *data, size_t len)
{
    size_t depth = 0;
    bool text = false;

    for (size_t i = 0; i < len; i++) {
        if (text && data[i] == '\\')
            i++;
        else if (data[i] == '"')
            text = !text;
        else if (!text && (data[i] == '{' || data[i] == '[') && ++depth > JSONRPC_DEPTH_MAX)
            return true;
        else if (!text && (data[i] == '}' || data[i] == ']') && depth)
            depth--;
    }
    return false;
}

static bool id_is_good(const json_t *id)
{
    return json_is_integer(id) || (json_is_string(id) && json_string_length(id) <= JSONRPC_ID_MAX);
}

static void read_message(json_t *value, JsonRpcMessage *m)
{
    json_t *version = json_object_get(value, "jsonrpc"), *id = json_object_get(value, "id");
    json_t *method = json_object_get(value, "method"), *params = json_object_get(value, "params");
    bool answer = json_object_get(value, "result") || json_object_get(value, "error");

    *m = (JsonRpcMessage){ .kind = JSONRPC_INVALID, .id = id && id_is_good(id) ? id : NULL };
    if (!json_is_object(value))
        fault_set(&m->fault, JSONRPC_INVALID_REQUEST, "a message must be an object");
    else if (!json_is_string(version) || strcmp(json_string_value(version), "2.0") != 0)
        fault_set(&m->fault, JSONRPC_INVALID_REQUEST, "the member jsonrpc must be \"2.0\"");
    else if (answer && !method)
        m->kind = JSONRPC_RESPONSE;
    else if (!json_is_string(method) || !json_string_length(method) || json_string_length(method) > JSONRPC_METHOD_MAX)
        fault_set(&m->fault, JSONRPC_INVALID_REQUEST, "the member method must be a text of 1 to %d bytes",
                  JSONRPC_METHOD_MAX);
    else if (answer)
        fault_set(&m->fault, JSONRPC_INVALID_REQUEST, "a message is a request or an answer, not both");
    else if (id && !id_is_good(id))
        fault_set(&m->fault, JSONRPC_INVALID_REQUEST, "the id must be a whole number or a text of at most %d bytes",
                  JSONRPC_ID_MAX);
    else if (params && !json_is_object(params))
        fault_set(&m->fault, id ? JSONRPC_INVALID_PARAMS : JSONRPC_INVALID_REQUEST, "params must be an object");
    else
        m->kind = id ? JSONRPC_REQUEST : JSONRPC_NOTIFICATION;
    if (m->kind == JSONRPC_REQUEST || m->kind == JSONRPC_NOTIFICATION) {
        m->method = json_string_value(method);
        m->params = params;
    }
}

bool jsonrpc_read(const char *data, size_t len, JsonRpcText *ret, JsonRpcFault *ret_fault)
{
    VMAFX_AUTO(jsonrpc_text_done) JsonRpcText text = { 0 };
    json_error_t error;

    if (too_deep(data, len)) {
        fault_set(ret_fault, JSONRPC_PARSE_ERROR, "more than %d levels of nesting", JSONRPC_DEPTH_MAX);
        return false;
    }
    text.root = json_loadb(data, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!text.root) {
        fault_set(ret_fault, JSONRPC_PARSE_ERROR, "not JSON at byte %d: %.160s", error.position, error.text);
        return false;
    }
    text.batch = json_is_array(text.root);
    text.n = text.batch ? json_array_size(text.root) : 1;
    if ((!text.batch && !json_is_object(text.root)) || !text.n || text.n > JSONRPC_BATCH_MAX) {
        fault_set(ret_fault, JSONRPC_INVALID_REQUEST, "a text must be a message, or a batch of 1 to %d of them",
                  JSONRPC_BATCH_MAX);
        return false;
    }
    text.messages = calloc(text.n, sizeof *text.messages);
    if (!text.messages) {
        fault_set(ret_fault, JSONRPC_INTERNAL_ERROR, "out of memory");
        return false;
    }
    for (size_t i = 0; i < text.n; i++)
        read_message(text.batch ? json_array_get(text.root, i) : text.root, &text.messages[i]);
    *ret = text;
    text = (JsonRpcText){ 0 };
    return true;
}

void jsonrpc_text_done(JsonRpcText *text)
{
    json_decref(text->root);
    free(text->messages);
    *text = (JsonRpcText){ 0 };
}

json_t *jsonrpc_result(json_t *id, json_t *result)
{
    return json_pack("{s:s, s:O, s:o}", "jsonrpc", "2.0", "id", id, "result", result);
}

json_t *jsonrpc_error(json_t *id, int code, const char *message, json_t *data)
{
    char shown[VMAFX_ERR_MESSAGE_MAX];

    vmafx_text_copy(shown, sizeof shown, message);
    vmafx_urls_hide(shown); /* assistants keep what they are told */
    return json_pack("{s:s, s:o, s:{s:i, s:s, s:o*}}", "jsonrpc", "2.0", "id", id ? json_incref(id) : json_null(),
                     "error", "code", code, "message", shown, "data", data);
}

json_t *jsonrpc_notification(const char *method, json_t *params)
{
    return json_pack("{s:s, s:s, s:o*}", "jsonrpc", "2.0", "method", method, "params", params);
}

char *jsonrpc_dump(const json_t *value)
{
    return value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
}
