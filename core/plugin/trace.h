/* trace.h - TENON_PLUGINS_TRACE=1: one line on stderr per step of finding and loading plugins.
 *
 *     tn_trace("open %s", path);   // tenon: plugins: open /usr/lib/tenon/x.so
 *
 * Costs a load and a branch when off. [any-thread]
 */
#ifndef TN_PLUGIN_TRACE_H
#define TN_PLUGIN_TRACE_H

#include <stdbool.h>

#include <tenon/plugin.h>

#include "core/base/log.h"

bool tn_trace_on(void);

#define tn_trace(...)                                        \
    do {                                                     \
        if (tn_trace_on())                                   \
            tn_log(TENON_LOG_ERROR, "plugins", __VA_ARGS__); \
    } while (0)

#endif
