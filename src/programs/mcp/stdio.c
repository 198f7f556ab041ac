/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The transport over standard input and output: one thread reads, a pool answers what takes time.
 *
 * No write may block, as nothing could end it: a client that does not read would hold the program for ever. The other
 * end may share our descriptors' flags, so they stay as they are. Instead a socket is sent to without waiting, and a
 * pipe gets no more at a time than has room when there is any (PIPE_BUF). While the program runs it waits for the
 * client to read; once it has to end, STOP_MS are left for what is still to be said.
 */

#include "programs/mcp/stdio.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"
#include "programs/mcp/pool.h"
#include "programs/mcp/protocol.h"

#define CHUNK   65536
#define STOP_MS 2000

struct Stdio {
    Program *program;
    int in, out, stop_fd;
    _Atomic uint64_t
        until_ns; /* set before stop_fd is readable: what is to be said has to be said by then; 0: no end */
    void (*ended)(void *ctx);
    void *ctx;
    Session session;
    Pool *pool;
    pthread_t reader;

    pthread_mutex_t out_lock; /* one line at a time */
    bool broken;              /* nobody reads */
};

/** One line on its way: its messages, and their calls. */
typedef struct Line {
    Stdio *stdio;
    JsonRpcText text;
    Call calls[];
} Line;

/* ---- Writing ---- */

static void end(Stdio *stdio)
{
    stdio->ended(stdio->ctx);
}

/** False: the client takes nothing, and the time is up. */
static bool wait_for_room(Stdio *stdio)
{
    for (;;) {
        uint64_t until_ns = atomic_load(&stdio->until_ns), now_ns = vmafx_monotonic_ns();
        struct pollfd fds[] = { { .fd = stdio->out, .events = POLLOUT },
                                { .fd = until_ns ? -1 : stdio->stop_fd, .events = POLLIN } };

        if (until_ns && now_ns >= until_ns)
            return false;
        if (poll(fds, VMAFX_LEN(fds), until_ns ? (int)((until_ns - now_ns) / 1000000u) + 1 : -1) < 0 && errno != EINTR)
            return false;
        if (fds[0].revents)
            return true; /* or it is broken, which the write will say */
    }
}

static bool write_all(Stdio *stdio, const char *data, size_t len)
{
    while (len) {
        if (!wait_for_room(stdio))
            return false;
        ssize_t n = send(stdio->out, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == ENOTSOCK)
            n = write(stdio->out, data, VMAFX_MIN(len, (size_t)PIPE_BUF));
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n <= 0)
            return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

/** Takes the message over; NULL is none. */
static void say(Stdio *stdio, json_t *message)
{
    VMAFX_AUTO(vmafx_free_p) char *text = jsonrpc_dump(message);

    json_decref(message);
    if (!text)
        return; /* the client's own time limit ends its wait */
    size_t len = strlen(text);
    text[len] = '\n'; /* in place of the zero */
    pthread_mutex_lock(&stdio->out_lock);
    bool broke = !stdio->broken && !write_all(stdio, text, len + 1);
    stdio->broken = stdio->broken || broke;
    pthread_mutex_unlock(&stdio->out_lock);
    if (broke)
        end(stdio);
}

static void notify(void *ctx, json_t *notification)
{
    say(ctx, notification);
}

/* ---- Answering ---- */

static void line_free(Line *line)
{
    jsonrpc_text_done(&line->text);
    free(line);
}

/** A batch is answered by a batch, unless there is nothing to say. */
static void answer_line(void *arg)
{
    Line *line = arg;
    json_t *answers = line->text.batch ? json_array() : NULL;

    for (size_t i = 0; i < line->text.n; i++) {
        json_t *answer = line->calls[i].program ? protocol_answer(&line->calls[i]) : NULL;
        if (!line->text.batch)
            say(line->stdio, answer);
        else if (answer)
            VMAFX_IGNORE(json_array_append_new(answers, answer)); /* as a lost line: the client's limit ends its wait */
    }
    if (answers && json_array_size(answers))
        say(line->stdio, answers);
    else
        json_decref(answers);
    line_free(line);
}

static void refuse_line(Line *line)
{
    for (size_t i = 0; i < line->text.n; i++) {
        Call *call = &line->calls[i];
        if (!call->program)
            continue;
        protocol_drop(call);
        if (call->message->kind == JSONRPC_REQUEST)
            say(line->stdio,
                jsonrpc_error(call->message->id, MCP_BUSY,
                              "too many calls are on their way already; try again when some have ended", NULL));
    }
    line_free(line);
}

/** Begins every message of a line; what is refused is answered here. Says whether some of it takes time. */
static bool begin_line(Line *line)
{
    Stdio *stdio = line->stdio;
    bool takes_time = false;

    for (size_t i = 0; i < line->text.n; i++) {
        Call *call = &line->calls[i];
        *call = (Call){
            .program = stdio->program,
            .message = &line->text.messages[i],
            .session = &stdio->session,
            .scope = stdio,
            .role = VMAFX_ROLE_EVERYTHING,
            .transport = "pipe",
            .notify = notify,
            .notify_ctx = stdio,
        };
        json_t *refused = protocol_begin(call);
        if (refused) {
            call->program = NULL; /* done with */
            say(stdio, refused);
        } else
            takes_time = takes_time || protocol_is_long(call->message);
    }
    return takes_time;
}

static bool batch_is_allowed(const Stdio *stdio)
{
    const char *revision = atomic_load(&stdio->session.revision);

    return revision && !strcmp(revision, "2025-03-26"); /* the only one that has them */
}

static void take_line(Stdio *stdio, const char *data, size_t len)
{
    JsonRpcText text;
    JsonRpcFault fault;

    while (len && (data[len - 1] == '\r' || data[len - 1] == ' '))
        len--;
    if (!len)
        return;
    if (!jsonrpc_read(data, len, &text, &fault)) {
        say(stdio, jsonrpc_error(NULL, fault.code, fault.message, NULL));
        return;
    }
    Line *line = text.batch && !batch_is_allowed(stdio) ? NULL : calloc(1, sizeof *line + text.n * sizeof *line->calls);
    if (!line) {
        say(stdio, text.batch
                       ? jsonrpc_error(NULL, JSONRPC_INVALID_REQUEST, "batches exist in revision 2025-03-26 only", NULL)
                       : jsonrpc_error(NULL, JSONRPC_INTERNAL_ERROR, "out of memory", NULL));
        jsonrpc_text_done(&text);
        return;
    }
    line->stdio = stdio;
    line->text = text;
    if (!begin_line(line))
        answer_line(line);
    else if (!pool_run(stdio->pool, answer_line, line))
        refuse_line(line);
}

/* ---- Reading ---- */

typedef struct Buffer {
    char *data;
    size_t len, room;
    bool too_long; /* the rest of the line is passed over */
} Buffer;

static bool make_room(Buffer *buffer)
{
    if (buffer->len + CHUNK <= buffer->room)
        return true;
    size_t room = VMAFX_MAX(2 * buffer->room, (size_t)2 * CHUNK);
    char *data = realloc(buffer->data, room);
    if (!data)
        return false;
    buffer->data = data;
    buffer->room = room;
    return true;
}

/** Takes whole lines out of the buffer; looks for the end only in what is new. */
static void take_lines(Stdio *stdio, Buffer *buffer, size_t fresh)
{
    size_t begin = 0, look = buffer->len - fresh;

    for (;;) {
        char *newline = memchr(buffer->data + look, '\n', buffer->len - look);
        if (!newline)
            break;
        size_t at = (size_t)(newline - buffer->data);
        if (!buffer->too_long && at - begin <= MCP_MESSAGE_MAX)
            take_line(stdio, buffer->data + begin, at - begin);
        else
            say(stdio, jsonrpc_error(NULL, JSONRPC_INVALID_REQUEST, "the line is longer than 4 MiB", NULL));
        buffer->too_long = false;
        begin = look = at + 1;
    }
    memmove(buffer->data, buffer->data + begin, buffer->len - begin);
    buffer->len -= begin;
    if (buffer->len > MCP_MESSAGE_MAX) {
        buffer->too_long = true;
        buffer->len = 0;
    }
}

/** False: the end, or the program stops. */
static bool wait_for_input(const Stdio *stdio)
{
    struct pollfd fds[] = { { .fd = stdio->in, .events = POLLIN }, { .fd = stdio->stop_fd, .events = POLLIN } };

    while (poll(fds, VMAFX_LEN(fds), -1) < 0)
        if (errno != EINTR)
            return false;
    return !fds[1].revents;
}

static void *read_lines(void *arg)
{
    Stdio *stdio = arg;
    Buffer buffer = { 0 };

    while (make_room(&buffer) && wait_for_input(stdio)) {
        ssize_t n = read(stdio->in, buffer.data + buffer.len, CHUNK);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n <= 0)
            break;
        buffer.len += (size_t)n;
        take_lines(stdio, &buffer, (size_t)n);
    }
    if (buffer.len && !buffer.too_long && !atomic_load(&stdio->program->stopping))
        take_line(stdio, buffer.data, buffer.len); /* the last line may lack its end */
    free(buffer.data);
    end(stdio);
    return NULL;
}

/* ---- The interface ---- */

VmafxErr stdio_start(Program *program, int in, int out, void (*ended)(void *ctx), void *ctx, Stdio **ret,
                     VmafxErrInfo *reterr)
{
    Stdio *stdio = calloc(1, sizeof *stdio);

    if (!stdio)
        return VMAFX_ERR_NOMEM;
    *stdio = (Stdio){ .program = program, .in = in, .out = out, .ended = ended, .ctx = ctx };
    atomic_init(&stdio->session.log_level, 8);
    pthread_mutex_init(&stdio->out_lock, NULL);
    stdio->stop_fd = eventfd(0, EFD_CLOEXEC);
    stdio->pool = pool_new(MCP_CALLS_MAX, MCP_WAITING_MAX);
    if (stdio->stop_fd < 0 || !stdio->pool || pthread_create(&stdio->reader, NULL, read_lines, stdio)) {
        pool_free(&stdio->pool);
        if (stdio->stop_fd >= 0)
            close(stdio->stop_fd);
        free(stdio);
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for a thread");
    }
    *ret = stdio;
    return VMAFX_OK;
}

void stdio_stop(Stdio **at)
{
    Stdio *stdio = VMAFX_TAKE(*at);

    if (!stdio)
        return;
    atomic_store(&stdio->until_ns, vmafx_monotonic_ns() + STOP_MS * UINT64_C(1000000));
    VMAFX_IGNORE(write(stdio->stop_fd, &(uint64_t){ 1 }, 8) < 0); /* full: it has been said */
    pthread_join(stdio->reader, NULL);
    pool_free(&stdio->pool);
    close(stdio->stop_fd);
    pthread_mutex_destroy(&stdio->out_lock);
    free(stdio);
}
