/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Telemetry for a program in two calls: start it first thing in main, stop it on the way out. Everything comes from the
 * OTEL_… variables; nothing here fails, and nothing delays the program but stop, and that only until its deadline.
 *
 *     VmafxOtel *otel = vmafx_otel_start(&(VmafxOtelStart){ .service = "vmafx-node", .version = VERSION });
 *     …
 *     vmafx_otel_stop(&otel, VMAFX_OTEL_STOP_MS);
 *
 * Start installs the global providers behind vmafx_tracer_get, the meters and the loggers; stop flushes them, takes
 * them out again and frees them. One at a time, by the main thread.
 */
#ifndef VMAFX_OTEL_EXPORT_OTEL_H
#define VMAFX_OTEL_EXPORT_OTEL_H

#include <stdbool.h>
#include <stdint.h>

#include "otel/sdk/data.h"

#define VMAFX_OTEL_STOP_MS 5000

typedef struct VmafxOtel VmafxOtel;

typedef struct VmafxOtelStart {
    const char *service, *version; /* OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win over the service */
    char *const *environment;      /* NULL: environ */
    /**
     * For command lines: a signal is exported only where somebody asked for it, by an endpoint variable or the console
     * exporter. Without any, start does next to nothing and stop waits for nothing.
     */
    bool only_when_asked;
    VmafxOtelErrorHandler on_error; /* NULL: lines on stderr, from OTEL_LOG_LEVEL on */
    void *on_error_ctx;
} VmafxOtelStart;

/** NULL when nothing is exported or there is no memory; stop accepts that. The propagators are set in any case. */
VmafxOtel *vmafx_otel_start(const VmafxOtelStart *start);

/** Flushes all signals within one deadline, then frees. OK, or the worst of what the signals say. */
VmafxExportResult vmafx_otel_stop(VmafxOtel **otel, uint64_t within_ms);
#endif
