/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Which encoders work where tasks work: inside the sandbox. Tried after the start, by a child that nobody waits for,
 * one encoder after the other; where one hangs or crashes, another child goes on behind it.
 */
#ifndef VMAFX_PROGRAMS_SCORER_PROBE_H
#define VMAFX_PROGRAMS_SCORER_PROBE_H

#include <sys/types.h>

#include "base/encoders.h"
#include "programs/scorer/sandbox.h"

#define PROBE_PROCESS "vmafx-encoders" /* what the child is called, so that nobody takes it for a task */

/** Zeroed at first. */
typedef struct Probe {
    pid_t pid;   /* 0: no child */
    int pipe;    /* that the child writes to; meaningful while there is one */
    size_t next; /* number of the encoder to go on with, in the names' order */
    VmafxEncoderSet works;
    uint64_t kill_at_ns;
    bool over;
} Probe;

/** To be called whenever something has happened. True once: all has been tried, and *ret says which work. */
bool probe_step(Probe *probe, const Sandbox *sandbox, VmafxEncoderSet *ret);
/** A child of this process has ended: was it this one? */
bool probe_take_end(Probe *probe, pid_t pid);
/** Kills it when its time is up; when to call again, UINT64_MAX: no need. */
uint64_t probe_enforce_time(Probe *probe, uint64_t now_ns);
/** Kills it. */
void probe_done(Probe *probe);
#endif
