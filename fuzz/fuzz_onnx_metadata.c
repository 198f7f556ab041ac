/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* ONNX files, before anybody runs them: any bytes are either refused, with a sentence, or say what they are for. */

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "infer/onnx_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const VmafxOnnxFile *file)
{
    if (file->opset < 1 || (file->kind == VMAFX_ONNX_FEATURES) != (file->n_features > 0))
        abort();
    if (file->has_range && !(file->lo < file->hi))
        abort();
    if (!(file->peak > 0) || !isfinite(file->peak))
        abort();
    for (size_t i = 0; i < file->n_features; i++) {
        if (!*file->features[i].name)
            abort();
        for (size_t j = 0; j < file->features[i].options.n; j++)
            if (!*file->features[i].options.items[j].key || !*file->features[i].options.items[j].value)
                abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    VmafxErrInfo info = { 0 };
    VmafxOnnxFile file = { 0 };
    VmafxErr err = vmafx_onnx_read(data, size, &file, &info);

    if (!err)
        check(&file);
    else if (file.text || file.n_features || !*info.message)
        abort(); /* an error leaves nothing and has a sentence */
    vmafx_onnx_file_done(&file);
    return 0;
}
