/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Columns of doubles, packed: what per-frame values are kept and sent as. Every bit comes back as it was, payloads of
 * NaN included. Layout, all numbers little endian:
 *
 *     "VXC1"  u32 columns  u64 rows  u64 unpacked bytes = columns · rows · 8  u32 CRC-32 of the doubles, column by
 * column one zstd frame that says its size, of: for each column, for each byte 0 … 7 of its doubles (0 the lowest),
 * that byte of all rows (shuffled, so that exponents stand beside exponents)
 *
 * Pure: no I/O, no state; any thread.
 */
#ifndef VMAFX_BASE_COLUMNS_H
#define VMAFX_BASE_COLUMNS_H

#include <stddef.h>
#include <stdint.h>

#include <vmafx/error.h>

#define VMAFX_COLUMNS_HEAD       28 /* bytes before the frame */
#define VMAFX_COLUMNS_MAX        4096
#define VMAFX_COLUMNS_VALUES_MAX ((uint64_t)1 << 28) /* columns · rows */

/**
 * Packs n columns of n_rows values each; without columns there are no rows either.
 * @param columns  n pointers, borrowed
 * @param ret      release with free()
 * @return VMAFX_ERR_LIMIT, VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr vmafx_columns_pack(const double *const *columns, size_t n, uint64_t n_rows, uint8_t **ret,
                                        size_t *ret_len);

typedef struct VmafxColumns {
    size_t n;
    uint64_t n_rows;
    double *values; /* column c, row r: values[c * n_rows + r] */
} VmafxColumns;

/** Reads only the head. VMAFX_ERR_SYNTAX, VMAFX_ERR_LIMIT */
VMAFX_CHECK VmafxErr vmafx_columns_head(const uint8_t *data, size_t len, size_t *ret_n, uint64_t *ret_rows);

/**
 * Unpacks data from outside. Memory stays within what the head says, and a fixed 8 MiB; that within values_max values
 * (0: the limit above), and within 32768 times the length of data.
 * @return VMAFX_ERR_SYNTAX (not such data, or damaged), VMAFX_ERR_LIMIT, VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr vmafx_columns_unpack(const uint8_t *data, size_t len, uint64_t values_max, VmafxColumns *ret,
                                          VmafxErrInfo *reterr);
void vmafx_columns_done(VmafxColumns *columns);
#endif
