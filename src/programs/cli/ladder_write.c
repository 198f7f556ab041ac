/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A ladder for programs, as JSON and CSV, and its plots. */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/atomic_file.h"
#include "base/base.h"
#include "programs/cli/ladder.h"

#define SCHEMA         "vmafx.ladder"
#define SCHEMA_VERSION 1 /* grows when a member changes its meaning or goes away */

static const char *const state_names[] = { "waiting", "scored", "failed", "cancelled" };

/* ---- JSON ---- */

static void member(FILE *out, const char *name, const char *value)
{
    fprintf(out, ", \"%s\": ", name);
    vmafx_json_string(out, value ? value : "");
}

static void json_recipe(const Ladder *l, size_t i, bool on_hull, FILE *out)
{
    const LadderOutcome *o = &l->outcomes[i];
    const LadderRecipe *r = &l->recipes[i];
    const LadderSeries *series = &l->series[r->series];

    fputs("    {\"codec\": ", out);
    vmafx_json_string(out, series->name);
    if (series->preset)
        member(out, "preset", series->preset);
    fprintf(out, ", \"%s\": %.15g", series->bitrates ? "bitrate" : "crf", r->step);
    if (l->sizes.n)
        fprintf(out, ", \"size\": \"%dx%d\"", l->sizes.values[r->group].w, l->sizes.values[r->group].h);
    if (o->job)
        member(out, "job", o->job);
    member(out, "state", state_names[o->state]);
    if (o->state == LADDER_FAILED) {
        fprintf(out, ", \"exit\": %d", o->code);
        member(out, "error", o->message);
    }
    if (o->state == LADDER_SCORED) {
        fprintf(out,
                ", \"score\": %.17g, \"bit_rate\": %.17g, \"size_bytes\": %" PRId64 ", \"frames\": %" PRId64
                ", \"width\": %d, \"height\": %d, \"encode_seconds\": %.17g",
                o->score, o->rate, o->bytes, o->frames, o->w, o->h, o->seconds);
        member(out, "encoder", o->encoder);
        member(out, "encoder_version", o->version);
        fprintf(out, ", \"hull\": %s", on_hull ? "true" : "false");
    }
    putc('}', out);
}

static void json_bd(const Ladder *l, FILE *out)
{
    fputs(",\n  \"bd\": {\"anchor\": ", out);
    vmafx_json_string(out, l->series[0].name);
    fprintf(out, ", \"method\": \"%s\", \"results\": [", l->method == VMAFX_BD_CUBIC ? "cubic" : "piecewise");
    for (size_t i = 1; i < l->n_series; i++) {
        VmafxErrInfo info = { 0 };
        VmafxBd bd;

        fputs(i > 1 ? ",\n    {\"codec\": " : "\n    {\"codec\": ", out);
        vmafx_json_string(out, l->series[i].name);
        if (ladder_bd(l, i, &bd, &info)) {
            member(out, "error", info.message);
        } else {
            fprintf(out, ", \"bd_rate_percent\": %.17g", bd.rate);
            if (bd.has_quality)
                fprintf(out, ", \"bd_score\": %.17g", bd.quality);
            fprintf(out, ", \"from_score\": %.17g, \"to_score\": %.17g, \"overlap\": %.17g", bd.from, bd.to,
                    bd.overlap);
        }
        putc('}', out);
    }
    fputs("\n  ]}", out);
}

static void write_json(const Ladder *l, const bool *hull, FILE *out)
{
    fprintf(out, "{\n  \"schema\": \"%s\",\n  \"schema_version\": %d,\n  \"reference\": ", SCHEMA, SCHEMA_VERSION);
    vmafx_json_string(out, l->score.what.reference);
    if (l->model) {
        fputs(",\n  \"model\": ", out);
        vmafx_json_string(out, l->model);
    }
    fputs(",\n  \"recipes\": [", out);
    for (size_t i = 0; i < l->n; i++) {
        fputs(i ? ",\n" : "\n", out);
        json_recipe(l, i, hull[i], out);
    }
    fputs("\n  ]", out);
    if (l->has_target) {
        fprintf(out, ",\n  \"target\": {\"score\": %.15g, \"reached\": %s", l->target, l->found ? "true" : "false");
        if (l->found)
            fprintf(out, ", \"recipe\": %zu", l->best);
        putc('}', out);
    } else if (l->n_series > 1) {
        json_bd(l, out);
    }
    fputs("\n}\n", out);
}

/* ---- CSV (RFC 4180) ---- */

static void csv_text(FILE *out, const char *text)
{
    putc('"', out);
    for (; text && *text; text++) {
        if (*text == '"')
            putc('"', out);
        putc(*text, out);
    }
    putc('"', out);
}

static void csv_recipe(const Ladder *l, size_t i, bool on_hull, FILE *out)
{
    const LadderOutcome *o = &l->outcomes[i];
    const LadderRecipe *r = &l->recipes[i];
    const LadderSeries *series = &l->series[r->series];
    char group[32];

    ladder_group_name(l, r->group, group, sizeof group);
    fprintf(out, "%s,", series->name);
    csv_text(out, series->preset);
    fprintf(out, ",%s,", group);
    fprintf(out, series->bitrates ? ",%.15g" : "%.15g,", r->step);
    fprintf(out, ",%s,", state_names[o->state]);
    if (o->state == LADDER_SCORED)
        fprintf(out, "%.17g,%.17g,%" PRId64 ",%" PRId64 ",%.17g,%s,%d,", o->score, o->rate, o->bytes, o->frames,
                o->seconds, o->encoder ? o->encoder : "", on_hull);
    else
        fputs(",,,,,,,", out);
    csv_text(out, o->message);
    fputs("\r\n", out);
}

static void write_csv(const Ladder *l, const bool *hull, FILE *out)
{
    fputs("codec,preset,size,crf,bitrate,state,score,bit_rate,size_bytes,frames,encode_seconds,encoder,hull,error\r\n",
          out);
    for (size_t i = 0; i < l->n; i++)
        csv_recipe(l, i, hull[i], out);
}

VmafxErr ladder_write(const Ladder *l, bool csv, FILE *out)
{
    bool hull[VMAFX_LADDER_RECIPES_MAX];

    ladder_mark_hull(l, hull);
    if (csv)
        write_csv(l, hull, out);
    else
        write_json(l, hull, out);
    return fflush(out) || ferror(out) ? VMAFX_ERR_IO : VMAFX_OK;
}

/* ---- plots ---- */

static VmafxErr plot(const Ladder *l, VmafxLadderPlotFormat format, FILE *out, VmafxErrInfo *reterr)
{
    VmafxLadderPoint points[VMAFX_LADDER_RECIPES_MAX];
    const char *series[VMAFX_LADDER_SERIES_MAX], *groups[VMAFX_LADDER_GROUPS_MAX];
    char names[VMAFX_LADDER_GROUPS_MAX][32], found[LADDER_NAME_MAX];
    VMAFX_AUTO(vmafx_free_p) char *label = vmafx_sprintf("score (%s)", l->model ? l->model : "VMAF");

    for (size_t i = 0; i < l->n_series; i++)
        series[i] = l->series[i].name;
    for (size_t i = 0; i < ladder_groups(l); i++) {
        ladder_group_name(l, i, names[i], sizeof names[i]);
        groups[i] = names[i];
    }
    if (l->found)
        ladder_recipe_name(l, &l->recipes[l->best], found);
    const VmafxLadderPlot p = {
        .title = remote_base_name(l->score.what.reference),
        .score_label = label ? label : "score",
        .series = series,
        .n_series = l->n_series,
        .groups = groups,
        .n_groups = ladder_groups(l),
        .points = points,
        .n = ladder_points(l, SIZE_MAX, points),
        .has_target = l->has_target,
        .target = l->target,
        .found = l->found ? found : NULL,
        .found_recipe = l->best,
    };
    return vmafx_ladder_plot_write(out, format, &p, reterr);
}

/* As JSON or CSV with which < 0, else as plot number `which`. */
static int save(const Ladder *l, int which, const char *path)
{
    VMAFX_AUTO(vmafx_atomic_file_abort) VmafxAtomicFile *file = NULL;
    VmafxLadderPlotFormat format = VMAFX_LADDER_SVG;
    VmafxErrInfo info = { 0 }, why = { 0 };
    VmafxErr err = vmafx_atomic_file_open(path, &file, &info);

    if (!err && which < 0) {
        err = ladder_write(l, l->csv, vmafx_atomic_file_stream(file));
        if (err)
            VMAFX_IGNORE(vmafx_fail(&info, err, "cannot write '%s': %s", path, strerror(errno)));
    } else if (!err) {
        VMAFX_IGNORE(!vmafx_ladder_plot_format_find(path, &format)); /* it was looked at when it was given */
        err = plot(l, format, vmafx_atomic_file_stream(file), &why);
        if (err)
            VMAFX_IGNORE(vmafx_fail(&info, err, "'%s': %s", path, why.message));
    }
    if (!err)
        err = vmafx_atomic_file_commit(&file, &info);
    if (err)
        fprintf(stderr, "vmafx ladder: %s\n", info.message);
    return err ? EXIT_OUTPUT : EXIT_COMPLETE;
}

int ladder_save(const Ladder *l)
{
    const char *output = l->score.output;
    VmafxLadderPoint points[VMAFX_LADDER_RECIPES_MAX];
    int code = EXIT_COMPLETE;

    if (output && strcmp(output, "-"))
        code = save(l, -1, output);
    if (l->n_plots && !ladder_points(l, SIZE_MAX, points)) {
        fputs("vmafx ladder: nothing was scored, so there is no plot\n", stderr);
        return code;
    }
    for (size_t i = 0; i < l->n_plots; i++) {
        int own = save(l, (int)i, l->plots[i]);

        code = code ? code : own;
    }
    return code;
}
