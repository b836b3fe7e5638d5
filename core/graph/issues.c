/* Collects complaints about a graph as lines of text. Does not print them. One thread per list. Contract: issues.h. */
#include "core/graph/issues.h"

#include <stdarg.h>

void tn_issue(struct tn_issues *issues, const char *where, const char *fmt, ...)
{
    char line[640];
    va_list args;

    if (issues->n++ == 0)
        issues->code = TENON_E_INVALID_ARGUMENT;
    if (issues->n > TN_ISSUES_MAX)
        return;
    va_start(args, fmt);
    (void)vsnprintf(line, sizeof line, fmt, args); /* cutting is fine */
    va_end(args);
    (void)tn_buf_printf(&issues->text, "%s: %s\n", where, line); /* out of memory: the count still tells */
}

int32_t tn_issues_status(const struct tn_issues *issues, struct tenon_err *err)
{
    const char *text = issues->text.data != NULL ? issues->text.data : "?: out of memory for messages\n";
    const char *end = strchr(text, '\n');
    const char *colon = strstr(text, ": ");
    char where[64];

    if (issues->n == 0)
        return TENON_OK;
    (void)snprintf(where, sizeof where, "%.*s", (int)(colon - text), text);
    if (issues->n == 1)
        return tenon_fail(err, issues->code, where, "%.*s", (int)(end - colon - 2), colon + 2);
    return tenon_fail(err, issues->code, where, "%.*s (and %u more)", (int)(end - colon - 2), colon + 2, issues->n - 1);
}

void tn_issues_finish(struct tn_issues *issues)
{
    tn_buf_finish(&issues->text);
    issues->n = 0;
    issues->code = 0;
}
