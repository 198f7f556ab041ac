/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * OTLP export requests as they come from the wire: bytes nobody vouches for, walked in place. Nothing is allocated;
 * nesting is limited by the wire reader (VMAFX_WIRE_DEPTH_MAX), time grows with the bytes and no faster. Fields that
 * this version does not know are skipped. Source: opentelemetry-proto 1.x, trace.proto, common.proto.
 *
 * Pure: any thread.
 */
#ifndef VMAFX_OTEL_RECEIVE_OTLP_READ_H
#define VMAFX_OTEL_RECEIVE_OTLP_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmafx/error.h>

#include "otel/export/wire.h"

/** A view of bytes in the request; text is not checked yet. */
typedef struct VmafxOtlpBytes {
    const uint8_t *ptr;
    size_t len;
} VmafxOtlpBytes;

/** One span; lives as long as the request's bytes. */
typedef struct VmafxOtlpSpan {
    VmafxOtlpBytes trace_id, span_id; /* of any length: see vmafx_otlp_span_valid */
    VmafxOtlpBytes parent_id;         /* empty for a root */
    VmafxOtlpBytes name, status_message;
    uint64_t start_ns, end_ns; /* since 1970 */
    uint32_t kind;             /* 0 unspecified 1 internal 2 server 3 client 4 producer 5 consumer; or anything */
    uint32_t status;           /* 0 unset 1 ok 2 error; or anything */
    VmafxWireReader fields;    /* of the span, for vmafx_otlp_attribute_next with field 9 */
    VmafxWireReader resource;  /* of its resource, likewise with field 1 */
    uint32_t dropped_attributes, dropped_events, dropped_links; /* as the sender says */
} VmafxOtlpSpan;

/* The field of the attributes in each message that has some. */
enum {
    VMAFX_OTLP_SPAN_ATTRIBUTES = 9,
    VMAFX_OTLP_RESOURCE_ATTRIBUTES = 1,
    VMAFX_OTLP_EVENT_ATTRIBUTES = 3,
    VMAFX_OTLP_LINK_ATTRIBUTES = 4,
};

typedef struct VmafxOtlpEvent {
    uint64_t time_ns; /* since 1970 */
    VmafxOtlpBytes name;
    VmafxWireReader fields; /* for vmafx_otlp_attribute_next */
} VmafxOtlpEvent;

typedef struct VmafxOtlpLink {
    VmafxOtlpBytes trace_id, span_id; /* of any length */
    VmafxWireReader fields;           /* for vmafx_otlp_attribute_next */
} VmafxOtlpLink;

typedef struct VmafxOtlpAttribute {
    VmafxOtlpBytes key;
    VmafxWireField value; /* an AnyValue message; of length 0 for an empty value */
    unsigned depth;       /* where it lies */
} VmafxOtlpAttribute;

/**
 * Whether an ExportTraceServiceRequest is well formed, every event, link and attribute included: asked first, so that a
 * bad request leaves nothing behind.
 * @return VMAFX_OK or VMAFX_ERR_SYNTAX
 */
VMAFX_CHECK VmafxErr vmafx_otlp_check_spans(const void *data, size_t len, VmafxErrInfo *reterr);
/** Hands out each span of such a request. */
void vmafx_otlp_each_span(const void *data, size_t len, void (*span)(void *ctx, const VmafxOtlpSpan *span), void *ctx);

/**
 * Counts what an export request of any signal carries: spans, metrics or log records.
 * @return VMAFX_OK or VMAFX_ERR_SYNTAX
 */
VMAFX_CHECK VmafxErr vmafx_otlp_count_items(const void *data, size_t len, uint64_t *ret_items, VmafxErrInfo *reterr);

/** Ids of the right length and not all zero; a parent id is absent or of the right length. */
bool vmafx_otlp_span_valid(const VmafxOtlpSpan *span);

/** The next KeyValue in the field of that number. False at the end, or where it is malformed (fields->bad). */
bool vmafx_otlp_attribute_next(VmafxWireReader *fields, uint32_t number, VmafxOtlpAttribute *ret);

/** The next event, or link, in a span's fields; likewise. */
bool vmafx_otlp_event_next(VmafxWireReader *fields, VmafxOtlpEvent *ret);
bool vmafx_otlp_link_next(VmafxWireReader *fields, VmafxOtlpLink *ret);
/** Whether both ids have their length and are not all zero. */
bool vmafx_otlp_link_valid(const VmafxOtlpLink *link);

/**
 * An attribute's value as text, terminated and printable (vmafx_otlp_printable), cut to size: a string as it is; 12,
 * 0.5, true; [1, "a"]; {"k": 1}; bytes as hexadecimal digits.
 * @return false: the value is malformed
 */
bool vmafx_otlp_attribute_text(const VmafxOtlpAttribute *attribute, char *ret, size_t size);
#endif
