/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What somebody who wrote a word wrong may have meant. */
#ifndef VMAFX_BASE_NEAREST_H
#define VMAFX_BASE_NEAREST_H

/**
 * The nearest of n words by edit distance (one for a letter too much, missing, wrong or swapped with its neighbour; one
 * for a beginning), or NULL when none is near. The first of equals.
 */
const char *vmafx_nearest(const char *word, const char *const *words, int n);
#endif
