/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The VMAF v1 models and SpEED against the golden values, to the last bit, with the order of series.
 *
 *     test_v1 FILE                the cases carried along (v1.json): synthetic clips that are not large
 *     VMAFX_SHARED=DIR …          also every other case of DIR/spec/golden/v1, on the real clips of DIR/clips too
 *     VMAFX_MODEL_PATH, or DIR/models   where model files are; without them their inputs are measured as features
 *
 * Kernels and threads of a case vary with its place, because results must not. A case of both kinds of kernels is there
 * for every feature.
 */

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>
#include <zlib.h>

#include "base/base.h"
#include "feature_text.h"
#include "fields.h"
#include "patterns.h"
#include "real_clips.h"
#include "sanitized.h"

#define CASES_MAX  128
#define MODELS_MAX 8

typedef struct Case {
    char name[96];
    json_t *json;
    int threads;
    unsigned cpu_disabled;
} Case;

static json_t *clips; /* recipes, by name */
static bool models_found;

/* ---- Clips ---- */

typedef struct Source {
    Field field;
    RealClip real;
    VmafxPicture pictures[2];
    uLong crc[2];
    int frames;
} Source;

static const char *text_of(json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));

    return text ? text : "";
}

static int number_of(json_t *json, const char *key)
{
    return (int)json_integer_value(json_object_get(json, key));
}

static void open_source(const Case *c, Source *source)
{
    const char *name = text_of(c->json, "clip");
    json_t *recipe = json_object_get(clips, name), *shape_json = recipe ? recipe : c->json;
    VmafxPicture shape;

    *source = (Source){ .frames = number_of(shape_json, "frames") };
    pattern_shape(number_of(shape_json, "width"), number_of(shape_json, "height"), number_of(shape_json, "bitdepth"),
                  atoi(text_of(shape_json, "pixel_format")), &shape);
    for (int i = 0; i < 2; i++)
        pattern_picture_init(&shape, &source->pictures[i]);
    if (recipe)
        source->field = (Field){ text_of(recipe, "content"),
                                 (uint32_t)number_of(recipe, "seed"),
                                 { text_of(recipe, "luma"), text_of(recipe, "chroma") } };
    else
        assert_true(real_clip_open(name, &source->pictures[1], &source->real));
}

static void next_frame(Source *source, int t)
{
    if (!source->field.content) {
        assert_true(real_clip_frame(&source->real, &source->pictures[0], &source->pictures[1]));
        return;
    }
    field_frame(&source->field, t, &source->pictures[0], &source->pictures[1]);
    for (int i = 0; i < 2; i++)
        for (int p = 0; p < 3; p++) {
            const VmafxPlane *plane = &source->pictures[i].planes[p];
            source->crc[i] = crc32(source->crc[i], plane->data, (uInt)(plane->stride * plane->h));
        }
}

/* A formula that is off by something would be found in the numbers, but not easily. */
static void close_source(const Case *c, Source *source, bool whole)
{
    json_t *want = json_object_get(json_object_get(clips, text_of(c->json, "clip")), "crc32");

    for (int i = 0; i < 2; i++) {
        char hex[9];

        snprintf(hex, sizeof hex, "%08lx", source->crc[i]);
        if (want && whole)
            assert_string_equal(hex, json_string_value(json_array_get(want, (size_t)i)));
        pattern_picture_done(&source->pictures[i]);
    }
    real_clip_close(&source->real);
}

/* ---- Models ---- */

static char *model_path(const char *version)
{
    const char *shared = getenv("VMAFX_SHARED"), *folder = getenv("VMAFX_MODEL_PATH");
    char *path = folder ? vmafx_sprintf("%s/%s.json", folder, version) : NULL;

    if (path && !access(path, R_OK))
        return path;
    free(path);
    return shared ? vmafx_sprintf("%s/models/%s.json", shared, version) : NULL;
}

/* "cambi.enc_width=360:…" The reference passes over features that it does not know; here they are refused. */
static void read_overloads(char *text, VmafxOption *items, VmafxOptions *ret)
{
    char *part;

    *ret = (VmafxOptions){ items, 0 };
    while (text && (part = strsep(&text, ":"))) {
        char *value = strchr(part, '=');

        if (!value || !strncmp(part, "nosuch.", 7))
            continue;
        *value++ = 0;
        items[ret->n++] = (VmafxOption){ part, value };
    }
}

static void add_models(const Case *c, VmafxEngine *engine, VmafxModel **models)
{
    VMAFX_AUTO(vmafx_free_p) char *overload = strdup(text_of(c->json, "overload"));
    VmafxOption items[16];
    VmafxOptions overloads;
    VmafxErrInfo info = { 0 };
    json_t *name;
    size_t i;

    read_overloads(*overload ? overload : NULL, items, &overloads);
    json_array_foreach(json_object_get(c->json, "models"), i, name)
    {
        VMAFX_AUTO(vmafx_free_p) char *path = model_path(json_string_value(name));
        const VmafxModelUse use = { json_string_value(name), *text_of(c->json, "flags") ? VMAFX_MODEL_DISABLE_CLIP : 0,
                                    &overloads };

        if (vmafx_model_load(path, &models[i], &info) || vmafx_engine_add_model(engine, models[i], &use, &info))
            fail_msg("%s", info.message);
    }
}

static void add_features(const Case *c, VmafxEngine *engine)
{
    VmafxErrInfo info = { 0 };
    json_t *text;
    size_t i;

    json_array_foreach(json_object_get(c->json, "features"), i, text)
    {
        if (feature_text_add(engine, json_string_value(text), &info))
            fail_msg("%s", info.message);
    }
}

/* ---- Comparing ---- */

static bool is_score(const Case *c, const char *name)
{
    json_t *model;
    size_t i;

    json_array_foreach(json_object_get(c->json, "models"), i, model)
    {
        if (!strcmp(json_string_value(model), name))
            return true;
    }
    return false;
}

static void compare_series(const Case *c, const VmafxEngine *engine, size_t series, const char *name, json_t *values)
{
    json_t *numbers = json_object_get(c->json, "numbers"),
           *pooled = json_object_get(json_object_get(c->json, "pooled"), name);
    VmafxPooled got = { 0 };

    for (size_t i = 0; i < json_array_size(values); i++) {
        uint32_t frame = (uint32_t)json_integer_value(json_array_get(numbers, i));
        double v = NAN, want = json_number_value(json_array_get(values, i));

        assert_true(vmafx_engine_value(engine, series, frame, &v));
        if (v != want)
            fail_msg("%s at frame %u is %.17g, not %.17g", name, frame, v, want);
    }
    if (!pooled)
        return;
    assert_int_equal(vmafx_engine_pool(engine, series, 0, vmafx_engine_frames(engine) - 1, &got), VMAFX_OK);
    const double stats[] = { got.min, got.max, got.mean, got.harmonic_mean };
    for (size_t i = 0; i < VMAFX_LEN(stats); i++)
        if (stats[i] != json_number_value(json_array_get(pooled, i)))
            fail_msg("pooled %s [%zu] is %.17g, not %.17g", name, i, stats[i],
                     json_number_value(json_array_get(pooled, i)));
}

static void compare(const Case *c, const VmafxEngine *engine, bool scores)
{
    const char *name;
    json_t *values;
    size_t place = 0;

    json_object_foreach(json_object_get(c->json, "values"), name, values)
    {
        if (!scores && is_score(c, name))
            continue;
        if (place >= vmafx_engine_series(engine) || strcmp(vmafx_engine_series_name(engine, place), name) != 0)
            fail_msg("series %zu is '%s', not '%s'", place,
                     place < vmafx_engine_series(engine) ? vmafx_engine_series_name(engine, place) : "none", name);
        compare_series(c, engine, place++, name, values);
    }
    assert_int_equal(place, vmafx_engine_series(engine));
}

/* The number after an option of the reference's command line. */
static int cli_option(const Case *c, const char *name, int otherwise)
{
    const char *at = strstr(text_of(c->json, "cli_options"), name);

    return at ? atoi(at + strlen(name)) : otherwise;
}

static void check_case(void **state)
{
    const Case *c = *state;
    VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = NULL;
    VmafxModel *models[MODELS_MAX] = { NULL };
    const VmafxEngineSettings settings = { .threads = c->threads,
                                           .subsample = cli_option(c, "--subsample ", 1),
                                           .cpu_disabled = c->cpu_disabled };
    VmafxErrInfo info = { 0 };
    Source source;

    if (!models_found && !json_object_get(c->json, "features"))
        skip(); /* overloads need the models */
    assert_int_equal(vmafx_engine_new(&settings, &engine), VMAFX_OK);
    if (models_found && json_object_get(c->json, "models"))
        add_models(c, engine, models);
    else
        add_features(c, engine);
    open_source(c, &source);
    int first = cli_option(c, "--frame_skip_ref ", 0), n = cli_option(c, "--frame_cnt ", source.frames - first);
    for (int t = 0; t < first + n; t++) {
        next_frame(&source, t);
        if (t >= first && vmafx_engine_push_pictures(engine, &source.pictures[0], &source.pictures[1], &info))
            fail_msg("frame %d: %s", t, info.message);
    }
    if (vmafx_engine_finish(engine, &info))
        fail_msg("%s", info.message);
    close_source(c, &source, first + n == source.frames);
    compare(c, engine, models_found);
    vmafx_engine_free(&engine);
    for (int i = 0; i < MODELS_MAX; i++)
        vmafx_model_free(&models[i]);
}

/* ---- Collecting cases ---- */

static Case cases[CASES_MAX];
static struct CMUnitTest tests[CASES_MAX];
static size_t n_cases;

static bool is_known(const char *name)
{
    for (size_t i = 0; i < n_cases; i++)
        if (!strcmp(cases[i].name, name))
            return true;
    return false;
}

static void add_case(const char *name, json_t *json)
{
    Case *c = &cases[n_cases];

    if (n_cases == CASES_MAX || is_known(name)) {
        json_decref(json);
        return;
    }
    snprintf(c->name, sizeof c->name, "%s", name);
    c->json = json;
    c->threads = (int)(n_cases % 3);
    c->cpu_disabled = n_cases % 4 == 1 ? ~0u : n_cases % 4 == 2 ? VMAFX_CPU_AVX512 : 0;
    tests[n_cases] = (struct CMUnitTest){ c->name, check_case, NULL, NULL, c };
    n_cases++;
}

static bool add_carried(const char *path)
{
    json_error_t error;
    json_t *file = json_load_file(path, 0, &error), *list = json_object_get(file, "cases");

    if (!file) {
        print_error("%s: %s\n", path, error.text);
        return false;
    }
    clips = json_incref(json_object_get(file, "clips"));
    for (size_t i = 0; i < json_array_size(list); i += ONE_OF_MANY) {
        json_t *one = json_array_get(list, i);
        add_case(text_of(one, "name"), json_incref(one));
    }
    json_decref(file);
    return true;
}

/* Appends a frame's values to their columns. */
static void add_to_columns(json_t *metrics, json_t *columns)
{
    const char *name;
    json_t *v;

    json_object_foreach(metrics, name, v)
    {
        json_t *column = json_object_get(columns, name);

        if (!column)
            json_object_set_new(columns, name, column = json_array());
        json_array_append(column, v);
    }
}

static void add_pooled(json_t *file, json_t *ret)
{
    static const char *const methods[] = { "min", "max", "mean", "harmonic_mean" };
    json_t *pooled = json_object(), *one;
    const char *name;

    json_object_foreach(json_object_get(file, "pooled_metrics"), name, one)
    {
        json_t *list = json_array();

        for (size_t i = 0; i < VMAFX_LEN(methods); i++)
            json_array_append(list, json_object_get(one, methods[i]));
        json_object_set_new(pooled, name, list);
    }
    json_object_set_new(ret, "pooled", pooled);
}

/* "speed_chroma=a=1:b=2" of a run's options. */
static json_t *feature_of(const char *extractor, json_t *options)
{
    char text[512];
    size_t used = (size_t)snprintf(text, sizeof text, "%s", extractor);
    char between = '=';
    const char *key;
    json_t *value;

    json_object_foreach(options, key, value)
    {
        if (json_is_string(value))
            used +=
                (size_t)snprintf(text + used, sizeof text - used, "%c%s=%s", between, key, json_string_value(value));
        else
            used +=
                (size_t)snprintf(text + used, sizeof text - used, "%c%s=%g", between, key, json_number_value(value));
        between = ':';
    }
    return json_string(text);
}

/* A file with several runs of one extractor: all of them at once. */
static void read_runs(json_t *file, json_t *columns, json_t *numbers, json_t *ret)
{
    json_t *features = json_array(), *run, *frame;
    size_t i, k;

    json_array_foreach(json_object_get(file, "runs"), i, run)
    {
        json_array_append_new(features, feature_of(text_of(file, "extractor"), json_object_get(run, "options")));
        json_array_foreach(json_object_get(run, "frames"), k, frame)
        {
            add_to_columns(frame, columns);
            if (i == 0)
                json_array_append_new(numbers, json_integer((json_int_t)k));
        }
    }
    json_object_set_new(ret, "features", features);
}

static void read_native(json_t *file, const char *name)
{
    static const char *const kept[] = { "models", "overload", "flags", "cli_options" };
    json_t *clip = json_object_get(file, "clip"), *ret = json_object(), *columns = json_object(),
           *numbers = json_array(), *frame;
    size_t i;
    char format[16];

    snprintf(format, sizeof format, "%d", number_of(clip, "pixel_format"));
    json_object_update(ret, clip);
    json_object_set_new(ret, "pixel_format", json_string(format));
    json_object_set_new(ret, "clip", json_string(strstr(name, "park_joy") ? name : text_of(clip, "name")));
    for (i = 0; i < VMAFX_LEN(kept); i++)
        if (json_object_get(file, kept[i]))
            json_object_set(ret, kept[i], json_object_get(file, kept[i]));
    json_array_foreach(json_object_get(file, "frames"), i, frame)
    {
        add_to_columns(json_object_get(frame, "metrics"), columns);
        json_array_append(numbers, json_object_get(frame, "frameNum"));
    }
    if (json_object_get(file, "runs"))
        read_runs(file, columns, numbers, ret);
    else
        add_pooled(file, ret);
    if (!json_object_get(ret, "frames"))
        json_object_set_new(ret, "frames", json_integer((json_int_t)json_array_size(numbers)));
    json_object_set_new(ret, "values", columns);
    json_object_set_new(ret, "numbers", numbers);
    add_case(name, ret);
}

static void add_folder(const char *folder)
{
    struct dirent **entries = NULL;
    int n = scandir(folder, &entries, NULL, alphasort);

    for (int i = 0; i < n; i++) {
        VMAFX_AUTO(vmafx_free_p) char *path = vmafx_sprintf("%s/%s", folder, entries[i]->d_name);
        char *end = strstr(entries[i]->d_name, ".json");
        json_t *file = end && !end[5] ? json_load_file(path, 0, NULL) : NULL;

        if (file) {
            *end = 0;
            read_native(file, entries[i]->d_name);
        }
        json_decref(file);
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    const char *shared = getenv("VMAFX_SHARED");
    VMAFX_AUTO(vmafx_free_p) char *probe = model_path("vmaf_v1.0.16_hfr_3d0h_2160");

    models_found = probe && !access(probe, R_OK);
    if (argc != 2 || !add_carried(argv[1]))
        return 2;
    if (shared && *shared) {
        VMAFX_AUTO(vmafx_free_p) char *golden = vmafx_sprintf("%s/spec/golden/v1", shared);
        VMAFX_AUTO(vmafx_free_p) char *options = vmafx_sprintf("%s/options", golden);
        add_folder(golden);
        add_folder(options);
    }
    int failed = _cmocka_run_group_tests("v1", tests, n_cases, NULL, NULL);
    for (size_t i = 0; i < n_cases; i++)
        json_decref(cases[i].json);
    json_decref(clips);
    return failed;
}
