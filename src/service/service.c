/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What every daemon does besides its own work. */

#include "service/service.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "auth/tokens.h"
#include "base/base.h"
#include "base/clock.h"
#include "base/config.h"
#include "http/probes.h"
#include "otel/export/otel.h"
#include "service/audit.h"
#include "service/cert_metrics.h"
#include "service/notify.h"
#include "service/process_metrics.h"
#include "signals/signals.h"

#define STOP_FAILED_MS 1000
#define FLUSH_MS       1000

struct VmafxService {
    const char *name;
    VmafxOtel *otel;
    VmafxLogger *log;
    VmafxProcessMetrics *process;
    VmafxCertMetrics *certs;
    VmafxNotify notify;
    int signal_fd, wake_fd;
    bool stopping, in_terminal;
    _Atomic uint64_t heartbeat_ns;
    atomic_bool started;

    AuditLimit *refusals;
    VmafxTokens *tokens;
    const char *tokens_path;

    VmafxHttpServer *http;
    VmafxHttpRoute *routes;
    VmafxProbes probes;
    const VmafxAuthPolicy *policy;
    VmafxErr (*ready)(void *ctx, VmafxErrInfo *ret_missing);
    void *ready_ctx;
};

static int block_signals(void)
{
    sigset_t set;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Is there a terminal that this process was started in, still? */
static bool has_terminal(void)
{
    int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* ---- What can be changed while the program runs ---- */

/* The settings file may have changed; the environment of a process does not. Says what counts from now on. */
static void read_log_level(VmafxService *service, bool again)
{
    VMAFX_AUTO(vmafx_config_free) VmafxConfig *config = NULL;
    VmafxErrInfo info = { 0 };
    const char *source, *word;

    if (vmafx_config_load(&config, &info)) {
        if (again) /* the first time, reading the settings says so */
            vmafx_log(service->log, VMAFX_ERROR, "the settings cannot be read again; what was before stays",
                      VMAFX_ATTR_STR(VMAFX_KEY_EXCEPTION_MESSAGE, info.message));
        return;
    }
    word = vmafx_config_get(config, "VMAFX_LOG_LEVEL", &source);
    if (!vmafx_otel_set_log_level(service->otel, word ? word : "info")) {
        vmafx_fail(&info, VMAFX_ERR_SYNTAX,
                   "VMAFX_LOG_LEVEL (%s): '%s' is none of trace, debug, info, warn, error, fatal, none", source, word);
        vmafx_log(service->log, VMAFX_ERROR, "the level of log lines stays as it was",
                  VMAFX_ATTR_STR(VMAFX_KEY_EXCEPTION_MESSAGE, info.message));
    } else if (again)
        vmafx_log(service->log, VMAFX_INFO, "settings read again: the level of log lines",
                  VMAFX_ATTR_STR(VMAFX_KEY_SETTING_VALUE, word ? word : "info"),
                  VMAFX_ATTR_STR(VMAFX_KEY_SETTING_SOURCE, word ? source : "default"));
}

/* SIGHUP. Certificates and tokens are followed without it; here it is said whether they are in order. */
static void reload(VmafxService *service)
{
    char lines[64];
    VmafxErrInfo info = { 0 };

    snprintf(lines, sizeof lines, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, vmafx_monotonic_ns() / 1000);
    vmafx_notify_send(&service->notify, lines);
    read_log_level(service, true);
    if (vmafx_cert_metrics_check(service->certs, &info))
        vmafx_log(service->log, VMAFX_ERROR, "a certificate cannot be taken up; the one from before stays in use",
                  VMAFX_ATTR_STR(VMAFX_KEY_EXCEPTION_MESSAGE, info.message));
    vmafx_notify_send(&service->notify, "READY=1");
}

/* ---- Start and stop ---- */

VmafxService *vmafx_service_start(const char *name, const char *version)
{
    int signal_fd = block_signals(); /* before there are threads, which inherit it */
    VmafxService *service = calloc(1, sizeof *service);

    if (service)
        service->refusals = calloc(1, sizeof *service->refusals);
    if (!service || !service->refusals || signal_fd < 0 ||
        (service->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0) {
        fprintf(stderr, "%s: cannot start: %s\n", name,
                service && service->refusals ? strerror(errno) : "out of memory");
        exit(1);
    }
    pthread_mutex_init(&service->refusals->lock, NULL);
    service->name = name;
    service->signal_fd = signal_fd;
    service->in_terminal = has_terminal();
    vmafx_notify_open(&service->notify);
    service->otel = vmafx_otel_start(
        &(VmafxOtelStart){ .service = name, .version = version, .log_lines = true, .prometheus_page = true });
    service->log = vmafx_logger_new(name, version, "", VMAFX_NO_ATTRS);
    service->process = vmafx_process_metrics_new(version);
    service->certs = vmafx_cert_metrics_new(version);
    atomic_store(&service->heartbeat_ns, vmafx_monotonic_ns());
    read_log_level(service, false);
    return service;
}

int vmafx_service_stop(VmafxService **at, int code)
{
    VmafxService *service = VMAFX_TAKE(*at);

    vmafx_service_unlisten(service);
    vmafx_tokens_close(&service->tokens); /* it logs */
    vmafx_logger_free(&service->log);
    /* Who asked for --help does not wait for a collector that is away; what failed to start has a line to send. */
    uint64_t within_ms = atomic_load(&service->started) ? VMAFX_OTEL_STOP_MS : code == 1 ? STOP_FAILED_MS : 0;
    VMAFX_IGNORE(vmafx_otel_stop(&service->otel, within_ms)); /* it has complained itself */
    vmafx_process_metrics_free(&service->process);            /* after the last collection */
    vmafx_cert_metrics_free(&service->certs);
    vmafx_notify_close(&service->notify);
    close(service->signal_fd);
    close(service->wake_fd);
    pthread_mutex_destroy(&service->refusals->lock);
    free(service->refusals);
    free(service);
    return code;
}

void vmafx_service_flush(VmafxService *service)
{
    vmafx_otel_ending(service->otel);
    VMAFX_IGNORE(vmafx_otel_flush(service->otel, FLUSH_MS)); /* it has complained itself */
}

VmafxLogger *vmafx_service_log(const VmafxService *service)
{
    return service->log;
}

void vmafx_service_audit(const VmafxService *service, const VmafxIdentity *identity, const char *address,
                         const char *action, const char *subject, const char *outcome)
{
    bool denied = !strcmp(outcome, "denied");
    uint64_t left_out = 0;
    VmafxAttr attrs[8] = {
        VMAFX_ATTR_STR(VMAFX_KEY_AUDIT_ACTION, action),
        VMAFX_ATTR_STR(VMAFX_KEY_AUDIT_SUBJECT, subject),
        VMAFX_ATTR_STR(VMAFX_KEY_AUDIT_IDENTITY, identity->name),
        VMAFX_ATTR_STR(VMAFX_KEY_AUDIT_ROLE, vmafx_role_name(identity->role)),
        VMAFX_ATTR_STR(VMAFX_KEY_AUDIT_OUTCOME, outcome),
        VMAFX_ATTR_STR(VMAFX_KEY_CLIENT_ADDRESS, address),
    };
    size_t n = 6;

    if (denied && !audit_limit_take(service->refusals, *identity->name, vmafx_monotonic_ns(), &left_out))
        return;
    if (*identity->tenant)
        attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_AUDIT_TENANT, identity->tenant);
    if (left_out)
        attrs[n++] = VMAFX_ATTR_INT(VMAFX_KEY_AUDIT_LEFT_OUT, (int64_t)left_out);
    vmafx_log_attrs(service->log, denied ? VMAFX_WARN : VMAFX_INFO, "audit", (VmafxAttrs){ attrs, n });
}

/* ---- Settings ---- */

VmafxServiceTls vmafx_service_tls(VmafxService *service, const VmafxSettings *settings)
{
    VmafxServiceTls tls = { .cert_file = vmafx_settings_text(settings, "VMAFX_TLS_CERT"),
                            .key_file = vmafx_settings_text(settings, "VMAFX_TLS_KEY"),
                            .ca_file = vmafx_settings_text(settings, "VMAFX_TLS_CA") };

    vmafx_cert_metrics_watch(service->certs, "grpc", tls.cert_file, tls.key_file);
    vmafx_cert_metrics_watch(service->certs, "grpc_ca", tls.ca_file, NULL);
    return tls;
}

static void tokens_changed(void *ctx, VmafxErr err, size_t n, const VmafxErrInfo *info)
{
    VmafxService *service = ctx;

    if (err)
        vmafx_log(service->log, VMAFX_ERROR, "the changed file of tokens cannot be used; those from before stay valid",
                  VMAFX_ATTR_STR(VMAFX_KEY_ERROR_TYPE, vmafx_err_name(err)),
                  VMAFX_ATTR_STR(VMAFX_KEY_EXCEPTION_MESSAGE, info->message));
    else
        vmafx_log(service->log, VMAFX_INFO, "the file of tokens has changed and is read",
                  VMAFX_ATTR_STR(VMAFX_KEY_FILE_PATH, service->tokens_path),
                  VMAFX_ATTR_INT(VMAFX_KEY_TOKEN_COUNT, (int64_t)n));
}

static VmafxErr open_tokens(VmafxService *service, const char *path, VmafxErrInfo *reterr)
{
    VmafxErr err;

    service->tokens_path = path;
    err = vmafx_tokens_open(&(VmafxTokensConfig){ .path = path, .changed = tokens_changed, .ctx = service },
                            &service->tokens, reterr);
    if (!err && vmafx_tokens_file_is_open_to_others(path))
        vmafx_log(service->log, VMAFX_WARN,
                  "others may read or write the file of tokens; who can write it can make themselves an admin: "
                  "chmod 0600, or 0640",
                  VMAFX_ATTR_STR(VMAFX_KEY_FILE_PATH, path));
    return err;
}

VmafxErr vmafx_service_configure(VmafxService *service, const VmafxSettings *settings, VmafxHttpServerConfig *ret_http,
                                 VmafxAuthPolicy *ret_policy, VmafxErrInfo *reterr)
{
    const char *cert = vmafx_settings_text(settings, "VMAFX_HTTP_TLS_CERT");
    const char *key = vmafx_settings_text(settings, "VMAFX_HTTP_TLS_KEY");
    const char *tokens = vmafx_settings_text(settings, "VMAFX_TOKENS");
    VmafxErr err = VMAFX_OK;

    if (!cert != !key)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                          "TLS on the HTTP port needs a certificate and its key, and %s is not set: give "
                          "--http-tls-cert and --http-tls-key",
                          cert ? "VMAFX_HTTP_TLS_KEY" : "VMAFX_HTTP_TLS_CERT");
    if (tokens)
        err = open_tokens(service, tokens, reterr);
    if (err)
        return err;
    vmafx_cert_metrics_watch(service->certs, "http", cert, key);
    ret_http->cert_file = cert;
    ret_http->key_file = key;
    ret_policy->tokens = service->tokens;
    ret_policy->insecure_listen = vmafx_settings_bool(settings, "VMAFX_INSECURE_LISTEN");
    ret_policy->open_metrics = vmafx_settings_bool(settings, "VMAFX_OPEN_METRICS");
    return VMAFX_OK;
}

/* ---- The HTTP port ---- */

static uint64_t heartbeat(void *ctx)
{
    return atomic_load(&((VmafxService *)ctx)->heartbeat_ns);
}

static VmafxErr is_started(void *ctx, VmafxErrInfo *ret_missing)
{
    if (atomic_load(&((VmafxService *)ctx)->started))
        return VMAFX_OK;
    return vmafx_fail(ret_missing, VMAFX_ERR_TOO_EARLY, "still starting");
}

static VmafxErr is_ready(void *ctx, VmafxErrInfo *ret_missing)
{
    VmafxService *service = ctx;
    VmafxErr err = is_started(service, ret_missing);

    return err || !service->ready ? err : service->ready(service->ready_ctx, ret_missing);
}

static char *metrics_page(void *ctx, const char *accept, size_t *ret_len, const char **ret_content_type)
{
    return vmafx_otel_prometheus_page(((VmafxService *)ctx)->otel, accept, ret_len, ret_content_type);
}

static VmafxErr decide(const VmafxService *service, const VmafxHttpCall *call, VmafxIdentity *ret, VmafxErrInfo *reterr)
{
    const VmafxHttpPeer *peer = vmafx_http_call_peer(call);
    VmafxAuthPeer facts = {
        .loopback = peer->loopback,
        .encrypted = peer->encrypted,
        .host = vmafx_http_call_header(call, "Host"),
        .origin = vmafx_http_call_header(call, "Origin"),
        .authorization = vmafx_http_call_header(call, "Authorization"),
        .now_s = time(NULL),
    };

    return vmafx_auth_decide(service->policy, &facts, vmafx_http_call_route(call), ret, reterr);
}

static VmafxErr authorize(void *ctx, VmafxHttpCall *call, VmafxErrInfo *reterr)
{
    VmafxService *service = ctx;
    VmafxIdentity identity;
    VmafxErr err = decide(service, call, &identity, reterr);

    _Static_assert(sizeof identity <= VMAFX_HTTP_KEEP_MAX, "an identity is kept with its call");
    if (err) {
        vmafx_service_audit(service, &identity, vmafx_http_call_peer(call)->address, "call",
                            vmafx_http_call_route(call), "denied");
        return err;
    }
    vmafx_http_call_keep(call, &identity, sizeof identity);
    if (identity.role != VMAFX_ROLE_EVERYTHING || service->policy->tokens) /* else nobody could be kept out */
        vmafx_http_call_set_owner(call, *identity.tenant ? identity.tenant : identity.name);
    return VMAFX_OK;
}

void vmafx_service_identity(const VmafxHttpCall *call, VmafxIdentity *ret)
{
    memcpy(ret, vmafx_http_call_kept(call), sizeof *ret);
}

VmafxErr vmafx_service_may_listen(VmafxService *service, const VmafxAuthPolicy *policy, const char *address,
                                  bool encrypted, VmafxErrInfo *reterr)
{
    VmafxErr err = vmafx_auth_listen(policy, address, encrypted, reterr);
    VmafxAuthPolicy strict = *policy;

    strict.insecure_listen = false;
    if (!err && vmafx_auth_listen(&strict, address, encrypted, NULL))
        vmafx_log(service->log, VMAFX_WARN,
                  "INSECURE: listening without credentials; whoever reaches this port may do everything",
                  VMAFX_ATTR_STR(VMAFX_KEY_SERVER_ADDRESS, address));
    return err;
}

VmafxErr vmafx_service_listen(VmafxService *service, const VmafxHttpServerConfig *config, const VmafxAuthPolicy *policy,
                              VmafxErr (*ready)(void *ctx, VmafxErrInfo *ret_missing), void *ctx, VmafxErrInfo *reterr)
{
    VmafxHttpServerConfig all = *config;
    VmafxErr err = vmafx_service_may_listen(service, policy, config->address, config->cert_file != NULL, reterr);

    if (err)
        return err;
    service->policy = policy;
    all.authorize = authorize;
    all.authorize_ctx = service;
    service->ready = ready;
    service->ready_ctx = ctx;
    service->probes = (VmafxProbes){
        .heartbeat_ns = heartbeat,
        .ready = is_ready,
        .started = is_started,
        .metrics = metrics_page,
        .ctx = service,
    };
    service->routes = calloc(VMAFX_PROBE_ROUTES + config->n_routes, sizeof *service->routes);
    if (!service->routes)
        return VMAFX_ERR_NOMEM;
    all.n_routes = vmafx_probe_routes(&service->probes, service->routes);
    for (size_t i = 0; i < config->n_routes; i++)
        service->routes[all.n_routes++] = config->routes[i];
    all.routes = service->routes;
    if (config->cert_file && !policy->tokens)
        vmafx_log(
            service->log, VMAFX_WARN,
            "the HTTP port has TLS but knows no tokens: it answers probes only; VMAFX_TOKENS names a file of them",
            VMAFX_ATTR_STR(VMAFX_KEY_SERVER_ADDRESS, config->address));
    err = vmafx_http_server_start(&all, &service->http, reterr);
    if (err)
        free(VMAFX_TAKE(service->routes));
    return err;
}

int vmafx_service_http_port(const VmafxService *service)
{
    return service->http ? vmafx_http_server_port(service->http) : 0;
}

void vmafx_service_started(VmafxService *service)
{
    atomic_store(&service->started, true);
    vmafx_notify_send(&service->notify, "READY=1");
}

#define HTTP_GRACE_MS 1000

void vmafx_service_unlisten(VmafxService *service)
{
    if (service->http)
        vmafx_http_server_stop(&service->http, HTTP_GRACE_MS);
    free(VMAFX_TAKE(service->routes));
}

/* ---- The loop ---- */

/* The signal, if it is one that ends the program; 0 where it does not. */
static int take_signal(VmafxService *service, int number)
{
    static const char *const names[] = { [SIGHUP] = "SIGHUP", [SIGINT] = "SIGINT", [SIGTERM] = "SIGTERM" };

    if (number == SIGHUP && (!service->in_terminal || has_terminal())) {
        reload(service);
        return 0;
    }
    if (!service->stopping) {
        vmafx_log(service->log, VMAFX_INFO, "stopping", VMAFX_ATTR_STR(VMAFX_KEY_EXCEPTION_TYPE, names[number]));
        vmafx_notify_send(&service->notify, "STOPPING=1");
    }
    service->stopping = true;
    return number;
}

int vmafx_service_tick(VmafxService *service, uint32_t timeout_ms)
{
    struct pollfd fds[] = { { .fd = service->signal_fd, .events = POLLIN },
                            { .fd = service->wake_fd, .events = POLLIN } };
    struct signalfd_siginfo info;
    uint64_t woken, now = vmafx_monotonic_ns();

    atomic_store(&service->heartbeat_ns, now);
    vmafx_notify_alive(&service->notify, now);
    VMAFX_IGNORE(poll(fds, VMAFX_LEN(fds), (int)timeout_ms) < 0);   /* EINTR is a tick too */
    VMAFX_IGNORE(read(service->wake_fd, &woken, sizeof woken) < 0); /* nothing there: nobody woke us */
    return read(service->signal_fd, &info, sizeof info) == sizeof info ? take_signal(service, (int)info.ssi_signo) : 0;
}

void vmafx_service_wake(VmafxService *service)
{
    VMAFX_IGNORE(write(service->wake_fd, &(uint64_t){ 1 }, 8) < 0); /* full: it is awake */
}

int vmafx_service_fail(VmafxService *service, const char *what, VmafxErr err, const VmafxErrInfo *info)
{
    vmafx_log(
        service->log, VMAFX_ERROR, what, VMAFX_ATTR_STR(VMAFX_KEY_ERROR_TYPE, vmafx_err_name(err)),
        VMAFX_ATTR_STR(VMAFX_KEY_EXCEPTION_MESSAGE, info && *info->message ? info->message : vmafx_err_text(err)));
    return 1;
}
