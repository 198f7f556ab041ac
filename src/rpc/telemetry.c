/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What both sides of a call say about it in the same way: OpenTelemetry's conventions for RPC (gRPC). */

#include "rpc/telemetry.h"

#include <string.h>

#include "base/base.h"
#include "base/clock.h"
#include "rpc/library.h"
#include "signals/instruments.h"

#define RESULT_ATTRS_MAX 8

VmafxHistogram *rpc_histogram(VmafxMetricId id)
{
    return vmafx_signal_histogram(vmafx_meter_get(RPC_SCOPE, "", "", VMAFX_NO_ATTRS), id);
}

const char *rpc_method_name(const char *path)
{
    return *path == '/' ? path + 1 : path;
}

bool rpc_host_split(const char *text, char ret_host[RPC_HOST_MAX], int *ret_port)
{
    static const char *const schemes[] = { "ipv4:", "ipv6:", "dns:" };
    size_t len;

    *ret_port = 0;
    if (!strncmp(text, "unix:", 5)) {
        text += 5;
        if (!strncmp(text, "//", 2))
            text += 2;
        len = strlen(text);
    } else {
        for (size_t i = 0; i < VMAFX_LEN(schemes); i++)
            if (!strncmp(text, schemes[i], strlen(schemes[i]))) {
                text += strlen(schemes[i]);
                break;
            }
        if (!strncmp(text, "//", 2)) { /* "//server/host:port" */
            const char *slash = strchr(text + 2, '/');

            text = slash ? slash + 1 : text + 2;
        }
        const char *bracket = *text == '[' ? strchr(text, ']') : NULL;
        const char *colon = strrchr(bracket ? bracket : text, ':');
        char *end = NULL;
        long port = colon ? strtol(colon + 1, &end, 10) : 0;

        if (colon && (end == colon + 1 || *end || port < 1 || port > 65535 ||
                      (!bracket && memchr(text, ':', (size_t)(colon - text))))) /* a bare IPv6 address */
            colon = NULL;
        *ret_port = colon ? (int)port : 0;
        len = colon ? (size_t)(colon - text) : strlen(text);
        if (strcspn(text, "/?#@") < len)
            return false; /* no host: a URL perhaps, with what is secret in one */
        if (bracket && len >= 2 && text + len - 1 == bracket) {
            text++;
            len -= 2;
        }
    }
    if (!len || len >= RPC_HOST_MAX)
        return false;
    memcpy(ret_host, text, len);
    ret_host[len] = 0;
    return true;
}

void rpc_measure_result(VmafxSpan *span, VmafxHistogram *duration, uint64_t began_ns, int status, bool failed,
                        const char *message, const VmafxAttr *attrs, size_t n)
{
    VmafxAttr all[RESULT_ATTRS_MAX];
    size_t n_all = VMAFX_MIN(n, (size_t)RESULT_ATTRS_MAX - 2);
    const char *name = rpc_status_name(status);
    /* What a peer says may quote what somebody sent: that is for who asked, and not for traces. */
    bool fit = message && *message && !vmafx_status_check(message);

    memcpy(all, attrs, n_all * sizeof *all);
    all[n_all++] = VMAFX_ATTR_STR(VMAFX_KEY_RPC_STATUS_CODE, name);
    vmafx_span_set_str(span, VMAFX_KEY_RPC_STATUS_CODE, name);
    if (failed) {
        all[n_all++] = VMAFX_ATTR_STR(VMAFX_KEY_ERROR_TYPE, name);
        vmafx_span_set_str(span, VMAFX_KEY_ERROR_TYPE, name);
        vmafx_span_set_status(span, VMAFX_STATUS_ERROR, fit ? message : NULL);
    }
    vmafx_histogram_record_with(duration, (double)(vmafx_monotonic_ns() - began_ns) / 1e9, (VmafxAttrs){ all, n_all },
                                NULL); /* the span is current on a server: exemplars point at it */
}
