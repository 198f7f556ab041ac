/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The provider: its tracers, its end, its counts. Spans are in span.c, their memory in span_store.c. */

#include "otel/sdk/trace_provider.h"

#include <string.h>
#include <time.h>

#include "base/base.h"
#include "otel/sdk/span.h"

enum { FREE_MS = 1000 }; /* for the shutdown that the owner forgot */

/* ---- tracers ---- */

static bool tracer_enabled(VmafxTracerSdk *sdk)
{
    const VmafxTraceProvider *provider = ((SdkTracer *)sdk)->provider;

    return provider->n_processors && vmafx_trace_alive(provider);
}

static void tracer_init(SdkTracer *tracer, VmafxTraceProvider *provider)
{
    tracer->sdk = (VmafxTracerSdk){ vmafx_sdk_span_start, vmafx_sdk_span_record, tracer_enabled };
    tracer->provider = provider;
    atomic_init(&tracer->api.sdk, &tracer->sdk);
    tracer->api.name = tracer->scope.name;
    tracer->api.version = tracer->scope.version;
    tracer->api.schema_url = tracer->scope.schema_url;
    tracer->api.attrs = tracer->scope.attrs;
}

static bool same_value(const VmafxValue *a, const VmafxValue *b)
{
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case VMAFX_VALUE_STR:
    case VMAFX_VALUE_BYTES:
        return a->str.len == b->str.len && !memcmp(a->str.ptr, b->str.ptr, a->str.len);
    case VMAFX_VALUE_BOOL:
        return a->b == b->b;
    case VMAFX_VALUE_INT:
        return a->i == b->i;
    case VMAFX_VALUE_DOUBLE:
        return !memcmp(&a->d, &b->d, sizeof a->d);
    default:
        return true; /* scopes keep the scalar kinds only; see keepable */
    }
}

static bool same_attrs(VmafxAttrs a, VmafxAttrs b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++) {
        size_t at = 0;

        while (at < b.n && strcmp(a.items[i].key, b.items[at].key))
            at++;
        if (at == b.n || !same_value(&a.items[i].value, &b.items[at].value))
            return false;
    }
    return true;
}

/* A scope's attributes are a few scalars; collections among them are left out. */
static bool keepable(const VmafxAttr *attr)
{
    return attr->key && *attr->key && attr->value.type <= VMAFX_VALUE_BYTES;
}

static bool has_text(const VmafxAttr *attr)
{
    return attr->value.type == VMAFX_VALUE_STR || attr->value.type == VMAFX_VALUE_BYTES;
}

static char *append(char **at, const char *text, size_t len)
{
    char *copy = *at;

    memcpy(copy, text, len);
    copy[len] = 0;
    *at += len + 1;
    return copy;
}

/* One block: the tracer, its attributes, all its texts. */
static SdkTracer *tracer_new(VmafxTraceProvider *provider, const VmafxScope *scope)
{
    size_t bytes = sizeof(SdkTracer) + strlen(scope->name) + strlen(scope->version) + strlen(scope->schema_url) + 3,
           n = 0;

    for (size_t i = 0; i < scope->attrs.n; i++)
        bytes += sizeof(VmafxAttr) + strlen(scope->attrs.items[i].key) + 1 +
                 (has_text(&scope->attrs.items[i]) ? scope->attrs.items[i].value.str.len + 1 : 0);

    SdkTracer *tracer = calloc(1, bytes);

    if (!tracer)
        return NULL;

    VmafxAttr *attrs = (VmafxAttr *)(tracer + 1);
    char *at = (char *)(attrs + scope->attrs.n);

    for (; n < scope->attrs.n; n++) {
        attrs[n] = scope->attrs.items[n];
        attrs[n].key = append(&at, attrs[n].key, strlen(attrs[n].key));
        if (has_text(&attrs[n]))
            attrs[n].value.str.ptr = append(&at, attrs[n].value.str.ptr, attrs[n].value.str.len);
    }
    tracer->scope = (VmafxScope){
        .name = append(&at, scope->name, strlen(scope->name)),
        .version = append(&at, scope->version, strlen(scope->version)),
        .schema_url = append(&at, scope->schema_url, strlen(scope->schema_url)),
        .attrs = { attrs, n },
    };
    tracer_init(tracer, provider);
    return tracer;
}

static SdkTracer *find(SdkTracer *first, const SdkTracer *last, const VmafxScope *scope)
{
    for (SdkTracer *t = first; t != last; t = t->next)
        if (!strcmp(t->scope.name, scope->name) && !strcmp(t->scope.version, scope->version) &&
            !strcmp(t->scope.schema_url, scope->schema_url) && same_attrs(t->scope.attrs, scope->attrs))
            return t;
    return NULL;
}

/* Without locks, so that a fork can interrupt nothing: the list only grows, at its head. */
static SdkTracer *get_tracer(VmafxTraceProvider *provider, const VmafxScope *scope)
{
    SdkTracer *head = atomic_load_explicit(&provider->tracers, memory_order_acquire), *known, *made;

    known = find(head, NULL, scope);
    if (known)
        return known;
    if (atomic_fetch_add_explicit(&provider->n_tracers, 1, memory_order_relaxed) >= VMAFX_TRACERS_MAX ||
        !(made = tracer_new(provider, scope))) {
        atomic_fetch_sub_explicit(&provider->n_tracers, 1, memory_order_relaxed);
        return &provider->unnamed;
    }
    for (;;) {
        SdkTracer *seen = head;

        made->next = head;
        if (atomic_compare_exchange_strong_explicit(&provider->tracers, &head, made, memory_order_acq_rel,
                                                    memory_order_acquire))
            return made;
        known = find(head, seen, scope);
        if (known) {
            free(made);
            atomic_fetch_sub_explicit(&provider->n_tracers, 1, memory_order_relaxed);
            return known;
        }
    }
}

static VmafxTracerSdk *api_tracer(VmafxTracerProvider *api, const VmafxTracer *tracer)
{
    return vmafx_trace_provider_tracer((VmafxTraceProvider *)api, tracer->name, tracer->version, tracer->schema_url,
                                       tracer->attrs)
        ->sdk;
}

/* A warning is a line a process at most, so it may be written by the thread that starts a span. */
static void error_to_stderr(void *ctx, int severity, const char *message)
{
    fprintf(stderr, "telemetry: %s\n", message);
}

void vmafx_trace_provider_warn(const VmafxTraceProvider *provider, const char *message)
{
    enum { WARN = 13 };

    provider->error(provider->error_ctx, WARN, message);
}

/* ---- the provider ---- */

VmafxTraceProvider *vmafx_trace_provider_new(const VmafxTraceProviderConfig *config)
{
    VmafxTraceProviderConfig defaults = VMAFX_TRACE_PROVIDER_DEFAULT;
    VmafxTraceProvider *provider = vmafx_alloc_aligned(1, sizeof *provider);
    size_t n = VMAFX_MIN((config ? config : &defaults)->n_processors, (size_t)VMAFX_TRACE_PROCESSORS_MAX);

    config = config ? config : &defaults;
    if (!provider) {
        VmafxSampler *sampler = config->sampler;

        vmafx_sampler_free(&sampler);
        for (size_t i = 0; i < n; i++)
            if (config->processors[i])
                config->processors[i]->free(config->processors[i]);
        return NULL;
    }
    vmafx_fork_watch();
    provider->api.tracer = api_tracer;
    provider->generation = vmafx_fork_generation();
    provider->sampler = config->sampler ? config->sampler : vmafx_sampler_parent_based(NULL);
    provider->error = config->error ? config->error : error_to_stderr;
    provider->error_ctx = config->error_ctx;
    provider->limits = config->limits;
    provider->ids = config->ids ? config->ids : &vmafx_ids_random;
    provider->records_max = config->records_max ? config->records_max : defaults.records_max;
    for (size_t i = 0; i < n; i++)
        if (config->processors[i])
            provider->processors[provider->n_processors++] = config->processors[i];
    provider->unnamed.scope = (VmafxScope){ .name = "", .version = "", .schema_url = "" };
    tracer_init(&provider->unnamed, provider);
    return provider;
}

VmafxTracerProvider *vmafx_trace_provider_api(VmafxTraceProvider *provider)
{
    return provider ? &provider->api : NULL;
}

VmafxTracer *vmafx_trace_provider_tracer(VmafxTraceProvider *provider, const char *name, const char *version,
                                         const char *schema_url, VmafxAttrs attrs)
{
    enum { ROOM = 32 };
    VmafxAttr kept[ROOM];
    VmafxScope scope = {
        .name = name ? name : "",
        .version = version ? version : "",
        .schema_url = schema_url ? schema_url : "",
        .attrs = { kept, 0 },
    };

    if (!provider)
        return vmafx_tracer_get(name, version);
    for (size_t i = 0; attrs.items && i < attrs.n; i++) {
        size_t at = 0;

        if (!keepable(&attrs.items[i]))
            continue;
        while (at < scope.attrs.n && strcmp(kept[at].key, attrs.items[i].key))
            at++;
        if (at == ROOM)
            continue;
        kept[at] = attrs.items[i];
        if (has_text(&kept[at]) && !kept[at].value.str.ptr)
            kept[at].value = vmafx_value_str("");
        scope.attrs.n = VMAFX_MAX(scope.attrs.n, at + 1);
    }
    return &get_tracer(provider, &scope)->api;
}

static VmafxExportResult worse(VmafxExportResult a, VmafxExportResult b)
{
    return VMAFX_MAX(a, b); /* OK < FAILED < TIMEOUT */
}

VmafxExportResult vmafx_trace_provider_force_flush(VmafxTraceProvider *provider, uint64_t deadline_ns)
{
    VmafxExportResult result = VMAFX_EXPORT_OK;

    if (!provider || !vmafx_trace_alive(provider))
        return VMAFX_EXPORT_FAILED;
    for (size_t i = 0; i < provider->n_processors; i++)
        result = worse(result, provider->processors[i]->force_flush(provider->processors[i], deadline_ns));
    return result;
}

VmafxExportResult vmafx_trace_provider_shutdown(VmafxTraceProvider *provider, uint64_t deadline_ns)
{
    VmafxExportResult result = VMAFX_EXPORT_OK;

    if (!provider || provider->generation != vmafx_fork_generation() ||
        atomic_exchange_explicit(&provider->down, true, memory_order_acq_rel))
        return VMAFX_EXPORT_FAILED;
    for (size_t i = 0; i < provider->n_processors; i++)
        result = worse(result, provider->processors[i]->shutdown(provider->processors[i], deadline_ns));
    return result;
}

void vmafx_trace_provider_free(VmafxTraceProvider **address)
{
    VmafxTraceProvider *provider = address ? VMAFX_TAKE(*address) : NULL;
    bool all_back = true;

    if (!provider || provider->generation != vmafx_fork_generation())
        return;
    if (!atomic_load_explicit(&provider->down, memory_order_acquire)) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        (void)vmafx_trace_provider_shutdown(provider, ((uint64_t)now.tv_sec * 1000 + FREE_MS) * 1000000u);
    }
    for (size_t i = 0; i < provider->n_processors; i++)
        all_back &= provider->processors[i]->free(provider->processors[i]);
    provider->n_processors = 0;
    if (!all_back || !vmafx_lanes_free(provider)) {
        vmafx_keep(provider); /* a worker or a thread still uses it */
        return;
    }

    SdkTracer *tracer = atomic_load_explicit(&provider->tracers, memory_order_acquire);

    while (tracer) {
        SdkTracer *next = tracer->next;

        free(tracer);
        tracer = next;
    }
    vmafx_sampler_free(&provider->sampler);
    free(provider);
}

static uint64_t read_count(const atomic_uint_least64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void vmafx_trace_provider_counts(const VmafxTraceProvider *provider, VmafxTraceCounts *ret)
{
    *ret = (VmafxTraceCounts){ 0 };
    if (!provider)
        return;
    ret->dropped_memory = read_count(&provider->dropped_memory);

    unsigned n = atomic_load_explicit(&provider->n_lanes, memory_order_acquire);

    for (unsigned i = 0; i < n; i++) {
        const TraceLane *lane = atomic_load_explicit(&provider->lanes[i], memory_order_acquire);

        if (!lane)
            continue;
        for (int d = 0; d < 3; d++) {
            for (int origin = 0; origin < 3; origin++) {
                uint64_t started = read_count(&lane->counts.started[origin][d]);

                ret->started[origin][d] += started;
                ret->live[d] += (int64_t)started;
            }
            ret->live[d] -= (int64_t)read_count(&lane->counts.ended[d]);
        }
        ret->dropped_attrs += read_count(&lane->counts.attrs);
        ret->dropped_events += read_count(&lane->counts.events);
        ret->dropped_links += read_count(&lane->counts.links);
    }
    ret->live[VMAFX_SAMPLE_DROP] = 0; /* those are not recording */
}
