/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A node: holds a stream to its controller, takes tasks, has them scored, spools their ends until the controller has
 * them. What to do with an attempt is decided by fleet/holdings.h; this is the hands. One loop owns everything; other
 * threads (the stream's, the runner's, those that open inputs) speak to it through the inbox.
 */
#ifndef VMAFX_PROGRAMS_NODE_NODE_H
#define VMAFX_PROGRAMS_NODE_NODE_H

#include <stdatomic.h>

#include "fleet/holdings.h"
#include "inputs/inputs.h"
#include "load/load.h"
#include "otel/api/log.h"
#include "otel/api/trace.h"
#include "programs/node/inbox.h"
#include "programs/node/keep.h"
#include "programs/node/spool.h"
#include "rpc/client.h"
#include "score/runner.h"

#define NODE_VERSION "0.1.0"

/** An attempt while its processes run. */
typedef struct Task {
    struct Task *next;
    struct Node *node;
    uint64_t tag; /* names it to other threads */
    VmafxAttemptRef ref;
    VmafxMessage *assign; /* keeps the request */
    const Vmafx__V1__JobSpec *spec;
    char traceparent[64], tracestate[VMAFX_TRACESTATE_TEXT_MAX];
    int64_t timeout_ms;
    uint64_t deadline_ns;  /* monotonic; 0 until it runs */
    bool opening;          /* a thread of its own opens the inputs */
    bool running;          /* the runner has it */
    atomic_bool stop;      /* wanted while it was opening; that thread looks at it */
    VmafxSpanContext span; /* the attempt's, made by the controller */
    VmafxKeptFile kept;    /* of what is encoded; set by the thread that opens, before it says that it has */
    bool untried;          /* it was begun before anybody knew which encoders work here */
} Task;

typedef struct NodeConfig {
    const char *name, *controller;
    const char *cert_file, *key_file, *ca_file, *server_name;
    const char *state;               /* folder; the spool lies below it */
    const VmafxInputsConfig *inputs; /* for node_new only */
    uint32_t slots;
    int threads;               /* of the engine, for each task */
    int64_t memory_bytes;      /* for all tasks together */
    int64_t task_memory_bytes; /* RLIMIT_AS of a child; 0: none */
    const char *keep;          /* folder for encoded videos; NULL: none are kept */
    int64_t keep_bytes_max;    /* of each */
    VmafxLoadMeter *meter;     /* NULL: heartbeats say nothing of the load */
    VmafxLogger *log;
    void (*wake)(void *ctx);
    void *wake_ctx;
} NodeConfig;

typedef struct Node {
    NodeConfig config;
    VmafxTracer *tracer;
    Inbox inbox;
    Spool *spool;
    VmafxInputs *inputs;
    VmafxRunner *runner;      /* NULL until the scorer has been ready once; before that we connect to nobody */
    uint64_t runner_at;       /* while there is none: when to start it again */
    unsigned runner_failures; /* in a row */

    VmafxHolding items[VMAFX_HOLDINGS_MAX];
    VmafxHoldings holdings;
    Task *tasks;
    atomic_int n_opening; /* threads that open inputs, or put a file in place, and will speak to the inbox */
    uint64_t last_tag;

    VmafxRpcChannel *channel;
    VmafxRpcClientStream *stream;
    uint64_t stream_tag; /* of the stream that stands; messages of earlier ones are passed over */
    bool welcomed;
    bool encoders_owed; /* the hello could not say which encoders work */
    unsigned failures;  /* connections in a row that came to nothing */
    bool complained;    /* said that the controller is away */
    uint64_t connect_at, heartbeat_at, heartbeat_ns, seen_ns;
    int64_t sequence;
    unsigned silent; /* sources of load that hang, as was last logged */

    /* The end that is being sent: large results go out as fast as they are taken. */
    struct {
        bool active;
        VmafxAttemptRef ref;
        SpoolEntry entry;
        size_t offset;
        VmafxAttemptRef waiting[VMAFX_HOLDINGS_MAX];
        VmafxOutcome outcomes[VMAFX_HOLDINGS_MAX];
        size_t first, n;
    } sending;
} Node;

/**
 * Large; on the heap. Texts of the config are borrowed. A scorer that dies or is not ready in time is started again by
 * later turns; only one that cannot be started at all is an error.
 */
VMAFX_CHECK VmafxErr node_new(const NodeConfig *config, Node **ret, VmafxErrInfo *reterr);
void node_free(Node **node);

/** Everything there is to do now. @return milliseconds until the next thing, unless it is woken before */
uint32_t node_turn(Node *node, uint64_t now);

/** finish: what it has is finished first; else handed back. */
void node_drain(Node *node, bool finish);
/** Nothing left, and the controller knows. */
bool node_is_drained(const Node *node);
/** For /readyz: what is missing, a sentence; NULL when tasks can come. Static text. */
const char *node_missing(const Node *node);

/* ---- Between the files of this program ---- */

/** connection.c */
void connection_turn(Node *node, uint64_t now);
void connection_message(Node *node, const InboxItem *item, uint64_t now);
void connection_closed(Node *node, const InboxItem *item, uint64_t now);
void connection_send(Node *node, Vmafx__V1__NodeMessage *message);
void connection_send_end(Node *node, const VmafxAttemptRef *ref, VmafxOutcome outcome);
void connection_draining(Node *node, bool finish);
void connection_close(Node *node);

/** tasks.c */
Task *task_new(Node *node, const Vmafx__V1__Assign *assign, VmafxMessage **message);
Task *task_find(Node *node, uint64_t tag);
Task *task_of(Node *node, const VmafxAttemptRef *ref);
void task_start(Task *task, uint64_t now);
void task_stop(Task *task);
void task_opened(Task *task, InboxItem *item, uint64_t now);
void task_ended(Task *task, InboxItem *item);
void task_drop(Node *node, const VmafxAttemptRef *ref);
void task_free(Task *task); /* nothing of it may be under way */

Vmafx__V1__AttemptRef ref_message(const VmafxAttemptRef *ref, char text[VMAFX_JOB_ID_TEXT]);
bool ref_from(const Vmafx__V1__AttemptRef *message, VmafxAttemptRef *ret);
#endif
