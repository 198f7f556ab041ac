/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Files of tokens: a table that follows one, and changing one. */

#include "auth/tokens.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "base/atomic_file.h"
#include "base/base.h"

#define FRESH_S 2 /* a file that young may change again without its times changing */

VmafxErr vmafx_tokens_read(const char *path, VmafxTokenTable **ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_free_p) char *text = NULL;
    struct stat st;
    size_t len;

    if (!stat(path, &st) && !S_ISREG(st.st_mode)) /* a pipe would be waited for */
        return vmafx_fail(reterr, VMAFX_ERR_IO, "'%s' is not a file", path);
    VmafxErr err = vmafx_read_file(path, VMAFX_TOKENS_FILE_MAX, &text, &len, reterr);
    return err ? err : vmafx_token_table_parse(text, len, path, ret, reterr);
}

bool vmafx_tokens_file_is_open_to_others(const char *path)
{
    struct stat st;

    return !stat(path, &st) && st.st_mode & (S_IWGRP | S_IWOTH | S_IROTH);
}

/* ---- a table that follows its file ---- */

/* What tells that a file is another one than before. All zero where there is none. */
typedef struct Stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified, changed;
} Stamp;

struct VmafxTokens {
    char *path; /* set once, as the next */
    void (*changed)(void *ctx, VmafxErr err, size_t n, const VmafxErrInfo *info);
    void *ctx;

    /* the looking thread's */
    pthread_t thread;
    Stamp stamp;
    bool fresh;                       /* it was read so soon after its change that the stamp may hide the next one */
    uint8_t seen[VMAFX_SHA256_BYTES]; /* what was told of last: the file's text, or why there is none */

    pthread_mutex_t lock; /* covers everything below */
    pthread_cond_t wake;
    bool stopping;
    VmafxTokenTable *table;
};

static Stamp stamp_of(const char *path)
{
    Stamp stamp;
    struct stat st;

    memset(&stamp, 0, sizeof stamp); /* padding too: stamps are compared as memory */
    if (!stat(path, &st)) {
        stamp.device = st.st_dev;
        stamp.inode = st.st_ino;
        stamp.size = st.st_size;
        stamp.modified = st.st_mtim;
        stamp.changed = st.st_ctim;
    }
    return stamp;
}

static bool is_fresh(const Stamp *stamp)
{
    int64_t age_s = (int64_t)time(NULL) - (int64_t)stamp->modified.tv_sec;

    return age_s > -FRESH_S && age_s <= FRESH_S;
}

static VmafxErr read_text(const char *path, char **ret_text, size_t *ret_len, VmafxErrInfo *reterr)
{
    struct stat st;

    if (!stat(path, &st) && !S_ISREG(st.st_mode))
        return vmafx_fail(reterr, VMAFX_ERR_IO, "'%s' is not a file", path);
    return vmafx_read_file(path, VMAFX_TOKENS_FILE_MAX, ret_text, ret_len, reterr);
}

/* Reads the file if it may have changed; *ret_news: it says something else than at the last look. */
static VmafxErr look(VmafxTokens *tokens, bool *ret_news, size_t *ret_n, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_token_table_free) VmafxTokenTable *table = NULL;
    VMAFX_AUTO(vmafx_free_p) char *text = NULL;
    Stamp stamp = stamp_of(tokens->path); /* before reading: what changes meanwhile has another one */
    uint8_t digest[VMAFX_SHA256_BYTES];
    size_t len;

    *ret_news = false;
    if (!memcmp(&stamp, &tokens->stamp, sizeof stamp) && !tokens->fresh)
        return VMAFX_OK;
    tokens->stamp = stamp;
    tokens->fresh = is_fresh(&stamp);
    VmafxErr err = read_text(tokens->path, &text, &len, reterr);
    if (err == VMAFX_ERR_NOMEM) { /* says nothing of the file: look again */
        tokens->fresh = true;
        return VMAFX_OK;
    }
    if (err)
        vmafx_sha256(reterr->message, strlen(reterr->message), digest);
    else
        vmafx_sha256(text, len, digest);
    if (!memcmp(digest, tokens->seen, sizeof digest))
        return VMAFX_OK;
    if (!err)
        err = vmafx_token_table_parse(text, len, tokens->path, &table, reterr);
    if (err == VMAFX_ERR_NOMEM) {
        tokens->fresh = true;
        return VMAFX_OK;
    }
    memcpy(tokens->seen, digest, sizeof digest);
    *ret_news = true;
    if (err)
        return err;
    *ret_n = vmafx_token_table_count(table);
    pthread_mutex_lock(&tokens->lock);
    VmafxTokenTable *old = tokens->table;
    tokens->table = VMAFX_TAKE(table);
    pthread_mutex_unlock(&tokens->lock);
    vmafx_token_table_free(&old);
    return VMAFX_OK;
}

/* Until the next look; false: it is over. */
static bool wait_for_turn(VmafxTokens *tokens)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)VMAFX_TOKENS_LOOK_EVERY_MS * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&tokens->lock);
    while (!tokens->stopping && pthread_cond_timedwait(&tokens->wake, &tokens->lock, &until) != ETIMEDOUT)
        ;
    bool go_on = !tokens->stopping;
    pthread_mutex_unlock(&tokens->lock);
    return go_on;
}

static void *follow(void *arg)
{
    VmafxTokens *tokens = arg;

    while (wait_for_turn(tokens)) {
        VmafxErrInfo info = { 0 };
        size_t n = 0;
        bool news;
        VmafxErr err = look(tokens, &news, &n, &info);

        if (news && tokens->changed)
            tokens->changed(tokens->ctx, err, n, &info);
    }
    return NULL;
}

static void cond_init_monotonic(pthread_cond_t *cond)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

static void tokens_free(VmafxTokens **tokens)
{
    if (!*tokens)
        return;
    pthread_cond_destroy(&(*tokens)->wake);
    pthread_mutex_destroy(&(*tokens)->lock);
    vmafx_token_table_free(&(*tokens)->table);
    free((*tokens)->path);
    free(VMAFX_TAKE(*tokens));
}

VmafxErr vmafx_tokens_open(const VmafxTokensConfig *config, VmafxTokens **ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(tokens_free) VmafxTokens *tokens = calloc(1, sizeof *tokens);
    VmafxErrInfo info = { 0 };
    size_t n;
    bool news;

    if (!tokens)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for tokens");
    pthread_mutex_init(&tokens->lock, NULL);
    cond_init_monotonic(&tokens->wake);
    tokens->path = vmafx_strdup(config->path);
    tokens->changed = config->changed;
    tokens->ctx = config->ctx;
    tokens->fresh = true; /* the first look is at any file, also at none */
    VmafxErr err = tokens->path ? look(tokens, &news, &n, &info) : VMAFX_ERR_NOMEM;
    if (err == VMAFX_ERR_NOT_FOUND)
        return vmafx_fail(reterr, err,
                          "there is no file of tokens '%s'; `vmafx tokens new NAME --role ROLE --file %s` makes it",
                          config->path, config->path);
    if (err)
        return vmafx_fail(reterr, err, "%s", info.message);
    if (!tokens->table || pthread_create(&tokens->thread, NULL, follow, tokens))
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory, or no thread, for tokens");
    *ret = VMAFX_TAKE(tokens);
    return VMAFX_OK;
}

void vmafx_tokens_close(VmafxTokens **at)
{
    VmafxTokens *tokens = VMAFX_TAKE(*at);

    if (!tokens)
        return;
    pthread_mutex_lock(&tokens->lock);
    tokens->stopping = true;
    pthread_cond_signal(&tokens->wake);
    pthread_mutex_unlock(&tokens->lock);
    pthread_join(tokens->thread, NULL);
    tokens_free(&tokens);
}

VmafxErr vmafx_tokens_identify(const VmafxTokens *tokens, const char *authorization, int64_t now_s, VmafxIdentity *ret,
                               VmafxErrInfo *reterr)
{
    pthread_mutex_t *lock = &((VmafxTokens *)tokens)->lock; /* asking changes nothing that is seen */

    pthread_mutex_lock(lock);
    VmafxErr err = vmafx_token_table_identify(tokens->table, authorization, now_s, ret, reterr);
    pthread_mutex_unlock(lock);
    return err;
}

/* ---- changing a file ---- */

static void close_p(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static VmafxErr io_error(VmafxErr err, const char *what, const char *path, VmafxErrInfo *reterr)
{
    return vmafx_fail(reterr, err, "cannot %s '%s': %s", what, path, strerror(errno));
}

/* Opens and locks the file that is at the path once it is locked: another may have taken its place meanwhile. */
static VmafxErr lock_file(const char *path, bool create, int *ret_fd, VmafxErrInfo *reterr)
{
    for (;;) {
        VMAFX_AUTO(close_p) int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | (create ? O_CREAT : 0), 0600);
        struct stat mine, there;
        int failed;

        if (fd < 0)
            return io_error(errno == ENOENT && !create ? VMAFX_ERR_NOT_FOUND : VMAFX_ERR_IO, "open", path, reterr);
        while ((failed = flock(fd, LOCK_EX)) && errno == EINTR)
            ;
        if (failed || fstat(fd, &mine))
            return io_error(VMAFX_ERR_IO, "lock", path, reterr);
        if (!stat(path, &there) && there.st_ino == mine.st_ino && there.st_dev == mine.st_dev) {
            *ret_fd = fd;
            fd = -1;
            return VMAFX_OK;
        }
    }
}

/* The text takes the place of the file's, whose owner and permissions stay. */
static VmafxErr replace(const char *path, int fd, const char *text, size_t len, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_atomic_file_abort) VmafxAtomicFile *file = NULL;
    VMAFX_AUTO(vmafx_token_table_free) VmafxTokenTable *table = NULL;
    struct stat st;
    VmafxErr err = vmafx_token_table_parse(text, len, path, &table, reterr); /* nothing that nobody could read */

    if (!err)
        err = vmafx_atomic_file_open(path, &file, reterr);
    if (err)
        return err;
    FILE *out = vmafx_atomic_file_stream(file);
    if (!fstat(fd, &st))
        VMAFX_IGNORE(fchown(fileno(out), st.st_uid, st.st_gid)); /* only root can, and only root needs to */
    fwrite(text, 1, len, out);                                   /* commit tells of errors */
    return vmafx_atomic_file_commit(&file, reterr);
}

static VmafxErr make_secret(VmafxTokenNew *token, VmafxErrInfo *reterr)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned char bytes[33] = { 0 }; /* the last stays zero: 43 letters are 258 bits */
    char *out = token->text + snprintf(token->text, sizeof token->text, "%s", VMAFX_TOKEN_BEGIN);

    if (RAND_bytes(bytes, 32) != 1)
        return vmafx_fail(reterr, VMAFX_ERR_INTERNAL, "libcrypto has no random numbers");
    for (size_t i = 0; i < sizeof bytes; i += 3) {
        unsigned three = (unsigned)bytes[i] << 16 | (unsigned)bytes[i + 1] << 8 | bytes[i + 2];

        for (int shift = 18; shift >= 0; shift -= 6)
            if (out < token->text + VMAFX_TOKEN_LEN)
                *out++ = letters[three >> shift & 63];
    }
    *out = 0;
    OPENSSL_cleanse(bytes, sizeof bytes);
    vmafx_sha256(token->text, VMAFX_TOKEN_LEN, token->token.hash);
    return VMAFX_OK;
}

void vmafx_token_new_wipe(VmafxTokenNew *token)
{
    OPENSSL_cleanse(token->text, sizeof token->text);
}

static void put_line(FILE *out, const VmafxToken *token)
{
    fputs("sha256:", out);
    for (size_t i = 0; i < sizeof token->hash; i++)
        fprintf(out, "%02x", token->hash[i]);
    fprintf(out, " %s %s", vmafx_role_name(token->identity.role), token->identity.name);
    if (*token->identity.tenant)
        fprintf(out, " tenant=%s", token->identity.tenant);
    if (token->expires_s != INT64_MAX) {
        char when[VMAFX_TOKEN_TIME_TEXT];

        vmafx_token_time_format(token->expires_s, when);
        fprintf(out, " expires=%s", when);
    }
    fputc('\n', out);
}

static VmafxErr check_identity(const VmafxIdentity *identity, VmafxErrInfo *reterr)
{
    static const char what[] = "'%.100s' cannot be a %s: it is 1 to %d of a-z A-Z 0-9 . _ -, first a letter or digit";

    if (!vmafx_auth_name_valid(identity->name))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, what, identity->name, "name", VMAFX_AUTH_NAME_MAX);
    if (*identity->tenant && !vmafx_auth_name_valid(identity->tenant))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, what, identity->tenant, "tenant", VMAFX_AUTH_NAME_MAX);
    if (identity->role < VMAFX_ROLE_READER || identity->role > VMAFX_ROLE_ADMIN)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                          "a token has the role reader, writer or admin; nodes have "
                          "certificates, by `vmafx certs node NAME`");
    return VMAFX_OK;
}

/* A name is one person's or program's: it cannot be two things at a time. */
static VmafxErr check_name(const char *path, const VmafxTokenTable *table, const VmafxIdentity *identity,
                           VmafxErrInfo *reterr)
{
    const VmafxToken *token;

    for (size_t i = 0; (token = vmafx_token_table_at(table, i)); i++)
        if (!strcmp(token->identity.name, identity->name) &&
            (token->identity.role != identity->role || strcmp(token->identity.tenant, identity->tenant) != 0))
            return vmafx_fail(reterr, VMAFX_ERR_CONFLICT,
                              "'%s', line %d: '%s' is %s%s%s there; take another name, or `vmafx tokens revoke %s` "
                              "first",
                              path, token->line, identity->name, vmafx_role_name(token->identity.role),
                              *token->identity.tenant ? " of tenant " : "", token->identity.tenant, identity->name);
    return VMAFX_OK;
}

VmafxErr vmafx_tokens_add(const char *path, const VmafxIdentity *identity, int64_t expires_s, VmafxTokenNew *ret,
                          VmafxErrInfo *reterr)
{
    VMAFX_AUTO(close_p) int fd = -1;
    VMAFX_AUTO(vmafx_free_p) char *text = NULL, *longer = NULL;
    VMAFX_AUTO(vmafx_token_table_free) VmafxTokenTable *table = NULL;
    VmafxTokenNew made = { .token = { .identity = *identity, .expires_s = expires_s } };
    size_t len, longer_len;
    VmafxErr err = check_identity(identity, reterr);

    if (!err)
        err = lock_file(path, true, &fd, reterr);
    if (!err)
        err = read_text(path, &text, &len, reterr);
    if (!err)
        err = vmafx_token_table_parse(text, len, path, &table, reterr);
    if (!err)
        err = check_name(path, table, identity, reterr);
    if (!err)
        err = make_secret(&made, reterr);
    if (err)
        return err;

    FILE *out = open_memstream(&longer, &longer_len);
    if (!out)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for '%s'", path);
    if (!len)
        fputs("# Hashes of tokens: sha256:… ROLE NAME [tenant=T] [expires=TIME]. `vmafx tokens` adds and takes away.\n",
              out);
    fwrite(text, 1, len, out);
    if (len && text[len - 1] != '\n')
        fputc('\n', out);
    put_line(out, &made.token);
    err = ferror(out) + fclose(out) ? vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for '%s'", path)
                                    : replace(path, fd, longer, longer_len, reterr);
    if (!err)
        *ret = made;
    vmafx_token_new_wipe(&made);
    return err;
}

static bool hash_begins(const VmafxToken *token, const char *id)
{
    char hex[2 * VMAFX_SHA256_BYTES + 1];
    size_t len = strlen(id);

    for (size_t i = 0; i < sizeof token->hash; i++)
        snprintf(hex + 2 * i, 3, "%02x", token->hash[i]);
    return len >= VMAFX_TOKENS_ID_LEN && !strncasecmp(hex, id, len);
}

/* The lines to take out, as a set by line number; *ret_n of them. Names come first, then ids. */
static void choose(const VmafxTokenTable *table, const char *name_or_id, bool *gone, size_t *ret_n)
{
    const VmafxToken *token;

    *ret_n = 0;
    for (int by_id = 0; by_id < 2 && !*ret_n; by_id++)
        for (size_t i = 0; (token = vmafx_token_table_at(table, i)); i++)
            if (by_id ? hash_begins(token, name_or_id) : !strcmp(token->identity.name, name_or_id)) {
                gone[token->line] = true;
                ++*ret_n;
            }
}

/* Moves the lines that stay together; the length of what is left. */
static size_t drop_lines(char *text, size_t len, const bool *gone)
{
    size_t kept = 0;
    int line = 0;

    for (size_t at = 0; at < len;) {
        const char *end = memchr(text + at, '\n', len - at);
        size_t n = end ? (size_t)(end - (text + at)) + 1 : len - at;

        if (!gone[++line]) {
            memmove(text + kept, text + at, n);
            kept += n;
        }
        at += n;
    }
    return kept;
}

VmafxErr vmafx_tokens_remove(const char *path, const char *name_or_id, size_t *ret_n, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(close_p) int fd = -1;
    VMAFX_AUTO(vmafx_free_p) char *text = NULL;
    VMAFX_AUTO(vmafx_free_p) bool *gone = calloc(VMAFX_TOKENS_LINES_MAX + 1, sizeof *gone);
    VMAFX_AUTO(vmafx_token_table_free) VmafxTokenTable *table = NULL;
    size_t len, n;
    VmafxErr err = gone ? lock_file(path, false, &fd, reterr) : VMAFX_ERR_NOMEM;

    if (!err)
        err = read_text(path, &text, &len, reterr);
    if (!err)
        err = vmafx_token_table_parse(text, len, path, &table, reterr);
    if (err)
        return err;
    choose(table, name_or_id, gone, &n);
    if (!n)
        return vmafx_fail(reterr, VMAFX_ERR_NOT_FOUND,
                          "there is no token of '%.100s' in '%s'; `vmafx tokens list` "
                          "shows names and ids",
                          name_or_id, path);
    err = replace(path, fd, text, drop_lines(text, len, gone), reterr);
    if (!err)
        *ret_n = n;
    return err;
}
