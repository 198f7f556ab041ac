/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Contexts in one process: what they hold, who frees them, and which is current on a thread. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pthread.h>
#include <stdatomic.h>

#include <cmocka.h>

#include "base/base.h"
#include "otel/api/context.h"

/* ---- a value that counts the references to it ---- */

static void counted_ref(void *value)
{
    atomic_fetch_add((atomic_int *)value, 1);
}

static void counted_unref(void *value)
{
    atomic_fetch_sub((atomic_int *)value, 1);
}

static const VmafxContextKey counted = { "counted", counted_ref, counted_unref };
static const VmafxContextKey plain = { "plain", NULL, NULL };

static VmafxContext *holding(atomic_int *counter)
{
    return vmafx_context_with_value(NULL, &counted, counter);
}

/* ---- what a context holds ---- */

static void every_function_takes_null(void **state)
{
    VmafxSpanContext span = { .flags = 1 };
    VmafxContext *none = NULL;

    assert_false(vmafx_span_context_valid(NULL));
    assert_null(vmafx_context_ref(NULL));
    vmafx_context_unref(NULL);
    vmafx_context_unref(&none);
    assert_false(vmafx_context_span(NULL, &span));
    assert_int_equal(span.flags, 0);
    assert_false(vmafx_context_span(NULL, NULL));
    assert_null(vmafx_context_baggage(NULL));
    assert_null(vmafx_context_value(NULL, NULL));
    assert_null(vmafx_context_value(NULL, &plain));
    assert_null(vmafx_context_with_value(NULL, NULL, &span));
}

static void a_span_is_valid_when_both_ids_are(void **state)
{
    static const struct {
        const char *why;
        VmafxSpanContext span;
        bool valid;
    } cases[] = {
        { "no ids", { .flags = 1 }, false },
        { "no span id", { .trace_id = { 1 } }, false },
        { "no trace id", { .span_id = { 1 } }, false },
        { "the first bytes", { .trace_id = { 1 }, .span_id = { 1 } }, true },
        { "the last bytes", { .trace_id = { [15] = 1 }, .span_id = { [7] = 1 } }, true },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VMAFX_AUTO(vmafx_context_unref) VmafxContext *context = vmafx_context_with_span(NULL, &cases[i].span);
        print_message("  %s\n", cases[i].why);
        assert_int_equal(vmafx_span_context_valid(&cases[i].span), cases[i].valid);
        assert_int_equal(vmafx_context_span(context, NULL), cases[i].valid);
    }
}

static void a_new_context_leaves_the_old_one_alone(void **state)
{
    VmafxSpanContext span = { .trace_id = { 1 }, .span_id = { 2 }, .flags = 3 }, got;
    VMAFX_AUTO(vmafx_baggage_unref) VmafxBaggage *baggage = vmafx_baggage_set(NULL, "a", "1", NULL);
    VMAFX_AUTO(vmafx_context_unref) VmafxContext *with_span = vmafx_context_with_span(NULL, &span);
    VMAFX_AUTO(vmafx_context_unref) VmafxContext *with_both = vmafx_context_with_baggage(with_span, baggage);
    VMAFX_AUTO(vmafx_context_unref) VmafxContext *without_span = vmafx_context_with_span(with_both, NULL);

    assert_null(vmafx_context_baggage(with_span));
    assert_ptr_equal(vmafx_context_baggage(with_both), baggage);
    assert_true(vmafx_context_span(with_both, &got));
    assert_memory_equal(got.trace_id, span.trace_id, sizeof got.trace_id);
    assert_int_equal(got.flags, 3);
    assert_false(vmafx_context_span(without_span, &got));
    assert_int_equal(got.flags, 0);
    assert_ptr_equal(vmafx_context_baggage(without_span), baggage);

    VMAFX_AUTO(vmafx_context_unref) VmafxContext *cleared = vmafx_context_with_baggage(with_both, NULL);
    assert_null(vmafx_context_baggage(cleared));
    assert_true(vmafx_context_span(cleared, NULL));
}

static void a_context_keeps_the_state_and_the_baggage_alive(void **state)
{
    VmafxSpanContext span = { .trace_id = { 1 }, .span_id = { 2 }, .state = vmafx_tracestate_parse("a=1", 3) };
    VmafxBaggage *baggage = vmafx_baggage_set(NULL, "k", "v", NULL);
    VmafxContext *first = vmafx_context_with_span(NULL, &span);
    VMAFX_AUTO(vmafx_context_unref) VmafxContext *second = vmafx_context_with_baggage(first, baggage);

    vmafx_tracestate_unref(&span.state);
    vmafx_baggage_unref(&baggage);
    vmafx_context_unref(&first);
    assert_null(first);
    assert_true(vmafx_context_span(second, &span));
    assert_string_equal(vmafx_tracestate_text(span.state), "a=1");
    assert_string_equal(vmafx_baggage_get(vmafx_context_baggage(second), "k"), "v");
}

static void values_are_found_by_their_key(void **state)
{
    atomic_int counter = 0;
    int other = 0;
    VmafxContext *one = holding(&counter);
    VmafxContext *two = vmafx_context_with_value(one, &plain, &other);
    VmafxContext *replaced = vmafx_context_with_value(two, &plain, &counter);
    VmafxContext *removed = vmafx_context_with_value(two, &counted, NULL);

    assert_ptr_equal(vmafx_context_value(one, &counted), &counter);
    assert_null(vmafx_context_value(one, &plain));
    assert_ptr_equal(vmafx_context_value(two, &plain), &other);
    assert_ptr_equal(vmafx_context_value(two, &counted), &counter);
    assert_ptr_equal(vmafx_context_value(replaced, &plain), &counter);
    assert_null(vmafx_context_value(removed, &counted));
    assert_ptr_equal(vmafx_context_value(removed, &plain), &other);
    assert_int_equal(counter, 3);

    vmafx_context_unref(&one);
    vmafx_context_unref(&two);
    vmafx_context_unref(&replaced);
    vmafx_context_unref(&removed);
    assert_int_equal(counter, 0);
}

static void values_over_the_limit_are_counted(void **state)
{
    static const VmafxContextKey keys[VMAFX_CONTEXT_VALUES_MAX + 1];
    uint64_t before = vmafx_context_drops(VMAFX_CONTEXT_DROP_VALUE);
    VMAFX_AUTO(vmafx_context_unref) VmafxContext *context = NULL;
    int value = 0;

    for (int i = 0; i < VMAFX_CONTEXT_VALUES_MAX; i++) {
        VmafxContext *more = vmafx_context_with_value(context, &keys[i], &value);
        vmafx_context_unref(&context);
        context = more;
    }
    assert_int_equal(vmafx_context_drops(VMAFX_CONTEXT_DROP_VALUE), before);
    VMAFX_AUTO(vmafx_context_unref)
    VmafxContext *same = vmafx_context_with_value(context, &keys[VMAFX_CONTEXT_VALUES_MAX], &value);
    assert_ptr_equal(same, context);
    assert_int_equal(vmafx_context_drops(VMAFX_CONTEXT_DROP_VALUE), before + 1);

    VMAFX_AUTO(vmafx_context_unref) VmafxContext *changed = vmafx_context_with_value(context, &keys[0], &before);
    assert_ptr_equal(vmafx_context_value(changed, &keys[0]), &before);
    assert_ptr_equal(vmafx_context_value(changed, &keys[VMAFX_CONTEXT_VALUES_MAX - 1]), &value);
}

/* ---- the current context ---- */

enum { DEEP = 100 };

/* Contexts with a counter each, to tell them apart and to see them freed. */
typedef struct Contexts {
    atomic_int counters[DEEP];
    VmafxContext *of[DEEP];
    VmafxContextToken tokens[DEEP];
} Contexts;

static void contexts_done(Contexts *contexts)
{
    assert_null(vmafx_context_current());
    for (int i = 0; i < DEEP; i++) {
        vmafx_context_unref(&contexts->of[i]);
        assert_int_equal(contexts->counters[i], 0);
    }
}

static void attach_all(Contexts *contexts, int n)
{
    for (int i = 0; i < n; i++) {
        contexts->of[i] = holding(&contexts->counters[i]);
        contexts->tokens[i] = vmafx_context_attach(contexts->of[i]);
        assert_ptr_equal(vmafx_context_current(), contexts->of[i]);
        vmafx_context_unref(&contexts->of[i]); /* attached is enough to live */
        assert_int_equal(contexts->counters[i], 1);
    }
}

/* Whether the current context is the one with this counter. */
static bool is_current(Contexts *contexts, int i)
{
    return vmafx_context_value(vmafx_context_current(), &counted) == &contexts->counters[i];
}

static void a_thread_begins_at_the_root(void **state)
{
    assert_null(vmafx_context_current());
}

static void detaching_in_reverse_order_restores(void **state)
{
    VMAFX_AUTO(contexts_done) Contexts contexts = { 0 };

    attach_all(&contexts, DEEP);
    for (int i = DEEP - 1; i >= 0; i--) {
        assert_true(is_current(&contexts, i));
        assert_true(vmafx_context_detach(contexts.tokens[i]));
        assert_int_equal(contexts.counters[i], 0);
    }
}

static void the_root_can_be_attached(void **state)
{
    VMAFX_AUTO(contexts_done) Contexts contexts = { 0 };

    attach_all(&contexts, 1);
    VmafxContextToken root = vmafx_context_attach(NULL);
    assert_null(vmafx_context_current());
    assert_true(vmafx_context_detach(root));
    assert_true(is_current(&contexts, 0));
    assert_true(vmafx_context_detach(contexts.tokens[0]));
}

static void detaching_out_of_order_is_said_and_repaired(void **state)
{
    VMAFX_AUTO(contexts_done) Contexts contexts = { 0 };
    uint64_t before = vmafx_context_drops(VMAFX_CONTEXT_DROP_ORDER);

    attach_all(&contexts, 5);
    assert_false(vmafx_context_detach(contexts.tokens[2]));
    assert_true(is_current(&contexts, 1));
    for (int i = 2; i < 5; i++)
        assert_int_equal(contexts.counters[i], 0);
    assert_false(vmafx_context_detach(contexts.tokens[4])); /* gone already: nothing happens */
    assert_true(is_current(&contexts, 1));
    assert_int_equal(vmafx_context_drops(VMAFX_CONTEXT_DROP_ORDER), before + 2);
    assert_true(vmafx_context_detach(contexts.tokens[1]));
    assert_true(vmafx_context_detach(contexts.tokens[0]));
}

static void a_token_used_twice_changes_nothing(void **state)
{
    VMAFX_AUTO(contexts_done) Contexts contexts = { 0 };

    attach_all(&contexts, 2);
    VmafxContextToken used = contexts.tokens[1];
    assert_true(vmafx_context_detach(used));
    assert_false(vmafx_context_detach(used));

    VmafxContextToken fresh = vmafx_context_attach(NULL); /* at the same depth */
    assert_false(vmafx_context_detach(used));
    assert_null(vmafx_context_current());
    assert_true(vmafx_context_detach(fresh));
    assert_true(is_current(&contexts, 0));
    assert_true(vmafx_context_detach(contexts.tokens[0]));
    assert_true(vmafx_context_detach((VmafxContextToken){ 0 })); /* stands for nothing */
}

static void depth_is_bounded_and_counted(void **state)
{
    atomic_int counter = 0;
    VmafxContext *context = holding(&counter);
    VmafxContextToken first = vmafx_context_attach(context), last = first;
    uint64_t before = vmafx_context_drops(VMAFX_CONTEXT_DROP_DEPTH);

    for (int i = 1; i < VMAFX_CONTEXT_DEPTH_MAX; i++)
        last = vmafx_context_attach(context);
    VmafxContextToken beyond = vmafx_context_attach(NULL);
    assert_ptr_equal(vmafx_context_current(), context);
    assert_int_equal(vmafx_context_drops(VMAFX_CONTEXT_DROP_DEPTH), before + 1);
    assert_true(vmafx_context_detach(beyond));
    assert_ptr_equal(vmafx_context_current(), context);
    assert_true(vmafx_context_detach(last));
    assert_false(vmafx_context_detach(first));
    assert_null(vmafx_context_current());
    vmafx_context_unref(&context);
    assert_int_equal(counter, 0);
}

/* ---- threads ---- */

/* Two threads that began alike, so that their tokens differ in the thread only. */
typedef struct Twins {
    VmafxContext *context;
    VmafxContextToken token; /* of the first */
    bool began_at_root, refused, kept;
} Twins;

static void *second_twin(void *arg)
{
    Twins *twins = arg;

    twins->began_at_root = !vmafx_context_current();
    VmafxContextToken token = vmafx_context_attach(twins->context);
    twins->refused = !vmafx_context_detach(twins->token);
    twins->kept = vmafx_context_current() == twins->context;
    vmafx_context_detach(token);
    return NULL;
}

static void *first_twin(void *arg)
{
    Twins *twins = arg;
    pthread_t second;

    twins->token = vmafx_context_attach(twins->context);
    if (pthread_create(&second, NULL, second_twin, twins) == 0)
        pthread_join(second, NULL);
    vmafx_context_detach(twins->token);
    return NULL;
}

static void a_token_is_good_on_its_own_thread_only(void **state)
{
    atomic_int counter = 0;
    Twins twins = { .context = holding(&counter) };
    pthread_t first;

    assert_int_equal(pthread_create(&first, NULL, first_twin, &twins), 0);
    pthread_join(first, NULL);
    assert_true(twins.began_at_root);
    assert_true(twins.refused);
    assert_true(twins.kept);
    vmafx_context_unref(&twins.context);
    assert_int_equal(counter, 0);
}

/* Attaches, and leaves more than one frame, some of them on the heap, for the thread's end. */
static void *attach_and_exit(void *arg)
{
    VmafxContext *context = arg;

    for (int i = 0; i < 12; i++)
        vmafx_context_attach(context);
    return vmafx_context_current() == context ? NULL : arg;
}

static void ten_thousand_threads_that_attach_and_exit_leave_nothing(void **state)
{
    enum { THREADS = 10000, AT_A_TIME = 20 };
    atomic_int counter = 0;
    VmafxContext *context = holding(&counter);

    for (int done = 0; done < THREADS; done += AT_A_TIME) {
        pthread_t threads[AT_A_TIME];
        for (int i = 0; i < AT_A_TIME; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, attach_and_exit, context), 0);
        for (int i = 0; i < AT_A_TIME; i++) {
            void *wrong;
            pthread_join(threads[i], &wrong);
            assert_null(wrong);
        }
    }
    assert_int_equal(counter, 1); /* one context holds it, ours */
    vmafx_context_unref(&context);
    assert_int_equal(counter, 0); /* and ours was the last reference */
}

/* Another key's destructor, which may well run after ours. */
static void attach_late(void *context)
{
    vmafx_context_attach(context);
}

static pthread_key_t late_key;

static void *exit_late(void *context)
{
    vmafx_context_attach(context);
    pthread_setspecific(late_key, context);
    return NULL;
}

static void attaching_while_a_thread_ends_leaves_nothing(void **state)
{
    atomic_int counter = 0;
    VmafxContext *context = holding(&counter);
    pthread_t thread;

    assert_int_equal(pthread_key_create(&late_key, attach_late), 0);
    assert_int_equal(pthread_create(&thread, NULL, exit_late, context), 0);
    pthread_join(thread, NULL);
    pthread_key_delete(late_key);
    vmafx_context_unref(&context);
    assert_int_equal(counter, 0);
}

enum { SHARERS = 8, ROUNDS = 2000 };

/* Everything one may do to shared objects, from many threads. NULL when all went well. */
static void *share(void *arg)
{
    VmafxContext *shared = arg;
    bool good = true;

    for (int i = 0; i < ROUNDS && good; i++) {
        VMAFX_AUTO(vmafx_context_unref) VmafxContext *mine = vmafx_context_ref(shared);
        VmafxContextToken token = vmafx_context_attach(mine);
        VmafxSpanContext span;

        vmafx_context_span(mine, &span);
        span.flags = (uint8_t)i;
        VMAFX_AUTO(vmafx_context_unref) VmafxContext *changed = vmafx_context_with_span(mine, &span);
        VMAFX_AUTO(vmafx_baggage_unref)
        VmafxBaggage *baggage = vmafx_baggage_set(vmafx_context_baggage(mine), "b", "2", NULL);
        VMAFX_AUTO(vmafx_tracestate_unref) VmafxTraceState *traces = vmafx_tracestate_set(span.state, "b", "2");
        good = vmafx_context_span(changed, NULL) && vmafx_baggage_count(baggage) == 2 &&
               strcmp(vmafx_tracestate_text(traces), "b=2,a=1") == 0 && vmafx_context_detach(token);
    }
    return good ? NULL : arg;
}

static void threads_share_contexts_without_a_lock(void **state)
{
    VmafxSpanContext span = { .trace_id = { 1 }, .span_id = { 2 }, .state = vmafx_tracestate_parse("a=1", 3) };
    VmafxBaggage *baggage = vmafx_baggage_set(NULL, "a", "1", NULL);
    atomic_int counter = 0;
    VmafxContext *first = holding(&counter), *second = vmafx_context_with_span(first, &span);
    VmafxContext *shared = vmafx_context_with_baggage(second, baggage);
    pthread_t threads[SHARERS];

    for (int i = 0; i < SHARERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, share, shared), 0);
    /* let go while they work: the last of all frees, whoever that is */
    vmafx_tracestate_unref(&span.state);
    vmafx_baggage_unref(&baggage);
    vmafx_context_unref(&first);
    vmafx_context_unref(&second);
    for (int i = 0; i < SHARERS; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    vmafx_context_unref(&shared);
    assert_int_equal(counter, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_function_takes_null),
        cmocka_unit_test(a_span_is_valid_when_both_ids_are),
        cmocka_unit_test(a_new_context_leaves_the_old_one_alone),
        cmocka_unit_test(a_context_keeps_the_state_and_the_baggage_alive),
        cmocka_unit_test(values_are_found_by_their_key),
        cmocka_unit_test(values_over_the_limit_are_counted),
        cmocka_unit_test(a_thread_begins_at_the_root),
        cmocka_unit_test(detaching_in_reverse_order_restores),
        cmocka_unit_test(the_root_can_be_attached),
        cmocka_unit_test(detaching_out_of_order_is_said_and_repaired),
        cmocka_unit_test(a_token_used_twice_changes_nothing),
        cmocka_unit_test(depth_is_bounded_and_counted),
        cmocka_unit_test(a_token_is_good_on_its_own_thread_only),
        cmocka_unit_test(ten_thousand_threads_that_attach_and_exit_leave_nothing),
        cmocka_unit_test(attaching_while_a_thread_ends_leaves_nothing),
        cmocka_unit_test(threads_share_contexts_without_a_lock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
