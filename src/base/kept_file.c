/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A file without a name (O_TMPFILE), linked and renamed in the end. */

#include "base/kept_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"

#define NAMES_TRIED 100

static VmafxErr fail(const char *path, const char *what, VmafxErrInfo *reterr)
{
    return vmafx_fail(reterr, errno == ENOMEM ? VMAFX_ERR_NOMEM : VMAFX_ERR_IO, "cannot %s '%s': %s", what, path,
                      strerror(errno));
}

/* The folder of a path, with a dot for "here"; NULL: no memory. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return vmafx_sprintf("%.*s.", slash ? (int)(slash - path) + 1 : 0, path);
}

/* Beside the path. NULL: no memory. */
static char *temporary_name(const char *path)
{
    static atomic_uint counter;
    const char *slash = strrchr(path, '/');

    return vmafx_sprintf("%.*s.vmafx-%ld-k%u.tmp", slash ? (int)(slash - path) + 1 : 0, path, (long)getpid(),
                         atomic_fetch_add(&counter, 1));
}

static int open_named(VmafxKeptFile *file)
{
    for (int i = 0; i < NAMES_TRIED; i++) {
        free(file->temp);
        file->temp = temporary_name(file->path);
        if (!file->temp) {
            errno = ENOMEM;
            return -1;
        }
        int fd = open(file->temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0)
            return fd;
        if (errno != EEXIST)
            break;
    }
    vmafx_free_p(&file->temp); /* not ours to remove */
    return -1;
}

VmafxErr vmafx_kept_file_open(const char *path, VmafxKeptFile *ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_kept_file_done) VmafxKeptFile file = VMAFX_KEPT_FILE_NONE;
    VMAFX_AUTO(vmafx_free_p) char *folder = folder_of(path);
    struct stat st;

    file.path = vmafx_strdup(path);
    if (!file.path || !folder)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory to write '%s'", path);
    if (!stat(path, &st) && !S_ISREG(st.st_mode))
        return vmafx_fail(reterr, VMAFX_ERR_IO, "cannot write '%s': it is not a plain file", path);
    file.fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
    if (file.fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL))
        file.fd = open_named(&file);
    if (file.fd < 0)
        return fail(path, "create", reterr);
    *ret = file;
    file = (VmafxKeptFile)VMAFX_KEPT_FILE_NONE;
    return VMAFX_OK;
}

/* Gives a file without a name a temporary one: only renaming replaces what may have the final name already. */
static VmafxErr give_name(VmafxKeptFile *file, VmafxErrInfo *reterr)
{
    char descriptor[32];

    snprintf(descriptor, sizeof descriptor, "/proc/self/fd/%d", file->fd);
    for (int i = 0; i < NAMES_TRIED; i++) {
        VMAFX_AUTO(vmafx_free_p) char *name = temporary_name(file->path);

        if (!name)
            return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory to write '%s'", file->path);
        if (!linkat(AT_FDCWD, descriptor, AT_FDCWD, name, AT_SYMLINK_FOLLOW)) {
            file->temp = VMAFX_TAKE(name);
            return VMAFX_OK;
        }
        if (errno != EEXIST)
            break;
    }
    return fail(file->path, "create", reterr);
}

static void sync_folder(const char *path)
{
    VMAFX_AUTO(vmafx_free_p) char *folder = folder_of(path);
    int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    if (fd < 0)
        return;
    VMAFX_IGNORE(fsync(fd)); /* not all file systems can do that for folders; the file itself is safe */
    close(fd);
}

VmafxErr vmafx_kept_file_commit(VmafxKeptFile *file, VmafxErrInfo *reterr)
{
    if (fsync(file->fd) && errno != EINVAL && errno != ENOSYS)
        return fail(file->path, "write", reterr);
    VmafxErr err = file->temp ? VMAFX_OK : give_name(file, reterr);
    if (err)
        return err;
    if (rename(file->temp, file->path))
        return fail(file->path, "create", reterr);
    vmafx_free_p(&file->temp);
    sync_folder(file->path);
    return VMAFX_OK;
}

int vmafx_reopen(int fd)
{
    char name[32];
    struct stat st;

    if (fstat(fd, &st))
        return -1;
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
        errno = ESPIPE;
        return -1;
    }
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    return open(name, O_RDONLY | O_CLOEXEC);
}

void vmafx_kept_file_done(VmafxKeptFile *file)
{
    if (file->fd >= 0)
        close(file->fd);
    if (file->temp)
        unlink(file->temp);
    free(file->temp);
    free(file->path);
    *file = (VmafxKeptFile)VMAFX_KEPT_FILE_NONE;
}
