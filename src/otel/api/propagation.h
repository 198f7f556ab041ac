/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the parsers of this room share, and nobody else needs. */
#ifndef VMAFX_OTEL_API_PROPAGATION_H
#define VMAFX_OTEL_API_PROPAGATION_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "otel/api/context.h"

/** Counts n more drops. */
void vmafx_context_count_drop(VmafxContextDrop what, size_t n);

/** A piece of someone's text; need not be terminated. */
typedef struct VmafxText {
    const char *ptr;
    size_t len;
} VmafxText;

static inline bool vmafx_text_same(VmafxText a, VmafxText b)
{
    return a.len == b.len && (!a.len || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/** Without the blanks (SP, HTAB) around it. */
static inline VmafxText vmafx_text_trim(VmafxText text)
{
    while (text.len && (*text.ptr == ' ' || *text.ptr == '\t')) {
        text.ptr++;
        text.len--;
    }
    while (text.len && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
        text.len--;
    return text;
}

/** Takes what stands before the first mark off the front of *rest, and the mark too; everything when there is none. */
static inline VmafxText vmafx_text_take(VmafxText *rest, char mark)
{
    const char *at = rest->len ? memchr(rest->ptr, mark, rest->len) : NULL;
    size_t len = at ? (size_t)(at - rest->ptr) : rest->len;
    VmafxText head = { rest->ptr, len };

    rest->ptr += at ? len + 1 : len;
    rest->len -= at ? len + 1 : len;
    return head;
}
#endif
