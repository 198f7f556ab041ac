/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A gRPC channel for many calls at a time: blocking unary calls, blocking reads of a server's stream, and streams in
 * both directions driven by callbacks. One thread of the channel moves everything. Each call after a failure to connect
 * connects anew at once: when to try again is the caller's to decide, and no backoff of the library's stacks upon its
 * own. Client spans and rpc.client.call.duration by the semantic conventions for unary calls; the current context
 * travels as traceparent. Exporters have a client of their own (unary_client.h), which is not instrumented.
 */
#ifndef VMAFX_RPC_CLIENT_H
#define VMAFX_RPC_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmafx/error.h>

typedef struct VmafxRpcChannel VmafxRpcChannel;
typedef struct VmafxRpcClientStream VmafxRpcClientStream;

typedef struct VmafxRpcChannelConfig {
    const char *target;                         /* "127.0.0.1:7801", "dns:///host:port", "unix:/path" */
    const char *cert_file, *key_file, *ca_file; /* PEM; all three: mutual TLS; none: plain */
    const char *server_name;                    /* verified instead of the target's host; NULL: that one */
    size_t message_max_bytes;                   /* 0: 4 MiB */
} VmafxRpcChannelConfig;

VMAFX_CHECK VmafxErr vmafx_rpc_channel_open(const VmafxRpcChannelConfig *config, VmafxRpcChannel **ret,
                                            VmafxErrInfo *reterr);
/** Ends what is under way: closed of every stream has been called. No call may be inside a function of this header. */
void vmafx_rpc_channel_close(VmafxRpcChannel **channel);

/**
 * A unary call. Statuses become our errors (the table read backwards: the code whose gRPC status it is and that says it
 * best: UNAVAILABLE → UNREACHABLE, NOT_FOUND → NOT_FOUND …), the status message is reterr's sentence.
 * @param timeout_ms  0: 30 s
 * @param ret         release with free()
 */
VMAFX_CHECK VmafxErr vmafx_rpc_unary(VmafxRpcChannel *channel, const char *path, const void *data, size_t len,
                                     uint32_t timeout_ms, uint8_t **ret, size_t *ret_len, VmafxErrInfo *reterr);

/** Callbacks come one at a time on the channel's thread and must not wait. closed is the last one, exactly once. */
typedef struct VmafxRpcClientStreamEvents {
    void (*message)(void *ctx, VmafxRpcClientStream *stream, const void *data, size_t len);
    void (*closed)(void *ctx, VmafxRpcClientStream *stream, VmafxErr err, const char *message);
    void *ctx;
} VmafxRpcClientStreamEvents;

VMAFX_CHECK VmafxErr vmafx_rpc_stream_open(VmafxRpcChannel *channel, const char *path,
                                           const VmafxRpcClientStreamEvents *events, VmafxRpcClientStream **ret,
                                           VmafxErrInfo *reterr);
/** Queues a message; any thread; never waits. VMAFX_ERR_STOPPED, VMAFX_ERR_LIMIT (over 64 MiB wait), VMAFX_ERR_NOMEM */
VmafxErr vmafx_rpc_client_stream_send(VmafxRpcClientStream *stream, const void *data, size_t len);
size_t vmafx_rpc_client_stream_waiting(const VmafxRpcClientStream *stream);
/** We will send no more, after what is queued. */
void vmafx_rpc_client_stream_half_close(VmafxRpcClientStream *stream);
/** Ends it; closed comes with VMAFX_ERR_CANCELLED unless it has ended. Any thread, callbacks too. */
void vmafx_rpc_client_stream_cancel(VmafxRpcClientStream *stream);
/**
 * Cancels it unless it has ended, waits until closed has been called, and gives it back; also after the channel was
 * closed. Not from a callback. Sets the pointer to NULL.
 */
void vmafx_rpc_client_stream_free(VmafxRpcClientStream **stream);

/** Blocking reads of a server-streaming call: one request, many answers. */
typedef struct VmafxRpcReading VmafxRpcReading;
VMAFX_CHECK VmafxErr vmafx_rpc_read_open(VmafxRpcChannel *channel, const char *path, const void *data, size_t len,
                                         VmafxRpcReading **ret, VmafxErrInfo *reterr);
/**
 * The next message, release with free(). At the end with status OK *ret is NULL.
 * @param timeout_ms  VMAFX_ERR_DEADLINE after it, the reading goes on; 0: no limit
 */
VMAFX_CHECK VmafxErr vmafx_rpc_read_next(VmafxRpcReading *reading, uint32_t timeout_ms, uint8_t **ret, size_t *ret_len,
                                         VmafxErrInfo *reterr);
/** Cancels it unless it has ended. Also after the channel was closed. Sets the pointer to NULL. */
void vmafx_rpc_read_close(VmafxRpcReading **reading);
#endif
