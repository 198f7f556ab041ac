/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A few threads for calls that take time, started when there is work, and a short queue before them. Any thread. */
#ifndef VMAFX_PROGRAMS_MCP_POOL_H
#define VMAFX_PROGRAMS_MCP_POOL_H

#include <stdbool.h>

typedef struct Pool Pool;

/** NULL: no memory. */
Pool *pool_new(int threads_max, int waiting_max);
/** run(arg) on one of the threads; false: too much waits already, or no thread could be started. */
bool pool_run(Pool *pool, void (*run)(void *arg), void *arg);
/** Runs what waits, then ends the threads. */
void pool_free(Pool **pool);
#endif
