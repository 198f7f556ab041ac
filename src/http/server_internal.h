/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What the server's own files share. Locks, in the order in which they may be taken: a server's, an event stream's,
 * libmicrohttpd's own. A pool's lock stands alone.
 */
#ifndef VMAFX_HTTP_SERVER_INTERNAL_H
#define VMAFX_HTTP_SERVER_INTERNAL_H

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/stat.h>

#include <microhttpd.h>

#include "http/server.h"
#include "http/target.h"
#include "otel/api/log.h"
#include "otel/api/metrics.h"
#include "otel/api/trace.h"

/* What a connection is waiting for; the time keeper cuts those that wait for their peer too long. */
typedef enum HttpPhase { HTTP_PHASE_HEAD, HTTP_PHASE_BODY, HTTP_PHASE_UPLOAD, HTTP_PHASE_WORK } HttpPhase;

typedef struct HttpConnection {
    VmafxHttpServer *server;
    int fd; /* open as long as this exists */
    HttpPhase phase;
    uint64_t since_ns;
    uint64_t paused_ns; /* an upload: since when its buffer is being written */
    uint64_t received;  /* of an upload, since since_ns */
    bool ended;         /* the peer has closed, so it seemed when the time keeper looked last */
    bool cut;           /* we have given up on it */
    bool owes;          /* it was answered before its body had come; libmicrohttpd's thread only */
    struct HttpConnection *prev, *next;
} HttpConnection;

typedef enum HttpCallState {
    HTTP_CALL_NEW,
    HTTP_CALL_RECEIVING,
    HTTP_CALL_STORING,
    HTTP_CALL_WAITING,
    HTTP_CALL_ANSWERED
} HttpCallState;

typedef struct HttpUpload HttpUpload;

/* The pair of files that new connections get. */
typedef struct HttpTls {
    pthread_mutex_t lock; /* covers cert and key */
    char *cert, *key;     /* PEM; NULL: no TLS */
    /* The time keeper's own: what the files looked like when they were last read, and how that went. */
    struct stat seen[2];
    uint64_t next_ns;
    bool failed, told;
} HttpTls;

struct VmafxHttpCall {
    VmafxHttpServer *server;
    struct MHD_Connection *mhd;
    HttpConnection *connection;
    _Atomic HttpCallState state;   /* a worker's last act is to store one; the loop's load pairs with it */
    const char *method, *protocol; /* libmicrohttpd's, for as long as the request */
    char *raw_target;
    VmafxHttpTarget target;
    const VmafxHttpRoute *route; /* NULL: none fits */
    const char *route_name;      /* "GET /pattern" */
    char address[INET6_ADDRSTRLEN];
    VmafxHttpPeer peer;
    char *body;
    size_t len, room, len_max;
    bool has_body;      /* by its headers */
    uint64_t excess;    /* bytes of a body that nobody will read */
    HttpUpload *upload; /* the body goes there instead */
    uint64_t uploaded;  /* bytes that did */
    VmafxHttpAnswer answer;
    VmafxHttpEvents *events; /* a reference */
    bool keep_off;           /* close after the answer */
    VmafxSpan *span;
    bool counted; /* by telemetry, and not yet taken off */
    char owner[VMAFX_HTTP_OWNER_MAX];
    _Alignas(max_align_t) unsigned char kept[VMAFX_HTTP_KEEP_MAX]; /* authorize's */
    uint64_t started_ns;
    VmafxHttpCall *next; /* in a pool's row */
};

/* Threads that run handlers. */
typedef struct HttpPool {
    pthread_mutex_t lock; /* covers everything below but the threads */
    pthread_cond_t wake;
    VmafxHttpCall *first, *last;
    int waiting, waiting_max;
    int idle;      /* threads that look for something to do */
    bool refusing; /* what waits is refused, not run */
    bool closing;  /* threads end when nothing waits */
    pthread_t *threads;
    int n_threads;
} HttpPool;

/* A body above its limit is read on and thrown away up to here, so that the peer hears why; then the line is cut. */
#define HTTP_EXCESS_MAX ((uint64_t)64 << 20)
#define HTTP_LINGER_MAX 128

typedef struct HttpLingering {
    int fd;
    uint64_t since_ns, heard_ns, bytes;
} HttpLingering;

/* Sockets of connections that are over, and whose peers may still be sending. */
typedef struct HttpLinger {
    int wake; /* set once */
    pthread_t thread;
    bool running;

    pthread_mutex_t lock; /* covers everything below */
    HttpLingering sockets[HTTP_LINGER_MAX];
    int n;
    uint64_t stop_ns; /* all of them end then, and the thread; UINT64_MAX: not yet */
} HttpLinger;

typedef struct HttpTelemetry {
    VmafxTracer *tracer;
    VmafxLogger *log;
    VmafxHistogram *duration, *request_size, *response_size;
    VmafxUpDownCounter *active;
} HttpTelemetry;

struct VmafxHttpServer {
    VmafxHttpServerConfig config; /* with the defaults filled in */
    char **route_names;           /* "GET /pattern", one for each route */
    int listen_fd, port;
    bool encrypted;
    HttpTls tls;
    char *upload_folder; /* NULL: no route takes uploads */
    struct MHD_Daemon *daemon;
    HttpPool pool, urgent;
    HttpPool writers; /* of uploads' buffers */
    HttpLinger linger;
    HttpTelemetry telemetry;
    atomic_bool stopping, cancelled; /* flags */
    atomic_size_t bodies_bytes;      /* these two are counters */
    _Atomic uint64_t uploads_bytes;
    char start_error[256]; /* what libmicrohttpd says while it starts */
    _Atomic bool started;  /* nothing is written there any more */

    pthread_mutex_t lock;   /* covers everything below */
    pthread_cond_t changed; /* n_calls fell, or clock_ends */
    HttpConnection *connections;
    VmafxHttpEvents *streams;
    HttpUpload *uploads; /* that have a place */
    int n_streams;
    int n_calls; /* requests between their first line and the end of their answer */
    bool clock_ends;
    pthread_t clock;
    bool has_clock, has_lock;
};

/* ---- call.c: what libmicrohttpd calls ---- */
void *http_call_begin(void *server, const char *target, struct MHD_Connection *mhd);
enum MHD_Result http_call_continue(void *server, struct MHD_Connection *mhd, const char *url, const char *method,
                                   const char *protocol, const char *data, size_t *len, void **call);
void http_call_over(void *server, struct MHD_Connection *mhd, void **call, enum MHD_RequestTerminationCode how);
/* What a pool's thread does: runs the handler, or stores a buffer; or refuses when the server's grace is over. */
void http_call_run(VmafxHttpCall *call, bool refuse);
/* An upload's buffer is empty again, or the upload refused: more may come. */
void http_call_stored(VmafxHttpCall *call);

/* ---- upload.c: bodies on their way to files. An upload counts against the limits as long as it exists. ---- */
VmafxErr http_upload_folder(VmafxHttpServer *server, VmafxErrInfo *reterr); /* finds and tries it */
bool http_upload_wanted(const VmafxHttpCall *call);
HttpUpload *http_upload_new(VmafxHttpCall *call,
                            uint64_t length); /* maybe refused; length 0: unknown. NULL: no memory */
void http_upload_free(HttpUpload **upload);
/* As much as its buffer has room for; all of it when the upload is refused. */
size_t http_upload_take(HttpUpload *upload, const char *data, size_t len);
void http_upload_store(HttpUpload *upload); /* the buffer; on a thread that may wait */
void http_upload_end(HttpUpload *upload);   /* the same, and nothing more comes */
void http_upload_refuse(HttpUpload *upload, int status, VmafxErr err, const char *why);
/* The status it was refused with, 0: it was not. */
int http_upload_refused(const HttpUpload *upload, VmafxErr *ret_err, const char **ret_why);
uint64_t http_upload_max(const HttpUpload *upload);

/* ---- tls.c ---- */
VmafxErr http_tls_start(VmafxHttpServer *server, VmafxErrInfo *reterr);
void http_tls_look(VmafxHttpServer *server, uint64_t now_ns); /* at the files, when it is time; reads, so it may wait */
void http_tls_done(HttpTls *tls);
/* Adds what it needs to options; gives how many. */
size_t http_tls_options(VmafxHttpServer *server, struct MHD_OptionItem *options);

/* ---- pool.c ---- */
VmafxErr http_pool_start(HttpPool *pool, int threads, int waiting_max);
bool http_pool_push(HttpPool *pool, VmafxHttpCall *call); /* false: too many wait, or it is closed */
void http_pool_refuse(HttpPool *pool);                    /* what waits and will come gets no handler */
void http_pool_stop(HttpPool *pool);                      /* joins; a zeroed one may be */

/* ---- linger.c ---- */
bool http_linger_start(HttpLinger *linger); /* false: no thread */
/* Keeps the connection of this socket for a while, which the caller is about to close. */
void http_linger_take(HttpLinger *linger, int fd);
void http_linger_stop(HttpLinger *linger, uint32_t grace_ms); /* one that was not started may be */

/* ---- events.c ---- */
struct MHD_Response *http_events_response(VmafxHttpEvents *events); /* NULL: no memory */
void http_events_over(VmafxHttpEvents **events);                    /* the connection has no more use for it */
void http_events_keep(VmafxHttpServer *server, uint64_t now_ns);    /* comments; the server's lock is held */
void http_events_finish_all(VmafxHttpServer *server);

/* ---- server_telemetry.c ---- */
void http_telemetry_init(HttpTelemetry *telemetry, const char *version);
void http_telemetry_begin(VmafxHttpCall *call); /* method, target and route are known */
void http_telemetry_end(VmafxHttpCall *call);   /* the answer is final; later ones do nothing */

/* ---- answer.c ---- */
void http_answer_done(VmafxHttpAnswer *answer);
/* Replaces whatever the answer was but Retry-After; without memory it is the status alone. VMAFX_OK: err is status's.
 */
void http_answer_refuse(VmafxHttpAnswer *answer, int status, VmafxErr err, const char *detail);
#endif
