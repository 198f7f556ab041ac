/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A daemon's settings, from one table: flags over environment over a file over defaults (config.h says which file).
 * The table also makes --help, --version and --print-config. Every value is checked, wherever it comes from, and what
 * is wrong names its source.
 *
 *     static const VmafxSetting settings[] = {
 *         { "VMAFX_NODE_SLOTS", "slots", "N", VMAFX_SETTING_INT, "0", 0, 256, false, "tasks at a time; 0: …" },
 *     };
 *     int code = vmafx_settings_read(&program, argc, argv, &s);
 *     if (code >= 0)
 *         return code;
 *     slots = vmafx_settings_int(s, "VMAFX_NODE_SLOTS");
 */
#ifndef VMAFX_BASE_SETTINGS_H
#define VMAFX_BASE_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmafx/error.h>

typedef enum VmafxSettingKind {
    VMAFX_SETTING_TEXT = 0,
    VMAFX_SETTING_BOOL,     /* a switch as a flag; in a file 1, 0, true, false, yes, no, on, off */
    VMAFX_SETTING_INT,      /* lo … hi */
    VMAFX_SETTING_DURATION, /* "500ms", "30s", "5m", "2h", "7d"; a bare number is seconds; in ms, lo … hi */
    VMAFX_SETTING_BYTES,    /* "512MiB", "2GiB", "100M"; powers of 1024 with or without the i; a bare number is bytes */
} VmafxSettingKind;

typedef struct VmafxSetting {
    const char *key;  /* "VMAFX_NODE_SLOTS": environment and file */
    const char *flag; /* "slots", for --slots; NULL: no flag */
    const char *arg;  /* what --help calls the value; NULL for a switch */
    VmafxSettingKind kind;
    const char *value; /* the default; NULL: not set */
    int64_t lo, hi;    /* of INT, DURATION and BYTES; both 0: any that is not negative */
    bool secret;       /* masked by --print-config */
    const char *help;
} VmafxSetting;

typedef struct VmafxProgramInfo {
    const char *name, *version, *summary;
    const char *examples; /* lines, or NULL */
    const VmafxSetting *settings;
    size_t n_settings;
} VmafxProgramInfo;

typedef struct VmafxSettings VmafxSettings;

/**
 * @return -1: go on, with *ret set. Else the exit code: 0 when help, version or settings were printed, 2 when something
 * is wrong, which stderr then says.
 */
int vmafx_settings_read(const VmafxProgramInfo *program, int argc, char **argv, VmafxSettings **ret);
void vmafx_settings_free(VmafxSettings **settings);

/* Keys are those of the table; asking for another is a mistake of ours. Any thread; text lives as the settings do. */
const char *vmafx_settings_text(const VmafxSettings *settings, const char *key); /* NULL: not set, or empty */
int64_t vmafx_settings_int(const VmafxSettings *settings, const char *key);      /* 0 when not set */
bool vmafx_settings_bool(const VmafxSettings *settings, const char *key);

/**
 * Reads one value of a kind. For others who take durations and sizes.
 * @return VMAFX_ERR_SYNTAX or VMAFX_ERR_LIMIT, with what would be right, without naming the setting
 */
VMAFX_CHECK VmafxErr vmafx_setting_parse(const VmafxSetting *setting, const char *text, int64_t *ret,
                                         VmafxErrInfo *reterr);
#endif
