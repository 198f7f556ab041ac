/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Batches are filled here, in the caller's thread; what runs them is infer's. */

#include "score/score_onnx.h"

#include <string.h>
#include <time.h>

#include "base/base.h"
#include "base/clock.h"

/* With one thread larger batches of pictures are no faster, only larger: ./run bench infer. */
#define BATCH_PICTURES 4
#define BATCH_SAMPLES  ((size_t)1 << 20)    /* of one input, unless a single picture has more */
#define SPANS_EACH     64                   /* so many batches have a span each; of later ones, */
#define SPANS_EVERY_NS UINT64_C(5000000000) /* one that begins so long after the last that had one */

struct ScoreOnnx {
    const VmafxInferModel *model;
    VmafxEngine *engine;
    const char *name, *version, *sha256; /* the scored model's */
    size_t guest;
    bool pair, unclipped, live;

    /* luma: a batch that fills up */
    float *pictures[2];
    size_t room, n; /* pictures of each */
    int w, h;
    uint32_t first, step;

    float *rows; /* features: VMAFX_GUEST_ROWS of them as floats */

    size_t n_spans;
    uint64_t last_span_ns;
    double seconds[VMAFX_SCORE_INFERENCES_MAX];
    size_t n_seconds;
};

void score_onnx_done(ScoreOnnx **onnx)
{
    if (!*onnx)
        return;
    free((*onnx)->pictures[0]);
    free((*onnx)->pictures[1]);
    free((*onnx)->rows);
    free(*onnx);
    *onnx = NULL;
}

/* ---- files ---- */

bool score_onnx_is_file(const char *path)
{
    size_t len = strlen(path), suffix = strlen(SCORE_ONNX_SUFFIX);

    return len > suffix && !strcmp(path + len - suffix, SCORE_ONNX_SUFFIX);
}

VmafxErr score_onnx_load(const char *path, VmafxInferModel **ret, char ret_sha256[VMAFX_SHA256_TEXT],
                         VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_free_p) char *data = NULL;
    VmafxErrInfo info = { 0 };
    size_t len = 0;
    VmafxErr err = vmafx_read_file(path, VMAFX_ONNX_BYTES_MAX, &data, &len, reterr);

    if (err)
        return err;
    vmafx_sha256_hex(data, len, ret_sha256);
    err = vmafx_infer_model_new(data, len, ret, &info);
    if (err)
        return vmafx_fail(reterr, err, "cannot use model '%s': %s", path,
                          *info.message ? info.message : vmafx_err_text(err));
    return VMAFX_OK;
}

/* ---- running ---- */

/* Many small batches would make more spans than anybody reads. */
static bool wants_span(ScoreOnnx *onnx, uint64_t now_ns)
{
    if (onnx->n_spans >= SPANS_EACH && now_ns - onnx->last_span_ns < SPANS_EVERY_NS)
        return false;
    onnx->n_spans++;
    onnx->last_span_ns = now_ns;
    return true;
}

static VmafxErr run(ScoreOnnx *onnx, VmafxInferBatch *batch, double *ret_scores, VmafxErrInfo *reterr)
{
    uint64_t started_ns = vmafx_monotonic_ns();
    VmafxErrInfo info = { 0 };

    batch->model = onnx->version;
    batch->sha256 = onnx->sha256;
    batch->unclipped = onnx->unclipped;
    batch->traced = wants_span(onnx, started_ns);
    VmafxErr err = vmafx_infer_run(onnx->model, batch, ret_scores, &info);
    double seconds = (double)(vmafx_monotonic_ns() - started_ns) / 1e9;

    vmafx_infer_measure(onnx->version, &seconds, 1);
    if (onnx->n_seconds < VMAFX_LEN(onnx->seconds))
        onnx->seconds[onnx->n_seconds++] = seconds;
    return err ? vmafx_fail(reterr, err, "model '%s': %s", onnx->name,
                            *info.message ? info.message : vmafx_err_text(err))
               : VMAFX_OK;
}

const double *score_onnx_seconds(const ScoreOnnx *onnx, size_t *ret_n)
{
    *ret_n = onnx->n_seconds;
    return onnx->seconds;
}

/* ---- features ---- */

/* The engine's predict. */
static VmafxErr predict(void *ctx, uint32_t first, uint32_t step, size_t n, const double *rows, double *ret_scores,
                        VmafxErrInfo *reterr)
{
    ScoreOnnx *onnx = ctx;
    VmafxInferBatch batch = { .n = n, .inputs = { onnx->rows }, .first = first, .step = step };
    size_t n_values = n * vmafx_infer_model_file(onnx->model)->n_features;

    for (size_t i = 0; i < n_values; i++)
        onnx->rows[i] = (float)rows[i];
    return run(onnx, &batch, ret_scores, reterr);
}

static VmafxErr add_features(ScoreOnnx *onnx, VmafxErrInfo *reterr)
{
    const VmafxOnnxFile *file = vmafx_infer_model_file(onnx->model);
    const char *names[VMAFX_MODEL_FEATURES_MAX];
    VmafxOptions options[VMAFX_MODEL_FEATURES_MAX];
    VmafxGuest guest = { .name = onnx->name,
                         .features = names,
                         .options = options,
                         .n_features = file->n_features,
                         .predict = predict,
                         .ctx = onnx };

    for (size_t i = 0; i < file->n_features; i++) {
        names[i] = file->features[i].name;
        options[i] = file->features[i].options;
    }
    onnx->rows = malloc(sizeof *onnx->rows * VMAFX_GUEST_ROWS * file->n_features);
    return onnx->rows ? vmafx_engine_add_guest(onnx->engine, &guest, &onnx->guest, reterr) : VMAFX_ERR_NOMEM;
}

/* ---- luma ---- */

static VmafxErr add_luma(ScoreOnnx *onnx, VmafxErrInfo *reterr)
{
    onnx->pair = vmafx_infer_model_file(onnx->model)->kind == VMAFX_ONNX_LUMA_PAIR;
    return vmafx_engine_add_guest(onnx->engine, &(VmafxGuest){ .name = onnx->name }, &onnx->guest, reterr);
}

/* The first picture tells the size. */
static VmafxErr make_room(ScoreOnnx *onnx, const VmafxPlane *plane, VmafxErrInfo *reterr)
{
    size_t samples = (size_t)plane->w * (size_t)plane->h;
    size_t most = onnx->live ? 1 : VMAFX_MIN(VMAFX_MAX(BATCH_SAMPLES / samples, (size_t)1), (size_t)BATCH_PICTURES);
    int w, h;

    vmafx_infer_model_size(onnx->model, &w, &h);
    if (w && (w != plane->w || h != plane->h))
        return vmafx_fail(reterr, VMAFX_ERR_MISMATCH,
                          "model '%s' takes pictures of %dx%d only, these are %dx%d: --scale %dx%d brings both to its "
                          "size",
                          onnx->name, w, h, plane->w, plane->h, w, h);
    for (size_t i = 0; i < (onnx->pair ? 2 : 1); i++) {
        onnx->pictures[i] = vmafx_alloc_aligned(most * samples, sizeof(float));
        if (!onnx->pictures[i])
            return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory to give pictures of %dx%d to model '%s'", plane->w,
                              plane->h, onnx->name);
    }
    onnx->room = most;
    onnx->w = plane->w;
    onnx->h = plane->h;
    return VMAFX_OK;
}

static void put_picture(const ScoreOnnx *onnx, size_t which, const VmafxPlane *plane)
{
    float *to = onnx->pictures[which] + onnx->n * (size_t)onnx->w * (size_t)onnx->h;
    double scale = vmafx_infer_model_file(onnx->model)->peak / ((1 << plane->bpc) - 1);

    for (int y = 0; y < plane->h; y++) {
        const uint8_t *row = (const uint8_t *)plane->data + y * plane->stride;
        const uint16_t *wide = (const uint16_t *)(const void *)row;

        for (int x = 0; x < plane->w; x++)
            *to++ = (float)((plane->bpc > 8 ? wide[x] : row[x]) * scale);
    }
}

/* Runs what has been gathered. */
static VmafxErr run_pictures(ScoreOnnx *onnx, VmafxErrInfo *reterr)
{
    VmafxInferBatch batch = { .n = onnx->n,
                              .w = onnx->w,
                              .h = onnx->h,
                              .inputs = { onnx->pictures[0], onnx->pictures[1] },
                              .first = onnx->first,
                              .step = onnx->step };
    double scores[BATCH_PICTURES];

    if (!onnx->n)
        return VMAFX_OK;
    VmafxErr err = run(onnx, &batch, scores, reterr);
    if (!err)
        err = vmafx_engine_give(onnx->engine, onnx->guest, scores, onnx->n, reterr);
    onnx->n = 0;
    return err;
}

static VmafxErr take_pair(ScoreOnnx *onnx, uint32_t frame, const VmafxPlane *ref, const VmafxPlane *dis,
                          VmafxErrInfo *reterr)
{
    VmafxErr err = onnx->room ? VMAFX_OK : make_room(onnx, ref, reterr);

    if (err)
        return err;
    if (!onnx->n)
        onnx->first = frame;
    if (onnx->pair)
        put_picture(onnx, 0, ref);
    put_picture(onnx, onnx->pair ? 1 : 0, dis);
    return ++onnx->n == onnx->room ? run_pictures(onnx, reterr) : VMAFX_OK;
}

/* ---- what the header promises ---- */

VmafxErr score_onnx_add(VmafxResult *result, VmafxScoredModel *model, const VmafxModelRequest *request, bool live,
                        VmafxErrInfo *reterr)
{
    ScoreOnnx *onnx = calloc(1, sizeof *onnx);
    VmafxErrInfo info = { 0 };

    if (!onnx)
        return VMAFX_ERR_NOMEM;
    model->run = onnx;
    *onnx = (ScoreOnnx){ .model = model->onnx,
                         .engine = result->engine,
                         .name = model->name,
                         .version = model->version,
                         .sha256 = model->sha256,
                         .unclipped = request->flags & VMAFX_MODEL_DISABLE_CLIP,
                         .live = live,
                         .step = (uint32_t)VMAFX_MAX(result->subsample, 1) };
    if (request->overloads.n || request->flags & VMAFX_MODEL_ENABLE_TRANSFORM)
        return vmafx_fail(reterr, VMAFX_ERR_MODEL, "model '%s' is an ONNX model: %s", model->name,
                          request->overloads.n ? "the options of its features are fixed in the file"
                                               : "it has no transform");
    bool of_features = vmafx_infer_model_file(model->onnx)->kind == VMAFX_ONNX_FEATURES;
    VmafxErr err = of_features ? add_features(onnx, &info) : add_luma(onnx, &info);
    if (err)
        return vmafx_fail(reterr, err, "cannot use model '%s': %s", model->path,
                          *info.message ? info.message : vmafx_err_text(err));
    return VMAFX_OK;
}

VmafxErr score_onnx_frame(VmafxResult *result, uint32_t frame, const VmafxPlane *ref, const VmafxPlane *dis,
                          VmafxErrInfo *reterr)
{
    VmafxErr err = VMAFX_OK;

    for (size_t i = 0; i < result->n_models && !err; i++) {
        ScoreOnnx *onnx = result->models[i].run;

        if (onnx && !onnx->rows && frame % onnx->step == 0)
            err = take_pair(onnx, frame, ref, dis, reterr);
    }
    return err;
}

VmafxErr score_onnx_end(VmafxResult *result, VmafxErrInfo *reterr)
{
    VmafxErr err = VMAFX_OK;

    for (size_t i = 0; i < result->n_models && !err; i++)
        if (result->models[i].run)
            err = run_pictures(result->models[i].run, reterr);
    return err;
}
