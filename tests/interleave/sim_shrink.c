/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* From a long list of faults that ends in a failure to a short one. */

#include <string.h>

#include "simulation.h"

#include "base/base.h"

static bool fails(uint64_t seed, const SimFault *faults, size_t n)
{
    SimResult result;

    sim_run(seed, faults, n, NULL, &result);
    return result.failed;
}

/* Without faults [from, to). */
static size_t without(const SimFault *faults, size_t n, size_t from, size_t to, SimFault *ret)
{
    memcpy(ret, faults, from * sizeof *ret);
    memcpy(ret + from, faults + to, (n - to) * sizeof *ret);
    return n - (to - from);
}

/* Ever smaller pieces are tried to be left out; after a success the rest is tried again. */
static size_t take_away(uint64_t seed, SimFault *faults, size_t n)
{
    SimFault fewer[SIM_FAULTS_MAX];

    for (size_t piece = n; piece; piece = piece == 1 ? 0 : (piece + 1) / 2)
        for (size_t from = 0; from < n;) {
            size_t left = without(faults, n, from, VMAFX_MIN(from + piece, n), fewer);

            if (fails(seed, fewer, left)) {
                memcpy(faults, fewer, left * sizeof *faults);
                n = left;
            } else {
                from += piece;
            }
        }
    return n;
}

static void shorten(uint64_t seed, SimFault *faults, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (int64_t span = faults[i].span; span > 1000; span /= 2) {
            SimFault kept = faults[i];

            faults[i].span = span / 2;
            if (!fails(seed, faults, n)) {
                faults[i] = kept;
                break;
            }
        }
}

size_t sim_shrink(uint64_t seed, SimFault *faults, size_t n_faults, SimResult *ret)
{
    size_t before;

    do {
        before = n_faults;
        n_faults = take_away(seed, faults, n_faults);
    } while (n_faults && n_faults < before);
    shorten(seed, faults, n_faults);
    sim_run(seed, faults, n_faults, NULL, ret);
    return n_faults;
}
