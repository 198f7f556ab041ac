/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Starting and stopping, the listening socket, and the time keeper. Requests are in call.c, event streams in events.c.
 */

#include "http/server.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"
#include "http/server_internal.h"

#define NS_PER_MS UINT64_C(1000000)

/* A peer that vanished without a word is found after KEEP_IDLE_S + KEEP_TRIES * KEEP_EVERY_S seconds of silence. */
enum { KEEP_IDLE_S = 60, KEEP_EVERY_S = 15, KEEP_TRIES = 4, WRITERS = 2 };
enum { BACKLOG = 512, TICK_MS_MAX = 1000, TICK_MS_MIN = 10, HOST_MAX = 256, URGENT_WAITING_MAX = 64, FLUSH_MS = 1000 };

/* ---- the address ---- */

/* "host:port" or "[host]:port". */
static VmafxErr split_address(const char *address, char host[HOST_MAX], int *ret_port, VmafxErrInfo *reterr)
{
    const char *colon = strrchr(address, ':');
    char *end = NULL;
    long port = colon ? strtol(colon + 1, &end, 10) : -1;
    size_t len = colon ? (size_t)(colon - address) : 0;

    if (len > 2 && address[0] == '[' && address[len - 1] == ']') {
        address++;
        len -= 2;
    } else if (memchr(address, ':', len)) {
        len = 0;
    }
    if (!len || len >= HOST_MAX || colon[1] < '0' || colon[1] > '9' || *end || port > 65535)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                          "cannot listen on '%s': write it as 127.0.0.1:7800, [::1]:7800 or localhost:7800", address);
    memcpy(host, address, len);
    host[len] = 0;
    *ret_port = (int)port;
    return VMAFX_OK;
}

static int port_of(int fd)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof address;

    if (getsockname(fd, (struct sockaddr *)&address, &len))
        return 0;
    return ntohs(address.ss_family == AF_INET ? ((struct sockaddr_in *)&address)->sin_port
                                              : ((struct sockaddr_in6 *)&address)->sin6_port);
}

static int bind_and_listen(const struct addrinfo *where)
{
    int on = 1, off = 0;
    int fd = socket(where->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (where->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off); /* [::] is every address, also the old ones */
    if (bind(fd, where->ai_addr, where->ai_addrlen) || listen(fd, BACKLOG)) {
        int problem = errno;

        close(fd);
        errno = problem;
        return -1;
    }
    return fd;
}

static VmafxErr open_socket(VmafxHttpServer *server, VmafxErrInfo *reterr)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_PASSIVE }, *found = NULL;
    const char *address = server->config.address ? server->config.address : "";
    char host[HOST_MAX], service[16];
    int port = 0;
    VmafxErr err = split_address(address, host, &port, reterr);

    if (err)
        return err;
    snprintf(service, sizeof service, "%d", port);
    const char *name = strcasecmp(host, "localhost") ? host : "127.0.0.1";
    if (getaddrinfo(name, service, &hints, &found))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                          "cannot listen on '%s': '%s' is no address; names other than localhost are not looked up",
                          address, host);
    server->listen_fd = bind_and_listen(found);
    int problem = errno;
    freeaddrinfo(found);
    if (server->listen_fd < 0)
        return vmafx_fail(reterr, VMAFX_ERR_IO, "cannot listen on '%s': %s", address, strerror(problem));
    server->port = port_of(server->listen_fd);
    return VMAFX_OK;
}

/* ---- settings ---- */

static void fill_in(VmafxHttpServerConfig *c)
{
    c->threads = c->threads ? c->threads : 8;
    c->waiting_max = c->waiting_max ? c->waiting_max : 256;
    c->connections_max = c->connections_max ? c->connections_max : 1024;
    c->connections_per_peer_max = c->connections_per_peer_max ? c->connections_per_peer_max : 512;
    c->streams_max = c->streams_max ? c->streams_max : 512;
    c->header_max_bytes = c->header_max_bytes ? c->header_max_bytes : (size_t)32 << 10;
    c->body_max_bytes = c->body_max_bytes ? c->body_max_bytes : (size_t)1 << 20;
    c->bodies_max_bytes = c->bodies_max_bytes ? c->bodies_max_bytes : (size_t)64 << 20;
    c->receive_timeout_ms = c->receive_timeout_ms ? c->receive_timeout_ms : 20000;
    c->body_timeout_ms = c->body_timeout_ms ? c->body_timeout_ms : 60000;
    c->send_timeout_ms = c->send_timeout_ms ? c->send_timeout_ms : 30000;
    c->comment_ms = c->comment_ms ? c->comment_ms : 15000;
    c->upload_max_bytes = c->upload_max_bytes ? c->upload_max_bytes : UINT64_C(1) << 30;
    c->uploads_max_bytes = c->uploads_max_bytes ? c->uploads_max_bytes : UINT64_C(8) << 30;
    c->uploads_max = c->uploads_max ? c->uploads_max : 64;
    c->body_min_rate = c->body_min_rate ? c->body_min_rate : 16384;
    c->cert_check_ms = c->cert_check_ms ? c->cert_check_ms : 10000;
}

static bool is_method(const char *method)
{
    return *method && !method[strspn(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")] && strcmp(method, "HEAD") != 0;
}

static bool is_route(const VmafxHttpRoute *route)
{
    unsigned uploads = route->flags & (VMAFX_HTTP_PARTS | VMAFX_HTTP_FILE_BODY);

    if (!is_method(route->method) || !vmafx_http_pattern_valid(route->pattern) || !route->handle)
        return false;
    if (uploads & (uploads - 1))
        return false; /* one or the other */
    /* storing waits; the thread for what operators look at has better to do, the other may not wait at all */
    return !uploads || !(route->flags & (VMAFX_HTTP_INLINE | VMAFX_HTTP_URGENT));
}

static VmafxErr take_routes(VmafxHttpServer *server, VmafxErrInfo *reterr)
{
    const VmafxHttpServerConfig *config = &server->config;

    server->route_names = calloc(config->n_routes + 1, sizeof *server->route_names);
    if (!server->route_names)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for an HTTP server");
    for (size_t i = 0; i < config->n_routes; i++) {
        const VmafxHttpRoute *route = &config->routes[i];

        if (!is_route(route))
            return vmafx_fail(reterr, VMAFX_ERR_INVALID, "the route '%s %s' is not one", route->method, route->pattern);
        server->route_names[i] = vmafx_sprintf("%s %s", route->method, route->pattern);
        if (!server->route_names[i])
            return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for an HTTP server");
        for (size_t k = 0; k < i; k++)
            if (!strcmp(server->route_names[k], server->route_names[i]))
                return vmafx_fail(reterr, VMAFX_ERR_INVALID, "there are two routes '%s'", server->route_names[i]);
    }
    return VMAFX_OK;
}

/* ---- connections ---- */

static void keep_alive(int fd)
{
    int on = 1, idle = KEEP_IDLE_S, every = KEEP_EVERY_S, tries = KEEP_TRIES;

    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof every);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &tries, sizeof tries);
}

/* May its peer still be sending, though it is no longer listened to? See linger.c. */
static bool still_sends(HttpConnection *c)
{
    char byte;

    pthread_mutex_lock(&c->server->lock);
    bool cut = c->cut;
    pthread_mutex_unlock(&c->server->lock);
    ssize_t n = cut ? 0 : recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n > 0 || (n < 0 && c->owes && (errno == EAGAIN || errno == EWOULDBLOCK));
}

static void on_connection(void *ctx, struct MHD_Connection *mhd, void **ret, enum MHD_ConnectionNotificationCode what)
{
    VmafxHttpServer *server = ctx;
    HttpConnection *connection = *ret;

    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);

        connection = info ? calloc(1, sizeof *connection) : NULL;
        *ret = connection;
        if (!connection)
            return; /* its requests are dropped: see http_call_begin */
        connection->server = server;
        connection->fd = info->connect_fd;
        keep_alive(connection->fd);
        connection->since_ns = vmafx_monotonic_ns();
        pthread_mutex_lock(&server->lock);
        connection->next = server->connections;
        if (connection->next)
            connection->next->prev = connection;
        server->connections = connection;
        pthread_mutex_unlock(&server->lock);
    } else if (connection) {
        if (still_sends(connection))
            http_linger_take(&server->linger, connection->fd);
        pthread_mutex_lock(&server->lock);
        if (connection->next)
            connection->next->prev = connection->prev;
        if (connection->prev)
            connection->prev->next = connection->next;
        else
            server->connections = connection->next;
        pthread_mutex_unlock(&server->lock);
        free(connection);
        *ret = NULL;
    }
}

/* Has it brought less than it must? Otherwise its next stretch of time begins. */
static bool upload_is_slow(const VmafxHttpServerConfig *config, HttpConnection *c, uint64_t now_ns)
{
    uint64_t passed_ms = now_ns > c->since_ns ? (now_ns - c->since_ns) / NS_PER_MS : 0;

    if (passed_ms < config->body_timeout_ms)
        return false;
    if (c->received < config->body_min_rate * passed_ms / 1000)
        return true;
    c->since_ns = now_ns;
    c->received = 0;
    return false;
}

/*
 * Has the peer closed, though it still owes the rest of a request? libmicrohttpd takes a read that was not full for the
 * last one, so it misses an end that came together with data. Seen twice, as what was read may be on its way to us.
 */
static bool has_left(HttpConnection *c)
{
    char byte;
    ssize_t n = c->phase == HTTP_PHASE_WORK ? 1 : recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    bool ended = !n || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
    bool again = ended && c->ended;

    c->ended = ended;
    return again;
}

/* Cuts what has been waiting for its peer for too long; with `idle`, whatever waits for a request's headers. */
static void cut_slow(VmafxHttpServer *server, uint64_t now_ns, bool idle)
{
    for (HttpConnection *c = server->connections; c; c = c->next) {
        uint64_t limit_ms =
            c->phase == HTTP_PHASE_BODY ? server->config.body_timeout_ms : server->config.receive_timeout_ms;
        bool late = c->phase == HTTP_PHASE_UPLOAD
                        ? upload_is_slow(&server->config, c, now_ns)
                        : now_ns > c->since_ns && now_ns - c->since_ns >= limit_ms * NS_PER_MS;

        bool left = !idle && has_left(c);
        if (c->phase == HTTP_PHASE_WORK || !(late || left || (idle && c->phase == HTTP_PHASE_HEAD)))
            continue;
        c->cut = true;
        shutdown(c->fd, SHUT_RDWR);
    }
}

static uint32_t tick_ms(const VmafxHttpServerConfig *config)
{
    uint32_t least = VMAFX_MIN(VMAFX_MIN(config->receive_timeout_ms, config->body_timeout_ms),
                               VMAFX_MIN(config->comment_ms, config->cert_check_ms));

    return VMAFX_MAX(VMAFX_MIN(least / 4, (uint32_t)TICK_MS_MAX), (uint32_t)TICK_MS_MIN);
}

/* Waits for `changed`, at most until then (CLOCK_MONOTONIC); the server's lock is held. */
static void wait_until(VmafxHttpServer *server, uint64_t until_ns)
{
    struct timespec until = { .tv_sec = (time_t)(until_ns / 1000000000), .tv_nsec = (long)(until_ns % 1000000000) };

    pthread_cond_timedwait(&server->changed, &server->lock, &until);
}

static void *keep_time(void *arg)
{
    VmafxHttpServer *server = arg;
    uint64_t tick_ns = tick_ms(&server->config) * NS_PER_MS, next_ns = 0;

    pthread_setname_np(pthread_self(), "http clock");
    pthread_mutex_lock(&server->lock);
    while (!server->clock_ends) {
        uint64_t now_ns = vmafx_monotonic_ns();

        if (now_ns >= next_ns) {
            cut_slow(server, now_ns, false);
            http_events_keep(server, now_ns);
            pthread_mutex_unlock(&server->lock);
            http_tls_look(server, now_ns);
            pthread_mutex_lock(&server->lock);
            if (server->clock_ends)
                break;
            next_ns = now_ns + tick_ns;
        }
        wait_until(server, next_ns);
    }
    pthread_mutex_unlock(&server->lock);
    return NULL;
}

/* ---- starting ---- */

/* What libmicrohttpd says while it starts is the reason for a failure; later it would be a line for every reader that
 * leaves. */
static void on_log(void *ctx, const char *format, va_list args)
{
    VmafxHttpServer *server = ctx;

    if (!server->started && !*server->start_error)
        vsnprintf(server->start_error, sizeof server->start_error, format, args);
}

static VmafxErr start_daemon(VmafxHttpServer *server, VmafxErrInfo *reterr)
{
    const VmafxHttpServerConfig *config = &server->config;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    struct MHD_OptionItem tls[3];

    tls[http_tls_options(server, tls)] = (struct MHD_OptionItem){ MHD_OPTION_END, 0, NULL };
    server->daemon = MHD_start_daemon(
        server->encrypted ? flags | MHD_USE_TLS : flags, 0, NULL, NULL, http_call_continue, server,
        /* the logger first: it is told about what follows */
        MHD_OPTION_EXTERNAL_LOGGER, on_log, server, MHD_OPTION_LISTEN_SOCKET, server->listen_fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)config->connections_max, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        (unsigned)config->connections_per_peer_max, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)(config->send_timeout_ms + 999) / 1000, MHD_OPTION_CONNECTION_MEMORY_LIMIT, config->header_max_bytes,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK, http_call_begin, server,
        MHD_OPTION_NOTIFY_COMPLETED, http_call_over, server, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,
        MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
    if (server->daemon)
        return VMAFX_OK;
    server->start_error[strcspn(server->start_error, "\n")] = 0;
    return vmafx_fail(reterr, VMAFX_ERR_IO, "cannot start the HTTP server: %s",
                      *server->start_error ? server->start_error : strerror(errno));
}

static VmafxErr start_threads(VmafxHttpServer *server, VmafxErrInfo *reterr)
{
    VmafxErr err = http_pool_start(&server->pool, server->config.threads, server->config.waiting_max);

    if (!err)
        err = http_pool_start(&server->urgent, 1, URGENT_WAITING_MAX);
    if (!err && server->upload_folder)
        err = http_pool_start(&server->writers, WRITERS, server->config.connections_max);
    if (!err && (!http_linger_start(&server->linger) || pthread_create(&server->clock, NULL, keep_time, server)))
        err = VMAFX_ERR_NOMEM;
    if (err)
        return vmafx_fail(reterr, err, "no memory for the HTTP server's threads");
    server->has_clock = true;
    return start_daemon(server, reterr);
}

static void init_lock(VmafxHttpServer *server)
{
    pthread_condattr_t attr;

    pthread_mutex_init(&server->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&server->changed, &attr);
    pthread_condattr_destroy(&attr);
}

static void server_free(VmafxHttpServer **taken)
{
    VmafxHttpServer *server = VMAFX_TAKE(*taken);

    if (!server)
        return;
    http_pool_stop(&server->pool);
    http_pool_stop(&server->urgent);
    http_pool_stop(&server->writers);
    if (server->daemon)
        MHD_stop_daemon(server->daemon);
    http_linger_stop(&server->linger, FLUSH_MS);
    if (server->has_clock) {
        pthread_mutex_lock(&server->lock);
        server->clock_ends = true;
        pthread_cond_broadcast(&server->changed);
        pthread_mutex_unlock(&server->lock);
        pthread_join(server->clock, NULL);
    }
    if (server->listen_fd >= 0)
        close(server->listen_fd);
    for (size_t i = 0; server->route_names && server->route_names[i]; i++)
        free(server->route_names[i]);
    free(server->route_names);
    free(server->upload_folder);
    http_tls_done(&server->tls);
    vmafx_logger_free(&server->telemetry.log);
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

VmafxErr vmafx_http_server_start(const VmafxHttpServerConfig *config, VmafxHttpServer **ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(server_free) VmafxHttpServer *server = calloc(1, sizeof *server);
    sigset_t all, before;

    if (!server)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for an HTTP server");
    server->config = *config;
    server->listen_fd = -1;
    init_lock(server);
    fill_in(&server->config);
    VmafxErr err = take_routes(server, reterr);
    if (!err)
        err = http_tls_start(server, reterr);
    if (!err)
        err = http_upload_folder(server, reterr);
    if (!err)
        err = open_socket(server, reterr);
    if (err)
        return err;
    http_telemetry_init(&server->telemetry, config->version);

    sigfillset(&all); /* signals are the program's business: our threads leave them to it */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = start_threads(server, reterr);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err)
        return err;
    atomic_store(&server->started, true);
    *ret = VMAFX_TAKE(server);
    return VMAFX_OK;
}

int vmafx_http_server_port(const VmafxHttpServer *server)
{
    return server->port;
}

/* ---- stopping ---- */

/* Until every request is over, or the time is up. */
static void wait_for_calls(VmafxHttpServer *server, uint64_t until_ns)
{
    pthread_mutex_lock(&server->lock);
    cut_slow(server, 0, true);
    while (server->n_calls && vmafx_monotonic_ns() < until_ns)
        wait_until(server, until_ns);
    pthread_mutex_unlock(&server->lock);
}

void vmafx_http_server_stop(VmafxHttpServer **server, uint32_t grace_ms)
{
    if (!*server)
        return;
    VmafxHttpServer *s = *server;
    uint64_t until_ns = vmafx_monotonic_ns() + grace_ms * NS_PER_MS;

    pthread_mutex_lock(&s->lock); /* a stream that opens now either sees this or is in the list below */
    atomic_store(&s->stopping, true);
    pthread_mutex_unlock(&s->lock);
    MHD_quiesce_daemon(s->daemon); /* the socket is ours to close */
    http_events_finish_all(s);
    wait_for_calls(s, until_ns);
    atomic_store(&s->cancelled, true);
    http_pool_refuse(&s->pool);
    http_pool_refuse(&s->urgent);
    http_pool_refuse(&s->writers);
    /* Pools first: every handler has returned and every connection is resumed when libmicrohttpd goes. */
    http_pool_stop(&s->pool);
    http_pool_stop(&s->urgent);
    http_pool_stop(&s->writers);
    wait_for_calls(s, vmafx_monotonic_ns() + FLUSH_MS * NS_PER_MS); /* what was answered last is still being sent */
    server_free(server);
}
