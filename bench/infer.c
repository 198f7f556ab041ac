/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * bench-infer MODEL N W H SECONDS: frames per second of batches of N through an ONNX model, by CPU time, which is that
 * of one thread, so that other work on the machine matters little. tools/bench-infer runs it.
 */

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/base.h"
#include "infer/infer.h"

static double cpu_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int fail(const char *what, const VmafxErrInfo *info)
{
    fprintf(stderr, "bench-infer: %s: %s\n", what, info->message);
    return 1;
}

int main(int argc, char **argv)
{
    VMAFX_AUTO(vmafx_infer_model_free) VmafxInferModel *model = NULL;
    VMAFX_AUTO(vmafx_free_p) char *data = NULL;
    VMAFX_AUTO(vmafx_free_p) float *values = NULL;
    static double scores[VMAFX_INFER_BATCH_MAX];
    VmafxErrInfo info = { 0 };
    size_t len, frames = 0;

    if (argc != 6) {
        fputs("usage: bench-infer MODEL N W H SECONDS\n", stderr);
        return 2;
    }
    double began_s = cpu_s();
    if (vmafx_read_file(argv[1], VMAFX_ONNX_BYTES_MAX, &data, &len, &info) ||
        vmafx_infer_model_new(data, len, &model, &info))
        return fail(argv[1], &info);
    double load_s = cpu_s() - began_s;
    VmafxInferBatch batch = { .n = (size_t)atoi(argv[2]), .w = atoi(argv[3]), .h = atoi(argv[4]), .step = 1 };
    size_t n = batch.n * (batch.w ? (size_t)batch.w * (size_t)batch.h : vmafx_infer_model_file(model)->n_features);
    values = vmafx_alloc_aligned(n, sizeof *values);
    for (size_t i = 0; values && i < n; i++)
        values[i] = (float)(i * 37 % 101) / 101;
    batch.inputs[0] = batch.inputs[1] = values;
    if (!values || vmafx_infer_run(model, &batch, scores, &info)) /* the first run takes longer */
        return fail("the first run", &info);

    double start_s = cpu_s(), end_s = start_s + atof(argv[5]), now_s;
    do {
        if (vmafx_infer_run(model, &batch, scores, &info))
            return fail("a run", &info);
        frames += batch.n;
        now_s = cpu_s();
    } while (now_s < end_s);
    printf("%.1f %.4f %s\n", (double)frames / (now_s - start_s), load_s, vmafx_infer_model_runtime(model));
    return 0;
}
