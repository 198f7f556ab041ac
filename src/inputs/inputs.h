/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Inputs of a scoring as open descriptors: files below the roots that the operator allows, and http(s) URLs that the
 * policy allows, fetched here into a bounded cache. For node, server and MCP; a scorer only ever sees descriptors.
 *
 *     VmafxInputs *inputs = NULL;
 *     err = vmafx_inputs_open(&config, &inputs, &info);
 *     VmafxInput input;
 *     err = vmafx_inputs_get(inputs, "https://media.example/a.mp4", NULL, &input, &info);
 *     … input.fd …
 *     vmafx_input_done(&input);
 *
 * Paths are resolved by the kernel below the root that they name (openat2, RESOLVE_BENEATH): no symbolic link and no
 * ".." leads out. URLs: the host must be allowed, every address that is connected to is checked (so is each
 * redirect's), downloads have limits in bytes and time, broken ones are resumed by range and validator. What a URL says
 * behind its path (signatures) and before its host (passwords) is in no sentence, span, log or metric: see base/url.h.
 *
 * Any thread; get may wait for as long as a download takes. A name lookup that hangs is waited for by no one.
 */
#ifndef VMAFX_INPUTS_INPUTS_H
#define VMAFX_INPUTS_INPUTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmafx/error.h>

#include "base/digest.h"
#include "base/settings.h"
#include "base/url.h"

#define VMAFX_INPUT_ROOTS_MAX 64
#define VMAFX_INPUT_HOSTS_MAX 256
#define VMAFX_INPUT_URI_MAX   VMAFX_URL_MAX

typedef struct VmafxInputs VmafxInputs;

/** Texts are copied. Zeroes are the strict defaults: no path and no URL is allowed. */
typedef struct VmafxInputsConfig {
    const char *roots;       /* absolute folders, separated by colons; "/" is all */
    const char *roots_name;  /* of the setting, for sentences: "VMAFX_NODE_INPUT_ROOTS" */
    const char *url_hosts;   /* allowed hosts, separated by commas: "media.example", "*.example.org", "*" */
    bool url_private;        /* loopback, link-local, private and other special addresses too */
    bool url_plain;          /* http:// too, not only https:// */
    bool url_proxy;          /* by http_proxy, https_proxy and no_proxy; addresses are then the proxy's */
    const char *url_ca_file; /* PEM, trusted for them; NULL: the system's */
    int64_t url_bytes_max;   /* of one download; 0: 64 GiB */
    uint32_t url_timeout_ms; /* of one download, all attempts together; 0: 1 h */
    uint32_t url_stall_ms;   /* without a byte, then another attempt; 0: 20 s */
    const char *cache;       /* folder, made when missing; NULL: downloads are dropped after use */
    int64_t cache_bytes_max; /* 0: 64 GiB; what is in use is never dropped */
    bool cache_verify;       /* the digest of what is kept is compared before each use, not only size and time */
    const char *version;     /* of the program, for signals and as "vmafx/VERSION" for servers */
} VmafxInputsConfig;

/** An input that is open. */
typedef struct VmafxInput {
    int fd;                         /* at its start, close-on-exec; the caller's, -1 when it was handed on */
    int64_t size;                   /* bytes; -1: not a regular file */
    bool fetched;                   /* by URL, or an upload */
    bool cached;                    /* … and it was there already */
    int64_t fetched_bytes;          /* over the network, for this call */
    char sha256[VMAFX_SHA256_TEXT]; /* of a fetched one; else "" */
    char host[VMAFX_URL_HOST_MAX];  /* of the URL, or of the store; "" for a path */
    int port;
    bool may_pass; /* after an error: worth another attempt */
    bool resource; /* after an error: it was this machine's disk, memory or limit, and not the input */
} VmafxInput;

struct VmafxInputWait;

/** Who brings uploads ("upload:SHA256"). */
typedef struct VmafxInputSource {
    /**
     * Brings the bytes from offset on, in order, through write (total: bytes of the whole; its error is the end of it).
     * Asked again for the rest where its error may pass (vmafx_err_retry). Looks at wait's stop and deadline_ns.
     */
    VmafxErr (*fetch)(void *ctx, const char *uri, int64_t offset, const struct VmafxInputWait *wait,
                      VmafxErr (*write)(void *to, int64_t total, const void *data, size_t len, VmafxErrInfo *reterr),
                      void *to, VmafxErrInfo *reterr);
    void *ctx;
} VmafxInputSource;

/** For those who wait: how far a download is. From the thread that called get. */
typedef struct VmafxInputWait {
    const atomic_bool *stop; /* set by any thread: get returns VMAFX_ERR_CANCELLED within a second; NULL: never */
    uint64_t deadline_ns;    /* CLOCK_MONOTONIC; 0: none but the config's */
    void (*progress)(void *ctx, int64_t bytes, int64_t total); /* total 0: unknown; NULL: not wanted */
    void *ctx;
    const VmafxInputSource *source; /* of uploads; NULL: there are none, they are refused */
} VmafxInputWait;

/* clang-format off */
/** Rows of a table of settings. That of the roots has another name in each program (VMAFX_NODE_INPUT_ROOTS). */
#define VMAFX_INPUT_SETTINGS \
    { "VMAFX_INPUT_URL_HOSTS", "input-url-hosts", "HOST,HOST", VMAFX_SETTING_TEXT, NULL, 0, 0, false, \
      "hosts that inputs may be fetched from, separated by commas: media.example, *.example.org, * for all; none when " \
      "not set" }, \
    { "VMAFX_INPUT_URL_PRIVATE", "input-url-private", NULL, VMAFX_SETTING_BOOL, NULL, 0, 0, false, \
      "inputs from private, loopback and other addresses that are not public, too" }, \
    { "VMAFX_INPUT_URL_PLAIN", "input-url-plain", NULL, VMAFX_SETTING_BOOL, NULL, 0, 0, false, \
      "inputs over http without TLS, too" }, \
    { "VMAFX_INPUT_URL_CA", "input-url-ca", "FILE", VMAFX_SETTING_TEXT, NULL, 0, 0, false, \
      "certificates, PEM, that are trusted for inputs instead of the system's" }, \
    { "VMAFX_INPUT_URL_PROXY", "input-url-proxy", NULL, VMAFX_SETTING_BOOL, NULL, 0, 0, false, \
      "inputs through the proxies of http_proxy, https_proxy and no_proxy" }, \
    { "VMAFX_INPUT_URL_MAX_BYTES", "input-url-max-bytes", "SIZE", VMAFX_SETTING_BYTES, "64GiB", 0, 0, false, \
      "the largest input that is fetched" }, \
    { "VMAFX_INPUT_URL_TIMEOUT", "input-url-timeout", "TIME", VMAFX_SETTING_DURATION, "1h", 1000, 604800000, false, \
      "for fetching one input, all attempts together" }, \
    { "VMAFX_INPUT_CACHE", "input-cache", "DIR", VMAFX_SETTING_TEXT, NULL, 0, 0, false, \
      "where fetched inputs are kept, shared by processes of one user; when not set, they are dropped after use" }, \
    { "VMAFX_INPUT_CACHE_MAX_BYTES", "input-cache-max-bytes", "SIZE", VMAFX_SETTING_BYTES, "64GiB", 0, 0, false, \
      "of all that is kept; the least recently used goes first" }, \
    { "VMAFX_INPUT_CACHE_VERIFY", "input-cache-verify", NULL, VMAFX_SETTING_BOOL, NULL, 0, 0, false, \
      "compare the digest of what is kept before each use, not only its size and time" }
/* clang-format on */

/** By VMAFX_INPUT_SETTINGS; without roots. Texts are the settings'. */
VmafxInputsConfig vmafx_inputs_config_from(const VmafxSettings *settings, const char *version);

/** @return VMAFX_ERR_INVALID, VMAFX_ERR_NOT_FOUND, VMAFX_ERR_IO, VMAFX_ERR_LIMIT with a sentence; VMAFX_ERR_NOMEM */
VMAFX_CHECK VmafxErr vmafx_inputs_open(const VmafxInputsConfig *config, VmafxInputs **ret, VmafxErrInfo *reterr);
/** No get may be under way. */
void vmafx_inputs_close(VmafxInputs **inputs);

/**
 * Opens a path ("/a/b.mp4", "file:///a/b.mp4"), fetches a URL ("https://…", "http://…") or an object of an S3-like
 * store
 * ("s3://bucket/key", with AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID,
 * AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN of the environment at the time of vmafx_inputs_open).
 * An upload ("upload:SHA256") comes from wait->source, into the same cache, and is what its digest says.
 * @param wait  may be NULL
 * @return VMAFX_ERR_NOT_FOUND; VMAFX_ERR_FORBIDDEN (roots, hosts, addresses, a refusing server); VMAFX_ERR_INPUT (not a
 * file, not a URL of ours); VMAFX_ERR_LIMIT (size); VMAFX_ERR_DEADLINE; VMAFX_ERR_UNREACHABLE; VMAFX_ERR_TRUNCATED
 * (less than promised, after all attempts); VMAFX_ERR_CANCELLED; VMAFX_ERR_IO; VMAFX_ERR_NOMEM, each with a sentence,
 * and ret->may_pass
 */
VMAFX_CHECK VmafxErr vmafx_inputs_get(VmafxInputs *inputs, const char *uri, const VmafxInputWait *wait, VmafxInput *ret,
                                      VmafxErrInfo *reterr);
/** Closes the descriptor unless it is -1. */
void vmafx_input_done(VmafxInput *input);

#endif
