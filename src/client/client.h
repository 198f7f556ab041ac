/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Talking to a controller, or to a vmafx-server: messages of proto/vmafx/v1 in and out of a gRPC channel. For the
 * command line and whoever else submits and follows jobs. Blocking; one client may be used by several threads at a
 * time.
 *
 *     VMAFX_AUTO(vmafx_message_free) VmafxMessage *answer = NULL;
 *     Vmafx__V1__GetJobRequest request = VMAFX__V1__GET_JOB_REQUEST__INIT;
 *     request.id = id;
 *     err = vmafx_client_call(client, VMAFX_CALL_GET_JOB, &request.base, &answer, &info);
 *     const Vmafx__V1__GetJobResponse *response = vmafx_message_get(answer);
 */
#ifndef VMAFX_CLIENT_CLIENT_H
#define VMAFX_CLIENT_CLIENT_H

#include "base/config.h"
#include "base/url.h"
#include "rpc/message.h"

#define VMAFX_CONTROLLER_ADDRESS "127.0.0.1:7801"

typedef struct VmafxClient VmafxClient;

typedef struct VmafxClientConfig {
    const char *address;                        /* NULL: VMAFX_CONTROLLER_ADDRESS */
    const char *cert_file, *key_file, *ca_file; /* PEM; all three: mutual TLS; none: plain text */
    const char *server_name;                    /* verified instead of the address's host; NULL: that one */
    uint32_t timeout_ms;                        /* of a call; 0: 30 s */
    const char *kind;                           /* static; what is there, for sentences: NULL: "controller" */
} VmafxClientConfig;

/** Unary calls, and the streams that a server answers with. */
typedef enum VmafxCall {
    VMAFX_CALL_SUBMIT_JOB = 0,
    VMAFX_CALL_SUBMIT_JOBS,
    VMAFX_CALL_GET_JOB,
    VMAFX_CALL_LIST_JOBS,
    VMAFX_CALL_GET_JOB_EVENTS,
    VMAFX_CALL_CANCEL_JOB,
    VMAFX_CALL_RETRY_JOB,
    VMAFX_CALL_DELETE_JOB,
    VMAFX_CALL_FIND_UPLOAD,
    VMAFX_CALL_LIST_NODES,
    VMAFX_CALL_DRAIN_NODE,
    VMAFX_CALL_WATCH_JOB,  /* stream */
    VMAFX_CALL_GET_RESULT, /* stream */
    /* Of a vmafx-server */
    VMAFX_CALL_SCORE, /* stream */
    VMAFX_CALL_LIST_MODELS,
    VMAFX_CALL_GET_CAPABILITIES,
} VmafxCall;

/**
 * From VMAFX_CONTROLLER, VMAFX_TLS_CERT, VMAFX_TLS_KEY, VMAFX_TLS_CA and VMAFX_TLS_SERVER_NAME of the settings; the
 * texts live as long as these.
 */
void vmafx_client_config_from(const VmafxConfig *settings, VmafxClientConfig *ret);

/** Does not connect yet. What vmafx_rpc_channel_open says. */
VMAFX_CHECK VmafxErr vmafx_client_open(const VmafxClientConfig *config, VmafxClient **ret, VmafxErrInfo *reterr);
/** No call may be under way. */
void vmafx_client_close(VmafxClient **client);

/**
 * A unary call.
 * @param ret  its response message
 * @return what the controller says; VMAFX_ERR_UNREACHABLE with the address and what to try; VMAFX_ERR_DEADLINE;
 * VMAFX_ERR_SYNTAX when the answer is not one
 */
VMAFX_CHECK VmafxErr vmafx_client_call(VmafxClient *client, VmafxCall call, const ProtobufCMessage *request,
                                       VmafxMessage **ret, VmafxErrInfo *reterr);

/** For those who wait for an upload. From the thread that called. */
typedef struct VmafxClientProgress {
    /** done of total bytes; sending: over the network, else it is being read for its digest. NULL: not wanted */
    void (*tell)(void *ctx, bool sending, int64_t done, int64_t total);
    void *ctx;
} VmafxClientProgress;

/**
 * Sends a file to the controller unless it has it already, and says what jobs call it.
 * @param fd       a regular file, for reading; borrowed; read from its start, its offset is left alone
 * @param name     of the file, for people
 * @param progress may be NULL
 * @param ret_sent bytes that were sent; 0: it was there. May be NULL
 * @return VMAFX_ERR_INPUT (not a regular file, empty, or it changes while it is read), VMAFX_ERR_IO (it cannot be
 * read); what the controller says: VMAFX_ERR_INVALID (too large), VMAFX_ERR_BUSY (no room), VMAFX_ERR_UNSUPPORTED (it
 * takes none); VMAFX_ERR_UNREACHABLE, also when nothing moves for a minute, each with a sentence
 */
VMAFX_CHECK VmafxErr vmafx_client_upload(VmafxClient *client, int fd, const char *name,
                                         const VmafxClientProgress *progress, char ret_uri[VMAFX_UPLOAD_URI_MAX],
                                         int64_t *ret_sent, VmafxErrInfo *reterr);

typedef struct VmafxClientReading VmafxClientReading;

/** Opens a stream. */
VMAFX_CHECK VmafxErr vmafx_client_read(VmafxClient *client, VmafxCall call, const ProtobufCMessage *request,
                                       VmafxClientReading **ret, VmafxErrInfo *reterr);
/**
 * Its next message; *ret is NULL at the end.
 * @param timeout_ms  VMAFX_ERR_DEADLINE after it, the stream goes on; 0: no limit
 */
VMAFX_CHECK VmafxErr vmafx_client_read_next(VmafxClientReading *reading, uint32_t timeout_ms, VmafxMessage **ret,
                                            VmafxErrInfo *reterr);
void vmafx_client_read_close(VmafxClientReading **reading);
#endif
