/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Threads that run tasks in the order they came. Threads are started as they are needed and stay. */
#ifndef VMAFX_RPC_POOL_H
#define VMAFX_RPC_POOL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/** Owned by whoever submits it; may be submitted again, or freed, as soon as run has been called. */
typedef struct RpcTask {
    struct RpcTask *next;
    void (*run)(struct RpcTask *task);
} RpcTask;

typedef struct RpcPool {
    pthread_t *threads;
    int max;
    bool made; /* what follows is initialised */

    pthread_mutex_t lock; /* covers everything below */
    pthread_cond_t change;
    RpcTask *first, **last;
    size_t n_waiting;
    int n_threads, n_idle;
    bool stopping;
} RpcPool;

/** At least one thread is there when this says true. */
bool rpc_pool_init(RpcPool *pool, int max);
/** Runs what waits, then ends the threads. Nothing may be submitted any more. A zeroed pool may be done. */
void rpc_pool_done(RpcPool *pool);
void rpc_pool_submit(RpcPool *pool, RpcTask *task);
/** The same unless more than `most` tasks wait already. */
bool rpc_pool_try_submit(RpcPool *pool, RpcTask *task, size_t most);
#endif
