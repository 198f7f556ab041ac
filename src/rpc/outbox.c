/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A list of buffers and the sum of their bytes. */

#include "rpc/outbox.h"

#include <stdlib.h>

#include "base/base.h"

struct RpcOutgoing {
    RpcOutgoing *next;
    grpc_byte_buffer *buffer;
    size_t len;
};

void rpc_outbox_init(RpcOutbox *outbox)
{
    *outbox = (RpcOutbox){ .last = &outbox->first };
}

bool rpc_outbox_has_room(const RpcOutbox *outbox, size_t len, size_t max)
{
    return len <= max && outbox->waiting <= max - len;
}

VmafxErr rpc_outbox_add(RpcOutbox *outbox, const void *data, size_t len)
{
    RpcOutgoing *out = malloc(sizeof *out);

    if (!out)
        return VMAFX_ERR_NOMEM;
    *out = (RpcOutgoing){ .buffer = rpc_buffer_new(data, len), .len = len };
    *outbox->last = out;
    outbox->last = &out->next;
    outbox->waiting += len;
    return VMAFX_OK;
}

grpc_op rpc_outbox_next(RpcOutbox *outbox)
{
    RpcOutgoing *out = outbox->first;

    outbox->sending = out;
    outbox->first = out->next;
    if (!outbox->first)
        outbox->last = &outbox->first;
    return (grpc_op){ .op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = out->buffer };
}

grpc_byte_buffer *rpc_outbox_sent(RpcOutbox *outbox)
{
    RpcOutgoing *out = VMAFX_TAKE(outbox->sending);

    if (!out)
        return NULL;
    grpc_byte_buffer *buffer = out->buffer;
    outbox->waiting -= out->len;
    free(out);
    return buffer;
}

void rpc_outbox_done(RpcOutbox *outbox)
{
    for (RpcOutgoing *out = VMAFX_TAKE(outbox->first), *next; out; out = next) {
        next = out->next;
        grpc_byte_buffer_destroy(out->buffer);
        free(out);
    }
    outbox->last = &outbox->first;
}
