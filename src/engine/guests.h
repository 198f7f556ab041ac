/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Scores that are computed elsewhere: those from features in batches of rows, the others as they are given. */
#ifndef VMAFX_ENGINE_GUESTS_H
#define VMAFX_ENGINE_GUESTS_H

#include <vmafx/engine.h>

#include "engine/series.h"

#define VMAFX_GUESTS_MAX 64

typedef struct VmafxGuestInput {
    size_t instance, feature; /* who gives it */
    size_t series;            /* where it is; known from the first frame on */
} VmafxGuestInput;

typedef struct VmafxGuestSlot {
    char *name;
    VmafxErr (*predict)(void *ctx, uint32_t first, uint32_t step, size_t n, const double *rows, double *ret_scores,
                        VmafxErrInfo *reterr);
    void *ctx;
    VmafxGuestInput inputs[VMAFX_MODEL_FEATURES_MAX];
    size_t n_inputs;
    size_t series;
    uint32_t next; /* without inputs: the first frame that has no value yet */
} VmafxGuestSlot;

/** Zeroed: none. */
typedef struct VmafxGuests {
    VmafxGuestSlot *slots;
    size_t n;
    double *rows; /* VMAFX_GUEST_ROWS of VMAFX_MODEL_FEATURES_MAX; made when first needed */
} VmafxGuests;

void vmafx_guests_done(VmafxGuests *guests);
VMAFX_CHECK VmafxErr vmafx_guests_add(VmafxGuests *guests, const VmafxGuest *guest, const VmafxGuestInput *inputs,
                                      size_t *ret_guest, VmafxErrInfo *reterr);

/** The next n values; frames 0 … n_frames − 1 have rows. */
VMAFX_CHECK VmafxErr vmafx_guests_give(VmafxGuests *guests, size_t guest, const VmafxSeries *series, uint32_t n_frames,
                                       uint32_t step, const double *values, size_t n, VmafxErrInfo *reterr);
/** Of how many frames, from the first and at most `to`, those that are given have come. */
uint32_t vmafx_guests_given(const VmafxGuests *guests, uint32_t to);
/** Writes the scores of frames from … to − 1 into their rows; all their features are final. VMAFX_ERR_MISSING */
VMAFX_CHECK VmafxErr vmafx_guests_settle(VmafxGuests *guests, const VmafxSeries *series, uint32_t from, uint32_t to,
                                         uint32_t step, VmafxErrInfo *reterr);
#endif
