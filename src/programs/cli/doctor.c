/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* `vmafx doctor`: is all here that scoring needs, and does this machine compute what it should? */

#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "base/base.h"
#include "base/cpus.h"
#include "engine/kernels/cpu.h"
#include "infer/infer.h"
#include "media/decoders.h"
#include "programs/cli/cli.h"
#include "report/report.h"
#include "score/model_auto.h"
#include "score/models.h"

#define MODEL           "vmaf_v0.6.1"
#define TEST_SIZE       64
#define TEST_FRAMES     3
#define TEST_THREADS    2
#define SCORE_TOLERANCE 1e-9 /* exp() may differ in its last bit from one libm to the next */

enum { O_JSON = 1 };

static const CliOption doctor_options[] = {
    { O_JSON, 0, "json", NULL, "Print the findings as JSON.", NULL },
    { 0 },
};

/* ---- findings ---- */

typedef enum Verdict { VERDICT_OK = 0, VERDICT_WARN, VERDICT_FAIL } Verdict;

static const char *const verdict_names[] = { "ok", "warn", "fail" };

typedef struct Doctor {
    bool json;
    int found;
    int code; /* exit code so far */
} Doctor;

/* One line. The first failure decides the exit code, but a wrong self-test outweighs a missing model. */
static void report(Doctor *doctor, Verdict verdict, int code, const char *what, const char *fmt, ...)
    VMAFX_PRINTF(5, 6);

static void report(Doctor *doctor, Verdict verdict, int code, const char *what, const char *fmt, ...)
{
    char text[1024];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (doctor->json) {
        printf("%s\n  {\"check\": \"%s\", \"verdict\": \"%s\", \"text\": ", doctor->found ? "," : "", what,
               verdict_names[verdict]);
        vmafx_json_string(stdout, text);
        putchar('}');
    } else {
        printf("%-5s %-9s %s\n", verdict_names[verdict], what, text);
    }
    doctor->found++;
    if (verdict == VERDICT_FAIL)
        doctor->code = VMAFX_MAX(doctor->code, code);
}

static void check_version(Doctor *doctor)
{
    report(doctor, VERDICT_OK, 0, "version", "vmafx %s", VMAFX_ENGINE_VERSION);
}

/* ---- the machine ---- */

static void check_cpu(Doctor *doctor)
{
#if defined(__x86_64__)
    unsigned cpu = vmafx_cpu_detect();

    report(doctor, VERDICT_OK, 0, "cpu", "x86-64, %s",
           cpu & VMAFX_CPU_AVX512 ? "avx2 and avx512"
           : cpu & VMAFX_CPU_AVX2 ? "avx2"
                                  : "without avx2");
#elif defined(__aarch64__)
    report(doctor, VERDICT_OK, 0, "cpu", "arm64, %s", vmafx_cpu_name(vmafx_cpu_detect()));
#else
    report(doctor, VERDICT_OK, 0, "cpu", "of another kind than x86-64 and arm64");
#endif
}

static void check_threads(Doctor *doctor)
{
    int n = vmafx_cpus_allowed();

    report(doctor, VERDICT_OK, 0, "threads", "%d allowed to this process", n);
}

static void check_decoders(Doctor *doctor)
{
    static const char *const wanted[] = { "h264", "hevc", "vp9", "av1", "mpeg2video", "prores", "ffv1" };
    char there[256] = "", missing[256] = "";

    for (size_t i = 0; i < VMAFX_LEN(wanted); i++) {
        char *list = vmafx_media_has_decoder(wanted[i]) ? there : missing;
        size_t len = strlen(list);

        snprintf(list + len, sizeof there - len, "%s%s", len ? ", " : "", wanted[i]);
    }
    if (*missing)
        report(doctor, VERDICT_WARN, 0, "decoders",
               "%s decodes %s; not %s: such files need an FFmpeg library built with these decoders",
               vmafx_media_version(), *there ? there : "none of the usual codecs", missing);
    else
        report(doctor, VERDICT_OK, 0, "decoders", "%s decodes %s", vmafx_media_version(), there);
}

/* ---- models ---- */

static bool is_there(const VmafxModelFiles *files, const char *version)
{
    for (size_t i = 0; i < files->n; i++)
        if (!strcmp(files->items[i].version, version))
            return true;
    return false;
}

/* Those that --model auto takes from; which is there and which is not. */
static void check_auto(Doctor *doctor, const VmafxModelFiles *files)
{
    static const char *const wanted[] = VMAFX_MODELS_AUTO;
    char missing[256] = "";

    for (size_t i = 0; i < VMAFX_LEN(wanted); i++) {
        size_t len = strlen(missing);

        if (!is_there(files, wanted[i]))
            snprintf(missing + len, sizeof missing - len, "%s%s", len ? ", " : "", wanted[i]);
    }
    if (*missing)
        report(doctor, VERDICT_WARN, 0, "auto", "`--model auto` lacks %s: %s", missing,
               vmafx_model_origin(VMAFX_MODEL_1080));
    else
        report(doctor, VERDICT_OK, 0, "auto", "`--model auto` has all it chooses from, the VMAF v1 models");
}

/* "vmaf_4k_v0.6.1, vmaf_v0.6.1", as many as there is room for. */
static void name_models(const VmafxModelFiles *files, char *ret, size_t size)
{
    size_t len = 0;

    *ret = 0;
    for (size_t i = 0; i < files->n && len < size; i++)
        len += (size_t)snprintf(ret + len, size - len, "%s%s", i ? ", " : "", files->items[i].version);
}

/* The path of the default model, or NULL; says so. */
static char *check_models(Doctor *doctor)
{
    VMAFX_AUTO(vmafx_models_done) VmafxModelFiles files = { 0 };
    VmafxErrInfo info = { 0 };
    char *path = NULL, names[700];
    VmafxErr err = vmafx_models_list(&files);

    if (err) {
        report(doctor, VERDICT_FAIL, EXIT_MODEL, "models", "cannot be listed: %s", vmafx_err_text(err));
        return NULL;
    }
    name_models(&files, names, sizeof names);
    err = vmafx_model_find(MODEL, &path, &info);
    if (!err)
        report(doctor, VERDICT_OK, 0, "models", "%zu found: %s; %s is %s", files.n, names, MODEL, path);
    else if (files.n == 0)
        report(doctor, VERDICT_FAIL, EXIT_MODEL, "models",
               "none found: `vmafx models import FILE` takes them out of a libvmaf.so or static ffmpeg, `vmafx models "
               "path` prints where they are looked for");
    else
        report(doctor, VERDICT_FAIL, EXIT_MODEL, "models", "%zu found: %s; but not the usual one: %s", files.n, names,
               *info.message ? info.message : vmafx_err_text(err));
    check_auto(doctor, &files);
    return err ? NULL : path;
}

/* Only ONNX models need it. */
static void check_onnx(Doctor *doctor)
{
    VmafxErrInfo info = { 0 };
    char version[32];

    if (vmafx_infer_runtime_version(version, &info))
        report(doctor, VERDICT_WARN, 0, "onnx", "models in ONNX form cannot be used: %s", info.message);
    else
        report(doctor, VERDICT_OK, 0, "onnx", "ONNX Runtime %s runs models in ONNX form", version);
}

/* ---- self-test ---- */

/* Means over the three frames. The engine that gave them agrees with the golden values of the reference. */
static const struct {
    const char *name;
    double mean;
} expected[] = {
    { "integer_adm2", 0.71240154478019224 },       { "integer_vif_scale0", 0.14044431845347086 },
    { "integer_vif_scale1", 0.30815750360488892 }, { "integer_vif_scale2", 0.41779747605323792 },
    { "integer_vif_scale3", 0.56480242808659875 }, { "integer_motion2", 10.856244723002115 },
};
static const double expected_score = 24.913897950044518;

/* A slope, a chequerboard and grain, which move. */
static int pattern(int x, int y, int frame)
{
    int slope = 40 + (3 * x + 2 * y + 5 * frame) % 120;
    int board = 48 * (((x + 2 * frame) / 8 + (y + frame) / 8) % 2);
    int grain = (x * 7 + y * 13 + frame * 31) * (x + 3 * y + 1) % 17;

    return slope + board + grain;
}

/* The distorted picture is blurred along its rows, coarser, and has a pattern of its own. */
static void draw(uint8_t *ref, uint8_t *dis, int frame)
{
    for (int y = 0; y < TEST_SIZE; y++)
        for (int x = 0; x < TEST_SIZE; x++) {
            int blurred = 0;

            for (int dx = 0; dx < 4; dx++)
                blurred += pattern(x + dx, y, frame);
            ref[y * TEST_SIZE + x] = (uint8_t)pattern(x, y, frame);
            dis[y * TEST_SIZE + x] = (uint8_t)(blurred / 4 / 6 * 6 + (x * 5 + y * 3 + frame) % 7);
        }
}

static VmafxErr score_drawing(VmafxEngine *engine, VmafxErrInfo *reterr)
{
    uint8_t ref[TEST_SIZE * TEST_SIZE], dis[TEST_SIZE * TEST_SIZE];
    const VmafxPlane ref_plane = { ref, TEST_SIZE, TEST_SIZE, TEST_SIZE, 8 };
    const VmafxPlane dis_plane = { dis, TEST_SIZE, TEST_SIZE, TEST_SIZE, 8 };

    for (int frame = 0; frame < TEST_FRAMES; frame++) {
        draw(ref, dis, frame);
        VmafxErr err = vmafx_engine_push(engine, &ref_plane, &dis_plane, reterr);
        if (err)
            return err;
    }
    return vmafx_engine_finish(engine, reterr);
}

/* The mean of a series; NaN when there is none, which equals nothing. */
static double mean_of(const VmafxEngine *engine, const char *name)
{
    VmafxPooled pooled;

    if (vmafx_engine_pool(engine, vmafx_engine_find(engine, name), 0, TEST_FRAMES - 1, &pooled))
        return NAN;
    return pooled.mean;
}

static bool check_features(Doctor *doctor, const VmafxEngine *engine)
{
    bool right = true;

    for (size_t i = 0; i < VMAFX_LEN(expected); i++) {
        double mean = mean_of(engine, expected[i].name);

        if (mean == expected[i].mean)
            continue;
        right = false;
        report(doctor, VERDICT_FAIL, EXIT_DEFECT, "self-test",
               "%s is %.17g instead of %.17g: this build computes wrong values on this machine; do not use its scores",
               expected[i].name, mean, expected[i].mean);
    }
    return right;
}

static bool check_score(Doctor *doctor, const VmafxEngine *engine, const char *path)
{
    double score = mean_of(engine, "vmaf");

    if (fabs(score - expected_score) <= SCORE_TOLERANCE)
        return true;
    report(doctor, VERDICT_FAIL, EXIT_DEFECT, "self-test",
           "the score with %s is %.17g instead of %.17g: import the model again, and if that does not help do not use "
           "the scores of this build",
           path, score, expected_score);
    return false;
}

static VmafxErr prepare(VmafxEngine *engine, const VmafxModel *model, VmafxErrInfo *reterr)
{
    static const char *const extractors[] = { "adm", "vif", "motion" };
    VmafxErr err = model ? vmafx_engine_add_model(engine, model, &(VmafxModelUse){ 0 }, reterr) : VMAFX_OK;

    for (size_t i = 0; !err && i < VMAFX_LEN(extractors); i++)
        err = vmafx_engine_add_feature(engine, extractors[i], NULL, true, reterr);
    return err;
}

static void check_engine(Doctor *doctor, const char *path)
{
    VMAFX_AUTO(vmafx_model_free) VmafxModel *model = NULL;
    VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = NULL;
    VmafxErrInfo info = { 0 };

    if (path && vmafx_model_load(path, &model, &info))
        report(doctor, VERDICT_FAIL, EXIT_MODEL, "models", "%s", info.message);

    VmafxErr err = vmafx_engine_new(&(VmafxEngineSettings){ .threads = TEST_THREADS }, &engine);
    if (!err)
        err = prepare(engine, model, &info);
    if (!err)
        err = score_drawing(engine, &info);
    if (err) {
        report(doctor, VERDICT_FAIL, EXIT_DEFECT, "self-test", "cannot be run: %s",
               *info.message ? info.message : vmafx_err_text(err));
        return;
    }
    if (!check_features(doctor, engine) || (model && !check_score(doctor, engine, path)))
        return;
    if (model)
        report(doctor, VERDICT_OK, 0, "self-test",
               "adm, vif and motion are right to the last bit; VMAF %.6f as expected", mean_of(engine, "vmaf"));
    else
        report(doctor, VERDICT_OK, 0, "self-test",
               "adm, vif and motion are right to the last bit; no model to score with");
}

/* ---- the command ---- */

static int examine(Doctor *doctor)
{
    if (doctor->json)
        fputs("{\"schema\": \"vmafx.doctor\", \"schema_version\": 1, \"checks\": [", stdout);
    check_version(doctor);
    check_cpu(doctor);
    check_threads(doctor);
    check_decoders(doctor);
    VMAFX_AUTO(vmafx_free_p) char *path = check_models(doctor);
    check_onnx(doctor);
    check_engine(doctor, path);
    if (doctor->json)
        printf("\n], \"exit\": %d}\n", doctor->code);
    return doctor->code;
}

static int run_doctor(int argc, char **argv)
{
    Doctor doctor = { .code = EXIT_COMPLETE };
    CliParser parser;
    const char *value;
    int id;

    cli_parser_init(&parser, &cli_doctor, argc, argv);
    while ((id = cli_next(&parser, &value)) != CLI_END) {
        if (id == O_JSON) {
            doctor.json = true;
            continue;
        }
        if (id == CLI_POSITIONAL)
            fprintf(stderr, "vmafx doctor: takes no argument such as '%s'; leave it away\n", value);
        return id == CLI_HELP ? EXIT_COMPLETE : EXIT_USAGE;
    }
    return examine(&doctor);
}

const CliCommand cli_doctor = {
    .name = "doctor",
    .summary = "check this machine: CPU, decoders, models, and the values it computes",
    .usage = "[--json]",
    .examples = "# is all well?\n"
                "vmafx doctor\n"
                "# for scripts\n"
                "vmafx doctor --json\n",
    .notes = "A warning does not change the exit status.\n\n"
             "Exit status: 0 all that scoring needs is there, 2 usage, 5 no model vmaf_v0.6.1, 70 the self-test went "
             "wrong.",
    .options = doctor_options,
    .run = run_doctor,
};
