/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Values of fields, each with the sentence that refuses it. */

#include "rpc/spec_check_internal.h"

#include <inttypes.h>
#include <string.h>

#include "base/base.h"

SpecPlace spec_at(const char *path, VmafxErrInfo *reterr)
{
    SpecPlace place = { .reterr = reterr };

    snprintf(place.path, sizeof place.path, "%.40s", path);
    return place;
}

SpecPlace spec_below(const SpecPlace *place, const char *field)
{
    SpecPlace p = { .reterr = place->reterr };

    snprintf(p.path, sizeof p.path, "%.*s.%s", SPEC_PATH_MAX / 2, place->path, field);
    return p;
}

SpecPlace spec_below_nth(const SpecPlace *place, const char *field, size_t i)
{
    SpecPlace p = { .reterr = place->reterr };

    snprintf(p.path, sizeof p.path, "%.*s.%s[%zu]", SPEC_PATH_MAX / 2, place->path, field, i);
    return p;
}

const char *spec_given(const char *text)
{
    return text ? text : "";
}

VmafxErr spec_number(const SpecPlace *place, const char *field, int64_t v, int64_t lo, int64_t hi)
{
    if (v < lo)
        return vmafx_fail(place->reterr, VMAFX_ERR_INVALID, "%s.%s: %" PRId64 " is below %" PRId64, place->path, field,
                          v, lo);
    if (v > hi)
        return vmafx_fail(place->reterr, VMAFX_ERR_INVALID, "%s.%s: %" PRId64 " is above %" PRId64, place->path, field,
                          v, hi);
    return VMAFX_OK;
}

VmafxErr spec_count(const SpecPlace *place, const char *field, size_t n, size_t max)
{
    if (n > max)
        return vmafx_fail(place->reterr, VMAFX_ERR_LIMIT, "%s.%s: %zu items, at most %zu are taken", place->path, field,
                          n, max);
    return VMAFX_OK;
}

VmafxErr spec_text(const SpecPlace *place, const char *field, const char *text, size_t max, bool required)
{
    size_t len = strnlen(spec_given(text), max + 1);

    if (required && !len)
        return vmafx_fail(place->reterr, VMAFX_ERR_INVALID, "%s.%s: missing", place->path, field);
    if (len > max)
        return vmafx_fail(place->reterr, VMAFX_ERR_LIMIT, "%s.%s: longer than %zu bytes", place->path, field, max);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return vmafx_fail(place->reterr, VMAFX_ERR_INVALID, "%s.%s: has a control character at byte %zu",
                              place->path, field, i);
    return VMAFX_OK;
}

VmafxErr spec_word(const SpecPlace *place, const char *field, const char *text, size_t max, bool required,
                   const char *characters, const char *in_words)
{
    VmafxErr err = spec_text(place, field, text, max, required);

    if (!err && spec_given(text)[strspn(spec_given(text), characters)])
        err = vmafx_fail(place->reterr, VMAFX_ERR_INVALID,
                         "%s.%s: '%s' has a character other than letters, digits and %s", place->path, field, text,
                         in_words);
    return err;
}

VmafxErr spec_options(const SpecPlace *place, const char *field, Vmafx__V1__KeyValue *const *items, size_t n)
{
    VmafxErr err = spec_count(place, field, n, VMAFX_SPEC_OPTIONS_MAX);

    for (size_t i = 0; i < n && !err; i++) {
        SpecPlace item = spec_below_nth(place, field, i);

        err = spec_word(&item, "key", items[i]->key, VMAFX_SPEC_NAME_MAX, true, SPEC_NAME);
        if (!err)
            err = spec_text(&item, "value", items[i]->value, VMAFX_SPEC_VALUE_MAX, true);
    }
    return err;
}
