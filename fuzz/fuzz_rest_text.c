/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Texts of HTTP requests to the controller: a time, an Accept header, a Content-Type, a Content-Digest. */

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "programs/controller/rest_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const types[] = { "application/json", "text/csv" };
    VMAFX_AUTO(vmafx_free_p) char *text = malloc(size + 1);
    VmafxErrInfo info = { "" };
    int64_t us = 0;

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = 0;
    VmafxErr err = rest_time("t", text, &us, &info);
    if (err ? !*info.message : us <= 0)
        abort();
    const char *chosen = rest_accept(text, types, VMAFX_LEN(types));
    if (chosen && chosen != types[0] && chosen != types[1])
        abort();
    rest_is_json(text);
    char hex[VMAFX_SHA256_TEXT];
    if (!rest_content_digest(text, hex, &info) && *hex && strlen(hex) != 64)
        abort();
    return 0;
}
