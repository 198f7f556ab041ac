/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Threads that run handlers, first come, first served. */

#include "base/base.h"
#include "http/server_internal.h"

/* The next one, or NULL when the thread may end. */
static VmafxHttpCall *take(HttpPool *pool, bool *ret_refuse)
{
    pthread_mutex_lock(&pool->lock);
    while (!pool->first && !pool->closing)
        pthread_cond_wait(&pool->wake, &pool->lock);
    VmafxHttpCall *call = pool->first;
    if (call) {
        pool->first = call->next;
        pool->waiting--;
        pool->idle--;
        if (!pool->first)
            pool->last = NULL;
    }
    *ret_refuse = pool->refusing;
    pthread_mutex_unlock(&pool->lock);
    return call;
}

static void become_idle(HttpPool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->idle++;
    pthread_mutex_unlock(&pool->lock);
}

static void *work(void *arg)
{
    VmafxHttpCall *call;
    bool refuse;

    pthread_setname_np(pthread_self(), "http worker");
    while ((call = take(arg, &refuse))) {
        struct MHD_Connection *mhd = call->mhd;

        http_call_run(call, refuse);
        become_idle(arg);
        MHD_resume_connection(mhd); /* from here on the call may be gone */
    }
    return NULL;
}

VmafxErr http_pool_start(HttpPool *pool, int threads, int waiting_max)
{
    pool->threads = calloc((size_t)threads, sizeof *pool->threads);
    if (!pool->threads)
        return VMAFX_ERR_NOMEM;
    pool->waiting_max = waiting_max;
    pool->idle = threads;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    while (pool->n_threads < threads) {
        if (pthread_create(&pool->threads[pool->n_threads], NULL, work, pool))
            return VMAFX_ERR_NOMEM;
        pool->n_threads++;
    }
    return VMAFX_OK;
}

bool http_pool_push(HttpPool *pool, VmafxHttpCall *call)
{
    bool room;

    call->next = NULL;
    pthread_mutex_lock(&pool->lock);
    /* what an idle thread is about to take does not wait */
    room = pool->waiting < pool->waiting_max + pool->idle && !pool->closing;
    if (room) {
        if (pool->last)
            pool->last->next = call;
        else
            pool->first = call;
        pool->last = call;
        pool->waiting++;
        pthread_cond_signal(&pool->wake);
    }
    pthread_mutex_unlock(&pool->lock);
    return room;
}

void http_pool_refuse(HttpPool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->refusing = true;
    pthread_mutex_unlock(&pool->lock);
}

void http_pool_stop(HttpPool *pool)
{
    if (!pool->threads)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    while (pool->n_threads)
        pthread_join(pool->threads[--pool->n_threads], NULL);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->lock);
    free(pool->threads);
    pool->threads = NULL;
}
