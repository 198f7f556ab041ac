/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Sessions of HTTP clients: a table that is walked; it is small, and a walk is cheap beside a request. */

#include "programs/mcp/sessions.h"

#include <string.h>
#include <sys/random.h>

#include "base/base.h"

struct Sessions {
    pthread_mutex_t lock; /* covers everything below */
    Session *table[MCP_SESSIONS_MAX];
};

Sessions *sessions_new(void)
{
    Sessions *sessions = calloc(1, sizeof *sessions);

    if (sessions)
        pthread_mutex_init(&sessions->lock, NULL);
    return sessions;
}

void sessions_free(Sessions **at)
{
    Sessions *sessions = VMAFX_TAKE(*at);

    if (!sessions)
        return;
    for (size_t i = 0; i < VMAFX_LEN(sessions->table); i++)
        session_unref(&sessions->table[i]);
    pthread_mutex_destroy(&sessions->lock);
    free(sessions);
}

void session_unref(Session **session)
{
    if (*session && atomic_fetch_sub(&(*session)->refs, 1) == 1)
        free(*session);
    *session = NULL;
}

/** 128 random bits: whoever does not know it cannot guess it. */
static bool make_id(char ret[JOB_ID_TEXT])
{
    uint8_t bytes[16];

    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        return false;
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
    return true;
}

static bool is_over(const Session *session, uint64_t now_ns)
{
    return now_ns - atomic_load(&session->used_ns) > (uint64_t)MCP_SESSION_IDLE_S * 1000000000u &&
           now_ns > atomic_load(&session->used_ns);
}

static Session **older(Session **a, Session **b)
{
    return !a || atomic_load(&(*b)->used_ns) < atomic_load(&(*a)->used_ns) ? b : a;
}

/**
 * With the lock held: a free one, or that of the session which nobody has used for longest. Whoever has half of them
 * loses one of their own, so that beginning sessions all day ends no one else's.
 */
static Session **place_for(Sessions *sessions, const char *owner, uint64_t now_ns)
{
    Session **empty = NULL, **oldest = NULL, **own = NULL;
    size_t n_own = 0;

    for (size_t i = 0; i < VMAFX_LEN(sessions->table); i++) {
        Session **at = &sessions->table[i];

        if (*at && is_over(*at, now_ns))
            session_unref(at);
        if (!*at) {
            empty = at;
            continue;
        }
        oldest = older(oldest, at);
        if (strcmp((*at)->owner, owner) != 0)
            continue;
        own = older(own, at);
        n_own++;
    }
    return empty ? empty : n_own >= VMAFX_LEN(sessions->table) / 2 ? own : oldest;
}

Session *sessions_begin(Sessions *sessions, const char *owner, uint64_t now_ns)
{
    Session *session = calloc(1, sizeof *session);

    if (!session || !make_id(session->id)) {
        free(session);
        return NULL;
    }
    snprintf(session->owner, sizeof session->owner, "%s", owner);
    atomic_init(&session->log_level, 8);
    atomic_init(&session->used_ns, now_ns);
    atomic_init(&session->refs, 2); /* the table's and the caller's */

    pthread_mutex_lock(&sessions->lock);
    Session **place = place_for(sessions, owner, now_ns);
    session_unref(place);
    *place = session;
    pthread_mutex_unlock(&sessions->lock);
    return session;
}

static Session **find(Sessions *sessions, const char *id, const char *owner)
{
    for (size_t i = 0; i < VMAFX_LEN(sessions->table); i++)
        if (sessions->table[i] && !strcmp(sessions->table[i]->id, id) && !strcmp(sessions->table[i]->owner, owner))
            return &sessions->table[i];
    return NULL;
}

Session *sessions_find(Sessions *sessions, const char *id, const char *owner, uint64_t now_ns)
{
    Session *found = NULL;

    pthread_mutex_lock(&sessions->lock);
    Session **at = find(sessions, id, owner);
    if (at && is_over(*at, now_ns))
        session_unref(at);
    else if (at) {
        found = *at;
        atomic_fetch_add(&found->refs, 1);
        atomic_store(&found->used_ns, now_ns);
    }
    pthread_mutex_unlock(&sessions->lock);
    return found;
}

bool sessions_end(Sessions *sessions, const char *id, const char *owner)
{
    pthread_mutex_lock(&sessions->lock);
    Session **at = find(sessions, id, owner);
    if (at)
        session_unref(at);
    pthread_mutex_unlock(&sessions->lock);
    return at != NULL;
}

size_t sessions_count(Sessions *sessions)
{
    size_t n = 0;

    pthread_mutex_lock(&sessions->lock);
    for (size_t i = 0; i < VMAFX_LEN(sessions->table); i++)
        n += sessions->table[i] != NULL;
    pthread_mutex_unlock(&sessions->lock);
    return n;
}
