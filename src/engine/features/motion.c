/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Integer motion: how much the blurred reference differs from the one a frame (or two) earlier. motion2 and motion3
 * are derived a frame later, because a frame's value depends on the next one's, or on its being the last.
 */

#include <math.h>

#include "base/base.h"
#include "engine/extractor.h"
#include "engine/features/rows.h"

enum { OPT_DEBUG, OPT_BLEND_FACTOR, OPT_BLEND_OFFSET, OPT_FIVE, OPT_FORCE_ZERO, OPT_FPS_WEIGHT, OPT_MAX, OPT_AVERAGE };

static const VmafxOptionSpec options[] = {
    [OPT_DEBUG] = { "debug", NULL, VMAFX_OPTION_BOOL, 0, 0, 1, NULL },
    [OPT_BLEND_FACTOR] = { "motion_blend_factor", "mbf", VMAFX_OPTION_DOUBLE, 1, 0, 1, NULL },
    [OPT_BLEND_OFFSET] = { "motion_blend_offset", "mbo", VMAFX_OPTION_DOUBLE, 40, 0, 1000, NULL },
    [OPT_FIVE] = { "motion_five_frame_window", "mffw", VMAFX_OPTION_BOOL, 0, 0, 1, NULL },
    [OPT_FORCE_ZERO] = { "motion_force_zero", "force_0", VMAFX_OPTION_BOOL, 0, 0, 1, NULL },
    [OPT_FPS_WEIGHT] = { "motion_fps_weight", "mfw", VMAFX_OPTION_DOUBLE, 1, 0, 5, NULL },
    [OPT_MAX] = { "motion_max_val", "mmxv", VMAFX_OPTION_DOUBLE, 10000, 0, 10000, NULL },
    [OPT_AVERAGE] = { "motion_moving_average", "mma", VMAFX_OPTION_BOOL, 0, 0, 1, NULL },
};

enum { SAD, MOTION, MOTION2, MOTION3 };

static const VmafxFeatureSpec features[] = {
    [SAD] = { "VMAF_integer_feature_motion_sad_score", "VMAF_integer_feature_motion_sad_score", false, false, false,
              false },
    [MOTION] = { "VMAF_integer_feature_motion_score", "integer_motion", true, false, false, false },
    [MOTION2] = { "VMAF_integer_feature_motion2_score", "integer_motion2", false, true, false, false },
    [MOTION3] = { "VMAF_integer_feature_motion3_score", "integer_motion3", false, true, false, false },
};

typedef struct MotionPass {
    VmafxPassSetup setup;
    int16_t *storage[2]; /* a padded row each of halves and of bits */
} MotionPass;

/* Frames at the beginning that have nothing to be compared with. */
static uint32_t first_index(const VmafxInstance *instance)
{
    return instance->values[OPT_FIVE] ? 2 : 1;
}

static VmafxErr pass_new(const VmafxPassSetup *setup, void **ret_pass)
{
    MotionPass *pass = calloc(1, sizeof *pass);

    if (!pass)
        return VMAFX_ERR_NOMEM;
    pass->setup = *setup;
    *ret_pass = pass;
    for (int i = 0; i < 2; i++) {
        pass->storage[i] = vmafx_alloc_aligned((size_t)setup->w + 2 * VMAFX_MOTION_PAD, sizeof(int16_t));
        if (!pass->storage[i])
            return VMAFX_ERR_NOMEM;
    }
    return VMAFX_OK;
}

static void pass_free(void *opaque)
{
    MotionPass *pass = opaque;

    free(pass->storage[0]);
    free(pass->storage[1]);
    free(pass);
}

static uint64_t blurred_sad(const MotionPass *pass, const VmafxPlane *earlier, const VmafxPlane *current)
{
    const VmafxMotionKernels *k = &pass->setup.kernels->motion;
    int16_t *half = pass->storage[0] + VMAFX_MOTION_PAD, *bit = pass->storage[1] + VMAFX_MOTION_PAD;
    int w = current->w, h = current->h;
    uint64_t sad = 0;

    for (int y = 0; y < h; y++) {
        const void *p[VMAFX_MOTION_TAPS], *c[VMAFX_MOTION_TAPS];

        vmafx_prefetch_row(earlier, y + VMAFX_MOTION_PAD + 1, 0, (ptrdiff_t)w * (current->bpc > 8 ? 2 : 1));
        vmafx_prefetch_row(current, y + VMAFX_MOTION_PAD + 1, 0, (ptrdiff_t)w * (current->bpc > 8 ? 2 : 1));
        for (int i = 0; i < VMAFX_MOTION_TAPS; i++) {
            int from = vmafx_mirror(y + i - VMAFX_MOTION_PAD, h);
            p[i] = vmafx_plane_row(earlier, from);
            c[i] = vmafx_plane_row(current, from);
        }
        if (current->bpc == 8)
            k->vert8((const uint8_t *const *)p, (const uint8_t *const *)c, w, half, bit);
        else
            k->vert16((const uint16_t *const *)p, (const uint16_t *const *)c, current->bpc, w, half, bit);
        VMAFX_MIRROR_ROW(half, w, VMAFX_MOTION_PAD);
        VMAFX_MIRROR_ROW(bit, w, VMAFX_MOTION_PAD);
        sad += k->horz_sad(half, bit, w);
    }
    return sad;
}

static VmafxErr frame(void *opaque, const VmafxFrameInput *input, VmafxFeatureValues *ret_values)
{
    const MotionPass *pass = opaque;
    double mean[2] = { -1, -1 }; /* by distance to the earlier frame; computed once for all instances */

    for (size_t i = 0; i < pass->setup.n_instances; i++) {
        const VmafxInstance *instance = pass->setup.instances[i];
        uint32_t distance = first_index(instance);
        double sad = 0;

        if (input->index >= distance && !instance->values[OPT_FORCE_ZERO]) {
            double *known = &mean[distance - 1];
            if (*known < 0)
                *known = (double)blurred_sad(pass, input->earlier[distance - 1], input->ref) / 256.0 /
                         ((double)input->ref->w * input->ref->h);
            sad = fmin(*known * instance->values[OPT_FPS_WEIGHT], instance->values[OPT_MAX]);
        }
        ret_values[i][SAD] = ret_values[i][MOTION] = sad;
    }
    return VMAFX_OK;
}

static double processed(const VmafxInstance *instance, double m)
{
    double factor = instance->values[OPT_BLEND_FACTOR], offset = instance->values[OPT_BLEND_OFFSET];
    double blended = m * factor + (1.0 - factor) * fmin(offset, m);

    return fmin(blended, instance->values[OPT_MAX]);
}

static double sad_of(const VmafxInstance *instance, const VmafxSeries *series, uint32_t i)
{
    return vmafx_series_row(series, i)[instance->series[SAD]];
}

static double motion2_of(const VmafxInstance *instance, const VmafxSeries *series, uint32_t i, uint32_t n)
{
    if (i < first_index(instance))
        return 0.0;
    if (i == n - 1)
        return sad_of(instance, series, i);
    double next = sad_of(instance, series, i + 1);
    if (instance->values[OPT_FIVE])
        return i == 2 ? next : fmin(sad_of(instance, series, i - 1), next);
    return fmin(sad_of(instance, series, i), next);
}

/* motion3 before averaging. */
static double processed_at(const VmafxInstance *instance, const VmafxSeries *series, uint32_t i, uint32_t n)
{
    uint32_t first = first_index(instance);

    if (i >= first)
        return processed(instance, motion2_of(instance, series, i, n));
    /* borrowed from the first frame that has a value */
    return n > first ? processed(instance, sad_of(instance, series, first)) : 0.0;
}

static void derive(const VmafxInstance *instance, const VmafxSeries *series, uint32_t from, uint32_t to, uint32_t n)
{
    for (uint32_t i = from; i < to; i++) {
        double *row = vmafx_series_row(series, i), t = processed_at(instance, series, i, n);

        if (i >= first_index(instance) && instance->values[OPT_AVERAGE])
            t = (t + processed_at(instance, series, i - 1, n)) / 2.0;
        row[instance->series[MOTION2]] = motion2_of(instance, series, i, n);
        row[instance->series[MOTION3]] = t;
    }
}

/* A frame's motion2 needs the next one; frames before the first index need that one. */
static uint32_t settled(const VmafxInstance *instance, uint32_t done)
{
    return done > first_index(instance) ? done - 1 : 0;
}

/* A frame's SAD reaches back as far as the window; the minimum over a five-frame window takes the SAD before that, and
   the average the minimum before that. */
static uint32_t context(const VmafxInstance *instance)
{
    uint32_t window = instance->values[OPT_FIVE] ? 3 : 1;

    if (instance->values[OPT_FORCE_ZERO])
        return 0;
    return window + (instance->values[OPT_AVERAGE] ? 1 : 0);
}

const VmafxExtractor vmafx_extractor_motion = {
    .name = "motion",
    .options = options,
    .n_options = VMAFX_LEN(options),
    .features = features,
    .n_features = VMAFX_LEN(features),
    .size_min = 3,
    .temporal = true,
    .wide = true,
    .pass_new = pass_new,
    .pass_free = pass_free,
    .frame = frame,
    .settled = settled,
    .derive = derive,
    .context = context,
};
