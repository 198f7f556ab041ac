/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The HTTP door: the table of routes, and what most of them do. */

#include <string.h>

#include "base/base.h"
#include "programs/controller/openapi.h"
#include "programs/controller/rest_internal.h"

/* ---- What a request may have ---- */

typedef struct Parameter {
    const char *route, *name;
    bool repeatable;
} Parameter;

static const Parameter parameters[] = {
#define list   true
#define text   false
#define number false
#define time   false
#define flag   false
#define VMAFX_REST(...)
#define VMAFX_REST_QUERY(route, parameter, type, words) { #route, parameter, type },
#define VMAFX_REST_HEADER(...)
#define VMAFX_REST_CONTENT(...)
#include "programs/controller/rest_routes.def"
#undef VMAFX_REST
#undef VMAFX_REST_QUERY
#undef VMAFX_REST_HEADER
#undef VMAFX_REST_CONTENT
#undef list
#undef text
#undef number
#undef time
#undef flag
};

static VmafxErr no_such_parameter(const RestRoute *route, const char *name, VmafxErrInfo *reterr)
{
    char known[256] = "";
    size_t len = 0;

    for (size_t i = 0; i < VMAFX_LEN(parameters) && len < sizeof known; i++)
        if (!strcmp(parameters[i].route, route->name))
            len += (size_t)snprintf(known + len, sizeof known - len, "%s%s", len ? ", " : "", parameters[i].name);
    return vmafx_fail(reterr, VMAFX_ERR_INVALID, "query: there is no parameter '%.64s' here; %s%s", name,
                      len ? "there are " : "this route takes none", known);
}

VmafxErr rest_check_query(const RestRoute *route, const VmafxHttpCall *call, VmafxErrInfo *reterr)
{
    const char *name, *value;

    for (size_t i = 0; vmafx_http_call_query_at(call, i, &name, &value); i++) {
        const Parameter *found = NULL;

        for (size_t k = 0; k < VMAFX_LEN(parameters) && !found; k++)
            if (!strcmp(parameters[k].route, route->name) && !strcmp(parameters[k].name, name))
                found = &parameters[k];
        if (!found)
            return no_such_parameter(route, name, reterr);
        if (!found->repeatable && vmafx_http_call_query(call, name) != value)
            return vmafx_fail(reterr, VMAFX_ERR_INVALID, "query: %s is given twice", name);
    }
    return VMAFX_OK;
}

VmafxErr rest_check_no_body(const VmafxHttpCall *call, VmafxErrInfo *reterr)
{
    size_t len;

    vmafx_http_call_body(call, &len);
    return len ? vmafx_fail(reterr, VMAFX_ERR_INVALID, "body: this route takes none") : VMAFX_OK;
}

/* ---- Who ---- */

static void get_header(void *carrier, const char *name, void (*each)(void *ctx, const char *value, size_t len),
                       void *ctx)
{
    const char *value = vmafx_http_call_header(carrier, name);

    if (value)
        each(ctx, value, strlen(value));
}

/** The caller's own span, whose trace the server's span goes on; NULL where that one took none from the request. */
static VmafxContext *remote_context(VmafxHttpCall *call)
{
    static const VmafxCarrierGetter getter = { get_header };
    VMAFX_AUTO(vmafx_context_unref) VmafxContext *remote = vmafx_context_extract(NULL, &getter, call);
    VmafxSpanContext server, caller;

    if (!remote || !vmafx_context_span(remote, &caller))
        return NULL;
    if (vmafx_context_span(vmafx_context_current(), &server) &&
        memcmp(server.trace_id, caller.trace_id, sizeof server.trace_id) != 0)
        return NULL;
    return VMAFX_TAKE(remote);
}

void rest_caller(VmafxHttpCall *call, Caller *ret)
{
    *ret = (Caller){ .address = vmafx_http_call_peer(call)->address };
    vmafx_service_identity(call, &ret->who);
    ret->remote = remote_context(call);
}

void rest_caller_done(Caller *caller)
{
    vmafx_context_unref(&caller->remote);
}

/* ---- Answers ---- */

VmafxErr rest_answer_json(VmafxHttpAnswer *answer, int status, char *text)
{
    if (!text)
        return VMAFX_ERR_NOMEM;
    free(answer->body);
    answer->body = text;
    answer->len = strlen(text);
    answer->status = status;
    answer->content_type = "application/json";
    return VMAFX_OK;
}

static const void *member_of(const ProtobufCMessage *message, const char *name)
{
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name);

    return field ? (const char *)message + field->offset : NULL;
}

typedef struct Answering {
    const RestRoute *route;
    VmafxHttpAnswer *answer;
} Answering;

/** A response's message as the answer that the row describes. */
static VmafxErr answer_with(void *ctx, const ProtobufCMessage *response)
{
    Answering *a = ctx;
    const ProtobufCMessage *shown = response;
    const protobuf_c_boolean *already_there = member_of(response, "already_there");
    int status = already_there && *already_there ? 200 : a->route->status;

    if (!*a->route->answer) {
        a->answer->status = status;
        return VMAFX_OK;
    }
    if (*a->route->answer != '*')
        shown = *(ProtobufCMessage *const *)member_of(response, a->route->answer);
    if (shown->descriptor == &vmafx__v1__job__descriptor && a->route->status == 201) {
        char location[64];

        snprintf(location, sizeof location, "/v1/jobs/%s", ((const Vmafx__V1__Job *)shown)->id);
        if (!vmafx_http_answer_header(a->answer, "Location", location))
            return VMAFX_ERR_NOMEM;
    }
    return rest_answer_json(a->answer, status, vmafx_message_json(shown));
}

/* ---- Requests ---- */

/** A request that is being made: the struct, and what its pointers point into. */
typedef struct Request {
    ProtobufCMessage *message;
    VmafxMessage *body;
    char *key;
    Vmafx__V1__JobSpec spec;
} Request;

static void request_done(Request *request)
{
    free(request->message);
    free(request->key);
    vmafx_message_free(&request->body);
}

static VmafxErr wrong_type(VmafxHttpCall *call, VmafxHttpAnswer *answer)
{
    const char *type = vmafx_http_call_header(call, "Content-Type");
    VMAFX_AUTO(vmafx_free_p)
    char *detail = vmafx_sprintf("Content-Type: '%.64s'; send the JSON as application/json", type ? type : "");

    return detail ? vmafx_http_answer_problem(answer, 415, detail) : VMAFX_ERR_NOMEM;
}

/** The body into the request. What is refused with an answer sets its status. */
static VmafxErr read_body(const RestRoute *route, const ApiMethod *method, VmafxHttpCall *call, Request *request,
                          VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    bool whole = *route->body == '*' || *route->body == '+';
    const ProtobufCMessageDescriptor *type = method->request;
    size_t len;
    const char *text = vmafx_http_call_body(call, &len);

    if (!*route->body)
        return rest_check_no_body(call, reterr);
    if (!len && *route->body == '*')
        return VMAFX_OK;
    if (!len)
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "body: missing; this route takes a JSON object");
    if (!rest_is_json(vmafx_http_call_header(call, "Content-Type")))
        return wrong_type(call, answer);
    if (!whole)
        type = protobuf_c_message_descriptor_get_field_by_name(type, route->body)->descriptor;
    VmafxErr err =
        vmafx_message_from_json(type, text, len, method->budget, whole ? "" : route->body, &request->body, reterr);
    if (err)
        return err;
    if (whole)
        memcpy(request->message, vmafx_message_get(request->body), type->sizeof_message);
    else
        *(const void **)(uintptr_t)member_of(request->message, route->body) = vmafx_message_get(request->body);
    return VMAFX_OK;
}

/** {id} of the pattern is the member id; a body may not say another one. */
static VmafxErr read_params(const ApiMethod *method, VmafxHttpCall *call, Request *request, VmafxErrInfo *reterr)
{
    static const char *const names[] = { "id", "name" };

    for (size_t i = 0; i < VMAFX_LEN(names); i++) {
        const char *value = vmafx_http_call_param(call, names[i]);

        if (!value)
            continue;
        char **to = (char **)(uintptr_t)member_of(request->message, names[i]);
        if (**to)
            return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "%s: stands in the path; leave it out of the body", names[i]);
        *to = (char *)value; /* lives as long as the call */
    }
    return VMAFX_OK;
}

/** The header's text; draft-ietf-httpapi-idempotency-key has it in quotes, others send it bare. */
static VmafxErr key_of(const char *header, char **ret, VmafxErrInfo *reterr)
{
    size_t len = strlen(header);
    bool quoted = len >= 2 && header[0] == '"' && header[len - 1] == '"';

    for (size_t i = 0; i < len; i++)
        if (header[i] < ' ' || header[i] > '~' || (quoted && i && i < len - 1 && strchr("\"\\", header[i])))
            return vmafx_fail(reterr, VMAFX_ERR_INVALID, "Idempotency-Key: only printable ASCII goes into a header");
    if (len == (quoted ? 2u : 0u))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "Idempotency-Key: empty; leave it out for none");
    *ret = vmafx_sprintf("%.*s", (int)(quoted ? len - 2 : len), header + quoted);
    return *ret ? VMAFX_OK : VMAFX_ERR_NOMEM;
}

static VmafxErr read_key(const RestRoute *route, VmafxHttpCall *call, Request *request, VmafxErrInfo *reterr)
{
    const char *header = vmafx_http_call_header(call, "Idempotency-Key");

    if (!header || !strcmp(route->method, "GET"))
        return VMAFX_OK;
    if (request->message->descriptor != &vmafx__v1__submit_job_request__descriptor)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                          "Idempotency-Key: is for POST /v1/jobs; in a batch each job has its own idempotency_key");
    Vmafx__V1__SubmitJobRequest *submit = (Vmafx__V1__SubmitJobRequest *)request->message;
    VmafxErr err = key_of(header, &request->key, reterr);
    if (err)
        return err;
    if (*submit->job->idempotency_key && strcmp(submit->job->idempotency_key, request->key) != 0)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                          "Idempotency-Key: '%.64s' is not job.idempotency_key, which is '%.64s'; give one of them",
                          request->key, submit->job->idempotency_key);
    request->spec = *submit->job;
    request->spec.idempotency_key = request->key;
    submit->job = &request->spec;
    return VMAFX_OK;
}

static VmafxErr rest_plain(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    const RestBinding *binding = ctx;
    const RestRoute *route = binding->route;
    const ApiMethod *method = api_find(binding->rest->api, route->rpc);
    VMAFX_AUTO(rest_caller_done) Caller caller = { 0 };
    VMAFX_AUTO(request_done) Request request = { .message = calloc(1, method->request->sizeof_message) };
    Answering answering = { route, answer };
    int untouched = answer->status;
    VmafxErr err = request.message ? rest_check_query(route, call, reterr) : VMAFX_ERR_NOMEM;

    if (err)
        return err;
    rest_caller(call, &caller);
    method->request->message_init(request.message);
    err = read_body(route, method, call, &request, answer, reterr);
    if (err || answer->status != untouched)
        return err;
    err = read_params(method, call, &request, reterr);
    if (!err)
        err = read_key(route, call, &request, reterr);
    if (err)
        return err;
    return method->run(method->ctx, &(ApiCall){ .caller = caller, .answer = answer_with, .ctx = &answering },
                       request.message, reterr);
}

static VmafxErr rest_openapi(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    const RestBinding *binding = ctx;
    VmafxErr err = rest_check_query(binding->route, call, reterr);

    if (!err)
        err = rest_check_no_body(call, reterr);
    if (err)
        return err;
    return rest_answer_json(answer, 200, vmafx_sprintf("%.*s", (int)vmafx_openapi_len, (const char *)vmafx_openapi));
}

/* ---- The table ---- */

static const RestRoute table[] = {
#define VMAFX_REST(name, kind, method, pattern, rpc, body, answer, status, summary)                                    \
    { #name, method, pattern, rpc, body, answer, status, rest_##kind },
#define VMAFX_REST_QUERY(...)
#define VMAFX_REST_HEADER(...)
#define VMAFX_REST_CONTENT(...)
#include "programs/controller/rest_routes.def"
};
_Static_assert(VMAFX_LEN(table) <= REST_ROUTES_MAX, "REST_ROUTES_MAX");

const VmafxHttpRoute *rest_routes(Rest *rest, size_t *ret_n)
{
    for (size_t i = 0; i < VMAFX_LEN(table); i++) {
        rest->bindings[i] = (RestBinding){ rest, &table[i] };
        rest->routes[i] = (VmafxHttpRoute){
            .method = table[i].method,
            .pattern = table[i].pattern,
            .handle = table[i].handle,
            .ctx = &rest->bindings[i],
            .body_max_bytes = *table[i].body == '+' ? REST_BATCH_MAX : REST_BODY_MAX,
            .flags = *table[i].body == '<' ? VMAFX_HTTP_FILE_BODY | VMAFX_HTTP_SHA256 : 0,
            .upload_max_bytes = rest->upload_max_bytes,
        };
    }
    *ret_n = VMAFX_LEN(table);
    return rest->routes;
}
