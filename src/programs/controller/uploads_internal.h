/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What the files of the uploads share: uploads.c keeps and finds, uploads_room.c counts and removes,
 * uploads_telemetry.c tells.
 */
#ifndef VMAFX_PROGRAMS_CONTROLLER_UPLOADS_INTERNAL_H
#define VMAFX_PROGRAMS_CONTROLLER_UPLOADS_INTERNAL_H

#include <pthread.h>
#include <sys/stat.h>

#include "otel/api/metrics.h"
#include "programs/controller/uploads.h"

#define UPLOAD_PATH_MAX (2 * VMAFX_SHA256_TEXT) /* "OWNER/DIGEST" */

struct Uploads {
    UploadsConfig config; /* without folder */
    char *path;
    int folder;
    pthread_t sweeper;
    bool has_sweeper;

    VmafxCounter *ended, *io;
    VmafxObservable *n_kept, *usage, *limit;
    VmafxCallback *callback;

    pthread_mutex_t room_lock; /* held by the one who removes; taken before the next one */
    pthread_mutex_t lock;      /* covers everything below, and each change of a name in the folder */
    pthread_cond_t change;
    bool stopping;
    int64_t bytes, coming; /* of what is kept; promised to what is on its way */
    size_t files, n_coming;
    struct Incoming *first; /* on their way */
};

/** Counts what is kept and removes what a process that was killed left. VMAFX_ERR_IO with errno */
VMAFX_CHECK VmafxErr uploads_count(Uploads *uploads);
/** Removes what may go and is too old, and then what else may go until that many bytes and files are free. */
void uploads_remove(Uploads *uploads, int64_t bytes, size_t files);
/** The sweeper's thread, until stopping. */
void *uploads_sweep_on(void *uploads);

/** How an upload ended; BROKEN, the sender stopped, where nobody said anything else. */
typedef enum UploadOutcome { UPLOAD_BROKEN, UPLOAD_KEPT, UPLOAD_THERE, UPLOAD_REFUSED, UPLOAD_FAILED } UploadOutcome;

UploadOutcome upload_outcome_of(VmafxErr err);
/** Counts one that has ended, and the bytes that came of it. */
void uploads_tell(const Uploads *uploads, UploadOutcome outcome, int64_t bytes);
/** Makes the instruments. Until vmafx_callback_remove the lock is taken when metrics are collected. */
void uploads_observe(Uploads *uploads);

static inline int64_t uploads_us(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}
#endif
