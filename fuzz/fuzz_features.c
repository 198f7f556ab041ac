/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Features and models as command lines give them: a line each, "m" before those of models, whose overloads then meet a
 * model that has every kind of feature. Whatever is asked for is taken or refused with a sentence; what was taken
 * measures a small picture or refuses it with a sentence; and no file is written.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "score/score.h"

#define SIDE      64
#define LINES_MAX 16

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

static void measure(VmafxEngine *engine)
{
    static uint8_t samples[2][SIDE * SIDE];
    VmafxPicture pictures[2];
    VmafxErrInfo info = { 0 };

    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < SIDE * SIDE; k++)
            samples[i][k] = (uint8_t)(k * (7 + i) + k / SIDE * 3);
        VmafxPlane luma = { samples[i], SIDE, SIDE, SIDE, 8 }, chroma = { samples[i], SIDE, SIDE / 2, SIDE / 2, 8 };
        pictures[i] = (VmafxPicture){ { luma, chroma, chroma }, VMAFX_CHROMA_420 };
    }
    VmafxErr err = vmafx_engine_push_pictures(engine, &pictures[0], &pictures[1], &info);
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
    measure(engine);
    vmafx_engine_free(&engine); /* before the model that it borrows */
    return 0;
}
