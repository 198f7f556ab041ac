/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What a recipe may set in the words of an encoder's own library ("x265-params", "svtav1-params" and their like).
 *
 * The lists name what changes how pictures are coded, and nothing else. Left out on purpose: whatever opens a file or
 * runs a program (stats, csv, recon, qpfile, cqm, scaling-list, zones, which may hold any of them …); what says how the
 * pictures come (size, rate, depth, fields, colours), since a library believes it and reads past their end; threads,
 * which are the machine's; and the rate (crf, bitrate, qp), which the recipe has fields for.
 */

#include "media/encode_internal.h"

#include <string.h>

#include <libavutil/dict.h>

#include "base/nearest.h"

#define NAME_MAX_BYTES 64

/* clang-format off */
const char *const encode_x264_params[] = {
    "8x8dct", "analyse", "aq-mode", "aq-strength", "aud", "b-adapt", "b-bias", "b-pyramid", "bframes", "cabac",
    "chroma-me", "chroma-qp-offset", "constrained-intra", "cplxblur", "crf-max", "dct-decimate", "deadzone-inter",
    "deadzone-intra", "deblock", "direct", "fast-pskip", "intra-refresh", "ipratio", "keyint", "level", "mbtree", "me",
    "merange", "min-keyint", "mixed-refs", "nal-hrd", "nr", "open-gop", "partitions", "pbratio", "psy", "psy-rd",
    "qblur", "qcomp", "qpmax", "qpmin", "qpstep", "ratetol", "rc-lookahead", "ref", "scenecut", "slice-max-mbs",
    "slice-max-size", "slice-min-mbs", "slices", "subme", "trellis", "vbv-bufsize", "vbv-init", "vbv-maxrate",
    "weightb", "weightp", NULL,
};

const char *const encode_x265_params[] = {
    "amp", "aq-mode", "aq-motion", "aq-strength", "aud", "b-adapt", "b-intra", "b-pyramid", "bframe-bias",
    "bframes", "cbqpoffs", "cip", "constrained-intra", "cplxblur", "crf-max", "crf-min", "crqpoffs", "ctu", "cu-lossless",
    "cutree", "deblock", "dynamic-rd", "early-skip", "fades", "fast-intra", "gop-lookahead", "hash", "hevc-aq",
    "high-tier", "hist-scenecut", "hme", "hrd", "intra-refresh", "ipratio", "keyint", "level-idc", "limit-modes",
    "limit-refs", "limit-sao", "limit-tu", "max-merge", "max-tu-size", "me", "merange", "min-cu-size", "min-keyint",
    "nr-inter", "nr-intra", "open-gop", "opt-cu-delta-qp", "pbratio", "psy-rd", "psy-rdoq", "qblur", "qcomp", "qg-size",
    "qpmax", "qpmin", "qpstep", "radl", "rc-grain", "rc-lookahead", "rd", "rd-refine", "rdoq-level", "rdpenalty", "rect",
    "ref", "repeat-headers", "rskip", "rskip-edge-threshold", "sao", "sao-non-deblock", "scenecut", "scenecut-bias",
    "selective-sao", "signhide", "slices", "splitrd-skip", "ssim-rd", "strict-cbr", "strong-intra-smoothing", "subme",
    "temporal-layers", "temporal-mvp", "tskip", "tskip-fast", "tu-inter-depth", "tu-intra-depth", "vbv-bufsize",
    "vbv-init", "vbv-maxrate", "weightb", "weightp", NULL,
};

const char *const encode_svtav1_params[] = {
    "aq-mode", "bias-pct", "buf-initial-sz", "buf-optimal-sz", "buf-sz", "enable-cdef", "enable-dlf", "enable-mfmv",
    "enable-overlays", "enable-qm", "enable-restoration", "enable-tf", "enable-tpl-la", "fast-decode", "film-grain",
    "film-grain-denoise", "hierarchical-levels", "irefresh-type", "keyint", "lookahead", "max-qp", "maxsection-pct",
    "mbr", "mbr-overshoot-pct", "min-qp", "minsection-pct", "overshoot-pct", "pred-struct", "qm-max", "qm-min",
    "recode-loop", "rmv", "scd", "scm", "sharpness", "tile-columns", "tile-rows", "tune", "undershoot-pct",
    "use-fixed-qindex-offsets", NULL,
};

const char *const encode_aom_params[] = {
    "aq-mode", "arnr-maxframes", "arnr-strength", "auto-alt-ref", "auto-intra-tools-off", "cdf-update-mode",
    "coeff-cost-upd-freq", "deltaq-mode", "deltaq-strength", "denoise-block-size", "denoise-noise-level",
    "disable-trellis-quant", "dist-metric", "dv-cost-upd-freq", "enable-1to4-partitions", "enable-ab-partitions",
    "enable-angle-delta", "enable-cdef", "enable-cfl-intra", "enable-chroma-deltaq", "enable-diagonal-intra",
    "enable-diff-wtd-comp", "enable-directional-intra", "enable-dist-wtd-comp", "enable-dnl-denoising",
    "enable-dual-filter", "enable-filter-intra", "enable-flip-idtx", "enable-global-motion", "enable-interinter-wedge",
    "enable-interintra-comp", "enable-interintra-wedge", "enable-intra-edge-filter", "enable-intrabc",
    "enable-keyframe-filtering", "enable-masked-comp", "enable-obmc", "enable-onesided-comp", "enable-order-hint",
    "enable-overlay", "enable-paeth-intra", "enable-palette", "enable-qm", "enable-rect-partitions", "enable-rect-tx",
    "enable-ref-frame-mvs", "enable-restoration", "enable-smooth-interintra", "enable-smooth-intra", "enable-tpl-model",
    "enable-tx-size-search", "enable-tx64", "enable-warped-motion", "frame-parallel", "gf-cbr-boost",
    "gf-max-pyr-height", "gf-min-pyr-height", "loopfilter-control", "max-gf-interval", "max-inter-rate",
    "max-intra-rate", "max-partition-size", "max-reference-frames", "min-cr", "min-gf-interval", "min-partition-size",
    "mode-cost-upd-freq", "mv-cost-upd-freq", "noise-sensitivity", "qm-max", "qm-min", "quant-b-adapt",
    "reduced-reference-set", "reduced-tx-type-set", "sb-qp-sweep", "sb-size", "sharpness", "static-thresh",
    "tile-columns", "tile-rows", "tune", "tune-content", "use-inter-dct-only", "use-intra-dct-only",
    "use-intra-default-tx-only", NULL,
};

const char *const encode_rav1e_params[] = {
    "low_latency", "min_key_frame_interval", "min_quantizer", "rdo_lookahead_frames", "reservoir_frame_delay",
    "switch_frame_interval", "tune", NULL,
};
/* clang-format on */

/* The libraries take underscores for dashes, and "no-" before what can be switched off. */
static void plain_name(const char *key, char *name, size_t size)
{
    size_t n = 0;

    for (; key[n] && n + 1 < size; n++)
        name[n] = key[n] == '_' ? '-' : key[n];
    name[n] = 0;
}

static bool listed(const EncodeKind *kind, const char *key)
{
    char name[NAME_MAX_BYTES + 1], item[NAME_MAX_BYTES + 1];

    plain_name(key, name, sizeof name);
    for (const char *const *p = kind->param_names; *p; p++) {
        plain_name(*p, item, sizeof item);
        if (!strcmp(item, name) || (!strncmp(name, "no-", 3) && !strcmp(item, name + 3)))
            return true;
    }
    return false;
}

static VmafxErr refuse(const EncodeKind *kind, const char *key, VmafxErrInfo *reterr)
{
    int n = 0;

    while (kind->param_names[n])
        n++;
    const char *nearest = vmafx_nearest(key, kind->param_names, n);
    return vmafx_fail(
        reterr, VMAFX_ERR_ENCODER, "%s: '%.64s' is none of the parameters that a recipe may set%s%s%s (docs/encode.md)",
        kind->params, key, nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}

VmafxErr encode_params_check(const EncodeKind *kind, const char *text, VmafxErrInfo *reterr)
{
    AVDictionary *params = NULL;
    const AVDictionaryEntry *param = NULL;
    VmafxErr err = VMAFX_OK;
    int rc = av_dict_parse_string(&params, text, "=", ":", 0);

    if (rc == AVERROR(ENOMEM))
        err = vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for %s", kind->params);
    else if (rc < 0)
        err = vmafx_fail(reterr, VMAFX_ERR_ENCODER, "%s: '%.128s' is not of the form name=value:name=value",
                         kind->params, text);
    while (!err && (param = av_dict_get(params, "", param, AV_DICT_IGNORE_SUFFIX)))
        if (strlen(param->key) > NAME_MAX_BYTES || !listed(kind, param->key))
            err = refuse(kind, param->key, reterr);
    av_dict_free(&params);
    return err;
}
