/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The SDK's settings from OTEL_… variables (OpenTelemetry specification 1.60, "Environment variables"). One plain
 * struct comes out, with every default, fallback and override already applied; code may change it afterwards, and
 * code's values win by coming later. Nothing fails: what cannot be used is warned of and counts as not set.
 */
#ifndef VMAFX_OTEL_SDK_ENV_H
#define VMAFX_OTEL_SDK_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "otel/api/context.h"
#include "otel/sdk/data.h"
#include "otel/sdk/exemplar.h"
#include "otel/sdk/reader.h"

/* ---- Warnings ---- */

#define VMAFX_OTEL_WARNINGS_MAX 32
#define VMAFX_OTEL_WARNING_SIZE 256

/** A bounded list of sentences, gathered before there is anything to log with. Zero it first; nothing to free. */
typedef struct VmafxOtelWarnings {
    size_t n, dropped;                                           /* sentences kept, and those there was no room for */
    char text[VMAFX_OTEL_WARNINGS_MAX][VMAFX_OTEL_WARNING_SIZE]; /* printable, terminated; cut when longer */
} VmafxOtelWarnings;

/** Adds a sentence; control characters become '?'. NULL warnings: nothing happens. */
void vmafx_otel_warn(VmafxOtelWarnings *warnings, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- Values ---- */

#define VMAFX_OTEL_UNLIMITED INT32_MAX /* "no limit", of a timeout, a length or a count */
#define VMAFX_OTEL_PAIRS_MAX 1024      /* members of one key=value list; more: the variable is discarded */

typedef struct VmafxOtelPair {
    char *key, *value; /* terminated */
} VmafxOtelPair;

/** A key=value list: keys are unique (the last of equal ones won), in order of first appearance. */
typedef struct VmafxOtelPairs {
    VmafxOtelPair *items;
    size_t n;
} VmafxOtelPairs;

typedef enum VmafxOtelSampler {
    VMAFX_SAMPLER_ALWAYS_ON,
    VMAFX_SAMPLER_ALWAYS_OFF,
    VMAFX_SAMPLER_RATIO,
    VMAFX_SAMPLER_PROBABILITY, /* ours: vmafx_probability */
} VmafxOtelSampler;

/** Exporters of a signal, or-ed; none of them: none. */
enum {
    VMAFX_EXPORT_TO_OTLP = 1,
    VMAFX_EXPORT_TO_CONSOLE = 2,
    VMAFX_EXPORT_TO_PROMETHEUS = 4, /* metrics only */
    VMAFX_EXPORT_TO_OTLP_STDOUT = 8,
};

/** OTEL_EXPORTER_OTLP_PROTOCOL. HTTP: protobuf bodies; JSON is known, and not available in this version. */
typedef enum VmafxOtlpProtocol {
    VMAFX_OTLP_GRPC,
    VMAFX_OTLP_HTTP,
    VMAFX_OTLP_HTTP_JSON,
} VmafxOtlpProtocol;

typedef enum VmafxOtelSource {
    VMAFX_FROM_DEFAULT,
    VMAFX_FROM_GENERAL, /* OTEL_EXPORTER_OTLP_ENDPOINT: over HTTP, a base that v1/traces and so on is appended to */
    VMAFX_FROM_SIGNAL,  /* OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: used as it is */
} VmafxOtelSource;

/** How one signal reaches its OTLP receiver; the variables of the signal have won over the general ones. */
typedef struct VmafxOtlpSettings {
    char *endpoint; /* "http://…", "https://…" or "unix:…"; never NULL unless there was no memory */
    VmafxOtelSource endpoint_from;
    VmafxOtlpProtocol protocol;
    VmafxOtelPairs headers; /* names in lower case, values decoded and without control characters; secret */
    int32_t timeout_ms;     /* of one batch, retries included */
    bool gzip;
    bool insecure;                         /* already part of the endpoint's scheme where one was missing */
    char *certificate;                     /* path of a PEM file, or NULL: the system's store */
    char *client_certificate, *client_key; /* paths; both or neither */
} VmafxOtlpSettings;

typedef struct VmafxBatchSettings {
    int32_t schedule_delay_ms; /* 0 or more */
    int32_t export_timeout_ms; /* 1 or more */
    int32_t queue_size;        /* 1 or more */
    int32_t batch_size;        /* 1 … queue_size */
} VmafxBatchSettings;

typedef struct VmafxAttrLimits {
    int32_t value_length; /* in characters (strings) or bytes; VMAFX_OTEL_UNLIMITED: any */
    int32_t count;
} VmafxAttrLimits;

typedef struct VmafxOtelSettings {
    bool disabled;
    int log_level; /* lowest severity of the SDK's own lines: 1 trace, 5 debug, 9 info, 13 warn, 17 error, 25 nothing */
    int lines_level;                    /* VMAFX_LOG_LEVEL, the same for a program's own lines on stderr */
    bool lines_json;                    /* VMAFX_LOG_FORMAT=json; else logfmt */
    char *service_name;                 /* OTEL_SERVICE_NAME, or NULL */
    VmafxOtelPairs resource_attributes; /* OTEL_RESOURCE_ATTRIBUTES, decoded */
    unsigned propagators;               /* VMAFX_PROPAGATE_… or-ed */

    VmafxOtelSampler sampler;
    bool sampler_parent_based;
    double sampler_ratio; /* 0 … 1 */

    unsigned exporters[3]; /* by VmafxSignal; VMAFX_EXPORT_TO_… or-ed */
    VmafxOtlpSettings otlp[3];

    VmafxBatchSettings span_batch, log_batch;
    VmafxAttrLimits span_limits, log_limits;
    int32_t span_events, span_links, event_attributes, link_attributes; /* at most */

    int32_t metric_interval_ms, metric_timeout_ms;
    VmafxExemplarFilter exemplars;
    VmafxTemporality temporality;
    bool exponential_histograms; /* the default aggregation of histograms */
    char *prometheus_host;       /* NULL only when there was no memory */
    int32_t prometheus_port;     /* 0 … 65535; 0: any free one */

    char **http_known_methods; /* OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS; NULL: the standard's list */
    size_t n_http_known_methods;
} VmafxOtelSettings;

/**
 * Reads the settings. Equal names: the first counts, as for getenv.
 *
 *   empty or blank      not set
 *   booleans            "true" in any case is true; everything else is false, with a warning unless it is "false"
 *   integers            decimal, 0 … 2^31 − 1, blanks around allowed; else a warning, and not set
 *   timeouts            0 becomes VMAFX_OTEL_UNLIMITED
 *   one of a set        any case; else a warning that quotes it, and not set
 *   lists of a set      unknown members are warned of and left out; nothing left: not set; "none" beats the others
 *   key=value lists     percent-decoded; any error discards the whole variable
 *   batch size          no more than the queue size: clamped, with a warning
 *   endpoint            "host:port" becomes http:// (https:// if INSECURE is set and not true), with a warning
 *
 * Values of headers never appear in a warning.
 *
 * @param environment  `environ`, or any list of "NAME=value" that ends with NULL; NULL is an empty one; not kept
 * @param ret          overwritten; release with vmafx_otel_settings_done
 * @param warnings     added to; may be NULL
 */
void vmafx_otel_settings_init(VmafxOtelSettings *ret, char *const *environment, VmafxOtelWarnings *warnings);

/** The severity of a word of OTEL_LOG_LEVEL and VMAFX_LOG_LEVEL, in any case, as log_level has it; 0: no such word. */
int vmafx_otel_level(const char *word);

/** Frees what is inside and zeroes it; a zeroed one and NULL are fine. */
void vmafx_otel_settings_done(VmafxOtelSettings *settings);

/**
 * Parses a key=value list: blanks around keys and values are trimmed, both are percent-decoded.
 * @return NULL, or what is wrong with the text, and then *ret is empty: a static sentence without a word of it
 */
const char *vmafx_otel_pairs_parse(const char *text, VmafxOtelPairs *ret);
void vmafx_otel_pairs_done(VmafxOtelPairs *pairs);
#endif
