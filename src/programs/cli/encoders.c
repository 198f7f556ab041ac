/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* `vmafx encoders`: what this machine can encode with. */

#include <stdio.h>

#include "base/base.h"
#include "media/encode.h"
#include "programs/cli/cli.h"
#include "report/report.h"

enum { O_JSON = 1 };

static const CliOption encoders_options[] = {
    { O_JSON, 0, "json", NULL, "Print an object instead of the table.", NULL },
    { 0 },
};

/* Tried out, so that what is listed as working does. */
static bool works(const VmafxEncoder *e, VmafxErrInfo *ret_why)
{
    if (e->linked)
        return !vmafx_encoder_probe(e->name, ret_why);
    VMAFX_IGNORE(vmafx_fail(ret_why, VMAFX_ERR_ENCODER, "this machine's FFmpeg does not have it"));
    return false;
}

static void print_row(const VmafxEncoder *e)
{
    VmafxErrInfo why = { 0 };
    bool ok = works(e, &why);

    printf("%-6s %-12s %-9s %s\n", e->codec, e->name, e->hardware ? "hardware" : "software",
           ok ? "works" : why.message);
}

static void print_object(const VmafxEncoder *e, bool first)
{
    VmafxErrInfo why = { 0 };
    bool ok = works(e, &why);

    printf("%s\n    {\"encoder\": ", first ? "" : ",");
    vmafx_json_string(stdout, e->name);
    fputs(", \"codec\": ", stdout);
    vmafx_json_string(stdout, e->codec);
    fputs(", \"version\": ", stdout);
    vmafx_json_string(stdout, e->version);
    printf(", \"hardware\": %s, \"works\": %s", e->hardware ? "true" : "false", ok ? "true" : "false");
    if (!ok) {
        fputs(", \"reason\": ", stdout);
        vmafx_json_string(stdout, why.message);
    }
    putchar('}');
}

static int run_encoders(int argc, char **argv)
{
    CliParser parser;
    const char *value;
    bool json = false;
    size_t n;
    int id;

    cli_parser_init(&parser, &cli_encoders, argc, argv);
    while ((id = cli_next(&parser, &value)) != CLI_END) {
        if (id == CLI_HELP)
            return EXIT_COMPLETE;
        if (id == CLI_POSITIONAL)
            fprintf(stderr, "vmafx encoders: '%s' stands alone; no argument is taken\n", value);
        if (id == CLI_POSITIONAL || id == CLI_ERROR)
            return EXIT_USAGE;
        json = true;
    }
    vmafx_encoders_prepare();
    const VmafxEncoder *encoders = vmafx_encoders(&n);
    if (json)
        printf("{\n  \"schema\": \"vmafx.encoders\",\n  \"schema_version\": 1,\n  \"encoders\": [");
    for (size_t i = 0; i < n; i++)
        if (json)
            print_object(&encoders[i], i == 0);
        else
            print_row(&encoders[i]);
    if (json)
        puts("\n  ]\n}");
    else if (n)
        printf("\n%s\n", encoders[0].version);
    return EXIT_COMPLETE;
}

const CliCommand cli_encoders = {
    .name = "encoders",
    .summary = "list the encoders and whether they work here",
    .usage = "[--json]",
    .examples = "# what can be asked for with --encoder, and which works?\n"
                "vmafx encoders\n",
    .options = encoders_options,
    .run = run_encoders,
};
