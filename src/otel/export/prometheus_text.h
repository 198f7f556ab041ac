/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The small parts of a Prometheus page: a growing text with a limit, names, units, numbers, values as text. */
#ifndef VMAFX_OTEL_EXPORT_PROMETHEUS_TEXT_H
#define VMAFX_OTEL_EXPORT_PROMETHEUS_TEXT_H

#include "otel/sdk/data.h"

/** Text that grows up to limit and then takes nothing more. A zeroed one with a limit is empty; free(data). */
typedef struct VmafxText {
    char *data; /* terminated when not NULL */
    size_t len, room, limit;
    bool failed; /* limit reached or no memory; stays until len is set back with vmafx_text_cut */
} VmafxText;

void vmafx_text_put(VmafxText *text, const char *p, size_t n);
void vmafx_text_str(VmafxText *text, const char *s);
void vmafx_text_char(VmafxText *text, char c);
void vmafx_text_cut(VmafxText *text, size_t len); /* back to an earlier length; clears failed */

/** Escapes '\' and newline, and '"' when quotes; bytes that are not UTF-8, and zero bytes, become U+FFFD. */
void vmafx_text_escaped(VmafxText *text, const char *p, size_t n, bool quotes);

/** The shortest digits that read back the same: like Go's %g with exponents below −4 and from 21 on; NaN, +Inf, −Inf.
 *  point: integers get ".0" (OpenMetrics' canonical numbers). Independent of the locale. */
void vmafx_text_double(VmafxText *text, double v, bool point);
void vmafx_text_int(VmafxText *text, int64_t v);
void vmafx_text_uint(VmafxText *text, uint64_t v);
/** Nanoseconds as seconds with milliseconds: 1700000000.123 */
void vmafx_text_seconds(VmafxText *text, uint64_t ns);

/** The string form of a value (specification of attributes, "string form"): JSON for arrays and maps. Raw text. */
void vmafx_text_value(VmafxText *text, const VmafxValue *value);

/** A metric name part: other characters than [a-zA-Z0-9_:] and runs of '_' become one '_', a leading digit gets a '_'
 *  in front. label: ':' is not allowed either. */
void vmafx_text_name(VmafxText *text, const char *name, bool label);

/** The words of a UCUM unit: "By/s" → "bytes_per_second", "{frame}" → "", "1" → "". */
void vmafx_text_unit(VmafxText *text, const char *unit);
#endif
