/* counted_memory.h - memory that is counted, and that can be made to fail. The test is linked with
 * -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free.
 *
 *     counted_watch();
 *     ... the code under test ...
 *     counted.watching = false;              // Check allocates, too
 *     ck_assert_uint_eq(counted.live, 0);
 *
 * One thread.
 */
#ifndef TESTS_COUNTED_MEMORY_H
#define TESTS_COUNTED_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

struct counted_memory {
    bool watching;     /* false: nothing counts and nothing fails */
    size_t live, peak; /* bytes */
    long fail_in;      /* allocations until one fails; < 0: never */
};
extern struct counted_memory counted;

/* Begin to watch, from zero. */
void counted_watch(void);

#endif
