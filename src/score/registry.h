/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Every installed model, read once: for whoever must not open files later, or does not want to read them each time. The
 * sessions of ONNX models are made with it, so a process that forks has them in its children; without an ONNX model
 * ONNX Runtime is not loaded.
 */
#ifndef VMAFX_SCORE_REGISTRY_H
#define VMAFX_SCORE_REGISTRY_H

#include <vmafx/engine.h>

#include "base/digest.h"

#define VMAFX_REGISTRY_MODELS_MAX 256

typedef struct VmafxModelRegistry VmafxModelRegistry;

typedef struct VmafxKnownModel {
    char *version, *path;
    char sha256[VMAFX_SHA256_TEXT];
    VmafxModel *model;            /* NULL: it is an ONNX model */
    struct VmafxInferModel *onnx; /* NULL: it is none */
} VmafxKnownModel;

/**
 * Loads what vmafx_models_list finds (models.h: which folders). A file that goes away meanwhile is passed over. An ONNX
 * model that cannot be run here is not among the registry's models, but finding it says why.
 * None at all is VMAFX_OK with an empty registry.
 * @return VMAFX_ERR_LIMIT too many models; VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr vmafx_model_registry_load(VmafxModelRegistry **ret, VmafxErrInfo *reterr);
void vmafx_model_registry_free(VmafxModelRegistry **registry);

/* From here on nothing changes; any thread, and forked children too. What is given back lives as long as the registry.
 */

size_t vmafx_model_registry_count(const VmafxModelRegistry *registry);
const VmafxKnownModel *vmafx_model_registry_at(const VmafxModelRegistry *registry, size_t i); /* sorted by version */
/** VMAFX_ERR_NOT_FOUND with a sentence that says which ones there are; else why it could not be loaded. */
VMAFX_CHECK VmafxErr vmafx_model_registry_find(const VmafxModelRegistry *registry, const char *version,
                                               const VmafxKnownModel **ret, VmafxErrInfo *reterr);
#endif
