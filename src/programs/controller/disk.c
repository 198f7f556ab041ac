/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* How full the disk of the store is. */

#include "programs/controller/disk.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/base.h"
#include "otel/api/metrics.h"
#include "signals/instruments.h"

struct StoreDisk {
    char *file;
    VmafxObservable *usage, *free, *limit;
    VmafxCallback *callback;
};

/* SQLite's newest pages, and their index. */
static const char *const endings[] = { "", "-wal", "-shm" };

bool store_disk_read(const char *file, StoreDiskBytes *ret)
{
    StoreDiskBytes bytes = { 0 };
    struct statvfs disk;

    for (size_t i = 0; i < VMAFX_LEN(endings); i++) {
        VMAFX_AUTO(vmafx_free_p) char *path = vmafx_sprintf("%s%s", file, endings[i]);
        struct stat found;
        if (!path)
            return false;
        if (!stat(path, &found))
            bytes.usage += found.st_size;
        else if (!endings[i][0])
            return false; /* the others come and go */
    }
    if (statvfs(file, &disk))
        return false;
    bytes.free = (int64_t)((uint64_t)disk.f_bavail * disk.f_frsize);
    bytes.limit = (int64_t)((uint64_t)disk.f_blocks * disk.f_frsize);
    *ret = bytes;
    return true;
}

static void observe(VmafxObserver *observer, VmafxObservable *self, void *state)
{
    StoreDisk *disk = state;
    StoreDiskBytes bytes;

    if (!store_disk_read(disk->file, &bytes))
        return; /* no value is better than a wrong one */
    vmafx_observe_int(observer, disk->usage, bytes.usage, VMAFX_NO_ATTRS);
    vmafx_observe_int(observer, disk->free, bytes.free, VMAFX_NO_ATTRS);
    vmafx_observe_int(observer, disk->limit, bytes.limit, VMAFX_NO_ATTRS);
}

StoreDisk *store_disk_new(const char *url)
{
    StoreDisk *disk = calloc(1, sizeof *disk);
    VmafxMeter *meter = vmafx_meter_get(VMAFX_SCOPE_NAME_CONTROLLER, "", "", VMAFX_NO_ATTRS);

    if (!disk)
        return NULL;
    disk->file = vmafx_strdup(strncmp(url, "sqlite:", 7) ? url : url + 7);
    if (!disk->file) {
        free(disk);
        return NULL;
    }
    disk->usage = vmafx_signal_observable(meter, VMAFX_METRIC_ID_STORE_USAGE);
    disk->free = vmafx_signal_observable(meter, VMAFX_METRIC_ID_STORE_DISK_FREE);
    disk->limit = vmafx_signal_observable(meter, VMAFX_METRIC_ID_STORE_DISK_LIMIT);
    disk->callback = vmafx_meter_callback(meter, observe, disk);
    return disk;
}

void store_disk_free(StoreDisk **disk)
{
    if (!*disk)
        return;
    vmafx_callback_remove(&(*disk)->callback);
    free((*disk)->file);
    free(*disk);
    *disk = NULL;
}
