/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * JSON as clients send it. What is let in is written and read again, and must then be the same message. Of what
 * vmafx-server is asked for, its own checks say yes or why not; whoever passes them keeps the server's limits.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/encoders.h"
#include "programs/server/scoring_check.h"
#include "rpc/spec_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const Vmafx__V1__ScoreRequest *request, const int fds[2])
{
    const ServerLimits limits = { .timeout_ms = 3600000, .pixels = 1 << 20 };
    const Vmafx__V1__RawFormat *raw = request->reference ? request->reference->raw : NULL;
    Vmafx__V1__Input inputs[2];
    Vmafx__V1__JobSpec spec;
    VmafxErrInfo info = { "" };

    scoring_spec(request, inputs, &spec);
    VmafxErr err = scoring_check(&limits, request, fds, &spec, "request", &info);
    if (err && strncmp(info.message, "request", 7) != 0)
        abort(); /* nobody knows which of its fields */
    if (!err && (request->timeout_ms < 0 || request->timeout_ms > limits.timeout_ms ||
                 (raw && (int64_t)raw->width * raw->height > limits.pixels)))
        abort();
}

/* A job that passes has what a scorer needs: two videos, or one and an encoder that is known. */
static void check_job(const Vmafx__V1__JobSpec *spec)
{
    const Vmafx__V1__EncodeRecipe *recipe = vmafx_spec_recipe(spec);
    VmafxErrInfo info = { "" };
    VmafxErr err = vmafx_spec_check(spec, "job", &info);

    if (err ? strncmp(info.message, "job", 3) != 0 : !recipe == !vmafx_spec_distorted(spec))
        abort();
    if (!err && recipe && !vmafx_codec_is_known(recipe->codec) && !vmafx_encoder_name_find(recipe->encoder))
        abort();
}

static void check_all(const ProtobufCMessage *message)
{
    static const int sent[][2] = { { -1, -1 }, { -1, 3 }, { 3, 4 } }; /* nobody reads there */
    const Vmafx__V1__ScoreRequest *one = (const Vmafx__V1__ScoreRequest *)message;
    const Vmafx__V1__ScoreBatchRequest *batch = (const Vmafx__V1__ScoreBatchRequest *)message;

    if (message->descriptor == &vmafx__v1__job_spec__descriptor)
        check_job((const Vmafx__V1__JobSpec *)message);
    for (size_t i = 0; i < VMAFX_LEN(sent); i++) {
        if (message->descriptor == &vmafx__v1__score_request__descriptor)
            check(one, sent[i]);
        for (size_t k = 0; message->descriptor == &vmafx__v1__score_batch_request__descriptor && k < batch->n_pairs;
             k++)
            check(batch->pairs[k], sent[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const ProtobufCMessageDescriptor *types[] = {
        &vmafx__v1__submit_jobs_request__descriptor, &vmafx__v1__job_spec__descriptor,
        &vmafx__v1__list_jobs_response__descriptor,  &vmafx__v1__get_result_response__descriptor,
        &vmafx__v1__node_message__descriptor,        &vmafx__v1__score_request__descriptor,
        &vmafx__v1__score_batch_request__descriptor,
    };
    VmafxMessage *first = NULL, *second = NULL;
    VmafxErrInfo info = { "" };

    if (!size)
        return 0;
    const ProtobufCMessageDescriptor *type = types[data[0] % VMAFX_LEN(types)];
    if (vmafx_message_from_json(type, (const char *)data + 1, size - 1, 1 << 20, "", &first, &info)) {
        if (!*info.message)
            abort(); /* a refusal without a word */
        return 0;
    }
    check_all(vmafx_message_get(first));
    char *text = vmafx_message_json(vmafx_message_get(first));
    if (!text || vmafx_message_from_json(type, text, strlen(text), 16 << 20, "", &second, &info))
        abort();
    uint8_t *a, *b;
    size_t a_len, b_len;
    if (vmafx_message_pack(vmafx_message_get(first), &a, &a_len) ||
        vmafx_message_pack(vmafx_message_get(second), &b, &b_len))
        abort();
    if (a_len != b_len || memcmp(a, b, a_len) != 0)
        abort();
    free(a);
    free(b);
    free(text);
    vmafx_message_free(&first);
    vmafx_message_free(&second);
    return 0;
}
