/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What a process can find out about itself and its host from local files; used by resource.c only. */
#ifndef VMAFX_OTEL_SDK_DETECTORS_H
#define VMAFX_OTEL_SDK_DETECTORS_H

#include "otel/sdk/data.h"
#include "otel/sdk/env.h"

#define VMAFX_DETECTED_MAX (VMAFX_OTEL_PAIRS_MAX + 256)

/** Attributes as they are found. Equal keys may be there several times; the last one counts. Zero, then set root. */
typedef struct VmafxDetected {
    const char *root;
    VmafxOtelWarnings *warnings;
    VmafxAttr *items; /* values of other types than strings are borrowed */
    size_t n, room;
    char **texts; /* owned copies that items point into */
    size_t n_texts, texts_room;
} VmafxDetected;

void vmafx_detected_done(VmafxDetected *d);
VmafxAttrs vmafx_detected_attrs(const VmafxDetected *d); /* borrowed until the next addition */
/** Key and value borrowed. Without memory, or beyond VMAFX_DETECTED_MAX, left out with a warning. */
void vmafx_detected_add(VmafxDetected *d, const char *key, VmafxValue value);
/** Key borrowed, value copied. */
void vmafx_detected_str(VmafxDetected *d, const char *key, const char *value);

void vmafx_detect_process(VmafxDetected *d, bool command_args); /* and service.name: unknown_service:<executable> */
void vmafx_detect_host(VmafxDetected *d, bool mac, bool ip);
void vmafx_detect_os(VmafxDetected *d);
void vmafx_detect_container(VmafxDetected *d);
void vmafx_detect_k8s(VmafxDetected *d);
#endif
