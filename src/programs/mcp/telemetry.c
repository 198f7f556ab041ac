/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Telemetry of calls by OpenTelemetry's conventions for MCP. */

#include "programs/mcp/telemetry.h"

#include <string.h>

#include "base/base.h"
#include "base/clock.h"
#include "signals/signals.h"

#define ATTRS_MAX 12

static void get_all(void *carrier, const char *name, void (*each)(void *ctx, const char *value, size_t len), void *ctx)
{
    const json_t *value = json_object_get(carrier, name);

    if (json_is_string(value))
        each(ctx, json_string_value(value), json_string_length(value));
}

VmafxSpan *telemetry_tool_begin(const Call *call, const char *tool)
{
    static const VmafxCarrierGetter getter = { get_all };
    json_t *meta = json_object_get(call->message->params, "_meta");
    VmafxContext *parent = vmafx_context_extract(call->context, &getter, meta);
    char id[32];
    VmafxAttr attrs[] = {
        VMAFX_ATTR_STR(VMAFX_KEY_MCP_METHOD, "tools/call"),
        VMAFX_ATTR_STR(VMAFX_KEY_MCP_TOOL, tool),
        VMAFX_ATTR_STR(VMAFX_KEY_GENAI_OPERATION, "execute_tool"),
        VMAFX_ATTR_STR(VMAFX_KEY_GENAI_TOOL, tool),
        VMAFX_ATTR_STR(VMAFX_KEY_MCP_PROTOCOL_VERSION, call->revision),
        VMAFX_ATTR_STR(VMAFX_KEY_NETWORK_TRANSPORT, call->transport),
    };
    VmafxSpanOptions options = {
        .kind = VMAFX_SPAN_SERVER, .parent = parent, .root = !parent, .attrs = { attrs, VMAFX_LEN(attrs) }
    };
    VmafxSpan *span = vmafx_span_start_with(call->program->tracer, VMAFX_SPAN_NAME_MCP_TOOL, &options);

    vmafx_context_unref(&parent);
    snprintf(id, sizeof id, "%lld", (long long)json_integer_value(call->message->id));
    vmafx_span_set_str(span, VMAFX_KEY_JSONRPC_REQUEST_ID,
                       json_is_string(call->message->id) ? json_string_value(call->message->id) : id);
    if (call->session && call->program->http)
        vmafx_span_set_str(span, VMAFX_KEY_MCP_SESSION_ID, call->session->id);
    return span;
}

void telemetry_tool_end(const Call *call, VmafxSpan *span)
{
    if (*call->job_id)
        vmafx_span_set_str(span, VMAFX_KEY_JOB_ID, call->job_id);
    if (!call->error_type)
        return;
    vmafx_span_set_str(span, VMAFX_KEY_ERROR_TYPE, call->error_type);
    vmafx_span_set_status(span, VMAFX_STATUS_ERROR, NULL);
}

void telemetry_measure(const Call *call, int code, uint64_t began_ns)
{
    const JsonRpcMessage *message = call->message;
    const char *name = json_string_value(json_object_get(message->params, "name"));
    bool unknown = code == JSONRPC_UNKNOWN_METHOD, tool = !strcmp(message->method, "tools/call");
    VmafxAttr attrs[ATTRS_MAX];
    size_t n = 0;
    char number[16];

    attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_MCP_METHOD, unknown ? "_OTHER" : message->method);
    attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_MCP_PROTOCOL_VERSION, call->revision);
    attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_NETWORK_TRANSPORT, call->transport);
    if (tool && name) {
        attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_GENAI_OPERATION, "execute_tool");
        attrs[n++] =
            VMAFX_ATTR_STR(VMAFX_KEY_GENAI_TOOL, catalogue_tool(&call->program->catalogue, name) ? name : "_OTHER");
    }
    if (!strcmp(message->method, "prompts/get") && name && catalogue_prompt(&call->program->catalogue, name))
        attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_GENAI_PROMPT, name);
    if (code) {
        snprintf(number, sizeof number, "%d", code);
        attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_RPC_RESPONSE_STATUS, number);
    }
    if (code || call->error_type)
        attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_ERROR_TYPE, code ? number : call->error_type);
    vmafx_histogram_record_with(call->program->duration, (double)(vmafx_monotonic_ns() - began_ns) * 1e-9,
                                (VmafxAttrs){ attrs, n }, NULL);
}
