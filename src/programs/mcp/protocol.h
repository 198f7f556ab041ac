/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The methods of the protocol, of both eras: one message in, its answer out. Which era a request is of says its _meta;
 * the transport only brings it here.
 */
#ifndef VMAFX_PROGRAMS_MCP_PROTOCOL_H
#define VMAFX_PROGRAMS_MCP_PROTOCOL_H

#include "programs/mcp/mcp.h"

/**
 * Reads the era and what else stands in _meta, and takes a request in: from now on it can be cancelled. The transport
 * has set program, message, scope, session (if any) and the callbacks; the call may not move.
 * @return NULL, and then protocol_answer or protocol_drop has to follow; or an answer that refuses the request
 */
json_t *protocol_begin(Call *call);
/** It will not be answered. */
void protocol_drop(Call *call);

/** May the message take time, so that it needs one of the few places? */
bool protocol_is_long(const JsonRpcMessage *message);

/**
 * Answers a request; acts on a notification.
 * @return the answer; NULL for notifications, responses, and requests that were cancelled meanwhile
 */
json_t *protocol_answer(Call *call);

/** The revision to speak with a client that asks for this one; static. */
const char *protocol_revision(const char *asked);
bool protocol_knows(const char *revision);

/** Does the message say that it is of the newer era (a revision in its _meta)? */
const char *protocol_modern_revision(const JsonRpcMessage *message);

/** The code of an answer that is an error, else 0. */
int protocol_error_code(const json_t *answer);
#endif
