/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What every daemon does besides its own work. */

#include "service/service.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"
#include "http/probes.h"
#include "otel/export/otel.h"
#include "service/process_metrics.h"
#include "signals/signals.h"

#define STOP_FAILED_MS 1000
#define FLUSH_MS       1000

struct VmafxService {
    const char *name;
    VmafxOtel *otel;
    VmafxLogger *log;
    VmafxProcessMetrics *process;
    int signal_fd, wake_fd;
    _Atomic uint64_t heartbeat_ns;
    atomic_bool started;

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
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

VmafxService *vmafx_service_start(const char *name, const char *version)
{
    int signal_fd = block_signals(); /* before there are threads, which inherit it */
    VmafxService *service = calloc(1, sizeof *service);

    if (!service || signal_fd < 0 || (service->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0) {
        fprintf(stderr, "%s: cannot start: %s\n", name, service ? strerror(errno) : "out of memory");
        exit(1);
    }
    service->name = name;
    service->signal_fd = signal_fd;
    service->otel = vmafx_otel_start(
        &(VmafxOtelStart){ .service = name, .version = version, .log_lines = true, .prometheus_page = true });
    service->log = vmafx_logger_new(name, version, "", VMAFX_NO_ATTRS);
    service->process = vmafx_process_metrics_new(version);
    atomic_store(&service->heartbeat_ns, vmafx_monotonic_ns());
    return service;
}

int vmafx_service_stop(VmafxService **at, int code)
{
    VmafxService *service = VMAFX_TAKE(*at);

    vmafx_service_unlisten(service);
    vmafx_logger_free(&service->log);
    /* Who asked for --help does not wait for a collector that is away; what failed to start has a line to send. */
    uint64_t within_ms = atomic_load(&service->started) ? VMAFX_OTEL_STOP_MS : code == 1 ? STOP_FAILED_MS : 0;
    VMAFX_IGNORE(vmafx_otel_stop(&service->otel, within_ms)); /* it has complained itself */
    vmafx_process_metrics_free(&service->process);            /* after the last collection */
    close(service->signal_fd);
    close(service->wake_fd);
    free(service);
    return code;
}

void vmafx_service_flush(VmafxService *service)
{
    VMAFX_IGNORE(vmafx_otel_flush(service->otel, FLUSH_MS)); /* it has complained itself */
}

VmafxLogger *vmafx_service_log(const VmafxService *service)
{
    return service->log;
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

static VmafxErr authorize(void *ctx, VmafxHttpCall *call, VmafxErrInfo *reterr)
{
    VmafxService *service = ctx;
    const VmafxHttpPeer *peer = vmafx_http_call_peer(call);
    VmafxAuthPeer facts = {
        .loopback = peer->loopback,
        .encrypted = peer->encrypted,
        .host = vmafx_http_call_header(call, "Host"),
        .origin = vmafx_http_call_header(call, "Origin"),
    };
    VmafxIdentity identity;

    return vmafx_auth_decide(service->policy, &facts, vmafx_http_call_route(call), &identity, reterr);
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
}

#define HTTP_GRACE_MS 1000

void vmafx_service_unlisten(VmafxService *service)
{
    if (service->http)
        vmafx_http_server_stop(&service->http, HTTP_GRACE_MS);
    free(VMAFX_TAKE(service->routes));
}

/* ---- The loop ---- */

int vmafx_service_tick(VmafxService *service, uint32_t timeout_ms)
{
    struct pollfd fds[] = { { .fd = service->signal_fd, .events = POLLIN },
                            { .fd = service->wake_fd, .events = POLLIN } };
    struct signalfd_siginfo info;
    uint64_t woken;

    atomic_store(&service->heartbeat_ns, vmafx_monotonic_ns());
    VMAFX_IGNORE(poll(fds, VMAFX_LEN(fds), (int)timeout_ms) < 0);   /* EINTR is a tick too */
    VMAFX_IGNORE(read(service->wake_fd, &woken, sizeof woken) < 0); /* nothing there: nobody woke us */
    return read(service->signal_fd, &info, sizeof info) == sizeof info ? (int)info.ssi_signo : 0;
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
