/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Results on their way in: what has come of each, in memory, until its end has come too. Bounded for each node and in
 * all, because nobody promises that the end ever comes. What has no room takes it from the node that fills the most
 * with results it has not finished, itself included; a result whose bytes were taken is asked for again.
 *
 * The sum counts what waits for the disk as well. All with the table's lock.
 */
#ifndef VMAFX_PROGRAMS_CONTROLLER_PARTIALS_H
#define VMAFX_PROGRAMS_CONTROLLER_PARTIALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

#define RESULT_BYTES_MAX  VMAFX_STORE_RESULT_MAX /* of one; and of all that one node has not finished */
#define RESULTS_BYTES_MAX ((size_t)1 << 30)      /* of all nodes together */

/** Zeroed: nothing has come. */
typedef struct Partial {
    uint8_t *data;
    size_t len, room;
    bool taken_away; /* its bytes had to make room, and it has not begun anew */
} Partial;

struct NodeTable;
struct Session;
struct Held;

/**
 * The bytes at an offset. Those at 0 begin it anew; what does not come right behind the last ones, or is more than a
 * result may have, is passed over: the digest will tell.
 */
void partial_add(struct NodeTable *table, struct Session *session, struct Held *held, int64_t offset, const void *data,
                 size_t len);
/** Frees what has come. */
void partial_drop(struct NodeTable *table, struct Session *session, struct Held *held);
/** Hands the bytes to the caller; they count until partial_freed says so. NULL: there are none. */
uint8_t *partial_take(struct Session *session, struct Held *held, size_t *ret_len, size_t *ret_room);
void partial_freed(struct NodeTable *table, size_t room);
#endif
