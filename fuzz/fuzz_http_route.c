/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Request targets and patterns of routes: any bytes are refused with a sentence, or come apart into texts that hold
 * what the header promises; patterns never read beyond either. The first line is a pattern, the rest a target.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 127)
            abort();
}

static void check_target(const VmafxHttpTarget *target, size_t len)
{
    char redacted[256];

    if (!target->n_segments || target->n_segments > VMAFX_HTTP_SEGMENTS_MAX || target->n_query > VMAFX_HTTP_QUERY_MAX ||
        *target->raw_path != '/' || strlen(target->raw_path) > len)
        abort();
    for (size_t i = 0; i < target->n_segments; i++) {
        const char *segment = target->segments[i];

        check_text(segment);
        if (strchr(segment, '/') || !strcmp(segment, ".") || !strcmp(segment, ".."))
            abort();
    }
    for (size_t i = 0; i < target->n_query; i++) {
        check_text(target->query[i].name);
        check_text(target->query[i].value);
        if (!vmafx_http_target_query(target, target->query[i].name))
            abort();
    }
    if (!target->raw_query)
        return;
    vmafx_http_query_redact(target->raw_query, redacted, sizeof redacted);
    if (strlen(redacted) >= sizeof redacted)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = memchr(data, '\n', size);
    size_t pattern_len = end ? (size_t)(end - data) : 0, skip = end ? pattern_len + 1 : 0;
    char *pattern = strndup((const char *)data, pattern_len);
    VmafxHttpTarget target = { 0 };
    VmafxErrInfo info = { 0 };

    if (vmafx_http_target_parse((const char *)data + skip, size - skip, &target, &info)) {
        if (!*info.message)
            abort();
    } else {
        check_target(&target, size);
        if (pattern && vmafx_http_pattern_valid(pattern) && vmafx_http_pattern_match(pattern, &target)) {
            const char *id = vmafx_http_pattern_param(pattern, &target, "id");

            if (strstr(pattern, "{id}") ? !id || !*id : id != NULL)
                abort();
        }
    }
    vmafx_http_target_done(&target);
    free(pattern);
    return 0;
}
