/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Messages of proto/: the structs that protoc-c makes of them, and a careful way in and out. What comes in is checked:
 * a budget of memory, a depth, every string valid UTF-8 without a NUL. Whoever includes this sees the messages of
 * vmafx.v1 (Vmafx__V1__Job …) and of the scorer's pipe.
 *
 *     VMAFX_AUTO(vmafx_message_free) VmafxMessage *in = NULL;
 *     err = vmafx_message_unpack(&vmafx__v1__submit_job_request__descriptor, bytes, len, 0, &in, reterr);
 *     const Vmafx__V1__SubmitJobRequest *request = vmafx_message_get(in);
 */
#ifndef VMAFX_RPC_MESSAGE_H
#define VMAFX_RPC_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include <vmafx/error.h>

#include <vmafx/v1/fleet.pb-c.h>
#include <vmafx/v1/jobs.pb-c.h>
#include <vmafx/v1/scorer.pb-c.h>
#include <vmafx/v1/scoring.pb-c.h>
#include <vmafx/v1/traces.pb-c.h>

#define VMAFX_MESSAGE_BUDGET ((size_t)16 << 20)

/** A message that was read, and the memory it lives in. */
typedef struct VmafxMessage VmafxMessage;

/**
 * @param budget  bytes of memory that the message may take; 0: VMAFX_MESSAGE_BUDGET
 * @return VMAFX_ERR_SYNTAX not this message, or a string that is not UTF-8 (the sentence names the field's path);
 * VMAFX_ERR_LIMIT over budget; VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr vmafx_message_unpack(const ProtobufCMessageDescriptor *type, const void *data, size_t len,
                                          size_t budget, VmafxMessage **ret, VmafxErrInfo *reterr);
/** The struct, of the type that was asked for; read only; lives as long as the message. */
const void *vmafx_message_get(const VmafxMessage *message);
void vmafx_message_free(VmafxMessage **message);

/** Packs one into fresh memory (free()). VMAFX_ERR_NOMEM */
VMAFX_CHECK VmafxErr vmafx_message_pack(const ProtobufCMessage *message, uint8_t **ret, size_t *ret_len);

/**
 * As JSON for `--json` and logs: fresh memory, or NULL. Proto3's mapping with names as in the .proto files; numbers,
 * texts, enums and lists are there even when they have their default value, unset messages and oneofs are not. 64-bit
 * integers are numbers up to ±2^53, texts beyond; enums are names, bytes base64, NaN and infinities texts.
 */
char *vmafx_message_json(const ProtobufCMessage *message);

/**
 * The way back, strict: an object with the members of the message under their names in the .proto files. Unknown and
 * double members, wrong types and numbers out of range are refused by their path ("comparison.subsample: must be a
 * whole number"). 64-bit integers may be texts; enums are names; bytes base64. `null` leaves a member out.
 * @param path  what the message is called in sentences: "job"; "": its members stand for themselves
 * @return VMAFX_ERR_SYNTAX with a sentence; VMAFX_ERR_LIMIT (memory as in unpack, depth); VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr vmafx_message_from_json(const ProtobufCMessageDescriptor *type, const char *text, size_t len,
                                             size_t budget, const char *path, VmafxMessage **ret, VmafxErrInfo *reterr);
#endif
