/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Reading model files (specification 50.1 to 50.4, 50.8).
 *
 * A file goes through three hands: jansson makes a tree of the JSON, model_dict.c takes one model_dict out of it, and
 * svm_text.c reads the libsvm text inside. Here are the two forms of a file, and what the header promises. Members are
 * filled in place in a zeroed VmafxModel that the caller frees whatever happens, so an error simply returns.
 *
 * Numbers must not depend on the locale of the program we are linked into: the thread is in the "C" locale for the
 * time of the call.
 */

#include "engine/model/model.h"

#include <assert.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/base.h"
#include "engine/model/model_internal.h"

/* ---- Errors ---- */

VmafxErr vmafx_model_bad(const VmafxModelParse *p, VmafxErr err, const char *fmt, ...)
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

VmafxErr vmafx_model_no_memory(const VmafxModelParse *p)
{
    return vmafx_fail(p->reterr, VMAFX_ERR_NOMEM, "no memory for the model");
}

const char *vmafx_model_kind_of(const json_t *value)
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

/* ---- The two forms of a file ---- */

static VmafxErr new_model(const VmafxModelParse *p, size_t n_members, bool collection, VmafxModel **ret_model)
{
    VMAFX_AUTO(vmafx_model_free) VmafxModel *model = calloc(1, sizeof *model);

    if (!model)
        return vmafx_model_no_memory(p);
    model->members = calloc(n_members, sizeof *model->members);
    if (!model->members)
        return vmafx_model_no_memory(p);
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
static VmafxErr check_same(const VmafxModelParse *p, const VmafxModelMember *first, const VmafxModelMember *m)
{
    if (m->type != first->type)
        return vmafx_model_bad(p, VMAFX_ERR_MODEL, ".model_type differs from that of member 0");
    if (m->n_inputs != first->n_inputs)
        return vmafx_model_bad(p, VMAFX_ERR_MODEL, ".feature_names has %zu names, that of member 0 has %zu",
                               m->n_inputs, first->n_inputs);
    for (size_t i = 0; i < m->n_inputs; i++) {
        if (strcmp(m->inputs[i].feature, first->inputs[i].feature) != 0)
            return vmafx_model_bad(p, VMAFX_ERR_MODEL, ".feature_names[%zu] differs from that of member 0", i);
        if (!same_options(&m->inputs[i].options, &first->inputs[i].options))
            return vmafx_model_bad(p, VMAFX_ERR_MODEL, ".feature_opts_dicts[%zu] differs from that of member 0", i);
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

static VmafxErr read_single(VmafxModelParse *p, json_t *root, VmafxModel **ret_model)
{
    VMAFX_AUTO(vmafx_model_free) VmafxModel *model = NULL;
    VmafxErr err = new_model(p, 1, false, &model);

    if (!err)
        err = vmafx_model_read_member(p, root, &model->members[0]);
    if (!err)
        *ret_model = VMAFX_TAKE(model);
    return err;
}

/* Members "0", "1", … as they come along in the file; others are passed over. */
static VmafxErr read_collection(VmafxModelParse *p, json_t *root, VmafxModel **ret_model)
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
            return vmafx_fail(p->reterr, VMAFX_ERR_MODEL, "%zu is %s, an object wanted", n, vmafx_model_kind_of(value));
        err = vmafx_model_read_member(p, value, &model->members[n]);
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
    VmafxModelParse p = { .reterr = reterr, .c = c, .cells = VMAFX_MODEL_CELLS_MAX };
    /* Integers become doubles at once: one too long for 64 bits is still a number. */
    VMAFX_AUTO(json_decref_p) json_t *root = json_loadb(json, json_len, JSON_DECODE_INT_AS_REAL, &error);

    if (!root && json_error_code(&error) == json_error_out_of_memory)
        return vmafx_model_no_memory(&p);
    if (!root)
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "the model is not JSON: line %d, column %d: %s", error.line,
                          error.column, error.text);
    if (!json_is_object(root))
        return vmafx_fail(reterr, VMAFX_ERR_MODEL, "the model is %s, an object wanted", vmafx_model_kind_of(root));

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
        vmafx_model_free_member(&(*model)->members[i]);
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
