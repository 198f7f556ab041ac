/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* URLs taken apart and shown. Two readers on purpose: the parser is strict, redaction must cope with anything. */

#include "base/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"

#define ELLIPSIS "\xe2\x80\xa6"

static bool starts(const char *text, const char *prefix)
{
    return !strncasecmp(text, prefix, strlen(prefix));
}

/* ---- Taking apart ---- */

static VmafxErr bad(VmafxErrInfo *reterr, const char *what)
{
    return vmafx_fail(reterr, VMAFX_ERR_INPUT, "%s", what);
}

static bool is_host_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static VmafxErr parse_port(const char *at, const char *end, VmafxUrl *url, VmafxErrInfo *reterr)
{
    unsigned port = 0;

    if (at == end)
        return VMAFX_OK; /* "host:" has the scheme's port (RFC 3986, 3.2.3) */
    for (; at < end; at++) {
        if (*at < '0' || *at > '9')
            return bad(reterr, "the port of the URL is not a number");
        port = port * 10 + (unsigned)(*at - '0');
        if (port > 65535)
            return bad(reterr, "the port of the URL is above 65535");
    }
    if (!port)
        return bad(reterr, "the port of the URL is 0");
    url->port = (uint16_t)port;
    url->port_given = true;
    return VMAFX_OK;
}

static VmafxErr parse_host(const char *at, const char *end, VmafxUrl *url, VmafxErrInfo *reterr)
{
    const char *host = at, *host_end;

    url->ipv6 = at < end && *at == '[';
    if (url->ipv6) {
        host = at + 1;
        for (host_end = host; host_end < end && *host_end != ']'; host_end++)
            if (!strchr("0123456789abcdefABCDEF:.", *host_end))
                return bad(reterr, "the address in brackets is none of IPv6");
        if (host_end == end)
            return bad(reterr, "the bracket around the address is not closed");
        at = host_end + 1;
    } else {
        for (host_end = host; host_end < end && *host_end != ':'; host_end++)
            if (!is_host_byte(*host_end))
                return bad(reterr, "the host of the URL has a character other than letters, digits, '.', '-' and '_' "
                                   "(international names are written as xn--…)");
        at = host_end;
        if (host_end > host && host_end[-1] == '.')
            host_end--;
    }
    size_t len = (size_t)(host_end - host);
    if (!len || *host == '.' || memmem(host, (size_t)(at - host), "..", 2))
        return bad(reterr, "the URL names no host, or one with an empty part");
    if (len >= VMAFX_URL_HOST_MAX)
        return bad(reterr, "the host of the URL is longer than 253 bytes");
    for (size_t i = 0; i < len; i++)
        url->host[i] = lower(host[i]);
    url->host[len] = 0;
    if (at < end && *at != ':')
        return bad(reterr, "something stands between the host and the port of the URL");
    return at < end ? parse_port(at + 1, end, url, reterr) : VMAFX_OK;
}

VmafxErr vmafx_url_parse(const char *text, VmafxUrl *ret, VmafxErrInfo *reterr)
{
    VmafxUrl url = { 0 };

    if (starts(text, "https://"))
        url.tls = true;
    else if (!starts(text, "http://"))
        return bad(reterr, "the URL begins with neither https:// nor http://");
    size_t len = strnlen(text, VMAFX_URL_MAX);
    if (len == VMAFX_URL_MAX)
        return bad(reterr, "the URL is longer than 4096 bytes");
    for (size_t i = 0; i < len; i++)
        if (text[i] <= 0x20 || text[i] >= 0x7f || text[i] == '\\')
            return bad(reterr, "the URL has a blank, a backslash or a character that is not ASCII; write it as %XX");
    const char *authority = text + (url.tls ? 8 : 7);
    size_t authority_len = strcspn(authority, "/?#");
    const char *end = authority + authority_len, *at = memrchr(authority, '@', authority_len);

    url.port = url.tls ? 443 : 80;
    if (at) {
        url.user = authority;
        url.user_len = (size_t)(at - authority);
    }
    url.target = end;
    url.target_len = strcspn(end, "#");
    VmafxErr err = parse_host(at ? at + 1 : authority, end, &url, reterr);
    if (!err)
        *ret = url;
    return err;
}

VmafxErr vmafx_url_print(const VmafxUrl *url, char *ret, size_t size)
{
    char port[8] = "";

    if (url->port != (url->tls ? 443 : 80))
        snprintf(port, sizeof port, ":%u", url->port);
    int n = snprintf(ret, size, "%s://%s%s%s%s%s%.*s", url->tls ? "https" : "http", url->ipv6 ? "[" : "", url->host,
                     url->ipv6 ? "]" : "", port, url->target_len && *url->target == '/' ? "" : "/",
                     (int)url->target_len, url->target);
    return n < 0 || (size_t)n >= size ? VMAFX_ERR_LIMIT : VMAFX_OK;
}

bool vmafx_url_same_origin(const VmafxUrl *a, const VmafxUrl *b)
{
    return a->tls == b->tls && a->port == b->port && a->ipv6 == b->ipv6 && !strcmp(a->host, b->host);
}

bool vmafx_uri_is_remote(const char *uri)
{
    return starts(uri, "https://") || starts(uri, "http://") || starts(uri, "s3://");
}

bool vmafx_uri_is_upload(const char *uri)
{
    return !strncmp(uri, "upload:", 7);
}

const char *vmafx_uri_upload_digest(const char *uri)
{
    const char *digest = uri + 7;

    return vmafx_uri_is_upload(uri) && strspn(digest, "0123456789abcdef") == 64 && !digest[64] ? digest : NULL;
}

/* ---- Showing ---- */

typedef struct Shown {
    char *text; /* may be what is read; never ahead of the reader but for an ellipsis at the end */
    size_t len, size;
} Shown;

static void show(Shown *out, const char *from, size_t n)
{
    size_t room = out->size - 1 - out->len;

    if (n > room) {
        n = room;
        while (n && ((unsigned char)from[n] & 0xc0) == 0x80)
            n--;                      /* not within a character */
        out->size = out->len + n + 1; /* and nothing comes after the cut */
    }
    memmove(out->text + out->len, from, n);
    out->len += n;
}

/* "host", "host:80", "[::1]:80"; anything else may be a password with a slash in it */
static bool is_plain_authority(const char *text, size_t len)
{
    const char *bracket = memrchr(text, ']', len), *from = bracket ? bracket + 1 : text, *end = text + len;
    const char *colon = memchr(from, ':', (size_t)(end - from));

    for (const char *c = colon ? colon + 1 : end; c < end; c++)
        if (*c < '0' || *c > '9')
            return false;
    return true;
}

static void redact(const char *uri, Shown *out)
{
    size_t scheme_len = strcspn(uri, "/?#@");
    bool has_scheme = scheme_len && uri[scheme_len - 1] == ':' && uri[scheme_len] == '/' && uri[scheme_len + 1] == '/';
    const char *authority = has_scheme ? uri + scheme_len + 2 : uri;
    bool is_s3 = starts(uri, "s3://");
    size_t len = strcspn(authority, is_s3 ? "/?#" : "/?#\\");
    const char *at = memrchr(authority, '@', len), *host = at ? at + 1 : authority, *end = authority + len;
    size_t path_len = strcspn(end, "?#");
    bool query = end[path_len] == '?';

    if (!has_scheme && (starts(uri, "http:") || starts(uri, "https:"))) { /* a slash was forgotten */
        show(out, uri, strcspn(uri, ":") + 1);
        show(out, ELLIPSIS, strlen(ELLIPSIS));
        return;
    }
    /* text may be overwritten from here on, but only behind what is still read */
    show(out, uri, (size_t)(authority - uri));
    if (!is_plain_authority(host, (size_t)(end - host))) {
        show(out, ELLIPSIS, strlen(ELLIPSIS));
        return;
    }
    size_t host_len = (size_t)(end - host);
    show(out, host, host_len);
    show(out, end, path_len);
    if (query)
        show(out, "?" ELLIPSIS, 1 + strlen(ELLIPSIS));
}

void vmafx_url_redact(const char *uri, char *ret, size_t size)
{
    Shown out = { ret, 0, size };

    if (!size)
        return;
    if (*uri == '/' || starts(uri, "file:///") || vmafx_uri_upload_digest(uri))
        show(&out, uri, strlen(uri));
    else
        redact(uri, &out);
    ret[out.len] = 0;
}

static bool is_scheme_byte(char c)
{
    return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
}

/* At the quote that closes what is before; a quote within is followed by something else than an end of what is quoted.
 */
static char *end_of_hidden(char *url, const char *text)
{
    char quote = url > text ? url[-1] : 0;

    if (quote != '\'' && quote != '"' && quote != '`')
        return url + strcspn(url, " \t\r\n");
    for (char *at = url; *at; at++)
        if (*at == quote && (!at[1] || strchr(" \t\r\n,.;:)]}?", at[1])))
            return at;
    return url + strlen(url);
}

/* from … end becomes what it may be shown as, and what follows moves up; its new end. */
static char *hide(char *from, char *end, bool whole)
{
    char saved = *end;

    *end = 0;
    if (whole)
        snprintf(from, (size_t)(end - from) + 1, "%s", end - from < (ptrdiff_t)strlen(ELLIPSIS) ? "" : ELLIPSIS);
    else
        vmafx_url_redact(from, from, (size_t)(end - from) + 1);
    char *shown_end = from + strlen(from);
    *end = saved;
    memmove(shown_end, end, strlen(end) + 1);
    return shown_end;
}

static bool is_behind(const char *from, const char *end, const char *word)
{
    size_t len = strlen(word);

    return (size_t)(end - from) >= len && !strncasecmp(end - len, word, len);
}

void vmafx_urls_hide(char *text)
{
    for (char *at = text; (at = strchr(at, '/'));) {
        char *url;

        if (at[1] == '/' && at > text && strchr("'\"`", at[-1])) { /* what stood behind a scheme that was cut off */
            at = hide(at + 2, end_of_hidden(at, text), true);
        } else if (at > text && at[-1] == ':') {
            for (url = at - 1; url > text && is_scheme_byte(url[-1]);)
                url--;
            if (at[1] == '/' && url < at - 1)
                at = hide(url, end_of_hidden(url, text), false);
            else if (is_behind(url, at - 1, "http") || is_behind(url, at - 1, "https"))
                at = hide(at + 1, end_of_hidden(url, text), true);
            else
                at++;
        } else {
            at++;
        }
    }
}

void vmafx_uri_name(const char *uri, char *ret, size_t size)
{
    char shown[VMAFX_URL_MAX + 8];

    if (!size)
        return;
    vmafx_url_redact(uri, shown, sizeof shown);
    const char *authority = strstr(shown, "://"), *from = *shown == '/' || !authority ? shown : authority + 3;
    const char *query = *shown == '/' ? NULL : strstr(from, "?" ELLIPSIS), *end = query ? query : from + strlen(from);
    const char *slash = memrchr(from, '/', (size_t)(end - from));
    Shown out = { ret, 0, size };
    if (slash && slash + 1 < end)
        show(&out, slash + 1, (size_t)(end - slash - 1));
    else
        show(&out, shown, strlen(shown));
    ret[out.len] = 0;
}
