/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The store's clock: monotonic time plus an offset. The machine's wall clock and its monotonic one run alike (whoever
 * disciplines one disciplines the other), so a change of their difference is a step: someone set the clock, or the
 * machine slept. Steps forward of a second or more are taken at once; what else is missing is made up for, or held
 * back, by one part in SLEW of what passes, which keeps the store's time growing.
 */

#include "store/internal.h"

#include "base/clock.h"

#define SLEW 20
#define STEP 1000000 /* microseconds */

static VmafxWall machine_wall(void *ctx)
{
    return (VmafxWall)vmafx_wall_ns() / 1000;
}

static int64_t machine_monotonic(void *ctx)
{
    return (int64_t)(vmafx_monotonic_ns() / 1000);
}

void vmafx_store_time_init(VmafxStoreTime *time, const VmafxStoreClock *source, VmafxWall stored)
{
    *time = (VmafxStoreTime){ .source = source ? *source : (VmafxStoreClock){ machine_wall, machine_monotonic, NULL } };
    pthread_mutex_init(&time->lock, NULL);
    time->read_at = time->source.monotonic_us(time->source.ctx);
    time->seen = time->source.wall_us(time->source.ctx) - time->read_at;
    time->offset = time->seen;
    VmafxWall now = time->offset + time->read_at;
    if (stored > now)
        time->offset = stored - time->read_at;
    /* Down for long, or set forward while it was down: who can tell? Work did not need that time in either case. */
    if (stored > 0 && now - stored >= STEP) {
        time->ungraced = true;
        time->forward_us = now - stored;
    }
}

void vmafx_store_time_done(VmafxStoreTime *time)
{
    pthread_mutex_destroy(&time->lock);
}

VmafxWall vmafx_store_time_now(VmafxStoreTime *time)
{
    pthread_mutex_lock(&time->lock);
    int64_t monotonic = time->source.monotonic_us(time->source.ctx);
    int64_t difference = time->source.wall_us(time->source.ctx) - monotonic;
    int64_t step = difference - time->seen;
    int64_t slew = (monotonic - time->read_at) / SLEW;

    if (step >= STEP || step <= -STEP) {
        time->jumped = time->ungraced = true;
        time->step_us += step;
        if (difference > time->offset) {
            time->forward_us += difference - time->offset;
            time->offset = difference;
        }
    }
    int64_t missing = difference - time->offset;
    if (slew > 0) { /* else too little has passed: it stays on account */
        time->offset += missing > slew ? slew : missing < -slew ? -slew : missing;
        time->read_at = monotonic;
    }
    time->seen = difference;
    VmafxWall now = monotonic + time->offset;
    pthread_mutex_unlock(&time->lock);
    return now;
}

bool vmafx_store_time_jumped(VmafxStoreTime *time, int64_t *ret_step_us)
{
    (void)vmafx_store_time_now(time); /* a step that nobody has looked at yet counts too */
    pthread_mutex_lock(&time->lock);
    bool jumped = time->jumped;
    if (ret_step_us)
        *ret_step_us = time->step_us;
    time->jumped = false;
    time->step_us = 0;
    pthread_mutex_unlock(&time->lock);
    return jumped;
}

bool vmafx_store_time_take_jump(VmafxStoreTime *time, int64_t *ret_forward_us)
{
    pthread_mutex_lock(&time->lock);
    bool jumped = time->ungraced;
    *ret_forward_us = time->forward_us;
    time->ungraced = false;
    time->forward_us = 0;
    pthread_mutex_unlock(&time->lock);
    return jumped;
}

void vmafx_store_time_give_jump(VmafxStoreTime *time, int64_t forward_us)
{
    pthread_mutex_lock(&time->lock);
    time->ungraced = true;
    time->forward_us += forward_us;
    pthread_mutex_unlock(&time->lock);
}
