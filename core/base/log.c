/* log.c - formats one line on the stack and writes it at once. No files, no rotation, no colours. Any thread.
 * Contract: log.h. */
#include "core/base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/str.h"

#define LEVEL_UNSET (-1)

static _Atomic int32_t level_ = LEVEL_UNSET;
static void (*sink_)(void *arg, int32_t level, const char *line); /* NULL: stderr */
static void *sink_arg_;
static const char *const level_names[] = {"error", "warn", "info", "debug"};

int32_t tn_log_level_of(const char *name)
{
    for (int32_t i = TENON_LOG_ERROR; i <= TENON_LOG_DEBUG; i++)
        if (strcmp(name, level_names[i]) == 0)
            return i;
    return -1;
}

void tn_log_set_level(int32_t level)
{
    atomic_store(&level_, level);
}

void tn_log_set_sink(void (*write)(void *arg, int32_t level, const char *line), void *arg)
{
    sink_ = write;
    sink_arg_ = arg;
}

/* Take the level from the environment, unless another thread was faster or tn_log_set_level said it. */
static void read_level(void)
{
    const char *name = secure_getenv("TENON_LOG");
    bool is_set = name != NULL && name[0] != '\0';
    int32_t unset = LEVEL_UNSET, level = is_set ? tn_log_level_of(name) : TENON_LOG_WARN;
    bool is_known = level >= 0;
    if (atomic_compare_exchange_strong(&level_, &unset, is_known ? level : TENON_LOG_WARN) && !is_known)
        tn_log_unknown("TENON_LOG", name, "warn", "error|warn|info|debug");
}

int32_t tn_log_level(void)
{
    if (atomic_load(&level_) == LEVEL_UNSET)
        read_level();
    return atomic_load(&level_);
}

bool tn_log_on(int32_t level)
{
    return level <= tn_log_level();
}

/* Make line[0..n) printable, end it with a newline (there is room for it) and write it. */
static void write_line(int32_t level, char *line, size_t n)
{
    tn_str_clean(line, n);
    if (sink_ != NULL) {
        line[n] = '\0';
        sink_(sink_arg_, level, line);
        return;
    }
    line[n++] = '\n';
    for (size_t done = 0; done < n;) {
        ssize_t wrote = write(STDERR_FILENO, line + done, n - done);
        if (wrote <= 0)
            return; /* nobody reads stderr: there is no better place to say so */
        done += (size_t)wrote;
    }
}

static size_t clamp(int n, size_t limit)
{
    return n < 0 ? 0 : (size_t)n < limit ? (size_t)n : limit;
}

void tn_log(int32_t level, const char *where, const char *fmt, ...)
{
    static const char *const prefixes[] = {"", "warning: ", "", "debug: "};
    char line[1024];
    if (level < TENON_LOG_ERROR || level > TENON_LOG_DEBUG || !tn_log_on(level))
        return;
    size_t limit = sizeof line - 2; /* newline and NUL */
    size_t n = clamp(snprintf(line, limit, "tenon: %s%s%s", prefixes[level], where != NULL ? where : "",
                              where != NULL ? ": " : ""), limit - 1);
    va_list args;
    va_start(args, fmt);
    n += clamp(vsnprintf(line + n, limit - n, fmt, args), limit - n - 1);
    va_end(args);
    write_line(level, line, n);
}

void tn_log_unknown(const char *variable, const char *word, const char *taken, const char *known)
{
    tn_log(TENON_LOG_WARN, variable, "'%.40s' is not known: it is taken for '%s'; known: %s", word, taken, known);
}

void tn_log_err(const char *what, const struct tenon_err *err)
{
    char line[1024];
    int n = snprintf(line, sizeof line - 1, "tenon: %s%s%s%s%s", what != NULL ? what : "", what != NULL ? ": " : "",
                     err->where, err->where[0] != '\0' ? ": " : "",
                     err->message[0] != '\0' ? err->message : tenon_status_text(err->code));
    write_line(TENON_LOG_ERROR, line, clamp(n, sizeof line - 2));
}
