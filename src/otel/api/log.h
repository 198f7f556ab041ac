/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Logging: a constant message, attributes for what varies, and the trace it belongs to, which comes along by itself.
 *
 *     vmafx_log(node->log, VMAFX_WARN, "lease lost, abandoning the job", VMAFX_ATTR_INT("vmafx.job.attempt", 3));
 *
 * Without a provider nothing happens. Nothing here fails or blocks; any thread may call; a NULL logger does nothing.
 */
#ifndef VMAFX_OTEL_API_LOG_H
#define VMAFX_OTEL_API_LOG_H

#include "otel/api/attr.h"
#include "otel/api/context.h"

/** OpenTelemetry's severity numbers; the four in between are for those who need them. */
typedef enum VmafxSeverity {
    VMAFX_TRACE = 1,
    VMAFX_DEBUG = 5, /* whatever helps */
    VMAFX_INFO = 9,  /* a few lines per job */
    VMAFX_NOTICE = 10,
    VMAFX_WARN = 13,  /* it went wrong and we carried on */
    VMAFX_ERROR = 17, /* someone should act */
    VMAFX_CRITICAL = 18,
    VMAFX_ALERT = 19,
    VMAFX_FATAL = 21,
} VmafxSeverity;

/** "TRACE", "DEBUG", "INFO", "NOTICE", "WARN", "ERROR", "CRITICAL", "ALERT", "FATAL"; else the range's; "" for 0. */
const char *vmafx_severity_text(int severity);

/** A record as it is emitted: all borrowed for the call. Zeroes are "not given". */
typedef struct VmafxLogRecord {
    uint64_t time_ns, observed_ns; /* Unix time; observed 0: now */
    int severity;                  /* 0 … 24 */
    const char *severity_text;     /* the source's own name; NULL: vmafx_severity_text */
    const char *event_name;        /* makes it an event */
    VmafxValue body;
    VmafxAttrs attrs;
    const VmafxContext *context;                                           /* NULL: the thread's current one */
    const char *exception_type, *exception_message, *exception_stacktrace; /* attributes of the same name win */
} VmafxLogRecord;

/** Who is logging. All but attrs is copied; attrs must live as long as the logger. */
typedef struct VmafxLogger VmafxLogger;

/** What an SDK implements. Both are called from any thread, with a logger that lives through the call. */
typedef struct VmafxLogProvider VmafxLogProvider;
struct VmafxLogProvider {
    bool (*enabled)(VmafxLogProvider *provider, const VmafxLogger *logger, int severity, const char *event_name);
    void (*emit)(VmafxLogProvider *provider, const VmafxLogger *logger, const VmafxLogRecord *record);
};

/** The program's provider; NULL, the start, is none. Who sets another waits for calls into the old one to be over. */
void vmafx_log_provider_set(VmafxLogProvider *provider);
VmafxLogProvider *vmafx_log_provider(void);

/**
 * A logger that uses the program's provider, also one that is set later. Never NULL: without memory, one that does
 * nothing. NULL strings are "".
 */
VmafxLogger *vmafx_logger_new(const char *name, const char *version, const char *schema_url, VmafxAttrs attrs);
/** One that uses the given provider, which must outlive it. */
VmafxLogger *vmafx_logger_new_in(VmafxLogProvider *provider, const char *name, const char *version,
                                 const char *schema_url, VmafxAttrs attrs);
void vmafx_logger_free(VmafxLogger **logger);

const char *vmafx_logger_name(const VmafxLogger *logger); /* these live as long as the logger; "" for NULL */
const char *vmafx_logger_version(const VmafxLogger *logger);
const char *vmafx_logger_schema_url(const VmafxLogger *logger);
VmafxAttrs vmafx_logger_attrs(const VmafxLogger *logger);

/** Would a record of this severity go anywhere? event_name may be NULL. */
bool vmafx_logger_enabled(const VmafxLogger *logger, int severity, const char *event_name);
void vmafx_logger_emit(const VmafxLogger *logger, const VmafxLogRecord *record);
/** A record of message (the body) and attributes, in the current context. */
void vmafx_log_attrs(const VmafxLogger *logger, int severity, const char *message, VmafxAttrs attrs);

/** vmafx_log(logger, severity, message, attribute, …): the attributes are computed only when somebody listens. */
#define vmafx_log(logger, severity, message, ...)                                                                      \
    do {                                                                                                               \
        const VmafxLogger *logger_ = (logger);                                                                         \
        if (vmafx_logger_enabled(logger_, (severity), NULL)) {                                                         \
            const VmafxAttr attrs_[] = { { NULL, { .type = VMAFX_VALUE_EMPTY } }, ##__VA_ARGS__ };                     \
            vmafx_log_attrs(logger_, (severity), (message),                                                            \
                            (VmafxAttrs){ attrs_ + 1, sizeof attrs_ / sizeof *attrs_ - 1 });                           \
        }                                                                                                              \
    } while (0)
#endif
