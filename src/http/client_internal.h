/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What client.c and fetch.c share of libcurl. */
#ifndef VMAFX_HTTP_CLIENT_INTERNAL_H
#define VMAFX_HTTP_CLIENT_INTERNAL_H

#include <curl/curl.h>

#include "http/client.h"

/** Starts the library, once. */
bool http_library_is_ready(void);

/**
 * HTTP/1.1 and TLS 1.2 at least, verified; nothing followed, no signals, sockets closed on exec. Texts live as long as
 * the handle; NULL: the system's certificates, no agent.
 */
void http_set_up(CURL *easy, const char *ca_file, const char *user_agent, bool proxy_from_environment);

/** How a transfer ended, from libcurl's code alone. */
VmafxHttpEnd http_end_of(CURLcode code);
#endif
