/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Where to export to: the text of an OTLP endpoint variable, read by OTLP's rules and ours. Pure; resolves nothing.
 *
 *   protocol  given                          becomes
 *   HTTP      general  http://h:4318/x       http://h:4318/x/v1/traces (…/v1/metrics, …/v1/logs)
 *   HTTP      signal's http://h:4318         http://h:4318/             as is
 *   gRPC      http://h:4317                  h:4317, plaintext; https: TLS. A path is ignored, with a warning
 *   gRPC      unix:/run/otel.sock            the socket
 *   both      h:4317                         http://h:4317, with a warning; for gRPC TLS when insecure is false
 *
 * Without a port: 80 or 443 by scheme; a bare host gets OTLP's own, 4317 or 4318. User names and passwords in a URL,
 * characters that no URL has, other schemes and ports outside 1 … 65535 are refused; nothing falls back to a default.
 */
#ifndef VMAFX_OTEL_EXPORT_ENDPOINT_H
#define VMAFX_OTEL_EXPORT_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmafx/error.h>

#include "otel/sdk/data.h"
#include "otel/sdk/env.h"

#define VMAFX_ENDPOINT_TEXT_MAX 2048
#define VMAFX_ENDPOINT_HOST_MAX 255

typedef enum VmafxInsecure { VMAFX_INSECURE_UNSET, VMAFX_INSECURE_FALSE, VMAFX_INSECURE_TRUE } VmafxInsecure;

typedef struct VmafxEndpoint {
    bool tls;
    char host[VMAFX_ENDPOINT_HOST_MAX + 1]; /* without brackets; "" for a Unix socket */
    uint16_t port;                          /* 0 for a Unix socket */
    /** HTTP: the URL to post to. gRPC: gRPC's name of it, "dns:///h:4317", "ipv6:[::1]:4317" or "unix:/path". */
    char target[VMAFX_ENDPOINT_TEXT_MAX + 64];
    const char *warning; /* static text, or NULL */
} VmafxEndpoint;

/**
 * @param own  the text comes from the signal's own variable (HTTP: used as is)
 * @return VMAFX_OK, VMAFX_ERR_SYNTAX, or VMAFX_ERR_LIMIT for a text longer than VMAFX_ENDPOINT_TEXT_MAX
 */
VMAFX_CHECK VmafxErr vmafx_endpoint_parse(const char *text, size_t len, VmafxOtlpProtocol protocol, VmafxSignal signal,
                                          bool own, VmafxInsecure insecure, VmafxEndpoint *ret, VmafxErrInfo *reterr);
#endif
