/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Reports: what was measured, as text. Four formats copy the reference tool to the character (its rules are in the
 * comments of report.c), three are our own and also say what was compared, how, and whether it is complete.
 *
 * The writers see a result only through VmafxReportData, a view that borrows everything, so that a report costs no
 * copy of the per-frame values and a test can fill one by hand.
 */
#ifndef VMAFX_REPORT_REPORT_H
#define VMAFX_REPORT_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <vmafx/error.h>

#define VMAFX_REPORT_SCHEMA         "vmafx.score" /* member "schema" of json and ndjson */
#define VMAFX_REPORT_SCHEMA_VERSION 1             /* grows when a member changes its meaning or goes away */

typedef enum VmafxReportFormat {
    VMAFX_REPORT_JSON = 0, /* ours: one object, a frame per line, 17 significant digits */
    VMAFX_REPORT_NDJSON,   /* ours: a header line, a line per frame, a summary line */
    VMAFX_REPORT_CSV,      /* ours: RFC 4180, header "frame,time,NAME...", an absent value is an empty field */
    VMAFX_REPORT_REFERENCE_JSON,
    VMAFX_REPORT_REFERENCE_XML,
    VMAFX_REPORT_REFERENCE_CSV, /* absent values shift the columns, as there */
    VMAFX_REPORT_REFERENCE_SUB,
} VmafxReportFormat;

typedef enum VmafxSeriesKind {
    VMAFX_SERIES_FEATURE = 0,
    VMAFX_SERIES_SCORE,  /* of a model; of member 0 of a collection */
    VMAFX_SERIES_MEMBER, /* a bootstrap member of a collection, or one of its statistics */
} VmafxSeriesKind;

typedef struct VmafxReportSeries {
    const char *name; /* as printed */
    VmafxSeriesKind kind;
} VmafxReportSeries;

/** One whole-clip value that no frame owns. */
typedef struct VmafxReportAggregate {
    const char *name;
    double value;
} VmafxReportAggregate;

/** What a video says of itself. Texts are FFmpeg's names or "unknown", never NULL where the video is known. */
typedef struct VmafxReportVideo {
    int w, h, bpc;
    const char *pixel_format; /* "420", "422", "444" or "400" */
    int rate_num, rate_den;   /* 0/1: unknown */
    double start_s;
    int64_t frames; /* 0: it does not say */
    const char *range, *matrix, *transfer, *primaries, *container, *codec;
} VmafxReportVideo;

typedef struct VmafxReportInput {
    const char *path;
    bool known; /* video is set */
    VmafxReportVideo video;
    const char *sha256; /* 64 hexadecimal digits, or NULL when it was not computed */
} VmafxReportInput;

typedef struct VmafxReportModel {
    const char *name;    /* of its score series */
    const char *version; /* "vmaf_v0.6.1" */
    const char *path;
    const char *sha256; /* of the model file; NULL: unknown */
    bool collection;    /* has NAME_ci_p95_lo and NAME_ci_p95_hi */
    bool onnx;          /* an ONNX model: what it gives need not be VMAF */
} VmafxReportModel;

/** An option that was in force. */
typedef struct VmafxReportOption {
    const char *key;
    const char *value;
    bool bare; /* value is a JSON number, true or false, written as it is; else it is text */
} VmafxReportOption;

/** The distorted video was made for this result. */
typedef struct VmafxReportEncode {
    const char *encoder, *codec, *version, *reason; /* reason: why this encoder */
    const char *preset, *pixel_format;              /* "": its default */
    int w, h;
    int64_t frames, size_bytes;       /* of the packets, without a container */
    double bit_rate;                  /* bits per second at the reference's rate; 0: that is unknown */
    double seconds;                   /* spent in the encoder */
    double frame_rate;                /* frames per second of those; 0: too short to tell */
    const char *kept;                 /* where the encoded video is; NULL: it was not kept */
    const VmafxReportOption *options; /* that were set; none of them bare */
    size_t n_options;
} VmafxReportEncode;

/** A result as the writers see it. Everything is borrowed for the call. */
typedef struct VmafxReportData {
    const char *version; /* of the engine */
    const char *kernels; /* "c", "avx2", "avx512" or "neon"; NULL: not known */
    double fps;          /* frames per second of process CPU time; may be NaN or infinite */
    int w, h;            /* of the pictures that were compared */
    uint32_t frames;     /* pairs given to the engine; values have the indices 0 … frames − 1 */
    int subsample;       /* N > 1: only frames whose index is a multiple of N are reported; 0 means 1 */

    const VmafxReportSeries *series; /* in report order */
    size_t n_series;
    bool (*value)(const void *ctx, size_t series, uint32_t frame, double *ret); /* false: absent */
    const void *ctx;
    const VmafxReportAggregate *aggregates;
    size_t n_aggregates;

    /* What follows is used by our own formats only. */
    bool complete;
    const char *incomplete_reason;   /* a sentence; NULL when complete */
    uint32_t first_frame;            /* added to the index: the frame number in our own reports */
    int64_t time_offset_frames;      /* added to the frame number for its time: frames skipped in the reference */
    int rate_num, rate_den;          /* of the reference; rate_num 0: unknown, frames have no time */
    VmafxReportInput inputs[2];      /* reference, distorted */
    const VmafxReportEncode *encode; /* NULL: the distorted video was there */
    const VmafxReportModel *models;  /* the first is the verdict's */
    size_t n_models;
    const VmafxReportOption *options;
    size_t n_options;
    const char *const *adaptations, *const *warnings;
    size_t n_adaptations, n_warnings;
    double wall_s, cpu_s;          /* of the scoring */
    double decode_s, extraction_s; /* what reading and features took, over all threads; both 0: not known */
} VmafxReportData;

/** "json", "ndjson" and "csv" are ours, "xml" is the reference tool's. False: none of these. */
bool vmafx_report_format_find(const char *name, VmafxReportFormat *ret);

/** One series over all frames that are reported. */
typedef struct VmafxSeriesPooled {
    double mean, harmonic_mean, min, max;
    double p1, p5; /* percentiles, see vmafx_percentile */
    uint32_t n;    /* frames used */
} VmafxSeriesPooled;

/**
 * Linear interpolation between order statistics:
 *     r = p · (n − 1) / 100, l = ⌊r⌋, u = ⌈r⌉        l = u: z[l], else z[l] · (u − r) + z[u] · (r − l)
 * @param z  ascending, n ≥ 1 values
 * @param p  0 … 100
 */
double vmafx_percentile(const double *z, size_t n, double p);

/**
 * Pools a series, sums in index order:
 *     mean = Σ v / n        harmonic_mean = n / Σ 1/(v + 1) − 1
 * @return VMAFX_ERR_INVALID no frame or no such series; VMAFX_ERR_MISSING a frame has no value; VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr vmafx_report_pool(const VmafxReportData *data, size_t series, VmafxSeriesPooled *ret);

/** The series of that name, or SIZE_MAX. */
size_t vmafx_report_find(const VmafxReportData *data, const char *name);

/** False when the frame is not reported: no value at all, or not a multiple of the subsampling. */
bool vmafx_report_has_frame(const VmafxReportData *data, uint32_t frame);

/** Seconds from the start of the reference to this frame of the report; false when the rate is unknown. */
bool vmafx_report_time(const VmafxReportData *data, uint32_t frame, double *ret_seconds);

/**
 * Writes a report and flushes. Numbers have a point whatever the locale; JSON is valid whatever bytes a path has.
 * @return VMAFX_ERR_IO with errno as it was when a write failed; VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr vmafx_report_write(FILE *out, VmafxReportFormat format, const VmafxReportData *data);

/**
 * Writes a report to a file that appears whole or not at all.
 * @return VMAFX_ERR_IO, VMAFX_ERR_NOMEM, with a sentence
 */
VMAFX_CHECK VmafxErr vmafx_report_save(const char *path, VmafxReportFormat format, const VmafxReportData *data,
                                       VmafxErrInfo *reterr);

/** Finds out early whether a report could be saved there; leaves nothing behind. */
VMAFX_CHECK VmafxErr vmafx_report_probe(const char *path, VmafxErrInfo *reterr);

/** The text as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void vmafx_json_string(FILE *out, const char *text);

/** The reference tool's number: six digits after the point, or sixteen when the first of them are all zero. */
void vmafx_reference_number(double v, char *ret, size_t size);
#endif
