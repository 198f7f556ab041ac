/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Rows of the store as messages of proto/vmafx/v1. The numbers of states, classes and outcomes are the same. */

#include "programs/controller/convert.h"

#include <string.h>

#include "base/base.h"
#include "base/url.h"

_Static_assert((int)VMAFX_JOB_CANCELLED == (int)VMAFX__V1__JOB_STATE__JOB_STATE_CANCELLED, "states");
_Static_assert((int)VMAFX_FAILURE_INTERNAL == (int)VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_INTERNAL, "classes");
_Static_assert((int)VMAFX_OUTCOME_HANDED_BACK == (int)VMAFX__V1__ATTEMPT_OUTCOME__ATTEMPT_OUTCOME_HANDED_BACK,
               "outcomes");
_Static_assert((int)VMAFX_EVENT_ENDED == (int)VMAFX__V1__EVENT_KIND__EVENT_KIND_ENDED, "events");

bool text_has_controls(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    return false;
}

void hex_text(const uint8_t *bytes, size_t n, char *ret)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        ret[2 * i] = digits[bytes[i] >> 4];
        ret[2 * i + 1] = digits[bytes[i] & 15];
    }
    ret[2 * n] = 0;
}

/** Signed URLs are for the nodes alone. In place: the message is the view's own. */
static void hide_secrets(Vmafx__V1__JobSpec *spec)
{
    bool has_distorted = spec->distorted_source_case == VMAFX__V1__JOB_SPEC__DISTORTED_SOURCE_DISTORTED;
    Vmafx__V1__Input *inputs[] = { spec->reference, has_distorted ? spec->distorted : NULL };

    for (size_t i = 0; i < VMAFX_LEN(inputs); i++)
        if (inputs[i] && *inputs[i]->uri)
            vmafx_url_redact(inputs[i]->uri, inputs[i]->uri, strlen(inputs[i]->uri) + 1);
}

VmafxErr job_view_init(JobView *view, const VmafxJob *job, const void *spec, size_t spec_len, VmafxErrInfo *reterr)
{
    Vmafx__V1__Job *m = &view->message;

    *view = (JobView){ 0 };
    vmafx__v1__job__init(m);
    vmafx_job_id_text(&job->id, view->id);
    hex_text(job->trace.trace_id, sizeof job->trace.trace_id, view->trace_id);
    m->id = view->id;
    m->trace_id = view->trace_id;
    m->state = (Vmafx__V1__JobState)job->state;
    m->submitter = (char *)job->submitter;
    m->created_unix_us = job->created;
    m->started_unix_us = job->started;
    m->ended_unix_us = job->ended;
    m->attempts = job->task.attempt;
    m->node = (char *)job->task.node;
    m->failure_class = (Vmafx__V1__FailureClass)job->failure;
    m->message = (char *)job->message;
    m->complete = job->complete;
    m->has_result = job->has_result;
    m->job_span_id = (ProtobufCBinaryData){ sizeof job->trace.job_span_id, (uint8_t *)job->trace.job_span_id };
    if (!vmafx_job_id_is_zero(&job->retry_of)) {
        vmafx_job_id_text(&job->retry_of, view->retry_of);
        m->retry_of = view->retry_of;
    }
    if (job->has_score) {
        m->has_score_case = VMAFX__V1__JOB__HAS_SCORE_SCORE;
        m->score = job->score;
    }
    if (!spec)
        return VMAFX_OK;

    VmafxErr err = vmafx_message_unpack(&vmafx__v1__job_spec__descriptor, spec, spec_len, 0, &view->spec, reterr);
    if (err == VMAFX_ERR_SYNTAX)
        return vmafx_fail(reterr, VMAFX_ERR_CORRUPT, "the stored request of job %s is damaged", view->id);
    if (!err) {
        m->spec = (Vmafx__V1__JobSpec *)vmafx_message_get(view->spec);
        hide_secrets(m->spec);
    }
    return err;
}

void job_view_done(JobView *view)
{
    vmafx_message_free(&view->spec);
}

void event_view_init(Vmafx__V1__Event *view, const VmafxEvent *event)
{
    vmafx__v1__event__init(view);
    view->sequence = event->sequence;
    view->time_unix_us = event->time;
    view->kind = (Vmafx__V1__EventKind)event->kind;
    view->attempt = event->attempt;
    view->node = (char *)event->node;
    view->outcome = (Vmafx__V1__AttemptOutcome)event->outcome;
    view->failure_class = (Vmafx__V1__FailureClass)event->failure;
    view->message = (char *)event->message;
    view->state = (Vmafx__V1__JobState)event->state;
    view->not_before_unix_us = event->not_before;
    if (event->kind == VMAFX_EVENT_LEASED || event->kind == VMAFX_EVENT_ATTEMPT_ENDED)
        view->span_id = (ProtobufCBinaryData){ sizeof event->span_id, (uint8_t *)event->span_id };
}
