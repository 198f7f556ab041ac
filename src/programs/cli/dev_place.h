/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Where `vmafx dev` finds its programs and keeps things. The functions give an exit code, having said why on stderr. */
#ifndef VMAFX_PROGRAMS_CLI_DEV_PLACE_H
#define VMAFX_PROGRAMS_CLI_DEV_PLACE_H

#include <limits.h>
#include <stdbool.h>

/** The folder with vmafx-controller and vmafx-node: VMAFX_LIBEXEC, else that of this program. */
int dev_place_programs(char ret[PATH_MAX]);

/**
 * The folder, made if it must be, for us alone.
 * @param given     NULL: the default
 * @param ret_lock  a descriptor that holds the lock until it is closed; also set on failure, -1 or to be closed
 */
int dev_place_folder(const char *given, char ret[PATH_MAX], int *ret_lock);
#endif
