/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Uploads in and out of their folder. */

#include "programs/controller/uploads.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/base.h"
#include "base/folders.h"
#include "programs/controller/uploads_internal.h"

#define COPY_BYTES  ((size_t)1 << 20)
#define FLUSH_BYTES ((int64_t)256 << 20) /* so that little is left to be flushed at the end, while a client waits */
#define OPEN_FLAGS  (O_CLOEXEC | O_NOFOLLOW)

struct Incoming {
    Uploads *uploads;
    Incoming *prev, *next;
    char owner[VMAFX_SHA256_TEXT], digest[VMAFX_SHA256_TEXT];
    char temp[24];
    int fd;
    int64_t size, came, flushed;
    UploadOutcome outcome;
    VmafxSha256 sha;
};

static void path_of(char ret[UPLOAD_PATH_MAX], const char *owner, const char *digest)
{
    snprintf(ret, UPLOAD_PATH_MAX, "%.64s/%.64s", owner, digest);
}

static void owner_of(const char *name, char ret[VMAFX_SHA256_TEXT])
{
    vmafx_sha256_hex(name, strlen(name), ret);
}

/** errno about the folder. */
static VmafxErr disk(VmafxErrInfo *reterr, const char *what)
{
    if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)
        return vmafx_fail(
            reterr, VMAFX_ERR_BUSY,
            "the disk of the controller's uploads is full; try again later, or have its operator make room");
    return vmafx_fail(reterr, VMAFX_ERR_IO, "%s: %s", what, strerror(errno));
}

/* ---- Life ---- */

VmafxErr uploads_open(const UploadsConfig *config, Uploads **ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(uploads_close) Uploads *uploads = calloc(1, sizeof *uploads);
    pthread_condattr_t monotonic;

    if (!uploads)
        return VMAFX_ERR_NOMEM;
    uploads->config = *config;
    uploads->config.folder = NULL;
    uploads->folder = -1;
    pthread_mutex_init(&uploads->room_lock, NULL);
    pthread_mutex_init(&uploads->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&uploads->change, &monotonic);
    pthread_condattr_destroy(&monotonic);
    uploads->path = vmafx_strdup(config->folder);
    if (!uploads->path)
        return VMAFX_ERR_NOMEM;
    VmafxErr err = vmafx_make_folders(config->folder, 0700, reterr);
    if (err)
        return err;
    uploads->folder = open(config->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (uploads->folder < 0 || faccessat(uploads->folder, ".", W_OK, AT_EACCESS))
        return vmafx_fail(reterr, VMAFX_ERR_IO, "cannot use the folder of uploads '%s': %s", config->folder,
                          strerror(errno));
    if (flock(uploads->folder, LOCK_EX | LOCK_NB))
        return vmafx_fail(
            reterr, VMAFX_ERR_STATE,
            "another process has the folder of uploads '%s'; give each controller its own (VMAFX_UPLOADS)",
            config->folder);
    if (uploads_count(uploads))
        return vmafx_fail(reterr, VMAFX_ERR_IO, "cannot read the folder of uploads '%s': %s", config->folder,
                          strerror(errno));
    if (pthread_create(&uploads->sweeper, NULL, uploads_sweep_on, uploads))
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no thread for removing uploads");
    uploads->has_sweeper = true;
    uploads_observe(uploads);
    *ret = VMAFX_TAKE(uploads);
    return VMAFX_OK;
}

void uploads_close(Uploads **at)
{
    Uploads *uploads = VMAFX_TAKE(*at);

    if (!uploads)
        return;
    vmafx_callback_remove(&uploads->callback);
    pthread_mutex_lock(&uploads->lock);
    uploads->stopping = true;
    pthread_cond_broadcast(&uploads->change);
    pthread_mutex_unlock(&uploads->lock);
    if (uploads->has_sweeper)
        pthread_join(uploads->sweeper, NULL);
    if (uploads->folder >= 0)
        close(uploads->folder);
    pthread_cond_destroy(&uploads->change);
    pthread_mutex_destroy(&uploads->lock);
    pthread_mutex_destroy(&uploads->room_lock);
    free(uploads->path);
    free(uploads);
}

/* ---- What is there ---- */

static void facts_of(const Uploads *uploads, const char *digest, int64_t size, int64_t used_us, UploadFacts *ret)
{
    snprintf(ret->uri, sizeof ret->uri, "upload:%.64s", digest);
    ret->size = size;
    ret->kept_until_us = used_us + VMAFX_MAX(uploads->config.age_us, uploads->config.grace_us);
}

/** With the lock. A use: from now on it stays for a while. owner: as a folder is called. */
static VmafxErr use(Uploads *uploads, const char *owner, const char *digest, UploadFacts *ret)
{
    char path[UPLOAD_PATH_MAX];
    struct stat st;

    path_of(path, owner, digest);
    if (utimensat(uploads->folder, path, NULL, AT_SYMLINK_NOFOLLOW) ||
        fstatat(uploads->folder, path, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
        return VMAFX_ERR_NOT_FOUND;
    facts_of(uploads, digest, st.st_size, uploads_us(st.st_mtim), ret);
    ret->already_there = true;
    return VMAFX_OK;
}

VmafxErr uploads_find(Uploads *uploads, const char *owner, const char *digest, UploadFacts *ret)
{
    char folder[VMAFX_SHA256_TEXT];

    owner_of(owner, folder);
    pthread_mutex_lock(&uploads->lock);
    VmafxErr err = use(uploads, folder, digest, ret);
    pthread_mutex_unlock(&uploads->lock);
    return err;
}

VmafxErr uploads_read(Uploads *uploads, const char *owner, const char *digest, int *ret_fd, int64_t *ret_size)
{
    char folder[VMAFX_SHA256_TEXT], path[UPLOAD_PATH_MAX];
    UploadFacts facts;

    owner_of(owner, folder);
    path_of(path, folder, digest);
    pthread_mutex_lock(&uploads->lock);
    VmafxErr err = use(uploads, folder, digest, &facts);
    int fd = err ? -1 : openat(uploads->folder, path, O_RDONLY | OPEN_FLAGS);
    pthread_mutex_unlock(&uploads->lock);
    if (!err && fd < 0)
        return VMAFX_ERR_IO;
    if (err)
        return err;
    *ret_fd = fd;
    *ret_size = facts.size;
    return VMAFX_OK;
}

/** The folder of an owner; with the lock. */
static bool make_owner(const Uploads *uploads, const char *owner)
{
    return !mkdirat(uploads->folder, owner, 0700) || errno == EEXIST;
}

VmafxErr uploads_share(Uploads *uploads, const char *from, const char *to, const char *digest)
{
    char folders[2][VMAFX_SHA256_TEXT], paths[2][UPLOAD_PATH_MAX];
    UploadFacts facts;

    owner_of(from, folders[0]);
    owner_of(to, folders[1]);
    for (int i = 0; i < 2; i++)
        path_of(paths[i], folders[i], digest);
    pthread_mutex_lock(&uploads->lock);
    VmafxErr err = use(uploads, folders[0], digest, &facts);
    if (!err && use(uploads, folders[1], digest, &facts)) {
        /* Counted twice though its bytes are there once: too much is refused rather than too little. */
        if (!make_owner(uploads, folders[1]) || linkat(uploads->folder, paths[0], uploads->folder, paths[1], 0))
            err = VMAFX_ERR_IO;
        else {
            uploads->bytes += facts.size;
            uploads->files++;
        }
    }
    pthread_mutex_unlock(&uploads->lock);
    return err;
}

/* ---- Coming in ---- */

/** With the lock. */
static bool has_room(const Uploads *uploads, int64_t size)
{
    return size <= uploads->config.all_bytes_max - uploads->bytes - uploads->coming &&
           uploads->files + uploads->n_coming < UPLOADS_FILES_MAX;
}

static VmafxErr no_room(const Uploads *uploads, int64_t size, VmafxErrInfo *reterr)
{
    return vmafx_fail(reterr, VMAFX_ERR_BUSY,
                      "there is no room for an upload of %" PRId64 " bytes: the uploads that are in use take what of "
                      "the %" PRId64 " bytes for all (VMAFX_UPLOADS_BYTES_MAX) would be needed; try again later",
                      size, uploads->config.all_bytes_max);
}

/** With the lock. */
static size_t coming_of(const Uploads *uploads, const char *owner)
{
    size_t n = 0;

    for (const Incoming *other = uploads->first; other; other = other->next)
        n += !strcmp(other->owner, owner);
    return n;
}

static VmafxErr reserve(Incoming *incoming, VmafxErrInfo *reterr)
{
    Uploads *uploads = incoming->uploads;
    int64_t size = incoming->size;
    VmafxErr err = VMAFX_OK;

    pthread_mutex_lock(&uploads->lock);
    if (!has_room(uploads, size)) {
        int64_t need = uploads->bytes + uploads->coming + size - uploads->config.all_bytes_max;

        pthread_mutex_unlock(&uploads->lock);
        if (size <= uploads->config.all_bytes_max)
            uploads_remove(uploads, VMAFX_MAX(need, 0), 1);
        pthread_mutex_lock(&uploads->lock);
    }
    if (!has_room(uploads, size))
        err = no_room(uploads, size, reterr);
    else if (uploads->n_coming == UPLOADS_COMING_MAX)
        err =
            vmafx_fail(reterr, VMAFX_ERR_BUSY, "%d uploads are under way already; try again later", UPLOADS_COMING_MAX);
    else if (coming_of(uploads, incoming->owner) == UPLOADS_OF_ONE_MAX)
        err = vmafx_fail(reterr, VMAFX_ERR_BUSY,
                         "%d uploads of yours are under way already, and the other places are for others; try again "
                         "when one has ended",
                         UPLOADS_OF_ONE_MAX);
    if (!err) {
        uploads->coming += size;
        uploads->n_coming++;
        incoming->next = uploads->first;
        if (incoming->next)
            incoming->next->prev = incoming;
        uploads->first = incoming;
    }
    pthread_mutex_unlock(&uploads->lock);
    return err;
}

static bool temp_name(char ret[24])
{
    uint64_t random;

    if (getrandom(&random, sizeof random, 0) != sizeof random)
        return false;
    snprintf(ret, 24, "tmp-%016" PRIx64, random);
    return true;
}

static VmafxErr enter(Uploads *uploads, const char *owner, const char *digest, int64_t size, Incoming **ret,
                      UploadFacts *ret_facts, VmafxErrInfo *reterr)
{
    if (size < 1)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "an upload has at least one byte, not %" PRId64, size);
    if (size > uploads->config.bytes_max)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT,
                          "an upload of %" PRId64 " bytes is more than the %" PRId64
                          " that this controller takes (VMAFX_UPLOAD_BYTES_MAX)",
                          size, uploads->config.bytes_max);
    *ret = NULL;
    if (!uploads_find(uploads, owner, digest, ret_facts))
        return VMAFX_OK;

    Incoming *incoming = calloc(1, sizeof *incoming);
    if (!incoming)
        return VMAFX_ERR_NOMEM;
    incoming->uploads = uploads;
    incoming->size = size;
    incoming->fd = -1;
    owner_of(owner, incoming->owner);
    VmafxErr err = reserve(incoming, reterr);
    if (err) {
        free(incoming);
        return err;
    }
    snprintf(incoming->digest, sizeof incoming->digest, "%s", digest);
    vmafx_sha256_init(&incoming->sha);
    *ret = incoming;
    return VMAFX_OK;
}

/** Takes the room, and makes the struct. *ret is NULL where it is there already. */
static VmafxErr incoming_new(Uploads *uploads, const char *owner, const char *digest, int64_t size, Incoming **ret,
                             UploadFacts *ret_facts, VmafxErrInfo *reterr)
{
    VmafxErr err = enter(uploads, owner, digest, size, ret, ret_facts, reterr);

    if (err || !*ret)
        uploads_tell(uploads, err ? upload_outcome_of(err) : UPLOAD_THERE, 0);
    return err;
}

/** How it will have ended, when it is dropped. */
static VmafxErr note(Incoming *incoming, VmafxErr err)
{
    incoming->outcome = upload_outcome_of(err);
    return err;
}

/** With all its room on the disk, so that a full one is known now. Not every file system can promise that. */
static VmafxErr make_file(Incoming *incoming, VmafxErrInfo *reterr)
{
    Uploads *uploads = incoming->uploads;

    if (!temp_name(incoming->temp))
        return vmafx_fail(reterr, VMAFX_ERR_IO, "no random number for the name of an upload");
    incoming->fd = openat(uploads->folder, incoming->temp, O_RDWR | O_CREAT | O_EXCL | OPEN_FLAGS, 0600);
    if (incoming->fd < 0) {
        incoming->temp[0] = 0;
        return disk(reterr, "no file can be made in the controller's folder of uploads");
    }
    for (int tries = 0; fallocate(incoming->fd, 0, 0, incoming->size); tries++) {
        if (errno != ENOSPC && errno != EDQUOT && errno != EFBIG)
            break;
        if (tries)
            return disk(reterr, "");
        uploads_remove(uploads, incoming->size, 1);
    }
    return VMAFX_OK;
}

VmafxErr uploads_begin(Uploads *uploads, const char *owner, const char *digest, int64_t size, Incoming **ret,
                       UploadFacts *ret_facts, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(incoming_drop) Incoming *incoming = NULL;
    VmafxErr err = incoming_new(uploads, owner, digest, size, &incoming, ret_facts, reterr);

    if (!err && incoming)
        err = make_file(incoming, reterr);
    if (!err)
        *ret = VMAFX_TAKE(incoming);
    else if (incoming)
        note(incoming, err);
    return err;
}

static VmafxErr write_on(Incoming *incoming, const void *data, size_t len, VmafxErrInfo *reterr)
{
    const char *bytes = data;

    if (len > (uint64_t)(incoming->size - incoming->came))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "the upload is longer than the %" PRId64 " bytes it began with",
                          incoming->size);
    for (size_t done = 0; done < len;) {
        ssize_t n = write(incoming->fd, bytes + done, len - done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return disk(reterr, "the controller cannot write the upload to its disk");
        done += (size_t)n;
    }
    vmafx_sha256_add(&incoming->sha, data, len);
    incoming->came += (int64_t)len;
    if (incoming->came - incoming->flushed < FLUSH_BYTES)
        return VMAFX_OK;
    incoming->flushed = incoming->came;
    return fdatasync(incoming->fd) ? disk(reterr, "the controller cannot write the upload to its disk") : VMAFX_OK;
}

VmafxErr incoming_add(Incoming *incoming, const void *data, size_t len, VmafxErrInfo *reterr)
{
    VmafxErr err = write_on(incoming, data, len, reterr);

    return err ? note(incoming, err) : VMAFX_OK;
}

void incoming_drop(Incoming **at)
{
    Incoming *incoming = VMAFX_TAKE(*at);

    if (!incoming)
        return;
    Uploads *uploads = incoming->uploads;
    if (*incoming->temp)
        unlinkat(uploads->folder, incoming->temp, 0);
    if (incoming->fd >= 0)
        close(incoming->fd);
    uploads_tell(uploads, incoming->outcome, incoming->came);
    pthread_mutex_lock(&uploads->lock);
    uploads->coming -= incoming->size;
    uploads->n_coming--;
    if (incoming->prev)
        incoming->prev->next = incoming->next;
    else
        uploads->first = incoming->next;
    if (incoming->next)
        incoming->next->prev = incoming->prev;
    pthread_mutex_unlock(&uploads->lock);
    free(incoming);
}

/** A name that is on the disk. */
static bool flush_folder(const Uploads *uploads, const char *name)
{
    int fd = openat(uploads->folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool flushed = fd >= 0 && !fsync(fd);

    if (fd >= 0)
        close(fd);
    return flushed;
}

/** The file is whole and right: gives it its place. */
static VmafxErr place(Incoming *incoming, UploadFacts *ret, VmafxErrInfo *reterr)
{
    Uploads *uploads = incoming->uploads;
    char path[UPLOAD_PATH_MAX];
    VmafxErr err = VMAFX_OK;

    path_of(path, incoming->owner, incoming->digest);
    if (fchmod(incoming->fd, 0400) || fdatasync(incoming->fd))
        return note(incoming, disk(reterr, "the controller cannot write the upload to its disk"));
    pthread_mutex_lock(&uploads->lock);
    if (use(uploads, incoming->owner, incoming->digest, ret)) { /* else somebody was faster with the same */
        struct stat st;

        if (futimens(incoming->fd, NULL) || fstat(incoming->fd, &st) || !make_owner(uploads, incoming->owner) ||
            renameat(uploads->folder, incoming->temp, uploads->folder, path)) {
            err = disk(reterr, "the controller cannot keep the upload");
        } else {
            incoming->temp[0] = 0;
            uploads->bytes += incoming->size;
            uploads->files++;
            facts_of(uploads, incoming->digest, incoming->size, uploads_us(st.st_mtim), ret);
            ret->already_there = false;
        }
    }
    pthread_mutex_unlock(&uploads->lock);
    if (!err && (!flush_folder(uploads, incoming->owner) || !flush_folder(uploads, ".")))
        err = disk(reterr, "the controller cannot keep the upload");
    incoming->outcome = err ? upload_outcome_of(err) : ret->already_there ? UPLOAD_THERE : UPLOAD_KEPT;
    return err;
}

VmafxErr incoming_end(Incoming **at, UploadFacts *ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(incoming_drop) Incoming *incoming = VMAFX_TAKE(*at);
    char digest[VMAFX_SHA256_TEXT];

    if (incoming->came != incoming->size)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "the upload ended after %" PRId64 " of %" PRId64 " bytes",
                          incoming->came, incoming->size);
    incoming->outcome = UPLOAD_REFUSED;
    vmafx_sha256_end_hex(&incoming->sha, digest);
    if (strcmp(digest, incoming->digest) != 0)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                          "the upload's SHA-256 is %s, not the promised %s: it was damaged on its way, or changed "
                          "while it was read",
                          digest, incoming->digest);
    return place(incoming, ret, reterr);
}

/* ---- A whole file ---- */

static VmafxErr copy(Incoming *incoming, int fd, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_free_p) char *buffer = malloc(COPY_BYTES);
    VmafxErr err = make_file(incoming, reterr);

    if (!err && !buffer)
        err = VMAFX_ERR_NOMEM;
    while (!err && incoming->came < incoming->size) {
        ssize_t n = pread(fd, buffer, COPY_BYTES, incoming->came);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return vmafx_fail(reterr, VMAFX_ERR_IO, "what was uploaded cannot be read back");
        err = incoming_add(incoming, buffer, (size_t)n, reterr);
    }
    return err;
}

/** A name for what has none; false where that cannot be. */
static bool name_it(Incoming *incoming, int fd)
{
    char self[40];

    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    if (!temp_name(incoming->temp))
        return false;
    if (linkat(AT_FDCWD, self, incoming->uploads->folder, incoming->temp, AT_SYMLINK_FOLLOW)) {
        incoming->temp[0] = 0;
        return false;
    }
    incoming->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return incoming->fd >= 0;
}

VmafxErr uploads_keep(Uploads *uploads, const char *owner, const char *digest, int fd, int64_t size, UploadFacts *ret,
                      VmafxErrInfo *reterr)
{
    VMAFX_AUTO(incoming_drop) Incoming *incoming = NULL;
    VmafxErr err = incoming_new(uploads, owner, digest, size, &incoming, ret, reterr);

    if (err || !incoming)
        return err;
    if (name_it(incoming, fd)) {
        incoming->came = size;
        return place(incoming, ret, reterr);
    }
    err = copy(incoming, fd, reterr);
    return err ? note(incoming, err) : incoming_end(&incoming, ret, reterr);
}
