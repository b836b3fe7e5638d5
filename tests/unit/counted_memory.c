/* counted_memory.c - see counted_memory.h. */
#include "counted_memory.h"

#include <malloc.h>

struct counted_memory counted = {.fail_in = -1};

void counted_watch(void)
{
    counted.live = counted.peak = 0;
    counted.watching = true;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void __wrap_free(void *p);

static bool must_fail(void)
{
    return counted.watching && counted.fail_in >= 0 && counted.fail_in-- == 0;
}

static void *count(void *p)
{
    counted.live += counted.watching && p != NULL ? malloc_usable_size(p) : 0;
    counted.peak = counted.live > counted.peak ? counted.live : counted.peak;
    return p;
}

void *__wrap_malloc(size_t n)
{
    return must_fail() ? NULL : count(__real_malloc(n));
}

void *__wrap_calloc(size_t n, size_t size)
{
    return must_fail() ? NULL : count(__real_calloc(n, size));
}

void *__wrap_realloc(void *p, size_t n)
{
    if (must_fail())
        return NULL;
    size_t before = counted.watching && p != NULL ? malloc_usable_size(p) : 0;
    if (counted.watching && counted.live + n > counted.peak)
        counted.peak = counted.live + n; /* both blocks may live while copying */
    void *grown = __real_realloc(p, n);
    counted.live -= grown != NULL ? before : 0;
    return count(grown);
}

void __wrap_free(void *p)
{
    counted.live -= counted.watching && p != NULL ? malloc_usable_size(p) : 0;
    __real_free(p);
}
