/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Reading the texts that golden files have for features. */

#include "feature_text.h"

#include <string.h>

#include "base/base.h"

VmafxErr feature_text_add(VmafxEngine *engine, const char *text, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_free_p) char *copy = vmafx_strdup(text);
    VmafxOption items[32];
    VmafxOptions options = { items, 0 };
    char *rest = copy, *name = strsep(&rest, "="), *part;

    while (rest && (part = strsep(&rest, ":"))) {
        char *value = strchr(part, '=');
        *value++ = 0;
        options.items[options.n++] = (VmafxOption){ part, value };
    }
    return vmafx_engine_add_feature(engine, name, &options, true, reterr);
}
