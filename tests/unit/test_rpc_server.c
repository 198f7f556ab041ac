/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* gRPC's server as a program has it: settings, who may call, TLS, stopping. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "rpc_fixture.h"

/* ---- stop ---- */

static void stopping_ends_calls_and_streams(void **state)
{
    Caller caller;
    Talk talk;
    Ends ends;

    ends_open(&ends);
    caller.channel = ends.channel;
    talk_begin(&talk, ends.channel, "/test.Echo/Chat");
    await_count(&echo.opened, 1);
    pthread_create(&caller.thread, NULL, call_and_wait, &caller);
    await_count(&echo.entered, 1);
    vmafx_rpc_server_stop(&ends.server, 50);
    await_count(&echo.closed, 2); /* the handler's and the stream's; both had returned */
    pthread_join(caller.thread, NULL);
    assert_int_not_equal(caller.err, VMAFX_OK);
    talk_await_closed(&talk);
    assert_int_not_equal(talk.err, VMAFX_OK);
    talk_end(&talk);
    VmafxErrInfo info;
    char answer[256];
    assert_int_equal(call(ends.channel, "/test.Echo/Say", "x", answer, &info), VMAFX_ERR_UNREACHABLE);
    ends_close(&ends);
}

static void a_channel_finds_its_server_with_the_first_call_after_it_is_back(void **state)
{
    VmafxErrInfo info;
    char answer[256], address[64];
    Ends ends;

    ends_open(&ends);
    assert_says(ends.channel, "once", "once");
    snprintf(address, sizeof address, "%s", ends.target);
    VmafxRpcChannel *channel = VMAFX_TAKE(ends.channel);
    ends_close(&ends);
    for (int i = 0; i < 20; i++) /* were there a backoff, it would be a long one now */
        assert_int_equal(call(channel, "/test.Echo/Say", "nobody", answer, &info), VMAFX_ERR_UNREACHABLE);
    ends_open_with(&ends, (VmafxRpcServerConfig){ .address = address });
    assert_int_equal(call(channel, "/test.Echo/Say", "again", answer, &info), VMAFX_OK); /* the first one */
    assert_string_equal(answer, "again");
    vmafx_rpc_channel_close(&channel);
    ends_close(&ends);
}

/* ---- settings ---- */

static void a_port_in_use_is_an_error_that_says_so(void **state)
{
    VmafxRpcServer *second = NULL;
    VmafxErrInfo info = { "" };
    Ends ends;

    ends_open(&ends);
    VmafxRpcServerConfig config = { .address = ends.target, .methods = echo_methods, .n_methods = ECHO_METHODS };
    assert_int_equal(vmafx_rpc_server_start(&config, &second, &info), VMAFX_ERR_IO);
    assert_non_null(strstr(info.message, ends.target));
    assert_null(second);
    ends_close(&ends);
}

static void bad_settings_are_named(void **state)
{
    static const VmafxRpcMethod twice[] = { { .path = "/a.B/C", .unary = echo_say },
                                            { .path = "/a.B/C", .unary = echo_say } };
    static const VmafxRpcMethod no_path[] = { { .path = "C", .unary = echo_say } };
    static const VmafxRpcMethod no_handler[] = { { .path = "/a.B/C" } };
    static const struct {
        const char *why;
        VmafxRpcServerConfig config;
        VmafxErr err;
        const char *says;
    } bad[] = {
        { "no address", { 0 }, VMAFX_ERR_INVALID, "address" },
        { "key without certificate", { .address = "127.0.0.1:0", .key_file = "k" }, VMAFX_ERR_INVALID, "certificate" },
        { "no such file",
          { .address = "127.0.0.1:0", .cert_file = "/no/c", .key_file = "/no/k", .ca_file = "/no/a" },
          VMAFX_ERR_NOT_FOUND,
          "/no/c" },
        { "no PEM",
          { .address = "127.0.0.1:0", .cert_file = "/proc/self/stat", .key_file = "k", .ca_file = "a" },
          VMAFX_ERR_INVALID,
          "PEM" },
        { "a method twice",
          { .address = "127.0.0.1:0", .methods = twice, .n_methods = 2 },
          VMAFX_ERR_INVALID,
          "twice" },
        { "no path", { .address = "127.0.0.1:0", .methods = no_path, .n_methods = 1 }, VMAFX_ERR_INVALID, "'C'" },
        { "no handler",
          { .address = "127.0.0.1:0", .methods = no_handler, .n_methods = 1 },
          VMAFX_ERR_INVALID,
          "/a.B/C" },
        { "not an address of ours", { .address = "192.0.2.1:0" }, VMAFX_ERR_IO, "192.0.2.1" },
    };

    for (size_t i = 0; i < VMAFX_LEN(bad); i++) {
        VmafxRpcServer *server = NULL;
        VmafxErrInfo info = { "" };
        VmafxErr err = vmafx_rpc_server_start(&bad[i].config, &server, &info);

        if (err != bad[i].err || !strstr(info.message, bad[i].says))
            fail_msg("%s: %s '%s'", bad[i].why, vmafx_err_name(err), info.message);
    }
}

static void unix_sockets_are_loopback(void **state)
{
    char folder[] = "/tmp/rpc-XXXXXX", path[64];
    VmafxRpcServer *server = NULL;

    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "unix:%s/s", folder);
    VmafxRpcServerConfig config = { .address = path, .methods = echo_methods, .n_methods = ECHO_METHODS };
    assert_int_equal(vmafx_rpc_server_start(&config, &server, NULL), VMAFX_OK);
    VmafxRpcChannel *channel = connect_to((VmafxRpcChannelConfig){ .target = path });
    VmafxErrInfo info;
    char answer[256];
    assert_int_equal(call(channel, "/test.Echo/Say", "peer", answer, &info), VMAFX_OK);
    assert_memory_equal(answer, "unix:", 5);
    vmafx_rpc_channel_close(&channel);
    vmafx_rpc_server_stop(&server, 1000);
    unlink(path + 5);
    rmdir(folder);
}

/* ---- who may ---- */

static VmafxErr only_say(void *ctx, const VmafxRpcPeer *peer, const char *path, VmafxErrInfo *reterr)
{
    assert_true(peer->loopback);
    assert_false(peer->authenticated);
    return !strcmp(path, "/test.Echo/Say") ? VMAFX_OK : vmafx_fail(reterr, VMAFX_ERR_FORBIDDEN, "not %s", path);
}

static void what_is_not_allowed_reaches_no_handler(void **state)
{
    static const char *const paths[] = { "/test.Echo/Fail", "/grpc.health.v1.Health/Check" };
    VmafxErrInfo info;
    char answer[256];
    Talk talk;
    Ends ends;

    ends_open_with(&ends, (VmafxRpcServerConfig){ .authorize = only_say });
    ends.channel = connect_to((VmafxRpcChannelConfig){ .target = ends.target });
    assert_says(ends.channel, "may I?", "may I?");
    for (size_t i = 0; i < VMAFX_LEN(paths); i++) {
        assert_int_equal(call(ends.channel, paths[i], "", answer, &info), VMAFX_ERR_FORBIDDEN);
        assert_non_null(strstr(info.message, paths[i]));
    }
    talk_begin(&talk, ends.channel, "/test.Echo/Chat");
    talk_await_closed(&talk);
    assert_int_equal(talk.err, VMAFX_ERR_FORBIDDEN);
    talk_end(&talk);
    ends_close(&ends);
    assert_int_equal(echo.opened.n, 0);
    assert_int_equal(echo.closed.n, 0);
}

/* A CA, certificates of the server and of a client, one of a client of another CA, and one with nothing but a CN. */
static const char make_certificates[] =
    "cd %s && exec >log 2>&1 && "
    "ca() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout $1.key -out "
    "$1.pem "
    "-subj /CN=$1 -addext basicConstraints=critical,CA:TRUE; } && "
    "cert() { openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout $1.key -out $1.csr "
    "-subj /CN=$1-cn && echo \"$3\" >ext && openssl x509 -req -in $1.csr -CA $2.pem -CAkey $2.key -CAcreateserial "
    "-days 2 -extfile ext -out $1.pem; } && "
    "ca ca && ca other && cert server ca subjectAltName=DNS:controller,IP:127.0.0.1 && "
    "cert renewed ca subjectAltName=DNS:renewed && "
    "cert node ca subjectAltName=DNS:node-1,URI:spiffe://vmafx/node-1 && cert stranger other subjectAltName=DNS:node-1 "
    "&& "
    "cert plain ca basicConstraints=CA:FALSE";

static VmafxRpcChannelConfig client_of(char paths[3][64], const char *folder, const char *name, const char *target)
{
    snprintf(paths[0], 64, "%s/%s.pem", folder, name);
    snprintf(paths[1], 64, "%s/%s.key", folder, name);
    snprintf(paths[2], 64, "%s/ca.pem", folder);
    return (VmafxRpcChannelConfig){
        .target = target, .cert_file = paths[0], .key_file = paths[1], .ca_file = paths[2], .server_name = "controller"
    };
}

static void mutual_tls_tells_who_is_there_and_follows_renewed_files(void **state)
{
    char folder[] = "/tmp/rpc-XXXXXX", command[2048], paths[3][64], server_paths[3][64], answer[256];
    VmafxErrInfo info;
    Ends ends;

    if (system("openssl version >/dev/null 2>&1")) {
        print_message("the program openssl is missing\n");
        skip();
    }
    assert_non_null(mkdtemp(folder));
    snprintf(command, sizeof command, make_certificates, folder);
    assert_int_equal(system(command), 0);
    VmafxRpcChannelConfig files = client_of(server_paths, folder, "server", NULL);
    ends_open_with(&ends, (VmafxRpcServerConfig){
                              .cert_file = files.cert_file, .key_file = files.key_file, .ca_file = files.ca_file });

    VmafxRpcChannelConfig config = client_of(paths, folder, "node", ends.target);
    VmafxRpcChannel *channel = connect_to(config);
    assert_says(channel, "names", "1:node-1,spiffe://vmafx/node-1,");
    vmafx_rpc_channel_close(&channel);
    config.server_name = NULL; /* the target's address, which the certificate names too */
    channel = connect_to(config);
    assert_says(channel, "hello", "hello");
    vmafx_rpc_channel_close(&channel);
    channel = connect_to(client_of(paths, folder, "plain", ends.target));
    assert_says(channel, "names", "1:plain-cn,");
    vmafx_rpc_channel_close(&channel);

    config = client_of(paths, folder, "node", ends.target);
    config.server_name = "somebody-else";
    channel = connect_to(config);
    assert_int_equal(call(channel, "/test.Echo/Say", "x", answer, &info), VMAFX_ERR_UNREACHABLE);
    vmafx_rpc_channel_close(&channel);
    channel = connect_to(client_of(paths, folder, "stranger", ends.target));
    assert_int_equal(call(channel, "/test.Echo/Say", "x", answer, &info), VMAFX_ERR_UNREACHABLE);
    vmafx_rpc_channel_close(&channel);
    channel = connect_to((VmafxRpcChannelConfig){ .target = ends.target }); /* no TLS at all */
    assert_int_equal(call(channel, "/test.Echo/Say", "x", answer, &info), VMAFX_ERR_UNREACHABLE);
    vmafx_rpc_channel_close(&channel);

    snprintf(command, sizeof command, "cd %s && mv renewed.key server.key && mv renewed.pem server.pem", folder);
    assert_int_equal(system(command), 0);
    VmafxErr err;
    do { /* until the server has looked at its files again */
        config = client_of(paths, folder, "node", ends.target);
        config.server_name = "renewed";
        channel = connect_to(config);
        err = call(channel, "/test.Echo/Say", "x", answer, &info);
        vmafx_rpc_channel_close(&channel);
        if (err)
            nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
    } while (err);
    ends_close(&ends);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stopping_ends_calls_and_streams),
        cmocka_unit_test(a_channel_finds_its_server_with_the_first_call_after_it_is_back),
        cmocka_unit_test(a_port_in_use_is_an_error_that_says_so),
        cmocka_unit_test(bad_settings_are_named),
        cmocka_unit_test(unix_sockets_are_loopback),
        cmocka_unit_test(what_is_not_allowed_reaches_no_handler),
        cmocka_unit_test(mutual_tls_tells_who_is_there_and_follows_renewed_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
