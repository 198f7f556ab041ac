/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A video that can be read only once, brought to a temporary file without a name, so that it can be read twice. */
#ifndef VMAFX_PROGRAMS_CLI_STAGE_H
#define VMAFX_PROGRAMS_CLI_STAGE_H

#include <stdbool.h>
#include <stdint.h>

#include <vmafx/error.h>

#define STAGE_BYTES_MAX ((int64_t)16 << 30) /* unless told otherwise */

/** Two open files of it, each at its start. */
typedef struct Staged {
    int fds[2];
} Staged;

#define STAGED_NONE                                                                                                    \
    {                                                                                                                  \
        .fds = { -1, -1 }                                                                                              \
    }

/** Standard input, a pipe, a FIFO, a socket, "pipe:N" and the like. */
bool stage_is_needed(const char *path);
/**
 * Copies it to the end, to TMPDIR or /tmp. Nothing of the file is left once its descriptors are closed.
 * @param stopped  asked now and then
 * @return VMAFX_ERR_LIMIT more than max bytes; VMAFX_ERR_CANCELLED; VMAFX_ERR_INPUT; VMAFX_ERR_IO
 */
VMAFX_CHECK VmafxErr stage(const char *path, int64_t max, bool (*stopped)(void), Staged *ret, VmafxErrInfo *reterr);
void stage_done(Staged *staged);

/** "500000", "500k", "500M", "8G"; false: none of these. */
bool stage_size(const char *text, int64_t *ret);
#endif
