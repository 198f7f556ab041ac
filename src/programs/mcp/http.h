/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The transport over HTTP ("streamable HTTP"): POST /mcp takes a message and answers with JSON, or with an event stream
 * where progress is wanted; DELETE /mcp ends a session of the older era. There is no stream to GET (405).
 *
 * In the newer era headers repeat what the body says (MCP-Protocol-Version, Mcp-Method, Mcp-Name), so that others on
 * the way can look at them; what differs or is missing is refused with HeaderMismatch.
 */
#ifndef VMAFX_PROGRAMS_MCP_HTTP_H
#define VMAFX_PROGRAMS_MCP_HTTP_H

#include "http/server.h"
#include "programs/mcp/mcp.h"
#include "service/service.h"

#define HTTP_ROUTES 2

typedef struct Http Http;

/** @param shares  callers have names (tokens): none of them may have more than half of the calls that may run */
VMAFX_CHECK VmafxErr http_new(Program *program, VmafxService *service, bool shares, Http **ret, VmafxErrInfo *reterr);
/** The server has stopped. Waits for what is on its way. */
void http_free(Http **http);
void http_routes(Http *http, VmafxHttpRoute ret[HTTP_ROUTES]);
#endif
