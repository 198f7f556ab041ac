/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What an ONNX file says of itself, and whether this machine runs it. */

#include "programs/cli/models_onnx.h"

#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "report/report.h"

VmafxErr onnx_load(const char *path, OnnxLoaded *ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_infer_model_free) VmafxInferModel *model = NULL;
    VMAFX_AUTO(vmafx_free_p) char *data = NULL;
    VmafxErrInfo info = { 0 };
    size_t len;
    VmafxErr err = vmafx_read_file(path, VMAFX_ONNX_BYTES_MAX, &data, &len, reterr);

    if (err)
        return err;
    err = vmafx_onnx_read(data, len, &ret->file, &info);
    if (err)
        return vmafx_fail(reterr, err, "'%s': %s", path, *info.message ? info.message : vmafx_err_text(err));
    vmafx_sha256_hex(data, len, ret->sha256);
    err = vmafx_infer_model_new(data, len, &model, &info);
    ret->usable = !err;
    if (err) {
        snprintf(ret->reason, sizeof ret->reason, "%s", *info.message ? info.message : vmafx_err_text(err));
        return VMAFX_OK;
    }
    vmafx_infer_model_size(model, &ret->w, &ret->h);
    snprintf(ret->runtime, sizeof ret->runtime, "%s", vmafx_infer_model_runtime(model));
    return VMAFX_OK;
}

void onnx_loaded_done(OnnxLoaded *loaded)
{
    vmafx_onnx_file_done(&loaded->file);
}

size_t onnx_inputs(const OnnxLoaded *loaded)
{
    return loaded->file.kind == VMAFX_ONNX_FEATURES    ? loaded->file.n_features
           : loaded->file.kind == VMAFX_ONNX_LUMA_PAIR ? 2
                                                       : 1;
}

static const char *kind_text(VmafxOnnxKind kind)
{
    static const char *const texts[] = { [VMAFX_ONNX_FEATURES] = "values of features",
                                         [VMAFX_ONNX_LUMA_PAIR] = "luma of reference and distorted",
                                         [VMAFX_ONNX_LUMA] = "luma of the distorted video" };

    return texts[kind];
}

void onnx_show_text(const char *path, const OnnxLoaded *loaded)
{
    const VmafxOnnxFile *f = &loaded->file;

    printf("file      %s\n", path);
    printf("sha256    %s\n", loaded->sha256);
    printf("usable    %s%s\n",
           loaded->usable ? "yes, by ONNX Runtime " : "no: ", loaded->usable ? loaded->runtime : loaded->reason);
    printf("type      ONNX, opset %lld: %s\n", (long long)f->opset, kind_text(f->kind));
    if (*f->name || *f->version)
        printf("name      %s%s%s\n", f->name, *f->name && *f->version ? " " : "", f->version);
    if (*f->producer)
        printf("made by   %s\n", f->producer);
    if (f->has_range)
        printf("clip      %g to %g\n", f->lo, f->hi);
    else
        puts("clip      none");
    if (f->kind != VMAFX_ONNX_FEATURES && loaded->w)
        printf("pictures  %dx%d only\n", loaded->w, loaded->h);
    printf("inputs    %zu\n", onnx_inputs(loaded));
    for (size_t i = 0; i < f->n_features; i++) {
        printf("  %s", f->features[i].name);
        for (size_t j = 0; j < f->features[i].options.n; j++)
            printf(" %s=%s", f->features[i].options.items[j].key, f->features[i].options.items[j].value);
        putchar('\n');
    }
}

static void print_text(const char *key, const char *value)
{
    printf(", \"%s\": ", key);
    vmafx_json_string(stdout, value);
}

void onnx_show_json(const char *path, const OnnxLoaded *loaded)
{
    const VmafxOnnxFile *f = &loaded->file;

    fputs("{\"schema\": \"vmafx.model\", \"schema_version\": 1, \"path\": ", stdout);
    vmafx_json_string(stdout, path);
    printf(", \"sha256\": \"%s\", \"format\": \"onnx\", \"kind\": \"%s\", \"opset\": %lld, \"usable\": %s",
           loaded->sha256, vmafx_onnx_kind_name(f->kind), (long long)f->opset, loaded->usable ? "true" : "false");
    print_text(loaded->usable ? "runtime" : "reason", loaded->usable ? loaded->runtime : loaded->reason);
    print_text("name", f->name);
    print_text("version", f->version);
    print_text("producer", f->producer);
    if (f->has_range)
        printf(", \"clip\": [%.17g, %.17g]", f->lo, f->hi);
    else
        fputs(", \"clip\": null", stdout);
    printf(", \"width\": %d, \"height\": %d, \"inputs\": [", loaded->w, loaded->h);
    for (size_t i = 0; i < f->n_features; i++) {
        fputs(i ? ",\n  {\"feature\": " : "\n  {\"feature\": ", stdout);
        vmafx_json_string(stdout, f->features[i].name);
        fputs(", \"options\": {", stdout);
        for (size_t j = 0; j < f->features[i].options.n; j++) {
            fputs(j ? ", " : "", stdout);
            vmafx_json_string(stdout, f->features[i].options.items[j].key);
            fputs(": ", stdout);
            vmafx_json_string(stdout, f->features[i].options.items[j].value);
        }
        fputs("}}", stdout);
    }
    puts("\n]}");
}
