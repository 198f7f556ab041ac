/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A recipe: whether it is right, and what it sets. Everything is set as FFmpeg's options, on a context that is not open
 * yet, so that what is refused here is what FFmpeg would refuse, and no library has been started for it.
 *
 * Recipes come from other machines. What they may set is listed: the options an encoder's wrapper brings along but for
 * those that name files, and of the many that all codecs share those that mean something to an encoder of video.
 */

#include "media/encode_internal.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

#include <libavutil/opt.h>

#include "base/nearest.h"
#include "media/decode_internal.h"

#define KEY_MAX     64
#define VALUE_MAX   1024
#define BITRATE_MIN 1000
#define BITRATE_MAX 2000000000 /* some libraries count bits in 32 */
#define GOP_MAX     1000000
#define THREADS_MAX 64
#define NAMES_MAX   256

/* Of the options that all codecs share. */
static const char *const shared_options[] = {
    "b",
    "bt",
    "g",
    "bf",
    "refs",
    "keyint_min",
    "qmin",
    "qmax",
    "qdiff",
    "qcomp",
    "qblur",
    "maxrate",
    "minrate",
    "bufsize",
    "i_qfactor",
    "i_qoffset",
    "b_qfactor",
    "b_qoffset",
    "me_range",
    "subq",
    "cmp",
    "trellis",
    "slices",
    "profile",
    "level",
    "global_quality",
    "compression_level",
    "sc_threshold",
    "b_strategy",
    "noise_reduction",
    "rc_init_occupancy",
    "flags",
};

/* What an encoder's own options must not be: they name files, go round encode_params.c, or choose hardware. */
static const char *const refused_options[] = {
    "stats",        "passlogfile", "x264opts", "fastfirstpass", "load_plugin",
    "load_plugins", "gpu",         "surfaces", "async_depth",
};

/* Of the flags; the others are about passes, threads and headers. */
static const char *const flag_words[] = { "+cgop", "-cgop", "+loop", "-loop", "+low_delay", "-low_delay" };

static bool is_one_of(const char *word, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(words[i], word))
            return true;
    return false;
}

/* ---- One option ---- */

static bool is_key(const char *key)
{
    size_t n = strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.");

    return n && n <= KEY_MAX && !key[n];
}

static bool is_value(const char *value)
{
    size_t n = 0;

    while (value[n] >= ' ' && value[n] <= '~' && n <= VALUE_MAX)
        n++;
    return n && n <= VALUE_MAX && !value[n];
}

/* Numbers are expressions to FFmpeg, with functions that may loop for ever; names, signs and units need none. */
static bool is_plain(const AVOption *option, const char *value)
{
    bool text = option->type == AV_OPT_TYPE_STRING || option->type == AV_OPT_TYPE_DICT;

    return text || !strpbrk(value, "();");
}

static VmafxErr unknown_option(const EncodeKind *kind, const AVCodec *codec, const char *key, VmafxErrInfo *reterr)
{
    const char *names[NAMES_MAX];
    const AVOption *option = NULL;
    int n = 0;

    for (size_t i = 0; i < VMAFX_LEN(shared_options); i++)
        names[n++] = shared_options[i];
    while (codec->priv_class && n < NAMES_MAX && (option = av_opt_next(&codec->priv_class, option)))
        if (option->type != AV_OPT_TYPE_CONST && !is_one_of(option->name, refused_options, VMAFX_LEN(refused_options)))
            names[n++] = option->name;
    const char *nearest = vmafx_nearest(key, names, n);
    if (nearest)
        return vmafx_fail(reterr, VMAFX_ERR_ENCODER, "%s has no option '%s'; did you mean '%s'?", kind->name, key,
                          nearest);
    return vmafx_fail(reterr, VMAFX_ERR_ENCODER, "%s has no option '%s'; `ffmpeg -h encoder=%s` lists them", kind->name,
                      key, kind->name);
}

/* In the order in which FFmpeg looks: an encoder's own come first. NULL with *ret_err. */
static void *find_option(const EncodeKind *kind, AVCodecContext *context, const char *key, const AVOption **ret_option,
                         VmafxErr *ret_err, VmafxErrInfo *reterr)
{
    void *own = context->codec->priv_class ? context->priv_data : NULL;

    *ret_err = VMAFX_OK;
    *ret_option = own ? av_opt_find(own, key, NULL, 0, 0) : NULL;
    bool foreign =
        *ret_option && (*ret_option)->type == AV_OPT_TYPE_DICT &&
        (!kind->params || strcmp(key, kind->params) != 0); /* more of a library's words, that are not checked */
    if (*ret_option && !foreign && !is_one_of(key, refused_options, VMAFX_LEN(refused_options)))
        return own;
    if (!*ret_option && is_one_of(key, shared_options, VMAFX_LEN(shared_options)) &&
        (*ret_option = av_opt_find(context, key, NULL, 0, 0)))
        return context;
    if (*ret_option || av_opt_find(context, key, NULL, 0, 0))
        *ret_err =
            vmafx_fail(reterr, VMAFX_ERR_ENCODER, "the option '%s' of %s is not for recipes to set", key, kind->name);
    else
        *ret_err = unknown_option(kind, context->codec, key, reterr);
    return NULL;
}

static VmafxErr check_words(const EncodeKind *kind, const char *key, const char *value, VmafxErrInfo *reterr)
{
    const char *const *words = !strcmp(key, "tune") ? kind->tunes : !strcmp(key, "profile") ? kind->profiles : NULL;
    char word[32], list[160] = "";
    size_t n = 0;

    if (!words)
        return VMAFX_OK;
    for (size_t at = 0; words[n]; n++)
        at += (size_t)snprintf(list + at, sizeof list - at, n ? ", %s" : "%s", words[n]);
    for (const char *p = value;; p++) {
        size_t len = strcspn(p, words == kind->tunes ? ",./-+" : "");
        snprintf(word, sizeof word, "%.*s", (int)VMAFX_MIN(len, sizeof word), p);
        if (!is_one_of(word, words, n))
            return vmafx_fail(reterr, VMAFX_ERR_ENCODER, "%s has no %s '%s'; it has %s", kind->name, key, word, list);
        p += len;
        if (!*p)
            return VMAFX_OK;
    }
}

static bool note(EncodeSettings *settings, const char *key, const char *value)
{
    VmafxRecipeOption copy = { vmafx_strdup(key), vmafx_strdup(value) };

    settings->options[settings->n_options++] = copy;
    return copy.key && copy.value;
}

static VmafxErr set_option(EncodeSettings *settings, AVCodecContext *context, const char *key, const char *value,
                           VmafxErrInfo *reterr)
{
    const EncodeKind *kind = settings->kind;
    const AVOption *option;
    char why[DECODE_DESCRIPTION_MAX];
    VmafxErr err;

    if (!is_key(key))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "'%.64s' is no name of an option: 1 to %d letters, digits, _ - .",
                          key, KEY_MAX);
    if (!is_value(value))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "the option '%s' needs a value of 1 to %d printable characters",
                          key, VALUE_MAX);
    for (size_t i = 0; i < settings->n_options; i++)
        if (!strcmp(settings->options[i].key, key))
            return vmafx_fail(reterr, VMAFX_ERR_INVALID, "the option '%s' is set twice, to %.64s and to %.64s", key,
                              settings->options[i].value, value);
    void *target = find_option(kind, context, key, &option, &err, reterr);
    if (!target)
        return err;
    if (!is_plain(option, value))
        return vmafx_fail(reterr, VMAFX_ERR_ENCODER, "the option '%s' takes no formula like '%.64s'", key, value);
    if (!strcmp(key, "flags") && !is_one_of(value, flag_words, VMAFX_LEN(flag_words)))
        return vmafx_fail(reterr, VMAFX_ERR_ENCODER,
                          "of the flags, +cgop, -cgop, +loop, -loop, +low_delay and -low_delay can be set, not '%.64s'",
                          value);
    err = check_words(kind, key, value, reterr);
    if (!err && kind->params && !strcmp(key, kind->params))
        err = encode_params_check(kind, value, reterr);
    if (err)
        return err;
    decode_log_forget();
    int rc = av_opt_set(target, key, value, 0);
    if (rc < 0 && rc != AVERROR(ENOMEM)) {
        decode_describe(rc, why, sizeof why);
        return vmafx_fail(reterr, VMAFX_ERR_ENCODER, "%s does not take %s=%.64s: %s", kind->name, key, value, why);
    }
    return rc < 0 || !note(settings, key, value) ? vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for a recipe")
                                                 : VMAFX_OK;
}

static VmafxErr set_formatted(EncodeSettings *settings, AVCodecContext *context, VmafxErrInfo *reterr, const char *key,
                              const char *fmt, ...) VMAFX_PRINTF(5, 6);

static VmafxErr set_formatted(EncodeSettings *settings, AVCodecContext *context, VmafxErrInfo *reterr, const char *key,
                              const char *fmt, ...)
{
    char value[64];
    va_list args;

    va_start(args, fmt);
    vsnprintf(value, sizeof value, fmt, args);
    va_end(args);
    return set_option(settings, context, key, value, reterr);
}

/* ---- Presets ---- */

/* The names that an option with names takes; *ret_n 0: it takes numbers. */
static const AVOption *preset_words(const EncodeKind *kind, const AVCodecContext *context, const char **words,
                                    int *ret_n)
{
    const AVOption *preset = av_opt_find(context->priv_data, kind->preset, NULL, 0, 0), *option = NULL;
    int n = 0;

    while (kind->presets && kind->presets[n] && n < NAMES_MAX) {
        words[n] = kind->presets[n];
        n++;
    }
    while (!kind->presets && preset && preset->unit && n < NAMES_MAX &&
           (option = av_opt_next(context->priv_data, option)))
        if (option->type == AV_OPT_TYPE_CONST && option->unit && !strcmp(option->unit, preset->unit))
            words[n++] = option->name;
    *ret_n = n;
    return preset;
}

static VmafxErr check_preset(const EncodeKind *kind, const AVCodecContext *context, const char *preset,
                             VmafxErrInfo *reterr)
{
    const char *words[NAMES_MAX];
    char list[256] = "", *end;
    int n;
    const AVOption *option = preset_words(kind, context, words, &n);

    if (!option)
        return vmafx_fail(reterr, VMAFX_ERR_ENCODER, "this machine's %s takes no preset", kind->name);
    if (n) {
        if (is_one_of(preset, words, (size_t)n))
            return VMAFX_OK;
        for (size_t i = 0, at = 0; i < (size_t)n && at < sizeof list; i++)
            at += (size_t)snprintf(list + at, sizeof list - at, i ? ", %s" : "%s", words[i]);
        const char *nearest = vmafx_nearest(preset, words, n);
        return vmafx_fail(reterr, VMAFX_ERR_ENCODER, "%s has no preset '%.64s', but %s%s%s%s", kind->name, preset, list,
                          nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
    }
    long number = strtol(preset, &end, 10);
    size_t digits = strspn(preset + (*preset == '-'), "0123456789");
    if (!digits || digits > 3 || *end || number < kind->preset_min || (double)number > option->max)
        return vmafx_fail(reterr, VMAFX_ERR_ENCODER, "%s has no preset '%.64s': its presets are the numbers %d to %.0f",
                          kind->name, preset, kind->preset_min, option->max);
    return VMAFX_OK;
}

/* ---- Rates ---- */

static bool recipe_sets(const VmafxRecipe *recipe, const char *key)
{
    for (size_t i = 0; i < recipe->n_options; i++)
        if (recipe->options[i].key && !strcmp(recipe->options[i].key, key))
            return true;
    return false;
}

static VmafxErr set_crf(EncodeSettings *settings, AVCodecContext *context, const VmafxRecipe *recipe,
                        VmafxErrInfo *reterr)
{
    const EncodeKind *kind = settings->kind;
    double crf = recipe->crf;

    if (!(crf >= kind->crf_min && crf <= kind->crf_max) || (kind->crf_whole && crf != floor(crf)))
        return vmafx_fail(reterr, VMAFX_ERR_ENCODER, "%s takes a crf that is a%s number from %g to %g, not %g",
                          kind->name, kind->crf_whole ? " whole" : "", kind->crf_min, kind->crf_max, crf);
    VmafxErr err = set_formatted(settings, context, reterr, kind->crf, "%.6g", crf);
    for (size_t i = 0; i < VMAFX_LEN(kind->with_crf) && kind->with_crf[i].key && !err; i++)
        if (!recipe_sets(recipe, kind->with_crf[i].key))
            err = set_option(settings, context, kind->with_crf[i].key, kind->with_crf[i].value, reterr);
    return err;
}

/* ---- The whole recipe ---- */

static VmafxErr check_numbers(const VmafxRecipe *recipe, VmafxErrInfo *reterr)
{
    if (recipe->has_crf && recipe->bitrate)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "a recipe has a crf or a bitrate, not both");
    if (recipe->bitrate && (recipe->bitrate < BITRATE_MIN || recipe->bitrate > BITRATE_MAX))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "a bitrate of %lld bits per second; %d to %d are possible",
                          (long long)recipe->bitrate, BITRATE_MIN, BITRATE_MAX);
    if (recipe->gop < 0 || recipe->gop > GOP_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "a GOP of %d frames; 1 to %d are possible", recipe->gop, GOP_MAX);
    if ((recipe->w || recipe->h) &&
        (recipe->w < 1 || recipe->h < 1 || recipe->w > VMAFX_DIMENSION_MAX || recipe->h > VMAFX_DIMENSION_MAX ||
         (int64_t)recipe->w * recipe->h > DECODE_SAMPLES_MAX))
        return vmafx_fail(
            reterr, VMAFX_ERR_INVALID,
            "a size of %dx%d: width and height are given together, from 1 to %d, and at most %lld samples", recipe->w,
            recipe->h, VMAFX_DIMENSION_MAX, DECODE_SAMPLES_MAX);
    if (recipe->n_options > VMAFX_RECIPE_OPTIONS_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "%zu options; at most %d are possible", recipe->n_options,
                          VMAFX_RECIPE_OPTIONS_MAX);
    return VMAFX_OK;
}

/* A parameter of the library that is no setting of the recipe's, so it is not told as one. */
static bool add_param(const EncodeKind *kind, AVCodecContext *context, const VmafxRecipeOption *param)
{
    AVDictionary *params = NULL;

    if (!param->key)
        return true;
    bool ok = av_opt_get_dict_val(context->priv_data, kind->params, 0, &params) >= 0 &&
              av_dict_set(&params, param->key, param->value, 0) >= 0 &&
              av_opt_set_dict_val(context->priv_data, kind->params, params, 0) >= 0;
    av_dict_free(&params);
    return ok;
}

/* A ceiling above the rate, by FFmpeg's options or in the library's own words. */
static bool has_buffer(const EncodeSettings *settings, const AVCodecContext *context)
{
    const EncodeKind *kind = settings->kind;

    if (context->rc_max_rate > 0 || context->rc_buffer_size > 0)
        return true;
    for (size_t i = 0; i < settings->n_options && kind->params; i++)
        if (!strcmp(settings->options[i].key, kind->params))
            return strstr(settings->options[i].value, "vbv") || strstr(settings->options[i].value, "mbr");
    return false;
}

/* Whether one thread is all it may have. */
static bool is_alone(const EncodeSettings *settings, const AVCodecContext *context)
{
    unsigned one = settings->kind->one_thread;
    int64_t rows = 0;

    return (one & ENCODE_ONE_THREAD) || ((one & ENCODE_ONE_THREAD_FOR_BITRATE) && context->bit_rate > 0) ||
           ((one & ENCODE_ONE_THREAD_FOR_BUFFER) && has_buffer(settings, context)) ||
           ((one & ENCODE_ONE_THREAD_FOR_ROWS) && av_opt_get_int(context->priv_data, "row-mt", 0, &rows) >= 0 &&
            rows > 0);
}

static bool has_avx512(void)
{
#ifdef __x86_64__
    return __builtin_cpu_supports("avx512f");
#else
    return false;
#endif
}

static VmafxErr set_machine(EncodeSettings *settings, AVCodecContext *context, int threads, VmafxErrInfo *reterr)
{
    static const VmafxRecipeOption nothing;
    const EncodeKind *kind = settings->kind;
    bool alone = is_alone(settings, context);
    char count[16];

    context->thread_count = alone ? 1 : VMAFX_MAX(1, VMAFX_MIN(threads, THREADS_MAX));
    snprintf(count, sizeof count, "%d", context->thread_count);
    if (!add_param(kind, context, &kind->quiet) || !add_param(kind, context, has_avx512() ? &kind->steady : &nothing) ||
        !add_param(kind, context, alone ? &kind->alone : &nothing) || !note(settings, "threads", count))
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for an encoder");
    return VMAFX_OK;
}

static VmafxErr set_all(EncodeSettings *settings, AVCodecContext *context, const VmafxRecipe *recipe,
                        VmafxErrInfo *reterr)
{
    const EncodeKind *kind = settings->kind;
    VmafxErr err = encode_format_check(kind, recipe->pixel_format, reterr);

    if (!err && recipe->preset && *recipe->preset) {
        err = check_preset(kind, context, recipe->preset, reterr);
        if (!err)
            err = set_option(settings, context, kind->preset, recipe->preset, reterr);
    }
    if (!err && recipe->has_crf)
        err = set_crf(settings, context, recipe, reterr);
    if (!err && recipe->bitrate)
        err = set_formatted(settings, context, reterr, "b", "%lld", (long long)recipe->bitrate);
    if (!err && recipe->gop)
        err = set_formatted(settings, context, reterr, "g", "%d", recipe->gop);
    for (size_t i = 0; i < recipe->n_options && !err; i++) {
        const VmafxRecipeOption *o = &recipe->options[i];
        err = set_option(settings, context, o->key ? o->key : "", o->value ? o->value : "", reterr);
    }
    if (!err && (context->bit_rate > BITRATE_MAX || context->gop_size > GOP_MAX)) /* by way of options */
        err = vmafx_fail(reterr, VMAFX_ERR_INVALID, "a bitrate of %lld and a GOP of %d; at most %d and %d are possible",
                         (long long)context->bit_rate, context->gop_size, BITRATE_MAX, GOP_MAX);
    return err;
}

void encode_settings_done(EncodeSettings *settings)
{
    for (size_t i = 0; i < settings->n_options; i++) {
        free((char *)settings->options[i].key);
        free((char *)settings->options[i].value);
    }
    settings->n_options = 0;
}

VmafxErr encode_settings_make(EncodeSettings *settings, const VmafxRecipe *recipe, bool probe, int threads,
                              AVCodecContext **ret_context, VmafxErrInfo *reterr)
{
    *settings = (EncodeSettings){ 0 };
    decode_listen();
    VmafxErr err = check_numbers(recipe, reterr);
    if (!err)
        err = encode_choose(recipe, probe, &settings->kind, settings->reason, sizeof settings->reason, reterr);
    if (err)
        return err;
    AVCodecContext *context = avcodec_alloc_context3(encode_kind_codec(settings->kind));
    if (!context)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for an encoder");
    err = set_all(settings, context, recipe, reterr);
    if (!err)
        err = set_machine(settings, context, threads, reterr);
    if (err) {
        avcodec_free_context(&context);
        return err;
    }
    *ret_context = context;
    return VMAFX_OK;
}

VmafxErr vmafx_recipe_check(const VmafxRecipe *recipe, VmafxErrInfo *reterr)
{
    EncodeSettings settings;
    AVCodecContext *context = NULL;
    VmafxErr err = encode_settings_make(&settings, recipe, false, 1, &context, reterr);

    encode_settings_done(&settings);
    avcodec_free_context(&context);
    return err;
}
