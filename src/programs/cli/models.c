/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* `vmafx models`: which model files there are, what is in one, and getting them out of other programs. */

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "base/nearest.h"
#include "base/digest.h"
#include "engine/model/model.h"
#include "programs/cli/cli.h"
#include "programs/cli/models_onnx.h"
#include "report/report.h"
#include "score/models.h"

#define MODEL_BYTES_MAX ((size_t)64 << 20)
#define SHA256_TEXT     65
#define ARGUMENTS_MAX   2 /* the action and its subject */

enum { O_DIRECTORY_OPTION = 1, O_JSON };

static const CliOption models_options[] = {
    { O_DIRECTORY_OPTION, 'd', "directory", "DIR",
      "Where import puts the models; $XDG_DATA_HOME/vmafx/models or ~/.local/share/vmafx/models when not given.",
      NULL },
    { O_JSON, 0, "json", NULL, "Print JSON (list, show).", NULL },
    { 0 },
};

typedef struct Arguments {
    const char *words[ARGUMENTS_MAX];
    int n;
    const char *directory;
    bool json;
} Arguments;

/* A model as it lies on disk. */
typedef struct Loaded {
    VmafxModel *model;
    char sha256[SHA256_TEXT];
    bool usable;
    char reason[VMAFX_ERR_MESSAGE_MAX]; /* why it is not */
} Loaded;

static void loaded_done(Loaded *loaded)
{
    vmafx_model_free(&loaded->model);
}

/* Would the engine take it? */
static VmafxErr try_engine(Loaded *loaded)
{
    VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = NULL;
    VmafxErrInfo info = { 0 };
    VmafxErr err = vmafx_engine_new(&(VmafxEngineSettings){ 0 }, &engine);

    if (err)
        return err;
    err = vmafx_engine_add_model(engine, loaded->model, &(VmafxModelUse){ 0 }, &info);
    if (err == VMAFX_ERR_NOMEM)
        return err;
    loaded->usable = !err;
    snprintf(loaded->reason, sizeof loaded->reason, "%s", *info.message ? info.message : vmafx_err_text(err));
    return VMAFX_OK;
}

static VmafxErr load(const char *path, Loaded *ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_free_p) char *json = NULL;
    size_t len;
    VmafxErr err = vmafx_read_file(path, MODEL_BYTES_MAX, &json, &len, reterr);
    VmafxErrInfo info = { 0 };

    if (err)
        return err;
    err = vmafx_model_parse(json, len, &ret->model, &info);
    if (err)
        return vmafx_fail(reterr, err, "'%s': %s", path, *info.message ? info.message : vmafx_err_text(err));
    vmafx_sha256_hex(json, len, ret->sha256);
    err = try_engine(ret);
    return err ? vmafx_fail(reterr, err, "'%s': %s", path, vmafx_err_text(err)) : VMAFX_OK;
}

static int fail(VmafxErr err, int code, const VmafxErrInfo *info)
{
    fprintf(stderr, "vmafx models: %s\n", info && *info->message ? info->message : vmafx_err_text(err));
    return code;
}

static int fail_model(VmafxErr err, const VmafxErrInfo *info)
{
    return fail(err, err == VMAFX_ERR_NOT_FOUND ? EXIT_MODEL : cli_exit_for(err), info);
}

/* ---- list ---- */

static int no_models(bool json)
{
    if (json)
        puts("{\"schema\": \"vmafx.models\", \"schema_version\": 1, \"models\": []}");
    fputs("vmafx models: there are no model files in the folders that `vmafx models path` prints.\n"
          "Take them out of any libvmaf.so or static ffmpeg that has them built in:\n"
          "  vmafx models import FILE\n"
          "or name the folder that holds them in the environment variable VMAFX_MODEL_PATH\n",
          stderr);
    return EXIT_MODEL;
}

/* A row of the list as both kinds of models have it. */
typedef struct Row {
    const VmafxModelFile *file;
    const char *format, *kind; /* kind NULL: there are no kinds */
    size_t inputs, members;
    bool collection, usable;
    const char *reason, *sha256;
} Row;

static void list_json(const Row *row, bool first)
{
    printf("%s\n  {\"version\": ", first ? "" : ",");
    vmafx_json_string(stdout, row->file->version);
    printf(", \"format\": \"%s\", ", row->format);
    if (row->kind)
        printf("\"kind\": \"%s\", ", row->kind);
    printf("\"inputs\": %zu, \"members\": %zu, \"collection\": %s, \"usable\": %s", row->inputs, row->members,
           row->collection ? "true" : "false", row->usable ? "true" : "false");
    if (!row->usable) {
        fputs(", \"reason\": ", stdout);
        vmafx_json_string(stdout, row->reason);
    }
    printf(", \"sha256\": \"%s\", \"path\": ", row->sha256);
    vmafx_json_string(stdout, row->file->path);
    putchar('}');
}

static void list_text(const Row *row, int width)
{
    printf("%-*s %6zu %7zu  %s\n", width, row->file->version, row->inputs, row->members, row->file->path);
    if (!row->usable)
        printf("  not usable: %s\n", row->reason);
}

static void list_row(const Arguments *a, const Row *row, int width, bool *first)
{
    if (a->json)
        list_json(row, *first);
    else
        list_text(row, width);
    *first = false;
}

static VmafxErr list_onnx(const Arguments *a, const VmafxModelFile *file, int width, bool *first, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(onnx_loaded_done) OnnxLoaded loaded = { 0 };
    VmafxErr err = onnx_load(file->path, &loaded, reterr);
    const Row row = { .file = file,
                      .format = "onnx",
                      .kind = vmafx_onnx_kind_name(loaded.file.kind),
                      .inputs = onnx_inputs(&loaded),
                      .members = 1,
                      .usable = loaded.usable,
                      .reason = loaded.reason,
                      .sha256 = loaded.sha256 };

    if (!err)
        list_row(a, &row, width, first);
    return err;
}

static VmafxErr list_one(const Arguments *a, const VmafxModelFile *file, int width, bool *first, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(loaded_done) Loaded loaded = { 0 };
    VmafxErr err = load(file->path, &loaded, reterr);

    if (err)
        return err;
    const Row row = { .file = file,
                      .format = "json",
                      .inputs = vmafx_model_inputs(loaded.model, 0),
                      .members = vmafx_model_members(loaded.model),
                      .collection = vmafx_model_is_collection(loaded.model),
                      .usable = loaded.usable,
                      .reason = loaded.reason,
                      .sha256 = loaded.sha256 };
    list_row(a, &row, width, first);
    return VMAFX_OK;
}

static bool is_onnx_file(const char *path)
{
    size_t len = strlen(path);

    return len > 5 && !strcmp(path + len - 5, ".onnx");
}

static int list_models(const Arguments *a)
{
    VMAFX_AUTO(vmafx_models_done) VmafxModelFiles files = { 0 };
    VmafxErr err = vmafx_models_list(&files);
    int width = (int)strlen("version");
    bool first = true;

    if (err)
        return fail(err, cli_exit_for(err), NULL);
    if (files.n == 0)
        return no_models(a->json);
    for (size_t i = 0; i < files.n; i++)
        width = VMAFX_MAX(width, (int)strlen(files.items[i].version));
    if (a->json)
        fputs("{\"schema\": \"vmafx.models\", \"schema_version\": 1, \"models\": [", stdout);
    else
        printf("%-*s %6s %7s  %s\n", width, "version", "inputs", "members", "path");
    for (size_t i = 0; i < files.n; i++) {
        VmafxErrInfo info = { 0 };

        err = is_onnx_file(files.items[i].path) ? list_onnx(a, &files.items[i], width, &first, &info)
                                                : list_one(a, &files.items[i], width, &first, &info);
        if (err) /* it was a model a moment ago */
            VMAFX_IGNORE(fail(err, 0, &info));
    }
    if (a->json)
        puts("\n]}");
    return EXIT_COMPLETE;
}

/* ---- show ---- */

static void print_text_options(const VmafxOptions *options)
{
    for (size_t i = 0; options && i < options->n; i++)
        printf(" %s=%s", options->items[i].key, options->items[i].value);
}

static const char *type_name(const VmafxModelMember *member)
{
    switch (member->type) {
    case VMAFX_MODEL_TYPE_PLAIN:
        return "nu-SVR";
    case VMAFX_MODEL_TYPE_BOOTSTRAP:
        return "nu-SVR, bootstrap";
    default:
        return "nu-SVR, residue bootstrap";
    }
}

static const char *transform_name(const VmafxTransform *transform)
{
    return !transform->present ? "none" : transform->enabled ? "on" : "off until a score asks for it";
}

static void show_text(const char *path, const Loaded *loaded)
{
    const VmafxModel *model = loaded->model;
    size_t members = vmafx_model_members(model);

    printf("file      %s\n", path);
    printf("sha256    %s\n", loaded->sha256);
    if (vmafx_model_is_collection(model))
        printf("members   %zu (a collection: scores have a confidence interval)\n", members);
    else
        printf("members   %zu\n", members);
    printf("usable    %s%s\n", loaded->usable ? "yes" : "no: ", loaded->usable ? "" : loaded->reason);
    const VmafxModelMember *full = &model->members[0];
    printf("type      %s, %zu support vectors, gamma %g\n", type_name(full), full->svm.n, full->svm.gamma);
    if (full->has_clip)
        printf("clip      %g to %g\n", full->clip_min, full->clip_max);
    else
        puts("clip      none");
    printf("transform %s\n", transform_name(&full->transform));
    printf("inputs    %zu\n", vmafx_model_inputs(model, 0));
    for (size_t i = 0; i < vmafx_model_inputs(model, 0); i++) {
        printf("  %s", vmafx_model_input_feature(model, 0, i));
        print_text_options(vmafx_model_input_options(model, 0, i));
        putchar('\n');
    }
}

static void print_json_options(const VmafxOptions *options)
{
    putchar('{');
    for (size_t i = 0; options && i < options->n; i++) {
        fputs(i ? ", " : "", stdout);
        vmafx_json_string(stdout, options->items[i].key);
        fputs(": ", stdout);
        vmafx_json_string(stdout, options->items[i].value);
    }
    putchar('}');
}

static void show_json(const char *path, const Loaded *loaded)
{
    const VmafxModel *model = loaded->model;

    fputs("{\"schema\": \"vmafx.model\", \"schema_version\": 1, \"path\": ", stdout);
    vmafx_json_string(stdout, path);
    printf(", \"sha256\": \"%s\", \"format\": \"json\", \"members\": %zu, \"collection\": %s, \"usable\": %s",
           loaded->sha256, vmafx_model_members(model), vmafx_model_is_collection(model) ? "true" : "false",
           loaded->usable ? "true" : "false");
    if (!loaded->usable) {
        fputs(", \"reason\": ", stdout);
        vmafx_json_string(stdout, loaded->reason);
    }
    const VmafxModelMember *full = &model->members[0];
    printf(", \"type\": \"%s\", \"support_vectors\": %zu, \"gamma\": %.17g, \"clip\": ", type_name(full), full->svm.n,
           full->svm.gamma);
    if (full->has_clip)
        printf("[%.17g, %.17g]", full->clip_min, full->clip_max);
    else
        fputs("null", stdout);
    printf(", \"transform\": {\"present\": %s, \"enabled\": %s}", full->transform.present ? "true" : "false",
           full->transform.enabled ? "true" : "false");
    fputs(", \"inputs\": [", stdout);
    for (size_t i = 0; i < vmafx_model_inputs(model, 0); i++) {
        fputs(i ? ",\n  {\"feature\": " : "\n  {\"feature\": ", stdout);
        vmafx_json_string(stdout, vmafx_model_input_feature(model, 0, i));
        fputs(", \"options\": ", stdout);
        print_json_options(vmafx_model_input_options(model, 0, i));
        putchar('}');
    }
    puts("\n]}");
}

static bool is_file_name(const char *text)
{
    size_t len = strlen(text);

    return strchr(text, '/') || is_onnx_file(text) || (len > 5 && !strcmp(text + len - 5, ".json"));
}

static int show_onnx(const Arguments *a, const char *path)
{
    VMAFX_AUTO(onnx_loaded_done) OnnxLoaded loaded = { 0 };
    VmafxErrInfo info = { 0 };
    VmafxErr err = onnx_load(path, &loaded, &info);

    if (err)
        return fail(err, cli_exit_for(err), &info);
    if (a->json)
        onnx_show_json(path, &loaded);
    else
        onnx_show_text(path, &loaded);
    return EXIT_COMPLETE;
}

static int show_model(const Arguments *a)
{
    VMAFX_AUTO(vmafx_free_p) char *found = NULL;
    VMAFX_AUTO(loaded_done) Loaded loaded = { 0 };
    VmafxErrInfo info = { 0 };
    const char *path = a->words[1];
    VmafxErr err;

    if (!path) {
        fputs(
            "vmafx models: show needs a version or a file, as in `vmafx models show vmaf_v0.6.1`; `vmafx models list` "
            "prints the versions\n",
            stderr);
        return EXIT_USAGE;
    }
    if (!is_file_name(path)) {
        err = vmafx_model_find(path, &found, &info);
        if (err)
            return fail_model(err, &info);
        path = found;
    }
    if (is_onnx_file(path))
        return show_onnx(a, path);
    err = load(path, &loaded, &info);
    if (err)
        return fail(err, cli_exit_for(err), &info);
    if (a->json)
        show_json(path, &loaded);
    else
        show_text(path, &loaded);
    return EXIT_COMPLETE;
}

/* ---- import ---- */

/* ($XDG_DATA_HOME or ~/.local/share)/vmafx/models; NULL when there is no home. */
static char *default_directory(void)
{
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");

    if (data && *data)
        return vmafx_sprintf("%s/vmafx/models", data);
    if (!home || !*home) {
        const struct passwd *user = getpwuid(getuid());

        home = user ? user->pw_dir : NULL;
    }
    return home && *home ? vmafx_sprintf("%s/.local/share/vmafx/models", home) : NULL;
}

/* Whether an error of import is about the file or about the folder shows here. */
static bool can_be_read(const char *file)
{
    struct stat st;
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int problem = fd < 0 || fstat(fd, &st) ? errno : S_ISDIR(st.st_mode) ? EISDIR : S_ISREG(st.st_mode) ? 0 : EINVAL;

    if (fd >= 0)
        close(fd);
    if (problem)
        fprintf(stderr, "vmafx models: cannot read '%s': %s\n", file,
                problem == EINVAL ? "not a regular file" : strerror(problem));
    return !problem;
}

static void on_model(void *ctx, const char *version, const char *path)
{
    printf("%s  %s\n", version, path);
}

static int import_models(const Arguments *a)
{
    VMAFX_AUTO(vmafx_free_p) char *directory = a->directory ? vmafx_strdup(a->directory) : default_directory();
    const char *file = a->words[1];
    VmafxErrInfo info = { 0 };
    size_t n;

    if (!file) {
        fputs("vmafx models: import needs a file: a libvmaf.so or static ffmpeg that has models built in, or a model "
              "file\n",
              stderr);
        return EXIT_USAGE;
    }
    if (!directory) {
        fputs("vmafx models: there is no home folder to put models into: name one with --directory DIR\n", stderr);
        return EXIT_USAGE;
    }
    if (!can_be_read(file))
        return EXIT_INPUT;
    VmafxErr err = vmafx_models_import(file, directory, on_model, NULL, &n, &info);
    if (err)
        return fail(err, err == VMAFX_ERR_IO ? EXIT_OUTPUT : cli_exit_for(err), &info);
    return EXIT_COMPLETE;
}

/* ---- path ---- */

static int print_path(const Arguments *a)
{
    VMAFX_AUTO(vmafx_free_p) char *found = NULL;
    VmafxErrInfo info = { 0 };

    if (a->words[1]) {
        VmafxErr err = vmafx_model_find(a->words[1], &found, &info);

        if (err)
            return fail_model(err, &info);
        puts(found);
        return EXIT_COMPLETE;
    }
    VMAFX_AUTO(vmafx_model_dirs_free) char **dirs = vmafx_model_dirs();
    if (!dirs)
        return fail(VMAFX_ERR_NOMEM, EXIT_DEFECT, NULL);
    for (size_t i = 0; dirs[i]; i++) {
        struct stat st;
        bool exists = !stat(dirs[i], &st) && S_ISDIR(st.st_mode);

        printf("%s%s\n", dirs[i], exists ? "" : "  (does not exist)");
    }
    return EXIT_COMPLETE;
}

/* ---- the command ---- */

static const struct {
    const char *name;
    int words_max;
    bool json, directory; /* takes these options */
    int (*run)(const Arguments *a);
} actions[] = {
    { "list", 1, true, false, list_models },
    { "show", 2, true, false, show_model },
    { "import", 2, false, true, import_models },
    { "path", 2, false, false, print_path },
};

static bool misuse(const char *action, const char *option)
{
    fprintf(stderr, "vmafx models: %s does not take %s; `vmafx models --help` explains the options\n", action, option);
    return true;
}

static int run_action(const Arguments *a)
{
    const char *names[VMAFX_LEN(actions)];

    if (a->n == 0) {
        fputs("vmafx models: say what to do: list, show, import or path; `vmafx models --help` has examples\n", stderr);
        return EXIT_USAGE;
    }
    for (size_t i = 0; i < VMAFX_LEN(actions); i++) {
        names[i] = actions[i].name;
        if (strcmp(a->words[0], names[i]) != 0)
            continue;
        if ((a->n > actions[i].words_max && misuse(names[i], "another argument")) ||
            (a->json && !actions[i].json && misuse(names[i], "--json")) ||
            (a->directory && !actions[i].directory && misuse(names[i], "--directory")))
            return EXIT_USAGE;
        return actions[i].run(a);
    }
    const char *nearest = vmafx_nearest(a->words[0], names, VMAFX_LEN(names));
    fprintf(stderr, "vmafx models: there is no '%s'", a->words[0]);
    if (nearest)
        fprintf(stderr, "; did you mean '%s'?\n", nearest);
    else
        fputs("; there are list, show, import and path\n", stderr);
    return EXIT_USAGE;
}

static int run_models(int argc, char **argv)
{
    Arguments a = { 0 };
    CliParser parser;
    const char *value;
    int id;

    cli_parser_init(&parser, &cli_models, argc, argv);
    while ((id = cli_next(&parser, &value)) != CLI_END) {
        switch (id) {
        case CLI_HELP:
            return EXIT_COMPLETE;
        case O_JSON:
            a.json = true;
            break;
        case O_DIRECTORY_OPTION:
            a.directory = value;
            break;
        case CLI_POSITIONAL:
            if (a.n < ARGUMENTS_MAX) {
                a.words[a.n++] = value;
                break;
            }
            fprintf(stderr, "vmafx models: '%s' is one argument too many; one file or version at a time\n", value);
            return EXIT_USAGE;
        default:
            return EXIT_USAGE;
        }
    }
    return run_action(&a);
}

const CliCommand cli_models = {
    .name = "models",
    .summary = "list, show and import model files",
    .usage = "list [--json] | show VERSION|FILE [--json] | import FILE [--directory DIR] | path [VERSION]",
    .examples = "# which models are there, and can they be used?\n"
                "vmafx models list\n"
                "# the inputs of one\n"
                "vmafx models show vmaf_v0.6.1\n"
                "# take the models out of a program that has them built in\n"
                "vmafx models import libvmaf.so.3\n"
                "# where is it, and where are models looked for?\n"
                "vmafx models path vmaf_v0.6.1\n"
                "vmafx models path\n",
    .notes = "Models are JSON files as published with the reference implementation. The folders that `vmafx models "
             "path` prints are searched in that order; VMAFX_MODEL_PATH comes first.\n\n"
             "Exit status: 0 done, 2 usage, 3 file not readable, 5 no such model or no models at all, 6 folder not "
             "writable.",
    .options = models_options,
    .words = "list show import path",
    .files = true,
    .run = run_models,
};
