/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A JobSpec made of arguments or of a line of JSON. */
#ifndef VMAFX_PROGRAMS_CLI_SUBMIT_SPEC_H
#define VMAFX_PROGRAMS_CLI_SUBMIT_SPEC_H

#include "media/encode.h"
#include "programs/cli/pair.h"
#include "rpc/message.h"

#define SUBMIT_LABELS_MAX 32

/** The message, and the memory that it points to beside the arguments. Zeroed, with the message init'ed, it is empty.
 */
typedef struct SubmitSpec {
    Vmafx__V1__JobSpec message;
    struct SubmitChunk *chunks; /* released together */
    VmafxMessage *read;         /* from JSON: what the message's pointers point into */
} SubmitSpec;

void submit_spec_done(SubmitSpec *spec);

/** "KEY=VALUE"; false: not that, or too many. */
bool submit_spec_label(SubmitSpec *spec, const char *text);

/** Inputs, models, features and comparison from arguments that were settled. recipe: instead of the distorted video;
    NULL: that is there. */
VMAFX_CHECK VmafxErr submit_spec_from(SubmitSpec *spec, const PairArguments *a, const VmafxRecipe *recipe, bool keep,
                                      VmafxErrInfo *reterr);

/** Another uri for the reference or the distorted input, which is there. False: no memory. */
bool submit_spec_set_uri(SubmitSpec *spec, bool distorted, const char *uri);

/** From one JSON object with the members of JobSpec; unknown members are refused by their path. */
VMAFX_CHECK VmafxErr submit_spec_from_json(SubmitSpec *spec, const char *text, size_t len, VmafxErrInfo *reterr);
#endif
