/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* JSON Schema 2020-12, as much of it as the catalogue uses. */

#include "programs/mcp/schema.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

#define PATH_MAX_BYTES 256

static VmafxErr check(const json_t *schema, const json_t *value, const char *path, int depth, VmafxErrInfo *reterr);

static bool is_type(const json_t *value, const char *type)
{
    if (!strcmp(type, "object"))
        return json_is_object(value);
    if (!strcmp(type, "array"))
        return json_is_array(value);
    if (!strcmp(type, "string"))
        return json_is_string(value);
    if (!strcmp(type, "boolean"))
        return json_is_boolean(value);
    if (!strcmp(type, "integer"))
        return json_is_integer(value) ||
               (json_is_real(value) && json_real_value(value) == (double)(json_int_t)json_real_value(value));
    return !strcmp(type, "number") && json_is_number(value);
}

static VmafxErr check_enum(const json_t *choices, const json_t *value, const char *path, VmafxErrInfo *reterr)
{
    char list[256] = "";
    const json_t *choice;
    size_t i;

    json_array_foreach(choices, i, choice)
    {
        size_t len = strlen(list);
        if (json_equal(choice, value))
            return VMAFX_OK;
        snprintf(list + len, sizeof list - len, "%s%s", i ? ", " : "", json_string_value(choice));
    }
    return vmafx_fail(reterr, VMAFX_ERR_INVALID, "%s must be one of: %s", path, list);
}

/** Characters, not bytes. */
static size_t length_of(const json_t *value)
{
    size_t n = 0;

    for (const char *at = json_string_value(value); *at; at++)
        n += ((unsigned char)*at & 0xc0) != 0x80;
    return n;
}

static bool matches(const char *pattern, const char *text)
{
    regex_t expression;

    if (regcomp(&expression, pattern, REG_EXTENDED | REG_NOSUB))
        return false;
    bool yes = !regexec(&expression, text, 0, NULL, 0);
    regfree(&expression);
    return yes;
}

static VmafxErr check_text(const json_t *schema, const json_t *value, const char *path, VmafxErrInfo *reterr)
{
    const json_t *least = json_object_get(schema, "minLength"), *most = json_object_get(schema, "maxLength");
    const char *pattern = json_string_value(json_object_get(schema, "pattern"));
    size_t len = length_of(value);

    if (least && len < (size_t)json_integer_value(least))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "%s must have at least %d characters", path,
                          (int)json_integer_value(least));
    if (most && len > (size_t)json_integer_value(most))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "%s must have at most %d characters", path,
                          (int)json_integer_value(most));
    if (pattern && !matches(pattern, json_string_value(value)))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "%s '%.64s' does not look like what it should be (%s)", path,
                          json_string_value(value), pattern);
    return VMAFX_OK;
}

static VmafxErr check_number(const json_t *schema, const json_t *value, const char *path, VmafxErrInfo *reterr)
{
    const json_t *least = json_object_get(schema, "minimum"), *most = json_object_get(schema, "maximum");
    double v = json_number_value(value);

    if (least && v < json_number_value(least))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "%s must be at least %g", path, json_number_value(least));
    if (most && v > json_number_value(most))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "%s must be at most %g", path, json_number_value(most));
    return VMAFX_OK;
}

static VmafxErr check_array(const json_t *schema, const json_t *value, const char *path, int depth,
                            VmafxErrInfo *reterr)
{
    const json_t *least = json_object_get(schema, "minItems"), *most = json_object_get(schema, "maxItems");
    const json_t *items = json_object_get(schema, "items"), *item;
    bool unique = json_is_true(json_object_get(schema, "uniqueItems"));
    size_t n = json_array_size(value), i;

    if (least && n < (size_t)json_integer_value(least))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "%s must have at least %d entries", path,
                          (int)json_integer_value(least));
    if (most && n > (size_t)json_integer_value(most))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "%s must have at most %d entries", path,
                          (int)json_integer_value(most));
    json_array_foreach(value, i, item)
    {
        char place[PATH_MAX_BYTES];
        snprintf(place, sizeof place, "%s[%zu]", path, i);
        VmafxErr err = items ? check(items, item, place, depth, reterr) : VMAFX_OK;
        if (err)
            return err;
        for (size_t k = 0; unique && k < i; k++)
            if (json_equal(json_array_get(value, k), item))
                return vmafx_fail(reterr, VMAFX_ERR_INVALID, "%s is the same as %s[%zu]", place, path, k);
    }
    return VMAFX_OK;
}

static VmafxErr check_object(const json_t *schema, json_t *value, const char *path, int depth, VmafxErrInfo *reterr)
{
    const json_t *properties = json_object_get(schema, "properties"),
                 *more = json_object_get(schema, "additionalProperties");
    const json_t *required = json_object_get(schema, "required"), *name;
    const char *key;
    json_t *member;
    size_t i;

    json_array_foreach(required, i, name) if (!json_object_get(value, json_string_value(name))) return vmafx_fail(
        reterr, VMAFX_ERR_INVALID, "%s.%s is missing", path, json_string_value(name));
    json_object_foreach(value, key, member)
    {
        const json_t *wanted = json_object_get(properties, key);
        char place[PATH_MAX_BYTES];
        snprintf(place, sizeof place, "%s.%s", path, key);
        if (!wanted && json_is_false(more))
            return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                              "%s.%.64s is not known; the schema of the tool lists the arguments", path, key);
        wanted = wanted ? wanted : json_is_object(more) ? more : NULL;
        VmafxErr err = wanted ? check(wanted, member, place, depth, reterr) : VMAFX_OK;
        if (err)
            return err;
    }
    return VMAFX_OK;
}

static VmafxErr check(const json_t *schema, const json_t *value, const char *path, int depth, VmafxErrInfo *reterr)
{
    const char *type = json_string_value(json_object_get(schema, "type"));
    const json_t *choices = json_object_get(schema, "enum");
    VmafxErr err = VMAFX_OK;

    if (depth >= SCHEMA_DEPTH_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "%s is nested too deep", path);
    if (type && !is_type(value, type))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "%s must be %s %s", path, strchr("aio", *type) ? "an" : "a", type);
    if (choices)
        err = check_enum(choices, value, path, reterr);
    if (!err && json_is_string(value))
        err = check_text(schema, value, path, reterr);
    if (!err && json_is_number(value))
        err = check_number(schema, value, path, reterr);
    if (!err && json_is_array(value))
        err = check_array(schema, value, path, depth + 1, reterr);
    if (!err && json_is_object(value))
        err = check_object(schema, (json_t *)value, path, depth + 1, reterr);
    return err;
}

VmafxErr schema_check(const json_t *schema, const json_t *value, const char *path, VmafxErrInfo *reterr)
{
    return check(schema, value, path, 0, reterr);
}

static json_t *expand(const json_t *value, const json_t *defs, int depth)
{
    static const char prefix[] = "#/$defs/";
    const char *ref = json_string_value(json_object_get(value, "$ref")), *key;
    json_t *copy, *member;
    size_t i;

    if (depth > 2 * SCHEMA_DEPTH_MAX)
        return NULL;
    if (ref) {
        const json_t *target =
            strncmp(ref, prefix, sizeof prefix - 1) ? NULL : json_object_get(defs, ref + sizeof prefix - 1);
        return target ? expand(target, defs, depth + 1) : NULL;
    }
    if (json_is_object(value)) {
        copy = json_object();
        json_object_foreach((json_t *)value, key,
                            member) if (json_object_set_new(copy, key, expand(member, defs, depth + 1))) goto failed;
        return copy;
    }
    if (json_is_array(value)) {
        copy = json_array();
        json_array_foreach(value, i,
                           member) if (json_array_append_new(copy, expand(member, defs, depth + 1))) goto failed;
        return copy;
    }
    return json_deep_copy(value);
failed:
    json_decref(copy);
    return NULL;
}

json_t *schema_expand(const json_t *schema, const json_t *defs)
{
    return expand(schema, defs, 0);
}

const char *schema_unknown_keyword(const json_t *schema)
{
    static const char *const known[] = {
        "type",        "enum",      "properties", "required",    "additionalProperties",
        "items",       "minItems",  "maxItems",   "uniqueItems", "minimum",
        "maximum",     "minLength", "maxLength",  "pattern",     "title",
        "description", "$schema"
    };
    const char *key, *inner = NULL, *name;
    json_t *value, *member;

    json_object_foreach((json_t *)schema, key, value)
    {
        bool is_known = false;
        for (size_t i = 0; i < VMAFX_LEN(known); i++)
            is_known = is_known || !strcmp(known[i], key);
        if (!is_known)
            return key;
        if (!strcmp(key, "items") || (!strcmp(key, "additionalProperties") && json_is_object(value)))
            inner = schema_unknown_keyword(value);
        else if (!strcmp(key, "properties"))
            json_object_foreach(value, name, member) if (!inner) inner = schema_unknown_keyword(member);
        if (inner)
            return inner;
    }
    return NULL;
}
