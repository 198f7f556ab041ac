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
 * them out again and frees them. One at a time, by the main thread. In between it publishes how it fares itself as
 * otel.sdk.* metrics (self.h), and answers questions from any thread.
 *
 * Fork: the child exports nothing and blocks on nothing until it calls start_in_child; its parent goes on undisturbed.
 * A child that never wants telemetry need not do anything; stop only forgets there.
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
    /**
     * For daemons: log records also go to stderr, one structured line each with trace and span id, and so does what
     * the SDK itself has to say (unless on_error is given), whatever is exported; repeats are limited (log_lines.h).
     * VMAFX_LOG_LEVEL: trace, debug, info (the default), warn, error, fatal, none; vmafx_otel_set_log_level changes it.
     * VMAFX_LOG_FORMAT: logfmt (the default), json. OTEL_SDK_DISABLED does not turn them off.
     */
    bool log_lines;
    /** For daemons: there is a page for Prometheus whatever OTEL_METRICS_EXPORTER says, unless OTEL_SDK_DISABLED. */
    bool prometheus_page;
    /**
     * NULL: lines on stderr, from OTEL_LOG_LEVEL on. Called from any thread, and by an exporting one that stop could
     * not end in time even afterwards.
     */
    VmafxOtelErrorHandler on_error;
    void *on_error_ctx;
} VmafxOtelStart;

/**
 * NULL when nothing is exported and no lines are written, or there is no memory; stop accepts that. The propagators are
 * set in any case.
 */
VmafxOtel *vmafx_otel_start(const VmafxOtelStart *start);

/**
 * For a forked child that wants telemetry of its own: forgets what it inherited, without touching a lock that a thread
 * of the parent may have held, and starts anew: other threads, other connections, a service.instance.id of its own.
 * Handles (tracers, meters, instruments, loggers) begin to work with it. What was queued stays the parent's, its memory
 * is not given back. Before the child has threads of its own.
 *
 * The gRPC library does not survive a fork: where the parent has exported over it, the child exports nothing over it
 * and says so; OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, in either of them, is the way.
 *
 * @param parents  set to NULL; *parents may be NULL. In a process that is not a child *parents is given back unchanged
 * @return as vmafx_otel_start
 */
VmafxOtel *vmafx_otel_start_in_child(VmafxOtel **parents, const VmafxOtelStart *start);

/**
 * Flushes all signals at the same time within one deadline, then frees. A transient failure is tried again after
 * 50 … 100 ms and then less and less often; a collector that is not there (refused, no route, no such name) is asked
 * once, and what it does not get counts as failed. Metrics are collected for the last time when the others are done, so
 * that they tell of their end, but at the latest when half of the time is over. OK, or the worst of what the signals
 * say. NULL is OK. In a forked child it forgets everything, and FAILS.
 */
VmafxExportResult vmafx_otel_stop(VmafxOtel **otel, uint64_t within_ms);

/* ---- While it runs: any thread, not during or after stop ---- */

/** The program is on its way to stop: from now on exports are tried again as stop does. For good; NULL is nothing. */
void vmafx_otel_ending(VmafxOtel *otel);

/**
 * Everything that was recorded before the call is exported, or given up, by the deadline: spans and log records at the
 * same time, then metrics, as in stop. OK, or the worst of what the signals say. NULL is OK; FAILED in a forked child.
 */
VmafxExportResult vmafx_otel_flush(VmafxOtel *otel, uint64_t within_ms);

/** Spans, log records, metric data points; since start, over all exporters. With two of them most things count twice.
 */
typedef struct VmafxOtelSignalCounts {
    uint64_t started;  /* spans begun, also such as are not sampled; records given to us; points handed to exporters */
    uint64_t dropped;  /* before an exporter saw them: queue full, stopped, no memory (points: measurements lost) */
    uint64_t exported; /* accepted by the receiver */
    uint64_t failed;   /* refused, given up on, too late, too large */
} VmafxOtelSignalCounts;

typedef struct VmafxOtelCounts {
    VmafxOtelSignalCounts spans, logs, points;
} VmafxOtelCounts;

/** For health pages and tests; needs no metrics. Zeroes for NULL. */
void vmafx_otel_counts(const VmafxOtel *otel, VmafxOtelCounts *ret);

/**
 * The page for a Prometheus server, where OTEL_METRICS_EXPORTER contains `prometheus` or the start asked for it. It
 * collects, which takes as long as the program's observable instruments do; calls queue up.
 *
 * @param accept            value of the request's Accept header; NULL: none
 * @param ret_len           bytes, without the terminating zero; 0 for NULL
 * @param ret_content_type  value of Content-Type; static, never NULL
 * @return release with free(). NULL: no such page (NULL otel included), or no memory
 */
char *vmafx_otel_prometheus_page(VmafxOtel *otel, const char *accept, size_t *ret_len, const char **ret_content_type);

/**
 * The lowest severity of the lines that log_lines asked for, from now on: a word of VMAFX_LOG_LEVEL. Any thread.
 * @return false: no such word, and nothing has changed
 */
bool vmafx_otel_set_log_level(VmafxOtel *otel, const char *word);
#endif
