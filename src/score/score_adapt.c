/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Between opening and scoring: may the two be compared, what is converted for that, and what a reader of the result
   should know about it. */

#include "score/score_internal.h"

#include <string.h>

#include "base/base.h"
#include "media/convert.h"
#include "score/model_auto.h"

VmafxErr score_check_pixels(const VmafxResult *result, int64_t most, VmafxErrInfo *reterr)
{
    for (int i = 0; i < 2 && most > 0; i++) {
        const VmafxVideoInfo *info = &result->inputs[i].info;

        if ((int64_t)info->w * info->h > most)
            return vmafx_fail(reterr, VMAFX_ERR_LIMIT,
                              "the %s has pictures of %dx%d pixels, and at most %lld are taken",
                              i ? "distorted video" : "reference", info->w, info->h, (long long)most);
    }
    return VMAFX_OK;
}

VmafxErr score_check_pair(VmafxResult *result, const VmafxPairOptions *o, VmafxErrInfo *reterr)
{
    VmafxPairOptions effective = *o;

    effective.ignore_start |= o->encode != NULL; /* what is made of the reference starts with it */
    result->n_problems =
        vmafx_pair_check(&result->inputs[REF].info, &result->inputs[DIS].info, &effective, result->problems);
    if (result->n_problems)
        return vmafx_fail(reterr, VMAFX_ERR_MISMATCH, "%s", result->problems[0].sentence);
    return VMAFX_OK;
}

/* The same for the chroma planes: those of the target are rounded up. */
static VmafxErr adapt_chroma(ScoreInput *in, const VmafxConvertSpec *luma, VmafxErrInfo *reterr)
{
    bool scales = luma->w_in != luma->w_out || luma->h_in != luma->h_out;
    VmafxErr err = VMAFX_OK;

    for (int p = 1; !err && p < 3 && in->pending.chroma; p++) {
        VmafxConvertSpec spec = *luma;

        if (spec.range != VMAFX_RANGE_SAME)
            spec.range = spec.range == VMAFX_RANGE_TO_FULL ? VMAFX_RANGE_CHROMA_TO_FULL : VMAFX_RANGE_CHROMA_TO_LIMITED;
        spec.w_in = spec.w_out = in->pending.planes[p].w;
        spec.h_in = spec.h_out = in->pending.planes[p].h;
        if (scales) {
            spec.w_out = in->pending.chroma == VMAFX_CHROMA_444 ? luma->w_out : (luma->w_out + 1) / 2;
            spec.h_out = in->pending.chroma == VMAFX_CHROMA_420 ? (luma->h_out + 1) / 2 : luma->h_out;
        }
        err = vmafx_converter_new(&spec, &in->converters[p], reterr);
    }
    return err;
}

/* Prepares the conversions of one input and says so in the notes. */
static VmafxErr adapt_input(ScorePair *pair, int which, const VmafxVideoInfo *target, VmafxErrInfo *reterr)
{
    const VmafxVideoInfo *info = &pair->result->inputs[which].info;
    VmafxNotes *notes = &pair->result->adaptations;
    VmafxConvertSpec spec = { .w_in = info->w, .h_in = info->h, .bpc_in = info->bpc };
    VmafxErr err = VMAFX_OK;

    spec.w_out = target->w;
    spec.h_out = target->h;
    spec.bpc_out = target->bpc;
    if (pair->options->convert_range && score_text_differs(info->range, target->range))
        spec.range = !strcmp(target->range, "pc") ? VMAFX_RANGE_TO_FULL : VMAFX_RANGE_TO_LIMITED;

    if (spec.range != VMAFX_RANGE_SAME)
        err = score_note(notes, "%s converted from range %s to %s", score_input_name[which],
                         score_range_name(info->range), score_range_name(target->range));
    if (!err && (spec.w_in != spec.w_out || spec.h_in != spec.h_out))
        err = score_note(notes, "%s scaled from %dx%d to %dx%d (bicubic)", score_input_name[which], spec.w_in,
                         spec.h_in, spec.w_out, spec.h_out);
    if (!err && spec.bpc_in != spec.bpc_out)
        err = score_note(notes, "%s converted from %d to %d bits per sample", score_input_name[which], spec.bpc_in,
                         spec.bpc_out);
    if (err || (spec.range == VMAFX_RANGE_SAME && spec.w_in == spec.w_out && spec.h_in == spec.h_out &&
                spec.bpc_in == spec.bpc_out))
        return err;
    err = vmafx_converter_new(&spec, &pair->inputs[which].converters[0], reterr);
    return err ? err : adapt_chroma(&pair->inputs[which], &spec, reterr);
}

static VmafxErr note_ranges(VmafxResult *result, const VmafxPairOptions *o)
{
    const int64_t skip[2] = { o->skip_ref, o->skip_dis };
    VmafxErr err = VMAFX_OK;

    for (int i = 0; i < 2 && !err; i++)
        if (skip[i] > 0)
            err = score_note(&result->adaptations, "the first %lld frames of the %s skipped", (long long)skip[i],
                             score_input_name[i]);
    if (!err && o->count > 0)
        err = score_note(&result->adaptations, "only frames %lld to %lld", (long long)o->first,
                         (long long)(o->first + o->count - 1));
    else if (!err && o->first > 0)
        err = score_note(&result->adaptations, "only frames from %lld on", (long long)o->first);
    return err;
}

/* Models were made for one viewing situation; a picture height far from it makes the number mean something else. */
static VmafxErr warn_about_size(VmafxResult *result, const char *version)
{
    if (strstr(version, "4k") && result->h < 2160)
        return score_note(&result->warnings,
                          "model %s is made for pictures 2160 high, these are %d high: vmaf_v0.6.1 fits them better",
                          version, result->h);
    if (!strstr(version, "4k") && strstr(version, "v0.6.1") && result->h > 1440)
        return score_note(&result->warnings,
                          "model %s is made for pictures 1080 high, these are %d high: vmaf_4k_v0.6.1 fits them better",
                          version, result->h);
    return VMAFX_OK;
}

static VmafxErr warn_about_kind(VmafxResult *result, const char *version)
{
    const VmafxVideoInfo *ref = &result->inputs[REF].info;
    VmafxModelChoice better;

    if (!vmafx_model_fits_better(version, &(VmafxModelPictures){ result->w, result->h, ref->rate_num, ref->rate_den },
                                 &better))
        return VMAFX_OK;
    return score_note(&result->warnings, "model %s is made for other sizes or rates: %s; %s fits them better", version,
                      better.why, better.version);
}

static bool says_depth(const VmafxOptions *overloads)
{
    for (size_t i = 0; i < overloads->n; i++)
        if (!strcmp(overloads->items[i].key, "cambi.enc_bitdepth"))
            return true;
    return false;
}

/* The banding measure of the v1 models takes what has fewer than 10 bits for dithered, and smooths it. Said once. */
static VmafxErr warn_about_depth(VmafxResult *result, const VmafxPairOptions *o)
{
    int encoded = result->inputs[DIS].info.bpc;
    size_t i = 0;

    while (i < result->n_models &&
           (!vmafx_model_is_v1(result->models[i].version) || says_depth(&o->models[i].overloads)))
        i++;
    if (i == result->n_models)
        return VMAFX_OK;
    if (result->bpc < 10)
        return score_note(&result->warnings,
                          "model %s is made for 10 bits per sample, these have %d: its measure of banding smooths such "
                          "pictures first, so scores of 8 and of 10 bits are not comparable",
                          result->models[i].version, result->bpc);
    if (encoded > 0 && encoded < 10)
        return score_note(&result->warnings,
                          "the distorted video had %d bits per sample before it was converted to %d: with "
                          "cambi.enc_bitdepth=%d after the model's name, %s measures its banding as that of %d bits",
                          encoded, result->bpc, encoded, result->models[i].version, encoded);
    return VMAFX_OK;
}

static VmafxErr warn_about_models(VmafxResult *result, const VmafxPairOptions *o)
{
    VmafxErr err = VMAFX_OK;

    for (size_t i = 0; i < result->n_models && !err; i++) {
        const char *version = result->models[i].version;

        err = warn_about_size(result, version);
        if (!err)
            err = warn_about_kind(result, version);
    }
    return err ? err : warn_about_depth(result, o);
}

VmafxErr score_adapt_pair(ScorePair *pair, VmafxErrInfo *reterr)
{
    const VmafxPairOptions *o = pair->options;
    VmafxResult *result = pair->result;
    VmafxVideoInfo target = result->inputs[REF].info;

    if (o->scale == VMAFX_SCALING_SIZE) {
        target.w = o->scale_w;
        target.h = o->scale_h;
    }
    if (o->larger_depth)
        target.bpc = VMAFX_MAX(target.bpc, result->inputs[DIS].info.bpc);
    result->w = target.w;
    result->h = target.h;
    result->bpc = target.bpc;
    result->chroma = pair->inputs[REF].pending.chroma;
    if (result->chroma != pair->inputs[DIS].pending.chroma)
        return vmafx_fail(
            reterr, VMAFX_ERR_MISMATCH,
            "the pixel formats differ, and a feature that was asked for compares chroma: leave it out, or "
            "convert one of the videos");

    VmafxErr err = adapt_input(pair, REF, &target, reterr);
    if (!err)
        err = adapt_input(pair, DIS, &target, reterr);
    if (!err)
        err = note_ranges(result, o);
    if (!err)
        err = warn_about_models(result, o);
    return err;
}
