/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* `vmafx score`: measure one pair here and now; a verdict for people, a report for programs. */

#include <string.h>

#include "base/base.h"
#include "programs/cli/score_run.h"

static const CliOption score_options[] = {
    { PAIR_REFERENCE, 'r', "reference", "FILE", "The video to compare with; '-' is standard input.", NULL },
    { PAIR_DISTORTED, 'd', "distorted", "FILE", "The video to measure; '-' is standard input.", NULL },
    SCORE_OPTIONS,
    { 0 },
};

static bool settle(ScoreArguments *a)
{
    if (!pair_settle(&a->what))
        return false;
    if (!strcmp(a->what.reference, "-") && !strcmp(a->what.distorted, "-"))
        return pair_usage_error(&a->what, "only one of the two videos can come from standard input");
    return score_settle(a);
}

/* CLI_END when all is well, else CLI_HELP or CLI_ERROR. */
static int read_arguments(ScoreArguments *a, int argc, char **argv)
{
    CliParser parser;
    const char *value;
    int id;

    cli_parser_init(&parser, &cli_score, argc, argv);
    while ((id = cli_next(&parser, &value)) != CLI_END) {
        if (id == CLI_HELP || id == CLI_ERROR)
            return id;
        if (id == CLI_POSITIONAL) {
            pair_usage_error(&a->what, "'%s' stands alone: name the videos with --reference and --distorted", value);
            return CLI_ERROR;
        }
        if (!score_argument(a, id, value))
            return CLI_ERROR;
    }
    return settle(a) ? CLI_END : CLI_ERROR;
}

static int run_score(int argc, char **argv)
{
    VMAFX_AUTO(score_arguments_done) ScoreArguments a = SCORE_ARGUMENTS("score");

    switch (read_arguments(&a, argc, argv)) {
    case CLI_HELP:
        return EXIT_COMPLETE;
    case CLI_ERROR:
        return EXIT_USAGE;
    default:
        score_catch_signals();
        return score_run(&a, NULL, NULL);
    }
}

const CliCommand cli_score = {
    .name = "score",
    .summary = "measure the quality of a distorted video against its reference",
    .usage = "--reference FILE --distorted FILE [options]",
    .examples = "# the verdict and a table\n"
                "vmafx score --reference master.mp4 --distorted encode.mp4\n"
                "# every frame as CSV, scaled to the size of the reference\n"
                "vmafx score --reference master.mp4 --distorted small.mp4 --scale reference --output frames.csv\n"
                "# raw 10-bit video, two models\n"
                "vmafx score --reference a.yuv --distorted b.yuv --width 1920 --height 1080 --pixel-format 420 "
                "--bit-depth 10 --model vmaf_v0.6.1 --model vmaf_v0.6.1neg:name=neg\n",
    .notes =
        "Videos that differ in size, pixel format, depth, range, colour, frame rate, start or number of frames are "
        "refused before the first frame; the message names the option that allows it.\n\n"
        "Exit status: 0 complete, 2 usage, 3 input not readable, 4 videos not comparable, 5 model or feature not "
        "usable, 6 output not writable, 7 scores cover only the first part, 10 cancelled.",
    .options = score_options,
    .run = run_score,
};
