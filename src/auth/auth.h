/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Who may call what. Pure but for the table of tokens, which follows a file: facts about a peer and the name of a
 * method go in, a decision and an identity come out; no I/O, no memory, any thread. permissions.def says which role
 * each method needs; what is not there is refused.
 *
 * An identity is a URI in the peer's certificate, `vmafx://ROLE/NAME` (vmafx://node/node-1, vmafx://admin/alice); the
 * certificate must be one of our CA's, which whoever terminates TLS has checked. Servers have DNS names and addresses
 * instead, and no role. On HTTP, where peers show no certificate, an identity is a bearer token's (tokens.h).
 *
 *     reader < writer < admin     each may what those before it may
 *     node                        may hold a node's stream (Connect), under its own name, and nothing else
 *
 * Who shows a token is judged by it alone, wherever from. Without one, on loopback without TLS, everything is allowed,
 * as the identity `local`, unless the policy demands certificates. Off loopback there is no plain text, unless the
 * policy says insecure_listen: then it is `anonymous`, and may everything. TLS alone is no identity.
 *
 * A tenant keeps who has it to what is that tenant's. Servers do so with jobs and uploads; what cannot be parted so is
 * in the table too, and refused (metrics, MCP).
 */
#ifndef VMAFX_AUTH_AUTH_H
#define VMAFX_AUTH_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmafx/error.h>

#define VMAFX_AUTH_NAME_MAX 63 /* bytes of a NAME: a-z A-Z 0-9 . _ -, first a letter or digit */

typedef enum VmafxRole {
    VMAFX_ROLE_ANYONE, /* without credentials */
    VMAFX_ROLE_READER,
    VMAFX_ROLE_WRITER,
    VMAFX_ROLE_ADMIN,
    VMAFX_ROLE_NODE,
    VMAFX_ROLE_EVERYTHING, /* `local` and `anonymous` only: no certificate and no token has it */
} VmafxRole;

typedef struct VmafxIdentity {
    VmafxRole role;
    char name[VMAFX_AUTH_NAME_MAX + 1];   /* "" for ANYONE */
    char tenant[VMAFX_AUTH_NAME_MAX + 1]; /* whose things it sees; "" for none: tokens only have one */
} VmafxIdentity;

typedef struct VmafxTokens VmafxTokens; /* tokens.h */

/** Settings; zeroes are the strict defaults. */
typedef struct VmafxAuthPolicy {
    bool always_certificates;  /* also on loopback */
    bool insecure_listen;      /* --insecure-listen: plain text off loopback; whoever sets it logs it loudly */
    bool open_metrics;         /* GET /metrics without credentials, for scrapers that have none */
    const VmafxTokens *tokens; /* whose bearers are let in; NULL: none, every Authorization header is refused */
} VmafxAuthPolicy;

/** What is known about a peer. Borrowed for the call. */
typedef struct VmafxAuthPeer {
    bool loopback;            /* a loopback address or a Unix socket */
    bool encrypted;           /* TLS */
    bool authenticated;       /* by a certificate that our CA signed */
    const char *const *names; /* URI and DNS names of that certificate */
    size_t n_names;
    const char *host, *origin; /* HTTP: the headers Host and Origin; NULL: absent, or not HTTP */
    const char *authorization; /* HTTP: the header; NULL: absent, or not HTTP */
    int64_t now_s;             /* Unix time, for tokens that end; 0: not known, none of those is valid */
} VmafxAuthPeer;

/**
 * May the peer call the method? Also sets who it is.
 *
 * A browser on this machine is on loopback too, with whatever page it shows: so where loopback alone would do, an
 * HTTP request that names a Host or an Origin elsewhere gets no more than ANYONE. With a token they do not matter: a
 * page that does not know it cannot send it, and one that was told it may call.
 *
 * An Authorization header has to be a valid token's, also on loopback: who means to be somebody is not quietly taken
 * for somebody else. What ANYONE may call is let through even so, lest an expired token in a probe restarts a service.
 *
 * @param ret     also set with FORBIDDEN, for the audit; with UNAUTHENTICATED it is ANYONE
 * @param method  "/vmafx.v1.Jobs/SubmitJob", or "GET /v1/jobs/{id}"
 * @return VMAFX_OK; VMAFX_ERR_UNAUTHENTICATED no credentials, or none of ours; VMAFX_ERR_FORBIDDEN the role may not, or
 * the tenant, or the method is not in the table
 */
VMAFX_CHECK VmafxErr vmafx_auth_decide(const VmafxAuthPolicy *policy, const VmafxAuthPeer *peer, const char *method,
                                       VmafxIdentity *ret, VmafxErrInfo *reterr);

/** May it speak for this node? A node only for itself; EVERYTHING for any. VMAFX_ERR_FORBIDDEN, VMAFX_ERR_INVALID */
VMAFX_CHECK VmafxErr vmafx_auth_node(const VmafxIdentity *identity, const char *node_name, VmafxErrInfo *reterr);

/**
 * May a server listen there? Plain text off loopback is refused unless the policy says otherwise.
 * @param address  "127.0.0.1:7801", "[::]:7801", "localhost:0", "unix:/path"
 * @return VMAFX_OK, VMAFX_ERR_FORBIDDEN with what to do
 */
VMAFX_CHECK VmafxErr vmafx_auth_listen(const VmafxAuthPolicy *policy, const char *address, bool encrypted,
                                       VmafxErrInfo *reterr);

/** A loopback host: localhost, 127.x.y.z, ::1, with or without brackets. */
bool vmafx_auth_host_is_loopback(const char *host, size_t len);
/** Is that on this machine? "127.0.0.1:7801", "dns:///localhost:7801", "[::1]:7801", "unix:/path". */
bool vmafx_auth_target_is_loopback(const char *target);

bool vmafx_auth_name_valid(const char *name);
/** "reader", "writer", "admin", "node"; "anyone", "everything". */
const char *vmafx_role_name(VmafxRole role);
/** One that a certificate may have; VMAFX_ERR_INVALID naming them all. */
VMAFX_CHECK VmafxErr vmafx_role_parse(const char *text, VmafxRole *ret, VmafxErrInfo *reterr);
/** "vmafx://ROLE/NAME". VMAFX_ERR_SYNTAX */
VMAFX_CHECK VmafxErr vmafx_identity_parse(const char *uri, VmafxIdentity *ret);

/** The table, for tests: the i-th method and its role; NULL beyond the last. */
const char *vmafx_permission_at(size_t i, VmafxRole *ret_role);
#endif
