/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Who may call what, and certificates on disk. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "auth/auth.h"
#include "auth/certs.h"
#include "base/base.h"

#define NOW_S INT64_C(1760000000)
#define DAY_S 86400

/* ---- decisions ---- */

static VmafxAuthPeer with_certificate(const char *const *names, size_t n)
{
    return (VmafxAuthPeer){ .encrypted = true, .authenticated = true, .names = names, .n_names = n };
}

static VmafxErr decide_as(const char *uri, const char *method)
{
    VmafxAuthPeer peer = with_certificate(&uri, 1);
    VmafxIdentity identity;

    return vmafx_auth_decide(&(VmafxAuthPolicy){ 0 }, &peer, method, &identity, NULL);
}

static void each_role_may_call_exactly_what_the_table_says(void **state)
{
    static const char *const uris[] = { "vmafx://reader/r", "vmafx://writer/w", "vmafx://admin/a", "vmafx://node/n" };
    VmafxRole needs;
    const char *method;

    (void)state;
    for (size_t i = 0; (method = vmafx_permission_at(i, &needs)); i++) {
        for (int has = VMAFX_ROLE_READER; has <= VMAFX_ROLE_NODE; has++) {
            bool node = has == VMAFX_ROLE_NODE, may = needs == VMAFX_ROLE_ANYONE;

            if (needs == VMAFX_ROLE_NODE || node)
                may = may || (int)needs == has;
            else
                may = has >= (int)needs;
            if (decide_as(uris[has - 1], method) != (may ? VMAFX_OK : VMAFX_ERR_FORBIDDEN))
                fail_msg("%s, %s", uris[has - 1], method);
        }
    }
}

static void some_decisions_spelled_out(void **state)
{
    static const struct {
        const char *uri, *method;
        VmafxErr err;
    } cases[] = {
        { "vmafx://reader/bob", "/vmafx.v1.Jobs/GetJob", VMAFX_OK },
        { "vmafx://reader/bob", "/vmafx.v1.Jobs/SubmitJob", VMAFX_ERR_FORBIDDEN },
        { "vmafx://writer/bob", "/vmafx.v1.Jobs/SubmitJob", VMAFX_OK },
        { "vmafx://writer/bob", "/vmafx.v1.Fleet/DrainNode", VMAFX_ERR_FORBIDDEN },
        { "vmafx://admin/bob", "/vmafx.v1.Fleet/DrainNode", VMAFX_OK },
        { "vmafx://admin/bob", "/vmafx.v1.Fleet/Connect", VMAFX_ERR_FORBIDDEN }, /* an admin is no node */
        { "vmafx://node/n1", "/vmafx.v1.Fleet/Connect", VMAFX_OK },
        { "vmafx://node/n1", "/vmafx.v1.Jobs/GetJob", VMAFX_ERR_FORBIDDEN },
        { "vmafx://node/n1", "/grpc.health.v1.Health/Check", VMAFX_OK },
        { "vmafx://admin/bob", "/vmafx.v1.Jobs/NoSuchMethod", VMAFX_ERR_FORBIDDEN },
        { "vmafx://admin/bob", "", VMAFX_ERR_FORBIDDEN },
        { "vmafx://admin/bob", "POST /livez", VMAFX_ERR_FORBIDDEN },
        { "controller.example", "/vmafx.v1.Jobs/GetJob", VMAFX_ERR_UNAUTHENTICATED }, /* a server's name */
        { "vmafx://everything/bob", "/vmafx.v1.Jobs/GetJob", VMAFX_ERR_UNAUTHENTICATED },
        { "vmafx://anyone/bob", "/vmafx.v1.Jobs/GetJob", VMAFX_ERR_UNAUTHENTICATED },
        { "vmafx://admin/", "/vmafx.v1.Jobs/GetJob", VMAFX_ERR_UNAUTHENTICATED },
        { "vmafx://admin/a/b", "/vmafx.v1.Jobs/GetJob", VMAFX_ERR_UNAUTHENTICATED },
        { "vmafx://ADMIN/a", "/vmafx.v1.Jobs/GetJob", VMAFX_ERR_UNAUTHENTICATED },
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(cases); i++)
        if (decide_as(cases[i].uri, cases[i].method) != cases[i].err)
            fail_msg("%s, %s", cases[i].uri, cases[i].method);
}

static void a_certificate_with_two_identities_has_none(void **state)
{
    const char *two[] = { "vmafx://reader/a", "vmafx://admin/a" },
               *twice[] = { "vmafx://reader/a", "host.example", "vmafx://reader/a" };
    VmafxAuthPeer peer = with_certificate(two, 2);
    VmafxIdentity identity;
    VmafxErrInfo info = { 0 };

    (void)state;
    assert_int_equal(vmafx_auth_decide(&(VmafxAuthPolicy){ 0 }, &peer, "/vmafx.v1.Jobs/GetJob", &identity, &info),
                     VMAFX_ERR_UNAUTHENTICATED);
    assert_non_null(strstr(info.message, "two identities"));
    peer = with_certificate(twice, 3);
    assert_int_equal(vmafx_auth_decide(&(VmafxAuthPolicy){ 0 }, &peer, "/vmafx.v1.Jobs/GetJob", &identity, NULL),
                     VMAFX_OK);
    assert_string_equal(identity.name, "a");
    assert_int_equal(identity.role, VMAFX_ROLE_READER);
}

static void where_a_peer_without_a_certificate_comes_from_decides(void **state)
{
    static const struct {
        const char *why;
        VmafxAuthPolicy policy;
        VmafxAuthPeer peer;
        const char *method;
        VmafxErr err;
        const char *name;
    } cases[] = {
        { "loopback", { 0 }, { .loopback = true }, "/vmafx.v1.Fleet/DrainNode", VMAFX_OK, "local" },
        { "loopback, but not in the table", { 0 }, { .loopback = true }, "/x.Y/Z", VMAFX_ERR_FORBIDDEN, NULL },
        { "loopback and certificates demanded",
          { .always_certificates = true },
          { .loopback = true },
          "/vmafx.v1.Jobs/GetJob",
          VMAFX_ERR_UNAUTHENTICATED,
          NULL },
        { "loopback over TLS without a certificate",
          { 0 },
          { .loopback = true, .encrypted = true },
          "/vmafx.v1.Jobs/GetJob",
          VMAFX_ERR_UNAUTHENTICATED,
          NULL },
        { "another machine, plain", { 0 }, { 0 }, "/vmafx.v1.Jobs/GetJob", VMAFX_ERR_UNAUTHENTICATED, NULL },
        { "another machine, plain, insecure",
          { .insecure_listen = true },
          { 0 },
          "/vmafx.v1.Jobs/SubmitJob",
          VMAFX_OK,
          "anonymous" },
        { "certificates demanded stands over insecure",
          { .insecure_listen = true, .always_certificates = true },
          { 0 },
          "/vmafx.v1.Jobs/SubmitJob",
          VMAFX_ERR_UNAUTHENTICATED,
          NULL },
        { "a probe from another machine", { 0 }, { .encrypted = true }, "GET /livez", VMAFX_OK, "" },
        { "metrics from another machine",
          { 0 },
          { .encrypted = true },
          "GET /metrics",
          VMAFX_ERR_UNAUTHENTICATED,
          NULL },
        { "open metrics", { .open_metrics = true }, { .encrypted = true }, "GET /metrics", VMAFX_OK, "" },
        { "a browser at this machine's address",
          { 0 },
          { .loopback = true, .host = "127.0.0.1:7800", .origin = "http://localhost:7800" },
          "GET /metrics",
          VMAFX_OK,
          "local" },
        { "IPv6", { 0 }, { .loopback = true, .host = "[::1]:7800" }, "GET /metrics", VMAFX_OK, "local" },
        { "a page of another site",
          { 0 },
          { .loopback = true, .host = "127.0.0.1:7800", .origin = "https://evil.example" },
          "GET /metrics",
          VMAFX_ERR_UNAUTHENTICATED,
          NULL },
        { "a page without an origin",
          { 0 },
          { .loopback = true, .origin = "null" },
          "GET /metrics",
          VMAFX_ERR_UNAUTHENTICATED,
          NULL },
        { "a name that was made to lead here",
          { 0 },
          { .loopback = true, .host = "evil.example:7800" },
          "GET /metrics",
          VMAFX_ERR_UNAUTHENTICATED,
          NULL },
        { "a name that begins like ours",
          { 0 },
          { .loopback = true, .host = "localhost.evil.example" },
          "GET /metrics",
          VMAFX_ERR_UNAUTHENTICATED,
          NULL },
        { "an address that begins like ours",
          { 0 },
          { .loopback = true, .host = "127.0.0.1.evil.example" },
          "GET /metrics",
          VMAFX_ERR_UNAUTHENTICATED,
          NULL },
        { "text behind brackets",
          { 0 },
          { .loopback = true, .host = "[::1].evil.example" },
          "GET /metrics",
          VMAFX_ERR_UNAUTHENTICATED,
          NULL },
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VmafxIdentity identity = { 0 };
        VmafxErrInfo info = { 0 };

        if (vmafx_auth_decide(&cases[i].policy, &cases[i].peer, cases[i].method, &identity, &info) != cases[i].err)
            fail_msg("%s", cases[i].why);
        assert_int_equal(!info.message[0], !cases[i].err);
        if (cases[i].name)
            assert_string_equal(identity.name, cases[i].name);
    }
}

static void a_node_speaks_for_itself_only(void **state)
{
    VmafxIdentity node = { .role = VMAFX_ROLE_NODE, .name = "n1" },
                  local = { .role = VMAFX_ROLE_EVERYTHING, .name = "local" },
                  admin = { .role = VMAFX_ROLE_ADMIN, .name = "n1" };

    (void)state;
    assert_int_equal(vmafx_auth_node(&node, "n1", NULL), VMAFX_OK);
    assert_int_equal(vmafx_auth_node(&node, "n2", NULL), VMAFX_ERR_FORBIDDEN);
    assert_int_equal(vmafx_auth_node(&node, "N1", NULL), VMAFX_ERR_FORBIDDEN);
    assert_int_equal(vmafx_auth_node(&local, "n2", NULL), VMAFX_OK);
    assert_int_equal(vmafx_auth_node(&admin, "n1", NULL), VMAFX_ERR_FORBIDDEN);
    assert_int_equal(vmafx_auth_node(&local, "../n2", NULL), VMAFX_ERR_INVALID);
}

static void off_loopback_nothing_listens_in_plain_text_unless_told_so(void **state)
{
    static const struct {
        const char *address;
        bool loopback;
    } cases[] = { { "127.0.0.1:7800", true },
                  { "127.9.9.9:1", true },
                  { "[::1]:0", true },
                  { "localhost:0", true },
                  { "unix:/tmp/x", true },
                  { "0.0.0.0:7800", false },
                  { "[::]:7800", false },
                  { "192.0.2.1:1", false },
                  { "example.org:1", false },
                  { "", false },
                  { "[::ffff:0.0.0.0]:1", false } };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        const char *address = cases[i].address;

        if (vmafx_auth_listen(&(VmafxAuthPolicy){ 0 }, address, false, NULL) !=
            (cases[i].loopback ? VMAFX_OK : VMAFX_ERR_FORBIDDEN))
            fail_msg("%s", address);
        assert_int_equal(vmafx_auth_listen(&(VmafxAuthPolicy){ 0 }, address, true, NULL), VMAFX_OK);
        assert_int_equal(vmafx_auth_listen(&(VmafxAuthPolicy){ .insecure_listen = true }, address, false, NULL),
                         VMAFX_OK);
    }
}

/* ---- the table is whole ---- */

static bool in_table(const char *method)
{
    VmafxRole role;
    const char *known;

    for (size_t i = 0; (known = vmafx_permission_at(i, &role)); i++)
        if (!strcmp(known, method))
            return true;
    return false;
}

/* Every `rpc Name(` below `service Service {` of a file; returns how many. */
static int check_proto(const char *file)
{
    VMAFX_AUTO(vmafx_free_p) char *path = vmafx_sprintf("%s/proto/vmafx/v1/%s", getenv("VMAFX_SOURCE_ROOT"), file);
    VMAFX_AUTO(vmafx_free_p) char *text = NULL;
    char service[64] = "", method[64], full[160];
    size_t len;
    int n = 0;

    if (!getenv("VMAFX_SOURCE_ROOT"))
        skip(); /* where the sources are is known to the build */
    assert_int_equal(vmafx_read_file(path, 1 << 20, &text, &len, NULL), VMAFX_OK);
    for (char *rest = text, *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        if (sscanf(line, "service %63[A-Za-z0-9_]", service) == 1)
            continue;
        if (sscanf(line, " rpc %63[A-Za-z0-9_]", method) != 1)
            continue;
        snprintf(full, sizeof full, "/vmafx.v1.%s/%s", service, method);
        if (!in_table(full))
            fail_msg("%s is not in src/auth/permissions.def", full);
        n++;
    }
    return n;
}

static void every_rpc_of_the_proto_files_is_in_the_table_and_no_other(void **state)
{
    VmafxRole role;
    const char *method;
    int in_protos = check_proto("jobs.proto") + check_proto("fleet.proto") + check_proto("scoring.proto"), ours = 0;

    (void)state;
    assert_true(in_protos >= 18);
    for (size_t i = 0; (method = vmafx_permission_at(i, &role)); i++)
        ours += !strncmp(method, "/vmafx.v1.", 10);
    assert_int_equal(ours, in_protos);
}

static void what_is_not_for_tenants_is_in_the_table(void **state)
{
    static const char *const methods[] = {
#define VMAFX_PERMISSION(method, role)
#define VMAFX_NOT_FOR_TENANTS(method) method,
#include "auth/permissions.def"
#undef VMAFX_PERMISSION
#undef VMAFX_NOT_FOR_TENANTS
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(methods); i++)
        if (!in_table(methods[i]))
            fail_msg("%s is not in src/auth/permissions.def", methods[i]);
}

static void no_method_is_in_the_table_twice(void **state)
{
    VmafxRole role;
    const char *a, *b;

    (void)state;
    for (size_t i = 0; (a = vmafx_permission_at(i, &role)); i++)
        for (size_t k = 0; k < i && (b = vmafx_permission_at(k, &role)); k++)
            if (!strcmp(a, b))
                fail_msg("%s", a);
}

/* ---- certificates ---- */

typedef struct Folder {
    char path[64], inner[80];
} Folder;

static int new_folder(void **state)
{
    Folder *folder = calloc(1, sizeof *folder);

    strcpy(folder->path, "/tmp/vmafx-auth-XXXXXX");
    assert_non_null(mkdtemp(folder->path));
    snprintf(folder->inner, sizeof folder->inner, "%s/a/certs", folder->path);
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

static VmafxCertsOptions options_in(const Folder *folder)
{
    return (VmafxCertsOptions){ .folder = folder->inner, .now_s = NOW_S };
}

static void must_init(const Folder *folder)
{
    VmafxCertsOptions options = options_in(folder);
    VmafxErrInfo info = { 0 };
    VmafxCertInfo ca;

    if (vmafx_certs_init(&options, &ca, &info))
        fail_msg("%s", info.message);
    assert_true(ca.authority);
    assert_string_equal(ca.subject, ca.issuer);
}

static char *content(const Folder *folder, const char *name)
{
    VMAFX_AUTO(vmafx_free_p) char *path = vmafx_sprintf("%s/%s", folder->inner, name);
    char *text = NULL;
    size_t len;

    assert_int_equal(vmafx_read_file(path, 1 << 20, &text, &len, NULL), VMAFX_OK);
    return text;
}

static mode_t mode_of(const Folder *folder, const char *name)
{
    VMAFX_AUTO(vmafx_free_p) char *path = vmafx_sprintf("%s/%s", folder->inner, name);
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static void certificates_say_who_and_until_when_and_keys_are_private(void **state)
{
    const Folder *folder = *state;
    VmafxCertsOptions options = options_in(folder);
    const char *hosts[] = { "controller.example", "192.0.2.7", "::1" };
    VmafxCertInfo info;

    must_init(folder);
    assert_int_equal(mode_of(folder, ""), 0700);
    assert_int_equal(mode_of(folder, "ca.key"), 0600);
    assert_int_equal(mode_of(folder, "ca.crt"), 0644);

    VmafxCertRequest node = { .kind = VMAFX_CERT_NODE, .name = "node-1" };
    assert_int_equal(vmafx_certs_issue(&options, &node, &info, NULL), VMAFX_OK);
    assert_string_equal(info.names, "URI:vmafx://node/node-1");
    assert_int_equal(info.identity.role, VMAFX_ROLE_NODE);
    assert_string_equal(info.identity.name, "node-1");
    assert_true(info.not_after_s == NOW_S + VMAFX_CERTS_DAYS * (int64_t)DAY_S);
    assert_true(info.not_before_s < NOW_S);
    assert_false(info.authority);
    assert_int_equal(strlen(info.fingerprint), 95);
    assert_int_equal(mode_of(folder, "node-node-1.key"), 0600);

    VmafxCertRequest client = { .kind = VMAFX_CERT_CLIENT, .name = "alice", .role = VMAFX_ROLE_WRITER };
    options.days = 7;
    assert_int_equal(vmafx_certs_issue(&options, &client, &info, NULL), VMAFX_OK);
    assert_string_equal(info.names, "URI:vmafx://writer/alice");
    assert_true(info.not_after_s == NOW_S + 7 * (int64_t)DAY_S);

    VmafxCertRequest server = { .kind = VMAFX_CERT_SERVER, .name = "controller", .hosts = hosts, .n_hosts = 3 };
    assert_int_equal(vmafx_certs_issue(&options, &server, &info, NULL), VMAFX_OK);
    assert_string_equal(info.names, "DNS:controller.example, IP:192.0.2.7, IP:::1");
    assert_int_equal(info.identity.role, VMAFX_ROLE_ANYONE);
    VmafxCertInfo again;
    assert_int_equal(vmafx_certs_describe(info.path, &again, NULL), VMAFX_OK);
    assert_string_equal(again.fingerprint, info.fingerprint);
}

static void nothing_is_overwritten_unless_asked_and_renewing_keeps_the_key(void **state)
{
    const Folder *folder = *state;
    VmafxCertsOptions options = options_in(folder);
    VmafxCertRequest client = { .kind = VMAFX_CERT_CLIENT, .name = "alice", .role = VMAFX_ROLE_ADMIN };
    VmafxCertInfo first, second;
    VmafxErrInfo info = { 0 };

    must_init(folder);
    assert_int_equal(vmafx_certs_init(&options, &second, &info), VMAFX_ERR_CONFLICT);
    assert_non_null(strstr(info.message, "--renew"));
    assert_int_equal(vmafx_certs_issue(&options, &client, &first, NULL), VMAFX_OK);
    VMAFX_AUTO(vmafx_free_p) char *key = content(folder, "client-alice.key");
    VMAFX_AUTO(vmafx_free_p) char *cert = content(folder, "client-alice.crt");
    assert_int_equal(vmafx_certs_issue(&options, &client, &second, NULL), VMAFX_ERR_CONFLICT);
    VMAFX_AUTO(vmafx_free_p) char *same_cert = content(folder, "client-alice.crt");
    assert_string_equal(cert, same_cert);

    options.renew = true;
    options.now_s += 100 * DAY_S;
    client.role = VMAFX_ROLE_ANYONE; /* not said: as before */
    assert_int_equal(vmafx_certs_issue(&options, &client, &second, NULL), VMAFX_OK);
    assert_int_equal(second.identity.role, VMAFX_ROLE_ADMIN);
    assert_true(second.not_after_s == first.not_after_s + 100 * DAY_S);
    VMAFX_AUTO(vmafx_free_p) char *same_key = content(folder, "client-alice.key");
    assert_string_equal(key, same_key);

    options.renew = false;
    options.force = true;
    client.role = VMAFX_ROLE_READER;
    assert_int_equal(vmafx_certs_issue(&options, &client, &second, NULL), VMAFX_OK);
    VMAFX_AUTO(vmafx_free_p) char *new_key = content(folder, "client-alice.key");
    assert_string_not_equal(key, new_key);
    assert_int_equal(mode_of(folder, "client-alice.key"), 0600);
    options.renew = true;
    assert_int_equal(vmafx_certs_issue(&options, &client, &second, NULL), VMAFX_ERR_INVALID);
}

static void a_certificate_ends_with_its_authority_which_signs_nothing_once_expired(void **state)
{
    const Folder *folder = *state;
    VmafxCertsOptions options = options_in(folder);
    VmafxCertRequest node = { .kind = VMAFX_CERT_NODE, .name = "n" };
    VmafxCertInfo info, ca;
    VmafxErrInfo sentence = { 0 };

    options.days = 10;
    assert_int_equal(vmafx_certs_init(&options, &ca, NULL), VMAFX_OK);
    options.days = 0;
    assert_int_equal(vmafx_certs_issue(&options, &node, &info, NULL), VMAFX_OK);
    assert_true(info.not_after_s == ca.not_after_s);
    options.now_s += 11 * DAY_S;
    options.renew = true;
    assert_int_equal(vmafx_certs_issue(&options, &node, &info, &sentence), VMAFX_ERR_STATE);
    assert_non_null(strstr(sentence.message, "init --renew"));
    VmafxCertInfo renewed;
    assert_int_equal(vmafx_certs_init(&options, &renewed, NULL), VMAFX_OK);
    assert_string_equal(renewed.subject, ca.subject);
    assert_int_equal(vmafx_certs_issue(&options, &node, &info, NULL), VMAFX_OK);
}

static void requests_that_cannot_be_meant_are_refused_and_leave_nothing(void **state)
{
    static const char *const hosts[] = { "a.example", "a b", "a,URI:vmafx://admin/x", "https://a", "a:80", "-a",
                                         "a..b",      "" };
    static const char *const names[] = {
        "",         "../x", "a/b",
        ".x",       "-x",   "a b",
        "\xC3\xA4", "a,b",  "0123456789012345678901234567890123456789012345678901234567890123"
    };
    const Folder *folder = *state;
    VmafxCertsOptions options = options_in(folder);
    VmafxCertInfo info;
    VmafxErrInfo sentence;

    must_init(folder);
    for (size_t i = 0; i < VMAFX_LEN(names); i++) {
        VmafxCertRequest node = { .kind = VMAFX_CERT_NODE, .name = names[i] };

        if (vmafx_certs_issue(&options, &node, &info, &sentence) != VMAFX_ERR_INVALID)
            fail_msg("%s", names[i]);
    }
    for (size_t i = 1; i < VMAFX_LEN(hosts); i++) {
        const char *two[] = { hosts[0], hosts[i] };
        VmafxCertRequest server = { .kind = VMAFX_CERT_SERVER, .name = "s", .hosts = two, .n_hosts = 2 };

        if (vmafx_certs_issue(&options, &server, &info, &sentence) != VMAFX_ERR_INVALID)
            fail_msg("%s", hosts[i]);
    }
    VmafxCertRequest roleless = { .kind = VMAFX_CERT_CLIENT, .name = "c" };
    assert_int_equal(vmafx_certs_issue(&options, &roleless, &info, NULL), VMAFX_ERR_INVALID);
    roleless.role = VMAFX_ROLE_NODE; /* nodes have a command of their own */
    assert_int_equal(vmafx_certs_issue(&options, &roleless, &info, NULL), VMAFX_ERR_INVALID);

    VMAFX_AUTO(vmafx_free_p) char *command = vmafx_sprintf("test \"$(ls -A '%s' | wc -l)\" = 2", folder->inner);
    assert_int_equal(system(command), 0); /* ca.crt, ca.key */
}

static void without_a_sound_authority_there_is_a_sentence(void **state)
{
    const Folder *folder = *state;
    VmafxCertsOptions options = options_in(folder);
    VmafxCertRequest node = { .kind = VMAFX_CERT_NODE, .name = "n" };
    VMAFX_AUTO(vmafx_free_p) char *key = vmafx_sprintf("%s/ca.key", folder->inner);
    VmafxErrInfo info = { 0 };
    VmafxCertInfo cert;

    assert_int_equal(vmafx_certs_issue(&options, &node, &cert, &info), VMAFX_ERR_NOT_FOUND);
    assert_non_null(strstr(info.message, "certs init"));
    options.renew = true;
    assert_int_equal(vmafx_certs_init(&options, &cert, &info), VMAFX_ERR_NOT_FOUND);
    options.renew = false;
    must_init(folder);
    assert_int_equal(chmod(key, 0640), 0);
    assert_int_equal(vmafx_certs_issue(&options, &node, &cert, &info), VMAFX_ERR_STATE);
    assert_non_null(strstr(info.message, "chmod 600"));
    assert_int_equal(truncate(key, 10), 0);
    assert_int_equal(chmod(key, 0600), 0);
    assert_int_equal(vmafx_certs_issue(&options, &node, &cert, &info), VMAFX_ERR_SYNTAX);
    assert_int_equal(vmafx_certs_describe(key, &cert, &info), VMAFX_ERR_SYNTAX);
    options.folder = "/proc/nowhere";
    assert_int_equal(vmafx_certs_init(&options, &cert, &info), VMAFX_ERR_IO);
}

static void keys_of_another_authority_are_noticed(void **state)
{
    const Folder *folder = *state;
    VmafxCertsOptions options = options_in(folder);
    VmafxCertRequest node = { .kind = VMAFX_CERT_NODE, .name = "n" };
    VMAFX_AUTO(vmafx_free_p)
    char *command = vmafx_sprintf("cp -p '%s/node-n.key' '%s/ca.key'", folder->inner, folder->inner);
    VmafxErrInfo info = { 0 };
    VmafxCertInfo cert;

    must_init(folder);
    assert_int_equal(vmafx_certs_issue(&options, &node, &cert, NULL), VMAFX_OK);
    assert_int_equal(system(command), 0);
    node.name = "m";
    assert_int_equal(vmafx_certs_issue(&options, &node, &cert, &info), VMAFX_ERR_STATE);
    assert_non_null(strstr(info.message, "do not belong together"));
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, new_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_role_may_call_exactly_what_the_table_says),
        cmocka_unit_test(some_decisions_spelled_out),
        cmocka_unit_test(a_certificate_with_two_identities_has_none),
        cmocka_unit_test(where_a_peer_without_a_certificate_comes_from_decides),
        cmocka_unit_test(a_node_speaks_for_itself_only),
        cmocka_unit_test(off_loopback_nothing_listens_in_plain_text_unless_told_so),
        cmocka_unit_test(every_rpc_of_the_proto_files_is_in_the_table_and_no_other),
        cmocka_unit_test(what_is_not_for_tenants_is_in_the_table),
        cmocka_unit_test(no_method_is_in_the_table_twice),
        WITH_FOLDER(certificates_say_who_and_until_when_and_keys_are_private),
        WITH_FOLDER(nothing_is_overwritten_unless_asked_and_renewing_keeps_the_key),
        WITH_FOLDER(a_certificate_ends_with_its_authority_which_signs_nothing_once_expired),
        WITH_FOLDER(requests_that_cannot_be_meant_are_refused_and_leave_nothing),
        WITH_FOLDER(without_a_sound_authority_there_is_a_sentence),
        WITH_FOLDER(keys_of_another_authority_are_noticed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
