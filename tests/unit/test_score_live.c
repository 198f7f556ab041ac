/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Pairs that arrive through pipes while they are scored, and frames that are told as soon as they are final. */

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "score/score.h"

enum { W = 64, H = 48, LUMA = W * H, FRAME = LUMA * 3 / 2, FRAMES = 14, SERIES_ROOM = 32 };

/* ---- what is sent ---- */

/* Frame t of the reference or the distorted video: neither flat nor still. */
static void paint(uint8_t *frame, int t, int noise)
{
    memset(frame + LUMA, 128, FRAME - LUMA);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            frame[y * W + x] =
                (uint8_t)((x * 5 + y * 3 + t * t * 11 + (x * y) % 7) % 200 + noise * ((x * 31 + y * 17) % 5));
}

/* A pair of pipes and who fills them. The lock covers what is told of frames. */
typedef struct Link {
    int read[2], write[2];
    pthread_t writer;
    size_t bytes[2]; /* how much is sent before the pipes are closed */
    bool polite;     /* frame t is sent when the scores of t − 2 have come */
    bool quiet[2];   /* left open and silent at the end, until the scoring is over */

    pthread_mutex_t lock;
    pthread_cond_t more;
    bool over;
    uint32_t told, calls, stop_at; /* stop_at: false is returned once so many were told; 0: never */
    size_t n_series;
    bool present[SERIES_ROOM][FRAMES];
    double values[SERIES_ROOM][FRAMES];
} Link;

static const char header[] = "YUV4MPEG2 W64 H48 F25:1 Ip C420jpeg\n";

static size_t whole(int frames)
{
    return sizeof header - 1 + (size_t)frames * (6 + FRAME);
}

/* The bytes of a video. */
static uint8_t *video(int noise)
{
    uint8_t *bytes = malloc(whole(FRAMES)), *at = bytes;

    assert_non_null(bytes);
    memcpy(at, header, sizeof header - 1);
    at += sizeof header - 1;
    for (int t = 0; t < FRAMES; t++, at += 6 + FRAME) {
        memcpy(at, "FRAME\n", 6);
        paint(at + 6, t, noise);
    }
    return bytes;
}

/* False when the reader has gone. */
static bool put(int fd, const uint8_t *bytes, size_t from, size_t to)
{
    while (from < to) {
        ssize_t n = write(fd, bytes + from, to - from);
        if (n < 0)
            return false;
        from += (size_t)n;
    }
    return true;
}

static void wait_told(Link *link, uint32_t n)
{
    pthread_mutex_lock(&link->lock);
    while (link->told < n && !link->over)
        pthread_cond_wait(&link->more, &link->lock);
    pthread_mutex_unlock(&link->lock);
}

static void *fill(void *arg)
{
    Link *link = arg;
    uint8_t *videos[] = { video(0), video(1) };
    size_t sent[2] = { 0 };
    bool go_on = true;

    for (int t = 0; t < FRAMES && go_on; t++) {
        if (link->polite && t >= 2)
            wait_told(link, (uint32_t)t - 1);
        for (int i = 0; i < 2; i++) {
            size_t to = VMAFX_MIN(whole(t + 1), link->bytes[i]);
            go_on = go_on && put(link->write[i], videos[i], sent[i], to);
            sent[i] = to;
        }
    }
    for (int i = 0; i < 2; i++)
        if (!link->quiet[i])
            close(link->write[i]);
    pthread_mutex_lock(&link->lock);
    while (!link->over)
        pthread_cond_wait(&link->more, &link->lock);
    pthread_mutex_unlock(&link->lock);
    for (int i = 0; i < 2; i++) {
        if (link->quiet[i])
            close(link->write[i]);
        free(videos[i]);
    }
    return NULL;
}

/* ---- what comes back ---- */

static bool on_scored(void *ctx, const VmafxEngine *engine, uint32_t first, uint32_t n)
{
    Link *link = ctx;

    pthread_mutex_lock(&link->lock);
    assert_int_equal(first, link->told);
    assert_in_range(n, 1, FRAMES - link->told);
    link->n_series = vmafx_engine_series(engine);
    assert_in_range(link->n_series, 1, SERIES_ROOM);
    for (; link->told < first + n; link->told++)
        for (size_t s = 0; s < link->n_series; s++)
            link->present[s][link->told] = vmafx_engine_value(engine, s, link->told, &link->values[s][link->told]);
    link->calls++;
    bool go_on = !link->stop_at || link->told < link->stop_at;
    pthread_cond_broadcast(&link->more);
    pthread_mutex_unlock(&link->lock);
    return go_on;
}

static void link_begin(Link *link)
{
    *link = (Link){ .lock = PTHREAD_MUTEX_INITIALIZER,
                    .more = PTHREAD_COND_INITIALIZER,
                    .bytes = { whole(FRAMES), whole(FRAMES) } };
    for (int i = 0; i < 2; i++) {
        int ends[2];
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        link->read[i] = ends[0];
        link->write[i] = ends[1];
    }
}

/* Scores what the link says. Features only: no model file is needed. */
static VmafxErr score(Link *link, int threads, VmafxResult *result, VmafxErrInfo *info)
{
    VmafxFeatureRequest features[] = { { .name = "adm" }, { .name = "vif" }, { .name = "motion" } };
    const VmafxPairOptions options = { .features = features,
                                       .n_features = VMAFX_LEN(features),
                                       .threads = threads,
                                       .strict = true,
                                       .digest = true,
                                       .fds = link->read,
                                       .scored = on_scored,
                                       .scored_ctx = link };

    assert_int_equal(pthread_create(&link->writer, NULL, fill, link), 0);
    VmafxErr err = vmafx_score_pair("reference", "distorted", &options, result, info);
    pthread_mutex_lock(&link->lock);
    link->over = true;
    pthread_cond_broadcast(&link->more);
    pthread_mutex_unlock(&link->lock);
    for (int i = 0; i < 2; i++)
        close(link->read[i]);
    pthread_join(link->writer, NULL);
    return err;
}

static void check_told(const Link *link, const VmafxResult *result)
{
    assert_int_equal(link->told, result->frames);
    for (size_t s = 0; s < link->n_series; s++)
        for (uint32_t i = 0; i < link->told; i++) {
            double v = 0;
            bool present = vmafx_engine_value(result->engine, s, i, &v);

            assert_int_equal(present, link->present[s][i]);
            if (present && memcmp(&v, &link->values[s][i], sizeof v) != 0)
                fail_msg("%s of frame %u", vmafx_engine_series_name(result->engine, s), i);
        }
}

static void check_digest(const VmafxResult *result, int noise)
{
    VMAFX_AUTO(vmafx_free_p) uint8_t *bytes = video(noise);
    char hex[VMAFX_SHA256_TEXT];

    vmafx_sha256_hex(bytes, whole(FRAMES), hex);
    assert_string_equal(result->inputs[noise].sha256, hex);
}

/* ---- tests ---- */

static void scores_come_while_the_writer_waits_for_them(void **state)
{
    for (int threads = 0; threads <= 3; threads++) {
        VMAFX_AUTO(vmafx_result_done) VmafxResult result = { 0 };
        VmafxErrInfo info = { 0 };
        static Link link;

        link_begin(&link);
        link.polite = true;
        if (score(&link, threads, &result, &info))
            fail_msg("%s", info.message);
        assert_true(result.complete);
        assert_int_equal(result.frames, FRAMES);
        check_told(&link, &result);
        check_digest(&result, 0);
        check_digest(&result, 1);
        assert_int_equal(vmafx_result_series_kind(&result, 0), VMAFX_SERIES_FEATURE);
    }
}

static void a_fast_writer_gets_the_same(void **state)
{
    for (int threads = 0; threads <= 3; threads++) {
        VMAFX_AUTO(vmafx_result_done) VmafxResult result = { 0 };
        static Link link;

        link_begin(&link);
        assert_int_equal(score(&link, threads, &result, NULL), VMAFX_OK);
        check_told(&link, &result);
    }
}

/* One input is cut, the other goes on and then says nothing any more, without being closed. */
static void a_cut_input_does_not_wait_for_the_other(void **state)
{
    for (int cut = 0; cut < 2; cut++)
        for (int threads = 0; threads <= 2; threads++) {
            VMAFX_AUTO(vmafx_result_done) VmafxResult result = { 0 };
            static Link link;

            link_begin(&link);
            link.bytes[cut] = whole(9) + 100;
            link.bytes[!cut] = whole(cut ? 10 : 9);
            link.quiet[!cut] = true;
            assert_int_equal(score(&link, threads, &result, NULL), VMAFX_OK);
            assert_false(result.complete);
            assert_int_equal(result.ending, VMAFX_ENDING_BROKEN);
            assert_int_equal(result.ended_first, cut);
            assert_int_equal(result.frames, 9);
            check_told(&link, &result);
            assert_string_equal(result.inputs[!cut].sha256, ""); /* nobody has seen its end */
        }
}

static void whoever_has_heard_enough_cancels(void **state)
{
    for (int threads = 0; threads <= 3; threads++) {
        VMAFX_AUTO(vmafx_result_done) VmafxResult result = { 0 };
        static Link link;

        link_begin(&link);
        link.polite = true;
        link.stop_at = 4;
        link.quiet[0] = link.quiet[1] = true;
        assert_int_equal(score(&link, threads, &result, NULL), VMAFX_OK);
        assert_int_equal(result.ending, VMAFX_ENDING_CANCELLED);
        assert_false(result.complete);
        assert_int_equal(link.told, 4);
    }
}

/* Neither pipe is waited for when the other cannot be opened. */
static void an_input_that_is_no_video_does_not_wait_for_the_other(void **state)
{
    for (int bad = 0; bad < 2; bad++) {
        VMAFX_AUTO(vmafx_result_done) VmafxResult result = { 0 };
        VmafxErrInfo info = { 0 };
        static Link link;

        link_begin(&link);
        link.bytes[bad] = 0;
        link.bytes[!bad] = 5; /* and no more, of a magic of nine */
        link.quiet[!bad] = true;
        assert_int_equal(score(&link, 1, &result, &info), VMAFX_ERR_INPUT);
        assert_non_null(strstr(info.message, bad ? "'distorted' is empty" : "'reference' is empty"));
        assert_int_equal(link.told, 0);
    }
}

typedef struct Patience {
    int calls;
} Patience;

static bool lose_patience(void *ctx, const VmafxProgress *progress)
{
    assert_int_equal(progress->frames, 0);
    return ++((Patience *)ctx)->calls < 2;
}

static void opening_pipes_that_say_nothing_can_be_cancelled(void **state)
{
    VMAFX_AUTO(vmafx_result_done) VmafxResult result = { 0 };
    VmafxFeatureRequest feature = { .name = "vif" };
    Patience patience = { 0 };
    static Link link;

    link_begin(&link);
    const VmafxPairOptions options = { .features = &feature,
                                       .n_features = 1,
                                       .strict = true,
                                       .fds = link.read,
                                       .progress = lose_patience,
                                       .progress_ctx = &patience };
    assert_int_equal(vmafx_score_pair("reference", "distorted", &options, &result, NULL), VMAFX_OK);
    assert_int_equal(result.ending, VMAFX_ENDING_CANCELLED);
    assert_false(result.complete);
    for (int i = 0; i < 2; i++) {
        close(link.read[i]);
        close(link.write[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_come_while_the_writer_waits_for_them),
        cmocka_unit_test(a_fast_writer_gets_the_same),
        cmocka_unit_test(a_cut_input_does_not_wait_for_the_other),
        cmocka_unit_test(whoever_has_heard_enough_cancels),
        cmocka_unit_test(an_input_that_is_no_video_does_not_wait_for_the_other),
        cmocka_unit_test(opening_pipes_that_say_nothing_can_be_cancelled),
    };

    signal(SIGPIPE, SIG_IGN); /* writers whose reader goes away are part of it */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
