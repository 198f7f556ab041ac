/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the files about messages share: the memory of one that is being made, and the sizes of its values. */
#ifndef VMAFX_RPC_MESSAGE_INTERNAL_H
#define VMAFX_RPC_MESSAGE_INTERNAL_H

#include "rpc/message.h"

#define MESSAGE_DEPTH_MAX 32 /* our messages are not recursive and stay far below it */

/** An empty one with that much memory to take; NULL: no memory. */
VmafxMessage *message_new(size_t budget);
/** Memory of the message, aligned for anything, not zeroed; NULL: over budget or none left, message_failure says which.
 */
void *message_take(VmafxMessage *message, size_t size);
/** Why message_take gave NULL, with a sentence; VMAFX_OK when it never did. */
VmafxErr message_failure(const VmafxMessage *message, const ProtobufCMessageDescriptor *type, VmafxErrInfo *reterr);
/** The struct it holds, made of its memory. */
void message_set(VmafxMessage *message, ProtobufCMessage *root);

/** Bytes that a value takes in a struct, and in the array of a repeated field. */
size_t message_value_size(ProtobufCType type);
#endif
