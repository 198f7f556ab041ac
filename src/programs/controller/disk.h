/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* How full the disk of the store is, as gauges: a store that cannot grow accepts no jobs. */
#ifndef VMAFX_PROGRAMS_CONTROLLER_DISK_H
#define VMAFX_PROGRAMS_CONTROLLER_DISK_H

#include <stdbool.h>
#include <stdint.h>

typedef struct StoreDisk StoreDisk;

typedef struct StoreDiskBytes {
    int64_t usage; /* of the store's files */
    int64_t free;  /* left on their disk for an ordinary user */
    int64_t limit; /* of that disk */
} StoreDiskBytes;

/** @param file  the store's; false when it is not there, and `ret` is as before */
bool store_disk_read(const char *file, StoreDiskBytes *ret);

/**
 * Looks when metrics are collected.
 * @param url  as vmafx_store_open takes it; copied
 * @return NULL on no memory: nothing is told then
 */
StoreDisk *store_disk_new(const char *url);
void store_disk_free(StoreDisk **disk);
#endif
