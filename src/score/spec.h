/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A JobSpec as options of a scoring. rpc/spec_check.h says what is refused before. */
#ifndef VMAFX_SCORE_SPEC_H
#define VMAFX_SCORE_SPEC_H

#include "rpc/message.h"
#include "score/score.h"

/** The options and what they point to. Zeroed it is empty and may be done. It must not move once it is filled. */
typedef struct VmafxPairSpec {
    VmafxPairOptions pair;
    VmafxRawFormat raw[2];
    VmafxModelRequest *models; /* their text is NULL: strings are the message's */
    VmafxFeatureRequest *features;
    VmafxPairEncode encode;
    VmafxRecipeOption *recipe_options;
} VmafxPairSpec;

/**
 * Strict, with digests, without threads, progress, descriptors and registry: those are the caller's to set, and so are
 * the threads and the descriptor of an encode, which keeps nothing. Without a model it is the default one.
 * @param spec  borrowed as long as the result lives
 * @param path  what the message is called in sentences: "job"
 * @return what vmafx_spec_check_scoring says; VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr vmafx_pair_spec_init(VmafxPairSpec *ret, const Vmafx__V1__JobSpec *spec, const char *path,
                                          VmafxErrInfo *reterr);
void vmafx_pair_spec_done(VmafxPairSpec *spec);
#endif
