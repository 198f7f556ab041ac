/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* One record, one line: logfmt or JSON. Text goes through one function, which decides what may stand in a line. */

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/base.h"
#include "otel/sdk/log_lines.h"

/* A line being made. What does not fit is not written, and full says so; a caller goes back to where it was. */
typedef struct Line {
    char *text;
    size_t len, room;
    bool full;
} Line;

static void put(Line *line, const char *bytes, size_t n)
{
    if (line->full || n > line->room - line->len) {
        line->full = true;
        return;
    }
    memcpy(line->text + line->len, bytes, n);
    line->len += n;
}

static void put_str(Line *line, const char *s)
{
    put(line, s, strlen(s));
}

/* The code point at s, or -1 for bytes that are not UTF-8 (overlong forms and surrogates among them). */
static int32_t code_point(const unsigned char *s, size_t len, size_t *ret_n)
{
    static const int32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t n = *s < 0x80                 ? 1
               : *s >= 0xc2 && *s < 0xe0 ? 2
               : *s >= 0xe0 && *s < 0xf0 ? 3
               : *s >= 0xf0 && *s < 0xf5 ? 4
                                         : 0;
    int32_t c = n == 1 ? *s : n ? *s & (0x7f >> n) : -1;

    *ret_n = 1;
    if (!n || n > len)
        return -1;
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return -1;
        c = c << 6 | (s[i] & 0x3f);
    }
    if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return -1;
    *ret_n = n;
    return c;
}

/* The inside of a quoted text, the same in both formats: JSON's escapes, and C1 controls and line separators too. */
static void put_escaped(Line *line, const char *s, size_t len)
{
    for (size_t at = 0, n; at < len; at += n) {
        int32_t c = code_point((const unsigned char *)s + at, len - at, &n);
        char escape[16];

        if (c < 0) {
            put_str(line, "\xef\xbf\xbd");
        } else if (c == '"' || c == '\\') {
            put(line, c == '"' ? "\\\"" : "\\\\", 2);
        } else if (c == '\n' || c == '\t' || c == '\r') {
            put(line, c == '\n' ? "\\n" : c == '\t' ? "\\t" : "\\r", 2);
        } else if (c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || (c >= 0x202a && c <= 0x202e) ||
                   (c >= 0x2066 && c <= 0x2069)) { /* the last two turn the direction of writing */
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned)c);
            put_str(line, escape);
        } else {
            put(line, s + at, n);
        }
    }
}

static void put_quoted(Line *line, const char *s, size_t len)
{
    put(line, "\"", 1);
    put_escaped(line, s, len);
    put(line, "\"", 1);
}

static void put_base64(Line *line, const unsigned char *b, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < n && !line->full; i += 3) {
        uint32_t x = (uint32_t)b[i] << 16 | (i + 1 < n ? (uint32_t)b[i + 1] << 8 : 0) | (i + 2 < n ? b[i + 2] : 0);
        char four[4] = { digits[x >> 18], digits[x >> 12 & 63], digits[x >> 6 & 63], digits[x & 63] };

        if (i + 1 >= n)
            four[2] = '=';
        if (i + 2 >= n)
            four[3] = '=';
        put(line, four, 4);
    }
}

static void put_double(Line *line, double d)
{
    char text[40];

    if (isnan(d) || isinf(d)) {
        put_str(line, isnan(d) ? "\"NaN\"" : d > 0 ? "\"Infinity\"" : "\"-Infinity\"");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) { /* the shortest that reads back the same */
        snprintf(text, sizeof text, "%.*g", digits, d);
        double back = strtod(text, NULL);
        if (digits == 17 || !memcmp(&back, &d, sizeof d))
            break;
    }
    char *comma = strchr(text, ','); /* the program's locale may write one */
    if (comma)
        *comma = '.';
    put_str(line, text);
}

static void put_json(Line *line, const VmafxValue *value, int depth)
{
    char text[24];

    switch (depth > 64 ? VMAFX_VALUE_EMPTY : value->type) {
    case VMAFX_VALUE_STR:
        put_quoted(line, value->str.ptr, value->str.ptr ? value->str.len : 0);
        break;
    case VMAFX_VALUE_BOOL:
        put_str(line, value->b ? "true" : "false");
        break;
    case VMAFX_VALUE_INT:
        snprintf(text, sizeof text, "%lld", (long long)value->i);
        put_str(line, text);
        break;
    case VMAFX_VALUE_DOUBLE:
        put_double(line, value->d);
        break;
    case VMAFX_VALUE_BYTES:
        put(line, "\"", 1);
        put_base64(line, (const unsigned char *)value->str.ptr, value->str.ptr ? value->str.len : 0);
        put(line, "\"", 1);
        break;
    case VMAFX_VALUE_ARRAY:
        put(line, "[", 1);
        for (size_t i = 0; i < value->array.n && !line->full; i++) {
            put(line, ",", i > 0);
            put_json(line, &value->array.items[i], depth + 1);
        }
        put(line, "]", 1);
        break;
    case VMAFX_VALUE_MAP:
        put(line, "{", 1);
        for (size_t i = 0; i < value->map.n && !line->full; i++) {
            put(line, ",", i > 0);
            put_quoted(line, value->map.items[i].key, strlen(value->map.items[i].key));
            put(line, ":", 1);
            put_json(line, &value->map.items[i].value, depth + 1);
        }
        put(line, "}", 1);
        break;
    case VMAFX_VALUE_EMPTY:
    default:
        put_str(line, "null");
        break;
    }
}

/* Can a text stand in logfmt without quotes? Plain ASCII without blank, quote and '='. */
static bool plain(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (s[i] <= ' ' || s[i] >= 127 || strchr("\"\\=", s[i]))
            return false;
    return len > 0;
}

static void put_logfmt(Line *line, const VmafxValue *value)
{
    char inner[VMAFX_LOG_LINE_MAX];
    Line json = { inner, 0, sizeof inner, false };

    if (value->type == VMAFX_VALUE_STR && plain(value->str.ptr, value->str.ptr ? value->str.len : 0)) {
        put(line, value->str.ptr, value->str.len);
    } else if (value->type == VMAFX_VALUE_ARRAY || value->type == VMAFX_VALUE_MAP) {
        put_json(&json, value, 0); /* quoted once more, since it may hold blanks and quotes */
        line->full = line->full || json.full;
        put_quoted(line, inner, json.len);
    } else if (value->type == VMAFX_VALUE_DOUBLE && (isnan(value->d) || isinf(value->d))) {
        put_str(line, isnan(value->d) ? "NaN" : value->d > 0 ? "Infinity" : "-Infinity");
    } else if (value->type != VMAFX_VALUE_EMPTY) {
        put_json(line, value, 0);
    }
}

/* A key in logfmt: what could end it becomes '_', and the line's own names are kept apart. */
static void put_logfmt_key(Line *line, const char *key)
{
    static const char *const taken[] = {
        "time", "level", "msg", "logger", "event", "trace_id", "span_id", "trace_flags"
    };

    for (size_t i = 0; i < VMAFX_LEN(taken); i++)
        if (!strcmp(key, taken[i]))
            put_str(line, "attributes.");
    for (; *key; key++)
        put(line, plain(key, 1) ? key : "_", 1);
}

static void put_time(Line *line, uint64_t ns)
{
    time_t s = (time_t)(ns / 1000000000u);
    char text[64];
    struct tm tm;

    if (!gmtime_r(&s, &tm))
        return;
    size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + n, sizeof text - n, ".%03uZ", (unsigned)(ns / 1000000u % 1000u));
    put_str(line, text);
}

static void put_hex(Line *line, const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char two[3];

        snprintf(two, sizeof two, "%02x", bytes[i]);
        put(line, two, 2);
    }
}

/* name=value or "name":value up to the value; text fields of the line itself. */
static void put_field(Line *line, bool json, const char *name, const char *text)
{
    VmafxValue value = vmafx_value_str(text);

    put_str(line, json ? ",\"" : " ");
    put_str(line, name);
    put_str(line, json ? "\":" : "=");
    if (json)
        put_json(line, &value, 0);
    else
        put_logfmt(line, &value);
}

static void put_correlation(Line *line, const VmafxLogData *r, bool json)
{
    static const uint8_t none[16];

    if (!memcmp(r->trace_id, none, sizeof r->trace_id))
        return;
    put_str(line, json ? ",\"trace_id\":\"" : " trace_id=");
    put_hex(line, r->trace_id, sizeof r->trace_id);
    put_str(line, json ? "\",\"span_id\":\"" : " span_id=");
    put_hex(line, r->span_id, sizeof r->span_id);
    put_str(line, json ? "\",\"trace_flags\":\"" : " trace_flags=");
    put_hex(line, &r->flags, 1);
    put_str(line, json ? "\"" : "");
}

static void put_attributes(Line *line, const VmafxLogData *r, bool json, bool *ret_cut)
{
    size_t written = 0;

    if (json && r->attrs.n)
        put_str(line, ",\"attributes\":{");
    for (size_t i = 0; i < r->attrs.n; i++) {
        const VmafxAttr *attr = &r->attrs.items[i];
        size_t before = line->len;

        if (json) {
            put(line, ",", written > 0);
            put_quoted(line, attr->key, strlen(attr->key));
            put(line, ":", 1);
            put_json(line, &attr->value, 0);
        } else {
            put(line, " ", 1);
            put_logfmt_key(line, attr->key);
            put(line, "=", 1);
            put_logfmt(line, &attr->value);
        }
        if (line->full) { /* the next one may be shorter */
            line->len = before;
            line->full = false;
            *ret_cut = true;
        } else {
            written++;
        }
    }
}

size_t vmafx_log_line_format(const VmafxLogData *r, VmafxLogFormat format, char ret[VMAFX_LOG_LINE_MAX + 1])
{
    enum { RESERVE = 160, HEAD_RESERVE = 256, MESSAGE_MAX = 1024 }; /* for correlation and the end */
    Line line = { ret, 0, VMAFX_LOG_LINE_MAX - RESERVE - HEAD_RESERVE, false };
    bool json = format == VMAFX_LOG_JSON, cut = r->dropped_attrs > 0;
    VmafxValue body = r->body;
    char level[16];
    size_t n = 0;

    for (const char *c = r->severity_text ? r->severity_text : ""; *c && n < sizeof level - 1; c++)
        level[n++] = (char)(*c >= 'A' && *c <= 'Z' ? *c | 32 : *c);
    level[n] = 0;
    put_str(&line, json ? "{\"time\":\"" : "time=");
    put_time(&line, r->time_ns ? r->time_ns : r->observed_ns);
    put_str(&line, json ? "\"" : "");
    put_field(&line, json, "level", level);
    put_str(&line, json ? ",\"message\":" : " msg=");

    size_t before = line.len;
    if (body.type == VMAFX_VALUE_STR && body.str.len > MESSAGE_MAX) {
        body.str.len = MESSAGE_MAX; /* a code point cut in two becomes U+FFFD */
        cut = true;
    }
    json ? put_json(&line, &body, 0) : put_logfmt(&line, &body);
    if (line.full) {
        line.len = before;
        line.full = false;
        put_str(&line, "\"\"");
        cut = true;
    }
    const char *const fields[][2] = { { "logger", r->scope ? r->scope->name : "" }, { "event", r->event_name } };
    for (size_t i = 0; i < VMAFX_LEN(fields); i++) {
        before = line.len;
        if (fields[i][1] && *fields[i][1])
            put_field(&line, json, fields[i][0], fields[i][1]);
        if (line.full) {
            line.len = before;
            line.full = false;
            cut = true;
        }
    }
    if (json) {
        line.room += HEAD_RESERVE / 2;
        put_correlation(&line, r, true);
        line.room += HEAD_RESERVE / 2;
        put_attributes(&line, r, true, &cut);
        line.room += RESERVE;
        put_str(&line, r->attrs.n ? "}" : "");
        put_str(&line, cut ? ",\"truncated\":true}\n" : "}\n");
    } else {
        put_attributes(&line, r, false, &cut);
        line.room += RESERVE + HEAD_RESERVE;
        put_correlation(&line, r, false);
        put_str(&line, cut ? " truncated=true\n" : "\n");
    }
    ret[line.len] = 0;
    return line.len;
}
