/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Models: what is read, what is refused, and the scores that come out. JSON below is written with ' for ". */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>
#include <locale.h>

#include <cmocka.h>
#include <jansson.h>

#include <vmafx/engine.h>

#include "base/base.h"
#include "engine/model/model.h"

/* ---- Allocation that can be told to fail, and that counts what is still held ---- */

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

#if defined(__GLIBC__) && !defined(SANITIZED)
#define CAN_FAIL_ALLOCATIONS 1

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void __libc_free(void *p);

static long until_failure = -1; /* allocations that still succeed; negative: all of them */
static long held;

static bool fails(void)
{
    if (until_failure < 0)
        return false;
    if (until_failure == 0)
        return true;
    until_failure--;
    return false;
}

static void *counted(void *p)
{
    held += p != NULL;
    return p;
}

void *malloc(size_t size)
{
    return fails() ? NULL : counted(__libc_malloc(size));
}

void *calloc(size_t n, size_t size)
{
    return fails() ? NULL : counted(__libc_calloc(n, size));
}

void *realloc(void *p, size_t size)
{
    if (fails())
        return NULL;
    void *q = __libc_realloc(p, size);
    held += !p && q;
    return q;
}

void free(void *p)
{
    held -= p != NULL;
    __libc_free(p);
}
#endif

/* ---- Small models ---- */

#define HEAD          "svm_type nu_svr\\nkernel_type rbf\\ngamma 0.5\\nnr_class 2\\n"
#define SVM_3         HEAD "total_sv 3\\nrho -0.25\\nSV\\n1.5 1:0.25 2:0.5 3:0.75 \\n-2 2:0.125 \\n0.75 3:-0.5 \\n"
#define TYPE          "'model_type':'LIBSVMNUSVR',"
#define NORM          "'norm_type':'linear_rescale',"
#define NAMES         "'feature_names':['a','b','c'],"
#define SLOPES        "'slopes':[0.0125,2.5,0.0625,1.25],"
#define INTERCEPTS    "'intercepts':[-0.3,-1.75,-0.003,-0.17],"
#define MODEL         "'model':'" SVM_3 "'"
#define DICT(members) "{'model_dict':{" members "}}"
/* the good model with more members, the last of a name being the one that counts */
#define WITH(members) DICT(TYPE NORM NAMES SLOPES INTERCEPTS MODEL "," members)
#define SVM(text)     WITH("'model':'" text "'")
/* a model whose score is `y`, whatever goes in */
#define CONSTANT_DICT(y, members)                                                                                      \
    "{'model_dict':{" TYPE "'norm_type':'none','feature_names':['a'],'model':'" HEAD "total_sv 1\\nrho " y             \
    "\\nSV\\n0\\n'" members "}}"

static VmafxErr parse(const char *text, VmafxModel **ret_model, VmafxErrInfo *reterr)
{
    char *json = strdup(text);

    assert_non_null(json);
    for (char *c = json; *c; c++)
        if (*c == '\'')
            *c = '"';
    VmafxErr err = vmafx_model_parse(json, strlen(json), ret_model, reterr);
    free(json);
    return err;
}

static VmafxModel *parsed(const char *text)
{
    VmafxErrInfo info = { 0 };
    VmafxModel *model = NULL;

    if (parse(text, &model, &info))
        fail_msg("%s\n%s", info.message, text);
    return model;
}

static void check_bits(const char *what, double got, double want)
{
    if (memcmp(&got, &want, sizeof got) != 0)
        fail_msg("%s: %.17g, wanted %.17g", what, got, want);
}

static void check_near(const char *what, double got, double want)
{
    if (!(fabs(got - want) <= 1e-12 * fmax(1, fabs(want))))
        fail_msg("%s: %.17g, wanted %.17g", what, got, want);
}

/* ---- What is read ---- */

static void the_good_model_says_what_it_is(void **state)
{
    VmafxModel *model = parsed(WITH("'unknown':[1]"));

    assert_int_equal(vmafx_model_members(model), 1);
    assert_false(vmafx_model_is_collection(model));
    assert_int_equal(vmafx_model_inputs(model, 0), 3);
    assert_string_equal(vmafx_model_input_feature(model, 0, 2), "c");
    assert_int_equal(vmafx_model_input_options(model, 0, 0)->n, 0);
    vmafx_model_free(&model);
    assert_null(model);
    vmafx_model_free(&model);
    vmafx_model_free(NULL);
}

static const char option_model[] =
    WITH("'feature_opts_dicts':[{'one':1.0,'part':0.7,'text':'bilinear','yes':true,'no':false,'int':1080,"
         "'long':0.123456789,'big':1e20,'minus':-0.5,'small':1e-50},{},{'x':''}]");

static void check_option_texts(void)
{
    static const char *const want[][2] = {
        { "one", "1" },    { "part", "0.7" },      { "text", "bilinear" }, { "yes", "true" },   { "no", "false" },
        { "int", "1080" }, { "long", "0.123457" }, { "big", "1e+20" },     { "minus", "-0.5" }, { "small", "0" },
    };
    VmafxModel *model = parsed(option_model);
    const VmafxOptions *options = vmafx_model_input_options(model, 0, 0);

    assert_int_equal(options->n, VMAFX_LEN(want));
    for (size_t i = 0; i < options->n; i++) {
        assert_string_equal(options->items[i].key, want[i][0]);
        assert_string_equal(options->items[i].value, want[i][1]);
    }
    assert_int_equal(vmafx_model_input_options(model, 0, 1)->n, 0);
    assert_string_equal(vmafx_model_input_options(model, 0, 2)->items[0].value, "");
    vmafx_model_free(&model);
}

static void option_values_become_texts(void **state)
{
    check_option_texts();
}

static void numbers_do_not_depend_on_the_locale(void **state)
{
    static const char *const commas[] = { "de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE", "fr_FR" };
    static const double inputs[] = { 0.9, 4, 0.3 };
    VmafxModel *model = parsed(WITH("'score_clip':[0.5,99.5]"));
    double want = vmafx_model_predict(model, 0, inputs, 0);
    size_t i = 0;

    vmafx_model_free(&model);
    while (i < VMAFX_LEN(commas) && !setlocale(LC_ALL, commas[i]))
        i++;
    if (i == VMAFX_LEN(commas)) {
        print_message("no locale with a decimal comma is installed\n");
        skip();
    }
    check_option_texts();
    model = parsed(WITH("'score_clip':[0.5,99.5]"));
    check_bits(commas[i], vmafx_model_predict(model, 0, inputs, 0), want);
    vmafx_model_free(&model);
    assert_string_equal(localeconv()->decimal_point, ",");
    setlocale(LC_ALL, "C");
}

static void unusual_but_good_models_are_read(void **state)
{
    static const struct {
        const char *why, *json;
    } good[] = {
        { "bootstrap type in the single form", WITH("'model_type':'BOOTSTRAP_LIBSVMNUSVR'") },
        { "residue bootstrap", WITH("'model_type':'RESIDUEBOOTSTRAP_LIBSVMNUSVR'") },
        { "no scaling, hence no slopes", DICT(TYPE "'norm_type':'none'," NAMES MODEL) },
        { "a number too long for 64 bits", WITH("'score_clip':[0,100000000000000000000000]") },
        { "every key of the header", SVM("svm_type nu_svr\\nkernel_type rbf\\ndegree 3\\ngamma 1e-2\\ncoef0 0\\n"
                                         "nr_class 2\\ntotal_sv 1\\nrho 1\\nlabel 1 2\\nprobA 1\\nprobB 2\\n"
                                         "nr_sv 1 2\\nSV\\n1\\n") },
        { "last line without its end", SVM(HEAD "total_sv 2\\nrho 0\\nSV\\n1\\n2 1:1") },
        { "lines that end like on Windows", SVM("svm_type nu_svr\\r\\nkernel_type rbf\\r\\ngamma 1\\r\\n"
                                                "total_sv 1\\r\\nrho 0\\r\\nSV\\r\\n1 1:1\\r\\n") },
        { "null stands for absent", WITH("'score_transform':{'p0':null,'p1':null,'p2':null,'knots':null}") },
        { "broken model_dict beside a collection", "{'model_dict':1,'0':" WITH("'x':1") "}" },
        { "members of the file that are no models", "{'x':1,'0':" WITH("'x':1") ",'7':null,'1':" WITH("'x':1") "}" },
        { "chroma correction", WITH("'feature_names':['x_adm3','speed_chroma_uv','m'],"
                                    "'chroma_correction_parameter':120") },
    };

    for (size_t i = 0; i < VMAFX_LEN(good); i++) {
        VmafxErrInfo info = { 0 };
        VmafxModel *model = NULL;

        if (parse(good[i].json, &model, &info))
            fail_msg("%s: %s", good[i].why, info.message);
        vmafx_model_free(&model);
    }
}

static void members_are_taken_in_file_order(void **state)
{
    VmafxModel *model = parsed("{'1':" CONSTANT_DICT("9", "") ",'0':" CONSTANT_DICT("-1", "") ",'00':1,'2':1}");

    assert_true(vmafx_model_is_collection(model));
    assert_int_equal(vmafx_model_members(model), 1); /* "1" came before its turn */
    check_bits("member 0", vmafx_model_predict(model, 0, &(double){ 0 }, 0), 1);
    vmafx_model_free(&model);
}

/* ---- What is refused ---- */

#define EIGHT(x) x x x x x x x x

static void what_cannot_be_used_is_refused(void **state)
{
    static const struct {
        const char *why;
        VmafxErr err;
        const char *says, *json;
    } bad[] = {
        { "empty", VMAFX_ERR_SYNTAX, "not JSON", "" },
        { "not JSON", VMAFX_ERR_SYNTAX, "not JSON", "{'model_dict':" },
        { "text after the end", VMAFX_ERR_SYNTAX, "not JSON", WITH("'x':1") "}" },
        { "not an object", VMAFX_ERR_MODEL, "the model is an array, an object wanted", "[]" },
        { "no model_dict", VMAFX_ERR_MODEL, "neither", "{'param_dict':{}}" },
        { "collection that begins with 1", VMAFX_ERR_MODEL, "neither", "{'1':" WITH("'x':1") "}" },
        { "model_dict no object", VMAFX_ERR_MODEL, "model_dict is an array, an object wanted", "{'model_dict':[]}" },
        { "no model_type", VMAFX_ERR_MODEL, "model_dict.model_type is missing",
          DICT(NORM NAMES SLOPES INTERCEPTS MODEL) },
        { "model_type no string", VMAFX_ERR_MODEL, "model_type is a number, a string wanted", WITH("'model_type':1") },
        { "unknown model_type", VMAFX_ERR_MODEL, "'LIBSVM'", WITH("'model_type':'LIBSVM'") },
        { "no norm_type", VMAFX_ERR_MODEL, "norm_type is missing", DICT(TYPE NAMES SLOPES INTERCEPTS MODEL) },
        { "norm_type null", VMAFX_ERR_MODEL, "norm_type is null", WITH("'norm_type':null") },
        { "unknown norm_type", VMAFX_ERR_MODEL, "'gauss'", WITH("'norm_type':'gauss'") },
        { "no names", VMAFX_ERR_MODEL, "feature_names is missing", DICT(TYPE NORM SLOPES INTERCEPTS MODEL) },
        { "names no array", VMAFX_ERR_MODEL, "feature_names is an object", WITH("'feature_names':{}") },
        { "no name in names", VMAFX_ERR_MODEL, "feature_names is empty", WITH("'feature_names':[]") },
        { "a name is a bool", VMAFX_ERR_MODEL, "feature_names[1] is a bool", WITH("'feature_names':['a',true,'c']") },
        { "65 names", VMAFX_ERR_LIMIT, "65 names, at most 64", WITH("'feature_names':[" EIGHT(EIGHT("'a',")) "'a']") },
        { "options no array", VMAFX_ERR_MODEL, "feature_opts_dicts is an object", WITH("'feature_opts_dicts':{}") },
        { "options null", VMAFX_ERR_MODEL, "feature_opts_dicts is null", WITH("'feature_opts_dicts':null") },
        { "too few options", VMAFX_ERR_MODEL, "2 objects, 3 wanted", WITH("'feature_opts_dicts':[{},{}]") },
        { "options of one no object", VMAFX_ERR_MODEL, "feature_opts_dicts[1] is a string",
          WITH("'feature_opts_dicts':[{},'a',{}]") },
        { "option null", VMAFX_ERR_MODEL, "feature_opts_dicts[2].k is null",
          WITH("'feature_opts_dicts':[{},{},{'k':null}]") },
        { "option array", VMAFX_ERR_MODEL, "feature_opts_dicts[0].k is an array",
          WITH("'feature_opts_dicts':[{'k':[1]},{},{}]") },
        { "option object", VMAFX_ERR_MODEL, "feature_opts_dicts[0].k is an object",
          WITH("'feature_opts_dicts':[{'k':{}},{},{}]") },
        { "option beyond binary32", VMAFX_ERR_MODEL, "too large", WITH("'feature_opts_dicts':[{'k':1e300},{},{}]") },
        { "no slopes", VMAFX_ERR_MODEL, "slopes is missing", DICT(TYPE NORM NAMES INTERCEPTS MODEL) },
        { "no intercepts", VMAFX_ERR_MODEL, "intercepts is missing", DICT(TYPE NORM NAMES SLOPES MODEL) },
        { "slopes no array", VMAFX_ERR_MODEL, "slopes is a number", WITH("'slopes':1") },
        { "too few slopes", VMAFX_ERR_MODEL, "model_dict.slopes has 3 numbers, 4 wanted", WITH("'slopes':[1,1,1]") },
        { "too many slopes", VMAFX_ERR_MODEL, "slopes has 5 numbers, 4 wanted", WITH("'slopes':[1,1,1,1,1]") },
        { "too few intercepts", VMAFX_ERR_MODEL, "intercepts has 0 numbers, 4 wanted", WITH("'intercepts':[]") },
        { "slope no number", VMAFX_ERR_MODEL, "slopes[3] is a string", WITH("'slopes':[1,1,1,'1']") },
        { "intercept no number", VMAFX_ERR_MODEL, "intercepts[0] is null", WITH("'intercepts':[null,1,1,1]") },
        { "score slope 0", VMAFX_ERR_MODEL, "slopes[0] is 0", WITH("'slopes':[0,1,1,1]") },
        { "slopes of the wrong length without use", VMAFX_ERR_MODEL, "slopes has 1 numbers",
          WITH("'norm_type':'none','slopes':[1]") },
        { "clip null", VMAFX_ERR_MODEL, "score_clip is null", WITH("'score_clip':null") },
        { "clip of one", VMAFX_ERR_MODEL, "score_clip has 1 numbers, 2 wanted", WITH("'score_clip':[0]") },
        { "clip of texts", VMAFX_ERR_MODEL, "score_clip[0] is a string", WITH("'score_clip':['0','1']") },
        { "transform no object", VMAFX_ERR_MODEL, "score_transform is an array", WITH("'score_transform':[]") },
        { "transform null", VMAFX_ERR_MODEL, "score_transform is null", WITH("'score_transform':null") },
        { "enabled a string", VMAFX_ERR_MODEL, "score_transform.enabled is a string",
          WITH("'score_transform':{'enabled':'true'}") },
        { "p0 a string", VMAFX_ERR_MODEL, "score_transform.p0 is a string", WITH("'score_transform':{'p0':'1'}") },
        { "p1 a bool", VMAFX_ERR_MODEL, "score_transform.p1 is a bool", WITH("'score_transform':{'p1':true}") },
        { "p2 an array", VMAFX_ERR_MODEL, "score_transform.p2 is an array", WITH("'score_transform':{'p2':[]}") },
        { "knots a number", VMAFX_ERR_MODEL, "score_transform.knots is a number",
          WITH("'score_transform':{'knots':1}") },
        { "11 knots", VMAFX_ERR_LIMIT, "11 knots, at most 10",
          WITH("'score_transform':{'knots':[" EIGHT("[1,1],") "[1,1],[1,1],[1,1]]}") },
        { "knot of one number", VMAFX_ERR_MODEL, "score_transform.knots[1] has 1 numbers, 2 wanted",
          WITH("'score_transform':{'knots':[[1,1],[2]]}") },
        { "knot no array", VMAFX_ERR_MODEL, "score_transform.knots[0] is a number",
          WITH("'score_transform':{'knots':[1,2]}") },
        { "knot of texts", VMAFX_ERR_MODEL, "score_transform.knots[0][1] is a string",
          WITH("'score_transform':{'knots':[[1,'1']]}") },
        { "knots on one x", VMAFX_ERR_MODEL, "knots[1] does not follow",
          WITH("'score_transform':{'knots':[[1,1],[1,2]]}") },
        { "knots that fall", VMAFX_ERR_MODEL, "knots[1] does not follow",
          WITH("'score_transform':{'knots':[[1,1],[2,0.5]]}") },
        { "out_lte_in a bool", VMAFX_ERR_MODEL, "score_transform.out_lte_in is a bool",
          WITH("'score_transform':{'out_lte_in':true}") },
        { "out_gte_in null", VMAFX_ERR_MODEL, "score_transform.out_gte_in is null",
          WITH("'score_transform':{'out_gte_in':null}") },
        { "chroma a string", VMAFX_ERR_MODEL, "chroma_correction_parameter is a string",
          WITH("'chroma_correction_parameter':'1'") },
        { "chroma 0", VMAFX_ERR_MODEL, "chroma_correction_parameter is 0", WITH("'chroma_correction_parameter':0.0") },
        { "chroma without its inputs", VMAFX_ERR_MODEL, "0 names with 'adm3'",
          WITH("'chroma_correction_parameter':1") },
        { "two chroma inputs", VMAFX_ERR_MODEL, "2 names with 'speed_chroma'",
          WITH("'feature_names':['adm3','speed_chroma_u','speed_chroma_v'],'chroma_correction_parameter':1") },
        { "one input for both", VMAFX_ERR_MODEL, "feature_names[1] is both",
          WITH("'feature_names':['a','adm3_speed_chroma','c'],'chroma_correction_parameter':1") },
        { "chroma input that cannot be taken back", VMAFX_ERR_MODEL, "slopes[2] is 0",
          WITH("'feature_names':['adm3','speed_chroma','c'],'slopes':[1,1,0,1],'chroma_correction_parameter':1") },
        { "no model", VMAFX_ERR_MODEL, "model_dict.model is missing",
          DICT(TYPE NORM NAMES SLOPES "'intercepts':[1,1,1,1]") },
        { "model no string", VMAFX_ERR_MODEL, "model_dict.model is an array", WITH("'model':[]") },
        { "zero inside the text", VMAFX_ERR_SYNTAX, "not JSON", SVM(SVM_3 "\\u0000") },
        { "empty text", VMAFX_ERR_MODEL, "ends before the line SV", SVM("") },
        { "text without vectors", VMAFX_ERR_MODEL, "ends before the line SV", SVM(HEAD "total_sv 1\\nrho 0\\n") },
        { "unknown key", VMAFX_ERR_MODEL, "line 5 has the unknown key 'nu'", SVM(HEAD "nu 1\\nSV\\n") },
        { "empty line in the header", VMAFX_ERR_MODEL, "unknown key ''", SVM(HEAD "\\nSV\\n") },
        { "key twice", VMAFX_ERR_MODEL, "'gamma' a second time", SVM(HEAD "gamma 1\\nSV\\n") },
        { "key without value", VMAFX_ERR_MODEL, "line 5 has ''", SVM(HEAD "rho\\nSV\\n") },
        { "two values", VMAFX_ERR_MODEL, "'2' after the value of rho", SVM(HEAD "rho 1 2\\nSV\\n") },
        { "label that is no number", VMAFX_ERR_MODEL, "'x' where", SVM(HEAD "label 1 x\\nSV\\n") },
        { "another kind of machine", VMAFX_ERR_MODEL, "svm_type is 'c_svc', nu_svr wanted", SVM("svm_type c_svc\\n") },
        { "another kernel", VMAFX_ERR_MODEL, "kernel_type is 'linear', rbf wanted", SVM("kernel_type linear\\n") },
        { "three classes", VMAFX_ERR_MODEL, "nr_class is 3",
          SVM("svm_type nu_svr\\nkernel_type rbf\\ngamma 1\\nnr_class 3\\ntotal_sv 1\\nrho 0\\nSV\\n1\\n") },
        { "no svm_type", VMAFX_ERR_MODEL, "no svm_type", SVM("kernel_type rbf\\nSV\\n") },
        { "no kernel_type", VMAFX_ERR_MODEL, "no kernel_type", SVM("svm_type nu_svr\\nSV\\n") },
        { "no gamma", VMAFX_ERR_MODEL, "no gamma", SVM("svm_type nu_svr\\nkernel_type rbf\\nSV\\n") },
        { "no total_sv", VMAFX_ERR_MODEL, "no total_sv", SVM(HEAD "rho 0\\nSV\\n1\\n") },
        { "no rho", VMAFX_ERR_MODEL, "no rho", SVM(HEAD "total_sv 1\\nSV\\n1\\n") },
        { "gamma below 0", VMAFX_ERR_MODEL, "gamma is -1",
          SVM("svm_type nu_svr\\nkernel_type rbf\\ngamma -1\\ntotal_sv 1\\nrho 0\\nSV\\n1\\n") },
        { "no vectors", VMAFX_ERR_MODEL, "total_sv is 0", SVM(HEAD "total_sv 0\\nrho 0\\nSV\\n") },
        { "half a vector", VMAFX_ERR_MODEL, "total_sv is 1.5", SVM(HEAD "total_sv 1.5\\nrho 0\\nSV\\n1\\n") },
        { "too many vectors", VMAFX_ERR_LIMIT, "total_sv is 100001", SVM(HEAD "total_sv 100001\\nrho 0\\nSV\\n1\\n") },
        { "far too many vectors", VMAFX_ERR_LIMIT, "total_sv is", SVM(HEAD "total_sv 1e300\\nrho 0\\nSV\\n1\\n") },
        { "text after SV", VMAFX_ERR_MODEL, "'1' after SV", SVM(HEAD "total_sv 1\\nrho 0\\nSV 1\\n1\\n") },
        { "fewer vectors", VMAFX_ERR_MODEL, "1 support vectors, total_sv says 2",
          SVM(HEAD "total_sv 2\\nrho 0\\nSV\\n1 1:1\\n") },
        { "more vectors", VMAFX_ERR_MODEL, "line 9 comes after the 1 support vectors",
          SVM(HEAD "total_sv 1\\nrho 0\\nSV\\n1 1:1\\n1 1:1\\n") },
        { "empty vector", VMAFX_ERR_MODEL, "line 8 has ''", SVM(HEAD "total_sv 1\\nrho 0\\nSV\\n\\n") },
        { "coefficient no number", VMAFX_ERR_MODEL, "'1:1' where a finite",
          SVM(HEAD "total_sv 1\\nrho 0\\nSV\\n1:1\\n") },
        { "no colon", VMAFX_ERR_MODEL, "'1' where index:value", SVM(HEAD "total_sv 1\\nrho 0\\nSV\\n1 1\\n") },
        { "no index", VMAFX_ERR_MODEL, "':1' where index:value", SVM(HEAD "total_sv 1\\nrho 0\\nSV\\n1 :1\\n") },
        { "no value", VMAFX_ERR_MODEL, "'' where a finite", SVM(HEAD "total_sv 1\\nrho 0\\nSV\\n1 1:\\n") },
        { "negative index", VMAFX_ERR_MODEL, "'-1:1' where", SVM(HEAD "total_sv 1\\nrho 0\\nSV\\n1 -1:1\\n") },
        { "index 0", VMAFX_ERR_MODEL, "index 0, 1 to 3", SVM(HEAD "total_sv 1\\nrho 0\\nSV\\n1 0:1\\n") },
        { "index above the inputs", VMAFX_ERR_MODEL, "index 4, 1 to 3",
          SVM(HEAD "total_sv 1\\nrho 0\\nSV\\n1 4:1\\n") },
        { "index without end", VMAFX_ERR_MODEL, "where index:value",
          SVM(HEAD "total_sv 1\\nrho 0\\nSV\\n1 18446744073709551617:1\\n") },
        { "index twice", VMAFX_ERR_MODEL, "index 1 after 1", SVM(HEAD "total_sv 1\\nrho 0\\nSV\\n1 1:1 1:1\\n") },
        { "indices falling", VMAFX_ERR_MODEL, "index 1 after 2", SVM(HEAD "total_sv 1\\nrho 0\\nSV\\n1 2:1 1:1\\n") },
        { "nan", VMAFX_ERR_MODEL, "'nan' where", SVM(HEAD "total_sv 1\\nrho nan\\nSV\\n1\\n") },
        { "inf", VMAFX_ERR_MODEL, "'-inf' where", SVM(HEAD "total_sv 1\\nrho 0\\nSV\\n-inf\\n") },
        { "beyond binary64", VMAFX_ERR_MODEL, "'1e999' where", SVM(HEAD "total_sv 1\\nrho 0\\nSV\\n1 1:1e999\\n") },
        { "hexadecimal", VMAFX_ERR_MODEL, "'0x1p3' where", SVM(HEAD "total_sv 1\\nrho 0x1p3\\nSV\\n1\\n") },
        { "decimal comma", VMAFX_ERR_MODEL, "'0,5' where", SVM(HEAD "total_sv 1\\nrho 0,5\\nSV\\n1\\n") },
        { "number with a tail", VMAFX_ERR_MODEL, "'1-2' where", SVM(HEAD "total_sv 1\\nrho 1-2\\nSV\\n1\\n") },
        { "number without end", VMAFX_ERR_MODEL, "a word of 128 characters, at most 127",
          SVM(HEAD "rho " EIGHT(EIGHT("11")) "\\nSV\\n1\\n") },
        { "control characters are not passed on", VMAFX_ERR_MODEL, "'?[2J'", SVM("\\u001b[2J 1\\n") },
        { "member no object", VMAFX_ERR_MODEL, "0 is a number, an object wanted", "{'0':1}" },
        { "member without model_dict", VMAFX_ERR_MODEL, "1.model_dict is missing", "{'0':" WITH("'x':1") ",'1':{}}" },
        { "fault in a later member", VMAFX_ERR_MODEL, "1.model_dict.slopes has 1 numbers, 4 wanted",
          "{'0':" WITH("'x':1") ",'1':" WITH("'slopes':[1]") "}" },
        { "types differ", VMAFX_ERR_MODEL, "1.model_dict.model_type differs",
          "{'0':" WITH("'x':1") ",'1':" WITH("'model_type':'BOOTSTRAP_LIBSVMNUSVR'") "}" },
        { "names differ", VMAFX_ERR_MODEL, "1.model_dict.feature_names[2] differs",
          "{'0':" WITH("'x':1") ",'1':" WITH("'feature_names':['a','b','d']") "}" },
        { "numbers of names differ", VMAFX_ERR_MODEL, "1.model_dict.feature_names has 1 names, that of member 0 has 3",
          "{'0':" WITH("'x':1") ",'1':" CONSTANT_DICT("0", "") "}" },
        { "options differ", VMAFX_ERR_MODEL, "1.model_dict.feature_opts_dicts[0] differs",
          "{'0':" WITH("'x':1") ",'1':" WITH("'feature_opts_dicts':[{'k':1},{},{}]") "}" },
        { "values of options differ", VMAFX_ERR_MODEL, "1.model_dict.feature_opts_dicts[0] differs",
          "{'0':" WITH("'feature_opts_dicts':[{'k':2},{},{}]") ",'1':" WITH(
              "'feature_opts_dicts':[{'k':1},{},{}]") "}" },
    };

    for (size_t i = 0; i < VMAFX_LEN(bad); i++) {
        VmafxErrInfo info = { 0 };
        VmafxModel *model = NULL;
        VmafxErr err = parse(bad[i].json, &model, &info);

        if (err != bad[i].err || !strstr(info.message, bad[i].says) || model)
            fail_msg("%s: %s, '%s'; wanted %s, '%s'", bad[i].why, vmafx_err_name(err), info.message,
                     vmafx_err_name(bad[i].err), bad[i].says);
        assert_int_equal(parse(bad[i].json, &model, NULL), bad[i].err); /* nobody has to want the sentence */
    }
}

static void a_collection_has_its_limits(void **state)
{
    char *text = strdup("{"), *last = NULL;
    VmafxErrInfo info = { 0 };
    VmafxModel *model = NULL;

    for (int i = 0; i <= VMAFX_MODEL_MEMBERS_MAX; i++) {
        char *longer = vmafx_sprintf("%s%s'%d':" CONSTANT_DICT("0", ""), text, i ? "," : "", i);

        assert_non_null(longer);
        free(last);
        last = text;
        text = longer;
    }
    char *most = vmafx_sprintf("%s}", last), *too_many = vmafx_sprintf("%s}", text);
    model = parsed(most);
    assert_int_equal(vmafx_model_members(model), VMAFX_MODEL_MEMBERS_MAX);
    vmafx_model_free(&model);
    assert_int_equal(parse(too_many, &model, &info), VMAFX_ERR_LIMIT);
    assert_non_null(strstr(info.message, "257 models, at most 256"));
    free(most);
    free(too_many);
    free(last);
    free(text);
}

/* 64 inputs; the rest of the text is the caller's */
#define NAMES_64 EIGHT("'a','a','a','a','a','a','a',") "'a','a','a','a','a','a','a','a'"
#define WIDE_DICT(total, rest)                                                                                         \
    "{'model_dict':{" TYPE "'norm_type':'none','feature_names':[" NAMES_64 "],'model':'" HEAD "total_sv " total        \
    "\\nrho 0\\nSV\\n" rest "'}}"

/* Short lines that stand for long rows: the most one file may have, and one more. */
static void a_file_has_a_limit_of_values(void **state)
{
    char *lines = calloc(VMAFX_MODEL_VECTORS_MAX + 1, 3);
    VmafxErrInfo info = { 0 };
    VmafxModel *model = NULL;

    assert_non_null(lines);
    for (size_t i = 0; i < VMAFX_MODEL_VECTORS_MAX; i++)
        memcpy(lines + 3 * i, "1\\n", 3);
    char *most = vmafx_sprintf(WIDE_DICT("100000", "%s"), lines);
    char *one_more = vmafx_sprintf("{'0':%s,'1':" WIDE_DICT("1", "1\\n") "}", most);
    model = parsed(most);
    vmafx_model_free(&model);
    assert_int_equal(parse(one_more, &model, &info), VMAFX_ERR_LIMIT);
    assert_non_null(strstr(info.message, "1.model_dict.model: the support vectors of the file have more than 6400000"));
    free(most);
    free(one_more);
    free(lines);
}

static void files_that_are_not_there_or_too_large_are_refused(void **state)
{
    VmafxErrInfo info = { 0 };
    VmafxModel *model = NULL;

    assert_int_equal(vmafx_model_load("/nonexistent/model.json", &model, &info), VMAFX_ERR_NOT_FOUND);
    assert_non_null(strstr(info.message, "/nonexistent/model.json"));
    assert_int_equal(vmafx_model_load("/", &model, &info), VMAFX_ERR_IO);
    assert_int_equal(vmafx_model_load("/dev/null", &model, &info), VMAFX_ERR_SYNTAX);
    assert_non_null(strstr(info.message, "cannot use model '/dev/null'"));
    assert_int_equal(vmafx_model_load("/dev/zero", &model, &info), VMAFX_ERR_LIMIT);
    assert_int_equal(vmafx_model_parse("{", VMAFX_MODEL_JSON_MAX + 1, &model, &info), VMAFX_ERR_LIMIT);
    assert_null(model);
}

static void every_allocation_may_fail(void **state)
{
#ifdef CAN_FAIL_ALLOCATIONS
    static const char *const texts[] = {
        option_model,
        "{'model_dict':{},'0':" WITH("'feature_opts_dicts':[{'k':1},{},{}]") ",'1':" WITH(
            "'feature_opts_dicts':[{'k':1},{},{}]") "}",
    };

    for (size_t i = 0; i < VMAFX_LEN(texts); i++) {
        VmafxErr err = VMAFX_ERR_NOMEM;
        char *json = strdup(texts[i]);

        assert_non_null(json);
        for (char *c = json; *c; c++)
            if (*c == '\'')
                *c = '"';
        for (long n = 0; err; n++) {
            VmafxModel *model = NULL;
            VmafxErrInfo info = { 0 };
            long before = held;

            until_failure = n;
            err = vmafx_model_parse(json, strlen(json), &model, &info);
            until_failure = -1;
            vmafx_model_free(&model);
            if (held != before)
                fail_msg("allocation %ld: %ld blocks are left", n, held - before);
            /* jansson's lexer calls a word it had no memory for an invalid one */
            if (err && err != VMAFX_ERR_NOMEM && err != VMAFX_ERR_SYNTAX)
                fail_msg("allocation %ld: %s, %s", n, vmafx_err_name(err), info.message);
            assert_true(n < 10000);
        }
        free(json);
    }
#else
    print_message("the sanitizer has the allocator\n");
    skip();
#endif
}

/* ---- Scores ---- */

static void the_score_is_the_formula(void **state)
{
    static const double slopes[] = { 0.0125, 2.5, 0.0625, 1.25 }, intercepts[] = { -0.3, -1.75, -0.003, -0.17 };
    static const double vectors[3][3] = { { 0.25, 0.5, 0.75 }, { 0, 0.125, 0 }, { 0, 0, -0.5 } };
    static const double coef[] = { 1.5, -2, 0.75 };
    static const double inputs[][3] = { { 0, 0, 0 }, { 0.9, 4.5, 0.3 }, { 1, 17.25, 0.999 }, { -3, 1e3, 1e-9 } };
    VmafxModel *model = parsed(WITH("'x':1")), *plain = parsed(WITH("'norm_type':'none'"));

    for (size_t i = 0; i < VMAFX_LEN(inputs); i++) {
        double want[2] = { 0, 0 };

        for (int scaled = 0; scaled < 2; scaled++) {
            for (int s = 0; s < 3; s++) {
                double q = 0;

                for (int j = 0; j < 3; j++) {
                    double x = scaled ? slopes[j + 1] * inputs[i][j] + intercepts[j + 1] : inputs[i][j];
                    q += (x - vectors[s][j]) * (x - vectors[s][j]);
                }
                want[scaled] += coef[s] * exp(-0.5 * q);
            }
            want[scaled] -= -0.25;
        }
        check_bits("none", vmafx_model_predict(plain, 0, inputs[i], 0), want[0]);
        check_bits("linear_rescale", vmafx_model_predict(model, 0, inputs[i], 0),
                   (want[1] - intercepts[0]) / slopes[0]);
    }
    vmafx_model_free(&model);
    vmafx_model_free(&plain);
}

#define KNOTS        ",'score_transform':{'enabled':true,'knots':[[0,10],[10,20],[20,20],[30,50]]}"
#define KNOTS_FROM_5 ",'score_transform':{'enabled':true,'knots':[[5,10],[10,20]]}"
#define POLYNOMIAL   "'p0':1,'p1':2,'p2':0.5"
#define ON(members)  ",'score_transform':{'enabled':true," members "}"
#define CLIP         ",'score_clip':[0,100]"

static void transform_and_clip_shape_the_score(void **state)
{
    enum { ENABLE = VMAFX_MODEL_ENABLE_TRANSFORM, DISABLE = VMAFX_MODEL_DISABLE_TRANSFORM };
    static const struct {
        const char *why, *json; /* rho is minus the score before transform and clip */
        unsigned flags;
        double want;
    } cases[] = {
        { "nothing to do", CONSTANT_DICT("-40", ""), 0, 40 },
        { "enable without a transform", CONSTANT_DICT("-40", ""), ENABLE, 40 },
        { "polynomial", CONSTANT_DICT("-4", ON(POLYNOMIAL)), 0, 17 },
        { "polynomial disabled by flag", CONSTANT_DICT("-4", ON(POLYNOMIAL)), DISABLE, 4 },
        { "off by default", CONSTANT_DICT("-4", ",'score_transform':{" POLYNOMIAL "}"), 0, 4 },
        { "off by the file", CONSTANT_DICT("-4", ",'score_transform':{'enabled':false," POLYNOMIAL "}"), 0, 4 },
        { "on by flag", CONSTANT_DICT("-4", ",'score_transform':{" POLYNOMIAL "}"), ENABLE, 17 },
        { "both flags", CONSTANT_DICT("-4", ",'score_transform':{" POLYNOMIAL "}"), ENABLE | DISABLE, 4 },
        { "p0 alone", CONSTANT_DICT("-4", ON("'p0':7")), 0, 7 },
        { "p1 alone", CONSTANT_DICT("-4", ON("'p1':3,'p2':null")), 0, 12 },
        { "p2 alone", CONSTANT_DICT("-4", ON("'p2':0.5")), 0, 8 },
        { "p0 of 0 is present", CONSTANT_DICT("-4", ON("'p0':0")), 0, 0 },
        { "no p is identity", CONSTANT_DICT("-4", ON("'p0':null")), 0, 4 },
        { "left of the knots", CONSTANT_DICT("5", KNOTS), 0, 5 },
        { "on the first knot", CONSTANT_DICT("0", KNOTS), 0, 10 },
        { "first segment", CONSTANT_DICT("-5", KNOTS), 0, 15 },
        { "on a knot", CONSTANT_DICT("-10", KNOTS), 0, 20 },
        { "horizontal segment", CONSTANT_DICT("-15", KNOTS), 0, 20 },
        { "on the knot after it", CONSTANT_DICT("-20", KNOTS), 0, 20 },
        { "last segment", CONSTANT_DICT("-25", KNOTS), 0, 35 },
        { "right of the knots", CONSTANT_DICT("-40", KNOTS), 0, 80 },
        { "first knot not at 0", CONSTANT_DICT("-7.5", KNOTS_FROM_5), 0, 15 },
        { "one knot is none", CONSTANT_DICT("-7", ON("'knots':[[1,50]]")), 0, 7 },
        { "polynomial, then knots", CONSTANT_DICT("-4", ON("'p1':0.5,'knots':[[0,0],[4,8]]")), 0, 4 },
        { "lte holds it down", CONSTANT_DICT("-4", ON("'p1':2,'out_lte_in':'true'")), 0, 4 },
        { "lte lets lower pass", CONSTANT_DICT("4", ON("'p1':2,'out_lte_in':'true'")), 0, -8 },
        { "gte holds it up", CONSTANT_DICT("-4", ON("'p1':0.5,'out_gte_in':'true'")), 0, 4 },
        { "gte lets higher pass", CONSTANT_DICT("-4", ON("'p1':2,'out_gte_in':'true'")), 0, 8 },
        { "only the word true counts", CONSTANT_DICT("-4", ON("'p1':2,'out_lte_in':'yes','out_gte_in':'True'")), 0, 8 },
        { "clip above", CONSTANT_DICT("-120", CLIP), 0, 100 },
        { "clip below", CONSTANT_DICT("3", CLIP), 0, 0 },
        { "clip disabled", CONSTANT_DICT("-120", CLIP), VMAFX_MODEL_DISABLE_CLIP, 120 },
        { "transform, then clip", CONSTANT_DICT("-60", CLIP ON("'p1':2")), 0, 100 },
        { "transform without clip", CONSTANT_DICT("-60", CLIP ON("'p1':2")), VMAFX_MODEL_DISABLE_CLIP, 120 },
        { "rectified against the score before the clip", CONSTANT_DICT("-120", CLIP ON("'p1':0.5,'out_gte_in':'true'")),
          VMAFX_MODEL_DISABLE_CLIP, 120 },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VmafxModel *model = parsed(cases[i].json);

        check_bits(cases[i].why, vmafx_model_predict(model, 0, &(double){ 0.5 }, cases[i].flags), cases[i].want);
        vmafx_model_free(&model);
    }
}

/* With gamma 1, one vector at 0 and rho 0 the score is exp(−q), so −ln(score) shows what the machine was given. */
static void zero_chroma_is_derived_from_adm(void **state)
{
    static const char text[] =
        DICT(TYPE "'norm_type':'%s','feature_names':['speed_chroma_uv','x_adm3'],'slopes':[1,0.25,2],"
                  "'intercepts':[0,-0.125,0.5],'chroma_correction_parameter':2,'model':'svm_type nu_svr\\n"
                  "kernel_type rbf\\ngamma 1\\ntotal_sv 1\\nrho 0\\nSV\\n1\\n'");
    static const struct {
        const char *norm;
        double chroma, adm3, want_q;
    } cases[] = {
        { "none", 0.5, 0.75, 0.25 + 0.5625 },
        { "none", 0.0, 0.75, 0.25 + 0.5625 },                                     /* 2 − 2 · 0.75 = 0.5 */
        { "linear_rescale", 1.0, 0.75, 0.125 * 0.125 + 4 },                       /* 0.25 − 0.125; 1.5 + 0.5 */
        { "linear_rescale", 0.0, 0.75, 0 + 4 },                                   /* 0.5 · 0.25 − 0.125 = 0 */
        { "linear_rescale", 0.0, 0.25, (0.375 - 0.125) * (0.375 - 0.125) + 1.0 }, /* 1.5 · 0.25 − 0.125 */
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        char *json = vmafx_sprintf(text, cases[i].norm);
        VmafxModel *model = parsed(json);
        double inputs[] = { cases[i].chroma, cases[i].adm3 };

        check_bits(cases[i].norm, vmafx_model_predict(model, 0, inputs, 0), exp(-cases[i].want_q));
        vmafx_model_free(&model);
        free(json);
    }
}

/* ---- Confidence ---- */

static void check_confidence(const char *why, const VmafxConfidence *got, double bagging, double stddev, double lo,
                             double hi)
{
    print_message("%s\n", why);
    check_near("bagging", got->bagging, bagging);
    if (fabs(got->stddev - stddev) > 1e-9) /* a quotient of differences of 0.01 */
        fail_msg("%s: stddev %.17g, wanted %.17g", why, got->stddev, stddev);
    check_near("ci_p95_lo", got->ci_p95_lo, lo);
    check_near("ci_p95_hi", got->ci_p95_hi, hi);
}

#define MEMBER(number, members) "'" number "':" CONSTANT_DICT("0", members)
#define FIVE(members)                                                                                                  \
    "{" MEMBER("0", ON("'p1':5")) "," MEMBER("1", members) "," MEMBER("2", "") "," MEMBER("3", "") "," MEMBER(         \
        "4", "") "," MEMBER("5", "") "}"

static void the_interval_follows_from_the_ensemble(void **state)
{
    static const struct {
        const char *why, *json;
        double raw[5];
        unsigned flags;
        double bagging, stddev, lo, hi;
    } cases[] = {
        /* mean 3, deviation √2; ranks 0.1 and 3.9 of 0 … 4 */
        { "plain", FIVE(""), { 3, 1, 2, 5, 4 }, 0, 3, M_SQRT2, 1.1, 4.9 },
        { "scaled by member 1", FIVE(ON("'p1':2")), { 3, 1, 2, 5, 4 }, 0, 6, 2 * M_SQRT2, 2.2, 9.8 },
        { "unless disabled",
          FIVE(ON("'p1':2")),
          { 3, 1, 2, 5, 4 },
          VMAFX_MODEL_DISABLE_TRANSFORM,
          3,
          M_SQRT2,
          1.1,
          4.9 },
        { "clipped on both sides", FIVE(CLIP), { 103, 101, 102, 105, 104 }, 0, 100, 0, 100, 100 },
        { "clipped on one side", FIVE(CLIP), { 100, 98, 99, 102, 101 }, 0, 100, M_SQRT2 / 2, 98.1, 100 },
        { "clip disabled",
          FIVE(CLIP),
          { 103, 101, 102, 105, 104 },
          VMAFX_MODEL_DISABLE_CLIP,
          103,
          M_SQRT2,
          101.1,
          104.9 },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VmafxModel *model = parsed(cases[i].json);
        VmafxConfidence got;
        double raw[5];

        memcpy(raw, cases[i].raw, sizeof raw);
        vmafx_model_confidence(model, raw, cases[i].flags, &got);
        check_confidence(cases[i].why, &got, cases[i].bagging, cases[i].stddev, cases[i].lo, cases[i].hi);
        for (int k = 1; k < 5; k++)
            assert_true(raw[k - 1] <= raw[k]);
        vmafx_model_free(&model);
    }
}

static void small_ensembles_have_intervals_too(void **state)
{
    VmafxModel *one = parsed("{" MEMBER("0", "") "," MEMBER("1", "") "}"), *none = parsed("{" MEMBER("0", "") "}");
    VmafxConfidence got;

    vmafx_model_confidence(one, &(double){ 7 }, 0, &got);
    check_confidence("an ensemble of one", &got, 7, 0, 7, 7);
    vmafx_model_confidence(none, NULL, 0, &got);
    assert_true(isnan(got.bagging) && isnan(got.stddev) && isnan(got.ci_p95_lo) && isnan(got.ci_p95_hi));
    vmafx_model_free(&one);
    vmafx_model_free(&none);
}

/* ---- The published models against the numbers of the reference ---- */

static const char *shared_or_skip(void)
{
    const char *shared = getenv("VMAFX_SHARED");

    if (!shared) {
        print_message("VMAFX_SHARED is not set: it names the folder with models/ and spec/golden/\n");
        skip();
    }
    return shared;
}

static VmafxModel *shared_model(const char *shared, const char *version)
{
    VmafxErrInfo info = { 0 };
    VmafxModel *model = NULL;
    char *path = vmafx_sprintf("%s/models/%s.json", shared, version);

    if (vmafx_model_load(path, &model, &info))
        fail_msg("%s", info.message);
    free(path);
    return model;
}

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_number(value))
        fail_msg("the golden file has no number '%s'", key);
    return json_number_value(value);
}

static void check_collection_line(const VmafxModel *model, const json_t *line, const double *inputs)
{
    const json_t *want = json_object_get(line, "raw");
    double raw[VMAFX_MODEL_MEMBERS_MAX];
    VmafxConfidence got;

    assert_int_equal(json_array_size(want), vmafx_model_members(model) - 1);
    for (size_t i = 0; i < json_array_size(want); i++) {
        raw[i] = vmafx_model_predict(model, i + 1, inputs, VMAFX_MODEL_DISABLE_CLIP | VMAFX_MODEL_DISABLE_TRANSFORM);
        check_bits("raw", raw[i], json_number_value(json_array_get(want, i)));
    }
    vmafx_model_confidence(model, raw, 0, &got);
    check_bits("bagging", got.bagging, number(line, "vmaf_b_bagging"));
    check_bits("stddev", got.stddev, number(line, "vmaf_b_stddev"));
    check_bits("ci_p95_lo", got.ci_p95_lo, number(line, "vmaf_b_ci_p95_lo"));
    check_bits("ci_p95_hi", got.ci_p95_hi, number(line, "vmaf_b_ci_p95_hi"));
    check_bits("percentile 2.5", got.ci_p95_lo, number(line, "percentile_2_5")); /* no clip is active here */
    check_bits("mean", got.bagging, number(line, "mean"));
}

static void check_single_line(const VmafxModel *model, const json_t *line, double *inputs)
{
    const VmafxModelMember *m = &model->members[0];
    const json_t *values = json_object_get(line, "inputs"), *scaled = json_object_get(line, "scaled");
    const json_t *vector = json_object_get(line, "first_support_vector");
    double q = 0;

    assert_int_equal(json_array_size(values), m->n_inputs);
    for (size_t j = 0; j < m->n_inputs; j++) {
        double x, t;

        inputs[j] = json_number_value(json_array_get(values, j));
        x = m->inputs[j].slope * inputs[j] + m->inputs[j].intercept;
        check_bits("scaled", x, json_number_value(json_array_get(scaled, j)));
        t = x - m->svm.vector[j];
        q += t * t;
    }
    check_bits("q", q, number(vector, "q"));
    check_bits("kernel", exp(-m->svm.gamma * q), number(vector, "kernel"));
    check_bits("svr", number(line, "sum") - m->svm.rho, number(line, "svr"));
    check_bits("denormalised",
               vmafx_model_predict(model, 0, inputs, VMAFX_MODEL_DISABLE_CLIP | VMAFX_MODEL_DISABLE_TRANSFORM),
               number(line, "denormalised"));
    check_bits("final", vmafx_model_predict(model, 0, inputs, 0), number(line, "final"));
}

static void intermediate_values_are_those_of_the_reference(void **state)
{
    static const char *const series[] = { "vmaf", "vmaf_neg", "vmaf_4k", "vmaf_b" };
    static const char *const versions[] = { "vmaf_v0.6.1", "vmaf_v0.6.1neg", "vmaf_4k_v0.6.1", "vmaf_b_v0.6.3" };
    const char *shared = shared_or_skip();
    char *path = vmafx_sprintf("%s/spec/golden/intermediate/model_s04_64x64_8.jsonl", shared);
    FILE *f = fopen(path, "r");
    double inputs[VMAFX_MODEL_FEATURES_MAX], plain[VMAFX_MODEL_FEATURES_MAX] = { 0 };
    VmafxModel *models[VMAFX_LEN(series)];
    json_t *line;
    int lines = 0;

    assert_non_null(f);
    for (size_t i = 0; i < VMAFX_LEN(series); i++)
        models[i] = shared_model(shared, versions[i]);
    while ((line = json_loadf(f, JSON_DISABLE_EOF_CHECK, NULL)) != NULL) {
        const char *name = json_string_value(json_object_get(line, "series"));
        size_t i = 0;

        while (i < VMAFX_LEN(series) && strcmp(series[i], name) != 0)
            i++;
        assert_true(i < VMAFX_LEN(series));
        if (json_object_get(line, "raw"))
            check_collection_line(models[i], line, plain); /* has the inputs of the vmaf line before it */
        else
            check_single_line(models[i], line, inputs);
        if (i == 0)
            memcpy(plain, inputs, sizeof plain);
        lines++;
        json_decref(line);
    }
    assert_int_equal(lines, 8);
    for (size_t i = 0; i < VMAFX_LEN(series); i++)
        vmafx_model_free(&models[i]);
    fclose(f);
    free(path);
}

/* One series of a golden file; the inputs are there under their report names. */
typedef struct GoldenSeries {
    const char *file, *version, *series;
    unsigned flags;
    const char *inputs[6];
} GoldenSeries;

static void check_golden_frame(const GoldenSeries *g, const VmafxModel *model, const json_t *metrics)
{
    double inputs[6], raw[VMAFX_MODEL_MEMBERS_MAX];
    char key[128];

    for (size_t j = 0; j < vmafx_model_inputs(model, 0); j++)
        inputs[j] = number(metrics, g->inputs[j]);
    check_bits(g->series, vmafx_model_predict(model, 0, inputs, g->flags), number(metrics, g->series));
    if (!vmafx_model_is_collection(model))
        return;

    for (size_t i = 1; i < vmafx_model_members(model); i++) {
        raw[i - 1] = vmafx_model_predict(model, i, inputs, VMAFX_MODEL_DISABLE_CLIP | VMAFX_MODEL_DISABLE_TRANSFORM);
        snprintf(key, sizeof key, "%s_%04zu", g->series, i);
        check_bits(key, vmafx_model_predict(model, i, inputs, g->flags), number(metrics, key));
    }

    VmafxConfidence c;
    vmafx_model_confidence(model, raw, g->flags, &c);
    const struct {
        const char *suffix;
        double value;
    } parts[] = {
        { "bagging", c.bagging }, { "stddev", c.stddev }, { "ci_p95_lo", c.ci_p95_lo }, { "ci_p95_hi", c.ci_p95_hi }
    };
    for (size_t i = 0; i < VMAFX_LEN(parts); i++) {
        snprintf(key, sizeof key, "%s_%s", g->series, parts[i].suffix);
        check_bits(key, parts[i].value, number(metrics, key));
    }
}

#define INTEGER_6                                                                                                      \
    {                                                                                                                  \
        "integer_adm2", "integer_motion2", "integer_vif_scale0", "integer_vif_scale1", "integer_vif_scale2",           \
            "integer_vif_scale3"                                                                                       \
    }
#define NEG_6                                                                                                          \
    {                                                                                                                  \
        "integer_adm2_egl_1", "integer_motion2", "integer_vif_scale0_egl_1", "integer_vif_scale1_egl_1",               \
            "integer_vif_scale2_egl_1", "integer_vif_scale3_egl_1"                                                     \
    }
#define V1_4                                                                                                           \
    {                                                                                                                  \
        "cambi_hrs_1080_cmxv_17_vlt_0.06", "speed_chroma_uv_mxv_45_nnf_0.1_snn_0.19_wvm_5",                            \
            "integer_adm3_csf_2_dlmw_0.7_egl_1_min_0.5_nw_0.02", "integer_motion3_mmxv_18"                             \
    }

static void scores_are_those_of_the_reference(void **state)
{
    enum { NO_CLIP = VMAFX_MODEL_DISABLE_CLIP, ENABLE = VMAFX_MODEL_ENABLE_TRANSFORM };
    static const GoldenSeries series[] = {
        { "s09_176x144_10", "vmaf_v0.6.1", "vmaf", 0, INTEGER_6 },
        { "s09_176x144_10", "vmaf_v0.6.1neg", "vmaf_neg", 0, NEG_6 },
        { "s09_176x144_10", "vmaf_4k_v0.6.1", "vmaf_4k", 0, INTEGER_6 },
        { "s09_176x144_10", "vmaf_b_v0.6.3", "vmaf_b", 0, INTEGER_6 },
        { "options/s09_transform", "vmaf_v0.6.1", "vmaf", ENABLE, INTEGER_6 },
        { "options/s09_transform", "vmaf_v0.6.1", "noclip", NO_CLIP, INTEGER_6 },
        { "options/s09_transform", "vmaf_b_v0.6.3", "b", ENABLE, INTEGER_6 },
        { "options/s09_transform", "vmaf_b_v0.6.3", "bb", NO_CLIP, INTEGER_6 },
        { "options/160x90_transform", "vmaf_v0.6.1", "vmaf", ENABLE, INTEGER_6 },
        { "options/160x90_transform", "vmaf_v0.6.1neg", "neg", ENABLE | NO_CLIP, NEG_6 },
        { "options/160x90_transform", "vmaf_b_v0.6.3", "b", ENABLE, INTEGER_6 },
        { "options/s12_noclip", "vmaf_4k_v0.6.1", "k4", NO_CLIP, INTEGER_6 },
        { "options/s12_noclip", "vmaf_4k_v0.6.1neg", "k4neg", 0, NEG_6 },
        { "options/s12_noclip", "vmaf_b_v0.6.3", "b", 0, INTEGER_6 },
        { "options/s12_noclip", "vmaf_b_v0.6.3", "bn", NO_CLIP, INTEGER_6 },
        { "v1/park_joy_skip1", "vmaf_v1.0.16_3d0h", "vmaf_v1.0.16_3d0h", 0, V1_4 }, /* no chroma in any frame */
        { "v1/v01_352x288_444_8", "vmaf_v1.0.16_3d0h", "vmaf_v1.0.16_3d0h", 0, V1_4 },
        { "v1/v10_512x384_444_8", "vmaf_v1.0.16_3d0h", "vmaf_v1.0.16_3d0h", 0, V1_4 }, /* clipped */
        { "v1/v19_512x384_444_8", "vmaf_v1.0.16_3d0h", "vmaf_v1.0.16_3d0h", 0, V1_4 }, /* chroma almost 0 */
    };
    const char *shared = shared_or_skip();

    for (size_t i = 0; i < VMAFX_LEN(series); i++) {
        const GoldenSeries *g = &series[i];
        char *path = vmafx_sprintf("%s/spec/golden/%s.json", shared, g->file);
        VmafxModel *model = shared_model(shared, g->version);
        json_error_t error;
        json_t *root = json_load_file(path, 0, &error), *frame;
        size_t n;

        if (!root)
            fail_msg("%s: %s", path, error.text);
        assert_true(json_array_size(json_object_get(root, "frames")) > 0);
        json_array_foreach(json_object_get(root, "frames"), n, frame)
        {
            check_golden_frame(g, model, json_object_get(frame, "metrics"));
        }
        print_message("%s %s: %zu frames\n", g->file, g->series, n);
        json_decref(root);
        vmafx_model_free(&model);
        free(path);
    }
}

static void every_published_model_is_read(void **state)
{
    const char *shared = shared_or_skip();
    char *folder = vmafx_sprintf("%s/models", shared);
    DIR *dir = opendir(folder);
    struct dirent *entry;
    int n = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        const char *dot = strrchr(entry->d_name, '.');

        if (!dot || strcmp(dot, ".json") != 0)
            continue;
        char *version = strndup(entry->d_name, (size_t)(dot - entry->d_name));
        VmafxModel *model = shared_model(shared, version);
        bool ensemble = strstr(version, "_b_") != NULL;

        assert_int_equal(vmafx_model_is_collection(model), ensemble);
        assert_int_equal(vmafx_model_members(model), ensemble ? 21 : 1);
        assert_int_equal(vmafx_model_inputs(model, 0), strstr(version, "v1.0") ? 4 : 6);
        vmafx_model_free(&model);
        free(version);
        n++;
    }
    assert_true(n > 0);
    closedir(dir);
    free(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_good_model_says_what_it_is),
        cmocka_unit_test(option_values_become_texts),
        cmocka_unit_test(numbers_do_not_depend_on_the_locale),
        cmocka_unit_test(unusual_but_good_models_are_read),
        cmocka_unit_test(members_are_taken_in_file_order),
        cmocka_unit_test(what_cannot_be_used_is_refused),
        cmocka_unit_test(a_collection_has_its_limits),
        cmocka_unit_test(a_file_has_a_limit_of_values),
        cmocka_unit_test(files_that_are_not_there_or_too_large_are_refused),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(the_score_is_the_formula),
        cmocka_unit_test(transform_and_clip_shape_the_score),
        cmocka_unit_test(zero_chroma_is_derived_from_adm),
        cmocka_unit_test(the_interval_follows_from_the_ensemble),
        cmocka_unit_test(small_ensembles_have_intervals_too),
        cmocka_unit_test(intermediate_values_are_those_of_the_reference),
        cmocka_unit_test(scores_are_those_of_the_reference),
        cmocka_unit_test(every_published_model_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
