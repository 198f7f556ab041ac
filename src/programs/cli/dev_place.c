/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Finding programs, making and locking the folder; what is wrong is said on stderr. */

#include "programs/cli/dev_place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "base/folders.h"
#include "programs/cli/cli.h"

int dev_place_programs(char ret[PATH_MAX])
{
    static const char *const names[] = { "vmafx-controller", "vmafx-node" };
    const char *set = getenv("VMAFX_LIBEXEC");
    char path[PATH_MAX + 32], self[PATH_MAX] = "";

    if (!set || !*set) {
        if (readlink("/proc/self/exe", self, sizeof self - 1) < 0)
            self[0] = 0;
        char *slash = strrchr(self, '/');
        if (slash)
            *slash = 0;
        set = self;
    }
    snprintf(ret, PATH_MAX, "%s", set);
    for (size_t i = 0; i < VMAFX_LEN(names); i++) {
        snprintf(path, sizeof path, "%s/%s", ret, names[i]);
        if (!access(path, X_OK))
            continue;
        fprintf(stderr, "vmafx dev: cannot run '%s': %s; VMAFX_LIBEXEC names the folder with our programs\n", path,
                strerror(errno));
        return EXIT_USAGE;
    }
    return EXIT_COMPLETE;
}

static int lock_folder(const char *dir, int *ret_lock)
{
    VMAFX_AUTO(vmafx_free_p) char *path = vmafx_sprintf("%s/dev.lock", dir);
    char text[32] = "";

    *ret_lock = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (*ret_lock < 0) {
        fprintf(stderr, "vmafx dev: cannot open '%s/dev.lock': %s\n", dir, strerror(errno));
        return EXIT_OUTPUT;
    }
    if (flock(*ret_lock, LOCK_EX | LOCK_NB)) {
        ssize_t n = read(*ret_lock, text, sizeof text - 1);
        text[n > 0 ? strspn(text, "0123456789") : 0] = 0;
        fprintf(stderr, "vmafx dev: another one is running in '%s'%s%s%s; --dir DIR takes another folder\n", dir,
                *text ? " (process " : "", text, *text ? ")" : "");
        return EXIT_USAGE;
    }
    int n = snprintf(text, sizeof text, "%d\n", (int)getpid());
    if (ftruncate(*ret_lock, 0) || write(*ret_lock, text, (size_t)n) != n) {
        fprintf(stderr, "vmafx dev: cannot write '%s': %s\n", path, strerror(errno));
        return EXIT_OUTPUT;
    }
    return EXIT_COMPLETE;
}

int dev_place_folder(const char *given, char ret[PATH_MAX], int *ret_lock)
{
    char usual[PATH_MAX] = "";
    const char *wanted = given ? given : usual;
    VmafxErrInfo info = { 0 };

    if ((!given && vmafx_state_path("dev", usual, sizeof usual)) || !*wanted) {
        fputs("vmafx dev: where to keep things? --dir DIR says it, there is no HOME\n", stderr);
        return EXIT_USAGE;
    }
    if (vmafx_make_folders(wanted, 0700, &info)) {
        fprintf(stderr, "vmafx dev: %s\n", *info.message ? info.message : vmafx_err_text(VMAFX_ERR_NOMEM));
        return EXIT_OUTPUT;
    }
    if (!realpath(wanted, ret)) {
        fprintf(stderr, "vmafx dev: cannot use the folder '%s': %s\n", wanted, strerror(errno));
        return EXIT_OUTPUT;
    }
    return lock_folder(ret, ret_lock);
}
