/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Bodies on their way to files. libmicrohttpd's thread only copies into a buffer; when that is full the connection is
 * suspended, a writer's thread takes it apart, digests and writes, and resumes: a slow disk slows its uploads, nobody
 * else. The last buffer is stored on the handler's thread, before the handler. So one thread at a time has an upload,
 * and the call's state hands it from one to the next.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/base.h"
#include "base/digest.h"
#include "http/multipart.h"
#include "http/server_internal.h"

#define TOO_MANY          "too many uploads are under way; try again later"
#define TOO_MANY_OF_YOURS "half of the places for uploads are yours already; try again when one of them has ended"

enum { BUFFER_BYTES = 128 << 10, PART_FIRST = 1024, FILE_MODE = 0600 };

struct HttpUpload {
    VmafxHttpServer *server;
    const VmafxHttpCall *call;
    HttpUpload *prev, *next; /* in the server's row, if it has a place there */
    bool placed;
    const VmafxHttpRoute *route;
    VmafxMultipart *parser; /* NULL: the whole body is one file, parts[0] */
    char *buffer;           /* NULL: nothing came yet */
    size_t len;             /* in it */
    uint64_t received, max;
    uint64_t reserved; /* counted in uploads_bytes */
    size_t memory;     /* counted in bodies_bytes */
    int status;        /* what it was refused with; 0: it was not */
    VmafxErr err;
    VmafxErrInfo info;
    VmafxHttpPart parts[VMAFX_HTTP_PARTS_MAX];
    size_t n_parts;
    int n_files;
    char *data; /* of the last part, when it is in memory */
    size_t room;
    VmafxSha256 sha;
};

/* ---- the folder ---- */

/* A file without a name. -1: errno says why. */
static int open_unnamed(const char *folder)
{
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, FILE_MODE);

    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
        return fd;
    /* a file system that cannot: a name that nobody can guess, for an instant */
    VMAFX_AUTO(vmafx_free_p) char *path = vmafx_sprintf("%s/.vmafx-upload-XXXXXX", folder);
    if (!path) {
        errno = ENOMEM;
        return -1;
    }
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    return fd;
}

static bool can_hold_files(const char *folder)
{
    int fd = folder && *folder ? open_unnamed(folder) : -1;

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

VmafxErr http_upload_folder(VmafxHttpServer *server, VmafxErrInfo *reterr)
{
    const char *wanted = server->config.upload_folder;
    const char *const usual[] = { getenv("TMPDIR"), "/var/tmp", "/tmp" };
    bool needed = false;

    for (size_t i = 0; i < server->config.n_routes; i++)
        needed = needed || (server->config.routes[i].flags & (VMAFX_HTTP_PARTS | VMAFX_HTTP_FILE_BODY));
    if (!needed)
        return VMAFX_OK;
    if (wanted && !can_hold_files(wanted))
        return vmafx_fail(reterr, VMAFX_ERR_IO, "cannot make files for uploads in '%s': %s", wanted, strerror(errno));
    for (size_t i = 0; !wanted && i < VMAFX_LEN(usual); i++)
        if (can_hold_files(usual[i]))
            wanted = usual[i];
    if (!wanted)
        return vmafx_fail(reterr, VMAFX_ERR_IO,
                          "cannot make files for uploads in TMPDIR, /var/tmp or /tmp: name a folder for them");
    server->upload_folder = vmafx_strdup(wanted);
    return server->upload_folder ? VMAFX_OK : vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for an HTTP server");
}

/* ---- refusing ---- */

static void close_files(HttpUpload *upload)
{
    for (size_t i = 0; i < upload->n_parts; i++) {
        if (upload->parts[i].fd >= 0)
            close(upload->parts[i].fd);
        upload->parts[i].fd = -1;
    }
}

/* Once; its room on the disk is free at once. */
static void refuse(HttpUpload *upload, int status, VmafxErr err, const char *why)
{
    if (upload->status)
        return;
    upload->status = status;
    upload->err = vmafx_fail(&upload->info, err, "%s", why);
    close_files(upload);
    upload->len = 0;
}

/* errno as a refusal. */
static VmafxErr disk_problem(HttpUpload *upload)
{
    int problem = errno;

    if (problem == ENOSPC || problem == EDQUOT || problem == EFBIG)
        refuse(upload, 507, VMAFX_ERR_IO,
               "there is no room left for uploads on the server's disk; try again later, or send less");
    else
        refuse(upload, 503, VMAFX_ERR_IO, "the server cannot write the upload to its disk; try again later");
    return VMAFX_ERR_IO;
}

/* ---- parts ---- */

static bool goes_to_file(const HttpUpload *upload, const VmafxMultipartHead *head)
{
    if (head->has_filename)
        return true;
    for (const char *const *name = upload->route->file_parts; name && *name; name++)
        if (!strcmp(*name, head->name))
            return true;
    return false;
}

static VmafxErr open_part(HttpUpload *upload, VmafxHttpPart *part)
{
    part->fd = open_unnamed(upload->server->upload_folder);
    if (part->fd < 0)
        return disk_problem(upload);
    vmafx_sha256_init(&upload->sha);
    return VMAFX_OK;
}

static VmafxErr part_begins(void *ctx, const VmafxMultipartHead *head, VmafxErrInfo *reterr)
{
    HttpUpload *upload = ctx;
    VmafxHttpPart *part = &upload->parts[upload->n_parts]; /* the parser has the same limit on their number */

    *part = (VmafxHttpPart){ .fd = -1 };
    part->name = vmafx_strdup(head->name);
    part->filename = head->has_filename ? vmafx_strdup(head->filename) : NULL;
    part->content_type = head->has_type ? vmafx_strdup(head->type) : NULL;
    upload->n_parts++; /* from here on it is freed with the others */
    if (!part->name || (head->has_filename && !part->filename) || (head->has_type && !part->content_type))
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "out of memory");
    if (!goes_to_file(upload, head)) {
        upload->data = calloc(1, PART_FIRST);
        upload->room = upload->data ? PART_FIRST : 0;
        part->data = upload->data;
        return part->data ? VMAFX_OK : vmafx_fail(reterr, VMAFX_ERR_NOMEM, "out of memory");
    }
    if (++upload->n_files > VMAFX_HTTP_FILE_PARTS_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "the body has more than %d files", VMAFX_HTTP_FILE_PARTS_MAX);
    return open_part(upload, part);
}

static VmafxErr write_all(HttpUpload *upload, VmafxHttpPart *part, const char *data, size_t len)
{
    if (upload->route->flags & VMAFX_HTTP_SHA256)
        vmafx_sha256_add(&upload->sha, data, len);
    part->size += (int64_t)len;
    while (len) {
        ssize_t n = write(part->fd, data, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            if (!n)
                errno = EIO;
            return disk_problem(upload);
        }
        data += n;
        len -= (size_t)n;
    }
    return VMAFX_OK;
}

static VmafxErr keep_in_memory(HttpUpload *upload, VmafxHttpPart *part, const char *data, size_t len,
                               VmafxErrInfo *reterr)
{
    VmafxHttpServer *server = upload->server;
    size_t size = (size_t)part->size, needed = size + len + 1;

    if (len > VMAFX_HTTP_PART_MAX_BYTES - size)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "the part '%s' is longer than %zu bytes; send it as a file",
                          part->name, VMAFX_HTTP_PART_MAX_BYTES);
    if (needed > upload->room) {
        size_t room = VMAFX_MIN(VMAFX_MAX(needed, 2 * upload->room), VMAFX_HTTP_PART_MAX_BYTES + 1);
        size_t more = room - upload->room;

        upload->memory += more;
        if (atomic_fetch_add(&server->bodies_bytes, more) + more > server->config.bodies_max_bytes)
            return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "too many bodies are being received; try again later");
        char *grown = realloc(upload->data, room);
        if (!grown)
            return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "out of memory");
        part->data = upload->data = grown;
        upload->room = room;
    }
    memcpy(upload->data + size, data, len);
    upload->data[size + len] = 0;
    part->size += (int64_t)len;
    return VMAFX_OK;
}

static VmafxErr part_goes_on(void *ctx, const char *data, size_t len, VmafxErrInfo *reterr)
{
    HttpUpload *upload = ctx;
    VmafxHttpPart *part = &upload->parts[upload->n_parts - 1];

    return part->fd >= 0 ? write_all(upload, part, data, len) : keep_in_memory(upload, part, data, len, reterr);
}

static VmafxErr part_ends(void *ctx, VmafxErrInfo *reterr)
{
    HttpUpload *upload = ctx;
    VmafxHttpPart *part = &upload->parts[upload->n_parts - 1];

    if (part->fd < 0)
        return VMAFX_OK;
    if (upload->route->flags & VMAFX_HTTP_SHA256)
        vmafx_sha256_end_hex(&upload->sha, part->sha256);
    return lseek(part->fd, 0, SEEK_SET) ? disk_problem(upload) : VMAFX_OK;
}

/* ---- beginning and end ---- */

bool http_upload_wanted(const VmafxHttpCall *call)
{
    unsigned flags = call->route->flags;

    return flags & VMAFX_HTTP_FILE_BODY ||
           (flags & VMAFX_HTTP_PARTS && vmafx_multipart_is(vmafx_http_call_header(call, "Content-Type")));
}

static bool reserve(HttpUpload *upload, uint64_t more)
{
    VmafxHttpServer *server = upload->server;

    upload->reserved += more;
    return atomic_fetch_add(&server->uploads_bytes, more) + more <= server->config.uploads_max_bytes;
}

/* One of the places, of which no owner has more than half. Refused ones have none, however long their bodies come. */
static bool take_place(HttpUpload *upload)
{
    VmafxHttpServer *server = upload->server;
    const char *owner = upload->call->owner;
    int n = 0, of_owner = 0;

    pthread_mutex_lock(&server->lock);
    for (const HttpUpload *other = server->uploads; other; other = other->next) {
        n++;
        of_owner += *owner && !strcmp(owner, other->call->owner);
    }
    bool full = n >= server->config.uploads_max;
    bool half = of_owner >= (server->config.uploads_max + 1) / 2;
    upload->placed = !full && !half;
    if (upload->placed) {
        upload->next = server->uploads;
        if (upload->next)
            upload->next->prev = upload;
        server->uploads = upload;
    }
    pthread_mutex_unlock(&server->lock);
    if (!upload->placed)
        refuse(upload, 503, VMAFX_ERR_BUSY, full ? TOO_MANY : TOO_MANY_OF_YOURS);
    return upload->placed;
}

static void leave_place(HttpUpload *upload)
{
    if (!upload->placed)
        return;
    pthread_mutex_lock(&upload->server->lock);
    if (upload->prev)
        upload->prev->next = upload->next;
    else
        upload->server->uploads = upload->next;
    if (upload->next)
        upload->next->prev = upload->prev;
    pthread_mutex_unlock(&upload->server->lock);
}

/* As far as the headers tell whether there is room. */
static void check_room(HttpUpload *upload, uint64_t length)
{
    VmafxHttpServer *server = upload->server;
    struct statvfs disk;

    if (!take_place(upload))
        return;
    if (!reserve(upload, length))
        refuse(upload, 503, VMAFX_ERR_BUSY, TOO_MANY);
    else if (length && !statvfs(server->upload_folder, &disk) && length / disk.f_frsize >= disk.f_bavail) {
        errno = ENOSPC;
        VMAFX_IGNORE(disk_problem(upload)); /* it is in the upload */
    }
}

static void make_ready(HttpUpload *upload, const char *content_type)
{
    VmafxMultipartSink sink = { part_begins, part_goes_on, part_ends, upload };

    if (upload->route->flags & VMAFX_HTTP_FILE_BODY) {
        upload->parts[0] = (VmafxHttpPart){ .fd = -1 };
        upload->n_parts = 1;
        VMAFX_IGNORE(open_part(upload, &upload->parts[0])); /* it is in the upload */
        return;
    }
    upload->parser = malloc(sizeof *upload->parser);
    if (!upload->parser) {
        refuse(upload, 503, VMAFX_ERR_NOMEM, "out of memory");
        return;
    }
    VmafxErrInfo info = { 0 };
    VmafxErr err = vmafx_multipart_init(upload->parser, content_type, VMAFX_HTTP_PARTS_MAX, sink, &info);
    if (err)
        refuse(upload, vmafx_http_status_of(err), err, info.message);
}

HttpUpload *http_upload_new(VmafxHttpCall *call, uint64_t length)
{
    HttpUpload *upload = calloc(1, sizeof *upload);
    const VmafxHttpServerConfig *config = &call->server->config;

    if (!upload)
        return NULL;
    upload->server = call->server;
    upload->call = call;
    upload->route = call->route;
    upload->max = call->route->upload_max_bytes ? call->route->upload_max_bytes : config->upload_max_bytes;
    check_room(upload, length);
    if (length > upload->max)
        refuse(upload, 413, VMAFX_ERR_LIMIT, "the body is longer than this route takes");
    if (!upload->status)
        make_ready(upload, vmafx_http_call_header(call, "Content-Type"));
    return upload;
}

void http_upload_free(HttpUpload **taken)
{
    HttpUpload *upload = VMAFX_TAKE(*taken);

    if (!upload)
        return;
    close_files(upload);
    for (size_t i = 0; i < upload->n_parts; i++) {
        free((char *)upload->parts[i].name);
        free((char *)upload->parts[i].filename);
        free((char *)upload->parts[i].content_type);
        free((char *)upload->parts[i].data);
    }
    atomic_fetch_sub(&upload->server->bodies_bytes, upload->memory);
    atomic_fetch_sub(&upload->server->uploads_bytes, upload->reserved);
    leave_place(upload);
    free(upload->parser);
    free(upload->buffer);
    free(upload);
}

/* ---- bytes ---- */

size_t http_upload_take(HttpUpload *upload, const char *data, size_t len)
{
    if (!upload->buffer && !upload->status) {
        upload->buffer = malloc(BUFFER_BYTES);
        if (!upload->buffer)
            refuse(upload, 503, VMAFX_ERR_NOMEM, "out of memory");
    }
    size_t n = VMAFX_MIN(len, BUFFER_BYTES - upload->len);
    if (n > upload->max - upload->received)
        refuse(upload, 413, VMAFX_ERR_LIMIT, "the body is longer than this route takes");
    else if (upload->received + n > upload->reserved && !reserve(upload, upload->received + n - upload->reserved))
        refuse(upload, 503, VMAFX_ERR_BUSY, TOO_MANY);
    if (upload->status)
        return len; /* thrown away */
    memcpy(upload->buffer + upload->len, data, n);
    upload->len += n;
    upload->received += n;
    return n;
}

void http_upload_store(HttpUpload *upload)
{
    VmafxErrInfo info = { 0 };
    size_t len = upload->len;

    upload->len = 0;
    if (upload->status || !len)
        return;
    VmafxErr err = upload->parser ? vmafx_multipart_add(upload->parser, upload->buffer, len, &info)
                                  : write_all(upload, &upload->parts[0], upload->buffer, len);
    if (err) /* disk_problem has said more already */
        refuse(upload, vmafx_http_status_of(err), err, info.message);
}

void http_upload_end(HttpUpload *upload)
{
    VmafxErrInfo info = { 0 };

    http_upload_store(upload);
    if (upload->status)
        return;
    VmafxErr err = upload->parser ? vmafx_multipart_end(upload->parser, &info) : part_ends(upload, &info);
    if (err)
        refuse(upload, vmafx_http_status_of(err), err, info.message);
}

void http_upload_refuse(HttpUpload *upload, int status, VmafxErr err, const char *why)
{
    refuse(upload, status, err, why);
}

int http_upload_refused(const HttpUpload *upload, VmafxErr *ret_err, const char **ret_why)
{
    *ret_err = upload->err;
    *ret_why = upload->info.message;
    return upload->status;
}

uint64_t http_upload_max(const HttpUpload *upload)
{
    return upload->max;
}

/* ---- what handlers ask ---- */

VmafxHttpPart *vmafx_http_call_parts(VmafxHttpCall *call, size_t *ret_n)
{
    HttpUpload *upload = call->upload;
    bool there = upload && upload->parser;

    *ret_n = there ? upload->n_parts : 0;
    return there ? upload->parts : NULL;
}

VmafxHttpPart *vmafx_http_call_part(VmafxHttpCall *call, const char *name)
{
    size_t n;
    VmafxHttpPart *parts = vmafx_http_call_parts(call, &n);

    for (size_t i = 0; i < n; i++)
        if (!strcmp(parts[i].name, name))
            return &parts[i];
    return NULL;
}

int vmafx_http_part_take_fd(VmafxHttpPart *part)
{
    int fd = part->fd;

    part->fd = -1;
    return fd;
}

static VmafxHttpPart *file_body(const VmafxHttpCall *call)
{
    return call->upload && !call->upload->parser ? &call->upload->parts[0] : NULL;
}

int vmafx_http_call_body_take_fd(VmafxHttpCall *call, int64_t *ret_size)
{
    VmafxHttpPart *body = file_body(call);

    *ret_size = body ? body->size : 0;
    return body ? vmafx_http_part_take_fd(body) : -1;
}

const char *vmafx_http_call_body_sha256(const VmafxHttpCall *call)
{
    const VmafxHttpPart *body = file_body(call);

    return body ? body->sha256 : "";
}
