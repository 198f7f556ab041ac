/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Uploads that the jobs of this node name, fetched from the controller that keeps them. */
#ifndef VMAFX_PROGRAMS_NODE_UPLOADS_H
#define VMAFX_PROGRAMS_NODE_UPLOADS_H

#include "programs/node/node.h"

/** For one attempt: the controller gives an upload to nobody else. */
typedef struct UploadsFrom {
    const Node *node; /* its config alone */
    VmafxAttemptRef attempt;
} UploadsFrom;

/**
 * As VmafxInputSource wants it; ctx is an UploadsFrom. On a connection of its own: that of the node belongs to its
 * loop, and a large upload must not stand before a heartbeat. Any thread.
 */
VMAFX_CHECK VmafxErr uploads_fetch(void *ctx, const char *uri, int64_t offset, const VmafxInputWait *wait,
                                   VmafxErr (*write)(void *to, int64_t total, const void *data, size_t len,
                                                     VmafxErrInfo *reterr),
                                   void *to, VmafxErrInfo *reterr);
#endif
