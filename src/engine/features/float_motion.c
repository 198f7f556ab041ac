/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Motion in binary32: the mean absolute difference of the blurred reference and the blurred one before it. motion2 and
 * motion3 are derived a frame later, from a series that no report shows, because caps come after the minimum.
 */

#include <math.h>

#include "base/base.h"
#include "engine/extractor.h"
#include "engine/features/float_rows.h"

#define TAPS_MAX 5
#define PAD      16 /* samples beside a row; the filter needs 2, and rows are to lie at multiples of 64 bytes */
#define AT_ONCE  8  /* rows that are summed together */

enum {
    OPT_DEBUG,
    OPT_ADD_SCALE1,
    OPT_ADD_UV,
    OPT_BLEND_FACTOR,
    OPT_BLEND_OFFSET,
    OPT_FILTER,
    OPT_ZERO,
    OPT_FPS,
    OPT_MAX
};

static const VmafxOptionSpec options[] = {
    [OPT_DEBUG] = { .name = "debug", .type = VMAFX_OPTION_BOOL, .initial = 1, .max = 1 },
    [OPT_ADD_SCALE1] = { .name = "motion_add_scale1", .alias = "mdc", .type = VMAFX_OPTION_BOOL, .max = 1 },
    [OPT_ADD_UV] = { .name = "motion_add_uv", .alias = "mau", .type = VMAFX_OPTION_BOOL, .max = 1 },
    [OPT_BLEND_FACTOR] = { "motion_blend_factor", "mbf", VMAFX_OPTION_DOUBLE, 1, 0, 1, NULL },
    [OPT_BLEND_OFFSET] = { "motion_blend_offset", "mbo", VMAFX_OPTION_DOUBLE, 40, 0, 1000, NULL },
    [OPT_FILTER] = { "motion_filter_size", "mfs", VMAFX_OPTION_INT, 5, 0, 9, NULL },
    [OPT_ZERO] = { .name = "motion_force_zero", .alias = "force_0", .type = VMAFX_OPTION_BOOL, .max = 1 },
    [OPT_FPS] = { "motion_fps_weight", "mfw", VMAFX_OPTION_DOUBLE, 1, 0, 5, NULL },
    [OPT_MAX] = { "motion_max_val", "mmxv", VMAFX_OPTION_DOUBLE, 10000, 0, 10000, NULL },
};

enum { MOTION2, MOTION3, MOTION, RAW };

static const VmafxFeatureSpec features[] = {
    [MOTION2] = { .stored = "VMAF_feature_motion2_score", .report = "motion2", .derived = true },
    [MOTION3] = { .stored = "VMAF_feature_motion3_score", .report = "motion3", .derived = true },
    [MOTION] = { .stored = "VMAF_feature_motion_score", .report = "motion", .debug = true },
    [RAW] = { .stored = "float_motion", .report = "float_motion", .hidden = true },
};

typedef struct Filter {
    int n;
    float taps[TAPS_MAX];
} Filter;

static const Filter filters[] = {
    { 1, { 1 } },
    { 3, { 0.166378498F, 0.667243004F, 0.166378498F } },
    { 5, { 0.054488685F, 0.244201342F, 0.402619947F, 0.244201342F, 0.054488685F } },
};

/* Where sample k of a side of half n lies among n: between two samples, a fraction beyond the lower. */
typedef struct Between {
    int lower, upper;
    float fraction;
} Between;

typedef struct MotionPass {
    VmafxPassSetup setup;
    VmafxFloatRing rings[2];     /* by picture: rows of samples */
    float *column;               /* a row that was blurred down, padded */
    float *blurred[2][2];        /* by picture, upper and lower: rows blurred both ways */
    float *differences[AT_ONCE]; /* rows */
    Between *columns;            /* of a picture of half the size */
} MotionPass;

static bool reads_chroma(const VmafxInstance *instance)
{
    return instance->values[OPT_ADD_UV] != 0;
}

static VmafxErr check_shape(const VmafxInstance *instance, const VmafxShape *shape, VmafxErrInfo *reterr)
{
    int w, h;

    vmafx_shape_plane(shape, 1, &w, &h);
    if (reads_chroma(instance) && (!shape->chroma || w < 3 || h < 3))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                          "feature 'float_motion' with motion_add_uv needs chroma planes of at least 3x3");
    return VMAFX_OK;
}

static void pass_free(void *opaque)
{
    MotionPass *pass = opaque;

    for (int i = 0; i < 2; i++)
        vmafx_float_ring_done(&pass->rings[i]);
    free(pass->column);
    free(pass->columns);
    for (int i = 0; i < 4; i++)
        free(pass->blurred[i / 2][i % 2]);
    for (int i = 0; i < AT_ONCE; i++)
        free(pass->differences[i]);
    free(pass);
}

static VmafxErr pass_new(const VmafxPassSetup *setup, void **ret_pass)
{
    MotionPass *pass = calloc(1, sizeof *pass);
    size_t n = VMAFX_FLOATS_ROOM(setup->w);
    bool made = true;

    if (!pass)
        return VMAFX_ERR_NOMEM;
    *ret_pass = pass;
    pass->setup = *setup;
    for (int i = 0; i < 2; i++)
        made = vmafx_float_ring_init(&pass->rings[i], &setup->kernels->floats, setup->w, TAPS_MAX) && made;
    made = (pass->column = vmafx_alloc_aligned(n + 2 * PAD, sizeof(float))) && made;
    made = (pass->columns = calloc((size_t)setup->w, sizeof *pass->columns)) && made;
    for (int i = 0; i < 4; i++)
        made = (pass->blurred[i / 2][i % 2] = vmafx_alloc_aligned(n, sizeof(float))) && made;
    for (int i = 0; i < AT_ONCE; i++)
        made = (pass->differences[i] = vmafx_alloc_aligned(n, sizeof(float))) && made;
    return made ? VMAFX_OK : VMAFX_ERR_NOMEM;
}

/* Row y of the plane that the ring holds rows of. */
static void blur_row(const MotionPass *pass, VmafxFloatRing *ring, const Filter *filter, int y, float *ret)
{
    const VmafxFloatsKernels *k = &pass->setup.kernels->floats;
    const float *rows[TAPS_MAX] = { NULL };
    float *column = pass->column + PAD;
    int w = ring->plane->w, before = filter->n / 2;

    if (filter->n == 1) {
        vmafx_float_row(k, ring->plane, y, ret);
        return;
    }
    for (int t = 0; t < filter->n; t++)
        rows[t] = vmafx_float_ring_row(ring, vmafx_mirror(y + t - before, ring->plane->h));
    k->down(rows, filter->taps, filter->n, w, column);
    VMAFX_MIRROR_ROW(column, w, before);
    k->along(column, filter->taps, filter->n, 1, w, ret);
}

static void begin(MotionPass *pass, const VmafxPlane *a, const VmafxPlane *b)
{
    vmafx_float_ring_begin(&pass->rings[0], a, TAPS_MAX);
    vmafx_float_ring_begin(&pass->rings[1], b, TAPS_MAX);
}

static float mean_difference(MotionPass *pass, const VmafxPlane *a, const VmafxPlane *b, const Filter *filter)
{
    const VmafxFloatsKernels *k = &pass->setup.kernels->floats;
    float sums[AT_ONCE], sum = 0;
    int n = 0;

    begin(pass, a, b);
    for (int y = 0; y < a->h; y++) {
        for (int i = 0; i < 2; i++)
            blur_row(pass, &pass->rings[i], filter, y, pass->blurred[i][0]);
        k->difference(pass->blurred[0][0], pass->blurred[1][0], a->w, pass->differences[n++]);
        if (n < AT_ONCE && y + 1 < a->h)
            continue;
        k->sum((const float *const *)pass->differences, n, a->w, sums);
        for (int i = 0; i < n; i++)
            sum = sum + sums[i];
        n = 0;
    }
    return sum / (float)(a->w * (double)a->h);
}

static Between place(int k, int n, int n_half)
{
    float at = (float)((k + 0.5) * (double)(float)((double)n / n_half) - 0.5);
    int lower = vmafx_mirror((int)floorf(at), n), upper = vmafx_mirror((int)ceilf(at), n);

    return (Between){ lower, upper, at - (float)lower };
}

static float mix(float a, float b, float fraction)
{
    return (1 - fraction) * a + fraction * b;
}

/* The same of both blurred pictures at half their size. */
static float half_difference(MotionPass *pass, const VmafxPlane *a, const VmafxPlane *b, const Filter *filter)
{
    int w = (int)(a->w / 2.0 + 0.5), h = (int)(a->h / 2.0 + 0.5);
    float sum = 0;

    begin(pass, a, b);
    for (int x = 0; x < w; x++)
        pass->columns[x] = place(x, a->w, w);
    for (int y = 0; y < h; y++) {
        Between row = place(y, a->h, h);
        float row_sum = 0;

        for (int i = 0; i < 2; i++) {
            blur_row(pass, &pass->rings[i], filter, row.lower, pass->blurred[i][0]);
            blur_row(pass, &pass->rings[i], filter, row.upper, pass->blurred[i][1]);
        }
        for (int x = 0; x < w; x++) {
            Between column = pass->columns[x];
            float v[2];

            for (int i = 0; i < 2; i++) {
                const float *upper = pass->blurred[i][0], *lower = pass->blurred[i][1];
                v[i] = mix(mix(upper[column.lower], upper[column.upper], column.fraction),
                           mix(lower[column.lower], lower[column.upper], column.fraction), row.fraction);
            }
            row_sum = row_sum + fabsf(v[0] - v[1]);
        }
        sum = sum + row_sum;
    }
    return sum / (float)(w * (double)h);
}

static float motion_of(MotionPass *pass, const VmafxInstance *instance, const VmafxFrameInput *input)
{
    int size = (int)instance->values[OPT_FILTER];
    const Filter *filter = &filters[size == 1 ? 0 : size == 3 ? 1 : 2];
    int n_planes = reads_chroma(instance) ? 3 : 1;
    float motion = 0;

    for (int p = 0; p < n_planes; p++) {
        const VmafxPlane *now = &input->ref[p], *before = &input->earlier[0][p];

        motion = motion + mean_difference(pass, now, before, filter);
        if (instance->values[OPT_ADD_SCALE1] != 0)
            motion = motion + half_difference(pass, now, before, filter);
    }
    return motion;
}

static double capped(const VmafxInstance *instance, double v)
{
    return fmin(v, instance->values[OPT_MAX]);
}

static VmafxErr frame(void *opaque, const VmafxFrameInput *input, VmafxFeatureValues *ret_values)
{
    MotionPass *pass = opaque;

    for (size_t i = 0; i < pass->setup.n_instances; i++) {
        const VmafxInstance *instance = pass->setup.instances[i];
        bool moves = input->index > 0 && instance->values[OPT_ZERO] == 0;

        ret_values[i][RAW] = moves ? (double)motion_of(pass, instance, input) * instance->values[OPT_FPS] : 0;
        ret_values[i][MOTION] = capped(instance, ret_values[i][RAW]);
    }
    return VMAFX_OK;
}

static double raw_of(const VmafxInstance *instance, const VmafxSeries *series, uint32_t i)
{
    return vmafx_series_row(series, i)[instance->series[RAW]];
}

static void derive(const VmafxInstance *instance, const VmafxSeries *series, uint32_t from, uint32_t to, uint32_t n)
{
    double factor = instance->values[OPT_BLEND_FACTOR], offset = instance->values[OPT_BLEND_OFFSET];

    for (uint32_t i = from; i < to; i++) {
        double *row = vmafx_series_row(series, i), least = 0;

        if (i + 1 < n)
            least =
                i ? fmin(raw_of(instance, series, i), raw_of(instance, series, i + 1)) : raw_of(instance, series, 1);
        else if (i)
            least = raw_of(instance, series, i);
        row[instance->series[MOTION2]] = i ? capped(instance, least) : 0;
        row[instance->series[MOTION3]] = capped(instance, least * factor + (1 - factor) * fmin(offset, least));
    }
}

/* A frame needs the next one. */
static uint32_t settled(const VmafxInstance *instance, uint32_t done)
{
    (void)instance;
    return done > 1 ? done - 1 : 0;
}

static uint32_t context(const VmafxInstance *instance)
{
    return instance->values[OPT_ZERO] != 0 ? 0 : 1;
}

const VmafxExtractor vmafx_extractor_float_motion = {
    .name = "float_motion",
    .options = options,
    .n_options = VMAFX_LEN(options),
    .features = features,
    .n_features = VMAFX_LEN(features),
    .size_min = 3,
    .temporal = true,
    .check_shape = check_shape,
    .reads_chroma = reads_chroma,
    .pass_new = pass_new,
    .pass_free = pass_free,
    .frame = frame,
    .settled = settled,
    .derive = derive,
    .context = context,
};
