/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The Prometheus page: collected metrics as text format 0.0.4 or OpenMetrics 1.0.0. Pure functions; serving the page is
 * someone else's work. Rules: OpenTelemetry "Prometheus and OpenMetrics compatibility", translation strategy
 * UnderscoreEscapingWithSuffixes, and the two formats' own specifications.
 *
 * Whatever comes in, what goes out is a page that a scraper accepts: names and labels are made valid, text is made
 * valid UTF-8, a family is written once and in one piece, and what would contradict what is on the page already is left
 * out and counted. Metrics with delta temporality cannot be shown and are left out too.
 */
#ifndef VMAFX_OTEL_EXPORT_PROMETHEUS_H
#define VMAFX_OTEL_EXPORT_PROMETHEUS_H

#include "otel/sdk/data.h"

typedef enum VmafxPrometheusFormat {
    VMAFX_PROMETHEUS_TEXT = 0,    /* 0.0.4 */
    VMAFX_PROMETHEUS_OPENMETRICS, /* 1.0.0 */
} VmafxPrometheusFormat;

/**
 * The format for the value of an Accept header (several joined with ','); NULL or empty: TEXT. The largest q wins, of
 * equal ones the first in the header; what matches neither format is passed over, and nothing left gives TEXT.
 */
VmafxPrometheusFormat vmafx_prometheus_negotiate(const char *accept, size_t len);

/** The value of Content-Type. */
const char *vmafx_prometheus_content_type(VmafxPrometheusFormat format);

/** A page being written: data grows as needed, up to limit. Zero it, set limit; free(data) in the end. */
typedef struct VmafxPrometheusPage {
    char *data; /* terminated once something was written; len does not count the zero */
    size_t len, room;
    size_t limit; /* bytes; 0: 16 MiB */
    /* what was left out */
    uint32_t dropped_metrics; /* type or sample name of another one, delta temporality, no usable name */
    uint32_t dropped_points;  /* the same labels as an earlier point of the family */
    bool truncated;           /* whole families are missing: limit reached or no memory */
} VmafxPrometheusPage;

typedef struct VmafxPrometheusOptions {
    VmafxPrometheusFormat format;
    bool no_scope_labels; /* no otel_scope_… */
    bool no_target_info;
    bool no_suffixes; /* UnderscoreEscapingWithoutSuffixes: neither unit nor _total */
} VmafxPrometheusOptions;

/** Writes a page over what page held. resource may be NULL. Never fails: what does not fit is left out. */
void vmafx_prometheus_write(const VmafxPrometheusOptions *options, const VmafxResource *resource,
                            const VmafxMetricData *metrics, size_t n, VmafxPrometheusPage *page);
#endif
