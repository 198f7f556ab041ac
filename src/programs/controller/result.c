/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Stored results: checked on the way in, loaded on the way out. */

#include "programs/controller/result.h"

#include <math.h>
#include <string.h>

#include "base/base.h"
#include "base/columns.h"
#include "programs/controller/jobs.h"

#define BUDGET ((size_t)1 << 30) /* a result of many hours; what is not there is not allocated */

VmafxErr result_check(const void *data, size_t len, bool *ret_complete, bool *ret_has_score, double *ret_score,
                      VmafxScoredList *ret_scored, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
    VmafxErr err = vmafx_message_unpack(&vmafx__v1__stored_result__descriptor, data, len, BUDGET, &message, reterr);
    if (err)
        return err;

    const Vmafx__V1__StoredResult *stored = vmafx_message_get(message);
    const Vmafx__V1__Result *summary = stored->summary;
    size_t n_columns = 0;
    uint64_t n_rows = 0;
    if (!summary)
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "the result has no summary");
    if (stored->frames.len) {
        err = vmafx_columns_head(stored->frames.data, stored->frames.len, &n_columns, &n_rows);
        if (err)
            return vmafx_fail(reterr, err, "the frames of the result are damaged");
        if (n_columns != summary->n_series)
            return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "the result has %zu series and %zu columns of frames",
                              summary->n_series, n_columns);
    }
    *ret_complete = summary->complete;
    *ret_has_score = false;
    vmafx_scored_of_result(summary, ret_scored);
    for (size_t i = 0; i < summary->n_series && !*ret_has_score; i++)
        if (summary->series[i]->kind == VMAFX__V1__SERIES_KIND__SERIES_KIND_SCORE && summary->series[i]->n &&
            isfinite(summary->series[i]->mean)) {
            *ret_has_score = true;
            *ret_score = summary->series[i]->mean;
        }
    return VMAFX_OK;
}

size_t result_frames_bytes(const LoadedResult *loaded)
{
    const Vmafx__V1__StoredResult *stored = vmafx_message_get(loaded->message);
    uint64_t n_rows = 0;
    size_t n = 0;

    if (!stored->frames.len || vmafx_columns_head(stored->frames.data, stored->frames.len, &n, &n_rows))
        return 0;
    return n * n_rows * sizeof(double); /* no overflow: the head's limits */
}

VmafxErr result_unpack(LoadedResult *loaded, VmafxErrInfo *reterr)
{
    const Vmafx__V1__StoredResult *stored = vmafx_message_get(loaded->message);
    VmafxErr err = VMAFX_OK;

    if (stored->frames.len)
        err = vmafx_columns_unpack(stored->frames.data, stored->frames.len, 0, &loaded->columns, reterr);
    return err == VMAFX_ERR_SYNTAX ? VMAFX_ERR_CORRUPT : err;
}

VmafxErr result_load(VmafxStore *store, const Caller *caller, const char *id, bool summary_only, LoadedResult *ret,
                     VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_stored_job_done) VmafxStoredJob job = { 0 };
    VMAFX_AUTO(vmafx_free_p) void *data = NULL;
    VMAFX_AUTO(loaded_result_done) LoadedResult loaded = { 0 };
    size_t len;
    VmafxErr err = job_read(store, caller, id, &job, reterr);

    if (err)
        return err;
    err = vmafx_store_result(store, &job.job.id, &data, &len);
    if (err == VMAFX_ERR_NOT_FOUND)
        return vmafx_fail(reterr, err, "there is no result of job %s, which is %s", id,
                          vmafx_job_state_name(job.job.state));
    if (!err)
        err = vmafx_message_unpack(&vmafx__v1__stored_result__descriptor, data, len, BUDGET, &loaded.message, reterr);
    if (err)
        return vmafx_fail(reterr, err == VMAFX_ERR_SYNTAX ? VMAFX_ERR_CORRUPT : err, "the result of job %s: %s", id,
                          vmafx_err_text(err));

    loaded.summary = ((const Vmafx__V1__StoredResult *)vmafx_message_get(loaded.message))->summary;
    err = summary_only ? VMAFX_OK : result_unpack(&loaded, reterr);
    if (err)
        return err;
    *ret = loaded;
    loaded = (LoadedResult){ 0 };
    return VMAFX_OK;
}

void loaded_result_done(LoadedResult *loaded)
{
    vmafx_message_free(&loaded->message);
    vmafx_columns_done(&loaded->columns);
}
