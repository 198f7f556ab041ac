/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The file of tokens and the Authorization header: the first line of the input is the header, the rest the file. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/tokens.h"
#include "base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_header(const VmafxTokenTable *table, const char *header)
{
    const char *secret = NULL;
    VmafxIdentity identity;
    VmafxErrInfo info = { 0 };
    VmafxErr formed = vmafx_token_of_header(header, &secret, NULL);
    VmafxErr err = vmafx_token_table_identify(table, header, 1, &identity, &info);

    if ((err && err != VMAFX_ERR_UNAUTHENTICATED) || (formed && !err) || !err == !!*info.message)
        abort();
    if (!formed && (secret < header || secret + VMAFX_TOKEN_LEN > header + strlen(header) ||
                    strncmp(secret, VMAFX_TOKEN_BEGIN, strlen(VMAFX_TOKEN_BEGIN)) != 0))
        abort();
    if (!err && (identity.role < VMAFX_ROLE_READER || identity.role > VMAFX_ROLE_ADMIN))
        abort();
}

/* Whatever was accepted is what a line may say. */
static void check_table(const VmafxTokenTable *table)
{
    const VmafxToken *token;
    size_t n = 0;

    for (; (token = vmafx_token_table_at(table, n)); n++)
        if (token->identity.role < VMAFX_ROLE_READER || token->identity.role > VMAFX_ROLE_ADMIN ||
            !vmafx_auth_name_valid(token->identity.name) || token->line < 1 || token->line > VMAFX_TOKENS_LINES_MAX ||
            (*token->identity.tenant && !vmafx_auth_name_valid(token->identity.tenant)))
            abort();
    if (n != vmafx_token_table_count(table))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    VMAFX_AUTO(vmafx_token_table_free) VmafxTokenTable *table = NULL;
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
    size_t header_len = end ? (size_t)(end - data) : size;
    VMAFX_AUTO(vmafx_free_p) char *header = vmafx_sprintf("%.*s", (int)header_len, size ? (const char *)data : "");
    VMAFX_AUTO(vmafx_token_table_free) VmafxTokenTable *none = NULL;
    VmafxErrInfo info = { 0 };

    if (!header || vmafx_token_table_parse("", 0, "none", &none, NULL))
        abort();
    const char *file = end ? (const char *)end + 1 : "";
    VmafxErr err = vmafx_token_table_parse(file, end ? size - header_len - 1 : 0, "fuzz", &table, &info);
    if (err && (table || strncmp(info.message, "'fuzz'", 6) != 0 || memchr(info.message, 27, strlen(info.message))))
        abort(); /* an error leaves nothing, names the file, and is fit for a terminal */
    check_header(err ? none : table, header);
    if (!err)
        check_table(table);
    return 0;
}
