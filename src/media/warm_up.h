/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Work that FFmpeg's libraries do once in a process, done early: for a process whose forked children decode. */
#ifndef VMAFX_MEDIA_WARM_UP_H
#define VMAFX_MEDIA_WARM_UP_H

/** Opens and closes the usual decoders, so that their tables are made and their code is mapped. No thread is left. */
void vmafx_media_warm_up(void);
#endif
