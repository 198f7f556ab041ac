/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Clips come out of xz by a pipe. */

#include "real_clips.h"

#include <string.h>

#include "base/base.h"

static FILE *unpack(const char *name, size_t len, const char *ending)
{
    VMAFX_AUTO(vmafx_free_p)
    char *command = vmafx_sprintf("xz -dc '%s/clips/%.*s%s.xz'", getenv("VMAFX_SHARED"), (int)len, name, ending);

    return popen(command, "r");
}

static void skip_line(FILE *f)
{
    for (int c = fgetc(f); c != EOF && c != '\n';)
        c = fgetc(f);
}

static bool read_picture(const RealClip *clip, FILE *f, const VmafxPicture *picture)
{
    if (clip->y4m)
        skip_line(f);
    for (int p = 0; p < 3; p++) {
        const VmafxPlane *plane = &picture->planes[p];
        size_t bytes = (size_t)plane->stride * (size_t)plane->h;

        if (fread((void *)(uintptr_t)plane->data, 1, bytes, f) != bytes)
            return false;
    }
    return true;
}

bool real_clip_open(const char *name, const VmafxPicture *scratch, RealClip *ret)
{
    const char *self = strstr(name, "/self");
    size_t len = self ? (size_t)(self - name) : strlen(name);

    *ret = (RealClip){ .y4m = !strncmp(name, "park_joy", 8) };
    for (int i = 0; i < 2; i++) {
        ret->sides[i] = ret->y4m ? unpack("park_joy_480x270_8", 18, ".y4m")
                                 : unpack(name, len, i && !self ? "_dis.yuv" : "_ref.yuv");
        if (!ret->sides[i])
            return false;
        if (ret->y4m)
            skip_line(ret->sides[i]);
    }
    return !ret->y4m || !strstr(name, "skip1") || read_picture(ret, ret->sides[1], scratch);
}

bool real_clip_frame(const RealClip *clip, const VmafxPicture *ref, const VmafxPicture *dis)
{
    return read_picture(clip, clip->sides[0], ref) && read_picture(clip, clip->sides[1], dis);
}

void real_clip_close(RealClip *clip)
{
    for (int i = 0; i < 2; i++)
        if (clip->sides[i])
            pclose(clip->sides[i]);
    *clip = (RealClip){ 0 };
}
