/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Resources: merging, precedence, and detectors on made-up root folders. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "otel/sdk/resource.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* ---- A root folder ---- */

typedef struct Root {
    char path[64];
    VmafxOtelWarnings warnings;
} Root;

static void root_init(Root *root)
{
    memset(root, 0, sizeof *root);
    snprintf(root->path, sizeof root->path, "/tmp/vmafx-resource-XXXXXX");
    assert_non_null(mkdtemp(root->path));
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static void root_done(Root *root)
{
    assert_int_equal(nftw(root->path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* The path of a file in the root, with its folders made. */
static char *place(const Root *root, const char *path)
{
    char *full = vmafx_sprintf("%s%s", root->path, path);

    for (char *c = full + strlen(root->path) + 1; (c = strchr(c, '/')); c++) {
        *c = 0;
        assert_true(!mkdir(full, 0777) || errno == EEXIST);
        *c = '/';
    }
    return full;
}

static void put(const Root *root, const char *path, const char *text)
{
    VMAFX_AUTO(vmafx_free_p) char *full = place(root, path);
    FILE *f = fopen(full, "w");

    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static VmafxResource *detect(Root *root)
{
    VmafxResourceInput input = { .root = root->path };

    return vmafx_resource_detect(&input, &root->warnings);
}

static void check_str(const VmafxResource *resource, const char *key, const char *want)
{
    const VmafxValue *value = vmafx_resource_get(resource, key);

    if (!want) {
        if (value)
            fail_msg("%s should not be there", key);
        return;
    }
    if (!value || value->type != VMAFX_VALUE_STR || value->str.len != strlen(want) ||
        memcmp(value->str.ptr, want, value->str.len) != 0)
        fail_msg("%s is '%.*s', not '%s'", key, value ? (int)value->str.len : 0, value ? value->str.ptr : "", want);
}

/* ---- Values ---- */

static void a_resource_is_a_deep_copy_with_unique_keys(void **state)
{
    char key[] = "k", text[] = "first";
    VmafxValue items[] = { vmafx_value_str(text), { .type = VMAFX_VALUE_INT, .i = 7 } };
    VmafxAttr map[] = { VMAFX_ATTR_STR("m", text) };
    VmafxAttrs attrs = VMAFX_ATTRS(VMAFX_ATTR_STR(key, text), VMAFX_ATTR_INT("n", 1), VMAFX_ATTR_STR("", "no key"),
                                   VMAFX_ATTR_STR(NULL, "no key"), VMAFX_ATTR_BOOL("n", true),
                                   ((VmafxAttr){ "a", { .type = VMAFX_VALUE_ARRAY, .array = { items, 2 } } }),
                                   ((VmafxAttr){ "o", { .type = VMAFX_VALUE_MAP, .map = { map, 1 } } }));
    VMAFX_AUTO(vmafx_resource_free) VmafxResource *r = vmafx_resource_new(attrs, "url");

    (void)state;
    memset(text, 'x', sizeof text - 1);
    key[0] = 'x';
    assert_int_equal(r->attrs.n, 4);
    assert_string_equal(r->schema_url, "url");
    check_str(r, "k", "first");
    assert_int_equal(vmafx_resource_get(r, "n")->type, VMAFX_VALUE_BOOL);
    assert_memory_equal(vmafx_resource_get(r, "a")->array.items[0].str.ptr, "first", 5);
    assert_memory_equal(vmafx_resource_get(r, "o")->map.items[0].value.str.ptr, "first", 5);
}

static void merging_lets_the_updating_side_win_even_with_an_empty_value(void **state)
{
    VMAFX_AUTO(vmafx_resource_free)
    VmafxResource *old = vmafx_resource_new(VMAFX_ATTRS(VMAFX_ATTR_STR("a", "1"), VMAFX_ATTR_STR("b", "1")), "");
    VMAFX_AUTO(vmafx_resource_free)
    VmafxResource *new = vmafx_resource_new(VMAFX_ATTRS(VMAFX_ATTR_STR("b", ""), VMAFX_ATTR_STR("c", "2")), "");
    VMAFX_AUTO(vmafx_resource_free) VmafxResource *both = vmafx_resource_merge(old, new, NULL);

    (void)state;
    assert_int_equal(both->attrs.n, 3);
    check_str(both, "a", "1");
    check_str(both, "b", "");
    check_str(both, "c", "2");
    check_str(old, "b", "1");
}

static void merging_keeps_the_schema_url_that_both_can_agree_on(void **state)
{
    static const struct {
        const char *why, *old, *updating, *want;
        size_t warnings;
    } cases[] = {
        { "none", "", "", "", 0 },
        { "only the old one", "a", "", "a", 0 },
        { "only the new one", "", "b", "b", 0 },
        { "the same", "a", "a", "a", 0 },
        { "different ones", "a", "b", "", 1 },
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VmafxOtelWarnings w = { 0 };
        VMAFX_AUTO(vmafx_resource_free) VmafxResource *old = vmafx_resource_new(VMAFX_NO_ATTRS, cases[i].old);
        VMAFX_AUTO(vmafx_resource_free) VmafxResource *new = vmafx_resource_new(VMAFX_NO_ATTRS, cases[i].updating);
        VMAFX_AUTO(vmafx_resource_free) VmafxResource *both = vmafx_resource_merge(old, new, &w);

        if (strcmp(both->schema_url, cases[i].want) != 0 || w.n != cases[i].warnings)
            fail_msg("%s: '%s'", cases[i].why, both->schema_url);
    }
    VMAFX_AUTO(vmafx_resource_free) VmafxResource *nothing = vmafx_resource_merge(NULL, NULL, NULL);
    assert_int_equal(nothing->attrs.n, 0);
}

/* ---- Detection ---- */

static void an_empty_root_still_gives_the_required_attributes_without_a_warning(void **state)
{
    Root root;

    (void)state;
    root_init(&root);
    VMAFX_AUTO(vmafx_resource_free) VmafxResource *r = detect(&root);

    check_str(r, "service.name", "unknown_service");
    check_str(r, "telemetry.sdk.language", "c");
    assert_non_null(vmafx_resource_get(r, "telemetry.sdk.name"));
    assert_non_null(vmafx_resource_get(r, "telemetry.sdk.version"));
    check_str(r, "os.type", "linux");
    check_str(r, "container.id", NULL);
    check_str(r, "host.id", NULL);
    check_str(r, "k8s.namespace.name", NULL);
    assert_string_equal(r->schema_url, VMAFX_SCHEMA_URL);
    assert_int_equal(vmafx_resource_get(r, "process.pid")->i, getpid());
    assert_int_equal(root.warnings.n, 0);
    root_done(&root);
}

static void files_of_host_system_and_process_become_attributes(void **state)
{
    char passwd[64];
    Root root;

    (void)state;
    root_init(&root);
    put(&root, "/etc/machine-id", "b08dfa6083e7567a1921a715000001fb\n");
    put(&root, "/proc/sys/kernel/hostname", "tower\n");
    put(&root, "/etc/os-release",
        "NAME=\"Debian GNU/Linux\"\nVERSION_ID='12'\nPRETTY_NAME=\"Debian \\\"12\\\"\"\nX=y\n");
    put(&root, "/proc/sys/kernel/osrelease", "6.1.0\n");
    put(&root, "/proc/stat", "cpu 1 2 3\nbtime 1700000000\nprocesses 5\n");
    put(&root, "/proc/self/stat", "42 (a ) b) S 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 150 1000 10\n");
    snprintf(passwd, sizeof passwd, "bad\nother:x:99999:1::/:/bin/sh\nmartha:x:%u:0::/:/bin/sh\n", (unsigned)geteuid());
    put(&root, "/etc/passwd", passwd);
    VMAFX_AUTO(vmafx_free_p) char *cmdline = place(&root, "/proc/self/cmdline");
    FILE *f = fopen(cmdline, "w");
    fwrite("./prog\0--password\0secret\0", 1, 25, f);
    fclose(f);
    VMAFX_AUTO(vmafx_free_p) char *exe = place(&root, "/proc/self/exe");
    assert_int_equal(symlink("/opt/bin/prog", exe), 0);
    VMAFX_AUTO(vmafx_resource_free) VmafxResource *r = detect(&root);

    check_str(r, "host.id", "b08dfa6083e7567a1921a715000001fb");
    check_str(r, "host.name", "tower");
    check_str(r, "os.name", "Debian GNU/Linux");
    check_str(r, "os.version", "12");
    check_str(r, "os.description", "Debian \"12\"");
    check_str(r, "os.build_id", "6.1.0");
    check_str(r, "process.owner", "martha");
    check_str(r, "process.command", "./prog");
    check_str(r, "process.executable.path", "/opt/bin/prog");
    check_str(r, "process.executable.name", "prog");
    check_str(r, "service.name", "unknown_service:prog");
    assert_null(vmafx_resource_get(r, "process.command_args")); /* may hold secrets: on request only */
    if (sysconf(_SC_CLK_TCK) == 100)
        check_str(r, "process.creation.time", "2023-11-14T22:13:21.500Z");
    assert_int_equal(root.warnings.n, 0);

    VmafxResourceInput input = { .root = root.path, .also = VMAFX_DETECT_COMMAND_ARGS };
    VMAFX_AUTO(vmafx_resource_free) VmafxResource *more = vmafx_resource_detect(&input, NULL);
    assert_int_equal(vmafx_resource_get(more, "process.command_args")->array.n, 3);
    root_done(&root);
}

static void second_places_are_looked_at_when_the_first_are_not_there(void **state)
{
    Root root;

    (void)state;
    root_init(&root);
    put(&root, "/var/lib/dbus/machine-id", "feed\n");
    put(&root, "/usr/lib/os-release", "NAME=x\nBUILD_ID=b7\n");
    put(&root, "/proc/sys/kernel/osrelease", "6.1.0\n");
    put(&root, "/var/run/secrets/kubernetes.io/serviceaccount/namespace", "media");
    put(&root, "/sys/class/net/eth0/address", "0a:1b:2c:3d:4e:5f\n");
    put(&root, "/sys/class/net/lo/address", "00:00:00:00:00:00\n");
    VmafxResourceInput input = { .root = root.path, .also = VMAFX_DETECT_HOST_MAC | VMAFX_DETECT_HOST_IP };
    VMAFX_AUTO(vmafx_resource_free) VmafxResource *r = vmafx_resource_detect(&input, &root.warnings);

    check_str(r, "host.id", "feed");
    check_str(r, "os.build_id", "b7");
    check_str(r, "k8s.namespace.name", "media");
    assert_int_equal(vmafx_resource_get(r, "host.mac")->array.n, 1);
    assert_memory_equal(vmafx_resource_get(r, "host.mac")->array.items[0].str.ptr, "0A-1B-2C-3D-4E-5F", 17);
    root_done(&root);
}

static void container_ids_are_found_in_both_kinds_of_cgroups(void **state)
{
    static const struct {
        const char *why, *file, *text;
        bool found;
    } cases[] = {
        { "docker, v1", "/proc/self/cgroup", "12:cpu:/docker/" ID "\n", true },
        { "systemd, v1", "/proc/self/cgroup", "1:name=systemd:/system.slice/docker-" ID ".scope\n", true },
        { "containerd", "/proc/self/cgroup", "1:cpu:/kubepods/besteffort/podx/cri-containerd-" ID ".scope\n", true },
        { "the second line", "/proc/self/cgroup", "2:cpu:/\n1:cpu:/docker/" ID "\n", true },
        { "no container", "/proc/self/cgroup", "0::/user.slice/user-1000.slice\n", false },
        { "65 digits", "/proc/self/cgroup", "1:cpu:/docker/f" ID "\n", false },
        { "63 digits and more", "/proc/self/cgroup", "1:cpu:/docker/g123456789abcdef" ID "\n", false },
        { "a folder below", "/proc/self/cgroup", "1:cpu:/docker/" ID "/init\n", false },
        { "v2, docker", "/proc/self/mountinfo",
          "473 456 254:1 /docker/containers/" ID "/hostname /etc/hostname rw - ext4 /dev/vda1 rw\n", true },
        { "v2, podman", "/proc/self/mountinfo",
          "9 4 0:25 /containers/overlay-containers/" ID "/userdata/hostname /etc/hostname rw - tmpfs t rw\n", true },
        { "v2, a plain host", "/proc/self/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n", false },
        { "v2, a layer, not the container", "/proc/self/mountinfo",
          "1 2 0:3 / / rw - overlay overlay rw,upperdir=/var/lib/docker/overlay2/" ID "/diff\n", false },
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        Root root;

        root_init(&root);
        put(&root, cases[i].file, cases[i].text);
        VMAFX_AUTO(vmafx_resource_free) VmafxResource *r = detect(&root);
        const VmafxValue *id = vmafx_resource_get(r, "container.id");
        if (!id != !cases[i].found)
            fail_msg("%s", cases[i].why);
        if (id)
            check_str(r, "container.id", ID);
        root_done(&root);
    }
}

static void what_is_there_but_no_file_is_warned_of(void **state)
{
    Root root;

    (void)state;
    root_init(&root);
    VMAFX_AUTO(vmafx_free_p) char *folder = place(&root, "/etc/machine-id/x");
    VMAFX_AUTO(vmafx_resource_free) VmafxResource *r = detect(&root);

    assert_non_null(folder);
    check_str(r, "host.id", NULL);
    assert_int_equal(root.warnings.n, 1);
    assert_non_null(strstr(root.warnings.text[0], "/etc/machine-id"));
    root_done(&root);
}

static void code_beats_the_service_name_which_beats_the_list_which_beats_detectors(void **state)
{
    char *const environment[] = { "OTEL_RESOURCE_ATTRIBUTES=service.name=list,host.name=list,a=list,b=list,"
                                  "deployment.environment.name=staging",
                                  "OTEL_SERVICE_NAME=variable", NULL };
    VmafxOtelSettings settings;
    Root root;

    (void)state;
    root_init(&root);
    put(&root, "/proc/sys/kernel/hostname", "detected\n");
    vmafx_otel_settings_init(&settings, environment, NULL);
    VmafxResourceInput input = { .root = root.path,
                                 .settings = &settings,
                                 .service_version = "1.2.3",
                                 .attrs = VMAFX_ATTRS(VMAFX_ATTR_STR("b", "code")) };
    VMAFX_AUTO(vmafx_resource_free) VmafxResource *r = vmafx_resource_detect(&input, NULL);

    check_str(r, "service.name", "variable");
    check_str(r, "service.version", "1.2.3");
    check_str(r, "host.name", "list");
    check_str(r, "deployment.environment.name", "staging");
    check_str(r, "a", "list");
    check_str(r, "b", "code");
    for (size_t i = 0; i < r->attrs.n; i++)
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(r->attrs.items[i].key, r->attrs.items[j].key);

    input.attrs = VMAFX_ATTRS(VMAFX_ATTR_STR("service.name", "code"));
    VMAFX_AUTO(vmafx_resource_free) VmafxResource *coded = vmafx_resource_detect(&input, NULL);
    check_str(coded, "service.name", "code");
    vmafx_otel_settings_done(&settings);
    root_done(&root);
}

static void instance_ids_are_random_uuids_and_a_child_gets_its_own(void **state)
{
    char a[VMAFX_UUID_SIZE], b[VMAFX_UUID_SIZE];

    (void)state;
    for (int i = 0; i < 100; i++) {
        vmafx_uuid_v4(a);
        vmafx_uuid_v4(b);
        assert_string_not_equal(a, b);
        assert_int_equal(strlen(a), 36);
        assert_int_equal(strspn(a, "0123456789abcdef-"), 36);
        assert_true(a[8] == '-' && a[13] == '-' && a[14] == '4' && a[18] == '-' && strchr("89ab", a[19]) &&
                    a[23] == '-');
    }
    VMAFX_AUTO(vmafx_resource_free) VmafxResource *r = vmafx_resource_detect(NULL, NULL);
    VMAFX_AUTO(vmafx_resource_free) VmafxResource *child = vmafx_resource_for_child(r);
    const VmafxValue *mine = vmafx_resource_get(r, "service.instance.id"),
                     *its = vmafx_resource_get(child, "service.instance.id");
    assert_int_equal(mine->str.len, 36);
    assert_memory_not_equal(mine->str.ptr, its->str.ptr, 36);
    assert_int_equal(r->attrs.n, child->attrs.n);
    assert_string_equal(child->schema_url, VMAFX_SCHEMA_URL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_resource_is_a_deep_copy_with_unique_keys),
        cmocka_unit_test(merging_lets_the_updating_side_win_even_with_an_empty_value),
        cmocka_unit_test(merging_keeps_the_schema_url_that_both_can_agree_on),
        cmocka_unit_test(an_empty_root_still_gives_the_required_attributes_without_a_warning),
        cmocka_unit_test(files_of_host_system_and_process_become_attributes),
        cmocka_unit_test(second_places_are_looked_at_when_the_first_are_not_there),
        cmocka_unit_test(container_ids_are_found_in_both_kinds_of_cgroups),
        cmocka_unit_test(what_is_there_but_no_file_is_warned_of),
        cmocka_unit_test(code_beats_the_service_name_which_beats_the_list_which_beats_detectors),
        cmocka_unit_test(instance_ids_are_random_uuids_and_a_child_gets_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
