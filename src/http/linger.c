/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Connections that were closed while their peer still sends: answered before the body had come, or with more behind
 * it. What comes to a socket that is gone is answered with a reset, which may overtake the answer, so the peer would
 * not hear why (RFC 9112, section 9.6). So a copy of the socket stays here, its sending side closed, and what comes is
 * thrown away until the peer closes too, is silent for too long, or has had its bytes or its time. There is room for
 * few; whoever comes then takes the place of who has been here longest.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"
#include "http/server_internal.h"

#define NS_PER_MS UINT64_C(1000000)

enum { LINGER_MS = 20000, SILENCE_MS = 2000, READ_BYTES = 16 << 10, READS_AT_ONCE = 64 };

/* ---- the table; with the lock held ---- */

/* They stay in the order in which they came. */
static void take_out(HttpLinger *linger, int i)
{
    close(linger->sockets[i].fd);
    linger->n--;
    memmove(&linger->sockets[i], &linger->sockets[i + 1], (size_t)(linger->n - i) * sizeof *linger->sockets);
}

static uint64_t until_ns(const HttpLinger *linger, const HttpLingering *s)
{
    uint64_t own_ns = VMAFX_MIN(s->since_ns + LINGER_MS * NS_PER_MS, s->heard_ns + SILENCE_MS * NS_PER_MS);

    return VMAFX_MIN(own_ns, linger->stop_ns);
}

/* Throws away what has come. True: that is enough. */
static bool is_over(const HttpLinger *linger, HttpLingering *s, uint64_t now_ns)
{
    char bytes[READ_BYTES];

    for (int i = 0; i < READS_AT_ONCE; i++) {
        ssize_t n = recv(s->fd, bytes, sizeof bytes, MSG_DONTWAIT);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        if (n <= 0)
            return true;
        s->heard_ns = now_ns;
        s->bytes += (uint64_t)n;
    }
    return now_ns >= until_ns(linger, s) || s->bytes > HTTP_EXCESS_MAX;
}

/* What poll is to look at, and for how long. */
static int prepare(const HttpLinger *linger, struct pollfd *fds)
{
    uint64_t now_ns = vmafx_monotonic_ns(), next_ns = UINT64_MAX;

    fds[0] = (struct pollfd){ .fd = linger->wake, .events = POLLIN };
    for (int i = 0; i < linger->n; i++) {
        fds[i + 1] = (struct pollfd){ .fd = linger->sockets[i].fd, .events = POLLIN };
        next_ns = VMAFX_MIN(next_ns, until_ns(linger, &linger->sockets[i]));
    }
    if (next_ns == UINT64_MAX)
        return -1;
    return next_ns > now_ns ? (int)((next_ns - now_ns) / NS_PER_MS) + 1 : 0;
}

/* ---- the thread ---- */

static void *keep(void *arg)
{
    HttpLinger *linger = arg;
    struct pollfd fds[HTTP_LINGER_MAX + 1];
    uint64_t woken;

    pthread_setname_np(pthread_self(), "http linger");
    pthread_mutex_lock(&linger->lock);
    while (linger->n || linger->stop_ns == UINT64_MAX) {
        int n = linger->n, timeout_ms = prepare(linger, fds);

        pthread_mutex_unlock(&linger->lock);
        VMAFX_IGNORE(poll(fds, (nfds_t)n + 1, timeout_ms) < 0);     /* EINTR is a look too */
        VMAFX_IGNORE(read(linger->wake, &woken, sizeof woken) < 0); /* nothing there: nobody woke us */
        pthread_mutex_lock(&linger->lock);
        uint64_t now_ns = vmafx_monotonic_ns();
        for (int i = linger->n - 1; i >= 0; i--) /* all of them: others may stand there by now */
            if (is_over(linger, &linger->sockets[i], now_ns))
                take_out(linger, i);
    }
    pthread_mutex_unlock(&linger->lock);
    return NULL;
}

static void wake(HttpLinger *linger)
{
    VMAFX_IGNORE(write(linger->wake, &(uint64_t){ 1 }, 8) < 0); /* full: it is awake */
}

/* ---- what the server calls ---- */

bool http_linger_start(HttpLinger *linger)
{
    linger->stop_ns = UINT64_MAX;
    linger->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (linger->wake < 0)
        return false;
    pthread_mutex_init(&linger->lock, NULL);
    linger->running = !pthread_create(&linger->thread, NULL, keep, linger);
    if (!linger->running) {
        pthread_mutex_destroy(&linger->lock);
        close(linger->wake);
    }
    return linger->running;
}

void http_linger_take(HttpLinger *linger, int fd)
{
    uint64_t now_ns = vmafx_monotonic_ns();
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    if (copy < 0)
        return; /* too many are open: it closes as it would have */
    shutdown(copy, SHUT_WR);
    pthread_mutex_lock(&linger->lock);
    if (linger->n == HTTP_LINGER_MAX)
        take_out(linger, 0);
    linger->sockets[linger->n++] = (HttpLingering){ .fd = copy, .since_ns = now_ns, .heard_ns = now_ns };
    pthread_mutex_unlock(&linger->lock);
    wake(linger);
}

void http_linger_stop(HttpLinger *linger, uint32_t grace_ms)
{
    if (!linger->running)
        return;
    pthread_mutex_lock(&linger->lock);
    linger->stop_ns = vmafx_monotonic_ns() + grace_ms * NS_PER_MS;
    pthread_mutex_unlock(&linger->lock);
    wake(linger);
    pthread_join(linger->thread, NULL);
    pthread_mutex_destroy(&linger->lock);
    close(linger->wake);
    linger->running = false;
}
