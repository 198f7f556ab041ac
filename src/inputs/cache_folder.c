/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Names, flocks and renames. flock belongs to the open file, so that threads exclude each other as processes do. */

#include "inputs/cache_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "base/folders.h"

#define OPEN_FLAGS  (O_CLOEXEC | O_NOFOLLOW)
#define ENTRIES_MAX 100000 /* looked at for room */
#define LOCK_TRIES  100

static void name_of(char ret[CACHE_NAME_MAX], const char *key, const char *ending)
{
    snprintf(ret, CACHE_NAME_MAX, "%.64s.%s", key, ending);
}

static bool same_file(int folder, const char *name, int fd)
{
    struct stat a, b;

    return !fstat(fd, &a) && !fstatat(folder, name, &b, AT_SYMLINK_NOFOLLOW) && a.st_ino == b.st_ino &&
           a.st_dev == b.st_dev;
}

static bool ends(const char *name, const char *ending)
{
    size_t len = strlen(name), n = strlen(ending);

    return len > n && !strcmp(name + len - n, ending);
}

static int64_t ns_of(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- Opening ---- */

/** A name without a holder is of a process that is no more. */
static void remove_if_free(int folder, const char *name)
{
    int fd = openat(folder, name, O_RDONLY | OPEN_FLAGS);

    if (fd < 0)
        return;
    if (!flock(fd, LOCK_EX | LOCK_NB) && same_file(folder, name, fd))
        unlinkat(folder, name, 0);
    close(fd);
}

/** Data without its meta: killed between the two, or another process is just there, and then it holds the lock. */
static void remove_orphan(int folder, const char *name)
{
    char key[VMAFX_SHA256_TEXT], meta[CACHE_NAME_MAX];

    snprintf(key, sizeof key, "%.64s", name);
    name_of(meta, key, "meta");
    int lock = cache_lock(folder, key);
    if (lock < 0)
        return;
    if (faccessat(folder, meta, F_OK, AT_SYMLINK_NOFOLLOW))
        remove_if_free(folder, name);
    cache_unlock(folder, key, &lock);
}

static void clean_up(int folder)
{
    int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);

    if (!dir)
        return;
    for (struct dirent *entry; (entry = readdir(dir));)
        if (!strncmp(entry->d_name, "tmp-", 4) || ends(entry->d_name, ".lock"))
            remove_if_free(folder, entry->d_name);
        else if (ends(entry->d_name, ".data") && strlen(entry->d_name) == VMAFX_SHA256_TEXT + 4)
            remove_orphan(folder, entry->d_name);
    closedir(dir);
}

VmafxErr cache_folder_open(const char *path, int *ret, VmafxErrInfo *reterr)
{
    struct stat st;
    VmafxErr err = vmafx_make_folders(path, 0700, reterr);

    if (err)
        return err;
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0 || fstat(folder, &st) || faccessat(folder, ".", W_OK, AT_EACCESS)) {
        err = vmafx_fail(reterr, VMAFX_ERR_IO, "cannot use the cache folder '%s': %s", path, strerror(errno));
    } else if (st.st_mode & S_IWOTH) {
        err = vmafx_fail(reterr, VMAFX_ERR_INVALID,
                         "the cache folder '%s' may be written to by everyone; name one of your own", path);
    }
    if (err) {
        if (folder >= 0)
            close(folder);
        return err;
    }
    clean_up(folder);
    *ret = folder;
    return VMAFX_OK;
}

/* ---- Files on their way ---- */

bool cache_temp_open(int folder, CacheTemp *temp)
{
    for (int i = 0; i < LOCK_TRIES; i++) {
        uint64_t random;

        if (getrandom(&random, sizeof random, 0) != sizeof random)
            return false;
        snprintf(temp->name, sizeof temp->name, "tmp-%016llx", (unsigned long long)random);
        temp->fd = openat(folder, temp->name, O_RDWR | O_CREAT | O_EXCL | OPEN_FLAGS, 0600);
        if (temp->fd < 0 && errno == EEXIST)
            continue;
        if (temp->fd < 0)
            break;
        if (!flock(temp->fd, LOCK_EX | LOCK_NB) && same_file(folder, temp->name, temp->fd))
            return true;
        close(temp->fd); /* somebody who cleans up was faster */
        temp->fd = -1;
    }
    temp->name[0] = 0;
    return false;
}

void cache_temp_drop(int folder, CacheTemp *temp)
{
    if (temp->fd < 0)
        return;
    if (*temp->name)
        unlinkat(folder, temp->name, 0);
    close(temp->fd);
    *temp = (CacheTemp){ .fd = -1 };
}

/* ---- Locks ---- */

int cache_lock(int folder, const char *key)
{
    char name[CACHE_NAME_MAX];

    name_of(name, key, "lock");
    for (int i = 0; i < LOCK_TRIES; i++) {
        int fd = openat(folder, name, O_RDWR | O_CREAT | OPEN_FLAGS, 0600);

        if (fd < 0)
            return -1;
        if (flock(fd, LOCK_EX | LOCK_NB)) {
            int error = errno;
            close(fd);
            errno = error;
            return -1;
        }
        if (same_file(folder, name, fd))
            return fd;
        close(fd); /* whoever had it has removed its name meanwhile */
    }
    errno = EWOULDBLOCK;
    return -1;
}

void cache_unlock(int folder, const char *key, int *lock)
{
    char name[CACHE_NAME_MAX];

    if (*lock < 0)
        return;
    name_of(name, key, "lock");
    unlinkat(folder, name, 0); /* before it is free, so that nobody takes a name that goes */
    close(*lock);
    *lock = -1;
}

/* ---- Entries ---- */

static bool read_meta(int folder, const char *key, CacheMeta *ret)
{
    char name[CACHE_NAME_MAX], text[CACHE_META_MAX];

    name_of(name, key, "meta");
    int fd = openat(folder, name, O_RDONLY | OPEN_FLAGS);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, sizeof text);
    close(fd);
    return n > 0 && cache_meta_parse(text, (size_t)n, ret);
}

bool cache_find(int folder, const char *key, CacheMeta *ret_meta, int *ret_fd)
{
    char name[CACHE_NAME_MAX];
    struct stat st;

    name_of(name, key, "data");
    int fd = openat(folder, name, O_RDONLY | OPEN_FLAGS);
    if (fd < 0)
        return false;
    /* held first, then looked at: from here on it is not dropped for room */
    if (!flock(fd, LOCK_SH | LOCK_NB) && read_meta(folder, key, ret_meta) && !fstat(fd, &st) && st.st_nlink &&
        S_ISREG(st.st_mode) && st.st_size == ret_meta->size && ns_of(st.st_mtim) == ret_meta->changed_ns) {
        *ret_fd = fd;
        return true;
    }
    close(fd);
    return false;
}

bool cache_put_meta(int folder, const char *key, const CacheMeta *meta)
{
    char text[CACHE_META_MAX], name[CACHE_NAME_MAX];
    CacheTemp temp = { .fd = -1 };

    if (!cache_meta_print(meta, text, sizeof text)) {
        errno = EINVAL;
        return false;
    }
    if (!cache_temp_open(folder, &temp))
        return false;
    name_of(name, key, "meta");
    size_t len = strlen(text);
    bool put = write(temp.fd, text, len) == (ssize_t)len && !renameat(folder, temp.name, folder, name);
    int error = errno;
    if (put)
        temp.name[0] = 0;
    cache_temp_drop(folder, &temp);
    errno = error;
    return put;
}

int cache_put(int folder, const char *key, CacheTemp *temp, CacheMeta *meta)
{
    char name[CACHE_NAME_MAX];
    struct stat st;

    name_of(name, key, "data");
    int fd = openat(folder, temp->name, O_RDONLY | OPEN_FLAGS);
    if (fd < 0)
        return -1;
    /* After a crash of the machine a meta must not vouch for bytes that never came to the disk. */
    if (fchmod(temp->fd, 0400) || fdatasync(temp->fd) || fstat(temp->fd, &st))
        goto failed;
    meta->size = st.st_size;
    meta->changed_ns = ns_of(st.st_mtim);
    flock(temp->fd, LOCK_SH); /* never without a holder: it would be taken for a leftover */
    if (flock(fd, LOCK_SH | LOCK_NB) || renameat(folder, temp->name, folder, name))
        goto failed;
    temp->name[0] = 0;
    if (!cache_put_meta(folder, key, meta))
        unlinkat(folder, name, 0); /* no use to others, but whole */
    return fd;

failed:;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

void cache_touch(int folder, const char *key)
{
    char name[CACHE_NAME_MAX];

    name_of(name, key, "meta");
    utimensat(folder, name, NULL, AT_SYMLINK_NOFOLLOW); /* one that cannot be touched goes sooner, and that is all */
}

void cache_forget(int folder, const char *key)
{
    char name[CACHE_NAME_MAX];

    name_of(name, key, "meta");
    unlinkat(folder, name, 0);
    name_of(name, key, "data");
    remove_if_free(folder, name);
}

/* ---- Room ---- */

typedef struct Held {
    char key[VMAFX_SHA256_TEXT];
    int64_t used_ns, bytes;
} Held;

static int by_use(const void *a, const void *b)
{
    int64_t x = ((const Held *)a)->used_ns, y = ((const Held *)b)->used_ns;

    return (x > y) - (x < y);
}

/** Everything with bytes; a file on its way counts and cannot go. */
static size_t list(int folder, Held *items, int64_t *ret_total)
{
    int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    size_t n = 0;

    *ret_total = 0;
    if (!dir)
        return 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        bool is_data = ends(entry->d_name, ".data") && strlen(entry->d_name) == VMAFX_SHA256_TEXT + 4;
        struct stat st, meta;
        char name[CACHE_NAME_MAX];

        if ((!is_data && strncmp(entry->d_name, "tmp-", 4) != 0) ||
            fstatat(folder, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
            continue;
        *ret_total += st.st_size;
        if (!is_data || n == ENTRIES_MAX)
            continue;
        snprintf(items[n].key, sizeof items[n].key, "%.64s", entry->d_name);
        name_of(name, items[n].key, "meta");
        items[n].bytes = st.st_size;
        items[n++].used_ns = fstatat(folder, name, &meta, AT_SYMLINK_NOFOLLOW) ? 0 : ns_of(meta.st_mtim);
    }
    closedir(dir);
    return n;
}

static bool drop(int folder, const Held *item)
{
    char data[CACHE_NAME_MAX], meta[CACHE_NAME_MAX];
    bool dropped = false;

    name_of(data, item->key, "data");
    name_of(meta, item->key, "meta");
    int fd = openat(folder, data, O_RDONLY | OPEN_FLAGS);
    if (fd < 0)
        return false;
    if (!flock(fd, LOCK_EX | LOCK_NB) && same_file(folder, data, fd)) {
        unlinkat(folder, meta, 0);
        dropped = !unlinkat(folder, data, 0);
    }
    close(fd);
    return dropped;
}

bool cache_make_room(int folder, int64_t need, int64_t max)
{
    VMAFX_AUTO(vmafx_free_p) Held *items = NULL;
    int64_t total;

    if (need > max)
        return false;
    items = calloc(ENTRIES_MAX, sizeof *items); /* pages that are not written to are not there */
    if (!items)
        return false;
    size_t n = list(folder, items, &total);
    if (total <= max - need)
        return true;
    qsort(items, n, sizeof *items, by_use);
    for (size_t i = 0; i < n && total > max - need; i++)
        if (drop(folder, &items[i]))
            total -= items[i].bytes;
    return total <= max - need;
}
