/* issues.h - a list of complaints about a graph, one line each, so that all errors are told and not only the first.
 *
 *     struct tn_issues issues = {0};
 *     tn_issue(&issues, "layer.attn_q", "w is [1536, 576] but x has %d columns", 512);
 *     if (issues.n > 0) puts(issues.text.data);   // "layer.attn_q: w is ...\n"
 *     tn_issues_finish(&issues);
 *
 * At most TN_ISSUES_MAX lines are kept; the rest is counted. [serial:issues]
 */
#ifndef TN_GRAPH_ISSUES_H
#define TN_GRAPH_ISSUES_H

#include "core/base/buf.h"

#include <tenon/plugin.h>

#define TN_ISSUES_MAX 200u

/* All zero is an empty list. */
struct tn_issues {
    struct tn_buf text; /* lines, each ended by '\n' */
    uint32_t n;         /* issues found, also those not kept */
    int32_t code;       /* status of the first */
};

void tn_issue(struct tn_issues *issues, const char *where, const char *fmt, ...) TENON_PRINTF(3, 4);

/* 0 without issues; else the first one's code, `err` holding the first line and how many more there are. */
int32_t tn_issues_status(const struct tn_issues *issues, struct tenon_err *err);

void tn_issues_finish(struct tn_issues *issues);

#endif
