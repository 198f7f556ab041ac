/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Resources as values: copy, merge, look up; and the order in which one is put together. */

#include "otel/sdk/resource.h"

#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"
#include "otel/sdk/detectors.h"
#include "otel/sdk/values.h"

#define SDK_NAME "vmafx" /* "opentelemetry" belongs to the official SDKs; VMAFX_SDK_VERSION comes from the build */

static VmafxResource no_resource = { { NULL, 0 }, "" }; /* never written */

VmafxResource *vmafx_resource_new(VmafxAttrs attrs, const char *schema_url)
{
    VmafxBump bump = { NULL, 0, false };

    for (;;) {
        VmafxResource *resource = vmafx_bump_take(&bump, sizeof *resource);
        VmafxAttrs copy = vmafx_bump_attrs(&bump, attrs, &vmafx_attr_unlimited, NULL);
        const char *url = vmafx_bump_str(&bump, schema_url);

        if (resource) {
            *resource = (VmafxResource){ copy, url };
            return resource;
        }
        char *memory = bump.saturated ? NULL : malloc(bump.used);
        if (!memory)
            return &no_resource;
        bump = (VmafxBump){ memory, 0, false };
    }
}

void vmafx_resource_free(VmafxResource **resource)
{
    if (resource && *resource != &no_resource)
        free(*resource);
    if (resource)
        *resource = NULL;
}

VmafxResource *vmafx_resource_merge(const VmafxResource *old, const VmafxResource *updating,
                                    VmafxOtelWarnings *warnings)
{
    old = old ? old : &no_resource;
    updating = updating ? updating : &no_resource;

    const char *url = *old->schema_url ? old->schema_url : updating->schema_url;
    if (*old->schema_url && *updating->schema_url && strcmp(old->schema_url, updating->schema_url) != 0) {
        vmafx_otel_warn(warnings, "resources of different schemas merged: '%.80s' and '%.80s'", old->schema_url,
                        updating->schema_url);
        url = "";
    }

    size_t n = old->attrs.n + updating->attrs.n;
    VMAFX_AUTO(vmafx_free_p) VmafxAttr *both = calloc(n ? n : 1, sizeof *both);
    if (!both)
        return vmafx_resource_new(old->attrs, url);
    if (old->attrs.n)
        memcpy(both, old->attrs.items, old->attrs.n * sizeof *both);
    if (updating->attrs.n)
        memcpy(both + old->attrs.n, updating->attrs.items, updating->attrs.n * sizeof *both);
    return vmafx_resource_new((VmafxAttrs){ both, n }, url);
}

const VmafxValue *vmafx_resource_get(const VmafxResource *resource, const char *key)
{
    for (size_t i = 0; resource && key && i < resource->attrs.n; i++)
        if (!strcmp(resource->attrs.items[i].key, key))
            return &resource->attrs.items[i].value;
    return NULL;
}

void vmafx_uuid_v4(char ret[VMAFX_UUID_SIZE])
{
    uint8_t b[16];

    if (getrandom(b, sizeof b, GRND_NONBLOCK) != (ssize_t)sizeof b) {
        /* Early in the life of a machine. Not secret, only unlikely to be met twice. */
        uint64_t x = vmafx_wall_ns() * 1000000007u ^ (uint64_t)getpid() << 44 ^ (uintptr_t)ret;

        for (size_t i = 0; i < sizeof b; i++) { /* splitmix64 */
            uint64_t z = x += 0x9e3779b97f4a7c15u;
            z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
            z = (z ^ z >> 27) * 0x94d049bb133111ebu;
            b[i] = (uint8_t)(z >> 56);
        }
    }
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    for (size_t i = 0, at = 0; i < sizeof b; i++) {
        static const char hex[] = "0123456789abcdef";

        if (i == 4 || i == 6 || i == 8 || i == 10)
            ret[at++] = '-';
        ret[at++] = hex[b[i] >> 4];
        ret[at++] = hex[b[i] & 15];
        ret[at] = 0;
    }
}

VmafxResource *vmafx_resource_for_child(const VmafxResource *resource)
{
    char uuid[VMAFX_UUID_SIZE];
    VmafxResource child = { .schema_url = "" };

    vmafx_uuid_v4(uuid);
    child.attrs = VMAFX_ATTRS(VMAFX_ATTR_STR("service.instance.id", uuid), VMAFX_ATTR_INT("process.pid", getpid()));
    return vmafx_resource_merge(resource, &child, NULL);
}

/* Adds what the variables say: the general list first, then the name, which wins. */
static void add_settings(VmafxDetected *d, const VmafxOtelSettings *settings)
{
    if (!settings)
        return;
    for (size_t i = 0; i < settings->resource_attributes.n; i++)
        vmafx_detected_str(d, settings->resource_attributes.items[i].key, settings->resource_attributes.items[i].value);
    if (settings->service_name)
        vmafx_detected_str(d, "service.name", settings->service_name);
}

VmafxResource *vmafx_resource_detect(const VmafxResourceInput *input, VmafxOtelWarnings *warnings)
{
    static const VmafxResourceInput nothing = { .root = NULL };
    VMAFX_AUTO(vmafx_detected_done) VmafxDetected d = { .warnings = warnings };
    char uuid[VMAFX_UUID_SIZE];

    input = input ? input : &nothing;
    d.root = input->root ? input->root : "";
    vmafx_uuid_v4(uuid);
    vmafx_detected_str(&d, "telemetry.sdk.name", SDK_NAME);
    vmafx_detected_str(&d, "telemetry.sdk.language", "c");
    vmafx_detected_str(&d, "telemetry.sdk.version", VMAFX_SDK_VERSION);
    vmafx_detected_str(&d, "service.instance.id", uuid);
    if (input->service_version)
        vmafx_detected_str(&d, "service.version", input->service_version);
    vmafx_detect_process(&d, input->also & VMAFX_DETECT_COMMAND_ARGS); /* sets service.name too */
    vmafx_detect_host(&d, input->also & VMAFX_DETECT_HOST_MAC, input->also & VMAFX_DETECT_HOST_IP);
    vmafx_detect_os(&d);
    vmafx_detect_container(&d);
    vmafx_detect_k8s(&d);
    add_settings(&d, input->settings);
    for (size_t i = 0; input->attrs.items && i < input->attrs.n; i++)
        vmafx_detected_add(&d, input->attrs.items[i].key, input->attrs.items[i].value);
    return vmafx_resource_new(vmafx_detected_attrs(&d), VMAFX_SCHEMA_URL);
}
