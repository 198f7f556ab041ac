/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * One GET whose body is taken as it comes: for downloads of any size. Nothing is followed, decompressed, cached or
 * tried again here (inputs/download.h does that); certificates and host names are verified; no cookies, no netrc, no
 * compression asked for. Every address is put to the caller before it is connected to, after the name was resolved,
 * so that no name server can lead a request elsewhere.
 *
 * A request is a span of kind CLIENT, child of the thread's current one, and a point of http.client.request.duration
 * (semantic conventions, HTTP). The trace's context is not sent along: the other side is not one of ours.
 *
 * Any thread, any number at a time; each request has a connection of its own.
 */
#ifndef VMAFX_HTTP_FETCH_H
#define VMAFX_HTTP_FETCH_H

#include <stdatomic.h>
#include <sys/socket.h>

#include "http/client.h"

#define VMAFX_FETCH_HEADERS_MAX ((size_t)64 << 10) /* bytes of an answer's head */
#define VMAFX_FETCH_DRAIN_MAX   ((size_t)64 << 10) /* bytes of a body that nobody wants */

typedef struct VmafxFetcher VmafxFetcher;

typedef struct VmafxFetcherConfig {
    const char *ca_file;         /* PEM, trusted for servers; NULL: the system's */
    const char *user_agent;      /* NULL: none */
    const char *version;         /* of the program, for the scope of its signals */
    uint32_t stall_ms;           /* without a byte; 0: 20 s */
    bool proxy_from_environment; /* then addresses are the proxy's */
    /** NULL: all. Of any thread that fetches. */
    bool (*may_connect)(void *ctx, const struct sockaddr *address);
    void *ctx;
} VmafxFetcherConfig;

/** Texts are copied. @return VMAFX_ERR_INVALID (a file that cannot be read), VMAFX_ERR_NOMEM */
VMAFX_CHECK VmafxErr vmafx_fetcher_new(const VmafxFetcherConfig *config, VmafxFetcher **ret, VmafxErrInfo *reterr);
/** No request may be under way. */
void vmafx_fetcher_free(VmafxFetcher **fetcher);

/** The head of the final answer (not of a 100 Continue). Values that are too long are "". */
typedef struct VmafxFetchHead {
    int status;
    int64_t length; /* of the body, as promised; -1: not said */
    bool framed;    /* the end of the body can be told from a cut: a length, or chunks */
    char etag[256], last_modified[64], content_range[96], content_encoding[64], cache_control[256], age[24],
        retry_after[64];
} VmafxFetchHead;

typedef enum VmafxFetchVerdict {
    VMAFX_FETCH_TAKE,  /* the body goes to on_body */
    VMAFX_FETCH_DRAIN, /* the body is of no interest: up to VMAFX_FETCH_DRAIN_MAX are read over */
    VMAFX_FETCH_LEAVE, /* end here */
} VmafxFetchVerdict;

typedef struct VmafxFetchRequest {
    const char *url;           /* http:// or https://, without user */
    const char *user_password; /* "user:password", percent-encoded, for Basic authentication; NULL: none */
    const VmafxHttpHeader *headers;
    size_t n_headers;
    const char *shown_url;   /* for signals: redacted */
    const char *address;     /* for signals: the host … */
    int port;                /* … and the port */
    int resend_count;        /* how often it was sent before */
    uint64_t deadline_ns;    /* CLOCK_MONOTONIC */
    const atomic_bool *stop; /* set by any thread: ends within 250 ms; NULL: never */
    VmafxFetchVerdict (*on_head)(void *ctx, const VmafxFetchHead *head);
    /** False ends the request. */
    bool (*on_body)(void *ctx, const void *data, size_t len);
    /** Every 250 ms or so while waiting, from the thread that called; NULL: not wanted */
    void (*on_tick)(void *ctx);
    void *ctx;
} VmafxFetchRequest;

typedef struct VmafxFetchAnswer {
    VmafxFetchHead head;  /* status 0: there was none */
    bool left;            /* on_head or on_body did not want more */
    bool refused_address; /* may_connect said no, and there was no other */
    bool stalled;         /* stall_ms without a byte */
    bool cut;             /* the body ended before its end */
    bool head_too_large;
    char redirect[4096]; /* the absolute URL of the Location; "" none */
    char peer[64];       /* the address that answered, or was refused; "" none */
    char error[160];     /* for a person, unless ANSWERED; without the URL */
} VmafxFetchAnswer;

/** ANSWERED: the body came whole, or was left. *ret is set whatever comes. */
VmafxHttpEnd vmafx_fetch(VmafxFetcher *fetcher, const VmafxFetchRequest *request, VmafxFetchAnswer *ret);
#endif
