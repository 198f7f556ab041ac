/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A few threads, joined before the call returns, so that all of it lives on the caller's stack. */

#include "otel/export/together.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "base/base.h"
#include "base/clock.h"

enum { WAITS_MAX = 4, STACK_BYTES = 256 << 10 };

typedef struct Together {
    uint64_t deadline_ns;
    pthread_mutex_t lock; /* covers what follows */
    pthread_cond_t changed;
    size_t running;
    VmafxExportResult worst;
} Together;

typedef struct Task {
    Together *together;
    const VmafxWait *wait;
    pthread_t thread;
} Task;

static void run(Together *t, const VmafxWait *wait)
{
    VmafxExportResult result = wait->of ? wait->wait(wait->of, t->deadline_ns) : VMAFX_EXPORT_OK;

    pthread_mutex_lock(&t->lock);
    t->worst = VMAFX_MAX(t->worst, result);
    pthread_mutex_unlock(&t->lock);
}

static void *task_main(void *arg)
{
    Task *task = arg;
    Together *t = task->together;

    run(t, task->wait);
    pthread_mutex_lock(&t->lock);
    t->running--;
    pthread_cond_signal(&t->changed);
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

static bool start(Task *task)
{
    pthread_attr_t attr;
    sigset_t all, old;

    if (pthread_attr_init(&attr))
        return false;
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are for the program's threads */
    pthread_mutex_lock(&task->together->lock);
    bool started = !pthread_create(&task->thread, &attr, task_main, task);
    task->together->running += started; /* it cannot have counted itself out yet */
    pthread_mutex_unlock(&task->together->lock);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    return started;
}

/* Until the others are done, or half of the time is over. */
static void await_others(Together *t)
{
    uint64_t now = vmafx_monotonic_ns(), left = t->deadline_ns > now ? t->deadline_ns - now : 0, until = now + left / 2;
    struct timespec at = { (time_t)(until / 1000000000u), (long)(until % 1000000000u) };

    pthread_mutex_lock(&t->lock);
    while (t->running && !pthread_cond_timedwait(&t->changed, &t->lock, &at))
        ;
    pthread_mutex_unlock(&t->lock);
}

VmafxExportResult vmafx_wait_together(const VmafxWait *waits, size_t n, uint64_t deadline_ns)
{
    Together t = { .deadline_ns = deadline_ns };
    Task tasks[WAITS_MAX];
    size_t n_tasks = 0;
    unsigned todo = 0; /* bits: what runs on this thread */
    pthread_condattr_t attr;

    if (!n)
        return VMAFX_EXPORT_OK;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&t.lock, NULL);
    pthread_cond_init(&t.changed, &attr);
    pthread_condattr_destroy(&attr);

    bool alone = !waits[n - 1].of; /* then the one that comes before needs no thread either */
    for (size_t i = n - 1; i-- > 0;) {
        tasks[n_tasks] = (Task){ .together = &t, .wait = &waits[i] };
        if (!waits[i].of)
            continue;
        if (!alone && n_tasks < WAITS_MAX - 1 && start(&tasks[n_tasks]))
            n_tasks++;
        else
            todo |= 1u << i;
        alone = false;
    }
    for (size_t i = 0; i < n - 1; i++)
        if (todo & 1u << i)
            run(&t, &waits[i]);
    await_others(&t);
    run(&t, &waits[n - 1]);
    for (size_t i = 0; i < n_tasks; i++)
        pthread_join(tasks[i].thread, NULL);
    pthread_cond_destroy(&t.changed);
    pthread_mutex_destroy(&t.lock);
    return t.worst;
}
