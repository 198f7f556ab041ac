/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Files of the private authority: which there are, whether they may be replaced, and how they get to disk. */

#include "auth/certs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "auth/x509.h"
#include "base/base.h"

#define DAY_S    86400
#define EARLY_S  300 /* valid from so long ago: clocks of other machines differ */
#define HOST_MAX 253

typedef struct Pair {
    char *cert, *key; /* paths */
} Pair;

static void pair_done(Pair *pair)
{
    free(pair->cert);
    free(pair->key);
}

static VmafxErr no_memory(VmafxErrInfo *reterr)
{
    return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for a certificate");
}

static VmafxErr pair_init(Pair *ret, const char *folder, const char *base, const char *name, VmafxErrInfo *reterr)
{
    const char *between = name ? "-" : "";

    name = name ? name : "";
    ret->cert = vmafx_sprintf("%s/%s%s%s.crt", folder, base, between, name);
    ret->key = vmafx_sprintf("%s/%s%s%s.key", folder, base, between, name);
    return ret->cert && ret->key ? VMAFX_OK : no_memory(reterr);
}

/* ---- reading ---- */

static VmafxErr read_cert(const char *path, X509 **ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_free_p) char *text = NULL;
    size_t len;
    VmafxErr err = vmafx_read_file(path, VMAFX_CERTS_FILE_MAX, &text, &len, reterr);

    return err ? err : x509_parse(text, len, path, ret, reterr);
}

static VmafxErr read_key(const char *path, EVP_PKEY **ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(x509_key_text_free) char *text = NULL;
    struct stat st;
    size_t len;

    if (!stat(path, &st) && st.st_mode & 077)
        return vmafx_fail(reterr, VMAFX_ERR_STATE,
                          "the key '%s' may be read by others, so it may be known: `chmod 600 %s`, or make a new one "
                          "with --force",
                          path, path);
    VmafxErr err = vmafx_read_file(path, VMAFX_CERTS_FILE_MAX, &text, &len, reterr);
    return err ? err : x509_key_parse(text, len, path, ret, reterr);
}

static VmafxErr read_pair(const Pair *pair, X509 **ret_cert, EVP_PKEY **ret_key, VmafxErrInfo *reterr)
{
    VmafxErr err = read_cert(pair->cert, ret_cert, reterr);

    if (!err)
        err = read_key(pair->key, ret_key, reterr);
    if (!err && X509_check_private_key(*ret_cert, *ret_key) != 1)
        err = vmafx_fail(reterr, VMAFX_ERR_STATE, "'%s' and '%s' do not belong together; make both anew with --force",
                         pair->cert, pair->key);
    return err;
}

/* ---- writing ---- */

static VmafxErr io_error(VmafxErrInfo *reterr, const char *path)
{
    return vmafx_fail(reterr, VMAFX_ERR_IO, "cannot write '%s': %s", path, strerror(errno));
}

static VmafxErr conflict(VmafxErrInfo *reterr, const char *path)
{
    return vmafx_fail(reterr, VMAFX_ERR_CONFLICT,
                      "'%s' exists: --renew makes a new certificate for the same key, --force a new key too", path);
}

static VmafxErr make_folder(const char *folder, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_free_p) char *path = vmafx_strdup(folder);

    if (!path)
        return no_memory(reterr);
    for (char *at = path + 1;; at++) {
        char c = *at;

        if (c && c != '/')
            continue;
        *at = 0;
        if (mkdir(path, 0700) && errno != EEXIST && (!c || errno != EACCES))
            return vmafx_fail(reterr, VMAFX_ERR_IO, "cannot make the folder '%s': %s", path, strerror(errno));
        *at = c;
        if (!c)
            return VMAFX_OK;
    }
}

static bool write_all(int fd, const char *text)
{
    for (size_t left = strlen(text); left;) {
        ssize_t n = write(fd, text, left);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        text += n;
        left -= (size_t)n;
    }
    return !fsync(fd);
}

static void sync_folder(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return; /* where folders cannot be opened they cannot be synced either */
    fsync(fd);
    close(fd);
}

/* Whole or not at all. Without `replace` a file that is there stays, whoever made it and when. */
static VmafxErr write_file(const char *folder, const char *path, const char *text, mode_t mode, bool replace,
                           VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_free_p) char *beside = vmafx_sprintf("%s.XXXXXX", path);
    VmafxErr err = VMAFX_OK;

    if (!beside)
        return no_memory(reterr);
    int fd = mkostemp(beside, O_CLOEXEC); /* 0600 from the start */
    if (fd < 0)
        return io_error(reterr, path);
    if (fchmod(fd, mode) || !write_all(fd, text))
        err = io_error(reterr, path);
    if (close(fd) && !err)
        err = io_error(reterr, path);
    if (!err && replace && rename(beside, path))
        err = io_error(reterr, path);
    if (!err && !replace && link(beside, path))
        err = errno == EEXIST ? conflict(reterr, path) : io_error(reterr, path);
    if (err || !replace)
        unlink(beside);
    sync_folder(folder);
    return err;
}

static VmafxErr write_cert(const VmafxCertsOptions *options, const Pair *pair, X509 *cert, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_free_p) char *text = NULL;
    VmafxErr err = x509_format(cert, &text, reterr);

    return err ? err : write_file(options->folder, pair->cert, text, 0644, options->force || options->renew, reterr);
}

static VmafxErr write_key(const VmafxCertsOptions *options, const Pair *pair, EVP_PKEY *key, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(x509_key_text_free) char *text = NULL;
    VmafxErr err = x509_key_format(key, &text, reterr);

    return err ? err : write_file(options->folder, pair->key, text, 0600, options->force, reterr);
}

static void describe(X509 *cert, const char *path, VmafxCertInfo *ret)
{
    *ret = (VmafxCertInfo){ 0 };
    if (strlen(path) < sizeof ret->path)
        strcpy(ret->path, path);
    x509_describe(cert, ret);
}

/* ---- one pair ---- */

static VmafxErr check_options(const VmafxCertsOptions *options, VmafxErrInfo *reterr)
{
    if (!options->folder || !*options->folder)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "there is no folder for certificates: name one with --directory");
    if (options->days < 0 || options->days > VMAFX_CERTS_DAYS_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "a certificate is valid for 1 to %d days, not %d",
                          VMAFX_CERTS_DAYS_MAX, options->days);
    if (options->force && options->renew)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "--force makes a new key and --renew keeps it: say one of them");
    return VMAFX_OK;
}

/* The key to certify: a new one, or when renewing the one that is there, with the certificate it had. */
static VmafxErr choose_key(const VmafxCertsOptions *options, const Pair *pair, X509 **ret_old, EVP_PKEY **ret_key,
                           VmafxErrInfo *reterr)
{
    if (options->renew)
        return read_pair(pair, ret_old, ret_key, reterr);
    if (!options->force && !access(pair->cert, F_OK))
        return conflict(reterr, pair->cert);
    if (!options->force && !access(pair->key, F_OK))
        return conflict(reterr, pair->key);
    return x509_key_new(ret_key, reterr);
}

/* Makes the certificate and brings key and certificate to disk, the key first: alone it does nothing. */
static VmafxErr finish(const VmafxCertsOptions *options, const Pair *pair, const X509Order *order, VmafxCertInfo *ret,
                       VmafxErrInfo *reterr)
{
    VMAFX_AUTO(x509_free_p) X509 *cert = NULL;
    VmafxErr err = x509_new(order, &cert, reterr);

    if (!err && !options->renew)
        err = write_key(options, pair, order->key, reterr);
    if (!err) {
        err = write_cert(options, pair, cert, reterr);
        if (err && !options->renew && !options->force)
            unlink(pair->key); /* ours: it was not there before */
    }
    if (!err)
        describe(cert, pair->cert, ret);
    return err;
}

/* ---- the authority ---- */

VmafxErr vmafx_certs_init(const VmafxCertsOptions *options, VmafxCertInfo *ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(pair_done) Pair pair = { 0 };
    VMAFX_AUTO(x509_free_p) X509 *old = NULL;
    VMAFX_AUTO(x509_key_free_p) EVP_PKEY *key = NULL;
    unsigned char random[4];
    char name[sizeof ret->subject];
    VmafxErr err = check_options(options, reterr);

    if (!err)
        err = pair_init(&pair, options->folder, "ca", NULL, reterr);
    if (!err && !options->renew)
        err = make_folder(options->folder, reterr);
    if (!err)
        err = choose_key(options, &pair, &old, &key, reterr);
    if (err)
        return err;
    if (RAND_bytes(random, sizeof random) != 1)
        return vmafx_fail(reterr, VMAFX_ERR_INTERNAL, "libcrypto has no random numbers");
    /* a number in the name: two authorities are told apart by people and by libraries */
    snprintf(name, sizeof name, "VMAFX CA %02x%02x%02x%02x", random[0], random[1], random[2], random[3]);
    if (old) { /* the same name, so that what it signed stays valid */
        VmafxCertInfo info;

        describe(old, "", &info);
        snprintf(name, sizeof name, "%s", info.subject);
    }
    int days = options->days ? options->days : VMAFX_CERTS_CA_DAYS;
    X509Order order = { .common_name = name,
                        .authority = true,
                        .from_s = options->now_s - EARLY_S,
                        .to_s = options->now_s + (int64_t)days * DAY_S,
                        .key = key,
                        .issuer_key = key };
    return finish(options, &pair, &order, ret, reterr);
}

typedef struct Authority {
    X509 *cert;
    EVP_PKEY *key;
    VmafxCertInfo info;
} Authority;

static void authority_done(Authority *authority)
{
    x509_free_p(&authority->cert);
    x509_key_free_p(&authority->key);
}

static VmafxErr authority_read(const VmafxCertsOptions *options, Authority *ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(pair_done) Pair pair = { 0 };
    VmafxErr err = pair_init(&pair, options->folder, "ca", NULL, reterr);

    if (!err && access(pair.cert, F_OK))
        err = vmafx_fail(reterr, VMAFX_ERR_NOT_FOUND, "there is no authority in '%s': make it with `vmafx certs init`",
                         options->folder);
    if (!err)
        err = read_pair(&pair, &ret->cert, &ret->key, reterr);
    if (err)
        return err;
    describe(ret->cert, pair.cert, &ret->info);
    if (!ret->info.authority)
        return vmafx_fail(reterr, VMAFX_ERR_STATE, "'%s' is not the certificate of an authority", pair.cert);
    if (ret->info.not_after_s <= options->now_s)
        return vmafx_fail(reterr, VMAFX_ERR_STATE, "the authority '%s' has expired: `vmafx certs init --renew`",
                          pair.cert);
    return VMAFX_OK;
}

/* ---- certificates ---- */

static bool is_host_name(const char *host)
{
    size_t len = strnlen(host, HOST_MAX + 1);

    if (!len || len > HOST_MAX)
        return false;
    if (!strncmp(host, "*.", 2))
        host += 2;
    for (const char *label = host;; label++) {
        size_t n = strspn(label, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-");

        if (!n || n > 63 || *label == '-' || label[n - 1] == '-' || (label[n] && label[n] != '.'))
            return false;
        label += n;
        if (!*label)
            return true;
    }
}

/* "DNS:a,IP:127.0.0.1"; each is checked, so none can bring a comma of its own. */
static VmafxErr server_names(const VmafxCertRequest *request, char **ret, VmafxErrInfo *reterr)
{
    char text[VMAFX_CERTS_NAMES_MAX];
    size_t at = 0;

    if (!request->n_hosts || request->n_hosts > VMAFX_CERTS_HOSTS_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                          "a server's certificate needs the names it is reached by: --host HOST, 1 to %d times",
                          VMAFX_CERTS_HOSTS_MAX);
    for (size_t i = 0; i < request->n_hosts; i++) {
        const char *host = request->hosts[i];
        unsigned char bytes[16];
        bool ip = inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;

        if (!ip && !is_host_name(host))
            return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                              "'%.100s' is neither a host name nor an address (no port, no scheme)", host);
        int n = snprintf(text + at, sizeof text - at, "%s%s:%s", at ? "," : "", ip ? "IP" : "DNS", host);
        if ((size_t)n >= sizeof text - at)
            return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "the names of the server are longer than %d bytes together",
                              VMAFX_CERTS_NAMES_MAX);
        at += (size_t)n;
    }
    *ret = vmafx_strdup(text);
    return *ret ? VMAFX_OK : no_memory(reterr);
}

static VmafxErr check_request(const VmafxCertsOptions *options, const VmafxCertRequest *request, VmafxErrInfo *reterr)
{
    if (!request->name || !vmafx_auth_name_valid(request->name))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                          "'%.100s' cannot be a name: 1 to %d of a-z A-Z 0-9 . _ -, first a letter or digit",
                          request->name ? request->name : "", VMAFX_AUTH_NAME_MAX);
    if (request->kind == VMAFX_CERT_CLIENT && !options->renew &&
        (request->role < VMAFX_ROLE_READER || request->role > VMAFX_ROLE_ADMIN))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "a client is a reader, a writer or an admin: say --role ROLE");
    return VMAFX_OK;
}

/* What the certificate is to say; when renewing, what the old one said, unless the request says otherwise. */
static VmafxErr choose_names(const VmafxCertRequest *request, X509 *old, char **ret, VmafxErrInfo *reterr)
{
    bool said = request->kind == VMAFX_CERT_SERVER   ? request->n_hosts > 0
                : request->kind == VMAFX_CERT_CLIENT ? request->role != VMAFX_ROLE_ANYONE
                                                     : true;

    if (old && !said) {
        *ret = x509_names(old);
        return *ret ? VMAFX_OK
                    : vmafx_fail(reterr, VMAFX_ERR_STATE, "the certificate to renew has no names; use --force");
    }
    if (request->kind == VMAFX_CERT_SERVER)
        return server_names(request, ret, reterr);
    VmafxRole role = request->kind == VMAFX_CERT_NODE ? VMAFX_ROLE_NODE : request->role;
    *ret = vmafx_sprintf("URI:vmafx://%s/%s", vmafx_role_name(role), request->name);
    return *ret ? VMAFX_OK : no_memory(reterr);
}

VmafxErr vmafx_certs_issue(const VmafxCertsOptions *options, const VmafxCertRequest *request, VmafxCertInfo *ret,
                           VmafxErrInfo *reterr)
{
    static const char *const kinds[] = { "node", "client", "server" };
    VMAFX_AUTO(authority_done) Authority authority = { 0 };
    VMAFX_AUTO(pair_done) Pair pair = { 0 };
    VMAFX_AUTO(x509_free_p) X509 *old = NULL;
    VMAFX_AUTO(x509_key_free_p) EVP_PKEY *key = NULL;
    VMAFX_AUTO(vmafx_free_p) char *names = NULL;
    VmafxErr err = check_options(options, reterr);

    if (!err)
        err = check_request(options, request, reterr);
    if (!err)
        err = authority_read(options, &authority, reterr);
    if (!err)
        err = pair_init(&pair, options->folder, kinds[request->kind], request->name, reterr);
    if (!err)
        err = choose_key(options, &pair, &old, &key, reterr);
    if (!err)
        err = choose_names(request, old, &names, reterr);
    if (err)
        return err;

    int64_t end_s = options->now_s + (int64_t)(options->days ? options->days : VMAFX_CERTS_DAYS) * DAY_S;
    X509Order order = { .common_name = request->name,
                        .names = names,
                        .server = request->kind == VMAFX_CERT_SERVER,
                        .from_s = options->now_s - EARLY_S,
                        .to_s = VMAFX_MIN(end_s, authority.info.not_after_s),
                        .key = key,
                        .issuer = authority.cert,
                        .issuer_key = authority.key };
    return finish(options, &pair, &order, ret, reterr);
}

VmafxErr vmafx_certs_describe(const char *path, VmafxCertInfo *ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(x509_free_p) X509 *cert = NULL;
    VmafxErr err = read_cert(path, &cert, reterr);

    if (!err)
        describe(cert, path, ret);
    return err;
}

VmafxErr vmafx_certs_describe_pair(const char *path, const char *key_path, VmafxCertInfo *ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(x509_free_p) X509 *cert = NULL;
    VMAFX_AUTO(x509_key_free_p) EVP_PKEY *key = NULL;
    VMAFX_AUTO(x509_key_text_free) char *text = NULL;
    size_t len;
    VmafxErr err = read_cert(path, &cert, reterr);

    if (!err) /* by whoever may read it: programs are not this folder's owner */
        err = vmafx_read_file(key_path, VMAFX_CERTS_FILE_MAX, &text, &len, reterr);
    if (!err)
        err = x509_key_parse(text, len, key_path, &key, reterr);
    if (!err && X509_check_private_key(cert, key) != 1)
        err = vmafx_fail(reterr, VMAFX_ERR_STATE, "'%s' and '%s' do not belong together", path, key_path);
    if (!err)
        describe(cert, path, ret);
    return err;
}
