/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A program with telemetry: it makes small pictures of large ones, or would. Explained in docs/otel-c.md. */

#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "otel/api/log.h"
#include "otel/api/metrics.h"
#include "otel/api/trace.h"
#include "otel/export/otel.h"

#define NAME    "example.thumbnails"
#define VERSION "1.0"

/* Looked up once and used often. All of it works without an SDK too; then it does nothing. */
typedef struct Telemetry {
    VmafxTracer *tracer;
    VmafxCounter *pictures;
    VmafxHistogram *duration;
    VmafxLogger *log;
} Telemetry;

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void shrink(const Telemetry *telemetry, int width)
{
    VMAFX_AUTO(vmafx_span_end) VmafxSpan *span = vmafx_span_start(telemetry->tracer, "shrink picture");
    VMAFX_AUTO(vmafx_span_detach) VmafxContextToken token = vmafx_span_attach(span);
    double started = seconds();

    vmafx_span_set_int(span, "example.width", width);
    if (width > 4096) {
        vmafx_span_add_event(span, "cut into tiles", VMAFX_ATTRS(VMAFX_ATTR_INT("example.tiles", width / 4096 + 1)));
        vmafx_log(telemetry->log, VMAFX_WARN, "a picture is very large", VMAFX_ATTR_INT("example.width", width));
    }
    vmafx_counter_add(telemetry->pictures, 1);
    vmafx_histogram_record(telemetry->duration, seconds() - started);
}

static void work(const Telemetry *telemetry)
{
    VMAFX_AUTO(vmafx_span_end) VmafxSpan *span = vmafx_span_start(telemetry->tracer, "make thumbnails");
    VMAFX_AUTO(vmafx_span_detach) VmafxContextToken token = vmafx_span_attach(span); /* spans below are its children */

    for (int width = 1024; width <= 8192; width *= 2)
        shrink(telemetry, width);
}

int main(void)
{
    static const double bounds[] = { 0.001, 0.01, 0.1, 1, 10 };
    VmafxOtel *otel = vmafx_otel_start(&(VmafxOtelStart){ .service = "thumbnails", .version = VERSION });
    VMAFX_AUTO(vmafx_context_unref) VmafxContext *caller = vmafx_context_from_environment(environ); /* TRACEPARENT */
    VmafxContextToken token = vmafx_context_attach(caller);
    VmafxMeter *meter = vmafx_meter_get(NAME, VERSION, "", VMAFX_NO_ATTRS);
    Telemetry telemetry = {
        .tracer = vmafx_tracer_get(NAME, VERSION),
        .pictures = vmafx_counter(meter, "example.pictures", "{picture}", "Pictures that were made smaller"),
        .duration = vmafx_histogram_bounds(meter, "example.duration", "s", "Time for one picture", bounds, 5),
        .log = vmafx_logger_new(NAME, VERSION, "", VMAFX_NO_ATTRS),
    };

    work(&telemetry);
    vmafx_logger_free(&telemetry.log);
    vmafx_context_detach(token);
    VMAFX_IGNORE(vmafx_otel_stop(&otel, VMAFX_OTEL_STOP_MS)); /* it says itself what was lost */
    return 0;
}
