/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* vmafx-server: scores on request over HTTP and gRPC, on one machine. Settings, parts, loop. */

#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/cpus.h"
#include "base/settings.h"
#include "programs/server/pump.h"
#include "programs/server/server.h"
#include "rpc/descriptors.h"
#include "signals/instruments.h"

#define TICK_MS          250
#define STOP_LOOK_MS     20
#define RPC_STOP_MS      500
#define HTTP_SPARE       8   /* threads for what does not score */
#define HTTP_THREADS_MAX 512 /* calls beyond wait for a thread, and then for a slot */

static const VmafxSetting settings_table[] = {
    { "VMAFX_SERVER_HTTP", "http", "ADDRESS", VMAFX_SETTING_TEXT, "127.0.0.1:7810", 0, 0, false,
      "REST, probes and metrics; empty: none" },
    { "VMAFX_SERVER_GRPC", "grpc", "ADDRESS", VMAFX_SETTING_TEXT, "127.0.0.1:7811", 0, 0, false,
      "where gRPC clients connect; empty: none" },
    { "VMAFX_SERVER_NAME", "name", "NAME", VMAFX_SETTING_TEXT, NULL, 0, 0, false,
      "what results call this machine; the host's name when not set" },
    { "VMAFX_SERVER_SLOTS", "slots", "N", VMAFX_SETTING_INT, "0", 0, 256, false,
      "scorings at a time; 0: as many as there are CPUs for their threads" },
    { "VMAFX_SERVER_THREADS", "threads", "N", VMAFX_SETTING_INT, "1", 1, 256, false,
      "threads that compute, of each scoring" },
    { "VMAFX_SERVER_WAITING_MAX", "waiting-max", "N", VMAFX_SETTING_INT, "32", 0, 4096, false,
      "scorings that may wait for a slot; then calls are refused" },
    { "VMAFX_SERVER_BATCH", "batch", "N", VMAFX_SETTING_INT, "4", 1, 256, false,
      "pairs of one batch that score or wait at a time" },
    { "VMAFX_SERVER_INPUT_ROOTS", "input-roots", "DIR:DIR", VMAFX_SETTING_TEXT, NULL, 0, 0, false,
      "folders that calls may name files in, separated by colons; none when not set, so that videos have to be sent" },
    VMAFX_INPUT_SETTINGS,
    { "VMAFX_SERVER_TIMEOUT", "timeout", "TIME", VMAFX_SETTING_DURATION, "1h", 1, 604800000, false,
      "the longest that one scoring may take, once it has a slot" },
    { "VMAFX_SERVER_UPLOAD_MAX", "upload-max", "SIZE", VMAFX_SETTING_BYTES, "1GiB", 1, 1125899906842624, false,
      "of one video that is sent" },
    { "VMAFX_SERVER_UPLOADS_MAX", "uploads-max", "SIZE", VMAFX_SETTING_BYTES, "8GiB", 1, 1125899906842624, false,
      "of all that lie in upload-dir at a time" },
    { "VMAFX_SERVER_UPLOAD_DIR", "upload-dir", "DIR", VMAFX_SETTING_TEXT, NULL, 0, 0, false,
      "where videos that are sent by HTTP lie, without a name, until they are scored; TMPDIR or /var/tmp when not "
      "set" },
    { "VMAFX_SERVER_FRAMES_MAX", "frames-max", "N", VMAFX_SETTING_INT, "1000000", 0, 2000000000, false,
      "of one scoring; 0: any number" },
    { "VMAFX_SERVER_PIXELS_MAX", "pixels-max", "N", VMAFX_SETTING_INT, "67108864", 0, 4294967296, false,
      "of one picture; 0: any number" },
    { "VMAFX_SERVER_TASK_MEMORY", "task-memory", "SIZE", VMAFX_SETTING_BYTES, "8GiB", 0, 0, false,
      "address space of one scoring; 0: no limit" },
    { "VMAFX_SERVER_STREAM_WINDOW", "stream-window", "SIZE", VMAFX_SETTING_BYTES, "16MiB", 65536, 4294967296, false,
      "of each of the two videos of a ScoreStream: what may wait here for the scorer" },
    { "VMAFX_SERVER_EVENTS_MAX", "events-max", "SIZE", VMAFX_SETTING_BYTES, "16MiB", 65536, 1073741824, false,
      "of server-sent events that one client has not read; then it is cut" },
    { "VMAFX_SERVER_STREAM_IDLE", "stream-idle", "TIME", VMAFX_SETTING_DURATION, "30s", 100, 86400000, false,
      "a ScoreStream that has a slot and sends nothing this long is ended" },
    { "VMAFX_SERVER_GRACE", "grace", "TIME", VMAFX_SETTING_DURATION, "30s", 0, 86400000, false,
      "on SIGTERM, for scorings that run or wait; what is left is cancelled" },
    VMAFX_SERVICE_LOG_SETTINGS,
    VMAFX_SERVICE_TLS_SETTINGS,
    VMAFX_SERVICE_HTTP_SETTINGS,
};

static const VmafxProgramInfo program = {
    .name = "vmafx-server",
    .version = SERVER_VERSION,
    .summary = "scores on request, over HTTP and gRPC",
    .examples = "  # on this machine, with the files of one folder\n"
                "  vmafx-server --input-roots /media\n"
                "  curl -F reference=@ref.mp4 -F distorted=@dist.mp4 http://127.0.0.1:7810/v1/score\n"
                "  # for others\n"
                "  vmafx-server --grpc 0.0.0.0:7811 --tls-cert server.crt --tls-key server.key --tls-ca ca.crt \\\n"
                "      --http 0.0.0.0:7810 --http-tls-cert web.crt --http-tls-key web.key --tokens tokens\n",
    .settings = settings_table,
    .n_settings = VMAFX_LEN(settings_table),
};

typedef struct Program {
    Server server;
    VmafxSettings *settings;
    VmafxRpcServer *rpc;
    VmafxRpcMethod methods[SERVER_METHODS_MAX];
    VmafxHttpRoute routes[SERVER_ROUTES_MAX];
    VmafxObservable *slots, *waiting, *refused;
    VmafxCallback *callback;
} Program;

/* ---- Who may what ---- */

void server_who(const Server *server, const VmafxIdentity *identity, char ret[SLOTS_WHO_MAX])
{
    bool others = server->policy.tokens || server->encrypted_grpc; /* can there be any that have a name? */

    if (*identity->tenant)
        snprintf(ret, SLOTS_WHO_MAX, "tenant/%s", identity->tenant);
    else if (identity->role == VMAFX_ROLE_EVERYTHING && !others)
        *ret = 0;
    else
        snprintf(ret, SLOTS_WHO_MAX, "%s/%s", vmafx_role_name(identity->role), identity->name);
}

static VmafxErr decide(const Server *server, const VmafxRpcPeer *peer, const char *path, VmafxIdentity *ret,
                       VmafxErrInfo *reterr)
{
    VmafxAuthPeer facts = {
        .loopback = peer->loopback,
        .encrypted = server->encrypted_grpc,
        .authenticated = peer->authenticated,
        .names = peer->names,
        .n_names = peer->n_names,
    };

    return vmafx_auth_decide(&server->policy, &facts, path, ret, reterr);
}

void server_who_rpc(const Server *server, const VmafxRpcPeer *peer, const char *method, char ret[SLOTS_WHO_MAX])
{
    VmafxIdentity identity = { 0 };

    VMAFX_IGNORE(decide(server, peer, method, &identity, NULL)); /* who, not whether */
    server_who(server, &identity, ret);
}

static VmafxErr authorize(void *ctx, const VmafxRpcPeer *peer, const char *path, VmafxErrInfo *reterr)
{
    Server *server = ctx;
    VmafxIdentity identity = { 0 };
    VmafxErr err = decide(server, peer, path, &identity, reterr);

    if (err)
        vmafx_service_audit(server->service, &identity, peer->address, "call", path, "denied");
    return err;
}

static VmafxErr ready(void *ctx, VmafxErrInfo *ret_missing)
{
    Server *server = ctx;

    if (atomic_load(&server->stopping))
        return vmafx_fail(ret_missing, VMAFX_ERR_STOPPED, "stopping");
    if (!vmafx_runner_is_ready(server->runner))
        return vmafx_fail(ret_missing, VMAFX_ERR_UNREACHABLE, "the scorer is being started anew");
    return VMAFX_OK;
}

/* ---- Parts ---- */

static void scorer_changed(void *ctx, bool is_ready, const char *message)
{
    vmafx_log(((Server *)ctx)->log, is_ready ? VMAFX_INFO : VMAFX_WARN,
              is_ready ? "the scorer is there again" : "the scorer has gone; starting it anew",
              VMAFX_ATTR_STR(VMAFX_KEY_EXCEPTION_MESSAGE, message ? message : ""));
}

static void observe(VmafxObserver *observer, VmafxObservable *self, void *state)
{
    Program *p = state;
    SlotCounts counts = slots_counts(&p->server.slots);

    vmafx_observe_int(observer, p->slots, counts.busy, VMAFX_ATTRS(VMAFX_ATTR_STR(VMAFX_KEY_SLOT_STATE, "busy")));
    vmafx_observe_int(observer, p->slots, counts.free, VMAFX_ATTRS(VMAFX_ATTR_STR(VMAFX_KEY_SLOT_STATE, "free")));
    vmafx_observe_int(observer, p->waiting, counts.waiting, VMAFX_NO_ATTRS);
    vmafx_observe_int(observer, p->refused, (int64_t)counts.refused, VMAFX_NO_ATTRS);
}

static void make_signals(Program *p)
{
    VmafxMeter *meter = vmafx_meter_get(VMAFX_SCOPE_NAME_SERVER, SERVER_VERSION, "", VMAFX_NO_ATTRS);

    p->server.tracer = vmafx_tracer_get(VMAFX_SCOPE_NAME_SERVER, SERVER_VERSION);
    p->server.waited = vmafx_signal_histogram(meter, VMAFX_METRIC_ID_SERVER_WAIT_DURATION);
    p->slots = vmafx_signal_observable(meter, VMAFX_METRIC_ID_SERVER_SLOTS);
    p->waiting = vmafx_signal_observable(meter, VMAFX_METRIC_ID_SERVER_WAITING);
    p->refused = vmafx_signal_observable(meter, VMAFX_METRIC_ID_SERVER_REFUSED);
    p->callback = vmafx_meter_callback(meter, observe, p);
}

static void read_limits(Program *p)
{
    const VmafxSettings *s = p->settings;

    p->server.limits = (ServerLimits){
        .threads = (int)vmafx_settings_int(s, "VMAFX_SERVER_THREADS"),
        .batch_at_once = (int)vmafx_settings_int(s, "VMAFX_SERVER_BATCH"),
        .upload_bytes = vmafx_settings_int(s, "VMAFX_SERVER_UPLOAD_MAX"),
        .timeout_ms = vmafx_settings_int(s, "VMAFX_SERVER_TIMEOUT"),
        .frames = vmafx_settings_int(s, "VMAFX_SERVER_FRAMES_MAX"),
        .pixels = vmafx_settings_int(s, "VMAFX_SERVER_PIXELS_MAX"),
        .address_space_bytes = vmafx_settings_int(s, "VMAFX_SERVER_TASK_MEMORY"),
        .window_bytes = vmafx_settings_int(s, "VMAFX_SERVER_STREAM_WINDOW"),
        .events_bytes = (size_t)vmafx_settings_int(s, "VMAFX_SERVER_EVENTS_MAX"),
        .idle_ms = (uint32_t)vmafx_settings_int(s, "VMAFX_SERVER_STREAM_IDLE"),
    };
}

static VmafxErr open_inputs(Program *p, VmafxErrInfo *reterr)
{
    VmafxInputsConfig config = vmafx_inputs_config_from(p->settings, SERVER_VERSION);

    config.roots = vmafx_settings_text(p->settings, "VMAFX_SERVER_INPUT_ROOTS");
    config.roots_name = "VMAFX_SERVER_INPUT_ROOTS";
    p->server.opens_paths = config.roots != NULL;
    p->server.opens_urls = config.url_hosts != NULL;
    return vmafx_inputs_open(&config, &p->server.inputs, reterr);
}

static VmafxErr make_parts(Program *p, VmafxErrInfo *reterr)
{
    Server *server = &p->server;
    int n = (int)vmafx_settings_int(p->settings, "VMAFX_SERVER_SLOTS");
    const char *name = vmafx_settings_text(p->settings, "VMAFX_SERVER_NAME");

    if (name)
        snprintf(server->name, sizeof server->name, "%s", name);
    else if (gethostname(server->name, sizeof server->name - 1))
        snprintf(server->name, sizeof server->name, "server");
    read_limits(p);
    if (!n)
        n = VMAFX_MIN(VMAFX_MAX(vmafx_cpus_allowed() / server->limits.threads, 1), VMAFX_RUNNER_TASKS_MAX);
    slots_init(&server->slots, n, (int)vmafx_settings_int(p->settings, "VMAFX_SERVER_WAITING_MAX"));
    make_signals(p);
    VmafxErr err = open_inputs(p, reterr);
    if (!err)
        err = pump_start(&server->pump, reterr);
    if (!err && !rpc_pool_init(&server->openers, n))
        err = vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no thread that opens inputs");
    if (!err)
        err = vmafx_runner_start(
            &(VmafxRunnerConfig){ .tasks_max = VMAFX_RUNNER_TASKS_MAX, .changed = scorer_changed, .ctx = server },
            &server->runner, reterr);
    return err;
}

static VmafxErr start_http(Program *p, VmafxHttpServerConfig *config, VmafxErrInfo *reterr)
{
    const Slots *slots = &p->server.slots;

    config->address = vmafx_settings_text(p->settings, "VMAFX_SERVER_HTTP");
    if (!config->address)
        return VMAFX_OK;
    config->version = SERVER_VERSION;
    config->routes = p->routes;
    config->n_routes = http_routes(&p->server, p->routes);
    config->threads = VMAFX_MIN(slots->slots + slots->waiting_max + HTTP_SPARE, HTTP_THREADS_MAX);
    config->upload_folder = p->server.scratch;
    config->uploads_max_bytes = (uint64_t)vmafx_settings_int(p->settings, "VMAFX_SERVER_UPLOADS_MAX");
    return vmafx_service_listen(p->server.service, config, &p->server.policy, ready, &p->server, reterr);
}

static VmafxErr start_rpc(Program *p, VmafxErrInfo *reterr)
{
    const char *address = vmafx_settings_text(p->settings, "VMAFX_SERVER_GRPC");
    VmafxServiceTls tls = vmafx_service_tls(p->server.service, p->settings);

    if (!address)
        return VMAFX_OK;
    VmafxErr err =
        vmafx_service_may_listen(p->server.service, &p->server.policy, address, p->server.encrypted_grpc, reterr);
    if (err)
        return err;
    return vmafx_rpc_server_start(
        &(VmafxRpcServerConfig){
            .address = address,
            .cert_file = tls.cert_file,
            .key_file = tls.key_file,
            .ca_file = tls.ca_file,
            .methods = p->methods,
            .n_methods = grpc_methods(&p->server, p->methods),
            .authorize = authorize,
            .authorize_ctx = &p->server,
            .descriptor_set = vmafx_descriptors,
            .descriptor_set_len = vmafx_descriptors_len,
        },
        &p->rpc, reterr);
}

static int start(Program *p)
{
    VmafxHttpServerConfig http = { 0 };
    VmafxErrInfo info = { 0 };
    VmafxErr err = vmafx_service_configure(p->server.service, p->settings, &http, &p->server.policy, &info);

    p->server.scratch = vmafx_settings_text(p->settings, "VMAFX_SERVER_UPLOAD_DIR");
    p->server.encrypted_grpc =
        vmafx_service_tls(p->server.service, p->settings).cert_file != NULL; /* before any door is open */
    if (!err)
        err = make_parts(p, &info);
    if (!err)
        err = start_http(p, &http, &info);
    if (!err)
        err = start_rpc(p, &info);
    if (!err && !p->rpc && !http.address)
        err = vmafx_fail(&info, VMAFX_ERR_INVALID, "--http and --grpc are both empty: nobody could call");
    if (err)
        return vmafx_service_fail(p->server.service, "cannot start", err, &info);
    vmafx_service_started(p->server.service);
    if (http.address)
        vmafx_log(p->server.log, VMAFX_INFO, "ready for HTTP", VMAFX_ATTR_STR(VMAFX_KEY_SERVER_ADDRESS, http.address),
                  VMAFX_ATTR_INT(VMAFX_KEY_SERVER_PORT, vmafx_service_http_port(p->server.service)));
    if (p->rpc)
        vmafx_log(p->server.log, VMAFX_INFO, "ready for gRPC",
                  VMAFX_ATTR_STR(VMAFX_KEY_SERVER_ADDRESS, vmafx_settings_text(p->settings, "VMAFX_SERVER_GRPC")),
                  VMAFX_ATTR_INT(VMAFX_KEY_SERVER_PORT, vmafx_rpc_server_port(p->rpc)));
    return 0;
}

/* ---- The loop ---- */

/* Refuses what is new and lets the rest end, within the grace or until the next signal. */
static void drain(Program *p)
{
    uint64_t grace_ns = (uint64_t)vmafx_settings_int(p->settings, "VMAFX_SERVER_GRACE") * 1000000u;
    uint64_t until = vmafx_monotonic_ns() + grace_ns;

    atomic_store(&p->server.stopping, true);
    slots_close(&p->server.slots);
    if (p->rpc)
        vmafx_rpc_server_set_serving(p->rpc, "", false);
    for (;;) {
        SlotCounts counts = slots_counts(&p->server.slots);
        if ((!counts.busy && !counts.waiting) || vmafx_monotonic_ns() >= until ||
            vmafx_service_tick(p->server.service, STOP_LOOK_MS))
            return;
    }
}

static void run(Program *p)
{
    while (!vmafx_service_tick(p->server.service, TICK_MS))
        ;
    drain(p);
}

/* From the doors inwards, so that nothing is asked of what is gone. */
static void stop(Program *p)
{
    Server *server = &p->server;

    atomic_store(&server->stopping, true);
    if (server->slots.slots)
        slots_close(&server->slots);
    vmafx_service_unlisten(server->service);
    if (p->rpc)
        vmafx_rpc_server_stop(&p->rpc, RPC_STOP_MS);
    rpc_pool_done(&server->openers);
    vmafx_runner_stop(&server->runner);
    pump_stop(&server->pump);
    vmafx_service_flush(server->service);
    vmafx_callback_remove(&p->callback);
    vmafx_inputs_close(&server->inputs);
    slots_done(&server->slots);
    vmafx_settings_free(&p->settings);
}

int main(int argc, char **argv)
{
    Program p = { .server.service = vmafx_service_start(program.name, SERVER_VERSION) };
    int code = vmafx_settings_read(&program, argc, argv, &p.settings);
    if (code < 0) {
        p.server.log = vmafx_service_log(p.server.service);
        code = start(&p);
        if (!code)
            run(&p);
        stop(&p);
    }
    return vmafx_service_stop(&p.server.service, code);
}
