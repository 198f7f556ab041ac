/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Context: which span and which baggage an operation belongs to, and how both travel between threads and processes
 * (W3C Trace Context Level 2, W3C Baggage). Works without an SDK. Nothing here fails: bad input gives no context, and
 * what was dropped is counted (vmafx_context_drops).
 *
 * Contexts, tracestates and baggages are immutable, so any thread may read one it holds a reference to; the counts
 * are atomic. Every function takes NULL. Texts go in with a length and may hold any bytes, or are terminated strings.
 *
 * State of the process: which propagators are on, and the drop counters. State of a thread: its attached contexts.
 */
#ifndef VMAFX_OTEL_API_CONTEXT_H
#define VMAFX_OTEL_API_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VMAFX_TRACE_ID_BYTES   16
#define VMAFX_SPAN_ID_BYTES    8
#define VMAFX_TRACEPARENT_SIZE 56 /* with the terminating zero */

#define VMAFX_TRACESTATE_MEMBERS_MAX 32
#define VMAFX_TRACESTATE_LOOK_MAX    65536 /* bytes of a joined list that are looked at; a longer one is refused */
#define VMAFX_TRACESTATE_EMIT_MAX    8192  /* bytes that are sent; W3C asks for 512 at least */

#define VMAFX_BAGGAGE_MEMBERS_MAX 64
#define VMAFX_BAGGAGE_BYTES_MAX   8192 /* of a header; of all names, values and metadata in memory */

#define VMAFX_CONTEXT_VALUES_MAX 8    /* besides span and baggage */
#define VMAFX_CONTEXT_DEPTH_MAX  1024 /* contexts attached on one thread at a time */

/** An immutable, shared tracestate; NULL is the empty one. */
typedef struct VmafxTraceState VmafxTraceState;

typedef struct VmafxSpanContext {
    uint8_t trace_id[VMAFX_TRACE_ID_BYTES], span_id[VMAFX_SPAN_ID_BYTES];
    uint8_t flags;          /* 0x01 sampled, 0x02 random */
    bool remote;            /* came from another process */
    VmafxTraceState *state; /* borrowed unless a function says otherwise */
} VmafxSpanContext;

bool vmafx_span_context_valid(const VmafxSpanContext *context); /* both ids are non-zero */

/* ---- traceparent (W3C Trace Context Level 2, section 3.2) ---- */

/**
 * Parses a header value (blanks around it allowed), of version 00 or later, lower case only. Sets ids, flags (of which
 * 0x03 are kept) and remote; state is NULL. On false *ret is zeroed.
 */
bool vmafx_traceparent_parse(const char *text, size_t len, VmafxSpanContext *ret);
/** "00-…-…-01". False, and an empty text, for an invalid context. */
bool vmafx_traceparent_format(const VmafxSpanContext *context, char ret[VMAFX_TRACEPARENT_SIZE]);

/* ---- tracestate (same, section 3.3) ---- */

/**
 * NULL for an empty, malformed or too long list; several headers are given joined with ','. Of a key that comes twice
 * the first member is kept, but both count towards the 32.
 */
VmafxTraceState *vmafx_tracestate_parse(const char *text, size_t len);
VmafxTraceState *vmafx_tracestate_ref(VmafxTraceState *state);
void vmafx_tracestate_unref(VmafxTraceState **state);
/** Terminated text "k=v,k=v" without blanks around members, at most 32 of them; "" for NULL. Lives as long as the
 * state.
 */
const char *vmafx_tracestate_text(const VmafxTraceState *state);
/** Copies the value of a key. False, and "" where there is room for it, when it is absent or longer than size − 1. */
bool vmafx_tracestate_get(const VmafxTraceState *state, const char *key, char *ret, size_t size);
/**
 * A new state with key set at the left (value NULL: removed); a 33rd member falls off at the right. Invalid arguments
 * and no memory give a new reference to the old one. A value may begin with a space and may not end with one.
 */
VmafxTraceState *vmafx_tracestate_set(VmafxTraceState *state, const char *key, const char *value);
/**
 * A state of at most max bytes: whole members go, from the right, first those longer than 128 characters, then any. A
 * new reference to the old one when it fits already; NULL on no memory.
 */
VmafxTraceState *vmafx_tracestate_shorten(VmafxTraceState *state, size_t max);

/* ---- Baggage (W3C Baggage; OpenTelemetry's model, where names are unique) ---- */

/** An immutable, shared set of names and values; NULL is the empty one. */
typedef struct VmafxBaggage VmafxBaggage;

VmafxBaggage *vmafx_baggage_ref(VmafxBaggage *baggage);
void vmafx_baggage_unref(VmafxBaggage **baggage);
/**
 * A new baggage in which name has this value; an old one is replaced where it stands. metadata may be NULL, and is left
 * out unless it is printable ASCII without ','; value NULL removes. A name may be any UTF-8 but the empty one (only
 * tokens are ever sent), a value any UTF-8. Invalid arguments, a limit and no memory give a new reference to the old
 * one.
 */
VmafxBaggage *vmafx_baggage_set(VmafxBaggage *baggage, const char *name, const char *value, const char *metadata);
/** The value, or NULL; lives as long as the baggage. */
const char *vmafx_baggage_get(const VmafxBaggage *baggage, const char *name);
size_t vmafx_baggage_count(const VmafxBaggage *baggage);
/** The i-th member, i below the count; metadata is "" when there is none. Beyond the end all three are NULL. */
void vmafx_baggage_at(const VmafxBaggage *baggage, size_t i, const char **ret_name, const char **ret_value,
                      const char **ret_metadata);
/**
 * From a header's text (several are joined with ','). Malformed members and what is beyond 64 members or 8192 bytes are
 * left out, always whole; of a name that comes twice the last value counts. Values are percent-decoded; what is then
 * not UTF-8, or a zero byte, becomes U+FFFD. NULL when nothing is left.
 */
VmafxBaggage *vmafx_baggage_parse(const char *text, size_t len);
/** The header's text, at most 8192 bytes, on the heap (free()); members that do not fit are left out. NULL when empty.
 */
char *vmafx_baggage_format(const VmafxBaggage *baggage);

/* ---- Context ---- */

/** Immutable and shared: a span context, a baggage, values of other rooms. NULL is the root context. */
typedef struct VmafxContext VmafxContext;

VmafxContext *vmafx_context_ref(VmafxContext *context);
void vmafx_context_unref(VmafxContext **context);
/** New contexts, which take references of their own; on no memory a new reference to the given one. A NULL or invalid
 *  span, and a NULL baggage, mean none. */
VmafxContext *vmafx_context_with_span(VmafxContext *context, const VmafxSpanContext *span);
VmafxContext *vmafx_context_with_baggage(VmafxContext *context, VmafxBaggage *baggage);
/** False, and zeroes, when there is none. The state is borrowed from the context. */
bool vmafx_context_span(const VmafxContext *context, VmafxSpanContext *ret);
/** The same without a copy: NULL when there is none; lives as long as the context. */
const VmafxSpanContext *vmafx_context_span_at(const VmafxContext *context);
VmafxBaggage *vmafx_context_baggage(const VmafxContext *context); /* borrowed */

/** Names a value of another room by its own address; must outlive every context. */
typedef struct VmafxContextKey {
    const char *name;           /* for people */
    void (*ref)(void *value);   /* any thread; NULL: the value outlives every context */
    void (*unref)(void *value); /* as above */
} VmafxContextKey;

/** As above, for any other value; NULL removes it. More than VMAFX_CONTEXT_VALUES_MAX: the given context. */
VmafxContext *vmafx_context_with_value(VmafxContext *context, const VmafxContextKey *key, void *value);
void *vmafx_context_value(const VmafxContext *context, const VmafxContextKey *key); /* borrowed; NULL: none */

/** This thread's current context (borrowed until it is detached; NULL: root). */
static inline VmafxContext *vmafx_context_current(void);

/** What was attached, where and when. A zeroed one stands for nothing. */
typedef struct VmafxContextToken {
    const void *thread;
    uint64_t serial;
    uint32_t depth;
} VmafxContextToken;

/**
 * Makes a context (NULL: root) current on this thread until it is detached, in reverse order. Takes a reference of its
 * own. Beyond VMAFX_CONTEXT_DEPTH_MAX and without memory nothing changes, and the token stands for nothing. A thread
 * that exits detaches everything by itself.
 */
VmafxContextToken vmafx_context_attach(VmafxContext *context);
/**
 * Makes the token's predecessor current. Out of order is repaired: what was attached after the token is detached too,
 * and the answer is false. A token of another thread, or one already detached, changes nothing and gives false.
 */
bool vmafx_context_detach(VmafxContextToken token);

/* ---- Propagation ---- */

typedef struct VmafxCarrierGetter {
    /** Calls each(ctx, value, len) for every value of a header, in order. Names are lower case; a carrier whose own are
     *  not compares without case. The values need to live for the call of each only. */
    void (*get_all)(void *carrier, const char *name, void (*each)(void *ctx, const char *value, size_t len), void *ctx);
} VmafxCarrierGetter;

typedef struct VmafxCarrierSetter {
    void (*set)(void *carrier, const char *name, const char *value); /* replaces; name lower case, value printable */
} VmafxCarrierSetter;

enum { VMAFX_PROPAGATE_TRACECONTEXT = 1, VMAFX_PROPAGATE_BAGGAGE = 2, VMAFX_PROPAGATE_FIELDS_MAX = 3 };

/** Which of them extract and inject use, for the process; both until set. */
void vmafx_propagators_set(unsigned which);
/** The header names these propagators use; returns how many. */
size_t vmafx_propagation_fields(const char *ret[VMAFX_PROPAGATE_FIELDS_MAX]);
void vmafx_context_inject(const VmafxContext *context, const VmafxCarrierSetter *setter, void *carrier);
/** The given context with what the carrier brings; a new reference. What is absent or malformed changes nothing. */
VmafxContext *vmafx_context_extract(VmafxContext *context, const VmafxCarrierGetter *getter, void *carrier);

/** From TRACEPARENT, TRACESTATE and BAGGAGE of an environment (`environ` or what main was given); of several the first.
 *  A new reference; NULL, the root context, when there is nothing. */
VmafxContext *vmafx_context_from_environment(char *const *environment);
/**
 * A copy of an environment (NULL: empty) for exec, in which these variables tell of this context and of nothing else:
 * what stood there before is gone, even where the context has nothing to say. The copy shares nothing with the
 * original; vmafx_environment_free releases it. NULL on no memory.
 */
char **vmafx_context_to_environment(const VmafxContext *context, char *const *environment);
void vmafx_environment_free(char ***environment);

/* ---- What was dropped ---- */

typedef enum VmafxContextDrop {
    VMAFX_CONTEXT_DROP_TRACEPARENT,       /* headers: malformed, or more than one */
    VMAFX_CONTEXT_DROP_TRACESTATE,        /* lists refused whole, refused sets */
    VMAFX_CONTEXT_DROP_TRACESTATE_MEMBER, /* members: over the 32 of a set, or cut on sending */
    VMAFX_CONTEXT_DROP_BAGGAGE,           /* members that were malformed, refused sets */
    VMAFX_CONTEXT_DROP_BAGGAGE_LIMIT,     /* members over a limit; all beyond byte 8192 of a header count as one */
    VMAFX_CONTEXT_DROP_VALUE,             /* values over VMAFX_CONTEXT_VALUES_MAX */
    VMAFX_CONTEXT_DROP_DEPTH,             /* attaches over VMAFX_CONTEXT_DEPTH_MAX */
    VMAFX_CONTEXT_DROP_ORDER,             /* detaches out of order, or of what is not attached here */
    VMAFX_CONTEXT_DROP_NOMEM,             /* anything, for lack of memory */
    VMAFX_CONTEXT_DROP_COUNT
} VmafxContextDrop;

/** How often since the process began; any thread. */
uint64_t vmafx_context_drops(VmafxContextDrop what);

/* Inline, because every span and every measurement asks. Written by attach and detach alone. */
extern _Thread_local VmafxContext *vmafx_context_here __attribute__((tls_model("initial-exec")));

static inline VmafxContext *vmafx_context_current(void)
{
    return vmafx_context_here;
}
#endif
