/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Downloads that are kept in a folder, which several processes may share and any of them may leave by kill -9.
 *
 *     KEY.data   the bytes, read-only; whoever reads them holds a shared flock, which goes along with the descriptor
 *     KEY.meta   what they are: validators, size, digest, until when nobody needs to ask (cache_meta.h)
 *     KEY.lock   held, exclusively, by who downloads or asks about KEY; gone when nobody does
 *     tmp-…      on its way; held exclusively by its writer, removed at the next start when nobody holds it
 *
 * KEY is the SHA-256 of the URL without what signs it (cache_key). Files appear by rename, data before meta; a meta
 * whose data has another size or time of change is none. What an HTTP server gives no validator for is not kept. Least
 * recently used entries go first (the time of change of KEY.meta is that of the last use), those that somebody holds
 * stay: a download for which there is no room is dropped after its use.
 */
#ifndef VMAFX_INPUTS_CACHE_H
#define VMAFX_INPUTS_CACHE_H

#include "inputs/download.h"

typedef struct Cache Cache;

/**
 * @param verify  read all bytes of what is kept, before they are handed out
 * @return VMAFX_ERR_IO, VMAFX_ERR_INVALID with a sentence; VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr cache_open(const char *folder, int64_t bytes_max, bool verify, Cache **ret, VmafxErrInfo *reterr);
void cache_close(Cache **cache);
/** Its folder; borrowed. */
int cache_folder(const Cache *cache);

/** As vmafx_inputs_get, of a remote URI. Any thread. */
VMAFX_CHECK VmafxErr cache_get(Cache *cache, const Remote *remote, const char *uri, const VmafxInputWait *wait,
                               VmafxInput *ret, VmafxErrInfo *reterr);

/** The same without a folder: into $TMPDIR, or /tmp, and gone with its descriptor. */
VMAFX_CHECK VmafxErr uncached_get(const Remote *remote, const char *uri, const VmafxInputWait *wait, VmafxInput *ret,
                                  VmafxErrInfo *reterr);
#endif
