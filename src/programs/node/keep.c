/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Names, mostly. */

#include "programs/node/keep.h"

#include <stdio.h>
#include <unistd.h>

#include "base/base.h"

static void path_of(const char *folder, const VmafxAttemptRef *ref, char *ret, size_t size)
{
    char job[VMAFX_JOB_ID_TEXT];

    vmafx_job_id_text(&ref->job, job);
    snprintf(ret, size, "%s/%s-%d.mkv", folder, job, (int)ref->attempt);
}

VmafxErr keep_open(const char *folder, const VmafxAttemptRef *ref, VmafxKeptFile *ret, VmafxErrInfo *reterr)
{
    char path[4200];

    if (!folder)
        return vmafx_fail(reterr, VMAFX_ERR_ENCODER,
                          "this node keeps no encoded videos: VMAFX_NODE_KEEP names a folder for them; or leave `keep` "
                          "out of the recipe");
    path_of(folder, ref, path, sizeof path);
    return vmafx_kept_file_open(path, ret, reterr);
}

void keep_remove(const char *folder, const VmafxAttemptRef *ref)
{
    char path[4200];

    if (!folder)
        return;
    path_of(folder, ref, path, sizeof path);
    unlink(path); /* most often there is none */
}
