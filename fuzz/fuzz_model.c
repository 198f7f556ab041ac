/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Model files: any bytes are either refused, with a sentence, or make a model whose members all predict. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <vmafx/engine.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    double inputs[VMAFX_MODEL_FEATURES_MAX], raw[VMAFX_MODEL_MEMBERS_MAX];
    VmafxErrInfo info = { 0 };
    VmafxModel *model = NULL;
    VmafxErr err = vmafx_model_parse((const char *)data, size, &model, &info);

    if (err) {
        if (model || !info.message[0])
            abort(); /* an error leaves no model and has a sentence */
        return 0;
    }

    for (size_t i = 0; i < VMAFX_MODEL_FEATURES_MAX; i++)
        inputs[i] = (i % 3) * 0.5;
    for (size_t m = 0; m < vmafx_model_members(model); m++) {
        for (size_t i = 0; i < vmafx_model_inputs(model, m); i++)
            if (!vmafx_model_input_feature(model, m, i) || !vmafx_model_input_options(model, m, i))
                abort();
        for (unsigned flags = 0; flags < 8; flags++)
            raw[m ? m - 1 : 0] = vmafx_model_predict(model, m, inputs, flags);
    }

    VmafxConfidence confidence;
    vmafx_model_confidence(model, raw, VMAFX_MODEL_ENABLE_TRANSFORM, &confidence);
    vmafx_model_free(&model);
    return 0;
}
