/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Reading model files (specification 50.1 to 50.4, 50.8).
 *
 * A file goes through three hands: jansson makes a tree of the JSON, read_member() takes one model_dict out of it, and
 * read_svm() reads the libsvm text inside. Members are filled in place in a zeroed VmafxModel that the caller frees
 * whatever happens, so an error simply returns.
 *
 * Numbers must not depend on the locale of the program we are linked into: the thread is in the "C" locale for the
 * time of the call.
 */

#include "engine/model/model.h"

#include <assert.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include <jansson.h>

#include "base/base.h"

#define TOKEN_MAX 128 /* characters of one word of libsvm text; 17 digits identify a double */

/** What every step of a parse needs. */
typedef struct Parse {
    VmafxErrInfo *reterr;
    char where[16]; /* "", or "3." inside member 3 of a collection */
    locale_t c;     /* the "C" locale */
    size_t cells;   /* values that support vectors may still take, of VMAFX_MODEL_CELLS_MAX */
} Parse;

/* ---- Errors ---- */

static VmafxErr bad(const Parse *p, VmafxErr err, const char *fmt, ...) VMAFX_PRINTF(3, 4);

/* A sentence that begins with the path of the member at fault, without the part they all share. */
static VmafxErr bad(const Parse *p, VmafxErr err, const char *fmt, ...)
{
    char sentence[VMAFX_ERR_MESSAGE_MAX];
    va_list args;

    va_start(args, fmt);
    vsnprintf(sentence, sizeof sentence, fmt, args);
    va_end(args);
    for (char *c = sentence; *c; c++) /* words of the file may be quoted; none of them steers a terminal */
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = '?';
    return vmafx_fail(p->reterr, err, "%smodel_dict%s", p->where, sentence);
}

static VmafxErr no_memory(const Parse *p)
{
    return vmafx_fail(p->reterr, VMAFX_ERR_NOMEM, "no memory for the model");
}

static const char *kind_of(const json_t *value)
{
    if (!value)
        return "missing";
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a bool";
    default:
        return "null";
    }
}

/* "model_dict.slopes is a string, an array wanted" */
static VmafxErr bad_kind(const Parse *p, const char *path, const json_t *value, const char *wanted)
{
    return bad(p, VMAFX_ERR_MODEL, ".%s is %s, %s wanted", path, kind_of(value), wanted);
}

/* ---- libsvm text ---- */

/** The text that is still to be read; line numbers are for people and begin with 1. */
typedef struct SvmText {
    const char *at, *end; /* at: the next line */
    size_t line;          /* number of the line being read */
    const char *word, *line_end;
} SvmText;

enum SvmKey {
    KEY_SVM_TYPE,
    KEY_KERNEL_TYPE,
    KEY_DEGREE,
    KEY_GAMMA,
    KEY_COEF0,
    KEY_NR_CLASS,
    KEY_TOTAL_SV,
    KEY_RHO,
    KEY_LABEL,
    KEY_PROB_A,
    KEY_PROB_B,
    KEY_NR_SV,
    N_KEYS
};

static const struct {
    const char *name;
    const char *word; /* the only value there may be; NULL: a number */
    bool list;        /* one number or more */
    bool required;
} svm_keys[N_KEYS] = {
    [KEY_SVM_TYPE] = { "svm_type", "nu_svr", false, true }, [KEY_KERNEL_TYPE] = { "kernel_type", "rbf", false, true },
    [KEY_DEGREE] = { "degree", NULL, false, false },        [KEY_GAMMA] = { "gamma", NULL, false, true },
    [KEY_COEF0] = { "coef0", NULL, false, false },          [KEY_NR_CLASS] = { "nr_class", NULL, false, false },
    [KEY_TOTAL_SV] = { "total_sv", NULL, false, true },     [KEY_RHO] = { "rho", NULL, false, true },
    [KEY_LABEL] = { "label", NULL, true, false },           [KEY_PROB_A] = { "probA", NULL, false, false },
    [KEY_PROB_B] = { "probB", NULL, false, false },         [KEY_NR_SV] = { "nr_sv", NULL, true, false },
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static bool next_line(SvmText *text)
{
    if (text->at == text->end)
        return false;

    const char *newline = memchr(text->at, '\n', (size_t)(text->end - text->at));
    text->word = text->at;
    text->line_end = newline ? newline : text->end;
    text->at = newline ? newline + 1 : text->end;
    text->line++;
    return true;
}

/* The next word of the line; "" at its end. */
static VmafxErr next_word(const Parse *p, SvmText *text, char word[TOKEN_MAX])
{
    while (text->word < text->line_end && is_blank(*text->word))
        text->word++;

    const char *from = text->word;
    while (text->word < text->line_end && !is_blank(*text->word))
        text->word++;

    size_t len = (size_t)(text->word - from);
    if (len >= TOKEN_MAX)
        return bad(p, VMAFX_ERR_MODEL, ".model line %zu has a word of %zu characters, at most %d wanted", text->line,
                   len, TOKEN_MAX - 1);
    memcpy(word, from, len);
    word[len] = 0;
    return VMAFX_OK;
}

/* A finite decimal number and nothing else: no hexadecimal, no "inf", no blank. */
static VmafxErr read_number(const Parse *p, const SvmText *text, const char *word, double *ret)
{
    char *end;

    if (word[0] && !word[strspn(word, "0123456789.+-eE")]) {
        double v = strtod_l(word, &end, p->c);
        if (!*end && isfinite(v)) {
            *ret = v;
            return VMAFX_OK;
        }
    }
    return bad(p, VMAFX_ERR_MODEL, ".model line %zu has '%s' where a finite number belongs", text->line, word);
}

static VmafxErr read_svm_key(const Parse *p, SvmText *text, const char *name, bool *seen, double *values)
{
    char word[TOKEN_MAX];
    size_t key = 0;
    VmafxErr err;

    while (key < N_KEYS && strcmp(svm_keys[key].name, name) != 0)
        key++;
    if (key == N_KEYS)
        return bad(p, VMAFX_ERR_MODEL, ".model line %zu has the unknown key '%s'", text->line, name);
    if (seen[key])
        return bad(p, VMAFX_ERR_MODEL, ".model line %zu has the key '%s' a second time", text->line, name);
    seen[key] = true;

    err = next_word(p, text, word);
    if (err)
        return err;
    if (svm_keys[key].word) {
        if (strcmp(word, svm_keys[key].word) != 0)
            return bad(p, VMAFX_ERR_MODEL, ".model line %zu: %s is '%s', %s wanted", text->line, name, word,
                       svm_keys[key].word);
    } else {
        err = read_number(p, text, word, &values[key]);
        if (err)
            return err;
    }

    for (;;) {
        double ignored;

        err = next_word(p, text, word);
        if (err || !word[0])
            return err;
        if (!svm_keys[key].list)
            return bad(p, VMAFX_ERR_MODEL, ".model line %zu has '%s' after the value of %s", text->line, word, name);
        err = read_number(p, text, word, &ignored);
        if (err)
            return err;
    }
}

/* The lines up to and with "SV". */
static VmafxErr read_svm_header(const Parse *p, SvmText *text, VmafxSvm *svm)
{
    bool seen[N_KEYS] = { false };
    double values[N_KEYS] = { 0 };
    VmafxErr err;

    for (;;) {
        char name[TOKEN_MAX], rest[TOKEN_MAX];

        if (!next_line(text))
            return bad(p, VMAFX_ERR_MODEL, ".model ends before the line SV");
        err = next_word(p, text, name);
        if (err)
            return err;
        if (!strcmp(name, "SV")) {
            err = next_word(p, text, rest);
            if (err)
                return err;
            if (rest[0])
                return bad(p, VMAFX_ERR_MODEL, ".model line %zu has '%s' after SV", text->line, rest);
            break;
        }
        err = read_svm_key(p, text, name, seen, values);
        if (err)
            return err;
    }

    for (size_t key = 0; key < N_KEYS; key++)
        if (svm_keys[key].required && !seen[key])
            return bad(p, VMAFX_ERR_MODEL, ".model has no %s", svm_keys[key].name);
    if (seen[KEY_NR_CLASS] && values[KEY_NR_CLASS] != 2)
        return bad(p, VMAFX_ERR_MODEL, ".model: nr_class is %g, 2 wanted", values[KEY_NR_CLASS]);
    if (values[KEY_GAMMA] < 0)
        return bad(p, VMAFX_ERR_MODEL, ".model: gamma is %g, 0 or more wanted", values[KEY_GAMMA]);

    double total = values[KEY_TOTAL_SV];
    if (total > VMAFX_MODEL_VECTORS_MAX)
        return bad(p, VMAFX_ERR_LIMIT, ".model: total_sv is %.17g, at most %d wanted", total, VMAFX_MODEL_VECTORS_MAX);
    if (total < 1 || total != floor(total))
        return bad(p, VMAFX_ERR_MODEL, ".model: total_sv is %.17g, 1 to %d wanted", total, VMAFX_MODEL_VECTORS_MAX);

    svm->gamma = values[KEY_GAMMA];
    svm->rho = values[KEY_RHO];
    svm->n = (size_t)total;
    return VMAFX_OK;
}

/* "-4 1:0.65 3:0.09", the word being "3:0.09". Indices begin with 1; *last is the one before. */
static VmafxErr read_component(const Parse *p, const SvmText *text, const char *word, size_t n_inputs, size_t *last,
                               double *row)
{
    size_t digits = strspn(word, "0123456789"), index = 0;

    if (digits == 0 || digits > 9 || word[digits] != ':')
        return bad(p, VMAFX_ERR_MODEL, ".model line %zu has '%s' where index:value belongs", text->line, word);
    for (size_t i = 0; i < digits; i++)
        index = index * 10 + (size_t)(word[i] - '0');
    if (index < 1 || index > n_inputs)
        return bad(p, VMAFX_ERR_MODEL, ".model line %zu has index %zu, 1 to %zu wanted", text->line, index, n_inputs);
    if (index <= *last)
        return bad(p, VMAFX_ERR_MODEL, ".model line %zu has index %zu after %zu, ascending order wanted", text->line,
                   index, *last);
    *last = index;
    return read_number(p, text, word + digits + 1, &row[index - 1]);
}

static VmafxErr read_vector(const Parse *p, SvmText *text, size_t n_inputs, double *coef, double *row)
{
    char word[TOKEN_MAX];
    size_t last = 0;
    VmafxErr err = next_word(p, text, word);

    if (!err)
        err = read_number(p, text, word, coef);
    while (!err) {
        err = next_word(p, text, word);
        if (err || !word[0])
            return err;
        err = read_component(p, text, word, n_inputs, &last, row);
    }
    return err;
}

static size_t count_lines(const SvmText *text)
{
    size_t n = 0;
    SvmText rest = *text;

    while (next_line(&rest))
        n++;
    return n;
}

/* All or nothing of svm->vector and svm->coef may be there when this fails; free_member() sees to it. */
static VmafxErr read_svm(Parse *p, const char *s, size_t len, size_t n_inputs, VmafxSvm *svm)
{
    SvmText text = { .at = s, .end = s + len };
    char word[TOKEN_MAX];
    VmafxErr err = read_svm_header(p, &text, svm);

    if (err)
        return err;

    size_t lines = count_lines(&text); /* before memory is taken for what the header only claims */
    if (lines < svm->n)
        return bad(p, VMAFX_ERR_MODEL, ".model has %zu support vectors, total_sv says %zu", lines, svm->n);
    if (svm->n * n_inputs > p->cells)
        return bad(p, VMAFX_ERR_LIMIT, ".model: the support vectors of the file have more than %zu values",
                   VMAFX_MODEL_CELLS_MAX);
    p->cells -= svm->n * n_inputs;

    svm->coef = calloc(svm->n, sizeof *svm->coef);
    svm->vector = calloc(svm->n * n_inputs, sizeof *svm->vector);
    if (!svm->coef || !svm->vector)
        return no_memory(p);

    for (size_t i = 0; i < svm->n && next_line(&text); i++) {
        err = read_vector(p, &text, n_inputs, &svm->coef[i], &svm->vector[i * n_inputs]);
        if (err)
            return err;
    }
    while (next_line(&text)) {
        err = next_word(p, &text, word);
        if (err)
            return err;
        if (word[0])
            return bad(p, VMAFX_ERR_MODEL, ".model line %zu comes after the %zu support vectors of total_sv", text.line,
                       svm->n);
    }
    return VMAFX_OK;
}

/* ---- model_dict ---- */

static VmafxErr read_string(const Parse *p, const json_t *dict, const char *key, const char **ret)
{
    const json_t *value = json_object_get(dict, key);

    if (!json_is_string(value))
        return bad_kind(p, key, value, "a string");
    *ret = json_string_value(value);
    return VMAFX_OK;
}

/* An array of exactly n numbers. */
static VmafxErr read_numbers(const Parse *p, const char *path, const json_t *value, size_t n, double *ret)
{
    if (!json_is_array(value))
        return bad_kind(p, path, value, "an array");
    if (json_array_size(value) != n)
        return bad(p, VMAFX_ERR_MODEL, ".%s has %zu numbers, %zu wanted", path, json_array_size(value), n);
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(value, i);

        if (!json_is_number(item))
            return bad(p, VMAFX_ERR_MODEL, ".%s[%zu] is %s, a number wanted", path, i, kind_of(item));
        ret[i] = json_number_value(item);
    }
    return VMAFX_OK;
}

static VmafxErr read_types(const Parse *p, const json_t *dict, VmafxModelMember *m)
{
    static const struct {
        const char *name;
        VmafxModelType type;
    } types[] = {
        { "LIBSVMNUSVR", VMAFX_MODEL_TYPE_PLAIN },
        { "BOOTSTRAP_LIBSVMNUSVR", VMAFX_MODEL_TYPE_BOOTSTRAP },
        { "RESIDUEBOOTSTRAP_LIBSVMNUSVR", VMAFX_MODEL_TYPE_RESIDUE_BOOTSTRAP },
    };
    const char *type = NULL, *norm = NULL;
    size_t i = 0;
    VmafxErr err = read_string(p, dict, "model_type", &type);

    if (!err)
        err = read_string(p, dict, "norm_type", &norm);
    if (err)
        return err;

    while (i < VMAFX_LEN(types) && strcmp(types[i].name, type) != 0)
        i++;
    if (i == VMAFX_LEN(types))
        return bad(p, VMAFX_ERR_MODEL, ".model_type is the unknown '%.64s'", type);
    m->type = types[i].type;

    m->rescale = !strcmp(norm, "linear_rescale");
    if (!m->rescale && strcmp(norm, "none") != 0)
        return bad(p, VMAFX_ERR_MODEL, ".norm_type is the unknown '%.64s'", norm);
    return VMAFX_OK;
}

static VmafxErr read_feature_names(const Parse *p, const json_t *dict, VmafxModelMember *m)
{
    const json_t *names = json_object_get(dict, "feature_names");
    size_t n = json_array_size(names);

    if (!json_is_array(names))
        return bad_kind(p, "feature_names", names, "an array");
    if (n > VMAFX_MODEL_FEATURES_MAX)
        return bad(p, VMAFX_ERR_LIMIT, ".feature_names has %zu names, at most %d wanted", n, VMAFX_MODEL_FEATURES_MAX);
    if (n == 0)
        return bad(p, VMAFX_ERR_MODEL, ".feature_names is empty");

    m->inputs = calloc(n, sizeof *m->inputs);
    if (!m->inputs)
        return no_memory(p);
    m->n_inputs = n;
    for (size_t i = 0; i < n; i++) {
        const json_t *name = json_array_get(names, i);

        if (!json_is_string(name))
            return bad(p, VMAFX_ERR_MODEL, ".feature_names[%zu] is %s, a string wanted", i, kind_of(name));
        m->inputs[i].feature = vmafx_strdup(json_string_value(name));
        if (!m->inputs[i].feature)
            return no_memory(p);
    }
    return VMAFX_OK;
}

/* The text an option value stands for (50.3). A number passes through binary32: 0.7 means "0.7", 1.0 means "1". */
static VmafxErr read_option(const Parse *p, size_t input, const char *key, const json_t *value, VmafxOption *option)
{
    char number[32];
    const char *text = json_string_value(value);

    if (json_is_boolean(value)) {
        text = json_is_true(value) ? "true" : "false";
    } else if (json_is_number(value)) {
        float narrow = (float)json_number_value(value);

        if (!isfinite(narrow))
            return bad(p, VMAFX_ERR_MODEL, ".feature_opts_dicts[%zu].%.64s is too large for single precision", input,
                       key);
        snprintf(number, sizeof number, "%g", (double)narrow);
        text = number;
    }
    if (!text)
        return bad(p, VMAFX_ERR_MODEL, ".feature_opts_dicts[%zu].%.64s is %s, a number, string or bool wanted", input,
                   key, kind_of(value));

    option->key = vmafx_strdup(key);
    option->value = vmafx_strdup(text);
    return option->key && option->value ? VMAFX_OK : no_memory(p);
}

static VmafxErr read_options(const Parse *p, const json_t *dict, VmafxModelMember *m)
{
    const json_t *dicts = json_object_get(dict, "feature_opts_dicts");

    if (!dicts)
        return VMAFX_OK;
    if (!json_is_array(dicts))
        return bad_kind(p, "feature_opts_dicts", dicts, "an array");
    if (json_array_size(dicts) != m->n_inputs)
        return bad(p, VMAFX_ERR_MODEL, ".feature_opts_dicts has %zu objects, %zu wanted", json_array_size(dicts),
                   m->n_inputs);

    for (size_t i = 0; i < m->n_inputs; i++) {
        json_t *opts = json_array_get(dicts, i), *value;
        VmafxOptions *options = &m->inputs[i].options;
        const char *key;

        if (!json_is_object(opts))
            return bad(p, VMAFX_ERR_MODEL, ".feature_opts_dicts[%zu] is %s, an object wanted", i, kind_of(opts));
        if (json_object_size(opts) == 0)
            continue;
        options->items = calloc(json_object_size(opts), sizeof *options->items);
        if (!options->items)
            return no_memory(p);
        json_object_foreach(opts, key, value)
        {
            VmafxErr err = read_option(p, i, key, value, &options->items[options->n++]);
            if (err)
                return err;
        }
    }
    return VMAFX_OK;
}

/* slopes and intercepts: the score first, then the inputs. Without rescaling a file need not have them. */
static VmafxErr read_rescaling(const Parse *p, const json_t *dict, VmafxModelMember *m)
{
    double slopes[VMAFX_MODEL_FEATURES_MAX + 1], intercepts[VMAFX_MODEL_FEATURES_MAX + 1];
    const json_t *s = json_object_get(dict, "slopes"), *i = json_object_get(dict, "intercepts");
    VmafxErr err = VMAFX_OK;

    if (m->rescale || s)
        err = read_numbers(p, "slopes", s, m->n_inputs + 1, slopes);
    if (!err && (m->rescale || i))
        err = read_numbers(p, "intercepts", i, m->n_inputs + 1, intercepts);
    if (err)
        return err;

    m->slope = m->rescale ? slopes[0] : 1;
    m->intercept = m->rescale ? intercepts[0] : 0;
    if (m->slope == 0)
        return bad(p, VMAFX_ERR_MODEL, ".slopes[0] is 0, which the score would be divided by");
    for (size_t j = 0; j < m->n_inputs; j++) {
        m->inputs[j].slope = m->rescale ? slopes[j + 1] : 1;
        m->inputs[j].intercept = m->rescale ? intercepts[j + 1] : 0;
    }
    return VMAFX_OK;
}

static VmafxErr read_clip(const Parse *p, const json_t *dict, VmafxModelMember *m)
{
    const json_t *value = json_object_get(dict, "score_clip");
    double clip[2];

    if (!value)
        return VMAFX_OK;
    VmafxErr err = read_numbers(p, "score_clip", value, 2, clip);
    if (err)
        return err;
    m->has_clip = true;
    m->clip_min = clip[0];
    m->clip_max = clip[1];
    return VMAFX_OK;
}

static VmafxErr read_knots(const Parse *p, const json_t *value, VmafxTransform *t)
{
    size_t n = json_array_size(value);

    if (!json_is_array(value))
        return bad_kind(p, "score_transform.knots", value, "an array");
    if (n > VMAFX_MODEL_KNOTS_MAX)
        return bad(p, VMAFX_ERR_LIMIT, ".score_transform.knots has %zu knots, at most %d wanted", n,
                   VMAFX_MODEL_KNOTS_MAX);

    for (size_t i = 0; i < n; i++) {
        char path[64];
        double xy[2];

        snprintf(path, sizeof path, "score_transform.knots[%zu]", i);
        VmafxErr err = read_numbers(p, path, json_array_get(value, i), 2, xy);
        if (err)
            return err;
        t->knots[i] = (VmafxKnot){ xy[0], xy[1] };
        if (i > 0 && !(t->knots[i - 1].x < xy[0] && t->knots[i - 1].y <= xy[1]))
            return bad(p, VMAFX_ERR_MODEL, ".%s does not follow the knot before it: x must rise and y not fall", path);
    }
    t->n_knots = n;
    return VMAFX_OK;
}

/* out_lte_in and out_gte_in: the string "true"; every other string means no. */
static VmafxErr read_switch(const Parse *p, const json_t *dict, const char *key, bool *ret)
{
    const json_t *value = json_object_get(dict, key);
    char path[64];

    if (!value)
        return VMAFX_OK;
    snprintf(path, sizeof path, "score_transform.%s", key);
    if (!json_is_string(value))
        return bad_kind(p, path, value, "a string");
    *ret = !strcmp(json_string_value(value), "true");
    return VMAFX_OK;
}

static VmafxErr read_transform(const Parse *p, const json_t *model_dict, VmafxTransform *t)
{
    static const char *const coefficients[] = { "p0", "p1", "p2" };
    const json_t *dict = json_object_get(model_dict, "score_transform"), *value;

    if (!dict)
        return VMAFX_OK;
    if (!json_is_object(dict))
        return bad_kind(p, "score_transform", dict, "an object");
    t->present = true;

    value = json_object_get(dict, "enabled");
    if (value && !json_is_boolean(value))
        return bad_kind(p, "score_transform.enabled", value, "a bool");
    t->enabled = json_is_true(value);

    for (size_t i = 0; i < VMAFX_LEN(coefficients); i++) {
        value = json_object_get(dict, coefficients[i]);
        if (!value || json_is_null(value))
            continue;
        if (!json_is_number(value))
            return bad(p, VMAFX_ERR_MODEL, ".score_transform.%s is %s, a number wanted", coefficients[i],
                       kind_of(value));
        t->has_p[i] = true;
        t->p[i] = json_number_value(value);
    }

    VmafxErr err = VMAFX_OK;
    value = json_object_get(dict, "knots");
    if (value && !json_is_null(value))
        err = read_knots(p, value, t);
    if (!err)
        err = read_switch(p, dict, "out_lte_in", &t->out_lte_in);
    if (!err)
        err = read_switch(p, dict, "out_gte_in", &t->out_gte_in);
    return err;
}

/* The one input whose feature name contains the part. */
static VmafxErr find_chroma_input(const Parse *p, const VmafxModelMember *m, const char *part, size_t *ret)
{
    size_t n = 0;

    for (size_t i = 0; i < m->n_inputs; i++)
        if (strstr(m->inputs[i].feature, part)) {
            *ret = i;
            n++;
        }
    if (n != 1)
        return bad(p, VMAFX_ERR_MODEL, ".feature_names has %zu names with '%s', chroma_correction_parameter wants one",
                   n, part);
    if (m->inputs[*ret].slope == 0)
        return bad(p, VMAFX_ERR_MODEL, ".slopes[%zu] is 0, which chroma_correction_parameter would divide by",
                   *ret + 1);
    return VMAFX_OK;
}

static VmafxErr read_chroma(const Parse *p, const json_t *dict, VmafxModelMember *m)
{
    const json_t *value = json_object_get(dict, "chroma_correction_parameter");

    if (!value)
        return VMAFX_OK;
    if (!json_is_number(value))
        return bad_kind(p, "chroma_correction_parameter", value, "a number");
    m->chroma.present = true;
    m->chroma.p = json_number_value(value);
    if (m->chroma.p == 0)
        return bad(p, VMAFX_ERR_MODEL, ".chroma_correction_parameter is 0; leave it out for no correction");

    VmafxErr err = find_chroma_input(p, m, "adm3", &m->chroma.adm3);
    if (!err)
        err = find_chroma_input(p, m, "speed_chroma", &m->chroma.chroma);
    if (!err && m->chroma.adm3 == m->chroma.chroma)
        err =
            bad(p, VMAFX_ERR_MODEL, ".feature_names[%zu] is both the adm3 and the speed_chroma input", m->chroma.adm3);
    return err;
}

static VmafxErr read_model_text(Parse *p, const json_t *dict, VmafxModelMember *m)
{
    const json_t *value = json_object_get(dict, "model");

    if (!json_is_string(value))
        return bad_kind(p, "model", value, "a string");
    return read_svm(p, json_string_value(value), json_string_length(value), m->n_inputs, &m->svm);
}

/* A single model: an object with model_dict. */
static VmafxErr read_member(Parse *p, const json_t *object, VmafxModelMember *m)
{
    const json_t *dict = json_object_get(object, "model_dict");

    if (!json_is_object(dict))
        return bad(p, VMAFX_ERR_MODEL, " is %s, an object wanted", kind_of(dict));

    VmafxErr err = read_types(p, dict, m);
    if (!err)
        err = read_feature_names(p, dict, m);
    if (!err)
        err = read_options(p, dict, m);
    if (!err)
        err = read_rescaling(p, dict, m);
    if (!err)
        err = read_clip(p, dict, m);
    if (!err)
        err = read_transform(p, dict, &m->transform);
    if (!err)
        err = read_chroma(p, dict, m);
    if (!err)
        err = read_model_text(p, dict, m);
    return err;
}

static void free_member(VmafxModelMember *m)
{
    for (size_t i = 0; i < m->n_inputs; i++) {
        VmafxModelInput *input = &m->inputs[i];

        for (size_t k = 0; k < input->options.n; k++) {
            free(input->options.items[k].key);
            free(input->options.items[k].value);
        }
        free(input->options.items);
        free(input->feature);
    }
    free(m->inputs);
    free(m->svm.coef);
    free(m->svm.vector);
}

/* ---- The two forms of a file ---- */

static VmafxErr new_model(const Parse *p, size_t n_members, bool collection, VmafxModel **ret_model)
{
    VMAFX_AUTO(vmafx_model_free) VmafxModel *model = calloc(1, sizeof *model);

    if (!model)
        return no_memory(p);
    model->members = calloc(n_members, sizeof *model->members);
    if (!model->members)
        return no_memory(p);
    model->n_members = n_members;
    model->collection = collection;
    *ret_model = VMAFX_TAKE(model);
    return VMAFX_OK;
}

static const char *option_value(const VmafxOptions *options, const char *key)
{
    for (size_t i = 0; i < options->n; i++)
        if (!strcmp(options->items[i].key, key))
            return options->items[i].value;
    return NULL;
}

/* Keys are unique in a JSON object, so equal numbers of options and every one found means equal sets. */
static bool same_options(const VmafxOptions *a, const VmafxOptions *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        const char *other = option_value(b, a->items[i].key);

        if (!other || strcmp(other, a->items[i].value) != 0)
            return false;
    }
    return true;
}

/* Every frame is measured once for a whole collection, so its members have to agree on what they want measured. */
static VmafxErr check_same(const Parse *p, const VmafxModelMember *first, const VmafxModelMember *m)
{
    if (m->type != first->type)
        return bad(p, VMAFX_ERR_MODEL, ".model_type differs from that of member 0");
    if (m->n_inputs != first->n_inputs)
        return bad(p, VMAFX_ERR_MODEL, ".feature_names has %zu names, that of member 0 has %zu", m->n_inputs,
                   first->n_inputs);
    for (size_t i = 0; i < m->n_inputs; i++) {
        if (strcmp(m->inputs[i].feature, first->inputs[i].feature) != 0)
            return bad(p, VMAFX_ERR_MODEL, ".feature_names[%zu] differs from that of member 0", i);
        if (!same_options(&m->inputs[i].options, &first->inputs[i].options))
            return bad(p, VMAFX_ERR_MODEL, ".feature_opts_dicts[%zu] differs from that of member 0", i);
    }
    return VMAFX_OK;
}

/* True when the key is the decimal text of n. */
static bool is_running_number(const char *key, size_t n)
{
    char text[32];

    snprintf(text, sizeof text, "%zu", n);
    return !strcmp(key, text);
}

static size_t count_members(json_t *root)
{
    const char *key;
    json_t *value;
    size_t n = 0;

    json_object_foreach(root, key, value)
    {
        if (is_running_number(key, n))
            n++;
    }
    return n;
}

static VmafxErr read_single(Parse *p, json_t *root, VmafxModel **ret_model)
{
    VMAFX_AUTO(vmafx_model_free) VmafxModel *model = NULL;
    VmafxErr err = new_model(p, 1, false, &model);

    if (!err)
        err = read_member(p, root, &model->members[0]);
    if (!err)
        *ret_model = VMAFX_TAKE(model);
    return err;
}

/* Members "0", "1", … as they come along in the file; others are passed over. */
static VmafxErr read_collection(Parse *p, json_t *root, VmafxModel **ret_model)
{
    VMAFX_AUTO(vmafx_model_free) VmafxModel *model = NULL;
    size_t n_members = count_members(root), n = 0;
    const char *key;
    json_t *value;

    if (n_members > VMAFX_MODEL_MEMBERS_MAX)
        return vmafx_fail(p->reterr, VMAFX_ERR_LIMIT, "the collection has %zu models, at most %d wanted", n_members,
                          VMAFX_MODEL_MEMBERS_MAX);
    VmafxErr err = new_model(p, n_members, true, &model);
    if (err)
        return err;

    json_object_foreach(root, key, value)
    {
        if (!is_running_number(key, n))
            continue;
        snprintf(p->where, sizeof p->where, "%zu.", n);
        if (!json_is_object(value))
            return vmafx_fail(p->reterr, VMAFX_ERR_MODEL, "%zu is %s, an object wanted", n, kind_of(value));
        err = read_member(p, value, &model->members[n]);
        if (!err && n > 0)
            err = check_same(p, &model->members[0], &model->members[n]);
        if (err)
            return err;
        n++;
    }
    *ret_model = VMAFX_TAKE(model);
    return VMAFX_OK;
}

static void json_decref_p(json_t **json)
{
    json_decref(*json);
}

/* The single form goes first. A file that has both and whose single model is broken is a collection. */
static VmafxErr read_json(const char *json, size_t json_len, locale_t c, VmafxModel **ret_model, VmafxErrInfo *reterr)
{
    json_error_t error = { .line = -1 };
    Parse p = { .reterr = reterr, .c = c, .cells = VMAFX_MODEL_CELLS_MAX };
    /* Integers become doubles at once: one too long for 64 bits is still a number. */
    VMAFX_AUTO(json_decref_p) json_t *root = json_loadb(json, json_len, JSON_DECODE_INT_AS_REAL, &error);

    if (!root && json_error_code(&error) == json_error_out_of_memory)
        return no_memory(&p);
    if (!root)
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "the model is not JSON: line %d, column %d: %s", error.line,
                          error.column, error.text);
    if (!json_is_object(root))
        return vmafx_fail(reterr, VMAFX_ERR_MODEL, "the model is %s, an object wanted", kind_of(root));

    bool single = json_object_get(root, "model_dict"), collection = json_object_get(root, "0");
    if (!single && !collection)
        return vmafx_fail(reterr, VMAFX_ERR_MODEL, "the model has neither a model_dict nor a first member '0'");

    VmafxErr err = VMAFX_OK;
    if (single) {
        err = read_single(&p, root, ret_model);
        if (!err || err == VMAFX_ERR_NOMEM || !collection)
            return err;
        p.cells = VMAFX_MODEL_CELLS_MAX;
    }
    return read_collection(&p, root, ret_model);
}

/* ---- What the header promises ---- */

VmafxErr vmafx_model_parse(const char *json, size_t json_len, VmafxModel **ret_model, VmafxErrInfo *reterr)
{
    if (json_len > VMAFX_MODEL_JSON_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "the model has %zu bytes, at most %zu wanted", json_len,
                          VMAFX_MODEL_JSON_MAX);

    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!c)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for the model");

    locale_t before = uselocale(c); /* of this thread only */
    VmafxErr err = read_json(json, json_len, c, ret_model, reterr);
    uselocale(before);
    freelocale(c);
    return err;
}

VmafxErr vmafx_model_load(const char *path, VmafxModel **ret_model, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_free_p) char *json = NULL;
    VmafxErrInfo info = { 0 };
    size_t json_len;
    VmafxErr err = vmafx_read_file(path, VMAFX_MODEL_JSON_MAX, &json, &json_len, reterr);

    if (err)
        return err;
    err = vmafx_model_parse(json, json_len, ret_model, &info);
    if (err)
        return vmafx_fail(reterr, err, "cannot use model '%s': %s", path, info.message);
    return VMAFX_OK;
}

void vmafx_model_free(VmafxModel **model)
{
    if (!model || !*model)
        return;
    for (size_t i = 0; i < (*model)->n_members; i++)
        free_member(&(*model)->members[i]);
    free((*model)->members);
    free(*model);
    *model = NULL;
}

size_t vmafx_model_members(const VmafxModel *model)
{
    return model->n_members;
}

bool vmafx_model_is_collection(const VmafxModel *model)
{
    return model->collection;
}

size_t vmafx_model_inputs(const VmafxModel *model, size_t member)
{
    assert(member < model->n_members);
    return model->members[member].n_inputs;
}

const char *vmafx_model_input_feature(const VmafxModel *model, size_t member, size_t input)
{
    assert(input < vmafx_model_inputs(model, member));
    return model->members[member].inputs[input].feature;
}

const VmafxOptions *vmafx_model_input_options(const VmafxModel *model, size_t member, size_t input)
{
    assert(input < vmafx_model_inputs(model, member));
    return &model->members[member].inputs[input].options;
}
