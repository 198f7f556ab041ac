/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What an MCP client sends: read or refused with a code and a sentence; what was read can be written, and is then the
 * same. The arguments of a message go through the schemas of the tools, and paths through the roots.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "programs/mcp/catalogue.h"
#include "programs/mcp/http_headers.h"
#include "programs/mcp/jsonrpc.h"
#include "programs/mcp/request.h"
#include "programs/mcp/resources.h"
#include "programs/mcp/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at(const Catalogue *catalogue, const JsonRpcMessage *message)
{
    json_t *arguments = json_object_get(message->params, "arguments"), *tool;
    VmafxErrInfo info = { 0 };
    size_t i;

    if (message->kind == JSONRPC_INVALID && (!message->fault.code || !*message->fault.message))
        abort();
    if (message->kind == JSONRPC_REQUEST && (!message->id || !message->method))
        abort();
    json_array_foreach(catalogue->tools, i,
                       tool) if (arguments &&
                                 schema_check(json_object_get(tool, "inputSchema"), arguments, "arguments", &info) &&
                                 !*info.message) abort();
}

static void round_trip(const JsonRpcText *text)
{
    VMAFX_AUTO(vmafx_free_p) char *dump = jsonrpc_dump(text->root);
    VMAFX_AUTO(jsonrpc_text_done) JsonRpcText again = { 0 };
    JsonRpcFault fault;

    if (dump && (!jsonrpc_read(dump, strlen(dump), &again, &fault) || again.n != text->n || strchr(dump, '\n')))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Catalogue catalogue;
    VMAFX_AUTO(jsonrpc_text_done) JsonRpcText text = { 0 };
    char *terminated = malloc(size + 1), sent[REQUEST_URI_MAX], id[JOB_ID_TEXT];
    JsonRpcFault fault = { 0 };
    RequestPlace place = { "/media:/srv/", "/media/in" };
    bool frames;

    if (!terminated || (!catalogue.root && catalogue_open(&catalogue, NULL)))
        abort();
    if (jsonrpc_read((const char *)data, size, &text, &fault)) {
        for (size_t i = 0; i < text.n; i++)
            look_at(&catalogue, &text.messages[i]);
        round_trip(&text);
    } else if (!fault.code || !*fault.message)
        abort();
    memcpy(terminated, data, size);
    terminated[size] = 0;
    if (!request_path(&place, terminated, sent, NULL) && *sent == '/' &&
        (strstr(sent, "/../") || (strncmp(sent, "/media", 6) != 0 && strncmp(sent, "/srv", 4) != 0)))
        abort();
    free(http_header_decode(terminated));
    VMAFX_IGNORE(resource_parse(terminated, id, &frames));
    free(terminated);
    return 0;
}
