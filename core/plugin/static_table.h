/* static_table.h - the plugins linked into this build. The table is written by CMake (see TenonStatic.cmake) and empty
 * unless TENON_STATIC_PLUGINS is on. */
#ifndef TN_PLUGIN_STATIC_TABLE_H
#define TN_PLUGIN_STATIC_TABLE_H

#include <tenon/plugin.h>

struct tn_static_plugin {
    const char *name; /* NULL: end of the table */
    tenon_plugin_entry_fn *entry;
};

extern const struct tn_static_plugin tn_static_plugins[];

#endif
