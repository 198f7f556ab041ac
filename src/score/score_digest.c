/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* SHA-256 of the input files, in a thread beside the scoring; those of pipes come from their readers. */

#include "score/score_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "base/digest.h"

#define DIGEST_PIECE ((size_t)1 << 18)

/* A descriptor of a regular file for its digest; -1 for anything that can be read only once. */
static int open_regular(const char *path, const int *given)
{
    struct stat st;

    if (!strncmp(path, "file:", 5)) /* as readers understand it */
        path += 5;
    if (given ? fstat(*given, &st) : !strcmp(path, "-") || stat(path, &st))
        return -1;
    if (!S_ISREG(st.st_mode))
        return -1;
    return given ? fcntl(*given, F_DUPFD_CLOEXEC, 0) : open(path, O_RDONLY | O_CLOEXEC);
}

/* From the start whatever the file's position is: a reader may have the same open file. False: not to its end. */
static bool digest_bytes(ScoreDigests *digests, int fd, VmafxSha256 *sha)
{
    VMAFX_AUTO(vmafx_free_p) unsigned char *piece = malloc(DIGEST_PIECE);
    off_t at = 0;
    ssize_t got = piece ? 1 : -1;

    while (got > 0 && !atomic_load(&digests->stop)) {
        do
            got = pread(fd, piece, DIGEST_PIECE, at);
        while (got < 0 && errno == EINTR);
        if (got > 0)
            vmafx_sha256_add(sha, piece, (size_t)got);
        at += got;
    }
    return got == 0;
}

/* Leaves ret as it is when the file cannot be read to its end. */
static void digest_file(ScoreDigests *digests, const char *path, const int *given, char ret[VMAFX_SHA256_TEXT])
{
    int fd = open_regular(path, given);
    VmafxSha256 sha;

    if (fd < 0)
        return;
    vmafx_sha256_init(&sha);
    if (digest_bytes(digests, fd, &sha))
        vmafx_sha256_end_hex(&sha, ret);
    close(fd);
}

static void *digest_inputs(void *arg)
{
    ScoreDigests *digests = arg;

    for (size_t i = 0; i < (digests->one ? 1u : 2u); i++)
        digest_file(digests, digests->result->inputs[i].path, digests->fds ? &digests->fds[i] : NULL,
                    digests->result->inputs[i].sha256);
    pthread_mutex_lock(&digests->sync.lock);
    digests->ended = true;
    pthread_cond_broadcast(&digests->sync.changed);
    pthread_mutex_unlock(&digests->sync.lock);
    return NULL;
}

VmafxErr score_digests_start(ScorePair *pair)
{
    ScoreDigests *digests = &pair->digests;

    digests->result = pair->result;
    digests->fds = pair->options->fds;
    digests->one = pair->options->encode;
    if (!score_sync_init(&digests->sync) || pthread_create(&digests->thread, NULL, digest_inputs, digests))
        return VMAFX_ERR_NOMEM;
    digests->running = true;
    return VMAFX_OK;
}

void score_digests_wait(ScorePair *pair)
{
    ScoreDigests *digests = &pair->digests;
    bool ended = !digests->running;

    while (!ended && !pair->cancelled) {
        const struct timespec until = score_in_ms(SCORE_PROGRESS_MS);

        pthread_mutex_lock(&digests->sync.lock);
        while (!digests->ended && score_sync_wait_until(&digests->sync, &until))
            ;
        ended = digests->ended;
        pthread_mutex_unlock(&digests->sync.lock);
        if (!ended)
            score_tell(pair);
    }
    score_digests_done(digests);
}

void score_digests_take(ScorePair *pair)
{
    for (size_t i = 0; i < VMAFX_LEN(pair->inputs); i++) {
        ScoreInput *in = &pair->inputs[i];

        pthread_mutex_lock(&in->sync.lock);
        bool ended = in->ended; /* so its thread has done with the reader */
        pthread_mutex_unlock(&in->sync.lock);
        if (ended && pair->options->digest)
            vmafx_reader_digest(in->reader, pair->result->inputs[i].sha256);
    }
}

void score_digests_done(ScoreDigests *digests)
{
    if (digests->running) {
        atomic_store(&digests->stop, true);
        pthread_join(digests->thread, NULL);
        digests->running = false;
    }
    score_sync_done(&digests->sync);
}
