/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The six samplers of the environment's table and the decorator that records everything; see also
   sampler_probability.c. */

#include "otel/sdk/sampler.h"

#include <endian.h>
#include <stdatomic.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"

static void static_free(VmafxSampler *sampler)
{
}

static void sample_on(const VmafxSampler *sampler, const VmafxSamplingInput *input, VmafxSamplingResult *ret)
{
    ret->decision = VMAFX_SAMPLE_RECORD_AND_SAMPLE;
}

static void sample_off(const VmafxSampler *sampler, const VmafxSamplingInput *input, VmafxSamplingResult *ret)
{
    ret->decision = VMAFX_SAMPLE_DROP;
}

/* Never written; not const only because samplers are handed around as plain pointers. */
static VmafxSampler always_on = { sample_on, "AlwaysOnSampler", static_free };
static VmafxSampler always_off = { sample_off, "AlwaysOffSampler", static_free };

VmafxSampler *vmafx_sampler_always_on(void)
{
    return &always_on;
}

VmafxSampler *vmafx_sampler_always_off(void)
{
    return &always_off;
}

/* ---- by trace id ---- */

/* True for the first caller only, so that a thing is said once. */
static bool first(atomic_bool *said)
{
    return !atomic_load_explicit(said, memory_order_relaxed) &&
           !atomic_exchange_explicit(said, true, memory_order_relaxed);
}

typedef struct RatioSampler {
    VmafxSampler base;
    uint64_t bound; /* of 2^63 */
    atomic_bool warned;
    char description[40];
} RatioSampler;

static void sample_ratio(const VmafxSampler *sampler, const VmafxSamplingInput *input, VmafxSamplingResult *ret)
{
    RatioSampler *ratio = (RatioSampler *)(uintptr_t)sampler;
    uint64_t x;

    memcpy(&x, input->trace_id + 8, sizeof x);
    ret->decision = be64toh(x) >> 1 < ratio->bound ? VMAFX_SAMPLE_RECORD_AND_SAMPLE : VMAFX_SAMPLE_DROP;
    if (__builtin_expect(input->parent != NULL, 0) && first(&ratio->warned))
        ret->warning = "the sampler traceidratio decides about spans that have a parent, so traces may be incomplete: "
                       "parentbased_traceidratio follows the parent";
}

static void heap_free(VmafxSampler *sampler)
{
    free(sampler);
}

VmafxSampler *vmafx_sampler_trace_id_ratio(double ratio)
{
    RatioSampler *sampler = calloc(1, sizeof *sampler);

    if (!(ratio > 0)) /* also not a number */
        ratio = 0;
    if (ratio > 1)
        ratio = 1;
    if (!sampler)
        return ratio >= 1 ? &always_on : &always_off;
    sampler->bound = (uint64_t)(ratio * 0x1p63); /* 1 gives 2^63, above every x */
    snprintf(sampler->description, sizeof sampler->description, "TraceIdRatioBased{%.6f}", ratio);
    sampler->base = (VmafxSampler){ sample_ratio, sampler->description, heap_free };
    return &sampler->base;
}

/* ---- by parent ---- */

enum { ROOT, REMOTE_SAMPLED, REMOTE_NOT_SAMPLED, LOCAL_SAMPLED, LOCAL_NOT_SAMPLED, N_DELEGATES };

typedef struct ParentSampler {
    VmafxSampler base;
    VmafxSampler *delegates[N_DELEGATES];
    char *description;
} ParentSampler;

static void sample_by_parent(const VmafxSampler *sampler, const VmafxSamplingInput *input, VmafxSamplingResult *ret)
{
    const VmafxSpanContext *parent = input->parent;
    int which = ROOT;

    if (parent) {
        bool sampled = parent->flags & VMAFX_TRACE_FLAG_SAMPLED;

        which = parent->remote ? (sampled ? REMOTE_SAMPLED : REMOTE_NOT_SAMPLED)
                               : (sampled ? LOCAL_SAMPLED : LOCAL_NOT_SAMPLED);
    }

    const VmafxSampler *asked = ((const ParentSampler *)sampler)->delegates[which];

    asked->sample(asked, input, ret);
}

static void parent_free(VmafxSampler *sampler)
{
    ParentSampler *parent = (ParentSampler *)sampler;

    for (int i = 0; i < N_DELEGATES; i++)
        vmafx_sampler_free(&parent->delegates[i]);
    free(parent->description);
    free(parent);
}

VmafxSampler *vmafx_sampler_parent_based(const VmafxParentBased *given)
{
    static const VmafxParentBased none;
    ParentSampler *sampler = calloc(1, sizeof *sampler);

    if (!given)
        given = &none;

    VmafxSampler *delegates[N_DELEGATES] = {
        given->root ? given->root : &always_on,
        given->remote_sampled ? given->remote_sampled : &always_on,
        given->remote_not_sampled ? given->remote_not_sampled : &always_off,
        given->local_sampled ? given->local_sampled : &always_on,
        given->local_not_sampled ? given->local_not_sampled : &always_off,
    };

    if (!sampler) {
        for (int i = 1; i < N_DELEGATES; i++)
            vmafx_sampler_free(&delegates[i]);
        return delegates[ROOT];
    }
    memcpy(sampler->delegates, delegates, sizeof delegates);
    sampler->description =
        vmafx_sprintf("ParentBased{root:%s,remoteParentSampled:%s,remoteParentNotSampled:%s,"
                      "localParentSampled:%s,localParentNotSampled:%s}",
                      delegates[0]->description, delegates[1]->description, delegates[2]->description,
                      delegates[3]->description, delegates[4]->description);
    sampler->base =
        (VmafxSampler){ sample_by_parent, sampler->description ? sampler->description : "ParentBased", parent_free };
    return &sampler->base;
}

/* ---- recording everything ---- */

typedef struct RecordSampler {
    VmafxSampler base;
    VmafxSampler *asked;
    char *description;
} RecordSampler;

static void sample_and_record(const VmafxSampler *sampler, const VmafxSamplingInput *input, VmafxSamplingResult *ret)
{
    const VmafxSampler *asked = ((const RecordSampler *)sampler)->asked;

    asked->sample(asked, input, ret);
    if (ret->decision == VMAFX_SAMPLE_DROP)
        ret->decision = VMAFX_SAMPLE_RECORD_ONLY;
}

static void record_free(VmafxSampler *sampler)
{
    RecordSampler *record = (RecordSampler *)sampler;

    vmafx_sampler_free(&record->asked);
    free(record->description);
    free(record);
}

VmafxSampler *vmafx_sampler_always_record(VmafxSampler *asked)
{
    RecordSampler *sampler = calloc(1, sizeof *sampler);

    if (!asked)
        asked = &always_on;
    if (!sampler)
        return asked;
    sampler->asked = asked;
    sampler->description = vmafx_sprintf("AlwaysRecord{%s}", asked->description);
    sampler->base =
        (VmafxSampler){ sample_and_record, sampler->description ? sampler->description : "AlwaysRecord", record_free };
    return &sampler->base;
}

/* ---- by name ---- */

VmafxSampler *vmafx_sampler_by_name(const char *name, double ratio)
{
    static const char prefix[] = "parentbased_";

    if (!name)
        return NULL;
    if (!strcasecmp(name, "parentbased_vmafx_probability"))
        return vmafx_sampler_parent_probability(ratio);
    if (!strncasecmp(name, prefix, sizeof prefix - 1)) {
        const char *rest = name + sizeof prefix - 1;
        VmafxSampler *root = strncasecmp(rest, prefix, sizeof prefix - 1) ? vmafx_sampler_by_name(rest, ratio) : NULL;

        return root ? vmafx_sampler_parent_based(&(VmafxParentBased){ .root = root }) : NULL;
    }
    if (!strcasecmp(name, "always_on"))
        return vmafx_sampler_always_on();
    if (!strcasecmp(name, "always_off"))
        return vmafx_sampler_always_off();
    if (!strcasecmp(name, "traceidratio"))
        return vmafx_sampler_trace_id_ratio(ratio);
    if (!strcasecmp(name, "vmafx_probability"))
        return vmafx_sampler_probability(ratio);
    return NULL;
}

void vmafx_sampler_free(VmafxSampler **sampler)
{
    VmafxSampler *taken = sampler ? VMAFX_TAKE(*sampler) : NULL;

    if (taken)
        taken->free(taken);
}
