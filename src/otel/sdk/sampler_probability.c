/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Consistent probability sampling; the rules are in sampler.h. What one sampler tells the next is the tracestate's
 * member `ot`, "k:v;k:v" of at most 256 characters: th is the threshold, rv the randomness where the trace id has none,
 * and fields that we do not know stay as they are.
 */

#include "otel/sdk/sampler.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "base/base.h"

enum { OT_MAX = 256, DIGITS = 14, DIGITS_DEFAULT = 4 };

#define RANGE ((uint64_t)1 << 56)

/* ---- The member `ot` ---- */

typedef struct Field {
    const char *ptr; /* "k:v"; NULL: there are no more */
    size_t len;
} Field;

static Field next_field(const char **at)
{
    Field field = { *at, strcspn(*at, ";") };

    if (!field.len && !(*at)[field.len])
        return (Field){ NULL, 0 };
    *at += field.len + ((*at)[field.len] == ';');
    return field;
}

static bool is(Field field, const char *key)
{
    size_t len = strlen(key);

    return field.len > len && !memcmp(field.ptr, key, len) && field.ptr[len] == ':';
}

/* From n_min to 14 digits after the key of two letters; fewer stand for the first ones. */
static bool read_number(Field field, size_t n_min, uint64_t *ret)
{
    const char *digits = field.ptr + 3;
    size_t n = field.len - 3;
    uint64_t value = 0;

    if (n < n_min || n > DIGITS)
        return false;
    for (size_t i = 0; i < DIGITS; i++) {
        char c = i < n ? digits[i] : '0';

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        value = value << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *ret = value;
    return true;
}

typedef struct Ot {
    char text[OT_MAX + 1]; /* "" when there is none */
    bool has_rv, names_th, has_th;
    uint64_t rv, th;
} Ot;

static void read_ot(const VmafxTraceState *state, Ot *ot)
{
    const char *at = ot->text;

    ot->has_rv = ot->names_th = ot->has_th = false;
    if (!vmafx_tracestate_get(state, "ot", ot->text, sizeof ot->text))
        ot->text[0] = 0;
    for (Field field; (field = next_field(&at)).ptr;) {
        if (is(field, "rv"))
            ot->has_rv = read_number(field, DIGITS, &ot->rv);
        else if (is(field, "th"))
            ot->names_th = true, ot->has_th = read_number(field, 1, &ot->th);
    }
}

/* Gives out a tracestate in which th has this text; "" erases it, and so does a text that would become too long. */
static void set_th(const Ot *ot, const char *th, VmafxSamplingResult *ret)
{
    char text[OT_MAX + 1];
    size_t len = 0;
    const char *at = ot->text;

    if (*th)
        len = (size_t)snprintf(text, sizeof text, "th:%s", th);
    for (Field field; (field = next_field(&at)).ptr;) {
        if (is(field, "th"))
            continue;
        if (len + (len > 0) + field.len > OT_MAX) {
            set_th(ot, "", ret); /* without th it is no longer than it was */
            return;
        }
        if (len)
            text[len++] = ';';
        memcpy(text + len, field.ptr, field.len);
        len += field.len;
    }
    text[len] = 0;
    if (!strcmp(text, ot->text))
        return;
    ret->made = ret->state = vmafx_tracestate_set(ret->state, "ot", len ? text : NULL);
}

static uint64_t randomness(const Ot *ot, const uint8_t trace_id[16])
{
    uint64_t r = 0;

    if (ot->has_rv)
        return ot->rv;
    for (int i = 9; i < 16; i++)
        r = r << 8 | trace_id[i];
    return r;
}

/* ---- By a ratio ---- */

typedef struct ProbabilitySampler {
    VmafxSampler base;
    uint64_t threshold;
    char th[DIGITS + 1];
    VmafxTraceState *root; /* what a root says: ours, so that nothing is made for it */
    atomic_bool warned;
    char description[40];
} ProbabilitySampler;

static void sample_probability(const VmafxSampler *sampler, const VmafxSamplingInput *input, VmafxSamplingResult *ret)
{
    ProbabilitySampler *self = (ProbabilitySampler *)(uintptr_t)sampler; /* for `warned` */
    const VmafxSpanContext *parent = input->parent;
    Ot ot;

    if (!ret->state)
        ot = (Ot){ .text = "" };
    else
        read_ot(ret->state, &ot);

    bool sampled = randomness(&ot, input->trace_id) >= self->threshold;

    ret->decision = sampled ? VMAFX_SAMPLE_RECORD_AND_SAMPLE : VMAFX_SAMPLE_DROP;
    if (!ret->state)
        ret->state = sampled ? self->root : NULL;
    else if (sampled || ot.names_th)
        set_th(&ot, sampled ? self->th : "", ret);
    if (parent && !ot.has_rv && !(parent->flags & VMAFX_TRACE_FLAG_RANDOM) &&
        !atomic_load_explicit(&self->warned, memory_order_relaxed) &&
        !atomic_exchange_explicit(&self->warned, true, memory_order_relaxed))
        ret->warning =
            "a parent does not say that its trace id is random, so the sampler vmafx_probability may not keep "
            "to its probability";
}

static void probability_free(VmafxSampler *sampler)
{
    vmafx_tracestate_unref(&((ProbabilitySampler *)sampler)->root);
    free(sampler);
}

/* Rounded to 4 digits after those f that it begins with: near 2^56 these digits are what differs. */
static uint64_t threshold_of(double ratio)
{
    uint64_t threshold = RANGE - (uint64_t)llround(ratio * 0x1p56);
    int digits = DIGITS_DEFAULT;

    for (int at = DIGITS - 1; at > 0 && (threshold >> 4 * at & 15) == 15; at--)
        digits++;
    if (digits >= DIGITS)
        return threshold;

    uint64_t unit = (uint64_t)1 << 4 * (DIGITS - digits);

    return (threshold + unit / 2) / unit * unit;
}

static void write_th(uint64_t threshold, char ret[DIGITS + 1])
{
    size_t n = DIGITS;

    snprintf(ret, DIGITS + 1, "%014llx", (unsigned long long)threshold);
    while (n > 1 && ret[n - 1] == '0')
        n--;
    ret[n] = 0;
}

VmafxSampler *vmafx_sampler_probability(double ratio)
{
    char member[DIGITS + 4 + 3];

    if (!(ratio >= 0x1p-56)) /* also not a number */
        return vmafx_sampler_always_off();

    ProbabilitySampler *sampler = calloc(1, sizeof *sampler);

    ratio = VMAFX_MIN(ratio, 1.0);
    if (!sampler)
        return ratio >= 1 ? vmafx_sampler_always_on() : vmafx_sampler_always_off();
    sampler->threshold = threshold_of(ratio);
    write_th(sampler->threshold, sampler->th);

    int len = snprintf(member, sizeof member, "ot=th:%s", sampler->th);

    sampler->root = vmafx_tracestate_parse(member, (size_t)len); /* on no memory: roots without th */
    snprintf(sampler->description, sizeof sampler->description, "ProbabilitySampler{%.6f}", ratio);
    sampler->base = (VmafxSampler){ sample_probability, sampler->description, probability_free };
    return &sampler->base;
}

/* ---- By the parent, and its threshold ---- */

static void sample_threshold(const VmafxSampler *sampler, const VmafxSamplingInput *input, VmafxSamplingResult *ret)
{
    bool sampled = input->parent && (input->parent->flags & VMAFX_TRACE_FLAG_SAMPLED);
    Ot ot;

    ret->decision = sampled ? VMAFX_SAMPLE_RECORD_AND_SAMPLE : VMAFX_SAMPLE_DROP;
    if (!ret->state)
        return;
    read_ot(ret->state, &ot);
    if (ot.names_th && !(ot.has_th && sampled == (randomness(&ot, input->trace_id) >= ot.th)))
        set_th(&ot, "", ret);
}

static void static_free(VmafxSampler *sampler)
{
}

VmafxSampler *vmafx_sampler_parent_probability(double ratio)
{
    /* Never written; not const only because samplers are handed around as plain pointers. */
    static VmafxSampler threshold = { sample_threshold, "ParentThreshold", static_free };

    return vmafx_sampler_parent_based(&(VmafxParentBased){ .root = vmafx_sampler_probability(ratio),
                                                           .remote_sampled = &threshold,
                                                           .remote_not_sampled = &threshold,
                                                           .local_sampled = &threshold,
                                                           .local_not_sampled = &threshold });
}
