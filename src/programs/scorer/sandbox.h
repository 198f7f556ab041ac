/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The sandbox of a child that decodes other people's files. It may read the descriptors it has, write to its pipe,
 * compute, and start threads. Everything else is taken from it, in layers, so that one that a machine does not offer
 * leaves the others:
 *
 *     rlimits        memory, CPU time, descriptors; no file grows but the one that is to be kept, no core is written
 *     unprivileged   another user than root, without capabilities
 *     namespaces     a network and IPC of its own, with nothing in them
 *     chroot         an empty folder that no longer exists is all there is of the file system
 *     no_new_privs   no program gives more
 *     landlock       no path may be read, written or executed; no TCP port; no signal to others
 *     seccomp        system calls by an allow list (sandbox_filter.c); the worst of the others kill
 *
 * rlimits, no_new_privs and seccomp are there on every kernel worth running on; without them nothing is decoded.
 */
#ifndef VMAFX_PROGRAMS_SCORER_SANDBOX_H
#define VMAFX_PROGRAMS_SCORER_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <vmafx/error.h>

/* Address sanitizer reserves terabytes of addresses, so a build with it does not limit them. */
#if defined(__SANITIZE_ADDRESS__)
#define SANDBOX_LIMITS_ADDRESSES 0
#elif defined(__has_feature)
#define SANDBOX_LIMITS_ADDRESSES !__has_feature(address_sanitizer)
#else
#define SANDBOX_LIMITS_ADDRESSES 1
#endif

enum {
    SANDBOX_RLIMITS = 0,
    SANDBOX_UNPRIVILEGED,
    SANDBOX_NAMESPACES,
    SANDBOX_CHROOT,
    SANDBOX_NO_NEW_PRIVS,
    SANDBOX_LANDLOCK,
    SANDBOX_SECCOMP,
    SANDBOX_LAYERS
};

/** "rlimits" …; static. */
const char *sandbox_layer_name(int layer);
/** The names of the layers in a set of bits (1 << layer); returns how many. */
size_t sandbox_layer_names(unsigned layers, const char *ret[SANDBOX_LAYERS]);

/** What children need and can no longer get themselves. Made once, by a process with a single thread. */
typedef struct Sandbox {
    int null_fd;             /* /dev/null */
    int root_fd;             /* a folder that is gone; -1: none could be made */
    bool users_have_unshare; /* a user without privileges may make namespaces */
} Sandbox;

typedef struct SandboxLimits {
    int64_t address_space_bytes, cpu_seconds; /* 0: none */
    int64_t file_bytes;                       /* that a file it has may grow to; 0: none does */
} SandboxLimits;

/** VMAFX_ERR_IO: no /dev/null. */
VMAFX_CHECK VmafxErr sandbox_prepare(Sandbox *ret, VmafxErrInfo *reterr);

/**
 * Afterwards 0, 1 and 2 are /dev/null, 3 … are fds in their order, nothing else is open, and the working folder is the
 * removed one. n is at most 8. VMAFX_ERR_IO
 */
VMAFX_CHECK VmafxErr sandbox_keep_only(Sandbox *sandbox, const int *fds, size_t n, VmafxErrInfo *reterr);

/**
 * For ever. The process has a single thread and only the descriptors it shall keep, and those of the sandbox.
 * @param parent      dies with it
 * @param ret_layers  bits (1 << layer) of what took hold
 * @return VMAFX_ERR_UNSUPPORTED: a layer that must be there is not; VMAFX_ERR_STOPPED: the parent has gone
 */
VMAFX_CHECK VmafxErr sandbox_enter(const Sandbox *sandbox, const SandboxLimits *limits, pid_t parent,
                                   unsigned *ret_layers, VmafxErrInfo *reterr);

/** The layers that take hold on this machine, found out by a child that enters. 0 with a sentence: it cannot. */
unsigned sandbox_probe(const Sandbox *sandbox, VmafxErrInfo *reterr);

/** sandbox_filter.c: the last layer. False with errno. */
VMAFX_CHECK bool sandbox_filter_load(void);
#endif
