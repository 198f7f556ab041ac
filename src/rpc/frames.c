/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Runs of frames out of packed columns. */

#include "rpc/frames.h"

#include "base/base.h"

#define VALUES 65536 /* 512 KiB */

uint64_t vmafx_frames_rows(const VmafxColumns *columns)
{
    return columns->n ? VMAFX_MAX(VALUES / columns->n, 1) : 0;
}

VmafxErr vmafx_frames_use(const VmafxColumns *columns, uint64_t first, uint64_t n,
                          VmafxErr (*use)(void *ctx, Vmafx__V1__Frames *frames), void *ctx)
{
    VMAFX_AUTO(vmafx_free_p) Vmafx__V1__Column *parts = calloc(columns->n + 1, sizeof *parts);
    VMAFX_AUTO(vmafx_free_p) Vmafx__V1__Column **list = calloc(columns->n + 1, sizeof(Vmafx__V1__Column *));
    Vmafx__V1__Frames frames = VMAFX__V1__FRAMES__INIT;

    if (!parts || !list)
        return VMAFX_ERR_NOMEM;
    for (size_t c = 0; c < columns->n; c++) {
        vmafx__v1__column__init(&parts[c]);
        parts[c].n_values = n;
        parts[c].values = columns->values + c * columns->n_rows + first;
        list[c] = &parts[c];
    }
    frames.first = (int64_t)first;
    frames.n_columns = columns->n;
    frames.columns = list;
    return use(ctx, &frames);
}
