/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A gRPC client for unary calls, bytes in and bytes out: no type of the gRPC library, and none of protobuf. A channel
 * of its own, TLS or plaintext, reconnecting by itself. One call at a time per client; cancel from any thread.
 */
#ifndef VMAFX_RPC_UNARY_CLIENT_H
#define VMAFX_RPC_UNARY_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmafx/error.h>

typedef struct VmafxRpcClient VmafxRpcClient;

typedef struct VmafxRpcClientConfig {
    const char *target;               /* gRPC's naming: "dns:///host:port", "ipv6:[::1]:1", "unix:/path" */
    bool tls;                         /* TLS 1.2 or later, ALPN h2, the host name verified */
    const char *ca_file;              /* PEM, trusted for the server; NULL: the system's */
    const char *cert_file, *key_file; /* PEM, ours; both or neither */
    const char *user_agent;           /* the library appends its own */
    size_t response_max_bytes;        /* of a message, unpacked; 0: 4 MiB */
    bool gzip;                        /* compress what is sent */
} VmafxRpcClientConfig;

typedef struct VmafxRpcMetadata {
    const char *key, *value; /* keys are made lower case; what gRPC does not allow is left out */
} VmafxRpcMetadata;

/** Owned by the caller; reused by passing it again; released by vmafx_rpc_response_done. */
typedef struct VmafxRpcResponse {
    int status; /* gRPC's, 0 … 16 */
    uint8_t *body, *details;
    size_t len, details_len; /* details: grpc-status-details-bin, decoded */
    char message[256];       /* the status message, cut when longer */
    bool unreached;          /* 14 because nobody is there: refused, no route to it, no such name */
} VmafxRpcResponse;

/** @return VMAFX_OK, VMAFX_ERR_INVALID (one of cert and key), VMAFX_ERR_NOT_FOUND, _IO, _LIMIT (files), _NOMEM */
VMAFX_CHECK VmafxErr vmafx_rpc_client_new(const VmafxRpcClientConfig *config, VmafxRpcClient **ret,
                                          VmafxErrInfo *reterr);
/** No call may be under way. */
void vmafx_rpc_client_free(VmafxRpcClient **client);

/**
 * Calls "/package.Service/Method" and waits until the deadline (CLOCK_MONOTONIC nanoseconds). Whatever happens is a
 * status, as gRPC has it: 4 when the deadline passed, 1 when cancelled, 14 when nobody was reached, 8 when the answer
 * is too large or memory is short. Each call after a failure to connect connects anew at once: when to try again is the
 * caller's to decide, and no backoff of the library's stacks upon its own.
 */
void vmafx_rpc_call(VmafxRpcClient *client, const char *method, const VmafxRpcMetadata *metadata, size_t n_metadata,
                    const void *body, size_t len, uint64_t deadline_ns, VmafxRpcResponse *ret);
/** Ends the call under way and all later ones at once with status 1. Any thread; also while there is none. */
void vmafx_rpc_client_cancel(VmafxRpcClient *client);

void vmafx_rpc_response_done(VmafxRpcResponse *response);
#endif
