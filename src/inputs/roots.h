/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Paths below the folders that the operator allows. */
#ifndef VMAFX_INPUTS_ROOTS_H
#define VMAFX_INPUTS_ROOTS_H

#include "inputs/inputs.h"

typedef struct InputRoots InputRoots;

/**
 * @param list  absolute folders, separated by colons; NULL or "": none, so that every path is refused. "/" is all
 * @param name  of the setting, for sentences
 * @return VMAFX_ERR_INVALID, VMAFX_ERR_NOT_FOUND, VMAFX_ERR_LIMIT with a sentence; VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr input_roots_open(const char *list, const char *name, InputRoots **ret, VmafxErrInfo *reterr);
void input_roots_close(InputRoots **roots);

/**
 * Opens a regular file or a FIFO for reading.
 * @param uri  "/path" or "file:///path"
 * @param ret  fd, size, and on failure may_pass and resource
 * @return VMAFX_ERR_NOT_FOUND, VMAFX_ERR_FORBIDDEN, VMAFX_ERR_INPUT, VMAFX_ERR_IO with a sentence
 */
VMAFX_CHECK VmafxErr input_roots_get(const InputRoots *roots, const char *uri, VmafxInput *ret, VmafxErrInfo *reterr);
#endif
