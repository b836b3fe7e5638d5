/* gone.c - the library that the "missing library" plugin needs: built, and never where the loader looks. */
#include <tenon/plugin.h>

TENON_EXPORT int32_t tenon_test_gone(void);

int32_t tenon_test_gone(void)
{
    return 1;
}
