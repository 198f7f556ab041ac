/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the files of the HTTP door share. */
#ifndef VMAFX_PROGRAMS_SERVER_HTTP_INTERNAL_H
#define VMAFX_PROGRAMS_SERVER_HTTP_INTERNAL_H

#include "http/server.h"
#include "programs/server/batch.h"
#include "report/report.h"

/** What an HTTP request asks for. Zeroed, but for descriptors of -1, it may be done. */
typedef struct HttpAsked {
    Server *server;
    char who[SLOTS_WHO_MAX];
    VmafxMessage *message; /* what requests point to */
    Vmafx__V1__ScoreRequest single, *one[1];
    Vmafx__V1__ScoreRequest *const *requests;
    size_t n;
    bool batch;
    int fds[2]; /* uploads; -1: none, or handed on */
    char names[2][256];
    int status;      /* what a refusal is answered with; 0: what its error means */
    bool events;     /* Accept: text/event-stream */
    bool has_format; /* ?format=… */
    VmafxReportFormat format;
} HttpAsked;

void http_asked_done(HttpAsked *asked);

/** Starts what was asked for; hands the descriptors on. As batch_start, with Retry-After set for BUSY. */
VMAFX_CHECK VmafxErr http_begin(HttpAsked *asked, bool live, const BatchSink *sink, VmafxContext *context, Batch **ret,
                                VmafxHttpAnswer *answer, VmafxErrInfo *reterr);

/** http_events.c: makes the answer an event stream. Takes over *asked when it succeeds. */
VMAFX_CHECK VmafxErr http_answer_events(HttpAsked **asked, VmafxHttpCall *call, VmafxHttpAnswer *answer,
                                        VmafxErrInfo *reterr);
/** http_answer.c: waits, and answers with a document. */
VMAFX_CHECK VmafxErr http_answer_document(HttpAsked *asked, VmafxHttpCall *call, VmafxHttpAnswer *answer,
                                          VmafxErrInfo *reterr);
#endif
