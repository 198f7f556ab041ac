/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* All layers but seccomp. The order matters: each step still needs what the ones after it take away. */

#include "programs/scorer/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/capability.h>

#include "base/base.h"

#define NOBODY          65534
#define DESCRIPTORS_MAX 64
#define THREADS_MAX     512 /* counted by user and namespace, so only where the namespace is the child's own */
#define CLOSE_BY_HAND   65536

const char *sandbox_layer_name(int layer)
{
    static const char *const names[SANDBOX_LAYERS] = {
        [SANDBOX_RLIMITS] = "rlimits", [SANDBOX_UNPRIVILEGED] = "unprivileged", [SANDBOX_NAMESPACES] = "namespaces",
        [SANDBOX_CHROOT] = "chroot",   [SANDBOX_NO_NEW_PRIVS] = "no_new_privs", [SANDBOX_LANDLOCK] = "landlock",
        [SANDBOX_SECCOMP] = "seccomp",
    };

    return names[layer];
}

size_t sandbox_layer_names(unsigned layers, const char *ret[SANDBOX_LAYERS])
{
    size_t n = 0;

    for (int i = 0; i < SANDBOX_LAYERS; i++)
        if (layers & 1u << i)
            ret[n++] = sandbox_layer_name(i);
    return n;
}

/* ---- before the first child ---- */

/* A folder with nothing in it, in which nothing can be made, since it has been removed. */
static int open_removed_folder(void)
{
    const char *base = getenv("TMPDIR");
    char path[256];

    if (snprintf(path, sizeof path, "%s/vmafx-scorer-XXXXXX", base && *base == '/' ? base : "/tmp") >=
            (int)sizeof path ||
        !mkdtemp(path))
        return -1;
    chmod(path, 0555); /* whoever the child will be has to get in */
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    rmdir(path);
    return fd;
}

static bool become_nobody(void)
{
    return !setgroups(0, NULL) && !setresgid(NOBODY, NOBODY, NOBODY) && !setresuid(NOBODY, NOBODY, NOBODY);
}

#define NEW_SPACES (CLONE_NEWNET | CLONE_NEWIPC)

/* Would a user without privileges get namespaces? Tried by a child, since there is no way back. */
static bool try_unshare(void)
{
    int status = 1;
    pid_t pid = fork();

    if (pid == 0)
        _exit((geteuid() == 0 && !become_nobody()) || unshare(CLONE_NEWUSER | NEW_SPACES) != 0);
    if (pid < 0)
        return false;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

VmafxErr sandbox_prepare(Sandbox *ret, VmafxErrInfo *reterr)
{
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null_fd < 0)
        return vmafx_fail(reterr, VMAFX_ERR_IO, "cannot open /dev/null: %s", strerror(errno));
    *ret = (Sandbox){ .null_fd = null_fd, .root_fd = open_removed_folder(), .users_have_unshare = try_unshare() };
    return VMAFX_OK;
}

/* ---- descriptors ---- */

static void close_from(int first)
{
    if (!syscall(SYS_close_range, (unsigned)first, ~0u, 0u))
        return;
    for (int fd = first; fd < CLOSE_BY_HAND; fd++) /* a kernel before 5.9 */
        close(fd);
}

VmafxErr sandbox_keep_only(Sandbox *sandbox, const int *fds, size_t n, VmafxErrInfo *reterr)
{
    int high[8], last = 3 + (int)n;

    /* First out of the way of all targets, then into place. */
    for (size_t i = 0; i < n; i++) {
        high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 64);
        if (high[i] < 0)
            return vmafx_fail(reterr, VMAFX_ERR_IO, "cannot keep a descriptor: %s", strerror(errno));
    }
    int null_fd = fcntl(sandbox->null_fd, F_DUPFD_CLOEXEC, 64);
    int root_fd = sandbox->root_fd < 0 ? -1 : fcntl(sandbox->root_fd, F_DUPFD_CLOEXEC, 64);
    for (int fd = 0; fd < 3; fd++)
        if (null_fd < 0 || dup2(null_fd, fd) < 0)
            return vmafx_fail(reterr, VMAFX_ERR_IO, "cannot redirect to /dev/null: %s", strerror(errno));
    for (size_t i = 0; i < n; i++)
        if (dup2(high[i], 3 + (int)i) < 0)
            return vmafx_fail(reterr, VMAFX_ERR_IO, "cannot keep a descriptor: %s", strerror(errno));
    if (root_fd >= 0 && fchdir(root_fd) < 0)
        sandbox->root_fd = -1; /* then the layer chroot will be missing */
    close_from(last);
    return VMAFX_OK;
}

/* ---- layers ---- */

static bool limit(int which, rlim_t soft, rlim_t hard)
{
    struct rlimit now;

    if (getrlimit((__rlimit_resource_t)which, &now))
        return false;
    hard = VMAFX_MIN(hard, now.rlim_max); /* nobody may raise it */
    return !setrlimit((__rlimit_resource_t)which, &(struct rlimit){ VMAFX_MIN(soft, hard), hard });
}

static bool limit_resources(const SandboxLimits *limits)
{
    bool ok = limit(RLIMIT_CORE, 0, 0) && limit(RLIMIT_FSIZE, (rlim_t)limits->file_bytes, (rlim_t)limits->file_bytes) &&
              limit(RLIMIT_NOFILE, DESCRIPTORS_MAX, DESCRIPTORS_MAX);

    /* The soft limit's signal names the cause; the hard one, a second later, cannot be caught. */
    if (limits->cpu_seconds > 0)
        ok = ok && limit(RLIMIT_CPU, (rlim_t)limits->cpu_seconds, (rlim_t)limits->cpu_seconds + 1);
    if (limits->address_space_bytes > 0 && SANDBOX_LIMITS_ADDRESSES)
        ok = ok && limit(RLIMIT_AS, (rlim_t)limits->address_space_bytes, (rlim_t)limits->address_space_bytes);
    return ok;
}

static bool drop_capabilities(void)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

    return !syscall(SYS_capset, &header, none);
}

/* The working folder is the removed one (sandbox_keep_only). */
static bool enter_empty_root(const Sandbox *sandbox)
{
    return sandbox->root_fd >= 0 && !chroot(".") && !chdir("/");
}

/*
 * Root makes the namespaces itself, where its container allows that, and becomes nobody afterwards: a user namespace
 * made by root would leave the child root's own files. Anybody else, and a root that was not allowed, goes through a
 * user namespace; whether that will work has to be known before root is given up, because a process that is in a
 * chroot may not make one.
 */
static unsigned change_identity(const Sandbox *sandbox)
{
    bool root = geteuid() == 0;
    bool spaces = root && !unshare(NEW_SPACES);
    bool through_user = !spaces && sandbox->users_have_unshare;
    bool chrooted = root && !through_user && enter_empty_root(sandbox);
    bool own_user_space = false;
    unsigned layers = 0;

    if (root && become_nobody())
        root = false;
    if (through_user && !unshare(CLONE_NEWUSER | NEW_SPACES)) {
        spaces = own_user_space = true;
        chrooted = enter_empty_root(sandbox);
    }
    if (own_user_space)
        VMAFX_IGNORE(!limit(RLIMIT_NPROC, THREADS_MAX, THREADS_MAX)); /* one more fence, if it can be had */
    if (drop_capabilities() && !root)
        layers |= 1u << SANDBOX_UNPRIVILEGED;
    return layers | (spaces ? 1u << SANDBOX_NAMESPACES : 0) | (chrooted ? 1u << SANDBOX_CHROOT : 0);
}

/*
 * Landlock as newer kernels have it; the header of this machine may end earlier. Rights that a kernel does not know
 * must not be asked for, so each version adds its own.
 */
typedef struct LandlockRuleset {
    uint64_t fs, net, scoped;
} LandlockRuleset;

static bool refuse_all_paths(void)
{
    static const int fs_rights[] = { 0, 13, 14, 15, 15, 16 }; /* by version: how many bits mean something */
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, 1u /* LANDLOCK_CREATE_RULESET_VERSION */);

    if (version < 1)
        return false;
    LandlockRuleset all = {
        .fs = ((uint64_t)1 << fs_rights[VMAFX_MIN(version, 5L)]) - 1,
        .net = version >= 4 ? 3 : 0,    /* bind, connect: TCP */
        .scoped = version >= 6 ? 3 : 0, /* abstract sockets, signals */
    };
    size_t size = version >= 6 ? sizeof all : version >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
    int fd = (int)syscall(SYS_landlock_create_ruleset, &all, size, 0u);
    bool ok = fd >= 0 && !syscall(SYS_landlock_restrict_self, fd, 0u);

    if (fd >= 0)
        close(fd);
    return ok;
}

static VmafxErr missing(int layer, VmafxErrInfo *reterr)
{
    return vmafx_fail(reterr, VMAFX_ERR_UNSUPPORTED,
                      "the sandbox layer %s cannot be had on this machine (%s), and nothing is decoded without it",
                      sandbox_layer_name(layer), strerror(errno));
}

VmafxErr sandbox_enter(const Sandbox *sandbox, const SandboxLimits *limits, pid_t parent, unsigned *ret_layers,
                       VmafxErrInfo *reterr)
{
    unsigned layers = change_identity(sandbox);

    /* A change of identity forgets this, so it comes after; and the parent may have gone before. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) || prctl(PR_SET_DUMPABLE, 0))
        return vmafx_fail(reterr, VMAFX_ERR_UNSUPPORTED, "prctl: %s", strerror(errno));
    if (getppid() != parent)
        return vmafx_fail(reterr, VMAFX_ERR_STOPPED, "the scorer has gone");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return missing(SANDBOX_NO_NEW_PRIVS, reterr);
    if (refuse_all_paths())
        layers |= 1u << SANDBOX_LANDLOCK;
    if (!limit_resources(limits))
        return missing(SANDBOX_RLIMITS, reterr);
    if (!sandbox_filter_load())
        return missing(SANDBOX_SECCOMP, reterr);
    *ret_layers = layers | 1u << SANDBOX_RLIMITS | 1u << SANDBOX_NO_NEW_PRIVS | 1u << SANDBOX_SECCOMP;
    return VMAFX_OK;
}

/* ---- what there is ---- */

typedef struct Probe {
    unsigned layers;
    VmafxErrInfo info;
} Probe;

static void probe_child(Sandbox sandbox, int out, pid_t parent)
{
    Probe probe = { 0 };
    const SandboxLimits limits = { 0 };
    VmafxErr err = sandbox_keep_only(&sandbox, &out, 1, &probe.info);

    if (!err)
        err = sandbox_enter(&sandbox, &limits, parent, &probe.layers, &probe.info);
    VMAFX_IGNORE(write(3, &probe, sizeof probe) < 0); /* the parent sees a short answer */
    _exit(err ? 1 : 0);
}

unsigned sandbox_probe(const Sandbox *sandbox, VmafxErrInfo *reterr)
{
    Probe probe = { 0 };
    pid_t self = getpid();
    int ends[2];

    if (pipe2(ends, O_CLOEXEC)) {
        VMAFX_IGNORE(vmafx_fail(reterr, VMAFX_ERR_IO, "cannot make a pipe: %s", strerror(errno)));
        return 0;
    }
    pid_t pid = fork();
    if (pid == 0)
        probe_child(*sandbox, ends[1], self);
    close(ends[1]);
    ssize_t got = pid > 0 ? read(ends[0], &probe, sizeof probe) : -1;
    close(ends[0]);
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    if (got == (ssize_t)sizeof probe && probe.layers)
        return probe.layers;
    VMAFX_IGNORE(vmafx_fail(reterr, VMAFX_ERR_UNSUPPORTED, "%s",
                            *probe.info.message ? probe.info.message : "the sandbox cannot be tried out"));
    return 0;
}
