/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* `vmafx man [COMMAND]`: manual pages in roff, from the commands' tables. */

#include <string.h>

#include <vmafx/engine.h>

#include "base/base.h"
#include "programs/cli/cli.h"

static const struct {
    int code;
    const char *text;
} exits[] = {
    { EXIT_COMPLETE, "complete" },
    { EXIT_USAGE, "usage: an argument is wrong or missing" },
    { EXIT_INPUT, "input missing, unreadable or corrupt from the start" },
    { EXIT_INCOMPARABLE, "inputs not comparable, known before the first frame" },
    { EXIT_MODEL, "model, feature or option not usable" },
    { EXIT_OUTPUT, "output could not be written" },
    { EXIT_PARTIAL, "partial: the scores cover only the first part" },
    { EXIT_CANCELLED, "cancelled or timed out" },
    { EXIT_ENCODER, "encoder not usable, or it failed" },
    { EXIT_TARGET, "no recipe of a ladder reaches the target" },
    { EXIT_DEFECT, "a defect of vmafx, or no memory" },
};

/* ---- roff ---- */

/* The code point that begins at *s, and its length in bytes; a byte that is not UTF-8 counts as itself. */
static unsigned code_point(const char *s, int *ret_len)
{
    unsigned char lead = (unsigned char)*s;
    int len = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    unsigned v = len == 1 ? lead : lead & (0x7Fu >> len);

    for (int i = 1; i < len; i++) {
        if (((unsigned char)s[i] & 0xC0) != 0x80) {
            *ret_len = 1;
            return lead;
        }
        v = v << 6 | ((unsigned char)s[i] & 0x3F);
    }
    *ret_len = len;
    return v;
}

static const char *escape_of(char c)
{
    switch (c) {
    case '\\':
        return "\\e";
    case '-':
        return "\\-";
    case '\'':
        return "\\(aq";
    case '`':
        return "\\(ga";
    case '"':
        return "\\(dq";
    case '^':
        return "\\(ha";
    case '~':
        return "\\(ti";
    default:
        return NULL;
    }
}

/* Text inside a line; never taken for a request. */
static void roff_n(const char *text, size_t len)
{
    const char *end = text + len;

    if (text < end && *text == '.')
        fputs("\\&", stdout);
    while (text < end) {
        int bytes;
        unsigned c = code_point(text, &bytes);
        const char *escape = c < 0x80 ? escape_of((char)c) : NULL;

        if (escape)
            fputs(escape, stdout);
        else if (c < 0x80)
            putchar((int)c);
        else
            printf("\\[u%04X]", c);
        text += bytes;
    }
}

static void roff(const char *text)
{
    roff_n(text, strlen(text));
}

/* Paragraphs, separated by an empty line. */
static void roff_paragraphs(const char *text)
{
    const char *gap;

    while ((gap = strstr(text, "\n\n"))) {
        roff_n(text, (size_t)(gap - text));
        fputs("\n.PP\n", stdout);
        text = gap + 2;
    }
    roff(text);
    putchar('\n');
}

static void upper(const char *text)
{
    for (; *text; text++)
        putchar(*text >= 'a' && *text <= 'z' ? *text - 'a' + 'A' : *text);
}

static void title(const char *command)
{
    fputs(".TH VMAFX", stdout);
    if (command) {
        fputs("\\-", stdout);
        upper(command);
    }
    puts(" 1 \"\" \"VMAFX " VMAFX_ENGINE_VERSION "\" \"VMAFX\"");
    /* No hyphenation, ragged right: options and paths stay whole. */
    puts(".nh\n.ad l");
}

/* ---- one command ---- */

/* A comment line leads each example; it becomes the sentence above the command. */
static void print_examples(const char *text)
{
    puts(".SH EXAMPLES");
    while (*text) {
        size_t len = strcspn(text, "\n");

        if (*text == '#') {
            size_t skip = strspn(text, "# ");

            puts(".PP");
            roff_n(text + skip, len - skip);
            puts(len && text[len - 1] == '?' ? "" : ":");
        } else {
            puts(".PP\n.RS 4\n.nf");
            roff_n(text, len);
            puts("\n.fi\n.RE");
        }
        text += len + (text[len] == '\n');
    }
}

static void print_option(char letter, const char *name, const char *arg, const char *help)
{
    puts(".TP");
    if (letter)
        printf("\\fB\\-%c\\fR, ", letter);
    fputs("\\fB\\-\\-", stdout);
    roff(name);
    fputs("\\fR", stdout);
    if (arg) {
        fputs(" \\fI", stdout);
        roff(arg);
        fputs("\\fR", stdout);
    }
    putchar('\n');
    roff(help);
    putchar('\n');
}

static void print_options(const CliCommand *command)
{
    bool own_help = false, letter_h = false;

    puts(".SH OPTIONS");
    for (const CliOption *o = command->options; o && o->name; o++) {
        print_option(o->letter, o->name, o->arg, o->help);
        own_help = own_help || !strcmp(o->name, "help");
        letter_h = letter_h || o->letter == 'h';
    }
    if (!own_help)
        print_option(letter_h ? 0 : 'h', "help", NULL, "Print a shorter form of this page.");
}

static void print_command_page(const CliCommand *command)
{
    title(command->name);
    fputs(".SH NAME\nvmafx\\-", stdout);
    roff(command->name);
    fputs(" \\- ", stdout);
    roff(command->summary);
    fputs("\n.SH SYNOPSIS\n\\fBvmafx ", stdout);
    roff(command->name);
    fputs("\\fR ", stdout);
    roff(command->usage);
    putchar('\n');
    if (command->examples)
        print_examples(command->examples);
    print_options(command);
    if (command->notes) {
        puts(".SH NOTES");
        roff_paragraphs(command->notes);
    }
    puts(".SH SEE ALSO\n\\fBvmafx\\fR(1)");
}

/* ---- the whole ---- */

static void print_term(const char *term, const char *text)
{
    fputs(".TP\n\\fB", stdout);
    roff(term);
    fputs("\\fR\n", stdout);
    roff(text);
    putchar('\n');
}

static void print_overview_page(void)
{
    title(NULL);
    puts(".SH NAME\n"
         "vmafx \\- measure video quality\n"
         ".SH SYNOPSIS\n"
         "\\fBvmafx\\fR \\fICOMMAND\\fR [options]\n"
         ".br\n"
         "\\fBvmafx help\\fR [\\fICOMMAND\\fR]\n"
         ".SH DESCRIPTION\n"
         "Compares a distorted video with its reference and tells how good it looks, on the scale of VMAF from 0 to\n"
         "100, with the same numbers as the reference implementation.\n"
         ".SH COMMANDS");
    for (size_t i = 0; cli_commands[i]; i++)
        print_term(cli_commands[i]->name, cli_commands[i]->summary);
    puts(".SH OPTIONS");
    print_option('h', "help", NULL, "List the commands.");
    print_option('V', "version", NULL, "Print the version.");
    print_option(0, "print-config", NULL, "Print each setting and where it comes from; secrets are masked.");
    puts(".SH EXIT STATUS");
    for (size_t i = 0; i < VMAFX_LEN(exits); i++) {
        char code[16];

        snprintf(code, sizeof code, "%d", exits[i].code);
        print_term(code, exits[i].text);
    }
    puts(".PP\n\\fBvmafx vmaf\\fR, and a link to vmafx named vmaf, have the exit codes of the reference tool instead.");
    puts(".SH ENVIRONMENT");
    print_term("VMAFX_MODEL_PATH", "Folders with model files, separated by colons, searched before all others.");
    print_term("VMAFX_ONNXRUNTIME",
               "The library of ONNX Runtime, which models in ONNX form need; the system's when not set.");
    print_term("VMAFX_CERTS", "The folder in which `vmafx certs` keeps a private authority and its certificates.");
    print_term("VMAFX_TOKENS", "The file of hashes that `vmafx tokens` changes and servers read.");
    print_term("XDG_CONFIG_HOME",
               "Where settings lie, in vmafx/config, and tokens, in vmafx/tokens; ~/.config when not set.");
    print_term("XDG_DATA_HOME",
               "Where `vmafx models import` keeps models, in vmafx/models, and `vmafx certs` its files, "
               "in vmafx/certs; ~/.local/share when not set.");
    fputs(".SH SEE ALSO\n", stdout);
    for (size_t i = 0; cli_commands[i]; i++) {
        fputs(i ? ",\n\\fBvmafx\\-" : "\\fBvmafx\\-", stdout);
        roff(cli_commands[i]->name);
        fputs("\\fR(1)", stdout);
    }
    putchar('\n');
}

/* ---- the command ---- */

static int run_man(int argc, char **argv)
{
    const CliCommand *command = NULL;
    CliParser parser;
    const char *value;
    int id;

    cli_parser_init(&parser, &cli_man, argc, argv);
    while ((id = cli_next(&parser, &value)) != CLI_END) {
        if (id != CLI_POSITIONAL)
            return id == CLI_HELP ? EXIT_COMPLETE : EXIT_USAGE;
        if (command) {
            fprintf(stderr, "vmafx man: one page at a time, but there is '%s' after '%s'\n", value, command->name);
            return EXIT_USAGE;
        }
        command = cli_command_find(value);
        if (!command)
            return cli_command_unknown(value);
    }
    if (command)
        print_command_page(command);
    else
        print_overview_page();
    return EXIT_COMPLETE;
}

static const CliOption man_options[] = { { 0 } };

const CliCommand cli_man = {
    .name = "man",
    .summary = "print a manual page in roff",
    .usage = "[COMMAND]",
    .examples = "# read it\n"
                "vmafx man score | man -l -\n"
                "# keep it\n"
                "vmafx man > ~/.local/share/man/man1/vmafx.1\n",
    .options = man_options,
    .words = "COMMAND",
    .run = run_man,
};
