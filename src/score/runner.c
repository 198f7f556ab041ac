/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The runner's thread and the functions that talk to it.
 *
 *     run, stop_task ──► list of tasks, under the lock ──► thread ──► socket ──► scorer ──► child
 *                                                            ▲            events ◄─┘          │
 *                                                            └──────── pipe ◄────────────────┘
 *
 * A task ends when the scorer says that its child has gone (then what is left in the pipe is read first), or when the
 * scorer itself has gone. A scorer that does not do its duty in time is killed, so one of the two always comes.
 */

#include "score/runner_internal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/text.h"

#define READY_S        10
#define BACKOFF_MS     100
#define BACKOFF_MAX_MS 10000
#define STEADY_S       10 /* a scorer that lived this long is started anew at once */
#define STOP_GRACE_MS  5000
#define READ_BYTES     ((size_t)64 << 10)
#define READ_TURN      ((size_t)256 << 10) /* of one task before the next has its turn */
#define FRAMES_MAX     ((size_t)256 << 20)
#define FOR_EVER_NS    UINT64_MAX
#define NS_PER_MS      1000000u
#define ENCODERS_KNOWN ((uint64_t)1 << 63)

struct VmafxRunner {
    VmafxRunnerConfig config;
    char *program;
    pthread_t thread;
    int wake; /* eventfd */

    /* the thread's */
    Scorer scorer;
    uint64_t start_at_ns; /* when there is no scorer */
    unsigned backoff_ms;
    bool send_blocked;
    uint8_t *buffer; /* READ_BYTES for pipes and events */
    VmafxMessage *ready_message;
    VmafxRunnerFacts facts; /* set before start comes back, then constant */

    atomic_bool ready;             /* a plain flag, for vmafx_runner_is_ready */
    atomic_uint_fast64_t encoders; /* their set, and ENCODERS_KNOWN: one value, so that nobody sees half of it */

    pthread_mutex_t lock; /* covers what follows; never held while calling out */
    pthread_cond_t started;
    RunnerTask *tasks[VMAFX_RUNNER_TASKS_MAX];
    size_t n_tasks;
    bool stopping, was_ready, start_failed;
    VmafxErr start_err;
    VmafxErrInfo start_info;
};

static void wake(VmafxRunner *r)
{
    VMAFX_IGNORE(eventfd_write(r->wake, 1)); /* full means that it is awake already */
}

/* ---- tasks in the list; the thread alone takes them out ---- */

static size_t count_tasks(VmafxRunner *r)
{
    pthread_mutex_lock(&r->lock);
    size_t n = r->n_tasks;
    pthread_mutex_unlock(&r->lock);
    return n;
}

/* The i-th, and whether somebody wants it stopped. NULL beyond the end. */
static RunnerTask *task_at(VmafxRunner *r, size_t i, bool *ret_stop)
{
    pthread_mutex_lock(&r->lock);
    RunnerTask *task = i < r->n_tasks ? r->tasks[i] : NULL;
    if (ret_stop)
        *ret_stop = task && task->stop_wanted;
    pthread_mutex_unlock(&r->lock);
    return task;
}

static RunnerTask *find_task(VmafxRunner *r, uint64_t tag)
{
    RunnerTask *found = NULL;

    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->n_tasks && !found; i++)
        if (r->tasks[i]->tag == tag)
            found = r->tasks[i];
    pthread_mutex_unlock(&r->lock);
    return found;
}

/* Tells the end and forgets the task. The tag is free again when the callback runs. */
static void finish(VmafxRunner *r, RunnerTask *task, const VmafxRunEnd *end)
{
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->n_tasks; i++)
        if (r->tasks[i] == task) {
            memmove(&r->tasks[i], &r->tasks[i + 1], (r->n_tasks - i - 1) * sizeof(RunnerTask *));
            r->n_tasks--;
            break;
        }
    pthread_mutex_unlock(&r->lock);
    if (task->events.ended)
        task->events.ended(task->events.ctx, task->tag, end);
    runner_task_free(&task);
}

static void finish_cancelled(VmafxRunner *r, RunnerTask *task, const char *message)
{
    finish(r, task,
           &(VmafxRunEnd){ .outcome = VMAFX__V1__ATTEMPT_OUTCOME__ATTEMPT_OUTCOME_CANCELLED, .message = message });
}

static void finish_refused(VmafxRunner *r, RunnerTask *task, Vmafx__V1__FailureClass class, const char *message)
{
    finish(r, task,
           &(VmafxRunEnd){
               .outcome = VMAFX__V1__ATTEMPT_OUTCOME__ATTEMPT_OUTCOME_FAILED, .failure = class, .message = message });
}

/* ---- sending ---- */

static void send_stop(VmafxRunner *r, RunnerTask *task)
{
    Vmafx__Scorer__V1__ScorerRequest request = VMAFX__SCORER__V1__SCORER_REQUEST__INIT;
    Vmafx__Scorer__V1__Stop stop = VMAFX__SCORER__V1__STOP__INIT;
    VMAFX_AUTO(vmafx_free_p) uint8_t *packet = NULL;
    size_t len;

    stop.tag = task->tag;
    request.kind_case = VMAFX__SCORER__V1__SCORER_REQUEST__KIND_STOP;
    request.stop = &stop;
    if (runner_pack_request(&request, &packet, &len))
        return; /* no memory: tried again in the next round */
    RunnerSend sent = runner_scorer_send(&r->scorer, packet, len, NULL, 0);
    r->send_blocked = r->send_blocked || sent == RUNNER_SEND_LATER;
    if (sent != RUNNER_SENT)
        return;
    task->stop_sent = true;
    task->overdue_ns = VMAFX_MIN(task->overdue_ns, vmafx_monotonic_ns() + (uint64_t)STOP_GRACE_MS * NS_PER_MS);
}

static void send_start(VmafxRunner *r, RunnerTask *task)
{
    size_t n_fds = task->fds[3] >= 0 ? 4 : 3;
    RunnerSend sent = runner_scorer_send(&r->scorer, task->packet, task->packet_len, task->fds, n_fds);

    r->send_blocked = r->send_blocked || sent == RUNNER_SEND_LATER;
    if (sent == RUNNER_SENT)
        runner_task_started(task, vmafx_monotonic_ns());
}

/* What the callers wanted since the last round. */
static void send_all(VmafxRunner *r)
{
    RunnerTask *task;
    bool stop;

    r->send_blocked = false;
    for (size_t i = 0; (task = task_at(r, i, &stop));) {
        if (stop && !runner_task_is_started(task)) {
            finish_cancelled(r, task, "stopped before it began");
            continue; /* the next one has its place now */
        }
        if (r->scorer.ready && !r->send_blocked) {
            if (!runner_task_is_started(task))
                send_start(r, task);
            else if ((stop || task->spoilt) && !task->stop_sent)
                send_stop(r, task);
        }
        i++;
    }
}

/* ---- the scorer comes and goes ---- */

/* Remembers how the first start ended, for whoever waits in vmafx_runner_start. */
static void tell_started(VmafxRunner *r, VmafxErr err, const VmafxErrInfo *info)
{
    pthread_mutex_lock(&r->lock);
    if (!r->was_ready && !r->start_failed) {
        r->was_ready = !err;
        r->start_failed = err;
        r->start_err = err;
        if (info)
            r->start_info = *info;
        pthread_cond_broadcast(&r->started);
    }
    pthread_mutex_unlock(&r->lock);
}

static void changed(VmafxRunner *r, bool ready, const char *message)
{
    bool first = !r->facts.kernel_level; /* the caller of start hears of that one */

    atomic_store(&r->ready, ready);
    if (!first && r->config.changed)
        r->config.changed(r->config.ctx, ready, message);
}

/* It has gone, or has to go. What its tasks had already told counts. */
static void scorer_gone(VmafxRunner *r, const VmafxErrInfo *why)
{
    VmafxErrInfo how = { 0 }, message;
    bool was_ready = r->scorer.ready;
    bool steady = vmafx_monotonic_ns() - r->scorer.started_ns > (uint64_t)STEADY_S * 1000 * NS_PER_MS;
    RunnerTask *task;

    runner_scorer_end(&r->scorer, &how);
    const char *sentence = why ? why->message : how.message;
    r->backoff_ms = was_ready && steady
                        ? 0
                        : VMAFX_MIN(VMAFX_MAX(r->backoff_ms * 2, (unsigned)BACKOFF_MS), (unsigned)BACKOFF_MAX_MS);
    r->start_at_ns = vmafx_monotonic_ns() + (uint64_t)r->backoff_ms * NS_PER_MS;
    if (!was_ready)
        tell_started(r, VMAFX_ERR_UNREACHABLE, why ? why : &how);
    /* Not those that callbacks hand over meanwhile: whoever tries again at once would be refused for ever. */
    for (size_t i = 0, left = count_tasks(r); left && (task = task_at(r, i, NULL)); left--) {
        VmafxRunEnd end;

        if (was_ready && !runner_task_is_started(task)) {
            i++; /* waits for the next scorer; if that does not come up either, it ends */
            continue;
        }
        if (runner_task_is_started(task))
            runner_task_read(task, r->buffer, READ_BYTES, SIZE_MAX);
        runner_task_end(task, NULL, sentence, &message, &end);
        finish(r, task, &end);
    }
    changed(r, false, sentence);
}

static void start_scorer(VmafxRunner *r)
{
    VmafxErrInfo info = { 0 };
    VmafxErr err = runner_scorer_start(&r->scorer, r->program, &info);

    if (!err)
        return;
    tell_started(r, err, &info);
    scorer_gone(r, &info);
}

static void on_ready(VmafxRunner *r, VmafxMessage **message, const Vmafx__Scorer__V1__Ready *ready)
{
    r->scorer.ready = true;
    if (r->facts.kernel_level) {
        changed(r, true, "vmafx-scorer is back");
        return;
    }
    changed(r, true, "");
    r->facts = (VmafxRunnerFacts){ .models = (const char *const *)ready->models,
                                   .n_models = ready->n_models,
                                   .kernel_level = ready->kernel_level,
                                   .sandbox_layers = (const char *const *)ready->sandbox_layers,
                                   .n_sandbox_layers = ready->n_sandbox_layers };
    r->ready_message = VMAFX_TAKE(*message);
    tell_started(r, VMAFX_OK, NULL);
}

static void on_encoders(VmafxRunner *r, const Vmafx__Scorer__V1__Encoders *encoders)
{
    uint64_t set = ENCODERS_KNOWN;

    for (size_t i = 0; i < encoders->n_names; i++) {
        int number = vmafx_encoder_name_index(encoders->names[i]);

        if (number >= 0)
            set |= (uint64_t)1 << number;
    }
    atomic_store(&r->encoders, set);
    if (r->config.encoders)
        r->config.encoders(r->config.ctx);
}

static void on_exited(VmafxRunner *r, const Vmafx__Scorer__V1__Exited *exited)
{
    RunnerTask *task = find_task(r, exited->tag);
    VmafxErrInfo message;
    VmafxRunEnd end;

    if (!task || !runner_task_is_started(task))
        return;
    runner_task_read(task, r->buffer, READ_BYTES, SIZE_MAX); /* the pipe holds little, and nobody writes any more */
    runner_task_end(task, exited, NULL, &message, &end);
    finish(r, task, &end);
}

static void on_refused(VmafxRunner *r, const Vmafx__Scorer__V1__Refused *refused)
{
    RunnerTask *task = find_task(r, refused->tag);
    char message[VMAFX_ERR_MESSAGE_MAX];

    if (!task)
        return;
    snprintf(message, sizeof message, "vmafx-scorer refused the scoring: %s", refused->message);
    vmafx_text_mend(message);
    finish_refused(r, task, VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_RESOURCE, message);
}

static void take_events(VmafxRunner *r)
{
    while (r->scorer.socket >= 0) {
        VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
        VmafxErrInfo info = { 0 };
        VmafxErr err = runner_scorer_receive(&r->scorer, r->buffer, READ_BYTES, &message, &info);

        if (err) {
            scorer_gone(r, err == VMAFX_ERR_IO ? NULL : &info);
            return;
        }
        if (!message)
            return;
        const Vmafx__Scorer__V1__ScorerEvent *event = vmafx_message_get(message);
        if (event->kind_case == VMAFX__SCORER__V1__SCORER_EVENT__KIND_READY)
            on_ready(r, &message, event->ready);
        else if (event->kind_case == VMAFX__SCORER__V1__SCORER_EVENT__KIND_EXITED)
            on_exited(r, event->exited);
        else if (event->kind_case == VMAFX__SCORER__V1__SCORER_EVENT__KIND_REFUSED)
            on_refused(r, event->refused);
        else if (event->kind_case == VMAFX__SCORER__V1__SCORER_EVENT__KIND_ENCODERS)
            on_encoders(r, event->encoders);
    }
}

/* ---- time ---- */

/* The scorer kills what is over its time; one that does not is not working. Returns when to look again. */
static uint64_t check_overdue(VmafxRunner *r)
{
    uint64_t now = vmafx_monotonic_ns(), next = FOR_EVER_NS;
    RunnerTask *task;

    for (size_t i = 0; r->scorer.ready && (task = task_at(r, i, NULL)); i++) {
        if (task->overdue_ns <= now) {
            VmafxErrInfo why = { "vmafx-scorer did not end a task in time and was killed" };

            scorer_gone(r, &why);
            break;
        }
        next = VMAFX_MIN(next, task->overdue_ns);
    }
    if (!r->scorer.pid)
        return VMAFX_MIN(next, r->start_at_ns);
    if (r->scorer.ready)
        return next;
    uint64_t give_up = r->scorer.started_ns + (uint64_t)READY_S * 1000 * NS_PER_MS;
    if (give_up <= now) {
        VmafxErrInfo why;

        snprintf(why.message, sizeof why.message, "vmafx-scorer was not ready within %d s and was killed", READY_S);
        scorer_gone(r, &why);
        return r->start_at_ns;
    }
    return VMAFX_MIN(next, give_up);
}

static int timeout_until(uint64_t at_ns)
{
    uint64_t now = vmafx_monotonic_ns();

    if (at_ns == FOR_EVER_NS)
        return -1;
    return at_ns <= now ? 0 : (int)VMAFX_MIN((at_ns - now) / NS_PER_MS + 1, (uint64_t)3600000);
}

/* ---- the loop ---- */

static bool is_stopping(VmafxRunner *r)
{
    pthread_mutex_lock(&r->lock);
    bool stopping = r->stopping;
    pthread_mutex_unlock(&r->lock);
    return stopping;
}

static void wait_and_read(VmafxRunner *r, uint64_t until_ns)
{
    struct pollfd waits[2 + VMAFX_RUNNER_TASKS_MAX] = {
        { .fd = r->wake, .events = POLLIN },
        { .fd = r->scorer.socket, .events = (short)(POLLIN | (r->send_blocked ? POLLOUT : 0)) },
    };
    RunnerTask *tasks[VMAFX_RUNNER_TASKS_MAX];
    size_t n = 0;
    RunnerTask *task;
    eventfd_t count;

    for (size_t i = 0; (task = task_at(r, i, NULL)); i++)
        if (task->pipe >= 0 && runner_task_is_started(task)) {
            waits[2 + n] = (struct pollfd){ .fd = task->pipe, .events = POLLIN };
            tasks[n++] = task;
        }
    if (poll(waits, 2 + n, timeout_until(until_ns)) <= 0)
        return;
    if (waits[0].revents)
        VMAFX_IGNORE(eventfd_read(r->wake, &count)); /* why it was woken is in the list */
    for (size_t i = 0; i < n; i++) /* nothing takes tasks out of the list here, so they are all there still */
        if (waits[2 + i].revents)
            runner_task_read(tasks[i], r->buffer, READ_BYTES, READ_TURN);
    if (waits[1].revents)
        take_events(r);
}

static void *run_loop(void *arg)
{
    VmafxRunner *r = arg;
    RunnerTask *task;

    while (!is_stopping(r)) {
        if (!r->scorer.pid && r->start_at_ns <= vmafx_monotonic_ns())
            start_scorer(r);
        send_all(r);
        wait_and_read(r, check_overdue(r));
    }
    runner_scorer_end(&r->scorer, NULL);
    while ((task = task_at(r, 0, NULL)))
        finish_cancelled(r, task, "the program is stopping");
    return NULL;
}

/* ---- what the header promises ---- */

static void runner_free(VmafxRunner **runner)
{
    VmafxRunner *r = *runner;

    if (!r)
        return;
    if (r->wake >= 0)
        close(r->wake);
    vmafx_message_free(&r->ready_message);
    free(r->buffer);
    free(r->program);
    pthread_cond_destroy(&r->started);
    pthread_mutex_destroy(&r->lock);
    free(r);
    *runner = NULL;
}

/* Until the scorer is ready or cannot be started; the thread has a time limit for that. */
static VmafxErr wait_started(VmafxRunner *r, VmafxErrInfo *reterr)
{
    pthread_mutex_lock(&r->lock);
    while (!r->was_ready && !r->start_failed)
        pthread_cond_wait(&r->started, &r->lock);
    VmafxErr err = r->start_err;
    VmafxErrInfo info = r->start_info;
    pthread_mutex_unlock(&r->lock);
    return err ? vmafx_fail(reterr, err, "%s", *info.message ? info.message : vmafx_err_text(err)) : VMAFX_OK;
}

VmafxErr vmafx_runner_start(const VmafxRunnerConfig *config, VmafxRunner **ret, VmafxErrInfo *reterr)
{
    if (config->tasks_max < 1 || config->tasks_max > VMAFX_RUNNER_TASKS_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "%d tasks at a time: 1 to %d are possible", config->tasks_max,
                          VMAFX_RUNNER_TASKS_MAX);
    VMAFX_AUTO(runner_free) VmafxRunner *r = calloc(1, sizeof *r);
    if (!r)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for the runner");
    r->config = *config;
    if (!r->config.frames_max)
        r->config.frames_max = FRAMES_MAX;
    r->scorer.socket = -1;
    r->program = runner_scorer_path(config->program);
    r->buffer = malloc(READ_BYTES);
    r->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->started, NULL);
    if (!r->program || !r->buffer)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for the runner");
    if (r->wake < 0)
        return vmafx_fail(reterr, VMAFX_ERR_IO, "eventfd: %s", strerror(errno));
    if (pthread_create(&r->thread, NULL, run_loop, r))
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "cannot start the runner's thread");
    VmafxErr err = wait_started(r, reterr);
    if (err) {
        VmafxRunner *started = VMAFX_TAKE(r);

        vmafx_runner_stop(&started);
        return err;
    }
    *ret = VMAFX_TAKE(r);
    return VMAFX_OK;
}

void vmafx_runner_stop(VmafxRunner **runner)
{
    VmafxRunner *r = *runner;

    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    r->stopping = true;
    pthread_mutex_unlock(&r->lock);
    wake(r);
    pthread_join(r->thread, NULL);
    runner_free(runner);
}

const VmafxRunnerFacts *vmafx_runner_facts(const VmafxRunner *runner)
{
    return &runner->facts;
}

bool vmafx_runner_encoders(const VmafxRunner *runner, VmafxEncoderSet *ret)
{
    uint64_t set = atomic_load(&runner->encoders);

    *ret = (VmafxEncoderSet)set;
    return set & ENCODERS_KNOWN;
}

bool vmafx_runner_is_ready(const VmafxRunner *runner)
{
    return atomic_load(&runner->ready);
}

static VmafxErr add_task(VmafxRunner *r, RunnerTask *task, VmafxErrInfo *reterr)
{
    VmafxErr err = VMAFX_OK;

    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->n_tasks && !err; i++)
        if (r->tasks[i]->tag == task->tag)
            err = vmafx_fail(reterr, VMAFX_ERR_CONFLICT, "a task with this tag is there already");
    if (!err && r->stopping)
        err = vmafx_fail(reterr, VMAFX_ERR_STOPPED, "the program is stopping");
    if (!err && r->n_tasks >= (size_t)r->config.tasks_max)
        err = vmafx_fail(reterr, VMAFX_ERR_BUSY, "%zu tasks are there already, as many as are taken", r->n_tasks);
    if (!err)
        r->tasks[r->n_tasks++] = task;
    pthread_mutex_unlock(&r->lock);
    return err;
}

VmafxErr vmafx_runner_run(VmafxRunner *runner, const VmafxRunTask *task, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(runner_task_free) RunnerTask *made = NULL;
    VmafxErr err = runner_task_new(task, runner->config.frames_max, &made, reterr);

    if (!err)
        err = add_task(runner, made, reterr);
    if (err)
        return err;
    made = NULL; /* the list's */
    wake(runner);
    return VMAFX_OK;
}

void vmafx_runner_stop_task(VmafxRunner *runner, uint64_t tag)
{
    pthread_mutex_lock(&runner->lock);
    for (size_t i = 0; i < runner->n_tasks; i++)
        if (runner->tasks[i]->tag == tag)
            runner->tasks[i]->stop_wanted = true;
    pthread_mutex_unlock(&runner->lock);
    wake(runner);
}
