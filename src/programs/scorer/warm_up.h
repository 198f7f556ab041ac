/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A scoring of nothing much, so that children find done what is done once in a process. */
#ifndef VMAFX_PROGRAMS_SCORER_WARM_UP_H
#define VMAFX_PROGRAMS_SCORER_WARM_UP_H

#include "score/registry.h"

/** Afterwards the process has a single thread again. What fails is left: it fails again where somebody hears of it. */
void warm_up(const VmafxModelRegistry *models);

/** The kernels that this machine uses: "avx2"; static. */
const char *kernel_level(void);
#endif
