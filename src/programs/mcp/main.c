/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* vmafx-mcp: measurements for AI assistants. Settings, parts, loop. */

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "base/settings.h"
#include "inputs/inputs.h"
#include "programs/mcp/http.h"
#include "programs/mcp/mcp.h"
#include "programs/mcp/stdio.h"
#include "service/service.h"
#include "signals/instruments.h"

#define TICK_MS      1000
#define SERVER_SLOTS 8
#define HTTP_WAITING MCP_WAITING_MAX
#define HTTP_THREADS (MCP_CALLS_MAX + 8) /* some are left for what takes no time */

static const VmafxSetting settings_table[] = {
    { "VMAFX_MCP_HTTP", "http", "ADDRESS", VMAFX_SETTING_TEXT, NULL, 0, 0, false,
      "serve HTTP there (127.0.0.1:7830), with probes and metrics; when not set, standard input and output" },
    { "VMAFX_CONTROLLER", "controller", "ADDRESS", VMAFX_SETTING_TEXT, NULL, 0, 0, false,
      "have a controller's nodes measure: its gRPC port; when neither this nor --server is set, this machine does" },
    { "VMAFX_SERVER", "server", "ADDRESS", VMAFX_SETTING_TEXT, NULL, 0, 0, false,
      "have a vmafx-server measure: its gRPC port" },
    { "VMAFX_MCP_ROOTS", "roots", "DIR:DIR", VMAFX_SETTING_TEXT, NULL, 0, 0, false,
      "folders whose files may be named, separated by colons; when not set, the current folder on standard input, none "
      "on "
      "HTTP" },
    VMAFX_INPUT_SETTINGS,
    { "VMAFX_MCP_SLOTS", "slots", "N", VMAFX_SETTING_INT, "1", 1, 64, false,
      "measurements at a time when this machine measures" },
    { "VMAFX_MCP_THREADS", "threads", "N", VMAFX_SETTING_INT, "0", 0, 256, false,
      "threads that compute, of each of these; 0: as many as there are CPUs, at most 16" },
    { "VMAFX_MCP_TIMEOUT", "timeout", "TIME", VMAFX_SETTING_DURATION, "1h", 0, 0, false,
      "of one measurement when this machine measures and the call says nothing; 0: none" },
    { "VMAFX_MCP_MEMORY", "memory", "SIZE", VMAFX_SETTING_BYTES, "8GiB", 0, 0, false,
      "address space of one measurement when this machine measures; 0: no limit" },
    VMAFX_SERVICE_LOG_SETTINGS,
    VMAFX_SERVICE_TLS_SETTINGS,
    { "VMAFX_TLS_SERVER_NAME", "tls-server-name", "NAME", VMAFX_SETTING_TEXT, NULL, 0, 0, false,
      "the name that the controller's or server's certificate must have, if it is not the address's" },
    VMAFX_SERVICE_HTTP_SETTINGS,
};

static const VmafxProgramInfo info_of_program = {
    .name = "vmafx-mcp",
    .version = MCP_VERSION,
    .summary = "measures video quality for AI assistants (Model Context Protocol)",
    .examples = "  # for an assistant on this machine, which starts it itself: videos below a folder\n"
                "  vmafx-mcp --roots /media/encodes\n"
                "  # the same, measured by a fleet\n"
                "  vmafx-mcp --controller ctl.example.org:7801 --tls-cert me.crt --tls-key me.key --tls-ca ca.crt "
                "--roots /media\n"
                "  # for assistants elsewhere\n"
                "  vmafx-mcp --http 0.0.0.0:7830 --http-tls-cert mcp.crt --http-tls-key mcp.key --tokens tokens "
                "--roots /media\n",
    .settings = settings_table,
    .n_settings = VMAFX_LEN(settings_table),
};

typedef struct Main {
    VmafxService *service;
    VmafxSettings *settings;
    VmafxAuthPolicy policy;
    VmafxHttpServerConfig http_config;
    VmafxHttpRoute routes[HTTP_ROUTES];
    Program program;
    Stdio *stdio;
    Http *http;
    atomic_bool ended; /* standard input is at its end */
    char folder[PATH_MAX];
} Main;

static void choose_roots(Main *m)
{
    m->program.roots = vmafx_settings_text(m->settings, "VMAFX_MCP_ROOTS");
    if (m->program.http)
        return;
    if (getcwd(m->folder, sizeof m->folder))
        m->program.folder = m->folder;
    if (!m->program.roots)
        m->program.roots = m->program.folder;
}

static VmafxErr open_backend(Main *m, VmafxErrInfo *reterr)
{
    const VmafxSettings *s = m->settings;
    const char *controller = vmafx_settings_text(s, "VMAFX_CONTROLLER"),
               *server = vmafx_settings_text(s, "VMAFX_SERVER");
    VmafxServiceTls tls = vmafx_service_tls(m->service, s);
    RemoteConfig remote = {
        .address = controller ? controller : server,
        .cert_file = tls.cert_file,
        .key_file = tls.key_file,
        .ca_file = tls.ca_file,
        .server_name = vmafx_settings_text(s, "VMAFX_TLS_SERVER_NAME"),
    };

    if (controller && server)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "--controller and --server: only one of them can measure");
    if (controller)
        return backend_controller_open(&remote, &m->program.backend, reterr);
    if (server)
        return backend_server_open(&remote, SERVER_SLOTS, &m->program.backend, reterr);
    VmafxInputsConfig inputs = vmafx_inputs_config_from(s, MCP_VERSION);
    inputs.roots = m->program.roots;
    inputs.roots_name = "VMAFX_MCP_ROOTS";
    return backend_alone_open(
        &(AloneConfig){
            .inputs = &inputs,
            .slots = (int)vmafx_settings_int(s, "VMAFX_MCP_SLOTS"),
            .threads = (int)vmafx_settings_int(s, "VMAFX_MCP_THREADS"),
            .timeout_ms = vmafx_settings_int(s, "VMAFX_MCP_TIMEOUT"),
            .memory_bytes = vmafx_settings_int(s, "VMAFX_MCP_MEMORY"),
            .log = m->program.log,
        },
        &m->program.backend, reterr);
}

/* ---- Transports ---- */

static void input_ended(void *ctx)
{
    Main *m = ctx;

    atomic_store(&m->program.stopping, true); /* what waits comes back */
    atomic_store(&m->ended, true);
    vmafx_service_wake(m->service);
}

static VmafxErr listen_http(Main *m, const char *address, VmafxErrInfo *reterr)
{
    VmafxErr err = vmafx_service_configure(m->service, m->settings, &m->http_config, &m->policy, reterr);

    if (!err)
        err = http_new(&m->program, m->service, m->policy.tokens != NULL, &m->http, reterr);
    if (err)
        return err;
    http_routes(m->http, m->routes);
    m->http_config.address = address;
    m->http_config.routes = m->routes;
    m->http_config.n_routes = HTTP_ROUTES;
    m->http_config.version = MCP_VERSION;
    m->http_config.threads = HTTP_THREADS;
    m->http_config.waiting_max = HTTP_WAITING;
    return vmafx_service_listen(m->service, &m->http_config, &m->policy, NULL, NULL, reterr);
}

static VmafxErr start(Main *m, VmafxErrInfo *reterr)
{
    const char *address = vmafx_settings_text(m->settings, "VMAFX_MCP_HTTP");
    VmafxMeter *meter = vmafx_meter_get(VMAFX_SCOPE_NAME_MCP, MCP_VERSION, "", VMAFX_NO_ATTRS);

    m->program.http = address != NULL;
    m->program.log = vmafx_service_log(m->service);
    m->program.tracer = vmafx_tracer_get(VMAFX_SCOPE_NAME_MCP, MCP_VERSION);
    m->program.duration = vmafx_signal_histogram(meter, VMAFX_METRIC_ID_MCP_SERVER_DURATION);
    choose_roots(m);
    VmafxErr err = catalogue_open(&m->program.catalogue, reterr);
    if (!err)
        err = open_backend(m, reterr);
    if (!err && address)
        err = listen_http(m, address, reterr);
    else if (!err)
        err = stdio_start(&m->program, STDIN_FILENO, STDOUT_FILENO, input_ended, m, &m->stdio, reterr);
    return err;
}

/** Says clearly what is offered, to whom, and which files may be named. */
static void announce(Main *m)
{
    const char *roots = m->program.roots;

    if (m->http)
        vmafx_log(m->program.log, VMAFX_INFO, "serving MCP over HTTP at /mcp",
                  VMAFX_ATTR_STR(VMAFX_KEY_SERVER_ADDRESS, m->http_config.address),
                  VMAFX_ATTR_INT(VMAFX_KEY_SERVER_PORT, vmafx_service_http_port(m->service)));
    else
        vmafx_log(m->program.log, VMAFX_INFO, "serving MCP over standard input and output");
    if (roots && *roots)
        fprintf(stderr, "vmafx-mcp: files below %s may be named (--roots)\n", roots);
    else
        fprintf(stderr, "vmafx-mcp: no file may be named, only URLs; --roots DIR:DIR allows folders\n");
}

static void stop(Main *m)
{
    atomic_store(&m->program.stopping, true);
    vmafx_service_unlisten(m->service);
    stdio_stop(&m->stdio);
    http_free(&m->http);
    if (m->program.backend)
        m->program.backend->ops->close(&m->program.backend);
    catalogue_done(&m->program.catalogue);
    pthread_mutex_destroy(&m->program.lock);
}

int main(int argc, char **argv)
{
    Main *m = calloc(1, sizeof *m);
    VmafxErrInfo info = { 0 };

    if (!m)
        return 1;
    m->service = vmafx_service_start(info_of_program.name, MCP_VERSION);
    pthread_mutex_init(&m->program.lock, NULL);
    int code = vmafx_settings_read(&info_of_program, argc, argv, &m->settings);
    if (code < 0) {
        VmafxErr err = start(m, &info);
        code = err ? vmafx_service_fail(m->service, "cannot start", err, &info) : 0;
        if (!err) {
            vmafx_service_started(m->service);
            announce(m);
            while (!atomic_load(&m->ended) && !vmafx_service_tick(m->service, TICK_MS))
                continue;
        }
        stop(m);
    }
    vmafx_settings_free(&m->settings);
    VmafxService *service = m->service;
    free(m);
    return vmafx_service_stop(&service, code);
}
