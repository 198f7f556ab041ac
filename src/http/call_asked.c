/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What handlers and authorize ask about a request. */

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "http/server_internal.h"

const char *vmafx_http_call_method(const VmafxHttpCall *call)
{
    return call->method;
}

const char *vmafx_http_call_pattern(const VmafxHttpCall *call)
{
    return call->route->pattern;
}

const char *vmafx_http_call_route(const VmafxHttpCall *call)
{
    return call->route_name;
}

const VmafxHttpPeer *vmafx_http_call_peer(const VmafxHttpCall *call)
{
    return &call->peer;
}

void vmafx_http_call_keep(VmafxHttpCall *call, const void *data, size_t size)
{
    assert(size <= sizeof call->kept);
    memset(call->kept, 0, sizeof call->kept);
    memcpy(call->kept, data, size);
}

const void *vmafx_http_call_kept(const VmafxHttpCall *call)
{
    return call->kept;
}

void vmafx_http_call_set_owner(VmafxHttpCall *call, const char *owner)
{
    snprintf(call->owner, sizeof call->owner, "%s", owner);
}

const char *vmafx_http_call_param(const VmafxHttpCall *call, const char *name)
{
    return vmafx_http_pattern_param(call->route->pattern, &call->target, name);
}

const char *vmafx_http_call_query(const VmafxHttpCall *call, const char *name)
{
    return vmafx_http_target_query(&call->target, name);
}

bool vmafx_http_call_query_at(const VmafxHttpCall *call, size_t i, const char **ret_name, const char **ret_value)
{
    if (i >= call->target.n_query)
        return false;
    *ret_name = call->target.query[i].name;
    *ret_value = call->target.query[i].value;
    return true;
}

const char *vmafx_http_call_header(const VmafxHttpCall *call, const char *name)
{
    return MHD_lookup_connection_value(call->mhd, MHD_HEADER_KIND, name);
}

const char *vmafx_http_call_body(const VmafxHttpCall *call, size_t *ret_len)
{
    *ret_len = call->len;
    return call->body ? call->body : "";
}

bool vmafx_http_call_cancelled(const VmafxHttpCall *call)
{
    return atomic_load(&call->server->cancelled) || vmafx_http_call_client_gone(call);
}

bool vmafx_http_call_client_gone(const VmafxHttpCall *call)
{
    /* Not by reading: a next request that waits there hides the end of the stream from a look at its first byte. */
    struct pollfd socket = { .fd = call->connection->fd, .events = POLLRDHUP };

    return poll(&socket, 1, 0) > 0 && socket.revents & (POLLRDHUP | POLLHUP | POLLERR);
}
