/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The encoders that are known (those of base/encoders.def, a test sees to it), what is particular about each, and which
   one a recipe gets. */

#include "media/encode_internal.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/encoders.h"
#include "media/decode_internal.h"
#include "media/decoders.h"

static const char *const x26x_presets[] = { "ultrafast", "superfast", "veryfast", "faster",  "fast", "medium",
                                            "slow",      "slower",    "veryslow", "placebo", NULL };

static const char *const x264_tunes[] = { "film", "animation",  "grain",       "stillimage", "psnr",
                                          "ssim", "fastdecode", "zerolatency", NULL };
static const char *const x264_profiles[] = { "baseline", "main", "high", "high10", "high422", "high444", NULL };

/* VP8 knows no rate by quality alone: beside its crf there is a ceiling, and this is one nobody reaches. */
#define VP8_CEILING "100000000"

#define NVENC(name_, codec_)                                                                                           \
    {                                                                                                                  \
        .name = name_, .codec = codec_, .hardware = true, .preset = "preset", .crf = "cq", .crf_min = 1,               \
        .crf_max = 51, .with_crf = {                                                                                   \
            { "rc", "vbr" },                                                                                           \
            { "b", "0" }                                                                                               \
        }                                                                                                              \
    }
#define QSV(name_, codec_)                                                                                             \
    {                                                                                                                  \
        .name = name_, .codec = codec_, .hardware = true, .preset = "preset", .crf = "global_quality", .crf_min = 1,   \
        .crf_max = 51, .crf_whole = true                                                                               \
    }

static const EncodeKind kinds[] = {
    { .name = "libx264",
      .codec = "h264",
      .preset = "preset",
      .presets = x26x_presets,
      .tunes = x264_tunes,
      .profiles = x264_profiles,
      .crf = "crf",
      .crf_max = 51,
      .params = "x264-params",
      .param_names = encode_x264_params,
      .steady = { "asm", "avx2" },
      .one_thread = ENCODE_ONE_THREAD_FOR_BUFFER },
    NVENC("h264_nvenc", "h264"),
    QSV("h264_qsv", "h264"),
    { .name = "libx265",
      .codec = "hevc",
      .preset = "preset",
      .presets = x26x_presets,
      .crf = "crf",
      .crf_max = 51,
      .params = "x265-params",
      .param_names = encode_x265_params,
      .quiet = { "log-level", "none" },
      .one_thread = ENCODE_ONE_THREAD_FOR_BITRATE | ENCODE_ONE_THREAD_FOR_BUFFER },
    NVENC("hevc_nvenc", "hevc"),
    QSV("hevc_qsv", "hevc"),
    { .name = "libsvtav1",
      .codec = "av1",
      .preset = "preset",
      .crf = "crf",
      .crf_min = 1, /* its wrapper takes 0 for "not given" */
      .crf_max = 63,
      .crf_whole = true,
      .params = "svtav1-params",
      .param_names = encode_svtav1_params,
      .one_thread = ENCODE_ONE_THREAD_FOR_BITRATE | ENCODE_ONE_THREAD_FOR_BUFFER,
      .alone = { "lp", "1" },
      .drain = true },
    { .name = "libaom-av1",
      .codec = "av1",
      .preset = "cpu-used",
      .crf = "crf",
      .crf_max = 63,
      .crf_whole = true,
      .with_crf = { { "b", "0" } },
      .params = "aom-params",
      .param_names = encode_aom_params },
    { .name = "librav1e",
      .codec = "av1",
      .preset = "speed",
      .crf = "qp",
      .crf_max = 255,
      .crf_whole = true,
      .params = "rav1e-params",
      .param_names = encode_rav1e_params },
    NVENC("av1_nvenc", "av1"),
    QSV("av1_qsv", "av1"),
    { .name = "libvpx-vp9",
      .codec = "vp9",
      .preset = "cpu-used",
      .preset_min = -8,
      .crf = "crf",
      .crf_max = 63,
      .crf_whole = true,
      .with_crf = { { "b", "0" } },
      .one_thread = ENCODE_ONE_THREAD_FOR_ROWS },
    QSV("vp9_qsv", "vp9"),
    { .name = "libvpx",
      .codec = "vp8",
      .preset = "cpu-used",
      .preset_min = -16,
      .crf = "crf",
      .crf_max = 63,
      .crf_whole = true,
      .with_crf = { { "b", VP8_CEILING } },
      .one_thread = ENCODE_ONE_THREAD },
};

static VmafxEncoder encoders[VMAFX_LEN(kinds)];

static void fill_encoders(void)
{
    for (size_t i = 0; i < VMAFX_LEN(kinds); i++)
        encoders[i] = (VmafxEncoder){ .name = kinds[i].name,
                                      .codec = kinds[i].codec,
                                      .version = vmafx_media_version(),
                                      .hardware = kinds[i].hardware,
                                      .linked = encode_kind_codec(&kinds[i]) };
}

void vmafx_encoders_prepare(void)
{
    VMAFX_IGNORE(setenv("SVT_LOG", "0", 1)); /* without memory SVT-AV1 tells its settings on standard error */
    decode_listen();
}

const VmafxEncoder *vmafx_encoders(size_t *ret_n)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, fill_encoders);
    *ret_n = VMAFX_LEN(kinds);
    return encoders;
}

const EncodeKind *encode_kind_find(const char *name)
{
    for (size_t i = 0; i < VMAFX_LEN(kinds); i++)
        if (!strcmp(kinds[i].name, name))
            return &kinds[i];
    return NULL;
}

const AVCodec *encode_kind_codec(const EncodeKind *kind)
{
    return avcodec_find_encoder_by_name(kind->name);
}

/* ---- Choosing ---- */

static VmafxErr choose_by_name(const VmafxRecipe *recipe, bool codec_given, const EncodeKind **ret_kind,
                               VmafxErrInfo *reterr)
{
    const EncodeKind *kind = encode_kind_find(recipe->encoder);

    if (!kind) {
        char names[256] = "";
        for (size_t i = 0, at = 0; i < VMAFX_LEN(kinds) && at < sizeof names; i++)
            at += (size_t)snprintf(names + at, sizeof names - at, i ? ", %s" : "%s", kinds[i].name);
        const char *meant = vmafx_encoder_meant(recipe->encoder);
        if (vmafx_codec_is_known(recipe->encoder))
            return vmafx_fail(reterr, VMAFX_ERR_ENCODER,
                              "'%s' is a codec and no encoder: ask for it as the codec, or for one of the encoders %s",
                              recipe->encoder, names);
        return vmafx_fail(reterr, VMAFX_ERR_ENCODER, "'%.64s' is none of the known encoders: %s%s%s%s", recipe->encoder,
                          names, meant ? "; did you mean '" : "", meant ? meant : "", meant ? "'?" : "");
    }
    if (codec_given && strcmp(kind->codec, recipe->codec) != 0)
        return vmafx_fail(reterr, VMAFX_ERR_ENCODER, "%s makes %s, not %.64s: give one of encoder and codec",
                          kind->name, kind->codec, recipe->codec);
    if (!encode_kind_codec(kind))
        return vmafx_fail(reterr, VMAFX_ERR_ENCODER, "this machine's FFmpeg has no encoder %s", kind->name);
    *ret_kind = kind;
    return VMAFX_OK;
}

static VmafxErr unknown_codec(const char *codec, VmafxErrInfo *reterr)
{
    const char *meant = vmafx_codec_meant(codec);

    if (encode_kind_find(codec))
        return vmafx_fail(
            reterr, VMAFX_ERR_ENCODER,
            "'%s' is an encoder and no codec: ask for it as the encoder, or for one of the codecs " VMAFX_CODECS_TEXT,
            codec);
    return vmafx_fail(reterr, VMAFX_ERR_ENCODER, "'%.64s' is none of the codecs " VMAFX_CODECS_TEXT "%s%s%s", codec,
                      meant ? "; did you mean '" : "", meant ? meant : "", meant ? "'?" : "");
}

VmafxErr encode_choose(const VmafxRecipe *recipe, bool probe, const EncodeKind **ret_kind, char *reason, size_t size,
                       VmafxErrInfo *reterr)
{
    bool codec_given = recipe->codec && *recipe->codec, known = false;
    const char *passed = NULL; /* the first of the codec's that cannot be used */
    VmafxErrInfo why = { 0 };

    if (recipe->encoder && *recipe->encoder) {
        snprintf(reason, size, "the recipe names it");
        return choose_by_name(recipe, codec_given, ret_kind, reterr);
    }
    if (!codec_given)
        return vmafx_fail(reterr, VMAFX_ERR_ENCODER, "a recipe needs a codec or an encoder");
    for (size_t i = 0; i < VMAFX_LEN(kinds); i++) {
        const EncodeKind *kind = &kinds[i];
        if (strcmp(kind->codec, recipe->codec) != 0)
            continue;
        known = true;
        if (encode_kind_codec(kind) && (!kind->hardware || !probe || !vmafx_encoder_probe(kind->name, &why))) {
            if (passed)
                snprintf(reason, size, "the next one for %s: %s cannot be used here", kind->codec, passed);
            else
                snprintf(reason, size, "the first choice for %s", kind->codec);
            *ret_kind = kind;
            return VMAFX_OK;
        }
        passed = passed ? passed : kind->name;
    }
    if (!known)
        return unknown_codec(recipe->codec, reterr);
    return vmafx_fail(reterr, VMAFX_ERR_ENCODER, "this machine has no encoder for %s that works%s%s", recipe->codec,
                      why.message[0] ? ": " : "", why.message);
}
