/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Sessions of HTTP clients of the older era: at most MCP_SESSIONS_MAX. One that was not used for MCP_SESSION_IDLE_S is
 * gone; when the table is full the one that was not used for longest goes. Time comes in. Any thread.
 */
#ifndef VMAFX_PROGRAMS_MCP_SESSIONS_H
#define VMAFX_PROGRAMS_MCP_SESSIONS_H

#include "programs/mcp/mcp.h"

typedef struct Sessions Sessions;

Sessions *sessions_new(void); /* NULL: no memory */
void sessions_free(Sessions **sessions);

/** A new one, with a reference of the caller's; NULL without memory or randomness. */
Session *sessions_begin(Sessions *sessions, const char *owner, uint64_t now_ns);
/** The one of that id and owner, with a reference of the caller's; NULL: none. It has been used now. */
Session *sessions_find(Sessions *sessions, const char *id, const char *owner, uint64_t now_ns);
/** False: there was none. Who still has a reference may go on. */
bool sessions_end(Sessions *sessions, const char *id, const char *owner);
void session_unref(Session **session);
size_t sessions_count(Sessions *sessions);
#endif
