/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * GET /v1/jobs/{id}/result: a stored result as the report that `vmafx result` writes, by the same writers. Small ones
 * are made in memory; large ones in a file without a name, so that a slow client does not keep hundreds of megabytes
 * there.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "programs/controller/rest_internal.h"
#include "programs/controller/result.h"
#include "report/stored.h"

#define IN_MEMORY_VALUES 100000 /* about 2 MB of text */

static const char *const types[] = { "application/json", "application/x-ndjson", "text/csv", "application/xml" };
static const char *const names[] = { "json", "ndjson", "csv", "xml" };

/** format=…, or else by Accept. *ret_type NULL: nothing that the client takes. */
static VmafxErr choose(const VmafxHttpCall *call, VmafxReportFormat *ret, const char **ret_type, VmafxErrInfo *reterr)
{
    const char *asked = vmafx_http_call_query(call, "format");
    const char *type = asked ? NULL : rest_accept(vmafx_http_call_header(call, "Accept"), types, VMAFX_LEN(types));

    *ret_type = NULL;
    for (size_t i = 0; i < VMAFX_LEN(types); i++)
        if (asked ? !strcmp(asked, names[i]) : type == types[i]) {
            *ret_type = types[i];
            if (!vmafx_report_format_find(names[i], ret))
                return VMAFX_ERR_INTERNAL;
        }
    if (asked && !*ret_type)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "format: is json, ndjson, csv or xml, not '%.32s'", asked);
    return VMAFX_OK;
}

static VmafxErr wants_summary(const VmafxHttpCall *call, bool *ret, VmafxErrInfo *reterr)
{
    const char *text = vmafx_http_call_query(call, "summary");

    *ret = text && !strcmp(text, "true");
    if (text && !*ret && strcmp(text, "false") != 0)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "summary: is true or false, not '%.32s'", text);
    return VMAFX_OK;
}

static int open_nameless(void)
{
    const char *folders[] = { getenv("TMPDIR"), "/var/tmp", "/tmp" };

    for (size_t i = 0; i < VMAFX_LEN(folders); i++) {
        int fd = folders[i] ? open(folders[i], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600) : -1;
        if (fd >= 0)
            return fd;
    }
    return -1;
}

static VmafxErr write_failed(VmafxErr err, VmafxErrInfo *reterr)
{
    return vmafx_fail(reterr, err, "the report cannot be written: %s",
                      err == VMAFX_ERR_IO && errno ? strerror(errno) : vmafx_err_text(err));
}

static VmafxErr to_memory(VmafxHttpAnswer *answer, VmafxReportFormat format, const char *type,
                          const VmafxReportData *data, VmafxErrInfo *reterr)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    VmafxErr err = out ? vmafx_report_write(out, format, data) : VMAFX_ERR_NOMEM;

    if (out && fclose(out) && !err)
        err = VMAFX_ERR_NOMEM;
    if (err) {
        free(text);
        return write_failed(err, reterr);
    }
    free(answer->body);
    answer->body = text;
    answer->len = len;
    answer->content_type = type;
    return VMAFX_OK;
}

static VmafxErr to_file(VmafxHttpAnswer *answer, VmafxReportFormat format, const char *type,
                        const VmafxReportData *data, VmafxErrInfo *reterr)
{
    int fd = open_nameless(), kept = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
    FILE *out = kept < 0 ? NULL : fdopen(fd, "w");

    if (!out) {
        VmafxErr failed = vmafx_fail(reterr, VMAFX_ERR_IO, "no file for the report can be made (TMPDIR, /var/tmp): %s",
                                     strerror(errno));
        if (fd >= 0)
            close(fd);
        if (kept >= 0)
            close(kept);
        return failed;
    }
    VmafxErr err = vmafx_report_write(out, format, data);
    if (err)
        err = write_failed(err, reterr);
    if (fclose(out) && !err)
        err = write_failed(VMAFX_ERR_IO, reterr);
    if (err) {
        close(kept);
        return err;
    }
    return vmafx_http_answer_file(answer, 200, type, kept);
}

static VmafxErr answer_report(VmafxHttpAnswer *answer, VmafxReportFormat format, const char *type,
                              const LoadedResult *loaded, VmafxErrInfo *reterr)
{
    const VmafxColumns *columns = &loaded->columns;
    VMAFX_AUTO(vmafx_stored_report_done) VmafxStoredReport report = { 0 };
    VMAFX_AUTO(vmafx_free_p) const double **list = calloc(columns->n + 1, sizeof *list);

    if (!list)
        return VMAFX_ERR_NOMEM;
    for (size_t i = 0; i < columns->n; i++)
        list[i] = columns->values + i * columns->n_rows;
    VmafxErr err = vmafx_stored_report_init(&report, loaded->summary, list, columns->n, columns->n_rows);
    if (err)
        return err == VMAFX_ERR_SYNTAX ? VMAFX_ERR_CORRUPT : err;
    return (columns->n * columns->n_rows <= IN_MEMORY_VALUES ? to_memory : to_file)(answer, format, type, &report.data,
                                                                                    reterr);
}

VmafxErr rest_result(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    const RestBinding *binding = ctx;
    VMAFX_AUTO(rest_caller_done) Caller caller = { 0 };
    VMAFX_AUTO(loaded_result_done) LoadedResult loaded = { 0 };
    VmafxReportFormat format = VMAFX_REPORT_JSON;
    const char *type = NULL;
    bool summary = false;
    VmafxErr err = rest_check_query(binding->route, call, reterr);

    rest_caller(call, &caller);
    if (!err)
        err = rest_check_no_body(call, reterr);
    if (!err)
        err = choose(call, &format, &type, reterr);
    if (!err)
        err = wants_summary(call, &summary, reterr);
    if (err)
        return err;
    if (!type)
        return vmafx_http_answer_problem(
            answer, 406, "Accept: results are application/json, application/x-ndjson, text/csv or application/xml");
    if (summary && format != VMAFX_REPORT_JSON)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "summary: is JSON only");
    err = result_load(binding->rest->store, &caller, vmafx_http_call_param(call, "id"), summary, &loaded, reterr);
    if (err)
        return err;
    if (summary)
        return rest_answer_json(answer, 200, vmafx_message_json(&loaded.summary->base));
    return answer_report(answer, format, type, &loaded, reterr);
}
