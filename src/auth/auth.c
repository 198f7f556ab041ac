/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The table, and a few questions in a fixed order. */

#include "auth/auth.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "auth/tokens.h"
#include "base/base.h"

#define URI_BEGIN "vmafx://"

static const struct {
    const char *method;
    VmafxRole role;
} permissions[] = {
#define VMAFX_PERMISSION(method, role) { method, VMAFX_ROLE_##role },
#define VMAFX_NOT_FOR_TENANTS(method)
#include "auth/permissions.def"
#undef VMAFX_PERMISSION
#undef VMAFX_NOT_FOR_TENANTS
};

static const char *const not_for_tenants[] = {
#define VMAFX_PERMISSION(method, role)
#define VMAFX_NOT_FOR_TENANTS(method) method,
#include "auth/permissions.def"
#undef VMAFX_PERMISSION
#undef VMAFX_NOT_FOR_TENANTS
};

static const char *const role_names[] = { "anyone", "reader", "writer", "admin", "node", "everything" };

const char *vmafx_permission_at(size_t i, VmafxRole *ret_role)
{
    if (i >= VMAFX_LEN(permissions))
        return NULL;
    *ret_role = permissions[i].role;
    return permissions[i].method;
}

static bool permission_find(const char *method, VmafxRole *ret)
{
    for (size_t i = 0; i < VMAFX_LEN(permissions); i++) {
        if (strcmp(permissions[i].method, method) != 0)
            continue;
        *ret = permissions[i].role;
        return true;
    }
    return false;
}

static bool is_for_tenants(const char *method)
{
    for (size_t i = 0; i < VMAFX_LEN(not_for_tenants); i++)
        if (!strcmp(not_for_tenants[i], method))
            return false;
    return true;
}

/* ---- names ---- */

const char *vmafx_role_name(VmafxRole role)
{
    return (size_t)role < VMAFX_LEN(role_names) ? role_names[role] : "unknown";
}

VmafxErr vmafx_role_parse(const char *text, VmafxRole *ret, VmafxErrInfo *reterr)
{
    for (int role = VMAFX_ROLE_READER; role <= VMAFX_ROLE_NODE; role++) {
        if (strcmp(role_names[role], text) != 0)
            continue;
        *ret = (VmafxRole)role;
        return VMAFX_OK;
    }
    return vmafx_fail(reterr, VMAFX_ERR_INVALID, "there is no role '%s'; there are reader, writer, admin and node",
                      text);
}

bool vmafx_auth_name_valid(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t len = strnlen(name, VMAFX_AUTH_NAME_MAX + 1);

    return len && len <= VMAFX_AUTH_NAME_MAX && strspn(name, letters) == len && !strchr("._-", *name);
}

VmafxErr vmafx_identity_parse(const char *uri, VmafxIdentity *ret)
{
    char role[16];

    if (strncmp(uri, URI_BEGIN, strlen(URI_BEGIN)) != 0)
        return VMAFX_ERR_SYNTAX;
    uri += strlen(URI_BEGIN);
    size_t len = strcspn(uri, "/");
    if (len >= sizeof role || uri[len] != '/' || !vmafx_auth_name_valid(uri + len + 1))
        return VMAFX_ERR_SYNTAX;
    memcpy(role, uri, len);
    role[len] = 0;
    if (vmafx_role_parse(role, &ret->role, NULL))
        return VMAFX_ERR_SYNTAX;
    strcpy(ret->name, uri + len + 1); /* valid, so it fits */
    return VMAFX_OK;
}

/* ---- loopback ---- */

bool vmafx_auth_host_is_loopback(const char *host, size_t len)
{
    char text[INET6_ADDRSTRLEN];
    struct in_addr old;
    struct in6_addr new;

    if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
        host++;
        len -= 2;
    }
    if (len >= sizeof text)
        return false;
    memcpy(text, host, len);
    text[len] = 0;
    if (!strcasecmp(text, "localhost"))
        return true;
    if (inet_pton(AF_INET, text, &old) == 1)
        return ntohl(old.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, text, &new) == 1 && IN6_IS_ADDR_LOOPBACK(&new);
}

/* Of "host", "host:port" and "[host]:port". */
static bool authority_is_loopback(const char *authority)
{
    const char *bracket = strchr(authority, ']');
    size_t len = bracket ? (size_t)(bracket + 1 - authority) : strcspn(authority, ":");

    return (!authority[len] || authority[len] == ':') && vmafx_auth_host_is_loopback(authority, len);
}

bool vmafx_auth_target_is_loopback(const char *target)
{
    const char *slashes = strstr(target, ":///");

    return !strncmp(target, "unix:", 5) || authority_is_loopback(slashes ? slashes + 4 : target);
}

static bool origin_is_loopback(const char *origin)
{
    const char *host = strstr(origin, "://");

    return host && authority_is_loopback(host + 3);
}

/* ---- decisions ---- */

static VmafxErr from_certificate(const VmafxAuthPeer *peer, VmafxIdentity *ret, VmafxErrInfo *reterr)
{
    bool found = false;

    for (size_t i = 0; i < peer->n_names; i++) {
        VmafxIdentity identity = { 0 };

        if (strncmp(peer->names[i], URI_BEGIN, strlen(URI_BEGIN)) != 0)
            continue;
        if (vmafx_identity_parse(peer->names[i], &identity))
            return vmafx_fail(reterr, VMAFX_ERR_UNAUTHENTICATED,
                              "the certificate's name '%.100s' is not vmafx://ROLE/NAME", peer->names[i]);
        if (found && (identity.role != ret->role || strcmp(identity.name, ret->name) != 0))
            return vmafx_fail(reterr, VMAFX_ERR_UNAUTHENTICATED,
                              "the certificate has two identities; use one with one");
        *ret = identity;
        found = true;
    }
    if (!found)
        return vmafx_fail(reterr, VMAFX_ERR_UNAUTHENTICATED,
                          "the certificate says no role; make one with `vmafx certs client NAME --role ROLE`");
    return VMAFX_OK;
}

static void everything(VmafxIdentity *ret, const char *name)
{
    ret->role = VMAFX_ROLE_EVERYTHING;
    snprintf(ret->name, sizeof ret->name, "%s", name);
}

static VmafxErr from_token(const VmafxAuthPolicy *policy, const VmafxAuthPeer *peer, VmafxIdentity *ret,
                           VmafxErrInfo *reterr)
{
    if (!policy->tokens)
        return vmafx_fail(reterr, VMAFX_ERR_UNAUTHENTICATED,
                          "the request has an Authorization header, but no token is known here: VMAFX_TOKENS names "
                          "the file of them");
    return vmafx_tokens_identify(policy->tokens, peer->authorization, peer->now_s, ret, reterr);
}

static VmafxErr identify(const VmafxAuthPolicy *policy, const VmafxAuthPeer *peer, VmafxIdentity *ret,
                         VmafxErrInfo *reterr)
{
    if (peer->authorization)
        return from_token(policy, peer, ret, reterr);
    if (peer->authenticated)
        return from_certificate(peer, ret, reterr);
    if (peer->encrypted)
        return vmafx_fail(reterr, VMAFX_ERR_UNAUTHENTICATED,
                          "this needs credentials, and the peer has shown none: a certificate for gRPC, a token "
                          "(`vmafx tokens new`) for HTTP");
    if (peer->loopback && !policy->always_certificates) {
        if ((peer->host && !authority_is_loopback(peer->host)) || (peer->origin && !origin_is_loopback(peer->origin)))
            return vmafx_fail(reterr, VMAFX_ERR_UNAUTHENTICATED,
                              "the request comes from this machine but names another one as Host or Origin; "
                              "use localhost or 127.0.0.1");
        everything(ret, "local");
        return VMAFX_OK;
    }
    if (policy->insecure_listen && !policy->always_certificates) {
        everything(ret, "anonymous");
        return VMAFX_OK;
    }
    return vmafx_fail(reterr, VMAFX_ERR_UNAUTHENTICATED, "this needs TLS and a certificate; `vmafx certs` makes them");
}

static bool suffices(VmafxRole has, VmafxRole needs)
{
    if (has == VMAFX_ROLE_EVERYTHING || needs == VMAFX_ROLE_ANYONE)
        return true;
    if (has == VMAFX_ROLE_NODE || needs == VMAFX_ROLE_NODE)
        return has == needs;
    return has >= needs;
}

VmafxErr vmafx_auth_decide(const VmafxAuthPolicy *policy, const VmafxAuthPeer *peer, const char *method,
                           VmafxIdentity *ret, VmafxErrInfo *reterr)
{
    VmafxIdentity identity = { 0 };
    VmafxRole needs;

    *ret = identity;
    if (!permission_find(method, &needs))
        return vmafx_fail(reterr, VMAFX_ERR_FORBIDDEN,
                          "nobody may call '%.100s': it is not in the table of permissions", method);
    if (policy->open_metrics && !strcmp(method, "GET /metrics"))
        needs = VMAFX_ROLE_ANYONE;

    VmafxErr err = identify(policy, peer, &identity, needs == VMAFX_ROLE_ANYONE ? NULL : reterr);
    if (err && needs != VMAFX_ROLE_ANYONE)
        return err;
    if (!err)
        *ret = identity;
    if (!suffices(ret->role, needs))
        return vmafx_fail(reterr, VMAFX_ERR_FORBIDDEN, "%s '%s' may not call '%s': it needs the role %s",
                          vmafx_role_name(ret->role), ret->name, method, vmafx_role_name(needs));
    if (*ret->tenant && needs != VMAFX_ROLE_ANYONE && !is_for_tenants(method))
        return vmafx_fail(reterr, VMAFX_ERR_FORBIDDEN,
                          "'%s' of the tenant '%s' may not call '%s': it is not kept apart by tenant, so it takes a "
                          "token without one",
                          ret->name, ret->tenant, method);
    return VMAFX_OK;
}

VmafxErr vmafx_auth_node(const VmafxIdentity *identity, const char *node_name, VmafxErrInfo *reterr)
{
    if (!vmafx_auth_name_valid(node_name))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                          "'%.100s' is no name for a node: 1 to %d of a-z A-Z 0-9 . _ -, first a letter or digit",
                          node_name, VMAFX_AUTH_NAME_MAX);
    if (identity->role == VMAFX_ROLE_EVERYTHING ||
        (identity->role == VMAFX_ROLE_NODE && !strcmp(identity->name, node_name)))
        return VMAFX_OK;
    return vmafx_fail(reterr, VMAFX_ERR_FORBIDDEN, "%s '%s' may not be the node '%s'; make `vmafx certs node %s`",
                      vmafx_role_name(identity->role), identity->name, node_name, node_name);
}

VmafxErr vmafx_auth_listen(const VmafxAuthPolicy *policy, const char *address, bool encrypted, VmafxErrInfo *reterr)
{
    bool loopback = vmafx_auth_target_is_loopback(address);

    if (encrypted || loopback || policy->insecure_listen)
        return VMAFX_OK;
    return vmafx_fail(reterr, VMAFX_ERR_FORBIDDEN,
                      "'%s' is reachable from other machines and would be plain text: give it a certificate "
                      "(`vmafx certs server NAME --host HOST`), listen on 127.0.0.1, or say --insecure-listen",
                      address);
}
