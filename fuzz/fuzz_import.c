/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Programs with models inside: whatever the bytes, the scan moves on, and what it finds lies within them, after what it
 * found before, and is an object that holds the mark. Half of the bytes stand for words, so that objects are found
 * often.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "score/models.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const words[] = {
    "\"model_dict\"", "\"model_dict\":{", "{\"", "\":", "{\"a\":", "[{", "}]", "\\\""
};

/* The first byte chooses between bytes as they are and bytes of which those from 128 up stand for words. */
static char *spelled_out(const uint8_t *data, size_t size, size_t *ret_len)
{
    char *text = malloc(16 * size + 1);
    size_t len = 0;

    if (!text)
        abort();
    for (size_t i = 1; i < size; i++) {
        const char *word = (data[0] & 1) && data[i] >= 128 ? words[data[i] % VMAFX_LEN(words)] : NULL;
        size_t n = word ? strlen(word) : 1;

        memcpy(text + len, word ? word : (const char *)&data[i], n);
        len += n;
    }
    *ret_len = len;
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t len, offset = 0, before = 0, json_len;
    const char *json;

    if (!size)
        return 0;
    VMAFX_AUTO(vmafx_free_p) char *spelled = spelled_out(data, size, &len);
    VMAFX_AUTO(vmafx_free_p) char *text = malloc(len ? len : 1); /* no byte more, for the sanitizer */
    if (!text)
        abort();
    memcpy(text, spelled, len);
    while (vmafx_models_scan(text, len, &offset, &json, &json_len)) {
        size_t start = (size_t)(json - text);

        if (start < before || start >= len || json_len > len - start || offset != start + json_len || offset <= before)
            abort();
        if (json[0] != '{' || json[json_len - 1] != '}' || !memmem(json, json_len, "\"model_dict\"", 12))
            abort();
        VmafxModel *model = NULL;
        VMAFX_IGNORE(vmafx_model_parse(json, json_len, &model, NULL)); /* most of them are none */
        vmafx_model_free(&model);
        before = offset;
    }
    if (offset != len)
        abort();
    return 0;
}
