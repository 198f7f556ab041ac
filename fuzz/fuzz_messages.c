/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Messages from a peer: the first byte picks one of ours, the second the budget, the rest is read as it. What is let in
 * prints as JSON, and packing and reading it again changes neither the JSON nor the bytes. Reflection's and health's
 * reader gets the same bytes.
 */

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "rpc/message.h"
#include "rpc/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ProtobufCMessageDescriptor *const types[] = {
    &vmafx__v1__submit_job_request__descriptor,     &vmafx__v1__submit_jobs_request__descriptor,
    &vmafx__v1__list_jobs_request__descriptor,      &vmafx__v1__node_message__descriptor,
    &vmafx__v1__controller_message__descriptor,     &vmafx__v1__job__descriptor,
    &vmafx__v1__get_result_response__descriptor,    &vmafx__v1__stored_result__descriptor,
    &vmafx__scorer__v1__scorer_request__descriptor, &vmafx__scorer__v1__child_message__descriptor,
};

static void check(bool good)
{
    if (!good)
        abort();
}

static void read_by_hand(RpcBytes rest)
{
    RpcField field;

    while (rest.len) {
        size_t before = rest.len;

        if (!rpc_wire_next(&rest, &field))
            return;
        check(rest.len < before && field.number && field.bytes.len <= before);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *first = NULL, *second = NULL;
    VMAFX_AUTO(vmafx_free_p) char *json = NULL, *again = NULL;
    VMAFX_AUTO(vmafx_free_p) uint8_t *bytes = NULL, *bytes_again = NULL;
    VmafxErrInfo info = { "" };
    size_t len = 0, len_again = 0;

    if (size < 2)
        return 0;
    const ProtobufCMessageDescriptor *type = types[data[0] % VMAFX_LEN(types)];
    size_t budget = data[1] ? (size_t)data[1] * 64 : 0;
    read_by_hand((RpcBytes){ data + 2, size - 2 });
    VmafxErr err = vmafx_message_unpack(type, data + 2, size - 2, budget, &first, &info);
    if (err) {
        check(info.message[0]);
        return 0;
    }
    const ProtobufCMessage *root = vmafx_message_get(first);
    json = vmafx_message_json(root);
    check(json && !vmafx_message_pack(root, &bytes, &len));
    check(!vmafx_message_unpack(type, bytes, len, 0, &second, NULL)); /* with the whole budget what we write is read */
    root = vmafx_message_get(second);
    again = vmafx_message_json(root);
    check(again && !vmafx_message_pack(root, &bytes_again, &len_again));
    check(!strcmp(json, again) && len == len_again && !memcmp(bytes, bytes_again, len));
    return 0;
}
