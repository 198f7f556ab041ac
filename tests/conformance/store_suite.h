/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The one suite that every database behind src/store/store.h must pass. A test program gives it a way to an empty
 * database and back into the same one; the suite brings a clock of its own, so that hours pass at once.
 */
#ifndef VMAFX_TESTS_STORE_SUITE_H
#define VMAFX_TESTS_STORE_SUITE_H

#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

typedef struct StoreSuite {
    /** Opens the current database with these settings; the URL is for the function to fill in. */
    VmafxErr (*open)(const VmafxStoreConfig *config, VmafxStore **ret, VmafxErrInfo *reterr);
    /** The current database is an empty one from here on. */
    void (*renew)(void);
    /** Nothing that is written reaches the disk (VMAFX_ERR_IO), as long as it is on. */
    void (*fail_writes)(bool on);
    /** Has the row of a job break a rule, as damage would; nothing else of it changes. The database is closed. */
    void (*break_row)(const VmafxJobId *id);
} StoreSuite;

/** Runs everything. @return how many tests failed */
int store_suite_run(const StoreSuite *suite);

/* ---- For the tests of the suite, and of a program that uses it ---- */

#define SUITE_EPOCH  ((VmafxWall)1750000000000000) /* where the clock begins */
#define SUITE_SECOND 1000000

/** Sets up a test: an empty database, the clock at its beginning, and a store that is open. */
int suite_setup(void **state);
int suite_teardown(void **state);

/** The store of the test. */
VmafxStore *suite_store(void);
/** What it is opened with; to be changed before suite_reopen. */
VmafxStoreConfig *suite_config(void);
void suite_open(void);
void suite_close(void);
void suite_reopen(void);
/** Time passes, by both clocks. */
void suite_pass(int64_t us);
/** Someone sets the machine's clock. */
void suite_set_clock(int64_t by_us);
void suite_fail_writes(bool on);
/** With a reopening around it. */
void suite_break_row(uint32_t number);

/** The writer stands still until it is let go; what is handed over gathers behind it. */
void suite_hold_writer(void);
void suite_let_writer_go(void);
/** All that was handed over before has been answered. */
void suite_wait_for_writer(void);
/** A callback for operations that are looked at after that. */
void suite_ignore_done(VmafxStoreOp *op);

/** A number that has not been given in this test; ids made from it order by it. */
VmafxJobId suite_id(uint32_t number);
/** A submission with nothing special in it, to be changed at will. Its spec is "spec N". */
VmafxSubmission suite_submission(uint32_t number);

/* The operations, done at once. Where there is one item, the job is handed back (ret may be NULL). */
VmafxErr suite_submit(const VmafxSubmission *submission, VmafxJob *ret);
VmafxErr suite_lease(const char *node, VmafxJob *ret); /* VMAFX_ERR_NOT_FOUND: nothing to do */
VmafxErr suite_renew(const char *node, uint32_t number, int32_t attempt);
VmafxErr suite_end(const VmafxAttemptReport *report, uint32_t number, const char *result, VmafxJob *ret);
VmafxErr suite_cancel(uint32_t number, VmafxJob *ret);
VmafxErr suite_delete(uint32_t number);
size_t suite_expire(void);
VmafxAttemptReport suite_success(const char *node, int32_t attempt);
VmafxAttemptReport suite_failure(const char *node, int32_t attempt, VmafxFailure failure);

/** A submission with nothing special in it is accepted. */
void suite_submit_plain(uint32_t number);
/** The next job in the order of work is this one, and goes to the node. */
void suite_assert_leased(const char *node, uint32_t number);
/** The error of an operation or of its first item, whose job is handed back (ret may be NULL); frees the answer. */
VmafxErr suite_take_item(VmafxStoreOp *op, VmafxJob *ret);

/** The row as a reader sees it; the test fails when it is not there. */
VmafxJob suite_get(uint32_t number);
VmafxStoreCounts suite_counts(void);

/** Field by field; says what differs, or NULL. */
const char *suite_job_differs(const VmafxJob *a, const VmafxJob *b);
const char *suite_event_differs(const VmafxEvent *a, const VmafxEvent *b);

/* ---- Its parts, each a group of tests; how many failed ---- */

#define SUITE_CASE(name) cmocka_unit_test_setup_teardown(name, suite_setup, suite_teardown)
int store_suite_work(void);
int store_suite_faults(void);
int store_suite_ends(void);
int store_suite_reads(void);
int store_suite_threads(void);

/** In store_model.c: random operations against the store and a plain model of it in memory. */
void random_operations_do_to_the_store_what_they_do_to_a_plain_model(void **state);
#endif
