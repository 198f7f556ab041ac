/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The simulated world. One struct, no pointers out of it but the trace; each sim_*.c plays one part of it. */
#ifndef VMAFX_TESTS_INTERLEAVE_SIM_INTERNAL_H
#define VMAFX_TESTS_INTERLEAVE_SIM_INTERNAL_H

#include "simulation.h"

#include "base/base.h"
#include "fleet/assign.h"
#include "fleet/fleet.h"
#include "fleet/holdings.h"
#include "fleet/sweep.h"

#define MS     ((int64_t)1000)
#define SECOND ((int64_t)1000000)

#define N_CONTROLLERS_MAX 2
#define N_NODES_MAX       4
#define N_SUBMITTERS      4
#define N_PRIORITIES      2
#define N_JOBS            120
#define SLOTS_MAX         3
#define HOLDINGS_MAX      (SLOTS_MAX + 3)
#define OPS_MAX           4096
#define LOG_MAX           65536
#define HELD_MAX          32 /* leases one node may have by the store */

#define FAULTS_END    (40 * SECOND)   /* then it is quiet */
#define EPISODE_LIMIT (1200 * SECOND) /* everything has ended by then */
#define LEASE         (3 * SECOND)
#define HEARTBEAT     (1 * SECOND)
#define SILENCE       (5 * HEARTBEAT / 2) /* then a connection counts as dead */
#define SWEEP         (250 * MS)
#define WALL_BEGIN    ((int64_t)1700000000 * SECOND)

/* ---- Messages and operations ---- */

typedef enum MessageKind {
    MSG_HELLO = 1,
    MSG_HEARTBEAT,
    MSG_END,
    MSG_DRAINING,
    MSG_CLOSED, /* not a message: this side is told that the connection has broken */
    MSG_WELCOME,
    MSG_ASSIGN,
    MSG_CANCEL,
    MSG_END_ACK,
    MSG_HEARTBEAT_ACK,
} MessageKind;

typedef struct Message {
    MessageKind kind;
    uint32_t node, conn; /* between this node and a controller */
    VmafxAttemptRef ref;
    VmafxOutcome outcome;
    VmafxFailure failure;
    bool flag;     /* END: damaged. END_ACK: resend. */
    bool may_pass; /* END */
    bool kept;     /* END_ACK */
    uint32_t slots_free;
    VmafxAttemptRef refs[HOLDINGS_MAX];
    size_t n_refs;
} Message;

typedef enum OpKind {
    OP_SUBMIT = 1,
    OP_LEASE,
    OP_RENEW,
    OP_END,
    OP_CANCEL,
    OP_EXPIRE,
    OP_GRACE,
} OpKind;

typedef struct Op {
    OpKind kind;
    uint32_t controller, life; /* who asked, and in which of its lives */
    uint32_t node, conn;
    uint32_t job; /* index: SUBMIT, CANCEL */
    uint32_t slots;
    int64_t memory;
    VmafxAttemptRef refs[HELD_MAX];
    VmafxErr errs[HELD_MAX];
    size_t n_refs;
    Message end; /* END */
    VmafxErr err;
    int64_t at, serving_since; /* when it was handed over, and since when its controller had been serving */
    VmafxWall wall;            /* the same by the store's clock */
    bool has_message;          /* END: a node waits for the acknowledgement */
} Op;

/* ---- Events of the world ---- */

typedef enum EventKind {
    EV_FAULT = 1,
    EV_TO_CONTROLLER, /* a message */
    EV_TO_NODE,
    EV_COMMIT,     /* the store's group */
    EV_ANSWER,     /* of an operation, to its controller */
    EV_NOTIFY,     /* the store has news for a controller */
    EV_SWEEP,      /* a controller's timer */
    EV_RETRY_END,  /* a controller tries an END again that the store could not write */
    EV_START,      /* a controller */
    EV_SUBMIT,     /* a client */
    EV_CANCEL,     /* a client */
    EV_BOOT,       /* a node */
    EV_CONNECT,    /* a node */
    EV_BEAT,       /* a node's heartbeat */
    EV_WORK_ENDED, /* of an attempt on a node */
    EV_WORK_TIMEOUT,
    EV_AUDIT, /* is anything idle that should not be? */
} EventKind;

typedef struct Event {
    int64_t at;
    uint64_t seq;
    EventKind kind;
    uint32_t who, life; /* life: a crash makes what was planned before it void */
    union {
        uint32_t index;
        Message message;
        Op op;
        struct {
            VmafxAttemptRef ref;
            VmafxOutcome outcome;
            VmafxFailure failure;
            bool may_pass;
            bool killed;
        } work;
    };
} Event;

/* ---- The parts ---- */

/* What the rules know of one job. */
typedef struct Ledger {
    VmafxWall until;
    VmafxEventKind open;
    uint32_t ended, results;
    int32_t attempts;
    int64_t alive_at;             /* virtual time of the last lease, renewal or grace */
    int64_t leased_at;            /* virtual time */
    bool accepted;                /* a client was told so */
    bool cancel_told;             /* a client was told that it is cancelled */
    int32_t result_of;            /* attempt */
    uint32_t lessee, lessee_life; /* the controller that asked for the last lease */
    bool sent;                    /* its assignment went out */
    VmafxJobState end_state;
} Ledger;

typedef struct LogEntry {
    uint32_t job;
    VmafxEventKind kind;
    VmafxAttemptRef ref;
    VmafxOutcome outcome;
    uint32_t node;
} LogEntry;

typedef struct Store {
    VmafxJob jobs[N_JOBS]; /* state 0: not there */
    Op queue[OPS_MAX];     /* a ring: waiting for the next group */
    size_t first, n;
    bool commit_planned;
    int64_t errors_until, slow_until;
    VmafxWall offset, last; /* of the clock */
    int64_t stopped_until;
    int64_t jump;      /* not answered with grace yet */
    bool failed;       /* a group, not answered with grace yet */
    int64_t failed_at; /* a group, the last time */
    const Op *expire;  /* that is being carried out */
    int64_t virtual_turn[N_PRIORITIES];
    int64_t last_turn[N_SUBMITTERS][N_PRIORITIES];
    LogEntry log[LOG_MAX];
    size_t n_log;
    uint8_t next_span;
} Store;

typedef struct Stream {
    bool open, welcomed;
    bool hello_waits; /* for the answer to a LEASE that is under way */
    uint32_t conn;
    int64_t heard;
    VmafxNodeView view;
    Message hello;
    VmafxAttemptRef held[HELD_MAX];
    size_t n_held;
    VmafxAttemptRef missing[HELD_MAX]; /* to be ended when the first heartbeat does not name them either */
    size_t n_missing;
} Stream;

typedef struct Controller {
    bool up;
    VmafxSweep sweep;
    uint32_t life;
    int64_t frozen_until, serving_since;
    bool again; /* something changed while operations were under way */
    size_t cursor, log_cursor;
    Stream streams[N_NODES_MAX];
} Controller;

typedef struct Spooled {
    VmafxAttemptRef ref;
    VmafxOutcome outcome;
    VmafxFailure failure;
    bool may_pass;
    uint32_t sent_on; /* the connection on which it went out last */
} Spooled;

typedef struct Node {
    bool up;
    uint32_t life, boots;
    int64_t frozen_until, cut_until;
    int64_t heard;                            /* of the controller; INT64_MAX: no stream */
    uint32_t conn, lost_upto;                 /* connections up to this number are broken */
    uint32_t to;                              /* which controller */
    int64_t last_to_node, last_to_controller; /* the order of messages is kept */
    uint32_t duplicate, corrupt;              /* so many more */
    uint32_t slots;
    int64_t memory;
    VmafxHolding items[HOLDINGS_MAX];
    VmafxHoldings holdings;
    Spooled spool[HOLDINGS_MAX]; /* survives a crash */
    size_t n_spool;
} Node;

typedef struct World {
    uint64_t random;
    int64_t now;
    uint64_t seq;
    Event **heap;
    size_t n_heap, cap_heap;
    Event *spare[64]; /* to be used again */
    size_t n_spare;
    const SimFault *faults;
    size_t n_faults;

    uint32_t n_controllers, n_nodes;
    bool even; /* every job needs the same memory, and then turns are fair to the job */
    Store store;
    Controller controllers[N_CONTROLLERS_MAX];
    Node nodes[N_NODES_MAX];
    VmafxJob wanted[N_JOBS]; /* what clients submit */
    uint32_t submitter[N_JOBS], level[N_JOBS];

    Ledger ledgers[N_JOBS];
    int32_t fair[N_PRIORITIES][N_SUBMITTERS][N_SUBMITTERS][2]; /* least and greatest lead so far, see sim_check.c */
    int32_t lead[N_PRIORITIES][N_SUBMITTERS][N_SUBMITTERS];
    bool gaps[N_PRIORITIES][N_SUBMITTERS];
    uint32_t idle_audits;
    SimResult *result;
    char (*lines)[160]; /* trace: a ring of the last lines, or NULL */
    size_t n_lines;
} World;

#define TRACE_LINES 120

extern const VmafxFleetRules sim_rules;

/* simulation.c */
uint64_t sim_random(World *w);
int64_t sim_between(World *w, int64_t low, int64_t high);
bool sim_chance(World *w, unsigned percent);
Event *sim_event(World *w, int64_t at, EventKind kind, uint32_t who, uint32_t life);
void sim_to_node(World *w, uint32_t controller, uint32_t node, const Message *message);
void sim_to_controller(World *w, uint32_t node, const Message *message);
void sim_line(World *w, const char *fmt, ...) VMAFX_PRINTF(2, 3);
#define SIM_TRACE(w, ...)                                                                                              \
    do {                                                                                                               \
        if ((w)->lines)                                                                                                \
            sim_line(w, __VA_ARGS__);                                                                                  \
    } while (0)

/* sim_store.c */
VmafxWall sim_wall(World *w);
void sim_store_op(World *w, const Op *op);
void sim_store_commit(World *w);
void sim_store_forget(World *w, uint32_t controller); /* it has crashed: some of its operations come too late */
size_t sim_store_held(const World *w, uint32_t node, VmafxAttemptRef *ret);
uint64_t sim_store_queued(const World *w);
uint32_t sim_job_index(const VmafxJobId *id);

/* sim_controller.c */
void sim_controller_start(World *w, uint32_t c);
void sim_controller_crash(World *w, uint32_t c);
void sim_controller_message(World *w, uint32_t c, uint32_t node, const Message *message);
void sim_controller_answer(World *w, uint32_t c, Op *op);
void sim_controller_notify(World *w, uint32_t c);
void sim_controller_sweep(World *w, uint32_t c);
void sim_controller_end(World *w, uint32_t c, const Op *op);

/* sim_node.c */
void sim_node_boot(World *w, uint32_t n);
void sim_node_crash(World *w, uint32_t n);
void sim_node_connect(World *w, uint32_t n);
void sim_node_closed(World *w, uint32_t n);
void sim_node_beat(World *w, uint32_t n);
void sim_node_message(World *w, uint32_t n, const Message *message);
void sim_node_work_ended(World *w, uint32_t n, const Event *event);
void sim_node_work_timeout(World *w, uint32_t n, const Event *event);
void sim_node_drain(World *w, uint32_t n, bool finish);

/* sim_check.c */
void sim_broken(World *w, const char *fmt, ...) VMAFX_PRINTF(2, 3);
void sim_check_step(World *w, uint32_t job, const VmafxStep *step, const VmafxJob *before);
void sim_check_alive(World *w, uint32_t job);
void sim_check_expired(World *w, const Op *op);
void sim_check_missing(World *w, uint32_t c, uint32_t n, const VmafxAttemptRef *ref);
void sim_check_fair(World *w, uint32_t leased);
bool sim_is_waiting(const World *w, uint32_t submitter, uint32_t level); /* with a new job */
void sim_check_taken_out(World *w, uint32_t job);                        /* a job left the queue without being leased */
void sim_check_node(World *w, uint32_t n);
void sim_check_drop(World *w, uint32_t n, const VmafxAttemptRef *ref);
void sim_check_audit(World *w);
bool sim_check_all_ended(const World *w);
void sim_check_end(World *w);
#endif
