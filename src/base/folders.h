/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Where programs keep what they keep. */
#ifndef VMAFX_BASE_FOLDERS_H
#define VMAFX_BASE_FOLDERS_H

#include <stddef.h>
#include <sys/types.h>

#include <vmafx/error.h>

/** Makes a folder and those above it, where they are missing. VMAFX_ERR_IO naming the one that failed, VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr vmafx_make_folders(const char *path, mode_t mode, VmafxErrInfo *reterr);

/**
 * $XDG_STATE_HOME/vmafx/NAME, else ~/.local/state/vmafx/NAME. Nothing is made.
 * @return VMAFX_ERR_NOT_FOUND neither is set; VMAFX_ERR_LIMIT it does not fit
 */
VMAFX_CHECK VmafxErr vmafx_state_path(const char *name, char *ret, size_t size);
#endif
