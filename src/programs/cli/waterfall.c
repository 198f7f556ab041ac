/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The tree (by parent ids, siblings by time), then rows from it. No recursion: a trace may be one long chain. */

#include "programs/cli/waterfall.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <jansson.h>

#include "base/base.h"
#include "otel/export/otlp_response.h"

#define NONE          UINT32_MAX
#define COLUMNS_ELSE  100 /* where there is no terminal */
#define COLUMNS_MIN   40
#define COLUMNS_MAX   400
#define LABEL_MIN     20
#define LABEL_MAX     60
#define SERVICE_WIDTH 16
#define TIME_WIDTH    8
#define DEPTH_MAX     20 /* of guides; see Drawing */
#define TEXT_SIZE     1024
#define LEAD_SIZE     (DEPTH_MAX * 8) /* a piece of a guide has up to 7 bytes */

typedef struct Node {
    const WaterfallSpan *span;
    uint32_t parent, first, last, next; /* NONE: none */
    uint32_t n_children;
    uint32_t depth;
    bool orphan; /* its parent is named, but not here */
    bool placed; /* hangs in the tree */
    bool passed; /* on the way up to a circle */
} Node;

/* Nodes are sorted by start, so that children are too. The last one is the row for lost parents. */
struct Waterfall {
    Node *nodes;
    uint32_t n;           /* without that last one */
    uint32_t first, last; /* roots */
    uint32_t *by_id;      /* positions in nodes, sorted by span id, then position */
    WaterfallSpan lost;
    int64_t start_ns, end_ns; /* of all of them */
};

/* ---- the tree ---- */

static int by_time(const void *a, const void *b)
{
    const WaterfallSpan *x = ((const Node *)a)->span, *y = ((const Node *)b)->span;

    if (x->start_ns != y->start_ns)
        return x->start_ns < y->start_ns ? -1 : 1;
    if (x->end_ns != y->end_ns) /* the longer one is the outer one, most likely */
        return (uint64_t)y->end_ns - 1 < (uint64_t)x->end_ns - 1 ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static int by_id(const void *a, const void *b, void *ctx)
{
    const Waterfall *w = ctx;
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    uint64_t x = w->nodes[i].span->id, y = w->nodes[j].span->id;

    if (x != y)
        return x < y ? -1 : 1;
    return i < j ? -1 : i > j;
}

static uint32_t find(const Waterfall *w, uint64_t id)
{
    uint32_t lo = 0, hi = w->n;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (w->nodes[w->by_id[mid]].span->id < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < w->n && w->nodes[w->by_id[lo]].span->id == id ? w->by_id[lo] : NONE;
}

static void hang(Waterfall *w, uint32_t child, uint32_t parent)
{
    Node *node = &w->nodes[child];
    uint32_t *first = parent == NONE ? &w->first : &w->nodes[parent].first;
    uint32_t *last = parent == NONE ? &w->last : &w->nodes[parent].last;

    node->parent = parent;
    node->next = NONE;
    *(*first == NONE ? first : &w->nodes[*last].next) = child;
    *last = child;
    if (parent != NONE)
        w->nodes[parent].n_children++;
}

/* The node after this one in the order of the tree; NONE at the end. */
static uint32_t next_in_tree(const Waterfall *w, uint32_t i, bool into_children)
{
    if (into_children && w->nodes[i].first != NONE)
        return w->nodes[i].first;
    while (i != NONE && w->nodes[i].next == NONE)
        i = w->nodes[i].parent;
    return i == NONE ? NONE : w->nodes[i].next;
}

/* Marks what hangs below a root. Whoever is not marked in the end is in a circle, or below one. */
static void place(Waterfall *w, uint32_t root)
{
    uint32_t i = root;

    do {
        Node *node = &w->nodes[i];
        node->placed = true;
        if (node->first != NONE) {
            i = node->first;
            continue;
        }
        while (i != root && w->nodes[i].next == NONE)
            i = w->nodes[i].parent;
        if (i != root)
            i = w->nodes[i].next;
    } while (i != root);
}

/* The first in time of the circle that this node is in or below; nodes are in that order. */
static uint32_t circle_above(Waterfall *w, uint32_t i)
{
    while (!w->nodes[i].passed) {
        w->nodes[i].passed = true;
        i = w->nodes[i].parent;
    }
    uint32_t first = i;
    for (uint32_t j = w->nodes[i].parent; j != i; j = w->nodes[j].parent)
        first = VMAFX_MIN(first, j);
    return first;
}

static void unhang(Waterfall *w, uint32_t child)
{
    Node *parent = &w->nodes[w->nodes[child].parent];
    uint32_t before = NONE;

    for (uint32_t i = parent->first; i != child; i = w->nodes[i].next)
        before = i;
    *(before == NONE ? &parent->first : &w->nodes[before].next) = w->nodes[child].next;
    if (parent->last == child)
        parent->last = before;
    parent->n_children--;
}

static void build(Waterfall *w)
{
    for (uint32_t i = 0; i < w->n; i++) {
        Node *node = &w->nodes[i];
        uint32_t parent = node->span->parent ? find(w, node->span->parent) : NONE;

        if (find(w, node->span->id) != i)
            continue; /* its id is taken: left out */
        if (parent == i)
            parent = NONE;
        node->orphan = node->span->parent && parent == NONE;
        if (parent != NONE)
            hang(w, i, parent);
        else if (!node->orphan)
            hang(w, i, NONE);
    }
    for (uint32_t i = 0; i < w->n; i++)
        if (w->nodes[i].orphan || (!w->nodes[i].span->parent && find(w, w->nodes[i].span->id) == i))
            place(w, i);
    for (uint32_t i = 0; i < w->n; i++) {
        if (w->nodes[i].placed || find(w, w->nodes[i].span->id) != i)
            continue;
        uint32_t cut = circle_above(w, i);
        unhang(w, cut);
        w->nodes[cut].orphan = true;
        place(w, cut);
    }
    for (uint32_t i = 0; i < w->n; i++)
        if (w->nodes[i].orphan)
            hang(w, i, w->n);
    if (w->nodes[w->n].first != NONE)
        hang(w, w->n, NONE);
    for (uint32_t i = w->first; i != NONE; i = next_in_tree(w, i, true))
        if (w->nodes[i].parent != NONE && w->nodes[i].parent != w->n) /* the row for lost parents is no span */
            w->nodes[i].depth = w->nodes[w->nodes[i].parent].depth + 1;
}

/* When a span that goes on is drawn to end. */
static int64_t end_of(const Waterfall *w, const WaterfallSpan *span)
{
    return span->end_ns ? VMAFX_MAX(span->end_ns, span->start_ns) : w->end_ns;
}

VmafxErr waterfall_new(const WaterfallSpan *spans, size_t n, Waterfall **ret)
{
    VMAFX_AUTO(waterfall_free) Waterfall *w = NULL;

    if (n > WATERFALL_SPANS_MAX)
        return VMAFX_ERR_LIMIT;
    w = calloc(1, sizeof *w);
    if (!w)
        return VMAFX_ERR_NOMEM;
    w->n = (uint32_t)n;
    w->first = w->last = NONE;
    w->nodes = calloc(n + 1, sizeof *w->nodes);
    w->by_id = calloc(n + 1, sizeof *w->by_id);
    if (!w->nodes || !w->by_id)
        return VMAFX_ERR_NOMEM;
    w->lost = (WaterfallSpan){ .name = "(parent not here)", .service = "", .message = "" };
    for (size_t i = 0; i <= n; i++) {
        w->nodes[i] =
            (Node){ .span = i < n ? &spans[i] : &w->lost, .parent = NONE, .first = NONE, .last = NONE, .next = NONE };
        w->by_id[i] = (uint32_t)i;
        if (i == n)
            break;
        w->start_ns = i ? VMAFX_MIN(w->start_ns, spans[i].start_ns) : spans[i].start_ns;
        w->end_ns = VMAFX_MAX(w->end_ns, VMAFX_MAX(spans[i].end_ns, spans[i].start_ns));
    }
    qsort(w->nodes, n, sizeof *w->nodes, by_time);
    qsort_r(w->by_id, n, sizeof *w->by_id, by_id, w);
    build(w);
    *ret = VMAFX_TAKE(w);
    return VMAFX_OK;
}

void waterfall_free(Waterfall **waterfall)
{
    if (!*waterfall)
        return;
    free((*waterfall)->nodes);
    free((*waterfall)->by_id);
    free(*waterfall);
    *waterfall = NULL;
}

/* ---- drawing ---- */

static bool speaks_utf8(void)
{
    static const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };

    for (size_t i = 0; i < VMAFX_LEN(names); i++) {
        const char *value = getenv(names[i]);
        if (value && *value)
            return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
    }
    return false;
}

WaterfallStyle waterfall_style_for(int fd)
{
    struct winsize size;
    const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");
    bool terminal = isatty(fd);

    return (WaterfallStyle){
        .columns = terminal && !ioctl(fd, TIOCGWINSZ, &size) && size.ws_col ? size.ws_col : COLUMNS_ELSE,
        .utf8 = speaks_utf8(),
        .colour = terminal && !(no_colour && *no_colour) && !(term && !strcmp(term, "dumb")),
    };
}

typedef struct Drawing {
    const Waterfall *w;
    const WaterfallStyle *style;
    FILE *out;
    int label, service, bar; /* widths */
    size_t depth;            /* rows deeper than this are not moved further to the right; up to DEPTH_MAX */
} Drawing;

static void duration_text(int64_t ns, bool utf8, char *ret, size_t size)
{
    double us = (double)ns / 1e3;
    int64_t s = ns / 1000000000;

    if (us < 999.5)
        snprintf(ret, size, "%.0f %s", us, utf8 ? "µs" : "us");
    else if (us < 9995)
        snprintf(ret, size, "%.2f ms", us / 1e3);
    else if (us < 999500)
        snprintf(ret, size, "%.0f ms", us / 1e3);
    else if (us < 9.995e6)
        snprintf(ret, size, "%.2f s", us / 1e6);
    else if (us < 59.95e6)
        snprintf(ret, size, "%.1f s", us / 1e6);
    else if (s < 3600)
        snprintf(ret, size, "%" PRId64 "m %02" PRId64 "s", s / 60, s % 60);
    else
        snprintf(ret, size, "%" PRId64 "h %02" PRId64 "m", s / 3600, s / 60 % 60);
}

/* Fit for this terminal: no control characters; without UTF-8 nothing beyond ASCII. */
static void clean(const Drawing *d, const char *text, char ret[TEXT_SIZE])
{
    size_t out = 0;

    vmafx_otlp_printable(text, strnlen(text, 4 * TEXT_SIZE), ret, TEXT_SIZE);
    for (size_t i = 0; !d->style->utf8 && i <= strlen(ret); i++) {
        if (((unsigned char)ret[i] & 0xC0) == 0x80)
            continue;
        ret[out++] = (unsigned char)ret[i] < 0x80 ? ret[i] : '?';
    }
    if (!d->style->utf8)
        ret[out ? out - 1 : 0] = 0;
}

/* Text in at most so many columns (a character is taken for one); how many it took. */
static int put_cut(const Drawing *d, const char *text, int width)
{
    const char *c = text;
    int n = 0;

    for (; *c; c++)
        n += (*c & 0xC0) != 0x80;
    if (n <= width) {
        fputs(text, d->out);
        return n;
    }
    c = text;
    for (int i = 0; i < width - 1; i++)
        do
            c++;
        while ((*c & 0xC0) == 0x80);
    fprintf(d->out, "%.*s%s", (int)(c - text), text, d->style->utf8 ? "…" : "~");
    return width;
}

static void put_cell(const Drawing *d, const char *text, int width)
{
    fprintf(d->out, "%*s", width - put_cut(d, text, width), "");
}

static void put_times(const Drawing *d, const char *text, int n)
{
    while (n-- > 0)
        fputs(text, d->out);
}

/* The lines that lead to a row: for itself a corner or a tee, for its ancestors whether they have siblings below. */
static size_t guides(const Drawing *d, uint32_t i, bool more_follow, char *ret, size_t size)
{
    const char *tee = d->style->utf8 ? "├─ " : "|- ", *corner = d->style->utf8 ? "└─ " : "`- ";
    const char *line = d->style->utf8 ? "│  " : "|  ";
    const char *pieces[DEPTH_MAX];
    size_t n = 0, levels, len = 0;

    for (; d->w->nodes[i].parent != NONE && n < d->depth; i = d->w->nodes[i].parent, n++)
        if (!n)
            pieces[n] = more_follow ? tee : corner;
        else
            pieces[n] = d->w->nodes[i].next != NONE ? line : "   ";
    levels = n;
    ret[0] = 0;
    while (n--)
        len += (size_t)snprintf(ret + len, size - len, "%s", pieces[n]);
    return levels;
}

static const char *colour(const Drawing *d, const char *code)
{
    return d->style->colour ? code : "";
}

static void draw_bar(const Drawing *d, const WaterfallSpan *span)
{
    int64_t start = d->w->start_ns, whole = VMAFX_MAX(d->w->end_ns - start, 1);
    double unit = (double)d->bar / (double)whole;
    int from = VMAFX_MIN((int)((double)(span->start_ns - start) * unit), d->bar - 1);
    int to = VMAFX_MIN(VMAFX_MAX((int)((double)(end_of(d->w, span) - start) * unit + 0.5), from + 1), d->bar);

    fputs(colour(d, "\033[2m"), d->out);
    put_times(d, d->style->utf8 ? "·" : ".", from);
    fprintf(d->out, "%s%s", colour(d, "\033[0m"), colour(d, span->error ? "\033[31m" : "\033[32m"));
    put_times(d, d->style->utf8 ? "█" : span->error ? "!" : "#", to - from - !span->end_ns);
    if (!span->end_ns)
        fputs(d->style->utf8 ? "▶" : ">", d->out); /* goes on */
    fprintf(d->out, "%s%s", colour(d, "\033[0m"), colour(d, "\033[2m"));
    put_times(d, d->style->utf8 ? "·" : ".", d->bar - to);
    fputs(colour(d, "\033[0m"), d->out);
}

/* Further lines of a row: where its name stands, without a bar. */
static void draw_more(const Drawing *d, uint32_t i, const char *code, const char *fmt, const char *a, const char *b)
{
    char text[TEXT_SIZE * 2 + 16];
    char lead[LEAD_SIZE];
    int indent = 3 * (int)guides(d, i, false, lead, sizeof lead) + 4;

    snprintf(text, sizeof text, fmt, a, b);
    fprintf(d->out, "%*s%s", indent, "", colour(d, code));
    put_cut(d, text, VMAFX_MAX(d->style->columns - indent, 8));
    fprintf(d->out, "%s\n", colour(d, "\033[0m"));
}

static const char *attribute_of(const WaterfallEvent *event, const char *key)
{
    for (size_t i = 0; i < event->n_attributes; i++)
        if (!strcmp(event->attributes[i].key, key))
            return event->attributes[i].value;
    return "";
}

/* A line: when, and what; of an exception what it was. */
static void draw_event(const Drawing *d, uint32_t i, const WaterfallEvent *event)
{
    bool exception = !strcmp(event->name, "exception");
    const char *type = exception ? attribute_of(event, "exception.type") : "";
    const char *message = exception ? attribute_of(event, "exception.message") : "";
    char name[TEXT_SIZE], text[TEXT_SIZE], raw[TEXT_SIZE * 2], when[64], after[32];
    int64_t since = event->time_ns - d->w->nodes[i].span->start_ns;

    duration_text(VMAFX_MAX(since, 0), d->style->utf8, after, sizeof after);
    snprintf(when, sizeof when, "* at %s: ", after);
    clean(d, event->name, name);
    snprintf(raw, sizeof raw, "%s%s%s%s%s", name, *type ? ": " : "", type, *message ? ": " : "", message);
    clean(d, raw, text);
    draw_more(d, i, exception ? "\033[31m" : "\033[2m", "%s%s", when, text);
    for (size_t k = 0; d->style->attributes && k < event->n_attributes; k++) {
        clean(d, event->attributes[k].key, name);
        clean(d, event->attributes[k].value, text);
        draw_more(d, i, "\033[2m", "    %s = %s", name, text);
    }
}

static void draw_link(const Drawing *d, uint32_t i, const WaterfallLink *link)
{
    char id[17];
    bool here = find(d->w, link->id) != NONE;

    snprintf(id, sizeof id, "%016" PRIx64, link->id);
    draw_more(d, i, "\033[2m", here ? "-> span %s%s" : "-> span %s of trace %s", id, here ? "" : link->trace_id);
}

static void draw_row(const Drawing *d, uint32_t i)
{
    const Node *node = &d->w->nodes[i];
    const WaterfallSpan *span = node->span;
    char lead[LEAD_SIZE], name[TEXT_SIZE], service[TEXT_SIZE], label[TEXT_SIZE * 2], took[32];

    guides(d, i, node->next != NONE, lead, sizeof lead);
    clean(d, span->name, name);
    snprintf(label, sizeof label, "%s%s%s", lead, span->error ? "! " : "", name);
    fputs(colour(d, span->error ? "\033[31m" : ""), d->out);
    if (i == d->w->n) {
        fprintf(d->out, "%s\n", label);
        return;
    }
    put_cell(d, label, d->label);
    fputs(colour(d, span->error ? "\033[0m" : ""), d->out);
    if (d->service) {
        putc(' ', d->out);
        clean(d, span->service, service);
        put_cell(d, service, d->service);
    }
    duration_text(end_of(d->w, span) - span->start_ns, d->style->utf8, took, sizeof took);
    putc(' ', d->out);
    put_cell(d, took, TIME_WIDTH);
    putc(' ', d->out);
    draw_bar(d, span);
    putc('\n', d->out);
    if (*span->message) {
        clean(d, span->message, name);
        draw_more(d, i, span->error ? "\033[31m" : "", "%s%s", span->error ? "! " : "", name);
    }
    for (size_t k = 0; d->style->attributes && k < span->n_attributes; k++) {
        clean(d, span->attributes[k].key, name);
        clean(d, span->attributes[k].value, service);
        draw_more(d, i, "\033[2m", "%s = %s", name, service);
    }
    for (size_t k = 0; k < span->n_events; k++)
        draw_event(d, i, &span->events[k]);
    for (size_t k = 0; k < span->n_links; k++)
        draw_link(d, i, &span->links[k]);
}

/* Instead of the children from this one on. */
static void draw_left_out(const Drawing *d, uint32_t first, uint32_t n)
{
    char lead[LEAD_SIZE], text[160], took[32];
    int64_t sum = 0;
    uint32_t errors = 0;

    for (uint32_t i = first; i != NONE; i = d->w->nodes[i].next) {
        sum += end_of(d->w, d->w->nodes[i].span) - d->w->nodes[i].span->start_ns;
        errors += d->w->nodes[i].span->error;
    }
    guides(d, first, false, lead, sizeof lead);
    duration_text(sum, d->style->utf8, took, sizeof took);
    fprintf(d->out, "%s%s", lead, colour(d, errors ? "\033[31m" : "\033[2m"));
    snprintf(text, sizeof text, "%s %" PRIu32 " more here, %s together", d->style->utf8 ? "…" : "...", n, took);
    fputs(text, d->out);
    if (errors)
        fprintf(d->out, ", %" PRIu32 " with errors", errors);
    fprintf(d->out, "; --all shows them%s\n", colour(d, "\033[0m"));
}

static void lay_out(Drawing *d)
{
    int columns = VMAFX_MIN(VMAFX_MAX(d->style->columns, COLUMNS_MIN), COLUMNS_MAX);

    d->service = columns >= 80 ? SERVICE_WIDTH : 0;
    d->label = VMAFX_MIN(VMAFX_MAX(columns * 2 / 5, LABEL_MIN), LABEL_MAX);
    d->depth = (size_t)VMAFX_MIN((d->label - 14) / 3, DEPTH_MAX); /* leaves room for a name */
    d->bar = VMAFX_MAX(columns - d->label - TIME_WIDTH - 2 - (d->service ? d->service + 1 : 0), 8);
}

void waterfall_draw(const Waterfall *waterfall, const WaterfallStyle *style, FILE *out)
{
    Drawing d = { .w = waterfall, .style = style, .out = out };
    VMAFX_AUTO(vmafx_free_p) uint32_t *rank = calloc(waterfall->n + 1, sizeof *rank); /* among its siblings */
    size_t drawn = 0;
    bool into;

    lay_out(&d);
    for (uint32_t i = waterfall->first; i != NONE; i = next_in_tree(waterfall, i, into)) {
        const Node *node = &waterfall->nodes[i];
        into = true;
        if (style->rows_max && drawn >= style->rows_max) {
            fprintf(out, "%s%s %zu of %" PRIu32 " spans are drawn; --all draws the rest%s\n", colour(&d, "\033[2m"),
                    style->utf8 ? "…" : "...", drawn, waterfall->n, colour(&d, "\033[0m"));
            return;
        }
        if (rank && style->children_max && node->parent != NONE && rank[i] >= style->children_max &&
            node->next != NONE) {
            draw_left_out(&d, i, waterfall->nodes[node->parent].n_children - rank[i]);
            while (waterfall->nodes[i].next != NONE) /* and go on behind the last of them */
                i = waterfall->nodes[i].next;
            into = false;
            continue;
        }
        if (rank && node->next != NONE)
            rank[node->next] = rank[i] + 1;
        draw_row(&d, i);
        drawn += i != waterfall->n;
    }
}

/* ---- JSON ---- */

static json_t *text_json(const char *text)
{
    char printable[4 * TEXT_SIZE];

    vmafx_otlp_printable(text, strnlen(text, sizeof printable), printable, sizeof printable);
    return json_string(printable);
}

static json_t *id_json(uint64_t id)
{
    char text[17];

    snprintf(text, sizeof text, "%016" PRIx64, id);
    return id ? json_string(text) : json_null();
}

static json_t *attributes_json(const WaterfallAttribute *attributes, size_t n)
{
    json_t *object = json_object();

    for (size_t i = 0; object && i < n; i++) {
        char key[TEXT_SIZE];

        vmafx_otlp_printable(attributes[i].key, strnlen(attributes[i].key, sizeof key), key, sizeof key);
        json_object_set_new(object, key, text_json(attributes[i].value));
    }
    return object;
}

static json_t *events_json(const WaterfallSpan *span)
{
    json_t *list = json_array();

    for (size_t i = 0; i < span->n_events; i++)
        json_array_append_new(list,
                              json_pack("{s:o, s:I, s:o}", "name", text_json(span->events[i].name), "time_unix_us",
                                        (json_int_t)(span->events[i].time_ns / 1000), "attributes",
                                        attributes_json(span->events[i].attributes, span->events[i].n_attributes)));
    return list;
}

static json_t *links_json(const WaterfallSpan *span)
{
    json_t *list = json_array();

    for (size_t i = 0; i < span->n_links; i++)
        json_array_append_new(
            list, json_pack("{s:s, s:o}", "trace_id", span->links[i].trace_id, "span_id", id_json(span->links[i].id)));
    return list;
}

static json_t *span_json(const Waterfall *w, const Node *node)
{
    static const char *const kinds[] = { "unspecified", "internal", "server", "client", "producer", "consumer" };
    const WaterfallSpan *span = node->span;

    return json_pack(
        "{s:i, s:o, s:o, s:b, s:o, s:o, s:s, s:I, s:o, s:s, s:o, s:o, s:o, s:o}", "depth", (int)node->depth, "span_id",
        id_json(span->id), "parent_span_id", id_json(span->parent), "parent_missing", (int)node->orphan, "name",
        text_json(span->name), "service", text_json(span->service), "kind",
        span->kind >= 0 && span->kind < (int)VMAFX_LEN(kinds) ? kinds[span->kind] : "unspecified", "start_unix_us",
        (json_int_t)(span->start_ns / 1000), "duration_ns",
        span->end_ns ? json_integer(end_of(w, span) - span->start_ns) : json_null(), "status",
        span->error ? "error" : "ok", "message", text_json(span->message), "attributes",
        attributes_json(span->attributes, span->n_attributes), "events", events_json(span), "links", links_json(span));
}

VmafxErr waterfall_json(const Waterfall *waterfall, const char *job, const char *trace_id, FILE *out)
{
    json_t *spans = json_array();
    json_t *root = json_pack("{s:s, s:i, s:s?, s:s, s:o}", "schema", "vmafx.trace", "schema_version", 1, "job", job,
                             "trace_id", trace_id, "spans", spans);
    VmafxErr err = root ? VMAFX_OK : VMAFX_ERR_NOMEM;

    for (uint32_t i = waterfall->first; !err && i != NONE; i = next_in_tree(waterfall, i, true))
        if (i != waterfall->n && json_array_append_new(spans, span_json(waterfall, &waterfall->nodes[i])))
            err = VMAFX_ERR_NOMEM;
    if (!err && (json_dumpf(root, out, JSON_INDENT(2)) || putc('\n', out) == EOF))
        err = VMAFX_ERR_IO;
    json_decref(root);
    return err;
}
