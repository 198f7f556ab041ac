/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The HTTP door: what is asked for, in which form, and how it shall be answered.
 *
 *     POST /v1/score         application/json (ScoreRequest), or multipart/form-data: `request` (the same, may be left
 *                            out), `reference` and `distorted` (files, in place of uris)
 *     POST /v1/score/batch   application/json (ScoreBatchRequest)
 *     GET  /v1/models, GET /v1/capabilities
 */

#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/base.h"
#include "programs/server/http_internal.h"

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

static VmafxErr read_query(HttpAsked *asked, const VmafxHttpCall *call, VmafxErrInfo *reterr)
{
    const char *name, *value;

    for (size_t i = 0; vmafx_http_call_query_at(call, i, &name, &value); i++) {
        if (strcmp(name, "format") != 0 || asked->batch)
            return vmafx_fail(reterr, VMAFX_ERR_INVALID, "query '%.64s': %s", name,
                              asked->batch ? "there is none here" : "the only one is 'format'");
        if (!vmafx_report_format_find(value, &asked->format))
            return vmafx_fail(reterr, VMAFX_ERR_INVALID, "format '%.64s' is not json, ndjson, csv or xml", value);
        asked->has_format = true;
    }
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
    if (part->size > most)
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
        err = vmafx_fail(reterr, VMAFX_ERR_INVALID, "Content-Type: send application/json%s",
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
    server_who(&identity, asked->who);
    VmafxErr err = read_request(asked, call, reterr);
    if (err)
        return err;
    return asked->events ? http_answer_events(&asked, call, answer, reterr)
                         : http_answer_document(asked, call, answer, reterr);
}

static VmafxErr post_score(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    return score(ctx, false, call, answer, reterr);
}

static VmafxErr post_batch(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    return score(ctx, true, call, answer, reterr);
}

static VmafxErr answer_json(VmafxHttpAnswer *answer, const ProtobufCMessage *message)
{
    VMAFX_AUTO(vmafx_free_p) char *json = vmafx_message_json(message);

    return json ? vmafx_http_answer_text(answer, 200, "application/json", json) : VMAFX_ERR_NOMEM;
}

static VmafxErr get_models(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    ServerInfo info;

    info_fill(ctx, &info);
    return answer_json(answer, &info.models.base);
}

static VmafxErr get_capabilities(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    ServerInfo info;

    info_fill(ctx, &info);
    return answer_json(answer, &info.capabilities.base);
}

size_t http_routes(Server *server, VmafxHttpRoute *ret)
{
    static const char *const files[] = { "reference", "distorted", NULL };
    size_t n = 0;

    ret[n++] = (VmafxHttpRoute){ .method = "POST",
                                 .pattern = "/v1/score",
                                 .handle = post_score,
                                 .ctx = server,
                                 .flags = VMAFX_HTTP_PARTS,
                                 .upload_max_bytes = 2 * (uint64_t)server->limits.upload_bytes + ((uint64_t)1 << 20),
                                 .file_parts = files };
    ret[n++] = (VmafxHttpRoute){
        .method = "POST", .pattern = "/v1/score/batch", .handle = post_batch, .ctx = server, .body_max_bytes = JSON_MAX
    };
    ret[n++] = (VmafxHttpRoute){ .method = "GET", .pattern = "/v1/models", .handle = get_models, .ctx = server };
    ret[n++] =
        (VmafxHttpRoute){ .method = "GET", .pattern = "/v1/capabilities", .handle = get_capabilities, .ctx = server };
    return n;
}
