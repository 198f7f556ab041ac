/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Enters the scorer's sandbox and tries what a child that was taken over would try. Each attempt is made by a process
 * of its own, so that one which is killed does not hide the next. A line per attempt:
 *
 *     layers rlimits unprivileged …
 *     open refused EACCES | open killed SIGSYS | open ALLOWED
 *
 * Attempts that begin with "may" are what decoding needs, and have to be allowed. Exit code 0: all as it must be.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "programs/scorer/sandbox.h"

enum { FD_PIPE = 3, FD_FILE = 4 };

static pid_t parent;

static bool done(long result)
{
    return result >= 0;
}

/* ---- what has to fail ---- */

static bool try_open(void)
{
    return done(open("/etc/passwd", O_RDONLY));
}

static bool try_open_raw(void)
{
#ifdef SYS_open
    return done(syscall(SYS_open, "/etc/passwd", O_RDONLY));
#else
    errno = ENOSYS;
    return false;
#endif
}

static bool try_proc(void)
{
    return done(open("/proc/self/environ", O_RDONLY));
}

static bool try_write_file(void)
{
    return done(open("/tmp/vmafx-sandbox-probe", O_WRONLY | O_CREAT, 0600));
}

static bool try_truncate(void)
{
    return done(open("/etc/passwd", O_RDONLY | O_TRUNC));
}

static bool try_unlink(void)
{
    return done(unlink("/tmp/vmafx-sandbox-probe"));
}

static bool try_stat(void)
{
    struct stat st;

    return done(stat("/etc/passwd", &st));
}

static bool try_grow_file(void)
{
    return done(ftruncate(FD_FILE, 1 << 20));
}

static bool try_write_given_file(void)
{
    return done(write(FD_FILE, "x", 1));
}

static bool try_socket(void)
{
    return done(socket(AF_INET, SOCK_STREAM, 0));
}

static bool try_unix_socket(void)
{
    return done(socket(AF_UNIX, SOCK_STREAM, 0));
}

static bool try_exec(void)
{
    char *const arguments[] = { (char *)(uintptr_t) "true", NULL };

    return done(execv("/bin/true", arguments));
}

static bool try_fork(void)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    return done(pid);
}

static bool try_fork_raw(void)
{
    long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

    if (pid == 0)
        _exit(0);
    return done(pid);
}

static bool try_clone3(void)
{
    uint64_t arguments[11] = { 0 };

    arguments[4] = SIGCHLD; /* exit_signal */
    long pid = syscall(SYS_clone3, arguments, sizeof arguments);
    if (pid == 0)
        _exit(0);
    return done(pid);
}

static bool try_fork_bomb(void)
{
    for (int i = 0; i < 8; i++)
        if (fork() >= 0)
            return true;
    return false;
}

static bool try_ptrace(void)
{
    return done(ptrace(PTRACE_ATTACH, parent, NULL, NULL));
}

static bool try_kill(void)
{
    return done(kill(parent, 0));
}

static bool try_tgkill_other(void)
{
    return done(syscall(SYS_tgkill, parent, parent, 0));
}

static bool try_executable_memory(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}

static bool try_make_executable(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return p != MAP_FAILED && done(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}

static bool try_unshare(void)
{
    return done(unshare(CLONE_NEWUSER));
}

static bool try_mount(void)
{
    return done(syscall(SYS_mount, "none", "/", "tmpfs", 0, NULL));
}

static bool try_setuid(void)
{
    return done(setuid(0));
}

static bool try_raise_limit(void)
{
    const struct rlimit more = { 1 << 20, 1 << 20 };

    return done(setrlimit(RLIMIT_FSIZE, &more));
}

static bool try_dumpable(void)
{
    return done(prctl(PR_SET_DUMPABLE, 1));
}

static bool try_owner_signal(void)
{
    return done(fcntl(FD_PIPE, F_SETOWN, parent));
}

static bool try_ioctl(void)
{
    return done(syscall(SYS_ioctl, FD_PIPE, 0x5412 /* TIOCSTI */, "x"));
}

static bool try_memfd(void)
{
    return done(memfd_create("x", 0));
}

static bool try_io_uring(void)
{
    return done(syscall(SYS_io_uring_setup, 1, NULL));
}

static bool try_other_architecture(void)
{
#if defined(__x86_64__)
    long pid;

    __asm__ volatile("int $0x80" : "=a"(pid) : "a"(20) : "memory"); /* getpid of i386 */
    return done(pid);
#else
    errno = ENOSYS;
    return false;
#endif
}

static bool try_much_memory(void)
{
    if (!SANDBOX_LIMITS_ADDRESSES)
        return false;
    void *p = mmap(NULL, (size_t)8 << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return p != MAP_FAILED;
}

static bool try_many_descriptors(void)
{
    for (int i = 0; i < 100; i++)
        if (fcntl(FD_PIPE, F_DUPFD_CLOEXEC, 0) < 0)
            return false;
    return true;
}

/* ---- what has to work ---- */

static void *nothing(void *arg)
{
    return malloc(1 << 20); /* an arena of its own */
}

static bool may_start_threads(void)
{
    for (int i = 0; i < 8; i++) {
        pthread_t thread;
        void *p = NULL;

        if (pthread_create(&thread, NULL, nothing, NULL) || pthread_join(thread, &p) || !p)
            return false;
        free(p);
    }
    return true;
}

static bool may_read_a_given_file(void)
{
    char c;

    return pread(FD_FILE, &c, 1, 0) == 1;
}

static bool may_stat_a_given_file(void)
{
    struct stat st;

    return !fstat(FD_FILE, &st) && st.st_size > 0;
}

static bool may_tell_time_and_count_cpus(void)
{
    cpu_set_t set;
    struct timespec now;

    return !clock_gettime(CLOCK_MONOTONIC, &now) && !sched_getaffinity(0, sizeof set, &set) &&
           sysconf(_SC_NPROCESSORS_ONLN) > 0;
}

static bool may_use_much_memory(void)
{
    for (int i = 0; i < 64; i++) {
        char *p = malloc((size_t)1 << i % 21);

        if (!p)
            return false;
        p[0] = 1;
        free(p);
    }
    return true;
}

#define ATTEMPT(f)                                                                                                     \
    {                                                                                                                  \
#f, f                                                                                                          \
    }

static const struct {
    const char *name;
    bool (*attempt)(void);
} attempts[] = {
    ATTEMPT(try_open),
    ATTEMPT(try_open_raw),
    ATTEMPT(try_proc),
    ATTEMPT(try_write_file),
    ATTEMPT(try_truncate),
    ATTEMPT(try_unlink),
    ATTEMPT(try_stat),
    ATTEMPT(try_grow_file),
    ATTEMPT(try_write_given_file),
    ATTEMPT(try_socket),
    ATTEMPT(try_unix_socket),
    ATTEMPT(try_exec),
    ATTEMPT(try_fork),
    ATTEMPT(try_fork_raw),
    ATTEMPT(try_clone3),
    ATTEMPT(try_fork_bomb),
    ATTEMPT(try_ptrace),
    ATTEMPT(try_kill),
    ATTEMPT(try_tgkill_other),
    ATTEMPT(try_executable_memory),
    ATTEMPT(try_make_executable),
    ATTEMPT(try_unshare),
    ATTEMPT(try_mount),
    ATTEMPT(try_setuid),
    ATTEMPT(try_raise_limit),
    ATTEMPT(try_dumpable),
    ATTEMPT(try_owner_signal),
    ATTEMPT(try_ioctl),
    ATTEMPT(try_memfd),
    ATTEMPT(try_io_uring),
    ATTEMPT(try_other_architecture),
    ATTEMPT(try_much_memory),
    ATTEMPT(try_many_descriptors),
    ATTEMPT(may_start_threads),
    ATTEMPT(may_read_a_given_file),
    ATTEMPT(may_stat_a_given_file),
    ATTEMPT(may_tell_time_and_count_cpus),
    ATTEMPT(may_use_much_memory),
};

/* What the child tells: it came this far, and what the attempt gave. */
typedef struct Answer {
    bool succeeded;
    int error;
} Answer;

static _Noreturn void try_it(Sandbox sandbox, size_t i, int out, int file)
{
    const SandboxLimits limits = { .address_space_bytes = (int64_t)4 << 30, .cpu_seconds = 10 };
    const int keep[] = { out, file };
    VmafxErrInfo info = { 0 };
    unsigned layers;

    if (sandbox_keep_only(&sandbox, keep, 2, &info) || sandbox_enter(&sandbox, &limits, parent, &layers, &info))
        _exit(3);
    errno = 0;
    Answer answer = { .succeeded = attempts[i].attempt() };
    answer.error = errno;
    _exit(write(FD_PIPE, &answer, sizeof answer) == (ssize_t)sizeof answer ? 0 : 4);
}

/* True: as it must be. */
static bool judge(const char *name, int status, const Answer *answer, bool answered)
{
    bool may = !strncmp(name, "may", 3);

    if (!answered && WIFSIGNALED(status))
        printf("%s killed %s\n", name, WTERMSIG(status) == SIGSYS ? "SIGSYS" : strsignal(WTERMSIG(status)));
    else if (!answered)
        printf("%s BROKEN exit %d\n", name, WEXITSTATUS(status));
    else if (answer->succeeded)
        printf("%s ALLOWED\n", name);
    else
        printf("%s refused %s\n", name, strerrorname_np(answer->error));
    if (may)
        return answered && answer->succeeded;
    return answered ? !answer->succeeded
                    : WIFSIGNALED(status) && (WTERMSIG(status) == SIGSYS || WTERMSIG(status) == SIGXFSZ);
}

static bool attempt(const Sandbox *sandbox, size_t i, int file)
{
    Answer answer = { 0 };
    int ends[2], status = 0;

    if (pipe2(ends, O_CLOEXEC))
        return false;
    pid_t pid = fork();
    if (pid == 0)
        try_it(*sandbox, i, ends[1], file);
    close(ends[1]);
    bool answered = read(ends[0], &answer, sizeof answer) == (ssize_t)sizeof answer;
    close(ends[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return judge(attempts[i].name, status, &answer, answered);
}

int main(int argc, char **argv)
{
    Sandbox sandbox;
    VmafxErrInfo info = { 0 };
    const char *layers[SANDBOX_LAYERS];
    bool good = true;
    int file = open(argc > 1 ? argv[1] : "/proc/self/exe", O_RDWR | O_CLOEXEC);

    if (file < 0)
        file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    parent = getpid();
    if (sandbox_prepare(&sandbox, &info)) {
        puts(info.message);
        return 2;
    }
    unsigned found = sandbox_probe(&sandbox, &info);
    fputs("layers", stdout);
    for (size_t i = 0, n = sandbox_layer_names(found, layers); i < n; i++)
        printf(" %s", layers[i]);
    puts(*info.message ? info.message : "");
    fflush(stdout);
    for (size_t i = 0; i < VMAFX_LEN(attempts); i++) {
        good = attempt(&sandbox, i, file) && good;
        fflush(stdout);
    }
    return good && found ? 0 : 1;
}
