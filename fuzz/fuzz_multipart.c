/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * multipart/form-data: any body is refused with a sentence or comes apart into parts whose texts hold what the header
 * promises; and the same way however it is cut: whole, byte by byte, and in pieces of the sizes that the first byte
 * gives. The first line, behind that byte, is the Content-Type.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/multipart.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A digest of everything that the callbacks see, as one piece. */
typedef struct Seen {
    uint64_t hash;
    int parts;
    bool open;
} Seen;

static void mix(Seen *seen, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        seen->hash = (seen->hash ^ (unsigned char)data[i]) * UINT64_C(1099511628211);
}

static void check_text(const char *text, size_t max)
{
    if (strlen(text) > max)
        abort();
    for (; *text; text++)
        if (((unsigned char)*text < ' ' && *text != '\t') || *text == 127)
            abort();
}

static VmafxErr begin(void *ctx, const VmafxMultipartHead *head, VmafxErrInfo *reterr)
{
    Seen *seen = ctx;

    (void)reterr;
    if (seen->open || !*head->name)
        abort();
    seen->open = true;
    seen->parts++;
    check_text(head->name, VMAFX_MULTIPART_NAME_MAX);
    check_text(head->filename, VMAFX_MULTIPART_FILENAME_MAX);
    check_text(head->type, VMAFX_MULTIPART_TYPE_MAX);
    if (strpbrk(head->filename, "/\\"))
        abort();
    mix(seen, "begin", 5);
    mix(seen, head->name, strlen(head->name) + 1);
    mix(seen, head->filename, strlen(head->filename) + 1);
    mix(seen, head->type, strlen(head->type) + 1);
    return VMAFX_OK;
}

static VmafxErr more(void *ctx, const char *data, size_t len, VmafxErrInfo *reterr)
{
    Seen *seen = ctx;

    (void)reterr;
    if (!seen->open || !len)
        abort();
    mix(seen, data, len);
    return VMAFX_OK;
}

static VmafxErr end(void *ctx, VmafxErrInfo *reterr)
{
    Seen *seen = ctx;

    (void)reterr;
    if (!seen->open)
        abort();
    seen->open = false;
    mix(seen, "end", 3);
    return VMAFX_OK;
}

static VmafxErr read_all(const char *type, const char *data, size_t len, size_t step, Seen *seen)
{
    VmafxMultipart multipart;
    VmafxErrInfo info = { 0 };
    VmafxErr err = vmafx_multipart_init(&multipart, type, 8, (VmafxMultipartSink){ begin, more, end, seen }, &info);

    seen->hash = UINT64_C(14695981039346656037);
    for (size_t at = 0; !err && at < len; at += step)
        err = vmafx_multipart_add(&multipart, data + at, len - at < step ? len - at : step, &info);
    if (!err)
        err = vmafx_multipart_end(&multipart, &info);
    if (err ? !*info.message : seen->open || !seen->parts)
        abort();
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end_of_line = size ? memchr(data + 1, '\n', size - 1) : NULL;

    if (!end_of_line)
        return 0;
    size_t step = data[0] + (size_t)1;
    char *type = strndup((const char *)data + 1, (size_t)(end_of_line - data) - 1);
    const char *body = (const char *)end_of_line + 1;
    size_t len = size - (size_t)(end_of_line + 1 - data);
    Seen whole = { 0 }, bytes = { 0 }, pieces = { 0 };

    if (!type)
        return 0;
    VmafxErr err = read_all(type, body, len, len + 1, &whole);
    if (read_all(type, body, len, 1, &bytes) != err || read_all(type, body, len, step, &pieces) != err ||
        whole.hash != bytes.hash || whole.hash != pieces.hash || whole.parts != bytes.parts)
        abort();
    free(type);
    return 0;
}
