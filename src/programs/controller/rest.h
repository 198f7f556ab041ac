/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The HTTP door: routes as rest_routes.def lists them. It takes a request apart, strictly, and hands a message to the
 * same functions as gRPC (api.h); what comes back leaves as JSON. Errors become problems with the table's status.
 */
#ifndef VMAFX_PROGRAMS_CONTROLLER_REST_H
#define VMAFX_PROGRAMS_CONTROLLER_REST_H

#include "http/server.h"
#include "programs/controller/api.h"
#include "programs/controller/uploads.h"
#include "programs/controller/watch.h"
#include "service/service.h"
#include "store/store.h"

#define REST_BODY_MAX   ((size_t)128 << 10) /* of one job and everything small */
#define REST_BATCH_MAX  ((size_t)16 << 20)
#define REST_ROUTES_MAX 16

struct RestRoute;
typedef struct RestBinding {
    struct Rest *rest;
    const struct RestRoute *route;
} RestBinding;

/** What the routes stand on; borrowed, outlives the server. The rest is rest_routes' own. */
typedef struct Rest {
    const Api *api;
    VmafxStore *store;
    WatchHub *hub;
    Uploads *uploads; /* NULL: none are taken */
    uint64_t upload_max_bytes;

    RestBinding bindings[REST_ROUTES_MAX];
    VmafxHttpRoute routes[REST_ROUTES_MAX];
} Rest;

/** The routes, for vmafx_service_listen; they live in *rest. */
const VmafxHttpRoute *rest_routes(Rest *rest, size_t *ret_n);
#endif
