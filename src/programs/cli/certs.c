/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* `vmafx certs`: a private authority in a folder, certificates for the programs of a fleet, and what is in one. */

#include <dirent.h>
#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "auth/certs.h"
#include "base/base.h"
#include "base/nearest.h"
#include "base/config.h"
#include "programs/cli/cli.h"
#include "report/report.h"

#define WORDS_MAX 64 /* the action and its subjects */
#define DAY_S     86400

enum { O_FOLDER = 1, O_ROLE, O_HOST, O_DAYS, O_FORCE, O_RENEW, O_JSON };

static const CliOption certs_options[] = {
    { O_FOLDER, 'd', "directory", "DIR",
      "The folder of the authority; VMAFX_CERTS, else $XDG_DATA_HOME/vmafx/certs or ~/.local/share/vmafx/certs when "
      "not "
      "given.",
      NULL },
    { O_ROLE, 'r', "role", "ROLE", "What a client may do: reader, writer or admin.", "reader writer admin" },
    { O_HOST, 'H', "host", "HOST", "A host name or address that a server is reached by; may be given several times.",
      "" },
    { O_DAYS, 0, "days", "N", "How long it is valid; 365 when not given, 3650 for the authority.", "" },
    { O_RENEW, 0, "renew", NULL, "Make a new certificate for the key that is there.", NULL },
    { O_FORCE, 0, "force", NULL, "Replace key and certificate; whoever has the old ones is locked out.", NULL },
    { O_JSON, 0, "json", NULL, "Print JSON.", NULL },
    { 0 },
};

typedef struct Arguments {
    const char *words[WORDS_MAX];
    int n;
    const char *hosts[VMAFX_CERTS_HOSTS_MAX];
    size_t n_hosts;
    const char *folder, *role;
    int days;
    bool force, renew, json;
} Arguments;

static int complain(const char *message)
{
    fprintf(stderr, "vmafx certs: %s\n", message);
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
    case VMAFX_ERR_STATE:
        return EXIT_INPUT;
    default:
        return cli_exit_for(err);
    }
}

/* ($XDG_DATA_HOME or ~/.local/share)/vmafx/certs; NULL when there is no home. */
static char *home_folder(void)
{
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");

    if (data && *data)
        return vmafx_sprintf("%s/vmafx/certs", data);
    if (!home || !*home) {
        const struct passwd *user = getpwuid(getuid());

        home = user ? user->pw_dir : NULL;
    }
    return home && *home ? vmafx_sprintf("%s/.local/share/vmafx/certs", home) : NULL;
}

/* ---- showing ---- */

static void print_day(const char *before, int64_t unix_s)
{
    time_t t = (time_t)unix_s;
    struct tm tm;
    char text[32] = "?";

    if (gmtime_r(&t, &tm))
        strftime(text, sizeof text, "%Y-%m-%d", &tm);
    printf("%s%s", before, text);
}

static void show_text(const VmafxCertInfo *info, int64_t now_s)
{
    long long left = (long long)((info->not_after_s - now_s + DAY_S - 1) / DAY_S); /* a begun one counts */

    printf("%s\n", info->path);
    printf("  subject  %s\n", info->subject);
    if (info->identity.role)
        printf("  role     %s\n", vmafx_role_name(info->identity.role));
    if (*info->names)
        printf("  names    %s\n", info->names);
    printf("  issuer   %s%s\n", info->issuer, info->authority ? " (this is an authority)" : "");
    print_day("  valid    ", info->not_before_s);
    print_day(" to ", info->not_after_s);
    if (info->not_after_s <= now_s)
        puts(", EXPIRED");
    else if (info->not_before_s > now_s)
        puts(", NOT YET VALID");
    else
        printf(", %lld day%s left\n", left, left == 1 ? "" : "s");
    printf("  SHA-256  %s\n", info->fingerprint);
}

static void json_member(const char *name, const char *value)
{
    printf(", \"%s\": ", name);
    vmafx_json_string(stdout, value);
}

static void show_json(const VmafxCertInfo *info, int64_t now_s, bool first)
{
    printf("%s\n  {\"path\": ", first ? "" : ",");
    vmafx_json_string(stdout, info->path);
    json_member("subject", info->subject);
    json_member("issuer", info->issuer);
    json_member("names", info->names);
    if (info->identity.role) {
        json_member("role", vmafx_role_name(info->identity.role));
        json_member("name", info->identity.name);
    }
    printf(", \"authority\": %s, \"not_before\": %lld, \"not_after\": %lld, \"expired\": %s",
           info->authority ? "true" : "false", (long long)info->not_before_s, (long long)info->not_after_s,
           info->not_after_s <= now_s ? "true" : "false");
    json_member("sha256", info->fingerprint);
    putchar('}');
}

static void json_begin(bool json)
{
    if (json)
        fputs("{\"schema\": \"vmafx.certs\", \"schema_version\": 1, \"certificates\": [", stdout);
}

static void json_end(bool json)
{
    if (json)
        puts("\n]}");
}

static int is_certificate(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);

    return len > 4 && !strcmp(entry->d_name + len - 4, ".crt");
}

/* Shows files; an expired one, and one that cannot be read, ends the command with 3. */
static int show_files(const Arguments *a, char *const *paths, int n)
{
    int64_t now_s = time(NULL);
    int code = EXIT_COMPLETE;
    bool first = true;

    json_begin(a->json);
    for (int i = 0; i < n; i++) {
        VmafxErrInfo reterr = { 0 };
        VmafxCertInfo info;
        VmafxErr err = vmafx_certs_describe(paths[i], &info, &reterr);

        if (err) {
            fail(err, &reterr);
            code = EXIT_INPUT;
            continue;
        }
        if (a->json)
            show_json(&info, now_s, first);
        else
            show_text(&info, now_s);
        first = false;
        if (info.not_after_s <= now_s)
            code = EXIT_INPUT;
    }
    json_end(a->json);
    return code;
}

static int show_folder(const Arguments *a)
{
    struct dirent **entries;
    int n = scandir(a->folder, &entries, is_certificate, alphasort);
    char **paths = n > 0 ? calloc((size_t)n, sizeof *paths) : NULL;
    int code = EXIT_DEFECT, made = 0;

    if (n <= 0) {
        fprintf(stderr, "vmafx certs: there are no certificates in '%s'; `vmafx certs init` makes the authority\n",
                a->folder);
        if (n == 0)
            free(entries);
        return EXIT_INPUT;
    }
    for (int i = 0; i < n; i++) {
        if (paths && made == i && (paths[i] = vmafx_sprintf("%s/%s", a->folder, entries[i]->d_name)))
            made++;
        free(entries[i]);
    }
    free(entries);
    if (made == n)
        code = show_files(a, paths, n);
    while (paths && made)
        free(paths[--made]);
    free(paths);
    return code;
}

static int show(const Arguments *a)
{
    return a->n > 1 ? show_files(a, (char *const *)(a->words + 1), a->n - 1) : show_folder(a);
}

/* ---- making ---- */

static int report(const Arguments *a, VmafxErr err, const VmafxCertInfo *info, const VmafxErrInfo *reterr)
{
    int64_t now_s = time(NULL);

    if (err)
        return fail(err, reterr);
    json_begin(a->json);
    if (a->json)
        show_json(info, now_s, true);
    else
        show_text(info, now_s);
    json_end(a->json);
    return EXIT_COMPLETE;
}

static VmafxCertsOptions options_of(const Arguments *a)
{
    return (VmafxCertsOptions){
        .folder = a->folder, .now_s = time(NULL), .days = a->days, .force = a->force, .renew = a->renew
    };
}

static int init(const Arguments *a)
{
    VmafxCertsOptions options = options_of(a);
    VmafxErrInfo reterr = { 0 };
    VmafxCertInfo info;

    return report(a, vmafx_certs_init(&options, &info, &reterr), &info, &reterr);
}

static int issue(const Arguments *a, VmafxCertKind kind)
{
    VmafxCertsOptions options = options_of(a);
    VmafxCertRequest request = { .kind = kind, .name = a->words[1], .hosts = a->hosts, .n_hosts = a->n_hosts };
    VmafxErrInfo reterr = { 0 };
    VmafxCertInfo info;

    if (!request.name) {
        fprintf(stderr, "vmafx certs: %s needs a name, as in `vmafx certs %s %s-1`\n", a->words[0], a->words[0],
                a->words[0]);
        return EXIT_USAGE;
    }
    if (a->role) {
        VmafxErr err = vmafx_role_parse(a->role, &request.role, &reterr);

        if (err)
            return fail(err, &reterr);
    }
    return report(a, vmafx_certs_issue(&options, &request, &info, &reterr), &info, &reterr);
}

static int node(const Arguments *a)
{
    return issue(a, VMAFX_CERT_NODE);
}

static int client(const Arguments *a)
{
    return issue(a, VMAFX_CERT_CLIENT);
}

static int server(const Arguments *a)
{
    return issue(a, VMAFX_CERT_SERVER);
}

/* ---- the command ---- */

static const struct {
    const char *name;
    int words_max;
    bool role, hosts, makes; /* takes these options; makes: --days, --force, --renew */
    int (*run)(const Arguments *a);
} actions[] = {
    { "init", 1, false, false, true, init },          { "node", 2, false, false, true, node },
    { "client", 2, true, false, true, client },       { "server", 2, false, true, true, server },
    { "show", WORDS_MAX, false, false, false, show },
};

static bool misuse(const char *action, const char *option)
{
    fprintf(stderr, "vmafx certs: %s does not take %s; `vmafx certs --help` explains the options\n", action, option);
    return true;
}

static int find_folder_and_run(Arguments *a, int (*run)(const Arguments *a))
{
    VMAFX_AUTO(vmafx_config_free) VmafxConfig *config = NULL;
    VMAFX_AUTO(vmafx_free_p) char *home = NULL;
    VmafxErrInfo reterr = { 0 };

    if (!a->folder) {
        VmafxErr err = vmafx_config_load(&config, &reterr);

        if (err)
            return complain(reterr.message);
        a->folder = vmafx_config_get(config, "VMAFX_CERTS", NULL);
    }
    if (!a->folder)
        a->folder = home = home_folder();
    if (!a->folder || !*a->folder)
        return complain("there is no home folder to put certificates into: name one with --directory DIR");
    return run(a);
}

static int run_action(Arguments *a)
{
    const char *names[VMAFX_LEN(actions)];

    if (a->n == 0)
        return complain("say what to do: init, node, client, server or show; `vmafx certs --help` has examples");
    for (size_t i = 0; i < VMAFX_LEN(actions); i++) {
        names[i] = actions[i].name;
        if (strcmp(a->words[0], names[i]) != 0)
            continue;
        if ((a->n > actions[i].words_max && misuse(names[i], "another argument")) ||
            (a->role && !actions[i].role && misuse(names[i], "--role")) ||
            (a->n_hosts && !actions[i].hosts && misuse(names[i], "--host")) ||
            ((a->days || a->force || a->renew) && !actions[i].makes && misuse(names[i], "--days, --force or --renew")))
            return EXIT_USAGE;
        return find_folder_and_run(a, actions[i].run);
    }
    const char *nearest = vmafx_nearest(a->words[0], names, VMAFX_LEN(names));
    fprintf(stderr, "vmafx certs: there is no '%s'", a->words[0]);
    if (nearest)
        fprintf(stderr, "; did you mean '%s'?\n", nearest);
    else
        fputs("; there are init, node, client, server and show\n", stderr);
    return EXIT_USAGE;
}

/* False: it was refused, with a sentence. */
static bool take(Arguments *a, int id, const char *value)
{
    long long days;

    switch (id) {
    case O_FOLDER:
        a->folder = value;
        return true;
    case O_ROLE:
        a->role = value;
        return true;
    case O_HOST:
        if (a->n_hosts == VMAFX_CERTS_HOSTS_MAX)
            return complain("a server has at most 16 hosts") == EXIT_COMPLETE;
        a->hosts[a->n_hosts++] = value;
        return true;
    case O_DAYS:
        if (!cli_int("days", value, 1, VMAFX_CERTS_DAYS_MAX, &days))
            return false;
        a->days = (int)days;
        return true;
    case O_FORCE:
        return a->force = true;
    case O_RENEW:
        return a->renew = true;
    case O_JSON:
        return a->json = true;
    case CLI_POSITIONAL:
        if (a->n == WORDS_MAX)
            return complain("too many arguments at a time") == EXIT_COMPLETE;
        a->words[a->n++] = value;
        return true;
    default:
        return false;
    }
}

static int run_certs(int argc, char **argv)
{
    Arguments a = { 0 };
    CliParser parser;
    const char *value;
    int id;

    cli_parser_init(&parser, &cli_certs, argc, argv);
    while ((id = cli_next(&parser, &value)) != CLI_END) {
        if (id == CLI_HELP)
            return EXIT_COMPLETE;
        if (!take(&a, id, value))
            return EXIT_USAGE;
    }
    return run_action(&a);
}

const CliCommand cli_certs = {
    .name = "certs",
    .summary = "make and show certificates for a fleet",
    .usage = "init | node NAME | client NAME --role ROLE | server NAME --host HOST... | show [FILE...]",
    .examples = "# once: a private authority\n"
                "vmafx certs init\n"
                "# the controller, by the names that others reach it by\n"
                "vmafx certs server controller --host controller.example --host 192.0.2.7\n"
                "# a node, and somebody who submits jobs\n"
                "vmafx certs node node-1\n"
                "vmafx certs client alice --role writer\n"
                "# what is there, and until when is it valid?\n"
                "vmafx certs show\n"
                "# before it expires\n"
                "vmafx certs node node-1 --renew\n",
    .notes =
        "Each program gets its own pair, such as node-node-1.crt and node-node-1.key, and ca.crt. The authority's "
        "key, ca.key, stays where it is: whoever has it can be anybody.\n\n"
        "Nothing is overwritten without --renew or --force. --renew keeps the key and, unless said otherwise, role "
        "and hosts. After `init --force` every certificate has to be made again.\n\n"
        "Exit status: 0 done, 2 usage, 3 a certificate is missing, unreadable or expired, 6 not written.",
    .options = certs_options,
    .words = "init node client server show",
    .files = true,
    .run = run_certs,
};
