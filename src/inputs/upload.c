/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Uploads: from the folder of the cache, or piece by piece from whoever keeps them. */

#include "inputs/upload.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"
#include "inputs/cache_folder.h"
#include "inputs/download.h"

#define LOCK_NAP_NS UINT64_C(50000000)
#define NS_PER_MS   UINT64_C(1000000)
#define READ_BYTES  ((size_t)1 << 18)

/** One get. */
typedef struct Getting {
    const UploadPlace *place;
    const char *uri, *digest;
    const VmafxInputWait *wait;
    uint64_t deadline_ns;
    VmafxInput *ret;

    char key[VMAFX_SHA256_TEXT];
    CacheTemp temp; /* without a folder: fd alone */
    int read_fd;    /* without a folder; -1 */
    bool no_room;   /* it will not be kept */
    int64_t total, came;
    VmafxSha256 sha;
    bool local; /* the last failure was this machine's */
} Getting;

static VmafxErr disk(Getting *g, VmafxErrInfo *reterr, const char *what)
{
    g->local = true;
    return vmafx_fail(reterr, VMAFX_ERR_IO, "%s: %s", what, strerror(errno));
}

/* ---- A place for it ---- */

static VmafxErr open_loose(Getting *g, VmafxErrInfo *reterr)
{
    const char *folder = getenv("TMPDIR");
    VMAFX_AUTO(vmafx_free_p)
    char *path = vmafx_sprintf("%s/vmafx-input-XXXXXX", folder && *folder ? folder : "/tmp");

    if (!path)
        return VMAFX_ERR_NOMEM;
    g->temp.fd = mkostemp(path, O_CLOEXEC);
    if (g->temp.fd < 0)
        return disk(g, reterr, "no file can be made in TMPDIR");
    g->read_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    unlink(path);
    return g->read_fd < 0 ? disk(g, reterr, "a file made in TMPDIR cannot be opened") : VMAFX_OK;
}

/** Once, when the first piece has come and the size is known. */
static VmafxErr open_temp(Getting *g, VmafxErrInfo *reterr)
{
    VmafxErr err = VMAFX_OK;

    if (g->total > g->place->bytes_max) {
        g->ret->resource = false;
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT,
                          "the upload has %" PRId64 " bytes, more than the %" PRId64
                          " that are fetched here (VMAFX_INPUT_URL_MAX_BYTES)",
                          g->total, g->place->bytes_max);
    }
    if (g->place->folder < 0) {
        err = open_loose(g, reterr);
    } else {
        g->no_room = !cache_make_room(g->place->folder, g->total, g->place->folder_bytes_max);
        if (!cache_temp_open(g->place->folder, &g->temp))
            err = disk(g, reterr, "no file can be made in the cache folder");
    }
    /* Reserved, so that a full disk is known now; not every file system can. */
    if (!err && fallocate(g->temp.fd, 0, 0, g->total) && (errno == ENOSPC || errno == EDQUOT))
        err = disk(g, reterr, "there is no room on the disk for the upload");
    return err;
}

static void drop_temp(Getting *g)
{
    cache_temp_drop(VMAFX_MAX(g->place->folder, 0), &g->temp);
    if (g->read_fd >= 0)
        close(g->read_fd);
    g->read_fd = -1;
}

static VmafxErr write_piece(void *to, int64_t total, const void *data, size_t len, VmafxErrInfo *reterr)
{
    Getting *g = to;
    const char *bytes = data;

    if (g->total < 0) {
        g->total = total;
        VmafxErr err = total < 0 ? VMAFX_ERR_TRUNCATED : open_temp(g, reterr);
        if (err)
            return err;
    }
    if (total != g->total || len > (uint64_t)(total - g->came))
        return vmafx_fail(reterr, VMAFX_ERR_TRUNCATED, "the upload has another size than it had");
    for (size_t done = 0; done < len;) {
        ssize_t n = pwrite(g->temp.fd, bytes + done, len - done, g->came + (int64_t)done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return disk(g, reterr, "the upload cannot be written");
        done += (size_t)n;
    }
    vmafx_sha256_add(&g->sha, data, len);
    g->came += (int64_t)len;
    g->ret->fetched_bytes += (int64_t)len;
    if (g->wait && g->wait->progress)
        g->wait->progress(g->wait->ctx, g->came, g->total);
    return VMAFX_OK;
}

/* ---- Fetching ---- */

static bool is_passing(const Getting *g, VmafxErr err)
{
    return !g->local && vmafx_err_retry(err);
}

/** Until all of it is there. */
static VmafxErr fetch_all(Getting *g, VmafxErrInfo *reterr)
{
    const VmafxInputSource *source = g->wait->source;
    uint64_t backoff_ms = UPLOAD_BACKOFF_MS;

    for (int failures = 0;;) {
        int64_t before = g->came;
        VmafxErrInfo info = { 0 };
        VmafxErr err = source->fetch(source->ctx, g->uri, g->came,
                                     &(VmafxInputWait){ .stop = g->wait->stop, .deadline_ns = g->deadline_ns },
                                     write_piece, g, &info);

        if (!err && g->came == g->total)
            return VMAFX_OK;
        if (!err)
            err = vmafx_fail(&info, VMAFX_ERR_UNREACHABLE, "the upload ended early");
        if (g->came > before) {
            failures = 0;
            backoff_ms = UPLOAD_BACKOFF_MS;
        } else {
            failures++;
        }
        if (!is_passing(g, err) || failures >= UPLOAD_FAILURES_MAX) {
            g->ret->may_pass = vmafx_err_retry(err) || err == VMAFX_ERR_DEADLINE;
            g->ret->resource = g->local;
            return vmafx_fail(reterr, err, "%s: %s", g->uri, *info.message ? info.message : vmafx_err_text(err));
        }
        VmafxErr nap = download_nap(g->wait, g->deadline_ns, backoff_ms * NS_PER_MS);
        if (nap) {
            g->ret->may_pass = nap == VMAFX_ERR_DEADLINE;
            return vmafx_fail(reterr, nap, "%s: %s, after: %s", g->uri, vmafx_err_text(nap), info.message);
        }
        backoff_ms = VMAFX_MIN(2 * backoff_ms, UPLOAD_BACKOFF_MAX_MS);
    }
}

static VmafxErr check_digest(Getting *g, VmafxErrInfo *reterr)
{
    char digest[VMAFX_SHA256_TEXT];

    vmafx_sha256_end_hex(&g->sha, digest);
    if (!strcmp(digest, g->digest))
        return VMAFX_OK;
    g->ret->may_pass = true;
    return vmafx_fail(reterr, VMAFX_ERR_TRUNCATED, "%s: what has come has another digest, %s", g->uri, digest);
}

/** The descriptor that is handed out. */
static VmafxErr keep(Getting *g, VmafxErrInfo *reterr)
{
    int folder = g->place->folder, fd = -1;

    if (folder < 0) {
        fd = g->read_fd;
        g->read_fd = -1;
    } else {
        CacheMeta meta = { .size = g->total, .checked_ns = (int64_t)vmafx_wall_ns() };

        meta.fresh_ns = meta.checked_ns; /* nobody looks at it: what a digest names never changes */
        memcpy(meta.url_sha256, g->key, sizeof meta.url_sha256);
        memcpy(meta.sha256, g->digest, sizeof meta.sha256);
        snprintf(meta.etag, sizeof meta.etag, "\"%.64s\"", g->digest);
        if (!g->no_room && cache_make_room(folder, 0, g->place->folder_bytes_max))
            fd = cache_put(folder, g->key, &g->temp, &meta);
        if (fd < 0 && *g->temp.name)
            fd = openat(folder, g->temp.name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    }
    if (fd < 0) {
        g->ret->may_pass = g->ret->resource = true;
        return disk(g, reterr, "the upload that was fetched cannot be opened");
    }
    g->ret->fd = fd;
    g->ret->size = g->total;
    snprintf(g->ret->sha256, sizeof g->ret->sha256, "%s", g->digest);
    return VMAFX_OK;
}

static VmafxErr fetch(Getting *g, VmafxErrInfo *reterr)
{
    vmafx_sha256_init(&g->sha);
    VmafxErr err = fetch_all(g, reterr);
    if (!err)
        err = check_digest(g, reterr);
    if (!err)
        err = keep(g, reterr);
    drop_temp(g);
    return err;
}

/* ---- What is kept ---- */

static bool bytes_are_right(int fd, const char *digest)
{
    char found[VMAFX_SHA256_TEXT];
    VMAFX_AUTO(vmafx_free_p) char *buffer = malloc(READ_BYTES);
    VmafxSha256 sha;
    int64_t at = 0;

    vmafx_sha256_init(&sha);
    for (ssize_t n; buffer && (n = pread(fd, buffer, READ_BYTES, at)) > 0; at += n)
        vmafx_sha256_add(&sha, buffer, (size_t)n);
    vmafx_sha256_end_hex(&sha, found);
    return buffer && !strcmp(found, digest);
}

static bool use_kept(Getting *g)
{
    CacheMeta meta;
    int fd;

    if (!cache_find(g->place->folder, g->key, &meta, &fd))
        return false;
    if (strcmp(meta.sha256, g->digest) != 0 || (g->place->verify && !bytes_are_right(fd, g->digest))) {
        close(fd);
        cache_forget(g->place->folder, g->key);
        return false;
    }
    cache_touch(g->place->folder, g->key);
    g->ret->fd = fd;
    g->ret->size = meta.size;
    g->ret->cached = true;
    snprintf(g->ret->sha256, sizeof g->ret->sha256, "%s", g->digest);
    return true;
}

/** Two who want the same share one transfer. */
static VmafxErr get_kept(Getting *g, VmafxErrInfo *reterr)
{
    int lock;

    while (!use_kept(g)) {
        lock = cache_lock(g->place->folder, g->key);
        if (lock >= 0) {
            VmafxErr err = use_kept(g) ? VMAFX_OK : fetch(g, reterr);

            cache_unlock(g->place->folder, g->key, &lock);
            return err;
        }
        if (errno != EWOULDBLOCK) {
            g->ret->may_pass = g->ret->resource = true;
            return disk(g, reterr, "no lock can be made in the cache folder");
        }
        VmafxErr err = download_nap(g->wait, g->deadline_ns, LOCK_NAP_NS);
        if (err) {
            g->ret->may_pass = err == VMAFX_ERR_DEADLINE;
            return vmafx_fail(reterr, err, "%s: %s, while the same upload was being fetched", g->uri,
                              vmafx_err_text(err));
        }
    }
    return VMAFX_OK;
}

VmafxErr upload_get(const UploadPlace *place, const char *uri, const VmafxInputWait *wait, VmafxInput *ret,
                    VmafxErrInfo *reterr)
{
    uint64_t deadline_ns = vmafx_monotonic_ns() + place->timeout_ms * NS_PER_MS;
    Getting g = { .place = place,
                  .uri = uri,
                  .digest = vmafx_uri_upload_digest(uri),
                  .wait = wait,
                  .ret = ret,
                  .temp.fd = -1,
                  .read_fd = -1,
                  .total = -1 };

    if (!g.digest)
        return vmafx_fail(reterr, VMAFX_ERR_INPUT, "an upload is named upload:SHA256, with 64 hexadecimal digits");
    if (!wait || !wait->source)
        return vmafx_fail(reterr, VMAFX_ERR_INPUT, "%s: uploads are for the jobs of a fleet, and cannot be read here",
                          uri);
    g.deadline_ns = wait->deadline_ns ? VMAFX_MIN(wait->deadline_ns, deadline_ns) : deadline_ns;
    ret->fetched = true;
    cache_key(uri, g.key);
    return place->folder >= 0 ? get_kept(&g, reterr) : fetch(&g, reterr);
}
