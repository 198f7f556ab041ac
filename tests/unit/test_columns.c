/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Packed columns: every bit comes back, and what is not such data is refused. */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "base/base.h"
#include "base/columns.h"

static uint64_t random_state = 1;

static uint64_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static double from_bits(uint64_t bits)
{
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Packs, unpacks, compares bit by bit; the packed size. */
static size_t there_and_back(const double *values, size_t n, uint64_t n_rows)
{
    VMAFX_AUTO(vmafx_free_p) const double **columns = calloc(n ? n : 1, sizeof *columns);
    VMAFX_AUTO(vmafx_free_p) uint8_t *packed = NULL;
    VMAFX_AUTO(vmafx_columns_done) VmafxColumns back = { 0 };
    VmafxErrInfo info = { 0 };
    size_t len = 0, head_n = 99;
    uint64_t head_rows = 99;

    assert_non_null(columns);
    for (size_t c = 0; c < n; c++)
        columns[c] = values + c * n_rows;
    assert_int_equal(vmafx_columns_pack(columns, n, n_rows, &packed, &len), VMAFX_OK);
    assert_int_equal(vmafx_columns_head(packed, len, &head_n, &head_rows), VMAFX_OK);
    assert_int_equal(head_n, n);
    assert_int_equal(head_rows, n_rows);
    if (vmafx_columns_unpack(packed, len, n * n_rows, &back, &info))
        fail_msg("%s", info.message);
    assert_int_equal(back.n, n);
    assert_int_equal(back.n_rows, n_rows);
    if (n && n_rows)
        assert_memory_equal(back.values, values, n * n_rows * sizeof *values);
    return len;
}

static void every_bit_comes_back(void **state)
{
    static const double odd[] = { 0.0, -0.0, INFINITY, -INFINITY, 1.0, -1.0, 5e-324, 1.7976931348623157e308, 93.7 };
    double values[3 * 40];

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(values); i++)
        values[i] = i < VMAFX_LEN(odd) ? odd[i] : from_bits(random_bits());
    values[10] = from_bits(0x7ff0000000000001u); /* a signalling NaN with a payload */
    values[11] = from_bits(0xfff8dead00000000u);
    there_and_back(values, 3, 40);
    there_and_back(values, 1, 120);
    there_and_back(values, 120, 1);
}

static void sizes_about_the_edges_of_its_buffers_come_back(void **state)
{
    static const uint64_t rows[] = { 0, 1, 2, 511, 512, 513, 65535, 65536, 65537, 200000 };
    double *values = malloc(3 * 200000 * sizeof *values);

    (void)state;
    assert_non_null(values);
    for (size_t i = 0; i < 3 * 200000; i++)
        values[i] = i % 3 ? from_bits(random_bits()) : 90 + sin((double)i / 100);
    for (size_t i = 0; i < VMAFX_LEN(rows); i++)
        for (size_t n = 1; n <= 3; n++)
            there_and_back(values, n, rows[i]);
    there_and_back(values, 0, 0);
    there_and_back(values, VMAFX_COLUMNS_MAX, 2);
    free(values);
}

static void what_repeats_and_what_varies_little_becomes_small(void **state)
{
    enum { ROWS = 20000 };
    double *values = malloc(2 * ROWS * sizeof *values);

    (void)state;
    assert_non_null(values);
    for (size_t i = 0; i < ROWS; i++) {
        values[i] = 42;
        values[ROWS + i] = 93 + floor(3 * sin((double)i / 50) * 256) / 256;
    }
    assert_true(there_and_back(values, 1, ROWS) < 200);
    assert_true(there_and_back(values, 2, ROWS) < 2 * ROWS); /* of 16 · ROWS */
    free(values);
}

static void too_many_columns_or_rows_are_refused_before_they_are_looked_at(void **state)
{
    const double *none = NULL;
    uint8_t *packed;
    size_t len;

    (void)state;
    assert_int_equal(vmafx_columns_pack(&none, VMAFX_COLUMNS_MAX + 1, 1, &packed, &len), VMAFX_ERR_LIMIT);
    assert_int_equal(vmafx_columns_pack(&none, 1, VMAFX_COLUMNS_VALUES_MAX + 1, &packed, &len), VMAFX_ERR_LIMIT);
    assert_int_equal(vmafx_columns_pack(&none, 2, UINT64_MAX / 2 + 2, &packed, &len), VMAFX_ERR_LIMIT);
    assert_int_equal(vmafx_columns_pack(&none, 0, 1, &packed, &len), VMAFX_ERR_LIMIT);
}

/* ---- data from outside ---- */

static uint8_t *packed_example(size_t *ret_len)
{
    static double values[64];
    const double *columns[] = { values, values + 32 };
    uint8_t *packed = NULL;

    for (size_t i = 0; i < VMAFX_LEN(values); i++)
        values[i] = (double)i / 7;
    assert_int_equal(vmafx_columns_pack(columns, 2, 32, &packed, ret_len), VMAFX_OK);
    return packed;
}

static VmafxErr unpack(const uint8_t *data, size_t len, uint64_t values_max)
{
    VMAFX_AUTO(vmafx_columns_done) VmafxColumns columns = { 0 };
    VMAFX_AUTO(vmafx_free_p) uint8_t *exact = malloc(len ? len : 1); /* so that a read too far is noticed */
    VmafxErrInfo info = { 0 };

    assert_non_null(exact);
    memcpy(exact, data, len);
    VmafxErr err = vmafx_columns_unpack(exact, len, values_max, &columns, &info);
    assert_true(!err == !info.message[0]);
    return err;
}

static void a_prefix_is_not_enough_and_a_byte_more_too_many(void **state)
{
    size_t len;
    VMAFX_AUTO(vmafx_free_p) uint8_t *packed = packed_example(&len);
    uint8_t *longer = realloc(packed, len + 1);

    (void)state;
    assert_non_null(longer);
    packed = longer;
    for (size_t n = 0; n < len; n++)
        assert_int_equal(unpack(packed, n, 0), VMAFX_ERR_SYNTAX);
    packed[len] = 0;
    assert_int_equal(unpack(packed, len + 1, 0), VMAFX_ERR_SYNTAX);
    assert_int_equal(unpack(packed, len, 0), VMAFX_OK);
}

static void any_changed_byte_is_noticed(void **state)
{
    size_t len;
    VMAFX_AUTO(vmafx_free_p) uint8_t *packed = packed_example(&len);

    (void)state;
    for (size_t i = 0; i < len; i++)
        for (int bit = 0; bit < 8; bit++) {
            VMAFX_AUTO(vmafx_columns_done) VmafxColumns columns = { 0 };

            packed[i] ^= (uint8_t)(1 << bit);
            VmafxErr err = vmafx_columns_unpack(packed, len, 0, &columns, NULL);
            /* zstd has bits that mean nothing; with one of them the values must be what they were */
            if (!err && (columns.n != 2 || columns.n_rows != 32 || columns.values[63] != 9.0))
                fail_msg("byte %zu, bit %d", i, bit);
            packed[i] ^= (uint8_t)(1 << bit);
        }
}

static void put(uint8_t *to, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

/* A head of the test's choice, over zeroes. */
static void forge_head(uint8_t *to, uint32_t n, uint64_t rows, uint64_t unpacked, size_t zeroes)
{
    VMAFX_AUTO(vmafx_free_p) uint8_t *raw = calloc(zeroes + 1, 1);

    assert_non_null(raw);
    memcpy(to, "VXC1", 4);
    put(to + 4, n, 4);
    put(to + 8, rows, 8);
    put(to + 16, unpacked, 8);
    put(to + 24, crc32_z(0, raw, zeroes), 4);
}

/* The same before a frame of so many zeroes, of which there are whole doubles. */
static size_t forge(uint8_t *to, size_t size, uint32_t n, uint64_t rows, uint64_t unpacked, size_t zeroes)
{
    VMAFX_AUTO(vmafx_free_p) double *values = calloc(zeroes / 8 + 1, sizeof *values);
    VMAFX_AUTO(vmafx_free_p) uint8_t *packed = NULL;
    const double *column = values;
    size_t len;

    assert_non_null(values);
    assert_int_equal(vmafx_columns_pack(&column, zeroes ? 1 : 0, zeroes / 8, &packed, &len), VMAFX_OK);
    assert_true(len <= size);
    memcpy(to, packed, len);
    forge_head(to, n, rows, unpacked, zeroes);
    return len;
}

static void heads_that_lie_are_refused(void **state)
{
    static const struct {
        const char *why;
        uint32_t n;
        uint64_t rows, unpacked;
        size_t zeroes;
        uint64_t values_max;
        VmafxErr err;
    } cases[] = {
        { "an honest one", 2, 100, 1600, 1600, 0, VMAFX_OK },
        { "nothing in it", 0, 0, 0, 0, 0, VMAFX_OK },
        { "columns without rows", 5, 0, 0, 0, 0, VMAFX_OK },
        { "rows without columns", 0, 5, 0, 0, 0, VMAFX_ERR_LIMIT },
        { "the frame holds less", 2, 100, 1600, 1592, 0, VMAFX_ERR_SYNTAX },
        { "the frame holds more", 2, 100, 1600, 1608, 0, VMAFX_ERR_SYNTAX },
        { "the frame holds something where nothing should be", 0, 0, 0, 8, 0, VMAFX_ERR_SYNTAX },
        { "sizes that do not fit each other", 2, 100, 1608, 1608, 0, VMAFX_ERR_SYNTAX },
        { "more columns than allowed", VMAFX_COLUMNS_MAX + 1, 1, 8 * (VMAFX_COLUMNS_MAX + 1), 8, 0, VMAFX_ERR_LIMIT },
        { "more values than allowed", 2, 1u << 28, (uint64_t)16 << 28, 8, 0, VMAFX_ERR_LIMIT },
        { "a product that overflows", 16, (uint64_t)1 << 60, 0, 8, 0, VMAFX_ERR_LIMIT },
        { "more than the caller wants", 2, 100, 1600, 1600, 199, VMAFX_ERR_LIMIT },
        { "as many as the caller wants", 2, 100, 1600, 1600, 200, VMAFX_OK },
        { "2 GiB out of a few bytes", 1, 1u << 28, (uint64_t)8 << 28, 8, 0, VMAFX_ERR_SYNTAX },
    };
    uint8_t data[4096];

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        size_t len = forge(data, sizeof data, cases[i].n, cases[i].rows, cases[i].unpacked, cases[i].zeroes);
        VmafxErr err = unpack(data, len, cases[i].values_max);

        if (err != cases[i].err)
            fail_msg("%s: %s", cases[i].why, vmafx_err_name(err));
    }
}

/*
 * A frame may ask its reader to keep far more than the values themselves. By hand (RFC 8878): magic, a descriptor
 * without a size, the window as 10 + log2 in the upper five bits, and one last block of 2^17 times the byte 0.
 */
static void a_frame_that_wants_a_huge_window_is_refused(void **state)
{
    enum { ZEROES = 1 << 17 };
    uint8_t data[VMAFX_COLUMNS_HEAD + 10] = { 0 };
    uint8_t *frame = data + VMAFX_COLUMNS_HEAD;

    (void)state;
    forge_head(data, 1, ZEROES / 8, ZEROES, ZEROES);
    put(frame, 0xfd2fb528, 4);
    put(frame + 6, ((uint32_t)ZEROES << 3) | (1 << 1) | 1, 3);
    frame[5] = (23 - 10) << 3;
    assert_int_equal(unpack(data, sizeof data, 0), VMAFX_OK);
    frame[5] = (27 - 10) << 3;
    assert_int_equal(unpack(data, sizeof data, 0), VMAFX_ERR_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_bit_comes_back),
        cmocka_unit_test(sizes_about_the_edges_of_its_buffers_come_back),
        cmocka_unit_test(what_repeats_and_what_varies_little_becomes_small),
        cmocka_unit_test(too_many_columns_or_rows_are_refused_before_they_are_looked_at),
        cmocka_unit_test(a_prefix_is_not_enough_and_a_byte_more_too_many),
        cmocka_unit_test(any_changed_byte_is_noticed),
        cmocka_unit_test(heads_that_lie_are_refused),
        cmocka_unit_test(a_frame_that_wants_a_huge_window_is_refused),
    };

    return cmocka_run_group_tests_name("columns", tests, NULL, NULL);
}
