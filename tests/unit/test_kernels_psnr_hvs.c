/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Rows of PSNR-HVS-M's blocks: every variant this machine can run against the plain one, to the last bit of a sum that
 * is rounded with every term. Rows end where one more read would fault.
 */

#include <math.h>
#include <string.h>

#include "kernel_cases.h"

enum { BLOCKS_MAX = 2 * 32 + 3, SIDE = VMAFX_HVS_SIDE, KINDS = N_FILLS + 3 };

/* Those of luma, more or less. */
static void natural_tables(VmafxHvsTables *ret)
{
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            ret->seen[i][j] = 2.2901594831F / (1 + 0.35F * (float)(i + j));
            ret->masks[i][j] = ret->seen[i][j] * ret->seen[i][j] * 0.151F;
        }
}

/* Nothing hides, and terms are integers: they often lie between two values that a sum can have. */
static void integer_tables(VmafxHvsTables *ret)
{
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            ret->seen[i][j] = 1;
            ret->masks[i][j] = 0x1p100F;
        }
}

/* By kind: what the other tests have, then equal rows, nearly equal ones, and a bright picture with a spot. */
static uint32_t reference(int kind, int i, uint32_t max)
{
    return kind < N_FILLS ? fill(kind, i, max) : kind == N_FILLS + 2 ? max : next_random() % (max + 1);
}

static uint32_t distorted(int kind, int i, uint32_t max, uint32_t ref)
{
    if (kind < N_FILLS)
        return fill((kind + i % 2) % N_FILLS, i, max);
    if (kind == N_FILLS)
        return ref;
    return kind == N_FILLS + 1 ? VMAFX_MIN(ref + next_random() % 3, max) : i % 97 ? ref : ref / 2;
}

/* Where sums begin: nothing, less than has units, and anything up to what leaves no room for terms. */
static float first_sum(int turn)
{
    return turn == 0 ? 0
                     : ldexpf(1 + (float)next_random() * 0x1p-24F, (int)(next_random() % 90) - (turn == 1 ? 120 : 30));
}

static void check_rows(const VmafxHvsKernels *c, const VmafxHvsKernels *k, const uint16_t *const rows[2][SIDE],
                       const uint8_t *const rows8[2][SIDE], int n, const VmafxHvsTables *tables)
{
    for (int turn = 0; turn < 6; turn++) {
        float from = first_sum(turn), want, got;

        want = rows8 ? c->row8(rows8[0], rows8[1], n, tables, from) : c->row16(rows[0], rows[1], n, tables, from);
        got = rows8 ? k->row8(rows8[0], rows8[1], n, tables, from) : k->row16(rows[0], rows[1], n, tables, from);
        if (memcmp(&want, &got, sizeof want) != 0)
            fail_msg("%d blocks, from %a: %a, not %a", n, (double)from, (double)got, (double)want);
    }
}

static void check_blocks(const VmafxHvsKernels *c, const VmafxHvsKernels *k, int n, int kind, int bpc, uint32_t max)
{
    const size_t w = (size_t)(n * VMAFX_HVS_STEP + 1), size = bpc == 8 ? 1 : 2;
    const uint16_t *rows[2][SIDE];
    const uint8_t *rows8[2][SIDE];
    VmafxHvsTables tables[2];

    for (int i = 0; i < SIDE; i++) {
        void *ref = guarded(w * size), *dis = guarded(w * size);

        for (size_t x = 0; x < w; x++) {
            uint32_t r = reference(kind, (int)x + i, max), d = distorted(kind, (int)x + i, max, r);

            if (bpc == 8) {
                ((uint8_t *)ref)[x] = (uint8_t)r;
                ((uint8_t *)dis)[x] = (uint8_t)d;
            } else {
                ((uint16_t *)ref)[x] = (uint16_t)r;
                ((uint16_t *)dis)[x] = (uint16_t)d;
            }
        }
        rows8[0][i] = ref;
        rows8[1][i] = dis;
        rows[0][i] = ref;
        rows[1][i] = dis;
    }
    natural_tables(&tables[0]);
    integer_tables(&tables[1]);
    for (int t = 0; t < 2; t++)
        check_rows(c, k, rows, bpc == 8 ? (const uint8_t *const(*)[SIDE])rows8 : NULL, n, &tables[t]);
    for (int s = 0; s < 2; s++)
        for (int i = 0; i < SIDE; i++)
            release(rows[s][i]);
}

static void rows_of_blocks_equal_the_plain_kernels(void **state)
{
    static const struct {
        int bpc;
        uint32_t max;
    } depths[] = { { 8, 255 }, { 10, 1023 }, { 12, 4094 }, { 12, 4095 } };
    unsigned levels[3];
    size_t n_levels = variants(levels);
    VmafxKernels c, k;

    (void)state;
    vmafx_kernels_init(&c, 0);
    for (size_t l = 0; l < n_levels; l++) {
        vmafx_kernels_init(&k, levels[l]);
        for (int n = 0; n <= BLOCKS_MAX; n++)
            for (int kind = 0; kind < KINDS; kind++)
                for (size_t d = 0; d < VMAFX_LEN(depths); d++)
                    check_blocks(&c.hvs, &k.hvs, n, kind, depths[d].bpc, depths[d].max);
    }
}

/* A plane's worth of rows: the sum grows through many powers of two, and rounds more and more away. */
static void the_sum_of_a_plane_equals_the_plain_one(void **state)
{
    enum { N = 37, ROWS_OF_BLOCKS = 120 };
    unsigned levels[3];
    size_t n_levels = variants(levels);
    uint8_t samples[2][SIDE][N * VMAFX_HVS_STEP + 1];
    const uint8_t *rows[2][SIDE];
    VmafxHvsTables tables;
    VmafxKernels c, k;

    (void)state;
    vmafx_kernels_init(&c, 0);
    natural_tables(&tables);
    for (size_t l = 0; l < n_levels; l++)
        for (int size = 1; size < 200; size = 3 * size) {
            float want = 0, got = 0;

            vmafx_kernels_init(&k, levels[l]);
            for (int y = 0; y < ROWS_OF_BLOCKS; y++) {
                for (int i = 0; i < SIDE; i++)
                    for (size_t x = 0; x < sizeof samples[0][0]; x++) {
                        samples[0][i][x] = (uint8_t)(next_random() % 256);
                        samples[1][i][x] =
                            (uint8_t)VMAFX_MIN(samples[0][i][x] + next_random() % (unsigned)(size + 1), 255);
                        rows[0][i] = samples[0][i];
                        rows[1][i] = samples[1][i];
                    }
                want = c.hvs.row8(rows[0], rows[1], N, &tables, want);
                got = k.hvs.row8(rows[0], rows[1], N, &tables, got);
                if (memcmp(&want, &got, sizeof want) != 0)
                    fail_msg("row %d: %a, not %a", y, (double)got, (double)want);
            }
            assert_true(want > 1);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_blocks_equal_the_plain_kernels),
        cmocka_unit_test(the_sum_of_a_plane_equals_the_plain_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
