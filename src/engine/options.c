/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Reading option values and naming features after them. */

#include "engine/options.h"

#include <locale.h>
#include <math.h>
#include <string.h>

#include "base/base.h"

static void freelocale_p(locale_t *locale)
{
    if (*locale)
        freelocale(*locale);
}

void vmafx_format_g(double v, char *ret, size_t size)
{
    snprintf(ret, size, "%g", v);
    for (char *c = ret; *c; c++) /* whatever the locale uses between digits becomes a point */
        if (!strchr("+-0123456789eEinfa", *c))
            *c = '.';
}

static const VmafxOptionSpec *find_spec(const VmafxOptionSpec *specs, size_t n_specs, const char *name)
{
    for (size_t i = 0; i < n_specs; i++)
        if (!strcmp(specs[i].name, name))
            return &specs[i];
    return NULL;
}

static VmafxErr read_number(const char *extractor, const VmafxOptionSpec *spec, const char *text, bool strict,
                            double *ret_value, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(freelocale_p) locale_t c = newlocale(LC_ALL_MASK, "C", NULL);
    char normal[32], *end;

    if (!c)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory to read option '%s'", spec->name);

    double v = strtod_l(text, &end, c);
    if (strict && (end == text || *end))
        return vmafx_fail(reterr, VMAFX_ERR_FEATURE, "option '%s' of feature '%s' wants a number, not '%s'", spec->name,
                          extractor, text);
    if (end != text && !*end && isfinite(v)) {
        vmafx_format_g((double)(float)v, normal, sizeof normal);
        text = normal;
    }
    v = spec->type == VMAFX_OPTION_INT ? (double)strtoll(text, NULL, 10) : strtod_l(text, NULL, c);

    bool zero_by_accident = v == 0 && text[0] != '0';
    if (zero_by_accident || !(v >= spec->min && v <= spec->max))
        return vmafx_fail(reterr, VMAFX_ERR_FEATURE, "option '%s' of feature '%s' is '%s'; it takes %g to %g",
                          spec->name, extractor, text, spec->min, spec->max);
    *ret_value = v;
    return VMAFX_OK;
}

static VmafxErr read_bool(const char *extractor, const VmafxOptionSpec *spec, const char *text, double *ret_value,
                          VmafxErrInfo *reterr)
{
    bool yes = !strcmp(text, "true");

    if (!yes && strcmp(text, "false") != 0)
        return vmafx_fail(reterr, VMAFX_ERR_FEATURE, "option '%s' of feature '%s' is '%s'; it takes true or false",
                          spec->name, extractor, text);
    *ret_value = yes;
    return VMAFX_OK;
}

static VmafxErr read_word(const char *extractor, const VmafxOptionSpec *spec, const char *text, double *ret_value,
                          VmafxErrInfo *reterr)
{
    char known[128] = "";
    size_t used = 0;

    for (int i = 0; i <= (int)spec->max; i++) {
        if (!strcmp(spec->words[i], text)) {
            *ret_value = i;
            return VMAFX_OK;
        }
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", spec->words[i]);
    }
    return vmafx_fail(reterr, VMAFX_ERR_FEATURE, "option '%s' of feature '%s' is '%s'; it is one of: %s", spec->name,
                      extractor, text, known);
}

static VmafxErr read_path(const char *extractor, const VmafxOptionSpec *spec, const char *text, double *ret_value,
                          VmafxErrInfo *reterr)
{
    if (!*text || strlen(text) > VMAFX_OPTION_PATH_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_FEATURE, "option '%s' of feature '%s' wants a path of 1 to %d bytes",
                          spec->name, extractor, VMAFX_OPTION_PATH_MAX);
    *ret_value = 1;
    return VMAFX_OK;
}

static VmafxErr read_value(const char *extractor, const VmafxOptionSpec *spec, const char *text, bool strict,
                           double *ret_value, VmafxErrInfo *reterr)
{
    switch (spec->type) {
    case VMAFX_OPTION_BOOL:
        return read_bool(extractor, spec, text, ret_value, reterr);
    case VMAFX_OPTION_WORD:
        return read_word(extractor, spec, text, ret_value, reterr);
    case VMAFX_OPTION_PATH:
        return read_path(extractor, spec, text, ret_value, reterr);
    case VMAFX_OPTION_LATER:
        return vmafx_fail(reterr, VMAFX_ERR_UNSUPPORTED, "option '%s' of feature '%s' is not available in this version",
                          spec->name, extractor);
    default:
        return read_number(extractor, spec, text, strict, ret_value, reterr);
    }
}

VmafxErr vmafx_options_read(const char *extractor, const VmafxOptionSpec *specs, size_t n_specs,
                            const VmafxOptions *options, bool strict, double *ret_values, VmafxErrInfo *reterr)
{
    for (size_t i = 0; i < n_specs; i++)
        ret_values[i] = specs[i].initial;

    for (size_t i = 0; options && i < options->n; i++) {
        const char *key = options->items[i].key, *text = options->items[i].value;
        const VmafxOptionSpec *spec = find_spec(specs, n_specs, key);

        if (!spec && strict)
            return vmafx_fail(reterr, VMAFX_ERR_FEATURE, "feature '%s' has no option '%s'", extractor, key);
        if (!spec)
            continue;
        VmafxErr err = read_value(extractor, spec, text, strict, &ret_values[spec - specs], reterr);
        if (err)
            return err;
    }
    return VMAFX_OK;
}

const char *vmafx_options_path(const VmafxOptionSpec *specs, size_t n_specs, const VmafxOptions *options)
{
    const char *path = NULL;

    for (size_t i = 0; options && i < options->n; i++) {
        const VmafxOptionSpec *spec = find_spec(specs, n_specs, options->items[i].key);

        if (spec && spec->type == VMAFX_OPTION_PATH)
            path = options->items[i].value;
    }
    return path;
}

bool vmafx_options_same(const VmafxOptionSpec *specs, size_t n_specs, const double *a, const double *b)
{
    for (size_t i = 0; i < n_specs; i++)
        if (specs[i].alias && a[i] != b[i])
            return false;
    return true;
}

char *vmafx_options_suffix(const VmafxOptionSpec *specs, size_t n_specs, const double *values)
{
    VMAFX_AUTO(vmafx_free_p) char *suffix = vmafx_strdup("");

    for (size_t i = 0; suffix && i < n_specs; i++) {
        char value[32] = "";

        if (!specs[i].alias || values[i] == specs[i].initial)
            continue;
        if (specs[i].type == VMAFX_OPTION_INT)
            snprintf(value, sizeof value, "_%d", (int)values[i]);
        else if (specs[i].type == VMAFX_OPTION_DOUBLE) {
            value[0] = '_';
            vmafx_format_g(values[i], value + 1, sizeof value - 1);
        } else if (specs[i].type == VMAFX_OPTION_WORD)
            snprintf(value, sizeof value, "_%s", specs[i].words[(int)values[i]]);
        char *longer = vmafx_sprintf("%s_%s%s", suffix, specs[i].alias, value);
        free(suffix);
        suffix = longer;
    }
    return VMAFX_TAKE(suffix);
}
