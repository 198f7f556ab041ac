/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Which hosts and addresses may be asked. Pure; any thread. */
#ifndef VMAFX_INPUTS_POLICY_H
#define VMAFX_INPUTS_POLICY_H

#include <sys/socket.h>

#include "base/url.h"

/** Allowed hosts. A zeroed one allows none. */
typedef struct HostList {
    char *text; /* the patterns, each terminated */
    const char **patterns;
    size_t n;
} HostList;

/**
 * @param list  "media.example,*.example.org,[2001:db8::1],*"; NULL: none
 * @return VMAFX_ERR_INVALID, VMAFX_ERR_LIMIT with a sentence; VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr host_list_init(HostList *list, const char *text, VmafxErrInfo *reterr);
void host_list_done(HostList *list);

/** "*.example.org" is every host below it, at whatever depth, and not itself; "*" is all. */
bool host_list_allows(const HostList *list, const VmafxUrl *url);

/**
 * An address of the public internet: none that the IANA's registries of special-purpose addresses (RFC 6890 and later)
 * keep for hosts, links, private networks, carriers, documentation, benchmarks, multicast or the future. IPv4 addresses
 * within IPv6 ones (mapped, compatible, NAT64, 6to4) count as what they are within.
 */
bool address_is_public(const struct sockaddr *address);
#endif
