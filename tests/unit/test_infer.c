/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* ONNX files: what is read of them before anybody runs one, and, where there is an ONNX Runtime, running them. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>
#include <math.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "infer/infer.h"
#include "onnx_bytes.h"
#include "spans.h"

static void out_done(RpcOut *out)
{
    free(out->ptr);
}

static void refused(const RpcOut *model, VmafxErr err, const char *word)
{
    VMAFX_AUTO(vmafx_onnx_file_done) VmafxOnnxFile file = { 0 };
    VmafxErrInfo info = { 0 };

    assert_false(model->failed);
    assert_int_equal(vmafx_onnx_read(model->ptr, model->len, &file, &info), err);
    if (!strstr(info.message, word))
        fail_msg("no '%s' in '%s'", word, info.message);
    assert_null(file.text);
}

/* ---- files ---- */

static void a_file_tells_what_it_is_for(void **state)
{
    VMAFX_AUTO(out_done) RpcOut model = a_linear_model(1, 2, 3, 0);
    VMAFX_AUTO(vmafx_onnx_file_done) VmafxOnnxFile file = { 0 };

    put_metadata(&model, "vmafx.range", " -1.5  1e2 ");
    put_metadata(&model, "vmafx.name", "Two features");
    put_metadata(&model, "vmafx.version", "7");
    put_metadata(&model, "author", "\xff\xfe");
    assert_int_equal(vmafx_onnx_read(model.ptr, model.len, &file, NULL), VMAFX_OK);
    assert_int_equal(file.kind, VMAFX_ONNX_FEATURES);
    assert_int_equal(file.opset, 13);
    assert_int_equal(file.ir_version, 8);
    assert_string_equal(file.name, "Two features");
    assert_string_equal(file.version, "7");
    assert_string_equal(file.producer, "test");
    assert_true(file.has_range && file.lo == -1.5 && file.hi == 100);
    assert_int_equal(file.n_features, 2);
    assert_string_equal(file.features[0].name, "VMAF_integer_feature_adm2_score");
    assert_string_equal(file.features[1].name, "VMAF_integer_feature_motion2_score");
}

/* With these metadata instead of the usual. */
static RpcOut with(const char *const *pairs, size_t n)
{
    RpcOut graph = a_linear_graph(1, 2, 3, 0), model = a_model(&graph);

    for (size_t i = 0; i + 1 < n; i += 2)
        put_metadata(&model, pairs[i], pairs[i + 1]);
    return model;
}

#define WITH(...) with((const char *const[]){ __VA_ARGS__ }, VMAFX_LEN(((const char *const[]){ __VA_ARGS__ })))

static void features_have_options(void **state)
{
    VMAFX_AUTO(out_done)
    RpcOut model =
        WITH("vmafx.format", "1", "vmafx.kind", "features", "vmafx.features", "a:x=1.5:y=true,\n b , c:z=-1");
    VMAFX_AUTO(vmafx_onnx_file_done) VmafxOnnxFile file = { 0 };

    assert_int_equal(vmafx_onnx_read(model.ptr, model.len, &file, NULL), VMAFX_OK);
    assert_int_equal(file.n_features, 3);
    assert_int_equal(file.features[0].options.n, 2);
    assert_string_equal(file.features[0].options.items[1].key, "y");
    assert_string_equal(file.features[0].options.items[1].value, "true");
    assert_string_equal(file.features[1].name, "b");
    assert_int_equal(file.features[1].options.n, 0);
    assert_string_equal(file.features[2].options.items[0].value, "-1");
}

static void luma_has_a_peak(void **state)
{
    VMAFX_AUTO(out_done) RpcOut one = WITH("vmafx.format", "1", "vmafx.kind", "luma");
    VMAFX_AUTO(out_done) RpcOut many = WITH("vmafx.kind", "luma_pair", "vmafx.peak", "255", "vmafx.format", "1");
    VmafxOnnxFile file = { 0 };

    assert_int_equal(vmafx_onnx_read(one.ptr, one.len, &file, NULL), VMAFX_OK);
    assert_true(file.kind == VMAFX_ONNX_LUMA && file.peak == 1 && !file.has_range);
    vmafx_onnx_file_done(&file);
    assert_int_equal(vmafx_onnx_read(many.ptr, many.len, &file, NULL), VMAFX_OK);
    assert_true(file.kind == VMAFX_ONNX_LUMA_PAIR && file.peak == 255);
    vmafx_onnx_file_done(&file);
}

static void metadata_that_make_no_sense_are_refused_by_their_key(void **state)
{
    static const struct {
        const char *why, *pairs[8], *word;
    } bad[] = {
        { "no metadata", { NULL }, "vmafx.format" },
        { "no kind", { "vmafx.format", "1" }, "vmafx.kind" },
        { "another format", { "vmafx.format", "1 ", "vmafx.kind", "luma" }, "vmafx.format" },
        { "unknown kind", { "vmafx.format", "1", "vmafx.kind", "Luma" }, "vmafx.kind" },
        { "unknown key", { "vmafx.format", "1", "vmafx.kind", "luma", "vmafx.peek", "1" }, "vmafx.peek" },
        { "key twice", { "vmafx.format", "1", "vmafx.kind", "luma", "vmafx.kind", "luma" }, "twice" },
        { "peak of features",
          { "vmafx.format", "1", "vmafx.kind", "features", "vmafx.features", "a", "vmafx.peak", "1" },
          "vmafx.peak" },
        { "features of luma", { "vmafx.format", "1", "vmafx.kind", "luma", "vmafx.features", "a" }, "vmafx.features" },
        { "no features", { "vmafx.format", "1", "vmafx.kind", "features", "vmafx.features", " ,," }, "vmafx.features" },
        { "a name of others", { "vmafx.format", "1", "vmafx.kind", "features", "vmafx.features", "a b/c" }, "b/c" },
        { "an option without value",
          { "vmafx.format", "1", "vmafx.kind", "features", "vmafx.features", "a:x" },
          "'x'" },
        { "an empty option",
          { "vmafx.format", "1", "vmafx.kind", "features", "vmafx.features", "a:" },
          "option=value" },
        { "an option twice",
          { "vmafx.format", "1", "vmafx.kind", "features", "vmafx.features", "a:x=1:x=2" },
          "twice" },
        { "peak 0", { "vmafx.format", "1", "vmafx.kind", "luma", "vmafx.peak", "0" }, "vmafx.peak" },
        { "peak too high", { "vmafx.format", "1", "vmafx.kind", "luma", "vmafx.peak", "1e6" }, "vmafx.peak" },
        { "peak no number", { "vmafx.format", "1", "vmafx.kind", "luma", "vmafx.peak", "nan" }, "vmafx.peak" },
        { "peak and more", { "vmafx.format", "1", "vmafx.kind", "luma", "vmafx.peak", "1 2" }, "vmafx.peak" },
        { "range of one", { "vmafx.format", "1", "vmafx.kind", "luma", "vmafx.range", "0" }, "vmafx.range" },
        { "range backwards", { "vmafx.format", "1", "vmafx.kind", "luma", "vmafx.range", "1 1" }, "vmafx.range" },
        { "range infinite", { "vmafx.format", "1", "vmafx.kind", "luma", "vmafx.range", "0 1e999" }, "vmafx.range" },
        { "name of two lines", { "vmafx.format", "1", "vmafx.kind", "luma", "vmafx.name", "a\nb" }, "vmafx.name" },
    };

    for (size_t i = 0; i < VMAFX_LEN(bad); i++) {
        size_t n = 0;

        while (n < VMAFX_LEN(bad[i].pairs) && bad[i].pairs[n])
            n++;
        VMAFX_AUTO(out_done) RpcOut model = with(bad[i].pairs, n);
        print_message("%s\n", bad[i].why);
        refused(&model, VMAFX_ERR_MODEL, bad[i].word);
    }
}

static void everything_has_its_limit(void **state)
{
    VMAFX_AUTO(vmafx_free_p) char *long_text = calloc(1, VMAFX_ONNX_VALUE_MAX + 2);
    VMAFX_AUTO(out_done) RpcOut many = a_linear_model(1, 2, 3, 0);
    char names[3 * VMAFX_MODEL_FEATURES_MAX + 8] = "a";

    for (size_t i = 0; i < VMAFX_ONNX_METADATA_MAX; i++)
        put_metadata(&many, "more", "");
    refused(&many, VMAFX_ERR_LIMIT, "256");

    memset(long_text, 'a', VMAFX_ONNX_VALUE_MAX + 1);
    VMAFX_AUTO(out_done) RpcOut big = WITH("vmafx.format", "1", "vmafx.kind", "features", "vmafx.features", long_text);
    refused(&big, VMAFX_ERR_LIMIT, "16384");
    VMAFX_AUTO(out_done) RpcOut name = WITH("vmafx.format", "1", "vmafx.kind", "luma", "vmafx.name", long_text);
    refused(&name, VMAFX_ERR_LIMIT, "128");

    for (size_t i = 1; i <= VMAFX_MODEL_FEATURES_MAX; i++)
        strcat(names, " a");
    VMAFX_AUTO(out_done) RpcOut features = WITH("vmafx.format", "1", "vmafx.kind", "features", "vmafx.features", names);
    refused(&features, VMAFX_ERR_LIMIT, "64");

    VmafxErrInfo info = { 0 };
    VmafxOnnxFile file = { 0 };
    assert_int_equal(vmafx_onnx_read(many.ptr, VMAFX_ONNX_BYTES_MAX + 1, &file, &info), VMAFX_ERR_LIMIT);
    assert_non_null(strstr(info.message, "256 MiB"));
}

/* A graph in an attribute of a node of a graph … */
static RpcOut nested(int depth, RpcOut *innermost)
{
    RpcOut graph = *innermost;

    *innermost = (RpcOut){ 0 };
    for (int i = 1; i < depth; i++) {
        RpcOut attribute = { 0 }, node = { 0 }, outer = { 0 };

        put_message(&attribute, 6, &graph);
        put_message(&node, 5, &attribute);
        put_message(&outer, 1, &node);
        graph = outer;
    }
    return graph;
}

static void graphs_are_followed_to_a_limit(void **state)
{
    for (int depth = 1; depth <= VMAFX_ONNX_NESTING_MAX + 1; depth++) {
        RpcOut inner = { 0 }, graph = nested(depth, &inner);
        VMAFX_AUTO(out_done) RpcOut model = a_model(&graph);
        VMAFX_AUTO(vmafx_onnx_file_done) VmafxOnnxFile file = { 0 };

        put_metadata(&model, "vmafx.format", "1");
        put_metadata(&model, "vmafx.kind", "luma");
        if (depth > VMAFX_ONNX_NESTING_MAX)
            refused(&model, VMAFX_ERR_LIMIT, "nested");
        else
            assert_int_equal(vmafx_onnx_read(model.ptr, model.len, &file, NULL), VMAFX_OK);
    }
}

/* Where a tensor may be: fields from the graph, or the model, to it. */
static void no_tensor_may_be_in_another_file(void **state)
{
    static const struct {
        const char *where;
        bool of_model;
        uint32_t path[6]; /* from the outside; ended by 0 */
    } places[] = {
        { "an initializer", false, { 5 } },
        { "a sparse initializer's values", false, { 15, 1 } },
        { "a sparse initializer's indices", false, { 15, 2 } },
        { "an attribute", false, { 1, 5, 5 } },
        { "a list in an attribute", false, { 1, 5, 10 } },
        { "a sparse attribute", false, { 1, 5, 22, 1 } },
        { "a list of sparse attributes", false, { 1, 5, 23, 2 } },
        { "a graph in an attribute", false, { 1, 5, 6, 5 } },
        { "a list of graphs", false, { 1, 5, 11, 5 } },
        { "a function", true, { 25, 7, 5, 5 } },
        { "a function's default", true, { 25, 11, 5 } },
        { "training", true, { 20, 1, 5 } },
        { "training's algorithm", true, { 20, 2, 1, 5, 5 } },
    };

    for (size_t i = 0; i < VMAFX_LEN(places); i++)
        for (int by_location = 0; by_location < 2; by_location++) {
            RpcOut at = { 0 }, graph = { 0 };
            size_t n = 0;

            print_message("%s\n", places[i].where);
            if (by_location)
                rpc_wire_put_varint(&at, 14, 1);
            else
                rpc_wire_put_text(&at, 13, "");
            while (n < VMAFX_LEN(places[i].path) && places[i].path[n])
                n++;
            for (; n > 1; n--) {
                RpcOut outer = { 0 };

                put_message(&outer, places[i].path[n - 1], &at);
                at = outer;
            }
            if (!places[i].of_model)
                put_message(&graph, places[i].path[0], &at);
            VMAFX_AUTO(out_done) RpcOut model = a_model(&graph);
            if (places[i].of_model)
                put_message(&model, places[i].path[0], &at);
            put_metadata(&model, "vmafx.format", "1");
            put_metadata(&model, "vmafx.kind", "luma");
            refused(&model, VMAFX_ERR_MODEL, "other files");
        }
}

/* No prefix of a model is one, and none reads past its end (under AddressSanitizer). */
static void a_cut_file_is_refused(void **state)
{
    VMAFX_AUTO(out_done) RpcOut model = a_linear_model(1, 2, 3, 0);

    for (size_t len = 0; len < model.len; len++) {
        VMAFX_AUTO(vmafx_free_p) uint8_t *copy = malloc(len + !len);
        VmafxOnnxFile file = { 0 };
        VmafxErrInfo info = { 0 };

        if (len)
            memcpy(copy, model.ptr, len);
        VmafxErr err = vmafx_onnx_read(copy, len, &file, &info);
        assert_true(err == VMAFX_ERR_SYNTAX || err == VMAFX_ERR_MODEL);
        assert_true(*info.message);
    }
}

/* ---- with a runtime ---- */

static void need_runtime(void)
{
    VmafxErrInfo info = { 0 };
    char version[32];

    if (!vmafx_infer_runtime_version(version, &info))
        return;
    print_message("%s; or run tools/fetch-onnxruntime\n", info.message);
    skip();
}

static VmafxInferModel *loaded(RpcOut *model)
{
    VmafxInferModel *loaded = NULL;
    VmafxErrInfo info = { 0 };

    if (vmafx_infer_model_new(model->ptr, model->len, &loaded, &info))
        fail_msg("%s", info.message);
    out_done(model);
    *model = (RpcOut){ 0 };
    return loaded;
}

static const float rows[] = { 1, 2, 3, 4, 5, 6 };

static void scores_come_in_order_and_within_the_range(void **state)
{
    VMAFX_AUTO(vmafx_infer_model_free) VmafxInferModel *model = NULL;
    RpcOut bytes = a_linear_model(10, 1, 0.5f, 0);
    VmafxInferBatch batch = { .n = 3, .inputs = { rows }, .step = 1, .model = "m", .sha256 = "" };
    double scores[3];

    need_runtime();
    put_metadata(&bytes, "vmafx.range", "20 50");
    model = loaded(&bytes);
    assert_int_equal(vmafx_infer_run(model, &batch, scores, NULL), VMAFX_OK);
    assert_true(scores[0] == 20 && scores[1] == 34.5 && scores[2] == 50);
    batch.unclipped = true;
    assert_int_equal(vmafx_infer_run(model, &batch, scores, NULL), VMAFX_OK);
    assert_true(scores[0] == 12.5 && scores[1] == 34.5 && scores[2] == 56.5);
    batch.n = 0;
    assert_int_equal(vmafx_infer_run(model, &batch, scores, NULL), VMAFX_ERR_INVALID);
}

static void a_score_that_is_no_number_names_its_frame(void **state)
{
    VMAFX_AUTO(vmafx_infer_model_free) VmafxInferModel *model = NULL;
    RpcOut bytes = a_linear_model(1, 1, 0, 0);
    const float with_nan[] = { 1, 2, 3, NAN };
    VmafxInferBatch batch = { .n = 2, .inputs = { with_nan }, .first = 10, .step = 5, .model = "m", .sha256 = "" };
    VmafxErrInfo info = { 0 };
    double scores[2];

    need_runtime();
    model = loaded(&bytes);
    assert_int_equal(vmafx_infer_run(model, &batch, scores, &info), VMAFX_ERR_MODEL);
    assert_non_null(strstr(info.message, "NaN for frame 15"));
}

static void a_run_is_a_span_when_it_is_wanted(void **state)
{
    VMAFX_AUTO(vmafx_infer_model_free) VmafxInferModel *model = NULL;
    RpcOut bytes = a_linear_model(1, 1, 0, 1);
    VmafxInferBatch batch = { .n = 3, .inputs = { rows }, .first = 4, .step = 1, .model = "m", .sha256 = "00" };
    double scores[3];

    need_runtime();
    model = loaded(&bytes);
    VmafxTraceProvider *provider = spans_begin();
    assert_int_equal(vmafx_infer_run(model, &batch, scores, NULL), VMAFX_OK);
    assert_int_equal(spans_n(), 0);
    batch.traced = true;
    assert_int_equal(vmafx_infer_run(model, &batch, scores, NULL), VMAFX_OK);
    const VmafxSpanData *span = spans_named("vmafx.onnx.inference", VMAFX_SPAN_INTERNAL);
    assert_text(span, "vmafx.model.name", "m");
    assert_text(span, "vmafx.backend", "cpu");
    assert_number(span, "vmafx.inference.batch_size", 3);
    assert_number(span, "vmafx.frame.first", 4);
    spans_end(&provider);
}

static int count_threads(void)
{
    DIR *d = opendir("/proc/self/task");
    int n = 0;

    for (const struct dirent *entry; d && (entry = readdir(d));)
        n += *entry->d_name != '.';
    if (d)
        closedir(d);
    return n;
}

/* What the scorer rests on: a session made before a fork works in the child, because nothing of it is a thread. */
static void a_session_works_in_a_forked_child(void **state)
{
    VMAFX_AUTO(vmafx_infer_model_free) VmafxInferModel *model = NULL;
    RpcOut bytes = a_linear_model(10, 1, 0.5f, 0);
    const VmafxInferBatch batch = { .n = 3, .inputs = { rows }, .step = 1, .model = "m", .sha256 = "" };
    double scores[3];
    int status = -1;

    need_runtime();
    int threads = count_threads();
    model = loaded(&bytes);
    assert_int_equal(vmafx_infer_run(model, &batch, scores, NULL), VMAFX_OK);
    assert_int_equal(count_threads(), threads);
    pid_t pid = fork();
    if (pid == 0)
        _exit(vmafx_infer_run(model, &batch, scores, NULL) || scores[1] != 34.5);
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void without_a_library_it_says_what_to_do(void **state)
{
    VMAFX_AUTO(vmafx_free_p) char *before = vmafx_strdup(getenv("VMAFX_ONNXRUNTIME"));
    VMAFX_AUTO(out_done) RpcOut bytes = a_linear_model(1, 1, 0, 0);
    VmafxInferModel *model = NULL;
    VmafxErrInfo info = { 0 };

    setenv("VMAFX_ONNXRUNTIME", "/nonexistent/lib.so", 1);
    VmafxErr err = vmafx_infer_model_new(bytes.ptr, bytes.len, &model, &info);
    if (before)
        setenv("VMAFX_ONNXRUNTIME", before, 1);
    else
        unsetenv("VMAFX_ONNXRUNTIME");
    assert_int_equal(err, VMAFX_ERR_UNSUPPORTED);
    assert_null(model);
    assert_non_null(strstr(info.message, "VMAFX_ONNXRUNTIME"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_tells_what_it_is_for),
        cmocka_unit_test(features_have_options),
        cmocka_unit_test(luma_has_a_peak),
        cmocka_unit_test(metadata_that_make_no_sense_are_refused_by_their_key),
        cmocka_unit_test(everything_has_its_limit),
        cmocka_unit_test(graphs_are_followed_to_a_limit),
        cmocka_unit_test(no_tensor_may_be_in_another_file),
        cmocka_unit_test(a_cut_file_is_refused),
        cmocka_unit_test(without_a_library_it_says_what_to_do),
        cmocka_unit_test(scores_come_in_order_and_within_the_range),
        cmocka_unit_test(a_score_that_is_no_number_names_its_frame),
        cmocka_unit_test(a_run_is_a_span_when_it_is_wanted),
        cmocka_unit_test(a_session_works_in_a_forked_child),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
