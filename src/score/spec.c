/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Field by field. Strings are not copied. */

#include "score/spec.h"

#include <string.h>

#include "base/base.h"
#include "rpc/spec_check.h"

static const char *given(const char *text)
{
    return text && *text ? text : NULL;
}

static VmafxErr options_from(Vmafx__V1__KeyValue *const *items, size_t n, VmafxOptions *ret)
{
    *ret = (VmafxOptions){ .items = n ? calloc(n, sizeof *ret->items) : NULL };
    if (n && !ret->items)
        return VMAFX_ERR_NOMEM;
    for (size_t i = 0; i < n; i++)
        ret->items[ret->n++] = (VmafxOption){ .key = items[i]->key, .value = items[i]->value };
    return VMAFX_OK;
}

static VmafxErr models_from(VmafxPairSpec *ret, const Vmafx__V1__JobSpec *spec)
{
    size_t n = VMAFX_MAX(spec->n_models, (size_t)1);
    VmafxErr err = VMAFX_OK;

    ret->models = calloc(n, sizeof *ret->models);
    if (!ret->models)
        return VMAFX_ERR_NOMEM;
    ret->pair.models = ret->models;
    ret->pair.n_models = n;
    if (!spec->n_models)
        ret->models[0].version = VMAFX_SPEC_DEFAULT_VERSION;
    for (size_t i = 0; i < spec->n_models && !err; i++) {
        const Vmafx__V1__ModelRequest *m = spec->models[i];

        ret->models[i].version = m->version;
        ret->models[i].name = given(m->name);
        ret->models[i].flags = (m->disable_clip ? VMAFX_MODEL_DISABLE_CLIP : 0u) |
                               (m->enable_transform ? VMAFX_MODEL_ENABLE_TRANSFORM : 0u);
        err = options_from(m->overloads, m->n_overloads, &ret->models[i].overloads);
    }
    return err;
}

static VmafxErr features_from(VmafxPairSpec *ret, const Vmafx__V1__JobSpec *spec)
{
    VmafxErr err = VMAFX_OK;

    ret->features = spec->n_features ? calloc(spec->n_features, sizeof *ret->features) : NULL;
    if (spec->n_features && !ret->features)
        return VMAFX_ERR_NOMEM;
    ret->pair.features = ret->features;
    ret->pair.n_features = spec->n_features;
    for (size_t i = 0; i < spec->n_features && !err; i++) {
        ret->features[i].name = spec->features[i]->name;
        err = options_from(spec->features[i]->options, spec->features[i]->n_options, &ret->features[i].options);
    }
    return err;
}

static const VmafxRawFormat *raw_from(const Vmafx__V1__Input *input, VmafxRawFormat *ret)
{
    static const char *const formats[] = {
        [VMAFX_PIX_420] = "420", [VMAFX_PIX_422] = "422", [VMAFX_PIX_444] = "444", [VMAFX_PIX_400] = "400"
    };
    const Vmafx__V1__RawFormat *raw = input->raw;

    if (!raw)
        return NULL;
    *ret = (VmafxRawFormat){ .w = raw->width, .h = raw->height, .bpc = raw->bit_depth };
    for (size_t i = 0; i < VMAFX_LEN(formats); i++)
        if (!strcmp(raw->pixel_format, formats[i]))
            ret->pix = (VmafxPixFmt)i;
    return ret;
}

static VmafxErr recipe_from(VmafxPairSpec *ret, const Vmafx__V1__EncodeRecipe *r)
{
    bool bitrate = r->rate_case == VMAFX__V1__ENCODE_RECIPE__RATE_BITRATE;
    bool crf = r->rate_case == VMAFX__V1__ENCODE_RECIPE__RATE_CRF;

    ret->recipe_options = calloc(VMAFX_MAX(r->n_options, (size_t)1), sizeof *ret->recipe_options);
    if (!ret->recipe_options)
        return VMAFX_ERR_NOMEM;
    for (size_t i = 0; i < r->n_options; i++)
        ret->recipe_options[i] = (VmafxRecipeOption){ r->options[i]->key, r->options[i]->value };
    ret->encode = (VmafxPairEncode){
        .recipe = { .codec = given(r->codec),
                    .encoder = given(r->encoder),
                    .preset = given(r->preset),
                    .has_crf = crf,
                    .crf = crf ? r->crf : 0,
                    .bitrate = bitrate ? r->bitrate : 0,
                    .gop = r->gop,
                    .pixel_format = given(r->pixel_format),
                    .w = r->width,
                    .h = r->height,
                    .options = ret->recipe_options,
                    .n_options = r->n_options },
        .keep_fd = -1,
    };
    ret->pair.encode = &ret->encode;
    return VMAFX_OK;
}

static void comparison_from(VmafxPairOptions *pair, const Vmafx__V1__Comparison *c)
{
    static const VmafxScaling scalings[] = { [VMAFX__V1__SCALING__SCALING_NONE] = VMAFX_SCALING_NONE,
                                             [VMAFX__V1__SCALING__SCALING_REFERENCE] = VMAFX_SCALING_REFERENCE,
                                             [VMAFX__V1__SCALING__SCALING_SIZE] = VMAFX_SCALING_SIZE };

    if (!c)
        return;
    pair->first = c->first_frame;
    pair->count = c->frame_count;
    pair->skip_ref = c->skip_reference;
    pair->skip_dis = c->skip_distorted;
    pair->subsample = c->subsample;
    pair->scale = scalings[c->scaling];
    pair->scale_w = c->scale_width;
    pair->scale_h = c->scale_height;
    pair->convert_depth = c->convert_depth;
    pair->convert_range = c->convert_range;
    pair->accept_shorter = c->accept_shorter;
    pair->ignore_pixel_format = c->ignore_pixel_format;
    pair->ignore_rate = c->ignore_rate;
    pair->ignore_start = c->ignore_start;
    pair->ignore_colour = c->ignore_colour;
    pair->allow_hdr = c->allow_hdr;
}

VmafxErr vmafx_pair_spec_init(VmafxPairSpec *ret, const Vmafx__V1__JobSpec *spec, const char *path,
                              VmafxErrInfo *reterr)
{
    VmafxErr err = vmafx_spec_check_scoring(spec, path, reterr);

    *ret = (VmafxPairSpec){ .pair = { .strict = true, .digest = true } };
    if (err)
        return err;
    ret->pair.raw_reference = raw_from(spec->reference, &ret->raw[0]);
    if (vmafx_spec_recipe(spec))
        err = recipe_from(ret, vmafx_spec_recipe(spec));
    else
        ret->pair.raw_distorted = raw_from(spec->distorted, &ret->raw[1]);
    comparison_from(&ret->pair, spec->comparison);
    if (!err)
        err = models_from(ret, spec);
    if (!err)
        err = features_from(ret, spec);
    if (err)
        vmafx_pair_spec_done(ret);
    return err ? vmafx_fail(reterr, err, "%s: %s", path, vmafx_err_text(err)) : VMAFX_OK;
}

void vmafx_pair_spec_done(VmafxPairSpec *spec)
{
    for (size_t i = 0; spec->models && i < spec->pair.n_models; i++)
        vmafx_model_request_done(&spec->models[i]);
    for (size_t i = 0; spec->features && i < spec->pair.n_features; i++)
        vmafx_feature_request_done(&spec->features[i]);
    free(spec->models);
    free(spec->features);
    free(spec->recipe_options);
    *spec = (VmafxPairSpec){ 0 };
}
