/* log.h - lines for people, on stderr; stdout carries results alone.
 *
 *     tn_log(TENON_LOG_WARN, "cpu", "only %u threads: set TENON_THREADS", n);   // tenon: warning: cpu: only 2 threads...
 *     if (tn_log_on(TENON_LOG_DEBUG)) dump_costly_thing();
 *
 * Library code returns errors and does not log them; the command prints them. The level is WARN unless TENON_LOG
 * (error, warn, info, debug) or tn_log_set_level says otherwise. [any-thread] A line is one write(2), so lines of
 * several threads or processes do not mix.
 */
#ifndef TN_BASE_LOG_H
#define TN_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include <tenon/plugin.h>

void tn_log_set_level(int32_t level);
/* What was set; else, from the first call on, what TENON_LOG says. An unknown word there is warned of once. */
int32_t tn_log_level(void);
bool tn_log_on(int32_t level);

/* Lines go to `write` instead of stderr, without newline; NULL: back to stderr. Not while others log: [init] */
void tn_log_set_sink(void (*write)(void *arg, int32_t level, const char *line), void *arg);

/* Level of a name ("error", "warn", "info", "debug"), or -1. */
int32_t tn_log_level_of(const char *name);

/* `where` may be NULL. Long lines are cut. Control characters in the text (it may come from a hostile file) are
 * replaced by '?'. */
void tn_log(int32_t level, const char *where, const char *fmt, ...) TENON_PRINTF(3, 4);

/* The warning that an environment variable has a word nobody knows, what it is taken for, and the known ones: "a|b". */
void tn_log_unknown(const char *variable, const char *word, const char *taken, const char *known);

/* "tenon: WHERE: MESSAGE" of an error, whatever the level. `what` may be NULL and stands before both. */
void tn_log_err(const char *what, const struct tenon_err *err);

#endif
