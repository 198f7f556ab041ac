/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Who asks, by whatever door, and what of the jobs is theirs to see. THE rule of tenants, nowhere else:
 *
 *     An identity with a tenant submits as that tenant, and of the jobs there are only that tenant's: others it cannot
 *     list, read, follow, cancel, retry or delete; asked for one by its id it hears that there is none. Nodes it sees
 *     without the tasks they run, and it drains none. An identity without a tenant sees everything its role allows.
 */
#ifndef VMAFX_PROGRAMS_CONTROLLER_CALLER_H
#define VMAFX_PROGRAMS_CONTROLLER_CALLER_H

#include "auth/auth.h"
#include "fleet/fleet.h"
#include "otel/api/context.h"

typedef struct Caller {
    VmafxIdentity who;
    const char *address;  /* for the audit */
    VmafxContext *remote; /* what the caller's traceparent said; NULL: nothing. Borrowed */
} Caller;

/** Whose jobs it submits: the tenant, or else the identity itself. */
const char *caller_submitter(const Caller *caller);
/** Whose jobs it sees; NULL: everybody's. */
const char *caller_tenant(const Caller *caller);
bool caller_sees(const Caller *caller, const VmafxJob *job);
/** May it change what belongs to nobody alone, as nodes? VMAFX_ERR_FORBIDDEN, with a sentence */
VMAFX_CHECK VmafxErr caller_may_operate(const Caller *caller, VmafxErrInfo *reterr);
#endif
