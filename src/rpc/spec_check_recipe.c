/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* An encode recipe, as far as it can be told without an encoder: names, and numbers that fit none. */

#include "rpc/spec_check_internal.h"

#include <math.h>
#include <string.h>

#include "base/base.h"
#include "base/encoders.h"

/* One of the two at least, and they fit each other. */
static VmafxErr check_encoder(const SpecPlace *place, const Vmafx__V1__EncodeRecipe *recipe)
{
    const char *encoder = spec_given(recipe->encoder), *codec = spec_given(recipe->codec);
    const VmafxEncoderName *known = vmafx_encoder_name_find(encoder);

    if (!*encoder && !*codec)
        return vmafx_fail(place->reterr, VMAFX_ERR_INVALID,
                          "%s.codec: missing; give one of " VMAFX_CODECS_TEXT ", or an encoder", place->path);
    if (*codec && !vmafx_codec_is_known(codec)) {
        const char *meant = vmafx_codec_meant(codec);

        return vmafx_fail(place->reterr, VMAFX_ERR_INVALID, "%s.codec: '%s' is none of " VMAFX_CODECS_TEXT "%s%s%s",
                          place->path, codec, meant ? "; did you mean '" : "", meant ? meant : "", meant ? "'?" : "");
    }
    if (*encoder && !known) {
        const char *nearest = vmafx_encoder_meant(encoder);

        return vmafx_fail(place->reterr, VMAFX_ERR_INVALID, "%s.encoder: '%s' is not known%s%s%s", place->path, encoder,
                          nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
    }
    if (*encoder && *codec && strcmp(known->codec, codec) != 0)
        return vmafx_fail(place->reterr, VMAFX_ERR_INVALID, "%s.encoder: '%s' makes %s, and codec is '%s'", place->path,
                          encoder, known->codec, codec);
    return VMAFX_OK;
}

static VmafxErr check_rate(const SpecPlace *place, const Vmafx__V1__EncodeRecipe *recipe)
{
    if (recipe->rate_case == VMAFX__V1__ENCODE_RECIPE__RATE_BITRATE)
        return spec_number(place, "bitrate", recipe->bitrate, 1, VMAFX_SPEC_BITRATE_MAX);
    if (recipe->rate_case == VMAFX__V1__ENCODE_RECIPE__RATE_CRF &&
        !(recipe->crf >= VMAFX_SPEC_CRF_MIN && recipe->crf <= VMAFX_SPEC_CRF_MAX)) /* NaN is no number between them */
        return vmafx_fail(place->reterr, VMAFX_ERR_INVALID, "%s.crf: %g is not between %g and %g", place->path,
                          recipe->crf, VMAFX_SPEC_CRF_MIN, VMAFX_SPEC_CRF_MAX);
    return VMAFX_OK;
}

static VmafxErr check_size(const SpecPlace *place, const Vmafx__V1__EncodeRecipe *recipe)
{
    VmafxErr err = spec_number(place, "width", recipe->width, 0, VMAFX_SPEC_DIMENSION_MAX);

    if (!err)
        err = spec_number(place, "height", recipe->height, 0, VMAFX_SPEC_DIMENSION_MAX);
    if (!err && !recipe->width != !recipe->height)
        err = vmafx_fail(place->reterr, VMAFX_ERR_INVALID, "%s.width, height: give both or neither", place->path);
    return err;
}

static VmafxErr check_option_once(const SpecPlace *place, const Vmafx__V1__EncodeRecipe *recipe)
{
    for (size_t i = 0; i < recipe->n_options; i++)
        for (size_t k = 0; k < i; k++)
            if (!strcmp(recipe->options[k]->key, recipe->options[i]->key))
                return vmafx_fail(place->reterr, VMAFX_ERR_INVALID, "%s.options[%zu].key: '%s' is there twice",
                                  place->path, i, recipe->options[i]->key);
    return VMAFX_OK;
}

static VmafxErr check_recipe(const SpecPlace *place, const Vmafx__V1__EncodeRecipe *recipe)
{
    VmafxErr err = spec_word(place, "encoder", recipe->encoder, VMAFX_SPEC_NAME_MAX, false, SPEC_NAME);

    if (!err)
        err = spec_word(place, "codec", recipe->codec, VMAFX_SPEC_NAME_MAX, false, SPEC_NAME);
    if (!err)
        err = check_encoder(place, recipe);
    if (!err)
        err = spec_word(place, "preset", recipe->preset, VMAFX_SPEC_NAME_MAX, false, SPEC_NAME);
    if (!err)
        err = check_rate(place, recipe);
    if (!err)
        err = spec_number(place, "gop", recipe->gop, 0, VMAFX_SPEC_GOP_MAX);
    if (!err)
        err = spec_word(place, "pixel_format", recipe->pixel_format, VMAFX_SPEC_NAME_MAX, false, SPEC_NAME);
    if (!err)
        err = check_size(place, recipe);
    if (!err)
        err = spec_options(place, "options", recipe->options, recipe->n_options);
    return err ? err : check_option_once(place, recipe);
}

VmafxErr spec_recipe(const SpecPlace *job, const Vmafx__V1__EncodeRecipe *recipe)
{
    SpecPlace place = spec_below(job, "encode");

    if (!recipe)
        return vmafx_fail(place.reterr, VMAFX_ERR_ENCODER, "%s: missing", place.path);
    VmafxErr err = check_recipe(&place, recipe);
    return err == VMAFX_ERR_INVALID ? VMAFX_ERR_ENCODER : err; /* of the recipe's class, with the sentence as it is */
}
