/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Messages of one stream that wait to be sent, in order, one of them with the library at a time. Client and server
 * streams have one each; it is used with the stream's lock held, and decides nothing: who may still send, how much may
 * wait, and when the next write starts is the stream's matter.
 */
#ifndef VMAFX_RPC_OUTBOX_H
#define VMAFX_RPC_OUTBOX_H

#include "rpc/library.h"

typedef struct RpcOutgoing RpcOutgoing;

typedef struct RpcOutbox {
    RpcOutgoing *first, **last; /* NULL first: none waits */
    RpcOutgoing *sending;       /* the library's until rpc_outbox_sent */
    size_t waiting;             /* bytes, with those being sent */
} RpcOutbox;

void rpc_outbox_init(RpcOutbox *outbox);
/** Whether so many more bytes may wait, where at most max may. */
bool rpc_outbox_has_room(const RpcOutbox *outbox, size_t len, size_t max);
/** Copies a message to the end. VMAFX_ERR_NOMEM */
VMAFX_CHECK VmafxErr rpc_outbox_add(RpcOutbox *outbox, const void *data, size_t len);
/** The first message as what the library is to send; there is one, and none is with the library. */
grpc_op rpc_outbox_next(RpcOutbox *outbox);
/** The write is done, well or not. What it sent, for grpc_byte_buffer_destroy once no lock is held; NULL: no message.
 */
grpc_byte_buffer *rpc_outbox_sent(RpcOutbox *outbox);
/** Forgets what waits; nothing is with the library. May be called again. */
void rpc_outbox_done(RpcOutbox *outbox);
#endif
