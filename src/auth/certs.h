/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A private certificate authority in a folder, for the mutual TLS between our programs:
 *
 *     ca.crt  ca.key                     the authority; ca.key goes nowhere
 *     node-NAME.crt    node-NAME.key     vmafx://node/NAME
 *     client-NAME.crt  client-NAME.key   vmafx://ROLE/NAME
 *     server-NAME.crt  server-NAME.key   DNS names and addresses
 *
 * Keys are EC P-256, files of mode 0600; the folder is made with 0700. A file appears whole or not at all, and is
 * never replaced unless that is asked for: `force` makes a new key and certificate, `renew` a new certificate for the
 * key that is there, so that one file changes, in one step, and a program that reads the pair at any moment has one
 * that fits. Renewing the authority keeps what it has signed valid.
 *
 * Time comes in; the disk and the random numbers of libcrypto are the only effects. Any thread, as long as two calls do
 * not work on the same name.
 */
#ifndef VMAFX_AUTH_CERTS_H
#define VMAFX_AUTH_CERTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/auth.h"

enum {
    VMAFX_CERTS_CA_DAYS = 3650,
    VMAFX_CERTS_DAYS = 365,
    VMAFX_CERTS_DAYS_MAX = 3650,
    VMAFX_CERTS_HOSTS_MAX = 16,
    VMAFX_CERTS_FILE_MAX = 1 << 20, /* bytes of a file that is read */
    VMAFX_CERTS_NAMES_MAX = 1024,   /* bytes of a description's names */
};

typedef enum VmafxCertKind {
    VMAFX_CERT_NODE,
    VMAFX_CERT_CLIENT,
    VMAFX_CERT_SERVER,
} VmafxCertKind;

/** How to make one. */
typedef struct VmafxCertsOptions {
    const char *folder;
    int64_t now_s; /* Unix time */
    int days;      /* 1 … VMAFX_CERTS_DAYS_MAX; 0: the default. A certificate ends no later than its authority */
    bool force, renew;
} VmafxCertsOptions;

typedef struct VmafxCertRequest {
    VmafxCertKind kind;
    const char *name;
    VmafxRole role;           /* of a client */
    const char *const *hosts; /* of a server: DNS names and addresses; when renewing none means: as before */
    size_t n_hosts;
} VmafxCertRequest;

/** What is in a certificate. */
typedef struct VmafxCertInfo {
    char path[1024];                   /* "" when it does not fit */
    char subject[128], issuer[128];    /* common names */
    char names[VMAFX_CERTS_NAMES_MAX]; /* "URI:vmafx://node/n1", "DNS:a, IP:127.0.0.1"; "" when none */
    char fingerprint[96];              /* SHA-256, "AB:CD:…", as openssl and browsers print it */
    int64_t not_before_s, not_after_s; /* Unix time */
    bool authority;
    VmafxIdentity identity; /* ANYONE where it names none */
} VmafxCertInfo;

/**
 * Makes the authority.
 * @return VMAFX_ERR_CONFLICT there is one, and neither force nor renew was given; VMAFX_ERR_NOT_FOUND nothing to renew;
 * VMAFX_ERR_IO, VMAFX_ERR_INVALID, VMAFX_ERR_INTERNAL (libcrypto), VMAFX_ERR_NOMEM; with a sentence
 */
VMAFX_CHECK VmafxErr vmafx_certs_init(const VmafxCertsOptions *options, VmafxCertInfo *ret, VmafxErrInfo *reterr);

/**
 * Makes a certificate, signed by the folder's authority.
 * @return as above; VMAFX_ERR_NOT_FOUND also: no authority; VMAFX_ERR_STATE the authority has expired, its key does not
 * fit or may be read by others
 */
VMAFX_CHECK VmafxErr vmafx_certs_issue(const VmafxCertsOptions *options, const VmafxCertRequest *request,
                                       VmafxCertInfo *ret, VmafxErrInfo *reterr);

/** Reads the first certificate of a PEM file. VMAFX_ERR_NOT_FOUND, VMAFX_ERR_IO, VMAFX_ERR_LIMIT, VMAFX_ERR_SYNTAX */
VMAFX_CHECK VmafxErr vmafx_certs_describe(const char *path, VmafxCertInfo *ret, VmafxErrInfo *reterr);
/** The same of a certificate with its key. VMAFX_ERR_STATE: they do not fit each other */
VMAFX_CHECK VmafxErr vmafx_certs_describe_pair(const char *path, const char *key_path, VmafxCertInfo *ret,
                                               VmafxErrInfo *reterr);
#endif
