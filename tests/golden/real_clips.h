/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Real clips with chroma, from $VMAFX_SHARED/clips: raw video, one file per side, and one Y4M file. */
#ifndef VMAFX_TESTS_GOLDEN_REAL_CLIPS_H
#define VMAFX_TESTS_GOLDEN_REAL_CLIPS_H

#include <stdio.h>

#include <vmafx/engine.h>

typedef struct RealClip {
    FILE *sides[2];
    bool y4m;
} RealClip;

/**
 * "NAME"; "NAME/self" is the reference against itself, park_joy… with "skip1" the clip against itself a frame later.
 * False: there is no such clip. `scratch` has the clip's shape and may be overwritten.
 */
bool real_clip_open(const char *name, const VmafxPicture *scratch, RealClip *ret);
/** The next frame of both sides. False: the clip is over. */
bool real_clip_frame(const RealClip *clip, const VmafxPicture *ref, const VmafxPicture *dis);
void real_clip_close(RealClip *clip);
#endif
