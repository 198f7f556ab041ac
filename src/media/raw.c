/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Raw planar video and y4m. */

#include "media/raw.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"

#define BUFFER_BYTES ((size_t)1 << 18)
#define SAMPLES_MAX  (1ll << 28) /* luma samples of one picture */

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "samples are used in the byte order of the file");

struct VmafxRaw {
    FILE *file;
    char *name;
    bool y4m;
    VmafxY4mHeader header;
    VmafxRawFormat format;         /* the header's */
    size_t luma_bytes, rest_bytes; /* of one frame: luma, and the planes after it */
    bool keeps_rest;
    off_t size;          /* of a regular file when it was opened; else 0 */
    unsigned char *luma; /* and behind it the rest, if that is kept */
    unsigned char *into; /* where the next luma goes; NULL: to the one above */
    uint64_t frame;      /* index of the next one */
};

static const struct {
    const char *tag;
    VmafxPixFmt pix;
    int bpc;
    bool alpha;
    VmafxSiting siting;
} chroma_tags[] = {
    { "420", VMAFX_PIX_420, 8, false, VMAFX_SITING_CENTRE },
    { "420jpeg", VMAFX_PIX_420, 8, false, VMAFX_SITING_CENTRE },
    { "420mpeg2", VMAFX_PIX_420, 8, false, VMAFX_SITING_LEFT },
    { "420paldv", VMAFX_PIX_420, 8, false, VMAFX_SITING_TOP_LEFT },
    { "422", VMAFX_PIX_422, 8, false, 0 },
    { "444", VMAFX_PIX_444, 8, false, 0 },
    { "444alpha", VMAFX_PIX_444, 8, true, 0 },
    { "mono", VMAFX_PIX_400, 8, false, 0 },
    { "420p9", VMAFX_PIX_420, 9, false, 0 },
    { "422p9", VMAFX_PIX_422, 9, false, 0 },
    { "444p9", VMAFX_PIX_444, 9, false, 0 },
    { "mono9", VMAFX_PIX_400, 9, false, 0 },
    { "420p10", VMAFX_PIX_420, 10, false, 0 },
    { "422p10", VMAFX_PIX_422, 10, false, 0 },
    { "444p10", VMAFX_PIX_444, 10, false, 0 },
    { "mono10", VMAFX_PIX_400, 10, false, 0 },
    { "420p12", VMAFX_PIX_420, 12, false, 0 },
    { "422p12", VMAFX_PIX_422, 12, false, 0 },
    { "444p12", VMAFX_PIX_444, 12, false, 0 },
    { "mono12", VMAFX_PIX_400, 12, false, 0 },
    { "420p14", VMAFX_PIX_420, 14, false, 0 },
    { "422p14", VMAFX_PIX_422, 14, false, 0 },
    { "444p14", VMAFX_PIX_444, 14, false, 0 },
    { "mono14", VMAFX_PIX_400, 14, false, 0 },
    { "420p16", VMAFX_PIX_420, 16, false, 0 },
    { "422p16", VMAFX_PIX_422, 16, false, 0 },
    { "444p16", VMAFX_PIX_444, 16, false, 0 },
    { "mono16", VMAFX_PIX_400, 16, false, 0 },
};

/* ---- The y4m header ---- */

static bool whole_number(const char *text, char stop, long long max, long long *ret, const char **ret_end)
{
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    *ret = strtoll(text, &end, 10);
    *ret_end = end;
    return !errno && *end == stop && *ret <= max;
}

static VmafxErr parse_size(const char *text, char key, int *ret, VmafxErrInfo *reterr)
{
    const char *end;
    long long v;

    if (!whole_number(text, 0, INT32_MAX, &v, &end) || v < 1)
        return vmafx_fail(reterr, VMAFX_ERR_INPUT, "the y4m header says %c%.40s, which is no size", key, text);
    if (v > VMAFX_DIMENSION_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "the y4m header says %c%lld; at most %d is possible", key, v,
                          VMAFX_DIMENSION_MAX);
    *ret = (int)v;
    return VMAFX_OK;
}

static VmafxErr parse_rate(const char *text, VmafxY4mHeader *header, VmafxErrInfo *reterr)
{
    const char *end;
    long long num, den;

    if (!whole_number(text, ':', INT32_MAX, &num, &end) || !whole_number(end + 1, 0, INT32_MAX, &den, &end))
        return vmafx_fail(reterr, VMAFX_ERR_INPUT, "the y4m header says F%.40s, which is no frame rate", text);
    if (num && !den)
        return vmafx_fail(reterr, VMAFX_ERR_INPUT, "the y4m header says F%.40s, which is no frame rate", text);
    if (num) { /* 0:0 means unknown */
        header->rate_num = (int)num;
        header->rate_den = (int)den;
    }
    return VMAFX_OK;
}

static VmafxErr parse_chroma(const char *text, VmafxY4mHeader *header, VmafxErrInfo *reterr)
{
    for (size_t i = 0; i < VMAFX_LEN(chroma_tags); i++)
        if (!strcmp(chroma_tags[i].tag, text)) {
            header->format.pix = chroma_tags[i].pix;
            header->format.bpc = chroma_tags[i].bpc;
            header->alpha = chroma_tags[i].alpha;
            header->siting = chroma_tags[i].siting;
            return VMAFX_OK;
        }
    return vmafx_fail(
        reterr, VMAFX_ERR_UNSUPPORTED,
        "the y4m chroma format C%.40s cannot be read; convert it, for example with ffmpeg -pix_fmt yuv420p", text);
}

/* What cannot be read is as good as unknown: luma is the same. */
static void parse_aspect(const char *text, VmafxY4mHeader *header)
{
    const char *end;
    long long num, den;

    if (whole_number(text, ':', INT32_MAX, &num, &end) && whole_number(end + 1, 0, INT32_MAX, &den, &end) && num &&
        den) {
        header->aspect_num = (int)num;
        header->aspect_den = (int)den;
    }
}

static VmafxErr parse_interlacing(const char *text, VmafxErrInfo *reterr)
{
    if (!strcmp(text, "p") || !strcmp(text, "?"))
        return VMAFX_OK;
    return vmafx_fail(reterr, VMAFX_ERR_UNSUPPORTED,
                      "the y4m header says I%.40s: interlaced video must be deinterlaced first", text);
}

static VmafxErr parse_parameter(const char *word, VmafxY4mHeader *header, bool *rate_seen, VmafxErrInfo *reterr)
{
    switch (word[0]) {
    case 'W':
        return parse_size(word + 1, 'W', &header->format.w, reterr);
    case 'H':
        return parse_size(word + 1, 'H', &header->format.h, reterr);
    case 'F':
        *rate_seen = true;
        return parse_rate(word + 1, header, reterr);
    case 'C':
        return parse_chroma(word + 1, header, reterr);
    case 'I':
        return parse_interlacing(word + 1, reterr);
    case 'A':
        parse_aspect(word + 1, header);
        return VMAFX_OK;
    case 'X':
        if (!strcmp(word, "XCOLORRANGE=FULL"))
            header->range = "pc";
        else if (!strcmp(word, "XCOLORRANGE=LIMITED"))
            header->range = "tv";
        return VMAFX_OK;
    default:
        return VMAFX_OK; /* what later writers may add */
    }
}

VmafxErr vmafx_y4m_parse_header(const char *line, VmafxY4mHeader *ret_header, VmafxErrInfo *reterr)
{
    VmafxY4mHeader header = {
        .format = { .bpc = 8, .pix = VMAFX_PIX_420 }, .rate_den = 1, .aspect_den = 1, .range = "unknown"
    };
    VMAFX_AUTO(vmafx_free_p) char *copy = vmafx_strdup(line);
    char *rest = copy, *word;
    bool rate_seen = false;

    if (!copy)
        return VMAFX_ERR_NOMEM;
    word = strsep(&rest, " ");
    if (strcmp(word, VMAFX_Y4M_MAGIC) != 0)
        return vmafx_fail(reterr, VMAFX_ERR_INPUT, "not a y4m file: it begins with '%.20s'", word);
    while ((word = strsep(&rest, " "))) {
        VmafxErr err = parse_parameter(word, &header, &rate_seen, reterr);
        if (err)
            return err;
    }
    if (!header.format.w || !header.format.h || !rate_seen)
        return vmafx_fail(reterr, VMAFX_ERR_INPUT, "the y4m header lacks %s",
                          !header.format.w   ? "the width (W)"
                          : !header.format.h ? "the height (H)"
                                             : "the frame rate (F)");
    *ret_header = header;
    return VMAFX_OK;
}

/* ---- Opening ---- */

/* Reads up to the newline. False: the line is too long, or the file ended; *ret_len tells how much there was. */
static bool read_line(FILE *file, char *line, size_t size, size_t *ret_len)
{
    size_t n = 0;

    for (int c; (c = getc_unlocked(file)) != EOF;) {
        if (c == '\n') {
            line[n] = 0;
            *ret_len = n;
            return true;
        }
        if (n + 1 == size)
            break;
        line[n++] = (char)c;
    }
    line[n] = 0;
    *ret_len = n;
    return false;
}

static VmafxErr read_y4m_header(VmafxRaw *raw, VmafxY4mHeader *ret_header, VmafxErrInfo *reterr)
{
    char line[VMAFX_Y4M_LINE_MAX] = VMAFX_Y4M_MAGIC;
    VmafxErrInfo info = { 0 };
    size_t magic = strlen(line), len;

    if (!read_line(raw->file, line + magic, sizeof line - magic, &len))
        return vmafx_fail(reterr, VMAFX_ERR_INPUT, "'%s': the y4m header does not end within %d bytes", raw->name,
                          VMAFX_Y4M_LINE_MAX);
    if (memchr(line + magic, 0, len))
        return vmafx_fail(reterr, VMAFX_ERR_INPUT, "'%s': there is a zero byte in the y4m header", raw->name);
    VmafxErr err = vmafx_y4m_parse_header(line, ret_header, &info);
    return err ? vmafx_fail(reterr, err, "'%s': %s", raw->name, info.message) : VMAFX_OK;
}

static VmafxErr check_format(const VmafxRaw *raw, VmafxErrInfo *reterr)
{
    const VmafxRawFormat *f = &raw->format;

    if (f->w < 1 || f->h < 1 || f->w > VMAFX_DIMENSION_MAX || f->h > VMAFX_DIMENSION_MAX)
        return vmafx_fail(reterr, f->w < 1 || f->h < 1 ? VMAFX_ERR_INVALID : VMAFX_ERR_LIMIT,
                          "'%s': a picture of %dx%d; 1 to %d are possible", raw->name, f->w, f->h, VMAFX_DIMENSION_MAX);
    if (f->bpc < 8 || f->bpc > 16)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "'%s': %d bits per sample; 8 to 16 are possible", raw->name,
                          f->bpc);
    if (f->pix < VMAFX_PIX_420 || f->pix > VMAFX_PIX_400)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "'%s': pixel format %d is none of the four", raw->name,
                          (int)f->pix);
    if ((long long)f->w * f->h > SAMPLES_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "'%s': a picture of %dx%d; at most %lld samples are possible",
                          raw->name, f->w, f->h, SAMPLES_MAX);
    return VMAFX_OK;
}

/* False: there is no chroma. */
static bool chroma_size(const VmafxRawFormat *f, int *ret_w, int *ret_h)
{
    int up = f->chroma_down ? 0 : 1;

    *ret_w = f->pix == VMAFX_PIX_444 ? f->w : (f->w + up) / 2;
    *ret_h = f->pix == VMAFX_PIX_420 ? (f->h + up) / 2 : f->h;
    return f->pix != VMAFX_PIX_400;
}

static size_t chroma_samples(const VmafxRawFormat *f)
{
    int w, h;

    return chroma_size(f, &w, &h) ? (size_t)w * (size_t)h : 0;
}

/* What the size of a regular file says. Frame lines of y4m may be longer, so there it is an estimate. */
static int64_t frames_by_size(const VmafxRaw *raw)
{
    off_t at = ftello(raw->file);
    size_t frame = raw->luma_bytes + raw->rest_bytes + (raw->y4m ? strlen("FRAME\n") : 0);

    return at < 0 || raw->size < at ? 0 : (raw->size - at) / (int64_t)frame;
}

static off_t size_of(FILE *file)
{
    struct stat st;

    return fstat(fileno(file), &st) || !S_ISREG(st.st_mode) ? 0 : st.st_size;
}

static VmafxErr set_up(VmafxRaw *raw, const VmafxRawFormat *format, VmafxVideoInfo *ret_info, VmafxErrInfo *reterr)
{
    VmafxY4mHeader header = { .rate_den = 1, .aspect_den = 1, .range = "unknown" };

    raw->y4m = !format;
    if (format)
        header.format = *format;
    else {
        VmafxErr err = read_y4m_header(raw, &header, reterr);
        if (err)
            return err;
    }
    raw->header = header;
    raw->format = header.format;
    VmafxErr err = check_format(raw, reterr);
    if (err)
        return err;

    size_t sample = raw->format.bpc > 8 ? 2 : 1, pixels = (size_t)raw->format.w * (size_t)raw->format.h;
    raw->luma_bytes = pixels * sample;
    raw->rest_bytes = (2 * chroma_samples(&raw->format) + (header.alpha ? pixels : 0)) * sample;
    raw->luma = vmafx_alloc_aligned(raw->luma_bytes + 64, 1); /* the scaler may read a vector too far */
    if (!raw->luma)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for a picture of '%s'", raw->name);

    *ret_info = (VmafxVideoInfo){ .w = raw->format.w,
                                  .h = raw->format.h,
                                  .bpc = raw->format.bpc,
                                  .pix = raw->format.pix,
                                  .rate_num = header.rate_num,
                                  .rate_den = header.rate_den,
                                  .frames = raw->y4m ? 0 : frames_by_size(raw),
                                  .frames_estimate = frames_by_size(raw),
                                  .range = header.range,
                                  .matrix = "unknown",
                                  .transfer = "unknown",
                                  .primaries = "unknown" };
    snprintf(ret_info->container, sizeof ret_info->container, "%s", raw->y4m ? "y4m" : "raw");
    snprintf(ret_info->codec, sizeof ret_info->codec, "rawvideo");
    return VMAFX_OK;
}

VmafxErr vmafx_raw_open(int fd, VmafxPipe *pipe, const char *name, const VmafxRawFormat *format, VmafxRaw **ret_raw,
                        VmafxVideoInfo *ret_info, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_raw_close) VmafxRaw *raw = calloc(1, sizeof *raw);

    if (raw) {
        raw->name = vmafx_strdup(name);
        raw->file = pipe ? vmafx_pipe_file(pipe) : fdopen(fd, "rb");
    }
    if (!raw || !raw->name || !raw->file || setvbuf(raw->file, NULL, _IOFBF, BUFFER_BYTES)) {
        if (fd >= 0 && (!raw || !raw->file))
            close(fd);
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory to read '%s'", name);
    }
    raw->size = size_of(raw->file);
    VmafxErr err = set_up(raw, format, ret_info, reterr);
    if (err)
        return err;
    *ret_raw = VMAFX_TAKE(raw);
    return VMAFX_OK;
}

void vmafx_raw_close(VmafxRaw **raw_p)
{
    VmafxRaw *raw = *raw_p;

    if (!raw)
        return;
    if (raw->file)
        fclose(raw->file);
    free(raw->luma);
    free(raw->name);
    free(raw);
    *raw_p = NULL;
}

/* ---- Frames ---- */

static VmafxErr cut(const VmafxRaw *raw, size_t got, size_t want, const char *what, VmafxErrInfo *reterr)
{
    if (ferror(raw->file))
        return vmafx_fail(reterr, VMAFX_ERR_IO, "'%s': frame %llu cannot be read: %s", raw->name,
                          (unsigned long long)raw->frame, strerror(errno));
    return vmafx_fail(reterr, VMAFX_ERR_TRUNCATED, "'%s' ends inside the %s of frame %llu: %zu of %zu bytes are there",
                      raw->name, what, (unsigned long long)raw->frame, got, want);
}

/* The line before a frame. *ret_more false: the file ended in its place. */
static VmafxErr read_frame_line(VmafxRaw *raw, bool *ret_more, VmafxErrInfo *reterr)
{
    char line[VMAFX_Y4M_LINE_MAX];
    size_t len;
    bool whole = read_line(raw->file, line, sizeof line, &len);

    if (!whole && !len && feof(raw->file)) {
        *ret_more = false;
        return VMAFX_OK;
    }
    if (ferror(raw->file) || (!whole && feof(raw->file) && !strncmp(line, "FRAME", VMAFX_MIN(len, strlen("FRAME")))))
        return cut(raw, len, strlen("FRAME\n"), "header", reterr);
    if (!whole || strncmp(line, "FRAME", 5) != 0 || (line[5] && line[5] != ' '))
        return vmafx_fail(reterr, VMAFX_ERR_TRUNCATED, "'%s': frame %llu does not begin with FRAME", raw->name,
                          (unsigned long long)raw->frame);
    *ret_more = true;
    return VMAFX_OK;
}

/* Passes over chroma and alpha without reading them, where the file is known to go on behind them. */
static bool skip_rest(VmafxRaw *raw)
{
    off_t at = raw->size ? ftello(raw->file) : -1;

    return at >= 0 && raw->size - at >= (off_t)raw->rest_bytes && !fseeko(raw->file, (off_t)raw->rest_bytes, SEEK_CUR);
}

/* Otherwise they are read: seeking could not tell that the file is cut there. */
static bool read_rest(VmafxRaw *raw, size_t *ret_got)
{
    char buffer[65536];
    size_t got = 0, n = 1;

    if (!raw->keeps_rest && skip_rest(raw))
        return true;
    if (raw->keeps_rest)
        got = fread(raw->luma + raw->luma_bytes, 1, raw->rest_bytes, raw->file);
    while (!raw->keeps_rest && got < raw->rest_bytes && n) {
        n = fread(buffer, 1, VMAFX_MIN(sizeof buffer, raw->rest_bytes - got), raw->file);
        got += n;
    }
    *ret_got = got;
    return got == raw->rest_bytes;
}

void vmafx_raw_into(VmafxRaw *raw, const VmafxPlane *luma)
{
    const VmafxRawFormat *f = &raw->format;
    bool same = luma->w == f->w && luma->h == f->h && luma->bpc == f->bpc;

    raw->into = same && !raw->keeps_rest && luma->stride * f->h == (ptrdiff_t)raw->luma_bytes
                    ? (unsigned char *)(uintptr_t)luma->data
                    : NULL;
}

VmafxErr vmafx_raw_next(VmafxRaw *raw, VmafxPlane *ret_luma, bool *ret_more, VmafxErrInfo *reterr)
{
    unsigned char *luma = raw->into ? VMAFX_TAKE(raw->into) : raw->luma;
    size_t sample = raw->format.bpc > 8 ? 2 : 1, got;
    bool more = true;

    if (raw->y4m) {
        VmafxErr err = read_frame_line(raw, &more, reterr);
        if (err || !more) {
            *ret_more = false;
            return err;
        }
    }
    errno = 0;
    got = fread(luma, 1, raw->luma_bytes, raw->file);
    if (!got && !raw->y4m && feof(raw->file) && !ferror(raw->file)) {
        *ret_more = false;
        return VMAFX_OK;
    }
    if (got < raw->luma_bytes)
        return cut(raw, got, raw->luma_bytes, "luma", reterr);
    if (!read_rest(raw, &got))
        return cut(raw, got, raw->rest_bytes, "chroma", reterr);

    *ret_luma = (VmafxPlane){ luma, (ptrdiff_t)((size_t)raw->format.w * sample), raw->format.w, raw->format.h,
                              raw->format.bpc };
    *ret_more = true;
    raw->frame++;
    return VMAFX_OK;
}

/* ---- Whole frames ---- */

VmafxErr vmafx_raw_keep_chroma(VmafxRaw *raw, VmafxErrInfo *reterr)
{
    unsigned char *whole = vmafx_alloc_aligned(raw->luma_bytes + raw->rest_bytes + 64, 1);

    if (!whole)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for a picture of '%s'", raw->name);
    free(raw->luma);
    raw->luma = whole;
    raw->keeps_rest = true;
    return VMAFX_OK;
}

int vmafx_raw_planes(const VmafxRaw *raw, VmafxPlane ret_planes[3])
{
    const VmafxRawFormat *f = &raw->format;
    size_t sample = f->bpc > 8 ? 2 : 1, bytes = chroma_samples(f) * sample;
    int w, h;

    ret_planes[0] = (VmafxPlane){ raw->luma, (ptrdiff_t)((size_t)f->w * sample), f->w, f->h, f->bpc };
    if (!chroma_size(f, &w, &h))
        return 1;
    for (size_t i = 0; i < 2; i++)
        ret_planes[1 + i] =
            (VmafxPlane){ raw->luma + raw->luma_bytes + i * bytes, (ptrdiff_t)((size_t)w * sample), w, h, f->bpc };
    return 3;
}

const VmafxY4mHeader *vmafx_raw_header(const VmafxRaw *raw)
{
    return &raw->header;
}
