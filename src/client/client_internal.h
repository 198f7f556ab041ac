/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the files of the client share. */
#ifndef VMAFX_CLIENT_CLIENT_INTERNAL_H
#define VMAFX_CLIENT_CLIENT_INTERNAL_H

#include "client/client.h"
#include "rpc/client.h"

struct VmafxClient {
    VmafxRpcChannel *channel;
    char *address;
    uint32_t timeout_ms;
    const char *kind; /* NULL: a controller */
};

/** An error of a call in words of ours: the library's about a connection help nobody who does not know it. */
VmafxErr client_explained(const VmafxClient *client, VmafxErr err, const VmafxErrInfo *info, VmafxErrInfo *reterr);
#endif
