/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Answers and problems (RFC 9457), without a JSON library: this is all the JSON there is here. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "http/server_internal.h"

#define DETAIL_MAX 2048 /* bytes of a detail; more is cut */

/* Titles by RFC 9110, and the error that a status means when nobody says another. */
static const struct {
    int status;
    VmafxErr err;
    const char *title;
} titles[] = {
    { 400, VMAFX_ERR_INVALID, "Bad Request" },
    { 401, VMAFX_ERR_UNAUTHENTICATED, "Unauthorized" },
    { 403, VMAFX_ERR_FORBIDDEN, "Forbidden" },
    { 404, VMAFX_ERR_NOT_FOUND, "Not Found" },
    { 405, VMAFX_ERR_UNSUPPORTED, "Method Not Allowed" },
    { 406, VMAFX_ERR_UNSUPPORTED, "Not Acceptable" },
    { 408, VMAFX_ERR_DEADLINE, "Request Timeout" },
    { 409, VMAFX_ERR_STATE, "Conflict" },
    { 411, VMAFX_ERR_INVALID, "Length Required" },
    { 412, VMAFX_ERR_STATE, "Precondition Failed" },
    { 413, VMAFX_ERR_LIMIT, "Content Too Large" },
    { 415, VMAFX_ERR_UNSUPPORTED, "Unsupported Media Type" },
    { 422, VMAFX_ERR_INVALID, "Unprocessable Content" },
    { 429, VMAFX_ERR_BUSY, "Too Many Requests" },
    { 499, VMAFX_ERR_CANCELLED, "Client Closed Request" },
    { 500, VMAFX_ERR_INTERNAL, "Internal Server Error" },
    { 501, VMAFX_ERR_UNSUPPORTED, "Not Implemented" },
    { 503, VMAFX_ERR_BUSY, "Service Unavailable" },
    { 504, VMAFX_ERR_DEADLINE, "Gateway Timeout" },
    { 507, VMAFX_ERR_IO, "Insufficient Storage" },
};

static const char *title_of(int status)
{
    for (size_t i = 0; i < VMAFX_LEN(titles); i++)
        if (titles[i].status == status)
            return titles[i].title;
    return status >= 500 ? "Server Error" : "Error";
}

static VmafxErr error_of(int status)
{
    for (size_t i = 0; i < VMAFX_LEN(titles); i++)
        if (titles[i].status == status)
            return titles[i].err;
    return status >= 500 ? VMAFX_ERR_INTERNAL : VMAFX_ERR_INVALID;
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
    if (answer->file.there)
        close(answer->file.fd);
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

/* Instead of what was there. */
static void set_body(VmafxHttpAnswer *answer, int status, const char *content_type, char *body, size_t len)
{
    free(answer->body);
    if (answer->file.there)
        close(answer->file.fd);
    answer->file.there = false;
    answer->file.size = 0;
    answer->body = body;
    answer->len = len;
    answer->status = status;
    answer->content_type = content_type;
}

VmafxErr vmafx_http_answer_text(VmafxHttpAnswer *answer, int status, const char *content_type, const char *text)
{
    char *body = vmafx_strdup(text);

    if (!body)
        return VMAFX_ERR_NOMEM;
    set_body(answer, status, content_type, body, strlen(body));
    return VMAFX_OK;
}

VmafxErr vmafx_http_answer_file(VmafxHttpAnswer *answer, int status, const char *content_type, int fd)
{
    struct stat info;
    VmafxErr err = fstat(fd, &info) ? VMAFX_ERR_IO : S_ISREG(info.st_mode) ? VMAFX_OK : VMAFX_ERR_INVALID;

    if (err) {
        if (fd >= 0)
            close(fd);
        return err;
    }
    set_body(answer, status, content_type, NULL, 0);
    answer->file.there = true;
    answer->file.fd = fd;
    answer->file.size = info.st_size;
    return VMAFX_OK;
}

void vmafx_http_answer_retry_after(VmafxHttpAnswer *answer, unsigned seconds)
{
    answer->retry_after_s = seconds;
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

static VmafxErr answer_problem(VmafxHttpAnswer *answer, int status, VmafxErr err, const char *detail)
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
    fprintf(out, ",\"error\":\"%s\"}\n", vmafx_err_name(err));
    if (ferror(out) + fclose(out)) {
        free(body);
        return VMAFX_ERR_NOMEM;
    }
    set_body(answer, status, "application/problem+json", body, len);
    return VMAFX_OK;
}

VmafxErr vmafx_http_answer_problem(VmafxHttpAnswer *answer, int status, const char *detail)
{
    return answer_problem(answer, status, error_of(status), detail);
}

VmafxErr vmafx_http_answer_error(VmafxHttpAnswer *answer, VmafxErr err, const char *detail)
{
    return answer_problem(answer, vmafx_http_status_of(err), err, detail ? detail : vmafx_err_text(err));
}

void http_answer_refuse(VmafxHttpAnswer *answer, int status, VmafxErr err, const char *detail)
{
    unsigned retry_after_s = answer->retry_after_s;

    http_answer_done(answer);
    answer->retry_after_s = retry_after_s;
    if (answer_problem(answer, status, err ? err : error_of(status), detail))
        answer->status = status;
}
