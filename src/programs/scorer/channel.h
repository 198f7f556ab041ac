/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Messages with their length before them: out to a pipe or a packet socket, in from a packet socket. */
#ifndef VMAFX_PROGRAMS_SCORER_CHANNEL_H
#define VMAFX_PROGRAMS_SCORER_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc/message.h"

#define CHANNEL_MESSAGE_MAX ((size_t)1 << 20)
#define CHANNEL_REQUEST_MAX ((size_t)128 << 10)
#define CHANNEL_FDS_MAX     4

/** Where messages are put together: allocated beforehand, so that a lack of memory can still be told. */
typedef struct ChannelBuffer {
    uint8_t bytes[4 + CHANNEL_MESSAGE_MAX];
} ChannelBuffer;

/** VMAFX_ERR_LIMIT: larger than CHANNEL_MESSAGE_MAX, nothing was written; VMAFX_ERR_IO with errno: nobody reads. */
VMAFX_CHECK VmafxErr channel_write(int fd, ChannelBuffer *buffer, const ProtobufCMessage *message);

/** A request, and the descriptors that came with it. Zeroed it may be done. */
typedef struct ChannelRequest {
    VmafxMessage *message;
    const Vmafx__Scorer__V1__ScorerRequest *request;
    int fds[CHANNEL_FDS_MAX];
    size_t n_fds;
} ChannelRequest;

/**
 * One packet. At the end of the connection VMAFX_OK and request NULL.
 * @return VMAFX_ERR_SYNTAX, VMAFX_ERR_LIMIT, VMAFX_ERR_NOMEM: this packet is lost; VMAFX_ERR_IO: the connection is
 */
VMAFX_CHECK VmafxErr channel_read(int fd, ChannelBuffer *buffer, ChannelRequest *ret, VmafxErrInfo *reterr);
/** Closes the descriptors, too. */
void channel_request_done(ChannelRequest *request);
#endif
