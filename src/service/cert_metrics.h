/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * When the certificates that a program uses end, as a metric. Files are looked at when metrics are collected and read
 * when they have changed; a certificate that does not fit its key is one that nobody takes up, so the one before is
 * told of.
 */
#ifndef VMAFX_SERVICE_CERT_METRICS_H
#define VMAFX_SERVICE_CERT_METRICS_H

#include <vmafx/error.h>

typedef struct VmafxCertMetrics VmafxCertMetrics;

/** NULL on no memory: there are none then. */
VmafxCertMetrics *vmafx_cert_metrics_new(const char *version);
void vmafx_cert_metrics_free(VmafxCertMetrics **metrics);

/** Looks at all files now. VMAFX_OK, or what is wrong with one that nobody takes up; metrics may be NULL. Any thread.
 */
VMAFX_CHECK VmafxErr vmafx_cert_metrics_check(VmafxCertMetrics *metrics, VmafxErrInfo *reterr);

/**
 * Tells of this one, too; once for each use. Any thread; metrics may be NULL.
 * @param use   as in signals.def: "grpc", "grpc_ca", "http"
 * @param cert  a file in PEM, whose first certificate counts; copied. NULL: nothing is done
 * @param key   its key; NULL: there is none, it is an authority's
 */
void vmafx_cert_metrics_watch(VmafxCertMetrics *metrics, const char *use, const char *cert, const char *key);
#endif
