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
 * Settings that every daemon has are rows and readers here; who calls, and what is written down of it, too.
 *
 * SIGTERM and SIGINT are not handled but waited for: they are blocked in all threads and come out of the tick. SIGHUP
 * reads the log level from the settings file again; it ends the program only where a terminal has gone. SIGPIPE is
 * ignored. A service manager that speaks systemd's protocol is told when the program is ready, reloads, stops, and that
 * the loop turns (notify.h). One service at a time; main's thread.
 */
#ifndef VMAFX_SERVICE_SERVICE_H
#define VMAFX_SERVICE_SERVICE_H

#include "auth/auth.h"
#include "base/settings.h"
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

/**
 * Once, on the way to stop, before what observable instruments look at goes away: what they say now is exported, within
 * a second, and as at the end of a program (vmafx_otel_ending).
 */
void vmafx_service_flush(VmafxService *service);

/** The program's logger; lives as long as the service. */
VmafxLogger *vmafx_service_log(const VmafxService *service);

/* ---- Settings ---- */

/* clang-format off */
/** Rows of a table of settings: log lines. The service reads them itself, before others are read. */
#define VMAFX_SERVICE_LOG_SETTINGS \
    { "VMAFX_LOG_LEVEL", NULL, NULL, VMAFX_SETTING_TEXT, "info", 0, 0, false, \
      "lowest severity of log lines on standard error: trace, debug, info, warn, error, fatal, none. SIGHUP reads it " \
      "again from the settings file" }

/** Rows of a table of settings: TLS on both sides of gRPC. */
#define VMAFX_SERVICE_TLS_SETTINGS \
    { "VMAFX_TLS_CERT", "tls-cert", "FILE", VMAFX_SETTING_TEXT, NULL, 0, 0, false, \
      "our certificate for gRPC, PEM; with key and CA: mutual TLS. `vmafx certs` makes them" }, \
    { "VMAFX_TLS_KEY", "tls-key", "FILE", VMAFX_SETTING_TEXT, NULL, 0, 0, false, "its key" }, \
    { "VMAFX_TLS_CA", "tls-ca", "FILE", VMAFX_SETTING_TEXT, NULL, 0, 0, false, \
      "who signs the certificates of those at the other end" }

/** The same of the HTTP port, and who may what there. */
#define VMAFX_SERVICE_HTTP_SETTINGS \
    { "VMAFX_HTTP_TLS_CERT", "http-tls-cert", "FILE", VMAFX_SETTING_TEXT, NULL, 0, 0, false, \
      "a certificate for the HTTP port, PEM, with those between it and its authority; with its key: TLS. " \
      "Renewed files are taken up" }, \
    { "VMAFX_HTTP_TLS_KEY", "http-tls-key", "FILE", VMAFX_SETTING_TEXT, NULL, 0, 0, false, "its key" }, \
    { "VMAFX_TOKENS", "tokens", "FILE", VMAFX_SETTING_TEXT, NULL, 0, 0, false, \
      "who may call by HTTP: hashes of bearer tokens, as `vmafx tokens` keeps them; read again when it changes" }, \
    { "VMAFX_OPEN_METRICS", "open-metrics", NULL, VMAFX_SETTING_BOOL, NULL, 0, 0, false, \
      "/metrics without credentials, wherever the request comes from" }, \
    { "VMAFX_INSECURE_LISTEN", "insecure-listen", NULL, VMAFX_SETTING_BOOL, NULL, 0, 0, false, \
      "listen off loopback without TLS: everybody who reaches the port may do everything" }
/* clang-format on */

/** Files for gRPC's TLS; all NULL: none. What is half given, gRPC's server and client refuse. */
typedef struct VmafxServiceTls {
    const char *cert_file, *key_file, *ca_file;
} VmafxServiceTls;

/** By VMAFX_SERVICE_TLS_SETTINGS; texts are the settings'. From now on metrics tell when these certificates end. */
VmafxServiceTls vmafx_service_tls(VmafxService *service, const VmafxSettings *settings);

/**
 * By VMAFX_SERVICE_HTTP_SETTINGS: TLS of the server, whose end metrics tell from now on, and the policy, also for gRPC.
 * Opens the file of tokens, which then belongs to the service, and logs when it changes or cannot be used. Once.
 * @param ret_http    its certificate and key; texts are the settings', which have to outlive the port
 * @param ret_policy  its tokens live until vmafx_service_stop; the rest of both stays as it is
 * @return VMAFX_ERR_INVALID a key without certificate or the other way round; errors of vmafx_tokens_open
 */
VMAFX_CHECK VmafxErr vmafx_service_configure(VmafxService *service, const VmafxSettings *settings,
                                             VmafxHttpServerConfig *ret_http, VmafxAuthPolicy *ret_policy,
                                             VmafxErrInfo *reterr);

/* ---- The HTTP port ---- */

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
/**
 * Who makes a call that was let in: whom it was let in as, when its headers had come; a call is decided about once. A
 * token that is revoked while its call runs lets that call end. For handlers of a port of vmafx_service_listen.
 */
void vmafx_service_identity(const VmafxHttpCall *call, VmafxIdentity *ret);

/**
 * Writes down who did what: the log line `audit`. The HTTP port does so itself for what it refuses. Refusals ("denied")
 * are limited in number (audit.h); how many were left out is said with the next one. Any thread.
 * @param address  of the peer
 * @param action   a word such as job.cancel, or call
 * @param outcome  "done", "denied" or "failed"
 */
void vmafx_service_audit(const VmafxService *service, const VmafxIdentity *identity, const char *address,
                         const char *action, const char *subject, const char *outcome);

/** From now on /startupz says yes, and so hears the service manager. */
void vmafx_service_started(VmafxService *service);
/** Takes the HTTP port down before the rest goes away. */
void vmafx_service_unlisten(VmafxService *service);

/* ---- The loop ---- */

/** Waits for a signal or that long. The number of one that ends the program, else 0. Each call is a sign of life. */
int vmafx_service_tick(VmafxService *service, uint32_t timeout_ms);
/** Ends the wait of the tick from another thread, or the next one. */
void vmafx_service_wake(VmafxService *service);

/** Logs an error with its sentence and gives exit code 1 back, for returns from main. */
int vmafx_service_fail(VmafxService *service, const char *what, VmafxErr err, const VmafxErrInfo *info);
#endif
