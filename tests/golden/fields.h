/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Synthetic clips with textured chroma, for the VMAF v1 models: fields of value noise made by integer arithmetic, the
 * same on every machine. A clip is a content for the reference and, for luma and chroma of the distorted side, chains
 * of operators ("blur:1+noise:3"). The golden files say which.
 */
#ifndef VMAFX_TESTS_GOLDEN_FIELDS_H
#define VMAFX_TESTS_GOLDEN_FIELDS_H

#include <vmafx/engine.h>

typedef struct Field {
    const char *content; /* nat, slow, still, band, flatc, flatu, dimc, hard */
    uint32_t seed;
    const char *operators[2]; /* of luma, of chroma: same, blur:R, quant:Q, noise:A, shift:X, gain:N,D */
} Field;

/** Frame t of both sides, into pictures made with pattern_picture_init. */
void field_frame(const Field *field, int t, const VmafxPicture *ref, const VmafxPicture *dis);
#endif
