/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Settings of a daemon by a table: flags over environment over file over defaults. */

#include "base/settings.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/base.h"
#include "base/complaints.h"
#include "base/config.h"

#define VALUE_MAX_BYTES 4096
#define HELP_COLUMN     30
#define HELP_WIDTH      100

typedef struct Value {
    char *text;   /* NULL: not set */
    char *source; /* "--slots", "environment", "FILE, line N", "default" */
    int64_t number;
} Value;

struct VmafxSettings {
    const VmafxProgramInfo *program;
    Value *values; /* in the order of the table */
};

/* ---- One value ---- */

typedef struct Unit {
    const char *name;
    int64_t factor;
} Unit;

static const Unit durations[] = { { "", 1000 },   { "ms", 1 },      { "s", 1000 },
                                  { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 } };
static const Unit sizes[] = { { "", 1 },
                              { "B", 1 },
                              { "K", INT64_C(1) << 10 },
                              { "KiB", INT64_C(1) << 10 },
                              { "M", INT64_C(1) << 20 },
                              { "MiB", INT64_C(1) << 20 },
                              { "G", INT64_C(1) << 30 },
                              { "GiB", INT64_C(1) << 30 },
                              { "T", INT64_C(1) << 40 },
                              { "TiB", INT64_C(1) << 40 } };

static VmafxErr parse_number(const char *text, const Unit *units, size_t n_units, const char *right, int64_t *ret,
                             VmafxErrInfo *reterr)
{
    char *end;

    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (end == text || errno || isspace((unsigned char)*text))
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "'%s' is not %s", text, right);
    for (size_t i = 0; i < n_units; i++)
        if (!strcmp(end, units[i].name)) {
            if (__builtin_mul_overflow((int64_t)number, units[i].factor, ret))
                return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "%s is too large", text);
            return VMAFX_OK;
        }
    return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "'%s' is not %s", text, right);
}

static VmafxErr parse_bool(const char *text, int64_t *ret, VmafxErrInfo *reterr)
{
    static const char *const words[] = { "0", "1", "false", "true", "no", "yes", "off", "on" };

    for (size_t i = 0; i < VMAFX_LEN(words); i++)
        if (!strcasecmp(text, words[i])) {
            *ret = i % 2;
            return VMAFX_OK;
        }
    return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "'%s' is neither true nor false", text);
}

static void print_limit(const VmafxSetting *setting, int64_t limit, char *ret, size_t size)
{
    const Unit *units = setting->kind == VMAFX_SETTING_DURATION ? durations : sizes;
    size_t n = setting->kind == VMAFX_SETTING_DURATION ? VMAFX_LEN(durations) : VMAFX_LEN(sizes);

    if (setting->kind != VMAFX_SETTING_INT)
        for (size_t i = n; i-- > 1;)
            if (limit && limit % units[i].factor == 0) {
                snprintf(ret, size, "%" PRId64 "%s", limit / units[i].factor, units[i].name);
                return;
            }
    snprintf(ret, size, "%" PRId64, limit);
}

VmafxErr vmafx_setting_parse(const VmafxSetting *setting, const char *text, int64_t *ret, VmafxErrInfo *reterr)
{
    static const Unit one = { "", 1 };
    VmafxErr err = VMAFX_OK;

    *ret = 0;
    switch (setting->kind) {
    case VMAFX_SETTING_TEXT:
        return VMAFX_OK;
    case VMAFX_SETTING_BOOL:
        return parse_bool(text, ret, reterr);
    case VMAFX_SETTING_INT:
        err = parse_number(text, &one, 1, "a whole number", ret, reterr);
        break;
    case VMAFX_SETTING_DURATION:
        err = parse_number(text, durations, VMAFX_LEN(durations), "a duration: write 500ms, 30s, 5m, 2h or 7d", ret,
                           reterr);
        break;
    case VMAFX_SETTING_BYTES:
        err = parse_number(text, sizes, VMAFX_LEN(sizes), "a size: write 512MiB or 2GiB", ret, reterr);
        break;
    }
    if (err)
        return err;

    int64_t hi = setting->lo || setting->hi ? setting->hi : INT64_MAX;
    if (*ret < setting->lo || *ret > hi) {
        char lo_text[32], hi_text[32];
        print_limit(setting, setting->lo, lo_text, sizeof lo_text);
        print_limit(setting, hi, hi_text, sizeof hi_text);
        return hi == INT64_MAX
                   ? vmafx_fail(reterr, VMAFX_ERR_LIMIT, "%s is below %s", text, lo_text)
                   : vmafx_fail(reterr, VMAFX_ERR_LIMIT, "%s is not within %s and %s", text, lo_text, hi_text);
    }
    return VMAFX_OK;
}

/* ---- Where values come from ---- */

static bool set(VmafxSettings *settings, size_t i, const char *text, const char *source)
{
    const VmafxSetting *setting = &settings->program->settings[i];
    Value *value = &settings->values[i];
    VmafxErrInfo info = { 0 };

    if (strlen(text) > VALUE_MAX_BYTES) {
        fprintf(stderr, "%s: %s (%s) is longer than %d bytes\n", settings->program->name, setting->key, source,
                VALUE_MAX_BYTES);
        return false;
    }
    if (vmafx_setting_parse(setting, text, &value->number, &info)) {
        fprintf(stderr, "%s: %s (%s): %s\n", settings->program->name, setting->key, source, info.message);
        return false;
    }
    free(value->text);
    free(value->source);
    value->text = vmafx_strdup(text);
    value->source = vmafx_strdup(source);
    return value->text && value->source;
}

static bool read_config(VmafxSettings *settings)
{
    VMAFX_AUTO(vmafx_config_free) VmafxConfig *config = NULL;
    VmafxErrInfo info = { 0 };

    if (vmafx_config_load(&config, &info)) {
        fprintf(stderr, "%s: %s\n", settings->program->name, info.message);
        return false;
    }
    for (size_t i = 0; i < settings->program->n_settings; i++) {
        const VmafxSetting *setting = &settings->program->settings[i];
        const char *source;
        const char *text = vmafx_config_get(config, setting->key, &source);
        if (settings->values[i].text)
            continue; /* a flag */
        if (text && !set(settings, i, text, source))
            return false;
        if (!text && setting->value && !set(settings, i, setting->value, "default"))
            return false;
    }
    return true;
}

static size_t find_flag(const VmafxProgramInfo *program, const char *name, size_t len)
{
    for (size_t i = 0; i < program->n_settings; i++) {
        const char *flag = program->settings[i].flag;
        if (flag && strlen(flag) == len && !strncmp(flag, name, len))
            return i;
    }
    return SIZE_MAX;
}

typedef enum Wish { WISH_RUN, WISH_HELP, WISH_VERSION, WISH_PRINT, WISH_REFUSED } Wish;

static Wish refuse_argument(const VmafxProgramInfo *program, const char *fmt, const char *argument)
{
    fprintf(stderr, "%s: ", program->name);
    fprintf(stderr, fmt, argument); /* literals of this file */
    fprintf(stderr, "; `%s --help` lists the options\n", program->name);
    return WISH_REFUSED;
}

static Wish read_flags(VmafxSettings *settings, int argc, char **argv)
{
    const VmafxProgramInfo *program = settings->program;
    Wish wish = WISH_RUN;

    for (int i = 1; i < argc; i++) {
        const char *argument = argv[i];
        if (!strcmp(argument, "-h") || !strcmp(argument, "--help"))
            return WISH_HELP;
        if (!strcmp(argument, "-V") || !strcmp(argument, "--version"))
            return WISH_VERSION;
        if (!strcmp(argument, "--print-config")) {
            wish = WISH_PRINT;
            continue;
        }
        if (strncmp(argument, "--", 2) || !argument[2])
            return refuse_argument(program, "'%s' is not an option", argument);
        const char *name = argument + 2, *equals = strchr(name, '=');
        size_t at = find_flag(program, name, equals ? (size_t)(equals - name) : strlen(name));
        if (at == SIZE_MAX)
            return refuse_argument(program, "there is no option '%s'", argument);
        const char *value = equals ? equals + 1 : NULL;
        if (program->settings[at].kind == VMAFX_SETTING_BOOL)
            value = value ? value : "true";
        else if (!value && ++i >= argc)
            return refuse_argument(program, "'%s' needs a value", argument);
        else if (!value)
            value = argv[i];
        char source[64];
        snprintf(source, sizeof source, "--%s", program->settings[at].flag);
        if (!set(settings, at, value, source))
            return WISH_REFUSED;
    }
    return wish;
}

/* ---- Printing ---- */

static void print_wrapped(const char *text, int column)
{
    int at = column;

    for (const char *word = text; *word;) {
        int len = (int)strcspn(word, " ");
        if (at + len > HELP_WIDTH) {
            printf("\n%*s", column, "");
            at = column;
        }
        printf("%s%.*s", at > column ? " " : "", len, word);
        at += len + 1;
        word += len + (word[len] == ' ');
    }
    printf("\n");
}

static void print_help(const VmafxProgramInfo *program)
{
    printf("%s: %s\n\n%s%susage: %s [options]\n\n", program->name, program->summary,
           program->examples ? program->examples : "", program->examples ? "\n" : "", program->name);
    for (size_t i = 0; i < program->n_settings; i++) {
        const VmafxSetting *setting = &program->settings[i];
        char left[80], help[1024];
        if (!setting->flag)
            snprintf(left, sizeof left, "  %s", setting->key);
        else
            snprintf(left, sizeof left, "  --%s%s%s", setting->flag, setting->arg ? " " : "",
                     setting->arg ? setting->arg : "");
        snprintf(help, sizeof help, "%s%s%s%s%s", setting->help, setting->flag ? " [" : "",
                 setting->flag ? setting->key : "", setting->flag && setting->value && *setting->value ? "=" : "",
                 setting->flag ? (setting->value ? setting->value : "") : "");
        if (setting->flag)
            snprintf(help + strlen(help), sizeof help - strlen(help), "]");
        printf("%-*s", HELP_COLUMN - 1, left);
        printf(strlen(left) >= HELP_COLUMN - 1 ? "\n%*s" : " ", strlen(left) >= HELP_COLUMN - 1 ? HELP_COLUMN : 0, "");
        print_wrapped(help, HELP_COLUMN);
    }
    printf("\n  --print-config              print the settings and where each comes from\n"
           "  --version, --help\n\n"
           "Each option is also a setting: the name in brackets, in the environment or in a file with lines KEY=value\n"
           "(VMAFX_CONFIG, else ~/.config/vmafx/config, else /etc/vmafx/config). Telemetry is set by OTEL_... "
           "variables.\n");
}

static void print_settings(const VmafxSettings *settings)
{
    for (size_t i = 0; i < settings->program->n_settings; i++) {
        const VmafxSetting *setting = &settings->program->settings[i];
        const Value *value = &settings->values[i];
        printf("# %s (%s)\n%s%s=%s\n", setting->help, value->text ? value->source : "not set", value->text ? "" : "#",
               setting->key,
               !value->text                      ? ""
               : setting->secret && *value->text ? "********"
                                                 : value->text);
    }
}

/* ---- The header's functions ---- */

int vmafx_settings_read(const VmafxProgramInfo *program, int argc, char **argv, VmafxSettings **ret)
{
    VMAFX_AUTO(vmafx_settings_free) VmafxSettings *settings = calloc(1, sizeof *settings);

    vmafx_complaints_hide_urls();
    if (settings)
        settings->values = calloc(program->n_settings + 1, sizeof *settings->values);
    if (!settings || !settings->values) {
        fprintf(stderr, "%s: %s\n", program->name, vmafx_err_text(VMAFX_ERR_NOMEM));
        return 2;
    }
    settings->program = program;

    Wish wish = read_flags(settings, argc, argv);
    if (wish == WISH_HELP)
        return print_help(program), 0;
    if (wish == WISH_VERSION)
        return printf("%s %s\n", program->name, program->version), 0;
    if (wish == WISH_REFUSED || !read_config(settings))
        return 2;
    if (wish == WISH_PRINT)
        return print_settings(settings), 0;
    *ret = VMAFX_TAKE(settings);
    return -1;
}

void vmafx_settings_free(VmafxSettings **settings)
{
    if (*settings && (*settings)->values)
        for (size_t i = 0; i < (*settings)->program->n_settings; i++) {
            free((*settings)->values[i].text);
            free((*settings)->values[i].source);
        }
    if (*settings)
        free((*settings)->values);
    free(*settings);
    *settings = NULL;
}

static const Value *find(const VmafxSettings *settings, const char *key)
{
    for (size_t i = 0; i < settings->program->n_settings; i++)
        if (!strcmp(settings->program->settings[i].key, key))
            return &settings->values[i];
    assert(!"a setting that is not in the table");
    return NULL;
}

const char *vmafx_settings_text(const VmafxSettings *settings, const char *key)
{
    const Value *value = find(settings, key);

    return value && value->text && *value->text ? value->text : NULL;
}

int64_t vmafx_settings_int(const VmafxSettings *settings, const char *key)
{
    const Value *value = find(settings, key);

    return value ? value->number : 0;
}

bool vmafx_settings_bool(const VmafxSettings *settings, const char *key)
{
    return vmafx_settings_int(settings, key) != 0;
}
