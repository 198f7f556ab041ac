/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the headers of a download say (RFC 9110, RFC 9111). Pure; whatever comes is read or refused. */
#ifndef VMAFX_INPUTS_HEADERS_H
#define VMAFX_INPUTS_HEADERS_H

#include <stdbool.h>
#include <stdint.h>

#define CACHE_AGE_MAX_S ((int64_t)365 * 24 * 3600)

/** "bytes 5-9/10": first 5, last 9, total 10; total -1 for an asterisk. False for anything else. */
typedef struct ContentRange {
    int64_t first, last, total;
} ContentRange;
bool content_range_parse(const char *text, ContentRange *ret);

/** What a shared cache may do. Zeroes for "". */
typedef struct CacheControl {
    bool no_store;
    int64_t max_age_s; /* how long it needs no question; 0 with no-cache and private; at most CACHE_AGE_MAX_S */
} CacheControl;
CacheControl cache_control_parse(const char *text);

/** Seconds from now, of a number or an HTTP date; 0 when it is neither or past. */
int64_t retry_after_parse(const char *text, int64_t now_unix_s);

/** "Sun, 06 Nov 1994 08:49:37 GMT" in Unix seconds; -1 for anything else. */
int64_t http_date_parse(const char *text);

/** A whole number of decimal digits; -1 for anything else. */
int64_t number_parse(const char *text);

/** One that promises the same bytes: in quotes and not W/. */
bool etag_is_strong(const char *etag);
/** Any that may be sent back: with or without W/, printable. */
bool etag_is_usable(const char *etag);
#endif
