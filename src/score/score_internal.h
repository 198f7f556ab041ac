/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What the files of a scoring share, and nobody else needs. Who calls whom:
 *
 *     score_request.c    text → requests; on its own
 *     score.c            vmafx_score_pair: set up, run, end; calls those below in this order
 *       score_engine.c   models and features → engine; the options for the report
 *       score_open.c     names or descriptors → readers with their first frame
 *       score_encode.c   the distorted video that is made of the reference: its reader, what became of it
 *       score_adapt.c    may they be compared (score_check.c)? → converters, notes
 *       score_input.c    a thread per input: reader → converter → queue
 *       score_digest.c   a thread for the digests of files
 *     score_result.c     notes, which all of these make; the end of a result, the writers' view
 *     score_sync.c       the lock and the waits of all of them
 *
 * Whoever waits in the caller's thread, for inputs to open or for digests, calls score.c's score_tell meanwhile.
 *
 * An input's thread owns its reader and converter while it runs; the caller touches them before the thread starts and
 * after it was joined, or has ended, only.
 */
#ifndef VMAFX_SCORE_SCORE_INTERNAL_H
#define VMAFX_SCORE_SCORE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "media/convert.h"
#include "score/score.h"
#include "score/telemetry.h"

#define SCORE_QUEUE_FRAMES 2   /* more only push each other out of the cache: 2 to 3 % of 1080p with two threads */
#define SCORE_PROGRESS_MS  100 /* the caller hears of progress at least this often */

enum { REF = 0, DIS = 1 };

extern const char *const score_input_name[2]; /* in notes and spans: "reference", "distorted" */

/* ---- Waiting (score_sync.c) ---- */

/* A lock and a way to wait for what it covers; waits end by the monotonic clock. */
typedef struct ScoreSync {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool ready; /* both were made; set once */
} ScoreSync;

/** False, with nothing to be done, when there is no memory for it. */
bool score_sync_init(ScoreSync *sync);
/** Content with one that was not made. */
void score_sync_done(ScoreSync *sync);
/** Waits, lock held, for a change, but no longer than until; false when that time has come. */
bool score_sync_wait_until(ScoreSync *sync, const struct timespec *until);
/** The monotonic clock in so many milliseconds, less than a second. */
struct timespec score_in_ms(long ms);
double score_seconds_since(const struct timespec *from, clockid_t clock);

/* ---- What a scoring consists of ---- */

/* A picture that is read into, queued, and lent to the engine. */
typedef struct ScoreSlot {
    struct ScoreInput *input;
    VmafxPicture picture;
    void *memory[3];
    int users;              /* queue or caller, and the engine; covered by the input's lock, as is next */
    struct ScoreSlot *next; /* in the free list */
} ScoreSlot;

/* One input while it is read. What the lock covers is written by the reader and read by the caller. */
typedef struct ScoreInput {
    struct ScorePair *pair;
    const char *path;
    VmafxReader *reader;
    VmafxConverter *converters[3]; /* NULL: these planes are taken as they come */
    VmafxPicture pending;          /* the frame that was read to learn the format; without data afterwards */
    int64_t to_skip, to_give;      /* to_give < 0: all */
    ScoreSlot *slots;              /* enough for queue and engine; pictures are made when they are first needed */
    size_t n_slots;
    pthread_t thread;
    bool running;
    atomic_uint_fast64_t decode_ns; /* a plain counter: time spent in the reader, but not in an encoder */
    double encode_s;                /* spent in the encoder, as the reader said last; the thread's */

    ScoreSync sync; /* its lock covers everything below */
    ScoreSlot *queue[SCORE_QUEUE_FRAMES], *free;
    size_t n_made; /* of the slots: those with a picture */
    unsigned head, filled;
    bool ended, stop;
    bool nudged;  /* something else happened that the caller, who may wait here, should look at */
    VmafxErr err; /* why it ended; VMAFX_OK at the end of the video */
    VmafxErrInfo info;
} ScoreInput;

typedef struct ScoreDigests {
    VmafxResult *result; /* inputs' sha256 are written by the thread */
    const int *fds;      /* as in the options */
    bool one;            /* of the reference only: the distorted video is no file */
    atomic_bool stop;    /* a plain flag: asks the thread to give up */
    pthread_t thread;
    bool running;

    ScoreSync sync; /* its lock covers ended */
    bool ended;
} ScoreDigests;

typedef struct ScorePair {
    ScoreInput inputs[2];
    ScoreDigests digests;
    const VmafxPairOptions *options;
    VmafxResult *result;
    struct timespec started;
    int64_t total;
    bool cancelled;
    bool encode_ended; /* by the distorted video's thread, then by the caller */
    uint32_t told;     /* frames that `scored` has heard of */
    double told_at_s;  /* when, since started */
    atomic_bool stop;  /* a plain flag: nobody waits for pipes any more */
    VmafxScoreTrace trace;

    ScoreSync opening; /* its lock covers everything below */
    int n_opened;
    VmafxErr open_err; /* of the input that failed first */
    VmafxErrInfo open_info;
} ScorePair;

/** Tells the caller's progress callback, and notes its wish to stop in pair->cancelled. The caller's thread only. */
void score_tell(ScorePair *pair);

/* ---- One input (score_input.c) ---- */

/** vmafx_reader_next, with its time counted, and with chroma when the engine reads it; else as a grey picture. */
VMAFX_CHECK VmafxErr score_input_read(ScoreInput *in, VmafxPicture *ret, bool *ret_more, VmafxErrInfo *reterr);
/** How many frames come before the ones that are scored. */
int64_t score_frames_before(const VmafxPairOptions *o, int which);
/** Allocates the queue and starts the thread; the input's sync has been made. VMAFX_ERR_NOMEM */
VMAFX_CHECK VmafxErr score_input_start(ScorePair *pair, int which);
/** The caller has used the frame at the head of the queue, and has given it to the engine as a loan. */
void score_input_release(ScoreInput *in);
/** One user less of a slot: the release of a VmafxLoan. Any thread. */
void score_slot_release(void *slot);
/** It has failed, and what it gave before is used up: there will be no further pair. */
bool score_input_is_broken(ScoreInput *in);
/** Why an input gave no more frames, once it has ended. */
VmafxErr score_input_ending(ScoreInput *in, VmafxErrInfo *ret);
/** Wakes the caller, whichever input it waits for. ctx is the pair: this is also the engine's frame_done. Any thread.
 */
void score_nudge(void *ctx);
/** Ends the thread. Both inputs' before either is done: a thread nudges at both. */
void score_input_stop(ScoreInput *in);
void score_input_done(ScoreInput *in);

/* ---- A distorted video that is made (score_encode.c) ---- */

/** The options' encode makes sense, and the reference can be read twice. Before anything is opened. */
VMAFX_CHECK VmafxErr score_encode_check(const ScorePair *pair, VmafxErrInfo *reterr);
/** As vmafx_reader_open_live, for the distorted video; fd is taken over, -1: by name. */
VMAFX_CHECK VmafxErr score_encode_open(ScorePair *pair, int fd, VmafxErrInfo *reterr);
/** How much longer the encoder has worked since the last call, in seconds; 0 for readers that do not encode. */
double score_encode_seconds(ScoreInput *in);
/**
 * Keeps in the result what the encode came to and ends its span. By the input's thread at its end, and by the caller
 * when that thread is gone, or was never there: only the first call counts. Nothing when nothing is encoded.
 * @param err    why it broke off
 * @param whole  the encoded video came to its end: what was kept of it is a file
 */
void score_encode_ended(ScorePair *pair, VmafxErr err, bool whole);

/* ---- Digests (score_digest.c) ---- */

VMAFX_CHECK VmafxErr score_digests_start(ScorePair *pair);
/** Large inputs on slow storage may keep the digests busy after the last score. Ends early when cancelled. */
void score_digests_wait(ScorePair *pair);
/** Those of inputs that were read through pipes. */
void score_digests_take(ScorePair *pair);
void score_digests_done(ScoreDigests *digests);

/* ---- Before the first frame is scored (score_engine.c, score_open.c, score_adapt.c, score_check.c) ---- */

/** result->engine and result->models, as far as it came; frame_done is called by the engine when frames are told live.
 */
VMAFX_CHECK VmafxErr score_engine_set_up(VmafxResult *result, const VmafxPairOptions *o, void (*frame_done)(void *ctx),
                                         void *ctx, VmafxErrInfo *reterr);
/** Whether a model is to be taken by the pictures: then set_up makes an empty engine, and all else waits for them. */
bool score_engine_waits(const VmafxPairOptions *o);
/** Whether pictures are read with their chroma. The v1 models want it, so whoever waits for one reads it. */
bool score_reads_chroma(const ScorePair *pair);
/** What set_up left, now that the inputs' facts are in the result. Notes in the result what was taken, and why. */
VMAFX_CHECK VmafxErr score_engine_fill(VmafxResult *result, const VmafxPairOptions *o, VmafxErrInfo *reterr);
void score_model_done(VmafxScoredModel *m);

/** Readers, and the facts of the inputs in the result. VMAFX_OK, and not all of it, when cancelled. */
VMAFX_CHECK VmafxErr score_open_inputs(ScorePair *pair, VmafxErrInfo *reterr);

VMAFX_CHECK VmafxErr score_check_pixels(const VmafxResult *result, int64_t most, VmafxErrInfo *reterr);
/** VMAFX_ERR_MISMATCH with the problems in the result. */
VMAFX_CHECK VmafxErr score_check_pair(VmafxResult *result, const VmafxPairOptions *o, VmafxErrInfo *reterr);
/** Converters, the size of what is compared, adaptations and warnings. */
VMAFX_CHECK VmafxErr score_adapt_pair(ScorePair *pair, VmafxErrInfo *reterr);

/** Both are known, and not the same. */
bool score_text_differs(const char *a, const char *b);
/** "tv" and "pc" as people say them. */
const char *score_range_name(const char *range);

/* ---- Notes (score_result.c) ---- */

/** Appends a sentence. VMAFX_ERR_NOMEM */
VMAFX_CHECK VmafxErr score_note(VmafxNotes *notes, const char *fmt, ...) VMAFX_PRINTF(2, 3);
#endif
