/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Random ids, and knowing that we are a forked child. One xoshiro256++ generator per thread, seeded by getrandom and
 * seeded anew in the child of a fork. Any thread; nothing blocks once the system's random pool is up.
 */
#ifndef VMAFX_OTEL_SDK_IDS_H
#define VMAFX_OTEL_SDK_IDS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/** A replaceable source of ids; both functions write non-zero ones and may be called from any thread. */
typedef struct VmafxIdGenerator {
    void (*trace_id)(const struct VmafxIdGenerator *self, uint8_t ret[16]);
    void (*span_id)(const struct VmafxIdGenerator *self, uint8_t ret[8]);
    bool random; /* the low 56 bits of a trace id are random: sets the W3C random flag of new traces */
} VmafxIdGenerator;

/** The default one. */
extern const VmafxIdGenerator vmafx_ids_random;

void vmafx_ids_trace(uint8_t ret[16]);
void vmafx_ids_span(uint8_t ret[8]);
void vmafx_ids_new(uint8_t ret_trace[16], uint8_t ret_span[8]); /* both at once */
uint64_t vmafx_ids_u64(void);

/**
 * How many forks lie between the process that first asked and this one. An SDK object remembers the number of its
 * making; a different one means that its threads are gone, its locks may be held for ever, and it must stay silent.
 * Counted since the first call of vmafx_fork_watch.
 */
extern atomic_uint vmafx_fork_count;
void vmafx_fork_watch(void);

static inline unsigned vmafx_fork_generation(void)
{
    return atomic_load_explicit(&vmafx_fork_count, memory_order_relaxed);
}
#endif
