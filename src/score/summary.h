/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A result as messages: what is said of the whole, and the per-frame values as packed columns. */
#ifndef VMAFX_SCORE_SUMMARY_H
#define VMAFX_SCORE_SUMMARY_H

#include "rpc/message.h"
#include "score/score.h"

/** The message, and the memory it points to. Zeroed it may be done. It must not move once it is filled. */
typedef struct VmafxSummary {
    Vmafx__V1__Result message;
    struct VmafxSummaryPiece *pieces; /* released together */
} VmafxSummary;

/** What a result does not know of itself. Borrowed for the call. */
typedef struct VmafxSummaryFacts {
    int64_t input_bytes[2]; /* 0: not known */
    const char *decoder_versions;
    const char *const *sandbox_layers;
    size_t n_sandbox_layers;
} VmafxSummaryFacts;

/** Only for a result with frames. Texts are copied, and made valid UTF-8. VMAFX_ERR_NOMEM */
VMAFX_CHECK VmafxErr vmafx_summary_init(VmafxSummary *ret, VmafxResult *result, const VmafxSummaryFacts *facts);
void vmafx_summary_done(VmafxSummary *summary);

/**
 * One column of result->frames values for each series, in report order; NaN where a frame has none. Packed as
 * base/columns.h says, into fresh memory. VMAFX_ERR_LIMIT, VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr vmafx_summary_frames(VmafxResult *result, uint8_t **ret, size_t *ret_len);
#endif
