/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Opening what is named, below the allowed roots only. */

#include "inputs/roots.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/base.h"

struct InputRoots {
    char name[64]; /* of the setting */
    struct {
        char *path; /* without a slash at the end; "" for the root of the file system */
        int fd;
    } items[VMAFX_INPUT_ROOTS_MAX];
    size_t n;
};

static VmafxErr add_root(InputRoots *roots, const char *text, size_t len, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_free_p) char *path = vmafx_sprintf("%.*s", (int)len, text);

    if (!path)
        return VMAFX_ERR_NOMEM;
    if (path[0] != '/')
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "input root '%s' is not an absolute path", path);
    if (roots->n == VMAFX_INPUT_ROOTS_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "more than %d input roots", VMAFX_INPUT_ROOTS_MAX);
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return vmafx_fail(reterr, VMAFX_ERR_NOT_FOUND, "input root '%s': %s", path, strerror(errno));
    while (len > 0 && path[len - 1] == '/')
        path[--len] = 0;
    roots->items[roots->n].fd = fd;
    roots->items[roots->n++].path = VMAFX_TAKE(path);
    return VMAFX_OK;
}

VmafxErr input_roots_open(const char *list, const char *name, InputRoots **ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(input_roots_close) InputRoots *roots = calloc(1, sizeof *roots);

    if (!roots)
        return VMAFX_ERR_NOMEM;
    snprintf(roots->name, sizeof roots->name, "%s", name ? name : "input roots");
    for (const char *at = list ? list : ""; *at;) {
        size_t len = strcspn(at, ":");
        VmafxErr err = len ? add_root(roots, at, len, reterr) : VMAFX_OK;
        if (err)
            return err;
        at += len + (at[len] == ':');
    }
    *ret = VMAFX_TAKE(roots);
    return VMAFX_OK;
}

void input_roots_close(InputRoots **roots)
{
    for (size_t i = 0; *roots && i < (*roots)->n; i++) {
        close((*roots)->items[i].fd);
        free((*roots)->items[i].path);
    }
    free(*roots);
    *roots = NULL;
}

/** The root that a path lies below; the longest. */
static const char *below(const InputRoots *roots, const char *path, int *ret_fd)
{
    size_t best = 0;
    const char *rest = NULL;

    for (size_t i = 0; i < roots->n; i++) {
        size_t len = strlen(roots->items[i].path);
        if (strncmp(path, roots->items[i].path, len) == 0 && path[len] == '/' && (!rest || len >= best)) {
            best = len;
            rest = path + len + 1;
            *ret_fd = roots->items[i].fd;
        }
    }
    return rest;
}

static bool is_transient(int error)
{
    return error == ESTALE || error == EIO || error == ETIMEDOUT || error == EHOSTDOWN || error == ENOTCONN ||
           error == ENETDOWN || error == ENETUNREACH || error == EMFILE || error == ENFILE || error == ENOMEM ||
           error == EAGAIN;
}

VmafxErr input_roots_get(const InputRoots *roots, const char *uri, VmafxInput *ret, VmafxErrInfo *reterr)
{
    const char *path = !strncasecmp(uri, "file://", 7) ? uri + 7 : uri;
    struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                            .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
    struct stat st;
    int root = -1;

    if (path[0] != '/') {
        char shown[300]; /* whatever it is, it may have been meant as a URL */

        vmafx_url_redact(uri, shown, sizeof shown);
        return vmafx_fail(reterr, VMAFX_ERR_INPUT,
                          "'%s' is neither an absolute path, nor file:///…, https://…, http://… or s3://…", shown);
    }
    const char *rest = below(roots, path, &root);
    if (!rest)
        return vmafx_fail(reterr, VMAFX_ERR_FORBIDDEN, "'%.300s' is below none of the input roots (%s)", path,
                          roots->name);
    int fd = (int)syscall(SYS_openat2, root, *rest ? rest : ".", &how, sizeof how);
    if (fd < 0 && (errno == EXDEV || errno == ELOOP))
        return vmafx_fail(reterr, VMAFX_ERR_FORBIDDEN, "'%.300s' leads out of the input roots (%s)", path, roots->name);
    if (fd < 0 && errno == ENOSYS)
        return vmafx_fail(
            reterr, VMAFX_ERR_IO,
            "cannot open '%.300s': the system call openat2 is not there; Linux has it since 5.6, so a filter "
            "takes it away, such as RestrictSUIDSGID= of systemd",
            path);
    if (fd < 0) {
        ret->may_pass = is_transient(errno);
        ret->resource = errno == EMFILE || errno == ENFILE || errno == ENOMEM;
        return vmafx_fail(reterr, errno == ENOENT ? VMAFX_ERR_NOT_FOUND : VMAFX_ERR_IO, "cannot open '%.300s': %s",
                          path, strerror(errno));
    }
    if (fstat(fd, &st) || !(S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode))) {
        close(fd);
        return vmafx_fail(reterr, VMAFX_ERR_INPUT, "'%.300s' is not a file", path);
    }
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK); /* it was for a FIFO without a writer, not to hang in open */
    ret->fd = fd;
    ret->size = S_ISREG(st.st_mode) ? st.st_size : -1;
    return VMAFX_OK;
}
