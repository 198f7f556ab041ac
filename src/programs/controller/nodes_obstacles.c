/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Which waiting jobs nobody can do, and why. Jobs are leased by their memory alone, so what a job lacks is often found
 * out only when it has failed; here it is seen while it waits. The queue may be long: a turn looks at one page of it,
 * and the numbers are those of the last whole pass. Jobs that come and go meanwhile are counted or not.
 */

#include <string.h>

#include "base/base.h"
#include "programs/controller/nodes_internal.h"

#define PAGE     100                  /* jobs of one turn, a few times a second */
#define PAUSE_NS UINT64_C(2000000000) /* between two passes */

/* The lock is taken for each job anew: with many nodes, none of which fits, one takes its time. */
static VmafxObstacle look_at(NodeTable *table, const VmafxStoredJob *stored, VmafxNodeView *views)
{
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *spec = NULL;
    const char *models[NEEDS_MODELS_MAX];
    VmafxNeeds needs;

    if (vmafx_message_unpack(&vmafx__v1__job_spec__descriptor, stored->spec, stored->spec_len, 0, &spec, NULL))
        return VMAFX_OBSTACLE_NONE; /* a damaged one ends when it is leased */
    needs_of(vmafx_message_get(spec), stored->job.need_memory_mib, models, &needs);
    pthread_mutex_lock(&table->lock);
    for (size_t i = 0; i < table->n_sessions; i++)
        view_of(table->sessions[i], UINT64_MAX, &views[i]);
    VmafxObstacle obstacle = vmafx_assign_obstacle(views, table->n_sessions, &needs);
    pthread_mutex_unlock(&table->lock);
    return obstacle;
}

/* The pass is through: its numbers are the ones to tell. */
static void publish(NodeTable *table, uint64_t now_ns)
{
    pthread_mutex_lock(&table->lock);
    memcpy(table->unplaceable, table->pass.found, sizeof table->unplaceable);
    table->unplaceable[VMAFX_OBSTACLE_NONE] = 0;
    pthread_mutex_unlock(&table->lock);
    table->pass = (ObstaclePass){ .next_ns = now_ns + PAUSE_NS };
}

void obstacles_turn(NodeTable *table, uint64_t now_ns)
{
    VMAFX_AUTO(vmafx_stored_jobs_done) VmafxStoredJobs jobs = { 0 };
    VMAFX_AUTO(vmafx_free_p) VmafxNodeView *views = NULL;
    ObstaclePass *pass = &table->pass;

    if (now_ns < pass->next_ns)
        return;
    views = calloc(VMAFX_FLEET_NODES_MAX, sizeof *views);
    if (!views ||
        vmafx_store_list(table->config.store,
                         &(VmafxStoreFilter){ .states = 1u << VMAFX_JOB_QUEUED, .before = pass->before, .limit = PAGE },
                         &jobs)) {
        *pass = (ObstaclePass){ .next_ns = now_ns + PAUSE_NS }; /* the store says it elsewhere; the last numbers stay */
        return;
    }
    for (size_t i = 0; i < jobs.n; i++)
        pass->found[look_at(table, &jobs.items[i], views)]++;
    if (jobs.more && jobs.n)
        pass->before = jobs.items[jobs.n - 1].job.id;
    else
        publish(table, now_ns);
}
