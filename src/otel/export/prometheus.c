/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The page, in three steps. Every metric is sorted into a family, first come first served: a family claims all the
 * sample names its type can produce, and who would need a claimed name is left out. Then families are written in the
 * order of their names, each whole or not at all. Inside a family a hash set of label texts keeps points apart.
 */

#include "otel/export/prometheus.h"

#include <math.h>
#include <stdlib.h>
#include <strings.h>

#include "base/base.h"
#include "otel/api/attr_set.h"
#include "otel/export/prometheus_text.h"

enum {
    LIMIT_DEFAULT = 16 * 1024 * 1024,
    EXP_BOUNDS_MAX = 20,
    EXEMPLAR_CHARS_MAX = 128,
    NAME_MAX_BYTES = 4096, /* of a name or label after translation; longer ones are cut off */
};

typedef enum FamilyType { GAUGE, COUNTER, HISTOGRAM } FamilyType;

typedef struct Family {
    char *name; /* without _total */
    char *unit; /* words, or "" */
    FamilyType type;
    const char *help;
    size_t *members; /* indices of metrics */
    size_t n_members, members_room;
} Family;

/* An open hash set: of names with the family they belong to, or of hashes alone. */
typedef struct Claim {
    char *name;
    size_t family;
} Claim;

typedef struct Page {
    const VmafxPrometheusOptions *options;
    const VmafxMetricData *metrics;
    VmafxPrometheusPage *out;
    VmafxText text, labels, scratch;
    Family *families;
    size_t n_families;
    Claim *claims;
    size_t claims_size; /* a power of two, at least twice what is claimed */
} Page;

static bool openmetrics(const Page *page)
{
    return page->options->format == VMAFX_PROMETHEUS_OPENMETRICS;
}

/* ---- Accept ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void trim(const char **p, size_t *n)
{
    for (; *n && is_blank(**p); (*n)--)
        (*p)++;
    while (*n && is_blank((*p)[*n - 1]))
        (*n)--;
}

/* The next part up to the separator; moves on behind it. */
static bool next_part(const char **p, size_t *n, char separator, const char **ret_part, size_t *ret_n)
{
    if (!*n)
        return false;
    const char *end = memchr(*p, separator, *n);
    size_t len = end ? (size_t)(end - *p) : *n;

    *ret_part = *p;
    *ret_n = len;
    *p += end ? len + 1 : len;
    *n -= end ? len + 1 : len;
    trim(ret_part, ret_n);
    return true;
}

static bool is_text(const char *p, size_t n, const char *text)
{
    return strlen(text) == n && !strncasecmp(p, text, n);
}

/* Thousandths; −1 when it is no number of 0 … 1 with at most three decimals. */
static int quality(const char *p, size_t n)
{
    int q = 0, unit = 100;

    if (!n || n > 5 || (p[0] != '0' && p[0] != '1') || (n > 1 && p[1] != '.'))
        return -1;
    q = (p[0] - '0') * 1000;
    for (size_t i = 2; i < n; i++, unit /= 10) {
        if (p[i] < '0' || p[i] > '9')
            return -1;
        q += (p[i] - '0') * unit;
    }
    return q > 1000 ? -1 : q;
}

/* One media range. Its q, or −1 when it is none of ours. */
static int range_quality(const char *range, size_t n, VmafxPrometheusFormat *ret)
{
    const char *part, *version;
    size_t len;
    int q = 1000;

    if (!next_part(&range, &n, ';', &part, &len))
        return -1;
    bool metrics = is_text(part, len, "application/openmetrics-text");
    if (!metrics && !is_text(part, len, "text/plain") && !is_text(part, len, "text/*") && !is_text(part, len, "*/*"))
        return -1;
    *ret = metrics ? VMAFX_PROMETHEUS_OPENMETRICS : VMAFX_PROMETHEUS_TEXT;
    version = metrics ? "1.0.0" : "0.0.4";
    while (next_part(&range, &n, ';', &part, &len)) {
        if (len > 2 && !strncasecmp(part, "q=", 2))
            q = quality(part + 2, len - 2);
        else if (len >= 8 && !strncasecmp(part, "version=", 8) && !is_text(part + 8, len - 8, version))
            return -1;
    }
    return q;
}

VmafxPrometheusFormat vmafx_prometheus_negotiate(const char *accept, size_t len)
{
    VmafxPrometheusFormat best = VMAFX_PROMETHEUS_TEXT, one = VMAFX_PROMETHEUS_TEXT;
    int best_q = 0;
    const char *range;
    size_t n;

    while (accept && next_part(&accept, &len, ',', &range, &n)) {
        int q = range_quality(range, n, &one);

        if (q > best_q) {
            best_q = q;
            best = one;
        }
    }
    return best;
}

const char *vmafx_prometheus_content_type(VmafxPrometheusFormat format)
{
    return format == VMAFX_PROMETHEUS_OPENMETRICS ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                                  : "text/plain; version=0.0.4; charset=utf-8";
}

/* ---- Families ---- */

static bool ends_with(const char *text, size_t len, const char *end)
{
    size_t n = strlen(end);

    return len >= n && !memcmp(text + len - n, end, n);
}

static void add_suffix(VmafxText *name, const char *suffix)
{
    if (name->len && name->data[name->len - 1] != '_')
        vmafx_text_char(name, '_');
    vmafx_text_str(name, suffix);
}

static bool has_suffix(const VmafxText *name, const char *word)
{
    return ends_with(name->data, name->len, word) &&
           (name->len == strlen(word) || name->data[name->len - strlen(word) - 1] == '_');
}

static FamilyType type_of(const VmafxMetricData *m)
{
    if (m->type == VMAFX_METRIC_HISTOGRAM || m->type == VMAFX_METRIC_EXP_HISTOGRAM)
        return HISTOGRAM;
    return m->type == VMAFX_METRIC_SUM && m->monotonic ? COUNTER : GAUGE;
}

/* Name (without _total) and unit words of a metric. False: no name is left. */
static bool family_name(const Page *page, const VmafxMetricData *m, VmafxText *name, VmafxText *unit)
{
    FamilyType type = type_of(m);

    vmafx_text_name(name, m->name ? m->name : "", false);
    vmafx_text_unit(unit, m->unit ? m->unit : "");
    if (type == GAUGE && m->unit && !strcmp(m->unit, "1"))
        vmafx_text_str(unit, "ratio");
    if (!name->len || name->failed)
        return false;
    bool total = type == COUNTER && (openmetrics(page) || !page->options->no_suffixes); /* comes with the sample */
    if (total && ends_with(name->data, name->len, "_total") && name->len > strlen("_total"))
        vmafx_text_cut(name, name->len - strlen("_total"));
    if (unit->len && !page->options->no_suffixes && !has_suffix(name, unit->data))
        add_suffix(name, unit->data);
    return !name->failed && strspn(name->data, "_") < name->len;
}

static const char *const *suffixes(FamilyType type)
{
    static const char *const of[][6] = {
        [GAUGE] = { "" },
        [COUNTER] = { "", "_total", "_created" },
        [HISTOGRAM] = { "", "_bucket", "_count", "_sum", "_created" },
    };

    return of[type];
}

static Claim *claim_at(Page *page, const char *name)
{
    size_t at = vmafx_text_hash(name, 0) & (page->claims_size - 1);

    while (page->claims[at].name && strcmp(page->claims[at].name, name) != 0)
        at = (at + 1) & (page->claims_size - 1);
    return &page->claims[at];
}

static bool claim_all(Page *page, const char *name, FamilyType type, size_t family)
{
    for (int pass = 0; pass < 2; pass++) /* look, then take */
        for (size_t i = 0; i < 5 && (i == 0 || suffixes(type)[i]); i++) {
            char *full = vmafx_sprintf("%s%s", name, suffixes(type)[i]);
            Claim *claim = full ? claim_at(page, full) : NULL;

            if (!claim || (pass == 0 && claim->name)) {
                free(full);
                return false;
            }
            if (pass == 1 && !claim->name)
                *claim = (Claim){ full, family };
            else
                free(full);
        }
    return true;
}

static bool add_member(Family *family, size_t metric)
{
    if (family->n_members == family->members_room) {
        size_t room = family->members_room ? 2 * family->members_room : 2;
        size_t *members = realloc(family->members, room * sizeof *members);

        if (!members)
            return false;
        family->members = members;
        family->members_room = room;
    }
    family->members[family->n_members++] = metric;
    return true;
}

static bool sort_in(Page *page, size_t index, VmafxText *name, VmafxText *unit)
{
    const VmafxMetricData *m = &page->metrics[index];
    FamilyType type = type_of(m);

    if ((m->delta && m->type != VMAFX_METRIC_GAUGE) || !family_name(page, m, name, unit))
        return false;
    Claim *claim = claim_at(page, name->data);
    if (claim->name) { /* ours, when it is the family's own name and not one of its samples' */
        Family *family = claim->family < page->n_families ? &page->families[claim->family] : NULL;

        return family && family->type == type && !strcmp(family->name, name->data) && add_member(family, index);
    }
    if (!claim_all(page, name->data, type, page->n_families))
        return false;
    Family *family = &page->families[page->n_families];
    family->name = vmafx_strdup(name->data);
    family->unit = vmafx_strdup(unit->data ? unit->data : "");
    family->type = type;
    family->help = m->description ? m->description : "";
    page->n_families++;
    return family->name && family->unit && add_member(family, index);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const Family *)a)->name, ((const Family *)b)->name);
}

static bool sort_metrics(Page *page, size_t n)
{
    page->claims_size = 64;
    while (page->claims_size < (n + 2) * 10)
        page->claims_size *= 2;
    page->claims = calloc(page->claims_size, sizeof *page->claims);
    page->families = calloc(n + 1, sizeof *page->families);
    if (!page->claims || !page->families || !claim_all(page, "target", GAUGE, SIZE_MAX) ||
        !claim_all(page, "target_info", GAUGE, SIZE_MAX))
        return false;
    for (size_t i = 0; i < n; i++) {
        VmafxText name = { .limit = NAME_MAX_BYTES }, unit = { .limit = NAME_MAX_BYTES };

        if (!sort_in(page, i, &name, &unit))
            page->out->dropped_metrics++;
        free(name.data);
        free(unit.data);
    }
    size_t named = 0; /* without those that found no memory for their name */
    for (size_t i = 0; i < page->n_families; i++) {
        Family f = page->families[i];

        if (f.name && f.unit) {
            page->families[named++] = f;
        } else {
            free(f.name);
            free(f.unit);
            free(f.members);
        }
    }
    page->n_families = named;
    qsort(page->families, page->n_families, sizeof *page->families, by_name);
    return true;
}

/* ---- Labels ---- */

typedef struct Label {
    const char *prefix, *key; /* "otel_scope_" or "" */
    char *name;               /* translated */
    const VmafxValue *value;
} Label;

static int by_label(const void *a, const void *b)
{
    const Label *x = a, *y = b;
    int order = strcmp(x->name, y->name);

    return order ? order : strcmp(x->key, y->key);
}

static bool name_label(Label *label, bool histogram)
{
    VmafxText name = { .limit = NAME_MAX_BYTES };
    VMAFX_AUTO(vmafx_free_p) char *key = vmafx_sprintf("%s%s", label->prefix, label->key);

    if (key)
        vmafx_text_name(&name, key, true);
    if (!name.len) {
        free(name.data);
        return false;
    }
    if (histogram && !strcmp(name.data, "le")) {
        vmafx_text_cut(&name, 0);
        vmafx_text_str(&name, "exported_le");
    }
    label->name = name.data;
    return true;
}

/* name="value" of labels in order, those of one name joined with ';'. Empty values are no labels to Prometheus. */
static void put_labels(Page *page, const Label *labels, size_t n)
{
    VmafxText *t = &page->labels, *value = &page->scratch;

    for (size_t i = 0, next; i < n; i = next) {
        vmafx_text_cut(value, 0);
        for (next = i; next < n && !strcmp(labels[i].name, labels[next].name); next++) {
            if (next > i)
                vmafx_text_char(value, ';');
            vmafx_text_value(value, labels[next].value);
        }
        if (!value->len)
            continue;
        if (t->len)
            vmafx_text_char(t, ',');
        vmafx_text_str(t, labels[i].name);
        vmafx_text_str(t, "=\"");
        vmafx_text_escaped(t, value->data, value->len, true);
        vmafx_text_char(t, '"');
        t->failed |= value->failed;
    }
}

static void add_label(Label *labels, size_t *n, const char *prefix, const char *key, const VmafxValue *value,
                      bool histogram)
{
    labels[*n] = (Label){ prefix, key ? key : "", NULL, value };
    if (key && *key && name_label(&labels[*n], histogram))
        (*n)++;
}

/* Fills page->labels. False on no memory. */
static bool make_labels(Page *page, VmafxAttrs attrs, const VmafxScope *scope, bool histogram)
{
    static const char prefix[] = "otel_scope_";
    size_t n = 0, n_scope = scope && !page->options->no_scope_labels ? scope->attrs.n + 3 : 0;
    VMAFX_AUTO(vmafx_free_p) Label *labels = calloc(attrs.n + n_scope + 1, sizeof *labels);
    VmafxValue own[3];

    vmafx_text_cut(&page->labels, 0);
    if (!labels)
        return false;
    for (size_t i = 0; i < attrs.n; i++)
        add_label(labels, &n, "", attrs.items[i].key, &attrs.items[i].value, histogram);
    if (n_scope) {
        own[0] = vmafx_value_str(scope->name);
        own[1] = vmafx_value_str(scope->version);
        own[2] = vmafx_value_str(scope->schema_url);
        add_label(labels, &n, prefix, "name", &own[0], histogram);
        add_label(labels, &n, prefix, "version", &own[1], histogram);
        add_label(labels, &n, prefix, "schema_url", &own[2], histogram);
        for (size_t i = 0; i < scope->attrs.n; i++) {
            const char *key = scope->attrs.items[i].key;

            if (key && strcmp(key, "name") != 0 && strcmp(key, "version") != 0 && strcmp(key, "schema_url") != 0)
                add_label(labels, &n, prefix, key, &scope->attrs.items[i].value, histogram);
        }
    }
    qsort(labels, n, sizeof *labels, by_label);
    put_labels(page, labels, n);
    for (size_t i = 0; i < n; i++)
        free(labels[i].name);
    return !page->labels.failed;
}

/* ---- Samples ---- */

static void sample_start(Page *page, const char *family, const char *suffix)
{
    VmafxText *t = &page->text;

    vmafx_text_str(t, family);
    vmafx_text_str(t, suffix);
    if (page->labels.len) {
        vmafx_text_char(t, '{');
        vmafx_text_put(t, page->labels.data, page->labels.len);
        vmafx_text_char(t, '}');
    }
    vmafx_text_char(t, ' ');
}

static void put_number(Page *page, const VmafxPointData *point)
{
    if (point->is_int)
        vmafx_text_int(&page->text, point->i);
    else
        vmafx_text_double(&page->text, point->d, openmetrics(page));
}

static void put_created(Page *page, const char *family, const VmafxPointData *point)
{
    if (!openmetrics(page) || !point->start_ns)
        return;
    sample_start(page, family, "_created");
    vmafx_text_seconds(&page->text, point->start_ns);
    vmafx_text_char(&page->text, '\n');
}

static bool is_zero(const uint8_t *p, size_t n)
{
    uint8_t any = 0;

    for (size_t i = 0; i < n; i++)
        any |= p[i];
    return !any;
}

static void put_id(VmafxText *t, const char *name, const uint8_t *id, size_t n)
{
    static const char hex[] = "0123456789abcdef";

    vmafx_text_str(t, name);
    vmafx_text_str(t, "=\"");
    for (size_t i = 0; i < n; i++) {
        vmafx_text_char(t, hex[id[i] >> 4]);
        vmafx_text_char(t, hex[id[i] & 15]);
    }
    vmafx_text_char(t, '"');
}

/* A filtered attribute as one more label, when it fits and its name is new. Adds to *chars. */
static void put_filtered(Page *page, const VmafxAttr *attr, size_t labels_at, size_t *chars)
{
    VmafxText name = { .limit = NAME_MAX_BYTES }, *value = &page->scratch, *t = &page->text;

    vmafx_text_name(&name, attr->key ? attr->key : "", true);
    vmafx_text_cut(value, 0);
    vmafx_text_value(value, &attr->value);
    /* bytes: never fewer than characters */
    if (name.len && !name.failed && !value->failed && *chars + name.len + value->len <= EXEMPLAR_CHARS_MAX) {
        VMAFX_AUTO(vmafx_free_p) char *first = vmafx_sprintf("{%s=\"", name.data);
        VMAFX_AUTO(vmafx_free_p) char *other = vmafx_sprintf("\",%s=\"", name.data);
        bool known = !first || !other || !t->data || strncmp(t->data + labels_at, first, strlen(first)) == 0 ||
                     strstr(t->data + labels_at, other);

        if (!known && strcmp(name.data, "trace_id") != 0 && strcmp(name.data, "span_id") != 0) {
            if (t->len > labels_at + 1)
                vmafx_text_char(t, ',');
            vmafx_text_str(t, name.data);
            vmafx_text_str(t, "=\"");
            vmafx_text_escaped(t, value->data ? value->data : "", value->len, true);
            vmafx_text_char(t, '"');
            *chars += name.len + value->len;
        }
    }
    free(name.data);
}

static void put_exemplar(Page *page, const VmafxExemplar *e)
{
    VmafxText *t = &page->text;
    size_t chars = 0;

    vmafx_text_str(t, " # ");
    size_t labels_at = t->len;
    vmafx_text_char(t, '{');
    if (!is_zero(e->trace_id, sizeof e->trace_id) && !is_zero(e->span_id, sizeof e->span_id)) {
        put_id(t, "trace_id", e->trace_id, sizeof e->trace_id);
        vmafx_text_char(t, ',');
        put_id(t, "span_id", e->span_id, sizeof e->span_id);
        chars = strlen("trace_id") + 2 * sizeof e->trace_id + strlen("span_id") + 2 * sizeof e->span_id;
    }
    for (size_t i = 0; i < e->filtered.n; i++)
        put_filtered(page, &e->filtered.items[i], labels_at, &chars);
    vmafx_text_str(t, "} ");
    if (e->is_int)
        vmafx_text_int(t, e->i);
    else
        vmafx_text_double(t, e->d, true);
    vmafx_text_char(t, ' ');
    vmafx_text_seconds(t, e->time_ns);
}

/* The latest exemplar in (lower, upper], where the formats know exemplars at all. */
static void put_latest_exemplar(Page *page, const VmafxPointData *point, double lower, double upper)
{
    const VmafxExemplar *latest = NULL;

    for (size_t i = 0; openmetrics(page) && i < point->n_exemplars; i++) {
        const VmafxExemplar *e = &point->exemplars[i];
        double v = e->is_int ? (double)e->i : e->d;

        if (v > lower && v <= upper && (!latest || e->time_ns >= latest->time_ns))
            latest = e;
    }
    if (latest)
        put_exemplar(page, latest);
}

static void put_bucket(Page *page, const char *family, const VmafxPointData *point, double lower, double upper,
                       uint64_t count)
{
    VmafxText *t = &page->text;

    vmafx_text_str(t, family);
    vmafx_text_str(t, "_bucket{");
    if (page->labels.len) {
        vmafx_text_put(t, page->labels.data, page->labels.len);
        vmafx_text_char(t, ',');
    }
    vmafx_text_str(t, "le=\"");
    vmafx_text_double(t, upper, openmetrics(page));
    vmafx_text_str(t, "\"} ");
    vmafx_text_uint(t, count);
    put_latest_exemplar(page, point, lower, upper);
    vmafx_text_char(t, '\n');
}

static uint64_t plus(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static void put_histogram_end(Page *page, const char *family, const VmafxPointData *point, double lower, uint64_t count)
{
    put_bucket(page, family, point, lower, INFINITY, count);
    sample_start(page, family, "_count");
    vmafx_text_uint(&page->text, count);
    vmafx_text_char(&page->text, '\n');
    if (point->has_sum) {
        sample_start(page, family, "_sum");
        vmafx_text_double(&page->text, point->sum, openmetrics(page));
        vmafx_text_char(&page->text, '\n');
    }
    put_created(page, family, point);
}

static bool put_explicit(Page *page, const char *family, const VmafxPointData *point)
{
    uint64_t count = 0;
    double lower = -INFINITY;

    for (size_t i = 0; i < point->n_bounds; i++)
        if (!isfinite(point->bounds[i]) || (i && point->bounds[i] <= point->bounds[i - 1]))
            return false;
    if (point->n_bounds && !point->counts)
        return false;
    for (size_t i = 0; i < point->n_bounds; i++) {
        count = plus(count, point->counts[i]);
        put_bucket(page, family, point, lower, point->bounds[i], count);
        lower = point->bounds[i];
    }
    count = point->counts ? plus(count, point->counts[point->n_bounds]) : point->count;
    put_histogram_end(page, family, point, lower, count);
    return true;
}

/* Upper boundary of exponential bucket i, 2^((i + 1) / 2^scale); 0 and infinity beyond the doubles. */
static double exp_upper(int64_t index, int scale)
{
    return exp2(ldexp((double)(index + 1), -scale));
}

static int64_t buckets_after(const VmafxExpBuckets *b, int shift)
{
    int64_t lo = b->offset, hi = lo + (int64_t)b->n - 1;

    return b->n ? (hi >> shift) - (lo >> shift) + 1 : 0;
}

/* Neighbours are merged, as one downscale, until at most 20 boundaries are left. */
static bool put_exponential(Page *page, const char *family, const VmafxPointData *point)
{
    const VmafxExpBuckets *pos = &point->positive, *neg = &point->negative;
    int shift = 0;
    uint64_t count = 0;
    double lower = -INFINITY;

    if (pos->n > INT32_MAX || neg->n > INT32_MAX || (pos->n && !pos->counts) || (neg->n && !neg->counts) ||
        !(point->zero_threshold >= 0 && isfinite(point->zero_threshold)))
        return false;
    bool zero = point->zero_count || neg->n;
    while (shift < 40 && buckets_after(pos, shift) + buckets_after(neg, shift) + zero > EXP_BOUNDS_MAX)
        shift++;
    int scale = point->scale < -64 || point->scale > 64 ? 0 : point->scale - shift;

    for (size_t i = neg->n; i-- > 0;) { /* the largest magnitude first; its bucket ends at its lower boundary */
        int64_t at = ((int64_t)neg->offset + (int64_t)i) >> shift;

        count = plus(count, neg->counts[i]);
        if (i && (((int64_t)neg->offset + (int64_t)i - 1) >> shift) == at)
            continue;
        double upper = -exp_upper(at - 1, scale);
        if (!(upper > lower) || upper > -point->zero_threshold || isinf(upper) || upper == 0)
            continue; /* beyond the doubles: counted in the next */
        put_bucket(page, family, point, lower, upper, count);
        lower = upper;
    }
    if (zero) {
        count = plus(count, point->zero_count);
        put_bucket(page, family, point, lower, point->zero_threshold, count);
        lower = point->zero_threshold;
    }
    for (size_t i = 0; i < pos->n; i++) {
        int64_t at = ((int64_t)pos->offset + (int64_t)i) >> shift;

        count = plus(count, pos->counts[i]);
        if (i + 1 < pos->n && (((int64_t)pos->offset + (int64_t)i + 1) >> shift) == at)
            continue;
        double upper = exp_upper(at, scale);
        if (!(upper > lower) || isinf(upper))
            continue;
        put_bucket(page, family, point, lower, upper, count);
        lower = upper;
    }
    put_histogram_end(page, family, point, lower, count);
    return true;
}

static bool put_point(Page *page, const Family *family, const VmafxMetricData *m, const VmafxPointData *point)
{
    switch (family->type) {
    case GAUGE:
        sample_start(page, family->name, "");
        put_number(page, point);
        vmafx_text_char(&page->text, '\n');
        return true;
    case COUNTER:
        if (point->is_int ? point->i < 0 : !(point->d >= 0))
            return false;
        sample_start(page, family->name, page->options->no_suffixes && !openmetrics(page) ? "" : "_total");
        put_number(page, point);
        put_latest_exemplar(page, point, -INFINITY, INFINITY);
        vmafx_text_char(&page->text, '\n');
        put_created(page, family->name, point);
        return true;
    case HISTOGRAM:
        return m->type == VMAFX_METRIC_HISTOGRAM ? put_explicit(page, family->name, point)
                                                 : put_exponential(page, family->name, point);
    }
    return false;
}

/* ---- Families on the page ---- */

typedef struct Hashes {
    uint64_t *items; /* 0: free */
    size_t size, n;
} Hashes;

static void hash_put(uint64_t *items, size_t size, uint64_t hash)
{
    size_t at = hash & (size - 1);

    while (items[at])
        at = (at + 1) & (size - 1);
    items[at] = hash;
}

/* False when it was there. No memory: as if it were new. */
static bool hash_add(Hashes *set, uint64_t hash)
{
    hash |= (uint64_t)1 << 63;
    for (size_t at = hash & (set->size - 1); set->size && set->items[at]; at = (at + 1) & (set->size - 1))
        if (set->items[at] == hash)
            return false;
    if (set->n * 2 >= set->size) {
        size_t size = set->size ? 2 * set->size : 64;
        uint64_t *items = calloc(size, sizeof *items);

        if (!items)
            return true;
        for (size_t i = 0; i < set->size; i++)
            if (set->items[i])
                hash_put(items, size, set->items[i]);
        free(set->items);
        set->items = items;
        set->size = size;
    }
    hash_put(set->items, set->size, hash);
    set->n++;
    return true;
}

static void put_meta(Page *page, const char *what, const char *name, const char *suffix, const char *value)
{
    VmafxText *t = &page->text;

    vmafx_text_str(t, "# ");
    vmafx_text_str(t, what);
    vmafx_text_char(t, ' ');
    vmafx_text_str(t, name);
    vmafx_text_str(t, suffix);
    vmafx_text_char(t, ' ');
    vmafx_text_escaped(t, value, strlen(value), openmetrics(page) && *what == 'H');
    vmafx_text_char(t, '\n');
}

static void put_family_head(Page *page, const Family *family)
{
    static const char *const types[] = { "gauge", "counter", "histogram" };
    const char *suffix = family->type == COUNTER && !openmetrics(page) && !page->options->no_suffixes ? "_total" : "";
    VmafxText name = { .data = family->name, .len = strlen(family->name) };

    if (openmetrics(page)) {
        put_meta(page, "TYPE", family->name, suffix, types[family->type]);
        if (*family->unit && name.len > strlen(family->unit) && has_suffix(&name, family->unit))
            put_meta(page, "UNIT", family->name, suffix, family->unit);
        if (*family->help)
            put_meta(page, "HELP", family->name, suffix, family->help);
    } else {
        if (*family->help)
            put_meta(page, "HELP", family->name, suffix, family->help);
        put_meta(page, "TYPE", family->name, suffix, types[family->type]);
    }
}

static void put_family(Page *page, const Family *family)
{
    size_t start = page->text.len, written = 0;
    Hashes seen = { 0 };

    put_family_head(page, family);
    for (size_t i = 0; i < family->n_members; i++) {
        const VmafxMetricData *m = &page->metrics[family->members[i]];

        for (size_t p = 0; p < m->n_points && !page->text.failed; p++) {
            const VmafxPointData *point = &m->points[p];

            if (point->flags & 1) /* no recorded value */
                continue;
            if (make_labels(page, point->attrs, m->scope, family->type == HISTOGRAM) &&
                hash_add(&seen, vmafx_text_hash(page->labels.data ? page->labels.data : "", 1)) &&
                put_point(page, family, m, point))
                written++;
            else
                page->out->dropped_points++;
        }
    }
    free(seen.items);
    if (page->text.failed)
        page->out->truncated = true;
    if (page->text.failed || !written)
        vmafx_text_cut(&page->text, start);
}

static void put_target(Page *page, const VmafxResource *resource)
{
    size_t start = page->text.len;

    if (!resource || !resource->attrs.n || page->options->no_target_info)
        return;
    if (openmetrics(page)) {
        put_meta(page, "TYPE", "target", "", "info");
        put_meta(page, "HELP", "target", "", "Target metadata");
    } else {
        put_meta(page, "HELP", "target_info", "", "Target metadata");
        put_meta(page, "TYPE", "target_info", "", "gauge");
    }
    bool whole = make_labels(page, resource->attrs, NULL, false);
    sample_start(page, "target", "_info");
    vmafx_text_str(&page->text, "1\n");
    if (page->text.failed || !whole) {
        page->out->truncated = true;
        vmafx_text_cut(&page->text, start);
    }
}

static void page_done(Page *page)
{
    for (size_t i = 0; i < page->n_families; i++) {
        free(page->families[i].name);
        free(page->families[i].unit);
        free(page->families[i].members);
    }
    free(page->families);
    for (size_t i = 0; page->claims && i < page->claims_size; i++)
        free(page->claims[i].name);
    free(page->claims);
    free(page->labels.data);
    free(page->scratch.data);
}

void vmafx_prometheus_write(const VmafxPrometheusOptions *options, const VmafxResource *resource,
                            const VmafxMetricData *metrics, size_t n, VmafxPrometheusPage *out)
{
    static const VmafxPrometheusOptions defaults = { 0 };
    static const char eof[] = "# EOF\n";
    size_t limit = out->limit ? out->limit : LIMIT_DEFAULT;
    Page page = { .options = options ? options : &defaults,
                  .metrics = metrics,
                  .out = out,
                  .text = { .data = out->data, .room = out->room },
                  .labels = { .limit = limit },
                  .scratch = { .limit = limit } };
    size_t end = openmetrics(&page) ? strlen(eof) : 0;

    out->dropped_metrics = out->dropped_points = 0;
    out->truncated = false;
    page.text.limit = limit > end ? limit - end : 0;
    vmafx_text_str(&page.text, "");
    put_target(&page, resource);
    if (sort_metrics(&page, n))
        for (size_t i = 0; i < page.n_families; i++)
            put_family(&page, &page.families[i]);
    else
        out->truncated = true;
    page.text.limit = limit;
    if (end)
        vmafx_text_str(&page.text, eof);
    out->data = page.text.data;
    out->len = page.text.len;
    out->room = page.text.room;
    page_done(&page);
}
