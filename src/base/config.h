/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Settings: flags over environment over a file over defaults. A command looks at its flags first and asks here for the
 * rest.
 *
 * The file is the one that VMAFX_CONFIG names, else the first that exists of $XDG_CONFIG_HOME/vmafx/config
 * (~/.config/vmafx/config) and /etc/vmafx/config. It has lines KEY=value with the names of the environment variables;
 * lines that begin with # and empty ones say nothing; blanks around key and value, and one pair of quotes around the
 * value, are taken off. A name that begins with VMAFX_ or OTEL_ is kept even when this version does not know it; any
 * other is an error. An environment variable that is empty counts as not set.
 */
#ifndef VMAFX_BASE_CONFIG_H
#define VMAFX_BASE_CONFIG_H

#include <stddef.h>
#include <stdio.h>

#include <vmafx/error.h>

#define VMAFX_CONFIG_BYTES_MAX   ((size_t)1 << 20)
#define VMAFX_CONFIG_LINE_MAX    4096
#define VMAFX_CONFIG_ENTRIES_MAX 1000

typedef struct VmafxConfig VmafxConfig;

/**
 * Finds and reads the file; without one there are environment and defaults.
 * @return VMAFX_ERR_NOT_FOUND what VMAFX_CONFIG names is not there; VMAFX_ERR_IO; VMAFX_ERR_SYNTAX or VMAFX_ERR_LIMIT
 * naming file and line; VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr vmafx_config_load(VmafxConfig **ret_config, VmafxErrInfo *reterr);

/** Reads the text of a file; name is for messages and sources. VMAFX_ERR_SYNTAX, VMAFX_ERR_LIMIT, VMAFX_ERR_NOMEM */
VMAFX_CHECK VmafxErr vmafx_config_parse(const char *text, size_t len, const char *name, VmafxConfig **ret_config,
                                        VmafxErrInfo *reterr);
void vmafx_config_free(VmafxConfig **config);

/**
 * The value of a setting, or NULL when it has none. It lives as long as the config and the environment variable.
 * @param ret_source  "environment", "FILE, line N", "default" or "not set"; NULL when not wanted
 */
const char *vmafx_config_get(const VmafxConfig *config, const char *key, const char **ret_source);

/** Every setting that is known or in the file, and where it comes from, as such a file; secrets are masked. */
void vmafx_config_print(const VmafxConfig *config, FILE *out);
#endif
