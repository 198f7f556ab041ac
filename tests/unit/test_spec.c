/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* JobSpec: what is refused with which path, and what options it becomes. */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/encoders.h"
#include "rpc/spec_check.h"
#include "score/spec.h"

/* A job with a bit of everything, as it may be. */
typedef struct Job {
    Vmafx__V1__JobSpec spec;
    Vmafx__V1__Input inputs[2];
    Vmafx__V1__RawFormat raw;
    Vmafx__V1__ModelRequest models[3], *model_list[3];
    Vmafx__V1__FeatureRequest feature, *features[1];
    Vmafx__V1__KeyValue overload, *overloads[1], option, *options[1], label, *labels[33];
    Vmafx__V1__Comparison comparison;
    Vmafx__V1__EncodeRecipe recipe;
    Vmafx__V1__KeyValue setting, *settings[65];
    char long_text[70000];
} Job;

static char *say(const char *text)
{
    return (char *)(uintptr_t)text;
}

static void job_init(Job *j)
{
    memset(j, 0, sizeof *j);
    memset(j->long_text, 'x', sizeof j->long_text - 1);
    j->spec = (Vmafx__V1__JobSpec)VMAFX__V1__JOB_SPEC__INIT;
    j->raw = (Vmafx__V1__RawFormat)VMAFX__V1__RAW_FORMAT__INIT;
    j->raw.width = 352;
    j->raw.height = 288;
    j->raw.bit_depth = 10;
    j->raw.pixel_format = say("422");
    for (size_t i = 0; i < 2; i++) {
        j->inputs[i] = (Vmafx__V1__Input)VMAFX__V1__INPUT__INIT;
        j->inputs[i].uri = say(i ? "file:///videos/dis.yuv" : "/videos/ref.yuv");
        j->inputs[i].raw = &j->raw;
    }
    j->spec.reference = &j->inputs[0];
    j->spec.distorted_source_case = VMAFX__V1__JOB_SPEC__DISTORTED_SOURCE_DISTORTED;
    j->spec.distorted = &j->inputs[1];
    for (size_t i = 0; i < 3; i++) {
        j->models[i] = (Vmafx__V1__ModelRequest)VMAFX__V1__MODEL_REQUEST__INIT;
        j->models[i].version = say(i ? "vmaf_v0.6.1neg" : "vmaf_v0.6.1");
        j->model_list[i] = &j->models[i];
    }
    j->overload = j->option = j->label = (Vmafx__V1__KeyValue)VMAFX__V1__KEY_VALUE__INIT;
    j->overload.key = say("adm.adm_enhn_gain_limit");
    j->overload.value = say("1.2");
    j->overloads[0] = &j->overload;
    j->models[1].overloads = j->overloads;
    j->models[1].n_overloads = 1;
    j->models[1].disable_clip = true;
    j->spec.models = j->model_list;
    j->spec.n_models = 2;
    j->feature = (Vmafx__V1__FeatureRequest)VMAFX__V1__FEATURE_REQUEST__INIT;
    j->feature.name = say("vif");
    j->option.key = say("debug");
    j->option.value = say("true");
    j->options[0] = &j->option;
    j->feature.options = j->options;
    j->feature.n_options = 1;
    j->features[0] = &j->feature;
    j->spec.features = j->features;
    j->spec.n_features = 1;
    j->comparison = (Vmafx__V1__Comparison)VMAFX__V1__COMPARISON__INIT;
    j->spec.comparison = &j->comparison;
    j->label.key = say("team/project");
    j->label.value = say("a b");
    for (size_t i = 0; i < VMAFX_LEN(j->labels); i++)
        j->labels[i] = &j->label;
    j->spec.labels = j->labels;
    j->spec.n_labels = 1;
    j->recipe = (Vmafx__V1__EncodeRecipe)VMAFX__V1__ENCODE_RECIPE__INIT;
    j->recipe.codec = say("hevc");
    j->recipe.encoder = say("libx265");
    j->recipe.preset = say("fast");
    j->recipe.rate_case = VMAFX__V1__ENCODE_RECIPE__RATE_CRF;
    j->recipe.crf = 0; /* a value as any other */
    j->recipe.gop = 50;
    j->recipe.pixel_format = say("yuv422p10le");
    j->recipe.width = 320;
    j->recipe.height = 180;
    j->setting = (Vmafx__V1__KeyValue)VMAFX__V1__KEY_VALUE__INIT;
    j->setting.key = say("x265-params");
    j->setting.value = say("aq-mode=3:rd=4");
    for (size_t i = 0; i < VMAFX_LEN(j->settings); i++)
        j->settings[i] = &j->setting;
    j->recipe.options = j->settings;
    j->recipe.n_options = 1;
}

/* The same with a recipe in place of the distorted video. */
static void encode(Job *j)
{
    j->spec.distorted_source_case = VMAFX__V1__JOB_SPEC__DISTORTED_SOURCE_ENCODE;
    j->spec.encode = &j->recipe;
}

#define CHANGE(name, statement)                                                                                        \
    static void name(Job *j)                                                                                           \
    {                                                                                                                  \
        statement;                                                                                                     \
    }

CHANGE(no_reference, j->spec.reference = NULL)
CHANGE(no_distorted, j->spec.distorted_source_case = VMAFX__V1__JOB_SPEC__DISTORTED_SOURCE__NOT_SET)
CHANGE(recipe_none, encode(j); j->spec.encode = NULL)
CHANGE(recipe_empty, encode(j); j->recipe.codec = j->recipe.encoder = NULL)
CHANGE(recipe_codec, encode(j); j->recipe.codec = say("mpeg2"))
CHANGE(recipe_encoder, encode(j); j->recipe.encoder = say("libx256"))
CHANGE(recipe_far_encoder, encode(j); j->recipe.encoder = say("a-new-one"))
CHANGE(recipe_other_codec, encode(j); j->recipe.codec = say("av1"))
CHANGE(recipe_word, encode(j); j->recipe.encoder = say("lib x264"))
CHANGE(recipe_preset, encode(j); j->recipe.preset = say("../fast"))
CHANGE(recipe_crf, encode(j); j->recipe.crf = 256)
CHANGE(recipe_nan, encode(j); j->recipe.crf = NAN)
CHANGE(recipe_no_bitrate, encode(j); j->recipe.rate_case = VMAFX__V1__ENCODE_RECIPE__RATE_BITRATE)
CHANGE(recipe_bitrate, encode(j); j->recipe.rate_case = VMAFX__V1__ENCODE_RECIPE__RATE_BITRATE;
       j->recipe.bitrate = INT64_MAX)
CHANGE(recipe_gop, encode(j); j->recipe.gop = -1)
CHANGE(recipe_format, encode(j); j->recipe.pixel_format = say("yuv420p;"))
CHANGE(recipe_width, encode(j); j->recipe.width = 65537)
CHANGE(recipe_one_side, encode(j); j->recipe.height = 0)
CHANGE(recipe_key, encode(j); j->setting.key = say("a=b"))
CHANGE(recipe_value, encode(j); j->setting.value = say("a\nb"))
CHANGE(recipe_twice, encode(j); j->recipe.n_options = 2)
CHANGE(recipe_many, encode(j); j->recipe.n_options = 65)
CHANGE(uri_empty, j->inputs[1].uri = say(""))
CHANGE(uri_relative, j->inputs[1].uri = say("dis.mp4"))
CHANGE(uri_remote, j->inputs[0].uri = say("https://u:SECRET@example.org:x/a.mp4?SECRET"))
CHANGE(uri_of_host, j->inputs[0].uri = say("file://host/a.mp4"))
CHANGE(uri_upload, j->inputs[0].uri = say("upload:0123"))
CHANGE(uri_newline, j->inputs[0].uri = say("/a\nb"))
CHANGE(uri_long, j->inputs[0].uri = j->long_text; j->long_text[5000] = 0)
CHANGE(raw_width, j->raw.width = 0)
CHANGE(raw_height, j->raw.height = 65537)
CHANGE(raw_depth, j->raw.bit_depth = 7)
CHANGE(raw_format, j->raw.pixel_format = say("411"))
CHANGE(raw_no_format, j->raw.pixel_format = say(""))
CHANGE(model_path, j->models[1].version = say("/etc/passwd"))
CHANGE(model_none, j->models[1].version = say(""))
CHANGE(model_name, j->models[1].name = say("a b"))
CHANGE(model_same_name, j->models[1].name = say("vmaf"))
CHANGE(model_same_version, j->spec.n_models = 3)
CHANGE(models_many, j->spec.n_models = 17)
CHANGE(overload_key, j->overload.key = say("gain"))
CHANGE(overload_value, j->overload.value = say(""))
CHANGE(feature_none, j->feature.name = say(""))
CHANGE(option_key, j->option.key = say("a=b"))
CHANGE(option_writes, j->option.key = (char *)"heatmaps_path")
CHANGE(options_many, j->feature.n_options = 65)
CHANGE(features_many, j->spec.n_features = 33)
CHANGE(subsample, j->comparison.subsample = -1)
CHANGE(first_frame, j->comparison.first_frame = -1)
CHANGE(frame_count, j->comparison.frame_count = 3000000000)
CHANGE(scaling, j->comparison.scaling = 7)
CHANGE(scale_without, j->comparison.scale_width = 100)
CHANGE(scale_width, j->comparison.scaling = VMAFX__V1__SCALING__SCALING_SIZE)
CHANGE(scale_height, j->comparison.scaling = VMAFX__V1__SCALING__SCALING_SIZE; j->comparison.scale_width = 640;
       j->comparison.scale_height = 70000)
CHANGE(priority, j->spec.priority = 101)
CHANGE(deadline, j->spec.deadline_unix_us = -1)
CHANGE(timeout, j->spec.timeout_ms = VMAFX_SPEC_TIMEOUT_MS_MAX + 1)
CHANGE(attempts, j->spec.attempt_limit = 21)
CHANGE(label_key, j->label.key = say("a b"))
CHANGE(label_twice, j->spec.n_labels = 2)
CHANGE(labels_many, j->spec.n_labels = 33)
CHANGE(label_value, j->label.value = j->long_text; j->long_text[256] = 0)
CHANGE(key_long, j->spec.idempotency_key = j->long_text; j->long_text[256] = 0)
CHANGE(all_long, j->spec.idempotency_key = j->long_text)

static void a_job_that_cannot_be_is_refused_by_the_path_of_its_field(void **state)
{
    static const struct {
        const char *begins;
        void (*change)(Job *j);
        VmafxErr err;
    } cases[] = {
        { "job.reference: missing", no_reference, VMAFX_ERR_INVALID },
        { "job.distorted: missing", no_distorted, VMAFX_ERR_INVALID },
        { "job.encode: missing", recipe_none, VMAFX_ERR_ENCODER },
        { "job.encode.codec: missing; give one of h264, hevc", recipe_empty, VMAFX_ERR_ENCODER },
        { "job.encode.codec: 'mpeg2' is none of h264, hevc", recipe_codec, VMAFX_ERR_ENCODER },
        { "job.encode.encoder: 'libx256' is not known; did you mean 'libx265'?", recipe_encoder, VMAFX_ERR_ENCODER },
        { "job.encode.encoder: 'a-new-one' is not known", recipe_far_encoder, VMAFX_ERR_ENCODER },
        { "job.encode.encoder: 'libx265' makes hevc, and codec is 'av1'", recipe_other_codec, VMAFX_ERR_ENCODER },
        { "job.encode.encoder: 'lib x264' has a character", recipe_word, VMAFX_ERR_ENCODER },
        { "job.encode.preset: '../fast' has a character", recipe_preset, VMAFX_ERR_ENCODER },
        { "job.encode.crf: 256 is not between -64 and 255", recipe_crf, VMAFX_ERR_ENCODER },
        { "job.encode.crf: nan is not between", recipe_nan, VMAFX_ERR_ENCODER },
        { "job.encode.bitrate: 0 is below 1", recipe_no_bitrate, VMAFX_ERR_ENCODER },
        { "job.encode.bitrate: 9223372036854775807 is above", recipe_bitrate, VMAFX_ERR_ENCODER },
        { "job.encode.gop: -1 is below 0", recipe_gop, VMAFX_ERR_ENCODER },
        { "job.encode.pixel_format: 'yuv420p;' has a character", recipe_format, VMAFX_ERR_ENCODER },
        { "job.encode.width: 65537 is above", recipe_width, VMAFX_ERR_ENCODER },
        { "job.encode.width, height: give both", recipe_one_side, VMAFX_ERR_ENCODER },
        { "job.encode.options[0].key: 'a=b' has a character", recipe_key, VMAFX_ERR_ENCODER },
        { "job.encode.options[0].value: has a control character", recipe_value, VMAFX_ERR_ENCODER },
        { "job.encode.options[1].key: 'x265-params' is there twice", recipe_twice, VMAFX_ERR_ENCODER },
        { "job.encode.options: 65 items, at most 64", recipe_many, VMAFX_ERR_LIMIT },
        { "job.distorted.uri: missing", uri_empty, VMAFX_ERR_INVALID },
        { "job.distorted.uri: 'dis.mp4' is neither", uri_relative, VMAFX_ERR_INVALID },
        { "job.reference.uri: 'https://\xe2\x80\xa6': the port", uri_remote, VMAFX_ERR_INVALID },
        { "job.reference.uri: 'file://host", uri_of_host, VMAFX_ERR_INVALID },
        { "job.reference.uri: an upload is named", uri_upload, VMAFX_ERR_INVALID },
        { "job.reference.uri: has a control character", uri_newline, VMAFX_ERR_INVALID },
        { "job.reference.uri: longer than 4096", uri_long, VMAFX_ERR_LIMIT },
        { "job.reference.raw.width: 0 is below 1", raw_width, VMAFX_ERR_INVALID },
        { "job.reference.raw.height: 65537 is above 65536", raw_height, VMAFX_ERR_INVALID },
        { "job.reference.raw.bit_depth: 7 is below 8", raw_depth, VMAFX_ERR_INVALID },
        { "job.reference.raw.pixel_format: '411' is none of", raw_format, VMAFX_ERR_INVALID },
        { "job.reference.raw.pixel_format: missing", raw_no_format, VMAFX_ERR_INVALID },
        { "job.models[1].version: '/etc/passwd' has a character", model_path, VMAFX_ERR_INVALID },
        { "job.models[1].version: missing", model_none, VMAFX_ERR_INVALID },
        { "job.models[1].name: 'a b'", model_name, VMAFX_ERR_INVALID },
        { "job.models[1].name: 'vmaf' is the name of models[0] too", model_same_name, VMAFX_ERR_INVALID },
        { "job.models[2].name: 'vmaf_v0.6.1neg' is the name of models[1] too", model_same_version, VMAFX_ERR_INVALID },
        { "job.models: 17 items, at most 16", models_many, VMAFX_ERR_LIMIT },
        { "job.models[1].overloads[0].key: 'gain' is not of the form", overload_key, VMAFX_ERR_INVALID },
        { "job.models[1].overloads[0].value: missing", overload_value, VMAFX_ERR_INVALID },
        { "job.features[0].name: missing", feature_none, VMAFX_ERR_INVALID },
        { "job.features[0].options[0].key: 'a=b'", option_key, VMAFX_ERR_INVALID },
        { "job.features[0].options: 65 items, at most 64", options_many, VMAFX_ERR_LIMIT },
        { "job.features[0].options[0].key: 'heatmaps_path' writes files", option_writes, VMAFX_ERR_INVALID },
        { "job.features: 33 items, at most 32", features_many, VMAFX_ERR_LIMIT },
        { "job.comparison.subsample: -1 is below 0", subsample, VMAFX_ERR_INVALID },
        { "job.comparison.first_frame: -1 is below 0", first_frame, VMAFX_ERR_INVALID },
        { "job.comparison.frame_count: 3000000000 is above", frame_count, VMAFX_ERR_INVALID },
        { "job.comparison.scaling: 7 is above 2", scaling, VMAFX_ERR_INVALID },
        { "job.comparison.scale_width, scale_height: they go with", scale_without, VMAFX_ERR_INVALID },
        { "job.comparison.scale_width: 0 is below 1", scale_width, VMAFX_ERR_INVALID },
        { "job.comparison.scale_height: 70000 is above", scale_height, VMAFX_ERR_INVALID },
        { "job.priority: 101 is above 100", priority, VMAFX_ERR_INVALID },
        { "job.deadline_unix_us: -1 is below 0", deadline, VMAFX_ERR_INVALID },
        { "job.timeout_ms: 604800001 is above", timeout, VMAFX_ERR_INVALID },
        { "job.attempt_limit: 21 is above 20", attempts, VMAFX_ERR_INVALID },
        { "job.labels[0].key: 'a b' has a character", label_key, VMAFX_ERR_INVALID },
        { "job.labels[1].key: 'team/project' is there twice", label_twice, VMAFX_ERR_INVALID },
        { "job.labels: 33 items, at most 32", labels_many, VMAFX_ERR_LIMIT },
        { "job.labels[0].value: longer than 255", label_value, VMAFX_ERR_LIMIT },
        { "job.idempotency_key: longer than 255", key_long, VMAFX_ERR_LIMIT },
        { "job: 70", all_long, VMAFX_ERR_LIMIT },
    };
    static Job j;

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        Vmafx__V1__ModelRequest *models[17];
        Vmafx__V1__FeatureRequest *features[33];
        Vmafx__V1__KeyValue *options[65];
        VmafxErrInfo info = { 0 };

        job_init(&j);
        cases[i].change(&j);
        for (size_t k = 0; k < VMAFX_LEN(models); k++)
            models[k] = &j.models[VMAFX_MIN(k, (size_t)2)];
        for (size_t k = 0; k < VMAFX_LEN(features); k++)
            features[k] = &j.feature;
        for (size_t k = 0; k < VMAFX_LEN(options); k++)
            options[k] = &j.option;
        j.spec.models = models;
        j.spec.features = features;
        j.feature.options = options;
        VmafxErr err = vmafx_spec_check(&j.spec, "job", &info);
        if (err != cases[i].err || strncmp(info.message, cases[i].begins, strlen(cases[i].begins)) != 0)
            fail_msg("%s, not %s: %s", vmafx_err_name(err), cases[i].begins, info.message);
    }
}

static void a_job_as_it_should_be_passes(void **state)
{
    static Job j;
    VmafxErrInfo info = { 0 };

    job_init(&j);
    assert_int_equal(vmafx_spec_check(&j.spec, "jobs[3]", &info), VMAFX_OK);
    j.spec.comparison = NULL;
    j.spec.n_models = j.spec.n_features = 0;
    j.inputs[0].raw = NULL;
    assert_int_equal(vmafx_spec_check(&j.spec, "jobs[3]", &info), VMAFX_OK);
    j.inputs[0].uri = NULL; /* as a message made by hand may have it */
    assert_int_equal(vmafx_spec_check(&j.spec, "jobs[3]", &info), VMAFX_ERR_INVALID);
    assert_string_equal(info.message, "jobs[3].reference.uri: missing");
    assert_int_equal(vmafx_spec_check_scoring(&j.spec, "jobs[3]", &info), VMAFX_OK);
    encode(&j);
    assert_int_equal(vmafx_spec_check_scoring(&j.spec, "jobs[3]", &info), VMAFX_OK);
    j.inputs[0].uri = say("/videos/ref.yuv");
    assert_int_equal(vmafx_spec_check(&j.spec, "jobs[3]", &info), VMAFX_OK);
    j.recipe.codec = j.recipe.preset = j.recipe.pixel_format = NULL; /* the encoder alone is enough */
    j.recipe.rate_case = VMAFX__V1__ENCODE_RECIPE__RATE__NOT_SET;
    j.recipe.width = j.recipe.height = j.recipe.gop = 0;
    j.recipe.n_options = 0;
    assert_int_equal(vmafx_spec_check(&j.spec, "jobs[3]", &info), VMAFX_OK);
    j.recipe.codec = say("vp9"); /* and so is the codec */
    j.recipe.encoder = say("");
    assert_int_equal(vmafx_spec_check(&j.spec, "jobs[3]", &info), VMAFX_OK);
}

static void a_job_becomes_options(void **state)
{
    static Job j;
    VmafxErrInfo info = { 0 };
    VMAFX_AUTO(vmafx_pair_spec_done) VmafxPairSpec spec = { 0 };

    job_init(&j);
    j.comparison.scaling = VMAFX__V1__SCALING__SCALING_SIZE;
    j.comparison.scale_width = 640;
    j.comparison.scale_height = 360;
    j.comparison.first_frame = 1;
    j.comparison.frame_count = 2;
    j.comparison.skip_reference = 3;
    j.comparison.skip_distorted = 4;
    j.comparison.subsample = 5;
    j.comparison.accept_shorter = j.comparison.ignore_rate = j.comparison.allow_hdr = true;
    assert_int_equal(vmafx_pair_spec_init(&spec, &j.spec, "job", &info), VMAFX_OK);
    const VmafxPairOptions *p = &spec.pair;
    assert_true(p->strict && p->digest && p->accept_shorter && p->ignore_rate && p->allow_hdr);
    assert_false(p->convert_depth || p->convert_range || p->ignore_pixel_format || p->ignore_start || p->ignore_colour);
    assert_int_equal(p->scale, VMAFX_SCALING_SIZE);
    assert_int_equal(p->scale_w, 640);
    assert_int_equal(p->scale_h, 360);
    assert_int_equal(p->first, 1);
    assert_int_equal(p->count, 2);
    assert_int_equal(p->skip_ref, 3);
    assert_int_equal(p->skip_dis, 4);
    assert_int_equal(p->subsample, 5);
    assert_int_equal(p->raw_reference->w, 352);
    assert_int_equal(p->raw_distorted->bpc, 10);
    assert_int_equal(p->raw_distorted->pix, VMAFX_PIX_422);
    assert_int_equal(p->n_models, 2);
    assert_string_equal(p->models[0].version, "vmaf_v0.6.1");
    assert_null(p->models[0].name);
    assert_int_equal(p->models[1].flags, VMAFX_MODEL_DISABLE_CLIP);
    assert_string_equal(p->models[1].overloads.items[0].value, "1.2");
    assert_string_equal(p->features[0].name, "vif");
    assert_string_equal(p->features[0].options.items[0].key, "debug");
}

static void a_recipe_becomes_options(void **state)
{
    static Job j;
    VmafxErrInfo info = { 0 };
    VMAFX_AUTO(vmafx_pair_spec_done) VmafxPairSpec spec = { 0 };
    VMAFX_AUTO(vmafx_pair_spec_done) VmafxPairSpec other = { 0 };

    job_init(&j);
    encode(&j);
    assert_null(vmafx_spec_distorted(&j.spec));
    assert_ptr_equal(vmafx_spec_recipe(&j.spec), &j.recipe);
    assert_int_equal(vmafx_pair_spec_init(&spec, &j.spec, "job", &info), VMAFX_OK);
    const VmafxPairEncode *e = spec.pair.encode;
    assert_non_null(e);
    assert_null(spec.pair.raw_distorted);
    assert_string_equal(e->recipe.codec, "hevc");
    assert_string_equal(e->recipe.encoder, "libx265");
    assert_string_equal(e->recipe.preset, "fast");
    assert_true(e->recipe.has_crf && e->recipe.crf == 0);
    assert_int_equal(e->recipe.bitrate, 0);
    assert_int_equal(e->recipe.gop, 50);
    assert_string_equal(e->recipe.pixel_format, "yuv422p10le");
    assert_int_equal(e->recipe.w, 320);
    assert_int_equal(e->recipe.h, 180);
    assert_int_equal(e->recipe.n_options, 1);
    assert_string_equal(e->recipe.options[0].value, "aq-mode=3:rd=4");
    assert_int_equal(e->keep_fd, -1);

    j.recipe.rate_case = VMAFX__V1__ENCODE_RECIPE__RATE_BITRATE;
    j.recipe.bitrate = 2500000;
    j.recipe.preset = say("");
    assert_int_equal(vmafx_pair_spec_init(&other, &j.spec, "job", &info), VMAFX_OK);
    assert_false(other.encode.recipe.has_crf);
    assert_int_equal(other.encode.recipe.bitrate, 2500000);
    assert_null(other.encode.recipe.preset);
}

static void names_of_encoders_belong_to_codecs(void **state)
{
    size_t n;
    const VmafxEncoderName *names = vmafx_encoder_names(&n);

    for (size_t i = 0; i < n; i++) {
        assert_true(vmafx_codec_is_known(names[i].codec));
        assert_non_null(strstr(VMAFX_CODECS_TEXT, names[i].codec));
        assert_true(strlen(names[i].name) <= VMAFX_ENCODER_NAME_MAX);
        assert_ptr_equal(vmafx_encoder_name_find(names[i].name), &names[i]);
    }
    assert_null(vmafx_encoder_name_find("mpeg2video"));
    assert_true(vmafx_encoder_fits("libx264", "libx264", NULL));
    assert_true(vmafx_encoder_fits("libx264", "", "h264"));
    assert_true(vmafx_encoder_fits("libx264", "libx264", "h264"));
    assert_true(vmafx_encoder_fits("from-tomorrow", "from-tomorrow", ""));
    assert_false(vmafx_encoder_fits("libx264", "h264_qsv", "h264"));
    assert_false(vmafx_encoder_fits("libx264", NULL, "hevc"));
    assert_false(vmafx_encoder_fits("from-tomorrow", NULL, "h264"));
}

static void a_job_without_model_has_the_default_one(void **state)
{
    static Job j;
    VMAFX_AUTO(vmafx_pair_spec_done) VmafxPairSpec spec = { 0 };

    job_init(&j);
    j.spec.n_models = j.spec.n_features = 0;
    j.spec.comparison = NULL;
    j.inputs[0].raw = j.inputs[1].raw = NULL;
    assert_int_equal(vmafx_pair_spec_init(&spec, &j.spec, "job", NULL), VMAFX_OK);
    assert_int_equal(spec.pair.n_models, 1);
    assert_string_equal(spec.pair.models[0].version, VMAFX_SPEC_DEFAULT_VERSION);
    assert_null(spec.pair.raw_reference);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_that_cannot_be_is_refused_by_the_path_of_its_field),
        cmocka_unit_test(a_job_as_it_should_be_passes),
        cmocka_unit_test(a_job_becomes_options),
        cmocka_unit_test(a_recipe_becomes_options),
        cmocka_unit_test(names_of_encoders_belong_to_codecs),
        cmocka_unit_test(a_job_without_model_has_the_default_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
