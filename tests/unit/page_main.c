/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Prints the Prometheus page of a short instrumented run, with its headers in front as a CGI program would. The
 * argument is the request's Accept header. For tests/system/test_prometheus.py.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "otel/api/metrics.h"
#include "otel/api/trace.h"
#include "otel/export/otel.h"

static void work(void)
{
    char *environment[] = { (char *)"TRACEPARENT=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", NULL };
    VMAFX_AUTO(vmafx_context_unref) VmafxContext *parent = vmafx_context_from_environment(environment);
    VmafxMeter *meter = vmafx_meter_get("page.test", "1", "", VMAFX_NO_ATTRS);
    VMAFX_AUTO(vmafx_span_end)
    VmafxSpan *span =
        vmafx_span_start_with(vmafx_tracer_get("page.test", "1"), "work", &(VmafxSpanOptions){ .parent = parent });
    VMAFX_AUTO(vmafx_span_detach) VmafxContextToken token = vmafx_span_attach(span);
    static const double bounds[] = { 0.5, 5, 50 };
    VmafxHistogram *duration =
        vmafx_histogram_bounds(meter, "page.duration", "s", "how long things take", bounds, VMAFX_LEN(bounds));

    vmafx_counter_add_with(vmafx_counter(meter, "page.jobs", "{job}", "jobs done"), 3,
                           VMAFX_ATTRS(VMAFX_ATTR_STR("page.outcome", "so \"so\"\\\nla la")), NULL);
    vmafx_histogram_record(duration, 0.25);
    vmafx_histogram_record(duration, 7.5);
    vmafx_gauge_double_record(vmafx_gauge_double(meter, "page.temperature", "Cel", "how hot it is"), 41.5);
    vmafx_up_down_counter_add(vmafx_up_down_counter(meter, "page.room", "By", "bytes to spare"), -4096);
}

int main(int argc, char **argv)
{
    char *environment[] = { (char *)"OTEL_METRICS_EXPORTER=prometheus", (char *)"OTEL_TRACES_EXPORTER=console",
                            (char *)"OTEL_LOGS_EXPORTER=none",
                            (char *)"OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=test", NULL };
    VmafxOtel *otel =
        vmafx_otel_start(&(VmafxOtelStart){ .service = "page", .version = "1", .environment = environment });
    const char *type;
    size_t len;

    work();
    VMAFX_AUTO(vmafx_free_p) char *page = vmafx_otel_prometheus_page(otel, argc > 1 ? argv[1] : NULL, &len, &type);
    if (page) {
        printf("Content-Type: %s\n\n", type);
        fwrite(page, 1, len, stdout);
    }
    VMAFX_IGNORE(vmafx_otel_stop(&otel, VMAFX_OTEL_STOP_MS)); /* the page is all there is to see */
    return page ? 0 : 1;
}
