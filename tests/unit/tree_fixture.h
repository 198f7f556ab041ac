/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A folder for each test, and a tree of small files in it. */
#ifndef VMAFX_TESTS_TREE_FIXTURE_H
#define VMAFX_TESTS_TREE_FIXTURE_H

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static char tree[64];

static inline int make_tree(void **state)
{
    strcpy(tree, "/tmp/vmafx_tree_XXXXXX");
    return mkdtemp(tree) ? 0 : -1;
}

static inline int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    return remove(path);
}

static inline int remove_tree(void **state)
{
    return nftw(tree, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/** A path in the tree; eight of them are good at a time. */
static inline const char *in_tree(const char *name)
{
    static char paths[8][512];
    static unsigned turn;
    char *path = paths[turn++ % 8];

    snprintf(path, sizeof paths[0], "%s/%s", tree, name);
    return path;
}

static inline void make_parents(const char *name)
{
    char path[256];

    for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(path, sizeof path, "%.*s", (int)(slash - name), name);
        assert_true(!mkdir(in_tree(path), 0777) || errno == EEXIST);
    }
}

/** "a/b/c", with its folders; NULL takes it away. */
static inline void put(const char *name, const char *text)
{
    if (!text) {
        assert_int_equal(remove(in_tree(name)), 0);
        return;
    }
    make_parents(name);
    FILE *f = fopen(in_tree(name), "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}
#endif
