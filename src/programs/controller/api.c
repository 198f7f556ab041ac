/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The table of methods, and its door for gRPC. */

#include "programs/controller/api.h"

#include <assert.h>
#include <string.h>

#include "base/base.h"

void api_add(Api *api, const ApiMethod *methods, size_t n)
{
    assert(api->n + n <= API_METHODS_MAX);
    for (size_t i = 0; i < n; i++) {
        api->methods[api->n] = methods[i];
        api->methods[api->n++].door = api;
    }
}

const ApiMethod *api_find(const Api *api, const char *path)
{
    for (size_t i = 0; i < api->n; i++)
        if (!strcmp(api->methods[i].path, path))
            return &api->methods[i];
    return NULL;
}

/* ---- gRPC ---- */

static VmafxErr pack(void *ctx, const ProtobufCMessage *response)
{
    VmafxRpcAnswer *ret = ctx;

    return vmafx_message_pack(response, &ret->body, &ret->len);
}

static VmafxErr unary(void *ctx, VmafxRpcCall *rpc, const void *data, size_t len, VmafxRpcAnswer *ret,
                      VmafxErrInfo *reterr)
{
    const ApiMethod *method = ctx;
    const VmafxRpcPeer *peer = vmafx_rpc_call_peer(rpc);
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *request = NULL;
    VmafxErr err = vmafx_message_unpack(method->request, data, len, method->budget, &request, reterr);

    if (err)
        return err;
    ApiCall call = { .caller = { .address = peer->address, .remote = vmafx_rpc_call_remote_context(rpc) },
                     .answer = pack,
                     .ctx = ret };
    method->door->identify(method->door->ctx, peer, &call.caller.who);
    return method->run(method->ctx, &call, vmafx_message_get(request), reterr);
}

size_t api_rpc_methods(Api *api, VmafxRpcMethod *ret, size_t max)
{
    size_t n = VMAFX_MIN(api->n, max);

    for (size_t i = 0; i < n; i++)
        ret[i] = (VmafxRpcMethod){ .path = api->methods[i].path, .unary = unary, .ctx = &api->methods[i] };
    return n;
}

Caller api_stream_caller(const Api *api, const VmafxRpcStream *stream)
{
    const VmafxRpcPeer *peer = vmafx_rpc_stream_peer(stream);
    Caller caller = { .address = peer->address };

    api->identify(api->ctx, peer, &caller.who);
    return caller;
}
