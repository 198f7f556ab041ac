/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The rows of signals.def as arrays, looked up by walking them: this is for start-up, debug builds and tests. */

#include "signals/signals.h"

#include "base/base.h"

#define VMAFX_SCOPE(id, name, text)                                   const char VMAFX_SCOPE_NAME_##id[] = name;
#define VMAFX_ATTRIBUTE(id, key, type, values, text)                  const char VMAFX_KEY_##id[] = key;
#define VMAFX_SPAN(id, name, kind, attributes, makers, text)          const char VMAFX_SPAN_NAME_##id[] = name;
#define VMAFX_EVENT(id, name, attributes, text)                       const char VMAFX_EVENT_NAME_##id[] = name;
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
#define VMAFX_SPAN(id, name, kind, attributes, makers, text) { name, VMAFX_SPAN_##kind, attributes, makers, text },
#include "signals/signals.def"
};

static const char *const scopes_table[] = {
#define VMAFX_SCOPE(id, name, text) name,
#include "signals/signals.def"
};

static const struct EventRow {
    const char *name, *attributes;
} events_table[] = {
#define VMAFX_EVENT(id, name, attributes, text) { name, attributes },
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
    for (size_t i = 0; name && !strchr(name, '<') && i < VMAFX_LEN(spans_table); i++)
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

bool vmafx_scope_is_known(const char *name)
{
    for (size_t i = 0; name && i < VMAFX_LEN(scopes_table); i++)
        if (!strcmp(scopes_table[i], name))
            return true;
    return false;
}

bool vmafx_signal_is_ours(const char *name)
{
    return name && !strncmp(name, "vmafx.", 6);
}

/* ---- Checks ---- */

/* Is a word one of a list's? One that ends in a star is for all that begin like it. */
static bool listed(const char *list, char separator, const char *word, size_t len)
{
    while (*list) {
        const char *end = strchrnul(list, separator);
        size_t n = (size_t)(end - list);
        bool star = n > 0 && end[-1] == '*';

        if (star ? len >= n && !memcmp(list, word, n - 1) : len == n && !memcmp(list, word, n))
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

static const char *check_one(const VmafxAttr *attr, bool strictly)
{
    if (!attr->key || !*attr->key)
        return "an attribute has no key";

    const VmafxAttributeRow *row = vmafx_attribute_find(attr->key);
    if (!row)
        return strictly || vmafx_signal_is_ours(attr->key) ? "the attribute is not in signals.def" : NULL;
    if (!type_fits(row->type, &attr->value))
        return "the attribute has another type in signals.def";
    if (*row->values && !listed(row->values, '|', attr->value.str.ptr, attr->value.str.len))
        return "the value is not in the attribute's closed set";
    return NULL;
}

static const char *check_all(VmafxAttrs attrs, bool strictly, const char **ret_key)
{
    if (ret_key)
        *ret_key = NULL;
    for (size_t i = 0; i < attrs.n; i++) {
        const char *wrong = check_one(&attrs.items[i], strictly);

        if (wrong) {
            if (ret_key)
                *ret_key = attrs.items[i].key;
            return wrong;
        }
    }
    return NULL;
}

/* As check_all, and no other keys than those of the list. */
static const char *check_listed(const char *list, VmafxAttrs attrs, const char *otherwise, const char **ret_key)
{
    for (size_t i = 0; i < attrs.n; i++) {
        const char *key = attrs.items[i].key ? attrs.items[i].key : "";

        if (*key && listed(list, ' ', key, strlen(key)))
            continue;
        if (ret_key)
            *ret_key = key;
        return *key ? otherwise : "an attribute has no key";
    }
    return check_all(attrs, true, ret_key);
}

const char *vmafx_attributes_check(VmafxAttrs attrs, const char **ret_key)
{
    return check_all(attrs, false, ret_key);
}

const char *vmafx_attributes_check_strictly(VmafxAttrs attrs, const char **ret_key)
{
    return check_all(attrs, true, ret_key);
}

static const VmafxAttr *attr_of(VmafxAttrs attrs, const char *key, size_t len)
{
    for (size_t i = 0; i < attrs.n; i++)
        if (attrs.items[i].key && strlen(attrs.items[i].key) == len && !memcmp(attrs.items[i].key, key, len))
            return attrs.items[i].value.type == VMAFX_VALUE_STR ? &attrs.items[i] : NULL;
    return NULL;
}

/*
 * What a <key> of a rule stands for. The conventions want _OTHER, which is no name, replaced: by HTTP for a method, by
 * the system for an RPC. len 0: the attribute is not there, and the name does without it.
 */
static VmafxValue part_of(VmafxAttrs attrs, const char *key, size_t len)
{
    const VmafxAttr *attr = attr_of(attrs, key, len);
    VmafxValue value = attr ? attr->value : vmafx_value_str(NULL);
    bool other = value.str.len == strlen("_OTHER") && !memcmp(value.str.ptr, "_OTHER", value.str.len);

    if (other && !strncmp(key, "http.", 5))
        return vmafx_value_str("HTTP");
    if ((other || !attr) && !strncmp(key, "rpc.", 4)) {
        attr = attr_of(attrs, VMAFX_KEY_RPC_SYSTEM, strlen(VMAFX_KEY_RPC_SYSTEM));
        return attr ? attr->value : value;
    }
    return value;
}

/* Is the name what the rule makes of the attributes? Of "<a> <b>" either may be missing, with the space. */
static bool follows_rule(const char *name, const char *rule, VmafxAttrs attrs)
{
    const char *at = name;

    for (const char *mark = strchr(rule, '<'); mark; mark = strchr(mark + 1, '<')) {
        VmafxValue part = part_of(attrs, mark + 1, strcspn(mark + 1, ">"));

        if (!part.str.len)
            continue;
        if (at > name && *at++ != ' ')
            return false;
        if (strncmp(at, part.str.ptr, part.str.len) != 0)
            return false;
        at += part.str.len;
    }
    return at > name && !*at;
}

/* The row whose rule may make a span with these attributes: its first key is there, or its system's. */
static const VmafxSpanRow *ruled_row(int kind, VmafxAttrs attrs)
{
    static const struct {
        VmafxSpanNameId id;
        const char *key;
    } rules[] = {
        { VMAFX_SPAN_ID_RPC_CLIENT, VMAFX_KEY_RPC_SYSTEM },
        { VMAFX_SPAN_ID_RPC_SERVER, VMAFX_KEY_RPC_SYSTEM },
        { VMAFX_SPAN_ID_HTTP_CLIENT, VMAFX_KEY_HTTP_REQUEST_METHOD },
        { VMAFX_SPAN_ID_HTTP_SERVER, VMAFX_KEY_HTTP_REQUEST_METHOD },
        { VMAFX_SPAN_ID_DB_CLIENT, VMAFX_KEY_DB_SYSTEM },
    };

    for (size_t i = 0; i < VMAFX_LEN(rules); i++)
        if ((int)spans_table[rules[i].id].kind == kind && attr_of(attrs, rules[i].key, strlen(rules[i].key)))
            return &spans_table[rules[i].id];
    return NULL;
}

const char *vmafx_span_check(const char *name, int kind, VmafxAttrs attrs, const char **ret_key)
{
    const VmafxSpanRow *row = vmafx_span_find(name);

    if (ret_key)
        *ret_key = NULL;
    if (row && (int)row->kind != kind)
        return "the span has another kind in signals.def";
    if (!row && name) { /* one by a rule may begin with "vmafx." too: our own RPCs do */
        row = ruled_row(kind, attrs);
        if (row && !follows_rule(name, row->name, attrs))
            return "the span's name is not what its attributes and the conventions make";
    }
    if (!row)
        return "the span is not in signals.def";
    return check_listed(row->attributes, attrs, "the span may not have this attribute", ret_key);
}

const char *vmafx_event_check(const char *name, VmafxAttrs attrs, const char **ret_key)
{
    if (ret_key)
        *ret_key = NULL;
    for (size_t i = 0; name && i < VMAFX_LEN(events_table); i++)
        if (!strcmp(events_table[i].name, name))
            return check_listed(events_table[i].attributes, attrs, "the event may not have this attribute", ret_key);
    return "the event is not in signals.def";
}

const char *vmafx_status_check(const char *description)
{
    static const char before[] = " '\"(=:,"; /* what a path or a quotation begins after */

    for (const char *at = description; at && *at; at++) {
        bool begins = at == description || strchr(before, at[-1]);

        if (*at == '\'' && begins)
            return "the status text quotes what varies";
        if (*at == '/' && begins && at[1] && at[1] != ' ')
            return "the status text has a path";
    }
    return NULL;
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
    return check_listed(row->attributes, attrs, "the metric may not have this attribute", ret_key);
}
