/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Tables of tokens: reading their lines, and whose a header is. No files. */

#include "auth/tokens.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/base.h"

#define HASH_BEGIN "sha256:"
#define HEX_LEN    (2 * VMAFX_SHA256_BYTES)
#define BLANKS     " \t\r"
#define WORD_SHOWN 40 /* bytes of a wrong word in a message */

struct VmafxTokenTable {
    VmafxToken *tokens; /* in the order of the file */
    const VmafxToken **by_hash;
    size_t n, room;
};

/* ---- time ---- */

/* Exactly n digits at *at, which moves on; -1: not so. */
static int number(const char **at, int n)
{
    int value = 0;

    for (int i = 0; i < n; i++) {
        if ((*at)[i] < '0' || (*at)[i] > '9')
            return -1;
        value = 10 * value + ((*at)[i] - '0');
    }
    *at += n;
    return value;
}

static bool skip(const char **at, const char *letters)
{
    if (!**at || !strchr(letters, **at))
        return false;
    ++*at;
    return true;
}

static int days_of_month(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

/* "Z", or "+01:00" in seconds; false: neither. */
static bool read_offset(const char **at, int *ret_s)
{
    int sign = **at == '-' ? -1 : 1, hours, minutes;

    *ret_s = 0;
    if (skip(at, "Zz"))
        return true;
    if (!skip(at, "+-") || (hours = number(at, 2)) < 0 || hours > 23 || !skip(at, ":") ||
        (minutes = number(at, 2)) < 0 || minutes > 59)
        return false;
    *ret_s = sign * (hours * 3600 + minutes * 60);
    return true;
}

VmafxErr vmafx_token_time_parse(const char *text, int64_t *ret_s)
{
    int year, month, day, hour, minute, second, offset;

    if ((year = number(&text, 4)) < 1970 || !skip(&text, "-") || (month = number(&text, 2)) < 1 || month > 12 ||
        !skip(&text, "-") || (day = number(&text, 2)) < 1 || day > days_of_month(year, month) || !skip(&text, "Tt") ||
        (hour = number(&text, 2)) < 0 || hour > 23 || !skip(&text, ":") || (minute = number(&text, 2)) < 0 ||
        minute > 59 || !skip(&text, ":") || (second = number(&text, 2)) < 0 || second > 60)
        return VMAFX_ERR_SYNTAX;
    if (skip(&text, ".")) {
        size_t n = strspn(text, "0123456789");

        if (!n)
            return VMAFX_ERR_SYNTAX;
        text += n;
    }
    if (!read_offset(&text, &offset) || *text)
        return VMAFX_ERR_SYNTAX;

    struct tm tm = {
        .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour, .tm_min = minute, .tm_sec = second
    };
    *ret_s = (int64_t)timegm(&tm) - offset;
    return VMAFX_OK;
}

void vmafx_token_time_format(int64_t unix_s, char ret[VMAFX_TOKEN_TIME_TEXT])
{
    time_t t = (time_t)unix_s;
    struct tm tm;

    if (!gmtime_r(&t, &tm) || !strftime(ret, VMAFX_TOKEN_TIME_TEXT, "%Y-%m-%dT%H:%M:%SZ", &tm))
        snprintf(ret, VMAFX_TOKEN_TIME_TEXT, "?");
}

/* ---- lines ---- */

typedef struct Place {
    const char *subject;
    int line;
    VmafxErrInfo *reterr;
} Place;

static VmafxErr wrong(const Place *place, const char *what, const char *word)
{
    char shown[WORD_SHOWN + 1];
    size_t n = strstr(word, VMAFX_TOKEN_BEGIN) ? 0 : strnlen(word, WORD_SHOWN); /* no part of a token is shown */

    for (size_t i = 0; i < n; i++) /* it may come from anywhere, and goes to a log */
        shown[i] = word[i] < ' ' || word[i] > '~' ? '?' : word[i];
    shown[n] = 0;
    return vmafx_fail(place->reterr, VMAFX_ERR_SYNTAX, "'%s', line %d: %s%s%s%s", place->subject, place->line, what,
                      *shown ? ": '" : "", shown, *shown ? "'" : "");
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static VmafxErr read_hash(const Place *place, const char *word, uint8_t ret[VMAFX_SHA256_BYTES])
{
    static const char what[] = "a line begins with sha256: and 64 hexadecimal digits, the hash of a token";

    if (!strncmp(word, VMAFX_TOKEN_BEGIN, strlen(VMAFX_TOKEN_BEGIN)))
        return wrong(place,
                     "this is a token itself, which must not lie here: give it up, and keep the hash of a new one", "");
    if (strncmp(word, HASH_BEGIN, strlen(HASH_BEGIN)) != 0 || strlen(word) != strlen(HASH_BEGIN) + HEX_LEN)
        return wrong(place, what, word);
    word += strlen(HASH_BEGIN);
    for (size_t i = 0; i < VMAFX_SHA256_BYTES; i++) {
        int high = hex_digit(word[2 * i]), low = hex_digit(word[2 * i + 1]);

        if (high < 0 || low < 0)
            return wrong(place, what, word);
        ret[i] = (uint8_t)(high << 4 | low);
    }
    return VMAFX_OK;
}

static bool role_is_for_tokens(VmafxRole role)
{
    return role == VMAFX_ROLE_READER || role == VMAFX_ROLE_WRITER || role == VMAFX_ROLE_ADMIN;
}

static VmafxErr read_role_and_name(const Place *place, const char *role, const char *name, VmafxIdentity *ret)
{
    if (!role || vmafx_role_parse(role, &ret->role, NULL) || !role_is_for_tokens(ret->role))
        return wrong(place, "after the hash stands a role: reader, writer or admin", role ? role : "");
    if (!name || !vmafx_auth_name_valid(name))
        return wrong(place, "after the role stands a name: 1 to 63 of a-z A-Z 0-9 . _ -, first a letter or digit",
                     name ? name : "");
    snprintf(ret->name, sizeof ret->name, "%s", name);
    return VMAFX_OK;
}

static const char *value_of(const char *word, const char *key)
{
    size_t len = strlen(key);

    return strncmp(word, key, len) || word[len] != '=' ? NULL : word + len + 1;
}

static VmafxErr read_option(const Place *place, const char *word, VmafxToken *token)
{
    const char *tenant = value_of(word, "tenant"), *expires = value_of(word, "expires");

    if (tenant) {
        if (*token->identity.tenant)
            return wrong(place, "there are two tenants, and a token has one", word);
        if (!vmafx_auth_name_valid(tenant))
            return wrong(place, "a tenant is 1 to 63 of a-z A-Z 0-9 . _ -, first a letter or digit", word);
        snprintf(token->identity.tenant, sizeof token->identity.tenant, "%s", tenant);
        return VMAFX_OK;
    }
    if (!expires)
        return wrong(place, "after the name stand tenant=NAME and expires=TIME, or nothing", word);
    if (token->expires_s != INT64_MAX)
        return wrong(place, "it expires twice; say it once", word);
    if (vmafx_token_time_parse(expires, &token->expires_s))
        return wrong(place, "expires is a time such as 2027-01-31T12:00:00Z", word);
    return VMAFX_OK;
}

/* Of one line, terminated, which is cut into its words; *ret_any is false for one that says nothing. */
static VmafxErr read_line(const Place *place, char *line, VmafxToken *ret, bool *ret_any)
{
    char *state, *comment = strchr(line, '#');
    VmafxErr err;

    /* '#' is part of no word */
    if (comment)
        *comment = 0;
    const char *word = strtok_r(line, BLANKS, &state);
    *ret = (VmafxToken){ .expires_s = INT64_MAX, .line = place->line };
    *ret_any = word != NULL;
    if (!word)
        return VMAFX_OK;
    err = read_hash(place, word, ret->hash);
    if (err)
        return err;
    const char *role = strtok_r(NULL, BLANKS, &state), *name = role ? strtok_r(NULL, BLANKS, &state) : NULL;
    err = read_role_and_name(place, role, name, &ret->identity);
    while (!err && (word = strtok_r(NULL, BLANKS, &state)))
        err = read_option(place, word, ret);
    return err;
}

/* ---- tables ---- */

static int compare_hashes(const void *a, const void *b)
{
    const VmafxToken *x = *(const VmafxToken *const *)a, *y = *(const VmafxToken *const *)b;

    return memcmp(x->hash, y->hash, sizeof x->hash);
}

static VmafxErr add(VmafxTokenTable *table, const VmafxToken *token)
{
    if (table->n == table->room) {
        size_t room = table->room ? 2 * table->room : 16; /* VMAFX_TOKENS_LINES_MAX ends it */
        VmafxToken *grown = reallocarray(table->tokens, room, sizeof *grown);

        if (!grown)
            return VMAFX_ERR_NOMEM;
        table->tokens = grown;
        table->room = room;
    }
    table->tokens[table->n++] = *token;
    return VMAFX_OK;
}

static VmafxErr sort(VmafxTokenTable *table, const char *subject, VmafxErrInfo *reterr)
{
    table->by_hash = calloc(VMAFX_MAX(table->n, 1), sizeof *table->by_hash);
    if (!table->by_hash)
        return VMAFX_ERR_NOMEM;
    for (size_t i = 0; i < table->n; i++)
        table->by_hash[i] = &table->tokens[i];
    qsort(table->by_hash, table->n, sizeof *table->by_hash, compare_hashes);
    for (size_t i = 1; i < table->n; i++) {
        int a = table->by_hash[i - 1]->line, b = table->by_hash[i]->line;

        if (!compare_hashes(&table->by_hash[i - 1], &table->by_hash[i]))
            return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "'%s', line %d: the hash of line %d again", subject,
                              VMAFX_MAX(a, b), VMAFX_MIN(a, b));
    }
    return VMAFX_OK;
}

static VmafxErr read_lines(const char *text, size_t len, const char *subject, VmafxTokenTable *table,
                           VmafxErrInfo *reterr)
{
    Place place = { .subject = subject, .reterr = reterr };
    char line[VMAFX_TOKENS_LINE_MAX + 1];
    VmafxErr err = VMAFX_OK;

    while (len && !err) {
        const char *end = memchr(text, '\n', len);
        size_t n = end ? (size_t)(end - text) : len;
        VmafxToken token;
        bool any;

        if (++place.line > VMAFX_TOKENS_LINES_MAX)
            return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "'%s' has more than %d lines", subject, VMAFX_TOKENS_LINES_MAX);
        if (n > VMAFX_TOKENS_LINE_MAX)
            return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "'%s', line %d is longer than %d bytes", subject, place.line,
                              VMAFX_TOKENS_LINE_MAX);
        if (memchr(text, 0, n))
            return wrong(&place, "there is a zero byte", "");
        memcpy(line, text, n);
        line[n] = 0;
        err = read_line(&place, line, &token, &any);
        if (!err && any)
            err = add(table, &token);
        text += end ? n + 1 : n;
        len -= end ? n + 1 : n;
    }
    return err;
}

VmafxErr vmafx_token_table_parse(const char *text, size_t len, const char *subject, VmafxTokenTable **ret,
                                 VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_token_table_free) VmafxTokenTable *table = calloc(1, sizeof *table);
    VmafxErr err = table ? VMAFX_OK : VMAFX_ERR_NOMEM;

    if (!err && len > VMAFX_TOKENS_FILE_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "'%s' is larger than %d bytes", subject, VMAFX_TOKENS_FILE_MAX);
    if (!err)
        err = read_lines(text, len, subject, table, reterr);
    if (!err)
        err = sort(table, subject, reterr);
    if (err == VMAFX_ERR_NOMEM)
        return vmafx_fail(reterr, err, "no memory for the tokens of '%s'", subject);
    if (!err)
        *ret = VMAFX_TAKE(table);
    return err;
}

void vmafx_token_table_free(VmafxTokenTable **table)
{
    if (*table) {
        free((*table)->tokens);
        free((*table)->by_hash);
    }
    free(*table);
    *table = NULL;
}

size_t vmafx_token_table_count(const VmafxTokenTable *table)
{
    return table->n;
}

const VmafxToken *vmafx_token_table_at(const VmafxTokenTable *table, size_t i)
{
    return i < table->n ? &table->tokens[i] : NULL;
}

/* ---- headers ---- */

VmafxErr vmafx_token_of_header(const char *authorization, const char **ret_secret, VmafxErrInfo *reterr)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    size_t len = strnlen(authorization, VMAFX_TOKENS_HEADER_MAX + 1), scheme = strcspn(authorization, " \t");

    if (len > VMAFX_TOKENS_HEADER_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_UNAUTHENTICATED,
                          "the Authorization header is longer than any token; it is 'Bearer vmafx_…'");
    if (scheme != strlen("Bearer") || strncasecmp(authorization, "Bearer", scheme) != 0)
        return vmafx_fail(reterr, VMAFX_ERR_UNAUTHENTICATED,
                          "the Authorization header has another scheme than Bearer; it is 'Bearer vmafx_…'");

    const char *secret = authorization + scheme + strspn(authorization + scheme, " ");
    size_t n = strcspn(secret, " \t");
    if (secret[n + strspn(secret + n, " \t")] || n != VMAFX_TOKEN_LEN ||
        strncmp(secret, VMAFX_TOKEN_BEGIN, strlen(VMAFX_TOKEN_BEGIN)) != 0 || strspn(secret, letters) != n)
        return vmafx_fail(reterr, VMAFX_ERR_UNAUTHENTICATED,
                          "what the Authorization header holds is no token: one is vmafx_ and 43 letters, as "
                          "`vmafx tokens new` prints it");
    *ret_secret = secret;
    return VMAFX_OK;
}

VmafxErr vmafx_token_table_identify(const VmafxTokenTable *table, const char *authorization, int64_t now_s,
                                    VmafxIdentity *ret, VmafxErrInfo *reterr)
{
    const char *secret;
    VmafxToken key, *key_at = &key;
    VmafxErr err = vmafx_token_of_header(authorization, &secret, reterr);

    if (err)
        return err;
    vmafx_sha256(secret, VMAFX_TOKEN_LEN, key.hash);
    const VmafxToken *const *found = bsearch(&key_at, table->by_hash, table->n, sizeof *table->by_hash, compare_hashes);
    if (!found)
        return vmafx_fail(reterr, VMAFX_ERR_UNAUTHENTICATED, "this token is not known here, or has been revoked");
    if ((*found)->expires_s != INT64_MAX && (!now_s || now_s >= (*found)->expires_s)) {
        char when[VMAFX_TOKEN_TIME_TEXT];

        vmafx_token_time_format((*found)->expires_s, when);
        return vmafx_fail(reterr, VMAFX_ERR_UNAUTHENTICATED,
                          "this token of '%s' is not valid since %s; `vmafx tokens new` makes another",
                          (*found)->identity.name, when);
    }
    *ret = (*found)->identity;
    return VMAFX_OK;
}
