/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The spans that end while a test runs, for tests of what makes spans. One set in a program. */
#ifndef VMAFX_TESTS_SPANS_H
#define VMAFX_TESTS_SPANS_H

#include "otel/sdk/trace_provider.h"

/* From here on spans are made and kept, the first 16 of them. */
VmafxTraceProvider *spans_begin(void);
/* No longer; what was kept is gone. */
void spans_end(VmafxTraceProvider **provider);

size_t spans_n(void);
/* The i-th span that ended; waits for it. */
const VmafxSpanData *spans_at(size_t i);
/* The span of this name and kind that ended; waits for it. */
const VmafxSpanData *spans_named(const char *name, VmafxSpanKind kind);

/* NULL: it has none. */
const VmafxAttr *span_attr(const VmafxSpanData *span, const char *key);
/* text NULL: there must be none. */
void assert_text(const VmafxSpanData *span, const char *key, const char *text);
void assert_number(const VmafxSpanData *span, const char *key, int64_t number);
#endif
