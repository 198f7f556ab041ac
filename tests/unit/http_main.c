/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * An HTTP server to be tried from outside, by tests/system/test_http_server.py. Prints "PORT n" and serves until
 * standard input ends. Arguments: NAME=VALUE, see `set`. Telemetry as the environment says.
 */

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/digest.h"
#include "http/probes.h"
#include "http/server.h"
#include "otel/api/trace.h"
#include "otel/export/otel.h"

enum { HUB_MAX = 600, STOP_MS = 5000 };

/* Everybody who reads /events. */
typedef struct Hub {
    pthread_mutex_t lock;
    VmafxHttpEvents *readers[HUB_MAX];
    size_t n;
    int closed; /* streams that are over */
} Hub;

static void hub_closed(void *ctx, VmafxHttpEvents *events)
{
    Hub *hub = ctx;

    pthread_mutex_lock(&hub->lock);
    for (size_t i = 0; i < hub->n; i++) {
        if (hub->readers[i] != events)
            continue;
        vmafx_http_events_unref(&hub->readers[i]);
        hub->readers[i] = hub->readers[--hub->n];
        break;
    }
    hub->closed++;
    pthread_mutex_unlock(&hub->lock);
}

static VmafxErr events(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    Hub *hub = ctx;
    VmafxHttpEvents *stream = NULL;
    const char *last = vmafx_http_call_header(call, "Last-Event-ID"), *room = vmafx_http_call_query(call, "room");
    VmafxErr err = vmafx_http_call_events(
        call,
        &(VmafxHttpEventsConfig){
            .closed = hub_closed, .ctx = hub, .queue_max_bytes = room ? strtoul(room, NULL, 10) : 0 },
        &stream, reterr);

    if (err)
        return err;
    VMAFX_IGNORE(vmafx_http_events_send(stream, NULL, "hello", last ? last : "from the beginning"));
    pthread_mutex_lock(&hub->lock);
    if (hub->n < HUB_MAX)
        hub->readers[hub->n++] = VMAFX_TAKE(stream);
    pthread_mutex_unlock(&hub->lock);
    vmafx_http_events_unref(&stream);
    return VMAFX_OK;
}

/* POST /publish?id=…&event=…: the body to everyone; says to how many. */
static VmafxErr publish(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    Hub *hub = ctx;
    size_t len, got = 0;
    const char *body = vmafx_http_call_body(call, &len), *id = vmafx_http_call_query(call, "id");

    pthread_mutex_lock(&hub->lock);
    for (size_t i = 0; i < hub->n; i++)
        got += !vmafx_http_events_send(hub->readers[i], id, vmafx_http_call_query(call, "event"), body);
    VMAFX_AUTO(vmafx_free_p)
    char *text = vmafx_sprintf("{\"readers\": %zu, \"got\": %zu, \"closed\": %d}\n", hub->n, got, hub->closed);
    pthread_mutex_unlock(&hub->lock);
    return vmafx_http_answer_text(answer, 200, "application/json", text);
}

/* Ends all streams. */
static VmafxErr finish(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    Hub *hub = ctx;

    pthread_mutex_lock(&hub->lock);
    for (size_t i = 0; i < hub->n; i++)
        vmafx_http_events_finish(hub->readers[i]);
    pthread_mutex_unlock(&hub->lock);
    answer->status = 204;
    return VMAFX_OK;
}

/* What the request was, line by line. */
static VmafxErr show(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    const char *id = vmafx_http_call_param(call, "id"), *name, *value, *header = vmafx_http_call_header(call, "x-test");
    size_t len;
    const char *body = vmafx_http_call_body(call, &len);
    FILE *out = open_memstream(&answer->body, &answer->len);

    fprintf(out, "route %s\nid %s\nheader %s\nloopback %d\nencrypted %d\nlen %zu\n", vmafx_http_call_route(call), id,
            header ? header : "(none)", vmafx_http_call_peer(call)->loopback, vmafx_http_call_peer(call)->encrypted,
            len);
    if (*(const char *)vmafx_http_call_kept(call))
        fprintf(out, "kept %s\n", (const char *)vmafx_http_call_kept(call));
    for (size_t i = 0; vmafx_http_call_query_at(call, i, &name, &value); i++)
        fprintf(out, "query %s=%s\n", name, value);
    fprintf(out, "body %.*s\n", (int)VMAFX_MIN(len, (size_t)64), body);
    fclose(out);
    answer->content_type = "text/plain";
    vmafx_http_answer_header(answer, "X-Answer", "yes");
    return VMAFX_OK;
}

static VmafxErr fail_as_asked(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    const char *name = vmafx_http_call_param(call, "name");

    for (int err = 1; err < VMAFX_ERR_COUNT; err++)
        if (!strcmp(vmafx_err_name((VmafxErr)err), name))
            return vmafx_fail(reterr, (VmafxErr)err, "a \"quoted\" reason\nwith a line break");
    return VMAFX_ERR_NOT_FOUND;
}

/* Waits until POST /release, or until the server gives up on it. */
typedef struct Gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int inside, released;
} Gate;

static VmafxErr wait_at_gate(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    Gate *gate = ctx;

    pthread_mutex_lock(&gate->lock);
    gate->inside++;
    while (!gate->released && !vmafx_http_call_cancelled(call)) {
        struct timespec soon;

        clock_gettime(CLOCK_REALTIME, &soon);
        soon.tv_nsec += 10000000;
        if (soon.tv_nsec >= 1000000000) {
            soon.tv_sec++;
            soon.tv_nsec -= 1000000000;
        }
        pthread_cond_timedwait(&gate->changed, &gate->lock, &soon);
    }
    bool released = gate->released;
    if (released)
        gate->released--;
    gate->inside--;
    pthread_mutex_unlock(&gate->lock);
    return vmafx_http_answer_text(answer, released ? 200 : 503, "text/plain", released ? "released\n" : "cancelled\n");
}

/* POST /release?n=…: lets n of them go. Urgent, so that it comes through when the pool is full. */
static VmafxErr release(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    Gate *gate = ctx;
    const char *n = vmafx_http_call_query(call, "n");
    char text[32];

    pthread_mutex_lock(&gate->lock);
    gate->released += n ? atoi(n) : 0;
    pthread_cond_broadcast(&gate->changed);
    snprintf(text, sizeof text, "%d", gate->inside);
    pthread_mutex_unlock(&gate->lock);
    return vmafx_http_answer_text(answer, 200, "text/plain", text);
}

/* ---- uploads and files ---- */

/* Does a file hold what its size and digest say, from its start? */
static bool file_is(int fd, int64_t size, const char *sha256)
{
    VmafxSha256 sha;
    char hex[VMAFX_SHA256_TEXT], block[65536];
    int64_t total = 0;

    vmafx_sha256_init(&sha);
    for (ssize_t n; (n = read(fd, block, sizeof block)) > 0; total += n)
        vmafx_sha256_add(&sha, block, (size_t)n);
    vmafx_sha256_end_hex(&sha, hex);
    return total == size && !strcmp(hex, sha256);
}

/* One line a part. */
static VmafxErr show_parts(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    size_t n, len;
    VmafxHttpPart *parts = vmafx_http_call_parts(call, &n);
    const char *body = vmafx_http_call_body(call, &len);
    FILE *out = open_memstream(&answer->body, &answer->len);

    fprintf(out, "parts %zu, body %zu '%s'\n", n, len, body);
    for (size_t i = 0; i < n; i++) {
        VmafxHttpPart *part = &parts[i];

        fprintf(out, "%s|%s|%s|%lld|", part->name, part->filename ? part->filename : "-",
                part->content_type ? part->content_type : "-", (long long)part->size);
        if (part->data) {
            fprintf(out, "memory|%.40s\n", part->data);
            continue;
        }
        int fd = vmafx_http_part_take_fd(part);
        fprintf(out, "file|%s|%s\n", part->sha256, file_is(fd, part->size, part->sha256) ? "whole" : "broken");
        close(fd);
        if (vmafx_http_part_take_fd(part) != -1)
            fprintf(out, "taken twice\n");
    }
    fclose(out);
    answer->content_type = "text/plain";
    return VMAFX_OK;
}

/* The file's size and digest; with ?echo, the file; with ?leave, nobody takes it. */
static VmafxErr put_file(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    int64_t size = 0;
    int fd = vmafx_http_call_query(call, "leave") ? -1 : vmafx_http_call_body_take_fd(call, &size);

    if (vmafx_http_call_query(call, "echo"))
        return vmafx_http_answer_file(answer, 200, "application/octet-stream", fd);
    if (fd >= 0)
        close(fd);
    VMAFX_AUTO(vmafx_free_p)
    char *text = vmafx_sprintf("%lld %s\n", (long long)size, vmafx_http_call_body_sha256(call));
    return vmafx_http_answer_text(answer, 201, "text/plain", text);
}

/* GET /zeros/{n}: a sparse file of that size. */
static VmafxErr zeros(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    int fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd < 0 || ftruncate(fd, strtoll(vmafx_http_call_param(call, "n"), NULL, 10))) {
        VMAFX_IGNORE(vmafx_http_answer_file(answer, 200, "application/octet-stream", fd)); /* closes it */
        return VMAFX_ERR_IO;
    }
    vmafx_http_answer_header(answer, "ETag", "\"zeros\"");
    return vmafx_http_answer_file(answer, 200, "application/octet-stream", fd);
}

/* Answers are files of kinds that cannot be one. */
static VmafxErr no_file(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC))
        return VMAFX_ERR_IO;
    close(ends[1]);
    return vmafx_http_answer_file(answer, 200, "text/plain", ends[0]);
}

/* Works until its client leaves. */
typedef struct Leaving {
    atomic_int inside, left;
} Leaving;

static VmafxErr work_for_client(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    Leaving *leaving = ctx;
    struct timespec pause = { .tv_nsec = 5000000 };

    atomic_fetch_add(&leaving->inside, 1);
    while (!vmafx_http_call_cancelled(call))
        nanosleep(&pause, NULL);
    if (vmafx_http_call_client_gone(call))
        atomic_fetch_add(&leaving->left, 1);
    atomic_fetch_sub(&leaving->inside, 1);
    return VMAFX_ERR_CANCELLED;
}

static VmafxErr say_left(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    Leaving *leaving = ctx;
    VMAFX_AUTO(vmafx_free_p)
    char *text = vmafx_sprintf("%d %d %d", atomic_load(&leaving->inside), atomic_load(&leaving->left),
                               vmafx_http_call_client_gone(call));

    return vmafx_http_answer_text(answer, 200, "text/plain", text);
}

static VmafxErr busy(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    vmafx_http_answer_retry_after(answer, 7);
    return vmafx_fail(reterr, VMAFX_ERR_BUSY, "three clips are being scored");
}

static VmafxErr authorize(void *ctx, VmafxHttpCall *call, VmafxErrInfo *reterr)
{
    const char *who = vmafx_http_call_header(call, "X-Who");

    if (who && !strcmp(who, "nobody"))
        return vmafx_fail(reterr, VMAFX_ERR_UNAUTHENTICATED, "who are you?");
    if (who && !strcmp(who, "reader"))
        return vmafx_fail(reterr, VMAFX_ERR_FORBIDDEN, "not you, for %s", vmafx_http_call_route(call));
    if (who) {
        vmafx_http_call_keep(call, who, VMAFX_MIN(strlen(who), (size_t)VMAFX_HTTP_KEEP_MAX - 1));
        vmafx_http_call_set_owner(call, who);
    }
    return VMAFX_OK;
}

static char *metrics(void *ctx, const char *accept, size_t *ret_len, const char **ret_type)
{
    return vmafx_otel_prometheus_page(ctx, accept, ret_len, ret_type);
}

static VmafxErr ready(void *ctx, VmafxErrInfo *ret_missing)
{
    return access("not-ready", F_OK) ? VMAFX_OK
                                     : vmafx_fail(ret_missing, VMAFX_ERR_STATE, "the store is not open: 'jobs.db'");
}

static uint64_t heartbeat_ns(void *ctx)
{
    return access("hangs", F_OK) ? vmafx_monotonic_ns() : 0;
}

static void set(VmafxHttpServerConfig *config, char *argument)
{
    const struct {
        const char *name;
        uint32_t *to;
    } numbers[] = { { "receive_timeout_ms", &config->receive_timeout_ms },
                    { "body_timeout_ms", &config->body_timeout_ms },
                    { "send_timeout_ms", &config->send_timeout_ms },
                    { "comment_ms", &config->comment_ms },
                    { "threads", (uint32_t *)&config->threads },
                    { "waiting_max", (uint32_t *)&config->waiting_max },
                    { "streams_max", (uint32_t *)&config->streams_max },
                    { "connections_max", (uint32_t *)&config->connections_max },
                    { "uploads_max", (uint32_t *)&config->uploads_max },
                    { "body_min_rate", &config->body_min_rate },
                    { "cert_check_ms", &config->cert_check_ms } };
    char *value = argument;
    const char *name = strsep(&value, "=");

    for (size_t i = 0; i < VMAFX_LEN(numbers); i++)
        if (!strcmp(numbers[i].name, name))
            *numbers[i].to = (uint32_t)strtoul(value, NULL, 10);
    if (!strcmp(name, "address"))
        config->address = value;
    if (!strcmp(name, "cert"))
        config->cert_file = value;
    if (!strcmp(name, "key"))
        config->key_file = value;
    if (!strcmp(name, "bodies_max_bytes"))
        config->bodies_max_bytes = strtoul(value, NULL, 10);
    if (!strcmp(name, "upload_max_bytes"))
        config->upload_max_bytes = strtoul(value, NULL, 10);
    if (!strcmp(name, "uploads_max_bytes"))
        config->uploads_max_bytes = strtoul(value, NULL, 10);
    if (!strcmp(name, "upload_folder"))
        config->upload_folder = value;
}

int main(int argc, char **argv)
{
    VmafxOtel *otel =
        vmafx_otel_start(&(VmafxOtelStart){ .service = "http-test", .version = "1", .only_when_asked = true });
    Hub hub = { .lock = PTHREAD_MUTEX_INITIALIZER };
    Gate gate = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0 };
    VmafxProbes probes = { .metrics = metrics, .ready = ready, .heartbeat_ns = heartbeat_ns, .ctx = otel };
    Leaving leaving = { 0, 0 };
    static const char *const files[] = { "clip", NULL };
    VmafxHttpRoute routes[18 + VMAFX_PROBE_ROUTES] = {
        { .method = "GET", .pattern = "/v1/things/{id}", .handle = show },
        { .method = "POST", .pattern = "/v1/things/{id}", .handle = show },
        { .method = "POST", .pattern = "/small/{id}", .handle = show, .body_max_bytes = 100 },
        { .method = "PUT", .pattern = "/v1/things/{id}/inline", .handle = show, .flags = VMAFX_HTTP_INLINE },
        { .method = "GET", .pattern = "/fail/{name}", .handle = fail_as_asked },
        { .method = "GET", .pattern = "/events", .handle = events, .ctx = &hub },
        { .method = "POST", .pattern = "/publish", .handle = publish, .ctx = &hub },
        { .method = "POST", .pattern = "/finish", .handle = finish, .ctx = &hub },
        { .method = "GET", .pattern = "/wait", .handle = wait_at_gate, .ctx = &gate },
        { .method = "POST", .pattern = "/release", .handle = release, .ctx = &gate, .flags = VMAFX_HTTP_URGENT },
        { .method = "POST",
          .pattern = "/parts",
          .handle = show_parts,
          .flags = VMAFX_HTTP_PARTS | VMAFX_HTTP_SHA256,
          .file_parts = files },
        { .method = "PUT",
          .pattern = "/files/{id}",
          .handle = put_file,
          .flags = VMAFX_HTTP_FILE_BODY | VMAFX_HTTP_SHA256 },
        { .method = "PUT",
          .pattern = "/tiny/{id}",
          .handle = put_file,
          .flags = VMAFX_HTTP_FILE_BODY,
          .upload_max_bytes = 1000 },
        { .method = "GET", .pattern = "/zeros/{n}", .handle = zeros },
        { .method = "GET", .pattern = "/no-file", .handle = no_file },
        { .method = "GET", .pattern = "/work", .handle = work_for_client, .ctx = &leaving },
        { .method = "GET", .pattern = "/left", .handle = say_left, .ctx = &leaving, .flags = VMAFX_HTTP_URGENT },
        { .method = "GET", .pattern = "/busy", .handle = busy },
    };
    size_t n = 18 + vmafx_probe_routes(&probes, routes + 18);
    VmafxHttpServerConfig config = {
        .address = "127.0.0.1:0", .routes = routes, .n_routes = n, .authorize = authorize, .version = "1"
    };
    VmafxHttpServer *server = NULL;
    VmafxErrInfo info = { 0 };
    char byte;

    for (int i = 1; i < argc; i++)
        set(&config, argv[i]);
    if (vmafx_http_server_start(&config, &server, &info)) {
        fprintf(stderr, "%s\n", info.message);
        return 1;
    }
    printf("PORT %d\n", vmafx_http_server_port(server));
    fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    const char *grace = getenv("GRACE_MS");
    vmafx_http_server_stop(&server, grace ? (uint32_t)strtoul(grace, NULL, 10) : STOP_MS);
    printf("STOPPED %d %zu\n", hub.closed, hub.n);
    VMAFX_IGNORE(vmafx_otel_stop(&otel, VMAFX_OTEL_STOP_MS)); /* nobody is there to be told */
    return 0;
}
