/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Simulated nodes. A task is answered where it comes in, on the thread of its connection: chunk and end are queued
 * there and then. One thread says the heartbeats of all nodes, each in its own time.
 */

#include "fleet.h"

#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/columns.h"
#include "base/digest.h"
#include "rpc/client.h"

#define SERIES         9  /* VMAF and what it is made of, as in a usual result */
#define FRAMES         24 /* of a short clip */
#define TURN_MS        10
#define READY_WITHIN_S 60
#define MS_NS          UINT64_C(1000000)

typedef struct Fleet Fleet;

typedef struct Node {
    Fleet *fleet;
    char name[24];
    VmafxRpcChannel *channel;
    VmafxRpcClientStream *stream;
    _Atomic uint64_t heartbeat_ns; /* 0: not welcome yet; written once, by the stream's thread */
    atomic_int busy;
    uint64_t next_ns; /* the heartbeats' thread's */
    int64_t sequence;
} Node;

struct Fleet {
    int n, slots;
    uint8_t *result; /* a StoredResult; read only once the nodes run */
    size_t result_len;
    uint8_t sha256[32];
    atomic_bool stopping;
    atomic_ulong assigned, kept, fenced, resent;
    atomic_int ready, lost;
    Node nodes[NODES_MAX];
};

/* ---- a result ---- */

static const char *const series_names[SERIES] = {
    "integer_adm2",       "integer_motion2",    "integer_motion",
    "integer_vif_scale0", "integer_vif_scale1", "integer_vif_scale2",
    "integer_vif_scale3", "integer_adm_scale0", "vmaf",
};

/* Values with as many different digits as real ones have, so that they pack as those do. */
static VmafxErr pack_frames(uint8_t **ret, size_t *ret_len)
{
    static double values[SERIES][FRAMES];
    const double *columns[SERIES];

    for (int s = 0; s < SERIES; s++) {
        columns[s] = values[s];
        for (int f = 0; f < FRAMES; f++)
            values[s][f] = (s + 1) * (0.9 + 0.1 * sin(s * 37.0 + f * 1.7));
    }
    return vmafx_columns_pack(columns, SERIES, FRAMES, ret, ret_len);
}

static void digest(Fleet *fleet)
{
    char hex[VMAFX_SHA256_TEXT], byte[3] = "";

    vmafx_sha256_hex(fleet->result, fleet->result_len, hex);
    for (size_t i = 0; i < sizeof fleet->sha256; i++) {
        memcpy(byte, hex + 2 * i, 2);
        fleet->sha256[i] = (uint8_t)strtoul(byte, NULL, 16);
    }
}

static VmafxErr make_result(Fleet *fleet)
{
    Vmafx__V1__SeriesSummary series[SERIES], *series_list[SERIES];
    Vmafx__V1__InputFacts inputs[2], *input_list[2];
    Vmafx__V1__ModelFacts model = VMAFX__V1__MODEL_FACTS__INIT, *models[] = { &model };
    Vmafx__V1__Result summary = VMAFX__V1__RESULT__INIT;
    Vmafx__V1__StoredResult stored = VMAFX__V1__STORED_RESULT__INIT;
    VMAFX_AUTO(vmafx_free_p) uint8_t *frames = NULL;

    for (int s = 0; s < SERIES; s++) {
        vmafx__v1__series_summary__init(series_list[s] = &series[s]);
        series[s].name = (char *)series_names[s];
        series[s].kind =
            s == SERIES - 1 ? VMAFX__V1__SERIES_KIND__SERIES_KIND_SCORE : VMAFX__V1__SERIES_KIND__SERIES_KIND_FEATURE;
        series[s].n = FRAMES;
        series[s].mean = series[s].harmonic_mean = series[s].min = series[s].max = series[s].p1 = series[s].p5 =
            s + 0.7;
    }
    for (int i = 0; i < 2; i++) {
        vmafx__v1__input_facts__init(input_list[i] = &inputs[i]);
        inputs[i].uri = (char *)"/media/reference/a/usual/name.mp4";
        inputs[i].sha256 = (char *)"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        inputs[i].width = 640;
        inputs[i].height = 360;
        inputs[i].bit_depth = 8;
        inputs[i].frames = FRAMES;
        inputs[i].codec = (char *)"h264";
    }
    model.name = (char *)"vmaf";
    model.version = (char *)"vmaf_v0.6.1";
    model.sha256 = inputs[0].sha256;
    summary.complete = true;
    summary.frames = FRAMES;
    summary.width = 640;
    summary.height = 360;
    summary.bit_depth = 8;
    summary.series = series_list;
    summary.n_series = SERIES;
    summary.inputs = input_list;
    summary.n_inputs = 2;
    summary.models = models;
    summary.n_models = 1;
    stored.summary = &summary;

    VmafxErr err = pack_frames(&frames, &stored.frames.len);
    stored.frames.data = frames;
    if (!err)
        err = vmafx_message_pack(&stored.base, &fleet->result, &fleet->result_len);
    if (!err)
        digest(fleet);
    return err;
}

/* ---- what a node says ---- */

static void say(Node *node, Vmafx__V1__NodeMessage *message)
{
    VMAFX_AUTO(vmafx_free_p) uint8_t *data = NULL;
    size_t len;

    if (!vmafx_message_pack(&message->base, &data, &len))
        VMAFX_IGNORE(
            vmafx_rpc_client_stream_send(node->stream, data, len)); /* a lost stream is counted when it closes */
}

static void hello(Node *node)
{
    Vmafx__V1__Hello hello = VMAFX__V1__HELLO__INIT;
    Vmafx__V1__NodeMessage message = VMAFX__V1__NODE_MESSAGE__INIT;
    char *models[] = { (char *)"vmaf_v0.6.1" }, *backends[] = { (char *)"cpu" };

    hello.protocol_version = 1;
    hello.name = node->name;
    hello.version = (char *)"simulated";
    hello.slots = node->fleet->slots;
    hello.cpu_level = (char *)"c";
    hello.models = models;
    hello.n_models = 1;
    hello.backends = backends;
    hello.n_backends = 1;
    hello.memory_bytes = INT64_C(1) << 40;
    message.kind_case = VMAFX__V1__NODE_MESSAGE__KIND_HELLO;
    message.hello = &hello;
    say(node, &message);
}

static void heartbeat(Node *node)
{
    Vmafx__V1__Heartbeat heartbeat = VMAFX__V1__HEARTBEAT__INIT;
    Vmafx__V1__Load load = VMAFX__V1__LOAD__INIT;
    Vmafx__V1__NodeMessage message = VMAFX__V1__NODE_MESSAGE__INIT;

    load.cpu = 0.5;
    load.memory_used_bytes = INT64_C(8) << 30;
    load.memory_total_bytes = INT64_C(16) << 30;
    heartbeat.sequence = ++node->sequence;
    heartbeat.load = &load;
    heartbeat.slots_free = VMAFX_MAX(node->fleet->slots - node->busy, 0);
    message.kind_case = VMAFX__V1__NODE_MESSAGE__KIND_HEARTBEAT;
    message.heartbeat = &heartbeat;
    say(node, &message);
}

static void end(Node *node, Vmafx__V1__AttemptRef *attempt)
{
    Vmafx__V1__ResultChunk chunk = VMAFX__V1__RESULT_CHUNK__INIT;
    Vmafx__V1__TaskEnd task_end = VMAFX__V1__TASK_END__INIT;
    Vmafx__V1__NodeMessage message = VMAFX__V1__NODE_MESSAGE__INIT;
    Fleet *fleet = node->fleet;

    chunk.attempt = task_end.attempt = attempt;
    chunk.data = (ProtobufCBinaryData){ fleet->result_len, fleet->result };
    message.kind_case = VMAFX__V1__NODE_MESSAGE__KIND_RESULT;
    message.result = &chunk;
    say(node, &message);

    task_end.outcome = VMAFX__V1__ATTEMPT_OUTCOME__ATTEMPT_OUTCOME_SUCCEEDED;
    task_end.result_bytes = (int64_t)fleet->result_len;
    task_end.result_sha256 = (ProtobufCBinaryData){ sizeof fleet->sha256, fleet->sha256 };
    message.kind_case = VMAFX__V1__NODE_MESSAGE__KIND_END;
    message.end = &task_end;
    say(node, &message);
}

/* ---- what it is told ---- */

static void on_message(void *ctx, VmafxRpcClientStream *stream, const void *data, size_t len)
{
    Node *node = ctx;
    Fleet *fleet = node->fleet;
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *in = NULL;

    if (vmafx_message_unpack(&vmafx__v1__controller_message__descriptor, data, len, 0, &in, NULL))
        return;
    const Vmafx__V1__ControllerMessage *m = vmafx_message_get(in);
    switch (m->kind_case) {
    case VMAFX__V1__CONTROLLER_MESSAGE__KIND_WELCOME:
        node->heartbeat_ns = (uint64_t)m->welcome->heartbeat_ms * MS_NS;
        fleet->ready++;
        break;
    case VMAFX__V1__CONTROLLER_MESSAGE__KIND_ASSIGN:
        fleet->assigned++;
        node->busy++;
        end(node, m->assign->attempt);
        break;
    case VMAFX__V1__CONTROLLER_MESSAGE__KIND_END_ACK:
        if (m->end_ack->resend) {
            fleet->resent++;
            end(node, m->end_ack->attempt);
            break;
        }
        node->busy--;
        if (m->end_ack->kept)
            fleet->kept++;
        else
            fleet->fenced++;
        break;
    default:
        break;
    }
}

static void on_closed(void *ctx, VmafxRpcClientStream *stream, VmafxErr err, const char *message)
{
    Node *node = ctx;

    if (node->fleet->stopping)
        return;
    node->fleet->lost++;
    fprintf(stderr, "bench-fleet: %s has lost its stream: %s\n", node->name, message);
}

/* ---- all of them ---- */

static bool connect_node(Fleet *fleet, int i, const char *address)
{
    Node *node = &fleet->nodes[i];
    VmafxErrInfo info = { 0 };

    node->fleet = fleet;
    snprintf(node->name, sizeof node->name, "simulated-%04d", i);
    VmafxErr err = vmafx_rpc_channel_open(&(VmafxRpcChannelConfig){ .target = address }, &node->channel, &info);
    if (!err)
        err = vmafx_rpc_stream_open(node->channel, "/vmafx.v1.Fleet/Connect",
                                    &(VmafxRpcClientStreamEvents){ on_message, on_closed, node }, &node->stream, &info);
    if (err) {
        fprintf(stderr, "bench-fleet: %s cannot connect: %s\n", node->name, info.message);
        return false;
    }
    hello(node);
    return true;
}

static bool stdin_closed(int wait_ms)
{
    struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
    char waste[64];

    return poll(&in, 1, wait_ms) > 0 && read(STDIN_FILENO, waste, sizeof waste) <= 0;
}

static void heartbeats(Fleet *fleet)
{
    uint64_t now = vmafx_monotonic_ns();

    for (int i = 0; i < fleet->n; i++) {
        Node *node = &fleet->nodes[i];
        uint64_t period = node->heartbeat_ns;

        if (!period)
            continue;
        if (!node->next_ns)
            node->next_ns = now + period * (uint64_t)i / (uint64_t)fleet->n; /* not all at once */
        if (now < node->next_ns)
            continue;
        node->next_ns = now + period;
        heartbeat(node);
    }
}

static int run(Fleet *fleet, const char *address)
{
    uint64_t until = vmafx_monotonic_ns() + READY_WITHIN_S * 1000 * MS_NS;
    bool ended = false;

    for (int i = 0; i < fleet->n; i++)
        if (!connect_node(fleet, i, address))
            return 1;
    while (fleet->ready < fleet->n && !fleet->lost && vmafx_monotonic_ns() < until && !ended)
        ended = stdin_closed(1);
    if (fleet->ready < fleet->n) {
        fprintf(stderr, "bench-fleet: %d of %d nodes are welcome\n", (int)fleet->ready, fleet->n);
        return 1;
    }
    puts("ready");
    fflush(stdout);
    while (!ended) {
        heartbeats(fleet);
        ended = stdin_closed(TURN_MS);
    }
    printf("result_bytes %zu\nassigned %lu\nkept %lu\nfenced %lu\nresent %lu\nlost %d\n", fleet->result_len,
           (unsigned long)fleet->assigned, (unsigned long)fleet->kept, (unsigned long)fleet->fenced,
           (unsigned long)fleet->resent, (int)fleet->lost);
    return fleet->lost || fleet->fenced;
}

int fleet_nodes(const char *address, int n, int slots)
{
    VMAFX_AUTO(vmafx_free_p) Fleet *fleet = calloc(1, sizeof *fleet);

    if (!fleet || make_result(fleet)) {
        fprintf(stderr, "bench-fleet: cannot make a result\n");
        return 1;
    }
    fleet->n = n;
    fleet->slots = slots;
    int code = run(fleet, address);
    fleet->stopping = true;
    for (int i = 0; i < n; i++)
        if (fleet->nodes[i].stream)
            vmafx_rpc_client_stream_cancel(fleet->nodes[i].stream);
    for (int i = 0; i < n; i++) {
        if (fleet->nodes[i].stream)
            vmafx_rpc_client_stream_free(&fleet->nodes[i].stream);
        if (fleet->nodes[i].channel)
            vmafx_rpc_channel_close(&fleet->nodes[i].channel);
    }
    free(fleet->result);
    return code;
}
