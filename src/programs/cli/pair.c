/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The options that say what to compare and how. */

#include "programs/cli/pair.h"

#include <stdarg.h>
#include <string.h>

#include "base/base.h"

#define FRAMES_MAX 2000000000LL

void pair_arguments_done(PairArguments *a)
{
    for (size_t i = 0; i < a->pair.n_models; i++)
        vmafx_model_request_done(&a->models[i]);
    for (size_t i = 0; i < a->pair.n_features; i++)
        vmafx_feature_request_done(&a->features[i]);
    free(a->models);
    free(a->features);
}

bool pair_usage_error(const PairArguments *a, const char *fmt, ...)
{
    VMAFX_AUTO(vmafx_free_p) char *text = NULL;
    va_list args;

    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) < 0)
        text = NULL;
    va_end(args);
    const char *said = text ? text : "out of memory";
    bool asked = said[strlen(said) - 1] == '?'; /* "did you mean 'hevc'?" */
    fprintf(stderr, "vmafx %s: %s%s `vmafx %s --help` explains the options\n", a->command, said, asked ? "" : ";",
            a->command);
    return false;
}

bool pair_number(const char *option, const char *text, long long lo, long long hi, int *ret)
{
    long long v;

    if (!cli_int(option, text, lo, hi, &v))
        return false;
    *ret = (int)v;
    return true;
}

static bool frame_number(const char *option, const char *text, int64_t *ret)
{
    long long v;

    if (!cli_int(option, text, 0, FRAMES_MAX, &v))
        return false;
    *ret = v;
    return true;
}

/* FIRST:COUNT, FIRST: or FIRST */
static bool frame_range(const char *text, VmafxPairOptions *pair)
{
    VMAFX_AUTO(vmafx_free_p) char *first = vmafx_strdup(text);
    char *colon = first ? strchr(first, ':') : NULL;
    long long count = 0;

    if (!first)
        return false;
    if (colon)
        *colon = 0;
    if (!frame_number("frames", first, &pair->first))
        return false;
    if (colon && colon[1] && !cli_int("frames", colon + 1, 1, FRAMES_MAX, &count))
        return false;
    pair->count = count;
    return true;
}

static bool scaling(PairArguments *a, const char *text)
{
    char after;

    if (!strcmp(text, "reference")) {
        a->pair.scale = VMAFX_SCALING_REFERENCE;
        return true;
    }
    if (strspn(text, "0123456789x") != strlen(text) || strlen(text) > 11 ||
        sscanf(text, "%dx%d%c", &a->pair.scale_w, &a->pair.scale_h, &after) != 2 || a->pair.scale_w < 1 ||
        a->pair.scale_h < 1 || a->pair.scale_w > VMAFX_DIMENSION_MAX || a->pair.scale_h > VMAFX_DIMENSION_MAX)
        return pair_usage_error(a, "--scale takes 'reference' or a size such as 1920x1080, not '%s'", text);
    a->pair.scale = VMAFX_SCALING_SIZE;
    return true;
}

static bool pixel_format(const PairArguments *a, const char *text, VmafxPixFmt *ret)
{
    static const char *const names[] = { "420", "422", "444", "400" };

    for (size_t i = 0; i < VMAFX_LEN(names); i++)
        if (!strcmp(text, names[i])) {
            *ret = (VmafxPixFmt)i;
            return true;
        }
    return pair_usage_error(a, "--pixel-format is 420, 422, 444 or 400, not '%s'", text);
}

bool pair_add_model(PairArguments *a, const char *text)
{
    VmafxModelRequest *more = realloc(a->models, (a->pair.n_models + 1) * sizeof *more);
    VmafxErrInfo info = { 0 };

    if (!more)
        return pair_usage_error(a, "out of memory");
    a->models = more;
    if (vmafx_model_request_parse(text, true, &a->models[a->pair.n_models], &info))
        return pair_usage_error(a, "%s", *info.message ? info.message : "out of memory");
    a->pair.n_models++;
    return true;
}

static bool add_feature(PairArguments *a, const char *text)
{
    VmafxFeatureRequest *more = realloc(a->features, (a->pair.n_features + 1) * sizeof *more);
    VmafxErrInfo info = { 0 };

    if (!more)
        return pair_usage_error(a, "out of memory");
    a->features = more;
    if (vmafx_feature_request_parse(text, &a->features[a->pair.n_features], &info))
        return pair_usage_error(a, "%s", *info.message ? info.message : "out of memory");
    a->pair.n_features++;
    return true;
}

static bool raw_argument(PairArguments *a, int id, const char *value)
{
    a->raw_given[id - PAIR_WIDTH] = true;
    switch (id) {
    case PAIR_WIDTH:
        return pair_number("width", value, 1, VMAFX_DIMENSION_MAX, &a->raw.w);
    case PAIR_HEIGHT:
        return pair_number("height", value, 1, VMAFX_DIMENSION_MAX, &a->raw.h);
    case PAIR_PIXEL_FORMAT:
        return pixel_format(a, value, &a->raw.pix);
    default:
        if (!pair_number("bit-depth", value, 8, 16, &a->raw.bpc))
            return false;
        if (a->raw.bpc != 8 && a->raw.bpc != 10 && a->raw.bpc != 12 && a->raw.bpc != 16)
            return pair_usage_error(a, "--bit-depth is 8, 10, 12 or 16, not %d", a->raw.bpc);
        return true;
    }
}

/* The switch with that id, or NULL. */
static bool *switch_of(PairArguments *a, int id)
{
    switch (id) {
    case PAIR_ACCEPT_SHORTER:
        return &a->pair.accept_shorter;
    case PAIR_CONVERT_DEPTH:
        return &a->pair.convert_depth;
    case PAIR_CONVERT_RANGE:
        return &a->pair.convert_range;
    case PAIR_IGNORE_PIXEL_FORMAT:
        return &a->pair.ignore_pixel_format;
    case PAIR_IGNORE_RATE:
        return &a->pair.ignore_rate;
    case PAIR_IGNORE_START:
        return &a->pair.ignore_start;
    case PAIR_IGNORE_COLOUR:
        return &a->pair.ignore_colour;
    case PAIR_ALLOW_HDR:
        return &a->pair.allow_hdr;
    default:
        return NULL;
    }
}

bool pair_argument(PairArguments *a, int id, const char *value)
{
    bool *on = switch_of(a, id);

    if (on)
        return *on = true;
    switch (id) {
    case PAIR_REFERENCE:
        a->reference = value;
        return true;
    case PAIR_DISTORTED:
        a->distorted = value;
        return true;
    case PAIR_MODEL:
        return pair_add_model(a, value);
    case PAIR_FEATURE:
        return add_feature(a, value);
    case PAIR_SUBSAMPLE:
        return pair_number("subsample", value, 1, 1000000, &a->pair.subsample);
    case PAIR_FRAMES:
        return frame_range(value, &a->pair);
    case PAIR_SKIP_REFERENCE:
        return frame_number("skip-reference", value, &a->pair.skip_ref);
    case PAIR_SKIP_DISTORTED:
        return frame_number("skip-distorted", value, &a->pair.skip_dis);
    case PAIR_SCALE:
        return scaling(a, value);
    default:
        return raw_argument(a, id, value);
    }
}

bool pair_settle(PairArguments *a)
{
    int n_raw = a->raw_given[0] + a->raw_given[1] + a->raw_given[2] + a->raw_given[3];

    if (!a->reference || !a->distorted)
        return pair_usage_error(a, "--%s FILE is missing", a->reference ? "distorted" : "reference");
    if (n_raw != 0 && n_raw != 4)
        return pair_usage_error(a, "raw video needs --width, --height, --pixel-format and --bit-depth together");
    if (n_raw == 4)
        a->pair.raw_reference = a->pair.raw_distorted = &a->raw;
    a->pair.models = a->models;
    a->pair.features = a->features;
    return true;
}
