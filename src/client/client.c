/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The services of controller and vmafx-server as calls: path, request and response of each in one table. */

#include "client/client.h"

#include "base/base.h"
#include "client/client_internal.h"

#define MESSAGE_MAX   ((size_t)16 << 20)
#define ANSWER_BUDGET ((size_t)256 << 20) /* a page of a thousand jobs, each with its request */

struct VmafxClientReading {
    VmafxClient *client;
    VmafxRpcReading *reading;
    const ProtobufCMessageDescriptor *type;
};

static const struct {
    const char *path;
    const ProtobufCMessageDescriptor *response;
} calls[] = {
    [VMAFX_CALL_SUBMIT_JOB] = { "/vmafx.v1.Jobs/SubmitJob", &vmafx__v1__submit_job_response__descriptor },
    [VMAFX_CALL_SUBMIT_JOBS] = { "/vmafx.v1.Jobs/SubmitJobs", &vmafx__v1__submit_jobs_response__descriptor },
    [VMAFX_CALL_GET_JOB] = { "/vmafx.v1.Jobs/GetJob", &vmafx__v1__get_job_response__descriptor },
    [VMAFX_CALL_LIST_JOBS] = { "/vmafx.v1.Jobs/ListJobs", &vmafx__v1__list_jobs_response__descriptor },
    [VMAFX_CALL_GET_JOB_EVENTS] = { "/vmafx.v1.Jobs/GetJobEvents", &vmafx__v1__get_job_events_response__descriptor },
    [VMAFX_CALL_CANCEL_JOB] = { "/vmafx.v1.Jobs/CancelJob", &vmafx__v1__cancel_job_response__descriptor },
    [VMAFX_CALL_RETRY_JOB] = { "/vmafx.v1.Jobs/RetryJob", &vmafx__v1__retry_job_response__descriptor },
    [VMAFX_CALL_DELETE_JOB] = { "/vmafx.v1.Jobs/DeleteJob", &vmafx__v1__delete_job_response__descriptor },
    [VMAFX_CALL_FIND_UPLOAD] = { "/vmafx.v1.Jobs/FindUpload", &vmafx__v1__find_upload_response__descriptor },
    [VMAFX_CALL_LIST_NODES] = { "/vmafx.v1.Fleet/ListNodes", &vmafx__v1__list_nodes_response__descriptor },
    [VMAFX_CALL_DRAIN_NODE] = { "/vmafx.v1.Fleet/DrainNode", &vmafx__v1__drain_node_response__descriptor },
    [VMAFX_CALL_WATCH_JOB] = { "/vmafx.v1.Jobs/WatchJob", &vmafx__v1__watch_job_response__descriptor },
    [VMAFX_CALL_GET_RESULT] = { "/vmafx.v1.Jobs/GetResult", &vmafx__v1__get_result_response__descriptor },
    [VMAFX_CALL_SCORE] = { "/vmafx.v1.Scoring/Score", &vmafx__v1__score_event__descriptor },
    [VMAFX_CALL_LIST_MODELS] = { "/vmafx.v1.Scoring/ListModels", &vmafx__v1__list_models_response__descriptor },
    [VMAFX_CALL_GET_CAPABILITIES] = { "/vmafx.v1.Scoring/GetCapabilities",
                                      &vmafx__v1__get_capabilities_response__descriptor },
};

void vmafx_client_config_from(const VmafxConfig *settings, VmafxClientConfig *ret)
{
    *ret = (VmafxClientConfig){
        .address = vmafx_config_get(settings, "VMAFX_CONTROLLER", NULL),
        .cert_file = vmafx_config_get(settings, "VMAFX_TLS_CERT", NULL),
        .key_file = vmafx_config_get(settings, "VMAFX_TLS_KEY", NULL),
        .ca_file = vmafx_config_get(settings, "VMAFX_TLS_CA", NULL),
        .server_name = vmafx_config_get(settings, "VMAFX_TLS_SERVER_NAME", NULL),
    };
}

VmafxErr vmafx_client_open(const VmafxClientConfig *config, VmafxClient **ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_client_close) VmafxClient *client = calloc(1, sizeof *client);

    if (!client)
        return VMAFX_ERR_NOMEM;
    client->address = vmafx_strdup(config->address ? config->address : VMAFX_CONTROLLER_ADDRESS);
    client->timeout_ms = config->timeout_ms;
    client->kind = config->kind;
    if (!client->address)
        return VMAFX_ERR_NOMEM;

    VmafxErr err = vmafx_rpc_channel_open(
        &(VmafxRpcChannelConfig){
            .target = client->address,
            .cert_file = config->cert_file,
            .key_file = config->key_file,
            .ca_file = config->ca_file,
            .server_name = config->server_name,
            .message_max_bytes = MESSAGE_MAX,
        },
        &client->channel, reterr);
    if (!err)
        *ret = VMAFX_TAKE(client);
    return err;
}

void vmafx_client_close(VmafxClient **client)
{
    if (*client) {
        vmafx_rpc_channel_close(&(*client)->channel);
        free((*client)->address);
    }
    free(*client);
    *client = NULL;
}

VmafxErr client_explained(const VmafxClient *client, VmafxErr err, const VmafxErrInfo *info, VmafxErrInfo *reterr)
{
    if (err == VMAFX_ERR_UNREACHABLE && client->kind)
        return vmafx_fail(reterr, err, "cannot reach a %s at '%s' (%.160s). Is it running, and is that its gRPC port?",
                          client->kind, client->address, info->message);
    if (err == VMAFX_ERR_UNREACHABLE)
        return vmafx_fail(reterr, err,
                          "cannot reach a controller at '%s' (%.160s). Is it running? `vmafx dev` starts one here; "
                          "VMAFX_CONTROLLER or --controller names another address",
                          client->address, info->message);
    return vmafx_fail(reterr, err, "%s", *info->message ? info->message : vmafx_err_text(err));
}

VmafxErr vmafx_client_call(VmafxClient *client, VmafxCall call, const ProtobufCMessage *request, VmafxMessage **ret,
                           VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_free_p) uint8_t *data = NULL, *body = NULL;
    size_t len, body_len;
    VmafxErrInfo info = { 0 };
    VmafxErr err = vmafx_message_pack(request, &data, &len);

    if (err)
        return err;
    err = vmafx_rpc_unary(client->channel, calls[call].path, data, len, client->timeout_ms, &body, &body_len, &info);
    if (err)
        return client_explained(client, err, &info, reterr);
    return vmafx_message_unpack(calls[call].response, body, body_len, ANSWER_BUDGET, ret, reterr);
}

VmafxErr vmafx_client_read(VmafxClient *client, VmafxCall call, const ProtobufCMessage *request,
                           VmafxClientReading **ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_client_read_close) VmafxClientReading *reading = calloc(1, sizeof *reading);
    VMAFX_AUTO(vmafx_free_p) uint8_t *data = NULL;
    size_t len;
    VmafxErrInfo info = { 0 };

    if (!reading)
        return VMAFX_ERR_NOMEM;
    reading->client = client;
    reading->type = calls[call].response;
    VmafxErr err = vmafx_message_pack(request, &data, &len);
    if (err)
        return err;
    err = vmafx_rpc_read_open(client->channel, calls[call].path, data, len, &reading->reading, &info);
    if (err)
        return client_explained(client, err, &info, reterr);
    *ret = VMAFX_TAKE(reading);
    return VMAFX_OK;
}

VmafxErr vmafx_client_read_next(VmafxClientReading *reading, uint32_t timeout_ms, VmafxMessage **ret,
                                VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_free_p) uint8_t *body = NULL;
    size_t len;
    VmafxErrInfo info = { 0 };
    VmafxErr err = vmafx_rpc_read_next(reading->reading, timeout_ms, &body, &len, &info);

    *ret = NULL;
    if (err)
        return client_explained(reading->client, err, &info, reterr);
    return body ? vmafx_message_unpack(reading->type, body, len, ANSWER_BUDGET, ret, reterr) : VMAFX_OK;
}

void vmafx_client_read_close(VmafxClientReading **reading)
{
    if (*reading && (*reading)->reading)
        vmafx_rpc_read_close(&(*reading)->reading);
    free(*reading);
    *reading = NULL;
}
