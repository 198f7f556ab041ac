/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What comes out of a scorer child's pipe, made of bytes that nobody has to trust: the child decodes other people's
 * files, so whoever took it over may write anything. Checked are the size, number, order and total of messages, every
 * span and attribute against the table of signals, every text for length and control characters, that live frames
 * follow each other, and that result, frames and live frames fit each other. The first thing that is not as it must be
 * ends the reading.
 *
 * Pure: bytes in, callbacks out; no I/O and no clock. One thread at a time.
 */
#ifndef VMAFX_SCORE_CHILD_READER_H
#define VMAFX_SCORE_CHILD_READER_H

#include "otel/api/attr.h"
#include "rpc/message.h"

#define VMAFX_CHILD_MESSAGE_MAX        ((size_t)1 << 20)
#define VMAFX_CHILD_MESSAGES_MAX       4000000               /* progress four times a second for a week, and the rest */
#define VMAFX_CHILD_BYTES_MAX          ((uint64_t)256 << 20) /* of all messages but frame blocks and live frames */
#define VMAFX_CHILD_SPANS_MAX          1000
#define VMAFX_CHILD_LOGS_MAX           1000
#define VMAFX_CHILD_ATTRS_MAX          32
#define VMAFX_CHILD_TEXTS_MAX          64 /* items of lists, of one message's attributes together */
#define VMAFX_CHILD_TEXT_MAX           4096
#define VMAFX_CHILD_FRAMES_MAX         ((size_t)256 << 20)
#define VMAFX_CHILD_RECIPE_OPTIONS_MAX 128
#define VMAFX_CHILD_AGGREGATES_MAX     64
#define VMAFX_CHILD_INFERENCES_MAX     4096                /* times in one message, */
#define VMAFX_CHILD_INFERRING_MAX      16                  /* and messages with such: models of a task */
#define VMAFX_CHILD_LIVE_ROWS          64                  /* frames of one live message */
#define VMAFX_CHILD_LIVE_MAX           ((uint64_t)8 << 30) /* bytes of all live messages; they are passed on, not kept */

/** Called from within feed; NULL: not wanted. Messages are borrowed for the call. */
typedef struct VmafxChildEvents {
    void (*begun)(void *ctx, const Vmafx__Scorer__V1__Begun *begun);
    void (*progress)(void *ctx, const Vmafx__Scorer__V1__ChildProgress *progress);
    void (*span)(void *ctx, const Vmafx__Scorer__V1__SpanRecord *span);
    void (*log)(void *ctx, const Vmafx__Scorer__V1__LogRecord *record);
    void (*inferences)(void *ctx, const Vmafx__Scorer__V1__Inferences *inferences);
    void (*live_series)(void *ctx, const Vmafx__V1__SeriesNames *names);
    void (*live_frames)(void *ctx, const Vmafx__V1__Frames *frames);
    void *ctx;
} VmafxChildEvents;

typedef struct VmafxChildReaderSettings {
    size_t frames_max;        /* bytes of packed columns; 0: VMAFX_CHILD_FRAMES_MAX */
    bool nested;              /* as in Start: spans may name a parent of their own */
    bool frames_live;         /* as in Start: live series and frames may come, and all of them before a result */
    bool encodes;             /* a recipe makes the distorted video: the result says how that went */
    uint64_t started_unix_ns; /* of the task: nothing is older */
    VmafxChildEvents events;
} VmafxChildReaderSettings;

/** How the child ended; exactly one of result and failure. All of it is the reader's. */
typedef struct VmafxChildEnd {
    const Vmafx__V1__Result *result;
    const Vmafx__Scorer__V1__ChildFailure *failure;
    const uint8_t *frames; /* of result, or of failure->partial; NULL: none */
    size_t frames_len;
} VmafxChildEnd;

typedef struct VmafxChildReader VmafxChildReader;

VMAFX_CHECK VmafxErr vmafx_child_reader_new(const VmafxChildReaderSettings *settings, VmafxChildReader **ret);
void vmafx_child_reader_free(VmafxChildReader **reader);

/**
 * Any number of bytes, in any pieces.
 * @param now_unix_ns  times of spans and log records are brought between the task's start and this
 * @return VMAFX_ERR_SYNTAX, VMAFX_ERR_LIMIT with a sentence: the reader is only good for freeing then. VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr vmafx_child_reader_feed(VmafxChildReader *reader, const void *data, size_t len,
                                             uint64_t now_unix_ns, VmafxErrInfo *reterr);

/** NULL until the last message has come. */
const VmafxChildEnd *vmafx_child_reader_end(const VmafxChildReader *reader);
bool vmafx_child_reader_has_begun(const VmafxChildReader *reader);

/** Room for views of a message's attributes. */
typedef struct VmafxChildAttrs {
    VmafxAttr items[VMAFX_CHILD_ATTRS_MAX];
    VmafxValue texts[VMAFX_CHILD_TEXTS_MAX];
} VmafxChildAttrs;

/** Views that live as long as room and message do. Those without a value, and what has no room, are left out. */
VmafxAttrs vmafx_child_attrs(Vmafx__Scorer__V1__Attribute *const *items, size_t n, VmafxChildAttrs *room);
#endif
