/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* An array of models, sorted by version as the list of files is. */

#include "score/registry.h"

#include <string.h>

#include "base/base.h"
#include "score/models.h"

#define MODEL_BYTES_MAX ((size_t)64 << 20)

struct VmafxModelRegistry {
    VmafxKnownModel *items;
    size_t n;
};

static void known_done(VmafxKnownModel *known)
{
    vmafx_model_free(&known->model);
    free(known->version);
    free(known->path);
    *known = (VmafxKnownModel){ 0 };
}

/* Takes the file's texts over when it is a model that can be read. */
static VmafxErr add_file(VmafxModelRegistry *registry, VmafxModelFile *file)
{
    VMAFX_AUTO(vmafx_free_p) char *json = NULL;
    VMAFX_AUTO(known_done) VmafxKnownModel known = { 0 };
    size_t len = 0;
    VmafxErr err = vmafx_read_file(file->path, MODEL_BYTES_MAX, &json, &len, NULL);

    if (!err)
        err = vmafx_model_parse(json, len, &known.model, NULL);
    if (err)
        return err == VMAFX_ERR_NOMEM ? err : VMAFX_OK; /* it was one a moment ago, and is not any more */
    vmafx_sha256_hex(json, len, known.sha256);
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

const VmafxKnownModel *vmafx_model_registry_find(const VmafxModelRegistry *registry, const char *version,
                                                 VmafxErrInfo *reterr)
{
    const VmafxKnownModel *known =
        registry->n ? bsearch(version, registry->items, registry->n, sizeof *registry->items, compare_version) : NULL;
    char list[400] = "none; `vmafx models import` brings some";

    if (known)
        return known;
    for (size_t i = 0, at = 0; i < registry->n && at < sizeof list; i++)
        at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", i ? ", " : "", registry->items[i].version);
    VMAFX_IGNORE(vmafx_fail(reterr, VMAFX_ERR_NOT_FOUND, "there is no model '%s' here; there are: %s", version, list));
    return NULL;
}
