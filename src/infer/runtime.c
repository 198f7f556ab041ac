/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The library is loaded by its name; of its symbols only one is looked up, which gives the table of functions. */

#include "infer/runtime.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "base/config.h"

/* What OrtGetApiBase gives. */
typedef struct OrtBase {
    const void *const *(*get_api)(uint32_t version); /* NULL: the library is older than that */
    const char *(*get_version)(void);
} OrtBase;

static const char *const usual_names[] = { "libonnxruntime.so.1", "libonnxruntime.so.1.21" };

/* Its warnings are about graphs that could be faster; its errors come as statuses. */
static void logged(void *ctx, int severity, const char *category, const char *id, const char *place,
                   const char *message)
{
}

static VmafxErr not_there(const char *named, VmafxErrInfo *reterr)
{
    const char *why = dlerror();

    if (named)
        return vmafx_fail(reterr, VMAFX_ERR_UNSUPPORTED,
                          "ONNX Runtime cannot be loaded from '%.200s', which VMAFX_ONNXRUNTIME names: %.200s", named,
                          why ? why : "no reason is given");
    return vmafx_fail(
        reterr, VMAFX_ERR_UNSUPPORTED,
        "ONNX Runtime is not installed (%s): install it (Debian 13: libonnxruntime1.21), or name the file "
        "libonnxruntime.so in VMAFX_ONNXRUNTIME",
        usual_names[0]);
}

/* RTLD_NODELETE: see the header. */
static VmafxErr load(void **ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_config_free) VmafxConfig *config = NULL;
    VmafxErr err = vmafx_config_load(&config, reterr);
    const int how = RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE;
    void *library = NULL;

    if (err)
        return err;
    const char *named = vmafx_config_get(config, "VMAFX_ONNXRUNTIME", NULL);
    if (named)
        library = dlopen(named, how);
    for (size_t i = 0; !named && !library && i < VMAFX_LEN(usual_names); i++)
        library = dlopen(usual_names[i], how);
    if (!library)
        return not_there(named, reterr);
    *ret = library;
    return VMAFX_OK;
}

static VmafxErr take_functions(void *library, OrtRuntime *rt, VmafxErrInfo *reterr)
{
    const OrtBase *(*get_base)(void) = (const OrtBase *(*)(void))(uintptr_t)dlsym(library, "OrtGetApiBase");
    const OrtBase *base = get_base ? get_base() : NULL;

    if (!base)
        return vmafx_fail(reterr, VMAFX_ERR_UNSUPPORTED,
                          "the library that was loaded as ONNX Runtime is none: it has no OrtGetApiBase");
    snprintf(rt->version, sizeof rt->version, "%s", base->get_version());
    const void *const *table = base->get_api(ORT_API_WANTED);
    if (!table)
        return vmafx_fail(reterr, VMAFX_ERR_UNSUPPORTED, "ONNX Runtime %s is too old: 1.%d or a later one is needed",
                          rt->version, ORT_API_WANTED);
#define ORT_TAKE(place, result, name, parameters) rt->f.name = (result(*) parameters)(uintptr_t)table[place];
    ORT_ENTRIES(ORT_TAKE)
#undef ORT_TAKE
    return VMAFX_OK;
}

VmafxErr infer_runtime_open(OrtRuntime *ret, VmafxErrInfo *reterr)
{
    OrtRuntime rt = { 0 };
    void *library = NULL;
    VmafxErr err = load(&library, reterr);

    if (!err)
        err = take_functions(library, &rt, reterr);
    if (library)
        dlclose(library); /* it stays all the same */
    if (!err)             /* one environment in a process: the library counts who has it */
        err = infer_status(&rt, rt.f.CreateEnvWithCustomLogger(logged, NULL, ORT_LOG_FATAL, "vmafx", &rt.env),
                           "ONNX Runtime cannot be started", reterr);
    if (err)
        return err;
    *ret = rt;
    return VMAFX_OK;
}

void infer_runtime_done(OrtRuntime *runtime)
{
    if (runtime->env)
        runtime->f.ReleaseEnv(runtime->env);
    *runtime = (OrtRuntime){ 0 };
}

static bool says_memory(const char *text)
{
    static const char *const words[] = { "bad_alloc", "bad allocation", "Failed to allocate", "out of memory" };

    for (size_t i = 0; i < VMAFX_LEN(words); i++)
        if (strstr(text, words[i]))
            return true;
    return false;
}

/* Is there the name of a source file with a line, "….cc:46 ", at this word? */
static bool is_source_line(const char *word, size_t len)
{
    size_t digits = 0;

    while (digits < len && word[len - 1 - digits] >= '0' && word[len - 1 - digits] <= '9')
        digits++;
    const char *colon = word + len - digits - 1;
    return digits && digits + 3 < len && *colon == ':' &&
           (!strncmp(colon - 3, ".cc", 3) || !strncmp(colon - 2, ".h", 2));
}

/* Behind the signature of a function: its last list of arguments, with a blank after it. */
static const char *behind_signature(const char *text)
{
    int depth = 0;

    for (const char *c = text; *c; c++) {
        depth += (*c == '(') - (*c == ')');
        if (*c == ')' && depth == 0 && c[1] == ' ')
            return c + 2;
    }
    return text;
}

/* The library says where in its source a thing was found, which helps nobody here: takes that out. */
static void drop_places(char *text)
{
    for (char *word = text; *word;) {
        size_t len = strcspn(word, " ");

        if (word[len] && is_source_line(word, len)) {
            const char *rest = behind_signature(word + len + 1);

            memmove(word, rest, strlen(rest) + 1);
        } else {
            word += len + (word[len] != 0);
        }
    }
}

VmafxErr infer_status(const OrtRuntime *runtime, void *status, const char *what, VmafxErrInfo *reterr)
{
    char text[1000];

    if (!status)
        return VMAFX_OK;
    snprintf(text, sizeof text, "%s", runtime->f.GetErrorMessage(status));
    runtime->f.ReleaseStatus(status);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f)
            *c = ' ';
    drop_places(text);
    return vmafx_fail(reterr, says_memory(text) ? VMAFX_ERR_NOMEM : VMAFX_ERR_MODEL, "%s: %.300s", what, text);
}
