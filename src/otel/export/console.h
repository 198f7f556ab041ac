/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Telemetry for a person at a terminal: one line per span, point and record. The format is nobody's interface.
 */
#ifndef VMAFX_OTEL_EXPORT_CONSOLE_H
#define VMAFX_OTEL_EXPORT_CONSOLE_H

#include <stdio.h>

#include "otel/sdk/data.h"

/**
 * An exporter that writes to a stream: stderr, stdout or another, borrowed until free. NULL: stderr. Lines are whole
 * even where others write to the stream too; what no terminal should be sent is written as '?'. Any signal. Never
 * NULL: on no memory an exporter that drops everything.
 */
VmafxExporter *vmafx_console_exporter_new(VmafxSignal signal, FILE *stream);
#endif
