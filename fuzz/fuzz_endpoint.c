/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Endpoints: any text is refused with a sentence, or becomes a target that reads back as the same place. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "otel/export/endpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    VmafxEndpoint endpoint, again;
    VmafxErrInfo info = { 0 };

    if (!size)
        return 0;
    VmafxOtlpProtocol protocol = data[0] & 1 ? VMAFX_OTLP_HTTP : VMAFX_OTLP_GRPC;
    VmafxSignal signal = (VmafxSignal)((data[0] >> 1 & 3) % 3);
    bool own = data[0] & 8;
    VmafxErr err = vmafx_endpoint_parse((const char *)data + 1, size - 1, protocol, signal, own,
                                        (VmafxInsecure)((data[0] >> 4 & 3) % 3), &endpoint, &info);

    if (err) {
        if (!info.message[0])
            abort();
        return 0;
    }
    if (strlen(endpoint.target) >= sizeof endpoint.target - 1 || strlen(endpoint.host) > VMAFX_ENDPOINT_HOST_MAX)
        abort();
    if (strpbrk(endpoint.target, "\r\n\t \"<>@\\") && strncmp(endpoint.target, "unix:", 5) != 0 &&
        protocol != VMAFX_OTLP_HTTP)
        abort();
    if (protocol != VMAFX_OTLP_HTTP || strlen(endpoint.target) > VMAFX_ENDPOINT_TEXT_MAX)
        return 0;
    if (vmafx_endpoint_parse(endpoint.target, strlen(endpoint.target), protocol, signal, true, VMAFX_INSECURE_UNSET,
                             &again, NULL) ||
        strcmp(endpoint.target, again.target) != 0 || endpoint.port != again.port || endpoint.tls != again.tls)
        abort();
    return 0;
}
