/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The context: an immutable, counted bag of a span context, a baggage and a few values; and each thread's stack of
 * attached ones.
 *
 * The stack owns the references, the tokens own nothing. So a token that is used twice, late, or on another thread can
 * at worst be refused: it names a depth, and the frame there must carry its serial number. A thread that exits with
 * contexts still attached gives them back in the destructor of a thread-specific key.
 */

#include "otel/api/context.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "otel/api/propagation.h"

typedef struct Value {
    const VmafxContextKey *key;
    void *value;
} Value;

struct VmafxContext {
    atomic_size_t refs;
    VmafxSpanContext span; /* all zero: none; the state is a reference of ours */
    VmafxBaggage *baggage; /* a reference of ours */
    size_t n_values;
    Value values[VMAFX_CONTEXT_VALUES_MAX];
};

/* ---- drops ---- */

static atomic_uint_least64_t drops[VMAFX_CONTEXT_DROP_COUNT];

void vmafx_context_count_drop(VmafxContextDrop what, size_t n)
{
    if (n)
        atomic_fetch_add_explicit(&drops[what], n, memory_order_relaxed);
}

uint64_t vmafx_context_drops(VmafxContextDrop what)
{
    if ((unsigned)what >= VMAFX_CONTEXT_DROP_COUNT)
        return 0;
    return atomic_load_explicit(&drops[what], memory_order_relaxed);
}

/* ---- contexts ---- */

bool vmafx_span_context_valid(const VmafxSpanContext *context)
{
    uint64_t trace[2], span;

    if (!context)
        return false;
    memcpy(trace, context->trace_id, sizeof trace);
    memcpy(&span, context->span_id, sizeof span);
    return (trace[0] | trace[1]) && span;
}

VmafxContext *vmafx_context_ref(VmafxContext *context)
{
    if (context)
        atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
    return context;
}

static void value_ref(const Value *value)
{
    if (value->key->ref)
        value->key->ref(value->value);
}

static void value_unref(const Value *value)
{
    if (value->key->unref)
        value->key->unref(value->value);
}

void vmafx_context_unref(VmafxContext **context)
{
    VmafxContext *gone = context ? VMAFX_TAKE(*context) : NULL;

    /* release: our reads are over; acquire: so are those of everyone who let go before us */
    if (!gone || atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel) > 1)
        return;
    for (size_t i = 0; i < gone->n_values; i++)
        value_unref(&gone->values[i]);
    vmafx_tracestate_unref(&gone->span.state);
    vmafx_baggage_unref(&gone->baggage);
    free(gone);
}

/* A context of our own to change before anyone sees it; NULL on no memory, which is counted. */
static VmafxContext *copy(const VmafxContext *context)
{
    VmafxContext *made = calloc(1, sizeof *made);

    if (!made) {
        vmafx_context_count_drop(VMAFX_CONTEXT_DROP_NOMEM, 1);
        return NULL;
    }
    atomic_init(&made->refs, 1);
    if (!context)
        return made;
    made->span = context->span;
    vmafx_tracestate_ref(made->span.state);
    made->baggage = vmafx_baggage_ref(context->baggage);
    made->n_values = context->n_values;
    memcpy(made->values, context->values, sizeof made->values);
    for (size_t i = 0; i < made->n_values; i++)
        value_ref(&made->values[i]);
    return made;
}

VmafxContext *vmafx_context_with_span(VmafxContext *context, const VmafxSpanContext *span)
{
    VmafxContext *made = copy(context);

    if (!made)
        return vmafx_context_ref(context);
    vmafx_tracestate_unref(&made->span.state);
    made->span = (VmafxSpanContext){ 0 };
    if (vmafx_span_context_valid(span)) {
        made->span = *span;
        vmafx_tracestate_ref(made->span.state);
    }
    return made;
}

VmafxContext *vmafx_context_with_baggage(VmafxContext *context, VmafxBaggage *baggage)
{
    VmafxContext *made = copy(context);

    if (!made)
        return vmafx_context_ref(context);
    vmafx_baggage_unref(&made->baggage);
    made->baggage = vmafx_baggage_ref(baggage);
    return made;
}

bool vmafx_context_span(const VmafxContext *context, VmafxSpanContext *ret)
{
    if (ret)
        *ret = context ? context->span : (VmafxSpanContext){ 0 };
    return context && vmafx_span_context_valid(&context->span);
}

const VmafxSpanContext *vmafx_context_span_at(const VmafxContext *context)
{
    return context && vmafx_span_context_valid(&context->span) ? &context->span : NULL;
}

VmafxBaggage *vmafx_context_baggage(const VmafxContext *context)
{
    return context ? context->baggage : NULL;
}

/* Where a key is, or would be: n_values. */
static size_t find(const VmafxContext *context, const VmafxContextKey *key)
{
    size_t i = 0;

    while (i < context->n_values && context->values[i].key != key)
        i++;
    return i;
}

VmafxContext *vmafx_context_with_value(VmafxContext *context, const VmafxContextKey *key, void *value)
{
    size_t at = context && key ? find(context, key) : 0;
    bool full = context && at == VMAFX_CONTEXT_VALUES_MAX;

    if (full && value)
        vmafx_context_count_drop(VMAFX_CONTEXT_DROP_VALUE, 1);
    VmafxContext *made = key && !full ? copy(context) : NULL;
    if (!made)
        return vmafx_context_ref(context);

    if (at < made->n_values) {
        Value old = made->values[at];
        made->values[at] = made->values[--made->n_values];
        value_unref(&old);
    }
    if (value) {
        Value *slot = &made->values[made->n_values++];
        *slot = (Value){ key, value };
        value_ref(slot);
    }
    return made;
}

void *vmafx_context_value(const VmafxContext *context, const VmafxContextKey *key)
{
    size_t at = context ? find(context, key) : 0;

    return context && at < context->n_values ? context->values[at].value : NULL;
}

/* ---- the current context ---- */

enum { FRAMES_AT_HAND = 8 }; /* deeper stacks move to the heap */

typedef struct Frame {
    VmafxContext *context; /* a reference of ours */
    uint64_t serial;       /* of the attach, from 1 */
} Frame;

typedef struct Stack {
    Frame *heap; /* NULL while the frames at hand do */
    uint32_t depth, room;
    uint64_t serial;
    bool guarded; /* the key's destructor will see this thread's end */
    Frame at_hand[FRAMES_AT_HAND];
} Stack;

static _Thread_local Stack this_thread __attribute__((tls_model("initial-exec")));
_Thread_local VmafxContext *vmafx_context_here; /* the context of this thread's top frame */

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key_of_stack; /* both are written by the once and never again */
static bool key_made;

static Frame *frames(Stack *stack)
{
    return stack->heap ? stack->heap : stack->at_hand;
}

/* Releasing a context calls out to keys, which may attach: nothing about the stack is remembered across it. */
static void unwind(Stack *stack, uint32_t depth)
{
    while (stack->depth > depth) {
        VmafxContext *top = frames(stack)[--stack->depth].context;

        vmafx_context_here = stack->depth ? frames(stack)[stack->depth - 1].context : NULL;
        vmafx_context_unref(&top);
    }
}

static void on_thread_exit(void *arg)
{
    Stack *stack = arg;

    unwind(stack, 0);
    stack->guarded = false; /* another key's destructor may still attach; then we are called once more */
    free(VMAFX_TAKE(stack->heap));
    stack->room = 0;
}

static void make_key(void)
{
    key_made = pthread_key_create(&key_of_stack, on_thread_exit) == 0;
}

/* Without a key a thread must detach what it attached, as it should anyway. */
static void guard(Stack *stack)
{
    pthread_once(&key_once, make_key);
    stack->guarded = key_made && pthread_setspecific(key_of_stack, stack) == 0;
}

static bool make_room(Stack *stack)
{
    uint32_t room = stack->heap ? stack->room : FRAMES_AT_HAND;

    if (stack->depth < room)
        return true;
    if (room >= VMAFX_CONTEXT_DEPTH_MAX) {
        vmafx_context_count_drop(VMAFX_CONTEXT_DROP_DEPTH, 1);
        return false;
    }
    room = VMAFX_MIN(2 * room, VMAFX_CONTEXT_DEPTH_MAX);
    Frame *larger = malloc(room * sizeof *larger);
    if (!larger) {
        vmafx_context_count_drop(VMAFX_CONTEXT_DROP_NOMEM, 1);
        return false;
    }
    memcpy(larger, frames(stack), stack->depth * sizeof *larger);
    free(stack->heap);
    stack->heap = larger;
    stack->room = room;
    return true;
}

VmafxContextToken vmafx_context_attach(VmafxContext *context)
{
    Stack *stack = &this_thread;

    if (!stack->guarded)
        guard(stack);
    if (!make_room(stack))
        return (VmafxContextToken){ 0 };

    VmafxContextToken token = { .thread = stack, .serial = ++stack->serial, .depth = stack->depth };
    frames(stack)[stack->depth++] = (Frame){ vmafx_context_ref(context), token.serial };
    vmafx_context_here = context;
    return token;
}

bool vmafx_context_detach(VmafxContextToken token)
{
    Stack *stack = &this_thread;

    if (!token.serial)
        return true;
    if (token.thread != stack || token.depth >= stack->depth || frames(stack)[token.depth].serial != token.serial) {
        vmafx_context_count_drop(VMAFX_CONTEXT_DROP_ORDER, 1);
        return false;
    }
    bool in_order = token.depth + 1 == stack->depth;
    if (!in_order)
        vmafx_context_count_drop(VMAFX_CONTEXT_DROP_ORDER, 1);
    unwind(stack, token.depth);
    return in_order;
}
