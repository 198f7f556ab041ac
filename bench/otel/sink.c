/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A collector that only counts: OTLP/HTTP and OTLP/gRPC on one port of 127.0.0.1, told apart by the first bytes.
 *
 * Its first line of output is the port. Each line on its input is answered with "SPANS REQUESTS BYTES" since the line
 * before; the end of the input ends it. HTTP/2 (RFC 9113) as far as a gRPC client needs it: header blocks are skipped,
 * every DATA frame is given back to the flow control at once, one call at a time per connection.
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BODY_MAX = 64 << 20, PREFACE = 24, FRAME_HEAD = 9 };
enum { DATA = 0, HEADERS = 1, SETTINGS = 4, PING = 6, WINDOW_UPDATE = 8, ACK = 1, END_STREAM = 1, END_HEADERS = 4 };

static atomic_ullong n_spans, n_requests, n_bytes;

typedef struct Peer {
    int fd;
    uint8_t in[1 << 16]; /* read and not yet taken */
    size_t at, len;
    uint8_t *body;
    size_t body_len, body_size;
} Peer;

/* ---- Counting ---- */

static bool varint(const uint8_t **p, const uint8_t *end, uint64_t *ret)
{
    *ret = 0;
    for (unsigned shift = 0; *p < end && shift < 64; shift += 7) {
        uint8_t b = *(*p)++;
        *ret |= (uint64_t)(b & 127) << shift;
        if (b < 128)
            return true;
    }
    return false;
}

/* How many messages stand at the end of a path of field numbers, as in 1.2.2 for the spans of a request. */
static uint64_t count(const uint8_t *p, const uint8_t *end, const uint32_t *path)
{
    uint64_t n = 0, key, len;

    if (!*path)
        return 1;
    while (p < end && varint(&p, end, &key)) {
        switch (key & 7) {
        case 0:
            len = 0;
            if (!varint(&p, end, &key))
                return n;
            break;
        case 1:
            len = 8;
            break;
        case 5:
            len = 4;
            break;
        default:
            if (!varint(&p, end, &len) || len > (uint64_t)(end - p))
                return n;
            if (key >> 3 == *path)
                n += count(p, p + len, path + 1);
        }
        if (len > (uint64_t)(end - p))
            return n;
        p += len;
    }
    return n;
}

static void took_request(const uint8_t *body, size_t len)
{
    static const uint32_t spans[] = { 1, 2, 2, 0 };

    n_spans += count(body, body + len, spans);
    n_requests++;
    n_bytes += len;
}

/* ---- Reading and writing ---- */

static bool fill(Peer *peer)
{
    if (peer->at == peer->len)
        peer->at = peer->len = 0;
    else if (peer->at && peer->len == sizeof peer->in) {
        memmove(peer->in, peer->in + peer->at, peer->len - peer->at);
        peer->len -= peer->at;
        peer->at = 0;
    }
    if (peer->len == sizeof peer->in)
        return false;
    ssize_t got = recv(peer->fd, peer->in + peer->len, sizeof peer->in - peer->len, 0);
    peer->len += got > 0 ? (size_t)got : 0;
    return got > 0;
}

static bool take(Peer *peer, void *to, size_t n)
{
    uint8_t *out = to;

    while (n) {
        if (peer->at == peer->len && !fill(peer))
            return false;
        size_t part = peer->len - peer->at < n ? peer->len - peer->at : n;
        if (out) {
            memcpy(out, peer->in + peer->at, part);
            out += part;
        }
        peer->at += part;
        n -= part;
    }
    return true;
}

/* Appends to the body. */
static bool take_body(Peer *peer, size_t n)
{
    if (n > BODY_MAX - peer->body_len)
        return false;
    if (peer->body_len + n > peer->body_size) {
        peer->body_size = peer->body_len + n + (1 << 16);
        uint8_t *larger = realloc(peer->body, peer->body_size);
        if (!larger)
            return false;
        peer->body = larger;
    }
    peer->body_len += n;
    return take(peer, peer->body + peer->body_len - n, n);
}

static bool put(Peer *peer, const void *bytes, size_t n)
{
    return send(peer->fd, bytes, n, MSG_NOSIGNAL) == (ssize_t)n;
}

/* ---- HTTP/1.1 ---- */

static bool http1_request(Peer *peer)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
    uint8_t *end;

    while (!(end = memmem(peer->in + peer->at, peer->len - peer->at, "\r\n\r\n", 4)))
        if (!fill(peer))
            return false;
    *end = 0;
    const char *head = (const char *)peer->in + peer->at, *length = strcasestr(head, "\r\ncontent-length:");
    bool asks = strcasestr(head, "\r\nexpect: 100-continue") != NULL;
    size_t n = length ? strtoul(length + 17, NULL, 10) : 0;
    peer->at = (size_t)(end + 4 - peer->in);
    if (asks && !put(peer, "HTTP/1.1 100 Continue\r\n\r\n", 25))
        return false;
    peer->body_len = 0;
    if (!take_body(peer, n))
        return false;
    took_request(peer->body, peer->body_len);
    return put(peer, answer, sizeof answer - 1);
}

/* ---- HTTP/2 ---- */

static size_t frame(uint8_t *out, size_t len, uint8_t type, uint8_t flags, uint32_t stream)
{
    const uint8_t head[FRAME_HEAD] = {
        (uint8_t)(len >> 16),    (uint8_t)(len >> 8),     (uint8_t)len,           type,           flags,
        (uint8_t)(stream >> 24), (uint8_t)(stream >> 16), (uint8_t)(stream >> 8), (uint8_t)stream
    };

    memcpy(out, head, sizeof head);
    return sizeof head;
}

static size_t literal(uint8_t *out, const char *name, const char *value)
{
    size_t n = strlen(name), v = strlen(value);

    out[0] = 0; /* without indexing, a new name (RFC 7541, 6.2.2) */
    out[1] = (uint8_t)n;
    memcpy(out + 2, name, n);
    out[2 + n] = (uint8_t)v;
    memcpy(out + 3 + n, value, v);
    return 3 + n + v;
}

/* Headers, an empty message, trailers with status 0. */
static bool answer_call(Peer *peer, uint32_t stream)
{
    uint8_t out[256], block[128] = { 0x88 }; /* :status 200 */
    size_t len, n = 1 + literal(block + 1, "content-type", "application/grpc");

    len = frame(out, n, HEADERS, END_HEADERS, stream);
    memcpy(out + len, block, n);
    len += n;
    len += frame(out + len, 5, DATA, 0, stream);
    memset(out + len, 0, 5);
    len += 5;
    n = literal(block, "grpc-status", "0");
    len += frame(out + len, n, HEADERS, END_HEADERS | END_STREAM, stream);
    memcpy(out + len, block, n);
    return put(peer, out, len + n);
}

static bool give_window(Peer *peer, uint32_t stream, size_t n)
{
    uint8_t out[2 * (FRAME_HEAD + 4)];
    size_t len = 0;

    for (int i = 0; i < 2; i++) { /* the connection's and the stream's */
        len += frame(out + len, 4, WINDOW_UPDATE, 0, i ? stream : 0);
        for (int b = 24; b >= 0; b -= 8)
            out[len++] = (uint8_t)(n >> b);
        if (!stream)
            break;
    }
    return put(peer, out, len);
}

static bool data_frame(Peer *peer, uint32_t stream, size_t len, bool last)
{
    if (len && (!take_body(peer, len) || !give_window(peer, last ? 0 : stream, len)))
        return false;
    if (!last)
        return true;
    if (peer->body_len >= 5)
        took_request(peer->body + 5, peer->body_len - 5); /* behind gRPC's length */
    peer->body_len = 0;
    return answer_call(peer, stream);
}

static bool http2_frame(Peer *peer)
{
    uint8_t head[FRAME_HEAD], out[FRAME_HEAD + 8];

    if (!take(peer, head, sizeof head))
        return false;
    size_t len = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
    uint32_t stream = (uint32_t)(head[5] & 127) << 24 | (uint32_t)head[6] << 16 | (uint32_t)head[7] << 8 | head[8];
    if (head[3] == DATA)
        return data_frame(peer, stream, len, head[4] & END_STREAM);
    if (head[3] == PING && len == 8 && !(head[4] & ACK))
        return take(peer, out + frame(out, 8, PING, ACK, 0), 8) && put(peer, out, sizeof out);
    if (!take(peer, NULL, len))
        return false;
    return head[3] != SETTINGS || head[4] & ACK || put(peer, out, frame(out, 0, SETTINGS, ACK, 0));
}

static void *serve(void *arg)
{
    /* INITIAL_WINDOW_SIZE 16 MiB, MAX_FRAME_SIZE 1 MiB */
    static const uint8_t settings[] = { 0, 4, 1, 0, 0, 0, 0, 5, 0, 16, 0, 0 };
    Peer *peer = arg;
    uint8_t out[FRAME_HEAD + sizeof settings];
    int on = 1;

    setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (fill(peer)) {
        if (peer->in[0] == 'P' && peer->in[1] == 'R') {
            memcpy(out + frame(out, sizeof settings, SETTINGS, 0, 0), settings, sizeof settings);
            bool more = take(peer, NULL, PREFACE) && put(peer, out, sizeof out) && give_window(peer, 0, 16 << 20);
            while (more)
                more = http2_frame(peer);
        } else {
            while (http1_request(peer))
                ;
        }
    }
    close(peer->fd);
    free(peer->body);
    free(peer);
    return NULL;
}

static void *accept_all(void *arg)
{
    int fd, listener = *(int *)arg;

    while ((fd = accept(listener, NULL, NULL)) >= 0) {
        Peer *peer = calloc(1, sizeof *peer);
        pthread_t thread;

        if (!peer)
            abort();
        peer->fd = fd;
        if (pthread_create(&thread, NULL, serve, peer) || pthread_detach(thread))
            abort();
    }
    return NULL;
}

int main(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pthread_t thread;

    if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) || listen(listener, 64) ||
        getsockname(listener, (struct sockaddr *)&address, &size) ||
        pthread_create(&thread, NULL, accept_all, &listener)) {
        perror("sink");
        return 1;
    }
    printf("%u\n", ntohs(address.sin_port));
    fflush(stdout);
    for (int c; (c = getchar()) != EOF;)
        if (c == '\n') {
            printf("%llu %llu %llu\n", atomic_exchange(&n_spans, 0), atomic_exchange(&n_requests, 0),
                   atomic_exchange(&n_bytes, 0));
            fflush(stdout);
        }
    return 0;
}
