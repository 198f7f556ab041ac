/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Videos that submitters have sent: kept in a folder until nobody needs them. What somebody has uploaded is theirs
 * alone (caller_submitter); who knows a digest gets nothing by it.
 *
 *     OWNER/DIGEST   OWNER: SHA-256 of the submitter's name, DIGEST: of the content; its time of change is that of its
 *                    last use
 *     tmp-…          on its way; removed at the start
 *
 * Files appear by rename, flushed to the disk, when size and digest are right. The folder is locked: it is one
 * process's. What goes: what was last used longer ago than the age, and, where something new needs the room, what was
 * used the longest time ago. What stays, whatever happens: what was used within the grace, and what a job names that
 * has not ended, which is found out by reading the requests of those jobs. A submit is a use, so that nothing goes
 * between the look at it and the job's being stored.
 */
#ifndef VMAFX_PROGRAMS_CONTROLLER_UPLOADS_H
#define VMAFX_PROGRAMS_CONTROLLER_UPLOADS_H

#include "base/digest.h"
#include "base/url.h"
#include "otel/api/log.h"
#include "store/store.h"

#define UPLOADS_FILES_MAX  100000 /* kept at a time */
#define UPLOADS_COMING_MAX 64     /* on their way at a time */
#define UPLOADS_OF_ONE_MAX 32     /* of them, of one owner: one cannot keep the others out */

typedef struct Uploads Uploads;

typedef struct UploadsConfig {
    const char *folder;    /* made when missing */
    int64_t bytes_max;     /* of one */
    int64_t all_bytes_max; /* of all, those on their way included; 1 or more */
    int64_t age_us;        /* from the last use */
    int64_t grace_us;      /* as said above */
    VmafxStore *store;     /* whose jobs name them */
    const VmafxLogger *log;
} UploadsConfig;

typedef struct UploadFacts {
    char uri[VMAFX_UPLOAD_URI_MAX];
    int64_t size;
    int64_t kept_until_us; /* by the machine's clock */
    bool already_there;
} UploadFacts;

/** On its way. One thread at a time. */
typedef struct Incoming Incoming;

/** Texts of the config are copied. VMAFX_ERR_IO (the folder), VMAFX_ERR_STATE (another process has it), _NOMEM */
VMAFX_CHECK VmafxErr uploads_open(const UploadsConfig *config, Uploads **ret, VmafxErrInfo *reterr);
/** Nothing may be under way. */
void uploads_close(Uploads **uploads);

/**
 * Is it there? A use. Any thread; reads no content.
 * @param digest  64 lower-case hexadecimal digits, here and below
 * @return VMAFX_ERR_NOT_FOUND without a sentence
 */
VMAFX_CHECK VmafxErr uploads_find(Uploads *uploads, const char *owner, const char *digest, UploadFacts *ret);
/** The same, opened for reading. */
VMAFX_CHECK VmafxErr uploads_read(Uploads *uploads, const char *owner, const char *digest, int *ret_fd,
                                  int64_t *ret_size);
/** Makes what is one owner's another's too: for who tries another's job again. VMAFX_ERR_NOT_FOUND, VMAFX_ERR_IO */
VMAFX_CHECK VmafxErr uploads_share(Uploads *uploads, const char *from, const char *to, const char *digest);

/**
 * Room for one. Where it is there already *ret is NULL, and *ret_facts set.
 * @return VMAFX_ERR_INVALID (size), VMAFX_ERR_LIMIT (of one); VMAFX_ERR_BUSY (no room, a full disk, too many at a
 * time); VMAFX_ERR_IO; VMAFX_ERR_NOMEM, with a sentence
 */
VMAFX_CHECK VmafxErr uploads_begin(Uploads *uploads, const char *owner, const char *digest, int64_t size,
                                   Incoming **ret, UploadFacts *ret_facts, VmafxErrInfo *reterr);
/** VMAFX_ERR_INVALID (more than was promised), VMAFX_ERR_BUSY (full), VMAFX_ERR_IO */
VMAFX_CHECK VmafxErr incoming_add(Incoming *incoming, const void *data, size_t len, VmafxErrInfo *reterr);
/** Checks it and keeps it; gone after it whatever happens. VMAFX_ERR_INVALID (size or digest), VMAFX_ERR_BUSY, _IO */
VMAFX_CHECK VmafxErr incoming_end(Incoming **incoming, UploadFacts *ret, VmafxErrInfo *reterr);
void incoming_drop(Incoming **incoming);

/**
 * A whole file whose digest is known; borrowed. One that has no name yet but lies in the folder is kept as it is, any
 * other is copied. Errors as above.
 */
VMAFX_CHECK VmafxErr uploads_keep(Uploads *uploads, const char *owner, const char *digest, int fd, int64_t size,
                                  UploadFacts *ret, VmafxErrInfo *reterr);

/** Removes what is too old; done every few minutes by a thread of its own. */
void uploads_sweep(Uploads *uploads);
#endif
