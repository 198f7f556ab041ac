/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Row kernels: tables the specification gives check values for, and every variant this machine can run against the
 * plain C one. Rows lie at odd alignments and end where one more read would fault.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>

#include "base/base.h"
#include "engine/features/adm_csf.h"
#include "engine/kernels/kernels.h"

static void the_logarithm_table_has_the_specified_sum_and_crc(void **state)
{
    const uint16_t *table = vmafx_vif_log2_table();
    uint64_t sum = 0;
    uLong crc = crc32(0, NULL, 0);

    (void)state;
    for (int i = 0; i < 32768; i++) {
        unsigned char bytes[2] = { (unsigned char)(table[i] & 255), (unsigned char)(table[i] >> 8) };
        sum += table[i];
        crc = crc32(crc, bytes, 2);
    }
    assert_int_equal(table[0], 30720);
    assert_int_equal(table[32767], 32768);
    assert_int_equal(sum, 1044032097);
    assert_int_equal(crc, 0x42ad4d4f);
}

static uint32_t bits_of(float v)
{
    uint32_t bits;

    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static void contrast_gains_have_the_specified_bits(void **state)
{
    static const struct {
        double distance;
        int height;
        uint32_t hv[VMAFX_ADM_SCALES], d[VMAFX_ADM_SCALES];
    } watson[] = {
        { 3,
          1080,
          { 0x3C8E63BA, 0x3D030286, 0x3D31A788, 0x3D3B140B },
          { 0x3BC106AA, 0x3C6A46A3, 0x3CC7DC06, 0x3D0041C9 } },
        { 1.5,
          2160,
          { 0x3C8E63BA, 0x3D030286, 0x3D31A788, 0x3D3B140B },
          { 0x3BC106AA, 0x3C6A46A3, 0x3CC7DC06, 0x3D0041C9 } },
        { 4.5,
          1080,
          { 0x3C0900B7, 0x3C8D3D90, 0x3CD69A58, 0x3CFD36AC },
          { 0x3B278D88, 0x3BE3DC1F, 0x3C59CE43, 0x3C9C9D17 } },
        { 5,
          1080,
          { 0x3BE01B27, 0x3C6DF82C, 0x3CBA3608, 0x3CE24E24 },
          { 0x3B056BFF, 0x3BBAE33C, 0x3C380033, 0x3C884687 } },
        { 3,
          2160,
          { 0x3B9C9727, 0x3C2F0107, 0x3C9020AE, 0x3CB85A7D },
          { 0x3AB2046C, 0x3B833860, 0x3C07F943, 0x3C53FB42 } },
        { 5,
          2160,
          { 0x3AD58CC4, 0x3B89B809, 0x3C02E601, 0x3C413B97 },
          { 0x39D53C8A, 0x3AB566E3, 0x3B58F066, 0x3BC32932 } },
    };
    static const uint32_t barten[VMAFX_ADM_SCALES] = { 0x3F9AF18D, 0x40A159E3, 0x416A0875, 0x41D7CE9B };
    VmafxAdmCsf csf;

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(watson); i++) {
        VmafxAdmCsfSettings settings = { 0, watson[i].distance, watson[i].height, 1, 1 };
        assert_int_equal(vmafx_adm_csf(&settings, &csf, NULL), VMAFX_OK);
        for (int s = 0; s < VMAFX_ADM_SCALES; s++) {
            assert_int_equal(bits_of(csf.hv[s]), watson[i].hv[s]);
            assert_int_equal(bits_of(csf.d[s]), watson[i].d[s]);
        }
    }
    assert_int_equal(vmafx_adm_csf(&(VmafxAdmCsfSettings){ 1, 3, 1080, 1, 1 }, &csf, NULL), VMAFX_OK);
    for (int s = 0; s < VMAFX_ADM_SCALES; s++)
        assert_int_equal(bits_of(csf.hv[s]), barten[s]);
}

/* A row of n elements whose end is the end of a page that may be read. */
static void *guarded(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (bytes + page - 1) / page * page;
    char *map = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_ptr_not_equal(map, MAP_FAILED);
    assert_int_equal(mprotect(map + room, page, PROT_NONE), 0);
    return map + room - bytes;
}

/* Kernels read the samples their contract names and no others, at every width from one up. */
static void vertical_kernels_stay_within_their_rows(void **state)
{
    enum { WIDTH = 67 };
    static const VmafxVifFilter filter = { 3, { 10904, 43728, 10904 } };
    VmafxKernels k;
    uint32_t out[5][WIDTH];
    int32_t lo[WIDTH], hi[WIDTH];
    uint16_t down[WIDTH];
    VmafxVifMoments moments = { out[0], out[1], out[2], out[3], out[4] };

    (void)state;
    vmafx_kernels_init(&k, 0);
    for (int w = 1; w <= WIDTH; w++) {
        const uint8_t *row8 = guarded((size_t)w);
        const uint16_t *row16 = guarded(2 * (size_t)w);
        const int32_t *row32 = guarded(4 * (size_t)w);
        const uint8_t *rows8[] = { row8, row8, row8, row8, row8 };
        const uint16_t *rows16[] = { row16, row16, row16, row16, row16 };
        const int32_t *rows32[] = { row32, row32, row32, row32 };

        k.vif.vert8(rows8, rows8, &filter, w, &moments);
        k.vif.vert16(rows16, rows16, &filter, 16, 16, w, &moments);
        k.vif.down_vert8(rows8, &filter, w, down);
        k.vif.down_vert16(rows16, &filter, 16, w, down);
        k.motion.vert8(rows8, rows8, w, lo);
        k.motion.vert16(rows16, rows16, 16, w, lo);
        k.adm.dwt_vert8(rows8, w, lo, hi);
        k.adm.dwt_vert16(rows16, 16, w, lo, hi);
        k.adm.dwt_vert(rows32, 16, w, lo, hi);
        assert_int_equal(out[0][w - 1], 0); /* the rows are all zero */
    }
}

/* A filter whose taps sum to one keeps a flat row, whatever its length and depth. */
static void flat_rows_stay_flat(void **state)
{
    enum { WIDTH = 33 };
    static const VmafxVifFilter filter = { 9, { 1244, 3663, 7925, 12590, 14692, 12590, 7925, 3663, 1244 } };
    VmafxKernels k;
    uint16_t row[WIDTH + 16], out[WIDTH];
    const uint16_t *rows[9];

    (void)state;
    vmafx_kernels_init(&k, 0);
    for (int bpc = 9; bpc <= 16; bpc++) {
        uint16_t v = (uint16_t)(1u << (bpc - 1));

        for (int i = 0; i < WIDTH + 16; i++)
            row[i] = v;
        for (int i = 0; i < 9; i++)
            rows[i] = row;
        k.vif.down_vert16(rows, &filter, bpc, WIDTH, out);
        for (int x = 0; x < WIDTH; x++)
            assert_int_equal(out[x], 32768);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_logarithm_table_has_the_specified_sum_and_crc),
        cmocka_unit_test(contrast_gains_have_the_specified_bits),
        cmocka_unit_test(vertical_kernels_stay_within_their_rows),
        cmocka_unit_test(flat_rows_stay_flat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
