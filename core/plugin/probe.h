/* probe.h - first contact: a plugin file is loaded and initialised once in a child process, and what it describes read, so that a
 * crash or a hang in its constructors, entry or init, or of its readers, takes the child and not the host.
 *
 *     int main(int argc, char **argv)
 *     {
 *         int code = tn_probe_main(argc, argv);   // first of all
 *         if (code >= 0)
 *             return code;                        // this process was such a child
 *         ...
 *
 *     struct tn_probe probe;
 *     rc = tn_probe_run("/usr/lib/tenon/x.so", &settings, &probe, err);
 *
 * An executable whose main calls tn_probe_main is started afresh (`/proc/self/exe --tenon-probe FILE`): a clean process
 * without the host's threads. Any other executable (an application that links libtenon) is forked instead; its other
 * threads may have held locks at that moment, so a hang there is not held against the plugin, a crash is. [init]
 */
#ifndef TN_PLUGIN_PROBE_H
#define TN_PLUGIN_PROBE_H

#include <stdint.h>

#include <tenon/plugin.h>

#include "core/base/map.h"
#include "core/plugin/descriptor.h"

#define TN_PROBE_SECONDS 10

enum tn_probe_outcome {
    TN_PROBE_GOOD,   /* loaded, initialised, read, finished */
    TN_PROBE_FAILED, /* failed in an orderly way: the host will meet the same error itself, unharmed */
    TN_PROBE_BAD,    /* crashed, hung, or ended the process: to be quarantined */
};

struct tn_probe {
    enum tn_probe_outcome outcome;
    char id[TN_PLUGIN_MAX_NAME + 1];
    char version[65];
    char reason[200]; /* of a bad one */
};

/* `settings` (char * values, may be NULL) are those init will see. Error: RESOURCE_EXHAUSTED, UNKNOWN (no child). */
int32_t tn_probe_run(const char *path, const struct tn_map *settings, struct tn_probe *ret, struct tenon_err *err);

/* The same with another patience, for tests. */
int32_t tn_probe_run_for(const char *path, const struct tn_map *settings, int milliseconds, struct tn_probe *ret,
                         struct tenon_err *err);

/* -1: the arguments are not those of a probe, go on. Otherwise the exit code of the child. */
int tn_probe_main(int argc, char **argv);

#endif
