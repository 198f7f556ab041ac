/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Attempts, hops and bodies of a download. */

#include "inputs/download.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"
#include "inputs/headers.h"

#define NS_PER_MS UINT64_C(1000000)
#define SHOWN_MAX 256 /* bytes of a URL in a sentence */
#define NAP_NS    (100 * NS_PER_MS)

/** What to do after an answer. */
typedef enum Next { NEXT_DONE, NEXT_HOP, NEXT_ATTEMPT, NEXT_FAIL } Next;

typedef struct Run {
    const Remote *remote;
    Download *d;
    VmafxErrInfo *reterr;
    char shown[SHOWN_MAX];
    uint64_t deadline_ns;
    bool is_s3;

    /* what is there of the file */
    int fd;
    int64_t bytes, total; /* total -1: not known */
    int64_t most;         /* bytes that any attempt had */
    VmafxSha256 sha;
    char etag[256], last_modified[64]; /* for If-Range; "" none */

    /* this request */
    int64_t asked_from;
    bool asked_if_changed; /* only to such a question is 304 an answer */
    bool begun;            /* its body is ours */
    VmafxErr err;
    int requests;
} Run;

static VmafxErr fail_at(Run *run, VmafxErr err, const char *what)
{
    return run->err = vmafx_fail(run->reterr, err, "%s: %s", run->shown, what);
}

/* ---- Bodies ---- */

static VmafxErr disk_failure(Run *run, int error)
{
    char what[160];

    run->d->resource = run->d->may_pass = true;
    snprintf(what, sizeof what, "cannot be written to this machine's disk: %s", strerror(error));
    return fail_at(run, VMAFX_ERR_IO, what);
}

/** From the first byte, whatever there is. */
static VmafxErr begin(Run *run)
{
    if (run->fd < 0) {
        VmafxErr err = run->d->open(run->d->ctx, run->total, &run->fd, run->reterr);
        if (err) {
            run->d->resource = run->d->may_pass = true;
            return run->err = err;
        }
    } else if (run->bytes && ftruncate(run->fd, 0)) {
        return disk_failure(run, errno);
    }
    run->bytes = 0;
    vmafx_sha256_init(&run->sha);
    return VMAFX_OK;
}

static VmafxErr too_large(Run *run)
{
    char what[160];

    snprintf(what, sizeof what, "is larger than the %" PRId64 " bytes that may be fetched (VMAFX_INPUT_URL_MAX_BYTES)",
             run->remote->bytes_max);
    return fail_at(run, VMAFX_ERR_LIMIT, what);
}

static VmafxErr check_encoding(Run *run, const VmafxFetchHead *head)
{
    if (*head->content_encoding && strcasecmp(head->content_encoding, "identity") != 0)
        return fail_at(run, VMAFX_ERR_INPUT, "the server compressed it (Content-Encoding), which nobody asked for");
    if (!head->framed) /* a cut could not be told from its end, and a wrong score would come of it */
        return fail_at(run, VMAFX_ERR_INPUT,
                       "the server does not say where it ends (neither Content-Length nor chunks)");
    return VMAFX_OK;
}

static VmafxErr accept_whole(Run *run, const VmafxFetchHead *head)
{
    VmafxErr err = check_encoding(run, head);

    if (err)
        return err;
    run->total = head->length;
    if (run->total > run->remote->bytes_max)
        return too_large(run);
    snprintf(run->etag, sizeof run->etag, "%s", etag_is_strong(head->etag) ? head->etag : "");
    snprintf(run->last_modified, sizeof run->last_modified, "%s",
             http_date_parse(head->last_modified) >= 0 ? head->last_modified : "");
    run->d->head = *head;
    return begin(run);
}

static VmafxErr accept_part(Run *run, const VmafxFetchHead *head)
{
    ContentRange range;
    VmafxErr err = check_encoding(run, head);

    if (err)
        return err;
    if (!run->asked_from)
        return fail_at(run, VMAFX_ERR_INPUT, "the server answers with a part where the whole was asked for");
    if (!content_range_parse(head->content_range, &range) || range.first != run->asked_from ||
        (run->total >= 0 && range.total >= 0 && range.total != run->total) ||
        (head->length >= 0 && head->length != range.last - range.first + 1))
        return fail_at(run, VMAFX_ERR_INPUT,
                       "the server answers with another part than the one that was asked for "
                       "(Content-Range)");
    if (run->total < 0)
        run->total = range.total;
    return run->total > run->remote->bytes_max ? too_large(run) : VMAFX_OK;
}

static bool has_changed(const Run *run, const VmafxFetchHead *head)
{
    return (*run->etag && *head->etag && strcmp(run->etag, head->etag) != 0) ||
           (*run->last_modified && *head->last_modified && strcmp(run->last_modified, head->last_modified) != 0);
}

/** The next attempt begins anew. */
static void forget(Run *run)
{
    run->etag[0] = run->last_modified[0] = 0;
}

static VmafxFetchVerdict on_head(void *ctx, const VmafxFetchHead *head)
{
    Run *run = ctx;
    VmafxErr err = VMAFX_OK;

    run->begun = false;
    if (head->status == 304 && run->asked_if_changed) {
        run->d->not_modified = true;
        run->d->head = *head;
        return VMAFX_FETCH_LEAVE;
    }
    if (head->status == 200) {
        err = accept_whole(run, head);
    } else if (head->status == 206 && run->asked_from && has_changed(run, head)) {
        forget(run); /* a server that does not understand If-Range: this part is of another file */
        return VMAFX_FETCH_LEAVE;
    } else if (head->status == 206) {
        err = accept_part(run, head);
    } else {
        return VMAFX_FETCH_DRAIN;
    }
    run->begun = !err;
    return err ? VMAFX_FETCH_LEAVE : VMAFX_FETCH_TAKE;
}

static bool on_body(void *ctx, const void *data, size_t len)
{
    Run *run = ctx;
    const char *at = data;

    run->d->fetched_bytes += (int64_t)len;
    if ((int64_t)len > run->remote->bytes_max - run->bytes) {
        VMAFX_IGNORE(too_large(run)); /* in run->err */
        return false;
    }
    if (run->total >= 0 && (int64_t)len > run->total - run->bytes) {
        VMAFX_IGNORE(fail_at(run, VMAFX_ERR_TRUNCATED, "the server sends more than it promised"));
        return false;
    }
    vmafx_sha256_add(&run->sha, data, len);
    while (len) {
        ssize_t n = pwrite(run->fd, at, len, run->bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            VMAFX_IGNORE(disk_failure(run, n ? errno : ENOSPC));
            return false;
        }
        at += n;
        len -= (size_t)n;
        run->bytes += n;
    }
    return true;
}

static void on_tick(void *ctx)
{
    const Run *run = ctx;
    const VmafxInputWait *wait = run->d->wait;

    if (wait && wait->progress && run->begun)
        wait->progress(wait->ctx, run->bytes, VMAFX_MAX(run->total, 0));
}

/* ---- One request ---- */

#define HEADERS_MAX 8

typedef struct Headers {
    VmafxHttpHeader items[HEADERS_MAX];
    size_t n;
    char range[48];
    S3Signature signature;
} Headers;

static void add_header(Headers *h, const char *name, const char *value)
{
    h->items[h->n++] = (VmafxHttpHeader){ name, value };
}

static void make_headers(Run *run, const VmafxUrl *url, Headers *h)
{
    const S3Config *s3 = &run->remote->s3;

    h->n = 0;
    run->asked_from = *run->etag || *run->last_modified ? run->bytes : 0;
    run->asked_if_changed = !run->asked_from && (run->d->etag || run->d->last_modified);
    if (run->asked_from) {
        snprintf(h->range, sizeof h->range, "bytes=%" PRId64 "-", run->asked_from);
        add_header(h, "Range", h->range);
        add_header(h, "If-Range", *run->etag ? run->etag : run->last_modified);
    } else if (run->d->etag) {
        add_header(h, "If-None-Match", run->d->etag);
    } else if (run->d->last_modified) {
        add_header(h, "If-Modified-Since", run->d->last_modified);
    }
    if (!run->is_s3 || !s3->access_key)
        return;
    s3_sign(s3, url, run->asked_from ? h->range : NULL, time(NULL), &h->signature);
    add_header(h, "x-amz-content-sha256", h->signature.content);
    add_header(h, "x-amz-date", h->signature.date);
    if (s3->token)
        add_header(h, "x-amz-security-token", s3->token);
    add_header(h, "Authorization", h->signature.authorization);
}

static VmafxErr check_hop(Run *run, const VmafxUrl *url, const VmafxUrl *before)
{
    char what[VMAFX_URL_HOST_MAX + 160];

    if (before && before->tls && !url->tls)
        return fail_at(run, VMAFX_ERR_FORBIDDEN, "redirects from https to http, which is not followed");
    if (!url->tls && !run->remote->plain)
        return fail_at(run, VMAFX_ERR_FORBIDDEN,
                       "http without TLS is not allowed here (VMAFX_INPUT_URL_PLAIN allows it)");
    if (host_list_allows(&run->remote->hosts, url))
        return VMAFX_OK;
    snprintf(what, sizeof what, "%shost '%s' is none of those that may be asked here (VMAFX_INPUT_URL_HOSTS)",
             before ? "redirects elsewhere: " : "", url->host);
    return fail_at(run, VMAFX_ERR_FORBIDDEN, what);
}

static VmafxHttpEnd ask(Run *run, const VmafxUrl *url, const char *text, VmafxFetchAnswer *answer)
{
    char shown[VMAFX_URL_MAX], user[512];
    Headers headers;

    make_headers(run, url, &headers);
    vmafx_url_redact(text, shown, sizeof shown);
    if (url->user)
        snprintf(user, sizeof user, "%.*s", (int)url->user_len, url->user);
    run->begun = false;
    VmafxHttpEnd end = vmafx_fetch(run->remote->fetcher,
                                   &(VmafxFetchRequest){ .url = text,
                                                         .user_password = url->user ? user : NULL,
                                                         .headers = headers.items,
                                                         .n_headers = headers.n,
                                                         .shown_url = shown,
                                                         .address = url->host,
                                                         .port = url->port,
                                                         .resend_count = run->requests++,
                                                         .deadline_ns = run->deadline_ns,
                                                         .stop = run->d->wait ? run->d->wait->stop : NULL,
                                                         .on_head = on_head,
                                                         .on_body = on_body,
                                                         .on_tick = on_tick,
                                                         .ctx = run },
                                   answer);
    on_tick(run);
    return end;
}

/* ---- What an answer means ---- */

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static Next after_status(Run *run, const VmafxFetchAnswer *answer)
{
    int status = answer->head.status;
    char what[96];
    VmafxErr err = status == 401 || status == 403   ? VMAFX_ERR_FORBIDDEN
                   : status == 404 || status == 410 ? VMAFX_ERR_NOT_FOUND
                                                    : VMAFX_ERR_INPUT;
    bool again = status == 408 || status == 425 || status == 429 || (status >= 500 && status != 501 && status != 505);

    if (status == 416 && run->asked_from) { /* it is shorter now */
        forget(run);
        again = true;
    }
    snprintf(what, sizeof what, "%s answered %d%s", run->is_s3 ? "the store" : "the server", status,
             status == 304 ? " (not modified), which was not the question" : "");
    VMAFX_IGNORE(fail_at(run, again ? VMAFX_ERR_UNREACHABLE : err, what)); /* the last one of its kind is reported */
    return again ? NEXT_ATTEMPT : NEXT_FAIL;
}

static Next after_failure(Run *run, VmafxHttpEnd end, const VmafxFetchAnswer *answer)
{
    char what[VMAFX_URL_HOST_MAX + 256];

    if (answer->refused_address) {
        snprintf(what, sizeof what,
                 "its host has the address %s, which is not public (VMAFX_INPUT_URL_PRIVATE allows "
                 "such)",
                 answer->peer);
        VMAFX_IGNORE(fail_at(run, VMAFX_ERR_FORBIDDEN, what));
        return NEXT_FAIL;
    }
    switch (end) {
    case VMAFX_HTTP_CANCELLED:
        VMAFX_IGNORE(fail_at(run, VMAFX_ERR_CANCELLED, "cancelled"));
        return NEXT_FAIL;
    case VMAFX_HTTP_DEADLINE:
        VMAFX_IGNORE(fail_at(run, VMAFX_ERR_DEADLINE, "could not be fetched in the time there was"));
        return NEXT_FAIL;
    case VMAFX_HTTP_UNTRUSTED:
        snprintf(what, sizeof what, "the server's certificate is not trusted (VMAFX_INPUT_URL_CA): %s", answer->error);
        VMAFX_IGNORE(fail_at(run, VMAFX_ERR_FORBIDDEN, what));
        return NEXT_FAIL;
    case VMAFX_HTTP_TOO_LARGE:
    case VMAFX_HTTP_UNUSABLE:
        VMAFX_IGNORE(fail_at(run, VMAFX_ERR_INPUT, answer->error));
        return NEXT_FAIL;
    default:
        break;
    }
    if (run->begun && run->bytes && run->total >= 0)
        snprintf(what, sizeof what, "only %" PRId64 " of %" PRId64 " bytes came: %s", run->bytes, run->total,
                 answer->error);
    else
        snprintf(what, sizeof what, "%s", answer->error);
    VMAFX_IGNORE(fail_at(run, run->begun ? VMAFX_ERR_TRUNCATED : VMAFX_ERR_UNREACHABLE, what));
    return NEXT_ATTEMPT;
}

static Next after(Run *run, VmafxHttpEnd end, const VmafxFetchAnswer *answer)
{
    int status = answer->head.status;

    if (run->err) /* ours, from within */
        return NEXT_FAIL;
    if (end != VMAFX_HTTP_ANSWERED)
        return after_failure(run, end, answer);
    if (run->d->not_modified)
        return NEXT_DONE;
    if (is_redirect(status) && *answer->redirect)
        return NEXT_HOP;
    if (status == 206 && !run->begun) {
        VMAFX_IGNORE(fail_at(run, VMAFX_ERR_TRUNCATED, "it changes while it is fetched"));
        return NEXT_ATTEMPT;
    }
    if (!run->begun)
        return after_status(run, answer);
    if (run->total < 0 || run->bytes == run->total)
        return NEXT_DONE;
    VMAFX_IGNORE(fail_at(run, VMAFX_ERR_TRUNCATED, "only a part of it came"));
    return NEXT_ATTEMPT;
}

/* ---- Attempts ---- */

/** From the first URL through the redirects to a body. */
static Next attempt(Run *run, const char *first, VmafxFetchAnswer *answer)
{
    char texts[2][VMAFX_URL_MAX];
    VmafxUrl urls[2];
    VmafxErrInfo info = { 0 };

    for (int hop = 0;; hop++) {
        VmafxUrl *url = &urls[hop % 2];
        const VmafxUrl *before = hop ? &urls[(hop + 1) % 2] : NULL;
        const char *given = hop ? answer->redirect : first;
        VmafxErr err = vmafx_url_parse(given, url, &info);

        run->err = VMAFX_OK;
        if (!err && hop && url->user)
            err = vmafx_fail(&info, VMAFX_ERR_INPUT, "it redirects to a URL with a user in it");
        if (err) {
            VMAFX_IGNORE(fail_at(run, hop ? VMAFX_ERR_FORBIDDEN : VMAFX_ERR_INPUT, info.message));
            return NEXT_FAIL;
        }
        if (hop > DOWNLOAD_HOPS_MAX || (hop && run->is_s3)) {
            VMAFX_IGNORE(fail_at(run, VMAFX_ERR_INPUT,
                                 run->is_s3 ? "the store redirects, so it is another region's (AWS_REGION)"
                                            : "redirects more than 5 times"));
            return NEXT_FAIL;
        }
        if (hop && vmafx_url_same_origin(url, before)) {
            url->user = before->user;
            url->user_len = before->user_len;
        }
        if (check_hop(run, url, before) || vmafx_url_print(url, texts[hop % 2], VMAFX_URL_MAX)) {
            if (!run->err)
                VMAFX_IGNORE(fail_at(run, VMAFX_ERR_INPUT, "the URL is too long"));
            return NEXT_FAIL;
        }
        snprintf(run->d->host, sizeof run->d->host, "%s", url->host);
        run->d->port = url->port;
        Next next = after(run, ask(run, url, texts[hop % 2], answer), answer);
        if (next != NEXT_HOP)
            return next;
    }
}

uint64_t download_deadline(const Remote *remote, const VmafxInputWait *wait)
{
    uint64_t own = vmafx_monotonic_ns() + remote->timeout_ms * NS_PER_MS;

    return wait && wait->deadline_ns ? VMAFX_MIN(wait->deadline_ns, own) : own;
}

VmafxErr download_nap(const VmafxInputWait *wait, uint64_t deadline_ns, uint64_t ns)
{
    uint64_t until = vmafx_monotonic_ns() + ns;

    for (;;) {
        uint64_t now = vmafx_monotonic_ns();

        if (wait && wait->stop && atomic_load(wait->stop))
            return VMAFX_ERR_CANCELLED;
        if (now >= deadline_ns)
            return VMAFX_ERR_DEADLINE;
        if (now >= until)
            return VMAFX_OK;
        struct timespec nap = { .tv_nsec = (long)VMAFX_MIN(until - now, NAP_NS) };
        nanosleep(&nap, NULL);
    }
}

/** Before the next attempt. */
static VmafxErr rest(Run *run, int failures, const VmafxFetchAnswer *answer)
{
    uint64_t ms = (uint64_t)DOWNLOAD_BACKOFF_MS << VMAFX_MIN(failures, 10);
    int64_t wanted = retry_after_parse(answer->head.retry_after, time(NULL));

    ms = VMAFX_MIN(ms, (uint64_t)DOWNLOAD_BACKOFF_MAX_MS);
    if (wanted > DOWNLOAD_RETRY_AFTER_MAX)
        return run->err; /* the sentence of the answer stands */
    ms = VMAFX_MAX(ms, (uint64_t)wanted * 1000);
    VmafxErr err = download_nap(run->d->wait, run->deadline_ns, ms * NS_PER_MS);
    if (err == VMAFX_ERR_CANCELLED)
        return fail_at(run, err, "cancelled");
    return err ? run->err : VMAFX_OK;
}

static VmafxErr run_attempts(Run *run, const char *first)
{
    VmafxFetchAnswer answer;
    int failures = 0;

    for (int n = 1;; n++) {
        Next next = attempt(run, first, &answer);
        if (next == NEXT_DONE)
            return run->err = VMAFX_OK;
        if (next == NEXT_FAIL)
            return run->err;
        failures = run->bytes > run->most ? 0 : failures + 1;
        run->most = VMAFX_MAX(run->most, run->bytes);
        if (failures >= DOWNLOAD_FAILURES_MAX || n >= DOWNLOAD_ATTEMPTS_MAX)
            return run->err;
        VmafxErr err = rest(run, failures, &answer);
        if (err)
            return err;
    }
}

/** The URL to begin with: of an object it is made here. */
static VmafxErr first_url(Run *run, char s3[VMAFX_URL_MAX], const char **ret)
{
    VmafxErrInfo info = { 0 };
    VmafxErr err = run->is_s3 ? s3_url(&run->remote->s3, run->d->uri, s3, &info) : VMAFX_OK;

    *ret = run->is_s3 ? s3 : run->d->uri;
    return err ? fail_at(run, err, info.message) : VMAFX_OK;
}

static void run_init(Run *run, const Remote *remote, Download *download, VmafxErrInfo *reterr)
{
    *run = (Run){ .remote = remote,
                  .d = download,
                  .reterr = reterr,
                  .fd = -1,
                  .total = -1,
                  .is_s3 = !strncasecmp(download->uri, "s3://", 5) };
    vmafx_url_redact(download->uri, run->shown, sizeof run->shown);
}

VmafxErr download_check(const Remote *remote, const char *uri, char ret_host[VMAFX_URL_HOST_MAX], int *ret_port,
                        VmafxErrInfo *reterr)
{
    Download d = { .uri = uri };
    char s3[VMAFX_URL_MAX];
    const char *first;
    VmafxUrl url;
    VmafxErrInfo info = { 0 };
    Run run;

    run_init(&run, remote, &d, reterr);
    VmafxErr err = first_url(&run, s3, &first);
    if (err)
        return err;
    err = vmafx_url_parse(first, &url, &info);
    if (err)
        return fail_at(&run, err, info.message);
    snprintf(ret_host, VMAFX_URL_HOST_MAX, "%s", url.host);
    *ret_port = url.port;
    return check_hop(&run, &url, NULL);
}

VmafxErr download_run(const Remote *remote, Download *download, VmafxErrInfo *reterr)
{
    char s3[VMAFX_URL_MAX];
    const char *first;
    Run run;

    run_init(&run, remote, download, reterr);
    run.deadline_ns = download_deadline(remote, download->wait);
    VmafxErr err = first_url(&run, s3, &first);
    if (!err)
        err = run_attempts(&run, first);
    if (err == VMAFX_ERR_UNREACHABLE || err == VMAFX_ERR_TRUNCATED || err == VMAFX_ERR_DEADLINE)
        download->may_pass = true;
    if (err || download->not_modified)
        return err;
    if (ftruncate(run.fd, run.bytes)) /* what was reserved and not used */
        return disk_failure(&run, errno);
    download->size = run.bytes;
    vmafx_sha256_end_hex(&run.sha, download->sha256);
    return VMAFX_OK;
}
