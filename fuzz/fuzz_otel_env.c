/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* OTEL_… variables: whatever they hold, the settings that come out are inside their ranges and can be used. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "otel/sdk/env.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { VARIABLES_MAX = 100 };

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void check_batch(const VmafxBatchSettings *batch)
{
    require(batch->schedule_delay_ms >= 0 && batch->export_timeout_ms > 0);
    require(batch->queue_size > 0 && batch->batch_size > 0 && batch->batch_size <= batch->queue_size);
}

static void check_pairs(const VmafxOtelPairs *pairs, bool headers)
{
    require(pairs->n <= VMAFX_OTEL_PAIRS_MAX);
    for (size_t i = 0; i < pairs->n; i++) {
        require(*pairs->items[i].key != 0);
        for (size_t j = 0; j < i; j++)
            require(strcmp(pairs->items[i].key, pairs->items[j].key) != 0);
        if (headers)
            require(!strpbrk(pairs->items[i].key, " \r\n:") && !strpbrk(pairs->items[i].value, "\r\n"));
    }
}

/* Lines of the input are the variables. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    VMAFX_AUTO(vmafx_free_p) char *text = malloc(size + 1);
    char *environment[VARIABLES_MAX + 1] = { NULL };
    VmafxOtelSettings s;
    static VmafxOtelWarnings warnings;
    size_t n = 0;

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = 0;
    for (char *line = text; line && n < VARIABLES_MAX;) {
        char *end = memchr(line, '\n', (size_t)(text + size - line));

        if (end)
            *end = 0;
        environment[n++] = line;
        line = end ? end + 1 : NULL;
    }
    warnings.n = warnings.dropped = 0;
    vmafx_otel_settings_init(&s, environment, &warnings);

    require(warnings.n <= VMAFX_OTEL_WARNINGS_MAX);
    for (size_t i = 0; i < warnings.n; i++)
        require(memchr(warnings.text[i], 0, VMAFX_OTEL_WARNING_SIZE) && !strpbrk(warnings.text[i], "\n\r\033"));
    check_batch(&s.span_batch);
    check_batch(&s.log_batch);
    check_pairs(&s.resource_attributes, false);
    require(s.sampler_ratio >= 0 && s.sampler_ratio <= 1);
    require(s.prometheus_port >= 0 && s.prometheus_port <= 65535);
    for (int i = 0; i < 3; i++) {
        const VmafxOtlpSettings *otlp = &s.otlp[i];

        check_pairs(&otlp->headers, true);
        require(otlp->timeout_ms > 0 && !otlp->client_certificate == !otlp->client_key);
        require(strstr(otlp->endpoint, "://") || !strncasecmp(otlp->endpoint, "unix:", 5));
        require(!strpbrk(otlp->endpoint, " \t\r\n"));
    }
    vmafx_otel_settings_done(&s);
    return 0;
}
