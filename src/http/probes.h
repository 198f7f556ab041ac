/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What orchestrators and Prometheus ask every program, as routes for a server's table:
 *
 *     GET /livez     200 as long as the program's loop turns; answered even while every handler hangs
 *     GET /readyz    200 when it can take work, else 503 with a sentence of what is missing
 *     GET /startupz  200 once it has started
 *     GET /metrics   the page for a Prometheus server
 *
 * No spans, no metrics of their own.
 */
#ifndef VMAFX_HTTP_PROBES_H
#define VMAFX_HTTP_PROBES_H

#include "http/server.h"

enum { VMAFX_PROBE_ROUTES = 4, VMAFX_HEARTBEAT_MAX_MS = 30000 };

/** Callbacks that are NULL say that all is well. They come from threads of the server. */
typedef struct VmafxProbes {
    /** When the program's loop last turned (CLOCK_MONOTONIC). May not wait. */
    uint64_t (*heartbeat_ns)(void *ctx);
    uint32_t heartbeat_max_ms; /* older: not alive; 0: VMAFX_HEARTBEAT_MAX_MS */
    /** VMAFX_OK, or an error with the sentence of what is missing. May wait a little. */
    VmafxErr (*ready)(void *ctx, VmafxErrInfo *ret_missing);
    VmafxErr (*started)(void *ctx, VmafxErrInfo *ret_missing);
    /**
     * The page for this Accept header (NULL: none), to be freed; NULL: there is none. ret_content_type is static.
     * Programs pass on to vmafx_otel_prometheus_page. NULL callback: 404.
     */
    char *(*metrics)(void *ctx, const char *accept, size_t *ret_len, const char **ret_content_type);
    void *ctx;
} VmafxProbes;

/** Writes the routes; the probes are borrowed while the server lives. Returns VMAFX_PROBE_ROUTES. */
size_t vmafx_probe_routes(const VmafxProbes *probes, VmafxHttpRoute ret[VMAFX_PROBE_ROUTES]);
#endif
