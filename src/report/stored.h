/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A result as it is kept and sent, seen through the writers' view: what a fleet measured is written as a local score.
 */
#ifndef VMAFX_REPORT_STORED_H
#define VMAFX_REPORT_STORED_H

#include "report/report.h"
#include "rpc/message.h"

/** Zeroed it may be done. `data` points into it, so it may not move. */
typedef struct VmafxStoredReport {
    VmafxReportData data; /* for the writers */

    /* its own */
    VmafxReportSeries *series;
    VmafxReportModel *models;
    VmafxReportOption *options, *encode_options;
    VmafxReportAggregate *aggregates;
    VmafxReportEncode encode;
    const double *const *columns;
    size_t n_columns;
    uint64_t n_rows;
} VmafxStoredReport;

/**
 * @param summary, columns  borrowed until done
 * @param columns           n_columns of n_rows values each, in the order of summary->series; NaN: absent. None: no
 * frames
 * @return VMAFX_ERR_SYNTAX the columns do not fit the summary; VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr vmafx_stored_report_init(VmafxStoredReport *report, const Vmafx__V1__Result *summary,
                                              const double *const *columns, size_t n_columns, uint64_t n_rows);
void vmafx_stored_report_done(VmafxStoredReport *report);
#endif
