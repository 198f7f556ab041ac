/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Which node gets tasks now, and what to make of a node that comes back: the controller's decisions about nodes, as
 * pure functions of a table of views. No I/O, no clock, no memory of their own; any thread.
 *
 * The order of jobs is the store's (fleet.h: priority, turn, deadline, age). Here it is decided who asks for the next
 * ones: tasks spread so that the busiest node is as little busy as possible. One task on each of four nodes is faster
 * than four on one.
 */
#ifndef VMAFX_FLEET_ASSIGN_H
#define VMAFX_FLEET_ASSIGN_H

#include "fleet/fleet.h"

#define VMAFX_FLEET_NODES_MAX 1000 /* streams of one controller */

/**
 * A node as the controller sees it. Zeroed is a node that gets nothing.
 *
 * slots_free is what Hello (slots) and each Heartbeat said last, one more for each end that came and each cancel that
 * went since, and 0 after an attempt came back because there was no room. It holds the controller back from a node
 * whose spool is full; that a heartbeat knows nothing of what was assigned meanwhile does not matter, as `held` does.
 *
 * held grows with each Assign and each KEPT of a Welcome, and shrinks with the store's ATTEMPT_ENDED, whoever brought
 * it about, and with each LEASE_LOST: never with what a stream says alone, as an end may be under way on the stream
 * before.
 */
typedef struct VmafxNodeView {
    const char *name;
    bool ready;                  /* welcomed, and its stream stands */
    bool draining;               /* asked to, or says so itself */
    uint32_t slots;              /* tasks at a time */
    uint32_t slots_free;         /* see below */
    uint32_t held;               /* leases the controller knows it holds, ends not committed yet included */
    uint32_t asked;              /* leases that an operation under way may still bring */
    int64_t memory_mib;          /* that its tasks may use together; 0: it did not say, and counts as unlimited */
    int64_t memory_held_mib;     /* needs of `held` together */
    double load;                 /* CPU, 0 … 1, as its last heartbeat said; breaks ties only */
    const char *const *encoders; /* that work, as FFmpeg names them */
    size_t n_encoders;
    bool encoders_later;       /* it does not know yet: any may work */
    const char *const *models; /* versions installed */
    size_t n_models;
} VmafxNodeView;

/** How many more tasks it may be given now: 0 unless it is ready and not draining. */
uint32_t vmafx_node_room(const VmafxNodeView *node);
/** Memory for further tasks, MiB; INT64_MAX where it did not say. Never below 0. */
int64_t vmafx_node_memory_free(const VmafxNodeView *node);

/** For one node: ask the store for up to `slots` jobs that fit in memory_free_mib. */
typedef struct VmafxAsk {
    size_t node; /* index into the table */
    uint32_t slots;
    int64_t memory_free_mib;
} VmafxAsk;

/**
 * Shares `waiting` tasks out over the nodes. Each goes to the node that is then the least busy for its size
 * (held + asked + given, of slots); among equals to the one with more memory free, then the lower load, then the
 * one that comes next after *cursor, which moves on, so that single tasks go round.
 *
 * To be called after whatever may give a node something to do: a Welcome, an end, a job that was queued, a timer
 * (backoff passes without an event). A node with an operation under way (asked > 0) is passed over: what that brings is
 * not known yet. So call again after its answer if that brought all it asked for, or if there was a reason to call
 * meanwhile; when it brought less and nothing happened, there is nothing more to be had for now.
 * @param waiting  jobs in the queue, or a guess not below it; nothing is asked for without one
 * @param ret      room for n: at most one for each node
 * @return how many, at most n and at most waiting; in no order
 */
size_t vmafx_assign_plan(const VmafxNodeView *nodes, size_t n, uint64_t waiting, size_t *cursor, VmafxAsk *ret);

/** What a job needs besides a slot. */
typedef struct VmafxNeeds {
    int64_t memory_mib;
    const char *encoder; /* by name; NULL: none, or any of the codec's */
    const char *codec;   /* NULL: none, or whatever the encoder makes */
    const char *const *models;
    size_t n_models;
} VmafxNeeds;

/**
 * Can this node ever do that, however busy it is?
 * @param ret_failure  ENCODER, MODEL or RESOURCE: what it lacks; may be NULL
 * @param ret_lacks    the name it lacks ("libx265", "hevc"); "memory"; points into needs or is constant; may be NULL
 * @return VMAFX_OK, VMAFX_ERR_UNSUPPORTED
 */
VMAFX_CHECK VmafxErr vmafx_node_fits(const VmafxNodeView *node, const VmafxNeeds *needs, VmafxFailure *ret_failure,
                                     const char **ret_lacks);

/**
 * A job was leased for a node that does not fit, since the store chooses by memory only. What to end the attempt with:
 * FAILED with the class of what is lacking, and may_pass while another ready node has it (then it is tried again, with
 * backoff and up to the attempt limit, and may get there).
 * @param report  node, attempt and message are the caller's to set
 * @return false: it fits, send it
 */
bool vmafx_assign_misfit(const VmafxNodeView *nodes, size_t n, size_t node, const VmafxNeeds *needs,
                         VmafxAttemptReport *report, const char **ret_lacks);

/** Why a waiting job gets nowhere, whatever ends or gets free. */
typedef enum VmafxObstacle {
    VMAFX_OBSTACLE_NONE = 0, /* a node can do it, now or when it has room */
    VMAFX_OBSTACLE_NO_NODE,  /* none is there */
    VMAFX_OBSTACLE_ENCODER,
    VMAFX_OBSTACLE_MODEL,
    VMAFX_OBSTACLE_MEMORY,
    VMAFX_OBSTACLE_DRAINING, /* those that could take nothing more */
    VMAFX_OBSTACLES,
} VmafxObstacle;

/**
 * Is there a node that could do it? Looks at those that are ready. Where none could, the reason is what the best of
 * them lacks, in the order encoder, model, memory: one that lacks memory has the rest. A node that does not say which
 * models it has is taken to have them.
 */
VmafxObstacle vmafx_assign_obstacle(const VmafxNodeView *nodes, size_t n, const VmafxNeeds *needs);
/** As in signals.def: "memory"; "" for NONE. */
const char *vmafx_obstacle_name(VmafxObstacle obstacle);

/* ---- A node comes back ---- */

typedef enum VmafxReturnVerdict {
    VMAFX_RETURN_KEPT = 1, /* both sides hold it: renew */
    VMAFX_RETURN_LOST,     /* the node holds it, the store does not give it to this node: into Welcome.lost */
    VMAFX_RETURN_MISSING,  /* the store gives it to this node, which does not know of it: end it, see below */
} VmafxReturnVerdict;

typedef struct VmafxReturn {
    VmafxAttemptRef ref;
    VmafxReturnVerdict verdict;
} VmafxReturn;

/**
 * Hello.held against what the store says this node holds. To be read after every LEASE for this node has been answered
 * and before the next one is handed over, else a lease that is just being assigned looks MISSING.
 *
 * What a LEASE brought for the stream before, and what could not be sent on it any more, is MISSING too; it simply goes
 * out on this one, after the Welcome.
 *
 * Any other that is MISSING need not wait for its lease to run out: it ends as FAILED (node), since the node has
 * crashed, and a job that crashes nodes must run out of attempts. But not before the first heartbeat on this stream has
 * come and does not name it either. A Hello alone may be old: a controller that stood still finds it in its socket
 * while the node has long gone to another controller and works on what that one gave it. A heartbeat answers a Welcome,
 * so then the node is here and nowhere else. (LOST needs no such care: an attempt that is over never comes back.)
 * @param ret  room for n_said + n_stored; both lists may be in any order, twice the same in `said` counts once
 * @return how many
 */
size_t vmafx_node_return(const VmafxAttemptRef *said, size_t n_said, const VmafxAttemptRef *stored, size_t n_stored,
                         VmafxReturn *ret);
#endif
