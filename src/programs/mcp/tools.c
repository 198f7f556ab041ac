/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Calling a tool: its role, its arguments, its span, its answer in the protocol's shape. */

#include "programs/mcp/tools.h"

#include <string.h>

#include "base/base.h"
#include "programs/mcp/schema.h"
#include "programs/mcp/telemetry.h"
#include "signals/signals.h"

/* Whatever takes the machines' time or ends other people's work needs a writer. */
static const struct {
    const char *name;
    VmafxRole role;
    Tool run;
} tools[] = {
    { "score_videos", VMAFX_ROLE_WRITER, tool_score_videos },
    { "start_job", VMAFX_ROLE_WRITER, tool_start_job },
    { "job_status", VMAFX_ROLE_READER, tool_job_status },
    { "wait_for_job", VMAFX_ROLE_READER, tool_wait_for_job },
    { "job_result", VMAFX_ROLE_READER, tool_job_result },
    { "worst_frames", VMAFX_ROLE_READER, tool_worst_frames },
    { "cancel_job", VMAFX_ROLE_WRITER, tool_cancel_job },
    { "list_jobs", VMAFX_ROLE_READER, tool_list_jobs },
    { "compare_encodes", VMAFX_ROLE_WRITER, tool_compare_encodes },
    { "explain_score", VMAFX_ROLE_READER, tool_explain_score },
    { "list_metrics", VMAFX_ROLE_READER, tool_list_metrics },
    { "list_models", VMAFX_ROLE_READER, tool_list_models },
    { "list_nodes", VMAFX_ROLE_READER, tool_list_nodes },
    { "health", VMAFX_ROLE_READER, tool_health },
    { "doctor", VMAFX_ROLE_READER, tool_doctor },
};

const char *tool_at(size_t i, VmafxRole *ret_role)
{
    if (i >= VMAFX_LEN(tools))
        return NULL;
    *ret_role = tools[i].role;
    return tools[i].name;
}

static bool role_is_enough(VmafxRole has, VmafxRole wanted)
{
    return has == VMAFX_ROLE_EVERYTHING || (has != VMAFX_ROLE_NODE && has >= wanted);
}

static VmafxErr run(Call *call, const char *name, json_t *arguments, ToolOutput *ret, VmafxErrInfo *reterr)
{
    const json_t *schema = json_object_get(catalogue_tool(&call->program->catalogue, name), "inputSchema");

    for (size_t i = 0; i < VMAFX_LEN(tools); i++) {
        if (strcmp(tools[i].name, name) != 0)
            continue;
        if (!role_is_enough(call->role, tools[i].role)) {
            if (call->denied)
                call->denied(call->denied_ctx, name);
            return vmafx_fail(reterr, VMAFX_ERR_FORBIDDEN, "the tool %s takes the role %s, and the token has only %s",
                              name, vmafx_role_name(tools[i].role), vmafx_role_name(call->role));
        }
        VmafxErr err = schema_check(schema, arguments, "arguments", reterr);
        return err ? err : tools[i].run(call, arguments, ret, reterr);
    }
    return vmafx_fail(reterr, VMAFX_ERR_INTERNAL, "the tool %s is in the catalogue only", name);
}

/** A message for the client's log, where it wants such: what failed. */
static void tell_log(Call *call, const char *tool, const char *sentence)
{
    static const char *const below_warning[] = { "debug", "info", "notice", "warning" };
    bool wanted = call->session && atomic_load(&call->session->log_level) <= 3;

    for (size_t i = 0; call->log_level && i < VMAFX_LEN(below_warning); i++)
        wanted = wanted || !strcmp(call->log_level, below_warning[i]);
    if (!wanted || !call->notify)
        return;
    json_t *params = json_pack("{s:s, s:s, s:{s:s, s:s}}", "level", "warning", "logger", "vmafx-mcp", "data", "tool",
                               tool, "message", sentence);
    json_t *notification = params ? jsonrpc_notification("notifications/message", params) : NULL;
    if (notification)
        call->notify(call->notify_ctx, notification);
}

json_t *tool_call(Call *call, const char *name, json_t *arguments)
{
    VMAFX_AUTO(vmafx_span_end) VmafxSpan *span = telemetry_tool_begin(call, name);
    VMAFX_AUTO(vmafx_span_detach) VmafxContextToken token = vmafx_span_attach(span);
    ToolOutput output = { 0 };
    VmafxErrInfo info = { 0 };
    json_t *none = arguments ? json_incref(arguments) : json_object(), *result;
    VmafxErr err = none ? run(call, name, none, &output, &info) : VMAFX_ERR_NOMEM;

    json_decref(none);
    if (err) {
        /* The convention's name for a tool that says no; what of, the log line says. */
        call->error_type = "tool_error";
        const char *sentence = *info.message ? info.message : vmafx_err_text(err);
        tell_log(call, name, sentence);
        vmafx_log(call->program->log, VMAFX_INFO, "a tool call failed", VMAFX_ATTR_STR(VMAFX_KEY_GENAI_TOOL, name),
                  VMAFX_ATTR_STR(VMAFX_KEY_ERROR_TYPE, vmafx_err_name(err)));
        result = json_pack("{s:[{s:s, s:s}], s:b}", "content", "type", "text", "text", sentence, "isError", 1);
        json_decref(output.value);
    } else
        result = json_pack("{s:[{s:s, s:s}], s:o, s:b}", "content", "type", "text", "text",
                           output.text ? output.text : "", "structuredContent", output.value, "isError", 0);
    free(output.text);
    telemetry_tool_end(call, span);
    return result;
}
