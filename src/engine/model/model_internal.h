/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the files that read a model share, and nobody else needs: model.c calls model_dict.c, which calls svm_text.c. */
#ifndef VMAFX_ENGINE_MODEL_MODEL_INTERNAL_H
#define VMAFX_ENGINE_MODEL_MODEL_INTERNAL_H

#include <locale.h>

#include <jansson.h>

#include "engine/model/model.h"

/** What every step of a parse needs. */
typedef struct VmafxModelParse {
    VmafxErrInfo *reterr;
    char where[16]; /* "", or "3." inside member 3 of a collection */
    locale_t c;     /* the "C" locale */
    size_t cells;   /* values that support vectors may still take, of VMAFX_MODEL_CELLS_MAX */
} VmafxModelParse;

/** A sentence that begins with the path of the member at fault, without the part they all share. Returns err. */
VmafxErr vmafx_model_bad(const VmafxModelParse *p, VmafxErr err, const char *fmt, ...) VMAFX_PRINTF(3, 4);
/** VMAFX_ERR_NOMEM, and says so. */
VmafxErr vmafx_model_no_memory(const VmafxModelParse *p);
/** "a string"; NULL is "missing". */
const char *vmafx_model_kind_of(const json_t *value);

/**
 * Fills a zeroed member from the object that has its model_dict. What there is of it after an error is freed as after
 * success. VMAFX_ERR_MODEL, VMAFX_ERR_SYNTAX, VMAFX_ERR_LIMIT, VMAFX_ERR_UNSUPPORTED, VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr vmafx_model_read_member(VmafxModelParse *p, const json_t *object, VmafxModelMember *m);
void vmafx_model_free_member(VmafxModelMember *m);
/** The libsvm text of a member with so many inputs; the same about what is left after an error. */
VMAFX_CHECK VmafxErr vmafx_model_read_svm(VmafxModelParse *p, const char *s, size_t len, size_t n_inputs,
                                          VmafxSvm *svm);
#endif
