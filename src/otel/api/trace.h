/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Traces as instrumented code sees them: tracers and spans. Without an SDK everything here is a no-op that passes the
 * parent's span context on; ids are never invented. Nothing fails: tracers and spans are never NULL, NULL is accepted
 * everywhere and does nothing. Every call may come from any thread; none blocks or does I/O.
 *
 *     VMAFX_AUTO(vmafx_span_end) VmafxSpan *span = vmafx_span_start(tracer, "score segment");
 *     vmafx_span_set_int(span, "vmafx.frames", n);
 *
 * Rules: OpenTelemetry Trace API (stable).
 */
#ifndef VMAFX_OTEL_API_TRACE_H
#define VMAFX_OTEL_API_TRACE_H

#include <stdatomic.h>

#include "otel/api/attr.h"
#include "otel/api/context.h"

#define VMAFX_TRACE_FLAG_SAMPLED 0x01
#define VMAFX_TRACE_FLAG_RANDOM  0x02

typedef enum VmafxSpanKind {
    VMAFX_SPAN_INTERNAL = 1, /* the numbers are OTLP's */
    VMAFX_SPAN_SERVER,
    VMAFX_SPAN_CLIENT,
    VMAFX_SPAN_PRODUCER,
    VMAFX_SPAN_CONSUMER,
} VmafxSpanKind;

typedef enum VmafxSpanStatus { VMAFX_STATUS_UNSET = 0, VMAFX_STATUS_OK, VMAFX_STATUS_ERROR } VmafxSpanStatus;

typedef struct VmafxTracer VmafxTracer;
typedef struct VmafxSpan VmafxSpan; /* opaque, and not always an address: see the end */

/* ---- Tracers ---- */

/**
 * The tracer of a room (`vmafx.engine`) and its version. Get it once, at start-up; it lives as long as the process and
 * begins to work when an SDK is installed. NULL is "". Everything is copied. At most VMAFX_TRACERS_MAX different ones;
 * whoever comes later shares one without a name.
 */
#define VMAFX_TRACERS_MAX 1024
VmafxTracer *vmafx_tracer_get(const char *name, const char *version);
/** With the schema its spans follow (NULL: none) and the scope's attributes. Identity is all four. */
VmafxTracer *vmafx_tracer_get_with(const char *name, const char *version, const char *schema_url, VmafxAttrs attrs);

/** False when nobody would see a span: worth asking only before expensive attributes. */
bool vmafx_tracer_enabled(VmafxTracer *tracer);

/* ---- Spans ---- */

typedef struct VmafxSpanLink {
    VmafxSpanContext context; /* its state is borrowed */
    VmafxAttrs attrs;
} VmafxSpanLink;

typedef struct VmafxSpanEvent {
    const char *name;
    uint64_t time_ns;
    VmafxAttrs attrs;
} VmafxSpanEvent;

/** How to start a span; zeroes are the defaults. Everything is borrowed for the call. */
typedef struct VmafxSpanOptions {
    VmafxSpanKind kind;   /* 0: internal */
    VmafxContext *parent; /* NULL: this thread's current context */
    bool root;            /* no parent, whatever the context says */
    uint64_t start_ns;    /* Unix; 0: now */
    VmafxAttrs attrs;     /* what samplers see */
    const VmafxSpanLink *links;
    size_t n_links;
} VmafxSpanOptions;

/** A child of the current context's span, of kind internal. */
static inline VmafxSpan *vmafx_span_start(VmafxTracer *tracer, const char *name);
VmafxSpan *vmafx_span_start_with(VmafxTracer *tracer, const char *name, const VmafxSpanOptions *options);

/**
 * Ends the span, unless it has ended, gives this reference back and sets the pointer to NULL. Children and contexts
 * stay as they are: an ended span may be a parent.
 */
static inline void vmafx_span_end(VmafxSpan **span);

/** Ends it (at a Unix time; 0: now) but keeps the reference, which still goes to vmafx_span_end. The first end wins. */
void vmafx_span_end_at(VmafxSpan *span, uint64_t end_ns);

/**
 * Another reference, for another holder: one for every thread that uses the span on its own time. unref gives one back
 * without ending; a span whose last reference goes that way is never exported.
 */
VmafxSpan *vmafx_span_ref(VmafxSpan *span);
void vmafx_span_unref(VmafxSpan **span);

/*
 * No effect on a span that has ended or does not record. Everything is copied, and cut to the provider's limits. An
 * attribute without a key is ignored; an existing key is overwritten in place.
 */
static inline void vmafx_span_set_str(VmafxSpan *span, const char *key, const char *value);
static inline void vmafx_span_set_int(VmafxSpan *span, const char *key, int64_t value);
static inline void vmafx_span_set_double(VmafxSpan *span, const char *key, double value);
static inline void vmafx_span_set_bool(VmafxSpan *span, const char *key, bool value);
static inline void vmafx_span_set_attr(VmafxSpan *span, VmafxAttr attr);
void vmafx_span_set_attrs(VmafxSpan *span, VmafxAttrs attrs);
void vmafx_span_add_event(VmafxSpan *span, const char *name, VmafxAttrs attrs);
/** At a Unix time; 0: now. */
void vmafx_span_add_event_at(VmafxSpan *span, const char *name, VmafxAttrs attrs, uint64_t time_ns);
/** One with zero ids is kept only when it has attributes or a tracestate. */
void vmafx_span_add_link(VmafxSpan *span, const VmafxSpanContext *context, VmafxAttrs attrs);
/** OK is final, ERROR may replace ERROR, UNSET is ignored. A description (may be NULL) only counts with ERROR. */
void vmafx_span_set_status(VmafxSpan *span, VmafxSpanStatus status, const char *description);
void vmafx_span_update_name(VmafxSpan *span, const char *name);
/** The event "exception"; NULL or "" leaves a field out; the caller's attributes win over the three. */
void vmafx_span_record_exception(VmafxSpan *span, const char *type, const char *message, const char *stacktrace,
                                 VmafxAttrs attrs);

/** False, and zeroes, for a no-op without a parent. The state is borrowed from the span. */
bool vmafx_span_context(const VmafxSpan *span, VmafxSpanContext *ret);
bool vmafx_span_is_recording(const VmafxSpan *span);

/**
 * Makes the current context with this span in it current, until the token is detached:
 *
 *     VMAFX_AUTO(vmafx_span_detach) VmafxContextToken token = vmafx_span_attach(span);
 */
VmafxContextToken vmafx_span_attach(const VmafxSpan *span);
void vmafx_span_detach(VmafxContextToken *token);

/** The given context (NULL: root) with this span in it; a new reference. */
VmafxContext *vmafx_span_to_context(const VmafxSpan *span, VmafxContext *context);

/* ---- Spans that happened elsewhere ---- */

/** A finished span with ids of the caller's choice, such as the wait of a job between two processes. */
typedef struct VmafxSpanRecord {
    VmafxSpanContext context;                    /* without the sampled flag nothing is exported */
    uint8_t parent_span_id[VMAFX_SPAN_ID_BYTES]; /* all zero: a root */
    bool parent_remote;
    const char *name;
    VmafxSpanKind kind;        /* 0: internal */
    uint64_t start_ns, end_ns; /* Unix; not corrected */
    VmafxAttrs attrs;
    const VmafxSpanEvent *events;
    size_t n_events;
    const VmafxSpanLink *links;
    size_t n_links;
    VmafxSpanStatus status;
    const char *status_description; /* with ERROR; NULL: none */
} VmafxSpanRecord;

/** Hands it to the processors. Ignored when its context is invalid or there is no SDK. No sampler is asked. */
void vmafx_span_record(VmafxTracer *tracer, const VmafxSpanRecord *record);

/* ---- What an SDK installs ---- */

/** What every span of an SDK begins with. Aligned to 4 or more, see vmafx_span_idle. */
struct VmafxSpan {
    const struct VmafxSpanOps *ops;
};

/**
 * All of them set; of a span that only has ids (vmafx_span_idle) end, ref, unref and context. The arguments are what
 * the caller gave, NULLs replaced by "" and defaults; spans are plain addresses.
 */
typedef struct VmafxSpanOps {
    void (*set_attrs)(VmafxSpan *span, VmafxAttrs attrs);
    void (*add_event)(VmafxSpan *span, const char *name, VmafxAttrs attrs, uint64_t time_ns);
    void (*add_link)(VmafxSpan *span, const VmafxSpanContext *context, VmafxAttrs attrs);
    void (*set_status)(VmafxSpan *span, VmafxSpanStatus status, const char *description);
    void (*update_name)(VmafxSpan *span, const char *name);
    void (*end)(VmafxSpan *span, uint64_t end_ns, bool release); /* release: the reference is gone too */
    void (*ref)(VmafxSpan *span);
    void (*unref)(VmafxSpan *span);
    bool (*context)(const VmafxSpan *span, VmafxSpanContext *ret);
    bool (*is_recording)(const VmafxSpan *span);
} VmafxSpanOps;

/** The SDK's half of a tracer; lives as long as its provider. */
typedef struct VmafxTracerSdk VmafxTracerSdk;
struct VmafxTracerSdk {
    /** The options are never NULL. */
    VmafxSpan *(*start)(VmafxTracerSdk *tracer, const char *name, const VmafxSpanOptions *options);
    void (*record)(VmafxTracerSdk *tracer, const VmafxSpanRecord *record);
    bool (*enabled)(VmafxTracerSdk *tracer);
};

struct VmafxTracer {
    _Atomic(VmafxTracerSdk *) sdk; /* NULL: not looked up */
    const char *name, *version, *schema_url;
    VmafxAttrs attrs; /* sorted, unique keys */
    struct VmafxTracer *next;
};

typedef struct VmafxTracerProvider VmafxTracerProvider;
struct VmafxTracerProvider {
    /** Finds or makes the half for a tracer, whose texts are borrowed; NULL on no memory. Any thread. */
    VmafxTracerSdk *(*tracer)(VmafxTracerProvider *provider, const VmafxTracer *tracer);
};

/**
 * The global provider (NULL: none), which all tracers of vmafx_tracer_get then use. The old one may be freed when no
 * thread can still be inside a call that began before.
 */
void vmafx_tracer_provider_set(VmafxTracerProvider *provider);
VmafxTracerProvider *vmafx_tracer_provider_get(void);

/** The no-op that passes on the span of a context (NULL: this thread's current one). */
VmafxSpan *vmafx_span_passthrough(VmafxContext *parent);

/* ---- Nearly nothing, where nobody listens: what instrumented code has of all this in itself ---- */

/*
 * Only a span that an SDK records is an address. In the others the two lowest bits say what the rest is, so that the
 * setters need no look at memory to know that there is nothing to do.
 */
enum {
    VMAFX_SPAN_IS_CONTEXT = 1, /* a no-op: the address of the context it passes on and has a reference to, or none */
    VMAFX_SPAN_IS_IDLE = 2,    /* of an SDK's span that has ids and records nothing: VmafxSpan's address */
};

/** The no-op that passes nothing on. */
static inline VmafxSpan *vmafx_span_none(void)
{
    return (VmafxSpan *)(uintptr_t)VMAFX_SPAN_IS_CONTEXT;
}

/** What an SDK gives out for a span that only has ids. */
static inline VmafxSpan *vmafx_span_idle(VmafxSpan *span)
{
    return (VmafxSpan *)((uintptr_t)span | VMAFX_SPAN_IS_IDLE);
}

/** False when whatever is said to the span is lost; true may also mean one that has ended. */
static inline bool vmafx_span_may_record(const VmafxSpan *span)
{
    return span && !((uintptr_t)span & (VMAFX_SPAN_IS_CONTEXT | VMAFX_SPAN_IS_IDLE));
}

extern _Atomic(VmafxTracerProvider *) vmafx_tracer_provider_global; /* written by vmafx_tracer_provider_set alone */
extern const VmafxSpanOptions vmafx_span_defaults;
VmafxSpan *vmafx_span_start_slowly(VmafxTracer *tracer, const char *name);
void vmafx_span_end_slowly(VmafxSpan *span);

static inline VmafxSpan *vmafx_span_start(VmafxTracer *tracer, const char *name)
{
    VmafxTracerSdk *sdk = tracer ? atomic_load_explicit(&tracer->sdk, memory_order_acquire) : NULL;

    if (sdk)
        return sdk->start(sdk, name ? name : "", &vmafx_span_defaults);
    if (!vmafx_context_current() && !atomic_load_explicit(&vmafx_tracer_provider_global, memory_order_relaxed))
        return vmafx_span_none();
    return vmafx_span_start_slowly(tracer, name);
}

static inline void vmafx_span_end(VmafxSpan **span)
{
    VmafxSpan *taken = span ? *span : NULL;

    if (!taken)
        return;
    *span = NULL;
    if (taken != vmafx_span_none())
        vmafx_span_end_slowly(taken);
}

/* Attributes go by address: a copy of a whole one would wait for the stores of its members. */

static inline void vmafx_span_set_attr(VmafxSpan *span, VmafxAttr attr)
{
    if (vmafx_span_may_record(span))
        vmafx_span_set_attrs(span, (VmafxAttrs){ &attr, 1 });
}

static inline void vmafx_span_set_str(VmafxSpan *span, const char *key, const char *value)
{
    if (vmafx_span_may_record(span)) {
        VmafxAttr attr = VMAFX_ATTR_STR(key, value);

        vmafx_span_set_attrs(span, (VmafxAttrs){ &attr, 1 });
    }
}

static inline void vmafx_span_set_int(VmafxSpan *span, const char *key, int64_t value)
{
    if (vmafx_span_may_record(span)) {
        VmafxAttr attr = VMAFX_ATTR_INT(key, value);

        vmafx_span_set_attrs(span, (VmafxAttrs){ &attr, 1 });
    }
}

static inline void vmafx_span_set_double(VmafxSpan *span, const char *key, double value)
{
    if (vmafx_span_may_record(span)) {
        VmafxAttr attr = VMAFX_ATTR_DOUBLE(key, value);

        vmafx_span_set_attrs(span, (VmafxAttrs){ &attr, 1 });
    }
}

static inline void vmafx_span_set_bool(VmafxSpan *span, const char *key, bool value)
{
    if (vmafx_span_may_record(span)) {
        VmafxAttr attr = VMAFX_ATTR_BOOL(key, value);

        vmafx_span_set_attrs(span, (VmafxAttrs){ &attr, 1 });
    }
}
#endif
