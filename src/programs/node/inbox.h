/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What other threads tell the node's loop: messages of the controller, and how tasks fare. Bounded where the sender can
 * be told; whoever puts something in wakes the loop.
 */
#ifndef VMAFX_PROGRAMS_NODE_INBOX_H
#define VMAFX_PROGRAMS_NODE_INBOX_H

#include <pthread.h>

#include "fleet/fleet.h"
#include "rpc/message.h"

typedef enum InboxKind {
    INBOX_MESSAGE = 1, /* of the controller */
    INBOX_CLOSED,      /* the stream, with err and text */
    INBOX_OPENED,      /* a task's inputs: fds, or err, failure and text */
    INBOX_PROGRESS,
    INBOX_ENDED, /* a task: outcome, failure, text, result */
} InboxKind;

typedef struct InboxItem {
    struct InboxItem *next;
    InboxKind kind;
    uint64_t tag; /* of the stream or the task */
    VmafxMessage *message;
    VmafxErr err;
    VmafxOutcome outcome;
    VmafxFailure failure;
    bool may_pass;
    int fds[2];
    int64_t frames, frames_total;
    double frame_rate;
    uint8_t *result; /* StoredResult */
    size_t result_len;
    char text[VMAFX_JOB_MESSAGE_MAX];
} InboxItem;

typedef struct Inbox {
    pthread_mutex_t lock; /* covers the list */
    InboxItem *first, **last;
    void (*wake)(void *ctx);
    void *ctx;
} Inbox;

void inbox_init(Inbox *inbox, void (*wake)(void *ctx), void *ctx);
void inbox_done(Inbox *inbox);

/** NULL on no memory. fds are -1. */
InboxItem *inbox_item(InboxKind kind, uint64_t tag);
void inbox_item_free(InboxItem **item);

/** Takes the item. Any thread. */
void inbox_put(Inbox *inbox, InboxItem *item);
/** The first, or NULL; the caller's. */
InboxItem *inbox_take(Inbox *inbox);
#endif
