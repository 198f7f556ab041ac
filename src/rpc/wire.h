/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Protobuf's wire format by hand, for what is read before or without generated code: the check of strings, health,
 * reflection. Plain views, no allocation in reading; nothing here recurses. (protobuf.dev, "Encoding".)
 */
#ifndef VMAFX_RPC_WIRE_H
#define VMAFX_RPC_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RPC_WIRE_VARINT = 0, RPC_WIRE_64 = 1, RPC_WIRE_BYTES = 2, RPC_WIRE_32 = 5 };

/** Some bytes of someone else. */
typedef struct RpcBytes {
    const uint8_t *ptr;
    size_t len;
} RpcBytes;

typedef struct RpcField {
    uint32_t number;
    int type;       /* RPC_WIRE_… */
    uint64_t value; /* all types but BYTES */
    RpcBytes bytes; /* BYTES: a view into the message */
} RpcField;

/**
 * Takes the next field off the front of *rest. False at the end, with *rest empty, and for what is no field (groups
 * too), with *rest as it was.
 */
bool rpc_wire_next(RpcBytes *rest, RpcField *ret);

/** The last BYTES field of this number; an empty view when there is none. */
RpcBytes rpc_wire_find(RpcBytes message, uint32_t number);

bool rpc_bytes_are(RpcBytes bytes, const char *text);

/** Bytes that grow. Zeroed: empty. Once memory failed it stays failed and writes nothing more. */
typedef struct RpcOut {
    uint8_t *ptr; /* free() */
    size_t len, room;
    bool failed;
} RpcOut;

void rpc_out_bytes(RpcOut *out, const void *ptr, size_t len);
void rpc_out_text(RpcOut *out, const char *text);
void rpc_wire_put_varint(RpcOut *out, uint32_t number, uint64_t value);
void rpc_wire_put_bytes(RpcOut *out, uint32_t number, RpcBytes bytes);
void rpc_wire_put_text(RpcOut *out, uint32_t number, const char *text);
#endif
