/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The scorer's own log lines, structured ones on stderr. It has no SDK: that has threads, and a program that forks must
 * have none. VMAFX_LOG_FORMAT is json or logfmt.
 */
#ifndef VMAFX_PROGRAMS_SCORER_LINES_H
#define VMAFX_PROGRAMS_SCORER_LINES_H

#include "otel/api/attr.h"
#include "otel/api/log.h"

/** @param detail  a sentence, the attribute exception.message of the line; NULL: none */
void line_log(VmafxSeverity severity, const char *message, const char *detail);
#endif
