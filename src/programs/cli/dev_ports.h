/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Addresses that `vmafx dev` gives to its programs, looked at before anyone is started. */
#ifndef VMAFX_PROGRAMS_CLI_DEV_PORTS_H
#define VMAFX_PROGRAMS_CLI_DEV_PORTS_H

#include <stdbool.h>
#include <stddef.h>

#include <vmafx/error.h>

#define DEV_ADDRESS_SIZE 80

/**
 * Whether somebody could listen there now; if so the port is held, so that nobody is given it by chance. Who sets
 * SO_REUSEADDR, as servers do, can listen on it all the same. Port 0 becomes one that is free.
 * @param address   "127.0.0.1:7801", "[::1]:7801", "localhost:7801"
 * @param ret       the address with its port
 * @param ret_hold  a socket, to be closed when it need not be held any longer
 * @return VMAFX_ERR_INVALID not such an address; VMAFX_ERR_CONFLICT it is taken; VMAFX_ERR_IO it is not ours, or not
 * allowed
 */
VMAFX_CHECK VmafxErr dev_port_check(const char *address, char ret[DEV_ADDRESS_SIZE], int *ret_hold,
                                    VmafxErrInfo *reterr);

/** Loopback, by its numbers or the name localhost. */
bool dev_address_is_loopback(const char *address);

/** Whether somebody listens there. Waits for loopback's answer at most. */
bool dev_port_answers(const char *address);
#endif
