/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Followers of jobs: who follows one gets it as it is, then every change once and in order, and progress. Doors are
 * Jobs.WatchJob (watch_rpc.c) and GET /v1/jobs/{id}/events (rest_events.c). Nobody waits for a follower that does not
 * read: it is told no progress while it lags, so that what waits for it is changes, which are few, and it is cut off at
 * its door's limit. Any thread may publish; nothing here waits for a peer.
 */
#ifndef VMAFX_PROGRAMS_CONTROLLER_WATCH_H
#define VMAFX_PROGRAMS_CONTROLLER_WATCH_H

#include "programs/controller/api.h"
#include "store/store.h"

typedef struct WatchHub WatchHub;

#define WATCHERS_MAX    100000             /* followers by all doors; then BUSY */
#define WATCH_LAG_BYTES ((size_t)16 << 10) /* with more than this waiting for it, a follower lags */

WatchHub *watch_hub_new(VmafxStore *store);
/** After the servers have stopped. */
void watch_hub_free(WatchHub **hub);

/** Events of one group, in order, after they are on disk. */
void watch_hub_events(WatchHub *hub, const VmafxEvent *events, const VmafxJob *const *jobs, size_t n);

/** What a node said of a running job; told at most four times a second for each job. now: monotonic nanoseconds. */
void watch_hub_progress(WatchHub *hub, const VmafxJobId *id, const Vmafx__V1__Progress *progress, uint64_t now);
/** The last of it; false: none. */
bool watch_hub_progress_get(WatchHub *hub, const VmafxJobId *id, Vmafx__V1__Progress *ret);

/** The program is stopping: followers end, their readers come back. */
void watch_hub_stop(WatchHub *hub);

/** Followers there are. */
size_t watch_hub_count(WatchHub *hub);

/* ---- Followers ---- */

/** Something to tell, in whatever form a door sends: each is made once, for all followers. */
typedef struct WatchNews WatchNews;
const uint8_t *watch_news_packed(WatchNews *news, size_t *ret_len); /* NULL: no memory */
const char *watch_news_json(WatchNews *news);                       /* NULL: no memory */
/** "job": as it is; "change": an event; "progress". */
const char *watch_news_kind(const WatchNews *news);
/** The number up to which a follower knows what happened once it has this; 0: this says nothing of that. */
int64_t watch_news_sequence(const WatchNews *news);

typedef struct Follower Follower;
typedef struct FollowerDoor {
    /* All are called with the hub locked, or from watch_hub_join: they queue, and never wait nor call the hub. */
    void (*tell)(Follower *follower, WatchNews *news);
    void (*end)(Follower *follower, VmafxErr err, const char *why); /* OK: after the terminal state */
    size_t (*waiting)(Follower *follower);                          /* bytes it has not read yet */
} FollowerDoor;

/** The head of a door's own struct. The hub's; zero it before enter. */
struct Follower {
    const FollowerDoor *door;
    WatchHub *hub;
    struct Topic *topic; /* NULL: not joined, or left */
    int64_t seen;        /* events up to here are known and not told again */
    Follower *next;
};

/** Takes a place. VMAFX_ERR_BUSY when there is none, with a sentence */
VMAFX_CHECK VmafxErr watch_hub_enter(WatchHub *hub, const FollowerDoor *door, Follower *follower, VmafxErrInfo *reterr);
/**
 * Follows a job from now on. Told at once: the job as it is; where it resumes, then what happened after `after`. Once
 * for each follower.
 * @param after  the last event the follower knows; −1: it does not resume
 * @return VMAFX_ERR_SYNTAX, VMAFX_ERR_NOT_FOUND, those of the store, with a sentence; not followed then
 */
VMAFX_CHECK VmafxErr watch_hub_join(Follower *follower, const Caller *caller, const char *id, int64_t after,
                                    VmafxErrInfo *reterr);
/** Gives the place back; nothing is told from here on. Once for each enter. */
void watch_hub_leave(Follower *follower);

/** Jobs.WatchJob: the door for gRPC. */
typedef struct WatchRpc {
    WatchHub *hub;
    const Api *api;
} WatchRpc;
VmafxRpcMethod watch_rpc_method(WatchRpc *door);
#endif
