/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What `vmafx ladder` was asked for: codecs, and for each of them presets and steps; sizes; where to and how. */

#include "programs/cli/ladder.h"

#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "base/encoders.h"

#define BITRATE_MAX 2000000000
#define CRF_MAX     255.0 /* of any encoder; each has its own range */

enum {
    O_CODEC = 1,
    O_PRESET,
    O_CRF,
    O_BITRATE,
    O_SIZE,
    O_GOP,
    O_ENCODER_THREADS,
    O_TARGET,
    O_BD,
    O_PLOT,
    O_FORMAT,
    O_UPLOAD,
    O_LABEL,
};

const CliOption ladder_options[] = {
    { PAIR_REFERENCE, 'r', "reference", "FILE", "The video to encode and to compare with.", NULL },
    { O_CODEC, 'c', "codec", "LIST",
      "Codecs (h264, hevc, av1, vp9, vp8) or encoders by FFmpeg's names (libx264), with commas between; the first is "
      "what the others are compared with.",
      "h264 hevc av1 vp9 h264,hevc,av1" },
    { O_CRF, 0, "crf", "[CODEC=]LIST",
      "Constant qualities: 20,23,26 or 18-40:4. With CODEC= of that codec alone. May be repeated.", NULL },
    { O_BITRATE, 'b', "bitrate", "[CODEC=]LIST", "Bitrates instead: 500k,1M,2.5M. As --crf.", NULL },
    { O_SIZE, 's', "size", "LIST",
      "Sizes to encode at: 1920x1080,1280x720; the reference's when not given. Scored at the reference's size unless "
      "--scale says otherwise.",
      NULL },
    { O_PRESET, 0, "preset", "[CODEC=]PRESET",
      "Speed against size, in the encoder's own words. With CODEC= of that codec alone. May be repeated.", NULL },
    { O_GOP, 'g', "gop", "N", "At most so many frames from one key frame to the next.", NULL },
    { O_TARGET, 't', "target-vmaf", "SCORE",
      "Look for the cheapest recipe that reaches this score, in few encodes, among the --crf or --bitrate given, else "
      "among all whole crf.",
      NULL },
    { O_BD, 0, "bd", "METHOD", "How BD-rates are computed: piecewise (JVET's way; when not given) or cubic (VCEG-M33).",
      "piecewise cubic" },
    { O_PLOT, 'p', "plot", "FILE", "Draw rate and quality there; .svg or .png. May be repeated.", NULL },
    { SCORE_OUTPUT, 'o', "output", "FILE", "Write all numbers there; '-' is standard output.", NULL },
    { O_FORMAT, 0, "format", "FORMAT",
      "Format of the output: json or csv. When not given, the ending of the output's name decides, else json.",
      "json csv" },
    { SCORE_JSON, 0, "json", NULL, "Print JSON instead of the tables.", NULL },
    { REMOTE_CONTROLLER, 0, "controller", "ADDRESS",
      "Let the nodes of this controller do it, as jobs of one batch; without it all is done here.", NULL },
    { O_UPLOAD, 'u', "upload", NULL, "Send the reference to the controller first.", NULL },
    { O_LABEL, 'l', "label", "KEY=VALUE", "A label for the jobs. May be repeated.", NULL },
    { REMOTE_TLS_CERT, 0, "tls-cert", "FILE", "Our certificate (VMAFX_TLS_CERT), for mutual TLS.", NULL },
    { REMOTE_TLS_KEY, 0, "tls-key", "FILE", "Its key (VMAFX_TLS_KEY).", NULL },
    { REMOTE_TLS_CA, 0, "tls-ca", "FILE", "Who signs the controller's certificate (VMAFX_TLS_CA).", NULL },
    PAIR_OPTION_MODEL,
    PAIR_OPTIONS_COMPARISON,
    { SCORE_THREADS, 0, "threads", "N",
      "Threads that compute; VMAFX_THREADS, else as many as there are CPUs, when not given.", NULL },
    { O_ENCODER_THREADS, 0, "encoder-threads", "N",
      "Threads of the encoder; as many as --threads when not given. Their number may change what an encoder makes.",
      NULL },
    { SCORE_QUIET, 'q', "quiet", NULL, "No progress.", NULL },
    { 0 },
};

/* What was given, to be settled when all codecs are known. */
typedef struct Given {
    const char *codecs;
    const char *presets[VMAFX_LADDER_SERIES_MAX], *steps[VMAFX_LADDER_SERIES_MAX];
    bool bitrates[VMAFX_LADDER_SERIES_MAX]; /* by index of steps */
    size_t n_presets, n_steps;
    const char *sizes, *format;
} Given;

static bool number_of(const PairArguments *what, const char *text, double *ret)
{
    VmafxLadderNumbers numbers;
    VmafxErrInfo info = { 0 };

    if (vmafx_ladder_numbers(text, 0, 100, &numbers, &info) || numbers.n != 1)
        return pair_usage_error(what, "--target-vmaf takes a score from 0 to 100, not '%s'", text);
    *ret = numbers.values[0];
    return true;
}

static bool add(const PairArguments *what, const char *option, const char **list, size_t max, size_t *n,
                const char *value)
{
    if (*n == max)
        return pair_usage_error(what, "--%s may be given %zu times", option, max);
    list[(*n)++] = value;
    return true;
}

static bool add_plot(Ladder *l, const char *value)
{
    VmafxLadderPlotFormat format;

    if (!vmafx_ladder_plot_format_find(value, &format))
        return pair_usage_error(&l->score.what, "--plot takes a file that ends in .svg or .png, not '%s'", value);
    return add(&l->score.what, "plot", l->plots, LADDER_PLOTS_MAX, &l->n_plots, value);
}

static bool argument(Ladder *l, Given *given, int id, const char *value)
{
    const PairArguments *what = &l->score.what;

    switch (id) {
    case O_CODEC:
        given->codecs = value;
        return true;
    case O_PRESET:
        return add(what, "preset", given->presets, VMAFX_LADDER_SERIES_MAX, &given->n_presets, value);
    case O_CRF:
    case O_BITRATE:
        if (given->n_steps < VMAFX_LADDER_SERIES_MAX)
            given->bitrates[given->n_steps] = id == O_BITRATE;
        return add(what, id == O_BITRATE ? "bitrate" : "crf", given->steps, VMAFX_LADDER_SERIES_MAX, &given->n_steps,
                   value);
    case O_SIZE:
        given->sizes = value;
        return true;
    case O_GOP:
        return pair_number("gop", value, 1, 1000000, &l->gop);
    case O_ENCODER_THREADS:
        return pair_number("encoder-threads", value, 1, 64, &l->encoder_threads);
    case O_TARGET:
        l->has_target = true;
        return number_of(what, value, &l->target);
    case O_BD:
        l->method = strcmp(value, "cubic") ? VMAFX_BD_PIECEWISE : VMAFX_BD_CUBIC;
        return !strcmp(value, "cubic") || !strcmp(value, "piecewise") ||
               pair_usage_error(what, "--bd is piecewise or cubic, not '%s'", value);
    case O_PLOT:
        return add_plot(l, value);
    case O_FORMAT:
        given->format = value;
        return true;
    case O_UPLOAD:
        return l->upload = true;
    case O_LABEL:
        return add(what, "label", l->labels, VMAFX_LEN(l->labels) - 2, &l->n_labels, value); /* two are ours */
    default:
        l->fleet = l->fleet || id == REMOTE_CONTROLLER;
        return remote_argument(&l->remote, id, value) || score_argument(&l->score, id, value);
    }
}

/* ---- codecs ---- */

static bool is_codec_or_encoder(const PairArguments *what, const char *name)
{
    const char *meant = vmafx_encoder_meant(name);

    if (vmafx_codec_is_known(name) || vmafx_encoder_name_find(name))
        return true;
    if (!meant)
        meant = vmafx_codec_meant(name);
    return pair_usage_error(what, "--codec: '%s' is neither a codec (" VMAFX_CODECS_TEXT ") nor an encoder%s%s%s", name,
                            meant ? "; did you mean '" : "", meant ? meant : "", meant ? "'?" : "");
}

static bool settle_codecs(Ladder *l, const Given *given)
{
    const PairArguments *what = &l->score.what;
    VmafxErrInfo info = { 0 };

    if (!given->codecs)
        return pair_usage_error(what, "--codec LIST is missing");
    if (vmafx_ladder_words(given->codecs, &l->names, &info))
        return pair_usage_error(what, "--codec: %s", info.message);
    if (l->names.n > VMAFX_LADDER_SERIES_MAX)
        return pair_usage_error(what, "--codec: at most %d are compared", VMAFX_LADDER_SERIES_MAX);
    l->n_series = l->names.n;
    for (size_t i = 0; i < l->n_series; i++) {
        l->series[i].name = l->names.values[i];
        if (!is_codec_or_encoder(what, l->series[i].name))
            return false;
    }
    return true;
}

/*
 * "CODEC=REST" or "REST", which is for those codecs that have none of their own.
 * Sets *ret_series to SIZE_MAX for all. False: there is no such codec, and said so.
 */
static bool whose(const Ladder *l, const char *option, const char *text, size_t *ret_series, const char **ret_rest)
{
    const char *equals = strchr(text, '=');

    *ret_series = SIZE_MAX;
    *ret_rest = text;
    if (!equals)
        return true;
    for (size_t i = 0; i < l->n_series; i++)
        if (strlen(l->series[i].name) == (size_t)(equals - text) && !strncmp(text, l->series[i].name, equals - text)) {
            *ret_series = i;
            *ret_rest = equals + 1;
            return true;
        }
    return pair_usage_error(&l->score.what, "--%s: '%.*s' is not in --codec", option,
                            (int)VMAFX_MIN(equals - text, (ptrdiff_t)40), text);
}

/* What is for one codec, or for all that have none of their own, is there once. */
static bool given_once(const PairArguments *what, const char *const *list, size_t i)
{
    const char *equals = strchr(list[i], '=');
    size_t len = equals ? (size_t)(equals - list[i]) + 1 : 0;

    for (size_t k = 0; k < i; k++)
        if (len ? !strncmp(list[k], list[i], len) : !strchr(list[k], '='))
            return pair_usage_error(what, "'%s' and '%s' are for the same codecs: give one of them", list[k], list[i]);
    return true;
}

static bool settle_presets(Ladder *l, const Given *given)
{
    for (int own = 0; own < 2; own++) /* first what is for all */
        for (size_t i = 0; i < given->n_presets; i++) {
            size_t series;
            const char *preset;

            if (!given_once(&l->score.what, given->presets, i) ||
                !whose(l, "preset", given->presets[i], &series, &preset))
                return false;
            if (!*preset)
                return pair_usage_error(&l->score.what, "--preset: '%s' names none", given->presets[i]);
            for (size_t k = 0; k < l->n_series; k++)
                if (own ? k == series : series == SIZE_MAX)
                    l->series[k].preset = preset;
        }
    return true;
}

/* ---- steps ---- */

static bool read_steps(const Ladder *l, bool bitrates, const char *text, VmafxLadderNumbers *ret)
{
    VmafxErrInfo info = { 0 };
    VmafxErr err = bitrates ? vmafx_ladder_bitrates(text, BITRATE_MAX, ret, &info)
                            : vmafx_ladder_numbers(text, 0, CRF_MAX, ret, &info);

    return !err || pair_usage_error(&l->score.what, "--%s: %s", bitrates ? "bitrate" : "crf", info.message);
}

/* All whole crf but 0, which is without loss in some encoders and so no quality to look for. What librav1e calls so are
   quantisers up to 255: every fourth. */
static void every_crf(LadderSeries *series)
{
    const VmafxEncoderName *encoder = vmafx_encoder_name_find(series->name);
    const char *codec = encoder ? encoder->codec : series->name;
    int lo = strcmp(codec, "vp8") ? 1 : 4, hi = strcmp(codec, "h264") && strcmp(codec, "hevc") ? 63 : 51;
    int by = strcmp(series->name, "librav1e") ? 1 : 4;

    series->bitrates = false;
    for (int crf = lo; crf <= hi; crf++)
        series->steps.values[series->steps.n++] = crf * by;
}

static bool settle_steps(Ladder *l, const Given *given)
{
    const PairArguments *what = &l->score.what;

    for (int own = 0; own < 2; own++)
        for (size_t i = 0; i < given->n_steps; i++) {
            size_t series;
            const char *list;
            VmafxLadderNumbers steps;

            if (!given_once(what, given->steps, i) ||
                !whose(l, given->bitrates[i] ? "bitrate" : "crf", given->steps[i], &series, &list) ||
                !read_steps(l, given->bitrates[i], list, &steps))
                return false;
            for (size_t k = 0; k < l->n_series; k++)
                if (own ? k == series : series == SIZE_MAX) {
                    l->series[k].bitrates = given->bitrates[i];
                    l->series[k].steps = steps;
                }
        }
    for (size_t k = 0; k < l->n_series; k++) {
        if (!l->series[k].steps.n && !l->has_target)
            return pair_usage_error(what, "--crf or --bitrate is missing for %s", l->series[k].name);
        if (!l->series[k].steps.n)
            every_crf(&l->series[k]);
    }
    return true;
}

static bool settle_sizes(Ladder *l, const Given *given)
{
    PairArguments *what = &l->score.what;
    VmafxErrInfo info = { 0 };

    if (!given->sizes)
        return true;
    if (vmafx_ladder_sizes(given->sizes, VMAFX_DIMENSION_MAX, &l->sizes, &info))
        return pair_usage_error(what, "--size: %s", info.message);
    if (l->sizes.n > VMAFX_LADDER_GROUPS_MAX)
        return pair_usage_error(what, "--size: at most %d are taken", VMAFX_LADDER_GROUPS_MAX);
    if (what->pair.scale == VMAFX_SCALING_NONE)
        what->pair.scale = VMAFX_SCALING_REFERENCE;
    return true;
}

/* All of them, codec by codec, size by size; where one is looked for they come as they are tried. */
static bool settle_recipes(Ladder *l)
{
    size_t all = 0;

    for (size_t i = 0; i < l->n_series; i++)
        all += l->series[i].steps.n * ladder_groups(l);
    if (l->has_target)
        return true;
    if (all > VMAFX_LADDER_RECIPES_MAX)
        return pair_usage_error(&l->score.what, "these are %zu recipes, and %d are taken", all,
                                VMAFX_LADDER_RECIPES_MAX);
    for (size_t i = 0; i < l->n_series; i++)
        for (size_t group = 0; group < ladder_groups(l); group++)
            for (size_t k = 0; k < l->series[i].steps.n; k++)
                l->recipes[l->n++] = (LadderRecipe){ i, group, l->series[i].steps.values[k] };
    return true;
}

/* No file is written over another one of them. */
static bool settle_plots(const Ladder *l)
{
    const PairArguments *what = &l->score.what;

    for (size_t i = 0; i < l->n_plots; i++) {
        bool taken = l->score.output && score_same_file(l->plots[i], l->score.output);

        for (size_t k = 0; k < i; k++)
            taken = taken || score_same_file(l->plots[i], l->plots[k]);
        if (taken)
            return pair_usage_error(what, "--plot %s: something else is written there already", l->plots[i]);
        if (score_same_file(l->plots[i], what->reference))
            return pair_usage_error(what, "--plot %s would replace the reference", l->plots[i]);
    }
    return true;
}

static bool settle_output(Ladder *l, const Given *given)
{
    ScoreArguments *s = &l->score;
    const char *dot = s->output ? strrchr(s->output, '.') : NULL;

    if (given->format && strcmp(given->format, "json") && strcmp(given->format, "csv"))
        return pair_usage_error(&s->what, "--format is json or csv, not '%s'", given->format);
    if (given->format && !s->output)
        s->output = "-";
    if (s->output && !strcmp(s->output, "-") && s->json)
        return pair_usage_error(&s->what, "--json and --output - both want standard output");
    l->csv = given->format ? !strcmp(given->format, "csv") : dot && !strcasecmp(dot, ".csv");
    return true;
}

static bool settle(Ladder *l, const Given *given)
{
    PairArguments *what = &l->score.what;

    if (!what->reference)
        return pair_usage_error(what, "--reference FILE is missing");
    if (!strcmp(what->reference, "-"))
        return pair_usage_error(what, "the reference is read for every recipe: name a file");
    if (!l->fleet && (l->upload || l->n_labels || l->remote.config.cert_file || l->remote.config.key_file ||
                      l->remote.config.ca_file))
        return pair_usage_error(what, "--upload, --label and --tls-... are for a fleet: name its --controller");
    if (l->fleet && (what->pair.threads >= 0 || l->encoder_threads > 0))
        return pair_usage_error(what, "--threads and --encoder-threads are of this machine; nodes have their own");
    what->distorted = what->reference; /* nobody reads it */
    what->pair.digest = false;
    return pair_settle(what) && settle_codecs(l, given) && settle_presets(l, given) && settle_steps(l, given) &&
           settle_sizes(l, given) && settle_recipes(l) && settle_output(l, given) && settle_plots(l) &&
           score_settle(&l->score);
}

int ladder_read_arguments(Ladder *l, int argc, char **argv)
{
    CliParser parser;
    Given given = { 0 };
    const char *value;
    int id;

    cli_parser_init(&parser, &cli_ladder, argc, argv);
    while ((id = cli_next(&parser, &value)) != CLI_END) {
        if (id == CLI_HELP || id == CLI_ERROR)
            return id;
        if (id == CLI_POSITIONAL) {
            pair_usage_error(&l->score.what, "'%s' stands alone: name the video with --reference", value);
            return CLI_ERROR;
        }
        if (!argument(l, &given, id, value))
            return CLI_ERROR;
    }
    return settle(l, &given) ? CLI_END : CLI_ERROR;
}
