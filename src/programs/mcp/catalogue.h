/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What assistants are told: tools with their schemas, prompts, resources, models, the meaning of scores and the typical
 * values of features. All of it is in catalogue.json, which is part of the program; this reads it and finds things in
 * it. Constant once it is open; any thread.
 */
#ifndef VMAFX_PROGRAMS_MCP_CATALOGUE_H
#define VMAFX_PROGRAMS_MCP_CATALOGUE_H

#include <stddef.h>

#include <jansson.h>

#include <vmafx/error.h>

/** Made by the build (tools/embed). */
extern const unsigned char mcp_catalogue[];
extern const size_t mcp_catalogue_len;

typedef struct Catalogue {
    json_t *root;    /* of the file */
    json_t *tools;   /* as tools/list gives them: without $ref */
    json_t *prompts; /* as prompts/list gives them: without their texts */
} Catalogue;

/** VMAFX_ERR_INTERNAL with a sentence when the file does not fit together; VMAFX_ERR_NOMEM */
VMAFX_CHECK VmafxErr catalogue_open(Catalogue *ret, VmafxErrInfo *reterr);
void catalogue_done(Catalogue *catalogue);

/** The entry of that name, or NULL; borrowed. */
json_t *catalogue_tool(const Catalogue *catalogue, const char *name);
json_t *catalogue_prompt(const Catalogue *catalogue, const char *name); /* with its text */

/** A score in a word ("good"), and what that means. Never NULL. */
const char *catalogue_rating(const Catalogue *catalogue, double score, const char **ret_text);
#endif
