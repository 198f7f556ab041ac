/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What requests of every kind have in common. */

#include <pthread.h>
#include <sys/socket.h>

#include "http/client_internal.h"

static pthread_once_t library_once = PTHREAD_ONCE_INIT;
static bool library_ready; /* written by library_init only, read after pthread_once */

static void library_init(void)
{
    library_ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

bool http_library_is_ready(void)
{
    pthread_once(&library_once, library_init);
    return library_ready;
}

/* Children of exec get none of our sockets. */
static curl_socket_t on_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

void http_set_up(CURL *easy, const char *ca_file, const char *user_agent, bool proxy_from_environment)
{
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* do not wait for a name server when giving up */
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_socket);
    if (!proxy_from_environment)
        curl_easy_setopt(easy, CURLOPT_PROXY, "");
    if (user_agent)
        curl_easy_setopt(easy, CURLOPT_USERAGENT, user_agent);
    if (ca_file) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file);
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL); /* that file, and not the system's beside it */
    }
}

VmafxHttpEnd http_end_of(CURLcode code)
{
    switch (code) {
    case CURLE_OK:
        return VMAFX_HTTP_ANSWERED;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
        return VMAFX_HTTP_UNTRUSTED;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_OUT_OF_MEMORY:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_BAD_FUNCTION_ARGUMENT:
        return VMAFX_HTTP_UNUSABLE;
    default:
        return VMAFX_HTTP_NO_ANSWER;
    }
}
