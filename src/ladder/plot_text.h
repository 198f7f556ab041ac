/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Texts for a picture, made of whatever came in. */
#ifndef VMAFX_LADDER_PLOT_TEXT_H
#define VMAFX_LADDER_PLOT_TEXT_H

#define VMAFX_LADDER_TEXT_MAX   128 /* characters */
#define VMAFX_LADDER_TEXT_BYTES (4 * VMAFX_LADDER_TEXT_MAX + 1)

/** UTF-8 without control characters, '?' for each byte that is none; at most so many characters (1 …
    VMAFX_LADDER_TEXT_MAX), the last one "…" where there were more. */
void vmafx_ladder_text(const char *text, int max, char ret[VMAFX_LADDER_TEXT_BYTES]);
#endif
