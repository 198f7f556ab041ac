/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Blocking reads of a server's stream: a stream read by hand, with room for the one message that is not yet taken. */

#include <string.h>
#include <time.h>

#include "base/base.h"
#include "base/clock.h"
#include "rpc/client_internal.h"

struct VmafxRpcReading {
    VmafxRpcClientStream *stream;

    pthread_mutex_t lock; /* covers everything below */
    pthread_cond_t change;
    bool has_message, ended;
    uint8_t *message; /* NULL with has_message: there was no memory for it */
    size_t len;
    VmafxErr err;
    VmafxErrInfo info;
};

static void on_message(void *ctx, VmafxRpcClientStream *stream, const void *data, size_t len)
{
    VmafxRpcReading *reading = ctx;
    uint8_t *copy = malloc(VMAFX_MAX(len, (size_t)1));

    if (copy)
        memcpy(copy, data, len);
    pthread_mutex_lock(&reading->lock);
    reading->message = copy;
    reading->len = len;
    reading->has_message = true;
    pthread_cond_signal(&reading->change);
    pthread_mutex_unlock(&reading->lock);
}

static void on_closed(void *ctx, VmafxRpcClientStream *stream, VmafxErr err, const char *message)
{
    VmafxRpcReading *reading = ctx;

    pthread_mutex_lock(&reading->lock);
    reading->ended = true;
    reading->err = err;
    VMAFX_IGNORE(vmafx_fail(&reading->info, err, "%s", message)); /* it is the error that is kept */
    pthread_cond_signal(&reading->change);
    pthread_mutex_unlock(&reading->lock);
}

VmafxErr vmafx_rpc_read_open(VmafxRpcChannel *channel, const char *path, const void *data, size_t len,
                             VmafxRpcReading **ret, VmafxErrInfo *reterr)
{
    VmafxRpcReading *reading = calloc(1, sizeof *reading);
    pthread_condattr_t monotonic;

    if (!reading)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for reading a stream");
    const VmafxRpcClientStreamEvents events = { on_message, on_closed, reading };
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&reading->lock, NULL);
    pthread_cond_init(&reading->change, &monotonic);
    pthread_condattr_destroy(&monotonic);
    VmafxErr err = rpc_client_stream_begin(channel, path, &events, true, data, len, &reading->stream, reterr);
    if (err)
        vmafx_rpc_read_close(&reading);
    else
        *ret = reading;
    return err;
}

/* False when the time is up. */
static bool await_something(VmafxRpcReading *reading, uint32_t timeout_ms)
{
    uint64_t until = vmafx_monotonic_ns() + (uint64_t)timeout_ms * 1000000;
    const struct timespec at = { .tv_sec = (time_t)(until / 1000000000), .tv_nsec = (long)(until % 1000000000) };
    int timed_out = 0;

    while (!reading->has_message && !reading->ended && !timed_out)
        timed_out = timeout_ms ? pthread_cond_timedwait(&reading->change, &reading->lock, &at)
                               : pthread_cond_wait(&reading->change, &reading->lock);
    return reading->has_message || reading->ended;
}

VmafxErr vmafx_rpc_read_next(VmafxRpcReading *reading, uint32_t timeout_ms, uint8_t **ret, size_t *ret_len,
                             VmafxErrInfo *reterr)
{
    VmafxErr err = VMAFX_OK;
    bool took = false;

    pthread_mutex_lock(&reading->lock);
    if (!await_something(reading, timeout_ms)) {
        err = vmafx_fail(reterr, VMAFX_ERR_DEADLINE, "nothing came within %u ms", timeout_ms);
    } else if (reading->has_message) {
        took = true;
        reading->has_message = false;
        if (!reading->message)
            err = vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for a message of %zu bytes", reading->len);
        else
            *ret_len = reading->len;
        *ret = VMAFX_TAKE(reading->message);
    } else if (reading->err) {
        err = vmafx_fail(reterr, reading->err, "%s", reading->info.message);
    } else {
        *ret = NULL;
        *ret_len = 0;
    }
    pthread_mutex_unlock(&reading->lock);
    if (took)
        rpc_client_stream_more(reading->stream);
    return err;
}

void vmafx_rpc_read_close(VmafxRpcReading **reading)
{
    VmafxRpcReading *gone = VMAFX_TAKE(*reading);

    if (!gone)
        return;
    vmafx_rpc_client_stream_free(&gone->stream);
    free(gone->message);
    pthread_cond_destroy(&gone->change);
    pthread_mutex_destroy(&gone->lock);
    free(gone);
}
