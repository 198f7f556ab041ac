/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* One model_dict of a model file: its types, features and their options, rescaling, clipping, transform, chroma. */

#include "engine/model/model_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

/* "model_dict.slopes is a string, an array wanted" */
static VmafxErr bad_kind(const VmafxModelParse *p, const char *path, const json_t *value, const char *wanted)
{
    return vmafx_model_bad(p, VMAFX_ERR_MODEL, ".%s is %s, %s wanted", path, vmafx_model_kind_of(value), wanted);
}

static VmafxErr read_string(const VmafxModelParse *p, const json_t *dict, const char *key, const char **ret)
{
    const json_t *value = json_object_get(dict, key);

    if (!json_is_string(value))
        return bad_kind(p, key, value, "a string");
    *ret = json_string_value(value);
    return VMAFX_OK;
}

/* An array of exactly n numbers. */
static VmafxErr read_numbers(const VmafxModelParse *p, const char *path, const json_t *value, size_t n, double *ret)
{
    if (!json_is_array(value))
        return bad_kind(p, path, value, "an array");
    if (json_array_size(value) != n)
        return vmafx_model_bad(p, VMAFX_ERR_MODEL, ".%s has %zu numbers, %zu wanted", path, json_array_size(value), n);
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(value, i);

        if (!json_is_number(item))
            return vmafx_model_bad(p, VMAFX_ERR_MODEL, ".%s[%zu] is %s, a number wanted", path, i,
                                   vmafx_model_kind_of(item));
        ret[i] = json_number_value(item);
    }
    return VMAFX_OK;
}

static VmafxErr read_types(const VmafxModelParse *p, const json_t *dict, VmafxModelMember *m)
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
        return vmafx_model_bad(p, VMAFX_ERR_MODEL, ".model_type is the unknown '%.64s'", type);
    m->type = types[i].type;

    m->rescale = !strcmp(norm, "linear_rescale");
    if (!m->rescale && strcmp(norm, "none") != 0)
        return vmafx_model_bad(p, VMAFX_ERR_MODEL, ".norm_type is the unknown '%.64s'", norm);
    return VMAFX_OK;
}

static VmafxErr read_feature_names(const VmafxModelParse *p, const json_t *dict, VmafxModelMember *m)
{
    const json_t *names = json_object_get(dict, "feature_names");
    size_t n = json_array_size(names);

    if (!json_is_array(names))
        return bad_kind(p, "feature_names", names, "an array");
    if (n > VMAFX_MODEL_FEATURES_MAX)
        return vmafx_model_bad(p, VMAFX_ERR_LIMIT, ".feature_names has %zu names, at most %d wanted", n,
                               VMAFX_MODEL_FEATURES_MAX);
    if (n == 0)
        return vmafx_model_bad(p, VMAFX_ERR_MODEL, ".feature_names is empty");

    m->inputs = calloc(n, sizeof *m->inputs);
    if (!m->inputs)
        return vmafx_model_no_memory(p);
    m->n_inputs = n;
    for (size_t i = 0; i < n; i++) {
        const json_t *name = json_array_get(names, i);

        if (!json_is_string(name))
            return vmafx_model_bad(p, VMAFX_ERR_MODEL, ".feature_names[%zu] is %s, a string wanted", i,
                                   vmafx_model_kind_of(name));
        m->inputs[i].feature = vmafx_strdup(json_string_value(name));
        if (!m->inputs[i].feature)
            return vmafx_model_no_memory(p);
    }
    return VMAFX_OK;
}

/* The text an option value stands for (50.3). A number passes through binary32: 0.7 means "0.7", 1.0 means "1". */
static VmafxErr read_option(const VmafxModelParse *p, size_t input, const char *key, const json_t *value,
                            VmafxOption *option)
{
    char number[32];
    const char *text = json_string_value(value);

    if (json_is_boolean(value)) {
        text = json_is_true(value) ? "true" : "false";
    } else if (json_is_number(value)) {
        float narrow = (float)json_number_value(value);

        if (!isfinite(narrow))
            return vmafx_model_bad(p, VMAFX_ERR_MODEL,
                                   ".feature_opts_dicts[%zu].%.64s is too large for single precision", input, key);
        snprintf(number, sizeof number, "%g", (double)narrow);
        text = number;
    }
    if (!text)
        return vmafx_model_bad(p, VMAFX_ERR_MODEL,
                               ".feature_opts_dicts[%zu].%.64s is %s, a number, string or bool wanted", input, key,
                               vmafx_model_kind_of(value));

    option->key = vmafx_strdup(key);
    option->value = vmafx_strdup(text);
    return option->key && option->value ? VMAFX_OK : vmafx_model_no_memory(p);
}

static VmafxErr read_options(const VmafxModelParse *p, const json_t *dict, VmafxModelMember *m)
{
    const json_t *dicts = json_object_get(dict, "feature_opts_dicts");

    if (!dicts)
        return VMAFX_OK;
    if (!json_is_array(dicts))
        return bad_kind(p, "feature_opts_dicts", dicts, "an array");
    if (json_array_size(dicts) != m->n_inputs)
        return vmafx_model_bad(p, VMAFX_ERR_MODEL, ".feature_opts_dicts has %zu objects, %zu wanted",
                               json_array_size(dicts), m->n_inputs);

    for (size_t i = 0; i < m->n_inputs; i++) {
        json_t *opts = json_array_get(dicts, i), *value;
        VmafxOptions *options = &m->inputs[i].options;
        const char *key;

        if (!json_is_object(opts))
            return vmafx_model_bad(p, VMAFX_ERR_MODEL, ".feature_opts_dicts[%zu] is %s, an object wanted", i,
                                   vmafx_model_kind_of(opts));
        if (json_object_size(opts) == 0)
            continue;
        options->items = calloc(json_object_size(opts), sizeof *options->items);
        if (!options->items)
            return vmafx_model_no_memory(p);
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
static VmafxErr read_rescaling(const VmafxModelParse *p, const json_t *dict, VmafxModelMember *m)
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
        return vmafx_model_bad(p, VMAFX_ERR_MODEL, ".slopes[0] is 0, which the score would be divided by");
    for (size_t j = 0; j < m->n_inputs; j++) {
        m->inputs[j].slope = m->rescale ? slopes[j + 1] : 1;
        m->inputs[j].intercept = m->rescale ? intercepts[j + 1] : 0;
    }
    return VMAFX_OK;
}

static VmafxErr read_clip(const VmafxModelParse *p, const json_t *dict, VmafxModelMember *m)
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

static VmafxErr read_knots(const VmafxModelParse *p, const json_t *value, VmafxTransform *t)
{
    size_t n = json_array_size(value);

    if (!json_is_array(value))
        return bad_kind(p, "score_transform.knots", value, "an array");
    if (n > VMAFX_MODEL_KNOTS_MAX)
        return vmafx_model_bad(p, VMAFX_ERR_LIMIT, ".score_transform.knots has %zu knots, at most %d wanted", n,
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
            return vmafx_model_bad(p, VMAFX_ERR_MODEL,
                                   ".%s does not follow the knot before it: x must rise and y not fall", path);
    }
    t->n_knots = n;
    return VMAFX_OK;
}

/* out_lte_in and out_gte_in: the string "true"; every other string means no. */
static VmafxErr read_switch(const VmafxModelParse *p, const json_t *dict, const char *key, bool *ret)
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

static VmafxErr read_transform(const VmafxModelParse *p, const json_t *model_dict, VmafxTransform *t)
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
            return vmafx_model_bad(p, VMAFX_ERR_MODEL, ".score_transform.%s is %s, a number wanted", coefficients[i],
                                   vmafx_model_kind_of(value));
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
static VmafxErr find_chroma_input(const VmafxModelParse *p, const VmafxModelMember *m, const char *part, size_t *ret)
{
    size_t n = 0;

    for (size_t i = 0; i < m->n_inputs; i++)
        if (strstr(m->inputs[i].feature, part)) {
            *ret = i;
            n++;
        }
    if (n != 1)
        return vmafx_model_bad(p, VMAFX_ERR_MODEL,
                               ".feature_names has %zu names with '%s', chroma_correction_parameter wants one", n,
                               part);
    if (m->inputs[*ret].slope == 0)
        return vmafx_model_bad(p, VMAFX_ERR_MODEL,
                               ".slopes[%zu] is 0, which chroma_correction_parameter would divide by", *ret + 1);
    return VMAFX_OK;
}

static VmafxErr read_chroma(const VmafxModelParse *p, const json_t *dict, VmafxModelMember *m)
{
    const json_t *value = json_object_get(dict, "chroma_correction_parameter");

    if (!value)
        return VMAFX_OK;
    if (!json_is_number(value))
        return bad_kind(p, "chroma_correction_parameter", value, "a number");
    m->chroma.present = true;
    m->chroma.p = json_number_value(value);
    if (m->chroma.p == 0)
        return vmafx_model_bad(p, VMAFX_ERR_MODEL, ".chroma_correction_parameter is 0; leave it out for no correction");

    VmafxErr err = find_chroma_input(p, m, "adm3", &m->chroma.adm3);
    if (!err)
        err = find_chroma_input(p, m, "speed_chroma", &m->chroma.chroma);
    if (!err && m->chroma.adm3 == m->chroma.chroma)
        err = vmafx_model_bad(p, VMAFX_ERR_MODEL, ".feature_names[%zu] is both the adm3 and the speed_chroma input",
                              m->chroma.adm3);
    return err;
}

static VmafxErr read_model_text(VmafxModelParse *p, const json_t *dict, VmafxModelMember *m)
{
    const json_t *value = json_object_get(dict, "model");

    if (!json_is_string(value))
        return bad_kind(p, "model", value, "a string");
    return vmafx_model_read_svm(p, json_string_value(value), json_string_length(value), m->n_inputs, &m->svm);
}

VmafxErr vmafx_model_read_member(VmafxModelParse *p, const json_t *object, VmafxModelMember *m)
{
    const json_t *dict = json_object_get(object, "model_dict");

    if (!json_is_object(dict))
        return vmafx_model_bad(p, VMAFX_ERR_MODEL, " is %s, an object wanted", vmafx_model_kind_of(dict));

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

void vmafx_model_free_member(VmafxModelMember *m)
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
