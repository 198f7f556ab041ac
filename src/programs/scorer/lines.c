/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The format is the SDK's; a line is one write. */

#include "programs/scorer/lines.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"
#include "otel/sdk/log_lines.h"
#include "signals/signals.h"

void line_log(VmafxSeverity severity, const char *message, const char *detail)
{
    const VmafxScope scope = { .name = VMAFX_SCOPE_NAME_SCORER, .version = "", .schema_url = "" };
    const char *wanted = getenv("VMAFX_LOG_FORMAT");
    const VmafxAttr attr = VMAFX_ATTR_STR(VMAFX_KEY_EXCEPTION_MESSAGE, detail);
    char line[VMAFX_LOG_LINE_MAX + 1];

    const VmafxLogData data = { .time_ns = vmafx_wall_ns(),
                                .severity = severity,
                                .severity_text = vmafx_severity_text(severity),
                                .event_name = "",
                                .body = vmafx_value_str(message),
                                .attrs = { &attr, detail ? 1 : 0 },
                                .scope = &scope };
    size_t n =
        vmafx_log_line_format(&data, wanted && !strcmp(wanted, "json") ? VMAFX_LOG_JSON : VMAFX_LOG_LOGFMT, line);
    VMAFX_IGNORE(write(STDERR_FILENO, line, n) < 0); /* there is nobody else to tell */
}
