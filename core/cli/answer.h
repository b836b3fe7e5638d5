/* answer.h - asking the model once and collecting what it says: shared by run and chat.
 *
 *     struct cli_answer a = { .stream = true };            // text goes to stdout as it comes
 *     status = cli_ask(&options, &session, TENON_PROMPT_TEXT, prompt, &a, err);
 *     cli_answer_finish(&a);
 *
 * One thread asks and waits; the events come from the model's thread and meet it through a lock. */
#ifndef TN_CLI_ANSWER_H
#define TN_CLI_ANSWER_H

#include "core/base/buf.h"
#include "core/cli/session.h"

struct cli_run {
    struct cli_common common;
    struct tenon_sampling sampling;
    uint64_t max_tokens;
    const char *seed, *system;
    struct cli_list stop;
    bool raw, stats;
};

struct cli_answer {
    bool stream;
    bool deaf;                     /* Ctrl-C stays as it is */
    struct tn_buf text;            /* the whole answer */
    struct tenon_event_data usage; /* pointers in it are gone */
    int32_t end;                   /* TENON_END_* */
};

/* Waits for the end. Ctrl-C (once) cancels, unless the answer is deaf: that is an answer that ended with TENON_END_CANCELLED, not
 * an error. */
int32_t cli_ask(const struct cli_run *o, struct cli_session *s, int32_t prompt_kind, struct tenon_str prompt,
                struct cli_answer *a, struct tenon_err *err);
void cli_answer_finish(struct cli_answer *a);
void cli_print_stats(const struct cli_answer *a, double load_s); /* on stderr */

/* Append {"role":...,"content":...}, with a comma before it unless it is the list's first. */
int32_t cli_add_message(struct tn_buf *out, const char *role, struct tenon_str content);

#endif
