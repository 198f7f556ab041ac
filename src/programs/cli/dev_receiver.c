/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Two servers in front of one receiver. */

#include "programs/cli/dev_receiver.h"

#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "http/server.h"
#include "rpc/descriptors.h"
#include "rpc/message.h"
#include "rpc/server.h"

enum {
    PAGE_BYTES = 1 << 20, /* of a trace's spans in memory; on the wire they are smaller */
    BODY_MAX = 4 << 20,
    STOP_GRACE_MS = 500,
    THREADS = 4,
};

/* What a method or route does: which signal it takes. */
typedef struct Intake {
    DevReceiver *self;
    VmafxReceiverSignal signal;
} Intake;

struct DevReceiver {
    VmafxReceiver *receiver;
    VmafxRpcServer *rpc;
    VmafxHttpServer *http;
    Intake intakes[3];
    VmafxRpcMethod methods[4];
    VmafxHttpRoute routes[3];
};

/* ---- gRPC ---- */

static VmafxErr export_rpc(void *ctx, VmafxRpcCall *call, const void *data, size_t len, VmafxRpcAnswer *ret,
                           VmafxErrInfo *reterr)
{
    Intake *intake = ctx;

    return vmafx_receiver_export(intake->self->receiver, intake->signal, data, len, &ret->body, &ret->len, reterr);
}

/* A response that borrows everything from kept spans. */
typedef struct Page {
    Vmafx__V1__TraceSpan *spans;
    Vmafx__V1__TraceSpan **span_list;
    Vmafx__V1__TraceAttribute *attributes;
    Vmafx__V1__TraceAttribute **attribute_list;
    Vmafx__V1__TraceEvent *events;
    Vmafx__V1__TraceEvent **event_list;
    Vmafx__V1__TraceLink *links;
    Vmafx__V1__TraceLink **link_list;
    size_t n_attributes, n_events, n_links; /* filled */
} Page;

static void page_done(Page *page)
{
    free(page->spans);
    free(page->span_list);
    free(page->attributes);
    free(page->attribute_list);
    free(page->events);
    free(page->event_list);
    free(page->links);
    free(page->link_list);
}

static void fill_span(const VmafxKeptSpan *kept, Vmafx__V1__TraceSpan *ret)
{
    static const uint8_t none[8];

    vmafx__v1__trace_span__init(ret);
    ret->span_id = (ProtobufCBinaryData){ sizeof kept->span_id, (uint8_t *)kept->span_id };
    if (memcmp(kept->parent_id, none, sizeof none) != 0)
        ret->parent_span_id = (ProtobufCBinaryData){ sizeof kept->parent_id, (uint8_t *)kept->parent_id };
    ret->name = (char *)kept->name;
    ret->kind = (Vmafx__V1__TraceSpanKind)kept->kind;
    ret->start_unix_ns = (int64_t)VMAFX_MIN(kept->start_ns, (uint64_t)INT64_MAX);
    ret->end_unix_ns = (int64_t)VMAFX_MIN(kept->end_ns, (uint64_t)INT64_MAX);
    ret->status = (Vmafx__V1__TraceSpanStatus)kept->status;
    ret->status_message = (char *)kept->status_message;
    ret->service = (char *)kept->service;
    ret->dropped_attributes = kept->dropped_attributes;
    ret->dropped_events = kept->dropped_events;
    ret->dropped_links = kept->dropped_links;
}

static Vmafx__V1__TraceAttribute **fill_attributes(Page *page, const VmafxKeptAttribute *kept, size_t n)
{
    Vmafx__V1__TraceAttribute **list = page->attribute_list + page->n_attributes;

    for (size_t i = 0; i < n; i++, page->n_attributes++) {
        Vmafx__V1__TraceAttribute *attribute = list[i] = &page->attributes[page->n_attributes];
        vmafx__v1__trace_attribute__init(attribute);
        attribute->key = (char *)kept[i].key;
        attribute->value = (char *)kept[i].value;
    }
    return list;
}

static void fill_events(Page *page, const VmafxKeptSpan *kept, Vmafx__V1__TraceSpan *ret)
{
    ret->events = page->event_list + page->n_events;
    ret->n_events = kept->n_events;
    for (size_t i = 0; i < kept->n_events; i++, page->n_events++) {
        Vmafx__V1__TraceEvent *event = ret->events[i] = &page->events[page->n_events];
        vmafx__v1__trace_event__init(event);
        event->time_unix_ns = (int64_t)VMAFX_MIN(kept->events[i].time_ns, (uint64_t)INT64_MAX);
        event->name = (char *)kept->events[i].name;
        event->n_attributes = kept->events[i].n_attributes;
        event->attributes = fill_attributes(page, kept->events[i].attributes, event->n_attributes);
    }
}

static void fill_links(Page *page, const VmafxKeptSpan *kept, Vmafx__V1__TraceSpan *ret)
{
    ret->links = page->link_list + page->n_links;
    ret->n_links = kept->n_links;
    for (size_t i = 0; i < kept->n_links; i++, page->n_links++) {
        Vmafx__V1__TraceLink *link = ret->links[i] = &page->links[page->n_links];
        vmafx__v1__trace_link__init(link);
        link->trace_id = (ProtobufCBinaryData){ 16, (uint8_t *)kept->links[i].trace_id };
        link->span_id = (ProtobufCBinaryData){ 8, (uint8_t *)kept->links[i].span_id };
    }
}

static bool page_room(Page *page, const VmafxKeptSpans *kept)
{
    size_t n_attributes = 0, n_events = 0, n_links = 0;

    for (size_t i = 0; i < kept->n; i++) {
        const VmafxKeptSpan *span = kept->spans[i];

        n_attributes += span->n_attributes;
        n_events += span->n_events;
        n_links += span->n_links;
        for (size_t k = 0; k < span->n_events; k++)
            n_attributes += span->events[k].n_attributes;
    }
    page->spans = calloc(kept->n + 1, sizeof *page->spans);
    page->span_list = calloc(kept->n + 1, sizeof *page->span_list);
    page->attributes = calloc(n_attributes + 1, sizeof *page->attributes);
    page->attribute_list = calloc(n_attributes + 1, sizeof *page->attribute_list);
    page->events = calloc(n_events + 1, sizeof *page->events);
    page->event_list = calloc(n_events + 1, sizeof *page->event_list);
    page->links = calloc(n_links + 1, sizeof *page->links);
    page->link_list = calloc(n_links + 1, sizeof *page->link_list);
    return page->spans && page->span_list && page->attributes && page->attribute_list && page->events &&
           page->event_list && page->links && page->link_list;
}

static VmafxErr fill_page(const VmafxKeptSpans *kept, Page *page, Vmafx__V1__GetTraceResponse *ret)
{
    if (!page_room(page, kept))
        return VMAFX_ERR_NOMEM;
    for (size_t i = 0; i < kept->n; i++) {
        Vmafx__V1__TraceSpan *span = page->span_list[i] = &page->spans[i];

        fill_span(kept->spans[i], span);
        span->n_attributes = kept->spans[i]->n_attributes;
        span->attributes = fill_attributes(page, kept->spans[i]->attributes, span->n_attributes);
        fill_events(page, kept->spans[i], span);
        fill_links(page, kept->spans[i], span);
    }
    ret->spans = page->span_list;
    ret->n_spans = kept->n;
    ret->total = (int64_t)kept->total;
    ret->dropped = (int64_t)VMAFX_MIN(kept->dropped, (uint64_t)INT64_MAX);
    return VMAFX_OK;
}

static VmafxErr get_trace(void *ctx, VmafxRpcCall *call, const void *data, size_t len, VmafxRpcAnswer *ret,
                          VmafxErrInfo *reterr)
{
    DevReceiver *self = ctx;
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *in = NULL;
    VMAFX_AUTO(vmafx_kept_spans_done) VmafxKeptSpans kept = { 0 };
    VMAFX_AUTO(page_done) Page page = { 0 };
    Vmafx__V1__GetTraceResponse response = VMAFX__V1__GET_TRACE_RESPONSE__INIT;
    VmafxErr err = vmafx_message_unpack(&vmafx__v1__get_trace_request__descriptor, data, len, 0, &in, reterr);

    if (err)
        return err;
    const Vmafx__V1__GetTraceRequest *request = vmafx_message_get(in);
    if (request->trace_id.len != 16 || request->start < 0)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "a trace id has 16 bytes, and start is not negative");
    err = vmafx_receiver_trace(self->receiver, request->trace_id.data, (size_t)request->start, PAGE_BYTES, &kept);
    if (err == VMAFX_ERR_NOT_FOUND)
        return vmafx_fail(reterr, err, "no span of this trace has come, or it made room for others");
    if (!err)
        err = fill_page(&kept, &page, &response);
    return err ? err : vmafx_message_pack(&response.base, &ret->body, &ret->len);
}

/* ---- HTTP ---- */

/* OTLP answers errors with a google.rpc.Status too. */
static VmafxErr answer_error(VmafxHttpAnswer *answer, VmafxErr err, const VmafxErrInfo *info)
{
    uint8_t *body;
    size_t len;
    VmafxErr failed = vmafx_receiver_status(err, *info->message ? info->message : vmafx_err_text(err), &body, &len);

    if (failed)
        return failed;
    answer->status = err == VMAFX_ERR_LIMIT ? 413 : err == VMAFX_ERR_UNSUPPORTED ? 415 : vmafx_http_status_of(err);
    answer->content_type = "application/x-protobuf";
    answer->body = (char *)body;
    answer->len = len;
    return VMAFX_OK;
}

static VmafxErr export_body(Intake *intake, VmafxHttpCall *call, uint8_t **ret, size_t *ret_len, VmafxErrInfo *info)
{
    const char *type = vmafx_http_call_header(call, "Content-Type");
    const char *coding = vmafx_http_call_header(call, "Content-Encoding");
    VMAFX_AUTO(vmafx_free_p) uint8_t *unpacked = NULL;
    size_t len;
    const char *body = vmafx_http_call_body(call, &len);

    /* A page in a browser cannot send this type here without asking first, which nobody answers. */
    if (!type || strncasecmp(type, "application/x-protobuf", strlen("application/x-protobuf")) != 0)
        return vmafx_fail(info, VMAFX_ERR_UNSUPPORTED, "Content-Type is '%.80s'; application/x-protobuf is taken",
                          type ? type : "");
    if (coding && !strcasecmp(coding, "gzip")) {
        VmafxErr err = vmafx_receiver_gunzip(body, len, &unpacked, &len, info);
        if (err)
            return err;
        body = (char *)unpacked;
    } else if (coding && *coding && strcasecmp(coding, "identity") != 0) {
        return vmafx_fail(info, VMAFX_ERR_UNSUPPORTED, "Content-Encoding is '%.80s'; gzip or none is taken", coding);
    }
    return vmafx_receiver_export(intake->self->receiver, intake->signal, body, len, ret, ret_len, info);
}

static VmafxErr export_http(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    VmafxErrInfo info = { 0 };
    uint8_t *body = NULL;
    size_t len = 0;
    VmafxErr err = export_body(ctx, call, &body, &len, &info);

    if (err)
        return answer_error(answer, err, &info);
    answer->content_type = "application/x-protobuf";
    answer->body = (char *)body;
    answer->len = len;
    return VMAFX_OK;
}

/* ---- both ---- */

static VmafxErr start_rpc(DevReceiver *self, const char *address, VmafxErrInfo *reterr)
{
    static const char *const paths[] = {
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    };

    for (size_t i = 0; i < VMAFX_LEN(paths); i++)
        self->methods[i] = (VmafxRpcMethod){ .path = paths[i], .unary = export_rpc, .ctx = &self->intakes[i] };
    self->methods[3] = (VmafxRpcMethod){ .path = "/vmafx.v1.Traces/GetTrace", .unary = get_trace, .ctx = self };
    return vmafx_rpc_server_start(
        &(VmafxRpcServerConfig){
            .address = address,
            .methods = self->methods,
            .n_methods = VMAFX_LEN(self->methods),
            .descriptor_set = vmafx_descriptors,
            .descriptor_set_len = vmafx_descriptors_len,
            .threads_max = THREADS,
            .message_max_bytes = BODY_MAX,
        },
        &self->rpc, reterr);
}

static VmafxErr start_http(DevReceiver *self, const char *address, VmafxErrInfo *reterr)
{
    static const char *const patterns[] = { "/v1/traces", "/v1/metrics", "/v1/logs" };

    for (size_t i = 0; i < VMAFX_LEN(patterns); i++)
        self->routes[i] = (VmafxHttpRoute){ .method = "POST",
                                            .pattern = patterns[i],
                                            .handle = export_http,
                                            .ctx = &self->intakes[i],
                                            .flags = VMAFX_HTTP_QUIET | VMAFX_HTTP_CODED };
    return vmafx_http_server_start(
        &(VmafxHttpServerConfig){
            .address = address,
            .routes = self->routes,
            .n_routes = VMAFX_LEN(self->routes),
            .threads = THREADS,
            .body_max_bytes = BODY_MAX,
            .connections_max = 64,
        },
        &self->http, reterr);
}

VmafxErr dev_receiver_start(const char *grpc, const char *http, DevReceiver **ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(dev_receiver_stop) DevReceiver *self = calloc(1, sizeof *self);

    if (!self)
        return VMAFX_ERR_NOMEM;
    for (size_t i = 0; i < VMAFX_LEN(self->intakes); i++)
        self->intakes[i] = (Intake){ self, (VmafxReceiverSignal)i };
    self->receiver = vmafx_receiver_new(NULL);
    if (!self->receiver)
        return VMAFX_ERR_NOMEM;
    VmafxErr err = start_rpc(self, grpc, reterr);
    if (!err && http)
        err = start_http(self, http, reterr);
    if (err)
        return err;
    *ret = VMAFX_TAKE(self);
    return VMAFX_OK;
}

VmafxReceiverCounts dev_receiver_counts(DevReceiver *receiver)
{
    return vmafx_receiver_counts(receiver->receiver);
}

void dev_receiver_stop(DevReceiver **receiver)
{
    DevReceiver *self = *receiver;

    if (!self)
        return;
    if (self->http)
        vmafx_http_server_stop(&self->http, STOP_GRACE_MS);
    if (self->rpc)
        vmafx_rpc_server_stop(&self->rpc, STOP_GRACE_MS);
    vmafx_receiver_free(&self->receiver);
    free(self);
    *receiver = NULL;
}
