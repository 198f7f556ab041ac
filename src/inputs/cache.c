/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* From a URL to an open file: what is kept, what has to be asked, what has to be fetched. */

#include "inputs/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"
#include "inputs/cache_folder.h"
#include "inputs/headers.h"

#define NS_PER_S    INT64_C(1000000000)
#define LOCK_NAP_NS UINT64_C(50000000)

struct Cache {
    int folder;
    int64_t bytes_max;
    bool verify;
};

/** One get. */
typedef struct Getting {
    Cache *cache;
    const Remote *remote;
    const char *uri;
    const VmafxInputWait *wait;
    char key[VMAFX_SHA256_TEXT], url_sha256[VMAFX_SHA256_TEXT];
    int64_t started_ns;
    CacheTemp temp;
    bool no_room; /* it will not be kept */
} Getting;

static int64_t now_ns(void)
{
    return (int64_t)vmafx_wall_ns();
}

VmafxErr cache_open(const char *folder, int64_t bytes_max, bool verify, Cache **ret, VmafxErrInfo *reterr)
{
    Cache *cache = calloc(1, sizeof *cache);

    if (!cache)
        return VMAFX_ERR_NOMEM;
    *cache = (Cache){ .folder = -1, .bytes_max = bytes_max, .verify = verify };
    VmafxErr err = cache_folder_open(folder, &cache->folder, reterr);
    if (err)
        free(cache);
    else
        *ret = cache;
    return err;
}

void cache_close(Cache **cache)
{
    if (!*cache)
        return;
    close((*cache)->folder);
    free(*cache);
    *cache = NULL;
}

int cache_folder(const Cache *cache)
{
    return cache->folder;
}

static VmafxErr disk(VmafxErrInfo *reterr, const char *what)
{
    return vmafx_fail(reterr, VMAFX_ERR_IO, "%s: %s", what, strerror(errno));
}

/* ---- What is kept ---- */

static bool bytes_are_right(int fd, const CacheMeta *meta)
{
    char digest[VMAFX_SHA256_TEXT];
    VMAFX_AUTO(vmafx_free_p) char *buffer = malloc(1 << 18);
    VmafxSha256 sha;
    int64_t at = 0;

    vmafx_sha256_init(&sha);
    for (ssize_t n; buffer && (n = pread(fd, buffer, 1 << 18, at)) > 0; at += n)
        vmafx_sha256_add(&sha, buffer, (size_t)n);
    vmafx_sha256_end_hex(&sha, digest);
    return buffer && !strcmp(digest, meta->sha256);
}

static bool find(Getting *g, CacheMeta *meta, int *fd)
{
    if (!cache_find(g->cache->folder, g->key, meta, fd))
        return false;
    if (!g->cache->verify || bytes_are_right(*fd, meta))
        return true;
    close(*fd);
    cache_forget(g->cache->folder, g->key);
    return false;
}

static void hand_out(VmafxInput *ret, int fd, const CacheMeta *meta)
{
    ret->fd = fd;
    ret->size = meta->size;
    memcpy(ret->sha256, meta->sha256, sizeof ret->sha256);
}

static bool use(Getting *g, const CacheMeta *meta, int fd, VmafxInput *ret)
{
    hand_out(ret, fd, meta);
    ret->cached = true;
    cache_touch(g->cache->folder, g->key);
    return true;
}

/** Without a question: it is fresh, or was checked after we were asked for it. */
static bool use_unasked(Getting *g, VmafxInput *ret)
{
    CacheMeta meta;
    int fd;

    if (!find(g, &meta, &fd))
        return false;
    int64_t now = now_ns();
    if (cache_meta_is_fresh(&meta, g->url_sha256, now) ||
        (!strcmp(meta.url_sha256, g->url_sha256) && meta.checked_ns >= g->started_ns && meta.checked_ns <= now))
        return use(g, &meta, fd, ret);
    close(fd);
    return false;
}

/* ---- What is fetched ---- */

static VmafxErr open_temp(void *ctx, int64_t total, int *ret_fd, VmafxErrInfo *reterr)
{
    Getting *g = ctx;

    g->no_room = !cache_make_room(g->cache->folder, VMAFX_MAX(total, 0), g->cache->bytes_max);
    if (!cache_temp_open(g->cache->folder, &g->temp))
        return disk(reterr, "no file can be made in the cache folder");
    /* Reserved, so that a full disk is known now and others count it; not every file system can. */
    if (total > 0 && fallocate(g->temp.fd, 0, 0, total) && (errno == ENOSPC || errno == EDQUOT))
        return disk(reterr, "there is no room on the disk of the cache folder");
    *ret_fd = g->temp.fd;
    return VMAFX_OK;
}

static void note_answer(const Getting *g, const VmafxFetchHead *head, CacheMeta *meta)
{
    CacheControl control = cache_control_parse(head->cache_control);
    int64_t age = VMAFX_MAX(number_parse(head->age), 0);

    memcpy(meta->url_sha256, g->url_sha256, sizeof meta->url_sha256);
    meta->checked_ns = now_ns();
    meta->fresh_ns = meta->checked_ns + VMAFX_MAX(control.max_age_s - VMAFX_MIN(age, control.max_age_s), 0) * NS_PER_S;
    if (etag_is_usable(head->etag))
        snprintf(meta->etag, sizeof meta->etag, "%s", head->etag);
    if (http_date_parse(head->last_modified) >= 0)
        snprintf(meta->last_modified, sizeof meta->last_modified, "%s", head->last_modified);
}

/** A descriptor for reading of a file that goes with it. */
static int without_name(int folder, CacheTemp *temp)
{
    int fd = openat(folder, temp->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    cache_temp_drop(folder, temp);
    return fd;
}

static VmafxErr keep(Getting *g, const Download *d, VmafxInput *ret, VmafxErrInfo *reterr)
{
    CacheMeta meta = { .size = d->size };
    int folder = g->cache->folder, fd = -1;

    memcpy(meta.sha256, d->sha256, sizeof meta.sha256);
    note_answer(g, &d->head, &meta);
    bool wanted = (*meta.etag || *meta.last_modified) && !cache_control_parse(d->head.cache_control).no_store;
    if (wanted && !g->no_room && cache_make_room(folder, 0, g->cache->bytes_max))
        fd = cache_put(folder, g->key, &g->temp, &meta);
    if (fd < 0 && *g->temp.name)
        fd = without_name(folder, &g->temp);
    cache_temp_drop(folder, &g->temp);
    if (fd < 0) {
        ret->may_pass = ret->resource = true;
        return disk(reterr, "what was fetched cannot be opened in the cache folder");
    }
    hand_out(ret, fd, &meta);
    return VMAFX_OK;
}

static void tell(const Download *d, VmafxInput *ret)
{
    ret->fetched_bytes = d->fetched_bytes;
    ret->may_pass = d->may_pass;
    ret->resource = d->resource;
    ret->port = d->port;
    memcpy(ret->host, d->host, sizeof ret->host);
}

/** With the lock: nobody else asks about this key. */
static VmafxErr ask(Getting *g, VmafxInput *ret, VmafxErrInfo *reterr)
{
    CacheMeta meta = { 0 };
    int fd = -1;
    bool have = find(g, &meta, &fd);
    Download d = { .uri = g->uri,
                   .wait = g->wait,
                   .etag = have && *meta.etag ? meta.etag : NULL,
                   .last_modified = have && *meta.last_modified ? meta.last_modified : NULL,
                   .open = open_temp,
                   .ctx = g };
    VmafxErr err = download_run(g->remote, &d, reterr);

    tell(&d, ret);
    if (!err && d.not_modified) {
        CacheMeta checked = meta;

        cache_temp_drop(g->cache->folder, &g->temp); /* of an attempt before, that brought something else */
        note_answer(g, &d.head, &checked);
        VMAFX_IGNORE(!cache_put_meta(g->cache->folder, g->key, &checked)); /* it is asked about again, then */
        use(g, &meta, fd, ret);
        return VMAFX_OK;
    }
    if (fd >= 0)
        close(fd);
    if (!err)
        return keep(g, &d, ret, reterr);
    cache_temp_drop(g->cache->folder, &g->temp);
    return err;
}

static VmafxErr wait_for_lock(Getting *g, int *ret_lock, VmafxInput *ret, VmafxErrInfo *reterr)
{
    uint64_t deadline_ns = download_deadline(g->remote, g->wait);

    for (;;) {
        *ret_lock = cache_lock(g->cache->folder, g->key);
        if (*ret_lock >= 0)
            return VMAFX_OK;
        if (errno != EWOULDBLOCK) {
            ret->may_pass = ret->resource = true;
            return disk(reterr, "no lock can be made in the cache folder");
        }
        VmafxErr err = download_nap(g->wait, deadline_ns, LOCK_NAP_NS);
        if (err) {
            ret->may_pass = err == VMAFX_ERR_DEADLINE;
            return vmafx_fail(reterr, err, "%s while another download of the same input was under way",
                              err == VMAFX_ERR_CANCELLED ? "cancelled" : "the time was up");
        }
    }
}

VmafxErr cache_get(Cache *cache, const Remote *remote, const char *uri, const VmafxInputWait *wait, VmafxInput *ret,
                   VmafxErrInfo *reterr)
{
    Getting g = { .cache = cache, .remote = remote, .uri = uri, .wait = wait, .started_ns = now_ns(), .temp.fd = -1 };
    int lock = -1;

    cache_key(uri, g.key);
    vmafx_sha256_hex(uri, strlen(uri), g.url_sha256);
    if (use_unasked(&g, ret))
        return VMAFX_OK;
    VmafxErr err = wait_for_lock(&g, &lock, ret, reterr);
    if (err)
        return err;
    if (!use_unasked(&g, ret))
        err = ask(&g, ret, reterr);
    cache_unlock(cache->folder, g.key, &lock);
    return err;
}

/* ---- Without a folder ---- */

typedef struct Loose {
    int fd, read_fd;
} Loose;

static VmafxErr open_loose(void *ctx, int64_t total, int *ret_fd, VmafxErrInfo *reterr)
{
    Loose *loose = ctx;
    const char *folder = getenv("TMPDIR");
    VMAFX_AUTO(vmafx_free_p)
    char *path = vmafx_sprintf("%s/vmafx-input-XXXXXX", folder && *folder ? folder : "/tmp");

    if (!path)
        return VMAFX_ERR_NOMEM;
    loose->fd = mkostemp(path, O_CLOEXEC);
    if (loose->fd < 0)
        return disk(reterr, "no file can be made in TMPDIR");
    loose->read_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    unlink(path);
    if (loose->read_fd < 0)
        return disk(reterr, "a file made in TMPDIR cannot be opened");
    if (total > 0 && fallocate(loose->fd, 0, 0, total) && (errno == ENOSPC || errno == EDQUOT))
        return disk(reterr, "there is no room on the disk of TMPDIR");
    *ret_fd = loose->fd;
    return VMAFX_OK;
}

VmafxErr uncached_get(const Remote *remote, const char *uri, const VmafxInputWait *wait, VmafxInput *ret,
                      VmafxErrInfo *reterr)
{
    Loose loose = { -1, -1 };
    Download d = { .uri = uri, .wait = wait, .open = open_loose, .ctx = &loose };
    VmafxErr err = download_run(remote, &d, reterr);

    tell(&d, ret);
    if (loose.fd >= 0)
        close(loose.fd);
    if (err) {
        if (loose.read_fd >= 0)
            close(loose.read_fd);
        return err;
    }
    ret->fd = loose.read_fd;
    ret->size = d.size;
    memcpy(ret->sha256, d.sha256, sizeof ret->sha256);
    return VMAFX_OK;
}
