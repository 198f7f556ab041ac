/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* `vmafx tokens`: makes, lists and revokes the bearer tokens of a file that servers read. */

#include "auth/tokens.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "base/nearest.h"
#include "base/config.h"
#include "base/folders.h"
#include "programs/cli/cli.h"
#include "report/report.h"

#define DAY_S 86400

enum { O_ROLE = 1, O_TENANT, O_DAYS, O_FILE, O_JSON };

static const CliOption tokens_options[] = {
    { O_ROLE, 'r', "role", "ROLE", "What its bearer may do: reader, writer or admin.", "reader writer admin" },
    { O_TENANT, 't', "tenant", "NAME", "Whose jobs and results its bearer sees, where a server keeps tenants apart.",
      "" },
    { O_DAYS, 0, "days", "N", "How long it is valid; 365 when not given, 0 for ever.", "" },
    { O_FILE, 'f', "file", "FILE",
      "The file of hashes; VMAFX_TOKENS, else $XDG_CONFIG_HOME/vmafx/tokens or ~/.config/vmafx/tokens when not given.",
      NULL },
    { O_JSON, 0, "json", NULL, "Print JSON.", NULL },
    { 0 },
};

typedef struct Arguments {
    const char *words[2]; /* the action and its subject */
    int n;
    const char *role, *tenant, *file;
    long long days;
    bool has_days, json;
    char *home; /* where the file is when nothing says so */
} Arguments;

static int complain(const char *message)
{
    fprintf(stderr, "vmafx tokens: %s\n", message);
    return EXIT_USAGE;
}

static int fail(VmafxErr err, const VmafxErrInfo *info)
{
    complain(*info->message ? info->message : vmafx_err_text(err));
    switch (err) {
    case VMAFX_ERR_INVALID:
        return EXIT_USAGE;
    case VMAFX_ERR_IO:
    case VMAFX_ERR_CONFLICT:
        return EXIT_OUTPUT;
    case VMAFX_ERR_SYNTAX:
    case VMAFX_ERR_LIMIT:
        return EXIT_INPUT;
    default:
        return cli_exit_for(err);
    }
}

/* ($XDG_CONFIG_HOME or ~/.config)/vmafx/tokens; NULL when there is no home. */
static char *home_file(void)
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

    if (config && *config)
        return vmafx_sprintf("%s/vmafx/tokens", config);
    if (!home || !*home) {
        const struct passwd *user = getpwuid(getuid());

        home = user ? user->pw_dir : NULL;
    }
    return home && *home ? vmafx_sprintf("%s/.config/vmafx/tokens", home) : NULL;
}

/* ---- showing ---- */

static void id_of(const VmafxToken *token, char ret[VMAFX_TOKENS_ID_LEN + 1])
{
    for (int i = 0; i < VMAFX_TOKENS_ID_LEN / 2; i++)
        snprintf(ret + 2 * i, 3, "%02x", token->hash[i]);
}

static void expiry_of(const VmafxToken *token, const char *never, char ret[VMAFX_TOKEN_TIME_TEXT])
{
    if (token->expires_s == INT64_MAX)
        snprintf(ret, VMAFX_TOKEN_TIME_TEXT, "%s", never);
    else
        vmafx_token_time_format(token->expires_s, ret);
}

static void json_member(const char *name, const char *value)
{
    printf(", \"%s\": ", name);
    vmafx_json_string(stdout, value);
}

static void json_token(const VmafxToken *token, int64_t now_s)
{
    char id[VMAFX_TOKENS_ID_LEN + 1], when[VMAFX_TOKEN_TIME_TEXT];

    id_of(token, id);
    printf("\"id\": \"%s\"", id);
    json_member("name", token->identity.name);
    json_member("role", vmafx_role_name(token->identity.role));
    if (*token->identity.tenant)
        json_member("tenant", token->identity.tenant);
    expiry_of(token, "", when);
    if (*when)
        json_member("expires", when);
    printf(", \"expired\": %s", token->expires_s <= now_s ? "true" : "false");
}

static void list_json(const VmafxTokenTable *table, int64_t now_s)
{
    const VmafxToken *token;

    fputs("{\"schema\": \"vmafx.tokens\", \"schema_version\": 1, \"tokens\": [", stdout);
    for (size_t i = 0; (token = vmafx_token_table_at(table, i)); i++) {
        fputs(i ? ",\n  {" : "\n  {", stdout);
        json_token(token, now_s);
        putchar('}');
    }
    puts("\n]}");
}

static void list_text(const VmafxTokenTable *table, int64_t now_s)
{
    const VmafxToken *token;
    size_t wide = strlen("NAME"), wide_tenant = strlen("TENANT");

    for (size_t i = 0; (token = vmafx_token_table_at(table, i)); i++) {
        wide = VMAFX_MAX(wide, strlen(token->identity.name));
        wide_tenant = VMAFX_MAX(wide_tenant, strlen(token->identity.tenant));
    }
    printf("%-*s  %-*s  ROLE    %-*s  EXPIRES\n", VMAFX_TOKENS_ID_LEN, "ID", (int)wide, "NAME", (int)wide_tenant,
           "TENANT");
    for (size_t i = 0; (token = vmafx_token_table_at(table, i)); i++) {
        char id[VMAFX_TOKENS_ID_LEN + 1], when[VMAFX_TOKEN_TIME_TEXT];

        id_of(token, id);
        expiry_of(token, "never", when);
        printf("%s  %-*s  %-6s  %-*s  %s%s\n", id, (int)wide, token->identity.name,
               vmafx_role_name(token->identity.role), (int)wide_tenant,
               *token->identity.tenant ? token->identity.tenant : "-", when,
               token->expires_s <= now_s ? " EXPIRED" : "");
    }
}

static int list(const Arguments *a)
{
    VMAFX_AUTO(vmafx_token_table_free) VmafxTokenTable *table = NULL;
    VmafxErrInfo info = { 0 };
    VmafxErr err = vmafx_tokens_read(a->file, &table, &info);

    if (err == VMAFX_ERR_NOT_FOUND) {
        fprintf(stderr, "vmafx tokens: there is no file '%s' yet; `vmafx tokens new NAME --role ROLE` makes it\n",
                a->file);
        return EXIT_INPUT;
    }
    if (err)
        return fail(err, &info);
    if (a->json)
        list_json(table, time(NULL));
    else
        list_text(table, time(NULL));
    return EXIT_COMPLETE;
}

/* ---- changing ---- */

static void show_new(const Arguments *a, const VmafxTokenNew *made)
{
    char when[VMAFX_TOKEN_TIME_TEXT];

    if (a->json) {
        fputs("{\"schema\": \"vmafx.tokens\", \"schema_version\": 1, \"token\": ", stdout);
        vmafx_json_string(stdout, made->text);
        fputs(", ", stdout);
        json_token(&made->token, 0);
        puts("}");
    } else {
        puts(made->text);
    }
    expiry_of(&made->token, "for ever", when);
    fprintf(stderr,
            "That is the token of '%s', a %s%s%s, valid %s%s. It is shown this once: '%s' has only its hash.\n"
            "  curl -H \"Authorization: Bearer $TOKEN\" https://HOST:PORT/metrics\n",
            made->token.identity.name, vmafx_role_name(made->token.identity.role),
            *made->token.identity.tenant ? " of tenant " : "", made->token.identity.tenant,
            made->token.expires_s == INT64_MAX ? "" : "until ", when, a->file);
}

static VmafxErr make_folder_of(const char *file, VmafxErrInfo *reterr)
{
    const char *slash = strrchr(file, '/');
    VMAFX_AUTO(vmafx_free_p) char *folder = slash ? vmafx_sprintf("%.*s", (int)(slash - file), file) : NULL;

    if (!slash || slash == file)
        return VMAFX_OK;
    return folder ? vmafx_make_folders(folder, 0700, reterr) : VMAFX_ERR_NOMEM;
}

static int make(const Arguments *a)
{
    VmafxIdentity identity = { 0 };
    VmafxErrInfo info = { 0 };
    VmafxTokenNew made;
    long long days = a->has_days ? a->days : VMAFX_TOKENS_DAYS;

    if (!a->words[1])
        return complain("whose token? As in `vmafx tokens new alice --role reader`");
    if (!a->role)
        return complain("what may its bearer do? --role reader, writer or admin");
    VmafxErr err = vmafx_role_parse(a->role, &identity.role, &info);
    if (err)
        return fail(err, &info);
    if (strlen(a->words[1]) >= sizeof identity.name || (a->tenant && strlen(a->tenant) >= sizeof identity.tenant))
        return complain("names of bearers and tenants have at most 63 letters");
    snprintf(identity.name, sizeof identity.name, "%s", a->words[1]);
    snprintf(identity.tenant, sizeof identity.tenant, "%s", a->tenant ? a->tenant : "");
    if (a->tenant && !*a->tenant)
        return complain("--tenant is empty; leave it away for none");
    if (a->home) /* what somebody named is theirs to make */
        err = make_folder_of(a->file, &info);
    if (!err)
        err = vmafx_tokens_add(a->file, &identity, days ? (int64_t)time(NULL) + days * DAY_S : INT64_MAX, &made, &info);
    if (err)
        return fail(err, &info);
    show_new(a, &made);
    vmafx_token_new_wipe(&made);
    return EXIT_COMPLETE;
}

static int take_away(const Arguments *a)
{
    VmafxErrInfo info = { 0 };
    size_t n;

    if (!a->words[1])
        return complain("whose token? As in `vmafx tokens revoke alice`, or with an id of `vmafx tokens list`");
    VmafxErr err = vmafx_tokens_remove(a->file, a->words[1], &n, &info);
    if (err)
        return fail(err, &info);
    if (a->json)
        printf("{\"schema\": \"vmafx.tokens\", \"schema_version\": 1, \"revoked\": %zu}\n", n);
    else
        printf("%zu token%s of '%s' revoked; running servers refuse %s within two seconds\n", n, n == 1 ? "" : "s",
               a->words[1], n == 1 ? "it" : "them");
    return EXIT_COMPLETE;
}

/* ---- the command ---- */

static const struct {
    const char *name;
    bool subject, makes; /* takes a name; takes --role, --tenant and --days */
    int (*run)(const Arguments *a);
} actions[] = {
    { "new", true, true, make },
    { "list", false, false, list },
    { "revoke", true, false, take_away },
};

static int find_file_and_run(Arguments *a, int (*run)(const Arguments *a))
{
    VMAFX_AUTO(vmafx_config_free) VmafxConfig *config = NULL;
    VMAFX_AUTO(vmafx_free_p) char *home = NULL;
    VmafxErrInfo info = { 0 };

    if (!a->file) {
        if (vmafx_config_load(&config, &info))
            return complain(info.message);
        a->file = vmafx_config_get(config, "VMAFX_TOKENS", NULL);
    }
    if (!a->file)
        a->file = a->home = home = home_file();
    if (!a->file || !*a->file)
        return complain("there is no home folder to put tokens into: name a file with --file FILE");
    return run(a);
}

static int misuse(const char *action, const char *what)
{
    fprintf(stderr, "vmafx tokens: `%s` does not take %s; `vmafx tokens --help` has examples\n", action, what);
    return EXIT_USAGE;
}

static int run_action(Arguments *a)
{
    const char *names[VMAFX_LEN(actions)];

    if (!a->n)
        return complain("say what to do: new, list or revoke; `vmafx tokens --help` has examples");
    for (size_t i = 0; i < VMAFX_LEN(actions); i++) {
        names[i] = actions[i].name;
        if (strcmp(a->words[0], names[i]) != 0)
            continue;
        if (a->n > 1 && !actions[i].subject)
            return misuse(names[i], "another argument");
        if ((a->role || a->tenant || a->has_days) && !actions[i].makes)
            return misuse(names[i], "--role, --tenant or --days");
        return find_file_and_run(a, actions[i].run);
    }
    const char *nearest = vmafx_nearest(a->words[0], names, VMAFX_LEN(names));
    fprintf(stderr, "vmafx tokens: there is no '%s'", a->words[0]);
    if (nearest)
        fprintf(stderr, "; did you mean '%s'?\n", nearest);
    else
        fputs("; there are new, list and revoke\n", stderr);
    return EXIT_USAGE;
}

/* False: it was refused, with a sentence. */
static bool take(Arguments *a, int id, const char *value)
{
    switch (id) {
    case O_ROLE:
        a->role = value;
        return true;
    case O_TENANT:
        a->tenant = value;
        return true;
    case O_DAYS:
        return a->has_days = cli_int("days", value, 0, VMAFX_TOKENS_DAYS_MAX, &a->days);
    case O_FILE:
        a->file = value;
        return true;
    case O_JSON:
        return a->json = true;
    case CLI_POSITIONAL:
        if (a->n == VMAFX_LEN(a->words))
            return complain("one name at a time") == EXIT_COMPLETE;
        a->words[a->n++] = value;
        return true;
    default:
        return false;
    }
}

static int run_tokens(int argc, char **argv)
{
    Arguments a = { 0 };
    CliParser parser;
    const char *value;
    int id;

    cli_parser_init(&parser, &cli_tokens, argc, argv);
    while ((id = cli_next(&parser, &value)) != CLI_END) {
        if (id == CLI_HELP)
            return EXIT_COMPLETE;
        if (!take(&a, id, value))
            return EXIT_USAGE;
    }
    return run_action(&a);
}

const CliCommand cli_tokens = {
    .name = "tokens",
    .summary = "make, list and revoke bearer tokens for HTTP",
    .usage = "new NAME --role ROLE [--tenant T] [--days N] | list | revoke NAME|ID [--file FILE]",
    .examples = "# for somebody who submits jobs; the token is on standard output, this once\n"
                "vmafx tokens new alice --role writer\n"
                "# for a Prometheus server, in the file that a controller reads\n"
                "vmafx tokens new prometheus --role reader --file /etc/vmafx/tokens >prometheus.token\n"
                "# who has one, and until when?\n"
                "vmafx tokens list\n"
                "# take all of hers away, or one of them by its id\n"
                "vmafx tokens revoke alice\n"
                "vmafx tokens revoke 5f1d09c2a7b4\n",
    .notes = "The file has hashes, a line each, and no tokens: who reads it can call nothing; who writes it can let "
             "anybody in. It is replaced in one step; servers that have it as VMAFX_TOKENS read it again within a "
             "second.\n\n"
             "To replace a token, make a second one of the same name, hand it out, then revoke the first by its id.\n\n"
             "Exit status: 0 done, 2 usage, 3 the file or the token is missing, or a line of the file is wrong, 6 not "
             "written, or the name is taken.",
    .options = tokens_options,
    .words = "new list revoke",
    .run = run_tokens,
};
