/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The runner against scorers that misbehave. This program is its own scorer: started with VMAFX_FAKE_SCORER it plays
 * the part that the variable names. What the real one does is in tests/system/test_scorer.py.
 */

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/columns.h"
#include "score/runner.h"

typedef Vmafx__Scorer__V1__ScorerEvent Event;
typedef Vmafx__Scorer__V1__ChildMessage ChildMessage;

/* ---- the other side ---- */

static void send_message(int fd, const ProtobufCMessage *message)
{
    uint8_t bytes[8192];
    size_t len = protobuf_c_message_pack(message, bytes + 4);

    for (size_t i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(len >> 8 * i);
    if (write(fd, bytes, 4 + len) != (ssize_t)(4 + len))
        _exit(1);
}

static void send_ready(void)
{
    Event event = VMAFX__SCORER__V1__SCORER_EVENT__INIT;
    Vmafx__Scorer__V1__Ready ready = VMAFX__SCORER__V1__READY__INIT;
    char *models[] = { (char *)(uintptr_t) "vmaf_v0.6.1" };

    ready.models = models;
    ready.n_models = 1;
    ready.kernel_level = (char *)(uintptr_t) "c";
    event.kind_case = VMAFX__SCORER__V1__SCORER_EVENT__KIND_READY;
    event.ready = &ready;
    send_message(3, &event.base);
}

static void send_exited(uint64_t tag, int code, int number, bool stopped)
{
    Event event = VMAFX__SCORER__V1__SCORER_EVENT__INIT;
    Vmafx__Scorer__V1__Exited exited = VMAFX__SCORER__V1__EXITED__INIT;

    exited.tag = tag;
    exited.exit_code = code;
    exited.signal = number;
    exited.stopped = stopped;
    event.kind_case = VMAFX__SCORER__V1__SCORER_EVENT__KIND_EXITED;
    event.exited = &exited;
    send_message(3, &event.base);
}

static void send_refused(uint64_t tag)
{
    Event event = VMAFX__SCORER__V1__SCORER_EVENT__INIT;
    Vmafx__Scorer__V1__Refused refused = VMAFX__SCORER__V1__REFUSED__INIT;

    refused.tag = tag;
    refused.message = (char *)(uintptr_t) "no room";
    event.kind_case = VMAFX__SCORER__V1__SCORER_EVENT__KIND_REFUSED;
    event.refused = &refused;
    send_message(3, &event.base);
}

static void send_begun(int pipe)
{
    ChildMessage message = VMAFX__SCORER__V1__CHILD_MESSAGE__INIT;
    Vmafx__Scorer__V1__Begun begun = VMAFX__SCORER__V1__BEGUN__INIT;

    message.kind_case = VMAFX__SCORER__V1__CHILD_MESSAGE__KIND_BEGUN;
    message.begun = &begun;
    send_message(pipe, &message.base);
}

static void send_failure(int pipe)
{
    ChildMessage message = VMAFX__SCORER__V1__CHILD_MESSAGE__INIT;
    Vmafx__Scorer__V1__ChildFailure failure = VMAFX__SCORER__V1__CHILD_FAILURE__INIT;

    failure.failure_class = VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_MODEL;
    failure.message = (char *)(uintptr_t) "there is no such model";
    message.kind_case = VMAFX__SCORER__V1__CHILD_MESSAGE__KIND_FAILURE;
    message.failure = &failure;
    send_message(pipe, &message.base);
}

/* A request: tag, kind, and the pipe of a start. False at the end of the connection. */
static bool receive(uint64_t *ret_tag, bool *ret_start, int *ret_pipe)
{
    static uint8_t bytes[140000];
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(3 * sizeof(int))];
    struct iovec part = { bytes, sizeof bytes };
    struct msghdr header = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control
    };
    ssize_t n = recvmsg(3, &header, MSG_CMSG_CLOEXEC);
    int fds[3];

    if (n <= 4)
        return false;
    Vmafx__Scorer__V1__ScorerRequest *request =
        vmafx__scorer__v1__scorer_request__unpack(NULL, (size_t)n - 4, bytes + 4);
    *ret_start = request->kind_case == VMAFX__SCORER__V1__SCORER_REQUEST__KIND_START;
    *ret_tag = *ret_start ? request->start->tag : request->stop->tag;
    vmafx__scorer__v1__scorer_request__free_unpacked(request, NULL);
    if (*ret_start) {
        memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof fds);
        close(fds[0]);
        close(fds[1]);
        *ret_pipe = fds[2];
    }
    return true;
}

static void write_garbage(int pipe)
{
    static const char garbage[] = "\x05\0\0\0HELLO and more";

    VMAFX_IGNORE(write(pipe, garbage, sizeof garbage) < 0); /* the other end may be closed already */
}

/* What a start leads to, by the part that is played. */
static void play(const char *part, uint64_t tag, int pipe)
{
    if (!strcmp(part, "no answer"))
        return; /* the pipe stays open, too */
    if (!strcmp(part, "refuses")) {
        close(pipe);
        send_refused(tag);
        return;
    }
    if (!strcmp(part, "dies"))
        raise(SIGKILL);
    send_begun(pipe);
    if (!strcmp(part, "garbage"))
        write_garbage(pipe);
    if (!strcmp(part, "failure") || !strcmp(part, "dies after the end") || !strcmp(part, "failure, kept open"))
        send_failure(pipe);
    if (!strcmp(part, "dies after the end"))
        raise(SIGKILL);
    if (!strcmp(part, "garbage") || !strcmp(part, "obeys") || !strcmp(part, "nonsense later"))
        return; /* until it is stopped */
    if (strcmp(part, "failure, kept open") != 0)
        close(pipe);
    if (!strcmp(part, "crashes"))
        send_exited(tag, 0, SIGSEGV, false);
    else
        send_exited(tag, !strcmp(part, "no result"), 0, false);
}

static int fake_scorer(const char *part)
{
    uint64_t tag;
    bool start;
    int pipe = -1;

    signal(SIGPIPE, SIG_IGN);
    if (!strcmp(part, "leaves at once"))
        return 7;
    if (!strcmp(part, "speaks nonsense") && write(3, "nonsense", 8) != 8)
        return 1;
    send_ready();
    while (receive(&tag, &start, &pipe)) {
        if (start)
            play(part, tag, pipe);
        else
            send_exited(tag, 0, SIGKILL, true);
        if (start && !strcmp(part, "nonsense later") && write(3, "nonsense", 8) != 8)
            return 1;
    }
    return 0;
}

/* ---- this side ---- */

/* What came of one task; the lock covers it. */
typedef struct Outcome {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int n_ended, n_begun, n_changed;
    bool ready;
    uint64_t tag;
    Vmafx__V1__AttemptOutcome outcome;
    Vmafx__V1__FailureClass failure;
    char message[600];
} Outcome;

static void on_begun(void *ctx, uint64_t tag, const Vmafx__Scorer__V1__Begun *begun)
{
    Outcome *o = ctx;

    pthread_mutex_lock(&o->lock);
    o->n_begun++;
    pthread_cond_broadcast(&o->changed);
    pthread_mutex_unlock(&o->lock);
}

static void on_ended(void *ctx, uint64_t tag, const VmafxRunEnd *end)
{
    Outcome *o = ctx;

    pthread_mutex_lock(&o->lock);
    o->n_ended++;
    o->tag = tag;
    o->outcome = end->outcome;
    o->failure = end->failure;
    snprintf(o->message, sizeof o->message, "%s", end->message);
    pthread_cond_broadcast(&o->changed);
    pthread_mutex_unlock(&o->lock);
}

static void on_changed(void *ctx, bool ready, const char *message)
{
    Outcome *o = ctx;

    pthread_mutex_lock(&o->lock);
    o->n_changed++;
    o->ready = ready;
    pthread_cond_broadcast(&o->changed);
    pthread_mutex_unlock(&o->lock);
}

static void wait_until(Outcome *o, const int *counter, int n)
{
    pthread_mutex_lock(&o->lock);
    while (*counter < n)
        pthread_cond_wait(&o->changed, &o->lock);
    pthread_mutex_unlock(&o->lock);
}

static void outcome_init(Outcome *o)
{
    *o = (Outcome){ .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
}

static VmafxErr start(const char *part, Outcome *o, VmafxRunner **ret, VmafxErrInfo *info)
{
    outcome_init(o);
    setenv("VMAFX_FAKE_SCORER", part, 1);
    return vmafx_runner_start(
        &(VmafxRunnerConfig){ .program = "/proc/self/exe", .tasks_max = 2, .changed = on_changed, .ctx = o }, ret,
        info);
}

static VmafxErr run(VmafxRunner *runner, uint64_t tag, Outcome *o, int64_t wall_ms, VmafxErrInfo *info)
{
    Vmafx__V1__JobSpec spec = VMAFX__V1__JOB_SPEC__INIT;
    VmafxRunTask task = { .tag = tag,
                          .spec = &spec,
                          .limits = { .wall_ms = wall_ms },
                          .events = { .begun = on_begun, .ended = on_ended, .ctx = o } };

    for (size_t i = 0; i < 2; i++) {
        task.fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        assert_true(task.fds[i] >= 0);
    }
    return vmafx_runner_run(runner, &task, info);
}

static int count_descriptors(void)
{
    int n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void every_way_to_end_is_told(void **state)
{
    static const struct {
        const char *part;
        Vmafx__V1__FailureClass failure;
        const char *words;
    } cases[] = {
        { "failure", VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_MODEL, "no such model" },
        { "failure, kept open", VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_MODEL, "no such model" },
        { "dies after the end", VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_MODEL, "no such model" },
        { "garbage", VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_INTERNAL, "malformed" },
        { "no result", VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_INTERNAL, "exit code 1 and without a result" },
        { "crashes", VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_INTERNAL, "crashed: signal 11" },
        { "refuses", VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_RESOURCE, "no room" },
        { "dies", VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_NODE, "signal 9" },
        { "nonsense later", VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_NODE, "not as long as it says" },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VmafxRunner *runner = NULL;
        VmafxErrInfo info = { 0 };
        Outcome o;
        int before = count_descriptors();

        assert_int_equal(start(cases[i].part, &o, &runner, &info), VMAFX_OK);
        assert_int_equal(run(runner, 5, &o, 0, &info), VMAFX_OK);
        wait_until(&o, &o.n_ended, 1);
        if (o.tag != 5 || o.outcome != VMAFX__V1__ATTEMPT_OUTCOME__ATTEMPT_OUTCOME_FAILED ||
            o.failure != cases[i].failure || !strstr(o.message, cases[i].words))
            fail_msg("%s: outcome %d, class %d, %s", cases[i].part, (int)o.outcome, (int)o.failure, o.message);
        vmafx_runner_stop(&runner);
        assert_int_equal(o.n_ended, 1);
        assert_int_equal(count_descriptors(), before);
    }
}

static void stopping_a_task_ends_it_as_cancelled(void **state)
{
    VmafxRunner *runner = NULL;
    VmafxErrInfo info = { 0 };
    Outcome o;

    assert_int_equal(start("obeys", &o, &runner, &info), VMAFX_OK);
    assert_int_equal(run(runner, 1, &o, 0, &info), VMAFX_OK);
    wait_until(&o, &o.n_begun, 1);
    vmafx_runner_stop_task(runner, 2); /* nobody's */
    vmafx_runner_stop_task(runner, 1);
    vmafx_runner_stop_task(runner, 1);
    wait_until(&o, &o.n_ended, 1);
    assert_int_equal(o.outcome, VMAFX__V1__ATTEMPT_OUTCOME__ATTEMPT_OUTCOME_CANCELLED);
    assert_int_equal(o.failure, VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_UNSPECIFIED);
    vmafx_runner_stop(&runner);
}

static void stopping_the_runner_ends_every_task(void **state)
{
    VmafxRunner *runner = NULL;
    VmafxErrInfo info = { 0 };
    Outcome o;

    assert_int_equal(start("no answer", &o, &runner, &info), VMAFX_OK);
    assert_int_equal(run(runner, 1, &o, 0, &info), VMAFX_OK);
    assert_int_equal(run(runner, 2, &o, 0, &info), VMAFX_OK);
    vmafx_runner_stop(&runner);
    assert_null(runner);
    assert_int_equal(o.n_ended, 2);
    assert_int_equal(o.outcome, VMAFX__V1__ATTEMPT_OUTCOME__ATTEMPT_OUTCOME_CANCELLED);
    vmafx_runner_stop(&runner); /* NULL is fine */
}

static void tags_and_numbers_of_tasks_are_limited(void **state)
{
    VmafxRunner *runner = NULL;
    VmafxErrInfo info = { 0 };
    Outcome o;
    int before = count_descriptors();

    assert_int_equal(start("obeys", &o, &runner, &info), VMAFX_OK);
    assert_int_equal(run(runner, 1, &o, 0, &info), VMAFX_OK);
    assert_int_equal(run(runner, 1, &o, 0, &info), VMAFX_ERR_CONFLICT);
    assert_int_equal(run(runner, 2, &o, 0, &info), VMAFX_OK);
    assert_int_equal(run(runner, 3, &o, 0, &info), VMAFX_ERR_BUSY);
    assert_non_null(strstr(info.message, "2 tasks"));
    vmafx_runner_stop(&runner);
    assert_int_equal(count_descriptors(), before);
    assert_int_equal(vmafx_runner_start(&(VmafxRunnerConfig){ .tasks_max = 0 }, &runner, &info), VMAFX_ERR_INVALID);
}

static void a_scorer_that_does_not_come_up_is_told(void **state)
{
    static const struct {
        const char *part, *words;
    } cases[] = {
        { "leaves at once", "exit code 7" },
        { "speaks nonsense", "not as long as it says" },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VmafxRunner *runner = NULL;
        VmafxErrInfo info = { 0 };
        Outcome o;
        int before = count_descriptors();

        assert_int_equal(start(cases[i].part, &o, &runner, &info), VMAFX_ERR_UNREACHABLE);
        if (!strstr(info.message, cases[i].words))
            fail_msg("%s: %s", cases[i].part, info.message);
        assert_null(runner);
        assert_int_equal(count_descriptors(), before);
    }
}

static void a_scorer_that_dies_comes_back_and_says_so(void **state)
{
    VmafxRunner *runner = NULL;
    VmafxErrInfo info = { 0 };
    Outcome o;

    assert_int_equal(start("dies", &o, &runner, &info), VMAFX_OK);
    assert_true(vmafx_runner_is_ready(runner));
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(run(runner, 1, &o, 0, &info), VMAFX_OK);
        wait_until(&o, &o.n_ended, i);
        wait_until(&o, &o.n_changed, 2 * i); /* gone, back */
        assert_true(o.ready);
    }
    assert_string_equal(vmafx_runner_facts(runner)->models[0], "vmaf_v0.6.1");
    vmafx_runner_stop(&runner);
    assert_int_equal(o.n_ended, 3);
}

static void a_request_that_is_too_large_is_refused(void **state)
{
    static char text[200000];
    Vmafx__V1__JobSpec spec = VMAFX__V1__JOB_SPEC__INIT;
    VmafxRunner *runner = NULL;
    VmafxErrInfo info = { 0 };
    Outcome o;

    assert_int_equal(start("obeys", &o, &runner, &info), VMAFX_OK);
    memset(text, 'x', sizeof text - 1);
    spec.idempotency_key = text;
    int before = count_descriptors();
    VmafxRunTask task = { .tag = 1,
                          .spec = &spec,
                          .fds = { open("/dev/null", O_RDONLY), open("/dev/null", O_RDONLY) } };
    assert_int_equal(vmafx_runner_run(runner, &task, &info), VMAFX_ERR_LIMIT);
    assert_int_equal(count_descriptors(), before); /* closed on failure, too */
    vmafx_runner_stop(&runner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_to_end_is_told),
        cmocka_unit_test(stopping_a_task_ends_it_as_cancelled),
        cmocka_unit_test(stopping_the_runner_ends_every_task),
        cmocka_unit_test(tags_and_numbers_of_tasks_are_limited),
        cmocka_unit_test(a_scorer_that_does_not_come_up_is_told),
        cmocka_unit_test(a_scorer_that_dies_comes_back_and_says_so),
        cmocka_unit_test(a_request_that_is_too_large_is_refused),
    };
    const char *part = getenv("VMAFX_FAKE_SCORER");

    return part ? fake_scorer(part) : cmocka_run_group_tests(tests, NULL, NULL);
}
