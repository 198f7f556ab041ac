/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What server and client share of the gRPC library: tags that are calls, one loop over a completion queue, buffers,
 * statuses. Its batches are started with a tag, and come back through a queue on whichever thread waits there.
 */
#ifndef VMAFX_RPC_LIBRARY_H
#define VMAFX_RPC_LIBRARY_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <grpc/support/time.h>

#include <vmafx/error.h>

/* Both sides of a connection agree on these: a client that pings more often than the server allows is cut off. */
enum {
    RPC_KEEPALIVE_MS = 20000,         /* a side pings when it heard nothing for so long */
    RPC_KEEPALIVE_TIMEOUT_MS = 10000, /* and gives up after that */
    RPC_PING_INTERVAL_MIN_MS = 10000, /* a server puts up with pings as often as that */
    RPC_METADATA_MAX = 16 << 10,      /* bytes of all metadata of a call */
    RPC_MESSAGE_MAX_DEFAULT = 4 << 20,
    RPC_CERTIFICATES_EVERY_S = 2, /* how often certificate files are looked at */
    RPC_PEM_MAX = 1 << 20,
};

/** Starts the library, once per user of it, and makes it quiet; rpc_library_done for each. */
void rpc_library_init(void);
void rpc_library_done(void);

/** What a tag points at. done is called on a thread of the queue; ok is false when the batch failed. */
typedef struct RpcOp {
    void (*done)(struct RpcOp *op, bool ok);
} RpcOp;

/** The object that an RpcOp, or any other member, is inside of. */
#define RPC_CONTAINER(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

/** Runs what comes out of a queue, until it has been shut down and is empty. */
void rpc_queue_run(grpc_completion_queue *queue);
/** Tells race detectors that what was written before is handed over with the op; the library is not instrumented. */
void rpc_op_hand_over(RpcOp *op);
/** Starts a batch. When the library refuses it, done is called from here, with false. Hold no lock. */
void rpc_batch(grpc_call *call, const grpc_op *ops, size_t n, RpcOp *op);

/** A thread that gets no signals. */
bool rpc_thread_start(pthread_t *ret, void *(*run)(void *), void *arg);

grpc_arg rpc_arg(const char *key, int value);
/** A message size as the library takes it. */
int rpc_size_arg(size_t bytes, size_t fallback);

/** NULL on no memory, and the bytes are copied. */
grpc_byte_buffer *rpc_buffer_new(const void *data, size_t len);
/**
 * All of a buffer as one slice (unref it), and destroys the buffer. A compressed one is unpacked to max bytes at most.
 * VMAFX_ERR_SYNTAX; VMAFX_ERR_UNSUPPORTED; VMAFX_ERR_NOMEM; VMAFX_ERR_BUSY it has more: RESOURCE_EXHAUSTED, as the
 * library says of one that is not compressed
 */
VMAFX_CHECK VmafxErr rpc_buffer_unpack(grpc_byte_buffer **buffer, size_t max, grpc_slice *ret, VmafxErrInfo *reterr);
/** The same for a side that takes nothing compressed; false when it cannot be read. */
bool rpc_buffer_take(grpc_byte_buffer **buffer, grpc_slice *ret);

uint64_t rpc_monotonic_ns(gpr_timespec time); /* UINT64_MAX: never */

/** "UNAVAILABLE"; "UNKNOWN" for what is none. */
const char *rpc_status_name(int status);
/** Our error for a status: errors.def read backwards, by the code that says it best. */
VmafxErr rpc_status_err(int status);

/** Files of mutual TLS: all or none. They exist and are PEM, or this says which is not. */
VmafxErr rpc_tls_check(const char *cert_file, const char *key_file, const char *ca_file, VmafxErrInfo *reterr);
/** Options that watch these files, for both sides; ownership goes to the credentials made of them. */
grpc_tls_credentials_options *rpc_tls_options(const char *cert_file, const char *key_file, const char *ca_file);
#endif
