/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What a service manager is told, by the protocol of systemd's sd_notify(3): datagrams of NAME=value lines to the
 * socket that NOTIFY_SOCKET names. Without that variable nothing is told to anybody, and nothing here fails.
 */
#ifndef VMAFX_SERVICE_NOTIFY_H
#define VMAFX_SERVICE_NOTIFY_H

#include <stdint.h>

typedef struct VmafxNotify {
    int fd;               /* -1: nobody listens */
    uint64_t watchdog_ns; /* a sign of life is wanted at least so often; 0: none is */
    uint64_t told_ns;     /* when the last was given */
} VmafxNotify;

/**
 * Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, and takes them out of the environment, so that no child speaks
 * for us. Before there are threads.
 */
void vmafx_notify_open(VmafxNotify *notify);
void vmafx_notify_close(VmafxNotify *notify);

/** Sends lines such as "READY=1". A manager that does not read is not waited for. */
void vmafx_notify_send(const VmafxNotify *notify, const char *lines);
/** A sign of life, where one is due: call it more often than the watchdog wants. */
void vmafx_notify_alive(VmafxNotify *notify, uint64_t now_ns);
#endif
