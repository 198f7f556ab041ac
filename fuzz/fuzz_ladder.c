/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What `vmafx ladder` takes from outside: lists of any text, whose values are in their ranges and none twice, and texts
 * of any bytes, which become UTF-8 that can be shown.
 */

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ladder/lists.h"
#include "ladder/plot_text.h"

#define RATE_MAX 2000000000
#define SIDE_MAX 16384

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds)
{
    if (!holds)
        abort();
}

static void check_numbers(VmafxErr err, const VmafxErrInfo *info, const VmafxLadderNumbers *list, double lo, double hi)
{
    must(!err == !info->message[0]);
    if (err)
        return;
    must(list->n >= 1 && list->n <= VMAFX_LADDER_VALUES_MAX);
    for (size_t i = 0; i < list->n; i++) {
        must(list->values[i] >= lo && list->values[i] <= hi);
        for (size_t k = 0; k < i; k++)
            must(list->values[i] != list->values[k]);
    }
}

static void check_sizes(const char *text)
{
    VmafxErrInfo info = { 0 };
    VmafxLadderSizes list;
    VmafxErr err = vmafx_ladder_sizes(text, SIDE_MAX, &list, &info);

    must(!err == !info.message[0]);
    for (size_t i = 0; !err && i < list.n; i++)
        must(list.values[i].w >= 1 && list.values[i].w <= SIDE_MAX && list.values[i].h >= 1 &&
             list.values[i].h <= SIDE_MAX);
}

static void check_words(const char *text)
{
    VmafxErrInfo info = { 0 };
    VmafxLadderWords list;
    VmafxErr err = vmafx_ladder_words(text, &list, &info);
    size_t len = 0;

    must(!err == !info.message[0]);
    for (size_t i = 0; !err && i < list.n; i++) {
        size_t own = strlen(list.values[i]);

        must(own >= 1 && !memcmp(text + len, list.values[i], own)); /* as they stood there */
        len += own + 1;
    }
    must(err || len == strlen(text) + 1);
}

static void check_text(const char *text, int max)
{
    char shown[VMAFX_LADDER_TEXT_BYTES], again[VMAFX_LADDER_TEXT_BYTES];
    int n = 0;

    vmafx_ladder_text(text, max, shown);
    for (const char *c = shown; *c; c++) {
        must((unsigned char)*c >= 0x20 && *c != 0x7F);
        n += ((unsigned char)*c & 0xC0) != 0x80;
    }
    must(n <= max && (n > 0) == (*text != 0));
    vmafx_ladder_text(shown, max, again); /* what is fit already stays as it is */
    must(!strcmp(shown, again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    VmafxErrInfo numbers = { 0 }, rates = { 0 };
    VmafxLadderNumbers list;

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = 0;
    VmafxErr err = vmafx_ladder_numbers(text, 0, 63, &list, &numbers);
    check_numbers(err, &numbers, &list, 0, 63);
    err = vmafx_ladder_bitrates(text, RATE_MAX, &list, &rates);
    check_numbers(err, &rates, &list, 1, RATE_MAX);
    check_sizes(text);
    check_words(text);
    check_text(text, size ? 1 + data[0] % VMAFX_LADDER_TEXT_MAX : 1);
    free(text);
    return 0;
}
