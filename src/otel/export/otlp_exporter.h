/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What the two OTLP exporters share: encode and cut a batch, attempt, back off, attempt again, count, and stop when
 * told to. A transport makes one attempt.
 */
#ifndef VMAFX_OTEL_EXPORT_OTLP_EXPORTER_H
#define VMAFX_OTEL_EXPORT_OTLP_EXPORTER_H

#include "otel/export/endpoint.h"
#include "otel/export/otlp_response.h"
#include "otel/export/retry.h"
#include "otel/sdk/data.h"

/** "OTel-OTLP-Exporter-C/<version>", with this in front of it where a distribution has a name of its own. */
#define VMAFX_OTLP_USER_AGENT "OTel-OTLP-Exporter-C"

typedef struct VmafxOtlpHeader {
    const char *name, *value;
} VmafxOtlpHeader;

/** Borrowed for the constructor's call only. Zeroes are defaults. */
typedef struct VmafxOtlpConfig {
    VmafxSignal signal;
    VmafxEndpoint endpoint; /* of the exporter's protocol */
    const VmafxOtlpHeader *headers;
    size_t n_headers;
    bool gzip;
    uint32_t timeout_ms;                        /* a whole batch with its retries; 0: 10000 */
    const char *ca_file, *cert_file, *key_file; /* PEM; NULL: the system's, none, none */
    const char *product, *version;              /* user agent; NULL: none, "0" */
    size_t target_bytes, request_max_bytes;     /* 0: 4 MiB, 64 MiB */
    size_t response_max_bytes;                  /* 0: 4 MiB */
    VmafxRetryPolicy retry;                     /* attempts_max 0: VMAFX_RETRY_POLICY_DEFAULT */
    uint64_t random_seed;                       /* 0: taken from the system */
    VmafxOtelErrorHandler on_error;             /* NULL: nobody is told; on the exporting thread, a line a minute of
                                                   each kind */
    void *on_error_ctx;
} VmafxOtlpConfig;

/** Items are spans, points, records. exported + rejected + failed + timed_out + too_large is what came in. */
typedef struct VmafxOtlpCounts {
    uint64_t exported;  /* accepted */
    uint64_t rejected;  /* refused by a partial success */
    uint64_t failed;    /* given up on */
    uint64_t timed_out; /* the deadline passed, or shutdown came first */
    uint64_t too_large; /* never sent */
    uint64_t requests, attempts, retries;
    uint64_t warnings; /* partial successes that refuse nothing, and answers that cannot be read */
} VmafxOtlpCounts;

/** Any thread, any time before free; zeroes for an exporter that is not one of these two. */
void vmafx_otlp_exporter_counts(const VmafxExporter *exporter, VmafxOtlpCounts *ret);

/**
 * For the end of a program: from now on a request is attempted again after 50 … 100 ms, then after twice that and so on
 * up to a second, as often as its deadline allows, and a backoff under way begins anew like that. A delay that the
 * server asks for is kept. Where nobody is there to answer (refused, no route, no such name) one attempt is all that is
 * made from now on: it, and whatever is exported after it, counts as failed at once. For good; any thread; nothing for
 * an exporter that is not one of these two.
 */
void vmafx_otlp_exporter_hurry(VmafxExporter *exporter);

/**
 * The status of the last answer to the latest export_batch: HTTP's, or with *ret_grpc gRPC's; -1 when there was none.
 * On the exporting thread, after the call.
 */
int vmafx_otlp_exporter_status(const VmafxExporter *exporter, bool *ret_grpc);

/* ---- for the transports ---- */

typedef enum VmafxOtlpOutcome {
    VMAFX_OTLP_DELIVERED,
    VMAFX_OTLP_RETRY,
    VMAFX_OTLP_GIVE_UP,
    VMAFX_OTLP_DEADLINE,
} VmafxOtlpOutcome;

typedef struct VmafxOtlpAttempt {
    VmafxOtlpOutcome outcome;
    int status;               /* of the answer; left alone when there is none */
    uint64_t server_delay_ns; /* RETRY: 0 when none was given */
    VmafxOtlpPartial partial; /* DELIVERED */
    bool unreadable;          /* DELIVERED, with a body that is no OTLP answer */
    bool unreached;           /* RETRY: nobody is there; refused, no route to it, no such name */
    char message[VMAFX_OTLP_MESSAGE_SIZE];
} VmafxOtlpAttempt;

/** attempt is never called concurrently; cancel may come from any thread and is final. */
typedef struct VmafxOtlpTransport {
    void (*attempt)(void *self, const uint8_t *body, size_t len, uint64_t deadline_ns, VmafxOtlpAttempt *ret);
    void (*cancel)(void *self);
    void (*free)(void *self);
    bool grpc; /* whose status it is */
} VmafxOtlpTransport;

/** Takes self over. Never NULL: on no memory an exporter that drops everything. */
VmafxExporter *vmafx_otlp_exporter_new(const VmafxOtlpConfig *config, const char *component_type,
                                       const VmafxOtlpTransport *transport, void *self);
/** The exporter that drops everything; static. */
VmafxExporter *vmafx_otlp_exporter_none(void);
/** Writes the config's user agent. */
void vmafx_otlp_user_agent(const VmafxOtlpConfig *config, char *ret, size_t size);
/** Says what went wrong to the config's handler, if there is one. Severity: 9 info, 13 warning, 17 error. */
void vmafx_otlp_complain(const VmafxOtlpConfig *config, int severity, const char *fmt, ...) VMAFX_PRINTF(3, 4);
#endif
