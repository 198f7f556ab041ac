/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Attribute values: what spans, metrics, log records, scopes and resources carry. Plain views of the caller's memory;
 * who keeps them copies them.
 */
#ifndef VMAFX_OTEL_API_ATTR_H
#define VMAFX_OTEL_API_ATTR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef enum VmafxValueType {
    VMAFX_VALUE_EMPTY = 0,
    VMAFX_VALUE_STR,
    VMAFX_VALUE_BOOL,
    VMAFX_VALUE_INT,
    VMAFX_VALUE_DOUBLE,
    VMAFX_VALUE_BYTES,
    VMAFX_VALUE_ARRAY, /* of any values; homogeneous ones of the four primitives are the usual case */
    VMAFX_VALUE_MAP,
} VmafxValueType;

typedef struct VmafxValue {
    VmafxValueType type;
    union {
        bool b;
        int64_t i;
        double d;
        struct {
            const char *ptr; /* STR: UTF-8, need not be terminated; BYTES: anything */
            size_t len;
        } str;
        struct {
            const struct VmafxValue *items;
            size_t n;
        } array;
        struct {
            const struct VmafxAttr *items;
            size_t n;
        } map;
    };
} VmafxValue;

typedef struct VmafxAttr {
    const char *key; /* terminated, not empty */
    VmafxValue value;
} VmafxAttr;

static inline VmafxValue vmafx_value_str(const char *s)
{
    VmafxValue v = { .type = VMAFX_VALUE_STR };

    v.str.ptr = s ? s : "";
    v.str.len = s ? strlen(s) : 0;
    return v;
}

#define VMAFX_ATTR_STR(k, v)    ((VmafxAttr){ (k), vmafx_value_str(v) })
#define VMAFX_ATTR_BOOL(k, v)   ((VmafxAttr){ (k), { .type = VMAFX_VALUE_BOOL, .b = (v) } })
#define VMAFX_ATTR_INT(k, v)    ((VmafxAttr){ (k), { .type = VMAFX_VALUE_INT, .i = (v) } })
#define VMAFX_ATTR_DOUBLE(k, v) ((VmafxAttr){ (k), { .type = VMAFX_VALUE_DOUBLE, .d = (v) } })

/** A list of attributes, borrowed. */
typedef struct VmafxAttrs {
    const VmafxAttr *items;
    size_t n;
} VmafxAttrs;

/** VMAFX_ATTRS(VMAFX_ATTR_INT("a", 1), …): a list that lives as long as the enclosing block. */
#define VMAFX_ATTRS(...)                                                                                               \
    ((VmafxAttrs){ (const VmafxAttr[]){ __VA_ARGS__ }, sizeof((const VmafxAttr[]){ __VA_ARGS__ }) / sizeof(VmafxAttr) })
#define VMAFX_NO_ATTRS ((VmafxAttrs){ NULL, 0 })
#endif
