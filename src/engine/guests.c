/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Rows of features are gathered, handed over, and the scores put where they belong. */

#include "engine/guests.h"

#include <string.h>

#include "base/base.h"

void vmafx_guests_done(VmafxGuests *guests)
{
    for (size_t i = 0; i < guests->n; i++)
        free(guests->slots[i].name);
    free(guests->slots);
    free(guests->rows);
    *guests = (VmafxGuests){ 0 };
}

VmafxErr vmafx_guests_add(VmafxGuests *guests, const VmafxGuest *guest, const VmafxGuestInput *inputs,
                          size_t *ret_guest, VmafxErrInfo *reterr)
{
    VmafxGuestSlot slot = {
        .predict = guest->predict, .ctx = guest->ctx, .n_inputs = guest->n_features, .series = SIZE_MAX
    };

    if (guests->n == VMAFX_GUESTS_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "more than %d models", VMAFX_GUESTS_MAX);
    for (size_t i = 0; i < guests->n; i++)
        if (!strcmp(guests->slots[i].name, guest->name))
            return vmafx_fail(reterr, VMAFX_ERR_INVALID, "two models have the name '%s'; give one of them another name",
                              guest->name);
    if (!guests->rows && guest->n_features) {
        guests->rows = malloc(sizeof *guests->rows * VMAFX_GUEST_ROWS * VMAFX_MODEL_FEATURES_MAX);
        if (!guests->rows)
            return VMAFX_ERR_NOMEM;
    }
    VmafxGuestSlot *more = realloc(guests->slots, (guests->n + 1) * sizeof *more);
    if (!more)
        return VMAFX_ERR_NOMEM;
    guests->slots = more;
    slot.name = vmafx_strdup(guest->name);
    if (!slot.name)
        return VMAFX_ERR_NOMEM;
    memcpy(slot.inputs, inputs, slot.n_inputs * sizeof *inputs);
    more[guests->n] = slot;
    if (ret_guest)
        *ret_guest = guests->n;
    guests->n++;
    return VMAFX_OK;
}

VmafxErr vmafx_guests_give(VmafxGuests *guests, size_t guest, const VmafxSeries *series, uint32_t n_frames,
                           uint32_t step, const double *values, size_t n, VmafxErrInfo *reterr)
{
    if (guest >= guests->n || guests->slots[guest].n_inputs)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "there is no such guest that takes values");
    VmafxGuestSlot *slot = &guests->slots[guest];
    for (size_t i = 0; i < n; i++) {
        if (slot->next >= n_frames)
            return vmafx_fail(reterr, VMAFX_ERR_INVALID, "a value of '%s' for frame %u, which was not pushed",
                              slot->name, slot->next);
        vmafx_series_row(series, slot->next)[slot->series] = values[i];
        slot->next = UINT32_MAX - slot->next < step ? UINT32_MAX : slot->next + step;
    }
    return VMAFX_OK;
}

uint32_t vmafx_guests_given(const VmafxGuests *guests, uint32_t to)
{
    for (size_t i = 0; i < guests->n; i++)
        if (!guests->slots[i].n_inputs)
            to = VMAFX_MIN(to, guests->slots[i].next);
    return to;
}

/* Frames first, first + step, … as rows. */
static VmafxErr gather(const VmafxGuestSlot *slot, const VmafxSeries *series, uint32_t first, uint32_t step, size_t n,
                       double *rows, VmafxErrInfo *reterr)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t frame = first + (uint32_t)i * step;
        const double *row = vmafx_series_row(series, frame);

        for (size_t j = 0; j < slot->n_inputs; j++) {
            rows[i * slot->n_inputs + j] = row[slot->inputs[j].series];
            if (!vmafx_series_present(row[slot->inputs[j].series]))
                return vmafx_fail(reterr, VMAFX_ERR_MISSING, "no '%s' at frame %u for model '%s'",
                                  series->names[slot->inputs[j].series], frame, slot->name);
        }
    }
    return VMAFX_OK;
}

/* All scored frames first … to − 1. */
static VmafxErr predict(const VmafxGuests *guests, const VmafxGuestSlot *slot, const VmafxSeries *series,
                        uint64_t first, uint32_t to, uint32_t step, VmafxErrInfo *reterr)
{
    double scores[VMAFX_GUEST_ROWS];
    VmafxErr err = VMAFX_OK;

    while (!err && first < to) {
        size_t n = VMAFX_MIN((size_t)((to - first + step - 1) / step), (size_t)VMAFX_GUEST_ROWS);

        err = gather(slot, series, (uint32_t)first, step, n, guests->rows, reterr);
        if (!err)
            err = slot->predict(slot->ctx, (uint32_t)first, step, n, guests->rows, scores, reterr);
        for (size_t i = 0; !err && i < n; i++)
            vmafx_series_row(series, (uint32_t)first + (uint32_t)i * step)[slot->series] = scores[i];
        first += (uint64_t)n * step;
    }
    return err;
}

VmafxErr vmafx_guests_settle(VmafxGuests *guests, const VmafxSeries *series, uint32_t from, uint32_t to, uint32_t step,
                             VmafxErrInfo *reterr)
{
    uint64_t first = ((uint64_t)from + step - 1) / step * step;
    VmafxErr err = VMAFX_OK;

    for (size_t i = 0; !err && i < guests->n; i++) {
        const VmafxGuestSlot *slot = &guests->slots[i];

        if (slot->n_inputs)
            err = predict(guests, slot, series, first, to, step, reterr);
        else if (first < to && slot->next < to)
            err = vmafx_fail(reterr, VMAFX_ERR_MISSING, "no value of '%s' for frame %u", slot->name, slot->next);
    }
    return err;
}
