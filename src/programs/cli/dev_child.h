/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A program that `vmafx dev` runs: started in a process group of its own (so that Ctrl-C reaches us alone), with its
 * output through a pipe, killed by the system should we die. Main's thread only; SIGCHLD is the caller's to wait for.
 */
#ifndef VMAFX_PROGRAMS_CLI_DEV_CHILD_H
#define VMAFX_PROGRAMS_CLI_DEV_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <vmafx/error.h>

#define DEV_NAME_SIZE 32
#define DEV_LINE_MAX  8192 /* longer ones are broken up */

typedef struct DevChild {
    char name[DEV_NAME_SIZE]; /* "node-1"; before its lines */
    char **argv;              /* owned; NULL at the end */

    pid_t pid; /* 0: not running */
    int out;   /* its output; -1: none, or all read */
    uint64_t started_ns;
    uint64_t again_ns; /* when it shall be started again; 0: not waiting */
    unsigned failures; /* ends in a row, soon after a start */

    char line[DEV_LINE_MAX];
    size_t n_line;
} DevChild;

/** argv: NULL at the end, copied. VMAFX_ERR_NOMEM */
VMAFX_CHECK VmafxErr dev_child_init(DevChild *child, const char *name, const char *const *argv);
/** Not while it runs. */
void dev_child_done(DevChild *child);

/**
 * Starts it. Signals that we blocked are not blocked in it.
 * @return VMAFX_ERR_NOT_FOUND, VMAFX_ERR_IO, VMAFX_ERR_NOMEM: it does not run; again_ns is as it was
 */
VMAFX_CHECK VmafxErr dev_child_start(DevChild *child, uint64_t now_ns, VmafxErrInfo *reterr);

/** Hands on the whole lines that are there; at the end of its output the rest too. */
void dev_child_read(DevChild *child, void (*line)(void *ctx, const DevChild *child, const char *line), void *ctx);

/** A signal to it, or to it and everything in its group. */
void dev_child_signal(const DevChild *child, int number, bool group);

/**
 * Whether it has ended; then what it left in its group is killed, and *ret_status is waitpid's.
 */
bool dev_child_reap(DevChild *child, int *ret_status);

/** How long to wait before it is started again: 0.5 s, doubling to 30 s; afresh after a minute of running. */
uint64_t dev_child_backoff_ns(DevChild *child, uint64_t now_ns);

/** "exit code 1", "signal 9 (Killed)". */
void dev_child_status_text(int status, char *ret, size_t size);
#endif
