/* made_root.h - a made up machine below a temporary folder: what stands in its /proc and /sys.
 *
 *     tcase_add_checked_fixture(tc, made_root_start, made_root_end);
 *     put("/proc/self/cgroup", "0::/\n");
 *     tn_quota_cores(made_root);
 */
#ifndef MADE_ROOT_H
#define MADE_ROOT_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"

static char made_root[64];

static inline void made_root_start(void)
{
    strcpy(made_root, "/tmp/tenon-root-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(made_root));
}

static inline void made_root_end(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", made_root);
    ck_assert_int_eq(system(command), 0);
}

/* A file of the tree, with the folders above it. */
static inline void put(const char *path, const char *text)
{
    char full[512];
    FILE *f;
    snprintf(full, sizeof full, "%s%s", made_root, path);
    *strrchr(full, '/') = '\0';
    ck_assert_int_eq(tn_file_mkdirs(full, NULL), TENON_OK);
    full[strlen(full)] = '/';
    f = fopen(full, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
    ck_assert_int_eq(fclose(f), 0);
}

#endif
