/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The headers of a POST: types, and what repeats the body. */

#include "programs/mcp/http_headers.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"

#define JSON_TYPE "application/json"

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;

    return at ? (int)(at - digits) : -1;
}

char *http_header_decode(const char *value)
{
    static const char head[] = "=?base64?", tail[] = "?=";
    size_t len = strlen(value), n = 0;

    if (strncmp(value, head, sizeof head - 1) != 0)
        return vmafx_strdup(value);
    if (len < sizeof head + sizeof tail - 2 || strcmp(value + len - 2, tail) != 0)
        return NULL;
    const char *data = value + sizeof head - 1;
    size_t n_data = len - (sizeof head - 1) - (sizeof tail - 1);
    char *ret = malloc(n_data / 4 * 3 + 1);
    bool good = ret && n_data % 4 == 0;

    for (size_t i = 0; good && i < n_data; i += 4) {
        int pads = i + 4 == n_data ? (data[i + 3] == '=') + (data[i + 3] == '=' && data[i + 2] == '=') : 0;
        unsigned bits = 0;
        for (int k = 0; k < 4; k++) {
            int digit = k >= 4 - pads ? 0 : base64_digit(data[i + (size_t)k]);
            good = good && digit >= 0;
            bits = bits << 6 | (unsigned)VMAFX_MAX(digit, 0);
        }
        for (int k = 0; good && k < 3 - pads; k++)
            ret[n++] = (char)(bits >> (16 - 8 * k));
    }
    if (!good || memchr(ret, 0, n)) {
        free(ret);
        return NULL;
    }
    ret[n] = 0;
    return ret;
}

static bool accepts(const char *accept, const char *type)
{
    char any[32];

    snprintf(any, sizeof any, "%.*s*", (int)(strchr(type, '/') - type) + 1, type);
    return !accept || strstr(accept, type) || strstr(accept, "*/*") || strstr(accept, any);
}

/** What the header Mcp-Name repeats, for the methods that have it. */
static const char *name_of(const JsonRpcMessage *message)
{
    const char *key = NULL;

    if (!strcmp(message->method, "tools/call") || !strcmp(message->method, "prompts/get"))
        key = "name";
    else if (!strcmp(message->method, "resources/read"))
        key = "uri";
    return key ? json_string_value(json_object_get(message->params, key)) : NULL;
}

const char *http_mismatch(const VmafxHttpCall *call, const JsonRpcMessage *message, const char *revision)
{
    const char *version = vmafx_http_call_header(call, "MCP-Protocol-Version");
    const char *method = vmafx_http_call_header(call, "Mcp-Method"), *named = vmafx_http_call_header(call, "Mcp-Name");
    const char *name = name_of(message);

    if (!version || strcmp(version, revision) != 0)
        return "the header MCP-Protocol-Version is missing, or is not the revision of params._meta";
    if (!method || strcmp(method, message->method) != 0)
        return "the header Mcp-Method is missing, or is not the method";
    if (!name)
        return NULL;
    VMAFX_AUTO(vmafx_free_p) char *decoded = named ? http_header_decode(named) : NULL;
    return !decoded || strcmp(decoded, name) != 0
               ? "the header Mcp-Name is missing, malformed, or is not the name (or uri) of the params"
               : NULL;
}

const char *http_unfit(const VmafxHttpCall *call, int *ret_status)
{
    const char *type = vmafx_http_call_header(call, "Content-Type"), *accept = vmafx_http_call_header(call, "Accept");

    *ret_status = 415;
    if (!type || strncasecmp(type, JSON_TYPE, sizeof JSON_TYPE - 1) != 0 || !strchr(" \t;", type[sizeof JSON_TYPE - 1]))
        return "Content-Type must be application/json";
    *ret_status = 406;
    return accepts(accept, JSON_TYPE) ? NULL : "Accept must have application/json (and text/event-stream)";
}
