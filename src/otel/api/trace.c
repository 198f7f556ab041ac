/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The half of tracing that instrumented code links: finds the provider, dispatches to its spans, and is the no-op when
 * there is none. A no-op span is no object but a reference to the parent's context (trace.h, at its end), so that
 * starting one allocates nothing and the parent's span context still goes out.
 *
 * At file scope change: the provider slot, and the list of tracers (which only grows). Both are touched with atomics
 * alone, so a fork can interrupt nothing.
 */

#include "otel/api/trace.h"

#include <stdatomic.h>
#include <string.h>

#include "base/base.h"
#include "otel/api/attr_set.h"

static VmafxTracer unnamed = { .name = "", .version = "", .schema_url = "" };
_Atomic(VmafxTracerProvider *) vmafx_tracer_provider_global;
static _Atomic(VmafxTracer *) tracers;
static atomic_uint n_tracers;

/* ---- what a span may be ---- */

static bool holds_context(const VmafxSpan *span)
{
    return (uintptr_t)span & VMAFX_SPAN_IS_CONTEXT;
}

/* The reference of a no-op; NULL when it has none. */
static VmafxContext *held_context(const VmafxSpan *span)
{
    return (VmafxContext *)((uintptr_t)span & ~(uintptr_t)VMAFX_SPAN_IS_CONTEXT);
}

/* The address of one that an SDK made, recording or not; NULL for a no-op. */
static VmafxSpan *real(const VmafxSpan *span)
{
    return holds_context(span) ? NULL : (VmafxSpan *)((uintptr_t)span & ~(uintptr_t)VMAFX_SPAN_IS_IDLE);
}

VmafxSpan *vmafx_span_passthrough(VmafxContext *parent)
{
    if (!parent)
        parent = vmafx_context_current();
    return (VmafxSpan *)((uintptr_t)vmafx_context_ref(parent) | VMAFX_SPAN_IS_CONTEXT);
}

/* ---- tracers ---- */

static VmafxTracer *find_tracer(VmafxTracer *first, const VmafxTracer *last, const VmafxTracer *wanted)
{
    for (VmafxTracer *t = first; t != last; t = t->next)
        if (!strcmp(t->name, wanted->name) && !strcmp(t->version, wanted->version) &&
            !strcmp(t->schema_url, wanted->schema_url) && vmafx_attr_set_equal(t->attrs, wanted->attrs))
            return t;
    return NULL;
}

static void tracer_free(VmafxTracer **tracer)
{
    if (*tracer)
        free((void *)(*tracer)->attrs.items);
    free(VMAFX_TAKE(*tracer));
}

/* Takes over the attributes of wanted, also on failure. */
static VmafxTracer *tracer_make(const VmafxTracer *wanted)
{
    size_t sizes[] = { strlen(wanted->name) + 1, strlen(wanted->version) + 1, strlen(wanted->schema_url) + 1 };
    VmafxTracer *tracer = calloc(1, sizeof *tracer + sizes[0] + sizes[1] + sizes[2]);

    if (!tracer) {
        free((void *)wanted->attrs.items);
        return NULL;
    }

    char *text = (char *)(tracer + 1);

    tracer->name = memcpy(text, wanted->name, sizes[0]);
    tracer->version = memcpy(text + sizes[0], wanted->version, sizes[1]);
    tracer->schema_url = memcpy(text + sizes[0] + sizes[1], wanted->schema_url, sizes[2]);
    tracer->attrs = wanted->attrs;
    return tracer;
}

VmafxTracer *vmafx_tracer_get_with(const char *name, const char *version, const char *schema_url, VmafxAttrs attrs)
{
    VmafxTracer wanted = { .name = name ? name : "",
                           .version = version ? version : "",
                           .schema_url = schema_url ? schema_url : "" };

    if (!vmafx_attr_set_copy(attrs, &wanted.attrs))
        return &unnamed;

    VmafxTracer *head = atomic_load_explicit(&tracers, memory_order_acquire);
    VmafxTracer *known = find_tracer(head, NULL, &wanted);

    if (known) {
        free((void *)wanted.attrs.items);
        return known;
    }

    bool room = atomic_fetch_add_explicit(&n_tracers, 1, memory_order_relaxed) < VMAFX_TRACERS_MAX;
    VMAFX_AUTO(tracer_free) VmafxTracer *tracer = tracer_make(&wanted);

    while (room && tracer) {
        VmafxTracer *seen = head;

        tracer->next = head;
        if (atomic_compare_exchange_strong_explicit(&tracers, &head, tracer, memory_order_acq_rel,
                                                    memory_order_acquire))
            return VMAFX_TAKE(tracer);
        known = find_tracer(head, seen, &wanted); /* someone was faster: perhaps with the same name */
        if (known)
            break;
    }
    atomic_fetch_sub_explicit(&n_tracers, 1, memory_order_relaxed);
    return known ? known : &unnamed;
}

VmafxTracer *vmafx_tracer_get(const char *name, const char *version)
{
    return vmafx_tracer_get_with(name, version, NULL, VMAFX_NO_ATTRS);
}

void vmafx_tracer_provider_set(VmafxTracerProvider *provider)
{
    atomic_store(&vmafx_tracer_provider_global, provider);
    atomic_store(&unnamed.sdk, NULL);
    for (VmafxTracer *t = atomic_load(&tracers); t; t = t->next)
        atomic_store(&t->sdk, NULL);
}

VmafxTracerProvider *vmafx_tracer_provider_get(void)
{
    return atomic_load(&vmafx_tracer_provider_global);
}

/*
 * Sequentially consistent on purpose: this stores the tracer's half and then reads the slot, vmafx_tracer_provider_set
 * stores the slot and then clears the halves. One of them sees the other, so no stale half survives.
 */
static __attribute__((noinline)) VmafxTracerSdk *look_up(VmafxTracer *tracer)
{
    for (;;) {
        VmafxTracerProvider *provider = atomic_load(&vmafx_tracer_provider_global);

        if (!provider)
            return NULL;

        VmafxTracerSdk *sdk = provider->tracer(provider, tracer);

        atomic_store(&tracer->sdk, sdk);
        if (atomic_load(&vmafx_tracer_provider_global) == provider)
            return sdk;
        atomic_store(&tracer->sdk, NULL);
    }
}

static VmafxTracerSdk *tracer_sdk(VmafxTracer *tracer)
{
    if (!tracer)
        return NULL;

    VmafxTracerSdk *sdk = atomic_load_explicit(&tracer->sdk, memory_order_acquire);

    if (sdk || !atomic_load_explicit(&vmafx_tracer_provider_global, memory_order_relaxed))
        return sdk;
    return look_up(tracer);
}

bool vmafx_tracer_enabled(VmafxTracer *tracer)
{
    VmafxTracerSdk *sdk = tracer_sdk(tracer);

    return sdk && sdk->enabled(sdk);
}

/* ---- spans ---- */

const VmafxSpanOptions vmafx_span_defaults = { .kind = VMAFX_SPAN_INTERNAL };

VmafxSpan *vmafx_span_start_slowly(VmafxTracer *tracer, const char *name)
{
    VmafxTracerSdk *sdk = tracer_sdk(tracer);

    return sdk ? sdk->start(sdk, name ? name : "", &vmafx_span_defaults) : vmafx_span_passthrough(NULL);
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

static void drop_held(const VmafxSpan *span)
{
    VmafxContext *context = held_context(span);

    vmafx_context_unref(&context);
}

void vmafx_span_end_slowly(VmafxSpan *span)
{
    VmafxSpan *known = real(span);

    if (known)
        known->ops->end(known, 0, true);
    else
        drop_held(span);
}

void vmafx_span_end_at(VmafxSpan *span, uint64_t end_ns)
{
    if (vmafx_span_may_record(span))
        span->ops->end(span, end_ns, false);
}

VmafxSpan *vmafx_span_ref(VmafxSpan *span)
{
    VmafxSpan *known = real(span);

    if (known)
        known->ops->ref(known);
    else
        vmafx_context_ref(held_context(span));
    return span;
}

void vmafx_span_unref(VmafxSpan **span)
{
    VmafxSpan *taken = span ? VMAFX_TAKE(*span) : NULL, *known = real(taken);

    if (known)
        known->ops->unref(known);
    else
        drop_held(taken);
}

void vmafx_span_set_attrs(VmafxSpan *span, VmafxAttrs attrs)
{
    if (vmafx_span_may_record(span) && attrs.items && attrs.n)
        span->ops->set_attrs(span, attrs);
}

void vmafx_span_add_event(VmafxSpan *span, const char *name, VmafxAttrs attrs)
{
    vmafx_span_add_event_at(span, name, attrs, 0);
}

void vmafx_span_add_event_at(VmafxSpan *span, const char *name, VmafxAttrs attrs, uint64_t time_ns)
{
    if (vmafx_span_may_record(span))
        span->ops->add_event(span, name ? name : "", attrs, time_ns);
}

void vmafx_span_add_link(VmafxSpan *span, const VmafxSpanContext *context, VmafxAttrs attrs)
{
    if (vmafx_span_may_record(span) && context)
        span->ops->add_link(span, context, attrs);
}

void vmafx_span_set_status(VmafxSpan *span, VmafxSpanStatus status, const char *description)
{
    if (vmafx_span_may_record(span))
        span->ops->set_status(span, status, description ? description : "");
}

void vmafx_span_update_name(VmafxSpan *span, const char *name)
{
    if (vmafx_span_may_record(span))
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
    return vmafx_context_span(known ? NULL : held_context(span), ret);
}

bool vmafx_span_is_recording(const VmafxSpan *span)
{
    return vmafx_span_may_record(span) && span->ops->is_recording(span);
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
