/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Results as resources, prompts, and completion of their arguments. */

#include "programs/mcp/resources.h"

#include <string.h>

#include "base/base.h"
#include "programs/mcp/document.h"
#include "report/stored.h"

#define LISTED_MAX     25  /* jobs */
#define COMPLETION_MAX 100 /* the protocol's limit */
#define PROMPT_MAX     16384

static const char jobs_prefix[] = "vmafx://jobs/";

bool resource_parse(const char *uri, char ret_id[JOB_ID_TEXT], bool *ret_frames)
{
    const char *id = uri + sizeof jobs_prefix - 1;

    if (strncmp(uri, jobs_prefix, sizeof jobs_prefix - 1) != 0 || strlen(id) <= JOB_ID_TEXT - 1)
        return false;
    memcpy(ret_id, id, JOB_ID_TEXT - 1);
    ret_id[JOB_ID_TEXT - 1] = 0;
    if (strspn(ret_id, "0123456789abcdefABCDEF-") != JOB_ID_TEXT - 1)
        return false;
    *ret_frames = !strcmp(id + JOB_ID_TEXT - 1, "/frames.csv");
    return *ret_frames || !strcmp(id + JOB_ID_TEXT - 1, "/result");
}

/* ---- Listing ---- */

static void add(json_t *resources, const JobView *job, bool frames)
{
    char uri[sizeof jobs_prefix + 64], name[64], title[JOB_URI_MAX + 64];

    snprintf(uri, sizeof uri, "%s%s/%s", jobs_prefix, job->id, frames ? "frames.csv" : "result");
    snprintf(name, sizeof name, "job-%s-%s", job->id, frames ? "frames" : "result");
    snprintf(title, sizeof title, "%s of %s", frames ? "Frames" : "Result", job->distorted);
    VMAFX_IGNORE(json_array_append_new(
        resources, json_pack("{s:s, s:s, s:s, s:s}", "uri", uri, "name", name, "title", title, "mimeType",
                             frames ? "text/csv" : "application/json"))); /* without memory one is missing */
}

VmafxErr resources_list(Call *call, json_t **ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(job_list_done) JobList list = { 0 };
    JobListQuery query = { .limit = LISTED_MAX };
    Backend *b = call->program->backend;
    VmafxErr err = b->ops->list(b, &query, &list, reterr);
    json_t *resources = json_array();

    for (size_t i = 0; i < list.n; i++)
        if (list.jobs[i].has_result) {
            add(resources, &list.jobs[i], false);
            add(resources, &list.jobs[i], true);
        }
    *ret = err ? NULL : json_pack("{s:O}", "resources", resources);
    json_decref(resources);
    return err;
}

/* ---- Reading ---- */

static VmafxErr too_large(const char *id, size_t size, VmafxErrInfo *reterr)
{
    return vmafx_fail(
        reterr, VMAFX_ERR_LIMIT,
        "the resource has %zu bytes, more than the %zu that are sent. Use job_result and worst_frames, or "
        "`vmafx result %s --output FILE` where there is a controller",
        size, MCP_ANSWER_MAX, id);
}

static VmafxErr csv_of(const JobResult *result, char **ret, size_t *ret_len)
{
    VMAFX_AUTO(vmafx_stored_report_done) VmafxStoredReport report = { 0 };
    VMAFX_AUTO(vmafx_free_p) const double **columns = calloc(result->n_columns + 1, sizeof *columns);
    char *text = NULL;

    if (!columns)
        return VMAFX_ERR_NOMEM;
    for (size_t c = 0; c < result->n_columns; c++)
        columns[c] = result->values + c * result->n_rows;
    VmafxErr err = vmafx_stored_report_init(&report, result->summary, columns, result->n_columns, result->n_rows);
    FILE *out = err ? NULL : open_memstream(&text, ret_len);
    if (!err)
        err = out ? vmafx_report_write(out, VMAFX_REPORT_CSV, &report.data) : VMAFX_ERR_NOMEM;
    if (out && fclose(out) && !err)
        err = VMAFX_ERR_NOMEM;
    if (err)
        free(text);
    else
        *ret = text;
    return err;
}

VmafxErr resources_read(Call *call, const char *uri, json_t **ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(job_result_done) JobResult result = { 0 };
    VMAFX_AUTO(vmafx_free_p) char *text = NULL;
    Backend *b = call->program->backend;
    size_t len = 0;
    bool frames;

    if (!resource_parse(uri, call->job_id, &frames))
        return vmafx_fail(reterr, VMAFX_ERR_NOT_FOUND,
                          "there is no resource '%.120s'; there are vmafx://jobs/{job_id}/result and .../frames.csv",
                          uri);
    VmafxErr err = b->ops->result(b, call->job_id, frames, &result, reterr);
    if (err)
        return err;
    if (frames)
        err = csv_of(&result, &text, &len);
    else {
        text = vmafx_message_json(&result.summary->base);
        len = text ? strlen(text) : 0;
        err = text ? VMAFX_OK : VMAFX_ERR_NOMEM;
    }
    if (!err && len > MCP_ANSWER_MAX)
        err = too_large(call->job_id, len, reterr);
    if (err)
        return err;
    *ret = json_pack("{s:[{s:s, s:s, s:s}]}", "contents", "uri", uri, "mimeType",
                     frames ? "text/csv" : "application/json", "text", text);
    return *ret ? VMAFX_OK : VMAFX_ERR_NOMEM;
}

/* ---- Prompts ---- */

static const char *otherwise(const char *prompt, const char *argument)
{
    if (!strcmp(argument, "purpose"))
        return "TV";
    if (!strcmp(argument, "target"))
        return "93";
    return "(not given)";
}

/** The text with each {argument} replaced. */
static VmafxErr fill(const json_t *prompt, const json_t *arguments, char **ret)
{
    const char *at = json_string_value(json_object_get(prompt, "text"));
    const char *name = json_string_value(json_object_get(prompt, "name"));
    char *text = NULL, key[64];
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return VMAFX_ERR_NOMEM;
    while (*at) {
        size_t n = *at == '{' ? strcspn(at, "}") : 0;
        if (n > 1 && at[n] && n < sizeof key) {
            snprintf(key, sizeof key, "%.*s", (int)n - 1, at + 1);
            const char *value = json_string_value(json_object_get(arguments, key));
            fputs(value && *value ? value : otherwise(name, key), out);
            at += n + 1;
        } else
            fputc(*at++, out);
    }
    if (fclose(out))
        return VMAFX_ERR_NOMEM;
    *ret = text;
    return VMAFX_OK;
}

static VmafxErr check_arguments(const json_t *prompt, json_t *arguments, VmafxErrInfo *reterr)
{
    const json_t *wanted;
    const char *key;
    json_t *value;
    size_t i, total = 0;

    if (arguments && !json_is_object(arguments))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "params.arguments must be an object");
    json_object_foreach(arguments, key, value)
    {
        if (!json_is_string(value))
            return vmafx_fail(reterr, VMAFX_ERR_INVALID, "params.arguments.%.64s must be a text", key);
        total += json_string_length(value);
    }
    if (total > PROMPT_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "the arguments have more than %d bytes", PROMPT_MAX);
    json_array_foreach(json_object_get(prompt, "arguments"), i, wanted)
    {
        const char *name = json_string_value(json_object_get(wanted, "name"));
        if (json_is_true(json_object_get(wanted, "required")) && !json_object_get(arguments, name))
            return vmafx_fail(reterr, VMAFX_ERR_INVALID, "params.arguments.%s is missing", name);
    }
    return VMAFX_OK;
}

VmafxErr prompt_get(Call *call, const char *name, const json_t *arguments, json_t **ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_free_p) char *text = NULL;
    const json_t *prompt = name ? catalogue_prompt(&call->program->catalogue, name) : NULL;

    if (!prompt)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "there is no prompt '%.64s'; prompts/list has them",
                          name ? name : "");
    VmafxErr err = check_arguments(prompt, (json_t *)arguments, reterr);
    if (!err)
        err = fill(prompt, arguments, &text);
    if (err)
        return err;
    *ret = json_pack("{s:O, s:[{s:s, s:{s:s, s:s}}]}", "description", json_object_get(prompt, "description"),
                     "messages", "role", "user", "content", "type", "text", "text", text);
    return *ret ? VMAFX_OK : VMAFX_ERR_NOMEM;
}

/* ---- Completion ---- */

static void offer(json_t *values, const char *value, const char *begun)
{
    if (!strncmp(value, begun, strlen(begun)) && json_array_size(values) < COMPLETION_MAX)
        VMAFX_IGNORE(json_array_append_new(values, json_string(value))); /* without memory one is missing */
}

static VmafxErr offer_jobs(Call *call, const char *begun, json_t *values, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(job_list_done) JobList list = { 0 };
    JobListQuery query = { .limit = COMPLETION_MAX };
    Backend *b = call->program->backend;
    VmafxErr err = b->ops->list(b, &query, &list, reterr);

    for (size_t i = 0; i < list.n; i++)
        offer(values, list.jobs[i].id, begun);
    return err;
}

VmafxErr complete(Call *call, const json_t *params, json_t **ret, VmafxErrInfo *reterr)
{
    static const char *const purposes[] = { "TV", "4K TV", "phone", "archive" };
    const json_t *ref = json_object_get(params, "ref"), *argument = json_object_get(params, "argument");
    const char *name = json_string_value(json_object_get(argument, "name"));
    const char *begun = json_string_value(json_object_get(argument, "value"));
    const char *type = json_string_value(json_object_get(ref, "type"));
    VmafxErr err = VMAFX_OK;

    if (!name || !begun || !type || (strcmp(type, "ref/prompt") != 0 && strcmp(type, "ref/resource") != 0))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                          "params.ref.type must be ref/prompt or ref/resource, params.argument have name and value");
    json_t *values = json_array();
    if (!strcmp(name, "job_id"))
        err = offer_jobs(call, begun, values, reterr);
    for (size_t i = 0; !strcmp(name, "purpose") && i < VMAFX_LEN(purposes); i++)
        offer(values, purposes[i], begun);
    if (err) {
        json_decref(values);
        return err;
    }
    *ret = json_pack("{s:{s:o, s:i, s:b}}", "completion", "values", values, "total", (int)json_array_size(values),
                     "hasMore", 0);
    return *ret ? VMAFX_OK : VMAFX_ERR_NOMEM;
}
