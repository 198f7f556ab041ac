/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Memory for results that are not whole yet. */

#include "programs/controller/partials.h"

#include <string.h>

#include "base/base.h"
#include "programs/controller/nodes_internal.h"

static size_t all_max(const NodeTable *table)
{
    return table->config.results_bytes_max ? table->config.results_bytes_max : RESULTS_BYTES_MAX;
}

void partial_drop(NodeTable *table, Session *session, Held *held)
{
    size_t room = held->partial.room;

    free(held->partial.data);
    held->partial = (Partial){ 0 };
    session->partial_bytes -= room;
    table->result_bytes -= room;
}

uint8_t *partial_take(Session *session, Held *held, size_t *ret_len, size_t *ret_room)
{
    Partial partial = held->partial;

    held->partial = (Partial){ .taken_away = partial.taken_away };
    session->partial_bytes -= partial.room;
    *ret_len = partial.len;
    *ret_room = partial.room;
    return partial.data;
}

void partial_freed(NodeTable *table, size_t room)
{
    table->result_bytes -= room;
}

static Session *greediest(NodeTable *table)
{
    Session *most = NULL;

    for (size_t i = 0; i < table->n_sessions; i++)
        if (table->sessions[i]->partial_bytes > (most ? most->partial_bytes : 0))
            most = table->sessions[i];
    return most;
}

/** A node's largest, and the one that wants to grow only when there is no other. False: it has none. */
static bool take_largest_away(NodeTable *table, Session *session, const Held *growing)
{
    Held *largest = NULL, *itself = NULL;

    for (size_t i = 0; i < session->n_held; i++) {
        Held *held = &session->held[i];
        if (held == growing)
            itself = held->partial.room ? held : NULL;
        else if (held->partial.room > (largest ? largest->partial.room : 0))
            largest = held;
    }
    if (!largest)
        largest = itself;
    if (!largest)
        return false;
    partial_drop(table, session, largest);
    largest->partial.taken_away = true;
    return true;
}

/** False: there is none, or the one that asks has lost its own. */
static bool make_room(NodeTable *table, Session *session, const Held *held, size_t more)
{
    bool found = true;

    while (found && !held->partial.taken_away && session->partial_bytes + more > RESULT_BYTES_MAX)
        found = take_largest_away(table, session, held);
    while (found && !held->partial.taken_away && table->result_bytes + more > all_max(table)) {
        Session *most = greediest(table);
        found = most && take_largest_away(table, most, held);
    }
    return found && !held->partial.taken_away;
}

static bool grow(NodeTable *table, Session *session, Held *held, size_t want)
{
    size_t room = VMAFX_MAX(want, VMAFX_MIN(2 * held->partial.room, RESULT_BYTES_MAX));

    if (want <= held->partial.room)
        return true;
    if (!make_room(table, session, held, room - held->partial.room))
        return false;
    uint8_t *more = realloc(held->partial.data, room);
    if (!more)
        return false;
    session->partial_bytes += room - held->partial.room;
    table->result_bytes += room - held->partial.room;
    held->partial.data = more;
    held->partial.room = room;
    return true;
}

void partial_add(NodeTable *table, Session *session, Held *held, int64_t offset, const void *data, size_t len)
{
    Partial *partial = &held->partial;

    if (offset == 0) {
        partial->len = 0;
        partial->taken_away = false;
    }
    if (partial->taken_away || offset != (int64_t)partial->len || len > RESULT_BYTES_MAX - partial->len || !len)
        return;
    if (!grow(table, session, held, partial->len + len)) {
        if (partial->data)
            partial_drop(table, session, held); /* nothing behind it can be of use */
        partial->taken_away = true;
        return;
    }
    memcpy(partial->data + partial->len, data, len);
    partial->len += len;
}
