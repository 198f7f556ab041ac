/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What stands behind a reader, for the encoder, which needs whole pictures and not their luma alone. */
#ifndef VMAFX_MEDIA_READER_INTERNAL_H
#define VMAFX_MEDIA_READER_INTERNAL_H

#include "media/decode.h"
#include "media/raw.h"
#include "media/reader.h"

/** One of them is there, the other is NULL; both are for readers that encode. */
VmafxRaw *reader_raw(const VmafxReader *reader);
VmafxDecoder *reader_decoder(const VmafxReader *reader);
#endif
