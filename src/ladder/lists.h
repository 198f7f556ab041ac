/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Lists as people write them on a command line: "20,23,26", "18-40:4", "1920x1080,1280x720", "500k,1M,2.5M". Each has
 * at least one value and at most VMAFX_LADDER_VALUES_MAX, and none twice. Numbers have a point whatever the locale.
 *
 * All of them: `ret` is set on success only; VMAFX_ERR_SYNTAX what is written is none of these, VMAFX_ERR_INVALID a
 * value outside its range or there twice, VMAFX_ERR_LIMIT too many, each with a sentence that names the place and not
 * the option. Pure; any thread.
 */
#ifndef VMAFX_LADDER_LISTS_H
#define VMAFX_LADDER_LISTS_H

#include <stddef.h>
#include <stdint.h>

#include <vmafx/error.h>

#define VMAFX_LADDER_VALUES_MAX 64
#define VMAFX_LADDER_WORD_MAX   32 /* with the end */

typedef struct VmafxLadderNumbers {
    double values[VMAFX_LADDER_VALUES_MAX];
    size_t n;
} VmafxLadderNumbers;

typedef struct VmafxLadderSize {
    int w, h;
} VmafxLadderSize;

typedef struct VmafxLadderSizes {
    VmafxLadderSize values[VMAFX_LADDER_VALUES_MAX];
    size_t n;
} VmafxLadderSizes;

typedef struct VmafxLadderWords {
    char values[VMAFX_LADDER_VALUES_MAX][VMAFX_LADDER_WORD_MAX];
    size_t n;
} VmafxLadderWords;

/** Numbers lo … hi (lo ≥ 0), and ranges FIRST-LAST or FIRST-LAST:STEP; the step is 1 where none is given. */
VMAFX_CHECK VmafxErr vmafx_ladder_numbers(const char *text, double lo, double hi, VmafxLadderNumbers *ret,
                                          VmafxErrInfo *reterr);
/** Bits per second, with k, M or G for thousands, millions, milliards; whole, at least 1 and at most hi. */
VMAFX_CHECK VmafxErr vmafx_ladder_bitrates(const char *text, int64_t hi, VmafxLadderNumbers *ret, VmafxErrInfo *reterr);
/** WxH, each at most hi. */
VMAFX_CHECK VmafxErr vmafx_ladder_sizes(const char *text, int hi, VmafxLadderSizes *ret, VmafxErrInfo *reterr);
/** Words of letters, digits, '-', '_' and '.'. */
VMAFX_CHECK VmafxErr vmafx_ladder_words(const char *text, VmafxLadderWords *ret, VmafxErrInfo *reterr);
#endif
