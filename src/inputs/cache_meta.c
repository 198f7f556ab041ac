/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Lines "name value", in one order, each exactly once: what differs is not ours. */

#include "inputs/cache_meta.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "inputs/headers.h"

#define FIRST_LINE "vmafx-cache 1"

bool cache_meta_print(const CacheMeta *meta, char *ret, size_t size)
{
    int n = snprintf(ret, size,
                     FIRST_LINE "\nurl-sha256 %s\nsha256 %s\nsize %" PRId64 "\nchanged-ns %" PRId64
                                "\nchecked-ns %" PRId64 "\nfresh-ns %" PRId64 "\nlast-modified %s\netag %s\n",
                     meta->url_sha256, meta->sha256, meta->size, meta->changed_ns, meta->checked_ns, meta->fresh_ns,
                     meta->last_modified, meta->etag);

    return n > 0 && (size_t)n < size;
}

static bool take_text(char **at, const char *name, char *ret, size_t size)
{
    size_t len = strlen(name);
    char *end = strchr(*at, '\n');

    if (!end || strncmp(*at, name, len) != 0 || (*at)[len] != ' ')
        return false;
    size_t n = (size_t)(end - (*at + len + 1));
    if (n >= size)
        return false;
    memcpy(ret, *at + len + 1, n);
    ret[n] = 0;
    *at = end + 1;
    return true;
}

static bool take_int(char **at, const char *name, int64_t *ret)
{
    char text[24];

    if (!take_text(at, name, text, sizeof text))
        return false;
    *ret = number_parse(text);
    return *ret >= 0;
}

static bool is_digest(const char *text)
{
    return strlen(text) == VMAFX_SHA256_TEXT - 1 && !text[strspn(text, "0123456789abcdef")];
}

bool cache_meta_parse(const char *text, size_t len, CacheMeta *ret)
{
    char copy[CACHE_META_MAX + 1], *at = copy, version[8];
    CacheMeta m = { 0 };

    if (len > CACHE_META_MAX || memchr(text, 0, len))
        return false;
    memcpy(copy, text, len);
    copy[len] = 0;
    if (!take_text(&at, "vmafx-cache", version, sizeof version) || strcmp(version, "1") != 0 ||
        !take_text(&at, "url-sha256", m.url_sha256, sizeof m.url_sha256) ||
        !take_text(&at, "sha256", m.sha256, sizeof m.sha256) || !take_int(&at, "size", &m.size) ||
        !take_int(&at, "changed-ns", &m.changed_ns) || !take_int(&at, "checked-ns", &m.checked_ns) ||
        !take_int(&at, "fresh-ns", &m.fresh_ns) ||
        !take_text(&at, "last-modified", m.last_modified, sizeof m.last_modified) ||
        !take_text(&at, "etag", m.etag, sizeof m.etag) || *at)
        return false;
    if (!is_digest(m.url_sha256) || !is_digest(m.sha256) || (*m.etag && !etag_is_usable(m.etag)) ||
        (*m.last_modified && http_date_parse(m.last_modified) < 0) || !(*m.etag || *m.last_modified))
        return false;
    char again[CACHE_META_MAX + 1];
    if (!cache_meta_print(&m, again, sizeof again) || strlen(again) != len || memcmp(again, text, len) != 0)
        return false; /* zeroes in front */
    *ret = m;
    return true;
}

bool cache_meta_is_fresh(const CacheMeta *meta, const char *url_sha256, int64_t now_ns)
{
    /* a clock that went back says nothing about how old it is */
    return !strcmp(meta->url_sha256, url_sha256) && now_ns >= meta->checked_ns && now_ns < meta->fresh_ns;
}

static bool signs(const char *name, size_t len)
{
    static const char *const begins[] = { "X-Amz-", "X-Goog-" };
    static const char *const names[] = { "AWSAccessKeyId", "Signature", "Expires", "Key-Pair-Id", "Policy" };

    for (size_t i = 0; i < VMAFX_LEN(begins); i++)
        if (len > strlen(begins[i]) && !strncasecmp(name, begins[i], strlen(begins[i])))
            return true;
    for (size_t i = 0; i < VMAFX_LEN(names); i++)
        if (len == strlen(names[i]) && !strncasecmp(name, names[i], len))
            return true;
    return false;
}

void cache_key(const char *uri, char ret_hex[VMAFX_SHA256_TEXT])
{
    bool is_s3 = !strncasecmp(uri, "s3://", 5); /* has no query: a question mark is of its key */
    size_t len = is_s3 ? strlen(uri) : strcspn(uri, "?#"), n;
    const char *at = uri + len;
    VmafxSha256 sha;

    vmafx_sha256_init(&sha);
    vmafx_sha256_add(&sha, uri, len);
    for (at += *at == '?'; *at && *at != '#'; at += n + (at[n] == '&')) {
        n = strcspn(at, "&#");
        if (signs(at, VMAFX_MIN(strcspn(at, "="), n)))
            continue;
        vmafx_sha256_add(&sha, "&", 1);
        vmafx_sha256_add(&sha, at, n);
    }
    vmafx_sha256_end_hex(&sha, ret_hex);
}
