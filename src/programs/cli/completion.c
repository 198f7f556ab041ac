/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * `vmafx completion bash|zsh|fish`: scripts that complete commands, options, values and files, from the commands'
 * tables. Nothing of vmafx runs while completing.
 */

#include <string.h>

#include "base/base.h"
#include "programs/cli/cli.h"

static bool takes_files(const CliOption *o)
{
    return o->arg && !o->values && (!strcmp(o->arg, "FILE") || !strcmp(o->arg, "DIR"));
}

static bool has_letter(const CliCommand *command, char letter)
{
    for (const CliOption *o = command->options; o && o->name; o++)
        if (o->letter == letter)
            return true;
    return false;
}

/* Is --help among the command's own options, or added by the parser? */
static bool has_own_help(const CliCommand *command)
{
    for (const CliOption *o = command->options; o && o->name; o++)
        if (!strcmp(o->name, "help"))
            return true;
    return false;
}

static void print_command_names(void)
{
    for (size_t i = 0; cli_commands[i]; i++)
        printf("%s%s", i ? " " : "", cli_commands[i]->name);
}

/* What the command's first argument without dashes may be, separated by blanks. */
static void print_words(const CliCommand *command)
{
    if (!command->words)
        return;
    if (!strcmp(command->words, "COMMAND"))
        print_command_names();
    else
        fputs(command->words, stdout);
}

/* The text inside '…' of a shell, with a backslash before each of the special characters. */
static void print_quoted(const char *text, const char *special, const char *quote)
{
    for (; *text; text++) {
        if (*text == '\'') {
            fputs(quote, stdout);
            continue;
        }
        if (strchr(special, *text))
            putchar('\\');
        putchar(*text);
    }
}

/* ---- bash ---- */

static void bash_options(const CliCommand *command)
{
    fputs("            options='", stdout);
    for (const CliOption *o = command->options; o && o->name; o++) {
        if (o->letter)
            printf("-%c ", o->letter);
        printf("--%s ", o->name);
    }
    printf("%s'\n", has_own_help(command) ? "" : "--help");
    fputs("            words='", stdout);
    print_words(command);
    printf("' files=%s\n", command->files ? "yes" : "");
}

static void bash_values(const CliCommand *command)
{
    fputs("            case $option in\n", stdout);
    for (const CliOption *o = command->options; o && o->name; o++) {
        if (!o->arg)
            continue;
        fputs("                ", stdout);
        if (o->letter)
            printf("-%c | ", o->letter);
        printf("--%s) takes=%s values='%s' ;;\n", o->name, takes_files(o) ? "file" : "value",
               o->values ? o->values : "");
    }
    fputs("            esac\n", stdout);
}

static void print_bash(void)
{
    fputs("# bash completion of vmafx; made by `vmafx completion bash`\n"
          "_vmafx()\n"
          "{\n"
          "    local current=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}\n"
          "    local options= words= files= takes= values= first= i\n"
          "    COMPREPLY=()\n"
          "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
          "        COMPREPLY=($(compgen -W '",
          stdout);
    print_command_names();
    fputs(" help --help --version --print-config' -- \"$current\"))\n"
          "        return\n"
          "    fi\n"
          "    # --name=value arrives as three words\n"
          "    if [ \"$current\" = = ]; then\n"
          "        current=\n"
          "    elif [ \"$option\" = = ]; then\n"
          "        option=${COMP_WORDS[COMP_CWORD-2]}\n"
          "    fi\n"
          "    case $command in\n",
          stdout);
    for (size_t i = 0; cli_commands[i]; i++) {
        printf("        %s)\n", cli_commands[i]->name);
        bash_options(cli_commands[i]);
        bash_values(cli_commands[i]);
        fputs("            ;;\n", stdout);
    }
    fputs("        help) words='", stdout);
    print_command_names();
    fputs("' ;;\n"
          "    esac\n"
          "    for ((i = 2; i < COMP_CWORD; i++)); do\n"
          "        case ${COMP_WORDS[i]} in\n"
          "            -*) ;;\n"
          "            *) case \" $words \" in *\" ${COMP_WORDS[i]} \"*) first=given ;; esac ;;\n"
          "        esac\n"
          "    done\n"
          "    if [ \"$takes\" = value ]; then\n"
          "        COMPREPLY=($(compgen -W \"$values\" -- \"$current\"))\n"
          "    elif [ \"$takes\" = file ]; then\n"
          "        compopt -o filenames 2>/dev/null\n"
          "        mapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
          "    elif [ \"${current:0:1}\" = - ]; then\n"
          "        COMPREPLY=($(compgen -W \"$options\" -- \"$current\"))\n"
          "    elif [ -n \"$words\" ] && [ -z \"$first\" ]; then\n"
          "        COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
          "    elif [ -n \"$files\" ]; then\n"
          "        compopt -o filenames 2>/dev/null\n"
          "        mapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
          "    elif [ -z \"$words\" ]; then\n"
          "        COMPREPLY=($(compgen -W \"$options\" -- \"$current\"))\n"
          "    fi\n"
          "}\n"
          "complete -F _vmafx vmafx\n",
          stdout);
}

/* ---- zsh ---- */

static void zsh_option(const char *dashes_name, const CliOption *o)
{
    printf("                '*%s[", dashes_name);
    print_quoted(o->help, "[]\\:", "'\\''");
    putchar(']');
    if (o->arg) {
        printf(":%s:", o->arg);
        if (takes_files(o))
            fputs("_files", stdout);
        else if (o->values)
            printf("(%s)", o->values);
    }
    fputs("' \\\n", stdout);
}

static void zsh_command(const CliCommand *command)
{
    printf("        %s)\n"
           "            _arguments \\\n",
           command->name);
    for (const CliOption *o = command->options; o && o->name; o++) {
        char name[72];

        snprintf(name, sizeof name, "--%s%s", o->name, o->arg ? "=" : "");
        zsh_option(name, o);
        snprintf(name, sizeof name, "-%c%s", o->letter, o->arg ? "+" : "");
        if (o->letter)
            zsh_option(name, o);
    }
    if (command->words) {
        fputs("                '1:argument:(", stdout);
        print_words(command);
        fputs(")' \\\n", stdout);
    }
    if (command->files)
        fputs("                '*:file:_files' \\\n", stdout);
    if (has_own_help(command))
        fputs("                && return\n", stdout);
    else
        printf("                %s'--help[Explain the command.]'\n",
               has_letter(command, 'h') ? "" : "'-h[Explain the command.]' ");
    fputs("            ;;\n", stdout);
}

static void print_zsh(void)
{
    fputs("#compdef vmafx\n"
          "# zsh completion of vmafx; made by `vmafx completion zsh`\n"
          "_vmafx()\n"
          "{\n"
          "    local -a commands\n"
          "    commands=(\n",
          stdout);
    for (size_t i = 0; cli_commands[i]; i++) {
        printf("        '%s:", cli_commands[i]->name);
        print_quoted(cli_commands[i]->summary, "\\:", "'\\''");
        fputs("'\n", stdout);
    }
    fputs("        'help:explain a command'\n"
          "    )\n"
          "    if ((CURRENT == 2)); then\n"
          "        _describe command commands\n"
          "        _arguments '--help[List the commands.]' '--version[Print the version.]' \\\n"
          "            '--print-config[Print the settings and where each comes from.]'\n"
          "        return\n"
          "    fi\n"
          "    shift words\n"
          "    ((CURRENT--))\n"
          "    case $words[1] in\n",
          stdout);
    for (size_t i = 0; cli_commands[i]; i++)
        zsh_command(cli_commands[i]);
    fputs("        help) ((CURRENT == 2)) && _describe command commands ;;\n"
          "    esac\n"
          "}\n"
          "if [ \"$funcstack[1]\" = _vmafx ]; then\n"
          "    _vmafx \"$@\"\n"
          "else\n"
          "    compdef _vmafx vmafx\n"
          "fi\n",
          stdout);
}

/* ---- fish ---- */

static void fish_option(const CliCommand *command, const CliOption *o)
{
    printf("complete -c vmafx -n '__vmafx_command %s' -l %s", command->name, o->name);
    if (o->letter)
        printf(" -s %c", o->letter);
    if (takes_files(o))
        fputs(" -r -F", stdout);
    else if (o->values)
        printf(" -x -a '%s'", o->values);
    else if (o->arg)
        fputs(" -x", stdout);
    fputs(" -d '", stdout);
    print_quoted(o->help, "\\", "\\'");
    fputs("'\n", stdout);
}

static void fish_command(const CliCommand *command)
{
    printf("complete -c vmafx -n __vmafx_bare -a %s -d '", command->name);
    print_quoted(command->summary, "\\", "\\'");
    fputs("'\n", stdout);
    for (const CliOption *o = command->options; o && o->name; o++)
        fish_option(command, o);
    if (!has_own_help(command))
        printf("complete -c vmafx -n '__vmafx_command %s' -l help%s -d 'Explain the command.'\n", command->name,
               has_letter(command, 'h') ? "" : " -s h");
    if (command->words) {
        printf("complete -c vmafx -n '__vmafx_command %s; and __vmafx_first' -a '", command->name);
        print_words(command);
        fputs("'\n", stdout);
    }
    if (command->files)
        printf("complete -c vmafx -n '__vmafx_command %s; and not __vmafx_first' -F\n", command->name);
}

static void print_fish(void)
{
    fputs("# fish completion of vmafx; made by `vmafx completion fish`\n"
          "function __vmafx_bare\n"
          "    test (count (commandline -opc)) -eq 1\n"
          "end\n"
          "function __vmafx_command\n"
          "    set -l given (commandline -opc)\n"
          "    test (count $given) -ge 2; and test \"$given[2]\" = $argv[1]\n"
          "end\n"
          "function __vmafx_first\n"
          "    test (count (string match -v -- '-*' (commandline -opc))) -eq 2\n"
          "end\n"
          "complete -c vmafx -f\n"
          "complete -c vmafx -n __vmafx_bare -l help -d 'List the commands.'\n"
          "complete -c vmafx -n __vmafx_bare -l version -d 'Print the version.'\n"
          "complete -c vmafx -n __vmafx_bare -l print-config -d 'Print the settings and where each comes from.'\n"
          "complete -c vmafx -n __vmafx_bare -a help -d 'explain a command'\n"
          "complete -c vmafx -n '__vmafx_command help; and __vmafx_first' -a '",
          stdout);
    print_command_names();
    fputs("'\n", stdout);
    for (size_t i = 0; cli_commands[i]; i++)
        fish_command(cli_commands[i]);
}

/* ---- the command ---- */

static int run_completion(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*print)(void);
    } shells[] = { { "bash", print_bash }, { "zsh", print_zsh }, { "fish", print_fish } };
    CliParser parser;
    const char *value, *shell = NULL;
    int id;

    cli_parser_init(&parser, &cli_completion, argc, argv);
    while ((id = cli_next(&parser, &value)) != CLI_END) {
        if (id != CLI_POSITIONAL)
            return id == CLI_HELP ? EXIT_COMPLETE : EXIT_USAGE;
        if (shell) {
            fprintf(stderr, "vmafx completion: one shell at a time, but there is '%s' after '%s'\n", value, shell);
            return EXIT_USAGE;
        }
        shell = value;
    }
    for (size_t i = 0; shell && i < VMAFX_LEN(shells); i++)
        if (!strcmp(shell, shells[i].name)) {
            shells[i].print();
            return EXIT_COMPLETE;
        }
    if (shell)
        fprintf(stderr, "vmafx completion: there is no completion for '%s', only for bash, zsh and fish\n", shell);
    else
        fputs("vmafx completion: name the shell: bash, zsh or fish\n", stderr);
    return EXIT_USAGE;
}

static const CliOption completion_options[] = { { 0 } };

const CliCommand cli_completion = {
    .name = "completion",
    .summary = "print a script that completes commands in a shell",
    .usage = "bash|zsh|fish",
    .examples = "# bash, for this session\n"
                "source <(vmafx completion bash)\n"
                "# fish, for good\n"
                "vmafx completion fish > ~/.config/fish/completions/vmafx.fish\n"
                "# zsh, for good, in a folder that is in $fpath\n"
                "vmafx completion zsh > ~/.zfunc/_vmafx\n",
    .options = completion_options,
    .words = "bash zsh fish",
    .run = run_completion,
};
