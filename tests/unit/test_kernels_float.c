/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Row kernels in binary32: every variant this machine can run against the plain C one, to the bit. */

#include <math.h>
#include <string.h>

#include "kernel_cases.h"

enum { TAPS_MAX = 17, ROWS_MAX = 24 };

static float any_float(int kind, int i)
{
    return ((float)fill(kind, i, 65535) - 20000.0F) / (1.0F + (float)(next_random() % 300));
}

static float *float_row(int n, int kind)
{
    float *row = guarded((size_t)n * sizeof *row);

    for (int x = 0; x < n; x++)
        row[x] = any_float(kind, x);
    return row;
}

/* Rows to read, rows to write by the plain kernel, and by the one that is tried. */
typedef struct Rows {
    float *in[ROWS_MAX], *want[ROWS_MAX], *got[ROWS_MAX];
    int n_in, n_out, n; /* rows, and values that count in each of those that are written */
} Rows;

static void make_rows(Rows *rows, int n_in, int in_values, int n_out, int out_values, int kind)
{
    *rows = (Rows){ .n_in = n_in, .n_out = n_out, .n = out_values };
    for (int i = 0; i < n_in; i++)
        rows->in[i] = float_row(in_values, (kind + i * (in_values % 2)) % N_FILLS);
    for (int i = 0; i < n_out; i++) {
        rows->want[i] = float_row(out_values, 0);
        rows->got[i] = float_row(out_values, 0);
        memcpy(rows->got[i], rows->want[i], (size_t)out_values * sizeof(float));
    }
}

/* The same values, and is done with them. */
static void check_rows(Rows *rows, const char *what)
{
    for (int i = 0; i < rows->n_out; i++)
        for (int x = 0; x < rows->n; x++)
            if (memcmp(&rows->want[i][x], &rows->got[i][x], sizeof(float)) != 0)
                fail_msg("%s: value %d of %d of row %d is %.9g, not %.9g", what, x, rows->n, i, (double)rows->got[i][x],
                         (double)rows->want[i][x]);
    for (int i = 0; i < rows->n_in; i++)
        release(rows->in[i]);
    for (int i = 0; i < rows->n_out; i++) {
        release(rows->want[i]);
        release(rows->got[i]);
    }
}

#define IN(r)      ((const float *const *)(r).in)
#define IN_FROM(i) ((const float *const *)(rows.in + (i)))

/* ---- What features have in common ---- */

static void conversion_variants_equal_the_plain_kernels(void **state)
{
    (void)state;
    EACH_CASE(k, w, kind)
    {
        uint8_t *in8 = guarded((size_t)w);
        uint16_t *in16 = guarded(2 * (size_t)w);
        Rows rows;

        for (int x = 0; x < w; x++) {
            in8[x] = (uint8_t)fill(kind, x, 255);
            in16[x] = (uint16_t)fill(kind, x, 65535);
        }
        make_rows(&rows, 0, 0, 2, w, kind);
        c.floats.convert8(in8, w, rows.want[0]);
        k.floats.convert8(in8, w, rows.got[0]);
        c.floats.convert16(in16, w % 2 ? 0.25F : 1.0F / 256, w, rows.want[1]);
        k.floats.convert16(in16, w % 2 ? 0.25F : 1.0F / 256, w, rows.got[1]);
        check_rows(&rows, "convert");
        release(in8);
        release(in16);
    }
}

static void float_filter_variants_equal_the_plain_kernels(void **state)
{
    float taps[TAPS_MAX];

    (void)state;
    for (int t = 0; t < TAPS_MAX; t++)
        taps[t] = 1.0F / (float)(2 + t * 5 % 7);
    EACH_CASE(k, w, kind)
    for (int n_taps = 1; n_taps <= TAPS_MAX; n_taps += 2 + w % 6) {
        const int room = (int)VMAFX_FLOATS_ROOM(w), half = n_taps / 2;
        Rows rows;

        make_rows(&rows, n_taps, room, 1, room, kind);
        rows.n = w;
        c.floats.down(IN(rows), taps, n_taps, w, rows.want[0]);
        k.floats.down(IN(rows), taps, n_taps, w, rows.got[0]);
        check_rows(&rows, "down");
        for (int step = 1; step <= 2; step++) {
            make_rows(&rows, 1, step * room + 2 * half, 1, room, kind);
            rows.n = w;
            c.floats.along(rows.in[0] + half, taps, n_taps, step, w, rows.want[0]);
            k.floats.along(rows.in[0] + half, taps, n_taps, step, w, rows.got[0]);
            check_rows(&rows, "along");
        }
    }
}

static void float_sum_variants_equal_the_plain_kernels(void **state)
{
    (void)state;
    EACH_CASE(k, w, kind)
    {
        float want[VMAFX_FLOATS_SUMS_MAX], got[VMAFX_FLOATS_SUMS_MAX];
        Rows rows;

        make_rows(&rows, VMAFX_FLOATS_SUMS_MAX, w, 1, w, kind);
        c.floats.difference(rows.in[0], rows.in[1], w, rows.want[0]);
        k.floats.difference(rows.in[0], rows.in[1], w, rows.got[0]);
        for (int n = 1; n <= VMAFX_FLOATS_SUMS_MAX; n++) {
            memset(want, 0, sizeof want);
            memset(got, 0, sizeof got);
            c.floats.sum(IN(rows), n, w, want);
            k.floats.sum(IN(rows), n, w, got);
            assert_memory_equal(want, got, sizeof want);
        }
        check_rows(&rows, "difference");
    }
}

/* One after the other, as the definition says: the plain kernel adds several rows at once. */
static void sums_are_in_order(void **state)
{
    const float *rows[VMAFX_FLOATS_SUMS_MAX];
    VmafxKernels k;

    (void)state;
    vmafx_kernels_init(&k, 0);
    for (int w = 1; w < 40; w++) {
        float got[VMAFX_FLOATS_SUMS_MAX];

        for (int r = 0; r < VMAFX_FLOATS_SUMS_MAX; r++)
            rows[r] = float_row(w, 0);
        for (int n = 1; n <= VMAFX_FLOATS_SUMS_MAX; n++) {
            k.floats.sum(rows, n, w, got);
            for (int r = 0; r < n; r++) {
                float want = 0;
                for (int x = 0; x < w; x++)
                    want = want + rows[r][x];
                assert_memory_equal(&want, &got[r], sizeof want);
            }
        }
        for (int r = 0; r < VMAFX_FLOATS_SUMS_MAX; r++)
            release(rows[r]);
    }
}

/* ---- ADM ---- */

static void float_adm_wavelet_variants_equal_the_plain_kernels(void **state)
{
    (void)state;
    EACH_CASE(k, w, kind)
    {
        Rows rows;

        make_rows(&rows, 4, w, 2, w, kind);
        c.float_adm.wavelet_down(IN(rows), w, rows.want[0], rows.want[1]);
        k.float_adm.wavelet_down(IN(rows), w, rows.got[0], rows.got[1]);
        check_rows(&rows, "wavelet_down");
        make_rows(&rows, 2, 2 * w + 2, 4, w, kind);
        c.float_adm.wavelet_along(rows.in[0] + 1, rows.in[1] + 1, w, rows.want[0], rows.want + 1);
        k.float_adm.wavelet_along(rows.in[0] + 1, rows.in[1] + 1, w, rows.got[0], rows.got + 1);
        check_rows(&rows, "wavelet_along");
    }
}

/* Distorted bands that are like the reference's: the same, weaker, stronger, about a degree away, or nothing. */
static void make_similar(float *const *o, float *const *t, int w)
{
    for (int x = 0; x < w; x++) {
        const float factor = 0.5F * (float)(next_random() % 5);
        const double angle = 0.01745 + (x - w / 2) * 1e-7, size = any_float(0, x);

        for (int b = 0; b < 3; b++)
            t[b][x] = o[b][x] * factor + (x % 3 ? 0 : 0.01F);
        if (x % 4 == 1) {
            o[0][x] = (float)(size * cos(x));
            o[1][x] = (float)(size * sin(x));
            t[0][x] = (float)(size * cos(x + angle));
            t[1][x] = (float)(size * sin(x + angle));
        }
        if (x % 7 == 2)
            o[x % 3][x] = 0;
        if (x % 7 == 3)
            t[x % 3][x] = 0;
    }
}

static VmafxFloatAdmSplit split_at(float *const *rows)
{
    return (VmafxFloatAdmSplit){ { rows[0], rows[1], rows[2] }, { rows[3], rows[4], rows[5] } };
}

static void float_adm_split_variants_equal_the_plain_kernels(void **state)
{
    static const double limits[] = { 100, 1, 1.2 };

    (void)state;
    EACH_CASE(k, w, kind)
    for (size_t i = 0; i < VMAFX_LEN(limits); i++) {
        const VmafxFloatAdmGains gains = { { 0.0174F, 0.03F, 0.0059F }, limits[i] };
        Rows rows;

        make_rows(&rows, 6, w, 12, w, kind);
        if (w % 3)
            make_similar(rows.in, rows.in + 3, w);
        const VmafxFloatAdmSplit want[2] = { split_at(rows.want), split_at(rows.want + 6) };
        const VmafxFloatAdmSplit got[2] = { split_at(rows.got), split_at(rows.got + 6) };

        c.float_adm.split(IN_FROM(0), IN_FROM(3), w, &gains, &want[0], &want[1]);
        k.float_adm.split(IN_FROM(0), IN_FROM(3), w, &gains, &got[0], &got[1]);
        check_rows(&rows, "split");
    }
}

static void float_adm_masking_variants_equal_the_plain_kernels(void **state)
{
    (void)state;
    EACH_CASE(k, w, kind)
    for (int cubed = 0; cubed < 2; cubed++) {
        VmafxFloatAdmSplit above = { 0 }, here = { 0 }, below = { 0 };
        const VmafxFloatAdmSplit *const masker[3] = { &above, &here, &below };
        const float *weight[3];
        Rows rows;

        make_rows(&rows, 15, w + 2, 4, w, kind); /* all with a place on either side; of weights, none is read */
        for (int i = 0; i < 15; i++)
            for (int x = 0; x < w + 2; x++)
                rows.in[i][x] = fabsf(rows.in[i][x]) / (i < 3 ? 1.0F : 20.0F);
        for (int b = 0; b < 3; b++) {
            weight[b] = rows.in[b] + 2;
            here.weight[b] = rows.in[3 + b] + 2;
            above.spread[b] = rows.in[6 + b] + 1;
            here.spread[b] = rows.in[9 + b] + 1;
            below.spread[b] = rows.in[12 + b] + 1;
        }
        c.float_adm.visible(masker, weight, w, cubed, rows.want);
        k.float_adm.visible(masker, weight, w, cubed, rows.got);
        c.float_adm.magnitude(rows.in[0] + 2, -0.0174F, w, cubed, rows.want[3]);
        k.float_adm.magnitude(rows.in[0] + 2, -0.0174F, w, cubed, rows.got[3]);
        check_rows(&rows, "visible");
    }
}

/* ---- VIF ---- */

static void float_vif_variants_equal_the_plain_kernels(void **state)
{
    static const float taps[] = { 0.0544886F, 0.2442013F, 0.4026199F, 0.2442013F, 0.0544887F };

    (void)state;
    EACH_CASE(k, w, kind)
    {
        const VmafxFloatVifNoise noise = { kind ? 2 : 0.5, kind % 2 ? 1 : 100, 6.15e-5F };
        const int room = (int)VMAFX_FLOATS_ROOM(w);
        Rows rows;

        make_rows(&rows, 10, room, 5, room, kind);
        rows.n = w;
        for (int n_taps = 1; n_taps <= 5; n_taps += 2) {
            c.float_vif.moments(IN_FROM(0), IN_FROM(5), taps, n_taps, w, rows.want);
            k.float_vif.moments(IN_FROM(0), IN_FROM(5), taps, n_taps, w, rows.got);
        }
        check_rows(&rows, "moments");

        make_rows(&rows, 5, w, 2, w, kind);
        for (int x = 0; x < w && w % 3; x++) { /* such that variances are not all wild */
            rows.in[2][x] = rows.in[0][x] * rows.in[0][x] + (float)(x % 9);
            rows.in[3][x] = rows.in[1][x] * rows.in[1][x] + (float)(x % 7);
            rows.in[4][x] = rows.in[0][x] * rows.in[1][x] + (float)(x % 5) - 1;
        }
        c.float_vif.information(IN(rows), &noise, w, rows.want[0], rows.want[1]);
        k.float_vif.information(IN(rows), &noise, w, rows.got[0], rows.got[1]);
        check_rows(&rows, "information");
    }
}

/* ---- SSIM ---- */

/* Of every step: the mean of a square, the low-pass of MS-SSIM, and taps that are neither. */
static void check_decimation(const VmafxSsimKernels *c, const VmafxSsimKernels *k, int n, int kind)
{
    for (int step = 1; step <= 7; step++) {
        const int taps = step == 2 && n % 2 ? 9 : step + kind % 2;
        float *in = float_row((n - 1) * step + taps, kind), *table = float_row(taps, 0);
        double want[WIDTH_MAX], got[WIDTH_MAX];

        for (int x = 0; x < n; x++)
            want[x] = got[x] = (double)any_float(kind, x);
        c->decimate(in, table, taps, step, n, want);
        k->decimate(in, table, taps, step, n, got);
        assert_memory_equal(want, got, (size_t)n * sizeof *got);
        release(in);
        release(table);
    }
}

static void ssim_variants_equal_the_plain_kernels(void **state)
{
    enum { EDGE = VMAFX_SSIM_TAPS - 1 };
    static const VmafxSsimConstants constants = { 6.5025F, 58.5225F, 29.26125F };

    (void)state;
    EACH_CASE(k, w, kind)
    {
        const size_t floats = (size_t)w * sizeof(float), doubles = (size_t)w * sizeof(double);
        const float *rows[VMAFX_SSIM_TAPS];
        float *m[5], want[WIDTH_MAX], got[WIDTH_MAX];
        double lcs_want[3][WIDTH_MAX], lcs_got[3][WIDTH_MAX];

        for (int t = 0; t < VMAFX_SSIM_TAPS; t++)
            rows[t] = float_row(t ? w : w + EDGE, (kind + t * (w % 2)) % N_FILLS);
        c.ssim.blur_row(rows[0], w, want);
        k.ssim.blur_row(rows[0], w, got);
        assert_memory_equal(want, got, floats);
        c.ssim.blur_column(rows, w, want);
        k.ssim.blur_column(rows, w, got);
        assert_memory_equal(want, got, floats);
        check_decimation(&c.ssim, &k.ssim, w, kind);

        for (int i = 0; i < 5; i++)
            m[i] = float_row(w, (kind + i) % N_FILLS);
        for (int x = 0; x < w && w % 3; x++) { /* such that variances are not all wild, and some are 0 */
            m[2][x] = m[0][x] * m[0][x] + (float)(x % 3);
            m[3][x] = m[1][x] * m[1][x] + (float)(x % 5 - 1);
            m[4][x] = m[0][x] * m[1][x] + (float)(x % 7 - 3) / 2;
        }
        const VmafxSsimMoments moments = { m[0], m[1], m[2], m[3], m[4] };
        c.ssim.similarity(&moments, &constants, w, lcs_want[0], lcs_want[1], lcs_want[2]);
        k.ssim.similarity(&moments, &constants, w, lcs_got[0], lcs_got[1], lcs_got[2]);
        for (int i = 0; i < 3; i++)
            assert_memory_equal(lcs_want[i], lcs_got[i], doubles);
        for (int i = 0; i < 5; i++)
            release(m[i]);
        for (int t = 0; t < VMAFX_SSIM_TAPS; t++)
            release(rows[t]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conversion_variants_equal_the_plain_kernels),
        cmocka_unit_test(float_filter_variants_equal_the_plain_kernels),
        cmocka_unit_test(float_sum_variants_equal_the_plain_kernels),
        cmocka_unit_test(sums_are_in_order),
        cmocka_unit_test(float_adm_wavelet_variants_equal_the_plain_kernels),
        cmocka_unit_test(float_adm_split_variants_equal_the_plain_kernels),
        cmocka_unit_test(float_adm_masking_variants_equal_the_plain_kernels),
        cmocka_unit_test(float_vif_variants_equal_the_plain_kernels),
        cmocka_unit_test(ssim_variants_equal_the_plain_kernels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
