/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Making and reading X.509 certificates with libcrypto, without files. Failures of libcrypto are VMAFX_ERR_INTERNAL
 * with its reason; its error queue is empty afterwards. Profile: RFC 5280; keys EC P-256, signatures ECDSA with
 * SHA-256.
 */
#ifndef VMAFX_AUTH_X509_H
#define VMAFX_AUTH_X509_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "auth/certs.h"

typedef struct X509Order {
    const char *common_name;
    const char *names; /* subjectAltName as OpenSSL's configuration has it, "URI:…,DNS:…"; NULL: none */
    bool authority, server;
    int64_t from_s, to_s;
    EVP_PKEY *key; /* whose certificate it is */
    X509 *issuer;  /* NULL: signs itself */
    EVP_PKEY *issuer_key;
} X509Order;

void x509_free_p(X509 **cert);
void x509_key_free_p(EVP_PKEY **key);

VMAFX_CHECK VmafxErr x509_key_new(EVP_PKEY **ret, VmafxErrInfo *reterr);
VMAFX_CHECK VmafxErr x509_new(const X509Order *order, X509 **ret, VmafxErrInfo *reterr);

/** The first of its kind in a PEM text; subject is for messages. VMAFX_ERR_SYNTAX */
VMAFX_CHECK VmafxErr x509_parse(const char *text, size_t len, const char *subject, X509 **ret, VmafxErrInfo *reterr);
VMAFX_CHECK VmafxErr x509_key_parse(const char *text, size_t len, const char *subject, EVP_PKEY **ret,
                                    VmafxErrInfo *reterr);
/** PEM on the heap: for certificates free(), for keys x509_key_text_free. */
VMAFX_CHECK VmafxErr x509_format(X509 *cert, char **ret, VmafxErrInfo *reterr);
VMAFX_CHECK VmafxErr x509_key_format(EVP_PKEY *key, char **ret, VmafxErrInfo *reterr);
/** Wipes it first. */
void x509_key_text_free(char **text);

void x509_describe(X509 *cert, VmafxCertInfo *ret);
/** The names of a certificate in the form of X509Order, on the heap; NULL: none, or no memory. */
char *x509_names(X509 *cert);
#endif
