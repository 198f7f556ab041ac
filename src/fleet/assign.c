/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Spreading tasks over nodes with a heap of the least busy, which lives in the array that the answer is written to. */

#include "fleet/assign.h"

#include <string.h>

#include "base/base.h"
#include "base/encoders.h"

uint32_t vmafx_node_room(const VmafxNodeView *node)
{
    uint64_t taken = (uint64_t)node->held + node->asked;

    if (!node->ready || node->draining || taken >= node->slots)
        return 0;
    return (uint32_t)VMAFX_MIN(node->slots - taken, node->slots_free);
}

int64_t vmafx_node_memory_free(const VmafxNodeView *node)
{
    if (node->memory_mib <= 0)
        return INT64_MAX;
    return node->memory_held_mib < node->memory_mib ? node->memory_mib - node->memory_held_mib : 0;
}

/* ---- The plan ---- */

typedef struct Plan {
    const VmafxNodeView *nodes;
    size_t n_nodes, cursor;
    VmafxAsk *heap; /* the best first */
    size_t n;
} Plan;

static bool is_better(const Plan *plan, const VmafxAsk *a, const VmafxAsk *b)
{
    const VmafxNodeView *x = &plan->nodes[a->node], *y = &plan->nodes[b->node];
    /* busy of x / slots of x against the same of y: no numbers above 2^33, so the products fit */
    uint64_t busy_x = ((uint64_t)x->held + a->slots) * y->slots;
    uint64_t busy_y = ((uint64_t)y->held + b->slots) * x->slots;

    if (busy_x != busy_y)
        return busy_x < busy_y;
    if (a->memory_free_mib != b->memory_free_mib)
        return a->memory_free_mib > b->memory_free_mib;
    if (x->load < y->load || y->load < x->load) /* false for a NaN: then the turn decides */
        return x->load < y->load;
    return (a->node + plan->n_nodes - plan->cursor) % plan->n_nodes <
           (b->node + plan->n_nodes - plan->cursor) % plan->n_nodes;
}

static void swap(VmafxAsk *a, VmafxAsk *b)
{
    VmafxAsk kept = *a;

    *a = *b;
    *b = kept;
}

static void sink(const Plan *plan, size_t at)
{
    for (;;) {
        size_t best = at;

        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < plan->n; child++)
            if (is_better(plan, &plan->heap[child], &plan->heap[best]))
                best = child;
        if (best == at)
            return;
        swap(&plan->heap[at], &plan->heap[best]);
        at = best;
    }
}

static size_t keep_asks(VmafxAsk *asks, size_t n)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++)
        if (asks[i].slots)
            asks[kept++] = asks[i];
    return kept;
}

size_t vmafx_assign_plan(const VmafxNodeView *nodes, size_t n, uint64_t waiting, size_t *cursor, VmafxAsk *ret)
{
    Plan plan = { .nodes = nodes, .n_nodes = n, .cursor = n ? *cursor % n : 0, .heap = ret };

    for (size_t i = 0; i < n; i++)
        if (!nodes[i].asked && vmafx_node_room(&nodes[i]))
            ret[plan.n++] = (VmafxAsk){ .node = i, .memory_free_mib = vmafx_node_memory_free(&nodes[i]) };
    size_t candidates = plan.n;
    for (size_t i = plan.n / 2; i-- > 0;)
        sink(&plan, i);

    for (; waiting && plan.n; waiting--) {
        size_t node = plan.heap[0].node;

        *cursor = (node + 1) % n;
        if (++plan.heap[0].slots == vmafx_node_room(&nodes[node]))
            swap(&plan.heap[0], &plan.heap[--plan.n]); /* full: it waits behind the heap, in the answer */
        sink(&plan, 0);
    }
    return keep_asks(ret, candidates);
}

/* ---- What fits ---- */

static bool is_among(const char *const *names, size_t n, const char *wanted)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(names[i], wanted))
            return true;
    return false;
}

static bool encodes(const VmafxNodeView *node, const VmafxNeeds *needs)
{
    if ((!needs->encoder && !needs->codec) || node->encoders_later)
        return true;
    for (size_t i = 0; i < node->n_encoders; i++)
        if (vmafx_encoder_fits(node->encoders[i], needs->encoder, needs->codec))
            return true;
    return false;
}

static VmafxErr lacks(VmafxFailure failure, const char *what, VmafxFailure *ret_failure, const char **ret_lacks)
{
    if (ret_failure)
        *ret_failure = failure;
    if (ret_lacks)
        *ret_lacks = what;
    return VMAFX_ERR_UNSUPPORTED;
}

VmafxErr vmafx_node_fits(const VmafxNodeView *node, const VmafxNeeds *needs, VmafxFailure *ret_failure,
                         const char **ret_lacks)
{
    if (!encodes(node, needs))
        return lacks(VMAFX_FAILURE_ENCODER, needs->encoder ? needs->encoder : needs->codec, ret_failure, ret_lacks);
    for (size_t i = 0; i < needs->n_models; i++)
        if (!is_among(node->models, node->n_models, needs->models[i]))
            return lacks(VMAFX_FAILURE_MODEL, needs->models[i], ret_failure, ret_lacks);
    if (node->memory_mib > 0 && needs->memory_mib > node->memory_mib)
        return lacks(VMAFX_FAILURE_RESOURCE, "memory", ret_failure, ret_lacks);
    return VMAFX_OK;
}

bool vmafx_assign_misfit(const VmafxNodeView *nodes, size_t n, size_t node, const VmafxNeeds *needs,
                         VmafxAttemptReport *report, const char **ret_lacks)
{
    VmafxFailure failure;

    if (!vmafx_node_fits(&nodes[node], needs, &failure, ret_lacks))
        return false;
    *report = (VmafxAttemptReport){ .outcome = VMAFX_OUTCOME_FAILED, .failure = failure };
    for (size_t i = 0; i < n && !report->may_pass; i++)
        report->may_pass = nodes[i].ready && !vmafx_node_fits(&nodes[i], needs, NULL, NULL);
    return true;
}

/* ---- What nobody can do ---- */

static VmafxObstacle obstacle_of(const VmafxNodeView *node, const VmafxNeeds *needs)
{
    VmafxNeeds asked = *needs;
    VmafxFailure failure = VMAFX_FAILURE_NONE;

    if (!node->n_models)
        asked.n_models = 0;
    if (!vmafx_node_fits(node, &asked, &failure, NULL))
        return node->draining ? VMAFX_OBSTACLE_DRAINING : VMAFX_OBSTACLE_NONE;
    return failure == VMAFX_FAILURE_ENCODER ? VMAFX_OBSTACLE_ENCODER
           : failure == VMAFX_FAILURE_MODEL ? VMAFX_OBSTACLE_MODEL
                                            : VMAFX_OBSTACLE_MEMORY;
}

VmafxObstacle vmafx_assign_obstacle(const VmafxNodeView *nodes, size_t n, const VmafxNeeds *needs)
{
    VmafxObstacle least = VMAFX_OBSTACLE_NO_NODE; /* the further down in the enum, the less is lacking */

    for (size_t i = 0; i < n; i++) {
        if (!nodes[i].ready)
            continue;
        VmafxObstacle one = obstacle_of(&nodes[i], needs);
        if (one == VMAFX_OBSTACLE_NONE)
            return one;
        least = VMAFX_MAX(least, one);
    }
    return least;
}

const char *vmafx_obstacle_name(VmafxObstacle obstacle)
{
    static const char *const names[VMAFX_OBSTACLES] = { "", "no_node", "encoder", "model", "memory", "draining" };

    return obstacle < VMAFX_OBSTACLES ? names[obstacle] : "";
}

/* ---- A node comes back ---- */

static bool has(const VmafxAttemptRef *refs, size_t n, const VmafxAttemptRef *ref)
{
    for (size_t i = 0; i < n; i++)
        if (vmafx_attempt_same(&refs[i], ref))
            return true;
    return false;
}

size_t vmafx_node_return(const VmafxAttemptRef *said, size_t n_said, const VmafxAttemptRef *stored, size_t n_stored,
                         VmafxReturn *ret)
{
    size_t n = 0;

    for (size_t i = 0; i < n_said; i++)
        if (!has(said, i, &said[i]))
            ret[n++] =
                (VmafxReturn){ said[i], has(stored, n_stored, &said[i]) ? VMAFX_RETURN_KEPT : VMAFX_RETURN_LOST };
    for (size_t i = 0; i < n_stored; i++)
        if (!has(said, n_said, &stored[i]))
            ret[n++] = (VmafxReturn){ stored[i], VMAFX_RETURN_MISSING };
    return n;
}
