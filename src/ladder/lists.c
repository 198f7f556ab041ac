/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Lists of numbers, bitrates, sizes and words between commas. */

#include "ladder/lists.h"

#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/base.h"

#define DIGITS_MAX 15 /* of a number; below 2^53, so it is exact */
#define SHOWN_MAX  40 /* of a wrong item, in a sentence */

/* One item of the list, for reading from its beginning. */
typedef struct Item {
    const char *text; /* for sentences */
    int len;
    const char *at, *end;
} Item;

static bool next_item(const char **rest, Item *ret)
{
    const char *text = *rest;

    if (!text)
        return false;
    size_t len = strcspn(text, ",");
    *ret = (Item){ text, len > SHOWN_MAX ? SHOWN_MAX : (int)len, text, text + len };
    *rest = text[len] ? text + len + 1 : NULL;
    return true;
}

static bool take(Item *item, char c)
{
    if (item->at == item->end || *item->at != c)
        return false;
    item->at++;
    return true;
}

static bool ended(const Item *item)
{
    return item->at == item->end;
}

/* 12, 0.5, 12.25; no sign, no exponent. The quotient of two exact numbers is rounded once. */
static bool take_number(Item *item, double *ret)
{
    double whole = 0, scale = 1;
    int digits = 0;
    bool point = false;

    for (; item->at < item->end; item->at++) {
        if (*item->at == '.' && !point && digits) {
            point = true;
            continue;
        }
        if (!isdigit((unsigned char)*item->at))
            break;
        if (++digits > DIGITS_MAX)
            return false;
        whole = whole * 10 + (*item->at - '0');
        scale = point ? scale * 10 : 1;
    }
    *ret = whole / scale;
    return digits && item->at[-1] != '.';
}

static VmafxErr not_one(const Item *item, const char *what, VmafxErrInfo *reterr)
{
    if (item->len == 0)
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "a list of %s has an empty place", what);
    return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "'%.*s' is not one of a list of %s", item->len, item->text, what);
}

static VmafxErr too_many(VmafxErrInfo *reterr)
{
    return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "a list has more than %d values", VMAFX_LADDER_VALUES_MAX);
}

static VmafxErr there_twice(const Item *item, VmafxErrInfo *reterr)
{
    return vmafx_fail(reterr, VMAFX_ERR_INVALID, "'%.*s': the value is there twice", item->len, item->text);
}

static VmafxErr add_number(const Item *item, double v, VmafxLadderNumbers *list, VmafxErrInfo *reterr)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->values[i] == v)
            return there_twice(item, reterr);
    if (list->n == VMAFX_LADDER_VALUES_MAX)
        return too_many(reterr);
    list->values[list->n++] = v;
    return VMAFX_OK;
}

/* ---- numbers ---- */

#define NUMBERS "numbers such as 20,23,26 or 18-40:4"

static VmafxErr add_range(const Item *item, double first, double last, double step, VmafxLadderNumbers *list,
                          VmafxErrInfo *reterr)
{
    if (!(step > 0))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "'%.*s': the step of a range cannot be 0", item->len, item->text);
    if (last < first)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                          "'%.*s': a range goes from the smaller number to the larger one, as in %g-%g", item->len,
                          item->text, last, first);
    /* What is a whole number of steps away may be a little off in binary: 0-1:0.1 has 11 values. */
    double steps = floor((last - first) / step + 1e-6);
    if (steps >= VMAFX_LADDER_VALUES_MAX)
        return too_many(reterr);
    for (int i = 0; i <= (int)steps; i++) {
        double v = round((first + i * step) * 1e6) / 1e6;
        VmafxErr err = add_number(item, v, list, reterr);

        if (err)
            return err;
    }
    return VMAFX_OK;
}

static VmafxErr take_numbers(Item *item, double lo, double hi, VmafxLadderNumbers *list, VmafxErrInfo *reterr)
{
    double first, last, step = 1;
    bool range = false;

    if (!take_number(item, &first))
        return not_one(item, NUMBERS, reterr);
    last = first;
    if (take(item, '-')) {
        range = true;
        if (!take_number(item, &last) || (take(item, ':') && !take_number(item, &step)))
            return not_one(item, NUMBERS, reterr);
    }
    if (!ended(item))
        return not_one(item, NUMBERS, reterr);
    if (first < lo || first > hi || last < lo || last > hi)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "'%.*s' is not between %g and %g", item->len, item->text, lo, hi);
    return range ? add_range(item, first, last, step, list, reterr) : add_number(item, first, list, reterr);
}

VmafxErr vmafx_ladder_numbers(const char *text, double lo, double hi, VmafxLadderNumbers *ret, VmafxErrInfo *reterr)
{
    VmafxLadderNumbers list = { .n = 0 };
    VmafxErr err = VMAFX_OK;
    Item item;

    while (!err && next_item(&text, &item))
        err = take_numbers(&item, lo, hi, &list, reterr);
    if (!err)
        *ret = list;
    return err;
}

/* ---- bitrates ---- */

#define BITRATES "bitrates such as 500k,1M,2.5M"

static double take_unit(Item *item)
{
    static const struct {
        char letter;
        double factor;
    } units[] = { { 'k', 1e3 }, { 'K', 1e3 }, { 'M', 1e6 }, { 'm', 1e6 }, { 'G', 1e9 }, { 'g', 1e9 } };

    for (size_t i = 0; i < VMAFX_LEN(units); i++)
        if (take(item, units[i].letter))
            return units[i].factor;
    return 1;
}

VmafxErr vmafx_ladder_bitrates(const char *text, int64_t hi, VmafxLadderNumbers *ret, VmafxErrInfo *reterr)
{
    VmafxLadderNumbers list = { .n = 0 };
    VmafxErr err = VMAFX_OK;
    Item item;

    while (!err && next_item(&text, &item)) {
        double v;

        if (!take_number(&item, &v))
            return not_one(&item, BITRATES, reterr);
        v = round(v * take_unit(&item));
        if (!ended(&item))
            return not_one(&item, BITRATES, reterr);
        if (v < 1 || v > (double)hi)
            return vmafx_fail(reterr, VMAFX_ERR_INVALID, "'%.*s' is not between 1 and %lld bits per second", item.len,
                              item.text, (long long)hi);
        err = add_number(&item, v, &list, reterr);
    }
    if (!err)
        *ret = list;
    return err;
}

/* ---- sizes ---- */

#define SIZES "sizes such as 1920x1080,1280x720"

VmafxErr vmafx_ladder_sizes(const char *text, int hi, VmafxLadderSizes *ret, VmafxErrInfo *reterr)
{
    VmafxLadderSizes list = { .n = 0 };
    Item item;

    while (next_item(&text, &item)) {
        double w, h;

        if (!take_number(&item, &w) || !take(&item, 'x') || !take_number(&item, &h) || !ended(&item) || w != floor(w) ||
            h != floor(h))
            return not_one(&item, SIZES, reterr);
        if (w < 1 || h < 1 || w > hi || h > hi)
            return vmafx_fail(reterr, VMAFX_ERR_INVALID, "'%.*s': width and height are between 1 and %d", item.len,
                              item.text, hi);
        for (size_t i = 0; i < list.n; i++)
            if (list.values[i].w == w && list.values[i].h == h)
                return there_twice(&item, reterr);
        if (list.n == VMAFX_LADDER_VALUES_MAX)
            return too_many(reterr);
        list.values[list.n++] = (VmafxLadderSize){ (int)w, (int)h };
    }
    *ret = list;
    return VMAFX_OK;
}

/* ---- words ---- */

VmafxErr vmafx_ladder_words(const char *text, VmafxLadderWords *ret, VmafxErrInfo *reterr)
{
    VmafxLadderWords list = { .n = 0 };
    Item item;

    while (next_item(&text, &item)) {
        size_t len = (size_t)(item.end - item.at);

        for (const char *c = item.at; c < item.end; c++)
            if (!isalnum((unsigned char)*c) && !strchr("-_.", *c))
                return not_one(&item, "words such as h264,hevc", reterr);
        if (len == 0 || len >= VMAFX_LADDER_WORD_MAX)
            return not_one(&item, "words such as h264,hevc", reterr);
        for (size_t i = 0; i < list.n; i++)
            if (strlen(list.values[i]) == len && !memcmp(list.values[i], item.at, len))
                return there_twice(&item, reterr);
        if (list.n == VMAFX_LADDER_VALUES_MAX)
            return too_many(reterr);
        memcpy(list.values[list.n], item.at, len);
        list.values[list.n++][len] = 0;
    }
    *ret = list;
    return VMAFX_OK;
}
