/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Where models are looked for, and taking them out of programs. JSON below is written with ' for ". */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/base.h"
#include "onnx_bytes.h"
#include "score/models.h"
#include "score/registry.h"

enum { PATH_TEXT = 512, MIB = 1 << 20 };

/* A model as small as they come: one feature, one support vector. */
static const char small[] =
    "{'param_dict': {'C': 1.0}, 'model_dict': {'model_type': 'LIBSVMNUSVR', 'norm_type': 'none', "
    "'feature_names': ['VMAF_integer_feature_motion2_score'], 'model': "
    "'svm_type nu_svr\\nkernel_type rbf\\ngamma 0.5\\nnr_class 2\\ntotal_sv 1\\nrho 0\\nSV\\n1 1:1\\n'}}";

/* ---- a folder for each test, and an environment that names no other ---- */

static char folder[64];

static const char *const variables[] = { "HOME",         "XDG_DATA_HOME",    "XDG_CONFIG_HOME",
                                         "VMAFX_CONFIG", "VMAFX_MODEL_PATH", "VMAFX_ONNXRUNTIME" };
static char *before[VMAFX_LEN(variables)];

static int set_up(void **state)
{
    strcpy(folder, "/tmp/vmafx_models_XXXXXX");
    for (size_t i = 0; i < VMAFX_LEN(variables); i++) {
        before[i] = vmafx_strdup(getenv(variables[i]));
        unsetenv(variables[i]);
    }
    return mkdtemp(folder) && !setenv("HOME", folder, 1) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    return remove(path);
}

static int tear_down(void **state)
{
    for (size_t i = 0; i < VMAFX_LEN(variables); i++) {
        if (before[i])
            setenv(variables[i], before[i], 1);
        else
            unsetenv(variables[i]);
        vmafx_free_p(&before[i]);
    }
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

/* The text with " for '. */
static char *quoted(const char *text)
{
    char *copy = vmafx_strdup(text);

    assert_non_null(copy);
    for (char *c = copy; *c; c++)
        if (*c == '\'')
            *c = '"';
    return copy;
}

static void put_bytes(const char *name, const char *data, size_t len)
{
    FILE *f = fopen(in_folder(name), "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static void put(const char *name, const char *text)
{
    VMAFX_AUTO(vmafx_free_p) char *json = quoted(text);

    put_bytes(name, json, strlen(json));
}

static void make(const char *dir)
{
    assert_int_equal(mkdir(in_folder(dir), 0777), 0);
}

/* ---- scanning ---- */

/* Scans to the end and joins what is found with '|'. */
static char *found_in(const char *data, size_t len)
{
    char *all = vmafx_strdup("");
    size_t offset = 0, json_len;
    const char *json;

    while (vmafx_models_scan(data, len, &offset, &json, &json_len)) {
        char *more = vmafx_sprintf("%s%s%.*s", all, *all ? "|" : "", (int)json_len, json);

        free(all);
        all = more;
    }
    assert_int_equal(offset, len);
    return all;
}

static void the_scan_finds_the_object_around_each_mark(void **state)
{
    static const struct {
        const char *why, *data, *found;
    } cases[] = {
        { "nothing", "", "" },
        { "the mark alone", "'model_dict'", "" },
        { "as a whole", "{'model_dict':1}", "{'model_dict':1}" },
        { "not a key", "{'a':'model_dict'}", "{'a':'model_dict'}" },
        { "between other bytes", "\1x{'model_dict':{}}\2", "{'model_dict':{}}" },
        { "text before and after", "%s {x} {'model_dict':1}{ and", "{'model_dict':1}" },
        { "two, side by side", "{'model_dict':1}{'model_dict':2}", "{'model_dict':1}|{'model_dict':2}" },
        { "a collection is one", "{'0':{'model_dict':1},'1':{'model_dict':2}}",
          "{'0':{'model_dict':1},'1':{'model_dict':2}}" },
        { "the outer one breaks off", "{'0':{'model_dict':1},'1':", "{'model_dict':1}" },
        { "brackets in strings", "{'a':'}]{','model_dict':'\\'}'}", "{'a':'}]{','model_dict':'\\'}'}" },
        { "blanks", "{ \t\r\n'model_dict' : [ ] } ", "{ \t\r\n'model_dict' : [ ] }" },
        { "wrong closing bracket", "{'model_dict':[1}", "" },
        { "cut", "{'model_dict':{'a':1", "" },
        { "cut in a string", "{'model_dict':'a", "" },
        { "cut after a backslash", "{'model_dict':'\\", "" },
        { "no comma", "{'a':1 'model_dict':1}", "" },
        { "a comma at the end", "{'model_dict':1,}", "" },
        { "control character in a string", "{'model_dict':'\1'}", "" },
        { "unknown escape", "{'model_dict':'\\q'}", "" },
        { "cut, then whole", "{'model_dict':{'a\1{'model_dict':1}", "{'model_dict':1}" },
        { "UTF-8", "{'model_dict':'\xc3\xa4'}", "{'model_dict':'\xc3\xa4'}" },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VMAFX_AUTO(vmafx_free_p) char *data = quoted(cases[i].data);
        VMAFX_AUTO(vmafx_free_p) char *wanted = quoted(cases[i].found);
        VMAFX_AUTO(vmafx_free_p) char *found = found_in(data, strlen(data));

        if (strcmp(found, wanted) != 0)
            fail_msg("%s: '%s' instead of '%s'", cases[i].why, found, wanted);
    }
}

static void the_scan_goes_on_from_its_offset(void **state)
{
    VMAFX_AUTO(vmafx_free_p) char *data = quoted("{'model_dict':1}{'model_dict':2}");
    size_t offset = 16, len;
    const char *json;

    assert_true(vmafx_models_scan(data, strlen(data), &offset, &json, &len));
    assert_ptr_equal(json, data + 16);
    assert_int_equal(len, 16);
    assert_false(vmafx_models_scan(data, strlen(data), &offset, &json, &len));
    assert_false(vmafx_models_scan(data, strlen(data), &offset, &json, &len));
    offset = 1000; /* behind the end */
    assert_false(vmafx_models_scan(data, strlen(data), &offset, &json, &len));
}

/* Work that grew with the square of the length would take hours here, and run into the test's time limit. */
static void hostile_nesting_costs_no_more_than_its_length(void **state)
{
    static const struct {
        const char *why, *piece, *end;
    } cases[] = {
        { "braces", "{", "'model_dict'" },
        { "brackets", "[", "'model_dict'" },
        { "objects in objects", "{'a':", "'model_dict'" },
        { "marks in objects", "{'model_dict':", "" },
        { "marks in lists", "{'model_dict':[", "" },
        { "marks alone", "'model_dict'", "" },
        { "marks without end", "{'model_dict':'", "" },
        { "objects that look like strings", "{'a':'{", "'model_dict'" },
        { "strings that look like objects", "{'{'model_dict':'", "" },
        { "an object that never ends", "{'a':1},", "'model_dict'" },
        { "backslashes", "{'\\\\", "'model_dict'" },
        { "opened and closed", "{'a':{'model_dict':{},'b':[{", "" },
        { "long lists behind short openings", "{'a':[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,{'b':2},", "'model_dict'" },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VMAFX_AUTO(vmafx_free_p) char *piece = quoted(cases[i].piece);
        VMAFX_AUTO(vmafx_free_p) char *end = quoted(cases[i].end);
        VMAFX_AUTO(vmafx_free_p) char *data = malloc(MIB + 16);
        size_t n = strlen(piece), len = MIB / n * n, offset = 0, json_len;
        const char *json;

        assert_non_null(data);
        for (size_t at = 0; at < len; at += n)
            memcpy(data + at, piece, n);
        memcpy(data + len, end, strlen(end));
        while (vmafx_models_scan(data, len + strlen(end), &offset, &json, &json_len)) {
        }
    }
}

/* ---- folders ---- */

static void folders_come_in_the_order_of_the_contract(void **state)
{
    setenv("VMAFX_MODEL_PATH", ":/one::/two:", 1);
    setenv("XDG_DATA_HOME", "/data", 1);
    VMAFX_AUTO(vmafx_model_dirs_free) char **dirs = vmafx_model_dirs();
    static const char *const wanted[] = { "/one",
                                          "/two",
                                          "/data/vmafx/models",
                                          NULL,
                                          "/usr/share/vmaf/model",
                                          "/usr/share/model",
                                          "/usr/local/share/model" };

    assert_non_null(dirs);
    for (size_t i = 0; i < VMAFX_LEN(wanted); i++) {
        assert_non_null(dirs[i]);
        if (wanted[i])
            assert_string_equal(dirs[i], wanted[i]);
    }
    assert_non_null(strstr(dirs[3], "/vmafx/models")); /* the installed one; the prefix differs */
    assert_null(dirs[VMAFX_LEN(wanted)]);
}

static void without_variables_the_home_folder_comes_first(void **state)
{
    VMAFX_AUTO(vmafx_model_dirs_free) char **dirs = vmafx_model_dirs();

    assert_non_null(dirs);
    assert_string_equal(dirs[0], in_folder(".local/share/vmafx/models"));
}

static void the_settings_file_may_name_folders(void **state)
{
    put("config", "VMAFX_MODEL_PATH=/from/file\n");
    setenv("VMAFX_CONFIG", in_folder("config"), 1);
    VMAFX_AUTO(vmafx_model_dirs_free) char **dirs = vmafx_model_dirs();

    assert_non_null(dirs);
    assert_string_equal(dirs[0], "/from/file");
}

static void a_broken_settings_file_is_an_error_when_a_model_is_wanted(void **state)
{
    VMAFX_AUTO(vmafx_free_p) char *path = NULL;
    VmafxErrInfo info = { 0 };

    put("config", "rubbish\n");
    setenv("VMAFX_CONFIG", in_folder("config"), 1);
    assert_int_equal(vmafx_model_find("a", &path, &info), VMAFX_ERR_SYNTAX);
    assert_non_null(strstr(info.message, "config', line 1: "));
    VMAFX_AUTO(vmafx_model_dirs_free) char **dirs = vmafx_model_dirs();
    assert_non_null(dirs);
}

static void search(const char *first, const char *second)
{
    char path[2 * PATH_TEXT];

    snprintf(path, sizeof path, "%s:%s", in_folder(first), in_folder(second));
    setenv("VMAFX_MODEL_PATH", path, 1);
}

static const VmafxModelFile *listed(const VmafxModelFiles *files, const char *version)
{
    for (size_t i = 0; i < files->n; i++)
        if (!strcmp(files->items[i].version, version))
            return &files->items[i];
    return NULL;
}

static void the_list_has_the_first_of_each_version_and_models_only(void **state)
{
    VMAFX_AUTO(vmafx_models_done) VmafxModelFiles files = { 0 };

    make("first");
    make("second");
    make("second/folder.json");
    put("first/zz_one.json", small);
    put("second/zz_one.json", small);
    put("second/zz_two.json", small);
    put("second/zz_broken.json", "{'model_dict': 1}");
    put("second/zz_text.txt", small);
    put("second/.json", small);
    assert_int_equal(symlink("zz_two.json", in_folder("second/aa_link.json")), 0);
    assert_int_equal(mkfifo(in_folder("second/pipe.json"), 0666), 0);
    search("first", "second");
    assert_int_equal(vmafx_models_list(&files), VMAFX_OK);
    assert_non_null(listed(&files, "zz_one"));
    assert_string_equal(listed(&files, "zz_one")->path, in_folder("first/zz_one.json"));
    assert_non_null(listed(&files, "zz_two"));
    assert_non_null(listed(&files, "aa_link"));
    for (size_t i = 0; i < files.n; i++) {
        if (i && strcmp(files.items[i - 1].version, files.items[i].version) >= 0)
            fail_msg("'%s' before '%s'", files.items[i - 1].version, files.items[i].version);
        if (strstr("zz_broken zz_text folder pipe", files.items[i].version))
            fail_msg("'%s' is no model", files.items[i].version);
    }
}

static void put_onnx(const char *name, bool for_us)
{
    RpcOut graph = a_linear_graph(1, 1, 0, 0);
    RpcOut model = for_us ? a_linear_model(1, 1, 0, 0) : a_model(&graph);

    free(graph.ptr);
    put_bytes(name, (const char *)model.ptr, model.len);
    free(model.ptr);
}

static void models_in_onnx_form_are_listed_and_found_after_the_published_ones(void **state)
{
    VMAFX_AUTO(vmafx_models_done) VmafxModelFiles files = { 0 };
    VmafxErrInfo info = { 0 };
    char *path = NULL;

    make("first");
    make("second");
    put("first/zz_both.json", small);
    put_onnx("first/zz_both.onnx", true);
    put_onnx("first/zz_net.onnx", true);
    put_onnx("first/zz_plain.onnx", false);
    put("first/zz_text.onnx", "text");
    put_onnx("second/zz_far.onnx", true);
    search("first", "second");
    assert_int_equal(vmafx_models_list(&files), VMAFX_OK);
    assert_string_equal(listed(&files, "zz_both")->path, in_folder("first/zz_both.json"));
    assert_string_equal(listed(&files, "zz_net")->path, in_folder("first/zz_net.onnx"));
    assert_non_null(listed(&files, "zz_far"));
    assert_null(listed(&files, "zz_plain")); /* its metadata do not say what it is for */
    assert_null(listed(&files, "zz_text"));
    assert_int_equal(vmafx_model_find("zz_far", &path, NULL), VMAFX_OK);
    assert_string_equal(path, in_folder("second/zz_far.onnx"));
    vmafx_free_p(&path);
    assert_int_equal(vmafx_model_find("zz_fat", &path, &info), VMAFX_ERR_NOT_FOUND);
    assert_non_null(strstr(info.message, "nearest one is 'zz_far'"));
}

static void whoever_has_only_onnx_models_is_told_how_to_import(void **state)
{
    VmafxErrInfo info = { 0 };
    char *path = NULL;

    make("first");
    put_onnx("first/ours.onnx", true);
    search("first", "none");
    assert_int_equal(vmafx_model_find("vmaf_v0.6.1", &path, &info), VMAFX_ERR_NOT_FOUND);
    assert_non_null(strstr(info.message, "vmafx models import FILE"));
}

/* Without a runtime the registry has the others, and says of these why not. */
static void what_cannot_be_run_is_not_in_the_registry_but_its_reason_is(void **state)
{
    VMAFX_AUTO(vmafx_model_registry_free) VmafxModelRegistry *registry = NULL;
    const VmafxKnownModel *known;
    VmafxErrInfo info = { 0 };

    make("first");
    put("first/aa_one.json", small);
    put_onnx("first/zz_net.onnx", true);
    search("first", "none");
    setenv("VMAFX_ONNXRUNTIME", "/nonexistent/lib.so", 1);
    assert_int_equal(vmafx_model_registry_load(&registry, &info), VMAFX_OK);
    assert_int_equal(vmafx_model_registry_find(registry, "aa_one", &known, &info), VMAFX_OK);
    assert_non_null(known->model);
    assert_int_equal(vmafx_model_registry_find(registry, "zz_net", &known, &info), VMAFX_ERR_UNSUPPORTED);
    assert_non_null(strstr(info.message, "/nonexistent/lib.so"));
    for (size_t i = 0; i < vmafx_model_registry_count(registry); i++)
        assert_string_not_equal(vmafx_model_registry_at(registry, i)->version, "zz_net");
    assert_int_equal(vmafx_model_registry_find(registry, "zz_nest", &known, &info), VMAFX_ERR_NOT_FOUND);
}

static void an_onnx_model_is_imported_as_it_is(void **state)
{
    VmafxErrInfo info = { 0 };
    char source[PATH_TEXT], target[PATH_TEXT];
    struct stat st;
    size_t n;

    put_onnx("net.onnx", true);
    put_onnx("plain.onnx", false);
    snprintf(source, sizeof source, "%s", in_folder("net.onnx"));
    snprintf(target, sizeof target, "%s", in_folder("into"));
    assert_int_equal(vmafx_models_import(source, target, NULL, NULL, &n, &info), VMAFX_OK);
    assert_int_equal(n, 1);
    assert_int_equal(stat(in_folder("into/net.onnx"), &st), 0);
    assert_int_equal(vmafx_models_import(in_folder("plain.onnx"), target, NULL, NULL, &n, &info), VMAFX_ERR_MODEL);
    assert_non_null(strstr(info.message, "vmafx.format"));
}

static void a_version_is_found_in_the_first_folder_that_has_it(void **state)
{
    VMAFX_AUTO(vmafx_free_p) char *path = NULL;

    make("first");
    make("second");
    put("second/zz_one.json", small);
    search("first", "second");
    assert_int_equal(vmafx_model_find("zz_one", &path, NULL), VMAFX_OK);
    assert_string_equal(path, in_folder("second/zz_one.json"));
    put("first/zz_one.json", "broken");
    vmafx_free_p(&path);
    assert_int_equal(vmafx_model_find("zz_one", &path, NULL), VMAFX_OK);
    assert_string_equal(path, in_folder("first/zz_one.json"));
}

static void a_wrong_version_is_told_the_nearest_one(void **state)
{
    VMAFX_AUTO(vmafx_free_p) char *path = NULL;
    VmafxErrInfo info = { 0 };

    make("first");
    put("first/zz_v0.6.1.json", small);
    put("first/zz_v0.6.1neg.json", small);
    search("first", "second");
    assert_int_equal(vmafx_model_find("zz_v0.6.1meg", &path, &info), VMAFX_ERR_NOT_FOUND);
    assert_null(path);
    assert_string_equal(info.message, "there is no model 'zz_v0.6.1meg'; the nearest one is 'zz_v0.6.1neg', and "
                                      "`vmafx models list` names all");
}

static void without_any_model_import_is_recommended(void **state)
{
    VMAFX_AUTO(vmafx_models_done) VmafxModelFiles files = { 0 };
    VMAFX_AUTO(vmafx_free_p) char *path = NULL;
    VmafxErrInfo info = { 0 };

    assert_int_equal(vmafx_models_list(&files), VMAFX_OK);
    if (files.n) /* this machine has some installed */
        skip();
    assert_int_equal(vmafx_model_find("vmaf_v0.6.1", &path, &info), VMAFX_ERR_NOT_FOUND);
    assert_non_null(strstr(info.message, "`vmafx models import FILE`"));
}

static void a_version_does_not_lead_out_of_the_folders(void **state)
{
    VMAFX_AUTO(vmafx_free_p) char *path = NULL;
    VmafxErrInfo info = { 0 };

    make("first");
    put("zz_one.json", small);
    search("first", "second");
    assert_int_equal(vmafx_model_find("../zz_one", &path, &info), VMAFX_ERR_NOT_FOUND);
    assert_non_null(strstr(info.message, "path=FILE"));
}

/* ---- import ---- */

typedef struct Imported {
    char versions[512]; /* each with a blank behind it */
    char last_path[PATH_TEXT];
} Imported;

static void on_model(void *ctx, const char *version, const char *path)
{
    Imported *imported = ctx;
    size_t len = strlen(imported->versions);

    snprintf(imported->versions + len, sizeof imported->versions - len, "%s ", version);
    snprintf(imported->last_path, sizeof imported->last_path, "%s", path);
}

static VmafxErr import(const char *name, Imported *ret, size_t *ret_n, VmafxErrInfo *info)
{
    *ret = (Imported){ 0 };
    return vmafx_models_import(in_folder(name), in_folder("new/models"), on_model, ret, ret_n, info);
}

static void assert_file_is(const char *path, const char *text)
{
    VMAFX_AUTO(vmafx_free_p) char *got = NULL;
    size_t len;

    assert_int_equal(vmafx_read_file(path, MIB, &got, &len, NULL), VMAFX_OK);
    assert_int_equal(len, strlen(text));
    assert_string_equal(got, text);
}

/* A program with these texts between bytes that are none. */
static void put_program(const char *name, const char *const *texts, size_t n)
{
    char *data = NULL;
    size_t len;
    FILE *f = open_memstream(&data, &len);

    assert_non_null(f);
    fwrite("\177ELF\1\0\0{\"model_dict\"\0", 1, 21, f);
    for (size_t i = 0; i < n; i++) {
        VMAFX_AUTO(vmafx_free_p) char *text = quoted(texts[i]);

        fwrite(text, 1, strlen(text) + 1, f);
        fwrite("\377\0\1", 1, 3, f);
    }
    assert_int_equal(fclose(f), 0);
    put_bytes(name, data, len);
    free(data);
}

static void models_are_taken_out_of_a_program_once_each(void **state)
{
    VMAFX_AUTO(vmafx_free_p) char *json = quoted(small);
    const char *const texts[] = { "%s {", "{'model_dict': {'not': 'a model'}}", small, small };
    Imported imported;
    VmafxErrInfo info = { 0 };
    size_t n = 0;

    put_program("program", texts, VMAFX_LEN(texts));
    if (import("program", &imported, &n, &info))
        fail_msg("%s", info.message);
    assert_int_equal(n, 1);
    assert_int_equal(strlen(imported.versions), strlen("model_01234567 "));
    assert_memory_equal(imported.versions, "model_", 6);
    assert_file_is(imported.last_path, json);
}

static void spelling_does_not_change_the_version(void **state)
{
    VMAFX_AUTO(vmafx_free_p) char *json = quoted(small);
    json_t *root = json_loads(json, 0, NULL);
    VMAFX_AUTO(vmafx_free_p) char *other = json_dumps(root, JSON_INDENT(3) | JSON_SORT_KEYS);
    const char *const texts[] = { small, other };
    Imported imported;
    size_t n = 0;

    json_decref(root);
    put_program("program", texts, VMAFX_LEN(texts));
    assert_int_equal(import("program", &imported, &n, NULL), VMAFX_OK);
    assert_int_equal(n, 1);
}

static void a_number_beyond_64_bits_does_not_stop_an_import(void **state)
{
    VMAFX_AUTO(vmafx_free_p) char *big = vmafx_strdup(small);
    VMAFX_AUTO(vmafx_free_p) char *text = NULL;
    Imported imported;
    VmafxErrInfo info = { 0 };
    size_t n = 0;

    text = vmafx_sprintf("{'x': 99999999999999999999999, %s", big + 1);
    const char *const texts[] = { text };
    put_program("program", texts, 1);
    if (import("program", &imported, &n, &info))
        fail_msg("%s", info.message);
    assert_int_equal(n, 1);
}

static void a_model_file_keeps_its_name_and_its_bytes(void **state)
{
    VMAFX_AUTO(vmafx_free_p) char *json = quoted(small);
    Imported imported;
    size_t n = 0;

    put("mine_v2.json", small);
    assert_int_equal(import("mine_v2.json", &imported, &n, NULL), VMAFX_OK);
    assert_int_equal(n, 1);
    assert_string_equal(imported.versions, "mine_v2 ");
    assert_string_equal(imported.last_path, in_folder("new/models/mine_v2.json"));
    assert_file_is(imported.last_path, json);
}

static void what_has_no_model_is_refused_and_leaves_no_folder(void **state)
{
    static const struct {
        const char *name, *text, *message;
        VmafxErr err;
    } cases[] = {
        { "empty", "", "empty': the file is empty", VMAFX_ERR_NOT_FOUND },
        { "text", "nothing here", "text': it takes a libvmaf.so or a program", VMAFX_ERR_NOT_FOUND },
        { "broken.json", "{'model_dict': 1}", "broken.json'; as a model file: ", VMAFX_ERR_NOT_FOUND },
        { "cut.json", "{'model_dict': {'model_type': 'LIBS", "cut.json'; as a model file: ", VMAFX_ERR_NOT_FOUND },
        { "gone", NULL, "gone': No such file or directory", VMAFX_ERR_NOT_FOUND },
        { ".", NULL, "it is not a regular file", VMAFX_ERR_IO },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        Imported imported;
        VmafxErrInfo info = { 0 };
        size_t n = 77;

        if (cases[i].text)
            put(cases[i].name, cases[i].text);
        assert_int_equal(import(cases[i].name, &imported, &n, &info), cases[i].err);
        assert_int_equal(n, 77);
        if (!strstr(info.message, cases[i].message))
            fail_msg("'%s' does not say '%s'", info.message, cases[i].message);
    }
    assert_int_equal(access(in_folder("new"), F_OK), -1);
}

static void a_file_above_the_limit_is_refused(void **state)
{
    Imported imported;
    VmafxErrInfo info = { 0 };
    size_t n;

    put("large", "");
    if (truncate(in_folder("large"), ((off_t)1 << 30) + 1))
        skip();
    assert_int_equal(import("large", &imported, &n, &info), VMAFX_ERR_LIMIT);
    assert_non_null(strstr(info.message, "larger than 1 GiB"));
}

static void a_folder_that_cannot_be_made_is_named(void **state)
{
    Imported imported;
    VmafxErrInfo info = { 0 };
    size_t n;

    put("mine.json", small);
    put("new", "a file");
    assert_int_equal(import("mine.json", &imported, &n, &info), VMAFX_ERR_IO);
    assert_non_null(strstr(info.message, "cannot make the folder '"));
    assert_non_null(strstr(info.message, "new/models': Not a directory"));
}

#define MODELS_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_scan_finds_the_object_around_each_mark),
        cmocka_unit_test(the_scan_goes_on_from_its_offset),
        cmocka_unit_test(hostile_nesting_costs_no_more_than_its_length),
        MODELS_TEST(folders_come_in_the_order_of_the_contract),
        MODELS_TEST(without_variables_the_home_folder_comes_first),
        MODELS_TEST(the_settings_file_may_name_folders),
        MODELS_TEST(a_broken_settings_file_is_an_error_when_a_model_is_wanted),
        MODELS_TEST(the_list_has_the_first_of_each_version_and_models_only),
        MODELS_TEST(models_in_onnx_form_are_listed_and_found_after_the_published_ones),
        MODELS_TEST(whoever_has_only_onnx_models_is_told_how_to_import),
        MODELS_TEST(what_cannot_be_run_is_not_in_the_registry_but_its_reason_is),
        MODELS_TEST(an_onnx_model_is_imported_as_it_is),
        MODELS_TEST(a_version_is_found_in_the_first_folder_that_has_it),
        MODELS_TEST(a_wrong_version_is_told_the_nearest_one),
        MODELS_TEST(without_any_model_import_is_recommended),
        MODELS_TEST(a_version_does_not_lead_out_of_the_folders),
        MODELS_TEST(models_are_taken_out_of_a_program_once_each),
        MODELS_TEST(spelling_does_not_change_the_version),
        MODELS_TEST(a_number_beyond_64_bits_does_not_stop_an_import),
        MODELS_TEST(a_model_file_keeps_its_name_and_its_bytes),
        MODELS_TEST(what_has_no_model_is_refused_and_leaves_no_folder),
        MODELS_TEST(a_file_above_the_limit_is_refused),
        MODELS_TEST(a_folder_that_cannot_be_made_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
