/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Prometheus pages: whatever names, units, labels and values come in, every line of the page is well formed, every
 * family is in one piece, and no sample is there twice. The checker is a reading of the two formats' grammars and
 * shares no code with the writer.
 */

#include <ctype.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "otel/export/prometheus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { METRICS_MAX = 12, POINTS_MAX = 3, ATTRS_MAX = 4, TEXT_MAX = 24, COUNTS_MAX = 40, LINES_MAX = 20000 };

/* ---- Metrics from bytes ---- */

typedef struct Input {
    const uint8_t *p;
    size_t n;
} Input;

static uint8_t byte(Input *in)
{
    if (!in->n)
        return 0;
    in->n--;
    return *in->p++;
}

static void bytes(Input *in, void *to, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)to)[i] = byte(in);
}

typedef char Text[TEXT_MAX + 1];

static const char *text(Input *in, Text to)
{
    size_t n = byte(in) % TEXT_MAX;

    bytes(in, to, n);
    to[n] = 0;
    return to;
}

typedef struct Made {
    VmafxScope scopes[2];
    VmafxMetricData metrics[METRICS_MAX];
    VmafxPointData points[METRICS_MAX][POINTS_MAX];
    VmafxAttr attrs[METRICS_MAX + 2][POINTS_MAX][ATTRS_MAX];
    VmafxExemplar exemplars[METRICS_MAX][POINTS_MAX];
    double bounds[METRICS_MAX][POINTS_MAX][COUNTS_MAX];
    uint64_t counts[METRICS_MAX][POINTS_MAX][COUNTS_MAX + 1];
    Text texts[METRICS_MAX * (3 + POINTS_MAX * ATTRS_MAX * 2) + 64];
    size_t n_texts;
} Made;

static const char *some_text(Made *made, Input *in)
{
    return made->n_texts < VMAFX_LEN(made->texts) ? text(in, made->texts[made->n_texts++]) : "x";
}

static VmafxAttrs some_attrs(Made *made, Input *in, VmafxAttr *attrs)
{
    size_t n = byte(in) % (ATTRS_MAX + 1);

    for (size_t i = 0; i < n; i++) {
        attrs[i].key = some_text(made, in);
        attrs[i].value = (VmafxValue){ .type = byte(in) % (VMAFX_VALUE_BYTES + 1) };
        if (attrs[i].value.type == VMAFX_VALUE_BOOL) {
            attrs[i].value.b = byte(in) & 1;
        } else if (attrs[i].value.type == VMAFX_VALUE_INT || attrs[i].value.type == VMAFX_VALUE_DOUBLE) {
            bytes(in, &attrs[i].value.i, sizeof attrs[i].value.i);
        } else {
            const char *s = some_text(made, in);

            attrs[i].value.str.ptr = s;
            attrs[i].value.str.len = strlen(s);
        }
    }
    return (VmafxAttrs){ attrs, n };
}

static void make_point(Made *made, Input *in, size_t m, size_t p)
{
    VmafxPointData *point = &made->points[m][p];
    uint8_t flags = byte(in);
    size_t n = byte(in) % COUNTS_MAX;

    *point = (VmafxPointData){ .is_int = flags & 1, .has_sum = flags & 2, .flags = (flags & 12) == 12 };
    point->attrs = some_attrs(made, in, made->attrs[m][p]);
    bytes(in, &point->i, sizeof point->i);
    bytes(in, &point->d, sizeof point->d);
    bytes(in, &point->start_ns, sizeof point->start_ns);
    point->sum = point->d;
    for (size_t i = 0; i <= n; i++)
        bytes(in, &made->counts[m][p][i], 1 + flags % 8);
    for (size_t i = 0; i < n; i++)
        made->bounds[m][p][i] = flags & 16 ? (double)byte(in) / 4 : (double)i - 3.5;
    point->counts = made->counts[m][p];
    point->bounds = made->bounds[m][p];
    point->n_bounds = n;
    point->scale = (int8_t)byte(in);
    bytes(in, &point->positive.offset, 1 + flags % 4);
    bytes(in, &point->negative.offset, 1 + flags % 4);
    point->positive.counts = point->negative.counts = made->counts[m][p];
    point->positive.n = n;
    point->negative.n = flags & 32 ? n / 2 : 0;
    point->zero_count = flags & 64 ? 3 : 0;

    VmafxExemplar *e = &made->exemplars[m][p];
    *e = (VmafxExemplar){ .d = point->d, .i = point->i, .is_int = point->is_int, .time_ns = point->start_ns };
    bytes(in, e->trace_id, 2);
    bytes(in, e->span_id, 2);
    e->filtered = point->attrs;
    point->exemplars = e;
    point->n_exemplars = 1;
}

static size_t make(Made *made, Input *in)
{
    size_t n = byte(in) % (METRICS_MAX + 1);

    for (size_t s = 0; s < 2; s++)
        made->scopes[s] = (VmafxScope){ some_text(made, in), some_text(made, in), some_text(made, in),
                                        some_attrs(made, in, made->attrs[METRICS_MAX + s][0]) };
    for (size_t m = 0; m < n; m++) {
        uint8_t flags = byte(in);

        made->metrics[m] = (VmafxMetricData){ .scope = &made->scopes[flags & 1],
                                              .name = some_text(made, in),
                                              .unit = some_text(made, in),
                                              .description = some_text(made, in),
                                              .type = flags >> 1 & 3,
                                              .monotonic = flags & 8,
                                              .delta = (flags & 0x70) == 0x70,
                                              .points = made->points[m],
                                              .n_points = byte(in) % (POINTS_MAX + 1) };
        for (size_t p = 0; p < made->metrics[m].n_points; p++)
            make_point(made, in, m, p);
    }
    return n;
}

/* ---- The checker ---- */

static void check(bool holds)
{
    if (!holds)
        abort();
}

static const char *skip_name(const char *p, bool label)
{
    check(isalpha((unsigned char)*p) || *p == '_' || (*p == ':' && !label));
    while (isalnum((unsigned char)*p) || *p == '_' || (*p == ':' && !label))
        p++;
    return p;
}

/* {name="value",…}; no name twice. */
static const char *skip_labels(const char *p)
{
    const char *names[64];
    size_t lens[64], n = 0;

    check(*p++ == '{');
    while (*p != '}') {
        const char *name = p;

        p = skip_name(p, true);
        for (size_t i = 0; i < n; i++)
            check(lens[i] != (size_t)(p - name) || memcmp(names[i], name, lens[i]) != 0);
        check(n < 64);
        names[n] = name;
        lens[n++] = (size_t)(p - name);
        check(*p++ == '=');
        check(*p++ == '"');
        for (; *p != '"'; p++) {
            check(*p && *p != '\n');
            if (*p == '\\') {
                p++;
                check(*p == '\\' || *p == '"' || *p == 'n');
            }
        }
        p++;
        check(*p == ',' || *p == '}');
        if (*p == ',') {
            p++;
            check(*p != '}');
        }
    }
    return p + 1;
}

static const char *skip_number(const char *p)
{
    char *end;

    check(*p == '-' || *p == '+' || *p == 'N' || isdigit((unsigned char)*p));
    (void)strtod(p, &end);
    check(end != p);
    return end;
}

static void check_utf8(const char *text, size_t n)
{
    const unsigned char *p = (const unsigned char *)text;

    for (size_t i = 0; i < n;) {
        size_t more = p[i] < 0x80 ? 0 : p[i] >= 0xc2 && p[i] < 0xe0 ? 1 : (p[i] & 0xf0) == 0xe0 ? 2 : 3;

        check(p[i] && (more < 3 || (p[i] >= 0xf0 && p[i] < 0xf5)));
        for (i++; more; more--, i++)
            check(i < n && (p[i] & 0xc0) == 0x80);
    }
}

typedef struct Seen {
    const char *p;
    size_t n;
} Seen;

static int by_text(const void *a, const void *b)
{
    const Seen *x = a, *y = b;
    int order = memcmp(x->p, y->p, VMAFX_MIN(x->n, y->n));

    return order ? order : x->n < y->n ? -1 : x->n > y->n;
}

static void check_unique(Seen *seen, size_t n)
{
    qsort(seen, n, sizeof *seen, by_text);
    for (size_t i = 1; i < n; i++)
        check(by_text(&seen[i - 1], &seen[i]) != 0);
}

/* A sample belongs to the family whose TYPE line came last. */
static bool belongs(const char *sample, size_t n, Seen family)
{
    static const char *const suffixes[] = { "", "_total", "_created", "_bucket", "_count", "_sum", "_info" };

    for (size_t i = 0; i < VMAFX_LEN(suffixes); i++)
        if (n == family.n + strlen(suffixes[i]) && !memcmp(sample, family.p, family.n) &&
            !memcmp(sample + family.n, suffixes[i], strlen(suffixes[i])))
            return true;
    return false;
}

static void check_page(const VmafxPrometheusPage *page, bool open)
{
    Seen *samples = malloc(LINES_MAX * sizeof *samples), *types = malloc(LINES_MAX * sizeof *types);
    size_t n_samples = 0, n_types = 0;
    Seen family = { "", 0 };
    bool ended = false;

    check(samples && types && page->data && strlen(page->data) == page->len);
    check_utf8(page->data, page->len);
    for (const char *p = page->data, *end; *p; p = end + 1) {
        end = strchr(p, '\n');
        check(end && !ended);
        if (!strncmp(p, "# EOF\n", 6)) {
            check(open);
            ended = true;
        } else if (!strncmp(p, "# TYPE ", 7)) {
            family.p = p + 7;
            family.n = (size_t)(skip_name(family.p, false) - family.p);
            check(n_types < LINES_MAX);
            types[n_types++] = family;
            check(family.p[family.n] == ' ');
        } else if (*p == '#') {
            check(!strncmp(p, "# HELP ", 7) || (open && !strncmp(p, "# UNIT ", 7)));
            check(*skip_name(p + 7, false) == ' ');
        } else {
            const char *at = skip_name(p, false);

            check(belongs(p, (size_t)(at - p), family));
            if (*at == '{')
                at = skip_labels(at);
            check(n_samples < LINES_MAX);
            samples[n_samples++] = (Seen){ p, (size_t)(at - p) };
            check(*at++ == ' ');
            at = skip_number(at);
            if (*at == ' ') {
                check(open && !strncmp(at, " # {", 4));
                at = skip_labels(at + 3);
                check(*at++ == ' ');
                at = skip_number(at);
                check(*at++ == ' ');
                at = skip_number(at);
            }
            check(at == end);
        }
    }
    check(ended == open);
    check_unique(samples, n_samples);
    check_unique(types, n_types);
    free(samples);
    free(types);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input in = { data, size };
    Made *made = calloc(1, sizeof *made);
    VmafxAttr resource_attrs[ATTRS_MAX];

    if (!made)
        abort();
    uint8_t flags = byte(&in);
    VmafxResource resource = { some_attrs(made, &in, resource_attrs), "" };
    size_t n = make(made, &in);
    for (int open = 0; open < 2; open++) {
        VmafxPrometheusOptions options = { .format = open ? VMAFX_PROMETHEUS_OPENMETRICS : VMAFX_PROMETHEUS_TEXT,
                                           .no_scope_labels = flags & 1,
                                           .no_suffixes = flags & 2 };
        VmafxPrometheusPage page = { .limit = flags & 4 ? 64 + (size_t)flags * 8 : 0 };

        vmafx_prometheus_write(&options, &resource, made->metrics, n, &page);
        if (page.limit)
            check(page.len <= page.limit);
        check_page(&page, open);
        free(page.data);
    }
    (void)vmafx_prometheus_negotiate((const char *)in.p, in.n);
    free(made);
    return 0;
}
