/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* OTLP/gRPC: one unary call an attempt, its status turned into an outcome. */

#include "otel/export/otlp_grpc.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/clock.h"
#include "otel/sdk/ids.h"
#include "rpc/unary_client.h"

#define DEADLINE_SLACK_NS UINT64_C(20000000) /* the library counts in milliseconds */

enum { WARNING = 13, HEADERS_MAX = 64, STATUS_OK = 0, STATUS_CANCELLED = 1, STATUS_DEADLINE = 4 };

typedef struct GrpcTransport {
    VmafxRpcClient *client;
    VmafxRpcResponse response;
    const char *method;
    VmafxRpcMetadata *metadata; /* keys and values are owned */
    size_t n_metadata;
    atomic_bool cancelled; /* a flag: tells our own CANCELLED from the server's */
} GrpcTransport;

/* The fork generation in which this process first used the library, plus one; 0: never. */
static atomic_uint library_used;

/* Its threads and locks do not survive a fork, and it cannot be begun anew: in the child the next call might hang. */
static bool library_lost(void)
{
    unsigned here, before = 0;

    vmafx_fork_watch();
    here = vmafx_fork_generation() + 1;
    return !atomic_compare_exchange_strong(&library_used, &before, here) && before != here;
}

static void grpc_free(void *self)
{
    GrpcTransport *transport = self;

    vmafx_rpc_client_free(&transport->client);
    vmafx_rpc_response_done(&transport->response);
    for (size_t i = 0; transport->metadata && i < transport->n_metadata; i++) {
        free((char *)transport->metadata[i].key);
        free((char *)transport->metadata[i].value);
    }
    free(transport->metadata);
    free(transport);
}

static void grpc_cancel(void *self)
{
    GrpcTransport *transport = self;

    atomic_store(&transport->cancelled, true);
    vmafx_rpc_client_cancel(transport->client);
}

static void refused(GrpcTransport *transport, uint64_t deadline_ns, VmafxOtlpAttempt *ret)
{
    const VmafxRpcResponse *response = &transport->response;
    VmafxRpcStatus details = { 0 };
    char message[VMAFX_OTLP_MESSAGE_SIZE];

    if (vmafx_rpc_status_parse(response->details, response->details_len, &details) != VMAFX_OK)
        details.has_retry_delay = false;
    ret->outcome = vmafx_retry_grpc(response->status, details.has_retry_delay) ? VMAFX_OTLP_RETRY : VMAFX_OTLP_GIVE_UP;
    if (response->status == STATUS_CANCELLED && atomic_load(&transport->cancelled))
        ret->outcome = VMAFX_OTLP_DEADLINE; /* shutdown's */
    if (response->status == STATUS_DEADLINE && vmafx_monotonic_ns() + DEADLINE_SLACK_NS >= deadline_ns)
        ret->outcome = VMAFX_OTLP_DEADLINE; /* ours, and not one that the server had */
    ret->server_delay_ns = details.has_retry_delay ? details.retry_delay_ns : 0;
    ret->unreached = response->unreached;
    vmafx_otlp_printable(response->message, strlen(response->message), message, sizeof message);
    snprintf(ret->message, sizeof ret->message, "gRPC status %d%s%.200s", response->status, *message ? ": " : "",
             message);
}

static void grpc_attempt(void *self, const uint8_t *body, size_t len, uint64_t deadline_ns, VmafxOtlpAttempt *ret)
{
    GrpcTransport *transport = self;
    VmafxRpcResponse *response = &transport->response;

    vmafx_rpc_call(transport->client, transport->method, transport->metadata, transport->n_metadata, body, len,
                   deadline_ns, response);
    ret->status = response->status;
    if (response->status != STATUS_OK) {
        refused(transport, deadline_ns, ret);
        return;
    }
    ret->outcome = VMAFX_OTLP_DELIVERED;
    ret->unreadable = vmafx_otlp_partial_parse(response->body, response->len, &ret->partial) != VMAFX_OK;
}

static VmafxErr set_up(GrpcTransport *transport, const VmafxOtlpConfig *config, VmafxErrInfo *reterr)
{
    char agent[256];
    size_t n = VMAFX_MIN(config->n_headers, (size_t)HEADERS_MAX);

    vmafx_otlp_user_agent(config, agent, sizeof agent);
    VmafxRpcClientConfig client = { .target = config->endpoint.target,
                                    .tls = config->endpoint.tls,
                                    .ca_file = config->ca_file,
                                    .cert_file = config->cert_file,
                                    .key_file = config->key_file,
                                    .user_agent = agent,
                                    .response_max_bytes = config->response_max_bytes,
                                    .gzip = config->gzip };
    VmafxErr err = vmafx_rpc_client_new(&client, &transport->client, reterr);
    if (err)
        return err;
    transport->metadata = calloc(n + 1, sizeof *transport->metadata);
    if (!transport->metadata)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory");
    for (size_t i = 0; i < n; i++) {
        VmafxRpcMetadata *item = &transport->metadata[transport->n_metadata++];

        item->key = vmafx_strdup(config->headers[i].name);
        item->value = vmafx_strdup(config->headers[i].value);
        if (!item->key || !item->value)
            return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory");
    }
    return VMAFX_OK;
}

VmafxExporter *vmafx_otlp_grpc_exporter_new(const VmafxOtlpConfig *config)
{
    static const VmafxOtlpTransport functions = { grpc_attempt, grpc_cancel, grpc_free, true };
    static const struct {
        const char *type, *method;
    } signals[] = {
        [VMAFX_SIGNAL_TRACES] = { "otlp_grpc_span_exporter",
                                  "/opentelemetry.proto.collector.trace.v1.TraceService/Export" },
        [VMAFX_SIGNAL_METRICS] = { "otlp_grpc_metric_exporter",
                                   "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" },
        [VMAFX_SIGNAL_LOGS] = { "otlp_grpc_log_exporter", "/opentelemetry.proto.collector.logs.v1.LogsService/Export" },
    };
    unsigned signal = (unsigned)config->signal <= VMAFX_SIGNAL_LOGS ? config->signal : VMAFX_SIGNAL_TRACES;
    GrpcTransport *transport = library_lost() ? NULL : calloc(1, sizeof *transport);
    VmafxErrInfo info = { "no memory" };

    if (atomic_load(&library_used) != vmafx_fork_generation() + 1)
        vmafx_fail(&info, VMAFX_ERR_INVALID,
                   "gRPC cannot be used in a process forked from one that used it; set OTEL_EXPORTER_OTLP_PROTOCOL to "
                   "http/protobuf");
    if (transport) {
        transport->method = signals[signal].method;
        if (!set_up(transport, config, &info))
            return vmafx_otlp_exporter_new(config, signals[signal].type, &functions, transport);
        grpc_free(transport);
    }
    vmafx_otlp_complain(config, WARNING, "%s: %s; nothing is exported", signals[signal].type, info.message);
    return vmafx_otlp_exporter_none();
}
