/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* `vmafx submit --upload`: files of ours to the controller, before the job that names them. */
#ifndef VMAFX_PROGRAMS_CLI_SUBMIT_UPLOAD_H
#define VMAFX_PROGRAMS_CLI_SUBMIT_UPLOAD_H

#include <sys/stat.h>

#include "programs/cli/remote.h"
#include "programs/cli/submit_spec.h"

#define UPLOADER_KNOWN 512 /* files that are not read again for further lines */

typedef struct UploadedFile {
    struct stat st;
    char uri[VMAFX_UPLOAD_URI_MAX];
} UploadedFile;

typedef struct Uploader {
    Remote *remote;
    const char *from; /* the file of lines, whose folder relative paths are of; NULL: none */
    bool shown;       /* progress, on a terminal */
    UploadedFile known[UPLOADER_KNOWN];
    size_t n_known; /* ever; the oldest makes room */
} Uploader;

void uploader_init(Uploader *uploader, Remote *remote, const char *from, bool shown);

/**
 * Sends what of a job's inputs are files, and names the uploads in their place; URLs stay. The remote is open.
 * @param where  in sentences, behind the file of lines: " line 3"
 * @return EXIT_COMPLETE; EXIT_INPUT when it is the file's fault; else another exit code. Said why
 */
int uploader_send(Uploader *uploader, SubmitSpec *spec, const char *where);
#endif
