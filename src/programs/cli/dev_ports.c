/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Binding without listening: the honest way to learn whether a port is free, and one that keeps it from being handed
 * out as somebody's free port until our program listens there.
 */

#include "programs/cli/dev_ports.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"

#define CONNECT_MS 1000

static void close_p(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

typedef struct Parts {
    char host[DEV_ADDRESS_SIZE], port[8];
    bool brackets;
} Parts;

static bool split(const char *address, Parts *ret)
{
    const char *colon = strrchr(address, ':');
    size_t len = colon ? (size_t)(colon - address) : 0, port_len = colon ? strlen(colon + 1) : 0;

    if (!len || len >= sizeof ret->host || !port_len || port_len > 5 || strspn(colon + 1, "0123456789") != port_len ||
        atoi(colon + 1) > 65535)
        return false;
    ret->brackets = address[0] == '[' && address[len - 1] == ']';
    if (!ret->brackets && memchr(address, ':', len))
        return false; /* an IPv6 address needs its brackets */
    size_t skip = ret->brackets ? 1 : 0;
    memcpy(ret->host, address + skip, len - 2 * skip);
    ret->host[len - 2 * skip] = 0;
    memcpy(ret->port, colon + 1, port_len + 1);
    return true;
}

static VmafxErr resolve(const char *address, Parts *parts, struct sockaddr_storage *ret, socklen_t *ret_len,
                        VmafxErrInfo *reterr)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found;

    if (!split(address, parts))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "'%s' is not HOST:PORT, such as 127.0.0.1:7801", address);
    int code = getaddrinfo(parts->host, parts->port, &hints, &found);
    if (code)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "cannot find the host of '%s': %s", address, gai_strerror(code));
    memcpy(ret, found->ai_addr, found->ai_addrlen);
    *ret_len = found->ai_addrlen;
    freeaddrinfo(found);
    return VMAFX_OK;
}

static int port_of(const struct sockaddr_storage *at)
{
    return ntohs(at->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)at)->sin6_port
                                           : ((const struct sockaddr_in *)at)->sin_port);
}

VmafxErr dev_port_check(const char *address, char ret[DEV_ADDRESS_SIZE], int *ret_hold, VmafxErrInfo *reterr)
{
    struct sockaddr_storage at = { 0 };
    socklen_t len;
    Parts parts;
    VmafxErr err = resolve(address, &parts, &at, &len, reterr);

    if (err)
        return err;
    VMAFX_AUTO(close_p) int fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return vmafx_fail(reterr, VMAFX_ERR_IO, "cannot make a socket for %s: %s", address, strerror(errno));
    /* as servers do: what an earlier run left in TIME_WAIT does not count, nor does who is bound but does not listen */
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
    if (bind(fd, (struct sockaddr *)&at, len))
        return errno == EADDRINUSE
                   ? vmafx_fail(reterr, VMAFX_ERR_CONFLICT, "%s is taken by another program", address)
                   : vmafx_fail(reterr, VMAFX_ERR_IO, "cannot listen on %s: %s", address, strerror(errno));
    len = sizeof at;
    if (getsockname(fd, (struct sockaddr *)&at, &len))
        return vmafx_fail(reterr, VMAFX_ERR_IO, "cannot learn the port of %s: %s", address, strerror(errno));
    snprintf(ret, DEV_ADDRESS_SIZE, "%s%.*s%s:%d", parts.brackets ? "[" : "", DEV_ADDRESS_SIZE - 10, parts.host,
             parts.brackets ? "]" : "", port_of(&at));
    *ret_hold = fd;
    fd = -1;
    return VMAFX_OK;
}

bool dev_address_is_loopback(const char *address)
{
    struct in6_addr six;
    struct in_addr four;
    Parts parts;

    if (!split(address, &parts))
        return false;
    if (inet_pton(AF_INET, parts.host, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, parts.host, &six) == 1)
        return IN6_IS_ADDR_LOOPBACK(&six);
    return !strcmp(parts.host, "localhost");
}

bool dev_port_answers(const char *address)
{
    struct sockaddr_storage at = { 0 };
    socklen_t len = 0, error_len = sizeof(int);
    int error = 0;
    Parts parts;

    if (resolve(address, &parts, &at, &len, NULL))
        return false;
    VMAFX_AUTO(close_p) int fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    if (!connect(fd, (struct sockaddr *)&at, len))
        return true;
    struct pollfd one = { .fd = fd, .events = POLLOUT };
    return errno == EINPROGRESS && poll(&one, 1, CONNECT_MS) == 1 &&
           !getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_len) && !error;
}
