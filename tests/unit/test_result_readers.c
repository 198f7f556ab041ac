/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Jobs.GetResult with readers that do not read: how much of their results is in memory, and who gets in. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "programs/controller/result.h"
#include "rpc/client.h"

#define COLUMNS     40
#define ROWS        100000
#define BYTES       ((size_t)COLUMNS * ROWS * sizeof(double)) /* 32 MB: far more than lies in windows and queues */
#define HOUR_NS     (UINT64_C(3600) * 1000000000)
#define ANSWER_S    20
#define MESSAGE_MAX ((size_t)4 << 20)

typedef struct Place {
    char folder[64], id[VMAFX_JOB_ID_TEXT];
    VmafxStore *store;
    Api api;
    ResultRpc door;
    VmafxRpcMethod method;
    VmafxRpcServer *server;
    VmafxRpcChannel *channel;
} Place;

static void nobody(void *ctx, const VmafxRpcPeer *peer, VmafxIdentity *ret)
{
    *ret = (VmafxIdentity){ .role = VMAFX_ROLE_ADMIN };
}

/** A result whose values a packer makes nothing of. */
static uint8_t *make_result(size_t *ret_len)
{
    Vmafx__V1__StoredResult stored = VMAFX__V1__STORED_RESULT__INIT;
    Vmafx__V1__Result summary = VMAFX__V1__RESULT__INIT;
    VMAFX_AUTO(vmafx_free_p) double *values = malloc(ROWS * sizeof *values);
    const double *columns[COLUMNS];
    VMAFX_AUTO(vmafx_free_p) uint8_t *frames = NULL;
    uint8_t *data = NULL;
    size_t len;

    assert_non_null(values);
    for (size_t i = 0; i < ROWS; i++)
        values[i] = (double)i / 7;
    for (size_t i = 0; i < COLUMNS; i++)
        columns[i] = values;
    assert_int_equal(vmafx_columns_pack(columns, COLUMNS, ROWS, &frames, &len), VMAFX_OK);
    summary.complete = true;
    stored.summary = &summary;
    stored.frames = (ProtobufCBinaryData){ len, frames };
    assert_int_equal(vmafx_message_pack(&stored.base, &data, ret_len), VMAFX_OK);
    return data;
}

static void do_op(VmafxStore *store, VmafxStoreOp *op)
{
    assert_int_equal(vmafx_store_wait(store, op), VMAFX_OK);
    assert_int_equal(op->n_items, 1);
    assert_int_equal(op->items[0].err, VMAFX_OK);
    vmafx_store_op_done(op);
}

static void store_a_result(Place *p)
{
    size_t len;
    VMAFX_AUTO(vmafx_free_p) uint8_t *data = make_result(&len);
    VmafxSubmission s = { .job = { .timeout_us = HOUR_NS / 1000, .attempt_limit = 1 }, .spec = "" };

    s.job.id.bytes[15] = 1;
    strcpy(s.job.submitter, "somebody");
    vmafx_job_id_text(&s.job.id, p->id);
    do_op(p->store, &(VmafxStoreOp){ .kind = VMAFX_STORE_SUBMIT, .submissions = &s, .n_submissions = 1 });
    do_op(p->store, &(VmafxStoreOp){ .kind = VMAFX_STORE_LEASE,
                                     .capacity = { "n", 1, INT64_MAX },
                                     .random = (const uint8_t *)"12345678" });
    do_op(p->store, &(VmafxStoreOp){ .kind = VMAFX_STORE_END,
                                     .job = s.job.id,
                                     .report = { .node = "n",
                                                 .attempt = 1,
                                                 .outcome = VMAFX_OUTCOME_SUCCEEDED,
                                                 .complete = true,
                                                 .has_result = true },
                                     .result = { data, len } });
}

static void open_place(Place *p, size_t frames_bytes_max, uint64_t stall_ns)
{
    char url[96], target[32];

    *p = (Place){ .api = { .identify = nobody } };
    strcpy(p->folder, "/tmp/test_result_readers_XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    snprintf(url, sizeof url, "%s/jobs.db", p->folder);
    const VmafxStoreConfig config = { .url = url, .durability = VMAFX_DURABILITY_NORMAL, .rules = VMAFX_FLEET_RULES };
    assert_int_equal(vmafx_store_open(&config, &p->store, NULL), VMAFX_OK);
    store_a_result(p);
    p->door =
        (ResultRpc){ .store = p->store, .api = &p->api, .frames_bytes_max = frames_bytes_max, .stall_ns = stall_ns };
    p->method = result_rpc_method(&p->door);
    VmafxErr err = vmafx_rpc_server_start(
        &(VmafxRpcServerConfig){ .address = "127.0.0.1:0", .methods = &p->method, .n_methods = 1 }, &p->server, NULL);
    assert_int_equal(err, VMAFX_OK);
    snprintf(target, sizeof target, "127.0.0.1:%d", vmafx_rpc_server_port(p->server));
    err = vmafx_rpc_channel_open(&(VmafxRpcChannelConfig){ .target = target, .message_max_bytes = MESSAGE_MAX },
                                 &p->channel, NULL);
    assert_int_equal(err, VMAFX_OK);
}

static void close_place(Place *p)
{
    char command[96];

    vmafx_rpc_channel_close(&p->channel);
    vmafx_rpc_server_stop(&p->server, 0);
    assert_null(p->door.first);
    assert_int_equal(p->door.bytes, 0);
    result_rpc_done(&p->door);
    vmafx_store_close(&p->store);
    snprintf(command, sizeof command, "rm -r '%s'", p->folder);
    assert_int_equal(system(command), 0);
}

static VmafxRpcReading *ask(Place *p)
{
    Vmafx__V1__GetResultRequest request = VMAFX__V1__GET_RESULT_REQUEST__INIT;
    VMAFX_AUTO(vmafx_free_p) uint8_t *data = NULL;
    VmafxRpcReading *reading = NULL;
    size_t len;

    request.id = p->id;
    assert_int_equal(vmafx_message_pack(&request.base, &data, &len), VMAFX_OK);
    assert_int_equal(vmafx_rpc_read_open(p->channel, "/vmafx.v1.Jobs/GetResult", data, len, &reading, NULL), VMAFX_OK);
    return reading;
}

/** Reads one message; *ret_rows is the number of rows in it, −1 at the end. */
static VmafxErr read_one(VmafxRpcReading *reading, int64_t *ret_rows, VmafxErrInfo *info)
{
    VMAFX_AUTO(vmafx_free_p) uint8_t *data = NULL;
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
    size_t len;
    VmafxErr err = vmafx_rpc_read_next(reading, ANSWER_S * 1000, &data, &len, info);

    *ret_rows = -1;
    if (err || !data)
        return err;
    assert_int_equal(vmafx_message_unpack(&vmafx__v1__get_result_response__descriptor, data, len, 0, &message, info),
                     VMAFX_OK);
    const Vmafx__V1__GetResultResponse *response = vmafx_message_get(message);
    *ret_rows = response->part_case == VMAFX__V1__GET_RESULT_RESPONSE__PART_FRAMES
                    ? (int64_t)response->frames->columns[0]->n_values
                    : 0;
    return VMAFX_OK;
}

/** Reads to the end, which is its error. */
static VmafxErr read_all(VmafxRpcReading *reading, int64_t *ret_rows, VmafxErrInfo *info)
{
    int64_t rows;
    VmafxErr err;

    for (*ret_rows = 0; !(err = read_one(reading, &rows, info)) && rows >= 0;)
        *ret_rows += rows;
    return err;
}

static void what_all_may_hold_is_limited_and_one_who_comes_too_many_is_told(void **state)
{
    VMAFX_AUTO(vmafx_rpc_read_close) VmafxRpcReading *first = NULL, *second = NULL, *third = NULL;
    VmafxErrInfo info = { "" };
    int64_t rows;
    Place p;

    open_place(&p, BYTES + BYTES / 2, HOUR_NS);
    first = ask(&p);
    assert_int_equal(read_one(first, &rows, &info), VMAFX_OK); /* its summary: it holds its frames now */
    second = ask(&p);
    assert_int_equal(read_all(second, &rows, &info), VMAFX_ERR_BUSY);
    assert_non_null(strstr(info.message, "try again"));
    assert_int_equal(rows, 0);
    assert_int_equal(read_all(first, &rows, &info), VMAFX_OK);
    assert_int_equal(rows, ROWS);
    third = ask(&p); /* nothing is held any more, though the first has not been closed */
    assert_int_equal(read_all(third, &rows, &info), VMAFX_OK);
    assert_int_equal(rows, ROWS);
    vmafx_rpc_read_close(&first);
    vmafx_rpc_read_close(&second);
    vmafx_rpc_read_close(&third);
    close_place(&p);
}

static void one_that_has_stopped_reading_gives_way(void **state)
{
    VMAFX_AUTO(vmafx_rpc_read_close) VmafxRpcReading *slow = NULL, *other = NULL;
    VmafxErrInfo info = { "" };
    int64_t rows;
    Place p;

    open_place(&p, 1, 1); /* less than one takes: one is always let in */
    slow = ask(&p);
    assert_int_equal(read_one(slow, &rows, &info), VMAFX_OK);
    other = ask(&p);
    assert_int_equal(read_one(other, &rows, &info), VMAFX_OK); /* it has been let in */
    assert_int_equal(read_all(slow, &rows, &info), VMAFX_ERR_BUSY);
    assert_non_null(strstr(info.message, "too slowly"));
    assert_in_range(rows, 0, ROWS - 1);
    assert_int_equal(read_all(other, &rows, &info), VMAFX_OK);
    assert_int_equal(rows, ROWS);
    vmafx_rpc_read_close(&slow);
    vmafx_rpc_read_close(&other);
    close_place(&p);
}

/** Who leaves without reading holds nothing any more. */
static void one_that_leaves_makes_room(void **state)
{
    VMAFX_AUTO(vmafx_rpc_read_close) VmafxRpcReading *first = NULL;
    VmafxErrInfo info = { "" };
    int64_t rows;
    VmafxErr err;
    Place p;

    open_place(&p, BYTES, HOUR_NS);
    first = ask(&p);
    assert_int_equal(read_one(first, &rows, &info), VMAFX_OK);
    vmafx_rpc_read_close(&first);
    do { /* the server hears of it a moment later */
        VMAFX_AUTO(vmafx_rpc_read_close) VmafxRpcReading *second = ask(&p);
        err = read_all(second, &rows, &info);
    } while (err == VMAFX_ERR_BUSY);
    assert_int_equal(err, VMAFX_OK);
    assert_int_equal(rows, ROWS);
    close_place(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_all_may_hold_is_limited_and_one_who_comes_too_many_is_told),
        cmocka_unit_test(one_that_has_stopped_reading_gives_way),
        cmocka_unit_test(one_that_leaves_makes_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
