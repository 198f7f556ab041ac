/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What the parts of vmafx-mcp share: the program, its sessions, and calls on their way.
 *
 *     transport (stdio.c, http.c) ──text──► jsonrpc.c ──message──► protocol.c ──► tools.c ──► backend.h
 *                                 ◄─answer, progress─
 *
 * Two eras of the protocol are answered. In the older one (revisions 2024-11-05 to 2025-11-25) a client introduces
 * itself with `initialize` and has a session. In the newer one (2026-07-28) there are none: every request says in its
 * _meta which revision it is of and who asks.
 */
#ifndef VMAFX_PROGRAMS_MCP_MCP_H
#define VMAFX_PROGRAMS_MCP_MCP_H

#include <pthread.h>
#include <stdatomic.h>

#include "auth/auth.h"
#include "otel/api/metrics.h"
#include "programs/mcp/backend.h"
#include "programs/mcp/catalogue.h"
#include "programs/mcp/jsonrpc.h"

#define MCP_VERSION "0.1.0"

#define MCP_MESSAGE_MAX    ((size_t)4 << 20) /* bytes of a line, of a body */
#define MCP_ANSWER_MAX     ((size_t)4 << 20) /* of what a resource has */
#define MCP_CALLS_MAX      16                /* tool calls and reads of resources at a time */
#define MCP_WAITING_MAX    64                /* that wait for one of these to end; then the call is refused */
#define MCP_SESSIONS_MAX   1024
#define MCP_SESSION_IDLE_S 3600
#define MCP_TOKEN_MAX      1024 /* bytes of a progress token */

#define MCP_REVISION_MODERN "2026-07-28"
#define MCP_REVISION_LEGACY "2025-11-25" /* what we offer to who asks for one that we do not know */

enum {
    MCP_HEADER_MISMATCH = -32020,
    MCP_UNSUPPORTED_VERSION = -32022,
    MCP_NO_RESOURCE = -32002, /* of the older era */
    MCP_BUSY = -32000,
};

/** A client of the older era. Texts are set before others see it. */
typedef struct Session {
    char id[JOB_ID_TEXT];
    _Atomic(const char *) revision;      /* static; NULL: not initialised yet */
    atomic_int log_level;                /* index into the protocol's eight; 8: nothing */
    char owner[VMAFX_AUTH_NAME_MAX + 1]; /* who began it: nobody else may use it */
    atomic_ullong used_ns;
    atomic_int refs;
} Session;

typedef struct Call Call;

typedef struct Program {
    Catalogue catalogue;
    Backend *backend;
    const char *roots;  /* absolute folders, separated by colons; NULL or empty: none */
    const char *folder; /* that relative paths begin at; NULL: they are refused */
    bool http;
    VmafxLogger *log;
    VmafxTracer *tracer;
    VmafxHistogram *duration;
    atomic_bool stopping;

    pthread_mutex_t lock; /* covers the list of calls */
    Call *calls;
} Program;

/** One request on its way. The transport makes it; it lives until its answer is there. */
struct Call {
    Program *program;
    const JsonRpcMessage *message;
    Session *session;     /* of the older era; NULL in the newer one */
    const void *scope;    /* whose ids these are: what has the same one must not have the same id */
    const char *revision; /* in force */
    bool modern;
    VmafxRole role;
    /* Writes down that the role did not suffice for this tool; NULL: nobody is told, as it is the one who started us */
    void (*denied)(void *ctx, const char *tool);
    void *denied_ctx;
    const char *transport;  /* "pipe" or "tcp" */
    VmafxContext *context;  /* parent of its span; borrowed */
    json_t *progress_token; /* borrowed; NULL: no progress wanted */
    const char *log_level;  /* of the newer era; NULL: no messages wanted */
    /* Sends a notification, which it takes over; NULL: there is no way for one. Any thread */
    void (*notify)(void *ctx, json_t *notification);
    void *notify_ctx;
    /* Is nobody there any more? NULL: not known */
    bool (*gone)(void *ctx);
    void *gone_ctx;

    atomic_bool cancelled;
    double progress;          /* last told, which only grows */
    const char *error_type;   /* for span and metric; NULL: went well */
    char job_id[JOB_ID_TEXT]; /* that the call is about */
    Call *next;               /* under the program's lock */
};

/** Nobody waits for the answer any more, or the program stops. May cost a system call: not for every frame. */
bool call_given_up(Call *call);
#endif
