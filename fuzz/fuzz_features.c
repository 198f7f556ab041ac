/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Features and models as command lines give them: a line each, "m" before those of models, whose overloads then meet a
 * model that has every kind of feature. Whatever is asked for is taken or refused with a sentence; what was taken
 * measures small pictures or refuses them with a sentence; and no file is written. The last byte chooses the pictures:
 * most are tiny, some reach the features that want a side of 216, or chroma of 80x80.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "score/score.h"

#define LINES_MAX   16
#define FRAMES      2     /* so that one has another before it, */
#define LARGE       10000 /* but of pictures with more samples one has to do */
#define SAMPLES_MAX (224 * 176)

typedef struct Shape {
    int w, h, bpc;
    VmafxChroma chroma;
} Shape;

/* The first for every byte that is beyond. */
static const Shape shapes[] = {
    { 64, 64, 8, VMAFX_CHROMA_420 },   { 216, 24, 8, VMAFX_CHROMA_420 },  { 17, 217, 10, VMAFX_CHROMA_420 },
    { 40, 35, 12, VMAFX_CHROMA_422 },  { 16, 16, 16, VMAFX_CHROMA_400 },  { 81, 83, 8, VMAFX_CHROMA_444 },
    { 160, 160, 9, VMAFX_CHROMA_420 }, { 224, 176, 8, VMAFX_CHROMA_420 }, /* the smallest that all of them take */
    { 1, 1, 8, VMAFX_CHROMA_444 },
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char model_text[] =
    "{\"model_dict\":{\"model_type\":\"LIBSVMNUSVR\",\"norm_type\":\"none\",\"feature_names\":["
    "\"VMAF_integer_feature_adm2_score\",\"VMAF_integer_feature_motion2_score\","
    "\"VMAF_integer_feature_vif_scale0_score\",\"VMAF_feature_vif_scale0_score\",\"VMAF_feature_adm2_score\","
    "\"VMAF_feature_motion2_score\",\"Cambi_feature_cambi_score\"],"
    "\"model\":\"svm_type nu_svr\\nkernel_type rbf\\ngamma 0.5\\nnr_class 2\\ntotal_sv 1\\nrho 0\\nSV\\n1 1:1\\n\"}}";

static void must_be_said(VmafxErr err, const VmafxErrInfo *info)
{
    if (err && err != VMAFX_ERR_NOMEM && !info->message[0])
        abort();
}

static void ask_for_feature(VmafxEngine *engine, const char *line, bool strict)
{
    VmafxFeatureRequest request = { 0 };
    VmafxErrInfo info = { 0 };
    VmafxErr err = vmafx_feature_request_parse(line, &request, &info);

    if (!err)
        err = vmafx_engine_add_feature(engine, request.name, &request.options, strict, &info);
    must_be_said(err, &info);
    vmafx_feature_request_done(&request);
}

static void ask_for_model(VmafxEngine *engine, const VmafxModel *model, const char *line, bool bare)
{
    VmafxModelRequest request = { 0 };
    VmafxErrInfo info = { 0 };
    VmafxErr err = vmafx_model_request_parse(line, bare, &request, &info);

    if (!err)
        err = vmafx_engine_add_model(
            engine, model,
            &(VmafxModelUse){ .name = request.name, .flags = request.flags, .overloads = &request.overloads }, &info);
    must_be_said(err, &info);
    vmafx_model_request_done(&request);
}

/* A frame of one input: luma, and chroma from the same memory. */
static void fill(const Shape *shape, int input, int frame, uint16_t *samples, VmafxPicture *ret)
{
    bool wide = shape->bpc > 8;
    int cw = shape->chroma == VMAFX_CHROMA_444 ? shape->w : shape->w / 2;
    int ch = shape->chroma == VMAFX_CHROMA_420 ? shape->h / 2 : shape->h;

    for (int k = 0; k < shape->w * shape->h; k++) {
        unsigned v = (unsigned)(k * (7 + input) + k / shape->w * 3 + frame * 5);

        if (wide)
            samples[k] = (uint16_t)(v & ((1u << shape->bpc) - 1));
        else
            ((uint8_t *)samples)[k] = (uint8_t)v;
    }
    VmafxPlane luma = { samples, shape->w * (wide ? 2 : 1), shape->w, shape->h, shape->bpc };
    VmafxPlane chroma = luma;
    chroma.w = cw;
    chroma.h = ch;
    *ret = (VmafxPicture){ { luma }, shape->chroma };
    if (shape->chroma != VMAFX_CHROMA_400)
        ret->planes[1] = ret->planes[2] = chroma;
}

static void measure(VmafxEngine *engine, const Shape *shape)
{
    static uint16_t samples[2][SAMPLES_MAX];
    VmafxPicture pictures[2];
    VmafxErrInfo info = { 0 };
    VmafxErr err = VMAFX_OK;

    for (int frame = 0; !err && frame < (shape->w * shape->h > LARGE ? 1 : FRAMES); frame++) {
        for (int i = 0; i < 2; i++)
            fill(shape, i, frame, samples[i], &pictures[i]);
        err = vmafx_engine_push_pictures(engine, &pictures[0], &pictures[1], &info);
    }
    if (!err)
        err = vmafx_engine_finish(engine, &info);
    must_be_said(err, &info);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    VMAFX_AUTO(vmafx_free_p) char *text = malloc(size + 1);
    VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = NULL;
    VMAFX_AUTO(vmafx_model_free) VmafxModel *model = NULL;
    char *rest = text;
    size_t shape = size ? data[size - 1] % 16 : 0;

    if (!text || vmafx_engine_new(&(VmafxEngineSettings){ 0 }, &engine) ||
        vmafx_model_parse(model_text, sizeof model_text - 1, &model, NULL))
        abort();
    memcpy(text, data, size);
    text[size] = 0;
    for (int i = 0; rest && i < LINES_MAX; i++) {
        const char *line = strsep(&rest, "\n");

        if (line[0] == 'm')
            ask_for_model(engine, model, line + 1, i % 2);
        else
            ask_for_feature(engine, line, i % 2 == 0);
    }
    measure(engine, &shapes[shape < VMAFX_LEN(shapes) ? shape : 0]);
    vmafx_engine_free(&engine); /* before the model that it borrows */
    return 0;
}
