/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Sets of attributes as identities: what makes two lists the same series, scope or handle. Order does not matter; of
 * two equal keys the later one counts. Doubles are compared by their bits, so NaN equals itself.
 */
#ifndef VMAFX_OTEL_API_ATTR_SET_H
#define VMAFX_OTEL_API_ATTR_SET_H

#include "otel/api/attr.h"

/** A hash of one value, or of one attribute; equal ones have equal hashes under one seed. Any thread. */
uint64_t vmafx_value_hash(const VmafxValue *value, uint64_t seed);
uint64_t vmafx_attr_hash(const VmafxAttr *attr, uint64_t seed);

/** A hash of a list, the same in any order. Gives the lengths of its keys (room for n; NULL: not wanted). */
uint64_t vmafx_attr_set_hash(VmafxAttrs attrs, uint64_t seed, uint32_t *ret_key_len);

/** A hash of terminated text. */
uint64_t vmafx_text_hash(const char *text, uint64_t seed);

bool vmafx_value_equal(const VmafxValue *a, const VmafxValue *b);

/** Same keys with same values in any order; both must have unique keys, and none that is NULL. */
bool vmafx_attr_set_equal(VmafxAttrs a, VmafxAttrs b);

/** The same for who knows the lengths of all keys: without looking for their ends. */
bool vmafx_attr_set_equal_len(VmafxAttrs a, const uint32_t *a_key_len, VmafxAttrs b, const uint32_t *b_key_len);

/**
 * A deep copy in one block that free() releases: sorted by key, the last of equal keys kept, empty keys left out.
 * Values nested deeper than 64 levels become the empty value.
 *
 * @param ret  the copy; its items are the block. Empty for an empty set and on no memory
 * @return false on no memory
 */
bool vmafx_attr_set_copy(VmafxAttrs attrs, VmafxAttrs *ret);

#endif
