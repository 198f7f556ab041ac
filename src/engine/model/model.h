/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A model in memory. model.c builds it from JSON and is the only one to write it; predict.c reads it. What is checked
 * while parsing is promised here, so that a prediction has nothing left to refuse.
 */
#ifndef VMAFX_ENGINE_MODEL_MODEL_H
#define VMAFX_ENGINE_MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>

#include <vmafx/engine.h>

#define VMAFX_MODEL_JSON_MAX    ((size_t)64 << 20) /* bytes of a model file */
#define VMAFX_MODEL_KNOTS_MAX   10
#define VMAFX_MODEL_VECTORS_MAX 100000 /* support vectors of one member */
/* Values in the support vectors of all members together: what one member may have at most. A line of the text can be
   as short as its coefficient and still takes a whole row in memory, so the size of the text is no limit on its own. */
#define VMAFX_MODEL_CELLS_MAX ((size_t)VMAFX_MODEL_VECTORS_MAX * VMAFX_MODEL_FEATURES_MAX)

typedef enum VmafxModelType {
    VMAFX_MODEL_TYPE_PLAIN,            /* LIBSVMNUSVR */
    VMAFX_MODEL_TYPE_BOOTSTRAP,        /* BOOTSTRAP_LIBSVMNUSVR */
    VMAFX_MODEL_TYPE_RESIDUE_BOOTSTRAP /* RESIDUEBOOTSTRAP_LIBSVMNUSVR */
} VmafxModelType;

/** One input of the support vector machine. */
typedef struct VmafxModelInput {
    char *feature;           /* the stored feature name of the file */
    VmafxOptions options;    /* in the order of the file, numbers already in their %g form */
    double slope, intercept; /* 1 and 0 when nothing is rescaled; every value is finite */
} VmafxModelInput;

/** ν-SVR with an RBF kernel. */
typedef struct VmafxSvm {
    double gamma;   /* 0 or more */
    double rho;     /* any finite value */
    size_t n;       /* support vectors, 1 … VMAFX_MODEL_VECTORS_MAX */
    double *coef;   /* n coefficients */
    double *vector; /* n rows of one value per input; what the text leaves out is 0 */
} VmafxSvm;

typedef struct VmafxKnot {
    double x, y;
} VmafxKnot;

/** score_transform; zeroed it maps every score to itself. */
typedef struct VmafxTransform {
    bool present; /* the file has one */
    bool enabled; /* by the file itself */
    bool has_p[3];
    double p[3];
    size_t n_knots; /* with 2 or more x rises strictly and y does not fall; fewer are not used */
    VmafxKnot knots[VMAFX_MODEL_KNOTS_MAX];
    bool out_lte_in, out_gte_in;
} VmafxTransform;

/** The fall-back for frames without usable chroma: where input `chroma` is 0 it is derived from input `adm3`. */
typedef struct VmafxChromaCorrection {
    bool present;
    double p;            /* never 0 */
    size_t adm3, chroma; /* inputs; their slopes are never 0 */
} VmafxChromaCorrection;

typedef struct VmafxModelMember {
    VmafxModelType type;
    bool rescale;            /* linear_rescale, else none */
    double slope, intercept; /* of the score; slope is never 0 */
    size_t n_inputs;         /* 1 … VMAFX_MODEL_FEATURES_MAX */
    VmafxModelInput *inputs;
    VmafxSvm svm;
    VmafxTransform transform;
    bool has_clip;
    double clip_min, clip_max;
    VmafxChromaCorrection chroma;
} VmafxModelMember;

struct VmafxModel {
    bool collection;
    size_t n_members; /* 1 … VMAFX_MODEL_MEMBERS_MAX; those of a collection share type and inputs */
    VmafxModelMember *members;
};

#endif
