/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Row kernels of integer VIF. A row of a scale goes through them once:
 *
 *     N picture rows ─► vert ─► five rows of 32-bit moments ─► horz ─► S1, S2, S12 ─► score ─► sums
 *                 │                                            └───────── measure ──────────┘
 *                 └──► down_vert ─► one 16-bit row ─► down_horz ─► a row of the next scale
 *
 * Rows that a horizontal kernel reads have taps / 2 valid values on either side, which the caller mirrors; it may read,
 * but not use, up to VMAFX_VIF_SLACK samples beyond them. The others touch no sample past w.
 */
#ifndef VMAFX_ENGINE_KERNELS_VIF_H
#define VMAFX_ENGINE_KERNELS_VIF_H

#include <stdint.h>

#define VMAFX_VIF_TAPS_MAX 17
#define VMAFX_VIF_PAD      (VMAFX_VIF_TAPS_MAX / 2)
#define VMAFX_VIF_SLACK    32
#define VMAFX_VIF_NSQ      131072 /* noise variance 2.0 in units of 1/65536 of a squared 8-bit level */

/** A symmetric filter; the taps sum to 65536. */
typedef struct VmafxVifFilter {
    int n; /* 17, 9, 5 or 3 */
    uint16_t taps[VMAFX_VIF_TAPS_MAX];
} VmafxVifFilter;

/**
 * Rows of moments: means of r and d, and the 32-bit second moments as two rows of 16 bits each, low and high half:
 * a horizontal pass can then filter every row with 16-bit multiplications.
 */
enum {
    VMAFX_VIF_M1,
    VMAFX_VIF_M2,
    VMAFX_VIF_E11_LO,
    VMAFX_VIF_E11_HI,
    VMAFX_VIF_E22_LO,
    VMAFX_VIF_E22_HI,
    VMAFX_VIF_E12_LO,
    VMAFX_VIF_E12_HI,
    VMAFX_VIF_MOMENTS
};

typedef struct VmafxVifMoments {
    uint16_t *row[VMAFX_VIF_MOMENTS];
} VmafxVifMoments;

/** Sums over pixels that do not depend on the gain limit. */
typedef struct VmafxVifSums {
    int64_t denlog, nonlog, cnt;
} VmafxVifSums;

typedef struct VmafxVifKernels {
    /**
     * Vertical pass for n_rows output rows, 1 or 2, over filter->n + n_rows − 1 rows each of ref and dis, w samples:
     * the first output is of the first filter->n rows, the second of those a row further down. m = rnd(Σ F·v,
     * mean_shift)     e = rnd(Σ F·v·v, square_shift) rnd(v, n) = (v + 2^(n−1)) >> n     rnd(v, 0) = v
     */
    void (*vert8)(const uint8_t *const *ref, const uint8_t *const *dis, const VmafxVifFilter *filter, int w, int n_rows,
                  const VmafxVifMoments *ret);
    void (*vert16)(const uint16_t *const *ref, const uint16_t *const *dis, const VmafxVifFilter *filter, int mean_shift,
                   int square_shift, int w, int n_rows, const VmafxVifMoments *ret);
    /** Horizontal pass and central moments: variance of r, of d, covariance. */
    void (*horz)(const VmafxVifMoments *in, const VmafxVifFilter *filter, int w, int32_t *ret_s1, int32_t *ret_s2,
                 int32_t *ret_s12);
    /** Adds the contribution of w pixels to sums, and to numlog[i] that of gain limit limits[i]. */
    void (*score)(const int32_t *s1, const int32_t *s2, const int32_t *s12, int w, const uint16_t *log2_table,
                  const double *limits, int n_limits, VmafxVifSums *sums, int64_t *numlog);
    /** `horz` and `score` of a row in one. */
    void (*measure)(const VmafxVifMoments *in, const VmafxVifFilter *filter, int w, const uint16_t *log2_table,
                    const double *limits, int n_limits, VmafxVifSums *sums, int64_t *numlog);
    /** Vertical half of the step to the next scale: (Σ F·v + 2^(shift−1)) >> shift. */
    void (*down_vert8)(const uint8_t *const *rows, const VmafxVifFilter *filter, int w, uint16_t *ret);
    void (*down_vert16)(const uint16_t *const *rows, const VmafxVifFilter *filter, int shift, int w, uint16_t *ret);
    /** Horizontal half, at even columns only: w_out samples. */
    void (*down_horz)(const uint16_t *row, const VmafxVifFilter *filter, int w_out, uint16_t *ret);
} VmafxVifKernels;

/** The definition; faster kernels leave to it what is too short for them. */
extern const VmafxVifKernels vmafx_vif_kernels_c;

void vmafx_vif_kernels_init(VmafxVifKernels *k, unsigned cpu);

/** `measure` by way of the two kernels it stands for, some columns at a time. */
#define VMAFX_VIF_MEASURE(name, horz, score)                                                                           \
    static void name(const VmafxVifMoments *in, const VmafxVifFilter *filter, int w, const uint16_t *log2_table,       \
                     const double *limits, int n_limits, VmafxVifSums *sums, int64_t *numlog)                          \
    {                                                                                                                  \
        enum { AT_ONCE = 256 };                                                                                        \
        int32_t s1[AT_ONCE], s2[AT_ONCE], s12[AT_ONCE];                                                                \
                                                                                                                       \
        for (int x = 0; x < w; x += AT_ONCE) {                                                                         \
            int n = w - x < AT_ONCE ? w - x : AT_ONCE;                                                                 \
            VmafxVifMoments from;                                                                                      \
                                                                                                                       \
            for (int i = 0; i < VMAFX_VIF_MOMENTS; i++)                                                                \
                from.row[i] = in->row[i] + x;                                                                          \
            horz(&from, filter, n, s1, s2, s12);                                                                       \
            score(s1, s2, s12, n, log2_table, limits, n_limits, sums, numlog);                                         \
        }                                                                                                              \
    }

/**
 * The fixed-point logarithm's table: T[i − 32768] = round(2048 · binary32(log2 i)), i = 32768 … 65535. Eight bytes may
 * be read at every entry. Made at the first call, then constant. Any thread.
 */
const uint16_t *vmafx_vif_log2_table(void);
#endif
