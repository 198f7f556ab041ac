/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Settings files: any bytes are either refused, with a sentence, or make settings that can be printed and read again.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *name_of(const char *line, size_t len, char *ret_key, size_t room)
{
    const char *equals = memchr(line, '=', len);
    size_t n = equals ? (size_t)(equals - line) : 0;

    if (!n || n >= room || *line == '#')
        return NULL;
    memcpy(ret_key, line, n);
    ret_key[n] = 0;
    return ret_key;
}

/* Every setting of the printed text is one of the config. */
static void check_printed(const VmafxConfig *config, const char *text)
{
    char key[VMAFX_CONFIG_LINE_MAX + 1];

    while (*text) {
        size_t len = strcspn(text, "\n");

        if (text[len] != '\n' || memchr(text, 27, len))
            abort();
        if (name_of(text, len, key, sizeof key) && !vmafx_config_get(config, key, NULL))
            abort();
        text += len + 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    VMAFX_AUTO(vmafx_config_free) VmafxConfig *config = NULL;
    VMAFX_AUTO(vmafx_free_p) char *text = NULL;
    VmafxErrInfo info = { 0 };
    size_t len = 0;
    VmafxErr err = vmafx_config_parse((const char *)data, size, "fuzz", &config, &info);

    if (err) {
        if (config || strncmp(info.message, "'fuzz'", 6) != 0)
            abort(); /* an error leaves nothing and names the file */
        return 0;
    }
    FILE *out = open_memstream(&text, &len);
    if (!out)
        abort();
    vmafx_config_print(config, out);
    if (fclose(out))
        abort();
    check_printed(config, text);

    VMAFX_AUTO(vmafx_config_free) VmafxConfig *again = NULL;
    err = vmafx_config_parse(text, len, "fuzz", &again, &info);
    if (err && err != VMAFX_ERR_LIMIT) /* 1000 settings and the known ones are more than a file may have */
        abort();
    return 0;
}
