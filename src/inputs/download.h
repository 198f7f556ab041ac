/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A URL or an object into a descriptor: redirects hop by hop, each checked; broken transfers continued where they broke
 * when the server can prove that it is still the same file, else begun anew; limits in bytes, time and attempts.
 *
 *     attempt → hops (up to 5) → 200, 206   body; whole: done; cut: another attempt
 *                              → 304        not_modified, where that was asked; else the end
 *                              → 408 425 429 5xx, no answer, a stall: another attempt, after a while or Retry-After
 *                              → all else   the end
 *
 * An attempt that brings no new byte is a failure; DOWNLOAD_FAILURES_MAX in a row are the end.
 */
#ifndef VMAFX_INPUTS_DOWNLOAD_H
#define VMAFX_INPUTS_DOWNLOAD_H

#include "http/fetch.h"
#include "inputs/inputs.h"
#include "inputs/policy.h"
#include "inputs/s3.h"

#define DOWNLOAD_HOPS_MAX        5
#define DOWNLOAD_FAILURES_MAX    6
#define DOWNLOAD_ATTEMPTS_MAX    100
#define DOWNLOAD_BACKOFF_MS      200  /* doubled with each failure … */
#define DOWNLOAD_BACKOFF_MAX_MS  5000 /* … up to this */
#define DOWNLOAD_RETRY_AFTER_MAX 60   /* seconds; a server that wants more is not waited for */

/** What all downloads share; constant while one is under way. */
typedef struct Remote {
    HostList hosts;
    S3Config s3;
    VmafxFetcher *fetcher;
    bool plain;
    int64_t bytes_max;
    uint32_t timeout_ms;
} Remote;

typedef struct Download {
    const char *uri;
    const VmafxInputWait *wait;       /* may be NULL */
    const char *etag, *last_modified; /* of what is there already: to be asked whether it has changed; may be NULL */
    /** Where to write, read-write and empty; total -1: unknown. Called once, when there is something to write. */
    VmafxErr (*open)(void *ctx, int64_t total, int *ret_fd, VmafxErrInfo *reterr);
    void *ctx;

    /* what came of it */
    bool not_modified;
    VmafxFetchHead head; /* of the answer, without what is only of one attempt */
    int64_t size, fetched_bytes;
    char sha256[VMAFX_SHA256_TEXT];
    char host[VMAFX_URL_HOST_MAX];
    int port;
    bool may_pass, resource; /* after an error, as in VmafxInput */
} Download;

/** @return as vmafx_inputs_get */
VMAFX_CHECK VmafxErr download_run(const Remote *remote, Download *download, VmafxErrInfo *reterr);

/** May it be asked for at all? Says the first host and its port, too. Errors as download_run, at once. */
VMAFX_CHECK VmafxErr download_check(const Remote *remote, const char *uri, char ret_host[VMAFX_URL_HOST_MAX],
                                    int *ret_port, VmafxErrInfo *reterr);

/** The deadline of a wait, or the time that one download may take from now: what comes first. */
uint64_t download_deadline(const Remote *remote, const VmafxInputWait *wait);

/** Waits; VMAFX_ERR_CANCELLED, VMAFX_ERR_DEADLINE without a sentence when the wait ends sooner. */
VMAFX_CHECK VmafxErr download_nap(const VmafxInputWait *wait, uint64_t deadline_ns, uint64_t ns);
#endif
