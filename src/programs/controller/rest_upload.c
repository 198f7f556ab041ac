/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* POST /v1/uploads: the bytes of a file, which lie on the disk when this is called. */

#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/base.h"
#include "programs/controller/rest_internal.h"
#include "programs/controller/uploads_rpc.h"

/** What forms send is not the file alone. */
static bool is_form(const char *content_type)
{
    return content_type && !strncasecmp(content_type, "multipart/", 10);
}

static VmafxErr check_digest(VmafxHttpCall *call, const char *digest, VmafxErrInfo *reterr)
{
    const char *header = vmafx_http_call_header(call, "Content-Digest");
    char promised[VMAFX_SHA256_TEXT];
    VmafxErr err = header ? rest_content_digest(header, promised, reterr) : VMAFX_OK;

    if (err || !header || !*promised || !strcmp(promised, digest))
        return err;
    return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                      "Content-Digest: the body's SHA-256 is %s, not the promised %s: it was damaged on its way",
                      digest, promised);
}

VmafxErr rest_upload(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    const RestBinding *binding = ctx;
    const Rest *rest = binding->rest;
    VMAFX_AUTO(rest_caller_done) Caller caller = { 0 };
    Vmafx__V1__UploadInputResponse response = VMAFX__V1__UPLOAD_INPUT_RESPONSE__INIT;
    const char *digest = vmafx_http_call_body_sha256(call);
    UploadFacts facts = { .size = 0 };
    int64_t size;
    VmafxErr err = rest_check_query(binding->route, call, reterr);

    rest_caller(call, &caller);
    if (!err && !rest->uploads)
        err = uploads_none(reterr);
    if (err)
        return err;
    if (is_form(vmafx_http_call_header(call, "Content-Type")))
        return vmafx_http_answer_problem(answer, 415,
                                         "Content-Type: a form; send the bytes of the file as the body, as "
                                         "`curl --upload-file FILE --request POST` does");
    err = check_digest(call, digest, reterr);
    if (err)
        return err;
    int fd = vmafx_http_call_body_take_fd(call, &size);
    if (fd < 0)
        return vmafx_fail(reterr, VMAFX_ERR_IO, "the body's file is not there");
    err = uploads_keep(rest->uploads, caller_submitter(&caller), digest, fd, size, &facts, reterr);
    close(fd);
    if (err)
        return err;
    if (!facts.already_there)
        rest->api->audit(rest->api->ctx, &caller, "upload.keep", facts.uri);
    response.uri = facts.uri;
    response.size_bytes = facts.size;
    response.already_there = facts.already_there;
    response.kept_until_unix_us = facts.kept_until_us;
    return rest_answer_json(answer, facts.already_there ? 200 : binding->route->status,
                            vmafx_message_json(&response.base));
}
