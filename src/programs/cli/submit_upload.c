/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Paths become uploads. */

#include "programs/cli/submit_upload.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"

#define LINE_NS UINT64_C(200000000)

void uploader_init(Uploader *uploader, Remote *remote, const char *from, bool shown)
{
    uploader->remote = remote;
    uploader->from = from && strcmp(from, "-") != 0 ? from : NULL;
    uploader->shown = shown && isatty(STDERR_FILENO);
}

/* ---- Progress ---- */

typedef struct Line {
    const char *name;
    bool sending, drawn;
    uint64_t began_ns, drawn_ns;
} Line;

static void draw(void *ctx, bool sending, int64_t done, int64_t total)
{
    Line *line = ctx;
    uint64_t now = vmafx_monotonic_ns();

    if (!line->began_ns || sending != line->sending)
        line->began_ns = now;
    line->sending = sending;
    if (now - line->drawn_ns < LINE_NS)
        return;
    line->drawn_ns = now;
    line->drawn = true;
    double seconds = (double)(now - line->began_ns) / 1e9;
    fprintf(stderr, "\r\033[K%s %s: %.0f%%", sending ? "sending" : "reading", line->name,
            100.0 * (double)done / (double)total);
    if (seconds > 0.5)
        fprintf(stderr, ", %.0f MB/s", (double)done / seconds / 1e6);
}

static void line_end(const Line *line)
{
    if (line->drawn)
        fputs("\r\033[K", stderr);
}

/* ---- One file ---- */

static bool same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static const char *find_known(const Uploader *uploader, const struct stat *st)
{
    for (size_t i = 0; i < VMAFX_MIN(uploader->n_known, (size_t)UPLOADER_KNOWN); i++)
        if (same(&uploader->known[i].st, st))
            return uploader->known[i].uri;
    return NULL;
}

static int complain(const Uploader *uploader, const char *path, const char *where, VmafxErr err, const char *why)
{
    VmafxErrInfo info = { 0 };

    if (uploader->from)
        VMAFX_IGNORE(vmafx_fail(&info, err, "'%.120s'%s: '%.160s': %s", uploader->from, where, path, why));
    else
        VMAFX_IGNORE(vmafx_fail(&info, err, "'%.160s': %s", path, why));
    int code = remote_fail(uploader->remote, err, &info);
    switch (err) {
    case VMAFX_ERR_INPUT:
    case VMAFX_ERR_NOT_FOUND:
    case VMAFX_ERR_IO:
    case VMAFX_ERR_INVALID: /* too large for this controller, or changed meanwhile */
        return EXIT_INPUT;
    default:
        return code;
    }
}

static int send_file(Uploader *uploader, const char *path, const char *where, const char **ret_uri)
{
    UploadedFile *file = &uploader->known[uploader->n_known % UPLOADER_KNOWN];
    Line line = { .name = remote_base_name(path) };
    const VmafxClientProgress progress = { draw, &line };
    VmafxErrInfo info = { 0 };
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 || fstat(fd, &st)) {
        int code = complain(uploader, path, where, VMAFX_ERR_INPUT, strerror(errno));
        if (fd >= 0)
            close(fd);
        return code;
    }
    *ret_uri = find_known(uploader, &st);
    if (*ret_uri) {
        close(fd);
        return EXIT_COMPLETE;
    }
    VmafxErr err = vmafx_client_upload(uploader->remote->client, fd, line.name, uploader->shown ? &progress : NULL,
                                       file->uri, NULL, &info);
    line_end(&line);
    close(fd);
    if (err)
        return complain(uploader, path, where, err, *info.message ? info.message : vmafx_err_text(err));
    file->st = st;
    uploader->n_known++;
    *ret_uri = file->uri;
    return EXIT_COMPLETE;
}

/** The path of what is a file; NULL: it is something else, or there is no memory. */
static char *path_of(const Uploader *uploader, const char *uri)
{
    const char *slash = uploader->from ? strrchr(uploader->from, '/') : NULL;

    if (!strncmp(uri, "file:///", 8))
        return vmafx_strdup(uri + 7);
    if (strstr(uri, "://") || vmafx_uri_is_upload(uri) || !*uri)
        return NULL;
    if (*uri == '/' || !slash)
        return vmafx_strdup(uri);
    return vmafx_sprintf("%.*s/%s", (int)(slash - uploader->from), uploader->from, uri);
}

int uploader_send(Uploader *uploader, SubmitSpec *spec, const char *where)
{
    const Vmafx__V1__JobSpec *m = &spec->message;
    bool given = m->distorted_source_case == VMAFX__V1__JOB_SPEC__DISTORTED_SOURCE_DISTORTED;
    const Vmafx__V1__Input *inputs[] = { m->reference, given ? m->distorted : NULL };

    for (int i = 0; i < 2; i++) {
        VMAFX_AUTO(vmafx_free_p) char *path = inputs[i] ? path_of(uploader, inputs[i]->uri) : NULL;
        const char *uri;

        if (!path)
            continue;
        int code = send_file(uploader, path, where, &uri);
        if (code)
            return code;
        if (!submit_spec_set_uri(spec, i == 1, uri))
            return EXIT_DEFECT;
    }
    return EXIT_COMPLETE;
}
