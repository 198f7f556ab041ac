/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Row kernels: tables the specification gives check values for, and every variant this machine can run against the
 * plain C one. Rows lie at odd alignments and end where one more read would fault.
 */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "base/base.h"
#include "engine/features/adm_csf.h"
#include "kernel_cases.h"

static void the_logarithm_table_has_the_specified_sum_and_crc(void **state)
{
    const uint16_t *table = vmafx_vif_log2_table();
    uint64_t sum = 0;
    uLong crc = crc32(0, NULL, 0);

    (void)state;
    for (int i = 0; i < 32768; i++) {
        unsigned char bytes[2] = { (unsigned char)(table[i] & 255), (unsigned char)(table[i] >> 8) };
        sum += table[i];
        crc = crc32(crc, bytes, 2);
    }
    assert_int_equal(table[0], 30720);
    assert_int_equal(table[32767], 32768);
    assert_int_equal(sum, 1044032097);
    assert_int_equal(crc, 0x42ad4d4f);
}

static uint32_t bits_of(float v)
{
    uint32_t bits;

    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static void contrast_gains_have_the_specified_bits(void **state)
{
    static const struct {
        double distance;
        int height;
        uint32_t hv[VMAFX_ADM_SCALES], d[VMAFX_ADM_SCALES];
    } watson[] = {
        { 3,
          1080,
          { 0x3C8E63BA, 0x3D030286, 0x3D31A788, 0x3D3B140B },
          { 0x3BC106AA, 0x3C6A46A3, 0x3CC7DC06, 0x3D0041C9 } },
        { 1.5,
          2160,
          { 0x3C8E63BA, 0x3D030286, 0x3D31A788, 0x3D3B140B },
          { 0x3BC106AA, 0x3C6A46A3, 0x3CC7DC06, 0x3D0041C9 } },
        { 4.5,
          1080,
          { 0x3C0900B7, 0x3C8D3D90, 0x3CD69A58, 0x3CFD36AC },
          { 0x3B278D88, 0x3BE3DC1F, 0x3C59CE43, 0x3C9C9D17 } },
        { 5,
          1080,
          { 0x3BE01B27, 0x3C6DF82C, 0x3CBA3608, 0x3CE24E24 },
          { 0x3B056BFF, 0x3BBAE33C, 0x3C380033, 0x3C884687 } },
        { 3,
          2160,
          { 0x3B9C9727, 0x3C2F0107, 0x3C9020AE, 0x3CB85A7D },
          { 0x3AB2046C, 0x3B833860, 0x3C07F943, 0x3C53FB42 } },
        { 5,
          2160,
          { 0x3AD58CC4, 0x3B89B809, 0x3C02E601, 0x3C413B97 },
          { 0x39D53C8A, 0x3AB566E3, 0x3B58F066, 0x3BC32932 } },
    };
    static const uint32_t barten[VMAFX_ADM_SCALES] = { 0x3F9AF18D, 0x40A159E3, 0x416A0875, 0x41D7CE9B };
    VmafxAdmCsf csf;

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(watson); i++) {
        VmafxAdmCsfSettings settings = { 0, watson[i].distance, watson[i].height, 1, 1 };
        assert_int_equal(vmafx_adm_csf(&settings, &csf, NULL), VMAFX_OK);
        for (int s = 0; s < VMAFX_ADM_SCALES; s++) {
            assert_int_equal(bits_of(csf.hv[s]), watson[i].hv[s]);
            assert_int_equal(bits_of(csf.d[s]), watson[i].d[s]);
        }
    }
    assert_int_equal(vmafx_adm_csf(&(VmafxAdmCsfSettings){ 1, 3, 1080, 1, 1 }, &csf, NULL), VMAFX_OK);
    for (int s = 0; s < VMAFX_ADM_SCALES; s++)
        assert_int_equal(bits_of(csf.hv[s]), barten[s]);
}

/* Kernels read the samples their contract names and no others, at every width from one up. */
static void vertical_kernels_stay_within_their_rows(void **state)
{
    enum { WIDTH = 67 };
    static const VmafxVifFilter filter = { 3, { 10904, 43728, 10904 } };
    VmafxKernels k;
    uint16_t out[VMAFX_VIF_MOMENTS][WIDTH];
    int32_t lo[WIDTH], hi[WIDTH];
    int16_t half[WIDTH], bit[WIDTH]; /* or what else a kernel gives in 16 bits */
    uint16_t down[WIDTH];
    VmafxVifMoments moments;

    (void)state;
    vmafx_kernels_init(&k, 0);
    for (int i = 0; i < VMAFX_VIF_MOMENTS; i++)
        moments.row[i] = out[i];
    for (int w = 1; w <= WIDTH; w++) {
        const uint8_t *row8 = guarded((size_t)w);
        const uint16_t *row16 = guarded(2 * (size_t)w);
        const int32_t *row32 = guarded(4 * (size_t)w);
        const uint8_t *rows8[] = { row8, row8, row8, row8, row8 };
        const uint16_t *rows16[] = { row16, row16, row16, row16, row16 };
        const int32_t *rows32[] = { row32, row32, row32, row32 };

        k.vif.vert8(rows8, rows8, &filter, w, 1, &moments);
        k.vif.vert16(rows16, rows16, &filter, 16, 16, w, 1, &moments);
        k.vif.down_vert8(rows8, &filter, w, down);
        k.vif.down_vert16(rows16, &filter, 16, w, down);
        k.motion.vert8(rows8, rows8, w, half, bit);
        k.motion.vert16(rows16, rows16, 16, w, half, bit);
        k.adm.dwt_vert8(rows8, w, half, bit);
        k.adm.dwt_vert16(rows16, 16, w, half, bit);
        k.adm.dwt_vert_second((const int16_t *const *)rows16, w, lo, hi);
        k.adm.dwt_vert(rows32, w, lo, hi);
        assert_int_equal(out[0][w - 1], 0); /* the rows are all zero */
    }
}

/* A filter whose taps sum to one keeps a flat row, whatever its length and depth. */
static void flat_rows_stay_flat(void **state)
{
    enum { WIDTH = 33 };
    static const VmafxVifFilter filter = { 9, { 1244, 3663, 7925, 12590, 14692, 12590, 7925, 3663, 1244 } };
    VmafxKernels k;
    uint16_t row[WIDTH + 16], out[WIDTH];
    const uint16_t *rows[9];

    (void)state;
    vmafx_kernels_init(&k, 0);
    for (int bpc = 9; bpc <= 16; bpc++) {
        uint16_t v = (uint16_t)(1u << (bpc - 1));

        for (int i = 0; i < WIDTH + 16; i++)
            row[i] = v;
        for (int i = 0; i < 9; i++)
            rows[i] = row;
        k.vif.down_vert16(rows, &filter, bpc, WIDTH, out);
        for (int x = 0; x < WIDTH; x++)
            assert_int_equal(out[x], 32768);
    }
}

/* ---- Every variant against the plain one ---- */

static const VmafxVifFilter vif_filters[] = {
    { 17, { 489, 935, 1640, 2640, 3896, 5274, 6547, 7455, 7784, 7455, 6547, 5274, 3896, 2640, 1640, 935, 489 } },
    { 9, { 1244, 3663, 7925, 12590, 14692, 12590, 7925, 3663, 1244 } },
    { 5, { 3571, 16004, 26386, 16004, 3571 } },
    { 3, { 10904, 43728, 10904 } },
};

typedef struct MomentRows {
    uint16_t storage[VMAFX_VIF_MOMENTS][MARGIN + WIDTH_MAX + MARGIN + VMAFX_VIF_SLACK];
    VmafxVifMoments moments;
} MomentRows;

static void init_moments(MomentRows *rows)
{
    memset(rows->storage, 0, sizeof rows->storage);
    for (int i = 0; i < VMAFX_VIF_MOMENTS; i++)
        rows->moments.row[i] = rows->storage[i] + MARGIN;
}

static void vif_vertical_variants_equal_the_plain_kernels(void **state)
{
    static MomentRows want[2], got[2];

    (void)state;
    EACH_CASE(k, w, kind)
    for (int n_rows = 1; n_rows <= 2; n_rows++) {
        const uint8_t *ref8[ROWS], *dis8[ROWS];
        const uint16_t *ref16[ROWS], *dis16[ROWS];
        static const int depths[] = { 9, 10, 12, 16 };
        VmafxVifMoments want_rows[2], got_rows[2];

        for (int i = 0; i < 2; i++) {
            init_moments(&want[i]);
            init_moments(&got[i]);
            want_rows[i] = want[i].moments;
            got_rows[i] = got[i].moments;
        }
        make_rows8(ref8, w, kind);
        make_rows8(dis8, w, (kind + n_rows) % N_FILLS);
        for (size_t f = 0; f < VMAFX_LEN(vif_filters); f++) {
            const VmafxVifFilter *filter = &vif_filters[f];
            const uint8_t *r[ROWS + 1], *d[ROWS + 1];

            memset(r, 0, sizeof r); /* rows that are not needed are not touched */
            memset(d, 0, sizeof d);
            memcpy(r, ref8, ((size_t)filter->n + (size_t)n_rows - 1) * sizeof *r);
            memcpy(d, dis8, ((size_t)filter->n + (size_t)n_rows - 1) * sizeof *d);
            c.vif.vert8(r, d, filter, w, n_rows, want_rows);
            k.vif.vert8(r, d, filter, w, n_rows, got_rows);
            assert_memory_equal(want[0].storage, got[0].storage, sizeof want[0].storage);
            assert_memory_equal(want[1].storage, got[1].storage, sizeof want[1].storage);
            c.vif.down_vert8(ref8, filter, w, want_rows[0].row[0]);
            k.vif.down_vert8(ref8, filter, w, got_rows[0].row[0]);
            assert_memory_equal(want[0].storage, got[0].storage, sizeof want[0].storage);
        }
        release_rows((const void *const *)ref8);
        release_rows((const void *const *)dis8);

        for (size_t f = 0; f < VMAFX_LEN(vif_filters); f++) {
            const VmafxVifFilter *filter = &vif_filters[f];
            int depth = depths[(f + (size_t)w) % 4];
            const uint16_t *r[ROWS + 1], *d[ROWS + 1];

            make_rows16(ref16, w, kind, (1u << depth) - 1);
            make_rows16(dis16, w, (kind + w) % N_FILLS, (1u << depth) - 1);
            memset(r, 0, sizeof r);
            memset(d, 0, sizeof d);
            memcpy(r, ref16, ((size_t)filter->n + (size_t)n_rows - 1) * sizeof *r);
            memcpy(d, dis16, ((size_t)filter->n + (size_t)n_rows - 1) * sizeof *d);
            c.vif.vert16(r, d, filter, depth, 2 * (depth - 8), w, n_rows, want_rows);
            k.vif.vert16(r, d, filter, depth, 2 * (depth - 8), w, n_rows, got_rows);
            assert_memory_equal(want[0].storage, got[0].storage, sizeof want[0].storage);
            assert_memory_equal(want[1].storage, got[1].storage, sizeof want[1].storage);
            c.vif.down_vert16(ref16, filter, depth, w, want_rows[0].row[0]);
            k.vif.down_vert16(ref16, filter, depth, w, got_rows[0].row[0]);
            assert_memory_equal(want[0].storage, got[0].storage, sizeof want[0].storage);
            release_rows((const void *const *)ref16);
            release_rows((const void *const *)dis16);
        }
    }
}

/* Sums of a whole row, over moments as they are: most give wild variances. */
static void check_measure(const VmafxVifKernels *c, const VmafxVifKernels *k, const VmafxVifMoments *in,
                          const VmafxVifFilter *filter, int w)
{
    static const double limits[] = { 100, 1 };
    VmafxVifSums want = { 1, 2, 3 }, got = want;
    int64_t num_want[2] = { 4, 5 }, num_got[2] = { 4, 5 };

    c->measure(in, filter, w, vmafx_vif_log2_table(), limits, 2, &want, num_want);
    k->measure(in, filter, w, vmafx_vif_log2_table(), limits, 2, &got, num_got);
    assert_memory_equal(&want, &got, sizeof want);
    assert_memory_equal(num_want, num_got, sizeof num_want);
}

static void vif_horizontal_variants_equal_the_plain_kernels(void **state)
{
    static MomentRows in;
    int32_t want[3][WIDTH_MAX], got[3][WIDTH_MAX];

    (void)state;
    EACH_CASE(k, w, kind)
    {
        init_moments(&in);
        for (int i = 0; i < VMAFX_VIF_MOMENTS; i++)
            for (int x = -VMAFX_VIF_PAD; x < w + VMAFX_VIF_PAD; x++)
                in.moments.row[i][x] = (uint16_t)fill(kind, x, 65535);
        for (size_t f = 0; f < VMAFX_LEN(vif_filters); f++) {
            memset(want, 0, sizeof want);
            memset(got, 0, sizeof got);
            c.vif.horz(&in.moments, &vif_filters[f], w, want[0], want[1], want[2]);
            k.vif.horz(&in.moments, &vif_filters[f], w, got[0], got[1], got[2]);
            assert_memory_equal(want, got, sizeof want);
            check_measure(&c.vif, &k.vif, &in.moments, &vif_filters[f], w);
            memset(want, 0, sizeof want);
            memset(got, 0, sizeof got);
            c.vif.down_horz(in.moments.row[0], &vif_filters[f], w / 2, (uint16_t *)want[0]);
            k.vif.down_horz(in.moments.row[0], &vif_filters[f], w / 2, (uint16_t *)got[0]);
            assert_memory_equal(want, got, sizeof want);
        }
    }
}

/* Variances of all magnitudes, negative ones too. */
static int32_t wild(int kind, int i)
{
    uint32_t bits = next_random() << 16 ^ next_random();

    switch (kind) {
    case 0:
        return (int32_t)bits >> (bits % 31);
    case 1:
        return 0;
    case 2:
        return INT32_MAX;
    case 3:
        return i & 1 ? INT32_MAX : VMAFX_VIF_NSQ - 1 + i % 3;
    default:
        return VMAFX_VIF_NSQ + (int32_t)(bits % 1000) - 500;
    }
}

static void vif_score_variants_equal_the_plain_kernels(void **state)
{
    static const double limits[] = { 100, 1, 1.2, 1.05, 50, 2, 3, 99.5, 1.5 };
    int32_t s1[WIDTH_MAX], s2[WIDTH_MAX], s12[WIDTH_MAX];

    (void)state;
    EACH_CASE(k, w, kind)
    {
        for (int x = 0; x < w; x++) {
            s1[x] = wild(kind, x);
            s2[x] = wild((kind + x) % N_FILLS, x);
            s12[x] = wild((kind + w) % N_FILLS, x);
        }
        for (int n = 1; n <= (int)VMAFX_LEN(limits); n++) {
            VmafxVifSums want = { 1, 2, 3 }, got = want;
            int64_t num_want[9] = { 5 }, num_got[9] = { 5 };

            c.vif.score(s1, s2, s12, w, vmafx_vif_log2_table(), limits, n, &want, num_want);
            k.vif.score(s1, s2, s12, w, vmafx_vif_log2_table(), limits, n, &got, num_got);
            assert_memory_equal(&want, &got, sizeof want);
            assert_memory_equal(num_want, num_got, sizeof num_want);
        }
    }
}

/* Whatever way a variant takes to the logarithm: every entry of the table, with several powers of two. */
static void vif_logarithms_equal_the_table(void **state)
{
    enum { AT_ONCE = 64 };
    unsigned levels[3];
    size_t n_levels = variants(levels);
    VmafxKernels c, k;

    (void)state;
    vmafx_kernels_init(&c, 0);
    for (size_t l = 0; l < n_levels; l++) {
        vmafx_kernels_init(&k, levels[l]);
        for (int e = 3; e <= 15; e += 3)
            for (int64_t i = 32768; i < 65536; i += AT_ONCE) {
                static const double limits[] = { 100 };
                int32_t s1[AT_ONCE], s2[AT_ONCE], s12[AT_ONCE];
                VmafxVifSums want = { 0 }, got = { 0 };
                int64_t num_want = 0, num_got = 0;

                for (int x = 0; x < AT_ONCE; x++) { /* one at a time, so that no error makes up for another */
                    int32_t dropped = x & 1 ? (1 << e) - 1 : 0; /* bits that do not count */
                    s1[x] = (int32_t)((i + x) << e) + dropped - VMAFX_VIF_NSQ;
                    s2[x] = INT32_MAX - s1[x];
                    s12[x] = x % 3 ? s1[x] / 2 : -1;
                    c.vif.score(s1 + x, s2 + x, s12 + x, 1, vmafx_vif_log2_table(), limits, 1, &want, &num_want);
                    k.vif.score(s1 + x, s2 + x, s12 + x, 1, vmafx_vif_log2_table(), limits, 1, &got, &num_got);
                    assert_int_equal(want.denlog, got.denlog);
                    assert_int_equal(num_want, num_got);
                }
            }
    }
}

/* ---- Motion ---- */

static void motion_variants_equal_the_plain_kernels(void **state)
{
    enum { STRIDE = 2 + WIDTH_MAX + 2 };
    int16_t want[2][STRIDE], got[2][STRIDE];

    (void)state;
    EACH_CASE(k, w, kind)
    for (int depth = 8; depth <= 16; depth++) {
        const uint8_t *earlier8[ROWS], *current8[ROWS];
        const uint16_t *earlier16[ROWS], *current16[ROWS];

        if (depth > 8 && depth % 4 != w % 4) /* each depth at a quarter of the widths is enough */
            continue;
        memset(want, 0, sizeof want);
        memset(got, 0, sizeof got);
        if (depth == 8) {
            make_rows8(earlier8, w, kind);
            make_rows8(current8, w, (kind + w) % N_FILLS);
            c.motion.vert8(earlier8, current8, w, want[0] + 2, want[1] + 2);
            k.motion.vert8(earlier8, current8, w, got[0] + 2, got[1] + 2);
            release_rows((const void *const *)earlier8);
            release_rows((const void *const *)current8);
        } else {
            make_rows16(earlier16, w, kind, (1u << depth) - 1);
            make_rows16(current16, w, (kind + w) % N_FILLS, (1u << depth) - 1);
            c.motion.vert16(earlier16, current16, depth, w, want[0] + 2, want[1] + 2);
            k.motion.vert16(earlier16, current16, depth, w, got[0] + 2, got[1] + 2);
            release_rows((const void *const *)earlier16);
            release_rows((const void *const *)current16);
        }
        assert_memory_equal(want, got, sizeof want);
        for (int x = 0; x < STRIDE && depth % 2; x++) { /* whatever a filtered row can hold */
            want[0][x] = (int16_t)(fill(kind, x, 65535) - 32768);
            want[1][x] = (int16_t)fill(kind, x, 1);
        }
        assert_int_equal(c.motion.horz_sad(want[0] + 2, want[1] + 2, w),
                         k.motion.horz_sad(want[0] + 2, want[1] + 2, w));
    }
}

/* ---- ADM ---- */

enum { ADM_ROWS = 8, ADM_STRIDE = MARGIN + 2 * WIDTH_MAX + MARGIN };

typedef int32_t AdmRows[ADM_ROWS][ADM_STRIDE];

/* Within ±limit, of all magnitudes. */
static int32_t coefficient(int kind, int i, int32_t limit)
{
    int64_t v = (int64_t)(next_random() << 16 ^ next_random()) % (2 * (int64_t)limit + 1) - limit;

    switch (kind) {
    case 0:
        return (int32_t)v;
    case 1:
        return 0;
    case 2:
        return i % 5 ? limit : -limit;
    case 3:
        return (int32_t)v >> (next_random() % 31);
    default:
        return (int32_t)(v % 4);
    }
}

static void fill_adm(AdmRows rows, int kind, int32_t limit)
{
    for (int j = 0; j < ADM_ROWS; j++)
        for (int x = 0; x < ADM_STRIDE; x++)
            rows[j][x] = coefficient(kind, x + j, limit);
}

static void adm_wavelet_variants_equal_the_plain_kernels(void **state)
{
    static AdmRows in, want, got;
    static const int32_t limits[] = { 22931, 100000000, 2000000000 };
    static int16_t fine[2][ADM_STRIDE];

    (void)state;
    EACH_CASE(k, w, kind)
    {
        const uint8_t *rows8[ROWS];
        const uint16_t *rows16[ROWS];
        int depth = 9 + w % 8;

        memset(want, 0, sizeof want);
        memset(got, 0, sizeof got);
        make_rows8(rows8, w, kind);
        make_rows16(rows16, w, kind, (1u << depth) - 1);
        c.adm.dwt_vert8(rows8, w, (int16_t *)want[0], (int16_t *)want[1]);
        k.adm.dwt_vert8(rows8, w, (int16_t *)got[0], (int16_t *)got[1]);
        c.adm.dwt_vert_second((const int16_t *const *)rows16, w, want[4], want[5]);
        k.adm.dwt_vert_second((const int16_t *const *)rows16, w, got[4], got[5]);
        c.adm.dwt_vert16(rows16, depth, w, (int16_t *)want[2], (int16_t *)want[3]);
        k.adm.dwt_vert16(rows16, depth, w, (int16_t *)got[2], (int16_t *)got[3]);
        assert_memory_equal(want, got, sizeof want);
        release_rows((const void *const *)rows8);
        release_rows((const void *const *)rows16);

        for (int i = 0; i < 3; i++) {
            fill_adm(in, kind, limits[i]); /* the results fit 32 bits, as they must */
            const int32_t *rows[4] = { in[0], in[1], in[2], in[3] };
            c.adm.dwt_vert(rows, w, want[4], want[5]);
            k.adm.dwt_vert(rows, w, got[4], got[5]);
            assert_memory_equal(want, got, sizeof want);

            fill_adm(in, kind, i ? limits[i] / 3 : 27411); /* nor may these results be larger */
            int32_t *const bands_want[3] = { want[1], want[2], want[3] }, *const bands_got[3] = { got[1], got[2],
                                                                                                  got[3] };
            if (i) {
                c.adm.dwt_horz(in[0] + MARGIN, in[1] + MARGIN, i == 1 ? 15 : 16, w, want[0], bands_want);
                k.adm.dwt_horz(in[0] + MARGIN, in[1] + MARGIN, i == 1 ? 15 : 16, w, got[0], bands_got);
            } else {
                for (int j = 0; j < 2; j++)
                    for (int x = 0; x < ADM_STRIDE; x++)
                        fine[j][x] = (int16_t)in[j][x];
                c.adm.dwt_horz_fine(fine[0] + MARGIN, fine[1] + MARGIN, w, (int16_t *)want[0], bands_want);
                k.adm.dwt_horz_fine(fine[0] + MARGIN, fine[1] + MARGIN, w, (int16_t *)got[0], bands_got);
            }
            assert_memory_equal(want, got, sizeof want);
        }
    }
}

static void adm_decoupling_variants_equal_the_plain_kernels(void **state)
{
    static AdmRows in, want, got;
    static const double gains[] = { 100, 1, 1.2, 1.05 };

    (void)state;
    EACH_CASE(k, w, kind)
    for (int coarse = 0; coarse < 2; coarse++)
        for (size_t g = 0; g < VMAFX_LEN(gains); g++) {
            const int32_t *o[3] = { in[0], in[1], in[2] }, *t[3] = { in[3], in[4], in[5] };
            int32_t *const r_want[3] = { want[0], want[1], want[2] }, *const a_want[3] = { want[3], want[4], want[5] };
            int32_t *const r_got[3] = { got[0], got[1], got[2] }, *const a_got[3] = { got[3], got[4], got[5] };

            fill_adm(in, kind, coarse ? 2059800000 : 22931);
            for (int b = 0; b < 3 && w % 2; b++) /* nearly the same direction, where the angle flag decides */
                for (int x = 0; x < w; x++)
                    in[3 + b][x] = (int32_t)(in[b][x] * (0.5 + (double)(next_random() % 4) / 8)) + (x % 3 ? 0 : 1);
            for (int x = 0; x < w && w % 4 == 3 && kind == 0;
                 x++) { /* about one degree apart: the flag's very boundary */
                double size = coarse ? 4e8 : 9000, angle = 0.01745 + (x - w / 2) * 1e-7;
                in[0][x] = (int32_t)(size * cos(x));
                in[1][x] = (int32_t)(size * sin(x));
                in[3][x] = (int32_t)(size * cos(x + angle));
                in[4][x] = (int32_t)(size * sin(x + angle));
            }
            memset(want, 0, sizeof want);
            memset(got, 0, sizeof got);
            c.adm.decouple[coarse](o, t, w, gains[g], r_want, a_want);
            k.adm.decouple[coarse](o, t, w, gains[g], r_got, a_got);
            assert_memory_equal(want, got, sizeof want);
        }
}

static void adm_masking_variants_equal_the_plain_kernels(void **state)
{
    static AdmRows in, want, got;
    static const VmafxAdmGains gains[2][4] = {
        { { { 36453, 36453, 49417 }, { 7, 7, 8 } },
          { { 24809, 24809, 36087 }, { 0, 0, 1 } },
          { { 65535, 65535, 65535 }, { 3, 3, 4 } },
          { { 36454, 36454, 49416 }, { 7, 7, 8 } } }, /* times 8192 these lie halfway between two results */
        { { { 196165808, 196165808, 134487184 }, { 9, 9, 9 } },
          { { 2000000000, 2000000000, 1 }, { 5, 5, 5 } },
          { { 4000000000u, 4000000000u, 7 }, { 5, 5, 5 } },
          { { 1u << 27, 3u << 26, 1u << 25 }, { 9, 9, 9 } } },
    };

    (void)state;
    EACH_CASE(k, w, kind)
    for (int coarse = 0; coarse < 2; coarse++)
        for (int g = 0; g < 4; g++) {
            const VmafxAdmGains *gain = &gains[coarse][g];
            int64_t sums_want[3] = { 1, 2, 3 }, sums_got[3] = { 1, 2, 3 };
            uint64_t den_want[3] = { 4, 5, 6 }, den_got[3] = { 4, 5, 6 };

            fill_adm(in, kind, coarse ? 2059800000 : 22931);
            for (int j = 0; j < ADM_ROWS && g == 3; j++)
                for (int i = 0; i < ADM_STRIDE; i++)
                    in[j][i] = in[j][i] / 8192 * 8192;
            const int32_t *x[3] = { in[0] + MARGIN, in[1] + MARGIN, in[2] + MARGIN };
            memset(want, 0, sizeof want);
            memset(got, 0, sizeof got);
            for (int j = 0; j < 3; j++) { /* three rows of weights, of other columns of the same content */
                const int32_t *y[3] = { in[j], in[j + 1], in[j + 2] };
                c.adm.weigh[coarse](y, w + 2, gain, want[j] + MARGIN - 1, want[j + 3] + MARGIN - 1);
                k.adm.weigh[coarse](y, w + 2, gain, got[j] + MARGIN - 1, got[j + 3] + MARGIN - 1);
            }
            assert_memory_equal(want, got, sizeof want);
            const int32_t *n_rows[3] = { want[0] + MARGIN, want[1] + MARGIN, want[2] + MARGIN };
            c.adm.numerator[coarse](x, n_rows, want[4] + MARGIN, w, gain, sums_want);
            k.adm.numerator[coarse](x, n_rows, want[4] + MARGIN, w, gain, sums_got);
            assert_memory_equal(sums_want, sums_got, sizeof sums_want);
            c.adm.denominator[coarse](x, w, 31, 7, den_want);
            k.adm.denominator[coarse](x, w, 31, 7, den_got);
            assert_memory_equal(den_want, den_got, sizeof den_want);
        }
}

/* ---- PSNR ---- */

static void squared_error_variants_equal_the_plain_kernels(void **state)
{
    (void)state;
    EACH_CASE(k, w, kind)
    for (int other = 0; other < N_FILLS; other++) {
        static const uint32_t limits[] = { 1023, 4095, 65535 };
        const uint8_t *a8[ROWS], *b8[ROWS];
        const uint16_t *a16[ROWS], *b16[ROWS];
        uint32_t limit = limits[(w + other) % 3];

        make_rows8(a8, w, kind);
        make_rows8(b8, w, other);
        make_rows16(a16, w, kind, limit);
        make_rows16(b16, w, other, limit);
        assert_int_equal(c.sse.row8(a8[0], b8[1], w), k.sse.row8(a8[0], b8[1], w));
        assert_int_equal(c.sse.row16(a16[0], b16[1], w), k.sse.row16(a16[0], b16[1], w));
        if (limit <= 4095)
            assert_int_equal(c.sse.row12(a16[0], b16[1], w), k.sse.row12(a16[0], b16[1], w));
        release_rows((const void *const *)a8);
        release_rows((const void *const *)b8);
        release_rows((const void *const *)a16);
        release_rows((const void *const *)b16);
    }
}

/* The longest row with the largest differences. */
static void squared_errors_do_not_overflow(void **state)
{
    unsigned levels[3] = { 0 };
    size_t n = variants(levels);
    uint16_t *zero = calloc(VMAFX_DIMENSION_MAX, 2), *most = malloc(2 * VMAFX_DIMENSION_MAX);
    const uint64_t w = VMAFX_DIMENSION_MAX;

    (void)state;
    assert_true(zero && most);
    for (size_t i = 0; i <= n; i++) {
        VmafxKernels k;

        vmafx_kernels_init(&k, i < n ? levels[i] : 0);
        memset(most, 255, 2 * w);
        assert_int_equal(k.sse.row8((uint8_t *)zero, (uint8_t *)most, (int)w), w * 255 * 255);
        assert_int_equal(k.sse.row16(most, zero, (int)w), w * 65535 * 65535);
        for (size_t x = 0; x < w; x++)
            most[x] = 4095;
        assert_int_equal(k.sse.row12(zero, most, (int)w), w * 4095 * 4095);
    }
    free(zero);
    free(most);
}

/* ---- CAMBI ---- */

/* Codes in runs, as flat places have them. */
static uint16_t run_code(int kind, int x)
{
    return kind == 0 ? (uint16_t)(next_random() % 1025) : (uint16_t)(x / (3 * kind) % 3 + (x % 7 == kind));
}

static void cambi_row_variants_equal_the_plain_kernels(void **state)
{
    static uint8_t want[WIDTH_MAX], got[WIDTH_MAX], sums[2][WIDTH_MAX + 6];
    static uint16_t want16[WIDTH_MAX], got16[WIDTH_MAX];

    (void)state;
    EACH_CASE(k, w, kind)
    {
        size_t n = (size_t)w;
        uint16_t *rows[3];
        uint8_t *row8 = guarded(n), *even8 = guarded(2 * n);
        uint16_t *even16 = guarded(4 * n);

        for (int i = 0; i < 3; i++) {
            rows[i] = guarded(2 * n);
            for (int x = 0; x < w; x++)
                rows[i][x] = run_code(kind, x + i * (kind % 2));
        }
        for (int x = 0; x < 2 * w; x++) {
            even8[x] = (uint8_t)(x % 3 == 0);
            even16[x] = run_code(kind, x);
        }
        memset(sums, 0, sizeof sums);
        for (int x = 0; x < w; x++) {
            row8[x] = (uint8_t)fill(kind, x, 255);
            sums[0][3 + x] = sums[1][3 + x] = (uint8_t)fill(kind, x, 7);
        }
        c.cambi.widen8(row8, w, want16);
        k.cambi.widen8(row8, w, got16);
        assert_memory_equal(want16, got16, 2 * n);
        c.cambi.flat(rows[0], rows[1], w, want);
        k.cambi.flat(rows[0], rows[1], w, got);
        assert_memory_equal(want, got, n);
        for (int threshold = 7; threshold < 49; threshold += 3) {
            c.cambi.mask(sums[0] + 3, w, threshold, want);
            k.cambi.mask(sums[0] + 3, w, threshold, got);
            assert_memory_equal(want, got, n);
        }
        c.cambi.slide(want, got, w, sums[0] + 3);
        k.cambi.slide(want, got, w, sums[1] + 3);
        assert_memory_equal(sums[0], sums[1], sizeof sums[0]);
        c.cambi.mode(rows[0], rows[1], rows[2], w, want16);
        k.cambi.mode(rows[0], rows[1], rows[2], w, got16);
        assert_memory_equal(want16, got16, 2 * n);
        c.cambi.halve(even16, even8, w, want16, want);
        k.cambi.halve(even16, even8, w, got16, got);
        assert_memory_equal(want16, got16, 2 * n);
        assert_memory_equal(want, got, n);
        for (int i = 0; i < 3; i++)
            release(rows[i]);
        release(row8);
        release(even8);
        release(even16);
    }
}

static void cambi_count_and_contrast_variants_equal_the_plain_kernels(void **state)
{
    enum { ROOM = WIDTH_MAX + VMAFX_CAMBI_SLACK };
    static uint16_t want[ROOM], got[ROOM], counts[9][ROOM];
    static float reciprocals[VMAFX_CAMBI_SUM_MAX + 1], most_want[ROOM], most_got[ROOM];

    (void)state;
    for (int i = 1; i <= VMAFX_CAMBI_SUM_MAX; i++)
        reciprocals[i] = 1.0F / (float)i;
    EACH_CASE(k, w, kind)
    for (int turn = 0; turn < 6; turn++) {
        int first = (int)(next_random() % (uint32_t)w), last = first + (int)(next_random() % (uint32_t)(w - first));
        int radius = (int)(next_random() % 33), sign = turn % 2 ? -1 : 1;
        VmafxCambiLook look = { .same = counts[0], .n = turn % 5, .reciprocals = reciprocals };

        for (int x = 0; x < ROOM; x++)
            want[x] = got[x] = (uint16_t)fill(kind, x, 65535);
        c.cambi.count(want, w, first, last, radius, sign);
        k.cambi.count(got, w, first, last, radius, sign);
        assert_memory_equal(want, got, 2 * (size_t)w);

        for (int i = 0; i < 9; i++)
            for (int x = 0; x < ROOM; x++)
                counts[i][x] = (uint16_t)(i == 0              ? 1 + fill(kind, x, 4224)
                                          : next_random() % 3 ? 0
                                                              : fill(kind, x + i, 4225));
        for (int d = 0; d < look.n; d++) {
            look.other[d].above = counts[1 + 2 * d];
            look.other[d].below = counts[2 + 2 * d];
            look.other[d].weight = 1 + 2 * d;
        }
        c.cambi.contrast(&look, w, most_want);
        k.cambi.contrast(&look, w, most_got);
        assert_memory_equal(most_want, most_got, sizeof(float) * (size_t)w);
    }
}

/* Contrasts as they come: few different ones or many, most of them 0 or none, and sums beyond those that are exact. */
static void cambi_pooling_variants_equal_the_plain_kernel(void **state)
{
    enum { N = 400000 };
    unsigned levels[3];
    size_t n_levels = variants(levels);
    float *from = malloc(N * sizeof *from), *a = malloc(N * sizeof *a), *b = malloc(N * sizeof *b);
    VmafxKernels c, k;

    (void)state;
    assert_true(from && a && b);
    vmafx_kernels_init(&c, 0);
    for (size_t l = 0; l < n_levels; l++) {
        vmafx_kernels_init(&k, levels[l]);
        for (int kind = 0; kind < 40; kind++) {
            size_t n = kind < 30 ? 1 + next_random() % 300 : N;
            size_t m = kind % 3 ? 1 + next_random() % n : kind % 2 ? n : VMAFX_MAX(n / 2, (size_t)1);

            for (size_t i = 0; i < n; i++) {
                int p = 1 + (int)(next_random() % (kind % 4 ? 2112 : 3)), q = 1 + (int)(next_random() % 2112);

                from[i] = next_random() % 8 < (uint32_t)(kind % 9) ? 0 : (float)(9 * p * q) * (1.0F / (float)(p + q));
            }
            memcpy(a, from, n * sizeof *a);
            memcpy(b, from, n * sizeof *b);
            double want = c.cambi.pool(a, n, m), got = k.cambi.pool(b, n, m);
            if (memcmp(&want, &got, sizeof want) != 0)
                fail_msg("kind %d, the mean of %zu of %zu is %.17g, not %.17g", kind, m, n, got, want);
        }
    }
    free(from);
    free(a);
    free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cambi_row_variants_equal_the_plain_kernels),
        cmocka_unit_test(cambi_count_and_contrast_variants_equal_the_plain_kernels),
        cmocka_unit_test(cambi_pooling_variants_equal_the_plain_kernel),
        cmocka_unit_test(squared_error_variants_equal_the_plain_kernels),
        cmocka_unit_test(squared_errors_do_not_overflow),
        cmocka_unit_test(the_logarithm_table_has_the_specified_sum_and_crc),
        cmocka_unit_test(contrast_gains_have_the_specified_bits),
        cmocka_unit_test(vertical_kernels_stay_within_their_rows),
        cmocka_unit_test(flat_rows_stay_flat),
        cmocka_unit_test(vif_vertical_variants_equal_the_plain_kernels),
        cmocka_unit_test(vif_horizontal_variants_equal_the_plain_kernels),
        cmocka_unit_test(vif_score_variants_equal_the_plain_kernels),
        cmocka_unit_test(vif_logarithms_equal_the_table),
        cmocka_unit_test(motion_variants_equal_the_plain_kernels),
        cmocka_unit_test(adm_wavelet_variants_equal_the_plain_kernels),
        cmocka_unit_test(adm_decoupling_variants_equal_the_plain_kernels),
        cmocka_unit_test(adm_masking_variants_equal_the_plain_kernels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
