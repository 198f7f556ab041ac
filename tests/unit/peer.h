/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A collector on 127.0.0.1 that follows a script, for tests of exporters, and what such tests export. Each connection
 * has a thread of its own; what was seen is read after peer_stop, or waited for.
 */
#ifndef VMAFX_TESTS_UNIT_PEER_H
#define VMAFX_TESTS_UNIT_PEER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "otel/export/otlp_exporter.h"

#define MS UINT64_C(1000000)

/* What the sanitizers cannot do: TSan starts no thread in a child of a process that had several; ASan's allocator may
   be locked there for ever when another thread was allocating. */
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#else
#define UNDER_TSAN 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define UNDER_ASAN 1
#else
#define UNDER_ASAN 0
#endif

enum {
    PEER_BODY_MAX = 1 << 18,
    PEER_KEPT_MAX = 1 << 20,
    PEER_CONNECTIONS_MAX = 64,
    PEER_STEPS_MAX = 8,
    LONG_MS = 20000
};

/* What the peer does with a request. */
typedef enum PeerAct {
    ACT_END = 0,     /* accepts it, and every later one */
    ACT_SAY,         /* status, headers and body of the step; gRPC: status, details (base64) and body */
    ACT_CLOSE,       /* closes */
    ACT_SILENT,      /* nothing until the client goes away */
    ACT_SAY_HUGE,    /* HTTP: 200 with 64 KiB */
    ACT_NOT_HTTP,    /* HTTP: bytes that are none */
    ACT_CLOSE_EARLY, /* HTTP: closes in the middle of the request */
    ACT_CUT_BODY,    /* HTTP: an answer shorter than it says */
    ACT_TRICKLE,     /* HTTP: an answer without end, a byte at a time */
    ACT_HTTP,        /* gRPC: an HTTP status and no gRPC */
    ACT_RESET,       /* gRPC: RST_STREAM with the status */
    ACT_GOAWAY,      /* gRPC: GOAWAY that leaves the stream out, then closes */
    ACT_GARBAGE,     /* gRPC: bytes that are no HTTP/2 */
} PeerAct;

typedef struct PeerStep {
    PeerAct act;
    int status;
    const char *headers; /* whole lines with \r\n */
    const char *body;
    size_t len;
} PeerStep;

typedef struct Peer Peer;

/* Speaks with one client until it is gone, on the connection's thread. */
typedef void (*PeerServe)(Peer *peer, int fd);

struct Peer {
    int listener;
    uint16_t port;
    pthread_t thread;
    bool stopped;
    PeerServe serve;
    const PeerStep *steps; /* of each signal's requests, in order; ends with ACT_END */

    pthread_mutex_t lock; /* covers what follows */
    pthread_cond_t changed;
    unsigned requests, connections;
    unsigned of[3]; /* requests by VmafxSignal; HTTP */
    uint8_t head[8192], body[PEER_BODY_MAX];
    size_t head_len, body_len;   /* of the last request; head is terminated, HTTP */
    uint8_t kept[PEER_KEPT_MAX]; /* the bodies that were accepted, one after the other; full: it begins anew. HTTP */
    size_t kept_len;
    int fds[PEER_CONNECTIONS_MAX];
    pthread_t threads[PEER_CONNECTIONS_MAX];
};

/* Steps are borrowed. A peer of steps NULL accepts everything. */
Peer *peer_open(PeerServe serve, const PeerStep *steps);
void peer_serve_http(Peer *peer, int fd);
/* Ends all connections. What it saw may then be read. */
void peer_stop(Peer *peer);
void peer_close(Peer **peer);
void peer_wait_for_requests(Peer *peer, unsigned n);
/* Until an accepted body has these bytes in it. */
void peer_wait_for_text(Peer *peer, const char *text);
bool peer_kept(Peer *peer, const char *text);

/* The next step of a counter of requests. */
const PeerStep *peer_step(const Peer *peer, unsigned request);
void peer_put(int fd, const void *bytes, size_t len);
/* A socket that listens on a port of its own, and accepts nothing. */
int peer_listen(uint16_t *ret_port);

/* ---- what is exported ---- */

uint64_t in_ms(uint64_t ms);

typedef struct Told {
    unsigned lines;
    char first[512], last[512];
} Told;

/* Of an exporter of traces with short backoffs, that tells told. */
VmafxOtlpConfig peer_config(VmafxOtlpProtocol protocol, uint16_t port, Told *told);

/* Three spans. */
extern const VmafxBatch peer_batch;

typedef struct PeerExport {
    VmafxExporter *exporter;
    VmafxExportResult result;
    pthread_t thread;
} PeerExport;

/* Exports peer_batch on a thread, with more time than any test has. */
void peer_export_begin(PeerExport *job, VmafxExporter *exporter);
VmafxExportResult peer_export_end(PeerExport *job);
#endif
