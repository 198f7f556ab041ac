/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Integer ADM in plain C: the definition. */

#include "engine/kernels/adm.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/base.h"
#include "engine/kernels/arm/arm.h"
#include "engine/kernels/cpu.h"
#include "engine/kernels/x86/x86.h"

static const int32_t lo_taps[4] = { 15826, 27411, 7345, -4240 };
static const int32_t hi_taps[4] = { -4240, -7345, 27411, -15826 };

static int64_t rounded_shift(int64_t v, int n)
{
    return n ? (v + (1ll << (n - 1))) >> n : v;
}

/* Gains far outside their range (mode 1 allows them) can overflow a sum of cubes: it wraps then. */
static int64_t wrapping_sum(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

static void dwt_vert8_c(const uint8_t *const rows[4], int w, int16_t *ret_lo, int16_t *ret_hi)
{
    for (int x = 0; x < w; x++) {
        int32_t lo = 0, hi = 0;

        for (int k = 0; k < 4; k++) {
            lo += lo_taps[k] * (rows[k][x] - 128);
            hi += hi_taps[k] * (rows[k][x] - 128);
        }
        ret_lo[x] = (int16_t)((lo + 128) >> 8);
        ret_hi[x] = (int16_t)((hi + 128) >> 8);
    }
}

static void dwt_vert16_c(const uint16_t *const rows[4], int bpc, int w, int16_t *ret_lo, int16_t *ret_hi)
{
    const int32_t bias = 1 << (bpc - 1);

    for (int x = 0; x < w; x++) {
        int32_t lo = 0, hi = 0;

        for (int k = 0; k < 4; k++) {
            lo += lo_taps[k] * (rows[k][x] - bias);
            hi += hi_taps[k] * (rows[k][x] - bias);
        }
        ret_lo[x] = (int16_t)((lo + bias) >> bpc);
        ret_hi[x] = (int16_t)((hi + bias) >> bpc);
    }
}

static void dwt_vert_second_c(const int16_t *const rows[4], int w, int32_t *ret_lo, int32_t *ret_hi)
{
    for (int x = 0; x < w; x++) {
        ret_lo[x] = ret_hi[x] = 0;
        for (int k = 0; k < 4; k++) {
            ret_lo[x] += lo_taps[k] * rows[k][x];
            ret_hi[x] += hi_taps[k] * rows[k][x];
        }
    }
}

static void dwt_vert_c(const int32_t *const rows[4], int w, int32_t *ret_lo, int32_t *ret_hi)
{
    for (int x = 0; x < w; x++) {
        int64_t lo = 0, hi = 0;

        for (int k = 0; k < 4; k++) {
            lo += (int64_t)lo_taps[k] * rows[k][x];
            hi += (int64_t)hi_taps[k] * rows[k][x];
        }
        ret_lo[x] = (int32_t)rounded_shift(lo, 16);
        ret_hi[x] = (int32_t)rounded_shift(hi, 16);
    }
}

static void dwt_horz_fine_c(const int16_t *lo, const int16_t *hi, int n, int16_t *ret_a,
                            int32_t *const ret_bands[VMAFX_ADM_BANDS])
{
    for (int x = 0; x < n; x++) {
        int32_t a = 32768, v = 32768, h = 32768, d = 32768;

        for (int k = 0; k < 4; k++) {
            ptrdiff_t i = 2 * (ptrdiff_t)x - 1 + k;
            a += lo_taps[k] * lo[i];
            v += hi_taps[k] * lo[i];
            h += lo_taps[k] * hi[i];
            d += hi_taps[k] * hi[i];
        }
        ret_a[x] = (int16_t)(a >> 16);
        ret_bands[VMAFX_ADM_H][x] = h >> 16;
        ret_bands[VMAFX_ADM_V][x] = v >> 16;
        ret_bands[VMAFX_ADM_D][x] = d >> 16;
    }
}

static void dwt_horz_c(const int32_t *lo, const int32_t *hi, int shift, int n, int32_t *ret_a,
                       int32_t *const ret_bands[VMAFX_ADM_BANDS])
{
    for (int x = 0; x < n; x++) {
        int64_t a = 0, v = 0, h = 0, d = 0;

        for (int k = 0; k < 4; k++) {
            ptrdiff_t i = 2 * (ptrdiff_t)x - 1 + k;
            a += (int64_t)lo_taps[k] * lo[i];
            v += (int64_t)hi_taps[k] * lo[i];
            h += (int64_t)lo_taps[k] * hi[i];
            d += (int64_t)hi_taps[k] * hi[i];
        }
        ret_a[x] = (int32_t)rounded_shift(a, shift);
        ret_bands[VMAFX_ADM_H][x] = (int32_t)rounded_shift(h, shift);
        ret_bands[VMAFX_ADM_V][x] = (int32_t)rounded_shift(v, shift);
        ret_bands[VMAFX_ADM_D][x] = (int32_t)rounded_shift(d, shift);
    }
}

/* Whether the (H, V) vectors of reference and distorted point the same way within about one degree: cos² ≥ cos²(1°),
   with each of the three 64-bit sums rounded once to binary32. */
static bool same_angle(int32_t o_h, int32_t o_v, int32_t t_h, int32_t t_v)
{
    int64_t dot = (int64_t)o_h * t_h + (int64_t)o_v * t_v;
    float o_sq = (float)((int64_t)o_h * o_h + (int64_t)o_v * o_v);
    float t_sq = (float)((int64_t)t_h * t_h + (int64_t)t_v * t_v);
    double cos_sq = 0x1.ffd814p-1; /* the binary32 0x3F7FEC0A */

    if (dot < 0)
        return false;
    return (double)(float)dot * (double)(float)dot >= cos_sq * (double)o_sq * (double)t_sq;
}

/* t / o limited to 0 … 1, in units of 1/32768: |o| is brought to 15 bits and divided by way of a 30-bit reciprocal. */
static int32_t ratio(int32_t o, int32_t t)
{
    int64_t m = llabs((long long)o);
    int e = 0;

    if (m == 0)
        return 32768;
    if (m >= 32768) {
        e = 64 - __builtin_clzll((uint64_t)m) - 15;
        m = (m + (1ll << (e - 1))) >> e;
    }
    int64_t reciprocal = (1 << 30) / (int32_t)m;
    int64_t k = ((o < 0 ? -reciprocal : reciprocal) * t + (1ll << (14 + e))) >> (15 + e);
    return (int32_t)VMAFX_MIN(VMAFX_MAX(k, 0), 32768);
}

static int32_t restored(int32_t o, int32_t t, bool same, double gain_limit)
{
    int32_t k = ratio(o, t);
    int32_t r = (int32_t)(((int64_t)k * o + 16384) >> 15);

    if (same && k > 0 && o > 0)
        return (int32_t)VMAFX_MIN(r * gain_limit, (double)t);
    if (same && k > 0 && o < 0)
        return (int32_t)VMAFX_MAX(r * gain_limit, (double)t);
    return r;
}

static void decouple_c(const int32_t *const o[VMAFX_ADM_BANDS], const int32_t *const t[VMAFX_ADM_BANDS], int n,
                       double gain_limit, int32_t *const ret_r[VMAFX_ADM_BANDS], int32_t *const ret_a[VMAFX_ADM_BANDS])
{
    for (int x = 0; x < n; x++) {
        bool same = same_angle(o[VMAFX_ADM_H][x], o[VMAFX_ADM_V][x], t[VMAFX_ADM_H][x], t[VMAFX_ADM_V][x]);

        for (int b = 0; b < VMAFX_ADM_BANDS; b++) {
            ret_r[b][x] = restored(o[b][x], t[b][x], same, gain_limit);
            ret_a[b][x] = t[b][x] - ret_r[b][x];
        }
    }
}

static void weigh_fine_c(const int32_t *const y[VMAFX_ADM_BANDS], int n, const VmafxAdmGains *gains, int32_t *ret_n,
                         int32_t *ret_z_minus_n)
{
    static const int shift[VMAFX_ADM_BANDS] = { 15, 15, 17 };
    static const int64_t round[VMAFX_ADM_BANDS] = { 16384, 16384, 65535 }; /* the last is one short of half */

    for (int x = 0; x < n; x++) {
        int32_t sum_n = 0, sum_z = 0;

        for (int b = 0; b < VMAFX_ADM_BANDS; b++) {
            int32_t c = abs((int16_t)((gains->r[b] * (int64_t)y[b][x] + round[b]) >> shift[b]));
            sum_n += (int16_t)((4369 * c + 2048) >> 12);
            sum_z += (int16_t)((8738 * c + 2048) >> 12);
        }
        ret_n[x] = sum_n;
        ret_z_minus_n[x] = sum_z - sum_n;
    }
}

static void weigh_coarse_c(const int32_t *const y[VMAFX_ADM_BANDS], int n, const VmafxAdmGains *gains, int32_t *ret_n,
                           int32_t *ret_z_minus_n)
{
    for (int x = 0; x < n; x++) {
        int32_t sum_n = 0, sum_z = 0;

        for (int b = 0; b < VMAFX_ADM_BANDS; b++) {
            int64_t c = llabs((int32_t)((gains->r[b] * (int64_t)y[b][x] + (1 << 27)) >> 28));
            /* The rounding constant is subtracted, so a zero weighs −1. */
            sum_n += (int32_t)((143165577 * c - (1ll << 31)) >> 32);
            sum_z += (int32_t)((286331153 * c - (1ll << 31)) >> 32);
        }
        ret_n[x] = sum_n;
        ret_z_minus_n[x] = sum_z - sum_n;
    }
}

static int64_t threshold(const int32_t *const n_rows[3], const int32_t *z_minus_n, ptrdiff_t x)
{
    int64_t sum = z_minus_n[x];

    for (int j = 0; j < 3; j++)
        sum += (int64_t)n_rows[j][x - 1] + n_rows[j][x] + n_rows[j][x + 1];
    return sum;
}

static void numerator_fine_c(const int32_t *const x[VMAFX_ADM_BANDS], const int32_t *const n_rows[3],
                             const int32_t *z_minus_n, int n, const VmafxAdmGains *gains, int64_t sums[VMAFX_ADM_BANDS])
{
    static const int scale_shift[VMAFX_ADM_BANDS] = { 10, 10, 12 }, square_shift[VMAFX_ADM_BANDS] = { 29, 29, 30 };

    for (int i = 0; i < n; i++) {
        int64_t thr = threshold(n_rows, z_minus_n, i);

        for (int b = 0; b < VMAFX_ADM_BANDS; b++) {
            int64_t m = llabs(gains->r[b] * (int64_t)x[b][i]) - (int32_t)(thr * (1 << scale_shift[b]));
            if (m <= 0)
                continue;
            /* m is below 2^32, so the square fits 64 bits without a sign. */
            uint64_t square = (uint64_t)m * (uint64_t)m;
            int64_t q = (int32_t)((square + (1ull << (square_shift[b] - 1))) >> square_shift[b]);
            sums[b] = wrapping_sum(sums[b], rounded_shift(q * m, gains->cube_shift[b]));
        }
    }
}

static void numerator_coarse_c(const int32_t *const x[VMAFX_ADM_BANDS], const int32_t *const n_rows[3],
                               const int32_t *z_minus_n, int n, const VmafxAdmGains *gains,
                               int64_t sums[VMAFX_ADM_BANDS])
{
    for (int i = 0; i < n; i++) {
        int64_t thr = threshold(n_rows, z_minus_n, i);

        for (int b = 0; b < VMAFX_ADM_BANDS; b++) {
            int64_t weighted = (int32_t)((gains->r[b] * (int64_t)x[b][i] + (1 << 27)) >> 28);
            int64_t m = (int32_t)(llabs(weighted) - thr);
            if (m <= 0)
                continue;
            int64_t q = (int32_t)rounded_shift(m * m, 30);
            sums[b] = wrapping_sum(sums[b], rounded_shift(q * m, gains->cube_shift[b]));
        }
    }
}

static void denominator_fine_c(const int32_t *const o[VMAFX_ADM_BANDS], int n, int square_shift, int cube_shift,
                               uint64_t sums[VMAFX_ADM_BANDS])
{
    for (int x = 0; x < n; x++)
        for (int b = 0; b < VMAFX_ADM_BANDS; b++) {
            uint64_t m = (uint64_t)llabs((long long)o[b][x]);
            sums[b] += m * m * m;
        }
}

static void denominator_coarse_c(const int32_t *const o[VMAFX_ADM_BANDS], int n, int square_shift, int cube_shift,
                                 uint64_t sums[VMAFX_ADM_BANDS])
{
    for (int x = 0; x < n; x++)
        for (int b = 0; b < VMAFX_ADM_BANDS; b++) {
            uint64_t m = (uint64_t)llabs((long long)o[b][x]);
            uint64_t q = (m * m + (1ull << square_shift)) >> square_shift; /* rounds with a whole unit, not a half */
            sums[b] += (uint64_t)rounded_shift((int64_t)(q * m), cube_shift);
        }
}

const VmafxAdmKernels vmafx_adm_kernels_c = {
    .dwt_vert8 = dwt_vert8_c,
    .dwt_vert16 = dwt_vert16_c,
    .dwt_vert_second = dwt_vert_second_c,
    .dwt_vert = dwt_vert_c,
    .dwt_horz_fine = dwt_horz_fine_c,
    .dwt_horz = dwt_horz_c,
    .decouple = { decouple_c, decouple_c },
    .weigh = { weigh_fine_c, weigh_coarse_c },
    .numerator = { numerator_fine_c, numerator_coarse_c },
    .denominator = { denominator_fine_c, denominator_coarse_c },
};

void vmafx_adm_kernels_init(VmafxAdmKernels *k, unsigned cpu)
{
    *k = vmafx_adm_kernels_c;
#if VMAFX_ARCH_X86
    if (cpu & VMAFX_CPU_AVX2)
        vmafx_adm_kernels_init_avx2(k);
    if (cpu & VMAFX_CPU_AVX512)
        vmafx_adm_kernels_init_avx512(k);
#elif VMAFX_ARCH_ARM64
    if (cpu & VMAFX_CPU_NEON)
        vmafx_adm_kernels_init_neon(k);
#endif
}
