/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A lock and its condition, and waiting by the monotonic clock. */

#include "score/score_internal.h"

#include <errno.h>
#include <time.h>

double score_seconds_since(const struct timespec *from, clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (double)(now.tv_sec - from->tv_sec) + (double)(now.tv_nsec - from->tv_nsec) / 1e9;
}

struct timespec score_in_ms(long ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += ms * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    return until;
}

bool score_sync_init(ScoreSync *sync)
{
    pthread_condattr_t attr;

    if (pthread_condattr_init(&attr))
        return false;
    bool made = !pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) && !pthread_cond_init(&sync->changed, &attr);
    pthread_condattr_destroy(&attr);
    if (!made)
        return false;
    if (pthread_mutex_init(&sync->lock, NULL)) {
        pthread_cond_destroy(&sync->changed);
        return false;
    }
    sync->ready = true;
    return true;
}

void score_sync_done(ScoreSync *sync)
{
    if (!sync->ready)
        return;
    pthread_mutex_destroy(&sync->lock);
    pthread_cond_destroy(&sync->changed);
    sync->ready = false;
}

bool score_sync_wait_until(ScoreSync *sync, const struct timespec *until)
{
    return pthread_cond_timedwait(&sync->changed, &sync->lock, until) != ETIMEDOUT;
}
