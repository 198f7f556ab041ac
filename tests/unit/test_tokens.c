/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Bearer tokens: what a header says, what a file says, whom both together let in, and files that change. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/auth.h"
#include "auth/tokens.h"
#include "base/base.h"

#define NOW_S   INT64_C(1760000000) /* 2025-10-09T08:53:20Z */
#define ALICE   "vmafx_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define BOB     "vmafx_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"
#define ENDED   "vmafx_CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC"
#define ENDING  "vmafx_DDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDD"
#define READER  "vmafx_--__09azAZEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEE"
#define NOBODY  "vmafx_FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"
#define SOME_60 "123456789012345678901234567890123456789012345678901234567890"
#define HASH_A  "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HASH_B  "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

/* ---- tables ---- */

static char *line_of(const char *token, const char *rest)
{
    char hex[VMAFX_SHA256_TEXT];

    vmafx_sha256_hex(token, strlen(token), hex);
    return vmafx_sprintf("sha256:%s %s\n", hex, rest);
}

static VmafxTokenTable *parsed(const char *text)
{
    VmafxTokenTable *table = NULL;
    VmafxErrInfo info = { 0 };

    if (vmafx_token_table_parse(text, strlen(text), "file", &table, &info))
        fail_msg("%s", info.message);
    return table;
}

/* Alice writes for a tenant, Bob is admin, a reader; one that has ended, one that is about to. */
static char *some_file(void)
{
    VMAFX_AUTO(vmafx_free_p)
    char *alice = line_of(ALICE, "writer alice tenant=films"), *bob = line_of(BOB, "admin bob"),
         *ended = line_of(ENDED, "admin old expires=2025-10-09T08:53:20Z"),
         *ending = line_of(ENDING, "reader soon expires=2025-10-09T08:53:21Z"),
         *reader = line_of(READER, "\treader\tr  # the dashboard\r");

    return vmafx_sprintf("# who may what\n\n%s%s   # nobody\n%s%s%s", alice, bob, ended, ending, reader);
}

static VmafxTokenTable *some_table(void)
{
    VMAFX_AUTO(vmafx_free_p) char *text = some_file();

    return parsed(text);
}

static void a_file_says_who_may_what_and_until_when(void **state)
{
    VMAFX_AUTO(vmafx_token_table_free) VmafxTokenTable *table = some_table();
    VMAFX_AUTO(vmafx_token_table_free) VmafxTokenTable *none = parsed("");

    (void)state;
    assert_int_equal(vmafx_token_table_count(none), 0);
    assert_int_equal(vmafx_token_table_count(table), 5);
    const VmafxToken *alice = vmafx_token_table_at(table, 0), *old = vmafx_token_table_at(table, 2);
    assert_int_equal(alice->identity.role, VMAFX_ROLE_WRITER);
    assert_string_equal(alice->identity.name, "alice");
    assert_string_equal(alice->identity.tenant, "films");
    assert_true(alice->expires_s == INT64_MAX);
    assert_int_equal(alice->line, 3);
    assert_true(old->expires_s == NOW_S);
    assert_string_equal(old->identity.tenant, "");
    assert_int_equal(old->line, 6);
    assert_null(vmafx_token_table_at(table, 5));
}

static void every_mistake_in_a_file_names_its_line(void **state)
{
    static const struct {
        const char *why, *text, *says;
    } cases[] = {
        { "a word", "hello", "line 1: a line begins with sha256:" },
        { "a token instead of its hash", "# x\n" ALICE " reader a", "line 2: this is a token itself" },
        { "a token for a role", HASH_A " " ALICE " a", "line 1: after the hash stands a role" },
        { "a token at the end", HASH_A " reader a token=" ALICE, "line 1: after the name stand" },
        { "a digit too few", "sha256:aaaa reader a", "line 1: a line begins" },
        { "a digit too many", HASH_A "a reader a", "line 1: a line begins" },
        { "no digit", "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaag reader a",
          "line 1: a line begins" },
        { "another hash", "sha512" HASH_A " reader a", "line 1: a line begins" },
        { "only a hash", "\n\n" HASH_A, "line 3: after the hash stands a role" },
        { "no such role", HASH_A " boss a", "line 1: after the hash stands a role: reader, writer or admin: 'boss'" },
        { "a node", HASH_A " node n", "reader, writer or admin: 'node'" },
        { "everything", HASH_A " everything n", "'everything'" },
        { "anyone", HASH_A " anyone n", "'anyone'" },
        { "a role in capitals", HASH_A " READER a", "'READER'" },
        { "no name", HASH_A " reader", "line 1: after the role stands a name" },
        { "a comment for a name", HASH_A " reader #a", "line 1: after the role stands a name" },
        { "an empty name's place", HASH_A " reader tenant=a", "stands a name" },
        { "a name with a slash", HASH_A " reader ../a", "'../a'" },
        { "a name of 64 letters", HASH_A " reader " SOME_60 "1234", "stands a name" },
        { "an unknown word", HASH_A " reader a b", "line 1: after the name stand tenant=NAME" },
        { "an unknown key", HASH_A " reader a role=admin", "'role=admin'" },
        { "a key without a value", HASH_A " reader a tenant", "'tenant'" },
        { "an empty tenant", HASH_A " reader a tenant=", "a tenant is" },
        { "a tenant of 64 letters", HASH_A " reader a tenant=" SOME_60 "1234", "a tenant is" },
        { "two tenants", HASH_A " reader a tenant=b tenant=c", "two tenants" },
        { "two ends", HASH_A " reader a expires=2025-01-01T00:00:00Z expires=2026-01-01T00:00:00Z", "twice" },
        { "a day", HASH_A " reader a expires=2025-01-01", "expires is a time such as" },
        { "no end", HASH_A " reader a expires=never", "expires is a time such as" },
        { "the same hash", HASH_A " reader a\n#\n" HASH_A " admin b\n", "line 3: the hash of line 1 again" },
        { "letters that a terminal would obey", HASH_A " reader a\n\x1b[31m", "line 2: a line begins" },
        { "a mark of byte order", "\xEF\xBB\xBF" HASH_A " reader a", "line 1: a line begins" },
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VmafxTokenTable *table = NULL;
        VmafxErrInfo info = { 0 };

        if (vmafx_token_table_parse(cases[i].text, strlen(cases[i].text), "file", &table, &info) != VMAFX_ERR_SYNTAX)
            fail_msg("%s", cases[i].why);
        if (strncmp(info.message, "'file', line ", 13) != 0 || !strstr(info.message, cases[i].says) ||
            strchr(info.message, 27) || strstr(info.message, "AAAAA"))
            fail_msg("%s: %s", cases[i].why, info.message);
        assert_null(table);
    }
}

static void a_zero_byte_is_refused(void **state)
{
    VmafxTokenTable *table = NULL;
    VmafxErrInfo info = { 0 };

    (void)state;
    assert_int_equal(vmafx_token_table_parse("#\n#\0#", 5, "file", &table, &info), VMAFX_ERR_SYNTAX);
    assert_non_null(strstr(info.message, "line 2: there is a zero byte"));
}

static void lines_bytes_and_their_number_have_limits(void **state)
{
    VMAFX_AUTO(vmafx_free_p) char *text = malloc(VMAFX_TOKENS_FILE_MAX + 2);
    VmafxTokenTable *table = NULL;
    VmafxErrInfo info = { 0 };

    (void)state;
    memset(text, '\n', VMAFX_TOKENS_LINES_MAX + 1);
    assert_int_equal(vmafx_token_table_parse(text, VMAFX_TOKENS_LINES_MAX, "file", &table, &info), VMAFX_OK);
    vmafx_token_table_free(&table);
    assert_int_equal(vmafx_token_table_parse(text, VMAFX_TOKENS_LINES_MAX + 1, "file", &table, &info), VMAFX_ERR_LIMIT);
    assert_non_null(strstr(info.message, "10000 lines"));

    memset(text, '#', VMAFX_TOKENS_FILE_MAX + 1);
    assert_int_equal(vmafx_token_table_parse(text, VMAFX_TOKENS_LINE_MAX, "file", &table, &info), VMAFX_OK);
    vmafx_token_table_free(&table);
    assert_int_equal(vmafx_token_table_parse(text, VMAFX_TOKENS_LINE_MAX + 1, "file", &table, &info), VMAFX_ERR_LIMIT);
    assert_non_null(strstr(info.message, "line 1 is longer"));

    for (size_t i = VMAFX_TOKENS_LINE_MAX; i < VMAFX_TOKENS_FILE_MAX; i += VMAFX_TOKENS_LINE_MAX)
        text[i - 1] = '\n';
    assert_int_equal(vmafx_token_table_parse(text, VMAFX_TOKENS_FILE_MAX, "file", &table, &info), VMAFX_OK);
    vmafx_token_table_free(&table);
    assert_int_equal(vmafx_token_table_parse(text, VMAFX_TOKENS_FILE_MAX + 1, "file", &table, &info), VMAFX_ERR_LIMIT);
    assert_non_null(strstr(info.message, "larger than 1048576 bytes"));
}

static void times_are_those_of_rfc_3339(void **state)
{
    static const struct {
        const char *text;
        int64_t unix_s; /* -1: none */
    } cases[] = {
        { "1970-01-01T00:00:00Z", 0 },
        { "2025-10-09T08:53:20Z", NOW_S },
        { "2025-10-09t08:53:20z", NOW_S },
        { "2025-10-09T08:53:20.123456789Z", NOW_S },
        { "2025-10-09T10:53:20+02:00", NOW_S },
        { "2025-10-09T03:23:20-05:30", NOW_S },
        { "2025-10-09T08:53:20-00:00", NOW_S },
        { "2024-02-29T00:00:00Z", 1709164800 },
        { "2016-12-31T23:59:60Z", 1483228800 }, /* a leap second */
        { "9999-12-31T23:59:59Z", 253402300799 },
        { "2023-02-29T00:00:00Z", -1 },
        { "2100-02-29T00:00:00Z", -1 },
        { "2025-04-31T00:00:00Z", -1 },
        { "2025-13-01T00:00:00Z", -1 },
        { "2025-00-01T00:00:00Z", -1 },
        { "2025-01-00T00:00:00Z", -1 },
        { "2025-01-01T24:00:00Z", -1 },
        { "2025-01-01T00:60:00Z", -1 },
        { "2025-01-01T00:00:61Z", -1 },
        { "2025-01-01T00:00:00", -1 },
        { "2025-01-01 00:00:00Z", -1 },
        { "2025-01-01T00:00:00.Z", -1 },
        { "2025-01-01T00:00:00+24:00", -1 },
        { "2025-01-01T00:00:00+0100", -1 },
        { "2025-01-01T00:00:00ZZ", -1 },
        { "2025-1-01T00:00:00Z", -1 },
        { "1969-12-31T23:59:59Z", -1 },
        { "", -1 },
        { "-025-01-01T00:00:00Z", -1 },
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        int64_t unix_s = -2;
        VmafxErr err = vmafx_token_time_parse(cases[i].text, &unix_s);

        if (err != (cases[i].unix_s < 0 ? VMAFX_ERR_SYNTAX : VMAFX_OK) || (!err && unix_s != cases[i].unix_s))
            fail_msg("%s: %lld", cases[i].text, (long long)unix_s);
    }
    char text[VMAFX_TOKEN_TIME_TEXT];
    vmafx_token_time_format(NOW_S, text);
    assert_string_equal(text, "2025-10-09T08:53:20Z");
    vmafx_token_time_format(INT64_MAX, text);
    assert_string_equal(text, "?");
}

/* ---- headers ---- */

static const struct HeaderCase {
    const char *why, *header;
    const char *name; /* NULL: unauthenticated */
    const char *says;
} header_cases[] = {
    { "the form of RFC 6750", "Bearer " ALICE, "alice", NULL },
    { "small letters", "bearer " ALICE, "alice", NULL },
    { "capitals", "BEARER " BOB, "bob", NULL },
    { "several blanks", "Bearer    " BOB, "bob", NULL },
    { "blanks behind", "Bearer " BOB " \t ", "bob", NULL },
    { "all letters of base64url", "Bearer " READER, "r", NULL },
    { "a second before its end", "Bearer " ENDING, "soon", NULL },
    { "the second of its end", "Bearer " ENDED, NULL, "not valid since 2025-10-09T08:53:20Z" },
    { "unknown", "Bearer " NOBODY, NULL, "not known here" },
    { "empty", "", NULL, "another scheme" },
    { "the scheme alone", "Bearer", NULL, "no token" },
    { "the scheme and a blank", "Bearer ", NULL, "no token" },
    { "no scheme", ALICE, NULL, "another scheme" },
    { "Basic", "Basic YWxpY2U6c2VjcmV0", NULL, "another scheme" },
    { "a token in the wrong scheme", "Basic " ALICE, NULL, "another scheme" },
    { "a scheme that begins so", "Bearers " ALICE, NULL, "another scheme" },
    { "no blank between", "Bearer" ALICE, NULL, "another scheme" },
    { "a tab between", "Bearer\t" ALICE, NULL, "no token" },
    { "a blank before", " Bearer " ALICE, NULL, "another scheme" },
    { "two tokens", "Bearer " ALICE " " BOB, NULL, "no token" },
    { "two credentials", "Bearer " ALICE ", Bearer " BOB, NULL, "no token" },
    { "a letter too few", "Bearer vmafx_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", NULL, "no token" },
    { "a letter too many", "Bearer " ALICE "A", NULL, "no token" },
    { "padding", "Bearer " ALICE "=", NULL, "no token" },
    { "quotes", "Bearer \"" ALICE "\"", NULL, "no token" },
    { "a letter of plain base64", "Bearer vmafx_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA+", NULL, "no token" },
    { "another beginning", "Bearer wmafx_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", NULL, "no token" },
    { "capitals in its beginning", "Bearer VMAFX_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", NULL, "no token" },
    { "a byte that is not ASCII",
      "Bearer vmafx_\xC3\xA4"
      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
      NULL, "no token" },
    { "the hash of a token", "Bearer " HASH_A, NULL, "no token" },
    { "longer than any", "Bearer " SOME_60 SOME_60 SOME_60 SOME_60 SOME_60, NULL, "longer than any token" },
};

static void a_header_is_one_valid_token_in_the_scheme_bearer_and_nothing_else(void **state)
{
    VMAFX_AUTO(vmafx_token_table_free) VmafxTokenTable *table = some_table();

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(header_cases); i++) {
        const struct HeaderCase *c = &header_cases[i];
        VmafxIdentity identity = { 0 };
        VmafxErrInfo info = { 0 };
        VmafxErr err = vmafx_token_table_identify(table, c->header, NOW_S, &identity, &info);

        if (err != (c->name ? VMAFX_OK : VMAFX_ERR_UNAUTHENTICATED))
            fail_msg("%s: %d", c->why, err);
        assert_string_equal(identity.name, c->name ? c->name : "");
        if (c->says && (!strstr(info.message, c->says) || strstr(info.message, "AAAA") || strstr(info.message, "YWxp")))
            fail_msg("%s: %s", c->why, info.message); /* the sentence goes to whoever asks, and holds no secret */
    }
}

static void while_nobody_knows_the_time_only_tokens_without_an_end_are_valid(void **state)
{
    VMAFX_AUTO(vmafx_token_table_free) VmafxTokenTable *table = some_table();
    VmafxIdentity identity;

    (void)state;
    assert_int_equal(vmafx_token_table_identify(table, "Bearer " ALICE, 0, &identity, NULL), VMAFX_OK);
    assert_int_equal(vmafx_token_table_identify(table, "Bearer " ENDING, 0, &identity, NULL),
                     VMAFX_ERR_UNAUTHENTICATED);
}

static void every_line_of_a_full_file_is_found(void **state)
{
    enum { N = 9000 };
    VMAFX_AUTO(vmafx_free_p) char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    char token[VMAFX_TOKEN_LEN + 1], header[80];

    (void)state;
    for (int i = 0; i < N; i++) {
        snprintf(token, sizeof token, "vmafx_%043d", i);
        VMAFX_AUTO(vmafx_free_p) char *rest = vmafx_sprintf("writer n%d", i), *line = line_of(token, rest);
        fputs(line, out);
    }
    fclose(out);
    VMAFX_AUTO(vmafx_token_table_free) VmafxTokenTable *table = parsed(text);
    for (int i = 0; i < N + 1; i++) {
        VmafxIdentity identity = { 0 };

        snprintf(header, sizeof header, "Bearer vmafx_%043d", i);
        assert_int_equal(vmafx_token_table_identify(table, header, NOW_S, &identity, NULL),
                         i < N ? VMAFX_OK : VMAFX_ERR_UNAUTHENTICATED);
        assert_int_equal(i < N ? atoi(identity.name + 1) : N, i);
    }
}

/* ---- files ---- */

typedef struct Folder {
    char path[64], file[80];
} Folder;

static int new_folder(void **state)
{
    Folder *folder = calloc(1, sizeof *folder);

    strcpy(folder->path, "/tmp/vmafx-tokens-XXXXXX");
    assert_non_null(mkdtemp(folder->path));
    snprintf(folder->file, sizeof folder->file, "%s/tokens", folder->path);
    *state = folder;
    return 0;
}

static int remove_folder(void **state)
{
    Folder *folder = *state;
    VMAFX_AUTO(vmafx_free_p) char *command = vmafx_sprintf("rm -r '%s'", folder->path);

    assert_int_equal(system(command), 0);
    free(folder);
    return 0;
}

static char *content(const Folder *folder)
{
    char *text = NULL;
    size_t len;

    assert_int_equal(vmafx_read_file(folder->file, 1 << 20, &text, &len, NULL), VMAFX_OK);
    return text;
}

static void write_text(const char *path, const char *text)
{
    FILE *out = fopen(path, "w");

    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
}

static VmafxErr add(const Folder *folder, VmafxRole role, const char *name, const char *tenant, VmafxTokenNew *ret,
                    VmafxErrInfo *reterr)
{
    VmafxIdentity identity = { .role = role };

    snprintf(identity.name, sizeof identity.name, "%s", name);
    snprintf(identity.tenant, sizeof identity.tenant, "%s", tenant);
    return vmafx_tokens_add(folder->file, &identity, INT64_MAX, ret, reterr);
}

static void a_new_token_is_random_valid_and_lies_in_the_file_as_a_hash_only(void **state)
{
    const Folder *folder = *state;
    VMAFX_AUTO(vmafx_token_table_free) VmafxTokenTable *table = NULL;
    VmafxTokenNew a, b;
    VmafxIdentity identity = { .role = VMAFX_ROLE_WRITER, .name = "alice", .tenant = "films" };
    struct stat st;

    assert_int_equal(vmafx_tokens_add(folder->file, &identity, NOW_S, &a, NULL), VMAFX_OK);
    assert_int_equal(vmafx_tokens_add(folder->file, &identity, INT64_MAX, &b, NULL), VMAFX_OK); /* the next one */
    assert_string_not_equal(a.text, b.text);
    assert_int_equal(strlen(a.text), VMAFX_TOKEN_LEN);
    assert_int_equal(stat(folder->file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_false(vmafx_tokens_file_is_open_to_others(folder->file));
    VMAFX_AUTO(vmafx_free_p) char *text = content(folder);
    assert_null(strstr(text, VMAFX_TOKEN_BEGIN));
    assert_non_null(strstr(text, " writer alice tenant=films expires=2025-10-09T08:53:20Z\n"));

    assert_int_equal(vmafx_tokens_read(folder->file, &table, NULL), VMAFX_OK);
    assert_int_equal(vmafx_token_table_count(table), 2);
    VMAFX_AUTO(vmafx_free_p) char *header = vmafx_sprintf("Bearer %s", b.text);
    VmafxIdentity found;
    assert_int_equal(vmafx_token_table_identify(table, header, NOW_S, &found, NULL), VMAFX_OK);
    assert_string_equal(found.tenant, "films");
    vmafx_token_new_wipe(&b);
    assert_string_equal(b.text, "");
}

static void revoking_takes_out_a_name_or_one_id_and_leaves_every_other_byte(void **state)
{
    const Folder *folder = *state;
    VMAFX_AUTO(vmafx_free_p)
    char *a = line_of(ALICE, "reader alice"), *b = line_of(BOB, "reader alice"),
         *c = line_of(READER, "  admin\tbob # keep"), *last = NULL;
    VMAFX_AUTO(vmafx_free_p) char *text = vmafx_sprintf("#x\r\n%s\n%s%s# end without a line break", a, c, b);
    VMAFX_AUTO(vmafx_free_p) char *without_b = vmafx_sprintf("#x\r\n%s\n%s# end without a line break", a, c);
    VMAFX_AUTO(vmafx_free_p) char *without_both = vmafx_sprintf("#x\r\n\n%s# end without a line break", c);
    char id[VMAFX_TOKENS_ID_LEN + 1];
    VmafxErrInfo info = { 0 };
    size_t n = 0;

    snprintf(id, sizeof id, "%s", b + strlen("sha256:"));
    write_text(folder->file, text);
    assert_int_equal(chmod(folder->file, 0640), 0);
    assert_int_equal(vmafx_tokens_remove(folder->file, id, &n, NULL), VMAFX_OK);
    assert_int_equal(n, 1);
    VMAFX_AUTO(vmafx_free_p) char *first = content(folder);
    assert_string_equal(first, without_b);
    write_text(folder->file, text);
    assert_int_equal(vmafx_tokens_remove(folder->file, "alice", &n, NULL), VMAFX_OK);
    assert_int_equal(n, 2);
    last = content(folder);
    assert_string_equal(last, without_both);
    struct stat st;
    assert_int_equal(stat(folder->file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640); /* permissions stay */

    id[VMAFX_TOKENS_ID_LEN - 1] = 0;
    assert_int_equal(vmafx_tokens_remove(folder->file, id, &n, &info), VMAFX_ERR_NOT_FOUND); /* too short an id */
    assert_int_equal(vmafx_tokens_remove(folder->file, "alice", &n, &info), VMAFX_ERR_NOT_FOUND);
    assert_non_null(strstr(info.message, "tokens list"));
    assert_int_equal(unlink(folder->file), 0);
    assert_int_equal(vmafx_tokens_remove(folder->file, "bob", &n, &info), VMAFX_ERR_NOT_FOUND);
    assert_int_equal(access(folder->file, F_OK), -1); /* revoking makes none */
}

static void what_cannot_be_added_changes_nothing(void **state)
{
    static const struct {
        const char *why;
        VmafxRole role;
        const char *name, *tenant;
        VmafxErr err;
    } cases[] = {
        { "no name", VMAFX_ROLE_READER, "", "", VMAFX_ERR_INVALID },
        { "a name of two words", VMAFX_ROLE_READER, "a b", "", VMAFX_ERR_INVALID },
        { "a line break", VMAFX_ROLE_READER, "a\nb", "", VMAFX_ERR_INVALID },
        { "a comment", VMAFX_ROLE_READER, "a#", "", VMAFX_ERR_INVALID },
        { "a tenant of two words", VMAFX_ROLE_READER, "a", "b c", VMAFX_ERR_INVALID },
        { "a node", VMAFX_ROLE_NODE, "a", "", VMAFX_ERR_INVALID },
        { "anyone", VMAFX_ROLE_ANYONE, "a", "", VMAFX_ERR_INVALID },
        { "everything", VMAFX_ROLE_EVERYTHING, "a", "", VMAFX_ERR_INVALID },
        { "a name that is another role", VMAFX_ROLE_ADMIN, "alice", "", VMAFX_ERR_CONFLICT },
        { "a name that is another tenant's", VMAFX_ROLE_READER, "alice", "t", VMAFX_ERR_CONFLICT },
    };
    const Folder *folder = *state;
    VmafxTokenNew made;

    assert_int_equal(add(folder, VMAFX_ROLE_READER, "alice", "", &made, NULL), VMAFX_OK);
    VMAFX_AUTO(vmafx_free_p) char *before = content(folder);
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VmafxErrInfo info = { 0 };

        if (add(folder, cases[i].role, cases[i].name, cases[i].tenant, &made, &info) != cases[i].err || !*info.message)
            fail_msg("%s", cases[i].why);
    }
    VMAFX_AUTO(vmafx_free_p) char *after = content(folder);
    assert_string_equal(before, after);
}

static void a_file_that_cannot_be_read_back_is_not_written(void **state)
{
    const Folder *folder = *state;
    VmafxErrInfo info = { 0 };
    VmafxTokenNew made;

    write_text(folder->file, "broken\n");
    assert_int_equal(add(folder, VMAFX_ROLE_READER, "alice", "", &made, &info), VMAFX_ERR_SYNTAX);
    VMAFX_AUTO(vmafx_free_p) char *full = malloc(VMAFX_TOKENS_LINES_MAX + 1);
    memset(full, '\n', VMAFX_TOKENS_LINES_MAX);
    full[VMAFX_TOKENS_LINES_MAX] = 0;
    write_text(folder->file, full);
    assert_int_equal(add(folder, VMAFX_ROLE_READER, "alice", "", &made, &info), VMAFX_ERR_LIMIT);
    VMAFX_AUTO(vmafx_free_p) char *after = content(folder);
    assert_string_equal(full, after);
    VMAFX_AUTO(vmafx_free_p)
    char *command = vmafx_sprintf("test \"$(ls -A '%s')\" = tokens", folder->path); /* no lock, no half file */
    assert_int_equal(system(command), 0);
}

enum { ADDERS = 6, EACH = 20 };

static void *add_some(void *arg)
{
    const Folder *folder = arg;
    VmafxTokenNew made;
    VmafxErr err = VMAFX_OK;

    for (int i = 0; i < EACH && !err; i++)
        err = add(folder, VMAFX_ROLE_WRITER, "many", "", &made, NULL);
    return err ? arg : NULL;
}

static void those_who_add_at_the_same_time_do_not_lose_each_others_lines(void **state)
{
    Folder *folder = *state;
    VMAFX_AUTO(vmafx_token_table_free) VmafxTokenTable *table = NULL;
    pthread_t threads[ADDERS];
    void *failed;

    for (int i = 0; i < ADDERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_some, folder), 0);
    for (int i = 0; i < ADDERS; i++) {
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    assert_int_equal(vmafx_tokens_read(folder->file, &table, NULL), VMAFX_OK);
    assert_int_equal(vmafx_token_table_count(table), ADDERS * EACH);
}

/* ---- a table that follows its file ---- */

typedef struct Told {
    pthread_mutex_t lock; /* covers the rest */
    pthread_cond_t more;
    int times;
    VmafxErr err;
    size_t n;
    char message[512];
} Told;

static void on_changed(void *ctx, VmafxErr err, size_t n, const VmafxErrInfo *info)
{
    Told *told = ctx;

    pthread_mutex_lock(&told->lock);
    told->times++;
    told->err = err;
    told->n = n;
    snprintf(told->message, sizeof told->message, "%s", info->message);
    pthread_cond_signal(&told->more);
    pthread_mutex_unlock(&told->lock);
}

/* Until it has been told that often. */
static void wait_told(Told *told, int times)
{
    pthread_mutex_lock(&told->lock);
    while (told->times < times)
        pthread_cond_wait(&told->more, &told->lock);
    assert_int_equal(told->times, times);
    pthread_mutex_unlock(&told->lock);
}

static VmafxErr ask(const VmafxTokens *tokens, const char *token, VmafxIdentity *ret)
{
    VMAFX_AUTO(vmafx_free_p) char *header = vmafx_sprintf("Bearer %s", token);

    return vmafx_tokens_identify(tokens, header, NOW_S, ret, NULL);
}

static void running_servers_follow_their_file_and_a_broken_one_changes_nothing(void **state)
{
    const Folder *folder = *state;
    VMAFX_AUTO(vmafx_free_p) char *alice = line_of(ALICE, "reader alice"), *bob = line_of(BOB, "admin bob");
    VMAFX_AUTO(vmafx_free_p) char *both = vmafx_sprintf("%s%s", alice, bob);
    VMAFX_AUTO(vmafx_free_p) char *broken = vmafx_sprintf("%sbob\n", alice);
    VMAFX_AUTO(vmafx_tokens_close) VmafxTokens *tokens = NULL;
    Told told = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER };
    VmafxIdentity identity;
    size_t n;

    write_text(folder->file, both);
    VmafxTokensConfig config = { .path = folder->file, .changed = on_changed, .ctx = &told };
    assert_int_equal(vmafx_tokens_open(&config, &tokens, NULL), VMAFX_OK);
    assert_int_equal(ask(tokens, BOB, &identity), VMAFX_OK);
    assert_int_equal(ask(tokens, ALICE, &identity), VMAFX_OK);

    assert_int_equal(vmafx_tokens_remove(folder->file, "bob", &n, NULL), VMAFX_OK); /* by renaming */
    wait_told(&told, 1);
    assert_int_equal(told.n, 1);
    assert_int_equal(ask(tokens, BOB, &identity), VMAFX_ERR_UNAUTHENTICATED);
    assert_int_equal(ask(tokens, ALICE, &identity), VMAFX_OK);

    write_text(folder->file, broken); /* in place */
    wait_told(&told, 2);
    assert_int_equal(told.err, VMAFX_ERR_SYNTAX);
    assert_non_null(strstr(told.message, "line 2"));
    assert_int_equal(ask(tokens, ALICE, &identity), VMAFX_OK);

    assert_int_equal(unlink(folder->file), 0);
    wait_told(&told, 3);
    assert_int_equal(told.err, VMAFX_ERR_NOT_FOUND);
    assert_int_equal(ask(tokens, ALICE, &identity), VMAFX_OK);

    write_text(folder->file, bob); /* the same size as before it went */
    wait_told(&told, 4);
    assert_int_equal(told.err, VMAFX_OK);
    assert_int_equal(ask(tokens, BOB, &identity), VMAFX_OK);
    assert_int_equal(ask(tokens, ALICE, &identity), VMAFX_ERR_UNAUTHENTICATED);

    write_text(folder->file, ""); /* all */
    wait_told(&told, 5);
    assert_int_equal(ask(tokens, BOB, &identity), VMAFX_ERR_UNAUTHENTICATED);
}

static void without_a_sound_file_there_is_nothing_to_follow(void **state)
{
    const Folder *folder = *state;
    VmafxTokensConfig config = { .path = folder->file };
    VmafxTokens *tokens = NULL;
    VmafxErrInfo info = { 0 };

    assert_int_equal(vmafx_tokens_open(&config, &tokens, &info), VMAFX_ERR_NOT_FOUND);
    assert_non_null(strstr(info.message, "vmafx tokens new"));
    write_text(folder->file, "broken");
    assert_int_equal(vmafx_tokens_open(&config, &tokens, &info), VMAFX_ERR_SYNTAX);
    assert_non_null(strstr(info.message, "line 1"));
    assert_int_equal(unlink(folder->file), 0);
    assert_int_equal(mkfifo(folder->file, 0600), 0);
    assert_int_equal(vmafx_tokens_open(&config, &tokens, &info), VMAFX_ERR_IO); /* and not: waits for a writer */
    config.path = folder->path;
    assert_int_equal(vmafx_tokens_open(&config, &tokens, &info), VMAFX_ERR_IO);
    assert_null(tokens);
    vmafx_tokens_close(&tokens);
}

static void files_that_others_may_read_or_write_are_known(void **state)
{
    static const struct {
        mode_t mode;
        bool open;
    } cases[] = { { 0600, false }, { 0400, false }, { 0640, false }, { 0644, true }, { 0660, true }, { 0602, true } };
    const Folder *folder = *state;

    write_text(folder->file, "");
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        assert_int_equal(chmod(folder->file, cases[i].mode), 0);
        assert_int_equal(vmafx_tokens_file_is_open_to_others(folder->file), cases[i].open);
    }
    assert_false(vmafx_tokens_file_is_open_to_others("/nowhere"));
}

/* ---- decisions ---- */

static const struct DecisionCase {
    const char *why;
    VmafxAuthPolicy policy; /* its tokens come in the test, unless it says otherwise */
    bool no_tokens;
    VmafxAuthPeer peer;
    const char *method;
    VmafxErr err;
    const char *name;
    VmafxRole role;
} decision_cases[] = {
    { "TLS and a token",
      { 0 },
      false,
      { .encrypted = true, .authorization = "Bearer " BOB },
      "/vmafx.v1.Fleet/DrainNode",
      VMAFX_OK,
      "bob",
      VMAFX_ROLE_ADMIN },
    { "TLS alone",
      { 0 },
      false,
      { .encrypted = true },
      "GET /metrics",
      VMAFX_ERR_UNAUTHENTICATED,
      "",
      VMAFX_ROLE_ANYONE },
    { "a role that may not, and who it was is known",
      { 0 },
      false,
      { .encrypted = true, .authorization = "Bearer " ALICE },
      "/vmafx.v1.Fleet/DrainNode",
      VMAFX_ERR_FORBIDDEN,
      "alice",
      VMAFX_ROLE_WRITER },
    { "an admin is no node",
      { 0 },
      false,
      { .encrypted = true, .authorization = "Bearer " BOB },
      "/vmafx.v1.Fleet/Connect",
      VMAFX_ERR_FORBIDDEN,
      "bob",
      VMAFX_ROLE_ADMIN },
    { "what is not in the table",
      { 0 },
      false,
      { .encrypted = true, .authorization = "Bearer " BOB },
      "GET /nothing",
      VMAFX_ERR_FORBIDDEN,
      "",
      VMAFX_ROLE_ANYONE },
    { "a token stands over loopback",
      { 0 },
      false,
      { .loopback = true, .authorization = "Bearer " READER },
      "/vmafx.v1.Jobs/SubmitJob",
      VMAFX_ERR_FORBIDDEN,
      "r",
      VMAFX_ROLE_READER },
    { "a token stands over an insecure port",
      { .insecure_listen = true },
      false,
      { .authorization = "Bearer " READER },
      "/vmafx.v1.Jobs/SubmitJob",
      VMAFX_ERR_FORBIDDEN,
      "r",
      VMAFX_ROLE_READER },
    { "a wrong token on loopback is not taken for nobody",
      { 0 },
      false,
      { .loopback = true, .authorization = "Bearer " NOBODY },
      "GET /metrics",
      VMAFX_ERR_UNAUTHENTICATED,
      "",
      VMAFX_ROLE_ANYONE },
    { "nor one of an insecure port",
      { .insecure_listen = true },
      false,
      { .authorization = "Bearer " NOBODY },
      "GET /metrics",
      VMAFX_ERR_UNAUTHENTICATED,
      "",
      VMAFX_ROLE_ANYONE },
    { "an empty header is one",
      { 0 },
      false,
      { .loopback = true, .authorization = "" },
      "GET /metrics",
      VMAFX_ERR_UNAUTHENTICATED,
      "",
      VMAFX_ROLE_ANYONE },
    { "another scheme on loopback",
      { 0 },
      false,
      { .loopback = true, .authorization = "Basic YTpi" },
      "GET /metrics",
      VMAFX_ERR_UNAUTHENTICATED,
      "",
      VMAFX_ROLE_ANYONE },
    { "loopback without a header is as before",
      { 0 },
      false,
      { .loopback = true },
      "GET /metrics",
      VMAFX_OK,
      "local",
      VMAFX_ROLE_EVERYTHING },
    { "loopback where credentials are demanded",
      { .always_certificates = true },
      false,
      { .loopback = true, .authorization = "Bearer " READER },
      "GET /metrics",
      VMAFX_OK,
      "r",
      VMAFX_ROLE_READER },
    { "a page of another site that knows a token",
      { 0 },
      false,
      { .loopback = true, .host = "evil.example", .origin = "https://evil.example", .authorization = "Bearer " READER },
      "GET /metrics",
      VMAFX_OK,
      "r",
      VMAFX_ROLE_READER },
    { "a page of another site that does not",
      { 0 },
      false,
      { .loopback = true, .host = "evil.example" },
      "GET /metrics",
      VMAFX_ERR_UNAUTHENTICATED,
      "",
      VMAFX_ROLE_ANYONE },
    { "a server that knows no tokens",
      { 0 },
      true,
      { .loopback = true, .authorization = "Bearer " BOB },
      "GET /metrics",
      VMAFX_ERR_UNAUTHENTICATED,
      "",
      VMAFX_ROLE_ANYONE },
    { "a probe with an expired token",
      { 0 },
      false,
      { .encrypted = true, .authorization = "Bearer " ENDED },
      "GET /livez",
      VMAFX_OK,
      "",
      VMAFX_ROLE_ANYONE },
    { "a probe with a good one",
      { 0 },
      false,
      { .encrypted = true, .authorization = "Bearer " BOB },
      "GET /livez",
      VMAFX_OK,
      "bob",
      VMAFX_ROLE_ADMIN },
    { "expired",
      { 0 },
      false,
      { .encrypted = true, .authorization = "Bearer " ENDED },
      "GET /metrics",
      VMAFX_ERR_UNAUTHENTICATED,
      "",
      VMAFX_ROLE_ANYONE },
    { "open metrics",
      { .open_metrics = true },
      false,
      { .encrypted = true },
      "GET /metrics",
      VMAFX_OK,
      "",
      VMAFX_ROLE_ANYONE },
    { "a tenant and everybody's figures",
      { 0 },
      false,
      { .encrypted = true, .authorization = "Bearer " ALICE },
      "GET /metrics",
      VMAFX_ERR_FORBIDDEN,
      "alice",
      VMAFX_ROLE_WRITER },
    { "also on loopback and in the open",
      { .insecure_listen = true },
      false,
      { .loopback = true, .authorization = "Bearer " ALICE },
      "GET /metrics",
      VMAFX_ERR_FORBIDDEN,
      "alice",
      VMAFX_ROLE_WRITER },
    { "a tenant where everybody sees them",
      { .open_metrics = true },
      false,
      { .encrypted = true, .authorization = "Bearer " ALICE },
      "GET /metrics",
      VMAFX_OK,
      "alice",
      VMAFX_ROLE_WRITER },
    { "a tenant and MCP",
      { 0 },
      false,
      { .encrypted = true, .authorization = "Bearer " ALICE },
      "POST /mcp",
      VMAFX_ERR_FORBIDDEN,
      "alice",
      VMAFX_ROLE_WRITER },
    { "a tenant and its jobs",
      { 0 },
      false,
      { .encrypted = true, .authorization = "Bearer " ALICE },
      "GET /v1/jobs",
      VMAFX_OK,
      "alice",
      VMAFX_ROLE_WRITER },
};

static void whom_a_token_lets_in_and_where_one_is_needed(void **state)
{
    const Folder *folder = *state;
    VMAFX_AUTO(vmafx_free_p) char *text = some_file();
    VMAFX_AUTO(vmafx_tokens_close) VmafxTokens *tokens = NULL;

    write_text(folder->file, text);
    assert_int_equal(vmafx_tokens_open(&(VmafxTokensConfig){ .path = folder->file }, &tokens, NULL), VMAFX_OK);
    for (size_t i = 0; i < VMAFX_LEN(decision_cases); i++) {
        const struct DecisionCase *c = &decision_cases[i];
        VmafxAuthPolicy policy = c->policy;
        VmafxAuthPeer peer = c->peer;
        VmafxIdentity identity;
        VmafxErrInfo info = { 0 };

        policy.tokens = c->no_tokens ? NULL : tokens;
        peer.now_s = NOW_S;
        memset(&identity, 'x', sizeof identity);
        if (vmafx_auth_decide(&policy, &peer, c->method, &identity, &info) != c->err || !*info.message != !c->err ||
            identity.role != c->role || strcmp(identity.name, c->name) != 0)
            fail_msg("%s: %s '%s' '%s'", c->why, vmafx_role_name(identity.role), identity.name, info.message);
        assert_string_equal(identity.tenant, strcmp(c->name, "alice") ? "" : "films");
    }
}

static void each_token_may_call_exactly_what_its_role_may(void **state)
{
    static const char *const headers[] = { [VMAFX_ROLE_READER] = "Bearer " READER,
                                           [VMAFX_ROLE_WRITER] = "Bearer " ALICE,
                                           [VMAFX_ROLE_ADMIN] = "Bearer " BOB };
    const Folder *folder = *state;
    VMAFX_AUTO(vmafx_free_p) char *text = some_file();
    VMAFX_AUTO(vmafx_tokens_close) VmafxTokens *tokens = NULL;
    VmafxRole needs;
    const char *method;

    write_text(folder->file, text);
    assert_int_equal(vmafx_tokens_open(&(VmafxTokensConfig){ .path = folder->file }, &tokens, NULL), VMAFX_OK);
    for (size_t i = 0; (method = vmafx_permission_at(i, &needs)); i++)
        for (int has = VMAFX_ROLE_READER; has <= VMAFX_ROLE_ADMIN; has++) {
            VmafxAuthPolicy policy = { .tokens = tokens };
            VmafxAuthPeer peer = { .encrypted = true, .authorization = headers[has], .now_s = NOW_S };
            VmafxIdentity identity;
            bool shared =
                strstr(method, " /metrics") || strstr(method, " /mcp"); /* which Alice's tenant does not see */
            bool may = needs == VMAFX_ROLE_ANYONE || (needs != VMAFX_ROLE_NODE && has >= (int)needs &&
                                                      !(shared && headers[has] == headers[VMAFX_ROLE_WRITER]));

            if (vmafx_auth_decide(&policy, &peer, method, &identity, NULL) != (may ? VMAFX_OK : VMAFX_ERR_FORBIDDEN))
                fail_msg("%s, %s", headers[has], method);
        }
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, new_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_says_who_may_what_and_until_when),
        cmocka_unit_test(every_mistake_in_a_file_names_its_line),
        cmocka_unit_test(a_zero_byte_is_refused),
        cmocka_unit_test(lines_bytes_and_their_number_have_limits),
        cmocka_unit_test(times_are_those_of_rfc_3339),
        cmocka_unit_test(a_header_is_one_valid_token_in_the_scheme_bearer_and_nothing_else),
        cmocka_unit_test(while_nobody_knows_the_time_only_tokens_without_an_end_are_valid),
        cmocka_unit_test(every_line_of_a_full_file_is_found),
        WITH_FOLDER(a_new_token_is_random_valid_and_lies_in_the_file_as_a_hash_only),
        WITH_FOLDER(revoking_takes_out_a_name_or_one_id_and_leaves_every_other_byte),
        WITH_FOLDER(what_cannot_be_added_changes_nothing),
        WITH_FOLDER(a_file_that_cannot_be_read_back_is_not_written),
        WITH_FOLDER(those_who_add_at_the_same_time_do_not_lose_each_others_lines),
        WITH_FOLDER(running_servers_follow_their_file_and_a_broken_one_changes_nothing),
        WITH_FOLDER(without_a_sound_file_there_is_nothing_to_follow),
        WITH_FOLDER(files_that_others_may_read_or_write_are_known),
        WITH_FOLDER(whom_a_token_lets_in_and_where_one_is_needed),
        WITH_FOLDER(each_token_may_call_exactly_what_its_role_may),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
