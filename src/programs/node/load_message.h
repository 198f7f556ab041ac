/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* How busy the node is, as its heartbeats say it. */
#ifndef VMAFX_PROGRAMS_NODE_LOAD_MESSAGE_H
#define VMAFX_PROGRAMS_NODE_LOAD_MESSAGE_H

#include "load/load.h"
#include "rpc/message.h"

/** A load as a message; it keeps what that points to, so it stays where it is. */
typedef struct LoadMessage {
    VmafxLoad load;
    Vmafx__V1__Load message;
    Vmafx__V1__ProcessLoad node, scorers;
    Vmafx__V1__GpuLoad gpus[VMAFX_LOAD_DEVICES_MAX], *list[VMAFX_LOAD_DEVICES_MAX];
} LoadMessage;

/** Makes the message of m->load. */
void load_message(LoadMessage *m);
#endif
