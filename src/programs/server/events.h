/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What doors share of the events of scorings: runs of frames out of packed columns. */
#ifndef VMAFX_PROGRAMS_SERVER_EVENTS_H
#define VMAFX_PROGRAMS_SERVER_EVENTS_H

#include "base/columns.h"
#include "programs/server/server.h"

/** Values in one message of frames: 512 KiB. */
#define EVENT_VALUES 65536

/** Rows of one such message: 1 or more; 0 without columns. */
uint64_t event_rows(const VmafxColumns *columns);

/** Calls with rows first … first + n − 1 of every column, as a message that borrows them. VMAFX_ERR_NOMEM */
VMAFX_CHECK VmafxErr event_frames(const VmafxColumns *columns, uint64_t first, uint64_t n,
                                  VmafxErr (*use)(void *ctx, Vmafx__V1__Frames *frames), void *ctx);
#endif
