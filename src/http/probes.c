/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Probes: one line of text, or a problem with a sentence. */

#include "http/probes.h"

#include "base/base.h"
#include "base/clock.h"

#define TEXT "text/plain; charset=utf-8"

static VmafxErr say(VmafxHttpAnswer *answer, VmafxErr err, const char *yes, const VmafxErrInfo *missing)
{
    if (!err)
        return vmafx_http_answer_text(answer, 200, TEXT, yes);
    return vmafx_http_answer_problem(answer, 503, *missing->message ? missing->message : vmafx_err_text(err));
}

static VmafxErr livez(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    const VmafxProbes *probes = ctx;
    uint64_t max_ms = probes->heartbeat_max_ms ? probes->heartbeat_max_ms : VMAFX_HEARTBEAT_MAX_MS;
    uint64_t last_ns = probes->heartbeat_ns ? probes->heartbeat_ns(probes->ctx) : UINT64_MAX;
    uint64_t now_ns = vmafx_monotonic_ns(); /* after it: the loop may turn in between */
    uint64_t age_ms = last_ns < now_ns ? (now_ns - last_ns) / 1000000 : 0;
    VmafxErrInfo missing = { 0 };
    VmafxErr err = VMAFX_OK;

    if (age_ms > max_ms)
        err = vmafx_fail(&missing, VMAFX_ERR_DEADLINE,
                         "the main loop has not turned for %llu s, more than the %llu s it is granted",
                         (unsigned long long)(age_ms / 1000), (unsigned long long)(max_ms / 1000));
    return say(answer, err, "alive\n", &missing);
}

static VmafxErr readyz(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    const VmafxProbes *probes = ctx;
    VmafxErrInfo missing = { 0 };

    return say(answer, probes->ready ? probes->ready(probes->ctx, &missing) : VMAFX_OK, "ready\n", &missing);
}

static VmafxErr startupz(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    const VmafxProbes *probes = ctx;
    VmafxErrInfo missing = { 0 };

    return say(answer, probes->started ? probes->started(probes->ctx, &missing) : VMAFX_OK, "started\n", &missing);
}

static VmafxErr metrics(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    const VmafxProbes *probes = ctx;

    if (probes->metrics)
        answer->body =
            probes->metrics(probes->ctx, vmafx_http_call_header(call, "Accept"), &answer->len, &answer->content_type);
    if (!answer->body)
        return vmafx_fail(reterr, VMAFX_ERR_NOT_FOUND,
                          "this program keeps no page for Prometheus; add 'prometheus' to OTEL_METRICS_EXPORTER");
    return VMAFX_OK;
}

size_t vmafx_probe_routes(const VmafxProbes *probes, VmafxHttpRoute ret[VMAFX_PROBE_ROUTES])
{
    void *ctx = (void *)probes; /* handlers only read it */

    ret[0] = (VmafxHttpRoute){ .method = "GET",
                               .pattern = "/livez",
                               .handle = livez,
                               .ctx = ctx,
                               .flags = VMAFX_HTTP_INLINE | VMAFX_HTTP_QUIET,
                               .body_max_bytes = 1 };
    ret[1] = (VmafxHttpRoute){ .method = "GET",
                               .pattern = "/readyz",
                               .handle = readyz,
                               .ctx = ctx,
                               .flags = VMAFX_HTTP_URGENT | VMAFX_HTTP_QUIET,
                               .body_max_bytes = 1 };
    ret[2] = (VmafxHttpRoute){ .method = "GET",
                               .pattern = "/startupz",
                               .handle = startupz,
                               .ctx = ctx,
                               .flags = VMAFX_HTTP_URGENT | VMAFX_HTTP_QUIET,
                               .body_max_bytes = 1 };
    ret[3] = (VmafxHttpRoute){ .method = "GET",
                               .pattern = "/metrics",
                               .handle = metrics,
                               .ctx = ctx,
                               .flags = VMAFX_HTTP_URGENT | VMAFX_HTTP_QUIET,
                               .body_max_bytes = 1 };
    return VMAFX_PROBE_ROUTES;
}
