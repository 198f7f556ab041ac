/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The scorer's one thread and one loop: requests in, children out, their ends back. */
#ifndef VMAFX_PROGRAMS_SCORER_SUPERVISOR_H
#define VMAFX_PROGRAMS_SCORER_SUPERVISOR_H

#include <vmafx/error.h>

#define SCORER_TASKS_MAX 256

/**
 * Serves until the other end of the socket is closed; kills all children then.
 * @param socket  a connected SOCK_SEQPACKET socket
 * @return VMAFX_OK at the end of the connection; else why there was no beginning, or no going on
 */
VMAFX_CHECK VmafxErr supervisor_run(int socket, VmafxErrInfo *reterr);
#endif
