/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A video that is made while it is read: the source is decoded, scaled if asked for, encoded by one of FFmpeg's
 * encoders, and what comes out of the encoder is decoded again. To whoever reads it is a reader as any other.
 *
 *     VmafxRecipe recipe = { .codec = "h264", .preset = "medium", .has_crf = true, .crf = 23 };
 *     err = vmafx_reader_open_encode(-1, "reference.mp4", NULL, &recipe, &options, &reader, &info);
 *     while (!(err = vmafx_reader_next(reader, &luma, &more, &info)) && more) …
 *     vmafx_reader_encode_facts(reader)->size_bytes
 *
 * The pictures are those that `ffmpeg -i SOURCE -c:v ENCODER …` would have written and decoded again, bit by bit, at
 * the same settings and threads. Memory is bounded by what encoder and decoders hold back, at any length.
 */
#ifndef VMAFX_MEDIA_ENCODE_H
#define VMAFX_MEDIA_ENCODE_H

#include "media/reader.h"

#define VMAFX_RECIPE_OPTIONS_MAX 64

typedef struct VmafxRecipeOption {
    const char *key, *value;
} VmafxRecipeOption;

/** What is to be made. Strings are borrowed; NULL and "" say "not given". */
typedef struct VmafxRecipe {
    const char *codec;   /* "h264", "hevc", "av1", "vp9", "vp8"; or NULL with an encoder */
    const char *encoder; /* as FFmpeg names it; NULL: the first of the codec's that works here */
    const char *preset;  /* in the encoder's own words */
    bool has_crf;
    double crf;
    int64_t bitrate; /* bits per second; 0: not given; not with has_crf */
    int gop;         /* 0: the encoder's default */
    const char *pixel_format;
    int w, h; /* 0: the source's */
    const VmafxRecipeOption *options;
    size_t n_options;
} VmafxRecipe;

/** How it is made. */
typedef struct VmafxEncodeOptions {
    int threads;             /* of the encoder; 0: one; those that cannot use them repeatably get one all the same */
    const atomic_bool *stop; /* as in VmafxReaderLive */
    int keep_fd;             /* the packets are written there too, as Matroska; borrowed; -1: not kept */
    int64_t keep_max;        /* bytes; more end the encode with VMAFX_ERR_LIMIT */
} VmafxEncodeOptions;

/** What it came to. Lives as long as the reader; grows with each frame, and is final at the end. */
typedef struct VmafxEncodeFacts {
    const char *encoder, *codec, *version, *reason; /* reason: why this encoder, a sentence */
    const char *preset, *pixel_format;
    int w, h;
    int64_t frames, size_bytes; /* of the packets that came out */
    double seconds;             /* spent in the encoder */
    const VmafxRecipeOption *options; /* that were set */
    size_t n_options;
} VmafxEncodeFacts;

/** One encoder that this room knows. */
typedef struct VmafxEncoder {
    const char *name, *codec, *version; /* version: of its library where that can be known, else of libavcodec */
    bool hardware;
    bool linked; /* FFmpeg here has it; whether it works, vmafx_encoder_probe says */
} VmafxEncoder;

/** Once per process, before threads and before the first use of any encoder: what their libraries read from the
    environment (SVT_LOG). */
void vmafx_encoders_prepare(void);
/** The known ones, in the order in which they are chosen: by codec, software first. Static. */
const VmafxEncoder *vmafx_encoders(size_t *ret_n);
/** Encodes some small frames. @return VMAFX_OK it works; VMAFX_ERR_ENCODER with a sentence why not */
VMAFX_CHECK VmafxErr vmafx_encoder_probe(const char *name, VmafxErrInfo *reterr);
/** Is the recipe in itself right, as far as that can be told without a source? VMAFX_ERR_ENCODER (codec, encoder,
    preset, option unknown), VMAFX_ERR_INVALID (a number outside its range) */
VMAFX_CHECK VmafxErr vmafx_recipe_check(const VmafxRecipe *recipe, VmafxErrInfo *reterr);

/**
 * fd -1 opens `name`; else the descriptor is taken over. Errors of the source are those of vmafx_reader_open_live; an
 * encoder that is unknown, not here, refuses a setting or fails midway is VMAFX_ERR_ENCODER.
 */
VMAFX_CHECK VmafxErr vmafx_reader_open_encode(int fd, const char *name, const VmafxRawFormat *raw,
                                              const VmafxRecipe *recipe, const VmafxEncodeOptions *options,
                                              VmafxReader **ret_reader, VmafxErrInfo *reterr);
/** NULL for readers that do not encode. */
const VmafxEncodeFacts *vmafx_reader_encode_facts(const VmafxReader *reader);
#endif
