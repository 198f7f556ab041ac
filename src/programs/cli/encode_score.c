/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * `vmafx encode-score`: encodes a video and measures what that did to it, in one go; no file in between, unless it is
 * to be kept.
 */

#include <string.h>

#include "base/base.h"
#include "base/kept_file.h"
#include "programs/cli/recipe.h"
#include "programs/cli/score_run.h"
#include "programs/cli/stage.h"

enum {
    O_KEEP = 1,
    O_ENCODER_THREADS,
    O_STAGE_MAX,
};

static const CliOption encode_score_options[] = {
    { PAIR_REFERENCE, 'r', "reference", "FILE", "The video to encode and to compare with; '-' is standard input.",
      NULL },
    RECIPE_OPTIONS,
    { O_KEEP, 'k', "keep", "FILE", "Keep the encoded video there, as Matroska; it appears whole or not at all.", NULL },
    { O_ENCODER_THREADS, 0, "encoder-threads", "N",
      "Threads of the encoder; as many as --threads when not given. Their number may change what an encoder makes.",
      NULL },
    { O_STAGE_MAX, 0, "stage-max", "SIZE",
      "A reference that can be read only once is kept in a temporary file meanwhile, of at most this many bytes: 500M, "
      "8G. 16G when not given.",
      NULL },
    SCORE_OPTIONS,
    { 0 },
};

typedef struct Arguments {
    ScoreArguments score;
    RecipeArguments recipe;
    VmafxPairEncode encode;
    VmafxKeptFile kept;
    Staged staged;
    const char *keep;
    int64_t stage_max;
    int encoder_threads; /* -1: not given */
} Arguments;

static void arguments_done(Arguments *a)
{
    score_arguments_done(&a->score);
    recipe_arguments_done(&a->recipe);
    vmafx_kept_file_done(&a->kept);
    stage_done(&a->staged);
}

static bool argument(Arguments *a, int id, const char *value)
{
    if (is_recipe_option(id))
        return recipe_argument(&a->recipe, &a->score.what, id, value);
    switch (id) {
    case O_KEEP:
        a->keep = value;
        return true;
    case O_ENCODER_THREADS:
        return pair_number("encoder-threads", value, 1, 64, &a->encoder_threads);
    case O_STAGE_MAX:
        return stage_size(value, &a->stage_max) ||
               pair_usage_error(&a->score.what, "--stage-max takes bytes such as 500M or 8G, not '%s'", value);
    default:
        return score_argument(&a->score, id, value);
    }
}

static bool settle_keep(const Arguments *a)
{
    const PairArguments *what = &a->score.what;

    if (!a->keep)
        return true;
    if (!strcmp(a->keep, "-"))
        return pair_usage_error(what, "--keep takes a file, not standard output: Matroska is not written in one go");
    if (score_same_file(a->keep, what->reference))
        return pair_usage_error(what, "--keep %s would replace the reference", a->keep);
    if (a->score.output && score_same_file(a->keep, a->score.output))
        return pair_usage_error(what, "--keep and --output both name '%s'", a->keep);
    return true;
}

static bool settle(Arguments *a)
{
    PairArguments *what = &a->score.what;

    if (!what->reference)
        return pair_usage_error(what, "--reference FILE is missing");
    what->distorted = what->reference; /* the same; nobody reads it */
    if (!pair_settle(what) || !recipe_settle(&a->recipe, what) || !settle_keep(a) || !score_settle(&a->score))
        return false;
    a->encode = (VmafxPairEncode){ .recipe = a->recipe.recipe,
                                   .threads = a->encoder_threads > 0 ? a->encoder_threads : what->pair.threads,
                                   .keep_fd = -1 };
    what->pair.encode = &a->encode;
    return true;
}

/* CLI_END when all is well, else CLI_HELP or CLI_ERROR. */
static int read_arguments(Arguments *a, int argc, char **argv)
{
    CliParser parser;
    const char *value;
    int id;

    cli_parser_init(&parser, &cli_encode_score, argc, argv);
    while ((id = cli_next(&parser, &value)) != CLI_END) {
        if (id == CLI_HELP || id == CLI_ERROR)
            return id;
        if (id == CLI_POSITIONAL) {
            pair_usage_error(&a->score.what, "'%s' stands alone: name the video with --reference", value);
            return CLI_ERROR;
        }
        if (!argument(a, id, value))
            return CLI_ERROR;
    }
    return settle(a) ? CLI_END : CLI_ERROR;
}

static VmafxErr name_kept(void *ctx, VmafxResult *result, VmafxErrInfo *reterr)
{
    Arguments *a = ctx;

    if (!result->complete || !result->encode || !result->encode->kept)
        return VMAFX_OK; /* it is dropped: not all of it is there */
    return vmafx_kept_file_commit(&a->kept, reterr);
}

static int encode_and_score(Arguments *a)
{
    ScoreArguments *s = &a->score;
    VmafxErrInfo info = { 0 };
    VmafxErr err = vmafx_recipe_check(&a->encode.recipe, &info); /* before a long copy */

    if (err)
        return score_fail(s, cli_exit_for(VMAFX_ERR_ENCODER), err, info.message);
    if (a->keep) {
        err = vmafx_kept_file_open(a->keep, &a->kept, &info);
        if (err)
            return score_fail(s, EXIT_OUTPUT, err, info.message);
        a->encode.keep_fd = a->kept.fd;
        a->encode.keep_max = INT64_MAX;
        a->encode.kept = a->keep;
    }
    score_catch_signals();
    if (stage_is_needed(s->what.reference)) {
        err = stage(s->what.reference, a->stage_max, score_was_stopped, &a->staged, &info);
        if (err == VMAFX_ERR_CANCELLED)
            return score_fail(s, EXIT_CANCELLED, err, info.message);
        if (err)
            return score_fail(s, EXIT_INPUT, err, info.message);
        s->what.pair.fds = a->staged.fds;
    }
    return score_run(s, name_kept, a);
}

static int run_encode_score(int argc, char **argv)
{
    VMAFX_AUTO(arguments_done)
    Arguments a = { .score = SCORE_ARGUMENTS("encode-score"),
                    .kept = VMAFX_KEPT_FILE_NONE,
                    .staged = STAGED_NONE,
                    .stage_max = STAGE_BYTES_MAX,
                    .encoder_threads = -1 };

    vmafx_encoders_prepare();
    switch (read_arguments(&a, argc, argv)) {
    case CLI_HELP:
        return EXIT_COMPLETE;
    case CLI_ERROR:
        return EXIT_USAGE;
    default:
        return encode_and_score(&a);
    }
}

const CliCommand cli_encode_score = {
    .name = "encode-score",
    .summary = "encode a video and measure what that did to it",
    .usage = "--reference FILE --codec CODEC [options]",
    .examples = "# how good is x264 at crf 23?\n"
                "vmafx encode-score --reference master.mp4 --codec h264 --preset medium --crf 23\n"
                "# 2 Mbit/s of AV1 at half the size, and keep it\n"
                "vmafx encode-score --reference master.mp4 --encoder libsvtav1 --preset 8 --bitrate 2M --size 960x540 "
                "--keep encode.mkv\n"
                "# what can this machine encode with?\n"
                "vmafx encoders\n",
    .notes =
        "The score is that of `ffmpeg` with the same settings and threads followed by `vmafx score`; docs/encode.md "
        "says which settings those are.\n\n"
        "Exit status: as of `vmafx score`, and 11 when the encoder cannot be used or has failed.",
    .options = encode_score_options,
    .run = run_encode_score,
};
