/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A collector's answer: any bytes are an answer within its bounds, or refused with nothing left behind. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "otel/export/otlp_response.h"
#include "otel/export/retry.h"
#include "otel/export/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_message(const char *text)
{
    size_t len = strnlen(text, VMAFX_OTLP_MESSAGE_SIZE);

    if (len == VMAFX_OTLP_MESSAGE_SIZE || vmafx_utf8_valid_prefix(text, len) != len)
        abort();
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    VmafxOtlpPartial partial;
    VmafxRpcStatus status;
    uint64_t delay_ns;
    VmafxErr err = vmafx_otlp_partial_parse(data, size, &partial);

    check_message(partial.message);
    if (err && (partial.present || partial.rejected || partial.message[0]))
        abort();
    if (partial.rejected > INT64_MAX)
        abort();
    err = vmafx_rpc_status_parse(data, size, &status);
    check_message(status.message);
    if (err && (status.code || status.has_retry_delay || status.message[0]))
        abort();
    if (!status.has_retry_delay && status.retry_delay_ns)
        abort();
    if (vmafx_retry_after((const char *)data, size, 1000000000, &delay_ns) && delay_ns > 1000000000ull * 1000000000ull)
        abort();
    return 0;
}
