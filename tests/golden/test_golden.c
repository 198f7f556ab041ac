/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The engine against the golden values, to the last bit.
 *
 *     test_golden FILE            the synthetic cases carried along (synthetic.json)
 *     VMAFX_SHARED=DIR …          also every golden file of DIR/spec/golden, on the real clips of DIR/clips too
 *     VMAFX_MODEL_PATH, or DIR/models   where model files are; without them scores are left out, and that is said
 *
 * Every case is one test; it runs with the plain C kernels and with the best ones of this machine. Its number of worker
 * threads varies with its place, because results must not.
 */

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include <vmafx/engine.h>

#include "base/base.h"
#include "clips.h"
#include "feature_text.h"

#define LIST_MAX  16
#define CASES_MAX 256

/* ---- What a case asks for ---- */

typedef struct Model {
    char *name;
    VmafxModel *model;
    unsigned flags;
    VmafxOptions overloads;
} Model;

typedef struct Case {
    char name[128];
    json_t *json; /* the columnar form of synthetic.json */
    int threads;
    unsigned cpu_disabled;
} Case;

static bool models_found; /* set once in main */

static bool whole_options(json_t *json)
{
    return json_object_get(json, "models") != NULL;
}

static void add_option(VmafxOptions *options, const char *key, const char *value)
{
    options->items = realloc(options->items, (options->n + 1) * sizeof *options->items);
    options->items[options->n++] = (VmafxOption){ strdup(key), strdup(value) };
}

static void free_options(VmafxOptions *options)
{
    for (size_t i = 0; i < options->n; i++) {
        free(options->items[i].key);
        free(options->items[i].value);
    }
    free(options->items);
    *options = (VmafxOptions){ 0 };
}

static char *model_path(const char *version)
{
    const char *shared = getenv("VMAFX_SHARED"), *folder = getenv("VMAFX_MODEL_PATH");

    if (folder)
        return vmafx_sprintf("%s/%s.json", folder, version);
    return shared ? vmafx_sprintf("%s/models/%s.json", shared, version) : NULL;
}

/* "version=X:name=N:enable_transform:vif.option=value" */
static void add_model(VmafxEngine *engine, Model *model, const char *text)
{
    char *copy = strdup(text), *rest = copy, *part;
    VmafxErrInfo info = { 0 };

    model->name = strdup("vmaf");
    while ((part = strsep(&rest, ":"))) {
        char *value = strchr(part, '=');
        if (value)
            *value++ = 0;
        if (!strcmp(part, "version")) {
            VMAFX_AUTO(vmafx_free_p) char *path = model_path(value);
            if (vmafx_model_load(path, &model->model, &info))
                fail_msg("%s", info.message);
        } else if (!strcmp(part, "name")) {
            free(model->name);
            model->name = strdup(value);
        } else if (!strcmp(part, "enable_transform")) {
            model->flags |= VMAFX_MODEL_ENABLE_TRANSFORM;
        } else if (!strcmp(part, "disable_clip")) {
            model->flags |= VMAFX_MODEL_DISABLE_CLIP;
        } else {
            add_option(&model->overloads, part, value);
        }
    }
    free(copy);
    if (vmafx_engine_add_model(engine, model->model, &(VmafxModelUse){ model->name, model->flags, &model->overloads },
                               &info))
        fail_msg("%s", info.message);
}

static void add_feature(VmafxEngine *engine, const char *text)
{
    VmafxErrInfo info = { 0 };

    if (feature_text_add(engine, text, &info))
        fail_msg("%s", info.message);
}

static long cli_option(json_t *json, const char *name, long otherwise)
{
    json_t *options = json_object_get(json, "options");

    for (size_t i = 0; i + 1 < json_array_size(options); i++)
        if (!strcmp(json_string_value(json_array_get(options, i)), name))
            return atol(json_string_value(json_array_get(options, i + 1)));
    return otherwise;
}

static const char *const main_features[] = { "vif=debug=true", "motion=debug=true", "adm=debug=true",
                                             "adm=adm_enhn_gain_limit=1", "vif=vif_enhn_gain_limit=1:debug=true" };
static const char *const main_models[] = { "version=vmaf_v0.6.1", "version=vmaf_v0.6.1neg:name=vmaf_neg",
                                           "version=vmaf_4k_v0.6.1:name=vmaf_4k", "version=vmaf_b_v0.6.3:name=vmaf_b" };

static bool wants(json_t *json, const char *name)
{
    return json_object_get(json_object_get(json, "values"), name) != NULL;
}

static VmafxEngine *make_engine(const Case *c, Model *models)
{
    VmafxEngine *engine = NULL;
    VmafxEngineSettings settings = { .threads = c->threads,
                                     .subsample = (int)cli_option(c->json, "--subsample", 1),
                                     .cpu_disabled = c->cpu_disabled };
    json_t *named = json_object_get(c->json, "models"), *features = json_object_get(c->json, "features");

    assert_int_equal(vmafx_engine_new(&settings, &engine), VMAFX_OK);
    for (size_t i = 0; models_found && i < json_array_size(named); i++)
        add_model(engine, &models[i], json_string_value(json_array_get(named, i)));
    for (size_t i = 0; i < json_array_size(features); i++)
        add_feature(engine, json_string_value(json_array_get(features, i)));
    if (whole_options(c->json))
        return engine;
    for (size_t i = 0; i < VMAFX_LEN(main_features); i++)
        if (strncmp(main_features[i], "adm", 3) != 0 || wants(c->json, "integer_adm2"))
            add_feature(engine, main_features[i]);
    for (size_t i = 0; models_found && wants(c->json, "vmaf") && i < VMAFX_LEN(main_models); i++)
        add_model(engine, &models[i], main_models[i]);
    return engine;
}

/* ---- Where frames come from ---- */

typedef struct Source {
    int w, h, bpc;
    Clip clip;       /* synthetic, when clip.ref is set */
    FILE *ref, *dis; /* else raw video, luma first */
    size_t skip;     /* bytes of chroma after the luma */
    bool y4m;
    uint16_t *planes[2];
} Source;

static FILE *unpack(const char *shared, const char *name, const char *ending)
{
    VMAFX_AUTO(vmafx_free_p) char *command = vmafx_sprintf("xz -dc '%s/clips/%s%s.xz'", shared, name, ending);
    FILE *f = popen(command, "r");

    assert_non_null(f);
    return f;
}

static void skip_line(FILE *f)
{
    for (int c = fgetc(f); c != EOF && c != '\n';)
        c = fgetc(f);
}

static void skip_bytes(FILE *f, size_t n)
{
    char buffer[4096];

    while (n > 0) {
        size_t got = fread(buffer, 1, VMAFX_MIN(n, sizeof buffer), f);
        assert_true(got > 0);
        n -= got;
    }
}

static void read_luma(const Source *source, FILE *f, uint16_t *plane)
{
    size_t bytes = (size_t)source->w * (size_t)source->h * (source->bpc > 8 ? 2 : 1);

    if (source->y4m)
        skip_line(f);
    assert_int_equal(fread(plane, 1, bytes, f), bytes);
    skip_bytes(f, source->skip);
}

static void open_real(Source *source, const char *name)
{
    const char *shared = getenv("VMAFX_SHARED");
    size_t sample = source->bpc > 8 ? 2 : 1, pixels = (size_t)source->w * (size_t)source->h;
    bool full_chroma = strstr(name, "444") != NULL;

    source->skip = sample * 2 * (full_chroma ? pixels : (size_t)(source->w / 2) * (size_t)(source->h / 2));
    source->y4m = !strncmp(name, "park_joy", 8);
    source->ref = unpack(shared, source->y4m ? "park_joy_480x270_8" : name, source->y4m ? ".y4m" : "_ref.yuv");
    source->dis = unpack(shared, source->y4m ? "park_joy_480x270_8" : name, source->y4m ? ".y4m" : "_dis.yuv");
    if (source->y4m) {
        skip_line(source->ref);
        skip_line(source->dis);
        if (strstr(name, "skip1"))
            read_luma(source, source->dis, source->planes[1]);
    }
}

static void narrow(uint16_t *plane, size_t n)
{
    uint8_t *bytes = (uint8_t *)plane;

    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)plane[i];
}

static void next_frame(Source *source, int t)
{
    size_t pixels = (size_t)source->w * (size_t)source->h;

    if (!source->clip.ref) {
        read_luma(source, source->ref, source->planes[0]);
        read_luma(source, source->dis, source->planes[1]);
        return;
    }
    assert_true(clip_frame(&source->clip, t, source->planes[0], source->planes[1]));
    if (source->bpc == 8) {
        narrow(source->planes[0], pixels);
        narrow(source->planes[1], pixels);
    }
}

static void open_source(const Case *c, Source *source)
{
    const char *reference = json_string_value(json_object_get(c->json, "reference"));

    *source = (Source){ .w = (int)json_integer_value(json_object_get(c->json, "width")),
                        .h = (int)json_integer_value(json_object_get(c->json, "height")),
                        .bpc = (int)json_integer_value(json_object_get(c->json, "bitdepth")) };
    for (int i = 0; i < 2; i++)
        source->planes[i] = calloc((size_t)source->w * (size_t)source->h, sizeof(uint16_t));
    if (reference)
        source->clip = (Clip){ .w = source->w,
                               .h = source->h,
                               .bpc = source->bpc,
                               .ref = reference,
                               .dis = json_string_value(json_object_get(c->json, "distorted")) };
    else
        open_real(source, json_string_value(json_object_get(c->json, "clip")));
}

static void close_source(Source *source)
{
    for (int i = 0; i < 2; i++)
        free(source->planes[i]);
    if (source->ref)
        pclose(source->ref);
    if (source->dis)
        pclose(source->dis);
}

/* What could be read before the end: each frame's series, one after the other. It must be what the end gives. */
typedef struct Early {
    double *values;
    uint32_t n;
} Early;

static double value_or_nan(const VmafxEngine *engine, size_t series, uint32_t frame)
{
    double v = NAN;

    return vmafx_engine_value(engine, series, frame, &v) ? v : NAN;
}

static void read_early(VmafxEngine *engine, Early *early)
{
    size_t n_series = vmafx_engine_series(engine);
    VmafxErrInfo info = { 0 };
    uint32_t n = 0;

    if (vmafx_engine_settle(engine, &n, &info))
        fail_msg("%s", info.message);
    early->values = realloc(early->values, VMAFX_MAX(n * n_series, (size_t)1) * sizeof *early->values);
    assert_non_null(early->values);
    for (; early->n < n; early->n++)
        for (size_t s = 0; s < n_series; s++)
            early->values[early->n * n_series + s] = value_or_nan(engine, s, early->n);
}

static void check_early(const VmafxEngine *engine, Early *early)
{
    size_t n_series = vmafx_engine_series(engine);

    for (uint32_t i = 0; i < early->n; i++)
        for (size_t s = 0; s < n_series; s++) {
            double then = early->values[i * n_series + s], now = value_or_nan(engine, s, i);
            if (memcmp(&then, &now, sizeof now) != 0)
                fail_msg("%s at frame %u settled at %.17g, not %.17g", vmafx_engine_series_name(engine, s), i, then,
                         now);
        }
    free(early->values);
}

static void push_frames(const Case *c, VmafxEngine *engine)
{
    Source source;
    Early early = { 0 };
    VmafxErrInfo info = { 0 };

    open_source(c, &source);
    long frames = cli_option(c->json, "--frame_cnt", json_integer_value(json_object_get(c->json, "frames")));
    for (int t = 0; t < frames; t++) {
        int bytes = source.bpc > 8 ? 2 : 1;

        next_frame(&source, t);
        VmafxPlane ref = { source.planes[0], (ptrdiff_t)source.w * bytes, source.w, source.h, source.bpc }, dis = ref;
        dis.data = source.planes[1];
        if (vmafx_engine_push(engine, &ref, &dis, &info))
            fail_msg("frame %d: %s", t, info.message);
        read_early(engine, &early);
    }
    if (vmafx_engine_finish(engine, &info))
        fail_msg("%s", info.message);
    check_early(engine, &early);
    close_source(&source);
}

/* ---- Comparing ---- */

static bool same(double got, json_t *want)
{
    if (json_is_null(want))
        return !isfinite(got);
    return got == json_number_value(want);
}

static void compare_frames(const VmafxEngine *engine, size_t series, const char *name, json_t *values,
                           json_t *frame_numbers)
{
    for (size_t i = 0; i < json_array_size(values); i++) {
        uint32_t frame = (uint32_t)json_integer_value(json_array_get(frame_numbers, i));
        json_t *want = json_array_get(values, i);
        double got = NAN;

        if (!vmafx_engine_value(engine, series, frame, &got))
            fail_msg("no %s at frame %u", name, frame);
        if (!same(got, want))
            fail_msg("%s at frame %u is %.17g, not %.17g", name, frame, got, json_number_value(want));
    }
}

static void compare_pooled(const VmafxEngine *engine, size_t series, const char *name, json_t *pooled)
{
    VmafxPooled got;

    assert_int_equal(vmafx_engine_pool(engine, series, 0, vmafx_engine_frames(engine) - 1, &got), VMAFX_OK);
    const double values[] = { got.min, got.max, got.mean, got.harmonic_mean };
    for (size_t i = 0; i < VMAFX_LEN(values); i++)
        if (!same(values[i], json_array_get(pooled, i)))
            fail_msg("pooled %s [%zu] is %.17g, not %.17g", name, i, values[i],
                     json_number_value(json_array_get(pooled, i)));
}

static bool is_score(const char *name)
{
    return !strstr(name, "integer_");
}

static void check_with_kernels(const Case *c)
{
    Model models[LIST_MAX] = { 0 };
    json_t *values = json_object_get(c->json, "values"), *frame_numbers = json_object_get(c->json, "frame_numbers");
    const char *name;
    json_t *column;
    size_t compared = 0;

    if (whole_options(c->json) && json_array_size(json_object_get(c->json, "models")) && !models_found) {
        print_message("no model files; put them in VMAFX_MODEL_PATH\n");
        skip();
    }
    VmafxEngine *engine = make_engine(c, models);
    push_frames(c, engine);
    json_object_foreach(values, name, column)
    {
        size_t series = vmafx_engine_find(engine, name);

        if (series == SIZE_MAX && is_score(name) && !models_found)
            continue;
        if (series == SIZE_MAX)
            fail_msg("there is no %s", name);
        compare_frames(engine, series, name, column, frame_numbers);
        json_t *pooled = json_object_get(json_object_get(c->json, "pooled"), name);
        if (pooled)
            compare_pooled(engine, series, name, pooled);
        compared++;
    }
    assert_true(compared >= 2);
    vmafx_engine_free(&engine);
    for (size_t i = 0; i < LIST_MAX; i++) {
        vmafx_model_free(&models[i].model);
        free(models[i].name);
        free_options(&models[i].overloads);
    }
}

static void check_case(void **state)
{
    Case *c = *state;

    c->cpu_disabled = 0;
    check_with_kernels(c);
    c->cpu_disabled = ~0u;
    check_with_kernels(c);
}

/* ---- Collecting cases ---- */

static Case cases[CASES_MAX];
static struct CMUnitTest tests[CASES_MAX];
static size_t n_cases;

static void add_case(const char *name, json_t *json)
{
    Case *c = &cases[n_cases];

    if (n_cases == CASES_MAX)
        return;
    snprintf(c->name, sizeof c->name, "%s", name);
    c->json = json;
    c->threads = (int)(n_cases % 4);
    tests[n_cases] = (struct CMUnitTest){ c->name, check_case, NULL, NULL, c };
    n_cases++;
}

static bool add_synthetic(const char *path)
{
    json_error_t error;
    json_t *file = json_load_file(path, 0, &error), *one;
    size_t i;

    if (!file) {
        print_error("%s: %s\n", path, error.text);
        return false;
    }
    json_array_foreach(json_object_get(file, "cases"), i, one)
        add_case(json_string_value(json_object_get(one, "name")), json_incref(one));
    json_decref(file);
    return true;
}

/* Rows become columns. */
static void columns_of(json_t *file, json_t *ret)
{
    json_t *values = json_object(), *numbers = json_array(), *frame, *v;
    const char *name;
    size_t i;

    json_array_foreach(json_object_get(file, "frames"), i, frame)
    {
        json_object_foreach(json_object_get(frame, "metrics"), name, v)
        {
            json_t *column = json_object_get(values, name);
            if (!column) {
                column = json_array();
                json_object_set_new(values, name, column);
            }
            json_array_append(column, v);
        }
        json_array_append(numbers, json_object_get(frame, "frameNum"));
    }
    json_object_set_new(ret, "values", values);
    json_object_set_new(ret, "frame_numbers", numbers);
}

static json_t *pooled_of(json_t *file)
{
    static const char *const methods[] = { "min", "max", "mean", "harmonic_mean" };
    json_t *ret = json_object(), *one;
    const char *name;

    json_object_foreach(json_object_get(file, "pooled_metrics"), name, one)
    {
        json_t *list = json_array();
        for (size_t i = 0; i < VMAFX_LEN(methods); i++)
            json_array_append(list, json_object_get(one, methods[i]));
        json_object_set_new(ret, name, list);
    }
    return ret;
}

/* What synthetic.json says of the clip of that name, or the file beside an option set. */
static json_t *clip_facts(const char *folder, const char *clip)
{
    VMAFX_AUTO(vmafx_free_p) char *path = vmafx_sprintf("%s/%s.json", folder, clip);
    json_t *file = json_load_file(path, 0, NULL), *facts = json_deep_copy(json_object_get(file, "clip"));

    json_decref(file);
    return facts;
}

/* The golden files proper: real clips here; the synthetic ones are the cases carried along. */
static void add_native(const char *golden, const char *folder, const char *file_name)
{
    VMAFX_AUTO(vmafx_free_p) char *path = vmafx_sprintf("%s/%s", folder, file_name);
    json_t *file = json_load_file(path, 0, NULL), *clip = json_object_get(file, "clip"), *ret, *field;
    const char *name =
        json_is_string(clip) ? json_string_value(clip) : json_string_value(json_object_get(clip, "name"));

    if (!name || (name[0] == 's' && name[1] >= '0' && name[1] <= '9')) {
        json_decref(file);
        return;
    }
    ret = clip_facts(golden, name);
    json_object_set_new(ret, "clip", json_string(name));
    columns_of(file, ret);
    json_object_set_new(ret, "pooled", pooled_of(file));
    if ((field = json_object_get(file, "models")))
        json_object_set(ret, "models", field);
    if ((field = json_object_get(file, "features")))
        json_object_set(ret, "features", field);
    if ((field = json_object_get(file, "cli_options")))
        json_object_set(ret, "options", field);
    add_case(file_name, ret);
    json_decref(file);
}

static void add_folder(const char *golden, const char *folder)
{
    struct dirent **entries = NULL;
    int n = scandir(folder, &entries, NULL, alphasort);

    for (int i = 0; i < n; i++) {
        size_t len = strlen(entries[i]->d_name);
        if (len > 5 && !strcmp(entries[i]->d_name + len - 5, ".json"))
            add_native(golden, folder, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    const char *shared = getenv("VMAFX_SHARED");
    VMAFX_AUTO(vmafx_free_p) char *probe = model_path("vmaf_b_v0.6.3");
    VmafxModel *model = NULL;

    models_found = probe && !vmafx_model_load(probe, &model, NULL);
    vmafx_model_free(&model);
    if (argc != 2 || !add_synthetic(argv[1]))
        return 2;
    if (shared) {
        VMAFX_AUTO(vmafx_free_p) char *golden = vmafx_sprintf("%s/spec/golden", shared);
        VMAFX_AUTO(vmafx_free_p) char *options = vmafx_sprintf("%s/options", golden);
        add_folder(golden, golden);
        add_folder(golden, options);
    }
    int failed = _cmocka_run_group_tests("golden", tests, n_cases, NULL, NULL);
    for (size_t i = 0; i < n_cases; i++)
        json_decref(cases[i].json);
    return failed;
}
