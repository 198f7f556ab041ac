/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The runner, driven line by line from standard input by test_scorer.py:
 *
 *     run TAG REFERENCE DISTORTED [key=value …]     as_mib cpu_s wall_ms threads model trace nested raw subsample count
 * live encoder preset crf keep keep_bytes
 *     stop TAG
 *     quit
 *
 * Every event is one JSON object on a line of standard output.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "base/columns.h"
#include "report/report.h"
#include "score/runner.h"

#define WORDS_MAX 32
#define TASKS_MAX 64

static void hex(const ProtobufCBinaryData *data)
{
    putchar('"');
    for (size_t i = 0; i < data->len; i++)
        printf("%02x", data->data[i]);
    putchar('"');
}

static void text(const char *key, const char *value)
{
    printf(", \"%s\": ", key);
    vmafx_json_string(stdout, value);
}

static void texts(const char *key, const char *const *items, size_t n)
{
    printf(", \"%s\": [", key);
    for (size_t i = 0; i < n; i++) {
        fputs(i ? ", " : "", stdout);
        vmafx_json_string(stdout, items[i]);
    }
    putchar(']');
}

/* Events come from two threads. */
static void begin_line(const char *event, uint64_t tag)
{
    flockfile(stdout);
    printf("{\"event\": \"%s\", \"tag\": %" PRIu64, event, tag);
}

static void end_line(void)
{
    puts("}");
    fflush(stdout);
    funlockfile(stdout);
}

static void on_begun(void *ctx, uint64_t tag, const Vmafx__Scorer__V1__Begun *begun)
{
    begin_line("begun", tag);
    texts("layers", (const char *const *)begun->sandbox_layers, begun->n_sandbox_layers);
    end_line();
}

static void on_progress(void *ctx, uint64_t tag, const Vmafx__Scorer__V1__ChildProgress *progress)
{
    begin_line("progress", tag);
    printf(", \"frames\": %" PRId64 ", \"total\": %" PRId64, progress->frames, progress->frames_total);
    end_line();
}

static void on_span(void *ctx, uint64_t tag, const Vmafx__Scorer__V1__SpanRecord *span)
{
    begin_line("span", tag);
    printf(", \"id\": ");
    hex(&span->span_id);
    fputs(", \"parent\": ", stdout);
    hex(&span->parent_span_id);
    printf(", \"start\": %" PRIu64 ", \"end\": %" PRIu64 ", \"status\": %d", span->start_unix_ns, span->end_unix_ns,
           (int)span->status);
    text("name", span->name);
    fputs(", \"keys\": [", stdout);
    for (size_t i = 0; i < span->n_attributes; i++) {
        fputs(i ? ", " : "", stdout);
        vmafx_json_string(stdout, span->attributes[i]->key);
    }
    putchar(']');
    end_line();
}

static void on_log(void *ctx, uint64_t tag, const Vmafx__Scorer__V1__LogRecord *record)
{
    begin_line("log", tag);
    printf(", \"severity\": %d", (int)record->severity);
    text("body", record->body);
    end_line();
}

static void print_value(double v)
{
    if (isnan(v))
        fputs("null", stdout);
    else
        printf("%.17g", v);
}

static void on_series(void *ctx, uint64_t tag, const Vmafx__V1__SeriesNames *names)
{
    begin_line("series", tag);
    texts("names", (const char *const *)names->names, names->n_names);
    printf(", \"kinds\": [");
    for (size_t i = 0; i < names->n_kinds; i++)
        printf("%s%d", i ? ", " : "", (int)names->kinds[i]);
    putchar(']');
    end_line();
}

static void on_frames(void *ctx, uint64_t tag, const Vmafx__V1__Frames *frames)
{
    begin_line("frames", tag);
    printf(", \"first\": %" PRId64 ", \"columns\": [", frames->first);
    for (size_t c = 0; c < frames->n_columns; c++) {
        fputs(c ? ", [" : "[", stdout);
        for (size_t i = 0; i < frames->columns[c]->n_values; i++) {
            fputs(i ? ", " : "", stdout);
            print_value(frames->columns[c]->values[i]);
        }
        putchar(']');
    }
    putchar(']');
    end_line();
}

static void print_frames(const VmafxRunEnd *end)
{
    VmafxColumns columns;

    if (!end->result || vmafx_columns_unpack(end->frames, end->frames_len, 0, &columns, NULL))
        return;
    fputs(", \"series\": {", stdout);
    for (size_t c = 0; c < columns.n; c++) {
        fputs(c ? ", " : "", stdout);
        vmafx_json_string(stdout, end->result->series[c]->name);
        fputs(": [", stdout);
        for (uint64_t i = 0; i < columns.n_rows; i++) {
            fputs(i ? ", " : "", stdout);
            print_value(columns.values[c * columns.n_rows + i]);
        }
        putchar(']');
    }
    putchar('}');
    vmafx_columns_done(&columns);
}

static void print_encode(const Vmafx__V1__EncodeFacts *encode)
{
    printf(", \"encode\": {\"frames\": %" PRId64 ", \"size\": %" PRId64 ", \"seconds\": %g", encode->frames,
           encode->size_bytes, encode->seconds);
    text("encoder", encode->encoder);
    text("codec", encode->codec);
    text("version", encode->encoder_version);
    text("reason", encode->reason);
    text("pixel_format", encode->pixel_format);
    putchar('}');
}

static void print_result(const Vmafx__V1__Result *result)
{
    printf(", \"complete\": %s, \"frames\": %" PRId64 ", \"pooled\": {", result->complete ? "true" : "false",
           result->frames);
    for (size_t i = 0; i < result->n_series; i++) {
        fputs(i ? ", " : "", stdout);
        vmafx_json_string(stdout, result->series[i]->name);
        printf(": %.17g", result->series[i]->mean);
    }
    fputs("}, \"inputs\": [", stdout);
    for (size_t i = 0; i < result->n_inputs; i++) {
        printf("%s{\"size\": %" PRId64, i ? ", " : "", result->inputs[i]->size_bytes);
        text("uri", result->inputs[i]->uri);
        text("sha256", result->inputs[i]->sha256);
        text("codec", result->inputs[i]->codec);
        putchar('}');
    }
    putchar(']');
    text("kernels", result->kernel_level);
    text("model_sha256", result->n_models ? result->models[0]->sha256 : "");
    if (result->encode)
        print_encode(result->encode);
}

static void on_ended(void *ctx, uint64_t tag, const VmafxRunEnd *end)
{
    begin_line("ended", tag);
    printf(", \"outcome\": %d, \"failure\": %d", (int)end->outcome, (int)end->failure);
    text("message", end->message);
    if (end->result)
        print_result(end->result);
    print_frames(end);
    end_line();
}

static void on_changed(void *ctx, bool ready, const char *message)
{
    begin_line("changed", 0);
    printf(", \"ready\": %s", ready ? "true" : "false");
    text("message", message);
    end_line();
}

static void on_encoders(void *ctx)
{
    VmafxRunner **runner = ctx;
    const char *names[VMAFX_ENCODERS_MAX];
    VmafxEncoderSet set = 0;
    bool known = vmafx_runner_encoders(*runner, &set);

    begin_line("encoders", 0);
    printf(", \"known\": %s", known ? "true" : "false");
    texts("names", names, vmafx_encoder_set_names(set, names));
    end_line();
}

/* What a line asks for, with room for what the message points to. */
typedef struct Order {
    VmafxRunTask task;
    Vmafx__V1__JobSpec spec;
    Vmafx__V1__Input inputs[2];
    Vmafx__V1__RawFormat raw;
    Vmafx__V1__ModelRequest model, *models[1];
    Vmafx__V1__Comparison comparison;
    Vmafx__V1__EncodeRecipe recipe;
} Order;

static void order_init(Order *order)
{
    *order = (Order){ .spec = VMAFX__V1__JOB_SPEC__INIT,
                      .inputs = { VMAFX__V1__INPUT__INIT, VMAFX__V1__INPUT__INIT },
                      .raw = VMAFX__V1__RAW_FORMAT__INIT,
                      .model = VMAFX__V1__MODEL_REQUEST__INIT,
                      .comparison = VMAFX__V1__COMPARISON__INIT,
                      .recipe = VMAFX__V1__ENCODE_RECIPE__INIT };
    order->models[0] = &order->model;
    order->spec.reference = &order->inputs[0];
    order->spec.distorted = &order->inputs[1];
    order->spec.distorted_source_case = VMAFX__V1__JOB_SPEC__DISTORTED_SOURCE_DISTORTED;
    order->spec.comparison = &order->comparison;
    order->task.spec = &order->spec;
    order->task.events = (VmafxRunEvents){ .begun = on_begun,
                                           .progress = on_progress,
                                           .span = on_span,
                                           .log = on_log,
                                           .series = on_series,
                                           .frames = on_frames,
                                           .ended = on_ended };
}

/* "160x90" */
static void raw_format(Order *order, const char *value)
{
    order->raw.width = (int32_t)strtol(value, NULL, 10);
    order->raw.height = (int32_t)strtol(strchr(value, 'x') + 1, NULL, 10);
    order->raw.bit_depth = 8;
    order->raw.pixel_format = (char *)(uintptr_t) "420";
    order->inputs[0].raw = order->inputs[1].raw = &order->raw;
}

/* One of a recipe's; false: it is something else. */
static bool recipe_option(Order *order, const char *word, char *value)
{
    Vmafx__V1__EncodeRecipe *recipe = &order->recipe;

    if (!strcmp(word, "encoder")) {
        recipe->encoder = value;
        order->spec.distorted_source_case = VMAFX__V1__JOB_SPEC__DISTORTED_SOURCE_ENCODE;
        order->spec.encode = recipe;
    } else if (!strcmp(word, "preset")) {
        recipe->preset = value;
    } else if (!strcmp(word, "crf")) {
        recipe->rate_case = VMAFX__V1__ENCODE_RECIPE__RATE_CRF;
        recipe->crf = strtod(value, NULL);
    } else if (!strcmp(word, "keep")) {
        recipe->keep = true;
        order->task.keep_fd = open(value, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    } else if (!strcmp(word, "keep_bytes")) {
        order->task.keep_bytes = strtoll(value, NULL, 10);
    } else {
        return false;
    }
    return true;
}

static void option(Order *order, char *word)
{
    char *value = strchr(word, '=');

    if (!value)
        return;
    *value++ = 0;
    if (recipe_option(order, word, value))
        return;
    if (!strcmp(word, "as_mib"))
        order->task.limits.address_space_bytes = strtoll(value, NULL, 10) << 20;
    else if (!strcmp(word, "cpu_s"))
        order->task.limits.cpu_seconds = strtoll(value, NULL, 10);
    else if (!strcmp(word, "wall_ms"))
        order->task.limits.wall_ms = strtoll(value, NULL, 10);
    else if (!strcmp(word, "threads"))
        order->task.threads = (int)strtol(value, NULL, 10);
    else if (!strcmp(word, "trace"))
        order->task.traceparent = value;
    else if (!strcmp(word, "nested"))
        order->task.nested = true;
    else if (!strcmp(word, "live"))
        order->task.frames_live = true;
    else if (!strcmp(word, "subsample"))
        order->comparison.subsample = (int32_t)strtol(value, NULL, 10);
    else if (!strcmp(word, "count"))
        order->comparison.frame_count = strtoll(value, NULL, 10);
    else if (!strcmp(word, "raw"))
        raw_format(order, value);
    else if (!strcmp(word, "model")) {
        order->model.version = value;
        order->spec.models = order->models;
        order->spec.n_models = 1;
    }
}

static void run(VmafxRunner *runner, char **words, size_t n)
{
    VmafxErrInfo info = { 0 };
    Order order;

    order_init(&order);
    order.task.tag = strtoull(words[1], NULL, 10);
    for (size_t i = 0; i < 2; i++) {
        order.task.names[i] = words[2 + i];
        order.task.fds[i] = open(words[2 + i], O_RDONLY | O_CLOEXEC);
    }
    for (size_t i = 4; i < n; i++)
        option(&order, words[i]);
    VmafxErr err = vmafx_runner_run(runner, &order.task, &info);
    if (order.recipe.keep)
        close(order.task.keep_fd);
    if (!err)
        return;
    begin_line("not_run", order.task.tag);
    text("message", info.message);
    end_line();
}

static bool obey(VmafxRunner *runner, char *line)
{
    char *words[WORDS_MAX], *rest = NULL;
    size_t n = 0;

    for (char *word = strtok_r(line, " \n", &rest); word && n < WORDS_MAX; word = strtok_r(NULL, " \n", &rest))
        words[n++] = word;
    if (n >= 4 && !strcmp(words[0], "run"))
        run(runner, words, n);
    else if (n == 2 && !strcmp(words[0], "stop"))
        vmafx_runner_stop_task(runner, strtoull(words[1], NULL, 10));
    return !(n == 1 && !strcmp(words[0], "quit"));
}

int main(void)
{
    VmafxRunner *runner = NULL;
    VmafxErrInfo info = { 0 };
    char line[16384];
    const VmafxRunnerConfig config = {
        .tasks_max = TASKS_MAX, .changed = on_changed, .encoders = on_encoders, .ctx = &runner
    };
    VmafxErr err = vmafx_runner_start(&config, &runner, &info);

    if (err) {
        begin_line("no_start", 0);
        text("error", vmafx_err_name(err));
        text("message", info.message);
        end_line();
        return 1;
    }
    const VmafxRunnerFacts *facts = vmafx_runner_facts(runner);
    begin_line("ready", 0);
    text("kernels", facts->kernel_level);
    texts("models", facts->models, facts->n_models);
    texts("layers", facts->sandbox_layers, facts->n_sandbox_layers);
    end_line();
    while (fgets(line, sizeof line, stdin) && obey(runner, line))
        ;
    vmafx_runner_stop(&runner);
    return 0;
}
