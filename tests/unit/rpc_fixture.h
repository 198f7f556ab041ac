/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the tests of gRPC's server and client share: a service that echoes, a server and a channel to it, streams. */
#ifndef VMAFX_TESTS_RPC_FIXTURE_H
#define VMAFX_TESTS_RPC_FIXTURE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "rpc/client.h"
#include "rpc/server.h"

enum {
    ECHO_METHODS = 7,
    ECHO_QUEUE_MAX = 1 << 20, /* bytes that may wait on a stream of the server */
    ECHO_TIGHT_MAX = 1 << 18, /* on one of Tight */
};

/* ---- something to wait for ---- */

typedef struct Count {
    pthread_mutex_t lock; /* covers the following */
    pthread_cond_t change;
    int n;
} Count;

void count_one(Count *count);
/* Waits until it has counted up to n, and begins from 0. */
void await_count(Count *count, int n);

/* ---- the service ---- */

/* What has happened in it. A test that lets something happen waits for it here, so that the next one begins from 0. */
typedef struct Echo {
    Count entered;        /* handlers that wait until they are cancelled */
    Count opened, closed; /* streams; and, closed, handlers that waited */
    Count limited;        /* a flood that met its limit */
    size_t most;          /* bytes that waited in it, at most; read after limited */
    Count writable;       /* all of a "count N" has gone out */
    VmafxRpcStream *held; /* a reference to the last stream of Hold, beyond its end */
} Echo;
extern Echo echo;

/*
 * /test.Echo/Say says what it was told; "wait", "peer", "names", "deadline" and "agent" are understood. Fail fails with
 * the error of the number that it is told. Chat and Hold are streams that echo; "flood", "bye" and "count N" are
 * understood. Tight is Chat with a smaller queue. Refused refuses to open. /vmafx.v1.Jobs/SubmitJob looks at its
 * message.
 */
extern const VmafxRpcMethod echo_methods[ECHO_METHODS];
VmafxErr echo_say(void *ctx, VmafxRpcCall *call, const void *data, size_t len, VmafxRpcAnswer *ret,
                  VmafxErrInfo *reterr);

bool bytes_are(const void *data, size_t len, const char *text);

/* ---- both ends ---- */

typedef struct Ends {
    VmafxRpcServer *server;
    VmafxRpcChannel *channel;
    char target[64];
} Ends;

/* A server with these settings, at a free port of 127.0.0.1 unless they have an address, with the methods above unless
   they have others; no channel. */
void ends_open_with(Ends *ends, VmafxRpcServerConfig config);
/* Both, with default settings. */
void ends_open(Ends *ends);
void ends_close(Ends *ends);
VmafxRpcChannel *connect_to(VmafxRpcChannelConfig config);

/* A unary call with 20 seconds; the answer as text, "" on an error. */
VmafxErr call(VmafxRpcChannel *channel, const char *path, const char *text, char ret[256], VmafxErrInfo *info);
void assert_says(VmafxRpcChannel *channel, const char *text, const char *expected);

/* Somebody who calls Say with "wait". */
typedef struct Caller {
    pthread_t thread;
    VmafxRpcChannel *channel;
    VmafxErr err;
} Caller;

/* Its thread. */
void *call_and_wait(void *caller);

/* ---- one end of a stream ---- */

typedef struct Talk {
    pthread_mutex_t lock; /* covers the following */
    pthread_cond_t change;
    char last[32];
    int n, n_closed;
    bool block; /* inside message, so that nothing more is read */
    VmafxErr err;
    char message[256];
    VmafxRpcClientStream *stream;
} Talk;

void talk_begin(Talk *talk, VmafxRpcChannel *channel, const char *path);
void talk_tell(Talk *talk, const char *text);
void talk_await_messages(Talk *talk, int n);
void talk_await_closed(Talk *talk);
/* Frees the stream, which has been closed exactly once then. */
void talk_end(Talk *talk);
#endif
