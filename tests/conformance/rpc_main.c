/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A gRPC server with a few methods of proto/, for foreign clients. Prints "port N" and ends when its standard input
 * does.
 *
 *     rpc_main [CERT KEY CA]
 *
 * Jobs/SubmitJob gives the job back, with the caller's trace. Jobs/GetJob: "missing" is not found, "slow" waits until
 * the caller has gone, any other exists and was submitted by whom the certificate names. Jobs/WatchJob: as many answers
 * as the id says. Fleet/Connect answers Hello and Heartbeat.
 */

#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "rpc/descriptors.h"
#include "rpc/message.h"
#include "rpc/server.h"

static VmafxErr answer(const ProtobufCMessage *message, VmafxRpcAnswer *ret, VmafxErrInfo *reterr)
{
    VmafxErr err = vmafx_message_pack(message, &ret->body, &ret->len);

    return err ? vmafx_fail(reterr, err, "no memory for the answer") : VMAFX_OK;
}

static VmafxErr submit(void *ctx, VmafxRpcCall *call, const void *data, size_t len, VmafxRpcAnswer *ret,
                       VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
    Vmafx__V1__SubmitJobResponse response = VMAFX__V1__SUBMIT_JOB_RESPONSE__INIT;
    Vmafx__V1__Job job = VMAFX__V1__JOB__INIT;
    char traceparent[VMAFX_TRACEPARENT_SIZE] = "";
    VmafxSpanContext span;
    VmafxErr err = vmafx_message_unpack(&vmafx__v1__submit_job_request__descriptor, data, len, 0, &message, reterr);

    if (err)
        return err;
    if (vmafx_context_span(vmafx_rpc_call_remote_context(call), &span))
        vmafx_traceparent_format(&span, traceparent);
    job.id = (char *)"submitted";
    job.spec = ((const Vmafx__V1__SubmitJobRequest *)vmafx_message_get(message))->job;
    job.state = VMAFX__V1__JOB_STATE__JOB_STATE_QUEUED;
    job.message = traceparent;
    job.created_unix_us = 1700000000123456;
    response.job = &job;
    return answer(&response.base, ret, reterr);
}

static VmafxErr get(void *ctx, VmafxRpcCall *call, const void *data, size_t len, VmafxRpcAnswer *ret,
                    VmafxErrInfo *reterr)
{
    static const struct timespec a_little = { .tv_nsec = 1000000 };
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
    Vmafx__V1__GetJobResponse response = VMAFX__V1__GET_JOB_RESPONSE__INIT;
    Vmafx__V1__Job job = VMAFX__V1__JOB__INIT;
    const VmafxRpcPeer *peer = vmafx_rpc_call_peer(call);
    VmafxErr err = vmafx_message_unpack(&vmafx__v1__get_job_request__descriptor, data, len, 0, &message, reterr);

    if (err)
        return err;
    job.id = ((const Vmafx__V1__GetJobRequest *)vmafx_message_get(message))->id;
    if (!strcmp(job.id, "missing"))
        return vmafx_fail(reterr, VMAFX_ERR_NOT_FOUND, "there is no job '%s': größer", job.id);
    while (!strcmp(job.id, "slow") && !vmafx_rpc_call_cancelled(call))
        nanosleep(&a_little, NULL);
    job.submitter = (char *)(peer->n_names ? peer->names[0] : "");
    response.job = &job;
    return answer(&response.base, ret, reterr);
}

static VmafxErr stream_open(void *ctx, VmafxRpcStream *stream, void **ret_state, VmafxErrInfo *reterr)
{
    return VMAFX_OK;
}

static void send_message(VmafxRpcStream *stream, const ProtobufCMessage *message)
{
    VMAFX_AUTO(vmafx_free_p) uint8_t *bytes = NULL;
    size_t len;

    if (vmafx_message_pack(message, &bytes, &len))
        vmafx_rpc_stream_finish(stream, VMAFX_ERR_NOMEM, NULL);
    else
        vmafx_rpc_stream_send(stream, bytes, len);
}

static void watch(void *state, VmafxRpcStream *stream, const void *data, size_t len)
{
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
    Vmafx__V1__WatchJobResponse response = VMAFX__V1__WATCH_JOB_RESPONSE__INIT;
    Vmafx__V1__Job job = VMAFX__V1__JOB__INIT;
    VmafxErrInfo info = { "" };
    VmafxErr err = vmafx_message_unpack(&vmafx__v1__watch_job_request__descriptor, data, len, 0, &message, &info);

    if (err) {
        vmafx_rpc_stream_finish(stream, err, info.message);
        return;
    }
    job.id = ((const Vmafx__V1__WatchJobRequest *)vmafx_message_get(message))->id;
    response.job = &job;
    for (int i = 0; i < atoi(job.id); i++) {
        job.attempts = i;
        send_message(stream, &response.base);
    }
    vmafx_rpc_stream_finish(stream, VMAFX_OK, NULL);
}

static void connected(void *state, VmafxRpcStream *stream, const void *data, size_t len)
{
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
    Vmafx__V1__ControllerMessage out = VMAFX__V1__CONTROLLER_MESSAGE__INIT;
    Vmafx__V1__Welcome welcome = VMAFX__V1__WELCOME__INIT;
    Vmafx__V1__HeartbeatAck ack = VMAFX__V1__HEARTBEAT_ACK__INIT;
    VmafxErrInfo info = { "" };
    VmafxErr err = vmafx_message_unpack(&vmafx__v1__node_message__descriptor, data, len, 0, &message, &info);
    const Vmafx__V1__NodeMessage *in = err ? NULL : vmafx_message_get(message);

    if (in && in->kind_case == VMAFX__V1__NODE_MESSAGE__KIND_HELLO) {
        welcome.protocol_version = 1;
        welcome.controller = in->hello->name;
        out.kind_case = VMAFX__V1__CONTROLLER_MESSAGE__KIND_WELCOME;
        out.welcome = &welcome;
    } else if (in && in->kind_case == VMAFX__V1__NODE_MESSAGE__KIND_HEARTBEAT) {
        ack.sequence = in->heartbeat->sequence;
        out.kind_case = VMAFX__V1__CONTROLLER_MESSAGE__KIND_HEARTBEAT_ACK;
        out.heartbeat_ack = &ack;
    } else {
        vmafx_rpc_stream_finish(stream, err ? err : VMAFX_ERR_STATE, info.message);
        return;
    }
    send_message(stream, &out.base);
}

static void half_closed(void *state, VmafxRpcStream *stream)
{
    vmafx_rpc_stream_finish(stream, VMAFX_OK, NULL);
}

static const VmafxRpcMethod methods[] = {
    { .path = "/vmafx.v1.Jobs/SubmitJob", .unary = submit },
    { .path = "/vmafx.v1.Jobs/GetJob", .unary = get },
    { .path = "/vmafx.v1.Jobs/WatchJob", .open = stream_open, .message = watch },
    { .path = "/vmafx.v1.Fleet/Connect", .open = stream_open, .message = connected, .half_closed = half_closed },
};

int main(int argc, char **argv)
{
    VmafxRpcServer *server = NULL;
    VmafxErrInfo info = { "" };
    char byte;
    VmafxRpcServerConfig config = { .address = "127.0.0.1:0",
                                    .methods = methods,
                                    .n_methods = VMAFX_LEN(methods),
                                    .descriptor_set = vmafx_descriptors,
                                    .descriptor_set_len = vmafx_descriptors_len };

    if (argc == 4) {
        config.cert_file = argv[1];
        config.key_file = argv[2];
        config.ca_file = argv[3];
    }
    if (vmafx_rpc_server_start(&config, &server, &info)) {
        fprintf(stderr, "%s\n", info.message);
        return 1;
    }
    printf("port %d\n", vmafx_rpc_server_port(server));
    fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    vmafx_rpc_server_stop(&server, 1000);
    return 0;
}
