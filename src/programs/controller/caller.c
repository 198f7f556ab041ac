/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The rule of tenants. */

#include "programs/controller/caller.h"

#include <string.h>

const char *caller_tenant(const Caller *caller)
{
    return *caller->who.tenant ? caller->who.tenant : NULL;
}

const char *caller_submitter(const Caller *caller)
{
    const char *tenant = caller_tenant(caller);

    return tenant ? tenant : caller->who.name;
}

bool caller_sees(const Caller *caller, const VmafxJob *job)
{
    const char *tenant = caller_tenant(caller);

    return !tenant || !strcmp(tenant, job->submitter);
}

VmafxErr caller_may_operate(const Caller *caller, VmafxErrInfo *reterr)
{
    if (!caller_tenant(caller))
        return VMAFX_OK;
    return vmafx_fail(reterr, VMAFX_ERR_FORBIDDEN, "tenant '%s' may not operate the fleet: nodes serve all tenants",
                      caller->who.tenant);
}
