/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* One lock around the store; reading a request and writing its answer happen outside of it where they can. */

#include "otel/receive/receiver.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "base/base.h"
#include "base/inflate.h"

enum {
    RESPONSE_MAX = 1024,
};

struct VmafxReceiver {
    pthread_mutex_t lock; /* covers everything below */
    VmafxTraceStore *store;
    VmafxReceiverCounts counts; /* without kept */
};

VmafxReceiver *vmafx_receiver_new(const VmafxTraceLimits *limits)
{
    VmafxReceiver *receiver = calloc(1, sizeof *receiver);

    if (!receiver)
        return NULL;
    receiver->store = vmafx_trace_store_new(limits);
    if (!receiver->store || pthread_mutex_init(&receiver->lock, NULL)) {
        vmafx_trace_store_free(&receiver->store);
        free(receiver);
        return NULL;
    }
    return receiver;
}

void vmafx_receiver_free(VmafxReceiver **receiver)
{
    if (!*receiver)
        return;
    pthread_mutex_destroy(&(*receiver)->lock);
    vmafx_trace_store_free(&(*receiver)->store);
    free(*receiver);
    *receiver = NULL;
}

/* ---- export ---- */

typedef struct Taking {
    VmafxReceiver *receiver;
    uint64_t spans, invalid, full, no_memory;
} Taking;

static void take(void *ctx, const VmafxOtlpSpan *span)
{
    Taking *taking = ctx;
    VmafxErr err = vmafx_trace_store_add(taking->receiver->store, span);

    taking->spans++;
    taking->invalid += err == VMAFX_ERR_INVALID;
    taking->full += err == VMAFX_ERR_LIMIT;
    taking->no_memory += err == VMAFX_ERR_NOMEM;
}

static VmafxErr answer(const Taking *taking, uint8_t **ret, size_t *ret_len)
{
    uint64_t rejected = taking->invalid + taking->full + taking->no_memory;
    char message[256];
    VmafxWire wire;

    if (!rejected) {
        *ret = calloc(1, 1); /* an empty message is success; the pointer is there to be freed */
        *ret_len = 0;
        return *ret ? VMAFX_OK : VMAFX_ERR_NOMEM;
    }
    snprintf(message, sizeof message,
             "%" PRIu64 " spans with ids that are not valid, %" PRIu64 " beyond the limits of a trace, %" PRIu64
             " without memory",
             taking->invalid, taking->full, taking->no_memory);
    vmafx_wire_init(&wire, RESPONSE_MAX);
    size_t partial = vmafx_wire_begin(&wire, 1);
    vmafx_wire_varint(&wire, 1, rejected);
    vmafx_wire_text(&wire, 2, message, strlen(message));
    vmafx_wire_end(&wire, partial);
    if (wire.err) {
        vmafx_wire_done(&wire);
        return VMAFX_ERR_NOMEM;
    }
    *ret = wire.bytes;
    *ret_len = wire.len;
    return VMAFX_OK;
}

static VmafxErr take_spans(Taking *taking, const void *data, size_t len, VmafxErrInfo *reterr)
{
    VmafxErr err = vmafx_otlp_check_spans(data, len, reterr); /* the longer part, without the lock */

    if (err)
        return err;
    pthread_mutex_lock(&taking->receiver->lock);
    vmafx_otlp_each_span(data, len, take, taking);
    pthread_mutex_unlock(&taking->receiver->lock);
    return VMAFX_OK;
}

VmafxErr vmafx_receiver_export(VmafxReceiver *receiver, VmafxReceiverSignal signal, const void *data, size_t len,
                               uint8_t **ret, size_t *ret_len, VmafxErrInfo *reterr)
{
    Taking taking = { .receiver = receiver };
    VmafxErr err;

    if (len > VMAFX_RECEIVER_MESSAGE_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "the request has %zu bytes; at most %zu are taken", len,
                          VMAFX_RECEIVER_MESSAGE_MAX);
    if (signal == VMAFX_RECEIVER_TRACES)
        err = take_spans(&taking, data, len, reterr);
    else
        err = vmafx_otlp_count_items(data, len, &taking.spans, reterr);
    if (err)
        return err;
    pthread_mutex_lock(&receiver->lock);
    receiver->counts.requests[signal]++;
    receiver->counts.items[signal] += taking.spans;
    receiver->counts.rejected += taking.invalid + taking.full + taking.no_memory;
    pthread_mutex_unlock(&receiver->lock);
    return answer(&taking, ret, ret_len);
}

VmafxErr vmafx_receiver_status(VmafxErr err, const char *message, uint8_t **ret, size_t *ret_len)
{
    VmafxWire wire;

    vmafx_wire_init(&wire, RESPONSE_MAX);
    vmafx_wire_varint(&wire, 1, (uint64_t)vmafx_err_grpc(err));
    vmafx_wire_text(&wire, 2, message, strnlen(message, VMAFX_ERR_MESSAGE_MAX));
    if (wire.err) {
        vmafx_wire_done(&wire);
        return VMAFX_ERR_NOMEM;
    }
    *ret = wire.bytes;
    *ret_len = wire.len;
    return VMAFX_OK;
}

/* ---- gzip ---- */

VmafxErr vmafx_receiver_gunzip(const void *data, size_t len, uint8_t **ret, size_t *ret_len, VmafxErrInfo *reterr)
{
    return vmafx_inflate(VMAFX_PACKED_GZIP, data, len, VMAFX_RECEIVER_MESSAGE_MAX, ret, ret_len, reterr);
}

/* ---- reading ---- */

VmafxErr vmafx_receiver_trace(VmafxReceiver *receiver, const uint8_t trace_id[16], size_t start, size_t max_bytes,
                              VmafxKeptSpans *ret)
{
    pthread_mutex_lock(&receiver->lock);
    VmafxErr err = vmafx_trace_store_get(receiver->store, trace_id, start, max_bytes, ret);
    pthread_mutex_unlock(&receiver->lock);
    return err;
}

VmafxReceiverCounts vmafx_receiver_counts(VmafxReceiver *receiver)
{
    pthread_mutex_lock(&receiver->lock);
    VmafxReceiverCounts counts = receiver->counts;
    counts.kept = vmafx_trace_store_counts(receiver->store);
    pthread_mutex_unlock(&receiver->lock);
    return counts;
}
