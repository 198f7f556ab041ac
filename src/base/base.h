/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The small change of every file: lengths, scope-bound cleanup, checked allocation. */
#ifndef VMAFX_BASE_BASE_H
#define VMAFX_BASE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <vmafx/error.h>

#define VMAFX_LEN(a)    (sizeof(a) / sizeof((a)[0]))
#define VMAFX_MIN(a, b) ((a) < (b) ? (a) : (b))
#define VMAFX_MAX(a, b) ((a) > (b) ? (a) : (b))

/** Runs f(&variable) at the end of the scope. */
#define VMAFX_AUTO(f) __attribute__((cleanup(f), unused))

/** Hands a pointer on and leaves NULL behind. */
#define VMAFX_TAKE(p)                                                                                                  \
    ({                                                                                                                 \
        __typeof__(p) taken_ = p;                                                                                      \
        (p) = NULL;                                                                                                    \
        taken_;                                                                                                        \
    })

/** Drops an error on purpose; say why beside it. */
#define VMAFX_IGNORE(call)                                                                                             \
    do {                                                                                                               \
        if (call) {                                                                                                    \
        }                                                                                                              \
    } while (0)

/** free() for VMAFX_AUTO on any pointer variable. */
static inline void vmafx_free_p(void *p)
{
    free(*(void **)p);
    *(void **)p = NULL;
}

static inline void vmafx_fclose_p(FILE **f)
{
    if (*f)
        fclose(*f);
    *f = NULL;
}

/** n * size zeroed bytes aligned to 64, or NULL; overflow is NULL too. Release with free(). */
void *vmafx_alloc_aligned(size_t n, size_t size);

/**
 * For what cannot be freed because a thread that did not end in time still uses it: it stays until the process ends,
 * and stays known, so that it is no leak. Any thread; NULL is nothing.
 */
void vmafx_keep(void *ptr);

/** strdup with our limits spelled out: NULL in gives NULL out, NULL on no memory. */
char *vmafx_strdup(const char *s);

/** snprintf into fresh memory; NULL when there is none. */
char *vmafx_sprintf(const char *fmt, ...) VMAFX_PRINTF(1, 2);

/**
 * Reads a whole file of at most max bytes. The text gets a terminating zero that *ret_len does not count.
 * @return VMAFX_ERR_NOT_FOUND, VMAFX_ERR_IO, VMAFX_ERR_LIMIT, VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr vmafx_read_file(const char *path, size_t max, char **ret_text, size_t *ret_len,
                                     VmafxErrInfo *reterr);
#endif
