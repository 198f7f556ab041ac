/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The scripted collector: sockets and threads, and its HTTP. gRPC's framing is test_otlp_grpc.c's own. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"

/* ---- its life ---- */

int peer_listen(uint16_t *ret_port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

typedef struct Connection {
    Peer *peer;
    unsigned i;
} Connection;

static void *connection_main(void *ctx)
{
    Connection *connection = ctx;
    Peer *peer = connection->peer;
    int fd = peer->fds[connection->i];

    peer->serve(peer, fd);
    shutdown(fd, SHUT_RDWR); /* closed by stop, so that its number stays this one's */
    free(connection);
    return NULL;
}

static void *peer_main(void *ctx)
{
    Peer *peer = ctx;
    int fd;

    while ((fd = accept4(peer->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        Connection *connection = malloc(sizeof *connection);

        pthread_mutex_lock(&peer->lock);
        unsigned i = peer->connections++;
        peer->fds[i] = fd;
        *connection = (Connection){ peer, i };
        pthread_create(&peer->threads[i], NULL, connection_main, connection);
        pthread_mutex_unlock(&peer->lock);
        if (i + 1 == PEER_CONNECTIONS_MAX)
            break;
    }
    return NULL;
}

Peer *peer_open(PeerServe serve, const PeerStep *steps)
{
    static const PeerStep accept_all[] = { { ACT_END, 0, NULL, NULL, 0 } };
    Peer *peer = calloc(1, sizeof *peer);

    assert_non_null(peer);
    peer->serve = serve;
    peer->steps = steps ? steps : accept_all;
    peer->listener = peer_listen(&peer->port);
    pthread_mutex_init(&peer->lock, NULL);
    pthread_cond_init(&peer->changed, NULL);
    assert_int_equal(pthread_create(&peer->thread, NULL, peer_main, peer), 0);
    return peer;
}

void peer_stop(Peer *peer)
{
    if (peer->stopped)
        return;
    shutdown(peer->listener, SHUT_RDWR);
    pthread_join(peer->thread, NULL);
    close(peer->listener);
    for (unsigned i = 0; i < peer->connections; i++) {
        shutdown(peer->fds[i], SHUT_RDWR);
        pthread_join(peer->threads[i], NULL);
        close(peer->fds[i]);
    }
    peer->stopped = true;
}

void peer_close(Peer **peer)
{
    peer_stop(*peer);
    pthread_mutex_destroy(&(*peer)->lock);
    pthread_cond_destroy(&(*peer)->changed);
    free(*peer);
    *peer = NULL;
}

void peer_wait_for_requests(Peer *peer, unsigned n)
{
    pthread_mutex_lock(&peer->lock);
    while (peer->requests < n)
        pthread_cond_wait(&peer->changed, &peer->lock);
    pthread_mutex_unlock(&peer->lock);
}

void peer_wait_for_text(Peer *peer, const char *text)
{
    pthread_mutex_lock(&peer->lock);
    while (!memmem(peer->kept, peer->kept_len, text, strlen(text)))
        pthread_cond_wait(&peer->changed, &peer->lock);
    pthread_mutex_unlock(&peer->lock);
}

bool peer_kept(Peer *peer, const char *text)
{
    pthread_mutex_lock(&peer->lock);
    bool found = memmem(peer->kept, peer->kept_len, text, strlen(text)) != NULL;
    pthread_mutex_unlock(&peer->lock);
    return found;
}

const PeerStep *peer_step(const Peer *peer, unsigned request)
{
    const PeerStep *step = peer->steps;

    while (request-- && step->act != ACT_END)
        step++;
    return step;
}

void peer_put(int fd, const void *bytes, size_t len)
{
    const char *at = bytes;

    while (len) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        at += n;
        len -= (size_t)n;
    }
}

/* ---- HTTP ---- */

static VmafxSignal signal_of(const char *head)
{
    return strstr(head, "/v1/metrics") ? VMAFX_SIGNAL_METRICS
           : strstr(head, "/v1/logs")  ? VMAFX_SIGNAL_LOGS
                                       : VMAFX_SIGNAL_TRACES;
}

static void note_request(Peer *peer, const char *text, size_t head, size_t body, bool accepted)
{
    pthread_mutex_lock(&peer->lock);
    peer->requests++;
    snprintf((char *)peer->head, sizeof peer->head, "%.*s", (int)VMAFX_MIN(head, sizeof peer->head - 1), text);
    peer->head_len = strlen((char *)peer->head);
    peer->body_len = body;
    memcpy(peer->body, text + head, body);
    if (body > sizeof peer->kept - peer->kept_len)
        peer->kept_len = 0;
    if (accepted) {
        memcpy(peer->kept + peer->kept_len, text + head, body);
        peer->kept_len += body;
    }
    pthread_cond_broadcast(&peer->changed);
    pthread_mutex_unlock(&peer->lock);
}

/* A whole request, and what to do with it; NULL at the end of the connection. */
static const PeerStep *take_request(Peer *peer, int fd)
{
    VMAFX_AUTO(vmafx_free_p) char *text = malloc(PEER_BODY_MAX); /* thread-local storage would come out of stacks */
    const PeerStep *step = NULL;
    size_t len = 0, head = 0, body = 0;

    for (;;) {
        ssize_t n = recv(fd, text + len, PEER_BODY_MAX - 1 - len, 0);
        if (n <= 0)
            return NULL;
        len += (size_t)n;
        text[len] = 0;
        char *end = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "\r\nContent-Length:");
        if (!end)
            continue;
        if (!step) {
            head = (size_t)(end + 4 - text);
            body = length ? (size_t)strtoul(length + 17, NULL, 10) : 0;
            pthread_mutex_lock(&peer->lock);
            step = peer_step(peer, peer->of[signal_of(text)]++);
            pthread_mutex_unlock(&peer->lock);
        }
        if (step->act == ACT_CLOSE_EARLY || len >= head + body)
            break;
    }
    bool accepted = step->act == ACT_END || (step->act == ACT_SAY && step->status == 200);
    note_request(peer, text, head, VMAFX_MIN(body, len - head), accepted);
    return step;
}

static void wait_gone(int fd)
{
    char byte;

    while (recv(fd, &byte, 1, 0) > 0)
        ;
}

static void trickle(int fd)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";

    peer_put(fd, head, sizeof head - 1);
    for (;;) {
        struct pollfd gone = { .fd = fd, .events = POLLIN };

        if (poll(&gone, 1, 1) > 0) /* the client says nothing more: this is its end */
            return;
        peer_put(fd, "x", 1);
    }
}

/* True to go on with this connection. */
static bool play(int fd, const PeerStep *step)
{
    char head[512];
    static const char zeros[65536];

    switch (step->act) {
    case ACT_END:
        peer_put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 38);
        return true;
    case ACT_SAY:
        snprintf(head, sizeof head, "HTTP/1.1 %d X\r\n%sContent-Length: %zu\r\n\r\n", step->status,
                 step->headers ? step->headers : "", step->len);
        peer_put(fd, head, strlen(head));
        peer_put(fd, step->body, step->len);
        return true;
    case ACT_SAY_HUGE:
        peer_put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\n", 42);
        peer_put(fd, zeros, sizeof zeros);
        return false;
    case ACT_NOT_HTTP:
        peer_put(fd, "\x16\x03\x01 SSH-2.0 nonsense\r\n\r\n", 24);
        return false;
    case ACT_CUT_BODY:
        peer_put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", 43);
        return false;
    case ACT_SILENT:
        wait_gone(fd);
        return false;
    case ACT_TRICKLE:
        trickle(fd);
        return false;
    default:
        return false;
    }
}

void peer_serve_http(Peer *peer, int fd)
{
    const PeerStep *step;

    while ((step = take_request(peer, fd)) && play(fd, step))
        ;
}

/* ---- what is exported ---- */

uint64_t in_ms(uint64_t ms)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 * MS + (uint64_t)now.tv_nsec + ms * MS;
}

static void hear(void *ctx, int severity, const char *message)
{
    Told *told = ctx;

    if (!told->lines++)
        snprintf(told->first, sizeof told->first, "%s", message);
    snprintf(told->last, sizeof told->last, "%s", message);
}

VmafxOtlpConfig peer_config(VmafxOtlpProtocol protocol, uint16_t port, Told *told)
{
    VmafxOtlpConfig config = { .signal = VMAFX_SIGNAL_TRACES,
                               .timeout_ms = LONG_MS,
                               .version = "9.9",
                               .response_max_bytes = 4096,
                               .retry = { 2 * MS, 4 * MS, 150, 20, 5 },
                               .random_seed = 1,
                               .on_error = hear,
                               .on_error_ctx = told };
    char text[64];

    snprintf(text, sizeof text, "http://127.0.0.1:%u", (unsigned)port);
    assert_int_equal(vmafx_endpoint_parse(text, strlen(text), protocol, VMAFX_SIGNAL_TRACES, false,
                                          VMAFX_INSECURE_UNSET, &config.endpoint, NULL),
                     VMAFX_OK);
    return config;
}

static const VmafxScope scope = { "room", "1", "", { NULL, 0 } };
static const VmafxResource resource = { { NULL, 0 }, "" };
static const VmafxSpanData span = { .trace_id = { 1 }, .span_id = { 2 }, .scope = &scope, .name = "work", .kind = 1 };
static const VmafxSpanData *const spans[3] = { &span, &span, &span };
const VmafxBatch peer_batch = { VMAFX_SIGNAL_TRACES, &resource, spans, NULL, NULL, 3 };

static void *export_main(void *ctx)
{
    PeerExport *job = ctx;

    job->result = job->exporter->export_batch(job->exporter, &peer_batch, in_ms((uint64_t)LONG_MS * 10));
    return NULL;
}

void peer_export_begin(PeerExport *job, VmafxExporter *exporter)
{
    job->exporter = exporter;
    assert_int_equal(pthread_create(&job->thread, NULL, export_main, job), 0);
}

VmafxExportResult peer_export_end(PeerExport *job)
{
    pthread_join(job->thread, NULL);
    return job->result;
}
