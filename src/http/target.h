/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What stands in a request line: the target taken apart into decoded segments of the path and members of the query,
 * and patterns of routes tried on it. Pure; any thread.
 *
 * Refused, because two readers could see different things in it: malformed escapes, control characters, bytes that are
 * not UTF-8 once decoded, an escaped '/', the segments "." and "..". Rules: RFC 3986, RFC 9112 section 3.2; the query
 * is read as application/x-www-form-urlencoded.
 */
#ifndef VMAFX_HTTP_TARGET_H
#define VMAFX_HTTP_TARGET_H

#include <stdbool.h>
#include <stddef.h>

#include <vmafx/error.h>

#define VMAFX_HTTP_TARGET_MAX   8192 /* bytes of a target */
#define VMAFX_HTTP_SEGMENTS_MAX 32
#define VMAFX_HTTP_QUERY_MAX    64 /* members of a query */
#define VMAFX_HTTP_PARAMS_MAX   4  /* {names} in a pattern */

typedef struct VmafxHttpPair {
    const char *name, *value;
} VmafxHttpPair;

/** Owned by the caller; released by vmafx_http_target_done. A zeroed one may be. */
typedef struct VmafxHttpTarget {
    char *text;                                    /* holds everything below */
    char *raw_path, *raw_query;                    /* as they were sent; raw_query is NULL when there is no '?' */
    const char *segments[VMAFX_HTTP_SEGMENTS_MAX]; /* decoded; "/" is one empty segment, "/a/" is "a" and "" */
    size_t n_segments;
    VmafxHttpPair query[VMAFX_HTTP_QUERY_MAX]; /* decoded, in order; "?a" is "a" with "" */
    size_t n_query;
} VmafxHttpTarget;

/**
 * "/path?query", or the same behind "http://authority" as proxies send it.
 * @return VMAFX_ERR_SYNTAX, VMAFX_ERR_LIMIT (each with a sentence), VMAFX_ERR_NOMEM; *ret then holds nothing
 */
VMAFX_CHECK VmafxErr vmafx_http_target_parse(const char *text, size_t len, VmafxHttpTarget *ret, VmafxErrInfo *reterr);
void vmafx_http_target_done(VmafxHttpTarget *target);

/** The first member of that name, or NULL. Lives as long as the target. */
const char *vmafx_http_target_query(const VmafxHttpTarget *target, const char *name);

/** "/v1/jobs/{id}": each segment is a literal, or {name} with a name of a-z 0-9 _, different ones, at most four. */
bool vmafx_http_pattern_valid(const char *pattern);
/** Does a valid pattern fit? {name} takes any segment but the empty one. */
bool vmafx_http_pattern_match(const char *pattern, const VmafxHttpTarget *target);
/** The segment that stands at {name} of a pattern that fits, or NULL. Lives as long as the target. */
const char *vmafx_http_pattern_param(const char *pattern, const VmafxHttpTarget *target, const char *name);

/** No surrogates, no form longer than needed. */
bool vmafx_http_is_utf8(const char *text);

/**
 * A raw query with values that are secrets replaced by REDACTED: signatures of stored objects and tokens, by name,
 * without regard to case. Cut to fit; always terminated. Rule: HTTP semantic conventions, url.query.
 */
void vmafx_http_query_redact(const char *raw_query, char *ret, size_t size);
#endif
