/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Spans and the histogram of unary calls: OpenTelemetry's conventions for RPC (gRPC), server side. */

#include <string.h>

#include "base/base.h"
#include "base/clock.h"
#include "rpc/server_internal.h"
#include "rpc/telemetry.h"
#include "signals/signals.h"

void rpc_telemetry_init(RpcTelemetry *telemetry)
{
    telemetry->tracer = vmafx_tracer_get(RPC_SCOPE, "");
    telemetry->duration = rpc_histogram(VMAFX_METRIC_ID_RPC_SERVER_DURATION);
}

static const char *shown_method(const RpcIncoming *incoming)
{
    return incoming->entry ? rpc_method_name(incoming->path) : "_OTHER";
}

void rpc_measure_begin(RpcMeasure *measure, RpcIncoming *incoming)
{
    char host[RPC_HOST_MAX], peer[RPC_HOST_MAX];
    VmafxAttr attrs[10];
    size_t n = 0;
    int port;

    *measure = (RpcMeasure){ .began_ns = vmafx_monotonic_ns(), .remote = rpc_incoming_context(incoming) };
    if (incoming->entry && incoming->entry->internal)
        return;
    attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_RPC_SYSTEM, "grpc");
    attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_RPC_METHOD, shown_method(incoming));
    if (!incoming->entry)
        attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_RPC_METHOD_ORIGINAL, rpc_method_name(incoming->path));
    if (rpc_host_split(incoming->host, host, &port)) {
        attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_SERVER_ADDRESS, host);
        if (port)
            attrs[n++] = VMAFX_ATTR_INT(VMAFX_KEY_SERVER_PORT, port);
    }
    if (rpc_host_split(incoming->peer.address, peer, &port)) {
        attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_CLIENT_ADDRESS, peer);
        attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_NETWORK_PEER_ADDRESS, peer);
        if (port)
            attrs[n++] = VMAFX_ATTR_INT(VMAFX_KEY_NETWORK_PEER_PORT, port);
    }
    /* a server's span has the peer's context or none as parent, never what happens to be current on this thread */
    measure->span = vmafx_span_start_with(
        incoming->server->telemetry.tracer, shown_method(incoming),
        &(VmafxSpanOptions){
            .kind = VMAFX_SPAN_SERVER, .parent = measure->remote, .root = !measure->remote, .attrs = { attrs, n } });
    VMAFX_AUTO(vmafx_context_unref)
    VmafxContext *inside = vmafx_span_to_context(measure->span, measure->remote);
    measure->token = vmafx_context_attach(inside);
}

/* On a server only these are failures of the server. */
static bool is_failure(int status)
{
    return status == GRPC_STATUS_UNKNOWN || status == GRPC_STATUS_DEADLINE_EXCEEDED ||
           status == GRPC_STATUS_UNIMPLEMENTED || status == GRPC_STATUS_INTERNAL || status == GRPC_STATUS_UNAVAILABLE ||
           status == GRPC_STATUS_DATA_LOSS;
}

void rpc_measure_end(RpcMeasure *measure, const RpcIncoming *incoming, int status, const char *message)
{
    if (measure->span) {
        VmafxAttr attrs[4];
        size_t n = 0;

        attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_RPC_SYSTEM, "grpc");
        attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_RPC_METHOD, shown_method(incoming));
        rpc_measure_result(measure->span, incoming->server->telemetry.duration, measure->began_ns, status,
                           is_failure(status), message, attrs, n);
        vmafx_context_detach(measure->token);
        vmafx_span_end(&measure->span);
    }
    vmafx_context_unref(&measure->remote);
}
