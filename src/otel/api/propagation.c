/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * How a context crosses a border: the traceparent header, injecting and extracting through a carrier of headers, and
 * the environment of a child process as one more carrier.
 *
 * What comes in is bounded before it is copied: of several headers no more is joined than their parser looks at.
 */

#include "otel/api/context.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "otel/api/propagation.h"

static atomic_uint propagators = VMAFX_PROPAGATE_TRACECONTEXT | VMAFX_PROPAGATE_BAGGAGE;

/* ---- traceparent ---- */

enum { TRACEPARENT_LEN = VMAFX_TRACEPARENT_SIZE - 1, AT_TRACE_ID = 3, AT_SPAN_ID = 36, AT_FLAGS = 53, FLAGS_KNOWN = 3 };

/* The value of a digit, lower case only; 0xf0 for what is none, so that an or over many shows whether one was. */
static inline uint8_t hex_value(char c)
{
    uint8_t digit = (uint8_t)(c - '0'), letter = (uint8_t)(c - 'a');

    return digit < 10 ? digit : letter < 6 ? (uint8_t)(letter + 10) : 0xf0;
}

/* n bytes from 2 n lower-case digits. */
static inline bool read_hex(const char *text, uint8_t *ret, size_t n)
{
    uint8_t any = 0;

    for (size_t i = 0; i < n; i++) {
        uint8_t high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);

        any |= high | low;
        ret[i] = (uint8_t)(high << 4 | low);
    }
    return any < 16;
}

typedef uint8_t Bytes16 __attribute__((vector_size(16)));
typedef uint64_t Words2 __attribute__((vector_size(16)));

/* The digits of 16 numbers below 16. */
static inline Bytes16 hex_digits(Bytes16 n)
{
    return n + '0' + ((Bytes16)(n > 9) & ('a' - '0' - 10));
}

/* The digits of the first 8 bytes. */
static inline Bytes16 hex_of_first(Bytes16 bytes)
{
    return hex_digits(
        __builtin_shufflevector(bytes >> 4, bytes & 15, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
}

/* Eight bytes at a time: ids are all that is written, with every request that goes out. */
static inline void write_hex(const uint8_t *bytes, size_t n, char *ret)
{
    for (size_t i = 0; i < n; i += 8) {
        uint64_t eight;

        memcpy(&eight, bytes + i, sizeof eight);
        Bytes16 digits = hex_of_first((Bytes16)(Words2){ eight, 0 });
        memcpy(ret + 2 * i, &digits, sizeof digits);
    }
}

/* Version 00 ends after the flags; a later one may go on after a dash. */
static bool version_allows(VmafxText text)
{
    uint8_t version;

    if (!read_hex(text.ptr, &version, 1) || version == 0xff)
        return false;
    return text.len == TRACEPARENT_LEN || (version > 0 && text.ptr[TRACEPARENT_LEN] == '-');
}

static bool read_traceparent(VmafxText text, VmafxSpanContext *ret)
{
    if (text.len < TRACEPARENT_LEN || !version_allows(text))
        return false;
    if (text.ptr[AT_TRACE_ID - 1] != '-' || text.ptr[AT_SPAN_ID - 1] != '-' || text.ptr[AT_FLAGS - 1] != '-')
        return false;
    if (!read_hex(text.ptr + AT_TRACE_ID, ret->trace_id, sizeof ret->trace_id) ||
        !read_hex(text.ptr + AT_SPAN_ID, ret->span_id, sizeof ret->span_id) ||
        !read_hex(text.ptr + AT_FLAGS, &ret->flags, 1))
        return false;
    ret->flags &= FLAGS_KNOWN;
    ret->remote = true;
    return vmafx_span_context_valid(ret);
}

bool vmafx_traceparent_parse(const char *text, size_t len, VmafxSpanContext *ret)
{
    VmafxSpanContext span = { 0 };
    bool good = text && read_traceparent(vmafx_text_trim((VmafxText){ text, len }), &span);

    if (ret)
        *ret = good ? span : (VmafxSpanContext){ 0 };
    return good;
}

bool vmafx_traceparent_format(const VmafxSpanContext *context, char ret[VMAFX_TRACEPARENT_SIZE])
{
    if (!ret)
        return false;
    *ret = 0;
    if (!vmafx_span_context_valid(context))
        return false;
    memcpy(ret, "00-", AT_TRACE_ID);
    write_hex(context->trace_id, sizeof context->trace_id, ret + AT_TRACE_ID);
    ret[AT_SPAN_ID - 1] = '-';
    write_hex(context->span_id, sizeof context->span_id, ret + AT_SPAN_ID);
    memcpy(ret + AT_FLAGS - 1, "-00", 4);
    ret[AT_FLAGS + 1] = (char)('0' + (context->flags & FLAGS_KNOWN));
    return true;
}

/* ---- inject and extract ---- */

void vmafx_propagators_set(unsigned which)
{
    atomic_store_explicit(&propagators, which, memory_order_relaxed);
}

static bool uses(unsigned propagator)
{
    return atomic_load_explicit(&propagators, memory_order_relaxed) & propagator;
}

size_t vmafx_propagation_fields(const char *ret[VMAFX_PROPAGATE_FIELDS_MAX])
{
    size_t n = 0;

    if (!ret)
        return 0;
    if (uses(VMAFX_PROPAGATE_TRACECONTEXT)) {
        ret[n++] = "traceparent";
        ret[n++] = "tracestate";
    }
    if (uses(VMAFX_PROPAGATE_BAGGAGE))
        ret[n++] = "baggage";
    return n;
}

static void inject_span(const VmafxSpanContext *span, const VmafxCarrierSetter *setter, void *carrier)
{
    char traceparent[VMAFX_TRACEPARENT_SIZE];

    if (!vmafx_traceparent_format(span, traceparent))
        return;
    setter->set(carrier, "traceparent", traceparent);
    if (!span->state)
        return;
    VMAFX_AUTO(vmafx_tracestate_unref)
    VmafxTraceState *state = vmafx_tracestate_shorten(span->state, VMAFX_TRACESTATE_EMIT_MAX);
    if (state)
        setter->set(carrier, "tracestate", vmafx_tracestate_text(state));
}

static void inject_baggage(const VmafxBaggage *baggage, const VmafxCarrierSetter *setter, void *carrier)
{
    VMAFX_AUTO(vmafx_free_p) char *text = vmafx_baggage_format(baggage);

    if (text)
        setter->set(carrier, "baggage", text);
}

void vmafx_context_inject(const VmafxContext *context, const VmafxCarrierSetter *setter, void *carrier)
{
    const VmafxSpanContext *span = vmafx_context_span_at(context);
    const VmafxBaggage *baggage = vmafx_context_baggage(context);

    if (!setter || !setter->set)
        return;
    if (span && uses(VMAFX_PROPAGATE_TRACECONTEXT))
        inject_span(span, setter, carrier);
    if (baggage && uses(VMAFX_PROPAGATE_BAGGAGE))
        inject_baggage(baggage, setter, carrier);
}

/* The values of one header, joined with ','. One byte over max is kept, so that the parser sees that it is too long. */
typedef struct Joined {
    size_t max;
    char *text; /* of max + 1 bytes once there is a value; NULL and `seen` means no memory */
    size_t len, seen;
} Joined;

static void joined_done(Joined *joined)
{
    free(VMAFX_TAKE(joined->text));
}

static void joined_add(Joined *joined, const char *text, size_t len)
{
    size_t room = joined->max + 1 - joined->len;

    len = VMAFX_MIN(len, room);
    if (len)
        memcpy(joined->text + joined->len, text, len);
    joined->len += len;
}

static void each_joined(void *ctx, const char *value, size_t len)
{
    Joined *joined = ctx;

    if (!joined->seen++) {
        joined->text = malloc(joined->max + 1);
        vmafx_context_count_drop(VMAFX_CONTEXT_DROP_NOMEM, !joined->text);
    } else if (joined->text) {
        joined_add(joined, ",", 1);
    }
    if (joined->text && value)
        joined_add(joined, value, len);
}

typedef struct Parent {
    size_t seen;
    bool valid;
    VmafxSpanContext span;
} Parent;

static void each_parent(void *ctx, const char *value, size_t len)
{
    Parent *parent = ctx;

    parent->valid = vmafx_traceparent_parse(value, len, &parent->span);
    parent->seen++;
}

/* In place of the reference a context variable holds. */
static void replace(VmafxContext **context, VmafxContext *with)
{
    vmafx_context_unref(context);
    *context = with;
}

static void extract_span(VmafxContext **context, const VmafxCarrierGetter *getter, void *carrier)
{
    Parent parent = { 0 };

    getter->get_all(carrier, "traceparent", each_parent, &parent);
    if (parent.seen != 1 || !parent.valid) {
        vmafx_context_count_drop(VMAFX_CONTEXT_DROP_TRACEPARENT, parent.seen);
        return;
    }
    VMAFX_AUTO(joined_done) Joined joined = { .max = VMAFX_TRACESTATE_LOOK_MAX };
    getter->get_all(carrier, "tracestate", each_joined, &joined);
    VMAFX_AUTO(vmafx_tracestate_unref) VmafxTraceState *state = vmafx_tracestate_parse(joined.text, joined.len);
    parent.span.state = state;
    replace(context, vmafx_context_with_span(*context, &parent.span));
}

static void extract_baggage(VmafxContext **context, const VmafxCarrierGetter *getter, void *carrier)
{
    VMAFX_AUTO(joined_done) Joined joined = { .max = VMAFX_BAGGAGE_BYTES_MAX };

    getter->get_all(carrier, "baggage", each_joined, &joined);
    VMAFX_AUTO(vmafx_baggage_unref) VmafxBaggage *baggage = vmafx_baggage_parse(joined.text, joined.len);
    if (baggage)
        replace(context, vmafx_context_with_baggage(*context, baggage));
}

VmafxContext *vmafx_context_extract(VmafxContext *context, const VmafxCarrierGetter *getter, void *carrier)
{
    VmafxContext *result = vmafx_context_ref(context);

    if (!getter || !getter->get_all)
        return result;
    if (uses(VMAFX_PROPAGATE_TRACECONTEXT))
        extract_span(&result, getter, carrier);
    if (uses(VMAFX_PROPAGATE_BAGGAGE))
        extract_baggage(&result, getter, carrier);
    return result;
}

/* ---- the environment ---- */

/* Whether an entry "NAME=value" is the one of a header; names are upper case, and '_' for what is no letter or digit.
 */
static const char *value_of(const char *entry, const char *field)
{
    for (; *field; entry++, field++) {
        char c = *field;
        bool lower = c >= 'a' && c <= 'z', plain = (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (*entry != (lower ? (char)(c - 'a' + 'A') : plain ? c : '_'))
            return NULL;
    }
    return *entry == '=' ? entry + 1 : NULL;
}

/* A carrier that is read: the list itself, in a variable, since it is const and carriers are not. */
static void environment_get_all(void *carrier, const char *name, void (*each)(void *ctx, const char *value, size_t len),
                                void *ctx)
{
    for (char *const *entry = *(char *const **)carrier; entry && *entry; entry++) {
        const char *value = value_of(*entry, name);
        if (value) {
            each(ctx, value, strlen(value));
            return;
        }
    }
}

VmafxContext *vmafx_context_from_environment(char *const *environment)
{
    static const VmafxCarrierGetter getter = { environment_get_all };

    return vmafx_context_extract(NULL, &getter, &environment);
}

/* A carrier that is written: entries to come. */
typedef struct Entries {
    size_t n;
    char *entries[VMAFX_PROPAGATE_FIELDS_MAX];
    bool failed;
} Entries;

static void entries_done(Entries *entries)
{
    for (size_t i = 0; i < entries->n; i++)
        free(entries->entries[i]);
    entries->n = 0;
}

static void entries_set(void *carrier, const char *name, const char *value)
{
    Entries *entries = carrier;
    char *entry = vmafx_sprintf("%s=%s", name, value);

    if (!entry || entries->n == VMAFX_LEN(entries->entries)) {
        entries->failed = true;
        free(entry);
        return;
    }
    for (char *c = entry; *c != '='; c++)
        if (*c >= 'a' && *c <= 'z')
            *c = (char)(*c - 'a' + 'A');
    entries->entries[entries->n++] = entry;
}

/* Whether an entry is one that we write or leave out ourselves. */
static bool is_ours(const char *entry, const char *const *fields, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (value_of(entry, fields[i]))
            return true;
    return false;
}

/* The copy, in one piece: pointers, then texts. */
typedef struct Copy {
    char **pointers; /* NULL: measure only */
    char *text;
    size_t n, bytes;
} Copy;

static void copy_entry(Copy *copy, const char *entry)
{
    size_t size = strlen(entry) + 1;

    if (copy->pointers)
        copy->pointers[copy->n] = memcpy(copy->text + copy->bytes, entry, size);
    copy->n++;
    copy->bytes += size;
}

static void copy_entries(Copy *copy, char *const *environment, const Entries *ours)
{
    const char *fields[VMAFX_PROPAGATE_FIELDS_MAX];
    size_t n_fields = vmafx_propagation_fields(fields);

    for (; environment && *environment; environment++)
        if (!is_ours(*environment, fields, n_fields))
            copy_entry(copy, *environment);
    for (size_t i = 0; i < ours->n; i++)
        copy_entry(copy, ours->entries[i]);
}

char **vmafx_context_to_environment(const VmafxContext *context, char *const *environment)
{
    static const VmafxCarrierSetter setter = { entries_set };
    VMAFX_AUTO(entries_done) Entries ours = { 0 };
    Copy sizes = { 0 };

    vmafx_context_inject(context, &setter, &ours);
    copy_entries(&sizes, environment, &ours);
    Copy copy = { .pointers = ours.failed ? NULL : malloc((sizes.n + 1) * sizeof *copy.pointers + sizes.bytes) };
    if (!copy.pointers) {
        vmafx_context_count_drop(VMAFX_CONTEXT_DROP_NOMEM, 1);
        return NULL;
    }
    copy.text = (char *)(copy.pointers + sizes.n + 1);
    copy_entries(&copy, environment, &ours);
    copy.pointers[copy.n] = NULL;
    return copy.pointers;
}

void vmafx_environment_free(char ***environment)
{
    if (environment)
        free(VMAFX_TAKE(*environment));
}
