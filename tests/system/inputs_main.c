/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Opens inputs as a program would, for tests/system/test_inputs.py: a line of JSON for each, with the digest of the
 * bytes that can be read from the descriptor.
 *
 *     inputs_main NAME=VALUE… URI…      names: roots hosts private plain ca max timeout stall cache cache_max verify
 *                                       stop_at (bytes: then cancel) threads (each gets them all) hold (until a line on
 *                                       standard input)
 */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"
#include "inputs/inputs.h"

typedef struct Test {
    VmafxInputsConfig config;
    VmafxInputs *inputs;
    atomic_bool stop;
    int64_t stop_at;
    uint64_t stopped_ns;
    bool hold;
    char **uris;
    int n_uris;
} Test;

static void on_progress(void *ctx, int64_t bytes, int64_t total)
{
    Test *test = ctx;

    if (test->stop_at >= 0 && bytes >= test->stop_at && !atomic_exchange(&test->stop, true))
        test->stopped_ns = vmafx_monotonic_ns();
}

static void read_all(int fd, int64_t *ret_len, char ret_hex[VMAFX_SHA256_TEXT])
{
    static _Thread_local char buffer[1 << 16];
    VmafxSha256 sha;

    *ret_len = 0;
    vmafx_sha256_init(&sha);
    for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0; *ret_len += n)
        vmafx_sha256_add(&sha, buffer, (size_t)n);
    vmafx_sha256_end_hex(&sha, ret_hex);
}

static void print_text(const char *text)
{
    putchar('"');
    for (; *text; text++)
        printf(strchr("\"\\", *text) ? "\\%c" : (unsigned char)*text < 0x20 ? "?" : "%c", *text);
    putchar('"');
}

static VmafxInput get(Test *test, const char *uri)
{
    VmafxInputWait wait = { .stop = &test->stop, .progress = on_progress, .ctx = test };
    VmafxErrInfo info = { 0 };
    VmafxInput input;
    VmafxErr err = vmafx_inputs_get(test->inputs, uri, &wait, &input, &info);
    uint64_t now = vmafx_monotonic_ns();
    char digest[VMAFX_SHA256_TEXT] = "";
    int64_t len = 0;

    if (!err)
        read_all(input.fd, &len, digest);
    flockfile(stdout);
    printf("{\"err\": \"%s\", \"message\": ", vmafx_err_name(err));
    print_text(info.message);
    printf(", \"size\": %lld, \"read\": %lld, \"sha256\": \"%s\", \"told_sha256\": \"%s\", \"cached\": %s, "
           "\"fetched\": %lld, \"may_pass\": %s, \"resource\": %s, \"host\": \"%s\", \"stop_ms\": %lld}\n",
           (long long)input.size, (long long)len, digest, input.sha256, input.cached ? "true" : "false",
           (long long)input.fetched_bytes, input.may_pass ? "true" : "false", input.resource ? "true" : "false",
           input.host, test->stopped_ns ? (long long)(now - test->stopped_ns) / 1000000 : -1);
    fflush(stdout);
    funlockfile(stdout);
    return input;
}

static void *get_all(void *arg)
{
    Test *test = arg;
    VmafxInput inputs[16];
    int n = VMAFX_MIN(test->n_uris, (int)VMAFX_LEN(inputs));

    for (int i = 0; i < n; i++)
        inputs[i] = get(test, test->uris[i]);
    if (test->hold && getchar() == EOF)
        puts("");
    for (int i = 0; i < n; i++)
        vmafx_input_done(&inputs[i]);
    return NULL;
}

int main(int argc, char **argv)
{
    Test test = { .stop_at = -1 };
    VmafxErrInfo info = { 0 };
    pthread_t threads[16];
    int n_threads = 1, i = 1;

    test.config.roots_name = "--roots";
    for (; i < argc && argv[i][0] >= 'a' && strchr(argv[i], '=') && !strstr(argv[i], "://"); i++) {
        char *value = strchr(argv[i], '=');
        *value++ = 0;
        const struct {
            const char *name;
            const char **text;
            int64_t *number;
            bool *flag;
            uint32_t *ms;
        } names[] = {
            { .name = "roots", .text = &test.config.roots },
            { .name = "hosts", .text = &test.config.url_hosts },
            { .name = "private", .flag = &test.config.url_private },
            { .name = "plain", .flag = &test.config.url_plain },
            { .name = "proxy", .flag = &test.config.url_proxy },
            { .name = "ca", .text = &test.config.url_ca_file },
            { .name = "max", .number = &test.config.url_bytes_max },
            { .name = "timeout", .ms = &test.config.url_timeout_ms },
            { .name = "stall", .ms = &test.config.url_stall_ms },
            { .name = "cache", .text = &test.config.cache },
            { .name = "cache_max", .number = &test.config.cache_bytes_max },
            { .name = "verify", .flag = &test.config.cache_verify },
            { .name = "stop_at", .number = &test.stop_at },
            { .name = "hold", .flag = &test.hold },
        };
        if (!strcmp(argv[i], "threads"))
            n_threads = VMAFX_MIN(atoi(value), (int)VMAFX_LEN(threads));
        for (size_t k = 0; k < VMAFX_LEN(names); k++) {
            if (strcmp(argv[i], names[k].name) != 0)
                continue;
            if (names[k].text)
                *names[k].text = value;
            if (names[k].number)
                *names[k].number = atoll(value);
            if (names[k].ms)
                *names[k].ms = (uint32_t)atoll(value);
            if (names[k].flag)
                *names[k].flag = atoi(value);
        }
    }
    test.uris = argv + i;
    test.n_uris = argc - i;
    VmafxErr err = vmafx_inputs_open(&test.config, &test.inputs, &info);
    if (err) {
        fprintf(stderr, "%s: %s\n", vmafx_err_name(err), info.message);
        return 1;
    }
    for (int t = 0; t < n_threads; t++)
        pthread_create(&threads[t], NULL, get_all, &test);
    for (int t = 0; t < n_threads; t++)
        pthread_join(threads[t], NULL);
    vmafx_inputs_close(&test.inputs);
    return 0;
}
