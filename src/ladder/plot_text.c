/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Texts for a picture: cairo gives up on a whole drawing for one byte that is not UTF-8. */

#include "ladder/plot_text.h"

#include <stdio.h>
#include <string.h>

#include "base/base.h"

/* Bytes of the character that begins there: one of UTF-8 that may be shown, else 0. */
static int character(const unsigned char *s)
{
    int len = s[0] < 0x80 ? 1 : s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : 2;
    unsigned v = len == 1 ? s[0] : s[0] & (0x7Fu >> len);
    static const unsigned least[] = { 0, 0x20, 0xA0, 0x800, 0x10000 }; /* below: controls, or longer than need be */

    for (int i = 1; i < len; i++) {
        if ((s[i] & 0xC0) != 0x80)
            return 0;
        v = v << 6 | (s[i] & 0x3F);
    }
    if (v < least[len] || v == 0x7F || v > 0x10FFFF || (v >= 0xD800 && v <= 0xDFFF) || (len > 1 && s[0] < 0xC2))
        return 0;
    return len;
}

void vmafx_ladder_text(const char *text, int max, char ret[VMAFX_LADDER_TEXT_BYTES])
{
    const unsigned char *s = (const unsigned char *)text;
    char *out = ret, *before_last = ret;
    int n = 0;

    max = VMAFX_MIN(max, VMAFX_LADDER_TEXT_MAX);
    for (; *s && n < max; n++) {
        int len = character(s);

        before_last = out;
        if (len)
            memcpy(out, s, (size_t)len);
        else
            *out = '?';
        out += len ? len : 1;
        s += len ? len : 1;
    }
    if (*s)
        out = before_last + snprintf(before_last, 4, "…");
    *out = 0;
}
