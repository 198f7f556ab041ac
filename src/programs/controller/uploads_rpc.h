/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The doors of uploads for gRPC: Jobs.FindUpload, Jobs.UploadInput, Fleet.FetchUpload. Disks are waited for, and
 * streams may not wait, so each stream that moves data has a thread; how many there are is limited. One that moves
 * nothing for a minute is ended.
 */
#ifndef VMAFX_PROGRAMS_CONTROLLER_UPLOADS_RPC_H
#define VMAFX_PROGRAMS_CONTROLLER_UPLOADS_RPC_H

#include <pthread.h>

#include "programs/controller/api.h"
#include "programs/controller/uploads.h"

#define UPLOADS_FETCHES_MAX    128 /* at a time; a node that finds no place comes again */
#define UPLOADS_FETCHES_OF_ONE 64  /* of them, by one node: one cannot keep the others out */

typedef struct UploadsRpc {
    Uploads *uploads; /* NULL: this controller takes none */
    VmafxStore *store;
    const Api *api;
    /** May this peer speak for this node? */
    VmafxErr (*allow)(void *ctx, const VmafxRpcPeer *peer, const char *node, VmafxErrInfo *reterr);
    void *allow_ctx;

    pthread_mutex_t lock; /* covers what follows */
    pthread_cond_t change;
    int n_sending, n_fetching; /* threads */
    struct Work *first;        /* those that fetch and are known to be a node */
} UploadsRpc;

#define UPLOADS_RPC_METHODS 2

/** Sets what is its own; the rest is set by then. Adds what has one answer to the table. */
void uploads_rpc_init(UploadsRpc *door, Api *api);
/** The streams. */
void uploads_rpc_methods(UploadsRpc *door, VmafxRpcMethod ret[UPLOADS_RPC_METHODS]);
/** After the server has stopped: its threads have ended when this returns. */
void uploads_rpc_done(UploadsRpc *door);

/** What is said where there are none. VMAFX_ERR_UNSUPPORTED */
VmafxErr uploads_none(VmafxErrInfo *reterr);
#endif
