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
 * The pictures are those that this would have written and decoded again, bit by bit:
 *
 *     ffmpeg -i SOURCE -fps_mode passthrough -c:v ENCODER -KEY VALUE … OUT.mkv
 *
 * with the keys and values of the facts' options, `-x265-params log-level=none` for libx265 (which writes its settings
 * into the stream), `-x264-params asm=avx2` for libx264 on CPUs with AVX-512 and `-svtav1-params lp=1` for libsvtav1
 * with a bitrate or maxrate (which else make other bytes each time). Where size or pixel format change, RANGE being tv
 * or pc as the source has it:
 *
 *     -vf scale=W:H:flags=bicubic+accurate_rnd+bitexact+full_chroma_int:in_range=RANGE:out_range=RANGE,format=FORMAT
 *
 * A source without a frame rate counts as 25 frames/s. Memory is bounded by what encoder and decoders hold back, at any
 * length; all of it happens in the caller's thread and the encoder's own.
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
    const char *encoder; /* as FFmpeg names it; NULL: the first of the codec's that works here; not of another codec */
    const char *preset;  /* in the encoder's own words */
    bool has_crf;
    double crf;
    int64_t bitrate;                  /* bits per second, 1000 … 2·10^9; 0: not given; not with has_crf */
    int gop;                          /* frames, up to 10^6; 0: the encoder's default */
    const char *pixel_format;         /* one the encoder takes; NULL: the source's, or the nearest the encoder takes */
    int w, h;                         /* both or neither; 0: the source's */
    const VmafxRecipeOption *options; /* no key twice, nor one that the fields above set */
    size_t n_options;
} VmafxRecipe;

/** How it is made. */
typedef struct VmafxEncodeOptions {
    int threads;             /* of the encoder; 0: one; those that cannot use them repeatably get one all the same */
    const atomic_bool *stop; /* as in VmafxReaderLive; between two pictures it ends with VMAFX_ERR_CANCELLED */
    int keep_fd;             /* the packets are written there too, as Matroska, from where it stands; a file that can be
                                sought; borrowed; whole only when the reader has come to its end; -1: not kept */
    int64_t keep_max;        /* bytes; more end the encode with VMAFX_ERR_LIMIT, a full disk with VMAFX_ERR_IO */
} VmafxEncodeOptions;

/** What it came to. Lives as long as the reader; grows with each frame, and is final at the end. */
typedef struct VmafxEncodeFacts {
    const char *encoder, *codec, *version, *reason; /* reason: why this encoder, a sentence */
    const char *preset, *pixel_format;              /* preset: "" when none was given */
    int w, h;
    int64_t frames, size_bytes;       /* of the packets that came out */
    double seconds;                   /* spent in the encoder */
    const VmafxRecipeOption *options; /* that were set, those of preset, crf, bitrate, gop and threads too */
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
/** Is the recipe in itself right, as far as that can be told without a source, on this machine? Opens no encoder.
    VMAFX_ERR_ENCODER (codec, encoder, preset, pixel format, option unknown or not for recipes; a crf or a value the
    encoder does not take), VMAFX_ERR_INVALID (a number outside the ranges above; an option given twice or malformed) */
VMAFX_CHECK VmafxErr vmafx_recipe_check(const VmafxRecipe *recipe, VmafxErrInfo *reterr);

/**
 * fd -1 opens `name`; else the descriptor is taken over, on failure too. The first picture is read, and the encoder
 * started with it. Errors of the source are those of vmafx_reader_open_live and _next, of the recipe those of
 * vmafx_recipe_check; an encoder that is not here, refuses a setting, fails midway, or leaves out or makes up pictures
 * is VMAFX_ERR_ENCODER. A source that breaks off ends the reader with its own error, behind the pictures before.
 *
 * Of vmafx_reader_info, size and pixel format are the encoded pictures', codec the recipe's, container is "none", and
 * the rest the source's: colours and range are not changed on the way.
 */
VMAFX_CHECK VmafxErr vmafx_reader_open_encode(int fd, const char *name, const VmafxRawFormat *raw,
                                              const VmafxRecipe *recipe, const VmafxEncodeOptions *options,
                                              VmafxReader **ret_reader, VmafxErrInfo *reterr);
/** NULL for readers that do not encode. */
const VmafxEncodeFacts *vmafx_reader_encode_facts(const VmafxReader *reader);
#endif
