/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What the files of the check share, and nobody else needs:
 *
 *     spec_check.c         jobs; calls those below
 *       spec_check_recipe.c  how the distorted video is made
 *     spec_check_value.c   paths, numbers, texts
 */
#ifndef VMAFX_RPC_SPEC_CHECK_INTERNAL_H
#define VMAFX_RPC_SPEC_CHECK_INTERNAL_H

#include <stdbool.h>

#include "rpc/spec_check.h"

#define SPEC_PATH_MAX 160 /* of a field, in sentences */

/** Where we are in the message, and who wants to know. */
typedef struct SpecPlace {
    char path[SPEC_PATH_MAX];
    VmafxErrInfo *reterr;
} SpecPlace;

SpecPlace spec_at(const char *path, VmafxErrInfo *reterr);
SpecPlace spec_below(const SpecPlace *place, const char *field);
SpecPlace spec_below_nth(const SpecPlace *place, const char *field, size_t i);

/** "" for NULL. */
const char *spec_given(const char *text);

/* Each with a sentence that begins with the field's path. VMAFX_ERR_INVALID; too many, too long: VMAFX_ERR_LIMIT */

VMAFX_CHECK VmafxErr spec_number(const SpecPlace *place, const char *field, int64_t v, int64_t lo, int64_t hi);
VMAFX_CHECK VmafxErr spec_count(const SpecPlace *place, const char *field, size_t n, size_t max);
/** Text that ends up in sentences, reports and log lines: no control characters, of at most max bytes. */
VMAFX_CHECK VmafxErr spec_text(const SpecPlace *place, const char *field, const char *text, size_t max, bool required);
/** Of these characters only. */
VMAFX_CHECK VmafxErr spec_word(const SpecPlace *place, const char *field, const char *text, size_t max, bool required,
                               const char *characters, const char *in_words);
VMAFX_CHECK VmafxErr spec_options(const SpecPlace *place, const char *field, Vmafx__V1__KeyValue *const *items,
                                  size_t n);

/* The last two arguments of spec_word. */
#define SPEC_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define SPEC_DIGITS  "0123456789"
#define SPEC_NAME    SPEC_LETTERS SPEC_DIGITS "._-", "._-"
#define SPEC_LABEL   SPEC_LETTERS SPEC_DIGITS "._/-", "._/-"

/** VMAFX_ERR_ENCODER, VMAFX_ERR_LIMIT */
VMAFX_CHECK VmafxErr spec_recipe(const SpecPlace *job, const Vmafx__V1__EncodeRecipe *recipe);
#endif
