/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The rows of signals.def as arrays, looked up by walking them: this is for start-up, debug builds and tests. */

#include "signals/signals.h"

#include "base/base.h"

#define VMAFX_ATTRIBUTE(id, key, type, values, text)                  const char VMAFX_KEY_##id[] = key;
#define VMAFX_SPAN(id, name, kind, makers, text)                      const char VMAFX_SPAN_NAME_##id[] = name;
#define VMAFX_METRIC(id, name, kind, unit, buckets, attributes, text) const char VMAFX_METRIC_NAME_##id[] = name;
#include "signals/signals.def"

#define VMAFX_BUCKETS(id, ...) static const double bounds_##id[] = { __VA_ARGS__ };
#include "signals/signals.def"

static const double bounds_NONE[1] = { 0 };

/* How many boundaries, so that a row without any is made by the same macro. */
enum {
    N_NONE = 0,
#define VMAFX_BUCKETS(id, ...) N_##id = VMAFX_LEN(bounds_##id),
#include "signals/signals.def"
};

static const VmafxAttributeRow attributes_table[] = {
#define VMAFX_ATTRIBUTE(id, key, type, values, text) { key, VMAFX_ATTRIBUTE_##type, values, text },
#include "signals/signals.def"
};

static const VmafxSpanRow spans_table[] = {
#define VMAFX_SPAN(id, name, kind, makers, text) { name, VMAFX_SPAN_##kind, makers, text },
#include "signals/signals.def"
};

static const VmafxMetricRow metrics_table[] = {
#define VMAFX_METRIC(id, name, kind, unit, buckets, attributes, text)                                                  \
    { name, VMAFX_KIND_##kind, unit, N_##buckets ? bounds_##buckets : NULL, N_##buckets, attributes, text },
#include "signals/signals.def"
};

const VmafxAttributeRow *vmafx_attribute_row(VmafxAttributeId id)
{
    return (size_t)id < VMAFX_LEN(attributes_table) ? &attributes_table[id] : NULL;
}

const VmafxSpanRow *vmafx_span_row(VmafxSpanNameId id)
{
    return (size_t)id < VMAFX_LEN(spans_table) ? &spans_table[id] : NULL;
}

const VmafxMetricRow *vmafx_metric_row(VmafxMetricId id)
{
    return (size_t)id < VMAFX_LEN(metrics_table) ? &metrics_table[id] : NULL;
}

const VmafxAttributeRow *vmafx_attribute_find(const char *key)
{
    for (size_t i = 0; key && i < VMAFX_LEN(attributes_table); i++)
        if (!strcmp(attributes_table[i].key, key))
            return &attributes_table[i];
    return NULL;
}

const VmafxSpanRow *vmafx_span_find(const char *name)
{
    for (size_t i = 0; name && *name != '<' && i < VMAFX_LEN(spans_table); i++)
        if (!strcmp(spans_table[i].name, name))
            return &spans_table[i];
    return NULL;
}

const VmafxMetricRow *vmafx_metric_find(const char *name)
{
    for (size_t i = 0; name && i < VMAFX_LEN(metrics_table); i++)
        if (!strcmp(metrics_table[i].name, name))
            return &metrics_table[i];
    return NULL;
}

/* ---- Checks ---- */

/* Is a word one of a list's? */
static bool listed(const char *list, char separator, const char *word, size_t len)
{
    while (*list) {
        const char *end = strchrnul(list, separator);

        if ((size_t)(end - list) == len && !memcmp(list, word, len))
            return true;
        list = *end ? end + 1 : end;
    }
    return false;
}

static bool type_fits(VmafxAttributeType type, const VmafxValue *value)
{
    static const VmafxValueType types[] = { VMAFX_VALUE_STR, VMAFX_VALUE_INT, VMAFX_VALUE_DOUBLE, VMAFX_VALUE_BOOL,
                                            VMAFX_VALUE_ARRAY };

    if (value->type != types[type])
        return false;
    for (size_t i = 0; type == VMAFX_ATTRIBUTE_STRS && i < value->array.n; i++)
        if (value->array.items[i].type != VMAFX_VALUE_STR)
            return false;
    return true;
}

static const char *check_one(const VmafxAttr *attr)
{
    if (!attr->key || !*attr->key)
        return "an attribute has no key";

    const VmafxAttributeRow *row = vmafx_attribute_find(attr->key);
    if (!row)
        return strncmp(attr->key, "vmafx.", 6) ? NULL : "the attribute is not in signals.def";
    if (!type_fits(row->type, &attr->value))
        return "the attribute has another type in signals.def";
    if (*row->values && !listed(row->values, '|', attr->value.str.ptr, attr->value.str.len))
        return "the value is not in the attribute's closed set";
    return NULL;
}

const char *vmafx_attributes_check(VmafxAttrs attrs, const char **ret_key)
{
    for (size_t i = 0; i < attrs.n; i++) {
        const char *wrong = check_one(&attrs.items[i]);

        if (wrong) {
            if (ret_key)
                *ret_key = attrs.items[i].key;
            return wrong;
        }
    }
    return NULL;
}

const char *vmafx_span_check(const char *name, int kind, VmafxAttrs attrs, const char **ret_key)
{
    const VmafxSpanRow *row = vmafx_span_find(name);

    if (ret_key)
        *ret_key = NULL;
    if (!name || (!row && !strncmp(name, "vmafx.", 6)))
        return "the span is not in signals.def";
    if (row && (int)row->kind != kind)
        return "the span has another kind in signals.def";
    return vmafx_attributes_check(attrs, ret_key);
}

const char *vmafx_metric_check(const char *name, VmafxInstrumentKind kind, const char *unit)
{
    const VmafxMetricRow *row = vmafx_metric_find(name);

    if (!row)
        return "the metric is not in signals.def";
    if (row->kind != kind)
        return "the metric has another kind in signals.def";
    return strcmp(row->unit, unit ? unit : "") ? "the metric has another unit in signals.def" : NULL;
}

const char *vmafx_metric_attributes_check(const char *name, VmafxAttrs attrs, const char **ret_key)
{
    const VmafxMetricRow *row = vmafx_metric_find(name);

    if (ret_key)
        *ret_key = NULL;
    if (!row)
        return "the metric is not in signals.def";
    for (size_t i = 0; i < attrs.n; i++) {
        const char *key = attrs.items[i].key ? attrs.items[i].key : "";

        if (listed(row->attributes, ' ', key, strlen(key)))
            continue;
        if (ret_key)
            *ret_key = key;
        return "the metric may not have this attribute";
    }
    return vmafx_attributes_check(attrs, ret_key);
}
