/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A pool of threads: a list, a condition, as many threads as were ever busy at a time. */

#include "rpc/pool.h"

#include <stdlib.h>

#include "rpc/library.h"

static void *work(void *arg)
{
    RpcPool *pool = arg;

    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (!pool->first && !pool->stopping) {
            pool->n_idle++;
            pthread_cond_wait(&pool->change, &pool->lock);
            pool->n_idle--;
        }
        RpcTask *task = pool->first;
        if (!task)
            break;
        pool->first = task->next;
        if (!pool->first)
            pool->last = &pool->first;
        pool->n_waiting--;
        pthread_mutex_unlock(&pool->lock);
        task->run(task);
        pthread_mutex_lock(&pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* With the lock held. When the system has no thread left, those that are there do the work. */
static bool add_thread(RpcPool *pool)
{
    if (pool->n_threads == pool->max || !rpc_thread_start(&pool->threads[pool->n_threads], work, pool))
        return false;
    pool->n_threads++;
    return true;
}

bool rpc_pool_init(RpcPool *pool, int max)
{
    *pool = (RpcPool){ .max = max, .threads = calloc((size_t)max, sizeof *pool->threads) };
    if (!pool->threads)
        return false;
    pool->last = &pool->first;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->change, NULL);
    pool->made = true;
    pthread_mutex_lock(&pool->lock);
    bool good = add_thread(pool);
    pthread_mutex_unlock(&pool->lock);
    return good;
}

void rpc_pool_done(RpcPool *pool)
{
    if (pool->made) {
        pthread_mutex_lock(&pool->lock);
        pool->stopping = true;
        pthread_cond_broadcast(&pool->change);
        pthread_mutex_unlock(&pool->lock);
        for (int i = 0; i < pool->n_threads; i++) /* nobody adds one now */
            pthread_join(pool->threads[i], NULL);
        pthread_cond_destroy(&pool->change);
        pthread_mutex_destroy(&pool->lock);
    }
    free(pool->threads);
    *pool = (RpcPool){ 0 };
}

bool rpc_pool_try_submit(RpcPool *pool, RpcTask *task, size_t most)
{
    pthread_mutex_lock(&pool->lock);
    bool room = pool->n_waiting <= most;
    if (room) {
        task->next = NULL;
        *pool->last = task;
        pool->last = &task->next;
        pool->n_waiting++;
        if (pool->n_waiting > (size_t)pool->n_idle && !pool->stopping)
            add_thread(pool);
        pthread_cond_signal(&pool->change);
    }
    pthread_mutex_unlock(&pool->lock);
    return room;
}

void rpc_pool_submit(RpcPool *pool, RpcTask *task)
{
    rpc_pool_try_submit(pool, task, SIZE_MAX);
}
