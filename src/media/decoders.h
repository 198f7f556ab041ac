/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the FFmpeg libraries that are linked here can decode. Any thread. */
#ifndef VMAFX_MEDIA_DECODERS_H
#define VMAFX_MEDIA_DECODERS_H

#include <stdbool.h>

/** True when video of that codec ("h264", "av1") can be decoded without special hardware. */
bool vmafx_media_has_decoder(const char *name);

/** "libavcodec 60.31.102", the version that runs; a static string. */
const char *vmafx_media_version(void);
#endif
