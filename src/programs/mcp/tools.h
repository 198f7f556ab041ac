/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Tools: one table of what each does and which role it takes. What they are called and take says catalogue.json. */
#ifndef VMAFX_PROGRAMS_MCP_TOOLS_H
#define VMAFX_PROGRAMS_MCP_TOOLS_H

#include "programs/mcp/mcp.h"

/**
 * Calls a tool of the catalogue: role, arguments, the work, with its span.
 * @return a CallToolResult, also for what went wrong (isError); NULL without memory
 */
json_t *tool_call(Call *call, const char *name, json_t *arguments);

/** The table, for tests: the i-th tool and its role; NULL beyond the last. */
const char *tool_at(size_t i, VmafxRole *ret_role);

/** What a tool gives: a value and a text of it, or an error with its sentence. */
typedef struct ToolOutput {
    json_t *value; /* an object; taken over */
    char *text;    /* malloc'ed; taken over */
} ToolOutput;

/** The result of the job that the arguments name, for tools that look into one. */
VmafxErr tool_fetch(Call *call, const json_t *arguments, bool frames, JobResult *ret, VmafxErrInfo *reterr);

typedef VmafxErr (*Tool)(Call *call, const json_t *arguments, ToolOutput *ret, VmafxErrInfo *reterr);

VmafxErr tool_score_videos(Call *call, const json_t *arguments, ToolOutput *ret, VmafxErrInfo *reterr);
VmafxErr tool_start_job(Call *call, const json_t *arguments, ToolOutput *ret, VmafxErrInfo *reterr);
VmafxErr tool_job_status(Call *call, const json_t *arguments, ToolOutput *ret, VmafxErrInfo *reterr);
VmafxErr tool_wait_for_job(Call *call, const json_t *arguments, ToolOutput *ret, VmafxErrInfo *reterr);
VmafxErr tool_job_result(Call *call, const json_t *arguments, ToolOutput *ret, VmafxErrInfo *reterr);
VmafxErr tool_worst_frames(Call *call, const json_t *arguments, ToolOutput *ret, VmafxErrInfo *reterr);
VmafxErr tool_cancel_job(Call *call, const json_t *arguments, ToolOutput *ret, VmafxErrInfo *reterr);
VmafxErr tool_list_jobs(Call *call, const json_t *arguments, ToolOutput *ret, VmafxErrInfo *reterr);
VmafxErr tool_compare_encodes(Call *call, const json_t *arguments, ToolOutput *ret, VmafxErrInfo *reterr);
VmafxErr tool_explain_score(Call *call, const json_t *arguments, ToolOutput *ret, VmafxErrInfo *reterr);
VmafxErr tool_list_metrics(Call *call, const json_t *arguments, ToolOutput *ret, VmafxErrInfo *reterr);
VmafxErr tool_list_models(Call *call, const json_t *arguments, ToolOutput *ret, VmafxErrInfo *reterr);
VmafxErr tool_list_nodes(Call *call, const json_t *arguments, ToolOutput *ret, VmafxErrInfo *reterr);
VmafxErr tool_health(Call *call, const json_t *arguments, ToolOutput *ret, VmafxErrInfo *reterr);
VmafxErr tool_doctor(Call *call, const json_t *arguments, ToolOutput *ret, VmafxErrInfo *reterr);
#endif
