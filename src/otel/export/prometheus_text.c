/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Names, units and numbers of Prometheus text. */

#include "otel/export/prometheus_text.h"

#include <math.h>
#include <stdlib.h>

#include "base/base.h"

enum { FIRST_ROOM = 4096, NUMBER_MAX = 64, DEPTH_MAX = 64 };

/* ---- Growing text ---- */

static bool make_room(VmafxText *t, size_t n)
{
    size_t need = t->len + n + 1, room = t->room ? t->room : FIRST_ROOM;

    if (t->failed || n > t->limit || t->len > t->limit - n)
        return false;
    if (need <= t->room)
        return true;
    while (room < need)
        room *= 2;
    char *data = realloc(t->data, room);
    if (!data)
        return false;
    t->data = data;
    t->room = room;
    return true;
}

void vmafx_text_put(VmafxText *t, const char *p, size_t n)
{
    if (!make_room(t, n)) {
        t->failed = true;
        return;
    }
    if (n)
        memcpy(t->data + t->len, p, n);
    t->len += n;
    t->data[t->len] = 0;
}

void vmafx_text_str(VmafxText *t, const char *s)
{
    vmafx_text_put(t, s, strlen(s));
}

void vmafx_text_char(VmafxText *t, char c)
{
    vmafx_text_put(t, &c, 1);
}

void vmafx_text_cut(VmafxText *t, size_t len)
{
    t->len = VMAFX_MIN(len, t->len);
    if (t->data)
        t->data[t->len] = 0;
    t->failed = false;
}

/* Bytes of the well-formed UTF-8 sequence at p; 0 when there is none (Unicode, table 3-7). */
static size_t utf8_len(const unsigned char *p, size_t n)
{
    size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;

    if (!len || len > n || !p[0])
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
        (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return len;
}

void vmafx_text_escaped(VmafxText *t, const char *p, size_t n, bool quotes)
{
    for (size_t i = 0, len; i < n; i += len) {
        len = utf8_len((const unsigned char *)p + i, n - i);
        if (!len) {
            vmafx_text_str(t, "\xef\xbf\xbd");
            len = 1;
        } else if (p[i] == '\n') {
            vmafx_text_str(t, "\\n");
        } else {
            if (p[i] == '\\' || (p[i] == '"' && quotes))
                vmafx_text_char(t, '\\');
            vmafx_text_put(t, p + i, len);
        }
    }
}

/* ---- Numbers ---- */

/* Digits and exponent of the shortest decimal that reads back as v: v = 0.d1d2… · 10^exp. */
static int shortest(double v, char digits[NUMBER_MAX], int *ret_exp)
{
    char text[NUMBER_MAX];
    int n = 0;

    for (int precision = 0; precision <= 16; precision++) {
        snprintf(text, sizeof text, "%.*e", precision, v);
        if (strtod(text, NULL) == v)
            break;
    }
    const char *p = text;
    for (; *p && *p != 'e'; p++) /* the decimal point may be any text of the locale's */
        if (*p >= '0' && *p <= '9')
            digits[n++] = *p;
    *ret_exp = atoi(p + 1) + 1;
    while (n > 1 && digits[n - 1] == '0')
        n--;
    return n;
}

void vmafx_text_double(VmafxText *t, double v, bool point)
{
    char digits[NUMBER_MAX], text[NUMBER_MAX];
    int exp, n;

    if (isnan(v) || isinf(v)) {
        vmafx_text_str(t, isnan(v) ? "NaN" : v < 0 ? "-Inf" : "+Inf");
        return;
    }
    if (v == 0) {
        vmafx_text_str(t, point ? "0.0" : "0");
        return;
    }
    if (v < 0)
        vmafx_text_char(t, '-');
    n = shortest(fabs(v), digits, &exp);
    if (exp - 1 < -4 || exp - 1 >= 21) {
        vmafx_text_char(t, digits[0]);
        if (n > 1) {
            vmafx_text_char(t, '.');
            vmafx_text_put(t, digits + 1, (size_t)n - 1);
        }
        snprintf(text, sizeof text, "e%+03d", exp - 1);
        vmafx_text_str(t, text);
        return;
    }
    if (exp <= 0)
        vmafx_text_str(t, "0.");
    for (int i = exp; i < 0; i++)
        vmafx_text_char(t, '0');
    for (int i = 0; i < n || i < exp; i++) {
        if (i == exp && i > 0)
            vmafx_text_char(t, '.');
        vmafx_text_char(t, i < n ? digits[i] : '0');
    }
    if (point && exp >= n)
        vmafx_text_str(t, ".0");
}

void vmafx_text_int(VmafxText *t, int64_t v)
{
    char text[NUMBER_MAX];

    snprintf(text, sizeof text, "%lld", (long long)v);
    vmafx_text_str(t, text);
}

void vmafx_text_uint(VmafxText *t, uint64_t v)
{
    char text[NUMBER_MAX];

    snprintf(text, sizeof text, "%llu", (unsigned long long)v);
    vmafx_text_str(t, text);
}

void vmafx_text_seconds(VmafxText *t, uint64_t ns)
{
    char text[NUMBER_MAX];

    snprintf(text, sizeof text, "%llu.%03u", (unsigned long long)(ns / 1000000000u), (unsigned)(ns / 1000000u % 1000u));
    vmafx_text_str(t, text);
}

/* ---- Values ---- */

static void put_base64(VmafxText *t, const unsigned char *p, size_t n)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < n; i += 3) {
        unsigned v = (unsigned)p[i] << 16 | (i + 1 < n ? (unsigned)p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0u);
        char out[4] = { alphabet[v >> 18], alphabet[v >> 12 & 63], alphabet[v >> 6 & 63], alphabet[v & 63] };

        if (i + 1 >= n)
            out[2] = '=';
        if (i + 2 >= n)
            out[3] = '=';
        vmafx_text_put(t, out, 4);
    }
}

static void put_json_str(VmafxText *t, const char *p, size_t n)
{
    char text[NUMBER_MAX];

    vmafx_text_char(t, '"');
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];

        if (c == '"' || c == '\\') {
            vmafx_text_char(t, '\\');
            vmafx_text_char(t, (char)c);
        } else if (c < 0x20) {
            snprintf(text, sizeof text, "\\u%04x", c);
            vmafx_text_str(t, text);
        } else {
            vmafx_text_char(t, (char)c);
        }
    }
    vmafx_text_char(t, '"');
}

static void put_plain_double(VmafxText *t, double v)
{
    if (isinf(v))
        vmafx_text_str(t, v < 0 ? "-Infinity" : "Infinity");
    else
        vmafx_text_double(t, v, false);
}

static void put_json(VmafxText *t, const VmafxValue *v, int depth)
{
    bool quoted = v->type == VMAFX_VALUE_BYTES || (v->type == VMAFX_VALUE_DOUBLE && !isfinite(v->d));

    if (v->type == VMAFX_VALUE_STR) {
        put_json_str(t, v->str.ptr, v->str.len);
    } else if (v->type == VMAFX_VALUE_EMPTY || depth > DEPTH_MAX) {
        vmafx_text_str(t, "null");
    } else if (v->type == VMAFX_VALUE_ARRAY) {
        vmafx_text_char(t, '[');
        for (size_t i = 0; i < v->array.n; i++) {
            vmafx_text_str(t, i ? "," : "");
            put_json(t, &v->array.items[i], depth + 1);
        }
        vmafx_text_char(t, ']');
    } else if (v->type == VMAFX_VALUE_MAP) {
        vmafx_text_char(t, '{');
        for (size_t i = 0; i < v->map.n; i++) {
            vmafx_text_str(t, i ? "," : "");
            put_json_str(t, v->map.items[i].key, strlen(v->map.items[i].key));
            vmafx_text_char(t, ':');
            put_json(t, &v->map.items[i].value, depth + 1);
        }
        vmafx_text_char(t, '}');
    } else {
        vmafx_text_str(t, quoted ? "\"" : "");
        vmafx_text_value(t, v);
        vmafx_text_str(t, quoted ? "\"" : "");
    }
}

void vmafx_text_value(VmafxText *t, const VmafxValue *v)
{
    switch (v->type) {
    case VMAFX_VALUE_EMPTY:
        return;
    case VMAFX_VALUE_STR:
        vmafx_text_put(t, v->str.ptr, v->str.len);
        return;
    case VMAFX_VALUE_BOOL:
        vmafx_text_str(t, v->b ? "true" : "false");
        return;
    case VMAFX_VALUE_INT:
        vmafx_text_int(t, v->i);
        return;
    case VMAFX_VALUE_DOUBLE:
        put_plain_double(t, v->d);
        return;
    case VMAFX_VALUE_BYTES:
        put_base64(t, (const unsigned char *)v->str.ptr, v->str.len);
        return;
    case VMAFX_VALUE_ARRAY:
    case VMAFX_VALUE_MAP:
        put_json(t, v, 0);
        return;
    }
}

/* ---- Names and units ---- */

static void put_name(VmafxText *t, const char *name, size_t n, bool label)
{
    size_t start = t->len;

    for (size_t i = 0; i < n; i++) {
        char c = name[i];
        bool digit = c >= '0' && c <= '9';
        bool fine = digit || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c == ':' && !label);

        if (digit && t->len == start)
            vmafx_text_char(t, '_');
        if (fine)
            vmafx_text_char(t, c);
        else if (t->len == start || t->data[t->len - 1] != '_')
            vmafx_text_char(t, '_');
        if (t->failed)
            return;
    }
}

void vmafx_text_name(VmafxText *t, const char *name, bool label)
{
    put_name(t, name, strlen(name), label);
}

/* One unit; `one` of it after "per". */
static void put_unit_word(VmafxText *t, const char *unit, size_t n, bool one)
{
    static const struct {
        const char *ucum, *many, *one;
    } words[] = {
        { "d", "days", "day" },
        { "h", "hours", "hour" },
        { "min", "minutes", "minute" },
        { "s", "seconds", "second" },
        { "ms", "milliseconds", "millisecond" },
        { "us", "microseconds", "microsecond" },
        { "ns", "nanoseconds", "nanosecond" },
        { "By", "bytes", "byte" },
        { "KiBy", "kibibytes", "kibibyte" },
        { "MiBy", "mebibytes", "mebibyte" },
        { "GiBy", "gibibytes", "gibibyte" },
        { "TiBy", "tebibytes", "tebibyte" },
        { "kBy", "kilobytes", "kilobyte" },
        { "KBy", "kilobytes", "kilobyte" },
        { "MBy", "megabytes", "megabyte" },
        { "GBy", "gigabytes", "gigabyte" },
        { "TBy", "terabytes", "terabyte" },
        { "m", "meters", "meter" },
        { "V", "volts", "volt" },
        { "A", "amperes", "ampere" },
        { "J", "joules", "joule" },
        { "W", "watts", "watt" },
        { "g", "grams", "gram" },
        { "Cel", "celsius", "celsius" },
        { "Hz", "hertz", "hertz" },
        { "%", "percent", "percent" },
        { "1", "", "" },
    };

    for (size_t i = 0; i < VMAFX_LEN(words); i++)
        if (strlen(words[i].ucum) == n && !memcmp(words[i].ucum, unit, n)) {
            vmafx_text_str(t, one ? words[i].one : words[i].many);
            return;
        }
    /* Others as they are, without '_' at either end. */
    VmafxText word = { .limit = t->limit };
    put_name(&word, unit, n, true);
    size_t start = 0;
    while (start < word.len && word.data[start] == '_')
        start++;
    while (word.len > start && word.data[word.len - 1] == '_')
        word.len--;
    if (word.len > start)
        vmafx_text_put(t, word.data + start, word.len - start);
    free(word.data);
}

void vmafx_text_unit(VmafxText *t, const char *unit)
{
    VmafxText bare = { .limit = t->limit };
    int braces = 0;

    for (; *unit; unit++) { /* annotations go */
        braces += *unit == '{';
        if (!braces && *unit != ' ')
            vmafx_text_char(&bare, *unit);
        braces -= *unit == '}' && braces;
    }
    if (bare.len) {
        const char *slash = memchr(bare.data, '/', bare.len);
        size_t over = slash ? (size_t)(slash - bare.data) : bare.len, start = t->len;

        put_unit_word(t, bare.data, over, false);
        if (slash && over + 1 < bare.len) {
            size_t before = t->len;

            vmafx_text_str(t, before > start ? "_per_" : "per_");
            size_t per = t->len;
            put_unit_word(t, slash + 1, bare.len - over - 1, true);
            if (t->len == per)
                vmafx_text_cut(t, before);
        }
    }
    free(bare.data);
}
