/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* grpc.health.v1.Health: Check and Watch (health.proto of gRPC). */

#include <string.h>

#include "base/base.h"
#include "rpc/server_internal.h"

enum { SERVING = 1, NOT_SERVING = 2, SERVICE_UNKNOWN = 3 };

struct RpcWatch {
    RpcHealth *health;
    VmafxRpcStream *stream;
    char *service;
    int said; /* what it was told last */
    RpcWatch *next;
};

bool rpc_health_init(RpcHealth *health)
{
    pthread_mutex_init(&health->lock, NULL);
    return rpc_health_set(health, "", true);
}

void rpc_health_done(RpcHealth *health)
{
    for (size_t i = 0; i < health->n_services; i++)
        free(health->services[i].name);
    free(health->services);
    pthread_mutex_destroy(&health->lock);
}

/* With the lock held. */
static int status_of(const RpcHealth *health, const char *service)
{
    for (size_t i = 0; i < health->n_services; i++)
        if (!strcmp(health->services[i].name, service))
            return health->services[i].serving ? SERVING : NOT_SERVING;
    return SERVICE_UNKNOWN;
}

/* With the lock held. */
static void tell(RpcWatch *watch)
{
    RpcOut out = { 0 };
    int status = status_of(watch->health, watch->service);

    if (status == watch->said)
        return;
    watch->said = status;
    rpc_wire_put_varint(&out, 1, (uint64_t)status);
    if (out.failed)
        vmafx_rpc_stream_finish(watch->stream, VMAFX_ERR_NOMEM, NULL);
    else
        VMAFX_IGNORE(vmafx_rpc_stream_send(watch->stream, out.ptr, out.len)); /* an ended one leaves by itself */
    free(out.ptr);
}

/* With the lock held: the service's place, made if there is none yet; NULL when there can be none. */
static bool *place_of(RpcHealth *health, const char *service)
{
    for (size_t i = 0; i < health->n_services; i++)
        if (!strcmp(health->services[i].name, service))
            return &health->services[i].serving;
    if (health->n_services == RPC_SERVICES_MAX)
        return NULL;
    char *name = vmafx_strdup(service);
    void *more = realloc(health->services, (health->n_services + 1) * sizeof *health->services);
    if (more)
        health->services = more;
    if (!name || !more) {
        free(name);
        return NULL;
    }
    health->services[health->n_services].name = name;
    return &health->services[health->n_services++].serving;
}

bool rpc_health_set(RpcHealth *health, const char *service, bool serving)
{
    pthread_mutex_lock(&health->lock);
    bool *place = place_of(health, service);
    if (place)
        *place = serving;
    for (RpcWatch *watch = health->watches; place && watch; watch = watch->next)
        tell(watch);
    pthread_mutex_unlock(&health->lock);
    return place;
}

void rpc_health_stop(RpcHealth *health)
{
    pthread_mutex_lock(&health->lock);
    for (size_t i = 0; i < health->n_services; i++)
        health->services[i].serving = false;
    for (RpcWatch *watch = health->watches; watch; watch = watch->next)
        tell(watch);
    pthread_mutex_unlock(&health->lock);
}

/* ---- Check ---- */

/* HealthCheckRequest.service; NULL on no memory or a zero byte in it. */
static char *service_of(const void *data, size_t len)
{
    RpcBytes name = rpc_wire_find((RpcBytes){ data, len }, 1);

    return name.len && memchr(name.ptr, 0, name.len) ? NULL : strndup(name.len ? (const char *)name.ptr : "", name.len);
}

static VmafxErr check(void *ctx, VmafxRpcCall *call, const void *data, size_t len, VmafxRpcAnswer *ret,
                      VmafxErrInfo *reterr)
{
    VmafxRpcServer *server = ctx;
    VMAFX_AUTO(vmafx_free_p) char *service = service_of(data, len);
    RpcOut out = { 0 };

    if (!service)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "no service can have this name");
    pthread_mutex_lock(&server->health.lock);
    int status = status_of(&server->health, service);
    pthread_mutex_unlock(&server->health.lock);
    if (status == SERVICE_UNKNOWN)
        return vmafx_fail(reterr, VMAFX_ERR_NOT_FOUND, "there is no service '%s' here", service);
    rpc_wire_put_varint(&out, 1, (uint64_t)status);
    if (out.failed)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for the answer");
    *ret = (VmafxRpcAnswer){ out.ptr, out.len };
    return VMAFX_OK;
}

/* ---- Watch ---- */

static VmafxErr watch_open(void *ctx, VmafxRpcStream *stream, void **ret_state, VmafxErrInfo *reterr)
{
    RpcWatch *watch = calloc(1, sizeof *watch);

    if (!watch)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory to watch");
    watch->health = &((VmafxRpcServer *)ctx)->health;
    watch->stream = stream; /* which outlives the watch: it is taken off the list in closed */
    *ret_state = watch;
    return VMAFX_OK;
}

static void watch_message(void *state, VmafxRpcStream *stream, const void *data, size_t len)
{
    RpcWatch *watch = state;

    if (watch->service)
        return; /* it has only one request */
    watch->service = service_of(data, len);
    if (!watch->service) {
        vmafx_rpc_stream_finish(stream, VMAFX_ERR_INVALID, "no service can have this name");
        return;
    }
    pthread_mutex_lock(&watch->health->lock);
    watch->next = watch->health->watches;
    watch->health->watches = watch;
    tell(watch);
    pthread_mutex_unlock(&watch->health->lock);
}

static void watch_closed(void *state, VmafxRpcStream *stream)
{
    RpcWatch *watch = state;

    pthread_mutex_lock(&watch->health->lock);
    for (RpcWatch **at = &watch->health->watches; *at; at = &(*at)->next)
        if (*at == watch) {
            *at = watch->next;
            break;
        }
    pthread_mutex_unlock(&watch->health->lock);
    free(watch->service);
    free(watch);
}

void rpc_health_methods(VmafxRpcServer *server, VmafxRpcMethod ret[2])
{
    ret[0] = (VmafxRpcMethod){ .path = "/grpc.health.v1.Health/Check", .unary = check, .ctx = server };
    ret[1] = (VmafxRpcMethod){ .path = "/grpc.health.v1.Health/Watch",
                               .open = watch_open,
                               .message = watch_message,
                               .closed = watch_closed,
                               .ctx = server };
}
