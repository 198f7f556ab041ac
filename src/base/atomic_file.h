/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Files that appear whole or not at all:
 *
 *     VMAFX_AUTO(vmafx_atomic_file_abort) VmafxAtomicFile *file = NULL;
 *     err = vmafx_atomic_file_open(path, &file, &info);
 *     if (!err) {
 *         fprintf(vmafx_atomic_file_stream(file), ...);
 *         err = vmafx_atomic_file_commit(&file, &info);
 *     }
 *
 * What is written goes to a file beside the target, which takes the target's place on commit. A device, a pipe and
 * the likes of /dev/stdout cannot be replaced: they are written directly, and opened only at the first byte, so that
 * open and abort together probe a target without disturbing who reads from it.
 */
#ifndef VMAFX_BASE_ATOMIC_FILE_H
#define VMAFX_BASE_ATOMIC_FILE_H

#include <stdio.h>

#include <vmafx/error.h>

typedef struct VmafxAtomicFile VmafxAtomicFile;

/**
 * Begins a file. A link is followed; a file that is replaced hands its permissions on, a new one gets 0666 less umask.
 * @return VMAFX_ERR_IO naming path and reason, VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr vmafx_atomic_file_open(const char *path, VmafxAtomicFile **ret_file, VmafxErrInfo *reterr);

/** Where to write; belongs to the file. Errors may wait until commit. */
FILE *vmafx_atomic_file_stream(VmafxAtomicFile *file);

/**
 * Brings what was written to disk and puts it in place; the file is freed whatever happens. After an error the target
 * is as it was, except for directly written ones.
 * @return VMAFX_ERR_IO naming path and reason
 */
VMAFX_CHECK VmafxErr vmafx_atomic_file_commit(VmafxAtomicFile **file, VmafxErrInfo *reterr);

/** Drops what was written and frees the file; NULL is fine. */
void vmafx_atomic_file_abort(VmafxAtomicFile **file);
#endif
