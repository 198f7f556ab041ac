/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A session for each model; a run wraps the caller's floats as tensors and copies the scores out. */

#include "infer/infer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "infer/runtime.h"
#include "otel/api/trace.h"
#include "signals/instruments.h"

#define NAME_MAX_BYTES 255
#define DIMS_MAX       8

static const char *const pair_names[2] = { "reference", "distorted" };

struct VmafxInferModel {
    VmafxOnnxFile file;
    OrtRuntime runtime;
    void *session, *memory; /* memory: what the library calls a kind of memory */
    char inputs[2][NAME_MAX_BYTES + 1], output[NAME_MAX_BYTES + 1];
    size_t n_inputs;
    int w, h;        /* 0: any */
    bool one_by_one; /* the batch is fixed at 1 */
};

void vmafx_infer_model_free(VmafxInferModel **model_p)
{
    VmafxInferModel *model = *model_p;

    if (!model)
        return;
    if (model->session)
        model->runtime.f.ReleaseSession(model->session);
    if (model->memory)
        model->runtime.f.ReleaseMemoryInfo(model->memory);
    infer_runtime_done(&model->runtime);
    vmafx_onnx_file_done(&model->file);
    free(model);
    *model_p = NULL;
}

/* ---- the session ---- */

static VmafxErr set_options(const OrtRuntime *rt, void *options, VmafxErrInfo *reterr)
{
    const OrtFunctions *f = &rt->f;
    void *status = f->SetIntraOpNumThreads(options, 1);

    if (!status)
        status = f->SetInterOpNumThreads(options, 1);
    if (!status)
        status = f->SetSessionExecutionMode(options, ORT_MODE_SEQUENTIAL);
    if (!status)
        status = f->SetSessionGraphOptimizationLevel(options, ORT_OPTIMIZE_ALL);
    if (!status)
        status = f->SetSessionLogSeverityLevel(options, ORT_LOG_FATAL);
    if (!status)
        status = f->DisableCpuMemArena(options); /* it would keep what one large picture took */
    if (!status)
        status = f->DisableMemPattern(options);
    return infer_status(rt, status, "ONNX Runtime cannot be set up", reterr);
}

static VmafxErr make_session(VmafxInferModel *model, const void *data, size_t len, VmafxErrInfo *reterr)
{
    const OrtRuntime *rt = &model->runtime;
    void *options = NULL;
    char what[80];
    VmafxErr err = infer_status(rt, rt->f.CreateSessionOptions(&options), "ONNX Runtime cannot be set up", reterr);

    if (!err)
        err = set_options(rt, options, reterr);
    snprintf(what, sizeof what, "ONNX Runtime %s refuses it", rt->version);
    if (!err)
        err =
            infer_status(rt, rt->f.CreateSessionFromArray(rt->env, data, len, options, &model->session), what, reterr);
    if (options)
        rt->f.ReleaseSessionOptions(options);
    if (!err)
        err = infer_status(rt, rt->f.CreateCpuMemoryInfo(ORT_ALLOCATOR_DEVICE, ORT_MEMORY_DEFAULT, &model->memory),
                           "ONNX Runtime cannot be set up", reterr);
    return err;
}

/* ---- inputs and outputs ---- */

/* An input or the output, as the model declares it. */
typedef struct Port {
    const char *what; /* "input" or "output" */
    char name[NAME_MAX_BYTES + 1];
    int64_t dims[DIMS_MAX]; /* below 1: open */
    size_t n_dims;
} Port;

static VmafxErr take_name(const OrtRuntime *rt, void *session, bool output, size_t index, Port *port,
                          VmafxErrInfo *reterr)
{
    void *allocator = NULL;
    char *name = NULL;
    VmafxErr err = infer_status(rt, rt->f.GetAllocatorWithDefaultOptions(&allocator), "no allocator", reterr);

    if (!err)
        err = infer_status(rt,
                           output ? rt->f.SessionGetOutputName(session, index, allocator, &name)
                                  : rt->f.SessionGetInputName(session, index, allocator, &name),
                           "a name cannot be read", reterr);
    if (err)
        return err;
    bool fits = strlen(name) < sizeof port->name;
    snprintf(port->name, sizeof port->name, "%s", name);
    VMAFX_IGNORE(infer_status(rt, rt->f.AllocatorFree(allocator, name), "", NULL)); /* nothing to be done about it */
    return fits ? VMAFX_OK
                : vmafx_fail(reterr, VMAFX_ERR_LIMIT, "an %s has a name of more than %d bytes", port->what,
                             NAME_MAX_BYTES);
}

static VmafxErr take_dims(const OrtRuntime *rt, const void *type, Port *port, VmafxErrInfo *reterr)
{
    const void *shape = NULL;
    int kind = 0, element = 0;
    void *status = rt->f.GetOnnxTypeFromTypeInfo(type, &kind);

    if (!status && kind == ORT_TYPE_TENSOR)
        status = rt->f.CastTypeInfoToTensorInfo(type, &shape);
    if (!status && shape)
        status = rt->f.GetTensorElementType(shape, &element);
    if (!status && element == ORT_ELEMENT_FLOAT)
        status = rt->f.GetDimensionsCount(shape, &port->n_dims);
    if (!status && port->n_dims && port->n_dims <= DIMS_MAX)
        status = rt->f.GetDimensions(shape, port->dims, port->n_dims);
    VmafxErr err = infer_status(rt, status, "a shape cannot be read", reterr);
    if (err)
        return err;
    if (element != ORT_ELEMENT_FLOAT)
        return vmafx_fail(reterr, VMAFX_ERR_MODEL, "its %s '%.100s' is no tensor of float32", port->what, port->name);
    if (!port->n_dims || port->n_dims > DIMS_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_MODEL, "its %s '%.100s' has %zu dimensions", port->what, port->name,
                          port->n_dims);
    return VMAFX_OK;
}

static VmafxErr take_port(const VmafxInferModel *model, bool output, size_t index, Port *ret, VmafxErrInfo *reterr)
{
    const OrtRuntime *rt = &model->runtime;
    void *type = NULL;
    VmafxErr err = take_name(rt, model->session, output, index, ret, reterr);

    if (!err)
        err = infer_status(rt,
                           output ? rt->f.SessionGetOutputTypeInfo(model->session, index, &type)
                                  : rt->f.SessionGetInputTypeInfo(model->session, index, &type),
                           "a type cannot be read", reterr);
    if (!err)
        err = take_dims(rt, type, ret, reterr);
    if (type)
        rt->f.ReleaseTypeInfo(type);
    return err;
}

/* "[N, 1, 324, 576]", as far as it fits. */
static const char *shape_text(const Port *port, char *text, size_t room)
{
    size_t at = (size_t)snprintf(text, room, "[");

    for (size_t i = 0; i < port->n_dims && at < room; i++)
        at += (size_t)(port->dims[i] > 0
                           ? snprintf(text + at, room - at, "%s%lld", i ? ", " : "", (long long)port->dims[i])
                           : snprintf(text + at, room - at, "%s?", i ? ", " : ""));
    if (at < room)
        snprintf(text + at, room - at, "]");
    return text;
}

static VmafxErr bad_shape(const Port *port, const char *wanted, VmafxErrInfo *reterr)
{
    char text[200];

    return vmafx_fail(reterr, VMAFX_ERR_MODEL, "its %s '%.100s' has the shape %s: %s is expected", port->what,
                      port->name, shape_text(port, text, sizeof text), wanted);
}

static bool open_or(int64_t dim, int64_t n)
{
    return dim < 1 || dim == n;
}

static VmafxErr check_features(VmafxInferModel *model, const Port *port, VmafxErrInfo *reterr)
{
    char wanted[60];

    snprintf(wanted, sizeof wanted, "[N, %zu], as many as vmafx.features names,", model->file.n_features);
    if (port->n_dims != 2 || !open_or(port->dims[0], 1) || !open_or(port->dims[1], (int64_t)model->file.n_features))
        return bad_shape(port, wanted, reterr);
    model->one_by_one = port->dims[0] == 1;
    return VMAFX_OK;
}

static VmafxErr check_luma(VmafxInferModel *model, const Port *port, bool second, VmafxErrInfo *reterr)
{
    const int64_t *d = port->dims;

    if (port->n_dims != 4 || !open_or(d[0], 1) || !open_or(d[1], 1) || (d[2] < 1) != (d[3] < 1) ||
        d[2] > VMAFX_DIMENSION_MAX || d[3] > VMAFX_DIMENSION_MAX)
        return bad_shape(port, "[N, 1, H, W]", reterr);
    int w = d[3] < 1 ? 0 : (int)d[3], h = d[2] < 1 ? 0 : (int)d[2];
    if (second && (w != model->w || h != model->h))
        return bad_shape(port, "the shape of the other input", reterr);
    model->w = w;
    model->h = h;
    model->one_by_one |= d[0] == 1;
    return VMAFX_OK;
}

static VmafxErr check_inputs(VmafxInferModel *model, VmafxErrInfo *reterr)
{
    bool pair = model->file.kind == VMAFX_ONNX_LUMA_PAIR;
    VmafxErr err =
        infer_status(&model->runtime, model->runtime.f.SessionGetInputCount(model->session, &model->n_inputs),
                     "its inputs cannot be read", reterr);

    if (err)
        return err;
    if (model->n_inputs != (pair ? 2 : 1))
        return vmafx_fail(reterr, VMAFX_ERR_MODEL, "it has %zu inputs; a model of kind %s has %s", model->n_inputs,
                          vmafx_onnx_kind_name(model->file.kind), pair ? "two, reference and distorted" : "one");
    for (size_t i = 0; i < model->n_inputs && !err; i++) {
        Port port = { .what = "input" };

        err = take_port(model, false, i, &port, reterr);
        size_t at = pair && !strcmp(port.name, pair_names[1]) ? 1 : 0;
        if (!err && pair && (strcmp(port.name, pair_names[at]) != 0 || *model->inputs[at]))
            return vmafx_fail(reterr, VMAFX_ERR_MODEL,
                              "its inputs are to be named reference and distorted, not '%.100s'", port.name);
        if (!err)
            err = model->file.kind == VMAFX_ONNX_FEATURES ? check_features(model, &port, reterr)
                                                          : check_luma(model, &port, i > 0, reterr);
        if (!err)
            memcpy(model->inputs[at], port.name, sizeof port.name);
    }
    return err;
}

static VmafxErr check_output(VmafxInferModel *model, VmafxErrInfo *reterr)
{
    Port port = { .what = "output" };
    size_t n = 0;
    VmafxErr err = infer_status(&model->runtime, model->runtime.f.SessionGetOutputCount(model->session, &n),
                                "its outputs cannot be read", reterr);

    if (!err && n != 1)
        return vmafx_fail(reterr, VMAFX_ERR_MODEL, "it has %zu outputs: one is expected, a score per frame", n);
    if (!err)
        err = take_port(model, true, 0, &port, reterr);
    for (size_t i = 1; i < port.n_dims && !err; i++)
        if (!open_or(port.dims[i], 1))
            err = bad_shape(&port, "[N], a score per frame,", reterr);
    if (!err && model->one_by_one && !open_or(port.dims[0], 1))
        err = bad_shape(&port, "[1], as its input has,", reterr);
    if (!err && !model->one_by_one && port.dims[0] > 0)
        err = bad_shape(&port, "[N], with N open as in its input,", reterr);
    memcpy(model->output, port.name, sizeof port.name);
    return err;
}

VmafxErr vmafx_infer_model_new(const void *data, size_t len, VmafxInferModel **ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_infer_model_free) VmafxInferModel *model = calloc(1, sizeof *model);
    VmafxErr err = model ? vmafx_onnx_read(data, len, &model->file, reterr) : VMAFX_ERR_NOMEM;

    if (!err)
        err = infer_runtime_open(&model->runtime, reterr);
    if (!err)
        err = make_session(model, data, len, reterr);
    if (!err)
        err = check_inputs(model, reterr);
    if (!err)
        err = check_output(model, reterr);
    if (err)
        return err;
    *ret = VMAFX_TAKE(model);
    return VMAFX_OK;
}

const VmafxOnnxFile *vmafx_infer_model_file(const VmafxInferModel *model)
{
    return &model->file;
}

const char *vmafx_infer_model_runtime(const VmafxInferModel *model)
{
    return model->runtime.version;
}

void vmafx_infer_model_size(const VmafxInferModel *model, int *ret_w, int *ret_h)
{
    *ret_w = model->w;
    *ret_h = model->h;
}

/* ---- a run ---- */

/* Floats of one frame of an input. */
static size_t floats_per_frame(const VmafxInferModel *model, const VmafxInferBatch *batch)
{
    return model->file.kind == VMAFX_ONNX_FEATURES ? model->file.n_features : (size_t)batch->w * (size_t)batch->h;
}

static VmafxErr wrap_input(const VmafxInferModel *model, const VmafxInferBatch *batch, size_t n, const float *data,
                           void **ret, VmafxErrInfo *reterr)
{
    const int64_t features[] = { (int64_t)n, (int64_t)model->file.n_features };
    const int64_t luma[] = { (int64_t)n, 1, batch->h, batch->w };
    bool of_features = model->file.kind == VMAFX_ONNX_FEATURES;
    size_t bytes = n * floats_per_frame(model, batch) * sizeof(float);

    return infer_status(&model->runtime,
                        model->runtime.f.CreateTensorWithDataAsOrtValue(
                            model->memory, (void *)(uintptr_t)data, bytes, of_features ? features : luma,
                            of_features ? VMAFX_LEN(features) : VMAFX_LEN(luma), ORT_ELEMENT_FLOAT, ret),
                        "no tensor can be made", reterr);
}

/* The values of the output, when there are as many as frames. */
static VmafxErr take_scores(const VmafxInferModel *model, void *value, size_t n, double *ret_scores,
                            VmafxErrInfo *reterr)
{
    const OrtRuntime *rt = &model->runtime;
    int64_t dims[DIMS_MAX] = { 0 }, have = 1;
    size_t n_dims = 0;
    void *shape = NULL, *data = NULL, *status = rt->f.GetTensorTypeAndShape(value, &shape);

    if (!status)
        status = rt->f.GetDimensionsCount(shape, &n_dims);
    if (!status && n_dims <= DIMS_MAX)
        status = rt->f.GetDimensions(shape, dims, n_dims);
    if (!status)
        status = rt->f.GetTensorMutableData(value, &data);
    if (shape)
        rt->f.ReleaseTensorTypeAndShapeInfo(shape);
    VmafxErr err = infer_status(rt, status, "its output cannot be read", reterr);
    if (err)
        return err;
    for (size_t i = 0; i < n_dims && i < DIMS_MAX; i++)
        have = dims[i] < 0 || dims[i] > VMAFX_INFER_BATCH_MAX ? -1 : have * dims[i];
    if (n_dims > DIMS_MAX || have != (int64_t)n)
        return vmafx_fail(reterr, VMAFX_ERR_MODEL, "it gives %lld values for %zu frames", (long long)have, n);
    for (size_t i = 0; i < n; i++)
        ret_scores[i] = ((const float *)data)[i];
    return VMAFX_OK;
}

/* n frames from `from` on, in one run of the session. */
static VmafxErr run_some(const VmafxInferModel *model, const VmafxInferBatch *batch, size_t from, size_t n,
                         double *ret_scores, VmafxErrInfo *reterr)
{
    const OrtRuntime *rt = &model->runtime;
    const char *const names[2] = { model->inputs[0], model->inputs[1] }, *const output = model->output;
    void *inputs[2] = { NULL, NULL }, *value = NULL;
    VmafxErr err = VMAFX_OK;

    for (size_t i = 0; i < model->n_inputs && !err; i++)
        err = wrap_input(model, batch, n, batch->inputs[i] + from * floats_per_frame(model, batch), &inputs[i], reterr);
    if (!err)
        err = infer_status(
            rt,
            rt->f.Run(model->session, NULL, names, (const void *const *)inputs, model->n_inputs, &output, 1, &value),
            "ONNX Runtime fails", reterr);
    if (!err)
        err = take_scores(model, value, n, ret_scores + from, reterr);
    if (value)
        rt->f.ReleaseValue(value);
    for (size_t i = 0; i < 2; i++)
        if (inputs[i])
            rt->f.ReleaseValue(inputs[i]);
    return err;
}

static VmafxErr check_scores(const VmafxInferModel *model, const VmafxInferBatch *batch, double *scores,
                             VmafxErrInfo *reterr)
{
    for (size_t i = 0; i < batch->n; i++) {
        if (!isfinite(scores[i]))
            return vmafx_fail(reterr, VMAFX_ERR_MODEL, "it gives %s for frame %u, which is no score",
                              isnan(scores[i]) ? "NaN" : "infinity", batch->first + (uint32_t)i * batch->step);
        if (model->file.has_range && !batch->unclipped)
            scores[i] = fmin(fmax(scores[i], model->file.lo), model->file.hi);
    }
    return VMAFX_OK;
}

static VmafxErr run_batch(const VmafxInferModel *model, const VmafxInferBatch *batch, double *ret_scores,
                          VmafxErrInfo *reterr)
{
    size_t at_once = model->one_by_one ? 1 : batch->n;
    VmafxErr err = VMAFX_OK;

    if (batch->n < 1 || batch->n > VMAFX_INFER_BATCH_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "%zu frames in a batch; 1 to %d are possible", batch->n,
                          VMAFX_INFER_BATCH_MAX);
    if (model->w && (batch->w != model->w || batch->h != model->h))
        return vmafx_fail(reterr, VMAFX_ERR_MISMATCH, "it takes pictures of %dx%d only, not of %dx%d", model->w,
                          model->h, batch->w, batch->h);
    for (size_t i = 0; i < batch->n && !err; i += at_once)
        err = run_some(model, batch, i, at_once, ret_scores, reterr);
    return err ? err : check_scores(model, batch, ret_scores, reterr);
}

/* ---- signals ---- */

#define BACKEND "cpu"

static VmafxSpan *start_span(const VmafxInferBatch *batch)
{
    VmafxSpan *span = vmafx_span_start(vmafx_tracer_get(VMAFX_SCOPE_NAME_INFER, VMAFX_ENGINE_VERSION),
                                       VMAFX_SPAN_NAME_ONNX_INFERENCE);

    vmafx_span_set_str(span, VMAFX_KEY_MODEL_NAME, batch->model);
    vmafx_span_set_str(span, VMAFX_KEY_MODEL_SHA256, batch->sha256);
    vmafx_span_set_str(span, VMAFX_KEY_BACKEND, BACKEND);
    vmafx_span_set_int(span, VMAFX_KEY_INFERENCE_BATCH, (int64_t)batch->n);
    vmafx_span_set_int(span, VMAFX_KEY_FRAME_FIRST, batch->first);
    vmafx_span_set_int(span, VMAFX_KEY_FRAME_COUNT, (int64_t)batch->n);
    return span;
}

static void end_span(VmafxSpan **span, VmafxErr err)
{
    if (err) {
        vmafx_span_set_str(*span, VMAFX_KEY_ERROR_TYPE, vmafx_err_name(err));
        vmafx_span_set_status(*span, VMAFX_STATUS_ERROR, vmafx_err_text(err));
    }
    vmafx_span_end(span);
}

VmafxErr vmafx_infer_run(const VmafxInferModel *model, const VmafxInferBatch *batch, double *ret_scores,
                         VmafxErrInfo *reterr)
{
    VmafxSpan *span = batch->traced ? start_span(batch) : NULL;
    VmafxErr err = run_batch(model, batch, ret_scores, reterr);

    if (span)
        end_span(&span, err);
    return err;
}

void vmafx_infer_measure(const char *model, const double *seconds, size_t n)
{
    const VmafxAttr attrs[] = { VMAFX_ATTR_STR(VMAFX_KEY_MODEL_NAME, model),
                                VMAFX_ATTR_STR(VMAFX_KEY_BACKEND, BACKEND) };
    VmafxMeter *meter = vmafx_meter_get(VMAFX_SCOPE_NAME_INFER, VMAFX_ENGINE_VERSION, "", VMAFX_NO_ATTRS);
    VmafxHistogram *duration = vmafx_signal_histogram(meter, VMAFX_METRIC_ID_INFERENCE_DURATION);

    for (size_t i = 0; i < n; i++)
        vmafx_histogram_record_with(duration, seconds[i], (VmafxAttrs){ attrs, VMAFX_LEN(attrs) }, NULL);
}

VmafxErr vmafx_infer_runtime_version(char ret_version[32], VmafxErrInfo *reterr)
{
    VMAFX_AUTO(infer_runtime_done) OrtRuntime runtime = { 0 };
    VmafxErr err = infer_runtime_open(&runtime, reterr);

    if (!err)
        memcpy(ret_version, runtime.version, sizeof runtime.version);
    return err;
}
