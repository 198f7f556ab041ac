/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * URLs as text: taking them apart, strictly, and showing them without what is secret in them. Pure; any thread.
 */
#ifndef VMAFX_BASE_URL_H
#define VMAFX_BASE_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmafx/error.h>

#define VMAFX_URL_MAX      4097 /* bytes, with the terminating zero */
#define VMAFX_URL_HOST_MAX 254

/**
 * An http(s) URL (RFC 3986), taken apart. Only what is well formed beyond doubt is taken, so that nobody who reads it
 * after us can find another host in it: printable ASCII, a host of letters, digits, dots, hyphens and underscores or
 * an IPv6 address in brackets, a decimal port.
 */
typedef struct VmafxUrl {
    bool tls;                      /* https */
    bool ipv6;                     /* the host is an address that stood in brackets */
    char host[VMAFX_URL_HOST_MAX]; /* lower case, without brackets and without a dot at the end */
    uint16_t port;                 /* the scheme's when none was given */
    bool port_given;
    const char *user; /* "user:password" as it stands there, percent-encoded; NULL: none */
    size_t user_len;
    const char *target; /* path and query, up to the fragment; "" or begins with '/' or '?' */
    size_t target_len;
} VmafxUrl;

/** The views point into text. @return VMAFX_ERR_INPUT with a sentence that does not repeat the URL */
VMAFX_CHECK VmafxErr vmafx_url_parse(const char *text, VmafxUrl *ret, VmafxErrInfo *reterr);

/** One that has the same meaning, without user and fragment. VMAFX_ERR_LIMIT when it does not fit. */
VMAFX_CHECK VmafxErr vmafx_url_print(const VmafxUrl *url, char *ret, size_t size);

/** Same scheme, host and port. */
bool vmafx_url_same_origin(const VmafxUrl *a, const VmafxUrl *b);

/** "https://", "http://" or "s3://" in front, whatever the case. */
bool vmafx_uri_is_remote(const char *uri);

#define VMAFX_UPLOAD_URI_MAX 72 /* bytes of "upload:…", with the terminating zero */

/** "upload:…", whatever follows. */
bool vmafx_uri_is_upload(const char *uri);
/** The 64 lower-case hexadecimal digits behind "upload:", which are the SHA-256 of the content; NULL: not such a URI.
 */
const char *vmafx_uri_upload_digest(const char *uri);

/**
 * A URI as it may be shown: without user and password, with "?…" for a query and without a fragment; what cannot be
 * taken apart is "scheme://…". Paths ("/a", "file:///a") and uploads are as they are. Cut to size, never within a
 * character.
 * @param ret  may be uri itself, with strlen(uri) + 1 as its size
 */
void vmafx_url_redact(const char *uri, char *ret, size_t size);

/**
 * Redacts, as vmafx_url_redact does, each URL within a sentence: what has "://" in it, up to the closing quote where it
 * stands in quotes, else to the next blank. What is left of a URL that was taken apart ("//user:…" in quotes,
 * "https:/user:…") goes altogether. The text never gets longer, so that the ellipsis of a short one may be missing.
 */
void vmafx_urls_hide(char *text);

/** The last segment of its path, for names: "a.mp4"; the whole redacted text where there is none. Cut to size. */
void vmafx_uri_name(const char *uri, char *ret, size_t size);
#endif
