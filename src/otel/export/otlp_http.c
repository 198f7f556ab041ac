/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* OTLP/HTTP: one POST an attempt, its body gzipped when asked, its answer turned into an outcome. */

#include "otel/export/otlp_http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "base/base.h"
#include "base/clock.h"
#include "http/client.h"

enum { WARNING = 13, GZIP_WINDOW = 15 + 16, GZIP_MEMORY = 8, HEADERS_MAX = 64 };

typedef struct HttpTransport {
    VmafxHttpClient *client;
    VmafxHttpResponse response;
    char *url;
    VmafxHttpHeader *headers; /* names and values are owned; first ours, then the configured */
    size_t n_headers;
    bool gzip;
    uint8_t *packed;
    size_t packed_room;
} HttpTransport;

static void http_free(void *self)
{
    HttpTransport *transport = self;

    vmafx_http_client_free(&transport->client);
    vmafx_http_response_done(&transport->response);
    for (size_t i = 0; transport->headers && i < transport->n_headers; i++) {
        free((char *)transport->headers[i].name);
        free((char *)transport->headers[i].value);
    }
    free(transport->headers);
    free(transport->url);
    free(transport->packed);
    free(transport);
}

static void http_cancel(void *self)
{
    vmafx_http_client_cancel(((HttpTransport *)self)->client);
}

/* The gzip form of a body in transport->packed; 0 when there is no memory for it. */
static size_t pack(HttpTransport *transport, const uint8_t *body, size_t len)
{
    z_stream stream = { 0 };
    size_t packed = 0;

    if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
        return 0;
    size_t room = deflateBound(&stream, len);
    if (room > transport->packed_room) {
        free(transport->packed);
        transport->packed = malloc(room);
        transport->packed_room = transport->packed ? room : 0;
    }
    if (transport->packed) {
        stream.next_in = (Bytef *)body;
        stream.avail_in = (uInt)len; /* 64 MiB at most */
        stream.next_out = transport->packed;
        stream.avail_out = (uInt)transport->packed_room;
        if (deflate(&stream, Z_FINISH) == Z_STREAM_END)
            packed = stream.total_out;
    }
    deflateEnd(&stream);
    return packed;
}

static void answered(const VmafxHttpResponse *response, VmafxOtlpAttempt *ret)
{
    VmafxRpcStatus status;

    ret->status = response->status;
    if (response->status >= 200 && response->status < 300) {
        ret->outcome = VMAFX_OTLP_DELIVERED;
        ret->unreadable = vmafx_otlp_partial_parse(response->body, response->len, &ret->partial) != VMAFX_OK;
        return;
    }
    ret->outcome = vmafx_retry_http(response->status) ? VMAFX_OTLP_RETRY : VMAFX_OTLP_GIVE_UP;
    if (response->retry_after[0] && !vmafx_retry_after(response->retry_after, strlen(response->retry_after),
                                                       vmafx_wall_ns(), &ret->server_delay_ns))
        ret->server_delay_ns = 0;
    if (vmafx_rpc_status_parse(response->body, response->len, &status) != VMAFX_OK)
        status.message[0] = 0; /* a proxy's page, most likely */
    snprintf(ret->message, sizeof ret->message, "HTTP status %d%s%.200s", response->status,
             status.message[0] ? ": " : "", status.message);
}

static void http_attempt(void *self, const uint8_t *body, size_t len, uint64_t deadline_ns, VmafxOtlpAttempt *ret)
{
    HttpTransport *transport = self;
    VmafxHttpRequest request = { .url = transport->url,
                                 .headers = transport->headers,
                                 .n_headers = transport->n_headers,
                                 .body = body,
                                 .len = len };

    if (transport->gzip) {
        request.len = pack(transport, body, len);
        request.body = transport->packed;
        if (!request.len) {
            ret->outcome = VMAFX_OTLP_GIVE_UP;
            snprintf(ret->message, sizeof ret->message, "no memory to compress the request");
            return;
        }
    }
    VmafxHttpResponse *response = &transport->response;
    VmafxHttpEnd end = vmafx_http_post(transport->client, &request, deadline_ns, response);
    if (end == VMAFX_HTTP_ANSWERED) {
        answered(response, ret);
        return;
    }
    ret->outcome = end == VMAFX_HTTP_NO_ANSWER                                 ? VMAFX_OTLP_RETRY
                   : end == VMAFX_HTTP_DEADLINE || end == VMAFX_HTTP_CANCELLED ? VMAFX_OTLP_DEADLINE
                                                                               : VMAFX_OTLP_GIVE_UP;
    ret->unreached = response->unreached;
    vmafx_otlp_printable(response->error, strlen(response->error), ret->message, sizeof ret->message);
}

static bool add_header(HttpTransport *transport, const char *name, const char *value)
{
    VmafxHttpHeader *header = &transport->headers[transport->n_headers++];

    header->name = vmafx_strdup(name);
    header->value = vmafx_strdup(value);
    return header->name && header->value;
}

static VmafxErr set_up(HttpTransport *transport, const VmafxOtlpConfig *config, VmafxErrInfo *reterr)
{
    char agent[256];
    size_t n = VMAFX_MIN(config->n_headers, (size_t)HEADERS_MAX);

    vmafx_otlp_user_agent(config, agent, sizeof agent);
    VmafxHttpClientConfig client = { .ca_file = config->ca_file,
                                     .cert_file = config->cert_file,
                                     .key_file = config->key_file,
                                     .user_agent = agent,
                                     .response_max_bytes = config->response_max_bytes };
    VmafxErr err = vmafx_http_client_new(&client, &transport->client, reterr);
    if (err)
        return err;
    transport->gzip = config->gzip;
    transport->url = vmafx_strdup(config->endpoint.target);
    transport->headers = calloc(n + 2, sizeof *transport->headers);
    bool ok = transport->url && transport->headers && add_header(transport, "Content-Type", "application/x-protobuf") &&
              (!config->gzip || add_header(transport, "Content-Encoding", "gzip"));
    for (size_t i = 0; ok && i < n; i++)
        ok = add_header(transport, config->headers[i].name, config->headers[i].value);
    return ok ? VMAFX_OK : vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory");
}

VmafxExporter *vmafx_otlp_http_exporter_new(const VmafxOtlpConfig *config)
{
    static const VmafxOtlpTransport functions = { http_attempt, http_cancel, http_free, false };
    static const char *const types[] = { [VMAFX_SIGNAL_TRACES] = "otlp_http_span_exporter",
                                         [VMAFX_SIGNAL_METRICS] = "otlp_http_metric_exporter",
                                         [VMAFX_SIGNAL_LOGS] = "otlp_http_log_exporter" };
    const char *type = types[(unsigned)config->signal <= VMAFX_SIGNAL_LOGS ? config->signal : VMAFX_SIGNAL_TRACES];
    HttpTransport *transport = calloc(1, sizeof *transport);
    VmafxErrInfo info = { "no memory" };

    if (transport && !set_up(transport, config, &info))
        return vmafx_otlp_exporter_new(config, type, &functions, transport);
    vmafx_otlp_complain(config, WARNING, "%s: %s; nothing is exported", type, info.message);
    if (transport)
        http_free(transport);
    return vmafx_otlp_exporter_none();
}
