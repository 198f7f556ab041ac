/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Flush, stop and fork, as a collector on the other side sees them. */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "otel/api/log.h"
#include "otel/api/metrics.h"
#include "otel/export/otel.h"
#include "peer.h"

#define BUSY                                                                                                           \
    {                                                                                                                  \
        ACT_SAY, 503, NULL, NULL, 0                                                                                    \
    }

enum { BUSY_THREADS = 3, CLI_MS = 2000 }; /* what a command line has for its end */

static pthread_mutex_t hearing = PTHREAD_MUTEX_INITIALIZER;

typedef struct Heard {
    unsigned again, gave_up, others;
} Heard;

static void hear(void *ctx, int severity, const char *message)
{
    Heard *heard = ctx;

    pthread_mutex_lock(&hearing);
    ++*(strstr(message, "will try again") ? &heard->again
        : strstr(message, "gave up")      ? &heard->gave_up
                                          : &heard->others);
    pthread_mutex_unlock(&hearing);
}

/* All signals to the peer; what is queued stays queued until somebody asks. */
static char **environment_of(const Peer *peer)
{
    static char endpoint[64];
    static char *environment[] = { endpoint,
                                   (char *)"OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
                                   (char *)"OTEL_BSP_SCHEDULE_DELAY=3600000",
                                   (char *)"OTEL_BLRP_SCHEDULE_DELAY=3600000",
                                   (char *)"OTEL_METRIC_EXPORT_INTERVAL=3600000",
                                   NULL };

    snprintf(endpoint, sizeof endpoint, "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:%u", (unsigned)peer->port);
    return environment;
}

static VmafxOtelStart start_of(const Peer *peer, Heard *heard)
{
    return (VmafxOtelStart){
        .service = "test", .version = "1", .environment = environment_of(peer), .on_error = hear, .on_error_ctx = heard
    };
}

static VmafxOtel *start(const Peer *peer, Heard *heard)
{
    VmafxOtelStart how = start_of(peer, heard);
    VmafxOtel *otel = vmafx_otel_start(&how);

    assert_non_null(otel);
    return otel;
}

/* One of each signal, with a name that can be found again. Handles are looked up once, at the start of main. */
static VmafxTracer *tracer;
static VmafxCounter *counter;
static VmafxLogger *logger;

static void one_of_each(const char *name)
{
    VMAFX_AUTO(vmafx_span_end) VmafxSpan *span = vmafx_span_start(tracer, name);

    vmafx_counter_add_with(counter, 1, VMAFX_ATTRS(VMAFX_ATTR_STR("name", name)), NULL);
    vmafx_log(logger, VMAFX_INFO, name);
}

/* ---- Stop ---- */

static void a_collector_that_is_busy_once_gets_everything_at_the_end(void **state)
{
    static const PeerStep busy_once[] = { BUSY, { 0 } };
    Heard heard = { 0 };
    Peer *peer = peer_open(peer_serve_http, busy_once);
    VmafxOtel *otel = start(peer, &heard);

    one_of_each("at the end");
    assert_int_equal(vmafx_otel_stop(&otel, CLI_MS), VMAFX_EXPORT_OK);
    assert_null(otel);
    peer_stop(peer);
    for (int signal = 0; signal < 3; signal++)
        assert_int_equal(peer->of[signal], 2);
    assert_int_equal(heard.again, 3);
    assert_int_equal(heard.gave_up, 0);
    assert_true(peer_kept(peer, "at the end"));
    peer_close(&peer);
}

static void a_backoff_under_way_does_not_outlast_the_program(void **state)
{
    static const PeerStep busy_once[] = { BUSY, { 0 } };
    Heard heard = { 0 };
    Peer *peer = peer_open(peer_serve_http, busy_once);
    char *environment[8];
    VmafxOtelStart how = start_of(peer, &heard);

    memcpy(environment, how.environment, 5 * sizeof *environment);
    environment[2] = (char *)"OTEL_BSP_SCHEDULE_DELAY=1"; /* exported at once, and then waiting for a second */
    environment[5] = NULL;
    how.environment = environment;
    VmafxOtel *otel = vmafx_otel_start(&how);
    one_of_each("on its way");
    peer_wait_for_requests(peer, 1);
    assert_int_equal(vmafx_otel_stop(&otel, CLI_MS), VMAFX_EXPORT_OK);
    peer_stop(peer);
    assert_int_equal(peer->of[VMAFX_SIGNAL_TRACES], 2);
    assert_int_equal(heard.gave_up, 0);
    peer_close(&peer);
}

static void a_collector_that_is_gone_is_asked_once_at_the_end(void **state)
{
    Heard heard = { 0 };
    Peer gone = { 0 };

    close(peer_listen(&gone.port));
    VmafxOtel *otel = start(&gone, &heard);
    one_of_each("nobody hears");
    assert_int_equal(vmafx_otel_stop(&otel, LONG_MS), VMAFX_EXPORT_FAILED); /* and not the deadline's TIMEOUT */
    assert_int_equal(heard.again, 0);
    assert_int_equal(heard.gave_up, 3);
}

static void the_last_metrics_tell_how_spans_and_records_ended(void **state)
{
    Heard heard = { 0 };
    Peer *peer = peer_open(peer_serve_http, NULL);
    VmafxOtel *otel = start(peer, &heard);

    one_of_each("told of");
    assert_int_equal(vmafx_otel_stop(&otel, LONG_MS), VMAFX_EXPORT_OK);
    peer_stop(peer);
    /* the last request of all is the metrics' */
    assert_non_null(strstr((char *)peer->head, "POST /v1/metrics "));
    assert_true(peer_kept(peer, "otel.sdk.exporter.span.exported"));
    assert_true(peer_kept(peer, "otel.sdk.exporter.operation.duration"));
    assert_true(peer_kept(peer, "otlp_http_span_exporter/0"));
    assert_true(peer_kept(peer, "http.response.status_code"));
    peer_close(&peer);
}

static void one_signal_that_hangs_costs_the_others_nothing(void **state)
{
    static const char *const paths[] = { "TRACES", "METRICS", "LOGS" };

    for (int hangs = 0; hangs < 3; hangs++) {
        static const PeerStep silent[] = { { ACT_SILENT, 0, NULL, NULL, 0 }, { 0 } };
        static Heard heard; /* what was given up on may still complain when this has returned */
        Peer *peer = peer_open(peer_serve_http, NULL), *stuck = peer_open(peer_serve_http, silent);
        VmafxOtelStart how = start_of(peer, &heard);
        char *environment[8], own[128];

        memcpy(environment, how.environment, 5 * sizeof *environment);
        snprintf(own, sizeof own, "OTEL_EXPORTER_OTLP_%s_ENDPOINT=http://127.0.0.1:%u", paths[hangs],
                 (unsigned)stuck->port);
        environment[5] = own;
        environment[6] = NULL;
        how.environment = environment;
        VmafxOtel *otel = vmafx_otel_start(&how);
        one_of_each("not to be lost");
        assert_int_not_equal(vmafx_otel_stop(&otel, CLI_MS), VMAFX_EXPORT_OK);
        peer_stop(stuck);
        peer_stop(peer);
        for (int signal = 0; signal < 3; signal++)
            assert_int_equal(peer->of[signal] > 0, signal != hangs);
        peer_close(&stuck);
        peer_close(&peer);
    }
}

/* ---- Flush ---- */

static void a_flush_delivers_what_was_recorded_before_it(void **state)
{
    Heard heard = { 0 };
    Peer *peer = peer_open(peer_serve_http, NULL);
    VmafxOtel *otel = start(peer, &heard);

    for (int i = 0; i < 3; i++) {
        char name[32];

        snprintf(name, sizeof name, "flushed %d", i);
        one_of_each(name);
        assert_int_equal(vmafx_otel_flush(otel, LONG_MS), VMAFX_EXPORT_OK);
        pthread_mutex_lock(&peer->lock);
        for (int signal = 0; signal < 3; signal++)
            assert_int_equal(peer->of[signal], i + 1);
        pthread_mutex_unlock(&peer->lock);
        assert_true(peer_kept(peer, name));
    }
    assert_int_equal(vmafx_otel_stop(&otel, LONG_MS), VMAFX_EXPORT_OK);
    peer_close(&peer);
}

static void a_flush_keeps_its_deadline_and_says_so(void **state)
{
    static const PeerStep silent[] = { { ACT_SILENT, 0, NULL, NULL, 0 }, { 0 } };
    static Heard heard; /* likewise */
    Peer *peer = peer_open(peer_serve_http, silent);
    VmafxOtel *otel = start(peer, &heard);

    one_of_each("stuck");
    assert_int_equal(vmafx_otel_flush(otel, 50), VMAFX_EXPORT_TIMEOUT);
    (void)vmafx_otel_stop(&otel, CLI_MS);
    peer_close(&peer);
}

static void there_may_be_nothing_to_flush(void **state)
{
    VmafxOtel *page = vmafx_otel_start(
        &(VmafxOtelStart){ .service = "test",
                           .environment = (char *[]){ (char *)"OTEL_METRICS_EXPORTER=prometheus", NULL },
                           .only_when_asked = true });

    assert_int_equal(vmafx_otel_flush(NULL, 0), VMAFX_EXPORT_OK);
    assert_non_null(page);
    assert_int_equal(vmafx_otel_flush(page, 0), VMAFX_EXPORT_OK);
    assert_int_equal(vmafx_otel_stop(&page, LONG_MS), VMAFX_EXPORT_OK);
}

/* ---- Fork ---- */

typedef struct Busy {
    pthread_t threads[BUSY_THREADS];
    VmafxOtel *otel;
    atomic_bool enough;
} Busy;

static void *keep_busy(void *ctx)
{
    Busy *busy = ctx;

    while (!atomic_load(&busy->enough)) {
        one_of_each("the parent's");
        vmafx_counter_add(vmafx_counter(vmafx_meter_get("test", "1", "", VMAFX_NO_ATTRS), "test.other", "", ""), 1);
    }
    return NULL;
}

static void *keep_flushing(void *ctx)
{
    Busy *busy = ctx;

    while (!atomic_load(&busy->enough))
        (void)vmafx_otel_flush(busy->otel, LONG_MS);
    return NULL;
}

/* In the child, whose exit code is the number of what went wrong. */
static int child_main(VmafxOtel *otel, const Peer *peer, int round)
{
    Heard heard = { 0 };
    VmafxOtelStart how = start_of(peer, &heard);
    char name[32];

    snprintf(name, sizeof name, "child %d", round);
    alarm(60);               /* a child that blocks fails the test by dying */
    one_of_each("nobody's"); /* silent until it is told how */
    if (vmafx_otel_flush(otel, LONG_MS) != VMAFX_EXPORT_FAILED)
        return 1;
    VmafxOtel *mine = vmafx_otel_start_in_child(&otel, &how);
    if (!mine || otel)
        return 2;
    one_of_each(name);
    if (vmafx_otel_flush(mine, LONG_MS) != VMAFX_EXPORT_OK)
        return 3;
    one_of_each(name);
    if (vmafx_otel_stop(&mine, LONG_MS) != VMAFX_EXPORT_OK)
        return 4;
    return heard.again + heard.gave_up + heard.others ? 5 : 0;
}

static void a_forked_child_exports_its_own_while_the_parent_goes_on(void **state)
{
    enum { ROUNDS = 8 };
    size_t n_busy = UNDER_ASAN ? 0 : BUSY_THREADS;
    Heard heard = { 0 };

    if (UNDER_TSAN) {
        print_message("the race detector starts no threads in a forked child\n");
        skip();
    }
    Peer *peer = peer_open(peer_serve_http, NULL), *of_child = peer_open(peer_serve_http, NULL);
    Busy busy = { .otel = start(peer, &heard) };

    one_of_each("the parent's");
    for (size_t i = 0; i < n_busy; i++)
        assert_int_equal(pthread_create(&busy.threads[i], NULL, i ? keep_busy : keep_flushing, &busy), 0);
    if (n_busy)
        peer_wait_for_text(peer, "the parent's");
    else
        assert_int_equal(vmafx_otel_flush(busy.otel, LONG_MS), VMAFX_EXPORT_OK);
    for (int i = 0; i < ROUNDS; i++) {
        char name[32];
        int status;
        pid_t child = fork();

        assert_true(child >= 0);
        if (!child)
            _exit(child_main(busy.otel, of_child, i));
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        snprintf(name, sizeof name, "child %d", i);
        assert_true(peer_kept(of_child, name));
    }
    atomic_store(&busy.enough, true);
    for (size_t i = 0; i < n_busy; i++)
        pthread_join(busy.threads[i], NULL);
    one_of_each("after all forks");
    assert_int_equal(vmafx_otel_stop(&busy.otel, LONG_MS), VMAFX_EXPORT_OK);
    peer_stop(peer);
    peer_stop(of_child);
    assert_true(peer_kept(peer, "after all forks"));
    assert_false(peer_kept(peer, "nobody's"));
    assert_false(peer_kept(of_child, "nobody's"));
    assert_false(peer_kept(of_child, "the parent's"));
    peer_close(&peer);
    peer_close(&of_child);
}

static void starting_in_what_is_no_child_changes_nothing(void **state)
{
    Heard heard = { 0 };
    Peer *peer = peer_open(peer_serve_http, NULL);
    VmafxOtelStart how = start_of(peer, &heard);
    VmafxOtel *otel = vmafx_otel_start(&how), *before = otel;

    VmafxOtel *again = vmafx_otel_start_in_child(&otel, &how);
    assert_null(otel);
    assert_ptr_equal(again, before);
    one_of_each("still there");
    assert_int_equal(vmafx_otel_stop(&again, LONG_MS), VMAFX_EXPORT_OK);
    assert_true(peer_kept(peer, "still there"));
    peer_close(&peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_collector_that_is_busy_once_gets_everything_at_the_end),
        cmocka_unit_test(a_backoff_under_way_does_not_outlast_the_program),
        cmocka_unit_test(a_collector_that_is_gone_is_asked_once_at_the_end),
        cmocka_unit_test(the_last_metrics_tell_how_spans_and_records_ended),
        cmocka_unit_test(one_signal_that_hangs_costs_the_others_nothing),
        cmocka_unit_test(a_flush_delivers_what_was_recorded_before_it),
        cmocka_unit_test(a_flush_keeps_its_deadline_and_says_so),
        cmocka_unit_test(there_may_be_nothing_to_flush),
        cmocka_unit_test(a_forked_child_exports_its_own_while_the_parent_goes_on),
        cmocka_unit_test(starting_in_what_is_no_child_changes_nothing),
    };

    tracer = vmafx_tracer_get("test", "1");
    counter =
        vmafx_counter(vmafx_meter_get("test", "1", "", VMAFX_NO_ATTRS), "test.count", "{thing}", "things counted");
    logger = vmafx_logger_new("test", "1", "", VMAFX_NO_ATTRS);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    vmafx_logger_free(&logger);
    return failed;
}
