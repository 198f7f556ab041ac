/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Jobs.GetResult: the summary, then runs of frames as fast as the peer reads. */

#include <string.h>

#include "base/base.h"
#include "base/clock.h"
#include "programs/controller/result.h"
#include "rpc/frames.h"

#define WAITING_MAX      ((size_t)4 << 20) /* above it the peer has to read first */
#define FRAMES_BYTES_MAX ((size_t)1 << 30)
#define STALL_NS         (UINT64_C(30) * 1000000000)

typedef struct Reading {
    ResultRpc *door;
    VmafxRpcStream *stream; /* lives until closed() */
    bool asked;
    VmafxColumns columns; /* the strand's, as what stands above */
    uint64_t next;        /* row */

    /* Under the door's lock. */
    size_t bytes;      /* what it counts for; 0: not in the list */
    uint64_t moved_ns; /* when a run was last sent */
    struct Reading *next_reading;
} Reading;

/* ---- Who may hold frames in memory ---- */

/** With the lock. */
static void leave(Reading *reading)
{
    ResultRpc *door = reading->door;
    Reading **at = &door->first;

    if (!reading->bytes)
        return;
    while (*at != reading)
        at = &(*at)->next_reading;
    *at = reading->next_reading;
    door->bytes -= reading->bytes;
    reading->bytes = 0;
}

static void leave_now(Reading *reading)
{
    pthread_mutex_lock(&reading->door->lock);
    leave(reading);
    pthread_mutex_unlock(&reading->door->lock);
}

/** On its strand. */
static void give_way(void *arg, VmafxRpcStream *stream)
{
    Reading *reading = arg;

    vmafx_columns_done(&reading->columns);
    vmafx_rpc_stream_finish(stream, VMAFX_ERR_BUSY,
                            "the result was read too slowly, and others wait to read theirs; ask for it again");
}

/** With the lock: the one that has stood still for the longest, and for long enough; NULL: none. */
static Reading *stalled(const ResultRpc *door, uint64_t now)
{
    uint64_t stall_ns = door->stall_ns ? door->stall_ns : STALL_NS;
    Reading *longest = NULL;

    for (Reading *r = door->first; r; r = r->next_reading)
        if (now - r->moved_ns >= stall_ns && (!longest || r->moved_ns < longest->moved_ns))
            longest = r;
    return longest;
}

static VmafxErr enter(Reading *reading, size_t bytes, VmafxErrInfo *reterr)
{
    ResultRpc *door = reading->door;
    size_t max = door->frames_bytes_max ? door->frames_bytes_max : FRAMES_BYTES_MAX;
    uint64_t now = vmafx_monotonic_ns();
    VmafxErr err = VMAFX_OK;

    if (!bytes)
        return VMAFX_OK;
    pthread_mutex_lock(&door->lock);
    while (!err && door->bytes && (bytes > max || door->bytes > max - bytes)) {
        Reading *slow = stalled(door, now);
        if (slow) {
            leave(slow);
            VMAFX_IGNORE(!vmafx_rpc_stream_post(slow->stream, give_way, slow)); /* else it is being closed */
        } else {
            err = vmafx_fail(reterr, VMAFX_ERR_BUSY, "too many results are being read; try again in a moment");
        }
    }
    if (!err) {
        reading->bytes = bytes;
        reading->moved_ns = now;
        reading->next_reading = door->first;
        door->first = reading;
        door->bytes += bytes;
    }
    pthread_mutex_unlock(&door->lock);
    return err;
}

static void moved(Reading *reading)
{
    pthread_mutex_lock(&reading->door->lock);
    reading->moved_ns = vmafx_monotonic_ns();
    pthread_mutex_unlock(&reading->door->lock);
}

/* ---- The stream ---- */

static VmafxErr reading_open(void *ctx, VmafxRpcStream *stream, void **ret_state, VmafxErrInfo *reterr)
{
    Reading *reading = calloc(1, sizeof *reading);

    if (!reading)
        return VMAFX_ERR_NOMEM;
    reading->door = ctx;
    reading->stream = stream;
    *ret_state = reading;
    return VMAFX_OK;
}

static void reading_closed(void *state, VmafxRpcStream *stream)
{
    Reading *reading = state;

    leave_now(reading);
    vmafx_columns_done(&reading->columns);
    free(reading);
}

static VmafxErr send_part(VmafxRpcStream *stream, const Vmafx__V1__GetResultResponse *response)
{
    VMAFX_AUTO(vmafx_free_p) uint8_t *data = NULL;
    size_t len;
    VmafxErr err = vmafx_message_pack(&response->base, &data, &len);

    return err ? err : vmafx_rpc_stream_send(stream, data, len);
}

static VmafxErr send_run(void *stream, Vmafx__V1__Frames *frames)
{
    Vmafx__V1__GetResultResponse response = VMAFX__V1__GET_RESULT_RESPONSE__INIT;

    response.part_case = VMAFX__V1__GET_RESULT_RESPONSE__PART_FRAMES;
    response.frames = frames;
    return send_part(stream, &response);
}

static void send_frames(void *ctx, VmafxRpcStream *stream)
{
    Reading *reading = ctx;
    const VmafxColumns *columns = &reading->columns;
    uint64_t run = vmafx_frames_rows(columns);

    while (reading->next < columns->n_rows && run) {
        if (vmafx_rpc_stream_waiting(stream) > WAITING_MAX) {
            vmafx_rpc_stream_on_writable(stream, WAITING_MAX / 2, send_frames, reading);
            return;
        }
        uint64_t n = VMAFX_MIN(run, columns->n_rows - reading->next);
        VmafxErr err = vmafx_frames_use(columns, reading->next, n, send_run, stream);
        if (err) {
            vmafx_rpc_stream_finish(stream, err, vmafx_err_text(err));
            return;
        }
        reading->next += n;
        moved(reading);
    }
    leave_now(reading);
    vmafx_columns_done(&reading->columns);
    vmafx_rpc_stream_finish(stream, VMAFX_OK, NULL);
}

static VmafxErr begin(Reading *reading, VmafxRpcStream *stream, const Vmafx__V1__GetResultRequest *request,
                      VmafxErrInfo *reterr)
{
    Caller caller = api_stream_caller(reading->door->api, stream);
    VMAFX_AUTO(loaded_result_done) LoadedResult loaded = { 0 };
    Vmafx__V1__GetResultResponse response = VMAFX__V1__GET_RESULT_RESPONSE__INIT;
    VmafxErr err = result_load(reading->door->store, &caller, request->id, true, &loaded, reterr);

    if (!err && !request->summary_only)
        err = enter(reading, result_frames_bytes(&loaded), reterr);
    if (!err && !request->summary_only)
        err = result_unpack(&loaded, reterr);
    if (err)
        return err;
    response.part_case = VMAFX__V1__GET_RESULT_RESPONSE__PART_SUMMARY;
    response.summary = (Vmafx__V1__Result *)loaded.summary;
    err = send_part(stream, &response);
    reading->columns = loaded.columns;
    loaded.columns = (VmafxColumns){ 0 };
    if (!err)
        send_frames(reading, stream);
    return err;
}

static void reading_message(void *state, VmafxRpcStream *stream, const void *data, size_t len)
{
    Reading *reading = state;
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
    VmafxErrInfo info = { 0 };
    VmafxErr err = vmafx_message_unpack(&vmafx__v1__get_result_request__descriptor, data, len, 0, &message, &info);

    if (!err && reading->asked)
        err = vmafx_fail(&info, VMAFX_ERR_INVALID, "one request opens this stream");
    reading->asked = true;
    if (!err)
        err = begin(reading, stream, vmafx_message_get(message), &info);
    if (err)
        vmafx_rpc_stream_finish(stream, err, *info.message ? info.message : vmafx_err_text(err));
}

VmafxRpcMethod result_rpc_method(ResultRpc *door)
{
    pthread_mutex_init(&door->lock, NULL);
    return (VmafxRpcMethod){
        .path = "/vmafx.v1.Jobs/GetResult",
        .open = reading_open,
        .message = reading_message,
        .closed = reading_closed,
        .ctx = door,
    };
}

void result_rpc_done(ResultRpc *door)
{
    pthread_mutex_destroy(&door->lock);
}
