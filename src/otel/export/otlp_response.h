/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What a collector answers: an Export…ServiceResponse (the three are alike on the wire) or a google.rpc.Status.
 * Pure functions over bytes nobody vouches for; unknown fields are skipped. Messages come out printable: UTF-8, no
 * control characters, cut when longer than the space.
 */
#ifndef VMAFX_OTEL_EXPORT_OTLP_RESPONSE_H
#define VMAFX_OTEL_EXPORT_OTLP_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmafx/error.h>

#define VMAFX_OTLP_MESSAGE_SIZE 256

typedef struct VmafxOtlpPartial {
    bool present;      /* partial_success was there, and said something */
    uint64_t rejected; /* spans, points or records; a negative number from the wire is 0 */
    char message[VMAFX_OTLP_MESSAGE_SIZE];
} VmafxOtlpPartial;

typedef struct VmafxRpcStatus {
    int32_t code;
    char message[VMAFX_OTLP_MESSAGE_SIZE];
    bool has_retry_delay; /* a RetryInfo was among the details */
    uint64_t retry_delay_ns;
} VmafxRpcStatus;

/** Zeroes *ret first. @return VMAFX_OK (an empty body is full success) or VMAFX_ERR_TRUNCATED for what is no message */
VMAFX_CHECK VmafxErr vmafx_otlp_partial_parse(const void *bytes, size_t len, VmafxOtlpPartial *ret);
VMAFX_CHECK VmafxErr vmafx_rpc_status_parse(const void *bytes, size_t len, VmafxRpcStatus *ret);

/** Copies text fit for a log line: bad UTF-8 and control characters become '?'; cut at a character; terminated. */
void vmafx_otlp_printable(const void *text, size_t len, char *ret, size_t size);
#endif
