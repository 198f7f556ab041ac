/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* `vmafx COMMAND …`: finds the command and makes sure that what it printed has arrived. */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <vmafx/engine.h>

#include "base/base.h"
#include "base/complaints.h"
#include "base/config.h"
#include "otel/api/context.h"
#include "otel/export/otel.h"
#include "programs/cli/cli.h"

#define VMAF_FAILED 255 /* what the reference tool's users know */

static void print_overview(FILE *out)
{
    fputs("vmafx: video quality, measured exactly as the reference does\n"
          "\n"
          "  # the verdict and a table\n"
          "  vmafx score --reference master.mp4 --distorted encode.mp4\n"
          "  # does this machine have all it needs?\n"
          "  vmafx doctor\n"
          "\n"
          "usage: vmafx COMMAND [options]\n"
          "\n",
          out);
    for (size_t i = 0; cli_commands[i]; i++)
        fprintf(out, "  %-12s %s\n", cli_commands[i]->name, cli_commands[i]->summary);
    fputs("\n"
          "  `vmafx help COMMAND` explains one, with examples.\n"
          "  `vmafx --print-config` prints the settings and where each comes from.\n"
          "  `vmafx --version` prints the version.\n",
          out);
}

static int print_help(int argc, char **argv)
{
    if (argc < 3) {
        print_overview(stdout);
        return EXIT_COMPLETE;
    }
    const CliCommand *command = cli_command_find(argv[2]);
    if (!command)
        return cli_command_unknown(argv[2]);
    cli_help(command);
    return EXIT_COMPLETE;
}

static int print_config(void)
{
    VMAFX_AUTO(vmafx_config_free) VmafxConfig *config = NULL;
    VmafxErrInfo info = { 0 };
    VmafxErr err = vmafx_config_load(&config, &info);

    if (err) {
        fprintf(stderr, "vmafx: %s\n", info.message);
        return EXIT_USAGE;
    }
    vmafx_config_print(config, stdout);
    return EXIT_COMPLETE;
}

static bool is_option(const char *text, const char *letter, const char *name)
{
    return !strcmp(text, letter) || !strcmp(text, name);
}

static int dispatch(int argc, char **argv)
{
    if (argc < 2) {
        fputs("vmafx: which command? For example:\n"
              "  vmafx score --reference master.mp4 --distorted encode.mp4\n"
              "`vmafx --help` lists all commands\n",
              stderr);
        return EXIT_USAGE;
    }
    if (is_option(argv[1], "-h", "--help") || !strcmp(argv[1], "help"))
        return print_help(argc, argv);
    if (is_option(argv[1], "-V", "--version")) {
        puts("vmafx " VMAFX_ENGINE_VERSION);
        return EXIT_COMPLETE;
    }
    if (!strcmp(argv[1], "--print-config"))
        return print_config();
    if (argv[1][0] == '-') {
        fprintf(stderr,
                "vmafx: there is no option '%s' before a command: begin with the command, as in `vmafx score %s`; "
                "`vmafx --help` lists the commands\n",
                argv[1], argv[1]);
        return EXIT_USAGE;
    }
    const CliCommand *command = cli_command_find(argv[1]);
    return command ? command->run(argc - 1, argv + 1) : cli_command_unknown(argv[1]);
}

/* A person is waiting for the prompt: a collector that is gone may cost this much, not what a daemon grants it. */
#define TELEMETRY_STOP_MS 2000

static bool is_named_vmaf(const char *program)
{
    const char *slash = program ? strrchr(program, '/') : NULL;

    return program && !strcmp(slash ? slash + 1 : program, cli_vmaf.name);
}

/* Closes it: a full disk shows up here at the latest. One that was closed from the start matters only to who wrote. */
static bool stdout_has_failed(void)
{
    bool failed = ferror(stdout);

    errno = 0;
    if (fflush(stdout))
        return true;
    return (fclose(stdout) && errno != EBADF) || failed;
}

/*
 * A standard descriptor that is closed is given to the next file that is opened, and that one read in place of standard
 * input, or written to. Each gets a file instead that cannot be used that way, so that whoever needs it hears of it.
 * Before the first constructor of a library, since gRPC's open files; by plain system calls, since sanitizers are not
 * up yet either.
 */
static void occupy_standard_descriptors(int argc, char **argv, char **env)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (syscall(SYS_fcntl, fd, F_GETFD) < 0)
            VMAFX_IGNORE(syscall(SYS_openat, AT_FDCWD, "/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0);
}

__attribute__((section(".preinit_array"),
               used)) static void (*const before_constructors)(int, char **, char **) = occupy_standard_descriptors;

int main(int argc, char **argv)
{
    vmafx_complaints_hide_urls();
    VmafxOtel *otel = vmafx_otel_start(
        &(VmafxOtelStart){ .service = "vmafx", .version = VMAFX_ENGINE_VERSION, .only_when_asked = true });
    VMAFX_AUTO(vmafx_context_unref) VmafxContext *context = vmafx_context_from_environment(environ);
    VmafxContextToken token = vmafx_context_attach(context); /* whoever started this program may be tracing */
    bool as_vmaf = is_named_vmaf(argv[0]);
    int code = as_vmaf ? cli_vmaf.run(argc, argv) : dispatch(argc, argv);

    if (stdout_has_failed() && code == EXIT_COMPLETE) { /* a command that failed already keeps its own code */
        fprintf(stderr, "vmafx: cannot write to standard output: %s\n", errno ? strerror(errno) : "an earlier error");
        as_vmaf = as_vmaf || (argc > 1 && !strcmp(argv[1], cli_vmaf.name));
        code = as_vmaf ? VMAF_FAILED : EXIT_OUTPUT;
    }
    vmafx_context_detach(token);
    VMAFX_IGNORE(vmafx_otel_stop(&otel, TELEMETRY_STOP_MS)); /* it has complained itself; the command's code stays */
    return code;
}
