/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What assistants are told. */

#include "programs/mcp/catalogue.h"

#include <string.h>

#include "base/base.h"
#include "programs/mcp/schema.h"

static const char dialect[] = "https://json-schema.org/draft/2020-12/schema";

static json_t *schema_of(const json_t *schema, const json_t *defs)
{
    json_t *copy =
        schema_expand(json_is_string(schema) ? json_object_get(defs, json_string_value(schema)) : schema, defs);

    if (copy && json_object_set_new(copy, "$schema", json_string(dialect))) {
        json_decref(copy);
        return NULL;
    }
    return copy;
}

static VmafxErr add_tool(Catalogue *c, const json_t *tool, VmafxErrInfo *reterr)
{
    const json_t *defs = json_object_get(c->root, "$defs");
    json_t *copy = json_deep_copy(tool);

    if (!copy || json_object_set_new(copy, "inputSchema", schema_of(json_object_get(tool, "inputSchema"), defs)) ||
        json_object_set_new(copy, "outputSchema", schema_of(json_object_get(tool, "outputSchema"), defs))) {
        json_decref(copy);
        return vmafx_fail(reterr, VMAFX_ERR_INTERNAL, "the schemas of the tool '%s' do not fit together",
                          json_string_value(json_object_get(tool, "name")));
    }
    return json_array_append_new(c->tools, copy) ? VMAFX_ERR_NOMEM : VMAFX_OK;
}

VmafxErr catalogue_open(Catalogue *ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(catalogue_done) Catalogue c = { .tools = json_array(), .prompts = json_array() };
    VmafxErr err = VMAFX_OK;
    json_error_t error;
    json_t *entry;
    size_t i;

    c.root = json_loadb((const char *)mcp_catalogue, mcp_catalogue_len, JSON_REJECT_DUPLICATES, &error);
    if (!c.root)
        return vmafx_fail(reterr, VMAFX_ERR_INTERNAL, "catalogue.json, line %d: %s", error.line, error.text);
    json_array_foreach(json_object_get(c.root, "tools"), i, entry)
    {
        err = err ? err : add_tool(&c, entry, reterr);
    }
    json_array_foreach(json_object_get(c.root, "prompts"), i, entry)
    {
        json_t *copy = json_deep_copy(entry);
        if (!err && (json_object_del(copy, "text") || json_array_append(c.prompts, copy)))
            err = VMAFX_ERR_NOMEM;
        json_decref(copy);
    }
    if (err)
        return err;
    *ret = c;
    c = (Catalogue){ 0 };
    return VMAFX_OK;
}

void catalogue_done(Catalogue *catalogue)
{
    json_decref(catalogue->root);
    json_decref(catalogue->tools);
    json_decref(catalogue->prompts);
    *catalogue = (Catalogue){ 0 };
}

static json_t *named(const json_t *array, const char *name)
{
    json_t *entry;
    size_t i;

    json_array_foreach(array, i,
                       entry) if (!strcmp(json_string_value(json_object_get(entry, "name")), name)) return entry;
    return NULL;
}

json_t *catalogue_tool(const Catalogue *catalogue, const char *name)
{
    return named(catalogue->tools, name);
}

json_t *catalogue_prompt(const Catalogue *catalogue, const char *name)
{
    return named(json_object_get(catalogue->root, "prompts"), name);
}

const char *catalogue_rating(const Catalogue *catalogue, double score, const char **ret_text)
{
    const char *word = "", *text = "";
    const json_t *band;
    size_t i;

    json_array_foreach(json_object_get(catalogue->root, "bands"), i, band)
    {
        word = json_string_value(json_object_get(band, "word"));
        text = json_string_value(json_object_get(band, "text"));
        if (score >= json_number_value(json_object_get(band, "from")))
            break; /* the last one is for all that is left */
    }
    if (ret_text)
        *ret_text = text;
    return word;
}
