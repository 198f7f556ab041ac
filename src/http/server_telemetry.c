/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Spans and metrics of requests: HTTP semantic conventions, server side (stable). */

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/clock.h"
#include "http/server_internal.h"
#include "signals/instruments.h"

#define SCOPE     "vmafx.http"
#define ATTRS_MAX 16
#define QUERY_MAX 1024 /* bytes of url.query */
#define HOST_MAX  256

void http_telemetry_init(HttpTelemetry *telemetry, const char *version)
{
    VmafxMeter *meter = vmafx_meter_get(SCOPE, version, "", VMAFX_NO_ATTRS);

    telemetry->log = vmafx_logger_new(SCOPE, version, "", VMAFX_NO_ATTRS);
    telemetry->tracer = vmafx_tracer_get(SCOPE, version);
    telemetry->duration = vmafx_signal_histogram(meter, VMAFX_METRIC_ID_HTTP_SERVER_DURATION);
    telemetry->request_size = vmafx_signal_histogram(meter, VMAFX_METRIC_ID_HTTP_REQUEST_SIZE);
    telemetry->response_size = vmafx_signal_histogram(meter, VMAFX_METRIC_ID_HTTP_RESPONSE_SIZE);
    telemetry->active = vmafx_signal_up_down_counter(meter, VMAFX_METRIC_ID_HTTP_SERVER_ACTIVE);
}

/* The method as signals may show it. Methods are case-sensitive. */
static const char *known_method(const char *method)
{
    static const char *const known[] = { "CONNECT", "DELETE", "GET", "HEAD",  "OPTIONS",
                                         "PATCH",   "POST",   "PUT", "QUERY", "TRACE" };

    for (size_t i = 0; i < VMAFX_LEN(known); i++)
        if (!strcmp(method, known[i]))
            return known[i];
    return "_OTHER";
}

static const char *scheme(const VmafxHttpCall *call)
{
    return call->peer.encrypted ? "https" : "http";
}

/* ---- the peer's trace context ---- */

typedef struct Lookup {
    const char *name;
    void (*each)(void *ctx, const char *value, size_t len);
    void *ctx;
} Lookup;

static enum MHD_Result on_header(void *ctx, enum MHD_ValueKind kind, const char *name, const char *value)
{
    const Lookup *lookup = ctx;

    if (!strcasecmp(name, lookup->name))
        lookup->each(lookup->ctx, value ? value : "", value ? strlen(value) : 0);
    return MHD_YES;
}

static void get_all(void *carrier, const char *name, void (*each)(void *ctx, const char *value, size_t len), void *ctx)
{
    Lookup lookup = { name, each, ctx };

    MHD_get_connection_values(((VmafxHttpCall *)carrier)->mhd, MHD_HEADER_KIND, on_header, &lookup);
}

/* ---- spans ---- */

static size_t host_attrs(const VmafxHttpCall *call, char host[HOST_MAX], VmafxAttr *attrs)
{
    const char *given = vmafx_http_call_header(call, "Host");
    size_t n = 0;

    if (!given || !*given || strlen(given) >= HOST_MAX)
        return 0;
    strcpy(host, given);
    char *bracket = strrchr(host, ']'), *colon = strrchr(bracket ? bracket : host, ':');
    char *end = NULL;
    long port = colon ? strtol(colon + 1, &end, 10) : 0;
    if (colon)
        *colon = 0;
    attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_SERVER_ADDRESS, host);
    if (colon && end != colon + 1 && !*end && port > 0 && port <= 65535)
        attrs[n++] = VMAFX_ATTR_INT(VMAFX_KEY_SERVER_PORT, port);
    return n;
}

static void start_span(VmafxHttpCall *call, const char *method)
{
    static const VmafxCarrierGetter getter = { get_all };
    VMAFX_AUTO(vmafx_context_unref) VmafxContext *parent = vmafx_context_extract(NULL, &getter, call);
    const char *agent = vmafx_http_call_header(call, "User-Agent");
    const char *shown = !strcmp(method, "_OTHER") ? "HTTP" : method;
    char query[QUERY_MAX], host[HOST_MAX], name[160];
    VmafxAttr attrs[ATTRS_MAX];
    size_t n = 0;

    if (call->route)
        snprintf(name, sizeof name, "%s %s", shown, call->route->pattern);
    else
        snprintf(name, sizeof name, "%s", shown);
    attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_HTTP_REQUEST_METHOD, method);
    if (strcmp(method, call->method) != 0)
        attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_HTTP_REQUEST_METHOD_ORIGINAL, call->method);
    attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_URL_SCHEME, scheme(call));
    attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_URL_PATH, call->target.raw_path ? call->target.raw_path : "");
    if (call->target.raw_query) {
        vmafx_http_query_redact(call->target.raw_query, query, sizeof query);
        attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_URL_QUERY, query);
    }
    if (call->route)
        attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_HTTP_ROUTE, call->route->pattern);
    if (agent)
        attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_USER_AGENT, agent);
    attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_CLIENT_ADDRESS, call->peer.address);
    attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_NETWORK_PEER_ADDRESS, call->peer.address);
    attrs[n++] = VMAFX_ATTR_INT(VMAFX_KEY_NETWORK_PEER_PORT, call->peer.port);
    attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_NETWORK_PROTOCOL_VERSION, call->protocol);
    n += host_attrs(call, host, attrs + n);
    /* a server's span has the peer's context or none as parent, never what happens to be current on this thread */
    call->span = vmafx_span_start_with(
        call->server->telemetry.tracer, name,
        &(VmafxSpanOptions){ .kind = VMAFX_SPAN_SERVER, .parent = parent, .root = !parent, .attrs = { attrs, n } });
}

void http_telemetry_begin(VmafxHttpCall *call)
{
    const char *method = known_method(call->method);

    call->started_ns = vmafx_monotonic_ns();
    call->counted = !call->route || !(call->route->flags & VMAFX_HTTP_QUIET);
    if (!call->counted)
        return;
    start_span(call, method);
    vmafx_up_down_counter_add_with(call->server->telemetry.active, 1,
                                   VMAFX_ATTRS(VMAFX_ATTR_STR(VMAFX_KEY_HTTP_REQUEST_METHOD, method),
                                               VMAFX_ATTR_STR(VMAFX_KEY_URL_SCHEME, scheme(call))),
                                   NULL);
}

static int64_t answer_size(const VmafxHttpAnswer *answer)
{
    return answer->file.size ? answer->file.size : (int64_t)answer->len;
}

static void record(VmafxHttpCall *call, const char *method, const char *error)
{
    const HttpTelemetry *telemetry = &call->server->telemetry;
    VMAFX_AUTO(vmafx_context_unref) VmafxContext *context = vmafx_span_to_context(call->span, NULL);
    VmafxAttr attrs[6];
    size_t n = 0;

    attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_HTTP_REQUEST_METHOD, method);
    attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_URL_SCHEME, scheme(call));
    if (call->answer.status)
        attrs[n++] = VMAFX_ATTR_INT(VMAFX_KEY_HTTP_RESPONSE_STATUS_CODE, call->answer.status);
    if (call->route)
        attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_HTTP_ROUTE, call->route->pattern);
    if (error)
        attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_ERROR_TYPE, error);
    if (!call->events) { /* how much a stream will send is not known yet */
        vmafx_histogram_record_with(telemetry->request_size, (double)(call->len + call->uploaded + call->excess),
                                    (VmafxAttrs){ attrs, n }, context);
        vmafx_histogram_record_with(telemetry->response_size, (double)answer_size(&call->answer),
                                    (VmafxAttrs){ attrs, n }, context);
    }
    attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_NETWORK_PROTOCOL_VERSION, call->protocol);
    vmafx_histogram_record_with(telemetry->duration, (double)(vmafx_monotonic_ns() - call->started_ns) / 1e9,
                                (VmafxAttrs){ attrs, n }, context);
}

void http_telemetry_end(VmafxHttpCall *call)
{
    const char *method = call->method ? known_method(call->method) : "";
    int status = call->answer.status;
    char code[16], *error = NULL;

    if (!call->counted)
        return;
    call->counted = false;
    snprintf(code, sizeof code, "%d", status);
    if (status >= 500 || !status)
        error = status ? code : (char *)"no_answer"; /* the peer left before there was one */
    record(call, method, error);
    if (status)
        vmafx_span_set_int(call->span, VMAFX_KEY_HTTP_RESPONSE_STATUS_CODE, status);
    if (error) {
        vmafx_span_set_str(call->span, VMAFX_KEY_ERROR_TYPE, error);
        vmafx_span_set_status(call->span, VMAFX_STATUS_ERROR, NULL);
    }
    vmafx_span_end(&call->span);
    vmafx_up_down_counter_add_with(call->server->telemetry.active, -1,
                                   VMAFX_ATTRS(VMAFX_ATTR_STR(VMAFX_KEY_HTTP_REQUEST_METHOD, method),
                                               VMAFX_ATTR_STR(VMAFX_KEY_URL_SCHEME, scheme(call))),
                                   NULL);
}
