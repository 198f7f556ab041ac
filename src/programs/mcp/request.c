/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Arguments of tools as the request of a job. */

#include "programs/mcp/request.h"

#include <string.h>

#include "base/base.h"
#include "inputs/inputs.h"
#include "rpc/spec_check.h"

/* ---- Paths ---- */

/** Appends the segments of a path; false: no room, or one is "..". */
static bool append(const char *path, char *ret, size_t *len, bool *ret_up)
{
    while (*path) {
        size_t n = strcspn(path, "/");
        bool up = n == 2 && !strncmp(path, "..", 2);
        if (up || (n && *len + n + 2 > REQUEST_URI_MAX)) {
            *ret_up = up;
            return false;
        }
        if (n && !(n == 1 && *path == '.')) {
            ret[(*len)++] = '/';
            memcpy(ret + *len, path, n);
            *len += n;
        }
        path += n + (path[n] == '/');
    }
    ret[*len] = 0;
    return true;
}

static bool below(const char *path, const char *root, size_t len)
{
    while (len && root[len - 1] == '/')
        len--;
    return !strncmp(path, root, len) && (path[len] == '/' || !path[len]);
}

static bool below_any(const char *path, const char *roots)
{
    while (roots && *roots) {
        size_t n = strcspn(roots, ":");
        if (n && below(path, roots, n))
            return true;
        roots += n + (roots[n] == ':');
    }
    return false;
}

VmafxErr request_path(const RequestPlace *place, const char *given, char ret[REQUEST_URI_MAX], VmafxErrInfo *reterr)
{
    const char *path = strncmp(given, "file://", 7) ? given : given + 7;
    size_t len = 0;
    bool up = false;

    if (vmafx_uri_is_remote(given)) {
        if (strlen(given) >= REQUEST_URI_MAX)
            return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "the URL is longer than %d bytes", REQUEST_URI_MAX - 1);
        memcpy(ret, given, strlen(given) + 1);
        return VMAFX_OK;
    }
    size_t scheme = strcspn(path, ":/");
    if (scheme && path[scheme] == ':' && path[scheme + 1] == '/') /* as a relative path it would be shown as it is */
        return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                          "'%.200s' is neither a path nor a URL that begins with https://, http:// or s3://", path);
    if (*path != '/' && !place->folder)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                          "'%.200s' is not an absolute path, and there is no folder it could "
                          "begin in: give the path from the root on (/…)",
                          path);
    if ((*path != '/' && !append(place->folder, ret, &len, &up)) || !append(path, ret, &len, &up))
        return up ? vmafx_fail(reterr, VMAFX_ERR_INVALID, "'%.200s' has a '..' in it: give the path without", path)
                  : vmafx_fail(reterr, VMAFX_ERR_LIMIT, "the path is longer than %d bytes", REQUEST_URI_MAX - 1);
    if (below_any(ret, place->roots))
        return VMAFX_OK;
    if (!place->roots || !*place->roots)
        return vmafx_fail(reterr, VMAFX_ERR_FORBIDDEN,
                          "'%.200s' may not be read: no folder is allowed. Whoever runs vmafx-mcp allows some with "
                          "VMAFX_MCP_ROOTS (or --roots)",
                          ret);
    return vmafx_fail(
        reterr, VMAFX_ERR_FORBIDDEN,
        "'%.160s' is not below a folder that may be read (%.160s). Whoever runs vmafx-mcp allows more with "
        "VMAFX_MCP_ROOTS (or --roots)",
        ret, place->roots);
}

/* ---- The request ---- */

static int64_t number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    return json_is_real(value) ? (int64_t)json_real_value(value) : json_integer_value(value);
}

static void fill_models(Request *r, const json_t *arguments)
{
    const json_t *models = json_object_get(arguments, "models");
    bool phone = json_is_true(json_object_get(arguments, "phone"));
    size_t n = json_array_size(models);

    for (size_t i = 0; i < VMAFX_MIN(VMAFX_MAX(n, (size_t)phone), VMAFX_LEN(r->models)); i++) {
        vmafx__v1__model_request__init(&r->models[i]);
        r->models[i].version = n ? (char *)json_string_value(json_array_get(models, i)) : VMAFX_SPEC_DEFAULT_VERSION;
        r->models[i].enable_transform = phone;
        r->model_list[i] = &r->models[i];
        r->spec.n_models = i + 1;
    }
    r->spec.models = r->model_list;
}

static void fill_features(Request *r, const json_t *arguments)
{
    const json_t *features = json_object_get(arguments, "features");

    for (size_t i = 0; i < VMAFX_MIN(json_array_size(features), VMAFX_LEN(r->features)); i++) {
        vmafx__v1__feature_request__init(&r->features[i]);
        r->features[i].name = (char *)json_string_value(json_array_get(features, i));
        r->feature_list[i] = &r->features[i];
        r->spec.n_features = i + 1;
    }
    r->spec.features = r->feature_list;
}

static bool allows(const json_t *arguments, const char *what)
{
    const json_t *value;
    size_t i;

    json_array_foreach(json_object_get(arguments, "allow"), i,
                       value) if (!strcmp(json_string_value(value), what)) return true;
    return false;
}

static void fill_comparison(Request *r, const json_t *arguments)
{
    const json_t *frames = json_object_get(arguments, "frames");
    Vmafx__V1__Comparison *c = &r->comparison;

    vmafx__v1__comparison__init(c);
    c->first_frame = number(frames, "first");
    c->frame_count = number(frames, "count");
    c->subsample = (int32_t)number(frames, "every");
    c->skip_reference = number(frames, "skip_reference");
    c->skip_distorted = number(frames, "skip_distorted");
    c->scaling =
        allows(arguments, "scaling") ? VMAFX__V1__SCALING__SCALING_REFERENCE : VMAFX__V1__SCALING__SCALING_NONE;
    c->accept_shorter = allows(arguments, "shorter");
    c->ignore_rate = allows(arguments, "frame_rate");
    c->ignore_start = allows(arguments, "start");
    c->ignore_pixel_format = allows(arguments, "pixel_format");
    c->ignore_colour = allows(arguments, "colour");
    c->convert_depth = allows(arguments, "bit_depth");
    c->convert_range = allows(arguments, "range");
    c->allow_hdr = allows(arguments, "hdr");
    r->spec.comparison = c;
}

static void fill_raw(Request *r, const json_t *raw)
{
    const char *pixels = json_string_value(json_object_get(raw, "pixel_format"));

    if (!raw)
        return;
    vmafx__v1__raw_format__init(&r->raw);
    r->raw.width = (int32_t)number(raw, "width");
    r->raw.height = (int32_t)number(raw, "height");
    r->raw.bit_depth = json_object_get(raw, "bit_depth") ? (int32_t)number(raw, "bit_depth") : 8;
    r->raw.pixel_format = (char *)(pixels ? pixels : "420");
    r->reference.raw = r->distorted.raw = &r->raw;
}

/* ---- How the distorted video is made ---- */

static char *word(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return (char *)(uintptr_t)(text ? text : "");
}

/* "KEY=VALUE" */
static VmafxErr fill_setting(Request *r, size_t i, const char *text, VmafxErrInfo *reterr)
{
    const char *equals = strchr(text, '=');

    if (!equals || equals == text || (size_t)(equals - text) >= sizeof r->setting_keys[i])
        return vmafx_fail(reterr, VMAFX_ERR_ENCODER, "encode.options[%zu]: '%.100s' is not of the form KEY=VALUE", i,
                          text);
    snprintf(r->setting_keys[i], sizeof r->setting_keys[i], "%.*s", (int)(equals - text), text);
    vmafx__v1__key_value__init(&r->settings[i]);
    r->settings[i].key = r->setting_keys[i];
    r->settings[i].value = (char *)(uintptr_t)(equals + 1);
    r->setting_list[i] = &r->settings[i];
    return VMAFX_OK;
}

static VmafxErr fill_recipe(Request *r, const json_t *encode, VmafxErrInfo *reterr)
{
    const json_t *crf = json_object_get(encode, "crf"), *options = json_object_get(encode, "options");
    Vmafx__V1__EncodeRecipe *to = &r->recipe;
    VmafxErr err = VMAFX_OK;

    vmafx__v1__encode_recipe__init(to);
    to->codec = word(encode, "codec");
    to->encoder = word(encode, "encoder");
    to->preset = word(encode, "preset");
    to->pixel_format = word(encode, "pixel_format");
    to->gop = (int32_t)number(encode, "gop");
    to->width = (int32_t)number(encode, "width");
    to->height = (int32_t)number(encode, "height");
    if (crf && json_object_get(encode, "bits_per_second"))
        return vmafx_fail(reterr, VMAFX_ERR_ENCODER, "encode: give crf or bits_per_second, not both");
    if (crf) {
        to->rate_case = VMAFX__V1__ENCODE_RECIPE__RATE_CRF;
        to->crf = json_number_value(crf);
    } else if (json_object_get(encode, "bits_per_second")) {
        to->rate_case = VMAFX__V1__ENCODE_RECIPE__RATE_BITRATE;
        to->bitrate = number(encode, "bits_per_second");
    }
    for (size_t i = 0; i < VMAFX_MIN(json_array_size(options), (size_t)REQUEST_SETTINGS_MAX) && !err; i++) {
        err = fill_setting(r, i, json_string_value(json_array_get(options, i)), reterr);
        to->n_options = i + 1;
    }
    to->options = r->setting_list;
    r->spec.distorted_source_case = VMAFX__V1__JOB_SPEC__DISTORTED_SOURCE_ENCODE;
    r->spec.encode = to;
    if (to->width && r->comparison.scaling == VMAFX__V1__SCALING__SCALING_NONE)
        r->comparison.scaling = VMAFX__V1__SCALING__SCALING_REFERENCE; /* what else could be meant */
    return err;
}

VmafxErr request_init(Request *r, const RequestPlace *place, const char *reference, const char *distorted,
                      const json_t *arguments, VmafxErrInfo *reterr)
{
    const json_t *encode = json_object_get(arguments, "encode");

    memset(r, 0, sizeof *r);
    if (!distorted == !encode)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                          distorted
                              ? "arguments.encode makes distorted: give either of them, not both"
                              : "arguments.distorted is missing, the video to judge; or give encode, to make it of "
                                "the reference");
    VmafxErr err = request_path(place, reference, r->uris[0], reterr);
    if (!err && distorted)
        err = request_path(place, distorted, r->uris[1], reterr);
    if (err)
        return err;
    vmafx__v1__job_spec__init(&r->spec);
    vmafx__v1__input__init(&r->reference);
    vmafx__v1__input__init(&r->distorted);
    r->reference.uri = r->uris[0];
    r->distorted.uri = r->uris[1];
    r->spec.reference = &r->reference;
    r->spec.distorted_source_case = VMAFX__V1__JOB_SPEC__DISTORTED_SOURCE_DISTORTED;
    r->spec.distorted = &r->distorted;
    fill_models(r, arguments);
    fill_features(r, arguments);
    fill_comparison(r, arguments);
    fill_raw(r, json_object_get(arguments, "raw"));
    if (encode)
        err = fill_recipe(r, encode, reterr);
    if (err)
        return err;
    r->spec.priority = (int32_t)number(arguments, "priority");
    r->spec.timeout_ms = number(arguments, "timeout_seconds") * 1000;
    return vmafx_spec_check(&r->spec, "arguments", reterr);
}
