/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* As server_telemetry.c has it for unary calls. */

#include "rpc/call_span.h"

#include <string.h>

#include "base/base.h"
#include "base/clock.h"
#include "rpc/telemetry.h"

static VmafxContext *remote_context(const VmafxRpcStream *stream)
{
    const char *parent = vmafx_rpc_stream_metadata(stream, "traceparent");
    const char *state = vmafx_rpc_stream_metadata(stream, "tracestate");
    VmafxSpanContext span;

    if (!parent || !vmafx_traceparent_parse(parent, strlen(parent), &span))
        return NULL;
    VMAFX_AUTO(vmafx_tracestate_unref)
    VmafxTraceState *parsed = state ? vmafx_tracestate_parse(state, strlen(state)) : NULL;
    span.state = parsed;
    return vmafx_context_with_span(NULL, &span);
}

void vmafx_rpc_call_span_begin(VmafxRpcCallSpan *call, const VmafxRpcStream *stream, const char *method)
{
    VMAFX_AUTO(vmafx_context_unref) VmafxContext *remote = remote_context(stream);
    char peer[RPC_HOST_MAX];
    VmafxAttr attrs[5];
    size_t n = 0;
    int port;

    attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_RPC_SYSTEM, "grpc");
    attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_RPC_METHOD, method);
    if (rpc_host_split(vmafx_rpc_stream_peer(stream)->address, peer, &port)) {
        attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_CLIENT_ADDRESS, peer);
        attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_NETWORK_PEER_ADDRESS, peer);
        if (port)
            attrs[n++] = VMAFX_ATTR_INT(VMAFX_KEY_NETWORK_PEER_PORT, port);
    }
    *call = (VmafxRpcCallSpan){ .method = method, .began_ns = vmafx_monotonic_ns() };
    call->span = vmafx_span_start_with(
        vmafx_tracer_get(RPC_SCOPE, ""), method,
        &(VmafxSpanOptions){ .kind = VMAFX_SPAN_SERVER, .parent = remote, .root = !remote, .attrs = { attrs, n } });
    call->context = vmafx_span_to_context(call->span, remote);
}

/* Of the table's errors, those that are the server's and not the caller's (semantic conventions for gRPC). */
static bool is_failure(VmafxErr err)
{
    enum { UNKNOWN = 2, DEADLINE_EXCEEDED = 4, UNIMPLEMENTED = 12, INTERNAL = 13, UNAVAILABLE = 14, DATA_LOSS = 15 };
    int status = vmafx_err_grpc(err);

    return status == UNKNOWN || status == DEADLINE_EXCEEDED || status == UNIMPLEMENTED || status == INTERNAL ||
           status == UNAVAILABLE || status == DATA_LOSS;
}

void vmafx_rpc_call_span_end(VmafxRpcCallSpan *call, VmafxErr err, const char *message)
{
    VmafxAttr attrs[] = { VMAFX_ATTR_STR(VMAFX_KEY_RPC_SYSTEM, "grpc"),
                          VMAFX_ATTR_STR(VMAFX_KEY_RPC_METHOD, call->method) };

    if (call->span) {
        VmafxContextToken token = vmafx_context_attach(call->context); /* for exemplars */
        rpc_measure_result(call->span, rpc_histogram(VMAFX_METRIC_ID_RPC_SERVER_DURATION), call->began_ns,
                           vmafx_err_grpc(err), err && is_failure(err), message, attrs, VMAFX_LEN(attrs));
        vmafx_context_detach(token);
        vmafx_span_end(&call->span);
    }
    vmafx_context_unref(&call->context);
}
