/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The table of commands; reading arguments by a command's table, and saying what a table knows. */

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/base.h"
#include "base/nearest.h"
#include "programs/cli/cli.h"

#define HELP_WIDTH  80
#define HELP_COLUMN 30 /* where the options' sentences begin */
#define OPTIONS_MAX 128

const CliCommand *const cli_commands[] = {
    &cli_score, &cli_encode_score, &cli_ladder, &cli_submit, &cli_jobs,  &cli_job,        &cli_watch,  &cli_result,
    &cli_trace, &cli_cancel,       &cli_retry,  &cli_delete, &cli_nodes, &cli_drain,      &cli_models, &cli_encoders,
    &cli_certs, &cli_tokens,       &cli_dev,    &cli_doctor, &cli_vmaf,  &cli_completion, &cli_man,    NULL,
};

const CliCommand *cli_command_find(const char *name)
{
    for (size_t i = 0; cli_commands[i]; i++)
        if (!strcmp(cli_commands[i]->name, name))
            return cli_commands[i];
    return NULL;
}

int cli_command_unknown(const char *name)
{
    const char *names[VMAFX_LEN(cli_commands)];
    int n = 0;

    for (size_t i = 0; cli_commands[i]; i++)
        names[n++] = cli_commands[i]->name;
    names[n++] = "help";

    const char *nearest = vmafx_nearest(name, names, n);
    fprintf(stderr, "vmafx: there is no command '%s'", name);
    if (nearest)
        fprintf(stderr, "; did you mean '%s'", nearest);
    fprintf(stderr, "%s `vmafx --help` lists them\n", nearest ? "?" : ";");
    return EXIT_USAGE;
}

/* ---- arguments ---- */

static int refuse(const CliParser *parser, const char *fmt, ...) VMAFX_PRINTF(2, 3);

static int refuse(const CliParser *parser, const char *fmt, ...)
{
    va_list args;

    fprintf(stderr, "vmafx %s: ", parser->command->name);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fprintf(stderr, " `vmafx %s --help` explains the options\n", parser->command->name);
    return CLI_ERROR;
}

static const CliOption *option_named(const CliCommand *command, const char *name, size_t len)
{
    for (const CliOption *o = command->options; o && o->name; o++)
        if (strlen(o->name) == len && !memcmp(o->name, name, len))
            return o;
    return NULL;
}

static const CliOption *option_lettered(const CliCommand *command, char letter)
{
    for (const CliOption *o = command->options; o && o->name; o++)
        if (letter && o->letter == letter)
            return o;
    return NULL;
}

static int unknown_option(const CliParser *parser, const char *name, size_t len)
{
    VMAFX_AUTO(vmafx_free_p) char *word = vmafx_sprintf("%.*s", (int)VMAFX_MIN(len, (size_t)1000), name);
    const char *names[OPTIONS_MAX];
    int n = 0;

    names[n++] = "help";
    for (const CliOption *o = parser->command->options; o && o->name && n < OPTIONS_MAX; o++)
        names[n++] = o->name;

    const char *nearest = word ? vmafx_nearest(word, names, n) : NULL;
    if (nearest)
        return refuse(parser, "there is no option '--%s'; did you mean '--%s'?", word, nearest);
    return refuse(parser, "there is no option '--%s';", word ? word : "");
}

static int show_help(const CliParser *parser)
{
    cli_help(parser->command);
    return CLI_HELP;
}

/* The value in the next argument. */
static int take_next(CliParser *parser, const CliOption *option, const char **ret_value)
{
    const char *next = parser->next < parser->argc ? parser->argv[parser->next] : NULL;

    if (!next)
        return refuse(parser, "--%s needs a value: --%s %s;", option->name, option->name, option->arg);
    if (!strncmp(next, "--", 2))
        return refuse(parser, "--%s needs a value, and '%s' looks like an option; if it is meant, write --%s=%s;",
                      option->name, next, option->name, next);
    parser->next++;
    *ret_value = next;
    return option->id;
}

static int long_option(CliParser *parser, const char *text, const char **ret_value)
{
    const char *equals = strchr(text, '=');
    size_t len = equals ? (size_t)(equals - text) : strlen(text);
    const CliOption *option = option_named(parser->command, text, len);

    if (!option)
        return !strcmp(text, "help") ? show_help(parser) : unknown_option(parser, text, len);
    if (option->arg && !equals)
        return take_next(parser, option, ret_value);
    if (!option->arg && equals)
        return refuse(parser, "--%s is a switch and takes no value; leave '%s' away;", option->name, equals);
    *ret_value = equals ? equals + 1 : NULL;
    return option->id;
}

static int short_option(CliParser *parser, const char **ret_value)
{
    char letter = *parser->cluster++;
    const CliOption *option = option_lettered(parser->command, letter);
    const char *rest = *parser->cluster ? parser->cluster : NULL;

    parser->cluster = rest;
    if (!option)
        return letter == 'h' ? show_help(parser) : refuse(parser, "there is no option '-%c';", letter);
    if (!option->arg)
        return option->id;
    parser->cluster = NULL;
    if (!rest)
        return take_next(parser, option, ret_value);
    *ret_value = rest;
    return option->id;
}

void cli_parser_init(CliParser *parser, const CliCommand *command, int argc, char **argv)
{
    *parser = (CliParser){ .command = command, .argc = argc, .next = 1, .argv = argv };
}

int cli_next(CliParser *parser, const char **ret_value)
{
    *ret_value = NULL;
    if (parser->cluster)
        return short_option(parser, ret_value);
    if (parser->next >= parser->argc)
        return CLI_END;

    const char *text = parser->argv[parser->next++];
    if (parser->only_positional || text[0] != '-' || !text[1]) {
        *ret_value = text;
        return CLI_POSITIONAL;
    }
    if (!strcmp(text, "--")) {
        parser->only_positional = true;
        return cli_next(parser, ret_value);
    }
    if (text[1] == '-')
        return long_option(parser, text + 2, ret_value);
    /* Other tools write long options with one dash; taken as -n and a value it would surprise. */
    if (text[2] && (option_named(parser->command, text + 1, strlen(text + 1)) || !strcmp(text, "-help")))
        return refuse(parser, "'%s' needs two dashes: '-%s';", text, text);
    parser->cluster = text + 1;
    return short_option(parser, ret_value);
}

bool cli_int(const char *option, const char *text, long long lo, long long hi, long long *ret)
{
    const char *digits = *text == '-' || *text == '+' ? text + 1 : text;
    char *end;

    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (!isdigit((unsigned char)*digits) || *end || errno || v < lo || v > hi) {
        const char *dashes = islower((unsigned char)*option) ? "--" : ""; /* a setting has none */

        fprintf(stderr, "vmafx: %s%s takes a whole number from %lld to %lld, not '%s'\n", dashes, option, lo, hi, text);
        return false;
    }
    *ret = v;
    return true;
}

/* ---- help ---- */

/* Columns that so many bytes of UTF-8 take. */
static int columns(const char *text, size_t len)
{
    int n = 0;

    for (size_t i = 0; i < len; i++)
        n += (text[i] & 0xC0) != 0x80;
    return n;
}

/* Prints the words of text from the given column on; further lines are indented. Ends the line. */
static void print_wrapped(const char *text, int column, int indent)
{
    bool first = true;

    while (*text) {
        size_t len = strcspn(text, " \n");
        int width = columns(text, len);

        if (!first && column + 1 + width > HELP_WIDTH) {
            printf("\n%*s", indent, "");
            column = indent;
        } else if (!first) {
            putchar(' ');
            column++;
        }
        printf("%.*s", (int)len, text);
        column += width;
        first = false;
        text += len;
        if (!strncmp(text, "\n\n", 2)) {
            printf("\n\n%*s", indent, "");
            column = indent;
            first = true;
        }
        text += strspn(text, " \n");
    }
    putchar('\n');
}

static void print_indented_lines(const char *text)
{
    while (*text) {
        size_t len = strcspn(text, "\n");

        printf("  %.*s\n", (int)len, text);
        text += len + (text[len] == '\n');
    }
}

static void print_option(char letter, const char *name, const char *arg, const char *help)
{
    char head[80];
    const char *start = letter ? "-?, " : "    ";
    int n = snprintf(head, sizeof head, "  %s--%s%s%s", start, name, arg ? " " : "", arg ? arg : "");

    if (letter)
        head[3] = letter;
    if (n + 2 > HELP_COLUMN)
        printf("%s\n%*s", head, HELP_COLUMN, "");
    else
        printf("%-*s", HELP_COLUMN, head);
    print_wrapped(help, HELP_COLUMN, HELP_COLUMN);
}

void cli_help(const CliCommand *command)
{
    printf("vmafx %s: %s\n", command->name, command->summary);
    if (command->examples) {
        putchar('\n');
        print_indented_lines(command->examples);
    }
    printf("\nusage: vmafx %s %s\n\n", command->name, command->usage);
    for (const CliOption *o = command->options; o && o->name; o++)
        print_option(o->letter, o->name, o->arg, o->help);
    if (!option_named(command, "help", 4))
        print_option(option_lettered(command, 'h') ? 0 : 'h', "help", NULL, "This text.");
    if (command->notes) {
        putchar('\n');
        print_wrapped(command->notes, 0, 0);
    }
}

/* ---- errors ---- */

int cli_exit_for(VmafxErr err)
{
    switch (err) {
    case VMAFX_OK:
        return EXIT_COMPLETE;
    case VMAFX_ERR_MISMATCH:
        return EXIT_INCOMPARABLE;
    case VMAFX_ERR_ENCODER:
        return EXIT_ENCODER;
    case VMAFX_ERR_MODEL:
    case VMAFX_ERR_FEATURE:
    case VMAFX_ERR_SYNTAX:
    case VMAFX_ERR_UNSUPPORTED:
        return EXIT_MODEL;
    case VMAFX_ERR_NOT_FOUND:
    case VMAFX_ERR_INPUT:
    case VMAFX_ERR_TRUNCATED:
    case VMAFX_ERR_IO:
    case VMAFX_ERR_LIMIT:
    case VMAFX_ERR_INVALID:
        return EXIT_INPUT;
    default: /* no memory, calls in the wrong order: nothing the user gave is wrong */
        return EXIT_DEFECT;
    }
}
