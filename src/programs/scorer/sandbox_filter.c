/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * System calls of a child. Three lists:
 *
 *   allowed   what decoding, computing, threads, memory and the pipe need, with the arguments they need
 *   deadly    what only somebody who has taken the child over would try: the process dies by SIGSYS, and says so
 *   the rest  fails with an error, as it would on another machine: libraries probe for things and go on without
 *
 * Opening by name is among the rest when it is for reading (the C library looks for locales, /sys, /proc), and deadly
 * when it is for writing; it leads nowhere either way.
 */

#include "programs/scorer/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <seccomp.h>

#include "base/base.h"

static const int allowed[] = {
    /* descriptors that are there already */
    SCMP_SYS(read),
    SCMP_SYS(readv),
    SCMP_SYS(pread64),
    SCMP_SYS(preadv),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(pwrite64),
    SCMP_SYS(lseek),
    SCMP_SYS(_llseek),
    SCMP_SYS(close),
    SCMP_SYS(fstat),
    SCMP_SYS(fstat64),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    /* memory */
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(get_mempolicy), /* which memory is near: x265 asks, and places its threads by it */
    SCMP_SYS(set_mempolicy),
    /* threads */
    SCMP_SYS(futex),
    SCMP_SYS(futex_time64),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(gettid),
    SCMP_SYS(getpid),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(getcpu),
    /* signals to oneself */
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall),
    /* clocks, and facts about this process and machine */
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_gettime64),
    SCMP_SYS(clock_getres),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(nanosleep),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(clock_nanosleep_time64),
    SCMP_SYS(getrandom),
    SCMP_SYS(getrusage),
    SCMP_SYS(times),
    SCMP_SYS(uname),
    SCMP_SYS(sysinfo),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(getrlimit),
    SCMP_SYS(ugetrlimit),
};

static const int deadly[] = {
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(fork),
    SCMP_SYS(vfork),
    SCMP_SYS(ptrace),
    SCMP_SYS(kill),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(pidfd_open),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(pidfd_send_signal),
    /* networks */
    SCMP_SYS(socket),
    SCMP_SYS(socketpair),
    SCMP_SYS(connect),
    SCMP_SYS(bind),
    SCMP_SYS(listen),
    SCMP_SYS(accept),
    SCMP_SYS(accept4),
    SCMP_SYS(sendto),
    SCMP_SYS(sendmsg),
    SCMP_SYS(sendmmsg),
    SCMP_SYS(socketcall),
    /* files by name, for changing them */
    SCMP_SYS(creat),
    SCMP_SYS(openat2),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(unlink),
    SCMP_SYS(unlinkat),
    SCMP_SYS(rename),
    SCMP_SYS(renameat),
    SCMP_SYS(renameat2),
    SCMP_SYS(mkdir),
    SCMP_SYS(mkdirat),
    SCMP_SYS(rmdir),
    SCMP_SYS(link),
    SCMP_SYS(linkat),
    SCMP_SYS(symlink),
    SCMP_SYS(symlinkat),
    SCMP_SYS(mknod),
    SCMP_SYS(mknodat),
    SCMP_SYS(chmod),
    SCMP_SYS(fchmodat),
    SCMP_SYS(chown),
    SCMP_SYS(lchown),
    SCMP_SYS(fchownat),
    SCMP_SYS(truncate),
    /* the sandbox itself, and doors into the kernel */
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(unshare),
    SCMP_SYS(setns),
    SCMP_SYS(setuid),
    SCMP_SYS(setgid),
    SCMP_SYS(setresuid),
    SCMP_SYS(setresgid),
    SCMP_SYS(capset),
    SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(keyctl),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(reboot),
    SCMP_SYS(memfd_create),
    SCMP_SYS(mq_open),
    SCMP_SYS(shmget),
    SCMP_SYS(msgget),
    SCMP_SYS(semget),
};

/* What libraries expect to hear; everything else that is in no list gets EPERM. */
static const struct {
    int call, error;
} refused[] = {
    { SCMP_SYS(clone3), ENOSYS }, /* its flags are in memory, where no filter looks; clone comes next */
    { SCMP_SYS(ioctl), ENOTTY },  /* "are you a terminal?" */
    { SCMP_SYS(stat), EACCES },     { SCMP_SYS(lstat), EACCES },      { SCMP_SYS(statx), ENOSYS },
    { SCMP_SYS(access), EACCES },   { SCMP_SYS(faccessat), EACCES },  { SCMP_SYS(faccessat2), EACCES },
    { SCMP_SYS(readlink), EACCES }, { SCMP_SYS(readlinkat), EACCES }, { SCMP_SYS(getdents64), EACCES },
    { SCMP_SYS(statfs), EACCES },   { SCMP_SYS(getcwd), EACCES },     { SCMP_SYS(membarrier), ENOSYS },
};

/* A rule with up to three conditions on the arguments, which are anded; several rules of one call are or'ed. */
typedef struct Rule {
    uint32_t action;
    int call;
    unsigned n;
    struct scmp_arg_cmp conditions[3];
} Rule;

#define WRITING (O_WRONLY | O_RDWR | O_CREAT)
#define SPACES                                                                                                         \
    (CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)
#define KILL  SCMP_ACT_KILL_PROCESS
#define ALLOW SCMP_ACT_ALLOW
/* An argument as it is, or some of its bits. */
#define EQUALS(argument, value)                                                                                        \
    {                                                                                                                  \
        (argument), SCMP_CMP_EQ, (value), 0                                                                            \
    }
#define BITS(argument, mask, value)                                                                                    \
    {                                                                                                                  \
        (argument), SCMP_CMP_MASKED_EQ, (mask), (value)                                                                \
    }

static bool add_with_arguments(scmp_filter_ctx filter)
{
    const Rule rules[] = {
        { ALLOW, SCMP_SYS(clone), 1, { BITS(0, CLONE_THREAD | SPACES, CLONE_THREAD) } },
        { KILL, SCMP_SYS(clone), 1, { BITS(0, CLONE_THREAD, 0) } },
        /* memory that was made executable would be code that nobody has seen */
        { ALLOW, SCMP_SYS(mmap), 1, { BITS(2, PROT_EXEC, 0) } },
        { ALLOW, SCMP_SYS(mmap2), 1, { BITS(2, PROT_EXEC, 0) } },
        { ALLOW, SCMP_SYS(mprotect), 1, { BITS(2, PROT_EXEC, 0) } },
        /* fstat, as newer C libraries make it; with a name in it Landlock and the chroot have their say */
        { ALLOW, SCMP_SYS(newfstatat), 1, { BITS(3, AT_EMPTY_PATH, AT_EMPTY_PATH) } },
        { SCMP_ACT_ERRNO(EACCES), SCMP_SYS(newfstatat), 1, { BITS(3, AT_EMPTY_PATH, 0) } },
        { SCMP_ACT_ERRNO(EACCES), SCMP_SYS(openat), 1, { BITS(2, WRITING, 0) } },
        { KILL, SCMP_SYS(openat), 1, { BITS(2, O_WRONLY, O_WRONLY) } },
        { KILL, SCMP_SYS(openat), 1, { BITS(2, O_WRONLY | O_RDWR, O_RDWR) } },
        { KILL, SCMP_SYS(openat), 1, { BITS(2, WRITING, O_CREAT) } },
        { SCMP_ACT_ERRNO(EACCES), SCMP_SYS(open), 1, { BITS(1, WRITING, 0) } },
        { KILL, SCMP_SYS(open), 1, { BITS(1, O_WRONLY, O_WRONLY) } },
        { KILL, SCMP_SYS(open), 1, { BITS(1, O_WRONLY | O_RDWR, O_RDWR) } },
        { KILL, SCMP_SYS(open), 1, { BITS(1, WRITING, O_CREAT) } },
        { ALLOW, SCMP_SYS(fcntl), 1, { EQUALS(1, F_DUPFD) } },
        { ALLOW, SCMP_SYS(fcntl), 1, { EQUALS(1, F_DUPFD_CLOEXEC) } },
        { ALLOW, SCMP_SYS(fcntl), 1, { EQUALS(1, F_GETFD) } },
        { ALLOW, SCMP_SYS(fcntl), 1, { EQUALS(1, F_SETFD) } },
        { ALLOW, SCMP_SYS(fcntl), 1, { EQUALS(1, F_GETFL) } },
        { ALLOW, SCMP_SYS(prctl), 1, { EQUALS(0, PR_SET_NAME) } },
        { ALLOW, SCMP_SYS(prctl), 1, { EQUALS(0, PR_GET_NAME) } },
        /* reading one's own limits, not setting any */
        { ALLOW, SCMP_SYS(prlimit64), 2, { EQUALS(0, 0), EQUALS(2, 0) } },
        /* abort() */
        { ALLOW, SCMP_SYS(tgkill), 1, { EQUALS(0, (scmp_datum_t)getpid()) } },
    };

    for (size_t i = 0; i < VMAFX_LEN(rules); i++) {
        int rc = seccomp_rule_add_array(filter, rules[i].action, rules[i].call, rules[i].n, rules[i].conditions);

        if (rc < 0) {
            errno = -rc;
            return false;
        }
    }
    return true;
}

static bool add(scmp_filter_ctx filter, uint32_t action, int call)
{
    int rc = seccomp_rule_add(filter, action, call, 0);

    errno = rc < 0 ? -rc : 0;
    return rc >= 0;
}

static bool add_all(scmp_filter_ctx filter)
{
    for (size_t i = 0; i < VMAFX_LEN(allowed); i++)
        if (!add(filter, ALLOW, allowed[i]))
            return false;
    for (size_t i = 0; i < VMAFX_LEN(deadly); i++)
        if (!add(filter, KILL, deadly[i]))
            return false;
    for (size_t i = 0; i < VMAFX_LEN(refused); i++)
        if (!add(filter, SCMP_ACT_ERRNO((uint32_t)refused[i].error), refused[i].call))
            return false;
    return add_with_arguments(filter);
}

bool sandbox_filter_load(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int rc = -ENOMEM;

    if (!filter) {
        errno = ENOMEM;
        return false;
    }
    /* Optimised as a tree: more than a hundred calls, and some of them often. Another architecture's numbers kill. */
    rc = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, KILL);
    if (rc >= 0)
        rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (rc >= 0)
        rc = add_all(filter) ? 0 : -errno;
    if (rc >= 0)
        rc = seccomp_load(filter);
    seccomp_release(filter);
    errno = rc < 0 ? -rc : 0;
    return rc >= 0;
}
