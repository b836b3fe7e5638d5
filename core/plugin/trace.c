/* trace.c - reads TENON_PLUGINS_TRACE once. Contract: trace.h. */
#include "core/plugin/trace.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "core/base/log.h"
#include "core/base/str.h"

bool tn_trace_on(void)
{
    static _Atomic int state; /* 0: not read, 1: off, 2: on. Two threads at once read the same */
    int s = atomic_load(&state);
    if (s == 0) {
        const char *value = secure_getenv("TENON_PLUGINS_TRACE");
        bool on = false;
        bool is_set = value != NULL && value[0] != '\0', is_known = !is_set || tn_str_bool(value, &on);
        s = on ? 2 : 1;
        if (atomic_exchange(&state, s) == 0 && !is_known)
            tn_log_unknown("TENON_PLUGINS_TRACE", value, "no", "yes|on|true|1|no|off|false|0");
    }
    return s == 2;
}
