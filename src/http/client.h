/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * An HTTP/1.1 client for one request at a time: POST, with a deadline, a limit on what comes back, and a way to stop
 * it from another thread. Connections are kept between requests. Redirects are not followed; no signal is raised or
 * handled; certificates and host names are verified; TLS 1.2 at least. The only place that knows libcurl.
 */
#ifndef VMAFX_HTTP_CLIENT_H
#define VMAFX_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmafx/error.h>

typedef struct VmafxHttpClient VmafxHttpClient;

typedef struct VmafxHttpClientConfig {
    const char *ca_file;              /* PEM, trusted for the server; NULL: the system's */
    const char *cert_file, *key_file; /* PEM, ours; both or neither */
    const char *user_agent;           /* NULL: none */
    size_t response_max_bytes;        /* of a body, after decompression; 0: 4 MiB */
    bool proxy_from_environment;      /* http_proxy, https_proxy, no_proxy; else connections are direct */
} VmafxHttpClientConfig;

typedef struct VmafxHttpHeader {
    const char *name, *value;
} VmafxHttpHeader;

typedef struct VmafxHttpRequest {
    const char *url; /* http:// or https:// */
    const VmafxHttpHeader *headers;
    size_t n_headers;
    const void *body;
    size_t len;
} VmafxHttpRequest;

/** How a request ended. Only ANSWERED says anything about a status. */
typedef enum VmafxHttpEnd {
    VMAFX_HTTP_ANSWERED,
    VMAFX_HTTP_NO_ANSWER, /* not reached, refused, reset, ended early, not HTTP: another attempt may do */
    VMAFX_HTTP_DEADLINE,
    VMAFX_HTTP_CANCELLED,
    VMAFX_HTTP_TOO_LARGE, /* the answer exceeds its limit */
    VMAFX_HTTP_UNTRUSTED, /* a certificate was refused, theirs or ours */
    VMAFX_HTTP_UNUSABLE,  /* the URL, a file or memory: another attempt will not do */
} VmafxHttpEnd;

/** Owned by the caller; reused by passing it again; released by vmafx_http_response_done. */
typedef struct VmafxHttpResponse {
    int status;
    uint8_t *body;
    size_t len, room;
    char retry_after[64]; /* the header's value, "" when absent or longer */
    char error[160];      /* for a person, unless ANSWERED */
    bool unreached;       /* NO_ANSWER because nobody is there: refused, no route to it, no such name */
} VmafxHttpResponse;

/** @return VMAFX_OK, VMAFX_ERR_INVALID (one of cert and key, or a file that cannot be read), VMAFX_ERR_NOMEM */
VMAFX_CHECK VmafxErr vmafx_http_client_new(const VmafxHttpClientConfig *config, VmafxHttpClient **ret,
                                           VmafxErrInfo *reterr);
/** No request may be under way. */
void vmafx_http_client_free(VmafxHttpClient **client);

/** Sends and waits until the deadline (CLOCK_MONOTONIC nanoseconds). One call at a time; *ret is set whatever comes. */
VmafxHttpEnd vmafx_http_post(VmafxHttpClient *client, const VmafxHttpRequest *request, uint64_t deadline_ns,
                             VmafxHttpResponse *ret);
/** Ends the request under way and all later ones at once with CANCELLED. Any thread; also while none is. */
void vmafx_http_client_cancel(VmafxHttpClient *client);

void vmafx_http_response_done(VmafxHttpResponse *response);
#endif
