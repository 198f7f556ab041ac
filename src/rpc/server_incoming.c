/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Who calls what: a call's path, deadline, metadata and peer, copied out of the library. */

#include <ctype.h>
#include <string.h>

#include "base/base.h"
#include "rpc/server_internal.h"

#define NAMES_MAX 64 /* of a certificate */

static char *slice_text(grpc_slice slice)
{
    return strndup((const char *)GRPC_SLICE_START_PTR(slice), GRPC_SLICE_LENGTH(slice));
}

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* The library writes peers as URIs: "ipv6:%5B::1%5D:4711". */
static void percent_decode(char *text)
{
    char *to = text;

    for (; *text; text++)
        if (*text == '%' && hex(text[1]) >= 0 && hex(text[2]) >= 0 && (hex(text[1]) || hex(text[2]))) {
            *to++ = (char)(hex(text[1]) * 16 + hex(text[2]));
            text += 2;
        } else {
            *to++ = *text;
        }
    *to = 0;
}

static bool starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static bool is_loopback(const char *address)
{
    return starts(address, "ipv4:127.") || starts(address, "ipv6:[::1]:") || starts(address, "ipv6:[::ffff:127.") ||
           starts(address, "unix:") || starts(address, "unix-abstract:");
}

/* ---- the peer's names ---- */

static bool add_names(grpc_auth_context *auth, const char *property, char **names, size_t *n)
{
    grpc_auth_property_iterator it = grpc_auth_context_find_properties_by_name(auth, property);

    for (const grpc_auth_property *p; *n < NAMES_MAX && (p = grpc_auth_property_iterator_next(&it));) {
        if (!p->value_length || memchr(p->value, 0, p->value_length)) /* a zero byte would make another name of it */
            continue;
        names[*n] = strndup(p->value, p->value_length);
        if (!names[*n])
            return false;
        (*n)++;
    }
    return true;
}

static bool identify(RpcIncoming *incoming)
{
    grpc_auth_context *auth = grpc_call_auth_context(incoming->call);
    bool good = true;

    if (auth && grpc_auth_context_peer_is_authenticated(auth)) {
        char **names = calloc(NAMES_MAX, sizeof *names);

        incoming->peer.names = (const char *const *)names;
        good = names && add_names(auth, GRPC_PEER_DNS_PROPERTY_NAME, names, &incoming->peer.n_names) &&
               add_names(auth, GRPC_PEER_URI_PROPERTY_NAME, names, &incoming->peer.n_names);
        if (good && !incoming->peer.n_names)
            good = add_names(auth, GRPC_X509_CN_PROPERTY_NAME, names, &incoming->peer.n_names);
        incoming->peer.authenticated = good;
    }
    if (auth)
        grpc_auth_context_release(auth);
    return good;
}

/* ---- what server_internal.h promises ---- */

static bool copy_headers(RpcIncoming *incoming, const grpc_metadata_array *metadata)
{
    size_t bytes = metadata->count * sizeof *incoming->headers + 1;

    for (size_t i = 0; i < metadata->count; i++)
        bytes += GRPC_SLICE_LENGTH(metadata->metadata[i].key) + GRPC_SLICE_LENGTH(metadata->metadata[i].value) + 2;
    incoming->headers = calloc(1, bytes);
    if (!incoming->headers)
        return false;
    char *text = (char *)(incoming->headers + metadata->count);
    for (size_t i = 0; i < metadata->count; i++) {
        const grpc_metadata *item = &metadata->metadata[i];
        RpcHeader *header = &incoming->headers[incoming->n_headers++];

        header->key = text;
        memcpy(text, GRPC_SLICE_START_PTR(item->key), GRPC_SLICE_LENGTH(item->key));
        text += GRPC_SLICE_LENGTH(item->key) + 1;
        header->value = text;
        header->len = GRPC_SLICE_LENGTH(item->value);
        memcpy(text, GRPC_SLICE_START_PTR(item->value), header->len);
        text += header->len + 1;
    }
    return true;
}

bool rpc_incoming_init(RpcIncoming *incoming, VmafxRpcServer *server, grpc_call *call, const grpc_call_details *details,
                       const grpc_metadata_array *metadata)
{
    *incoming = (RpcIncoming){ .server = server, .call = call, .deadline_ns = rpc_monotonic_ns(details->deadline) };
    char *library_peer = grpc_call_get_peer(call);
    char *address = vmafx_strdup(library_peer ? library_peer : "");

    gpr_free(library_peer);
    incoming->peer.address = address;
    incoming->path = slice_text(details->method);
    incoming->host = slice_text(details->host);
    if (!address || !incoming->path || !incoming->host || !copy_headers(incoming, metadata) || !identify(incoming)) {
        incoming->call = NULL;
        rpc_incoming_done(incoming);
        return false;
    }
    percent_decode(address);
    incoming->peer.loopback = is_loopback(address);
    incoming->entry = rpc_entry_find(server, incoming->path);
    return true;
}

void rpc_incoming_done(RpcIncoming *incoming)
{
    for (size_t i = 0; i < incoming->peer.n_names; i++)
        free((char *)incoming->peer.names[i]);
    free((void *)incoming->peer.names);
    free((char *)incoming->peer.address);
    free(incoming->path);
    free(incoming->host);
    free(incoming->headers);
    *incoming = (RpcIncoming){ 0 };
}

const char *rpc_incoming_header(const RpcIncoming *incoming, const char *key)
{
    for (size_t i = 0; i < incoming->n_headers; i++)
        if (!strcasecmp(incoming->headers[i].key, key))
            return incoming->headers[i].value;
    return NULL;
}

static void get_all(void *carrier, const char *name, void (*each)(void *ctx, const char *value, size_t len), void *ctx)
{
    const RpcIncoming *incoming = carrier;

    for (size_t i = 0; i < incoming->n_headers; i++)
        if (!strcmp(incoming->headers[i].key, name))
            each(ctx, incoming->headers[i].value, incoming->headers[i].len);
}

VmafxContext *rpc_incoming_context(RpcIncoming *incoming)
{
    static const VmafxCarrierGetter getter = { get_all };

    return vmafx_context_extract(NULL, &getter, incoming);
}
