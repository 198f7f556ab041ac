/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What a peer calls gzip or deflate: unpacked to the limit and no further, or refused with a sentence. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/inflate.h"

#define UNPACKED_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int packing = VMAFX_PACKED_GZIP; packing <= VMAFX_PACKED_ZLIB; packing++) {
        VMAFX_AUTO(vmafx_free_p) uint8_t *out = NULL;
        VmafxErrInfo info = { "" };
        size_t len = 0;
        VmafxErr err = vmafx_inflate((VmafxPacking)packing, data, size, UNPACKED_MAX, &out, &len, &info);

        if (err ? out || !info.message[0] : !out || len > UNPACKED_MAX)
            abort();
    }
    return 0;
}
