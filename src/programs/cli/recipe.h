/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The options that say how the distorted video is made: the same for encoding here and for a job elsewhere. */
#ifndef VMAFX_PROGRAMS_CLI_RECIPE_H
#define VMAFX_PROGRAMS_CLI_RECIPE_H

#include "media/encode.h"
#include "programs/cli/pair.h"

/* After those of pair.h and remote.h. */
enum {
    RECIPE_CODEC = 300,
    RECIPE_ENCODER,
    RECIPE_PRESET,
    RECIPE_CRF,
    RECIPE_BITRATE,
    RECIPE_GOP,
    RECIPE_PIX_FMT,
    RECIPE_SIZE,
    RECIPE_OPTION,
    RECIPE_LAST = RECIPE_OPTION,
};

/* Rows for a command's table of options. */
#define RECIPE_OPTIONS                                                                                                 \
    { RECIPE_CODEC,           0, "codec", "CODEC", "Encode the reference to this: h264, hevc, av1, vp9 or vp8.",       \
      "h264 hevc av1 vp9 vp8" },                                                                                       \
        { RECIPE_ENCODER,                                                                                              \
          'e',                                                                                                         \
          "encoder",                                                                                                   \
          "NAME",                                                                                                      \
          "With this encoder, as FFmpeg names it; when not given, the first of the codec's that works.",               \
          "libx264 libx265 libsvtav1 libaom-av1 librav1e libvpx-vp9 libvpx" },                                         \
        { RECIPE_PRESET,                                                                                               \
          0,                                                                                                           \
          "preset",                                                                                                    \
          "PRESET",                                                                                                    \
          "Speed against size, in the encoder's own words: medium, 8.",                                                \
          "ultrafast superfast veryfast faster fast medium slow slower veryslow" },                                    \
        { RECIPE_CRF, 0, "crf", "N", "Constant quality; the range is the encoder's.", NULL },                          \
        { RECIPE_BITRATE, 'b', "bitrate", "RATE", "Bits per second instead: 800000, 800k, 2.5M.", NULL },              \
        { RECIPE_GOP, 'g', "gop", "N", "At most so many frames from one key frame to the next.", NULL },               \
        { RECIPE_PIX_FMT,                                                                                              \
          0,                                                                                                           \
          "pix-fmt",                                                                                                   \
          "FORMAT",                                                                                                    \
          "Pixel format to encode, as FFmpeg names it; when not given, the reference's, or the nearest.",              \
          "yuv420p yuv422p yuv444p yuv420p10le yuv422p10le yuv444p10le" },                                             \
        { RECIPE_SIZE,                                                                                                 \
          's',                                                                                                         \
          "size",                                                                                                      \
          "WxH",                                                                                                       \
          "Scale the reference to this before encoding (bicubic); scored at the reference's size unless --scale says " \
          "otherwise.",                                                                                                \
          NULL },                                                                                                      \
    {                                                                                                                  \
        RECIPE_OPTION, 'x', "option", "KEY=VALUE",                                                                     \
            "One more option of the encoder, by FFmpeg's name. May be repeated.", NULL                                 \
    }

/** What they add up to. Texts are borrowed from the arguments, but for the options' keys. Zeroed it is empty. */
typedef struct RecipeArguments {
    VmafxRecipe recipe;
    VmafxRecipeOption *options;
} RecipeArguments;

void recipe_arguments_done(RecipeArguments *r);

static inline bool is_recipe_option(int id)
{
    return id >= RECIPE_CODEC && id <= RECIPE_LAST;
}

/** Takes an option with one of the ids above; what is wrong is said in the name of a's command. */
bool recipe_argument(RecipeArguments *r, const PairArguments *a, int id, const char *value);
/** Was anything of a recipe given? */
bool recipe_is_given(const RecipeArguments *r);
/** All arguments are there. A size of its own is scored at the reference's, unless a says otherwise. */
bool recipe_settle(RecipeArguments *r, PairArguments *a);
#endif
