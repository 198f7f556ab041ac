/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Unary calls: the request is read by events, the handler runs on the pool, the answer goes out in one batch. Two hold
 * the call: the op that says that the call has ended (and whether by cancelling), and the work on its answer.
 */

#include <stdatomic.h>
#include <string.h>

#include "base/base.h"
#include "rpc/server_internal.h"

struct VmafxRpcCall {
    RpcIncoming incoming;
    RpcMeasure measure;
    atomic_int holders;
    atomic_bool cancelled; /* a flag: nothing else is read on its account */
    int library_cancelled; /* the library writes it before closed_op comes */
    RpcOp closed_op, received_op, answered_op;
    RpcTask work;
    grpc_byte_buffer *request, *response;
    grpc_slice message; /* of the status; lives until the answer is out */
};

static void let_go(VmafxRpcCall *call)
{
    if (atomic_fetch_sub_explicit(&call->holders, 1, memory_order_acq_rel) > 1)
        return;
    grpc_slice_unref(call->message);
    if (call->request)
        grpc_byte_buffer_destroy(call->request);
    if (call->response)
        grpc_byte_buffer_destroy(call->response);
    RpcIncoming incoming = call->incoming; /* its links stay where they are until it has left */
    rpc_incoming_leave(&call->incoming);
    rpc_incoming_done(&incoming);
    free(call);
}

static void on_closed(RpcOp *op, bool ok)
{
    VmafxRpcCall *call = RPC_CONTAINER(op, VmafxRpcCall, closed_op);

    if (!ok || call->library_cancelled)
        atomic_store_explicit(&call->cancelled, true, memory_order_relaxed);
    let_go(call);
}

static void on_answered(RpcOp *op, bool ok)
{
    let_go(RPC_CONTAINER(op, VmafxRpcCall, answered_op)); /* when it failed, the peer has gone */
}

/* The last step of the work. body may be NULL. */
static void answer(VmafxRpcCall *call, int status, const char *message, const VmafxRpcAnswer *body)
{
    grpc_op ops[3] = { { .op = GRPC_OP_SEND_INITIAL_METADATA } };
    size_t n = 1;

    if (status == GRPC_STATUS_OK) {
        call->response = rpc_buffer_new(body ? body->body : NULL, body ? body->len : 0);
        ops[n++] = (grpc_op){ .op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = call->response };
    }
    call->message = grpc_slice_from_copied_string(message ? message : "");
    ops[n++] = (grpc_op){ .op = GRPC_OP_SEND_STATUS_FROM_SERVER,
                          .data.send_status_from_server = { .status = (grpc_status_code)status,
                                                            .status_details = &call->message } };
    rpc_batch(call->incoming.call, ops, n, &call->answered_op);
}

static VmafxErr handle(VmafxRpcCall *call, VmafxRpcAnswer *ret, VmafxErrInfo *reterr)
{
    const VmafxRpcMethod *method = &call->incoming.entry->method;
    grpc_slice request;

    if (vmafx_rpc_call_cancelled(call))
        return vmafx_fail(reterr, VMAFX_ERR_CANCELLED, "cancelled while it waited for its turn");
    VmafxErr err = rpc_authorize(&call->incoming, reterr);
    if (err)
        return err;
    if (!call->request)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "the request is missing");
    err = rpc_buffer_unpack(&call->request, call->incoming.server->message_max, &request, reterr);
    if (err)
        return err;
    err = method->unary(method->ctx, call, GRPC_SLICE_START_PTR(request), GRPC_SLICE_LENGTH(request), ret, reterr);
    grpc_slice_unref(request);
    return err;
}

static void work(RpcTask *task)
{
    VmafxRpcCall *call = RPC_CONTAINER(task, VmafxRpcCall, work);
    VmafxRpcAnswer body = { 0 };
    VmafxErrInfo info = { "" };

    rpc_measure_begin(&call->measure, &call->incoming);
    VmafxErr err = handle(call, &body, &info);
    int status = vmafx_err_grpc(err);
    const char *message = err && !info.message[0] ? vmafx_err_text(err) : info.message;
    rpc_measure_end(&call->measure, &call->incoming, status, message);
    answer(call, status, err ? message : "", &body);
    free(body.body);
}

/* An answer without a handler, from a poller. */
static void refuse(VmafxRpcCall *call, int status, const char *message)
{
    rpc_measure_begin(&call->measure, &call->incoming);
    rpc_measure_end(&call->measure, &call->incoming, status, message);
    answer(call, status, message, NULL);
}

static void on_received(RpcOp *op, bool ok)
{
    VmafxRpcCall *call = RPC_CONTAINER(op, VmafxRpcCall, received_op);

    if (!rpc_pool_try_submit(&call->incoming.server->unary_pool, &call->work, RPC_UNARY_WAITING_MAX))
        refuse(call, GRPC_STATUS_RESOURCE_EXHAUSTED, "too many calls wait already; try again later");
}

bool rpc_unary_begin(const RpcIncoming *incoming)
{
    VmafxRpcCall *call = calloc(1, sizeof *call);

    if (!call)
        return false;
    call->incoming = *incoming;
    call->message = grpc_empty_slice();
    call->closed_op.done = on_closed;
    call->received_op.done = on_received;
    call->answered_op.done = on_answered;
    call->work.run = work;
    atomic_init(&call->holders, 2);
    atomic_init(&call->cancelled, false);
    rpc_live_add(&call->incoming);

    const grpc_op closed = { .op = GRPC_OP_RECV_CLOSE_ON_SERVER,
                             .data.recv_close_on_server.cancelled = &call->library_cancelled };
    const grpc_op receive = { .op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &call->request };
    rpc_batch(incoming->call, &closed, 1, &call->closed_op);
    if (call->incoming.entry)
        rpc_batch(incoming->call, &receive, 1, &call->received_op);
    else
        refuse(call, GRPC_STATUS_UNIMPLEMENTED, "there is no such method here");
    return true;
}

/* ---- from handlers ---- */

const VmafxRpcPeer *vmafx_rpc_call_peer(const VmafxRpcCall *call)
{
    return &call->incoming.peer;
}

const char *vmafx_rpc_call_metadata(const VmafxRpcCall *call, const char *key)
{
    return rpc_incoming_header(&call->incoming, key);
}

VmafxContext *vmafx_rpc_call_remote_context(const VmafxRpcCall *call)
{
    return vmafx_context_span_at(call->measure.remote) ? call->measure.remote : NULL;
}

bool vmafx_rpc_call_cancelled(const VmafxRpcCall *call)
{
    return atomic_load_explicit(&call->cancelled, memory_order_relaxed);
}

uint64_t vmafx_rpc_call_deadline_ns(const VmafxRpcCall *call)
{
    return call->incoming.deadline_ns;
}
