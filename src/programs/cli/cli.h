/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The command line's own frame: one table per command, from which parsing, --help, shell completion and the man
 * pages are made.
 */
#ifndef VMAFX_PROGRAMS_CLI_CLI_H
#define VMAFX_PROGRAMS_CLI_CLI_H

#include <stdbool.h>

#include <vmafx/error.h>

/* Exit codes; docs/cli.md tells users the same. */
enum {
    EXIT_COMPLETE = 0,
    EXIT_USAGE = 2,
    EXIT_INPUT = 3,        /* input missing, unreadable or corrupt from the start */
    EXIT_INCOMPARABLE = 4, /* known before the first frame */
    EXIT_MODEL = 5,        /* model, feature or option not usable */
    EXIT_OUTPUT = 6,       /* output could not be written */
    EXIT_PARTIAL = 7,      /* scores cover a prefix only */
    EXIT_REMOTE = 8,
    EXIT_JOB_FAILED = 9,
    EXIT_CANCELLED = 10, /* cancelled or timed out */
    EXIT_ENCODER = 11,   /* the encoder cannot be used, or has failed */
    EXIT_TARGET = 12,    /* no recipe reaches the target */
    EXIT_DEFECT = 70,
};

/* One option. A table ends with an entry whose name is NULL. */
typedef struct CliOption {
    int id;             /* 1 …, what cli_next gives back */
    char letter;        /* short form, or 0 */
    const char *name;   /* long form without dashes */
    const char *arg;    /* name of its value ("FILE"), or NULL for a switch */
    const char *help;   /* one sentence or two */
    const char *values; /* for completion: words separated by blanks; NULL: files when arg is FILE or DIR */
} CliOption;

typedef struct CliCommand {
    const char *name;     /* "score" */
    const char *summary;  /* one line */
    const char *usage;    /* "--reference FILE --distorted FILE [options]" */
    const char *examples; /* lines: a comment line "# ...", then the command */
    const char *notes;    /* paragraphs after the options, or NULL */
    const CliOption *options;
    const char *words; /* for completion: what the first argument without dashes may be; "COMMAND": any command */
    bool files;        /* for completion: such arguments may be files */
    int (*run)(int argc, char **argv); /* argv[0] is the command's name; the result is the exit code */
} CliCommand;

extern const CliCommand cli_score, cli_encode_score, cli_ladder, cli_encoders, cli_vmaf, cli_models, cli_certs,
    cli_tokens, cli_doctor, cli_completion, cli_man;
extern const CliCommand cli_submit, cli_jobs, cli_job, cli_watch, cli_cancel, cli_retry, cli_delete, cli_result,
    cli_nodes, cli_drain, cli_trace, cli_dev;

/** Every command, in the order in which --help lists them; ended by NULL. */
extern const CliCommand *const cli_commands[];

/** The command of that name, or NULL. */
const CliCommand *cli_command_find(const char *name);
/** Says on stderr that there is no such command, with the nearest one; gives EXIT_USAGE back. */
int cli_command_unknown(const char *name);

enum { CLI_END = 0, CLI_POSITIONAL = -1, CLI_ERROR = -2, CLI_HELP = -3 };

typedef struct CliParser {
    const CliCommand *command;
    int argc, next;
    char **argv;
    const char *cluster;  /* rest of a group of short options */
    bool only_positional; /* after -- */
} CliParser;

void cli_parser_init(CliParser *parser, const CliCommand *command, int argc, char **argv);

/**
 * The next argument: an option's id (value in *ret_value, or NULL for a switch), CLI_POSITIONAL (its text), CLI_END,
 * CLI_HELP when --help was asked for (it has been printed to stdout; exit with 0), CLI_ERROR when the argument is
 * unknown or lacks its value (the sentence, with the nearest name, is on stderr; exit with EXIT_USAGE). Accepts
 * --name=value, --name value, -nvalue, -n value; unambiguous prefixes are NOT accepted. A value that begins with two
 * dashes needs the form with '='. -h is --help where the command has no option of that letter.
 */
int cli_next(CliParser *parser, const char **ret_value);

void cli_help(const CliCommand *command); /* to stdout, examples first */

/** A whole number lo … hi, or a sentence on stderr naming the option. */
bool cli_int(const char *option, const char *text, long long lo, long long hi, long long *ret);

/** The exit code for an error found while opening or scoring. */
int cli_exit_for(VmafxErr err);
#endif
