/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * An HTTP/1.1 server: a table of routes, handlers that may wait, event streams (server-sent events). The only place
 * that knows libmicrohttpd, whose types end here.
 *
 * One thread does all input and output; handlers run on a small pool while their connection sleeps; one more thread
 * keeps time: it cuts connections that send too slowly and has idle event streams say that they are still there.
 *
 * What a route answers with an error, and what the server refuses by itself, is a problem (RFC 9457):
 *
 *     HTTP/1.1 404 …
 *     Content-Type: application/problem+json
 *     {"type":"about:blank","title":"Not Found","status":404,"detail":"there is no job '…'","error":"NOT_FOUND"}
 *
 * `error` is the name in the table of errors. 429 and 503 always have Retry-After, 401 WWW-Authenticate: Bearer, with
 * error="invalid_token" where the request had a token (RFC 6750).
 *
 * (A request that cannot even be read as one, as a header above its limit or without Host, is answered by the library
 * below with a bare 400, 414 or 431.) An unknown path is 404, a known one with another method 405 with Allow; HEAD
 * is served where GET is. Bodies larger than memory go to files while they arrive: see "Uploads". A request with
 * Transfer-Encoding and Content-Length, or with two lengths, is refused: another server in front may have read it
 * differently.
 *
 * Telemetry: a server span and the http.server.… metrics by the semantic conventions for every request of a route that
 * is not QUIET, and for those that found none; `http.route` is the pattern, so its values are few. The trace context
 * is taken from the request. For an event stream they end when it is open.
 */
#ifndef VMAFX_HTTP_SERVER_H
#define VMAFX_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmafx/error.h>

typedef struct VmafxHttpServer VmafxHttpServer;
typedef struct VmafxHttpCall VmafxHttpCall;     /* a request; lives until its handler returns */
typedef struct VmafxHttpEvents VmafxHttpEvents; /* an event stream; counted */

/** Who is at the other end. Lives as long as its call. */
typedef struct VmafxHttpPeer {
    const char *address; /* "127.0.0.1", "2001:db8::1"; IPv4 behind an IPv6 socket is written as IPv4 */
    int port;
    bool loopback;
    bool encrypted; /* TLS; HTTP peers show no certificate, see authorize */
} VmafxHttpPeer;

#define VMAFX_HTTP_ANSWER_HEADERS_MAX 16

/** What a handler says. It comes as 200 without a body; the rest stays what it is unless set. */
typedef struct VmafxHttpAnswer {
    int status;               /* 200 … 599 */
    const char *content_type; /* static; NULL: none */
    char *body;               /* malloc'ed; taken over, also when the handler fails in the end */
    size_t len;
    struct {
        char *name, *value;
    } headers[VMAFX_HTTP_ANSWER_HEADERS_MAX]; /* by vmafx_http_answer_header */
    size_t n_headers;
    struct {
        bool there;
        int fd;
        int64_t size;
    } file;                 /* by vmafx_http_answer_file; instead of body */
    unsigned retry_after_s; /* by vmafx_http_answer_retry_after; 0: none said */
} VmafxHttpAnswer;

enum {
    /** Answered on the thread of input and output, so even while every other thread hangs. May not wait. */
    VMAFX_HTTP_INLINE = 1,
    /** Answered on a thread of its own kind, so even while the pool is full: for what operators look at. */
    VMAFX_HTTP_URGENT = 2,
    /** No span, no metrics: for probes and /metrics. */
    VMAFX_HTTP_QUIET = 4,
    /** Takes bodies with a Content-Encoding, as they are: the handler unpacks. Others refuse them with 415. */
    VMAFX_HTTP_CODED = 8,
    /** A body of multipart/form-data is taken apart; any other one comes as always, into memory. See "Uploads". */
    VMAFX_HTTP_PARTS = 16,
    /** The body, whatever its type, goes to a file. See "Uploads". */
    VMAFX_HTTP_FILE_BODY = 32,
    /** With PARTS or FILE_BODY: the SHA-256 of every file is made while it arrives. */
    VMAFX_HTTP_SHA256 = 64,
};

typedef struct VmafxHttpRoute {
    const char *method;  /* "GET" (HEAD comes with it), "POST", … */
    const char *pattern; /* "/v1/jobs/{id}"; the first of the table that fits counts */
    /**
     * On a pool thread with the server span current. An error becomes a problem with the status of the table of errors
     * and reterr's sentence as detail.
     */
    VmafxErr (*handle)(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr);
    void *ctx;
    unsigned flags;
    size_t body_max_bytes;         /* of a body in memory; 0: the server's */
    uint64_t upload_max_bytes;     /* of a body on its way to files; 0: the server's */
    const char *const *file_parts; /* parts that go to files also without a filename; ends with NULL; NULL: none */
} VmafxHttpRoute;

/** Zeroes are the defaults. Texts and routes are borrowed while the server lives. */
typedef struct VmafxHttpServerConfig {
    const char *address;              /* "127.0.0.1:7800", "[::1]:0", "localhost:7800"; port 0: any free one */
    const char *cert_file, *key_file; /* PEM; both: TLS 1.2 or 1.3; neither: plain. See "TLS" */
    const VmafxHttpRoute *routes;
    size_t n_routes;
    /**
     * Asked before the body is received, for every route; NULL: everything is allowed. On the thread of input and
     * output: may not wait. `UNAUTHENTICATED` becomes 401, `FORBIDDEN` 403. *call has no body yet.
     */
    VmafxErr (*authorize)(void *ctx, VmafxHttpCall *call, VmafxErrInfo *reterr);
    void *authorize_ctx;
    const char *version; /* of the program, for its telemetry's scope */
    /** For uploads on their way, without a name there; NULL: TMPDIR, or else /var/tmp, or else /tmp. */
    const char *upload_folder;

    /* Limits */
    int threads;                  /* of the pool; 0: 8 */
    int waiting_max;              /* requests that wait for a thread, then 503; 0: 256 */
    int connections_max;          /* 0: 1024 */
    int connections_per_peer_max; /* by address; 0: 512 */
    int streams_max;              /* event streams at a time, then 503; 0: 512 */
    size_t header_max_bytes;      /* request line and headers, then 431 or 414; 0: 32 KiB */
    size_t body_max_bytes;        /* of one body, then 413; 0: 1 MiB */
    size_t bodies_max_bytes;      /* of all of them at a time, then 503; 0: 64 MiB */
    uint32_t receive_timeout_ms;  /* from connecting, or the last answer, to the end of the headers; 0: 20 000 */
    uint32_t body_timeout_ms;     /* from there to the end of the body; 0: 60 000 */
    uint32_t send_timeout_ms;     /* without any byte taken by the peer; in whole seconds; 0: 30 000 */
    uint32_t comment_ms;          /* an event stream that was silent this long sends a comment; 0: 15 000 */
    uint64_t upload_max_bytes;    /* of one upload, then 413; 0: 1 GiB */
    uint64_t uploads_max_bytes;   /* of all of them until their handlers return, then 503; 0: 8 GiB */
    int uploads_max;        /* uploads under way at a time, then 503; half of them of one owner; 0: 64. 128 KiB each */
    uint32_t body_min_rate; /* of an upload, bytes/s: a body_timeout_ms with less is cut; 0: 16 384 */
    uint32_t cert_check_ms; /* how often cert_file and key_file are looked at; 0: 10 000 */
} VmafxHttpServerConfig;

/**
 * @return VMAFX_ERR_IO (address in use or not ours), VMAFX_ERR_NOT_FOUND (files), VMAFX_ERR_INVALID (address, a route,
 * certificate or key), VMAFX_ERR_UNSUPPORTED (TLS, where libmicrohttpd has none), VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr vmafx_http_server_start(const VmafxHttpServerConfig *config, VmafxHttpServer **ret,
                                             VmafxErrInfo *reterr);
int vmafx_http_server_port(const VmafxHttpServer *server);

/**
 * Takes no more connections and refuses new requests with 503, ends event streams after what is queued, lets running
 * requests end within grace_ms; those that still wait for a thread are then refused, and running ones see
 * vmafx_http_call_cancelled. Handlers must return; all callbacks have when this does. Sets *server to NULL.
 */
void vmafx_http_server_stop(VmafxHttpServer **server, uint32_t grace_ms);

/* ---- Calls: from authorize and the handler. What they give is borrowed and lives as long as the call. ---- */

const char *vmafx_http_call_method(const VmafxHttpCall *call);  /* as the client said it: "HEAD" too */
const char *vmafx_http_call_pattern(const VmafxHttpCall *call); /* of its route */
/** The route as tables of permissions name it: "GET /v1/jobs/{id}", also for a HEAD. */
const char *vmafx_http_call_route(const VmafxHttpCall *call);
const VmafxHttpPeer *vmafx_http_call_peer(const VmafxHttpCall *call);
#define VMAFX_HTTP_KEEP_MAX 192
/**
 * From authorize: keeps a copy of what it found out about the caller, so that the handler need not decide again, when
 * it may have become different. At most VMAFX_HTTP_KEEP_MAX bytes. The server does not look into it.
 */
void vmafx_http_call_keep(VmafxHttpCall *call, const void *data, size_t size);
/** What is kept, aligned for any type and followed by zeroes; all zeroes when nothing is. */
const void *vmafx_http_call_kept(const VmafxHttpCall *call);
#define VMAFX_HTTP_OWNER_MAX 128
/**
 * From authorize: on whose account an upload goes. No owner has more than half of the places (uploads_max), so that one
 * cannot keep the others out; the rest gets 503. Copied, at most VMAFX_HTTP_OWNER_MAX - 1 bytes of it; none, or "": it
 * is nobody's, and has no such limit.
 */
void vmafx_http_call_set_owner(VmafxHttpCall *call, const char *owner);
/** The segment at {name} of the pattern, decoded; NULL when the pattern has none of that name. */
const char *vmafx_http_call_param(const VmafxHttpCall *call, const char *name);
/** The first of that name in the query, decoded; NULL: absent. */
const char *vmafx_http_call_query(const VmafxHttpCall *call, const char *name);
/** The i-th member of the query; false beyond the last. */
bool vmafx_http_call_query_at(const VmafxHttpCall *call, size_t i, const char **ret_name, const char **ret_value);
/** A header by name, without regard to case; of several the first; NULL: absent. */
const char *vmafx_http_call_header(const VmafxHttpCall *call, const char *name);
/** Terminated for convenience; never NULL. Empty when it went to files. */
const char *vmafx_http_call_body(const VmafxHttpCall *call, size_t *ret_len);
/**
 * Nobody waits for the answer any more: the server stops and its grace is over, or the client is gone. Answer what
 * there is. Costs a system call: ask a few times a second, not for every frame.
 */
bool vmafx_http_call_cancelled(const VmafxHttpCall *call);
/**
 * The peer has closed its connection, or its sending side (HTTP clients do that when they give up), or the network said
 * that it is lost: TCP's keep-alive finds a peer that vanished silently within two minutes. From the handler.
 */
bool vmafx_http_call_client_gone(const VmafxHttpCall *call);

/*
 * ---- Uploads ----
 *
 * On routes with PARTS or FILE_BODY bytes go to files without a name while they arrive, written by threads of their
 * own; the handler runs when all of it is there. What is refused by its headers (authorize, the limits) is refused
 * before the body is sent where the client asks first (Expect: 100-continue). Otherwise, and when a body turns out bad
 * later, it is read to its end and thrown away, so that the client hears why: 400 (not multipart/form-data by RFC
 * 7578), 413 (too long), 503 (too many uploads), 507 (disk full). Files end when the handler returns unless it takes
 * them.
 *
 * Space is counted against uploads_max_bytes from the headers on (Content-Length), or as it comes (chunked), until the
 * handler returns; not against bodies_max_bytes. No time limit of its own: a client that sends body_min_rate may go on.
 */

#define VMAFX_HTTP_PARTS_MAX      32                 /* of one body; then 400 */
#define VMAFX_HTTP_FILE_PARTS_MAX 8                  /* of them in files; then 400 */
#define VMAFX_HTTP_PART_MAX_BYTES ((size_t)64 << 10) /* of a part in memory; then 400 */

/** One part, in the order of the body. Texts are UTF-8 without control characters; they live as long as the call. */
typedef struct VmafxHttpPart {
    const char *name;         /* never NULL nor empty; several may share one */
    const char *filename;     /* for messages only: its last segment, never a path; may be empty; NULL: none given */
    const char *content_type; /* as the client says; NULL: it does not */
    const char *data;         /* terminated; NULL: it is in a file */
    int fd;                   /* the file, -1: none or taken; unlinked, for reading and writing. See _take_fd */
    int64_t size;             /* bytes, wherever they are */
    char sha256[65];          /* of a file, on routes with SHA256; else empty */
} VmafxHttpPart;

/** The parts of a multipart/form-data body; NULL and 0 when it was none. May be called from the handler only. */
VmafxHttpPart *vmafx_http_call_parts(VmafxHttpCall *call, size_t *ret_n);
/** The first part of that name; NULL: none. */
VmafxHttpPart *vmafx_http_call_part(VmafxHttpCall *call, const char *name);
/** The part's file becomes the caller's, at its start; -1: it is in memory, or was taken. */
int vmafx_http_part_take_fd(VmafxHttpPart *part);
/**
 * On a FILE_BODY route: the body's file becomes the caller's, at its start; unlinked, for reading and writing. An empty
 * body is an empty file. -1: another route, or it was taken; *ret_size is set all the same.
 */
int vmafx_http_call_body_take_fd(VmafxHttpCall *call, int64_t *ret_size);
/** SHA-256 of a FILE_BODY route's body, 64 lower-case digits; "" where the route has no SHA256. */
const char *vmafx_http_call_body_sha256(const VmafxHttpCall *call);

/*
 * ---- TLS ----
 *
 * Both files are looked at every cert_check_ms. New connections get what is there then. Files that cannot be used, or
 * do not fit together for two looks, leave the old pair in place and a warning in the log.
 */

/* ---- Answers ---- */

/** Adds a header; both are copied. False, with nothing added: no room, no memory, not a name, or a line break in it. */
bool vmafx_http_answer_header(VmafxHttpAnswer *answer, const char *name, const char *value);
/** A copy of a terminated text as body. VMAFX_ERR_NOMEM */
VMAFX_CHECK VmafxErr vmafx_http_answer_text(VmafxHttpAnswer *answer, int status, const char *content_type,
                                            const char *text);
/**
 * A file as body, from its start to the end that it has now, with Content-Length. The descriptor is taken over, also on
 * failure; the file must not shrink until it is sent. VMAFX_ERR_INVALID (no regular file), VMAFX_ERR_IO
 */
VMAFX_CHECK VmafxErr vmafx_http_answer_file(VmafxHttpAnswer *answer, int status, const char *content_type, int fd);
/** Sets Retry-After, also of the problem that a handler's error becomes. 429 and 503 have 1 s without it. */
void vmafx_http_answer_retry_after(VmafxHttpAnswer *answer, unsigned seconds);
/** Makes the answer a problem with the status and the name of an error; detail NULL: the table's. VMAFX_ERR_NOMEM */
VMAFX_CHECK VmafxErr vmafx_http_answer_error(VmafxHttpAnswer *answer, VmafxErr err, const char *detail);
/**
 * Makes the answer a problem; type is "about:blank", detail may be NULL; `error` is what fits the status. Where a
 * VmafxErr says it, prefer vmafx_http_answer_error, or return the error. VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr vmafx_http_answer_problem(VmafxHttpAnswer *answer, int status, const char *detail);
/** The HTTP status of an error, by the table of errors; 200 for VMAFX_OK. */
int vmafx_http_status_of(VmafxErr err);

/* ---- Event streams (WHATWG HTML, server-sent events) ---- */

typedef struct VmafxHttpEventsConfig {
    size_t queue_max_bytes; /* waiting to be sent; 0: 1 MiB */
    /**
     * Once, when the connection is over, whatever ended it. On the thread of input and output: may not wait. (On the
     * handler's own, when that fails in the end.)
     */
    void (*closed)(void *ctx, VmafxHttpEvents *events);
    void *ctx;
} VmafxHttpEventsConfig;

/**
 * From a handler: makes its answer an event stream, which is open once the handler has returned VMAFX_OK. Headers of
 * the answer are sent, the rest of it is not. *ret is a reference of the caller's; closed comes after every OK.
 * @return VMAFX_ERR_BUSY (streams_max), VMAFX_ERR_STATE (already one, or a HEAD), VMAFX_ERR_STOPPED, VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr vmafx_http_call_events(VmafxHttpCall *call, const VmafxHttpEventsConfig *config,
                                            VmafxHttpEvents **ret, VmafxErrInfo *reterr);
/**
 * Queues an event. Any thread; never waits. id and event may be NULL and have no line break; data (terminated) may have
 * several lines.
 * @return VMAFX_ERR_STOPPED closed or finished; VMAFX_ERR_LIMIT the peer does not read: the stream has been cut, the
 * peer comes back with Last-Event-ID; VMAFX_ERR_INVALID a line break in id or event; VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr vmafx_http_events_send(VmafxHttpEvents *events, const char *id, const char *event,
                                            const char *data);
/** Bytes that wait to be sent: for those who can leave something out. Any thread. */
size_t vmafx_http_events_waiting(VmafxHttpEvents *events);
/** Ends it after what is queued. Any thread. */
void vmafx_http_events_finish(VmafxHttpEvents *events);
VmafxHttpEvents *vmafx_http_events_ref(VmafxHttpEvents *events);
void vmafx_http_events_unref(VmafxHttpEvents **events);
#endif
