/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What the controller can be asked, one function for each RPC, whatever door the question comes through: a request's
 * message and who asks go in, a response's message comes out. The doors are api.c (gRPC) and rest.c (HTTP); neither has
 * a rule of its own.
 */
#ifndef VMAFX_PROGRAMS_CONTROLLER_API_H
#define VMAFX_PROGRAMS_CONTROLLER_API_H

#include "programs/controller/caller.h"
#include "rpc/message.h"
#include "rpc/server.h"

/** A question under way. */
typedef struct ApiCall {
    Caller caller;
    /** Gets the response, once, where the function succeeds; it lives for this call. Its error is the function's. */
    VmafxErr (*answer)(void *ctx, const ProtobufCMessage *response);
    void *ctx;
} ApiCall;

/** request: of the method's type. May wait. An error has a sentence where the table's is not enough. */
typedef VmafxErr (*ApiFunction)(void *ctx, const ApiCall *call, const void *request, VmafxErrInfo *reterr);

typedef struct ApiMethod {
    const char *path; /* "/vmafx.v1.Jobs/SubmitJob" */
    const ProtobufCMessageDescriptor *request;
    ApiFunction run;
    void *ctx;
    size_t budget;          /* of the request in memory; 0: VMAFX_MESSAGE_BUDGET */
    const struct Api *door; /* set by api_add */
} ApiMethod;

#define API_METHODS_MAX 16

/** All of them, and what the doors share. Borrowed by the servers; fixed once they run. */
typedef struct Api {
    ApiMethod methods[API_METHODS_MAX];
    size_t n;
    /** Who is at the other end of a gRPC call or stream. */
    void (*identify)(void *ctx, const VmafxRpcPeer *peer, VmafxIdentity *ret);
    /** Leaves a line: who changed what. */
    void (*audit)(void *ctx, const Caller *caller, const char *action, const char *subject);
    void *ctx; /* of both */
} Api;

void api_add(Api *api, const ApiMethod *methods, size_t n);
/** NULL: there is none. */
const ApiMethod *api_find(const Api *api, const char *path);
/** The same for a gRPC server; at most max of them. */
size_t api_rpc_methods(Api *api, VmafxRpcMethod *ret, size_t max);
/** Who holds a stream. */
Caller api_stream_caller(const Api *api, const VmafxRpcStream *stream);
#endif
