/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Integer VIF in plain C: the definition. */

#include "engine/kernels/vif.h"

#include <math.h>
#include <pthread.h>
#include <stddef.h>

#include "engine/kernels/arm/arm.h"
#include "engine/kernels/cpu.h"
#include "engine/kernels/x86/x86.h"

static uint64_t rounded_shift(uint64_t v, int n)
{
    return n ? (v + (1ull << (n - 1))) >> n : v;
}

static void store(const VmafxVifMoments *ret, int x, uint32_t m1, uint32_t m2, const uint32_t e[3])
{
    ret->row[VMAFX_VIF_M1][x] = (uint16_t)m1;
    ret->row[VMAFX_VIF_M2][x] = (uint16_t)m2;
    for (int i = 0; i < 3; i++) {
        ret->row[VMAFX_VIF_E11_LO + 2 * i][x] = (uint16_t)e[i];
        ret->row[VMAFX_VIF_E11_HI + 2 * i][x] = (uint16_t)(e[i] >> 16);
    }
}

static void vert8_row(const uint8_t *const *ref, const uint8_t *const *dis, const VmafxVifFilter *filter, int w,
                      const VmafxVifMoments *ret)
{
    for (int x = 0; x < w; x++) {
        uint32_t m1 = 0, m2 = 0, e[3] = { 0 };

        for (int k = 0; k < filter->n; k++) {
            uint32_t f = filter->taps[k], r = ref[k][x], d = dis[k][x];
            m1 += f * r;
            m2 += f * d;
            e[0] += f * r * r;
            e[1] += f * d * d;
            e[2] += f * r * d;
        }
        store(ret, x, (m1 + 128) >> 8, (m2 + 128) >> 8, e);
    }
}

static void vert8_c(const uint8_t *const *ref, const uint8_t *const *dis, const VmafxVifFilter *filter, int w,
                    int n_rows, const VmafxVifMoments *ret)
{
    for (int i = 0; i < n_rows; i++)
        vert8_row(ref + i, dis + i, filter, w, &ret[i]);
}

static void vert16_row(const uint16_t *const *ref, const uint16_t *const *dis, const VmafxVifFilter *filter,
                       int mean_shift, int square_shift, int w, const VmafxVifMoments *ret)
{
    for (int x = 0; x < w; x++) {
        uint32_t m1 = 0, m2 = 0, e[3];
        uint64_t sum[3] = { 0 };

        for (int k = 0; k < filter->n; k++) {
            uint32_t f = filter->taps[k], r = ref[k][x], d = dis[k][x];
            m1 += f * r;
            m2 += f * d;
            sum[0] += (uint64_t)(f * r) * r;
            sum[1] += (uint64_t)(f * d) * d;
            sum[2] += (uint64_t)(f * r) * d;
        }
        for (int i = 0; i < 3; i++)
            e[i] = (uint32_t)rounded_shift(sum[i], square_shift);
        store(ret, x, (uint32_t)rounded_shift(m1, mean_shift), (uint32_t)rounded_shift(m2, mean_shift), e);
    }
}

static void vert16_c(const uint16_t *const *ref, const uint16_t *const *dis, const VmafxVifFilter *filter,
                     int mean_shift, int square_shift, int w, int n_rows, const VmafxVifMoments *ret)
{
    for (int i = 0; i < n_rows; i++)
        vert16_row(ref + i, dis + i, filter, mean_shift, square_shift, w, &ret[i]);
}

/* E − A, where E is the filtered second moment and A the product of the means, both as 32-bit fixed point. */
static int32_t central(uint64_t e, uint32_t ma, uint32_t mb)
{
    uint32_t moment = (uint32_t)((e + 32768) >> 16);
    uint32_t product = (uint32_t)(((uint64_t)ma * mb + (1ull << 31)) >> 32);

    return (int32_t)(moment - product);
}

static void horz_c(const VmafxVifMoments *in, const VmafxVifFilter *filter, int w, int32_t *ret_s1, int32_t *ret_s2,
                   int32_t *ret_s12)
{
    for (int x = 0; x < w; x++) {
        uint32_t m1 = 0, m2 = 0;
        uint64_t e[3] = { 0 };

        for (int k = 0; k < filter->n; k++) {
            uint32_t f = filter->taps[k];
            ptrdiff_t at = (ptrdiff_t)x + k - filter->n / 2;
            m1 += f * in->row[VMAFX_VIF_M1][at];
            m2 += f * in->row[VMAFX_VIF_M2][at];
            for (int i = 0; i < 3; i++) {
                uint32_t hi = in->row[VMAFX_VIF_E11_HI + 2 * i][at], lo = in->row[VMAFX_VIF_E11_LO + 2 * i][at];
                e[i] += (uint64_t)f * (hi << 16 | lo);
            }
        }
        ret_s1[x] = central(e[0], m1, m1);
        ret_s2[x] = central(e[1], m2, m2);
        ret_s12[x] = central(e[2], m1, m2);
    }
}

/* 2048 · log2(v) for v ≥ 2^15. */
static int64_t log2_fixed(const uint16_t *table, uint64_t v)
{
    int e = 63 - __builtin_clzll(v) - 15;

    return table[(v >> e) - 32768] + 2048 * (int64_t)e;
}

static void score_c(const int32_t *s1, const int32_t *s2, const int32_t *s12, int w, const uint16_t *log2_table,
                    const double *limits, int n_limits, VmafxVifSums *sums, int64_t *numlog)
{
    const double eps = 65536 * 1e-10; /* keeps the gain finite; S1 is at least NSQ here */

    for (int x = 0; x < w; x++) {
        int32_t dis_var = s2[x] < 0 ? 0 : s2[x];

        if (s1[x] < VMAFX_VIF_NSQ) {
            sums->nonlog += dis_var;
            sums->cnt++;
            continue;
        }
        sums->denlog += log2_fixed(log2_table, (uint32_t)VMAFX_VIF_NSQ + (uint32_t)s1[x]) - 17 * 2048;
        if (s12[x] <= 0 || dis_var == 0)
            continue;

        double gain = (double)s12[x] / ((double)s1[x] + eps);
        int64_t noise = (int64_t)((double)dis_var - gain * (double)s12[x]); /* with the gain before its limit */
        noise = (noise < 0 ? 0 : noise) + VMAFX_VIF_NSQ;
        int64_t log_noise = log2_fixed(log2_table, (uint64_t)noise);

        for (int i = 0; i < n_limits; i++) {
            double g = gain > limits[i] ? limits[i] : gain;
            int64_t signal = noise + (int64_t)((g * g) * (double)s1[x]);
            numlog[i] += log2_fixed(log2_table, (uint64_t)signal) - log_noise;
        }
    }
}

VMAFX_VIF_MEASURE(measure_c, horz_c, score_c)

static void down_vert8_c(const uint8_t *const *rows, const VmafxVifFilter *filter, int w, uint16_t *ret)
{
    for (int x = 0; x < w; x++) {
        uint32_t sum = 128;

        for (int k = 0; k < filter->n; k++)
            sum += (uint32_t)filter->taps[k] * rows[k][x];
        ret[x] = (uint16_t)(sum >> 8);
    }
}

static void down_vert16_c(const uint16_t *const *rows, const VmafxVifFilter *filter, int shift, int w, uint16_t *ret)
{
    for (int x = 0; x < w; x++) {
        uint32_t sum = 1u << (shift - 1);

        for (int k = 0; k < filter->n; k++)
            sum += (uint32_t)filter->taps[k] * rows[k][x];
        ret[x] = (uint16_t)(sum >> shift);
    }
}

static void down_horz_c(const uint16_t *row, const VmafxVifFilter *filter, int w_out, uint16_t *ret)
{
    for (int x = 0; x < w_out; x++) {
        uint32_t sum = 32768;

        for (int k = 0; k < filter->n; k++)
            sum += (uint32_t)filter->taps[k] * row[2 * (ptrdiff_t)x + k - filter->n / 2];
        ret[x] = (uint16_t)(sum >> 16);
    }
}

static uint16_t log2_table[32768 + 3]; /* with room for a wide load at the last entry */

/* Without the step over binary32 38 entries would differ: it lands exactly on a tie there. */
static void log2_table_make(void)
{
    for (int i = 32768; i < 65536; i++)
        log2_table[i - 32768] = (uint16_t)round((double)(float)log2(i) * 2048);
}

const uint16_t *vmafx_vif_log2_table(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, log2_table_make);
    return log2_table;
}

const VmafxVifKernels vmafx_vif_kernels_c = {
    .vert8 = vert8_c,
    .vert16 = vert16_c,
    .horz = horz_c,
    .score = score_c,
    .measure = measure_c,
    .down_vert8 = down_vert8_c,
    .down_vert16 = down_vert16_c,
    .down_horz = down_horz_c,
};

void vmafx_vif_kernels_init(VmafxVifKernels *k, unsigned cpu)
{
    *k = vmafx_vif_kernels_c;
#if VMAFX_ARCH_X86
    if (cpu & VMAFX_CPU_AVX2)
        vmafx_vif_kernels_init_avx2(k);
    if (cpu & VMAFX_CPU_AVX512)
        vmafx_vif_kernels_init_avx512(k);
#elif VMAFX_ARCH_ARM64
    if (cpu & VMAFX_CPU_NEON)
        vmafx_vif_kernels_init_neon(k);
#endif
}
