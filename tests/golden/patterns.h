/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Synthetic clips with chroma: pictures made by integer arithmetic from a name, the same on every machine. A name is
 * KIND_WxH_FORMAT_Bb_Nf_sSEED; the golden files of the secondary metrics use them.
 */
#ifndef VMAFX_TESTS_GOLDEN_PATTERNS_H
#define VMAFX_TESTS_GOLDEN_PATTERNS_H

#include <vmafx/engine.h>

typedef struct Pattern {
    char kind[16];
    VmafxPicture shape; /* without data; chroma planes rounded down */
    int frames;
    uint32_t seed;
} Pattern;

/** False: no such name. FORMAT is 400, 420, 422 or 444. */
bool pattern_parse(const char *name, Pattern *ret);
/** Planes, rows without padding, for a picture of that shape; freed with pattern_picture_done. */
void pattern_picture_init(const VmafxPicture *shape, VmafxPicture *ret);
void pattern_picture_done(VmafxPicture *picture);
/** Frame t of both sides, into pictures made for its shape. False: the kind is not known. */
bool pattern_frame(const Pattern *pattern, int t, VmafxPicture *ref, VmafxPicture *dis);
/** The chroma planes of a luma of w x h, as large as the engine takes them; FORMAT as above. */
void pattern_shape(int w, int h, int bpc, int format, VmafxPicture *ret);
#endif
