/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Bearer tokens (RFC 6750) for HTTP: who has one is who it was made for. A token is
 *
 *     vmafx_ and 43 letters of base64url (RFC 4648), which are 32 random bytes
 *
 * Servers have a file of hashes only; who reads it can call nothing. Its lines:
 *
 *     # a comment, also at the end of a line
 *     sha256:64-HEXADECIMAL-DIGITS ROLE NAME [tenant=TENANT] [expires=2027-01-31T12:00:00Z]
 *
 * The hash is of the token's text, so `printf %s TOKEN | sha256sum` makes one too. ROLE is reader, writer or admin:
 * nodes speak gRPC, with certificates. A NAME may have several lines, as while its token is being replaced by the next.
 *
 * Why a bare hash, without salt and hundreds of thousands of rounds: those protect what people can remember. There is
 * nothing to guess in 256 random bits, which is why nothing else is taken for a token. And why the look-up need not
 * take constant time: it compares hashes, never secrets. Its time may tell how far the hash of a guess agrees with one
 * of the file; to come nearer, the guess would have to be chosen by its hash, which is what SHA-256 is made against.
 *
 * Tables are pure: text goes in, a decision comes out, time too is an argument. A VmafxTokens is a table that follows
 * its file.
 */
#ifndef VMAFX_AUTH_TOKENS_H
#define VMAFX_AUTH_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/auth.h"
#include "base/digest.h"

#define VMAFX_TOKEN_BEGIN "vmafx_"

enum {
    VMAFX_TOKEN_LEN = 6 + 43,
    VMAFX_TOKENS_FILE_MAX = 1 << 20,  /* bytes of a file */
    VMAFX_TOKENS_LINES_MAX = 10000,   /* of a file, comments too */
    VMAFX_TOKENS_LINE_MAX = 512,      /* bytes of a line */
    VMAFX_TOKENS_HEADER_MAX = 256,    /* bytes of an Authorization header; longer ones are no token of ours */
    VMAFX_TOKENS_DAYS = 365,          /* how long a new one is valid */
    VMAFX_TOKENS_DAYS_MAX = 3650,     /* at most */
    VMAFX_TOKENS_ID_LEN = 12,         /* digits of a hash that stand for it where people read */
    VMAFX_TOKENS_LOOK_EVERY_MS = 500, /* how often a VmafxTokens looks at its file */
};

/** One line. */
typedef struct VmafxToken {
    uint8_t hash[VMAFX_SHA256_BYTES];
    VmafxIdentity identity;
    int64_t expires_s; /* Unix time from which on it is not valid; INT64_MAX: never */
    int line;          /* from 1 */
} VmafxToken;

/* ---- tables ---- */

typedef struct VmafxTokenTable VmafxTokenTable; /* read-only once made */

/**
 * Reads the text of a file; subject names it in messages.
 * @return VMAFX_ERR_SYNTAX or VMAFX_ERR_LIMIT naming the line and what is wrong in it; VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr vmafx_token_table_parse(const char *text, size_t len, const char *subject, VmafxTokenTable **ret,
                                             VmafxErrInfo *reterr);
void vmafx_token_table_free(VmafxTokenTable **table);
size_t vmafx_token_table_count(const VmafxTokenTable *table);
/** In the order of the file; NULL beyond the last. Lives as long as the table. */
const VmafxToken *vmafx_token_table_at(const VmafxTokenTable *table, size_t i);

/**
 * The secret in "Bearer SECRET"; the scheme without regard to case.
 * @param ret_secret  VMAFX_TOKEN_LEN bytes in the header, not terminated
 * @return VMAFX_ERR_UNAUTHENTICATED with a sentence that does not repeat the header
 */
VMAFX_CHECK VmafxErr vmafx_token_of_header(const char *authorization, const char **ret_secret, VmafxErrInfo *reterr);

/**
 * Who the header says it is.
 * @param now_s  Unix time; 0: nobody knows, so that no token that ends is valid
 * @return VMAFX_ERR_UNAUTHENTICATED: not a token, not one of the table, or expired
 */
VMAFX_CHECK VmafxErr vmafx_token_table_identify(const VmafxTokenTable *table, const char *authorization, int64_t now_s,
                                                VmafxIdentity *ret, VmafxErrInfo *reterr);

/** Unix time of an RFC 3339 date-time, parts of a second left out. VMAFX_ERR_SYNTAX */
VMAFX_CHECK VmafxErr vmafx_token_time_parse(const char *text, int64_t *ret_s);
/** "2027-01-31T12:00:00Z" */
#define VMAFX_TOKEN_TIME_TEXT 32
void vmafx_token_time_format(int64_t unix_s, char ret[VMAFX_TOKEN_TIME_TEXT]);

/* ---- a table that follows its file ---- */

typedef struct VmafxTokens VmafxTokens;

typedef struct VmafxTokensConfig {
    const char *path; /* copied */
    /**
     * Told of every change of the file, once: err is VMAFX_OK and n the number of tokens, or the file cannot be used,
     * info says why, and the tokens from before stay. On the thread that looks at the file; may be NULL.
     */
    void (*changed)(void *ctx, VmafxErr err, size_t n, const VmafxErrInfo *info);
    void *ctx;
} VmafxTokensConfig;

/**
 * Reads the file and starts the thread that looks at it: twice a second, by what stat says of it, so also where
 * inotify is silent, as on network file systems and under Kubernetes' volumes of symbolic links. A line that is taken
 * out is a token that is refused within a second. A file that is gone is a broken one: to revoke all, empty it.
 * @return as the table; VMAFX_ERR_NOT_FOUND, VMAFX_ERR_IO
 */
VMAFX_CHECK VmafxErr vmafx_tokens_open(const VmafxTokensConfig *config, VmafxTokens **ret, VmafxErrInfo *reterr);
/** After the last that might ask. */
void vmafx_tokens_close(VmafxTokens **tokens);
/** As the table. Any thread; it waits for nothing but a pointer's change: the file is read without the lock. */
VMAFX_CHECK VmafxErr vmafx_tokens_identify(const VmafxTokens *tokens, const char *authorization, int64_t now_s,
                                           VmafxIdentity *ret, VmafxErrInfo *reterr);
/** True: others could write themselves a token (or read who there are, which is worth a word too). */
bool vmafx_tokens_file_is_open_to_others(const char *path);

/* ---- changing a file ---- */

/** A token that nobody has yet: how it reads, and its line. */
typedef struct VmafxTokenNew {
    char text[VMAFX_TOKEN_LEN + 1]; /* the secret: to be shown once, and wiped */
    VmafxToken token;
} VmafxTokenNew;

/**
 * Makes a token and adds its line to the file, which is made with mode 0600 when it is not there. The whole file is
 * replaced in one step, under a lock that other calls here wait for.
 * @param expires_s  INT64_MAX: never
 * @return VMAFX_ERR_INVALID a name, tenant or role that cannot be; VMAFX_ERR_CONFLICT the name has another role or
 * tenant in the file; VMAFX_ERR_LIMIT the file is full; the table's errors for what is in the file; VMAFX_ERR_IO,
 * VMAFX_ERR_INTERNAL (no random numbers), VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr vmafx_tokens_add(const char *path, const VmafxIdentity *identity, int64_t expires_s,
                                      VmafxTokenNew *ret, VmafxErrInfo *reterr);
void vmafx_token_new_wipe(VmafxTokenNew *token);

/**
 * Takes out every line of that name, or the one whose hash begins with that id (12 digits or more).
 * @return VMAFX_ERR_NOT_FOUND no such file, or no such line; else as vmafx_tokens_add
 */
VMAFX_CHECK VmafxErr vmafx_tokens_remove(const char *path, const char *name_or_id, size_t *ret_n, VmafxErrInfo *reterr);

/** A table of what is in a file. As vmafx_token_table_parse; VMAFX_ERR_NOT_FOUND, VMAFX_ERR_IO */
VMAFX_CHECK VmafxErr vmafx_tokens_read(const char *path, VmafxTokenTable **ret, VmafxErrInfo *reterr);
#endif
