/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What a program writes on its standard error repeats what users typed, and they type addresses with passwords and
 * signatures in them. Standard error ends up in journals and in the logs of build servers.
 */
#ifndef VMAFX_BASE_COMPLAINTS_H
#define VMAFX_BASE_COMPLAINTS_H

/**
 * From now on what is written to stderr has its URLs redacted (vmafx_urls_hide), one call of fprintf at a time. The
 * descriptor stays as it is. Called at the start of main, before there are threads; once more does nothing. Where the
 * C library has no such streams, or no memory, nothing changes.
 */
void vmafx_complaints_hide_urls(void);
#endif
