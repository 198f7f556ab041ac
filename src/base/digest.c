/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * libcrypto's SHA-256. Its newer interface, EVP, allocates a context that can fail and must be freed; the older one
 * used here does neither, so that a digest is a plain value, and is as fast.
 */

#include "base/digest.h"

#include <errno.h>
#include <string.h>

#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include "base/base.h"

_Static_assert(sizeof(SHA256_CTX) <= sizeof(VmafxSha256), "VmafxSha256 holds libcrypto's state");
_Static_assert(_Alignof(SHA256_CTX) <= _Alignof(VmafxSha256), "and aligns it");

#define PIECE 65536

/* These functions of libcrypto have no way to fail. */
void vmafx_sha256_init(VmafxSha256 *sha)
{
    SHA256_Init((SHA256_CTX *)(void *)sha->state);
}

void vmafx_sha256_add(VmafxSha256 *sha, const void *data, size_t len)
{
    SHA256_Update((SHA256_CTX *)(void *)sha->state, data, len);
}

void vmafx_sha256_end_hex(VmafxSha256 *sha, char ret_hex[VMAFX_SHA256_TEXT])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char raw[SHA256_DIGEST_LENGTH];

    SHA256_Final(raw, (SHA256_CTX *)(void *)sha->state);
    for (size_t i = 0; i < sizeof raw; i++) {
        ret_hex[2 * i] = digits[raw[i] >> 4];
        ret_hex[2 * i + 1] = digits[raw[i] & 15];
    }
    ret_hex[2 * sizeof raw] = 0;
}

void vmafx_sha256(const void *data, size_t len, uint8_t ret[VMAFX_SHA256_BYTES])
{
    SHA256(data, len, ret);
}

void vmafx_sha256_hex(const void *data, size_t len, char ret_hex[VMAFX_SHA256_TEXT])
{
    VmafxSha256 sha;

    vmafx_sha256_init(&sha);
    vmafx_sha256_add(&sha, data, len);
    vmafx_sha256_end_hex(&sha, ret_hex);
}

VmafxErr vmafx_sha256_file(const char *path, char ret_hex[VMAFX_SHA256_TEXT], VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_fclose_p) FILE *f = fopen(path, "rbe");
    unsigned char piece[PIECE];
    VmafxSha256 sha;
    size_t got;

    if (!f)
        return vmafx_fail(reterr, errno == ENOENT ? VMAFX_ERR_NOT_FOUND : VMAFX_ERR_IO, "cannot open '%s': %s", path,
                          strerror(errno));
    vmafx_sha256_init(&sha);
    while ((got = fread(piece, 1, sizeof piece, f)) > 0)
        vmafx_sha256_add(&sha, piece, got);
    if (ferror(f))
        return vmafx_fail(reterr, VMAFX_ERR_IO, "cannot read '%s': %s", path, strerror(errno));
    vmafx_sha256_end_hex(&sha, ret_hex);
    return VMAFX_OK;
}
