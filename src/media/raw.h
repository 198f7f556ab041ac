/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Raw planar video and y4m, read by ourselves: from files and pipes, luma kept, chroma passed over unless asked for. */
#ifndef VMAFX_MEDIA_RAW_H
#define VMAFX_MEDIA_RAW_H

#include "media/pipe.h"
#include "media/reader.h"

#define VMAFX_Y4M_MAGIC    "YUV4MPEG2"
#define VMAFX_Y4M_LINE_MAX 4096

typedef struct VmafxRaw VmafxRaw;

/** Where chroma samples lie. */
typedef enum VmafxSiting {
    VMAFX_SITING_UNKNOWN = 0,
    VMAFX_SITING_LEFT,
    VMAFX_SITING_CENTRE,
    VMAFX_SITING_TOP_LEFT
} VmafxSiting;

/** What a y4m header line says. */
typedef struct VmafxY4mHeader {
    VmafxRawFormat format;
    bool alpha; /* a fourth plane of the luma's size follows */
    int rate_num, rate_den;
    int aspect_num, aspect_den; /* of a sample; 0/1: unknown */
    VmafxSiting siting;
    const char *range; /* "tv", "pc" or "unknown" */
} VmafxY4mHeader;

/**
 * Parses a header line without its newline.
 * @return VMAFX_ERR_INPUT, VMAFX_ERR_UNSUPPORTED (interlaced, 4:1:1), VMAFX_ERR_LIMIT; the sentence names the parameter
 */
VMAFX_CHECK VmafxErr vmafx_y4m_parse_header(const char *line, VmafxY4mHeader *ret_header, VmafxErrInfo *reterr);

/**
 * Takes over an open file descriptor, closing it on failure too. `format` NULL: y4m whose magic has been read already.
 * @param pipe what to read instead of a descriptor, borrowed while the reader lives; fd is -1 then. Else NULL
 * @param name for messages; copied
 * @return VMAFX_ERR_INVALID (format out of range), VMAFX_ERR_LIMIT (picture too large), VMAFX_ERR_NOMEM; for y4m also
 *         VMAFX_ERR_INPUT and VMAFX_ERR_UNSUPPORTED
 */
VMAFX_CHECK VmafxErr vmafx_raw_open(int fd, VmafxPipe *pipe, const char *name, const VmafxRawFormat *format,
                                    VmafxRaw **ret_raw, VmafxVideoInfo *ret_info, VmafxErrInfo *reterr);
void vmafx_raw_close(VmafxRaw **raw);

/** As vmafx_reader_into. */
void vmafx_raw_into(VmafxRaw *raw, const VmafxPlane *luma);
/** As vmafx_reader_next. */
VMAFX_CHECK VmafxErr vmafx_raw_next(VmafxRaw *raw, VmafxPlane *ret_luma, bool *ret_more, VmafxErrInfo *reterr);

/** Before the first frame: from now on chroma is read as well. VMAFX_ERR_NOMEM */
VMAFX_CHECK VmafxErr vmafx_raw_keep_chroma(VmafxRaw *raw, VmafxErrInfo *reterr);
/** All planes of the frame read last, as tight as in the file; alpha is left out. Valid as long as its luma. @return 1
 * or 3 */
int vmafx_raw_planes(const VmafxRaw *raw, VmafxPlane ret_planes[3]);
/** What was read of a y4m's header; of raw video what its format says. */
const VmafxY4mHeader *vmafx_raw_header(const VmafxRaw *raw);
#endif
