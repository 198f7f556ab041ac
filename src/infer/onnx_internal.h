/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the two files about ONNX files share. */
#ifndef VMAFX_INFER_ONNX_INTERNAL_H
#define VMAFX_INFER_ONNX_INTERNAL_H

#include "infer/onnx_file.h"
#include "rpc/wire.h"

/** The metadata that are ours, as they are in the file; a NULL ptr: not there. */
typedef struct OnnxMetadata {
    RpcBytes format, kind, features, range, peak, name, version, description;
} OnnxMetadata;

/** Notes one entry. VMAFX_ERR_MODEL, VMAFX_ERR_LIMIT: of ours, and not possible. */
VMAFX_CHECK VmafxErr onnx_metadata_take(OnnxMetadata *metadata, RpcBytes key, RpcBytes value, VmafxErrInfo *reterr);
/** Reads them into *file, which has been zeroed; on failure it is to be done. */
VMAFX_CHECK VmafxErr onnx_metadata_read(const OnnxMetadata *metadata, VmafxOnnxFile *file, VmafxErrInfo *reterr);
#endif
