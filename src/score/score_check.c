/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Comparing what two videos say of themselves: a table of sentences, and no I/O. */

#include "score/score_internal.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"

#define START_TOLERANCE_S 0.02 /* where the frame rate is unknown */
#define RATE_TOLERANCE    1e-4

typedef struct Problems {
    VmafxProblem *items;
    size_t n;
} Problems;

static void problem(Problems *problems, VmafxPairProperty property, const char *fmt, ...) VMAFX_PRINTF(3, 4);

static void problem(Problems *problems, VmafxPairProperty property, const char *fmt, ...)
{
    VmafxProblem *p = &problems->items[problems->n++];
    va_list args;

    p->property = property;
    va_start(args, fmt);
    vsnprintf(p->sentence, sizeof p->sentence, fmt, args);
    va_end(args);
}

static const char *pix_name(VmafxPixFmt pix)
{
    static const char *const names[] = { "4:2:0", "4:2:2", "4:4:4", "4:0:0 (grey)" };

    return (size_t)pix < VMAFX_LEN(names) ? names[pix] : "unknown";
}

const char *score_range_name(const char *range)
{
    return !strcmp(range, "tv") ? "limited (tv)" : !strcmp(range, "pc") ? "full (pc)" : range;
}

static bool text_known(const char *text)
{
    return text && *text && strcmp(text, "unknown") && strcmp(text, "unspecified") && strcmp(text, "reserved");
}

bool score_text_differs(const char *a, const char *b)
{
    return text_known(a) && text_known(b) && strcmp(a, b);
}

static bool rate_known(const VmafxVideoInfo *info)
{
    return info->rate_num > 0 && info->rate_den > 0;
}

static double rate_of(const VmafxVideoInfo *info)
{
    return (double)info->rate_num / info->rate_den;
}

/* Raw video and y4m carry no times: their start of 0 says nothing. */
static bool start_known(const VmafxVideoInfo *info)
{
    return !strstr(info->container, "y4m") && !strstr(info->container, "yuv4mpeg") && !strstr(info->container, "raw");
}

static bool is_hdr(const VmafxVideoInfo *info)
{
    return info->transfer && (!strcmp(info->transfer, "smpte2084") || !strcmp(info->transfer, "arib-std-b67"));
}

static void check_shape(const VmafxVideoInfo *ref, const VmafxVideoInfo *dis, const VmafxPairOptions *o, Problems *p)
{
    if (o->scale == VMAFX_SCALING_NONE && (ref->w != dis->w || ref->h != dis->h))
        problem(p, VMAFX_PAIR_SIZE,
                "the distorted video is %dx%d, the reference %dx%d: --scale reference or --scale WxH brings them to "
                "one size",
                dis->w, dis->h, ref->w, ref->h);
    if (!o->ignore_pixel_format && ref->pix != dis->pix)
        problem(p, VMAFX_PAIR_PIXEL_FORMAT,
                "the pixel format of the distorted video is %s, that of the reference %s: --ignore-pixel-format "
                "compares their luma anyway",
                pix_name(dis->pix), pix_name(ref->pix));
    if (!o->convert_depth && !o->larger_depth && ref->bpc != dis->bpc)
        problem(p, VMAFX_PAIR_DEPTH,
                "the distorted video has %d bits per sample, the reference %d: --convert-depth brings the distorted "
                "video to the depth of the reference",
                dis->bpc, ref->bpc);
}

static void check_colour(const VmafxVideoInfo *ref, const VmafxVideoInfo *dis, const VmafxPairOptions *o, Problems *p)
{
    const struct {
        VmafxPairProperty property;
        const char *what, *ref, *dis;
    } colours[] = {
        { VMAFX_PAIR_MATRIX, "colour matrix", ref->matrix, dis->matrix },
        { VMAFX_PAIR_TRANSFER, "transfer function", ref->transfer, dis->transfer },
        { VMAFX_PAIR_PRIMARIES, "colour primaries", ref->primaries, dis->primaries },
    };

    if (!o->convert_range && score_text_differs(ref->range, dis->range))
        problem(p, VMAFX_PAIR_RANGE,
                "the range of the distorted video is %s, that of the reference %s: --convert-range brings the "
                "distorted video to the range of the reference",
                score_range_name(dis->range), score_range_name(ref->range));
    for (size_t i = 0; i < VMAFX_LEN(colours) && !o->ignore_colour; i++)
        if (score_text_differs(colours[i].ref, colours[i].dis))
            problem(p, colours[i].property,
                    "the distorted video says %s %s, the reference %s: --ignore-colour compares them anyway",
                    colours[i].what, colours[i].dis, colours[i].ref);
    if (!o->allow_hdr && (is_hdr(ref) || is_hdr(dis)))
        problem(p, VMAFX_PAIR_HDR,
                "the transfer function of the distorted video is %s, that of the reference %s, and the models are "
                "made for standard dynamic range: --allow-hdr scores them anyway",
                dis->transfer ? dis->transfer : "unknown", ref->transfer ? ref->transfer : "unknown");
}

static void check_time(const VmafxVideoInfo *ref, const VmafxVideoInfo *dis, const VmafxPairOptions *o, Problems *p)
{
    if (!o->ignore_rate && rate_known(ref) && rate_known(dis) &&
        fabs(rate_of(ref) - rate_of(dis)) > RATE_TOLERANCE * rate_of(ref))
        problem(p, VMAFX_PAIR_RATE,
                "the distorted video has %.5g frames per second (%d/%d), the reference %.5g (%d/%d): --ignore-rate "
                "pairs their frames by number anyway",
                rate_of(dis), dis->rate_num, dis->rate_den, rate_of(ref), ref->rate_num, ref->rate_den);

    double tolerance = rate_known(ref) ? 0.5 / rate_of(ref) : START_TOLERANCE_S;
    if (!o->ignore_start && start_known(ref) && start_known(dis) && fabs(ref->start_s - dis->start_s) > tolerance)
        problem(p, VMAFX_PAIR_START,
                "the distorted video starts at %.3f s, the reference at %.3f s: --ignore-start pairs their first "
                "frames anyway; --skip-reference or --skip-distorted drops frames at the start",
                dis->start_s, ref->start_s);
}

static void check_frames(const VmafxVideoInfo *ref, const VmafxVideoInfo *dis, const VmafxPairOptions *o, Problems *p)
{
    int64_t n_ref = ref->frames - o->skip_ref, n_dis = dis->frames - o->skip_dis;
    const char *skipped = o->skip_ref || o->skip_dis ? " after skipping" : "";

    if (o->accept_shorter || ref->frames <= 0 || dis->frames <= 0 || n_ref == n_dis)
        return;
    if (o->count > 0 && n_ref - o->first >= o->count && n_dis - o->first >= o->count)
        return;
    problem(p, VMAFX_PAIR_FRAMES,
            "the distorted video has %lld frames, the reference %lld%s: --accept-shorter scores those that both have",
            (long long)n_dis, (long long)n_ref, skipped);
}

size_t vmafx_pair_check(const VmafxVideoInfo *ref, const VmafxVideoInfo *dis, const VmafxPairOptions *options,
                        VmafxProblem problems[VMAFX_PAIR_PROBLEMS_MAX])
{
    Problems p = { problems, 0 };

    check_shape(ref, dis, options, &p);
    if (!options->strict)
        return p.n;
    check_colour(ref, dis, options, &p);
    check_time(ref, dis, options, &p);
    check_frames(ref, dis, options, &p);
    return p.n;
}
