/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The loop of a node: inbox, connection, what fleet/holdings.h says is to be done, time limits. */

#include "programs/node/node.h"

#include <inttypes.h>
#include <string.h>

#include "base/base.h"
#include "base/clock.h"
#include "signals/signals.h"

#define TURN_MAX_MS          250
#define START_BACKOFF_MIN_NS UINT64_C(250000000)
#define START_BACKOFF_MAX_NS UINT64_C(10000000000)

/* ---- What is to be done ---- */

static void act(Node *node, const VmafxHoldingAction *action, uint64_t now)
{
    Task *task = task_of(node, &action->ref);

    switch (action->what) {
    case VMAFX_DO_DROP:
        task_drop(node, &action->ref);
        break;
    case VMAFX_DO_STOP:
        if (task)
            task_stop(task);
        break;
    case VMAFX_DO_SEND:
        connection_send_end(node, &action->ref, action->outcome);
        break;
    case VMAFX_DO_START:
        if (task)
            task_start(task, now);
        else
            vmafx_holdings_cancel(&node->holdings, &action->ref); /* there was no memory for it */
        break;
    }
}

static void act_all(Node *node, uint64_t now)
{
    VmafxHoldingAction action;

    while (vmafx_holdings_next(&node->holdings, &action))
        act(node, &action, now);
}

/* ---- The inbox ---- */

static void send_progress(Node *node, const Task *task, const InboxItem *item)
{
    char text[VMAFX_JOB_ID_TEXT];
    Vmafx__V1__AttemptRef attempt = ref_message(&task->ref, text);
    Vmafx__V1__Progress progress = VMAFX__V1__PROGRESS__INIT;
    Vmafx__V1__TaskProgress task_progress = VMAFX__V1__TASK_PROGRESS__INIT;
    Vmafx__V1__NodeMessage message = VMAFX__V1__NODE_MESSAGE__INIT;

    if (!vmafx_holdings_wants_progress(&node->holdings, &task->ref))
        return;
    progress.frames = item->frames;
    progress.frames_total = item->frames_total;
    progress.frame_rate = item->frame_rate;
    task_progress.attempt = &attempt;
    task_progress.progress = &progress;
    message.kind_case = VMAFX__V1__NODE_MESSAGE__KIND_PROGRESS;
    message.progress = &task_progress;
    connection_send(node, &message);
}

static void take(Node *node, InboxItem *item, uint64_t now)
{
    Task *task = item->kind >= INBOX_OPENED ? task_find(node, item->tag) : NULL;

    switch (item->kind) {
    case INBOX_MESSAGE:
        connection_message(node, item, now);
        break;
    case INBOX_CLOSED:
        connection_closed(node, item, now);
        break;
    case INBOX_OPENED:
        if (task)
            task_opened(task, item, now);
        break;
    case INBOX_PROGRESS:
        if (task)
            send_progress(node, task, item);
        break;
    case INBOX_ENDED:
        if (task)
            task_ended(task, item);
        break;
    }
}

static void check_deadlines(Node *node, uint64_t now)
{
    for (Task *task = node->tasks; task; task = task->next)
        if (task->deadline_ns && now >= task->deadline_ns) {
            task->deadline_ns = 0;
            vmafx_holdings_timeout(&node->holdings, &task->ref);
        }
}

/* ---- The scorer's start ---- */

static void encoders_known(void *ctx)
{
    Node *node = ctx;

    node->config.wake(node->config.wake_ctx); /* the connection tells the controller */
}

static void scorer_changed(void *ctx, bool ready, const char *message)
{
    Node *node = ctx;

    vmafx_log(node->config.log, ready ? VMAFX_INFO : VMAFX_WARN,
              ready ? "the scorer is there again" : "the scorer has gone; starting it anew",
              VMAFX_ATTR_STR(VMAFX_KEY_EXCEPTION_MESSAGE, message ? message : ""));
}

/*
 * A scorer may be killed while it starts, for want of memory say; that passes, and a later turn starts it again. A
 * program that is missing or may not be run is an error.
 */
static VmafxErr start_runner(Node *node, uint64_t now, VmafxErrInfo *reterr)
{
    VmafxErrInfo info = { 0 };
    VmafxErr err = vmafx_runner_start(
        &(VmafxRunnerConfig){
            .tasks_max = VMAFX_RUNNER_TASKS_MAX, .changed = scorer_changed, .encoders = encoders_known, .ctx = node },
        &node->runner, &info);
    uint64_t wait_ns = START_BACKOFF_MIN_NS << VMAFX_MIN(node->runner_failures, 6u);

    if (!err && node->runner_failures)
        scorer_changed(node, true, "");
    if (err != VMAFX_ERR_UNREACHABLE && err != VMAFX_ERR_NOMEM)
        return err ? vmafx_fail(reterr, err, "%s", info.message) : VMAFX_OK;
    vmafx_log(node->config.log, VMAFX_WARN, "the scorer does not start; trying again",
              VMAFX_ATTR_STR(VMAFX_KEY_EXCEPTION_MESSAGE, *info.message ? info.message : vmafx_err_text(err)));
    node->runner_at = now + VMAFX_MIN(wait_ns, START_BACKOFF_MAX_NS);
    node->runner_failures++;
    return VMAFX_OK;
}

/* Here a program that is missing is being replaced: it was there when we started. */
static void start_runner_again(Node *node, uint64_t now)
{
    VmafxErrInfo info = { 0 };

    if (!start_runner(node, now, &info))
        return;
    vmafx_log(node->config.log, VMAFX_ERROR, "the scorer cannot be started; trying again",
              VMAFX_ATTR_STR(VMAFX_KEY_EXCEPTION_MESSAGE, info.message));
    node->runner_at = now + START_BACKOFF_MAX_NS;
}

uint32_t node_turn(Node *node, uint64_t now)
{
    if (!node->runner && now >= node->runner_at)
        start_runner_again(node, now);
    for (InboxItem *item; (item = inbox_take(&node->inbox)); inbox_item_free(&item))
        take(node, item, now);
    check_deadlines(node, now);
    act_all(node, now);
    if (node->runner)
        connection_turn(node, now);
    act_all(node, now); /* what the turn has ended makes room for the next */
    return TURN_MAX_MS;
}

/* ---- Life ---- */

static void found_in_spool(void *ctx, const VmafxAttemptRef *ref, const Vmafx__V1__TaskEnd *end)
{
    Node *node = ctx;
    VmafxErr err = vmafx_holdings_restore(&node->holdings, ref, (VmafxOutcome)end->outcome);

    if (err) /* an older attempt of the same job, or not an end of ours */
        spool_drop(node->spool, ref);
}

VmafxErr node_new(const NodeConfig *config, Node **ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(node_free) Node *node = calloc(1, sizeof *node);
    char spool[4200];

    if (!node)
        return VMAFX_ERR_NOMEM;
    node->config = *config;
    node->config.inputs = NULL;
    node->tracer = vmafx_tracer_get("vmafx.node", NODE_VERSION);
    inbox_init(&node->inbox, config->wake, config->wake_ctx);
    snprintf(spool, sizeof spool, "%s/spool", config->state);
    VmafxErr err = vmafx_holdings_init(&node->holdings, node->items, VMAFX_HOLDINGS_MAX, config->slots);
    if (!err)
        err = vmafx_inputs_open(config->inputs, &node->inputs, reterr);
    if (!err)
        err = spool_open(spool, &node->spool, reterr);
    if (!err)
        err = start_runner(node, vmafx_monotonic_ns(), reterr);
    if (err)
        return err;
    spool_each(node->spool, found_in_spool, node);
    *ret = VMAFX_TAKE(node);
    return VMAFX_OK;
}

void node_free(Node **at)
{
    Node *node = VMAFX_TAKE(*at);

    if (!node)
        return;
    if (node->runner)
        vmafx_runner_stop(&node->runner); /* ends come as CANCELLED; their tasks are still there */
    connection_close(node);
    if (atomic_load(&node->n_opening))
        return; /* a file system hangs: those threads still need all this, and the process is about to end */
    inbox_done(&node->inbox);
    while (node->tasks)
        task_free(node->tasks);
    spool_close(&node->spool);
    vmafx_inputs_close(&node->inputs);
    free(node);
}

void node_drain(Node *node, bool finish)
{
    if (!node->holdings.draining || !finish) {
        vmafx_log(node->config.log, VMAFX_INFO,
                  finish ? "draining: finishing what there is, then ending" : "draining: handing back what there is",
                  VMAFX_ATTR_STR(VMAFX_KEY_NODE_NAME, node->config.name));
        connection_draining(node, finish);
    }
    vmafx_holdings_drain(&node->holdings, finish);
}

bool node_is_drained(const Node *node)
{
    return node->holdings.draining && node->holdings.n == 0;
}

const char *node_missing(const Node *node)
{
    if (!node->runner || !vmafx_runner_is_ready(node->runner))
        return "the scorer does not run; it is being started again";
    if (node->holdings.draining)
        return "draining";
    return node->welcomed ? NULL : "not connected to the controller";
}
