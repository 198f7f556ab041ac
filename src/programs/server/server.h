/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What the parts of vmafx-server share: its limits, its slots, the runner, the inputs. main.c fills it before the first
 * call and takes it apart after the last; in between nothing of it changes but what says so itself.
 *
 *     http.c, grpc.c, stream.c   the doors: requests in, events out
 *     batch.{c,h}                some scorings of one call, a few at a time
 *     scoring.{c,h}              one scoring: slot, inputs, child, end
 *     scoring_check.{c,h}        what is refused before anything is opened; pure
 *     slots.{c,h}                who may score now, and who waits
 *     pump.{c,h}                 bytes of ScoreStream into pipes
 */
#ifndef VMAFX_PROGRAMS_SERVER_SERVER_H
#define VMAFX_PROGRAMS_SERVER_SERVER_H

#include <stdatomic.h>

#include "auth/auth.h"
#include "inputs/inputs.h"
#include "otel/api/log.h"
#include "otel/api/metrics.h"
#include "otel/api/trace.h"
#include "programs/server/slots.h"
#include "rpc/message.h"
#include "rpc/pool.h"
#include "rpc/server.h"
#include "score/runner.h"
#include "service/service.h"

#define SERVER_VERSION     "0.1.0"
#define SERVER_PAIRS_MAX   100 /* of a batch */
#define SERVER_METHODS_MAX 8
#define SERVER_ROUTES_MAX  8

typedef struct Pump Pump;

/** Set once. */
typedef struct ServerLimits {
    int threads;                 /* of the engine, for each scoring */
    int batch_at_once;           /* pairs of one call that have or want a slot */
    int64_t upload_bytes;        /* of one video: a part of a form, or a stream's */
    int64_t timeout_ms;          /* of one scoring, from its slot to its end */
    int64_t frames;              /* pairs of one scoring; 0: any number */
    int64_t pixels;              /* of one picture; 0: any number */
    int64_t address_space_bytes; /* of a child; 0: no limit */
    int64_t window_bytes;        /* of one input of a stream: what may wait here for the scorer */
    size_t events_bytes;         /* waiting to be sent on an event stream; then it is cut */
    uint32_t idle_ms;            /* a stream that has a slot and sends nothing this long is ended */
} ServerLimits;

typedef struct Server {
    VmafxService *service;
    VmafxLogger *log;
    VmafxTracer *tracer;
    VmafxHistogram *waited; /* vmafx.server.wait.duration */
    char name[256];         /* of this machine, in results */
    ServerLimits limits;
    VmafxAuthPolicy policy;
    bool encrypted_grpc;
    bool opens_paths, opens_urls;
    const char *scratch; /* folder for files without a name; NULL: TMPDIR or /var/tmp */

    VmafxRunner *runner;
    VmafxInputs *inputs;
    Slots slots;
    RpcPool openers; /* threads that open inputs: as many as there are slots */
    Pump *pump;
    _Atomic uint64_t last_tag;
    atomic_bool stopping;
} Server;

/**
 * Whose turn in the queue it is, and whose share of its places: a tenant's, else an identity's. "" where nobody can
 * have a name, so that there is nobody to be kept out.
 */
void server_who(const Server *server, const VmafxIdentity *identity, char ret[SLOTS_WHO_MAX]);
void server_who_rpc(const Server *server, const VmafxRpcPeer *peer, const char *method, char ret[SLOTS_WHO_MAX]);

/** grpc.c, stream.c, http.c: what they add to the tables; at most SERVER_METHODS_MAX, SERVER_ROUTES_MAX. */
size_t grpc_methods(Server *server, VmafxRpcMethod *ret);
VmafxRpcMethod stream_method(Server *server);
size_t http_routes(Server *server, VmafxHttpRoute *ret);

/** info.c: ListModels and GetCapabilities. Everything is borrowed from the runner and static. */
typedef struct ServerInfo {
    Vmafx__V1__ListModelsResponse models;
    Vmafx__V1__GetCapabilitiesResponse capabilities;
    const char *encoders[VMAFX_ENCODERS_MAX];
} ServerInfo;
void info_fill(Server *server, ServerInfo *ret);
#endif
