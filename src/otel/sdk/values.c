/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Copies of attributes in one piece of memory, with limits. */

#include "otel/sdk/values.h"

#include <string.h>

#include "base/base.h"

const VmafxAttrLimits vmafx_attr_unlimited = { VMAFX_OTEL_UNLIMITED, VMAFX_OTEL_UNLIMITED };

void *vmafx_bump_take(VmafxBump *bump, size_t size)
{
    size_t used = bump->used;

    if (size > SIZE_MAX / 2 - 32 || used > SIZE_MAX / 2 - size - 32) {
        bump->saturated = true;
        return NULL;
    }
    bump->used = used + ((size + 15) & ~(size_t)15);
    return bump->at ? bump->at + used : NULL;
}

static const char *take_bytes(VmafxBump *bump, const char *s, size_t len)
{
    char *copy = vmafx_bump_take(bump, len + 1);

    if (!copy)
        return "";
    if (len)
        memcpy(copy, s, len);
    copy[len] = 0;
    return copy;
}

const char *vmafx_bump_str(VmafxBump *bump, const char *s)
{
    return s && *s ? take_bytes(bump, s, strlen(s)) : "";
}

size_t vmafx_utf8_prefix(const char *s, size_t len, size_t n)
{
    size_t at = 0;

    for (; n && at < len; n--) {
        unsigned char c = (unsigned char)s[at++];
        int more = c >= 0xf0 && c < 0xf8 ? 3 : c >= 0xe0 && c < 0xf0 ? 2 : c >= 0xc0 && c < 0xe0 ? 1 : 0;

        while (more-- && at < len && ((unsigned char)s[at] & 0xc0) == 0x80)
            at++;
    }
    return at;
}

static bool same_key(const char *a, const char *b)
{
    return a == b || (a && !strcmp(a, b));
}

static VmafxValue copy_value(VmafxBump *bump, const VmafxValue *value, const VmafxAttrLimits *limits, int depth);

static VmafxAttrs copy_attrs(VmafxBump *bump, VmafxAttrs from, const VmafxAttrLimits *limits, uint32_t *ret_dropped,
                             int depth)
{
    size_t n = from.items ? from.n : 0, room = VMAFX_MIN(n, (size_t)limits->count), kept = 0;
    VmafxAttr *items = room ? vmafx_bump_take(bump, room * sizeof *items) : NULL;
    uint32_t dropped = 0;

    for (size_t i = 0; i < n; i++) {
        const char *key = from.items[i].key;
        bool seen = false;
        size_t last = i;

        for (size_t j = 0; j < i && !seen; j++)
            seen = key && same_key(from.items[j].key, key);
        if (seen)
            continue;
        if (!key || !*key || kept >= room) {
            dropped += dropped < UINT32_MAX;
            continue;
        }
        for (size_t j = i + 1; j < n; j++)
            if (same_key(from.items[j].key, key))
                last = j;
        const char *key_copy = vmafx_bump_str(bump, key);
        VmafxValue copy = copy_value(bump, &from.items[last].value, limits, depth);
        if (items)
            items[kept] = (VmafxAttr){ key_copy, copy };
        kept++;
    }
    if (ret_dropped)
        *ret_dropped = dropped;
    return (VmafxAttrs){ items, items ? kept : 0 };
}

static VmafxValue copy_value(VmafxBump *bump, const VmafxValue *value, const VmafxAttrLimits *limits, int depth)
{
    static const VmafxAttrLimits any_count = { VMAFX_OTEL_UNLIMITED, VMAFX_OTEL_UNLIMITED };
    VmafxAttrLimits inside = any_count; /* the count limit is for attributes, not for entries of a map */
    VmafxValue copy = *value;
    size_t max = limits->value_length == VMAFX_OTEL_UNLIMITED ? SIZE_MAX : (size_t)limits->value_length;

    inside.value_length = limits->value_length;
    switch (value->type) {
    case VMAFX_VALUE_STR:
        copy.str.len = value->str.ptr ? value->str.len : 0;
        if (copy.str.len > max)
            copy.str.len = vmafx_utf8_prefix(value->str.ptr, copy.str.len, max);
        copy.str.ptr = take_bytes(bump, value->str.ptr, copy.str.len);
        break;
    case VMAFX_VALUE_BYTES:
        copy.str.len = value->str.ptr ? VMAFX_MIN(value->str.len, max) : 0;
        copy.str.ptr = take_bytes(bump, value->str.ptr, copy.str.len);
        break;
    case VMAFX_VALUE_ARRAY: {
        if (depth >= VMAFX_VALUE_DEPTH_MAX)
            return (VmafxValue){ .type = VMAFX_VALUE_EMPTY };
        size_t n = value->array.items ? value->array.n : 0;
        VmafxValue *items = NULL;

        if (n > SIZE_MAX / 4 / sizeof *items)
            bump->saturated = true;
        else if (n)
            items = vmafx_bump_take(bump, n * sizeof *items);
        for (size_t i = 0; i < n && !bump->saturated; i++) {
            VmafxValue item = copy_value(bump, &value->array.items[i], &inside, depth + 1);
            if (items)
                items[i] = item;
        }
        copy.array.items = items;
        copy.array.n = items ? n : 0;
        break;
    }
    case VMAFX_VALUE_MAP: {
        if (depth >= VMAFX_VALUE_DEPTH_MAX)
            return (VmafxValue){ .type = VMAFX_VALUE_EMPTY };
        VmafxAttrs map = { value->map.items, value->map.n };

        map = copy_attrs(bump, map, &inside, NULL, depth + 1);
        copy.map.items = map.items;
        copy.map.n = map.n;
        break;
    }
    case VMAFX_VALUE_EMPTY:
    case VMAFX_VALUE_BOOL:
    case VMAFX_VALUE_INT:
    case VMAFX_VALUE_DOUBLE:
        break;
    default: /* not a value we know */
        return (VmafxValue){ .type = VMAFX_VALUE_EMPTY };
    }
    return copy;
}

VmafxValue vmafx_bump_value(VmafxBump *bump, const VmafxValue *value, const VmafxAttrLimits *limits)
{
    return copy_value(bump, value, limits, 0);
}

VmafxAttrs vmafx_bump_attrs(VmafxBump *bump, VmafxAttrs attrs, const VmafxAttrLimits *limits, uint32_t *ret_dropped)
{
    return copy_attrs(bump, attrs, limits, ret_dropped, 0);
}
