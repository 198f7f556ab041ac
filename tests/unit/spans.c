/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A processor that keeps what ends. */

#include "spans.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"

enum { KEPT_MAX = 16 };

typedef struct Keeper {
    VmafxSpanProcessor base;
    pthread_mutex_t lock; /* covers the following */
    pthread_cond_t more;
    VmafxFinishedSpan *spans[KEPT_MAX];
    size_t n;
} Keeper;

static Keeper keeper = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER };

static void keep(VmafxSpanProcessor *processor, VmafxFinishedSpan *span, unsigned lane)
{
    pthread_mutex_lock(&keeper.lock);
    if (keeper.n < KEPT_MAX)
        keeper.spans[keeper.n++] = VMAFX_TAKE(span);
    pthread_cond_broadcast(&keeper.more);
    pthread_mutex_unlock(&keeper.lock);
    vmafx_finished_span_unref(&span);
}

static VmafxExportResult nothing_to_do(VmafxSpanProcessor *processor, uint64_t deadline_ns)
{
    return VMAFX_EXPORT_OK;
}

static bool drop_all(VmafxSpanProcessor *processor)
{
    while (keeper.n)
        vmafx_finished_span_unref(&keeper.spans[--keeper.n]);
    return true;
}

VmafxTraceProvider *spans_begin(void)
{
    VmafxTraceProviderConfig config = VMAFX_TRACE_PROVIDER_DEFAULT;

    keeper.base = (VmafxSpanProcessor){ NULL, keep, nothing_to_do, nothing_to_do, drop_all };
    config.processors[config.n_processors++] = &keeper.base;
    VmafxTraceProvider *provider = vmafx_trace_provider_new(&config);
    assert_non_null(provider);
    vmafx_tracer_provider_set(vmafx_trace_provider_api(provider));
    return provider;
}

void spans_end(VmafxTraceProvider **provider)
{
    vmafx_tracer_provider_set(NULL);
    vmafx_trace_provider_free(provider);
}

size_t spans_n(void)
{
    pthread_mutex_lock(&keeper.lock);
    size_t n = keeper.n;
    pthread_mutex_unlock(&keeper.lock);
    return n;
}

const VmafxSpanData *spans_at(size_t i)
{
    pthread_mutex_lock(&keeper.lock);
    while (keeper.n <= i)
        pthread_cond_wait(&keeper.more, &keeper.lock);
    const VmafxSpanData *data = vmafx_finished_span_data(keeper.spans[i]);
    pthread_mutex_unlock(&keeper.lock);
    return data;
}

const VmafxSpanData *spans_named(const char *name, VmafxSpanKind kind)
{
    const VmafxSpanData *found = NULL;

    pthread_mutex_lock(&keeper.lock);
    while (!found) {
        for (size_t i = 0; i < keeper.n && !found; i++) {
            const VmafxSpanData *data = vmafx_finished_span_data(keeper.spans[i]);

            if (!strcmp(data->name, name) && data->kind == kind)
                found = data;
        }
        if (!found)
            pthread_cond_wait(&keeper.more, &keeper.lock);
    }
    pthread_mutex_unlock(&keeper.lock);
    return found;
}

const VmafxAttr *span_attr(const VmafxSpanData *span, const char *key)
{
    for (size_t i = 0; i < span->attrs.n; i++)
        if (!strcmp(span->attrs.items[i].key, key))
            return &span->attrs.items[i];
    return NULL;
}

void assert_text(const VmafxSpanData *span, const char *key, const char *text)
{
    const VmafxAttr *attr = span_attr(span, key);

    if (!attr != !text)
        fail_msg("there is %s %s", text ? "no" : "a", key);
    if (!text)
        return;
    assert_int_equal(attr->value.type, VMAFX_VALUE_STR);
    assert_int_equal(attr->value.str.len, strlen(text));
    assert_memory_equal(attr->value.str.ptr, text, attr->value.str.len);
}

void assert_number(const VmafxSpanData *span, const char *key, int64_t number)
{
    const VmafxAttr *attr = span_attr(span, key);

    if (!attr)
        fail_msg("no %s", key);
    assert_int_equal(attr->value.type, VMAFX_VALUE_INT);
    assert_int_equal(attr->value.i, number);
}
