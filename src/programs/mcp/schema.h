/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * JSON Schema 2020-12, as much of it as the catalogue uses: the schemas that clients are shown are those that arguments
 * are checked by. Known: type, enum, properties, required, additionalProperties, items, minItems, maxItems,
 * uniqueItems, minimum, maximum, minLength, maxLength, pattern (as an extended POSIX expression); title, description,
 * default and the like say nothing. $ref to #/$defs/NAME is resolved by schema_expand. Pure; any thread.
 */
#ifndef VMAFX_PROGRAMS_MCP_SCHEMA_H
#define VMAFX_PROGRAMS_MCP_SCHEMA_H

#include <jansson.h>

#include <vmafx/error.h>

#define SCHEMA_DEPTH_MAX 16

/**
 * Is the value as the schema wants it?
 * @param path  what the value is called in sentences: "arguments"; its members are "arguments.x[2].y"
 * @return VMAFX_ERR_INVALID with a sentence that says what would be right
 */
VMAFX_CHECK VmafxErr schema_check(const json_t *schema, const json_t *value, const char *path, VmafxErrInfo *reterr);

/**
 * A copy in which every {"$ref": "#/$defs/NAME"} is what stands there in defs.
 * @return NULL: no such definition, too deep (a definition within itself), or no memory
 */
json_t *schema_expand(const json_t *schema, const json_t *defs);

/** NULL, or the first keyword of the schema, or of one inside it, that schema_check does not know. For tests. */
const char *schema_unknown_keyword(const json_t *schema);
#endif
