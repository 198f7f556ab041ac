/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A GET over libcurl's multi interface, whose loop is ours: that is how a flag, a deadline and a stall end it. */

#include "http/fetch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"
#include "http/client_internal.h"
#include "signals/instruments.h"

#define NS_PER_MS        UINT64_C(1000000)
#define STALL_MS_DEFAULT 20000
#define CONNECT_MS       20000
#define TICK_MS          200

struct VmafxFetcher {
    char *ca_file, *user_agent;
    uint64_t stall_ns;
    bool proxy_from_environment;
    bool (*may_connect)(void *ctx, const struct sockaddr *address);
    void *ctx;
    VmafxTracer *tracer;
    VmafxHistogram *duration;
};

typedef struct Fetch {
    const VmafxFetcher *fetcher;
    const VmafxFetchRequest *request;
    VmafxFetchAnswer *answer;
    CURL *easy;
    VmafxFetchVerdict verdict;
    bool head_done, refused, over; /* over: whoever asked, or we, want no more */
    size_t head_bytes, drained;
    uint64_t last_byte_ns;
} Fetch;

VmafxErr vmafx_fetcher_new(const VmafxFetcherConfig *config, VmafxFetcher **ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_fetcher_free) VmafxFetcher *fetcher = NULL;

    if (config->ca_file && access(config->ca_file, R_OK))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "cannot read the certificates '%s': %s", config->ca_file,
                          strerror(errno));
    fetcher = calloc(1, sizeof *fetcher);
    if (!fetcher || !http_library_is_ready())
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for an HTTP client");
    fetcher->ca_file = vmafx_strdup(config->ca_file);
    fetcher->user_agent = vmafx_strdup(config->user_agent);
    if ((config->ca_file && !fetcher->ca_file) || (config->user_agent && !fetcher->user_agent))
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for an HTTP client");
    fetcher->stall_ns = (config->stall_ms ? config->stall_ms : STALL_MS_DEFAULT) * NS_PER_MS;
    fetcher->proxy_from_environment = config->proxy_from_environment;
    fetcher->may_connect = config->may_connect;
    fetcher->ctx = config->ctx;
    fetcher->tracer = vmafx_tracer_get(VMAFX_SCOPE_NAME_HTTP, config->version);
    fetcher->duration =
        vmafx_signal_histogram(vmafx_meter_get(VMAFX_SCOPE_NAME_HTTP, config->version, "", VMAFX_NO_ATTRS),
                               VMAFX_METRIC_ID_HTTP_CLIENT_DURATION);
    *ret = VMAFX_TAKE(fetcher);
    return VMAFX_OK;
}

void vmafx_fetcher_free(VmafxFetcher **fetcher)
{
    if (!*fetcher)
        return;
    free((*fetcher)->ca_file);
    free((*fetcher)->user_agent);
    free(*fetcher);
    *fetcher = NULL;
}

/* ---- The head ---- */

static bool is_header(const char *line, size_t len, const char *name, const char **ret_value, size_t *ret_len)
{
    size_t n = strlen(name);
    const char *from = line + n + 1, *end = line + len;

    if (len <= n || strncasecmp(line, name, n) != 0 || line[n] != ':')
        return false;
    while (from < end && (*from == ' ' || *from == '\t'))
        from++;
    while (end > from && strchr(" \t\r\n", end[-1]))
        end--;
    *ret_value = from;
    *ret_len = (size_t)(end - from);
    return true;
}

/** A second header of the name counts no more than the first: none of ours is a list but Cache-Control. */
static void keep(char *to, size_t size, const char *value, size_t len)
{
    size_t at = strlen(to);

    if (at + 2 + len >= size || memchr(value, 0, len))
        return;
    if (at) {
        memcpy(to + at, ", ", 2);
        at += 2;
    }
    memcpy(to + at, value, len);
    to[at + len] = 0;
}

static int64_t length_from(const char *value, size_t len)
{
    int64_t n = 0;

    if (!len)
        return -1;
    for (size_t i = 0; i < len; i++) {
        if (value[i] < '0' || value[i] > '9' || n > INT64_MAX / 10 - 1)
            return -1; /* libcurl refuses what is no number by itself */
        n = n * 10 + (value[i] - '0');
    }
    return n;
}

static void read_header(VmafxFetchHead *head, const char *line, size_t len)
{
    const struct {
        const char *name;
        char *to;
        size_t size;
        bool list;
    } texts[] = {
        { "ETag", head->etag, sizeof head->etag, false },
        { "Last-Modified", head->last_modified, sizeof head->last_modified, false },
        { "Content-Range", head->content_range, sizeof head->content_range, false },
        { "Content-Encoding", head->content_encoding, sizeof head->content_encoding, true },
        { "Cache-Control", head->cache_control, sizeof head->cache_control, true },
        { "Age", head->age, sizeof head->age, false },
        { "Retry-After", head->retry_after, sizeof head->retry_after, false },
    };
    const char *value;
    size_t n;

    for (size_t i = 0; i < VMAFX_LEN(texts); i++)
        if (is_header(line, len, texts[i].name, &value, &n) && (texts[i].list || !*texts[i].to))
            keep(texts[i].to, texts[i].size, value, n);
    if (is_header(line, len, "Content-Length", &value, &n)) {
        head->length = length_from(value, n);
        head->framed |= head->length >= 0;
    }
    if (is_header(line, len, "Transfer-Encoding", &value, &n) && n >= 7 && !strncasecmp(value + n - 7, "chunked", 7)) {
        head->framed = true;
        head->length = -1;
    }
}

static size_t on_header(char *data, size_t size, size_t n, void *ctx)
{
    Fetch *fetch = ctx;
    VmafxFetchHead *head = &fetch->answer->head;
    size_t len = size * n;
    long status = 0;

    fetch->last_byte_ns = vmafx_monotonic_ns();
    fetch->head_bytes += len;
    if (fetch->head_bytes > VMAFX_FETCH_HEADERS_MAX) {
        fetch->answer->head_too_large = true;
        return 0;
    }
    if (fetch->head_done) /* trailers */
        return len;
    if (len >= 5 && !memcmp(data, "HTTP/", 5)) { /* what 100 Continue said does not count */
        *head = (VmafxFetchHead){ .length = -1 };
        return len;
    }
    read_header(head, data, len);
    if (!(len == 2 && data[0] == '\r') && !(len == 1 && data[0] == '\n'))
        return len;
    curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200)
        return len;
    head->status = (int)status;
    fetch->head_done = true;
    fetch->verdict = fetch->request->on_head(fetch->request->ctx, head);
    fetch->over = fetch->verdict == VMAFX_FETCH_LEAVE;
    return fetch->over ? 0 : len;
}

static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
    Fetch *fetch = ctx;
    size_t len = size * n;

    fetch->last_byte_ns = vmafx_monotonic_ns();
    if (fetch->verdict == VMAFX_FETCH_DRAIN) {
        fetch->drained += len;
        fetch->over = fetch->drained > VMAFX_FETCH_DRAIN_MAX;
    } else {
        fetch->over = !fetch->request->on_body(fetch->request->ctx, data, len);
    }
    return fetch->over ? 0 : len;
}

/* ---- The connection ---- */

static void address_text(const struct sockaddr *address, char *ret, size_t size)
{
    const void *bytes = address->sa_family == AF_INET ? (const void *)&((const struct sockaddr_in *)address)->sin_addr
                                                      : &((const struct sockaddr_in6 *)address)->sin6_addr;

    if ((address->sa_family != AF_INET && address->sa_family != AF_INET6) ||
        !inet_ntop(address->sa_family, bytes, ret, (socklen_t)size))
        snprintf(ret, size, "?");
}

static curl_socket_t on_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    Fetch *fetch = ctx;

    if (fetch->fetcher->may_connect && !fetch->fetcher->may_connect(fetch->fetcher->ctx, &address->addr)) {
        fetch->refused = true;
        address_text(&address->addr, fetch->answer->peer, sizeof fetch->answer->peer);
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static bool set_up(Fetch *fetch, struct curl_slist *headers, char *error)
{
    const VmafxFetcher *fetcher = fetch->fetcher;
    CURL *easy = fetch->easy;

    http_set_up(easy, fetcher->ca_file, fetcher->user_agent, fetcher->proxy_from_environment);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L); /* what was checked is what is asked for */
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, fetch);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, fetch);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 256L << 10);
    if (fetch->request->user_password) {
        char *colon = strchr(fetch->request->user_password, ':');
        size_t user_len = strcspn(fetch->request->user_password, ":");
        const char *from = user_len ? fetch->request->user_password : ""; /* libcurl takes a length of 0 for all */
        char *user = curl_easy_unescape(easy, from, (int)user_len, NULL);
        char *password = curl_easy_unescape(easy, colon ? colon + 1 : "", 0, NULL);
        bool ready = user && password && !curl_easy_setopt(easy, CURLOPT_USERNAME, user) &&
                     !curl_easy_setopt(easy, CURLOPT_PASSWORD, password);

        curl_free(user);
        curl_free(password);
        if (!ready)
            return false;
        curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
    }
    return !curl_easy_setopt(easy, CURLOPT_URL, fetch->request->url);
}

static struct curl_slist *header_list(const VmafxFetchRequest *request)
{
    struct curl_slist *list = curl_slist_append(NULL, "Accept: */*");

    for (size_t i = 0; list && i < request->n_headers; i++) {
        VMAFX_AUTO(vmafx_free_p)
        char *line = vmafx_sprintf("%s: %s", request->headers[i].name, request->headers[i].value);
        struct curl_slist *longer = line && !strpbrk(line, "\r\n") ? curl_slist_append(list, line) : NULL;

        if (!longer) {
            curl_slist_free_all(list);
            return NULL;
        }
        list = longer;
    }
    return list;
}

/* ---- The loop ---- */

/** True when libcurl is done, with its code; else *ret_end says why we stopped. */
static bool drive(Fetch *fetch, CURLM *multi, CURLcode *ret_code, VmafxHttpEnd *ret_end)
{
    const VmafxFetchRequest *request = fetch->request;

    for (;;) {
        int running = 0, left = 0;
        CURLMcode code = curl_multi_perform(multi, &running);
        CURLMsg *message = curl_multi_info_read(multi, &left);
        uint64_t now = vmafx_monotonic_ns();

        if (message && message->msg == CURLMSG_DONE) {
            *ret_code = message->data.result;
            return true;
        }
        if (request->on_tick)
            request->on_tick(request->ctx);
        *ret_end = VMAFX_HTTP_NO_ANSWER;
        if (request->stop && atomic_load(request->stop)) {
            *ret_end = VMAFX_HTTP_CANCELLED;
            return false;
        }
        if (now >= request->deadline_ns) {
            *ret_end = VMAFX_HTTP_DEADLINE;
            return false;
        }
        if (now - VMAFX_MIN(now, fetch->last_byte_ns) >= fetch->fetcher->stall_ns) {
            fetch->answer->stalled = true;
            return false;
        }
        uint64_t ms = VMAFX_MIN((request->deadline_ns - now) / NS_PER_MS + 1, (uint64_t)TICK_MS);
        if (code || !running || curl_multi_poll(multi, NULL, 0, (int)ms, NULL))
            return false;
    }
}

static void say(VmafxFetchAnswer *answer, const char *text)
{
    snprintf(answer->error, sizeof answer->error, "%s", text);
}

static VmafxHttpEnd finish(Fetch *fetch, CURLcode code, const char *error)
{
    VmafxFetchAnswer *answer = fetch->answer;
    char *text = NULL;

    curl_easy_getinfo(fetch->easy, CURLINFO_REDIRECT_URL, &text);
    if (text && strlen(text) < sizeof answer->redirect)
        snprintf(answer->redirect, sizeof answer->redirect, "%s", text);
    text = NULL;
    curl_easy_getinfo(fetch->easy, CURLINFO_PRIMARY_IP, &text);
    if (text && *text)
        snprintf(answer->peer, sizeof answer->peer, "%s", text);
    if (!code)
        return VMAFX_HTTP_ANSWERED;
    if (fetch->over) { /* not an error of the other side */
        answer->left = true;
        return VMAFX_HTTP_ANSWERED;
    }
    if (fetch->refused && !(text && *text)) {
        answer->refused_address = true;
        say(answer, "an address that is not allowed");
        return VMAFX_HTTP_NO_ANSWER;
    }
    answer->cut = fetch->head_done;
    say(answer, answer->head_too_large ? "the head of the answer exceeds 64 KiB"
                : *error               ? error
                                       : curl_easy_strerror(code));
    return answer->head_too_large ? VMAFX_HTTP_TOO_LARGE : http_end_of(code);
}

static VmafxHttpEnd perform(Fetch *fetch, struct curl_slist *headers)
{
    static const char *const texts[] = { [VMAFX_HTTP_NO_ANSWER] = "no answer",
                                         [VMAFX_HTTP_DEADLINE] = "the time is up",
                                         [VMAFX_HTTP_CANCELLED] = "cancelled" };
    char error[CURL_ERROR_SIZE] = "";
    CURLM *multi = curl_multi_init();
    VmafxHttpEnd end = VMAFX_HTTP_UNUSABLE;
    CURLcode code = CURLE_OK;

    if (multi && headers && set_up(fetch, headers, error) && !curl_multi_add_handle(multi, fetch->easy)) {
        if (drive(fetch, multi, &code, &end)) {
            end = finish(fetch, code, error);
        } else {
            fetch->answer->cut = fetch->head_done;
            say(fetch->answer, fetch->answer->stalled ? "no byte came for too long" : texts[end]);
        }
        curl_multi_remove_handle(multi, fetch->easy);
    }
    curl_easy_cleanup(fetch->easy); /* before the multi handle, which has its connection */
    curl_multi_cleanup(multi);
    return end;
}

/* ---- Signals ---- */

static const char *error_type(const VmafxFetchAnswer *answer, VmafxHttpEnd end, char code[16])
{
    static const char *const types[] = { [VMAFX_HTTP_NO_ANSWER] = "no_answer", [VMAFX_HTTP_DEADLINE] = "timeout",
                                         [VMAFX_HTTP_CANCELLED] = "cancelled", [VMAFX_HTTP_TOO_LARGE] = "too_large",
                                         [VMAFX_HTTP_UNTRUSTED] = "untrusted", [VMAFX_HTTP_UNUSABLE] = "unusable" };

    if (answer->head.status >= 400) {
        snprintf(code, 16, "%d", answer->head.status);
        return code;
    }
    return answer->refused_address ? "refused_address" : answer->stalled ? "stalled" : answer->cut ? "cut" : types[end];
}

static VmafxSpan *start_span(const VmafxFetchRequest *request, VmafxTracer *tracer)
{
    VmafxAttr attrs[5];
    size_t n = 0;

    attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_HTTP_REQUEST_METHOD, "GET");
    attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_URL_FULL, request->shown_url);
    attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_SERVER_ADDRESS, request->address);
    attrs[n++] = VMAFX_ATTR_INT(VMAFX_KEY_SERVER_PORT, request->port);
    if (request->resend_count)
        attrs[n++] = VMAFX_ATTR_INT(VMAFX_KEY_HTTP_REQUEST_RESEND_COUNT, request->resend_count);
    const char *name = attrs[0].value.str.ptr; /* the convention's: the method */
    return vmafx_span_start_with(tracer, name, &(VmafxSpanOptions){ .kind = VMAFX_SPAN_CLIENT, .attrs = { attrs, n } });
}

static void end_signals(const Fetch *fetch, VmafxSpan **span, uint64_t started_ns, VmafxHttpEnd end)
{
    const VmafxFetchRequest *request = fetch->request;
    const VmafxFetchAnswer *answer = fetch->answer;
    VMAFX_AUTO(vmafx_context_unref) VmafxContext *context = vmafx_span_to_context(*span, NULL);
    char code[16];
    const char *error = error_type(answer, end, code);
    VmafxAttr attrs[6];
    size_t n = 0;

    attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_HTTP_REQUEST_METHOD, "GET");
    attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_SERVER_ADDRESS, request->address);
    attrs[n++] = VMAFX_ATTR_INT(VMAFX_KEY_SERVER_PORT, request->port);
    if (answer->head.status)
        attrs[n++] = VMAFX_ATTR_INT(VMAFX_KEY_HTTP_RESPONSE_STATUS_CODE, answer->head.status);
    if (error)
        attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_ERROR_TYPE, error);
    vmafx_histogram_record_with(fetch->fetcher->duration, (double)(vmafx_monotonic_ns() - started_ns) / 1e9,
                                (VmafxAttrs){ attrs, n }, context);
    if (answer->head.status)
        vmafx_span_set_int(*span, VMAFX_KEY_HTTP_RESPONSE_STATUS_CODE, answer->head.status);
    if (*answer->peer)
        vmafx_span_set_str(*span, VMAFX_KEY_NETWORK_PEER_ADDRESS, answer->peer);
    if (error) {
        vmafx_span_set_str(*span, VMAFX_KEY_ERROR_TYPE, error);
        vmafx_span_set_status(*span, VMAFX_STATUS_ERROR, NULL);
    }
    vmafx_span_end(span);
}

VmafxHttpEnd vmafx_fetch(VmafxFetcher *fetcher, const VmafxFetchRequest *request, VmafxFetchAnswer *ret)
{
    uint64_t started_ns = vmafx_monotonic_ns();
    Fetch fetch = { .fetcher = fetcher, .request = request, .answer = ret, .last_byte_ns = started_ns };
    VmafxSpan *span = start_span(request, fetcher->tracer);

    *ret = (VmafxFetchAnswer){ .head.length = -1 };
    say(ret, "the request could not be made");
    fetch.easy = curl_easy_init();
    struct curl_slist *headers = header_list(request);
    VmafxHttpEnd end = fetch.easy ? perform(&fetch, headers) : VMAFX_HTTP_UNUSABLE;
    curl_slist_free_all(headers);
    if (end == VMAFX_HTTP_ANSWERED)
        ret->error[0] = 0;
    end_signals(&fetch, &span, started_ns, end);
    return end;
}
