/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The nodes that hold a stream to this controller, and the tasks they are given: the service Fleet.
 * Jobs and leases are not here; those live in the store. What is here is lost with the process, and comes back with the
 * nodes' next Hello.
 */
#ifndef VMAFX_PROGRAMS_CONTROLLER_NODES_H
#define VMAFX_PROGRAMS_CONTROLLER_NODES_H

#include "otel/api/log.h"
#include "programs/controller/api.h"
#include "programs/controller/telemetry.h"
#include "programs/controller/watch.h"
#include "rpc/server.h"
#include "store/store.h"

typedef struct NodeTable NodeTable;

typedef struct NodeTableConfig {
    VmafxStore *store;
    JobTelemetry *telemetry; /* may be NULL */
    WatchHub *hub;
    const VmafxLogger *log;
    const char *controller; /* our name, for Welcome */
    int64_t lease_ms, heartbeat_ms;
    /** May this peer speak for this node? NULL: any may. */
    VmafxErr (*allow)(void *ctx, const VmafxRpcPeer *peer, const char *node, VmafxErrInfo *reterr);
    void *allow_ctx;
    size_t results_bytes_max; /* results that are not on disk yet, of all nodes; 0: partials.h says */
    const Api *api;           /* for the audit; set by node_table_api */
} NodeTableConfig;

/** Texts are borrowed while it lives. NULL on no memory. */
NodeTable *node_table_new(const NodeTableConfig *config);
/** Before the server starts: the two look at each other. */
void node_table_set_telemetry(NodeTable *table, JobTelemetry *telemetry);
/** After the server has stopped and the store has carried out what waited. */
void node_table_free(NodeTable **table);

/** Adds what people ask about nodes to the table. */
void node_table_api(NodeTable *table, Api *api);
/** Fleet.Connect */
VmafxRpcMethod connect_method(NodeTable *table);

/** Events of one group, on the store's thread: new work is shared out, what was cancelled is told to its node. */
void node_table_events(NodeTable *table, const VmafxEvent *events, const VmafxJob *const *jobs, size_t n);

/** A few times a second: asks again for jobs whose backoff is over, forgets nodes that are long gone. */
void node_table_tick(NodeTable *table);

/** For the gauges. Any thread. */
void node_table_counts(void *table, FleetCounts *ret);

/** What nodes said of themselves; at most max of those that are there. Any thread. */
size_t node_table_loads(void *table, NodeLoad *ret, size_t max);

/** The program is stopping: no more tasks are given out, streams end. Nodes carry on with what they have. */
void node_table_stop(NodeTable *table);
#endif
