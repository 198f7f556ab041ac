/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A whole fleet without a fleet: a store, controllers, nodes, submitters and the network between them under a virtual
 * clock, all decisions made by src/fleet. An episode has a while with faults and a quiet end by which everything must
 * have come right; rules are checked after every step.
 *
 * An episode is a function of its seed and its list of faults alone. The list is made from the seed beforehand, so that
 * it can be cut down: what is left when no fault can be taken away any more is the script that explains a failure.
 */
#ifndef VMAFX_TESTS_INTERLEAVE_SIMULATION_H
#define VMAFX_TESTS_INTERLEAVE_SIMULATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define SIM_FAULTS_MAX 64
#define SIM_RULE_MAX   256

typedef enum SimFaultKind {
    SIM_CONTROLLER_CRASH = 0, /* loses its memory, and operations whose group was not committed; back after span */
    SIM_CONTROLLER_FREEZE,    /* stands still for span; what comes in waits */
    SIM_NODE_CRASH,           /* loses all but its spool; back after span */
    SIM_NODE_FREEZE,
    SIM_CONNECTION_LOSS, /* both sides notice soon; what is under way is lost */
    SIM_CONNECTION_HALF, /* only the node notices; the controller still believes in it */
    SIM_CUT,             /* nothing gets through for span; both sides notice by silence */
    SIM_DUPLICATE,       /* the next messages of this node's connection arrive twice */
    SIM_CORRUPT,         /* the next result of this node arrives damaged */
    SIM_STORE_ERRORS,    /* operations fail for span and change nothing */
    SIM_STORE_SLOW,      /* groups take long for span */
    SIM_CLOCK_JUMP,      /* the store's clock goes forward by span */
    SIM_CLOCK_STOP,      /* ... stands still for span, as after a step backward */
    SIM_DRAIN,           /* a node is drained, and starts anew after span */
    SIM_DRAIN_HARD,      /* ... handing back what it has */
    SIM_FAULT_KINDS,
} SimFaultKind;

typedef struct SimFault {
    int64_t at; /* microseconds since the beginning of the episode */
    SimFaultKind kind;
    uint32_t target; /* which controller or node */
    int64_t span;    /* microseconds */
} SimFault;

typedef struct SimResult {
    bool failed;
    char rule[SIM_RULE_MAX]; /* the rule that was broken, and about what */
    int64_t at;              /* virtual time of it */
    uint64_t steps, jobs, succeeded, job_failed, cancelled, attempts, lost, fenced, handed_back;
} SimResult;

const char *sim_fault_name(SimFaultKind kind);

/** The faults of an episode. @return how many, at most SIM_FAULTS_MAX */
size_t sim_make_faults(uint64_t seed, SimFault ret[SIM_FAULTS_MAX]);

/** Plays one episode. trace: NULL, or where its last lines go when a rule is broken. */
void sim_run(uint64_t seed, const SimFault *faults, size_t n_faults, FILE *trace, SimResult *ret);

/**
 * Takes faults away as long as the episode still fails (delta debugging: Zeller, Hildebrandt, 2002; then shorter
 * spans). Changes the list in place. @return how many are left
 */
size_t sim_shrink(uint64_t seed, SimFault *faults, size_t n_faults, SimResult *ret);
#endif
