/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A file that is written through a descriptor, by another process perhaps, and gets its name when it is whole. Until
 * then it has none where the file system allows that, so that nothing is left of it whoever dies.
 *
 *     VMAFX_AUTO(vmafx_kept_file_done) VmafxKeptFile file = VMAFX_KEPT_FILE_NONE;
 *     err = vmafx_kept_file_open(path, &file, &info);
 *     … write to file.fd, and seek in it …
 *     err = vmafx_kept_file_commit(&file, &info);
 */
#ifndef VMAFX_BASE_KEPT_FILE_H
#define VMAFX_BASE_KEPT_FILE_H

#include <vmafx/error.h>

typedef struct VmafxKeptFile {
    int fd;     /* to write to; -1: none */
    char *path; /* that it will have */
    char *temp; /* that it has meanwhile, where it cannot be without one; else NULL */
} VmafxKeptFile;

#define VMAFX_KEPT_FILE_NONE                                                                                           \
    {                                                                                                                  \
        .fd = -1                                                                                                       \
    }

/** In the folder of `path`, which may be there: then it is replaced in the end, if it is a plain file. VMAFX_ERR_IO
   naming path and reason, VMAFX_ERR_NOMEM */
VMAFX_CHECK VmafxErr vmafx_kept_file_open(const char *path, VmafxKeptFile *ret, VmafxErrInfo *reterr);
/** To disk, and to its name. After an error what had that name is as it was. VMAFX_ERR_IO, VMAFX_ERR_NOMEM */
VMAFX_CHECK VmafxErr vmafx_kept_file_commit(VmafxKeptFile *file, VmafxErrInfo *reterr);
/** An open file once more, with a position of its own at its start, for reading; -1 with errno: it is none that can be
    read twice, or /proc is not there. */
int vmafx_reopen(int fd);

/** Closes it; unless it was committed nothing is left of it. Content with none. */
void vmafx_kept_file_done(VmafxKeptFile *file);
#endif
