/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A node's stream in parts: each takes one kind of message, on the stream's strand. */
#ifndef VMAFX_PROGRAMS_CONTROLLER_CONNECT_INTERNAL_H
#define VMAFX_PROGRAMS_CONTROLLER_CONNECT_INTERNAL_H

#include "programs/controller/nodes_internal.h"

#define HELD_MAX 4096 /* attempts in one message */

/* connect.c */

/** Ends the stream for what its node said. */
void connect_refuse(Session *session, VmafxErr err, const char *message);

/**
 * What a node has under way in the store. When it is much, nothing more of the node is read until some of it is done,
 * so that one that talks faster than the disk writes fills neither the memory nor the store's line.
 */
typedef struct Toll {
    size_t bytes;
    bool holds;
} Toll;
/** On the strand, without the lock. */
Toll toll_take(Session *session, size_t bytes);
/** Any thread, without the lock. */
void toll_give(Session *session, const Toll *toll);

/* connect_hello.c */
void connect_hello(Session *session, const Vmafx__V1__Hello *hello);
/** The names are fixed from now on: whoever looks at them has the number of them from under the lock. */
void connect_encoders(Session *session, const Vmafx__V1__NodeEncoders *encoders);

/* connect_lease.c */
void connect_heartbeat(Session *session, const Vmafx__V1__Heartbeat *heartbeat);
/** With the table's lock: takes what was said of the load, held to its ranges; of devices with the same id the first.
 */
void connect_load(Session *session, const Vmafx__V1__Load *load);
/** Renews leases; answer: with a HeartbeatAck also when none is lost. */
void connect_renew(Session *session, const VmafxAttemptRef *refs, size_t n, int64_t sequence, bool answer);

/* connect_end.c */
void connect_chunk(Session *session, const Vmafx__V1__ResultChunk *chunk);
void connect_end(Session *session, const Vmafx__V1__TaskEnd *end);
#endif
