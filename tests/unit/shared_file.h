/* shared_file.h - the test data that stands beside the source tree: see tests/README.md. */
#ifndef TESTS_SHARED_FILE_H
#define TESTS_SHARED_FILE_H

#include <stdio.h>
#include <stdlib.h>

#include "core/base/file.h"

/* All of $TENON_SHARED/name; NULL, and said so, when it is not there. OWN: caller frees. */
static inline char *shared_file(const char *name, uint64_t *ret_size)
{
    const char *shared = getenv("TENON_SHARED");
    char path[512], *data;
    snprintf(path, sizeof path, "%s/%s", shared != NULL ? shared : TENON_SOURCE_DIR "/../shared", name);
    if (tn_file_read(path, 64u << 20, &data, ret_size, NULL) == 0)
        return data;
    printf("SKIPPED: %s is missing; set TENON_SHARED to the folder with the shared test data\n", path);
    return NULL;
}

#endif
