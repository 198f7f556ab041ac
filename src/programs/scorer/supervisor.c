/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 *     socket ──► Start: fork ──► child ──► pipe (of the program's; the scorer keeps no end of it)
 *            ──► Stop: SIGKILL
 *     SIGCHLD ─► Exited ──► socket
 *
 * After Ready a child tries which encoders work inside the sandbox (probe.h); when that is known, Encoders is sent.
 *
 * There is one thread from start to end, so that a fork copies all there is. Ends of children and of their time are the
 * only things waited for besides the socket and that.
 */

#include "programs/scorer/supervisor.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"
#include "programs/scorer/channel.h"
#include "programs/scorer/child.h"
#include "programs/scorer/lines.h"
#include "programs/scorer/probe.h"
#include "programs/scorer/sandbox.h"
#include "programs/scorer/warm_up.h"
#include "score/registry.h"

#define ARENAS_MAX     4 /* each reserves 64 MiB of addresses, which count against a child's limit */
#define SEND_TIMEOUT_S 10
#define THREADS_MAX    256
#define WALL_MS_MAX    ((int64_t)31 * 24 * 3600 * 1000)
#define KEEP_BYTES_MAX ((int64_t)1 << 60)

typedef Vmafx__Scorer__V1__ScorerEvent Event;

typedef struct Task {
    uint64_t tag;
    pid_t pid;
    uint64_t kill_at_ns; /* 0: never */
    bool timed_out, stopped;
} Task;

typedef struct Supervisor {
    int socket, signals;
    Sandbox sandbox;
    unsigned layers;
    VmafxModelRegistry *models;
    ChannelBuffer *buffer;
    Probe probe;
    Task tasks[SCORER_TASKS_MAX];
    size_t n_tasks;
    bool over;
} Supervisor;

static void supervisor_done(Supervisor *s)
{
    if (s->signals >= 0)
        close(s->signals);
    vmafx_model_registry_free(&s->models);
    free(s->buffer);
}

/* ---- what is sent ---- */

static void send_event(Supervisor *s, Event *event)
{
    if (channel_write(s->socket, s->buffer, &event->base)) {
        line_log(VMAFX_ERROR, "the program does not listen, giving up", strerror(errno));
        s->over = true;
    }
}

static void send_ready(Supervisor *s)
{
    Event event = VMAFX__SCORER__V1__SCORER_EVENT__INIT;
    Vmafx__Scorer__V1__Ready ready = VMAFX__SCORER__V1__READY__INIT;
    const char *models[VMAFX_REGISTRY_MODELS_MAX], *layers[SANDBOX_LAYERS];

    ready.n_models = vmafx_model_registry_count(s->models);
    for (size_t i = 0; i < ready.n_models; i++)
        models[i] = vmafx_model_registry_at(s->models, i)->version;
    ready.models = (char **)(uintptr_t)models;
    ready.kernel_level = (char *)(uintptr_t)kernel_level();
    ready.n_sandbox_layers = sandbox_layer_names(s->layers, layers);
    ready.sandbox_layers = (char **)(uintptr_t)layers;
    event.kind_case = VMAFX__SCORER__V1__SCORER_EVENT__KIND_READY;
    event.ready = &ready;
    send_event(s, &event);
}

static void send_encoders(Supervisor *s, VmafxEncoderSet encoders)
{
    Event event = VMAFX__SCORER__V1__SCORER_EVENT__INIT;
    Vmafx__Scorer__V1__Encoders message = VMAFX__SCORER__V1__ENCODERS__INIT;
    const char *names[VMAFX_ENCODERS_MAX];

    message.n_names = vmafx_encoder_set_names(encoders, names);
    message.names = (char **)(uintptr_t)names;
    event.kind_case = VMAFX__SCORER__V1__SCORER_EVENT__KIND_ENCODERS;
    event.encoders = &message;
    send_event(s, &event);
}

static void send_refused(Supervisor *s, uint64_t tag, const char *message)
{
    Event event = VMAFX__SCORER__V1__SCORER_EVENT__INIT;
    Vmafx__Scorer__V1__Refused refused = VMAFX__SCORER__V1__REFUSED__INIT;

    refused.tag = tag;
    refused.message = (char *)(uintptr_t)message;
    event.kind_case = VMAFX__SCORER__V1__SCORER_EVENT__KIND_REFUSED;
    event.refused = &refused;
    send_event(s, &event);
}

static void send_exited(Supervisor *s, const Task *task, int status)
{
    Event event = VMAFX__SCORER__V1__SCORER_EVENT__INIT;
    Vmafx__Scorer__V1__Exited exited = VMAFX__SCORER__V1__EXITED__INIT;

    exited.tag = task->tag;
    exited.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    exited.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    exited.timed_out = task->timed_out;
    exited.stopped = task->stopped;
    event.kind_case = VMAFX__SCORER__V1__SCORER_EVENT__KIND_EXITED;
    event.exited = &exited;
    send_event(s, &event);
}

/* ---- children ---- */

static Task *find_task(Supervisor *s, uint64_t tag)
{
    for (size_t i = 0; i < s->n_tasks; i++)
        if (s->tasks[i].tag == tag)
            return &s->tasks[i];
    return NULL;
}

/* Why a Start cannot be; NULL when it can. */
static const char *objection(Supervisor *s, const ChannelRequest *request)
{
    const Vmafx__Scorer__V1__Start *start = request->request->start;
    const Vmafx__Scorer__V1__Limits *limits = start->limits;

    if (request->n_fds != 3 && request->n_fds != 4)
        return "three descriptors have to come with a start: reference, distorted, pipe; or a file to keep too";
    if (find_task(s, start->tag))
        return "a task with this tag is running";
    if (s->n_tasks == SCORER_TASKS_MAX)
        return "as many tasks are running as a scorer takes";
    if (!start->spec)
        return "the start has no job";
    if (start->threads < 0 || start->threads > THREADS_MAX)
        return "the number of threads is not between 0 and 256";
    if (limits && (limits->address_space_bytes < 0 || limits->cpu_seconds < 0 || limits->wall_ms < 0 ||
                   limits->wall_ms > WALL_MS_MAX || limits->keep_bytes < 0 || limits->keep_bytes > KEEP_BYTES_MAX))
        return "a limit is outside its range";
    return NULL;
}

static void start_task(Supervisor *s, const ChannelRequest *request)
{
    const Vmafx__Scorer__V1__Start *start = request->request->start;
    const char *why = objection(s, request);
    pid_t self = getpid();

    if (why) {
        send_refused(s, start->tag, why);
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        ChildTask task = { start, request->fds, request->n_fds, s->sandbox, self, s->models, s->buffer };

        child_restore_signals();
        child_run(&task);
    }
    if (pid < 0) {
        line_log(VMAFX_ERROR, "cannot fork a child", strerror(errno));
        send_refused(s, start->tag, "the machine cannot start another process");
        return;
    }
    int64_t wall_ms = start->limits ? start->limits->wall_ms : 0;
    s->tasks[s->n_tasks++] = (Task){ .tag = start->tag,
                                     .pid = pid,
                                     .kill_at_ns = wall_ms ? vmafx_monotonic_ns() + (uint64_t)wall_ms * 1000000u : 0 };
}

static void stop_task(Supervisor *s, uint64_t tag)
{
    Task *task = find_task(s, tag);

    if (!task)
        return; /* it has just ended by itself */
    task->stopped = true;
    kill(task->pid, SIGKILL);
}

static void reap_children(Supervisor *s)
{
    struct signalfd_siginfo info;
    pid_t pid;
    int status;

    while (read(s->signals, &info, sizeof info) > 0) /* several deaths may be one signal */
        ;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (probe_take_end(&s->probe, pid))
            continue;
        for (size_t i = 0; i < s->n_tasks; i++)
            if (s->tasks[i].pid == pid) {
                Task task = s->tasks[i];

                s->tasks[i] = s->tasks[--s->n_tasks];
                send_exited(s, &task, status);
                break;
            }
    }
}

/* Goes on where the last child has ended; when all has been tried, tells. */
static void continue_probe(Supervisor *s)
{
    VmafxEncoderSet encoders;

    if (probe_step(&s->probe, &s->sandbox, &encoders))
        send_encoders(s, encoders);
}

/* Kills whose time is up; returns how long to wait for the next, in ms, or -1. */
static int enforce_time(Supervisor *s)
{
    uint64_t now = vmafx_monotonic_ns(), next = UINT64_MAX;

    for (size_t i = 0; i < s->n_tasks; i++) {
        Task *task = &s->tasks[i];

        if (!task->kill_at_ns || task->timed_out)
            continue;
        if (task->kill_at_ns <= now) {
            task->timed_out = true;
            kill(task->pid, SIGKILL);
        } else {
            next = VMAFX_MIN(next, task->kill_at_ns);
        }
    }
    next = VMAFX_MIN(next, probe_enforce_time(&s->probe, now));
    return next == UINT64_MAX ? -1 : (int)VMAFX_MIN((next - now) / 1000000u + 1, (uint64_t)3600000);
}

static void kill_all(Supervisor *s)
{
    for (size_t i = 0; i < s->n_tasks; i++)
        kill(s->tasks[i].pid, SIGKILL);
    for (size_t i = 0; i < s->n_tasks; i++)
        while (waitpid(s->tasks[i].pid, NULL, 0) < 0 && errno == EINTR)
            ;
    s->n_tasks = 0;
    probe_done(&s->probe);
}

/* ---- the loop ---- */

static void take_request(Supervisor *s)
{
    VMAFX_AUTO(channel_request_done) ChannelRequest request = { 0 };
    VmafxErrInfo info = { 0 };
    VmafxErr err = channel_read(s->socket, s->buffer, &request, &info);

    if (err)
        line_log(VMAFX_ERROR, "a request cannot be read", info.message);
    if (err || !request.request) {
        s->over = err == VMAFX_OK || err == VMAFX_ERR_IO;
        return;
    }
    switch (request.request->kind_case) {
    case VMAFX__SCORER__V1__SCORER_REQUEST__KIND_START:
        start_task(s, &request);
        break;
    case VMAFX__SCORER__V1__SCORER_REQUEST__KIND_STOP:
        stop_task(s, request.request->stop->tag);
        break;
    default:
        line_log(VMAFX_ERROR, "a request of a kind that is not known", NULL);
        break;
    }
}

static VmafxErr loop(Supervisor *s, VmafxErrInfo *reterr)
{
    while (!s->over) {
        continue_probe(s);
        struct pollfd waits[] = { { .fd = s->socket, .events = POLLIN }, { .fd = s->signals, .events = POLLIN } };
        int n = poll(waits, VMAFX_LEN(waits), enforce_time(s));

        if (n < 0 && errno != EINTR)
            return vmafx_fail(reterr, VMAFX_ERR_IO, "poll: %s", strerror(errno));
        if (n > 0 && waits[1].revents)
            reap_children(s);
        if (n > 0 && waits[0].revents)
            take_request(s);
    }
    return VMAFX_OK;
}

/*
 * Signals that a terminal or a service manager sends to everybody are for the program this one works for: it may want
 * to finish what runs. The end of the socket is this one's end.
 */
static int take_signals(void)
{
    sigset_t child;

    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    if (sigprocmask(SIG_SETMASK, &child, NULL))
        return -1;
    return signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
}

static VmafxErr get_ready(Supervisor *s, VmafxErrInfo *reterr)
{
    const struct timeval timeout = { .tv_sec = SEND_TIMEOUT_S };
    VmafxErrInfo info = { 0 };
    VmafxErr err = sandbox_prepare(&s->sandbox, reterr);

    if (err)
        return err;
    s->layers = sandbox_probe(&s->sandbox, &info);
    if (!s->layers)
        return vmafx_fail(reterr, VMAFX_ERR_UNSUPPORTED, "%s", info.message);
    mallopt(M_ARENA_MAX, ARENAS_MAX);
    s->buffer = calloc(1, sizeof *s->buffer);
    err = s->buffer ? vmafx_model_registry_load(&s->models, reterr) : VMAFX_ERR_NOMEM;
    if (err)
        return err;
    warm_up(s->models);
    malloc_trim(0); /* what reading the models took is not to be carried along by every child */
    /* After the probe's child: its end is not one of a task. */
    s->signals = take_signals();
    if (s->signals < 0 || setsockopt(s->socket, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout))
        return vmafx_fail(reterr, VMAFX_ERR_IO, "cannot set up the loop: %s", strerror(errno));
    return VMAFX_OK;
}

VmafxErr supervisor_run(int socket, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(supervisor_done) Supervisor s = { .socket = socket, .signals = -1 };
    VmafxErr err = get_ready(&s, reterr);

    if (err)
        return err;
    send_ready(&s);
    err = loop(&s, reterr);
    kill_all(&s);
    return err;
}
