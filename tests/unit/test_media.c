/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Readers and the converter. Raw and y4m inputs are written here, byte by byte; encoded ones are made by the ffmpeg
 * program, and the tests that need it are skipped where it is not installed.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "media/convert.h"
#include "media/raw.h"
#include "media/reader.h"

/* What check_… print when they fail: the row of the table, and what the reader said. */
#define CHECK(condition, ...)                                                                                          \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            print_error(__VA_ARGS__);                                                                                  \
            fail_msg(" <- %s does not hold", #condition);                                                              \
        }                                                                                                              \
    } while (0)

static char folder[] = "/tmp/vmafx_media_XXXXXX";

/* ---- Files ---- */

/* The name of a file in the test's folder; one of four buffers, used in turn. */
static const char *in_folder(const char *name)
{
    static char paths[4][512];
    static int turn;
    char *path = paths[turn++ % 4];

    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static const char *write_file(const char *name, const void *bytes, size_t n)
{
    const char *path = in_folder(name);
    FILE *f = fopen(path, "wbe");

    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    return path;
}

static const char *write_text(const char *name, const char *text)
{
    return write_file(name, text, strlen(text));
}

static uint8_t *load(const char *path, size_t *ret_n)
{
    char *bytes = NULL;
    VmafxErrInfo info = { 0 };

    CHECK(!vmafx_read_file(path, (size_t)1 << 30, &bytes, ret_n, &info), "%s", info.message);
    return (uint8_t *)bytes;
}

static int remove_folder(void **state)
{
    (void)state;
    DIR *dir = opendir(folder);

    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (entry->d_name[0] != '.')
            remove(in_folder(entry->d_name));
    if (dir)
        closedir(dir);
    return rmdir(folder);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

/* ---- Readers ---- */

/* What came of a whole file. */
typedef struct Outcome {
    VmafxErr err;
    VmafxErrInfo info;
    bool opened;
    VmafxVideoInfo video;
    size_t n_frames, n_bytes;
    uint8_t *luma; /* of all frames, without gaps; free it */
} Outcome;

static void keep(Outcome *o, const VmafxPlane *p)
{
    size_t row = (size_t)p->w * (p->bpc > 8 ? 2 : 1);

    o->luma = realloc(o->luma, o->n_bytes + row * (size_t)p->h);
    assert_non_null(o->luma);
    for (int y = 0; y < p->h; y++, o->n_bytes += row)
        memcpy(o->luma + o->n_bytes, (const char *)p->data + y * p->stride, row);
    o->n_frames++;
}

static Outcome read_opened(VmafxReader *reader, Outcome o)
{
    bool more = true;

    o.opened = !o.err;
    while (!o.err && more) {
        VmafxPlane plane = { 0 };
        o.err = vmafx_reader_next(reader, &plane, &more, &o.info);
        if (!o.err && more)
            keep(&o, &plane);
    }
    if (o.opened)
        o.video = *vmafx_reader_info(reader);
    assert_true(o.opened || !reader);
    assert_true(!o.err || o.info.message[0]); /* every error is a sentence */
    vmafx_reader_close(&reader);
    assert_null(reader);
    return o;
}

static Outcome read_all(const char *path, const VmafxRawFormat *raw)
{
    VmafxReader *reader = NULL;
    Outcome o = { 0 };

    o.err = vmafx_reader_open(path, raw, &reader, &o.info);
    return read_opened(reader, o);
}

static void a_frame_is_read_to_where_it_is_wanted_if_it_fits(void **state)
{
    enum { LUMA = 64 * 2, FRAME = LUMA * 3 / 2 };
    _Alignas(64) static uint8_t wanted[LUMA + 64];
    uint8_t bytes[3 * FRAME];
    VmafxReader *reader = NULL;
    VmafxPlane plane, into = { wanted, 64, 64, 2, 8 };
    bool more;

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 31 + (i >> 8) * 7);
    const char *path = write_file("into.yuv", bytes, sizeof bytes);
    assert_int_equal(vmafx_reader_open(path, &(VmafxRawFormat){ 64, 2, 8, VMAFX_PIX_420, false }, &reader, NULL),
                     VMAFX_OK);

    vmafx_reader_into(reader, &into);
    assert_int_equal(vmafx_reader_next(reader, &plane, &more, NULL), VMAFX_OK);
    assert_ptr_equal(plane.data, wanted);
    assert_memory_equal(wanted, bytes, LUMA);

    assert_int_equal(vmafx_reader_next(reader, &plane, &more, NULL), VMAFX_OK); /* it was for one frame */
    assert_ptr_not_equal(plane.data, wanted);
    assert_memory_equal(wanted, bytes, LUMA);
    assert_memory_equal(plane.data, bytes + FRAME, LUMA);

    into.h = 1;
    vmafx_reader_into(reader, &into); /* another size */
    assert_int_equal(vmafx_reader_next(reader, &plane, &more, NULL), VMAFX_OK);
    assert_ptr_not_equal(plane.data, wanted);
    assert_memory_equal(plane.data, bytes + 2 * FRAME, LUMA);
    assert_memory_equal(wanted, bytes, LUMA);
    vmafx_reader_close(&reader);
}

static void check_refused(const char *path, VmafxErr err, const char *word, const char *why)
{
    Outcome o = read_all(path, NULL);

    CHECK(!o.opened, "%s: opened", why);
    CHECK(o.err == err, "%s: %s, not %s: %s", why, vmafx_err_name(o.err), vmafx_err_name(err), o.info.message);
    CHECK(strstr(o.info.message, word), "%s: '%s' is not in: %s", why, word, o.info.message);
    free(o.luma);
}

/* ---- Raw ---- */

/* Samples tell where they are: no two neighbours, rows, planes or frames look alike. */
static uint8_t *counting_bytes(size_t n)
{
    uint8_t *bytes = malloc(n + 1);

    assert_non_null(bytes);
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(i * 31 + (i >> 8) * 7);
    return bytes;
}

static const struct {
    const char *why;
    VmafxRawFormat format;
    size_t luma, frame; /* bytes, worked out by hand */
} raw_cases[] = {
    { "even 4:2:0", { 6, 4, 8, VMAFX_PIX_420, false }, 24, 36 },
    { "odd 4:2:0 rounds up", { 5, 3, 8, VMAFX_PIX_420, false }, 15, 27 },
    { "odd 4:2:0 rounds down when told", { 5, 3, 8, VMAFX_PIX_420, true }, 15, 19 },
    { "odd 4:2:2 rounds up", { 5, 3, 8, VMAFX_PIX_422, false }, 15, 33 },
    { "odd 4:2:2 rounds down when told", { 5, 3, 8, VMAFX_PIX_422, true }, 15, 27 },
    { "4:4:4 does not round", { 5, 3, 8, VMAFX_PIX_444, true }, 15, 45 },
    { "grey has no chroma", { 5, 3, 8, VMAFX_PIX_400, false }, 15, 15 },
    { "10 bits are two bytes", { 6, 4, 10, VMAFX_PIX_420, false }, 48, 72 },
    { "12 bits, 4:2:2", { 6, 4, 12, VMAFX_PIX_422, false }, 48, 96 },
    { "12 bits, 4:4:4, odd", { 5, 3, 12, VMAFX_PIX_444, false }, 30, 90 },
    { "16 bits, grey, odd", { 5, 3, 16, VMAFX_PIX_400, true }, 30, 30 },
    { "16 bits, odd, down", { 5, 3, 16, VMAFX_PIX_420, true }, 30, 38 },
    { "one sample", { 1, 1, 8, VMAFX_PIX_420, false }, 1, 3 },
    { "one sample, no chroma left", { 1, 1, 8, VMAFX_PIX_420, true }, 1, 1 },
};

static void check_counting(const Outcome *o, const char *why, size_t luma, size_t frame, const uint8_t *bytes)
{
    CHECK(o->n_bytes == o->n_frames * luma, "%s: %zu bytes", why, o->n_bytes);
    for (size_t f = 0; f < o->n_frames; f++)
        CHECK(!memcmp(o->luma + f * luma, bytes + f * frame, luma), "%s: frame %zu differs", why, f);
}

static void raw_frames_are_cut_at_the_right_bytes(void **state)
{
    for (size_t i = 0; i < VMAFX_LEN(raw_cases); i++) {
        size_t frame = raw_cases[i].frame;
        uint8_t *bytes = counting_bytes(3 * frame);
        Outcome o = read_all(write_file("a.yuv", bytes, 3 * frame), &raw_cases[i].format);

        CHECK(!o.err && o.n_frames == 3, "%s: %zu frames, %s", raw_cases[i].why, o.n_frames, o.info.message);
        CHECK(o.video.frames == 3 && o.video.frames_estimate == 3, "%s: promises %lld", raw_cases[i].why,
              (long long)o.video.frames);
        check_counting(&o, raw_cases[i].why, raw_cases[i].luma, frame, bytes);
        assert_string_equal(o.video.container, "raw");
        assert_string_equal(o.video.range, "unknown");
        free(o.luma);
        free(bytes);
    }
}

static void raw_file_cut_at_any_byte_is_reported_unless_between_frames(void **state)
{
    VmafxRawFormat format = { 5, 3, 8, VMAFX_PIX_420, false };
    uint8_t *bytes = counting_bytes(54);

    for (size_t n = 0; n <= 54; n++) {
        Outcome o = read_all(write_file("cut.yuv", bytes, n), &format);
        CHECK(o.err == (n % 27 ? VMAFX_ERR_TRUNCATED : VMAFX_OK), "%zu bytes: %s", n, vmafx_err_name(o.err));
        CHECK(o.n_frames == n / 27, "%zu bytes: %zu frames", n, o.n_frames);
        free(o.luma);
    }
    Outcome o = read_all(write_file("cut.yuv", bytes, 30), &format);
    assert_non_null(strstr(o.info.message, "cut.yuv"));
    assert_non_null(strstr(o.info.message, "frame 1"));
    assert_non_null(strstr(o.info.message, "3 of 15 bytes"));
    free(o.luma);
    free(bytes);
}

static void raw_format_out_of_range_is_refused(void **state)
{
    static const struct {
        const char *why;
        VmafxRawFormat format;
        VmafxErr err;
    } bad[] = {
        { "no width", { 0, 4, 8, VMAFX_PIX_420, false }, VMAFX_ERR_INVALID },
        { "negative height", { 4, -4, 8, VMAFX_PIX_420, false }, VMAFX_ERR_INVALID },
        { "7 bits", { 4, 4, 7, VMAFX_PIX_420, false }, VMAFX_ERR_INVALID },
        { "17 bits", { 4, 4, 17, VMAFX_PIX_420, false }, VMAFX_ERR_INVALID },
        { "no such format", { 4, 4, 8, (VmafxPixFmt)4, false }, VMAFX_ERR_INVALID },
        { "too wide", { VMAFX_DIMENSION_MAX + 1, 1, 8, VMAFX_PIX_420, false }, VMAFX_ERR_LIMIT },
        { "more than 2^28 samples", { 16385, 16384, 8, VMAFX_PIX_420, false }, VMAFX_ERR_LIMIT },
    };
    const char *path = write_text("a.yuv", "0123456789");

    for (size_t i = 0; i < VMAFX_LEN(bad); i++) {
        Outcome o = read_all(path, &bad[i].format);
        CHECK(o.err == bad[i].err && !o.opened, "%s: %s", bad[i].why, vmafx_err_name(o.err));
    }
}

/* ---- Pipes ---- */

/* A pipe that a child fills in small pieces. */
static int piped(const uint8_t *bytes, size_t n, pid_t *ret_child)
{
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    *ret_child = fork();
    if (*ret_child == 0) {
        close(ends[0]);
        for (size_t at = 0; at < n;) {
            ssize_t put = write(ends[1], bytes + at, VMAFX_MIN(n - at, (size_t)1021));
            if (put < 0)
                _exit(0); /* the reader went away */
            at += (size_t)put;
        }
        _exit(0);
    }
    close(ends[1]);
    return ends[0];
}

static Outcome read_piped(const uint8_t *bytes, size_t n, const VmafxRawFormat *raw)
{
    VmafxReader *reader = NULL;
    Outcome o = { 0 };
    pid_t child;
    int fd = piped(bytes, n, &child);

    o.err = vmafx_reader_open_fd(fd, "a pipe", raw, &reader, &o.info);
    o = read_opened(reader, o);
    waitpid(child, NULL, 0);
    return o;
}

static void raw_comes_through_pipes_too(void **state)
{
    VmafxRawFormat format = { 50, 30, 8, VMAFX_PIX_420, false };
    uint8_t *bytes = counting_bytes(3 * 2250);
    Outcome o = read_piped(bytes, (size_t)3 * 2250, &format);

    CHECK(!o.err && o.n_frames == 3, "%s", o.info.message);
    assert_int_equal(o.video.frames, 0); /* a pipe promises nothing */
    check_counting(&o, "pipe", 1500, 2250, bytes);
    free(o.luma);
    o = read_piped(bytes, (size_t)3 * 2250 - 1, &format);
    assert_int_equal(o.err, VMAFX_ERR_TRUNCATED);
    assert_int_equal(o.n_frames, 2);
    free(o.luma);
    free(bytes);
}

static void names_of_descriptors_are_understood(void **state)
{
    VmafxRawFormat format = { 2, 1, 8, VMAFX_PIX_400, false };
    int fd = open(write_text("a.yuv", "abcd"), O_RDONLY | O_CLOEXEC);
    char name[32];

    assert_true(fd >= 0);
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, i ? "fd:%d" : "pipe:%d", fd);
        lseek(fd, 0, SEEK_SET);
        Outcome o = read_all(name, &format);
        CHECK(!o.err && o.n_frames == 2 && !memcmp(o.luma, "abcd", 4), "%s: %s", name, o.info.message);
        free(o.luma);
    }
    assert_int_equal(close(fd), 0); /* the reader closed its own copy only */
    check_refused("fd:987", VMAFX_ERR_INPUT, "descriptor", "a closed descriptor");

    snprintf(name, sizeof name, "file:%.20s", "");
    char *file = vmafx_sprintf("file:%s", in_folder("a.yuv"));
    Outcome o = read_all(file, &format);
    CHECK(!o.err && o.n_frames == 2, "%s", o.info.message);
    free(o.luma);
    free(file);
}

/* ---- y4m ---- */

static void y4m_headers_are_understood(void **state)
{
    static const struct {
        const char *line;
        int w, h, bpc;
        VmafxPixFmt pix;
        bool alpha;
        int num, den;
        const char *range;
    } good[] = {
        { "YUV4MPEG2 W352 H288 F30:1", 352, 288, 8, VMAFX_PIX_420, false, 30, 1, "unknown" },
        { "YUV4MPEG2 H3 W5 F30000:1001 Ip A1:1 C420jpeg XCOLORRANGE=FULL", 5, 3, 8, VMAFX_PIX_420, false, 30000, 1001,
          "pc" },
        { "YUV4MPEG2 W5 H3 F0:0 I? C420p10 XYSCSS=420P10 XCOLORRANGE=LIMITED", 5, 3, 10, VMAFX_PIX_420, false, 0, 1,
          "tv" },
        { "YUV4MPEG2 W1 H1 F25:1 C420mpeg2", 1, 1, 8, VMAFX_PIX_420, false, 25, 1, "unknown" },
        { "YUV4MPEG2 W1 H1 F25:1 C420paldv", 1, 1, 8, VMAFX_PIX_420, false, 25, 1, "unknown" },
        { "YUV4MPEG2 W1 H1 F25:1 C422", 1, 1, 8, VMAFX_PIX_422, false, 25, 1, "unknown" },
        { "YUV4MPEG2 W1 H1 F25:1 C422p12", 1, 1, 12, VMAFX_PIX_422, false, 25, 1, "unknown" },
        { "YUV4MPEG2 W1 H1 F25:1 C444p16", 1, 1, 16, VMAFX_PIX_444, false, 25, 1, "unknown" },
        { "YUV4MPEG2 W1 H1 F25:1 C444alpha", 1, 1, 8, VMAFX_PIX_444, true, 25, 1, "unknown" },
        { "YUV4MPEG2 W1 H1 F25:1 Cmono", 1, 1, 8, VMAFX_PIX_400, false, 25, 1, "unknown" },
        { "YUV4MPEG2 W1 H1 F25:1 Cmono12", 1, 1, 12, VMAFX_PIX_400, false, 25, 1, "unknown" },
        { "YUV4MPEG2 W1 H1 F25:1 Zwhatever X", 1, 1, 8, VMAFX_PIX_420, false, 25, 1, "unknown" },
        { "YUV4MPEG2  W65536  H1 F25:1 ", 65536, 1, 8, VMAFX_PIX_420, false, 25, 1, "unknown" },
    };

    for (size_t i = 0; i < VMAFX_LEN(good); i++) {
        VmafxY4mHeader h;
        VmafxErrInfo info = { 0 };
        VmafxErr err = vmafx_y4m_parse_header(good[i].line, &h, &info);

        CHECK(!err, "%s: %s", good[i].line, info.message);
        CHECK(h.format.w == good[i].w && h.format.h == good[i].h, "%s: %dx%d", good[i].line, h.format.w, h.format.h);
        CHECK(h.format.bpc == good[i].bpc && h.format.pix == good[i].pix && h.alpha == good[i].alpha, "%s",
              good[i].line);
        CHECK(h.rate_num == good[i].num && h.rate_den == good[i].den, "%s: rate %d/%d", good[i].line, h.rate_num,
              h.rate_den);
        CHECK(!strcmp(h.range, good[i].range) && !h.format.chroma_down, "%s", good[i].line);
    }
}

static void y4m_headers_tell_where_chroma_lies_and_how_wide_a_sample_is(void **state)
{
    static const struct {
        const char *line;
        VmafxSiting siting;
        int num, den;
    } cases[] = {
        { "YUV4MPEG2 W4 H4 F25:1", VMAFX_SITING_UNKNOWN, 0, 1 },
        { "YUV4MPEG2 W4 H4 F25:1 C420jpeg A1:1", VMAFX_SITING_CENTRE, 1, 1 },
        { "YUV4MPEG2 W4 H4 F25:1 C420 A64:45", VMAFX_SITING_CENTRE, 64, 45 },
        { "YUV4MPEG2 W4 H4 F25:1 C420mpeg2 A0:0", VMAFX_SITING_LEFT, 0, 1 },
        { "YUV4MPEG2 W4 H4 F25:1 C420paldv A4:0", VMAFX_SITING_TOP_LEFT, 0, 1 },
        { "YUV4MPEG2 W4 H4 F25:1 C422 A4", VMAFX_SITING_UNKNOWN, 0, 1 },
        { "YUV4MPEG2 W4 H4 F25:1 C420p10 A9999999999:1", VMAFX_SITING_UNKNOWN, 0, 1 },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VmafxY4mHeader h;
        CHECK(!vmafx_y4m_parse_header(cases[i].line, &h, NULL), "%s", cases[i].line);
        CHECK(h.siting == cases[i].siting && h.aspect_num == cases[i].num && h.aspect_den == cases[i].den,
              "%s: %d, %d:%d", cases[i].line, (int)h.siting, h.aspect_num, h.aspect_den);
    }
}

static void y4m_headers_that_cannot_be_used_are_refused_with_the_reason(void **state)
{
    static const struct {
        const char *why, *line;
        VmafxErr err;
        const char *word; /* of the sentence */
    } bad[] = {
        { "empty", "", VMAFX_ERR_INPUT, "not a y4m" },
        { "version 1", "YUV4MPEG W4 H4 F1:1", VMAFX_ERR_INPUT, "not a y4m" },
        { "glued", "YUV4MPEG2W4 H4 F1:1", VMAFX_ERR_INPUT, "not a y4m" },
        { "nothing said", "YUV4MPEG2", VMAFX_ERR_INPUT, "(W)" },
        { "no width", "YUV4MPEG2 H4 F1:1", VMAFX_ERR_INPUT, "(W)" },
        { "no height", "YUV4MPEG2 W4 F1:1", VMAFX_ERR_INPUT, "(H)" },
        { "no rate", "YUV4MPEG2 W4 H4", VMAFX_ERR_INPUT, "(F)" },
        { "width 0", "YUV4MPEG2 W0 H4 F1:1", VMAFX_ERR_INPUT, "W0" },
        { "negative", "YUV4MPEG2 W-4 H4 F1:1", VMAFX_ERR_INPUT, "W-4" },
        { "letters behind", "YUV4MPEG2 W4x H4 F1:1", VMAFX_ERR_INPUT, "W4x" },
        { "empty value", "YUV4MPEG2 W H4 F1:1", VMAFX_ERR_INPUT, "no size" },
        { "too wide", "YUV4MPEG2 W65537 H4 F1:1", VMAFX_ERR_LIMIT, "65536" },
        { "past every integer", "YUV4MPEG2 W99999999999999999999 H4 F1:1", VMAFX_ERR_INPUT, "no size" },
        { "rate without colon", "YUV4MPEG2 W4 H4 F25", VMAFX_ERR_INPUT, "F25" },
        { "rate over 0", "YUV4MPEG2 W4 H4 F25:0", VMAFX_ERR_INPUT, "F25:0" },
        { "negative rate", "YUV4MPEG2 W4 H4 F-25:1", VMAFX_ERR_INPUT, "F-25:1" },
        { "top field first", "YUV4MPEG2 W4 H4 F1:1 It", VMAFX_ERR_UNSUPPORTED, "It" },
        { "bottom field first", "YUV4MPEG2 W4 H4 F1:1 Ib", VMAFX_ERR_UNSUPPORTED, "Ib" },
        { "mixed", "YUV4MPEG2 W4 H4 F1:1 Im", VMAFX_ERR_UNSUPPORTED, "Im" },
        { "4:1:1", "YUV4MPEG2 W4 H4 F1:1 C411", VMAFX_ERR_UNSUPPORTED, "C411" },
        { "no such chroma", "YUV4MPEG2 W4 H4 F1:1 C420p11", VMAFX_ERR_UNSUPPORTED, "C420p11" },
        { "case matters", "YUV4MPEG2 W4 H4 F1:1 CMONO", VMAFX_ERR_UNSUPPORTED, "CMONO" },
    };

    for (size_t i = 0; i < VMAFX_LEN(bad); i++) {
        VmafxY4mHeader h;
        VmafxErrInfo info = { 0 };
        VmafxErr err = vmafx_y4m_parse_header(bad[i].line, &h, &info);

        CHECK(err == bad[i].err, "%s: %s: %s", bad[i].why, vmafx_err_name(err), info.message);
        CHECK(strstr(info.message, bad[i].word), "%s: '%s' is not in: %s", bad[i].why, bad[i].word, info.message);
    }
}

/* Header, then per frame its line and `frame` counting bytes. */
static size_t build_y4m(uint8_t *to, const char *header, const char *const *lines, size_t n_frames,
                        const uint8_t *bytes, size_t frame)
{
    size_t at = strlen(header);

    memcpy(to, header, at);
    for (size_t f = 0; f < n_frames; f++) {
        memcpy(to + at, lines[f], strlen(lines[f]));
        at += strlen(lines[f]);
        memcpy(to + at, bytes + f * frame, frame);
        at += frame;
    }
    return at;
}

static const char *const plain_lines[] = { "FRAME\n", "FRAME\n" };

static void y4m_frames_are_cut_at_the_right_bytes(void **state)
{
    static const char *const lines[] = { "FRAME\n", "FRAME Ip XCOMMENT=words\n" };
    static const struct {
        const char *header;
        size_t luma, frame;
    } cases[] = {
        { "YUV4MPEG2 W5 H3 F25:1 C420\n", 15, 27 },      { "YUV4MPEG2 W5 H3 F25:1 C422\n", 15, 33 },
        { "YUV4MPEG2 W5 H3 F25:1 C444alpha\n", 15, 60 }, { "YUV4MPEG2 W5 H3 F25:1 C420p10\n", 30, 54 },
        { "YUV4MPEG2 W5 H3 F25:1 Cmono16\n", 30, 30 },   { "YUV4MPEG2 W1 H1 F25:1\n", 1, 3 },
    };
    uint8_t file[512];

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        uint8_t *bytes = counting_bytes(2 * cases[i].frame);
        size_t n = build_y4m(file, cases[i].header, lines, 2, bytes, cases[i].frame);

        for (int pipe = 0; pipe < 2; pipe++) {
            Outcome o = pipe ? read_piped(file, n, NULL) : read_all(write_file("a.y4m", file, n), NULL);
            CHECK(!o.err && o.n_frames == 2, "%s: %s", cases[i].header, o.info.message);
            check_counting(&o, cases[i].header, cases[i].luma, cases[i].frame, bytes);
            assert_int_equal(o.video.rate_num, 25);
            assert_string_equal(o.video.container, "y4m");
            assert_int_equal(o.video.frames, 0); /* frame lines may be of any length */
            free(o.luma);
        }
        free(bytes);
    }
}

static void y4m_cut_at_any_byte_is_reported_unless_between_frames(void **state)
{
    const char *header = "YUV4MPEG2 W5 H3 F25:1 C420\n";
    uint8_t file[256], *bytes = counting_bytes(54);
    size_t n = build_y4m(file, header, plain_lines, 2, bytes, 27), begin = strlen(header);

    for (size_t cut = 1; cut <= n; cut++) {
        Outcome o = read_all(write_file("cut.y4m", file, cut), NULL);
        if (cut < begin)
            CHECK(o.err == VMAFX_ERR_INPUT, "%zu bytes: %s", cut, vmafx_err_name(o.err));
        else
            CHECK(o.err == ((cut - begin) % 33 ? VMAFX_ERR_TRUNCATED : VMAFX_OK) && o.n_frames == (cut - begin) / 33,
                  "%zu bytes: %zu frames, %s", cut, o.n_frames, vmafx_err_name(o.err));
        free(o.luma);
    }
    free(bytes);
}

static void y4m_with_bytes_out_of_place_is_reported(void **state)
{
    static char longest[5000];
    uint8_t zeros[64] = { 0 };
    Outcome o;

    memset(longest, 'x', sizeof longest - 1);
    memcpy(longest, "YUV4MPEG2 W2 H2 F1:1 X", 22);
    check_refused(write_text("long.y4m", longest), VMAFX_ERR_INPUT, "4096", "endless header");
    memcpy(zeros, "YUV4MPEG2 W2 H2 F1:1\0\n", 22);
    check_refused(write_file("zero.y4m", zeros, sizeof zeros), VMAFX_ERR_INPUT, "zero byte", "zero in the header");

    o = read_all(write_text("b.y4m", "YUV4MPEG2 W2 H2 F1:1\nFRAMEabcdef\n"), NULL);
    assert_int_equal(o.err, VMAFX_ERR_TRUNCATED);
    o = read_all(write_text("b.y4m", "YUV4MPEG2 W2 H2 F1:1\nframe\nabcdef"), NULL);
    assert_int_equal(o.err, VMAFX_ERR_TRUNCATED);
    memcpy(longest, "YUV4MPEG2 W2 H2 F1:1\nFRAME ", 27);
    o = read_all(write_text("b.y4m", longest), NULL);
    assert_int_equal(o.err, VMAFX_ERR_TRUNCATED);
    check_refused(write_text("b.y4m", "YUV4MPEG2 W65536 H65536 F1:1\nFRAME\n"), VMAFX_ERR_LIMIT, "samples",
                  "too large");
}

/* ---- Refusals ---- */

static void what_is_no_local_video_is_refused_with_a_sentence(void **state)
{
    check_refused(in_folder("missing.mp4"), VMAFX_ERR_NOT_FOUND, "missing.mp4", "missing file");
    check_refused(folder, VMAFX_ERR_INPUT, "folder", "folder");
    check_refused(write_text("empty.mp4", ""), VMAFX_ERR_INPUT, "empty", "empty file");
    check_refused(write_text("one.mp4", "x"), VMAFX_ERR_INPUT, "one.mp4", "one byte");
    check_refused(write_text("text.mp4", "Dear reader,\nthis is not a video at all.\n"), VMAFX_ERR_INPUT, "text.mp4",
                  "text");

    static const char *const addresses[] = {
        "http://127.0.0.1/a.mp4",         "https://127.0.0.1/a.mp4", "concat:a.ts|b.ts", "data:video/mp4;base64,AAAA",
        "subfile,,start,0,end,9,,:a.mp4", "rtmp://127.0.0.1/a",      "crypto:a.mp4",     "lavfi:testsrc",
    };
    for (size_t i = 0; i < VMAFX_LEN(addresses); i++) {
        Outcome o = read_all(addresses[i], NULL);
        CHECK(!o.opened && (o.err == VMAFX_ERR_INPUT || o.err == VMAFX_ERR_NOT_FOUND), "%s: %s", addresses[i],
              vmafx_err_name(o.err));
    }
    check_refused("http://127.0.0.1/a.mp4", VMAFX_ERR_INPUT, "only local files", "address");
}

static void files_that_point_to_other_files_are_refused(void **state)
{
    check_refused(
        write_text("a.m3u8",
                   "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXTINF:2.0,\na.ts\n#EXT-X-ENDLIST\n"),
        VMAFX_ERR_INPUT, "hls", "HLS playlist");
    check_refused(write_text("a.mpd",
                             "<?xml version=\"1.0\"?>\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" "
                             "profiles=\"urn:mpeg:dash:profile:isoff-on-demand:2011\" type=\"static\">\n</MPD>\n"),
                  VMAFX_ERR_INPUT, "a.mpd", "DASH manifest");
    check_refused(write_text("a.ffconcat", "ffconcat version 1.0\nfile a.mp4\n"), VMAFX_ERR_INPUT, "concat", "concat");
    check_refused(write_text("a.sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 "
                                      "RTP/AVP 96\na=rtpmap:96 H264/90000\n"),
                  VMAFX_ERR_INPUT, "sdp", "SDP");
    check_refused(write_text("a.webm", "<?xml version=\"1.0\"?>\n<playlist/>\n"), VMAFX_ERR_INPUT, "a.webm", "XML");
}

static void file_whose_name_looks_like_an_address_is_opened(void **state)
{
    char here[512];
    assert_non_null(getcwd(here, sizeof here));
    write_text("data:a.y4m", "YUV4MPEG2 W1 H1 F1:1 Cmono\nFRAME\nx");
    assert_int_equal(chdir(folder), 0);
    Outcome o = read_all("data:a.y4m", NULL);
    assert_int_equal(chdir(here), 0);
    CHECK(!o.err && o.n_frames == 1, "%s", o.info.message);
    free(o.luma);
}

/* ---- Encoded ---- */

static bool have_ffmpeg(void)
{
    static int rc = -1;

    if (rc)
        rc = system("ffmpeg -version >/dev/null 2>&1");
    if (!rc)
        return true;
    print_message("skipped: there is no ffmpeg program to make the files with\n");
    return false;
}

/* For a test that needs a file this ffmpeg could not make. */
#define SKIP_WITHOUT(name)                                                                                             \
    do {                                                                                                               \
        print_message("skipped: this ffmpeg cannot make %s\n", name);                                                  \
        skip();                                                                                                        \
    } while (0)

/* Runs ffmpeg with the test picture as input; false when its build cannot do it. */
static bool encode(const char *name, const char *arguments)
{
    char *command =
        vmafx_sprintf("ffmpeg -nostdin -v quiet -y -f lavfi -i testsrc2=s=96x64:r=25:d=1.2 %s %s/%s 2>/dev/null",
                      arguments, folder, name);
    int rc = system(command);

    free(command);
    return rc == 0;
}

/* The luma as the ffmpeg program has it: a plane taken out, so that nothing is converted. */
static uint8_t *ffmpeg_luma(const char *name, size_t *ret_n)
{
    char *command = vmafx_sprintf("ffmpeg -nostdin -v quiet -y -i %s/%s -map 0:v:0 -vf extractplanes=y -f rawvideo "
                                  "-fps_mode passthrough %s/luma.bin",
                                  folder, name, folder);

    assert_int_equal(system(command), 0);
    free(command);
    return load(in_folder("luma.bin"), ret_n);
}

static const struct {
    const char *name, *arguments;
    int bpc;
    VmafxPixFmt pix;
    bool promises; /* an index of all frames */
    const char *range;
} encoded[] = {
    { "h264.mp4", "-c:v libx264 -pix_fmt yuv420p -movflags +faststart", 8, VMAFX_PIX_420, true, "unknown" },
    { "sound.mp4", "-f lavfi -i sine=d=1.2 -c:v libx264 -pix_fmt yuv420p -c:a aac -movflags +faststart", 8,
      VMAFX_PIX_420, true, "unknown" },
    { "h264.mkv", "-c:v libx264 -pix_fmt yuv420p", 8, VMAFX_PIX_420, false, "unknown" },
    { "h264.ts", "-c:v libx264 -pix_fmt yuv420p", 8, VMAFX_PIX_420, false, "unknown" },
    { "mpeg4.avi", "-c:v mpeg4 -b:v 500k", 8, VMAFX_PIX_420, false, "unknown" },
    { "h264.flv", "-c:v libx264 -pix_fmt yuv420p", 8, VMAFX_PIX_420, false, "unknown" },
    { "frag.mp4", "-c:v libx264 -pix_fmt yuv420p -g 10 -movflags frag_keyframe+empty_moov", 8, VMAFX_PIX_420, false,
      "unknown" },
    { "hevc10.mp4", "-c:v libx265 -x265-params log-level=none -pix_fmt yuv420p10le -movflags +faststart", 10,
      VMAFX_PIX_420, true, "tv" },
    { "ffv1.mkv", "-c:v ffv1 -pix_fmt yuv420p10le", 10, VMAFX_PIX_420, false, NULL },
    { "ffv1_16.mkv", "-c:v ffv1 -pix_fmt yuv444p16le", 16, VMAFX_PIX_444, false, NULL },
    { "alpha.mkv", "-c:v ffv1 -pix_fmt yuva420p", 8, VMAFX_PIX_420, false, NULL },
    { "gray.mkv", "-c:v ffv1 -pix_fmt gray", 8, VMAFX_PIX_400, false, NULL },
    { "prores.mov", "-c:v prores_ks -pix_fmt yuv422p10le -movflags +faststart", 10, VMAFX_PIX_422, true, NULL },
    { "mjpeg.mov", "-c:v mjpeg -pix_fmt yuvj420p -movflags +faststart", 8, VMAFX_PIX_420, true, "pc" },
    { "vp9.webm", "-c:v libvpx-vp9 -cpu-used 8 -deadline realtime", 8, VMAFX_PIX_420, false, "tv" },
    { "theora.ogv", "-c:v libtheora", 8, VMAFX_PIX_420, false, NULL },
    { "mpeg2.mxf", "-c:v mpeg2video", 8, VMAFX_PIX_420, false, NULL },
    { "av1.mp4", "-c:v libsvtav1 -preset 12 -movflags +faststart", 8, VMAFX_PIX_420, true, "tv" },
    { "bframes.mp4", "-c:v libx264 -pix_fmt yuv420p -bf 3 -g 12 -movflags +faststart", 8, VMAFX_PIX_420, true,
      "unknown" },
    { "mpeg2.ts", "-c:v mpeg2video", 8, VMAFX_PIX_420, false, "tv" },
    { "hevc10.mkv", "-c:v libx265 -x265-params log-level=none -pix_fmt yuv420p10le", 10, VMAFX_PIX_420, false, "tv" },
    { "av1.obu", "-c:v libsvtav1 -preset 12", 8, VMAFX_PIX_420, false, NULL },
};

static void decoded_luma_is_that_of_the_ffmpeg_program(void **state)
{
    if (!have_ffmpeg())
        skip();
    for (size_t i = 0; i < VMAFX_LEN(encoded); i++) {
        const char *name = encoded[i].name;
        size_t n_want;

        if (!encode(name, encoded[i].arguments)) {
            print_message("not in this ffmpeg: %s\n", name);
            continue;
        }
        uint8_t *want = ffmpeg_luma(name, &n_want);
        Outcome o = read_all(in_folder(name), NULL);
        CHECK(!o.err, "%s: %s", name, o.info.message);
        CHECK(o.n_frames == 30 && n_want == o.n_bytes && !memcmp(want, o.luma, n_want),
              "%s: %zu frames, %zu bytes of %zu", name, o.n_frames, o.n_bytes, n_want);
        CHECK(o.video.w == 96 && o.video.h == 64, "%s: %dx%d", name, o.video.w, o.video.h);
        CHECK(o.video.bpc == encoded[i].bpc && o.video.pix == encoded[i].pix, "%s: %d bits, format %d", name,
              o.video.bpc, (int)o.video.pix);
        CHECK(!encoded[i].range || !strcmp(o.video.range, encoded[i].range), "%s: range %s", name, o.video.range);
        CHECK(o.video.frames == (encoded[i].promises ? 30 : 0), "%s: promises %lld", name, (long long)o.video.frames);
        CHECK(!strcmp(strrchr(name, '.'), ".obu") || (o.video.frames_estimate >= 28 && o.video.frames_estimate <= 32),
              "%s: estimates %lld", name, (long long)o.video.frames_estimate);
        CHECK(o.video.rate_num == 25 * o.video.rate_den, "%s: %d/%d", name, o.video.rate_num, o.video.rate_den);
        free(want);
        free(o.luma);
    }
}

/* Every tenth of the file. Only where a stream promises nothing may a cut between two of its units pass as whole. */
static void cut_file_never_ends_as_if_it_were_whole(void **state)
{
    if (!have_ffmpeg())
        skip();
    for (size_t i = 0; i < VMAFX_LEN(encoded); i++) {
        const char *name = encoded[i].name;
        size_t n;

        if (access(in_folder(name), R_OK) != 0)
            continue; /* not in this ffmpeg */
        uint8_t *bytes = load(in_folder(name), &n);
        for (size_t percent = 10; percent <= 90; percent += 10) {
            size_t cut = n * percent / 100;
            bool ts = strstr(name, ".ts");
            if (ts && cut % 188 == 0)
                cut++; /* not between two packets */
            Outcome o = read_all(write_file("cut.bin", bytes, cut), NULL);

            CHECK(o.err == VMAFX_ERR_TRUNCATED || (!o.opened && o.err), "%s cut at %zu %%: %s after %zu frames", name,
                  percent, vmafx_err_name(o.err), o.n_frames);
            CHECK(percent < 60 || o.opened, "%s cut at %zu %%: %s", name, percent, o.info.message);
            CHECK(!o.opened || strstr(o.info.message, "at frame"), "%s: %s", name, o.info.message);
            CHECK(o.n_frames < 30, "%s cut at %zu %%: all frames", name, percent);
            free(o.luma);
        }
        free(bytes);
    }
}

static void damage_in_the_middle_is_reported(void **state)
{
    static const char *const names[] = { "h264.mp4", "h264.mkv", "ffv1.mkv" };

    if (!have_ffmpeg())
        skip();
    for (size_t i = 0; i < VMAFX_LEN(names); i++) {
        size_t n;

        if (access(in_folder(names[i]), R_OK) != 0)
            continue;
        uint8_t *bytes = load(in_folder(names[i]), &n);
        memset(bytes + n / 2, 0xA5, 600);
        Outcome o = read_all(write_file("damaged.bin", bytes, n), NULL);
        CHECK(o.err == VMAFX_ERR_TRUNCATED && o.n_frames < 30, "%s: %s after %zu frames", names[i],
              vmafx_err_name(o.err), o.n_frames);
        free(o.luma);
        free(bytes);
    }
}

/* What is written to a pipe has zeros or ones where its length belongs, and clips copied out have edit lists. */
static void whole_files_of_unusual_making_are_not_called_cut(void **state)
{
    static const struct {
        const char *name, *arguments;
        size_t frames;
    } cases[] = {
        { "stream.avi", "-c:v mpeg4 -f avi - >", 30 },
        { "stream.ivf", "-c:v libvpx -f ivf - >", 30 },
        { "stream.mkv", "-c:v libx264 -f matroska - >", 30 },
        { "stream.flv", "-c:v libx264 -pix_fmt yuv420p -f flv - >", 30 },
        { "short_sound.mp4", "-f lavfi -i sine=d=0.4 -c:v libx264 -c:a aac", 30 },
        { "long_sound.mp4", "-f lavfi -i sine=d=3 -c:v libx264 -c:a aac", 30 },
        { "long_sound.ts", "-f lavfi -i sine=d=3 -c:v libx264 -pix_fmt yuv420p -c:a aac", 30 },
        { "long_sound.flv", "-f lavfi -i sine=d=3 -c:v libx264 -pix_fmt yuv420p -c:a aac", 30 },
        { "short_sound.avi", "-f lavfi -i sine=d=0.4 -c:v mpeg4 -bf 2 -c:a mp2", 30 },
        { "gaps.avi", "-vf \"select='not(mod(n,3))'\" -fps_mode vfr -c:v mpeg4", 10 },
        { "gaps.mp4", "-vf \"select='not(mod(n,3))'\" -fps_mode vfr -c:v libx264", 10 },
        { "sound.ogv", "-f lavfi -i sine=d=3 -c:v libtheora -c:a libvorbis", 30 },
        { "late.mkv", "-c:v libx264 -output_ts_offset 3", 30 },
        { "long_sound.mkv", "-f lavfi -i sine=d=3 -c:v libx264 -c:a aac", 30 },
        { "gaps.mkv", "-vf \"select='not(mod(n,3))'\" -fps_mode vfr -c:v libx264", 10 },
    };

    if (!have_ffmpeg())
        skip();
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        if (encode(cases[i].name, cases[i].arguments)) {
            Outcome o = read_all(in_folder(cases[i].name), NULL);
            CHECK(!o.err && o.n_frames == cases[i].frames, "%s: %zu frames, %s", cases[i].name, o.n_frames,
                  o.info.message);
            free(o.luma);
        }
    }
}

/* FFV1 conceals a slice whose check sum is wrong, and its decoder returns no error. */
static void wrong_check_sum_is_reported(void **state)
{
    size_t n;

    if (!have_ffmpeg() || !encode("crc.mkv", "-c:v ffv1 -level 3 -slicecrc 1"))
        skip();
    uint8_t *bytes = load(in_folder("crc.mkv"), &n);
    Outcome o = read_all(in_folder("crc.mkv"), NULL);
    CHECK(!o.err && o.n_frames == 30, "%s", o.info.message);
    free(o.luma);
    bytes[n / 2] ^= 0x55;
    o = read_all(write_file("damaged.bin", bytes, n), NULL);
    CHECK(o.err == VMAFX_ERR_TRUNCATED && o.n_frames > 5 && o.n_frames < 20, "%s after %zu frames",
          vmafx_err_name(o.err), o.n_frames);
    free(o.luma);
    free(bytes);
}

/* Without its packet in the middle, a transport stream's counter jumps. */
static void lost_transport_packet_is_reported(void **state)
{
    size_t n, middle;

    if (!have_ffmpeg() || access(in_folder("h264.ts"), R_OK) != 0)
        skip();
    uint8_t *bytes = load(in_folder("h264.ts"), &n);
    for (middle = n / 2 / 188 * 188; (bytes[middle + 1] & 0x5F) != 1 || bytes[middle + 2]; middle += 188)
        ; /* a later part of a picture: PID 0x100, no beginning */
    memmove(bytes + middle, bytes + middle + 188, n - middle - 188);
    Outcome o = read_all(write_file("damaged.bin", bytes, n - 188), NULL);
    CHECK(o.err == VMAFX_ERR_TRUNCATED, "%s after %zu frames", vmafx_err_name(o.err), o.n_frames);
    free(o.luma);
    free(bytes);
}

static void containers_come_through_pipes(void **state)
{
    static const char *const names[] = { "h264.mp4", "h264.mkv", "h264.ts", "frag.mp4", "mpeg4.avi" };

    if (!have_ffmpeg())
        skip();
    for (size_t i = 0; i < VMAFX_LEN(names); i++) {
        size_t n;

        if (access(in_folder(names[i]), R_OK) != 0)
            continue;
        uint8_t *bytes = load(in_folder(names[i]), &n);
        Outcome file = read_all(in_folder(names[i]), NULL), piped_too = read_piped(bytes, n, NULL);
        CHECK(!piped_too.err && file.n_bytes == piped_too.n_bytes && !memcmp(file.luma, piped_too.luma, file.n_bytes),
              "%s: %zu frames, %s", names[i], piped_too.n_frames, piped_too.info.message);
        free(piped_too.luma);
        piped_too = read_piped(bytes, n * 6 / 10 / 188 * 188 + 94, NULL);
        CHECK(piped_too.err == VMAFX_ERR_TRUNCATED, "%s, cut: %s after %zu frames", names[i],
              vmafx_err_name(piped_too.err), piped_too.n_frames);
        free(file.luma);
        free(piped_too.luma);
        free(bytes);
    }
}

static void two_readers_of_one_descriptor_do_not_disturb_each_other(void **state)
{
    VmafxReader *a = NULL, *b = NULL;
    VmafxErrInfo info = { 0 };
    char name[32];
    bool more = true;

    if (!have_ffmpeg() || access(in_folder("ffv1.mkv"), R_OK) != 0)
        skip();
    int fd = open(in_folder("ffv1.mkv"), O_RDONLY | O_CLOEXEC);
    snprintf(name, sizeof name, "fd:%d", fd);
    assert_int_equal(vmafx_reader_open(name, NULL, &a, &info), VMAFX_OK);
    lseek(fd, 0, SEEK_SET); /* opening moves it by the bytes of the magic */
    assert_int_equal(vmafx_reader_open(name, NULL, &b, &info), VMAFX_OK);
    for (size_t n = 0;; n++) {
        VmafxPlane pa, pb;
        CHECK(!vmafx_reader_next(a, &pa, &more, &info), "%s", info.message);
        CHECK(!vmafx_reader_next(b, &pb, &more, &info), "%s", info.message);
        if (!more) {
            assert_int_equal(n, 30);
            break;
        }
        assert_memory_equal(pa.data, pb.data, 96 * 2);
    }
    vmafx_reader_close(&a);
    vmafx_reader_close(&b);
    close(fd);
}

static void pixel_formats_without_a_plane_of_luma_are_refused_by_name(void **state)
{
    static const char *const formats[] = { "bgr0", "yuv411p", "yuv410p", "gbrp16le" };

    if (!have_ffmpeg())
        skip();
    for (size_t i = 0; i < VMAFX_LEN(formats); i++) {
        char *arguments = vmafx_sprintf("-c:v ffv1 -pix_fmt %s", formats[i]);
        if (encode("foreign.mkv", arguments))
            check_refused(in_folder("foreign.mkv"), VMAFX_ERR_UNSUPPORTED, formats[i], formats[i]);
        free(arguments);
    }
    if (encode("sound.m4a", "-f lavfi -i sine=d=1 -map 1:a -c:a aac"))
        check_refused(in_folder("sound.m4a"), VMAFX_ERR_INPUT, "no video stream", "sound only");
}

static void size_that_changes_midway_is_a_mismatch(void **state)
{
    size_t n, m;

    if (!have_ffmpeg() || !encode("a.mpg", "-c:v mpeg2video -f mpeg2video") ||
        !encode("b.mpg", "-s 128x64 -c:v mpeg2video -f mpeg2video"))
        skip();
    uint8_t *a = load(in_folder("a.mpg"), &n), *b = load(in_folder("b.mpg"), &m), *both = malloc(n + m);
    memcpy(both, a, n);
    memcpy(both + n, b, m);
    Outcome o = read_all(write_file("both.mpg", both, n + m), NULL);
    CHECK(o.err == VMAFX_ERR_MISMATCH, "%s after %zu frames: %s", vmafx_err_name(o.err), o.n_frames, o.info.message);
    CHECK(strstr(o.info.message, "96x64") && strstr(o.info.message, "128x64") && strstr(o.info.message, "at frame "),
          "%s", o.info.message);
    free(o.luma);
    free(a);
    free(b);
    free(both);
}

/* A FIFO has a name, and is opened like a file. */
static void fifo_is_read_by_its_name(void **state)
{
    VmafxRawFormat format = { 2, 1, 8, VMAFX_PIX_400, false };
    const char *path = in_folder("fifo.yuv");

    assert_int_equal(mkfifo(path, 0600), 0);
    pid_t child = fork();
    if (child == 0) {
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        _exit(fd >= 0 && write(fd, "abcdef", 6) == 6 ? 0 : 1);
    }
    Outcome o = read_all(path, &format);
    waitpid(child, NULL, 0);
    CHECK(!o.err && o.n_frames == 3 && !memcmp(o.luma, "abcdef", 6), "%s", o.info.message);
    free(o.luma);
}

static void dash_is_standard_input(void **state)
{
    static const char *const names[] = { "-", "pipe:", "fd:0" };
    VmafxRawFormat format = { 2, 1, 8, VMAFX_PIX_400, false };
    int saved = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3), fd = open(write_text("in.yuv", "abcd"), O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    dup2(fd, STDIN_FILENO);
    for (size_t i = 0; i < VMAFX_LEN(names); i++) {
        lseek(fd, 0, SEEK_SET);
        Outcome o = read_all(names[i], &format);
        CHECK(!o.err && o.n_frames == 2 && !memcmp(o.luma, "abcd", 4), "%s: %s", names[i], o.info.message);
        free(o.luma);
    }
    assert_true(fcntl(STDIN_FILENO, F_GETFD) >= 0); /* still open: only our copy was closed */
    close(fd);
    if (saved >= 0) {
        dup2(saved, STDIN_FILENO);
        close(saved);
    } else
        close(STDIN_FILENO);
}

/* A clip copied out begins at a key frame before the wanted time; an edit list hides what comes before it. */
static void edit_list_hides_what_the_ffmpeg_program_hides(void **state)
{
    size_t n_want;

    if (!have_ffmpeg())
        skip();
    if (!encode("to_edit.mp4", "-c:v libx264 -pix_fmt yuv420p -bf 3 -g 12"))
        SKIP_WITHOUT("h264");
    char *command =
        vmafx_sprintf("ffmpeg -nostdin -v quiet -y -ss 0.6 -i %s/to_edit.mp4 -c copy %s/edited.mp4", folder, folder);
    assert_int_equal(system(command), 0);
    free(command);
    uint8_t *want = ffmpeg_luma("edited.mp4", &n_want);
    Outcome o = read_all(in_folder("edited.mp4"), NULL);
    CHECK(!o.err && o.n_bytes == n_want && !memcmp(o.luma, want, n_want), "%zu frames, %zu bytes of %zu: %s",
          o.n_frames, o.n_bytes, n_want, o.info.message);
    CHECK(o.video.frames == (int64_t)o.n_frames && o.n_frames < 30, "promises %lld of %zu", (long long)o.video.frames,
          o.n_frames);
    free(want);
    free(o.luma);
}

static void colours_and_start_are_what_the_file_says(void **state)
{
    if (!have_ffmpeg())
        skip();
    if (!encode("colour.mp4", "-vf setparams=range=pc -c:v libx264 -pix_fmt yuv420p -color_range pc -colorspace bt709 "
                              "-color_trc bt709 -color_primaries bt709"))
        SKIP_WITHOUT("h264");
    Outcome o = read_all(in_folder("colour.mp4"), NULL);
    CHECK(!o.err && !strcmp(o.video.range, "pc") && !strcmp(o.video.matrix, "bt709") &&
              !strcmp(o.video.transfer, "bt709") && !strcmp(o.video.primaries, "bt709"),
          "%s %s %s %s %s", o.video.range, o.video.matrix, o.video.transfer, o.video.primaries, o.info.message);
    assert_string_equal(o.video.codec, "h264");
    free(o.luma);

    char *command =
        vmafx_sprintf("ffmpeg -nostdin -v quiet -y -itsoffset 3 -i %s/colour.mp4 -c copy %s/later.mkv", folder, folder);
    assert_int_equal(system(command), 0);
    free(command);
    o = read_all(in_folder("later.mkv"), NULL);
    CHECK(!o.err && o.n_frames == 30 && o.video.start_s > 2.99 && o.video.start_s < 3.01, "starts at %f s, %s",
          o.video.start_s, o.info.message);
    free(o.luma);
}

/*
 * 2 KB of noise in the middle of larger files. These are the kinds where it cannot hide: VP9, AV1 and FFV1 without
 * check sums decode anything to something.
 */
static void two_kilobytes_of_noise_are_reported(void **state)
{
    static const struct {
        const char *name, *arguments;
    } cases[] = {
        { "noise.mp4", "-c:v mpeg4 -q:v 2 -movflags +faststart" }, /* its decoder aborted here with frame threads */
        { "noise.mkv", "-c:v libx264 -qp 10" },
        { "noise.avi", "-c:v mpeg4 -q:v 2" },
        { "noise264.avi", "-c:v libx264 -qp 10" },
        { "noise.ts", "-c:v libx264 -pix_fmt yuv420p -qp 10" },
        { "noise2.ts", "-c:v mpeg2video -q:v 2" },
        { "noise.flv", "-c:v libx264 -pix_fmt yuv420p -qp 10" },
        { "noise.ogv", "-c:v libtheora -q:v 8" },
        { "noise.mxf", "-c:v mpeg2video -q:v 2" },
        { "noise_crc.mkv", "-c:v ffv1 -level 3 -slicecrc 1" },
    };

    if (!have_ffmpeg())
        skip();
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        const char *name = cases[i].name;
        size_t n;

        if (!encode(name, cases[i].arguments)) {
            print_message("not in this ffmpeg: %s\n", name);
            continue;
        }
        uint8_t *bytes = load(in_folder(name), &n);
        CHECK(n > 16384, "%s has %zu bytes only", name, n);
        for (size_t percent = 35; percent <= 65; percent += 15) {
            uint8_t *bad = malloc(n), *noise;

            assert_non_null(bad);
            memcpy(bad, bytes, n);
            noise = bad + n * percent / 100;
            for (size_t k = 0, x = 1; k < 2048; k++, x = (x * 69069 + 1) & 0xFFFFFFFF)
                noise[k] = (uint8_t)(x >> 24);
            Outcome o = read_all(write_file("damaged.bin", bad, n), NULL);
            CHECK(o.err == VMAFX_ERR_TRUNCATED && strstr(o.info.message, "at frame"), "%s at %zu %%: %s after %zu: %s",
                  name, percent, vmafx_err_name(o.err), o.n_frames, o.info.message);
            free(o.luma);
            free(bad);
        }
        free(bytes);
    }
}

/* A length of 4 GB is damage, not a lack of memory. */
static void absurd_length_in_ivf_is_reported_as_damage(void **state)
{
    size_t n;

    if (!have_ffmpeg())
        skip();
    if (!encode("a.ivf", "-c:v libvpx"))
        SKIP_WITHOUT("vp8");
    uint8_t *bytes = load(in_folder("a.ivf"), &n);
    size_t second = 32 + 12 + (size_t)(bytes[32] | bytes[33] << 8 | bytes[34] << 16);
    assert_true(second + 4 < n);
    memset(bytes + second, 0xFF, 4);
    Outcome o = read_all(write_file("damaged.bin", bytes, n), NULL);
    CHECK(o.err == VMAFX_ERR_TRUNCATED, "%s: %s", vmafx_err_name(o.err), o.info.message);
    free(o.luma);
    free(bytes);
}

/* Fragments promise nothing, but a box that is begun must be there. */
static void fragment_cut_inside_its_first_bytes_is_reported(void **state)
{
    size_t n;

    if (!have_ffmpeg())
        skip();
    if (!encode("cut_frag.mp4", "-c:v libx264 -g 10 -movflags frag_keyframe+empty_moov"))
        SKIP_WITHOUT("h264");
    uint8_t *bytes = load(in_folder("cut_frag.mp4"), &n), *at = bytes;
    for (int i = 0; i < 3; i++) {
        at = memmem(at + 4, n - (size_t)(at + 4 - bytes), "moof", 4);
        assert_non_null(at);
    }
    size_t begin = (size_t)(at - bytes) - 4; /* of the third fragment */
    for (size_t more = 0; more < 9; more += 4) {
        Outcome o = read_all(write_file("damaged.bin", bytes, begin + more), NULL);
        CHECK(o.err == (more ? VMAFX_ERR_TRUNCATED : VMAFX_OK) && o.n_frames == 20, "%zu bytes more: %zu frames, %s",
              more, o.n_frames, o.info.message);
        free(o.luma);
    }
    free(bytes);
}

static void grow_box(uint8_t *bytes, const uint8_t *below, const char *type, size_t more)
{
    for (const uint8_t *at = below; at > bytes + 4; at--)
        if (!memcmp(at, type, 4)) {
            uint8_t *p = bytes + (at - bytes) - 4;
            size_t size = ((size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3]) + more;
            for (int i = 0; i < 4; i++)
                p[i] = (uint8_t)(size >> (24 - 8 * i));
            return;
        }
    fail_msg("there is no %s", type);
}

/* The data reference of a movie is made an alias of another, existing file. */
static void movie_whose_pictures_are_in_another_file_is_refused(void **state)
{
    static const char *const boxes[] = { "dref", "dinf", "minf", "mdia", "trak", "moov" };
    uint8_t alias[512] = { 0 };
    size_t n, path_len, len = 162;

    if (!have_ffmpeg())
        skip();
    if (!encode("external.mov", "-c:v libx264 -pix_fmt yuv420p")) /* the index comes last: no offset changes */
        SKIP_WITHOUT("h264");
    const char *path = in_folder("external.mov");
    path_len = (strlen(path) + 1) / 2 * 2;
    memcpy(alias + 4, "alis", 4);
    alias[12 + 10] = 1; /* the volume's name, and the file's; then the levels of folders */
    alias[12 + 11] = 'v';
    alias[12 + 50] = 1;
    alias[12 + 51] = 'x';
    alias[12 + 131] = alias[12 + 133] = 1;
    alias[len + 1] = 2; /* an absolute path */
    alias[len + 3] = (uint8_t)path_len;
    memcpy(alias + len + 4, path, strlen(path));
    len += 4 + path_len;
    memset(alias + len, 0xFF, 2); /* the end */
    len += 4;
    alias[2] = (uint8_t)(len >> 8);
    alias[3] = (uint8_t)len;

    uint8_t *bytes = load(path, &n), *moov = bytes, *dref, *out;
    for (uint8_t *p; (p = memmem(moov + 1, n - (size_t)(moov + 1 - bytes), "moov", 4));)
        moov = p;
    dref = memmem(moov, n - (size_t)(moov - bytes), "dref", 4);
    assert_non_null(dref);
    size_t entry = (size_t)(dref - bytes) + 12, old = bytes[entry + 3], grown = n + len - old;
    out = malloc(grown);
    assert_non_null(out);
    memcpy(out, bytes, entry);
    memcpy(out + entry, alias, len);
    memcpy(out + entry + len, bytes + entry + old, n - entry - old);
    for (size_t i = 0; i < VMAFX_LEN(boxes); i++)
        grow_box(out, out + entry - 12, boxes[i], len - old);
    check_refused(write_file("alias.mov", out, grown), VMAFX_ERR_INPUT, "another file", "alias");
    free(bytes);
    free(out);
}

static void h264_stream_that_changes_its_size_is_a_mismatch(void **state)
{
    size_t n, m;

    if (!have_ffmpeg())
        skip();
    if (!encode("a.h264", "-c:v libx264 -pix_fmt yuv420p -bsf:v h264_mp4toannexb") ||
        !encode("b.h264", "-s 128x64 -c:v libx264 -pix_fmt yuv420p"))
        SKIP_WITHOUT("h264");
    uint8_t *a = load(in_folder("a.h264"), &n), *b = load(in_folder("b.h264"), &m), *both = malloc(n + m);
    assert_non_null(both);
    memcpy(both, a, n);
    memcpy(both + n, b, m);
    Outcome o = read_all(write_file("both.h264", both, n + m), NULL);
    CHECK(o.err == VMAFX_ERR_MISMATCH && o.n_frames == 30 && strstr(o.info.message, "at frame 30"),
          "%s after %zu frames: %s", vmafx_err_name(o.err), o.n_frames, o.info.message);
    free(o.luma);
    free(a);
    free(b);
    free(both);
}

static void palettes_are_refused_by_name(void **state)
{
    if (!have_ffmpeg())
        skip();
    if (!encode("palette.mov", "-vf format=rgb8,format=pal8 -c:v rawvideo -pix_fmt pal8") &&
        !encode("palette.avi", "-c:v rawvideo -pix_fmt pal8"))
        SKIP_WITHOUT("pal8");
    const char *name = access(in_folder("palette.avi"), R_OK) == 0 ? "palette.avi" : "palette.mov";
    check_refused(in_folder(name), VMAFX_ERR_UNSUPPORTED, "pal8", "pal8");
}

/* ---- Conversion ---- */

static VmafxPlane convert_row(const VmafxConvertSpec *spec, const void *row, VmafxConverter **converter)
{
    VmafxPlane in = { row, 4096, spec->w_in, spec->h_in, spec->bpc_in }, out = { 0 };
    VmafxErrInfo info = { 0 };

    CHECK(!vmafx_converter_new(spec, converter, &info), "%s", info.message);
    assert_int_equal(vmafx_converter_run(*converter, &in, &out), VMAFX_OK);
    assert_int_equal(out.w, spec->w_out);
    assert_int_equal(out.h, spec->h_out);
    assert_int_equal(out.bpc, spec->bpc_out);
    return out;
}

static void range_and_depth_follow_the_formulas(void **state)
{
    static const struct {
        const char *why;
        int bpc_in, bpc_out;
        VmafxRange range;
        uint16_t in, out;
    } cases[] = {
        { "black to full", 8, 8, VMAFX_RANGE_TO_FULL, 16, 0 },
        { "white to full", 8, 8, VMAFX_RANGE_TO_FULL, 235, 255 },
        { "below black", 8, 8, VMAFX_RANGE_TO_FULL, 3, 0 },
        { "above white", 8, 8, VMAFX_RANGE_TO_FULL, 250, 255 },
        { "110 * 255 / 219 = 128.08", 8, 8, VMAFX_RANGE_TO_FULL, 126, 128 },
        { "1 * 255 / 219 = 1.16", 8, 8, VMAFX_RANGE_TO_FULL, 17, 1 },
        { "3 * 255 / 219 = 3.49", 8, 8, VMAFX_RANGE_TO_FULL, 19, 3 },
        { "0 to limited", 8, 8, VMAFX_RANGE_TO_LIMITED, 0, 16 },
        { "255 to limited", 8, 8, VMAFX_RANGE_TO_LIMITED, 255, 235 },
        { "128 * 219 / 255 = 109.93", 8, 8, VMAFX_RANGE_TO_LIMITED, 128, 126 },
        { "10 bits, black", 10, 10, VMAFX_RANGE_TO_FULL, 64, 0 },
        { "10 bits, white", 10, 10, VMAFX_RANGE_TO_FULL, 940, 1023 },
        { "10 bits, 1023 to limited", 10, 10, VMAFX_RANGE_TO_LIMITED, 1023, 940 },
        { "16 bits, white", 16, 16, VMAFX_RANGE_TO_FULL, 235 << 8, 65535 },
        { "up is a shift", 8, 10, VMAFX_RANGE_SAME, 255, 1020 },
        { "up by 8", 8, 16, VMAFX_RANGE_SAME, 1, 256 },
        { "down rounds up from the half", 10, 8, VMAFX_RANGE_SAME, 2, 1 },
        { "down rounds down below it", 10, 8, VMAFX_RANGE_SAME, 1, 0 },
        { "down is clamped", 10, 8, VMAFX_RANGE_SAME, 1023, 255 },
        { "range before depth", 10, 8, VMAFX_RANGE_TO_FULL, 940, 255 },
        { "what is above the peak counts as the peak", 10, 8, VMAFX_RANGE_SAME, 60000, 255 },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VMAFX_AUTO(vmafx_converter_free) VmafxConverter *converter = NULL;
        VmafxConvertSpec spec = { 1, 1, cases[i].bpc_in, 1, 1, cases[i].bpc_out, cases[i].range };
        uint8_t byte = (uint8_t)cases[i].in;
        VmafxPlane out = convert_row(&spec, spec.bpc_in > 8 ? (const void *)&cases[i].in : &byte, &converter);
        int got = spec.bpc_out > 8 ? *(const uint16_t *)out.data : *(const uint8_t *)out.data;

        CHECK(got == cases[i].out, "%s: %d becomes %d, not %d", cases[i].why, cases[i].in, got, cases[i].out);
    }
}

static void full_range_and_back_loses_nothing(void **state)
{
    for (int bpc = 8; bpc <= 16; bpc += 4)
        for (int v = 16 << (bpc - 8); v <= 235 << (bpc - 8); v++) {
            static VmafxConverter *there, *back;
            static int made;
            VmafxErrInfo info = { 0 };
            uint16_t wide = (uint16_t)v;
            uint8_t narrow = (uint8_t)v;
            VmafxPlane in = { bpc > 8 ? (const void *)&wide : &narrow, 64, 1, 1, bpc }, full, out;

            if (made != bpc) {
                vmafx_converter_free(&there);
                vmafx_converter_free(&back);
                assert_false(vmafx_converter_new(&(VmafxConvertSpec){ 1, 1, bpc, 1, 1, bpc, VMAFX_RANGE_TO_FULL },
                                                 &there, &info));
                assert_false(vmafx_converter_new(&(VmafxConvertSpec){ 1, 1, bpc, 1, 1, bpc, VMAFX_RANGE_TO_LIMITED },
                                                 &back, &info));
                made = bpc;
            }
            assert_false(vmafx_converter_run(there, &in, &full));
            assert_false(vmafx_converter_run(back, &full, &out));
            CHECK((bpc > 8 ? *(const uint16_t *)out.data : *(const uint8_t *)out.data) == v, "%d at %d bits", v, bpc);
            if (bpc == 16 && v == 235 << 8) {
                vmafx_converter_free(&there);
                vmafx_converter_free(&back);
                made = 0;
            }
        }
}

static void scaling_keeps_flat_pictures_flat_at_every_depth(void **state)
{
    static const int depths[] = { 8, 10, 12, 16 };
    static const struct {
        int w, h, w_out, h_out;
    } sizes[] = { { 64, 48, 128, 96 }, { 64, 48, 32, 24 }, { 33, 17, 50, 51 }, { 64, 48, 64, 20 }, { 5, 5, 3, 7 } };

    for (size_t d = 0; d < VMAFX_LEN(depths); d++)
        for (size_t i = 0; i < VMAFX_LEN(sizes); i++) {
            VMAFX_AUTO(vmafx_converter_free) VmafxConverter *converter = NULL;
            VMAFX_AUTO(vmafx_free_p) uint16_t *flat = calloc(2048 * 64, sizeof *flat);
            int bpc = depths[d], value = (3 << bpc) / 7;
            VmafxConvertSpec spec = {
                sizes[i].w, sizes[i].h, bpc, sizes[i].w_out, sizes[i].h_out, bpc, VMAFX_RANGE_SAME
            };

            for (size_t k = 0; k < 2048 * 64; k++)
                flat[k] = (uint16_t)(bpc > 8 ? value : value | value << 8);
            VmafxPlane out = convert_row(&spec, flat, &converter);
            for (int y = 0; y < out.h; y++)
                for (int x = 0; x < out.w; x++) {
                    const void *row = (const char *)out.data + y * out.stride;
                    int got = bpc > 8 ? ((const uint16_t *)row)[x] : ((const uint8_t *)row)[x];
                    CHECK(got == value, "%dx%d to %dx%d, %d bits: %d, not %d at %d,%d", spec.w_in, spec.h_in,
                          spec.w_out, spec.h_out, bpc, got, value, x, y);
                }
        }
}

static void scaled_luma_is_that_of_the_ffmpeg_program(void **state)
{
    VMAFX_AUTO(vmafx_converter_free) VmafxConverter *converter = NULL;
    size_t n_in, n_want;

    if (!have_ffmpeg() || !encode("in.bin", "-frames:v 1 -pix_fmt gray -f rawvideo"))
        skip();
    char *command =
        vmafx_sprintf("ffmpeg -nostdin -v quiet -y -f rawvideo -pix_fmt gray -s 96x64 -i %s/in.bin -vf "
                      "scale=160:90:flags=bicubic+accurate_rnd+bitexact+full_chroma_int -f rawvideo %s/want.bin",
                      folder, folder);
    assert_int_equal(system(command), 0);
    free(command);

    uint8_t *in = load(in_folder("in.bin"), &n_in), *want = load(in_folder("want.bin"), &n_want);
    VmafxPlane luma = { in, 96, 96, 64, 8 }, out;
    VmafxErrInfo info = { 0 };
    assert_int_equal(n_in, 96 * 64);
    assert_int_equal(n_want, 160 * 90);
    assert_false(
        vmafx_converter_new(&(VmafxConvertSpec){ 96, 64, 8, 160, 90, 8, VMAFX_RANGE_SAME }, &converter, &info));
    assert_false(vmafx_converter_run(converter, &luma, &out));
    for (int y = 0; y < 90; y++)
        CHECK(!memcmp((const char *)out.data + y * out.stride, want + y * 160, 160), "row %d differs", y);
    free(in);
    free(want);
}

static void converter_refuses_what_it_was_not_made_for(void **state)
{
    VMAFX_AUTO(vmafx_converter_free) VmafxConverter *converter = NULL;
    VmafxErrInfo info = { 0 };
    uint8_t bytes[64] = { 0 };
    VmafxPlane out, other = { bytes, 8, 4, 5, 8 };

    assert_int_equal(vmafx_converter_new(&(VmafxConvertSpec){ 0, 4, 8, 4, 4, 8, VMAFX_RANGE_SAME }, &converter, &info),
                     VMAFX_ERR_INVALID);
    assert_true(info.message[0]);
    assert_int_equal(vmafx_converter_new(&(VmafxConvertSpec){ 4, 4, 8, 4, 4, 17, VMAFX_RANGE_SAME }, &converter, &info),
                     VMAFX_ERR_INVALID);
    assert_int_equal(vmafx_converter_new(&(VmafxConvertSpec){ 4, 4, 8, 4, 4, 10, VMAFX_RANGE_SAME }, &converter, &info),
                     VMAFX_OK);
    assert_int_equal(vmafx_converter_run(converter, &other, &out), VMAFX_ERR_MISMATCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(raw_frames_are_cut_at_the_right_bytes),
        cmocka_unit_test(a_frame_is_read_to_where_it_is_wanted_if_it_fits),
        cmocka_unit_test(raw_file_cut_at_any_byte_is_reported_unless_between_frames),
        cmocka_unit_test(raw_format_out_of_range_is_refused),
        cmocka_unit_test(raw_comes_through_pipes_too),
        cmocka_unit_test(names_of_descriptors_are_understood),
        cmocka_unit_test(y4m_headers_are_understood),
        cmocka_unit_test(y4m_headers_tell_where_chroma_lies_and_how_wide_a_sample_is),
        cmocka_unit_test(y4m_headers_that_cannot_be_used_are_refused_with_the_reason),
        cmocka_unit_test(y4m_frames_are_cut_at_the_right_bytes),
        cmocka_unit_test(y4m_cut_at_any_byte_is_reported_unless_between_frames),
        cmocka_unit_test(y4m_with_bytes_out_of_place_is_reported),
        cmocka_unit_test(what_is_no_local_video_is_refused_with_a_sentence),
        cmocka_unit_test(files_that_point_to_other_files_are_refused),
        cmocka_unit_test(file_whose_name_looks_like_an_address_is_opened),
        cmocka_unit_test(decoded_luma_is_that_of_the_ffmpeg_program),
        cmocka_unit_test(cut_file_never_ends_as_if_it_were_whole),
        cmocka_unit_test(damage_in_the_middle_is_reported),
        cmocka_unit_test(whole_files_of_unusual_making_are_not_called_cut),
        cmocka_unit_test(wrong_check_sum_is_reported),
        cmocka_unit_test(lost_transport_packet_is_reported),
        cmocka_unit_test(containers_come_through_pipes),
        cmocka_unit_test(two_readers_of_one_descriptor_do_not_disturb_each_other),
        cmocka_unit_test(pixel_formats_without_a_plane_of_luma_are_refused_by_name),
        cmocka_unit_test(size_that_changes_midway_is_a_mismatch),
        cmocka_unit_test(fifo_is_read_by_its_name),
        cmocka_unit_test(dash_is_standard_input),
        cmocka_unit_test(edit_list_hides_what_the_ffmpeg_program_hides),
        cmocka_unit_test(colours_and_start_are_what_the_file_says),
        cmocka_unit_test(two_kilobytes_of_noise_are_reported),
        cmocka_unit_test(absurd_length_in_ivf_is_reported_as_damage),
        cmocka_unit_test(fragment_cut_inside_its_first_bytes_is_reported),
        cmocka_unit_test(movie_whose_pictures_are_in_another_file_is_refused),
        cmocka_unit_test(h264_stream_that_changes_its_size_is_a_mismatch),
        cmocka_unit_test(palettes_are_refused_by_name),
        cmocka_unit_test(range_and_depth_follow_the_formulas),
        cmocka_unit_test(full_range_and_back_loses_nothing),
        cmocka_unit_test(scaling_keeps_flat_pictures_flat_at_every_depth),
        cmocka_unit_test(scaled_luma_is_that_of_the_ffmpeg_program),
        cmocka_unit_test(converter_refuses_what_it_was_not_made_for),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
