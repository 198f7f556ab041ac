/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* One copy for what was sent and one that is decoded in place: decoding never makes text longer. */

#include "http/target.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool vmafx_http_is_utf8(const char *text)
{
    static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 }; /* shorter forms are not allowed */
    const unsigned char *s = (const unsigned char *)text;

    while (*s) {
        int more = *s < 0x80 ? 0 : *s >> 5 == 6 ? 1 : *s >> 4 == 14 ? 2 : *s >> 3 == 30 ? 3 : -1;

        if (more < 0)
            return false;
        uint32_t c = more ? *s & (0x3Fu >> more) : *s;
        for (int i = 1; i <= more; i++) {
            if (s[i] >> 6 != 2)
                return false;
            c = c << 6 | (s[i] & 0x3Fu);
        }
        if (c < least[more] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
            return false;
        s += more + 1;
    }
    return true;
}

/* Decodes in place. False for a malformed escape, control characters and what is not UTF-8. */
static bool decode(char *text, bool plus_is_blank)
{
    char *to = text;

    for (const char *from = text; *from; from++) {
        int c = (unsigned char)*from;

        if (c == '%') {
            int high = hex(from[1]), low = high < 0 ? -1 : hex(from[2]);

            if (low < 0)
                return false;
            c = high * 16 + low;
            from += 2;
        } else if (c == '+' && plus_is_blank) {
            c = ' ';
        }
        if (c < ' ' || c == 127)
            return false;
        *to++ = (char)c;
    }
    *to = 0;
    return vmafx_http_is_utf8(text);
}

static VmafxErr read_path(char *path, VmafxHttpTarget *target, VmafxErrInfo *reterr)
{
    char *rest = path + 1;

    for (char *segment = strsep(&rest, "/"); segment; segment = strsep(&rest, "/")) {
        if (target->n_segments == VMAFX_HTTP_SEGMENTS_MAX)
            return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "the path has more than %d segments", VMAFX_HTTP_SEGMENTS_MAX);
        if (!decode(segment, false))
            return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "the path has a malformed escape, or is not UTF-8");
        if (strchr(segment, '/') || !strcmp(segment, ".") || !strcmp(segment, ".."))
            return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "the path has '.', '..' or an escaped '/' as a segment");
        target->segments[target->n_segments++] = segment;
    }
    return VMAFX_OK;
}

static VmafxErr read_query(char *query, VmafxHttpTarget *target, VmafxErrInfo *reterr)
{
    char *rest = query;

    for (char *member = strsep(&rest, "&"); member; member = strsep(&rest, "&")) {
        char *value = member;
        char *name = strsep(&value, "=");

        if (!*member && !value)
            continue;
        if (target->n_query == VMAFX_HTTP_QUERY_MAX)
            return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "the query has more than %d members", VMAFX_HTTP_QUERY_MAX);
        if (!decode(name, true) || (value && !decode(value, true)))
            return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "the query has a malformed escape, or is not UTF-8");
        target->query[target->n_query++] = (VmafxHttpPair){ name, value ? value : "" };
    }
    return VMAFX_OK;
}

/* The path and query behind "http://authority"; what is not of that form stays. */
static void skip_authority(const char **text, size_t *len)
{
    size_t skip = *len >= 7 && !strncasecmp(*text, "http://", 7)    ? 7
                  : *len >= 8 && !strncasecmp(*text, "https://", 8) ? 8
                                                                    : 0;

    if (!skip)
        return;
    while (skip < *len && !strchr("/?#", (*text)[skip]))
        skip++;
    *text += skip;
    *len -= skip;
}

VmafxErr vmafx_http_target_parse(const char *text, size_t len, VmafxHttpTarget *ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_http_target_done) VmafxHttpTarget target = { 0 };

    if (len > VMAFX_HTTP_TARGET_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "the request target is longer than %d bytes", VMAFX_HTTP_TARGET_MAX);
    if (memchr(text, 0, len) || memchr(text, '#', len))
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "the request target has a fragment or a zero byte");
    skip_authority(&text, &len);
    if (!len || *text != '/')
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "the request target does not begin with '/'");

    target.text = malloc(2 * (len + 1));
    if (!target.text)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for the request target");
    char *decoded = target.text + len + 1;
    memcpy(target.text, text, len);
    memcpy(decoded, text, len);
    target.text[len] = decoded[len] = 0;
    target.raw_query = target.text;
    target.raw_path = strsep(&target.raw_query, "?");
    char *query = decoded;
    char *path = strsep(&query, "?");

    VmafxErr err = read_path(path, &target, reterr);
    if (!err && query)
        err = read_query(query, &target, reterr);
    if (err)
        return err;
    *ret = target;
    target = (VmafxHttpTarget){ 0 };
    return VMAFX_OK;
}

void vmafx_http_target_done(VmafxHttpTarget *target)
{
    free(target->text);
    *target = (VmafxHttpTarget){ 0 };
}

const char *vmafx_http_target_query(const VmafxHttpTarget *target, const char *name)
{
    for (size_t i = 0; i < target->n_query; i++)
        if (!strcmp(target->query[i].name, name))
            return target->query[i].value;
    return NULL;
}

/* ---- patterns ---- */

/* The next segment of a pattern: *at stands behind a '/' and moves behind the next one; NULL at the end. */
static const char *next_segment(const char **at, size_t *ret_len)
{
    const char *segment = *at;

    if (!segment)
        return NULL;
    *ret_len = strcspn(segment, "/");
    *at = segment[*ret_len] ? segment + *ret_len + 1 : NULL;
    return segment;
}

static bool is_param(const char *segment, size_t len)
{
    return len > 2 && segment[0] == '{' && segment[len - 1] == '}';
}

static bool segment_valid(const char *segment, size_t len)
{
    if (!is_param(segment, len)) /* literals of unreserved characters need no escapes */
        return strspn(segment, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~:") >= len;
    return strspn(segment + 1, "abcdefghijklmnopqrstuvwxyz0123456789_") == len - 2;
}

bool vmafx_http_pattern_valid(const char *pattern)
{
    const char *names[VMAFX_HTTP_PARAMS_MAX], *at = pattern + 1, *segment;
    size_t lens[VMAFX_HTTP_PARAMS_MAX], len, n = 0, n_segments = 0;

    if (*pattern != '/')
        return false;
    while ((segment = next_segment(&at, &len))) {
        if (!segment_valid(segment, len) || ++n_segments > VMAFX_HTTP_SEGMENTS_MAX)
            return false;
        if (!is_param(segment, len))
            continue;
        for (size_t i = 0; i < n; i++)
            if (lens[i] == len && !memcmp(names[i], segment, len))
                return false;
        if (n == VMAFX_HTTP_PARAMS_MAX)
            return false;
        names[n] = segment;
        lens[n++] = len;
    }
    return true;
}

bool vmafx_http_pattern_match(const char *pattern, const VmafxHttpTarget *target)
{
    const char *at = pattern + 1, *segment;
    size_t len, i = 0;

    while ((segment = next_segment(&at, &len))) {
        if (i == target->n_segments)
            return false;
        const char *given = target->segments[i++];
        if (is_param(segment, len) ? !*given : strlen(given) != len || memcmp(given, segment, len) != 0)
            return false;
    }
    return i == target->n_segments;
}

const char *vmafx_http_pattern_param(const char *pattern, const VmafxHttpTarget *target, const char *name)
{
    const char *at = pattern + 1, *segment;
    size_t len;

    for (size_t i = 0; (segment = next_segment(&at, &len)) && i < target->n_segments; i++)
        if (is_param(segment, len) && strlen(name) == len - 2 && !memcmp(segment + 1, name, len - 2))
            return target->segments[i];
    return NULL;
}

/* ---- what spans may show ---- */

static bool is_secret(const char *name, size_t len)
{
    static const char *const secrets[] = { "X-Amz-Signature",
                                           "X-Amz-Credential",
                                           "X-Amz-Security-Token",
                                           "AWSAccessKeyId",
                                           "Signature",
                                           "sig",
                                           "X-Goog-Signature",
                                           "token",
                                           "access_token" };

    for (size_t i = 0; i < VMAFX_LEN(secrets); i++)
        if (strlen(secrets[i]) == len && !strncasecmp(secrets[i], name, len))
            return true;
    return false;
}

static void append(char *to, size_t size, size_t *at, const char *text, size_t len)
{
    size_t n = VMAFX_MIN(len, size - 1 - *at);

    memcpy(to + *at, text, n);
    *at += n;
}

void vmafx_http_query_redact(const char *raw_query, char *ret, size_t size)
{
    size_t at = 0;

    for (const char *member = raw_query; *member;) {
        size_t len = strcspn(member, "&"), name = VMAFX_MIN(strcspn(member, "="), len);

        if (name < len && is_secret(member, name)) {
            append(ret, size, &at, member, name + 1);
            append(ret, size, &at, "REDACTED", strlen("REDACTED"));
        } else {
            append(ret, size, &at, member, len);
        }
        member += len;
        if (*member == '&')
            append(ret, size, &at, member++, 1);
    }
    ret[at] = 0;
}
