/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Uploads: whose they are, when they are kept, what goes and what stays. With a store of its own, in a folder of its
 * own. */

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
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "programs/controller/uploads.h"
#include "rpc/message.h"

#define HOUR_US ((int64_t)3600 * 1000000)
#define SIZE    1000

typedef struct Place {
    char folder[64], uploads_folder[96];
    VmafxStore *store;
    Uploads *uploads;
    uint8_t last_id;
} Place;

static void open_uploads(Place *p, int64_t all)
{
    const UploadsConfig config = { .folder = p->uploads_folder,
                                   .bytes_max = 4 * SIZE,
                                   .all_bytes_max = all,
                                   .age_us = 24 * HOUR_US,
                                   .grace_us = HOUR_US,
                                   .store = p->store };
    VmafxErrInfo info = { "" };

    if (uploads_open(&config, &p->uploads, &info))
        fail_msg("%s", info.message);
}

static int place_init(void **state)
{
    Place *p = calloc(1, sizeof *p);
    char url[128];

    snprintf(p->folder, sizeof p->folder, "/tmp/test_uploads_XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    snprintf(p->uploads_folder, sizeof p->uploads_folder, "%s/uploads", p->folder);
    snprintf(url, sizeof url, "%s/jobs.db", p->folder);
    const VmafxStoreConfig config = { .url = url,
                                      .durability = VMAFX_DURABILITY_NORMAL,
                                      .rules = { .lease_us = 30000000, .backoff_us = 1, .backoff_max_us = 1 } };
    assert_int_equal(vmafx_store_open(&config, &p->store, NULL), VMAFX_OK);
    open_uploads(p, 10 * SIZE);
    *state = p;
    return 0;
}

static int place_done(void **state)
{
    Place *p = *state;
    char command[128];

    uploads_close(&p->uploads);
    vmafx_store_close(&p->store);
    snprintf(command, sizeof command, "rm -r '%s'", p->folder);
    assert_int_equal(system(command), 0);
    free(p);
    return 0;
}

static void fill(char data[SIZE], int seed, char digest[VMAFX_SHA256_TEXT])
{
    memset(data, seed, SIZE);
    vmafx_sha256_hex(data, SIZE, digest);
}

static VmafxErr put(Place *p, const char *owner, int seed, UploadFacts *ret, VmafxErrInfo *info)
{
    char data[SIZE], digest[VMAFX_SHA256_TEXT];
    Incoming *incoming = NULL;

    fill(data, seed, digest);
    VmafxErr err = uploads_begin(p->uploads, owner, digest, SIZE, &incoming, ret, info);
    if (err || !incoming)
        return err;
    err = incoming_add(incoming, data, SIZE / 2, info);
    if (!err)
        err = incoming_add(incoming, data + SIZE / 2, SIZE - SIZE / 2, info);
    if (err) {
        incoming_drop(&incoming);
        return err;
    }
    return incoming_end(&incoming, ret, info);
}

static bool is_there(Place *p, const char *owner, int seed)
{
    char data[SIZE], digest[VMAFX_SHA256_TEXT];
    UploadFacts facts;

    fill(data, seed, digest);
    return !uploads_find(p->uploads, owner, digest, &facts);
}

static void path_to(const Place *p, const char *owner, int seed, char ret[300])
{
    char data[SIZE], digest[VMAFX_SHA256_TEXT], folder[VMAFX_SHA256_TEXT];

    fill(data, seed, digest);
    vmafx_sha256_hex(owner, strlen(owner), folder);
    snprintf(ret, 300, "%s/%s/%s", p->uploads_folder, folder, digest);
}

/** As if it had been used that long ago. */
static void age(const Place *p, const char *owner, int seed, int hours)
{
    char path[300];
    struct timespec times[2];

    path_to(p, owner, seed, path);
    clock_gettime(CLOCK_REALTIME, &times[0]);
    times[0].tv_sec -= hours * 3600;
    times[1] = times[0];
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/** On the disk, without its being a use. */
static bool is_on_disk(const Place *p, const char *owner, int seed)
{
    char path[300];

    path_to(p, owner, seed, path);
    return !access(path, F_OK);
}

static void queue(Place *p, const char *owner, int seed, size_t n)
{
    VmafxSubmission *jobs = calloc(n, sizeof *jobs);
    VMAFX_AUTO(vmafx_free_p) uint8_t *spec = NULL;
    VMAFX_AUTO(vmafx_store_op_done) VmafxStoreOp op = { .kind = VMAFX_STORE_SUBMIT };
    Vmafx__V1__JobSpec message = VMAFX__V1__JOB_SPEC__INIT;
    Vmafx__V1__Input reference = VMAFX__V1__INPUT__INIT, distorted = VMAFX__V1__INPUT__INIT;
    char data[SIZE], digest[VMAFX_SHA256_TEXT], uri[VMAFX_UPLOAD_URI_MAX];
    uint8_t random[10] = { ++p->last_id };
    size_t len;

    fill(data, seed, digest);
    snprintf(uri, sizeof uri, "upload:%s", digest);
    reference.uri = (char *)"/media/a.y4m";
    distorted.uri = seed ? uri : (char *)"/media/b.y4m";
    message.reference = &reference;
    message.distorted = &distorted;
    message.distorted_source_case = VMAFX__V1__JOB_SPEC__DISTORTED_SOURCE_DISTORTED;
    assert_int_equal(vmafx_message_pack(&message.base, &spec, &len), VMAFX_OK);
    for (size_t i = 0; i < n; i++) {
        VmafxJob *job = &jobs[i].job;

        random[8] = (uint8_t)(i >> 8);
        random[9] = (uint8_t)i;
        vmafx_job_id_make(vmafx_store_now(p->store), random, &job->id);
        job->timeout_us = HOUR_US;
        job->attempt_limit = 3;
        snprintf(job->submitter, sizeof job->submitter, "%s", owner);
        memset(job->trace.trace_id, 1, sizeof job->trace.trace_id);
        memset(job->trace.job_span_id, 1, sizeof job->trace.job_span_id);
        jobs[i].spec = spec;
        jobs[i].spec_len = len;
    }
    op.submissions = jobs;
    op.n_submissions = n;
    assert_int_equal(vmafx_store_wait(p->store, &op), VMAFX_OK);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(op.items[i].err, VMAFX_OK);
    free(jobs);
}

/* ---- Whose ---- */

static void an_upload_is_its_owners_alone(void **state)
{
    Place *p = *state;
    UploadFacts facts;

    assert_int_equal(put(p, "alice", 1, &facts, NULL), VMAFX_OK);
    assert_false(facts.already_there);
    assert_int_equal(facts.size, SIZE);
    assert_non_null(vmafx_uri_upload_digest(facts.uri));
    assert_true(is_there(p, "alice", 1));
    assert_false(is_there(p, "alice", 2));
    assert_false(is_there(p, "bob", 1));
    assert_false(is_there(p, "", 1));
    assert_int_equal(put(p, "alice", 1, &facts, NULL), VMAFX_OK);
    assert_true(facts.already_there);
    assert_int_equal(put(p, "bob", 1, &facts, NULL), VMAFX_OK);
    assert_false(facts.already_there); /* or he would learn what she has */
}

static void what_is_shared_stays_when_the_first_one_goes(void **state)
{
    Place *p = *state;
    char data[SIZE], digest[VMAFX_SHA256_TEXT], path[300];
    UploadFacts facts;

    fill(data, 1, digest);
    assert_int_equal(uploads_share(p->uploads, "alice", "bob", digest), VMAFX_ERR_NOT_FOUND);
    assert_int_equal(put(p, "alice", 1, &facts, NULL), VMAFX_OK);
    assert_int_equal(uploads_share(p->uploads, "alice", "bob", digest), VMAFX_OK);
    assert_int_equal(uploads_share(p->uploads, "alice", "bob", digest), VMAFX_OK);
    path_to(p, "alice", 1, path);
    assert_int_equal(unlink(path), 0);
    assert_true(is_there(p, "bob", 1));
    assert_false(is_there(p, "alice", 1));
}

/* ---- What is kept ---- */

static void only_what_was_promised_is_kept(void **state)
{
    Place *p = *state;
    char data[SIZE], digest[VMAFX_SHA256_TEXT], other[VMAFX_SHA256_TEXT];
    UploadFacts facts;
    Incoming *incoming;

    fill(data, 1, digest);
    fill(data, 2, other);
    fill(data, 1, digest);
    for (int round = 0; round < 20; round++) { /* more than there is room for, were it not given back */
        assert_int_equal(uploads_begin(p->uploads, "a", digest, SIZE, &incoming, &facts, NULL), VMAFX_OK);
        assert_int_equal(incoming_add(incoming, data, SIZE - 1, NULL), VMAFX_OK);
        assert_int_equal(incoming_end(&incoming, &facts, NULL), VMAFX_ERR_INVALID); /* too short */
        assert_null(incoming);
        assert_int_equal(uploads_begin(p->uploads, "a", digest, SIZE - 1, &incoming, &facts, NULL), VMAFX_OK);
        assert_int_equal(incoming_add(incoming, data, SIZE, NULL), VMAFX_ERR_INVALID); /* too long */
        incoming_drop(&incoming);
        assert_int_equal(uploads_begin(p->uploads, "a", other, SIZE, &incoming, &facts, NULL), VMAFX_OK);
        assert_int_equal(incoming_add(incoming, data, SIZE, NULL), VMAFX_OK);
        assert_int_equal(incoming_end(&incoming, &facts, NULL), VMAFX_ERR_INVALID); /* something else */
    }
    assert_false(is_there(p, "a", 1));
    assert_false(is_there(p, "a", 2));
    assert_int_equal(uploads_begin(p->uploads, "a", digest, 0, &incoming, &facts, NULL), VMAFX_ERR_INVALID);
    assert_int_equal(uploads_begin(p->uploads, "a", digest, -1, &incoming, &facts, NULL), VMAFX_ERR_INVALID);
    assert_int_equal(uploads_begin(p->uploads, "a", digest, 4 * SIZE + 1, &incoming, &facts, NULL), VMAFX_ERR_LIMIT);
    assert_int_equal(uploads_begin(p->uploads, "a", digest, INT64_MAX, &incoming, &facts, NULL), VMAFX_ERR_LIMIT);
}

static void a_file_is_kept_as_it_is_or_copied(void **state)
{
    Place *p = *state;
    char data[SIZE], digest[VMAFX_SHA256_TEXT];
    UploadFacts facts;
    struct stat before, after;
    int64_t size;
    int fds[2], fd;

    fds[0] = open(p->uploads_folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600); /* as an HTTP body's */
    fds[1] = memfd_create("elsewhere", MFD_CLOEXEC);
    for (int i = 0; i < 2; i++) {
        if (fds[i] < 0)
            continue; /* a file system that has no unnamed files */
        fill(data, i + 1, digest);
        assert_int_equal(write(fds[i], data, SIZE), SIZE);
        assert_int_equal(uploads_keep(p->uploads, "a", digest, fds[i], SIZE, &facts, NULL), VMAFX_OK);
        assert_int_equal(uploads_read(p->uploads, "a", digest, &fd, &size), VMAFX_OK);
        assert_int_equal(size, SIZE);
        assert_int_equal(fstat(fds[i], &before), 0);
        assert_int_equal(fstat(fd, &after), 0);
        assert_int_equal(before.st_ino == after.st_ino && before.st_dev == after.st_dev, i == 0);
        close(fd);
        close(fds[i]);
    }
}

static void leftovers_go_at_the_start_and_what_is_kept_is_counted(void **state)
{
    Place *p = *state;
    char path[300];
    UploadFacts facts;

    for (int i = 1; i <= 8; i++)
        assert_int_equal(put(p, "a", i, &facts, NULL), VMAFX_OK);
    uploads_close(&p->uploads);
    snprintf(path, sizeof path, "%s/tmp-0123456789abcdef", p->uploads_folder);
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    open_uploads(p, 9 * SIZE);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(put(p, "a", 9, &facts, NULL), VMAFX_OK);
    assert_int_equal(put(p, "a", 10, &facts, NULL), VMAFX_ERR_BUSY);
}

static void a_folder_is_one_process_s(void **state)
{
    Place *p = *state;
    const UploadsConfig config = { .folder = p->uploads_folder, .all_bytes_max = 1, .store = p->store };
    Uploads *other = NULL;
    VmafxErrInfo info = { "" };

    assert_int_equal(uploads_open(&config, &other, &info), VMAFX_ERR_STATE);
    assert_non_null(strstr(info.message, "VMAFX_UPLOADS"));
    assert_null(other);
}

static void a_disk_that_is_full_is_said_before_anything_is_sent(void **state)
{
    Place *p = *state;
    char data[SIZE], digest[VMAFX_SHA256_TEXT];
    struct rlimit limit, small;
    UploadFacts facts;
    Incoming *incoming = NULL;
    VmafxErrInfo info = { "" };

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    signal(SIGXFSZ, SIG_IGN);
    fill(data, 1, digest);
    small = limit;
    small.rlim_cur = SIZE - 1; /* no file can be larger: what a full disk says, for want of one */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    VmafxErr err = uploads_begin(p->uploads, "a", digest, SIZE, &incoming, &facts, &info);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(err, VMAFX_ERR_BUSY);
    assert_non_null(strstr(info.message, "full"));
    for (int i = 1; i <= 10; i++) /* all the room is there again */
        assert_int_equal(put(p, "a", i, &facts, NULL), VMAFX_OK);
}

static void one_owner_has_at_most_half_of_the_places(void **state)
{
    Place *p = *state;
    Incoming *coming[UPLOADS_COMING_MAX] = { NULL }, *more = NULL;
    char digest[VMAFX_SHA256_TEXT];
    VmafxErrInfo info = { "" };
    UploadFacts facts;

    for (int i = 0; i < UPLOADS_COMING_MAX; i++) {
        const char *owner = i < UPLOADS_OF_ONE_MAX ? "a" : "b";

        vmafx_sha256_hex(&i, sizeof i, digest);
        if (i == UPLOADS_OF_ONE_MAX) {
            assert_int_equal(uploads_begin(p->uploads, "a", digest, 1, &more, &facts, &info), VMAFX_ERR_BUSY);
            assert_non_null(strstr(info.message, "yours"));
        }
        assert_int_equal(uploads_begin(p->uploads, owner, digest, 1, &coming[i], &facts, NULL), VMAFX_OK);
    }
    assert_int_equal(uploads_begin(p->uploads, "c", digest, 1, &more, &facts, NULL), VMAFX_ERR_BUSY);
    incoming_drop(&coming[7]); /* from the middle, and then from both ends */
    assert_int_equal(uploads_begin(p->uploads, "b", digest, 1, &more, &facts, NULL), VMAFX_ERR_BUSY);
    assert_int_equal(uploads_begin(p->uploads, "a", digest, 1, &coming[7], &facts, NULL), VMAFX_OK);
    for (int i = 0; i < UPLOADS_COMING_MAX; i++)
        incoming_drop(&coming[i]);
    assert_int_equal(put(p, "a", 1, &facts, NULL), VMAFX_OK);
}

/* ---- What goes ---- */

static void the_least_recently_used_makes_room_and_what_is_fresh_stays(void **state)
{
    Place *p = *state;
    UploadFacts facts;
    VmafxErrInfo info = { "" };

    for (int i = 1; i <= 10; i++)
        assert_int_equal(put(p, "a", i, &facts, NULL), VMAFX_OK);
    assert_int_equal(put(p, "a", 11, &facts, &info), VMAFX_ERR_BUSY);
    assert_non_null(strstr(info.message, "VMAFX_UPLOADS_BYTES_MAX"));
    age(p, "a", 4, 3);
    age(p, "a", 7, 2);
    age(p, "a", 2, 5);
    assert_true(is_there(p, "a", 2)); /* a use */
    assert_int_equal(put(p, "a", 11, &facts, NULL), VMAFX_OK);
    assert_false(is_on_disk(p, "a", 4));
    assert_true(is_on_disk(p, "a", 7) && is_on_disk(p, "a", 2));
    assert_int_equal(put(p, "a", 12, &facts, NULL), VMAFX_OK);
    assert_false(is_on_disk(p, "a", 7));
    assert_int_equal(put(p, "a", 13, &facts, NULL), VMAFX_ERR_BUSY);
}

static void what_a_job_names_that_has_not_ended_stays(void **state)
{
    Place *p = *state;
    UploadFacts facts;

    for (int i = 1; i <= 3; i++) {
        assert_int_equal(put(p, "a", i, &facts, NULL), VMAFX_OK);
        age(p, "a", i, 30);
    }
    assert_int_equal(put(p, "b", 1, &facts, NULL), VMAFX_OK);
    age(p, "b", 1, 30);
    queue(p, "a", 1, 1); /* b's is another, though of the same content */
    for (int i = 0; i < 2; i++)
        queue(p, "c", 0, 1000); /* so that it is not on the first page */
    uploads_sweep(p->uploads);
    assert_true(is_on_disk(p, "a", 1));
    assert_false(is_on_disk(p, "a", 2) || is_on_disk(p, "a", 3) || is_on_disk(p, "b", 1));
}

static void what_is_old_goes_and_what_is_not_stays(void **state)
{
    Place *p = *state;
    UploadFacts facts;

    for (int i = 1; i <= 3; i++)
        assert_int_equal(put(p, "a", i, &facts, NULL), VMAFX_OK);
    age(p, "a", 1, 25);
    age(p, "a", 2, 23);
    uploads_sweep(p->uploads);
    assert_false(is_on_disk(p, "a", 1));
    assert_true(is_on_disk(p, "a", 2) && is_on_disk(p, "a", 3));
}

/* ---- At the same time ---- */

static void *put_many(void *arg)
{
    Place *p = arg;

    for (int i = 1; i <= 10; i++)
        for (int round = 0; round < 4; round++) {
            UploadFacts facts;
            VmafxErr err = put(p, "a", i, &facts, NULL);

            if (err && err != VMAFX_ERR_BUSY) /* room for what is on its way, too, is limited */
                return (void *)"failed";
        }
    return NULL;
}

static void threads_that_send_the_same_keep_it_once(void **state)
{
    Place *p = *state;
    pthread_t threads[8];
    UploadFacts facts;
    void *why;

    for (size_t i = 0; i < VMAFX_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, put_many, p), 0);
    for (size_t i = 0; i < VMAFX_LEN(threads); i++) {
        pthread_join(threads[i], &why);
        assert_null(why);
    }
    for (int i = 1; i <= 10; i++) /* exactly what there is room for, when nothing was counted twice */
        assert_int_equal(put(p, "a", i, &facts, NULL), VMAFX_OK);
    assert_int_equal(put(p, "a", 11, &facts, NULL), VMAFX_ERR_BUSY);
}

#define PLACE_TEST(f) cmocka_unit_test_setup_teardown(f, place_init, place_done)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACE_TEST(an_upload_is_its_owners_alone),
        PLACE_TEST(what_is_shared_stays_when_the_first_one_goes),
        PLACE_TEST(only_what_was_promised_is_kept),
        PLACE_TEST(a_file_is_kept_as_it_is_or_copied),
        PLACE_TEST(leftovers_go_at_the_start_and_what_is_kept_is_counted),
        PLACE_TEST(a_folder_is_one_process_s),
        PLACE_TEST(a_disk_that_is_full_is_said_before_anything_is_sent),
        PLACE_TEST(one_owner_has_at_most_half_of_the_places),
        PLACE_TEST(the_least_recently_used_makes_room_and_what_is_fresh_stays),
        PLACE_TEST(what_a_job_names_that_has_not_ended_stays),
        PLACE_TEST(what_is_old_goes_and_what_is_not_stays),
        PLACE_TEST(threads_that_send_the_same_keep_it_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
