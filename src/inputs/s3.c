/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* AWS Signature Version 4: a canonical request, a text of its digest, a key made of four HMACs. */

#include "inputs/s3.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base.h"
#include "base/digest.h"

#define BLOCK     64 /* of SHA-256, for HMAC (RFC 2104) */
#define TEXT_MAX  512
#define SCOPE_MAX 128

/* ---- Configuration ---- */

static const char *setting(const char *name, const char *other)
{
    const char *value = getenv(name);

    if ((!value || !*value) && other)
        value = getenv(other);
    return value && *value ? value : NULL;
}

static bool is_word(const char *text, size_t max)
{
    return strlen(text) <= max &&
           !text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_./+=")];
}

static VmafxErr check_config(S3Config *config, VmafxErrInfo *reterr)
{
    VmafxUrl url;
    VmafxErrInfo info = { 0 };

    if (!config->region || !is_word(config->region, 63) || strchr(config->region, '/'))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "AWS_REGION is not the name of a region");
    if (!config->access_key != !config->secret_key)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY go together");
    if (config->access_key && (!is_word(config->access_key, 128) || strchr(config->access_key, '/')))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "AWS_ACCESS_KEY_ID is not an access key");
    if (config->secret_key && strlen(config->secret_key) > 256)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "AWS_SECRET_ACCESS_KEY is longer than 256 bytes");
    if (config->token && !is_word(config->token, S3_TOKEN_MAX))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "AWS_SESSION_TOKEN is not a session token");
    if (!config->endpoint)
        return VMAFX_OK;
    VmafxErr err = vmafx_url_parse(config->endpoint, &url, &info);
    if (err || url.user || strpbrk(config->endpoint, "?#"))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL: %s",
                          err ? info.message : "only https://HOST[:PORT][/PATH] is taken");
    for (size_t len = strlen(config->endpoint); len && config->endpoint[len - 1] == '/';)
        config->endpoint[--len] = 0;
    return VMAFX_OK;
}

VmafxErr s3_config_init(S3Config *config, VmafxErrInfo *reterr)
{
    const char *endpoint = setting("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL");
    const char *region = setting("AWS_REGION", "AWS_DEFAULT_REGION");
    const char *access = setting("AWS_ACCESS_KEY_ID", NULL), *secret = setting("AWS_SECRET_ACCESS_KEY", NULL);
    const char *token = setting("AWS_SESSION_TOKEN", NULL);

    *config = (S3Config){ vmafx_strdup(endpoint), vmafx_strdup(region ? region : "us-east-1"), vmafx_strdup(access),
                          vmafx_strdup(secret), vmafx_strdup(access ? token : NULL) };
    if (!config->region || (endpoint && !config->endpoint) || (access && !config->access_key) ||
        (secret && !config->secret_key) || (access && token && !config->token))
        return VMAFX_ERR_NOMEM;
    return check_config(config, reterr);
}

void s3_config_done(S3Config *config)
{
    free(config->endpoint);
    free(config->region);
    free(config->access_key);
    free(config->secret_key);
    free(config->token);
    *config = (S3Config){ 0 };
}

/* ---- URL ---- */

static bool is_bucket(const char *name, size_t len)
{
    if (len < 3 || len > 63 || !isalnum((unsigned char)name[0]))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)name[i]) && !strchr("-_.", name[i]))
            return false;
    return true;
}

/** UriEncode() of the AWS documents, slashes kept. */
static bool encode(const char *key, char *at, const char *end)
{
    static const char digits[] = "0123456789ABCDEF";

    for (; *key; key++) {
        unsigned char c = (unsigned char)*key;
        bool plain = (c < 0x80 && isalnum(c)) || strchr("-._~/", c);

        if (end - at < (plain ? 2 : 4))
            return false;
        if (plain) {
            *at++ = (char)c;
        } else {
            *at++ = '%';
            *at++ = digits[c >> 4];
            *at++ = digits[c & 15];
        }
    }
    *at = 0;
    return true;
}

VmafxErr s3_url(const S3Config *config, const char *uri, char ret[VMAFX_URL_MAX], VmafxErrInfo *reterr)
{
    const char *bucket = uri + 5;
    size_t len = strcspn(bucket, "/");
    const char *key = bucket + len + (bucket[len] == '/');
    int n;

    if (!is_bucket(bucket, len) || !*key)
        return vmafx_fail(reterr, VMAFX_ERR_INPUT, "an object is named s3://BUCKET/KEY");
    if (strlen(key) > S3_KEY_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_INPUT, "the key of the object is longer than %d bytes", S3_KEY_MAX);
    if (config->endpoint)
        n = snprintf(ret, VMAFX_URL_MAX, "%s/%.*s/", config->endpoint, (int)len, bucket);
    else if (memchr(bucket, '.', len)) /* no certificate covers a host with a dot more */
        n = snprintf(ret, VMAFX_URL_MAX, "https://s3.%s.amazonaws.com/%.*s/", config->region, (int)len, bucket);
    else
        n = snprintf(ret, VMAFX_URL_MAX, "https://%.*s.s3.%s.amazonaws.com/", (int)len, bucket, config->region);
    if (n >= VMAFX_URL_MAX || !encode(key, ret + n, ret + VMAFX_URL_MAX))
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "the URL of the object is longer than %d bytes", VMAFX_URL_MAX - 1);
    return VMAFX_OK;
}

/* ---- Signature ---- */

static void hmac(const void *key, size_t key_len, const char *text, uint8_t ret[VMAFX_SHA256_BYTES])
{
    uint8_t inner[BLOCK + TEXT_MAX], outer[BLOCK + VMAFX_SHA256_BYTES], block[BLOCK] = { 0 };
    size_t len = strnlen(text, TEXT_MAX);

    if (key_len > BLOCK)
        vmafx_sha256(key, key_len, block);
    else
        memcpy(block, key, key_len);
    for (size_t i = 0; i < BLOCK; i++) {
        inner[i] = block[i] ^ 0x36;
        outer[i] = block[i] ^ 0x5c;
    }
    memcpy(inner + BLOCK, text, len);
    vmafx_sha256(inner, BLOCK + len, outer + BLOCK);
    vmafx_sha256(outer, sizeof outer, ret);
}

static void add(VmafxSha256 *sha, const char *text)
{
    vmafx_sha256_add(sha, text, strlen(text));
}

static void add_header(VmafxSha256 *sha, const char *name, const char *value)
{
    add(sha, name);
    add(sha, ":");
    add(sha, value);
    add(sha, "\n");
}

static void canonical_request(const S3Config *config, const VmafxUrl *url, const char *range, const S3Signature *s,
                              const char *signed_headers, char ret_hex[VMAFX_SHA256_TEXT])
{
    char host[VMAFX_URL_HOST_MAX + 16];
    VmafxSha256 sha;
    bool usual = url->port == (url->tls ? 443 : 80);

    snprintf(host, sizeof host, usual ? "%s%s%s" : "%s%s%s:%u", url->ipv6 ? "[" : "", url->host, url->ipv6 ? "]" : "",
             url->port);
    vmafx_sha256_init(&sha);
    add(&sha, "GET\n");
    vmafx_sha256_add(&sha, url->target, url->target_len);
    add(&sha, "\n\n"); /* no query */
    add_header(&sha, "host", host);
    if (range)
        add_header(&sha, "range", range);
    add_header(&sha, "x-amz-content-sha256", s->content);
    add_header(&sha, "x-amz-date", s->date);
    if (config->token)
        add_header(&sha, "x-amz-security-token", config->token);
    add(&sha, "\n");
    add(&sha, signed_headers);
    add(&sha, "\n");
    add(&sha, s->content);
    vmafx_sha256_end_hex(&sha, ret_hex);
}

void s3_sign(const S3Config *config, const VmafxUrl *url, const char *range, int64_t now_unix_s, S3Signature *ret)
{
    char secret[4 + 256 + 1], day[9], scope[SCOPE_MAX], digest[VMAFX_SHA256_TEXT], text[TEXT_MAX], signed_headers[96];
    uint8_t key[VMAFX_SHA256_BYTES];
    time_t now = (time_t)now_unix_s;
    struct tm tm;

    gmtime_r(&now, &tm);
    strftime(ret->date, sizeof ret->date, "%Y%m%dT%H%M%SZ", &tm);
    snprintf(day, sizeof day, "%.8s", ret->date);
    vmafx_sha256_hex("", 0, ret->content);
    snprintf(signed_headers, sizeof signed_headers, "host;%sx-amz-content-sha256;x-amz-date%s", range ? "range;" : "",
             config->token ? ";x-amz-security-token" : "");
    canonical_request(config, url, range, ret, signed_headers, digest);

    snprintf(scope, sizeof scope, "%s/%s/s3/aws4_request", day, config->region);
    snprintf(text, sizeof text, "AWS4-HMAC-SHA256\n%s\n%s\n%s", ret->date, scope, digest);
    snprintf(secret, sizeof secret, "AWS4%s", config->secret_key);
    hmac(secret, strlen(secret), day, key);
    hmac(key, sizeof key, config->region, key);
    hmac(key, sizeof key, "s3", key);
    hmac(key, sizeof key, "aws4_request", key);
    hmac(key, sizeof key, text, key);
    int n = snprintf(ret->authorization, sizeof ret->authorization,
                     "AWS4-HMAC-SHA256 Credential=%s/%s,SignedHeaders=%s,Signature=", config->access_key, scope,
                     signed_headers);
    for (size_t i = 0; i < sizeof key && n > 0; i++, n += 2)
        snprintf(ret->authorization + n, 3, "%02x", key[i]);
}
