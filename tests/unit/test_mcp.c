/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The pure parts of vmafx-mcp: JSON-RPC, schemas and the catalogue, paths and requests, sessions, headers. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "programs/mcp/document.h"
#include "programs/mcp/http_headers.h"
#include "programs/mcp/pool.h"
#include "programs/mcp/protocol.h"
#include "programs/mcp/request.h"
#include "programs/mcp/resources.h"
#include "programs/mcp/schema.h"
#include "programs/mcp/sessions.h"
#include "programs/mcp/tools.h"

/* ---- JSON-RPC ---- */

static void texts_are_read_or_refused_by_the_codes_of_json_rpc(void **state)
{
    static const struct {
        const char *why, *text;
        int code;
        JsonRpcKind kind;
    } cases[] = {
        { "a request", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":{}}", 0, JSONRPC_REQUEST },
        { "an id that is a text", "{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"m\"}", 0, JSONRPC_REQUEST },
        { "a notification", "{\"jsonrpc\":\"2.0\",\"method\":\"m\"}", 0, JSONRPC_NOTIFICATION },
        { "an answer", "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}", 0, JSONRPC_RESPONSE },
        { "an answer that is an error", "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{}}", 0, JSONRPC_RESPONSE },
        { "both at once", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"result\":{}}", JSONRPC_INVALID_REQUEST,
          JSONRPC_INVALID },
        { "no version", "{\"id\":1,\"method\":\"m\"}", JSONRPC_INVALID_REQUEST, JSONRPC_INVALID },
        { "the id null", "{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"m\"}", JSONRPC_INVALID_REQUEST,
          JSONRPC_INVALID },
        { "the id a list", "{\"jsonrpc\":\"2.0\",\"id\":[],\"method\":\"m\"}", JSONRPC_INVALID_REQUEST,
          JSONRPC_INVALID },
        { "the id a fraction", "{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"m\"}", JSONRPC_INVALID_REQUEST,
          JSONRPC_INVALID },
        { "no method", "{\"jsonrpc\":\"2.0\",\"id\":1}", JSONRPC_INVALID_REQUEST, JSONRPC_INVALID },
        { "parameters by position", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":[1]}",
          JSONRPC_INVALID_PARAMS, JSONRPC_INVALID },
        { "a key twice", "{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":1,\"method\":\"m\"}", JSONRPC_PARSE_ERROR,
          JSONRPC_INVALID },
        { "two values", "{} {}", JSONRPC_PARSE_ERROR, JSONRPC_INVALID },
        { "nothing", "", JSONRPC_PARSE_ERROR, JSONRPC_INVALID },
        { "not UTF-8", "\"\xff\"", JSONRPC_PARSE_ERROR, JSONRPC_INVALID },
        { "a NUL in a text", "{\"a\":\"\\u0000\"}", JSONRPC_PARSE_ERROR, JSONRPC_INVALID },
        { "a number beyond 64 bits", "{\"a\":99999999999999999999}", JSONRPC_PARSE_ERROR, JSONRPC_INVALID },
        { "a text alone", "\"a\"", JSONRPC_INVALID_REQUEST, JSONRPC_INVALID },
        { "an empty batch", "[]", JSONRPC_INVALID_REQUEST, JSONRPC_INVALID },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VMAFX_AUTO(jsonrpc_text_done) JsonRpcText text = { 0 };
        JsonRpcFault fault = { 0 };
        int code = 0;
        if (!jsonrpc_read(cases[i].text, strlen(cases[i].text), &text, &fault))
            code = fault.code;
        else {
            assert_int_equal(text.messages[0].kind, cases[i].kind);
            code = text.messages[0].fault.code;
        }
        if (code != cases[i].code)
            fail_msg("%s: %d", cases[i].why, code);
        assert_true(!code || *(text.n ? text.messages[0].fault.message : fault.message));
    }
}

static bool reads(const char *data, size_t len)
{
    VMAFX_AUTO(jsonrpc_text_done) JsonRpcText text = { 0 };
    JsonRpcFault fault;

    return jsonrpc_read(data, len, &text, &fault);
}

static void depth_and_the_size_of_batches_have_limits(void **state)
{
    char deep[512], batch[16384] = "[";

    for (int n = JSONRPC_DEPTH_MAX - 1; n <= JSONRPC_DEPTH_MAX; n++) { /* the object around them is a level too */
        size_t len = (size_t)snprintf(deep, sizeof deep, "{\"a\":");
        memset(deep + len, '[', (size_t)n);
        memset(deep + len + n, ']', (size_t)n);
        deep[len + 2 * (size_t)n] = '}';
        assert_int_equal(reads(deep, len + 2 * (size_t)n + 1), n < JSONRPC_DEPTH_MAX);
    }
    static const char brackets[] =
        "{\"a\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[\"}";
    assert_true(reads(brackets, strlen(brackets))); /* those within texts do not count */
    for (int n = 0; n < JSONRPC_BATCH_MAX + 1; n++) {
        size_t len = strlen(batch);
        snprintf(batch + len, sizeof batch - len, "%s{\"jsonrpc\":\"2.0\",\"method\":\"m\"}", n ? "," : "");
        if (n + 1 >= JSONRPC_BATCH_MAX) {
            len = strlen(batch);
            batch[len] = ']';
            assert_int_equal(reads(batch, len + 1), n + 1 == JSONRPC_BATCH_MAX);
            batch[len] = 0;
        }
    }
}

/* ---- Schemas and the catalogue ---- */

static VmafxErr check(const char *schema, const char *value, VmafxErrInfo *info)
{
    json_t *s = json_loads(schema, 0, NULL), *v = json_loads(value, JSON_DECODE_ANY, NULL);
    VmafxErr err = schema_check(s, v, "arguments", info);

    assert_non_null(s);
    assert_non_null(v);
    json_decref(s);
    json_decref(v);
    return err;
}

static void values_are_checked_by_their_schema(void **state)
{
    static const char schema[] =
        "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"t\"],\"properties\":{"
        "\"t\":{\"type\":\"string\",\"minLength\":2,\"maxLength\":3},\"n\":{\"type\":\"integer\",\"minimum\":1,"
        "\"maximum\":5},"
        "\"r\":{\"type\":\"number\"},\"b\":{\"type\":\"boolean\"},\"e\":{\"type\":\"string\",\"enum\":[\"x\",\"y\"]},"
        "\"p\":{\"type\":\"string\",\"pattern\":\"^[0-9]+$\"},"
        "\"l\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":2,\"uniqueItems\":true,\"items\":{\"type\":\"integer\"}}"
        "}}";
    static const struct {
        const char *value, *word; /* NULL: it is right */
    } cases[] = {
        { "{\"t\":\"ab\"}", NULL },
        { "{\"t\":\"äöü\"}", NULL }, /* characters, not bytes */
        { "{\"t\":\"ab\",\"n\":1,\"r\":1,\"b\":true,\"e\":\"x\",\"p\":\"12\",\"l\":[1,2]}", NULL },
        { "{\"t\":\"ab\",\"n\":2.0}", NULL }, /* a whole number however it is written */
        { "[]", "must be an object" },
        { "{}", "arguments.t is missing" },
        { "{\"t\":\"a\"}", "at least 2" },
        { "{\"t\":\"abcd\"}", "at most 3" },
        { "{\"t\":7}", "must be a string" },
        { "{\"t\":\"ab\",\"n\":0}", "at least 1" },
        { "{\"t\":\"ab\",\"n\":6}", "at most 5" },
        { "{\"t\":\"ab\",\"n\":1.5}", "must be an integer" },
        { "{\"t\":\"ab\",\"b\":1}", "must be a boolean" },
        { "{\"t\":\"ab\",\"e\":\"z\"}", "one of: x, y" },
        { "{\"t\":\"ab\",\"p\":\"a\"}", "does not look" },
        { "{\"t\":\"ab\",\"l\":[]}", "at least 1" },
        { "{\"t\":\"ab\",\"l\":[1,2,3]}", "at most 2" },
        { "{\"t\":\"ab\",\"l\":[1,1]}", "same as arguments.l[0]" },
        { "{\"t\":\"ab\",\"l\":[\"a\"]}", "arguments.l[0] must be an integer" },
        { "{\"t\":\"ab\",\"u\":1}", "arguments.u is not known" },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VmafxErrInfo info = { 0 };
        VmafxErr err = check(schema, cases[i].value, &info);
        if ((err == VMAFX_OK) != (cases[i].word == NULL) || (cases[i].word && !strstr(info.message, cases[i].word)))
            fail_msg("%s: %s", cases[i].value, info.message);
    }
}

static void every_tool_has_schemas_that_are_understood_and_a_row_in_the_table(void **state)
{
    VMAFX_AUTO(catalogue_done) Catalogue catalogue = { 0 };
    VmafxErrInfo info = { 0 };
    const json_t *tool;
    VmafxRole role;
    size_t i, rows = 0;

    assert_int_equal(catalogue_open(&catalogue, &info), VMAFX_OK);
    json_array_foreach(catalogue.tools, i, tool)
    {
        const char *name = json_string_value(json_object_get(tool, "name"));
        const char *input = schema_unknown_keyword(json_object_get(tool, "inputSchema"));
        const char *output = schema_unknown_keyword(json_object_get(tool, "outputSchema"));
        const json_t *hints = json_object_get(tool, "annotations");
        if (input || output)
            fail_msg("%s: %s", name, input ? input : output);
        assert_true(json_string_length(json_object_get(tool, "title")));
        assert_true(json_string_length(json_object_get(tool, "description")) > 20);
        assert_int_equal(json_object_size(hints), 4);
        bool found = false;
        for (size_t k = 0; tool_at(k, &role); k++)
            if (!strcmp(tool_at(k, &role), name)) {
                found = true; /* what only reads is a reader's, and nothing else is */
                assert_int_equal(json_is_true(json_object_get(hints, "readOnlyHint")), role == VMAFX_ROLE_READER);
            }
        assert_true(found);
    }
    while (tool_at(rows, &role))
        rows++;
    assert_int_equal(rows, json_array_size(catalogue.tools));
}

static void scores_have_words_and_features_ranges_from_best_to_worst(void **state)
{
    VMAFX_AUTO(catalogue_done) Catalogue catalogue = { 0 };
    const json_t *feature, *range;
    size_t i, k;

    assert_int_equal(catalogue_open(&catalogue, NULL), VMAFX_OK);
    assert_string_equal(catalogue_rating(&catalogue, 100, NULL), "excellent");
    assert_string_equal(catalogue_rating(&catalogue, 95, NULL), "excellent");
    assert_string_equal(catalogue_rating(&catalogue, 94.99, NULL), "very good");
    assert_string_equal(catalogue_rating(&catalogue, 0, NULL), "bad");
    assert_string_equal(catalogue_rating(&catalogue, -3, NULL), "bad"); /* models without clipping */
    json_array_foreach(json_object_get(catalogue.root, "features"), i, feature)
    {
        double from = 101, low = 2, high = 2;
        json_array_foreach(json_object_get(feature, "typical"), k, range)
        {
            assert_true(json_number_value(json_array_get(range, 0)) < from);
            assert_true(json_number_value(json_array_get(range, 1)) < low);
            assert_true(json_number_value(json_array_get(range, 2)) < high);
            assert_true(json_number_value(json_array_get(range, 1)) < json_number_value(json_array_get(range, 2)));
            from = json_number_value(json_array_get(range, 0));
            low = json_number_value(json_array_get(range, 1));
            high = json_number_value(json_array_get(range, 2));
        }
        assert_true(from == 0);
    }
}

/* ---- Requests ---- */

static void only_paths_below_the_roots_are_sent_on(void **state)
{
    static const struct {
        const char *given, *roots, *folder, *sent; /* NULL: refused */
    } cases[] = {
        { "/media/a.mp4", "/media", NULL, "/media/a.mp4" },
        { "/media/a.mp4", "/other:/media/", NULL, "/media/a.mp4" },
        { "file:///media/a.mp4", "/media", NULL, "/media/a.mp4" },
        { "//media//./b/a.mp4", "/media", NULL, "/media/b/a.mp4" },
        { "a.mp4", "/media", "/media/b", "/media/b/a.mp4" },
        { "/anything", "/", NULL, "/anything" },
        { "https://h/a.mp4", NULL, NULL, "https://h/a.mp4" }, /* the policy of URLs is not a matter of roots */
        { "a.mp4", "/media", NULL, NULL },
        { "/media/../etc/passwd", "/media", NULL, NULL },
        { "../a", "/media", "/media/b", NULL },
        { "/media2/a.mp4", "/media", NULL, NULL },
        { "/med", "/media", NULL, NULL },
        { "/a", "", NULL, NULL },
        { "/a", NULL, NULL, NULL },
        { "", "/media", NULL, NULL },
        { "ftp://u:p@h/a.mp4", "/media", "/media", NULL },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        RequestPlace place = { cases[i].roots, cases[i].folder };
        char sent[REQUEST_URI_MAX];
        VmafxErrInfo info = { 0 };
        VmafxErr err = request_path(&place, cases[i].given, sent, &info);
        if ((err == VMAFX_OK) != (cases[i].sent != NULL) || (!err && strcmp(sent, cases[i].sent) != 0))
            fail_msg("'%s' below '%s': %d %s", cases[i].given, cases[i].roots ? cases[i].roots : "", err, info.message);
        assert_true(!err || *info.message);
    }
}

static void a_path_that_is_too_long_is_refused_whole(void **state)
{
    char path[REQUEST_URI_MAX + 64], sent[REQUEST_URI_MAX];
    RequestPlace place = { "/", NULL };

    for (size_t len = REQUEST_URI_MAX - 3; len < REQUEST_URI_MAX + 3; len++) {
        memset(path, 'a', len);
        path[0] = '/';
        path[len] = 0;
        VmafxErr err = request_path(&place, path, sent, NULL);
        assert_int_equal(err, len < REQUEST_URI_MAX ? VMAFX_OK : VMAFX_ERR_LIMIT);
        assert_true(err || !strcmp(sent, path));
    }
}

static void arguments_become_the_request_of_a_job(void **state)
{
    json_t *arguments =
        json_loads("{\"models\":[\"vmaf_v0.6.1neg\"],\"phone\":true,\"allow\":[\"scaling\",\"shorter\",\"hdr\"],"
                   "\"frames\":{\"first\":3,\"count\":4,\"every\":2},\"raw\":{\"width\":64,\"height\":48},"
                   "\"priority\":-5,\"timeout_seconds\":9}",
                   0, NULL);
    Request *r = malloc(sizeof *r);
    RequestPlace place = { "/", NULL };
    VmafxErrInfo info = { 0 };

    assert_non_null(r);
    assert_int_equal(request_init(r, &place, "/a", "/b", arguments, &info), VMAFX_OK);
    assert_string_equal(r->spec.reference->uri, "/a");
    assert_string_equal(r->spec.distorted->uri, "/b");
    assert_int_equal(r->spec.n_models, 1);
    assert_string_equal(r->spec.models[0]->version, "vmaf_v0.6.1neg");
    assert_true(r->spec.models[0]->enable_transform);
    assert_int_equal(r->spec.comparison->scaling, VMAFX__V1__SCALING__SCALING_REFERENCE);
    assert_true(r->spec.comparison->accept_shorter && r->spec.comparison->allow_hdr &&
                !r->spec.comparison->ignore_rate);
    assert_int_equal(r->spec.comparison->first_frame, 3);
    assert_int_equal(r->spec.comparison->subsample, 2);
    assert_int_equal(r->spec.reference->raw->bit_depth, 8);
    assert_string_equal(r->spec.distorted->raw->pixel_format, "420");
    assert_int_equal(r->spec.priority, -5);
    assert_int_equal(r->spec.timeout_ms, 9000);
    json_decref(arguments);
    free(r);
}

/* ---- Resources, headers, revisions ---- */

static void uris_of_results_are_told_from_others(void **state)
{
#define ID "0192f0c1-7b1c-7d3e-8a55-3f1b2c4d5e6f"
    static const char *const bad[] = { "",
                                       "vmafx://jobs/",
                                       "vmafx://jobs/" ID,
                                       "vmafx://jobs/" ID "/",
                                       "vmafx://jobs/" ID "/results",
                                       "vmafx://jobs/../" ID "/result",
                                       "http://jobs/" ID "/result",
                                       "vmafx://jobs/" ID "/frames.csv/" };
    char id[JOB_ID_TEXT];
    bool frames;

    assert_true(resource_parse("vmafx://jobs/" ID "/result", id, &frames) && !frames);
    assert_string_equal(id, ID);
    assert_true(resource_parse("vmafx://jobs/" ID "/frames.csv", id, &frames) && frames);
    for (size_t i = 0; i < VMAFX_LEN(bad); i++)
        assert_false(resource_parse(bad[i], id, &frames));
}

static void header_values_are_decoded_where_they_say_so(void **state)
{
    static const struct {
        const char *value, *text;
    } cases[] = {
        { "health", "health" },
        { "", "" },
        { "=?base64?w6Q=?=", "ä" },
        { "=?base64?YWI=?=", "ab" },
        { "=?base64?YWJj?=", "abc" },
        { "=?base64?"
          "?=",
          "" },
        { "=?base64?YWJj", NULL },
        { "=?base64?YWJ?=", NULL },
        { "=?base64?Y=Jj?=", NULL },
        { "=?base64?AA==?=", NULL }, /* a NUL */
        { "=?base64?=", NULL },
        { "=?base64?"
          "????"
          "?=",
          NULL },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VMAFX_AUTO(vmafx_free_p) char *text = http_header_decode(cases[i].value);
        if ((text == NULL) != (cases[i].text == NULL) || (text && strcmp(text, cases[i].text) != 0))
            fail_msg("%s: %s", cases[i].value, text ? text : "(refused)");
    }
}

static void a_revision_that_is_not_known_becomes_the_latest(void **state)
{
    assert_string_equal(protocol_revision("2024-11-05"), "2024-11-05");
    assert_string_equal(protocol_revision("2099-01-01"), "2025-11-25");
    assert_string_equal(protocol_revision(NULL), "2025-11-25");
    assert_true(protocol_knows("2026-07-28") && protocol_knows("2025-03-26") && !protocol_knows("2026-07-29"));
}

/* ---- Sessions, the pool ---- */

static void sessions_are_their_owners_and_end_by_themselves(void **state)
{
    const uint64_t idle = (uint64_t)MCP_SESSION_IDLE_S * 1000000000u;
    VMAFX_AUTO(sessions_free) Sessions *sessions = sessions_new();
    Session *mine = sessions_begin(sessions, "alice", 5);
    char id[JOB_ID_TEXT];

    memcpy(id, mine->id, sizeof id);
    session_unref(&mine);
    assert_null(sessions_find(sessions, id, "bob", 6));
    mine = sessions_find(sessions, id, "alice", 6);
    assert_non_null(mine);
    session_unref(&mine);
    mine = sessions_find(sessions, id, "alice", 6 + idle); /* the last moment */
    assert_non_null(mine);
    session_unref(&mine);
    assert_null(sessions_find(sessions, id, "alice", 7 + 2 * idle));
    assert_int_equal(sessions_count(sessions), 0);
    assert_false(sessions_end(sessions, id, "alice"));
}

static void who_begins_sessions_all_day_ends_their_own(void **state)
{
    VMAFX_AUTO(sessions_free) Sessions *sessions = sessions_new();
    Session *quiet = sessions_begin(sessions, "quiet", 1), *found;
    char first[JOB_ID_TEXT] = "";

    (void)state;
    for (size_t i = 0; i < 3 * (size_t)MCP_SESSIONS_MAX; i++) {
        Session *session = sessions_begin(sessions, "busy", i + 2);
        if (!i)
            memcpy(first, session->id, sizeof first);
        session_unref(&session);
    }
    assert_int_equal(sessions_count(sessions), MCP_SESSIONS_MAX);
    assert_null(sessions_find(sessions, first, "busy", 4 * MCP_SESSIONS_MAX));
    found = sessions_find(sessions, quiet->id, "quiet", 4 * MCP_SESSIONS_MAX);
    assert_ptr_equal(found, quiet);
    session_unref(&found);
    session_unref(&quiet);
}

static void a_full_table_of_sessions_drops_the_one_unused_for_longest(void **state)
{
    VMAFX_AUTO(sessions_free) Sessions *sessions = sessions_new();
    char first[JOB_ID_TEXT] = "";

    for (uint64_t i = 0; i < MCP_SESSIONS_MAX; i++) {
        Session *session = sessions_begin(sessions, "", i + 1);
        if (!i)
            memcpy(first, session->id, sizeof first);
        session_unref(&session);
    }
    Session *used = sessions_find(sessions, first, "", MCP_SESSIONS_MAX + 1);
    assert_non_null(used);
    session_unref(&used);
    Session *more = sessions_begin(sessions, "", MCP_SESSIONS_MAX + 2);
    session_unref(&more);
    assert_int_equal(sessions_count(sessions), MCP_SESSIONS_MAX);
    used = sessions_find(sessions, first, "", MCP_SESSIONS_MAX + 3); /* it was used: another one went */
    assert_non_null(used);
    session_unref(&used);
}

typedef struct Gate {
    pthread_mutex_t lock;
    pthread_cond_t change;
    bool open;
    int inside, done;
} Gate;

static void through(void *arg)
{
    Gate *gate = arg;

    pthread_mutex_lock(&gate->lock);
    gate->inside++;
    pthread_cond_broadcast(&gate->change);
    while (!gate->open)
        pthread_cond_wait(&gate->change, &gate->lock);
    gate->done++;
    pthread_mutex_unlock(&gate->lock);
}

static void a_full_pool_refuses_and_its_end_finishes_what_waits(void **state)
{
    Gate gate = { .lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER };
    Pool *pool = pool_new(2, 3);

    for (int i = 0; i < 5; i++) /* whether or not its threads have taken some already */
        assert_true(pool_run(pool, through, &gate));
    assert_false(pool_run(pool, through, &gate));
    pthread_mutex_lock(&gate.lock);
    while (gate.inside < 2)
        pthread_cond_wait(&gate.change, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
    assert_false(pool_run(pool, through, &gate));
    pthread_mutex_lock(&gate.lock);
    gate.open = true;
    pthread_cond_broadcast(&gate.change);
    pthread_mutex_unlock(&gate.lock);
    pool_free(&pool);
    assert_int_equal(gate.done, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_read_or_refused_by_the_codes_of_json_rpc),
        cmocka_unit_test(depth_and_the_size_of_batches_have_limits),
        cmocka_unit_test(values_are_checked_by_their_schema),
        cmocka_unit_test(every_tool_has_schemas_that_are_understood_and_a_row_in_the_table),
        cmocka_unit_test(scores_have_words_and_features_ranges_from_best_to_worst),
        cmocka_unit_test(only_paths_below_the_roots_are_sent_on),
        cmocka_unit_test(a_path_that_is_too_long_is_refused_whole),
        cmocka_unit_test(arguments_become_the_request_of_a_job),
        cmocka_unit_test(uris_of_results_are_told_from_others),
        cmocka_unit_test(header_values_are_decoded_where_they_say_so),
        cmocka_unit_test(a_revision_that_is_not_known_becomes_the_latest),
        cmocka_unit_test(sessions_are_their_owners_and_end_by_themselves),
        cmocka_unit_test(a_full_table_of_sessions_drops_the_one_unused_for_longest),
        cmocka_unit_test(who_begins_sessions_all_day_ends_their_own),
        cmocka_unit_test(a_full_pool_refuses_and_its_end_finishes_what_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
