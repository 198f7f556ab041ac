/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* OTLP endpoints: scheme, authority and path of a URL, or a bare host and port, or a Unix socket. */

#include "otel/export/endpoint.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"

enum { PORT_GRPC = 4317, PORT_HTTP = 4318 };

typedef struct Text {
    const char *ptr;
    size_t len;
} Text;

/* What an endpoint's text is made of; views into it. */
typedef struct Parts {
    bool has_scheme, tls;
    Text host, path, query; /* path with its '/', query with its '?' */
    bool ipv6;
    uint32_t port; /* 0: none given */
} Parts;

static bool url_chars(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] <= ' ' || (unsigned char)text[i] >= 0x7f || strchr("\"<>\\^`{|}", text[i]))
            return false;
    return true;
}

static bool host_name(Text host)
{
    if (!host.len || host.len > VMAFX_ENDPOINT_HOST_MAX || host.ptr[0] == '-' || host.ptr[0] == '.')
        return false;
    for (size_t i = 0; i < host.len; i++) {
        char c = host.ptr[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' ||
              c == '_'))
            return false;
    }
    return true;
}

static bool ipv6_address(Text host)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;

    if (host.len >= sizeof text)
        return false;
    memcpy(text, host.ptr, host.len);
    text[host.len] = 0;
    return inet_pton(AF_INET6, text, &address) == 1;
}

/* host, host:port, [v6] or [v6]:port. */
static bool split_authority(Text authority, Parts *ret)
{
    Text port = { NULL, 0 };

    if (authority.len && authority.ptr[0] == '[') {
        const char *close = memchr(authority.ptr, ']', authority.len);

        if (!close)
            return false;
        ret->ipv6 = true;
        ret->host = (Text){ authority.ptr + 1, (size_t)(close - authority.ptr) - 1 };
        port = (Text){ close + 1, authority.len - ret->host.len - 2 };
    } else {
        const char *colon = memchr(authority.ptr, ':', authority.len);

        ret->host = (Text){ authority.ptr, colon ? (size_t)(colon - authority.ptr) : authority.len };
        port = (Text){ authority.ptr + ret->host.len, authority.len - ret->host.len };
    }
    if (!(ret->ipv6 ? ipv6_address(ret->host) : host_name(ret->host)))
        return false;
    if (!port.len)
        return true;
    if (port.ptr[0] != ':' || port.len > 6)
        return false;
    for (size_t i = 1; i < port.len; i++) {
        if (port.ptr[i] < '0' || port.ptr[i] > '9')
            return false;
        ret->port = ret->port * 10 + (uint32_t)(port.ptr[i] - '0');
    }
    return port.len == 1 || (ret->port >= 1 && ret->port <= UINT16_MAX);
}

static bool starts(const char *text, size_t len, const char *with)
{
    return len >= strlen(with) && strncasecmp(text, with, strlen(with)) == 0;
}

static bool split(const char *text, size_t len, Parts *ret)
{
    size_t n = 0;

    *ret = (Parts){ 0 };
    if (starts(text, len, "http://"))
        n = strlen("http://");
    else if (starts(text, len, "https://"))
        n = strlen("https://");
    ret->has_scheme = n > 0;
    ret->tls = n == strlen("https://");
    text += n;
    len -= n;

    const char *hash = memchr(text, '#', len);
    if (hash)
        len = (size_t)(hash - text); /* a fragment is never sent */
    n = 0;
    while (n < len && text[n] != '/' && text[n] != '?')
        n++;
    Text authority = { text, n };
    text += n;
    len -= n;
    const char *question = memchr(text, '?', len);
    size_t path = question ? (size_t)(question - text) : len;
    ret->path = (Text){ text, path };
    ret->query = (Text){ text + path, len - path };
    if (!ret->has_scheme && authority.len && authority.ptr[authority.len - 1] == ':')
        return false; /* another scheme: ftp://h, unix:/x */
    return split_authority(authority, ret);
}

static void http_target(const Parts *parts, VmafxSignal signal, bool own, VmafxEndpoint *ret)
{
    static const char *const paths[] = {
        [VMAFX_SIGNAL_TRACES] = "v1/traces", [VMAFX_SIGNAL_METRICS] = "v1/metrics", [VMAFX_SIGNAL_LOGS] = "v1/logs"
    };
    Text path = parts->path.len ? parts->path : (Text){ "/", 1 };
    bool slash = path.ptr[path.len - 1] == '/';

    snprintf(ret->target, sizeof ret->target, "%s://%s%s%s:%u%.*s%s%s%.*s", ret->tls ? "https" : "http",
             parts->ipv6 ? "[" : "", ret->host, parts->ipv6 ? "]" : "", (unsigned)ret->port, (int)path.len, path.ptr,
             own || slash ? "" : "/", own ? "" : paths[signal], (int)parts->query.len, parts->query.ptr);
}

static void grpc_target(const Parts *parts, VmafxEndpoint *ret)
{
    snprintf(ret->target, sizeof ret->target, parts->ipv6 ? "ipv6:[%s]:%u" : "dns:///%s:%u", ret->host,
             (unsigned)ret->port);
    if (parts->path.len > 1 || parts->query.len)
        ret->warning = "an OTLP/gRPC endpoint has no path; it is ignored";
}

VmafxErr vmafx_endpoint_parse(const char *text, size_t len, VmafxOtlpProtocol protocol, VmafxSignal signal, bool own,
                              VmafxInsecure insecure, VmafxEndpoint *ret, VmafxErrInfo *reterr)
{
    Parts parts;

    if (len > VMAFX_ENDPOINT_TEXT_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "the OTLP endpoint is longer than %d bytes",
                          VMAFX_ENDPOINT_TEXT_MAX);
    if (!text || !len || !url_chars(text, len) || (unsigned)signal > VMAFX_SIGNAL_LOGS)
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "the OTLP endpoint is empty or has characters that no URL has");
    *ret = (VmafxEndpoint){ 0 };
    if (protocol == VMAFX_OTLP_GRPC && starts(text, len, "unix:") && len > strlen("unix:")) {
        ret->tls = insecure == VMAFX_INSECURE_FALSE;
        snprintf(ret->target, sizeof ret->target, "unix:%.*s", (int)(len - 5), text + 5);
        return VMAFX_OK;
    }
    if (!split(text, len, &parts)) /* the text itself may hold a password: it stays out of the message */
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX,
                          "the OTLP endpoint is neither http://host[:port][/path] nor https://… nor host:port");
    memcpy(ret->host, parts.host.ptr, parts.host.len);
    ret->tls = parts.tls;
    ret->port = (uint16_t)(parts.port ? parts.port : parts.tls ? 443 : 80);
    if (!parts.has_scheme) {
        ret->tls = protocol == VMAFX_OTLP_GRPC && insecure == VMAFX_INSECURE_FALSE;
        ret->port = (uint16_t)(parts.port ? parts.port : protocol == VMAFX_OTLP_GRPC ? PORT_GRPC : PORT_HTTP);
        ret->warning = "the OTLP endpoint has no scheme; it is taken as http://host:port";
        if (ret->tls)
            ret->warning = NULL; /* the standard's own reading of host:port with insecure=false */
    }
    if (protocol != VMAFX_OTLP_GRPC)
        http_target(&parts, signal, own, ret);
    else
        grpc_target(&parts, ret);
    return VMAFX_OK;
}
