/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * vmafx-controller: accepts jobs, keeps them, leases them to nodes, keeps results. This file reads the settings, puts
 * the parts together and turns the loop; what they do is in their own files.
 */

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "auth/auth.h"
#include "base/base.h"
#include "base/clock.h"
#include "base/folders.h"
#include "base/settings.h"
#include "fleet/sweep.h"
#include "programs/controller/disk.h"
#include "programs/controller/jobs.h"
#include "programs/controller/nodes.h"
#include "programs/controller/rest.h"
#include "programs/controller/result.h"
#include "programs/controller/telemetry.h"
#include "programs/controller/uploads_rpc.h"
#include "programs/controller/watch.h"
#include "rpc/descriptors.h"
#include "service/service.h"
#include "signals/signals.h"

#define VERSION         "0.1.0"
#define TICK_MS         250
#define STALL_NS        ((uint64_t)2000 * 1000000) /* a tick that comes this late: nobody could renew meanwhile */
#define EXPIRE_LIMIT    1000
#define RETAIN_NS       ((uint64_t)60 * 1000000000)
#define RETAIN_LIMIT    1000
#define STOP_GRACE_MS   2000
#define METHODS_MAX     32
#define UPLOAD_GRACE_US ((int64_t)3600 * 1000000) /* what was used this recently stays, whatever is needed */

static const VmafxSetting settings_table[] = {
    { "VMAFX_CONTROLLER_GRPC", "grpc", "ADDRESS", VMAFX_SETTING_TEXT, "127.0.0.1:7801", 0, 0, false,
      "where clients and nodes connect" },
    { "VMAFX_CONTROLLER_HTTP", "http", "ADDRESS", VMAFX_SETTING_TEXT, "127.0.0.1:7800", 0, 0, false,
      "REST, probes and metrics; empty: none" },
    { "VMAFX_CONTROLLER_STORE", "store", "FILE", VMAFX_SETTING_TEXT, NULL, 0, 0, false,
      "the database of jobs and results; $XDG_STATE_HOME/vmafx/jobs.db or ~/.local/state/vmafx/jobs.db when not set" },
    { "VMAFX_CONTROLLER_DURABILITY", "durability", "full|normal", VMAFX_SETTING_TEXT, "full", 0, 0, false,
      "full: what was accepted survives a loss of power. normal: only a loss of the process; a loss of power may take "
      "back the last seconds" },
    { "VMAFX_CONTROLLER_NAME", "name", "NAME", VMAFX_SETTING_TEXT, NULL, 0, 0, false,
      "what nodes call it; the host's name when not set" },
    { "VMAFX_LEASE", "lease", "TIME", VMAFX_SETTING_DURATION, "30s", 1000, 3600000, false,
      "a node that is silent this long has lost its tasks" },
    { "VMAFX_HEARTBEAT", "heartbeat", "TIME", VMAFX_SETTING_DURATION, "10s", 200, 600000, false,
      "how often nodes report; at most a third of the lease" },
    { "VMAFX_BACKOFF", "backoff", "TIME", VMAFX_SETTING_DURATION, "1s", 0, 3600000, false,
      "before the second attempt; doubles with each" },
    { "VMAFX_BACKOFF_MAX", "backoff-max", "TIME", VMAFX_SETTING_DURATION, "60s", 0, 86400000, false,
      "the longest of these" },
    { "VMAFX_JOB_TIMEOUT", "job-timeout", "TIME", VMAFX_SETTING_DURATION, "24h", 1000, 604800000, false,
      "of an attempt, for jobs that name none" },
    { "VMAFX_JOB_ATTEMPTS", "job-attempts", "N", VMAFX_SETTING_INT, "3", 1, 20, false,
      "attempts, for jobs that name no limit" },
    { "VMAFX_QUEUE_MAX", "queue-max", "N", VMAFX_SETTING_INT, "1000000", 1, 100000000, false,
      "jobs that may wait; then submitting is refused" },
    { "VMAFX_RETAIN_AGE", "retain-age", "TIME", VMAFX_SETTING_DURATION, "90d", 0, 0, false,
      "ended jobs are deleted when older; 0: never" },
    { "VMAFX_RETAIN_COUNT", "retain-count", "N", VMAFX_SETTING_INT, "0", 0, 0, false,
      "at most that many ended jobs are kept; 0: any number" },
    { "VMAFX_UPLOADS", "uploads", "DIR", VMAFX_SETTING_TEXT, NULL, 0, 0, false,
      "where uploaded videos are kept; uploads/ beside the store when not set" },
    { "VMAFX_UPLOAD_BYTES_MAX", "upload-bytes-max", "SIZE", VMAFX_SETTING_BYTES, "8GiB", 1, 1125899906842624, false,
      "the largest upload that is taken" },
    { "VMAFX_UPLOADS_BYTES_MAX", "uploads-bytes-max", "SIZE", VMAFX_SETTING_BYTES, "64GiB", 0, 0, false,
      "of all uploads; the least recently used goes first, none that a job needs which has not ended; 0: none are "
      "taken" },
    { "VMAFX_UPLOADS_AGE", "uploads-age", "TIME", VMAFX_SETTING_DURATION, "24h", 3600000, 315360000000, false,
      "uploads are deleted this long after their last use" },
    VMAFX_SERVICE_LOG_SETTINGS,
    VMAFX_SERVICE_TLS_SETTINGS,
    VMAFX_SERVICE_HTTP_SETTINGS,
};

static const VmafxProgramInfo program = {
    .name = "vmafx-controller",
    .version = VERSION,
    .summary = "accepts jobs, keeps them, leases them to nodes, keeps results",
    .examples = "  # on this machine only\n"
                "  vmafx-controller --store /var/lib/vmafx/jobs.db\n"
                "  # for a fleet\n"
                "  vmafx-controller --grpc 0.0.0.0:7801 --tls-cert server.crt --tls-key server.key --tls-ca ca.crt\n",
    .settings = settings_table,
    .n_settings = VMAFX_LEN(settings_table),
};

typedef struct Controller {
    VmafxService *service;
    const VmafxLogger *log;
    VmafxSettings *settings;
    VmafxAuthPolicy policy;
    char name[256];

    VmafxStore *store;
    JobTelemetry *telemetry;
    StoreDisk *disk;
    WatchHub *hub;
    NodeTable *nodes;
    Api api; /* what both doors ask */
    JobsApi jobs;
    WatchRpc watch;
    ResultRpc results;
    char uploads_folder[4200];
    Uploads *uploads; /* NULL: none are taken */
    UploadsRpc uploads_rpc;
    Rest rest;
    VmafxRpcServer *rpc;
    VmafxRpcMethod methods[METHODS_MAX];
    atomic_bool stopping;

    /* the loop's */
    VmafxFleetRules rules;
    pthread_mutex_t sweep_lock; /* covers sweep: answers come on the store's thread */
    VmafxSweep sweep;
    int64_t grace_asked;
    uint64_t last_retain;
    atomic_bool sweeping, retaining;
    VmafxStoreOp sweep_op, retain_op;
} Controller;

/* ---- Who may what ---- */

static VmafxAuthPeer peer_of(const VmafxRpcPeer *peer, bool encrypted)
{
    return (VmafxAuthPeer){
        .loopback = peer->loopback,
        .encrypted = encrypted,
        .authenticated = peer->authenticated,
        .names = peer->names,
        .n_names = peer->n_names,
    };
}

static bool is_encrypted(const Controller *c)
{
    return vmafx_settings_text(c->settings, "VMAFX_TLS_CERT") != NULL;
}

static VmafxErr authorize(void *ctx, const VmafxRpcPeer *peer, const char *path, VmafxErrInfo *reterr)
{
    Controller *c = ctx;
    VmafxAuthPeer facts = peer_of(peer, is_encrypted(c));
    VmafxIdentity identity = { 0 };
    VmafxErr err = vmafx_auth_decide(&c->policy, &facts, path, &identity, reterr);

    if (err)
        vmafx_service_audit(c->service, &identity, peer->address, "call", path, "denied");
    return err;
}

static VmafxErr allow_node(void *ctx, const VmafxRpcPeer *peer, const char *node, VmafxErrInfo *reterr)
{
    Controller *c = ctx;
    VmafxAuthPeer facts = peer_of(peer, is_encrypted(c));
    VmafxIdentity identity;
    VmafxErr err = vmafx_auth_decide(&c->policy, &facts, "/vmafx.v1.Fleet/Connect", &identity, reterr);

    return err ? err : vmafx_auth_node(&identity, node, reterr);
}

static void identity_of(void *ctx, const VmafxRpcPeer *peer, VmafxIdentity *ret)
{
    Controller *c = ctx;
    VmafxAuthPeer facts = peer_of(peer, is_encrypted(c));

    VMAFX_IGNORE(vmafx_auth_decide(&c->policy, &facts, "/vmafx.v1.Jobs/GetJob", ret, NULL)); /* who, not whether */
}

static void audit(void *ctx, const Caller *caller, const char *action, const char *subject)
{
    Controller *c = ctx;

    vmafx_service_audit(c->service, &caller->who, caller->address, action, subject, "done");
}

/* ---- Parts ---- */

static void on_events(void *ctx, const VmafxEvent *events, const VmafxJob *const *jobs, size_t n)
{
    Controller *c = ctx;

    job_telemetry_events(c->telemetry, events, jobs, n);
    if (c->hub)
        watch_hub_events(c->hub, events, jobs, n);
    if (c->nodes)
        node_table_events(c->nodes, events, jobs, n);
}

static void on_set_aside(void *ctx, const VmafxJobId *job, const char *why)
{
    Controller *c = ctx;
    char id[VMAFX_JOB_ID_TEXT];

    vmafx_job_id_text(job, id);
    vmafx_log(c->log, VMAFX_ERROR, "a job's row is damaged and was set aside: the job is lost",
              VMAFX_ATTR_STR(VMAFX_KEY_JOB_ID, id), VMAFX_ATTR_STR(VMAFX_KEY_EXCEPTION_MESSAGE, why));
}

/** VMAFX_UPLOADS, or uploads/ beside the store. */
static VmafxErr uploads_folder(Controller *c, const char *store, VmafxErrInfo *reterr)
{
    const char *said = vmafx_settings_text(c->settings, "VMAFX_UPLOADS");
    const char *file = strncmp(store, "sqlite:", 7) ? store : store + 7;
    const char *slash = strrchr(file, '/');
    int n = said ? snprintf(c->uploads_folder, sizeof c->uploads_folder, "%s", said)
                 : snprintf(c->uploads_folder, sizeof c->uploads_folder, "%.*suploads",
                            slash ? (int)(slash + 1 - file) : 0, file);

    return (size_t)n < sizeof c->uploads_folder
               ? VMAFX_OK
               : vmafx_fail(reterr, VMAFX_ERR_LIMIT, "the path of the folder of uploads is too long");
}

static VmafxErr open_uploads(Controller *c, VmafxErrInfo *reterr)
{
    int64_t all = vmafx_settings_int(c->settings, "VMAFX_UPLOADS_BYTES_MAX");

    if (!all)
        return VMAFX_OK;
    return uploads_open(
        &(UploadsConfig){ .folder = c->uploads_folder,
                          .bytes_max = VMAFX_MIN(vmafx_settings_int(c->settings, "VMAFX_UPLOAD_BYTES_MAX"), all),
                          .all_bytes_max = all,
                          .age_us = vmafx_settings_int(c->settings, "VMAFX_UPLOADS_AGE") * 1000,
                          .grace_us = UPLOAD_GRACE_US,
                          .store = c->store,
                          .log = c->log },
        &c->uploads, reterr);
}

/** With its folder, for a first start with defaults. */
static VmafxErr default_store(char *ret, size_t size, VmafxErrInfo *reterr)
{
    if (vmafx_state_path("", ret, size))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "where to keep jobs? --store FILE says it, there is no HOME");
    VmafxErr err = vmafx_make_folders(ret, 0700, reterr);
    return err ? err : vmafx_state_path("jobs.db", ret, size);
}

static VmafxErr open_store(Controller *c, VmafxErrInfo *reterr)
{
    const char *path = vmafx_settings_text(c->settings, "VMAFX_CONTROLLER_STORE");
    const char *durability = vmafx_settings_text(c->settings, "VMAFX_CONTROLLER_DURABILITY");
    char found[4096];
    VmafxErr err = path ? VMAFX_OK : default_store(found, sizeof found, reterr);

    if (!err)
        err = uploads_folder(c, path ? path : found, reterr);
    if (err)
        return err;
    c->disk = store_disk_new(path ? path : found);
    c->rules = (VmafxFleetRules){ .lease_us = vmafx_settings_int(c->settings, "VMAFX_LEASE") * 1000,
                                  .backoff_us = vmafx_settings_int(c->settings, "VMAFX_BACKOFF") * 1000,
                                  .backoff_max_us = vmafx_settings_int(c->settings, "VMAFX_BACKOFF_MAX") * 1000 };
    if (!durability || (strcmp(durability, "full") != 0 && strcmp(durability, "normal") != 0))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "--durability is full or normal, not '%s'",
                          durability ? durability : "");
    return vmafx_store_open(
        &(VmafxStoreConfig){
            .url = path ? path : found,
            .durability = strcmp(durability, "normal") ? VMAFX_DURABILITY_FULL : VMAFX_DURABILITY_NORMAL,
            .rules = c->rules,
            .queued_max = (uint64_t)vmafx_settings_int(c->settings, "VMAFX_QUEUE_MAX"),
            .on_events = on_events,
            .on_events_ctx = c,
            .on_set_aside = on_set_aside,
            .on_set_aside_ctx = c,
        },
        &c->store, reterr);
}

static bool progress_of(void *ctx, const VmafxJobId *id, Vmafx__V1__Progress *ret)
{
    return watch_hub_progress_get(ctx, id, ret);
}

static VmafxErr make_parts(Controller *c, VmafxErrInfo *reterr)
{
    int64_t lease = vmafx_settings_int(c->settings, "VMAFX_LEASE");
    int64_t heartbeat = vmafx_settings_int(c->settings, "VMAFX_HEARTBEAT");
    VmafxErr err = open_store(c, reterr);

    if (!err)
        err = open_uploads(c, reterr);
    if (err)
        return err;
    c->hub = watch_hub_new(c->store);
    c->nodes = node_table_new(&(NodeTableConfig){
        .store = c->store,
        .hub = c->hub,
        .log = c->log,
        .controller = c->name,
        .lease_ms = lease,
        .heartbeat_ms = VMAFX_MIN(heartbeat, lease / 3),
        .allow = allow_node,
        .allow_ctx = c,
    });
    if (!c->hub || !c->nodes)
        return VMAFX_ERR_NOMEM;
    c->telemetry = job_telemetry_new(
        c->store, &(FleetView){ .counts = node_table_counts, .loads = node_table_loads, .ctx = c->nodes });
    node_table_set_telemetry(c->nodes, c->telemetry);
    c->jobs = (JobsApi){
        .store = c->store,
        .uploads = c->uploads,
        .timeout_us = vmafx_settings_int(c->settings, "VMAFX_JOB_TIMEOUT") * 1000,
        .attempt_limit = (int32_t)vmafx_settings_int(c->settings, "VMAFX_JOB_ATTEMPTS"),
        .progress = progress_of,
        .progress_ctx = c->hub,
        .nodes = node_table_counts,
        .nodes_ctx = c->nodes,
    };
    c->api = (Api){ .identify = identity_of, .audit = audit, .ctx = c };
    jobs_methods(&c->jobs, &c->api);
    node_table_api(c->nodes, &c->api);
    c->watch = (WatchRpc){ c->hub, &c->api };
    c->results = (ResultRpc){ .store = c->store, .api = &c->api };
    c->uploads_rpc = (UploadsRpc){ .uploads = c->uploads, .store = c->store, .allow = allow_node, .allow_ctx = c };
    uploads_rpc_init(&c->uploads_rpc, &c->api);
    c->rest = (Rest){ .api = &c->api,
                      .store = c->store,
                      .hub = c->hub,
                      .uploads = c->uploads,
                      .upload_max_bytes = (uint64_t)vmafx_settings_int(c->settings, "VMAFX_UPLOAD_BYTES_MAX") };
    return VMAFX_OK;
}

static VmafxErr start_rpc(Controller *c, VmafxErrInfo *reterr)
{
    const char *address = vmafx_settings_text(c->settings, "VMAFX_CONTROLLER_GRPC");
    VmafxServiceTls tls = vmafx_service_tls(c->service, c->settings);
    size_t n = api_rpc_methods(&c->api, c->methods, METHODS_MAX - 3 - UPLOADS_RPC_METHODS);
    VmafxErr err;

    if (!address)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "--grpc is empty: nobody could submit a job");
    err = vmafx_service_may_listen(c->service, &c->policy, address, is_encrypted(c), reterr);
    if (err)
        return err;
    c->methods[n++] = watch_rpc_method(&c->watch);
    c->methods[n++] = result_rpc_method(&c->results);
    c->methods[n++] = connect_method(c->nodes);
    uploads_rpc_methods(&c->uploads_rpc, &c->methods[n]);
    n += UPLOADS_RPC_METHODS;
    return vmafx_rpc_server_start(
        &(VmafxRpcServerConfig){
            .address = address,
            .cert_file = tls.cert_file,
            .key_file = tls.key_file,
            .ca_file = tls.ca_file,
            .methods = c->methods,
            .n_methods = n,
            .authorize = authorize,
            .authorize_ctx = c,
            .descriptor_set = vmafx_descriptors,
            .descriptor_set_len = vmafx_descriptors_len,
            .threads_max = 128,
            .message_max_bytes = (size_t)16 << 20,
        },
        &c->rpc, reterr);
}

static VmafxErr ready(void *ctx, VmafxErrInfo *ret_missing)
{
    Controller *c = ctx;

    if (atomic_load(&c->stopping))
        return vmafx_fail(ret_missing, VMAFX_ERR_STOPPED, "stopping");
    return vmafx_store_ready(c->store, ret_missing);
}

/* ---- The loop ---- */

/** One operation at a time: GRACE, or EXPIRE. */
static void sweep_done(VmafxStoreOp *op)
{
    Controller *c = op->ctx;

    pthread_mutex_lock(&c->sweep_lock);
    if (op->kind == VMAFX_STORE_GRACE)
        vmafx_sweep_answered(&c->sweep, c->grace_asked, !op->err);
    else if (op->err)
        vmafx_sweep_store_failed(&c->sweep);
    pthread_mutex_unlock(&c->sweep_lock);
    vmafx_store_op_done(op);
    atomic_store(&c->sweeping, false);
}

static void sweep(Controller *c, int64_t now_us)
{
    if (atomic_exchange(&c->sweeping, true))
        return;
    pthread_mutex_lock(&c->sweep_lock);
    VmafxSweepDo what = vmafx_sweep_tick(&c->sweep, &c->rules, now_us);
    if (what == VMAFX_SWEEP_GRACE)
        c->grace_asked = now_us;
    pthread_mutex_unlock(&c->sweep_lock);
    if (what == VMAFX_SWEEP_NOTHING) {
        atomic_store(&c->sweeping, false);
        return;
    }
    c->sweep_op = (VmafxStoreOp){ .kind = what == VMAFX_SWEEP_GRACE ? VMAFX_STORE_GRACE : VMAFX_STORE_EXPIRE,
                                  .limit = EXPIRE_LIMIT,
                                  .done = sweep_done,
                                  .ctx = c };
    vmafx_store_submit_op(c->store, &c->sweep_op);
}

static void retain_done(VmafxStoreOp *op)
{
    Controller *c = op->ctx;

    vmafx_store_op_done(op);
    atomic_store(&c->retaining, false);
}

static void retain(Controller *c, uint64_t now)
{
    int64_t age = vmafx_settings_int(c->settings, "VMAFX_RETAIN_AGE") * 1000;
    int64_t count = vmafx_settings_int(c->settings, "VMAFX_RETAIN_COUNT");

    if ((!age && !count) || now - c->last_retain < RETAIN_NS || atomic_exchange(&c->retaining, true))
        return;
    c->last_retain = now;
    c->retain_op = (VmafxStoreOp){ .kind = VMAFX_STORE_RETAIN,
                                   .age_us = age,
                                   .count = (uint64_t)count,
                                   .limit = RETAIN_LIMIT,
                                   .done = retain_done,
                                   .ctx = c };
    vmafx_store_submit_op(c->store, &c->retain_op);
}

static void turn(Controller *c)
{
    uint64_t now = vmafx_monotonic_ns();
    int64_t step_us;

    if (vmafx_store_clock_jumped(c->store, &step_us))
        vmafx_log(c->log, VMAFX_WARN, "the machine's clock was set; no lease ends for one term");
    sweep(c, (int64_t)(now / 1000));
    retain(c, now);
    node_table_tick(c->nodes);
}

static void run(Controller *c)
{
    uint32_t tick_ms = (uint32_t)VMAFX_MIN(TICK_MS, c->rules.lease_us / 8000); /* a third of a lease late is a stall */

    while (!vmafx_service_tick(c->service, tick_ms))
        turn(c);
}

static void stop(Controller *c)
{
    atomic_store(&c->stopping, true);
    if (c->nodes)
        node_table_stop(c->nodes);
    if (c->hub)
        watch_hub_stop(c->hub);
    vmafx_service_unlisten(c->service);
    if (c->rpc)
        vmafx_rpc_server_stop(&c->rpc, STOP_GRACE_MS);
    uploads_rpc_done(&c->uploads_rpc);
    result_rpc_done(&c->results);
    uploads_close(&c->uploads); /* it asks the store */
    if (c->telemetry)
        vmafx_service_flush(c->service);
    job_telemetry_quiet(c->telemetry);
    store_disk_free(&c->disk);
    vmafx_store_close(&c->store); /* what waited is carried out, and told of */
    job_telemetry_free(&c->telemetry);
    node_table_free(&c->nodes);
    watch_hub_free(&c->hub);
    vmafx_settings_free(&c->settings);
}

static int start(Controller *c)
{
    VmafxErrInfo info = { 0 };
    const char *http = vmafx_settings_text(c->settings, "VMAFX_CONTROLLER_HTTP");
    const char *name = vmafx_settings_text(c->settings, "VMAFX_CONTROLLER_NAME");
    VmafxErr err;

    if (name)
        snprintf(c->name, sizeof c->name, "%s", name);
    else if (gethostname(c->name, sizeof c->name - 1))
        snprintf(c->name, sizeof c->name, "controller");
    VmafxHttpServerConfig http_config = { .address = http, .version = VERSION };

    err = vmafx_service_configure(c->service, c->settings, &http_config, &c->policy, &info);
    if (!err)
        err = make_parts(c, &info);
    if (!err && http) {
        http_config.routes = rest_routes(&c->rest, &http_config.n_routes);
        if (c->uploads) { /* an upload lies there already while it comes, and is kept without a copy */
            http_config.upload_folder = c->uploads_folder;
            http_config.uploads_max_bytes = (uint64_t)vmafx_settings_int(c->settings, "VMAFX_UPLOADS_BYTES_MAX");
        }
        err = vmafx_service_listen(c->service, &http_config, &c->policy, ready, c, &info);
    }
    if (!err)
        err = start_rpc(c, &info);
    if (err)
        return vmafx_service_fail(c->service, "cannot start", err, &info);
    vmafx_service_started(c->service);
    vmafx_log(c->log, VMAFX_INFO, "ready",
              VMAFX_ATTR_STR(VMAFX_KEY_SERVER_ADDRESS, vmafx_settings_text(c->settings, "VMAFX_CONTROLLER_GRPC")),
              VMAFX_ATTR_INT(VMAFX_KEY_SERVER_PORT, vmafx_rpc_server_port(c->rpc)));
    if (http)
        vmafx_log(c->log, VMAFX_INFO, "HTTP ready", VMAFX_ATTR_STR(VMAFX_KEY_SERVER_ADDRESS, http),
                  VMAFX_ATTR_INT(VMAFX_KEY_SERVER_PORT, vmafx_service_http_port(c->service)));
    return 0;
}

int main(int argc, char **argv)
{
    Controller c = { .service = vmafx_service_start(program.name, VERSION), .sweep_lock = PTHREAD_MUTEX_INITIALIZER };
    int code = vmafx_settings_read(&program, argc, argv, &c.settings);

    if (code < 0) {
        c.log = vmafx_service_log(c.service);
        code = start(&c);
        if (!code)
            run(&c);
        stop(&c);
    }
    return vmafx_service_stop(&c.service, code);
}
