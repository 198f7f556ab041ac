/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Filters of VIF as AVX-512 multiplies them: pairs of 16-bit samples by pairs of signed 16-bit taps.
 *
 * Two neighbouring outputs, rows or columns, are made from the same pairs: those from the first output's first sample
 * on, with taps for the first output and taps for the second, which begins one sample later.
 */
#ifndef VMAFX_ENGINE_KERNELS_X86_VIF_AVX512_H
#define VMAFX_ENGINE_KERNELS_X86_VIF_AVX512_H

#include "engine/kernels/vif.h"
#include "engine/kernels/x86/avx512.h"

#define VIF_PAIRS_MAX ((VMAFX_VIF_TAPS_MAX + 1) / 2)

typedef struct VifTaps {
    __m512i first[VIF_PAIRS_MAX], second[VIF_PAIRS_MAX];
} VifTaps;

VMAFX_UNROLLED int n_pairs(int n_taps)
{
    return n_taps == 3 ? 3 : (n_taps + 1) / 2;
}

/* The sample with which pair p begins. */
VMAFX_UNROLLED int pair_at(int n_taps, int p)
{
    return n_taps == 3 ? p : 2 * p;
}

static inline VifTaps vif_taps(const VmafxVifFilter *filter)
{
    const uint16_t *f = filter->taps;
    VifTaps taps;

    if (filter->n == 3) { /* the middle tap needs 16 unsigned bits: half of it in each of two pairs */
        int32_t half = f[1] / 2;
        return (VifTaps){ { tap_pair(f[0], half), tap_pair(half, f[2]), _mm512_setzero_si512() },
                          { tap_pair(0, f[0]), tap_pair(0, half), tap_pair(half, f[2]) } };
    }
    for (int k = 0; k < filter->n; k += 2) {
        taps.first[k / 2] = tap_pair(f[k], k + 1 < filter->n ? f[k + 1] : 0);
        taps.second[k / 2] = tap_pair(k ? f[k - 1] : 0, f[k]);
    }
    return taps;
}

/* Calls f(…, number of taps) with the number as a constant. */
#define WITH_TAPS(n, f, ...)                                                                                           \
    do {                                                                                                               \
        if ((n) == 17)                                                                                                 \
            f(__VA_ARGS__, 17);                                                                                        \
        else if ((n) == 9)                                                                                             \
            f(__VA_ARGS__, 9);                                                                                         \
        else if ((n) == 5)                                                                                             \
            f(__VA_ARGS__, 5);                                                                                         \
        else                                                                                                           \
            f(__VA_ARGS__, 3);                                                                                         \
    } while (0)

/* Unsigned 16-bit samples minus 2^15: the taps sum to 2^16, so a filtered row then lacks 2^31. */
static inline __m512i signed_words(const uint16_t *p)
{
    return _mm512_xor_si512(_mm512_loadu_si512(p), _mm512_set1_epi16((int16_t)0x8000));
}

#define SIGNED_BIAS ((int32_t)0x80000000u) /* what a sum of signed words begins with */
#endif
