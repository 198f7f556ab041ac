/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The way of a record: from what a logger gives to what processors see. */

#include "otel/sdk/log_provider.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/clock.h"
#include "otel/api/attr_set.h"
#include "otel/sdk/ids.h"
#include "otel/sdk/resource.h"
#include "otel/sdk/values.h"

typedef struct Scope {
    struct Scope *next;
    VmafxScope scope;
} Scope;

typedef struct Provider {
    VmafxLogProvider api; /* first: a provider is one of these */
    VmafxLogProviderSettings settings;
    VmafxLogProcessor *processors[VMAFX_LOG_PROCESSORS_MAX];
    size_t n;
    unsigned generation; /* of forks, at the making */
    atomic_bool shut;
    atomic_uint_fast64_t created, lost;

    pthread_mutex_t lock; /* covers adding below; scopes once added never change or move */
    _Atomic(Scope *) scopes;
    size_t n_scopes;
} Provider;

static const VmafxScope unnamed = { "", "", "", { NULL, 0 } };

static bool silent(Provider *p)
{
    return atomic_load_explicit(&p->shut, memory_order_relaxed) || p->generation != vmafx_fork_generation();
}

/* ---- Scopes ---- */

static const VmafxScope *find_scope(Scope *list, const VmafxLogger *logger)
{
    for (; list; list = list->next)
        if (!strcmp(list->scope.name, vmafx_logger_name(logger)) &&
            !strcmp(list->scope.version, vmafx_logger_version(logger)) &&
            !strcmp(list->scope.schema_url, vmafx_logger_schema_url(logger)) &&
            vmafx_attr_set_equal(list->scope.attrs, vmafx_logger_attrs(logger)))
            return &list->scope;
    return NULL;
}

static Scope *copy_scope(const VmafxLogger *logger)
{
    VmafxBump bump = { NULL, 0, false };

    for (;;) {
        Scope *copy = vmafx_bump_take(&bump, sizeof *copy);
        VmafxScope scope = {
            .name = vmafx_bump_str(&bump, vmafx_logger_name(logger)),
            .version = vmafx_bump_str(&bump, vmafx_logger_version(logger)),
            .schema_url = vmafx_bump_str(&bump, vmafx_logger_schema_url(logger)),
            .attrs = vmafx_bump_attrs(&bump, vmafx_logger_attrs(logger), &vmafx_attr_unlimited, NULL),
        };

        if (copy) {
            *copy = (Scope){ NULL, scope };
            return copy;
        }
        char *memory = bump.saturated ? NULL : malloc(bump.used);
        if (!memory)
            return NULL;
        bump = (VmafxBump){ memory, 0, false };
    }
}

static const VmafxScope *scope_of(Provider *p, const VmafxLogger *logger)
{
    const VmafxScope *found = find_scope(atomic_load_explicit(&p->scopes, memory_order_acquire), logger);

    if (found)
        return found;
    pthread_mutex_lock(&p->lock); /* for a few instructions, once for each logger */
    found = find_scope(atomic_load_explicit(&p->scopes, memory_order_relaxed), logger);
    if (!found && p->n_scopes < VMAFX_LOG_SCOPES_MAX) {
        Scope *scope = copy_scope(logger);

        if (scope) {
            scope->next = atomic_load_explicit(&p->scopes, memory_order_relaxed);
            atomic_store_explicit(&p->scopes, scope, memory_order_release); /* pairs with the load above */
            p->n_scopes++;
            found = &scope->scope;
        }
    }
    pthread_mutex_unlock(&p->lock);
    return found ? found : &unnamed;
}

/* ---- Records ---- */

/* The record's attributes, with what is known of an exception in front, so that the record's own win. */
static VmafxAttrs with_exception(const VmafxLogRecord *record, VmafxAttr *items)
{
    const char *const values[] = { record->exception_type, record->exception_message, record->exception_stacktrace };
    static const char *const keys[] = { "exception.type", "exception.message", "exception.stacktrace" };
    size_t n = 0;

    for (size_t i = 0; i < VMAFX_LEN(keys); i++)
        if (values[i])
            items[n++] = VMAFX_ATTR_STR(keys[i], values[i]);
    if (record->attrs.items && record->attrs.n)
        memcpy(items + n, record->attrs.items, record->attrs.n * sizeof *items);
    return (VmafxAttrs){ items, n + (record->attrs.items ? record->attrs.n : 0) };
}

static bool emit_with(Provider *p, VmafxAttrs attrs, VmafxLogData *data)
{
    VMAFX_AUTO(vmafx_free_p) char *memory = NULL;
    VmafxBump bump = { NULL, 0, false };

    vmafx_bump_attrs(&bump, attrs, &p->settings.limits, NULL);
    memory = bump.saturated ? NULL : malloc(bump.used + 1);
    if (!memory)
        return false;
    bump = (VmafxBump){ memory, 0, false };
    data->attrs = vmafx_bump_attrs(&bump, attrs, &p->settings.limits, &data->dropped_attrs);
    for (size_t i = 0; i < p->n; i++)
        if (!p->processors[i]->enabled || p->processors[i]->enabled(p->processors[i], data->severity, data->event_name))
            p->processors[i]->on_emit(p->processors[i], data);
    return true;
}

static bool wanted(const Provider *p, int severity)
{
    return !severity || severity >= p->settings.minimum_severity;
}

static void provider_emit(VmafxLogProvider *provider, const VmafxLogger *logger, const VmafxLogRecord *record)
{
    Provider *p = (Provider *)provider;
    VmafxSpanContext span = { .flags = 0 };
    VmafxLogData data = { .time_ns = record->time_ns, .observed_ns = record->observed_ns, .body = record->body };

    if (silent(p) || !wanted(p, record->severity))
        return;
    bool in_span = vmafx_context_span(record->context ? record->context : vmafx_context_current(), &span);
    if (in_span && p->settings.trace_based && !(span.flags & VMAFX_TRACE_FLAG_SAMPLED))
        return;
    if (in_span) {
        memcpy(data.trace_id, span.trace_id, sizeof data.trace_id);
        memcpy(data.span_id, span.span_id, sizeof data.span_id);
        data.flags = span.flags;
    }
    data.severity = record->severity < 0 || record->severity > 24 ? 0 : record->severity;
    data.severity_text = record->severity_text ? record->severity_text : vmafx_severity_text(data.severity);
    data.event_name = record->event_name ? record->event_name : "";
    data.observed_ns = data.observed_ns ? data.observed_ns : vmafx_wall_ns();
    data.scope = scope_of(p, logger);

    VmafxAttrs attrs = record->attrs;
    VMAFX_AUTO(vmafx_free_p) VmafxAttr *more = NULL;
    bool done = true;
    if (record->exception_type || record->exception_message || record->exception_stacktrace) {
        more = calloc((attrs.items ? attrs.n : 0) + 3, sizeof *more);
        done = more;
        if (more)
            attrs = with_exception(record, more);
    }
    done = done && emit_with(p, attrs, &data);
    atomic_fetch_add_explicit(done ? &p->created : &p->lost, 1, memory_order_relaxed);
}

static bool provider_enabled(VmafxLogProvider *provider, const VmafxLogger *logger, int severity,
                             const char *event_name)
{
    Provider *p = (Provider *)provider;

    if (silent(p) || !wanted(p, severity))
        return false;
    for (size_t i = 0; i < p->n; i++)
        if (!p->processors[i]->enabled || p->processors[i]->enabled(p->processors[i], severity, event_name))
            return true;
    return false;
}

/* ---- The provider ---- */

VmafxLogProvider *vmafx_log_provider_new(const VmafxLogProviderSettings *settings, VmafxLogProcessor *const *processors,
                                         size_t n)
{
    Provider *p = calloc(1, sizeof *p);

    vmafx_fork_watch();
    for (size_t i = 0; i < n; i++) {
        if (!processors[i])
            continue;
        if (p && p->n < VMAFX_LOG_PROCESSORS_MAX)
            p->processors[p->n++] = processors[i];
        else
            processors[i]->free(processors[i]);
    }
    if (!p)
        return NULL;
    if (settings)
        p->settings = *settings;
    if (!settings || (!settings->limits.count && !settings->limits.value_length))
        p->settings.limits = (VmafxAttrLimits){ .value_length = VMAFX_OTEL_UNLIMITED, .count = 128 };
    p->generation = vmafx_fork_generation();
    p->api = (VmafxLogProvider){ .enabled = provider_enabled, .emit = provider_emit };
    pthread_mutex_init(&p->lock, NULL);
    return &p->api;
}

VmafxExportResult vmafx_log_provider_flush(VmafxLogProvider *provider, uint64_t deadline_ns)
{
    Provider *p = (Provider *)provider;
    VmafxExportResult result = VMAFX_EXPORT_OK;

    if (!p)
        return VMAFX_EXPORT_OK;
    if (silent(p))
        return VMAFX_EXPORT_FAILED;
    for (size_t i = 0; i < p->n; i++) {
        VmafxExportResult one = p->processors[i]->force_flush(p->processors[i], deadline_ns);

        result = result ? result : one;
    }
    return result;
}

VmafxExportResult vmafx_log_provider_shutdown(VmafxLogProvider *provider, uint64_t deadline_ns)
{
    Provider *p = (Provider *)provider;
    VmafxExportResult result = VMAFX_EXPORT_OK;

    if (!p)
        return VMAFX_EXPORT_OK;
    if (silent(p) || atomic_exchange(&p->shut, true))
        return VMAFX_EXPORT_FAILED;
    for (size_t i = 0; i < p->n; i++) {
        VmafxExportResult one = p->processors[i]->shutdown(p->processors[i], deadline_ns);

        result = result ? result : one;
    }
    return result;
}

void vmafx_log_provider_free(VmafxLogProvider **provider)
{
    Provider *p = provider ? (Provider *)*provider : NULL;

    if (!p)
        return;
    for (size_t i = 0; i < p->n; i++)
        p->processors[i]->free(p->processors[i]);
    for (Scope *s = atomic_load(&p->scopes), *next; s; s = next) {
        next = s->next;
        free(s);
    }
    if (p->generation == vmafx_fork_generation())
        pthread_mutex_destroy(&p->lock);
    free(p);
    *provider = NULL;
}

void vmafx_log_provider_counts(VmafxLogProvider *provider, uint64_t *ret_created, uint64_t *ret_lost)
{
    Provider *p = (Provider *)provider;

    *ret_created = p ? atomic_load_explicit(&p->created, memory_order_relaxed) : 0;
    *ret_lost = p ? atomic_load_explicit(&p->lost, memory_order_relaxed) : 0;
}
