/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What is measured of a telemetry SDK, and what each SDK brings for it. bench.c has main and the clock; vmafx.c and
 * cpp.cc carry out the same operations with the same data, so that their numbers may stand side by side.
 *
 *     bench-otel-X time                             nanoseconds per operation: lines "CASE THREADS NS"
 *     bench-otel-X once CASE N                      N operations and nothing else, to be counted by valgrind
 *     bench-otel-X start grpc|http PORT             microseconds to start and to stop with one span
 *     bench-otel-X export grpc|http PORT N          N spans as fast as a collector takes them, none dropped
 *     bench-otel-X rate grpc|http PORT RATE S       RATE spans per second for S seconds
 */
#ifndef VMAFX_BENCH_OTEL_BENCH_H
#define VMAFX_BENCH_OTEL_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The payload of a span: two strings, an integer, a double. */
#define BENCH_SPAN        "vmafx.segment"
#define BENCH_KEY_ID      "vmafx.job.id"
#define BENCH_ID          "0b8f6a52-7c1d-4f3e-9a50-1f2e3d4c5b6a"
#define BENCH_KEY_CODEC   "vmafx.codec"
#define BENCH_CODEC       "h264"
#define BENCH_KEY_FRAME   "vmafx.frame"
#define BENCH_KEY_SCORE   "vmafx.score"
#define BENCH_SCORE       93.25
#define BENCH_TRACEPARENT "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

enum { BENCH_QUEUE = 8192, BENCH_BATCH = 512, BENCH_DELAY_MS = 1000 };

typedef struct BenchCase {
    const char *name;
    void (*setup)(void);      /* may be NULL; once, before the first round of this case */
    void (*loop)(uint64_t n); /* n operations, on the calling thread */
    uint64_t per_round;       /* fewer than a quarter of the queue where spans are exported */
    unsigned threads_max;     /* 1 or 2 */
} BenchCase;

/* What an SDK brings. The last case has no name. */
extern const BenchCase bench_cases[];
void bench_settle(void); /* waits until everything made so far has left the queue */

/* A program's start and stop, with OTLP to 127.0.0.1. */
void bench_program_start(bool grpc, unsigned port);
void bench_program_stop(void);

/* A batch processor with OTLP to 127.0.0.1, BENCH_QUEUE and so on. */
void bench_export_open(bool grpc, unsigned port);
void bench_span(uint64_t i);                     /* start, 4 attributes, end, with what was opened last */
uint64_t bench_exported(void), bench_lost(void); /* spans; both count as gone from the queue */
void bench_flush(void);
void bench_export_close(void);

#ifdef __cplusplus
}
#endif
#endif
