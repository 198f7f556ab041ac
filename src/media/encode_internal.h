/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What the files of the encoder share, and nobody else needs. Who calls whom:
 *
 *     encode.c             the pipeline: source → size and format → encoder → file, decoder → luma; and the probe
 *       encode_source.c    whole pictures out of any reader
 *       encode_convert.c   which pixel format, and bringing pictures to it and to their size
 *       encode_codec.c     one encoder: open, pictures in, packets out, close
 *       encode_keep.c      packets into a Matroska file
 *     encode_recipe.c      a recipe: is it right, and what does it set
 *       encode_params.c    what may be set in the libraries' own words
 *       encode_list.c      the encoders that are known, and what is particular about each
 */
#ifndef VMAFX_MEDIA_ENCODE_INTERNAL_H
#define VMAFX_MEDIA_ENCODE_INTERNAL_H

#include <libavcodec/avcodec.h>

#include "base/base.h"
#include "media/encode.h"
#include "media/encode_reader.h"

/* ---- encode_list.c ---- */

/* With more than one thread some encoders do not make the same bytes twice, or never return: one thread … */
enum {
    ENCODE_ONE_THREAD = 1,             /* … in any case */
    ENCODE_ONE_THREAD_FOR_BITRATE = 2, /* … when the rate is given in bits */
    ENCODE_ONE_THREAD_FOR_BUFFER = 4,  /* … when it is held below a ceiling (maxrate, bufsize, VBV) */
    ENCODE_ONE_THREAD_FOR_ROWS = 8,    /* … when rows are threads of their own ("row-mt") */
};

/* What is particular about an encoder. Names of options are FFmpeg's. */
typedef struct EncodeKind {
    const char *name, *codec;
    bool hardware;
    const char *preset; /* the option that a recipe's preset sets … */
    const char *const
        *presets;    /* … and the words it takes, ending in NULL; NULL: those or the numbers of the option … */
    int preset_min;  /* … from here on */
    const char *crf; /* the option that a recipe's crf sets, and its range */
    double crf_min, crf_max;
    bool crf_whole;
    const char *const *tunes; /* what "tune" takes, in any mixture, and what "profile" takes, where the library … */
    const char *const *profiles; /* … writes to standard error about others; NULL: FFmpeg or the library refuses them */
    VmafxRecipeOption with_crf[2]; /* what has to be set beside it, unless the recipe sets it */
    const char *params;            /* the option that holds its library's own parameters, and those that may be set */
    const char *const *param_names;
    VmafxRecipeOption quiet; /* the parameter that keeps its library from writing to standard error */
    VmafxRecipeOption steady; /* … from letting its bytes depend on what was in memory before, where there is AVX-512 */
    unsigned one_thread;      /* ENCODE_ONE_THREAD… */
    VmafxRecipeOption alone; /* the parameter that one thread needs besides, to be one */
    bool drain;              /* closing it early hangs unless it has been emptied */
} EncodeKind;

/** NULL: not known. */
const EncodeKind *encode_kind_find(const char *name);
const AVCodec *encode_kind_codec(const EncodeKind *kind);

/** The encoder a recipe means. probe: hardware must also prove that it works.
    @param ret_reason  a sentence; the string is static or lives in buffer */
VMAFX_CHECK VmafxErr encode_choose(const VmafxRecipe *recipe, bool probe, const EncodeKind **ret_kind, char *reason,
                                   size_t size, VmafxErrInfo *reterr);

/* ---- encode_params.c: the libraries' own parameters. An allow-list, since some of them open files or run programs,
        and some change what the encoder believes its pictures to be. ---- */

extern const char *const encode_x264_params[], *const encode_x265_params[], *const encode_svtav1_params[],
                                                                                *const encode_aom_params[],
                                                                                    *const encode_rav1e_params[];

/** Of "key=value:key=value", as FFmpeg reads it. VMAFX_ERR_ENCODER with a sentence */
VMAFX_CHECK VmafxErr encode_params_check(const EncodeKind *kind, const char *text, VmafxErrInfo *reterr);

/* ---- encode_recipe.c ---- */

/* What a recipe sets, in the order in which it is set. */
typedef struct EncodeSettings {
    const EncodeKind *kind;
    char reason[160];
    VmafxRecipeOption options[VMAFX_RECIPE_OPTIONS_MAX + 8]; /* their own copies */
    size_t n_options;
} EncodeSettings;

void encode_settings_done(EncodeSettings *settings);
/**
 * Checks all of a recipe that can be checked without a source, chooses the encoder, and sets the options on a context
 * that is not open yet; *ret_context is freed by the caller.
 */
VMAFX_CHECK VmafxErr encode_settings_make(EncodeSettings *settings, const VmafxRecipe *recipe, bool probe, int threads,
                                          AVCodecContext **ret_context, VmafxErrInfo *reterr);

/* ---- encode_convert.c ---- */

/** VMAFX_ERR_ENCODER unless the name is empty, or a pixel format this encoder takes and we can measure. */
VMAFX_CHECK VmafxErr encode_format_check(const EncodeKind *kind, const char *name, VmafxErrInfo *reterr);
/** The one that is named, else the source's, else the nearest that the encoder takes. AV_PIX_FMT_NONE: there is none */
enum AVPixelFormat encode_format_choose(const EncodeKind *kind, const char *name, enum AVPixelFormat source);

/* Zeroed: nothing. */
typedef struct EncodeConverter {
    struct SwsContext *scaler; /* NULL: pictures stay as they are */
    enum AVPixelFormat format;
    int w, h;
    AVFrame *result;
} EncodeConverter;

VMAFX_CHECK VmafxErr encode_converter_init(EncodeConverter *converter, const AVFrame *first, enum AVPixelFormat format,
                                           int w, int h, VmafxErrInfo *reterr);
void encode_converter_done(EncodeConverter *converter);
/** The picture as the encoder gets it: the frame itself, or the converter's own, until the next call. */
VMAFX_CHECK VmafxErr encode_converter_run(EncodeConverter *converter, AVFrame *frame, AVFrame **ret_frame,
                                          VmafxErrInfo *reterr);

/* ---- encode_source.c ---- */

/** Once, before the first frame is read. */
VMAFX_CHECK VmafxErr encode_source_prepare(VmafxReader *source, VmafxErrInfo *reterr);
/** The frame that was read last. It borrows from the reader until the next one is read, unless it is counted. */
VMAFX_CHECK VmafxErr encode_source_frame(const VmafxReader *source, AVFrame *frame, VmafxErrInfo *reterr);

/* ---- encode_codec.c ---- */

/* An encoder at work. Zeroed: none. */
typedef struct EncodeCodec {
    const EncodeKind *kind;
    AVCodecContext *context;
    AVPacket *packet; /* the one that came last */
    int64_t n_in, n_bytes;
    uint64_t ns; /* spent in it */
    bool started, draining, ended;
} EncodeCodec;

/** Takes the context over, with its options set; also when it fails.
    @param like  a picture as they will come: size, format, colours, aspect of a sample */
VMAFX_CHECK VmafxErr encode_codec_open(EncodeCodec *codec, const EncodeKind *kind, AVCodecContext **context,
                                       const AVFrame *like, AVRational rate, VmafxErrInfo *reterr);
void encode_codec_close(EncodeCodec *codec);
/** One picture; NULL: there are no more. Only after encode_codec_receive has said that it has nothing. */
VMAFX_CHECK VmafxErr encode_codec_send(EncodeCodec *codec, AVFrame *frame, VmafxErrInfo *reterr);
/** codec->packet, or *ret_got false: it wants pictures, or codec->ended is set. */
VMAFX_CHECK VmafxErr encode_codec_receive(EncodeCodec *codec, bool *ret_got, VmafxErrInfo *reterr);

/* ---- encode_keep.c ---- */

typedef struct EncodeKeep EncodeKeep;

/** max: bytes. VMAFX_ERR_INVALID when the descriptor cannot be sought */
VMAFX_CHECK VmafxErr encode_keep_open(EncodeKeep **ret_keep, int fd, int64_t max, const AVCodecContext *context,
                                      VmafxErrInfo *reterr);
/** VMAFX_ERR_LIMIT (too large), VMAFX_ERR_IO (no space, or any other), VMAFX_ERR_NOMEM */
VMAFX_CHECK VmafxErr encode_keep_write(EncodeKeep *keep, const AVPacket *packet, VmafxErrInfo *reterr);
/** Makes the file whole. Without it, what was written is no use. */
VMAFX_CHECK VmafxErr encode_keep_finish(EncodeKeep *keep, VmafxErrInfo *reterr);
void encode_keep_free(EncodeKeep **keep);
#endif
