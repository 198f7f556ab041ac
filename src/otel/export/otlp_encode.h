/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Batches to OTLP 1.11 bytes: ExportTraceServiceRequest, ExportMetricsServiceRequest, ExportLogsServiceRequest.
 *
 * One resource per request, items grouped by scope in the order in which the scopes first appear. A batch is cut into
 * several requests where one would exceed the target; an item that exceeds it alone travels alone, and one that does
 * not fit below the maximum is left out and counted. Text is made UTF-8; values nested deeper than 16 become empty.
 *
 *     VmafxOtlpEncoder encoder;
 *     vmafx_otlp_encoder_init(&encoder, batch, target, max);
 *     while (vmafx_otlp_encoder_next(&encoder))
 *         send(encoder.wire.bytes, encoder.wire.len);
 *     vmafx_otlp_encoder_done(&encoder);
 */
#ifndef VMAFX_OTEL_EXPORT_OTLP_ENCODE_H
#define VMAFX_OTEL_EXPORT_OTLP_ENCODE_H

#include "otel/export/wire.h"
#include "otel/sdk/data.h"

#define VMAFX_OTLP_TARGET_BYTES ((size_t)4 << 20)  /* many servers' limit is gRPC's default, 4 MiB */
#define VMAFX_OTLP_REQUEST_MAX  ((size_t)64 << 20) /* OTLP's own limit, before compression */
#define VMAFX_OTLP_VALUE_DEPTH  16

/**
 * Items are what OpenTelemetry counts: spans, log records, data points. After next() returned true, `wire` holds one
 * request of `items`; `dropped` grows by items too large to send, or lost for want of memory. One thread at a time.
 */
typedef struct VmafxOtlpEncoder {
    VmafxWire wire;
    uint64_t items, dropped;
    /* private */
    const VmafxBatch *batch; /* borrowed until done */
    size_t target, max, at;
    size_t *order, n_order;
} VmafxOtlpEncoder;

/** 0 for target and max: the two constants above; target is at most max. A NULL or empty batch makes no request. */
void vmafx_otlp_encoder_init(VmafxOtlpEncoder *encoder, const VmafxBatch *batch, size_t target, size_t max);
void vmafx_otlp_encoder_done(VmafxOtlpEncoder *encoder);
bool vmafx_otlp_encoder_next(VmafxOtlpEncoder *encoder);

/** How many items a batch holds: spans, records, data points. */
uint64_t vmafx_otlp_batch_items(const VmafxBatch *batch);

/* Messages and fields, for the three files of the encoder. */
void vmafx_otlp_put_str(VmafxWire *wire, uint32_t field, const char *text); /* "" and NULL: left out */
void vmafx_otlp_put_attrs(VmafxWire *wire, uint32_t field, VmafxAttrs attrs);
void vmafx_otlp_put_value(VmafxWire *wire, uint32_t field, const VmafxValue *value);
void vmafx_otlp_put_id(VmafxWire *wire, uint32_t field, const uint8_t *id, size_t len); /* all zero: left out */
void vmafx_otlp_put_metric(VmafxWire *wire, uint32_t field, const VmafxMetricData *metric);
#endif
