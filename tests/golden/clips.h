/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Synthetic clips of the golden values: luma made by integer arithmetic, the same on every machine. A clip is a
 * source pattern for the reference and, for the distorted side, a chain of operators on it ("blur+addnoise 5 6") or,
 * after "=", a pattern of its own. The golden files say which.
 */
#ifndef VMAFX_TESTS_GOLDEN_CLIPS_H
#define VMAFX_TESTS_GOLDEN_CLIPS_H

#include <stdbool.h>
#include <stdint.h>

#define CLIP_CHAIN_MAX 4

typedef struct Clip {
    int w, h, bpc;
    const char *ref, *dis;
    uint32_t ref_noise, dis_noise[CLIP_CHAIN_MAX]; /* states of the noise generators, between frames */
} Clip;

/** Frame t of both sides, w * h samples each; frames must be asked for in order. False: the recipe is not known. */
bool clip_frame(Clip *clip, int t, uint16_t *ref, uint16_t *dis);
#endif
