/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Readers of header values: small, strict, and never beyond the text. */

#include "inputs/headers.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/base.h"

/** Digits at *at; false when there are none or too many. */
static bool take_number(const char **at, int64_t *ret)
{
    const char *c = *at;
    int64_t n = 0;

    for (; *c >= '0' && *c <= '9'; c++) {
        if (n > (INT64_MAX - 9) / 10)
            return false;
        n = n * 10 + (*c - '0');
    }
    if (c == *at)
        return false;
    *at = c;
    *ret = n;
    return true;
}

static bool take(const char **at, char c)
{
    if (**at != c)
        return false;
    ++*at;
    return true;
}

bool content_range_parse(const char *text, ContentRange *ret)
{
    ContentRange range = { .total = -1 };
    const char *at = text + 5;

    if (strncasecmp(text, "bytes", 5) != 0 || *at != ' ')
        return false;
    at += strspn(at, " ");
    if (!take_number(&at, &range.first) || !take(&at, '-') || !take_number(&at, &range.last) || !take(&at, '/'))
        return false;
    if (!take(&at, '*') && !take_number(&at, &range.total))
        return false;
    if (*at || range.last < range.first || (range.total >= 0 && range.last >= range.total))
        return false;
    *ret = range;
    return true;
}

int64_t number_parse(const char *text)
{
    int64_t n;

    return take_number(&text, &n) && !*text ? n : -1;
}

/* ---- Cache-Control ---- */

static bool is_word(const char *word, size_t len, const char *name)
{
    return len == strlen(name) && !strncasecmp(word, name, len);
}

CacheControl cache_control_parse(const char *text)
{
    CacheControl control = { 0 };
    int64_t max_age = -1, s_maxage = -1;
    bool ask = false;

    while (*text) {
        text += strspn(text, " \t,");
        size_t len = strcspn(text, " \t,=");
        const char *value = text + len;
        int64_t n = 0;

        if (*value == '=')
            value += 1 + (value[1] == '"');
        bool has_number = value > text + len && take_number(&value, &n);
        control.no_store |= is_word(text, len, "no-store");
        ask |= is_word(text, len, "no-cache") || is_word(text, len, "private");
        if (is_word(text, len, "max-age"))
            max_age = has_number ? n : 0;
        if (is_word(text, len, "s-maxage"))
            s_maxage = has_number ? n : 0;
        for (text += len; *text && *text != ','; text++) /* a comma in quotes parts nothing */
            if (*text == '"') {
                const char *end = strchr(text + 1, '"');

                if (!end)
                    return (CacheControl){ .no_store = control.no_store }; /* broken: nothing is promised */
                text = end;
            }
    }
    if (!ask && !control.no_store)
        control.max_age_s = VMAFX_MIN(VMAFX_MAX(s_maxage >= 0 ? s_maxage : max_age, 0), CACHE_AGE_MAX_S);
    return control;
}

/* ---- Dates ---- */

static int two_digits(const char *at)
{
    return at[0] >= '0' && at[0] <= '9' && at[1] >= '0' && at[1] <= '9' ? (at[0] - '0') * 10 + at[1] - '0' : -1;
}

int64_t http_date_parse(const char *text)
{
    static const char shape[] = "Www, dd Mmm dddd dd:dd:dd GMT", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm tm = { 0 };

    if (strlen(text) != sizeof shape - 1)
        return -1;
    for (size_t i = 0; i < sizeof shape - 1; i++)
        if (shape[i] == 'd'                      ? text[i] < '0' || text[i] > '9'
            : strchr(" ,:", shape[i]) || i >= 26 ? text[i] != shape[i]
                                                 : false)
            return -1;
    for (tm.tm_mon = 0; tm.tm_mon < 12 && strncmp(text + 8, months + 3 * tm.tm_mon, 3) != 0;)
        tm.tm_mon++;
    tm.tm_mday = two_digits(text + 5);
    tm.tm_year = two_digits(text + 12) * 100 + two_digits(text + 14) - 1900;
    tm.tm_hour = two_digits(text + 17);
    tm.tm_min = two_digits(text + 20);
    tm.tm_sec = two_digits(text + 23);
    if (tm.tm_mon == 12 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_year < 70 || tm.tm_hour > 23 || tm.tm_min > 59 ||
        tm.tm_sec > 60)
        return -1;
    return timegm(&tm);
}

int64_t retry_after_parse(const char *text, int64_t now_unix_s)
{
    int64_t n = number_parse(text);

    if (n < 0) {
        n = http_date_parse(text);
        n = n < 0 ? 0 : n - now_unix_s;
    }
    return VMAFX_MAX(n, 0);
}

/* ---- Validators ---- */

bool etag_is_strong(const char *etag)
{
    size_t len = strlen(etag);

    return len >= 2 && etag[0] == '"' && etag[len - 1] == '"' && etag_is_usable(etag);
}

bool etag_is_usable(const char *etag)
{
    const char *from = !strncmp(etag, "W/", 2) ? etag + 2 : etag;
    size_t len = strlen(from);

    if (len < 2 || from[0] != '"' || from[len - 1] != '"')
        return false;
    for (size_t i = 1; i + 1 < len; i++)
        if ((unsigned char)from[i] <= 0x20 || from[i] == '"' || from[i] == 0x7f)
            return false;
    return true;
}
