/* trace.c - reads TENON_PLUGINS_TRACE once. Contract: trace.h. */
#include "core/plugin/trace.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "core/base/str.h"

bool tn_trace_on(void)
{
    static _Atomic int state; /* 0: not read, 1: off, 2: on. Two threads at once read the same */
    int s = atomic_load(&state);
    if (s == 0) {
        const char *value = secure_getenv("TENON_PLUGINS_TRACE");
        bool on = false;
        s = value != NULL && tn_str_bool(value, &on) && on ? 2 : 1;
        atomic_store(&state, s);
    }
    return s == 2;
}
