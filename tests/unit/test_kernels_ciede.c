/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Rows of colour differences: every variant this machine can run against the plain one, to the bit. Rows end where one
 * more read or write would fault.
 */

#include <stdlib.h>
#include <string.h>

#include "kernel_cases.h"

enum { NEAR = N_FILLS, GREY, BLUE, EQUAL, MIXED, KINDS };

/* A pair of colours of a kind; x and p tell alternating fills where they are. */
static void make_pair(int kind, int x, uint32_t max, uint16_t ref[3], uint16_t dis[3])
{
    const uint32_t middle = (max + 1) / 2;

    if (kind == MIXED)
        kind = (int)(next_random() % MIXED);
    for (int p = 0; p < 3; p++) {
        uint32_t r = kind < N_FILLS ? fill(kind, x + p, max) : next_random() % (max + 1), d = r;

        if (kind < N_FILLS)
            d = fill((kind + x % 2) % N_FILLS, x, max);
        else if (kind == NEAR)
            d = VMAFX_MIN(r + next_random() % 4, max);
        if (p && kind == GREY) { /* or nearly so: hues are those of rounding errors */
            r = middle + next_random() % 4 / 3;
            d = middle - next_random() % 4 / 3;
        } else if (p && kind == BLUE) { /* where the turn of blue colours decides */
            r = p == 1 ? middle + r / 2 : middle - r / 8;
            d = p == 1 ? VMAFX_MIN(r + next_random() % 9, max) : r - next_random() % 9;
        } else if (kind == GREY || kind == BLUE)
            d = VMAFX_MIN(r + next_random() % 20, max);
        ref[p] = (uint16_t)r;
        dis[p] = (uint16_t)d;
    }
}

typedef struct Row {
    uint16_t *ref[3], *dis[3];
    float *want, *got;
} Row;

static void row_init(Row *row, int n, int kind, int bpc)
{
    const size_t size = (size_t)VMAFX_MAX(n, 1);

    for (int p = 0; p < 3; p++) {
        row->ref[p] = guarded(size * sizeof(uint16_t));
        row->dis[p] = guarded(size * sizeof(uint16_t));
    }
    row->want = guarded(size * sizeof(float));
    row->got = guarded(size * sizeof(float));
    for (int x = 0; x < n; x++) {
        uint16_t ref[3], dis[3];

        make_pair(kind, x, (1u << bpc) - 1, ref, dis);
        for (int p = 0; p < 3; p++) {
            row->ref[p][x] = ref[p];
            row->dis[p][x] = dis[p];
        }
    }
}

static void row_done(Row *row)
{
    for (int p = 0; p < 3; p++) {
        release(row->ref[p]);
        release(row->dis[p]);
    }
    release(row->want);
    release(row->got);
}

static void check(const Row *row, int n, int bpc, const char *what, int kind)
{
    for (int x = 0; x < n; x++)
        if (memcmp(&row->want[x], &row->got[x], sizeof(float)) != 0)
            fail_msg("%s, kind %d, %d bits, (%d %d %d) and (%d %d %d): %a, not %a", what, kind, bpc, row->ref[0][x],
                     row->ref[1][x], row->ref[2][x], row->dis[0][x], row->dis[1][x], row->dis[2][x],
                     (double)row->got[x], (double)row->want[x]);
}

static void rows_of_differences_equal_the_plain_kernel(void **state)
{
    static const int depths[] = { 8, 10, 12, 16 };
    unsigned levels[3];
    size_t n_levels = variants(levels);
    VmafxKernels c, k;

    (void)state;
    vmafx_kernels_init(&c, 0);
    for (size_t l = 0; l < n_levels; l++)
        for (size_t d = 0; d < VMAFX_LEN(depths); d++) {
            VmafxCiedeKnown *known[2] = { calloc(VMAFX_CIEDE_KNOWN, sizeof *known[0]),
                                          calloc(VMAFX_CIEDE_KNOWN, sizeof *known[1]) };

            assert_true(known[0] && known[1]);
            vmafx_kernels_init(&k, levels[l]);
            for (int n = 0; n <= WIDTH_MAX; n++)
                for (int kind = 0; kind < KINDS; kind++) {
                    const uint16_t *ref[3], *dis[3];
                    Row row;

                    row_init(&row, n, kind, depths[d]);
                    for (int p = 0; p < 3; p++) {
                        ref[p] = row.ref[p];
                        dis[p] = row.dis[p];
                    }
                    c.ciede.row(ref, dis, n, depths[d], known[0], row.want);
                    k.ciede.row(ref, dis, n, depths[d], known[1], row.got);
                    check(&row, n, depths[d], vmafx_cpu_name(levels[l]), kind);
                    for (int x = 0; x < n && kind == EQUAL; x++)
                        assert_true(row.got[x] == 0);
                    row_done(&row);
                }
            free(known[0]);
            free(known[1]);
        }
}

/* Pairs whose difference is another one when powf's value is taken to be the nearest; found among 50 million. */
static void powers_of_chroma_are_those_of_powf(void **state)
{
    static const struct {
        int bpc;
        uint16_t ref[3], dis[3];
    } pairs[] = {
        { 10, { 40, 593, 463 }, { 43, 600, 461 } },
        { 10, { 438, 579, 469 }, { 438, 580, 473 } },
        { 10, { 796, 615, 460 }, { 796, 616, 464 } },
        { 10, { 679, 577, 457 }, { 679, 582, 456 } },
        { 10, { 576, 564, 511 }, { 583, 569, 514 } },
        { 10, { 695, 579, 476 }, { 697, 581, 479 } },
        { 10, { 110, 557, 501 }, { 117, 560, 503 } },
        { 10, { 413, 565, 477 }, { 414, 569, 479 } },
        { 10, { 627, 596, 496 }, { 630, 601, 500 } },
        { 16, { 63407, 38097, 32388 }, { 63414, 38102, 32392 } },
        { 16, { 60214, 37470, 30600 }, { 60215, 37471, 30603 } },
        { 16, { 46233, 37773, 31148 }, { 46233, 37773, 31149 } },
    };
    unsigned levels[3];
    size_t n_levels = variants(levels);
    VmafxKernels k;

    (void)state;
    for (size_t l = 0; l < n_levels; l++)
        for (size_t i = 0; i < VMAFX_LEN(pairs); i++) {
            const int bpc = pairs[i].bpc;
            VmafxLab a = vmafx_ciede_lab(pairs[i].ref[0], pairs[i].ref[1], pairs[i].ref[2], bpc);
            VmafxLab b = vmafx_ciede_lab(pairs[i].dis[0], pairs[i].dis[1], pairs[i].dis[2], bpc);
            const uint16_t *ref[3], *dis[3];
            VmafxCiedeKnown *known = calloc(VMAFX_CIEDE_KNOWN, sizeof *known);
            float want = vmafx_ciede_difference(&a, &b), got;

            assert_non_null(known);
            for (int p = 0; p < 3; p++) {
                ref[p] = &pairs[i].ref[p];
                dis[p] = &pairs[i].dis[p];
            }
            vmafx_kernels_init(&k, levels[l]);
            k.ciede.row(ref, dis, 1, bpc, known, &got);
            free(known);
            if (memcmp(&want, &got, sizeof want) != 0)
                fail_msg("%s, pair %zu: %a, not %a", vmafx_cpu_name(levels[l]), i, (double)got, (double)want);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_differences_equal_the_plain_kernel),
        cmocka_unit_test(powers_of_chroma_are_those_of_powf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
