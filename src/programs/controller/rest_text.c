/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Texts of requests: times, media types, what goes back into an address. Pure. */

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "programs/controller/rest_internal.h"

/* ---- Times ---- */

/** n digits at *at; −1: they are not there. */
static int digits(const char **at, int n)
{
    int value = 0;

    for (int i = 0; i < n; i++, (*at)++) {
        if (**at < '0' || **at > '9')
            return -1;
        value = value * 10 + (**at - '0');
    }
    return value;
}

static bool skip(const char **at, const char *any)
{
    if (!**at || !strchr(any, **at))
        return false;
    (*at)++;
    return true;
}

static int days_in(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

/** Days since 1970-01-01 in the proleptic Gregorian calendar (H. Hinnant, "chrono-compatible date algorithms"). */
static int64_t days_from(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/** The fraction of a second, ".5"; what is below a microsecond is cut. False: a point without digits. */
static bool fraction(const char **at, int64_t *ret_us)
{
    int64_t unit = 100000;

    *ret_us = 0;
    if (!skip(at, "."))
        return true;
    if (!isdigit((unsigned char)**at))
        return false;
    for (; isdigit((unsigned char)**at); (*at)++, unit /= 10)
        *ret_us += (**at - '0') * unit;
    return true;
}

/** "Z", or "+01:30" in seconds. */
static bool offset(const char **at, int64_t *ret_s)
{
    *ret_s = 0;
    if (skip(at, "Zz"))
        return true;
    int sign = **at == '-' ? -1 : 1;
    if (!skip(at, "+-"))
        return false;
    int hours = digits(at, 2);
    if (hours < 0 || hours > 23 || !skip(at, ":"))
        return false;
    int minutes = digits(at, 2);
    *ret_s = sign * (hours * 3600 + minutes * 60);
    return minutes >= 0 && minutes <= 59;
}

/** RFC 3339 section 5.6, "T" or "t". A leap second is the second after it. */
static bool date_time(const char *at, int64_t *ret_us)
{
    int64_t us, offset_s;
    int year = digits(&at, 4);

    if (year < 1 || !skip(&at, "-"))
        return false;
    int month = digits(&at, 2);
    if (month < 1 || month > 12 || !skip(&at, "-"))
        return false;
    int day = digits(&at, 2);
    if (day < 1 || day > days_in(year, month) || !skip(&at, "Tt"))
        return false;
    int hour = digits(&at, 2);
    if (hour < 0 || hour > 23 || !skip(&at, ":"))
        return false;
    int minute = digits(&at, 2);
    if (minute < 0 || minute > 59 || !skip(&at, ":"))
        return false;
    int second = digits(&at, 2);
    if (second < 0 || second > 60 || !fraction(&at, &us) || !offset(&at, &offset_s) || *at)
        return false;
    int64_t s = days_from(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset_s;
    *ret_us = s * 1000000 + us;
    return true;
}

VmafxErr rest_time(const char *name, const char *text, int64_t *ret_us, VmafxErrInfo *reterr)
{
    bool plain = *text && !text[strspn(text, "0123456789")];
    int64_t us = 0;

    if (plain) {
        errno = 0;
        us = strtoll(text, NULL, 10);
        plain = !errno;
    }
    if ((!plain && !date_time(text, &us)) || us <= 0)
        return vmafx_fail(
            reterr, VMAFX_ERR_INVALID,
            "%s: '%.40s' is no time; one looks like 2026-01-31T12:00:00Z (a '+' is %%2B in an address), or "
            "is microseconds since 1970",
            name, text);
    *ret_us = us;
    return VMAFX_OK;
}

/* ---- Media types ---- */

/** "a/b" without parameters and blanks around it. */
static size_t type_length(const char **at, const char *end)
{
    while (*at < end && (**at == ' ' || **at == '\t'))
        (*at)++;
    const char *stop = memchr(*at, ';', (size_t)(end - *at));
    if (!stop)
        stop = end;
    while (stop > *at && (stop[-1] == ' ' || stop[-1] == '\t'))
        stop--;
    return (size_t)(stop - *at);
}

/** The weight of a member of Accept in thousandths (RFC 9110, section 12.4.2); what is no weight is 0. */
static int weight_of(const char *at, const char *end)
{
    while ((at = memchr(at, ';', (size_t)(end - at)))) {
        at++;
        while (at < end && (*at == ' ' || *at == '\t'))
            at++;
        if (end - at < 2 || (*at != 'q' && *at != 'Q') || at[1] != '=')
            continue;
        at += 2;
        if (at == end || (*at != '0' && *at != '1'))
            return 0;
        int weight = (*at - '0') * 1000, unit = 100;
        if (++at < end && *at == '.')
            for (at++; at < end && isdigit((unsigned char)*at) && unit; at++, unit /= 10)
                weight += (*at - '0') * unit;
        return VMAFX_MIN(weight, 1000);
    }
    return 1000;
}

/** How exactly a range names a type: 3 the type, 2 "a" + "/" + "*", 1 everything, 0 not at all. */
static int fits(const char *range, size_t len, const char *type)
{
    size_t slash = strcspn(type, "/") + 1;

    if (len == strlen(type) && !strncasecmp(range, type, len))
        return 3;
    if (len == slash + 1 && range[slash] == '*' && !strncasecmp(range, type, slash))
        return 2;
    return len == 3 && !memcmp(range, "*/*", 3);
}

/** The weight that the most exact range gives a type. */
static int weight_for(const char *accept, const char *type)
{
    int best = 0, weight = 0;

    for (const char *at = accept; *at;) {
        const char *end = at + strcspn(at, ",");
        const char *start = at;
        size_t len = type_length(&start, end);
        int how = fits(start, len, type);

        if (how > best) {
            best = how;
            weight = weight_of(start, end);
        }
        at = *end ? end + 1 : end;
    }
    return weight;
}

const char *rest_accept(const char *accept, const char *const *types, size_t n)
{
    const char *chosen = NULL;
    int best = 0;

    if (!accept)
        return types[0];
    for (size_t i = 0; i < n; i++) {
        int weight = weight_for(accept, types[i]);
        if (weight > best) {
            best = weight;
            chosen = types[i];
        }
    }
    return chosen;
}

bool rest_is_json(const char *content_type)
{
    const char *at = content_type ? content_type : "";
    size_t len = type_length(&at, at + strlen(at));

    return fits(at, len, "application/json") == 3;
}

/* ---- Addresses ---- */

/** The value of a digit of base64; -1: none. */
static int base64_value(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;

    return at ? (int)(at - digits) : -1;
}

/** 44 characters into 64 digits. */
static bool sha256_from_base64(const char *text, char ret_hex[VMAFX_SHA256_TEXT])
{
    unsigned bits = 0;
    int n_bits = 0, n = 0;

    for (int i = 0; i < 43; i++) {
        int value = base64_value(text[i]);

        if (value < 0)
            return false;
        bits = bits << 6 | (unsigned)value;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            snprintf(ret_hex + 2 * n++, 3, "%02x", bits >> n_bits & 0xff);
        }
        bits &= 0xff;
    }
    return text[43] == '=' && !(bits & 3);
}

VmafxErr rest_content_digest(const char *header, char ret_hex[VMAFX_SHA256_TEXT], VmafxErrInfo *reterr)
{
    ret_hex[0] = 0;
    for (const char *at = header; *at;) {
        at += strspn(at, " \t");
        size_t len = strcspn(at, ",");

        while (len && (at[len - 1] == ' ' || at[len - 1] == '\t'))
            len--;
        if (!strncasecmp(at, "sha-256=", VMAFX_MIN(len, 8u)) && len >= 8) {
            if (len != 8 + 46 || at[8] != ':' || at[8 + 45] != ':' || !sha256_from_base64(at + 9, ret_hex))
                return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                                  "Content-Digest: sha-256 is not followed by =:BASE64: of 32 bytes (RFC 9530)");
        }
        at += strcspn(at, ",");
        at += *at == ',';
    }
    return VMAFX_OK;
}

void rest_put_escaped(FILE *out, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (isalnum(c) || strchr("-._~", c))
            fputc(c, out);
        else
            fprintf(out, "%%%02X", c);
    }
}
