/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Samplers: which spans are recorded and exported. A sampler may be asked from any thread, decides by its settings and
 * the input alone, is quick and does not block. Rules: OpenTelemetry Trace SDK, "Sampling".
 */
#ifndef VMAFX_OTEL_SDK_SAMPLER_H
#define VMAFX_OTEL_SDK_SAMPLER_H

#include "otel/sdk/data.h"

#include "otel/api/context.h"
#include "otel/api/trace.h"

typedef enum VmafxSamplingDecision {
    VMAFX_SAMPLE_DROP = 0,
    VMAFX_SAMPLE_RECORD_ONLY, /* processors see it, exporters do not */
    VMAFX_SAMPLE_RECORD_AND_SAMPLE,
} VmafxSamplingDecision;

/** What a sampler is told about a span to be; borrowed for the call. */
typedef struct VmafxSamplingInput {
    const VmafxSpanContext *parent; /* NULL: none */
    const uint8_t *trace_id;        /* 16 bytes */
    const char *name;
    VmafxSpanKind kind;
    VmafxAttrs attrs;
    const VmafxSpanLink *links;
    size_t n_links;
} VmafxSamplingInput;

/** Filled with DROP, no attributes and the parent's tracestate before the sampler is asked. */
typedef struct VmafxSamplingResult {
    VmafxSamplingDecision decision;
    VmafxAttrs attrs;       /* added to the span; must live until it has started */
    VmafxTraceState *state; /* NULL clears it; borrowed until the span has started */
    VmafxTraceState *made;  /* NULL, or a reference that goes to the asker: what state is, when it was made for this */
    const char *warning;    /* NULL, or constant text for the operator; each sampler says a thing once */
} VmafxSamplingResult;

typedef struct VmafxSampler VmafxSampler;
struct VmafxSampler {
    void (*sample)(const VmafxSampler *sampler, const VmafxSamplingInput *input, VmafxSamplingResult *ret);
    const char *description; /* lives as long as the sampler */
    void (*free)(VmafxSampler *sampler);
};

/* All constructors give a working sampler: on no memory the closest static one. Release with vmafx_sampler_free. */
VmafxSampler *vmafx_sampler_always_on(void);
VmafxSampler *vmafx_sampler_always_off(void);

/**
 * A function of the trace id alone; a higher ratio samples a superset. The form of Go's and Rust's SDKs:
 *
 *     bound = (uint64)(ratio · 2^63)          ratio ≥ 1: always; ratio ≤ 0 or not a number: never
 *     x     = big-endian u64 of trace_id[8 … 16) >> 1
 *     sample iff x < bound
 *
 * A trace is sampled whole only where roots alone are decided so: a parent it sees is a reason to warn.
 */
VmafxSampler *vmafx_sampler_trace_id_ratio(double ratio);

/** Whom a parent-based sampler asks; NULL: the default, which follows the parent. */
typedef struct VmafxParentBased {
    VmafxSampler *root; /* NULL: always on */
    VmafxSampler *remote_sampled, *remote_not_sampled, *local_sampled, *local_not_sampled;
} VmafxParentBased;

/** Takes over the samplers it is given. */
VmafxSampler *vmafx_sampler_parent_based(const VmafxParentBased *delegates);

/**
 * Consistent probability sampling (OpenTelemetry, "TraceState: Probability Sampling" and W3C Trace Context Level 2; in
 * development there). Decides by 56 random bits and tells the threshold, so that spans can be counted for those that
 * were not sampled:
 *
 *     T = rejection threshold of the ratio in [2^−56, 1], of 2^56, in 4 hexadecimal digits, and one more for each
 *         digit f it begins with: 0.5 → 8, 0.1 → e666, 0.01 → fd70a
 *     R = rv of the tracestate's member `ot` (14 digits), else the last 7 bytes of the trace id
 *     sample iff R ≥ T; then `th` of `ot` is T without its zeros at the end ("0" for 0), else it is erased
 *
 * A sampled span stands for 2^56 / (2^56 − T). Below 2^−56, and not a number: always off, 1 and more: T = 0. A parent
 * whose trace id does not say that it is random, and has no rv, is a reason to warn.
 */
VmafxSampler *vmafx_sampler_probability(double ratio);

/**
 * Parent-based, roots by probability. A child follows its parent, and th stays as long as it agrees with that:
 * sampled if and only if R ≥ T. What does not is erased: then nobody knows the probability.
 */
VmafxSampler *vmafx_sampler_parent_probability(double ratio);

/** Turns DROP into RECORD_ONLY. Takes over the sampler. */
VmafxSampler *vmafx_sampler_always_record(VmafxSampler *sampler);

/**
 * By the names of OTEL_TRACES_SAMPLER, ignoring case: always_on, always_off, traceidratio, parentbased_always_on,
 * parentbased_always_off, parentbased_traceidratio, vmafx_probability, parentbased_vmafx_probability. Only
 * some of them look at the ratio. NULL for any other name.
 */
VmafxSampler *vmafx_sampler_by_name(const char *name, double ratio);

void vmafx_sampler_free(VmafxSampler **sampler);
#endif
