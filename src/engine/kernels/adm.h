/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Row kernels of integer ADM. One output row of a scale goes through them once:
 *
 *     4 input rows ─► dwt_vert ─► low, high ─► dwt_horz ─► A (next scale), H, V, D
 *     H, V, D of both ─► decouple ─► restored r, additive a ─► weigh(a), weigh(r) ─► masking rows N, Z − N
 *     three rows of N around one row of r (or a) ─► numerator ─► sums;    H, V, D of the reference ─► denominator
 *
 * Bands are indexed 0 = H, 1 = V, 2 = D. Bands are 32-bit at every scale; the finest needs only 16 of them.
 */
#ifndef VMAFX_ENGINE_KERNELS_ADM_H
#define VMAFX_ENGINE_KERNELS_ADM_H

#include <stdint.h>

enum { VMAFX_ADM_H, VMAFX_ADM_V, VMAFX_ADM_D, VMAFX_ADM_BANDS };

/** Gains and shifts of one scale. */
typedef struct VmafxAdmGains {
    uint32_t r[VMAFX_ADM_BANDS];     /* CSF gain as a fixed-point number */
    int cube_shift[VMAFX_ADM_BANDS]; /* C of the numerator: shift of q·m per column */
} VmafxAdmGains;

typedef struct VmafxAdmKernels {
    /** Vertical wavelet of the picture: samples minus 2^(bpc−1), rounded shift by bpc. */
    void (*dwt_vert8)(const uint8_t *const rows[4], int w, int16_t *ret_lo, int16_t *ret_hi);
    void (*dwt_vert16)(const uint16_t *const rows[4], int bpc, int w, int16_t *ret_lo, int16_t *ret_hi);
    /** … of the finest scale's low-pass band: Σ, without rounding. */
    void (*dwt_vert_second)(const int16_t *const rows[4], int w, int32_t *ret_lo, int32_t *ret_hi);
    /** … of other low-pass bands: (Σ + 32768) >> 16. The results fit 32 bits: low-pass bands are so bounded. */
    void (*dwt_vert)(const int32_t *const rows[4], int w, int32_t *ret_lo, int32_t *ret_hi);
    /** Horizontal wavelet of n outputs from lo (A and V) and hi (H and D), (Σ + 32768) >> 16; reads columns −1 … 2n. */
    void (*dwt_horz_fine)(const int16_t *lo, const int16_t *hi, int n, int16_t *ret_a,
                          int32_t *const ret_bands[VMAFX_ADM_BANDS]);
    /** … of a low-pass band: (Σ + round) >> shift. */
    void (*dwt_horz)(const int32_t *lo, const int32_t *hi, int shift, int n, int32_t *ret_a,
                     int32_t *const ret_bands[VMAFX_ADM_BANDS]);
    /* From here on index 0 is for the finest scale (values of 16 bits), 1 for the others. */
    /** Splits the distorted bands t into restored r and additive a = t − r, given the reference bands o. */
    void (*decouple[2])(const int32_t *const o[VMAFX_ADM_BANDS], const int32_t *const t[VMAFX_ADM_BANDS], int n,
                        double gain_limit, int32_t *const ret_r[VMAFX_ADM_BANDS],
                        int32_t *const ret_a[VMAFX_ADM_BANDS]);
    /** Masking weights of y: N summed over the bands, and Z − N. */
    void (*weigh[2])(const int32_t *const y[VMAFX_ADM_BANDS], int n, const VmafxAdmGains *gains, int32_t *ret_n,
                     int32_t *ret_z_minus_n);
    /**
     * Adds the masked, cubed energy of one row of x to sums. n_rows are N of the rows above, at and below;
     * columns −1 and n of them are read.
     */
    void (*numerator[2])(const int32_t *const x[VMAFX_ADM_BANDS], const int32_t *const n_rows[3],
                         const int32_t *z_minus_n, int n, const VmafxAdmGains *gains, int64_t sums[VMAFX_ADM_BANDS]);
    /** Adds Σ |o|³ of one row: exact at the finest scale, else q = (o² + 2^square_shift) >> square_shift and
     *  (q·|o|) rounded >> cube_shift. */
    void (*denominator[2])(const int32_t *const o[VMAFX_ADM_BANDS], int n, int square_shift, int cube_shift,
                           uint64_t sums[VMAFX_ADM_BANDS]);
} VmafxAdmKernels;

/** The definition; faster kernels leave to it what does not fit them. */
extern const VmafxAdmKernels vmafx_adm_kernels_c;

void vmafx_adm_kernels_init(VmafxAdmKernels *k, unsigned cpu);
#endif
