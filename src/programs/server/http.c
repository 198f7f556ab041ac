/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The HTTP door, by rest_routes.def: what is asked for, in which form, and how it shall be answered. */

#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/base.h"
#include "programs/server/http_internal.h"
#include "programs/server/openapi.h"

#define JSON_MAX ((size_t)8 << 20) /* of a batch; one request is far below */

void http_asked_done(HttpAsked *asked)
{
    for (int i = 0; i < 2; i++)
        if (asked->fds[i] >= 0)
            close(asked->fds[i]);
    vmafx_message_free(&asked->message);
}

VmafxErr http_begin(HttpAsked *asked, bool live, const BatchSink *sink, VmafxContext *context, Batch **ret,
                    VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    uint32_t retry_ms = 0;
    int fds[2] = { asked->fds[0], asked->fds[1] };

    asked->fds[0] = asked->fds[1] = -1;
    VmafxErr err = batch_start(asked->server,
                               &(BatchStart){ .requests = asked->requests,
                                              .n = asked->n,
                                              .one = !asked->batch,
                                              .who = asked->who,
                                              .context = context,
                                              .fds = { fds[0], fds[1] },
                                              .names = { asked->names[0], asked->names[1] },
                                              .live = live,
                                              .keep_frames = !live,
                                              .sink = *sink },
                               ret, &retry_ms, reterr);
    if (err == VMAFX_ERR_BUSY)
        vmafx_http_answer_retry_after(answer, (retry_ms + 999) / 1000);
    return err;
}

/* ---- what is asked for ---- */

/* Does a list of media types name this one? Weights are not looked at: who names it wants it. */
static bool accepts(const VmafxHttpCall *call, const char *type)
{
    const char *accept = vmafx_http_call_header(call, "Accept");
    size_t len = strlen(type);

    for (const char *at = accept; at && *at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        at += strspn(at, " \t");
        if (!strncasecmp(at, type, len) && strchr(" \t;,", at[len])) /* the end of the text counts too */
            return true;
    }
    return false;
}

static bool is_type(const VmafxHttpCall *call, const char *type)
{
    const char *given = vmafx_http_call_header(call, "Content-Type");
    size_t len = strlen(type);

    return given && !strncasecmp(given, type, len) && strchr(" \t;", given[len]);
}

/** Only parameters that the route's rows name, each once. */
static VmafxErr check_query(const char *route, const VmafxHttpCall *call, VmafxErrInfo *reterr)
{
    static const struct {
        const char *route, *name;
    } parameters[] = {
#define VMAFX_REST(...)
#define VMAFX_REST_PART(...)
#define VMAFX_REST_QUERY(route, parameter, type, words) { #route, parameter },
#define VMAFX_REST_HEADER(...)
#define VMAFX_REST_CONTENT(...)
#include "programs/server/rest_routes.def"
#undef VMAFX_REST
#undef VMAFX_REST_PART
#undef VMAFX_REST_QUERY
#undef VMAFX_REST_HEADER
#undef VMAFX_REST_CONTENT
    };
    const char *name, *value;

    for (size_t i = 0; vmafx_http_call_query_at(call, i, &name, &value); i++) {
        const char *takes = NULL; /* the last of its parameters */
        bool known = false;

        for (size_t k = 0; k < VMAFX_LEN(parameters); k++) {
            if (strcmp(parameters[k].route, route) != 0)
                continue;
            takes = parameters[k].name;
            known = known || !strcmp(name, takes);
        }
        if (!known)
            return vmafx_fail(reterr, VMAFX_ERR_INVALID, "query '%.64s': %s%s%s", name,
                              takes ? "the only one is '" : "there is none here", takes ? takes : "", takes ? "'" : "");
        if (vmafx_http_call_query(call, name) != value)
            return vmafx_fail(reterr, VMAFX_ERR_INVALID, "query '%.64s': is given twice", name);
    }
    return VMAFX_OK;
}

static VmafxErr read_query(HttpAsked *asked, const VmafxHttpCall *call, VmafxErrInfo *reterr)
{
    VmafxErr err = check_query(asked->batch ? "batch" : "score", call, reterr);
    const char *format = err ? NULL : vmafx_http_call_query(call, "format");

    if (err)
        return err;
    if (format && !vmafx_report_format_find(format, &asked->format))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "format '%.64s' is not json, ndjson, csv or xml", format);
    asked->has_format = format != NULL;
    asked->events = accepts(call, "text/event-stream");
    if (asked->events && asked->has_format)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                          "format is of a document, and Accept asks for an event stream: leave one of them out");
    return VMAFX_OK;
}

static VmafxErr read_json(HttpAsked *asked, const char *text, size_t len, VmafxErrInfo *reterr)
{
    VmafxErr err = vmafx_message_from_json(asked->batch ? &vmafx__v1__score_batch_request__descriptor
                                                        : &vmafx__v1__score_request__descriptor,
                                           text, len, 0, asked->batch ? "batch" : "request", &asked->message, reterr);

    if (!err && !asked->batch)
        asked->single = *(const Vmafx__V1__ScoreRequest *)vmafx_message_get(asked->message);
    return err;
}

static VmafxErr take_file(HttpAsked *asked, int i, VmafxHttpPart *part, VmafxErrInfo *reterr)
{
    int64_t most = asked->server->limits.upload_bytes;

    if (asked->fds[i] >= 0)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "%s: is there twice", part->name);
    asked->status = part->size > most ? 413 : 0;
    if (asked->status)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT,
                          "%s: %" PRId64 " bytes, and this server takes at most %" PRId64 " of a video", part->name,
                          part->size, most);
    asked->fds[i] = vmafx_http_part_take_fd(part);
    if (asked->fds[i] < 0)
        return vmafx_fail(reterr, VMAFX_ERR_INTERNAL, "%s: the uploaded file is not there", part->name);
    snprintf(asked->names[i], sizeof asked->names[i], "%s", part->filename ? part->filename : "");
    return VMAFX_OK;
}

static VmafxErr read_parts(HttpAsked *asked, VmafxHttpCall *call, VmafxErrInfo *reterr)
{
    size_t n;
    VmafxHttpPart *parts = vmafx_http_call_parts(call, &n);
    VmafxErr err = VMAFX_OK;

    for (size_t i = 0; i < n && !err; i++) {
        if (!strcmp(parts[i].name, "reference"))
            err = take_file(asked, 0, &parts[i], reterr);
        else if (!strcmp(parts[i].name, "distorted"))
            err = take_file(asked, 1, &parts[i], reterr);
        else if (strcmp(parts[i].name, "request") != 0)
            err = vmafx_fail(reterr, VMAFX_ERR_INVALID, "part '%.64s': the parts are request, reference and distorted",
                             parts[i].name);
        else if (asked->message)
            err = vmafx_fail(reterr, VMAFX_ERR_INVALID, "request: is there twice");
        else if (!parts[i].data)
            err = vmafx_fail(reterr, VMAFX_ERR_INVALID, "request: is JSON, and not a file");
        else
            err = read_json(asked, parts[i].data, (size_t)parts[i].size, reterr);
    }
    const Vmafx__V1__Input *inputs[] = { asked->single.reference, asked->single.distorted };
    for (int i = 0; i < 2 && !err; i++)
        if (asked->fds[i] >= 0 && inputs[i] && *inputs[i]->uri)
            err = vmafx_fail(reterr, VMAFX_ERR_INVALID, "request.%s.uri: there is a file of it too; leave one out",
                             i ? "distorted" : "reference");
    return err;
}

static VmafxErr read_request(HttpAsked *asked, VmafxHttpCall *call, VmafxErrInfo *reterr)
{
    VmafxErr err = read_query(asked, call, reterr);
    size_t n, len;

    if (err)
        return err;
    if (!asked->batch && vmafx_http_call_parts(call, &n)) {
        err = read_parts(asked, call, reterr);
    } else if (is_type(call, "application/json")) {
        const char *text = vmafx_http_call_body(call, &len);
        err = read_json(asked, text, len, reterr);
    } else {
        asked->status = 415;
        err = vmafx_fail(reterr, VMAFX_ERR_UNSUPPORTED, "Content-Type: send application/json%s",
                         asked->batch ? "" : ", or multipart/form-data with the parts reference and distorted");
    }
    if (err)
        return err;
    if (asked->batch) {
        const Vmafx__V1__ScoreBatchRequest *batch = vmafx_message_get(asked->message);
        asked->requests = batch->pairs;
        asked->n = batch->n_pairs;
    } else {
        asked->single.frames |= asked->has_format; /* a report is made of them */
        asked->one[0] = &asked->single;
        asked->requests = asked->one;
        asked->n = 1;
    }
    if (!asked->n || asked->n > SERVER_PAIRS_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "batch.pairs: %zu of them, a call has 1 … %d", asked->n,
                          SERVER_PAIRS_MAX);
    return VMAFX_OK;
}

/* ---- routes ---- */

static void asked_free(HttpAsked **at)
{
    HttpAsked *asked = VMAFX_TAKE(*at);

    if (asked)
        http_asked_done(asked);
    free(asked);
}

static VmafxErr score(Server *server, bool batch, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(asked_free) HttpAsked *asked = calloc(1, sizeof *asked);
    VmafxIdentity identity = { 0 };

    if (!asked)
        return VMAFX_ERR_NOMEM;
    asked->server = server;
    asked->batch = batch;
    asked->fds[0] = asked->fds[1] = -1;
    vmafx__v1__score_request__init(&asked->single);
    vmafx_service_identity(call, &identity);
    server_who(server, &identity, asked->who);
    VmafxErr err = read_request(asked, call, reterr);
    if (err && asked->status)
        return vmafx_http_answer_problem(answer, asked->status, reterr->message);
    if (err)
        return err;
    return asked->events ? http_answer_events(&asked, call, answer, reterr)
                         : http_answer_document(asked, call, answer, reterr);
}

static VmafxErr rest_score(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    return score(ctx, false, call, answer, reterr);
}

static VmafxErr rest_batch(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    return score(ctx, true, call, answer, reterr);
}

/** Of a route that takes neither parameters nor a body. */
static VmafxErr check_bare(const char *route, const VmafxHttpCall *call, VmafxErrInfo *reterr)
{
    size_t len;

    vmafx_http_call_body(call, &len);
    return len ? vmafx_fail(reterr, VMAFX_ERR_INVALID, "body: this route takes none")
               : check_query(route, call, reterr);
}

static VmafxErr answer_json(VmafxHttpAnswer *answer, const ProtobufCMessage *message)
{
    VMAFX_AUTO(vmafx_free_p) char *json = vmafx_message_json(message);

    return json ? vmafx_http_answer_text(answer, 200, "application/json", json) : VMAFX_ERR_NOMEM;
}

static VmafxErr rest_models(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    VmafxErr err = check_bare("models", call, reterr);
    ServerInfo info;

    if (err)
        return err;
    info_fill(ctx, &info);
    return answer_json(answer, &info.models.base);
}

static VmafxErr rest_capabilities(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    VmafxErr err = check_bare("capabilities", call, reterr);
    ServerInfo info;

    if (err)
        return err;
    info_fill(ctx, &info);
    return answer_json(answer, &info.capabilities.base);
}

static VmafxErr rest_openapi(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    VmafxErr err = check_bare("openapi", call, reterr);

    if (err)
        return err;
    VMAFX_AUTO(vmafx_free_p)
    char *text = vmafx_sprintf("%.*s", (int)vmafx_server_openapi_len, (const char *)vmafx_server_openapi);
    return text ? vmafx_http_answer_text(answer, 200, "application/json", text) : VMAFX_ERR_NOMEM;
}

/* ---- The table ---- */

static const struct {
    const char *method, *pattern;
    VmafxErr (*handle)(void *server, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr);
    bool takes_body;
} table[] = {
#define VMAFX_REST(name, kind, method, pattern, rpc, body, answer, status, summary)                                    \
    { method, pattern, rest_##kind, sizeof(body) > 1 },
#define VMAFX_REST_PART(...)
#define VMAFX_REST_QUERY(...)
#define VMAFX_REST_HEADER(...)
#define VMAFX_REST_CONTENT(...)
#include "programs/server/rest_routes.def"
};
_Static_assert(VMAFX_LEN(table) <= SERVER_ROUTES_MAX, "SERVER_ROUTES_MAX");

static const char *const file_parts[] = {
#define file(name) name,
#define json(name)
#undef VMAFX_REST
#undef VMAFX_REST_PART
#define VMAFX_REST(...)
#define VMAFX_REST_PART(route, part, type, words) type(part)
#include "programs/server/rest_routes.def"
#undef file
#undef json
    NULL
};

size_t http_routes(Server *server, VmafxHttpRoute *ret)
{
    uint64_t form_bytes = 2 * (uint64_t)server->limits.upload_bytes + ((uint64_t)1 << 20);

    for (size_t i = 0; i < VMAFX_LEN(table); i++) {
        bool form = table[i].handle == rest_score;

        ret[i] = (VmafxHttpRoute){ .method = table[i].method,
                                   .pattern = table[i].pattern,
                                   .handle = table[i].handle,
                                   .ctx = server,
                                   .flags = form ? VMAFX_HTTP_PARTS : 0,
                                   .upload_max_bytes = form ? form_bytes : 0,
                                   .file_parts = form ? file_parts : NULL,
                                   .body_max_bytes = table[i].takes_body && !form ? JSON_MAX : 0 };
    }
    return VMAFX_LEN(table);
}
