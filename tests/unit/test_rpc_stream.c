/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* gRPC's server and client with each other: streams, from their opening to their end. */

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "rpc_fixture.h"

enum { MANY_STREAMS = 100, IDLE_STREAMS = 1000 };

static void a_server_stream_is_read_to_its_end(void **state)
{
    VmafxRpcReading *reading = NULL;
    VmafxErrInfo info = { "" };
    Ends ends;

    ends_open(&ends);
    assert_int_equal(vmafx_rpc_read_open(ends.channel, "/test.Echo/Chat", "count 250", 9, &reading, &info), VMAFX_OK);
    for (int i = 1; i <= 250; i++) {
        VMAFX_AUTO(vmafx_free_p) uint8_t *body = NULL;
        char expected[16];
        size_t len;

        snprintf(expected, sizeof expected, "%d", i);
        assert_int_equal(vmafx_rpc_read_next(reading, 20000, &body, &len, &info), VMAFX_OK);
        assert_non_null(body);
        assert_true(bytes_are(body, len, expected));
    }
    uint8_t *body = (uint8_t *)"";
    size_t len;
    assert_int_equal(vmafx_rpc_read_next(reading, 0, &body, &len, &info), VMAFX_OK);
    assert_null(body);
    assert_int_equal(vmafx_rpc_read_next(reading, 0, &body, &len, &info), VMAFX_OK); /* and stays there */
    assert_null(body);
    vmafx_rpc_read_close(&reading);
    await_count(&echo.closed, 1);
    await_count(&echo.opened, 1);
    ends_close(&ends);
}

static void reading_waits_no_longer_than_asked_and_goes_on(void **state)
{
    VmafxRpcReading *reading = NULL;
    VmafxErrInfo info = { "" };
    uint8_t *body;
    size_t len;
    Ends ends;

    ends_open(&ends);
    assert_int_equal(vmafx_rpc_read_open(ends.channel, "/test.Echo/Hold", "", 0, &reading, &info), VMAFX_OK);
    await_count(&echo.opened, 1);
    assert_int_equal(vmafx_rpc_read_next(reading, 20000, &body, &len, &info), VMAFX_OK); /* the echo */
    free(body);
    assert_int_equal(vmafx_rpc_read_next(reading, 20, &body, &len, &info), VMAFX_ERR_DEADLINE);
    assert_int_equal(vmafx_rpc_stream_send(echo.held, "late", 4), VMAFX_OK);
    assert_int_equal(vmafx_rpc_read_next(reading, 20000, &body, &len, &info), VMAFX_OK);
    assert_true(bytes_are(body, len, "late"));
    free(body);
    assert_int_equal(vmafx_rpc_stream_send(echo.held, "never read", 10), VMAFX_OK);
    vmafx_rpc_read_close(&reading); /* in the middle */
    await_count(&echo.closed, 1);
    vmafx_rpc_stream_unref(&echo.held);
    ends_close(&ends);
}

static void a_reading_may_outlive_its_channel(void **state)
{
    VmafxRpcReading *reading = NULL;
    Ends ends;

    ends_open(&ends);
    assert_int_equal(vmafx_rpc_read_open(ends.channel, "/test.Echo/Chat", "hello", 5, &reading, NULL), VMAFX_OK);
    await_count(&echo.opened, 1);
    ends_close(&ends);
    vmafx_rpc_read_close(&reading);
    await_count(&echo.closed, 1);
}

static void many_streams_talk_at_the_same_time(void **state)
{
    static Talk talks[MANY_STREAMS];
    Ends ends;

    ends_open(&ends);
    for (int i = 0; i < MANY_STREAMS; i++)
        talk_begin(&talks[i], ends.channel, "/test.Echo/Chat");
    for (int round = 0; round < 20; round++)
        for (int i = 0; i < MANY_STREAMS; i++) {
            char text[32];

            snprintf(text, sizeof text, "%d %d", i, round);
            talk_tell(&talks[i], text);
        }
    for (int i = 0; i < MANY_STREAMS; i++) {
        char text[32];

        talk_await_messages(&talks[i], 20);
        snprintf(text, sizeof text, "%d 19", i);
        assert_string_equal(talks[i].last, text);
        vmafx_rpc_client_stream_half_close(talks[i].stream);
        assert_int_equal(vmafx_rpc_client_stream_send(talks[i].stream, "", 0), VMAFX_ERR_STOPPED);
    }
    for (int i = 0; i < MANY_STREAMS; i++) {
        talk_await_closed(&talks[i]);
        assert_int_equal(talks[i].err, VMAFX_OK);
        talk_end(&talks[i]);
    }
    await_count(&echo.closed, MANY_STREAMS);
    await_count(&echo.opened, MANY_STREAMS);
    ends_close(&ends);
}

static int threads_now(void)
{
    DIR *dir = opendir("/proc/self/task");
    int n = 0;

    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        n += entry->d_name[0] != '.';
    closedir(dir);
    return n;
}

static void a_thousand_idle_streams_take_no_threads(void **state)
{
    static Talk talks[IDLE_STREAMS];
    Ends ends;

    ends_open(&ends);
    assert_says(ends.channel, "x", "x");
    int before = threads_now();
    for (int i = 0; i < IDLE_STREAMS; i++)
        talk_begin(&talks[i], ends.channel, "/test.Echo/Chat");
    await_count(&echo.opened, IDLE_STREAMS);
    assert_in_range(threads_now(), 1, before + 8 + 4); /* the pool of streams, and a few that the library may add */
    assert_says(ends.channel, "still quick", "still quick");
    talk_tell(&talks[IDLE_STREAMS - 1], "you too");
    talk_await_messages(&talks[IDLE_STREAMS - 1], 1);
    for (int i = 0; i < IDLE_STREAMS; i++)
        talk_end(&talks[i]);
    await_count(&echo.closed, IDLE_STREAMS);
    ends_close(&ends);
}

static void what_is_queued_is_sent_before_the_status(void **state)
{
    Talk talk;
    Ends ends;

    ends_open(&ends);
    talk_begin(&talk, ends.channel, "/test.Echo/Chat");
    talk_tell(&talk, "bye");
    talk_await_closed(&talk);
    assert_int_equal(talk.n, 1);
    assert_string_equal(talk.last, "last words");
    assert_int_equal(talk.err, VMAFX_ERR_CONFLICT);
    assert_string_equal(talk.message, "that was all");
    talk_end(&talk);
    await_count(&echo.closed, 1);
    await_count(&echo.opened, 1);
    ends_close(&ends);
}

static void a_refused_stream_is_closed_with_the_reason_and_never_opened(void **state)
{
    Talk talk;
    Ends ends;

    ends_open(&ends);
    talk_begin(&talk, ends.channel, "/test.Echo/Refused");
    talk_await_closed(&talk);
    assert_int_equal(talk.err, VMAFX_ERR_STATE); /* FAILED_PRECONDITION */
    assert_string_equal(talk.message, "come back later");
    talk_end(&talk);
    ends_close(&ends);
    assert_int_equal(echo.closed.n, 0);
}

static void flood_until_cut(const char *path, size_t queue_max)
{
    Talk talk;
    Ends ends;

    ends_open(&ends);
    talk_begin(&talk, ends.channel, path);
    pthread_mutex_lock(&talk.lock);
    talk.block = true;
    pthread_mutex_unlock(&talk.lock);
    talk_tell(&talk, "flood");
    await_count(&echo.limited, 1);
    await_count(&echo.closed, 1); /* the server's end is closed, although the peer is still busy */
    pthread_mutex_lock(&talk.lock);
    talk.block = false;
    pthread_cond_broadcast(&talk.change);
    pthread_mutex_unlock(&talk.lock);
    talk_await_closed(&talk);
    assert_int_equal(talk.err, VMAFX_ERR_BUSY); /* RESOURCE_EXHAUSTED */
    assert_in_range(echo.most, queue_max / 2, queue_max);
    talk_end(&talk);
    await_count(&echo.opened, 1);
    ends_close(&ends);
}

static void a_peer_that_does_not_read_is_cut_off(void **state)
{
    flood_until_cut("/test.Echo/Chat", ECHO_QUEUE_MAX);
}

static void a_method_may_let_less_wait_than_its_server(void **state)
{
    flood_until_cut("/test.Echo/Tight", ECHO_TIGHT_MAX);
}

static void a_cancelled_stream_is_closed_on_both_sides(void **state)
{
    Talk talk;
    Ends ends;

    ends_open(&ends);
    talk_begin(&talk, ends.channel, "/test.Echo/Chat");
    talk_tell(&talk, "hello");
    talk_await_messages(&talk, 1);
    vmafx_rpc_client_stream_cancel(talk.stream);
    talk_await_closed(&talk);
    assert_int_equal(talk.err, VMAFX_ERR_CANCELLED);
    assert_int_equal(vmafx_rpc_client_stream_send(talk.stream, "", 0), VMAFX_ERR_STOPPED);
    talk_end(&talk);
    await_count(&echo.closed, 1);
    await_count(&echo.opened, 1);
    ends_close(&ends);
}

static void never_run(void *arg, VmafxRpcStream *stream)
{
    abort();
}

static void never_called(void *ctx, VmafxRpcStream *stream)
{
    abort();
}

static void a_reference_outlives_stream_and_server(void **state)
{
    Talk talk;
    Ends ends;

    ends_open(&ends);
    talk_begin(&talk, ends.channel, "/test.Echo/Hold");
    await_count(&echo.opened, 1);
    talk_end(&talk);
    await_count(&echo.closed, 1);
    ends_close(&ends);
    assert_int_equal(vmafx_rpc_stream_send(echo.held, "x", 1), VMAFX_ERR_STOPPED);
    assert_false(vmafx_rpc_stream_post(echo.held, never_run, NULL));
    vmafx_rpc_stream_on_writable(echo.held, 0, never_called, NULL);
    vmafx_rpc_stream_finish(echo.held, VMAFX_OK, NULL);
    assert_memory_equal(vmafx_rpc_stream_peer(echo.held)->address, "ipv4:", 5);
    vmafx_rpc_stream_unref(&echo.held);
}

static void writable_is_called_once_all_has_gone_out(void **state)
{
    Talk talk;
    Ends ends;

    ends_open(&ends);
    echo.writable.n = 0;
    talk_begin(&talk, ends.channel, "/test.Echo/Chat");
    talk_tell(&talk, "count 50");
    await_count(&echo.writable, 1);
    talk_await_messages(&talk, 50);
    talk_end(&talk);
    await_count(&echo.closed, 1);
    await_count(&echo.opened, 1);
    ends_close(&ends);
}

static void closing_a_channel_ends_its_streams(void **state)
{
    Talk talks[3];
    Ends ends;

    ends_open(&ends);
    for (size_t i = 0; i < VMAFX_LEN(talks); i++)
        talk_begin(&talks[i], ends.channel, "/test.Echo/Chat");
    await_count(&echo.opened, 3);
    vmafx_rpc_channel_close(&ends.channel);
    for (size_t i = 0; i < VMAFX_LEN(talks); i++) {
        assert_int_equal(talks[i].n_closed, 1);
        assert_int_equal(talks[i].err, VMAFX_ERR_CANCELLED);
        talk_end(&talks[i]);
    }
    ends_close(&ends);
    await_count(&echo.closed, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_stream_is_read_to_its_end),
        cmocka_unit_test(reading_waits_no_longer_than_asked_and_goes_on),
        cmocka_unit_test(a_reading_may_outlive_its_channel),
        cmocka_unit_test(many_streams_talk_at_the_same_time),
        cmocka_unit_test(a_thousand_idle_streams_take_no_threads),
        cmocka_unit_test(what_is_queued_is_sent_before_the_status),
        cmocka_unit_test(a_refused_stream_is_closed_with_the_reason_and_never_opened),
        cmocka_unit_test(a_peer_that_does_not_read_is_cut_off),
        cmocka_unit_test(a_method_may_let_less_wait_than_its_server),
        cmocka_unit_test(a_cancelled_stream_is_closed_on_both_sides),
        cmocka_unit_test(a_reference_outlives_stream_and_server),
        cmocka_unit_test(writable_is_called_once_all_has_gone_out),
        cmocka_unit_test(closing_a_channel_ends_its_streams),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
