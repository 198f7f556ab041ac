/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What can be read only once, from front to back: a pipe, a FIFO, a socket. Every byte goes into a digest on its way,
 * and whoever waits for bytes that do not come can be told to give up.
 */
#ifndef VMAFX_MEDIA_PIPE_H
#define VMAFX_MEDIA_PIPE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/digest.h"

typedef struct VmafxPipe {
    int fd;                  /* owned by whoever has the pipe */
    const atomic_bool *stop; /* a plain flag: reads give up once it is set; NULL: never */
    bool digesting;
    VmafxSha256 sha;
    bool ended; /* a read has met the end */
} VmafxPipe;

/** True when the descriptor cannot be sought. */
bool vmafx_pipe_is_one(int fd);

/** As read(2), without EINTR; ECANCELED when told to give up. Once at the end it stays there. */
ssize_t vmafx_pipe_read(VmafxPipe *pipe, void *buffer, size_t size);

/** A stream that reads the pipe, which must live longer; fclose leaves it open. NULL on no memory. */
FILE *vmafx_pipe_file(VmafxPipe *pipe);

/** Of all bytes; once. False when it was not read to its end, or is not digesting. */
bool vmafx_pipe_digest(VmafxPipe *pipe, char ret_hex[VMAFX_SHA256_TEXT]);
#endif
