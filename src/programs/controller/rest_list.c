/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* GET /v1/jobs: a query as a ListJobsRequest, and the way to the next page in the answer's headers. */

#include <errno.h>
#include <string.h>

#include "base/base.h"
#include "programs/controller/rest_internal.h"
#include "rpc/spec_check.h"

#define STATES_MAX 16

/** A ListJobsRequest that is being made of a query. */
typedef struct Query {
    Vmafx__V1__ListJobsRequest message;
    Vmafx__V1__JobState states[STATES_MAX];
    Vmafx__V1__KeyValue labels[VMAFX_SPEC_LABELS_MAX], *label_list[VMAFX_SPEC_LABELS_MAX];
    char *keys[VMAFX_SPEC_LABELS_MAX];
} Query;

static void query_done(Query *query)
{
    for (size_t i = 0; i < query->message.n_labels; i++)
        free(query->keys[i]);
}

/** "queued,running", as the command line has them, or as the enum. */
static VmafxErr take_states(Query *query, const char *text, VmafxErrInfo *reterr)
{
    static const char prefix[] = "JOB_STATE_";

    while (true) {
        size_t len = strcspn(text, ",");
        char word[32] = "";

        if (len < sizeof word)
            memcpy(word, text, len);
        const ProtobufCEnumValue *named =
            protobuf_c_enum_descriptor_get_value_by_name(&vmafx__v1__job_state__descriptor, word);
        int state = named && named->value && !strncmp(word, prefix, sizeof prefix - 1)
                        ? named->value
                        : (int)vmafx_job_state_find(word);
        if (!state)
            return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                              "state: '%.*s' is none; there are queued, running, succeeded, failed and cancelled",
                              (int)VMAFX_MIN(len, (size_t)31), text);
        if (query->message.n_states == STATES_MAX)
            return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "state: more than %d of them", STATES_MAX);
        query->states[query->message.n_states++] = (Vmafx__V1__JobState)state;
        if (!text[len])
            return VMAFX_OK;
        text += len + 1;
    }
}

static VmafxErr take_label(Query *query, const char *text, VmafxErrInfo *reterr)
{
    const char *equals = strchr(text, '=');
    size_t n = query->message.n_labels;

    if (!equals || equals == text)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "label: '%.64s' is not KEY=VALUE", text);
    if (n == VMAFX_SPEC_LABELS_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "label: more than %d of them", VMAFX_SPEC_LABELS_MAX);
    if (equals - text > VMAFX_SPEC_LABEL_KEY_MAX || strlen(equals + 1) > VMAFX_SPEC_VALUE_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "label: a key has up to %d bytes, a value up to %d",
                          VMAFX_SPEC_LABEL_KEY_MAX, VMAFX_SPEC_VALUE_MAX);
    query->keys[n] = vmafx_sprintf("%.*s", (int)(equals - text), text);
    if (!query->keys[n])
        return VMAFX_ERR_NOMEM;
    vmafx__v1__key_value__init(&query->labels[n]);
    query->labels[n].key = query->keys[n];
    query->labels[n].value = (char *)equals + 1;
    query->label_list[n] = &query->labels[n];
    query->message.n_labels = n + 1;
    return VMAFX_OK;
}

static VmafxErr take_page_size(const char *text, int32_t *ret, VmafxErrInfo *reterr)
{
    size_t len = strspn(text, "0123456789");

    if (!len || len > 4 || text[len] || !(*ret = (int32_t)strtol(text, NULL, 10)))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "page_size: '%.32s' is no number within 1 and 1000", text);
    return VMAFX_OK; /* what is above, the list itself refuses */
}

static VmafxErr take(Query *query, const char *name, const char *value, VmafxErrInfo *reterr)
{
    Vmafx__V1__ListJobsRequest *m = &query->message;

    if (!strcmp(name, "state"))
        return take_states(query, value, reterr);
    if (!strcmp(name, "label"))
        return take_label(query, value, reterr);
    if (!strcmp(name, "created_from"))
        return rest_time(name, value, &m->created_from_unix_us, reterr);
    if (!strcmp(name, "created_before"))
        return rest_time(name, value, &m->created_before_unix_us, reterr);
    if (!strcmp(name, "page_size"))
        return take_page_size(value, &m->page_size, reterr);
    if (!*value)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "%s: empty; leave it out for none", name);
    *(strcmp(name, "submitter") ? &m->page_token : &m->submitter) = (char *)value;
    return VMAFX_OK;
}

/** The same query with another token: `</v1/jobs?…>; rel="next"` (RFC 8288). NULL: no memory. */
static char *next_link(const VmafxHttpCall *call, const char *token)
{
    const char *name, *value;
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        return NULL;
    fputs("</v1/jobs?", out);
    for (size_t i = 0; vmafx_http_call_query_at(call, i, &name, &value); i++) {
        if (!strcmp(name, "page_token"))
            continue;
        rest_put_escaped(out, name);
        fputc('=', out);
        rest_put_escaped(out, value);
        fputc('&', out);
    }
    fprintf(out, "page_token=%s>; rel=\"next\"", token);
    if (ferror(out) + fclose(out)) {
        free(text);
        return NULL;
    }
    return text;
}

typedef struct Answering {
    const VmafxHttpCall *call;
    VmafxHttpAnswer *answer;
} Answering;

static VmafxErr answer_page(void *ctx, const ProtobufCMessage *message)
{
    Answering *a = ctx;
    const Vmafx__V1__ListJobsResponse *response = (const Vmafx__V1__ListJobsResponse *)message;

    if (*response->next_page_token) {
        VMAFX_AUTO(vmafx_free_p) char *link = next_link(a->call, response->next_page_token);
        if (!link || !vmafx_http_answer_header(a->answer, "Link", link))
            return VMAFX_ERR_NOMEM;
    }
    return rest_answer_json(a->answer, 200, vmafx_message_json(message));
}

VmafxErr rest_list(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    const RestBinding *binding = ctx;
    const ApiMethod *method = api_find(binding->rest->api, binding->route->rpc);
    VMAFX_AUTO(rest_caller_done) Caller caller = { 0 };
    VMAFX_AUTO(query_done) Query query = { 0 };
    Answering answering = { call, answer };
    const char *name, *value;
    VmafxErr err = rest_check_query(binding->route, call, reterr);

    rest_caller(call, &caller);
    vmafx__v1__list_jobs_request__init(&query.message);
    query.message.states = query.states;
    query.message.labels = query.label_list;
    if (!err)
        err = rest_check_no_body(call, reterr);
    for (size_t i = 0; !err && vmafx_http_call_query_at(call, i, &name, &value); i++)
        err = take(&query, name, value, reterr);
    if (err)
        return err;
    return method->run(method->ctx, &(ApiCall){ .caller = caller, .answer = answer_page, .ctx = &answering },
                       &query.message, reterr);
}
