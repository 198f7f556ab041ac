/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What comes of users and servers: URLs, what is shown of them, headers, the texts of the cache. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/url.h"
#include "inputs/cache_meta.h"
#include "inputs/headers.h"
#include "inputs/policy.h"
#include "inputs/s3.h"

#define TEXT_MAX 1024

static void must(bool held)
{
    if (!held)
        abort();
}

static void shown(const char *uri)
{
    char text[TEXT_MAX + 8], small[9], name[64], in_place[TEXT_MAX];

    vmafx_url_redact(uri, text, sizeof text);
    vmafx_url_redact(uri, small, sizeof small);
    vmafx_uri_name(uri, name, sizeof name);
    must(strlen(small) < sizeof small && strlen(name) < sizeof name && !strncmp(text, small, strlen(small)));
    snprintf(in_place, sizeof in_place, "%s", uri);
    vmafx_url_redact(in_place, in_place, strlen(uri) + 1);
    must(!strncmp(text, in_place, strlen(in_place)));
}

static void parsed(const char *uri)
{
    char text[VMAFX_URL_MAX + 8], again[VMAFX_URL_MAX + 8], seen[VMAFX_URL_MAX + 8];
    VmafxUrl url, other;

    if (vmafx_url_parse(uri, &url, NULL) || vmafx_url_print(&url, text, sizeof text))
        return;
    /* what is printed has the same meaning, and no user */
    must(!vmafx_url_parse(text, &other, NULL) && vmafx_url_same_origin(&url, &other) && !other.user);
    must(!vmafx_url_print(&other, again, sizeof again) && !strcmp(text, again));
    /* what is shown has neither a user nor a query */
    vmafx_url_redact(uri, seen, sizeof seen);
    char *query = strchr(seen, '?');
    must((!query || !strcmp(query, "?\xe2\x80\xa6")) && !strchr(seen, '#'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[TEXT_MAX], key[VMAFX_SHA256_TEXT], url[VMAFX_URL_MAX];
    S3Config s3 = { .region = (char *)"us-east-1" };
    ContentRange range;
    CacheMeta meta;
    HostList hosts;

    if (size >= sizeof text)
        return 0;
    memcpy(text, data, size);
    text[size] = 0;
    shown(text);
    parsed(text);
    cache_key(text, key);
    if (content_range_parse(text, &range))
        must(range.first >= 0 && range.last >= range.first && (range.total < 0 || range.total > range.last));
    CacheControl control = cache_control_parse(text);
    must(control.max_age_s >= 0 && control.max_age_s <= CACHE_AGE_MAX_S);
    must(retry_after_parse(text, 1000) >= 0 && http_date_parse(text) >= -1);
    must(!etag_is_strong(text) || etag_is_usable(text));
    if (cache_meta_parse(text, size, &meta))
        must(meta.size >= 0);
    if (!strncasecmp(text, "s3://", 5) && !s3_url(&s3, text, url, NULL)) {
        VmafxUrl parsed_url;
        must(!vmafx_url_parse(url, &parsed_url, NULL) && !parsed_url.user);
    }
    VmafxErr err = host_list_init(&hosts, text, NULL);
    (void)err;
    host_list_done(&hosts);
    return 0;
}
