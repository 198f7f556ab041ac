/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Integer ADM with AVX2, equal to the C kernels to the bit. Eight columns at a time; what is left over at the end of a
 * row, and the rare block whose values leave the range in which 32-bit registers suffice, goes to the C kernel.
 *
 * The finest scale's values fit 16 bits, so its products fit 32. The others need 64-bit products: even and odd columns
 * apart.
 */

#include "engine/kernels/x86/x86.h"

#include <stdbool.h>
#include <stddef.h>

#include "engine/kernels/x86/adm_avx2.h"

#define BLOCK 8

static inline int64_t total(__m256i v)
{
    int64_t lanes[4];

    _mm256_storeu_si256((__m256i *)lanes, v);
    return (int64_t)((uint64_t)lanes[0] + (uint64_t)lanes[1] + (uint64_t)lanes[2] + (uint64_t)lanes[3]);
}

/* ---- Decoupling, finest scale ---- */

/* A value per column as binary64: columns 0-3 and 4-7. */
typedef struct Doubles {
    __m256d low, high;
} Doubles;

static inline Doubles doubles(__m256i v)
{
    return (Doubles){ _mm256_cvtepi32_pd(_mm256_castsi256_si128(v)),
                      _mm256_cvtepi32_pd(_mm256_extracti128_si256(v, 1)) };
}

static inline Doubles floats_widened(__m256i v)
{
    __m256 f = _mm256_cvtepi32_ps(v); /* rounds once, as the conversion of the same value from 64 bits does */

    return (Doubles){ _mm256_cvtps_pd(_mm256_castps256_ps128(f)), _mm256_cvtps_pd(_mm256_extractf128_ps(f, 1)) };
}

static inline __m256i joined(__m128i low, __m128i high)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

/* Masks of 64-bit lanes to masks of 32-bit lanes, in order. */
static inline __m256i narrow_masks(__m256d low, __m256d high)
{
    __m256i packed = _mm256_castps_si256(_mm256_shuffle_ps(_mm256_castpd_ps(low), _mm256_castpd_ps(high), 0x88));

    return _mm256_permute4x64_epi64(packed, 0xd8);
}

static inline __m256i same_angle(__m256i o_h, __m256i o_v, __m256i t_h, __m256i t_v)
{
    const __m256d cos_sq = _mm256_set1_pd(0x1.ffd814p-1);
    __m256i dot = _mm256_add_epi32(_mm256_mullo_epi32(o_h, t_h), _mm256_mullo_epi32(o_v, t_v));
    __m256i o_sq = _mm256_add_epi32(_mm256_mullo_epi32(o_h, o_h), _mm256_mullo_epi32(o_v, o_v));
    __m256i t_sq = _mm256_add_epi32(_mm256_mullo_epi32(t_h, t_h), _mm256_mullo_epi32(t_v, t_v));
    Doubles p = floats_widened(dot), o = floats_widened(o_sq), t = floats_widened(t_sq);
    __m256d low =
        _mm256_cmp_pd(_mm256_mul_pd(p.low, p.low), _mm256_mul_pd(_mm256_mul_pd(cos_sq, o.low), t.low), _CMP_GE_OQ);
    __m256d high =
        _mm256_cmp_pd(_mm256_mul_pd(p.high, p.high), _mm256_mul_pd(_mm256_mul_pd(cos_sq, o.high), t.high), _CMP_GE_OQ);

    return _mm256_andnot_si256(_mm256_srai_epi32(dot, 31), narrow_masks(low, high));
}

/* min(32768, floor((floor(2^30 / m)·t + 2^14) / 2^15)) of four columns, m and t positive: every step is exact. */
static inline __m128i ratio4(__m256d m, __m256d t)
{
    __m256d reciprocal = _mm256_floor_pd(_mm256_div_pd(_mm256_set1_pd(0x1p30), m));
    __m256d k =
        _mm256_mul_pd(_mm256_add_pd(_mm256_mul_pd(reciprocal, t), _mm256_set1_pd(0x1p14)), _mm256_set1_pd(0x1p-15));

    return _mm256_cvttpd_epi32(_mm256_min_pd(_mm256_floor_pd(k), _mm256_set1_pd(32768)));
}

static inline __m256i ratio(__m256i o, __m256i t)
{
    const __m256i zero = _mm256_setzero_si256();
    __m256i along = _mm256_sign_epi32(t, o); /* t with the sign of o; 0 where o is 0 */
    __m256i o_zero = _mm256_cmpeq_epi32(o, zero);
    Doubles m = doubles(_mm256_sub_epi32(_mm256_abs_epi32(o), o_zero)); /* 1 in place of 0 */
    Doubles a = doubles(_mm256_max_epi32(along, zero));
    __m256i k = joined(ratio4(m.low, a.low), ratio4(m.high, a.high));

    return _mm256_blendv_epi8(k, all(32768), o_zero);
}

static inline __m256i limited(__m256i r, __m256i t, __m256d gain_limit, __m256i negative)
{
    Doubles rd = doubles(r), td = doubles(t);
    Doubles g = { _mm256_mul_pd(rd.low, gain_limit), _mm256_mul_pd(rd.high, gain_limit) };
    __m256i smaller =
        joined(_mm256_cvttpd_epi32(_mm256_min_pd(g.low, td.low)), _mm256_cvttpd_epi32(_mm256_min_pd(g.high, td.high)));
    __m256i larger =
        joined(_mm256_cvttpd_epi32(_mm256_max_pd(g.low, td.low)), _mm256_cvttpd_epi32(_mm256_max_pd(g.high, td.high)));

    return _mm256_blendv_epi8(smaller, larger, negative);
}

static inline __m256i restored(__m256i o, __m256i t, __m256i same, __m256d gain_limit)
{
    const __m256i zero = _mm256_setzero_si256();
    __m256i k = ratio(o, t);
    __m256i r = _mm256_srai_epi32(_mm256_add_epi32(_mm256_mullo_epi32(k, o), all(16384)), 15);
    __m256i applies =
        _mm256_and_si256(same, _mm256_andnot_si256(_mm256_cmpeq_epi32(o, zero), _mm256_cmpgt_epi32(k, zero)));

    return _mm256_blendv_epi8(r, limited(r, t, gain_limit, _mm256_srai_epi32(o, 31)), applies);
}

static void decouple_fine_avx2(const int32_t *const o[VMAFX_ADM_BANDS], const int32_t *const t[VMAFX_ADM_BANDS], int n,
                               double gain_limit, int32_t *const ret_r[VMAFX_ADM_BANDS],
                               int32_t *const ret_a[VMAFX_ADM_BANDS])
{
    const __m256d limit = _mm256_set1_pd(gain_limit);

    if (n < BLOCK) {
        vmafx_adm_kernels_c.decouple[0](o, t, n, gain_limit, ret_r, ret_a);
        return;
    }
    for (int at = 0; at < n; at += BLOCK) {
        int x = at + BLOCK <= n ? at : n - BLOCK;
        __m256i same = same_angle(load(o[VMAFX_ADM_H] + x), load(o[VMAFX_ADM_V] + x), load(t[VMAFX_ADM_H] + x),
                                  load(t[VMAFX_ADM_V] + x));

        for (int b = 0; b < VMAFX_ADM_BANDS; b++) {
            __m256i tv = load(t[b] + x), r = restored(load(o[b] + x), tv, same, limit);
            put(ret_r[b] + x, r);
            put(ret_a[b] + x, _mm256_sub_epi32(tv, r));
        }
    }
}

/* ---- Masking ---- */

static inline __m256i wrap16(__m256i v)
{
    return _mm256_srai_epi32(_mm256_slli_epi32(v, 16), 16);
}

static inline __m256i weight_fine(__m256i c, int factor)
{
    return wrap16(_mm256_srai_epi32(_mm256_add_epi32(_mm256_mullo_epi32(c, all(factor)), all(2048)), 12));
}

static inline __m256i weighted_fine(const int32_t *y, uint32_t gain, int band)
{
    __m256i product = _mm256_mullo_epi32(load(y), all((int32_t)gain));

    if (band == VMAFX_ADM_D)
        return wrap16(_mm256_srai_epi32(_mm256_add_epi32(product, all(65535)), 17));
    return wrap16(_mm256_srai_epi32(_mm256_add_epi32(product, all(16384)), 15));
}

static void weigh_fine_avx2(const int32_t *const y[VMAFX_ADM_BANDS], int n, const VmafxAdmGains *gains, int32_t *ret_n,
                            int32_t *ret_z_minus_n)
{
    if (n < BLOCK) {
        vmafx_adm_kernels_c.weigh[0](y, n, gains, ret_n, ret_z_minus_n);
        return;
    }
    for (int at = 0; at < n; at += BLOCK) {
        int x = at + BLOCK <= n ? at : n - BLOCK;
        __m256i sum_n = _mm256_setzero_si256(), sum_z = sum_n;

        for (int b = 0; b < VMAFX_ADM_BANDS; b++) {
            __m256i c = _mm256_abs_epi32(weighted_fine(y[b] + x, gains->r[b], b));
            sum_n = _mm256_add_epi32(sum_n, weight_fine(c, 4369));
            sum_z = _mm256_add_epi32(sum_z, weight_fine(c, 8738));
        }
        put(ret_n + x, sum_n);
        put(ret_z_minus_n + x, _mm256_sub_epi32(sum_z, sum_n));
    }
}

/* (gain·v + 2^27) >> 28, low 32 bits; the gain is below 2^31. */
static inline __m256i weighted_coarse(__m256i v, uint32_t gain)
{
    return low_words(shifted(plus_all(times_signed(v, all((int32_t)gain)), 1 << 27), 28));
}

static inline __m256i weight_coarse(__m256i c, int32_t factor)
{
    return high_words(plus_all(times(c, all(factor)), -(1ll << 31)));
}

static bool gains_fit(const VmafxAdmGains *gains)
{
    for (int b = 0; b < VMAFX_ADM_BANDS; b++)
        if (gains->r[b] > INT32_MAX)
            return false;
    return true;
}

static void weigh_coarse_avx2(const int32_t *const y[VMAFX_ADM_BANDS], int n, const VmafxAdmGains *gains,
                              int32_t *ret_n, int32_t *ret_z_minus_n)
{
    if (n < BLOCK || !gains_fit(gains)) {
        vmafx_adm_kernels_c.weigh[1](y, n, gains, ret_n, ret_z_minus_n);
        return;
    }
    for (int at = 0; at < n; at += BLOCK) {
        int x = at + BLOCK <= n ? at : n - BLOCK;
        __m256i sum_n = _mm256_setzero_si256(), sum_z = sum_n;

        for (int b = 0; b < VMAFX_ADM_BANDS; b++) {
            __m256i c = _mm256_abs_epi32(weighted_coarse(load(y[b] + x), gains->r[b]));
            sum_n = _mm256_add_epi32(sum_n, weight_coarse(c, 143165577));
            sum_z = _mm256_add_epi32(sum_z, weight_coarse(c, 286331153));
        }
        put(ret_n + x, sum_n);
        put(ret_z_minus_n + x, _mm256_sub_epi32(sum_z, sum_n));
    }
}

/* ---- Numerators ---- */

static inline __m256i threshold(const int32_t *const n_rows[3], const int32_t *z_minus_n, int x)
{
    __m256i sum = load(z_minus_n + x);

    for (int j = 0; j < 3; j++)
        sum = _mm256_add_epi32(_mm256_add_epi32(sum, load(n_rows[j] + x)),
                               _mm256_add_epi32(load(n_rows[j] + x - 1), load(n_rows[j] + x + 1)));
    return sum;
}

/* Adds the rounded (m²·m) of one band. False when a value does not fit 31 bits: nothing has been added then. */
static inline bool add_cubes(__m256i m, int square_shift, int cube_shift, __m256i *sum)
{
    Wide square = rounded(times(m, m), square_shift);
    __m256i q = low_words(square), beyond = high_words(square);

    if (_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_or_si256(m, q))) || !_mm256_testz_si256(beyond, beyond))
        return false;
    Wide cube = rounded(times(q, m), cube_shift);
    *sum = _mm256_add_epi64(*sum, _mm256_add_epi64(cube.even, cube.odd));
    return true;
}

typedef struct Block {
    const int32_t *x[VMAFX_ADM_BANDS], *n_rows[3], *z_minus_n;
} Block;

/* The arguments of a kernel for columns from x on. */
static inline Block block_at(const int32_t *const bands[VMAFX_ADM_BANDS], const int32_t *const n_rows[3],
                             const int32_t *z_minus_n, int x)
{
    return (Block){ { bands[0] + x, bands[1] + x, bands[2] + x },
                    { n_rows[0] + x, n_rows[1] + x, n_rows[2] + x },
                    z_minus_n + x };
}

/* The masked signal of one band at the finest scale: max(0, |R·x| − (thr << L)). */
static inline __m256i masked_fine(const int32_t *x, uint32_t gain, __m256i thr, int scale_shift)
{
    __m256i signal = _mm256_abs_epi32(_mm256_mullo_epi32(load(x), all((int32_t)gain)));
    __m256i mask = _mm256_slli_epi32(thr, scale_shift);

    return _mm256_and_si256(_mm256_cmpgt_epi32(signal, mask), _mm256_sub_epi32(signal, mask));
}

static void numerator_fine_avx2(const int32_t *const x[VMAFX_ADM_BANDS], const int32_t *const n_rows[3],
                                const int32_t *z_minus_n, int n, const VmafxAdmGains *gains,
                                int64_t sums[VMAFX_ADM_BANDS])
{
    __m256i acc[VMAFX_ADM_BANDS] = { _mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256() };
    int i = 0;

    for (; i + BLOCK <= n; i += BLOCK) {
        __m256i thr = threshold(n_rows, z_minus_n, i), trial[VMAFX_ADM_BANDS] = { acc[0], acc[1], acc[2] };
        bool fits = true;

        for (int b = 0; b < VMAFX_ADM_BANDS; b++) {
            bool diagonal = b == VMAFX_ADM_D;
            __m256i m = masked_fine(x[b] + i, gains->r[b], thr, diagonal ? 12 : 10);
            fits &= add_cubes(m, diagonal ? 30 : 29, gains->cube_shift[b], &trial[b]);
        }
        if (!fits) {
            Block at = block_at(x, n_rows, z_minus_n, i);
            vmafx_adm_kernels_c.numerator[0](at.x, at.n_rows, at.z_minus_n, BLOCK, gains, sums);
            continue;
        }
        for (int b = 0; b < VMAFX_ADM_BANDS; b++)
            acc[b] = trial[b];
    }
    for (int b = 0; b < VMAFX_ADM_BANDS; b++)
        sums[b] = (int64_t)((uint64_t)sums[b] + (uint64_t)total(acc[b]));
    Block rest = block_at(x, n_rows, z_minus_n, i);
    vmafx_adm_kernels_c.numerator[0](rest.x, rest.n_rows, rest.z_minus_n, n - i, gains, sums);
}

static void numerator_coarse_avx2(const int32_t *const x[VMAFX_ADM_BANDS], const int32_t *const n_rows[3],
                                  const int32_t *z_minus_n, int n, const VmafxAdmGains *gains,
                                  int64_t sums[VMAFX_ADM_BANDS])
{
    __m256i acc[VMAFX_ADM_BANDS] = { _mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256() };
    int i = 0;

    if (!gains_fit(gains)) {
        vmafx_adm_kernels_c.numerator[1](x, n_rows, z_minus_n, n, gains, sums);
        return;
    }
    for (; i + BLOCK <= n; i += BLOCK) {
        __m256i thr = threshold(n_rows, z_minus_n, i), trial[VMAFX_ADM_BANDS] = { acc[0], acc[1], acc[2] };
        bool fits = true;

        for (int b = 0; b < VMAFX_ADM_BANDS; b++) {
            __m256i weighted = weighted_coarse(load(x[b] + i), gains->r[b]);
            __m256i m = _mm256_sub_epi32(_mm256_abs_epi32(weighted), thr); /* modulo 2^32, as the definition has it */

            fits &= !_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(weighted, all(INT32_MIN))));
            m = _mm256_max_epi32(m, _mm256_setzero_si256());
            fits &= add_cubes(m, 30, gains->cube_shift[b], &trial[b]);
        }
        if (!fits) {
            Block at = block_at(x, n_rows, z_minus_n, i);
            vmafx_adm_kernels_c.numerator[1](at.x, at.n_rows, at.z_minus_n, BLOCK, gains, sums);
            continue;
        }
        for (int b = 0; b < VMAFX_ADM_BANDS; b++)
            acc[b] = trial[b];
    }
    for (int b = 0; b < VMAFX_ADM_BANDS; b++)
        sums[b] = (int64_t)((uint64_t)sums[b] + (uint64_t)total(acc[b]));
    Block rest = block_at(x, n_rows, z_minus_n, i);
    vmafx_adm_kernels_c.numerator[1](rest.x, rest.n_rows, rest.z_minus_n, n - i, gains, sums);
}

/* ---- Denominators ---- */

static void denominator_rest(int coarse, const int32_t *const o[VMAFX_ADM_BANDS], int from, int n, int square_shift,
                             int cube_shift, uint64_t sums[VMAFX_ADM_BANDS])
{
    const int32_t *rest[VMAFX_ADM_BANDS] = { o[0] + from, o[1] + from, o[2] + from };

    vmafx_adm_kernels_c.denominator[coarse](rest, n - from, square_shift, cube_shift, sums);
}

static void denominator_fine_avx2(const int32_t *const o[VMAFX_ADM_BANDS], int n, int square_shift, int cube_shift,
                                  uint64_t sums[VMAFX_ADM_BANDS])
{
    int whole = n / BLOCK * BLOCK;

    for (int b = 0; b < VMAFX_ADM_BANDS; b++) {
        __m256i acc = _mm256_setzero_si256();

        for (int x = 0; x < whole; x += BLOCK) {
            __m256i m = _mm256_abs_epi32(load(o[b] + x));
            Wide cube = times(_mm256_mullo_epi32(m, m), m);
            acc = _mm256_add_epi64(acc, _mm256_add_epi64(cube.even, cube.odd));
        }
        sums[b] += (uint64_t)total(acc);
    }
    denominator_rest(0, o, whole, n, square_shift, cube_shift, sums);
}

static void denominator_coarse_avx2(const int32_t *const o[VMAFX_ADM_BANDS], int n, int square_shift, int cube_shift,
                                    uint64_t sums[VMAFX_ADM_BANDS])
{
    int whole = n / BLOCK * BLOCK;

    for (int b = 0; b < VMAFX_ADM_BANDS; b++) {
        __m256i acc = _mm256_setzero_si256();

        for (int x = 0; x < whole; x += BLOCK) {
            __m256i m = _mm256_abs_epi32(load(o[b] + x));
            __m256i q = low_words(shifted(plus_all(times(m, m), 1ll << square_shift), square_shift));
            Wide cube = rounded(times(q, m), cube_shift);
            acc = _mm256_add_epi64(acc, _mm256_add_epi64(cube.even, cube.odd));
        }
        sums[b] += (uint64_t)total(acc);
    }
    denominator_rest(1, o, whole, n, square_shift, cube_shift, sums);
}

void vmafx_adm_kernels_init_avx2(VmafxAdmKernels *k)
{
    vmafx_adm_kernels_init_wavelet_avx2(k);
    k->decouple[0] = decouple_fine_avx2;
    k->weigh[0] = weigh_fine_avx2;
    k->weigh[1] = weigh_coarse_avx2;
    k->numerator[0] = numerator_fine_avx2;
    k->numerator[1] = numerator_coarse_avx2;
    k->denominator[0] = denominator_fine_avx2;
    k->denominator[1] = denominator_coarse_avx2;
}
