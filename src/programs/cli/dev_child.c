/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Starting, listening to and ending one program. */

#include "programs/cli/dev_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"

#define NS_PER_MS         UINT64_C(1000000)
#define BACKOFF_FIRST_NS  (500 * NS_PER_MS)
#define BACKOFF_MAX_NS    (30000 * NS_PER_MS)
#define LONG_ENOUGH_NS    (60000 * NS_PER_MS) /* who ran this long did not fail to start */
#define READS_MAX         16                  /* at a time, so that a child that writes for ever lets others speak */
#define EXIT_CANNOT_START 127

VmafxErr dev_child_init(DevChild *child, const char *name, const char *const *argv)
{
    size_t n = 0;

    *child = (DevChild){ .out = -1 };
    snprintf(child->name, sizeof child->name, "%s", name);
    while (argv[n])
        n++;
    child->argv = calloc(n + 1, sizeof *child->argv);
    if (!child->argv)
        return VMAFX_ERR_NOMEM;
    for (size_t i = 0; i < n; i++)
        if (!(child->argv[i] = vmafx_strdup(argv[i])))
            return VMAFX_ERR_NOMEM;
    return VMAFX_OK;
}

void dev_child_done(DevChild *child)
{
    for (char **arg = child->argv; arg && *arg; arg++)
        free(*arg);
    free(child->argv);
    if (child->out >= 0)
        close(child->out);
    *child = (DevChild){ .out = -1 };
}

/* In the child, which other threads of ours may have left with locked locks: only what a signal handler may call. */
static void become(const DevChild *child, int output, int null, int trouble, pid_t parent)
{
    sigset_t none;

    setpgid(0, 0);
    /* SIGKILL, for nobody would be left to insist. The parent may have gone before the kernel knew of this wish. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_CANNOT_START);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    if (dup2(null, STDIN_FILENO) >= 0 && dup2(output, STDOUT_FILENO) >= 0 && dup2(output, STDERR_FILENO) >= 0)
        execv(child->argv[0], child->argv);
    int error = errno;
    VMAFX_IGNORE(write(trouble, &error, sizeof error) < 0); /* then it ends without saying why */
    _exit(EXIT_CANNOT_START);
}

/* Pipes and /dev/null for one start; what is left of them is closed. */
typedef struct Ends {
    int output[2], trouble[2], null;
} Ends;

static void ends_done(Ends *ends)
{
    int fds[] = { ends->output[0], ends->output[1], ends->trouble[0], ends->trouble[1], ends->null };

    for (size_t i = 0; i < VMAFX_LEN(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

VmafxErr dev_child_start(DevChild *child, uint64_t now_ns, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(ends_done) Ends ends = { { -1, -1 }, { -1, -1 }, -1 };
    pid_t parent = getpid();
    int error = 0;

    ends.null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (ends.null < 0 || pipe2(ends.output, O_CLOEXEC) || pipe2(ends.trouble, O_CLOEXEC))
        return vmafx_fail(reterr, VMAFX_ERR_IO, "cannot make a pipe for %s: %s", child->name, strerror(errno));
    pid_t pid = fork();
    if (pid < 0)
        return vmafx_fail(reterr, VMAFX_ERR_IO, "cannot start %s: %s", child->name, strerror(errno));
    if (!pid)
        become(child, ends.output[1], ends.null, ends.trouble[1], parent);
    setpgid(pid, pid); /* as the child does: whichever comes first */
    close(ends.trouble[1]);
    ends.trouble[1] = -1;
    while (read(ends.trouble[0], &error, sizeof error) < 0 && errno == EINTR) {
    }
    if (error) { /* else it has become the program, which closed the pipe */
        waitpid(pid, NULL, 0);
        return vmafx_fail(reterr, error == ENOENT ? VMAFX_ERR_NOT_FOUND : VMAFX_ERR_IO, "cannot start '%s': %s",
                          child->argv[0], strerror(error));
    }
    if (child->out >= 0)
        close(child->out);
    child->out = ends.output[0];
    ends.output[0] = -1;
    fcntl(child->out, F_SETFL, O_NONBLOCK);
    child->pid = pid;
    child->started_ns = now_ns;
    child->again_ns = 0;
    child->n_line = 0;
    return VMAFX_OK;
}

/* ---- its output ---- */

static void hand_on(DevChild *child, void (*line)(void *ctx, const DevChild *child, const char *line), void *ctx,
                    bool rest)
{
    size_t at = 0;

    for (;;) {
        char *start = child->line + at, *end = memchr(start, '\n', child->n_line - at);
        bool broken = !end && (rest || (!at && child->n_line == sizeof child->line - 1)) && at < child->n_line;

        if (!end && !broken)
            break;
        if (broken)
            end = child->line + child->n_line;
        *end = 0;
        line(ctx, child, start);
        at = VMAFX_MIN((size_t)(end - child->line) + 1, child->n_line);
    }
    child->n_line -= at;
    memmove(child->line, child->line + at, child->n_line);
}

void dev_child_read(DevChild *child, void (*line)(void *ctx, const DevChild *child, const char *line), void *ctx)
{
    for (int i = 0; i < READS_MAX && child->out >= 0; i++) {
        /* one byte is kept for a zero */
        ssize_t n = read(child->out, child->line + child->n_line, sizeof child->line - 1 - child->n_line);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n > 0)
            child->n_line += (size_t)n;
        hand_on(child, line, ctx, n <= 0);
        if (n <= 0) {
            close(child->out);
            child->out = -1;
        }
    }
}

/* ---- its end ---- */

void dev_child_signal(const DevChild *child, int number, bool group)
{
    if (child->pid > 0)
        kill(group ? -child->pid : child->pid, number);
}

bool dev_child_reap(DevChild *child, int *ret_status)
{
    siginfo_t info = { 0 };

    if (child->pid <= 0 || waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) || !info.si_pid)
        return false;
    kill(-child->pid, SIGKILL); /* as long as it is not reaped, the group's number is ours */
    waitpid(child->pid, ret_status, 0);
    child->pid = 0;
    return true;
}

uint64_t dev_child_backoff_ns(DevChild *child, uint64_t now_ns)
{
    if (now_ns - child->started_ns >= LONG_ENOUGH_NS)
        child->failures = 0;
    uint64_t wait = BACKOFF_FIRST_NS << VMAFX_MIN(child->failures, 16u);
    child->failures++;
    return VMAFX_MIN(wait, BACKOFF_MAX_NS);
}

void dev_child_status_text(int status, char *ret, size_t size)
{
    if (WIFSIGNALED(status))
        snprintf(ret, size, "signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(ret, size, "exit code %d", WEXITSTATUS(status));
}
