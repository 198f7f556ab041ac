/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Where programs keep what they keep. */

#include "base/folders.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/base.h"

VmafxErr vmafx_make_folders(const char *path, mode_t mode, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_free_p) char *copy = vmafx_strdup(path);

    if (!copy)
        return VMAFX_ERR_NOMEM;
    for (char *slash = strchr(copy + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash)
            *slash = 0;
        if (mkdir(copy, mode) && errno != EEXIST)
            return vmafx_fail(reterr, VMAFX_ERR_IO, "cannot make the folder '%s': %s", copy, strerror(errno));
        if (!slash)
            return VMAFX_OK;
        *slash = '/';
    }
}

VmafxErr vmafx_state_path(const char *name, char *ret, size_t size)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int n;

    if (state && *state)
        n = snprintf(ret, size, "%s/vmafx/%s", state, name);
    else if (home && *home)
        n = snprintf(ret, size, "%s/.local/state/vmafx/%s", home, name);
    else
        return VMAFX_ERR_NOT_FOUND;
    return (size_t)n < size ? VMAFX_OK : VMAFX_ERR_LIMIT;
}
