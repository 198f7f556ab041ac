/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Models and features from text, as command lines give them. The requests point into their own copy of it. */

#include "score/score.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"

/* Cuts the next item off *rest, which ends at a colon, and takes the backslashes off its colons. NULL at the end. */
static char *next_item(char **rest)
{
    char *item = *rest, *to = item;

    if (!item)
        return NULL;
    *rest = NULL;
    for (char *from = item;; from++) {
        if (*from == '\\' && from[1] == ':')
            from++;
        else if (*from == ':' || !*from) {
            *rest = *from ? from + 1 : NULL;
            *to = 0;
            return item;
        }
        *to++ = *from;
    }
}

/* Ends the key at the equals sign; NULL for an item without one. */
static char *value_of(char *item)
{
    char *equals = strchr(item, '=');

    if (!equals)
        return NULL;
    *equals = 0;
    return equals + 1;
}

static VmafxErr options_add(VmafxOptions *options, char *key, char *value)
{
    VmafxOption *more = realloc(options->items, (options->n + 1) * sizeof *more);

    if (!more)
        return VMAFX_ERR_NOMEM;
    options->items = more;
    options->items[options->n++] = (VmafxOption){ .key = key, .value = value };
    return VMAFX_OK;
}

static VmafxErr model_switch(unsigned *flags, unsigned flag, const char *key, const char *value, VmafxErrInfo *reterr)
{
    if (!value || !strcmp(value, "true"))
        *flags |= flag;
    else if (!strcmp(value, "false"))
        *flags &= ~flag;
    else
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "model: %s is true or false, not '%s'", key, value);
    return VMAFX_OK;
}

static VmafxErr model_item(VmafxModelRequest *m, char *item, bool first, bool bare_version, VmafxErrInfo *reterr)
{
    char *value = value_of(item);

    if (!strcmp(item, "disable_clip"))
        return model_switch(&m->flags, VMAFX_MODEL_DISABLE_CLIP, item, value, reterr);
    if (!strcmp(item, "enable_transform"))
        return model_switch(&m->flags, VMAFX_MODEL_ENABLE_TRANSFORM, item, value, reterr);
    if (!value && first && !strcmp(item, "onnx")) {
        m->onnx = true;
        return VMAFX_OK;
    }
    if (!value && first && bare_version && *item) {
        m->version = item;
        return VMAFX_OK;
    }
    if (!value || !*value)
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "model: '%s' lacks its value: KEY=VALUE is expected", item);
    if (!strcmp(item, "version"))
        m->version = value;
    else if (!strcmp(item, "path"))
        m->path = value;
    else if (!strcmp(item, "name"))
        m->name = value;
    else if (strchr(item, '.'))
        return options_add(&m->overloads, item, value);
    else
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX,
                          "model: '%s' is not known: there are version, path, name, disable_clip, enable_transform and "
                          "EXTRACTOR.OPTION",
                          item);
    return VMAFX_OK;
}

VmafxErr vmafx_model_request_parse(const char *text, bool bare_version, VmafxModelRequest *ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_model_request_done) VmafxModelRequest m = { .text = vmafx_strdup(text) };
    char *rest = m.text;
    VmafxErr err = rest ? VMAFX_OK : VMAFX_ERR_NOMEM;

    for (bool first = true; rest && !err; first = false)
        err = model_item(&m, next_item(&rest), first, bare_version, reterr);
    if (!err && !m.version == !m.path)
        err = vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "model '%s': %s", text,
                         m.path ? "version and path exclude each other" : "neither version nor path is given");
    if (!err && m.onnx && !m.path)
        err = vmafx_fail(
            reterr, VMAFX_ERR_SYNTAX,
            "model '%s': onnx wants the file, as in onnx:path=FILE; an installed one is named by its version "
            "alone",
            text);
    if (err)
        return err;
    *ret = m;
    m = (VmafxModelRequest){ 0 };
    return VMAFX_OK;
}

void vmafx_model_request_done(VmafxModelRequest *request)
{
    free(request->overloads.items);
    free(request->text);
    *request = (VmafxModelRequest){ 0 };
}

VmafxErr vmafx_feature_request_parse(const char *text, VmafxFeatureRequest *ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_feature_request_done) VmafxFeatureRequest f = { .text = vmafx_strdup(text) };
    VmafxErr err = VMAFX_OK;

    if (!f.text)
        return VMAFX_ERR_NOMEM;
    char *rest = value_of(f.text);
    f.name = f.text;
    if (!*f.name)
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "feature '%s': its name is missing", text);
    while (rest && !err) {
        char *key = next_item(&rest), *value = value_of(key);

        if (!value || !*key)
            return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "feature '%s': '%s' lacks its value: OPTION=VALUE is expected",
                              text, key);
        err = options_add(&f.options, key, value);
    }
    if (err)
        return err;
    *ret = f;
    f = (VmafxFeatureRequest){ 0 };
    return VMAFX_OK;
}

void vmafx_feature_request_done(VmafxFeatureRequest *request)
{
    free(request->options.items);
    free(request->text);
    *request = (VmafxFeatureRequest){ 0 };
}
