/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The child writes a byte before each encoder that it tries and another one when that works; read when it has ended. */

#include "programs/scorer/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"
#include "media/encode.h"
#include "otel/api/log.h"
#include "programs/scorer/child.h"
#include "programs/scorer/lines.h"

#define TIME_S      60 /* for all of it, which takes one or two */
#define WORKS       0x80
#define CPU_SECONDS 60

enum { FD_PIPE = 3 };

static bool is_linked(const char *name)
{
    size_t n;
    const VmafxEncoder *encoders = vmafx_encoders(&n);

    for (size_t i = 0; i < n; i++)
        if (!strcmp(encoders[i].name, name))
            return encoders[i].linked;
    return false;
}

static void tell(size_t i, unsigned flag)
{
    uint8_t byte = (uint8_t)(i | flag);

    if (write(FD_PIPE, &byte, 1) != 1)
        _exit(1); /* nobody wants to know any more */
}

static _Noreturn void run_child(Sandbox sandbox, size_t first, int out, pid_t parent)
{
    const SandboxLimits limits = { .cpu_seconds = CPU_SECONDS };
    size_t n;
    const VmafxEncoderName *names = vmafx_encoder_names(&n);
    unsigned layers;

    prctl(PR_SET_NAME, PROBE_PROCESS);
    child_restore_signals();
    if (sandbox_keep_only(&sandbox, &out, 1, NULL) || sandbox_enter(&sandbox, &limits, parent, &layers, NULL))
        _exit(1);
    for (size_t i = first; i < n; i++) {
        tell(i, 0);
        if (is_linked(names[i].name) && !vmafx_encoder_probe(names[i].name, NULL))
            tell(i, WORKS);
    }
    tell(n, 0);
    _exit(0);
}

static bool start_child(Probe *probe, const Sandbox *sandbox)
{
    pid_t self = getpid();
    int ends[2];

    if (pipe2(ends, O_CLOEXEC))
        return false;
    pid_t pid = fork();
    if (pid == 0)
        run_child(*sandbox, probe->next, ends[1], self);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return false;
    }
    probe->pid = pid;
    probe->pipe = ends[0];
    probe->kill_at_ns = vmafx_monotonic_ns() + (uint64_t)TIME_S * 1000000000u;
    return true;
}

bool probe_step(Probe *probe, const Sandbox *sandbox, VmafxEncoderSet *ret)
{
    size_t n;

    vmafx_encoder_names(&n);
    if (probe->over || probe->pid)
        return false;
    if (probe->next < n) {
        if (start_child(probe, sandbox))
            return false;
        line_log(VMAFX_WARN, "cannot try the encoders", strerror(errno));
    }
    probe->over = true;
    *ret = probe->works;
    return true;
}

bool probe_take_end(Probe *probe, pid_t pid)
{
    size_t next = probe->next + 1; /* one that told nothing is not tried for ever */
    uint8_t byte;

    if (!probe->pid || pid != probe->pid)
        return false;
    while (read(probe->pipe, &byte, 1) == 1) {
        size_t i = byte & (WORKS - 1u);

        if (i >= VMAFX_ENCODERS_MAX)
            break;
        if (byte & WORKS)
            probe->works |= (VmafxEncoderSet)1 << i;
        next = VMAFX_MAX(next, i + 1); /* behind the last that was begun */
    }
    close(probe->pipe);
    probe->next = next;
    probe->pid = 0;
    return true;
}

uint64_t probe_enforce_time(Probe *probe, uint64_t now_ns)
{
    if (!probe->pid)
        return UINT64_MAX;
    if (probe->kill_at_ns > now_ns)
        return probe->kill_at_ns;
    line_log(VMAFX_WARN, "an encoder does not come back from being tried and is passed over", NULL);
    kill(probe->pid, SIGKILL);
    probe->kill_at_ns = UINT64_MAX;
    return UINT64_MAX;
}

void probe_done(Probe *probe)
{
    if (!probe->pid)
        return;
    kill(probe->pid, SIGKILL);
    while (waitpid(probe->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    close(probe->pipe);
    probe->pid = 0;
}
