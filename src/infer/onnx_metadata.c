/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The metadata's texts. What is not possible is refused with the key that it stands under. */

#include "infer/onnx_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"

#define PREFIX     "vmafx."
#define PEAK_MAX   65535.0
#define RANGE_MAX  1e9
#define NUMBER_MAX 64 /* characters of one */

static const char name_letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
static const char value_letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+-";

static bool begins_with(RpcBytes bytes, const char *text)
{
    return bytes.len >= strlen(text) && !memcmp(bytes.ptr, text, strlen(text));
}

VmafxErr onnx_metadata_take(OnnxMetadata *metadata, RpcBytes key, RpcBytes value, VmafxErrInfo *reterr)
{
    const struct {
        const char *key;
        RpcBytes *value;
        size_t max;
    } ours[] = {
        { "vmafx.format", &metadata->format, VMAFX_ONNX_TEXT_MAX },
        { "vmafx.kind", &metadata->kind, VMAFX_ONNX_TEXT_MAX },
        { "vmafx.features", &metadata->features, VMAFX_ONNX_VALUE_MAX },
        { "vmafx.range", &metadata->range, VMAFX_ONNX_TEXT_MAX },
        { "vmafx.peak", &metadata->peak, VMAFX_ONNX_TEXT_MAX },
        { "vmafx.name", &metadata->name, VMAFX_ONNX_TEXT_MAX },
        { "vmafx.version", &metadata->version, VMAFX_ONNX_TEXT_MAX },
        { "vmafx.description", &metadata->description, VMAFX_ONNX_VALUE_MAX },
    };

    for (size_t i = 0; i < VMAFX_LEN(ours); i++) {
        if (!rpc_bytes_are(key, ours[i].key))
            continue;
        if (ours[i].value->ptr)
            return vmafx_fail(reterr, VMAFX_ERR_MODEL, "its metadata have %s twice", ours[i].key);
        if (value.len > ours[i].max)
            return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "its metadata %s have more than %zu bytes", ours[i].key,
                              ours[i].max);
        if (value.len && memchr(value.ptr, 0, value.len))
            return vmafx_fail(reterr, VMAFX_ERR_MODEL, "its metadata %s have a zero byte", ours[i].key);
        *ours[i].value = value.ptr ? value : (RpcBytes){ (const uint8_t *)"", 0 };
        return VMAFX_OK;
    }
    if (begins_with(key, PREFIX))
        return vmafx_fail(reterr, VMAFX_ERR_MODEL,
                          "its metadata have %.*s, which this version does not know (docs/onnx.md lists what there is)",
                          (int)VMAFX_MIN(key.len, (size_t)60), (const char *)key.ptr);
    return VMAFX_OK;
}

/* ---- names ---- */

static VmafxErr read_label(const char *key, RpcBytes from, char to[VMAFX_ONNX_TEXT_MAX + 1], VmafxErrInfo *reterr)
{
    for (size_t i = 0; i < from.len; i++)
        if (from.ptr[i] < 0x20 || from.ptr[i] >= 0x7f)
            return vmafx_fail(reterr, VMAFX_ERR_MODEL, "its metadata %s have a character that is not printable ASCII",
                              key);
    if (from.len)
        memcpy(to, from.ptr, from.len); /* take has looked at its length */
    to[from.len] = 0;
    return VMAFX_OK;
}

static VmafxErr read_kind(const OnnxMetadata *m, VmafxOnnxFile *file, VmafxErrInfo *reterr)
{
    if (!m->format.ptr || !m->kind.ptr)
        return vmafx_fail(reterr, VMAFX_ERR_MODEL,
                          "its metadata lack %s: docs/onnx.md says which metadata a model needs to be used here",
                          m->format.ptr ? "vmafx.kind" : "vmafx.format");
    if (!rpc_bytes_are(m->format, "1"))
        return vmafx_fail(reterr, VMAFX_ERR_MODEL, "its metadata are of another format than 1 (vmafx.format)");
    for (int kind = VMAFX_ONNX_FEATURES; kind <= VMAFX_ONNX_LUMA; kind++)
        if (rpc_bytes_are(m->kind, vmafx_onnx_kind_name((VmafxOnnxKind)kind))) {
            file->kind = (VmafxOnnxKind)kind;
            return VMAFX_OK;
        }
    return vmafx_fail(reterr, VMAFX_ERR_MODEL, "vmafx.kind is none of features, luma_pair and luma");
}

/* ---- numbers ---- */

/* Takes a number, finite and in the C locale's form, and the blanks around it off the front. */
static bool take_number(RpcBytes *rest, double *ret)
{
    char text[NUMBER_MAX + 1];
    size_t n = 0;
    int end = 0;

    while (rest->len && *rest->ptr == ' ')
        *rest = (RpcBytes){ rest->ptr + 1, rest->len - 1 };
    while (n < rest->len && n < NUMBER_MAX && strchr("0123456789.+-eE", rest->ptr[n]))
        n++;
    if (!n)
        return false;
    memcpy(text, rest->ptr, n);
    text[n] = 0;
    *rest = (RpcBytes){ rest->ptr + n, rest->len - n };
    while (rest->len && *rest->ptr == ' ')
        *rest = (RpcBytes){ rest->ptr + 1, rest->len - 1 };
    return sscanf(text, "%lf%n", ret, &end) == 1 && (size_t)end == n && isfinite(*ret);
}

static VmafxErr read_range(RpcBytes text, VmafxOnnxFile *file, VmafxErrInfo *reterr)
{
    if (!text.ptr)
        return VMAFX_OK;
    file->has_range = take_number(&text, &file->lo) && take_number(&text, &file->hi) && !text.len &&
                      file->lo < file->hi && fabs(file->lo) <= RANGE_MAX && fabs(file->hi) <= RANGE_MAX;
    return file->has_range ? VMAFX_OK
                           : vmafx_fail(reterr, VMAFX_ERR_MODEL,
                                        "vmafx.range is not two numbers, the smaller one first, as in '0 100'");
}

static VmafxErr read_peak(RpcBytes text, VmafxOnnxFile *file, VmafxErrInfo *reterr)
{
    file->peak = 1;
    if (!text.ptr)
        return VMAFX_OK;
    if (file->kind == VMAFX_ONNX_FEATURES)
        return vmafx_fail(reterr, VMAFX_ERR_MODEL, "vmafx.peak is about luma, and the model takes features");
    if (!take_number(&text, &file->peak) || text.len || file->peak <= 0 || file->peak > PEAK_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_MODEL, "vmafx.peak is not a number above 0, up to %g", PEAK_MAX);
    return VMAFX_OK;
}

/* ---- features ---- */

static VmafxErr bad_feature(const char *item, const char *why, VmafxErrInfo *reterr)
{
    return vmafx_fail(reterr, VMAFX_ERR_MODEL, "vmafx.features: '%.80s' %s", item, why);
}

static bool is_made_of(const char *text, const char *letters)
{
    return *text && !text[strspn(text, letters)];
}

static VmafxErr add_option(VmafxOnnxFeature *feature, char *item, VmafxErrInfo *reterr)
{
    char *value = strchr(item, '=');
    VmafxOption *more;

    if (value)
        *value++ = 0;
    if (!value || !is_made_of(item, name_letters) || !is_made_of(value, value_letters))
        return bad_feature(item, "is no option=value", reterr);
    for (size_t i = 0; i < feature->options.n; i++)
        if (!strcmp(feature->options.items[i].key, item))
            return bad_feature(item, "is there twice", reterr);
    more = realloc(feature->options.items, (feature->options.n + 1) * sizeof *more);
    if (!more)
        return VMAFX_ERR_NOMEM;
    feature->options.items = more;
    more[feature->options.n++] = (VmafxOption){ item, value };
    return VMAFX_OK;
}

/* NAME:option=value:…, which is cut up in place. */
static VmafxErr add_feature(VmafxOnnxFile *file, char *item, VmafxErrInfo *reterr)
{
    VmafxErr err = VMAFX_OK;

    if (file->n_features == VMAFX_MODEL_FEATURES_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "vmafx.features names more than %d", VMAFX_MODEL_FEATURES_MAX);
    VmafxOnnxFeature *feature = &file->features[file->n_features++];
    feature->name = strsep(&item, ":");
    if (!is_made_of(feature->name, name_letters))
        return bad_feature(feature->name, "is no name of a feature", reterr);
    for (char *option; !err && (option = strsep(&item, ":"));)
        err = add_option(feature, option, reterr);
    return err;
}

static VmafxErr read_features(RpcBytes text, VmafxOnnxFile *file, VmafxErrInfo *reterr)
{
    VmafxErr err = VMAFX_OK;

    if (file->kind != VMAFX_ONNX_FEATURES)
        return text.ptr ? vmafx_fail(reterr, VMAFX_ERR_MODEL, "vmafx.features is there, and the model takes luma")
                        : VMAFX_OK;
    file->text = strndup(text.ptr ? (const char *)text.ptr : "", text.len);
    if (!file->text)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for its metadata");
    char *rest = file->text;
    for (char *item; !err && (item = strsep(&rest, ", \n\t"));)
        if (*item)
            err = add_feature(file, item, reterr);
    if (!err && !file->n_features)
        err = vmafx_fail(reterr, VMAFX_ERR_MODEL, "its metadata lack vmafx.features, the inputs of the model in order");
    return err;
}

VmafxErr onnx_metadata_read(const OnnxMetadata *metadata, VmafxOnnxFile *file, VmafxErrInfo *reterr)
{
    VmafxErr err = read_kind(metadata, file, reterr);

    if (!err)
        err = read_label("vmafx.name", metadata->name, file->name, reterr);
    if (!err)
        err = read_label("vmafx.version", metadata->version, file->version, reterr);
    if (!err)
        err = read_range(metadata->range, file, reterr);
    if (!err)
        err = read_peak(metadata->peak, file, reterr);
    return err ? err : read_features(metadata->features, file, reterr);
}
