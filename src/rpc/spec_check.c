/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* One function per message, each given the path of what it looks at. */

#include "rpc/spec_check_internal.h"

#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "base/url.h"

/* ---- messages ---- */

static VmafxErr check_raw(const SpecPlace *place, const Vmafx__V1__RawFormat *raw)
{
    static const char *const formats[] = { "420", "422", "444", "400" };
    VmafxErr err = spec_number(place, "width", raw->width, 1, VMAFX_SPEC_DIMENSION_MAX);

    if (!err)
        err = spec_number(place, "height", raw->height, 1, VMAFX_SPEC_DIMENSION_MAX);
    if (!err)
        err = spec_number(place, "bit_depth", raw->bit_depth, 8, 16);
    for (size_t i = 0; i < VMAFX_LEN(formats) && !err; i++)
        if (!strcmp(spec_given(raw->pixel_format), formats[i]))
            return VMAFX_OK;
    if (!err)
        err = spec_text(place, "pixel_format", raw->pixel_format, VMAFX_SPEC_NAME_MAX, true);
    return err ? err
               : vmafx_fail(place->reterr, VMAFX_ERR_INVALID, "%s.pixel_format: '%s' is none of 420, 422, 444, 400",
                            place->path, raw->pixel_format);
}

/* "s3://bucket/key", as far as it can be told without a store */
static bool is_object(const char *uri)
{
    size_t len = strcspn(uri + 5, "/");

    return len > 0 && uri[5 + len] == '/' && uri[6 + len];
}

/* A path, file:///path, a URL, an object or an upload. Which roots and hosts it may be of is the node's to say. */
static VmafxErr check_uri(const SpecPlace *place, const char *uri)
{
    VmafxErr err = spec_text(place, "uri", uri, VMAFX_SPEC_URI_MAX, true);
    VmafxErrInfo info = { 0 };
    VmafxUrl url;
    char shown[100]; /* a sentence goes to places where no signature and no password may be */

    if (err || *uri == '/' || !strncmp(uri, "file:///", 8))
        return err;
    if (!strncasecmp(uri, "s3://", 5))
        return is_object(uri) ? VMAFX_OK
                              : vmafx_fail(place->reterr, VMAFX_ERR_INVALID,
                                           "%s.uri: an object is named s3://BUCKET/KEY", place->path);
    if (vmafx_uri_is_upload(uri))
        return vmafx_uri_upload_digest(uri)
                   ? VMAFX_OK
                   : vmafx_fail(place->reterr, VMAFX_ERR_INVALID,
                                "%s.uri: an upload is named upload:SHA256, with 64 lower-case hexadecimal digits, as "
                                "the answer to it says",
                                place->path);
    vmafx_url_redact(uri, shown, sizeof shown);
    if (!vmafx_uri_is_remote(uri))
        return vmafx_fail(place->reterr, VMAFX_ERR_INVALID,
                          "%s.uri: '%s' is neither an absolute path nor file:///PATH, https://HOST/PATH, "
                          "http://HOST/PATH, s3://BUCKET/KEY or upload:SHA256, and nothing else is read",
                          place->path, shown);
    if (vmafx_url_parse(uri, &url, &info))
        return vmafx_fail(place->reterr, VMAFX_ERR_INVALID, "%s.uri: '%s': %s", place->path, shown, info.message);
    return VMAFX_OK;
}

static VmafxErr check_input(const SpecPlace *job, const char *field, const Vmafx__V1__Input *input, bool with_uri)
{
    SpecPlace place = spec_below(job, field);
    VmafxErr err = VMAFX_OK;

    if (!input)
        return vmafx_fail(place.reterr, VMAFX_ERR_INVALID, "%s: missing", place.path);
    if (with_uri)
        err = check_uri(&place, input->uri);
    if (!err && input->raw) {
        SpecPlace raw = spec_below(&place, "raw");

        err = check_raw(&raw, input->raw);
    }
    return err;
}

static VmafxErr check_inputs(const SpecPlace *place, const Vmafx__V1__JobSpec *spec, bool with_uri)
{
    VmafxErr err = check_input(place, "reference", spec->reference, with_uri);

    if (err)
        return err;
    if (spec->distorted_source_case == VMAFX__V1__JOB_SPEC__DISTORTED_SOURCE_ENCODE)
        return spec_recipe(place, spec->encode);
    return check_input(place, "distorted", vmafx_spec_distorted(spec), with_uri);
}

/* What a score is called: as asked for, or "vmaf", or the version where another has that name. */
static const char *score_name(const Vmafx__V1__JobSpec *spec, size_t i)
{
    const Vmafx__V1__ModelRequest *m = spec->models[i];

    if (*spec_given(m->name))
        return m->name;
    for (size_t k = 0; k < i; k++)
        if (!strcmp(score_name(spec, k), "vmaf"))
            return spec_given(m->version);
    return "vmaf";
}

static VmafxErr check_model(const SpecPlace *job, const Vmafx__V1__JobSpec *spec, size_t i)
{
    const Vmafx__V1__ModelRequest *m = spec->models[i];
    SpecPlace place = spec_below_nth(job, "models", i);
    VmafxErr err = spec_word(&place, "version", m->version, VMAFX_SPEC_NAME_MAX, true, SPEC_NAME);

    if (!err)
        err = spec_word(&place, "name", m->name, VMAFX_SPEC_NAME_MAX, false, SPEC_NAME);
    if (!err)
        err = spec_options(&place, "overloads", m->overloads, m->n_overloads);
    for (size_t k = 0; k < m->n_overloads && !err; k++)
        if (!strchr(m->overloads[k]->key, '.'))
            err = vmafx_fail(place.reterr, VMAFX_ERR_INVALID,
                             "%s.overloads[%zu].key: '%s' is not of the form extractor.option", place.path, k,
                             m->overloads[k]->key);
    for (size_t k = 0; k < i && !err; k++)
        if (!strcmp(score_name(spec, k), score_name(spec, i)))
            err = vmafx_fail(place.reterr, VMAFX_ERR_INVALID,
                             "%s.name: '%s' is the name of models[%zu] too; give one of them another", place.path,
                             score_name(spec, i), k);
    return err;
}

static VmafxErr check_models(const SpecPlace *place, const Vmafx__V1__JobSpec *spec)
{
    VmafxErr err = spec_count(place, "models", spec->n_models, VMAFX_SPEC_MODELS_MAX);

    for (size_t i = 0; i < spec->n_models && !err; i++)
        err = check_model(place, spec, i);
    return err;
}

/* What would write files where the job runs; the engine refuses it too, but only once the job has come that far. */
static VmafxErr check_writes_nothing(const SpecPlace *place, const char *field, Vmafx__V1__KeyValue *const *items,
                                     size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *dot = strrchr(items[i]->key, '.'), *option = dot ? dot + 1 : items[i]->key;

        if (!strcmp(option, "heatmaps_path"))
            return vmafx_fail(place->reterr, VMAFX_ERR_INVALID,
                              "%s.%s[%zu].key: 'heatmaps_path' writes files: only 'vmafx score' and 'vmafx vmaf' take "
                              "it, on the machine where they run",
                              place->path, field, i);
    }
    return VMAFX_OK;
}

static VmafxErr check_features(const SpecPlace *job, const Vmafx__V1__JobSpec *spec)
{
    VmafxErr err = spec_count(job, "features", spec->n_features, VMAFX_SPEC_FEATURES_MAX);

    for (size_t i = 0; i < spec->n_features && !err; i++) {
        SpecPlace place = spec_below_nth(job, "features", i);

        err = spec_word(&place, "name", spec->features[i]->name, VMAFX_SPEC_NAME_MAX, true, SPEC_NAME);
        if (!err)
            err = spec_options(&place, "options", spec->features[i]->options, spec->features[i]->n_options);
        if (!err)
            err = check_writes_nothing(&place, "options", spec->features[i]->options, spec->features[i]->n_options);
    }
    return err;
}

static VmafxErr check_scaling(const SpecPlace *place, const Vmafx__V1__Comparison *c)
{
    VmafxErr err = spec_number(place, "scaling", c->scaling, 0, VMAFX__V1__SCALING__SCALING_SIZE);
    bool sized = c->scaling == VMAFX__V1__SCALING__SCALING_SIZE;

    if (!err && !sized && (c->scale_width || c->scale_height))
        return vmafx_fail(place->reterr, VMAFX_ERR_INVALID,
                          "%s.scale_width, scale_height: they go with scaling SCALING_SIZE only", place->path);
    if (!err && sized)
        err = spec_number(place, "scale_width", c->scale_width, 1, VMAFX_SPEC_DIMENSION_MAX);
    if (!err && sized)
        err = spec_number(place, "scale_height", c->scale_height, 1, VMAFX_SPEC_DIMENSION_MAX);
    return err;
}

static VmafxErr check_comparison(const SpecPlace *job, const Vmafx__V1__Comparison *c)
{
    SpecPlace place = spec_below(job, "comparison");
    VmafxErr err = VMAFX_OK;

    if (!c)
        return VMAFX_OK;
    const struct {
        const char *field;
        int64_t value, hi;
    } numbers[] = {
        { "first_frame", c->first_frame, VMAFX_SPEC_FRAMES_MAX },
        { "frame_count", c->frame_count, VMAFX_SPEC_FRAMES_MAX },
        { "skip_reference", c->skip_reference, VMAFX_SPEC_FRAMES_MAX },
        { "skip_distorted", c->skip_distorted, VMAFX_SPEC_FRAMES_MAX },
        { "subsample", c->subsample, INT32_MAX },
    };

    for (size_t i = 0; i < VMAFX_LEN(numbers) && !err; i++)
        err = spec_number(&place, numbers[i].field, numbers[i].value, 0, numbers[i].hi);
    return err ? err : check_scaling(&place, c);
}

static VmafxErr check_labels(const SpecPlace *job, const Vmafx__V1__JobSpec *spec)
{
    VmafxErr err = spec_count(job, "labels", spec->n_labels, VMAFX_SPEC_LABELS_MAX);

    for (size_t i = 0; i < spec->n_labels && !err; i++) {
        SpecPlace place = spec_below_nth(job, "labels", i);
        const char *key = spec_given(spec->labels[i]->key);

        err = spec_word(&place, "key", key, VMAFX_SPEC_LABEL_KEY_MAX, true, SPEC_LABEL);
        if (!err)
            err = spec_text(&place, "value", spec->labels[i]->value, VMAFX_SPEC_VALUE_MAX, false);
        for (size_t k = 0; k < i && !err; k++)
            if (!strcmp(spec_given(spec->labels[k]->key), key))
                err = vmafx_fail(place.reterr, VMAFX_ERR_INVALID, "%s.key: '%s' is there twice", place.path, key);
    }
    return err;
}

static VmafxErr check_scoring(const SpecPlace *place, const Vmafx__V1__JobSpec *spec, bool with_uri)
{
    VmafxErr err = check_inputs(place, spec, with_uri);

    if (!err)
        err = check_models(place, spec);
    if (!err)
        err = check_features(place, spec);
    return err ? err : check_comparison(place, spec->comparison);
}

const Vmafx__V1__Input *vmafx_spec_distorted(const Vmafx__V1__JobSpec *spec)
{
    return spec->distorted_source_case == VMAFX__V1__JOB_SPEC__DISTORTED_SOURCE_DISTORTED ? spec->distorted : NULL;
}

const Vmafx__V1__EncodeRecipe *vmafx_spec_recipe(const Vmafx__V1__JobSpec *spec)
{
    return spec->distorted_source_case == VMAFX__V1__JOB_SPEC__DISTORTED_SOURCE_ENCODE ? spec->encode : NULL;
}

VmafxErr vmafx_spec_check(const Vmafx__V1__JobSpec *spec, const char *path, VmafxErrInfo *reterr)
{
    SpecPlace place = spec_at(path, reterr);
    size_t size = protobuf_c_message_get_packed_size(&spec->base);
    VmafxErr err = size > VMAFX_SPEC_BYTES_MAX
                       ? vmafx_fail(reterr, VMAFX_ERR_LIMIT, "%s: %zu bytes encoded, at most %d are taken", place.path,
                                    size, VMAFX_SPEC_BYTES_MAX)
                       : check_scoring(&place, spec, true);

    if (!err)
        err = spec_number(&place, "priority", spec->priority, -VMAFX_SPEC_PRIORITY_MAX, VMAFX_SPEC_PRIORITY_MAX);
    if (!err)
        err = spec_number(&place, "deadline_unix_us", spec->deadline_unix_us, 0, INT64_MAX);
    if (!err)
        err = spec_number(&place, "timeout_ms", spec->timeout_ms, 0, VMAFX_SPEC_TIMEOUT_MS_MAX);
    if (!err)
        err = spec_number(&place, "attempt_limit", spec->attempt_limit, 0, VMAFX_SPEC_ATTEMPTS_MAX);
    if (!err)
        err = check_labels(&place, spec);
    return err ? err : spec_text(&place, "idempotency_key", spec->idempotency_key, VMAFX_SPEC_KEY_MAX, false);
}

VmafxErr vmafx_spec_check_scoring(const Vmafx__V1__JobSpec *spec, const char *path, VmafxErrInfo *reterr)
{
    SpecPlace place = spec_at(path, reterr);

    return check_scoring(&place, spec, false);
}
