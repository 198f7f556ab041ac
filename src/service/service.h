/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What every daemon does besides its own work:
 *
 *     int main(int argc, char **argv)
 *     {
 *         VmafxService *service = vmafx_service_start("vmafx-node", VERSION);   first thing: telemetry, signals
 *         int code = vmafx_settings_read(…);
 *         …
 *         while (!vmafx_service_tick(service, 250))                             the loop: /livez looks at it
 *             …
 *         return vmafx_service_stop(&service, code);                            flushes telemetry
 *     }
 *
 * SIGTERM and SIGINT are not handled but waited for: they are blocked in all threads and come out of the tick. SIGPIPE
 * is ignored. One service at a time; main's thread.
 */
#ifndef VMAFX_SERVICE_SERVICE_H
#define VMAFX_SERVICE_SERVICE_H

#include "auth/auth.h"
#include "http/server.h"
#include "otel/api/log.h"

typedef struct VmafxService VmafxService;

/**
 * Telemetry by the OTEL_… variables, structured lines on stderr, metrics of the process, the page for Prometheus.
 * Never NULL: without memory the program ends with a line on stderr.
 */
VmafxService *vmafx_service_start(const char *name, const char *version);
/** Ends HTTP, flushes telemetry within OTEL_BSP_EXPORT_TIMEOUT-like limits (5 s), gives code back. */
int vmafx_service_stop(VmafxService **service, int code);

/** Before what observable instruments look at goes away: what they say now is exported, within a second. */
void vmafx_service_flush(VmafxService *service);

/** The program's logger; lives as long as the service. */
VmafxLogger *vmafx_service_log(const VmafxService *service);

/**
 * The HTTP port: /livez, /readyz, /startupz, /metrics and the program's own routes. Who may what is the policy's to
 * say; what it does not allow to listen is refused, and what it should not have allowed is logged loudly.
 * @param config  address, certificates, routes and limits; its routes are those of the program
 * @param policy  borrowed until stop
 * @param ready   VMAFX_OK, or what is missing; may be NULL. Called from server threads until stop
 */
VMAFX_CHECK VmafxErr vmafx_service_listen(VmafxService *service, const VmafxHttpServerConfig *config,
                                          const VmafxAuthPolicy *policy,
                                          VmafxErr (*ready)(void *ctx, VmafxErrInfo *ret_missing), void *ctx,
                                          VmafxErrInfo *reterr);
/** May this program listen there, by whatever protocol? Says so loudly where it may for want of care only. */
VMAFX_CHECK VmafxErr vmafx_service_may_listen(VmafxService *service, const VmafxAuthPolicy *policy, const char *address,
                                              bool encrypted, VmafxErrInfo *reterr);
int vmafx_service_http_port(const VmafxService *service); /* 0: not listening */
/** From now on /startupz says yes. */
void vmafx_service_started(VmafxService *service);
/** Takes the HTTP port down before the rest goes away. */
void vmafx_service_unlisten(VmafxService *service);

/** Waits for a signal or that long. The number of SIGTERM or SIGINT, else 0. Each call is a sign of life. */
int vmafx_service_tick(VmafxService *service, uint32_t timeout_ms);
/** Ends the wait of the tick from another thread, or the next one. */
void vmafx_service_wake(VmafxService *service);

/** Logs an error with its sentence and gives exit code 1 back, for returns from main. */
int vmafx_service_fail(VmafxService *service, const char *what, VmafxErr err, const VmafxErrInfo *info);
#endif
