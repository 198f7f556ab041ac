/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Runs of frames out of packed columns, for messages of a size that streams take well. Any thread. */
#ifndef VMAFX_RPC_FRAMES_H
#define VMAFX_RPC_FRAMES_H

#include "base/columns.h"
#include "rpc/message.h"

/** Rows of one message, 512 KiB of values: 1 or more; 0 without columns. */
uint64_t vmafx_frames_rows(const VmafxColumns *columns);

/** Calls with rows first … first + n − 1 of every column, as a message that borrows them. VMAFX_ERR_NOMEM */
VMAFX_CHECK VmafxErr vmafx_frames_use(const VmafxColumns *columns, uint64_t first, uint64_t n,
                                      VmafxErr (*use)(void *ctx, Vmafx__V1__Frames *frames), void *ctx);
#endif
