/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What a forked child does: into the sandbox, one scoring, its result into the pipe, gone. */
#ifndef VMAFX_PROGRAMS_SCORER_CHILD_H
#define VMAFX_PROGRAMS_SCORER_CHILD_H

#include <sys/types.h>

#include "programs/scorer/channel.h"
#include "programs/scorer/sandbox.h"
#include "score/registry.h"

/** All of it was there before the fork. */
typedef struct ChildTask {
    const Vmafx__Scorer__V1__Start *start;
    const int *fds; /* reference, distorted, pipe; and a file for what is encoded, if that is to be kept */
    size_t n_fds;   /* 3 or 4 */
    Sandbox sandbox;
    pid_t parent;
    const VmafxModelRegistry *models;
    ChannelBuffer *buffer;
} ChildTask;

/** In a fresh child with a single thread. */
_Noreturn void child_run(ChildTask *task);

/** Nothing of the scorer's way to hear of signals is left. In any child, first. */
void child_restore_signals(void);
#endif
