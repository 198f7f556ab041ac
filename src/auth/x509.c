/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* libcrypto's calls, each checked, behind a few functions. */

#include "auth/x509.h"

#include <arpa/inet.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "base/base.h"

enum { SERIAL_BYTES = 16 };

static VmafxErr fail(VmafxErrInfo *reterr, const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());

    vmafx_fail(reterr, VMAFX_ERR_INTERNAL, "%s: %s", what, reason ? reason : "libcrypto failed");
    ERR_clear_error();
    return VMAFX_ERR_INTERNAL;
}

void x509_free_p(X509 **cert)
{
    X509_free(*cert);
    *cert = NULL;
}

void x509_key_free_p(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
    *key = NULL;
}

static void bio_free_p(BIO **bio)
{
    BIO_free(*bio);
    *bio = NULL;
}

VmafxErr x509_key_new(EVP_PKEY **ret, VmafxErrInfo *reterr)
{
    *ret = EVP_EC_gen("P-256");
    return *ret ? VMAFX_OK : fail(reterr, "cannot make a key");
}

/* ---- making ---- */

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;

    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509V3_set_ctx_nodb(&ctx);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool done = extension && X509_add_ext(cert, extension, -1);
    X509_EXTENSION_free(extension);
    return done;
}

static bool add_extensions(X509 *cert, X509 *issuer, const X509Order *order)
{
    const char *use = order->server ? "serverAuth" : "clientAuth";

    return add_extension(cert, issuer, NID_basic_constraints,
                         order->authority ? "critical,CA:TRUE,pathlen:0" : "critical,CA:FALSE") &&
           add_extension(cert, issuer, NID_key_usage,
                         order->authority ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature") &&
           add_extension(cert, issuer, NID_subject_key_identifier, "hash") &&
           add_extension(cert, issuer, NID_authority_key_identifier, "keyid:always") &&
           (order->authority || add_extension(cert, issuer, NID_ext_key_usage, use)) &&
           (!order->names || add_extension(cert, issuer, NID_subject_alt_name, order->names));
}

static bool set_serial(X509 *cert)
{
    unsigned char bytes[SERIAL_BYTES];

    if (RAND_bytes(bytes, sizeof bytes) != 1)
        return false;
    bytes[0] = (bytes[0] & 0x7F) | 0x40; /* positive, and always of the same length */
    BIGNUM *number = BN_bin2bn(bytes, sizeof bytes, NULL);
    bool done = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert));
    BN_free(number);
    return done;
}

static bool set_name(X509 *cert, const char *common_name)
{
    X509_NAME *name = X509_get_subject_name(cert);

    return X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const unsigned char *)"VMAFX", -1, -1, 0) &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)common_name, -1, -1, 0);
}

VmafxErr x509_new(const X509Order *order, X509 **ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(x509_free_p) X509 *cert = X509_new();
    X509 *issuer = order->issuer ? order->issuer : cert;

    if (!cert || !X509_set_version(cert, X509_VERSION_3) || !set_serial(cert) || !set_name(cert, order->common_name) ||
        !X509_set_issuer_name(cert, X509_get_subject_name(issuer)) ||
        !ASN1_TIME_set(X509_getm_notBefore(cert), order->from_s) ||
        !ASN1_TIME_set(X509_getm_notAfter(cert), order->to_s) || !X509_set_pubkey(cert, order->key) ||
        !add_extensions(cert, issuer, order) || !X509_sign(cert, order->issuer_key, EVP_sha256()))
        return fail(reterr, "cannot make a certificate");
    *ret = VMAFX_TAKE(cert);
    return VMAFX_OK;
}

/* ---- PEM ---- */

VmafxErr x509_parse(const char *text, size_t len, const char *subject, X509 **ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(bio_free_p) BIO *bio = BIO_new_mem_buf(text, (int)len);

    *ret = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    ERR_clear_error();
    return *ret ? VMAFX_OK : vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "'%s' holds no certificate in PEM", subject);
}

/* A key that needs a password is none: there is nobody to ask. */
static int no_password(char *to, int size, int writing, void *ctx)
{
    return -1;
}

VmafxErr x509_key_parse(const char *text, size_t len, const char *subject, EVP_PKEY **ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(bio_free_p) BIO *bio = BIO_new_mem_buf(text, (int)len);

    *ret = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;
    ERR_clear_error();
    return *ret ? VMAFX_OK
                : vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "'%s' holds no private key in PEM without a password", subject);
}

static char *take_text(BIO *bio)
{
    char *data;
    long len = BIO_get_mem_data(bio, &data);
    char *text = len > 0 ? malloc((size_t)len + 1) : NULL;

    if (text) {
        memcpy(text, data, (size_t)len);
        text[len] = 0;
    }
    return text;
}

VmafxErr x509_format(X509 *cert, char **ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(bio_free_p) BIO *bio = BIO_new(BIO_s_mem());

    *ret = bio && PEM_write_bio_X509(bio, cert) ? take_text(bio) : NULL;
    return *ret ? VMAFX_OK : fail(reterr, "cannot write a certificate");
}

VmafxErr x509_key_format(EVP_PKEY *key, char **ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(bio_free_p) BIO *bio = BIO_new(BIO_s_secmem()); /* wipes what it held */

    *ret = bio && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) ? take_text(bio) : NULL;
    return *ret ? VMAFX_OK : fail(reterr, "cannot write a key");
}

void x509_key_text_free(char **text)
{
    if (*text)
        OPENSSL_cleanse(*text, strlen(*text));
    free(*text);
    *text = NULL;
}

/* ---- reading ---- */

static int64_t unix_time(const ASN1_TIME *time)
{
    struct tm tm;

    return ASN1_TIME_to_tm(time, &tm) ? (int64_t)timegm(&tm) : 0;
}

static void copy_common_name(X509_NAME *name, char *ret, size_t size)
{
    int n = X509_NAME_get_text_by_NID(name, NID_commonName, ret, (int)size);

    if (n < 0)
        *ret = 0;
    for (; *ret; ret++) /* it may come from anywhere, and goes to a terminal */
        if ((unsigned char)*ret < ' ' || *ret == 127)
            *ret = '?';
}

/* One name as "DNS:a"; false for kinds that we never make, and for texts that could pass for another list. */
static bool name_text(const GENERAL_NAME *name, char *ret, size_t size)
{
    const char *kind = name->type == GEN_DNS ? "DNS" : name->type == GEN_URI ? "URI" : "IP";

    if (name->type == GEN_IPADD) {
        const ASN1_OCTET_STRING *ip = name->d.iPAddress;
        char text[INET6_ADDRSTRLEN];

        if ((ip->length != 4 && ip->length != 16) ||
            !inet_ntop(ip->length == 4 ? AF_INET : AF_INET6, ip->data, text, sizeof text))
            return false;
        return (size_t)snprintf(ret, size, "%s:%s", kind, text) < size;
    }
    if (name->type != GEN_DNS && name->type != GEN_URI)
        return false;
    const char *text = (const char *)ASN1_STRING_get0_data(name->d.ia5);
    size_t len = (size_t)ASN1_STRING_length(name->d.ia5);
    for (size_t i = 0; i < len; i++)
        if (text[i] <= ' ' || text[i] > '~' || text[i] == ',')
            return false;
    return (size_t)snprintf(ret, size, "%s:%.*s", kind, (int)len, text) < size;
}

static void join_names(X509 *cert, const char *between, char *ret, size_t size, VmafxIdentity *ret_identity)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    size_t at = 0;

    *ret = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        char text[512];

        if (!name_text(sk_GENERAL_NAME_value(names, i), text, sizeof text))
            continue;
        if (at + strlen(text) + strlen(between) >= size)
            break;
        at += (size_t)snprintf(ret + at, size - at, "%s%s", at ? between : "", text);
        VMAFX_IGNORE(vmafx_identity_parse(text + strlen("URI:"), ret_identity)); /* most names are none */
    }
    GENERAL_NAMES_free(names);
    ERR_clear_error();
}

char *x509_names(X509 *cert)
{
    VmafxIdentity identity = { 0 };
    char text[VMAFX_CERTS_NAMES_MAX];

    join_names(cert, ",", text, sizeof text, &identity);
    return *text ? vmafx_strdup(text) : NULL;
}

static void copy_fingerprint(X509 *cert, char *ret, size_t size)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    *ret = 0;
    if (!X509_digest(cert, EVP_sha256(), digest, &n))
        ERR_clear_error();
    for (unsigned i = 0; i < n && 3 * (i + 1) <= size; i++)
        snprintf(ret + 3 * i, size - 3 * i, "%02X%s", digest[i], i + 1 < n ? ":" : "");
}

void x509_describe(X509 *cert, VmafxCertInfo *ret)
{
    copy_common_name(X509_get_subject_name(cert), ret->subject, sizeof ret->subject);
    copy_common_name(X509_get_issuer_name(cert), ret->issuer, sizeof ret->issuer);
    ret->identity = (VmafxIdentity){ 0 };
    join_names(cert, ", ", ret->names, sizeof ret->names, &ret->identity);
    copy_fingerprint(cert, ret->fingerprint, sizeof ret->fingerprint);
    ret->not_before_s = unix_time(X509_get0_notBefore(cert));
    ret->not_after_s = unix_time(X509_get0_notAfter(cert));
    ret->authority = X509_check_ca(cert) == 1;
}
