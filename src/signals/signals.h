/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The names of our spans, attributes and metrics as C identifiers, from signals.def; and checks that what is emitted
 * is what the table says. Everything here is constant; any thread.
 *
 *     vmafx_span_start(tracer, VMAFX_SPAN_NAME_JOB_SUBMIT);
 *     VMAFX_ATTR_STR(VMAFX_KEY_JOB_ID, id)
 *     const VmafxMetricRow *row = vmafx_metric_row(VMAFX_METRIC_ID_JOBS_FAILED);
 *
 * The table binds: tools/check-signals reads the sources for names that are not in it, and a program that runs with
 * VMAFX_SIGNALS_CHECK has the checks below on everything it makes (otel/export/signals_check.h).
 */
#ifndef VMAFX_SIGNALS_H
#define VMAFX_SIGNALS_H

#include "otel/api/attr.h"
#include "otel/api/metrics.h"
#include "otel/api/trace.h"

/** Keys, and names of scopes, spans, events and metrics, as terminated strings. */
#define VMAFX_SCOPE(id, name, text)                                   extern const char VMAFX_SCOPE_NAME_##id[];
#define VMAFX_ATTRIBUTE(id, key, type, values, text)                  extern const char VMAFX_KEY_##id[];
#define VMAFX_SPAN(id, name, kind, attributes, makers, text)          extern const char VMAFX_SPAN_NAME_##id[];
#define VMAFX_EVENT(id, name, attributes, text)                       extern const char VMAFX_EVENT_NAME_##id[];
#define VMAFX_METRIC(id, name, kind, unit, buckets, attributes, text) extern const char VMAFX_METRIC_NAME_##id[];
#include "signals/signals.def"

typedef enum VmafxAttributeId {
#define VMAFX_ATTRIBUTE(id, key, type, values, text) VMAFX_ATTRIBUTE_ID_##id,
#include "signals/signals.def"
    VMAFX_ATTRIBUTE_ID_COUNT
} VmafxAttributeId;

typedef enum VmafxSpanNameId {
#define VMAFX_SPAN(id, name, kind, attributes, makers, text) VMAFX_SPAN_ID_##id,
#include "signals/signals.def"
    VMAFX_SPAN_ID_COUNT
} VmafxSpanNameId;

typedef enum VmafxMetricId {
#define VMAFX_METRIC(id, name, kind, unit, buckets, attributes, text) VMAFX_METRIC_ID_##id,
#include "signals/signals.def"
    VMAFX_METRIC_ID_COUNT
} VmafxMetricId;

typedef enum VmafxAttributeType {
    VMAFX_ATTRIBUTE_STR,
    VMAFX_ATTRIBUTE_INT,
    VMAFX_ATTRIBUTE_DOUBLE,
    VMAFX_ATTRIBUTE_BOOL,
    VMAFX_ATTRIBUTE_STRS,
} VmafxAttributeType;

typedef struct VmafxAttributeRow {
    const char *key;
    VmafxAttributeType type;
    const char *values; /* "a|b|c": the closed set; "": any */
    const char *text;
} VmafxAttributeRow;

typedef struct VmafxSpanRow {
    const char *name; /* with "<key>" when a rule of the semantic conventions makes it */
    VmafxSpanKind kind;
    const char *attributes; /* "a b c.*": keys it may have */
    const char *makers, *text;
} VmafxSpanRow;

typedef struct VmafxMetricRow {
    const char *name;
    VmafxInstrumentKind kind;
    const char *unit;
    const double *bounds; /* NULL unless a histogram */
    size_t n_bounds;
    const char *attributes; /* "a b c": keys it may have */
    const char *text;
} VmafxMetricRow;

/** A row by id, or NULL for a number that is none. */
const VmafxAttributeRow *vmafx_attribute_row(VmafxAttributeId id);
const VmafxSpanRow *vmafx_span_row(VmafxSpanNameId id);
const VmafxMetricRow *vmafx_metric_row(VmafxMetricId id);

/** A row by key or name, or NULL; rows of spans named by a rule are not found. */
const VmafxAttributeRow *vmafx_attribute_find(const char *key);
const VmafxSpanRow *vmafx_span_find(const char *name);
const VmafxMetricRow *vmafx_metric_find(const char *name);

/** Is this one of the table's scopes? */
bool vmafx_scope_is_known(const char *name);
/** Does a name or scope begin with "vmafx."? Whatever does has to be in the table. NULL does not. */
bool vmafx_signal_is_ours(const char *name);

/*
 * Checks, for debug builds and tests: NULL when all is as the table says, else what is wrong, as a static sentence;
 * *ret_key is then the key at fault, or NULL when none is. ret_key may be NULL. They walk the table: microseconds.
 */

/** Keys are known, types fit, values are in their closed sets. Keys of others (not "vmafx.") are let pass. */
const char *vmafx_attributes_check(VmafxAttrs attrs, const char **ret_key);
/** The same, and keys of others have to be in the table too: for what our own scopes say. */
const char *vmafx_attributes_check_strictly(VmafxAttrs attrs, const char **ret_key);
/**
 * A span of one of our scopes, or called "vmafx.…": it is in the table with this kind (OTLP's number), by its name or
 * by the rule that makes its name, and its attributes are among those of its row, and fit.
 */
const char *vmafx_span_check(const char *name, int kind, VmafxAttrs attrs, const char **ret_key);
/** An event of such a span. */
const char *vmafx_event_check(const char *name, VmafxAttrs attrs, const char **ret_key);
/**
 * The description of a span's status is a text of few variants: it has no path and names nothing in quotes. What varies
 * belongs into attributes, and names of people's files into none of them.
 */
const char *vmafx_status_check(const char *description);
/** A metric is in the table with this kind and unit. */
const char *vmafx_metric_check(const char *name, VmafxInstrumentKind kind, const char *unit);
/** A measurement's attributes are among those of its metric, and fit. */
const char *vmafx_metric_attributes_check(const char *name, VmafxAttrs attrs, const char **ret_key);
#endif
