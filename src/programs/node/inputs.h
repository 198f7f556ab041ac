/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Inputs of a task: paths below the roots that the operator allows, opened here and handed on as descriptors. A path is
 * resolved by the kernel below the root that it names (openat2, RESOLVE_BENEATH): no symbolic link and no ".." leads
 * out. Any thread.
 */
#ifndef VMAFX_PROGRAMS_NODE_INPUTS_H
#define VMAFX_PROGRAMS_NODE_INPUTS_H

#include <stdbool.h>
#include <stddef.h>

#include "fleet/fleet.h"

#define INPUT_ROOTS_MAX 64

typedef struct InputRoots InputRoots;

/**
 * @param list  absolute folders, separated by colons; NULL or "": none, so that every path is refused. "/" is all
 * @return VMAFX_ERR_INVALID, VMAFX_ERR_NOT_FOUND with a sentence, VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr input_roots_open(const char *list, InputRoots **ret, VmafxErrInfo *reterr);
void input_roots_close(InputRoots **roots);

/**
 * Opens a regular file or a FIFO for reading.
 * @param uri           "/path" or "file:///path"
 * @param ret_fd        close-on-exec; the caller's
 * @param ret_failure   INPUT, RESOURCE; on failure
 * @param ret_may_pass  on failure: worth another attempt (a file system that is away for now)
 * @return VMAFX_ERR_NOT_FOUND, VMAFX_ERR_FORBIDDEN, VMAFX_ERR_INPUT, VMAFX_ERR_IO with a sentence
 */
VMAFX_CHECK VmafxErr input_open(const InputRoots *roots, const char *uri, int *ret_fd, VmafxFailure *ret_failure,
                                bool *ret_may_pass, VmafxErrInfo *reterr);
#endif
