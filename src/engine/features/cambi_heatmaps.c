/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Each map has its place in its file, so it does not matter in which order workers come. */

#include "engine/features/cambi_heatmaps.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/base.h"
#include "base/folders.h"

#define AT_ONCE 4096 /* samples */

typedef struct Map {
    VmafxAtomicFile *file;
    char *path;
    int fd;
} Map;

struct CambiHeatmaps {
    double scale;
    Map maps[CAMBI_SCALES];
};

static void maps_free(CambiHeatmaps **maps)
{
    for (int k = 0; *maps && k < CAMBI_SCALES; k++) {
        vmafx_atomic_file_abort(&(*maps)->maps[k].file);
        free((*maps)->maps[k].path);
    }
    free(*maps);
    *maps = NULL;
}

/* A device or a pipe cannot be written in whatever order maps come. */
static VmafxErr open_map(Map *map, VmafxErrInfo *reterr)
{
    struct stat st;

    if (!stat(map->path, &st) && !S_ISREG(st.st_mode))
        return vmafx_fail(reterr, VMAFX_ERR_IO, "cannot write heat maps to '%s': it is not an ordinary file",
                          map->path);
    VmafxErr err = vmafx_atomic_file_open(map->path, &map->file, reterr);
    if (!err)
        map->fd = fileno(vmafx_atomic_file_stream(map->file));
    return err;
}

VmafxErr cambi_heatmaps_open(const char *folder, int w, int h, int window, int strongest, CambiHeatmaps **ret_maps,
                             VmafxErrInfo *reterr)
{
    VMAFX_AUTO(maps_free) CambiHeatmaps *maps = calloc(1, sizeof *maps);
    VmafxErr err = maps ? vmafx_make_folders(folder, 0777, reterr) : VMAFX_ERR_NOMEM;

    if (err)
        return err;
    maps->scale = 65535.0 / (strongest * window * window / 4);
    for (int k = 0; k < CAMBI_SCALES && !err; k++, w = (w + 1) / 2, h = (h + 1) / 2) {
        maps->maps[k].path = vmafx_sprintf("%s/cambi_heatmap_scale_%d_%dx%d_16b.gray", folder, k, w, h);
        err = maps->maps[k].path ? open_map(&maps->maps[k], reterr) : VMAFX_ERR_NOMEM;
    }
    if (!err)
        *ret_maps = VMAFX_TAKE(maps);
    return err;
}

static VmafxErr write_all(const Map *map, const uint8_t *bytes, size_t n, uint64_t at, VmafxErrInfo *reterr)
{
    while (n) {
        ssize_t done = pwrite(map->fd, bytes, n, (off_t)at);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return vmafx_fail(reterr, VMAFX_ERR_IO, "cannot write the heat map '%s': %s", map->path,
                              done < 0 ? strerror(errno) : "nothing was taken");
        bytes += done;
        n -= (size_t)done;
        at += (uint64_t)done;
    }
    return VMAFX_OK;
}

VmafxErr cambi_heatmaps_write(CambiHeatmaps *maps, int scale, uint32_t place, const float *contrasts, size_t n,
                              VmafxErrInfo *reterr)
{
    uint8_t bytes[2 * AT_ONCE];
    uint64_t at = 2 * (uint64_t)n * place;
    VmafxErr err = VMAFX_OK;

    for (size_t from = 0; from < n && !err; from += AT_ONCE) {
        size_t some = VMAFX_MIN(n - from, (size_t)AT_ONCE);

        for (size_t i = 0; i < some; i++) {
            unsigned v = (unsigned)(maps->scale * (double)contrasts[from + i]);

            bytes[2 * i] = (uint8_t)v;
            bytes[2 * i + 1] = (uint8_t)(v >> 8);
        }
        err = write_all(&maps->maps[scale], bytes, 2 * some, at + 2 * from, reterr);
    }
    return err;
}

VmafxErr cambi_heatmaps_commit(CambiHeatmaps **maps_p, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(maps_free) CambiHeatmaps *maps = VMAFX_TAKE(*maps_p);
    VmafxErr err = VMAFX_OK;

    for (int k = 0; k < CAMBI_SCALES && !err; k++)
        err = vmafx_atomic_file_commit(&maps->maps[k].file, reterr);
    return err;
}

void cambi_heatmaps_abort(CambiHeatmaps **maps)
{
    maps_free(maps);
}
