/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Stored results: checked on the way in, streamed on the way out. */

#include "programs/controller/result.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/base.h"
#include "base/columns.h"
#include "programs/controller/jobs.h"

#define BUDGET          ((size_t)1 << 30) /* a result of many hours; what is not there is not allocated */
#define VALUES_IN_A_RUN 65536             /* 512 KiB in one message */
#define WAITING_MAX     ((size_t)4 << 20) /* above it the peer has to read first */

VmafxErr result_check(const void *data, size_t len, bool *ret_complete, bool *ret_has_score, double *ret_score,
                      char *ret_model, size_t model_size, VmafxErrInfo *reterr)
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
    snprintf(ret_model, model_size, "%s", summary->n_models ? summary->models[0]->version : "");
    for (size_t i = 0; i < summary->n_series && !*ret_has_score; i++)
        if (summary->series[i]->kind == VMAFX__V1__SERIES_KIND__SERIES_KIND_SCORE && summary->series[i]->n &&
            isfinite(summary->series[i]->mean)) {
            *ret_has_score = true;
            *ret_score = summary->series[i]->mean;
        }
    return VMAFX_OK;
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

    const Vmafx__V1__StoredResult *stored = vmafx_message_get(loaded.message);
    if (!summary_only && stored->frames.len)
        err = vmafx_columns_unpack(stored->frames.data, stored->frames.len, 0, &loaded.columns, reterr);
    if (err)
        return err == VMAFX_ERR_SYNTAX ? VMAFX_ERR_CORRUPT : err;
    loaded.summary = stored->summary;
    *ret = loaded;
    loaded = (LoadedResult){ 0 };
    return VMAFX_OK;
}

void loaded_result_done(LoadedResult *loaded)
{
    vmafx_message_free(&loaded->message);
    vmafx_columns_done(&loaded->columns);
}

/* ---- GetResult ---- */

typedef struct Reading {
    const ResultRpc *door;
    bool asked;
    VmafxColumns columns;
    uint64_t next; /* row */
} Reading;

static VmafxErr reading_open(void *ctx, VmafxRpcStream *stream, void **ret_state, VmafxErrInfo *reterr)
{
    Reading *reading = calloc(1, sizeof *reading);

    if (!reading)
        return VMAFX_ERR_NOMEM;
    reading->door = ctx;
    *ret_state = reading;
    return VMAFX_OK;
}

static void reading_closed(void *state, VmafxRpcStream *stream)
{
    Reading *reading = state;

    vmafx_columns_done(&reading->columns);
    free(reading);
}

static VmafxErr send_part(VmafxRpcStream *stream, const Vmafx__V1__GetResultResponse *response)
{
    VMAFX_AUTO(vmafx_free_p) uint8_t *data = NULL;
    size_t len;
    VmafxErr err = vmafx_message_pack(&response->base, &data, &len);

    return err ? err : vmafx_rpc_stream_send(stream, data, len);
}

/** Rows first … first + n − 1 of every column. */
static VmafxErr send_run(VmafxRpcStream *stream, const VmafxColumns *columns, uint64_t first, uint64_t n)
{
    VMAFX_AUTO(vmafx_free_p) Vmafx__V1__Column *parts = calloc(columns->n, sizeof *parts);
    VMAFX_AUTO(vmafx_free_p) Vmafx__V1__Column **list = calloc(columns->n, sizeof(Vmafx__V1__Column *));
    Vmafx__V1__Frames frames = VMAFX__V1__FRAMES__INIT;
    Vmafx__V1__GetResultResponse response = VMAFX__V1__GET_RESULT_RESPONSE__INIT;

    if (!parts || !list)
        return VMAFX_ERR_NOMEM;
    for (size_t c = 0; c < columns->n; c++) {
        vmafx__v1__column__init(&parts[c]);
        parts[c].n_values = n;
        parts[c].values = columns->values + c * columns->n_rows + first;
        list[c] = &parts[c];
    }
    frames.first = (int64_t)first;
    frames.n_columns = columns->n;
    frames.columns = list;
    response.part_case = VMAFX__V1__GET_RESULT_RESPONSE__PART_FRAMES;
    response.frames = &frames;
    return send_part(stream, &response);
}

static void send_frames(void *ctx, VmafxRpcStream *stream)
{
    Reading *reading = ctx;
    const VmafxColumns *columns = &reading->columns;
    uint64_t run = columns->n ? VMAFX_MAX(VALUES_IN_A_RUN / columns->n, 1) : 0;

    while (reading->next < columns->n_rows && run) {
        if (vmafx_rpc_stream_waiting(stream) > WAITING_MAX) {
            vmafx_rpc_stream_on_writable(stream, WAITING_MAX / 2, send_frames, reading);
            return;
        }
        uint64_t n = VMAFX_MIN(run, columns->n_rows - reading->next);
        VmafxErr err = send_run(stream, columns, reading->next, n);
        if (err) {
            vmafx_rpc_stream_finish(stream, err, vmafx_err_text(err));
            return;
        }
        reading->next += n;
    }
    vmafx_rpc_stream_finish(stream, VMAFX_OK, NULL);
}

static VmafxErr begin(Reading *reading, VmafxRpcStream *stream, const Vmafx__V1__GetResultRequest *request,
                      VmafxErrInfo *reterr)
{
    Caller caller = api_stream_caller(reading->door->api, stream);
    VMAFX_AUTO(loaded_result_done) LoadedResult loaded = { 0 };
    Vmafx__V1__GetResultResponse response = VMAFX__V1__GET_RESULT_RESPONSE__INIT;
    VmafxErr err = result_load(reading->door->store, &caller, request->id, request->summary_only, &loaded, reterr);

    if (err)
        return err;
    response.part_case = VMAFX__V1__GET_RESULT_RESPONSE__PART_SUMMARY;
    response.summary = (Vmafx__V1__Result *)loaded.summary;
    err = send_part(stream, &response);
    reading->columns = loaded.columns;
    loaded.columns = (VmafxColumns){ 0 };
    if (!err)
        send_frames(reading, stream);
    return err;
}

static void reading_message(void *state, VmafxRpcStream *stream, const void *data, size_t len)
{
    Reading *reading = state;
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
    VmafxErrInfo info = { 0 };
    VmafxErr err = vmafx_message_unpack(&vmafx__v1__get_result_request__descriptor, data, len, 0, &message, &info);

    if (!err && reading->asked)
        err = vmafx_fail(&info, VMAFX_ERR_INVALID, "one request opens this stream");
    reading->asked = true;
    if (!err)
        err = begin(reading, stream, vmafx_message_get(message), &info);
    if (err)
        vmafx_rpc_stream_finish(stream, err, *info.message ? info.message : vmafx_err_text(err));
}

VmafxRpcMethod result_rpc_method(ResultRpc *door)
{
    return (VmafxRpcMethod){
        .path = "/vmafx.v1.Jobs/GetResult",
        .open = reading_open,
        .message = reading_message,
        .closed = reading_closed,
        .ctx = door,
    };
}
