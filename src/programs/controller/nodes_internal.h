/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The table of nodes as its parts see it: nodes.c shares out work, connect*.c talk with a node. */
#ifndef VMAFX_PROGRAMS_CONTROLLER_NODES_INTERNAL_H
#define VMAFX_PROGRAMS_CONTROLLER_NODES_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "fleet/assign.h"
#include "programs/controller/nodes.h"
#include "programs/controller/partials.h"

#define NODE_MODELS_MAX   256
#define NODE_ENCODERS_MAX 64
#define NODE_GPUS_MAX     NODE_LOAD_GPUS_MAX
#define NODE_BACKENDS_MAX 8
#define NODE_GPU_ID_MAX   64 /* with its zero; longer ones are cut */

/** A device as a node's last heartbeat has it; within the ranges of fleet.proto, whatever was said. */
typedef struct NodeGpu {
    char id[NODE_GPU_ID_MAX], vendor[16], model[64], pci[16];
    int32_t index, frequency_mhz, frequency_max_mhz;
    double utilization, encoder, decoder; /* -1: not known */
    int64_t memory_used, memory_total;    /* total 0: not known */
} NodeGpu;

typedef struct NodeProcesses {
    double cpu;
    int64_t memory;
    int32_t n;
} NodeProcesses;

/** An attempt that a node works on, as far as this controller knows. */
typedef struct Held {
    VmafxAttemptRef ref;
    int32_t memory_mib;
    bool ending;    /* its end is on its way to the disk */
    bool ask_again; /* the store or our memory could not take it: the node is asked to send it again at the next tick */
    unsigned damaged; /* how often its result came damaged */
    Partial partial;
} Held;

/** A node's stream. Counted: the stream, operations under way and the table hold it. */
typedef struct Session {
    struct NodeTable *table;
    atomic_int refs;
    VmafxRpcStream *stream;

    /* Set by Hello, then fixed. */
    char name[VMAFX_NODE_NAME_MAX];
    char *version, *cpu_level, *address;
    char *models[NODE_MODELS_MAX], *encoders[NODE_ENCODERS_MAX], *backends[NODE_BACKENDS_MAX];
    size_t n_models, n_backends;
    uint32_t slots;
    int64_t memory_mib;
    VmafxWall connected;
    bool greeted;             /* Hello was said; the stream's own */
    VmafxAttemptRef *missing; /* the store's, unknown to the node at hello; the stream's own */
    size_t n_missing;

    /* Under the table's lock. */
    size_t n_encoders;   /* set once, when the names are there: by Hello, or later */
    bool encoders_later; /* NodeEncoders is to come */
    bool listed;         /* in the table */
    bool ready;          /* welcomed */
    bool gone;           /* the stream is closed; stays listed for a while as LOST */
    bool draining;
    uint32_t slots_free, asked;
    uint64_t starved; /* the generation in which the store had nothing for it; 0: none */
    double cpu, cpus;
    int64_t memory_used, memory_total;
    NodeProcesses own, scorers;
    NodeGpu gpus[NODE_GPUS_MAX];
    size_t n_gpus;
    uint64_t seen_ns; /* monotonic */
    VmafxWall seen;
    Held *held;
    size_t n_held, held_room;
    int64_t held_memory_mib;
    size_t partial_bytes; /* of results that are not whole */
    size_t under_way;     /* bytes of what it has said that the store has not done yet */
} Session;

/** A pass through the waiting jobs; the ticking thread's own. */
typedef struct ObstaclePass {
    uint64_t next_ns;  /* monotonic: when the next one begins */
    VmafxJobId before; /* how far this one has come; zero: it has not begun */
    uint64_t found[VMAFX_OBSTACLES];
} ObstaclePass;

struct NodeTable {
    NodeTableConfig config;
    atomic_bool stopping;
    ObstaclePass pass;

    pthread_mutex_t lock; /* covers everything below; nothing waits under it */
    Session *sessions[VMAFX_FLEET_NODES_MAX];
    size_t n_sessions;
    size_t cursor;
    int64_t waiting;                       /* jobs in the queue, counted from events */
    size_t result_bytes;                   /* results that are not whole or wait for the disk, of all nodes */
    uint64_t unplaceable[VMAFX_OBSTACLES]; /* as the last pass found them */
    uint64_t generation;                   /* grows when there may be work that was not there before */
};

Session *session_ref(Session *session);
void session_unref(Session **session);
/* With the table's lock: is its stream closed, or silent for too long? */
bool session_is_lost(const Session *session);

/* With the table's lock. */
Session *table_find(NodeTable *table, const char *name);
void table_remove(NodeTable *table, Session *session);
/** Room for one more? When all places are taken, the one that has been gone the longest is forgotten. */
bool table_has_place(NodeTable *table);
Held *session_held(Session *session, const VmafxAttemptRef *ref);
bool session_hold(Session *session, const VmafxAttemptRef *ref, int32_t memory_mib);
void session_release(Session *session, const VmafxAttemptRef *ref);
/** Its stream is over: on its next one the node begins its results anew. */
void session_drop_partials(Session *session);

/** Packs and queues; a stream that is full or gone closes by itself. */
void session_send(Session *session, const Vmafx__V1__ControllerMessage *message);
void session_cancel(Session *session, const VmafxAttemptRef *ref, Vmafx__V1__CancelReason reason);

/** Gives work to who can take it. Without the lock. */
void table_dispatch(NodeTable *table);

#define NEEDS_MODELS_MAX 16
/** What a job needs; names are the request's, models has room for NEEDS_MODELS_MAX. */
void needs_of(const Vmafx__V1__JobSpec *spec, int32_t memory_mib, const char **models, VmafxNeeds *ret);
/** How assign.h sees a node; generation UINT64_MAX: as if nothing had been asked for in vain. With the lock. */
void view_of(const Session *session, uint64_t generation, VmafxNodeView *ret);

/** Looks at some more of the waiting jobs: can anybody do them? From node_table_tick, without the lock. */
void obstacles_turn(NodeTable *table, uint64_t now_ns);

/** A reference as a message; text is where the id is written. */
Vmafx__V1__AttemptRef attempt_message(const VmafxAttemptRef *ref, char text[VMAFX_JOB_ID_TEXT]);
bool attempt_from(const Vmafx__V1__AttemptRef *message, VmafxAttemptRef *ret);

/** Ends an attempt for its node, without an answer to it: one that came to nothing. Without the lock. */
void end_for(NodeTable *table, const char *node, const VmafxAttemptRef *ref, VmafxOutcome outcome, VmafxFailure failure,
             bool may_pass, const char *message);
#endif
