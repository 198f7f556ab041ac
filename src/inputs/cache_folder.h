/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The files of the cache: names, locks, room. What an entry means is cache.c's. */
#ifndef VMAFX_INPUTS_CACHE_FOLDER_H
#define VMAFX_INPUTS_CACHE_FOLDER_H

#include <stdbool.h>
#include <stdint.h>

#include <vmafx/error.h>

#include "inputs/cache_meta.h"

#define CACHE_NAME_MAX (VMAFX_SHA256_TEXT + 8)

/** A file on its way. */
typedef struct CacheTemp {
    int fd;                    /* read-write; -1: none */
    char name[CACHE_NAME_MAX]; /* "" once it has no name */
} CacheTemp;

/** Opens and cleans up what a process that was killed left. @return the folder's descriptor in *ret */
VMAFX_CHECK VmafxErr cache_folder_open(const char *path, int *ret, VmafxErrInfo *reterr);

/** Makes a file with a name of its own, held exclusively. False: errno */
bool cache_temp_open(int folder, CacheTemp *temp);
/** Removes its name and closes it. */
void cache_temp_drop(int folder, CacheTemp *temp);

/** Takes KEY.lock unless somebody has it. @return the descriptor; -1 with errno EWOULDBLOCK, or why not at all */
int cache_lock(int folder, const char *key);
void cache_unlock(int folder, const char *key, int *lock);

/** The meta and its data, open and held; false when they are not there, or are not what belongs together. */
bool cache_find(int folder, const char *key, CacheMeta *ret_meta, int *ret_fd);
/** Writes the meta. False: errno */
bool cache_put_meta(int folder, const char *key, const CacheMeta *meta);
/**
 * Gives the file its place; its changed_ns and size go into the meta. The temp has no name after it.
 * @return a descriptor for reading, held; -1 with errno, and then nothing is kept
 */
int cache_put(int folder, const char *key, CacheTemp *temp, CacheMeta *meta);
/** It was used now. */
void cache_touch(int folder, const char *key);
void cache_forget(int folder, const char *key);

/**
 * Drops what was used the longest time ago, and nobody holds, until need more bytes fit below max.
 * @return false when they do not
 */
bool cache_make_room(int folder, int64_t need, int64_t max);
#endif
