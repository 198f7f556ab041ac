/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Which uploads may go: neither what was used a moment ago, nor what a job names that has not ended. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"
#include "programs/controller/uploads_internal.h"
#include "rpc/message.h"
#include "signals/signals.h"

#define SWEEP_S 300

/** One that may go, as far as its time says. */
typedef struct Candidate {
    char path[UPLOAD_PATH_MAX];
    int64_t used_us, size;
    bool in_use;
} Candidate;

typedef struct Walk {
    Candidate *items; /* NULL: only count */
    size_t n, room;
    int64_t before_us; /* used later than this: none */
    int64_t bytes;
    size_t files;
    bool clean; /* remove what nobody is writing any more: at the start */
} Walk;

static bool is_hex64(const char *name)
{
    return strspn(name, "0123456789abcdef") == 64 && !name[64];
}

static DIR *open_folder(int at, const char *name)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (fd >= 0 && !dir)
        close(fd);
    return dir;
}

static bool add(Walk *walk, const char *owner, const char *name, const struct stat *st)
{
    walk->files++;
    walk->bytes += st->st_size;
    if (!walk->room || uploads_us(st->st_mtim) > walk->before_us)
        return true;
    if (walk->n == walk->room) {
        size_t room = 2 * walk->room;
        Candidate *more = realloc(walk->items, room * sizeof *more);

        if (!more)
            return false;
        walk->items = more;
        walk->room = room;
    }
    Candidate *c = &walk->items[walk->n++];
    *c = (Candidate){ .used_us = uploads_us(st->st_mtim), .size = st->st_size };
    snprintf(c->path, sizeof c->path, "%.64s/%.64s", owner, name);
    return true;
}

/** With the lock, or alone. */
static bool walk_all(const Uploads *uploads, Walk *walk)
{
    DIR *root = open_folder(uploads->folder, ".");
    bool fine = root != NULL;
    struct stat st;

    for (struct dirent *owner; fine && (owner = readdir(root));) {
        if (walk->clean && !strncmp(owner->d_name, "tmp-", 4))
            unlinkat(uploads->folder, owner->d_name, 0);
        if (!is_hex64(owner->d_name))
            continue;
        unlinkat(uploads->folder, owner->d_name, AT_REMOVEDIR); /* an empty one is of no use, others stay */
        DIR *dir = open_folder(uploads->folder, owner->d_name);
        for (struct dirent *entry; dir && fine && (entry = readdir(dir));)
            if (is_hex64(entry->d_name) && !fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) &&
                S_ISREG(st.st_mode))
                fine = add(walk, owner->d_name, entry->d_name, &st);
        if (dir)
            closedir(dir);
    }
    if (root)
        closedir(root);
    return fine;
}

VmafxErr uploads_count(Uploads *uploads)
{
    Walk walk = { .clean = true };

    if (!walk_all(uploads, &walk))
        return VMAFX_ERR_IO;
    uploads->bytes = walk.bytes;
    uploads->files = walk.files;
    return VMAFX_OK;
}

/* ---- In use ---- */

static int by_path(const void *a, const void *b)
{
    return strcmp(((const Candidate *)a)->path, ((const Candidate *)b)->path);
}

static int by_use(const void *a, const void *b)
{
    int64_t x = ((const Candidate *)a)->used_us, y = ((const Candidate *)b)->used_us;

    return (x > y) - (x < y);
}

static void mark_input(Walk *walk, const char *submitter, const Vmafx__V1__Input *input)
{
    const char *digest = input ? vmafx_uri_upload_digest(input->uri) : NULL;
    Candidate wanted;
    char owner[VMAFX_SHA256_TEXT];

    if (!digest)
        return;
    vmafx_sha256_hex(submitter, strlen(submitter), owner);
    snprintf(wanted.path, sizeof wanted.path, "%.64s/%.64s", owner, digest);
    Candidate *found = bsearch(&wanted, walk->items, walk->n, sizeof wanted, by_path);
    if (found)
        found->in_use = true;
}

static bool mark_job(Walk *walk, const VmafxStoredJob *job)
{
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
    VmafxErr err = vmafx_message_unpack(&vmafx__v1__job_spec__descriptor, job->spec, job->spec_len, 0, &message, NULL);

    if (err)
        return err != VMAFX_ERR_NOMEM; /* a request that cannot be read names nothing, and no node can run it */
    const Vmafx__V1__JobSpec *spec = vmafx_message_get(message);
    mark_input(walk, job->job.submitter, spec->reference);
    if (spec->distorted_source_case == VMAFX__V1__JOB_SPEC__DISTORTED_SOURCE_DISTORTED)
        mark_input(walk, job->job.submitter, spec->distorted);
    return true;
}

/** False: it is not known of all jobs, and then nothing may go. Candidates are sorted by path. */
static bool mark_in_use(const Uploads *uploads, Walk *walk)
{
    VmafxStoreFilter filter = { .states = 1u << VMAFX_JOB_QUEUED | 1u << VMAFX_JOB_RUNNING,
                                .limit = VMAFX_STORE_PAGE_MAX };
    bool fine = true, more = true;

    while (fine && more) {
        VMAFX_AUTO(vmafx_stored_jobs_done) VmafxStoredJobs page = { 0 };

        if (vmafx_store_list(uploads->config.store, &filter, &page))
            return false;
        for (size_t i = 0; fine && i < page.n; i++)
            fine = mark_job(walk, &page.items[i]);
        more = page.more && page.n;
        if (more)
            filter.before = page.items[page.n - 1].job.id;
    }
    return fine;
}

/* ---- Removing ---- */

/** Unless it was used since it was looked at. */
static bool remove_one(Uploads *uploads, const Candidate *c)
{
    struct stat st;

    pthread_mutex_lock(&uploads->lock);
    bool gone = !fstatat(uploads->folder, c->path, &st, AT_SYMLINK_NOFOLLOW) && uploads_us(st.st_mtim) == c->used_us &&
                !unlinkat(uploads->folder, c->path, 0);
    if (gone) {
        uploads->bytes -= c->size;
        uploads->files--;
    }
    pthread_mutex_unlock(&uploads->lock);
    return gone;
}

static void remove_some(Uploads *uploads, Walk *walk, int64_t bytes, size_t files, int64_t now_us)
{
    int64_t freed = 0, too_old = now_us - uploads->config.age_us;
    size_t n = 0;

    qsort(walk->items, walk->n, sizeof *walk->items, by_use);
    for (size_t i = 0; i < walk->n; i++) {
        const Candidate *c = &walk->items[i];

        if (c->used_us >= too_old && freed >= bytes && n >= files)
            break;
        if (!c->in_use && remove_one(uploads, c)) {
            freed += c->size;
            n++;
        }
    }
    if (n)
        vmafx_log(uploads->config.log, VMAFX_INFO, "uploads removed", VMAFX_ATTR_INT(VMAFX_KEY_INPUT_SIZE, freed));
}

void uploads_remove(Uploads *uploads, int64_t bytes, size_t files)
{
    int64_t now_us = (int64_t)(vmafx_wall_ns() / 1000);
    Walk walk = { .before_us = now_us - uploads->config.grace_us, .room = 64 };

    pthread_mutex_lock(&uploads->room_lock);
    walk.items = malloc(walk.room * sizeof *walk.items);
    pthread_mutex_lock(&uploads->lock);
    bool fine = walk.items && walk_all(uploads, &walk);
    if (fine) { /* somebody may have removed files by hand */
        uploads->bytes = walk.bytes;
        uploads->files = walk.files;
    }
    pthread_mutex_unlock(&uploads->lock);
    bool wanted = bytes > 0 || files > 0;
    for (size_t i = 0; fine && !wanted && i < walk.n; i++)
        wanted = walk.items[i].used_us < now_us - uploads->config.age_us;
    if (fine && walk.n && wanted) {
        qsort(walk.items, walk.n, sizeof *walk.items, by_path);
        if (mark_in_use(uploads, &walk))
            remove_some(uploads, &walk, bytes, files, now_us);
    }
    free(walk.items);
    pthread_mutex_unlock(&uploads->room_lock);
}

void uploads_sweep(Uploads *uploads)
{
    uploads_remove(uploads, 0, 0);
}

void *uploads_sweep_on(void *arg)
{
    Uploads *uploads = arg;
    bool stopping = false;

    while (!stopping) {
        struct timespec until;
        int timed_out = 0;

        uploads_sweep(uploads);
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += SWEEP_S;
        pthread_mutex_lock(&uploads->lock);
        while (!uploads->stopping && !timed_out)
            timed_out = pthread_cond_timedwait(&uploads->change, &uploads->lock, &until);
        stopping = uploads->stopping;
        pthread_mutex_unlock(&uploads->lock);
    }
    return NULL;
}
