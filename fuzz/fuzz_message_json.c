/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* JSON as clients send it. What is let in is written and read again, and must then be the same message. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "rpc/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const ProtobufCMessageDescriptor *types[] = {
        &vmafx__v1__submit_jobs_request__descriptor, &vmafx__v1__job_spec__descriptor,
        &vmafx__v1__list_jobs_response__descriptor,  &vmafx__v1__get_result_response__descriptor,
        &vmafx__v1__node_message__descriptor,        &vmafx__v1__score_request__descriptor,
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
