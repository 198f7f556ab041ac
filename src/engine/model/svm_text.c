/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The libsvm text inside a model file (specification 50.8): a header of keys, then one support vector to a line. */

#include "engine/model/model_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

#define TOKEN_MAX 128 /* characters of one word; 17 digits identify a double */

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
static VmafxErr next_word(const VmafxModelParse *p, SvmText *text, char word[TOKEN_MAX])
{
    while (text->word < text->line_end && is_blank(*text->word))
        text->word++;

    const char *from = text->word;
    while (text->word < text->line_end && !is_blank(*text->word))
        text->word++;

    size_t len = (size_t)(text->word - from);
    if (len >= TOKEN_MAX)
        return vmafx_model_bad(p, VMAFX_ERR_MODEL, ".model line %zu has a word of %zu characters, at most %d wanted",
                               text->line, len, TOKEN_MAX - 1);
    memcpy(word, from, len);
    word[len] = 0;
    return VMAFX_OK;
}

/* A finite decimal number and nothing else: no hexadecimal, no "inf", no blank. */
static VmafxErr read_number(const VmafxModelParse *p, const SvmText *text, const char *word, double *ret)
{
    char *end;

    if (word[0] && !word[strspn(word, "0123456789.+-eE")]) {
        double v = strtod_l(word, &end, p->c);
        if (!*end && isfinite(v)) {
            *ret = v;
            return VMAFX_OK;
        }
    }
    return vmafx_model_bad(p, VMAFX_ERR_MODEL, ".model line %zu has '%s' where a finite number belongs", text->line,
                           word);
}

static VmafxErr read_svm_key(const VmafxModelParse *p, SvmText *text, const char *name, bool *seen, double *values)
{
    char word[TOKEN_MAX];
    size_t key = 0;
    VmafxErr err;

    while (key < N_KEYS && strcmp(svm_keys[key].name, name) != 0)
        key++;
    if (key == N_KEYS)
        return vmafx_model_bad(p, VMAFX_ERR_MODEL, ".model line %zu has the unknown key '%s'", text->line, name);
    if (seen[key])
        return vmafx_model_bad(p, VMAFX_ERR_MODEL, ".model line %zu has the key '%s' a second time", text->line, name);
    seen[key] = true;

    err = next_word(p, text, word);
    if (err)
        return err;
    if (svm_keys[key].word) {
        if (strcmp(word, svm_keys[key].word) != 0)
            return vmafx_model_bad(p, VMAFX_ERR_MODEL, ".model line %zu: %s is '%s', %s wanted", text->line, name, word,
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
            return vmafx_model_bad(p, VMAFX_ERR_MODEL, ".model line %zu has '%s' after the value of %s", text->line,
                                   word, name);
        err = read_number(p, text, word, &ignored);
        if (err)
            return err;
    }
}

/* The lines up to and with "SV". */
static VmafxErr read_svm_header(const VmafxModelParse *p, SvmText *text, VmafxSvm *svm)
{
    bool seen[N_KEYS] = { false };
    double values[N_KEYS] = { 0 };
    VmafxErr err;

    for (;;) {
        char name[TOKEN_MAX], rest[TOKEN_MAX];

        if (!next_line(text))
            return vmafx_model_bad(p, VMAFX_ERR_MODEL, ".model ends before the line SV");
        err = next_word(p, text, name);
        if (err)
            return err;
        if (!strcmp(name, "SV")) {
            err = next_word(p, text, rest);
            if (err)
                return err;
            if (rest[0])
                return vmafx_model_bad(p, VMAFX_ERR_MODEL, ".model line %zu has '%s' after SV", text->line, rest);
            break;
        }
        err = read_svm_key(p, text, name, seen, values);
        if (err)
            return err;
    }

    for (size_t key = 0; key < N_KEYS; key++)
        if (svm_keys[key].required && !seen[key])
            return vmafx_model_bad(p, VMAFX_ERR_MODEL, ".model has no %s", svm_keys[key].name);
    if (seen[KEY_NR_CLASS] && values[KEY_NR_CLASS] != 2)
        return vmafx_model_bad(p, VMAFX_ERR_MODEL, ".model: nr_class is %g, 2 wanted", values[KEY_NR_CLASS]);
    if (values[KEY_GAMMA] < 0)
        return vmafx_model_bad(p, VMAFX_ERR_MODEL, ".model: gamma is %g, 0 or more wanted", values[KEY_GAMMA]);

    double total = values[KEY_TOTAL_SV];
    if (total > VMAFX_MODEL_VECTORS_MAX)
        return vmafx_model_bad(p, VMAFX_ERR_LIMIT, ".model: total_sv is %.17g, at most %d wanted", total,
                               VMAFX_MODEL_VECTORS_MAX);
    if (total < 1 || total != floor(total))
        return vmafx_model_bad(p, VMAFX_ERR_MODEL, ".model: total_sv is %.17g, 1 to %d wanted", total,
                               VMAFX_MODEL_VECTORS_MAX);

    svm->gamma = values[KEY_GAMMA];
    svm->rho = values[KEY_RHO];
    svm->n = (size_t)total;
    return VMAFX_OK;
}

/* "-4 1:0.65 3:0.09", the word being "3:0.09". Indices begin with 1; *last is the one before. */
static VmafxErr read_component(const VmafxModelParse *p, const SvmText *text, const char *word, size_t n_inputs,
                               size_t *last, double *row)
{
    size_t digits = strspn(word, "0123456789"), index = 0;

    if (digits == 0 || digits > 9 || word[digits] != ':')
        return vmafx_model_bad(p, VMAFX_ERR_MODEL, ".model line %zu has '%s' where index:value belongs", text->line,
                               word);
    for (size_t i = 0; i < digits; i++)
        index = index * 10 + (size_t)(word[i] - '0');
    if (index < 1 || index > n_inputs)
        return vmafx_model_bad(p, VMAFX_ERR_MODEL, ".model line %zu has index %zu, 1 to %zu wanted", text->line, index,
                               n_inputs);
    if (index <= *last)
        return vmafx_model_bad(p, VMAFX_ERR_MODEL, ".model line %zu has index %zu after %zu, ascending order wanted",
                               text->line, index, *last);
    *last = index;
    return read_number(p, text, word + digits + 1, &row[index - 1]);
}

static VmafxErr read_vector(const VmafxModelParse *p, SvmText *text, size_t n_inputs, double *coef, double *row)
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

VmafxErr vmafx_model_read_svm(VmafxModelParse *p, const char *s, size_t len, size_t n_inputs, VmafxSvm *svm)
{
    SvmText text = { .at = s, .end = s + len };
    char word[TOKEN_MAX];
    VmafxErr err = read_svm_header(p, &text, svm);

    if (err)
        return err;

    size_t lines = count_lines(&text); /* before memory is taken for what the header only claims */
    if (lines < svm->n)
        return vmafx_model_bad(p, VMAFX_ERR_MODEL, ".model has %zu support vectors, total_sv says %zu", lines, svm->n);
    if (svm->n * n_inputs > p->cells)
        return vmafx_model_bad(p, VMAFX_ERR_LIMIT, ".model: the support vectors of the file have more than %zu values",
                               VMAFX_MODEL_CELLS_MAX);
    p->cells -= svm->n * n_inputs;

    svm->coef = calloc(svm->n, sizeof *svm->coef);
    svm->vector = calloc(svm->n * n_inputs, sizeof *svm->vector);
    if (!svm->coef || !svm->vector)
        return vmafx_model_no_memory(p);

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
            return vmafx_model_bad(p, VMAFX_ERR_MODEL,
                                   ".model line %zu comes after the %zu support vectors of total_sv", text.line,
                                   svm->n);
    }
    return VMAFX_OK;
}
