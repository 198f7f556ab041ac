/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Which answers are worth another attempt, and when. Sources: OTLP 1.11 "Failures", RFC 9110 section 10.2.3.
 * Pure: the time and the randomness come in.
 */
#ifndef VMAFX_OTEL_EXPORT_RETRY_H
#define VMAFX_OTEL_EXPORT_RETRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** A gRPC status code, 0 … 16. RESOURCE_EXHAUSTED is worth it only when the server sent a RetryInfo. */
bool vmafx_retry_grpc(int code, bool has_retry_info);
/** An HTTP status: 429, 502, 503, 504. */
bool vmafx_retry_http(int status);

/** A Retry-After value, seconds or an HTTP-date, as a delay from now (Unix nanoseconds). False when it is neither. */
bool vmafx_retry_after(const char *text, size_t len, uint64_t now_unix_ns, uint64_t *ret_delay_ns);

typedef struct VmafxRetryPolicy {
    uint64_t first_ns, cap_ns; /* the first and the longest delay of our own */
    uint32_t factor_percent;   /* 150: each is half as long again */
    uint32_t jitter_percent;   /* 20: between 80 % and 120 % of it; 100 at most */
    uint32_t attempts_max;     /* the first one included */
} VmafxRetryPolicy;

#define VMAFX_RETRY_POLICY_DEFAULT                                                                                     \
    ((VmafxRetryPolicy){ .first_ns = 1000000000,                                                                       \
                         .cap_ns = 5000000000,                                                                         \
                         .factor_percent = 150,                                                                        \
                         .jitter_percent = 20,                                                                         \
                         .attempts_max = 5 })

/** One request's attempts. */
typedef struct VmafxBackoff {
    VmafxRetryPolicy policy;
    uint32_t attempts; /* made so far */
    uint64_t next_ns;  /* before jitter */
    uint64_t *random;  /* the state of a generator, borrowed: one per process or exporter, so peers spread out */
} VmafxBackoff;

void vmafx_backoff_init(VmafxBackoff *backoff, const VmafxRetryPolicy *policy, uint64_t *random);
/**
 * After a failed attempt: how long to wait before the next. Never less than the server's delay (0: none given), and
 * later delays continue from it. False when the attempts are used up or the wait would not end before the deadline.
 */
bool vmafx_backoff_next(VmafxBackoff *backoff, uint64_t server_delay_ns, uint64_t now_ns, uint64_t deadline_ns,
                        uint64_t *ret_wait_ns);
#endif
