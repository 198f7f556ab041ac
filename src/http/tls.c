/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The certificate and its key, and their renewal: the time keeper looks at both files, and libmicrohttpd asks for the
 * pair at every handshake. GnuTLS gets a copy of its own each time and frees it with the session, so that a pair can be
 * replaced while sessions with the old one live on.
 */

#include <stdlib.h>
#include <string.h>

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>

#include "base/base.h"
#include "base/clock.h"
#include "http/server_internal.h"
#include "signals/signals.h"

#define PEM_BYTES_MAX ((size_t)1 << 20)
#define TLS_VERSIONS  "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"
#define KEY_ID_MAX    64

enum { CHAIN_MAX = 16 }; /* certificates in a file */

/*
 * A pair as GnuTLS wants it. It frees the list by itself after a handshake, with free(): since 3.3 its memory functions
 * cannot be replaced. Its variables of that name are not used, for their addresses would tie a program to the library.
 */
typedef struct Pair {
    gnutls_pcert_st *certs;
    unsigned n_certs;
    gnutls_privkey_t key;
} Pair;

static void pair_done(Pair *pair)
{
    for (unsigned i = 0; i < pair->n_certs; i++)
        gnutls_pcert_deinit(&pair->certs[i]);
    free(pair->certs);
    if (pair->key)
        gnutls_privkey_deinit(pair->key);
    *pair = (Pair){ 0 };
}

/* 0, or GnuTLS's error; *ret_bad is which of the two it is about. */
static int pair_read(Pair *pair, const char *cert, const char *key, const char **ret_bad)
{
    gnutls_datum_t cert_pem = { (unsigned char *)cert, (unsigned)strlen(cert) };
    gnutls_datum_t key_pem = { (unsigned char *)key, (unsigned)strlen(key) };

    *ret_bad = "certificate";
    pair->certs = calloc(CHAIN_MAX, sizeof *pair->certs);
    if (!pair->certs)
        return GNUTLS_E_MEMORY_ERROR;
    unsigned n = CHAIN_MAX;
    int code = gnutls_pcert_list_import_x509_raw(pair->certs, &n, &cert_pem, GNUTLS_X509_FMT_PEM,
                                                 GNUTLS_X509_CRT_LIST_FAIL_IF_UNSORTED);
    if (code < 0)
        return code;
    pair->n_certs = n;
    *ret_bad = "key";
    code = gnutls_privkey_init(&pair->key);
    if (!code)
        code = gnutls_privkey_import_x509_raw(pair->key, &key_pem, GNUTLS_X509_FMT_PEM, NULL, 0);
    return code;
}

static bool same_key(const Pair *pair)
{
    unsigned char ours[KEY_ID_MAX], theirs[KEY_ID_MAX];
    size_t n_ours = sizeof ours, n_theirs = sizeof theirs;
    gnutls_pubkey_t public_key = NULL;
    bool same = !gnutls_pubkey_init(&public_key) && !gnutls_pubkey_import_privkey(public_key, pair->key, 0, 0) &&
                !gnutls_pubkey_get_key_id(public_key, GNUTLS_KEYID_USE_SHA256, ours, &n_ours) &&
                !gnutls_pubkey_get_key_id(pair->certs[0].pubkey, GNUTLS_KEYID_USE_SHA256, theirs, &n_theirs) &&
                n_ours == n_theirs && !memcmp(ours, theirs, n_ours);

    if (public_key)
        gnutls_pubkey_deinit(public_key);
    return same;
}

static VmafxErr check(const VmafxHttpServerConfig *config, const char *cert, const char *key, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(pair_done) Pair pair = { 0 };
    const char *bad;
    int code = pair_read(&pair, cert, key, &bad);

    if (code == GNUTLS_E_MEMORY_ERROR)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for a certificate");
    if (code)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "cannot serve TLS with '%s' and '%s': the %s cannot be read: %s",
                          config->cert_file, config->key_file, bad, gnutls_strerror(code));
    if (!same_key(&pair))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "cannot serve TLS with '%s' and '%s': they do not fit together",
                          config->cert_file, config->key_file);
    return VMAFX_OK;
}

static void forget(char **key)
{
    if (*key)
        explicit_bzero(*key, strlen(*key));
    free(VMAFX_TAKE(*key));
}

/* Reads both files, and makes them the pair if they are one. */
static VmafxErr load(VmafxHttpServer *server, VmafxErrInfo *reterr)
{
    const VmafxHttpServerConfig *config = &server->config;
    VMAFX_AUTO(vmafx_free_p) char *cert = NULL;
    VMAFX_AUTO(forget) char *key = NULL;
    size_t len;
    VmafxErr err = vmafx_read_file(config->cert_file, PEM_BYTES_MAX, &cert, &len, reterr);

    err = err ? err : vmafx_read_file(config->key_file, PEM_BYTES_MAX, &key, &len, reterr);
    err = err ? err : check(config, cert, key, reterr);
    if (err)
        return err;
    pthread_mutex_lock(&server->tls.lock);
    char *old_cert = server->tls.cert, *old_key = server->tls.key;
    server->tls.cert = VMAFX_TAKE(cert);
    server->tls.key = VMAFX_TAKE(key);
    pthread_mutex_unlock(&server->tls.lock);
    free(old_cert);
    forget(&old_key);
    return VMAFX_OK;
}

static void look(const VmafxHttpServerConfig *config, struct stat ret[2])
{
    memset(ret, 0, 2 * sizeof *ret); /* a missing file looks like nothing else */
    VMAFX_IGNORE(stat(config->cert_file, &ret[0]));
    VMAFX_IGNORE(stat(config->key_file, &ret[1]));
}

static bool same_look(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* ---- what libmicrohttpd asks ---- */

static int give_pair(gnutls_session_t session, const struct gnutls_cert_retr_st *info, gnutls_pcert_st **ret_certs,
                     unsigned *ret_n, gnutls_ocsp_data_st **ret_ocsp, unsigned *ret_n_ocsp, gnutls_privkey_t *ret_key,
                     unsigned *ret_flags)
{
    /* libmicrohttpd makes the connection its session's pointer; its callback has no other way to us */
    struct MHD_Connection *mhd = gnutls_session_get_ptr(session);
    const union MHD_ConnectionInfo *of = mhd ? MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT) : NULL;
    HttpConnection *connection = of ? of->socket_context : NULL;
    Pair pair = { 0 };
    const char *bad;

    if (!connection)
        return -1; /* no memory for it */
    HttpTls *tls = &connection->server->tls;
    pthread_mutex_lock(&tls->lock);
    int code = pair_read(&pair, tls->cert, tls->key, &bad);
    pthread_mutex_unlock(&tls->lock);
    if (code) {
        pair_done(&pair);
        return -1;
    }
    *ret_certs = pair.certs;
    *ret_n = pair.n_certs;
    *ret_key = pair.key;
    *ret_ocsp = NULL;
    *ret_n_ocsp = 0;
    *ret_flags = GNUTLS_CERT_RETR_DEINIT_ALL;
    return 0;
}

size_t http_tls_options(VmafxHttpServer *server, struct MHD_OptionItem *options)
{
    if (!server->encrypted)
        return 0;
    options[0] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_CERT_CALLBACK2, 0, (void *)give_pair };
    options[1] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)TLS_VERSIONS };
    return 2;
}

/* ---- its life ---- */

VmafxErr http_tls_start(VmafxHttpServer *server, VmafxErrInfo *reterr)
{
    const VmafxHttpServerConfig *config = &server->config;

    pthread_mutex_init(&server->tls.lock, NULL);
    if (!config->cert_file && !config->key_file)
        return VMAFX_OK;
    if (!config->cert_file || !config->key_file)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "TLS needs a certificate and its key: name both files");
    if (!MHD_is_feature_supported(MHD_FEATURE_TLS))
        return vmafx_fail(reterr, VMAFX_ERR_UNSUPPORTED, "this machine's libmicrohttpd was built without TLS");
    server->encrypted = true;
    server->tls.next_ns = vmafx_monotonic_ns() + server->config.cert_check_ms * UINT64_C(1000000);
    look(config, server->tls.seen); /* before reading: what changes in between shows at the next look */
    return load(server, reterr);
}

void http_tls_look(VmafxHttpServer *server, uint64_t now_ns)
{
    HttpTls *tls = &server->tls;
    struct stat now[2];
    VmafxErrInfo info = { 0 };

    if (!server->encrypted || now_ns < tls->next_ns)
        return;
    tls->next_ns = now_ns + server->config.cert_check_ms * UINT64_C(1000000);
    look(&server->config, now);
    bool changed = !same_look(&now[0], &tls->seen[0]) || !same_look(&now[1], &tls->seen[1]);
    if (!changed && (!tls->failed || tls->told))
        return;
    memcpy(tls->seen, now, sizeof now);
    bool again = tls->failed && !changed; /* not just between the writing of one file and of the other */
    VmafxErr err = load(server, &info);
    if (!err)
        vmafx_log(server->telemetry.log, VMAFX_INFO, "serving TLS with the renewed certificate");
    else if (again)
        vmafx_log(server->telemetry.log, VMAFX_WARN,
                  "the renewed TLS certificate cannot be used, the old one stays: put a certificate and its key there",
                  VMAFX_ATTR_STR(VMAFX_KEY_ERROR_TYPE, vmafx_err_name(err)),
                  VMAFX_ATTR_STR(VMAFX_KEY_EXCEPTION_MESSAGE, info.message));
    tls->failed = err;
    tls->told = err && again;
}

void http_tls_done(HttpTls *tls)
{
    free(VMAFX_TAKE(tls->cert));
    forget(&tls->key);
    pthread_mutex_destroy(&tls->lock);
}
