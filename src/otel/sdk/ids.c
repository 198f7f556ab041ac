/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * xoshiro256++ 1.0 (Blackman and Vigna, 2019, public domain), one state per thread. It is no secret generator and need
 * not be one: ids must differ, not be unguessable.
 */

#include "otel/sdk/ids.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"

typedef struct Random {
    uint64_t s[4];
    unsigned seeded; /* the fork generation plus one; 0: never */
} Random;

static __thread Random thread_random;

/* Changes in the child of a fork, before anything else runs there. */
atomic_uint vmafx_fork_count;

static void forked(void)
{
    atomic_fetch_add_explicit(&vmafx_fork_count, 1, memory_order_relaxed);
}

static void watch(void)
{
    /* Fails on no memory only; then a child of a fork keeps its parent's ids, which is the worst that happens. */
    (void)pthread_atfork(NULL, NULL, forked);
}

void vmafx_fork_watch(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, watch);
}

static uint64_t splitmix(uint64_t *x)
{
    uint64_t z = *x += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Never waits: before the pool is up, or without the call, clocks and addresses must do. */
static __attribute__((noinline)) void seed(Random *random)
{
    ssize_t got;

    vmafx_fork_watch();
    do
        got = getrandom(random->s, sizeof random->s, GRND_NONBLOCK);
    while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof random->s || !(random->s[0] | random->s[1] | random->s[2] | random->s[3])) {
        uint64_t x = vmafx_wall_ns();

        x ^= vmafx_monotonic_ns() << 32 ^ (uint64_t)getpid() << 44 ^ (uintptr_t)random;
        for (int i = 0; i < 4; i++)
            random->s[i] = splitmix(&x);
    }
    random->seeded = vmafx_fork_generation() + 1;
}

static uint64_t rotl(uint64_t x, int k)
{
    return x << k | x >> (64 - k);
}

static uint64_t next(Random *random)
{
    uint64_t *s = random->s, result = rotl(s[0] + s[3], 23) + s[0], t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

uint64_t vmafx_ids_u64(void)
{
    Random *random = &thread_random;

    if (__builtin_expect(random->seeded != vmafx_fork_generation() + 1, 0))
        seed(random);
    return next(random);
}

void vmafx_ids_span(uint8_t ret[8])
{
    uint64_t id;

    do
        id = vmafx_ids_u64();
    while (!id);
    memcpy(ret, &id, 8);
}

void vmafx_ids_trace(uint8_t ret[16])
{
    /* The low half alone is non-zero: some peers only look at it. */
    uint64_t high = vmafx_ids_u64();

    memcpy(ret, &high, 8);
    vmafx_ids_span(ret + 8);
}

void vmafx_ids_new(uint8_t ret_trace[16], uint8_t ret_span[8])
{
    Random *random = &thread_random;

    if (__builtin_expect(random->seeded != vmafx_fork_generation() + 1, 0))
        seed(random);

    uint64_t high = next(random), low = next(random), span = next(random);

    while (!low)
        low = next(random);
    while (!span)
        span = next(random);
    memcpy(ret_trace, &high, 8);
    memcpy(ret_trace + 8, &low, 8);
    memcpy(ret_span, &span, 8);
}

static void random_trace_id(const VmafxIdGenerator *self, uint8_t ret[16])
{
    vmafx_ids_trace(ret);
}

static void random_span_id(const VmafxIdGenerator *self, uint8_t ret[8])
{
    vmafx_ids_span(ret);
}

const VmafxIdGenerator vmafx_ids_random = { random_trace_id, random_span_id, true };
