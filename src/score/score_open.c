/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Opening both inputs: files one after the other, pipes and sockets in a thread each, because whoever fills two pipes
 * by turns would wait for ever for the one that nobody reads yet; and also where the distorted video is made, so that a
 * slow encoder does not keep anybody from cancelling.
 */

#include "score/score_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/base.h"

/* One input being opened by a thread of its own. */
typedef struct Opening {
    ScorePair *pair;
    int which;
    VmafxSpan *span;
    pthread_t thread;
    bool running;
} Opening;

/* Opens an input and reads its first frame, so that its facts are those of the pictures. */
static VmafxErr open_input(ScorePair *pair, int which, VmafxErrInfo *reterr)
{
    const VmafxPairOptions *o = pair->options;
    const VmafxReaderLive live = { &pair->stop, o->digest };
    ScoreInput *in = &pair->inputs[which];
    VmafxScoredInput *scored = &pair->result->inputs[which];
    bool more = false;
    int fd = o->fds ? fcntl(o->fds[which], F_DUPFD_CLOEXEC, 0) : -1;

    if (o->fds && fd < 0)
        return vmafx_fail(reterr, VMAFX_ERR_INPUT, "cannot read '%s': %s", in->path, strerror(errno));
    VmafxErr err = which == DIS && o->encode
                       ? score_encode_open(pair, fd, reterr)
                       : vmafx_reader_open_live(fd, in->path, which == REF ? o->raw_reference : o->raw_distorted, &live,
                                                &in->reader, reterr);
    if (err)
        return err;
    if (score_reads_chroma(pair))
        err = vmafx_reader_keep_chroma(in->reader, reterr);
    if (!err)
        err = score_input_read(in, &in->pending, &more, reterr);
    scored->info = *vmafx_reader_info(in->reader);
    scored->known = true;
    if (!err && !more)
        err = vmafx_fail(reterr, VMAFX_ERR_INPUT, "'%s' has no frame", in->path);
    return err;
}

static void end_opening(ScorePair *pair, Opening *opening, VmafxErr err)
{
    const VmafxScoredInput *scored = &pair->result->inputs[opening->which];

    vmafx_score_trace_input_done(&opening->span, scored->known ? &scored->info : NULL, err);
}

static void *open_beside(void *arg)
{
    Opening *opening = arg;
    ScorePair *pair = opening->pair;
    VmafxErrInfo info = { 0 };
    VmafxErr err = open_input(pair, opening->which, &info);

    end_opening(pair, opening, err);
    if (err && opening->which == DIS)
        score_encode_ended(pair, err, false);
    pthread_mutex_lock(&pair->opening.lock);
    pair->n_opened++;
    if (err && !pair->open_err) {
        pair->open_err = err;
        pair->open_info = info;
        atomic_store(&pair->stop, true); /* what the other one waits for may never come */
    }
    pthread_cond_broadcast(&pair->opening.changed);
    pthread_mutex_unlock(&pair->opening.lock);
    return NULL;
}

static void wait_for_openings(ScorePair *pair)
{
    int opened = 0;

    while (opened < 2 && !pair->cancelled) {
        const struct timespec until = score_in_ms(SCORE_PROGRESS_MS);
        bool in_time = true;

        pthread_mutex_lock(&pair->opening.lock);
        while (pair->n_opened == opened && in_time)
            in_time = score_sync_wait_until(&pair->opening, &until);
        opened = pair->n_opened;
        pthread_mutex_unlock(&pair->opening.lock);
        if (!in_time)
            score_tell(pair);
    }
}

/* Both at a time: whoever fills two pipes by turns would wait for ever for the one that nobody reads yet, and an
   encoder may want a hundred frames before it gives one. */
static VmafxErr open_together(ScorePair *pair, Opening openings[2], VmafxErrInfo *reterr)
{
    bool started = score_sync_init(&pair->opening);

    for (int i = 0; i < 2 && started; i++) {
        if (i == REF || !pair->options->encode)
            openings[i].span = vmafx_score_trace_input(&pair->trace, score_input_name[i]);
        started = !pthread_create(&openings[i].thread, NULL, open_beside, &openings[i]);
        openings[i].running = started;
    }
    if (started)
        wait_for_openings(pair);
    if (!started || pair->cancelled)
        atomic_store(&pair->stop, true);
    for (int i = 0; i < 2; i++)
        if (openings[i].running)
            pthread_join(openings[i].thread, NULL);
        else
            end_opening(pair, &openings[i], VMAFX_ERR_NOMEM);
    if (!started)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "cannot start reading: no memory or threads");
    return pair->open_err && !pair->cancelled ? vmafx_fail(reterr, pair->open_err, "%s", pair->open_info.message)
                                              : VMAFX_OK;
}

/* Not a file, as far as that can be told without opening it. */
static bool is_live(const char *path, const int *given)
{
    struct stat st;

    if (!strncmp(path, "file:", 5))
        path += 5;
    return !(given ? fstat(*given, &st) : stat(path, &st)) && !S_ISREG(st.st_mode);
}

VmafxErr score_open_inputs(ScorePair *pair, VmafxErrInfo *reterr)
{
    const int *fds = pair->options->fds;
    Opening openings[2] = { { .pair = pair, .which = REF }, { .pair = pair, .which = DIS } };
    VmafxErr err = VMAFX_OK;

    if (pair->options->encode || is_live(pair->inputs[REF].path, fds ? &fds[REF] : NULL) ||
        is_live(pair->inputs[DIS].path, fds ? &fds[DIS] : NULL))
        return open_together(pair, openings, reterr);
    for (int i = 0; i < 2 && !err; i++) { /* one after the other: both may be one open file, with one position */
        openings[i].span = vmafx_score_trace_input(&pair->trace, score_input_name[i]);
        err = open_input(pair, i, reterr);
        end_opening(pair, &openings[i], err);
    }
    return err;
}
