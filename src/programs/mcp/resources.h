/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Results as resources, prompts, and completion of their arguments. */
#ifndef VMAFX_PROGRAMS_MCP_RESOURCES_H
#define VMAFX_PROGRAMS_MCP_RESOURCES_H

#include "programs/mcp/mcp.h"

/** {resources}: results of the latest jobs that have some. */
VmafxErr resources_list(Call *call, json_t **ret, VmafxErrInfo *reterr);
/** {contents}. VMAFX_ERR_NOT_FOUND (no such URI or job), VMAFX_ERR_STATE (no result), VMAFX_ERR_LIMIT (MCP_ANSWER_MAX)
 */
VmafxErr resources_read(Call *call, const char *uri, json_t **ret, VmafxErrInfo *reterr);

/** "vmafx://jobs/ID/result" and "vmafx://jobs/ID/frames.csv". Pure. */
bool resource_parse(const char *uri, char ret_id[JOB_ID_TEXT], bool *ret_frames);

/** {description, messages}. VMAFX_ERR_INVALID with a sentence. */
VmafxErr prompt_get(Call *call, const char *name, const json_t *arguments, json_t **ret, VmafxErrInfo *reterr);

/** {completion}: ids of jobs, and purposes. VMAFX_ERR_INVALID with a sentence. */
VmafxErr complete(Call *call, const json_t *params, json_t **ret, VmafxErrInfo *reterr);
#endif
