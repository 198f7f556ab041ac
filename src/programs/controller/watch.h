/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Jobs.WatchJob: who follows a job gets it as it is, then every change, and progress. A watcher that does not read is
 * dropped by its stream's limit; nobody waits for it. Any thread may publish; nothing here waits for a peer.
 */
#ifndef VMAFX_PROGRAMS_CONTROLLER_WATCH_H
#define VMAFX_PROGRAMS_CONTROLLER_WATCH_H

#include "rpc/message.h"
#include "rpc/server.h"
#include "store/store.h"

typedef struct WatchHub WatchHub;

#define WATCHERS_MAX 100000 /* streams; then RESOURCE_EXHAUSTED */

WatchHub *watch_hub_new(VmafxStore *store);
/** After the server has stopped. */
void watch_hub_free(WatchHub **hub);

VmafxRpcMethod watch_method(WatchHub *hub);

/** Events of one group, in order, after they are on disk. */
void watch_hub_events(WatchHub *hub, const VmafxEvent *events, const VmafxJob *const *jobs, size_t n);

/** What a node said of a running job; told at most four times a second for each job. now: monotonic nanoseconds. */
void watch_hub_progress(WatchHub *hub, const VmafxJobId *id, const Vmafx__V1__Progress *progress, uint64_t now);
/** The last of it; false: none. */
bool watch_hub_progress_get(WatchHub *hub, const VmafxJobId *id, Vmafx__V1__Progress *ret);

/** The program is stopping: streams end, their readers come back. */
void watch_hub_stop(WatchHub *hub);

/** Streams that are open. */
size_t watch_hub_count(WatchHub *hub);
#endif
