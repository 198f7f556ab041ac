/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Copies of attributes that outlive the caller: what resources, scopes and log records are made of. Limits and unique
 * keys are applied while copying (OpenTelemetry specification, "Attribute limits").
 *
 * A copy is made of one piece of memory in two rounds of the same code: the first, with at NULL, only counts.
 */
#ifndef VMAFX_OTEL_SDK_VALUES_H
#define VMAFX_OTEL_SDK_VALUES_H

#include "otel/api/attr.h"
#include "otel/sdk/env.h"

/** Memory being handed out front to back. used grows in both rounds; saturated: more than SIZE_MAX / 2 was asked for.
 */
typedef struct VmafxBump {
    char *at; /* NULL: counting only */
    size_t used;
    bool saturated;
} VmafxBump;

/** size bytes aligned to 16, or NULL while counting. */
void *vmafx_bump_take(VmafxBump *bump, size_t size);
/** A terminated copy; NULL counts as "". While counting, "". */
const char *vmafx_bump_str(VmafxBump *bump, const char *s);

/** No limits but depth. */
extern const VmafxAttrLimits vmafx_attr_unlimited;

/** Arrays and maps deeper than this become the empty value. */
#define VMAFX_VALUE_DEPTH_MAX 64

/** A copy of a value; limits->value_length holds for every string and byte array inside. */
VmafxValue vmafx_bump_value(VmafxBump *bump, const VmafxValue *value, const VmafxAttrLimits *limits);

/**
 * Copies of attributes with unique keys: the place of the first, the value of the last. Without a key (NULL or "") and
 * beyond limits->count an attribute is dropped and counted, once for each key.
 * @param ret_dropped  set, not added to; may be NULL
 */
VmafxAttrs vmafx_bump_attrs(VmafxBump *bump, VmafxAttrs attrs, const VmafxAttrLimits *limits, uint32_t *ret_dropped);

/** How many bytes of a UTF-8 string its first n characters take; bytes that are not UTF-8 count as one each. */
size_t vmafx_utf8_prefix(const char *s, size_t len, size_t n);
#endif
