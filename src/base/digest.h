/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* SHA-256, as 64 lower-case hexadecimal digits. */
#ifndef VMAFX_BASE_DIGEST_H
#define VMAFX_BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include <vmafx/error.h>

#define VMAFX_SHA256_TEXT 65 /* 64 hexadecimal digits and the terminating zero */

/** A digest under way. It holds no memory of its own: one that is not wanted any more is simply dropped. */
typedef struct VmafxSha256 {
    uint64_t state[16]; /* libcrypto's */
} VmafxSha256;

void vmafx_sha256_init(VmafxSha256 *sha);
void vmafx_sha256_add(VmafxSha256 *sha, const void *data, size_t len);
/** Ends the digest; init it before the next use. */
void vmafx_sha256_end_hex(VmafxSha256 *sha, char ret_hex[VMAFX_SHA256_TEXT]);

/** Of one block of memory, as 32 bytes. */
#define VMAFX_SHA256_BYTES 32
void vmafx_sha256(const void *data, size_t len, uint8_t ret[VMAFX_SHA256_BYTES]);
/** The same as text. */
void vmafx_sha256_hex(const void *data, size_t len, char ret_hex[VMAFX_SHA256_TEXT]);

/** Of a file. VMAFX_ERR_NOT_FOUND, VMAFX_ERR_IO */
VMAFX_CHECK VmafxErr vmafx_sha256_file(const char *path, char ret_hex[VMAFX_SHA256_TEXT], VmafxErrInfo *reterr);
#endif
