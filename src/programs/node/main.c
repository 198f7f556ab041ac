/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* vmafx-node: takes tasks from a controller and has them scored. Settings, parts, loop. */

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "auth/auth.h"
#include "base/base.h"
#include "base/cgroups.h"
#include "base/clock.h"
#include "base/cpus.h"
#include "base/folders.h"
#include "base/settings.h"
#include "load/load.h"
#include "load/machine.h"
#include "programs/node/node.h"
#include "programs/node/telemetry.h"
#include "service/service.h"
#include "signals/signals.h"

#define STOP_NOW_MS 3000 /* a node that hands back waits this long for the controller to hear of it */

static const VmafxSetting settings_table[] = {
    { "VMAFX_CONTROLLER", "controller", "ADDRESS", VMAFX_SETTING_TEXT, "127.0.0.1:7801", 0, 0, false,
      "the controller's gRPC port" },
    { "VMAFX_NODE_NAME", "name", "NAME", VMAFX_SETTING_TEXT, NULL, 0, 0, false,
      "our name, one of its kind; the host's when not set" },
    { "VMAFX_NODE_SLOTS", "slots", "N", VMAFX_SETTING_INT, "0", 0, 256, false,
      "tasks at a time; 0: as many as there are CPUs" },
    { "VMAFX_NODE_THREADS", "threads", "N", VMAFX_SETTING_INT, "1", 1, 256, false,
      "threads that compute, of each task" },
    { "VMAFX_NODE_INPUT_ROOTS", "input-roots", "DIR:DIR", VMAFX_SETTING_TEXT, NULL, 0, 0, false,
      "folders that tasks may read from, separated by colons; when not set, everything with a controller on loopback, "
      "else nothing" },
    VMAFX_INPUT_SETTINGS,
    { "VMAFX_NODE_STATE", "state", "DIR", VMAFX_SETTING_TEXT, NULL, 0, 0, false,
      "where results wait for the controller; $XDG_STATE_HOME/vmafx/NAME or ~/.local/state/vmafx/NAME when not set" },
    { "VMAFX_NODE_MEMORY", "memory", "SIZE", VMAFX_SETTING_BYTES, "0", 0, 0, false,
      "for all tasks together; 0: three quarters of what the machine has" },
    { "VMAFX_NODE_TASK_MEMORY", "task-memory", "SIZE", VMAFX_SETTING_BYTES, "8GiB", 0, 0, false,
      "address space of one task; 0: no limit" },
    { "VMAFX_NODE_KEEP", "keep", "DIR", VMAFX_SETTING_TEXT, NULL, 0, 0, false,
      "where encoded videos are kept, for jobs that say so: JOB-ATTEMPT.mkv; nowhere when not set" },
    { "VMAFX_NODE_KEEP_BYTES_MAX", "keep-bytes-max", "SIZE", VMAFX_SETTING_BYTES, "16GiB", 0, 0, false,
      "of one encoded video that is kept" },
    { "VMAFX_NODE_LOAD_PERIOD", "load-period", "TIME", VMAFX_SETTING_DURATION, "5s", 100, 60000, false,
      "how often machine and devices are asked how busy they are" },
    { "VMAFX_NODE_NVML", "nvml", "FILE", VMAFX_SETTING_TEXT, "libnvidia-ml.so.1", 0, 0, false,
      "NVIDIA's management library, a name or a path; what is not there is no error; empty: it is not asked" },
    { "VMAFX_NODE_SYSFS", "sysfs", "DIR", VMAFX_SETTING_TEXT, "/sys", 0, 0, false,
      "where the kernel shows devices; another folder where a container sees the machine's in one" },
    { "VMAFX_NODE_HTTP", "http", "ADDRESS", VMAFX_SETTING_TEXT, "127.0.0.1:7820", 0, 0, false,
      "probes and metrics; empty: none" },
    VMAFX_SERVICE_LOG_SETTINGS,
    VMAFX_SERVICE_TLS_SETTINGS,
    { "VMAFX_TLS_SERVER_NAME", "tls-server-name", "NAME", VMAFX_SETTING_TEXT, NULL, 0, 0, false,
      "the name that the controller's certificate must have, if it is not the address's" },
    VMAFX_SERVICE_HTTP_SETTINGS,
};

static const VmafxProgramInfo program = {
    .name = "vmafx-node",
    .version = NODE_VERSION,
    .summary = "takes tasks from a controller and has them scored",
    .examples =
        "  # beside a controller on this machine\n"
        "  vmafx-node --name node-1\n"
        "  # of a fleet\n"
        "  vmafx-node --controller ctl.example.org:7801 --tls-cert node-1.crt --tls-key node-1.key --tls-ca ca.crt \\\n"
        "      --input-roots /media\n",
    .settings = settings_table,
    .n_settings = VMAFX_LEN(settings_table),
};

typedef struct Program {
    VmafxService *service;
    VmafxSettings *settings;
    VmafxAuthPolicy policy;
    VmafxLogger *log;
    char name[VMAFX_NODE_NAME_MAX], state[4096];
    VmafxLoadMeter *meter;
    NodeTelemetry *telemetry;
    Node *node;
    _Atomic(const char *) missing; /* as of the last turn; the HTTP threads may not look into the node */
} Program;

/** A host's name may have letters that a node's may not. */
static void default_name(char ret[VMAFX_NODE_NAME_MAX])
{
    char host[256] = "node";

    VMAFX_IGNORE(gethostname(host, sizeof host - 1) != 0); /* "node" then */
    snprintf(ret, VMAFX_NODE_NAME_MAX, "%.63s", host);
    for (char *c = ret; *c; c++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", *c))
            *c = '-';
}

static VmafxErr find_names(Program *p, VmafxErrInfo *reterr)
{
    const char *name = vmafx_settings_text(p->settings, "VMAFX_NODE_NAME");
    const char *state = vmafx_settings_text(p->settings, "VMAFX_NODE_STATE");

    if (name && !vmafx_node_name_is_valid(name))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "--name '%.64s' is not [A-Za-z0-9._-]{1,63}", name);
    if (name)
        snprintf(p->name, sizeof p->name, "%s", name);
    else
        default_name(p->name);
    if (state)
        snprintf(p->state, sizeof p->state, "%s", state);
    else if (vmafx_state_path(p->name, p->state, sizeof p->state))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "where to keep results? --state DIR says it, there is no HOME");
    return VMAFX_OK;
}

static int64_t memory_default(void)
{
    VmafxMachine machine = { .proc = "/proc", .cgroups = VMAFX_CGROUPS_MOUNT };
    VmafxMachineLoad load;

    vmafx_machine_read(&machine, vmafx_monotonic_ns(), &load);
    return load.memory_total / 4 * 3;
}

/** How busy the machine is: no reason not to start. */
static void start_meter(Program *p)
{
    if (vmafx_load_start(
            &(VmafxLoadConfig){ .sys = vmafx_settings_text(p->settings, "VMAFX_NODE_SYSFS"),
                                .nvml = vmafx_settings_text(p->settings, "VMAFX_NODE_NVML"),
                                .period_ms = (uint32_t)vmafx_settings_int(p->settings, "VMAFX_NODE_LOAD_PERIOD") },
            &p->meter))
        vmafx_log(p->log, VMAFX_WARN, "no memory to look how busy the machine is; heartbeats do not say it");
    else
        p->telemetry = node_telemetry_new(p->meter, NODE_VERSION);
}

static void wake(void *ctx)
{
    vmafx_service_wake(ctx);
}

static VmafxErr make_node(Program *p, VmafxErrInfo *reterr)
{
    const VmafxSettings *s = p->settings;
    const char *controller = vmafx_settings_text(s, "VMAFX_CONTROLLER");
    const char *roots = vmafx_settings_text(s, "VMAFX_NODE_INPUT_ROOTS");
    int64_t slots = vmafx_settings_int(s, "VMAFX_NODE_SLOTS"), memory = vmafx_settings_int(s, "VMAFX_NODE_MEMORY");
    const char *keep = vmafx_settings_text(s, "VMAFX_NODE_KEEP");
    int64_t keep_max = vmafx_settings_int(s, "VMAFX_NODE_KEEP_BYTES_MAX");
    VmafxServiceTls tls = vmafx_service_tls(p->service, s);
    VmafxErr err = find_names(p, reterr);

    if (err)
        return err;
    if (!controller)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "--controller is empty");
    if (keep && (*keep != '/' || strlen(keep) > 4000 || access(keep, W_OK | X_OK)))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                          "--keep '%.200s' is no absolute path of a folder that can be written to", keep);
    if (keep_max < 1)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "--keep-bytes-max is below 1");
    if (!roots && vmafx_auth_target_is_loopback(controller))
        roots = "/";
    if (!roots)
        vmafx_log(p->log, VMAFX_WARN,
                  "no input roots: every task that names a file will fail; --input-roots allows some");
    VmafxInputsConfig inputs = vmafx_inputs_config_from(s, NODE_VERSION);
    inputs.roots = roots;
    inputs.roots_name = "VMAFX_NODE_INPUT_ROOTS";
    return node_new(
        &(NodeConfig){
            .name = p->name,
            .controller = controller,
            .cert_file = tls.cert_file,
            .key_file = tls.key_file,
            .ca_file = tls.ca_file,
            .server_name = vmafx_settings_text(s, "VMAFX_TLS_SERVER_NAME"),
            .state = p->state,
            .inputs = &inputs,
            .slots = (uint32_t)(slots ? slots : VMAFX_MIN(vmafx_cpus_allowed(), VMAFX_NODE_SLOTS_MAX)),
            .threads = (int)vmafx_settings_int(s, "VMAFX_NODE_THREADS"),
            .memory_bytes = memory ? memory : memory_default(),
            .task_memory_bytes = vmafx_settings_int(s, "VMAFX_NODE_TASK_MEMORY"),
            .keep = keep,
            .keep_bytes_max = keep_max,
            .meter = p->meter,
            .log = p->log,
            .wake = wake,
            .wake_ctx = p->service,
        },
        &p->node, reterr);
}

static VmafxErr ready(void *ctx, VmafxErrInfo *ret_missing)
{
    const char *missing = atomic_load(&((Program *)ctx)->missing);

    return missing ? vmafx_fail(ret_missing, VMAFX_ERR_UNREACHABLE, "%s", missing) : VMAFX_OK;
}

static VmafxErr listen_http(Program *p, VmafxErrInfo *reterr)
{
    const char *address = vmafx_settings_text(p->settings, "VMAFX_NODE_HTTP");
    VmafxHttpServerConfig config = { .address = address, .version = NODE_VERSION };
    VmafxErr err = vmafx_service_configure(p->service, p->settings, &config, &p->policy, reterr);

    return err || !address ? err : vmafx_service_listen(p->service, &config, &p->policy, ready, p, reterr);
}

/** The first signal drains, the second hands back; a third, or a controller that does not hear, ends it. */
static void run(Program *p)
{
    int signals = 0;
    uint64_t give_up_ns = UINT64_MAX;

    for (;;) {
        uint64_t now = vmafx_monotonic_ns();
        uint32_t wait_ms = node_turn(p->node, now);
        atomic_store(&p->missing, node_missing(p->node));
        if (node_is_drained(p->node) || now > give_up_ns)
            return;
        if (!vmafx_service_tick(p->service, wait_ms))
            continue;
        signals++;
        if (signals >= 3)
            return;
        node_drain(p->node, signals == 1);
        if (signals == 2)
            give_up_ns = vmafx_monotonic_ns() + (uint64_t)STOP_NOW_MS * 1000000u;
    }
}

int main(int argc, char **argv)
{
    Program p = { .service = vmafx_service_start(program.name, NODE_VERSION), .missing = "still starting" };
    int code = vmafx_settings_read(&program, argc, argv, &p.settings);
    VmafxErrInfo info = { 0 };

    if (code >= 0)
        return vmafx_service_stop(&p.service, code);
    p.log = vmafx_service_log(p.service);
    VmafxErr err = listen_http(&p, &info);
    if (!err) {
        start_meter(&p);
        err = make_node(&p, &info);
    }
    code = err ? vmafx_service_fail(p.service, "cannot start", err, &info) : 0;
    if (!err) {
        vmafx_service_started(p.service);
        run(&p);
    }
    vmafx_service_unlisten(p.service);
    node_free(&p.node);
    node_telemetry_free(&p.telemetry);
    vmafx_load_stop(&p.meter);
    vmafx_settings_free(&p.settings);
    return vmafx_service_stop(&p.service, code);
}
