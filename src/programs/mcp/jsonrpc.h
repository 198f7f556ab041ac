/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * JSON-RPC 2.0 as the Model Context Protocol narrows it: text in, checked messages out, and answers made. Pure; any
 * thread.
 *
 *     VMAFX_AUTO(jsonrpc_text_done) JsonRpcText text = { 0 };
 *     JsonRpcFault fault;
 *     if (!jsonrpc_read(line, len, &text, &fault))
 *         answer = jsonrpc_error(NULL, fault.code, fault.message, NULL);
 *     for (size_t i = 0; i < text.n; i++)
 *         … text.messages[i] …
 *
 * What is refused: more than one value in a text, keys that come twice, numbers beyond 64 bits, text that is not UTF-8
 * or has a NUL in it, more than JSONRPC_DEPTH_MAX levels; ids that are neither text nor whole number, parameters that
 * are no object (the protocol has none by position).
 */
#ifndef VMAFX_PROGRAMS_MCP_JSONRPC_H
#define VMAFX_PROGRAMS_MCP_JSONRPC_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#define JSONRPC_DEPTH_MAX  64
#define JSONRPC_BATCH_MAX  100
#define JSONRPC_ID_MAX     1024 /* bytes of a text that is an id: it is sent back */
#define JSONRPC_METHOD_MAX 256

enum {
    JSONRPC_PARSE_ERROR = -32700,
    JSONRPC_INVALID_REQUEST = -32600,
    JSONRPC_UNKNOWN_METHOD = -32601,
    JSONRPC_INVALID_PARAMS = -32602,
    JSONRPC_INTERNAL_ERROR = -32603,
};

typedef enum JsonRpcKind {
    JSONRPC_REQUEST,
    JSONRPC_NOTIFICATION,
    JSONRPC_RESPONSE, /* to something that we asked; we ask nothing */
    JSONRPC_INVALID,  /* of a batch: answered with fault */
} JsonRpcKind;

typedef struct JsonRpcFault {
    int code;
    char message[256];
} JsonRpcFault;

/** Borrowed from its text. */
typedef struct JsonRpcMessage {
    JsonRpcKind kind;
    json_t *id;         /* of a request; of an invalid one if it could be told, else NULL */
    const char *method; /* of requests and notifications */
    json_t *params;     /* an object, or NULL */
    JsonRpcFault fault;
} JsonRpcMessage;

typedef struct JsonRpcText {
    json_t *root;
    bool batch;
    JsonRpcMessage *messages;
    size_t n; /* 1 unless it is a batch; then 1 … JSONRPC_BATCH_MAX */
} JsonRpcText;

/**
 * @return false with PARSE_ERROR, or INVALID_REQUEST for what is neither object nor array, for an empty or too long
 * batch; a single message that is no valid one is a message of kind INVALID
 */
bool jsonrpc_read(const char *data, size_t len, JsonRpcText *ret, JsonRpcFault *ret_fault);
void jsonrpc_text_done(JsonRpcText *text);

/* Fresh objects, or NULL without memory. The id is borrowed; NULL becomes null. Result and data are taken over. */
json_t *jsonrpc_result(json_t *id, json_t *result);
json_t *jsonrpc_error(json_t *id, int code, const char *message, json_t *data);
json_t *jsonrpc_notification(const char *method, json_t *params);

/** One line without its end, fresh memory; NULL without memory. */
char *jsonrpc_dump(const json_t *value);
#endif
