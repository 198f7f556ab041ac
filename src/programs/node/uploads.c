/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* One call of Fleet.FetchUpload: from an offset to the end, or to where it broke. */

#include "programs/node/uploads.h"

#include "base/base.h"
#include "base/clock.h"

#define LOOK_MS     250
#define STALL_NS    (UINT64_C(20) * 1000000000) /* without a piece; then another call */
#define MESSAGE_MAX ((size_t)4 << 20)

static VmafxErr open_reading(const UploadsFrom *from, VmafxRpcChannel *channel, const char *uri, int64_t offset,
                             VmafxRpcReading **ret, VmafxErrInfo *reterr)
{
    char id[VMAFX_JOB_ID_TEXT];
    Vmafx__V1__AttemptRef attempt = ref_message(&from->attempt, id);
    Vmafx__V1__FetchUploadRequest request = VMAFX__V1__FETCH_UPLOAD_REQUEST__INIT;
    VMAFX_AUTO(vmafx_free_p) uint8_t *data = NULL;
    size_t len;

    request.attempt = &attempt;
    request.uri = (char *)uri;
    request.offset = offset;
    VmafxErr err = vmafx_message_pack(&request.base, &data, &len);
    return err ? err : vmafx_rpc_read_open(channel, "/vmafx.v1.Fleet/FetchUpload", data, len, ret, reterr);
}

/** The next piece; NULL at the end. Comes back when the wait ends. */
static VmafxErr next_piece(VmafxRpcReading *reading, const VmafxInputWait *wait, VmafxMessage **ret,
                           VmafxErrInfo *reterr)
{
    uint64_t stalled_at = vmafx_monotonic_ns() + STALL_NS;

    *ret = NULL;
    for (;;) {
        VMAFX_AUTO(vmafx_free_p) uint8_t *body = NULL;
        size_t len;
        uint64_t now = vmafx_monotonic_ns();

        if (wait->stop && atomic_load(wait->stop))
            return VMAFX_ERR_CANCELLED;
        if (wait->deadline_ns && now >= wait->deadline_ns)
            return VMAFX_ERR_DEADLINE;
        if (now >= stalled_at)
            return vmafx_fail(reterr, VMAFX_ERR_UNREACHABLE, "the controller sends nothing");
        VmafxErrInfo info = { 0 };
        VmafxErr err = vmafx_rpc_read_next(reading, LOOK_MS, &body, &len, &info);
        if (err == VMAFX_ERR_DEADLINE)
            continue; /* nothing yet; the server's own word for it means the same to us */
        if (err)
            return vmafx_fail(reterr, err, "%s", *info.message ? info.message : vmafx_err_text(err));
        return body ? vmafx_message_unpack(&vmafx__v1__fetch_upload_response__descriptor, body, len, 0, ret, reterr)
                    : VMAFX_OK;
    }
}

VmafxErr uploads_fetch(void *ctx, const char *uri, int64_t offset, const VmafxInputWait *wait,
                       VmafxErr (*write)(void *to, int64_t total, const void *data, size_t len, VmafxErrInfo *reterr),
                       void *to, VmafxErrInfo *reterr)
{
    const UploadsFrom *from = ctx;
    const NodeConfig *config = &from->node->config;
    VMAFX_AUTO(vmafx_rpc_channel_close) VmafxRpcChannel *channel = NULL;
    VMAFX_AUTO(vmafx_rpc_read_close) VmafxRpcReading *reading = NULL;
    VmafxErr err = vmafx_rpc_channel_open(
        &(VmafxRpcChannelConfig){
            .target = config->controller,
            .cert_file = config->cert_file,
            .key_file = config->key_file,
            .ca_file = config->ca_file,
            .server_name = config->server_name,
            .message_max_bytes = MESSAGE_MAX,
        },
        &channel, reterr);

    if (!err)
        err = open_reading(from, channel, uri, offset, &reading, reterr);
    while (!err) {
        VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;

        err = next_piece(reading, wait, &message, reterr);
        if (err || !message)
            return err;
        const Vmafx__V1__FetchUploadResponse *piece = vmafx_message_get(message);
        err = write(to, piece->size_bytes, piece->data.data, piece->data.len, reterr);
    }
    return err;
}
