/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What server and client share of the gRPC library. */

#include "rpc/library.h"

#include <signal.h>
#include <string.h>

#include <grpc/support/log.h>

#include "base/base.h"
#include "base/inflate.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WITH_TSAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define WITH_TSAN 1
#endif
#ifdef WITH_TSAN
#include <sanitizer/tsan_interface.h>
#endif

static pthread_once_t quiet_once = PTHREAD_ONCE_INIT;

/* What the library would print about a peer's bytes is left to the status of the call, which says it too. */
static void no_log(gpr_log_func_args *args)
{
}

static void library_quiet(void)
{
    gpr_set_log_function(no_log);
}

void rpc_library_init(void)
{
    pthread_once(&quiet_once, library_quiet);
    grpc_init();
}

void rpc_library_done(void)
{
    grpc_shutdown();
}

/* ---- batches ---- */

void rpc_op_hand_over(RpcOp *op)
{
#ifdef WITH_TSAN
    __tsan_release(op);
#endif
}

void rpc_queue_run(grpc_completion_queue *queue)
{
    for (;;) {
        grpc_event event = grpc_completion_queue_next(queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);

        if (event.type == GRPC_QUEUE_SHUTDOWN)
            return;
        if (event.type != GRPC_OP_COMPLETE)
            continue;
#ifdef WITH_TSAN
        __tsan_acquire(event.tag);
#endif
        RpcOp *op = event.tag;
        op->done(op, event.success);
    }
}

void rpc_batch(grpc_call *call, const grpc_op *ops, size_t n, RpcOp *op)
{
    rpc_op_hand_over(op);
    if (grpc_call_start_batch(call, ops, n, op, NULL) != GRPC_CALL_OK)
        op->done(op, false);
}

bool rpc_thread_start(pthread_t *ret, void *(*run)(void *), void *arg)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(ret, NULL, run, arg) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

/* ---- small things ---- */

grpc_arg rpc_arg(const char *key, int value)
{
    return (grpc_arg){ .type = GRPC_ARG_INTEGER, .key = (char *)key, .value.integer = value };
}

int rpc_size_arg(size_t bytes, size_t fallback)
{
    return (int)VMAFX_MIN(bytes ? bytes : fallback, (size_t)INT32_MAX);
}

grpc_byte_buffer *rpc_buffer_new(const void *data, size_t len)
{
    grpc_slice slice = grpc_slice_from_copied_buffer(len ? data : "", len);
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);

    grpc_slice_unref(slice);
    return buffer;
}

static void free_unpacked(void *bytes)
{
    free(bytes);
}

static VmafxErr unpack(grpc_compression_algorithm algorithm, grpc_slice packed, size_t max, grpc_slice *ret,
                       VmafxErrInfo *reterr)
{
    uint8_t *bytes;
    size_t len;

    if (algorithm != GRPC_COMPRESS_GZIP && algorithm != GRPC_COMPRESS_DEFLATE)
        return vmafx_fail(reterr, VMAFX_ERR_UNSUPPORTED, "compressed in a way that is not known here");
    VmafxErr err = vmafx_inflate(algorithm == GRPC_COMPRESS_GZIP ? VMAFX_PACKED_GZIP : VMAFX_PACKED_ZLIB,
                                 GRPC_SLICE_START_PTR(packed), GRPC_SLICE_LENGTH(packed), max, &bytes, &len, reterr);
    if (!err)
        *ret = grpc_slice_new(bytes, len, free_unpacked);
    return err == VMAFX_ERR_LIMIT ? VMAFX_ERR_BUSY : err;
}

VmafxErr rpc_buffer_unpack(grpc_byte_buffer **buffer, size_t max, grpc_slice *ret, VmafxErrInfo *reterr)
{
    grpc_byte_buffer *taken = VMAFX_TAKE(*buffer);
    /* What the library left compressed it says so of; its reader hands out the bytes as they came. */
    grpc_compression_algorithm algorithm =
        taken->type == GRPC_BB_RAW ? taken->data.raw.compression : GRPC_COMPRESS_NONE;
    grpc_byte_buffer_reader reader;
    VmafxErr err = VMAFX_OK;

    if (!grpc_byte_buffer_reader_init(&reader, taken)) {
        grpc_byte_buffer_destroy(taken);
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "the message cannot be read");
    }
    grpc_slice bytes = grpc_byte_buffer_reader_readall(&reader);
    grpc_byte_buffer_reader_destroy(&reader);
    grpc_byte_buffer_destroy(taken);
    if (algorithm == GRPC_COMPRESS_NONE) {
        *ret = bytes;
        return VMAFX_OK;
    }
    err = unpack(algorithm, bytes, max, ret, reterr);
    grpc_slice_unref(bytes);
    return err;
}

bool rpc_buffer_take(grpc_byte_buffer **buffer, grpc_slice *ret)
{
    return rpc_buffer_unpack(buffer, 0, ret, NULL) == VMAFX_OK;
}

uint64_t rpc_monotonic_ns(gpr_timespec time)
{
    time = gpr_convert_clock_type(time, GPR_CLOCK_MONOTONIC);
    if (gpr_time_cmp(time, gpr_inf_future(GPR_CLOCK_MONOTONIC)) == 0)
        return UINT64_MAX;
    return time.tv_sec < 0 ? 0 : (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static const struct {
    const char *name;
    VmafxErr err;
} statuses[] = {
    [GRPC_STATUS_OK] = { "OK", VMAFX_OK },
    [GRPC_STATUS_CANCELLED] = { "CANCELLED", VMAFX_ERR_CANCELLED },
    [GRPC_STATUS_UNKNOWN] = { "UNKNOWN", VMAFX_ERR_INTERNAL },
    [GRPC_STATUS_INVALID_ARGUMENT] = { "INVALID_ARGUMENT", VMAFX_ERR_INVALID },
    [GRPC_STATUS_DEADLINE_EXCEEDED] = { "DEADLINE_EXCEEDED", VMAFX_ERR_DEADLINE },
    [GRPC_STATUS_NOT_FOUND] = { "NOT_FOUND", VMAFX_ERR_NOT_FOUND },
    [GRPC_STATUS_ALREADY_EXISTS] = { "ALREADY_EXISTS", VMAFX_ERR_CONFLICT },
    [GRPC_STATUS_PERMISSION_DENIED] = { "PERMISSION_DENIED", VMAFX_ERR_FORBIDDEN },
    [GRPC_STATUS_RESOURCE_EXHAUSTED] = { "RESOURCE_EXHAUSTED", VMAFX_ERR_BUSY },
    [GRPC_STATUS_FAILED_PRECONDITION] = { "FAILED_PRECONDITION", VMAFX_ERR_STATE },
    [GRPC_STATUS_ABORTED] = { "ABORTED", VMAFX_ERR_LEASE_LOST },
    [GRPC_STATUS_OUT_OF_RANGE] = { "OUT_OF_RANGE", VMAFX_ERR_INVALID },
    [GRPC_STATUS_UNIMPLEMENTED] = { "UNIMPLEMENTED", VMAFX_ERR_UNSUPPORTED },
    [GRPC_STATUS_INTERNAL] = { "INTERNAL", VMAFX_ERR_INTERNAL },
    [GRPC_STATUS_UNAVAILABLE] = { "UNAVAILABLE", VMAFX_ERR_UNREACHABLE },
    [GRPC_STATUS_DATA_LOSS] = { "DATA_LOSS", VMAFX_ERR_CORRUPT },
    [GRPC_STATUS_UNAUTHENTICATED] = { "UNAUTHENTICATED", VMAFX_ERR_UNAUTHENTICATED },
};

const char *rpc_status_name(int status)
{
    return statuses[status >= 0 && status < (int)VMAFX_LEN(statuses) ? status : GRPC_STATUS_UNKNOWN].name;
}

VmafxErr rpc_status_err(int status)
{
    return statuses[status >= 0 && status < (int)VMAFX_LEN(statuses) ? status : GRPC_STATUS_UNKNOWN].err;
}

/* ---- certificates ---- */

VmafxErr rpc_tls_check(const char *cert_file, const char *key_file, const char *ca_file, VmafxErrInfo *reterr)
{
    const char *const files[] = { cert_file, key_file, ca_file };

    if (!cert_file && !key_file && !ca_file)
        return VMAFX_OK;
    if (!cert_file || !key_file || !ca_file)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "mutual TLS needs a certificate, its key and a CA: %s is missing",
                          !cert_file  ? "the certificate"
                          : !key_file ? "the key"
                                      : "the CA");
    for (size_t i = 0; i < VMAFX_LEN(files); i++) {
        VMAFX_AUTO(vmafx_free_p) char *text = NULL;
        size_t len;
        VmafxErr err = vmafx_read_file(files[i], RPC_PEM_MAX, &text, &len, reterr);

        if (err)
            return err;
        if (!strstr(text, "-----BEGIN "))
            return vmafx_fail(reterr, VMAFX_ERR_INVALID, "'%s' is not a PEM file", files[i]);
    }
    return VMAFX_OK;
}

grpc_tls_credentials_options *rpc_tls_options(const char *cert_file, const char *key_file, const char *ca_file)
{
    /* TLS 1.2 and 1.3 are all that the library's options allow. */
    grpc_tls_certificate_provider *files =
        grpc_tls_certificate_provider_file_watcher_create(key_file, cert_file, ca_file, RPC_CERTIFICATES_EVERY_S);
    grpc_tls_credentials_options *options = grpc_tls_credentials_options_create();

    if (files) {
        grpc_tls_credentials_options_set_certificate_provider(options, files);
        grpc_tls_certificate_provider_release(files); /* the options have a reference of their own */
    }
    grpc_tls_credentials_options_watch_root_certs(options);
    grpc_tls_credentials_options_watch_identity_key_cert_pairs(options);
    return options;
}
