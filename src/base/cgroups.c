/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Lines of /proc/PID/cgroup, "ID:CONTROLLERS:/path"; version 2 has no controllers. */

#include "base/cgroups.h"

#include <limits.h>
#include <string.h>

#include "base/base.h"

#define FILE_BYTES_MAX 65536

typedef struct Line {
    bool v2, has_controller;
    const char *controllers, *path; /* neither ends with a zero */
    size_t controllers_len, path_len;
} Line;

static bool names(const char *list, size_t len, const char *wanted)
{
    const char *end = list + len;
    size_t wanted_len = strlen(wanted);

    while (list < end) {
        const char *comma = memchr(list, ',', (size_t)(end - list));
        size_t n = (size_t)((comma ? comma : end) - list);

        if (n == wanted_len && !memcmp(list, wanted, n))
            return true;
        list += n + 1;
    }
    return false;
}

/* False: not a line. */
static bool line_parse(const char *text, size_t len, const char *controller, Line *ret)
{
    const char *end = text + len;
    const char *first = memchr(text, ':', len);
    const char *second = first ? memchr(first + 1, ':', (size_t)(end - first - 1)) : NULL;

    if (!second)
        return false;
    *ret = (Line){ .controllers = first + 1, .path = second + 1 };
    ret->controllers_len = (size_t)(second - first - 1);
    ret->path_len = (size_t)(end - second - 1);
    ret->v2 = !ret->controllers_len;
    ret->has_controller = names(ret->controllers, ret->controllers_len, controller);
    return true;
}

static void visit_up(const char *root, const Line *line, VmafxCgroupVisit visit, void *ctx)
{
    VMAFX_AUTO(vmafx_free_p)
    char *folder = vmafx_sprintf("%s%.*s", root, (int)VMAFX_MIN(line->path_len, (size_t)PATH_MAX), line->path);
    size_t root_len = strlen(root);

    if (!folder)
        return;
    if (strstr(folder + root_len, "/..")) /* outside of what this container sees */
        folder[root_len] = 0;
    for (;;) {
        char *slash = strrchr(folder + root_len, '/');

        visit(ctx, folder, line->v2);
        if (!slash)
            return;
        *slash = 0;
    }
}

void vmafx_cgroups_visit(const char *cgroup, const char *mount, const char *controller, VmafxCgroupVisit visit,
                         void *ctx)
{
    while (*cgroup) {
        size_t len = strcspn(cgroup, "\n");
        Line line;

        if (line_parse(cgroup, len, controller, &line)) {
            if (line.v2)
                visit_up(mount, &line, visit, ctx);
            if (line.has_controller) {
                VMAFX_AUTO(vmafx_free_p) char *own = vmafx_sprintf("%s/%s", mount, controller);
                /* Controllers that are mounted together have one tree, by the names of all; not every system links
                 * them. */
                VMAFX_AUTO(vmafx_free_p)
                char *shared = vmafx_sprintf("%s/%.*s", mount, (int)VMAFX_MIN(line.controllers_len, (size_t)PATH_MAX),
                                             line.controllers);
                if (own)
                    visit_up(own, &line, visit, ctx);
                if (own && shared && strcmp(own, shared) != 0)
                    visit_up(shared, &line, visit, ctx);
            }
        }
        cgroup += len + (cgroup[len] == '\n');
    }
}

char *vmafx_cgroup_text(const char *folder, const char *name)
{
    VMAFX_AUTO(vmafx_free_p) char *path = vmafx_sprintf("%s/%s", folder, name);
    char *text = NULL;
    size_t len;

    if (path)
        VMAFX_IGNORE(vmafx_read_file(path, FILE_BYTES_MAX, &text, &len, NULL)); /* not there: no limit */
    return text;
}
