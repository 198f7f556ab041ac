/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Telemetry of calls by OpenTelemetry's conventions for MCP: a span for each tool call, one metric for each request.
 * The trace goes on from params._meta.traceparent and tracestate (else from the HTTP request's), so a job that a tool
 * submits is in the trace of whoever called it.
 */
#ifndef VMAFX_PROGRAMS_MCP_TELEMETRY_H
#define VMAFX_PROGRAMS_MCP_TELEMETRY_H

#include "programs/mcp/mcp.h"

/** The span vmafx.mcp.tool of a call; vmafx_span_end. */
VmafxSpan *telemetry_tool_begin(const Call *call, const char *tool);
/** What is known at the end: job and error. */
void telemetry_tool_end(const Call *call, VmafxSpan *span);

/** mcp.server.operation.duration. code: of a protocol error, else 0 */
void telemetry_measure(const Call *call, int code, uint64_t began_ns);
#endif
