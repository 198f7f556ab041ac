/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* UTF-8 by table 3-7 of the Unicode Standard. */

#include "base/text.h"

#include <stdbool.h>
#include <string.h>

/* Of the character that begins with this byte, 1 … 4; 0: none does. */
static size_t length_by_lead(unsigned char c)
{
    if (c < 0x80)
        return 1;
    if (c < 0xc2 || c > 0xf4)
        return 0;
    return c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

/* How many of the n bytes at p could be the beginning of a character; all that it needs: it is one. */
static size_t good_bytes(const unsigned char *p, size_t n, size_t *ret_needs)
{
    size_t needs = *ret_needs = n ? length_by_lead(p[0]) : 0, good = needs > 0;

    while (good && good < needs && good < n) {
        unsigned char low = 0x80, high = 0xbf;

        if (good == 1 && p[0] == 0xe0)
            low = 0xa0; /* no longer form than needed */
        else if (good == 1 && p[0] == 0xed)
            high = 0x9f; /* no surrogates */
        else if (good == 1 && p[0] == 0xf0)
            low = 0x90;
        else if (good == 1 && p[0] == 0xf4)
            high = 0x8f; /* nothing beyond U+10FFFF */
        if (p[good] < low || p[good] > high)
            break;
        good++;
    }
    return good;
}

size_t vmafx_utf8_length(const char *p, size_t n)
{
    size_t needs, good = good_bytes((const unsigned char *)p, n, &needs);

    return good == needs ? needs : 0;
}

static void mend(char *text, bool controls_too)
{
    unsigned char *p = (unsigned char *)text;

    for (size_t n = strlen(text); n;) {
        size_t needs, good = good_bytes(p, n, &needs);

        if (good && good < needs && good == n) {
            *p = 0; /* the text ends within it */
            return;
        }
        if (!good || good < needs || (controls_too && (*p < 0x20 || *p == 0x7f))) {
            *p = '?';
            good = 1;
        }
        p += good;
        n -= good;
    }
}

void vmafx_text_mend(char *text)
{
    mend(text, false);
}

void vmafx_text_clean(char *text)
{
    mend(text, true);
}

void vmafx_text_copy(char *to, size_t size, const char *from)
{
    size_t len = from ? strnlen(from, size - 1) : 0;

    if (len)
        memcpy(to, from, len);
    to[len] = 0;
    vmafx_text_mend(to);
}
