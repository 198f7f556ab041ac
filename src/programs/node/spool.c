/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Ends of attempts that the controller has not acknowledged, in files. */

#include "programs/node/spool.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/base.h"
#include "base/digest.h"
#include "base/folders.h"

#define HEAD_BYTES 8
#define END_MAX    65536
#define PATH_MAX_  4300

struct Spool {
    char dir[4096];
};

static void path_of(const Spool *spool, const VmafxAttemptRef *ref, char ret[PATH_MAX_])
{
    char id[VMAFX_JOB_ID_TEXT];

    vmafx_job_id_text(&ref->job, id);
    snprintf(ret, PATH_MAX_, "%s/%s.%" PRId32, spool->dir, id, ref->attempt);
}

/** The attempt that a file's name tells of. */
static bool name_parse(const char *name, VmafxAttemptRef *ret)
{
    char id[VMAFX_JOB_ID_TEXT], after;

    if (strlen(name) < sizeof id + 1 || name[sizeof id - 1] != '.')
        return false;
    memcpy(id, name, sizeof id - 1);
    id[sizeof id - 1] = 0;
    return !vmafx_job_id_parse(id, &ret->job) &&
           sscanf(name + sizeof id, "%" SCNd32 "%c", &ret->attempt, &after) == 1 && ret->attempt > 0;
}

static bool is_leftover(const char *name)
{
    VmafxAttemptRef ref;

    return name[0] != '.' ? !name_parse(name, &ref) : strcmp(name, ".") && strcmp(name, "..");
}

VmafxErr spool_open(const char *dir, Spool **ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(spool_close) Spool *spool = calloc(1, sizeof *spool);
    DIR *d;

    if (!spool)
        return VMAFX_ERR_NOMEM;
    if (strlen(dir) >= sizeof spool->dir)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "the name of the spool folder is too long");
    strcpy(spool->dir, dir);
    VmafxErr err = vmafx_make_folders(spool->dir, 0700, reterr);
    if (err)
        return err;
    if (!(d = opendir(spool->dir)))
        return vmafx_fail(reterr, VMAFX_ERR_IO, "cannot read the folder '%s': %s", dir, strerror(errno));
    for (struct dirent *entry; (entry = readdir(d));)
        if (is_leftover(entry->d_name))
            unlinkat(dirfd(d), entry->d_name, 0);
    closedir(d);
    *ret = VMAFX_TAKE(spool);
    return VMAFX_OK;
}

void spool_close(Spool **spool)
{
    free(*spool);
    *spool = NULL;
}

static void put_u32(uint8_t *at, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(v >> (8 * i));
}

static VmafxErr write_all(FILE *f, const void *data, size_t len)
{
    return len && fwrite(data, 1, len, f) != len ? VMAFX_ERR_IO : VMAFX_OK;
}

VmafxErr spool_put(Spool *spool, const VmafxAttemptRef *ref, Vmafx__V1__TaskEnd *end, const void *result,
                   size_t result_len, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_free_p) uint8_t *packed = NULL;
    VMAFX_AUTO(vmafx_atomic_file_abort) VmafxAtomicFile *file = NULL;
    char path[PATH_MAX_];
    uint8_t head[HEAD_BYTES] = "VXS1", digest[VMAFX_SHA256_BYTES];
    size_t len;

    end->result_bytes = (int64_t)result_len;
    if (result_len) {
        vmafx_sha256(result, result_len, digest);
        end->result_sha256 = (ProtobufCBinaryData){ sizeof digest, digest };
    }
    VmafxErr err = vmafx_message_pack(&end->base, &packed, &len);
    end->result_sha256 = (ProtobufCBinaryData){ 0, NULL };
    if (err)
        return err;
    put_u32(head + 4, (uint32_t)len);
    path_of(spool, ref, path);
    err = vmafx_atomic_file_open(path, &file, reterr);
    if (err)
        return err;
    FILE *f = vmafx_atomic_file_stream(file);
    if (write_all(f, head, sizeof head) || write_all(f, packed, len) || write_all(f, result, result_len))
        return vmafx_fail(reterr, VMAFX_ERR_IO, "cannot write '%s': %s", path, strerror(errno));
    return vmafx_atomic_file_commit(&file, reterr);
}

/** Disks forget; and a controller would ask for what does not fit again. */
static bool digest_fits(const SpoolEntry *entry)
{
    uint8_t digest[VMAFX_SHA256_BYTES];

    if (!entry->result_len)
        return true;
    vmafx_sha256(entry->result, entry->result_len, digest);
    return entry->end->result_sha256.len == sizeof digest &&
           !memcmp(entry->end->result_sha256.data, digest, sizeof digest);
}

static VmafxErr parse(char *data, size_t len, SpoolEntry *ret)
{
    const uint8_t *bytes = (const uint8_t *)data;

    if (len < HEAD_BYTES || memcmp(bytes, "VXS1", 4) != 0)
        return VMAFX_ERR_CORRUPT;
    size_t end_len = bytes[4] | (size_t)bytes[5] << 8 | (size_t)bytes[6] << 16 | (size_t)bytes[7] << 24;
    if (end_len > END_MAX || end_len > len - HEAD_BYTES)
        return VMAFX_ERR_CORRUPT;
    if (vmafx_message_unpack(&vmafx__v1__task_end__descriptor, bytes + HEAD_BYTES, end_len, 0, &ret->message, NULL))
        return VMAFX_ERR_CORRUPT;
    ret->end = vmafx_message_get(ret->message);
    ret->result = bytes + HEAD_BYTES + end_len;
    ret->result_len = len - HEAD_BYTES - end_len;
    if (ret->end->result_bytes != (int64_t)ret->result_len || !digest_fits(ret))
        return VMAFX_ERR_CORRUPT;
    return VMAFX_OK;
}

VmafxErr spool_get(Spool *spool, const VmafxAttemptRef *ref, SpoolEntry *ret, VmafxErrInfo *reterr)
{
    char path[PATH_MAX_];
    size_t len;

    *ret = (SpoolEntry){ 0 };
    path_of(spool, ref, path);
    VmafxErr err = vmafx_read_file(path, SPOOL_FILE_MAX, &ret->file, &len, reterr);
    if (!err && (err = parse(ret->file, len, ret)))
        VMAFX_IGNORE(vmafx_fail(reterr, err, "'%s' is damaged", path)); /* err stays what it is */
    if (err)
        spool_entry_done(ret);
    return err;
}

void spool_entry_done(SpoolEntry *entry)
{
    vmafx_message_free(&entry->message);
    free(entry->file);
    *entry = (SpoolEntry){ 0 };
}

void spool_drop(Spool *spool, const VmafxAttemptRef *ref)
{
    char path[PATH_MAX_];

    path_of(spool, ref, path);
    unlink(path);
}

void spool_each(Spool *spool, void (*found)(void *ctx, const VmafxAttemptRef *ref, const Vmafx__V1__TaskEnd *end),
                void *ctx)
{
    DIR *d = opendir(spool->dir);

    if (!d)
        return;
    for (struct dirent *entry; (entry = readdir(d));) {
        VMAFX_AUTO(spool_entry_done) SpoolEntry read = { 0 };
        VmafxAttemptRef ref;
        if (!name_parse(entry->d_name, &ref))
            continue;
        VmafxErr err = spool_get(spool, &ref, &read, NULL);
        if (!err)
            found(ctx, &ref, read.end);
        else if (err == VMAFX_ERR_CORRUPT)
            spool_drop(spool, &ref);
    }
    closedir(d);
}
