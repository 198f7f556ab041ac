/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What every program leans on: CPUs from control groups, digests, files that appear whole, settings. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/atomic_file.h"
#include "base/base.h"
#include "base/config.h"
#include "base/cpus.h"
#include "base/digest.h"
#include "base/kept_file.h"

enum { PATH_TEXT = 512 };

/* ---- a folder for each test ---- */

static char folder[64];

static int make_folder(void **state)
{
    strcpy(folder, "/tmp/vmafx_base_XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    return remove(path);
}

static int remove_folder(void **state)
{
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* A path in the folder; four of them are good at a time. */
static const char *in_folder(const char *name)
{
    static char paths[4][PATH_TEXT];
    static unsigned turn;
    char *path = paths[turn++ % 4];

    snprintf(path, PATH_TEXT, "%s/%s", folder, name);
    return path;
}

static void put(const char *name, const char *text)
{
    FILE *f = fopen(in_folder(name), "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void put_deep(const char *dir, const char *name, const char *text)
{
    char path[PATH_TEXT / 2];

    for (const char *slash = strchr(dir, '/');; slash = strchr(slash + 1, '/')) {
        snprintf(path, sizeof path, "%.*s", slash ? (int)(slash - dir) : (int)strlen(dir), dir);
        assert_true(!mkdir(in_folder(path), 0777) || errno == EEXIST);
        if (!slash)
            break;
    }
    snprintf(path, sizeof path, "%s/%s", dir, name);
    put(path, text);
}

static void assert_holds(const char *name, const char *text)
{
    VMAFX_AUTO(vmafx_free_p) char *got = NULL;
    size_t len;

    assert_int_equal(vmafx_read_file(in_folder(name), 1 << 20, &got, &len, NULL), VMAFX_OK);
    assert_string_equal(got, text);
}

static int files_in_folder(void)
{
    DIR *d = opendir(folder);
    int n = 0;

    assert_non_null(d);
    for (const struct dirent *entry; (entry = readdir(d));)
        n += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
    closedir(d);
    return n;
}

/* ---- CPUs ---- */

static void a_quota_is_rounded_up_to_whole_cpus(void **state)
{
    static const struct {
        const char *text;
        int cpus;
    } cases[] = {
        { "max 100000\n", 0 },
        { "max", 0 },
        { "150000 100000\n", 2 },
        { "100000 100000\n", 1 },
        { "100001 100000", 2 },
        { "1000 100000\n", 1 },
        { "0 100000\n", 1 },
        { "800000 100000\n", 8 },
        { "9223372036854775807 1\n", INT32_MAX },
        { "99999999999999999999 100000\n", 0 },
        { "100000\n", 0 },
        { "100000 0\n", 0 },
        { "100000 x\n", 0 },
        { "100000 100000 x\n", 0 },
        { "-1 100000\n", 0 },
        { "", 0 },
        { "\n", 0 },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++)
        if (vmafx_cpus_of_cpu_max(cases[i].text) != cases[i].cpus)
            fail_msg("'%s': %d", cases[i].text, vmafx_cpus_of_cpu_max(cases[i].text));
    assert_int_equal(vmafx_cpus_of_cfs("-1\n", "100000\n"), 0);
    assert_int_equal(vmafx_cpus_of_cfs("250000\n", "100000\n"), 3);
    assert_int_equal(vmafx_cpus_of_cfs("250000\n", ""), 0);
}

static void the_smallest_quota_of_a_group_and_its_parents_counts(void **state)
{
    put_deep("pods/one/two", "cpu.max", "max 100000\n");
    put_deep("pods/one", "cpu.max", "250000 100000\n");
    put_deep("pods", "cpu.max", "700000 100000\n");
    assert_int_equal(vmafx_cpus_of_cgroups("0::/pods/one/two\n", folder), 3);
    assert_int_equal(vmafx_cpus_of_cgroups("0::/pods\n", folder), 7);
    assert_int_equal(vmafx_cpus_of_cgroups("0::/\n", folder), 0);
    assert_int_equal(vmafx_cpus_of_cgroups("0::/gone/two\n", folder), 0);
}

static void a_group_that_the_container_does_not_see_is_the_root(void **state)
{
    put("cpu.max", "400000 100000\n");
    assert_int_equal(vmafx_cpus_of_cgroups("0::/../../elsewhere\n", folder), 4);
    assert_int_equal(vmafx_cpus_of_cgroups("0::/elsewhere\n", folder), 4);
}

static void version_1_groups_are_looked_at_where_they_list_cpu(void **state)
{
    put_deep("cpu,cpuacct/box", "cpu.cfs_quota_us", "150000\n");
    put_deep("cpu,cpuacct/box", "cpu.cfs_period_us", "50000\n");
    put_deep("memory/box", "cpu.max", "100000 100000\n");
    assert_int_equal(vmafx_cpus_of_cgroups("5:memory:/box\n4:cpu,cpuacct:/box\n0::/\n", folder), 3);
    assert_int_equal(vmafx_cpus_of_cgroups("4:cpuset,cpuacct:/box\n", folder), 0);
}

static void lines_that_are_none_limit_nothing(void **state)
{
    static const char *const texts[] = { "", "\n\n", "0", "0:", ":", "0::", "::::", "4:,,,:/x\n0:cpu", "0:cpu:" };

    for (size_t i = 0; i < VMAFX_LEN(texts); i++)
        assert_int_equal(vmafx_cpus_of_cgroups(texts[i], folder), 0);
}

static void the_affinity_mask_bounds_the_cpus(void **state)
{
    cpu_set_t before, one;
    int n = vmafx_cpus_allowed();

    assert_true(n >= 1);
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    assert_true(n <= CPU_COUNT(&before));
    CPU_ZERO(&one);
    for (size_t i = 0; i < CPU_SETSIZE && !CPU_COUNT(&one); i++)
        if (CPU_ISSET(i, &before))
            CPU_SET(i, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(vmafx_cpus_allowed(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
}

/* ---- digests ---- */

static const char of_abc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

static void digests_are_those_of_the_standard(void **state)
{
    char hex[VMAFX_SHA256_TEXT];

    vmafx_sha256_hex("abc", 3, hex);
    assert_string_equal(hex, of_abc);
    vmafx_sha256_hex("", 0, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void a_digest_in_pieces_is_that_of_the_whole(void **state)
{
    char hex[VMAFX_SHA256_TEXT];
    VmafxSha256 sha;

    vmafx_sha256_init(&sha);
    vmafx_sha256_add(&sha, "a", 1);
    vmafx_sha256_add(&sha, "", 0);
    vmafx_sha256_add(&sha, "bc", 2);
    vmafx_sha256_end_hex(&sha, hex);
    assert_string_equal(hex, of_abc);
    vmafx_sha256_init(&sha); /* dropped; the sanitizer would see what it leaves behind */
    vmafx_sha256_add(&sha, "abc", 3);
}

static void a_file_has_the_digest_of_its_bytes(void **state)
{
    char hex[VMAFX_SHA256_TEXT] = "untouched";
    VmafxErrInfo info = { 0 };

    put("abc", "abc");
    assert_int_equal(vmafx_sha256_file(in_folder("none"), hex, &info), VMAFX_ERR_NOT_FOUND);
    assert_non_null(strstr(info.message, "none': No such file"));
    assert_int_equal(vmafx_sha256_file(folder, hex, &info), VMAFX_ERR_IO);
    assert_non_null(strstr(info.message, "directory"));
    assert_string_equal(hex, "untouched");
    assert_int_equal(vmafx_sha256_file(in_folder("abc"), hex, &info), VMAFX_OK);
    assert_string_equal(hex, of_abc);
}

/* ---- files that appear whole ---- */

static VmafxAtomicFile *begin(const char *path, const char *text)
{
    VmafxAtomicFile *file = NULL;
    VmafxErrInfo info = { 0 };

    if (vmafx_atomic_file_open(path, &file, &info))
        fail_msg("%s", info.message);
    assert_true(fputs(text, vmafx_atomic_file_stream(file)) >= 0);
    return file;
}

static void write_whole(const char *path, const char *text)
{
    VmafxAtomicFile *file = begin(path, text);
    VmafxErrInfo info = { 0 };

    if (vmafx_atomic_file_commit(&file, &info))
        fail_msg("%s", info.message);
    assert_null(file);
}

static void a_file_appears_on_commit_and_leaves_nothing_beside_it(void **state)
{
    VmafxAtomicFile *file = begin(in_folder("new"), "text");

    assert_int_equal(access(in_folder("new"), F_OK), -1);
    assert_int_equal(vmafx_atomic_file_commit(&file, NULL), VMAFX_OK);
    assert_holds("new", "text");
    assert_int_equal(files_in_folder(), 1);
}

static void until_commit_the_earlier_file_stays(void **state)
{
    put("report", "earlier");
    VmafxAtomicFile *file = begin(in_folder("report"), "later");
    assert_int_equal(fflush(vmafx_atomic_file_stream(file)), 0);
    assert_holds("report", "earlier");
    assert_int_equal(vmafx_atomic_file_commit(&file, NULL), VMAFX_OK);
    assert_holds("report", "later");
}

static void abort_removes_what_was_written(void **state)
{
    VmafxAtomicFile *file = begin(in_folder("report"), "half");

    assert_int_equal(files_in_folder(), 1);
    errno = ENOSPC;
    vmafx_atomic_file_abort(&file);
    assert_int_equal(errno, ENOSPC);
    assert_null(file);
    assert_int_equal(files_in_folder(), 0);
    vmafx_atomic_file_abort(&file);
}

static mode_t mode_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static void permissions_are_those_of_umask_or_of_the_earlier_file(void **state)
{
    mode_t before = umask(027);

    write_whole(in_folder("new"), "");
    assert_int_equal(mode_of(in_folder("new")), 0640);
    put("old", "");
    assert_int_equal(chmod(in_folder("old"), 0604), 0);
    write_whole(in_folder("old"), "x");
    assert_int_equal(mode_of(in_folder("old")), 0604);
    umask(before);
}

static void a_link_stays_and_what_it_points_to_is_written(void **state)
{
    static const struct {
        const char *link, *to, *target;
        bool exists;
    } cases[] = {
        { "plain", "there", "there", true },
        { "dangling", "not-yet", "not-yet", false },
        { "chain", "dangling2", "far/file", false },
        { "dangling2", "far/file", "far/file", false },
    };
    struct stat st;

    assert_int_equal(mkdir(in_folder("far"), 0777), 0);
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        if (cases[i].exists)
            put(cases[i].target, "earlier");
        assert_int_equal(symlink(cases[i].to, in_folder(cases[i].link)), 0);
    }
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        write_whole(in_folder(cases[i].link), cases[i].link);
        assert_int_equal(lstat(in_folder(cases[i].link), &st), 0);
        assert_true(S_ISLNK(st.st_mode));
        assert_holds(cases[i].target, cases[i].link);
    }
}

static void what_cannot_be_written_is_named_with_the_reason(void **state)
{
    static const struct {
        const char *name, *reason;
    } cases[] = {
        { "gone/file", "No such file or directory" },
        { ".", "Is a directory" },
        { "loop", "Too many levels of symbolic links" },
        { "plain/file", "Not a directory" },
    };
    char wanted[PATH_TEXT + 64];

    put("plain", "");
    assert_int_equal(symlink("loop", in_folder("loop")), 0);
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VmafxAtomicFile *file = NULL;
        VmafxErrInfo info = { 0 };

        assert_int_equal(vmafx_atomic_file_open(in_folder(cases[i].name), &file, &info), VMAFX_ERR_IO);
        assert_null(file);
        snprintf(wanted, sizeof wanted, "%s/%s': %s", folder, cases[i].name, cases[i].reason);
        if (!strstr(info.message, wanted))
            fail_msg("'%s' instead of '%s'", info.message, wanted);
    }
    assert_int_equal(files_in_folder(), 2);
}

static void a_device_is_written_directly(void **state)
{
    struct stat st;

    write_whole("/dev/null", "text");
    assert_int_equal(stat("/dev/null", &st), 0);
    assert_true(S_ISCHR(st.st_mode));
}

static void a_full_disk_is_an_error_of_commit(void **state)
{
    VmafxErrInfo info = { 0 };

    if (access("/dev/full", W_OK))
        skip();
    VmafxAtomicFile *file = begin("/dev/full", "text");
    assert_int_equal(vmafx_atomic_file_commit(&file, &info), VMAFX_ERR_IO);
    assert_null(file);
    assert_string_equal(info.message, "cannot write '/dev/full': No space left on device");
}

static void a_pipe_gets_every_byte_and_its_end(void **state)
{
    char got[16] = "";

    assert_int_equal(mkfifo(in_folder("pipe"), 0666), 0);
    int fd = open(in_folder("pipe"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(fd >= 0);
    write_whole(in_folder("pipe"), "through");
    assert_int_equal(read(fd, got, sizeof got), 7);
    assert_string_equal(got, "through");
    assert_int_equal(read(fd, got, sizeof got), 0);
    close(fd);
    assert_int_equal(files_in_folder(), 1);
}

static void a_pipe_without_a_reader_can_be_probed(void **state)
{
    VmafxAtomicFile *file = NULL;

    assert_int_equal(mkfifo(in_folder("pipe"), 0666), 0);
    assert_int_equal(vmafx_atomic_file_open(in_folder("pipe"), &file, NULL), VMAFX_OK);
    vmafx_atomic_file_abort(&file);
}

static void a_descriptor_is_written_where_it_stands(void **state)
{
    char path[32];
    int fd = open(in_folder("log"), O_RDWR | O_CREAT | O_CLOEXEC, 0666);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "begin ", 6), 6);
    snprintf(path, sizeof path, "/dev/fd/%d", fd);
    write_whole(path, "middle ");
    assert_int_equal(write(fd, "end", 3), 3);
    close(fd);
    assert_holds("log", "begin middle end");
}

/* ---- settings ---- */

static VmafxConfig *parsed(const char *text)
{
    VmafxConfig *config = NULL;
    VmafxErrInfo info = { 0 };

    if (vmafx_config_parse(text, strlen(text), "file", &config, &info))
        fail_msg("%s", info.message);
    return config;
}

static void forget_environment(void)
{
    static const char *const names[] = { "VMAFX_CONFIG",  "VMAFX_MODEL",     "VMAFX_MODEL_PATH",
                                         "VMAFX_THREADS", "XDG_CONFIG_HOME", "VMAFX_X" };

    for (size_t i = 0; i < VMAFX_LEN(names); i++)
        unsetenv(names[i]);
}

static int clean_environment(void **state)
{
    forget_environment();
    return make_folder(state);
}

static int clean_up(void **state)
{
    forget_environment();
    return remove_folder(state);
}

static void lines_are_keys_and_values(void **state)
{
    VMAFX_AUTO(vmafx_config_free)
    VmafxConfig *config = parsed("# comment\n"
                                 "\n"
                                 "   # another\r\n"
                                 " VMAFX_A = spaces around \t\r\n"
                                 "VMAFX_B=\"  quoted \"\n"
                                 "VMAFX_C='it=has=equals'\n"
                                 "VMAFX_D=a # is part of the value\n"
                                 "VMAFX_E=\n"
                                 "OTEL_F1=\"");
    static const struct {
        const char *key, *value, *source;
    } cases[] = {
        { "VMAFX_A", "spaces around", "file, line 4" },
        { "VMAFX_B", "  quoted ", "file, line 5" },
        { "VMAFX_C", "it=has=equals", "file, line 6" },
        { "VMAFX_D", "a # is part of the value", "file, line 7" },
        { "VMAFX_E", "", "file, line 8" },
        { "OTEL_F1", "\"", "file, line 9" },
        { "VMAFX_G", NULL, "not set" },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        const char *source, *value = vmafx_config_get(config, cases[i].key, &source);

        assert_string_equal(value ? value : "(none)", cases[i].value ? cases[i].value : "(none)");
        assert_string_equal(source, cases[i].source);
    }
}

static void a_bad_line_is_named_with_its_number_and_what_to_do(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        { "VMAFX_A=1\nrubbish\n", "'file', line 2: there is no '='" },
        { "\n\n=1", "'file', line 3: before '='" },
        { "VMAFX A=1", "'file', line 1: before '='" },
        { "vmafx_a=1", "'file', line 1: before '='" },
        { "1VMAFX=1", "'file', line 1: before '='" },
        { "PATH=/bin", "'file', line 1: there is no setting 'PATH'; their names begin with VMAFX_ or OTEL_" },
        { "VMAFX_=1", "'file', line 1: there is no setting 'VMAFX_'" },
        { "VMAFX_A=1\n\nVMAFX_A=2", "'file', line 3: VMAFX_A has its value already (file, line 1)" },
        { "VMAFX_A=\033[31m", "'file', line 1: there is a control character" },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VmafxConfig *config = NULL;
        VmafxErrInfo info = { 0 };

        assert_int_equal(vmafx_config_parse(cases[i].text, strlen(cases[i].text), "file", &config, &info),
                         VMAFX_ERR_SYNTAX);
        assert_null(config);
        if (strncmp(info.message, cases[i].message, strlen(cases[i].message)) != 0)
            fail_msg("'%s' instead of '%s'", info.message, cases[i].message);
    }
}

static void a_zero_byte_is_refused(void **state)
{
    static const char text[] = "VMAFX_A=1\0002\n", before[] = "VMAFX_A\0=1", alone[] = "\0";
    VmafxConfig *config = NULL;

    assert_int_equal(vmafx_config_parse(text, sizeof text - 1, "file", &config, NULL), VMAFX_ERR_SYNTAX);
    assert_int_equal(vmafx_config_parse(before, sizeof before - 1, "file", &config, NULL), VMAFX_ERR_SYNTAX);
    assert_int_equal(vmafx_config_parse(alone, 1, "file", &config, NULL), VMAFX_ERR_SYNTAX);
}

/* A setting whose line has len bytes. */
static VmafxErr parse_line_of(size_t len, VmafxErrInfo *info)
{
    VMAFX_AUTO(vmafx_config_free) VmafxConfig *config = NULL;
    VMAFX_AUTO(vmafx_free_p) char *text = malloc(len);

    assert_non_null(text);
    memset(text, 'x', len);
    memcpy(text, "VMAFX_A=", 8);
    return vmafx_config_parse(text, len, "file", &config, info);
}

static void lines_settings_and_files_have_limits(void **state)
{
    VMAFX_AUTO(vmafx_free_p) char *text = calloc(1, VMAFX_CONFIG_BYTES_MAX + 2);
    VMAFX_AUTO(vmafx_config_free) VmafxConfig *config = NULL;
    VmafxErrInfo info = { 0 };
    size_t len = 0;

    assert_non_null(text);
    assert_int_equal(parse_line_of(VMAFX_CONFIG_LINE_MAX, &info), VMAFX_OK);
    assert_int_equal(parse_line_of(VMAFX_CONFIG_LINE_MAX + 1, &info), VMAFX_ERR_LIMIT);
    assert_string_equal(info.message, "'file', line 1: the line is longer than 4096 bytes");
    for (int i = 0; i <= VMAFX_CONFIG_ENTRIES_MAX; i++)
        len += (size_t)sprintf(text + len, "VMAFX_%d=\n", i);
    assert_int_equal(vmafx_config_parse(text, len, "file", &config, &info), VMAFX_ERR_LIMIT);
    assert_string_equal(info.message, "'file', line 1001: there are more than 1000 settings");
    memset(text, '\n', VMAFX_CONFIG_BYTES_MAX + 1);
    assert_int_equal(vmafx_config_parse(text, VMAFX_CONFIG_BYTES_MAX + 1, "file", &config, &info), VMAFX_ERR_LIMIT);
    assert_int_equal(vmafx_config_parse(text, VMAFX_CONFIG_BYTES_MAX, "file", &config, &info), VMAFX_OK);
}

static void the_environment_stands_over_the_file_and_that_over_the_default(void **state)
{
    VMAFX_AUTO(vmafx_config_free) VmafxConfig *file = parsed("VMAFX_MODEL=from_file");
    VMAFX_AUTO(vmafx_config_free) VmafxConfig *empty = parsed("");
    const char *source;

    assert_string_equal(vmafx_config_get(empty, "VMAFX_MODEL", &source), "vmaf_v0.6.1");
    assert_string_equal(source, "default");
    assert_string_equal(vmafx_config_get(file, "VMAFX_MODEL", NULL), "from_file");
    setenv("VMAFX_MODEL", "", 1);
    assert_string_equal(vmafx_config_get(file, "VMAFX_MODEL", NULL), "from_file");
    setenv("VMAFX_MODEL", "from_environment", 1);
    assert_string_equal(vmafx_config_get(file, "VMAFX_MODEL", &source), "from_environment");
    assert_string_equal(source, "environment");
}

static VmafxErr model_of_load(char ret_model[32], VmafxErrInfo *info)
{
    VMAFX_AUTO(vmafx_config_free) VmafxConfig *config = NULL;
    VmafxErr err = vmafx_config_load(&config, info);

    if (!err)
        snprintf(ret_model, 32, "%s", vmafx_config_get(config, "VMAFX_MODEL", NULL));
    return err;
}

static void the_file_is_the_named_one_else_the_users(void **state)
{
    char model[32] = "", home[PATH_TEXT];
    const char *before = getenv("HOME");
    VmafxErrInfo info = { 0 };

    snprintf(home, sizeof home, "%s", before ? before : "");
    put_deep(".config/vmafx", "config", "VMAFX_MODEL=home\n");
    put_deep("xdg/vmafx", "config", "VMAFX_MODEL=xdg\n");
    put("named", "VMAFX_MODEL=named\n");
    put("broken", "VMAFX_THREADS=2\nVMAFX_MODEL\n");
    setenv("HOME", folder, 1);
    assert_int_equal(model_of_load(model, &info), VMAFX_OK);
    assert_string_equal(model, "home");
    setenv("XDG_CONFIG_HOME", in_folder("xdg"), 1);
    assert_int_equal(model_of_load(model, &info), VMAFX_OK);
    assert_string_equal(model, "xdg");
    setenv("VMAFX_CONFIG", in_folder("named"), 1);
    assert_int_equal(model_of_load(model, &info), VMAFX_OK);
    assert_string_equal(model, "named");
    setenv("VMAFX_CONFIG", in_folder("broken"), 1);
    assert_int_equal(model_of_load(model, &info), VMAFX_ERR_SYNTAX);
    assert_non_null(strstr(info.message, "broken', line 2: there is no '='"));
    setenv("VMAFX_CONFIG", in_folder("gone"), 1);
    assert_int_equal(model_of_load(model, &info), VMAFX_ERR_NOT_FOUND);
    assert_non_null(strstr(info.message, "gone', which VMAFX_CONFIG names"));
    setenv("HOME", home, 1);
}

static char *printed(const VmafxConfig *config)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    vmafx_config_print(config, out);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void printing_shows_every_known_setting_and_its_source(void **state)
{
    VMAFX_AUTO(vmafx_config_free) VmafxConfig *config = parsed("VMAFX_MODEL_PATH=/models\nVMAFX_LATER=x\n");
    setenv("VMAFX_THREADS", "3\033[2J", 1);
    VMAFX_AUTO(vmafx_free_p) char *text = printed(config);
    static const char *const wanted[] = {
        "# from: default\nVMAFX_MODEL=vmaf_v0.6.1\n",
        "# from: file, line 1\nVMAFX_MODEL_PATH=/models\n",
        "# from: environment\nVMAFX_THREADS=3?[2J\n",
        "# not used by this version\n# from: file, line 2\nVMAFX_LATER=x\n",
    };

    for (size_t i = 0; i < VMAFX_LEN(wanted); i++)
        if (!strstr(text, wanted[i]))
            fail_msg("'%s' is not in:\n%s", wanted[i], text);
}

static void secrets_are_masked(void **state)
{
    VMAFX_AUTO(vmafx_config_free)
    VmafxConfig *config = parsed("VMAFX_A_TOKEN=hush\nVMAFX_A_PASSWORD=hush\nVMAFX_A_SECRET=hush\nVMAFX_A_KEY=hush\n"
                                 "OTEL_EXPORTER_OTLP_HEADERS=hush\nVMAFX_KEYS=shown\nVMAFX_B_TOKEN=\n");
    VMAFX_AUTO(vmafx_free_p) char *text = printed(config);

    assert_null(strstr(text, "hush"));
    assert_non_null(strstr(text, "VMAFX_A_SECRET=********\n"));
    assert_non_null(strstr(text, "VMAFX_KEYS=shown\n"));
    assert_non_null(strstr(text, "VMAFX_B_TOKEN=\n"));
    assert_string_equal(vmafx_config_get(config, "VMAFX_A_TOKEN", NULL), "hush");
}

#define FOLDER_TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)
#define CONFIG_TEST(f) cmocka_unit_test_setup_teardown(f, clean_environment, clean_up)

/* Numbers of gRPC's statuses and of HTTP's, as their specifications have them. */
static void errors_have_a_grpc_and_an_http_status_and_may_be_worth_another_try(void **state)
{
    static const struct {
        VmafxErr err;
        int grpc, http, retry;
    } cases[] = {
        { VMAFX_OK, 0, 200, 0 },
        { VMAFX_ERR_INVALID, 3, 400, 0 },
        { VMAFX_ERR_NOT_FOUND, 5, 404, 0 },
        { VMAFX_ERR_CONFLICT, 6, 409, 0 },
        { VMAFX_ERR_BUSY, 8, 429, 1 },
        { VMAFX_ERR_LEASE_LOST, 10, 409, 0 },
        { VMAFX_ERR_UNREACHABLE, 14, 503, 1 },
        { VMAFX_ERR_UNAUTHENTICATED, 16, 401, 0 },
        { VMAFX_ERR_COUNT, 13, 500, 0 }, /* none of the table */
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        assert_int_equal(vmafx_err_grpc(cases[i].err), cases[i].grpc);
        assert_int_equal(vmafx_err_http(cases[i].err), cases[i].http);
        assert_int_equal(vmafx_err_retry(cases[i].err), cases[i].retry);
    }
}

/* ---- files that get their name in the end ---- */

static void keep(const char *text)
{
    VmafxKeptFile file = VMAFX_KEPT_FILE_NONE;

    assert_int_equal(vmafx_kept_file_open(in_folder("kept"), &file, NULL), VMAFX_OK);
    assert_int_equal(write(file.fd, text, strlen(text)), strlen(text));
    assert_int_equal(vmafx_kept_file_commit(&file, NULL), VMAFX_OK);
    vmafx_kept_file_done(&file);
}

static void a_kept_file_has_its_name_once_it_is_whole(void **state)
{
    VmafxKeptFile file = VMAFX_KEPT_FILE_NONE;

    assert_int_equal(vmafx_kept_file_open(in_folder("kept"), &file, NULL), VMAFX_OK);
    assert_int_equal(write(file.fd, "hello", 5), 5);
    assert_int_equal(access(in_folder("kept"), F_OK), -1);
    assert_int_equal(vmafx_kept_file_commit(&file, NULL), VMAFX_OK);
    vmafx_kept_file_done(&file);
    assert_holds("kept", "hello");
    assert_int_equal(files_in_folder(), 1);
}

static void a_kept_file_that_is_given_up_leaves_what_was_there(void **state)
{
    VmafxKeptFile file = VMAFX_KEPT_FILE_NONE;

    keep("old");
    keep("new"); /* takes its place */
    assert_int_equal(vmafx_kept_file_open(in_folder("kept"), &file, NULL), VMAFX_OK);
    assert_int_equal(write(file.fd, "half", 4), 4);
    vmafx_kept_file_done(&file);
    assert_holds("kept", "new");
    assert_int_equal(files_in_folder(), 1);
}

static void where_no_file_can_be_kept_the_path_is_named(void **state)
{
    static const char *const paths[] = { "none/kept.bin", ".", "/dev/null" };

    for (size_t i = 0; i < VMAFX_LEN(paths); i++) {
        VmafxKeptFile file = VMAFX_KEPT_FILE_NONE;
        VmafxErrInfo info = { 0 };

        assert_int_equal(vmafx_kept_file_open(paths[i], &file, &info), VMAFX_ERR_IO);
        assert_non_null(strstr(info.message, paths[i]));
        vmafx_kept_file_done(&file);
    }
}

static void a_file_is_opened_again_with_a_position_of_its_own(void **state)
{
    char first[4] = "", second[4] = "";
    int ends[2];
    FILE *f = fopen(in_folder("twice"), "w+e");

    assert_non_null(f);
    assert_true(fputs("abcdef", f) >= 0 && fflush(f) == 0);
    assert_int_equal(unlink(in_folder("twice")), 0); /* one without a name too */
    int fd = fileno(f), again = vmafx_reopen(fd);
    assert_true(again >= 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(read(fd, first, 3), 3);
    assert_int_equal(read(again, second, 3), 3);
    assert_string_equal(first, second);
    close(again);
    fclose(f);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(vmafx_reopen(ends[0]), -1);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(vmafx_reopen(-1), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_have_a_grpc_and_an_http_status_and_may_be_worth_another_try),
        cmocka_unit_test(a_quota_is_rounded_up_to_whole_cpus),
        FOLDER_TEST(the_smallest_quota_of_a_group_and_its_parents_counts),
        FOLDER_TEST(a_group_that_the_container_does_not_see_is_the_root),
        FOLDER_TEST(version_1_groups_are_looked_at_where_they_list_cpu),
        FOLDER_TEST(lines_that_are_none_limit_nothing),
        cmocka_unit_test(the_affinity_mask_bounds_the_cpus),
        cmocka_unit_test(digests_are_those_of_the_standard),
        cmocka_unit_test(a_digest_in_pieces_is_that_of_the_whole),
        FOLDER_TEST(a_file_has_the_digest_of_its_bytes),
        FOLDER_TEST(a_file_appears_on_commit_and_leaves_nothing_beside_it),
        FOLDER_TEST(until_commit_the_earlier_file_stays),
        FOLDER_TEST(abort_removes_what_was_written),
        FOLDER_TEST(permissions_are_those_of_umask_or_of_the_earlier_file),
        FOLDER_TEST(a_link_stays_and_what_it_points_to_is_written),
        FOLDER_TEST(what_cannot_be_written_is_named_with_the_reason),
        FOLDER_TEST(a_kept_file_has_its_name_once_it_is_whole),
        FOLDER_TEST(a_kept_file_that_is_given_up_leaves_what_was_there),
        FOLDER_TEST(where_no_file_can_be_kept_the_path_is_named),
        FOLDER_TEST(a_file_is_opened_again_with_a_position_of_its_own),
        cmocka_unit_test(a_device_is_written_directly),
        cmocka_unit_test(a_full_disk_is_an_error_of_commit),
        FOLDER_TEST(a_pipe_gets_every_byte_and_its_end),
        FOLDER_TEST(a_pipe_without_a_reader_can_be_probed),
        FOLDER_TEST(a_descriptor_is_written_where_it_stands),
        CONFIG_TEST(lines_are_keys_and_values),
        CONFIG_TEST(a_bad_line_is_named_with_its_number_and_what_to_do),
        CONFIG_TEST(a_zero_byte_is_refused),
        CONFIG_TEST(lines_settings_and_files_have_limits),
        CONFIG_TEST(the_environment_stands_over_the_file_and_that_over_the_default),
        CONFIG_TEST(the_file_is_the_named_one_else_the_users),
        CONFIG_TEST(printing_shows_every_known_setting_and_its_source),
        CONFIG_TEST(secrets_are_masked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
