/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the controller keeps in memory of nodes and followers: how much of it, and who may look at it when. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pthread.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/clock.h"
#include "programs/controller/connect_internal.h"
#include "programs/controller/watch.h"

/* ---- A table of nodes without streams ---- */

static VmafxAttemptRef attempt(uint8_t number)
{
    VmafxAttemptRef ref = { .attempt = 1 };

    ref.job.bytes[15] = number;
    return ref;
}

static NodeTable *make_table(size_t results_bytes_max)
{
    NodeTable *table = node_table_new(&(NodeTableConfig){ .lease_ms = 60000, .results_bytes_max = results_bytes_max });

    assert_non_null(table);
    return table;
}

static Session *add_node(NodeTable *table, const char *name)
{
    Session *session = calloc(1, sizeof *session);

    assert_non_null(session);
    session->table = table;
    session->refs = 1;
    session->slots = 8;
    session->ready = session->listed = true;
    session->seen_ns = vmafx_monotonic_ns();
    snprintf(session->name, sizeof session->name, "%s", name);
    table->sessions[table->n_sessions++] = session;
    return session;
}

static void hold(Session *session, uint8_t number)
{
    VmafxAttemptRef ref = attempt(number);

    assert_true(session_hold(session, &ref, 0));
}

static Held *held(Session *session, uint8_t number)
{
    VmafxAttemptRef ref = attempt(number);

    return session_held(session, &ref);
}

static void drop_all(Session *session)
{
    while (session->n_held)
        session_release(session, &session->held[0].ref);
}

/* ---- Results on their way in ---- */

static void send_bytes(Session *session, uint8_t number, int64_t offset, const char *text)
{
    partial_add(session->table, session, held(session, number), offset, text, strlen(text));
}

static void chunks_add_up_in_their_order_and_in_no_other(void **state)
{
    NodeTable *table = make_table(0);
    Session *node = add_node(table, "a");
    size_t len, room;

    hold(node, 1);
    send_bytes(node, 1, 0, "abc");
    send_bytes(node, 1, 4, "xxx");  /* a gap */
    send_bytes(node, 1, 1, "xxx");  /* again */
    send_bytes(node, 1, -1, "xxx"); /* nonsense */
    send_bytes(node, 1, INT64_MAX, "xxx");
    send_bytes(node, 1, 3, "def");
    uint8_t *data = partial_take(node, held(node, 1), &len, &room);
    assert_int_equal(len, 6);
    assert_memory_equal(data, "abcdef", 6);
    assert_int_equal(node->partial_bytes, 0);
    assert_int_equal(table->result_bytes, room); /* until it is on the disk */
    partial_freed(table, room);
    free(data);

    send_bytes(node, 1, 0, "abc");
    send_bytes(node, 1, 0, "de"); /* anew */
    data = partial_take(node, held(node, 1), &len, &room);
    assert_int_equal(len, 2);
    assert_memory_equal(data, "de", 2);
    partial_freed(table, room);
    free(data);
    assert_int_equal(table->result_bytes, 0);
    drop_all(node);
    node_table_free(&table);
}

static void an_attempt_that_is_over_frees_what_had_come(void **state)
{
    NodeTable *table = make_table(0);
    Session *node = add_node(table, "a");

    hold(node, 1);
    hold(node, 2);
    send_bytes(node, 1, 0, "abc");
    send_bytes(node, 2, 0, "defghi");
    assert_int_equal(node->partial_bytes, 9);
    session_release(node, &held(node, 1)->ref);
    assert_int_equal(node->partial_bytes, 6);
    assert_int_equal(table->result_bytes, 6);
    drop_all(node);
    assert_int_equal(table->result_bytes, 0);
    node_table_free(&table);
}

/** The node that fills the most gives way, be it the one that sends; nobody gets above the limit. */
static void results_that_nobody_finishes_make_room_for_others(void **state)
{
    enum { ALL = 1000 };
    NodeTable *table = make_table(ALL);
    Session *greedy = add_node(table, "greedy"), *honest = add_node(table, "honest");
    char text[101];
    size_t len, room;

    memset(text, 'x', 100);
    text[100] = 0;
    for (uint8_t i = 1; i <= 20; i++) {
        hold(greedy, i);
        send_bytes(greedy, i, 0, text);
        assert_in_range(table->result_bytes, 1, ALL);
    }
    hold(honest, 100);
    send_bytes(honest, 100, 0, text);
    send_bytes(honest, 100, 100, text);
    assert_in_range(table->result_bytes, 1, ALL);
    assert_false(held(honest, 100)->partial.taken_away);
    uint8_t *data = partial_take(honest, held(honest, 100), &len, &room);
    assert_int_equal(len, 200);
    free(data);
    partial_freed(table, room);

    size_t taken = 0;
    for (uint8_t i = 1; i <= 20; i++)
        taken += held(greedy, i)->partial.taken_away;
    assert_in_range(taken, 11, 13); /* of 20, ten have room, and then the other's */

    hold(honest, 101);
    drop_all(greedy);
    for (int i = 0; i < 11; i++)
        send_bytes(honest, 101, 100 * i, text); /* more than there is for all */
    assert_true(held(honest, 101)->partial.taken_away);
    assert_int_equal(table->result_bytes, 0);
    send_bytes(honest, 101, 1100, text); /* what follows is of no use */
    assert_int_equal(table->result_bytes, 0);
    send_bytes(honest, 101, 0, text); /* anew */
    assert_false(held(honest, 101)->partial.taken_away);
    assert_int_equal(honest->partial_bytes, 100);
    drop_all(honest);
    node_table_free(&table);
}

static void one_node_has_no_more_than_one_result_may_have(void **state)
{
    enum { PIECE = 64 << 20 };
    NodeTable *table = make_table(0);
    Session *node = add_node(table, "a");
    char *piece = calloc(1, PIECE);

    assert_non_null(piece);
    for (uint8_t i = 1; i <= 6; i++) {
        hold(node, i);
        partial_add(table, node, held(node, i), 0, piece, PIECE);
        assert_in_range(node->partial_bytes, 1, RESULT_BYTES_MAX);
    }
    assert_false(held(node, 6)->partial.taken_away); /* the newest is there */
    for (int64_t at = PIECE; at <= (int64_t)RESULT_BYTES_MAX; at += PIECE)
        partial_add(table, node, held(node, 6), at, piece, PIECE); /* up to the limit, which takes the others' room */
    assert_int_equal(held(node, 6)->partial.len, RESULT_BYTES_MAX);
    assert_int_equal(node->partial_bytes, RESULT_BYTES_MAX);
    drop_all(node);
    free(piece);
    node_table_free(&table);
}

/* ---- Places ---- */

/** Names come and go where nodes are made as needed; those that are gone keep nobody out. */
static void nodes_that_are_gone_make_place_for_new_ones(void **state)
{
    NodeTable *table = make_table(0);
    char name[16];

    for (int i = 0; i < VMAFX_FLEET_NODES_MAX; i++) {
        assert_true(table_has_place(table));
        snprintf(name, sizeof name, "n%d", i);
        add_node(table, name);
    }
    assert_false(table_has_place(table));
    table_find(table, "n7")->gone = table_find(table, "n9")->gone = true;
    table_find(table, "n9")->seen_ns = 1;
    assert_true(table_has_place(table));
    assert_null(table_find(table, "n9"));
    assert_non_null(table_find(table, "n7"));
    node_table_free(&table);
}

/* ---- What people see of nodes ---- */

typedef struct Looking {
    Session *node;
    char seen[NODE_GPU_ID_MAX];
} Looking;

/** A heartbeat comes while the answer is being written. */
static VmafxErr look(void *ctx, const ProtobufCMessage *message)
{
    const Vmafx__V1__ListNodesResponse *response = (const Vmafx__V1__ListNodesResponse *)message;
    Looking *looking = ctx;

    strcpy(looking->node->gpus[0].id, "another");
    snprintf(looking->seen, sizeof looking->seen, "%s", response->nodes[0]->load->gpus[0]->id);
    return VMAFX_OK;
}

static void a_list_of_nodes_is_not_touched_by_what_they_say_meanwhile(void **state)
{
    NodeTable *table = make_table(0);
    Looking looking = { .node = add_node(table, "a") };
    ApiCall call = { .answer = look, .ctx = &looking };
    Vmafx__V1__ListNodesRequest request = VMAFX__V1__LIST_NODES_REQUEST__INIT;
    Api api = { .n = 0 };

    node_table_api(table, &api);
    looking.node->version = vmafx_strdup("1");
    looking.node->cpu_level = vmafx_strdup("c");
    looking.node->address = vmafx_strdup("here");
    looking.node->n_gpus = 1;
    strcpy(looking.node->gpus[0].id, "first");
    const ApiMethod *list = api_find(&api, "/vmafx.v1.Fleet/ListNodes");
    assert_int_equal(list->run(list->ctx, &call, &request, NULL), VMAFX_OK);
    assert_string_equal(looking.seen, "first");
    node_table_free(&table);
}

/* ---- A store ---- */

/** Of config, what is told and how much may wait. */
static VmafxStore *make_store(char folder[64], VmafxStoreConfig config)
{
    VmafxStore *store = NULL;
    char url[96];

    strcpy(folder, "/tmp/test_controller_fleet_XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(url, sizeof url, "%s/jobs.db", folder);
    config.url = url;
    config.durability = VMAFX_DURABILITY_NORMAL;
    config.rules = (VmafxFleetRules)VMAFX_FLEET_RULES;
    assert_int_equal(vmafx_store_open(&config, &store, NULL), VMAFX_OK);
    return store;
}

static void close_store(VmafxStore **store, const char *folder)
{
    char command[96];

    vmafx_store_close(store);
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    assert_int_equal(system(command), 0);
}

/* ---- Ends that the store cannot take ---- */

/** Lets the store's writer stand, once it has something to tell. */
typedef struct Gate {
    pthread_mutex_t lock; /* covers what follows */
    pthread_cond_t change;
    bool stands, open, done;
} Gate;

static void stand(void *ctx, const VmafxEvent *events, const VmafxJob *const *jobs, size_t n)
{
    Gate *gate = ctx;

    pthread_mutex_lock(&gate->lock);
    gate->stands = true;
    pthread_cond_broadcast(&gate->change);
    while (!gate->open)
        pthread_cond_wait(&gate->change, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

static void submitted(VmafxStoreOp *op)
{
    Gate *gate = op->ctx;

    vmafx_store_op_done(op);
    pthread_mutex_lock(&gate->lock);
    gate->done = true;
    pthread_cond_broadcast(&gate->change);
    pthread_mutex_unlock(&gate->lock);
}

static void wait_for(Gate *gate, const bool *flag)
{
    pthread_mutex_lock(&gate->lock);
    while (!*flag)
        pthread_cond_wait(&gate->change, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

/** It is busy, and the report is none the worse for it. */
static void an_end_that_finds_the_stores_line_full_is_asked_for_again(void **state)
{
    Gate gate = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false, false };
    char folder[64], id[VMAFX_JOB_ID_TEXT];
    VmafxStore *store =
        make_store(folder, (VmafxStoreConfig){ .pending_max = 1, .on_events = stand, .on_events_ctx = &gate });
    NodeTable *table = node_table_new(&(NodeTableConfig){ .store = store, .lease_ms = 60000 });
    Session *node = add_node(table, "a");
    VmafxSubmission s = { .job = { .timeout_us = 1, .attempt_limit = 1, .id.bytes[15] = 9, .submitter = "x" },
                          .spec = "" };
    VmafxStoreOp op = {
        .kind = VMAFX_STORE_SUBMIT, .submissions = &s, .n_submissions = 1, .done = submitted, .ctx = &gate
    };
    Vmafx__V1__AttemptRef ref = VMAFX__V1__ATTEMPT_REF__INIT;
    Vmafx__V1__TaskEnd end = VMAFX__V1__TASK_END__INIT;
    VmafxAttemptRef of = attempt(1);

    vmafx_store_submit_op(store, &op);
    wait_for(&gate, &gate.stands);
    hold(node, 1);
    vmafx_job_id_text(&of.job, id);
    ref.job_id = id;
    ref.attempt = 1;
    end.attempt = &ref;
    end.outcome = VMAFX__V1__ATTEMPT_OUTCOME__ATTEMPT_OUTCOME_FAILED;
    end.failure_class = VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_INPUT;
    connect_end(node, &end);
    assert_true(held(node, 1)->ask_again);
    assert_false(held(node, 1)->ending);
    assert_int_equal(node->under_way, 0);

    pthread_mutex_lock(&gate.lock);
    gate.open = true;
    pthread_cond_broadcast(&gate.change);
    pthread_mutex_unlock(&gate.lock);
    wait_for(&gate, &gate.done);
    close_store(&store, folder);
    drop_all(node);
    node_table_free(&table);
}

/* ---- Followers ---- */

typedef struct Reader {
    Follower follower; /* first */
    size_t lag;
    int progress, changes, ends;
} Reader;

static void tell(Follower *follower, WatchNews *news)
{
    Reader *reader = (Reader *)follower;

    reader->progress += !strcmp(watch_news_kind(news), "progress");
    reader->changes += !strcmp(watch_news_kind(news), "change");
}

static void end(Follower *follower, VmafxErr err, const char *why)
{
    ((Reader *)follower)->ends++;
}

static size_t waiting(Follower *follower)
{
    return ((Reader *)follower)->lag;
}

static const FollowerDoor door = { tell, end, waiting };

/** A job that runs. */
static VmafxJob submit(VmafxStore *store)
{
    VmafxSubmission s = { .job = { .timeout_us = 1000000, .attempt_limit = 1 }, .spec = "", .spec_len = 0 };
    VMAFX_AUTO(vmafx_store_op_done)
    VmafxStoreOp op = { .kind = VMAFX_STORE_SUBMIT, .submissions = &s, .n_submissions = 1 };

    s.job.id.bytes[15] = 1;
    strcpy(s.job.submitter, "somebody");
    assert_int_equal(vmafx_store_wait(store, &op), VMAFX_OK);
    assert_int_equal(op.items[0].err, VMAFX_OK);
    return op.items[0].job;
}

static void one_that_lags_is_told_what_changes_and_not_how_far_it_is(void **state)
{
    char folder[64], id[VMAFX_JOB_ID_TEXT];
    VmafxStore *store = make_store(folder, (VmafxStoreConfig){ .pending_max = 0 });
    WatchHub *hub = watch_hub_new(store);
    VmafxJob job = submit(store);
    const VmafxJob *row = &job;
    Reader reader = { .lag = 0 };
    Caller caller = { .address = "" };
    Vmafx__V1__Progress progress = VMAFX__V1__PROGRESS__INIT;
    VmafxStep step;
    uint64_t now = vmafx_monotonic_ns();
    uint8_t span[8] = { 1 };

    vmafx_job_id_text(&job.id, id);
    assert_int_equal(watch_hub_enter(hub, &door, &reader.follower, NULL), VMAFX_OK);
    assert_int_equal(watch_hub_join(&reader.follower, &caller, id, -1, NULL), VMAFX_OK);
    assert_int_equal(vmafx_job_lease(&job, &VMAFX_FLEET_RULES, "a", span, job.created, &step), VMAFX_OK);
    step.events[0].sequence = 100;
    watch_hub_events(hub, step.events, &row, 1);
    assert_int_equal(reader.changes, 1);
    for (int i = 0; i < 3; i++)
        watch_hub_progress(hub, &job.id, &progress, now += 1000000000);
    assert_int_equal(reader.progress, 3);

    reader.lag = WATCH_LAG_BYTES + 1;
    for (int i = 0; i < 1000; i++)
        watch_hub_progress(hub, &job.id, &progress, now += 1000000000);
    assert_int_equal(reader.progress, 3);
    reader.lag = WATCH_LAG_BYTES;
    watch_hub_progress(hub, &job.id, &progress, now += 1000000000);
    assert_int_equal(reader.progress, 4);

    reader.lag = WATCH_LAG_BYTES + 1;
    assert_int_equal(vmafx_job_cancel(&job, "", job.created, &step), VMAFX_OK);
    for (size_t i = 0; i < step.n; i++) {
        step.events[i].sequence = 101 + (int64_t)i;
        watch_hub_events(hub, &step.events[i], &row, 1);
    }
    assert_int_equal(reader.changes, 3);
    assert_int_equal(reader.ends, 1);
    watch_hub_leave(&reader.follower);
    watch_hub_free(&hub);
    close_store(&store, folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_add_up_in_their_order_and_in_no_other),
        cmocka_unit_test(an_attempt_that_is_over_frees_what_had_come),
        cmocka_unit_test(results_that_nobody_finishes_make_room_for_others),
        cmocka_unit_test(one_node_has_no_more_than_one_result_may_have),
        cmocka_unit_test(nodes_that_are_gone_make_place_for_new_ones),
        cmocka_unit_test(a_list_of_nodes_is_not_touched_by_what_they_say_meanwhile),
        cmocka_unit_test(an_end_that_finds_the_stores_line_full_is_asked_for_again),
        cmocka_unit_test(one_that_lags_is_told_what_changes_and_not_how_far_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
