/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The resource: who is telling. Built once, never changed, borrowed by every provider (OpenTelemetry specification
 * 1.60, "Resource SDK"; names of semantic conventions 1.44).
 *
 * Functions that make one give back something usable always: without memory it is the static empty resource.
 */
#ifndef VMAFX_OTEL_SDK_RESOURCE_H
#define VMAFX_OTEL_SDK_RESOURCE_H

#include "otel/sdk/data.h"
#include "otel/sdk/env.h"

#define VMAFX_SCHEMA_URL "https://opentelemetry.io/schemas/1.44.0"
#define VMAFX_UUID_SIZE  37 /* with the terminating zero */

/** A deep copy with unique keys, the last of equal ones winning. Exempt from attribute limits. NULL url: "". */
VmafxResource *vmafx_resource_new(VmafxAttrs attrs, const char *schema_url);
void vmafx_resource_free(VmafxResource **resource);

/**
 * The union; where both have a key the updating value wins, even when it is empty. Of two different schema URLs none
 * is kept, with a warning. NULL is the empty resource. Both arguments stay as they are.
 */
VmafxResource *vmafx_resource_merge(const VmafxResource *old, const VmafxResource *updating,
                                    VmafxOtelWarnings *warnings);

/** The value of a key, borrowed, or NULL. */
const VmafxValue *vmafx_resource_get(const VmafxResource *resource, const char *key);

enum {                                /* detected on request only */
       VMAFX_DETECT_COMMAND_ARGS = 1, /* process.command_args: may hold secrets */
       VMAFX_DETECT_HOST_MAC = 2,     /* host.mac of every interface with hardware behind it */
       VMAFX_DETECT_HOST_IP = 4,      /* host.ip without loopback and link-local addresses */
};

typedef struct VmafxResourceInput {
    const char *root;                  /* folder that stands for "/", for tests; NULL or "": the real one */
    const VmafxOtelSettings *settings; /* or NULL */
    const char *service_version;       /* of the build; or NULL */
    unsigned also;                     /* VMAFX_DETECT_…, or-ed */
    VmafxAttrs attrs;                  /* from code: these win over everything */
} VmafxResourceInput;

/**
 * The resource of this process, low to high: detectors (service, host, os, process, container, k8s),
 * OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME, input->attrs. Always has service.name, service.instance.id (a UUID of
 * its own on every call) and telemetry.sdk.{name,language,version}.
 *
 * Reads small local files below root and asks the kernel; no name service, no network. What is not there is left out;
 * what is there and cannot be read is warned of. Any thread; meant for start-up.
 */
VmafxResource *vmafx_resource_detect(const VmafxResourceInput *input, VmafxOtelWarnings *warnings);

/** A copy with a new service.instance.id and this process's process.pid: for a forked child that reports itself. */
VmafxResource *vmafx_resource_for_child(const VmafxResource *resource);

/** A random UUID, version 4 (RFC 9562), in lower case. From the kernel's generator; any thread. */
void vmafx_uuid_v4(char ret[VMAFX_UUID_SIZE]);
#endif
