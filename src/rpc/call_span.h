/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The server span of a stream that is one request all the same, as an upload is, and its part of
 * rpc.server.call.duration. Streams that stay open as long as their peer is there have none.
 */
#ifndef VMAFX_RPC_CALL_SPAN_H
#define VMAFX_RPC_CALL_SPAN_H

#include "otel/api/trace.h"
#include "rpc/server.h"

typedef struct VmafxRpcCallSpan {
    VmafxSpan *span;
    VmafxContext *context; /* with the span in it, for what happens within; NULL: nobody traces */
    const char *method;
    uint64_t began_ns;
} VmafxRpcCallSpan;

/** In the trace of the caller, if it sent one. method: "package.Service/Method", static. */
void vmafx_rpc_call_span_begin(VmafxRpcCallSpan *call, const VmafxRpcStream *stream, const char *method);
/** Once counts; a zeroed one may be ended too. */
void vmafx_rpc_call_span_end(VmafxRpcCallSpan *call, VmafxErr err, const char *message);
#endif
