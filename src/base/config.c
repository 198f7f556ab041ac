/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* One small file, read line by line, below the environment. */

#include "base/config.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"

typedef struct Entry {
    char *key, *value;
    char *source; /* "FILE, line N" */
} Entry;

struct VmafxConfig {
    Entry *entries;
    size_t n;
};

static const struct {
    const char *key, *value; /* NULL: not set */
    const char *meaning;
} known[] = {
    { "VMAFX_MODEL", "vmaf_v0.6.1", "the model when none is named" },
    { "VMAFX_MODEL_PATH", NULL, "folders with models, separated by colons, searched first" },
    { "VMAFX_ONNXRUNTIME", NULL, "the library of ONNX Runtime, for models in ONNX form; the system's when not set" },
    { "VMAFX_CONTROLLER", NULL, "the controller that jobs are submitted to; 127.0.0.1:7801 when not set" },
    { "VMAFX_TLS_CERT", NULL, "our certificate, for mutual TLS with the controller" },
    { "VMAFX_TLS_KEY", NULL, "its key" },
    { "VMAFX_TLS_CA", NULL, "who signs the controller's certificate" },
    { "VMAFX_TLS_SERVER_NAME", NULL, "the name its certificate must have, if it is not the address's" },
    { "VMAFX_TRACE_URL", NULL, "a link to a trace, with {trace_id} in it, for `vmafx trace`" },
    { "VMAFX_TRACE_SOURCE", NULL, "where `vmafx trace` asks for spans" },
    { "VMAFX_CERTS", NULL, "folder of `vmafx certs`" },
    { "VMAFX_TOKENS", NULL, "file of `vmafx tokens`" },
    { "VMAFX_THREADS", NULL, "threads that compute; as many as there are CPUs when not set" },
};

/* ---- reading ---- */

typedef struct Parse {
    VmafxConfig *config;
    const char *name;
    int line;
    VmafxErrInfo *reterr;
} Parse;

static VmafxErr refuse(const Parse *p, VmafxErr err, const char *why)
{
    return vmafx_fail(p->reterr, err, "'%s', line %d: %s", p->name, p->line, why);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Takes blanks off both ends. */
static void trim(const char **text, size_t *len)
{
    while (*len && is_blank((*text)[*len - 1]))
        --*len;
    while (*len && is_blank(**text)) {
        ++*text;
        --*len;
    }
}

static bool is_key(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool letter = (text[i] >= 'A' && text[i] <= 'Z') || text[i] == '_';

        if (!letter && !(i && text[i] >= '0' && text[i] <= '9'))
            return false;
    }
    return len > 0;
}

/* Settings of ours, also of other versions, and those that OpenTelemetry's libraries read. */
static bool is_ours(const char *key, size_t len)
{
    return (len > 6 && !memcmp(key, "VMAFX_", 6)) || (len > 5 && !memcmp(key, "OTEL_", 5));
}

static bool has_control_characters(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (((unsigned char)text[i] < ' ' && text[i] != '\t') || text[i] == 127)
            return true;
    return false;
}

static const Entry *find(const VmafxConfig *config, const char *key)
{
    for (size_t i = 0; i < config->n; i++)
        if (!strcmp(config->entries[i].key, key))
            return &config->entries[i];
    return NULL;
}

static void entry_done(Entry *entry)
{
    free(entry->key);
    free(entry->value);
    free(entry->source);
    *entry = (Entry){ 0 };
}

static VmafxErr add(Parse *p, const char *key, size_t key_len, const char *value, size_t value_len)
{
    VMAFX_AUTO(entry_done)
    Entry entry = { strndup(key, key_len), strndup(value, value_len), vmafx_sprintf("%s, line %d", p->name, p->line) };
    Entry *more = realloc(p->config->entries, (p->config->n + 1) * sizeof *more);

    if (more)
        p->config->entries = more;
    if (!more || !entry.key || !entry.value || !entry.source)
        return refuse(p, VMAFX_ERR_NOMEM, "no memory to read it");
    const Entry *earlier = find(p->config, entry.key);
    if (earlier)
        return vmafx_fail(p->reterr, VMAFX_ERR_SYNTAX, "'%s', line %d: %s has its value already (%s); keep one",
                          p->name, p->line, entry.key, earlier->source);
    more[p->config->n++] = entry;
    entry = (Entry){ 0 };
    return VMAFX_OK;
}

static VmafxErr read_line(Parse *p, const char *text, size_t len)
{
    if (len > VMAFX_CONFIG_LINE_MAX)
        return refuse(p, VMAFX_ERR_LIMIT, "the line is longer than 4096 bytes");
    trim(&text, &len);
    if (!len || *text == '#')
        return VMAFX_OK;
    if (has_control_characters(text, len))
        return refuse(p, VMAFX_ERR_SYNTAX, "there is a control character in the line; is this a text file?");

    const char *equals = memchr(text, '=', len);
    if (!equals)
        return refuse(p, VMAFX_ERR_SYNTAX, "there is no '='; a line is KEY=value, or begins with # for a comment");
    const char *value = equals + 1;
    size_t key_len = (size_t)(equals - text), value_len = len - key_len - 1;
    trim(&text, &key_len);
    trim(&value, &value_len);
    if (!is_key(text, key_len))
        return refuse(p, VMAFX_ERR_SYNTAX, "before '=' stands no name made of capital letters, digits and '_'");
    if (!is_ours(text, key_len))
        return vmafx_fail(p->reterr, VMAFX_ERR_SYNTAX,
                          "'%s', line %d: there is no setting '%.*s'; their names begin with VMAFX_ or OTEL_", p->name,
                          p->line, (int)VMAFX_MIN(key_len, (size_t)64), text);
    if (value_len >= 2 && (*value == '"' || *value == '\'') && value[value_len - 1] == *value) {
        value++;
        value_len -= 2;
    }
    if (p->config->n == VMAFX_CONFIG_ENTRIES_MAX)
        return refuse(p, VMAFX_ERR_LIMIT, "there are more than 1000 settings");
    return add(p, text, key_len, value, value_len);
}

VmafxErr vmafx_config_parse(const char *text, size_t len, const char *name, VmafxConfig **ret_config,
                            VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_config_free) VmafxConfig *config = calloc(1, sizeof *config);
    Parse p = { config, name, 0, reterr };

    if (!config)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory to read '%s'", name);
    if (len > VMAFX_CONFIG_BYTES_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "'%s' is larger than %zu bytes", name, VMAFX_CONFIG_BYTES_MAX);
    while (len) {
        const char *end = memchr(text, '\n', len);
        size_t line_len = end ? (size_t)(end - text) : len;

        p.line++;
        VmafxErr err = read_line(&p, text, line_len);
        if (err)
            return err;
        text += line_len + (end != NULL);
        len -= line_len + (end != NULL);
    }
    *ret_config = VMAFX_TAKE(config);
    return VMAFX_OK;
}

/* ---- finding the file ---- */

static const char *variable(const char *name)
{
    const char *value = getenv(name);

    return value && *value ? value : NULL;
}

/* The user's file; NULL when there is no home. */
static char *user_file(void)
{
    const char *folder = variable("XDG_CONFIG_HOME"), *home = variable("HOME");

    if (folder)
        return vmafx_sprintf("%s/vmafx/config", folder);
    if (!home) {
        const struct passwd *user = getpwuid(getuid());

        home = user ? user->pw_dir : NULL;
    }
    return home ? vmafx_sprintf("%s/.config/vmafx/config", home) : NULL;
}

static VmafxErr load_from(const char *path, VmafxConfig **ret_config, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_free_p) char *text = NULL;
    size_t len;
    VmafxErr err = vmafx_read_file(path, VMAFX_CONFIG_BYTES_MAX, &text, &len, reterr);

    return err ? err : vmafx_config_parse(text, len, path, ret_config, reterr);
}

VmafxErr vmafx_config_load(VmafxConfig **ret_config, VmafxErrInfo *reterr)
{
    const char *named = variable("VMAFX_CONFIG");

    if (named) {
        VmafxErr err = load_from(named, ret_config, reterr);

        return err == VMAFX_ERR_NOT_FOUND
                   ? vmafx_fail(reterr, err, "there is no file '%s', which VMAFX_CONFIG names", named)
                   : err;
    }
    VMAFX_AUTO(vmafx_free_p) char *user = user_file();
    const char *const paths[] = { user, "/etc/vmafx/config" };
    for (size_t i = 0; i < VMAFX_LEN(paths); i++) {
        VmafxErr err = paths[i] ? load_from(paths[i], ret_config, reterr) : VMAFX_ERR_NOT_FOUND;

        if (err != VMAFX_ERR_NOT_FOUND)
            return err;
    }
    return vmafx_config_parse("", 0, "no file", ret_config, reterr);
}

void vmafx_config_free(VmafxConfig **config)
{
    VmafxConfig *c = VMAFX_TAKE(*config);

    if (!c)
        return;
    for (size_t i = 0; i < c->n; i++)
        entry_done(&c->entries[i]);
    free(c->entries);
    free(c);
}

/* ---- looking up ---- */

const char *vmafx_config_get(const VmafxConfig *config, const char *key, const char **ret_source)
{
    const char *value = variable(key), *source = "environment";
    const Entry *entry = value ? NULL : find(config, key);

    if (entry) {
        value = entry->value;
        source = entry->source;
    }
    for (size_t i = 0; !value && i < VMAFX_LEN(known); i++)
        if (!strcmp(known[i].key, key)) {
            value = known[i].value;
            source = "default";
        }
    if (ret_source)
        *ret_source = value ? source : "not set";
    return value;
}

/* ---- printing ---- */

static bool is_secret(const char *key)
{
    /* what OpenTelemetry sends with each request (…_HEADERS) usually holds a token */
    static const char *const endings[] = { "_TOKEN", "_PASSWORD", "_KEY", "_SECRET", "_HEADERS" };
    size_t len = strlen(key);

    for (size_t i = 0; i < VMAFX_LEN(endings); i++) {
        size_t n = strlen(endings[i]);

        if (len >= n && !strcmp(key + len - n, endings[i]))
            return true;
    }
    return false;
}

/* The environment may hold anything; none of it steers a terminal. */
static void print_text(FILE *out, const char *text)
{
    for (; *text; text++)
        putc((unsigned char)*text < ' ' || *text == 127 ? '?' : *text, out);
}

static void print_setting(const VmafxConfig *config, const char *key, const char *meaning, FILE *out)
{
    const char *source;
    const char *value = vmafx_config_get(config, key, &source);

    fprintf(out, "# %s\n# from: ", meaning);
    print_text(out, source);
    fprintf(out, "\n%s%s=", value ? "" : "#", key);
    if (value && *value && is_secret(key))
        fputs("********", out);
    else
        print_text(out, value ? value : "");
    putc('\n', out);
}

static bool is_known(const char *key)
{
    for (size_t i = 0; i < VMAFX_LEN(known); i++)
        if (!strcmp(known[i].key, key))
            return true;
    return false;
}

void vmafx_config_print(const VmafxConfig *config, FILE *out)
{
    for (size_t i = 0; i < VMAFX_LEN(known); i++)
        print_setting(config, known[i].key, known[i].meaning, out);
    for (size_t i = 0; i < config->n; i++)
        if (!is_known(config->entries[i].key))
            print_setting(config, config->entries[i].key, "not used by this version", out);
}
