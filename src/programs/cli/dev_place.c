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

bool dev_place_make(const char *path)
{
    VMAFX_AUTO(vmafx_free_p) char *copy = vmafx_strdup(path);

    for (char *slash = copy ? strchr(copy + 1, '/') : NULL; slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdir(copy, 0700) && errno != EEXIST)
            return false;
        *slash = '/';
    }
    return copy && (!mkdir(path, 0700) || errno == EEXIST);
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
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    VMAFX_AUTO(vmafx_free_p) char *wanted = NULL;

    if (given)
        wanted = vmafx_strdup(given);
    else if (state && *state)
        wanted = vmafx_sprintf("%s/vmafx/dev", state);
    else if (home && *home)
        wanted = vmafx_sprintf("%s/.local/state/vmafx/dev", home);
    if (!wanted || !*wanted) {
        fputs("vmafx dev: where to keep things? --dir DIR says it, there is no HOME\n", stderr);
        return EXIT_USAGE;
    }
    if (!dev_place_make(wanted) || !realpath(wanted, ret)) {
        fprintf(stderr, "vmafx dev: cannot make the folder '%s': %s\n", wanted, strerror(errno));
        return EXIT_OUTPUT;
    }
    return lock_folder(ret, ret_lock);
}
