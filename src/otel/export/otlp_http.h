/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* OTLP over HTTP with protobuf bodies (OTLP 1.11, "OTLP/HTTP"). */
#ifndef VMAFX_OTEL_EXPORT_OTLP_HTTP_H
#define VMAFX_OTEL_EXPORT_OTLP_HTTP_H

#include "otel/export/otlp_exporter.h"

/**
 * An exporter to config->endpoint, read for VMAFX_OTLP_HTTP. Never NULL: what cannot be used (a certificate without
 * its key, a file that cannot be read, no memory) is told to on_error, and the exporter then drops everything.
 * Released by its own free, after the last export_batch has returned.
 */
VmafxExporter *vmafx_otlp_http_exporter_new(const VmafxOtlpConfig *config);
#endif
