/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the headers of a POST have to say, and whether they do. */
#ifndef VMAFX_PROGRAMS_MCP_HTTP_HEADERS_H
#define VMAFX_PROGRAMS_MCP_HTTP_HEADERS_H

#include "http/server.h"
#include "programs/mcp/jsonrpc.h"

/**
 * "=?base64?…?=" is what a header says that cannot stand there as it is; anything else stands for itself. Fresh memory;
 * NULL: malformed, or no memory. Pure.
 */
char *http_header_decode(const char *value);

/** NULL, or why the body is not looked at, with the status that says so. */
const char *http_unfit(const VmafxHttpCall *call, int *ret_status);

/** NULL, or which header of a request of the newer era is not what its body says. */
const char *http_mismatch(const VmafxHttpCall *call, const JsonRpcMessage *message, const char *revision);
#endif
