/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Starting vmafx-scorer, talking to it, and making sure that it is gone. */

#include "score/runner_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"

#define PROGRAM     "vmafx-scorer"
#define REQUEST_MAX ((size_t)128 << 10)

enum { SOCKET_THERE = 3 }; /* the descriptor that the scorer expects */

char *runner_scorer_path(const char *given)
{
    char self[4096];

    if (!given)
        given = getenv("VMAFX_SCORER");
    if (given && *given)
        return vmafx_strdup(given);
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0)
        return vmafx_strdup(PROGRAM);
    self[n] = 0;
    char *slash = strrchr(self, '/');
    return vmafx_sprintf("%.*s/%s", slash ? (int)(slash - self) : 0, self, PROGRAM);
}

/* 0 or an errno. Everything but the socket stays here, and signals are as a fresh program expects them. */
static int spawn(const char *program, int socket, pid_t *ret_pid)
{
    char *const arguments[] = { (char *)(uintptr_t)PROGRAM, NULL };
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, all;
    int rc = posix_spawn_file_actions_init(&actions);

    if (rc)
        return rc;
    rc = posix_spawnattr_init(&attr);
    if (rc) {
        posix_spawn_file_actions_destroy(&actions);
        return rc;
    }
    sigemptyset(&none);
    sigfillset(&all);
    rc = posix_spawn_file_actions_adddup2(&actions, socket, SOCKET_THERE);
    if (!rc)
        rc = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
#if defined(__GLIBC_PREREQ)
#if __GLIBC_PREREQ(2, 34)
    if (!rc)
        rc = posix_spawn_file_actions_addclosefrom_np(&actions, SOCKET_THERE + 1);
#endif
#endif
    if (!rc)
        rc = posix_spawnattr_setsigmask(&attr, &none);
    if (!rc)
        rc = posix_spawnattr_setsigdefault(&attr, &all);
    if (!rc)
        rc = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (!rc)
        rc = posix_spawn(ret_pid, program, &actions, &attr, arguments, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

VmafxErr runner_scorer_start(Scorer *scorer, const char *program, VmafxErrInfo *reterr)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
        return vmafx_fail(reterr, VMAFX_ERR_IO, "cannot make a socket for the scorer: %s", strerror(errno));
    int rc = fcntl(ends[0], F_SETFL, O_NONBLOCK) ? errno : spawn(program, ends[1], &scorer->pid);
    close(ends[1]);
    if (rc) {
        close(ends[0]);
        scorer->pid = 0;
        return vmafx_fail(reterr,
                          rc == ENOENT   ? VMAFX_ERR_NOT_FOUND
                          : rc == ENOMEM ? VMAFX_ERR_NOMEM
                                         : VMAFX_ERR_IO,
                          "cannot start '%s': %s; VMAFX_SCORER names another place", program, strerror(rc));
    }
    scorer->socket = ends[0];
    scorer->ready = false;
    scorer->started_ns = vmafx_monotonic_ns();
    return VMAFX_OK;
}

void runner_scorer_end(Scorer *scorer, VmafxErrInfo *ret_how)
{
    int status = 0;

    if (scorer->socket >= 0)
        close(scorer->socket);
    scorer->socket = -1;
    scorer->ready = false;
    if (!scorer->pid)
        return;
    /* One that has closed its socket is about to end, or will never again do anything of use. */
    bool ended = waitpid(scorer->pid, &status, WNOHANG) == scorer->pid;
    if (!ended) {
        kill(scorer->pid, SIGKILL);
        while (waitpid(scorer->pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    scorer->pid = 0;
    if (WIFSIGNALED(status))
        VMAFX_IGNORE(vmafx_fail(ret_how, VMAFX_ERR_STOPPED, "vmafx-scorer was ended by signal %d (%s)",
                                WTERMSIG(status), strsignal(WTERMSIG(status))));
    else
        VMAFX_IGNORE(
            vmafx_fail(ret_how, VMAFX_ERR_STOPPED, "vmafx-scorer ended with exit code %d", WEXITSTATUS(status)));
}

VmafxErr runner_pack_request(const Vmafx__Scorer__V1__ScorerRequest *request, uint8_t **ret, size_t *ret_len)
{
    size_t len = protobuf_c_message_get_packed_size(&request->base);
    uint8_t *packet = len <= REQUEST_MAX ? malloc(4 + len) : NULL;

    if (len > REQUEST_MAX)
        return VMAFX_ERR_LIMIT;
    if (!packet)
        return VMAFX_ERR_NOMEM;
    for (size_t i = 0; i < 4; i++)
        packet[i] = (uint8_t)(len >> 8 * i);
    protobuf_c_message_pack(&request->base, packet + 4);
    *ret = packet;
    *ret_len = 4 + len;
    return VMAFX_OK;
}

RunnerSend runner_scorer_send(const Scorer *scorer, const uint8_t *packet, size_t len, const int *fds, size_t n_fds)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(RUNNER_FDS_MAX * sizeof(int))] = { 0 };
    struct iovec part = { (void *)(uintptr_t)packet, len };
    struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };
    ssize_t n;

    if (n_fds) {
        header.msg_control = control;
        header.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&header);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
    }
    do
        n = sendmsg(scorer->socket, &header, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n == (ssize_t)len)
        return RUNNER_SENT;
    return n < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS) ? RUNNER_SEND_LATER
                                                                                   : RUNNER_SEND_FAILED;
}

VmafxErr runner_scorer_receive(const Scorer *scorer, uint8_t *buffer, size_t size, VmafxMessage **ret,
                               VmafxErrInfo *reterr)
{
    ssize_t n;

    *ret = NULL;
    do
        n = recv(scorer->socket, buffer, size, MSG_TRUNC);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return VMAFX_OK;
    if (n <= 0)
        return vmafx_fail(reterr, VMAFX_ERR_IO, "the connection to vmafx-scorer is over");
    size_t len =
        n >= 4 ? (size_t)buffer[0] | (size_t)buffer[1] << 8 | (size_t)buffer[2] << 16 | (size_t)buffer[3] << 24 : 0;
    if ((size_t)n > size || n < 4 || len != (size_t)n - 4)
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "an event of vmafx-scorer is not as long as it says");
    return vmafx_message_unpack(&vmafx__scorer__v1__scorer_event__descriptor, buffer + 4, len, 0, ret, reterr);
}
