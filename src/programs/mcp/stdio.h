/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The transport over standard input and output: a message a line, UTF-8, at most MCP_MESSAGE_MAX bytes; nothing else is
 * ever written to standard output. One client, whose older era's session is the connection.
 */
#ifndef VMAFX_PROGRAMS_MCP_STDIO_H
#define VMAFX_PROGRAMS_MCP_STDIO_H

#include "programs/mcp/mcp.h"

typedef struct Stdio Stdio;

/**
 * Starts the thread that reads.
 * @param ended  called by it once: the input is at its end, or nobody reads the output
 */
VMAFX_CHECK VmafxErr stdio_start(Program *program, int in, int out, void (*ended)(void *ctx), void *ctx, Stdio **ret,
                                 VmafxErrInfo *reterr);
/** The program is stopping: waits for what is on its way, which its waits notice. */
void stdio_stop(Stdio **stdio);
#endif
