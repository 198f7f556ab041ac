/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A file to the controller: its digest, the question whether it is there, and the bytes if it is not. */

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/digest.h"
#include "client/client_internal.h"

#define PIECE_BYTES ((size_t)512 << 10)
#define WAITING_MAX ((size_t)8 << 20) /* above it the network has to take some first */
#define LOOK_MS     5                 /* while it does: the channel does not say when it has */
#define STALL_NS    (UINT64_C(60) * 1000000000)

typedef struct Sending {
    VmafxClient *client;
    int fd;
    int64_t size;
    uint8_t sha256[VMAFX_SHA256_BYTES];
    const VmafxClientProgress *progress;
    VmafxRpcClientStream *stream;

    pthread_mutex_t lock; /* covers everything below */
    pthread_cond_t change;
    bool closed;
    VmafxErr err;
    VmafxErrInfo info;
    VmafxMessage *answer;
} Sending;

static void tell(const Sending *s, bool sending, int64_t done)
{
    if (s->progress && s->progress->tell)
        s->progress->tell(s->progress->ctx, sending, done, s->size);
}

/** The piece at an offset; its length, or −1: said why. */
static ssize_t read_piece(const Sending *s, uint8_t *buffer, int64_t at, VmafxErr *ret_err, VmafxErrInfo *reterr)
{
    size_t want = (size_t)VMAFX_MIN((int64_t)PIECE_BYTES, s->size - at);
    ssize_t n;

    do
        n = pread(s->fd, buffer, want, at);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        *ret_err = vmafx_fail(reterr, VMAFX_ERR_IO, "cannot read it: %s", strerror(errno));
    if (n == 0)
        *ret_err = vmafx_fail(reterr, VMAFX_ERR_INPUT, "it became shorter while it was read");
    return n > 0 ? n : -1;
}

static VmafxErr digest(Sending *s, uint8_t *buffer, VmafxErrInfo *reterr)
{
    VmafxErr err = VMAFX_OK;
    VmafxSha256 sha;
    char hex[VMAFX_SHA256_TEXT];

    vmafx_sha256_init(&sha);
    for (int64_t at = 0; at < s->size;) {
        ssize_t n = read_piece(s, buffer, at, &err, reterr);

        if (n < 0)
            return err;
        vmafx_sha256_add(&sha, buffer, (size_t)n);
        at += n;
        tell(s, false, at);
    }
    vmafx_sha256_end_hex(&sha, hex);
    for (size_t i = 0; i < sizeof s->sha256; i++) {
        unsigned byte;

        sscanf(hex + 2 * i, "%2x", &byte);
        s->sha256[i] = (uint8_t)byte;
    }
    return VMAFX_OK;
}

/** VMAFX_ERR_NOT_FOUND: it has to be sent. */
static VmafxErr find(const Sending *s, char ret_uri[VMAFX_UPLOAD_URI_MAX], VmafxErrInfo *reterr)
{
    Vmafx__V1__FindUploadRequest request = VMAFX__V1__FIND_UPLOAD_REQUEST__INIT;
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *answer = NULL;

    request.sha256 = (ProtobufCBinaryData){ sizeof s->sha256, (uint8_t *)s->sha256 };
    VmafxErr err = vmafx_client_call(s->client, VMAFX_CALL_FIND_UPLOAD, &request.base, &answer, reterr);
    if (!err)
        snprintf(ret_uri, VMAFX_UPLOAD_URI_MAX, "%s",
                 ((const Vmafx__V1__FindUploadResponse *)vmafx_message_get(answer))->uri);
    return err;
}

/* ---- The stream ---- */

static void on_message(void *ctx, VmafxRpcClientStream *stream, const void *data, size_t len)
{
    Sending *s = ctx;
    VmafxMessage *answer = NULL;
    VmafxErrInfo info = { 0 };
    VmafxErr err = vmafx_message_unpack(&vmafx__v1__upload_input_response__descriptor, data, len, 0, &answer, &info);

    pthread_mutex_lock(&s->lock);
    vmafx_message_free(&s->answer);
    s->answer = answer;
    s->err = err;
    s->info = info;
    pthread_mutex_unlock(&s->lock);
}

static void on_closed(void *ctx, VmafxRpcClientStream *stream, VmafxErr err, const char *message)
{
    Sending *s = ctx;

    pthread_mutex_lock(&s->lock);
    s->closed = true;
    if (err) {
        s->err = err;
        VMAFX_IGNORE(vmafx_fail(&s->info, err, "%s", message)); /* it is the error that is kept */
    }
    pthread_cond_signal(&s->change);
    pthread_mutex_unlock(&s->lock);
}

/** Until little waits, or it is over. False: nothing moved for too long. */
static bool await_room(Sending *s, size_t below)
{
    size_t last = SIZE_MAX;
    uint64_t moved = vmafx_monotonic_ns();
    bool fine = true;

    pthread_mutex_lock(&s->lock);
    while (!s->closed && fine) {
        size_t waiting = vmafx_rpc_client_stream_waiting(s->stream);
        uint64_t now = vmafx_monotonic_ns(), until = now + LOOK_MS * UINT64_C(1000000);
        const struct timespec at = { .tv_sec = (time_t)(until / 1000000000), .tv_nsec = (long)(until % 1000000000) };

        if (below && waiting <= below)
            break;
        if (waiting != last)
            moved = now;
        last = waiting;
        fine = now - moved < STALL_NS;
        pthread_cond_timedwait(&s->change, &s->lock, &at);
    }
    pthread_mutex_unlock(&s->lock);
    return fine;
}

static bool is_over(Sending *s)
{
    pthread_mutex_lock(&s->lock);
    bool over = s->closed;
    pthread_mutex_unlock(&s->lock);
    return over;
}

static VmafxErr send_message(Sending *s, const Vmafx__V1__UploadInputRequest *request)
{
    VMAFX_AUTO(vmafx_free_p) uint8_t *data = NULL;
    size_t len;
    VmafxErr err = vmafx_message_pack(&request->base, &data, &len);

    if (!err)
        err = vmafx_rpc_client_stream_send(s->stream, data, len);
    return err == VMAFX_ERR_STOPPED ? VMAFX_OK : err; /* the answer, or the refusal, is there */
}

/** For people only: plain ASCII, so that no file is refused for its name. */
static void plain_name(const char *name, char ret[256])
{
    size_t n = 0;

    for (; name[n] && n < 255; n++)
        ret[n] = name[n] >= ' ' && name[n] <= '~' ? name[n] : '?';
    ret[n] = 0;
}

static VmafxErr send_begin(Sending *s, const char *name)
{
    char plain[256];
    Vmafx__V1__UploadInputRequest request = VMAFX__V1__UPLOAD_INPUT_REQUEST__INIT;
    Vmafx__V1__UploadBegin begin = VMAFX__V1__UPLOAD_BEGIN__INIT;

    plain_name(name, plain);
    begin.size_bytes = s->size;
    begin.sha256 = (ProtobufCBinaryData){ sizeof s->sha256, s->sha256 };
    begin.name = plain;
    request.part_case = VMAFX__V1__UPLOAD_INPUT_REQUEST__PART_BEGIN;
    request.begin = &begin;
    return send_message(s, &request);
}

static VmafxErr send_data(Sending *s, uint8_t *buffer, VmafxErrInfo *reterr)
{
    VmafxErr err = VMAFX_OK;

    for (int64_t at = 0; at < s->size && !is_over(s);) {
        Vmafx__V1__UploadInputRequest request = VMAFX__V1__UPLOAD_INPUT_REQUEST__INIT;
        ssize_t n = read_piece(s, buffer, at, &err, reterr);

        if (n < 0)
            return err;
        request.part_case = VMAFX__V1__UPLOAD_INPUT_REQUEST__PART_DATA;
        request.data = (ProtobufCBinaryData){ (size_t)n, buffer };
        err = send_message(s, &request);
        if (err)
            return err;
        at += n;
        tell(s, true, at);
        if (!await_room(s, WAITING_MAX))
            return vmafx_fail(reterr, VMAFX_ERR_UNREACHABLE, "the controller at %s takes nothing any more",
                              s->client->address);
    }
    vmafx_rpc_client_stream_half_close(s->stream);
    return VMAFX_OK;
}

static VmafxErr send_all(Sending *s, const char *name, uint8_t *buffer, char ret_uri[VMAFX_UPLOAD_URI_MAX],
                         int64_t *ret_sent, VmafxErrInfo *reterr)
{
    VmafxErr err = vmafx_rpc_stream_open(s->client->channel, "/vmafx.v1.Jobs/UploadInput",
                                         &(VmafxRpcClientStreamEvents){ on_message, on_closed, s }, &s->stream, reterr);

    if (err)
        return err;
    err = send_begin(s, name);
    if (!err)
        err = send_data(s, buffer, reterr);
    if (!err && !await_room(s, 0)) /* until it has ended: the controller flushes its disk */
        err = vmafx_fail(reterr, VMAFX_ERR_UNREACHABLE, "the controller at %s does not answer", s->client->address);
    vmafx_rpc_client_stream_free(&s->stream);
    if (err)
        return err;
    if (s->err)
        return client_explained(s->client, s->err, &s->info, reterr);
    if (!s->answer)
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "the controller ended the upload without an answer");
    const Vmafx__V1__UploadInputResponse *answer = vmafx_message_get(s->answer);
    snprintf(ret_uri, VMAFX_UPLOAD_URI_MAX, "%s", answer->uri);
    *ret_sent = answer->already_there ? 0 : s->size;
    return VMAFX_OK;
}

VmafxErr vmafx_client_upload(VmafxClient *client, int fd, const char *name, const VmafxClientProgress *progress,
                             char ret_uri[VMAFX_UPLOAD_URI_MAX], int64_t *ret_sent, VmafxErrInfo *reterr)
{
    Sending s = { .client = client, .fd = fd, .progress = progress };
    VMAFX_AUTO(vmafx_free_p) uint8_t *buffer = malloc(PIECE_BYTES);
    pthread_condattr_t monotonic;
    VmafxErrInfo info = { 0 };
    struct stat st;
    int64_t sent = 0;

    if (!buffer)
        return VMAFX_ERR_NOMEM;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode))
        return vmafx_fail(reterr, VMAFX_ERR_INPUT, "it is no regular file");
    if (!st.st_size)
        return vmafx_fail(reterr, VMAFX_ERR_INPUT, "it is empty");
    s.size = st.st_size;
    VmafxErr err = digest(&s, buffer, reterr);
    if (err)
        return err;
    err = find(&s, ret_uri, &info);
    if (err && err != VMAFX_ERR_NOT_FOUND)
        return vmafx_fail(reterr, err, "%s", info.message);
    if (err) {
        pthread_condattr_init(&monotonic);
        pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
        pthread_mutex_init(&s.lock, NULL);
        pthread_cond_init(&s.change, &monotonic);
        pthread_condattr_destroy(&monotonic);
        err = send_all(&s, name, buffer, ret_uri, &sent, reterr);
        pthread_cond_destroy(&s.change);
        pthread_mutex_destroy(&s.lock);
        vmafx_message_free(&s.answer);
    }
    if (!err && ret_sent)
        *ret_sent = sent;
    return err;
}
