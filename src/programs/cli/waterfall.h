/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Spans as a tree with bars on one line of time, for a terminal:
 *
 *     vmafx.job                        vmafx-controller   12.4 s  ████████████████████████████████
 *     ├─ vmafx.job.queue               vmafx-controller   150 ms  █·······························
 *     └─ vmafx.task.run                vmafx-controller   12.2 s  ·███████████████████████████████
 *        ├─ vmafx.input.open           vmafx-node         31 ms   ·█······························
 *        └─ ! vmafx.scoring            vmafx-scorer       12.1 s  ·███████████████████████████████
 *               ! the distorted video ends after frame 1200
 *               * at 12.0 s: exception: EOFError: no more packets        (an event; a link is "-> span
 * 00f067aa0ba902b7")
 *
 * Any spans make a tree: those whose parent is not among them stand below a row of its own, a circle is cut at the
 * span that began first, one of two with the same id counts. Pure but for the writing.
 */
#ifndef VMAFX_PROGRAMS_CLI_WATERFALL_H
#define VMAFX_PROGRAMS_CLI_WATERFALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <vmafx/error.h>

#define WATERFALL_SPANS_MAX 20000

typedef struct WaterfallAttribute {
    const char *key, *value;
} WaterfallAttribute;

typedef struct WaterfallEvent {
    const char *name;
    int64_t time_ns; /* since 1970 */
    const WaterfallAttribute *attributes;
    size_t n_attributes;
} WaterfallEvent;

typedef struct WaterfallLink {
    char trace_id[33]; /* hexadecimal digits */
    uint64_t id;
} WaterfallLink;

/* Texts may be anything; what a terminal must not see is replaced when they are drawn. None is NULL. */
typedef struct WaterfallSpan {
    uint64_t id, parent; /* parent 0: none */
    const char *name, *service, *message;
    int64_t start_ns, end_ns; /* since 1970; end 0: still going on */
    int kind;                 /* 0 … 5, as OTLP numbers them */
    bool error;
    const WaterfallAttribute *attributes;
    size_t n_attributes;
    const WaterfallEvent *events;
    size_t n_events;
    const WaterfallLink *links;
    size_t n_links;
} WaterfallSpan;

typedef struct Waterfall Waterfall;

/**
 * @param spans  borrowed as long as the waterfall lives
 * @return VMAFX_ERR_LIMIT more than WATERFALL_SPANS_MAX; VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr waterfall_new(const WaterfallSpan *spans, size_t n, Waterfall **ret);
void waterfall_free(Waterfall **waterfall);

typedef struct WaterfallStyle {
    int columns; /* of the terminal */
    bool utf8;   /* else ASCII only */
    bool colour;
    bool attributes;     /* a line for each, below its span */
    size_t rows_max;     /* spans drawn; a note tells how many more there are. 0: no limit */
    size_t children_max; /* of one parent, likewise; 0: no limit */
} WaterfallStyle;

/** How this terminal, or file, is drawn to: its width, LC_ALL, LC_CTYPE or LANG, NO_COLOR. */
WaterfallStyle waterfall_style_for(int fd);

/** Whether everything could be written shows at the stream. */
void waterfall_draw(const Waterfall *waterfall, const WaterfallStyle *style, FILE *out);

/**
 * The tree as JSON: {"schema": "vmafx.trace", "schema_version": 1, "job": …, "trace_id": …, "spans": […]}, spans in the
 * order of the tree with their depth.
 * @param job  NULL: the trace of something else
 * @return VMAFX_ERR_NOMEM, VMAFX_ERR_IO
 */
VMAFX_CHECK VmafxErr waterfall_json(const Waterfall *waterfall, const char *job, const char *trace_id, FILE *out);
#endif
