/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Bytes that arrive over the network into pipes that a child reads. What the child does not take at once waits here, up
 * to a window for each of the two inputs; then whoever sends is to wait. One thread for all of them writes when pipes
 * have room, and looks twice a second whether something is stuck:
 *
 *   STARVED  one window is full, and the child has nothing left of the other input and waits for it: for ever, unless
 *            the sender sends both in turns
 *   IDLE     the child waits for data, and none has come for the time that is allowed
 *
 * Any thread; nothing here waits. Callbacks come without a lock from the pump's thread or from feed_write's caller.
 */
#ifndef VMAFX_PROGRAMS_SERVER_PUMP_H
#define VMAFX_PROGRAMS_SERVER_PUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmafx/error.h>

#define PUMP_STARVED_MS 5000 /* nothing moves for this long, as described above */

typedef struct Pump Pump;
typedef struct Feed Feed; /* two pipes; counted, from feed_open until feed_close and the end of what runs in it */

typedef enum FeedTrouble { FEED_STARVED, FEED_IDLE } FeedTrouble;

typedef struct FeedConfig {
    size_t window_bytes;
    uint32_t idle_ms;
    bool (*active)(void *ctx);                     /* is somebody reading, so that waiting means something? */
    void (*room)(void *ctx);                       /* once after each `full`: both are below half of the window */
    void (*stuck)(void *ctx, FeedTrouble trouble); /* once at most */
    void (*release)(void *ctx);                    /* once, the last: ctx is needed no more */
    void *ctx;
} FeedConfig;

VMAFX_CHECK VmafxErr pump_start(Pump **ret, VmafxErrInfo *reterr);
/** Every feed is closed. */
void pump_stop(Pump **pump);

/**
 * @param ret_fds  the ends to read from, close-on-exec; the caller's
 * @return VMAFX_ERR_IO no descriptor left; VMAFX_ERR_NOMEM. release does not come then
 */
VMAFX_CHECK VmafxErr feed_open(Pump *pump, const FeedConfig *config, Feed **ret, int ret_fds[2], VmafxErrInfo *reterr);
/**
 * Bytes of input 0 or 1; what nobody reads any more is dropped. *ret_full: a window is full (again), so `room` will be
 * called; until then the caller should hand over nothing more.
 * @return VMAFX_ERR_STATE its end was there already; VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr feed_write(Feed *feed, int input, const void *data, size_t len, bool *ret_full);
/** That was all of it: the reader sees the end after what waits. */
void feed_end(Feed *feed, int input);
/** Closes both pipes at once, and gives the caller's reference back. */
void feed_close(Feed **feed);
#endif
