/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The lines of a program that logs to stderr (otel.h, log_lines): its log records, and what the SDK itself has to say,
 * both in one format, through one thread. One at a time; what it keeps belongs to the process, because threads that a
 * stop could not end may have something to say when everything else is gone.
 */
#ifndef VMAFX_OTEL_EXPORT_OTEL_LINES_H
#define VMAFX_OTEL_EXPORT_OTEL_LINES_H

#include "otel/sdk/env.h"
#include "otel/sdk/log_provider.h"

/** The thread begins, and complaints become lines. False without memory or a thread: complaints are lines even so. */
bool vmafx_otel_lines_open(const VmafxOtelSettings *settings);

/** From now on lines begin at this severity (25: none). Any thread. Nothing happens when they are not open. */
void vmafx_otel_lines_set_level(int severity);

/** For the log provider, which does not end the lines: complaints may come until close. NULL: none, or no memory. */
VmafxLogProcessor *vmafx_otel_lines_processor(void);

/** A VmafxOtelErrorHandler; ctx is not used. Any thread, at any time, also after close and in a forked child. */
void vmafx_otel_lines_complain(void *ctx, int severity, const char *message);

VmafxExportResult vmafx_otel_lines_flush(uint64_t deadline_ns);
/** Writes what is left, until the deadline. No processor of it may be in use. Does nothing when it is not open. */
VmafxExportResult vmafx_otel_lines_close(uint64_t deadline_ns);
#endif
