/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A ladder for people: the table of recipes, BD-rates, the recipe that was looked for. */

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/base.h"
#include "programs/cli/ladder.h"

/* Three digits or so: "950 kbit/s", "2.51 Mbit/s". */
static void rate_text(double rate, char *ret, size_t size)
{
    if (rate < 999.5e3)
        snprintf(ret, size, "%.0f kbit/s", rate / 1e3);
    else
        snprintf(ret, size, "%.2f Mbit/s", rate / 1e6);
}

static void size_text(int64_t bytes, char *ret, size_t size)
{
    if (bytes < 1000000)
        snprintf(ret, size, "%.1f kB", (double)bytes / 1e3);
    else
        snprintf(ret, size, "%.1f MB", (double)bytes / 1e6);
}

static void print_recipe(const Ladder *l, size_t i, bool on_hull)
{
    const LadderOutcome *o = &l->outcomes[i];
    const LadderSeries *series = &l->series[l->recipes[i].series];
    char group[32], step[32], rate[32] = "", bytes[32] = "";

    ladder_group_name(l, l->recipes[i].group, group, sizeof group);
    if (o->state == LADDER_SCORED && !*group)
        snprintf(group, sizeof group, "%dx%d", o->w, o->h);
    if (series->bitrates)
        rate_text(l->recipes[i].step, step, sizeof step);
    else
        snprintf(step, sizeof step, "crf %g", l->recipes[i].step);
    printf("%c %-11s %-10s %11s  ", l->found && l->best == i ? '>' : on_hull ? '*' : ' ', series->name, group, step);
    switch (o->state) {
    case LADDER_SCORED:
        rate_text(o->rate, rate, sizeof rate);
        size_text(o->bytes, bytes, sizeof bytes);
        printf("%12s %7.2f %10s %8.1f s  %s\n", rate, o->score, bytes, o->seconds, o->encoder ? o->encoder : "");
        break;
    case LADDER_FAILED:
        printf("failed: %s\n", o->message ? o->message : "out of memory");
        break;
    default:
        puts("cancelled");
    }
}

static void print_table(const Ladder *l)
{
    bool hull[VMAFX_LADDER_RECIPES_MAX];
    size_t counts[LADDER_CANCELLED + 1] = { 0 };

    ladder_mark_hull(l, hull);
    printf("  %-11s %-10s %11s  %12s %7s %10s %10s  %s\n", "CODEC", "SIZE", "STEP", "BITRATE", "SCORE", "BYTES",
           "ENCODING", "ENCODER");
    for (size_t i = 0; i < l->n; i++) {
        print_recipe(l, i, hull[i]);
        counts[l->outcomes[i].state]++;
    }
    if (counts[LADDER_SCORED] > 2)
        puts("\n* on the convex hull of all: no mix of others is better at that rate");
    if (counts[LADDER_FAILED])
        printf("\n%zu of %zu failed\n", counts[LADDER_FAILED], l->n);
}

static void print_bd(const Ladder *l)
{
    size_t width = 0;

    for (size_t i = 0; i < l->n_series; i++)
        width = VMAFX_MAX(width, strlen(l->series[i].name));
    printf("\nagainst %s, at the same score\n", l->series[0].name);
    for (size_t i = 1; i < l->n_series; i++) {
        VmafxErrInfo info = { 0 };
        VmafxBd bd;

        printf("  %-*s  ", (int)width, l->series[i].name);
        if (ladder_bd(l, i, &bd, &info)) {
            printf("no BD-rate: %s\n", info.message);
            continue;
        }
        printf("BD-rate %+.2f %%", bd.rate);
        if (bd.has_quality)
            printf(", BD-score %+.2f", bd.quality);
        printf(", over scores %.1f to %.1f\n", bd.from, bd.to);
        if (bd.overlap < 0.5)
            printf("  %-*s  that is only %.0f %% of what the two cover: choose steps that bring them together\n",
                   (int)width, "", bd.overlap * 100);
    }
}

static void print_target(const Ladder *l)
{
    char name[LADDER_NAME_MAX], rate[32];

    printf("\n");
    if (!l->found) {
        printf("no recipe reaches %g; %zu tried\n", l->target, l->n);
        return;
    }
    ladder_recipe_name(l, &l->recipes[l->best], name);
    rate_text(l->outcomes[l->best].rate, rate, sizeof rate);
    printf("> %s reaches %g with %.2f at %s; %zu encode%s\n", name, l->target, l->outcomes[l->best].score, rate, l->n,
           l->n == 1 ? "" : "s");
}

void ladder_print(const Ladder *l)
{
    print_table(l);
    if (l->has_target)
        print_target(l);
    else if (l->n_series > 1)
        print_bd(l);
}
