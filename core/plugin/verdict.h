/* verdict.h - what first contact with each plugin file gave, remembered between runs in a file of the user's cache.
 *
 *     struct tn_verdicts v = {0};
 *     tn_verdicts_open(&v);                                  // an unreadable or broken file is an empty one
 *     const struct tn_verdict *known = tn_verdicts_find(&v, &identity);
 *     tn_verdicts_record(&v, &fresh, err);                   // merged with what other processes wrote meanwhile
 *     tn_verdicts_finish(&v);
 *
 * [serial:verdicts]; several processes at once are fine.
 */
#ifndef TN_PLUGIN_VERDICT_H
#define TN_PLUGIN_VERDICT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include <tenon/plugin.h>

#include "core/base/hash.h"
#include "core/plugin/descriptor.h"

/* Which file it was. The digest is computed only for files not known by the rest. */
struct tn_identity {
    uint64_t dev, ino, size, mtime_ns;
    char sha256[TN_SHA256_HEX]; /* "": not computed */
};

struct tn_verdict {
    struct tn_identity identity;
    bool good;        /* loaded and initialised; else it is quarantined */
    char id[TN_PLUGIN_MAX_NAME + 1];     /* of the plugin, for lists that load nothing; "" when unknown */
    char version[65];
    char reason[200]; /* of a bad one: "crashed (SIGSEGV) in init" */
};

struct tn_verdicts {
    char *path;               /* NULL: nowhere to remember */
    struct tn_verdict *items; /* [n] oldest first */
    uint32_t n;
};

void tn_identity_of(const struct stat *st, struct tn_identity *ret);

/* Never fails: without a cache there is nothing to know. */
void tn_verdicts_open(struct tn_verdicts *v);
void tn_verdicts_finish(struct tn_verdicts *v);

/* The verdict on a file of that device, inode, size and time; or, when its digest is given, of that size and content
 * (a copy, or a rebuild that changed nothing). OWN: v, until the next record. NULL: unknown. */
const struct tn_verdict *tn_verdicts_find(const struct tn_verdicts *v, const struct tn_identity *identity);

/* Remember, in memory and in the file. An error (read-only home, no home: FAILED_PRECONDITION) means that the file
 * will be probed again next time, no more. */
int32_t tn_verdicts_record(struct tn_verdicts *v, const struct tn_verdict *verdict, struct tenon_err *err);

#endif
