/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The program's own log lines, a log processor: logfmt for people, JSON on request, one line per record.
 *
 *     time=2026-11-25T13:39:54.123Z level=warn msg="lease lost" logger=vmafx.node vmafx.job.attempt=3
 *         trace_id=4bf92f3577b34da6a3ce929d0e0e4736 span_id=00f067aa0ba902b7 trace_flags=01            (one line)
 *     {"time":"…","level":"warn","message":"lease lost","logger":"vmafx.node","trace_id":"…","span_id":"…",
 *         "trace_flags":"01","attributes":{"vmafx.job.attempt":3}}                                     (one line)
 *
 * Text from outside can neither end a line nor move the terminal's cursor: control characters are escaped, bytes that
 * are not UTF-8 become U+FFFD.
 */
#ifndef VMAFX_OTEL_SDK_LOG_LINES_H
#define VMAFX_OTEL_SDK_LOG_LINES_H

#include "otel/sdk/log_provider.h"

/** Bytes of a line with its end; attributes that do not fit are left out, and the line says so. */
#define VMAFX_LOG_LINE_MAX 8192

typedef enum VmafxLogFormat { VMAFX_LOG_LOGFMT, VMAFX_LOG_JSON } VmafxLogFormat;

/** Writes a line with "\n" and a terminating zero; its length without the zero. Pure; any thread. */
size_t vmafx_log_line_format(const VmafxLogData *record, VmafxLogFormat format, char ret[VMAFX_LOG_LINE_MAX + 1]);

typedef struct VmafxLogLinesSettings {
    int fd; /* 2 for stderr; borrowed */
    VmafxLogFormat format;
    int minimum_severity; /* 0: all. Records without a severity are written always */
    size_t queue_bytes;   /* 0: 1 MiB */
    /**
     * Repeats: more than repeat_burst lines of one logger, severity and message within repeat_window_ms of observed
     * time are left out, and counted in the next one that is written ("suppressed"). 0 burst: 50; negative: no limit.
     * 0 window: 10 s. FATAL is always written.
     */
    int repeat_burst;
    int32_t repeat_window_ms;
} VmafxLogLinesSettings;

/**
 * Lines are made on the caller's thread and written by one of its own, so a stuck terminal stops nobody; when the queue
 * is full, lines are dropped, and the next one that fits is followed by one that counts them. Flush and shutdown keep
 * their deadlines. NULL when there is no memory or no thread.
 */
VmafxLogProcessor *vmafx_log_lines_new(const VmafxLogLinesSettings *settings);

/** Lines dropped because the queue was full, and lines left out as repeats. Zeroes for another processor. */
void vmafx_log_lines_counts(VmafxLogProcessor *processor, uint64_t *ret_dropped, uint64_t *ret_suppressed);
#endif
