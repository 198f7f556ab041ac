/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * An ONNX file as bytes, looked at before anybody runs it: is it a model, does it keep to itself, and what is it for.
 * What it is for is said by the file's own metadata (the list of keys and values that ONNX calls metadata_props):
 *
 *     vmafx.format    "1"
 *     vmafx.kind      "features", "luma_pair" or "luma"
 *     vmafx.features  of features: what goes in, in that order; NAME or NAME:option=value:…, separated by commas or
 * blanks vmafx.range     "LO HI": scores are cut off there; not given: they are not vmafx.peak      of luma: what the
 * brightest sample is given as; 1 when not given vmafx.name, vmafx.version, vmafx.description   for people
 *
 * docs/onnx.md describes them for those who make models. A key of ours that is not in this list is refused; keys of
 * others mean nothing here.
 */
#ifndef VMAFX_INFER_ONNX_FILE_H
#define VMAFX_INFER_ONNX_FILE_H

#include <vmafx/engine.h>

#define VMAFX_ONNX_BYTES_MAX    ((size_t)256 << 20)
#define VMAFX_ONNX_NESTING_MAX  16    /* graphs within graphs */
#define VMAFX_ONNX_METADATA_MAX 256   /* entries */
#define VMAFX_ONNX_TEXT_MAX     128   /* bytes of a name or version; longer ones are refused */
#define VMAFX_ONNX_VALUE_MAX    16384 /* bytes of any other value of ours */

typedef enum VmafxOnnxKind {
    VMAFX_ONNX_FEATURES = 0, /* values of features → a score per frame */
    VMAFX_ONNX_LUMA_PAIR,    /* luma of reference and distorted → a score per frame */
    VMAFX_ONNX_LUMA,         /* luma of the distorted video alone → a score per frame */
} VmafxOnnxKind;

/** One input of a model of features. */
typedef struct VmafxOnnxFeature {
    const char *name; /* as model files store it: "VMAF_integer_feature_adm2_score" */
    VmafxOptions options;
} VmafxOnnxFeature;

/** What a file says of itself. A zeroed one may be done. */
typedef struct VmafxOnnxFile {
    VmafxOnnxKind kind;
    char name[VMAFX_ONNX_TEXT_MAX + 1], version[VMAFX_ONNX_TEXT_MAX + 1]; /* "": not said */
    char producer[VMAFX_ONNX_TEXT_MAX + 1];                               /* printable; cut when longer */
    int64_t ir_version, opset;                                            /* opset of ONNX's own operators */
    VmafxOnnxFeature features[VMAFX_MODEL_FEATURES_MAX];
    size_t n_features;
    bool has_range;
    double lo, hi;
    double peak;
    char *text; /* what the features point into */
} VmafxOnnxFile;

/**
 * Reads them. data is borrowed for the call.
 * @return VMAFX_ERR_SYNTAX no ONNX model; VMAFX_ERR_MODEL it cannot be used here; VMAFX_ERR_LIMIT; VMAFX_ERR_NOMEM;
 * each with a sentence that does not name the file
 */
VMAFX_CHECK VmafxErr vmafx_onnx_read(const void *data, size_t len, VmafxOnnxFile *ret, VmafxErrInfo *reterr);
void vmafx_onnx_file_done(VmafxOnnxFile *file);

/** "features", "luma_pair" or "luma". A static string. */
const char *vmafx_onnx_kind_name(VmafxOnnxKind kind);
#endif
