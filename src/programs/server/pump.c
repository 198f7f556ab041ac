/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Non-blocking pipes, queues of pieces, one epoll thread. */

#include "programs/server/pump.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"

#define LOOK_MS    500
#define EVENTS_MAX 64
#define PIPE_BYTES (256 << 10) /* asked for; the system may have less to give */

typedef struct Piece {
    struct Piece *next;
    size_t len, at;
    uint8_t data[];
} Piece;

typedef struct Input {
    int fd; /* to write to; -1: closed */
    Piece *first, **last;
    size_t waiting;
    bool ended;        /* no more will come */
    uint64_t moved_ns; /* bytes last left for the pipe */
} Input;

struct Feed {
    Pump *pump;
    atomic_int refs;
    FeedConfig config;
    uint64_t id;
    Feed *next; /* the pump's list */

    pthread_mutex_t lock; /* covers everything below */
    Input inputs[2];
    bool full;  /* has been said; room is owed */
    bool stuck; /* has been said */
    uint64_t came_ns;
};

struct Pump {
    int epoll, wake;
    pthread_t thread;
    atomic_bool stopping;

    pthread_mutex_t lock; /* covers everything below */
    Feed *feeds;
    size_t n_feeds;
    uint64_t last_id;
};

static void feed_unref(Feed *feed)
{
    if (atomic_fetch_sub_explicit(&feed->refs, 1, memory_order_acq_rel) > 1)
        return;
    feed->config.release(feed->config.ctx);
    pthread_mutex_destroy(&feed->lock);
    free(feed);
}

/* ---- one input; with the feed's lock held ---- */

static void drop_pieces(Input *input)
{
    for (Piece *piece = input->first, *next; piece; piece = next) {
        next = piece->next;
        free(piece);
    }
    input->first = NULL;
    input->last = &input->first;
    input->waiting = 0;
}

static void close_input(Input *input)
{
    drop_pieces(input);
    if (input->fd >= 0)
        close(input->fd);
    input->fd = -1;
}

/* What the pipe takes. True: something is left. */
static bool flush(Input *input)
{
    while (input->first && input->fd >= 0) {
        Piece *piece = input->first;
        ssize_t n = write(input->fd, piece->data + piece->at, piece->len - piece->at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return true;
        if (n < 0) { /* nobody reads any more: the scoring has ended, or will say why not */
            close_input(input);
            return false;
        }
        input->moved_ns = vmafx_monotonic_ns();
        piece->at += (size_t)n;
        input->waiting -= (size_t)n;
        if (piece->at < piece->len)
            continue;
        input->first = piece->next;
        if (!input->first)
            input->last = &input->first;
        free(piece);
    }
    if (input->ended)
        close_input(input);
    return false;
}

static void arm(const Feed *feed, int i)
{
    struct epoll_event event = { .events = EPOLLOUT | EPOLLONESHOT, .data.u64 = feed->id << 1 | (unsigned)i };

    VMAFX_IGNORE(epoll_ctl(feed->pump->epoll, EPOLL_CTL_MOD, feed->inputs[i].fd, &event)); /* it is in there */
}

static bool is_full(const Feed *feed)
{
    return feed->inputs[0].waiting >= feed->config.window_bytes || feed->inputs[1].waiting >= feed->config.window_bytes;
}

/* True: the caller owes a call of room. */
static bool has_room_again(Feed *feed)
{
    bool room = feed->full && feed->inputs[0].waiting < feed->config.window_bytes / 2 &&
                feed->inputs[1].waiting < feed->config.window_bytes / 2;

    feed->full &= !room;
    return room;
}

/* Nothing is left of it, here or in the pipe, and it has not ended: whoever reads it waits. */
static bool starves(const Input *input)
{
    int in_pipe = 0;

    return input->fd >= 0 && !input->ended && !input->waiting && !ioctl(input->fd, FIONREAD, &in_pipe) && !in_pipe;
}

/* ---- the thread ---- */

static void on_writable(Feed *feed, int i)
{
    pthread_mutex_lock(&feed->lock);
    if (feed->inputs[i].fd >= 0 && flush(&feed->inputs[i]))
        arm(feed, i);
    bool room = has_room_again(feed);
    pthread_mutex_unlock(&feed->lock);
    if (room)
        feed->config.room(feed->config.ctx);
}

static void look(Feed *feed)
{
    uint64_t now = vmafx_monotonic_ns();
    bool active = feed->config.active(feed->config.ctx), starved = false, idle = false;

    pthread_mutex_lock(&feed->lock);
    for (int i = 0; i < 2 && active && !feed->stuck; i++) {
        const Input *input = &feed->inputs[i], *other = &feed->inputs[!i];

        starved |= starves(input) && feed->full && other->waiting &&
                   now > other->moved_ns + (uint64_t)PUMP_STARVED_MS * 1000000u &&
                   now > input->moved_ns + (uint64_t)PUMP_STARVED_MS * 1000000u;
        idle |= starves(input) && !feed->full && now > feed->came_ns + (uint64_t)feed->config.idle_ms * 1000000u;
    }
    if (!active)
        feed->came_ns = now; /* who waits for a slot may do so in silence */
    feed->stuck |= starved || idle;
    pthread_mutex_unlock(&feed->lock);
    if (starved || idle)
        feed->config.stuck(feed->config.ctx, starved ? FEED_STARVED : FEED_IDLE);
}

static Feed *find(Pump *pump, uint64_t id)
{
    Feed *found = NULL;

    pthread_mutex_lock(&pump->lock);
    for (Feed *feed = pump->feeds; feed && !found; feed = feed->next)
        if (feed->id == id) {
            found = feed;
            atomic_fetch_add(&found->refs, 1);
        }
    pthread_mutex_unlock(&pump->lock);
    return found;
}

/* The feed after that one, by id, so that the list may change while it is walked. */
static Feed *next_of(Pump *pump, uint64_t id)
{
    Feed *found = NULL;

    pthread_mutex_lock(&pump->lock);
    for (Feed *feed = pump->feeds; feed; feed = feed->next) /* newest first */
        if (feed->id > id && (!found || feed->id < found->id))
            found = feed;
    if (found)
        atomic_fetch_add(&found->refs, 1);
    pthread_mutex_unlock(&pump->lock);
    return found;
}

static void look_at_all(Pump *pump)
{
    uint64_t id = 0;

    for (Feed *feed; (feed = next_of(pump, id));) {
        id = feed->id;
        look(feed);
        feed_unref(feed);
    }
}

static void *turn(void *arg)
{
    Pump *pump = arg;
    struct epoll_event events[EVENTS_MAX];
    uint64_t looked_ns = 0;

    pthread_setname_np(pthread_self(), "pump");
    while (!atomic_load(&pump->stopping)) {
        int n = epoll_wait(pump->epoll, events, EVENTS_MAX, LOOK_MS);

        for (int i = 0; i < n; i++) {
            Feed *feed = events[i].data.u64 ? find(pump, events[i].data.u64 >> 1) : NULL;
            if (!feed)
                continue;
            on_writable(feed, (int)(events[i].data.u64 & 1));
            feed_unref(feed);
        }
        uint64_t now = vmafx_monotonic_ns();
        if (now - looked_ns >= (uint64_t)LOOK_MS * 1000000u) {
            looked_ns = now;
            look_at_all(pump);
        }
    }
    return NULL;
}

/* ---- the pump ---- */

VmafxErr pump_start(Pump **ret, VmafxErrInfo *reterr)
{
    Pump *pump = calloc(1, sizeof *pump);
    struct epoll_event event = { .events = EPOLLIN };

    if (!pump)
        return VMAFX_ERR_NOMEM;
    pump->epoll = epoll_create1(EPOLL_CLOEXEC);
    pump->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&pump->lock, NULL);
    if (pump->epoll < 0 || pump->wake < 0 || epoll_ctl(pump->epoll, EPOLL_CTL_ADD, pump->wake, &event) ||
        pthread_create(&pump->thread, NULL, turn, pump)) {
        VmafxErr err =
            vmafx_fail(reterr, VMAFX_ERR_IO, "the thread that feeds streams cannot start: %s", strerror(errno));
        if (pump->epoll >= 0)
            close(pump->epoll);
        if (pump->wake >= 0)
            close(pump->wake);
        pthread_mutex_destroy(&pump->lock);
        free(pump);
        return err;
    }
    *ret = pump;
    return VMAFX_OK;
}

void pump_stop(Pump **at)
{
    Pump *pump = VMAFX_TAKE(*at);

    if (!pump)
        return;
    atomic_store(&pump->stopping, true);
    VMAFX_IGNORE(write(pump->wake, &(uint64_t){ 1 }, 8) < 0); /* full: it is awake */
    pthread_join(pump->thread, NULL);
    close(pump->epoll);
    close(pump->wake);
    pthread_mutex_destroy(&pump->lock);
    free(pump);
}

/* ---- feeds ---- */

static VmafxErr open_pipe(Feed *feed, int i, int *ret_fd, VmafxErrInfo *reterr)
{
    struct epoll_event event = { .events = 0, .data.u64 = feed->id << 1 | (unsigned)i };
    int ends[2];

    if (pipe2(ends, O_CLOEXEC))
        return vmafx_fail(reterr, VMAFX_ERR_IO, "no pipe for a stream: %s", strerror(errno));
    *ret_fd = ends[0];
    feed->inputs[i].fd = ends[1];
    VMAFX_IGNORE(fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES) < 0); /* it is smaller then */
    if (fcntl(ends[1], F_SETFL, O_NONBLOCK) || epoll_ctl(feed->pump->epoll, EPOLL_CTL_ADD, ends[1], &event))
        return vmafx_fail(reterr, VMAFX_ERR_IO, "a pipe for a stream cannot be watched: %s", strerror(errno));
    return VMAFX_OK;
}

VmafxErr feed_open(Pump *pump, const FeedConfig *config, Feed **ret, int ret_fds[2], VmafxErrInfo *reterr)
{
    Feed *feed = calloc(1, sizeof *feed);
    uint64_t now = vmafx_monotonic_ns();
    VmafxErr err = VMAFX_OK;

    if (!feed)
        return VMAFX_ERR_NOMEM;
    feed->pump = pump;
    atomic_init(&feed->refs, 1);
    feed->config = *config;
    feed->came_ns = now;
    pthread_mutex_init(&feed->lock, NULL);
    for (int i = 0; i < 2; i++) {
        feed->inputs[i] = (Input){ .fd = -1, .moved_ns = now };
        feed->inputs[i].last = &feed->inputs[i].first;
        ret_fds[i] = -1;
    }
    pthread_mutex_lock(&pump->lock);
    feed->id = ++pump->last_id;
    pthread_mutex_unlock(&pump->lock);
    for (int i = 0; i < 2 && !err; i++)
        err = open_pipe(feed, i, &ret_fds[i], reterr);
    if (err) {
        for (int i = 0; i < 2; i++) {
            close_input(&feed->inputs[i]);
            if (ret_fds[i] >= 0)
                close(ret_fds[i]);
        }
        pthread_mutex_destroy(&feed->lock);
        free(feed);
        return err;
    }
    pthread_mutex_lock(&pump->lock);
    feed->next = pump->feeds;
    pump->feeds = feed;
    pthread_mutex_unlock(&pump->lock);
    *ret = feed;
    return VMAFX_OK;
}

VmafxErr feed_write(Feed *feed, int i, const void *data, size_t len, bool *ret_full)
{
    Piece *piece = malloc(sizeof *piece + len);
    Input *input = &feed->inputs[i];
    VmafxErr err = VMAFX_OK;

    *ret_full = false;
    if (!piece)
        return VMAFX_ERR_NOMEM;
    *piece = (Piece){ .len = len };
    memcpy(piece->data, data, len);
    pthread_mutex_lock(&feed->lock);
    feed->came_ns = vmafx_monotonic_ns();
    if (input->ended) {
        err = VMAFX_ERR_STATE;
    } else if (input->fd >= 0 && len) {
        bool idle = !input->first; /* else the pump is waiting for room already */
        *input->last = piece;
        input->last = &piece->next;
        input->waiting += len;
        piece = NULL;
        if (idle && flush(input))
            arm(feed, i);
        *ret_full = !feed->full && is_full(feed);
        feed->full |= *ret_full;
    }
    pthread_mutex_unlock(&feed->lock);
    free(piece);
    return err;
}

void feed_end(Feed *feed, int i)
{
    Input *input = &feed->inputs[i];

    pthread_mutex_lock(&feed->lock);
    input->ended = true;
    feed->came_ns = vmafx_monotonic_ns();
    if (!input->first)
        close_input(input);
    pthread_mutex_unlock(&feed->lock);
}

void feed_close(Feed **at)
{
    Feed *feed = VMAFX_TAKE(*at);

    if (!feed)
        return;
    pthread_mutex_lock(&feed->pump->lock);
    for (Feed **link = &feed->pump->feeds; *link; link = &(*link)->next)
        if (*link == feed) {
            *link = feed->next;
            break;
        }
    pthread_mutex_unlock(&feed->pump->lock);
    pthread_mutex_lock(&feed->lock);
    for (int i = 0; i < 2; i++)
        close_input(&feed->inputs[i]);
    pthread_mutex_unlock(&feed->lock);
    feed_unref(feed);
}
