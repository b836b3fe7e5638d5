/* warn.h - lines for people about what a file leaves open: they go to the host's log. */
#ifndef TOK_WARN_H
#define TOK_WARN_H

#include <string.h>

#include <tenon/plugin.h>

/* log NULL: no word of it. */
static inline void tok_warn(const struct tenon_log *log, const char *text)
{
    if (log != NULL && log->level >= TENON_LOG_WARN)
        log->write(log->ctx, TENON_LOG_WARN, text, strlen(text));
}

#endif
