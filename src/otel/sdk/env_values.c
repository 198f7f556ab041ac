/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* How one variable's text becomes a value: the rules that hold for all of them. */

#include "otel/sdk/env_values.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"

static bool blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

void vmafx_otel_warn(VmafxOtelWarnings *warnings, const char *fmt, ...)
{
    va_list args;

    if (!warnings)
        return;
    if (warnings->n >= VMAFX_OTEL_WARNINGS_MAX) {
        warnings->dropped++;
        return;
    }
    char *text = warnings->text[warnings->n];
    va_start(args, fmt);
    vsnprintf(text, VMAFX_OTEL_WARNING_SIZE, fmt, args);
    va_end(args);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = '?';
    for (size_t i = 0; i < warnings->n; i++) /* a general row is read once for each signal */
        if (!strcmp(warnings->text[i], text))
            return;
    warnings->n++;
}

/* ---- Single values ---- */

/* The value without the blanks around it, not terminated; false when unset, empty or blank. */
bool vmafx_env_lookup(const VmafxEnvReader *r, const char *name, const char **ret, size_t *ret_len)
{
    size_t n = strlen(name);

    for (char *const *e = r->environment; e && *e; e++) {
        if (strncmp(*e, name, n) != 0 || (*e)[n] != '=')
            continue;
        const char *text = *e + n + 1;
        size_t len;

        while (blank(*text))
            text++;
        len = strlen(text);
        while (len && blank(text[len - 1]))
            len--;
        *ret = text;
        *ret_len = len;
        return len > 0;
    }
    return false;
}

static bool same(const char *text, size_t len, const char *name)
{
    return strlen(name) == len && !strncasecmp(text, name, len);
}

/* How much of a value a warning quotes. */
static int quoted(size_t len)
{
    return (int)VMAFX_MIN(len, (size_t)100);
}

char *vmafx_env_string(const VmafxEnvReader *r, const char *name)
{
    const char *text;
    size_t len;

    if (!vmafx_env_lookup(r, name, &text, &len))
        return NULL;
    char *copy = strndup(text, len);
    if (!copy)
        vmafx_otel_warn(r->warnings, "%s: no memory, ignored", name);
    return copy;
}

/* False when not set; ret is then left alone. */
bool vmafx_env_bool(const VmafxEnvReader *r, const char *name, bool *ret)
{
    const char *text;
    size_t len;

    if (!vmafx_env_lookup(r, name, &text, &len))
        return false;
    *ret = same(text, len, "true");
    if (!*ret && !same(text, len, "false"))
        vmafx_otel_warn(r->warnings, "%s: '%.*s' is neither true nor false, taken as false", name, quoted(len), text);
    return true;
}

bool vmafx_env_int(const VmafxEnvReader *r, const char *name, int32_t min, int32_t max, int32_t *ret)
{
    const char *text;
    size_t len, i;
    int64_t value = 0;

    if (!vmafx_env_lookup(r, name, &text, &len))
        return false;
    for (i = 0; i < len && isdigit((unsigned char)text[i]) && value <= max; i++)
        value = 10 * value + (text[i] - '0');
    if (i < len || value < min || value > max) {
        vmafx_otel_warn(r->warnings, "%s: '%.*s' is not an integer from %d to %d, ignored", name, quoted(len), text,
                        (int)min, (int)max);
        return false;
    }
    *ret = (int32_t)value;
    return true;
}

bool vmafx_env_timeout(const VmafxEnvReader *r, const char *name, int32_t *ret)
{
    bool set = vmafx_env_int(r, name, 0, INT32_MAX, ret);

    if (set && !*ret)
        *ret = VMAFX_OTEL_UNLIMITED;
    return set;
}

static const VmafxEnvChoice *choose(const VmafxEnvChoice *choices, const char *text, size_t len)
{
    for (; choices->name; choices++)
        if (same(text, len, choices->name))
            return choices;
    return NULL;
}

bool vmafx_env_choice(const VmafxEnvReader *r, const char *name, const VmafxEnvChoice *choices, int *ret)
{
    const char *text;
    size_t len;

    if (!vmafx_env_lookup(r, name, &text, &len))
        return false;

    const VmafxEnvChoice *choice = choose(choices, text, len);
    if (!choice) {
        vmafx_otel_warn(r->warnings, "%s: '%.*s' is unknown or not supported, ignored", name, quoted(len), text);
        return false;
    }
    *ret = choice->value;
    return true;
}

/* ---- Lists ---- */

/* The next member of a comma list without the blanks around it; false at the end. *at starts at the text. */
bool vmafx_env_next_member(const char **at, const char *end, const char **ret, size_t *ret_len)
{
    if (*at > end)
        return false;

    const char *from = *at, *comma = memchr(from, ',', (size_t)(end - from));
    const char *to = comma ? comma : end;

    *at = to + 1;
    while (from < to && blank(*from))
        from++;
    while (to > from && blank(to[-1]))
        to--;
    *ret = from;
    *ret_len = (size_t)(to - from);
    return true;
}

/* Bits of a list; a choice of value 0 is "none". */
void vmafx_env_bits(const VmafxEnvReader *r, const char *name, const VmafxEnvChoice *choices, unsigned *ret)
{
    const char *text, *member;
    size_t len, member_len;
    unsigned bits = 0;
    bool none = false;

    if (!vmafx_env_lookup(r, name, &text, &len))
        return;
    for (const char *at = text; vmafx_env_next_member(&at, text + len, &member, &member_len);) {
        const VmafxEnvChoice *choice = choose(choices, member, member_len);

        if (!member_len)
            continue;
        if (!choice)
            vmafx_otel_warn(r->warnings, "%s: '%.*s' is unknown or not supported, ignored", name, quoted(member_len),
                            member);
        else if (!choice->value)
            none = true;
        else
            bits |= (unsigned)choice->value;
    }
    if (none && bits)
        vmafx_otel_warn(r->warnings, "%s: 'none' stands beside others, which are ignored", name);
    if (none)
        *ret = 0;
    else if (bits)
        *ret = bits;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 32);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decoded heap text, or NULL and what is wrong. */
static char *decode(const char *text, size_t len, const char **reterr)
{
    char *out = malloc(len + 1), *to = out;

    if (!out) {
        *reterr = "no memory";
        return NULL;
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] != '%') {
            *to++ = text[i];
            continue;
        }
        int high = len - i > 2 ? hex_digit(text[i + 1]) : -1;
        int low = len - i > 2 ? hex_digit(text[i + 2]) : -1;

        if (high < 0 || low < 0 || !(high | low)) { /* %00 would end the text */
            free(out);
            *reterr = "a bad percent escape";
            return NULL;
        }
        *to++ = (char)(high << 4 | low);
        i += 2;
    }
    *to = 0;
    return out;
}

static void trim(const char **from, const char **to)
{
    while (*from < *to && blank(**from))
        ++*from;
    while (*to > *from && blank((*to)[-1]))
        --*to;
}

static const char *add_pair(VmafxOtelPairs *pairs, const char *member, size_t len)
{
    const char *equals = memchr(member, '=', len), *error = NULL;

    if (!equals)
        return "a member has no '='";

    const char *key = member, *key_end = equals, *value = equals + 1, *value_end = member + len;
    trim(&key, &key_end);
    trim(&value, &value_end);
    if (key == key_end)
        return "a key is empty";

    VmafxOtelPair pair = { decode(key, (size_t)(key_end - key), &error), NULL };
    if (pair.key)
        pair.value = decode(value, (size_t)(value_end - value), &error);
    if (!pair.value) {
        free(pair.key);
        return error;
    }
    for (size_t i = 0; i < pairs->n; i++)
        if (!strcmp(pairs->items[i].key, pair.key)) {
            free(pairs->items[i].value);
            free(pair.key);
            pairs->items[i].value = pair.value;
            return NULL;
        }

    VmafxOtelPair *more = NULL;
    if (pairs->n < VMAFX_OTEL_PAIRS_MAX)
        more = realloc(pairs->items, (pairs->n + 1) * sizeof *more);
    if (!more) {
        free(pair.key);
        free(pair.value);
        return pairs->n < VMAFX_OTEL_PAIRS_MAX ? "no memory" : "it has too many members";
    }
    pairs->items = more;
    pairs->items[pairs->n++] = pair;
    return NULL;
}

const char *vmafx_otel_pairs_parse(const char *text, VmafxOtelPairs *ret)
{
    const char *at = text, *end = text ? text + strlen(text) : NULL, *member, *error = NULL;
    size_t len;

    *ret = (VmafxOtelPairs){ NULL, 0 };
    if (!text)
        return NULL;
    while (!error && vmafx_env_next_member(&at, end, &member, &len))
        error = add_pair(ret, member, len);
    if (error)
        vmafx_otel_pairs_done(ret);
    return error;
}

void vmafx_otel_pairs_done(VmafxOtelPairs *pairs)
{
    if (!pairs)
        return;
    for (size_t i = 0; i < pairs->n; i++) {
        free(pairs->items[i].key);
        free(pairs->items[i].value);
    }
    free(pairs->items);
    *pairs = (VmafxOtelPairs){ NULL, 0 };
}

bool vmafx_env_pairs(const VmafxEnvReader *r, const char *name, VmafxOtelPairs *ret)
{
    VMAFX_AUTO(vmafx_free_p) char *text = vmafx_env_string(r, name);

    *ret = (VmafxOtelPairs){ NULL, 0 };
    if (!text)
        return false;

    const char *error = vmafx_otel_pairs_parse(text, ret);
    if (error)
        vmafx_otel_warn(r->warnings, "%s: discarded, because of %s", name, error);
    return !error;
}

/* A header name is a token, in lower case afterwards; a value must not end its line (RFC 9110, 5.5 and 5.6.2). */
static bool header_fits(VmafxOtelPair *header)
{
    for (char *c = header->key; *c; c++) {
        if (!isalnum((unsigned char)*c) && !strchr("!#$%&'*+-.^_`|~", *c))
            return false;
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c | 32);
    }
    for (const char *c = header->value; *c; c++)
        if (((unsigned char)*c < ' ' && *c != '\t') || *c == 127)
            return false;
    return true;
}

bool vmafx_env_headers(const VmafxEnvReader *r, const char *name, VmafxOtelPairs *ret)
{
    if (!vmafx_env_pairs(r, name, ret))
        return false;
    for (size_t i = 0; i < ret->n; i++)
        if (!header_fits(&ret->items[i])) {
            vmafx_otel_warn(r->warnings, "%s: discarded, because of a character that no header may have", name);
            vmafx_otel_pairs_done(ret);
            return false;
        }
    for (size_t i = 1; i < ret->n; i++) /* lower case may have made keys equal */
        for (size_t j = 0; j < i; j++)
            if (!strcmp(ret->items[i].key, ret->items[j].key)) {
                VmafxOtelPair gone = { ret->items[i].key, ret->items[j].value };

                ret->items[j].value = ret->items[i].value;
                free(gone.key);
                free(gone.value);
                memmove(&ret->items[i], &ret->items[i + 1], (ret->n - i - 1) * sizeof *ret->items);
                ret->n--;
                i--;
                break;
            }
    return true;
}
