/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What both sides of a call say about it in the same way. */
#ifndef VMAFX_RPC_TELEMETRY_H
#define VMAFX_RPC_TELEMETRY_H

#include "otel/api/metrics.h"
#include "otel/api/trace.h"
#include "signals/signals.h"

#define RPC_SCOPE    "vmafx.rpc"
#define RPC_HOST_MAX 256

VmafxHistogram *rpc_histogram(VmafxMetricId id);
/** "package.Service/Method" of "/package.Service/Method". */
const char *rpc_method_name(const char *path);
/**
 * Host and port (0: none) of "host:port", "ipv4:1.2.3.4:5", "ipv6:[::1]:5", "dns://server/host:5", "unix:/path". False
 * when there is none, it cannot be one (a URL), or it is longer than RPC_HOST_MAX − 1.
 */
bool rpc_host_split(const char *text, char ret_host[RPC_HOST_MAX], int *ret_port);
/** Status, and what is a failure, onto the span (the message, if it quotes nothing: vmafx_status_check); the time since
 * began_ns with attrs and these into the histogram. */
void rpc_measure_result(VmafxSpan *span, VmafxHistogram *duration, uint64_t began_ns, int status, bool failed,
                        const char *message, const VmafxAttr *attrs, size_t n);
#endif
