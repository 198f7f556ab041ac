/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The half of tracing that instrumented code links: finds the provider, dispatches to its spans, and is the no-op when
 * there is none.
 *
 * A no-op span is no object. It is either the static `nothing` or a reference to the parent's context with the lowest
 * bit of the pointer set, so that starting one allocates nothing and the parent's span context still goes out.
 *
 * At file scope change: the provider slot, and the list of tracers (which only grows). Both are touched with atomics
 * alone, so a fork can interrupt nothing.
 */

#include "otel/api/trace.h"

#include <stdatomic.h>
#include <string.h>

#include "base/base.h"

static const VmafxSpan nothing;
static VmafxTracer unnamed = { .name = "", .version = "" };
static _Atomic(VmafxTracerProvider *) global_provider;
static _Atomic(VmafxTracer *) tracers;
static atomic_uint n_tracers;

/* ---- no-op spans ---- */

static bool holds_context(const VmafxSpan *span)
{
    return (uintptr_t)span & 1;
}

static VmafxContext *held_context(const VmafxSpan *span)
{
    return (VmafxContext *)((uintptr_t)span & ~(uintptr_t)1);
}

/* The span, when an SDK made it. */
static VmafxSpan *real(const VmafxSpan *span)
{
    if (!span || holds_context(span) || !span->ops)
        return NULL;
    return (VmafxSpan *)(uintptr_t)span;
}

VmafxSpan *vmafx_span_none(void)
{
    return (VmafxSpan *)(uintptr_t)&nothing; /* never written: its ops are NULL */
}

VmafxSpan *vmafx_span_passthrough(VmafxContext *parent)
{
    if (!parent)
        parent = vmafx_context_current();
    if (!parent)
        return vmafx_span_none();
    return (VmafxSpan *)((uintptr_t)vmafx_context_ref(parent) | 1);
}

/* ---- tracers ---- */

static VmafxTracer *find_tracer(VmafxTracer *first, const VmafxTracer *last, const char *name, const char *version)
{
    for (VmafxTracer *t = first; t != last; t = t->next)
        if (!strcmp(t->name, name) && !strcmp(t->version, version))
            return t;
    return NULL;
}

VmafxTracer *vmafx_tracer_get(const char *name, const char *version)
{
    name = name ? name : "";
    version = version ? version : "";

    VmafxTracer *head = atomic_load_explicit(&tracers, memory_order_acquire);
    VmafxTracer *known = find_tracer(head, NULL, name, version);

    if (known)
        return known;
    if (atomic_fetch_add_explicit(&n_tracers, 1, memory_order_relaxed) >= VMAFX_TRACERS_MAX) {
        atomic_fetch_sub_explicit(&n_tracers, 1, memory_order_relaxed);
        return &unnamed;
    }

    size_t name_size = strlen(name) + 1, version_size = strlen(version) + 1;
    VmafxTracer *tracer = calloc(1, sizeof *tracer + name_size + version_size);

    if (!tracer) {
        atomic_fetch_sub_explicit(&n_tracers, 1, memory_order_relaxed);
        return &unnamed;
    }

    char *text = (char *)(tracer + 1);

    tracer->name = memcpy(text, name, name_size);
    tracer->version = memcpy(text + name_size, version, version_size);
    for (;;) {
        VmafxTracer *seen = head;

        tracer->next = head;
        if (atomic_compare_exchange_strong_explicit(&tracers, &head, tracer, memory_order_acq_rel,
                                                    memory_order_acquire))
            return tracer;
        known = find_tracer(head, seen, name, version); /* someone was faster: perhaps with the same name */
        if (known) {
            free(tracer);
            atomic_fetch_sub_explicit(&n_tracers, 1, memory_order_relaxed);
            return known;
        }
    }
}

void vmafx_tracer_provider_set(VmafxTracerProvider *provider)
{
    atomic_store(&global_provider, provider);
    atomic_store(&unnamed.sdk, NULL);
    for (VmafxTracer *t = atomic_load(&tracers); t; t = t->next)
        atomic_store(&t->sdk, NULL);
}

VmafxTracerProvider *vmafx_tracer_provider_get(void)
{
    return atomic_load(&global_provider);
}

/*
 * Sequentially consistent on purpose: this stores the tracer's half and then reads the slot, vmafx_tracer_provider_set
 * stores the slot and then clears the halves. One of them sees the other, so no stale half survives.
 */
static __attribute__((noinline)) VmafxTracerSdk *look_up(VmafxTracer *tracer)
{
    for (;;) {
        VmafxTracerProvider *provider = atomic_load(&global_provider);

        if (!provider)
            return NULL;

        VmafxTracerSdk *sdk = provider->tracer(provider, tracer->name, tracer->version);

        atomic_store(&tracer->sdk, sdk);
        if (atomic_load(&global_provider) == provider)
            return sdk;
        atomic_store(&tracer->sdk, NULL);
    }
}

static VmafxTracerSdk *tracer_sdk(VmafxTracer *tracer)
{
    if (!tracer)
        return NULL;

    VmafxTracerSdk *sdk = atomic_load_explicit(&tracer->sdk, memory_order_acquire);

    if (sdk || !atomic_load_explicit(&global_provider, memory_order_relaxed))
        return sdk;
    return look_up(tracer);
}

bool vmafx_tracer_enabled(VmafxTracer *tracer)
{
    VmafxTracerSdk *sdk = tracer_sdk(tracer);

    return sdk && sdk->enabled(sdk);
}

/* ---- spans ---- */

VmafxSpan *vmafx_span_start(VmafxTracer *tracer, const char *name)
{
    static const VmafxSpanOptions defaults = { .kind = VMAFX_SPAN_INTERNAL };
    VmafxTracerSdk *sdk = tracer_sdk(tracer);

    return sdk ? sdk->start(sdk, name ? name : "", &defaults) : vmafx_span_passthrough(NULL);
}

VmafxSpan *vmafx_span_start_with(VmafxTracer *tracer, const char *name, const VmafxSpanOptions *options)
{
    VmafxTracerSdk *sdk = tracer_sdk(tracer);

    if (!options)
        return vmafx_span_start(tracer, name);
    if (sdk)
        return sdk->start(sdk, name ? name : "", options);
    return options->root ? vmafx_span_none() : vmafx_span_passthrough(options->parent);
}

static void drop_held(VmafxSpan *span)
{
    if (holds_context(span)) {
        VmafxContext *context = held_context(span);

        vmafx_context_unref(&context);
    }
}

void vmafx_span_end(VmafxSpan **span)
{
    VmafxSpan *taken = span ? VMAFX_TAKE(*span) : NULL;

    if (!taken || taken == &nothing)
        return;
    if (real(taken))
        taken->ops->end(taken, 0, true);
    else
        drop_held(taken);
}

void vmafx_span_end_at(VmafxSpan *span, uint64_t end_ns)
{
    span = real(span);
    if (span)
        span->ops->end(span, end_ns, false);
}

VmafxSpan *vmafx_span_ref(VmafxSpan *span)
{
    if (holds_context(span))
        vmafx_context_ref(held_context(span));
    else if (real(span))
        span->ops->ref(span);
    return span;
}

void vmafx_span_unref(VmafxSpan **span)
{
    if (!span || !*span)
        return;

    VmafxSpan *taken = VMAFX_TAKE(*span), *to_drop = real(taken);

    if (to_drop)
        to_drop->ops->unref(to_drop);
    else
        drop_held(taken);
}

void vmafx_span_set_attr(VmafxSpan *span, VmafxAttr attr)
{
    span = real(span);
    if (span)
        span->ops->set_attrs(span, (VmafxAttrs){ &attr, 1 });
}

void vmafx_span_set_attrs(VmafxSpan *span, VmafxAttrs attrs)
{
    span = real(span);
    if (span && attrs.items && attrs.n)
        span->ops->set_attrs(span, attrs);
}

void vmafx_span_add_event(VmafxSpan *span, const char *name, VmafxAttrs attrs)
{
    vmafx_span_add_event_at(span, name, attrs, 0);
}

void vmafx_span_add_event_at(VmafxSpan *span, const char *name, VmafxAttrs attrs, uint64_t time_ns)
{
    span = real(span);
    if (span)
        span->ops->add_event(span, name ? name : "", attrs, time_ns);
}

void vmafx_span_add_link(VmafxSpan *span, const VmafxSpanContext *context, VmafxAttrs attrs)
{
    span = real(span);
    if (span && context)
        span->ops->add_link(span, context, attrs);
}

void vmafx_span_set_status(VmafxSpan *span, VmafxSpanStatus status, const char *description)
{
    span = real(span);
    if (span)
        span->ops->set_status(span, status, description ? description : "");
}

void vmafx_span_update_name(VmafxSpan *span, const char *name)
{
    span = real(span);
    if (span)
        span->ops->update_name(span, name ? name : "");
}

void vmafx_span_record_exception(VmafxSpan *span, const char *type, const char *message, const char *stacktrace,
                                 VmafxAttrs attrs)
{
    enum { ROOM = 64 };
    VmafxAttr all[3 + ROOM];
    size_t n = 0;

    if (!vmafx_span_is_recording(span))
        return;
    if (type && *type)
        all[n++] = VMAFX_ATTR_STR("exception.type", type);
    if (message && *message)
        all[n++] = VMAFX_ATTR_STR("exception.message", message);
    if (stacktrace && *stacktrace)
        all[n++] = VMAFX_ATTR_STR("exception.stacktrace", stacktrace);
    /* The caller's come last, where they win; more than there is room for are not a description of an exception. */
    for (size_t i = 0; attrs.items && i < attrs.n && i < ROOM; i++)
        all[n++] = attrs.items[i];
    vmafx_span_add_event(span, "exception", (VmafxAttrs){ all, n });
}

bool vmafx_span_context(const VmafxSpan *span, VmafxSpanContext *ret)
{
    const VmafxSpan *known = real(span);

    if (known && ret)
        return known->ops->context(known, ret);
    return vmafx_context_span(holds_context(span) ? held_context(span) : NULL, ret);
}

bool vmafx_span_is_recording(const VmafxSpan *span)
{
    span = real(span);
    return span && span->ops->is_recording(span);
}

VmafxContext *vmafx_span_to_context(const VmafxSpan *span, VmafxContext *context)
{
    VmafxSpanContext ids;

    return vmafx_span_context(span, &ids) ? vmafx_context_with_span(context, &ids) : vmafx_context_ref(context);
}

VmafxContextToken vmafx_span_attach(const VmafxSpan *span)
{
    VMAFX_AUTO(vmafx_context_unref) VmafxContext *context = vmafx_span_to_context(span, vmafx_context_current());

    return vmafx_context_attach(context);
}

void vmafx_span_detach(VmafxContextToken *token)
{
    if (token)
        vmafx_context_detach(*token);
}

void vmafx_span_record(VmafxTracer *tracer, const VmafxSpanRecord *record)
{
    VmafxTracerSdk *sdk = tracer_sdk(tracer);

    if (sdk && record && vmafx_span_context_valid(&record->context))
        sdk->record(sdk, record);
}
