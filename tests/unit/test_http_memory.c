/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The HTTP server while memory runs out: every allocation of ours that a start, a form and a file take fails, one after
 * the other. A request is then answered with 503, or its connection is closed; the next one is served, and what was
 * taken is given back.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <dirent.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "http/server.h"

/* ---- allocations, on every thread ---- */

static atomic_int until_failure; /* 0: none fails; n: the n-th from now does */

static bool fails(void)
{
    int n = atomic_load(&until_failure);

    return n && atomic_fetch_sub(&until_failure, 1) == 1;
}

/* The names are the linker's: __wrap_f is called where f stands, __real_f is the C library's. */
#define WRAP(Type, name, parameters, arguments)                                                                        \
    Type __real_##name parameters;                                                                                     \
    Type __wrap_##name parameters;                                                                                     \
    Type __wrap_##name parameters                                                                                      \
    {                                                                                                                  \
        return fails() ? NULL : __real_##name arguments;                                                               \
    }

WRAP(void *, malloc, (size_t size), (size))
WRAP(void *, calloc, (size_t n, size_t size), (n, size))
WRAP(void *, realloc, (void *old, size_t size), (old, size))
WRAP(char *, strdup, (const char *text), (text))
WRAP(char *, strndup, (const char *text, size_t n), (text, n))

/* ---- a server and its client ---- */

static VmafxErr take(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    size_t n;
    VmafxHttpPart *parts = vmafx_http_call_parts(call, &n);
    int64_t size;

    (void)ctx, (void)reterr;
    if (!parts)
        return vmafx_http_answer_file(answer, 200, "text/plain", vmafx_http_call_body_take_fd(call, &size));
    answer->status = n == 2 && parts[0].data && parts[1].fd >= 0 ? 204 : 500;
    return VMAFX_OK;
}

static const VmafxHttpRoute routes[] = {
    { .method = "POST", .pattern = "/form", .handle = take, .flags = VMAFX_HTTP_PARTS | VMAFX_HTTP_SHA256 },
    { .method = "PUT", .pattern = "/file", .handle = take, .flags = VMAFX_HTTP_FILE_BODY },
};

static VmafxErr start(VmafxHttpServer **ret)
{
    VmafxHttpServerConfig config = { .address = "127.0.0.1:0", .routes = routes, .n_routes = 2, .threads = 1 };
    VmafxErrInfo info = { 0 };
    VmafxErr err = vmafx_http_server_start(&config, ret, &info);

    if (err && !*info.message)
        fail_msg("no word");
    return err;
}

/* The status, or 0: closed without. The client's own memory is its stack, so what fails is the server's. */
static int ask(VmafxHttpServer *server, const char *request)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)vmafx_http_server_port(server)) };
    char got[4096] = "";
    size_t len = 0;
    int fd = socket(AF_INET, SOCK_STREAM, 0), status = 0;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to))
        fail_msg("no connection");
    if (send(fd, request, strlen(request), MSG_NOSIGNAL) < 0)
        status = 0; /* closed already */
    for (ssize_t n; len < sizeof got - 1 && (n = read(fd, got + len, sizeof got - 1 - len)) > 0;)
        len += (size_t)n;
    close(fd);
    if (sscanf(got, "HTTP/1.1 %d", &status) != 1)
        return 0;
    return status;
}

static const char form[] = "POST /form HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                           "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 1834\r\n\r\n"
                           "--b\r\nContent-Disposition: form-data; name=a\r\nContent-Type: text/plain\r\n\r\n";
static const char form_rest[] =
    "\r\n--b\r\nContent-Disposition: form-data; name=f; filename=x\r\n\r\n12345\r\n--b--\r\n";
static const char file[] = "PUT /file HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\n12345";

static const char *whole_form(void)
{
    static char text[4096];
    const char *body = strstr(form, "--b\r\n");
    size_t head = strlen(body), want = 1834 - head - strlen(form_rest);

    memset(text, 0, sizeof text);
    memcpy(text, form, sizeof form - 1);
    memset(text + sizeof form - 1, 'x', want); /* more than a part's first room */
    memcpy(text + sizeof form - 1 + want, form_rest, sizeof form_rest);
    return text;
}

static int open_files(void)
{
    int n = 0;
    DIR *folder = opendir("/proc/self/fd");

    assert_non_null(folder);
    while (readdir(folder))
        n++;
    closedir(folder);
    return n;
}

/* A connection that its client has closed is the server's to close; what never goes makes this test hang. */
static void wait_for_files(int n)
{
    while (open_files() != n)
        sched_yield();
}

/* ---- tests ---- */

static void each_request_survives_each_failure(void **state)
{
    const struct {
        const char *what, *request;
        int good;
    } cases[] = { { "a form", whole_form(), 204 }, { "a file", file, 200 } };
    VmafxHttpServer *server = NULL;

    (void)state;
    assert_int_equal(start(&server), VMAFX_OK);
    int before = open_files();
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        int refused = 0, n = 0;

        assert_int_equal(ask(server, cases[i].request), cases[i].good);
        for (bool failed = true; failed; n++) {
            atomic_store(&until_failure, n + 1);
            int status = ask(server, cases[i].request);
            failed = atomic_exchange(&until_failure, 0) <= 0;
            if (status && status != 503 && status != cases[i].good)
                fail_msg("%s, allocation %d: %d", cases[i].what, n, status);
            refused += status != cases[i].good;
            if (ask(server, cases[i].request) != cases[i].good)
                fail_msg("%s, after allocation %d", cases[i].what, n);
        }
        assert_true(n > 5 && refused > 3); /* they did fail */
        wait_for_files(before);
    }
    vmafx_http_server_stop(&server, 1000);
}

static void a_start_survives_each_failure(void **state)
{
    int before = open_files();

    (void)state;
    for (int n = 1;; n++) {
        VmafxHttpServer *server = NULL;

        atomic_store(&until_failure, n);
        VmafxErr err = start(&server);
        bool failed = atomic_exchange(&until_failure, 0) <= 0;
        if (err && err != VMAFX_ERR_NOMEM && err != VMAFX_ERR_IO)
            fail_msg("allocation %d: %s", n, vmafx_err_name(err));
        if (!err && ask(server, file) != 200)
            fail_msg("allocation %d", n);
        vmafx_http_server_stop(&server, 1000);
        assert_int_equal(open_files(), before);
        if (!failed)
            return;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_request_survives_each_failure),
        cmocka_unit_test(a_start_survives_each_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
