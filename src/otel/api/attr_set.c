/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Attribute sets: hash, equality, deep copy. The hash is a multiply-and-fold over eight bytes at a time, seeded by the
 * caller so that nobody outside can choose colliding labels; the hash of a set is the sum of its attributes' hashes,
 * which needs no sorting.
 */

#include "otel/api/attr_set.h"

#include <stdlib.h>

enum { DEPTH_MAX = 64 };

static inline uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t load64(const char *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint64_t load32(const char *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

#define MIX_A 0x9e3779b97f4a7c15u
#define MIX_B 0xd6e8feb86659fd93u

static inline uint64_t bytes_hash(const char *p, size_t n, uint64_t seed)
{
    uint64_t h = seed ^ (n * MIX_A);

    for (; n > 16; p += 16, n -= 16)
        h = fold(load64(p) ^ MIX_A, load64(p + 8) ^ h);
    if (n >= 8)
        return fold(load64(p) ^ MIX_B, load64(p + n - 8) ^ h);
    if (n >= 4)
        return fold(load32(p) ^ MIX_B, load32(p + n - 4) ^ h);
    if (n)
        return fold(((uint64_t)(uint8_t)p[0] << 16 | (uint64_t)(uint8_t)p[n / 2] << 8 | (uint8_t)p[n - 1]) ^ MIX_B, h);
    return fold(MIX_B, h);
}

static uint64_t hash_value(const VmafxValue *v, uint64_t seed, int depth)
{
    uint64_t h = seed + (uint64_t)v->type * MIX_B;

    switch (v->type) {
    case VMAFX_VALUE_EMPTY:
        return fold(h, MIX_A);
    case VMAFX_VALUE_STR:
    case VMAFX_VALUE_BYTES:
        return bytes_hash(v->str.ptr, v->str.len, h);
    case VMAFX_VALUE_BOOL:
        return fold(h ^ v->b, MIX_A);
    case VMAFX_VALUE_INT:
        return fold(h ^ (uint64_t)v->i, MIX_A);
    case VMAFX_VALUE_DOUBLE: {
        uint64_t bits;

        memcpy(&bits, &v->d, sizeof bits);
        return fold(h ^ bits, MIX_A);
    }
    case VMAFX_VALUE_ARRAY:
        for (size_t i = 0; depth < DEPTH_MAX && i < v->array.n; i++)
            h = fold(hash_value(&v->array.items[i], h, depth + 1), MIX_A);
        return h;
    case VMAFX_VALUE_MAP:
        for (size_t i = 0; depth < DEPTH_MAX && i < v->map.n; i++)
            h = fold(hash_value(&v->map.items[i].value, h ^ vmafx_text_hash(v->map.items[i].key, seed), depth + 1),
                     MIX_A);
        return h;
    }
    return h;
}

uint64_t vmafx_value_hash(const VmafxValue *value, uint64_t seed)
{
    return hash_value(value, seed, 0);
}

uint64_t vmafx_text_hash(const char *text, uint64_t seed)
{
    return text ? bytes_hash(text, strlen(text), seed) : seed;
}

static inline uint64_t hash_attr(const VmafxAttr *attr, size_t key_len, uint64_t seed)
{
    uint64_t key = bytes_hash(attr->key, key_len, seed);

    if (attr->value.type == VMAFX_VALUE_STR) /* nearly all of them */
        return bytes_hash(attr->value.str.ptr, attr->value.str.len, key);
    return hash_value(&attr->value, key, 0);
}

uint64_t vmafx_attr_hash(const VmafxAttr *attr, uint64_t seed)
{
    return hash_attr(attr, attr->key ? strlen(attr->key) : 0, seed);
}

uint64_t vmafx_attr_set_hash(VmafxAttrs attrs, uint64_t seed, uint32_t *ret_key_len)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < attrs.n; i++) {
        size_t key_len = attrs.items[i].key ? strlen(attrs.items[i].key) : 0;

        if (ret_key_len)
            ret_key_len[i] = (uint32_t)key_len;
        sum += hash_attr(&attrs.items[i], key_len, seed);
    }
    return fold(sum ^ MIX_B, MIX_A);
}

static bool equal_value(const VmafxValue *a, const VmafxValue *b, int depth)
{
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case VMAFX_VALUE_EMPTY:
        return true;
    case VMAFX_VALUE_STR:
    case VMAFX_VALUE_BYTES:
        return a->str.len == b->str.len && (!a->str.len || !memcmp(a->str.ptr, b->str.ptr, a->str.len));
    case VMAFX_VALUE_BOOL:
        return a->b == b->b;
    case VMAFX_VALUE_INT:
        return a->i == b->i;
    case VMAFX_VALUE_DOUBLE:
        return !memcmp(&a->d, &b->d, sizeof a->d);
    case VMAFX_VALUE_ARRAY:
        if (a->array.n != b->array.n)
            return false;
        for (size_t i = 0; depth < DEPTH_MAX && i < a->array.n; i++)
            if (!equal_value(&a->array.items[i], &b->array.items[i], depth + 1))
                return false;
        return true;
    case VMAFX_VALUE_MAP:
        if (a->map.n != b->map.n)
            return false;
        for (size_t i = 0; depth < DEPTH_MAX && i < a->map.n; i++)
            if (strcmp(a->map.items[i].key, b->map.items[i].key) != 0 ||
                !equal_value(&a->map.items[i].value, &b->map.items[i].value, depth + 1))
                return false;
        return true;
    }
    return false;
}

bool vmafx_value_equal(const VmafxValue *a, const VmafxValue *b)
{
    return equal_value(a, b, 0);
}

/* memcmp() of short text without the call. */
static inline bool same_bytes(const char *a, const char *b, size_t n)
{
    if (n > 16)
        return !memcmp(a, b, n);
    if (n >= 8)
        return !((load64(a) ^ load64(b)) | (load64(a + n - 8) ^ load64(b + n - 8)));
    if (n >= 4)
        return !((load32(a) ^ load32(b)) | (load32(a + n - 4) ^ load32(b + n - 4)));
    while (n && a[n - 1] == b[n - 1])
        n--;
    return !n;
}

static inline bool same_attr(const VmafxAttr *a, const VmafxAttr *b)
{
    if (a->value.type == VMAFX_VALUE_STR && b->value.type == VMAFX_VALUE_STR) /* nearly all of them */
        return a->value.str.len == b->value.str.len && same_bytes(a->value.str.ptr, b->value.str.ptr, a->value.str.len);
    return equal_value(&a->value, &b->value, 0);
}

bool vmafx_attr_set_equal(VmafxAttrs a, VmafxAttrs b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++) {
        size_t j = i; /* most often the order is the same one */

        for (size_t tried = 0; strcmp(a.items[i].key, b.items[j].key) != 0; j = j + 1 == b.n ? 0 : j + 1)
            if (++tried == b.n)
                return false;
        if (!same_attr(&a.items[i], &b.items[j]))
            return false;
    }
    return true;
}

bool vmafx_attr_set_equal_len(VmafxAttrs a, const uint32_t *a_key_len, VmafxAttrs b, const uint32_t *b_key_len)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++) {
        size_t j = i;

        for (size_t tried = 0;
             a_key_len[i] != b_key_len[j] || !same_bytes(a.items[i].key, b.items[j].key, b_key_len[j]);
             j = j + 1 == b.n ? 0 : j + 1)
            if (++tried == b.n)
                return false;
        if (!same_attr(&a.items[i], &b.items[j]))
            return false;
    }
    return true;
}

/* ---- Copy: measure, then fill one block: first every array of values and attributes, then the bytes. ---- */

typedef struct Block {
    char *aligned, *bytes; /* where the next of each goes */
} Block;

static void measure(const VmafxValue *v, int depth, size_t *aligned, size_t *bytes)
{
    if (v->type == VMAFX_VALUE_STR || v->type == VMAFX_VALUE_BYTES) {
        *bytes += v->str.len + 1;
    } else if (v->type == VMAFX_VALUE_ARRAY && depth < DEPTH_MAX) {
        *aligned += v->array.n * sizeof(VmafxValue);
        for (size_t i = 0; i < v->array.n; i++)
            measure(&v->array.items[i], depth + 1, aligned, bytes);
    } else if (v->type == VMAFX_VALUE_MAP && depth < DEPTH_MAX) {
        *aligned += v->map.n * sizeof(VmafxAttr);
        for (size_t i = 0; i < v->map.n; i++) {
            *bytes += strlen(v->map.items[i].key) + 1;
            measure(&v->map.items[i].value, depth + 1, aligned, bytes);
        }
    }
}

static const char *put_bytes(Block *block, const char *p, size_t n)
{
    char *at = block->bytes;

    if (n)
        memcpy(at, p, n);
    at[n] = 0;
    block->bytes += n + 1;
    return at;
}

static VmafxValue put_value(Block *block, const VmafxValue *v, int depth)
{
    VmafxValue copy = *v;

    if (v->type == VMAFX_VALUE_STR || v->type == VMAFX_VALUE_BYTES) {
        copy.str.ptr = put_bytes(block, v->str.ptr, v->str.len);
    } else if (v->type == VMAFX_VALUE_ARRAY && depth < DEPTH_MAX) {
        VmafxValue *items = (VmafxValue *)(void *)block->aligned;

        block->aligned += v->array.n * sizeof *items;
        for (size_t i = 0; i < v->array.n; i++)
            items[i] = put_value(block, &v->array.items[i], depth + 1);
        copy.array.items = items;
    } else if (v->type == VMAFX_VALUE_MAP && depth < DEPTH_MAX) {
        VmafxAttr *items = (VmafxAttr *)(void *)block->aligned;

        block->aligned += v->map.n * sizeof *items;
        for (size_t i = 0; i < v->map.n; i++) {
            items[i].key = put_bytes(block, v->map.items[i].key, strlen(v->map.items[i].key));
            items[i].value = put_value(block, &v->map.items[i].value, depth + 1);
        }
        copy.map.items = items;
    } else if (v->type == VMAFX_VALUE_ARRAY || v->type == VMAFX_VALUE_MAP) {
        copy = (VmafxValue){ .type = VMAFX_VALUE_EMPTY };
    }
    return copy;
}

static bool counts(VmafxAttrs attrs, size_t i)
{
    if (!attrs.items[i].key || !*attrs.items[i].key)
        return false;
    for (size_t later = i + 1; later < attrs.n; later++)
        if (attrs.items[later].key && !strcmp(attrs.items[i].key, attrs.items[later].key))
            return false;
    return true;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const VmafxAttr *)a)->key, ((const VmafxAttr *)b)->key);
}

bool vmafx_attr_set_copy(VmafxAttrs attrs, VmafxAttrs *ret)
{
    size_t aligned = 0, bytes = 0, n = 0;

    *ret = VMAFX_NO_ATTRS;
    for (size_t i = 0; i < attrs.n; i++)
        if (counts(attrs, i)) {
            n++;
            bytes += strlen(attrs.items[i].key) + 1;
            measure(&attrs.items[i].value, 0, &aligned, &bytes);
        }
    if (!n)
        return true;

    VmafxAttr *items = malloc(n * sizeof *items + aligned + bytes);
    if (!items)
        return false;
    Block block = { (char *)(items + n), (char *)(items + n) + aligned };
    n = 0;
    for (size_t i = 0; i < attrs.n; i++)
        if (counts(attrs, i)) {
            items[n].key = put_bytes(&block, attrs.items[i].key, strlen(attrs.items[i].key));
            items[n++].value = put_value(&block, &attrs.items[i].value, 0);
        }
    qsort(items, n, sizeof *items, by_key);
    *ret = (VmafxAttrs){ items, n };
    return true;
}
