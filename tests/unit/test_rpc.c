/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* gRPC's server and client with each other: unary calls, their errors and limits. tests/conformance has foreign
 * clients. */

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
#include "base/clock.h"
#include "rpc/unary_client.h"
#include "rpc_fixture.h"

#define WAIT_NS UINT64_C(60000000000)

static void a_call_gets_its_answer(void **state)
{
    Ends ends;

    ends_open(&ends);
    assert_says(ends.channel, "hello", "hello");
    assert_says(ends.channel, "", "");
    assert_says(ends.channel, "deadline", "soon");
    VmafxErrInfo info;
    char answer[256];
    assert_int_equal(call(ends.channel, "/test.Echo/Say", "peer", answer, &info), VMAFX_OK);
    assert_memory_equal(answer, "ipv4:127.0.0.1:", 15);
    assert_int_equal(call(ends.channel, "/test.Echo/Say", "agent", answer, &info), VMAFX_OK);
    assert_memory_equal(answer, "vmafx ", 6);
    assert_says(ends.channel, "names", "0:");
    ends_close(&ends);
}

/* Every error of the table arrives as one whose gRPC status is the same, with its sentence. */
static void errors_arrive_with_their_status_and_sentence(void **state)
{
    Ends ends;

    ends_open(&ends);
    for (int err = 1; err < VMAFX_ERR_COUNT; err++) {
        char text[8], answer[256], sentence[64];
        VmafxErrInfo info;

        snprintf(text, sizeof text, "%d", err);
        snprintf(sentence, sizeof sentence, "as told: %d, ünd more", err);
        VmafxErr got = call(ends.channel, "/test.Echo/Fail", text, answer, &info);
        if (vmafx_err_grpc(got) != vmafx_err_grpc((VmafxErr)err))
            fail_msg("%s became %s", vmafx_err_name((VmafxErr)err), vmafx_err_name(got));
        assert_string_equal(info.message, sentence);
    }
    ends_close(&ends);
}

static void statuses_are_read_as_the_error_that_says_it_best(void **state)
{
    static const struct {
        VmafxErr told, read;
    } cases[] = {
        { VMAFX_ERR_INVALID, VMAFX_ERR_INVALID },
        { VMAFX_ERR_SYNTAX, VMAFX_ERR_INVALID },
        { VMAFX_ERR_NOT_FOUND, VMAFX_ERR_NOT_FOUND },
        { VMAFX_ERR_IO, VMAFX_ERR_UNREACHABLE },
        { VMAFX_ERR_STOPPED, VMAFX_ERR_UNREACHABLE },
        { VMAFX_ERR_CONFLICT, VMAFX_ERR_CONFLICT },
        { VMAFX_ERR_LEASE_LOST, VMAFX_ERR_LEASE_LOST },
        { VMAFX_ERR_BUSY, VMAFX_ERR_BUSY },
        { VMAFX_ERR_FORBIDDEN, VMAFX_ERR_FORBIDDEN },
        { VMAFX_ERR_UNAUTHENTICATED, VMAFX_ERR_UNAUTHENTICATED },
        { VMAFX_ERR_UNSUPPORTED, VMAFX_ERR_UNSUPPORTED },
        { VMAFX_ERR_CORRUPT, VMAFX_ERR_CORRUPT },
        { VMAFX_ERR_STATE, VMAFX_ERR_STATE },
        { VMAFX_ERR_INTERNAL, VMAFX_ERR_INTERNAL },
    };
    Ends ends;

    ends_open(&ends);
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        char text[8], answer[256];
        VmafxErrInfo info;

        snprintf(text, sizeof text, "%d", cases[i].told);
        assert_int_equal(call(ends.channel, "/test.Echo/Fail", text, answer, &info), cases[i].read);
    }
    ends_close(&ends);
}

static void an_unknown_method_is_unsupported(void **state)
{
    VmafxErrInfo info;
    char answer[256];
    Ends ends;

    ends_open(&ends);
    assert_int_equal(call(ends.channel, "/test.Echo/Shout", "x", answer, &info), VMAFX_ERR_UNSUPPORTED);
    assert_int_equal(call(ends.channel, "/test.Other/Say", "x", answer, &info), VMAFX_ERR_UNSUPPORTED);
    assert_says(ends.channel, "still there", "still there");
    ends_close(&ends);
}

static void a_malformed_message_is_refused_by_its_handler(void **state)
{
    VmafxErrInfo info;
    char answer[256];
    Ends ends;

    ends_open(&ends);
    assert_int_equal(call(ends.channel, "/vmafx.v1.Jobs/SubmitJob", "\x0a\x02\x0a\x05", answer, &info),
                     VMAFX_ERR_INVALID);
    assert_non_null(strstr(info.message, "reference"));
    assert_int_equal(call(ends.channel, "/vmafx.v1.Jobs/SubmitJob", "\x38\x01", answer, &info), VMAFX_OK);
    ends_close(&ends);
}

static void a_message_over_the_limit_is_refused_both_ways(void **state)
{
    size_t len = (4 << 20) + 1, got;
    VMAFX_AUTO(vmafx_free_p) uint8_t *large = calloc(1, len);
    uint8_t *body = NULL;
    Ends ends;

    ends_open(&ends);
    assert_non_null(large);
    assert_int_equal(vmafx_rpc_unary(ends.channel, "/test.Echo/Say", large, len, 0, &body, &got, NULL), VMAFX_ERR_BUSY);
    assert_int_equal(vmafx_rpc_unary(ends.channel, "/test.Echo/Say", large, len - 1, 0, &body, &got, NULL), VMAFX_OK);
    assert_int_equal(got, len - 1);
    free(VMAFX_TAKE(body));
    VmafxRpcChannel *narrow = connect_to((VmafxRpcChannelConfig){ .target = ends.target, .message_max_bytes = 1000 });
    assert_int_equal(vmafx_rpc_unary(narrow, "/test.Echo/Say", large, 1000, 0, &body, &got, NULL), VMAFX_OK);
    free(VMAFX_TAKE(body));
    assert_int_equal(vmafx_rpc_unary(narrow, "/test.Echo/Say", large, 1001, 0, &body, &got, NULL), VMAFX_ERR_BUSY);
    vmafx_rpc_channel_close(&narrow);
    ends_close(&ends);
}

static void compressed_messages_are_taken_and_limited_as_what_is_in_them(void **state)
{
    static const struct {
        const char *why;
        size_t len;
        int status;
    } cases[] = {
        { "an empty one", 0, 0 },
        { "a small one", 1000, 0 },
        { "one that fits exactly", 4 << 20, 0 },
        { "a byte more", (4 << 20) + 1, 8 },
        { "a bomb: 64 MiB in 64 KiB", 64 << 20, 8 },
        { "and the server still answers", 1000, 0 },
    };
    VMAFX_AUTO(vmafx_free_p) uint8_t *zeros = calloc(1, 64 << 20);
    VmafxRpcClient *client = NULL;
    VmafxRpcResponse response = { 0 };
    Ends ends;

    ends_open(&ends);
    assert_non_null(zeros);
    VmafxRpcClientConfig config = { .target = ends.target, .gzip = true, .response_max_bytes = 8 << 20 };
    assert_int_equal(vmafx_rpc_client_new(&config, &client, NULL), VMAFX_OK);
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        vmafx_rpc_call(client, "/test.Echo/Say", NULL, 0, zeros, cases[i].len, vmafx_monotonic_ns() + WAIT_NS,
                       &response);
        if (response.status != cases[i].status)
            print_message("%s: %s\n", cases[i].why, response.message);
        assert_int_equal(response.status, cases[i].status);
        assert_int_equal(response.len, cases[i].status ? 0 : cases[i].len);
    }
    vmafx_rpc_response_done(&response);
    vmafx_rpc_client_free(&client);
    ends_close(&ends);
}

static void the_deadline_ends_a_call_on_both_sides(void **state)
{
    uint8_t *body = NULL;
    size_t len;
    Ends ends;

    ends_open(&ends);
    assert_says(ends.channel, "connected", "connected"); /* else the time may be up before there is a connection */
    assert_int_equal(vmafx_rpc_unary(ends.channel, "/test.Echo/Say", "wait", 4, 200, &body, &len, NULL),
                     VMAFX_ERR_DEADLINE);
    await_count(&echo.closed, 1); /* the handler saw it */
    await_count(&echo.entered, 1);
    ends_close(&ends);
}

static void nobody_listening_is_unreachable(void **state)
{
    VmafxRpcChannel *channel = connect_to((VmafxRpcChannelConfig){ .target = "127.0.0.1:1" });
    VmafxErrInfo info;
    char answer[256];

    assert_int_equal(call(channel, "/test.Echo/Say", "x", answer, &info), VMAFX_ERR_UNREACHABLE);
    assert_true(info.message[0]);
    vmafx_rpc_channel_close(&channel);
}

static void handlers_that_wait_do_not_keep_streams_from_moving(void **state)
{
    enum { N = 4 };
    Caller callers[N];
    Talk talk;
    Ends ends;

    ends_open_with(&ends, (VmafxRpcServerConfig){ .threads_max = N });
    ends.channel = connect_to((VmafxRpcChannelConfig){ .target = ends.target });
    for (int i = 0; i < N; i++) {
        callers[i].channel = ends.channel;
        pthread_create(&callers[i].thread, NULL, call_and_wait, &callers[i]);
    }
    await_count(&echo.entered, N);
    talk_begin(&talk, ends.channel, "/test.Echo/Chat");
    talk_tell(&talk, "are you there?");
    talk_await_messages(&talk, 1);
    talk_end(&talk);
    vmafx_rpc_server_stop(&ends.server, 0); /* cancels them */
    for (int i = 0; i < N; i++) {
        pthread_join(callers[i].thread, NULL);
        assert_int_not_equal(callers[i].err, VMAFX_OK);
    }
    await_count(&echo.closed, N + 1);
    await_count(&echo.opened, 1);
    ends_close(&ends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_gets_its_answer),
        cmocka_unit_test(errors_arrive_with_their_status_and_sentence),
        cmocka_unit_test(statuses_are_read_as_the_error_that_says_it_best),
        cmocka_unit_test(an_unknown_method_is_unsupported),
        cmocka_unit_test(a_malformed_message_is_refused_by_its_handler),
        cmocka_unit_test(a_message_over_the_limit_is_refused_both_ways),
        cmocka_unit_test(compressed_messages_are_taken_and_limited_as_what_is_in_them),
        cmocka_unit_test(the_deadline_ends_a_call_on_both_sides),
        cmocka_unit_test(nobody_listening_is_unreachable),
        cmocka_unit_test(handlers_that_wait_do_not_keep_streams_from_moving),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
