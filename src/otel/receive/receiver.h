/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The receiving end of OTLP without its transports: requests in, answers out. Traces are kept for a while
 * (trace_store.h); metrics and log records are read, counted and dropped. gRPC and HTTP servers call in from any
 * thread.
 */
#ifndef VMAFX_OTEL_RECEIVE_RECEIVER_H
#define VMAFX_OTEL_RECEIVE_RECEIVER_H

#include "otel/receive/trace_store.h"

#define VMAFX_RECEIVER_MESSAGE_MAX ((size_t)4 << 20) /* of a request, unpacked */

typedef enum VmafxReceiverSignal {
    VMAFX_RECEIVER_TRACES = 0,
    VMAFX_RECEIVER_METRICS,
    VMAFX_RECEIVER_LOGS,
} VmafxReceiverSignal;

typedef struct VmafxReceiver VmafxReceiver;

/** NULL: no memory. @param limits  NULL: the defaults */
VmafxReceiver *vmafx_receiver_new(const VmafxTraceLimits *limits);
/** No call may be under way. */
void vmafx_receiver_free(VmafxReceiver **receiver);

/**
 * Takes an Export…ServiceRequest.
 * @param ret  its Export…ServiceResponse (free()): empty, or a partial success that says how many spans were left out
 * and why
 * @return VMAFX_ERR_SYNTAX nothing was taken; VMAFX_ERR_LIMIT longer than VMAFX_RECEIVER_MESSAGE_MAX; VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr vmafx_receiver_export(VmafxReceiver *receiver, VmafxReceiverSignal signal, const void *data,
                                           size_t len, uint8_t **ret, size_t *ret_len, VmafxErrInfo *reterr);

/**
 * Unpacks a gzip body, as OTLP/HTTP may send one.
 * @return VMAFX_ERR_SYNTAX; VMAFX_ERR_LIMIT it has more than VMAFX_RECEIVER_MESSAGE_MAX; VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr vmafx_receiver_gunzip(const void *data, size_t len, uint8_t **ret, size_t *ret_len,
                                           VmafxErrInfo *reterr);

/** A google.rpc.Status, which OTLP/HTTP answers errors with. VMAFX_ERR_NOMEM */
VMAFX_CHECK VmafxErr vmafx_receiver_status(VmafxErr err, const char *message, uint8_t **ret, size_t *ret_len);

/** See vmafx_trace_store_get. */
VMAFX_CHECK VmafxErr vmafx_receiver_trace(VmafxReceiver *receiver, const uint8_t trace_id[16], size_t start,
                                          size_t max_bytes, VmafxKeptSpans *ret);

typedef struct VmafxReceiverCounts {
    VmafxTraceCounts kept;
    uint64_t requests[3]; /* by signal, well-formed ones */
    uint64_t items[3];    /* spans, metrics, log records that came */
    uint64_t rejected;    /* spans that were not kept */
} VmafxReceiverCounts;

VmafxReceiverCounts vmafx_receiver_counts(VmafxReceiver *receiver);
#endif
