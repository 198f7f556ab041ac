/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Reading what cannot be sought. */

#include "media/pipe.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#define LOOK_MS 100 /* how long a pipe may be quiet before the flag is looked at again */

bool vmafx_pipe_is_one(int fd)
{
    return lseek(fd, 0, SEEK_CUR) < 0 && errno == ESPIPE;
}

/* Until there are bytes, or the end, or an error that read will tell. */
static bool wait_for_bytes(const VmafxPipe *pipe)
{
    struct pollfd wait = { .fd = pipe->fd, .events = POLLIN };

    while (!atomic_load_explicit(pipe->stop, memory_order_relaxed)) {
        int n = poll(&wait, 1, LOOK_MS);
        if (n > 0 || (n < 0 && errno != EINTR))
            return true;
    }
    return false;
}

ssize_t vmafx_pipe_read(VmafxPipe *pipe, void *buffer, size_t size)
{
    ssize_t n;

    if (pipe->ended)
        return 0;
    do {
        if (pipe->stop && !wait_for_bytes(pipe)) {
            errno = ECANCELED;
            return -1;
        }
        n = read(pipe->fd, buffer, size);
    } while (n < 0 && (errno == EINTR || (errno == EAGAIN && pipe->stop)));
    pipe->ended = n == 0 && size > 0;
    if (n > 0 && pipe->digesting)
        vmafx_sha256_add(&pipe->sha, buffer, (size_t)n);
    return n;
}

static ssize_t read_cookie(void *cookie, char *buffer, size_t size)
{
    return vmafx_pipe_read(cookie, buffer, size);
}

FILE *vmafx_pipe_file(VmafxPipe *pipe)
{
    return fopencookie(pipe, "r", (cookie_io_functions_t){ .read = read_cookie });
}

bool vmafx_pipe_digest(VmafxPipe *pipe, char ret_hex[VMAFX_SHA256_TEXT])
{
    if (!pipe->ended || !pipe->digesting)
        return false;
    vmafx_sha256_end_hex(&pipe->sha, ret_hex);
    pipe->digesting = false;
    return true;
}
