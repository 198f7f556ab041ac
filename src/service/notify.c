/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* One datagram socket, connected once. */

#include "service/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/base.h"

/* A path, or a name of the abstract namespace that begins with '@'. */
static int connect_to(const char *name)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    size_t len = strlen(name);
    int fd;

    if ((*name != '/' && *name != '@') || len >= sizeof address.sun_path)
        return -1;
    memcpy(address.sun_path, name, len);
    if (*name == '@')
        address.sun_path[0] = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address,
                           (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (*name == '/'))) < 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static uint64_t number(const char *name)
{
    const char *text = getenv(name);
    char *end;
    uint64_t value;

    errno = 0;
    value = text && *text >= '0' && *text <= '9' ? strtoull(text, &end, 10) : 0;
    return value && !*end && !errno && value <= UINT64_MAX / 1000 ? value : 0;
}

void vmafx_notify_open(VmafxNotify *notify)
{
    const char *name = getenv("NOTIFY_SOCKET");
    uint64_t pid = number("WATCHDOG_PID");

    *notify = (VmafxNotify){ .fd = name ? connect_to(name) : -1 };
    if (notify->fd >= 0 && (!pid || pid == (uint64_t)getpid()))
        notify->watchdog_ns = number("WATCHDOG_USEC") * 1000;
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

void vmafx_notify_close(VmafxNotify *notify)
{
    if (notify->fd >= 0)
        close(notify->fd);
    notify->fd = -1;
}

void vmafx_notify_send(const VmafxNotify *notify, const char *lines)
{
    if (notify->fd >= 0)
        VMAFX_IGNORE(send(notify->fd, lines, strlen(lines), MSG_NOSIGNAL) < 0);
}

void vmafx_notify_alive(VmafxNotify *notify, uint64_t now_ns)
{
    if (!notify->watchdog_ns || now_ns - notify->told_ns < notify->watchdog_ns / 4)
        return;
    notify->told_ns = now_ns;
    vmafx_notify_send(notify, "WATCHDOG=1");
}
