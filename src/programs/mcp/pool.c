/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A few threads for calls that take time: a ring of work, threads added while all are busy. */

#include "programs/mcp/pool.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/base.h"

typedef struct Work {
    void (*run)(void *arg);
    void *arg;
} Work;

struct Pool {
    int threads_max, waiting_max;

    pthread_mutex_t lock; /* covers everything below */
    pthread_cond_t change;
    pthread_t *threads;
    int n_threads, n_idle, n_busy;
    Work *ring; /* waiting_max + threads_max of them: a thread that wakes has not taken its work yet */
    int first, n;
    bool stopping;
};

static int room(const Pool *pool)
{
    return pool->waiting_max + pool->threads_max;
}

Pool *pool_new(int threads_max, int waiting_max)
{
    Pool *pool = calloc(1, sizeof *pool);

    if (!pool)
        return NULL;
    pool->threads_max = threads_max;
    pool->waiting_max = waiting_max;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->change, NULL);
    pool->threads = calloc((size_t)threads_max, sizeof *pool->threads);
    pool->ring = calloc((size_t)room(pool), sizeof *pool->ring);
    if (!pool->threads || !pool->ring)
        pool_free(&pool);
    return pool;
}

static void *work(void *arg)
{
    Pool *pool = arg;

    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (!pool->n && !pool->stopping) {
            pool->n_idle++;
            pthread_cond_wait(&pool->change, &pool->lock);
            pool->n_idle--;
        }
        if (!pool->n)
            break;
        Work next = pool->ring[pool->first];
        pool->first = (pool->first + 1) % room(pool);
        pool->n--;
        pool->n_busy++;
        pthread_mutex_unlock(&pool->lock);
        next.run(next.arg);
        pthread_mutex_lock(&pool->lock);
        pool->n_busy--;
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

bool pool_run(Pool *pool, void (*run)(void *arg), void *arg)
{
    bool taken = false;

    pthread_mutex_lock(&pool->lock);
    if (pool->n >= pool->n_idle && pool->n_threads < pool->threads_max &&
        !pthread_create(&pool->threads[pool->n_threads], NULL, work, pool))
        pool->n_threads++;
    if (!pool->stopping && pool->n_threads && pool->n + pool->n_busy < room(pool)) {
        pool->ring[(pool->first + pool->n++) % room(pool)] = (Work){ run, arg };
        pthread_cond_signal(&pool->change);
        taken = true;
    }
    pthread_mutex_unlock(&pool->lock);
    return taken;
}

void pool_free(Pool **at)
{
    Pool *pool = VMAFX_TAKE(*at);

    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->change);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->n_threads; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->change);
    pthread_mutex_destroy(&pool->lock);
    free(pool->threads);
    free(pool->ring);
    free(pool);
}
