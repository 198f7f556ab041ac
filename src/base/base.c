/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Errors' texts, allocation, and reading a file whole. */

#include "base/base.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

#include <sys/mman.h>

#include "base/text.h"
#include "base/url.h"

const char *vmafx_err_text(VmafxErr err)
{
    switch (err) {
    case VMAFX_OK:
        return "success";
#define VMAFX_E(name, grpc, http, retry, text)                                                                         \
    case VMAFX_ERR_##name:                                                                                             \
        return text;
#include <vmafx/errors.def>
#undef VMAFX_E
    default:
        return "unknown error";
    }
}

const char *vmafx_err_name(VmafxErr err)
{
    switch (err) {
    case VMAFX_OK:
        return "OK";
#define VMAFX_E(name, grpc, http, retry, text)                                                                         \
    case VMAFX_ERR_##name:                                                                                             \
        return #name;
#include <vmafx/errors.def>
#undef VMAFX_E
    default:
        return "UNKNOWN";
    }
}

/* gRPC's statuses by number (statuscodes.md of gRPC), as far as the table uses them. */
enum {
    STATUS_OK = 0,
    STATUS_CANCELLED = 1,
    STATUS_INVALID_ARGUMENT = 3,
    STATUS_DEADLINE_EXCEEDED = 4,
    STATUS_NOT_FOUND = 5,
    STATUS_ALREADY_EXISTS = 6,
    STATUS_PERMISSION_DENIED = 7,
    STATUS_RESOURCE_EXHAUSTED = 8,
    STATUS_FAILED_PRECONDITION = 9,
    STATUS_ABORTED = 10,
    STATUS_UNIMPLEMENTED = 12,
    STATUS_INTERNAL = 13,
    STATUS_UNAVAILABLE = 14,
    STATUS_DATA_LOSS = 15,
    STATUS_UNAUTHENTICATED = 16,
};

int vmafx_err_grpc(VmafxErr err)
{
    switch (err) {
    case VMAFX_OK:
        return STATUS_OK;
#define VMAFX_E(name, grpc, http, retry, text)                                                                         \
    case VMAFX_ERR_##name:                                                                                             \
        return STATUS_##grpc;
#include <vmafx/errors.def>
#undef VMAFX_E
    default:
        return STATUS_INTERNAL;
    }
}

int vmafx_err_http(VmafxErr err)
{
    switch (err) {
    case VMAFX_OK:
        return 200;
#define VMAFX_E(name, grpc, http, retry, text)                                                                         \
    case VMAFX_ERR_##name:                                                                                             \
        return http;
#include <vmafx/errors.def>
#undef VMAFX_E
    default:
        return 500;
    }
}

int vmafx_err_retry(VmafxErr err)
{
    switch (err) {
#define VMAFX_E(name, grpc, http, retry, text)                                                                         \
    case VMAFX_ERR_##name:                                                                                             \
        return retry;
#include <vmafx/errors.def>
#undef VMAFX_E
    default:
        return 0;
    }
}

VmafxErr vmafx_fail(VmafxErrInfo *reterr, VmafxErr err, const char *fmt, ...)
{
    if (reterr) {
        va_list args;

        va_start(args, fmt);
        vsnprintf(reterr->message, sizeof reterr->message, fmt, args);
        va_end(args);
        vmafx_text_mend(reterr->message);
        vmafx_urls_hide(reterr->message); /* it goes to logs, spans, answers and other people */
    }
    return err;
}

#define HUGE_PAGE ((size_t)2 << 20)

void *vmafx_alloc_aligned(size_t n, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(n, size, &bytes) || bytes > SIZE_MAX - 64)
        return NULL;
    bytes = VMAFX_MAX((bytes + 63) / 64 * 64, (size_t)64);

    if (bytes < HUGE_PAGE) {
        void *p = aligned_alloc(64, bytes);
        return p ? memset(p, 0, bytes) : NULL;
    }
    /* Whole pictures: a few faults instead of hundreds. What does not fill a huge page stays in small ones. */
    void *p;
    if (posix_memalign(&p, HUGE_PAGE, bytes))
        return NULL;
    madvise(p, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
    return memset(p, 0, bytes);
}

void vmafx_keep(void *ptr)
{
    typedef struct Kept {
        void *ptr;
        struct Kept *next;
    } Kept;
    static _Atomic(Kept *) all;
    Kept *kept = ptr ? malloc(sizeof *kept) : NULL;

    if (!kept)
        return;
    *kept = (Kept){ ptr, atomic_load(&all) };
    while (!atomic_compare_exchange_weak(&all, &kept->next, kept))
        ;
}

char *vmafx_strdup(const char *s)
{
    return s ? strdup(s) : NULL;
}

char *vmafx_sprintf(const char *fmt, ...)
{
    char *text = NULL;
    va_list args;

    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) < 0)
        text = NULL;
    va_end(args);
    return text;
}

VmafxErr vmafx_read_file(const char *path, size_t max, char **ret_text, size_t *ret_len, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_fclose_p) FILE *f = fopen(path, "rbe");
    VMAFX_AUTO(vmafx_free_p) char *text = NULL;
    size_t len = 0, room = 0;

    if (!f)
        return vmafx_fail(reterr, errno == ENOENT ? VMAFX_ERR_NOT_FOUND : VMAFX_ERR_IO, "cannot open '%s': %s", path,
                          strerror(errno));
    for (;;) {
        if (len + 1 >= room) {
            room = room ? 2 * room : 65536;
            char *more = realloc(text, room);
            if (!more)
                return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory to read '%s'", path);
            text = more;
        }
        size_t got = fread(text + len, 1, room - len - 1, f);
        len += got;
        if (len > max)
            return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "'%s' is larger than %zu bytes", path, max);
        if (!got)
            break;
    }
    if (ferror(f))
        return vmafx_fail(reterr, VMAFX_ERR_IO, "cannot read '%s': %s", path, strerror(errno));
    text[len] = 0;
    *ret_text = VMAFX_TAKE(text);
    *ret_len = len;
    return VMAFX_OK;
}
