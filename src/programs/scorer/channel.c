/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* One write is one packet on a socket; on a pipe it may take several. */

#include "programs/scorer/channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"

VmafxErr channel_write(int fd, ChannelBuffer *buffer, const ProtobufCMessage *message)
{
    size_t len = protobuf_c_message_get_packed_size(message), at = 0;

    if (len > CHANNEL_MESSAGE_MAX)
        return VMAFX_ERR_LIMIT;
    for (size_t i = 0; i < 4; i++)
        buffer->bytes[i] = (uint8_t)(len >> 8 * i);
    protobuf_c_message_pack(message, buffer->bytes + 4);
    while (at < 4 + len) {
        ssize_t n = write(fd, buffer->bytes + at, 4 + len - at);

        if (n < 0 && errno != EINTR)
            return VMAFX_ERR_IO;
        at += n > 0 ? (size_t)n : 0;
    }
    return VMAFX_OK;
}

void channel_request_done(ChannelRequest *request)
{
    vmafx_message_free(&request->message);
    for (size_t i = 0; i < request->n_fds; i++)
        close(request->fds[i]);
    *request = (ChannelRequest){ 0 };
}

static void take_descriptors(struct msghdr *header, ChannelRequest *request)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (request->n_fds < CHANNEL_FDS_MAX)
                request->fds[request->n_fds++] = fd;
            else
                close(fd);
        }
    }
}

static size_t length_of(const uint8_t *bytes)
{
    return (size_t)bytes[0] | (size_t)bytes[1] << 8 | (size_t)bytes[2] << 16 | (size_t)bytes[3] << 24;
}

VmafxErr channel_read(int fd, ChannelBuffer *buffer, ChannelRequest *ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(channel_request_done) ChannelRequest request = { 0 };
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(16 * sizeof(int))];
    struct iovec part = { buffer->bytes, 4 + CHANNEL_REQUEST_MAX };
    struct msghdr header = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control
    };
    ssize_t n;

    do
        n = recvmsg(fd, &header, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return vmafx_fail(reterr, VMAFX_ERR_IO, "cannot read a request: %s", strerror(errno));
    take_descriptors(&header, &request);
    if (n > 0 && (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "a request, or what came with it, is too large");
    if (n > 0 && (n < 4 || length_of(buffer->bytes) != (size_t)n - 4))
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "a request is not as long as it says");
    if (n > 0) {
        VmafxErr err = vmafx_message_unpack(&vmafx__scorer__v1__scorer_request__descriptor, buffer->bytes + 4,
                                            (size_t)n - 4, 0, &request.message, reterr);
        if (err)
            return err;
        request.request = vmafx_message_get(request.message);
    }
    *ret = request;
    request = (ChannelRequest){ 0 };
    return VMAFX_OK;
}
