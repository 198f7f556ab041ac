/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A temporary file in the target's folder, renamed over the target at the end. */

#include "base/atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio_ext.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"

#define NAMES_TRIED 100
#define LINKS_MAX   40 /* as the kernel has it */

struct VmafxAtomicFile {
    char *path;   /* as the caller gave it, for messages */
    char *target; /* after following links */
    char *temp;   /* NULL for a target that is written directly, and once it has its final name */
    FILE *stream;
    int direct_fd; /* -1: not opened yet, or not direct */
    int copy_of;   /* the descriptor that the path stands for (/dev/stdout); -1: none */
};

static VmafxErr fail(const char *path, const char *what, VmafxErrInfo *reterr)
{
    return vmafx_fail(reterr, errno == ENOMEM ? VMAFX_ERR_NOMEM : VMAFX_ERR_IO, "cannot %s '%s': %s", what, path,
                      strerror(errno));
}

/* ---- targets that are written directly ---- */

/* The descriptor that a path such as /dev/stdout or /dev/fd/3 stands for, or -1. */
static int descriptor_of(const char *path)
{
    static const char *const folders[] = { "/dev/fd/", "/proc/self/fd/" };
    char *end;

    if (!strcmp(path, "/dev/stdout"))
        return STDOUT_FILENO;
    if (!strcmp(path, "/dev/stderr"))
        return STDERR_FILENO;
    for (size_t i = 0; i < VMAFX_LEN(folders); i++) {
        size_t len = strlen(folders[i]);

        if (strncmp(path, folders[i], len) || path[len] < '0' || path[len] > '9')
            continue;
        long fd = strtol(path + len, &end, 10);
        return *end || fd > INT_MAX ? -1 : (int)fd;
    }
    return -1;
}

static bool direct_is_open(VmafxAtomicFile *file)
{
    if (file->direct_fd < 0 && file->copy_of >= 0)
        file->direct_fd = fcntl(file->copy_of, F_DUPFD_CLOEXEC, 0);
    else if (file->direct_fd < 0)
        file->direct_fd = open(file->target, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    return file->direct_fd >= 0;
}

/* Called by the stream; 0 is its way to hear of an error. */
static ssize_t write_directly(void *cookie, const char *data, size_t len)
{
    VmafxAtomicFile *file = cookie;
    size_t done = 0;

    if (!direct_is_open(file))
        return 0;
    while (done < len) {
        ssize_t n = write(file->direct_fd, data + done, len - done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return 0;
        done += (size_t)n;
    }
    return (ssize_t)len;
}

static VmafxErr open_directly(VmafxAtomicFile *file, VmafxErrInfo *reterr)
{
    bool writable = file->copy_of >= 0 ? fcntl(file->copy_of, F_GETFD) >= 0 : !access(file->target, W_OK);

    if (!writable)
        return fail(file->path, "write", reterr);
    file->stream = fopencookie(file, "w", (cookie_io_functions_t){ .write = write_directly });
    return file->stream ? VMAFX_OK : VMAFX_ERR_NOMEM;
}

/* ---- files that are replaced ---- */

/* The folder of a path, with its slash, or ""; its length. */
static size_t folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? (size_t)(slash - path) + 1 : 0;
}

/* The name is short and not made from the target's, which may be as long as names can be. */
static int create_temp(VmafxAtomicFile *file)
{
    static atomic_uint counter;
    int fd = -1;

    for (int i = 0; i < NAMES_TRIED && fd < 0; i++) {
        free(file->temp);
        file->temp = vmafx_sprintf("%.*s.vmafx-%ld-%u.tmp", (int)folder_length(file->target), file->target,
                                   (long)getpid(), atomic_fetch_add(&counter, 1));
        if (!file->temp) {
            errno = ENOMEM;
            return -1;
        }
        fd = open(file->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0 && errno != EEXIST)
            break;
    }
    if (fd < 0) {
        free(file->temp); /* not ours to remove */
        file->temp = NULL;
    }
    return fd;
}

static VmafxErr open_beside(VmafxAtomicFile *file, const struct stat *existing, VmafxErrInfo *reterr)
{
    if (existing && access(file->target, W_OK))
        return fail(file->path, "write", reterr);
    int fd = create_temp(file);
    if (fd < 0)
        return fail(file->path, "create", reterr);
    if (existing)
        VMAFX_IGNORE(fchmod(fd, existing->st_mode & 0777)); /* some file systems have no permissions */
    file->stream = fdopen(fd, "w");
    if (!file->stream) {
        close(fd);
        return VMAFX_ERR_NOMEM;
    }
    return VMAFX_OK;
}

/*
 * Where a file comes to be that does not exist yet: the path, or what it points to when it is a link. NULL with errno.
 */
static char *new_target(const char *path)
{
    char *target = vmafx_strdup(path), to[PATH_MAX];

    for (int i = 0; target && i < LINKS_MAX; i++) {
        ssize_t len = readlink(target, to, sizeof to - 1);

        if (len < 0)
            return target;
        to[len] = 0;
        char *next = *to == '/' ? vmafx_strdup(to) : vmafx_sprintf("%.*s%s", (int)folder_length(target), target, to);
        free(target);
        target = next;
    }
    errno = target ? ELOOP : ENOMEM;
    free(target);
    return NULL;
}

VmafxErr vmafx_atomic_file_open(const char *path, VmafxAtomicFile **ret_file, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_atomic_file_abort) VmafxAtomicFile *file = calloc(1, sizeof *file);
    struct stat st;

    if (!file)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory to write '%s'", path);
    bool exists = !stat(path, &st);
    file->direct_fd = -1;
    file->copy_of = descriptor_of(path);
    file->target = !exists ? new_target(path) : S_ISREG(st.st_mode) ? realpath(path, NULL) : vmafx_strdup(path);
    if (!file->target)
        return fail(path, "write", reterr);
    file->path = vmafx_strdup(path);
    if (!file->path)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory to write '%s'", path);
    if (exists && S_ISDIR(st.st_mode)) {
        errno = EISDIR;
        return fail(path, "write", reterr);
    }

    bool direct = file->copy_of >= 0 || (exists && !S_ISREG(st.st_mode));
    VmafxErr err = direct ? open_directly(file, reterr) : open_beside(file, exists ? &st : NULL, reterr);
    if (!err)
        *ret_file = VMAFX_TAKE(file);
    return err;
}

FILE *vmafx_atomic_file_stream(VmafxAtomicFile *file)
{
    return file->stream;
}

/* Closes the stream; false, with errno, when anything that was written did not arrive. */
static bool close_stream(VmafxAtomicFile *file)
{
    bool earlier = ferror(file->stream);
    int problem = 0;

    errno = 0;
    if (fflush(file->stream) || earlier)
        problem = errno ? errno : EIO;
    /* Pipes and some file systems have nothing to bring to disk. */
    if (!problem && file->temp && fsync(fileno(file->stream)) && errno != EINVAL && errno != ENOSYS)
        problem = errno;
    if (fclose(file->stream) && !problem)
        problem = errno;
    file->stream = NULL;
    errno = problem;
    return !problem;
}

/* After a crash the new name is there too. Not all file systems can do that for folders; the file itself is safe. */
static void sync_folder(const char *path)
{
    VMAFX_AUTO(vmafx_free_p) char *folder = vmafx_sprintf("%.*s.", (int)folder_length(path), path);
    int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    if (fd < 0)
        return;
    VMAFX_IGNORE(fsync(fd));
    close(fd);
}

static VmafxErr finish(VmafxAtomicFile *file, VmafxErrInfo *reterr)
{
    if (!file->temp && !direct_is_open(file)) /* nothing was written: who reads from a pipe must see its end */
        return fail(file->path, "write", reterr);
    if (!close_stream(file))
        return fail(file->path, "write", reterr);
    if (!file->temp) {
        int failed = close(file->direct_fd);

        file->direct_fd = -1;
        return failed ? fail(file->path, "write", reterr) : VMAFX_OK;
    }
    if (rename(file->temp, file->target))
        return fail(file->path, "create", reterr);
    vmafx_free_p(&file->temp);
    sync_folder(file->target);
    return VMAFX_OK;
}

VmafxErr vmafx_atomic_file_commit(VmafxAtomicFile **file, VmafxErrInfo *reterr)
{
    VmafxErr err = finish(*file, reterr);

    vmafx_atomic_file_abort(file);
    return err;
}

void vmafx_atomic_file_abort(VmafxAtomicFile **file)
{
    VmafxAtomicFile *f = VMAFX_TAKE(*file);
    int saved = errno; /* the reason for giving up is often read afterwards */

    if (!f)
        return;
    if (f->stream) {
        if (!f->temp)
            __fpurge(f->stream); /* what nobody wants must not start to flow now */
        fclose(f->stream);
    }
    if (f->direct_fd >= 0)
        close(f->direct_fd);
    if (f->temp)
        unlink(f->temp);
    free(f->temp);
    free(f->target);
    free(f->path);
    free(f);
    errno = saved;
}
