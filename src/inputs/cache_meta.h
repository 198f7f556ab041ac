/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What is known of an entry of the cache, as the text of its KEY.meta. Pure. */
#ifndef VMAFX_INPUTS_CACHE_META_H
#define VMAFX_INPUTS_CACHE_META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/url.h"

#define CACHE_META_MAX 4096 /* bytes of the text */

typedef struct CacheMeta {
    char url_sha256[VMAFX_SHA256_TEXT]; /* of the whole URL, signature included */
    char sha256[VMAFX_SHA256_TEXT];     /* of the bytes */
    char etag[256], last_modified[64];  /* "" none; one of them is there */
    int64_t size;
    int64_t changed_ns; /* the data's time of change */
    int64_t checked_ns; /* Unix; when the server last said that it is this */
    int64_t fresh_ns;   /* Unix; until then nobody needs to ask */
} CacheMeta;

/** False when it does not fit. */
bool cache_meta_print(const CacheMeta *meta, char *ret, size_t size);
/** False for anything that print would not have made. */
bool cache_meta_parse(const char *text, size_t len, CacheMeta *ret);

/** May it be used without asking? Only by who knows the whole URL, with its signature. */
bool cache_meta_is_fresh(const CacheMeta *meta, const char *url_sha256, int64_t now_ns);

/**
 * What a URL is kept under: SHA-256 of it without the parameters that sign it, which are other ones each time (X-Amz-…,
 * X-Goog-…, and AWSAccessKeyId, Signature, Expires, Key-Pair-Id, Policy).
 */
void cache_key(const char *uri, char ret_hex[VMAFX_SHA256_TEXT]);
#endif
