/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * How one variable's text becomes a value; used by env.c only. Each function is true when the variable held a usable
 * value, and leaves *ret alone when it did not, with a warning unless it is unset, empty or blank.
 */
#ifndef VMAFX_OTEL_SDK_ENV_VALUES_H
#define VMAFX_OTEL_SDK_ENV_VALUES_H

#include "otel/sdk/env.h"

/** Where the variables are, and where warnings go. Both borrowed; both may be NULL. */
typedef struct VmafxEnvReader {
    char *const *environment;
    VmafxOtelWarnings *warnings;
} VmafxEnvReader;

/** One word of a closed set; a list of them ends with a NULL name. In read_bits, 0 is "none". */
typedef struct VmafxEnvChoice {
    const char *name;
    int value;
} VmafxEnvChoice;

/** The value without the blanks around it; not terminated, and borrowed from the environment. */
bool vmafx_env_lookup(const VmafxEnvReader *r, const char *name, const char **ret, size_t *ret_len);
/** The same on the heap; NULL when unset or without memory. */
char *vmafx_env_string(const VmafxEnvReader *r, const char *name);
bool vmafx_env_bool(const VmafxEnvReader *r, const char *name, bool *ret);
bool vmafx_env_int(const VmafxEnvReader *r, const char *name, int32_t min, int32_t max, int32_t *ret);
bool vmafx_env_timeout(const VmafxEnvReader *r, const char *name, int32_t *ret);
bool vmafx_env_choice(const VmafxEnvReader *r, const char *name, const VmafxEnvChoice *choices, int *ret);
/** The or of a list's words; 0 when "none" is among them. */
void vmafx_env_bits(const VmafxEnvReader *r, const char *name, const VmafxEnvChoice *choices, unsigned *ret);
/** These two overwrite *ret, with an empty list when there is no usable value. */
bool vmafx_env_pairs(const VmafxEnvReader *r, const char *name, VmafxOtelPairs *ret);
bool vmafx_env_headers(const VmafxEnvReader *r, const char *name, VmafxOtelPairs *ret);

/** The next member of a comma list, without blanks around it; false at the end. *at starts at the list's first byte. */
bool vmafx_env_next_member(const char **at, const char *end, const char **ret, size_t *ret_len);
#endif
