/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What gRPC's server does by itself: spans, health, reflection. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "rpc/descriptors.h"
#include "rpc/wire.h"
#include "rpc_fixture.h"
#include "signals/signals.h"
#include "spans.h"

/* ---- telemetry ---- */

static void a_call_is_a_span_on_both_sides_in_the_callers_trace(void **state)
{
    static const char header[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    VmafxSpanContext remote;
    VmafxErrInfo info;
    char answer[256], text[8];
    Ends ends;

    VmafxTraceProvider *provider = spans_begin();
    ends_open(&ends);
    assert_true(vmafx_traceparent_parse(header, sizeof header - 1, &remote));
    VmafxContext *context = vmafx_context_with_span(NULL, &remote);
    VmafxContextToken token = vmafx_context_attach(context);
    assert_says(ends.channel, "hello", "hello");
    assert_int_equal(call(ends.channel, "/test.Echo/Shout", "", answer, &info), VMAFX_ERR_UNSUPPORTED);
    snprintf(text, sizeof text, "%d", VMAFX_ERR_NOT_FOUND);
    assert_int_equal(call(ends.channel, "/test.Echo/Fail", text, answer, &info), VMAFX_ERR_NOT_FOUND);
    assert_int_equal(call(ends.channel, "/grpc.health.v1.Health/Check", "", answer, &info), VMAFX_OK);
    vmafx_context_detach(token);
    vmafx_context_unref(&context);

    const VmafxSpanData *client = spans_named("test.Echo/Say", VMAFX_SPAN_CLIENT);
    const VmafxSpanData *server = spans_named("test.Echo/Say", VMAFX_SPAN_SERVER);
    const VmafxSpanData *inside = spans_named("inside", VMAFX_SPAN_INTERNAL);
    assert_memory_equal(server->trace_id, remote.trace_id, VMAFX_TRACE_ID_BYTES);
    assert_memory_equal(client->parent_span_id, remote.span_id, VMAFX_SPAN_ID_BYTES);
    assert_memory_equal(server->parent_span_id, client->span_id, VMAFX_SPAN_ID_BYTES);
    assert_memory_equal(inside->parent_span_id, server->span_id, VMAFX_SPAN_ID_BYTES);
    for (int i = 0; i < 2; i++) {
        const VmafxSpanData *span = i ? client : server;
        const char *key;

        assert_text(span, VMAFX_KEY_RPC_SYSTEM, "grpc");
        assert_text(span, VMAFX_KEY_RPC_METHOD, "test.Echo/Say");
        assert_text(span, VMAFX_KEY_RPC_STATUS_CODE, "OK");
        assert_text(span, VMAFX_KEY_ERROR_TYPE, NULL);
        assert_text(span, VMAFX_KEY_SERVER_ADDRESS, "127.0.0.1");
        assert_int_equal(span->status, VMAFX_STATUS_UNSET);
        assert_null(vmafx_span_check(span->name, (int)span->kind, span->attrs, &key));
    }
    assert_text(server, VMAFX_KEY_CLIENT_ADDRESS, "127.0.0.1");

    const VmafxSpanData *other = spans_named("_OTHER", VMAFX_SPAN_SERVER);
    assert_text(other, VMAFX_KEY_RPC_METHOD_ORIGINAL, "test.Echo/Shout");
    assert_text(other, VMAFX_KEY_ERROR_TYPE, "UNIMPLEMENTED");
    assert_int_equal(other->status, VMAFX_STATUS_ERROR);
    const VmafxSpanData *told = spans_named("test.Echo/Fail", VMAFX_SPAN_SERVER),
                        *heard = spans_named("test.Echo/Fail", VMAFX_SPAN_CLIENT);
    assert_text(told, VMAFX_KEY_ERROR_TYPE, NULL); /* a question about what is not there is no failure of the server */
    assert_text(heard, VMAFX_KEY_ERROR_TYPE, "NOT_FOUND");
    for (size_t i = 0; i < spans_n(); i++) { /* a probe is none */
        const VmafxSpanData *span = spans_at(i);

        assert_false(span->kind == VMAFX_SPAN_SERVER && strstr(span->name, "Health"));
    }
    ends_close(&ends);
    spans_end(&provider);
}

/* ---- health and reflection ---- */

static int health(VmafxRpcChannel *channel, const char *service)
{
    VMAFX_AUTO(vmafx_free_p) uint8_t *body = NULL;
    RpcOut request = { 0 };
    size_t len;

    rpc_wire_put_text(&request, 1, service);
    VmafxErr err =
        vmafx_rpc_unary(channel, "/grpc.health.v1.Health/Check", request.ptr, request.len, 0, &body, &len, NULL);
    free(request.ptr);
    if (err)
        return -(int)err;
    assert_int_equal(len, 2);
    return body[1];
}

static int watched(VmafxRpcReading *reading)
{
    VMAFX_AUTO(vmafx_free_p) uint8_t *body = NULL;
    size_t len;

    assert_int_equal(vmafx_rpc_read_next(reading, 20000, &body, &len, NULL), VMAFX_OK);
    assert_non_null(body);
    assert_int_equal(len, 2);
    return body[1];
}

static void health_is_told_and_watched(void **state)
{
    enum { SERVING = 1, NOT_SERVING, UNKNOWN };
    VmafxRpcReading *all = NULL, *later = NULL;
    Ends ends;

    ends_open(&ends);
    assert_int_equal(health(ends.channel, ""), SERVING);
    assert_int_equal(health(ends.channel, "test.Echo"), SERVING);
    assert_int_equal(health(ends.channel, "later"), -VMAFX_ERR_NOT_FOUND);
    assert_int_equal(vmafx_rpc_read_open(ends.channel, "/grpc.health.v1.Health/Watch", "", 0, &all, NULL), VMAFX_OK);
    assert_int_equal(
        vmafx_rpc_read_open(ends.channel, "/grpc.health.v1.Health/Watch", "\x0a\x05later", 7, &later, NULL), VMAFX_OK);
    assert_int_equal(watched(all), SERVING);
    assert_int_equal(watched(later), UNKNOWN);
    vmafx_rpc_server_set_serving(ends.server, "", false);
    vmafx_rpc_server_set_serving(ends.server, "later", true);
    assert_int_equal(watched(all), NOT_SERVING);
    assert_int_equal(watched(later), SERVING);
    assert_int_equal(health(ends.channel, ""), NOT_SERVING);
    assert_int_equal(health(ends.channel, "test.Echo"), SERVING);
    vmafx_rpc_server_stop(&ends.server, 60000); /* which does not wait for those who watch */
    assert_int_equal(watched(later), NOT_SERVING);
    uint8_t *body;
    size_t len;
    assert_int_equal(vmafx_rpc_read_next(later, 20000, &body, &len, NULL), VMAFX_ERR_UNREACHABLE);
    vmafx_rpc_read_close(&all);
    vmafx_rpc_read_close(&later);
    ends_close(&ends);
}

static void reflect(VmafxRpcChannel *channel, const char *version, uint32_t field, const char *what, RpcOut *ret)
{
    VMAFX_AUTO(vmafx_free_p) uint8_t *body = NULL;
    VmafxRpcReading *reading = NULL;
    RpcOut request = { 0 };
    char path[96];
    size_t len;

    snprintf(path, sizeof path, "/grpc.reflection.%s.ServerReflection/ServerReflectionInfo", version);
    rpc_wire_put_text(&request, field, what);
    assert_int_equal(vmafx_rpc_read_open(channel, path, request.ptr, request.len, &reading, NULL), VMAFX_OK);
    assert_int_equal(vmafx_rpc_read_next(reading, 20000, &body, &len, NULL), VMAFX_OK);
    assert_non_null(body);
    rpc_out_bytes(ret, body, len);
    vmafx_rpc_read_close(&reading);
    free(request.ptr);
}

static void reflection_lists_services_and_finds_files_by_name_and_symbol(void **state)
{
    enum { FILE_BY_NAME = 3, FILE_BY_SYMBOL = 4, EXTENSION = 5, LIST = 7 };
    static const struct {
        const char *why;
        uint32_t field;
        const char *what;
        const char *file; /* NULL: not found */
    } cases[] = {
        { "a file", FILE_BY_NAME, "vmafx/v1/jobs.proto", "vmafx/v1/jobs.proto" },
        { "no such file", FILE_BY_NAME, "vmafx/v1/job.proto", NULL },
        { "a service", FILE_BY_SYMBOL, "vmafx.v1.Jobs", "vmafx/v1/jobs.proto" },
        { "a method", FILE_BY_SYMBOL, "vmafx.v1.Fleet.Connect", "vmafx/v1/fleet.proto" },
        { "a message", FILE_BY_SYMBOL, "vmafx.v1.Hello", "vmafx/v1/fleet.proto" },
        { "a field", FILE_BY_SYMBOL, "vmafx.v1.Job.state", "vmafx/v1/jobs.proto" },
        { "a oneof", FILE_BY_SYMBOL, "vmafx.v1.NodeMessage.kind", "vmafx/v1/fleet.proto" },
        { "an enum", FILE_BY_SYMBOL, "vmafx.v1.Scaling", "vmafx/v1/jobs.proto" },
        { "the beginning of a name", FILE_BY_SYMBOL, "vmafx.v1.Job.stat", NULL },
        { "no such method", FILE_BY_SYMBOL, "vmafx.v1.Jobs.Nothing", NULL },
        { "a package alone", FILE_BY_SYMBOL, "vmafx.v1", NULL },
        { "nothing", FILE_BY_SYMBOL, "", NULL },
    };
    static const char *const versions[] = { "v1alpha", "v1" };
    Ends ends;

    ends_open_with(&ends, (VmafxRpcServerConfig){ .descriptor_set = vmafx_descriptors,
                                                  .descriptor_set_len = vmafx_descriptors_len });
    ends.channel = connect_to((VmafxRpcChannelConfig){ .target = ends.target });
    for (size_t v = 0; v < VMAFX_LEN(versions); v++) {
        RpcOut list = { 0 };

        reflect(ends.channel, versions[v], LIST, "", &list);
        RpcBytes services = rpc_wire_find((RpcBytes){ list.ptr, list.len }, 6);
        assert_true(rpc_bytes_are(rpc_wire_find(rpc_wire_find(services, 1), 1), "vmafx.v1.Jobs")); /* the only one */
        free(list.ptr);
        for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
            RpcOut out = { 0 };

            reflect(ends.channel, versions[v], cases[i].field, cases[i].what, &out);
            RpcBytes file = rpc_wire_find(rpc_wire_find((RpcBytes){ out.ptr, out.len }, 4), 1);
            RpcBytes error = rpc_wire_find((RpcBytes){ out.ptr, out.len }, 7);
            if (cases[i].file ? !rpc_bytes_are(rpc_wire_find(file, 1), cases[i].file) : !error.len || file.len)
                fail_msg("%s", cases[i].why);
            free(out.ptr);
        }
    }
    ends_close(&ends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_is_a_span_on_both_sides_in_the_callers_trace),
        cmocka_unit_test(health_is_told_and_watched),
        cmocka_unit_test(reflection_lists_services_and_finds_files_by_name_and_symbol),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
