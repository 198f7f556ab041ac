/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Videos made by recipes. The ffmpeg program is the judge: packets and luma are those it makes at the same settings.
 * What needs an encoder that this machine's FFmpeg lacks, or the program, is skipped by name.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/encoders.h"
#include "media/encode.h"

#define CHECK(condition, ...)                                                                                          \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            print_error(__VA_ARGS__);                                                                                  \
            fail_msg(" <- %s does not hold", #condition);                                                              \
        }                                                                                                              \
    } while (0)

#define FRAMES   24
#define KEEP_MAX ((int64_t)1 << 30)

static char folder[] = "/tmp/vmafx_encode_XXXXXX";

static const char *in_folder(const char *name)
{
    static char paths[8][512];
    static int turn;
    char *path = paths[turn++ % 8];

    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

/* Runs a line of the shell's in the test's folder; true when it went well. What it says goes to a file. */
static bool shell(const char *fmt, ...) VMAFX_PRINTF(1, 2);

static bool shell(const char *fmt, ...)
{
    char line[2048];
    va_list args;
    int at = snprintf(line, sizeof line, "exec >>%s/said 2>&1 && cd %s && ", folder, folder);

    va_start(args, fmt);
    vsnprintf(line + at, sizeof line - (size_t)at, fmt, args);
    va_end(args);
    return system(line) == 0;
}

static bool have_ffmpeg(void)
{
    return shell("command -v ffmpeg");
}

static bool linked(const char *encoder)
{
    size_t n;
    const VmafxEncoder *encoders = vmafx_encoders(&n);

    for (size_t i = 0; i < n; i++)
        if (!strcmp(encoders[i].name, encoder))
            return encoders[i].linked;
    return false;
}

/* Every test calls one of these first. */
static void need_ffmpeg(void)
{
    if (!have_ffmpeg()) {
        print_message("the ffmpeg program is not installed\n");
        skip();
    }
}

static void need(const char *encoder)
{
    need_ffmpeg();
    if (!linked(encoder)) {
        print_message("this machine's FFmpeg has no encoder %s\n", encoder);
        skip();
    }
}

/* The sources that tests share, by FFmpeg's names. Moving, with noise, so that encoders have something to decide. */
static const struct {
    const char *name, *args;
} sources[] = {
    { "plain.y4m", "-pix_fmt yuv420p" },
    { "ten.y4m", "-pix_fmt yuv420p10le -strict -1" },
    { "grey.y4m", "-pix_fmt gray -strict -1" },
    { "chroma444.y4m", "-pix_fmt yuv444p" },
    { "plain.yuv", "-pix_fmt yuv420p" },
    { "full.mkv", "-pix_fmt yuv420p -c:v ffv1 -color_range pc" },
    { "full.mov", "-pix_fmt yuvj420p -c:v mjpeg -q:v 2" },
    { "named.mkv",
      "-pix_fmt yuv420p -c:v ffv1 -color_range tv -colorspace bt709 -color_primaries bt709 -color_trc bt709 "
      "-aspect 16:9" },
    { "clip.mp4", "-pix_fmt yuv420p -c:v libx264 -g 8 -crf 18" },
};

static const char *source(const char *name)
{
    for (size_t i = 0; i < VMAFX_LEN(sources); i++)
        if (!strcmp(sources[i].name, name) && access(in_folder(name), F_OK) != 0)
            CHECK(shell("ffmpeg -v error -f lavfi -i testsrc2=s=256x128:r=24 -vf noise=alls=12:allf=t:all_seed=7 "
                        "-frames:v %d %s %s",
                        FRAMES, sources[i].args, name),
                  "%s cannot be made", name);
    return in_folder(name);
}

static int make_folder(void **state)
{
    (void)state;
    vmafx_encoders_prepare();
    return mkdtemp(folder) ? 0 : -1;
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

/* ---- Reading ---- */

typedef struct Outcome {
    VmafxErr err;
    VmafxErrInfo info;
    bool opened;
    VmafxVideoInfo video;
    size_t n_frames, n_bytes;
    uint8_t *luma;
    bool encodes;
    VmafxEncodeFacts facts; /* numbers; its strings are gone with the reader, but for those that are static */
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
    if (o.opened) {
        const VmafxEncodeFacts *facts = vmafx_reader_encode_facts(reader);
        o.video = *vmafx_reader_info(reader);
        o.encodes = facts;
        if (facts)
            o.facts = *facts;
    }
    assert_true(o.opened || !reader);
    assert_true(!o.err || o.info.message[0]);
    vmafx_reader_close(&reader);
    return o;
}

static Outcome read_file(const char *path)
{
    VmafxReader *reader = NULL;
    Outcome o = { 0 };

    o.err = vmafx_reader_open(path, NULL, &reader, &o.info);
    return read_opened(reader, o);
}

static Outcome encode_with(const char *path, const VmafxRawFormat *raw, const VmafxRecipe *recipe,
                           const VmafxEncodeOptions *options)
{
    VmafxReader *reader = NULL;
    Outcome o = { 0 };

    o.err = vmafx_reader_open_encode(-1, path, raw, recipe, options, &reader, &o.info);
    return read_opened(reader, o);
}

static Outcome encode(const char *path, const VmafxRecipe *recipe)
{
    return encode_with(path, NULL, recipe, &(VmafxEncodeOptions){ .keep_fd = -1 });
}

static int keep_file(const char *name)
{
    int fd = open(in_folder(name), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    return fd;
}

static void check_same_luma(const Outcome *a, const Outcome *b, const char *why)
{
    CHECK(!a->err && !b->err, "%s: %s %s", why, a->info.message, b->info.message);
    CHECK(a->n_frames == b->n_frames && a->n_bytes == b->n_bytes, "%s: %zu and %zu frames, %zu and %zu bytes", why,
          a->n_frames, b->n_frames, a->n_bytes, b->n_bytes);
    CHECK(!memcmp(a->luma, b->luma, a->n_bytes), "%s: luma differs", why);
}

/* ---- The same as the ffmpeg program ---- */

#define RAW_ARGS "-f rawvideo -pix_fmt yuv420p -s 256x128 "

#define QUIET "-x265-params log-level=none" /* it writes that into its stream as well */

static const struct Same {
    const char *why, *encoder, *source, *input_args, *args;
    VmafxRecipe recipe; /* but for the encoder */
    int threads;
} same[] = {
    { "defaults", "libx264", "plain.y4m", "", "", { 0 }, 0 },
    { "crf, preset, gop",
      "libx264",
      "plain.y4m",
      "",
      "-preset veryfast -crf 27.5 -g 10",
      { .preset = "veryfast", .has_crf = true, .crf = 27.5, .gop = 10 },
      1 },
    { "bitrate, threads, options",
      "libx264",
      "clip.mp4",
      "",
      "-b:v 300000 -bf 1 -tune film -x264-params keyint=7:scenecut=0",
      { .bitrate = 300000,
        .options = (VmafxRecipeOption[]){ { "bf", "1" }, { "tune", "film" }, { "x264-params", "keyint=7:scenecut=0" } },
        .n_options = 3 },
      2 },
    { "colours and aspect", "libx264", "named.mkv", "", "-crf 30", { .has_crf = true, .crf = 30 }, 1 },
    { "full range", "libx264", "full.mkv", "", "-crf 30", { .has_crf = true, .crf = 30 }, 1 },
    { "grey", "libx264", "grey.y4m", "", "-crf 30", { .has_crf = true, .crf = 30 }, 1 },
    { "whole chroma", "libx264", "chroma444.y4m", "", "-crf 30", { .has_crf = true, .crf = 30 }, 1 },
    { "raw", "libx264", "plain.yuv", RAW_ARGS "-r 25", "-crf 30", { .has_crf = true, .crf = 30 }, 1 },
    { "10 bits", "libx264", "ten.y4m", "", "-crf 30", { .has_crf = true, .crf = 30 }, 1 },
    { "smaller",
      "libx264",
      "named.mkv",
      "",
      "-crf 24 -vf scale=192:112:flags=bicubic+accurate_rnd+bitexact+full_chroma_int",
      { .has_crf = true, .crf = 24, .w = 192, .h = 112 },
      1 },
    { "larger, 10 to 8 bits",
      "libx264",
      "ten.y4m",
      "",
      "-crf 24 -vf scale=320:256:flags=bicubic+accurate_rnd+bitexact+full_chroma_int,format=yuv420p",
      { .has_crf = true, .crf = 24, .w = 320, .h = 256, .pixel_format = "yuv420p" },
      1 },
    { "full range by the format's name", "libx264", "full.mov", "", "-crf 30", { .has_crf = true, .crf = 30 }, 1 },
    { "full range, to whole chroma",
      "libx264",
      "full.mkv",
      "",
      "-crf 24 -vf scale=flags=bicubic+accurate_rnd+bitexact+full_chroma_int:in_range=pc:out_range=pc,format=yuv444p",
      { .has_crf = true, .crf = 24, .pixel_format = "yuv444p" },
      1 },
    { "full range by the format's name, to whole chroma",
      "libx264",
      "full.mov",
      "",
      "-crf 24 -vf scale=flags=bicubic+accurate_rnd+bitexact+full_chroma_int:in_range=pc:out_range=pc,format=yuv444p",
      { .has_crf = true, .crf = 24, .pixel_format = "yuv444p" },
      1 },
    { "crf, preset",
      "libx265",
      "plain.y4m",
      "",
      "-preset ultrafast -crf 30 " QUIET,
      { .preset = "ultrafast", .has_crf = true, .crf = 30 },
      1 },
    { "crf, 10 bits, options",
      "libx265",
      "ten.y4m",
      "",
      "-preset superfast -crf 32 -g 12 -x265-params bframes=2:no-sao=1:log-level=none",
      { .preset = "superfast",
        .has_crf = true,
        .crf = 32,
        .gop = 12,
        .options = (VmafxRecipeOption[]){ { "x265-params", "bframes=2:no-sao=1" } },
        .n_options = 1 },
      2 },
    { "bitrate",
      "libx265",
      "plain.y4m",
      "",
      "-preset ultrafast -b:v 200000 " QUIET,
      { .preset = "ultrafast", .bitrate = 200000 },
      1 },
    { "grey", "libx265", "grey.y4m", "", "-preset ultrafast " QUIET, { .preset = "ultrafast" }, 1 },
    { "crf, preset, gop",
      "libsvtav1",
      "plain.y4m",
      "",
      "-preset 10 -crf 40 -g 12",
      { .preset = "10", .has_crf = true, .crf = 40, .gop = 12 },
      1 },
    { "10 bits, options",
      "libsvtav1",
      "ten.y4m",
      "",
      "-preset 12 -crf 45 -svtav1-params tune=0:film-grain=4",
      { .preset = "12",
        .has_crf = true,
        .crf = 45,
        .options = (VmafxRecipeOption[]){ { "svtav1-params", "tune=0:film-grain=4" } },
        .n_options = 1 },
      2 },
    { "below a ceiling",
      "libsvtav1",
      "plain.y4m",
      "",
      "-preset 12 -crf 30 -maxrate 200000 -bufsize 200000 -svtav1-params lp=1",
      { .preset = "12",
        .has_crf = true,
        .crf = 30,
        .options = (VmafxRecipeOption[]){ { "maxrate", "200000" }, { "bufsize", "200000" } },
        .n_options = 2 },
      1 },
    { "bitrate",
      "libsvtav1",
      "plain.y4m",
      "",
      "-preset 12 -b:v 200000 -svtav1-params lp=1",
      { .preset = "12", .bitrate = 200000 },
      1 },
    { "whole chroma to half",
      "libsvtav1",
      "chroma444.y4m",
      "",
      "-preset 12 -crf 50 -vf scale=flags=bicubic+accurate_rnd+bitexact+full_chroma_int,format=yuv420p",
      { .preset = "12", .has_crf = true, .crf = 50 },
      1 },
    { "crf, preset, gop",
      "libaom-av1",
      "plain.y4m",
      "",
      "-cpu-used 8 -crf 45 -b:v 0 -g 9",
      { .preset = "8", .has_crf = true, .crf = 45, .gop = 9 },
      1 },
    { "bitrate, realtime",
      "libaom-av1",
      "plain.y4m",
      "",
      "-cpu-used 8 -usage realtime -b:v 150000",
      { .preset = "8", .bitrate = 150000, .options = (VmafxRecipeOption[]){ { "usage", "realtime" } }, .n_options = 1 },
      2 },
    { "quantizer, preset",
      "librav1e",
      "plain.y4m",
      "",
      "-speed 10 -qp 140",
      { .preset = "10", .has_crf = true, .crf = 140 },
      1 },
    { "bitrate", "librav1e", "plain.y4m", "", "-speed 10 -b:v 200000", { .preset = "10", .bitrate = 200000 }, 1 },
    { "crf, preset, gop",
      "libvpx-vp9",
      "plain.y4m",
      "",
      "-cpu-used 6 -crf 40 -b:v 0 -g 10",
      { .preset = "6", .has_crf = true, .crf = 40, .gop = 10 },
      1 },
    { "bitrate, threads, option",
      "libvpx-vp9",
      "plain.y4m",
      "",
      "-cpu-used 8 -deadline realtime -b:v 200000",
      { .preset = "8",
        .bitrate = 200000,
        .options = (VmafxRecipeOption[]){ { "deadline", "realtime" } },
        .n_options = 1 },
      2 },
    { "crf, preset",
      "libvpx",
      "plain.y4m",
      "",
      "-cpu-used 4 -crf 30 -b:v 100000000",
      { .preset = "4", .has_crf = true, .crf = 30 },
      1 },
    { "bitrate", "libvpx", "plain.y4m", "", "-cpu-used 4 -b:v 200000", { .preset = "4", .bitrate = 200000 }, 1 },
};

/* What encode.h says of libx264; the row's own parameters for it come last. */
static const char *steady(const struct Same *s)
{
    if (strcmp(s->encoder, "libx264") != 0 || !__builtin_cpu_supports("avx512f"))
        return "";
    return strstr(s->args, "-x264-params") ? ":asm=avx2" : " -x264-params asm=avx2";
}

static void check_same_as_ffmpeg(const struct Same *s)
{
    static const VmafxRawFormat yuv = { 256, 128, 8, VMAFX_PIX_420, false };
    VmafxRecipe recipe = s->recipe;
    char why[128];
    const char *path = source(s->source);

    snprintf(why, sizeof why, "%s, %s", s->encoder, s->why);
    recipe.encoder = s->encoder;
    VmafxEncodeOptions options = { .threads = s->threads, .keep_fd = keep_file("ours.mkv"), .keep_max = KEEP_MAX };
    Outcome ours = encode_with(path, s->input_args[0] ? &yuv : NULL, &recipe, &options);
    close(options.keep_fd);
    CHECK(!ours.err && ours.n_frames == FRAMES, "%s: %zu frames, %s", why, ours.n_frames, ours.info.message);
    CHECK(ours.encodes && ours.facts.frames == FRAMES && ours.facts.size_bytes > 0, "%s: facts", why);

    CHECK(shell("ffmpeg -v error -y %s -i %s -fps_mode passthrough -c:v %s -threads %d %s%s theirs.mkv", s->input_args,
                s->source, s->encoder, VMAFX_MAX(s->threads, 1), s->args, steady(s)),
          "%s: ffmpeg", why);
    Outcome theirs = read_file(in_folder("theirs.mkv")), kept = read_file(in_folder("ours.mkv"));
    check_same_luma(&ours, &theirs, why);
    check_same_luma(&ours, &kept, why);
    /* Packets with their times, and what decoders are told beforehand. */
    CHECK(shell("ffmpeg -v error -y -i ours.mkv -i theirs.mkv -map 0:v -c copy -f framemd5 ours.md5 "
                "-map 1:v -c copy -f framemd5 theirs.md5 && diff ours.md5 theirs.md5"),
          "%s: packets differ", why);
    free(ours.luma);
    free(theirs.luma);
    free(kept.luma);
}

static void is_the_same_as_ffmpeg_makes(const char *encoder)
{
    need(encoder);
    for (size_t i = 0; i < VMAFX_LEN(same); i++)
        if (!strcmp(same[i].encoder, encoder))
            check_same_as_ffmpeg(&same[i]);
}

#define SAME(name, encoder)                                                                                            \
    static void name(void **state)                                                                                     \
    {                                                                                                                  \
        is_the_same_as_ffmpeg_makes(encoder);                                                                          \
    }
SAME(x264_is_the_same_as_ffmpeg_makes, "libx264")
SAME(x265_is_the_same_as_ffmpeg_makes, "libx265")
SAME(svtav1_is_the_same_as_ffmpeg_makes, "libsvtav1")
SAME(aom_is_the_same_as_ffmpeg_makes, "libaom-av1")
SAME(rav1e_is_the_same_as_ffmpeg_makes, "librav1e")
SAME(vp9_is_the_same_as_ffmpeg_makes, "libvpx-vp9")
SAME(vp8_is_the_same_as_ffmpeg_makes, "libvpx")

/* ---- Choosing, and what is told of it ---- */

static const char *option_of(const VmafxEncodeFacts *facts, const char *key)
{
    for (size_t i = 0; i < facts->n_options; i++)
        if (!strcmp(facts->options[i].key, key))
            return facts->options[i].value;
    return "(not set)";
}

static void facts_tell_what_was_chosen_and_set(void **state)
{
    const VmafxRecipeOption more[] = { { "bf", "2" } };
    const VmafxRecipe recipe = {
        .codec = "h264", .preset = "faster", .has_crf = true, .crf = 23.5, .gop = 12, .options = more, .n_options = 1
    };
    const VmafxEncodeOptions options = { .threads = 3, .keep_fd = -1 };
    VmafxReader *reader = NULL;
    VmafxErrInfo info = { 0 };

    need("libx264");
    CHECK(!vmafx_reader_open_encode(-1, source("plain.y4m"), NULL, &recipe, &options, &reader, &info), "%s",
          info.message);
    const VmafxEncodeFacts *facts = vmafx_reader_encode_facts(reader);
    assert_string_equal(facts->encoder, "libx264");
    assert_string_equal(facts->codec, "h264");
    assert_string_equal(facts->preset, "faster");
    assert_string_equal(facts->pixel_format, "yuv420p");
    assert_string_equal(facts->reason, "the first choice for h264");
    assert_memory_equal(facts->version, "libavcodec ", 11);
    assert_string_equal(option_of(facts, "preset"), "faster");
    assert_string_equal(option_of(facts, "crf"), "23.5");
    assert_string_equal(option_of(facts, "g"), "12");
    assert_string_equal(option_of(facts, "bf"), "2");
    assert_string_equal(option_of(facts, "threads"), "3");
    assert_int_equal(facts->n_options, 5);
    assert_int_equal(facts->w, 256);
    assert_int_equal(facts->h, 128);
    assert_int_equal(facts->frames, 0);
    const VmafxVideoInfo *video = vmafx_reader_info(reader);
    assert_string_equal(video->codec, "h264");
    assert_int_equal(video->w, 256);
    assert_int_equal(video->bpc, 8);
    assert_int_equal(video->rate_num, 24);
    vmafx_reader_close(&reader);

    Outcome o = encode(source("plain.y4m"), &recipe);
    CHECK(!o.err && o.facts.frames == FRAMES && o.facts.seconds > 0, "%s", o.info.message);
    free(o.luma);
    CHECK(!vmafx_reader_open(source("plain.y4m"), NULL, &reader, &info), "%s", info.message);
    assert_null(vmafx_reader_encode_facts(reader)); /* it reads a file */
    vmafx_reader_close(&reader);
}

static void encoders_that_repeat_themselves_with_one_thread_only_get_one(void **state)
{
    const VmafxRecipeOption rows[] = { { "row-mt", "1" } },
                            ceiling[] = { { "maxrate", "300000" }, { "bufsize", "300000" } },
                            vbv[] = { { "x264-params", "vbv-maxrate=300:vbv-bufsize=300" } },
                            mbr[] = { { "svtav1-params", "mbr=300" } };
    const struct {
        const char *why;
        VmafxRecipe recipe;
        const char *threads;
    } cases[] = {
        { "any", { .encoder = "libx264", .bitrate = 200000 }, "2" },
        { "x265 by quality", { .encoder = "libx265", .preset = "ultrafast" }, "2" },
        { "x265 by bits", { .encoder = "libx265", .preset = "ultrafast", .bitrate = 200000 }, "1" },
        { "SVT-AV1 by bits", { .encoder = "libsvtav1", .preset = "12", .bitrate = 200000 }, "1" },
        { "x264 with a ceiling", { .encoder = "libx264", .options = ceiling, .n_options = 2 }, "1" },
        { "x264 in its words", { .encoder = "libx264", .options = vbv, .n_options = 1 }, "1" },
        { "SVT-AV1 in its words", { .encoder = "libsvtav1", .preset = "12", .options = mbr, .n_options = 1 }, "1" },
        { "SVT-AV1 by quality", { .encoder = "libsvtav1", .preset = "12" }, "2" },
        { "VP9", { .encoder = "libvpx-vp9", .preset = "8" }, "2" },
        { "VP9 with rows", { .encoder = "libvpx-vp9", .preset = "8", .options = rows, .n_options = 1 }, "1" },
        { "VP8", { .encoder = "libvpx", .preset = "8" }, "1" },
    };
    const VmafxEncodeOptions options = { .threads = 2, .keep_fd = -1 };

    need_ffmpeg();
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VmafxReader *reader = NULL;
        VmafxErrInfo info = { 0 };
        if (!linked(cases[i].recipe.encoder))
            continue;
        CHECK(!vmafx_reader_open_encode(-1, source("plain.y4m"), NULL, &cases[i].recipe, &options, &reader, &info),
              "%s: %s", cases[i].why, info.message);
        const char *threads = option_of(vmafx_reader_encode_facts(reader), "threads");
        CHECK(!strcmp(threads, cases[i].threads), "%s: %s threads", cases[i].why, threads);
        vmafx_reader_close(&reader);
    }
}

static void those_who_hand_recipes_on_know_the_same_encoders(void **state)
{
    size_t n, n_names;
    const VmafxEncoder *encoders = vmafx_encoders(&n);
    const VmafxEncoderName *names = vmafx_encoder_names(&n_names);

    assert_int_equal(n, n_names);
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(encoders[i].name, names[i].name);
        assert_string_equal(encoders[i].codec, names[i].codec);
        assert_int_equal(encoders[i].hardware, names[i].hardware);
    }
}

static void probes_tell_what_works(void **state)
{
    size_t n;
    const VmafxEncoder *encoders = vmafx_encoders(&n);

    assert_true(n > 8);
    for (size_t i = 0; i < n; i++) {
        VmafxErrInfo info = { 0 };
        VmafxErr err = vmafx_encoder_probe(encoders[i].name, &info);

        assert_true(encoders[i].codec && encoders[i].version[0]);
        if (encoders[i].linked && !encoders[i].hardware)
            CHECK(!err, "%s: %s", encoders[i].name, info.message);
        if (!encoders[i].linked)
            CHECK(err == VMAFX_ERR_ENCODER, "%s: %s", encoders[i].name, vmafx_err_name(err));
        CHECK(!err || (err == VMAFX_ERR_ENCODER && strstr(info.message, encoders[i].name)), "%s: %s", encoders[i].name,
              info.message);
    }
    assert_int_equal(vmafx_encoder_probe("libx246", NULL), VMAFX_ERR_ENCODER);
}

/* ---- Recipes that are wrong ---- */

#define OPTION(key, value) .options = (VmafxRecipeOption[]){ { key, value } }, .n_options = 1

static const struct {
    const char *why;
    VmafxRecipe recipe;
    VmafxErr err;
    const char *word;
} wrong[] = {
    { "nothing", { 0 }, VMAFX_ERR_ENCODER, "needs a codec or an encoder" },
    { "no such codec", { .codec = "mpeg2" }, VMAFX_ERR_ENCODER, "h264, hevc" },
    { "a codec by its other name", { .codec = "h265" }, VMAFX_ERR_ENCODER, "did you mean 'hevc'?" },
    { "a codec by its library", { .codec = "x265" }, VMAFX_ERR_ENCODER, "did you mean 'hevc'?" },
    { "a codec in capitals", { .codec = "AV1" }, VMAFX_ERR_ENCODER, "did you mean 'av1'?" },
    { "a codec mistyped", { .codec = "h246" }, VMAFX_ERR_ENCODER, "did you mean 'h264'?" },
    { "an encoder as the codec", { .codec = "libx264" }, VMAFX_ERR_ENCODER, "is an encoder and no codec" },
    { "a codec as the encoder", { .encoder = "h264" }, VMAFX_ERR_ENCODER, "is a codec and no encoder" },
    { "an encoder without its lib", { .encoder = "svtav1" }, VMAFX_ERR_ENCODER, "did you mean 'libsvtav1'?" },
    { "no such encoder", { .encoder = "libx246" }, VMAFX_ERR_ENCODER, "libx264" },
    { "an encoder of FFmpeg's that is not ours", { .encoder = "rawvideo" }, VMAFX_ERR_ENCODER, "none of the known" },
    { "another codec's", { .codec = "hevc", .encoder = "libx264" }, VMAFX_ERR_ENCODER, "makes h264" },
    { "crf and bitrate", { .encoder = "libx264", .has_crf = true, .bitrate = 5000 }, VMAFX_ERR_INVALID, "not both" },
    { "bitrate below", { .encoder = "libx264", .bitrate = 999 }, VMAFX_ERR_INVALID, "1000" },
    { "bitrate negative", { .encoder = "libx264", .bitrate = -1 }, VMAFX_ERR_INVALID, "1000" },
    { "bitrate above", { .encoder = "libx264", .bitrate = INT64_MAX }, VMAFX_ERR_INVALID, "2000000000" },
    { "gop negative", { .encoder = "libx264", .gop = -1 }, VMAFX_ERR_INVALID, "GOP" },
    { "gop above", { .encoder = "libx264", .gop = 1000001 }, VMAFX_ERR_INVALID, "GOP" },
    { "width alone", { .encoder = "libx264", .w = 64 }, VMAFX_ERR_INVALID, "together" },
    { "height alone", { .encoder = "libx264", .h = 64 }, VMAFX_ERR_INVALID, "together" },
    { "too wide", { .encoder = "libx264", .w = VMAFX_DIMENSION_MAX + 1, .h = 2 }, VMAFX_ERR_INVALID, "size" },
    { "too many samples", { .encoder = "libx264", .w = 32768, .h = 32768 }, VMAFX_ERR_INVALID, "samples" },
    { "crf above", { .encoder = "libx264", .has_crf = true, .crf = 51.5 }, VMAFX_ERR_ENCODER, "from 0 to 51" },
    { "crf below", { .encoder = "libx265", .has_crf = true, .crf = -1 }, VMAFX_ERR_ENCODER, "from 0 to 51" },
    { "crf that is none", { .encoder = "libx264", .has_crf = true, .crf = NAN }, VMAFX_ERR_ENCODER, "from 0 to 51" },
    { "crf 0 means none there", { .encoder = "libsvtav1", .has_crf = true }, VMAFX_ERR_ENCODER, "from 1 to 63" },
    { "crf not whole", { .encoder = "libvpx-vp9", .has_crf = true, .crf = 30.5 }, VMAFX_ERR_ENCODER, "whole" },
    { "crf of rav1e", { .encoder = "librav1e", .has_crf = true, .crf = 256 }, VMAFX_ERR_ENCODER, "from 0 to 255" },
    { "preset", { .encoder = "libx264", .preset = "fsat" }, VMAFX_ERR_ENCODER, "did you mean 'fast'?" },
    { "preset of numbers", { .encoder = "libsvtav1", .preset = "fast" }, VMAFX_ERR_ENCODER, "numbers 0 to 13" },
    { "preset above", { .encoder = "libsvtav1", .preset = "14" }, VMAFX_ERR_ENCODER, "numbers 0 to 13" },
    { "preset below", { .encoder = "librav1e", .preset = "-1" }, VMAFX_ERR_ENCODER, "numbers 0 to 10" },
    { "preset with a tail", { .encoder = "libaom-av1", .preset = "8x" }, VMAFX_ERR_ENCODER, "numbers 0 to" },
    { "preset as a sum", { .encoder = "libaom-av1", .preset = "4+4" }, VMAFX_ERR_ENCODER, "numbers 0 to" },
    { "format", { .encoder = "libx264", .pixel_format = "yuv420q" }, VMAFX_ERR_ENCODER, "did you mean 'yuv420p'?" },
    { "format the encoder lacks",
      { .encoder = "libsvtav1", .pixel_format = "yuv444p" },
      VMAFX_ERR_ENCODER,
      "but yuv420p" },
    { "format without luma", { .encoder = "libx265", .pixel_format = "gbrp" }, VMAFX_ERR_ENCODER, "but " },
    { "option", { .encoder = "libx264", OPTION("aq-mod", "1") }, VMAFX_ERR_ENCODER, "did you mean 'aq-mode'?" },
    { "shared option", { .encoder = "libx264", OPTION("bufsiz", "1") }, VMAFX_ERR_ENCODER, "did you mean 'bufsize'?" },
    { "option like nothing", { .encoder = "libx264", OPTION("zzzzzzzzzz", "1") }, VMAFX_ERR_ENCODER, "no option" },
    { "value out of range", { .encoder = "libx264", OPTION("qmin", "99") }, VMAFX_ERR_ENCODER, "qmin=99" },
    { "value that is no number", { .encoder = "libx264", OPTION("bf", "many") }, VMAFX_ERR_ENCODER, "bf=many" },
    { "value that never ends", { .encoder = "libx264", OPTION("bf", "while(1,1)") }, VMAFX_ERR_ENCODER, "formula" },
    { "empty value", { .encoder = "libx264", OPTION("bf", "") }, VMAFX_ERR_INVALID, "value" },
    { "value with a line end", { .encoder = "libx264", OPTION("tune", "film\n") }, VMAFX_ERR_INVALID, "printable" },
    { "no key", { .encoder = "libx264", OPTION("", "1") }, VMAFX_ERR_INVALID, "name of an option" },
    { "bitrate above, by an option",
      { .encoder = "libvpx", OPTION("b", "2000000001") },
      VMAFX_ERR_INVALID,
      "2000000000" },
    { "gop above, by an option", { .encoder = "libx264", OPTION("g", "1000001") }, VMAFX_ERR_INVALID, "1000000" },
    { "no key at all", { .encoder = "libx264", OPTION(NULL, "1") }, VMAFX_ERR_INVALID, "name of an option" },
    { "key with a space", { .encoder = "libx264", OPTION("b f", "1") }, VMAFX_ERR_INVALID, "name of an option" },
    { "tune", { .encoder = "libx264", OPTION("tune", "film,grian") }, VMAFX_ERR_ENCODER, "no tune 'grian'" },
    { "profile", { .encoder = "libx264", OPTION("profile", "main10") }, VMAFX_ERR_ENCODER, "no profile 'main10'" },
    { "given twice", { .encoder = "libx264", .gop = 5, OPTION("g", "6") }, VMAFX_ERR_INVALID, "set twice" },
    { "preset given twice",
      { .encoder = "libx264", .preset = "fast", OPTION("preset", "slow") },
      VMAFX_ERR_INVALID,
      "set twice" },
    { "too many options",
      { .encoder = "libx264", .n_options = VMAFX_RECIPE_OPTIONS_MAX + 1 },
      VMAFX_ERR_INVALID,
      "64" },
    { "threads", { .encoder = "libx264", OPTION("threads", "8") }, VMAFX_ERR_ENCODER, "not for recipes" },
    { "time base", { .encoder = "libx264", OPTION("time_base", "1/5") }, VMAFX_ERR_ENCODER, "not for recipes" },
    { "first of two passes", { .encoder = "libx264", OPTION("flags", "+pass1") }, VMAFX_ERR_ENCODER, "flags" },
    { "passes by number", { .encoder = "libx264", OPTION("flags", "512") }, VMAFX_ERR_ENCODER, "flags" },
    { "stats of x264",
      { .encoder = "libx264", OPTION("stats", "vmafx_a_file") },
      VMAFX_ERR_ENCODER,
      "not for recipes" },
    { "log of passes",
      { .encoder = "libx264", OPTION("passlogfile", "vmafx_a_file") },
      VMAFX_ERR_ENCODER,
      "not for recipes" },
    { "x264's words another way",
      { .encoder = "libx264", OPTION("x264opts", "stats=vmafx_a_file") },
      VMAFX_ERR_ENCODER,
      "not for recipes" },
    { "x264, stats",
      { .encoder = "libx264", OPTION("x264-params", "keyint=5:stats=vmafx_a_file") },
      VMAFX_ERR_ENCODER,
      "'stats'" },
    { "x264, pictures",
      { .encoder = "libx264", OPTION("x264-params", "dump-yuv=vmafx_a_file") },
      VMAFX_ERR_ENCODER,
      "'dump-yuv'" },
    { "x264, underscores",
      { .encoder = "libx264", OPTION("x264-params", "dump_yuv=vmafx_a_file") },
      VMAFX_ERR_ENCODER,
      "'dump_yuv'" },
    { "x264, matrices",
      { .encoder = "libx264", OPTION("x264-params", "cqmfile=/etc/passwd") },
      VMAFX_ERR_ENCODER,
      "'cqmfile'" },
    { "x264, zones",
      { .encoder = "libx264", OPTION("x264-params", "zones=0,9,dump-yuv=vmafx_a_file") },
      VMAFX_ERR_ENCODER,
      "'zones'" },
    { "x264, hidden by quotes",
      { .encoder = "libx264", OPTION("x264-params", "'st'ats=vmafx_a_file") },
      VMAFX_ERR_ENCODER,
      "'stats'" },
    { "x264, threads", { .encoder = "libx264", OPTION("x264-params", "threads=64") }, VMAFX_ERR_ENCODER, "'threads'" },
    { "x265, statistics",
      { .encoder = "libx265", OPTION("x265-params", "csv=vmafx_a_file") },
      VMAFX_ERR_ENCODER,
      "'csv'" },
    { "x265, pictures",
      { .encoder = "libx265", OPTION("x265-params", "recon=vmafx_a_file") },
      VMAFX_ERR_ENCODER,
      "'recon'" },
    { "x265, a program",
      { .encoder = "libx265", OPTION("x265-params", "recon-y4m-exec=true") },
      VMAFX_ERR_ENCODER,
      "'recon-y4m-exec'" },
    { "x265, analysis",
      { .encoder = "libx265", OPTION("x265-params", "analysis-save=vmafx_a_file") },
      VMAFX_ERR_ENCODER,
      "'analysis-save'" },
    { "x265, log",
      { .encoder = "libx265", OPTION("x265-params", "log-level=full") },
      VMAFX_ERR_ENCODER,
      "'log-level'" },
    { "SVT-AV1, size",
      { .encoder = "libsvtav1", OPTION("svtav1-params", "width=4096") },
      VMAFX_ERR_ENCODER,
      "'width'" },
    { "SVT-AV1, passes", { .encoder = "libsvtav1", OPTION("svtav1-params", "pass=1") }, VMAFX_ERR_ENCODER, "'pass'" },
    { "aom, grain",
      { .encoder = "libaom-av1", OPTION("aom-params", "film-grain-table=/etc/passwd") },
      VMAFX_ERR_ENCODER,
      "'film-grain-table'" },
    { "rav1e, size", { .encoder = "librav1e", OPTION("rav1e-params", "width=4096") }, VMAFX_ERR_ENCODER, "'width'" },
    { "params that are none",
      { .encoder = "libx264", OPTION("x264-params", "keyint") },
      VMAFX_ERR_ENCODER,
      "name=value" },
    { "a slip in params",
      { .encoder = "libx265", OPTION("x265-params", "bfraems=2") },
      VMAFX_ERR_ENCODER,
      "did you mean 'bframes'?" },
    { "layers of libvpx",
      { .encoder = "libvpx-vp9", OPTION("ts-parameters", "ts_number_layers=99") },
      VMAFX_ERR_ENCODER,
      "not for recipes" },
};

static void wrong_recipes_are_refused_with_what_to_do(void **state)
{
    int checked = 0;

    need_ffmpeg();
    for (size_t i = 0; i < VMAFX_LEN(wrong); i++) {
        const VmafxRecipe *recipe = &wrong[i].recipe;
        VmafxErrInfo info = { 0 };
        bool known = !recipe->encoder || strncmp(recipe->encoder, "lib", 3) != 0 || linked(recipe->encoder);

        if (!known && strcmp(recipe->encoder, "libx246") != 0)
            continue;
        VmafxErr err = vmafx_recipe_check(recipe, &info);
        CHECK(err == wrong[i].err && strstr(info.message, wrong[i].word), "%s: %s, %s", wrong[i].why,
              vmafx_err_name(err), info.message);
        /* And not only there. */
        Outcome o = encode(source("plain.y4m"), recipe);
        CHECK(o.err == err && !o.opened && !strcmp(o.info.message, info.message), "%s: opened with %s", wrong[i].why,
              vmafx_err_name(o.err));
        CHECK(access("vmafx_a_file", F_OK) != 0, "%s: wrote a file", wrong[i].why);
        checked++;
    }
    assert_true(checked > 10);
}

/* What only the library can tell, when it is started. */
static void settings_that_a_library_refuses_are_errors(void **state)
{
    const struct {
        const char *why, *source;
        VmafxRecipe recipe;
        const char *word;
    } cases[] = {
        { "a parameter passed over",
          "plain.y4m",
          { .encoder = "libx264", OPTION("x264-params", "aq-mode=nonsense") },
          "aq-mode" },
        { "a parameter passed over",
          "plain.y4m",
          { .encoder = "libx265", OPTION("x265-params", "bframes=nonsense") },
          "bframes" },
        { "a parameter passed over",
          "plain.y4m",
          { .encoder = "libsvtav1", OPTION("svtav1-params", "scm=nonsense") },
          "scm" },
        { "a profile too small",
          "chroma444.y4m",
          { .encoder = "libx264", OPTION("profile", "baseline") },
          "libx264 cannot be started" },
        { "too small a picture",
          "plain.y4m",
          { .encoder = "libsvtav1", .w = 16, .h = 16 },
          "libsvtav1 cannot be started" },
        { "an odd width", "plain.y4m", { .encoder = "libx264", .w = 129, .h = 64 }, "even width" },
        { "an odd height", "plain.y4m", { .encoder = "libx265", .w = 128, .h = 63 }, "even height" },
    };

    need_ffmpeg();
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        if (!linked(cases[i].recipe.encoder))
            continue;
        Outcome o = encode(source(cases[i].source), &cases[i].recipe);
        CHECK(o.err == VMAFX_ERR_ENCODER && !o.opened && strstr(o.info.message, cases[i].word), "%s, %s: %s, %s",
              cases[i].recipe.encoder, cases[i].why, vmafx_err_name(o.err), o.info.message);
        free(o.luma);
    }
}

static void odd_pictures_need_whole_chroma(void **state)
{
    const VmafxRecipe half = { .encoder = "libx264" }, whole = { .encoder = "libx264", .pixel_format = "yuv444p" };
    const VmafxRawFormat down = { 5, 4, 8, VMAFX_PIX_420, true };

    need("libx264");
    assert_true(shell("(echo 'YUV4MPEG2 W255 H127 F24:1'; for i in 1 2 3; do echo FRAME; "
                      "head -c $((255 * 127 + 2 * 128 * 64)) /dev/zero; done) >odd.y4m"));
    Outcome o = encode(in_folder("odd.y4m"), &half);
    CHECK(o.err == VMAFX_ERR_ENCODER && strstr(o.info.message, "yuv444p"), "%s", o.info.message);
    o = encode(in_folder("odd.y4m"), &whole);
    CHECK(!o.err && o.n_frames == 3 && o.video.w == 255 && o.video.h == 127, "%s", o.info.message);
    free(o.luma);
    assert_true(shell("head -c 28 /dev/zero >down.yuv"));
    o = encode_with(in_folder("down.yuv"), &down, &whole, &(VmafxEncodeOptions){ .keep_fd = -1 });
    CHECK(o.err == VMAFX_ERR_UNSUPPORTED && strstr(o.info.message, "rounded down"), "%s", o.info.message);
    const VmafxRawFormat eleven = { 4, 2, 11, VMAFX_PIX_400, false };
    o = encode_with(in_folder("down.yuv"), &eleven, &whole, &(VmafxEncodeOptions){ .keep_fd = -1 });
    CHECK(o.err == VMAFX_ERR_UNSUPPORTED && strstr(o.info.message, "11 bits"), "%s", o.info.message);
}

/* ---- Grey ---- */

static void grey_gets_chroma_without_colour_where_an_encoder_needs_some(void **state)
{
    const VmafxRecipe recipe = { .encoder = "libvpx-vp9", .preset = "8" };

    need(recipe.encoder);
    source("grey.y4m");
    /* The same luma, and chroma in the middle: written by hand, since FFmpeg takes grey for full range. */
    CHECK(
        shell(
            "ffmpeg -v error -y -i grey.y4m -f rawvideo grey.yuv && "
            "head -c 16384 /dev/zero | tr '\\0' '\\200' >chroma && : >half.yuv && "
            "for i in $(seq 0 %d); do dd if=grey.yuv bs=32768 skip=$i count=1 status=none; cat chroma; done >half.yuv",
            FRAMES - 1),
        "half.yuv");
    const VmafxRawFormat half = { 256, 128, 8, VMAFX_PIX_420, false };
    Outcome grey = encode(in_folder("grey.y4m"), &recipe);
    CHECK(shell("ffmpeg -v error -y -f rawvideo -pix_fmt yuv420p -s 256x128 -r 24 -i half.yuv half.y4m"), "half.y4m");
    Outcome same_luma = encode(in_folder("half.y4m"), &recipe);
    check_same_luma(&grey, &same_luma, "grey");
    assert_int_equal(grey.facts.size_bytes, same_luma.facts.size_bytes);
    free(grey.luma);
    free(same_luma.luma);
    Outcome raw = encode_with(in_folder("half.yuv"), &half, &recipe, &(VmafxEncodeOptions){ .keep_fd = -1 });
    CHECK(!raw.err && raw.n_frames == FRAMES, "%s", raw.info.message); /* at 25 frames/s: other packets */
    free(raw.luma);
}

/* ---- Ends ---- */

static void source_cut_midway_gives_what_came_before_and_its_error(void **state)
{
    const VmafxRecipe recipe = { .encoder = "libx264", .preset = "veryfast" };
    const struct {
        const char *why, *source, *cut;
        size_t frames;
    } cases[] = {
        { "y4m", "plain.y4m", "cut.y4m", 10 },
        { "mp4", "clip.mp4", "cut.mp4", 0 },
    };

    need("libx264");
    source("plain.y4m");
    CHECK(shell("head -c $((64 + 10 * 49158 + 30000)) plain.y4m >cut.y4m"), "cut.y4m");
    CHECK(shell("ffmpeg -v error -y -i %s -c copy -movflags +faststart whole.mp4 && "
                "head -c $(($(stat -c %%s whole.mp4) * 2 / 3)) whole.mp4 >cut.mp4",
                source("clip.mp4")),
          "cut.mp4");
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        Outcome whole = encode(source(cases[i].source), &recipe), plain = read_file(in_folder(cases[i].cut));
        Outcome cut = encode(in_folder(cases[i].cut), &recipe);
        CHECK(plain.err == VMAFX_ERR_TRUNCATED && plain.n_frames, "%s: %s", cases[i].why, plain.info.message);
        CHECK(cut.err == plain.err && cut.n_frames == plain.n_frames, "%s: %zu frames, not %zu, %s", cases[i].why,
              cut.n_frames, plain.n_frames, cut.info.message);
        CHECK(!strcmp(cut.info.message, plain.info.message), "%s: %s", cases[i].why, cut.info.message);
        CHECK(!cases[i].frames || cut.n_frames == cases[i].frames, "%s: %zu frames", cases[i].why, cut.n_frames);
        CHECK(!whole.err && cut.n_frames < whole.n_frames, "%s", cases[i].why);
        free(whole.luma);
        free(plain.luma);
        free(cut.luma);
    }
}

static void source_that_changes_its_size_is_an_error_behind_the_frames_before(void **state)
{
    const VmafxRecipe recipe = { .encoder = "libx264", .preset = "veryfast" };

    need("libx264");
    CHECK(shell("for s in 256x128 128x64; do ffmpeg -v error -y -f lavfi -i testsrc2=s=$s:r=24 -frames:v 5 "
                "-c:v libx264 -pix_fmt yuv420p $s.h264 || exit 1; done; cat 256x128.h264 128x64.h264 >two.h264"),
          "two.h264");
    Outcome o = encode(in_folder("two.h264"), &recipe);
    CHECK(o.err == VMAFX_ERR_MISMATCH && o.n_frames == 5, "%zu frames, %s", o.n_frames, o.info.message);
    free(o.luma);
}

static void sources_that_are_none_are_refused(void **state)
{
    const VmafxRecipe recipe = { .encoder = "libx264" };

    need("libx264");
    Outcome o = encode(in_folder("missing.y4m"), &recipe);
    CHECK(o.err == VMAFX_ERR_NOT_FOUND && !o.opened, "%s", o.info.message);
    assert_true(shell("echo no video >text"));
    o = encode(in_folder("text"), &recipe);
    CHECK(o.err == VMAFX_ERR_INPUT && !o.opened, "%s", o.info.message);
    assert_true(shell("echo 'YUV4MPEG2 W256 H128 F25:1' >empty.y4m"));
    o = encode(in_folder("empty.y4m"), &recipe);
    CHECK(o.err == VMAFX_ERR_INPUT && strstr(o.info.message, "no frames"), "%s", o.info.message);
}

static void frames_that_an_encoder_leaves_out_are_noticed(void **state)
{
    const VmafxRecipeOption drop[] = { { "drop-threshold", "100" }, { "deadline", "realtime" }, { "bufsize", "1000" } };
    const VmafxRecipe recipe = { .encoder = "libvpx", .preset = "8", .bitrate = 1000, .options = drop, .n_options = 3 };

    need(recipe.encoder);
    Outcome o = encode(source("plain.y4m"), &recipe);
    CHECK(o.err == VMAFX_ERR_ENCODER && o.n_frames < FRAMES && strstr(o.info.message, "left out frame"), "%zu, %s",
          o.n_frames, o.info.message);
    free(o.luma);
}

/* The test stands between us and FFmpeg here (-Wl,--wrap): the encoder can be made to fail. */
static int receives_left = -1; /* < 0: as many as one likes */
int __wrap_avcodec_receive_packet(void *context, void *packet);
int __real_avcodec_receive_packet(void *context, void *packet);

int __wrap_avcodec_receive_packet(void *context, void *packet)
{
    static const int external = -0x20545845; /* AVERROR_EXTERNAL */

    return receives_left == 0 || (receives_left > 0 && !--receives_left)
               ? external
               : __real_avcodec_receive_packet(context, packet);
}

static void encoder_that_fails_midway_is_an_error_with_its_words(void **state)
{
    const VmafxRecipe recipe = { .encoder = "libx264", .preset = "ultrafast", OPTION("tune", "zerolatency") };

    need("libx264");
    source("plain.y4m");
    receives_left = 20;
    Outcome o = encode(in_folder("plain.y4m"), &recipe);
    receives_left = -1;
    CHECK(o.err == VMAFX_ERR_ENCODER && o.n_frames > 2 && o.n_frames < 20 &&
              strstr(o.info.message, "libx264 has failed: Generic error in an external library"),
          "%zu frames, %s", o.n_frames, o.info.message);
    free(o.luma);
}

static void closing_early_returns(void **state)
{
    static const struct {
        const char *encoder, *preset;
    } cases[] = { { "libx264", "fast" }, { "libx265", "fast" }, { "libsvtav1", "10" }, { "libaom-av1", "8" },
                  { "librav1e", "10" },  { "libvpx-vp9", "8" }, { "libvpx", "8" } };
    static const int frames[] = { 0, 1, FRAMES - 1 };

    need_ffmpeg();
    for (size_t i = 0; i < VMAFX_LEN(cases); i++)
        for (size_t k = 0; k < VMAFX_LEN(frames) && linked(cases[i].encoder); k++) {
            const VmafxRecipe recipe = { .encoder = cases[i].encoder, .preset = cases[i].preset };
            VmafxEncodeOptions options = { .threads = 2, .keep_fd = keep_file("early.mkv"), .keep_max = KEEP_MAX };
            VmafxReader *reader = NULL;
            VmafxErrInfo info = { 0 };
            VmafxErr err = vmafx_reader_open_encode(-1, source("plain.y4m"), NULL, &recipe, &options, &reader, &info);

            for (int n = 0; n < frames[k] && !err; n++) {
                VmafxPlane luma;
                bool more = false;
                err = vmafx_reader_next(reader, &luma, &more, &info);
                assert_true(err || more);
            }
            CHECK(!err, "%s: %s", cases[i].encoder, info.message);
            vmafx_reader_close(&reader);
            close(options.keep_fd);
        }
}

static void stop_flag_ends_it(void **state)
{
    const VmafxRecipe recipe = { .encoder = "libx264", .preset = "ultrafast" };
    atomic_bool stop = false;
    const VmafxEncodeOptions options = { .stop = &stop, .keep_fd = -1 };
    VmafxReader *reader = NULL;
    VmafxErrInfo info = { 0 };
    VmafxPlane luma;
    bool more;
    int n = 0;

    need("libx264");
    CHECK(!vmafx_reader_open_encode(-1, source("plain.y4m"), NULL, &recipe, &options, &reader, &info), "%s",
          info.message);
    assert_int_equal(vmafx_reader_next(reader, &luma, &more, &info), VMAFX_OK);
    atomic_store(&stop, true);
    VmafxErr err;
    while (!(err = vmafx_reader_next(reader, &luma, &more, &info)) && more && n < FRAMES)
        n++; /* what the decoder has already */
    CHECK(err == VMAFX_ERR_CANCELLED && n < 4 && strstr(info.message, "stopped"), "%d frames, %s, %s", n,
          vmafx_err_name(err), info.message);
    vmafx_reader_close(&reader);

    int ends[2]; /* a source nobody writes to */
    assert_int_equal(pipe(ends), 0);
    err = vmafx_reader_open_encode(ends[0], "a pipe", NULL, &recipe, &options, &reader, &info);
    CHECK(err && !reader, "%s", info.message);
    close(ends[1]);
}

static void descriptors_are_taken_over(void **state)
{
    const VmafxRecipe good = { .encoder = "libx264", .preset = "ultrafast" }, bad = { .encoder = "libx246" };
    const VmafxEncodeOptions options = { .keep_fd = -1 };
    const VmafxRecipe *recipes[] = { &good, &bad };

    need("libx264");
    for (size_t i = 0; i < VMAFX_LEN(recipes); i++) {
        int fd = open(source("plain.y4m"), O_RDONLY | O_CLOEXEC);
        VmafxReader *reader = NULL;
        Outcome o = { 0 };
        o.err = vmafx_reader_open_encode(fd, "a descriptor", NULL, recipes[i], &options, &reader, &o.info);
        o = read_opened(reader, o);
        CHECK(o.err == (i ? VMAFX_ERR_ENCODER : VMAFX_OK) && (i || o.n_frames == FRAMES), "%s", o.info.message);
        assert_int_equal(fcntl(fd, F_GETFD), -1);
        free(o.luma);
    }
}

/* ---- The kept file ---- */

static void kept_file_is_the_same_each_time(void **state)
{
    const VmafxRecipe recipe = { .encoder = "libx264", .preset = "fast", .gop = 8 };
    Outcome o[2];

    need("libx264");
    for (int i = 0; i < 2; i++) {
        int fd = keep_file(i ? "second.mkv" : "first.mkv");
        o[i] = encode_with(source("clip.mp4"), NULL, &recipe,
                           &(VmafxEncodeOptions){ .keep_fd = fd, .keep_max = KEEP_MAX });
        assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC); /* borrowed */
        close(fd);
    }
    check_same_luma(&o[0], &o[1], "twice");
    assert_true(shell("cmp first.mkv second.mkv"));
    Outcome kept = read_file(in_folder("first.mkv"));
    check_same_luma(&o[0], &kept, "kept");
    assert_int_equal(kept.video.rate_num, 24);
    free(o[0].luma);
    free(o[1].luma);
    free(kept.luma);
}

static void check_keep_fails(int fd, int64_t max, VmafxErr err, const char *word)
{
    const VmafxRecipe recipe = { .encoder = "libx264", .preset = "ultrafast", .has_crf = true, .crf = 5 };
    Outcome o =
        encode_with(source("plain.y4m"), NULL, &recipe, &(VmafxEncodeOptions){ .keep_fd = fd, .keep_max = max });

    CHECK(o.err == err && strstr(o.info.message, word), "%s, not %s: %s", vmafx_err_name(o.err), vmafx_err_name(err),
          o.info.message);
    free(o.luma);
}

static void keeping_ends_at_its_limit_and_where_the_disk_is_full(void **state)
{
    struct rlimit before, small = { 100000, RLIM_INFINITY };
    struct stat st;
    int fd, ends[2];

    need("libx264");
    fd = keep_file("limited.mkv");
    check_keep_fails(fd, 100000, VMAFX_ERR_LIMIT, "larger than 100000 bytes");
    assert_int_equal(fstat(fd, &st), 0);
    assert_true(st.st_size <= 100000);
    check_keep_fails(fd, 0, VMAFX_ERR_LIMIT, "larger than 0 bytes");
    close(fd);

    fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    check_keep_fails(fd, KEEP_MAX, VMAFX_ERR_IO, "no space left");
    close(fd);

    assert_int_equal(pipe(ends), 0);
    check_keep_fails(ends[1], KEEP_MAX, VMAFX_ERR_INVALID, "in a file only");
    close(ends[0]);
    close(ends[1]);

    /* The disk that fills up midway. */
    fd = keep_file("filled.mkv");
    source("plain.y4m");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small.rlim_max = before.rlim_max;
    void (*old)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    check_keep_fails(fd, KEEP_MAX, VMAFX_ERR_IO, "cannot be kept");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, old);
    close(fd);
}

/* ---- Behaviour ---- */

/* The source's descriptor tells how far it was read; its buffer is some frames. */
static void pictures_on_the_way_are_bounded_at_any_length(void **state)
{
    enum { LONG = 400, FRAME_BYTES = 128 * 64 * 3 / 2 + 6, BUFFERED = 2 * (1 << 18) / FRAME_BYTES };
    const VmafxRecipe recipe = { .encoder = "libx264", .preset = "medium" };
    VmafxReader *reader = NULL;
    VmafxErrInfo info = { 0 };
    VmafxPlane luma;
    bool more = true;
    int n = 0, most = 0;

    need("libx264");
    assert_true(shell("ffmpeg -v error -y -f lavfi -i testsrc2=s=128x64:r=24 -frames:v %d long.y4m", LONG));
    int fd = open(in_folder("long.y4m"), O_RDONLY | O_CLOEXEC), twin = dup(fd);
    assert_true(fd >= 0 && twin >= 0);
    CHECK(!vmafx_reader_open_encode(fd, "long", NULL, &recipe, &(VmafxEncodeOptions){ .keep_fd = -1 }, &reader, &info),
          "%s", info.message);
    for (; more; n += more) {
        CHECK(!vmafx_reader_next(reader, &luma, &more, &info), "%s", info.message);
        most = VMAFX_MAX(most, (int)(lseek(twin, 0, SEEK_CUR) / FRAME_BYTES) - n);
    }
    assert_int_equal(n, LONG);
    /* x264 looks 40 frames ahead, and holds back some that are reordered. */
    CHECK(most > 0 && most < 70 + BUFFERED, "%d frames on the way", most);
    vmafx_reader_close(&reader);
    close(twin);
}

static void nothing_is_written_to_standard_error(void **state)
{
    int log = keep_file("stderr"), old = dup(STDERR_FILENO);
    struct stat st;
    size_t n;
    const VmafxEncoder *encoders = vmafx_encoders(&n);

    need_ffmpeg();
    source("plain.y4m");
    dup2(log, STDERR_FILENO);
    for (size_t i = 0; i < n; i++) {
        VMAFX_IGNORE(vmafx_encoder_probe(encoders[i].name, NULL)); /* failing is an answer too */
        if (encoders[i].linked && !encoders[i].hardware) {
            const VmafxRecipe small = { .encoder = encoders[i].name, .w = 2, .h = 2 };
            Outcome o = encode(in_folder("plain.y4m"), &small);
            free(o.luma);
        }
    }
    dup2(old, STDERR_FILENO);
    close(old);
    assert_int_equal(fstat(log, &st), 0);
    close(log);
    CHECK(st.st_size == 0, "%lld bytes, see below", (long long)st.st_size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(x264_is_the_same_as_ffmpeg_makes),
        cmocka_unit_test(x265_is_the_same_as_ffmpeg_makes),
        cmocka_unit_test(svtav1_is_the_same_as_ffmpeg_makes),
        cmocka_unit_test(aom_is_the_same_as_ffmpeg_makes),
        cmocka_unit_test(rav1e_is_the_same_as_ffmpeg_makes),
        cmocka_unit_test(vp9_is_the_same_as_ffmpeg_makes),
        cmocka_unit_test(vp8_is_the_same_as_ffmpeg_makes),
        cmocka_unit_test(facts_tell_what_was_chosen_and_set),
        cmocka_unit_test(encoders_that_repeat_themselves_with_one_thread_only_get_one),
        cmocka_unit_test(those_who_hand_recipes_on_know_the_same_encoders),
        cmocka_unit_test(probes_tell_what_works),
        cmocka_unit_test(wrong_recipes_are_refused_with_what_to_do),
        cmocka_unit_test(settings_that_a_library_refuses_are_errors),
        cmocka_unit_test(odd_pictures_need_whole_chroma),
        cmocka_unit_test(grey_gets_chroma_without_colour_where_an_encoder_needs_some),
        cmocka_unit_test(source_cut_midway_gives_what_came_before_and_its_error),
        cmocka_unit_test(source_that_changes_its_size_is_an_error_behind_the_frames_before),
        cmocka_unit_test(sources_that_are_none_are_refused),
        cmocka_unit_test(frames_that_an_encoder_leaves_out_are_noticed),
        cmocka_unit_test(encoder_that_fails_midway_is_an_error_with_its_words),
        cmocka_unit_test(closing_early_returns),
        cmocka_unit_test(stop_flag_ends_it),
        cmocka_unit_test(descriptors_are_taken_over),
        cmocka_unit_test(kept_file_is_the_same_each_time),
        cmocka_unit_test(keeping_ends_at_its_limit_and_where_the_disk_is_full),
        cmocka_unit_test(pictures_on_the_way_are_bounded_at_any_length),
        cmocka_unit_test(nothing_is_written_to_standard_error),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
