/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Options of feature extractors: what each takes, reading values from text, and the suffix that values other than
 * the default leave in feature names (spec: "Feature names and options").
 */
#ifndef VMAFX_ENGINE_OPTIONS_H
#define VMAFX_ENGINE_OPTIONS_H

#include <vmafx/engine.h>

#define VMAFX_OPTIONS_MAX     24   /* options of one extractor */
#define VMAFX_OPTION_PATH_MAX 3900 /* bytes; leaves room for names of files below it */

/** A word is one of a few; a path names something that is written (its value is 1 when given); what comes later is
    refused by name. */
typedef enum VmafxOptionType {
    VMAFX_OPTION_BOOL,
    VMAFX_OPTION_INT,
    VMAFX_OPTION_DOUBLE,
    VMAFX_OPTION_WORD,
    VMAFX_OPTION_PATH,
    VMAFX_OPTION_LATER,
} VmafxOptionType;

/** One option. An extractor's table is sorted by name, the order in which names get their suffixes. */
typedef struct VmafxOptionSpec {
    const char *name;
    const char *alias; /* in feature names; NULL: leaves no trace there */
    VmafxOptionType type;
    double initial, min, max; /* a bool is 0 or 1; a word its place among words; every int fits a double exactly */
    const char *const *words; /* max + 1 of them; for words only */
} VmafxOptionSpec;

/**
 * Fills values[n_specs] from defaults and the given options. Text that is a number is first rounded to binary32 and
 * written with %g, as the reference does on its command line and for JSON numbers: 0.123456789 means 0.123457.
 * @param strict  unknown keys and trailing garbage are errors; otherwise both are passed over, as the reference does
 * @return VMAFX_ERR_FEATURE with a sentence naming option, value and range
 */
VMAFX_CHECK VmafxErr vmafx_options_read(const char *extractor, const VmafxOptionSpec *specs, size_t n_specs,
                                        const VmafxOptions *options, bool strict, double *ret_values,
                                        VmafxErrInfo *reterr);

/** The path that was given last for an option of that type; borrowed from options. NULL: none. */
const char *vmafx_options_path(const VmafxOptionSpec *specs, size_t n_specs, const VmafxOptions *options);

/** True when the values agree wherever they show in feature names. */
bool vmafx_options_same(const VmafxOptionSpec *specs, size_t n_specs, const double *a, const double *b);

/** "_egl_1", or "" when every such value is the default. NULL on no memory. */
char *vmafx_options_suffix(const VmafxOptionSpec *specs, size_t n_specs, const double *values);

/** "%g" with a point, whatever the locale. */
void vmafx_format_g(double v, char *ret, size_t size);
#endif
