/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * tracestate: a list of at most 32 "key=value" members, kept as the text that is sent. Grammar: W3C Trace Context
 * Level 2, section 3.3.1; one malformed member spoils the list. Lists are short, so every question is a scan.
 */

#include "otel/api/context.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "otel/api/propagation.h"

enum {
    KEY_MAX = 256,
    VALUE_MAX = 256,
    LONG_MEMBER = 128, /* longer ones are the first to go when a list must be shortened */
};

struct VmafxTraceState {
    atomic_size_t refs;
    size_t len;
    char text[]; /* terminated */
};

typedef struct Member {
    VmafxText key, value;
} Member;

typedef struct List {
    size_t n;
    Member members[VMAFX_TRACESTATE_MEMBERS_MAX];
} List;

static bool is_lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool key_valid(VmafxText key)
{
    if (!key.len || key.len > KEY_MAX || !is_lower_or_digit(*key.ptr))
        return false;
    for (size_t i = 1; i < key.len; i++)
        if (!is_lower_or_digit(key.ptr[i]) && (!key.ptr[i] || !strchr("_-*/@", key.ptr[i])))
            return false;
    return true;
}

static bool value_valid(VmafxText value)
{
    if (!value.len || value.len > VALUE_MAX || value.ptr[value.len - 1] == ' ')
        return false;
    for (size_t i = 0; i < value.len; i++)
        if (value.ptr[i] < 0x20 || value.ptr[i] > 0x7e || value.ptr[i] == ',' || value.ptr[i] == '=')
            return false;
    return true;
}

static size_t find(const List *list, VmafxText key)
{
    size_t i = 0;

    while (i < list->n && !vmafx_text_same(list->members[i].key, key))
        i++;
    return i;
}

static void take_out(List *list, size_t at)
{
    list->n--;
    memmove(&list->members[at], &list->members[at + 1], (list->n - at) * sizeof list->members[0]);
}

static size_t member_len(const Member *member)
{
    return member->key.len + 1 + member->value.len;
}

static size_t list_len(const List *list)
{
    size_t len = 0;

    for (size_t i = 0; i < list->n; i++)
        len += member_len(&list->members[i]) + (i > 0);
    return len;
}

/* False when it is malformed; the list points into the text. */
static bool read_list(VmafxText text, List *ret)
{
    size_t seen = 0;

    ret->n = 0;
    while (text.len) {
        VmafxText value = vmafx_text_trim(vmafx_text_take(&text, ','));
        if (!value.len)
            continue;
        VmafxText key = vmafx_text_take(&value, '=');
        if (++seen > VMAFX_TRACESTATE_MEMBERS_MAX || !key_valid(key) || !value_valid(value))
            return false;
        if (find(ret, key) == ret->n)
            ret->members[ret->n++] = (Member){ key, value };
    }
    return true;
}

static void read_state(const VmafxTraceState *state, List *ret)
{
    ret->n = 0;
    if (state)
        VMAFX_IGNORE(!read_list((VmafxText){ state->text, state->len }, ret)); /* our own text is well-formed */
}

static char *put(char *at, VmafxText text)
{
    memcpy(at, text.ptr, text.len);
    return at + text.len;
}

/* A new state; NULL for the empty list and on no memory, which is counted. */
static VmafxTraceState *build(const List *list)
{
    size_t len = list_len(list);
    VmafxTraceState *state = list->n ? malloc(sizeof *state + len + 1) : NULL;

    if (!state) {
        vmafx_context_count_drop(VMAFX_CONTEXT_DROP_NOMEM, list->n > 0);
        return NULL;
    }
    atomic_init(&state->refs, 1);
    state->len = len;
    char *at = state->text;
    for (size_t i = 0; i < list->n; i++) {
        if (i)
            *at++ = ',';
        at = put(at, list->members[i].key);
        *at++ = '=';
        at = put(at, list->members[i].value);
    }
    *at = 0;
    return state;
}

VmafxTraceState *vmafx_tracestate_parse(const char *text, size_t len)
{
    List list;

    if (!text || !len)
        return NULL;
    if (len > VMAFX_TRACESTATE_LOOK_MAX || !read_list((VmafxText){ text, len }, &list)) {
        vmafx_context_count_drop(VMAFX_CONTEXT_DROP_TRACESTATE, 1);
        return NULL;
    }
    return build(&list);
}

VmafxTraceState *vmafx_tracestate_ref(VmafxTraceState *state)
{
    if (state)
        atomic_fetch_add_explicit(&state->refs, 1, memory_order_relaxed);
    return state;
}

void vmafx_tracestate_unref(VmafxTraceState **state)
{
    VmafxTraceState *gone = state ? VMAFX_TAKE(*state) : NULL;

    /* release: our reads are over; acquire: so are those of everyone who let go before us */
    if (gone && atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel) == 1)
        free(gone);
}

const char *vmafx_tracestate_text(const VmafxTraceState *state)
{
    return state ? state->text : "";
}

static VmafxText key_text(const char *key)
{
    return (VmafxText){ key, key ? strnlen(key, KEY_MAX + 1) : 0 };
}

bool vmafx_tracestate_get(const VmafxTraceState *state, const char *key, char *ret, size_t size)
{
    List list;

    if (!ret || !size)
        return false;
    *ret = 0;
    read_state(state, &list);
    size_t at = find(&list, key_text(key));
    if (at == list.n || list.members[at].value.len >= size)
        return false;
    *put(ret, list.members[at].value) = 0;
    return true;
}

VmafxTraceState *vmafx_tracestate_set(VmafxTraceState *state, const char *key, const char *value)
{
    Member fresh = { key_text(key), { value, value ? strnlen(value, VALUE_MAX + 1) : 0 } };
    List list;

    if (!key_valid(fresh.key) || (value && !value_valid(fresh.value))) {
        vmafx_context_count_drop(VMAFX_CONTEXT_DROP_TRACESTATE, 1);
        return vmafx_tracestate_ref(state);
    }
    read_state(state, &list);
    size_t at = find(&list, fresh.key);
    if (at < list.n)
        take_out(&list, at);
    else if (!value)
        return vmafx_tracestate_ref(state);

    if (value) {
        if (list.n == VMAFX_TRACESTATE_MEMBERS_MAX) {
            list.n--;
            vmafx_context_count_drop(VMAFX_CONTEXT_DROP_TRACESTATE_MEMBER, 1);
        }
        memmove(&list.members[1], &list.members[0], list.n * sizeof list.members[0]);
        list.members[0] = fresh;
        list.n++;
    }
    VmafxTraceState *made = build(&list);
    return made || !list.n ? made : vmafx_tracestate_ref(state);
}

/* Takes members longer than this out, from the right, until the list fits. */
static void shorten(List *list, size_t max, size_t longer_than)
{
    for (size_t i = list->n; i-- > 0 && list_len(list) > max;)
        if (member_len(&list->members[i]) > longer_than)
            take_out(list, i);
}

VmafxTraceState *vmafx_tracestate_shorten(VmafxTraceState *state, size_t max)
{
    List list;

    if (!state || state->len <= max)
        return vmafx_tracestate_ref(state);
    read_state(state, &list);
    size_t before = list.n;
    shorten(&list, max, LONG_MEMBER);
    shorten(&list, max, 0);
    vmafx_context_count_drop(VMAFX_CONTEXT_DROP_TRACESTATE_MEMBER, before - list.n);
    return build(&list);
}
