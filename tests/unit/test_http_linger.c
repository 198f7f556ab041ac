/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Connections that are over while their peers still send; here the peer is the other end of a pair of sockets. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "http/server_internal.h"

enum { PATIENCE_MS = 60000 };

/* The peer of a connection that lingers; ours is closed, as the server does. */
static int lingering(HttpLinger *linger)
{
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    http_linger_take(linger, ends[0]);
    close(ends[0]);
    return ends[1];
}

/* Has the other side closed both ways? */
static bool is_gone(int peer, int within_ms)
{
    struct pollfd fd = { .fd = peer };

    return poll(&fd, 1, within_ms) == 1 && fd.revents & POLLHUP;
}

static int n_of(HttpLinger *linger)
{
    pthread_mutex_lock(&linger->lock);
    int n = linger->n;
    pthread_mutex_unlock(&linger->lock);
    return n;
}

static void it_hears_the_end_at_once_and_is_listened_to_until_it_goes(void **state)
{
    HttpLinger linger = { 0 };
    char bytes[65536] = { 0 };

    (void)state;
    assert_true(http_linger_start(&linger));
    int peer = lingering(&linger);
    assert_int_equal(recv(peer, bytes, 1, 0), 0); /* the sending side is closed */
    for (int i = 0; i < 100; i++)                 /* far more than the socket holds */
        assert_int_equal(send(peer, bytes, sizeof bytes, MSG_NOSIGNAL), sizeof bytes);
    assert_int_equal(n_of(&linger), 1);
    shutdown(peer, SHUT_WR);
    assert_true(is_gone(peer, PATIENCE_MS));
    close(peer);
    http_linger_stop(&linger, PATIENCE_MS); /* waits for none */
}

static void a_silent_one_and_one_that_never_ends_are_left(void **state)
{
    HttpLinger linger = { 0 };
    char bytes[65536] = { 0 };
    uint64_t sent = 0;

    (void)state;
    assert_true(http_linger_start(&linger));
    int silent = lingering(&linger), endless = lingering(&linger);
    for (ssize_t n; sent < 4 * HTTP_EXCESS_MAX; sent += (uint64_t)n)
        if ((n = send(endless, bytes, sizeof bytes, MSG_NOSIGNAL)) < 0)
            break;
    assert_in_range(sent, HTTP_EXCESS_MAX, 2 * HTTP_EXCESS_MAX);
    assert_true(is_gone(silent, PATIENCE_MS));
    close(silent);
    close(endless);
    http_linger_stop(&linger, 0);
}

static void there_is_room_for_few_and_the_oldest_makes_it(void **state)
{
    HttpLinger linger = { 0 };
    int peers[HTTP_LINGER_MAX + 1];

    (void)state;
    assert_true(http_linger_start(&linger));
    for (int i = 0; i < HTTP_LINGER_MAX; i++)
        peers[i] = lingering(&linger);
    bool before = is_gone(peers[0], 0);
    peers[HTTP_LINGER_MAX] = lingering(&linger);
    assert_true(is_gone(peers[0], PATIENCE_MS) && !before); /* closed when the thread no longer looks at it */
    assert_in_range(n_of(&linger), 1, HTTP_LINGER_MAX);
    assert_false(is_gone(peers[HTTP_LINGER_MAX], 0));
    http_linger_stop(&linger, 0); /* the others are given up */
    for (int i = 0; i <= HTTP_LINGER_MAX; i++) {
        assert_true(is_gone(peers[i], 0));
        close(peers[i]);
    }
}

static void one_that_was_never_started_can_be_stopped(void **state)
{
    HttpLinger linger = { 0 };

    (void)state;
    http_linger_stop(&linger, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_hears_the_end_at_once_and_is_listened_to_until_it_goes),
        cmocka_unit_test(a_silent_one_and_one_that_never_ends_are_left),
        cmocka_unit_test(there_is_room_for_few_and_the_oldest_makes_it),
        cmocka_unit_test(one_that_was_never_started_can_be_stopped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
