/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A stream that stops reading for a while: nothing comes, nothing is lost, nobody else waits. */

#include <pthread.h>
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

enum { STREAMS_MAX = 8, PIECE = 256 << 10, PIECES = 128, MANY = 3000 };

/* ---- a service that listens ---- */

/* What has come on a stream: its letters in order, '|' for half_closed, '.' for closed. */
typedef struct Heard {
    pthread_mutex_t lock; /* covers the following */
    pthread_cond_t more;
    char *log;
    size_t n;
    size_t bytes;
    VmafxRpcStream *stream; /* a reference */
} Heard;

static Heard heard[STREAMS_MAX]; /* by the order of opening; a test begins with none */
static size_t n_heard;
static pthread_mutex_t heard_lock = PTHREAD_MUTEX_INITIALIZER; /* covers n_heard */

static void note(Heard *h, char letter, size_t len)
{
    pthread_mutex_lock(&h->lock);
    assert_in_range(h->n, 0, 2 * MANY);
    h->log[h->n++] = letter;
    h->log[h->n] = 0;
    h->bytes += len;
    pthread_cond_broadcast(&h->more);
    pthread_mutex_unlock(&h->lock);
}

/* ctx: whether to hold it from the beginning. */
static VmafxErr on_open(void *ctx, VmafxRpcStream *stream, void **ret_state, VmafxErrInfo *reterr)
{
    const bool *held = ctx;

    pthread_mutex_lock(&heard_lock);
    Heard *h = &heard[n_heard++];
    pthread_mutex_unlock(&heard_lock);
    pthread_mutex_lock(&h->lock);
    h->stream = vmafx_rpc_stream_ref(stream);
    pthread_cond_broadcast(&h->more);
    pthread_mutex_unlock(&h->lock);
    if (*held)
        vmafx_rpc_stream_hold(stream);
    *ret_state = h;
    return VMAFX_OK;
}

/* 'h' holds once, 'd' twice, 'f' finishes while it holds. */
static void on_message(void *state, VmafxRpcStream *stream, const void *data, size_t len)
{
    char letter = len ? *(const char *)data : '?';

    if (letter == 'h' || letter == 'd' || letter == 'f')
        vmafx_rpc_stream_hold(stream);
    if (letter == 'd')
        vmafx_rpc_stream_hold(stream);
    if (letter == 'f')
        vmafx_rpc_stream_finish(stream, VMAFX_OK, NULL);
    note(state, letter, len);
}

static void on_half_closed(void *state, VmafxRpcStream *stream)
{
    note(state, '|', 0);
    vmafx_rpc_stream_finish(stream, VMAFX_OK, NULL);
}

static void on_closed(void *state, VmafxRpcStream *stream)
{
    note(state, '.', 0);
}

static void await_log(Heard *h, const char *expected)
{
    pthread_mutex_lock(&h->lock);
    while (h->n < strlen(expected))
        pthread_cond_wait(&h->more, &h->lock);
    assert_string_equal(h->log, expected);
    pthread_mutex_unlock(&h->lock);
}

static void assert_log(Heard *h, const char *expected)
{
    pthread_mutex_lock(&h->lock);
    assert_string_equal(h->log, expected);
    pthread_mutex_unlock(&h->lock);
}

static VmafxRpcStream *await_stream(Heard *h)
{
    pthread_mutex_lock(&h->lock);
    while (!h->stream)
        pthread_cond_wait(&h->more, &h->lock);
    pthread_mutex_unlock(&h->lock);
    return h->stream;
}

/* ---- both ends ---- */

static bool no = false, yes = true; /* constants; contexts of methods are not const */

static const VmafxRpcMethod methods[] = {
    { .path = "/test.Hold/Listen",
      .open = on_open,
      .message = on_message,
      .half_closed = on_half_closed,
      .closed = on_closed,
      .ctx = &no },
    { .path = "/test.Hold/Later",
      .open = on_open,
      .message = on_message,
      .half_closed = on_half_closed,
      .closed = on_closed,
      .ctx = &yes },
};

static void begin(Ends *ends)
{
    n_heard = 0;
    for (size_t i = 0; i < STREAMS_MAX; i++) {
        heard[i] = (Heard){ .log = calloc(2 * MANY + 2, 1) };
        pthread_mutex_init(&heard[i].lock, NULL);
        pthread_cond_init(&heard[i].more, NULL);
    }
    ends_open_with(ends, (VmafxRpcServerConfig){ .methods = methods, .n_methods = VMAFX_LEN(methods) });
    ends->channel = connect_to((VmafxRpcChannelConfig){ .target = ends->target });
}

static void end(Ends *ends)
{
    ends_close(ends);
    for (size_t i = 0; i < STREAMS_MAX; i++) {
        vmafx_rpc_stream_unref(&heard[i].stream);
        pthread_mutex_destroy(&heard[i].lock);
        pthread_cond_destroy(&heard[i].more);
        free(heard[i].log);
    }
}

static void ignore_message(void *ctx, VmafxRpcClientStream *stream, const void *data, size_t len)
{
}

static void ignore_closed(void *ctx, VmafxRpcClientStream *stream, VmafxErr err, const char *message)
{
}

static VmafxRpcClientStream *open_at(Ends *ends, const char *path)
{
    const VmafxRpcClientStreamEvents events = { ignore_message, ignore_closed, NULL };
    VmafxRpcClientStream *stream = NULL;

    assert_int_equal(vmafx_rpc_stream_open(ends->channel, path, &events, &stream, NULL), VMAFX_OK);
    return stream;
}

static void tell(VmafxRpcClientStream *stream, const char *letters)
{
    for (; *letters; letters++)
        assert_int_equal(vmafx_rpc_client_stream_send(stream, letters, 1), VMAFX_OK);
}

/* Something said later on the same connection has come, so what was sent before has reached the server too. */
static void later(Ends *ends, size_t index)
{
    VmafxRpcClientStream *other = open_at(ends, "/test.Hold/Listen");

    tell(other, "xyz");
    vmafx_rpc_client_stream_half_close(other);
    await_log(&heard[index], "xyz|.");
    vmafx_rpc_client_stream_free(&other);
}

/* ---- tests ---- */

static void a_held_stream_reads_nothing_and_others_go_on(void **state)
{
    Ends ends;

    begin(&ends);
    VmafxRpcClientStream *stream = open_at(&ends, "/test.Hold/Listen");
    tell(stream, "ahbc");
    await_log(&heard[0], "ah");
    later(&ends, 1);
    assert_log(&heard[0], "ah");
    vmafx_rpc_stream_release(heard[0].stream);
    await_log(&heard[0], "ahbc");
    vmafx_rpc_client_stream_free(&stream);
    end(&ends);
}

static void a_stream_may_be_held_before_its_first_message(void **state)
{
    Ends ends;

    begin(&ends);
    VmafxRpcClientStream *stream = open_at(&ends, "/test.Hold/Later");
    tell(stream, "a");
    VmafxRpcStream *held = await_stream(&heard[0]);
    later(&ends, 1);
    assert_log(&heard[0], "");
    vmafx_rpc_stream_release(held);
    await_log(&heard[0], "a");
    vmafx_rpc_client_stream_free(&stream);
    end(&ends);
}

static void holds_are_counted(void **state)
{
    Ends ends;

    begin(&ends);
    VmafxRpcClientStream *stream = open_at(&ends, "/test.Hold/Listen");
    tell(stream, "da");
    await_log(&heard[0], "d");
    vmafx_rpc_stream_release(heard[0].stream);
    later(&ends, 1);
    assert_log(&heard[0], "d");
    vmafx_rpc_stream_release(heard[0].stream);
    await_log(&heard[0], "da");
    vmafx_rpc_stream_release(heard[0].stream); /* without a hold it is nothing, and saves up for none */
    tell(stream, "hb");
    await_log(&heard[0], "dah");
    later(&ends, 2);
    assert_log(&heard[0], "dah");
    vmafx_rpc_stream_release(heard[0].stream);
    await_log(&heard[0], "dahb");
    vmafx_rpc_client_stream_free(&stream);
    end(&ends);
}

static void half_closed_comes_after_the_messages_that_were_held(void **state)
{
    Ends ends;

    begin(&ends);
    VmafxRpcClientStream *stream = open_at(&ends, "/test.Hold/Listen");
    tell(stream, "habc");
    vmafx_rpc_client_stream_half_close(stream);
    await_log(&heard[0], "h");
    later(&ends, 1);
    assert_log(&heard[0], "h");
    vmafx_rpc_stream_release(heard[0].stream);
    await_log(&heard[0], "habc|.");
    vmafx_rpc_client_stream_free(&stream);
    end(&ends);
}

static void closed_comes_while_it_is_held(void **state)
{
    static const char *const first[] = { "habc", "fabc" }; /* the peer cancels; we finish */

    for (size_t i = 0; i < VMAFX_LEN(first); i++)
        for (int half = 0; half < 2; half++) {
            const char log[] = { first[i][0], '.', 0 };
            Ends ends;

            begin(&ends);
            VmafxRpcClientStream *stream = open_at(&ends, "/test.Hold/Listen");
            tell(stream, first[i]);
            if (half)
                vmafx_rpc_client_stream_half_close(stream);
            pthread_mutex_lock(&heard[0].lock);
            while (!heard[0].n)
                pthread_cond_wait(&heard[0].more, &heard[0].lock);
            pthread_mutex_unlock(&heard[0].lock);
            if (first[i][0] == 'h')
                vmafx_rpc_client_stream_cancel(stream);
            await_log(&heard[0], log);
            vmafx_rpc_stream_release(heard[0].stream); /* too late is nothing */
            vmafx_rpc_stream_hold(heard[0].stream);
            vmafx_rpc_client_stream_free(&stream);
            end(&ends);
        }
}

static void a_held_stream_does_not_keep_the_server_from_stopping(void **state)
{
    Ends ends;

    begin(&ends);
    VmafxRpcClientStream *stream = open_at(&ends, "/test.Hold/Listen");
    tell(stream, "habc");
    await_log(&heard[0], "h");
    vmafx_rpc_server_stop(&ends.server, 0);
    assert_log(&heard[0], "h.");
    vmafx_rpc_stream_release(heard[0].stream); /* references outlive the server */
    vmafx_rpc_client_stream_free(&stream);
    end(&ends);
}

/* The peer keeps most of it: the server holds no more than HTTP/2's window lets through. */
static void a_hold_makes_the_peer_wait(void **state)
{
    VMAFX_AUTO(vmafx_free_p) char *piece = malloc(PIECE);
    Ends ends;

    begin(&ends);
    memset(piece, 'p', PIECE);
    VmafxRpcClientStream *stream = open_at(&ends, "/test.Hold/Listen");
    tell(stream, "h");
    await_log(&heard[0], "h");
    for (int i = 0; i < PIECES; i++)
        assert_int_equal(vmafx_rpc_client_stream_send(stream, piece, PIECE), VMAFX_OK);
    later(&ends, 1);
    assert_in_range(vmafx_rpc_client_stream_waiting(stream), (size_t)PIECE * PIECES / 2, (size_t)PIECE * PIECES);
    assert_log(&heard[0], "h");
    vmafx_rpc_stream_release(heard[0].stream);
    pthread_mutex_lock(&heard[0].lock);
    while (heard[0].bytes < 1 + (size_t)PIECE * PIECES)
        pthread_cond_wait(&heard[0].more, &heard[0].lock);
    pthread_mutex_unlock(&heard[0].lock);
    vmafx_rpc_client_stream_free(&stream);
    end(&ends);
}

typedef struct Releaser {
    size_t until; /* messages */
    pthread_t thread;
} Releaser;

static void *release_each(void *arg)
{
    const Releaser *releaser = arg;

    for (size_t seen = 0; seen < releaser->until; seen++) {
        pthread_mutex_lock(&heard[0].lock);
        while (heard[0].n <= seen)
            pthread_cond_wait(&heard[0].more, &heard[0].lock);
        pthread_mutex_unlock(&heard[0].lock);
        vmafx_rpc_stream_release(heard[0].stream);
    }
    return NULL;
}

/* Release races with the end of the callback that held. */
static void every_message_may_be_held_and_released_from_another_thread(void **state)
{
    Releaser releaser = { .until = MANY };
    Ends ends;

    begin(&ends);
    assert_int_equal(pthread_create(&releaser.thread, NULL, release_each, &releaser), 0);
    VmafxRpcClientStream *stream = open_at(&ends, "/test.Hold/Listen");
    for (int i = 0; i < MANY; i++)
        tell(stream, "h");
    vmafx_rpc_client_stream_half_close(stream);
    pthread_join(releaser.thread, NULL);
    pthread_mutex_lock(&heard[0].lock);
    while (heard[0].n < MANY + 2)
        pthread_cond_wait(&heard[0].more, &heard[0].lock);
    assert_string_equal(heard[0].log + MANY, "|.");
    pthread_mutex_unlock(&heard[0].lock);
    vmafx_rpc_client_stream_free(&stream);
    end(&ends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_held_stream_reads_nothing_and_others_go_on),
        cmocka_unit_test(a_stream_may_be_held_before_its_first_message),
        cmocka_unit_test(holds_are_counted),
        cmocka_unit_test(half_closed_comes_after_the_messages_that_were_held),
        cmocka_unit_test(closed_comes_while_it_is_held),
        cmocka_unit_test(a_held_stream_does_not_keep_the_server_from_stopping),
        cmocka_unit_test(a_hold_makes_the_peer_wait),
        cmocka_unit_test(every_message_may_be_held_and_released_from_another_thread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
