/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Loggers: who they are, and the way to whichever provider there is at the time of a call. */

#include "otel/api/log.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/base.h"

struct VmafxLogger {
    VmafxLogProvider *provider; /* NULL: the program's */
    char *name, *version, *schema_url;
    VmafxAttrs attrs;
    bool inert;
};

static _Atomic(VmafxLogProvider *) program_provider; /* the one slot; release pairs with acquire below */
static VmafxLogger inert = { .inert = true };        /* never written */

const char *vmafx_severity_text(int severity)
{
    static const char *const names[25] = {
        "",         "TRACE",  "TRACE", "TRACE", "TRACE", "DEBUG", "DEBUG", "DEBUG", "DEBUG",
        "INFO",     "NOTICE", "INFO",  "INFO",  "WARN",  "WARN",  "WARN",  "WARN",  "ERROR",
        "CRITICAL", "ALERT",  "ERROR", "FATAL", "FATAL", "FATAL", "FATAL",
    };

    return severity < 0 || severity > 24 ? "" : names[severity];
}

void vmafx_log_provider_set(VmafxLogProvider *provider)
{
    atomic_store_explicit(&program_provider, provider, memory_order_release);
}

VmafxLogProvider *vmafx_log_provider(void)
{
    return atomic_load_explicit(&program_provider, memory_order_acquire);
}

VmafxLogger *vmafx_logger_new_in(VmafxLogProvider *provider, const char *name, const char *version,
                                 const char *schema_url, VmafxAttrs attrs)
{
    VmafxLogger *logger = calloc(1, sizeof *logger);

    if (!logger)
        return &inert;
    *logger = (VmafxLogger){ .provider = provider,
                             .name = vmafx_strdup(name ? name : ""),
                             .version = vmafx_strdup(version ? version : ""),
                             .schema_url = vmafx_strdup(schema_url ? schema_url : ""),
                             .attrs = attrs };
    if (!logger->name || !logger->version || !logger->schema_url) {
        vmafx_logger_free(&logger);
        return &inert;
    }
    return logger;
}

VmafxLogger *vmafx_logger_new(const char *name, const char *version, const char *schema_url, VmafxAttrs attrs)
{
    return vmafx_logger_new_in(NULL, name, version, schema_url, attrs);
}

void vmafx_logger_free(VmafxLogger **logger)
{
    if (!logger)
        return;
    if (*logger && *logger != &inert) {
        free((*logger)->name);
        free((*logger)->version);
        free((*logger)->schema_url);
        free(*logger);
    }
    *logger = NULL;
}

const char *vmafx_logger_name(const VmafxLogger *logger)
{
    return logger && logger->name ? logger->name : "";
}

const char *vmafx_logger_version(const VmafxLogger *logger)
{
    return logger && logger->version ? logger->version : "";
}

const char *vmafx_logger_schema_url(const VmafxLogger *logger)
{
    return logger && logger->schema_url ? logger->schema_url : "";
}

VmafxAttrs vmafx_logger_attrs(const VmafxLogger *logger)
{
    return logger ? logger->attrs : VMAFX_NO_ATTRS;
}

static VmafxLogProvider *provider_of(const VmafxLogger *logger)
{
    if (!logger || logger->inert)
        return NULL;
    return logger->provider ? logger->provider : vmafx_log_provider();
}

bool vmafx_logger_enabled(const VmafxLogger *logger, int severity, const char *event_name)
{
    VmafxLogProvider *provider = provider_of(logger);

    return provider && provider->enabled && provider->enabled(provider, logger, severity, event_name);
}

void vmafx_logger_emit(const VmafxLogger *logger, const VmafxLogRecord *record)
{
    VmafxLogProvider *provider = provider_of(logger);

    if (provider && provider->emit && record)
        provider->emit(provider, logger, record);
}

void vmafx_log_attrs(const VmafxLogger *logger, int severity, const char *message, VmafxAttrs attrs)
{
    VmafxLogRecord record = { .severity = severity, .body = vmafx_value_str(message), .attrs = attrs };

    vmafx_logger_emit(logger, &record);
}
