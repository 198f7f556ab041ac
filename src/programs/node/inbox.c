/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A list with a lock. */

#include "programs/node/inbox.h"

#include <unistd.h>

#include "base/base.h"

void inbox_init(Inbox *inbox, void (*wake)(void *ctx), void *ctx)
{
    *inbox = (Inbox){ .wake = wake, .ctx = ctx };
    inbox->last = &inbox->first;
    pthread_mutex_init(&inbox->lock, NULL);
}

void inbox_done(Inbox *inbox)
{
    for (InboxItem *item; (item = inbox_take(inbox));)
        inbox_item_free(&item);
    pthread_mutex_destroy(&inbox->lock);
}

InboxItem *inbox_item(InboxKind kind, uint64_t tag)
{
    InboxItem *item = calloc(1, sizeof *item);

    if (item) {
        item->kind = kind;
        item->tag = tag;
        item->fds[0] = item->fds[1] = -1;
    }
    return item;
}

void inbox_item_free(InboxItem **at)
{
    InboxItem *item = VMAFX_TAKE(*at);

    if (!item)
        return;
    for (size_t i = 0; i < VMAFX_LEN(item->fds); i++)
        if (item->fds[i] >= 0)
            close(item->fds[i]);
    vmafx_message_free(&item->message);
    free(item->result);
    free(item);
}

void inbox_put(Inbox *inbox, InboxItem *item)
{
    item->next = NULL;
    pthread_mutex_lock(&inbox->lock);
    *inbox->last = item;
    inbox->last = &item->next;
    pthread_mutex_unlock(&inbox->lock);
    inbox->wake(inbox->ctx);
}

InboxItem *inbox_take(Inbox *inbox)
{
    pthread_mutex_lock(&inbox->lock);
    InboxItem *item = inbox->first;
    if (item && !(inbox->first = item->next))
        inbox->last = &inbox->first;
    pthread_mutex_unlock(&inbox->lock);
    return item;
}
