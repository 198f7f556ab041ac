/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The engine of a scoring: its models are found and read, its features added, and all of it goes on record. */

#include "score/score_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/digest.h"
#include "score/model_auto.h"
#include "score/models.h"
#include "score/score_onnx.h"

#define MODEL_BYTES_MAX ((size_t)64 << 20)

/* ---- options for the report ---- */

static VmafxErr record(VmafxResult *result, const char *key, bool bare, const char *fmt, ...) VMAFX_PRINTF(4, 5);

static VmafxErr record(VmafxResult *result, const char *key, bool bare, const char *fmt, ...)
{
    VmafxReportOption *more = realloc(result->options, (result->n_options + 1) * sizeof *more);
    va_list args;
    char *value;

    if (!more)
        return VMAFX_ERR_NOMEM;
    result->options = more;
    va_start(args, fmt);
    int length = vasprintf(&value, fmt, args);
    va_end(args);
    if (length < 0)
        return VMAFX_ERR_NOMEM;
    result->options[result->n_options++] = (VmafxReportOption){ .key = key, .value = value, .bare = bare };
    return VMAFX_OK;
}

/* Appends `text` to *list in fresh memory. */
static VmafxErr append(char **list, const char *text)
{
    char *longer = vmafx_sprintf("%s%s", *list ? *list : "", text);

    if (!longer)
        return VMAFX_ERR_NOMEM;
    free(*list);
    *list = longer;
    return VMAFX_OK;
}

static VmafxErr append_options(char **list, char separator, const VmafxOptions *options)
{
    VmafxErr err = VMAFX_OK;

    for (size_t i = 0; i < options->n && !err; i++) {
        VMAFX_AUTO(vmafx_free_p)
        char *item = vmafx_sprintf("%c%s=%s", separator, options->items[i].key, options->items[i].value);

        err = item ? append(list, item) : VMAFX_ERR_NOMEM;
        separator = ':';
    }
    return err;
}

/* "vmaf=vmaf_v0.6.1:disable_clip adm=..." and "vif=debug=true motion", in the syntax of the command line. */
static VmafxErr record_requests(VmafxResult *result, const VmafxPairOptions *o)
{
    VMAFX_AUTO(vmafx_free_p) char *models = NULL;
    VMAFX_AUTO(vmafx_free_p) char *features = NULL;
    VmafxErr err = VMAFX_OK;

    for (size_t i = 0; i < o->n_models && !err; i++) {
        unsigned flags = o->models[i].flags;
        VMAFX_AUTO(vmafx_free_p)
        char *head = vmafx_sprintf("%s%s=%s%s%s%s", i ? " " : "", result->models[i].name, result->models[i].version,
                                   flags & VMAFX_MODEL_DISABLE_CLIP ? ":disable_clip" : "",
                                   flags & VMAFX_MODEL_ENABLE_TRANSFORM ? ":enable_transform" : "",
                                   flags & VMAFX_MODEL_DISABLE_TRANSFORM ? ":disable_transform" : "");

        err = head ? append(&models, head) : VMAFX_ERR_NOMEM;
        if (!err)
            err = append_options(&models, ':', &o->models[i].overloads);
    }
    for (size_t i = 0; i < o->n_features && !err; i++) {
        err = append(&features, i ? " " : "");
        if (!err)
            err = append(&features, o->features[i].name);
        if (!err)
            err = append_options(&features, '=', &o->features[i].options);
    }
    if (!err)
        err = record(result, "models", false, "%s", models ? models : "");
    if (!err)
        err = record(result, "features", false, "%s", features ? features : "");
    return err;
}

/* "NAME=opset 17, ONNX Runtime 1.21.0", of each ONNX model. */
static VmafxErr record_onnx(VmafxResult *result)
{
    VMAFX_AUTO(vmafx_free_p) char *all = NULL;
    VmafxErr err = VMAFX_OK;

    for (size_t i = 0; i < result->n_models && !err; i++) {
        const VmafxScoredModel *m = &result->models[i];

        if (!m->onnx)
            continue;
        VMAFX_AUTO(vmafx_free_p)
        char *one =
            vmafx_sprintf("%s%s=opset %lld, ONNX Runtime %s", all ? "; " : "", m->name,
                          (long long)vmafx_infer_model_file(m->onnx)->opset, vmafx_infer_model_runtime(m->onnx));
        err = one ? append(&all, one) : VMAFX_ERR_NOMEM;
    }
    return err || !all ? err : record(result, "onnx", false, "%s", all);
}

static VmafxErr record_options(VmafxResult *result, const VmafxPairOptions *o)
{
    const struct {
        const char *key;
        long long value;
    } numbers[] = {
        { "threads", o->threads },   { "subsample", VMAFX_MAX(o->subsample, 1) }, { "first_frame", o->first },
        { "frame_count", o->count }, { "skip_reference", o->skip_ref },           { "skip_distorted", o->skip_dis },
    };
    const struct {
        const char *key;
        bool value;
    } switches[] = {
        { "accept_shorter", o->accept_shorter },
        { "convert_depth", o->convert_depth },
        { "convert_range", o->convert_range },
        { "ignore_pixel_format", o->ignore_pixel_format },
        { "ignore_rate", o->ignore_rate },
        { "ignore_start", o->ignore_start },
        { "ignore_colour", o->ignore_colour },
        { "allow_hdr", o->allow_hdr },
        { "strict", o->strict },
    };
    VmafxErr err = record_requests(result, o);

    if (!err)
        err = record_onnx(result);

    for (size_t i = 0; i < VMAFX_LEN(numbers) && !err; i++)
        err = record(result, numbers[i].key, true, "%lld", numbers[i].value);
    if (!err && o->scale == VMAFX_SCALING_SIZE)
        err = record(result, "scale", false, "%dx%d", o->scale_w, o->scale_h);
    else if (!err)
        err = record(result, "scale", false, "%s", o->scale == VMAFX_SCALING_REFERENCE ? "reference" : "none");
    for (size_t i = 0; i < VMAFX_LEN(switches) && !err; i++)
        err = record(result, switches[i].key, true, "%s", switches[i].value ? "true" : "false");
    return err;
}

/* ---- models and features ---- */

static bool name_taken(const VmafxResult *result, const char *name)
{
    for (size_t i = 0; i < result->n_models; i++)
        if (!strcmp(result->models[i].name, name))
            return true;
    return false;
}

/* The file name without folder and .json or .onnx. */
static char *version_of_path(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *version = vmafx_strdup(slash ? slash + 1 : path);
    size_t len = version ? strlen(version) : 0;

    if (len > 5 && (!strcmp(version + len - 5, ".json") || !strcmp(version + len - 5, ".onnx")))
        version[len - 5] = 0;
    return version;
}

static VmafxErr load_model(VmafxScoredModel *m, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_free_p) char *json = NULL;
    VmafxErrInfo info = { 0 };
    size_t len = 0;
    VmafxErr err = vmafx_read_file(m->path, MODEL_BYTES_MAX, &json, &len, reterr);

    if (err)
        return err;
    vmafx_sha256_hex(json, len, m->sha256);
    err = vmafx_model_parse(json, len, &m->owned, &info);
    m->model = m->owned;
    if (err)
        return vmafx_fail(reterr, err, "cannot use model '%s': %s", m->path,
                          *info.message ? info.message : vmafx_err_text(err));
    return VMAFX_OK;
}

/* From what was loaded beforehand. */
static VmafxErr take_known(const VmafxModelRegistry *registry, const VmafxModelRequest *request, VmafxScoredModel *m,
                           VmafxErrInfo *reterr)
{
    if (!request->version)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "model '%s': only installed models are taken, by their version",
                          request->path);
    const VmafxKnownModel *known;
    VmafxErr err = vmafx_model_registry_find(registry, request->version, &known, reterr);
    if (err)
        return err;
    m->path = vmafx_strdup(known->path);
    m->model = known->model;
    m->onnx = known->onnx;
    memcpy(m->sha256, known->sha256, sizeof m->sha256);
    return VMAFX_OK;
}

static bool is_onnx(const VmafxModelRequest *request, const VmafxScoredModel *m)
{
    return request->onnx || m->onnx || (!m->model && score_onnx_is_file(m->path));
}

/* Finds the file and settles the names. */
static VmafxErr name_model(const VmafxResult *result, const VmafxModelRequest *request,
                           const VmafxModelRegistry *registry, VmafxScoredModel *m, VmafxErrInfo *reterr)
{
    if (registry) {
        VmafxErr err = take_known(registry, request, m, reterr);
        if (err)
            return err;
    } else if (request->path) {
        m->path = vmafx_strdup(request->path);
    } else {
        VmafxErr err = vmafx_model_find(request->version, &m->path, reterr);
        if (err)
            return err;
    }
    if (!m->path)
        return VMAFX_ERR_NOMEM;
    m->version = request->version ? vmafx_strdup(request->version) : version_of_path(m->path);
    if (!m->version)
        return VMAFX_ERR_NOMEM;
    bool versioned = is_onnx(request, m) || name_taken(result, "vmaf"); /* another model's score is no VMAF */
    m->name = vmafx_strdup(request->name ? request->name : versioned ? m->version : "vmaf");
    if (!m->name)
        return VMAFX_ERR_NOMEM;
    if (name_taken(result, m->name))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                          "two models have the name '%s': give one of them another with name=NAME", m->name);
    return VMAFX_OK;
}

static VmafxErr load_onnx(VmafxScoredModel *m, VmafxErrInfo *reterr)
{
    VmafxErr err = score_onnx_load(m->path, &m->onnx_owned, m->sha256, reterr);

    m->onnx = m->onnx_owned;
    return err;
}

static VmafxErr add_model(VmafxResult *result, const VmafxModelRequest *request, const VmafxPairOptions *o,
                          VmafxErrInfo *reterr)
{
    VMAFX_AUTO(score_model_done) VmafxScoredModel m = { 0 };
    VmafxErr err = name_model(result, request, o->registry, &m, reterr);

    if (!err && !m.model && !m.onnx)
        err = is_onnx(request, &m) ? load_onnx(&m, reterr) : load_model(&m, reterr);
    if (err)
        return err;

    /* The engine borrows the model, so it is the result's from here on, whatever comes. */
    VmafxScoredModel *kept = &result->models[result->n_models];
    result->models[result->n_models++] = m;
    m = (VmafxScoredModel){ 0 };
    if (kept->onnx)
        return score_onnx_add(result, kept, request, o->scored != NULL, reterr);
    return vmafx_engine_add_model(result->engine, kept->model,
                                  &(VmafxModelUse){ .name = kept->name,
                                                    .flags = request->flags,
                                                    .overloads = request->overloads.n ? &request->overloads : NULL },
                                  reterr);
}

void score_model_done(VmafxScoredModel *m)
{
    vmafx_model_free(&m->owned);
    score_onnx_done(&m->run);
    vmafx_infer_model_free(&m->onnx_owned);
    free(m->name);
    free(m->version);
    free(m->path);
    *m = (VmafxScoredModel){ 0 };
}

static VmafxErr add_all(VmafxResult *result, const VmafxPairOptions *o, VmafxErrInfo *reterr)
{
    VmafxErr err = VMAFX_OK;

    for (size_t i = 0; i < o->n_models && !err; i++)
        err = add_model(result, &o->models[i], o, reterr);
    for (size_t i = 0; i < o->n_features && !err; i++)
        err = vmafx_engine_add_feature(result->engine, o->features[i].name,
                                       o->features[i].options.n ? &o->features[i].options : NULL, o->strict, reterr);
    return err ? err : record_options(result, o);
}

VmafxErr score_engine_set_up(VmafxResult *result, const VmafxPairOptions *o, void (*frame_done)(void *ctx), void *ctx,
                             VmafxErrInfo *reterr)
{
    const VmafxEngineSettings settings = { .threads = o->threads,
                                           .subsample = o->subsample,
                                           .cpu_disabled = o->cpu_disabled,
                                           .writes_files = o->writes_files,
                                           .frame_done = o->scored ? frame_done : NULL,
                                           .frame_done_ctx = ctx };
    VmafxErr err = vmafx_engine_new(&settings, &result->engine);

    if (err)
        return vmafx_fail(reterr, err, "cannot start the engine: %s", vmafx_err_text(err));
    result->models = calloc(o->n_models ? o->n_models : 1, sizeof *result->models);
    if (!result->models)
        return VMAFX_ERR_NOMEM;
    return score_engine_waits(o) ? VMAFX_OK : add_all(result, o, reterr);
}

static bool is_auto(const VmafxModelRequest *request)
{
    return request->version && !strcmp(request->version, VMAFX_MODEL_AUTO);
}

bool score_engine_waits(const VmafxPairOptions *o)
{
    for (size_t i = 0; i < o->n_models; i++)
        if (is_auto(&o->models[i]))
            return true;
    return false;
}

bool score_reads_chroma(const ScorePair *pair)
{
    return score_engine_waits(pair->options) || vmafx_engine_reads_chroma(pair->result->engine);
}

VmafxErr score_engine_fill(VmafxResult *result, const VmafxPairOptions *o, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_free_p) VmafxModelRequest *models = calloc(o->n_models, sizeof *models);
    const VmafxVideoInfo *ref = &result->inputs[REF].info;
    bool scaled = o->scale == VMAFX_SCALING_SIZE;
    const VmafxModelPictures pictures = { scaled ? o->scale_w : ref->w, scaled ? o->scale_h : ref->h, ref->rate_num,
                                          ref->rate_den };
    VmafxPairOptions chosen = *o;
    VmafxModelChoice choice;
    VmafxErr err = models ? VMAFX_OK : VMAFX_ERR_NOMEM;

    vmafx_model_choose(&pictures, &choice);
    for (size_t i = 0; i < o->n_models && !err; i++) {
        models[i] = o->models[i];
        if (!is_auto(&models[i]))
            continue;
        models[i].version = choice.version;
        err = score_note(&result->adaptations, "model auto: %s, because %s", choice.version, choice.why);
    }
    chosen.models = models;
    return err ? err : add_all(result, &chosen, reterr);
}
