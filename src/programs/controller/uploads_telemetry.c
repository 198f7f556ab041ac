/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* How uploads end, whichever door they came through, and what lies here. */

#include "base/base.h"
#include "programs/controller/uploads_internal.h"
#include "signals/instruments.h"

static const char *const outcomes[] = { [UPLOAD_BROKEN] = "broken",
                                        [UPLOAD_KEPT] = "kept",
                                        [UPLOAD_THERE] = "there",
                                        [UPLOAD_REFUSED] = "refused",
                                        [UPLOAD_FAILED] = "failed" };

UploadOutcome upload_outcome_of(VmafxErr err)
{
    return err == VMAFX_ERR_INVALID || err == VMAFX_ERR_LIMIT || err == VMAFX_ERR_BUSY ? UPLOAD_REFUSED : UPLOAD_FAILED;
}

void uploads_tell(const Uploads *uploads, UploadOutcome outcome, int64_t bytes)
{
    VmafxAttrs attrs = VMAFX_ATTRS(VMAFX_ATTR_STR(VMAFX_KEY_UPLOAD_OUTCOME, outcomes[outcome]));

    vmafx_counter_add_with(uploads->ended, 1, attrs, NULL);
    vmafx_counter_add_with(uploads->io, bytes, attrs, NULL);
}

static void observe(VmafxObserver *observer, VmafxObservable *self, void *state)
{
    Uploads *uploads = state;

    pthread_mutex_lock(&uploads->lock);
    int64_t kept = uploads->bytes, coming = uploads->coming, files = (int64_t)uploads->files;
    pthread_mutex_unlock(&uploads->lock);
    vmafx_observe_int(observer, uploads->n_kept, files, VMAFX_NO_ATTRS);
    vmafx_observe_int(observer, uploads->usage, kept, VMAFX_ATTRS(VMAFX_ATTR_STR(VMAFX_KEY_UPLOAD_STATE, "kept")));
    vmafx_observe_int(observer, uploads->usage, coming, VMAFX_ATTRS(VMAFX_ATTR_STR(VMAFX_KEY_UPLOAD_STATE, "coming")));
    vmafx_observe_int(observer, uploads->limit, uploads->config.all_bytes_max, VMAFX_NO_ATTRS);
}

void uploads_observe(Uploads *uploads)
{
    VmafxMeter *meter = vmafx_meter_get(VMAFX_SCOPE_NAME_CONTROLLER, "", "", VMAFX_NO_ATTRS);

    uploads->ended = vmafx_signal_counter(meter, VMAFX_METRIC_ID_UPLOADS);
    uploads->io = vmafx_signal_counter(meter, VMAFX_METRIC_ID_UPLOAD_IO);
    uploads->n_kept = vmafx_signal_observable(meter, VMAFX_METRIC_ID_UPLOADS_KEPT);
    uploads->usage = vmafx_signal_observable(meter, VMAFX_METRIC_ID_UPLOADS_USAGE);
    uploads->limit = vmafx_signal_observable(meter, VMAFX_METRIC_ID_UPLOADS_LIMIT);
    uploads->callback = vmafx_meter_callback(meter, observe, uploads);
    /* A counter that shows up with its first failure cannot be alerted on. */
    for (size_t i = 0; i < VMAFX_LEN(outcomes); i++)
        vmafx_counter_add_with(uploads->ended, 0, VMAFX_ATTRS(VMAFX_ATTR_STR(VMAFX_KEY_UPLOAD_OUTCOME, outcomes[i])),
                               NULL);
}
