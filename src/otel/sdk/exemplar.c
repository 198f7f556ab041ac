/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Exemplar filters and reservoirs. */

#include "otel/sdk/exemplar.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { EXP_SLOTS = 20, TAKE_TRIES = 1000 };

struct VmafxReservoir {
    atomic_bool busy; /* exchanged with acquire to enter, released with a store; guards all below */
    const VmafxAggConfig *config;
    size_t n;
    uint64_t seen, random;
    VmafxExemplarAttrs *attrs; /* n, or NULL */
    VmafxExemplarSlot slots[];
};

size_t vmafx_reservoir_slots(const VmafxAggConfig *config)
{
    if (config->kind == VMAFX_AGG_HISTOGRAM && config->n_bounds)
        return config->n_bounds + 1;
    if (config->kind == VMAFX_AGG_EXP_HISTOGRAM)
        return config->max_size < EXP_SLOTS ? config->max_size : EXP_SLOTS;
    return 1;
}

VmafxReservoir *vmafx_reservoir_new(const VmafxAggConfig *config, bool filtered, uint64_t seed)
{
    size_t n = vmafx_reservoir_slots(config);
    VmafxReservoir *r = calloc(1, sizeof *r + n * sizeof r->slots[0]);

    if (!r)
        return NULL;
    r->config = config;
    r->n = n;
    r->random = seed | 1;
    if (filtered && !(r->attrs = calloc(n, sizeof *r->attrs)))
        vmafx_reservoir_free(&r);
    return r;
}

void vmafx_reservoir_free(VmafxReservoir **reservoir)
{
    if (!*reservoir)
        return;
    free((*reservoir)->attrs);
    free(*reservoir);
    *reservoir = NULL;
}

bool vmafx_exemplar_eligible(VmafxExemplarFilter filter, const VmafxContext *context, VmafxSpanContext *ret_span)
{
    if (filter == VMAFX_EXEMPLARS_ALWAYS_OFF)
        return false;
    if (!context)
        context = vmafx_context_current();
    if (!context && filter == VMAFX_EXEMPLARS_TRACE_BASED)
        return false;
    if (!vmafx_context_span(context, ret_span) || !vmafx_span_context_valid(ret_span)) {
        *ret_span = (VmafxSpanContext){ 0 };
        return filter == VMAFX_EXEMPLARS_ALWAYS_ON;
    }
    return filter == VMAFX_EXEMPLARS_ALWAYS_ON || (ret_span->flags & VMAFX_TRACE_FLAG_SAMPLED);
}

static bool enter(VmafxReservoir *r)
{
    return !atomic_load_explicit(&r->busy, memory_order_relaxed) &&
           !atomic_exchange_explicit(&r->busy, true, memory_order_acquire);
}

static void leave(VmafxReservoir *r)
{
    atomic_store_explicit(&r->busy, false, memory_order_release);
}

static uint64_t next_random(VmafxReservoir *r)
{
    r->random ^= r->random << 13;
    r->random ^= r->random >> 7;
    r->random ^= r->random << 17;
    return r->random * 0x2545f4914f6cdd1du;
}

/* The slot a measurement goes to; n for none. */
static size_t slot_for(VmafxReservoir *r, VmafxNumber value)
{
    if (r->config->kind == VMAFX_AGG_HISTOGRAM && r->n > 1)
        return vmafx_histogram_bucket(r->config, value.d);

    uint64_t seen = r->seen++;
    if (seen < r->n)
        return (size_t)seen;
    /* 0 … seen, each as likely as the others */
    uint64_t at = (uint64_t)(((unsigned __int128)next_random(r) * (seen + 1)) >> 64);
    return at < r->n ? (size_t)at : r->n;
}

static void put_attr(VmafxExemplarAttrs *kept, const VmafxAttr *attr)
{
    const VmafxValue *v = &attr->value;
    size_t key_size = strlen(attr->key) + 1, text_len = v->type == VMAFX_VALUE_STR ? v->str.len : 0;

    if (v->type == VMAFX_VALUE_ARRAY || v->type == VMAFX_VALUE_MAP || v->type == VMAFX_VALUE_BYTES)
        return;
    if (kept->n == VMAFX_EXEMPLAR_ATTRS || key_size > sizeof kept->bytes || text_len > sizeof kept->bytes ||
        kept->used + key_size + text_len > sizeof kept->bytes)
        return;
    size_t i = kept->n++;
    kept->items[i].type = v->type;
    kept->items[i].i = v->type == VMAFX_VALUE_BOOL ? v->b : v->type == VMAFX_VALUE_INT ? v->i : 0;
    kept->items[i].d = v->type == VMAFX_VALUE_DOUBLE ? v->d : 0;
    kept->items[i].key = kept->used;
    memcpy(kept->bytes + kept->used, attr->key, key_size);
    kept->used = (uint16_t)(kept->used + key_size);
    kept->items[i].text = kept->used;
    kept->items[i].text_len = (uint16_t)text_len;
    if (text_len)
        memcpy(kept->bytes + kept->used, v->str.ptr, text_len);
    kept->used = (uint16_t)(kept->used + text_len);
}

void vmafx_reservoir_offer(VmafxReservoir *r, VmafxNumber value, const VmafxSpanContext *span, VmafxAttrs dropped,
                           uint64_t (*now)(void *ctx), void *now_ctx)
{
    if (!r || !enter(r))
        return;
    size_t at = slot_for(r, value);

    if (at < r->n) {
        VmafxExemplarSlot *slot = &r->slots[at];

        slot->set = true;
        slot->value = value;
        slot->time_ns = now(now_ctx);
        memcpy(slot->trace_id, span->trace_id, sizeof slot->trace_id);
        memcpy(slot->span_id, span->span_id, sizeof slot->span_id);
        if (r->attrs) {
            r->attrs[at].n = r->attrs[at].used = 0;
            for (size_t i = 0; i < dropped.n; i++)
                put_attr(&r->attrs[at], &dropped.items[i]);
        }
    }
    leave(r);
}

void vmafx_reservoir_take(VmafxReservoir *r, VmafxExemplarSlot *slots, VmafxExemplarAttrs *attrs)
{
    if (!r)
        return;
    for (int tries = 0; !enter(r); tries++) {
        if (tries == TAKE_TRIES)
            return; /* whoever offers was put to sleep; next time */
        sched_yield();
    }
    for (size_t i = 0; i < r->n; i++)
        if (r->slots[i].set) {
            slots[i] = r->slots[i];
            if (attrs && r->attrs)
                attrs[i] = r->attrs[i];
            r->slots[i].set = false;
        }
    r->seen = 0;
    leave(r);
}
