/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Packed columns: any bytes behind a head are unpacked or refused with a sentence, and what is unpacked can be packed
 * and is then the same. The input taken as values goes in and out too, so that the fuzzer meets well-formed data.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/columns.h"

#define VALUES_MAX (1 << 16)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void unpack_and_pack(const uint8_t *data, size_t size)
{
    VMAFX_AUTO(vmafx_columns_done) VmafxColumns columns = { 0 }, again = { 0 };
    VMAFX_AUTO(vmafx_free_p) uint8_t *packed = NULL;
    VmafxErrInfo info = { 0 };
    const double *pointers[VMAFX_COLUMNS_MAX];
    size_t len = 0;

    if (vmafx_columns_unpack(data, size, VALUES_MAX, &columns, &info)) {
        if (columns.values || !info.message[0])
            abort();
        return;
    }
    if (columns.n > VMAFX_COLUMNS_MAX || columns.n * columns.n_rows > VALUES_MAX)
        abort();
    for (size_t c = 0; c < columns.n; c++)
        pointers[c] = columns.values + c * columns.n_rows;
    if (vmafx_columns_pack(pointers, columns.n, columns.n_rows, &packed, &len) ||
        vmafx_columns_unpack(packed, len, 0, &again, &info) ||
        memcmp(again.values, columns.values, columns.n * columns.n_rows * sizeof(double)) != 0)
        abort();
}

/* The input as values: in, out, the same. */
static void pack_as_it_is(const uint8_t *data, size_t size)
{
    size_t n = size / sizeof(double) / 3;
    VMAFX_AUTO(vmafx_free_p) double *values = calloc(3 * n + 1, sizeof *values);
    VMAFX_AUTO(vmafx_free_p) uint8_t *packed = NULL;
    size_t len = 0;

    if (!values)
        return;
    memcpy(values, data, 3 * n * sizeof *values);
    const double *pointers[] = { values, values + n, values + 2 * n };
    if (vmafx_columns_pack(pointers, 3, n, &packed, &len))
        abort();
    unpack_and_pack(packed, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unpack_and_pack(data, size);
    pack_as_it_is(data, size);
    return 0;
}
