/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* OTLP over gRPC (OTLP 1.11, "OTLP/gRPC"). */
#ifndef VMAFX_OTEL_EXPORT_OTLP_GRPC_H
#define VMAFX_OTEL_EXPORT_OTLP_GRPC_H

#include "otel/export/otlp_exporter.h"

/**
 * As vmafx_otlp_http_exporter_new, to config->endpoint read for VMAFX_OTLP_GRPC. In a child of a fork whose parent had
 * made one of these, it is told and drops everything: the gRPC library does not survive a fork; OTLP/HTTP does.
 */
VmafxExporter *vmafx_otlp_grpc_exporter_new(const VmafxOtlpConfig *config);
#endif
