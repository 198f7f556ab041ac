/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* An array of models, sorted by version as the list of files is. */

#include "score/registry.h"

#include <string.h>

#include "base/base.h"
#include "score/model_auto.h"
#include "score/models.h"
#include "score/score_onnx.h"

#define MODEL_BYTES_MAX ((size_t)64 << 20)

/* A model that is installed and cannot be used. */
typedef struct Unusable {
    char *version;
    VmafxErr err;
    VmafxErrInfo why;
} Unusable;

struct VmafxModelRegistry {
    VmafxKnownModel *items;
    size_t n;
    Unusable *unusable;
    size_t n_unusable;
};

static void known_done(VmafxKnownModel *known)
{
    vmafx_model_free(&known->model);
    vmafx_infer_model_free(&known->onnx);
    free(known->version);
    free(known->path);
    *known = (VmafxKnownModel){ 0 };
}

static VmafxErr load_json(const char *path, VmafxKnownModel *known)
{
    VMAFX_AUTO(vmafx_free_p) char *json = NULL;
    size_t len = 0;
    VmafxErr err = vmafx_read_file(path, MODEL_BYTES_MAX, &json, &len, NULL);

    if (!err)
        err = vmafx_model_parse(json, len, &known->model, NULL);
    if (!err)
        vmafx_sha256_hex(json, len, known->sha256);
    return err;
}

static VmafxErr note_unusable(VmafxModelRegistry *registry, VmafxModelFile *file, VmafxErr err, const VmafxErrInfo *why)
{
    Unusable *more = realloc(registry->unusable, (registry->n_unusable + 1) * sizeof *more);

    if (!more)
        return VMAFX_ERR_NOMEM;
    registry->unusable = more;
    more[registry->n_unusable++] = (Unusable){ VMAFX_TAKE(file->version), err, *why };
    return VMAFX_OK;
}

/* Takes the file's texts over when it is a model that can be used. */
static VmafxErr add_file(VmafxModelRegistry *registry, VmafxModelFile *file)
{
    VMAFX_AUTO(known_done) VmafxKnownModel known = { 0 };
    bool onnx = score_onnx_is_file(file->path);
    VmafxErrInfo why = { 0 };
    VmafxErr err = onnx ? score_onnx_load(file->path, &known.onnx, known.sha256, &why) : load_json(file->path, &known);

    if (err == VMAFX_ERR_NOMEM)
        return err;
    if (err) /* JSON: it was one a moment ago, and is not any more */
        return onnx ? note_unusable(registry, file, err, &why) : VMAFX_OK;
    known.version = VMAFX_TAKE(file->version);
    known.path = VMAFX_TAKE(file->path);
    registry->items[registry->n++] = known;
    known = (VmafxKnownModel){ 0 };
    return VMAFX_OK;
}

VmafxErr vmafx_model_registry_load(VmafxModelRegistry **ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_model_registry_free) VmafxModelRegistry *registry = calloc(1, sizeof *registry);
    VMAFX_AUTO(vmafx_models_done) VmafxModelFiles files = { 0 };
    VmafxErr err = registry ? vmafx_models_list(&files) : VMAFX_ERR_NOMEM;

    if (!err && files.n > VMAFX_REGISTRY_MODELS_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "%zu models are installed, at most %d are loaded", files.n,
                          VMAFX_REGISTRY_MODELS_MAX);
    if (!err && files.n)
        registry->items = calloc(files.n, sizeof *registry->items);
    if (!err && files.n && !registry->items)
        err = VMAFX_ERR_NOMEM;
    for (size_t i = 0; i < files.n && !err; i++)
        err = add_file(registry, &files.items[i]);
    if (err)
        return vmafx_fail(reterr, err, "cannot load the models: %s (`vmafx doctor` shows where they are looked for)",
                          vmafx_err_text(err));
    *ret = VMAFX_TAKE(registry);
    return VMAFX_OK;
}

void vmafx_model_registry_free(VmafxModelRegistry **registry)
{
    if (!*registry)
        return;
    for (size_t i = 0; i < (*registry)->n; i++)
        known_done(&(*registry)->items[i]);
    for (size_t i = 0; i < (*registry)->n_unusable; i++)
        free((*registry)->unusable[i].version);
    free((*registry)->unusable);
    free((*registry)->items);
    free(*registry);
    *registry = NULL;
}

size_t vmafx_model_registry_count(const VmafxModelRegistry *registry)
{
    return registry->n;
}

const VmafxKnownModel *vmafx_model_registry_at(const VmafxModelRegistry *registry, size_t i)
{
    return i < registry->n ? &registry->items[i] : NULL;
}

static int compare_version(const void *key, const void *item)
{
    return strcmp(key, ((const VmafxKnownModel *)item)->version);
}

VmafxErr vmafx_model_registry_find(const VmafxModelRegistry *registry, const char *version, const VmafxKnownModel **ret,
                                   VmafxErrInfo *reterr)
{
    char list[400] = "none; `vmafx models import` brings some";

    *ret =
        registry->n ? bsearch(version, registry->items, registry->n, sizeof *registry->items, compare_version) : NULL;
    if (*ret)
        return VMAFX_OK;
    for (size_t i = 0; i < registry->n_unusable; i++)
        if (!strcmp(registry->unusable[i].version, version))
            return vmafx_fail(reterr, registry->unusable[i].err, "%s", registry->unusable[i].why.message);
    for (size_t i = 0, at = 0; i < registry->n && at < sizeof list; i++)
        at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", i ? ", " : "", registry->items[i].version);
    if (vmafx_model_origin(version))
        return vmafx_fail(reterr, VMAFX_ERR_NOT_FOUND, "there is no model '%s' here: %s", version,
                          vmafx_model_origin(version));
    return vmafx_fail(reterr, VMAFX_ERR_NOT_FOUND, "there is no model '%s' here; there are: %s", version, list);
}
