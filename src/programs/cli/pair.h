/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The options that say what to compare and how: the same for scoring here and for a job elsewhere. */
#ifndef VMAFX_PROGRAMS_CLI_PAIR_H
#define VMAFX_PROGRAMS_CLI_PAIR_H

#include "programs/cli/cli.h"
#include "score/score.h"

/* A command's own options have ids below this one. */
enum {
    PAIR_REFERENCE = 100,
    PAIR_DISTORTED,
    PAIR_MODEL,
    PAIR_FEATURE,
    PAIR_SUBSAMPLE,
    PAIR_FRAMES,
    PAIR_SKIP_REFERENCE,
    PAIR_SKIP_DISTORTED,
    PAIR_ACCEPT_SHORTER,
    PAIR_SCALE,
    PAIR_CONVERT_DEPTH,
    PAIR_CONVERT_RANGE,
    PAIR_IGNORE_PIXEL_FORMAT,
    PAIR_IGNORE_RATE,
    PAIR_IGNORE_START,
    PAIR_IGNORE_COLOUR,
    PAIR_ALLOW_HDR,
    PAIR_WIDTH,
    PAIR_HEIGHT,
    PAIR_PIXEL_FORMAT,
    PAIR_BIT_DEPTH,
};

/* Rows for a command's table of options. */
#define PAIR_OPTION_MODEL                                                                                              \
    {                                                                                                                  \
        PAIR_MODEL, 'm', "model", "MODEL",                                                                             \
            "VERSION, auto (a VMAF v1 model by size and rate), path=FILE or onnx:path=FILE, then any of :name=N, "     \
            ":disable_clip, :enable_transform, "                                                                       \
            ":extractor.option=value. May be repeated; VMAFX_MODEL, else vmaf_v0.6.1, when not given.",                \
            "vmaf_v0.6.1 vmaf_v0.6.1neg vmaf_4k_v0.6.1 vmaf_4k_v0.6.1neg vmaf_b_v0.6.3 auto"                           \
    }
#define PAIR_OPTION_FEATURE                                                                                            \
    {                                                                                                                  \
        PAIR_FEATURE, 0, "feature", "NAME",                                                                            \
            "One more extractor: NAME or NAME=option=value:option=value. May be repeated.", VMAFX_FEATURE_NAMES        \
    }
#define PAIR_OPTIONS_COMPARISON                                                                                          \
    { PAIR_SUBSAMPLE, 0, "subsample", "N", "Score every N-th frame only.", NULL },                                       \
        { PAIR_FRAMES,                                                                                                   \
          0,                                                                                                             \
          "frames",                                                                                                      \
          "FIRST:COUNT",                                                                                                 \
          "Score COUNT frames from number FIRST (from 0) on; COUNT may be "                                              \
          "left out.",                                                                                                   \
          NULL },                                                                                                        \
        { PAIR_SKIP_REFERENCE, 0, "skip-reference", "N", "Drop the first N frames of the reference.", NULL },            \
        { PAIR_SKIP_DISTORTED, 0, "skip-distorted", "N", "Drop the first N frames of the distorted video.", NULL },      \
        { PAIR_ACCEPT_SHORTER, 0, "accept-shorter", NULL, "Let one video have fewer frames than the other.", NULL },     \
        { PAIR_SCALE,                                                                                                    \
          0,                                                                                                             \
          "scale",                                                                                                       \
          "SIZE",                                                                                                        \
          "Scale the distorted video to the size of the 'reference', or both to WxH (bicubic).",                         \
          "reference" },                                                                                                 \
        { PAIR_CONVERT_DEPTH,                                                                                            \
          0,                                                                                                             \
          "convert-depth",                                                                                               \
          NULL,                                                                                                          \
          "Bring the distorted video to the bit depth of the reference.",                                                \
          NULL },                                                                                                        \
        { PAIR_CONVERT_RANGE,                                                                                            \
          0,                                                                                                             \
          "convert-range",                                                                                               \
          NULL,                                                                                                          \
          "Bring the distorted video to the quantisation range (limited or full) of the reference.",                     \
          NULL },                                                                                                        \
        { PAIR_IGNORE_PIXEL_FORMAT,                                                                                      \
          0,                                                                                                             \
          "ignore-pixel-format",                                                                                         \
          NULL,                                                                                                          \
          "Let the chroma layouts differ, for features that read luma only.",                                            \
          NULL },                                                                                                        \
        { PAIR_IGNORE_RATE, 0, "ignore-rate", NULL, "Pair frames by number although the frame rates differ.", NULL },    \
        { PAIR_IGNORE_START, 0, "ignore-start", NULL, "Pair the first frames although their times differ.", NULL },      \
        { PAIR_IGNORE_COLOUR, 0, "ignore-colour", NULL, "Let matrix, transfer function and primaries differ.", NULL },   \
        { PAIR_ALLOW_HDR,                                                                                                \
          0,                                                                                                             \
          "allow-hdr",                                                                                                   \
          NULL,                                                                                                          \
          "Score PQ and HLG video although the models are made for standard range.",                                     \
          NULL },                                                                                                        \
        { PAIR_WIDTH, 0, "width", "N", "Width of raw planar video; needs --height, --pixel-format and --bit-depth too.", \
          NULL },                                                                                                        \
        { PAIR_HEIGHT, 0, "height", "N", "Height of raw video.", NULL },                                                 \
        { PAIR_PIXEL_FORMAT, 0, "pixel-format", "FORMAT", "Chroma layout of raw video: 420, 422, 444 or 400.",           \
          "420 422 444 400" },                                                                                           \
    {                                                                                                                    \
        PAIR_BIT_DEPTH, 0, "bit-depth", "N", "Bits per sample of raw video: 8, 10, 12 or 16.", "8 10 12 16"              \
    }

/** What they add up to. Texts are borrowed from the arguments. */
typedef struct PairArguments {
    const char *command; /* for messages: "score" */
    const char *reference, *distorted;
    VmafxRawFormat raw;
    bool raw_given[4]; /* width, height, pixel format, bit depth */
    VmafxPairOptions pair;
    VmafxModelRequest *models;
    VmafxFeatureRequest *features;
} PairArguments;

void pair_arguments_done(PairArguments *a);

/** Says what is wrong on stderr, naming the command; false, for returning. */
bool pair_usage_error(const PairArguments *a, const char *fmt, ...) VMAFX_PRINTF(2, 3);

/** Takes an option with one of the ids above. False: refused, and said why. */
bool pair_argument(PairArguments *a, int id, const char *value);

/** json, ndjson, csv or xml; false: another word. */

bool pair_number(const char *option, const char *text, long long lo, long long hi, int *ret);
bool pair_add_model(PairArguments *a, const char *text);

/** What can only be seen once all arguments are there. Points a->pair at models, features and raw format. */
bool pair_settle(PairArguments *a);
#endif
