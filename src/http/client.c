/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The HTTP client over libcurl's multi interface: the loop is ours, so the deadline is ours too, and
 * curl_multi_wakeup() is how another thread gets a word in.
 */

#include "http/client.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"
#include "http/client_internal.h"

#define NS_PER_MS UINT64_C(1000000)

enum { RESPONSE_MAX_DEFAULT = 4 << 20, POLL_MS_MAX = 60000, BODY_FIRST = 1024, HEADER_LINE_MAX = 16384 };

struct VmafxHttpClient {
    CURLM *multi; /* owns the connections */
    char *ca_file, *cert_file, *key_file, *user_agent;
    size_t response_max;
    bool proxy_from_environment;
    atomic_bool cancelled; /* a flag; curl_multi_wakeup makes the loop look at it */
};

typedef struct Transfer {
    VmafxHttpClient *client;
    VmafxHttpResponse *response;
    bool too_large, no_memory;
} Transfer;

static VmafxErr check_file(const char *path, const char *what, VmafxErrInfo *reterr)
{
    if (path && access(path, R_OK) != 0)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "cannot read the %s '%s': %s", what, path, strerror(errno));
    return VMAFX_OK;
}

static bool copy_text(char **to, const char *from)
{
    *to = vmafx_strdup(from);
    return !from || *to;
}

VmafxErr vmafx_http_client_new(const VmafxHttpClientConfig *config, VmafxHttpClient **ret, VmafxErrInfo *reterr)
{
    if (!config->cert_file != !config->key_file)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "a client certificate needs its key, and a key its certificate");
    VmafxErr err = check_file(config->ca_file, "certificate", reterr);
    if (!err)
        err = check_file(config->cert_file, "client certificate", reterr);
    if (!err)
        err = check_file(config->key_file, "client key", reterr);
    if (err)
        return err;

    VMAFX_AUTO(vmafx_http_client_free) VmafxHttpClient *client = calloc(1, sizeof *client);
    if (!client || !http_library_is_ready())
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for an HTTP client");
    client->response_max = config->response_max_bytes ? config->response_max_bytes : RESPONSE_MAX_DEFAULT;
    client->proxy_from_environment = config->proxy_from_environment;
    client->multi = curl_multi_init();
    if (!client->multi || !copy_text(&client->ca_file, config->ca_file) ||
        !copy_text(&client->cert_file, config->cert_file) || !copy_text(&client->key_file, config->key_file) ||
        !copy_text(&client->user_agent, config->user_agent))
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for an HTTP client");
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, 2L);
    *ret = VMAFX_TAKE(client);
    return VMAFX_OK;
}

void vmafx_http_client_free(VmafxHttpClient **client)
{
    if (!*client)
        return;
    curl_multi_cleanup((*client)->multi);
    free((*client)->ca_file);
    free((*client)->cert_file);
    free((*client)->key_file);
    free((*client)->user_agent);
    free(*client);
    *client = NULL;
}

void vmafx_http_client_cancel(VmafxHttpClient *client)
{
    if (!client)
        return;
    atomic_store(&client->cancelled, true);
    curl_multi_wakeup(client->multi);
}

void vmafx_http_response_done(VmafxHttpResponse *response)
{
    free(response->body);
    *response = (VmafxHttpResponse){ 0 };
}

/* ---- what libcurl calls ---- */

static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
    Transfer *transfer = ctx;
    VmafxHttpResponse *response = transfer->response;
    size_t len = size * n;

    if (len > transfer->client->response_max - response->len) {
        transfer->too_large = true;
        return 0;
    }
    if (response->len + len > response->room) {
        size_t room = VMAFX_MAX(response->room, (size_t)BODY_FIRST);

        while (room < response->len + len)
            room *= 2; /* the limit above keeps this small */
        uint8_t *body = realloc(response->body, room);
        if (!body) {
            transfer->no_memory = true;
            return 0;
        }
        response->body = body;
        response->room = room;
    }
    memcpy(response->body + response->len, data, len);
    response->len += len;
    return len;
}

static size_t on_header(char *data, size_t size, size_t n, void *ctx)
{
    static const char name[] = "retry-after:";
    char *value = ((Transfer *)ctx)->response->retry_after;
    size_t len = size * n, room = sizeof((Transfer *)ctx)->response->retry_after;

    if (len >= 5 && memcmp(data, "HTTP/", 5) == 0)
        value[0] = 0; /* a new answer: what 100 Continue said does not count */
    if (len < sizeof name - 1 || strncasecmp(data, name, sizeof name - 1) != 0)
        return len;
    const char *from = data + sizeof name - 1, *end = data + len;
    while (from < end && (*from == ' ' || *from == '\t'))
        from++;
    while (end > from && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' '))
        end--;
    size_t rest = (size_t)(end - from);
    if (rest < room) {
        memcpy(value, from, rest);
        value[rest] = 0;
    }
    return len;
}

/* ---- one request ---- */

static struct curl_slist *header_list(const VmafxHttpRequest *request)
{
    /* no 100-continue: it costs a round trip, or a second where the server does not know it */
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");

    for (size_t i = 0; list && i < request->n_headers; i++) {
        const VmafxHttpHeader *header = &request->headers[i];
        bool empty = !*header->value; /* "Name;" is how libcurl spells an empty value */

        if (strpbrk(header->name, "\r\n: ") || strpbrk(header->value, "\r\n") ||
            strlen(header->value) > HEADER_LINE_MAX)
            continue;
        VMAFX_AUTO(vmafx_free_p)
        char *line = vmafx_sprintf("%s%s%s", header->name, empty ? ";" : ": ", header->value);
        struct curl_slist *longer = line ? curl_slist_append(list, line) : NULL;
        if (!longer) {
            curl_slist_free_all(list);
            return NULL;
        }
        list = longer;
    }
    return list;
}

static void set_up(CURL *easy, const VmafxHttpRequest *request, struct curl_slist *headers, Transfer *transfer,
                   char *error)
{
    const VmafxHttpClient *client = transfer->client;

    http_set_up(easy, client->ca_file, client->user_agent, client->proxy_from_environment);
    curl_easy_setopt(easy, CURLOPT_URL, request->url);
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body ? request->body : "");
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->len);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error);
    if (client->cert_file) {
        curl_easy_setopt(easy, CURLOPT_SSLCERT, client->cert_file);
        curl_easy_setopt(easy, CURLOPT_SSLKEY, client->key_file);
    }
}

/* True when the transfer is over, and then *ret_code. False: *ret_end says why we stopped before it was. */
static bool drive(VmafxHttpClient *client, uint64_t deadline_ns, CURLcode *ret_code, VmafxHttpEnd *ret_end)
{
    for (;;) {
        int running = 0, left = 0;
        CURLMcode code = curl_multi_perform(client->multi, &running);
        CURLMsg *message = curl_multi_info_read(client->multi, &left);

        if (message && message->msg == CURLMSG_DONE) {
            *ret_code = message->data.result;
            return true;
        }
        uint64_t now = vmafx_monotonic_ns();
        if (atomic_load(&client->cancelled))
            *ret_end = VMAFX_HTTP_CANCELLED;
        else if (now >= deadline_ns)
            *ret_end = VMAFX_HTTP_DEADLINE;
        else if (code || !running)
            *ret_end = VMAFX_HTTP_NO_ANSWER;
        else {
            uint64_t ms = (deadline_ns - now + NS_PER_MS - 1) / NS_PER_MS;

            if (!curl_multi_poll(client->multi, NULL, 0, (int)VMAFX_MIN(ms, (uint64_t)POLL_MS_MAX), NULL))
                continue;
            *ret_end = VMAFX_HTTP_NO_ANSWER;
        }
        return false;
    }
}

static VmafxHttpEnd run(VmafxHttpClient *client, CURL *easy, uint64_t deadline_ns, Transfer *transfer,
                        const char *error)
{
    static const char *const texts[] = { [VMAFX_HTTP_NO_ANSWER] = "no answer",
                                         [VMAFX_HTTP_DEADLINE] = "the deadline passed",
                                         [VMAFX_HTTP_CANCELLED] = "cancelled" };
    VmafxHttpResponse *response = transfer->response;
    CURLcode code = CURLE_OK;
    VmafxHttpEnd end = VMAFX_HTTP_UNUSABLE;

    if (curl_multi_add_handle(client->multi, easy) != CURLM_OK)
        return end;
    if (!drive(client, deadline_ns, &code, &end))
        snprintf(response->error, sizeof response->error, "%s", texts[end]);
    else {
        end = transfer->too_large   ? VMAFX_HTTP_TOO_LARGE
              : transfer->no_memory ? VMAFX_HTTP_UNUSABLE
                                    : http_end_of(code);
        long status = 0;

        if (end == VMAFX_HTTP_ANSWERED) {
            curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
            response->status = (int)status;
        } else {
            response->unreached = code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST;
            snprintf(response->error, sizeof response->error, "%s",
                     end == VMAFX_HTTP_TOO_LARGE ? "the answer exceeds its limit"
                     : *error                    ? error
                                                 : curl_easy_strerror(code));
        }
    }
    curl_multi_remove_handle(client->multi, easy);
    return end;
}

VmafxHttpEnd vmafx_http_post(VmafxHttpClient *client, const VmafxHttpRequest *request, uint64_t deadline_ns,
                             VmafxHttpResponse *ret)
{
    char error[CURL_ERROR_SIZE] = "";
    Transfer transfer = { .client = client, .response = ret };

    ret->status = 0;
    ret->len = 0;
    ret->retry_after[0] = 0;
    ret->unreached = false;
    snprintf(ret->error, sizeof ret->error, "the request could not be made");
    CURL *easy = curl_easy_init();
    struct curl_slist *headers = header_list(request);
    VmafxHttpEnd end = VMAFX_HTTP_UNUSABLE;
    if (easy && headers) {
        set_up(easy, request, headers, &transfer, error);
        end = run(client, easy, deadline_ns, &transfer, error);
    }
    curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
    if (end == VMAFX_HTTP_ANSWERED)
        ret->error[0] = 0;
    return end;
}
