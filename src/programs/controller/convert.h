/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Rows of the store as messages of proto/vmafx/v1, and requests as rows. Any thread; nothing is kept. */
#ifndef VMAFX_PROGRAMS_CONTROLLER_CONVERT_H
#define VMAFX_PROGRAMS_CONTROLLER_CONVERT_H

#include "rpc/message.h"
#include "store/store.h"

/** A job as a message. It points into itself and into the row, so neither may move. */
typedef struct JobView {
    Vmafx__V1__Job message;
    Vmafx__V1__Progress progress;
    char id[VMAFX_JOB_ID_TEXT], retry_of[VMAFX_JOB_ID_TEXT], trace_id[33];
    char waits[128]; /* room for why it waits */
    VmafxMessage *spec;
} JobView;

/** spec: the bytes that were stored; NULL leaves it out. VMAFX_ERR_CORRUPT when they are not a JobSpec. */
VMAFX_CHECK VmafxErr job_view_init(JobView *view, const VmafxJob *job, const void *spec, size_t spec_len,
                                   VmafxErrInfo *reterr);
void job_view_done(JobView *view);

/** An event as a message that points into the row. */
void event_view_init(Vmafx__V1__Event *view, const VmafxEvent *event);

/** Whether a text would do more than show on a terminal. */
bool text_has_controls(const char *text);

/** A terminated string that lives as long as the row: lower-case hexadecimal digits. */
void hex_text(const uint8_t *bytes, size_t n, char *ret);
#endif
