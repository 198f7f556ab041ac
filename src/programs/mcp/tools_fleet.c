/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Tools about what measures: models, nodes, health. */

#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "programs/mcp/document.h"
#include "programs/mcp/tools.h"

static bool has_text(const json_t *array, const char *text)
{
    const json_t *value;
    size_t i;

    json_array_foreach(array, i, value) if (!strcmp(json_string_value(value), text)) return true;
    return false;
}

static json_t *models_document(const json_t *known, json_t *installed)
{
    json_t *models = json_array();
    const json_t *value;
    size_t i, k;
    bool told = json_array_size(installed) > 0; /* a controller does not know */

    json_array_foreach(known, i, value)
    {
        const char *version = json_string_value(json_object_get(value, "version"));
        json_t *d = json_pack("{s:s, s:O}", "version", version, "use", json_object_get(value, "text"));
        if (told)
            VMAFX_IGNORE(json_object_set_new(d, "installed", json_boolean(has_text(installed, version))));
        VMAFX_IGNORE(json_array_append_new(models, d));
    }
    json_array_foreach(installed, i, value)
    {
        bool listed = false;
        const json_t *entry;
        json_array_foreach(known, k, entry) listed =
            listed || !strcmp(json_string_value(json_object_get(entry, "version")), json_string_value(value));
        if (!listed)
            VMAFX_IGNORE(json_array_append_new(
                models, json_pack("{s:s, s:b}", "version", json_string_value(value), "installed", 1)));
    }
    return models;
}

VmafxErr tool_list_models(Call *call, const json_t *arguments, ToolOutput *ret, VmafxErrInfo *reterr)
{
    Backend *b = call->program->backend;
    json_t *installed = json_array();
    VmafxErr err = b->ops->models(b, installed, reterr);

    if (!err) {
        ret->text =
            vmafx_sprintf("%zu models are installed%s.", json_array_size(installed),
                          json_array_size(installed) ? "" : " as far as is known: the nodes say when they run a job");
        ret->value = json_pack("{s:o}", "models",
                               models_document(json_object_get(call->program->catalogue.root, "models"), installed));
        err = ret->value && ret->text ? VMAFX_OK : VMAFX_ERR_NOMEM;
    }
    json_decref(installed);
    return err;
}

VmafxErr tool_list_nodes(Call *call, const json_t *arguments, ToolOutput *ret, VmafxErrInfo *reterr)
{
    Backend *b = call->program->backend;
    json_t *nodes = json_array();
    VmafxErr err = b->ops->nodes(b, nodes, reterr);

    if (err) {
        json_decref(nodes);
        return err;
    }
    ret->text = vmafx_sprintf("%zu nodes.", json_array_size(nodes));
    ret->value = json_pack("{s:o}", "nodes", nodes);
    return ret->value && ret->text ? VMAFX_OK : VMAFX_ERR_NOMEM;
}

/* ---- Health ---- */

static void check_roots(const Program *program, json_t *checks)
{
    const char *at = program->roots;
    char root[4096];

    if (!at || !*at) {
        health_check(checks, "roots", "warn",
                     "no folder may be read: only URLs can be measured. VMAFX_MCP_ROOTS allows some");
        return;
    }
    health_check(checks, "roots", "ok", "files below %.400s may be read", program->roots);
    if (strcmp(program->backend->ops->kind, "alone") != 0)
        return; /* they are the nodes' folders */
    while (*at) {
        size_t n = strcspn(at, ":");
        snprintf(root, sizeof root, "%.*s", (int)VMAFX_MIN(n, sizeof root - 1), at);
        if (n && access(root, R_OK | X_OK))
            health_check(checks, "roots", "fail", "the folder %.400s cannot be read", root);
        at += n + (at[n] == ':');
    }
}

static VmafxErr examine(Call *call, bool thorough, ToolOutput *ret)
{
    Backend *b = call->program->backend;
    json_t *value = json_object(), *checks = json_array(), *check;
    bool healthy = true;
    char *text = NULL;
    size_t size, i;
    FILE *out = open_memstream(&text, &size);

    b->ops->health(b, thorough, value, checks);
    if (thorough)
        check_roots(call->program, checks);
    if (out) {
        json_array_foreach(checks, i, check)
        {
            const char *verdict = json_string_value(json_object_get(check, "verdict"));
            healthy = healthy && strcmp(verdict, "fail") != 0;
            fprintf(out, "%s%-4s %s: %s", i ? "\n" : "", verdict, json_string_value(json_object_get(check, "check")),
                    json_string_value(json_object_get(check, "text")));
        }
        ret->text = fclose(out) ? NULL : text;
    }
    set_text(value, "backend", b->ops->kind);
    set_text(value, "version", MCP_VERSION);
    VMAFX_IGNORE(json_object_set_new(value, "healthy", json_boolean(healthy)));
    VMAFX_IGNORE(json_object_set_new(value, "checks", checks));
    ret->value = value;
    return ret->value && ret->text ? VMAFX_OK : VMAFX_ERR_NOMEM;
}

VmafxErr tool_health(Call *call, const json_t *arguments, ToolOutput *ret, VmafxErrInfo *reterr)
{
    return examine(call, false, ret);
}

VmafxErr tool_doctor(Call *call, const json_t *arguments, ToolOutput *ret, VmafxErrInfo *reterr)
{
    return examine(call, true, ret);
}
