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
 * ".." leads out. URLs: the host must be allowed, every address that is connected to is checked (so is each redirect's),
 * downloads have limits in bytes and time, broken ones are resumed by range and validator. What a URL says behind its
 * path (signatures) and before its host (passwords) is in no sentence, span, log or metric: see vmafx_url_redact.
 *
 * Any thread; get may wait for as long as a download takes.
 */
#ifndef VMAFX_INPUTS_INPUTS_H
#define VMAFX_INPUTS_INPUTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmafx/error.h>

#include "base/config.h"
#include "base/digest.h"

#define VMAFX_INPUT_ROOTS_MAX 64
#define VMAFX_INPUT_HOSTS_MAX 256
#define VMAFX_INPUT_URI_MAX   4096

typedef struct VmafxInputs VmafxInputs;

/** Texts are copied. Zeroes are the strict defaults: no path and no URL is allowed. */
typedef struct VmafxInputsConfig {
    const char *roots;        /* absolute folders, separated by colons; "/" is all */
    const char *roots_name;   /* of the setting, for sentences: "VMAFX_NODE_INPUT_ROOTS" */
    const char *url_hosts;    /* allowed hosts, separated by commas: "media.example", "*.example.org", "*" */
    bool url_private;         /* loopback, link-local, private and other special addresses too */
    bool url_plain;           /* http:// too, not only https:// */
    const char *url_ca_file;  /* PEM, trusted for them; NULL: the system's */
    int64_t url_bytes_max;    /* of one download; 0: 64 GiB */
    uint32_t url_timeout_ms;  /* of one download, all attempts together; 0: 1 h */
    uint32_t url_stall_ms;    /* without a byte, then another attempt; 0: 20 s */
    const char *cache;        /* folder, made when missing; NULL: downloads are dropped after use */
    int64_t cache_bytes_max;  /* 0: 64 GiB; what is in use is never dropped */
} VmafxInputsConfig;

/** An input that is open. */
typedef struct VmafxInput {
    int fd;        /* at its start, close-on-exec; the caller's, -1 when it was handed on */
    int64_t size;  /* bytes; -1: not a regular file */
    bool fetched;  /* by URL */
    bool cached;   /* … and it was there already */
    int64_t fetched_bytes; /* over the network, for this call */
    char sha256[VMAFX_SHA256_TEXT]; /* of a fetched one; else "" */
    bool may_pass; /* after an error: worth another attempt */
} VmafxInput;

/** For those who wait: how far a download is. From the thread that called get. */
typedef struct VmafxInputWait {
    const atomic_bool *stop; /* set by any thread: get returns VMAFX_ERR_CANCELLED within a second; NULL: never */
    uint64_t deadline_ns;    /* CLOCK_MONOTONIC; 0: none but the config's */
    void (*progress)(void *ctx, int64_t bytes, int64_t total); /* total 0: unknown; NULL: not wanted */
    void *ctx;
} VmafxInputWait;

/** @return VMAFX_ERR_INVALID, VMAFX_ERR_NOT_FOUND, VMAFX_ERR_IO, VMAFX_ERR_LIMIT with a sentence; VMAFX_ERR_NOMEM */
VMAFX_CHECK VmafxErr vmafx_inputs_open(const VmafxInputsConfig *config, VmafxInputs **ret, VmafxErrInfo *reterr);
/** No get may be under way. */
void vmafx_inputs_close(VmafxInputs **inputs);

/**
 * Opens a path ("/a/b.mp4", "file:///a/b.mp4"), fetches a URL ("https://…", "http://…") or an object of an S3-like store
 * ("s3://bucket/key", with AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY
 * and AWS_SESSION_TOKEN of the environment at the time of vmafx_inputs_open).
 * @param wait  may be NULL
 * @return VMAFX_ERR_NOT_FOUND; VMAFX_ERR_FORBIDDEN (roots, hosts, addresses, a refusing server); VMAFX_ERR_INPUT (not a
 * file, not a URL of ours); VMAFX_ERR_LIMIT (size); VMAFX_ERR_DEADLINE; VMAFX_ERR_UNREACHABLE; VMAFX_ERR_TRUNCATED (less
 * than promised, after all attempts); VMAFX_ERR_CANCELLED; VMAFX_ERR_IO; VMAFX_ERR_NOMEM, each with a sentence, and
 * ret->may_pass
 */
VMAFX_CHECK VmafxErr vmafx_inputs_get(VmafxInputs *inputs, const char *uri, const VmafxInputWait *wait, VmafxInput *ret,
                                      VmafxErrInfo *reterr);
/** Closes the descriptor unless it is -1. */
void vmafx_input_done(VmafxInput *input);

/** "https://", "http://" or "s3://" in front, whatever the case. Pure. */
bool vmafx_uri_is_remote(const char *uri);

/**
 * A URI as it may be shown: without user and password, with "?…" for a query and without a fragment; paths as they are.
 * Pure; cut to size.
 */
void vmafx_url_redact(const char *uri, char *ret, size_t size);
/** The last segment of its path, for names: "a.mp4"; the whole (redacted) text where there is none. Pure. */
void vmafx_uri_name(const char *uri, char *ret, size_t size);
#endif
