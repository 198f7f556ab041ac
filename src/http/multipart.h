/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * multipart/form-data (RFC 7578, on RFC 2046), taken apart while it arrives: pieces of any size go in, parts come out
 * through callbacks; where the pieces are cut makes no difference. Pure: no input or output, no memory but the struct.
 *
 * Strict, as two readers of one body must not see different parts. Refused: anything before the first boundary or
 * after the last one; a missing last one; white space behind a boundary; bare CR or LF in headers, folded lines; a part
 * without Content-Disposition: form-data and a name, or with two; a parameter twice; filename* (RFC 7578, 4.2);
 * multipart within multipart; Content-Transfer-Encoding other than 7bit, 8bit and binary; texts that are not UTF-8 or
 * have control characters. Other headers are read over.
 */
#ifndef VMAFX_HTTP_MULTIPART_H
#define VMAFX_HTTP_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>

#include <vmafx/error.h>

enum {
    VMAFX_MULTIPART_BOUNDARY_MAX = 70,  /* RFC 2046, 5.1.1 */
    VMAFX_MULTIPART_NAME_MAX = 128,     /* bytes of a name */
    VMAFX_MULTIPART_FILENAME_MAX = 255, /* of what is left of a filename */
    VMAFX_MULTIPART_TYPE_MAX = 255,     /* of a Content-Type */
    VMAFX_MULTIPART_HEADERS_MAX = 16,   /* headers of a part */
    VMAFX_MULTIPART_LINE_MAX = 4096,    /* bytes of one of them */
};

/** What the headers of a part say. Lives until the part's `end`. */
typedef struct VmafxMultipartHead {
    char name[VMAFX_MULTIPART_NAME_MAX + 1]; /* not empty */
    bool has_filename, has_type;
    /** What follows the last '/' or '\', so never a path; may be empty ("no file was chosen"), "." or "..". */
    char filename[VMAFX_MULTIPART_FILENAME_MAX + 1];
    char type[VMAFX_MULTIPART_TYPE_MAX + 1];
} VmafxMultipartHead;

/** Where parts go: begin, data (any number of times, never of nothing), end; then the next. An error ends it all. */
typedef struct VmafxMultipartSink {
    VmafxErr (*begin)(void *ctx, const VmafxMultipartHead *head, VmafxErrInfo *reterr);
    VmafxErr (*data)(void *ctx, const char *data, size_t len, VmafxErrInfo *reterr);
    VmafxErr (*end)(void *ctx, VmafxErrInfo *reterr);
    void *ctx;
} VmafxMultipartSink;

/** Holds no memory of its own. */
typedef struct VmafxMultipart {
    VmafxMultipartSink sink;
    char delimiter[VMAFX_MULTIPART_BOUNDARY_MAX + 5]; /* CR LF - - boundary */
    size_t delimiter_len, matched;
    size_t borrowed; /* of what is matched, that stand before the part's data */
    int state;
    VmafxErr err; /* of before: it stays */
    char line[VMAFX_MULTIPART_LINE_MAX];
    size_t line_len;
    int n_headers;
    bool has_disposition, has_coding;
    int n_parts, n_parts_max;
    VmafxMultipartHead head;
} VmafxMultipart;

/** Is this Content-Type multipart/form-data, well formed or not? NULL is none. */
bool vmafx_multipart_is(const char *content_type);

/**
 * @param content_type  as the request has it: "multipart/form-data; boundary=…"
 * @param parts_max     more of them is an error; 1 or more
 * @return VMAFX_ERR_SYNTAX another type, no boundary or one that is none
 */
VMAFX_CHECK VmafxErr vmafx_multipart_init(VmafxMultipart *multipart, const char *content_type, int parts_max,
                                          VmafxMultipartSink sink, VmafxErrInfo *reterr);
/**
 * The next piece of the body.
 * @return VMAFX_ERR_SYNTAX (see above), VMAFX_ERR_LIMIT (parts, headers, texts), VMAFX_ERR_UNSUPPORTED (a coding, a
 * multipart within), or what a callback says; after an error the same again, and no callback
 */
VMAFX_CHECK VmafxErr vmafx_multipart_add(VmafxMultipart *multipart, const char *data, size_t len, VmafxErrInfo *reterr);
/** The body is over. VMAFX_ERR_TRUNCATED: the last boundary has not come; or the error of before. */
VMAFX_CHECK VmafxErr vmafx_multipart_end(VmafxMultipart *multipart, VmafxErrInfo *reterr);
#endif
