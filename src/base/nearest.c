/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Edit distance, and the word of a list that has the least. */

#include "base/nearest.h"

#include <string.h>

#include "base/base.h"

#define WORD_MAX      64 /* longer words are near to nothing */
#define NEAR_DISTANCE 3  /* at most, for long words */

/* Letters to add, leave out, change or swap with their neighbour (optimal string alignment); both words are short. */
static int edit_distance(const char *a, const char *b)
{
    int d[3][WORD_MAX + 1]; /* row i of the table is d[i % 3] */
    int n_a = (int)strlen(a), n_b = (int)strlen(b);

    for (int j = 0; j <= n_b; j++)
        d[0][j] = j;
    for (int i = 1; i <= n_a; i++) {
        int *row = d[i % 3];
        const int *above = d[(i + 2) % 3], *above2 = d[(i + 1) % 3];

        row[0] = i;
        for (int j = 1; j <= n_b; j++) {
            row[j] = VMAFX_MIN(above[j - 1] + (a[i - 1] != b[j - 1]), VMAFX_MIN(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = VMAFX_MIN(row[j], above2[j - 2] + 1);
        }
    }
    return d[n_a % 3][n_b];
}

const char *vmafx_nearest(const char *word, const char *const *words, int n)
{
    int len = (int)strnlen(word, WORD_MAX + 1);
    int best = VMAFX_MIN(VMAFX_MAX((len + 1) / 3, 1), NEAR_DISTANCE) + 1; /* one more than still counts as near */
    const char *nearest = NULL;

    if (len == 0 || len > WORD_MAX)
        return NULL;
    for (int i = 0; i < n; i++) {
        if (strlen(words[i]) > WORD_MAX)
            continue;
        int distance = edit_distance(word, words[i]);
        if (len > 1 && distance > 1 && !strncmp(word, words[i], (size_t)len))
            distance = 1;
        if (distance < best && distance < len) {
            best = distance;
            nearest = words[i];
        }
    }
    return nearest;
}
