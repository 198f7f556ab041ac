/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Model files and the folders they are in. Taking them out of programs is done in models_import.c, which finds them
 * with models_scan.c and knows them by models_known.c.
 */

#include "score/models.h"

#include <dirent.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "base/config.h"
#include "infer/onnx_file.h"
#include "score/model_auto.h"
#include "score/models_internal.h"

#ifndef VMAFX_DATADIR
#define VMAFX_DATADIR "/usr/local/share"
#endif

#define WORD_MAX 64 /* of a version, when looking for the nearest */

/* ---- folders ---- */

typedef struct Dirs {
    char **items; /* ended by NULL */
    size_t n;
} Dirs;

static void dirs_done(Dirs *dirs)
{
    vmafx_model_dirs_free(&dirs->items);
}

/* Takes the path over; NULL is no memory. */
static bool dirs_add(Dirs *dirs, char *path)
{
    char **more = path ? realloc(dirs->items, (dirs->n + 2) * sizeof *more) : NULL;

    if (!more) {
        free(path);
        return false;
    }
    dirs->items = more;
    more[dirs->n++] = path;
    more[dirs->n] = NULL;
    return true;
}

/* Empty entries of a list in VMAFX_MODEL_PATH mean nothing. */
static bool dirs_add_list(Dirs *dirs, const char *list)
{
    while (list && *list) {
        size_t len = strcspn(list, ":");

        if (len && !dirs_add(dirs, strndup(list, len)))
            return false;
        list += len + (list[len] == ':');
    }
    return true;
}

static bool dirs_add_user(Dirs *dirs)
{
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");

    if (data && *data)
        return dirs_add(dirs, vmafx_sprintf("%s/vmafx/models", data));
    if (!home || !*home) {
        const struct passwd *user = getpwuid(getuid());

        home = user ? user->pw_dir : NULL;
    }
    return !home || dirs_add(dirs, vmafx_sprintf("%s/.local/share/vmafx/models", home));
}

static VmafxErr find_dirs(Dirs *dirs, VmafxErrInfo *reterr)
{
    static const char *const fixed[] = { VMAFX_DATADIR "/vmafx/models", "/usr/share/vmaf/model", "/usr/share/model",
                                         "/usr/local/share/model" };
    VMAFX_AUTO(vmafx_config_free) VmafxConfig *config = NULL;
    VmafxErr err = vmafx_config_load(&config, reterr);
    bool enough = true;

    if (err == VMAFX_ERR_NOMEM)
        return err;
    enough =
        dirs_add_list(dirs, config ? vmafx_config_get(config, "VMAFX_MODEL_PATH", NULL) : getenv("VMAFX_MODEL_PATH")) &&
        dirs_add_user(dirs);
    for (size_t i = 0; enough && i < VMAFX_LEN(fixed); i++)
        enough = dirs_add(dirs, vmafx_strdup(fixed[i]));
    return enough ? err : vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory to look for models");
}

char **vmafx_model_dirs(void)
{
    VMAFX_AUTO(dirs_done) Dirs dirs = { 0 };

    if (find_dirs(&dirs, NULL) == VMAFX_ERR_NOMEM) /* a broken settings file: what is known without it */
        return NULL;
    return VMAFX_TAKE(dirs.items);
}

void vmafx_model_dirs_free(char ***dirs)
{
    char **items = VMAFX_TAKE(*dirs);

    for (size_t i = 0; items && items[i]; i++)
        free(items[i]);
    free(items);
}

/* ---- files in folders ---- */

/* A regular file, or a link to one. */
static bool is_file(const char *path)
{
    struct stat st;

    return !stat(path, &st) && S_ISREG(st.st_mode);
}

bool models_is_onnx_name(const char *path)
{
    size_t len = strlen(path), suffix = strlen(MODELS_ONNX_SUFFIX);

    return len > suffix && !strcmp(path + len - suffix, MODELS_ONNX_SUFFIX);
}

static bool parses_as_onnx(const char *path)
{
    VMAFX_AUTO(vmafx_free_p) char *data = NULL;
    VMAFX_AUTO(vmafx_onnx_file_done) VmafxOnnxFile file = { 0 };
    size_t len = 0;

    return !vmafx_read_file(path, VMAFX_ONNX_BYTES_MAX, &data, &len, NULL) && !vmafx_onnx_read(data, len, &file, NULL);
}

static bool parses(const char *path)
{
    VMAFX_AUTO(vmafx_model_free) VmafxModel *model = NULL;

    if (!is_file(path))
        return false;
    return models_is_onnx_name(path) ? parses_as_onnx(path) : !vmafx_model_load(path, &model, NULL);
}

bool models_have_version(const VmafxModelFiles *files, const char *version)
{
    for (size_t i = 0; i < files->n; i++)
        if (!strcmp(files->items[i].version, version))
            return true;
    return false;
}

char *models_version_of(const char *name)
{
    size_t len = strlen(name), suffix = strlen(MODELS_SUFFIX); /* both are as long */

    if (len <= suffix || *name == '.' ||
        (strcmp(name + len - suffix, MODELS_SUFFIX) != 0 && !models_is_onnx_name(name)))
        return NULL;
    return strndup(name, len - suffix);
}

void models_file_done(VmafxModelFile *file)
{
    free(file->version);
    free(file->path);
    *file = (VmafxModelFile){ 0 };
}

static VmafxErr add_file(VmafxModelFiles *files, const char *dir, const char *name)
{
    VMAFX_AUTO(models_file_done) VmafxModelFile file = { models_version_of(name), vmafx_sprintf("%s/%s", dir, name) };

    if (!file.path)
        return VMAFX_ERR_NOMEM;
    if (!file.version || models_have_version(files, file.version) || !parses(file.path))
        return VMAFX_OK;
    VmafxModelFile *more = realloc(files->items, (files->n + 1) * sizeof *more);
    if (!more)
        return VMAFX_ERR_NOMEM;
    files->items = more;
    more[files->n++] = file;
    file = (VmafxModelFile){ 0 };
    return VMAFX_OK;
}

/* A folder that is not there or cannot be read has no models. */
static VmafxErr add_dir(VmafxModelFiles *files, const char *dir)
{
    DIR *d = opendir(dir);
    const struct dirent *entry;
    VmafxErr err = VMAFX_OK;

    for (int onnx = 0; d && onnx < 2; onnx++) {
        rewinddir(d);
        while (!err && (entry = readdir(d)))
            if (models_is_onnx_name(entry->d_name) == onnx)
                err = add_file(files, dir, entry->d_name);
    }
    if (d)
        closedir(d);
    return err;
}

static int by_version(const void *a, const void *b)
{
    return strcmp(((const VmafxModelFile *)a)->version, ((const VmafxModelFile *)b)->version);
}

static VmafxErr list_in(const Dirs *dirs, VmafxModelFiles *ret_files)
{
    VMAFX_AUTO(vmafx_models_done) VmafxModelFiles files = { 0 };

    for (size_t i = 0; i < dirs->n; i++) {
        VmafxErr err = add_dir(&files, dirs->items[i]);
        if (err)
            return err;
    }
    if (files.n)
        qsort(files.items, files.n, sizeof *files.items, by_version);
    *ret_files = files;
    files = (VmafxModelFiles){ 0 };
    return VMAFX_OK;
}

VmafxErr vmafx_models_list(VmafxModelFiles *ret_files)
{
    VMAFX_AUTO(dirs_done) Dirs dirs = { 0 };
    VmafxErr err = find_dirs(&dirs, NULL);

    return err ? err : list_in(&dirs, ret_files);
}

void vmafx_models_done(VmafxModelFiles *files)
{
    for (size_t i = 0; i < files->n; i++)
        models_file_done(&files->items[i]);
    free(files->items);
    *files = (VmafxModelFiles){ 0 };
}

/* ---- one version ---- */

/* Letters to add, leave out or change; only the beginnings of very long words are compared. */
static int edit_distance(const char *a, const char *b)
{
    int row[WORD_MAX + 1];
    int n_a = (int)strnlen(a, WORD_MAX), n_b = (int)strnlen(b, WORD_MAX);

    for (int j = 0; j <= n_b; j++)
        row[j] = j;
    for (int i = 1; i <= n_a; i++) {
        int corner = row[0];

        row[0] = i;
        for (int j = 1; j <= n_b; j++) {
            int changed = corner + (a[i - 1] != b[j - 1]);

            corner = row[j];
            row[j] = VMAFX_MIN(changed, VMAFX_MIN(row[j], row[j - 1]) + 1);
        }
    }
    return row[n_b];
}

static const char *nearest_version(const VmafxModelFiles *files, const char *version)
{
    const char *nearest = NULL;
    int best = 0;

    for (size_t i = 0; i < files->n; i++) {
        int distance = edit_distance(version, files->items[i].version);

        if (*version && distance > 1 && !strncmp(version, files->items[i].version, strlen(version)))
            distance = 1; /* "vmaf_4k" means one that begins so */
        if (!nearest || distance < best) {
            nearest = files->items[i].version;
            best = distance;
        }
    }
    return nearest;
}

/* Whoever has only ONNX models, such as ours, has not imported any yet. */
static bool has_published(const VmafxModelFiles *files)
{
    for (size_t i = 0; i < files->n; i++)
        if (!models_is_onnx_name(files->items[i].path))
            return true;
    return false;
}

static VmafxErr not_found(const Dirs *dirs, const char *version, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_models_done) VmafxModelFiles files = { 0 };
    const char *origin = vmafx_model_origin(version);

    if (origin)
        return vmafx_fail(
            reterr, VMAFX_ERR_NOT_FOUND,
            "there is no model '%.200s' here: %s, and `vmafx models path` prints where they are looked for", version,
            origin);
    if (!list_in(dirs, &files) && files.n) {
        const char *nearest = nearest_version(&files, version);

        if (has_published(&files) || edit_distance(version, nearest) <= 2)
            return vmafx_fail(reterr, VMAFX_ERR_NOT_FOUND,
                              "there is no model '%.200s'; the nearest one is '%s', and `vmafx models list` names all",
                              version, nearest);
    }
    return vmafx_fail(
        reterr, VMAFX_ERR_NOT_FOUND,
        "there is no model '%.200s', nor any other of VMAF: `vmafx models import FILE` takes models out of a "
        "libvmaf.so or a static ffmpeg that has them built in, and `vmafx models path` prints where they "
        "are looked for",
        version);
}

VmafxErr vmafx_model_find(const char *version, char **ret_path, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(dirs_done) Dirs dirs = { 0 };
    VmafxErr err = find_dirs(&dirs, reterr);

    if (err)
        return err;
    if (strchr(version, '/'))
        return vmafx_fail(reterr, VMAFX_ERR_NOT_FOUND,
                          "'%.200s' is no version of a model; a file is named with path=FILE", version);
    for (size_t i = 0; i < 2 * dirs.n; i++) {
        VMAFX_AUTO(vmafx_free_p)
        char *path = vmafx_sprintf("%s/%s%s", dirs.items[i / 2], version, i % 2 ? MODELS_ONNX_SUFFIX : MODELS_SUFFIX);

        if (!path)
            return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory to look for models");
        if (is_file(path)) { /* one that is broken must not be passed over in silence */
            *ret_path = VMAFX_TAKE(path);
            return VMAFX_OK;
        }
    }
    return not_found(&dirs, version, reterr);
}
