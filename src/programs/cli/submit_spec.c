/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A JobSpec made of arguments or of a line of JSON. */

#include "programs/cli/submit_spec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

struct SubmitChunk {
    struct SubmitChunk *next;
    max_align_t data[];
};

static void *take(SubmitSpec *spec, size_t size)
{
    struct SubmitChunk *chunk = calloc(1, sizeof *chunk + size);

    if (!chunk)
        return NULL;
    chunk->next = spec->chunks;
    spec->chunks = chunk;
    return chunk->data;
}

static char *text_copy(SubmitSpec *spec, const char *text)
{
    char *copy = take(spec, strlen(text) + 1);

    return copy ? strcpy(copy, text) : NULL;
}

void submit_spec_done(SubmitSpec *spec)
{
    while (spec->chunks) {
        struct SubmitChunk *chunk = spec->chunks;
        spec->chunks = chunk->next;
        free(chunk);
    }
    vmafx_message_free(&spec->read);
}

static Vmafx__V1__KeyValue *key_value(SubmitSpec *spec, const char *key, const char *value)
{
    Vmafx__V1__KeyValue *pair = take(spec, sizeof *pair);

    if (!pair)
        return NULL;
    vmafx__v1__key_value__init(pair);
    pair->key = text_copy(spec, key);
    pair->value = text_copy(spec, value);
    return pair->key && pair->value ? pair : NULL;
}

bool submit_spec_label(SubmitSpec *spec, const char *text)
{
    const char *equals = strchr(text, '=');
    char key[256];

    if (!equals || equals == text || (size_t)(equals - text) >= sizeof key ||
        spec->message.n_labels == SUBMIT_LABELS_MAX)
        return false;
    snprintf(key, sizeof key, "%.*s", (int)(equals - text), text);
    if (!spec->message.labels)
        spec->message.labels = take(spec, SUBMIT_LABELS_MAX * sizeof *spec->message.labels);
    Vmafx__V1__KeyValue *label = spec->message.labels ? key_value(spec, key, equals + 1) : NULL;
    if (!label)
        return false;
    spec->message.labels[spec->message.n_labels++] = label;
    return true;
}

/* ---- From arguments ---- */

static VmafxErr input_from(SubmitSpec *spec, const char *path, const VmafxRawFormat *raw, Vmafx__V1__Input **ret,
                           VmafxErrInfo *reterr)
{
    static const char *const layouts[] = { "420", "422", "444", "400" };
    VMAFX_AUTO(vmafx_free_p) char *absolute = NULL;
    Vmafx__V1__Input *input = take(spec, sizeof *input);

    if (!input)
        return VMAFX_ERR_NOMEM;
    vmafx__v1__input__init(input);
    if (!strcmp(path, "-"))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                          "a node cannot read our standard input: name a file; --upload sends it");
    if (path[0] != '/' && !strstr(path, "://"))
        absolute = realpath(path, NULL);
    if (path[0] != '/' && !strstr(path, "://") && !absolute)
        return vmafx_fail(
            reterr, VMAFX_ERR_NOT_FOUND,
            "'%s': %s; give an absolute path if it is only on the nodes (with --upload it has to be here)", path,
            strerror(errno));
    input->uri = text_copy(spec, absolute ? absolute : path);
    if (raw && !(input->raw = take(spec, sizeof *input->raw)))
        return VMAFX_ERR_NOMEM;
    if (raw) {
        vmafx__v1__raw_format__init(input->raw);
        input->raw->width = raw->w;
        input->raw->height = raw->h;
        input->raw->bit_depth = raw->bpc;
        input->raw->pixel_format = (char *)layouts[raw->pix];
    }
    *ret = input;
    return input->uri ? VMAFX_OK : VMAFX_ERR_NOMEM;
}

static bool options_from(SubmitSpec *spec, const VmafxOptions *options, Vmafx__V1__KeyValue ***ret, size_t *ret_n)
{
    *ret = take(spec, (options->n + 1) * sizeof **ret);
    for (size_t i = 0; *ret && i < options->n; i++) {
        (*ret)[i] = key_value(spec, options->items[i].key, options->items[i].value);
        if (!(*ret)[i])
            return false;
        *ret_n = i + 1;
    }
    return *ret != NULL;
}

static VmafxErr models_from(SubmitSpec *spec, const VmafxPairOptions *pair, VmafxErrInfo *reterr)
{
    Vmafx__V1__JobSpec *m = &spec->message;

    m->models = take(spec, (pair->n_models + 1) * sizeof *m->models);
    m->features = take(spec, (pair->n_features + 1) * sizeof *m->features);
    if (!m->models || !m->features)
        return VMAFX_ERR_NOMEM;
    for (size_t i = 0; i < pair->n_models; i++) {
        const VmafxModelRequest *from = &pair->models[i];
        Vmafx__V1__ModelRequest *to = m->models[i] = take(spec, sizeof *to);
        if (!to)
            return VMAFX_ERR_NOMEM;
        if (from->path)
            return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                              "--model path=%s: nodes have models of their own; name one by its version", from->path);
        vmafx__v1__model_request__init(to);
        to->version = (char *)from->version;
        to->name = (char *)(from->name ? from->name : "");
        to->disable_clip = from->flags & VMAFX_MODEL_DISABLE_CLIP;
        to->enable_transform = from->flags & VMAFX_MODEL_ENABLE_TRANSFORM;
        if (!options_from(spec, &from->overloads, &to->overloads, &to->n_overloads))
            return VMAFX_ERR_NOMEM;
        m->n_models = i + 1;
    }
    for (size_t i = 0; i < pair->n_features; i++) {
        const VmafxFeatureRequest *from = &pair->features[i];
        Vmafx__V1__FeatureRequest *to = m->features[i] = take(spec, sizeof *to);
        if (!to)
            return VMAFX_ERR_NOMEM;
        vmafx__v1__feature_request__init(to);
        to->name = (char *)from->name;
        if (!options_from(spec, &from->options, &to->options, &to->n_options))
            return VMAFX_ERR_NOMEM;
        m->n_features = i + 1;
    }
    return VMAFX_OK;
}

static VmafxErr comparison_from(SubmitSpec *spec, const VmafxPairOptions *pair)
{
    Vmafx__V1__Comparison *c = take(spec, sizeof *c);

    if (!c)
        return VMAFX_ERR_NOMEM;
    vmafx__v1__comparison__init(c);
    c->first_frame = pair->first;
    c->frame_count = pair->count;
    c->skip_reference = pair->skip_ref;
    c->skip_distorted = pair->skip_dis;
    c->subsample = pair->subsample;
    c->scaling = (Vmafx__V1__Scaling)pair->scale;
    c->scale_width = pair->scale_w;
    c->scale_height = pair->scale_h;
    c->convert_depth = pair->convert_depth;
    c->convert_range = pair->convert_range;
    c->accept_shorter = pair->accept_shorter;
    c->ignore_pixel_format = pair->ignore_pixel_format;
    c->ignore_rate = pair->ignore_rate;
    c->ignore_start = pair->ignore_start;
    c->ignore_colour = pair->ignore_colour;
    c->allow_hdr = pair->allow_hdr;
    spec->message.comparison = c;
    return VMAFX_OK;
}

static char *text_or_empty(const char *text)
{
    return (char *)(uintptr_t)(text ? text : "");
}

static VmafxErr recipe_from(SubmitSpec *spec, const VmafxRecipe *recipe, bool keep)
{
    Vmafx__V1__EncodeRecipe *to = take(spec, sizeof *to);

    if (!to)
        return VMAFX_ERR_NOMEM;
    vmafx__v1__encode_recipe__init(to);
    to->codec = text_or_empty(recipe->codec);
    to->encoder = text_or_empty(recipe->encoder);
    to->preset = text_or_empty(recipe->preset);
    to->pixel_format = text_or_empty(recipe->pixel_format);
    if (recipe->has_crf) {
        to->rate_case = VMAFX__V1__ENCODE_RECIPE__RATE_CRF;
        to->crf = recipe->crf;
    } else if (recipe->bitrate) {
        to->rate_case = VMAFX__V1__ENCODE_RECIPE__RATE_BITRATE;
        to->bitrate = recipe->bitrate;
    }
    to->gop = recipe->gop;
    to->width = recipe->w;
    to->height = recipe->h;
    to->keep = keep;
    to->options = take(spec, (recipe->n_options + 1) * sizeof *to->options);
    for (size_t i = 0; to->options && i < recipe->n_options; i++, to->n_options++)
        if (!(to->options[i] = key_value(spec, recipe->options[i].key, recipe->options[i].value)))
            return VMAFX_ERR_NOMEM;
    spec->message.encode = to;
    spec->message.distorted_source_case = VMAFX__V1__JOB_SPEC__DISTORTED_SOURCE_ENCODE;
    return to->options ? VMAFX_OK : VMAFX_ERR_NOMEM;
}

VmafxErr submit_spec_from(SubmitSpec *spec, const PairArguments *a, const VmafxRecipe *recipe, bool keep,
                          VmafxErrInfo *reterr)
{
    const VmafxPairOptions *pair = &a->pair;
    Vmafx__V1__JobSpec *m = &spec->message;
    VmafxErr err = input_from(spec, a->reference, pair->raw_reference, &m->reference, reterr);

    if (!err && recipe)
        err = recipe_from(spec, recipe, keep);
    else if (!err) {
        m->distorted_source_case = VMAFX__V1__JOB_SPEC__DISTORTED_SOURCE_DISTORTED;
        err = input_from(spec, a->distorted, pair->raw_distorted, &m->distorted, reterr);
    }
    if (!err)
        err = models_from(spec, pair, reterr);
    if (!err)
        err = comparison_from(spec, pair);
    return err == VMAFX_ERR_NOMEM ? vmafx_fail(reterr, err, "out of memory") : err;
}

bool submit_spec_set_uri(SubmitSpec *spec, bool distorted, const char *uri)
{
    Vmafx__V1__Input **at = distorted ? &spec->message.distorted : &spec->message.reference;
    Vmafx__V1__Input *input = take(spec, sizeof *input); /* the old one may lie in what was read */

    if (!input)
        return false;
    *input = **at;
    input->uri = text_copy(spec, uri);
    if (!input->uri)
        return false;
    *at = input;
    return true;
}

VmafxErr submit_spec_from_json(SubmitSpec *spec, const char *text, size_t len, VmafxErrInfo *reterr)
{
    *spec = (SubmitSpec){ 0 };
    VmafxErr err = vmafx_message_from_json(&vmafx__v1__job_spec__descriptor, text, len, 0, "", &spec->read, reterr);

    if (!err)
        spec->message = *(const Vmafx__V1__JobSpec *)vmafx_message_get(spec->read);
    return err;
}
