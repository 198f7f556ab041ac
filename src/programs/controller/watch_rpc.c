/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Jobs.WatchJob: a stream as a follower. */

#include "base/base.h"
#include "programs/controller/watch.h"

#define QUEUE_MAX_BYTES ((size_t)2 << 20) /* a request of 1 MiB, and thousands of changes */

typedef struct Watcher {
    Follower follower; /* first */
    const WatchRpc *door;
    VmafxRpcStream *stream;
    bool asked;
} Watcher;

static void tell(Follower *follower, WatchNews *news)
{
    Watcher *watcher = (Watcher *)follower;
    size_t len;
    const uint8_t *data = watch_news_packed(news, &len);

    if (!data)
        vmafx_rpc_stream_finish(watcher->stream, VMAFX_ERR_NOMEM, vmafx_err_text(VMAFX_ERR_NOMEM));
    else
        VMAFX_IGNORE(vmafx_rpc_stream_send(watcher->stream, data, len)); /* it is closing then, which closed() tells */
}

static void end(Follower *follower, VmafxErr err, const char *why)
{
    vmafx_rpc_stream_finish(((Watcher *)follower)->stream, err, why);
}

static size_t waiting(Follower *follower)
{
    return vmafx_rpc_stream_waiting(((Watcher *)follower)->stream);
}

static const FollowerDoor rpc_door = { tell, end, waiting };

static VmafxErr watch_open(void *ctx, VmafxRpcStream *stream, void **ret_state, VmafxErrInfo *reterr)
{
    WatchRpc *door = ctx;
    Watcher *watcher = calloc(1, sizeof *watcher);

    if (!watcher)
        return VMAFX_ERR_NOMEM;
    VmafxErr err = watch_hub_enter(door->hub, &rpc_door, &watcher->follower, reterr);
    if (err) {
        free(watcher);
        return err;
    }
    watcher->door = door;
    watcher->stream = vmafx_rpc_stream_ref(stream);
    *ret_state = watcher;
    return VMAFX_OK;
}

static void watch_message(void *state, VmafxRpcStream *stream, const void *data, size_t len)
{
    Watcher *watcher = state;
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
    Caller caller = api_stream_caller(watcher->door->api, stream);
    VmafxErrInfo info = { 0 };
    VmafxErr err = vmafx_message_unpack(&vmafx__v1__watch_job_request__descriptor, data, len, 0, &message, &info);

    if (!err && watcher->asked)
        err = vmafx_fail(&info, VMAFX_ERR_INVALID, "one request opens this stream");
    watcher->asked = true;
    if (!err)
        err = watch_hub_join(&watcher->follower, &caller,
                             ((const Vmafx__V1__WatchJobRequest *)vmafx_message_get(message))->id, -1, &info);
    if (err)
        vmafx_rpc_stream_finish(stream, err, *info.message ? info.message : vmafx_err_text(err));
}

static void watch_closed(void *state, VmafxRpcStream *stream)
{
    Watcher *watcher = state;

    watch_hub_leave(&watcher->follower);
    vmafx_rpc_stream_unref(&watcher->stream);
    free(watcher);
}

VmafxRpcMethod watch_rpc_method(WatchRpc *door)
{
    return (VmafxRpcMethod){
        .path = "/vmafx.v1.Jobs/WatchJob",
        .open = watch_open,
        .message = watch_message,
        .closed = watch_closed,
        .queue_max_bytes = QUEUE_MAX_BYTES,
        .ctx = door,
    };
}
