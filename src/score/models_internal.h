/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the files about model files share, and nobody else needs. */
#ifndef VMAFX_SCORE_MODELS_INTERNAL_H
#define VMAFX_SCORE_MODELS_INTERNAL_H

#include "score/models.h"

#define MODELS_SUFFIX      ".json"
#define MODELS_ONNX_SUFFIX ".onnx"

/* models.c */
bool models_is_onnx_name(const char *path);
/** The version in a file name, in fresh memory, or NULL: not named like a model of either kind, or no memory. */
char *models_version_of(const char *name);
bool models_have_version(const VmafxModelFiles *files, const char *version);
void models_file_done(VmafxModelFile *file);

/* models_known.c */
/** In fresh memory: the version published with this JSON text, or one made of its digest. NULL: no memory. */
char *models_version_by_contents(const char *json, size_t len);
#endif
