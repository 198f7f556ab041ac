/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Hosts by name, addresses by the IANA's registries. */

#include "inputs/policy.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "inputs/inputs.h"

/* ---- Hosts ---- */

static VmafxErr check_pattern(const char *pattern, VmafxErrInfo *reterr)
{
    char url[VMAFX_URL_HOST_MAX + 16];
    VmafxUrl parsed;
    VmafxErrInfo info = { 0 };

    if (!strcmp(pattern, "*"))
        return VMAFX_OK;
    if (strlen(pattern) >= VMAFX_URL_HOST_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "allowed host '%.60s…' is too long", pattern);
    snprintf(url, sizeof url, "https://%s", !strncmp(pattern, "*.", 2) ? pattern + 2 : pattern);
    VmafxErr err = vmafx_url_parse(url, &parsed, &info);
    if (err || parsed.port_given || parsed.user || parsed.target_len || strpbrk(pattern, "/?#@") ||
        (!parsed.ipv6 && strchr(pattern, ':')))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                          "allowed host '%.100s' is neither a host (media.example), nor *.DOMAIN, nor *", pattern);
    return VMAFX_OK;
}

VmafxErr host_list_init(HostList *list, const char *text, VmafxErrInfo *reterr)
{
    *list = (HostList){ 0 };
    if (!text || !*text)
        return VMAFX_OK;
    list->text = vmafx_strdup(text);
    list->patterns = calloc(VMAFX_INPUT_HOSTS_MAX, sizeof *list->patterns);
    if (!list->text || !list->patterns)
        return VMAFX_ERR_NOMEM;
    char *save = NULL;
    for (char *item = strtok_r(list->text, ", \t", &save); item; item = strtok_r(NULL, ", \t", &save)) {
        if (list->n == VMAFX_INPUT_HOSTS_MAX)
            return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "more than %d allowed hosts", VMAFX_INPUT_HOSTS_MAX);
        VmafxErr err = check_pattern(item, reterr);
        if (err)
            return err;
        size_t len = strlen(item);
        if (len > 1 && item[len - 1] == '.')
            item[len - 1] = 0;
        list->patterns[list->n++] = item;
    }
    return VMAFX_OK;
}

void host_list_done(HostList *list)
{
    free(list->text);
    free(list->patterns);
    *list = (HostList){ 0 };
}

static bool matches(const char *pattern, const VmafxUrl *url)
{
    size_t len = strlen(pattern), host_len = strlen(url->host);

    if (!strcmp(pattern, "*"))
        return true;
    if (url->ipv6)
        return len == host_len + 2 && *pattern == '[' && !strncasecmp(pattern + 1, url->host, host_len);
    if (!strncmp(pattern, "*.", 2))
        return host_len > len - 1 && !strcasecmp(url->host + host_len - (len - 1), pattern + 1);
    return !strcasecmp(pattern, url->host);
}

bool host_list_allows(const HostList *list, const VmafxUrl *url)
{
    for (size_t i = 0; i < list->n; i++)
        if (matches(list->patterns[i], url))
            return true;
    return false;
}

/* ---- Addresses ---- */

static bool ipv4_is_public(uint32_t a)
{
    static const struct {
        uint32_t net;
        int bits;
    } special[] = {
        { 0x00000000, 8 },  /* this network */
        { 0x0a000000, 8 },  /* private */
        { 0x64400000, 10 }, /* shared by carriers (CGNAT) */
        { 0x7f000000, 8 },  /* loopback */
        { 0xa9fe0000, 16 }, /* link-local; the metadata services of clouds */
        { 0xac100000, 12 }, /* private */
        { 0xc0000000, 24 }, /* protocol assignments */
        { 0xc0000200, 24 }, /* documentation */
        { 0xc0586300, 24 }, /* 6to4 relays, once */
        { 0xc0a80000, 16 }, /* private */
        { 0xc6120000, 15 }, /* benchmarks */
        { 0xc6336400, 24 }, /* documentation */
        { 0xcb007100, 24 }, /* documentation */
        { 0xe0000000, 3 },  /* multicast, reserved, broadcast */
    };

    for (size_t i = 0; i < VMAFX_LEN(special); i++)
        if ((a ^ special[i].net) >> (32 - special[i].bits) == 0)
            return false;
    return true;
}

static uint32_t ipv4_at(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static bool begins(const uint8_t *bytes, const char *prefix, size_t n)
{
    return !memcmp(bytes, prefix, n);
}

static bool ipv6_is_public(const uint8_t b[16])
{
    static const uint8_t zeroes[12];

    if (!memcmp(b, zeroes, 10) && b[10] == 0xff && b[11] == 0xff)
        return ipv4_is_public(ipv4_at(b + 12)); /* ::ffff:0:0/96, mapped */
    if (!memcmp(b, zeroes, 12))
        return ipv4_at(b + 12) > 0xffff && ipv4_is_public(ipv4_at(b + 12)); /* ::, ::1; compatible ones */
    if (begins(b, "\x00\x64\xff\x9b\0\0\0\0\0\0\0\0", 12))
        return ipv4_is_public(ipv4_at(b + 12)); /* 64:ff9b::/96, NAT64 */
    if (begins(b, "\x20\x02", 2))
        return ipv4_is_public(ipv4_at(b + 2)); /* 2002::/16, 6to4 */
    if ((b[0] & 0xe0) != 0x20)
        return false; /* only 2000::/3 is given out: not fc00::/7, fe80::/10, ff00::/8, 64:ff9b:1::/48, 100::/64 … */
    if (begins(b, "\x20\x01", 2) && b[2] < 2)
        return false; /* 2001::/23: Teredo, ORCHID, benchmarks */
    return !begins(b, "\x20\x01\x0d\xb8", 4) && !(begins(b, "\x3f\xff", 2) && b[2] < 0x10); /* documentation */
}

bool address_is_public(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return ipv4_is_public(ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr));
    if (address->sa_family == AF_INET6)
        return ipv6_is_public(((const struct sockaddr_in6 *)address)->sin6_addr.s6_addr);
    return false;
}
