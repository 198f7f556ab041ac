/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The options that say how the distorted video is made. */

#include "programs/cli/recipe.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/base.h"

#define BITRATE_MAX 1e11

void recipe_arguments_done(RecipeArguments *r)
{
    for (size_t i = 0; i < r->recipe.n_options; i++)
        free((char *)(uintptr_t)r->options[i].key);
    free(r->options);
}

/* A number without anything behind it but *ret_rest. False: there is none. */
static bool number(const char *text, double *ret, const char **ret_rest)
{
    char *end;

    errno = 0;
    *ret = strtod(text, &end);
    *ret_rest = end;
    return end != text && !errno && isfinite(*ret) && strspn(text, "+-.0123456789") == (size_t)(end - text);
}

static bool crf(RecipeArguments *r, const PairArguments *a, const char *text)
{
    const char *rest;

    r->recipe.has_crf = true;
    return (number(text, &r->recipe.crf, &rest) && !*rest) ||
           pair_usage_error(a, "--crf takes a number such as 23, not '%s'", text);
}

/* "800000", "800k", "2.5M", "1G" */
static bool bitrate(RecipeArguments *r, const PairArguments *a, const char *text)
{
    static const char units[] = "kMG";
    const char *rest, *unit;
    double v;

    if (!number(text, &v, &rest))
        return pair_usage_error(a, "--bitrate takes bits per second such as 800k or 2.5M, not '%s'", text);
    unit = *rest ? strchr(units, *rest) : NULL;
    for (ptrdiff_t i = 0; unit && i <= unit - units; i++)
        v *= 1000;
    if ((*rest && (!unit || rest[1])) || v < 1 || v > BITRATE_MAX)
        return pair_usage_error(a, "--bitrate takes 1 to 100G bits per second, such as 800k or 2.5M, not '%s'", text);
    r->recipe.bitrate = llround(v);
    return true;
}

static bool size(RecipeArguments *r, const PairArguments *a, const char *text)
{
    int w, h;
    char after;

    if (strspn(text, "0123456789x") != strlen(text) || strlen(text) > 11 ||
        sscanf(text, "%dx%d%c", &w, &h, &after) != 2 || w < 1 || h < 1 || w > VMAFX_DIMENSION_MAX ||
        h > VMAFX_DIMENSION_MAX)
        return pair_usage_error(a, "--size takes a size such as 1280x720, not '%s'", text);
    r->recipe.w = w;
    r->recipe.h = h;
    return true;
}

static bool option(RecipeArguments *r, const PairArguments *a, const char *text)
{
    const char *equals = strchr(text, '=');
    VmafxRecipeOption *more;

    if (!equals || equals == text || !equals[1])
        return pair_usage_error(a, "--option takes KEY=VALUE, not '%s'", text);
    if (r->recipe.n_options == VMAFX_RECIPE_OPTIONS_MAX)
        return pair_usage_error(a, "--option: at most %d are taken", VMAFX_RECIPE_OPTIONS_MAX);
    more = realloc(r->options, (r->recipe.n_options + 1) * sizeof *more);
    char *key = more ? vmafx_sprintf("%.*s", (int)VMAFX_MIN(equals - text, (ptrdiff_t)255), text) : NULL;
    if (more)
        r->recipe.options = r->options = more;
    if (!key)
        return pair_usage_error(a, "out of memory");
    r->options[r->recipe.n_options++] = (VmafxRecipeOption){ .key = key, .value = equals + 1 };
    return true;
}

bool recipe_argument(RecipeArguments *r, const PairArguments *a, int id, const char *value)
{
    switch (id) {
    case RECIPE_CODEC:
        r->recipe.codec = value;
        return true;
    case RECIPE_ENCODER:
        r->recipe.encoder = value;
        return true;
    case RECIPE_PRESET:
        r->recipe.preset = value;
        return true;
    case RECIPE_CRF:
        return crf(r, a, value);
    case RECIPE_BITRATE:
        return bitrate(r, a, value);
    case RECIPE_GOP:
        return pair_number("gop", value, 1, 1000000, &r->recipe.gop);
    case RECIPE_PIX_FMT:
        r->recipe.pixel_format = value;
        return true;
    case RECIPE_SIZE:
        return size(r, a, value);
    default:
        return option(r, a, value);
    }
}

bool recipe_is_given(const RecipeArguments *r)
{
    const VmafxRecipe *p = &r->recipe;

    return p->codec || p->encoder || p->preset || p->has_crf || p->bitrate || p->gop || p->pixel_format || p->w ||
           p->n_options;
}

bool recipe_settle(RecipeArguments *r, PairArguments *a)
{
    if (!r->recipe.codec && !r->recipe.encoder)
        return pair_usage_error(a, "--codec or --encoder is missing");
    if (r->recipe.has_crf && r->recipe.bitrate)
        return pair_usage_error(a, "--crf and --bitrate exclude each other");
    if (r->recipe.w && a->pair.scale == VMAFX_SCALING_NONE)
        a->pair.scale = VMAFX_SCALING_REFERENCE;
    return true;
}
