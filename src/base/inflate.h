/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Unpacks what a peer has compressed, and never more of it than a limit: a few bytes can stand for gigabytes. */
#ifndef VMAFX_BASE_INFLATE_H
#define VMAFX_BASE_INFLATE_H

#include <stddef.h>
#include <stdint.h>

#include <vmafx/error.h>

typedef enum VmafxPacking {
    VMAFX_PACKED_GZIP, /* RFC 1952, one member */
    VMAFX_PACKED_ZLIB, /* RFC 1950, what HTTP and gRPC call "deflate" */
} VmafxPacking;

/**
 * The memory grows with what comes out, to max + 1 bytes at most.
 * @param max      bytes of the result, below 2 GiB; neither it nor what is packed may have more
 * @param ret      free(); never NULL, also for a result of 0 bytes
 * @return VMAFX_ERR_SYNTAX not packed like that, cut, or followed by more; VMAFX_ERR_LIMIT; VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr vmafx_inflate(VmafxPacking packing, const void *data, size_t len, size_t max, uint8_t **ret,
                                   size_t *ret_len, VmafxErrInfo *reterr);
#endif
