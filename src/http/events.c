/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Event streams. Publishers put text into a queue; libmicrohttpd's thread takes it out when the socket has room. When
 * the queue is empty the reader is parked, which means its connection is suspended; whoever puts the next byte in
 * resumes it. `parked` and the queue are under one lock, so no byte can come between looking and parking.
 *
 * A peer that closed its connection is noticed within a second by the thread that keeps time, as nobody watches the
 * socket of a parked stream; one that vanished at the next write, hence the comments; one that stopped reading fills
 * its queue and is cut there.
 */

#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/base.h"
#include "base/clock.h"
#include "http/server_internal.h"

enum { QUEUE_MAX_DEFAULT = 1 << 20, QUEUE_FIRST = 4096 };

struct VmafxHttpEvents {
    atomic_int refs;
    VmafxHttpServer *server; /* used by its own threads only, as others may hold a reference for longer */
    struct MHD_Connection *mhd;
    VmafxHttpEventsConfig config;
    int fd;                              /* for cutting; open until `gone` */
    struct VmafxHttpEvents *prev, *next; /* in the server's list, under its lock */

    pthread_mutex_t lock; /* covers everything below */
    char *queue;          /* waiting: head … len */
    size_t head, len, room;
    uint64_t last_ns; /* when something was queued */
    bool parked;      /* the connection is suspended */
    bool finishing;   /* no more comes */
    bool cut;         /* the peer did not read */
    bool gone;        /* the connection is over */
};

VmafxHttpEvents *vmafx_http_events_ref(VmafxHttpEvents *events)
{
    if (events)
        atomic_fetch_add(&events->refs, 1);
    return events;
}

void vmafx_http_events_unref(VmafxHttpEvents **events)
{
    VmafxHttpEvents *taken = VMAFX_TAKE(*events);

    if (!taken || atomic_fetch_sub(&taken->refs, 1) != 1)
        return;
    pthread_mutex_destroy(&taken->lock);
    free(taken->queue);
    free(taken);
}

/* ---- the queue; the stream's lock is held ---- */

static void wake(VmafxHttpEvents *events)
{
    if (!events->parked)
        return;
    events->parked = false;
    MHD_resume_connection(events->mhd);
}

static bool make_room(VmafxHttpEvents *events, size_t n)
{
    if (events->head) {
        events->len -= events->head;
        memmove(events->queue, events->queue + events->head, events->len);
        events->head = 0;
    }
    if (events->len + n <= events->room)
        return true;
    size_t room = VMAFX_MAX(events->room, (size_t)QUEUE_FIRST);
    while (room < events->len + n)
        room *= 2; /* queue_max_bytes keeps this small */
    char *queue = realloc(events->queue, room);
    if (!queue)
        return false;
    events->queue = queue;
    events->room = room;
    return true;
}

static VmafxErr put(VmafxHttpEvents *events, const char *text, size_t n)
{
    if (events->gone || events->finishing)
        return VMAFX_ERR_STOPPED;
    if (n > events->config.queue_max_bytes - VMAFX_MIN(events->len - events->head, events->config.queue_max_bytes)) {
        events->cut = events->finishing = true;
        shutdown(events->fd, SHUT_RDWR); /* it is not parked: something waits */
        wake(events);                    /* unless this one event alone was too long */
        return VMAFX_ERR_LIMIT;
    }
    if (!make_room(events, n))
        return VMAFX_ERR_NOMEM;
    memcpy(events->queue + events->len, text, n);
    events->len += n;
    events->last_ns = vmafx_monotonic_ns();
    wake(events);
    return VMAFX_OK;
}

/* ---- publishing ---- */

static void put_data(FILE *out, const char *data)
{
    while (true) {
        size_t n = strcspn(data, "\r\n");

        fprintf(out, "data: %.*s\n", (int)n, data);
        data += n;
        if (!*data)
            return;
        data += data[0] == '\r' && data[1] == '\n' ? 2 : 1;
    }
}

static bool is_line(const char *text)
{
    return !text || !strpbrk(text, "\r\n");
}

VmafxErr vmafx_http_events_send(VmafxHttpEvents *events, const char *id, const char *event, const char *data)
{
    VMAFX_AUTO(vmafx_free_p) char *text = NULL;
    size_t len;

    if (!is_line(id) || !is_line(event) || strlen(data) > INT32_MAX / 2)
        return VMAFX_ERR_INVALID;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        return VMAFX_ERR_NOMEM;
    if (id)
        fprintf(out, "id: %s\n", id);
    if (event)
        fprintf(out, "event: %s\n", event);
    put_data(out, data);
    fputc('\n', out);
    if (ferror(out) + fclose(out))
        return VMAFX_ERR_NOMEM;

    pthread_mutex_lock(&events->lock);
    VmafxErr err = put(events, text, len);
    pthread_mutex_unlock(&events->lock);
    return err;
}

size_t vmafx_http_events_waiting(VmafxHttpEvents *events)
{
    pthread_mutex_lock(&events->lock);
    size_t n = events->len - events->head;
    pthread_mutex_unlock(&events->lock);
    return n;
}

void vmafx_http_events_finish(VmafxHttpEvents *events)
{
    pthread_mutex_lock(&events->lock);
    events->finishing = true;
    if (!events->gone)
        wake(events);
    pthread_mutex_unlock(&events->lock);
}

/* It has closed its connection, or its sending side, which is how clients of HTTP give up. */
static bool has_left(const VmafxHttpEvents *events)
{
    struct pollfd socket = { .fd = events->fd, .events = POLLRDHUP };

    return poll(&socket, 1, 0) > 0 && socket.revents & (POLLRDHUP | POLLHUP | POLLERR);
}

void http_events_keep(VmafxHttpServer *server, uint64_t now_ns)
{
    uint64_t silence_ns = (uint64_t)server->config.comment_ms * 1000000;

    for (VmafxHttpEvents *events = server->streams; events; events = events->next) {
        pthread_mutex_lock(&events->lock);
        if (events->parked && has_left(events)) {
            events->cut = events->finishing = true;
            shutdown(events->fd, SHUT_RDWR);
            wake(events);
        }
        if (events->parked && now_ns > events->last_ns && now_ns - events->last_ns >= silence_ns)
            VMAFX_IGNORE(put(events, ":\n\n", 3)); /* without memory the next round tries again */
        pthread_mutex_unlock(&events->lock);
    }
}

void http_events_finish_all(VmafxHttpServer *server)
{
    pthread_mutex_lock(&server->lock);
    for (VmafxHttpEvents *events = server->streams; events; events = events->next)
        vmafx_http_events_finish(events);
    pthread_mutex_unlock(&server->lock);
}

/* ---- the connection's side ---- */

static ssize_t read_queue(void *ctx, uint64_t at, char *to, size_t room)
{
    VmafxHttpEvents *events = ctx;
    ssize_t got = 0;

    pthread_mutex_lock(&events->lock);
    size_t n = VMAFX_MIN(events->len - events->head, room);
    if (events->cut) {
        got = MHD_CONTENT_READER_END_WITH_ERROR;
    } else if (n) {
        memcpy(to, events->queue + events->head, n);
        events->head += n;
        got = (ssize_t)n;
    } else if (events->finishing) {
        got = MHD_CONTENT_READER_END_OF_STREAM;
    } else { /* 0 without suspending would spin */
        events->parked = true;
        MHD_suspend_connection(events->mhd);
    }
    pthread_mutex_unlock(&events->lock);
    return got;
}

static void release(void *ctx)
{
    VmafxHttpEvents *events = ctx;

    vmafx_http_events_unref(&events);
}

struct MHD_Response *http_events_response(VmafxHttpEvents *events)
{
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, read_queue, vmafx_http_events_ref(events), release);

    if (!response) {
        release(events);
        return NULL;
    }
    MHD_add_response_header(response, "Content-Type", "text/event-stream");
    MHD_add_response_header(response, "X-Accel-Buffering", "no"); /* proxies that would wait for more */
    return response;
}

void http_events_over(VmafxHttpEvents **taken)
{
    VmafxHttpEvents *events = *taken;
    VmafxHttpServer *server = events->server;

    pthread_mutex_lock(&events->lock);
    events->gone = events->finishing = true;
    pthread_mutex_unlock(&events->lock);

    pthread_mutex_lock(&server->lock);
    if (events->next)
        events->next->prev = events->prev;
    if (events->prev)
        events->prev->next = events->next;
    else
        server->streams = events->next;
    server->n_streams--;
    pthread_mutex_unlock(&server->lock);

    if (events->config.closed)
        events->config.closed(events->config.ctx, events);
    vmafx_http_events_unref(taken);
}

/* False when the server has as many as it may. */
static VmafxErr join(VmafxHttpServer *server, VmafxHttpEvents *events)
{
    VmafxErr err = VMAFX_OK;

    pthread_mutex_lock(&server->lock);
    if (atomic_load(&server->stopping)) {
        err = VMAFX_ERR_STOPPED;
    } else if (server->n_streams >= server->config.streams_max) {
        err = VMAFX_ERR_BUSY;
    } else {
        events->next = server->streams;
        if (events->next)
            events->next->prev = events;
        server->streams = events;
        server->n_streams++;
    }
    pthread_mutex_unlock(&server->lock);
    return err;
}

VmafxErr vmafx_http_call_events(VmafxHttpCall *call, const VmafxHttpEventsConfig *config, VmafxHttpEvents **ret,
                                VmafxErrInfo *reterr)
{
    if (call->events || !strcmp(call->method, "HEAD"))
        return vmafx_fail(reterr, VMAFX_ERR_STATE, "an event stream cannot be opened here; use GET");
    VmafxHttpEvents *events = calloc(1, sizeof *events);
    if (!events)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for an event stream");
    atomic_init(&events->refs, 1);
    pthread_mutex_init(&events->lock, NULL);
    events->server = call->server;
    events->mhd = call->mhd;
    events->fd = call->connection->fd;
    events->config = *config;
    if (!events->config.queue_max_bytes)
        events->config.queue_max_bytes = QUEUE_MAX_DEFAULT;

    VmafxErr err = put(events, ":\n\n", 3) ? VMAFX_ERR_NOMEM : VMAFX_OK; /* so that the headers leave at once */
    if (!err)
        err = join(call->server, events);
    if (err) {
        vmafx_http_events_unref(&events);
        return vmafx_fail(reterr, err,
                          err == VMAFX_ERR_BUSY ? "too many event streams are open; try again later"
                                                : "the server is stopping");
    }
    call->events = vmafx_http_events_ref(events);
    *ret = events;
    return VMAFX_OK;
}
