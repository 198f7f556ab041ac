/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Intermediate golden values, to bisect a mismatch: planes, row sums and accumulators on the way to the features.
 * The passes run with a kernel table whose entries call the real kernels and note what goes in and comes out.
 *
 *     test_intermediate vif_motion_intermediate.jsonl adm_intermediate.json
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <zlib.h>

#include "base/base.h"
#include "clips.h"
#include "engine/engine_internal.h"
#include "engine/kernels/cpu.h"

static const char *vif_motion_file, *adm_file;
static VmafxKernels real;

static void put_le32(unsigned char *bytes, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        bytes[i] = (unsigned char)(v >> (8 * i));
}

/* ---- CRC-32 and plain sum of a plane ---- */

typedef struct Plane32 {
    uLong crc;
    int64_t sum;
} Plane32;

static void note(Plane32 *plane, int64_t v)
{
    unsigned char bytes[4];

    put_le32(bytes, (uint32_t)v);
    plane->crc = crc32(plane->crc, bytes, 4);
    plane->sum += v;
}

static json_t *plane_json(const Plane32 *plane)
{
    char hex[9];

    snprintf(hex, sizeof hex, "%08x", (unsigned)plane->crc);
    return json_pack("{s:s, s:I}", "crc32", hex, "sum", (json_int_t)plane->sum);
}

/* ---- VIF ---- */

enum { V_MU1, V_MU2, V_RR, V_DD, V_RD, MU1, MU2, XX, YY, XY, SIGMA1, SIGMA2, SIGMA12, N_PLANES };

static const char *const plane_names[N_PLANES] = { "v_mu1", "v_mu2", "v_rr", "v_dd",      "v_rd",      "mu1",    "mu2",
                                                   "xx",    "yy",    "xy",   "sigma1_sq", "sigma2_sq", "sigma12" };

typedef struct VifScale {
    int w, h;
    Plane32 planes[N_PLANES], image[2];
    int image_rows;
    json_t *rows;
    int64_t total[4];
} VifScale;

static VifScale vif_scales[4];

static int scale_of(const VmafxVifFilter *filter)
{
    return filter->n == 17 ? 0 : filter->n == 9 ? 1 : filter->n == 5 ? 2 : 3;
}

/* The second moment that a pair of rows holds. */
static uint32_t moment(const VmafxVifMoments *m, int i, ptrdiff_t x)
{
    return (uint32_t)m->row[VMAFX_VIF_E11_HI + 2 * i][x] << 16 | m->row[VMAFX_VIF_E11_LO + 2 * i][x];
}

static void note_moments(const VmafxVifFilter *filter, const VmafxVifMoments *m, int w)
{
    VifScale *s = &vif_scales[scale_of(filter)];

    for (int x = 0; x < w; x++) {
        note(&s->planes[V_MU1], m->row[VMAFX_VIF_M1][x]);
        note(&s->planes[V_MU2], m->row[VMAFX_VIF_M2][x]);
        for (int i = 0; i < 3; i++)
            note(&s->planes[V_RR + i], moment(m, i, x));
    }
}

static void vert8(const uint8_t *const *ref, const uint8_t *const *dis, const VmafxVifFilter *filter, int w, int n_rows,
                  const VmafxVifMoments *ret)
{
    real.vif.vert8(ref, dis, filter, w, n_rows, ret);
    for (int i = 0; i < n_rows; i++)
        note_moments(filter, &ret[i], w);
}

static void vert16(const uint16_t *const *ref, const uint16_t *const *dis, const VmafxVifFilter *filter, int mean_shift,
                   int square_shift, int w, int n_rows, const VmafxVifMoments *ret)
{
    real.vif.vert16(ref, dis, filter, mean_shift, square_shift, w, n_rows, ret);
    for (int i = 0; i < n_rows; i++)
        note_moments(filter, &ret[i], w);
}

static int current_scale;

static void horz(const VmafxVifMoments *in, const VmafxVifFilter *filter, int w, int32_t *s1, int32_t *s2, int32_t *s12)
{
    VifScale *s = &vif_scales[current_scale = scale_of(filter)];
    const int32_t *results[] = { s1, s2, s12 };

    real.vif.horz(in, filter, w, s1, s2, s12);
    for (int x = 0; x < w; x++) {
        for (int i = 0; i < 2; i++) {
            uint32_t sum = 0;
            for (int k = 0; k < filter->n; k++)
                sum += filter->taps[k] * (uint32_t)in->row[VMAFX_VIF_M1 + i][x + k - filter->n / 2];
            note(&s->planes[MU1 + i], sum);
        }
        for (int i = 0; i < 3; i++) {
            uint64_t sum = 32768;
            for (int k = 0; k < filter->n; k++)
                sum += (uint64_t)filter->taps[k] * moment(in, i, x + k - filter->n / 2);
            note(&s->planes[XX + i], (int64_t)(sum >> 16));
            note(&s->planes[SIGMA1 + i], results[i][x]);
        }
    }
    s->w = w;
    s->h++;
}

static void score(const int32_t *s1, const int32_t *s2, const int32_t *s12, int w, const uint16_t *table,
                  const double *limits, int n_limits, VmafxVifSums *sums, int64_t *numlog)
{
    VifScale *s = &vif_scales[current_scale];
    VmafxVifSums before = *sums;
    int64_t numlog_before = numlog[0];

    real.vif.score(s1, s2, s12, w, table, limits, n_limits, sums, numlog);
    int64_t row[4] = { numlog[0] - numlog_before, sums->denlog - before.denlog, sums->nonlog - before.nonlog,
                       sums->cnt - before.cnt };
    for (int i = 0; i < 4; i++)
        s->total[i] += row[i];
    json_array_append_new(s->rows, json_pack("[I,I,I,I]", (json_int_t)row[0], (json_int_t)row[1], (json_int_t)row[2],
                                             (json_int_t)row[3]));
}

/* In its two steps, to see what is between them. */
static void measure(const VmafxVifMoments *in, const VmafxVifFilter *filter, int w, const uint16_t *table,
                    const double *limits, int n_limits, VmafxVifSums *sums, int64_t *numlog)
{
    enum { WIDTH_MAX = 4096 };
    static int32_t s1[WIDTH_MAX], s2[WIDTH_MAX], s12[WIDTH_MAX];

    assert_true(w <= WIDTH_MAX);
    horz(in, filter, w, s1, s2, s12);
    score(s1, s2, s12, w, table, limits, n_limits, sums, numlog);
}

static void down_horz(const uint16_t *row, const VmafxVifFilter *filter, int w_out, uint16_t *ret)
{
    VifScale *s = &vif_scales[scale_of(filter)];

    real.vif.down_horz(row, filter, w_out, ret);
    for (int x = 0; x < w_out; x++)
        note(&s->image[s->image_rows % 2], ret[x]); /* reference and distorted rows alternate */
    s->image_rows++;
}

static json_t *hex_float(double v)
{
    char text[64];

    snprintf(text, sizeof text, "%a", v);
    return json_string(text);
}

static void append_vif(json_t *found, const char *clip, int frame, const VmafxFeatureValues values)
{
    for (int i = 0; i < 4; i++) {
        const VifScale *s = &vif_scales[i];
        json_t *image = json_pack("{s:s, s:s, s:i, s:i, s:i, s:i}", "clip", clip, "kind", "vif_image", "frame", frame,
                                  "scale", i, "w", s->w, "h", s->h);
        json_t *stat = json_pack("{s:s, s:s, s:i, s:i, s:i, s:i}", "clip", clip, "kind", "vif_stat", "frame", frame,
                                 "scale", i, "w", s->w, "h", s->h);

        json_object_set_new(image, "ref", plane_json(&s->image[0]));
        json_object_set_new(image, "dis", plane_json(&s->image[1]));
        for (int p = 0; p < N_PLANES; p++)
            json_object_set_new(stat, plane_names[p], plane_json(&s->planes[p]));
        json_object_set(stat, "rows", s->rows);
        json_object_set_new(stat, "total",
                            json_pack("[I,I,I,I]", (json_int_t)s->total[0], (json_int_t)s->total[1],
                                      (json_int_t)s->total[2], (json_int_t)s->total[3]));
        json_object_set_new(stat, "num", hex_float(values[7 + 2 * i])); /* the debug values of scale i */
        json_object_set_new(stat, "den", hex_float(values[8 + 2 * i]));
        json_array_append_new(found, image);
        json_array_append_new(found, stat);
    }
}

/* ---- Motion ---- */

static struct {
    Plane32 v, h;
    json_t *rows;
    int64_t sad;
} motion;

static void note_v(const int16_t *half, const int16_t *bit, int w)
{
    for (int x = 0; x < w; x++)
        note(&motion.v, 2 * half[x] + bit[x]);
}

static void motion_vert8(const uint8_t *const *earlier, const uint8_t *const *current, int w, int16_t *ret_half,
                         int16_t *ret_bit)
{
    real.motion.vert8(earlier, current, w, ret_half, ret_bit);
    note_v(ret_half, ret_bit, w);
}

static void motion_vert16(const uint16_t *const *earlier, const uint16_t *const *current, int bpc, int w,
                          int16_t *ret_half, int16_t *ret_bit)
{
    real.motion.vert16(earlier, current, bpc, w, ret_half, ret_bit);
    note_v(ret_half, ret_bit, w);
}

static uint64_t horz_sad(const int16_t *half, const int16_t *bit, int w)
{
    static const int64_t taps[5] = { 3571, 16004, 26386, 16004, 3571 };
    uint64_t sad = real.motion.horz_sad(half, bit, w);

    for (int x = 0; x < w; x++) {
        int64_t sum = 32768;
        for (int k = 0; k < 5; k++)
            sum += taps[k] * (2 * half[x + k - 2] + bit[x + k - 2]);
        note(&motion.h, sum >> 16);
    }
    json_array_append_new(motion.rows, json_integer((json_int_t)sad));
    motion.sad += (int64_t)sad;
    return sad;
}

static void append_motion(json_t *found, const char *clip, int frame, int w, int h)
{
    char v[9], crc_h[9];

    snprintf(v, sizeof v, "%08x", (unsigned)motion.v.crc);
    snprintf(crc_h, sizeof crc_h, "%08x", (unsigned)motion.h.crc);
    json_array_append_new(found, json_pack("{s:s, s:s, s:i, s:i, s:i, s:O, s:I, s:s, s:s}", "clip", clip, "kind",
                                           "motion", "frame", frame, "w", w, "h", h, "row_sad", motion.rows, "sad",
                                           (json_int_t)motion.sad, "v_crc32", v, "h_crc32", crc_h));
}

/* ---- Running a pass on a clip ---- */

static void *new_pass(const VmafxExtractor *extractor, const VmafxInstance **instance, const VmafxKernels *kernels,
                      int w, int h, int bpc, VmafxPassSetup *setup)
{
    void *pass = NULL;

    *setup = (VmafxPassSetup){
        .instances = instance, .n_instances = 1, .kernels = kernels, .w = w, .h = h, .bpc = bpc, .subsample = 1
    };
    assert_int_equal(extractor->pass_new(setup, &pass), VMAFX_OK);
    return pass;
}

static VmafxInstance default_instance(const VmafxExtractor *extractor, const VmafxOptions *options)
{
    VmafxInstance instance = { .extractor = extractor };

    assert_int_equal(vmafx_options_read(extractor->name, extractor->options, extractor->n_options, options, true,
                                        instance.values, NULL),
                     VMAFX_OK);
    return instance;
}

static void pack_plane(uint16_t *plane, size_t n, int bpc)
{
    for (size_t i = 0; bpc == 8 && i < n; i++)
        ((uint8_t *)plane)[i] = (uint8_t)plane[i];
}

static const struct {
    const char *name;
    Clip clip;
} vif_clips[] = {
    { "s01_16x16_8", { .w = 16, .h = 16, .bpc = 8, .ref = "wave 1", .dis = "blur" } },
    { "s18_33x21_16", { .w = 33, .h = 21, .bpc = 16, .ref = "wave 18", .dis = "blur" } },
    { "s19_17x17_10", { .w = 17, .h = 17, .bpc = 10, .ref = "wave 19", .dis = "contrast 3 2" } },
    { "s37_33x33_8", { .w = 33, .h = 33, .bpc = 8, .ref = "wave 37", .dis = "blur" } },
};

static void run_vif_motion(json_t *found, const char *name, Clip clip)
{
    enum { FRAMES = 3, PIXELS = 33 * 33 };
    static uint16_t ref[FRAMES][PIXELS], dis[PIXELS];
    VmafxKernels kernels = real;
    VmafxInstance vif = default_instance(&vmafx_extractor_vif, NULL),
                  mot = default_instance(&vmafx_extractor_motion, NULL);
    const VmafxInstance *vif_p = &vif, *mot_p = &mot;
    VmafxPassSetup setups[2];

    kernels.vif.vert8 = vert8;
    kernels.vif.vert16 = vert16;
    kernels.vif.horz = horz;
    kernels.vif.score = score;
    kernels.vif.measure = measure;
    kernels.vif.down_horz = down_horz;
    kernels.motion = (VmafxMotionKernels){ motion_vert8, motion_vert16, horz_sad };
    void *vif_pass = new_pass(&vmafx_extractor_vif, &vif_p, &kernels, clip.w, clip.h, clip.bpc, &setups[0]);
    void *motion_pass = new_pass(&vmafx_extractor_motion, &mot_p, &kernels, clip.w, clip.h, clip.bpc, &setups[1]);

    for (int t = 0; t < FRAMES; t++) {
        size_t n = (size_t)clip.w * (size_t)clip.h;
        VmafxPlane planes[3] = { { ref[t], clip.w * (clip.bpc > 8 ? 2 : 1), clip.w, clip.h, clip.bpc } };
        VmafxFeatureValues values[1];

        planes[2] = planes[1] = planes[0];
        planes[1].data = dis;
        planes[2].data = ref[VMAFX_MAX(t - 1, 0)];
        memset(vif_scales, 0, sizeof vif_scales);
        memset(&motion, 0, sizeof motion);
        assert_true(clip_frame(&clip, t, ref[t], dis));
        for (size_t i = 0; i < n; i++) {
            note(&vif_scales[0].image[0], ref[t][i]);
            note(&vif_scales[0].image[1], dis[i]);
        }
        for (int s = 0; s < 4; s++)
            vif_scales[s].rows = json_array();
        motion.rows = json_array();
        pack_plane(ref[t], n, clip.bpc);
        pack_plane(dis, n, clip.bpc);

        VmafxFrameInput input = {
            .index = (uint32_t)t, .ref = &planes[0], .dis = &planes[1], .earlier = { t ? &planes[2] : NULL }
        };
        assert_int_equal(vmafx_extractor_motion.frame(motion_pass, &input, values), VMAFX_OK);
        assert_int_equal(vmafx_extractor_vif.frame(vif_pass, &input, values), VMAFX_OK);
        append_vif(found, name, t, values[0]);
        if (t)
            append_motion(found, name, t, clip.w, clip.h);
        for (int s = 0; s < 4; s++)
            json_decref(vif_scales[s].rows);
        json_decref(motion.rows);
    }
    vmafx_extractor_vif.pass_free(vif_pass);
    vmafx_extractor_motion.pass_free(motion_pass);
}

static bool is_in(json_t *list, json_t *one)
{
    json_t *other;
    size_t i;

    json_array_foreach(list, i, other) if (json_equal(one, other)) return true;
    return false;
}

static void check_vif_and_motion(unsigned cpu)
{
    json_t *found = json_array();
    FILE *f = fopen(vif_motion_file, "r");
    char line[16384];
    size_t wanted = 0;

    assert_non_null(f);
    vmafx_kernels_init(&real, cpu);
    for (size_t i = 0; i < VMAFX_LEN(vif_clips); i++)
        run_vif_motion(found, vif_clips[i].name, vif_clips[i].clip);
    while (fgets(line, sizeof line, f)) {
        json_t *want = json_loads(line, 0, NULL);
        assert_non_null(want);
        if (!is_in(found, want))
            fail_msg("not matched: %.300s", line);
        json_decref(want);
        wanted++;
    }
    fclose(f);
    assert_int_equal(wanted, json_array_size(found));
    json_decref(found);
}

static void vif_and_motion_match_at_every_step(void **state)
{
    (void)state;
    check_vif_and_motion(0);
    check_vif_and_motion(vmafx_cpu_detect());
}

/* ---- ADM ---- */

static const char band_letter[] = "HVD";

typedef struct Fnv {
    uint64_t hash;
} Fnv;

static void fnv_note(Fnv *fnv, int32_t v)
{
    unsigned char bytes[4];

    put_le32(bytes, (uint32_t)v);
    for (int i = 0; i < 4; i++)
        fnv->hash = ((fnv->hash ? fnv->hash : 0xcbf29ce484222325ull) ^ bytes[i]) * 0x100000001b3ull;
}

typedef struct AdmScale {
    int w, h, left, right, top, bottom; /* from the golden file */
    int wavelet_rows, split_rows, numerator_rows;
    Fnv bands[2][4]; /* by picture: A, H, V, D */
    Fnv r[3], a[3], thr[2];
    int64_t num[2][3];
    uint64_t den[3];
    uint32_t gains[3];
} AdmScale;

static AdmScale adm_scales[4];
static int adm_scale;

/* The bands of a row; the low-pass one is the finest scale's, `fine`, or another's. */
static void note_dwt(int n, const int16_t *fine, const int32_t *a, int32_t *const bands[3])
{
    if (adm_scales[adm_scale].wavelet_rows == 2 * adm_scales[adm_scale].h)
        adm_scale++;
    AdmScale *s = &adm_scales[adm_scale];
    Fnv *fnv = s->bands[s->wavelet_rows++ % 2]; /* reference and distorted rows alternate */
    assert_int_equal(n, s->w);
    for (int x = 0; x < n; x++) {
        fnv_note(&fnv[0], fine ? fine[x] : a[x]);
        for (int b = 0; b < 3; b++)
            fnv_note(&fnv[1 + b], bands[b][x]);
    }
}

static void dwt_horz_fine(const int16_t *lo, const int16_t *hi, int n, int16_t *ret_a, int32_t *const ret_bands[3])
{
    real.adm.dwt_horz_fine(lo, hi, n, ret_a, ret_bands);
    note_dwt(n, ret_a, NULL, ret_bands);
}

static void dwt_horz(const int32_t *lo, const int32_t *hi, int shift, int n, int32_t *ret_a,
                     int32_t *const ret_bands[3])
{
    real.adm.dwt_horz(lo, hi, shift, n, ret_a, ret_bands);
    note_dwt(n, NULL, ret_a, ret_bands);
}

static void note_split(int coarse, const int32_t *const o[3], const int32_t *const t[3], int n, double gain,
                       int32_t *const r[3], int32_t *const a[3])
{
    AdmScale *s = &adm_scales[adm_scale];
    int y = VMAFX_MAX(s->top - 1, 0) + s->split_rows++, x0 = s->left - VMAFX_MAX(s->left - 1, 0);

    real.adm.decouple[coarse](o, t, n, gain, r, a);
    if (y < s->top || y >= s->bottom)
        return;
    for (int b = 0; b < 3; b++)
        for (int x = 0; x < s->right - s->left; x++) {
            fnv_note(&s->r[b], r[b][x0 + x]);
            fnv_note(&s->a[b], a[b][x0 + x]);
        }
}

static void decouple_fine(const int32_t *const o[3], const int32_t *const t[3], int n, double gain, int32_t *const r[3],
                          int32_t *const a[3])
{
    note_split(0, o, t, n, gain, r, a);
}

static void decouple_coarse(const int32_t *const o[3], const int32_t *const t[3], int n, double gain,
                            int32_t *const r[3], int32_t *const a[3])
{
    note_split(1, o, t, n, gain, r, a);
}

static void numerator(int coarse, const int32_t *const x[3], const int32_t *const rows[3], const int32_t *z, int n,
                      const VmafxAdmGains *gains, int64_t sums[3])
{
    AdmScale *s = &adm_scales[adm_scale];
    int part = s->numerator_rows++ % 2, e = 0;

    real.adm.numerator[coarse](x, rows, z, n, gains, sums);
    while (1 << e < s->h)
        e++;
    for (int i = 0; i < n; i++) {
        int32_t thr = z[i];
        for (int j = 0; j < 3; j++)
            thr += rows[j][i - 1] + rows[j][i] + rows[j][i + 1];
        fnv_note(&s->thr[part], thr);
    }
    for (int b = 0; b < 3; b++) {
        s->num[part][b] += (sums[b] + (1 << (e - 1))) >> e;
        s->gains[b] = gains->r[b];
    }
}

static void numerator_fine(const int32_t *const x[3], const int32_t *const rows[3], const int32_t *z, int n,
                           const VmafxAdmGains *gains, int64_t sums[3])
{
    numerator(0, x, rows, z, n, gains, sums);
}

static void numerator_coarse(const int32_t *const x[3], const int32_t *const rows[3], const int32_t *z, int n,
                             const VmafxAdmGains *gains, int64_t sums[3])
{
    numerator(1, x, rows, z, n, gains, sums);
}

static void denominator(int coarse, const int32_t *const o[3], int n, int square, int cube, uint64_t sums[3])
{
    AdmScale *s = &adm_scales[adm_scale];
    int e = 0;

    real.adm.denominator[coarse](o, n, square, cube, sums);
    while (coarse && 1 << e < s->bottom - s->top) /* these clips are too small for a shift at the finest scale */
        e++;
    for (int b = 0; b < 3; b++)
        s->den[b] += (sums[b] + ((1ull << e) >> 1)) >> e;
}

static void denominator_fine(const int32_t *const o[3], int n, int square, int cube, uint64_t sums[3])
{
    denominator(0, o, n, square, cube, sums);
}

static void denominator_coarse(const int32_t *const o[3], int n, int square, int cube, uint64_t sums[3])
{
    denominator(1, o, n, square, cube, sums);
}

static uint32_t hash8(int x, int y, int k)
{
    uint32_t v = (73856093u * (uint32_t)x) ^ (19349663u * (uint32_t)y) ^ (83492791u * (uint32_t)k);

    return (v * 2654435761u) >> 24;
}

static int clamped(int64_t v, int peak)
{
    return (int)(v < 0 ? 0 : v > peak ? peak : v);
}

/* The three clips' formulas. */
static int ref_sample(int clip, int x, int y)
{
    switch (clip) {
    case 1:
        return (int)(16 + ((unsigned)(7 * x + 3 * y + (x * y >> 3)) & 127) + (hash8(x, y, 1) >> 4));
    case 2:
        return (int)(((unsigned)(x ^ y) & 15) * 40 + (unsigned)(2 * x + 3 * y) + (hash8(x, y, 3) >> 3));
    default:
        return (int)((unsigned)(37 * x * x + 53 * y * y + 4096 * ((x >> 4) + (y >> 4)) + 256 * (int)hash8(x, y, 4)) &
                     65535);
    }
}

static int dis_sample(int clip, int w, int x, int y)
{
    int r = ref_sample(clip, x, y);

    switch (clip) {
    case 1:
        return clamped(r + (int)(hash8(x, y, 2) >> 4) - 8, 255);
    case 2:
        return ((3 * r + ref_sample(clip, VMAFX_MIN(x + 1, w - 1), y)) >> 2) + 5;
    default:
        return ((x >> 3) + (y >> 3)) & 1 ? 65535 - r : clamped((int64_t)r * 9 / 8, 65535);
    }
}

static void check_hash(json_t *scale, const char *name, const Fnv *fnv)
{
    json_t *want = json_object_get(scale, name);
    char hex[17];

    snprintf(hex, sizeof hex, "%016llx", (unsigned long long)fnv->hash);
    if (want && strcmp(json_string_value(want), hex) != 0)
        fail_msg("scale %d: %s is %s, not %s", (int)json_integer_value(json_object_get(scale, "scale")), name, hex,
                 json_string_value(want));
}

static void check_sums(json_t *scale, const char *name, const int64_t sums[3])
{
    json_t *want = json_object_get(json_object_get(scale, name), "S");

    for (size_t b = 0; want && b < 3; b++)
        if (json_integer_value(json_array_get(want, b)) != sums[b])
            fail_msg("scale %d: %s S[%zu] is %lld", (int)json_integer_value(json_object_get(scale, "scale")), name, b,
                     (long long)sums[b]);
}

static void check_scale(json_t *want, const AdmScale *s)
{
    for (int b = 0; b < 4; b++)
        for (int picture = 0; picture < 2; picture++) {
            char name[] = { picture ? 'd' : 'r',          picture ? 'i' : 'e',
                            picture ? 's' : 'f',          '_',
                            b ? band_letter[b - 1] : 'A', 0 };
            check_hash(want, name, &s->bands[picture][b]);
        }
    for (int b = 0; b < 3; b++) {
        check_hash(want, (char[]){ 'r', '_', band_letter[b], 0 }, &s->r[b]);
        check_hash(want, (char[]){ 'a', '_', band_letter[b], 0 }, &s->a[b]);
        json_t *gain = json_array_get(json_object_get(want, "R"), (size_t)b);
        if (gain)
            assert_int_equal(json_integer_value(gain), s->gains[b]);
    }
    check_hash(want, "thr_dlm", &s->thr[0]);
    check_hash(want, "thr_aim", &s->thr[1]);
    check_sums(want, "dlm_num", s->num[0]);
    check_sums(want, "aim_num", s->num[1]);
    check_sums(want, "den", (const int64_t *)s->den);
}

static int int_member(json_t *object, const char *key)
{
    return (int)json_integer_value(json_object_get(object, key));
}

static void load_windows(json_t *scales)
{
    json_t *one;
    size_t i;

    memset(adm_scales, 0, sizeof adm_scales);
    adm_scale = 0;
    json_array_foreach(scales, i, one)
    {
        json_t *window = json_object_get(one, "window");
        adm_scales[i] = (AdmScale){ int_member(one, "W"),
                                    int_member(one, "H"),
                                    int_member(window, "left"),
                                    int_member(window, "right"),
                                    int_member(window, "top"),
                                    int_member(window, "bottom"),
                                    0,
                                    0,
                                    0,
                                    { { { 0 } } },
                                    { { 0 } },
                                    { { 0 } },
                                    { { 0 } },
                                    { { 0 } },
                                    { 0 },
                                    { 0 } };
    }
}

static size_t options_of(json_t *json, VmafxOption *items)
{
    const char *key;
    json_t *value;
    size_t n = 0;

    json_object_foreach(json, key, value) items[n++] = (VmafxOption){ (char *)key, (char *)json_string_value(value) };
    return n;
}

static void check_features(json_t *want, const VmafxPlane *ref, const VmafxPlane *dis, VmafxOptions options)
{
    VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = NULL;
    const char *name;
    json_t *value;
    size_t i = 0;

    options.items[options.n++] = (VmafxOption){ (char *)"debug", (char *)"true" };
    assert_int_equal(vmafx_engine_new(&(VmafxEngineSettings){ .threads = 1 }, &engine), VMAFX_OK);
    assert_int_equal(vmafx_engine_add_feature(engine, "adm", &options, true, NULL), VMAFX_OK);
    assert_int_equal(vmafx_engine_push(engine, ref, dis, NULL), VMAFX_OK);
    assert_int_equal(vmafx_engine_finish(engine, NULL), VMAFX_OK);
    json_object_foreach(want, name, value)
    {
        double got;
        assert_string_equal(vmafx_engine_series_name(engine, i), name); /* in order of emission */
        assert_true(vmafx_engine_value(engine, i, 0, &got));
        if (got != json_number_value(value))
            fail_msg("%s is %.17g, not %.17g", name, got, json_number_value(value));
        i++;
    }
    assert_int_equal(i, vmafx_engine_series(engine));
}

static void check_run(json_t *run, const VmafxPlane *ref, const VmafxPlane *dis)
{
    VmafxOption items[16];
    VmafxOptions options = { items, options_of(json_object_get(run, "options"), items) };
    VmafxInstance instance = default_instance(&vmafx_extractor_adm, &options);
    const VmafxInstance *instance_p = &instance;
    VmafxFrameInput input = { .ref = ref, .dis = dis };
    VmafxKernels kernels = real;
    VmafxFeatureValues values[1];
    VmafxPassSetup setup;
    json_t *one;
    size_t i;

    kernels.adm.dwt_horz_fine = dwt_horz_fine;
    kernels.adm.dwt_horz = dwt_horz;
    kernels.adm.decouple[0] = decouple_fine;
    kernels.adm.decouple[1] = decouple_coarse;
    kernels.adm.numerator[0] = numerator_fine;
    kernels.adm.numerator[1] = numerator_coarse;
    kernels.adm.denominator[0] = denominator_fine;
    kernels.adm.denominator[1] = denominator_coarse;
    load_windows(json_object_get(run, "scales"));
    void *pass = new_pass(&vmafx_extractor_adm, &instance_p, &kernels, ref->w, ref->h, ref->bpc, &setup);
    assert_int_equal(vmafx_extractor_adm.frame(pass, &input, values), VMAFX_OK);
    vmafx_extractor_adm.pass_free(pass);
    json_array_foreach(json_object_get(run, "scales"), i, one) check_scale(one, &adm_scales[i]);
    check_features(json_object_get(run, "features"), ref, dis, options);
}

static void check_adm(unsigned cpu)
{
    enum { PIXELS = 161 * 99 };
    static uint16_t ref[PIXELS], dis[PIXELS];
    json_t *file = json_load_file(adm_file, 0, NULL), *clip, *run;
    size_t i, j;

    assert_non_null(file);
    vmafx_kernels_init(&real, cpu);
    json_array_foreach(json_object_get(file, "clips"), i, clip)
    {
        int w = int_member(clip, "width"), h = int_member(clip, "height"), bpc = int_member(clip, "bitdepth");
        Fnv hashes[2] = { { 0 }, { 0 } };

        for (int y = 0; y < h; y++)
            for (int x = 0; x < w; x++) {
                fnv_note(&hashes[0], ref[y * w + x] = (uint16_t)ref_sample((int)i + 1, x, y));
                fnv_note(&hashes[1], dis[y * w + x] = (uint16_t)dis_sample((int)i + 1, w, x, y));
            }
        check_hash(clip, "ref", &hashes[0]);
        check_hash(clip, "dis", &hashes[1]);
        pack_plane(ref, (size_t)w * (size_t)h, bpc);
        pack_plane(dis, (size_t)w * (size_t)h, bpc);
        VmafxPlane planes[2] = { { ref, w * (bpc > 8 ? 2 : 1), w, h, bpc }, { dis, w * (bpc > 8 ? 2 : 1), w, h, bpc } };
        json_array_foreach(json_object_get(clip, "runs"), j, run) check_run(run, &planes[0], &planes[1]);
    }
    assert_int_equal(i, 3);
    json_decref(file);
}

static void adm_matches_at_every_step(void **state)
{
    (void)state;
    check_adm(0);
    check_adm(vmafx_cpu_detect());
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vif_and_motion_match_at_every_step),
        cmocka_unit_test(adm_matches_at_every_step),
    };

    if (argc != 3)
        return 2;
    vif_motion_file = argv[1];
    adm_file = argv[2];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
