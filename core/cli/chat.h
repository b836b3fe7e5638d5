/* chat.h - the chat on a terminal. */
#ifndef TN_CLI_CHAT_H
#define TN_CLI_CHAT_H

#include "core/cli/answer.h"

/* Once, before cli_chat and before there are other threads: libedit reads characters of the locale, and without one of UTF-8 it
 * drops all that is not ASCII. */
void cli_chat_locale(void);

/* Until end of input. /help /reset /stats /bye. Ctrl-C stops an answer, not the program. */
int32_t cli_chat(const struct cli_run *o, struct cli_session *s, struct tenon_err *err);

#endif
