/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Taking models out of programs that have them built in, into a folder. */

#include "score/models_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/base.h"
#include "infer/onnx_file.h"

#define IMPORT_BYTES_MAX ((off_t)1 << 30)

/* A file in memory. */
typedef struct Mapped {
    char *data;
    size_t len;
} Mapped;

static void mapped_done(Mapped *mapped)
{
    if (mapped->data)
        munmap(mapped->data, mapped->len);
}

static VmafxErr map_fd(int fd, const char *path, Mapped *ret, VmafxErrInfo *reterr)
{
    struct stat st;

    if (fd < 0)
        return vmafx_fail(reterr, errno == ENOENT ? VMAFX_ERR_NOT_FOUND : VMAFX_ERR_IO, "cannot open '%s': %s", path,
                          strerror(errno));
    if (fstat(fd, &st))
        return vmafx_fail(reterr, VMAFX_ERR_IO, "cannot read '%s': %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return vmafx_fail(reterr, VMAFX_ERR_IO, "cannot read '%s': it is not a regular file", path);
    if (st.st_size > IMPORT_BYTES_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "'%s' is larger than 1 GiB; programs with models are smaller", path);
    if (st.st_size == 0)
        return vmafx_fail(reterr, VMAFX_ERR_NOT_FOUND, "there is no model in '%s': the file is empty", path);
    char *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return vmafx_fail(reterr, VMAFX_ERR_IO, "cannot read '%s': %s", path, strerror(errno));
    *ret = (Mapped){ data, (size_t)st.st_size };
    return VMAFX_OK;
}

static VmafxErr map_file(const char *path, Mapped *ret, VmafxErrInfo *reterr)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe without a writer must not hold us up */
    VmafxErr err = map_fd(fd, path, ret, reterr);

    if (fd >= 0)
        close(fd);
    return err;
}

/* Like mkdir -p. */
static VmafxErr make_folder(const char *dir, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_free_p) char *path = vmafx_strdup(dir);
    struct stat st;

    if (!path)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory to make the folder '%s'", dir);
    for (char *slash = path; *slash; slash++) {
        if (*slash != '/' || slash == path)
            continue;
        *slash = 0;
        VMAFX_IGNORE(mkdir(path, 0777)); /* what matters is whether the last one is there */
        *slash = '/';
    }
    if (mkdir(path, 0777) && (errno != EEXIST || stat(path, &st) || !S_ISDIR(st.st_mode)))
        return vmafx_fail(reterr, VMAFX_ERR_IO, "cannot make the folder '%s': %s", dir, strerror(errno));
    return VMAFX_OK;
}

typedef struct Import {
    const char *dir;
    void (*on_model)(void *ctx, const char *version, const char *path);
    void *ctx;
    VmafxModelFiles written;
    VmafxErrInfo *reterr;
} Import;

static void import_done(Import *import)
{
    vmafx_models_done(&import->written);
}

static VmafxErr write_file(const Import *import, const char *path, const char *data, size_t len)
{
    VMAFX_AUTO(vmafx_atomic_file_abort) VmafxAtomicFile *file = NULL;
    VmafxErr err = vmafx_atomic_file_open(path, &file, import->reterr);

    if (err)
        return err;
    fwrite(data, 1, len, vmafx_atomic_file_stream(file)); /* commit tells whether it arrived */
    return vmafx_atomic_file_commit(&file, import->reterr);
}

/* The same model may be in a program more than once; the first is kept. */
static VmafxErr keep(Import *import, const char *version, const char *suffix, const char *data, size_t len)
{
    VMAFX_AUTO(models_file_done)
    VmafxModelFile file = { vmafx_strdup(version), vmafx_sprintf("%s/%s%s", import->dir, version, suffix) };
    VmafxModelFile *more = realloc(import->written.items, (import->written.n + 1) * sizeof *more);

    if (more)
        import->written.items = more;
    if (!more || !file.version || !file.path)
        return vmafx_fail(import->reterr, VMAFX_ERR_NOMEM, "no memory to import '%s'", version);
    if (models_have_version(&import->written, version))
        return VMAFX_OK;
    VmafxErr err = import->written.n ? VMAFX_OK : make_folder(import->dir, import->reterr);
    if (!err)
        err = write_file(import, file.path, data, len);
    if (err)
        return err;
    if (import->on_model)
        import->on_model(import->ctx, file.version, file.path);
    more[import->written.n++] = file;
    file = (VmafxModelFile){ 0 };
    return VMAFX_OK;
}

static VmafxErr is_model(const char *json, size_t len, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_model_free) VmafxModel *model = NULL;

    return vmafx_model_parse(json, len, &model, reterr);
}

/* A model file keeps its text, and its name as far as that is one. */
static VmafxErr keep_model_file(Import *import, const char *path, const char *suffix, const Mapped *file)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    VMAFX_AUTO(vmafx_free_p) char *version = models_version_of(name);

    if (!version)
        version = vmafx_strdup(name);
    if (!version)
        return vmafx_fail(import->reterr, VMAFX_ERR_NOMEM, "no memory to import '%s'", path);
    return keep(import, version, suffix, file->data, file->len);
}

/* Whoever names it so means an ONNX model; why it is none is said. */
static VmafxErr keep_onnx(Import *import, const char *path, const Mapped *file)
{
    VMAFX_AUTO(vmafx_onnx_file_done) VmafxOnnxFile facts = { 0 };
    VmafxErrInfo why = { 0 };
    VmafxErr err = vmafx_onnx_read(file->data, file->len, &facts, &why);

    if (err)
        return vmafx_fail(import->reterr, err, "cannot use model '%s': %s", path, why.message);
    return keep_model_file(import, path, MODELS_ONNX_SUFFIX, file);
}

static VmafxErr keep_all(Import *import, const Mapped *file)
{
    const char *json;
    size_t offset = 0, len;

    while (vmafx_models_scan(file->data, file->len, &offset, &json, &len)) {
        VmafxErr err = is_model(json, len, NULL);

        if (err == VMAFX_ERR_NOMEM)
            return vmafx_fail(import->reterr, err, "no memory to read a model");
        if (err)
            continue; /* it only looked like one */
        VMAFX_AUTO(vmafx_free_p) char *version = models_version_by_contents(json, len);
        err = version ? keep(import, version, MODELS_SUFFIX, json, len)
                      : vmafx_fail(import->reterr, VMAFX_ERR_NOMEM, "no memory to read a model");
        if (err)
            return err;
    }
    return VMAFX_OK;
}

static bool begins_like_json(const Mapped *file)
{
    size_t at = 0;

    while (at < file->len && memchr(" \t\r\n", file->data[at], 4))
        at++;
    return at < file->len && file->data[at] == '{';
}

VmafxErr vmafx_models_import(const char *file, const char *dir,
                             void (*on_model)(void *ctx, const char *version, const char *path), void *ctx,
                             size_t *ret_n, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(import_done) Import import = { .dir = dir, .on_model = on_model, .ctx = ctx, .reterr = reterr };
    VMAFX_AUTO(mapped_done) Mapped mapped = { 0 };
    VmafxErrInfo why = { 0 };
    bool json;
    VmafxErr err = map_file(file, &mapped, reterr);

    if (err)
        return err;
    json = begins_like_json(&mapped);
    if (json && !is_model(mapped.data, mapped.len, &why))
        err = keep_model_file(&import, file, MODELS_SUFFIX, &mapped);
    else if (models_is_onnx_name(file))
        err = keep_onnx(&import, file, &mapped);
    else
        err = keep_all(&import, &mapped);
    if (err)
        return err;
    if (import.written.n == 0 && json)
        return vmafx_fail(reterr, VMAFX_ERR_NOT_FOUND, "there is no model in '%s'; as a model file: %s", file,
                          why.message);
    if (import.written.n == 0)
        return vmafx_fail(reterr, VMAFX_ERR_NOT_FOUND,
                          "there is no model in '%s': it takes a libvmaf.so or a program such as ffmpeg that was built "
                          "with models inside",
                          file);
    *ret_n = import.written.n;
    return VMAFX_OK;
}
