/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Where model files are looked for, and how they are taken out of a libvmaf or ffmpeg that has them built in. A model
 * file is a *.json, or an ONNX model, *.onnx, whose metadata say what it is for (infer/onnx_file.h).
 */
#ifndef VMAFX_SCORE_MODELS_H
#define VMAFX_SCORE_MODELS_H

#include <vmafx/engine.h>

/**
 * The folders that are searched, in order: each entry of VMAFX_MODEL_PATH (colon separated), the user's folder
 * ($XDG_DATA_HOME or ~/.local/share)/vmafx/models, the installed folder <prefix>/share/vmafx/models,
 * /usr/share/vmaf/model, /usr/share/model, /usr/local/share/model. Folders need not exist.
 * @return an array ended by NULL, one allocation per entry and one for the array; vmafx_model_dirs_free; NULL: no
 * memory
 */
char **vmafx_model_dirs(void);
void vmafx_model_dirs_free(char ***dirs);

/** One model file that was found. */
typedef struct VmafxModelFile {
    char *version; /* file name without .json or .onnx */
    char *path;
} VmafxModelFile;

typedef struct VmafxModelFiles {
    VmafxModelFile *items;
    size_t n;
} VmafxModelFiles;

/**
 * Every model file of the search path that parses as one, the first of each version, sorted by version; in one folder
 * *.json before *.onnx. Whether an ONNX model can be run here is not looked at.
 */
VMAFX_CHECK VmafxErr vmafx_models_list(VmafxModelFiles *ret_files);
void vmafx_models_done(VmafxModelFiles *files);

/**
 * The path of version "vmaf_v0.6.1".
 * @return VMAFX_ERR_NOT_FOUND with a message that names the nearest existing version, or `vmafx models import` when
 * there is no model at all
 */
VMAFX_CHECK VmafxErr vmafx_model_find(const char *version, char **ret_path, VmafxErrInfo *reterr);

/**
 * Takes the built-in models out of a libvmaf.so or a static ffmpeg (they sit there as JSON text) and writes each to
 * dir/<version>.json, atomically; dir is made when it does not exist. A file that is itself a model, of either kind, is
 * taken as it is, under its own name. The version is known from the text that precedes or follows the model in such a
 * binary, or from the contents.
 * @param on_model called with the version and the path of each model written; NULL for none
 * @return VMAFX_ERR_NOT_FOUND no model in the file; VMAFX_ERR_IO; VMAFX_ERR_LIMIT (files above 1 GiB)
 */
VMAFX_CHECK VmafxErr vmafx_models_import(const char *file, const char *dir,
                                         void (*on_model)(void *ctx, const char *version, const char *path), void *ctx,
                                         size_t *ret_n, VmafxErrInfo *reterr);

/** The part of import that sees outside bytes: finds the next model JSON in data at or after *offset. False at the end.
 */
bool vmafx_models_scan(const char *data, size_t len, size_t *offset, const char **ret_json, size_t *ret_json_len);
#endif
