/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Answers and problems (RFC 9457), without a JSON library: this is all the JSON there is here. */

#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "http/server_internal.h"

#define DETAIL_MAX 2048 /* bytes of a detail; more is cut */

static const struct {
    int status;
    const char *title;
} titles[] = {
    { 400, "Bad Request" },
    { 401, "Unauthorized" },
    { 403, "Forbidden" },
    { 404, "Not Found" },
    { 405, "Method Not Allowed" },
    { 406, "Not Acceptable" },
    { 408, "Request Timeout" },
    { 409, "Conflict" },
    { 411, "Length Required" },
    { 413, "Content Too Large" },
    { 415, "Unsupported Media Type" },
    { 422, "Unprocessable Content" },
    { 429, "Too Many Requests" },
    { 499, "Client Closed Request" },
    { 500, "Internal Server Error" },
    { 501, "Not Implemented" },
    { 503, "Service Unavailable" },
    { 504, "Gateway Timeout" },
};

static const char *title_of(int status)
{
    for (size_t i = 0; i < VMAFX_LEN(titles); i++)
        if (titles[i].status == status)
            return titles[i].title;
    return status >= 500 ? "Server Error" : "Error";
}

int vmafx_http_status_of(VmafxErr err)
{
    static const int statuses[] = {
        [VMAFX_OK] = 200,
#define VMAFX_E(name, grpc, http, retry, text) [VMAFX_ERR_##name] = (http),
#include <vmafx/errors.def>
#undef VMAFX_E
    };

    return (size_t)err < VMAFX_LEN(statuses) ? statuses[err] : 500;
}

void http_answer_done(VmafxHttpAnswer *answer)
{
    for (size_t i = 0; i < answer->n_headers; i++) {
        free(answer->headers[i].name);
        free(answer->headers[i].value);
    }
    free(answer->body);
    *answer = (VmafxHttpAnswer){ 0 };
}

static bool is_token(const char *name)
{
    return *name &&
           !name[strspn(name, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")];
}

static bool is_field_value(const char *value)
{
    for (; *value; value++)
        if (((unsigned char)*value < ' ' && *value != '\t') || *value == 127)
            return false;
    return true;
}

bool vmafx_http_answer_header(VmafxHttpAnswer *answer, const char *name, const char *value)
{
    if (answer->n_headers == VMAFX_HTTP_ANSWER_HEADERS_MAX || !is_token(name) || !is_field_value(value))
        return false;
    VMAFX_AUTO(vmafx_free_p) char *name_copy = vmafx_strdup(name), *value_copy = vmafx_strdup(value);
    if (!name_copy || !value_copy)
        return false;
    answer->headers[answer->n_headers].name = VMAFX_TAKE(name_copy);
    answer->headers[answer->n_headers++].value = VMAFX_TAKE(value_copy);
    return true;
}

VmafxErr vmafx_http_answer_text(VmafxHttpAnswer *answer, int status, const char *content_type, const char *text)
{
    char *body = vmafx_strdup(text);

    if (!body)
        return VMAFX_ERR_NOMEM;
    free(answer->body);
    answer->body = body;
    answer->len = strlen(body);
    answer->status = status;
    answer->content_type = content_type;
    return VMAFX_OK;
}

/* A JSON string; bytes that are not ASCII pass, as our sentences are UTF-8. */
static void put_string(FILE *out, const char *text)
{
    size_t n = strnlen(text, DETAIL_MAX);

    while (n && n == DETAIL_MAX && ((unsigned char)text[n] & 0xC0) == 0x80)
        n--; /* not inside a character */
    fputc('"', out);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c < ' ')
            fprintf(out, "\\u%04x", c);
        else
            fputc(c, out);
    }
    fputc('"', out);
}

VmafxErr vmafx_http_answer_problem(VmafxHttpAnswer *answer, int status, const char *detail)
{
    char *body = NULL;
    size_t len;
    FILE *out = open_memstream(&body, &len);

    if (!out)
        return VMAFX_ERR_NOMEM;
    fprintf(out, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d", title_of(status), status);
    if (detail && *detail) {
        fputs(",\"detail\":", out);
        put_string(out, detail);
    }
    fputs("}\n", out);
    if (ferror(out) + fclose(out)) {
        free(body);
        return VMAFX_ERR_NOMEM;
    }
    free(answer->body);
    answer->body = body;
    answer->len = len;
    answer->status = status;
    answer->content_type = "application/problem+json";
    return VMAFX_OK;
}

void http_answer_refuse(VmafxHttpAnswer *answer, int status, const char *detail)
{
    http_answer_done(answer);
    if (vmafx_http_answer_problem(answer, status, detail))
        answer->status = status;
    if (status == 503 || status == 429)
        vmafx_http_answer_header(answer, "Retry-After", "1");
    if (status == 401)
        vmafx_http_answer_header(answer, "WWW-Authenticate", "Bearer");
}
