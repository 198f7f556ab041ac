/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The OTLP receiver of `vmafx dev` on its ports: gRPC with the service vmafx.v1.Traces beside it, and HTTP. */
#ifndef VMAFX_PROGRAMS_CLI_DEV_RECEIVER_H
#define VMAFX_PROGRAMS_CLI_DEV_RECEIVER_H

#include <vmafx/error.h>

#include "otel/receive/receiver.h"

typedef struct DevReceiver DevReceiver;

/**
 * Loopback addresses only: nobody is asked who they are. Threads are started; signals must be blocked by now.
 * @param grpc  "127.0.0.1:4317"
 * @param http  "127.0.0.1:4318"; NULL: none
 * @return what the servers say; VMAFX_ERR_IO: an address is taken
 */
VMAFX_CHECK VmafxErr dev_receiver_start(const char *grpc, const char *http, DevReceiver **ret, VmafxErrInfo *reterr);
VmafxReceiverCounts dev_receiver_counts(DevReceiver *receiver);
void dev_receiver_stop(DevReceiver **receiver);
#endif
