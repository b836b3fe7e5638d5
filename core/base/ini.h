/* ini.h - files of `key = value` lines: manifests, the command's config file. inih splits the lines; what it would take amiss
 * without a word (it cuts long lines, joins indented ones to the key before, strips " ;" comments) is refused before it sees it.
 *
 *     static int32_t pair(void *arg, const struct tn_ini *at, const char *key, const char *value)
 *     {
 *         return known(key) ? use(arg, key, value) : tn_ini_fail(at, "unknown key \"%s\"", key);
 *     }
 *     rc = tn_ini_read(text, size, path, pair, &mine, err);
 *
 * [any-thread]
 */
#ifndef TN_BASE_INI_H
#define TN_BASE_INI_H

#include <tenon/plugin.h>

#define TN_INI_MAX_LINE 190 /* bytes, without the line's end: inih cuts lines over 197 */

/* A text on its way through: where a pair was found. */
struct tn_ini {
    const char *path; /* for messages */
    uint32_t line;    /* from 1; 0: before the first */
    struct tenon_err *err;
};

/* "PATH:LINE: ..." INVALID_ARGUMENT. `where` is short and paths are long: the file goes into the message. */
int32_t tn_ini_fail(const struct tn_ini *at, const char *fmt, ...) TENON_PRINTF(2, 3);

/* Call pair(arg, ...) for each line in turn, until one fails; its status is returned. */
int32_t tn_ini_read(const char *text, uint64_t size, const char *path,
                    int32_t (*pair)(void *arg, const struct tn_ini *at, const char *key, const char *value), void *arg,
                    struct tenon_err *err);

#endif
