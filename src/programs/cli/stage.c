/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Copying what can be read only once. */

#include "programs/cli/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "base/kept_file.h"

#define PIECE   ((size_t)1 << 16)
#define WAIT_MS 100

/* "fd:3" and "pipe:3" as readers understand them; -1: no such name. */
static int named_descriptor(const char *path)
{
    const char *number = !strncmp(path, "fd:", 3) ? path + 3 : !strncmp(path, "pipe:", 5) ? path + 5 : NULL;
    char *end;

    if (!strcmp(path, "-") || !strcmp(path, "pipe:"))
        return STDIN_FILENO;
    if (!number || *number < '0' || *number > '9')
        return -1;
    long fd = strtol(number, &end, 10);
    return *end || fd > INT32_MAX ? -1 : (int)fd;
}

bool stage_is_needed(const char *path)
{
    int given = named_descriptor(path);
    struct stat st;

    if (!strncmp(path, "file:", 5))
        path += 5;
    if (given >= 0)
        return true; /* a file too: its position is shared with every other use of the descriptor */
    return !stat(path, &st) && !S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode) && !S_ISDIR(st.st_mode);
}

static int open_source(const char *path)
{
    int given = named_descriptor(path);

    if (!strncmp(path, "file:", 5))
        path += 5;
    if (given < 0)
        return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int flags = fcntl(given, F_GETFL);
    if (flags >= 0 && (flags & O_ACCMODE) == O_WRONLY) { /* nothing would ever come, nor an end */
        errno = EBADF;
        return -1;
    }
    return fcntl(given, F_DUPFD_CLOEXEC, 0);
}

static VmafxErr open_target(int *ret, VmafxErrInfo *reterr)
{
    const char *base = getenv("TMPDIR");
    VMAFX_AUTO(vmafx_free_p)
    char *path = vmafx_sprintf("%s/vmafx-reference-XXXXXX", base && *base == '/' ? base : "/tmp");
    int fd = path ? mkostemp(path, O_CLOEXEC) : -1;

    if (fd < 0)
        return vmafx_fail(reterr, VMAFX_ERR_IO, "cannot make a temporary file '%s': %s; TMPDIR names another folder",
                          path ? path : "", strerror(errno));
    unlink(path);
    *ret = fd;
    return VMAFX_OK;
}

static bool write_all(int fd, const char *data, size_t len)
{
    while (len) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && errno != EINTR)
            return false;
        data += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* The next bytes, 0 at the end; -1 with errno, ECANCELED when somebody wants it stopped. A FIFO that nobody writes to
   yet is waited for. */
static ssize_t read_some(int fd, char *piece, bool (*stopped)(void))
{
    for (;;) {
        struct pollfd ready = { .fd = fd, .events = POLLIN };
        ssize_t n;

        if (stopped()) {
            errno = ECANCELED;
            return -1;
        }
        if (poll(&ready, 1, WAIT_MS) == 0)
            continue;
        n = read(fd, piece, PIECE);
        if (n >= 0 || (errno != EINTR && errno != EAGAIN))
            return n;
    }
}

static VmafxErr copy(const char *path, int from, int to, int64_t max, bool (*stopped)(void), VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_free_p) char *piece = malloc(PIECE);
    int64_t had = 0;
    ssize_t n;

    if (!piece)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory to read '%s'", path);
    while ((n = read_some(from, piece, stopped)) > 0) {
        had += n;
        if (had > max)
            return vmafx_fail(reterr, VMAFX_ERR_LIMIT,
                              "'%s' has more than %lld bytes, the most that is kept of what can be read only once: "
                              "--stage-max allows more; a file needs no copy",
                              path, (long long)max);
        if (!write_all(to, piece, (size_t)n))
            return vmafx_fail(reterr, VMAFX_ERR_IO,
                              "cannot keep '%s' in a temporary file: %s; TMPDIR names another folder", path,
                              strerror(errno));
    }
    if (n < 0 && errno == ECANCELED)
        return vmafx_fail(reterr, VMAFX_ERR_CANCELLED, "cancelled, nothing was written");
    return n < 0 ? vmafx_fail(reterr, VMAFX_ERR_INPUT, "cannot read '%s': %s", path, strerror(errno)) : VMAFX_OK;
}

/* Another open file of the same, with its own position. */
static VmafxErr open_again(Staged *staged, VmafxErrInfo *reterr)
{
    staged->fds[1] = vmafx_reopen(staged->fds[0]);
    if (staged->fds[1] < 0 || lseek(staged->fds[0], 0, SEEK_SET) != 0)
        return vmafx_fail(reterr, VMAFX_ERR_IO, "cannot open a temporary file again: %s", strerror(errno));
    return VMAFX_OK;
}

VmafxErr stage(const char *path, int64_t max, bool (*stopped)(void), Staged *ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(stage_done) Staged staged = STAGED_NONE;
    int from = open_source(path);

    if (from < 0)
        return vmafx_fail(reterr, VMAFX_ERR_INPUT, "cannot open '%s': %s", path, strerror(errno));
    VmafxErr err = open_target(&staged.fds[0], reterr);
    if (!err)
        err = copy(path, from, staged.fds[0], max, stopped, reterr);
    close(from);
    if (!err)
        err = open_again(&staged, reterr);
    if (err)
        return err;
    *ret = staged;
    staged = (Staged)STAGED_NONE;
    return VMAFX_OK;
}

void stage_done(Staged *staged)
{
    for (size_t i = 0; i < VMAFX_LEN(staged->fds); i++)
        if (staged->fds[i] >= 0)
            close(staged->fds[i]);
    *staged = (Staged)STAGED_NONE;
}

bool stage_size(const char *text, int64_t *ret)
{
    static const char units[] = "kMGT";
    char *end;

    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (errno || *text < '0' || *text > '9' || v < 1)
        return false;
    const char *unit = *end ? strchr(units, *end) : NULL;
    if (*end && (!unit || end[1]))
        return false;
    for (ptrdiff_t i = 0; unit && i <= unit - units; i++)
        if (__builtin_mul_overflow(v, 1024LL, &v))
            return false;
    *ret = v;
    return true;
}
